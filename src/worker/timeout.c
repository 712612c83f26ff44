/*-------------------------------------------------------------------------
 *
 * timeout.c
 *	  Clients that wait for a backend, or are idle, for too long.
 *
 * Runs in: the pooler, at ticks.  Ticks come when the first of all timeouts
 * in force can have passed (pooler_timeout_passed()), and once a second in
 * any case.  None acts too early; one whose end was not foreseen acts at the
 * next tick.  Timeouts of clients that have a backend are in overrun.c.
 *
 *-------------------------------------------------------------------------
 */
#include "worker/internal.h"

#include <sys/socket.h>

#include "storage/proc.h"

/* Looks at idle clients are at most this far apart, in ms. */
#define MAX_IDLE_LOOK	1000

bool
pooler_timeout_passed(TimestampTz since, int ms)
{
	TimestampTz end = TimestampTzPlusMilliseconds(since, ms);

	if (end <= pooler_worker.now)
		return true;
	/* at most a second: nobody needs to know of a later one yet */
	pooler_worker_tick_within((int) Min((end - pooler_worker.now) / 1000 + 1, 1000));
	return false;
}

/*---------------------------------------------------------------------------
 * clients that wait: query_wait_timeout, query_wait_notify
 *---------------------------------------------------------------------------
 */

static void
end_waiting(int slot)
{
	PoolerPool *pool = &pooler_pools[pooler_clients[slot].pool];

	if (!pooler_queue_remove(pool, slot, pooler_client_gen(&pooler_clients[slot])))
		return;					/* a backend was faster */
	pooler_pool_counters(pool)->wait_timeouts++;
	pooler_client_close_for(slot, POOLER_END_QUERY_WAIT_TIMEOUT);
}

/*
 * The client's socket is the pooler's as long as the client is in the queue.
 * So that it stays there, backends find the queue empty for a moment: its
 * place is kept, and nobody overtakes it.  One that has gone idle meanwhile is
 * found by the dispatcher.
 */
