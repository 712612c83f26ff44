/*-------------------------------------------------------------------------
 *
 * requests.c
 *	  Commands that SQL functions have asked for.
 *
 * Runs in: the pooler.  Takes them from shared memory (shared/request.h),
 * has admin.c carry them out, and asks it whether they are over.
 *
 *-------------------------------------------------------------------------
 */
#include "worker/internal.h"

#include "shared/request.h"
#include "worker/admin.h"

static void
ended(PoolerAdminResult *result)
{
	memset(result, 0, sizeof(*result));
	strlcpy(result->sqlstate, "57P01", sizeof(result->sqlstate));
	strlcpy(result->message, "the pooler has ended while it carried out the command",
			sizeof(result->message));
	strlcpy(result->hint, "What it had begun may hold: see pooler.databases and pooler.status.",
			sizeof(result->hint));
}

/* What the last pooler had begun; what it had not seen is carried out. */
void
pooler_requests_startup(void)
{
	PoolerAdminResult result;

	ended(&result);
	pooler_request_answer_all(false, &result);
}

void
pooler_requests_exit(void)
{
	PoolerAdminResult result;

	ended(&result);
	pooler_request_answer_all(true, &result);
}

static void
serve(int slot)
{
	PoolerAdminCommand command;
	PoolerAdminResult result;
	bool		over = false;

	switch (pooler_request_look(slot, &command))
	{
		case POOLER_REQUEST_ASKED:
			if (command.verb == POOLER_ADMIN_PROBE)
			{
				pooler_probe_begin(slot, &command);
				break;
			}
			pooler_admin_log(&command);
			over = pooler_admin_begin(&command, &result);
			break;
		case POOLER_REQUEST_WORKING:
			/* a probe is answered when something happens to it */
			over = command.verb != POOLER_ADMIN_PROBE &&
				pooler_admin_poll(&command, &result);
			break;
		case POOLER_REQUEST_ABANDONED:
			if (command.verb == POOLER_ADMIN_PROBE)
				pooler_probe_abandon(slot);
			else
				pooler_admin_abandon(&command);
			break;
		case POOLER_REQUEST_FREE:
		case POOLER_REQUEST_DONE:
			break;
	}
	if (over)
		pooler_request_answer(slot, &result);
}

void
pooler_requests_serve(void)
{
	for (int i = 0; i < POOLER_MAX_REQUESTS && pooler_request_any(); i++)
		serve(i);
}
