/*-------------------------------------------------------------------------
 *
 * session.h
 *	  What a client carries from one backend to the next.
 *
 * Runs in: pool backends, which read and write the session of the client that
 * they have attached, and the pooler, which frees it when the client leaves.
 * Whoever owns the client by its word owns its session: no lock is needed.
 *
 * A session consists of parts.  Each is a string of bytes that only the file
 * that made it understands, and a digest, which stands in the client's slot:
 * two clients whose digests are equal need no restoring between them.  A
 * digest of 0 stands for an empty part.
 *
 *-------------------------------------------------------------------------
 */
#ifndef POOLER_SESSION_H
#define POOLER_SESSION_H

#include "compat.h"

#include "lib/stringinfo.h"
#include "shared/shmem.h"

/* Bytes of a part; NULL and 0 if it is empty. */
extern const char *pooler_session_part(const PoolerClient *client,
									   PoolerSessionPart part, int *len);

/*
 * Replaces the parts for which parts[i] is not NULL; the others stay.  Raises
 * ERRCODE_OUT_OF_MEMORY if pooler.session_memory is used up; then nothing has
 * changed.
 */
extern void pooler_session_store(PoolerClient *client,
								 const StringInfoData *const *parts);

/* The client has gone, or has nothing to carry.  What was there is zeroed. */
extern void pooler_session_free(PoolerClient *client);

/*
 * The digest of POOLER_PART_REPORTED is the sum of these over all variables
 * that the client has been told of.
 */
extern uint64 pooler_reported_digest(const char *name, const char *value);

#endif							/* POOLER_SESSION_H */
