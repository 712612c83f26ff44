/*-------------------------------------------------------------------------
 *
 * request.h
 *	  How an SQL function has the pooler carry out a command.
 *
 * Runs in: any backend (asks) and the pooler (answers).  A few slots in shared
 * memory under a spinlock of their own, which is never held together with
 * another.
 *
 *	         asks              begins              it is over
 *	FREE ----------> ASKED -----------> WORKING ---------------> DONE
 *	 ^ ^ ^             |                   |                       |
 *	 | | |  gives up   |                   | gives up              |
 *	 | | +-------------+                   v                       |
 *	 | +------------------------------ ABANDONED                   |
 *	 +-------------------------------------------------------------+
 *
 * Who asks moves FREE->ASKED, ASKED->FREE, WORKING->ABANDONED and DONE->FREE;
 * the pooler ASKED->WORKING, WORKING->DONE and ABANDONED->FREE, and at its end
 * ASKED->DONE, with an error.  So a slot that is not FREE always has one who
 * will free it: whoever asks does so also on its way out by an error.
 *
 *-------------------------------------------------------------------------
 */
#ifndef POOLER_REQUEST_H
#define POOLER_REQUEST_H

#include "shared/admin.h"

struct Latch;

typedef enum PoolerRequestState
{
	POOLER_REQUEST_FREE = 0,
	POOLER_REQUEST_ASKED,		/* the pooler has not seen it */
	POOLER_REQUEST_WORKING,		/* the pooler has begun */
	POOLER_REQUEST_DONE,		/* the answer is there */
	POOLER_REQUEST_ABANDONED	/* nobody waits for the answer any more */
} PoolerRequestState;

#define POOLER_MAX_REQUESTS		32

/* All of it under PoolerShared.request_mutex. */
typedef struct PoolerRequest
{
	PoolerRequestState state;
	struct Latch *latch;		/* of who asks */
	PoolerAdminCommand command;
	PoolerAdminResult result;	/* if DONE */
} PoolerRequest;

typedef enum PoolerRequestOutcome
{
	POOLER_REQUEST_ANSWERED,	/* the result is there, and may be an error */
	POOLER_REQUEST_NO_POOLER,
	POOLER_REQUEST_TOO_MANY		/* others ask */
} PoolerRequestOutcome;

/*
 * Any backend: has a command carried out and waits until it is over.  Raises
 * no error of its own, but can be cancelled.
 */
extern PoolerRequestOutcome pooler_request_try(const PoolerAdminCommand *command,
											   PoolerAdminResult *result);

/*
 * The same, and raises what went wrong.  It is
 * the pooler's error; 55000 if there is no pooler, 57P01 if it ends meanwhile,
 * 53400 if too many ask at once.  If it is cancelled, the pooler takes back
 * a PAUSE that is not over.
 */
extern void pooler_request_run(const PoolerAdminCommand *command);

/* Pooler: is any slot in use?  A hint without the lock. */
extern bool pooler_request_any(void);

/*
 * Pooler: the state of a slot, and its command unless it is FREE.  ASKED has
 * become WORKING, ABANDONED has become FREE by then.
 */
extern PoolerRequestState pooler_request_look(int slot, PoolerAdminCommand *command);

/* Pooler: WORKING becomes DONE; nothing happens if it was given up. */
extern void pooler_request_answer(int slot, const PoolerAdminResult *result);

/* Pooler, at its start and end: nobody will carry them out. */
extern void pooler_request_answer_all(bool asked_too,
									  const PoolerAdminResult *result);

#endif							/* POOLER_REQUEST_H */
