/*
 * test_console.c
 *		Unit tests of src/proto/console.c.
 */
#include "tap.h"

#include "../../src/proto/console.h"

/* One line of text for the first statement of this text. */
static const char *
first(const char *text, size_t len)
{
	static char line[2048];
	char	   *copy = (char *) exact(text, len);
	const char *at = copy;
	PoolerConsoleCommand c;
	char		word[POOLER_CONSOLE_WORD_MAX];
	const char *value;
	PoolerConsoleError error = pooler_console_next(&at, copy + len, &c, word);

	if (error != POOLER_CONSOLE_OK)
		snprintf(line, sizeof(line), "error %d %s", error, word);
	else
	{
		switch (c.verb)
		{
			case POOLER_CONSOLE_EMPTY:
				snprintf(line, sizeof(line), "empty");
				break;
			case POOLER_CONSOLE_SHOW:
				snprintf(line, sizeof(line), "show %s", pooler_console_show_name(c.show));
				break;
			case POOLER_CONSOLE_SHOW_VARIABLE:
				snprintf(line, sizeof(line), "variable %s",
						 pooler_console_variable(c.variable, &value));
				break;
			case POOLER_CONSOLE_SET_VARIABLE:
				snprintf(line, sizeof(line), "ignored %s",
						 pooler_console_variable(c.variable, &value));
				break;
			case POOLER_CONSOLE_SET:
				snprintf(line, sizeof(line), "set %s=%s%s", c.key, c.value,
						 c.to_default ? "DEFAULT" : "");
				break;
			case POOLER_CONSOLE_KILL_CLIENT:
				snprintf(line, sizeof(line), "kill_client %llu",
						 (unsigned long long) c.client_id);
				break;
			case POOLER_CONSOLE_SHUTDOWN:
				snprintf(line, sizeof(line), "shutdown %d", c.shutdown);
				break;
			default:
				snprintf(line, sizeof(line), "%s %s", pooler_console_tag(c.verb),
						 c.has_database ? c.database : "(all)");
				break;
		}
	}
	if (at > copy + len)
		snprintf(line, sizeof(line), "beyond the end");
	free(copy);
	return line;
}

static const struct
{
	const char *text;
	size_t		len;
	const char *result;
}			rows[] = {
	{BYTES(""), "empty"},
	{BYTES(" \t\r\n"), "empty"},
	{BYTES(";;; ;"), "empty"},
	{BYTES("-- ping"), "empty"},
	{BYTES("/* a /* b */ c */ ;"), "empty"},
	{BYTES("SHOW STATS"), "show STATS"},
	{BYTES("show stats;"), "show STATS"},
	{BYTES("  ShOw\n\"pools\" ; SHOW x"), "show POOLS"},
	{BYTES(";show/**/lists--x"), "show LISTS"},
	{BYTES("select stats_totals"), "show STATS_TOTALS"},
	{BYTES("show client_encoding"), "variable client_encoding"},
	{BYTES("SHOW TimeZone;"), "variable timezone"},
	{BYTES("select application_name"), "variable application_name"},
	{BYTES("set extra_float_digits = 3"), "ignored extra_float_digits"},
	{BYTES("SET DateStyle TO ISO, MDY"), "ignored datestyle"},
	{BYTES("set session datestyle to 'iso'"), "ignored datestyle"},
	{BYTES("SET listen_addr='a, b'"), "set listen_addr=a, b"},
	{BYTES("set x=1;"), "set x=1"},
	{BYTES("set x to 1.5s"), "set x=1.5s"},
	{BYTES("set x to -1"), "set x=-1"},
	{BYTES("set pooler.x = \"Quoted\"\"Name\""), "set pooler.x=Quoted\"Name"},
	{BYTES("set x = ''"), "set x="},
	{BYTES("set x = 'it''s'"), "set x=it's"},
	{BYTES("set x to default"), "set x=DEFAULT"},
	{BYTES("set x = 'default'"), "set x=default"},
	{BYTES("PAUSE"), "PAUSE (all)"},
	{BYTES("pause;"), "PAUSE (all)"},
	{BYTES("pause App"), "PAUSE App"},
	{BYTES("pause my-db"), "PAUSE my-db"},
	{BYTES("pause db--comment"), "PAUSE db"},
	{BYTES("pause db/*x*/"), "PAUSE db"},
	{BYTES("resume \"My \"\"DB\""), "RESUME My \"DB"},
	{BYTES("reconnect p\xc3\xa9"), "RECONNECT p\xc3\xa9"},
	{BYTES("wait_close db"), "WAIT_CLOSE db"},
	{BYTES("kill"), "KILL (all)"},
	{BYTES("disable x"), "DISABLE x"},
	{BYTES("enable \"set\""), "ENABLE set"},
	{BYTES("suspend"), "SUSPEND (all)"},
	{BYTES("reload"), "RELOAD (all)"},
	{BYTES("kill_client 18446744073709551615"), "kill_client 18446744073709551615"},
	{BYTES("kill_client '12'"), "kill_client 12"},
	{BYTES("shutdown"), "shutdown 0"},
	{BYTES("shutdown wait_for_servers"), "shutdown 1"},
	{BYTES("SHUTDOWN WAIT_FOR_CLIENTS;"), "shutdown 2"},
	{BYTES("foo"), "error 1 foo"},
	{BYTES("\"show\" stats"), "error 1 show"},
	{BYTES("'show'"), "error 1 show"},
	{BYTES("=x"), "error 1 ="},
	{BYTES("select 1"), "error 2 1"},
	{BYTES("select"), "error 2 "},
	{BYTES("select stats, pools"), "error 2 ,"},
	{BYTES("insert into x"), "error 2 insert"},
	{BYTES("begin"), "error 2 begin"},
	{BYTES("show foo"), "error 3 foo"},
	{BYTES("show 'stats'"), "error 3 stats"},
	{BYTES("show"), "error 4 "},
	{BYTES("disable"), "error 4 "},
	{BYTES("kill_client ;"), "error 4 "},
	{BYTES("set"), "error 4 "},
	{BYTES("set x"), "error 4 "},
	{BYTES("set x ="), "error 4 "},
	{BYTES("set x = 1,"), "error 4 "},
	{BYTES("set x 1"), "error 5 1"},
	{BYTES("set x = ("), "error 5 ("},
	{BYTES("set 'x' = 1"), "error 5 x"},
	{BYTES("show stats pools"), "error 5 pools"},
	{BYTES("reload now"), "error 5 now"},
	{BYTES("pause a b"), "error 5 b"},
	{BYTES("pause 'a'"), "error 5 a"},
	{BYTES("pause \"\""), "error 5 "},
	{BYTES("shutdown immediately"), "error 5 immediately"},
	{BYTES("pause \"a"), "error 6 "},
	{BYTES("set x = 'a"), "error 6 "},
	{BYTES("show stats /* x"), "error 6 "},
	{BYTES("/*"), "error 6 "},
	{BYTES("kill_client -1"), "error 8 -1"},
	{BYTES("kill_client 18446744073709551616"), "error 8 18446744073709551616"},
	{BYTES("kill_client 0x1"), "error 8 0x1"},
	{BYTES("kill_client \"1\""), "error 8 1"},
	{BYTES("pause \xff"), "error 9 "},

	/* longer than needed, surrogates, beyond Unicode; and the neighbours */
	{BYTES("pause \xc1\xbf"), "error 9 "},
	{BYTES("pause \xe0\x9f\xbf"), "error 9 "},
	{BYTES("pause \xed\xa0\x80"), "error 9 "},
	{BYTES("pause \xf0\x8f\xbf\xbf"), "error 9 "},
	{BYTES("pause \xf4\x90\x80\x80"), "error 9 "},
	{BYTES("pause \xf0\x90\x80"), "error 9 "},
	{BYTES("pause \xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"),
	"PAUSE \xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"},
	{BYTES("pause \"a\x01\""), "error 9 "},
	{BYTES("pause \xc3"), "error 9 "},
	{BYTES("\0"), "error 9 "},
};

