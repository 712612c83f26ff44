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
#include "shared/leak.h"
#include "shared/pin.h"
#include "shared/snapshot.h"
#include "shared/text.h"
#include "utils/json.h"

#define MAX_POOLS		500
#define MAX_WAITING		100

/*---------------------------------------------------------------------------
 * values
 *---------------------------------------------------------------------------
 */

/*
 * Each begins with what separates it from the one before: nothing after a
 * bracket.
 */
static void
name(StringInfo buf, const char *key)
{
	char		last = buf->len > 0 ? buf->data[buf->len - 1] : '{';

	if (last != '{' && last != '[')
		appendStringInfoChar(buf, ',');
	if (key != NULL)
		appendStringInfo(buf, "\"%s\":", key);
}

static void
open_object(StringInfo buf, const char *key)
{
	name(buf, key);
	appendStringInfoChar(buf, '{');
}

static void
open_array(StringInfo buf, const char *key)
{
	name(buf, key);
	appendStringInfoChar(buf, '[');
}

static void
string(StringInfo buf, const char *key, const char *value)
{
	char	   *copy = pstrdup(value);

	pooler_make_valid_text(copy, PG_UTF8);
	name(buf, key);
	escape_json(buf, copy);
	pfree(copy);
}

static void
nothing(StringInfo buf, const char *key)
{
	name(buf, key);
	appendStringInfoString(buf, "null");
}

static void
string_or_null(StringInfo buf, const char *key, const char *value)
{
	if (value != NULL && value[0] != '\0')
		string(buf, key, value);
	else
		nothing(buf, key);
}

static void
boolean(StringInfo buf, const char *key, bool value)
{
	name(buf, key);
	appendStringInfoString(buf, value ? "true" : "false");
}

static void
number(StringInfo buf, const char *key, uint64 value)
{
	name(buf, key);
	appendStringInfo(buf, UINT64_FORMAT, value);
}

/* Microseconds as milliseconds. */
static void
milliseconds(StringInfo buf, const char *key, uint64 us)
{
	name(buf, key);
	appendStringInfo(buf, UINT64_FORMAT ".%03u", us / 1000, (unsigned) (us % 1000));
}

/* Since 1970. */
static void
moment(StringInfo buf, const char *key, TimestampTz time)
{
	uint64		us = (uint64) (time + (TimestampTz) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) *
							   USECS_PER_DAY);

	name(buf, key);
	appendStringInfo(buf, UINT64_FORMAT ".%06u", us / USECS_PER_SEC,
					 (unsigned) (us % USECS_PER_SEC));
}

