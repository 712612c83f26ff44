/*-------------------------------------------------------------------------
 *
 * pins.c
 *	  State that can't travel, and so keeps the backend with its client.
 *
 * Runs in: pool backends, at the end of each transaction.  Looks at the
 * resulting state, not at the commands: what a function, a trigger or an
 * extension did counts as well.  Looking has to be cheap, because it is done
 * each time: what needs a catalog is looked at only after a transaction that
 * may have changed it.
 *
 * When the client has left, the state is cleared here, too.
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
#include "executor/executor.h"
#include "replication/origin.h"
#include "replication/slot.h"
#include "shared/guc.h"
#include "storage/lock.h"
#include "tcop/utility.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/hsearch.h"
#include "utils/portal.h"
#include "utils/snapmgr.h"

/* What the last look into catalogs and lists found, and whether it is stale. */
static bool has_temp_objects;
static bool temp_touched;
static bool has_channels;
static bool listen_touched;

/*---------------------------------------------------------------------------
 * looking
 *---------------------------------------------------------------------------
 */

/* At the end of a transaction only holdable portals are left. */
static bool
has_portals(void)
{
	static HTAB *table = NULL;

	if (table == NULL)
		table = pooler_hash_find("Portal hash");
	return table != NULL && hash_get_num_entries(table) > 0;
}

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

/*
 * Without the locks of slot.h: nobody but this process makes a slot its own, or
 * lets go of one that it has, so that what others write at the same time can't
 * make one look like ours.
 */
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

/* Is the first row of pg_listening_channels() there? */
static bool
listens(void)
{
	LOCAL_FCINFO(fcinfo, 0);
	FmgrInfo	flinfo;
	ReturnSetInfo rsinfo = {.type = T_ReturnSetInfo};

	rsinfo.econtext = CreateStandaloneExprContext();
	rsinfo.allowedModes = SFRM_ValuePerCall;
	rsinfo.returnMode = SFRM_ValuePerCall;
	fmgr_info(F_PG_LISTENING_CHANNELS, &flinfo);
	InitFunctionCallInfoData(*fcinfo, &flinfo, 0, InvalidOid, NULL, (Node *) &rsinfo);
	(void) FunctionCallInvoke(fcinfo);
	FreeExprContext(rsinfo.econtext, true);
	return rsinfo.isDone != ExprEndResult;
}

/*
 * In a PG_CATCH block: how large something is, is not worth a client's
 * connection.
 */
static void
go_on_without_size(MemoryContext cxt)
{
	ErrorData  *edata;

	MemoryContextSwitchTo(cxt);
	edata = CopyErrorData();
	FlushErrorState();
	AbortCurrentTransaction();
	HOLD_CANCEL_INTERRUPTS();	/* errfinish() has released it */
	ereport(LOG_SERVER_ONLY,
			(errcode(edata->sqlerrcode),
			 errmsg("could not measure temporary tables: %s", edata->message)));
	FreeErrorData(edata);
}

