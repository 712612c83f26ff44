/*-------------------------------------------------------------------------
 *
 * dispatch.c
 *	  Who runs next, and on which backend.
 *
 * Runs in: the pooler.  The rules: first come, first served; a client that
 * becomes ready while others wait goes behind them; a client never waits for
 * one particular backend.  The order of the steps here and in backend/ (wait.c,
 * take.c, give_back.c) is what handover.pml checks: change neither alone.
 *
 *-------------------------------------------------------------------------
 */
#include "worker/internal.h"

/*
 * A backend that lingered on another client for less than this counts as in
 * use: better start one more, if the pool may grow, than let two active
 * clients take turns on one.
 */
#define RECENT_MS	1000

/*
 * Looks for an idle backend of the pool and claims it: the client's last one
 * if that is free, else any free one, else the one that has lingered longest.
 * -1 if there is none.
 */
static int
claim_idle(int pool, int preferred, bool *was_lingering)
{
	dlist_iter	iter;

	for (;;)
	{
		int			best = -1;
		int			best_rank = 0;
		TimestampTz best_since = 0;

		dlist_foreach(iter, &pooler_worker_pools[pool].backends)
		{
			WorkerBackend *wb = dlist_container(WorkerBackend, pool_node, iter.cur);
			int			i = wb - pooler_worker_backends;
			uint64		w = pg_atomic_read_u64(&pooler_backends[i].word);
			int			rank;

			switch (pooler_backend_word_state(w))
			{
				case POOLER_BACKEND_FREE:
					rank = i == preferred ? 3 : 2;
					break;
				case POOLER_BACKEND_LINGERING:
					rank = 1;
					break;
				default:
					continue;
			}
			if (rank > best_rank ||
				(rank == best_rank && pooler_backends[i].state_since < best_since))
			{
				best = i;
				best_rank = rank;
				best_since = pooler_backends[i].state_since;
			}
			if (rank == 3)
				break;
		}
		if (best < 0)
			return -1;
		if (pooler_backend_claim(best))
		{
			*was_lingering = best_rank == 1 &&
				!TimestampDifferenceExceeds(best_since, pooler_worker.now, RECENT_MS);
			return best;
		}
	}
}

/* A client that nobody has to wait for goes straight to an idle backend. */
static bool
give_at_once(int client)
{
	PoolerClient *c = &pooler_clients[client];
	PoolerPool *pool = &pooler_pools[c->pool];
	bool		was_lingering = false;
	int			backend;

	if (pg_atomic_read_u32(&pool->nwaiting) > 0 ||
		(pool->flags & POOLER_POOL_PAUSED) != 0)
		return false;
	backend = claim_idle(c->pool, c->last_backend, &was_lingering);
	if (backend < 0)
		return false;
	pooler_backends[backend].taking = client;
	pooler_backends[backend].taking_gen = pooler_client_gen(c);
	pooler_client_set_state(client, POOLER_CLIENT_CLAIMED, backend);
	pooler_backend_give(backend, client);
	if (was_lingering)
		pooler_pool_add(c->pool);
	return true;
}

void
pooler_dispatch_feed(int pool_index)
{
	PoolerPool *pool = &pooler_pools[pool_index];
	bool		was_lingering;

	while (pooler_queue_maybe(pool))
	{
		int			backend = claim_idle(pool_index, -1, &was_lingering);
		int			client;

		if (backend < 0)
			break;
		client = pooler_queue_pop(pool, backend, POOLER_CLIENT_CLAIMED,
								  pooler_worker.epoch);
		if (client < 0)
		{
			pooler_backend_release(backend);
			break;
		}
		pooler_backend_give(backend, client);
	}
	if (pg_atomic_read_u32(&pool->nwaiting) > 0)
		pooler_pool_grow(pool_index);
}

void
pooler_dispatch_ready(int client)
{
	int			pool = pooler_clients[client].pool;

	pooler_worker_clients[client].hangup_armed = false;
	if (give_at_once(client))
		return;
	pooler_queue_push(&pooler_pools[pool], client, pooler_worker.now);
	pooler_worker_tick_within(100);
	pooler_dispatch_feed(pool);
}
