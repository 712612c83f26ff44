/*
 * test_text.c
 *		Unit tests of src/shared/text.c.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"

#include "tap.h"

#include "../../src/shared/text.h"

#define MAX_LEN	24
#define ROUNDS	20000

static void
becomes(const char *text, int encoding, const char *expected, const char *name)
{
	char	   *copy = (char *) exact(text, strlen(text) + 1);

	pooler_make_valid_text(copy, encoding);
	is_str(copy, expected, "%s", name);
	free(copy);
}

/* The same numbers in each run. */
static unsigned
next_random(unsigned *state)
{
	*state = *state * 1664525u + 1013904223u;
	return *state >> 16;
}

/* Only whole characters, none of them new but '?', and as long as before. */
static bool
is_made_valid(const char *before, const char *after, size_t len, int encoding)
{
	if (strlen(after) != len ||
		pg_encoding_verifymbstr(encoding, after, (int) len) != (int) len)
		return false;
	for (size_t i = 0; i < len; i++)
	{
		if (after[i] != before[i] && after[i] != '?')
			return false;
	}
	return pg_encoding_verifymbstr(encoding, before, (int) len) != (int) len ||
		memcmp(before, after, len) == 0;
}

static void
test_random(int encoding)
{
	unsigned	state = 1;
	int			bad = 0;

	for (int round = 0; round < ROUNDS; round++)
	{
		char		before[MAX_LEN + 1];
		size_t		len = next_random(&state) % (MAX_LEN + 1);
		char	   *text;

		for (size_t i = 0; i < len; i++)
		{
			unsigned	random = next_random(&state);

			before[i] = (char) (random % 4 == 0 ? 'a' : 0x80 | (random & 0x7F));
		}
		before[len] = '\0';
		text = (char *) exact(before, len + 1);
		pooler_make_valid_text(text, encoding);
		bad += !is_made_valid(before, text, len, encoding);
		free(text);
	}
	is(bad, 0, "random bytes in encoding %d", encoding);
}

int
main(void)
{
	becomes("", PG_UTF8, "", "nothing");
	becomes("\xc3\xa4", PG_UTF8, "\xc3\xa4", "a character of two bytes");
	becomes("\xc3", PG_UTF8, "?", "half of it");
	becomes("a\xe2\x82", PG_UTF8, "a??", "two thirds of one at the end");
	becomes("\xe2\x82z\xf0\x9f\x98\x80", PG_UTF8, "??z\xf0\x9f\x98\x80", "a good one after a bad one");
	becomes("\xed\xa0\x80", PG_UTF8, "???", "a surrogate");
	becomes("\xc0\x80", PG_UTF8, "??", "a zero in two bytes");
	becomes("\xe4", PG_LATIN1, "\xe4", "a byte that is a character elsewhere");
	for (int encoding = 0; encoding < _PG_LAST_ENCODING_; encoding++)
	{
		if (PG_VALID_BE_ENCODING(encoding))
			test_random(encoding);
	}
	return done_testing();
}
