/*-------------------------------------------------------------------------
 *
 * averages.c
 *	  What was counted some time ago, so that the console can tell rates.
 *
 * Runs in: the pooler.  Once in each pooler.stats_period the counters of all
 * pools are copied.  Two copies are kept, as PgBouncer does: rates are those
 * since the older one, so they cover between one and two periods, and never
 * just a moment.
 *
 *-------------------------------------------------------------------------
 */
#include "worker/console.h"

#include "shared/snapshot.h"
#include "utils/memutils.h"
#include "worker/tally.h"

typedef struct Sample
{
	TimestampTz created_at;		/* of the pool, to know it again */
	PoolerCounters older;
	PoolerCounters newer;
} Sample;

static Sample **samples;		/* per slot of a pool; NULL: none */
static Sample all;				/* over all pools that there are or were */
static TimestampTz older_at;
static TimestampTz newer_at;	/* 0: nothing was copied yet */

void
pooler_averages_all(PoolerCounters *sum)
{
	pooler_tally_totals(sum);
}

static void
sample_pool(int pool)
{
	Sample	   *sample = samples[pool];
	PoolerPoolSnapshot snap;
	PoolerCounters counters;

	if (!pooler_pools[pool].in_use ||
		!pooler_snapshot_pool(pool, &snap, &counters))
	{
		if (sample)
			pfree(sample);
		samples[pool] = NULL;
		return;
	}
	if (sample == NULL)
		sample = samples[pool] = MemoryContextAllocZero(TopMemoryContext,
														sizeof(Sample));
	if (sample->created_at != snap.created_at)
		memset(sample, 0, sizeof(*sample)); /* began at nothing */
	sample->created_at = snap.created_at;
	sample->older = newer_at != 0 ? sample->newer : counters;
	sample->newer = counters;
}

void
pooler_averages_tick(void)
{
	bool		first = newer_at == 0;

	if (!first && newer_at <= pooler_worker.now &&
		!TimestampDifferenceExceeds(newer_at, pooler_worker.now,
									pooler_ms(pooler_stats_period)))
		return;
	if (samples == NULL)
		samples = MemoryContextAllocExtended(TopMemoryContext,
											 sizeof(Sample *) * pooler_shared->npools,
											 MCXT_ALLOC_ZERO | MCXT_ALLOC_HUGE);
	for (int i = 0; i < pooler_shared->npools; i++)
		sample_pool(i);
	all.older = all.newer;
	pooler_averages_all(&all.newer);
	if (first)
		all.older = all.newer;
	older_at = first ? pooler_worker.now : newer_at;
	newer_at = pooler_worker.now;
}

void
pooler_averages_before(int pool, PoolerCounters *before)
{
	Sample	   *sample = samples ? samples[pool] : NULL;

	if (sample && sample->created_at == pooler_pools[pool].created_at)
		*before = sample->older;
	else
		memset(before, 0, sizeof(*before));
}

void
pooler_averages_all_before(PoolerCounters *before)
{
	*before = all.older;
}

TimestampTz
pooler_averages_since(void)
{
	return older_at;
}