static void
test_rows(void)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		is_str(first(rows[i].text, rows[i].len), rows[i].result, "%s",
			   strcspn(rows[i].text, "\n#") == strlen(rows[i].text) ?
			   rows[i].text : "text with blanks");
}

/* Several statements in one text. */
static void
test_several(void)
{
	const char *text = "show stats; ;pause 'x';; show pools";
	const char *end = text + strlen(text);
	const char *at = text;
	PoolerConsoleCommand c;
	char		word[POOLER_CONSOLE_WORD_MAX];

	is(pooler_console_next(&at, end, &c, word), POOLER_CONSOLE_OK, "first");
	is(c.show, POOLER_SHOW_STATS, "is STATS");
	is(pooler_console_next(&at, end, &c, word), POOLER_CONSOLE_SYNTAX, "second is wrong");
	is(pooler_console_next(&at, end, &c, word), POOLER_CONSOLE_OK, "third");
	is(c.show, POOLER_SHOW_POOLS, "is POOLS");
	ok(at == end, "all is read");
	is(pooler_console_next(&at, end, &c, word), POOLER_CONSOLE_OK, "and then");
	is(c.verb, POOLER_CONSOLE_EMPTY, "nothing more");
}

/* What has to fit does, one byte more does not. */
static void
test_lengths(void)
{
	char		text[3000];

	strcpy(text, "pause ");
	memset(text + 6, 'x', sizeof(text) - 6);
	ok(strncmp(first(text, 6 + POOLER_CONSOLE_NAME_MAX - 1), "PAUSE xxx", 9) == 0,
	   "a name of 63 bytes");
	is_str(first(text, 6 + POOLER_CONSOLE_NAME_MAX),
		   "error 7 xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", "a name of 64 bytes");
	memcpy(text, "set k=", 6);
	ok(strncmp(first(text, 6 + POOLER_CONSOLE_VALUE_MAX - 1), "set k=xxx", 9) == 0,
	   "a value of 1023 bytes");
	is_str(first(text, 6 + POOLER_CONSOLE_VALUE_MAX),
		   "error 7 xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", "a value of 1024 bytes");
	memset(text + 6 + 600, ',', 1);
	is_str(first(text, 6 + 600 + 1 + 430),
		   "error 7 xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", "values that are too long together");
}

/* Every command and SHOW is listed in the hints. */
static void
test_hints(void)
{
	for (int i = 0; i < POOLER_NSHOWS; i++)
		ok(strstr(pooler_console_shows(), pooler_console_show_name((PoolerConsoleShow) i)) != NULL,
		   "the hint has SHOW %s", pooler_console_show_name((PoolerConsoleShow) i));
	for (int i = POOLER_CONSOLE_SHOW; i <= POOLER_CONSOLE_SHUTDOWN; i++)
		ok(strstr(pooler_console_commands(), pooler_console_tag((PoolerConsoleVerb) i)) != NULL,
		   "the hint has %s", pooler_console_tag((PoolerConsoleVerb) i));
}

int
main(void)
{
	test_rows();
	test_several();
	test_lengths();
	test_hints();
	return done_testing();
}
