/*
 * test_build.c
 *		Unit tests of src/proto/build.c: exact bytes, and every buffer size.
 */
#include "tap.h"

#include "../../src/proto/build.h"

static const char client_body[] = "\0\0\0\0\0\3\0\2user\0al\0DateStyle\0ISO\0"
"_pq_.x\0on\0options\0-c a=b\0_pq_.yy\0\0a.b\0\0\0";

/* What each row writes; the startup packet of the client is given. */
static void
build_negotiate(PoolerWriter *w, const PoolerStartup *client)
{
	pooler_build_negotiate(w, client, 0x30000);
}

static void
build_negotiate_newer(PoolerWriter *w, const PoolerStartup *client)
{
	pooler_build_negotiate(w, client, 0x30005);
}

static void
build_auth_ok(PoolerWriter *w, const PoolerStartup *client)
{
	(void) client;
	pooler_build_auth(w, 0, NULL, 0);
}

static void
build_auth_md5(PoolerWriter *w, const PoolerStartup *client)
{
	(void) client;
	pooler_build_auth(w, 5, "s\0lt", 4);
}

static void
build_key(PoolerWriter *w, const PoolerStartup *client)
{
	(void) client;
	pooler_build_key(w, 0x01020304, "\1\2\3\4\5", 5);
}

static void
build_parameter(PoolerWriter *w, const PoolerStartup *client)
{
	(void) client;
	pooler_build_parameter(w, "TimeZone", "");
}

static void
build_login_notice(PoolerWriter *w, const PoolerStartup *client)
{
	(void) client;
	pooler_build_notice(w, "a\\nb\\c\\");
}

static void
build_ready(PoolerWriter *w, const PoolerStartup *client)
{
	(void) client;
	pooler_build_ready(w, 'T');
}

static void
build_error(PoolerWriter *w, const PoolerStartup *client)
{
	PoolerErrorFields f = {0};

	(void) client;
	f.severity = "FATAL";
	f.sqlstate = "28000";
	f.message = "no";
	pooler_build_error(w, &f);
}

static void
build_notice(PoolerWriter *w, const PoolerStartup *client)
{
	PoolerErrorFields f = {0};

	(void) client;
	f.severity = "NOTICE";
	f.sqlstate = "00000";
	f.message = "no";
	pooler_build_report(w, 'N', &f);
}

static void
build_error_full(PoolerWriter *w, const PoolerStartup *client)
{
	PoolerErrorFields f = {"ERROR", "FEHLER", "57014", "m", "d", "h", "w"};

	(void) client;
	pooler_build_error(w, &f);
}

static void
put_startup(PoolerWriter *w, bool more)
{
	size_t		begin = pooler_build_startup_begin(w, POOLER_PROTO_VERSION_3_0);

	pooler_build_startup_pair(w, "user", "al");
	pooler_build_startup_pair(w, "database", "shop");
	if (more)
	{
		pooler_build_startup_pair(w, "a.b", "");
		pooler_build_startup_pair(w, "_pq_.t", "");
	}
	pooler_build_startup_end(w, begin);
}

static void
build_startup(PoolerWriter *w, const PoolerStartup *client)
{
	(void) client;
	put_startup(w, false);
}

static void
build_startup_full(PoolerWriter *w, const PoolerStartup *client)
{
	(void) client;
	put_startup(w, true);
}

static void
build_several(PoolerWriter *w, const PoolerStartup *client)
{
	build_auth_ok(w, client);
	build_ready(w, client);
}

