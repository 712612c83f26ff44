/*
 * fuzz_console.c
 *		libFuzzer harness for the language of the admin console.
 *
 * Besides crashes it looks for texts that are never done, for results that do
 * not fit what they came from, and for such as could not be shown as UTF-8.
 */
#include "postgres_fe.h"

#include "mb/pg_wchar.h"

#include "../../src/proto/console.h"

#define REQUIRE(condition) \
	do { if (!(condition)) abort(); } while (0)

extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_text(const char *text, size_t size)
{
	int			len;

	REQUIRE(memchr(text, 0, size) != NULL);
	len = (int) strlen(text);
	REQUIRE(pg_encoding_verifymbstr(PG_UTF8, text, len) == len);
}

static void
check_command(const PoolerConsoleCommand *c)
{
	const char *value;

	check_text(c->database, sizeof(c->database));
	check_text(c->key, sizeof(c->key));
	check_text(c->value, sizeof(c->value));
	REQUIRE(!c->has_database || c->database[0] != '\0');
	REQUIRE(c->verb != POOLER_CONSOLE_SET || c->key[0] != '\0');
	if (c->verb == POOLER_CONSOLE_SHOW)
		REQUIRE(pooler_console_show_name(c->show) != NULL);
	if (c->verb == POOLER_CONSOLE_SHOW_VARIABLE)
		REQUIRE(pooler_console_variable(c->variable, &value) != NULL);
	REQUIRE(pooler_console_tag(c->verb) != NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char	   *text = malloc(size + 1);
	const char *at = text;
	const char *end = text + size;

	if (size > 0)
		memcpy(text, data, size);
	while (at < end)
	{
		const char *before = at;
		PoolerConsoleCommand c;
		char		word[POOLER_CONSOLE_WORD_MAX];
		PoolerConsoleError error = pooler_console_next(&at, end, &c, word);

		REQUIRE(at > before && at <= end);
		check_text(word, sizeof(word));
		if (error == POOLER_CONSOLE_OK)
			check_command(&c);
		if (error == POOLER_CONSOLE_OK && c.verb == POOLER_CONSOLE_EMPTY)
			REQUIRE(at == end);
	}
	free(text);
	return 0;
}
