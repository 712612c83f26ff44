/*-------------------------------------------------------------------------
 *
 * advice.c
 *	  What pooler.advice() has to know of the machine.
 *
 * Runs in: any backend.  The rules are in pooler--1.0.sql, over the views: they
 * are meant to be read, and need nothing that SQL can't see but this.
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include <sched.h>
#include <unistd.h>

#include "fmgr.h"

PG_FUNCTION_INFO_V1(pooler_get_cores);

/*
 * Processors that this process may run on, which may be fewer than the machine
 * has.  More than fit into the set: all of them.
 */
Datum
pooler_get_cores(PG_FUNCTION_ARGS)
{
	cpu_set_t	set;
	int			cores = 0;

	if (sched_getaffinity(0, sizeof(set), &set) == 0)
		cores = CPU_COUNT(&set);
	if (cores <= 0)
		cores = (int) sysconf(_SC_NPROCESSORS_ONLN);
	PG_RETURN_INT32(Max(cores, 1));
}
