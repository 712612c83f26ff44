/*-------------------------------------------------------------------------
 *
 * ddl.c
 *	  DROP DATABASE and its like: idle pool backends get out of the way.
 *
 * Runs in: any backend.  An idle pool backend is a session like any other, so
 * these commands would fail with "being accessed by other users".  The pooler
 * is told before, and starts no backend there until the transaction ends.
 * Core itself waits for five seconds for sessions to go
 * (CountOtherDBBackends, procarray.c), which is enough for idle ones; those
 * that are at work are treated as core treats any session.
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_authid.h"
#include "commands/dbcommands.h"
#include "commands/defrem.h"
#include "nodes/parsenodes.h"
#include "shared/evict.h"
#include "sql/ddl.h"
#include "tcop/utility.h"
#include "utils/syscache.h"

static ProcessUtility_hook_type prev_ProcessUtility_hook;
static bool defaults_changed;	/* in this transaction */

/* The template of CREATE DATABASE; core's default is template1. */
static const char *
template_of(CreatedbStmt *stmt)
{
	ListCell   *cell;

	foreach(cell, stmt->options)
	{
		DefElem    *option = lfirst_node(DefElem, cell);

		if (strcmp(option->defname, "template") == 0 && option->arg != NULL)
			return defGetString(option);
	}
	return "template1";
}

/* Does ALTER DATABASE move it to another tablespace? */
static bool
sets_tablespace(AlterDatabaseStmt *stmt)
{
	ListCell   *cell;

	foreach(cell, stmt->options)
	{
		if (strcmp(lfirst_node(DefElem, cell)->defname, "tablespace") == 0)
			return true;
	}
	return false;
}

static bool
may_create_databases(void)
{
	HeapTuple	tuple;
	bool		result = superuser();

	tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(GetUserId()));
	if (HeapTupleIsValid(tuple))
	{
		result = result || ((Form_pg_authid) GETSTRUCT(tuple))->rolcreatedb;
		ReleaseSysCache(tuple);
	}
	return result;
}

static bool
is_template(Oid dbid)
{
	HeapTuple	tuple = SearchSysCache1(DATABASEOID, ObjectIdGetDatum(dbid));
	bool		result = false;

	if (HeapTupleIsValid(tuple))
	{
		result = ((Form_pg_database) GETSTRUCT(tuple))->datistemplate;
		ReleaseSysCache(tuple);
	}
	return result;
}

/*
 * The database that the command wants for itself; InvalidOid if it wants
 * none, or if core is going to refuse it: nobody may empty a pool by asking
 * for what he has no right to.
 */
static Oid
database_wanted(Node *stmt)
{
	const char *name = NULL;
	Oid			dbid;

	if (IsA(stmt, DropdbStmt))
		name = ((DropdbStmt *) stmt)->dbname;
	else if (IsA(stmt, CreatedbStmt))
		name = template_of((CreatedbStmt *) stmt);
	else if (IsA(stmt, RenameStmt) && ((RenameStmt *) stmt)->renameType == OBJECT_DATABASE)
		name = ((RenameStmt *) stmt)->subname;
	else if (IsA(stmt, AlterDatabaseStmt) && sets_tablespace((AlterDatabaseStmt *) stmt))
		name = ((AlterDatabaseStmt *) stmt)->dbname;
	if (name == NULL)
		return InvalidOid;

	dbid = get_database_oid(name, true);
	if (!OidIsValid(dbid) || pooler_owns_database(dbid))
		return dbid;
	return IsA(stmt, CreatedbStmt) && may_create_databases() && is_template(dbid) ?
		dbid : InvalidOid;
}

static void
run_utility(PlannedStmt *pstmt, const char *queryString, bool readOnlyTree,
			ProcessUtilityContext context, ParamListInfo params,
			QueryEnvironment *queryEnv, DestReceiver *dest,
			QueryCompletion *qc)
{
	if (prev_ProcessUtility_hook)
		prev_ProcessUtility_hook(pstmt, queryString, readOnlyTree, context,
								 params, queryEnv, dest, qc);
	else
		standard_ProcessUtility(pstmt, queryString, readOnlyTree, context,
								params, queryEnv, dest, qc);
}

/* ALTER ROLE or DATABASE ... SET: backends that are there have the old value. */
static bool
changes_defaults(Node *stmt)
{
	return IsA(stmt, AlterRoleSetStmt) || IsA(stmt, AlterDatabaseSetStmt);
}

static void
see_utility(PlannedStmt *pstmt, const char *queryString, bool readOnlyTree,
			ProcessUtilityContext context, ParamListInfo params,
			QueryEnvironment *queryEnv, DestReceiver *dest,
			QueryCompletion *qc)
{
	Oid			dbid = database_wanted(pstmt->utilityStmt);

	if (changes_defaults(pstmt->utilityStmt))
		defaults_changed = true;
	if (!OidIsValid(dbid))
	{
		run_utility(pstmt, queryString, readOnlyTree, context, params,
					queryEnv, dest, qc);
		return;
	}
	pooler_evict_begin(dbid);
	PG_TRY();
	{
		run_utility(pstmt, queryString, readOnlyTree, context, params,
					queryEnv, dest, qc);
	}
	PG_CATCH();
	{
		/* the transaction may go on, after a rollback to a savepoint */
		pooler_evict_end();
		PG_RE_THROW();
	}
	PG_END_TRY();
}

static void
at_transaction_end(XactEvent event, void *arg)
{
	if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT &&
		event != XACT_EVENT_PREPARE)
		return;
	pooler_evict_end();
	if (defaults_changed && event == XACT_EVENT_COMMIT)
		pooler_tell_defaults_changed();
	defaults_changed = false;
}

void
pooler_ddl_init(void)
{
	prev_ProcessUtility_hook = ProcessUtility_hook;
	ProcessUtility_hook = see_utility;
	RegisterXactCallback(at_transaction_end, NULL);
}
