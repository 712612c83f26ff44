/*-------------------------------------------------------------------------
 *
 * admin.c
 *	  Carrying out what administrators ask for.
 *
 * Runs in: the pooler, for the console and for SQL functions.  Must not wait:
 * what takes time is begun, and is looked at again by pooler_admin_poll().
 * All that has to be remembered lies in shared memory (shared/hold.h, flags of
 * pools, marks of clients), nothing in the command.
 *
 * Why a PAUSE that is over holds.  Nothing is taken from the queue of a paused
 * pool (pooler_queue_pop(), give_at_once()), and no backend is made for it
 * (pooler_birth_start()).  So a transaction can only begin on a backend that
 * was there, with the client that it has.  All those are told to go by
 * drain_gen, which each looks at after every transaction and, with a barrier,
 * when it has become idle; and the PAUSE is not over before the last one's
 * process has ended.  A login that core was carrying out already is waited for,
 * too: it ends up in the database, and may run triggers there.  Clients that it gave back, or that were never with one,
 * stay connected, and their commands stay in their sockets.
 *
 *-------------------------------------------------------------------------
 */
#include "worker/internal.h"

#include "access/xact.h"
#include "auth/catalog.h"
#include "shared/hold.h"
#include "utils/memutils.h"
#include "worker/admin.h"
#include "worker/tally.h"

static const char *const verb_names[] = {
	[POOLER_ADMIN_PAUSE] = "PAUSE",
	[POOLER_ADMIN_RESUME] = "RESUME",
	[POOLER_ADMIN_DISABLE] = "DISABLE",
	[POOLER_ADMIN_ENABLE] = "ENABLE",
	[POOLER_ADMIN_RECONNECT] = "RECONNECT",
	[POOLER_ADMIN_KILL] = "KILL",
	[POOLER_ADMIN_KILL_CLIENT] = "KILL_CLIENT",
	[POOLER_ADMIN_PROBE] = "PROBE",
	[POOLER_ADMIN_SUSPEND] = "SUSPEND",
	[POOLER_ADMIN_WAIT_CLOSE] = "WAIT_CLOSE",
	[POOLER_ADMIN_SHUTDOWN] = "SHUTDOWN",
	[POOLER_ADMIN_RESET_STATS] = "RESET_STATS",
	[POOLER_ADMIN_END_LEAK] = "END_LEAK",
};

static const char *const mode_names[] = {
	[POOLER_SHUTDOWN_NOW] = "NOW",
	[POOLER_SHUTDOWN_WAIT_FOR_SERVERS] = "WAIT_FOR_SERVERS",
	[POOLER_SHUTDOWN_WAIT_FOR_CLIENTS] = "WAIT_FOR_CLIENTS",
};

#define HELD	(POOLER_HOLD_PAUSED | POOLER_HOLD_SUSPENDED)

/*---------------------------------------------------------------------------
 * answers
 *---------------------------------------------------------------------------
 */

static bool
done(PoolerAdminResult *result)
{
	memset(result, 0, sizeof(*result));
	strlcpy(result->sqlstate, "00000", sizeof(result->sqlstate));
	return true;
}

static bool refused(PoolerAdminResult *result, const char *sqlstate,
					const char *hint, const char *format,...) pg_attribute_printf(4, 5);

static bool
refused(PoolerAdminResult *result, const char *sqlstate, const char *hint,
		const char *format,...)
{
	va_list		args;

	memset(result, 0, sizeof(*result));
	strlcpy(result->sqlstate, sqlstate, sizeof(result->sqlstate));
	if (hint != NULL)
		strlcpy(result->hint, hint, sizeof(result->hint));
	va_start(args, format);
	vsnprintf(result->message, sizeof(result->message), format, args);
	va_end(args);
	return true;
}

typedef enum Found
{
	FOUND,
	NOT_FOUND,
	NOT_KNOWN					/* the catalogs are locked */
} Found;

