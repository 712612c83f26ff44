/*-------------------------------------------------------------------------
 *
 * leak_find.c
 *	  What is a leak: clients and pools are compared with thresholds.
 *
 * Runs in: the pooler.  Looks at words and slots without locks, and changes
 * nothing.  What it finds may be over a moment later: whoever acts on it has
 * to compare again (leak_end.c, backend/ending.c).
 *
 *-------------------------------------------------------------------------
 */
#include "worker/leak.h"

#include <sys/socket.h>

/*
 * Who has come just now may be about to be given a new backend, or one whose
 * client is leaving.
 */
#define WAITED_MS	500

uint32
pooler_leak_limit_of(int pool, PoolerLeakKind kind)
{
	static const PoolerOverrides none = {0};

	return pooler_leak_limit(pool < 0 ? &none : &pooler_pools[pool].overrides, kind);
}

PoolerLeakAction
pooler_leak_action_for(int pool, PoolerLeakKind kind)
{
	static const PoolerOverrides none = {0};
	const PoolerOverrides *overrides =
		pool < 0 ? &none : &pooler_pools[pool].overrides;

	return pooler_leak_action_of((int) pooler_pool_setting(overrides, POOLER_LEAK_ACTIONS), kind);
}

/*---------------------------------------------------------------------------
 * clients
 *---------------------------------------------------------------------------
 */

static LeakSight
see_at_backend(int slot, uint32 backend, LeakClient *who)
{
	uint64		w;

	if (backend >= (uint32) pooler_shared->nbackends)
		return LEAK_BETWEEN;
	w = pg_atomic_read_u64(&pooler_backends[backend].word);
	pg_read_barrier();
	who->word = w;
	who->state = pooler_backend_word_state(w);
	if (pooler_backend_word_client(w) != (uint32) slot ||
		pooler_backend_word_gen(w) != who->gen)
		return LEAK_BETWEEN;
	switch (who->state)
	{
		case POOLER_BACKEND_BUSY:
		case POOLER_BACKEND_PINNED:
		case POOLER_BACKEND_LINGERING:
			who->backend = (int) backend;
			return LEAK_SEEN;
		default:
			return LEAK_BETWEEN;
	}
}

LeakSight
pooler_leak_see(int slot, LeakClient *who)
{
	PoolerClient *client = &pooler_clients[slot];
	uint64		w = pg_atomic_read_u64(&client->word);

	pg_read_barrier();
	who->client = slot;
	who->gen = pooler_client_word_gen(w);
	who->id = client->id;
	/* pools of an earlier worker are others now */
	who->pool = pooler_worker_clients[slot].fd >= 0 ? client->pool : -1;
	who->queued = pooler_client_word_state(w) == POOLER_CLIENT_QUEUED;
	who->backend = -1;
	who->word = 0;
	who->state = POOLER_BACKEND_UNUSED;
	switch (pooler_client_word_state(w))
	{
		case POOLER_CLIENT_FREE:
		case POOLER_CLIENT_LOGIN:
		case POOLER_CLIENT_CONSOLE:
		case POOLER_CLIENT_REPLICATION:
			return LEAK_GONE;
		case POOLER_CLIENT_IDLE:
		case POOLER_CLIENT_QUEUED:
			return LEAK_SEEN;
		case POOLER_CLIENT_CLAIMED:
			return LEAK_BETWEEN;
		case POOLER_CLIENT_BACKEND:
			if (pooler_worker_clients[slot].login != NULL)
				return LEAK_GONE;	/* core logs it in */
			return see_at_backend(slot, pooler_client_word_backend(w), who);
	}
	return LEAK_GONE;
}

static bool
exceeds(TimestampTz since, uint32 limit)
{
	return TimestampTzPlusMilliseconds(since, (int64) limit) <= pooler_worker.now;
}

bool
pooler_leak_idle(const LeakClient *who, TimestampTz *since)
{
	if (who->backend >= 0)
		*since = pooler_backends[who->backend].state_since;
	else
		*since = pooler_clients[who->client].state_since;
	return who->backend < 0 ? !who->queued : who->state != POOLER_BACKEND_BUSY;
}

/*
 * What the client has sent may lie there for seconds before its backend is
 * given the processor, on a machine that has much else to do: that is not the
 * client's fault.  A system call, so only for who seems to be a leak.
 */
