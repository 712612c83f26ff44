/*
 * fuzz_extended.c
 *		libFuzzer harness for what clients send to the console.
 *
 * The bytes are taken for a stream of messages, and cut as console.c cuts it.
 * Besides crashes it looks for messages that are not all there, for strings
 * that leave their message, and for borders that depend on how much of the
 * stream has come so far.
 */
#include <stdlib.h>

#include "../../src/proto/extended.h"
#include "../../src/proto/frame.h"

#define REQUIRE(condition) \
	do { if (!(condition)) abort(); } while (0)

#define LIMIT	512

extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require_string(const char *s, const uint8_t *body, size_t len)
{
	const uint8_t *p = (const uint8_t *) s;

	REQUIRE(p >= body && p < body + len);
	REQUIRE(p + strlen(s) < body + len);
}

static void
fuzz_bind(const uint8_t *body, size_t len)
{
	PoolerBind	bind;
	size_t		binary = 0;

	if (!pooler_bind_parse(body, len, &bind))
		return;
	require_string(bind.portal, body, len);
	require_string(bind.statement, body, len);
	REQUIRE(bind.formats + 2 * bind.nformats == body + len);
	REQUIRE(bind.nvalues * 4 <= (int) len);
	for (int i = 0; i < bind.nformats; i++)
		binary += pooler_bind_is_binary(&bind, i);
	REQUIRE(binary <= len / 2);
}

static void
fuzz_body(uint8_t type, const uint8_t *body, size_t len)
{
	PoolerParse parse;
	const char *name;
	char		kind;
	int32_t		rows;

	switch (type)
	{
		case 'Q':
			if (pooler_query_parse(body, len, &name))
				REQUIRE((const uint8_t *) name == body && strlen(name) + 1 == len);
			break;
		case 'P':
			if (!pooler_parse_parse(body, len, &parse))
				break;
			require_string(parse.name, body, len);
			require_string(parse.text, body, len);
			REQUIRE(strlen(parse.name) + strlen(parse.text) + 4 + parse.ntypes * 4 == len);
			break;
		case 'B':
			fuzz_bind(body, len);
			break;
		case 'D':
		case 'C':
			if (pooler_named_parse(body, len, &kind, &name))
				REQUIRE((kind == 'S' || kind == 'P') && strlen(name) + 2 == len);
			break;
		case 'E':
			if (pooler_execute_parse(body, len, &name, &rows))
				REQUIRE(strlen(name) + 5 == len);
			break;
	}
}

/* What is judged early must be judged alike when more is there. */
static void
fuzz_early(const uint8_t *data, size_t size, PoolerFrame frame)
{
	for (size_t n = 1; n < size && n < 8; n++)
	{
		PoolerFrame early = pooler_frame_inspect(data, n, LIMIT);

		if (early.verdict != POOLER_FRAME_PARTIAL)
			REQUIRE(early.verdict == frame.verdict && early.total == frame.total);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	while (size > 0)
	{
		PoolerFrame frame = pooler_frame_inspect(data, size, LIMIT);
		uint8_t    *message;

		fuzz_early(data, size, frame);
		if ((frame.verdict != POOLER_FRAME_READY &&
			 frame.verdict != POOLER_FRAME_STRAY) ||
			frame.total > LIMIT || frame.total > size)
		{
			/* what fits is READY only if it is there */
			REQUIRE(frame.verdict != POOLER_FRAME_READY || frame.total > LIMIT);
			break;
		}
		message = malloc(frame.total);
		memcpy(message, data, frame.total);
		if (frame.verdict == POOLER_FRAME_READY)
			fuzz_body(frame.type, message + POOLER_FRAME_HEADER,
					  frame.total - POOLER_FRAME_HEADER);
		free(message);
		data += frame.total;
		size -= frame.total;
	}
	return 0;
}
