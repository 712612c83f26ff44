/*-------------------------------------------------------------------------
 *
 * status.c
 *	  /status.json: what the page shows.
 *
 * Runs in: the HTTP worker.  One object; times are in seconds since 1970 (now,
 * started, t) or in milliseconds (*_ms), numbers are never NaN, and what is not
 * known is null.  Texts are valid UTF-8, whatever clients have chosen as names.
 *
 *	{
 *	  "version": "1.0", "postgres": "15.18",
 *	  "now": 1763738354.123,
 *	  "queries_shown": false,				pooler.http_show_queries
 *	  "health": { as /health },
 *	  "status": {							as pooler.status
 *		"running": true, "state": "active" | "paused" | "suspended" | "closed" | null,
 *		"started": 1763738000.0 | null, "starts": 1, "port": 6432 | null,
 *		"clients": 5, "max_clients": 1000, "backends": 3, "max_backends": 80
 *	  },
 *	  "totals": { "transactions": 1, ... each counter by its name in the table of
 *				  shared/stats.c and its unit },
 *	  "pools": [							as pooler.pools, 500 of them, those with
 *											clients that wait or work first
 *		{ "database": "app", "role": "app", "size": 20, "paused": false,
 *		  "dedicated": false,				to one client
 *		  "utilisation": 0.25 | null,		(pinned + busy) / size
 *		  "backends": { "starting": 0, "free": 1, "lingering": 0, "pinned": 0,
 *						"busy": 5, "ending": 0 },
 *		  "clients": { "idle": 1, "waiting": 2, "active": 5 },
 *		  "longest_wait_ms": 1.5 | null,
 *		  "transactions": 17 | null }		counted so far; null: not by itself
 *	  ],
 *	  "pools_left_out": 0,
 *	  "waiting": [							the longest first, 100 of them
 *		{ "id": 17, "database": "app", "role": "app",
 *		  "application": "web", "address": "192.0.2.1:4711" | "local" | null,
 *		  "waits_ms": 12.5 }
 *	  ],
 *	  "waiting_left_out": 0,
 *	  "latency": {							all pools together
 *		"interval_s": 5,
 *		"samples": [						the oldest first; up to 120 of them
 *		  { "t": 1763738350.0, "seconds": 5.0,	the end, and how long it took
 *			"transactions": 17, "queries": 17, "errors": 0, "waits": 1,
 *			"logins": 1, "failed_logins": 0,	within it
 *			"wait_ms": { "p50": 1.0, "p90": 1.0, "p95": 1.0, "p99": 1.0, "max": 1.0 } | null,
 *			"transaction_ms": { the same } | null,	null: there were none
 *			"login_ms": { the same } | null }
 *		]
 *	  },
 *	  "leaks": [							as pooler.leaks; in no order
 *		{ "id": 1, "kind": "idle_in_transaction",
 *		  "severity": "info" | "warning" | "critical",
 *		  "action": "log" | "cancel" | "terminate",
 *		  "client": 17 | null, "pid": 4711 | null,	null: several clients; no backend
 *		  "database": "app", "role": "app", "application": "web",
 *		  "address": "192.0.2.1:4711" | "local" | null,
 *		  "held_since": 1763738000.0, "held_ms": 354123.0,
 *		  "limit": "60 s", "amount": 5 | null,	of what is counted
 *		  "waiting": 3, "max_waiting": 4,	clients of its pool
 *		  "pin": "locks" | null, "xmin_age": 12 | null,
 *		  "locks": "...", "cursors": 0, "cursor_names": "...",
 *		  "advisory_locks": 0, "temp_objects": 0, "temp_bytes": 0,
 *		  "first_query_id": "-123" | null, "last_query_id": "123" | null,
 *		  "first_query": "select 1" | null,	null also if queries are not shown
 *		  "last_query": "select 1" | null }
 *	  ],
 *	  "leaks_left_out": 0
 *	}
 *
 *-------------------------------------------------------------------------
 */
#include "metrics/internal.h"

#include "common/ip.h"
#include "shared/guc.h"
#include "shared/health.h"
#include "shared/json.h"
#include "shared/leak.h"
#include "shared/pin.h"
#include "shared/snapshot.h"

