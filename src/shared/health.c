/*-------------------------------------------------------------------------
 *
 * health.c
 *	  Collects what health_rules.c judges, and writes it down as JSON.
 *
 * Runs in: any process.  Reads snapshots, and nothing else; must not look at
 * catalogs, since the HTTP worker has no database, nor wait.
 *
 * The order is that of the collecting: first the counts over all slots, then
 * one pool after the other, each with its messages.  The JSON is made of parts,
 * because its first member is the verdict.
 *
 *-------------------------------------------------------------------------
 */
#include "shared/health.h"

#include "shared/hold.h"
#include "shared/leak.h"
#include "shared/pool_count.h"
#include "shared/snapshot.h"
#include "utils/timestamp.h"

#define VERSION		"1.0"

typedef struct Report
{
	TimestampTz now;
	PoolerHealthStatus status;
	PoolerJson	messages;		/* elements of the arrays */
	PoolerJson	details;

	int			clients[POOLER_NACTIVITIES];
	int			nclients;
	int			backends[POOLER_BACKEND_DEAD + 1];
	int			nbackends;		/* of pools */
	int			nlogins;		/* made for logins, in no pool */

	int			pools;
	int			pools_paused;
	int			pools_waiting;
	int			pools_full;
	Oid		   *databases;		/* of the pools */
	int			ndatabases;
	int			databases_paused;
	int			databases_disabled;
} Report;

/*---------------------------------------------------------------------------
 * messages
 *---------------------------------------------------------------------------
 */

/* What a message is about; an empty object: the pooler as a whole. */
typedef struct Object
{
	const char *database;		/* NULL: not known */
	const char *role;			/* NULL: all */
	Oid			dbid;			/* InvalidOid: not known */
} Object;

static void
add_object(const PoolerJson *to, const Object *object)
{
	pooler_json_open_object(to, "object");
	if (object->database != NULL)
		pooler_json_string(to, "database", object->database);
	if (object->role != NULL)
		pooler_json_string(to, "role", object->role);
	if (OidIsValid(object->dbid))
		pooler_json_int(to, "dbid", object->dbid);
	pooler_json_close_object(to);
}

static void
add_messages(Report *report, const Object *object,
			 const PoolerHealthMessage *messages, int n)
{
	const PoolerJson *to = &report->messages;

	for (int i = 0; i < n; i++)
	{
		const PoolerHealthMessage *m = &messages[i];

		report->status = pooler_health_worse(report->status, m);
		pooler_json_open_object(to, NULL);
		pooler_json_string(to, "severity", pooler_health_severity_name(m->severity));
		pooler_json_string(to, "check", pooler_health_check_name(m->check));
		add_object(to, object);
		pooler_json_string(to, "message", m->text);
		pooler_json_number(to, "value", m->value);
		pooler_json_number(to, "threshold", m->threshold);
		pooler_json_string(to, "unit", pooler_health_check_unit(m->check));
		pooler_json_close_object(to);
	}
}

/*---------------------------------------------------------------------------
 * clients and backends
 *---------------------------------------------------------------------------
 */

static void
count_slots(Report *report)
{
	for (int32 i = 0; i < pooler_shared->nclients; i++)
	{
		PoolerClientSnapshot snap;

		if (!pooler_snapshot_client(i, &snap))
			continue;
		report->clients[snap.activity]++;
		report->nclients++;
	}
	for (int32 i = 0; i < pooler_shared->nbackends; i++)
	{
		PoolerBackendSnapshot snap;

		if (!pooler_snapshot_backend(i, &snap))
			continue;
		if (snap.pool < 0)
			report->nlogins++;
		else
		{
			report->backends[snap.state]++;
			report->nbackends++;
		}
	}
}

static void
add_clients(const PoolerJson *to, const Report *report)
{
	const int  *n = report->clients;

	pooler_json_open_object(to, "clients");
	pooler_json_int(to, "total", report->nclients);
	pooler_json_int(to, "max", pooler_shared->max_clients);
	pooler_json_int(to, "login", n[POOLER_ACTIVITY_LOGIN]);
	pooler_json_int(to, "idle", n[POOLER_ACTIVITY_IDLE]);
	pooler_json_int(to, "waiting", n[POOLER_ACTIVITY_WAITING]);
	pooler_json_int(to, "active", n[POOLER_ACTIVITY_ACTIVE] + n[POOLER_ACTIVITY_HANDOVER] +
					n[POOLER_ACTIVITY_LOST]);
	pooler_json_int(to, "pinned", n[POOLER_ACTIVITY_PINNED]);
	pooler_json_int(to, "console", n[POOLER_ACTIVITY_CONSOLE]);
	pooler_json_int(to, "replication", n[POOLER_ACTIVITY_REPLICATION]);
	pooler_json_close_object(to);
}

