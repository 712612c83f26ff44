/*-------------------------------------------------------------------------
 *
 * hold.c
 *	  Which databases are paused or disabled, and whether all are.
 *
 * Runs in: any process reads, the pooler alone writes.  A database and its
 * flags are one word, so that no lock is needed.  Raises nothing.
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "shared/hold.h"

static Oid
dbid_of(uint64 entry)
{
	return (Oid) (entry >> 32);
}

/* The place of a database in the table; of InvalidOid, a free one; or -1. */
static int
find(Oid dbid)
{
	for (int i = 0; i < POOLER_MAX_HOLDS; i++)
	{
		if (dbid_of(pg_atomic_read_u64(&pooler_shared->holds[i])) == dbid)
			return i;
	}
	return -1;
}

uint32
pooler_hold_flags(Oid dbid)
{
	if (!OidIsValid(dbid))
		return pg_atomic_read_u32(&pooler_shared->hold_all);
	if (pg_atomic_read_u32(&pooler_shared->nholds) == 0)
		return 0;
	for (int i = 0; i < POOLER_MAX_HOLDS; i++)
	{
		uint64		entry = pg_atomic_read_u64(&pooler_shared->holds[i]);

		if (dbid_of(entry) == dbid)
			return (uint32) entry;
	}
	return 0;
}

bool
pooler_hold_paused(Oid dbid)
{
	return ((pooler_hold_flags(InvalidOid) | pooler_hold_flags(dbid)) &
			(POOLER_HOLD_PAUSED | POOLER_HOLD_SUSPENDED)) != 0;
}

bool
pooler_hold_disabled(Oid dbid)
{
	return (pooler_hold_flags(dbid) & POOLER_HOLD_DISABLED) != 0;
}

bool
pooler_hold_any_paused(void)
{
	for (int i = 0; i < POOLER_MAX_HOLDS; i++)
	{
		if (pg_atomic_read_u64(&pooler_shared->holds[i]) & POOLER_HOLD_PAUSED)
			return true;
	}
	return false;
}

bool
pooler_hold_change(Oid dbid, uint32 set, uint32 clear)
{
	uint32		flags = (pooler_hold_flags(dbid) & ~clear) | set;
	int			place;

	if (!OidIsValid(dbid))
	{
		pg_atomic_write_u32(&pooler_shared->hold_all, flags);
		return true;
	}
	place = find(dbid);
	if (place < 0)
	{
		if (flags == 0)
			return true;
		place = find(InvalidOid);
		if (place < 0)
			return false;
		pg_atomic_fetch_add_u32(&pooler_shared->nholds, 1);
	}
	else if (flags == 0)
		pg_atomic_fetch_sub_u32(&pooler_shared->nholds, 1);
	pg_atomic_write_u64(&pooler_shared->holds[place],
						flags == 0 ? 0 : ((uint64) dbid << 32) | flags);
	return true;
}

Oid
pooler_hold_database(int place)
{
	return dbid_of(pg_atomic_read_u64(&pooler_shared->holds[place]));
}
