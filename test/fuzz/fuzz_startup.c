/*
 * fuzz_startup.c
 *		libFuzzer harness for the first packets of a connection.
 *
 * Besides crashes it looks for answers that contradict each other.
 */
#include <stdlib.h>
#include <string.h>

#include "../../src/proto/build.h"

#define REQUIRE(condition) \
	do { if (!(condition)) abort(); } while (0)

extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require_string(const char *s, const uint8_t *packet, size_t len)
{
	const uint8_t *p = (const uint8_t *) s;

	REQUIRE(p >= packet && p < packet + len);
	REQUIRE(p + strlen(s) < packet + len);
}

/* What a client is told of versions and options must be a message. */
static void
fuzz_negotiation(const PoolerStartup *startup, size_t len)
{
	size_t		size = len + 64;
	uint8_t    *buf = malloc(size);
	PoolerWriter w = pooler_writer(buf, size);
	PoolerMessage m;
	size_t		offset = 0;

	pooler_build_negotiate(&w, startup, POOLER_PROTO_VERSION_3_2);
	REQUIRE(pooler_writer_fits(&w));
	REQUIRE(pooler_message_next(buf, w.len, size, &offset, &m) == POOLER_MESSAGE_OK);
	REQUIRE(offset == w.len && m.type == 'v');
	REQUIRE(pooler_get_be32(m.body) <= POOLER_PROTO_VERSION_3_2);
	REQUIRE(pooler_get_be32(m.body + 4) == startup->nprotocol);
	REQUIRE(!pooler_startup_has_long_keys(startup->proto, POOLER_PROTO_VERSION_3_0));
	free(buf);
}

static void
fuzz_builders(const PoolerStartup *startup, const uint8_t *data)
{
	uint8_t		buf[256];
	uint8_t		size = data[3];
	PoolerWriter w = pooler_writer(buf, size);
	size_t		begin;

	pooler_build_negotiate(&w, startup, 0x30002);
	pooler_build_parameter(&w, startup->user, startup->database);
	begin = pooler_build_startup_begin(&w, POOLER_PROTO_VERSION_3_0);
	pooler_build_startup_pair(&w, "user", startup->user);
	pooler_build_startup_pair(&w, "_pq_.t", "");
	pooler_build_startup_end(&w, begin);
	REQUIRE(pooler_writer_fits(&w) == (w.len <= size));
}

static void
fuzz_parameters(const uint8_t *packet, size_t len)
{
	PoolerStartup startup;
	PoolerStartupParam param;
	PoolerReader it;
	size_t		n = 0;
	PoolerProtoError error = pooler_startup_parse(packet, len, &startup);

	REQUIRE(error == POOLER_PROTO_OK || error == POOLER_PROTO_STARTUP_LAYOUT ||
			error == POOLER_PROTO_REPLICATION || error == POOLER_PROTO_NO_USER);
	if (error == POOLER_PROTO_REPLICATION)
		require_string(startup.bad_replication, packet, len);
	it = startup.pairs;
	while (pooler_startup_next(&it, &param))
	{
		require_string(param.name, packet, len);
		require_string(param.value, packet, len);
		n++;
	}
	REQUIRE(n <= len / 2);
	if (error != POOLER_PROTO_OK)
		return;
	require_string(startup.user, packet, len);
	REQUIRE(startup.user[0] != '\0' && startup.database != NULL);
	REQUIRE(n >= startup.nsettings + startup.nprotocol + 1);
	fuzz_builders(&startup, packet);
	fuzz_negotiation(&startup, len);
}

/* A key goes out in BackendKeyData and comes back in a cancel request. */
static void
fuzz_cancel(const uint8_t *packet, size_t len)
{
	PoolerCancelRequest cancel;
	uint8_t		buf[POOLER_CANCEL_KEY_MAX + 16];
	PoolerWriter w = pooler_writer(buf, sizeof(buf));
	PoolerMessage m;
	size_t		offset = 0;

	if (pooler_startup_parse_cancel(packet, len, POOLER_PROTO_VERSION_3_0, &cancel) == POOLER_PROTO_OK)
		REQUIRE(cancel.key_len == 4);
	if (pooler_startup_parse_cancel(packet, len, POOLER_PROTO_VERSION_3_2, &cancel) != POOLER_PROTO_OK)
		return;
	REQUIRE(cancel.key + cancel.key_len == packet + len);
	REQUIRE(cancel.key_len >= 1 && cancel.key_len <= POOLER_CANCEL_KEY_MAX);
	pooler_build_key(&w, cancel.pid, cancel.key, cancel.key_len);
	REQUIRE(pooler_writer_fits(&w));
	REQUIRE(pooler_message_next(buf, w.len, sizeof(buf), &offset, &m) == POOLER_MESSAGE_OK);
	REQUIRE(m.type == 'K' && m.len == 4 + cancel.key_len &&
			pooler_get_be32(m.body) == cancel.pid &&
			memcmp(m.body + 4, cancel.key, cancel.key_len) == 0);
}

static void
fuzz_startup(const uint8_t *data, size_t size, bool ssl_done, bool gss_done)
{
	PoolerStartupVerdict v = pooler_startup_inspect(data, size, ssl_done, gss_done);

	switch (v.kind)
	{
		case POOLER_STARTUP_NEED_MORE:
			REQUIRE(v.need > size && v.need <= POOLER_STARTUP_MAX_TOTAL);
			break;
		case POOLER_STARTUP_SSL_REQUEST:
			REQUIRE(!ssl_done);
			break;
		case POOLER_STARTUP_GSS_REQUEST:
			REQUIRE(!gss_done);
			break;
		case POOLER_STARTUP_CANCEL:
			REQUIRE(v.need <= size);
			fuzz_cancel(data, v.need);
			break;
		case POOLER_STARTUP_PARAMETERS:
			REQUIRE(v.need <= size);
			fuzz_parameters(data, v.need);
			break;
		case POOLER_STARTUP_ERROR:
			REQUIRE(v.error != POOLER_PROTO_OK);
			break;
		default:
			break;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	for (int done = 0; done < 4; done++)
		fuzz_startup(data, size, done & 1, done & 2);
	return 0;
}
