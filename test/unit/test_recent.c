/*
 * test_recent.c
 *		Unit tests of src/shared/recent.c.
 */
#include "postgres.h"

#include "tap.h"

#include "../../src/shared/recent.h"

#define SECOND	INT64CONST(1000000)
#define BUCKET	(POOLER_RECENT_SECONDS * SECOND)

static PoolerRecent recent;

static void
counts(TimestampTz now, int expected, const char *name)
{
	is((long long) pooler_recent_count(&recent, now), expected, "%s", name);
}

/* start: the beginning of a bucket. */
static void
test_window(TimestampTz start)
{
	pooler_recent_init(&recent);
	counts(start, 0, "nothing has happened");
	pooler_recent_add(&recent, start);
	pooler_recent_add(&recent, start + BUCKET - 1);
	counts(start + BUCKET - 1, 2, "twice in ten seconds");
	pooler_recent_add(&recent, start + BUCKET);
	counts(start + BUCKET, 3, "and in the next ones");
	counts(start + 60 * SECOND, 3, "a minute later");
	counts(start + 70 * SECOND - 1, 3, "almost ten seconds later");
	counts(start + 70 * SECOND, 1, "the first ones are forgotten");
	counts(start + 80 * SECOND, 0, "all are");
	pooler_recent_add(&recent, start + 70 * SECOND);
	counts(start + 70 * SECOND, 2, "a bucket is used again");
	counts(start + 3600 * SECOND, 0, "an hour later");
	counts(start - BUCKET, 0, "the clock was set back");
}

int
main(void)
{
	test_window(0);
	test_window(INT64CONST(80000000) * BUCKET);
	return done_testing();
}
