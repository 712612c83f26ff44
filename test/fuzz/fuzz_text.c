/*
 * fuzz_text.c
 *		libFuzzer harness for bytes that are made text.
 *
 * The first byte chooses the encoding.  What comes out must be valid there,
 * and of the same length; what was valid must not have changed.
 */
#include "postgres_fe.h"

#include "mb/pg_wchar.h"

#include "../../src/shared/text.h"

#define REQUIRE(condition) \
	do { if (!(condition)) abort(); } while (0)

extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool
is_valid(const char *text, int encoding)
{
	int			len = (int) strlen(text);

	return pg_encoding_verifymbstr(encoding, text, len) == len;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int			encoding;
	char	   *before;
	char	   *text;

	if (size == 0)
		return 0;
	encoding = data[0] % (PG_ENCODING_BE_LAST + 1);
	before = malloc(size);
	text = malloc(size);
	memcpy(before, data + 1, size - 1);
	before[size - 1] = '\0';
	memcpy(text, before, size);
	pooler_make_valid_text(text, encoding);
	REQUIRE(strlen(text) == strlen(before));
	REQUIRE(is_valid(text, encoding));
	REQUIRE(!is_valid(before, encoding) || strcmp(text, before) == 0);
	free(before);
	free(text);
	return 0;
}
