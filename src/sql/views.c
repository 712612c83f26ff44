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

#include "fmgr.h"
#include "shared/guc.h"
#include "shared/pool_count.h"
#include "shared/snapshot.h"
#include "sql/rows.h"
#include "sql/version.h"
#include "storage/shmem.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(pooler_get_clients);
PG_FUNCTION_INFO_V1(pooler_get_backends);
PG_FUNCTION_INFO_V1(pooler_get_pools);
PG_FUNCTION_INFO_V1(pooler_get_status);
PG_FUNCTION_INFO_V1(pooler_get_tls_workers);

static const char *const activity_names[] = {
	[POOLER_ACTIVITY_LOGIN] = "login",
	[POOLER_ACTIVITY_IDLE] = "idle",
	[POOLER_ACTIVITY_WAITING] = "waiting",
	[POOLER_ACTIVITY_HANDOVER] = "handover",
	[POOLER_ACTIVITY_PINNED] = "pinned",
	[POOLER_ACTIVITY_ACTIVE] = "active",
	[POOLER_ACTIVITY_LOST] = "lost",
	[POOLER_ACTIVITY_CONSOLE] = "console",
	[POOLER_ACTIVITY_REPLICATION] = "replication",
};

StaticAssertDecl(lengthof(activity_names) == POOLER_NACTIVITIES,
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

/* What keeps a client on its backend, and since when. */
static void
add_pin(PoolerRow *row, PoolerPin pin, TimestampTz since)
{
	const char *name = pooler_pin_name(pin);

	if (name != NULL)
		pooler_put_value(row, CStringGetTextDatum(name));
	else
		pooler_put_null(row);
	pooler_put_time(row, name != NULL ? since : 0);
}

/*---------------------------------------------------------------------------
 * Clients and backends
 *---------------------------------------------------------------------------
 */

/* The kernel counts them for TCP only. */
static void
add_bytes(PoolerRow *row, const PoolerClientSnapshot *snap, uint64 bytes)
{
	if (snap->raddr.addr.ss_family == AF_UNIX ||
		(snap->pool < 0 && snap->activity != POOLER_ACTIVITY_REPLICATION))
		pooler_put_null(row);
	else
		pooler_put_count(row, bytes);
}

static void
client_row(PoolerRow *row, int32 slot, const PoolerClientSnapshot *snap,
		   TimestampTz now)
{
	pooler_put_count(row, snap->id);
	pooler_put_int_or_null(row, snap->backend_pid);
	/* told at login */
	pooler_put_int_or_null(row, pooler_snapshot_logged_in(snap) ?
						   (int32) pooler_client_pid(slot) : 0);
	pooler_put_oid(row, snap->dbid);
	pooler_put_oid(row, snap->roleid);
	pooler_put_name(row, snap->database);
	pooler_put_name(row, snap->role);
	pooler_put_text(row, snap->application_name);
	pooler_put_address(row, &snap->raddr);
	pooler_put_value(row, CStringGetTextDatum(activity_names[snap->activity]));
	pooler_put_time(row, snap->state_since);
	pooler_put_age(row, snap->queued_at, now);
	pooler_put_time(row, snap->connected_at);
	pooler_put_count(row, snap->transactions);
	add_pin(row, snap->pin, snap->pinned_since);
	add_bytes(row, snap, snap->bytes_received);
	add_bytes(row, snap, snap->bytes_sent);
	pooler_put_name(row, snap->login_role);
	pooler_put_name(row, snap->alias);
	pooler_put_text(row, snap->tls_version ? snap->tls_version : "");
	pooler_put_text(row, snap->tls_cipher ? snap->tls_cipher : "");
}

Datum
pooler_get_clients(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result;
	TimestampTz now = GetCurrentTimestamp();
	PoolerRow	row = {0};

	pooler_require_version();
	result = pooler_rows_begin(fcinfo);
	for (int32 i = 0; i < pooler_shared->nclients; i++)
	{
		PoolerClientSnapshot snap;

		CHECK_FOR_INTERRUPTS();
		if (!pooler_snapshot_client(i, &snap))
			continue;
		client_row(&row, i, &snap, now);
		pooler_rows_put(result, &row);
	}
	return (Datum) 0;
}

static void
backend_row(PoolerRow *row, const PoolerBackendSnapshot *snap)
{
	const PoolerCounters *c = &snap->counters;

	pooler_put_int_or_null(row, snap->pid);
	pooler_put_oid(row, snap->dbid);
	pooler_put_oid(row, snap->roleid);
	pooler_put_value(row, CStringGetTextDatum(backend_state_names[snap->state]));
	pooler_put_time(row, snap->state_since);
	if (snap->has_client)
		pooler_put_count(row, snap->client_id);
	else
		pooler_put_null(row);
	pooler_put_bool(row, snap->draining);
	pooler_put_bool(row, snap->in_copy);
	add_pin(row, snap->pin, snap->pinned_since);
	pooler_put_time(row, snap->born_at);
	pooler_put_count(row, c->transactions);
	pooler_put_count(row, c->queries);
	pooler_put_count(row, c->errors);
	pooler_put_count(row, c->handovers);
	pooler_put_count(row, c->lingered);
	pooler_put_count(row, c->resets);
	pooler_put_count(row, c->transaction_us);
	pooler_put_count(row, c->query_us);
}

Datum
pooler_get_backends(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result;
	PoolerRow	row = {0};

	pooler_require_version();
	result = pooler_rows_begin(fcinfo);
	for (int32 i = 0; i < pooler_shared->nbackends; i++)
	{
		PoolerBackendSnapshot snap;

		CHECK_FOR_INTERRUPTS();
		if (!pooler_snapshot_backend(i, &snap))
			continue;
		backend_row(&row, &snap);
		pooler_rows_put(result, &row);
	}
	return (Datum) 0;
}

/*---------------------------------------------------------------------------
 * Pools
 *---------------------------------------------------------------------------
 */

/* What it has in common with others is not this pool's. */
static void
add_counter(PoolerRow *row, const PoolerPoolSnapshot *snap, uint64 value)
{
	if (snap->counted)
		pooler_put_count(row, value);
	else
		pooler_put_null(row);
}

static void
pool_row(PoolerRow *row, const PoolerPoolSnapshot *snap, const PoolerPoolCount *count,
		 const PoolerCounters *c, TimestampTz now)
{
	pooler_put_oid(row, snap->dbid);
	pooler_put_oid(row, snap->roleid);
	pooler_put_name(row, snap->database);
	pooler_put_name(row, snap->role);
	pooler_put_int(row, count->clients_idle);
	pooler_put_int(row, count->clients_waiting);
	pooler_put_int(row, count->clients_active);
	pooler_put_age(row, count->first_queued_at, now);
	pooler_put_int(row, count->backends_starting);
	pooler_put_int(row, count->backends_free);
	pooler_put_int(row, count->backends_lingering);
	pooler_put_int(row, count->backends_pinned);
	pooler_put_int(row, count->backends_busy);
	pooler_put_int(row, count->backends_ending);
	pooler_put_int_or_null(row, snap->size);
	pooler_put_bool(row, snap->paused);
	pooler_put_bool(row, snap->dedicated);
	pooler_put_time(row, snap->created_at);
	add_counter(row, snap, c->transactions);
	add_counter(row, snap, c->transaction_us);
	add_counter(row, snap, c->waits);
	add_counter(row, snap, c->wait_us);
	add_counter(row, snap, c->max_wait_us);
}

Datum
pooler_get_pools(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result;
	TimestampTz now = GetCurrentTimestamp();
	PoolerPoolCount *counts;
	PoolerRow	row = {0};

	pooler_require_version();
	result = pooler_rows_begin(fcinfo);
	counts = pooler_count_pools();
	for (int32 i = 0; i < pooler_shared->npools; i++)
	{
		PoolerPoolSnapshot snap;
		PoolerCounters sum;

		CHECK_FOR_INTERRUPTS();
		if (!pooler_snapshot_pool(i, &snap, &sum))
			continue;
		pool_row(&row, &snap, &counts[i], &sum, now);
		pooler_rows_put(result, &row);
	}
	return (Datum) 0;
}

/*---------------------------------------------------------------------------
 * The pooler as a whole
 *---------------------------------------------------------------------------
 */

/* One row. */
Datum
pooler_get_status(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result;
	PoolerRow	row = {0};
	int			pid;
	uint32		epoch;
	char		socket_dir[MAXPGPATH];

	pooler_require_version();
	result = pooler_rows_begin(fcinfo);

	/* What a worker that has ended has left behind says nothing. */
	pid = pooler_shared->worker_pid;
	epoch = pg_atomic_read_u32(&pooler_shared->epoch);
	memcpy(socket_dir, pooler_shared->socket_dir, MAXPGPATH);
	socket_dir[pid == 0 ? 0 : MAXPGPATH - 1] = '\0';

	pooler_put_int_or_null(&row, pid);
	pooler_put_time(&row, pid == 0 ? 0 : pooler_shared->worker_started_at);
	/* each life of the worker makes it odd, and even at its end */
	pooler_put_count(&row, ((uint64) epoch + 1) / 2);
	pooler_put_int_or_null(&row, pid == 0 ? 0 : pooler_shared->port);
	pooler_put_text(&row, socket_dir);
	pooler_put_int(&row, pooler_count_client_slots());
	pooler_put_int_or_null(&row, pooler_shared->max_clients);
	pooler_put_int(&row, pooler_count_backend_slots());
	pooler_put_int(&row, pooler_max_backends_in_force());
	pooler_put_count(&row, pg_atomic_read_u64(&pooler_shared->session_bytes));
	pooler_put_count(&row, pg_atomic_read_u32(&pooler_shared->statements));
	pooler_put_count(&row, pg_atomic_read_u64(&pooler_shared->statements_bytes));
	pooler_put_count(&row, pg_atomic_read_u32(&pooler_shared->statements_evicted));
	pooler_put_text(&row, pid == 0 ? "" : pooler_state_name());
	pooler_put_time(&row, pooler_shared->stats_reset);
	pooler_rows_put(result, &row);
	return (Datum) 0;
}

/*---------------------------------------------------------------------------
 * TLS
 *---------------------------------------------------------------------------
 */

static const char *
tls_state_name(uint32 state)
{
	switch ((PoolerTlsState) state)
	{
		case POOLER_TLS_STARTING:
			return "starting";
		case POOLER_TLS_OFF:
			return "off";
		case POOLER_TLS_READY:
			return "ready";
	}
	return "";
}

Datum
pooler_get_tls_workers(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result;
	PoolerRow	row = {0};

	pooler_require_version();
	result = pooler_rows_begin(fcinfo);
	for (int i = 0; i < pooler_shared->ntls; i++)
	{
		PoolerTlsRelay *relay = &pooler_shared->tls_relays[i];

		pooler_put_int(&row, i + 1);
		pooler_put_int_or_null(&row, (int32) pg_atomic_read_u32(&relay->pid));
		pooler_put_text(&row, tls_state_name(pg_atomic_read_u32(&relay->state)));
		pooler_put_time(&row, (TimestampTz) pg_atomic_read_u64(&relay->loaded_at));
		pooler_put_int(&row, (int32) pg_atomic_read_u32(&relay->connections));
		pooler_put_int(&row, (int32) pg_atomic_read_u32(&relay->capacity));
		pooler_put_count(&row, pg_atomic_read_u64(&relay->handshakes));
		pooler_put_count(&row, pg_atomic_read_u64(&relay->failures));
		pooler_rows_put(result, &row);
	}
	return (Datum) 0;
}
