/*-------------------------------------------------------------------------
 *
 * holdings.c
 *	  What the attached client holds and might forget to give back.
 *
 * Runs in: pool backends, at each command's end.  Owns PoolerHoldings in the
 * backend's slot, and the number of prepared statements in the client's.  It
 * only says what there is: whether that is too much, and for too long, is for
 * the pooler to find out.
 *
 * All this lies in the path of each command, so nothing here waits, asks the
 * system or takes a lock, and nothing is written unless it has changed; but
 * for temporary tables, which are looked at after transactions that may have
 * touched them, when catalogs are read anyway.
 *
 *-------------------------------------------------------------------------
 */
#include "backend/internal.h"
#include "backend/hash.h"

#include "access/genam.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_namespace.h"
#include "mb/pg_wchar.h"
#include "shared/leak.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "utils/backend_status.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/portal.h"

/* Of more temporary objects than this the number is not known ... */
#define MAX_TEMP_OBJECTS	5000

/* ... nor of more relations among them the size. */
#define MAX_MEASURED		32

/* If there are more locks, how often each is held is not looked at again. */
#define MAX_LOCKS_ADDED_UP	64

static inline PoolerHoldings *
mine(void)
{
	return &pooler_me.shared->holdings;
}

/* Nothing in between may raise. */
static PoolerHoldings *
begin_change(void)
{
	PoolerHoldings *h = mine();

	pg_atomic_write_u32(&h->changes, pg_atomic_read_u32(&h->changes) + 1);
	pg_write_barrier();
	return h;
}

static void
end_change(PoolerHoldings *h)
{
	pg_write_barrier();
	pg_atomic_write_u32(&h->changes, pg_atomic_read_u32(&h->changes) + 1);
}

/* grown + fewest = number: after a fall, the fewest are those that are left. */
static void
set_number(uint32 *number, uint32 *grown, uint32 now)
{
	*grown = now < *number ? 0 : *grown + (now - *number);
	*number = now;
}

/*---------------------------------------------------------------------------
 * the first query of a transaction block
 *---------------------------------------------------------------------------
 */

/* Of the transaction whose first query has been seen. */
static LocalTransactionId seen_in;

static size_t first_len;		/* of first_query */

static void
forget_first_query(PoolerHoldings *h)
{
	explicit_bzero(h->first_query, first_len);	/* may contain secrets */
	h->first_query_id = 0;
	first_len = 0;
}

/*
 * Core cuts a query off without looking at its encoding, which is for those
 * who read it; the last character of a shorter one is whole.
 */
static size_t
length_of_activity(const char *text)
{
	size_t		len = strnlen(text, pgstat_track_activity_query_size - 1);
	size_t		max = Min(POOLER_LEAK_QUERY_LEN, pgstat_track_activity_query_size) - 1;

	return len < max ? len : (size_t) pg_mbcliplen(text, len, max);
}

/*
 * What pg_stat_activity shows of us, as long as it is still that: the next
 * command replaces it.
 */
static void
note_first_query(void)
{
	PoolerHoldings *h = begin_change();

	forget_first_query(h);
	first_len = length_of_activity(MyBEEntry->st_activity_raw);
	memcpy(h->first_query, MyBEEntry->st_activity_raw, first_len);
	h->first_query_id = first_len > 0 ? (uint64) MyBEEntry->st_query_id : 0;
	end_change(h);
}

static bool
is_about_transactions(const char *tag)
{
	return strcmp(tag, "BEGIN") == 0 || strcmp(tag, "START TRANSACTION") == 0 ||
		strcmp(tag, "COMMIT") == 0 || strcmp(tag, "ROLLBACK") == 0;
}

/*
 * Not only at ReadyForQuery, because by then a batch may have run several.  A
 * block may follow another without one (COMMIT AND CHAIN, and in a batch):
 * what tells them apart is the transaction's number.
 */
