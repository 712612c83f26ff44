/*
 * test_frame.c
 *		Unit tests of src/proto/frame.c.
 */
#include "tap.h"

#include "../../src/proto/frame.h"

#define LIMIT	8192

/* A message with a body of n bytes; the caller frees it. */
static uint8_t *
message_of(char type, size_t n, size_t *len)
{
	uint8_t    *m = malloc(n + 5);

	m[0] = (uint8_t) type;
	m[1] = (uint8_t) ((n + 4) >> 24);
	m[2] = (uint8_t) ((n + 4) >> 16);
	m[3] = (uint8_t) ((n + 4) >> 8);
	m[4] = (uint8_t) (n + 4);
	memset(m + 5, 'x', n);
	*len = n + 5;
	return m;
}

static void
test_types(void)
{
	int			type;

	for (type = 0; type < 256; type++)
	{
		uint32_t	limit = 0;

		if (type != 0 && strchr("QFPBd", type) != NULL)
			limit = 1073741822;
		else if (type != 0 && strchr("XCDEHScf", type) != NULL)
			limit = 10000;
		if (pooler_frame_length_limit((uint8_t) type) != limit)
		{
			ok(false, "limit of type %d", type);
			return;
		}
	}
	ok(true, "limits of all types");
}

static void
test_inspect(void)
{
	static const struct
	{
		const char *what;
		const char *bytes;
		size_t		len;
		PoolerFrameVerdict verdict;
		uint32_t	total;
		uint32_t	need;
	}			rows[] = {
		{"nothing", BYTES(""), POOLER_FRAME_EMPTY, 0, 0},
		{"X alone", BYTES("X"), POOLER_FRAME_TERMINATE, 0, 0},
		{"X whole", BYTES("X\0\0\0\4"), POOLER_FRAME_TERMINATE, 0, 0},
		{"X with a bad length", BYTES("X\xff\xff\xff\xff"), POOLER_FRAME_TERMINATE, 0, 0},
		{"Q alone", BYTES("Q"), POOLER_FRAME_PARTIAL, 0, 5},
		{"Q, three bytes of length", BYTES("Q\0\0\0"), POOLER_FRAME_PARTIAL, 0, 5},
		{"Q, no body yet", BYTES("Q\0\0\0\6"), POOLER_FRAME_PARTIAL, 7, 7},
		{"Q, half a body", BYTES("Q\0\0\0\6;"), POOLER_FRAME_PARTIAL, 7, 7},
		{"Q whole", BYTES("Q\0\0\0\6;\0"), POOLER_FRAME_READY, 7, 0},
		{"Q whole and more", BYTES("Q\0\0\0\6;\0Z"), POOLER_FRAME_READY, 7, 0},
		{"Q of the limit", BYTES("Q\0\0\x1f\xff"), POOLER_FRAME_PARTIAL, LIMIT, LIMIT},
		{"Q over the limit", BYTES("Q\0\0\x20\0"), POOLER_FRAME_READY, LIMIT + 1, 0},
		{"Q of 1 GB", BYTES("Q\x3f\xff\xff\xfe"), POOLER_FRAME_READY, 0x3fffffff, 0},
		{"Q over core's limit", BYTES("Q\x3f\xff\xff\xff"), POOLER_FRAME_INVALID_LENGTH, 0, 0},
		{"Q of 2 GB", BYTES("Q\x7f\xff\xff\xff"), POOLER_FRAME_INVALID_LENGTH, 0, 0},
		{"Q of -2 GB", BYTES("Q\x80\0\0\0"), POOLER_FRAME_INVALID_LENGTH, 0, 0},
		{"Q of length -1", BYTES("Q\xff\xff\xff\xff"), POOLER_FRAME_INVALID_LENGTH, 0, 0},
		{"Q of length 0", BYTES("Q\0\0\0\0"), POOLER_FRAME_INVALID_LENGTH, 0, 0},
		{"Q of length 3", BYTES("Q\0\0\0\3"), POOLER_FRAME_INVALID_LENGTH, 0, 0},
		{"Q of length 4", BYTES("Q\0\0\0\4"), POOLER_FRAME_READY, 5, 0},
		{"d of a COPY that is over", BYTES("d\0\0\0\6ab"), POOLER_FRAME_STRAY, 7, 0},
		{"d, half of it", BYTES("d\0\0\0\6a"), POOLER_FRAME_STRAY, 7, 0},
		{"c", BYTES("c\0\0\0\4"), POOLER_FRAME_STRAY, 5, 0},
		{"f, header incomplete", BYTES("f\0\0\0"), POOLER_FRAME_PARTIAL, 0, 5},
		{"S of length 4", BYTES("S\0\0\0\4"), POOLER_FRAME_READY, 5, 0},
		{"S of length 10000", BYTES("S\0\0\x27\x10"), POOLER_FRAME_READY, 10001, 0},
		{"S of length 10001", BYTES("S\0\0\x27\x11"), POOLER_FRAME_INVALID_LENGTH, 0, 0},
		{"P of length 10001", BYTES("P\0\0\x27\x11"), POOLER_FRAME_READY, 10002, 0},
		{"zero byte", BYTES("\0"), POOLER_FRAME_INVALID_TYPE, 0, 0},
		{"password", BYTES("p\0\0\0\5"), POOLER_FRAME_INVALID_TYPE, 0, 0},
		{"TLS hello", BYTES("\x16\x03\x01"), POOLER_FRAME_INVALID_TYPE, 0, 0},
		{"lower-case q", BYTES("q\0\0\0\4"), POOLER_FRAME_INVALID_TYPE, 0, 0},
		{"byte 255", BYTES("\xff"), POOLER_FRAME_INVALID_TYPE, 0, 0},
	};
	size_t		i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
	{
		uint8_t    *bytes = exact(rows[i].bytes, rows[i].len);
		PoolerFrame f = pooler_frame_inspect(bytes, rows[i].len, LIMIT);

		is(f.verdict, rows[i].verdict, "inspect: %s", rows[i].what);
		is(f.total, rows[i].total, "inspect: %s: total", rows[i].what);
		is(f.need, rows[i].need, "inspect: %s: need", rows[i].what);
		is(f.type, rows[i].len > 0 ? (uint8_t) rows[i].bytes[0] : 0,
		   "inspect: %s: type", rows[i].what);
		free(bytes);
	}
}

