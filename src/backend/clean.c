/*-------------------------------------------------------------------------
 *
 * clean.c
 *	  What a session leaves behind, and how it is cleared.
 *
 * Runs in: pool backends, at the end of a transaction when the client is
 * about to be given back.  Looks at the resulting state, not at the commands:
 * what a function, a trigger or an extension did counts as well.  Looking has
 * to be cheap, because it is done at every hand-over; clearing need not be.
 *
 *-------------------------------------------------------------------------
 */
#include "backend/internal.h"
#include "backend/hash.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/namespace.h"
#include "commands/async.h"
#include "commands/sequence.h"
#include "replication/origin.h"
#include "replication/slot.h"
#include "storage/lock.h"
#include "tcop/utility.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/portal.h"

static ProcessUtility_hook_type prev_ProcessUtility_hook;
static bool listened;			/* LISTEN was run */
static bool temp_touched;		/* temporary objects were used */

/*---------------------------------------------------------------------------
 * core's private hash tables
 *---------------------------------------------------------------------------
 */

/* A table that, once made, lasts as long as the process. */
static long
entries_of(HTAB **table, const char *name)
{
	if (*table == NULL)
		*table = pooler_hash_find(name);
	return *table ? hash_get_num_entries(*table) : 0;
}

/* This one is destroyed and made again, so it can't be remembered. */
static bool
has_sequences(void)
{
	return pooler_hash_find("Sequence values") != NULL;
}

/* At the end of a transaction only holdable portals are left. */
static bool
has_portals(void)
{
	static HTAB *table = NULL;

	return entries_of(&table, "Portal hash") > 0;
}

/*---------------------------------------------------------------------------
 * looking
 *---------------------------------------------------------------------------
 */

/* Between transactions only session locks are held. */
static bool
has_locks(void)
{
	for (int i = 0; i < NUM_LOCK_PARTITIONS; i++)
	{
		if (!pooler_proc_locks_empty(MyProc, i))
			return true;
	}
	return false;
}

/* DISCARD ALL forgets them. */
static bool
has_temporary_slots(void)
{
	if (ReplicationSlotCtl == NULL || max_replication_slots == 0)
		return false;
	for (int i = 0; i < max_replication_slots; i++)
	{
		ReplicationSlot *slot = &ReplicationSlotCtl->replication_slots[i];

		if (slot->in_use && slot->active_pid == MyProcPid &&
			slot->data.persistency == RS_TEMPORARY)
			return true;
	}
	return false;
}

static bool
has_replication_state(void)
{
	return get_backup_status() != SESSION_BACKUP_NONE ||
		replorigin_session_origin != InvalidRepOriginId || has_temporary_slots();
}

bool
pooler_clean_needed(void)
{
	return has_portals() || has_locks() || listened || temp_touched ||
		has_sequences() || has_replication_state();
}

/*---------------------------------------------------------------------------
 * clearing
 *---------------------------------------------------------------------------
 */

/*
 * DISCARD ALL (discard.c) in parts, without ResetPlanCache(), which costs
 * much and hides nothing, and with what it forgets: temporary slots, the
 * replication origin and a base backup.
 */
void
pooler_clean(void)
{
	StartTransactionCommand();
	PortalHashTableDeleteAll();
	if (listened)
		Async_UnlistenAll();
	LockReleaseAll(USER_LOCKMETHOD, true);
	if (temp_touched)
		ResetTempTableNamespace();
	ResetSequenceCaches();
	if (replorigin_session_origin != InvalidRepOriginId)
	{
		replorigin_session_reset();
		replorigin_session_origin = InvalidRepOriginId;
	}
	if (get_backup_status() != SESSION_BACKUP_NONE)
		do_pg_abort_backup(0, BoolGetDatum(false));
	if (has_temporary_slots())
		pooler_slot_cleanup();
	CommitTransactionCommand();
	listened = temp_touched = false;
}

/*---------------------------------------------------------------------------
 * hooks
 *---------------------------------------------------------------------------
 */

/* There is no other way to LISTEN than this statement. */
static void
see_utility(PlannedStmt *pstmt, const char *queryString, bool readOnlyTree,
			ProcessUtilityContext context, ParamListInfo params,
			QueryEnvironment *queryEnv, DestReceiver *dest, QueryCompletion *qc)
{
	if (IsA(pstmt->utilityStmt, ListenStmt))
		listened = true;
	if (prev_ProcessUtility_hook)
		prev_ProcessUtility_hook(pstmt, queryString, readOnlyTree, context,
								 params, queryEnv, dest, qc);
	else
		standard_ProcessUtility(pstmt, queryString, readOnlyTree, context,
								params, queryEnv, dest, qc);
}

/* The flag is core's, and reset when the next transaction starts. */
static void
see_transaction_end(XactEvent event, void *arg)
{
	if (MyXactFlags & XACT_FLAGS_ACCESSEDTEMPNAMESPACE)
		temp_touched = true;
}

void
pooler_clean_init(void)
{
	prev_ProcessUtility_hook = ProcessUtility_hook;
	ProcessUtility_hook = see_utility;
	RegisterXactCallback(see_transaction_end, NULL);
}
