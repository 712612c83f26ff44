/*
 * test_text.c
 *		Unit tests of src/shared/text.c.
 */
#include "postgres_fe.h"

#include "mb/pg_wchar.h"

#include "../../src/shared/text.h"
#include "tap.h"

int
main(void)
{
	static const struct
	{
		const char *bytes;
		int			encoding;
		const char *text;
	}			rows[] = {
		{"", PG_UTF8, ""},
		{"plain", PG_UTF8, "plain"},
		{"\xc3\xa4", PG_UTF8, "\xc3\xa4"},
		{"\xc3", PG_UTF8, "?"},
		{"a\xc3" "b", PG_UTF8, "a?b"},
		{"\xc3\xc3\xa4", PG_UTF8, "?\xc3\xa4"},
		{"\xe2\x82\xac", PG_UTF8, "\xe2\x82\xac"},
		{"\xe2\x82", PG_UTF8, "??"},
		{"\xf0\x9f\x90\x98", PG_UTF8, "\xf0\x9f\x90\x98"},
		{"\xf0\x9f\x90", PG_UTF8, "???"},
		{"\xc0\x80", PG_UTF8, "??"},
		{"\xed\xa0\x80", PG_UTF8, "???"},
		{"\xf4\x90\x80\x80", PG_UTF8, "????"},
		{"\xff\xfe", PG_UTF8, "??"},
		{"\xff\xfe", PG_LATIN1, "\xff\xfe"},
		{"\xff\xfe", PG_SQL_ASCII, "\xff\xfe"},
		{"\xa4\xa2", PG_EUC_JP, "\xa4\xa2"},
		{"\xa4", PG_EUC_JP, "?"},
	};

	for (size_t i = 0; i < lengthof(rows); i++)
	{
		char	   *text = (char *) exact(rows[i].bytes, strlen(rows[i].bytes) + 1);

		pooler_make_valid_text(text, rows[i].encoding);
		is_str(text, rows[i].text, "text %zu", i);
		free(text);
	}
	return done_testing();
}