static void
test_inspect_byte_by_byte(void)
{
	size_t		len;
	uint8_t    *m = message_of('Q', 100, &len);
	size_t		n;

	for (n = 1; n <= len; n++)
	{
		uint8_t    *part = exact(m, n);
		PoolerFrame f = pooler_frame_inspect(part, n, LIMIT);

		if (f.verdict != (n < len ? POOLER_FRAME_PARTIAL : POOLER_FRAME_READY) ||
			f.need != (n < 5 ? 5 : n < len ? len : 0))
			break;
		free(part);
	}
	is((long long) n, (long long) len + 1, "inspect: byte by byte");
	free(m);
}

/*
 * Rows of the walker's table are written as message types; every message
 * `t` has a body of t % 7 bytes.
 */
static size_t
stream_of(const char *types, uint8_t *out)
{
	size_t		at = 0;

	for (; *types != '\0'; types++)
	{
		size_t		len;
		uint8_t    *m = message_of(*types, (size_t) *types % 7, &len);

		memcpy(out + at, m, len);
		at += len;
		free(m);
	}
	return at;
}

static PoolerSkipVerdict
feed_in_chunks(const uint8_t *bytes, size_t len, size_t chunk, size_t *eaten)
{
	PoolerSkip	skip;
	PoolerSkipVerdict verdict = POOLER_SKIP_MORE;

	memset(&skip, 0, sizeof(skip));
	*eaten = 0;
	while (*eaten < len && verdict == POOLER_SKIP_MORE)
	{
		size_t		n = len - *eaten < chunk ? len - *eaten : chunk;
		uint8_t    *part = exact(bytes + *eaten, n);
		size_t		consumed;

		verdict = pooler_skip_feed(&skip, part, n, &consumed);
		*eaten += consumed;
		free(part);
		if (verdict == POOLER_SKIP_MORE && consumed != n)
			return (PoolerSkipVerdict) -1;
	}
	return verdict;
}