void
pooler_holdings_see_complete(const char *tag)
{
	if (likely(TransactionBlockStatusCode() != 'T') ||
		likely(pooler_my_lxid() == seen_in) || MyBEEntry == NULL)
		return;
	if (tag == NULL || !is_about_transactions(tag))
	{
		seen_in = pooler_my_lxid();
		note_first_query();
	}
	else if (first_len > 0)
	{
		PoolerHoldings *h = begin_change();

		forget_first_query(h);
		end_change(h);
	}
}

/*---------------------------------------------------------------------------
 * cursors
 *---------------------------------------------------------------------------
 */

static HTAB *portals;
static bool names_full;			/* no room for another name */

/* The unnamed portal of the extended protocol is nothing that is kept. */
static uint32
count_cursors(void)
{
	long		n;

	if (portals == NULL)
		portals = pooler_hash_find("Portal hash");
	n = portals ? hash_get_num_entries(portals) : 0;
	if (n > 0 && PortalIsValid(GetPortalByName("")))
		n--;
	return n;
}

/* An element of core's table begins with its key. */
static void
list_cursors(char *names)
{
	HASH_SEQ_STATUS seq;
	const char *name;
	size_t		len = 0;

	memset(names, 0, POOLER_LEAK_NAMES_LEN);
	names_full = false;
	hash_seq_init(&seq, portals);
	while ((name = hash_seq_search(&seq)) != NULL)
	{
		size_t		room = POOLER_LEAK_NAMES_LEN - len;
		size_t		more = strlen(name) + (len > 0 ? 2 : 0);

		if (name[0] == '\0')
			continue;
		if (more >= room)
		{
			names_full = true;
			hash_seq_term(&seq);
			return;
		}
		snprintf(names + len, room, "%s%s", len > 0 ? ", " : "", name);
		len += more;
	}
}

/*
 * Where there is no room for more names, one more cursor changes none: so a
 * client that opens thousands makes us walk no more often than they fit.
 */
static void
set_cursors(PoolerHoldings *h, uint32 n)
{
	if (n == h->cursors)
		return;
	if (n == 0)
	{
		memset(h->cursor_names, 0, sizeof(h->cursor_names));
		names_full = false;
	}
	else if (n < h->cursors || !names_full)
		list_cursors(h->cursor_names);
	set_number(&h->cursors, &h->cursors_grown, n);
}

void
pooler_holdings_in_block(bool failed)
{
	uint32		n = count_cursors();

	if (failed && first_len == 0 && MyBEEntry != NULL)
		note_first_query();		/* nothing has completed */
	if (n != mine()->cursors)
	{
		PoolerHoldings *h = begin_change();

		set_cursors(h, n);
		end_change(h);
	}
}

/*---------------------------------------------------------------------------
 * locks
 *---------------------------------------------------------------------------
 */

static HTAB *locks;

/*
 * At the end of a transaction core's table has those of the session only, one
 * element for each lock, however often it was taken.
 */
static uint32
count_locks(void)
{
	static int64 repeated = 0;
	HASH_SEQ_STATUS seq;
	const LOCALLOCK *lock;
	long		n;

	if (locks == NULL)
		locks = pooler_hash_find("LOCALLOCK hash");
	n = locks ? hash_get_num_entries(locks) : 0;
	if (likely(n == 0))
		return 0;
	if (n <= MAX_LOCKS_ADDED_UP)
	{
		repeated = 0;
		hash_seq_init(&seq, locks);
		while ((lock = hash_seq_search(&seq)) != NULL)
			repeated += Max(lock->nLocks - 1, 0);
	}
	return (uint32) Min(n + repeated, PG_INT32_MAX);
}

/*---------------------------------------------------------------------------
 * prepared statements
 *---------------------------------------------------------------------------
 */

/* They travel with the client, and so does their number. */
static void
see_statements(PoolerClient *client)
{
	uint32		n = pooler_statements_count();

	if (unlikely(n != client->statements))
		set_number(&client->statements, &client->statements_grown, n);
}

/*---------------------------------------------------------------------------
 * temporary objects
 *---------------------------------------------------------------------------
 */