static const struct
{
	const char *what;
	void		(*build) (PoolerWriter *w, const PoolerStartup *client);
	const char *bytes;
	size_t		len;
}			rows[] = {

	{"negotiate", build_negotiate,
	BYTES("v\0\0\0\033\0\3\0\0\0\0\0\2_pq_.x\0_pq_.yy\0")},
	{"negotiate, the client's version is older", build_negotiate_newer,
	BYTES("v\0\0\0\033\0\3\0\2\0\0\0\2_pq_.x\0_pq_.yy\0")},
	{"auth ok", build_auth_ok, BYTES("R\0\0\0\10\0\0\0\0")},
	{"auth md5", build_auth_md5, BYTES("R\0\0\0\14\0\0\0\5s\0lt")},
	{"key", build_key, BYTES("K\0\0\0\15\1\2\3\4\1\2\3\4\5")},
	{"parameter", build_parameter, BYTES("S\0\0\0\16TimeZone\0\0")},
	{"ready", build_ready, BYTES("Z\0\0\0\5T")},
	{"notice at login", build_login_notice,
	BYTES("N\0\0\0\44SNOTICE\0VNOTICE\0C00000\0Ma\nb\\c\\\0\0")},
	{"error", build_error,
	BYTES("E\0\0\0\036SFATAL\0VFATAL\0C28000\0Mno\0\0")},
	{"notice", build_notice,
	BYTES("N\0\0\0\040SNOTICE\0VNOTICE\0C00000\0Mno\0\0")},
	{"error with all fields", build_error_full,
	BYTES("E\0\0\0\47SFEHLER\0VERROR\0C57014\0Mm\0Dd\0Hh\0Ww\0\0")},
	{"startup", build_startup,
	BYTES("\0\0\0\037\0\3\0\0user\0al\0database\0shop\0\0")},
	{"startup with a setting and an option", build_startup_full,
		BYTES("\0\0\0\54\0\3\0\0user\0al\0database\0shop\0"
			  "a.b\0\0_pq_.t\0\0\0")},
	{"several messages", build_several, BYTES("R\0\0\0\10\0\0\0\0Z\0\0\0\5T")},
};

/* In a buffer of any size: never over its end, and the same length needed. */
static bool
every_size(size_t i, const PoolerStartup *client)
{
	size_t		size;

	for (size = 0; size <= rows[i].len + 3; size++)
	{
		uint8_t    *buf = malloc(size > 0 ? size : 1);
		PoolerWriter w = pooler_writer(size > 0 ? buf : NULL, size);
		size_t		common = size < rows[i].len ? size : rows[i].len;
		bool		good;

		rows[i].build(&w, client);
		good = w.len == rows[i].len &&
			pooler_writer_fits(&w) == (size >= rows[i].len) &&
			(!pooler_writer_fits(&w) ||
			 memcmp(buf, rows[i].bytes, common) == 0);
		free(buf);
		if (!good)
			return false;
	}
	return true;
}

static void
test_round_trip(void)
{
	PoolerErrorFields in = {"ERROR", "FEHLER", "57014", "m", "d", "h", "w"};
	PoolerErrorFields out;
	PoolerMessage m;
	PoolerStartup s;
	PoolerStartupVerdict v;
	uint8_t		buf[200];
	PoolerWriter w = pooler_writer(buf, sizeof(buf));
	size_t		offset = 0;

	pooler_build_error(&w, &in);
	is(pooler_message_next(buf, w.len, sizeof(buf), &offset, &m),
	   POOLER_MESSAGE_OK, "round trip: an error is a message");
	ok(pooler_message_parse_error(&m, &out), "round trip: error");
	is_str(out.severity, "ERROR", "round trip: severity");
	is_str(out.severity_local, "FEHLER", "round trip: local severity");
	is_str(out.hint, "h", "round trip: hint");

	w = pooler_writer(buf, sizeof(buf));
	put_startup(&w, true);
	v = pooler_startup_inspect(buf, w.len, false, false);
	is(v.kind, POOLER_STARTUP_PARAMETERS, "round trip: startup");
	is(v.need, (long long) w.len, "round trip: startup: length");
	is(pooler_startup_parse(buf, w.len, &s), POOLER_PROTO_OK,
	   "round trip: startup: parse");
	is_str(s.user, "al", "round trip: startup: user");
	is_str(s.database, "shop", "round trip: startup: database");
	is((long long) s.nprotocol, 1, "round trip: startup: protocol option");
}

int
main(void)
{
	PoolerStartup client;
	size_t		i;

	is(pooler_startup_parse((const uint8_t *) client_body,
							sizeof(client_body) - 1, &client),
	   POOLER_PROTO_OK, "the client's packet");
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
	{
		uint8_t		buf[200];
		PoolerWriter w = pooler_writer(buf, sizeof(buf));

		rows[i].build(&w, &client);
		is((long long) w.len, (long long) rows[i].len, "build: %s: length",
		   rows[i].what);
		ok(w.len == rows[i].len && memcmp(buf, rows[i].bytes, w.len) == 0,
		   "build: %s: bytes", rows[i].what);
		ok(every_size(i, &client), "build: %s: buffers of every size",
		   rows[i].what);
	}
	test_round_trip();
	return done_testing();
}