static void
test_skip(void)
{
	static const struct
	{
		const char *sent;
		const char *lost;		/* what must be consumed of it */
		PoolerSkipVerdict verdict;
	}			rows[] = {
		{"", "", POOLER_SKIP_MORE},
		{"Q", "Q", POOLER_SKIP_DONE},
		{"QQ", "Q", POOLER_SKIP_DONE},
		{"QX", "Q", POOLER_SKIP_DONE},
		{"F", "F", POOLER_SKIP_DONE},
		{"FQ", "F", POOLER_SKIP_DONE},
		{"S", "S", POOLER_SKIP_DONE},
		{"SS", "S", POOLER_SKIP_DONE},
		{"PBDES", "PBDES", POOLER_SKIP_DONE},
		{"PBDESPBES", "PBDES", POOLER_SKIP_DONE},
		{"PBE", "PBE", POOLER_SKIP_MORE},
		{"PH", "PH", POOLER_SKIP_MORE},
		{"H", "H", POOLER_SKIP_MORE},
		{"HQS", "HQS", POOLER_SKIP_DONE},
		{"C", "C", POOLER_SKIP_MORE},
		{"CSQ", "CS", POOLER_SKIP_DONE},
		{"PQBFES", "PQBFES", POOLER_SKIP_DONE},
		{"PBEdddcSQ", "PBEdddcS", POOLER_SKIP_DONE},
		{"d", "d", POOLER_SKIP_MORE},
		{"ddcQQ", "ddcQ", POOLER_SKIP_DONE},
		{"fPSQ", "fPS", POOLER_SKIP_DONE},
		{"X", "", POOLER_SKIP_TERMINATE},
		{"dX", "d", POOLER_SKIP_TERMINATE},
		{"PBX", "PB", POOLER_SKIP_TERMINATE},
		{"z", "", POOLER_SKIP_INVALID_TYPE},
		{"PzS", "P", POOLER_SKIP_INVALID_TYPE},
	};
	size_t		i;
	size_t		chunk;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
	{
		uint8_t		bytes[400];
		uint8_t		lost[400];
		size_t		len = stream_of(rows[i].sent, bytes);
		size_t		lost_len = stream_of(rows[i].lost, lost);
		bool		good = true;

		for (chunk = 1; chunk <= len + 1; chunk++)
		{
			size_t		eaten;
			PoolerSkipVerdict v = feed_in_chunks(bytes, len, chunk, &eaten);

			if (v != rows[i].verdict || eaten != lost_len)
			{
				good = false;
				printf("# chunks of %zu: verdict %d, %zu bytes of %zu\n",
					   chunk, v, eaten, lost_len);
			}
		}
		ok(good, "skip: \"%s\" loses \"%s\"", rows[i].sent, rows[i].lost);
	}
}

static void
test_skip_lengths(void)
{
	static const struct
	{
		const char *what;
		const char *bytes;
		size_t		len;
		PoolerSkipVerdict verdict;
	}			rows[] = {
		{"length 0", BYTES("Q\0\0\0\0"), POOLER_SKIP_INVALID_LENGTH},
		{"length 3", BYTES("Q\0\0\0\3"), POOLER_SKIP_INVALID_LENGTH},
		{"length 4", BYTES("Q\0\0\0\4"), POOLER_SKIP_DONE},
		{"length -1", BYTES("Q\xff\xff\xff\xff"), POOLER_SKIP_INVALID_LENGTH},
		{"length 2 GB", BYTES("P\x7f\xff\xff\xff"), POOLER_SKIP_INVALID_LENGTH},
		{"Sync of 10001", BYTES("S\0\0\x27\x11"), POOLER_SKIP_INVALID_LENGTH},
		{"length 1 GB", BYTES("Q\x3f\xff\xff\xfe" "abc"), POOLER_SKIP_MORE},
	};
	size_t		i;
	size_t		eaten;
	size_t		len;
	uint8_t    *m = message_of('Q', 100000, &len);

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
	{
		is(feed_in_chunks((const uint8_t *) rows[i].bytes, rows[i].len, 100,
						  &eaten),
		   rows[i].verdict, "skip: %s", rows[i].what);
		is(feed_in_chunks((const uint8_t *) rows[i].bytes, rows[i].len, 1,
						  &eaten),
		   rows[i].verdict, "skip: %s, byte by byte", rows[i].what);
	}
	is(feed_in_chunks(m, len, 8192, &eaten), POOLER_SKIP_DONE,
	   "skip: a message that exceeds the buffer");
	is((long long) eaten, (long long) len, "skip: all of it");
	free(m);
}

