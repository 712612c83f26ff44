/*
 * test_host.c
 *		Unit tests of src/proto/host.c.
 */
#include "tap.h"

#include "../../src/proto/host.h"

#define LONG_LABEL	"0123456789012345678901234567890123456789012345678901234567890"
#define LONG_NAME	LONG_LABEL "." LONG_LABEL "." LONG_LABEL "." LONG_LABEL

int
main(void)
{
	static const struct
	{
		const char *host;
		PoolerHostKind kind;
		const char *name;
	}			rows[] = {
		{"", POOLER_HOST_LABEL, ""},
		{":80", POOLER_HOST_LABEL, ""},
		{"localhost", POOLER_HOST_LABEL, "localhost"},
		{"localhost:8080", POOLER_HOST_LABEL, "localhost"},
		{"db", POOLER_HOST_LABEL, "db"},
		{"127.0.0.1", POOLER_HOST_ADDRESS, "127.0.0.1"},
		{"127.0.0.1:1", POOLER_HOST_ADDRESS, "127.0.0.1"},
		{"127.0.0.1.", POOLER_HOST_NAME, "127.0.0.1."},
		{"127.1", POOLER_HOST_NAME, "127.1"},
		{"127.0.0.256", POOLER_HOST_NAME, "127.0.0.256"},
		{"db.example.com", POOLER_HOST_NAME, "db.example.com"},
		{"db.example.com:x", POOLER_HOST_NAME, "db.example.com"},
		{"[::1]", POOLER_HOST_ADDRESS, "[::1]"},
		{"[::1]:8080", POOLER_HOST_ADDRESS, "[::1]"},
		{"[fe80::1%eth0]:1", POOLER_HOST_ADDRESS, "[fe80::1%eth0]"},
		{"[::1", POOLER_HOST_BAD, ""},
		{"[", POOLER_HOST_BAD, ""},
		{"[]", POOLER_HOST_BAD, ""},
		{"[%]", POOLER_HOST_BAD, ""},
		{"[evil.example.com", POOLER_HOST_BAD, ""},
		{"[evil.example.com]", POOLER_HOST_BAD, ""},
		{"[::1]evil.example.com", POOLER_HOST_BAD, ""},
		{"::1", POOLER_HOST_LABEL, ""},
		{LONG_NAME, POOLER_HOST_NAME, LONG_NAME},
		{LONG_NAME "12345678", POOLER_HOST_NAME, LONG_NAME "12345678"},
		{LONG_NAME "123456789", POOLER_HOST_BAD, ""},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
	{
		char	   *host = (char *) exact(rows[i].host, strlen(rows[i].host) + 1);
		char	   *name = malloc(POOLER_HOST_MAX);

		is(pooler_host_parse(host, name), rows[i].kind, "\"%s\"", rows[i].host);
		is_str(name, rows[i].name, "\"%s\": name", rows[i].host);
		free(name);
		free(host);
	}
	return done_testing();
}
