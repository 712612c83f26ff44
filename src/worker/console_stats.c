/*-------------------------------------------------------------------------
 *
 * console_stats.c
 *	  SHOW POOLS, DATABASES, USERS, STATS and its kin.
 *
 * Runs in: the pooler.  Counts with the functions of the views
 * (shared/pool_count.h, shared/snapshot.h), and adds up what PgBouncer shows
 * in one row: exporters take a row's names for its key, and pools of one
 * client each (shmem.h: owner), or of a role that was made anew, have the
 * names of others.
 *
 *-------------------------------------------------------------------------
 */
#include "worker/console.h"

#include "auth/catalog.h"
#include "postmaster/postmaster.h"
#include "shared/pool_count.h"
#include "shared/snapshot.h"
#include "utils/hsearch.h"

/* What is added up for one row. */
typedef struct GroupKey
{
	char		database[NAMEDATALEN];	/* zero-padded; empty if all count */
	char		role[NAMEDATALEN];
} GroupKey;

typedef struct Group
{
	GroupKey	key;
	int			pool;			/* the first one, -1 for the console */
	Oid			dbid;
	int32		clients;
	int32		waiting;
	int32		active;			/* servers, as in all that follow */
	int32		idle;
	int32		starting;
	TimestampTz first_queued_at;
	PoolerCounters now;
	PoolerCounters before;
} Group;

typedef enum GroupBy
{
	BY_POOL,
	BY_DATABASE,
	BY_ROLE
} GroupBy;

/*---------------------------------------------------------------------------
 * adding up
 *---------------------------------------------------------------------------
 */

static void
add_counts(Group *group, const PoolerPoolCount *count)
{
	group->clients += count->clients_idle + count->clients_active;
	group->waiting += count->clients_waiting;
	group->active += count->backends_busy + count->backends_pinned;
	group->idle += count->backends_free + count->backends_lingering;
	group->starting += count->backends_starting;
	if (count->first_queued_at != 0 &&
		(group->first_queued_at == 0 || count->first_queued_at < group->first_queued_at))
		group->first_queued_at = count->first_queued_at;
}

static Group *
group_of(HTAB *groups, const PoolerPoolSnapshot *snap, int pool, GroupBy by)
{
	GroupKey	key;
	Group	   *group;
	bool		found;

	memset(&key, 0, sizeof(key));
	if (by != BY_ROLE)
		strlcpy(key.database, snap->database, NAMEDATALEN);
	if (by != BY_DATABASE)
		strlcpy(key.role, snap->role, NAMEDATALEN);
	group = hash_search(groups, &key, HASH_ENTER, &found);
	if (!found)
	{
		memset((char *) group + sizeof(GroupKey), 0, sizeof(Group) - sizeof(GroupKey));
		group->pool = pool;
		group->dbid = snap->dbid;
	}
	return group;
}

static int
by_key(const void *a, const void *b)
{
	const Group *left = a;
	const Group *right = b;
	int			order = strcmp(left->key.database, right->key.database);

	return order != 0 ? order : strcmp(left->key.role, right->key.role);
}

/* The groups become an array in the cursor's memory. */
static void
keep_groups(ConsoleCursor *cursor, HTAB *groups)
{
	HASH_SEQ_STATUS seq;
	Group	   *group;

	cursor->data = MemoryContextAlloc(cursor->cxt,
									  sizeof(Group) * (hash_get_num_entries(groups) + 1));
	hash_seq_init(&seq, groups);
	while ((group = hash_seq_search(&seq)) != NULL)
		((Group *) cursor->data)[cursor->count++] = *group;
	qsort(cursor->data, cursor->count, sizeof(Group), by_key);
}