static void
address(StringInfo buf, const char *key, const SockAddr *addr)
{
	char		host[NI_MAXHOST];
	char		port[NI_MAXSERV];

	if (addr->addr.ss_family == AF_UNIX)
		string(buf, key, "local");
	else if ((addr->addr.ss_family == AF_INET || addr->addr.ss_family == AF_INET6) &&
			 pg_getnameinfo_all(&addr->addr, addr->salen, host, sizeof(host),
								port, sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV) == 0)
		string(buf, key, psprintf(addr->addr.ss_family == AF_INET ? "%s:%s" : "[%s]:%s",
								  host, port));
	else
		nothing(buf, key);
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
put_status(StringInfo buf)
{
	bool		running = pooler_shared->worker_pid != 0;

	open_object(buf, "status");
	boolean(buf, "running", running);
	string_or_null(buf, "state", running ? pooler_state_name() : NULL);
	if (running)
		moment(buf, "started", pooler_shared->worker_started_at);
	else
		nothing(buf, "started");
	number(buf, "starts", ((uint64) pg_atomic_read_u32(&pooler_shared->epoch) + 1) / 2);
	if (running && pooler_shared->port != 0)
		number(buf, "port", pooler_shared->port);
	else
		nothing(buf, "port");
	number(buf, "clients", pooler_count_client_slots());
	number(buf, "max_clients", pooler_shared->max_clients);
	number(buf, "backends", pooler_count_backend_slots());
	number(buf, "max_backends", pooler_max_backends_in_force());
	appendStringInfoChar(buf, '}');
}

static void
put_totals(StringInfo buf)
{
	PoolerCounters total;

	pooler_snapshot_totals(&total, NULL);
	open_object(buf, "totals");
	for (int i = 0; i < pooler_stats_count; i++)
	{
		const PoolerStat *stat = &pooler_stats[i];
		const void *counters = &total;

		if (stat->scope == POOLER_STAT_WORKER)
			counters = &pooler_shared->counters;
		number(buf, stat->name, *(const uint64 *) ((const char *) counters + stat->offset));
	}
	appendStringInfoChar(buf, '}');
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
put_counts(StringInfo buf, const PoolerPoolCount *count)
{
	open_object(buf, "backends");
	number(buf, "starting", count->backends_starting);
	number(buf, "free", count->backends_free);
	number(buf, "lingering", count->backends_lingering);
	number(buf, "pinned", count->backends_pinned);
	number(buf, "busy", count->backends_busy);
	number(buf, "ending", count->backends_ending);
	appendStringInfoChar(buf, '}');
	open_object(buf, "clients");
	number(buf, "idle", count->clients_idle);
	number(buf, "waiting", count->clients_waiting);
	number(buf, "active", count->clients_active);
	appendStringInfoChar(buf, '}');
}

static void
put_pool(StringInfo buf, const PoolRow *row, TimestampTz now)
{
	const PoolerPoolCount *count = row->count;
	PoolerPoolSnapshot snap;
	PoolerCounters counters;

	open_object(buf, NULL);
	string(buf, "database", row->snap.database);
	string(buf, "role", row->snap.role);
	number(buf, "size", row->snap.size);
	boolean(buf, "paused", row->snap.paused);
	boolean(buf, "dedicated", row->snap.dedicated);
	name(buf, "utilisation");
	if (row->snap.size > 0)
		appendStringInfo(buf, "%.4f", (double) (count->backends_pinned + count->backends_busy) /
						 row->snap.size);
	else
		appendStringInfoString(buf, "null");
	put_counts(buf, count);
	if (count->first_queued_at != 0)
		milliseconds(buf, "longest_wait_ms", time_since(count->first_queued_at, now));
	else
		nothing(buf, "longest_wait_ms");
	if (row->snap.counted && pooler_snapshot_pool(row->slot, &snap, &counters))
		number(buf, "transactions", counters.transactions);
	else
		nothing(buf, "transactions");
	appendStringInfoChar(buf, '}');
}

static void
put_pools(StringInfo buf, TimestampTz now)
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
	open_array(buf, "pools");
	for (int i = 0; i < Min(nrows, MAX_POOLS); i++)
		put_pool(buf, &rows[i], now);
	appendStringInfoChar(buf, ']');
	number(buf, "pools_left_out", Max(0, nrows - MAX_POOLS));
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
put_waiting_client(StringInfo buf, const PoolerClientSnapshot *snap, TimestampTz now)
{
	open_object(buf, NULL);
	number(buf, "id", snap->id);
	string(buf, "database", snap->database);
	string(buf, "role", snap->role);
	string(buf, "application", snap->application_name);
	address(buf, "address", &snap->raddr);
	milliseconds(buf, "waits_ms", time_since(snap->queued_at, now));
	appendStringInfoChar(buf, '}');
}

static void
put_waiting(StringInfo buf, TimestampTz now)
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
	open_array(buf, "waiting");
	for (int i = 0; i < n && shown < MAX_WAITING; i++)
	{
		PoolerClientSnapshot snap;

		if (!waits(all[i].slot, &snap))
			continue;			/* not any more */
		put_waiting_client(buf, &snap, now);
		shown++;
	}
	appendStringInfoChar(buf, ']');
	number(buf, "waiting_left_out", n > MAX_WAITING ? n - shown : 0);
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
put_times(StringInfo buf, const char *key, const PoolerSampleTimes *times)
{
	if (times->count == 0)
	{
		nothing(buf, key);
		return;
	}
	open_object(buf, key);
	milliseconds(buf, "p50", times->p50);
	milliseconds(buf, "p90", times->p90);
	milliseconds(buf, "p95", times->p95);
	milliseconds(buf, "p99", times->p99);
	milliseconds(buf, "max", times->max);
	appendStringInfoChar(buf, '}');
}

static void
put_sample(StringInfo buf, const PoolerSample *sample)
{
	open_object(buf, NULL);
	moment(buf, "t", sample->at);
	name(buf, "seconds");
	appendStringInfo(buf, "%.3f", sample->us / 1e6);
	number(buf, "transactions", sample->transactions);
	number(buf, "queries", sample->queries);
	number(buf, "errors", sample->errors);
	number(buf, "waits", sample->waits);
	number(buf, "logins", sample->logins);
	number(buf, "failed_logins", sample->failed_logins);
	for (int i = 0; i < POOLER_NTIMES; i++)
		put_times(buf, time_names[i], &sample->times[i]);
	appendStringInfoChar(buf, '}');
}

static void
put_latency(StringInfo buf)
{
	open_object(buf, "latency");
	number(buf, "interval_s", POOLER_SAMPLE_MS / 1000);
	open_array(buf, "samples");
	for (int i = 0; i < pooler_http_series_count(); i++)
		put_sample(buf, pooler_http_series_sample(i));
	appendStringInfoString(buf, "]}");
}

/*---------------------------------------------------------------------------
 * leaks
 *---------------------------------------------------------------------------
 */

/* As text: JSON's numbers are not so exact everywhere. */
static void
query_id(StringInfo buf, const char *key, uint64 id)
{
	if (id == 0)
		nothing(buf, key);
	else
		string(buf, key, psprintf(INT64_FORMAT, (int64) id));
}

static void
put_leak_holder(StringInfo buf, const PoolerLeak *leak)
{
	if (leak->client_id != 0)
		number(buf, "client", leak->client_id);
	else
		nothing(buf, "client");
	if (leak->pid != 0)
		number(buf, "pid", leak->pid);
	else
		nothing(buf, "pid");
	string(buf, "database", leak->database);
	string(buf, "role", leak->role);
	string(buf, "application", leak->application_name);
	address(buf, "address", &leak->raddr);
}

static void
put_leak_evidence(StringInfo buf, const PoolerLeak *leak)
{
	bool		show = pooler_http_show_queries;

	string_or_null(buf, "pin", pooler_pin_name(leak->pin));
	if (leak->xmin_age >= 0)
		number(buf, "xmin_age", leak->xmin_age);
	else
		nothing(buf, "xmin_age");
	string(buf, "locks", leak->locks);
	number(buf, "cursors", leak->held.cursors);
	string(buf, "cursor_names", leak->held.cursor_names);
	number(buf, "advisory_locks", leak->held.locks);
	number(buf, "temp_objects", leak->held.temp_objects);
	number(buf, "temp_bytes", leak->held.temp_bytes);
	query_id(buf, "first_query_id", leak->first_query_id);
	query_id(buf, "last_query_id", leak->last_query_id);
	string_or_null(buf, "first_query", show ? leak->first_query : NULL);
	string_or_null(buf, "last_query", show ? leak->last_query : NULL);
}

static void
put_leak(StringInfo buf, const PoolerLeak *leak, TimestampTz now)
{
	char		limit[64];

	pooler_leak_print_limit(leak->kind, leak->limit, limit, sizeof(limit));
	open_object(buf, NULL);
	number(buf, "id", leak->id);
	string(buf, "kind", pooler_leak_kind_name(leak->kind));
	string(buf, "severity", pooler_leak_severity_name(leak->severity));
	string(buf, "action", pooler_leak_action_name(leak->action));
	put_leak_holder(buf, leak);
	moment(buf, "held_since", leak->held_since);
	milliseconds(buf, "held_ms", time_since(leak->held_since, now));
	string(buf, "limit", limit);
	if (pooler_leak_is_timed(leak->kind))
		nothing(buf, "amount");
	else
		number(buf, "amount", leak->amount);
	number(buf, "waiting", leak->waiting);
	number(buf, "max_waiting", leak->max_waiting);
	put_leak_evidence(buf, leak);
	appendStringInfoChar(buf, '}');
}

static void
put_leaks(StringInfo buf, TimestampTz now)
{
	PoolerLeak	leak;

	open_array(buf, "leaks");
	for (int i = 0; i < POOLER_MAX_LEAKS; i++)
	{
		if (pooler_leak_read(&pooler_leaks->current[i], &leak))
			put_leak(buf, &leak, now);
	}
	appendStringInfoChar(buf, ']');
	number(buf, "leaks_left_out", pg_atomic_read_u32(&pooler_leaks->nleft_out));
}

/*---------------------------------------------------------------------------
 * all of it
 *---------------------------------------------------------------------------
 */

int
pooler_http_status(StringInfo buf)
{
	TimestampTz now = GetCurrentTimestamp();

	appendStringInfoChar(buf, '{');
	string(buf, "version", POOLER_VERSION);
	string(buf, "postgres", PG_VERSION);
	moment(buf, "now", now);
	boolean(buf, "queries_shown", pooler_http_show_queries);
	name(buf, "health");
	(void) pooler_health_report(buf, PG_UTF8, NULL);
	put_status(buf);
	put_totals(buf);
	put_pools(buf, now);
	put_waiting(buf, now);
	put_latency(buf);
	put_leaks(buf, now);
	appendStringInfoString(buf, "}\n");
	return 200;
}

int
pooler_http_health(StringInfo buf)
{
	PoolerHealthStatus status = pooler_health_report(buf, PG_UTF8, NULL);

	appendStringInfoChar(buf, '\n');
	return pooler_health_http_code(status);
}
