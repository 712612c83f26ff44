/*
 * pgbouncer.c
 *		Read pgbouncer.ini and userlist.txt: lines, options, quoted words.
 *
 * Pure and process-independent: text in, pieces of that text out.  Must not do
 * I/O, allocate, report, or copy the secrets that it sees.
 */
#include "pgbouncer.h"

#include <string.h>

/*
 * Spaces, letters and digits as in the C locale, whatever the locale: the files
 * do not depend on it.
 */
static bool
is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool
is_name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		(c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-' || c == '*';
}

static bool
is_comment(char c)
{
	return c == '#' || c == ';';
}

static PoolerText
text_from(const char *bytes, size_t len)
{
	PoolerText	text;

	text.bytes = bytes;
	text.len = len;
	return text;
}

/* Drop the first n bytes. */
static void
skip(PoolerText *text, size_t n)
{
	text->bytes += n;
	text->len -= n;
}

static void
skip_spaces(PoolerText *text)
{
	while (text->len > 0 && is_space(text->bytes[0]))
		skip(text, 1);
}

static PoolerText
trim(PoolerText text)
{
	skip_spaces(&text);
	while (text.len > 0 && is_space(text.bytes[text.len - 1]))
		text.len--;
	return text;
}

static bool
starts_with(PoolerText text, char c)
{
	return text.len > 0 && text.bytes[0] == c;
}

bool
pooler_text_equals(PoolerText text, const char *string)
{
	return text.len == strlen(string) &&
		memcmp(text.bytes, string, text.len) == 0;
}

/* Take the first n bytes of *rest. */
static PoolerText
take(PoolerText *rest, size_t n)
{
	PoolerText	taken = text_from(rest->bytes, n);

	skip(rest, n);
	return taken;
}

/*
 * Take a quoted word: *rest starts with its opening quote.  A doubled quote is
 * part of the word.  False, and nothing taken, without a closing one.
 */
static bool
take_quoted(PoolerText *rest, PoolerWord *word)
{
	char		quote = rest->bytes[0];
	size_t		i = 1;

	while (i < rest->len)
	{
		if (rest->bytes[i] != quote)
			i++;
		else if (i + 1 < rest->len && rest->bytes[i + 1] == quote)
			i += 2;
		else
		{
			word->text = text_from(rest->bytes + 1, i - 1);
			word->quote = quote;
			skip(rest, i + 1);
			return true;
		}
	}
	return false;
}

size_t
pooler_word_copy(PoolerWord word, char *buf)
{
	size_t		n = 0;

	for (size_t i = 0; i < word.text.len; i++)
	{
		buf[n++] = word.text.bytes[i];
		/* between quotes a quote is always one of two */
		if (word.quote != '\0' && word.text.bytes[i] == word.quote)
			i++;
	}
	buf[n] = '\0';
	return n;
}

bool
pooler_text_cut_comment(PoolerText *value)
{
	for (size_t i = 0; i < value->len; i++)
	{
		if (is_comment(value->bytes[i]) &&
			(i == 0 || is_space(value->bytes[i - 1])))
		{
			*value = trim(text_from(value->bytes, i));
			return true;
		}
	}
	return false;
}

bool
pooler_name_next(PoolerText *rest, PoolerText *name)
{
	size_t		n = 0;

	while (rest->len > 0 && (is_space(rest->bytes[0]) || rest->bytes[0] == ','))
		skip(rest, 1);
	while (n < rest->len && !is_space(rest->bytes[n]) && rest->bytes[n] != ',')
		n++;
	*name = take(rest, n);
	return n > 0;
}

/*---------------------------------------------------------------------------
 * Lines
 *---------------------------------------------------------------------------
 */

PoolerImportReader
pooler_import_reader(const char *bytes, size_t len)
{
	PoolerImportReader reader;

	reader.rest = text_from(bytes, len);
	reader.line = 0;
	reader.section = POOLER_INI_NO_SECTION;
	return reader;
}

