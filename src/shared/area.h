/*-------------------------------------------------------------------------
 *
 * area.h
 *	  Dynamic shared memory: what clients carry, and prepared statements.
 *
 * Runs in: any process.  The area lies in the server's main shared memory and
 * grows by segments; each process attaches at its first use and stays.
 *
 *-------------------------------------------------------------------------
 */
#ifndef POOLER_AREA_H
#define POOLER_AREA_H

#include "compat.h"

#include "utils/dsa.h"

/* For the server's start, in the postmaster: size to reserve, and creation. */
extern Size pooler_area_size(void);
extern dsa_area *pooler_area_create(void *place, int tranche);

/* The area, attached.  Never NULL; raises FATAL if it can't be attached. */
extern dsa_area *pooler_area(void);

/*
 * What dsa.c and dshash.c raise may come with their locks held, which outside
 * of a transaction nobody would release.  To be taken before PG_TRY, and given
 * back in PG_CATCH, by callers who hold no LWLock themselves.
 */
typedef struct PoolerAreaGuard
{
	MemoryContext cxt;
	uint32		holdoff;
	uint32		cancel_holdoff;
} PoolerAreaGuard;

extern PoolerAreaGuard pooler_area_guard(void);
extern void pooler_area_recover(const PoolerAreaGuard *guard);

/*
 * InvalidDsaPointer if there is no memory, of whatever kind: also if the
 * system gives none, for which dsa.c raises an error although it is asked not
 * to.  Nothing is logged.
 */
extern dsa_pointer pooler_area_allocate(Size size);

#endif							/* POOLER_AREA_H */
