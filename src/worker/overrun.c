/*-------------------------------------------------------------------------
 *
 * overrun.c
 *	  Commands and transactions that take too long: query_timeout,
 *	  transaction_timeout, idle_transaction_timeout.
 *
 * Runs in: the pooler, at ticks, for pools that have such a timeout.  Looks at
 * backends without locks.  When a transaction began, and since when a client
 * is idle in one, backends say in their slots; when a command inside a
 * transaction began nobody does, since that would cost each command, so it
 * counts from the first look at it.  Whether it is still so when the demand
 * arrives, the backend decides (backend/ending.c).
 *
 *-------------------------------------------------------------------------
 */
#include "worker/internal.h"

#include "storage/proc.h"
#include "storage/procarray.h"
#include "utils/memutils.h"
#include "utils/wait_event.h"

/* How often a backend that works is looked at, in parts of query_timeout. */
#define LOOKS_PER_TIMEOUT	4

typedef struct Watch
{
	uint32		use;			/* WorkerBackend.number */
	TimestampTz looked_at;

	/* the command under way */
	uint32		command;
	TimestampTz since;			/* 0: there is none */

	/* what was demanded last */
	PoolerEndReason demanded;
	uint64		of;				/* the command's number, or since when */
	TimestampTz demanded_at;
} Watch;

static Watch *watches;

void
pooler_overrun_startup(void)
{
	watches = MemoryContextAllocZero(TopMemoryContext,
									 sizeof(Watch) * pooler_shared->nbackends);
}

/*
 * The backend says if what it was told is no longer true, and then looks
 * different at the next look; or it was too early by its own clock.  Else it
 * has been signalled, and may take some time over it.
 */
static void
demand(int backend, uint64 w, PoolerEndReason reason, uint32 command,
	   TimestampTz since, int ms)
{
	Watch	   *watch = &watches[backend];
	PoolerBackend *b = &pooler_backends[backend];
	uint64		of = reason == POOLER_END_QUERY_TIMEOUT ? command : (uint64) since;

	if (watch->demanded == reason && watch->of == of &&
		pg_atomic_read_u32(&b->demand.reason) == (uint32) reason &&
		!TimestampDifferenceExceeds(watch->demanded_at, pooler_worker.now, 5000))
		return;
	pooler_worker_tick_within(Max(Min(ms / 16, 100), 5));
	if (!pooler_backend_demand(backend, pooler_backend_word_client(w),
							   pooler_backend_word_gen(w), reason, command,
							   since, ms))
		return;
	watch->demanded = reason;
	watch->of = of;
	watch->demanded_at = pooler_worker.now;
}

bool
pooler_backend_runs_command(PoolerBackend *b)
{
	PGPROC	   *proc = BackendPidGetProc(b->pid);

	return proc != NULL &&
		(proc->wait_event_info != WAIT_EVENT_CLIENT_READ ||
		 pg_atomic_read_u32(&b->in_copy) != 0);
}

static void
check_query(int backend, uint64 w, int timeout)
{
	PoolerBackend *b = &pooler_backends[backend];
	Watch	   *watch = &watches[backend];
	uint32		command = pg_atomic_read_u32(&b->command);
	TimestampTz begun = b->state_since;

	if (!pooler_backend_runs_command(b))
	{
		watch->since = 0;
		return;
	}
	if (watch->since == 0 || watch->command != command)
	{
		watch->command = command;
		watch->since = pooler_worker.now;
		if (command == b->first_command && begun > watch->looked_at)
			watch->since = begun;
	}
	else if (command == b->first_command && begun > watch->since)
		watch->since = begun;	/* it was idle in between */
	if (pooler_timeout_passed(watch->since, timeout))
		demand(backend, w, POOLER_END_QUERY_TIMEOUT, command, 0, timeout);
}

static bool
check_idle_transaction(int backend, uint64 w, int timeout)
{
	PoolerBackend *b = &pooler_backends[backend];
	TimestampTz since;

	if (pg_atomic_read_u32(&b->in_transaction) == 0)
		return false;
	pg_read_barrier();
	since = b->idle_since;
	if (!pooler_timeout_passed(since, timeout) || pooler_backend_runs_command(b))
		return false;
	demand(backend, w, POOLER_END_IDLE_TRANSACTION_TIMEOUT, 0, since, timeout);
	return true;
}

static bool
check_transaction(int backend, uint64 w, int timeout)
{
	TimestampTz since = pooler_backends[backend].state_since;

	if (!pooler_timeout_passed(since, timeout))
		return false;
	demand(backend, w, POOLER_END_TRANSACTION_TIMEOUT, 0, since, timeout);
	return true;
}

/* Its word is read first: what else is read is of this client or a later one. */
static void
check_backend(int backend, int query, int transaction, int idle)
{
	Watch	   *watch = &watches[backend];
	uint64		w = pg_atomic_read_u64(&pooler_backends[backend].word);

	if (watch->use != pooler_worker_backends[backend].number)
	{
		memset(watch, 0, sizeof(*watch));
		watch->use = pooler_worker_backends[backend].number;
	}
	pg_read_barrier();
	if (pooler_backend_word_state(w) != POOLER_BACKEND_BUSY)
		watch->since = 0;
	else if (transaction > 0 && check_transaction(backend, w, transaction))
		;
	else if (idle > 0 && check_idle_transaction(backend, w, idle))
		;
	else if (query > 0)
		check_query(backend, w, query);
	watch->looked_at = pooler_worker.now;
}

/* The next look comes before anything that begins now can have exceeded it. */
static void
look_again(int timeout, int parts)
{
	if (timeout > 0)
		pooler_worker_tick_within(Min(Max(timeout / parts, 10), 1000));
}

void
pooler_overrun_check(int index)
{
	PoolerPool *pool = &pooler_pools[index];
	int			query = pooler_pool_ms(pool, POOLER_QUERY_TIMEOUT);
	int			transaction = pooler_pool_ms(pool, POOLER_TRANSACTION_TIMEOUT);
	int			idle = pooler_pool_ms(pool, POOLER_IDLE_TRANSACTION_TIMEOUT);
	bool		busy = false;
	dlist_iter	iter;

	if ((query == 0 && transaction == 0 && idle == 0) || pool->nbackends == 0)
		return;
	dlist_foreach(iter, &pooler_worker_pools[index].backends)
	{
		WorkerBackend *wb = dlist_container(WorkerBackend, pool_node, iter.cur);
		int			backend = wb - pooler_worker_backends;

		if (wb->birth != NULL)
			continue;
		check_backend(backend, query, transaction, idle);
		busy = busy || pooler_backend_word_state(pg_atomic_read_u64(&pooler_backends[backend].word)) ==
			POOLER_BACKEND_BUSY;
	}
	if (pool->nclients == 0)
		return;
	look_again(query, busy ? LOOKS_PER_TIMEOUT : 1);
	look_again(transaction, 1);
	look_again(idle, 1);
}
