/*-------------------------------------------------------------------------
 *
 * health.c
 *	  pooler.health(): the pooler's health as jsonb, with a probe on request.
 *
 * Runs in: any backend.  What the report consists of is in shared/health.c; the
 * probe is carried out by the pooler (worker/probe.c), for the database and the
 * role of the session that asks.
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "commands/dbcommands.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "shared/health.h"
#include "shared/request.h"
#include "shared/shmem.h"
#include "sql/version.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"

PG_FUNCTION_INFO_V1(pooler_health);

static void
not_tried(PoolerHealthProbe *probe, const char *error)
{
	probe->latency_ms = -1;
	probe->error = error;
}

/* The result's strings are referred to. */
static void
take_result(PoolerHealthProbe *probe, const PoolerAdminResult *result)
{
	probe->ok = strcmp(result->sqlstate, "00000") == 0;
	probe->latency_ms = result->latency_ms;
	probe->timeout_ms = result->timeout_ms;
	probe->held = result->held;
	probe->backend_pid = result->backend_pid;
	if (!probe->ok)
		probe->error = result->message;
	if (result->hint[0] != '\0')
		probe->hint = result->hint;
}

/*
 * What goes wrong is a part of the report, and no error: it is what the caller
 * wants to know.  But he may cancel it.
 */
static void
run_probe(PoolerHealthProbe *probe, PoolerAdminResult *result)
{
	PoolerAdminCommand command = {.verb = POOLER_ADMIN_PROBE};

	command.dbid = MyDatabaseId;
	probe->database = get_database_name(MyDatabaseId);
	probe->role = GetUserNameFromId(GetSessionUserId(), false);
	strlcpy(command.database, probe->database ? probe->database : "", NAMEDATALEN);
	strlcpy(command.role, probe->role, NAMEDATALEN);
	switch (pooler_request_try(&command, result))
	{
		case POOLER_REQUEST_ANSWERED:
			take_result(probe, result);
			break;
		case POOLER_REQUEST_NO_POOLER:
			not_tried(probe, "the pooler is not running");
			break;
		case POOLER_REQUEST_TOO_MANY:
			not_tried(probe, "too many commands for the pooler at once");
			break;
	}
}

Datum
pooler_health(PG_FUNCTION_ARGS)
{
	bool		with_probe = PG_GETARG_BOOL(0);
	PoolerHealthProbe probe = {0};
	PoolerAdminResult result;
	StringInfoData buf;
	PoolerJson	json = {&buf, GetDatabaseEncoding()};

	pooler_require_version();
	if (with_probe)
		run_probe(&probe, &result);
	initStringInfo(&buf);
	(void) pooler_health_report(&json, NULL, with_probe ? &probe : NULL);
	return DirectFunctionCall1(jsonb_in, CStringGetDatum(buf.data));
}
