/*-------------------------------------------------------------------------
 *
 * debug_point.h
 *	  Places where a test can stop a process, to force an interleaving.
 *
 * Runs in: pooler and pool backends.  While none is armed, which is always
 * but in tests, a point costs a look at one word of shared memory; so tests
 * run what is installed, not another build.  No SQL function of the extension
 * arms them: a test, which has to be a superuser, declares those in
 * debug_point.c by itself.
 *
 *-------------------------------------------------------------------------
 */
#ifndef POOLER_DEBUG_POINT_H
#define POOLER_DEBUG_POINT_H

#include "shared/shmem.h"

typedef enum PoolerDebugPoint
{
	POOLER_DEBUG_POPPED,		/* backend: has taken a client from the queue,
								 * read nothing from it */
	POOLER_DEBUG_CLAIMED,		/* backend: a message of the pooler is there,
								 * not read yet */
	POOLER_DEBUG_GIVEN_BACK,	/* backend: client's word is IDLE, not armed */
	POOLER_DEBUG_BUSY,			/* backend: attached, before it looks for a
								 * cancel request */
	POOLER_DEBUG_RESUMED,		/* backend: the client on which it lingered
								 * has sent a command; BUSY, read nothing */
	POOLER_DEBUG_COMMAND_ENDED, /* backend: result sent, still BUSY */
	POOLER_DEBUG_CANCELLING,	/* pooler: word is CANCELLING, signal not sent */
	POOLER_NUM_DEBUG_POINTS
} PoolerDebugPoint;

/* Stays here while the point is armed; serves interrupts (may end by FATAL). */
extern void pooler_debug_point_reached(PoolerDebugPoint point);

static inline void
pooler_debug_point(PoolerDebugPoint point)
{
	if (unlikely(pg_atomic_read_u32(&pooler_shared->debug_armed) != 0))
		pooler_debug_point_reached(point);
}

#endif							/* POOLER_DEBUG_POINT_H */