/* The next line that is neither empty nor a comment, without spaces around. */
static bool
next_line(PoolerImportReader *reader, PoolerText *line)
{
	while (reader->rest.len > 0)
	{
		const char *newline = memchr(reader->rest.bytes, '\n', reader->rest.len);
		size_t		len = newline ? (size_t) (newline - reader->rest.bytes) :
			reader->rest.len;

		*line = trim(take(&reader->rest, len));
		if (newline != NULL)
			skip(&reader->rest, 1);
		reader->line++;
		if (line->len > 0 && !is_comment(line->bytes[0]))
			return true;
	}
	return false;
}

static PoolerIniSection
section_by_name(PoolerText name)
{
	static const struct
	{
		const char *name;
		PoolerIniSection section;
	}			sections[] = {
		{"pgbouncer", POOLER_INI_PGBOUNCER},
		{"databases", POOLER_INI_DATABASES},
		{"users", POOLER_INI_USERS},
		{"peers", POOLER_INI_PEERS},
	};

	for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++)
	{
		if (pooler_text_equals(name, sections[i].name))
			return sections[i].section;
	}
	return POOLER_INI_OTHER;
}

/* "[name]", and perhaps a comment. */
static PoolerImportError
parse_header(PoolerText rest, PoolerIniLine *line)
{
	const char *end = memchr(rest.bytes, ']', rest.len);

	if (end == NULL)
		return POOLER_IMPORT_SECTION;
	line->kind = POOLER_INI_HEADER;
	line->name.text = text_from(rest.bytes + 1, (size_t) (end - rest.bytes) - 1);
	line->name.quote = '\0';
	line->section = section_by_name(line->name.text);
	skip(&rest, line->name.text.len + 2);
	skip_spaces(&rest);
	if (rest.len > 0 && !is_comment(rest.bytes[0]))
		return POOLER_IMPORT_AFTER_SECTION;
	return POOLER_IMPORT_OK;
}

/* "name = value", the name perhaps in double quotes. */
static PoolerImportError
parse_entry(PoolerText rest, PoolerIniLine *line)
{
	size_t		n = 0;

	line->kind = POOLER_INI_ENTRY;
	line->name.quote = '\0';
	if (starts_with(rest, '"'))
	{
		if (!take_quoted(&rest, &line->name))
			return POOLER_IMPORT_NAME_QUOTE;
	}
	else
	{
		while (n < rest.len && is_name_char(rest.bytes[n]))
			n++;
		line->name.text = take(&rest, n);
	}
	if (line->name.text.len == 0)
		return POOLER_IMPORT_NAME;
	skip_spaces(&rest);
	if (!starts_with(rest, '='))
		return POOLER_IMPORT_EQUALS;
	skip(&rest, 1);
	line->value = trim(rest);
	return POOLER_IMPORT_OK;
}

/* "%include file"; otherwise it is not a line of this kind. */
static bool
is_include(PoolerText rest, PoolerIniLine *line)
{
	static const char word[] = "%include";
	size_t		len = sizeof(word) - 1;

	if (rest.len < len || memcmp(rest.bytes, word, len) != 0 ||
		(rest.len > len && !is_space(rest.bytes[len])))
		return false;
	skip(&rest, len);
	line->kind = POOLER_INI_INCLUDE;
	line->value = trim(rest);
	return true;
}

bool
pooler_ini_next(PoolerImportReader *reader, PoolerIniLine *line)
{
	PoolerText	rest;

	if (!next_line(reader, &rest))
		return false;
	line->section = reader->section;
	line->name.text = line->value = text_from(rest.bytes, 0);
	line->name.quote = '\0';
	line->error = POOLER_IMPORT_OK;
	if (is_include(rest, line))
		line->error = line->value.len > 0 ? POOLER_IMPORT_OK : POOLER_IMPORT_INCLUDE;
	else if (starts_with(rest, '['))
	{
		/* a header with a mistake is not where the lines below belong, either */
		line->section = POOLER_INI_OTHER;
		line->error = parse_header(rest, line);
		reader->section = line->section;
	}
	else
		line->error = parse_entry(rest, line);
	if (line->error != POOLER_IMPORT_OK)
		line->kind = POOLER_INI_MISTAKE;
	return true;
}

