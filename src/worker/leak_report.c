/*-------------------------------------------------------------------------
 *
 * leak_report.c
 *	  What is known about a leak: collecting it, logging it, counting it.
 *
 * Runs in: the pooler, when a leak is found.  The table of locks and that of
 * backends' activity are copied then, once for all that a look has found, and
 * never otherwise: the former stops everybody who wants a lock for a moment.
 *
 *-------------------------------------------------------------------------
 */
#include "worker/leak.h"

#include "access/transam.h"
#include "common/hashfn.h"
#include "shared/pin.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "storage/procarray.h"
#include "utils/memutils.h"
#include "worker/tally.h"

/* Locks that are named one by one. */
#define MAX_LOCKS_SHOWN		20

static MemoryContext collected;
static LockData *locks;
static bool activity_known;

void
pooler_leak_forget_collected(void)
{
	if (locks != NULL)
		MemoryContextReset(collected);
	locks = NULL;
	if (activity_known)
		pgstat_clear_backend_activity_snapshot();
	activity_known = false;
}

static LockData *
all_locks(void)
{
	MemoryContext old;

	if (collected == NULL)
		collected = AllocSetContextCreate(TopMemoryContext, "pooler leaks",
										  ALLOCSET_DEFAULT_SIZES);
	if (locks == NULL)
	{
		old = MemoryContextSwitchTo(collected);
		locks = GetLockStatusData();
		MemoryContextSwitchTo(old);
	}
	return locks;
}

/*---------------------------------------------------------------------------
 * locks
 *---------------------------------------------------------------------------
 */

static bool
is_worth_naming(const LockInstanceData *lock, int pid)
{
	return lock->pid == pid && lock->holdMask != 0 &&
		lock->locktag.locktag_type != LOCKTAG_VIRTUALTRANSACTION;
}

/* The strongest of the modes that are held. */
static LOCKMODE
strongest(LOCKMASK mask)
{
	LOCKMODE	mode = MAX_LOCKMODES - 1;

	while (mode > NoLock && (mask & LOCKBIT_ON(mode)) == 0)
		mode--;
	return mode;
}

static void
describe_locks(const LockData *data, PoolerLeak *leak)
{
	StringInfoData text;
	int			n = 0;

	initStringInfo(&text);
	for (int i = 0; i < data->nelements; i++)
	{
		const LockInstanceData *lock = &data->locks[i];

		if (!is_worth_naming(lock, leak->pid) || ++n > MAX_LOCKS_SHOWN)
			continue;
		appendStringInfo(&text, "%s%s on ", n > 1 ? ", " : "",
						 GetLockmodeName(lock->locktag.locktag_lockmethodid,
										 strongest(lock->holdMask)));
		DescribeLockTag(&text, &lock->locktag);
	}
	if (n > MAX_LOCKS_SHOWN)
		appendStringInfo(&text, ", %d more", n - MAX_LOCKS_SHOWN);
	strlcpy(leak->locks, text.data, sizeof(leak->locks));
	pfree(text.data);
}

static bool
conflicts(LOCKMASK held, LOCKMODE wanted)
{
	for (LOCKMODE mode = 1; mode < MAX_LOCKMODES; mode++)
	{
		if ((held & LOCKBIT_ON(mode)) != 0 && DoLockModesConflict(mode, wanted))
			return true;
	}
	return false;
}

/* How many wait for something that this process holds? */
static int
count_blocked(const LockData *data, int pid)
{
	List	   *own = NIL;
	ListCell   *cell;
	int			n = 0;

	for (int i = 0; i < data->nelements; i++)
	{
		if (data->locks[i].pid == pid && data->locks[i].holdMask != 0)
			own = lappend(own, &data->locks[i]);
	}
	for (int i = 0; i < data->nelements; i++)
	{
		const LockInstanceData *waiter = &data->locks[i];

		if (waiter->waitLockMode == NoLock || waiter->pid == pid)
			continue;
		foreach(cell, own)
		{
			const LockInstanceData *held = lfirst(cell);

			if (memcmp(&held->locktag, &waiter->locktag, sizeof(LOCKTAG)) != 0 ||
				!conflicts(held->holdMask, waiter->waitLockMode))
				continue;
			n++;
			break;
		}
	}
	list_free(own);
	return n;
}

/*---------------------------------------------------------------------------
 * queries, snapshot, what it holds
 *---------------------------------------------------------------------------
 */

/* What was cut off must not end in a part of a character. */
static void
copy_query(char *to, const char *from)
{
	size_t		len = strlcpy(to, from, POOLER_LEAK_QUERY_LEN);
	char	   *end = to + strlen(to);

	if (len < POOLER_LEAK_QUERY_LEN)
		return;
	for (int i = 0; i < 4 && end > to && IS_HIGHBIT_SET(end[-1]); i++)
		*--end = '\0';
}

