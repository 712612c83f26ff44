/*-------------------------------------------------------------------------
 *
 * tally.h
 *	  What the pooler counts, and where it is kept.
 *
 * Runs in: the pooler, which is the only writer of tallies.
 *
 *-------------------------------------------------------------------------
 */
#ifndef POOLER_WORKER_TALLY_H
#define POOLER_WORKER_TALLY_H

#include "compat.h"

#include "shared/shmem.h"

/*
 * The slot of a pool is going to be used by it, or was used by it for the last
 * time.  What was counted in it until then goes to the others'.
 */
extern void pooler_tally_open(int pool);
extern void pooler_tally_close(int pool);

/* The pool has no tally of its own yet: is there one by now? */
extern void pooler_tally_retry(int pool);

/* A backend has gone; 'born': it was ready, so its end counts as one. */
extern void pooler_tally_backend_gone(PoolerBackend *backend, bool born);

/* Nothing has been counted or measured so far, but by the worker itself. */
extern void pooler_tally_reset(void);

/* The sum of all that has been counted in pools, by whomever. */
extern void pooler_tally_totals(PoolerCounters *sum);

/* A client has entered its pool. */
extern void pooler_tally_login(int client);

/*
 * A login has failed, for which the client has got an error with this SQLSTATE
 * (NULL: unknown).  Before it is closed.
 */
extern void pooler_tally_login_failed(int client, const char *sqlstate);

/* The same, with the ErrorResponse that the client gets. */
extern void pooler_tally_login_refused(int client, const void *message, size_t len);

/* The same for a login that core has carried out. */
extern void pooler_tally_login_core(int client, int backend);

/* What came and went over the client's connection since the last look. */
extern void pooler_tally_bytes(int client);

/* Looks at some of the clients that have run something. */
extern void pooler_tally_tick(void);

#endif							/* POOLER_WORKER_TALLY_H */