/* The name that a database has now. */
static Found
find_database(Oid dbid, NameData *name)
{
	MemoryContext cxt = CurrentMemoryContext;
	Found		found = NOT_KNOWN;

	StartTransactionCommand();
	if (pooler_catalog_try_lock())
		found = pooler_catalog_database_name(dbid, name) ? FOUND : NOT_FOUND;
	CommitTransactionCommand();
	MemoryContextSwitchTo(cxt);
	if (found != FOUND)
		snprintf(NameStr(*name), NAMEDATALEN, "%u", dbid);
	return found;
}

/*---------------------------------------------------------------------------
 * pools and backends of a database, or of all
 *---------------------------------------------------------------------------
 */

static bool
concerns(Oid dbid, int pool)
{
	return pooler_pools[pool].in_use &&
		(!OidIsValid(dbid) || pooler_pools[pool].dbid == dbid);
}

static void
drain(Oid dbid)
{
	for (int i = 0; i < pooler_shared->npools; i++)
	{
		if (concerns(dbid, i))
			pooler_pool_drain(i);
	}
}

/* The database of a backend; a login that core carries out has none yet. */
static Oid
database_of(int backend)
{
	const PoolerBackend *b = &pooler_backends[backend];

	if (OidIsValid(b->dbid))
		return b->dbid;
	return b->pool >= 0 ? pooler_pools[b->pool].dbid : InvalidOid;
}

/*
 * Does core log a client in on it, which calls the database by this one's
 * name?  As long as it is being authenticated nothing else is known.
 */
static bool
logs_in_to(int backend, Oid dbid)
{
	const WorkerBirth *birth = pooler_worker_backends[backend].birth;
	NameData	name;

	if (birth == NULL || birth->kind != WORKER_BIRTH_DELEGATED)
		return false;
	if (!OidIsValid(dbid) || OidIsValid(pooler_backends[backend].dbid))
		return !OidIsValid(dbid) || pooler_backends[backend].dbid == dbid;
	return find_database(dbid, &name) == NOT_KNOWN ||
		strcmp(NameStr(name), pooler_clients[birth->client].database) == 0;
}

/* Backends that outlived an earlier pooler have no number to be drained by. */
static bool
is_older(int backend)
{
	const PoolerBackend *b = &pooler_backends[backend];

	return b->epoch != pooler_worker.epoch || b->pool < 0 ||
		b->drain_gen != pg_atomic_read_u32(&pooler_pools[b->pool].drain_gen);
}

/* Is any backend left?  Or any that was there before the last drain()? */
static bool
any_backend(Oid dbid, bool older_only)
{
	for (int i = 0; i < pooler_shared->nbackends; i++)
	{
		Oid			database = database_of(i);

		if (pooler_backend_word_state(pg_atomic_read_u64(&pooler_backends[i].word)) ==
			POOLER_BACKEND_UNUSED)
			continue;
		if (!older_only && logs_in_to(i, dbid))
			return true;
		if (!OidIsValid(database) || (OidIsValid(dbid) && database != dbid))
			continue;
		if (!older_only || is_older(i))
			return true;
	}
	return false;
}

/*---------------------------------------------------------------------------
 * PAUSE, SUSPEND, RESUME
 *---------------------------------------------------------------------------
 */

/* Puts the flags of the pools right and sends backends away, or calls some. */
static void
apply_holds(void)
{
	for (int i = 0; i < pooler_shared->npools; i++)
	{
		PoolerPool *pool = &pooler_pools[i];
		bool		paused;

		if (!pool->in_use)
			continue;
		paused = pooler_hold_paused(pool->dbid);
		if (paused == ((pool->flags & POOLER_POOL_PAUSED) != 0))
			continue;
		pooler_pool_set_flags(pool, paused ? POOLER_POOL_PAUSED : 0,
							  paused ? 0 : POOLER_POOL_PAUSED);
		if (paused)
			pooler_pool_drain(i);
		else
		{
			pooler_worker_pools[i].resumed_at = pooler_worker.now;
			pooler_dispatch_feed(i);
		}
	}
	pooler_worker_tick_within(100);
}

