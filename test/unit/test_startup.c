/*
 * test_startup.c
 *		Unit tests of src/proto/startup.c and errors.c.
 */
#include "tap.h"

#include "../../src/proto/startup.h"

#define V3(minor)	"\0\3\0" minor

/* Puts the length word before `body`; the caller frees the packet. */
static uint8_t *
packet_of(const char *body, size_t body_len, size_t *len)
{
	uint8_t    *packet = malloc(body_len + 4);

	*len = body_len + 4;
	packet[0] = (uint8_t) (*len >> 24);
	packet[1] = (uint8_t) (*len >> 16);
	packet[2] = (uint8_t) (*len >> 8);
	packet[3] = (uint8_t) *len;
	memcpy(packet + 4, body, body_len);
	return packet;
}

static void
test_inspect(void)
{
	static const struct
	{
		const char *what;
		const char *bytes;
		size_t		len;
		bool		ssl_done;
		bool		gss_done;
		PoolerStartupKind kind;
		PoolerProtoError error;
		uint32_t	need;
	}			rows[] = {
		{"nothing", BYTES(""), 0, 0, POOLER_STARTUP_NEED_MORE, 0, 4},
		{"one byte", BYTES("\0"), 0, 0, POOLER_STARTUP_NEED_MORE, 0, 4},
		{"three bytes", BYTES("\0\0\0"), 0, 0, POOLER_STARTUP_NEED_MORE, 0, 4},
		{"length 0", BYTES("\0\0\0\0"), 0, 0, POOLER_STARTUP_ERROR, POOLER_PROTO_STARTUP_LENGTH, 0},
		{"length 3", BYTES("\0\0\0\3"), 0, 0, POOLER_STARTUP_ERROR, POOLER_PROTO_STARTUP_LENGTH, 0},
		{"length 4", BYTES("\0\0\0\4"), 0, 0, POOLER_STARTUP_ERROR, POOLER_PROTO_STARTUP_LENGTH, 0},
		{"length 7", BYTES("\0\0\0\7abc"), 0, 0, POOLER_STARTUP_ERROR, POOLER_PROTO_STARTUP_LENGTH, 0},
		{"length 8, header only", BYTES("\0\0\0\10"), 0, 0, POOLER_STARTUP_NEED_MORE, 0, 8},
		{"length 8, one byte short", BYTES("\0\0\0\10\0\3\0"), 0, 0, POOLER_STARTUP_NEED_MORE, 0, 8},
		{"length 8, 3.0", BYTES("\0\0\0\10" V3("\0")), 0, 0, POOLER_STARTUP_PARAMETERS, 0, 8},
		{"length 10004, the longest", BYTES("\0\0\x27\x14"), 0, 0, POOLER_STARTUP_NEED_MORE, 0, 10004},
		{"length 10005", BYTES("\0\0\x27\x15"), 0, 0, POOLER_STARTUP_ERROR, POOLER_PROTO_STARTUP_LENGTH, 0},
		{"length 2 GB - 1", BYTES("\x7f\xff\xff\xff"), 0, 0, POOLER_STARTUP_ERROR, POOLER_PROTO_STARTUP_LENGTH, 0},
		{"length -2 GB", BYTES("\x80\0\0\0"), 0, 0, POOLER_STARTUP_ERROR, POOLER_PROTO_STARTUP_LENGTH, 0},
		{"length -1", BYTES("\xff\xff\xff\xff"), 0, 0, POOLER_STARTUP_ERROR, POOLER_PROTO_STARTUP_LENGTH, 0},
		{"HTTP", BYTES("GET / HTTP/1.1\r\n"), 0, 0, POOLER_STARTUP_ERROR, POOLER_PROTO_STARTUP_LENGTH, 0},
		{"SSLRequest", BYTES("\0\0\0\10\x04\xd2\x16\x2f"), 0, 0, POOLER_STARTUP_SSL_REQUEST, 0, 8},
		{"SSLRequest and more", BYTES("\0\0\0\10\x04\xd2\x16\x2f\0"), 0, 0, POOLER_STARTUP_SSL_REQUEST, 0, 8},
		{"long SSLRequest", BYTES("\0\0\0\11\x04\xd2\x16\x2f\0"), 0, 0, POOLER_STARTUP_SSL_REQUEST, 0, 9},
		{"SSLRequest after GSS", BYTES("\0\0\0\10\x04\xd2\x16\x2f"), 0, 1, POOLER_STARTUP_SSL_REQUEST, 0, 8},
		{"second SSLRequest", BYTES("\0\0\0\10\x04\xd2\x16\x2f"), 1, 0, POOLER_STARTUP_ERROR, POOLER_PROTO_VERSION, 8},
		{"GSSENCRequest", BYTES("\0\0\0\10\x04\xd2\x16\x30"), 0, 0, POOLER_STARTUP_GSS_REQUEST, 0, 8},
		{"GSSENCRequest after SSL", BYTES("\0\0\0\10\x04\xd2\x16\x30"), 1, 0, POOLER_STARTUP_GSS_REQUEST, 0, 8},
		{"second GSSENCRequest", BYTES("\0\0\0\10\x04\xd2\x16\x30"), 0, 1, POOLER_STARTUP_ERROR, POOLER_PROTO_VERSION, 8},
		{"cancel", BYTES("\0\0\0\20\x04\xd2\x16\x2e\0\0\0\1\0\0\0\2"), 0, 0, POOLER_STARTUP_CANCEL, 0, 16},
		{"cancel after SSL and GSS", BYTES("\0\0\0\20\x04\xd2\x16\x2e\0\0\0\1\0\0\0\2"), 1, 1, POOLER_STARTUP_CANCEL, 0, 16},
		{"TLS hello", BYTES("\x16\x03\x01\x02\0\1"), 0, 0, POOLER_STARTUP_TLS_HELLO, 0, 0},
		{"TLS hello, first byte", BYTES("\x16"), 0, 0, POOLER_STARTUP_TLS_HELLO, 0, 0},
		{"TLS hello after SSL", BYTES("\x16\x03\x01\x02"), 1, 0, POOLER_STARTUP_ERROR, POOLER_PROTO_STARTUP_LENGTH, 0},
		{"TLS hello after GSS", BYTES("\x16\x03\x01\x02"), 0, 1, POOLER_STARTUP_ERROR, POOLER_PROTO_STARTUP_LENGTH, 0},
		{"protocol 0.0", BYTES("\0\0\0\10\0\0\0\0"), 0, 0, POOLER_STARTUP_ERROR, POOLER_PROTO_VERSION, 8},
		{"protocol 2.0", BYTES("\0\0\0\10\0\2\0\0"), 0, 0, POOLER_STARTUP_ERROR, POOLER_PROTO_VERSION, 8},
		{"protocol 4.0", BYTES("\0\0\0\10\0\4\0\0"), 0, 0, POOLER_STARTUP_ERROR, POOLER_PROTO_VERSION, 8},
		{"protocol 3.9999", BYTES("\0\0\0\10\0\3\x27\x0f"), 0, 0, POOLER_STARTUP_PARAMETERS, 0, 8},
		{"protocol 65535.65535", BYTES("\0\0\0\10\xff\xff\xff\xff"), 0, 0, POOLER_STARTUP_ERROR, POOLER_PROTO_VERSION, 8},
	};
	size_t		i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
	{
		uint8_t    *bytes = exact(rows[i].bytes, rows[i].len);
		PoolerStartupVerdict v = pooler_startup_inspect(bytes, rows[i].len,
														rows[i].ssl_done,
														rows[i].gss_done);

		is(v.kind, rows[i].kind, "inspect: %s", rows[i].what);
		is(v.error, rows[i].error, "inspect: %s: error", rows[i].what);
		is(v.need, rows[i].need, "inspect: %s: need", rows[i].what);
		free(bytes);
	}
}

