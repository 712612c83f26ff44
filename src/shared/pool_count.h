/*-------------------------------------------------------------------------
 *
 * pool_count.h
 *	  How many clients and backends of a pool do what.
 *
 * Runs in: any process.  The views and the console count with the same
 * function, so that they can't contradict each other.
 *
 *-------------------------------------------------------------------------
 */
#ifndef POOLER_POOL_COUNT_H
#define POOLER_POOL_COUNT_H

#include "shared/json.h"
#include "shared/shmem.h"

/*
 * Counted from the slots of clients and backends, and not taken from the
 * pool's own numbers, so that the columns of one row add up.
 */
typedef struct PoolerPoolCount
{
	int32		clients_idle;
	int32		clients_waiting;
	int32		clients_active;
	TimestampTz first_queued_at;	/* 0: nobody waits */
	int32		backends_starting;
	int32		backends_free;
	int32		backends_lingering;
	int32		backends_pinned;
	int32		backends_busy;
	int32		backends_ending;
} PoolerPoolCount;

/*
 * One for each slot of a pool, in the caller's memory context.  Looks at all
 * slots of clients and backends, without a lock.
 */
extern PoolerPoolCount *pooler_count_pools(void);

/* How many do what, as members of an object that the caller opens and closes. */
extern void pooler_json_backends(const PoolerJson *json, const PoolerPoolCount *count);
extern void pooler_json_clients(const PoolerJson *json, const PoolerPoolCount *count);

/* Slots in use: those of logins, the console and dying backends included. */
extern int32 pooler_count_client_slots(void);
extern int32 pooler_count_backend_slots(void);

/* active, paused, suspended or closed; if the pooler runs. */
extern const char *pooler_state_name(void);

#endif							/* POOLER_POOL_COUNT_H */