static void
collect_activity(PoolerLeak *leak)
{
	activity_known = true;
	for (int i = 1; i <= pgstat_fetch_stat_numbackends(); i++)
	{
		const PgBackendStatus *entry = pooler_activity_entry(i);

		if (entry->st_procpid != leak->pid)
			continue;
		copy_query(leak->last_query, entry->st_activity_raw);
		leak->last_query_id = (uint64) entry->st_query_id;
		break;
	}
}

static int
xmin_age(int pid)
{
	PGPROC	   *proc = BackendPidGetProc(pid);
	TransactionId xmin = proc ? proc->xmin : InvalidTransactionId;

	if (!TransactionIdIsNormal(xmin))
		return -1;
	return (int) (ReadNextTransactionId() - xmin);
}

static void
collect_held(PoolerLeak *leak)
{
	PoolerBackend *b = &pooler_backends[leak->backend];
	static PoolerHoldings held;

	pooler_leak_read_holdings(&b->holdings, &held);
	leak->held.cursors = held.cursors;
	leak->held.locks = held.locks;
	leak->held.temp_objects = held.temp_objects;
	leak->held.temp_bytes = held.temp_bytes;
	strlcpy(leak->held.cursor_names, held.cursor_names, sizeof(leak->held.cursor_names));
	copy_query(leak->first_query, held.first_query);
	leak->first_query_id = held.first_query_id;
	leak->pin = (int) pg_atomic_read_u32(&b->pin);
}

void
pooler_leak_collect(PoolerLeak *leak)
{
	leak->xmin_age = -1;
	if (leak->backend < 0)
		return;
	collect_activity(leak);
	collect_held(leak);
	leak->xmin_age = xmin_age(leak->pid);
	describe_locks(all_locks(), leak);
	leak->blocked = count_blocked(all_locks(), leak->pid);
}

/*---------------------------------------------------------------------------
 * the log
 *---------------------------------------------------------------------------
 */

static char *
headline(const PoolerLeak *leak)
{
	double		held = (double) (leak->found_at - leak->held_since) / USECS_PER_SEC;

	switch (leak->kind)
	{
		case POOLER_LEAK_IDLE_IN_TRANSACTION:
			return psprintf(_("client has been idle in a transaction for %.1f s"), held);
		case POOLER_LEAK_TRANSACTION:
			return psprintf(_("client has had a transaction open for %.1f s"), held);
		case POOLER_LEAK_PINNED_IDLE:
			return psprintf(_("client has kept a backend without using it for %.1f s"), held);
		case POOLER_LEAK_CONNECTION_IDLE:
			return psprintf(_("client has not used its connection for %.1f s"), held);
		case POOLER_LEAK_CONNECTION_GROWTH:
			return psprintf(_("application has %u unused connections and opens more"), leak->amount);
		case POOLER_LEAK_POOL_HELD:
			return psprintf(_("pool has run no command for %.1f s while clients wait"), held);
		case POOLER_LEAK_LOCKS:
			return psprintf(_("client has taken %u session-level advisory locks and releases none"), leak->amount);
		case POOLER_LEAK_CURSORS:
			return psprintf(_("client has opened %u cursors and closes none"), leak->amount);
		case POOLER_LEAK_TEMP_OBJECTS:
			return psprintf(_("client has created %u temporary objects and drops none"), leak->amount);
		case POOLER_LEAK_STATEMENTS:
			return psprintf(_("client has prepared %u statements and deallocates none"), leak->amount);
		case POOLER_NLEAK_KINDS:
			break;
	}
	return pstrdup("");
}

static void
append_who(StringInfo text, const PoolerLeak *leak)
{
	const PoolerClient *client = &pooler_clients[leak->client];

	appendStringInfo(text, _("Kind \"%s\", severity %s, since %s."),
					 pooler_leak_kind_name(leak->kind),
					 pooler_leak_severity_name(leak->severity),
					 timestamptz_to_str(leak->held_since));
	if (leak->client_id != 0)
		appendStringInfo(text, _("\nClient " UINT64_FORMAT " of database \"%s\", role \"%s\", application \"%s\", at %s%s%s."),
						 leak->client_id, leak->database, leak->role,
						 leak->application_name, client->host,
						 client->port[0] ? ":" : "", client->port);
	else
		appendStringInfo(text, _("\nClients of database \"%s\", role \"%s\", application \"%s\", at %s."),
						 leak->database, leak->role, leak->application_name,
						 client->host);
	if (leak->pid != 0)
		appendStringInfo(text, _("\nBackend with process ID %d."), leak->pid);
	if (leak->pin != POOLER_PIN_NONE)
		appendStringInfo(text, _("\nIt is kept because of %s."), pooler_pin_words(leak->pin));
}

