/*-------------------------------------------------------------------------
 *
 * views.c
 *	  The SQL functions below the views of the extension.
 *
 * Runs in: any backend.  Reads shared memory through snapshots, so it takes
 * no lock that a transaction could wait for, and changes nothing.  What is
 * not known is NULL.
 *
 * The functions return what lies in shared memory; names of databases and
 * roles as of now, rates and sums are made by the views in pooler--1.0.sql.
 * None of them is granted to PUBLIC: they show other people's connections.
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "common/ip.h"
#include "fmgr.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "shared/guc.h"
#include "shared/hold.h"
#include "shared/pool_count.h"
#include "shared/snapshot.h"
#include "storage/shmem.h"
#include "utils/builtins.h"
#include "utils/inet.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(pooler_get_clients);
PG_FUNCTION_INFO_V1(pooler_get_backends);
PG_FUNCTION_INFO_V1(pooler_get_pools);
PG_FUNCTION_INFO_V1(pooler_get_status);
PG_FUNCTION_INFO_V1(pooler_get_counters);
PG_FUNCTION_INFO_V1(pooler_get_stats);
PG_FUNCTION_INFO_V1(pooler_get_totals);

static const char *const activity_names[] = {
	[POOLER_ACTIVITY_LOGIN] = "login",
	[POOLER_ACTIVITY_IDLE] = "idle",
	[POOLER_ACTIVITY_WAITING] = "waiting",
	[POOLER_ACTIVITY_HANDOVER] = "handover",
	[POOLER_ACTIVITY_PINNED] = "pinned",
	[POOLER_ACTIVITY_ACTIVE] = "active",
	[POOLER_ACTIVITY_LOST] = "lost",
	[POOLER_ACTIVITY_CONSOLE] = "console",
};

StaticAssertDecl(lengthof(activity_names) == POOLER_ACTIVITY_CONSOLE + 1,
				 "each activity of a client needs a name");

static const char *const backend_state_names[] = {
	[POOLER_BACKEND_UNUSED] = NULL, /* never shown */
	[POOLER_BACKEND_STARTING] = "starting",
	[POOLER_BACKEND_FREE] = "free",
	[POOLER_BACKEND_LINGERING] = "lingering",
	[POOLER_BACKEND_BUSY] = "busy",
	[POOLER_BACKEND_TAKING] = "taking",
	[POOLER_BACKEND_CLAIMED] = "claimed",
	[POOLER_BACKEND_CANCELLING] = "cancelling",
	[POOLER_BACKEND_PINNED] = "pinned",
	[POOLER_BACKEND_DEAD] = "ending",
};

StaticAssertDecl(lengthof(backend_state_names) == POOLER_BACKEND_DEAD + 1,
				 "each state of a backend needs a name");

static const char *const scope_names[] = {
	[POOLER_STAT_POOL] = "pool",
	[POOLER_STAT_WORKER] = "pooler",
};

StaticAssertDecl(lengthof(scope_names) == POOLER_STAT_WORKER + 1,
				 "each scope of a counter needs a name");

static const char *const kind_names[] = {
	[POOLER_STAT_SUM] = "sum",
	[POOLER_STAT_MAX] = "max",
};

StaticAssertDecl(lengthof(kind_names) == POOLER_STAT_MAX + 1,
				 "each kind of a counter needs a name");

/*---------------------------------------------------------------------------
 * Rows
 *---------------------------------------------------------------------------
 */

#define MAX_COLUMNS	24

/* A row that is filled in from left to right. */
typedef struct Row
{
	int			n;
	Datum		values[MAX_COLUMNS];
	bool		nulls[MAX_COLUMNS];
} Row;

static void
add_value(Row *row, Datum value)
{
	Assert(row->n < MAX_COLUMNS);
	row->values[row->n] = value;
	row->nulls[row->n++] = false;
}

static void
add_null(Row *row)
{
	Assert(row->n < MAX_COLUMNS);
	row->values[row->n] = (Datum) 0;
	row->nulls[row->n++] = true;
}

static void
add_bool(Row *row, bool value)
{
	add_value(row, BoolGetDatum(value));
}

static void
add_int(Row *row, int32 value)
{
	add_value(row, Int32GetDatum(value));
}

/* A process, port or limit: 0 says that there is none. */
static void
add_int_or_null(Row *row, int32 value)
{
	if (value == 0)
		add_null(row);
	else
		add_int(row, value);
}

static void
add_count(Row *row, uint64 value)
{
	add_value(row, Int64GetDatum((int64) value));
}

static void
add_oid(Row *row, Oid value)
{
	if (OidIsValid(value))
		add_value(row, ObjectIdGetDatum(value));
	else
		add_null(row);
}

