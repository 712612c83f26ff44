/*-------------------------------------------------------------------------
 *
 * pool_count.c
 *	  How many clients and backends of a pool do what.
 *
 * Runs in: any process.  Reads shared memory through snapshots and changes
 * nothing there.
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "shared/hold.h"
#include "shared/pool_count.h"
#include "shared/snapshot.h"
#include "storage/shmem.h"

static void
count_client(PoolerPoolCount *count, const PoolerClientSnapshot *snap)
{
	switch (snap->activity)
	{
		case POOLER_ACTIVITY_LOGIN:
		case POOLER_ACTIVITY_CONSOLE:
		case POOLER_ACTIVITY_REPLICATION:
			break;				/* in no pool */
		case POOLER_ACTIVITY_IDLE:
		case POOLER_ACTIVITY_PINNED:
			count->clients_idle++;
			break;
		case POOLER_ACTIVITY_WAITING:
			count->clients_waiting++;
			if (count->first_queued_at == 0 ||
				snap->queued_at < count->first_queued_at)
				count->first_queued_at = snap->queued_at;
			break;
		case POOLER_ACTIVITY_HANDOVER:
		case POOLER_ACTIVITY_ACTIVE:
		case POOLER_ACTIVITY_LOST:
			count->clients_active++;
			break;
	}
}

static void
count_backend(PoolerPoolCount *count, const PoolerBackendSnapshot *snap)
{
	switch (snap->state)
	{
		case POOLER_BACKEND_UNUSED:
			break;
		case POOLER_BACKEND_STARTING:
			count->backends_starting++;
			break;
		case POOLER_BACKEND_FREE:
			count->backends_free++;
			break;
		case POOLER_BACKEND_LINGERING:
			count->backends_lingering++;
			break;
		case POOLER_BACKEND_PINNED:
			count->backends_pinned++;
			break;
		case POOLER_BACKEND_BUSY:
		case POOLER_BACKEND_TAKING:
		case POOLER_BACKEND_CLAIMED:
		case POOLER_BACKEND_CANCELLING:
			count->backends_busy++;
			break;
		case POOLER_BACKEND_DEAD:
			count->backends_ending++;
			break;
	}
}

PoolerPoolCount *
pooler_count_pools(void)
{
	Size		size = mul_size(pooler_shared->npools, sizeof(PoolerPoolCount));
	PoolerPoolCount *counts = MemoryContextAllocExtended(CurrentMemoryContext, size,
														 MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);

	for (int32 i = 0; i < pooler_shared->nclients; i++)
	{
		PoolerClientSnapshot snap;

		CHECK_FOR_INTERRUPTS();
		if (pooler_snapshot_client(i, &snap) && snap.pool >= 0)
			count_client(&counts[snap.pool], &snap);
	}
	for (int32 i = 0; i < pooler_shared->nbackends; i++)
	{
		PoolerBackendSnapshot snap;

		CHECK_FOR_INTERRUPTS();
		if (pooler_snapshot_backend(i, &snap) && snap.pool >= 0)
			count_backend(&counts[snap.pool], &snap);
	}
	return counts;
}

void
pooler_json_backends(const PoolerJson *json, const PoolerPoolCount *count)
{
	pooler_json_int(json, "starting", count->backends_starting);
	pooler_json_int(json, "free", count->backends_free);
	pooler_json_int(json, "lingering", count->backends_lingering);
	pooler_json_int(json, "pinned", count->backends_pinned);
	pooler_json_int(json, "busy", count->backends_busy);
	pooler_json_int(json, "ending", count->backends_ending);
}

void
pooler_json_clients(const PoolerJson *json, const PoolerPoolCount *count)
{
	pooler_json_int(json, "idle", count->clients_idle);
	pooler_json_int(json, "waiting", count->clients_waiting);
	pooler_json_int(json, "active", count->clients_active);
}

int32
pooler_count_client_slots(void)
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

int32
pooler_count_backend_slots(void)
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

const char *
pooler_state_name(void)
{
	uint32		flags = pooler_hold_flags(InvalidOid);

	if (pooler_shared->port == 0)
		return "closed";
	if (flags & POOLER_HOLD_SUSPENDED)
		return "suspended";
	return flags & POOLER_HOLD_PAUSED ? "paused" : "active";
}