bool
pooler_userlist_next(PoolerImportReader *reader, PoolerUserLine *user)
{
	PoolerText	rest;

	if (!next_line(reader, &rest))
		return false;
	user->error = POOLER_IMPORT_OK;
	if (!starts_with(rest, '"') || !take_quoted(&rest, &user->name) ||
		user->name.text.len == 0)
	{
		user->error = POOLER_IMPORT_USER;
		return true;
	}
	skip_spaces(&rest);
	if (!starts_with(rest, '"') || !take_quoted(&rest, &user->secret))
		user->error = POOLER_IMPORT_SECRET;
	return true;
}

/*---------------------------------------------------------------------------
 * Options
 *---------------------------------------------------------------------------
 */

PoolerOptions
pooler_options(PoolerText value)
{
	PoolerOptions options;

	options.rest = value;
	options.comment = false;
	options.error = POOLER_IMPORT_OK;
	return options;
}

/* "'quoted'" or whatever comes before the next space; not empty. */
static PoolerImportError
parse_option_value(PoolerText *rest, PoolerWord *value)
{
	size_t		n = 0;

	if (starts_with(*rest, '\''))
	{
		if (!take_quoted(rest, value))
			return POOLER_IMPORT_OPTION_QUOTE;
		if (rest->len > 0 && !is_space(rest->bytes[0]))
			return POOLER_IMPORT_AFTER_QUOTE;
	}
	else
	{
		while (n < rest->len && !is_space(rest->bytes[n]))
			n++;
		value->text = take(rest, n);
		value->quote = '\0';
	}
	return value->text.len > 0 ? POOLER_IMPORT_OK : POOLER_IMPORT_OPTION_VALUE;
}

static PoolerImportError
parse_option(PoolerText *rest, PoolerOption *option)
{
	size_t		n = 0;

	while (n < rest->len && rest->bytes[n] != '=' && !is_space(rest->bytes[n]))
		n++;
	if (n == 0)
		return POOLER_IMPORT_OPTION_NAME;
	option->name = take(rest, n);
	skip_spaces(rest);
	if (!starts_with(*rest, '='))
		return POOLER_IMPORT_OPTION_EQUALS;
	skip(rest, 1);
	skip_spaces(rest);
	return parse_option_value(rest, &option->value);
}

bool
pooler_option_next(PoolerOptions *options, PoolerOption *option)
{
	if (options->error != POOLER_IMPORT_OK || options->comment)
		return false;
	skip_spaces(&options->rest);
	if (options->rest.len == 0)
		return false;
	options->comment = is_comment(options->rest.bytes[0]);
	if (options->comment)
		return false;
	options->error = parse_option(&options->rest, option);
	return options->error == POOLER_IMPORT_OK;
}

const char *
pooler_import_error_text(PoolerImportError error)
{
	static const char *const texts[] = {
		[POOLER_IMPORT_OK] = "Nothing is wrong.",
		[POOLER_IMPORT_SECTION] = "The name of a section has no closing bracket.",
		[POOLER_IMPORT_AFTER_SECTION] = "There is something behind the name of a section.",
		[POOLER_IMPORT_INCLUDE] = "%include names no file.",
		[POOLER_IMPORT_NAME] = "The line does not begin with a name.",
		[POOLER_IMPORT_NAME_QUOTE] = "A name has no closing double quote.",
		[POOLER_IMPORT_EQUALS] = "There is no \"=\" behind the name.",
		[POOLER_IMPORT_OPTION_NAME] = "An option has no name.",
		[POOLER_IMPORT_OPTION_EQUALS] = "There is no \"=\" behind the name of an option.",
		[POOLER_IMPORT_OPTION_VALUE] = "An option has no value.",
		[POOLER_IMPORT_OPTION_QUOTE] = "The value of an option has no closing quote.",
		[POOLER_IMPORT_AFTER_QUOTE] = "There is no space behind the quoted value of an option.",
		[POOLER_IMPORT_USER] = "The line does not begin with a user name in double quotes.",
		[POOLER_IMPORT_SECRET] = "There is no secret in double quotes behind the user name.",
	};

	return texts[error];
}