/* As in pooler.pools: what is on its way to or from a client is busy. */
static void
add_servers(const PoolerJson *to, const Report *report)
{
	const int  *n = report->backends;

	pooler_json_open_object(to, "servers");
	pooler_json_int(to, "total", report->nbackends);
	pooler_json_int(to, "max", pooler_max_backends_in_force());
	pooler_json_int(to, "starting", n[POOLER_BACKEND_STARTING]);
	pooler_json_int(to, "free", n[POOLER_BACKEND_FREE]);
	pooler_json_int(to, "lingering", n[POOLER_BACKEND_LINGERING]);
	pooler_json_int(to, "busy", n[POOLER_BACKEND_BUSY] + n[POOLER_BACKEND_TAKING] +
					n[POOLER_BACKEND_CLAIMED] + n[POOLER_BACKEND_CANCELLING]);
	pooler_json_int(to, "pinned", n[POOLER_BACKEND_PINNED]);
	pooler_json_int(to, "ending", n[POOLER_BACKEND_DEAD]);
	pooler_json_int(to, "login", report->nlogins);
	pooler_json_close_object(to);
}

/*---------------------------------------------------------------------------
 * pools
 *---------------------------------------------------------------------------
 */

static PoolerHealthPool
numbers_of(const Report *report, const PoolerPoolSnapshot *snap,
		   const PoolerPoolCount *count)
{
	PoolerHealthPool numbers = {
		.size = snap->size,
		.backends = count->backends_starting + count->backends_free +
		count->backends_lingering + count->backends_pinned +
		count->backends_busy + count->backends_ending,
		.held = count->backends_pinned + count->backends_busy,
		.waiting = count->clients_waiting,
		.wait_timeout_ms = snap->wait_timeout,
		.max_wait_ms = pooler_ms(pooler_health_max_wait),
		.paused = snap->paused,
		.dedicated = snap->dedicated,
	};

	if (count->first_queued_at != 0)
		numbers.longest_wait_ms = Max(report->now - count->first_queued_at, 0) / 1000;
	return numbers;
}

static void
add_pool(Report *report, const PoolerPoolSnapshot *snap,
		 const PoolerPoolCount *count, const PoolerHealthPool *numbers)
{
	const PoolerJson *to = &report->details;

	pooler_json_open_object(to, NULL);
	pooler_json_int(to, "dbid", snap->dbid);
	pooler_json_string(to, "database", snap->database);
	pooler_json_string(to, "role", snap->role);
	pooler_json_int(to, "size", snap->size);
	pooler_json_open_object(to, "backends");
	pooler_json_int(to, "total", numbers->backends);
	pooler_json_backends(to, count);
	pooler_json_close_object(to);
	pooler_json_open_object(to, "clients");
	pooler_json_int(to, "total", count->clients_idle +
					count->clients_waiting + count->clients_active);
	pooler_json_clients(to, count);
	pooler_json_close_object(to);
	pooler_json_int(to, "waiting", count->clients_waiting);
	pooler_json_int(to, "longest_wait_ms", numbers->longest_wait_ms);
	pooler_json_number(to, "utilisation", pooler_health_utilisation(numbers));
	pooler_json_bool(to, "paused", snap->paused);
	pooler_json_bool(to, "dedicated", snap->dedicated);
	pooler_json_close_object(to);
}

static int
compare_oids(const void *a, const void *b)
{
	Oid			first = *(const Oid *) a;
	Oid			second = *(const Oid *) b;

	return first < second ? -1 : first > second;
}

/* So far there is one for each pool. */
static void
count_databases(Report *report)
{
	int			n = 0;

	qsort(report->databases, report->pools, sizeof(Oid), compare_oids);
	for (int i = 0; i < report->pools; i++)
		n += i == 0 || report->databases[i] != report->databases[i - 1];
	report->ndatabases = n;
}