static void
add_time(Row *row, TimestampTz value)
{
	if (value == 0)
		add_null(row);
	else
		add_value(row, TimestampTzGetDatum(value));
}

/*
 * How long something has lasted.  The clock was read before the slot, so that
 * it may seem to have begun in the future.
 */
static void
add_age(Row *row, TimestampTz since, TimestampTz now)
{
	Interval   *age;

	if (since == 0)
	{
		add_null(row);
		return;
	}
	age = palloc0(sizeof(Interval));
	age->time = Max(now - since, 0);
	add_value(row, IntervalPGetDatum(age));
}

/*
 * Text that is valid in this database's encoding.  The bytes may be a
 * client's choice, or a name of another database that uses another encoding.
 */
static char *
valid_text(const char *bytes)
{
	char	   *text = pstrdup(bytes);

	if (pg_verifymbstr(text, strlen(text), true))
		return text;
	for (char *p = text; *p; p++)
	{
		if (IS_HIGHBIT_SET(*p))
			*p = '?';
	}
	return text;
}

static void
add_text(Row *row, const char *bytes)
{
	if (bytes[0] == '\0')
		add_null(row);
	else
		add_value(row, CStringGetTextDatum(valid_text(bytes)));
}

static void
add_name(Row *row, const char *bytes)
{
	Name		name;

	if (bytes[0] == '\0')
	{
		add_null(row);
		return;
	}
	name = palloc0(sizeof(NameData));
	namestrcpy(name, valid_text(bytes));
	add_value(row, NameGetDatum(name));
}

/*
 * Address and port of a client, as pg_stat_activity shows them: on a Unix
 * socket no address, and -1 for the port.
 */
static void
add_address(Row *row, const SockAddr *from)
{
	SockAddr	addr = *from;
	char		host[NI_MAXHOST] = "";
	char		port[NI_MAXSERV] = "";

	if (addr.addr.ss_family == AF_UNIX)
	{
		add_null(row);
		add_int(row, -1);
		return;
	}
	if ((addr.addr.ss_family != AF_INET && addr.addr.ss_family != AF_INET6) ||
		pg_getnameinfo_all(&addr.addr, addr.salen, host, sizeof(host), port,
						   sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV) != 0)
	{
		add_null(row);
		add_null(row);
		return;
	}
	clean_ipv6_addr(addr.addr.ss_family, host);
	add_value(row, DirectFunctionCall1(inet_in, CStringGetDatum(host)));
	add_int(row, atoi(port));
}

static ReturnSetInfo *
begin_rows(FunctionCallInfo fcinfo)
{
	InitMaterializedSRF(fcinfo, 0);
	return (ReturnSetInfo *) fcinfo->resultinfo;
}

/*
 * Hands the row over.  The script of another version of the extension may
 * have declared another number of columns.
 */
static void
end_row(ReturnSetInfo *result, Row *row)
{
	if (row->n != result->setDesc->natts)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the pooler library and the extension in this database are of different versions"),
				 errhint("Run ALTER EXTENSION pooler UPDATE, or restart the server if the library was replaced.")));
	tuplestore_putvalues(result->setResult, result->setDesc, row->values,
						 row->nulls);
	row->n = 0;
}

/* What keeps a client on its backend, and since when. */
static void
add_pin(Row *row, PoolerPin pin, TimestampTz since)
{
	const char *name = pooler_pin_name(pin);

	if (name != NULL)
		add_value(row, CStringGetTextDatum(name));
	else
		add_null(row);
	add_time(row, name != NULL ? since : 0);
}

/*---------------------------------------------------------------------------
 * Clients and backends
 *---------------------------------------------------------------------------
 */

static void
client_row(Row *row, int32 slot, const PoolerClientSnapshot *snap,
		   TimestampTz now)
{
	add_count(row, snap->id);
	add_int_or_null(row, snap->backend_pid);
	/* told at login */
	add_int_or_null(row, pooler_snapshot_logged_in(snap) ?
					(int32) pooler_client_pid(slot) : 0);
	add_oid(row, snap->dbid);
	add_oid(row, snap->roleid);
	add_name(row, snap->database);
	add_name(row, snap->role);
	add_text(row, snap->application_name);
	add_address(row, &snap->raddr);
	add_value(row, CStringGetTextDatum(activity_names[snap->activity]));
	add_time(row, snap->state_since);
	add_age(row, snap->queued_at, now);
	add_time(row, snap->connected_at);
	add_count(row, snap->transactions);
	add_pin(row, snap->pin, snap->pinned_since);
	add_name(row, snap->login_role);
	add_name(row, snap->alias);
}