static void
look_again(void)
{
	MemoryContext cxt = CurrentMemoryContext;

	StartTransactionCommand();
	if (temp_touched)
		has_temp_objects = pooler_holdings_find_temp();
	if (listen_touched)
		has_channels = listens();
	PG_TRY();
	{
		if (temp_touched && has_temp_objects)
			pooler_holdings_measure_temp();
		CommitTransactionCommand();
	}
	PG_CATCH();
	{
		go_on_without_size(cxt);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(cxt);
	temp_touched = listen_touched = false;
}

PoolerPin
pooler_pins_look(void)
{
	if (temp_touched || listen_touched)
		look_again();
	if (has_temp_objects)
		return POOLER_PIN_TEMP;
	if (has_locks())
		return POOLER_PIN_LOCKS;
	if (has_channels)
		return POOLER_PIN_LISTEN;
	if (has_portals())
		return POOLER_PIN_CURSORS;
	if (get_backup_status() != SESSION_BACKUP_NONE)
		return POOLER_PIN_BACKUP;
	if (replorigin_session_origin != InvalidRepOriginId)
		return POOLER_PIN_ORIGIN;
	if (has_temporary_slots())
		return POOLER_PIN_SLOTS;
	if (pooler_pool_mode == POOLER_MODE_SESSION)
		return POOLER_PIN_MODE;
	if (!pooler_statements_intern())
		return POOLER_PIN_STATEMENTS;
	return POOLER_PIN_NONE;
}

/* Pipelining comes and goes while something else keeps the client, too. */
void
pooler_pins_set(PoolerPin pin)
{
	static PoolerPin but_for_pipelining = POOLER_PIN_NONE;
	PoolerBackend *shared = pooler_me.shared;
	PoolerPin	before = pg_atomic_read_u32(&shared->pin);

	if (before == pin)
		return;
	if (before == POOLER_PIN_NONE ||
		(before == POOLER_PIN_PIPELINE && but_for_pipelining == POOLER_PIN_NONE))
		shared->pinned_since = GetCurrentTimestamp();
	/* what had it pinned all the time is not counted again */
	if (pin == POOLER_PIN_PIPELINE || pin != but_for_pipelining)
		shared->counters.pins[pin]++;
	if (pin != POOLER_PIN_PIPELINE)
		but_for_pipelining = pin;
	pg_write_barrier();
	pg_atomic_write_u32(&shared->pin, pin);
}

/*---------------------------------------------------------------------------
 * clearing
 *---------------------------------------------------------------------------
 */

static void
clear_origin(void)
{
	if (replorigin_session_origin == InvalidRepOriginId)
		return;
	replorigin_session_reset();
	replorigin_session_origin = InvalidRepOriginId;
	replorigin_session_origin_lsn = InvalidXLogRecPtr;
	replorigin_session_origin_timestamp = 0;
}

/*
 * The part of DISCARD ALL (discard.c) that is about these states, and what it
 * forgets: temporary slots, the replication origin and a base backup.  What
 * the session has made of the defaults of transactions is not for this one.
 * Values that are stored out of line can't be deleted without a snapshot.
 */
void
pooler_pins_clear(void)
{
	MemoryContext cxt = CurrentMemoryContext;

	StartTransactionCommand();
	XactIsoLevel = XACT_READ_COMMITTED;
	XactDeferrable = false;
	PushActiveSnapshot(GetTransactionSnapshot());
	PortalHashTableDeleteAll();
	if (has_channels || listen_touched)
		Async_UnlistenAll();
	LockReleaseAll(USER_LOCKMETHOD, true);
	if (has_temp_objects || temp_touched)
		ResetTempTableNamespace();
	clear_origin();
	if (get_backup_status() != SESSION_BACKUP_NONE)
		do_pg_abort_backup(0, BoolGetDatum(false));
	if (has_temporary_slots())
		pooler_slot_cleanup();
	PopActiveSnapshot();
	CommitTransactionCommand();
	MemoryContextSwitchTo(cxt);
	has_temp_objects = has_channels = temp_touched = listen_touched = false;
	pooler_holdings_forget_temp();
}

/*---------------------------------------------------------------------------
 * pooler.pin_limit
 *---------------------------------------------------------------------------
 */

/*
 * Other backends of this pool that are pinned, but for what is going to end
 * soon.
 */
static int
count_others(void)
{
	int			n = 0;

	for (int i = 0; i < pooler_shared->nbackends; i++)
	{
		PoolerBackend *b = &pooler_backends[i];
		uint32		pin = pg_atomic_read_u32(&b->pin);

		if (b != pooler_me.shared && b->pool == pooler_me.shared->pool &&
			pin != POOLER_PIN_NONE && pin != POOLER_PIN_PIPELINE &&
			pooler_backend_word_state(pg_atomic_read_u64(&b->word)) !=
			POOLER_BACKEND_UNUSED)
			n++;
	}
	return n;
}

static void
tell_limit(PoolerPin pin, int limit)
{
	uint8_t		buf[1024];
	PoolerWriter w = pooler_writer(buf, sizeof(buf));
	PoolerErrorFields error = {.severity = "ERROR"};
	char	   *detail = psprintf(_("This session would have kept its backend because of %s. What it would have kept has been dropped; pooler.pin_limit allows %d sessions of this pool to keep a backend."),
								  pooler_pin_words(pin), limit);

	error.sqlstate = unpack_sql_state(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED);
	error.message = _("too many sessions keep a backend of this pool");
	error.detail = detail;
	pooler_build_error(&w, &error);
	if (pooler_writer_fits(&w))
		(void) pooler_me.core->putmessage(PqMsg_ErrorResponse,
										  (char *) buf + POOLER_FRAME_HEADER,
										  w.len - POOLER_FRAME_HEADER);
	pfree(detail);
}

/*
 * We count only after we are counted ourselves: of two at the same time both
 * may be refused, but they don't both exceed the limit.
 */
static void
enforce_limit(void)
{
	int			limit = pooler_me.pool->size * pooler_pin_limit / 100;
	int			min_messages = client_min_messages;
	PoolerPin	pin = pooler_pins_look();

	if (pin == POOLER_PIN_NONE || pin == POOLER_PIN_STATEMENTS)
		return;
	pooler_pins_set(pin);
	pg_memory_barrier();
	if (count_others() < limit)
		return;
	/* what core may warn of is for the log: the client is told all in one */
	client_min_messages = ERROR;
	pooler_pins_clear();
	client_min_messages = min_messages;
	pooler_pins_set(POOLER_PIN_NONE);
	pooler_me.shared->counters.pins[pin]--;
	pooler_me.shared->counters.pin_refusals++;
	tell_limit(pin, limit);
}

/*
 * The transaction has been committed, so that its effects stay; what the
 * session would have kept does not.  To PostgresMain the command is over: an
 * error would be followed by another ReadyForQuery, and so by this function.
 */
void
pooler_pins_limit(void)
{
	MemoryContext cxt = CurrentMemoryContext;
	uint32		before = pg_atomic_read_u32(&pooler_me.shared->pin);

	if (pooler_pool_mode == POOLER_MODE_SESSION ||
		(before != POOLER_PIN_NONE && before != POOLER_PIN_PIPELINE))
		return;
	HOLD_CANCEL_INTERRUPTS();
	PG_TRY();
	{
		enforce_limit();
	}
	PG_CATCH();
	{
		pooler_wait_raise_as_fatal(cxt);
	}
	PG_END_TRY();
	RESUME_CANCEL_INTERRUPTS();
}

/*---------------------------------------------------------------------------
 * hooks
 *---------------------------------------------------------------------------
 */

static void
check_mode(const Node *stmt)
{
	if (pooler_pool_mode == POOLER_MODE_STATEMENT && IsA(stmt, TransactionStmt) &&
		(((const TransactionStmt *) stmt)->kind == TRANS_STMT_BEGIN ||
		 ((const TransactionStmt *) stmt)->kind == TRANS_STMT_START))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("transaction blocks are not allowed in this pool"),
				 errdetail("pooler.pool_mode is \"statement\" for this database and role.")));
}

