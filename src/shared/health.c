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

#include "catalog/pg_type_d.h"
#include "mb/pg_wchar.h"
#include "shared/hold.h"
#include "shared/leak.h"
#include "shared/pool_count.h"
#include "shared/snapshot.h"
#include "shared/text.h"
#include "utils/datetime.h"
#include "utils/json.h"
#include "utils/timestamp.h"

#define VERSION		"1.0"

typedef struct Report
{
	int			encoding;
	TimestampTz now;
	PoolerHealthStatus status;
	StringInfoData messages;	/* elements of the arrays */
	StringInfoData details;

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
 * JSON
 *---------------------------------------------------------------------------
 */

/* Names come from anywhere: see health.h. */
static void
add_text(StringInfo to, int encoding, const char *bytes)
{
	char	   *text = pstrdup(bytes);

	pooler_make_valid_text(text, encoding);
	escape_json(to, text);
	pfree(text);
}

/* {"name": ... the caller adds the value, which is never the first member. */
static void
add_name(StringInfo to, const char *name)
{
	appendStringInfo(to, ", \"%s\": ", name);
}

static void
add_int(StringInfo to, const char *name, int64 value)
{
	add_name(to, name);
	appendStringInfo(to, INT64_FORMAT, value);
}

/* Three digits: more are noise, and none is rounded off of small counts. */
static void
add_number(StringInfo to, const char *name, double value)
{
	add_name(to, name);
	if (value == (double) (int64) value)
		appendStringInfo(to, INT64_FORMAT, (int64) value);
	else
		appendStringInfo(to, "%.3f", value);
}

static void
add_bool(StringInfo to, const char *name, bool value)
{
	add_name(to, name);
	appendStringInfoString(to, value ? "true" : "false");
}

static void
add_string(StringInfo to, int encoding, const char *name, const char *value)
{
	add_name(to, name);
	if (value != NULL)
		add_text(to, encoding, value);
	else
		appendStringInfoString(to, "null");
}

static void
add_time(StringInfo to, const char *name, TimestampTz value)
{
	char		buf[MAXDATELEN + 1];

	add_name(to, name);
	JsonEncodeDateTime(buf, TimestampTzGetDatum(value), TIMESTAMPTZOID, NULL);
	appendStringInfo(to, "\"%s\"", buf);
}

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
add_object(Report *report, const Object *object)
{
	StringInfo	to = &report->messages;
	const char *separator = "";

	add_name(to, "object");
	appendStringInfoChar(to, '{');
	if (object->database != NULL)
	{
		appendStringInfoString(to, "\"database\": ");
		add_text(to, report->encoding, object->database);
		separator = ", ";
	}
	if (object->role != NULL)
	{
		appendStringInfo(to, "%s\"role\": ", separator);
		add_text(to, report->encoding, object->role);
		separator = ", ";
	}
	if (OidIsValid(object->dbid))
		appendStringInfo(to, "%s\"dbid\": %u", separator, object->dbid);
	appendStringInfoChar(to, '}');
}

static void
add_messages(Report *report, const Object *object,
			 const PoolerHealthMessage *messages, int n)
{
	StringInfo	to = &report->messages;

	for (int i = 0; i < n; i++)
	{
		const PoolerHealthMessage *m = &messages[i];

		report->status = pooler_health_worse(report->status, m);
		appendStringInfo(to, "%s{\"severity\": \"%s\", \"check\": \"%s\"",
						 to->len > 0 ? ", " : "",
						 pooler_health_severity_name(m->severity),
						 pooler_health_check_name(m->check));
		add_object(report, object);
		add_string(to, report->encoding, "message", m->text);
		add_number(to, "value", m->value);
		add_number(to, "threshold", m->threshold);
		add_string(to, report->encoding, "unit", pooler_health_check_unit(m->check));
		appendStringInfoChar(to, '}');
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
add_clients(StringInfo to, const Report *report)
{
	const int  *n = report->clients;

	add_name(to, "clients");
	appendStringInfo(to, "{\"total\": %d", report->nclients);
	add_int(to, "max", pooler_shared->max_clients);
	add_int(to, "login", n[POOLER_ACTIVITY_LOGIN]);
	add_int(to, "idle", n[POOLER_ACTIVITY_IDLE]);
	add_int(to, "waiting", n[POOLER_ACTIVITY_WAITING]);
	add_int(to, "active", n[POOLER_ACTIVITY_ACTIVE] + n[POOLER_ACTIVITY_HANDOVER] +
			n[POOLER_ACTIVITY_LOST]);
	add_int(to, "pinned", n[POOLER_ACTIVITY_PINNED]);
	add_int(to, "console", n[POOLER_ACTIVITY_CONSOLE]);
	add_int(to, "replication", n[POOLER_ACTIVITY_REPLICATION]);
	appendStringInfoChar(to, '}');
}

/* As in pooler.pools: what is on its way to or from a client is busy. */
static void
add_servers(StringInfo to, const Report *report)
{
	const int  *n = report->backends;

	add_name(to, "servers");
	appendStringInfo(to, "{\"total\": %d", report->nbackends);
	add_int(to, "max", pooler_max_backends_in_force());
	add_int(to, "starting", n[POOLER_BACKEND_STARTING]);
	add_int(to, "free", n[POOLER_BACKEND_FREE]);
	add_int(to, "lingering", n[POOLER_BACKEND_LINGERING]);
	add_int(to, "busy", n[POOLER_BACKEND_BUSY] + n[POOLER_BACKEND_TAKING] +
			n[POOLER_BACKEND_CLAIMED] + n[POOLER_BACKEND_CANCELLING]);
	add_int(to, "pinned", n[POOLER_BACKEND_PINNED]);
	add_int(to, "ending", n[POOLER_BACKEND_DEAD]);
	add_int(to, "login", report->nlogins);
	appendStringInfoChar(to, '}');
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
	StringInfo	to = &report->details;

	appendStringInfo(to, "%s{\"dbid\": %u", to->len > 0 ? ", " : "", snap->dbid);
	add_string(to, report->encoding, "database", snap->database);
	add_string(to, report->encoding, "role", snap->role);
	add_int(to, "size", snap->size);
	add_name(to, "backends");
	appendStringInfo(to, "{\"total\": %d", numbers->backends);
	add_int(to, "starting", count->backends_starting);
	add_int(to, "free", count->backends_free);
	add_int(to, "lingering", count->backends_lingering);
	add_int(to, "busy", count->backends_busy);
	add_int(to, "pinned", count->backends_pinned);
	add_int(to, "ending", count->backends_ending);
	appendStringInfoChar(to, '}');
	add_name(to, "clients");
	appendStringInfo(to, "{\"total\": %d", count->clients_idle +
					 count->clients_waiting + count->clients_active);
	add_int(to, "idle", count->clients_idle);
	add_int(to, "waiting", count->clients_waiting);
	add_int(to, "active", count->clients_active);
	appendStringInfoChar(to, '}');
	add_int(to, "waiting", count->clients_waiting);
	add_int(to, "longest_wait_ms", numbers->longest_wait_ms);
	add_number(to, "utilisation", pooler_health_utilisation(numbers));
	add_bool(to, "paused", snap->paused);
	add_bool(to, "dedicated", snap->dedicated);
	appendStringInfoChar(to, '}');
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
add_pooler(StringInfo to)
{
	int			pid = pooler_shared->worker_pid;
	uint32		epoch = pg_atomic_read_u32(&pooler_shared->epoch);

	add_name(to, "pooler");
	appendStringInfoString(to, "{\"pid\": ");
	if (pid == 0)
		appendStringInfoString(to, "null, \"started_at\": null");
	else
	{
		appendStringInfo(to, "%d", pid);
		add_time(to, "started_at", pooler_shared->worker_started_at);
	}
	add_int(to, "starts", ((int64) epoch + 1) / 2);
	appendStringInfoChar(to, '}');
}

static void
add_counts(StringInfo to, const Report *report)
{
	add_name(to, "pools");
	appendStringInfo(to, "{\"total\": %d", report->pools);
	add_int(to, "paused", report->pools_paused);
	add_int(to, "waiting", report->pools_waiting);
	add_int(to, "full", report->pools_full);
	appendStringInfoChar(to, '}');
	add_clients(to, report);
	add_servers(to, report);
	add_name(to, "databases");
	appendStringInfo(to, "{\"total\": %d", report->ndatabases);
	add_int(to, "paused", report->databases_paused);
	add_int(to, "disabled", report->databases_disabled);
	appendStringInfoChar(to, '}');
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
add_probe(StringInfo to, const Report *report, const PoolerHealthProbe *probe)
{
	add_name(to, "probe");
	appendStringInfo(to, "{\"ok\": %s", probe->ok ? "true" : "false");
	add_string(to, report->encoding, "database", probe->database);
	add_string(to, report->encoding, "role", probe->role);
	if (probe->latency_ms >= 0)
		add_number(to, "latency_ms", probe->latency_ms);
	if (probe->backend_pid != 0)
		add_int(to, "backend_pid", probe->backend_pid);
	if (probe->error != NULL)
		add_string(to, report->encoding, "error", probe->error);
	if (probe->hint != NULL)
		add_string(to, report->encoding, "hint", probe->hint);
	appendStringInfoChar(to, '}');
}

/*---------------------------------------------------------------------------
 * all together
 *---------------------------------------------------------------------------
 */

PoolerHealthStatus
pooler_health_report(StringInfo json, int encoding, const PoolerHealthProbe *probe)
{
	Report		report = {.encoding = encoding, .now = GetCurrentTimestamp()};

	initStringInfo(&report.messages);
	initStringInfo(&report.details);
	report.databases = MemoryContextAllocHuge(CurrentMemoryContext,
											  sizeof(Oid) * pooler_shared->npools);
	count_slots(&report);
	look_at_pooler(&report);
	look_at_pools(&report);
	look_at_holds(&report);
	if (probe != NULL)
		look_at_probe(&report, probe);

	appendStringInfo(json, "{\"status\": \"%s\"", pooler_health_status_name(report.status));
	add_time(json, "timestamp", report.now);
	add_string(json, encoding, "version", VERSION);
	add_pooler(json);
	add_counts(json, &report);
	appendStringInfo(json, ", \"messages\": [%s], \"pool_details\": [%s]",
					 report.messages.data, report.details.data);
	if (probe != NULL)
		add_probe(json, &report, probe);
	appendStringInfoChar(json, '}');
	pfree(report.databases);
	pfree(report.messages.data);
	pfree(report.details.data);
	return report.status;
}
