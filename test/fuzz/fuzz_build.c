/*
 * fuzz_build.c
 *		libFuzzer harness for messages that tell a client what it has sent.
 *
 * The first bytes choose a mistake and the size of the buffer; then come
 * strings.  What fits must be a message that says what it was given; what does
 * not must leave alone what is behind its buffer.
 */
#include <stdlib.h>
#include <string.h>

#include "../../src/proto/build.h"

#define REQUIRE(condition) \
	do { if (!(condition)) abort(); } while (0)

extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool
same(const char *a, const char *b)
{
	return a == NULL ? b == NULL : b != NULL && strcmp(a, b) == 0;
}

static void
fuzz_format(uint8_t choice, size_t room, const char *value)
{
	PoolerProtoError code = choice % (POOLER_PROTO_MESSAGE_EOF + 1);
	const PoolerProtoErrorInfo *info = pooler_proto_error_info(code);
	PoolerProtoErrorArgs args = {0};
	char	   *text = malloc(room + 1);

	args.proto = choice * 0x1010101u;
	args.type = choice;
	args.value = value;
	REQUIRE(pooler_proto_error_format(code, &args, text, room + 1) == text);
	REQUIRE(strlen(text) <= room);
	REQUIRE(strlen(info->sqlstate) == 5 && info->message != NULL);
	free(text);
}

static void
fuzz_error(size_t room, const PoolerErrorFields *fields)
{
	uint8_t    *buf = malloc(room > 0 ? room : 1);
	PoolerWriter w = pooler_writer(buf, room);
	PoolerErrorFields again;
	PoolerMessage m;
	size_t		offset = 0;

	pooler_build_error(&w, fields);
	REQUIRE(pooler_writer_fits(&w) == (w.len <= room));
	if (pooler_writer_fits(&w))
	{
		REQUIRE(pooler_message_next(buf, w.len, w.len, &offset, &m) == POOLER_MESSAGE_OK);
		REQUIRE(m.type == 'E' && offset == w.len);
		REQUIRE(pooler_message_parse_error(&m, &again));
		REQUIRE(same(again.message, fields->message) &&
				same(again.detail, fields->detail) &&
				same(again.hint, fields->hint) &&
				same(again.sqlstate, fields->sqlstate));
	}
	free(buf);
}

static void
fuzz_others(size_t room, const PoolerErrorFields *fields)
{
	uint8_t    *buf = malloc(room > 0 ? room : 1);
	PoolerWriter w = pooler_writer(buf, room);
	size_t		begin;

	pooler_build_notice(&w, fields->message);
	pooler_build_parameter(&w, fields->message, fields->detail);
	begin = pooler_build_startup_begin(&w, POOLER_PROTO_VERSION_3_0);
	pooler_build_startup_pair(&w, fields->message, fields->detail);
	pooler_build_startup_end(&w, begin);
	REQUIRE(pooler_writer_fits(&w) == (w.len <= room));
	free(buf);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	PoolerErrorFields fields = {0};
	char	   *text;
	size_t		room;

	if (size < 3)
		return 0;
	text = malloc(size + 2);
	memcpy(text, data + 3, size - 3);
	memset(text + size - 3, 0, 5);	/* the ends of all strings */
	room = data[1] | (data[2] & 3) << 8;
	fields.severity = "FATAL";
	fields.sqlstate = "08P01";
	fields.message = text;
	fields.detail = fields.message + strlen(fields.message) + 1;
	if (fields.detail >= text + size - 3)
		fields.detail = "";
	fields.hint = data[0] & 1 ? fields.detail : NULL;
	fuzz_format(data[0], room, fields.message);
	fuzz_error(room, &fields);
	fuzz_others(room, &fields);
	free(text);
	return 0;
}