void
pooler_admin_startup(void)
{
	for (int i = 0; i < POOLER_MAX_HOLDS; i++)
	{
		if (OidIsValid(pooler_hold_database(i)))
			(void) pooler_hold_change(pooler_hold_database(i), 0, POOLER_HOLD_AWAITED);
	}
	(void) pooler_hold_change(InvalidOid, 0, POOLER_HOLD_AWAITED);
	apply_holds();
}

static bool
table_is_full(PoolerAdminResult *result)
{
	return refused(result, "53400", "Resume or enable some of them.",
				   "too many databases are paused or disabled: at most %d can be",
				   POOLER_MAX_HOLDS);
}

static bool
begin_pause(const PoolerAdminCommand *command, PoolerAdminResult *result)
{
	uint32		all = pooler_hold_flags(InvalidOid);
	uint32		now = pooler_hold_flags(command->dbid);
	uint32		flag = command->verb == POOLER_ADMIN_SUSPEND ?
		POOLER_HOLD_SUSPENDED : POOLER_HOLD_PAUSED;

	if (all & HELD)
		return refused(result, "55000", "RESUME ends it.",
					   all & POOLER_HOLD_SUSPENDED ?
					   "the pooler is already suspended" :
					   "the pooler is already paused");
	if (command->verb == POOLER_ADMIN_SUSPEND && pooler_hold_any_paused())
		return refused(result, "55000", "RESUME them first, each by its name.",
					   "cannot suspend the pooler while databases are paused");
	/* one that is over is not to be taken back by who pauses once more */
	if ((now & flag) == 0 || (now & POOLER_HOLD_AWAITED) != 0)
		flag |= (now & POOLER_HOLD_AWAITED) + POOLER_HOLD_AWAITED_ONCE;
	if (!pooler_hold_change(command->dbid, flag, POOLER_HOLD_AWAITED))
		return table_is_full(result);
	apply_holds();
	return pooler_admin_poll(command, result);
}

static bool
poll_pause(const PoolerAdminCommand *command, PoolerAdminResult *result)
{
	if ((pooler_hold_flags(command->dbid) & HELD) == 0)
		return refused(result, "55000", NULL,
					   "RESUME came before the last transaction had ended");
	if (any_backend(command->dbid, false))
		return false;
	(void) pooler_hold_change(command->dbid, 0, POOLER_HOLD_AWAITED);
	return done(result);
}

static bool
begin_resume(const PoolerAdminCommand *command, PoolerAdminResult *result)
{
	NameData	name;

	if ((pooler_hold_flags(command->dbid) & HELD) != 0)
	{
		(void) pooler_hold_change(command->dbid, 0, HELD | POOLER_HOLD_AWAITED);
		apply_holds();
		return done(result);
	}
	if (!OidIsValid(command->dbid))
		return refused(result, "55000", pooler_hold_any_paused() ?
					   "Databases that were paused by name are resumed by name." : NULL,
					   "the pooler is not paused");
	(void) find_database(command->dbid, &name);
	return refused(result, "55000", pooler_hold_flags(InvalidOid) & HELD ?
				   "All databases are paused together: RESUME without a name ends that." : NULL,
				   "database \"%s\" is not paused", NameStr(name));
}

