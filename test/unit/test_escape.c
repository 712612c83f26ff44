/*
 * test_escape.c
 *		Unit tests of src/metrics/escape.c.
 */
#include "postgres.h"

#include "tap.h"

#include "../../src/metrics/escape.h"

static void
escapes(const char *text, bool quotes, const char *expected, const char *name)
{
	StringInfoData buf;

	initStringInfo(&buf);
	pooler_metrics_escape(&buf, text, quotes);
	is_str(buf.data, expected, "%s", name);
	free(buf.data);
}

/* What a reader makes of it; NULL if it does not stay within quotes or line. */
static char *
read_back(const char *p)
{
	char	   *text = malloc(strlen(p) + 1);
	char	   *to = text;

	for (; *p && *p != '"' && *p != '\n'; p++)
	{
		if (*p == '\\')
			*to++ = *++p == 'n' ? '\n' : *p;
		else
			*to++ = *p;
	}
	*to = '\0';
	if (*p == '\0')
		return text;
	free(text);
	return NULL;
}

/* Each byte alone, and each before each. */
static void
test_all_pairs(void)
{
	bool		good = true;

	for (int i = 1; i < 256 && good; i++)
	{
		for (int j = 0; j < 256 && good; j++)
		{
			char		text[3] = {(char) i, (char) j, '\0'};
			StringInfoData buf;
			char	   *copy = (char *) exact(text, strlen(text) + 1);
			char	   *back;

			initStringInfo(&buf);
			pooler_metrics_escape(&buf, copy, true);
			back = read_back(buf.data);
			good = back != NULL && strcmp(back, text) == 0;
			free(back);
			free(copy);
			free(buf.data);
		}
	}
	ok(good, "two bytes of any kind are read as they were");
}

int
main(void)
{
	escapes("", true, "", "nothing");
	escapes("orders", true, "orders", "a name");
	escapes("a\"b\\c\nd", true, "a\\\"b\\\\c\\nd", "a label");
	escapes("a\"b\\c\nd", false, "a\"b\\\\c\\nd", "a help text");
	escapes("\\", true, "\\\\", "a backslash at the end");
	test_all_pairs();
	return done_testing();
}
