/*
 * fuzz_startup.c
 *		libFuzzer harness for the first packets of a connection.
 *
 * Besides crashes it looks for answers that contradict each other.
 */
#include <stdlib.h>

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

static void
fuzz_builders(const PoolerStartup *startup, const uint8_t *data)
{
	uint8_t		buf[256];
	uint8_t		size = data[3];
	PoolerWriter w = pooler_writer(buf, size);

	pooler_build_negotiate(&w, startup, 0x30002);
	pooler_build_parameter(&w, startup->user, startup->database);
	pooler_build_startup(&w, startup->user, startup->database, startup, "_pq_.t");
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
}

static void
fuzz_startup(const uint8_t *data, size_t size)
{
	PoolerStartupVerdict v = pooler_startup_inspect(data, size, false, false);
	PoolerCancelRequest cancel;

	switch (v.kind)
	{
		case POOLER_STARTUP_NEED_MORE:
			REQUIRE(v.need > size && v.need <= POOLER_STARTUP_MAX_TOTAL);
			break;
		case POOLER_STARTUP_CANCEL:
			if (pooler_startup_parse_cancel(data, v.need, POOLER_PROTO_VERSION_3_2,
											&cancel) == POOLER_PROTO_OK)
				REQUIRE(cancel.key + cancel.key_len == data + v.need);
			if (pooler_startup_parse_cancel(data, v.need, POOLER_PROTO_VERSION_3_0,
											&cancel) == POOLER_PROTO_OK)
				REQUIRE(cancel.key_len == 4);
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
	fuzz_startup(data, size);
	return 0;
}