/* A packet that arrives byte by byte never asks for too much or too little. */
static void
test_one_byte_at_a_time(void)
{
	size_t		len;
	uint8_t    *packet = packet_of(BYTES(V3("\0") "user\0alice\0database\0shop\0\0"), &len);
	size_t		n;
	bool		good = true;

	for (n = 0; n < len; n++)
	{
		uint8_t    *part = exact(packet, n);
		PoolerStartupVerdict v = pooler_startup_inspect(part, n, false, false);

		if (v.kind != POOLER_STARTUP_NEED_MORE ||
			v.need != (n < 4 ? 4 : len))
			good = false;
		free(part);
	}
	ok(good, "byte by byte: more is needed until the packet is whole");
	is(pooler_startup_inspect(packet, len, false, false).kind,
	   POOLER_STARTUP_PARAMETERS, "byte by byte: whole");
	is(pooler_startup_inspect(packet, len, false, false).proto, 0x30000,
	   "byte by byte: version");
	free(packet);
}

static void
test_cancel(void)
{
	char		body[8 + 300];
	size_t		key_len;

	memset(body, 'k', sizeof(body));
	memcpy(body, "\x04\xd2\x16\x2e\x01\x02\x03\x04", 8);
	for (key_len = 0; key_len <= 300; key_len++)
	{
		size_t		len;
		uint8_t    *packet = packet_of(body, 8 + key_len, &len);
		PoolerCancelRequest cancel;
		PoolerProtoError error = pooler_startup_parse_cancel(packet, len, 0x30002,
															 &cancel);
		PoolerProtoError expected = key_len >= 1 && key_len <= 256 ?
			POOLER_PROTO_OK : POOLER_PROTO_CANCEL_KEY_LENGTH;
		PoolerProtoError old;

		if (error != expected ||
			(error == POOLER_PROTO_OK &&
			 (cancel.pid != 0x01020304 || cancel.key_len != key_len ||
			  cancel.key != packet + 12)))
		{
			ok(false, "cancel: key of %zu bytes", key_len);
			free(packet);
			return;
		}
		old = pooler_startup_parse_cancel(packet, len, 0x30000, &cancel);
		if (old != (key_len == 4 ? POOLER_PROTO_OK : POOLER_PROTO_STARTUP_LENGTH))
		{
			ok(false, "cancel: key of %zu bytes", key_len);
			free(packet);
			return;
		}
		free(packet);
	}
	ok(true, "cancel: keys of 0 to 300 bytes");

	for (key_len = 0; key_len < 12; key_len++)
	{
		uint8_t    *packet = exact("\0\0\0\10\x04\xd2\x16\x2e\0\0\0", key_len);
		PoolerCancelRequest cancel;

		is(pooler_startup_parse_cancel(packet, key_len, 0x30002, &cancel),
		   POOLER_PROTO_CANCEL_LENGTH, "cancel: packet of %zu bytes", key_len);
		is(pooler_startup_parse_cancel(packet, key_len, 0x30000, &cancel),
		   POOLER_PROTO_STARTUP_LENGTH, "cancel: packet of %zu bytes, before 3.2",
		   key_len);
		free(packet);
	}
}

