/*-------------------------------------------------------------------------
 *
 * debug_point.c
 *	  Places where a test can stop a process.
 *
 * Runs in: pooler and pool backends (points), any backend (functions).  A test
 * declares the functions itself:
 *
 *	CREATE FUNCTION debug_arm(text) RETURNS void
 *		AS 'pooler', 'pooler_debug_arm' LANGUAGE C STRICT;
 *	... debug_release(text) RETURNS void ... 'pooler_debug_release'
 *	... debug_waiting(text) RETURNS int  ... 'pooler_debug_waiting'
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "fmgr.h"
#include "shared/debug_point.h"
#include "utils/builtins.h"

static const char *const point_names[] = {
	[POOLER_DEBUG_POPPED] = "popped",
	[POOLER_DEBUG_CLAIMED] = "claimed",
	[POOLER_DEBUG_GIVEN_BACK] = "given back",
	[POOLER_DEBUG_BUSY] = "busy",
	[POOLER_DEBUG_RESUMED] = "resumed",
	[POOLER_DEBUG_COMMAND_ENDED] = "command ended",
	[POOLER_DEBUG_CANCELLING] = "cancelling",
};

StaticAssertDecl(lengthof(point_names) == POOLER_NUM_DEBUG_POINTS,
				 "point_names must name every point");

PG_FUNCTION_INFO_V1(pooler_debug_arm);
PG_FUNCTION_INFO_V1(pooler_debug_release);
PG_FUNCTION_INFO_V1(pooler_debug_waiting);

void
pooler_debug_point_reached(PoolerDebugPoint point)
{
	uint32		bit = (uint32) 1 << point;

	if ((pg_atomic_read_u32(&pooler_shared->debug_armed) & bit) == 0)
		return;
	pg_atomic_fetch_add_u32(&pooler_shared->debug_waiting[point], 1);
	while (pg_atomic_read_u32(&pooler_shared->debug_armed) & bit)
	{
		if (ProcDiePending)
			pg_atomic_fetch_sub_u32(&pooler_shared->debug_waiting[point], 1);
		CHECK_FOR_INTERRUPTS();
		pg_usleep(1000);
	}
	pg_atomic_fetch_sub_u32(&pooler_shared->debug_waiting[point], 1);
}

static PoolerDebugPoint
point_argument(FunctionCallInfo fcinfo)
{
	char	   *name = text_to_cstring(PG_GETARG_TEXT_PP(0));

	pooler_require_shmem();
	for (int i = 0; i < POOLER_NUM_DEBUG_POINTS; i++)
	{
		if (strcmp(point_names[i], name) == 0)
			return (PoolerDebugPoint) i;
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("unrecognized debug point: \"%s\"", name)));
}

/* The next process that comes by stays there, and so do others. */
Datum
pooler_debug_arm(PG_FUNCTION_ARGS)
{
	pg_atomic_fetch_or_u32(&pooler_shared->debug_armed,
						   (uint32) 1 << point_argument(fcinfo));
	PG_RETURN_VOID();
}

Datum
pooler_debug_release(PG_FUNCTION_ARGS)
{
	pg_atomic_fetch_and_u32(&pooler_shared->debug_armed,
							~((uint32) 1 << point_argument(fcinfo)));
	PG_RETURN_VOID();
}

/* How many processes are there now? */
Datum
pooler_debug_waiting(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(pg_atomic_read_u32(&pooler_shared->debug_waiting[point_argument(fcinfo)]));
}
