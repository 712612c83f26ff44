/*-------------------------------------------------------------------------
 *
 * collect.c
 *	  What was counted and measured, and what is the case, by database and role.
 *
 * Runs in: the HTTP worker.  Reads shared memory through snapshots, without
 * locks.
 *
 *-------------------------------------------------------------------------
 */
#include "metrics/internal.h"

#include "mb/pg_wchar.h"
#include "shared/snapshot.h"
#include "shared/text.h"

/* As in snapshot.c: then something is not as it should be, or too fast. */
#define MAX_TRIES		4

/*
 * Names that differ only in what can't be told are one group: the same labels
 * twice would be an error for whoever reads them.
 */
static PoolerMetricsGroup *
find_group(PoolerMetrics *metrics, const char *database, const char *role, bool add)
{
	char		names[2][NAMEDATALEN];
	PoolerMetricsGroup *group;

	strlcpy(names[0], database, NAMEDATALEN);
	strlcpy(names[1], role, NAMEDATALEN);
	pooler_make_valid_text(names[0], PG_UTF8);
	pooler_make_valid_text(names[1], PG_UTF8);
	for (int i = 1; i < metrics->ngroups; i++)
	{
		group = &metrics->groups[i];
		if (strcmp(group->database, names[0]) == 0 && strcmp(group->role, names[1]) == 0)
			return group;
	}
	if (!add || metrics->ngroups > POOLER_METRICS_MAX_POOLS)
		return &metrics->groups[0];
	group = &metrics->groups[metrics->ngroups++];
	strlcpy(group->database, names[0], sizeof(group->database));
	strlcpy(group->role, names[1], sizeof(group->role));
	return group;
}

static void
add_tally(PoolerMetrics *metrics, int32 index)
{
	PoolerTallySnapshot snap;
	PoolerHistogram times[POOLER_NTIMES];
	PoolerMetricsGroup *group;

	if (!pooler_snapshot_tally(index, &snap, times))
		return;
	if (index == POOLER_OTHERS)
		group = &metrics->groups[0];
	else
		group = find_group(metrics, snap.database, snap.role, true);
	pooler_stats_add(&group->counters, &snap.counters);
	for (int i = 0; i < POOLER_NTIMES; i++)
		pooler_histogram_add(&group->times[i], &times[i]);
}

/*
 * In the order of the tallies, which pools keep, so that the same pools are the
 * first ones each time, and no counter goes back.
 */
static void
add_tallies(PoolerMetrics *metrics)
{
	for (int i = 0; i < MAX_TRIES; i++)
	{
		uint64		before = pooler_snapshot_moves();

		pg_read_barrier();
		memset(metrics->groups, 0, metrics->size);
		metrics->ngroups = 1;
		for (int32 t = 0; t < pooler_shared->ntallies; t++)
			add_tally(metrics, t);
		pg_read_barrier();
		if (before == pooler_snapshot_moves())
			break;
	}
}

static void
add_count(PoolerPoolCount *sum, const PoolerPoolCount *more)
{
	sum->clients_idle += more->clients_idle;
	sum->clients_waiting += more->clients_waiting;
	sum->clients_active += more->clients_active;
	sum->backends_starting += more->backends_starting;
	sum->backends_free += more->backends_free;
	sum->backends_lingering += more->backends_lingering;
	sum->backends_pinned += more->backends_pinned;
	sum->backends_busy += more->backends_busy;
	sum->backends_ending += more->backends_ending;
	if (more->first_queued_at != 0 &&
		(sum->first_queued_at == 0 || more->first_queued_at < sum->first_queued_at))
		sum->first_queued_at = more->first_queued_at;
}

static void
add_pools(PoolerMetrics *metrics)
{
	PoolerPoolCount *counts = pooler_count_pools();

	for (int32 i = 0; i < pooler_shared->npools; i++)
	{
		PoolerPoolSnapshot snap;
		PoolerMetricsGroup *group;

		if (!pooler_snapshot_pool(i, &snap, NULL))
			continue;
		group = find_group(metrics, snap.database, snap.role, false);
		group->npools++;
		group->size += snap.size;
		group->paused |= snap.paused;
		add_count(&group->count, &counts[i]);
	}
	pfree(counts);
}

PoolerMetrics *
pooler_http_collect(void)
{
	PoolerMetrics *metrics = palloc(sizeof(PoolerMetrics));
	int			max = Min(pooler_shared->ntallies, POOLER_METRICS_MAX_POOLS) + 1;

	metrics->size = max * sizeof(PoolerMetricsGroup);
	metrics->groups = MemoryContextAllocHuge(CurrentMemoryContext, metrics->size);
	metrics->now = GetCurrentTimestamp();
	add_tallies(metrics);
	add_pools(metrics);
	return metrics;
}