static void
make_groups(ConsoleCursor *cursor, GroupBy by, bool counters)
{
	PoolerPoolCount *counts = pooler_count_pools();
	HASHCTL		ctl = {.keysize = sizeof(GroupKey), .entrysize = sizeof(Group)};
	HTAB	   *groups;

	ctl.hcxt = cursor->cxt;
	groups = hash_create("pooler console", 64, &ctl,
						 HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	for (int i = 0; i < pooler_shared->npools; i++)
	{
		PoolerPoolSnapshot snap;
		PoolerCounters sum;
		Group	   *group;

		if (!pooler_pools[i].in_use ||
			!pooler_snapshot_pool(i, &snap, counters ? &sum : NULL))
			continue;
		group = group_of(groups, &snap, i, by);
		add_counts(group, &counts[i]);
		if (counters)
		{
			pooler_stats_add(&group->now, &sum);
			pooler_averages_before(i, &sum);
			pooler_stats_add(&group->before, &sum);
		}
	}
	pfree(counts);
	keep_groups(cursor, groups);
	hash_destroy(groups);
}

static const Group *
next_group(ConsoleCursor *cursor)
{
	if (cursor->at >= cursor->count)
		return NULL;
	return (const Group *) cursor->data + cursor->at++;
}

static int
count_consoles(void)
{
	int			n = 0;

	for (int i = 0; i < pooler_shared->nclients; i++)
		n += pooler_worker_clients[i].console != NULL;
	return n;
}

/* What a pool has of its own, or the server's. */
static int
setting_of(int pool, PoolerPoolSetting setting)
{
	if (pool >= 0 && pooler_pools[pool].in_use)
		return (int) pooler_pool_setting(&pooler_pools[pool].overrides, setting);
	return (int) pooler_pool_setting_here(setting);
}

static const char *
pool_mode_name(int pool)
{
	switch ((PoolerPoolMode) setting_of(pool, POOLER_POOL_MODE))
	{
		case POOLER_MODE_SESSION:
			return "session";
		case POOLER_MODE_STATEMENT:
			return "statement";
		case POOLER_MODE_TRANSACTION:
			break;
	}
	return "transaction";
}

/*---------------------------------------------------------------------------
 * POOLS
 *---------------------------------------------------------------------------
 */

static const ConsoleColumn pools_columns[] = {
	{"database", 's'}, {"user", 's'}, {"cl_active", 'i'}, {"cl_waiting", 'i'},
	{"cl_active_cancel_req", 'i'}, {"cl_waiting_cancel_req", 'i'},
	{"sv_active", 'i'}, {"sv_active_cancel", 'i'}, {"sv_being_canceled", 'i'},
	{"sv_idle", 'i'}, {"sv_used", 'i'}, {"sv_tested", 'i'}, {"sv_login", 'i'},
	{"maxwait", 'i'}, {"maxwait_us", 'i'}, {"pool_mode", 's'},
	{"load_balance_hosts", 's'}
};

/* The console is a pool of its own in PgBouncer. */
static bool
begin_pools(ConsoleCursor *cursor)
{
	Group	   *console;

	make_groups(cursor, BY_POOL, false);
	console = (Group *) cursor->data + cursor->count++;
	memset(console, 0, sizeof(*console));
	strcpy(console->key.database, "pgbouncer");
	strcpy(console->key.role, "pgbouncer");
	console->pool = -1;
	console->clients = count_consoles();
	qsort(cursor->data, cursor->count, sizeof(Group), by_key);
	return true;
}

static bool
next_pools(ConsoleCursor *cursor, ConsoleRow *row)
{
	const Group *group = next_group(cursor);
	uint64		wait = 0;

	if (group == NULL)
		return false;
	if (group->first_queued_at != 0 && pooler_worker.now > group->first_queued_at)
		wait = pooler_worker.now - group->first_queued_at;
	pooler_row_text(row, group->key.database);
	pooler_row_text(row, group->key.role);
	pooler_row_number(row, group->clients);
	pooler_row_number(row, group->waiting);
	pooler_row_zeros(row, 2);
	pooler_row_number(row, group->active);
	pooler_row_zeros(row, 2);
	pooler_row_number(row, group->idle);
	pooler_row_zeros(row, 2);
	pooler_row_number(row, group->starting);
	pooler_row_number(row, wait / USECS_PER_SEC);
	pooler_row_number(row, wait % USECS_PER_SEC);
	pooler_row_text(row, group->pool < 0 ? "statement" : pool_mode_name(group->pool));
	pooler_row_text(row, NULL);
	return true;
}

/*---------------------------------------------------------------------------
 * DATABASES
 *---------------------------------------------------------------------------
 */

static const ConsoleColumn databases_columns[] = {
	{"name", 's'}, {"host", 's'}, {"port", 'i'}, {"database", 's'},
	{"force_user", 's'}, {"pool_size", 'i'}, {"min_pool_size", 'i'},
	{"reserve_pool_size", 'i'}, {"server_lifetime", 'i'}, {"pool_mode", 's'},
	{"load_balance_hosts", 's'}, {"max_connections", 'i'},
	{"current_connections", 'i'}, {"max_client_connections", 'i'},
	{"current_client_connections", 'i'}, {"paused", 'i'}, {"disabled", 'i'}
};

/*
 * All that clients may connect to, whether they have a pool or not: one that
 * is called as the console can't be reached.
 */
static bool
begin_databases(ConsoleCursor *cursor)
{
	PoolerRole	nobody = {.superuser = true};	/* rights do not matter */
	ConsoleCursor pools = *cursor;
	List	   *databases;
	ListCell   *cell;
	Group	   *rows;

	if (!pooler_catalog_try_lock())
		return false;
	make_groups(&pools, BY_DATABASE, false);
	databases = pooler_catalog_databases(&nobody);
	rows = MemoryContextAllocZero(cursor->cxt,
								  sizeof(Group) * (list_length(databases) + 1));
	foreach(cell, databases)
	{
		const PoolerDatabase *database = lfirst(cell);
		Group	   *group = &rows[cursor->count];

		if (!database->allows_connections || database->invalid ||
			strcmp(NameStr(database->name), "pgbouncer") == 0)
			continue;
		cursor->count++;
		group->pool = -1;
		for (int i = 0; i < pools.count; i++)
		{
			if (((Group *) pools.data)[i].dbid == database->oid)
				*group = ((Group *) pools.data)[i];
		}
		group->dbid = database->oid;
		strlcpy(group->key.database, NameStr(database->name), NAMEDATALEN);
	}
	strcpy(rows[cursor->count].key.database, "pgbouncer");
	rows[cursor->count].clients = count_consoles();
	rows[cursor->count++].pool = -1;
	cursor->data = rows;
	qsort(cursor->data, cursor->count, sizeof(Group), by_key);
	return true;
}

static bool
next_databases(ConsoleCursor *cursor, ConsoleRow *row)
{
	const Group *group = next_group(cursor);
	bool		console;
	int			pool;

	if (group == NULL)
		return false;
	console = !OidIsValid(group->dbid);
	pool = group->pool;
	pooler_row_text(row, group->key.database);
	pooler_row_text(row, NULL);
	pooler_row_number(row, console ? pooler_shared->port : PostPortNumber);
	pooler_row_text(row, group->key.database);
	pooler_row_text(row, console ? "pgbouncer" : NULL);
	pooler_row_number(row, console ? 0 : setting_of(pool, POOLER_DEFAULT_POOL_SIZE));
	pooler_row_number(row, console ? 0 : setting_of(pool, POOLER_MIN_POOL_SIZE));
	pooler_row_number(row, console ? 0 : setting_of(pool, POOLER_RESERVE_POOL_SIZE));
	pooler_row_number(row, console ? 0 : setting_of(pool, POOLER_SERVER_LIFETIME));
	pooler_row_text(row, console ? "statement" : NULL);
	pooler_row_text(row, NULL);
	pooler_row_number(row, console ? 0 : setting_of(pool, POOLER_MAX_DB_CONNECTIONS));
	pooler_row_number(row, group->active + group->idle + group->starting);
	pooler_row_number(row, console ? 0 : setting_of(pool, POOLER_MAX_DB_CLIENT_CONNECTIONS));
	pooler_row_number(row, group->clients + group->waiting);
	pooler_row_number(row, !console && (pooler_admin_paused(group->dbid) ||
										pooler_admin_paused(InvalidOid)));
	pooler_row_number(row, !console && !pooler_admin_enabled(group->dbid));
	return true;
}

/*---------------------------------------------------------------------------
 * USERS
 *---------------------------------------------------------------------------
 */

static const ConsoleColumn users_columns[] = {
	{"name", 's'}, {"pool_size", 's'}, {"reserve_pool_size", 's'},
	{"pool_mode", 's'}, {"max_user_connections", 'i'},
	{"current_connections", 'i'}, {"max_user_client_connections", 'i'},
	{"current_client_connections", 'i'}
};

static bool
begin_users(ConsoleCursor *cursor)
{
	make_groups(cursor, BY_ROLE, false);
	return true;
}

static bool
next_users(ConsoleCursor *cursor, ConsoleRow *row)
{
	const Group *group = next_group(cursor);

	if (group == NULL)
		return false;
	pooler_row_text(row, group->key.role);
	pooler_row_text(row, "");
	pooler_row_text(row, "");
	pooler_row_text(row, NULL);
	pooler_row_number(row, setting_of(group->pool, POOLER_MAX_USER_CONNECTIONS));
	pooler_row_number(row, group->active + group->idle + group->starting);
	pooler_row_number(row, setting_of(group->pool, POOLER_MAX_USER_CLIENT_CONNECTIONS));
	pooler_row_number(row, group->clients + group->waiting);
	return true;
}

/*---------------------------------------------------------------------------
 * what PgBouncer counts
 *---------------------------------------------------------------------------
 */

/* In the order of its columns; times in microseconds. */
typedef enum Measure
{
	SERVER_ASSIGNMENTS,
	TRANSACTIONS,
	QUERIES,
	RECEIVED,
	SENT,
	TRANSACTION_TIME,
	QUERY_TIME,
	WAIT_TIME,
	CLIENT_PARSES,
	SERVER_PARSES,
	BINDS,
	CLIENT_LOGINS,
	NMEASURES
} Measure;

typedef struct Measures
{
	uint64		value[NMEASURES];
} Measures;

static Measures
measure(const PoolerCounters *counters)
{
	Measures	m = {{0}};

	/* a client that finds its backend still attached has it assigned anew */
	m.value[SERVER_ASSIGNMENTS] = counters->handovers + counters->lingered;
	m.value[TRANSACTIONS] = counters->transactions;
	m.value[QUERIES] = counters->queries;
	m.value[RECEIVED] = counters->bytes_received;
	m.value[SENT] = counters->bytes_sent;
	m.value[QUERY_TIME] = counters->query_us;
	/* each is carried out by a backend, whether it can be shared or not */
	m.value[CLIENT_PARSES] = m.value[SERVER_PARSES] = counters->parses;
	m.value[BINDS] = counters->binds;
	m.value[TRANSACTION_TIME] = counters->transaction_us;
	m.value[WAIT_TIME] = counters->wait_us;
	m.value[CLIENT_LOGINS] = counters->logins;
	return m;
}

/* Times are those of one transaction, query or assignment, all else is per second. */
static Measures
averages(const PoolerCounters *now, const PoolerCounters *before)
{
	Measures	late = measure(now);
	Measures	early = measure(before);
	Measures	avg = {{0}};
	Measures	diff;
	TimestampTz passed = pooler_worker.now - pooler_averages_since();

	if (passed <= 0)
		return avg;
	for (int i = 0; i < NMEASURES; i++)
	{
		diff.value[i] = late.value[i] > early.value[i] ?
			late.value[i] - early.value[i] : 0;
		avg.value[i] = (uint64) ((double) diff.value[i] * USECS_PER_SEC / passed);
	}
	avg.value[TRANSACTION_TIME] = diff.value[TRANSACTION_TIME] /
		Max(diff.value[TRANSACTIONS], 1);
	avg.value[QUERY_TIME] = diff.value[QUERY_TIME] / Max(diff.value[QUERIES], 1);
	avg.value[WAIT_TIME] = diff.value[WAIT_TIME] /
		Max(diff.value[SERVER_ASSIGNMENTS], 1);
	return avg;
}

static void
add_measures(ConsoleRow *row, Measures m)
{
	for (int i = 0; i < NMEASURES; i++)
		pooler_row_number(row, m.value[i]);
}

static bool
begin_stats(ConsoleCursor *cursor)
{
	make_groups(cursor, BY_DATABASE, true);
	return true;
}

static bool
stats_row(ConsoleCursor *cursor, ConsoleRow *row, bool totals, bool rates)
{
	const Group *group = next_group(cursor);

	if (group == NULL)
		return false;
	pooler_row_text(row, group->key.database);
	if (totals)
		add_measures(row, measure(&group->now));
	if (rates)
		add_measures(row, averages(&group->now, &group->before));
	return true;
}

static bool
next_stats(ConsoleCursor *cursor, ConsoleRow *row)
{
	return stats_row(cursor, row, true, true);
}

static bool
next_stats_totals(ConsoleCursor *cursor, ConsoleRow *row)
{
	return stats_row(cursor, row, true, false);
}

static bool
next_stats_averages(ConsoleCursor *cursor, ConsoleRow *row)
{
	return stats_row(cursor, row, false, true);
}

static const ConsoleColumn stats_columns[] = {
	{"database", 's'},
	{"total_server_assignment_count", 'N'}, {"total_xact_count", 'N'},
	{"total_query_count", 'N'}, {"total_received", 'N'}, {"total_sent", 'N'},
	{"total_xact_time", 'N'}, {"total_query_time", 'N'},
	{"total_wait_time", 'N'}, {"total_client_parse_count", 'N'},
	{"total_server_parse_count", 'N'}, {"total_bind_count", 'N'},
	{"total_client_login_count", 'N'},
	{"avg_server_assignment_count", 'N'}, {"avg_xact_count", 'N'},
	{"avg_query_count", 'N'}, {"avg_recv", 'N'}, {"avg_sent", 'N'},
	{"avg_xact_time", 'N'}, {"avg_query_time", 'N'}, {"avg_wait_time", 'N'},
	{"avg_client_parse_count", 'N'}, {"avg_server_parse_count", 'N'},
	{"avg_bind_count", 'N'}, {"avg_client_login_count", 'N'}
};

static const ConsoleColumn stats_totals_columns[] = {
	{"database", 's'},
	{"server_assignment_count", 'N'}, {"xact_count", 'N'}, {"query_count", 'N'},
	{"bytes_received", 'N'}, {"bytes_sent", 'N'}, {"xact_time", 'N'},
	{"query_time", 'N'}, {"wait_time", 'N'}, {"client_parse_count", 'N'},
	{"server_parse_count", 'N'}, {"bind_count", 'N'}, {"client_login_count", 'N'}
};

static const ConsoleColumn stats_averages_columns[] = {
	{"database", 's'},
	{"server_assignment_count", 'N'}, {"xact_count", 'N'}, {"query_count", 'N'},
	{"bytes_received", 'N'}, {"bytes_sent", 'N'}, {"xact_time", 'N'},
	{"query_time", 'N'}, {"wait_time", 'N'}, {"avg_client_parse_count", 'N'},
	{"avg_server_parse_count", 'N'}, {"avg_bind_count", 'N'},
	{"avg_client_login_count", 'N'}
};

/*---------------------------------------------------------------------------
 * TOTALS
 *---------------------------------------------------------------------------
 */

static const ConsoleColumn totals_columns[] = {
	{"name", 's'}, {"value", 'N'}
};

static const char *const totals_names[NMEASURES] = {
	[SERVER_ASSIGNMENTS] = "server_assignment_count",
	[TRANSACTIONS] = "xact_count",
	[QUERIES] = "query_count",
	[RECEIVED] = "client_bytes",
	[SENT] = "server_bytes",
	[TRANSACTION_TIME] = "xact_time",
	[QUERY_TIME] = "query_time",
	[WAIT_TIME] = "wait_time",
	[CLIENT_PARSES] = "ps_client_parse_count",
	[SERVER_PARSES] = "ps_server_parse_count",
	[BINDS] = "ps_bind_count",
	[CLIENT_LOGINS] = "client_login_count",
};

static bool
begin_totals(ConsoleCursor *cursor)
{
	PoolerCounters now;
	PoolerCounters before;
	Measures   *both = MemoryContextAlloc(cursor->cxt, 2 * sizeof(Measures));

	pooler_averages_all(&now);
	pooler_averages_all_before(&before);
	both[0] = measure(&now);
	both[1] = averages(&now, &before);
	cursor->data = both;
	return true;
}

static bool
next_totals(ConsoleCursor *cursor, ConsoleRow *row)
{
	int			at = (int) cursor->at++;
	bool		rate = at >= NMEASURES;
	const Measures *m = (const Measures *) cursor->data + rate;

	if (at >= 2 * NMEASURES)
		return false;
	pooler_row_text(row, psprintf("%s_%s", rate ? "avg" : "total",
								  totals_names[at % NMEASURES]));
	pooler_row_number(row, m->value[at % NMEASURES]);
	return true;
}

#define SHOW_OF(columns, begin, next) \
	{columns, lengthof(columns), begin, next}

const ConsoleShow pooler_show_pools = SHOW_OF(pools_columns, begin_pools, next_pools);
const ConsoleShow pooler_show_databases = SHOW_OF(databases_columns, begin_databases, next_databases);
const ConsoleShow pooler_show_users = SHOW_OF(users_columns, begin_users, next_users);
const ConsoleShow pooler_show_stats = SHOW_OF(stats_columns, begin_stats, next_stats);
const ConsoleShow pooler_show_stats_totals = SHOW_OF(stats_totals_columns, begin_stats, next_stats_totals);
const ConsoleShow pooler_show_stats_averages = SHOW_OF(stats_averages_columns, begin_stats, next_stats_averages);
const ConsoleShow pooler_show_totals = SHOW_OF(totals_columns, begin_totals, next_totals);