static void
test_parse(void)
{
	static const struct
	{
		const char *what;
		const char *body;
		size_t		len;
		PoolerProtoError error;
		const char *user;
		const char *database;
		const char *options;
		const char *application_name;
		PoolerReplication replication;
		size_t		nsettings;
		size_t		nprotocol;
	}			rows[] = {
		{"user only", BYTES(V3("\0") "user\0al\0\0"),
		.user = "al", .database = "al"},
		{"user and database", BYTES(V3("\0") "user\0al\0database\0shop\0\0"),
		.user = "al", .database = "shop"},
		{"database first", BYTES(V3("\0") "database\0shop\0user\0al\0\0"),
		.user = "al", .database = "shop"},
		{"empty database", BYTES(V3("\0") "database\0\0user\0al\0\0"),
		.user = "al", .database = "al"},
		{"options", BYTES(V3("\0") "user\0al\0options\0-c a=b\0\0"),
		.user = "al", .database = "al", .options = "-c a=b"},
		{"empty options", BYTES(V3("\0") "user\0al\0options\0\0\0"),
		.user = "al", .database = "al", .options = ""},
		{"application_name", BYTES(V3("\0") "user\0al\0application_name\0psql\0\0"),
		.user = "al", .database = "al", .application_name = "psql", .nsettings = 1},
		{"settings", BYTES(V3("\0") "user\0al\0DateStyle\0ISO\0a.b\0\0\0"),
		.user = "al", .database = "al", .nsettings = 2},
		{"names are case-sensitive", BYTES(V3("\0") "user\0al\0User\0bo\0DATABASE\0x\0\0"),
		.user = "al", .database = "al", .nsettings = 2},
		{"longer names are settings", BYTES(V3("\0") "user\0al\0user2\0bo\0use\0x\0\0"),
		.user = "al", .database = "al", .nsettings = 2},
		{"the last user counts", BYTES(V3("\0") "user\0al\0user\0bo\0\0"),
		.user = "bo", .database = "bo"},
		{"the last user counts, empty", BYTES(V3("\0") "user\0al\0user\0\0\0"),
		.error = POOLER_PROTO_NO_USER},
		{"protocol option", BYTES(V3("\2") "user\0al\0_pq_.x\0on\0\0"),
		.user = "al", .database = "al", .nprotocol = 1},
		{"protocol options", BYTES(V3("\2") "_pq_.\0\0user\0al\0_pq_.x\0on\0\0"),
		.user = "al", .database = "al", .nprotocol = 2},
		{"no protocol option", BYTES(V3("\0") "user\0al\0_pq_\0on\0_PQ_.a\0\0\0"),
		.user = "al", .database = "al", .nsettings = 2},
		{"replication=database", BYTES(V3("\0") "user\0al\0replication\0database\0database\0d\0\0"),
		.user = "al", .database = "d", .replication = POOLER_REPLICATION_DATABASE},
		{"replication=on", BYTES(V3("\0") "user\0al\0replication\0on\0database\0d\0\0"),
		.user = "al", .database = "", .replication = POOLER_REPLICATION_PHYSICAL},
		{"replication=off", BYTES(V3("\0") "user\0al\0replication\0off\0database\0d\0\0"),
		.user = "al", .database = "d", .replication = POOLER_REPLICATION_NONE},
		{"replication database, then true", BYTES(V3("\0") "user\0al\0replication\0database\0replication\0true\0\0"),
		.user = "al", .database = "al", .replication = POOLER_REPLICATION_DATABASE},
		{"replication database, then false", BYTES(V3("\0") "user\0al\0replication\0database\0replication\0false\0\0"),
		.user = "al", .database = "al", .replication = POOLER_REPLICATION_NONE},
		{"replication=Database", BYTES(V3("\0") "user\0al\0replication\0Database\0\0"),
		.error = POOLER_PROTO_REPLICATION},
		{"replication=", BYTES(V3("\0") "user\0al\0replication\0\0\0"),
		.error = POOLER_PROTO_REPLICATION},
		{"replication error before layout error", BYTES(V3("\0") "replication\0x\0user\0al"),
		.error = POOLER_PROTO_REPLICATION},
		{"layout error before missing user", BYTES(V3("\0") "a\0b\0\0\0"),
		.error = POOLER_PROTO_STARTUP_LAYOUT},
		{"replication error before missing user", BYTES(V3("\0") "replication\0x\0\0"),
		.error = POOLER_PROTO_REPLICATION},
		{"no body", BYTES(V3("\0")),
		.error = POOLER_PROTO_STARTUP_LAYOUT},
		{"terminator only", BYTES(V3("\0") "\0"),
		.error = POOLER_PROTO_NO_USER},
		{"no user", BYTES(V3("\0") "database\0shop\0\0"),
		.error = POOLER_PROTO_NO_USER},
		{"empty user", BYTES(V3("\0") "user\0\0\0"),
		.error = POOLER_PROTO_NO_USER},
		{"no terminator", BYTES(V3("\0") "user\0al\0"),
		.error = POOLER_PROTO_STARTUP_LAYOUT},
		{"unterminated value", BYTES(V3("\0") "user\0al"),
		.error = POOLER_PROTO_STARTUP_LAYOUT},
		{"unterminated name", BYTES(V3("\0") "user\0al\0xy"),
		.error = POOLER_PROTO_STARTUP_LAYOUT},
		{"name without value", BYTES(V3("\0") "user\0al\0x\0"),
		.error = POOLER_PROTO_STARTUP_LAYOUT},
		{"two terminators", BYTES(V3("\0") "user\0al\0\0\0"),
		.error = POOLER_PROTO_STARTUP_LAYOUT},
		{"bytes after the terminator", BYTES(V3("\0") "user\0al\0\0x\0y\0\0"),
		.error = POOLER_PROTO_STARTUP_LAYOUT},
		{"a pair and a byte after the terminator", BYTES(V3("\0") "user\0al\0\0x\0\0"),
		.error = POOLER_PROTO_STARTUP_LAYOUT},
		{"a stray byte as terminator, as in core", BYTES(V3("\0") "user\0al\0x"),
		.user = "al", .database = "al"},
	};
	size_t		i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
	{
		size_t		len;
		uint8_t    *packet = packet_of(rows[i].body, rows[i].len, &len);
		PoolerStartup s;

		is(pooler_startup_parse(packet, len, &s), rows[i].error,
		   "parse: %s", rows[i].what);
		if (rows[i].error == POOLER_PROTO_OK)
		{
			is_str(s.user, rows[i].user, "parse: %s: user", rows[i].what);
			is_str(s.database, rows[i].database,
				   "parse: %s: database", rows[i].what);
			is_str(s.options, rows[i].options,
				   "parse: %s: options", rows[i].what);
			is_str(s.application_name, rows[i].application_name,
				   "parse: %s: application_name", rows[i].what);
			is(s.replication, rows[i].replication,
			   "parse: %s: replication", rows[i].what);
			is((long long) s.nsettings, (long long) rows[i].nsettings,
			   "parse: %s: settings", rows[i].what);
			is((long long) s.nprotocol, (long long) rows[i].nprotocol,
			   "parse: %s: protocol options", rows[i].what);
		}
		free(packet);
	}
}

