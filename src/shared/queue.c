/*-------------------------------------------------------------------------
 *
 * queue.c
 *	  The ready queue of a pool.
 *
 * Runs in: pooler and pool backends.  Everything between SpinLockAcquire and
 * SpinLockRelease is a few loads and stores: no calls that can raise.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "shared/queue.h"
#include "utils/timestamp.h"

void
pooler_queue_init(PoolerPool *pool)
{
	SpinLockInit(&pool->mutex);
	pool->head = pool->tail = -1;
	pool->flags = 0;
	pg_atomic_init_u32(&pool->nwaiting, 0);
}

/* Under the mutex: the client's word becomes 'state' for 'backend'. */
static void
queue_move(PoolerClient *client, PoolerClientState state, uint32 backend,
		   bool new_serial)
{
	uint64		w = pg_atomic_read_u64(&client->word);

	pg_atomic_write_u64(&client->word,
						pooler_client_word(state, backend,
										   pooler_client_word_gen(w),
										   pooler_client_word_serial(w) +
										   (new_serial ? 1 : 0)));
}

static void
queue_link_tail(PoolerPool *pool, int32 client)
{
	PoolerClient *c = &pooler_clients[client];

	c->next = -1;
	c->prev = pool->tail;
	if (pool->tail >= 0)
		pooler_clients[pool->tail].next = client;
	else
		pool->head = client;
	pool->tail = client;
	pg_atomic_write_u32(&pool->nwaiting,
						pg_atomic_read_u32(&pool->nwaiting) + 1);
}

static void
queue_link_head(PoolerPool *pool, int32 client)
{
	PoolerClient *c = &pooler_clients[client];

	c->prev = -1;
	c->next = pool->head;
	if (pool->head >= 0)
		pooler_clients[pool->head].prev = client;
	else
		pool->tail = client;
	pool->head = client;
	pg_atomic_write_u32(&pool->nwaiting,
						pg_atomic_read_u32(&pool->nwaiting) + 1);
}

static void
queue_unlink(PoolerPool *pool, int32 client)
{
	PoolerClient *c = &pooler_clients[client];

	if (c->prev >= 0)
		pooler_clients[c->prev].next = c->next;
	else
		pool->head = c->next;
	if (c->next >= 0)
		pooler_clients[c->next].prev = c->prev;
	else
		pool->tail = c->prev;
	c->next = c->prev = -1;
	pg_atomic_write_u32(&pool->nwaiting,
						pg_atomic_read_u32(&pool->nwaiting) - 1);
}

void
pooler_queue_push(PoolerPool *pool, int32 client, TimestampTz now)
{
	PoolerClient *c = &pooler_clients[client];

	Assert(pooler_client_word_state(pg_atomic_read_u64(&c->word)) ==
		   POOLER_CLIENT_IDLE);

	SpinLockAcquire(&pool->mutex);
	c->queued_at = now;
	c->state_since = now;
	queue_move(c, POOLER_CLIENT_QUEUED, 0, false);
	queue_link_tail(pool, client);
	SpinLockRelease(&pool->mutex);
	pg_memory_barrier();
}

void
pooler_queue_put_back(PoolerPool *pool, int32 client, TimestampTz now)
{
	PoolerClient *c = &pooler_clients[client];

	SpinLockAcquire(&pool->mutex);
	if (c->queued_at == 0)
		c->queued_at = now;
	queue_move(c, POOLER_CLIENT_QUEUED, 0, false);
	queue_link_head(pool, client);
	SpinLockRelease(&pool->mutex);
	pg_memory_barrier();
}

int32
pooler_queue_pop(PoolerPool *pool, int32 backend, PoolerClientState state,
				 uint32 epoch)
{
	PoolerBackend *b = &pooler_backends[backend];
	int32		client;

	SpinLockAcquire(&pool->mutex);
	client = pool->head;
	if ((pool->flags & POOLER_POOL_CLOSED) ||
		pg_atomic_read_u32(&pooler_shared->epoch) != epoch)
		client = -1;
	if (client >= 0)
	{
		PoolerClient *c = &pooler_clients[client];

		queue_unlink(pool, client);
		queue_move(c, state, backend, true);
		b->taking = client;
		b->taking_gen = pooler_client_gen(c);
	}
	SpinLockRelease(&pool->mutex);
	return client;
}

/* The longest waits must not be missing because they had no success. */
static void
count_vain_wait(const PoolerPool *pool, TimestampTz waited)
{
	PoolerTally *tally = &pooler_tallies[pool->tally];
	uint64		us = Max(waited, 0);

	tally->counters.waits++;
	tally->counters.wait_us += us;
	tally->counters.max_wait_us = Max(tally->counters.max_wait_us, us);
	pooler_histogram_record(&tally->times[POOLER_TIME_WAIT], us);
}

bool
pooler_queue_remove(PoolerPool *pool, int32 client, uint32 gen)
{
	PoolerClient *c = &pooler_clients[client];
	uint64		w;
	bool		found;
	TimestampTz queued_at = 0;

	SpinLockAcquire(&pool->mutex);
	w = pg_atomic_read_u64(&c->word);
	found = pooler_client_word_state(w) == POOLER_CLIENT_QUEUED &&
		pooler_client_word_gen(w) == gen;
	if (found)
	{
		queue_unlink(pool, client);
		queue_move(c, POOLER_CLIENT_IDLE, 0, false);
		queued_at = c->queued_at;
		c->queued_at = 0;
	}
	SpinLockRelease(&pool->mutex);
	if (found)
		count_vain_wait(pool, GetCurrentTimestamp() - queued_at);
	return found;
}

int32
pooler_queue_first(PoolerPool *pool, TimestampTz *since)
{
	int32		client;

	SpinLockAcquire(&pool->mutex);
	client = pool->head;
	*since = client >= 0 ? pooler_clients[client].queued_at : 0;
	SpinLockRelease(&pool->mutex);
	return client;
}

void
pooler_pool_set_flags(PoolerPool *pool, uint32 set, uint32 clear)
{
	SpinLockAcquire(&pool->mutex);
	pool->flags = (pool->flags | set) & ~clear;
	SpinLockRelease(&pool->mutex);
	pg_memory_barrier();
}
