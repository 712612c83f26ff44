/*-------------------------------------------------------------------------
 *
 * stats.h
 *	  What the pooler counts, and the one table that describes it.
 *
 * Runs in: any process.  Counters are plain 64-bit words with one writer
 * each: a pool backend counts in its own slot, the worker in the pool's tally
 * and in its own.  Readers add them up; a sum may miss what is being counted.
 *
 *-------------------------------------------------------------------------
 */
#ifndef POOLER_STATS_H
#define POOLER_STATS_H

#include "c.h"

#include "port/atomics.h"
#include "shared/histogram.h"
#include "shared/leak.h"
#include "shared/pin.h"

/* Why a login failed; from its SQLSTATE and from how far it had got. */
typedef enum PoolerLoginFailure
{
	POOLER_LOGIN_AUTHENTICATION,
	POOLER_LOGIN_RULE,
	POOLER_LOGIN_ROLE,
	POOLER_LOGIN_DATABASE,
	POOLER_LOGIN_LIMIT,
	POOLER_LOGIN_TIMEOUT,
	POOLER_LOGIN_PROTOCOL,
	POOLER_LOGIN_OTHER,
	POOLER_NLOGIN_FAILURES
} PoolerLoginFailure;

/* Why a backend that was ready has ended. */
typedef enum PoolerBackendEnd
{
	POOLER_ENDED_OTHER = 0,		/* it did not say why */
	POOLER_ENDED_IDLE,
	POOLER_ENDED_LIFETIME,
	POOLER_ENDED_DRAINED,
	POOLER_ENDED_SURPLUS,
	POOLER_ENDED_EVICTED,
	POOLER_ENDED_DATABASE,
	POOLER_ENDED_UNNEEDED,
	POOLER_ENDED_POOLER,
	POOLER_ENDED_CLIENT,
	POOLER_NBACKEND_ENDS
} PoolerBackendEnd;

/* Counted per pool: in the slot of each backend and in the pool's tally. */
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
	uint64		query_us;
	uint64		bytes_received;
	uint64		bytes_sent;
	uint64		parses;
	uint64		binds;
	uint64		statements_new;
	uint64		statements_shared;
	uint64		resets;
	uint64		restores;
	uint64		switch_us;
	uint64		logins;
	uint64		delegated_logins;
	uint64		failed_logins;
	uint64		login_failures[POOLER_NLOGIN_FAILURES];
	uint64		pins[POOLER_NPINS];
	uint64		pin_refusals;
	uint64		cancels;
	uint64		wait_timeouts;
	uint64		wait_notices;
	uint64		query_timeouts;
	uint64		transaction_timeouts;
	uint64		idle_transaction_timeouts;
	uint64		client_idle_timeouts;
	uint64		leaks[POOLER_NLEAK_KINDS];
	uint64		leaks_ended_by_action;
	uint64		leaks_ended_by_request;
	uint64		dropped_waiting;
	uint64		births;
	uint64		births_probe;
	uint64		births_delegated;
	uint64		failed_births;
	uint64		ends;
	uint64		ended[POOLER_NBACKEND_ENDS];
} PoolerCounters;

/* Counted by the worker for the whole pooler. */
typedef struct PoolerWorkerCounters
{
	uint64		connections;
	uint64		refused;
	uint64		abandoned_logins;
	uint64		console_logins;
	uint64		replication_logins;
	uint64		bad_messages;
	uint64		cancel_requests;
} PoolerWorkerCounters;

/* Times of which more than the sum is known.  Backends measure the first two. */
typedef enum PoolerTime
{
	POOLER_TIME_WAIT,			/* in the queue */
	POOLER_TIME_TRANSACTION,
	POOLER_NBACKEND_TIMES,
	POOLER_TIME_LOGIN = POOLER_NBACKEND_TIMES,	/* from accept to
												 * ReadyForQuery */
	POOLER_NTIMES
} PoolerTime;

/*
 * What was counted in a pool by backends that have gone, and by the worker.
 * There are fewer tallies than slots for pools: see pooler_tallies in shmem.h.
 * Written by the worker.
 */
typedef struct PoolerTally
{
	int32		pool;			/* whose; -1: nobody's */

	/*
	 * Odd while what a backend that has gone has counted is being moved here
	 * from its slot, or all is being reset, so that a reader can look again.
	 */
	pg_atomic_uint32 folding;
	PoolerCounters counters;
	PoolerHistogram times[POOLER_NTIMES];
} PoolerTally;

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
	const char *unit;			/* "", "us" or "bytes" */
	PoolerStatScope scope;
	PoolerStatKind kind;
	size_t		offset;

	/*
	 * As a metric: the family that it belongs to, and the value of the
	 * family's label.  Without a family it is a metric of its own, by its
	 * name.  POOLER_STAT_TOLD: other metrics tell it, which add up to it.
	 */
	const char *family;
	const char *label_value;
} PoolerStat;

#define POOLER_STAT_TOLD	""

/* Counters that are told apart by a reason are one metric. */
typedef struct PoolerStatFamily
{
	const char *name;
	const char *help;
	const char *label;			/* NULL: has one member, whose name it changes */
} PoolerStatFamily;

extern const PoolerStat pooler_stats[];
extern const int pooler_stats_count;

/* NULL if the counter is a metric of its own, or none. */
extern const PoolerStatFamily *pooler_stat_family(const PoolerStat *stat);

/* Adds one set of counters to another; maxima are kept. */
extern void pooler_stats_add(PoolerCounters *sum, const PoolerCounters *more);

/* Takes off what was counted before a reset; maxima are left as they are. */
extern void pooler_stats_subtract(PoolerCounters *sum, const PoolerCounters *less);

/* Sets maxima to 0, and nothing else. */
extern void pooler_stats_forget_maxima(PoolerCounters *counters);

#endif							/* POOLER_STATS_H */
