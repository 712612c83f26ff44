/*
 * test_extended.c
 *		Unit tests of src/proto/extended.c.
 */
#include "tap.h"

#include "../../src/proto/extended.h"

static void
test_query(void)
{
	static const struct
	{
		const char *what;
		const char *body;
		size_t		len;
		const char *text;		/* NULL: not well formed */
	}			rows[] = {
		{"a query", BYTES("SHOW STATE\0"), "SHOW STATE"},
		{"an empty one", BYTES("\0"), ""},
		{"nothing", BYTES(""), NULL},
		{"no end", BYTES("SHOW"), NULL},
		{"more behind it", BYTES("a\0b"), NULL},
		{"two ends", BYTES("\0\0"), NULL},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
	{
		uint8_t    *body = exact(rows[i].body, rows[i].len);
		const char *text = NULL;
		bool		good = pooler_query_parse(body, rows[i].len, &text);

		is_str(good ? text : NULL, rows[i].text, "query: %s", rows[i].what);
		free(body);
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
		const char *name;		/* NULL: not well formed */
		const char *text;
		int			ntypes;
	}			rows[] = {
		{"no parameters", BYTES("s\0SHOW\0\0\0"), "s", "SHOW", 0},
		{"without a name", BYTES("\0\0\0\0"), "", "", 0},
		{"two types", BYTES("s\0x\0\0\2\0\0\0\1\0\0\0\2"), "s", "x", 2},
		{"half a type", BYTES("s\0x\0\0\2\0\0\0\1\0\0"), NULL, NULL, 0},
		{"too many types", BYTES("s\0x\0\xff\xff\0\0\0\1"), NULL, NULL, 0},
		{"more behind it", BYTES("s\0x\0\0\0\0"), NULL, NULL, 0},
		{"no number of types", BYTES("s\0x\0\0"), NULL, NULL, 0},
		{"no text", BYTES("s\0x"), NULL, NULL, 0},
		{"no end of a name", BYTES("s"), NULL, NULL, 0},
		{"nothing", BYTES(""), NULL, NULL, 0},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
	{
		uint8_t    *body = exact(rows[i].body, rows[i].len);
		PoolerParse parse = {NULL, NULL, 0};
		bool		good = pooler_parse_parse(body, rows[i].len, &parse);

		is_str(good ? parse.name : NULL, rows[i].name, "parse: %s: name", rows[i].what);
		is_str(good ? parse.text : NULL, rows[i].text, "parse: %s: text", rows[i].what);
		is(good ? parse.ntypes : 0, rows[i].ntypes, "parse: %s: types", rows[i].what);
		free(body);
	}
}

static void
test_bind(void)
{
	static const struct
	{
		const char *what;
		const char *body;
		size_t		len;
		bool		good;
		int			nvalues;
		const char *formats;	/* of results: "t" and "b" */
	}			rows[] = {
		{"no values", BYTES("p\0s\0\0\0\0\0\0\0"), true, 0, ""},
		{"all binary", BYTES("p\0s\0\0\0\0\0\0\1\0\1"), true, 0, "b"},
		{"of each kind", BYTES("p\0s\0\0\0\0\0\0\3\0\1\0\0\0\1"), true, 0, "btb"},
		{"values", BYTES("p\0s\0\0\1\0\1\0\3\0\0\0\2ab\xff\xff\xff\xff\0\0\0\0\0\0"), true, 3, ""},
		{"an unknown format", BYTES("p\0s\0\0\0\0\0\0\1\0\2"), false, 0, ""},
		{"another", BYTES("p\0s\0\0\0\0\0\0\1\1\1"), false, 0, ""},
		{"too few formats", BYTES("p\0s\0\0\0\0\0\0\2\0\1"), false, 0, ""},
		{"too many", BYTES("p\0s\0\0\0\0\0\0\1\0\1\0"), false, 0, ""},
		{"a value that is cut", BYTES("p\0s\0\0\0\0\1\0\0\0\5ab\0\0"), false, 0, ""},
		{"a huge value", BYTES("p\0s\0\0\0\0\1\x7f\xff\xff\xff" "ab\0\0"), false, 0, ""},
		{"a negative length", BYTES("p\0s\0\0\0\0\1\xff\xff\xff\xfe" "ab\0\0"), false, 0, ""},
		{"values that are missing", BYTES("p\0s\0\0\0\xff\xff\0\0"), false, 0, ""},
		{"formats of values that are missing", BYTES("p\0s\0\xff\xff\0\0\0\0"), false, 0, ""},
		{"no number of formats", BYTES("p\0s\0\0\0\0\0"), false, 0, ""},
		{"no number of values", BYTES("p\0s\0\0\0"), false, 0, ""},
		{"no statement", BYTES("p\0s"), false, 0, ""},
		{"nothing", BYTES(""), false, 0, ""},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
	{
		uint8_t    *body = exact(rows[i].body, rows[i].len);
		PoolerBind	bind;
		char		formats[8] = "";

		is(pooler_bind_parse(body, rows[i].len, &bind), rows[i].good,
		   "bind: %s", rows[i].what);
		if (rows[i].good)
		{
			is_str(bind.portal, "p", "bind: %s: portal", rows[i].what);
			is_str(bind.statement, "s", "bind: %s: statement", rows[i].what);
			is(bind.nvalues, rows[i].nvalues, "bind: %s: values", rows[i].what);
			for (int f = 0; f < bind.nformats; f++)
				formats[f] = pooler_bind_is_binary(&bind, f) ? 'b' : 't';
			is_str(formats, rows[i].formats, "bind: %s: formats", rows[i].what);
		}
		free(body);
	}
}

static void
test_named(void)
{
	static const struct
	{
		const char *what;
		const char *body;
		size_t		len;
		const char *name;		/* NULL: not well formed */
	}			rows[] = {
		{"a statement", BYTES("Ss\0"), "s"},
		{"a portal", BYTES("P\0"), ""},
		{"something else", BYTES("Qs\0"), NULL},
		{"no name", BYTES("S"), NULL},
		{"no end", BYTES("Ss"), NULL},
		{"more behind it", BYTES("Ss\0\0"), NULL},
		{"nothing", BYTES(""), NULL},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
	{
		uint8_t    *body = exact(rows[i].body, rows[i].len);
		const char *name = NULL;
		char		kind;
		bool		good = pooler_named_parse(body, rows[i].len, &kind, &name);

		is_str(good ? name : NULL, rows[i].name, "named: %s", rows[i].what);
		if (good)
			is(kind, rows[i].body[0], "named: %s: kind", rows[i].what);
		free(body);
	}
}

static void
test_execute(void)
{
	static const struct
	{
		const char *what;
		const char *body;
		size_t		len;
		bool		good;
		int			nrows;
	}			rows[] = {
		{"all rows", BYTES("p\0\0\0\0\0"), true, 0},
		{"some", BYTES("p\0\0\0\1\0"), true, 256},
		{"less than none", BYTES("p\0\xff\xff\xff\xff"), true, -1},
		{"half a number", BYTES("p\0\0\0\0"), false, 0},
		{"more behind it", BYTES("p\0\0\0\0\0\0"), false, 0},
		{"no end of a name", BYTES("pppp"), false, 0},
		{"nothing", BYTES(""), false, 0},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
	{
		uint8_t    *body = exact(rows[i].body, rows[i].len);
		const char *portal = NULL;
		int32_t		n = 0;

		is(pooler_execute_parse(body, rows[i].len, &portal, &n), rows[i].good,
		   "execute: %s", rows[i].what);
		if (rows[i].good)
		{
			is_str(portal, "p", "execute: %s: portal", rows[i].what);
			is(n, rows[i].nrows, "execute: %s: rows", rows[i].what);
		}
		free(body);
	}
}

int
main(void)
{
	test_query();
	test_parse();
	test_bind();
	test_named();
	test_execute();
	return done_testing();
}
