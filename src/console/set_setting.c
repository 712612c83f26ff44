/*-------------------------------------------------------------------------
 *
 * set_setting.c
 *	  SET on the console, carried out as ALTER SYSTEM.
 *
 * Runs in: a background worker that is started for one request, connects as
 * the role that asked, and ends.  The pooler can't do it: it has no database,
 * so it can't find out who may (pg_parameter_acl), and writing and syncing
 * postgresql.auto.conf would block its loop.
 *
 * The command goes through ProcessUtility, so that whatever watches commands
 * (log_statement, auditing) sees it.
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "access/xact.h"
#include "mb/pg_wchar.h"
#include "nodes/makefuncs.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "shared/shmem.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"
#include "utils/builtins.h"

PGDLLEXPORT void pooler_set_setting_main(Datum arg);

/* Copies the request; false if it is not ours. */
static bool
take_request(PoolerSetRequest *request, uint32 number, PoolerSetRequest *copy)
{
	bool		ours;

	SpinLockAcquire(&request->mutex);
	ours = request->number == number && !request->answered;
	*copy = *request;
	SpinLockRelease(&request->mutex);
	return ours;
}

/* As much as fits, in whole characters; the console speaks UTF-8. */
static void
copy_clipped(char *to, const char *from, Size size)
{
	int			len = from ? strlen(from) : 0;

	if (len > 0)
	{
		from = pg_server_to_any(from, len, PG_UTF8);
		len = strlen(from);
	}
	if (len >= (int) size)
		len = pg_encoding_mbcliplen(PG_UTF8, from, len, size - 1);
	if (len > 0)
		memcpy(to, from, len);
	to[len] = '\0';
}

static void
answer(PoolerSetRequest *request, uint32 number, const PoolerSetRequest *copy)
{
	SpinLockAcquire(&request->mutex);
	if (request->number == number)
	{
		memcpy(request->sqlstate, copy->sqlstate, sizeof(request->sqlstate));
		memcpy(request->message, copy->message, sizeof(request->message));
		memcpy(request->detail, copy->detail, sizeof(request->detail));
		memcpy(request->hint, copy->hint, sizeof(request->hint));
		request->answered = true;
	}
	SpinLockRelease(&request->mutex);
}

static void
alter_system(const PoolerSetRequest *request)
{
	char	   *sql;
	List	   *parsed;
	PlannedStmt *planned = makeNode(PlannedStmt);

	if (request->to_default)
		sql = psprintf("ALTER SYSTEM SET %s TO DEFAULT", request->name);
	else
		sql = psprintf("ALTER SYSTEM SET %s TO %s", request->name,
					   quote_literal_cstr(pg_any_to_server(request->value,
														   strlen(request->value),
														   PG_UTF8)));
	debug_query_string = sql;
	pgstat_report_activity(STATE_RUNNING, sql);
	parsed = pg_parse_query(sql);
	planned->commandType = CMD_UTILITY;
	planned->canSetTag = true;
	planned->utilityStmt = linitial_node(RawStmt, parsed)->stmt;
	planned->stmt_location = 0;
	planned->stmt_len = strlen(sql);
	ProcessUtility(planned, sql, false, PROCESS_UTILITY_TOPLEVEL, NULL, NULL,
				   None_Receiver, NULL);
	debug_query_string = NULL;
}

static void
carry_out(PoolerSetRequest *request)
{
	MemoryContext cxt = CurrentMemoryContext;

	strcpy(request->sqlstate, "00000");
	PG_TRY();
	{
		StartTransactionCommand();
		alter_system(request);
		CommitTransactionCommand();
	}
	PG_CATCH();
	{
		ErrorData  *edata;

		MemoryContextSwitchTo(cxt);
		edata = CopyErrorData();
		EmitErrorReport();
		FlushErrorState();
		AbortCurrentTransaction();
		strlcpy(request->sqlstate, unpack_sql_state(edata->sqlerrcode),
				sizeof(request->sqlstate));
		copy_clipped(request->message, edata->message, sizeof(request->message));
		copy_clipped(request->detail, edata->detail, sizeof(request->detail));
		copy_clipped(request->hint, edata->hint, sizeof(request->hint));
	}
	PG_END_TRY();
}

void
pooler_set_setting_main(Datum arg)
{
	PoolerSetRequest *request = &pooler_shared->set_requests[DatumGetInt32(arg)];
	PoolerSetRequest copy;
	uint32		number;

	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	memcpy(&number, MyBgworkerEntry->bgw_extra, sizeof(number));
	if (!take_request(request, number, &copy))
		return;
	BackgroundWorkerInitializeConnectionByOid(copy.dbid, copy.roleid, 0);
	carry_out(&copy);
	answer(request, number, &copy);
}
