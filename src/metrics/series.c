/*-------------------------------------------------------------------------
 *
 * series.c
 *	  What was measured over the last minutes.
 *
 * Runs in: the HTTP worker.  Owns the samples, in its own memory: they begin
 * anew when the worker or HTTP does.  A sample is the difference of two looks
 * at what the pooler has counted since the server was started.
 *
 *-------------------------------------------------------------------------
 */
#include "metrics/internal.h"

#include "shared/snapshot.h"

static PoolerSample samples[POOLER_MAX_SAMPLES];
static int	nsamples;			/* how many there have ever been */

/* as of the last look */
static TimestampTz looked_at;
static uint32 stats_gen;
static PoolerCounters counters;
static PoolerHistogram times[POOLER_NTIMES];

void
pooler_http_series_begin(void)
{
	nsamples = 0;
	looked_at = GetCurrentTimestamp();
	stats_gen = pg_atomic_read_u32(&pooler_shared->stats_gen);
	pooler_snapshot_totals(&counters, times);
}

static void
measure(PoolerSampleTimes *result, PoolerHistogram *histogram,
		const PoolerHistogram *before)
{
	pooler_histogram_subtract(histogram, before);
	result->count = pooler_histogram_count(histogram);
	result->p50 = pooler_histogram_quantile(histogram, 500);
	result->p90 = pooler_histogram_quantile(histogram, 900);
	result->p95 = pooler_histogram_quantile(histogram, 950);
	result->p99 = pooler_histogram_quantile(histogram, 990);
	result->max = result->count > 0 ? histogram->max : 0;
}

/*
 * A look that falls into a reset, or that misses what is being moved, may find
 * less than the one before.  Of that nothing can be said: false.
 */
static bool
is_more(const PoolerCounters *now, const PoolerHistogram *now_times)
{
	if (now->transactions < counters.transactions || now->queries < counters.queries ||
		now->errors < counters.errors || now->waits < counters.waits ||
		now->logins < counters.logins || now->failed_logins < counters.failed_logins)
		return false;
	for (int t = 0; t < POOLER_NTIMES; t++)
	{
		for (int i = 0; i < POOLER_HISTOGRAM_BUCKETS; i++)
		{
			if (now_times[t].buckets[i] < times[t].buckets[i])
				return false;
		}
	}
	return true;
}

static void
add_sample(TimestampTz now, const PoolerCounters *c, const PoolerHistogram *t)
{
	PoolerSample *sample = &samples[nsamples++ % POOLER_MAX_SAMPLES];

	sample->at = now;
	sample->us = now - looked_at;
	sample->transactions = c->transactions - counters.transactions;
	sample->queries = c->queries - counters.queries;
	sample->errors = c->errors - counters.errors;
	sample->waits = c->waits - counters.waits;
	sample->logins = c->logins - counters.logins;
	sample->failed_logins = c->failed_logins - counters.failed_logins;
	for (int i = 0; i < POOLER_NTIMES; i++)
	{
		PoolerHistogram since = t[i];

		measure(&sample->times[i], &since, &times[i]);
	}
}

void
pooler_http_series_tick(TimestampTz now)
{
	PoolerCounters new_counters;
	PoolerHistogram new_times[POOLER_NTIMES];
	uint32		gen = pg_atomic_read_u32(&pooler_shared->stats_gen);

	if (now < looked_at)
		pooler_http_series_begin(); /* the clock was set back */
	if (!TimestampDifferenceExceeds(looked_at, now, POOLER_SAMPLE_MS))
		return;
	if (gen != stats_gen)
	{
		memset(&counters, 0, sizeof(counters));
		memset(times, 0, sizeof(times));
	}
	stats_gen = gen;
	pooler_snapshot_totals(&new_counters, new_times);
	if (is_more(&new_counters, new_times))
		add_sample(now, &new_counters, new_times);
	looked_at = now;
	counters = new_counters;
	memcpy(times, new_times, sizeof(times));
}

int
pooler_http_series_count(void)
{
	return Min(nsamples, POOLER_MAX_SAMPLES);
}

const PoolerSample *
pooler_http_series_sample(int i)
{
	int			first = nsamples - pooler_http_series_count();

	return &samples[(first + i) % POOLER_MAX_SAMPLES];
}