Datum
pooler_get_clients(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result;
	TimestampTz now = GetCurrentTimestamp();
	Row			row = {0};

	pooler_require_shmem();
	result = begin_rows(fcinfo);
	for (int32 i = 0; i < pooler_shared->nclients; i++)
	{
		PoolerClientSnapshot snap;

		CHECK_FOR_INTERRUPTS();
		if (!pooler_snapshot_client(i, &snap))
			continue;
		client_row(&row, i, &snap, now);
		end_row(result, &row);
	}
	return (Datum) 0;
}

static void
backend_row(Row *row, const PoolerBackendSnapshot *snap)
{
	const PoolerCounters *c = &snap->counters;

	add_int_or_null(row, snap->pid);
	add_oid(row, snap->dbid);
	add_oid(row, snap->roleid);
	add_value(row, CStringGetTextDatum(backend_state_names[snap->state]));
	add_time(row, snap->state_since);
	if (snap->has_client)
		add_count(row, snap->client_id);
	else
		add_null(row);
	add_bool(row, snap->draining);
	add_bool(row, snap->in_copy);
	add_pin(row, snap->pin, snap->pinned_since);
	add_time(row, snap->born_at);
	add_count(row, c->transactions);
	add_count(row, c->queries);
	add_count(row, c->errors);
	add_count(row, c->handovers);
	add_count(row, c->lingered);
	add_count(row, c->resets);
	add_count(row, c->transaction_us);
}

Datum
pooler_get_backends(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result;
	Row			row = {0};

	pooler_require_shmem();
	result = begin_rows(fcinfo);
	for (int32 i = 0; i < pooler_shared->nbackends; i++)
	{
		PoolerBackendSnapshot snap;

		CHECK_FOR_INTERRUPTS();
		if (!pooler_snapshot_backend(i, &snap))
			continue;
		backend_row(&row, &snap);
		end_row(result, &row);
	}
	return (Datum) 0;
}

/*---------------------------------------------------------------------------
 * Pools
 *---------------------------------------------------------------------------
 */

static void
pool_row(Row *row, const PoolerPoolSnapshot *snap, const PoolerPoolCount *count,
		 const PoolerCounters *c, TimestampTz now)
{
	add_oid(row, snap->dbid);
	add_oid(row, snap->roleid);
	add_name(row, snap->database);
	add_name(row, snap->role);
	add_int(row, count->clients_idle);
	add_int(row, count->clients_waiting);
	add_int(row, count->clients_active);
	add_age(row, count->first_queued_at, now);
	add_int(row, count->backends_starting);
	add_int(row, count->backends_free);
	add_int(row, count->backends_lingering);
	add_int(row, count->backends_pinned);
	add_int(row, count->backends_busy);
	add_int(row, count->backends_ending);
	add_int_or_null(row, snap->size);
	add_bool(row, snap->paused);
	add_bool(row, snap->dedicated);
	add_time(row, snap->created_at);
	add_count(row, c->transactions);
	add_count(row, c->transaction_us);
	add_count(row, c->waits);
	add_count(row, c->wait_us);
	add_count(row, c->max_wait_us);
}

Datum
pooler_get_pools(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result;
	TimestampTz now = GetCurrentTimestamp();
	PoolerPoolCount *counts;
	Row			row = {0};

	pooler_require_shmem();
	result = begin_rows(fcinfo);
	counts = pooler_count_pools();
	for (int32 i = 0; i < pooler_shared->npools; i++)
	{
		PoolerPoolSnapshot snap;
		PoolerCounters sum;

		CHECK_FOR_INTERRUPTS();
		if (!pooler_snapshot_pool(i, &snap, &sum))
			continue;
		pool_row(&row, &snap, &counts[i], &sum, now);
		end_row(result, &row);
	}
	return (Datum) 0;
}

/*---------------------------------------------------------------------------
 * The pooler as a whole
 *---------------------------------------------------------------------------
 */

static int32
used_client_slots(void)
{
	int32		used = 0;

	for (int32 i = 0; i < pooler_shared->nclients; i++)
	{
		uint64		word = pg_atomic_read_u64(&pooler_clients[i].word);

		if (pooler_client_word_state(word) != POOLER_CLIENT_FREE)
			used++;
	}
	return used;
}

static int32
used_backend_slots(void)
{
	int32		used = 0;

	for (int32 i = 0; i < pooler_shared->nbackends; i++)
	{
		uint64		word = pg_atomic_read_u64(&pooler_backends[i].word);

		if (pooler_backend_word_state(word) != POOLER_BACKEND_UNUSED)
			used++;
	}
	return used;
}

static const char *
server_state(void)
{
	uint32		flags = pooler_hold_flags(InvalidOid);

	if (pooler_shared->port == 0)
		return "closed";
	if (flags & POOLER_HOLD_SUSPENDED)
		return "suspended";
	return flags & POOLER_HOLD_PAUSED ? "paused" : "active";
}