static Oid	measured[MAX_MEASURED];
static int	nmeasured;

static void
set_temp(uint32 n, uint64 bytes)
{
	PoolerHoldings *h = mine();

	if (n == h->temp_objects && bytes == h->temp_bytes)
		return;
	h = begin_change();
	set_number(&h->temp_objects, &h->temp_objects_grown, n);
	h->temp_bytes = bytes;
	end_change(h);
}

void
pooler_holdings_forget_temp(void)
{
	set_temp(0, 0);
}

/* All that is in the temporary schema depends on it. */
static uint32
scan_temp_schema(Relation depend, Oid schema)
{
	SysScanDesc scan;
	ScanKeyData key[2];
	HeapTuple	tuple;
	uint32		n = 0;

	ScanKeyInit(&key[0], Anum_pg_depend_refclassid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(NamespaceRelationId));
	ScanKeyInit(&key[1], Anum_pg_depend_refobjid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(schema));
	scan = systable_beginscan(depend, DependReferenceIndexId, true, NULL, 2, key);
	while (n < MAX_TEMP_OBJECTS &&
		   HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend form = (Form_pg_depend) GETSTRUCT(tuple);

		if (form->classid == RelationRelationId && nmeasured < MAX_MEASURED)
			measured[nmeasured++] = form->objid;
		n++;
	}
	systable_endscan(scan);
	return n;
}

bool
pooler_holdings_find_temp(void)
{
	Oid			schema;
	Oid			toast;
	Relation	depend;
	uint32		n;

	nmeasured = 0;
	GetTempNamespaceState(&schema, &toast);
	if (!OidIsValid(schema))
		return false;
	depend = table_open(DependRelationId, AccessShareLock);
	n = scan_temp_schema(depend, schema);
	table_close(depend, AccessShareLock);
	set_temp(n, n > 0 ? mine()->temp_bytes : 0);
	return n > 0;
}

/* Somebody else who drops it, which superusers can, is not waited for. */
static uint64
bytes_of(Oid relation)
{
	LOCAL_FCINFO(fcinfo, 1);
	Datum		bytes;

	if (!ConditionalLockRelationOid(relation, AccessShareLock))
		return 0;
	InitFunctionCallInfoData(*fcinfo, NULL, 1, InvalidOid, NULL, NULL);
	fcinfo->args[0].value = ObjectIdGetDatum(relation);
	fcinfo->args[0].isnull = false;
	bytes = pg_total_relation_size(fcinfo);
	return fcinfo->isnull ? 0 : DatumGetInt64(bytes);
}

void
pooler_holdings_measure_temp(void)
{
	uint64		bytes = 0;

	for (int i = 0; i < nmeasured; i++)
		bytes += bytes_of(measured[i]);
	set_temp(mine()->temp_objects, bytes);
}

/*---------------------------------------------------------------------------
 * all of them
 *---------------------------------------------------------------------------
 */

void
pooler_holdings_at_end(void)
{
	PoolerHoldings *h = mine();
	uint32		ncursors = count_cursors();
	uint32		nlocks = count_locks();

	see_statements(&pooler_clients[pooler_me.client]);
	if (likely(first_len == 0 && ncursors == h->cursors && nlocks == h->locks))
		return;
	h = begin_change();
	forget_first_query(h);
	set_cursors(h, ncursors);
	if (nlocks != h->locks)
		set_number(&h->locks, &h->locks_grown, nlocks);
	end_change(h);
}

void
pooler_holdings_forget(void)
{
	PoolerHoldings *h = mine();

	if (first_len == 0 && h->cursors == 0 && h->locks == 0 && h->temp_objects == 0 &&
		h->cursors_grown == 0 && h->locks_grown == 0 && h->temp_objects_grown == 0)
		return;
	h = begin_change();
	explicit_bzero((char *) h + sizeof(h->changes), sizeof(*h) - sizeof(h->changes));
	first_len = 0;
	names_full = false;
	end_change(h);
}
