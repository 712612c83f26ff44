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

#include "access/xact.h"
#include "commands/dbcommands.h"
#include "commands/defrem.h"
#include "nodes/parsenodes.h"
#include "shared/evict.h"
#include "sql/ddl.h"
#include "tcop/utility.h"

static ProcessUtility_hook_type prev_ProcessUtility_hook;

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

/* The database that the command wants for itself; NULL if it wants none. */
static const char *
database_wanted(Node *stmt)
{
	if (IsA(stmt, DropdbStmt))
		return ((DropdbStmt *) stmt)->dbname;
	if (IsA(stmt, CreatedbStmt))
		return template_of((CreatedbStmt *) stmt);
	if (IsA(stmt, RenameStmt) && ((RenameStmt *) stmt)->renameType == OBJECT_DATABASE)
		return ((RenameStmt *) stmt)->subname;
	if (IsA(stmt, AlterDatabaseStmt) && sets_tablespace((AlterDatabaseStmt *) stmt))
		return ((AlterDatabaseStmt *) stmt)->dbname;
	return NULL;
}

static void
before_utility(PlannedStmt *pstmt, const char *queryString, bool readOnlyTree,
			   ProcessUtilityContext context, ParamListInfo params,
			   QueryEnvironment *queryEnv, DestReceiver *dest,
			   QueryCompletion *qc)
{
	const char *name = database_wanted(pstmt->utilityStmt);
	Oid			dbid = name ? get_database_oid(name, true) : InvalidOid;

	if (OidIsValid(dbid))
		pooler_evict_begin(dbid);
	if (prev_ProcessUtility_hook)
		prev_ProcessUtility_hook(pstmt, queryString, readOnlyTree, context,
								 params, queryEnv, dest, qc);
	else
		standard_ProcessUtility(pstmt, queryString, readOnlyTree, context,
								params, queryEnv, dest, qc);
}

static void
at_transaction_end(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT)
		pooler_evict_end();
}

void
pooler_ddl_init(void)
{
	prev_ProcessUtility_hook = ProcessUtility_hook;
	ProcessUtility_hook = before_utility;
	RegisterXactCallback(at_transaction_end, NULL);
}
