/*
 * test_pairs.c
 *		Unit tests of src/proto/pairs.c.
 */
#include "tap.h"

#include "../../src/proto/pairs.h"

static void
test_next(void)
{
	static const struct
	{
		const char *what;
		const char *bytes;
		size_t		len;
		const char *pairs;		/* name=value, ... */
	}			rows[] = {
		{"nothing", BYTES(""), ""},
		{"one", BYTES("a\0b\0"), "a=b,"},
		{"two", BYTES("a\0b\0cc\0dd\0"), "a=b,cc=dd,"},
		{"empty values", BYTES("a\0\0b\0\0"), "a=,b=,"},
		{"an empty name", BYTES("a\0b\0\0c\0d\0"), "a=b,=c,"},
		{"no value", BYTES("a\0b\0c\0"), "a=b,"},
		{"a value without an end", BYTES("a\0b\0c\0d"), "a=b,"},
		{"a name without an end", BYTES("a\0b\0cccc"), "a=b,"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
	{
		char	   *bytes = (char *) exact(rows[i].bytes, rows[i].len);
		const char *p = bytes;
		const char *name;
		const char *value;
		char		text[64] = "";

		while (pooler_next_pair(&p, bytes + rows[i].len, &name, &value))
			sprintf(text + strlen(text), "%s=%s,", name, value);
		is_str(text, rows[i].pairs, "next: %s", rows[i].what);
		free(bytes);
	}
}

static void
test_find(void)
{
	static const char bytes[] = "a\0b\0name\0value\0name\0other\0cut";

	is_str(pooler_find_pair(BYTES(bytes), "name"), "value", "find: the first one");
	is_str(pooler_find_pair(BYTES(bytes), "a"), "b", "find: a");
	is_str(pooler_find_pair(BYTES(bytes), "b"), NULL, "find: a value is no name");
	is_str(pooler_find_pair(BYTES(bytes), "cut"), NULL, "find: what is cut off");
	is_str(pooler_find_pair(NULL, 0, "a"), NULL, "find: in nothing");
}

static void
test_length(void)
{
	static const struct
	{
		const char *what;
		const char *bytes;
		size_t		len;
		size_t		pairs;
		size_t		rest;
	}			rows[] = {
		{"nothing", BYTES(""), 0, 0},
		{"only pairs", BYTES("a\0b\0"), 4, 0},
		{"an end", BYTES("a\0b\0\0"), 4, 0},
		{"a rest", BYTES("a\0b\0\0xyz"), 4, 3},
		{"only a rest", BYTES("\0xyz"), 0, 3},
		{"only an end", BYTES("\0"), 0, 0},
		{"an empty value", BYTES("a\0\0\0x"), 3, 1},
		{"a pair that is cut off", BYTES("a\0b\0c\0d"), 4, 0},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
	{
		char	   *bytes = (char *) exact(rows[i].bytes, rows[i].len);
		const char *rest;
		size_t		rest_len;

		is(pooler_pairs_length(bytes, rows[i].len, &rest, &rest_len), rows[i].pairs,
		   "length: %s", rows[i].what);
		is(rest_len, rows[i].rest, "length: %s: rest", rows[i].what);
		ok(rest + rest_len == bytes + rows[i].len, "length: %s: up to the end",
		   rows[i].what);
		is(pooler_pairs_length(bytes, rows[i].len, NULL, NULL), rows[i].pairs,
		   "length: %s: nobody wants the rest", rows[i].what);
		free(bytes);
	}
}

int
main(void)
{
	test_next();
	test_find();
	test_length();
	return done_testing();
}