/* As long as somebody else waits for it, it stays. */
void
pooler_admin_abandon(const PoolerAdminCommand *command)
{
	uint32		awaited = pooler_hold_flags(command->dbid) & POOLER_HOLD_AWAITED;

	if ((command->verb != POOLER_ADMIN_PAUSE && command->verb != POOLER_ADMIN_SUSPEND) ||
		awaited == 0)
		return;
	if (awaited > POOLER_HOLD_AWAITED_ONCE)
	{
		(void) pooler_hold_change(command->dbid, awaited - POOLER_HOLD_AWAITED_ONCE,
								  POOLER_HOLD_AWAITED);
		return;
	}
	ereport(LOG, (errmsg("pooler: %s was given up before it was over, resuming",
						 verb_names[command->verb])));
	(void) pooler_hold_change(command->dbid, 0, HELD | POOLER_HOLD_AWAITED);
	apply_holds();
}

/*---------------------------------------------------------------------------
 * KILL, KILL_CLIENT
 *---------------------------------------------------------------------------
 */

static bool
belongs_to(int client, Oid dbid)
{
	if (pooler_worker_clients[client].fd < 0)
		return false;
	if (pooler_worker_clients[client].replication != NULL)
		return pooler_replication_in(client, dbid);
	return pooler_clients[client].pool >= 0 &&
		concerns(dbid, pooler_clients[client].pool);
}

/* Clients that core logs in are in no pool yet. */
static void
end_logins(Oid dbid)
{
	for (int i = 0; i < pooler_shared->nbackends; i++)
	{
		const WorkerBirth *birth = pooler_worker_backends[i].birth;

		if (logs_in_to(i, dbid) &&
			pooler_client_gen(&pooler_clients[birth->client]) == birth->client_gen)
			pooler_end_client(birth->client);
	}
}

static bool
begin_kill(const PoolerAdminCommand *command, PoolerAdminResult *result)
{
	if (!pooler_hold_change(command->dbid, POOLER_HOLD_PAUSED, POOLER_HOLD_AWAITED))
		return table_is_full(result);
	apply_holds();
	drain(command->dbid);
	for (int i = 0; i < pooler_shared->nclients; i++)
	{
		if (belongs_to(i, command->dbid))
			pooler_end_client(i);
	}
	end_logins(command->dbid);
	return pooler_admin_poll(command, result);
}

/* Somebody may have resumed it meanwhile: then only the clients count. */
static bool
poll_kill(const PoolerAdminCommand *command, PoolerAdminResult *result)
{
	for (int i = 0; i < pooler_shared->nclients; i++)
	{
		if (belongs_to(i, command->dbid) && pooler_end_pending(i))
			return false;
	}
	if ((pooler_hold_flags(command->dbid) & POOLER_HOLD_PAUSED) != 0 &&
		any_backend(command->dbid, false))
		return false;
	return done(result);
}

/* By the number that no other client ever gets; -1 if it has left. */
static int
find_client(uint64 id)
{
	for (int i = 0; i < pooler_shared->nclients; i++)
	{
		if (pooler_worker_clients[i].fd >= 0 && pooler_clients[i].id == id)
			return i;
	}
	return -1;
}

static bool
begin_kill_client(const PoolerAdminCommand *command, PoolerAdminResult *result)
{
	int			client = find_client(command->client_id);

	if (client < 0)
		return refused(result, "42704", "The view pooler.clients has those that are connected.",
					   "client " UINT64_FORMAT " does not exist", command->client_id);
	pooler_end_client(client);
	return false;
}

/*---------------------------------------------------------------------------
 * DISABLE, ENABLE, RECONNECT
 *---------------------------------------------------------------------------
 */

static bool
begin_disable(const PoolerAdminCommand *command, PoolerAdminResult *result)
{
	bool		disable = command->verb == POOLER_ADMIN_DISABLE;

	if (!OidIsValid(command->dbid))
		return refused(result, "22023", NULL, "%s needs the name of a database",
					   verb_names[command->verb]);
	if (!pooler_hold_change(command->dbid, disable ? POOLER_HOLD_DISABLED : 0,
							disable ? 0 : POOLER_HOLD_DISABLED))
		return table_is_full(result);
	return done(result);
}

static bool
begin_reconnect(const PoolerAdminCommand *command, PoolerAdminResult *result)
{
	drain(command->dbid);
	return done(result);
}

