/*-------------------------------------------------------------------------
 *
 * evict.c
 *	  Databases that idle pool backends have to leave.
 *
 * Runs in: any backend and the pooler.  Raises nothing.
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "shared/evict.h"
#include "storage/procarray.h"

static bool asked;				/* this process has slots */

void
pooler_evict_begin(Oid dbid)
{
	PoolerShared *s = pooler_shared;

	SpinLockAcquire(&s->evict_mutex);
	for (int i = 0; i < POOLER_MAX_EVICTIONS; i++)
	{
		if (s->evictions[i].pid == MyProcPid && s->evictions[i].dbid == dbid)
			break;
		if (s->evictions[i].pid == 0)
		{
			s->evictions[i].pid = MyProcPid;
			s->evictions[i].dbid = dbid;
			pg_atomic_fetch_add_u32(&s->nevictions, 1);
			asked = true;
			break;
		}
	}
	SpinLockRelease(&s->evict_mutex);
	(void) pooler_wake_worker();
}

/* Frees the slots of one process, or of those that are gone. */
static void
free_slots(int pid)
{
	PoolerShared *s = pooler_shared;

	for (int i = 0; i < POOLER_MAX_EVICTIONS; i++)
	{
		int			owner = s->evictions[i].pid;

		if (owner == 0 || (pid != 0 ? owner != pid : BackendPidGetProc(owner) != NULL))
			continue;
		SpinLockAcquire(&s->evict_mutex);
		if (s->evictions[i].pid == owner)
		{
			s->evictions[i].pid = 0;
			pg_atomic_fetch_sub_u32(&s->nevictions, 1);
		}
		SpinLockRelease(&s->evict_mutex);
	}
}

void
pooler_evict_end(void)
{
	if (!asked)
		return;
	asked = false;
	free_slots(MyProcPid);
	(void) pooler_wake_worker();
}

void
pooler_tell_defaults_changed(void)
{
	pg_atomic_fetch_add_u32(&pooler_shared->defaults_gen, 1);
	(void) pooler_wake_worker();
}

bool
pooler_evict_any(void)
{
	return pg_atomic_read_u32(&pooler_shared->nevictions) > 0;
}

bool
pooler_evict_wanted(Oid dbid)
{
	bool		wanted = false;

	if (!pooler_evict_any())
		return false;
	SpinLockAcquire(&pooler_shared->evict_mutex);
	for (int i = 0; i < POOLER_MAX_EVICTIONS; i++)
	{
		if (pooler_shared->evictions[i].pid != 0 &&
			pooler_shared->evictions[i].dbid == dbid)
			wanted = true;
	}
	SpinLockRelease(&pooler_shared->evict_mutex);
	return wanted;
}

void
pooler_evict_forget_dead(void)
{
	if (pooler_evict_any())
		free_slots(0);
}