static bool
has_sent(int slot)
{
	int			fd = pooler_worker_clients[slot].fd;
	char		byte;

	return fd >= 0 && recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

static bool
is_idle_in_transaction(const LeakClient *who, uint32 limit, TimestampTz *since)
{
	PoolerBackend *b = &pooler_backends[who->backend];

	if (who->state != POOLER_BACKEND_BUSY ||
		pg_atomic_read_u32(&b->in_transaction) == 0)
		return false;
	pg_read_barrier();
	*since = b->idle_since;

	/*
	 * It says so until it answers, also while it works again: what the client
	 * has sent is in the socket or, later, with the backend.
	 */
	return exceeds(*since, limit) && !has_sent(who->client) &&
		!pooler_backend_runs_command(b);
}

/* Has somebody waited for so long that the pool must have nothing for him? */
static bool
is_waited_for(PoolerPool *pool, uint32 limit)
{
	TimestampTz queued_at;

	return pg_atomic_read_u32(&pool->nwaiting) > 0 && pool->nstarting == 0 &&
		pooler_queue_first(pool, &queued_at) >= 0 &&
		exceeds(queued_at, Min(limit, WAITED_MS));
}

/*
 * Those that pool_mode = session lets keep their backend may do so, as long as
 * nobody else needs it.
 */
static bool
is_pinned_idle(const LeakClient *who, uint32 limit, bool known, TimestampTz *since)
{
	PoolerBackend *b = &pooler_backends[who->backend];

	*since = b->state_since;
	if (who->state != POOLER_BACKEND_PINNED || !exceeds(*since, limit) ||
		has_sent(who->client))
		return false;
	return known || pg_atomic_read_u32(&b->pin) != POOLER_PIN_MODE ||
		(who->pool >= 0 && is_waited_for(&pooler_pools[who->pool], limit));
}

/* Numbers that have only grown; single words, so that no copy is needed. */
static bool
has_grown(PoolerBackend *b, PoolerLeakKind kind, uint32 limit,
		  TimestampTz *since, uint32 *amount)
{
	const volatile PoolerHoldings *held = &b->holdings;
	uint32		grown;

	*since = pg_atomic_read_u32(&b->pin) != POOLER_PIN_NONE ?
		b->pinned_since : b->state_since;
	switch (kind)
	{
		case POOLER_LEAK_LOCKS:
			grown = held->locks_grown;
			*amount = held->locks;
			break;
		case POOLER_LEAK_CURSORS:
			grown = held->cursors_grown;
			*amount = held->cursors;
			break;
		default:
			grown = held->temp_objects_grown;
			*amount = held->temp_objects;
			break;
	}
	return grown >= limit;
}

static bool
holds_at_backend(const LeakClient *who, PoolerLeakKind kind, uint32 limit,
				 bool known, TimestampTz *since, uint32 *amount)
{
	PoolerBackend *b = &pooler_backends[who->backend];
	bool		busy = who->state == POOLER_BACKEND_BUSY;

	switch (kind)
	{
		case POOLER_LEAK_IDLE_IN_TRANSACTION:
			return is_idle_in_transaction(who, limit, since);
		case POOLER_LEAK_TRANSACTION:
			*since = b->state_since;
			return busy && exceeds(*since, limit);
		case POOLER_LEAK_PINNED_IDLE:
			return is_pinned_idle(who, limit, known, since);
		case POOLER_LEAK_LOCKS:
		case POOLER_LEAK_CURSORS:
		case POOLER_LEAK_TEMP_OBJECTS:
			return (busy || who->state == POOLER_BACKEND_PINNED) &&
				has_grown(b, kind, limit, since, amount);
		default:
			return false;
	}
}

bool
pooler_leak_holds(const LeakClient *who, PoolerLeakKind kind, uint32 limit,
				  bool known, TimestampTz *since, uint32 *amount)
{
	PoolerClient *client = &pooler_clients[who->client];
	bool		holds;

	*since = 0;
	*amount = 0;
	if (kind == POOLER_LEAK_CONNECTION_IDLE)
		holds = pooler_leak_idle(who, since) && exceeds(*since, limit);
	else if (kind == POOLER_LEAK_STATEMENTS)
	{
		*since = client->connected_at;
		*amount = client->statements;
		holds = client->statements_grown >= limit;
	}
	else
		holds = who->backend >= 0 &&
			holds_at_backend(who, kind, limit, known, since, amount);
	if (!holds || who->backend < 0)
		return holds;
	/* all of that was of this client only if it still has the backend */
	pg_read_barrier();
	return pg_atomic_read_u64(&pooler_backends[who->backend].word) == who->word;
}

/*---------------------------------------------------------------------------
 * pools
 *---------------------------------------------------------------------------
 */

/* Is the backend kept from others by a client that runs nothing, and since? */
static bool
is_held(int backend, uint32 limit, TimestampTz *since, LeakClient *who)
{
	PoolerBackend *b = &pooler_backends[backend];
	uint32		client = pooler_backend_word_client(pg_atomic_read_u64(&b->word));

	if (client >= (uint32) pooler_shared->nclients ||
		pooler_leak_see((int) client, who) != LEAK_SEEN || who->backend != backend)
		return false;
	if (who->state == POOLER_BACKEND_BUSY)
		return is_idle_in_transaction(who, limit, since);
	*since = b->state_since;
	return who->state == POOLER_BACKEND_PINNED && exceeds(*since, limit) &&
		!has_sent((int) client);
}

/* known: then it is enough that anybody waits. */
bool
pooler_leak_pool_held(int index, uint32 limit, bool known, TimestampTz *since,
					  LeakClient *holder)
{
	PoolerPool *pool = &pooler_pools[index];
	TimestampTz first = 0;
	dlist_iter	iter;

	*since = 0;
	if (!pool->in_use || pg_atomic_read_u32(&pool->nwaiting) == 0 ||
		(!known && !is_waited_for(pool, limit)) ||
		(pool->flags & POOLER_POOL_PAUSED) != 0 ||
		pool->nbackends == 0 || pool->nstarting > 0)
		return false;
	dlist_foreach(iter, &pooler_worker_pools[index].backends)
	{
		WorkerBackend *wb = dlist_container(WorkerBackend, pool_node, iter.cur);
		TimestampTz idle;
		LeakClient	who;

		if (!is_held(wb - pooler_worker_backends, limit, &idle, &who))
			return false;
		*since = Max(*since, idle);
		if (first == 0 || idle < first)
		{
			first = idle;
			*holder = who;
		}
	}
	return first != 0;
}