static void
look_at_pools(Report *report)
{
	PoolerPoolCount *counts = pooler_count_pools();

	for (int32 i = 0; i < pooler_shared->npools; i++)
	{
		PoolerHealthMessage messages[POOLER_HEALTH_MAX_POOL];
		PoolerPoolSnapshot snap;
		PoolerHealthPool numbers;
		Object		object;

		if (!pooler_snapshot_pool(i, &snap, NULL))
			continue;
		numbers = numbers_of(report, &snap, &counts[i]);
		object.database = snap.database;
		object.role = snap.role;
		object.dbid = snap.dbid;
		add_messages(report, &object, messages,
					 pooler_health_judge_pool(&numbers, messages));
		add_pool(report, &snap, &counts[i], &numbers);
		report->databases[report->pools++] = snap.dbid;
		report->pools_paused += snap.paused;
		report->pools_waiting += numbers.waiting > 0;
		report->pools_full += numbers.size > 0 && numbers.held >= numbers.size;
	}
	count_databases(report);
	pfree(counts);
}

/*---------------------------------------------------------------------------
 * databases
 *---------------------------------------------------------------------------
 */

/* As the pools call it; NULL if it has none. */
static const char *
database_name(Oid dbid, PoolerPoolSnapshot *snap)
{
	for (int32 i = 0; i < pooler_shared->npools; i++)
	{
		if (pooler_pools[i].dbid == dbid && pooler_snapshot_pool(i, snap, NULL) &&
			snap->dbid == dbid)
			return snap->database;
	}
	return NULL;
}

/* InvalidOid: all together. */
static void
look_at_hold(Report *report, Oid dbid)
{
	uint32		flags = pooler_hold_flags(dbid);
	bool		paused = (flags & (POOLER_HOLD_PAUSED | POOLER_HOLD_SUSPENDED)) != 0;
	bool		disabled = (flags & POOLER_HOLD_DISABLED) != 0;
	PoolerHealthMessage messages[POOLER_HEALTH_MAX_OTHER];
	PoolerPoolSnapshot snap;
	Object		object = {.dbid = dbid};

	if (!paused && !disabled)
		return;
	if (OidIsValid(dbid))
		object.database = database_name(dbid, &snap);
	add_messages(report, &object, messages,
				 pooler_health_judge_hold(paused, disabled, messages));
	report->databases_paused += paused && OidIsValid(dbid);
	report->databases_disabled += disabled;
}

static void
look_at_holds(Report *report)
{
	look_at_hold(report, InvalidOid);
	for (int i = 0; i < POOLER_MAX_HOLDS; i++)
	{
		Oid			dbid = pooler_hold_database(i);

		if (OidIsValid(dbid))
			look_at_hold(report, dbid);
	}
}

/*---------------------------------------------------------------------------
 * the pooler as a whole
 *---------------------------------------------------------------------------
 */

/* Others are worth a look, but harm nobody. */
static int
count_leaks(void)
{
	int			n = 0;

	if (pg_atomic_read_u32(&pooler_leaks->ncurrent) == 0)
		return 0;
	for (int i = 0; i < POOLER_MAX_LEAKS; i++)
	{
		PoolerLeak	leak;

		if (pooler_leak_read(&pooler_leaks->current[i], &leak) &&
			leak.severity >= POOLER_LEAK_WARNING)
			n++;
	}
	return n;
}

static void
look_at_pooler(Report *report)
{
	PoolerShared *s = pooler_shared;
	PoolerHealthMessage messages[POOLER_HEALTH_MAX_GENERAL];
	Object		object = {0};
	PoolerHealthNumbers numbers = {
		.running = s->worker_pid != 0,
		.up_ms = Max(report->now - s->worker_started_at, 0) / 1000,
		/* each life of the worker makes it odd, and even at its end */
		.starts = ((uint64) pg_atomic_read_u32(&s->epoch) + 1) / 2,
		.listening = s->port != 0,
		.draining = s->draining,
		.clients = report->nclients,
		.max_clients = s->max_clients,
		.backends = report->nbackends,
		.max_backends = pooler_max_backends_in_force(),
		.failed_starts = pooler_recent_count(&s->recent[POOLER_RECENT_FAILED_BIRTH],
											 report->now),
		.failed_logins = pooler_recent_count(&s->recent[POOLER_RECENT_FAILED_LOGIN],
											 report->now),
		.leaks = count_leaks(),
	};

	add_messages(report, &object, messages, pooler_health_judge(&numbers, messages));
}