static void
append_held(StringInfo text, const PoolerLeak *leak)
{
	if (leak->locks[0])
		appendStringInfo(text, _("\nLocks: %s."), leak->locks);
	if (leak->held.cursors > 0)
		appendStringInfo(text, _("\nCursors: %u (%s)."), leak->held.cursors,
						 leak->held.cursor_names);
	if (leak->held.temp_objects > 0)
		appendStringInfo(text, _("\nTemporary objects: %u, " UINT64_FORMAT " bytes."),
						 leak->held.temp_objects, leak->held.temp_bytes);
	if (leak->xmin_age >= 0)
		appendStringInfo(text, _("\nAge of its snapshot: %d transactions."), leak->xmin_age);
	appendStringInfo(text, _("\nClients of the pool that wait: %d; processes that wait for its locks: %d."),
					 leak->waiting, leak->blocked);
	if (leak->first_query[0])
		appendStringInfo(text, _("\nFirst statement of the transaction: %s"), leak->first_query);
	if (leak->last_query[0])
		appendStringInfo(text, _("\nLast statement: %s"), leak->last_query);
}

/* Under the client's name, as far as the log's prefix shows names. */
void
pooler_leak_log(const PoolerLeak *leak)
{
	StringInfoData text;

	initStringInfo(&text);
	append_who(&text, leak);
	append_held(&text, leak);
	pooler_client_log_begin(leak->client);
	ereport(LOG,
			(errmsg_internal("%s", headline(leak)),
			 errdetail_internal("%s", text.data),
			 errhint("To end it: SELECT pooler.end_leaks(id => " UINT64_FORMAT ");", leak->id)));
	pooler_client_log_end();
	pfree(text.data);
}

/*---------------------------------------------------------------------------
 * counts by application and query
 *---------------------------------------------------------------------------
 */

static uint64
hash_of(const PoolerLeak *leak)
{
	return leak->last_query[0] == '\0' ? 0 :
		hash_bytes_extended((const unsigned char *) leak->last_query,
							(int) strlen(leak->last_query), 0);
}

static bool
is_counted_there(const PoolerLeakCount *count, const PoolerLeak *leak, uint64 hash)
{
	return count->count != 0 && count->kind == leak->kind &&
		count->dbid == leak->dbid && count->roleid == leak->roleid &&
		count->query_id == leak->last_query_id &&
		(count->query_id != 0 || count->hash == hash) &&
		strcmp(count->application_name, leak->application_name) == 0;
}

static PoolerLeakCountPlace *
find_count(const PoolerLeak *leak)
{
	uint64		hash = hash_of(leak);

	for (int i = 0; i < POOLER_MAX_LEAK_COUNTS; i++)
	{
		if (is_counted_there(&pooler_leaks->counts[i].count, leak, hash))
			return &pooler_leaks->counts[i];
	}
	return NULL;
}

/* A free place, or that of the one that was seen least recently. */
static PoolerLeakCountPlace *
place_for_count(void)
{
	PoolerLeakCountPlace *oldest = &pooler_leaks->counts[0];

	for (int i = 0; i < POOLER_MAX_LEAK_COUNTS; i++)
	{
		PoolerLeakCountPlace *place = &pooler_leaks->counts[i];

		if (place->count.count == 0)
			return place;
		if (place->count.last_at < oldest->count.last_at)
			oldest = place;
	}
	return oldest;
}

void
pooler_leak_count(const PoolerLeak *leak)
{
	PoolerLeakCountPlace *place = find_count(leak);
	bool		known = place != NULL;
	PoolerLeakCount *count;

	if (!known)
		place = place_for_count();
	count = &place->count;
	pooler_leak_begin_write(&place->changes);
	if (!known)
	{
		memset(count, 0, sizeof(*count));
		count->kind = leak->kind;
		count->dbid = leak->dbid;
		count->roleid = leak->roleid;
		strlcpy(count->database, leak->database, NAMEDATALEN);
		strlcpy(count->role, leak->role, NAMEDATALEN);
		strlcpy(count->application_name, leak->application_name, NAMEDATALEN);
		count->query_id = leak->last_query_id;
		count->hash = hash_of(leak);
		count->first_at = leak->found_at;
	}
	strlcpy(count->query, leak->last_query, sizeof(count->query));
	count->count++;
	count->last_at = leak->found_at;
	pooler_leak_end_write(&place->changes);
}

void
pooler_leak_count_end(const PoolerLeak *leak)
{
	PoolerLeakCountPlace *place = find_count(leak);
	uint64		held = (uint64) Max(leak->ended_at - leak->held_since, 0);

	if (place == NULL)
		return;
	pooler_leak_begin_write(&place->changes);
	place->count.held_us += held;
	place->count.max_held_us = Max(place->count.max_held_us, held);
	pooler_leak_end_write(&place->changes);
}
