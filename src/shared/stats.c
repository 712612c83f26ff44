/*-------------------------------------------------------------------------
 *
 * stats.c
 *	  The table of statistics: every view reads names and places from it.
 *
 * Runs in: any process.  Must not allocate or lock.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "shared/stats.h"

#define POOL_SUM(field, unit, help) \
	{#field, help, unit, POOLER_STAT_POOL, POOLER_STAT_SUM, \
	 offsetof(PoolerCounters, field)}
#define POOL_MAX(field, unit, help) \
	{#field, help, unit, POOLER_STAT_POOL, POOLER_STAT_MAX, \
	 offsetof(PoolerCounters, field)}
#define WORKER_SUM(field, unit, help) \
	{#field, help, unit, POOLER_STAT_WORKER, POOLER_STAT_SUM, \
	 offsetof(PoolerWorkerCounters, field)}

const PoolerStat pooler_stats[] = {
	POOL_SUM(transactions, "", "Transactions that ended"),
	POOL_SUM(queries, "", "Commands that completed"),
	POOL_SUM(errors, "", "Errors reported to clients by backends"),
	POOL_SUM(handovers, "", "Times a client was handed to a backend"),
	POOL_SUM(lingered, "", "Transactions that found their client still attached"),
	POOL_SUM(waits, "", "Clients that had to wait for a backend"),
	POOL_SUM(wait_us, "us", "Time clients waited for a backend"),
	POOL_MAX(max_wait_us, "us", "Longest time a client waited for a backend"),
	POOL_SUM(transaction_us, "us", "Time backends worked for clients"),
	POOL_SUM(resets, "", "Times a backend was cleared of what kept it with a client that has left"),
	POOL_SUM(restores, "", "Times a session had to be restored, because it differed from the one before"),
	POOL_SUM(switch_us, "us", "Time that sessions were saved and restored between two clients"),
	POOL_SUM(logins, "", "Clients that logged in"),
	POOL_SUM(cancels, "", "Cancel requests that reached a command"),
	POOL_SUM(wait_timeouts, "", "Clients ended because they waited too long"),
	POOL_SUM(wait_notices, "", "Clients told that they wait for a backend"),
	POOL_SUM(query_timeouts, "", "Commands canceled because they took too long"),
	POOL_SUM(transaction_timeouts, "", "Clients ended because their transaction took too long"),
	POOL_SUM(idle_transaction_timeouts, "", "Clients ended because they were idle in a transaction"),
	POOL_SUM(client_idle_timeouts, "", "Clients ended because they were idle outside a transaction"),
	POOL_SUM(dropped_waiting, "", "Clients that hung up while they waited"),
	POOL_SUM(births, "", "Backends that were started"),
	POOL_SUM(failed_births, "", "Backends that could not be started"),
	POOL_SUM(ends, "", "Backends that ended"),
	WORKER_SUM(connections, "", "Connections that were accepted"),
	WORKER_SUM(refused, "", "Connections refused because there were too many"),
	WORKER_SUM(failed_logins, "", "Logins that failed"),
	WORKER_SUM(delegated_logins, "", "Logins that were carried out by a backend"),
	WORKER_SUM(bad_messages, "", "Clients ended because of an invalid message"),
	WORKER_SUM(cancel_requests, "", "Cancel requests that were received"),
};

const int	pooler_stats_count = (int) lengthof(pooler_stats);

static uint64 *
counter(PoolerCounters *counters, const PoolerStat *stat)
{
	return (uint64 *) ((char *) counters + stat->offset);
}

void
pooler_stats_add(PoolerCounters *sum, const PoolerCounters *more)
{
	for (int i = 0; i < pooler_stats_count; i++)
	{
		const PoolerStat *stat = &pooler_stats[i];
		uint64	   *to = counter(sum, stat);
		uint64		value;

		if (stat->scope != POOLER_STAT_POOL)
			continue;
		value = *(const uint64 *) ((const char *) more + stat->offset);
		if (stat->kind == POOLER_STAT_MAX)
			*to = Max(*to, value);
		else
			*to += value;
	}
}

void
pooler_stats_subtract(PoolerCounters *sum, const PoolerCounters *less)
{
	for (int i = 0; i < pooler_stats_count; i++)
	{
		const PoolerStat *stat = &pooler_stats[i];
		uint64	   *from = counter(sum, stat);
		uint64		value;

		if (stat->scope != POOLER_STAT_POOL || stat->kind == POOLER_STAT_MAX)
			continue;
		value = *(const uint64 *) ((const char *) less + stat->offset);
		*from -= Min(*from, value);
	}
}

void
pooler_stats_forget_maxima(PoolerCounters *counters)
{
	for (int i = 0; i < pooler_stats_count; i++)
	{
		const PoolerStat *stat = &pooler_stats[i];

		if (stat->scope == POOLER_STAT_POOL && stat->kind == POOLER_STAT_MAX)
			*counter(counters, stat) = 0;
	}
}