/*
 * Creating or dropping something in the temporary schema is not always noted
 * in MyXactFlags: not if the schema comes from search_path, nor if something
 * goes with what it depends on.  What contains another command is left out:
 * that one comes here by itself, and GetCommandLogLevel() follows an EXECUTE
 * without end if a statement executes itself.
 */
static bool
may_touch_temp_objects(Node *stmt)
{
	Oid			schema;
	Oid			toast;

	GetTempNamespaceState(&schema, &toast);
	return OidIsValid(schema) && !IsA(stmt, ExecuteStmt) &&
		!IsA(stmt, ExplainStmt) && !IsA(stmt, PrepareStmt) &&
		GetCommandLogLevel(stmt) == LOGSTMT_DDL;
}

/* There is no other way to LISTEN than the statement. */
void
pooler_pins_see_utility(Node *stmt)
{
	check_mode(stmt);
	if (may_touch_temp_objects(stmt))
		temp_touched = true;
	if (IsA(stmt, DiscardStmt))
		pooler_sequences_forget();
	if (IsA(stmt, ListenStmt) || IsA(stmt, UnlistenStmt) || IsA(stmt, DiscardStmt))
		listen_touched = true;
}

/* The flag is core's, and reset when the next transaction starts. */
static void
see_transaction_end(XactEvent event, void *arg)
{
	if (MyXactFlags & XACT_FLAGS_ACCESSEDTEMPNAMESPACE)
		temp_touched = true;
}

void
pooler_pins_init(void)
{
	RegisterXactCallback(see_transaction_end, NULL);
}
