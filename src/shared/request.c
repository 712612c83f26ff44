/*-------------------------------------------------------------------------
 *
 * request.c
 *	  How an SQL function has the pooler carry out a command.
 *
 * Runs in: any backend (asks) and the pooler (answers).  What happens inside
 * the spinlock are copies of a few hundred bytes.
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "shared/request.h"
#include "shared/shmem.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "utils/wait_event.h"

/*---------------------------------------------------------------------------
 * who asks
 *---------------------------------------------------------------------------
 */

/* FREE -> ASKED; -1 if there is no free slot. */
static int
ask(const PoolerAdminCommand *command)
{
	PoolerShared *s = pooler_shared;
	int			slot = -1;

	SpinLockAcquire(&s->request_mutex);
	for (int i = 0; i < POOLER_MAX_REQUESTS && slot < 0; i++)
	{
		if (s->requests[i].state != POOLER_REQUEST_FREE)
			continue;
		s->requests[i].command = *command;
		s->requests[i].latch = MyLatch;
		s->requests[i].state = POOLER_REQUEST_ASKED;
		pg_atomic_fetch_add_u32(&s->nrequests, 1);
		slot = i;
	}
	SpinLockRelease(&s->request_mutex);
	return slot;
}

/* Under the lock. */
static void
set_free(PoolerRequest *request)
{
	request->state = POOLER_REQUEST_FREE;
	request->latch = NULL;
	pg_atomic_fetch_sub_u32(&pooler_shared->nrequests, 1);
}

/* ASKED, DONE -> FREE; WORKING -> ABANDONED. */
static void
give_up(int code, Datum arg)
{
	PoolerRequest *request = &pooler_shared->requests[DatumGetInt32(arg)];

	SpinLockAcquire(&pooler_shared->request_mutex);
	if (request->state == POOLER_REQUEST_WORKING)
		request->state = POOLER_REQUEST_ABANDONED;
	else
		set_free(request);
	SpinLockRelease(&pooler_shared->request_mutex);
	(void) pooler_wake_worker();
}

/* DONE -> FREE, with the answer; false if it is not there yet. */
static bool
take_answer(int slot, PoolerAdminResult *result)
{
	PoolerRequest *request = &pooler_shared->requests[slot];
	bool		done;

	SpinLockAcquire(&pooler_shared->request_mutex);
	done = request->state == POOLER_REQUEST_DONE;
	if (done)
	{
		*result = request->result;
		set_free(request);
	}
	SpinLockRelease(&pooler_shared->request_mutex);
	return done;
}

/* The answer is looked for before interrupts are: what is over counts. */
static void
wait_for_answer(int slot, PoolerAdminResult *result)
{
	static uint32 wait_event = 0;

	if (wait_event == 0)
		wait_event = pooler_wait_event("PoolerRequest");
	while (!take_answer(slot, result))
	{
		CHECK_FOR_INTERRUPTS();
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_EXIT_ON_PM_DEATH, 0,
						 wait_event);
		ResetLatch(MyLatch);
	}
}

/* Asked, and freed whatever happens.  False: there is no pooler. */
static bool
await(int slot, PoolerAdminResult *result)
{
	volatile bool running = false;

	PG_ENSURE_ERROR_CLEANUP(give_up, Int32GetDatum(slot));
	{
		/* asked first, so that a pooler that ends now sees it */
		running = pooler_wake_worker();
		if (running)
			wait_for_answer(slot, result);
	}
	PG_END_ENSURE_ERROR_CLEANUP(give_up, Int32GetDatum(slot));
	if (!running)
		give_up(0, Int32GetDatum(slot));
	return running;
}

PoolerRequestOutcome
pooler_request_try(const PoolerAdminCommand *command, PoolerAdminResult *result)
{
	int			slot = ask(command);

	if (slot < 0)
		return POOLER_REQUEST_TOO_MANY;
	return await(slot, result) ? POOLER_REQUEST_ANSWERED : POOLER_REQUEST_NO_POOLER;
}

void
pooler_request_run(const PoolerAdminCommand *command)
{
	PoolerAdminResult result;

	switch (pooler_request_try(command, &result))
	{
		case POOLER_REQUEST_ANSWERED:
			break;
		case POOLER_REQUEST_NO_POOLER:
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("the pooler is not running"),
					 errhint("If it has ended it is started again within a second; the server's log tells why.")));
			break;
		case POOLER_REQUEST_TOO_MANY:
			ereport(ERROR,
					(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
					 errmsg("too many commands for the pooler at once"),
					 errdetail("At most %d can wait at the same time.",
							   POOLER_MAX_REQUESTS)));
			break;
	}
	if (strcmp(result.sqlstate, "00000") != 0)
		ereport(ERROR,
				(errcode(MAKE_SQLSTATE(result.sqlstate[0], result.sqlstate[1],
									   result.sqlstate[2], result.sqlstate[3],
									   result.sqlstate[4])),
				 errmsg_internal("%s", result.message),
				 result.hint[0] ? errhint("%s", result.hint) : 0));
}

/*---------------------------------------------------------------------------
 * the pooler
 *---------------------------------------------------------------------------
 */

bool
pooler_request_any(void)
{
	return pg_atomic_read_u32(&pooler_shared->nrequests) > 0;
}

PoolerRequestState
pooler_request_look(int slot, PoolerAdminCommand *command)
{
	PoolerRequest *request = &pooler_shared->requests[slot];
	PoolerRequestState state;

	SpinLockAcquire(&pooler_shared->request_mutex);
	state = request->state;
	*command = request->command;
	if (state == POOLER_REQUEST_ASKED)
		request->state = POOLER_REQUEST_WORKING;
	else if (state == POOLER_REQUEST_ABANDONED)
		set_free(request);
	SpinLockRelease(&pooler_shared->request_mutex);
	return state;
}

/* Under the lock; returns whom to wake afterwards. */
static Latch *
set_done(PoolerRequest *request, const PoolerAdminResult *result)
{
	request->result = *result;
	request->state = POOLER_REQUEST_DONE;
	return request->latch;
}

void
pooler_request_answer(int slot, const PoolerAdminResult *result)
{
	PoolerRequest *request = &pooler_shared->requests[slot];
	Latch	   *latch = NULL;

	SpinLockAcquire(&pooler_shared->request_mutex);
	if (request->state == POOLER_REQUEST_WORKING)
		latch = set_done(request, result);
	SpinLockRelease(&pooler_shared->request_mutex);
	if (latch != NULL)
		SetLatch(latch);
}

void
pooler_request_answer_all(bool asked_too, const PoolerAdminResult *result)
{
	for (int i = 0; i < POOLER_MAX_REQUESTS; i++)
	{
		PoolerRequest *request = &pooler_shared->requests[i];
		Latch	   *latch = NULL;

		SpinLockAcquire(&pooler_shared->request_mutex);
		if (request->state == POOLER_REQUEST_WORKING ||
			(asked_too && request->state == POOLER_REQUEST_ASKED))
			latch = set_done(request, result);
		else if (request->state == POOLER_REQUEST_ABANDONED)
			set_free(request);
		SpinLockRelease(&pooler_shared->request_mutex);
		if (latch != NULL)
			SetLatch(latch);
	}
}
