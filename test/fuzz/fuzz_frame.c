/*
 * fuzz_frame.c
 *		libFuzzer harness for regular messages, in both directions.
 *
 * Besides crashes it looks for answers that contradict each other.
 */
#include <stdlib.h>

#include "../../src/proto/frame.h"

#define REQUIRE(condition) \
	do { if (!(condition)) abort(); } while (0)

#define LIMIT	64

extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
fuzz_inspect(const uint8_t *data, size_t size)
{
	PoolerFrame f = pooler_frame_inspect(data, size, LIMIT);

	REQUIRE((f.verdict == POOLER_FRAME_EMPTY) == (size == 0));
	if (f.verdict == POOLER_FRAME_PARTIAL)
		REQUIRE(f.need > size && f.need <= LIMIT);
	else
		REQUIRE(f.need == 0);
	if (f.verdict == POOLER_FRAME_READY)
		REQUIRE(f.total <= size || f.total > LIMIT);
}

/* Byte by byte and in one piece, the walker must stop at the same place. */
static void
fuzz_skip(const uint8_t *data, size_t size)
{
	PoolerSkip	whole;
	PoolerSkip	single;
	PoolerSkipVerdict v;
	PoolerSkipVerdict w = POOLER_SKIP_MORE;
	size_t		consumed;
	size_t		at = 0;

	memset(&whole, 0, sizeof(whole));
	memset(&single, 0, sizeof(single));
	v = pooler_skip_feed(&whole, data, size, &consumed);
	REQUIRE(consumed <= size);
	if (v == POOLER_SKIP_MORE)
		REQUIRE(consumed == size);
	while (at < size && w == POOLER_SKIP_MORE)
	{
		size_t		n;

		w = pooler_skip_feed(&single, data + at, 1, &n);
		at += n;
	}
	REQUIRE(v == w);
	REQUIRE(at == consumed);
}

static void
fuzz_bodies(const PoolerMessage *m)
{
	PoolerErrorFields f;
	const char *name;
	const char *value;
	int			number;

	if (pooler_message_parse_error(m, &f))
		REQUIRE(strlen(f.severity) + strlen(f.sqlstate) < m->len);
	if (pooler_message_parse_parameter(m, &name, &value))
		REQUIRE(strlen(name) + strlen(value) + 2 == m->len);
	if (pooler_message_parse_number(m, &number))
		REQUIRE(number >= 0);
}

static void
fuzz_messages(const uint8_t *data, size_t size)
{
	size_t		offset = 0;
	size_t		before = 0;
	PoolerMessage m;

	while (pooler_message_next(data, size, 1 << 20, &offset, &m) ==
		   POOLER_MESSAGE_OK)
	{
		REQUIRE(offset == before + m.total && offset <= size);
		before = offset;
		fuzz_bodies(&m);
	}
	REQUIRE(offset == before);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz_inspect(data, size);
	fuzz_skip(data, size);
	fuzz_messages(data, size);
	return 0;
}
