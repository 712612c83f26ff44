/*
 * fuzz_pairs.c
 *		libFuzzer harness for pairs of names and values.
 *
 * Besides crashes it looks for strings that leave the bytes, and for answers
 * that contradict each other.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/proto/pairs.h"

#define REQUIRE(condition) \
	do { if (!(condition)) abort(); } while (0)

extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *bytes = (const char *) data;
	const char *end = bytes + size;
	const char *p = bytes;
	const char *rest;
	const char *name;
	const char *value;
	size_t		rest_len;
	size_t		pairs = pooler_pairs_length(bytes, size, &rest, &rest_len);
	size_t		named = 0;
	bool		in_rest = false;

	REQUIRE(pairs <= size && rest + rest_len == end);
	REQUIRE(rest == end || rest == bytes + pairs + 1);
	while (pooler_next_pair(&p, end, &name, &value))
	{
		REQUIRE(name >= bytes && value == name + strlen(name) + 1);
		REQUIRE(p == value + strlen(value) + 1 && p <= end);
		REQUIRE(pooler_find_pair(bytes, size, name) <= value);
		in_rest = in_rest || name[0] == '\0';
		if (!in_rest)
			named = (size_t) (p - bytes);
	}
	REQUIRE(named == pairs);
	return 0;
}