/*
 * Cut off anywhere, a good packet is a bad layout, and never a crash.  Where
 * one byte follows whole pairs it stands in the terminator's place, which is
 * good enough for core.
 */
static void
test_parse_truncated(void)
{
	static const char body[] = V3("\0") "user\0alice\0options\0-c x=y\0"
		"replication\0database\0_pq_.a\0b\0a.b\0c\0\0";
	size_t		n;

	for (n = 0; n < sizeof(body) - 1; n++)
	{
		size_t		len;
		uint8_t    *packet = packet_of(body, n, &len);
		PoolerStartup s;
		PoolerProtoError expected = POOLER_PROTO_STARTUP_LAYOUT;

		if (n < 4)
			expected = POOLER_PROTO_STARTUP_LENGTH;
		else if (n == 5)
			expected = POOLER_PROTO_NO_USER;
		else if (n == 16 || n == 31 || n == 52 || n == 61)
			expected = POOLER_PROTO_OK;
		is(pooler_startup_parse(packet, len, &s), expected,
		   "parse: cut after %zu bytes", n);
		free(packet);
	}
}

static void
test_iterate(void)
{
	static const struct
	{
		PoolerStartupParamKind kind;
		const char *name;
		const char *value;
	}			expected[] = {
		{POOLER_PARAM_SETTING, "a.b", "1"},
		{POOLER_PARAM_USER, "user", "al"},
		{POOLER_PARAM_PROTOCOL, "_pq_.z", ""},
		{POOLER_PARAM_OPTIONS, "options", "-c x=1"},
		{POOLER_PARAM_REPLICATION, "replication", "0"},
		{POOLER_PARAM_DATABASE, "database", ""},
		{POOLER_PARAM_SETTING, "a.b", "2"},
	};
	size_t		len;
	uint8_t    *packet = packet_of(BYTES(V3("\0") "a.b\0" "1\0user\0al\0_pq_.z\0\0"
										 "options\0-c x=1\0replication\0" "0\0"
										 "database\0\0a.b\0" "2\0\0"), &len);
	PoolerStartup s;
	PoolerStartupParam param;
	PoolerReader it;
	size_t		i = 0;

	is(pooler_startup_parse(packet, len, &s), POOLER_PROTO_OK, "iterate: parse");
	it = s.pairs;
	while (pooler_startup_next(&it, &param))
	{
		if (i >= sizeof(expected) / sizeof(expected[0]))
			break;
		is(param.kind, expected[i].kind, "iterate: kind %zu", i);
		is_str(param.name, expected[i].name, "iterate: name %zu", i);
		is_str(param.value, expected[i].value, "iterate: value %zu", i);
		i++;
	}
	is((long long) i, 7, "iterate: all pairs, and no more");
	ok(!pooler_startup_next(&it, &param), "iterate: the end stays the end");
	free(packet);
}

