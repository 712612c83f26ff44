/*-------------------------------------------------------------------------
 *
 * control.c
 *	  The SQL functions by which the pooler is controlled.
 *
 * Runs in: any backend.  Looks up names, has the pooler carry the command out
 * (shared/request.h), and raises its errors.  What is done is no part of the
 * transaction: it is done when the function returns, and no rollback undoes
 * it.  Who may call them is a matter of GRANT EXECUTE.
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "backend/birth.h"
#include "commands/dbcommands.h"
#include "fmgr.h"
#include "funcapi.h"
#include "shared/hold.h"
#include "shared/request.h"
#include "shared/shmem.h"
#include "sql/version.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(pooler_pause);
PG_FUNCTION_INFO_V1(pooler_resume);
PG_FUNCTION_INFO_V1(pooler_disable);
PG_FUNCTION_INFO_V1(pooler_enable);
PG_FUNCTION_INFO_V1(pooler_reconnect);
PG_FUNCTION_INFO_V1(pooler_kill);
PG_FUNCTION_INFO_V1(pooler_kill_client);
PG_FUNCTION_INFO_V1(pooler_suspend);
PG_FUNCTION_INFO_V1(pooler_wait_close);
PG_FUNCTION_INFO_V1(pooler_shutdown);
PG_FUNCTION_INFO_V1(pooler_reset_stats);
PG_FUNCTION_INFO_V1(pooler_get_databases);

/*
 * A session of the pooler that waits until the backends of its own database
 * have gone would wait for itself, and one that kills them would not live to
 * say so.
 */
static void
refuse_own_database(const char *function, Oid dbid)
{
	if (!pooler_in_pool_backend() || (OidIsValid(dbid) && dbid != MyDatabaseId))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("%s can't be called through the pooler for the database of the session",
					function),
			 errdetail("It would wait for the session's own backend to go."),
			 errhint("Connect to the server's own port, or to another database if it is for one database.")));
}

/* The database that the first argument names; InvalidOid if it is NULL. */
static Oid
database_argument(FunctionCallInfo fcinfo)
{
	if (PG_ARGISNULL(0))
		return InvalidOid;
	return get_database_oid(NameStr(*PG_GETARG_NAME(0)), false);
}

/* For commands that are for one database or for all. */
static Datum
run(FunctionCallInfo fcinfo, PoolerAdminVerb verb, const char *waiting)
{
	PoolerAdminCommand command = {.verb = verb};

	pooler_require_version();
	command.dbid = database_argument(fcinfo);
	if (waiting != NULL)
		refuse_own_database(waiting, command.dbid);
	pooler_request_run(&command);
	PG_RETURN_VOID();
}

Datum
pooler_pause(PG_FUNCTION_ARGS)
{
	return run(fcinfo, POOLER_ADMIN_PAUSE, "pooler.pause()");
}

Datum
pooler_resume(PG_FUNCTION_ARGS)
{
	return run(fcinfo, POOLER_ADMIN_RESUME, NULL);
}

Datum
pooler_disable(PG_FUNCTION_ARGS)
{
	return run(fcinfo, POOLER_ADMIN_DISABLE, NULL);
}

Datum
pooler_enable(PG_FUNCTION_ARGS)
{
	return run(fcinfo, POOLER_ADMIN_ENABLE, NULL);
}

Datum
pooler_reconnect(PG_FUNCTION_ARGS)
{
	return run(fcinfo, POOLER_ADMIN_RECONNECT, NULL);
}

Datum
pooler_kill(PG_FUNCTION_ARGS)
{
	return run(fcinfo, POOLER_ADMIN_KILL, "pooler.kill()");
}

Datum
pooler_wait_close(PG_FUNCTION_ARGS)
{
	return run(fcinfo, POOLER_ADMIN_WAIT_CLOSE, "pooler.wait_close()");
}

/* For commands without a database. */
static Datum
run_plain(PoolerAdminCommand command)
{
	pooler_require_version();
	pooler_request_run(&command);
	PG_RETURN_VOID();
}

Datum
pooler_kill_client(PG_FUNCTION_ARGS)
{
	PoolerAdminCommand command = {.verb = POOLER_ADMIN_KILL_CLIENT};

	command.client_id = (uint64) PG_GETARG_INT64(0);
	return run_plain(command);
}

Datum
pooler_suspend(PG_FUNCTION_ARGS)
{
	PoolerAdminCommand command = {.verb = POOLER_ADMIN_SUSPEND};

	refuse_own_database("pooler.suspend()", InvalidOid);
	return run_plain(command);
}

Datum
pooler_shutdown(PG_FUNCTION_ARGS)
{
	PoolerAdminCommand command = {.verb = POOLER_ADMIN_SHUTDOWN};
	char	   *mode = text_to_cstring(PG_GETARG_TEXT_PP(0));

	if (pg_strcasecmp(mode, "now") == 0)
		command.mode = POOLER_SHUTDOWN_NOW;
	else if (pg_strcasecmp(mode, "wait_for_servers") == 0)
		command.mode = POOLER_SHUTDOWN_WAIT_FOR_SERVERS;
	else if (pg_strcasecmp(mode, "wait_for_clients") == 0)
		command.mode = POOLER_SHUTDOWN_WAIT_FOR_CLIENTS;
	else
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid mode of shutdown: \"%s\"", mode),
				 errhint("Valid modes are \"now\", \"wait_for_servers\" and \"wait_for_clients\".")));
	return run_plain(command);
}

Datum
pooler_reset_stats(PG_FUNCTION_ARGS)
{
	PoolerAdminCommand command = {.verb = POOLER_ADMIN_RESET_STATS};

	return run_plain(command);
}

static void
hold_row(ReturnSetInfo *result, Oid dbid)
{
	uint32		flags = pooler_hold_flags(dbid);
	Datum		values[3];
	bool		nulls[3] = {!OidIsValid(dbid), false, false};

	values[0] = ObjectIdGetDatum(dbid);
	values[1] = BoolGetDatum((flags & (POOLER_HOLD_PAUSED | POOLER_HOLD_SUSPENDED)) != 0);
	values[2] = BoolGetDatum((flags & POOLER_HOLD_DISABLED) != 0);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

/* What was said of all together, and of single ones. */
Datum
pooler_get_databases(PG_FUNCTION_ARGS)
{
	pooler_require_version();
	InitMaterializedSRF(fcinfo, 0);
	hold_row((ReturnSetInfo *) fcinfo->resultinfo, InvalidOid);
	for (int i = 0; i < POOLER_MAX_HOLDS; i++)
	{
		Oid			dbid = pooler_hold_database(i);

		if (OidIsValid(dbid))
			hold_row((ReturnSetInfo *) fcinfo->resultinfo, dbid);
	}
	return (Datum) 0;
}
