/*-------------------------------------------------------------------------
 *
 * histogram.h
 *	  How often which time was measured, in fixed memory.
 *
 * Runs in: any process.  Pure: no I/O, no ereport, no allocation, and nothing
 * of PostgreSQL's.
 *
 * Log-linear: below 16 us each microsecond has a bucket of its own, above
 * that each power of two is divided into 8 equal buckets.  So a value that is
 * read from a histogram is at least the true one and at most 1/8 above it.
 * Values from 2^34 us (4 h 46 min) on share the last bucket; the greatest one
 * is known exactly all the same.
 *
 * Each histogram has one writer, who needs no lock; readers add histograms up
 * and may miss what is being recorded.  Buckets wrap around after 2^64, as
 * counters do: pooler_histogram_subtract() is right across that.
 *
 *-------------------------------------------------------------------------
 */
#ifndef POOLER_HISTOGRAM_H
#define POOLER_HISTOGRAM_H

#include <stdint.h>

#define POOLER_HISTOGRAM_SUB_BITS	3	/* 2^3 buckets for each power of two */
#define POOLER_HISTOGRAM_VALUE_BITS 34
#define POOLER_HISTOGRAM_BUCKETS \
	((POOLER_HISTOGRAM_VALUE_BITS - POOLER_HISTOGRAM_SUB_BITS + 1) << \
	 POOLER_HISTOGRAM_SUB_BITS)

typedef struct PoolerHistogram
{
	uint64_t	sum;			/* of all values */
	uint64_t	max;			/* 0: none */
	uint64_t	buckets[POOLER_HISTOGRAM_BUCKETS];
} PoolerHistogram;

static inline unsigned
pooler_histogram_bucket(uint64_t us)
{
	unsigned	shift;

	if (us < 1 << POOLER_HISTOGRAM_SUB_BITS)
		return (unsigned) us;
	if (us >> POOLER_HISTOGRAM_VALUE_BITS != 0)
		return POOLER_HISTOGRAM_BUCKETS - 1;
	shift = 63 - __builtin_clzll(us) - POOLER_HISTOGRAM_SUB_BITS;
	return (shift << POOLER_HISTOGRAM_SUB_BITS) + (unsigned) (us >> shift);
}

/* On the path of each transaction: a few instructions, no branch but two. */
static inline void
pooler_histogram_record(PoolerHistogram *histogram, uint64_t us)
{
	histogram->buckets[pooler_histogram_bucket(us)]++;
	histogram->sum += us;
	if (us > histogram->max)
		histogram->max = us;
}

/* The greatest value of a bucket; UINT64_MAX for the last one. */
extern uint64_t pooler_histogram_bucket_top(unsigned bucket);

extern void pooler_histogram_add(PoolerHistogram *sum,
								 const PoolerHistogram *more);

/*
 * Takes off what was there before.  The maximum of the rest is known as well
 * as any other value only: that of its last bucket, or the former one.
 */
extern void pooler_histogram_subtract(PoolerHistogram *histogram,
									  const PoolerHistogram *before);

/* How many values were recorded. */
extern uint64_t pooler_histogram_count(const PoolerHistogram *histogram);

/*
 * The value that so many thousandths of all values do not exceed; see above
 * for how exact it is.  0 if there are none.
 */
extern uint64_t pooler_histogram_quantile(const PoolerHistogram *histogram,
										  unsigned thousandths);

#endif							/* POOLER_HISTOGRAM_H */