/*---------------------------------------------------------------------------
 * SHUTDOWN
 *---------------------------------------------------------------------------
 */

/* A later one may be stricter, not laxer. */
static bool
begin_shutdown(const PoolerAdminCommand *command, PoolerAdminResult *result)
{
	if (!pooler_worker.closed || command->mode < pooler_worker.shutdown_mode)
		pooler_worker.shutdown_mode = command->mode;
	pooler_worker.closed = true;
	pooler_listener_stop();
	pooler_worker_tick_within(0);
	return done(result);
}

/*
 * Who still logs in counts: it was let in before the port was closed.  Who is
 * on the console does not: he may be the one who waits.
 */
static bool
any_client(void)
{
	for (int i = 0; i < pooler_shared->nclients; i++)
	{
		if (pooler_worker_clients[i].fd >= 0 &&
			pooler_worker_clients[i].console == NULL)
			return true;
	}
	return false;
}

/*
 * Once draining is on, main.c ends clients that are idle and pools that have
 * nobody waiting, and timeout.c those that are pinned.  A walsender has no end
 * that one could wait for, so it goes with the last backend.
 */
static void
go_on_shutting_down(void)
{
	PoolerShutdownMode mode = pooler_worker.shutdown_mode;
	bool		released;

	if (mode == POOLER_SHUTDOWN_WAIT_FOR_CLIENTS && any_client())
		return;
	pooler_worker.draining = pooler_shared->draining = true;
	released = !any_backend(InvalidOid, false);
	for (int i = 0; i < pooler_shared->nclients; i++)
	{
		if (pooler_worker_clients[i].fd >= 0 &&
			(mode == POOLER_SHUTDOWN_NOW ||
			 pooler_client_state(i) == POOLER_CLIENT_QUEUED ||
			 (pooler_client_state(i) == POOLER_CLIENT_REPLICATION && released)))
			pooler_end_client(i);
	}
}

bool
pooler_admin_is_shut_down(void)
{
	return pooler_worker.closed && !any_client() && !any_backend(InvalidOid, false);
}

/*---------------------------------------------------------------------------
 * RESET_STATS
 *---------------------------------------------------------------------------
 */

static bool
begin_reset_stats(PoolerAdminResult *result)
{
	pooler_tally_reset();
	pooler_leak_reset();
	memset(&pooler_shared->counters, 0, sizeof(pooler_shared->counters));
	pooler_shared->stats_reset = pooler_worker.now;
	return done(result);
}

/*---------------------------------------------------------------------------
 * for everybody
 *---------------------------------------------------------------------------
 */

void
pooler_admin_log(const PoolerAdminCommand *command)
{
	const char *verb = verb_names[command->verb];
	NameData	name;

	if (command->verb == POOLER_ADMIN_KILL_CLIENT)
		ereport(LOG, (errmsg("pooler: %s " UINT64_FORMAT, verb, command->client_id)));
	else if (command->verb == POOLER_ADMIN_END_LEAK)
		ereport(LOG, (errmsg("pooler: %s " UINT64_FORMAT, verb, command->leak_id)));
	else if (command->verb == POOLER_ADMIN_SHUTDOWN)
		ereport(LOG, (errmsg("pooler: %s %s", verb, mode_names[command->mode])));
	else if (OidIsValid(command->dbid))
	{
		(void) find_database(command->dbid, &name);
		ereport(LOG, (errmsg("pooler: %s, database \"%s\"", verb, NameStr(name))));
	}
	else
		ereport(LOG, (errmsg("pooler: %s", verb)));
}

