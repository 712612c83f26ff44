/*
 * fuzz_import.c
 *		libFuzzer harness for pgbouncer.ini and userlist.txt.
 *
 * Besides crashes it looks for pieces that are not of the input, and for input
 * that is skipped.  test/fuzz/import has files to start from.
 */
#include <stdlib.h>
#include <string.h>

#include "../../src/import/parameters.h"

#define REQUIRE(condition) \
	do { if (!(condition)) abort(); } while (0)

extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *begin;
static const char *end;

static void
require_text(PoolerText text)
{
	REQUIRE(text.bytes >= begin && text.bytes <= end);
	REQUIRE(text.len <= (size_t) (end - text.bytes));
}

static void
require_word(PoolerWord word)
{
	char	   *copy = malloc(word.text.len + 1);
	size_t		len;

	REQUIRE(copy != NULL);
	require_text(word.text);
	len = pooler_word_copy(word, copy);
	REQUIRE(len <= word.text.len && copy[len] == '\0');
	REQUIRE(word.quote != '\0' || len == word.text.len);
	free(copy);
}

static void
fuzz_value(PoolerText text)
{
	for (int type = POOLER_VALUE_INTEGER; type <= POOLER_VALUE_POOL_MODE; type++)
	{
		PoolerValue value;

		if (pooler_parameter_value(type, text, &value))
			REQUIRE(value.text[0] != '\0' && strlen(value.text) < sizeof(value.text));
	}
}

static void
fuzz_options(PoolerText text)
{
	PoolerOptions options = pooler_options(text);
	PoolerOption option;
	size_t		left = text.len + 1;

	while (pooler_option_next(&options, &option))
	{
		require_text(option.name);
		require_word(option.value);
		REQUIRE(option.name.len > 0 && option.value.text.len > 0);
		REQUIRE(options.rest.len < left);
		left = options.rest.len;
		fuzz_value(option.value.text);
		(void) pooler_parameter(option.name, POOLER_IN_DATABASE);
	}
	REQUIRE(options.rest.len == 0 || options.comment ||
			options.error != POOLER_IMPORT_OK);
}

static void
fuzz_names(PoolerText text)
{
	PoolerText	name;

	while (pooler_name_next(&text, &name))
	{
		require_text(name);
		REQUIRE(name.len > 0);
	}
	REQUIRE(text.len == 0);
}

static void
fuzz_ini(void)
{
	PoolerImportReader reader = pooler_import_reader(begin, (size_t) (end - begin));
	PoolerIniLine line;
	int			number = 0;

	while (pooler_ini_next(&reader, &line))
	{
		REQUIRE(reader.line > number);
		number = reader.line;
		REQUIRE((line.kind == POOLER_INI_MISTAKE) == (line.error != POOLER_IMPORT_OK));
		require_word(line.name);
		require_text(line.value);
		if (line.kind != POOLER_INI_ENTRY)
			continue;
		REQUIRE(line.name.text.len > 0);
		fuzz_options(line.value);
		fuzz_names(line.value);
		pooler_text_cut_comment(&line.value);
		fuzz_value(line.value);
	}
	REQUIRE(reader.rest.len == 0);
}

static void
fuzz_userlist(void)
{
	PoolerImportReader reader = pooler_import_reader(begin, (size_t) (end - begin));
	PoolerUserLine user;

	while (pooler_userlist_next(&reader, &user))
	{
		if (user.error != POOLER_IMPORT_OK)
			continue;
		require_word(user.name);
		require_word(user.secret);
		REQUIRE(user.name.quote == '"' && user.secret.quote == '"');
	}
	REQUIRE(reader.rest.len == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	begin = (const char *) data;
	end = begin + size;
	if (size == 0)
		return 0;
	fuzz_ini();
	fuzz_userlist();
	return 0;
}
