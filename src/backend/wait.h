/*-------------------------------------------------------------------------
 *
 * wait.h
 *	  What the files of the wait between two commands share with each other.
 *
 * Runs in: pool backends.  wait.c drives it, give_back.c and take.c are the two
 * sides of a hand-over, duties.c is what has to be done meanwhile, word.c the
 * state that others see, begin.c what comes before the first wait.
 *
 *-------------------------------------------------------------------------
 */
#ifndef POOLER_BACKEND_WAIT_H
#define POOLER_BACKEND_WAIT_H

#include "backend/internal.h"

#include "proto/frame.h"

/* What comes next; the diagram is in wait.c. */
typedef enum PoolerNext
{
	POOLER_NEXT_RUN,
	POOLER_NEXT_LINGER,
	POOLER_NEXT_PINNED,
	POOLER_NEXT_TAKE,
	POOLER_NEXT_FREE
} PoolerNext;

/*---------------------------------------------------------------------------
 * wait.c
 *---------------------------------------------------------------------------
 */

/* When the command, or the hand-over, began that was the last to begin. */
extern TimestampTz pooler_busy_since;

/* What has the client sent?  TERMINATE also if it has closed its end. */
extern PoolerFrameVerdict pooler_peek_client(void);

/*---------------------------------------------------------------------------
 * word.c
 *---------------------------------------------------------------------------
 */

/* Before the first wait: from now on the end of this process is reported. */
extern void pooler_word_begin(void);

extern PoolerBackendState pooler_word_state(void);

/* Stores the word, with the attached client: only where nobody else moves it. */
extern void pooler_word_set(PoolerBackendState state);

/* Moves it; false if somebody else has. */
extern bool pooler_word_move(PoolerBackendState from, PoolerBackendState to);

/*
 * From BUSY to another state, as soon as no signal is under way.  A full
 * barrier.  May not return: the signal may end this process.
 */
extern void pooler_word_leave_busy(PoolerBackendState state);

/* The pooler that made us has ended: so do we, and say so to the client. */
extern bool pooler_worker_has_ended(void);
pg_noreturn extern void pooler_end_without_pooler(void);

/*---------------------------------------------------------------------------
 * duties.c
 *---------------------------------------------------------------------------
 */

/* Called at every wake-up.  May not return. */
extern void pooler_serve_interrupts(void);

/* Timers that PostgresMain has set for the idle session it thinks it has. */
extern void pooler_stop_idle_timers(void);

/*---------------------------------------------------------------------------
 * give_back.c
 *---------------------------------------------------------------------------
 */

/* What the client is told that an error has ended, as an ErrorResponse. */
typedef struct PoolerFailure
{
	uint8_t		bytes[2048];
	size_t		len;
} PoolerFailure;

/*
 * In a PG_CATCH block: logs the error, leaves the transaction, and says in
 * which words the client learns of it.
 */
extern void pooler_catch_failure(MemoryContext cxt, PoolerFailure *failure);

/*
 * Gives the attached client back, if there is one; with its session, or (gone)
 * for the pooler to close it.  The word is the caller's to move.
 */
extern void pooler_give_back(bool gone);

/* The same for one of which nothing was read, with CANCELLED or FAILED. */
extern void pooler_give_back_with(PoolerControlType type, const void *payload, int len);

/*---------------------------------------------------------------------------
 * take.c
 *---------------------------------------------------------------------------
 */

/* The first client of the queue, if there is one and we don't have to go. */
extern PoolerNext pooler_take_next(void);

/* A client that was popped, or given to us. */
extern PoolerNext pooler_take(int slot);

/* Reads what the pooler has sent, and does it. */
extern PoolerNext pooler_obey(void);

/* Is the pool, or only this backend, being renewed, or paused? */
extern bool pooler_is_drained(void);

/* Is it this one, or perhaps this one, that has to go? */
extern bool pooler_may_have_to_go(void);

/*
 * Closes descriptors of clients that have gone since the last time, unless they
 * are fewer than this.
 */
extern void pooler_close_stale(uint32 worth);

/*---------------------------------------------------------------------------
 * begin.c
 *---------------------------------------------------------------------------
 */

/* The session's idle_session_timeout in ms; POOLER_SERVERS_OWN. */
extern int32 pooler_own_idle_session_timeout(void);

#endif							/* POOLER_BACKEND_WAIT_H */
