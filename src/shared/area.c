/*-------------------------------------------------------------------------
 *
 * area.c
 *	  Dynamic shared memory: what clients carry, and prepared statements.
 *
 * Runs in: the postmaster (creation); pooler and pool backends (use).
 *
 *-------------------------------------------------------------------------
 */
#include "shared/area.h"

#include "shared/shmem.h"
#include "storage/ipc.h"
#include "utils/memutils.h"

/* What fits in here needs no segment. */
#define INITIAL_SIZE	(512 * 1024)

Size
pooler_area_size(void)
{
	return Max(MAXALIGN(INITIAL_SIZE), dsa_minimum_size());
}

/*
 * As core does it for its statistics (pgstat_shmem.c): created before there
 * are segments, pinned for the server's life.
 */
dsa_area *
pooler_area_create(void *place, int tranche)
{
	dsa_area   *area = dsa_create_in_place(place, pooler_area_size(), tranche, NULL);

	dsa_pin(area);
	return area;
}

dsa_area *
pooler_area(void)
{
	static dsa_area *area = NULL;
	MemoryContext old;

	if (area != NULL)
		return area;
	LWLockRegisterTranche(pooler_shared->area_tranche, "PoolerArea");
	old = MemoryContextSwitchTo(TopMemoryContext);
	area = dsa_attach_in_place(pooler_area_place, NULL);
	dsa_pin_mapping(area);
	/* who attaches to one that is in no segment has to let go of it (dsa.c) */
	on_shmem_exit(dsa_on_shmem_exit_release_in_place,
				  PointerGetDatum(pooler_area_place));
	MemoryContextSwitchTo(old);
	return area;
}

PoolerAreaGuard
pooler_area_guard(void)
{
	PoolerAreaGuard guard = {
		CurrentMemoryContext, InterruptHoldoffCount, QueryCancelHoldoffCount
	};

	return guard;
}

/*
 * No transaction is aborted, which elog.h asks of who does not rethrow: what
 * raises is dsa.c or dshash.c for want of memory, which leave nothing behind
 * but LWLocks, and the caller holds none.
 */
void
pooler_area_recover(const PoolerAreaGuard *guard)
{
	MemoryContextSwitchTo(guard->cxt);
	FlushErrorState();
	LWLockReleaseAll();
	InterruptHoldoffCount = guard->holdoff;
	QueryCancelHoldoffCount = guard->cancel_holdoff;
}

dsa_pointer
pooler_area_allocate(Size size)
{
	PoolerAreaGuard guard = pooler_area_guard();
	dsa_area   *area = pooler_area();
	volatile dsa_pointer result = InvalidDsaPointer;

	PG_TRY();
	{
		result = dsa_allocate_extended(area, size, DSA_ALLOC_NO_OOM);
	}
	PG_CATCH();
	{
		pooler_area_recover(&guard);
	}
	PG_END_TRY();
	return result;
}
