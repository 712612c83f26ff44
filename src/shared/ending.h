/*-------------------------------------------------------------------------
 *
 * ending.h
 *	  Why a client, or its command, is ended, and in which words.
 *
 * Runs in: pooler and pool backends.  Whoever owns the client tells it: the
 * pooler one that is idle or waits, a backend the one that is attached.  So
 * the words are here, once.
 *
 *-------------------------------------------------------------------------
 */
#ifndef POOLER_ENDING_H
#define POOLER_ENDING_H

#include "c.h"

#include "shared/guc.h"

typedef enum PoolerEndReason
{
	POOLER_END_NONE = 0,
	POOLER_END_READ_TIMEOUT,	/* unfinished message, others wait */
	POOLER_END_WRITE_TIMEOUT,	/* does not read its result, others wait */
	POOLER_END_PIN_TIMEOUT,		/* pinned too long */
	POOLER_END_SHUTDOWN,		/* idle, and the server shuts down */
	POOLER_END_QUERY_TIMEOUT,	/* ends the command, not the client */
	POOLER_END_TRANSACTION_TIMEOUT,
	POOLER_END_IDLE_TRANSACTION_TIMEOUT,
	POOLER_END_CLIENT_IDLE_TIMEOUT,
	POOLER_END_IDLE_SESSION_TIMEOUT,	/* the server's setting */
	POOLER_END_QUERY_WAIT_TIMEOUT,
	POOLER_END_ADMIN,			/* an administrator wants it: KILL and the
								 * like */
	POOLER_END_LEAK,			/* the first one, of POOLER_NLEAK_KINDS */
	POOLER_END_LEAK_CANCEL = POOLER_END_LEAK + POOLER_NLEAK_KINDS,	/* the command of a
																	 * TRANSACTION */
	POOLER_NEND_REASONS
} PoolerEndReason;

typedef struct PoolerEndWords
{
	const char *sqlstate;		/* five characters */
	const char *message;		/* not translated yet */
	const char *detail;			/* or NULL */
	const char *name;			/* for the line that logs the disconnection;
								 * or NULL */
} PoolerEndWords;

/* NULL for POOLER_END_NONE. */
extern const PoolerEndWords *pooler_end_words(PoolerEndReason reason);

/* Is it for a leak that a client is ended? */
static inline bool
pooler_end_is_leak(uint32 reason)
{
	return reason >= POOLER_END_LEAK && reason < POOLER_END_LEAK_CANCEL;
}

/* Which kind, and which threshold, in a sentence. */
extern void pooler_end_leak_detail(PoolerEndReason reason, uint32 limit,
								   char *buf, size_t size);

/*
 * Is it to be logged?  pooler.log_pooler_errors is for what core has no words
 * for.
 */
static inline bool
pooler_end_logged(PoolerEndReason reason)
{
	return pooler_log_pooler_errors || reason == POOLER_END_SHUTDOWN ||
		reason == POOLER_END_IDLE_SESSION_TIMEOUT;
}

#endif							/* POOLER_ENDING_H */