static void
add_pooler(const PoolerJson *to)
{
	int			pid = pooler_shared->worker_pid;
	uint32		epoch = pg_atomic_read_u32(&pooler_shared->epoch);

	pooler_json_open_object(to, "pooler");
	if (pid == 0)
	{
		pooler_json_null(to, "pid");
		pooler_json_null(to, "started_at");
	}
	else
	{
		pooler_json_int(to, "pid", pid);
		pooler_json_time(to, "started_at", pooler_shared->worker_started_at);
	}
	pooler_json_int(to, "starts", ((int64) epoch + 1) / 2);
	pooler_json_close_object(to);
}

static void
add_counts(const PoolerJson *to, const Report *report)
{
	pooler_json_open_object(to, "pools");
	pooler_json_int(to, "total", report->pools);
	pooler_json_int(to, "paused", report->pools_paused);
	pooler_json_int(to, "waiting", report->pools_waiting);
	pooler_json_int(to, "full", report->pools_full);
	pooler_json_close_object(to);
	add_clients(to, report);
	add_servers(to, report);
	pooler_json_open_object(to, "databases");
	pooler_json_int(to, "total", report->ndatabases);
	pooler_json_int(to, "paused", report->databases_paused);
	pooler_json_int(to, "disabled", report->databases_disabled);
	pooler_json_close_object(to);
}

/*---------------------------------------------------------------------------
 * the probe
 *---------------------------------------------------------------------------
 */

static void
look_at_probe(Report *report, const PoolerHealthProbe *probe)
{
	PoolerHealthMessage messages[POOLER_HEALTH_MAX_OTHER];
	Object		object = {.database = probe->database, .role = probe->role};

	add_messages(report, &object, messages, pooler_health_judge_probe(probe, messages));
}

static void
add_probe(const PoolerJson *to, const PoolerHealthProbe *probe)
{
	pooler_json_open_object(to, "probe");
	pooler_json_bool(to, "ok", probe->ok);
	pooler_json_string(to, "database", probe->database);
	pooler_json_string(to, "role", probe->role);
	if (probe->latency_ms >= 0)
		pooler_json_number(to, "latency_ms", probe->latency_ms);
	if (probe->backend_pid != 0)
		pooler_json_int(to, "backend_pid", probe->backend_pid);
	if (probe->error != NULL)
		pooler_json_string(to, "error", probe->error);
	if (probe->hint != NULL)
		pooler_json_string(to, "hint", probe->hint);
	pooler_json_close_object(to);
}

/*---------------------------------------------------------------------------
 * all together
 *---------------------------------------------------------------------------
 */

/* The elements are collected first: the verdict stands before them. */
static void
add_array(const PoolerJson *to, const char *key, const PoolerJson *elements)
{
	pooler_json_open_array(to, key);
	appendBinaryStringInfo(to->buf, elements->buf->data, elements->buf->len);
	pooler_json_close_array(to);
}

static void
look_at_all(Report *report, const PoolerHealthProbe *probe)
{
	report->databases = MemoryContextAllocHuge(CurrentMemoryContext,
											   sizeof(Oid) * pooler_shared->npools);
	count_slots(report);
	look_at_pooler(report);
	look_at_pools(report);
	look_at_holds(report);
	if (probe != NULL)
		look_at_probe(report, probe);
	pfree(report->databases);
}

PoolerHealthStatus
pooler_health_report(const PoolerJson *json, const char *key,
					 const PoolerHealthProbe *probe)
{
	StringInfo	messages = makeStringInfo();
	StringInfo	details = makeStringInfo();
	Report		report = {
		.now = GetCurrentTimestamp(),
		.messages = {messages, json->encoding},
		.details = {details, json->encoding},
	};

	look_at_all(&report, probe);
	pooler_json_open_object(json, key);
	pooler_json_string(json, "status", pooler_health_status_name(report.status));
	pooler_json_time(json, "timestamp", report.now);
	pooler_json_string(json, "version", VERSION);
	add_pooler(json);
	add_counts(json, &report);
	add_array(json, "messages", &report.messages);
	add_array(json, "pool_details", &report.details);
	if (probe != NULL)
		add_probe(json, probe);
	pooler_json_close_object(json);
	pfree(messages->data);
	pfree(messages);
	pfree(details->data);
	pfree(details);
	return report.status;
}