static void
test_messages(void)
{
	static const char bytes[] = "R\0\0\0\10\0\0\0\0" "S\0\0\0\10a\0b\0"
		"K\0\0\0\14\0\0\1\2\1\2\3\4" "Z\0\0\0\5I";
	static const char types[] = "RSKZ";
	size_t		len = sizeof(bytes) - 1;
	size_t		cut;

	/* Cut at every byte: the whole ones come out, then NEED_MORE. */
	for (cut = 0; cut <= len; cut++)
	{
		uint8_t    *part = exact(bytes, cut);
		size_t		offset = 0;
		size_t		n = 0;
		PoolerMessage m;
		PoolerMessageVerdict v;

		while ((v = pooler_message_next(part, cut, 100, &offset, &m)) ==
			   POOLER_MESSAGE_OK)
		{
			if (m.type != (uint8_t) types[n++])
				break;
		}
		if (v != POOLER_MESSAGE_NEED_MORE ||
			n != (size_t) ((cut >= 9) + (cut >= 18) + (cut >= 31) + (cut >= 37)))
		{
			ok(false, "messages: cut at %zu", cut);
			free(part);
			return;
		}
		free(part);
	}
	ok(true, "messages: cut at every byte");
}

static void
test_message_lengths(void)
{
	static const struct
	{
		const char *what;
		const char *bytes;
		size_t		len;
		PoolerMessageVerdict verdict;
		uint32_t	total;
	}			rows[] = {
		{"nothing", BYTES(""), POOLER_MESSAGE_NEED_MORE, 0},
		{"four bytes", BYTES("R\0\0\0"), POOLER_MESSAGE_NEED_MORE, 0},
		{"length 0", BYTES("R\0\0\0\0"), POOLER_MESSAGE_INVALID, 0},
		{"length 3", BYTES("R\0\0\0\3"), POOLER_MESSAGE_INVALID, 0},
		{"length 4", BYTES("1\0\0\0\4"), POOLER_MESSAGE_OK, 5},
		{"length of the limit", BYTES("R\0\0\0\143"), POOLER_MESSAGE_NEED_MORE, 100},
		{"length over the limit", BYTES("R\0\0\0\144"), POOLER_MESSAGE_TOO_LONG, 101},
		{"length 2 GB", BYTES("R\x7f\xff\xff\xff"), POOLER_MESSAGE_TOO_LONG, 0x80000000},
		{"length -2 GB", BYTES("R\x80\0\0\0"), POOLER_MESSAGE_INVALID, 0},
		{"length -1", BYTES("R\xff\xff\xff\xff"), POOLER_MESSAGE_INVALID, 0},
	};
	size_t		i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
	{
		uint8_t    *bytes = exact(rows[i].bytes, rows[i].len);
		size_t		offset = 0;
		PoolerMessage m;

		is(pooler_message_next(bytes, rows[i].len, 100, &offset, &m),
		   rows[i].verdict, "message: %s", rows[i].what);
		is(m.total, rows[i].total, "message: %s: total", rows[i].what);
		is((long long) offset,
		   rows[i].verdict == POOLER_MESSAGE_OK ? rows[i].total : 0,
		   "message: %s: offset", rows[i].what);
		free(bytes);
	}
}

static PoolerMessage
with_body(char type, const uint8_t *body, size_t len)
{
	PoolerMessage m = {0, NULL, 0, 0};

	m.type = (uint8_t) type;
	m.body = body;
	m.len = (uint32_t) len;
	m.total = m.len + 5;
	return m;
}

