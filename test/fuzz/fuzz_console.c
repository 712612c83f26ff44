/*
 * fuzz_console.c
 *		libFuzzer harness for the language of the admin console.
 *
 * Besides crashes it looks for texts that are never done, and for results
 * that do not fit what they came from.
 */
#include <stdlib.h>
#include <string.h>

#include "../../src/proto/console.h"

#define REQUIRE(condition) \
	do { if (!(condition)) abort(); } while (0)

extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_command(const PoolerConsoleCommand *c)
{
	const char *value;

	REQUIRE(memchr(c->database, 0, sizeof(c->database)) != NULL);
	REQUIRE(memchr(c->key, 0, sizeof(c->key)) != NULL);
	REQUIRE(memchr(c->value, 0, sizeof(c->value)) != NULL);
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
		REQUIRE(memchr(word, 0, sizeof(word)) != NULL);
		if (error == POOLER_CONSOLE_OK)
			check_command(&c);
		if (error == POOLER_CONSOLE_OK && c.verb == POOLER_CONSOLE_EMPTY)
			REQUIRE(at == end);
	}
	free(text);
	return 0;
}