#define MAX_POOLS		500
#define MAX_WAITING		100

/*---------------------------------------------------------------------------
 * values
 *---------------------------------------------------------------------------
 */

static void
string_or_null(const PoolerJson *json, const char *key, const char *value)
{
	pooler_json_string(json, key, value != NULL && value[0] != '\0' ? value : NULL);
}

/* Microseconds as milliseconds. */
static void
milliseconds(const PoolerJson *json, const char *key, uint64 us)
{
	pooler_json_number(json, key, us / 1e3);
}

/* In seconds since 1970. */
static void
moment(const PoolerJson *json, const char *key, TimestampTz time)
{
	pooler_json_number(json, key, time / 1e6 +
					   (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * (double) SECS_PER_DAY);
}

static void
address(const PoolerJson *json, const char *key, const SockAddr *addr)
{
	char		host[NI_MAXHOST];
	char		port[NI_MAXSERV];

	if (addr->addr.ss_family == AF_UNIX)
		pooler_json_string(json, key, "local");
	else if ((addr->addr.ss_family == AF_INET || addr->addr.ss_family == AF_INET6) &&
			 pg_getnameinfo_all(&addr->addr, addr->salen, host, sizeof(host),
								port, sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV) == 0)
		pooler_json_string(json, key, psprintf(addr->addr.ss_family == AF_INET ? "%s:%s" : "[%s]:%s",
											   host, port));
	else
		pooler_json_null(json, key);
}

static uint64
time_since(TimestampTz since, TimestampTz now)
{
	return since < now ? (uint64) (now - since) : 0;
}

/*---------------------------------------------------------------------------
 * the pooler
 *---------------------------------------------------------------------------
 */

static void
put_status(const PoolerJson *json)
{
	bool		running = pooler_shared->worker_pid != 0;

	pooler_json_open_object(json, "status");
	pooler_json_bool(json, "running", running);
	string_or_null(json, "state", running ? pooler_state_name() : NULL);
	if (running)
		moment(json, "started", pooler_shared->worker_started_at);
	else
		pooler_json_null(json, "started");
	pooler_json_int(json, "starts", ((uint64) pg_atomic_read_u32(&pooler_shared->epoch) + 1) / 2);
	if (running && pooler_shared->port != 0)
		pooler_json_int(json, "port", pooler_shared->port);
	else
		pooler_json_null(json, "port");
	pooler_json_int(json, "clients", pooler_count_client_slots());
	pooler_json_int(json, "max_clients", pooler_shared->max_clients);
	pooler_json_int(json, "backends", pooler_count_backend_slots());
	pooler_json_int(json, "max_backends", pooler_max_backends_in_force());
	pooler_json_close_object(json);
}

static void
put_totals(const PoolerJson *json)
{
	PoolerCounters total;

	pooler_snapshot_totals(&total, NULL);
	pooler_json_open_object(json, "totals");
	for (int i = 0; i < pooler_stats_count; i++)
	{
		const PoolerStat *stat = &pooler_stats[i];
		const void *counters = &total;

		if (stat->scope == POOLER_STAT_WORKER)
			counters = &pooler_shared->counters;
		pooler_json_int(json, stat->name, *(const uint64 *) ((const char *) counters + stat->offset));
	}
	pooler_json_close_object(json);
}

/*---------------------------------------------------------------------------
 * pools
 *---------------------------------------------------------------------------
 */

typedef struct PoolRow
{
	int32		slot;
	PoolerPoolSnapshot snap;
	const PoolerPoolCount *count;
} PoolRow;

/* Those that matter first: not all may be shown. */
static int
compare_pools(const void *a, const void *b)
{
	const PoolRow *x = a;
	const PoolRow *y = b;
	int			busy_x = x->count->backends_busy + x->count->backends_pinned;
	int			busy_y = y->count->backends_busy + y->count->backends_pinned;

	if (x->count->clients_waiting != y->count->clients_waiting)
		return x->count->clients_waiting > y->count->clients_waiting ? -1 : 1;
	if (busy_x != busy_y)
		return busy_x > busy_y ? -1 : 1;
	return x->slot < y->slot ? -1 : 1;
}

static void
put_counts(const PoolerJson *json, const PoolerPoolCount *count)
{
	pooler_json_open_object(json, "backends");
	pooler_json_backends(json, count);
	pooler_json_close_object(json);
	pooler_json_open_object(json, "clients");
	pooler_json_clients(json, count);
	pooler_json_close_object(json);
}

static void
put_pool(const PoolerJson *json, const PoolRow *row, TimestampTz now)
{
	const PoolerPoolCount *count = row->count;
	PoolerPoolSnapshot snap;
	PoolerCounters counters;

	pooler_json_open_object(json, NULL);
	pooler_json_string(json, "database", row->snap.database);
	pooler_json_string(json, "role", row->snap.role);
	pooler_json_int(json, "size", row->snap.size);
	pooler_json_bool(json, "paused", row->snap.paused);
	pooler_json_bool(json, "dedicated", row->snap.dedicated);
	if (row->snap.size > 0)
		pooler_json_number(json, "utilisation",
						   (double) (count->backends_pinned + count->backends_busy) /
						   row->snap.size);
	else
		pooler_json_null(json, "utilisation");
	put_counts(json, count);
	if (count->first_queued_at != 0)
		milliseconds(json, "longest_wait_ms", time_since(count->first_queued_at, now));
	else
		pooler_json_null(json, "longest_wait_ms");
	if (row->snap.counted && pooler_snapshot_pool(row->slot, &snap, &counters))
		pooler_json_int(json, "transactions", counters.transactions);
	else
		pooler_json_null(json, "transactions");
	pooler_json_close_object(json);
}

static void
put_pools(const PoolerJson *json, TimestampTz now)
{
	PoolerPoolCount *counts = pooler_count_pools();
	PoolRow    *rows = NULL;
	int			nrows = 0;
	int			space = 0;

	for (int32 i = 0; i < pooler_shared->npools; i++)
	{
		PoolerPoolSnapshot snap;

		if (!pooler_snapshot_pool(i, &snap, NULL))
			continue;
		if (nrows == space)
		{
			space = Max(64, 2 * space);
			rows = rows ? repalloc_huge(rows, space * sizeof(PoolRow)) :
				palloc(space * sizeof(PoolRow));
		}
		rows[nrows].slot = i;
		rows[nrows].snap = snap;
		rows[nrows++].count = &counts[i];
	}
	if (nrows > 1)
		qsort(rows, nrows, sizeof(PoolRow), compare_pools);
	pooler_json_open_array(json, "pools");
	for (int i = 0; i < Min(nrows, MAX_POOLS); i++)
		put_pool(json, &rows[i], now);
	pooler_json_close_array(json);
	pooler_json_int(json, "pools_left_out", Max(0, nrows - MAX_POOLS));
}

/*---------------------------------------------------------------------------
 * clients that wait
 *---------------------------------------------------------------------------
 */

typedef struct Waiting
{
	int32		slot;
	TimestampTz since;
} Waiting;

static int
compare_waiting(const void *a, const void *b)
{
	const Waiting *x = a;
	const Waiting *y = b;

	if (x->since != y->since)
		return x->since < y->since ? -1 : 1;
	return x->slot < y->slot ? -1 : 1;
}

static bool
waits(int32 slot, PoolerClientSnapshot *snap)
{
	return pooler_client_word_state(pg_atomic_read_u64(&pooler_clients[slot].word)) ==
		POOLER_CLIENT_QUEUED &&
		pooler_snapshot_client(slot, snap) &&
		snap->activity == POOLER_ACTIVITY_WAITING;
}

static void
put_waiting_client(const PoolerJson *json, const PoolerClientSnapshot *snap, TimestampTz now)
{
	pooler_json_open_object(json, NULL);
	pooler_json_int(json, "id", snap->id);
	pooler_json_string(json, "database", snap->database);
	pooler_json_string(json, "role", snap->role);
	pooler_json_string(json, "application", snap->application_name);
	address(json, "address", &snap->raddr);
	milliseconds(json, "waits_ms", time_since(snap->queued_at, now));
	pooler_json_close_object(json);
}

static void
put_waiting(const PoolerJson *json, TimestampTz now)
{
	Waiting    *all = MemoryContextAllocHuge(CurrentMemoryContext,
											 pooler_shared->nclients * sizeof(Waiting));
	int			n = 0;
	int			shown = 0;

	for (int32 i = 0; i < pooler_shared->nclients; i++)
	{
		PoolerClientSnapshot snap;

		if (!waits(i, &snap))
			continue;
		all[n].slot = i;
		all[n++].since = snap.queued_at;
	}
	qsort(all, n, sizeof(Waiting), compare_waiting);
	pooler_json_open_array(json, "waiting");
	for (int i = 0; i < n && shown < MAX_WAITING; i++)
	{
		PoolerClientSnapshot snap;

		if (!waits(all[i].slot, &snap))
			continue;			/* not any more */
		put_waiting_client(json, &snap, now);
		shown++;
	}
	pooler_json_close_array(json);
	pooler_json_int(json, "waiting_left_out", n > MAX_WAITING ? n - shown : 0);
}

/*---------------------------------------------------------------------------
 * the last minutes
 *---------------------------------------------------------------------------
 */

static const char *const time_names[] = {
	[POOLER_TIME_WAIT] = "wait_ms",
	[POOLER_TIME_TRANSACTION] = "transaction_ms",
	[POOLER_TIME_LOGIN] = "login_ms",
};

StaticAssertDecl(lengthof(time_names) == POOLER_NTIMES,
				 "each kind of time needs a name");

static void
put_times(const PoolerJson *json, const char *key, const PoolerSampleTimes *times)
{
	if (times->count == 0)
	{
		pooler_json_null(json, key);
		return;
	}
	pooler_json_open_object(json, key);
	milliseconds(json, "p50", times->p50);
	milliseconds(json, "p90", times->p90);
	milliseconds(json, "p95", times->p95);
	milliseconds(json, "p99", times->p99);
	milliseconds(json, "max", times->max);
	pooler_json_close_object(json);
}

static void
put_sample(const PoolerJson *json, const PoolerSample *sample)
{
	pooler_json_open_object(json, NULL);
	moment(json, "t", sample->at);
	pooler_json_number(json, "seconds", sample->us / 1e6);
	pooler_json_int(json, "transactions", sample->transactions);
	pooler_json_int(json, "queries", sample->queries);
	pooler_json_int(json, "errors", sample->errors);
	pooler_json_int(json, "waits", sample->waits);
	pooler_json_int(json, "logins", sample->logins);
	pooler_json_int(json, "failed_logins", sample->failed_logins);
	for (int i = 0; i < POOLER_NTIMES; i++)
		put_times(json, time_names[i], &sample->times[i]);
	pooler_json_close_object(json);
}

static void
put_latency(const PoolerJson *json)
{
	pooler_json_open_object(json, "latency");
	pooler_json_int(json, "interval_s", POOLER_SAMPLE_MS / 1000);
	pooler_json_open_array(json, "samples");
	for (int i = 0; i < pooler_http_series_count(); i++)
		put_sample(json, pooler_http_series_sample(i));
	pooler_json_close_array(json);
	pooler_json_close_object(json);
}

/*---------------------------------------------------------------------------
 * leaks
 *---------------------------------------------------------------------------
 */

/* As text: JSON's numbers are not so exact everywhere. */
static void
query_id(const PoolerJson *json, const char *key, uint64 id)
{
	if (id == 0)
		pooler_json_null(json, key);
	else
		pooler_json_string(json, key, psprintf(INT64_FORMAT, (int64) id));
}

static void
put_leak_holder(const PoolerJson *json, const PoolerLeak *leak)
{
	if (leak->client_id != 0)
		pooler_json_int(json, "client", leak->client_id);
	else
		pooler_json_null(json, "client");
	if (leak->pid != 0)
		pooler_json_int(json, "pid", leak->pid);
	else
		pooler_json_null(json, "pid");
	pooler_json_string(json, "database", leak->database);
	pooler_json_string(json, "role", leak->role);
	pooler_json_string(json, "application", leak->application_name);
	address(json, "address", &leak->raddr);
}

static void
put_leak_evidence(const PoolerJson *json, const PoolerLeak *leak)
{
	bool		show = pooler_http_show_queries;

	string_or_null(json, "pin", pooler_pin_name(leak->pin));
	if (leak->xmin_age >= 0)
		pooler_json_int(json, "xmin_age", leak->xmin_age);
	else
		pooler_json_null(json, "xmin_age");
	pooler_json_string(json, "locks", leak->locks);
	pooler_json_int(json, "cursors", leak->held.cursors);
	pooler_json_string(json, "cursor_names", leak->held.cursor_names);
	pooler_json_int(json, "advisory_locks", leak->held.locks);
	pooler_json_int(json, "temp_objects", leak->held.temp_objects);
	pooler_json_int(json, "temp_bytes", leak->held.temp_bytes);
	query_id(json, "first_query_id", leak->first_query_id);
	query_id(json, "last_query_id", leak->last_query_id);
	string_or_null(json, "first_query", show ? leak->first_query : NULL);
	string_or_null(json, "last_query", show ? leak->last_query : NULL);
}

static void
put_leak(const PoolerJson *json, const PoolerLeak *leak, TimestampTz now)
{
	char		limit[64];

	pooler_leak_print_limit(leak->kind, leak->limit, limit, sizeof(limit));
	pooler_json_open_object(json, NULL);
	pooler_json_int(json, "id", leak->id);
	pooler_json_string(json, "kind", pooler_leak_kind_name(leak->kind));
	pooler_json_string(json, "severity", pooler_leak_severity_name(leak->severity));
	pooler_json_string(json, "action", pooler_leak_action_name(leak->action));
	put_leak_holder(json, leak);
	moment(json, "held_since", leak->held_since);
	milliseconds(json, "held_ms", time_since(leak->held_since, now));
	pooler_json_string(json, "limit", limit);
	if (pooler_leak_is_timed(leak->kind))
		pooler_json_null(json, "amount");
	else
		pooler_json_int(json, "amount", leak->amount);
	pooler_json_int(json, "waiting", leak->waiting);
	pooler_json_int(json, "max_waiting", leak->max_waiting);
	put_leak_evidence(json, leak);
	pooler_json_close_object(json);
}

static void
put_leaks(const PoolerJson *json, TimestampTz now)
{
	PoolerLeak	leak;

	pooler_json_open_array(json, "leaks");
	for (int i = 0; i < POOLER_MAX_LEAKS; i++)
	{
		if (pooler_leak_read(&pooler_leaks->current[i], &leak))
			put_leak(json, &leak, now);
	}
	pooler_json_close_array(json);
	pooler_json_int(json, "leaks_left_out", pg_atomic_read_u32(&pooler_leaks->nleft_out));
}

/*---------------------------------------------------------------------------
 * all of it
 *---------------------------------------------------------------------------
 */

int
pooler_http_status(StringInfo buf)
{
	PoolerJson	writer = {buf, PG_UTF8};
	const PoolerJson *json = &writer;
	TimestampTz now = GetCurrentTimestamp();

	pooler_json_open_object(json, NULL);
	pooler_json_string(json, "version", POOLER_VERSION);
	pooler_json_string(json, "postgres", PG_VERSION);
	moment(json, "now", now);
	pooler_json_bool(json, "queries_shown", pooler_http_show_queries);
	(void) pooler_health_report(json, "health", NULL);
	put_status(json);
	put_totals(json);
	put_pools(json, now);
	put_waiting(json, now);
	put_latency(json);
	put_leaks(json, now);
	pooler_json_close_object(json);
	appendStringInfoChar(buf, '\n');
	return 200;
}

int
pooler_http_health(StringInfo buf)
{
	PoolerJson	json = {buf, PG_UTF8};
	PoolerHealthStatus status = pooler_health_report(&json, NULL, NULL);

	appendStringInfoChar(buf, '\n');
	return pooler_health_http_code(status);
}