static void
test_error_response(void)
{
	static const char full[] = "SFATAL\0VFATAL\0C3D000\0Mno such database\0"
		"Dmore\0Htry\0Wwhere\0Fpostinit.c\0L12\0RInitPostgres\0\0";
	static const struct
	{
		const char *what;
		const char *body;
		size_t		len;
		bool		valid;
	}			rows[] = {
		{"no V: S is the severity", BYTES("SERROR\0C42601\0Mx\0\0"), true},
		{"empty", BYTES(""), false},
		{"terminator only", BYTES("\0"), false},
		{"no severity", BYTES("C42601\0Mx\0\0"), false},
		{"no SQLSTATE", BYTES("SERROR\0Mx\0\0"), false},
		{"no message", BYTES("SERROR\0C42601\0\0"), false},
		{"no terminator", BYTES("SERROR\0C42601\0Mx\0"), false},
		{"unterminated field", BYTES("SERROR\0C42601\0Mx"), false},
		{"bytes after the end", BYTES("SERROR\0C42601\0Mx\0\0x"), false},
	};
	PoolerErrorFields f;
	PoolerMessage m;
	size_t		i;

	m = with_body('E', (const uint8_t *) full, sizeof(full) - 1);
	ok(pooler_message_parse_error(&m, &f), "error: full");
	is_str(f.severity, "FATAL", "error: severity");
	is_str(f.severity_local, "FATAL", "error: local severity");
	is_str(f.sqlstate, "3D000", "error: SQLSTATE");
	is_str(f.message, "no such database", "error: message");
	is_str(f.detail, "more", "error: detail");
	is_str(f.hint, "try", "error: hint");
	is_str(f.context, "where", "error: context");

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
	{
		uint8_t    *body = exact(rows[i].body, rows[i].len);

		m = with_body('E', body, rows[i].len);
		is(pooler_message_parse_error(&m, &f), rows[i].valid,
		   "error: %s", rows[i].what);
		free(body);
	}
	for (i = 0; i < sizeof(full) - 1; i++)
	{
		uint8_t    *body = exact(full, i);

		m = with_body('E', body, i);
		if (pooler_message_parse_error(&m, &f))
			ok(false, "error: accepted when cut at %zu", i);
		free(body);
	}
	ok(true, "error: cut at every byte");
}

static void
test_small_messages(void)
{
	PoolerMessage m;
	const char *name;
	const char *value;

	m = with_body('S', (const uint8_t *) "TimeZone\0UTC\0", 13);
	ok(pooler_message_parse_parameter(&m, &name, &value), "parameter");
	is_str(name, "TimeZone", "parameter: name");
	is_str(value, "UTC", "parameter: value");
	m.len = 12;
	ok(!pooler_message_parse_parameter(&m, &name, &value), "parameter: unterminated value");
	m.len = 9;
	ok(!pooler_message_parse_parameter(&m, &name, &value), "parameter: no value");
	m.len = 0;
	ok(!pooler_message_parse_parameter(&m, &name, &value), "parameter: empty");
	m = with_body('S', (const uint8_t *) "a\0b\0c", 5);
	ok(!pooler_message_parse_parameter(&m, &name, &value), "parameter: trailing bytes");
}

static void
test_number(void)
{
	static const struct
	{
		const char *name;
		const char *body;
		size_t		len;
		int			expected;	/* -1: refused */
	}			rows[] = {
		{"one digit", BYTES("\0\1\0\0\0\0017"), 7},
		{"the largest", BYTES("\0\1\0\0\0\n2147483647"), 2147483647},
		{"one more", BYTES("\0\1\0\0\0\n2147483648"), -1},
		{"eleven digits", BYTES("\0\1\0\0\0\v00000000001"), -1},
		{"negative", BYTES("\0\1\0\0\0\2-1"), -1},
		{"NULL", BYTES("\0\1\xff\xff\xff\xff"), -1},
		{"empty", BYTES("\0\1\0\0\0\0"), -1},
		{"two columns", BYTES("\0\2\0\0\0\0017\0\0\0\0017"), -1},
		{"trailing bytes", BYTES("\0\1\0\0\0\00177"), -1},
		{"too short", BYTES("\0\1\0\0\0\0027"), -1},
		{"half a length", BYTES("\0\1\0"), -1},
		{"half a number of columns", BYTES("\0"), -1},
		{"nothing", BYTES(""), -1},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
	{
		uint8_t    *copy = exact(rows[i].body, rows[i].len);
		PoolerMessage m = with_body('D', copy, rows[i].len);
		int			number = -1;

		if (!pooler_message_parse_number(&m, &number))
			number = -1;
		is(number, rows[i].expected, "number: %s", rows[i].name);
		free(copy);
	}
}

int
main(void)
{
	test_types();
	test_inspect();
	test_inspect_byte_by_byte();
	test_skip();
	test_skip_lengths();
	test_messages();
	test_message_lengths();
	test_error_response();
	test_small_messages();
	test_number();
	return done_testing();
}