static void
test_negotiate(void)
{
	PoolerStartup s;

	memset(&s, 0, sizeof(s));
	s.proto = 0x30000;
	ok(!pooler_startup_must_negotiate(&s, 0x30000), "3.0 asked, 3.0 known");
	ok(!pooler_startup_must_negotiate(&s, 0x30002), "3.0 asked, 3.2 known");
	s.proto = 0x30002;
	ok(pooler_startup_must_negotiate(&s, 0x30000), "3.2 asked, 3.0 known");
	ok(!pooler_startup_must_negotiate(&s, 0x30002), "3.2 asked, 3.2 known");
	s.proto = 0x30000;
	s.nprotocol = 1;
	ok(pooler_startup_must_negotiate(&s, 0x30000), "an option that is unknown");
	ok(pooler_startup_must_negotiate(&s, 0x30002), "... in any version");

	ok(!pooler_startup_has_long_keys(0x30000, 0x30000), "3.0: short keys");
	ok(!pooler_startup_has_long_keys(0x30001, 0x30002), "3.1: short keys");
	ok(pooler_startup_has_long_keys(0x30002, 0x30002), "3.2: long keys");
	ok(pooler_startup_has_long_keys(0x3270f, 0x30002), "3.9999: long keys");
	ok(!pooler_startup_has_long_keys(0x30002, 0x30000), "3.2, where 3.0 is the newest");
}