/* One row. */
Datum
pooler_get_status(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result;
	Row			row = {0};
	int			pid;
	uint32		epoch;
	char		socket_dir[MAXPGPATH];

	pooler_require_shmem();
	result = begin_rows(fcinfo);

	/* What a worker that has ended has left behind says nothing. */
	pid = pooler_shared->worker_pid;
	epoch = pg_atomic_read_u32(&pooler_shared->epoch);
	memcpy(socket_dir, pooler_shared->socket_dir, MAXPGPATH);
	socket_dir[pid == 0 ? 0 : MAXPGPATH - 1] = '\0';

	add_int_or_null(&row, pid);
	add_time(&row, pid == 0 ? 0 : pooler_shared->worker_started_at);
	/* each life of the worker makes it odd, and even at its end */
	add_count(&row, ((uint64) epoch + 1) / 2);
	add_int_or_null(&row, pid == 0 ? 0 : pooler_shared->port);
	add_text(&row, socket_dir);
	add_int(&row, used_client_slots());
	add_int_or_null(&row, pooler_shared->max_clients);
	add_int(&row, used_backend_slots());
	add_int(&row, pooler_max_backends_in_force());
	add_count(&row, pg_atomic_read_u64(&pooler_shared->session_bytes));
	add_count(&row, pg_atomic_read_u32(&pooler_shared->statements));
	add_count(&row, pg_atomic_read_u64(&pooler_shared->statements_bytes));
	add_count(&row, pg_atomic_read_u32(&pooler_shared->statements_evicted));
	add_text(&row, pid == 0 ? "" : server_state());
	add_time(&row, pooler_shared->stats_reset);
	end_row(result, &row);
	return (Datum) 0;
}

/*---------------------------------------------------------------------------
 * Counters
 *---------------------------------------------------------------------------
 */

/*
 * The table of counters itself.  It needs no shared memory, but refuses like
 * the others without it: a list of counters that can't count would mislead.
 */
Datum
pooler_get_counters(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result;
	Row			row = {0};

	pooler_require_shmem();
	result = begin_rows(fcinfo);
	for (int i = 0; i < pooler_stats_count; i++)
	{
		const PoolerStat *stat = &pooler_stats[i];

		add_text(&row, stat->name);
		add_text(&row, scope_names[stat->scope]);
		add_text(&row, kind_names[stat->kind]);
		add_text(&row, stat->unit);
		add_text(&row, stat->help);
		end_row(result, &row);
	}
	return (Datum) 0;
}

static uint64
counter_value(const PoolerStat *stat, const void *counters)
{
	return *(const uint64 *) ((const char *) counters + stat->offset);
}

/* A row for each pool and each counter that pools have. */
Datum
pooler_get_stats(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result;
	Row			row = {0};

	pooler_require_shmem();
	result = begin_rows(fcinfo);
	for (int32 i = 0; i < pooler_shared->npools; i++)
	{
		PoolerPoolSnapshot snap;
		PoolerCounters sum;

		CHECK_FOR_INTERRUPTS();
		if (!pooler_snapshot_pool(i, &snap, &sum))
			continue;
		for (int s = 0; s < pooler_stats_count; s++)
		{
			if (pooler_stats[s].scope != POOLER_STAT_POOL)
				continue;
			add_oid(&row, snap.dbid);
			add_oid(&row, snap.roleid);
			add_name(&row, snap.database);
			add_name(&row, snap.role);
			add_text(&row, pooler_stats[s].name);
			add_count(&row, counter_value(&pooler_stats[s], &sum));
			end_row(result, &row);
		}
	}
	return (Datum) 0;
}

/* A row for each counter, over all pools. */
Datum
pooler_get_totals(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result;
	PoolerCounters total = {0};
	Row			row = {0};

	pooler_require_shmem();
	result = begin_rows(fcinfo);
	pooler_stats_add(&total, &pooler_shared->gone_pools);
	for (int32 i = 0; i < pooler_shared->npools; i++)
	{
		PoolerPoolSnapshot snap;
		PoolerCounters sum;

		CHECK_FOR_INTERRUPTS();
		if (pooler_snapshot_pool(i, &snap, &sum))
			pooler_stats_add(&total, &sum);
	}
	for (int s = 0; s < pooler_stats_count; s++)
	{
		const PoolerStat *stat = &pooler_stats[s];

		add_text(&row, stat->name);
		if (stat->scope == POOLER_STAT_WORKER)
			add_count(&row, counter_value(stat, &pooler_shared->counters));
		else
			add_count(&row, counter_value(stat, &total));
		end_row(result, &row);
	}
	return (Datum) 0;
}
