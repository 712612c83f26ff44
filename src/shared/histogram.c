/*-------------------------------------------------------------------------
 *
 * histogram.c
 *	  How often which time was measured, in fixed memory.
 *
 * Runs in: any process.  Pure; see histogram.h.
 *
 *-------------------------------------------------------------------------
 */
#include "shared/histogram.h"

uint64_t
pooler_histogram_bucket_top(unsigned bucket)
{
	unsigned	shift = bucket >> POOLER_HISTOGRAM_SUB_BITS;
	uint64_t	base = bucket & ((1 << POOLER_HISTOGRAM_SUB_BITS) - 1);

	if (bucket >= POOLER_HISTOGRAM_BUCKETS - 1)
		return UINT64_MAX;
	if (shift == 0)
		return base;
	base += 1 << POOLER_HISTOGRAM_SUB_BITS;
	return ((base + 1) << (shift - 1)) - 1;
}

void
pooler_histogram_add(PoolerHistogram *sum, const PoolerHistogram *more)
{
	sum->sum += more->sum;
	if (more->max > sum->max)
		sum->max = more->max;
	for (unsigned i = 0; i < POOLER_HISTOGRAM_BUCKETS; i++)
		sum->buckets[i] += more->buckets[i];
}

void
pooler_histogram_subtract(PoolerHistogram *histogram,
						  const PoolerHistogram *before)
{
	uint64_t	top = 0;

	histogram->sum -= before->sum;
	for (unsigned i = 0; i < POOLER_HISTOGRAM_BUCKETS; i++)
	{
		histogram->buckets[i] -= before->buckets[i];
		if (histogram->buckets[i] != 0)
			top = pooler_histogram_bucket_top(i);
	}
	if (top < histogram->max)
		histogram->max = top;
}

uint64_t
pooler_histogram_count(const PoolerHistogram *histogram)
{
	uint64_t	count = 0;

	for (unsigned i = 0; i < POOLER_HISTOGRAM_BUCKETS; i++)
		count += histogram->buckets[i];
	return count;
}

/* Rounded up, without a product that could overflow. */
static uint64_t
rank_of(uint64_t count, unsigned thousandths)
{
	uint64_t	rank = count / 1000 * thousandths +
		(count % 1000 * thousandths + 999) / 1000;

	return rank > 0 ? rank : 1;
}

uint64_t
pooler_histogram_quantile(const PoolerHistogram *histogram,
						  unsigned thousandths)
{
	uint64_t	count = pooler_histogram_count(histogram);
	uint64_t	rank = rank_of(count, thousandths);
	uint64_t	seen = 0;

	if (count == 0)
		return 0;
	for (unsigned i = 0; i < POOLER_HISTOGRAM_BUCKETS; i++)
	{
		seen += histogram->buckets[i];
		if (seen >= rank)
		{
			uint64_t	top = pooler_histogram_bucket_top(i);

			return top < histogram->max ? top : histogram->max;
		}
	}
	return histogram->max;
}