/* The expected answers are those of SET enable_sort = '...' on PostgreSQL 15. */
static void
test_bool(void)
{
	static const struct
	{
		const char *value;
		int			expected;	/* -1: not a boolean */
	}			rows[] = {
		{"true", 1}, {"tru", 1}, {"t", 1}, {"T", 1}, {"TRUE", 1}, {"tRuE", 1},
		{"truee", -1}, {"tr ", -1}, {"trux", -1},
		{"false", 0}, {"fal", 0}, {"F", 0}, {"falsey", -1},
		{"yes", 1}, {"y", 1}, {"YE", 1}, {"yess", -1},
		{"no", 0}, {"n", 0}, {"N", 0}, {"nope", -1}, {"not", -1},
		{"on", 1}, {"ON", 1}, {"o", -1}, {"O", -1}, {"onn", -1},
		{"off", 0}, {"of", 0}, {"OFF", 0}, {"offf", -1},
		{"1", 1}, {"0", 0}, {"11", -1}, {"10", -1}, {"00", -1}, {"2", -1},
		{"", -1}, {" true", -1}, {"true ", -1}, {"\xc3\x96", -1},
	};
	size_t		i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
	{
		bool		result = false;
		bool		valid = pooler_startup_parse_bool(rows[i].value, &result);

		is(valid ? result : -1, rows[i].expected, "bool: \"%s\"", rows[i].value);
	}
}

