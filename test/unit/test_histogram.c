/*
 * test_histogram.c
 *		Unit tests of src/shared/histogram.c.
 */
#include "tap.h"

#include "../../src/shared/histogram.h"

#define LAST	(POOLER_HISTOGRAM_BUCKETS - 1)

static const unsigned quantiles[] = {0, 1, 500, 900, 950, 990, 999, 1000};

#define NQUANTILES	(sizeof(quantiles) / sizeof(quantiles[0]))

/* The same numbers in each run. */
static uint64_t
next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* Each bucket begins where the one before it ends, and holds just its own. */
static void
test_borders(void)
{
	uint64_t	next = 0;

	for (unsigned i = 0; i < LAST; i++)
	{
		uint64_t	top = pooler_histogram_bucket_top(i);

		if (top < next || pooler_histogram_bucket(next) != i ||
			pooler_histogram_bucket(top) != i ||
			pooler_histogram_bucket(top + 1) != i + 1)
		{
			ok(false, "borders of bucket %u", i);
			return;
		}
		/* the error bound that is promised */
		if (next >= 16 && (top - next) * 8 >= next)
		{
			ok(false, "bucket %u is too wide", i);
			return;
		}
		if (next < 16 && top != next)
		{
			ok(false, "bucket %u is exact", i);
			return;
		}
		next = top + 1;
	}
	ok(true, "borders of all buckets");
	ok(pooler_histogram_bucket_top(LAST) == UINT64_MAX, "the last one has no end");
	is(POOLER_HISTOGRAM_BUCKETS, 256, "number of buckets");
	ok(next == UINT64_C(15) << 30, "hours fit: it begins at 4 h 28 min");
}

static void
test_overflow(void)
{
	PoolerHistogram h = {0};

	is(pooler_histogram_bucket((UINT64_C(1) << 34) - 1), LAST, "the last value that fits");
	is(pooler_histogram_bucket(UINT64_C(1) << 34), LAST, "the first one that does not");
	is(pooler_histogram_bucket(UINT64_MAX), LAST, "the greatest number");
	pooler_histogram_record(&h, 5);
	pooler_histogram_record(&h, UINT64_C(1) << 40);
	is(pooler_histogram_quantile(&h, 500), 5, "the lower half");
	ok(pooler_histogram_quantile(&h, 990) == UINT64_C(1) << 40, "the maximum stands for what does not fit");
}

static void
test_empty(void)
{
	PoolerHistogram h = {0};

	is(pooler_histogram_count(&h), 0, "nothing was recorded");
	is(pooler_histogram_quantile(&h, 990), 0, "and has no percentiles");
	pooler_histogram_record(&h, 0);
	is(pooler_histogram_count(&h), 1, "0 is a value");
	is(pooler_histogram_quantile(&h, 990), 0, "that counts");
}

static int
compare(const void *a, const void *b)
{
	uint64_t	x = *(const uint64_t *) a;
	uint64_t	y = *(const uint64_t *) b;

	return x < y ? -1 : x > y;
}

/* Against the sorted values: never below the true one, and 1/8 above at most. */
static void
check_quantiles(const char *what, uint64_t *values, size_t n)
{
	PoolerHistogram h = {0};
	uint64_t	sum = 0;

	for (size_t i = 0; i < n; i++)
	{
		pooler_histogram_record(&h, values[i]);
		sum += values[i];
	}
	qsort(values, n, sizeof(uint64_t), compare);
	is(pooler_histogram_count(&h), n, "%s: count", what);
	is(h.sum, sum, "%s: sum", what);
	is(h.max, values[n - 1], "%s: maximum", what);
	for (size_t q = 0; q < NQUANTILES; q++)
	{
		size_t		rank = (n * quantiles[q] + 999) / 1000;
		uint64_t	want = values[rank > 0 ? rank - 1 : 0];
		uint64_t	got = pooler_histogram_quantile(&h, quantiles[q]);

		ok(got >= want && got - want <= want / 8, "%s: %u/1000 is %llu, for %llu",
		   what, quantiles[q], (unsigned long long) got, (unsigned long long) want);
	}
}

static void
test_quantiles(void)
{
	static uint64_t values[10000];
	uint64_t	state = 42;

	for (int i = 0; i < 10000; i++)
		values[i] = next_random(&state) % 1000000;
	check_quantiles("even", values, 10000);
	for (int i = 0; i < 10000; i++)
		values[i] = UINT64_C(1) << next_random(&state) % 34;
	check_quantiles("powers of two", values, 10000);
	for (int i = 0; i < 10000; i++)
		values[i] = i < 9900 ? next_random(&state) % 300 : (uint64_t) 60000000 + i;
	check_quantiles("few long ones", values, 10000);
	for (int i = 0; i < 7; i++)
		values[i] = i * i;
	check_quantiles("seven", values, 7);
	values[0] = 123456789;
	check_quantiles("one", values, 1);
}

static void
test_merge(void)
{
	PoolerHistogram parts[3] = {{0}};
	PoolerHistogram whole = {0};
	PoolerHistogram sum = {0};
	uint64_t	state = 7;

	for (int i = 0; i < 3000; i++)
	{
		uint64_t	value = next_random(&state) >> (state % 60);

		pooler_histogram_record(&parts[i % 3], value);
		pooler_histogram_record(&whole, value);
	}
	for (int i = 0; i < 3; i++)
		pooler_histogram_add(&sum, &parts[i]);
	ok(memcmp(&sum, &whole, sizeof(sum)) == 0, "the sum of three is that of all");
	pooler_histogram_subtract(&sum, &parts[2]);
	pooler_histogram_subtract(&sum, &parts[1]);
	ok(memcmp(sum.buckets, parts[0].buckets, sizeof(sum.buckets)) == 0 &&
	   sum.sum == parts[0].sum, "and what is taken off again is gone");
	ok(sum.max >= parts[0].max, "the maximum is not below that of the rest");
}

/* Whoever remembers a histogram sees what has come since, also after 2^64. */
static void
test_wrap(void)
{
	PoolerHistogram h = {0};
	PoolerHistogram before;

	h.buckets[10] = UINT64_MAX - 1;
	h.sum = UINT64_MAX - 5;
	h.max = 10;
	before = h;
	for (int i = 0; i < 5; i++)
		pooler_histogram_record(&h, 10);
	is(h.buckets[10], 3, "a bucket wraps around");
	pooler_histogram_subtract(&h, &before);
	is(pooler_histogram_count(&h), 5, "count of the difference");
	is(h.sum, 50, "sum of the difference");
	is(pooler_histogram_quantile(&h, 990), 10, "percentile of the difference");

	memset(&h, 0, sizeof(h));
	h.buckets[3] = h.buckets[4] = UINT64_C(1) << 62;
	h.max = 4;
	is(pooler_histogram_quantile(&h, 500), 3, "percentiles of great counts");
	is(pooler_histogram_quantile(&h, 501), 4, "percentiles of great counts, above");
}

int
main(void)
{
	test_borders();
	test_overflow();
	test_empty();
	test_quantiles();
	test_merge();
	test_wrap();
	return done_testing();
}
