/*-------------------------------------------------------------------------
 *
 * recent.h
 *	  How often something has happened lately.
 *
 * Runs in: any process reads, the pooler alone writes.  Counters say how often
 * since the last reset, which tells nobody whether it goes on.
 *
 *-------------------------------------------------------------------------
 */
#ifndef POOLER_RECENT_H
#define POOLER_RECENT_H

#include "c.h"

#include "datatype/timestamp.h"
#include "port/atomics.h"

typedef enum PoolerRecentEvent
{
	POOLER_RECENT_FAILED_BIRTH,
	POOLER_RECENT_FAILED_LOGIN,
	POOLER_NRECENT
} PoolerRecentEvent;

/* The last minute is that of the six whole buckets before the present one. */
#define POOLER_RECENT_SECONDS	10
#define POOLER_RECENT_BUCKETS	7

/*
 * Each bucket: which ten seconds it is about, and (lower half) how often, in
 * one word, so that nobody reads the number of other seconds.
 */
typedef struct PoolerRecent
{
	pg_atomic_uint64 bucket[POOLER_RECENT_BUCKETS];
} PoolerRecent;

/* Postmaster. */
extern void pooler_recent_init(PoolerRecent *recent);

/* Pooler: it has happened. */
extern void pooler_recent_add(PoolerRecent *recent, TimestampTz now);

/* In the last 60 to 70 seconds. */
extern uint64 pooler_recent_count(PoolerRecent *recent, TimestampTz now);

#endif							/* POOLER_RECENT_H */