static void
test_error_table(void)
{
	static const struct
	{
		PoolerProtoError code;
		const char *sqlstate;
		bool		log_only;
		const char *message;
	}			rows[] = {
		{POOLER_PROTO_STARTUP_INCOMPLETE, "08P01", true, "incomplete startup packet"},
		{POOLER_PROTO_STARTUP_LENGTH, "08P01", true, "invalid length of startup packet"},
		{POOLER_PROTO_CANCEL_LENGTH, "08P01", true, "invalid length of cancel request packet"},
		{POOLER_PROTO_CANCEL_KEY_LENGTH, "08P01", true, "invalid length of cancel key in cancel request packet"},
		{POOLER_PROTO_DATA_AFTER_SSL, "08P01", false, "received unencrypted data after SSL request"},
		{POOLER_PROTO_DATA_AFTER_GSS, "08P01", false, "received unencrypted data after GSSAPI encryption request"},
		{POOLER_PROTO_VERSION, "0A000", false, "unsupported frontend protocol 1234.5679: server supports 3.0 to 3.2"},
		{POOLER_PROTO_STARTUP_LAYOUT, "08P01", false, "invalid startup packet layout: expected terminator as last byte"},
		{POOLER_PROTO_REPLICATION, "22023", false, "invalid value for parameter \"replication\": \"50%s\""},
		{POOLER_PROTO_NO_USER, "28000", false, "no PostgreSQL user name specified in startup packet"},
		{POOLER_PROTO_PASSWORD_TYPE, "08P01", false, "expected password response, got message type 255"},
		{POOLER_PROTO_SASL_TYPE, "08P01", false, "expected SASL response, got message type 255"},
		{POOLER_PROTO_PASSWORD_SIZE, "08P01", false, "invalid password packet size"},
		{POOLER_PROTO_PASSWORD_EMPTY, "28P01", false, "empty password returned by client"},
		{POOLER_PROTO_STRING, "08P01", false, "invalid string in message"},
		{POOLER_PROTO_SHORT, "08P01", false, "insufficient data left in message"},
		{POOLER_PROTO_FORMAT, "08P01", false, "invalid message format"},
		{POOLER_PROTO_TYPE, "08P01", false, "invalid frontend message type 255"},
		{POOLER_PROTO_LENGTH, "08P01", true, "invalid message length"},
		{POOLER_PROTO_LENGTH_EOF, "08P01", true, "unexpected EOF within message length word"},
		{POOLER_PROTO_MESSAGE_EOF, "08P01", true, "incomplete message from client"},
	};
	PoolerProtoErrorArgs args = {0x04d2162f, 0x30002, 255, "50%s"};
	char		buf[200];
	char		small[8];
	size_t		i;

	is(sizeof(rows) / sizeof(rows[0]), POOLER_PROTO_MESSAGE_EOF,
	   "errors: every code is tested");
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
	{
		const PoolerProtoErrorInfo *info = pooler_proto_error_info(rows[i].code);

		is_str(info->sqlstate, rows[i].sqlstate, "errors: SQLSTATE %zu", i);
		is(info->log_only, rows[i].log_only, "errors: log only %zu", i);
		is_str(pooler_proto_error_format(rows[i].code, &args, buf, sizeof(buf)),
			   rows[i].message, "errors: message %zu", i);
	}
	is_str(pooler_proto_error_format(POOLER_PROTO_NO_USER, NULL, buf, sizeof(buf)),
		   "no PostgreSQL user name specified in startup packet",
		   "errors: no arguments needed");
	is_str(pooler_proto_error_format(POOLER_PROTO_VERSION, &args, small, sizeof(small)),
		   "unsuppo", "errors: cut to the buffer");
	is_str(pooler_proto_error_info(POOLER_PROTO_OK)->sqlstate, "00000",
		   "errors: no error");
	is_str(pooler_proto_error_info(POOLER_PROTO_REPLICATION)->hint,
		   "Valid values are: \"false\", 0, \"true\", 1, \"database\".",
		   "errors: hint");
}

int
main(void)
{
	test_inspect();
	test_one_byte_at_a_time();
	test_cancel();
	test_parse();
	test_parse_truncated();
	test_iterate();
	test_negotiate();
	test_bool();
	test_error_table();
	return done_testing();
}
