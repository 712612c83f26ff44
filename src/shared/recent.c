/*-------------------------------------------------------------------------
 *
 * recent.c
 *	  How often something has happened lately.
 *
 * Runs in: any process reads, the pooler alone writes.  Must not allocate or
 * lock.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "shared/recent.h"

/* Since the server's epoch; wraps around after more than a thousand years. */
static uint32
period(TimestampTz now)
{
	return (uint32) (now / (POOLER_RECENT_SECONDS * USECS_PER_SEC));
}

void
pooler_recent_init(PoolerRecent *recent)
{
	for (int i = 0; i < POOLER_RECENT_BUCKETS; i++)
		pg_atomic_init_u64(&recent->bucket[i], 0);
}

void
pooler_recent_add(PoolerRecent *recent, TimestampTz now)
{
	uint32		present = period(now);
	pg_atomic_uint64 *bucket = &recent->bucket[present % POOLER_RECENT_BUCKETS];
	uint64		word = pg_atomic_read_u64(bucket);

	if ((uint32) (word >> 32) != present)
		word = (uint64) present << 32;
	pg_atomic_write_u64(bucket, word + 1);
}

uint64
pooler_recent_count(PoolerRecent *recent, TimestampTz now)
{
	uint32		present = period(now);
	uint64		sum = 0;

	for (int i = 0; i < POOLER_RECENT_BUCKETS; i++)
	{
		uint64		word = pg_atomic_read_u64(&recent->bucket[i]);

		if (present - (uint32) (word >> 32) < POOLER_RECENT_BUCKETS)
			sum += (uint32) word;
	}
	return sum;
}
