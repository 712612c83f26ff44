/*-------------------------------------------------------------------------
 *
 * stats.h
 *	  What the pooler counts, and the one table that describes it.
 *
 * Runs in: any process.  Counters are plain 64-bit words with one writer
 * each: a pool backend counts in its own slot, the worker in the pool's and
 * in its own.  Readers add them up; a sum may miss what is being counted.
 *
 *-------------------------------------------------------------------------
 */
#ifndef POOLER_STATS_H
#define POOLER_STATS_H

#include "c.h"

/* Counted per pool: in the slot of each backend and in that of the pool. */
typedef struct PoolerCounters
{
	uint64		transactions;
	uint64		queries;
	uint64		errors;
	uint64		handovers;
	uint64		lingered;
	uint64		waits;
	uint64		wait_us;
	uint64		max_wait_us;
	uint64		transaction_us;
	uint64		resets;
	uint64		restores;
	uint64		switch_us;
	uint64		logins;
	uint64		cancels;
	uint64		wait_timeouts;
	uint64		wait_notices;
	uint64		query_timeouts;
	uint64		transaction_timeouts;
	uint64		idle_transaction_timeouts;
	uint64		client_idle_timeouts;
	uint64		dropped_waiting;
	uint64		births;
	uint64		failed_births;
	uint64		ends;
} PoolerCounters;

/* Counted by the worker for the whole pooler. */
typedef struct PoolerWorkerCounters
{
	uint64		connections;
	uint64		refused;
	uint64		failed_logins;
	uint64		delegated_logins;
	uint64		bad_messages;
	uint64		cancel_requests;
} PoolerWorkerCounters;

typedef enum PoolerStatScope
{
	POOLER_STAT_POOL,			/* offset into PoolerCounters */
	POOLER_STAT_WORKER			/* offset into PoolerWorkerCounters */
} PoolerStatScope;

typedef enum PoolerStatKind
{
	POOLER_STAT_SUM,
	POOLER_STAT_MAX
} PoolerStatKind;

typedef struct PoolerStat
{
	const char *name;
	const char *help;
	const char *unit;			/* "" or "us" */
	PoolerStatScope scope;
	PoolerStatKind kind;
	size_t		offset;
} PoolerStat;

extern const PoolerStat pooler_stats[];
extern const int pooler_stats_count;

/* Adds one set of counters to another; maxima are kept. */
extern void pooler_stats_add(PoolerCounters *sum, const PoolerCounters *more);

/* Takes off what was counted before a reset; maxima are left as they are. */
extern void pooler_stats_subtract(PoolerCounters *sum, const PoolerCounters *less);

/* Sets maxima to 0, and nothing else. */
extern void pooler_stats_forget_maxima(PoolerCounters *counters);

#endif							/* POOLER_STATS_H */