static void
notify_waiting(int slot)
{
	WorkerClient *wc = &pooler_worker_clients[slot];
	PoolerClient *client = &pooler_clients[slot];
	PoolerPool *pool = &pooler_pools[client->pool];
	uint8_t		buf[512];
	PoolerWriter w = pooler_writer(buf, sizeof(buf));
	PoolerErrorFields notice = {.severity = "NOTICE", .sqlstate = "00000"};
	char		detail[128];
	ssize_t		sent = 0;
	bool		waits;

	wc->notified = client->queued_at;
	snprintf(detail, sizeof(detail), _("Clients of the pool that wait: %u; backends: %d."),
			 pg_atomic_read_u32(&pool->nwaiting), pool->nbackends);
	notice.message = _("waiting for a backend");
	notice.detail = detail;
	pooler_build_report(&w, 'N', &notice);

	pooler_pool_set_flags(pool, POOLER_POOL_HELD, 0);
	waits = pooler_client_state(slot) == POOLER_CLIENT_QUEUED;
	if (waits && pooler_writer_fits(&w))
		sent = send(wc->fd, buf, w.len, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (waits && sent > 0)
		pooler_pool_counters(pool)->wait_notices++;
	if (waits && sent > 0 && sent < (ssize_t) w.len)
	{
		/* half a message: nothing else can be sent any more */
		(void) pooler_queue_remove(pool, slot, pooler_client_gen(client));
		pooler_client_close(slot, NULL, NULL);
	}
	pooler_pool_set_flags(pool, 0, POOLER_POOL_HELD);
	pooler_dispatch_feed(pool - pooler_pools);
}

static void
check_waiting(int slot)
{
	PoolerClient *client = &pooler_clients[slot];
	PoolerPool *pool;
	TimestampTz since = client->queued_at;
	TimestampTz resumed;
	int			timeout;
	int			notify;

	if (pooler_worker_clients[slot].fd < 0 ||
		pooler_client_state(slot) != POOLER_CLIENT_QUEUED || since == 0)
		return;
	pool = &pooler_pools[client->pool];
	timeout = pooler_pool_ms(pool, POOLER_QUERY_WAIT_TIMEOUT);
	notify = pooler_pool_ms(pool, POOLER_QUERY_WAIT_NOTIFY);
	resumed = pooler_worker_pools[client->pool].resumed_at;
	/* a pause must not cost anybody his connection */
	if (timeout > 0 && (pool->flags & POOLER_POOL_PAUSED) == 0 &&
		pooler_timeout_passed(Max(since, resumed), timeout))
		end_waiting(slot);
	else if (notify > 0 && pooler_worker_clients[slot].notified != since &&
			 pooler_timeout_passed(since, notify))
		notify_waiting(slot);
}

/*---------------------------------------------------------------------------
 * clients that are idle: client_idle_timeout, idle_session_timeout
 *---------------------------------------------------------------------------
 */

static int
shorter(int a, int b)
{
	return a == 0 || (b > 0 && b < a) ? b : a;
}

/* The server's setting, as this client has it; 0: none. */
static int
idle_session_timeout_of(const PoolerClient *client)
{
	if (client->idle_session_timeout != POOLER_SERVERS_OWN)
		return client->idle_session_timeout;
	if (client->transactions == 0 &&
		pooler_pools[client->pool].idle_session_timeout != POOLER_SERVERS_OWN)
		return pooler_pools[client->pool].idle_session_timeout;
	return IdleSessionTimeout;
}

/*
 * Is the client idle outside a transaction, and since when?  One that lingers
 * is, and so is one that is pinned, which core ends by its own timer for
 * idle_session_timeout.
 */
static bool
is_idle(int slot, TimestampTz *since, bool *pinned)
{
	PoolerClient *client = &pooler_clients[slot];
	uint64		w = pg_atomic_read_u64(&client->word);
	PoolerBackend *b = &pooler_backends[pooler_client_word_backend(w)];
	uint64		bw;

	*pinned = false;
	pg_read_barrier();
	if (pooler_client_word_state(w) == POOLER_CLIENT_IDLE)
	{
		*since = client->state_since;
		return true;
	}
	if (pooler_client_word_state(w) != POOLER_CLIENT_BACKEND)
		return false;
	bw = pg_atomic_read_u64(&b->word);
	pg_read_barrier();
	*since = b->state_since;
	*pinned = pooler_backend_word_state(bw) == POOLER_BACKEND_PINNED;
	return (*pinned || pooler_backend_word_state(bw) == POOLER_BACKEND_LINGERING) &&
		pooler_backend_word_client(bw) == (uint32) slot &&
		pooler_backend_word_gen(bw) == pooler_client_word_gen(w);
}

bool
pooler_client_has_sent_command(int slot)
{
	static uint8_t buf[8192];
	ssize_t		n = recv(pooler_worker_clients[slot].fd, buf, sizeof(buf),
						 MSG_PEEK | MSG_DONTWAIT);

	return n > 0 &&
		pooler_frame_inspect(buf, n, sizeof(buf)).verdict == POOLER_FRAME_READY;
}

/*
 * One that lingers comes to the pooler first; it may send something on the
 * way, which is served.
 */
static void
end_idle(int slot, PoolerEndReason reason)
{
	PoolerPool *pool = &pooler_pools[pooler_clients[slot].pool];
	bool		ours = pooler_client_state(slot) == POOLER_CLIENT_IDLE;

	if (ours && pooler_client_has_sent_command(slot))
		return;
	if (!pooler_client_end(slot, reason))
		pooler_worker_tick_within(5);
	else if (ours)
		pooler_pool_counters(pool)->client_idle_timeouts++;
}

static void
check_idle(int slot)
{
	PoolerClient *client = &pooler_clients[slot];
	TimestampTz since;
	bool		pinned;
	int			by_pooler;
	int			by_server;

	if (pooler_worker_clients[slot].fd < 0 || client->pool < 0 ||
		pooler_worker_clients[slot].login != NULL ||
		!is_idle(slot, &since, &pinned))
		return;
	by_pooler = pooler_pool_ms(&pooler_pools[client->pool], POOLER_CLIENT_IDLE_TIMEOUT);
	by_server = pinned ? 0 : idle_session_timeout_of(client);
	if (by_pooler > 0 && pooler_timeout_passed(since, by_pooler))
		end_idle(slot, POOLER_END_CLIENT_IDLE_TIMEOUT);
	else if (by_server > 0 && pooler_timeout_passed(since, by_server))
		end_idle(slot, POOLER_END_IDLE_SESSION_TIMEOUT);
}

/*
 * shortest: client_idle_timeout of any pool.  A session may have any other, of
 * which nobody tells; who sets it for the first time may have to wait for the
 * next tick.
 */
static void
check_all_idle(int shortest)
{
	shortest = shorter(shortest, IdleSessionTimeout);
	if (pg_atomic_read_u32(&pooler_shared->idle_sessions) != 0)
		shortest = shorter(shortest, MAX_IDLE_LOOK);
	if (shortest == 0)
		return;
	for (int i = 0; i < pooler_shared->nclients; i++)
		check_idle(i);
	/* who becomes idle from now on */
	pooler_worker_tick_within(Min(shortest, MAX_IDLE_LOOK));
}

/*---------------------------------------------------------------------------
 * somebody new
 *---------------------------------------------------------------------------
 */

void
pooler_timeout_begin(int index)
{
	static const PoolerPoolSetting settings[] = {
		POOLER_QUERY_TIMEOUT, POOLER_TRANSACTION_TIMEOUT,
		POOLER_IDLE_TRANSACTION_TIMEOUT, POOLER_CLIENT_IDLE_TIMEOUT
	};
	int			shortest = IdleSessionTimeout;

	for (int i = 0; i < (int) lengthof(settings); i++)
		shortest = shorter(shortest, pooler_pool_ms(&pooler_pools[index], settings[i]));
	if (shortest > 0)
		pooler_worker_tick_within(Min(shortest, 1000));
}

/*---------------------------------------------------------------------------
 * the tick
 *---------------------------------------------------------------------------
 */

void
pooler_timeout_tick(void)
{
	bool		waiting = false;
	int			idle = 0;

	for (int i = 0; i < pooler_shared->npools; i++)
	{
		PoolerPool *pool = &pooler_pools[i];

		if (!pool->in_use)
			continue;
		if (pool->nclients > 0)
			idle = shorter(idle, pooler_pool_ms(pool, POOLER_CLIENT_IDLE_TIMEOUT));
		pooler_overrun_check(i);
		if (pg_atomic_read_u32(&pool->nwaiting) > 0)
		{
			waiting = true;
			pooler_stall_check(i);
		}
	}
	for (int i = 0; i < pooler_shared->nclients && waiting; i++)
		check_waiting(i);
	check_all_idle(idle);
	pooler_stall_check_pins();
	pooler_cancel_tick();
}
