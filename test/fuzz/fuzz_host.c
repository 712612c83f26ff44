/*
 * fuzz_host.c
 *		libFuzzer harness for the header Host.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/proto/host.h"

#define REQUIRE(condition) \
	do { if (!(condition)) abort(); } while (0)

extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char	   *host = malloc(size + 1);
	char	   *name = malloc(POOLER_HOST_MAX);
	char	   *again = malloc(POOLER_HOST_MAX);
	PoolerHostKind kind;

	if (size > 0)
		memcpy(host, data, size);
	host[size] = '\0';
	kind = pooler_host_parse(host, name);
	REQUIRE(strlen(name) < POOLER_HOST_MAX);
	REQUIRE(strncmp(host, name, strlen(name)) == 0);
	if (kind == POOLER_HOST_BAD)
		REQUIRE(name[0] == '\0');
	else
		REQUIRE(pooler_host_parse(name, again) == kind && strcmp(name, again) == 0);
	if (kind == POOLER_HOST_LABEL)
		REQUIRE(strpbrk(name, ".[") != name && strchr(name, '.') == NULL);
	free(again);
	free(name);
	free(host);
	return 0;
}
