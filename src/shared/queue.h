/*-------------------------------------------------------------------------
 *
 * queue.h
 *	  The ready queue of a pool: clients that wait for a backend.
 *
 * Runs in: pooler and pool backends.  An intrusive list through the client
 * slots under the pool's spinlock, so that it can't overflow and removal from
 * the middle costs nothing.  Membership in the list is what decides who may
 * move a client out of QUEUED: whoever unlinks it, under the lock.  Must not
 * raise errors, since the caller holds or is about to take a spinlock.
 *
 *-------------------------------------------------------------------------
 */
#ifndef POOLER_QUEUE_H
#define POOLER_QUEUE_H

#include "shared/shmem.h"

extern void pooler_queue_init(PoolerPool *pool);

/*
 * Worker: puts a client at the tail; its word goes from IDLE to QUEUED.
 * Ends with a full barrier, so that a backend that does not see the client
 * in the queue is seen as idle by the caller.
 */
extern void pooler_queue_push(PoolerPool *pool, int32 client, TimestampTz now);

/*
 * Worker: puts a client back at the head, with its old queued_at if it has
 * waited before.  Its word goes from CLAIMED or BACKEND to QUEUED.  Full
 * barrier as above.
 */
extern void pooler_queue_put_back(PoolerPool *pool, int32 client,
								  TimestampTz now);

/*
 * Takes the first client for a backend: the client's word becomes 'state'
 * (BACKEND when the backend itself pops, CLAIMED when the worker pops for it)
 * with a new serial, and the backend's slot notes it as being taken, all
 * inside the lock, so that a death right after it loses nobody.  Pops only
 * under the given epoch and not from a paused pool.  Returns -1 if there is
 * nothing to take.
 */
extern int32 pooler_queue_pop(PoolerPool *pool, int32 backend,
							  PoolerClientState state, uint32 epoch);

/*
 * Worker: takes a given client out if it is still in the queue; its word goes
 * from QUEUED to IDLE.  False if a backend was faster.
 */
extern bool pooler_queue_remove(PoolerPool *pool, int32 client, uint32 gen);

/*
 * The first client's slot and since when it waits; -1 if there is none.
 * Its word may have changed by the time the caller looks at it.
 */
extern int32 pooler_queue_first(PoolerPool *pool, TimestampTz *since);

/* Sets or clears flags of the pool (POOLER_POOL_*), with a full barrier. */
extern void pooler_pool_set_flags(PoolerPool *pool, uint32 set, uint32 clear);

/* A hint without the lock: might a pop find somebody? */
static inline bool
pooler_queue_maybe(PoolerPool *pool)
{
	return pg_atomic_read_u32(&pool->nwaiting) > 0 &&
		(pool->flags & POOLER_POOL_CLOSED) == 0;
}

#endif							/* POOLER_QUEUE_H */