bool
pooler_admin_begin(const PoolerAdminCommand *command, PoolerAdminResult *result)
{
	NameData	name;

	/* it may have been dropped since its name was looked up */
	if (OidIsValid(command->dbid) &&
		find_database(command->dbid, &name) == NOT_FOUND)
		return refused(result, "3D000", NULL, "database %u does not exist",
					   command->dbid);
	switch (command->verb)
	{
		case POOLER_ADMIN_PAUSE:
		case POOLER_ADMIN_SUSPEND:
			return begin_pause(command, result);
		case POOLER_ADMIN_RESUME:
			return begin_resume(command, result);
		case POOLER_ADMIN_DISABLE:
		case POOLER_ADMIN_ENABLE:
			return begin_disable(command, result);
		case POOLER_ADMIN_RECONNECT:
			return begin_reconnect(command, result);
		case POOLER_ADMIN_KILL:
			return begin_kill(command, result);
		case POOLER_ADMIN_KILL_CLIENT:
			return begin_kill_client(command, result);
		case POOLER_ADMIN_PROBE:
			break;				/* requests.c has it done */
		case POOLER_ADMIN_WAIT_CLOSE:
			return pooler_admin_poll(command, result);
		case POOLER_ADMIN_SHUTDOWN:
			return begin_shutdown(command, result);
		case POOLER_ADMIN_RESET_STATS:
			return begin_reset_stats(result);
		case POOLER_ADMIN_END_LEAK:
			return !pooler_leak_ask(command->leak_id) && done(result);
	}
	return refused(result, "XX000", NULL, "unknown command %d", command->verb);
}

bool
pooler_admin_poll(const PoolerAdminCommand *command, PoolerAdminResult *result)
{
	switch (command->verb)
	{
		case POOLER_ADMIN_PAUSE:
		case POOLER_ADMIN_SUSPEND:
			return poll_pause(command, result);
		case POOLER_ADMIN_KILL:
			return poll_kill(command, result);
		case POOLER_ADMIN_KILL_CLIENT:
			return find_client(command->client_id) < 0 && done(result);
		case POOLER_ADMIN_WAIT_CLOSE:
			return !any_backend(command->dbid, true) && done(result);
		case POOLER_ADMIN_END_LEAK:
			return pooler_leak_asked_is_over(command->leak_id) && done(result);
		default:
			return done(result);
	}
}

bool
pooler_admin_enabled(Oid dbid)
{
	return !pooler_hold_disabled(dbid);
}

bool
pooler_admin_paused(Oid dbid)
{
	return (pooler_hold_flags(dbid) & POOLER_HOLD_PAUSED) != 0;
}

bool
pooler_admin_suspended(void)
{
	return (pooler_hold_flags(InvalidOid) & POOLER_HOLD_SUSPENDED) != 0;
}

/* The catalogs know the database by its OID, a login by its name. */
bool
pooler_admin_holds_login(const char *database)
{
	if (pooler_hold_flags(InvalidOid) & HELD)
		return true;
	for (int i = 0; i < POOLER_MAX_HOLDS; i++)
	{
		Oid			dbid = pooler_hold_database(i);
		NameData	name;

		if (!OidIsValid(dbid) || !pooler_hold_paused(dbid))
			continue;
		if (find_database(dbid, &name) == NOT_KNOWN ||
			strcmp(NameStr(name), database) == 0)
			return true;
	}
	return false;
}

bool
pooler_admin_forget_dropped(void)
{
	for (int i = 0; i < POOLER_MAX_HOLDS; i++)
	{
		Oid			dbid = pooler_hold_database(i);
		NameData	name;

		if (!OidIsValid(dbid))
			continue;
		switch (find_database(dbid, &name))
		{
			case FOUND:
				break;
			case NOT_FOUND:
				/* clients that wait are told so by a backend that fails */
				(void) pooler_hold_change(dbid, 0, ~(uint32) 0);
				apply_holds();
				break;
			case NOT_KNOWN:
				return false;
		}
	}
	return true;
}

void
pooler_admin_tick(void)
{
	if (pooler_worker.closed)
		go_on_shutting_down();
	pooler_end_tick();
}
