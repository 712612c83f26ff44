/*
 * console.c
 *		Take apart what was typed at the admin console.
 *
 * Pure and process-independent: text in, typed command or error code out.
 * Must not do I/O, allocate, report, or depend on the server's runtime.
 *
 * A statement is a row of tokens up to a semicolon.  The scanner never reads
 * beyond the end that it is given, and copies into buffers of fixed size.
 */
#include "console.h"

#include <string.h>

typedef enum TokenKind
{
	TOKEN_END,					/* semicolon or end of the text */
	TOKEN_WORD,					/* letters, digits and the like */
	TOKEN_IDENTIFIER,			/* in double quotes */
	TOKEN_STRING,				/* in single quotes */
	TOKEN_OTHER					/* any other character */
} TokenKind;

typedef struct Token
{
	TokenKind	kind;
	bool		too_long;
	char		text[POOLER_CONSOLE_VALUE_MAX]; /* without the quotes */
} Token;

typedef struct Scanner
{
	const char *next;
	const char *end;
	PoolerConsoleError error;
	Token		token;			/* the present one */
} Scanner;

typedef struct Verb
{
	const char *name;
	PoolerConsoleVerb verb;
	enum
	{
		ARGUMENT_NONE,
		ARGUMENT_DATABASE,		/* or nothing: all */
		ARGUMENT_DATABASE_NEEDED,
		ARGUMENT_ID,
		ARGUMENT_SHUTDOWN
	}			argument;
} Verb;

static const Verb verbs[] = {
	{"DISABLE", POOLER_CONSOLE_DISABLE, ARGUMENT_DATABASE_NEEDED},
	{"ENABLE", POOLER_CONSOLE_ENABLE, ARGUMENT_DATABASE_NEEDED},
	{"KILL", POOLER_CONSOLE_KILL, ARGUMENT_DATABASE},
	{"KILL_CLIENT", POOLER_CONSOLE_KILL_CLIENT, ARGUMENT_ID},
	{"PAUSE", POOLER_CONSOLE_PAUSE, ARGUMENT_DATABASE},
	{"RECONNECT", POOLER_CONSOLE_RECONNECT, ARGUMENT_DATABASE},
	{"RELOAD", POOLER_CONSOLE_RELOAD, ARGUMENT_NONE},
	{"RESUME", POOLER_CONSOLE_RESUME, ARGUMENT_DATABASE},
	{"SHUTDOWN", POOLER_CONSOLE_SHUTDOWN, ARGUMENT_SHUTDOWN},
	{"SUSPEND", POOLER_CONSOLE_SUSPEND, ARGUMENT_NONE},
	{"WAIT_CLOSE", POOLER_CONSOLE_WAIT_CLOSE, ARGUMENT_DATABASE},
};

static const char *const shows[POOLER_NSHOWS] = {
	[POOLER_SHOW_ACTIVE_SOCKETS] = "ACTIVE_SOCKETS",
	[POOLER_SHOW_CLIENTS] = "CLIENTS",
	[POOLER_SHOW_CONFIG] = "CONFIG",
	[POOLER_SHOW_DATABASES] = "DATABASES",
	[POOLER_SHOW_DNS_HOSTS] = "DNS_HOSTS",
	[POOLER_SHOW_DNS_ZONES] = "DNS_ZONES",
	[POOLER_SHOW_FDS] = "FDS",
	[POOLER_SHOW_HELP] = "HELP",
	[POOLER_SHOW_LEAKS] = "LEAKS",
	[POOLER_SHOW_LISTS] = "LISTS",
	[POOLER_SHOW_MEM] = "MEM",
	[POOLER_SHOW_PEERS] = "PEERS",
	[POOLER_SHOW_PEER_POOLS] = "PEER_POOLS",
	[POOLER_SHOW_POOLS] = "POOLS",
	[POOLER_SHOW_SERVERS] = "SERVERS",
	[POOLER_SHOW_SOCKETS] = "SOCKETS",
	[POOLER_SHOW_STATE] = "STATE",
	[POOLER_SHOW_STATS] = "STATS",
	[POOLER_SHOW_STATS_AVERAGES] = "STATS_AVERAGES",
	[POOLER_SHOW_STATS_TOTALS] = "STATS_TOTALS",
	[POOLER_SHOW_TOTALS] = "TOTALS",
	[POOLER_SHOW_USERS] = "USERS",
	[POOLER_SHOW_VERSION] = "VERSION",
};

/* What drivers ask for or set when they connect, in any case PgBouncer's. */
static const struct
{
	const char *name;
	const char *value;
}			variables[] = {
	{"client_encoding", "UTF8"},
	{"default_transaction_isolation", "read committed"},
	{"standard_conforming_strings", "on"},
	{"datestyle", "ISO"},
	{"timezone", "GMT"},
	{"extra_float_digits", "1"},
	{"application_name", ""},
};

#define lengthof_(array) ((int) (sizeof(array) / sizeof((array)[0])))

/* Words that begin a statement of SQL, so that the answer can say more. */
static const char *const sql_words[] = {
	"ABORT", "ALTER", "ANALYZE", "BEGIN", "CALL", "CHECKPOINT", "CLOSE",
	"CLUSTER", "COMMENT", "COMMIT", "COPY", "CREATE", "DEALLOCATE", "DECLARE",
	"DELETE", "DISCARD", "DO", "DROP", "END", "EXECUTE", "EXPLAIN", "FETCH",
	"GRANT", "IMPORT", "INSERT", "LISTEN", "LOAD", "LOCK", "MERGE", "MOVE",
	"NOTIFY", "PREPARE", "REASSIGN", "REFRESH", "REINDEX", "RELEASE", "RESET",
	"REVOKE", "ROLLBACK", "SAVEPOINT", "SECURITY", "SELECT", "START", "TABLE",
	"TRUNCATE", "UNLISTEN", "UPDATE", "VACUUM", "VALUES", "WITH"
};

const char *
pooler_console_commands(void)
{
	return "SHOW, SET, PAUSE, RESUME, DISABLE, ENABLE, RECONNECT, KILL, KILL_CLIENT, "
		"SUSPEND, RELOAD, WAIT_CLOSE, SHUTDOWN";
}

const char *
pooler_console_shows(void)
{
	return "ACTIVE_SOCKETS, CLIENTS, CONFIG, DATABASES, DNS_HOSTS, DNS_ZONES, FDS, HELP, "
		"LEAKS, LISTS, MEM, PEERS, PEER_POOLS, POOLS, SERVERS, SOCKETS, STATE, STATS, "
		"STATS_AVERAGES, STATS_TOTALS, TOTALS, USERS, VERSION";
}

const char *
pooler_console_show_name(PoolerConsoleShow show)
{
	return shows[show];
}

const char *
pooler_console_variable(int number, const char **value)
{
	if (number < 0 || number >= lengthof_(variables))
		return NULL;
	*value = variables[number].value;
	return variables[number].name;
}

const char *
pooler_console_tag(PoolerConsoleVerb verb)
{
	switch (verb)
	{
		case POOLER_CONSOLE_EMPTY:
			return "";
		case POOLER_CONSOLE_SHOW:
		case POOLER_CONSOLE_SHOW_VARIABLE:
			return "SHOW";
		case POOLER_CONSOLE_SET:
		case POOLER_CONSOLE_SET_VARIABLE:
			return "SET";
		default:
			break;
	}
	for (int i = 0; i < lengthof_(verbs); i++)
	{
		if (verbs[i].verb == verb)
			return verbs[i].name;
	}
	return "";
}

/*
 * Characters
 */

static char
upper(char c)
{
	return c >= 'a' && c <= 'z' ? (char) (c - 'a' + 'A') : c;
}

static bool
same_word(const char *a, const char *b)
{
	while (*a && upper(*a) == upper(*b))
		a++, b++;
	return *a == '\0' && *b == '\0';
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' ||
		c == '\v';
}

/* Numbers with units, addresses and paths are words here, too. */
static bool
is_word_char(char c)
{
	return (unsigned char) c >= 0x80 || (c >= 'a' && c <= 'z') ||
		(c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		(c != '\0' && strchr("_$.:+-*/%@", c) != NULL);
}

/*
 * Bytes of the character at p that fit before end, 0 if they are no UTF-8:
 * such text could neither be shown to anybody nor be a name of a database.
 * Which second bytes there can be tells forms that are longer than they need
 * to be, surrogates, and what is beyond Unicode (RFC 3629).
 */
static size_t
utf8_length(const char *p, const char *end)
{
	unsigned char c = (unsigned char) *p;
	size_t		n = c < 0x80 ? 1 : c < 0xC2 ? 0 : c < 0xE0 ? 2 :
		c < 0xF0 ? 3 : c < 0xF5 ? 4 : 0;
	unsigned char low = c == 0xE0 ? 0xA0 : c == 0xF0 ? 0x90 : 0x80;
	unsigned char high = c == 0xED ? 0x9F : c == 0xF4 ? 0x8F : 0xBF;

	if (n == 0 || n > (size_t) (end - p))
		return 0;
	for (size_t i = 1; i < n; i++)
	{
		unsigned char next = (unsigned char) p[i];

		if (next < (i == 1 ? low : 0x80) || next > (i == 1 ? high : 0xBF))
			return 0;
	}
	return n;
}

/* Is there "--" or the beginning of a comment in C's way? */
static bool
comment_begins(const Scanner *s)
{
	return s->end - s->next >= 2 &&
		((s->next[0] == '-' && s->next[1] == '-') ||
		 (s->next[0] == '/' && s->next[1] == '*'));
}

/*
 * Tokens
 */

static void
skip_block_comment(Scanner *s)
{
	int			depth = 0;

	do
	{
		if (s->end - s->next < 2)
		{
			s->error = POOLER_CONSOLE_UNTERMINATED;
			s->next = s->end;
			return;
		}
		if (s->next[0] == '/' && s->next[1] == '*')
		{
			depth++;
			s->next += 2;
		}
		else if (s->next[0] == '*' && s->next[1] == '/')
		{
			depth--;
			s->next += 2;
		}
		else
			s->next++;
	} while (depth > 0);
}

static void
skip_blanks(Scanner *s)
{
	while (s->next < s->end)
	{
		if (is_blank(*s->next))
			s->next++;
		else if (!comment_begins(s))
			break;
		else if (*s->next == '/')
			skip_block_comment(s);
		else
		{
			while (s->next < s->end && *s->next != '\n')
				s->next++;
		}
	}
}

/* One character more; the text stays zero-terminated. */
static void
put_char(Scanner *s, size_t *len, const char *c, size_t n)
{
	Token	   *t = &s->token;

	if (*len + n >= sizeof(t->text))
	{
		t->too_long = true;
		return;
	}
	memcpy(t->text + *len, c, n);
	*len += n;
	t->text[*len] = '\0';
}

/* Copies the character at next, if it is a good one. */
static void
take_char(Scanner *s, size_t *len)
{
	size_t		n = utf8_length(s->next, s->end);

	if (n == 0 || (unsigned char) *s->next < ' ' || *s->next == 0x7F)
	{
		s->error = POOLER_CONSOLE_BAD_BYTE;
		n = 1;
	}
	else
		put_char(s, len, s->next, n);
	s->next += n;
}

static void
take_quoted(Scanner *s, char quote)
{
	size_t		len = 0;

	s->token.kind = quote == '"' ? TOKEN_IDENTIFIER : TOKEN_STRING;
	s->next++;
	while (s->next < s->end)
	{
		if (*s->next != quote)
			take_char(s, &len);
		else if (s->end - s->next >= 2 && s->next[1] == quote)
		{
			put_char(s, &len, s->next, 1);
			s->next += 2;
		}
		else
		{
			s->next++;
			return;
		}
	}
	s->error = POOLER_CONSOLE_UNTERMINATED;
}

/* The next token becomes the present one. */
static void
advance(Scanner *s)
{
	size_t		len = 0;

	s->token.kind = TOKEN_END;
	s->token.too_long = false;
	s->token.text[0] = '\0';
	skip_blanks(s);
	if (s->next == s->end || *s->next == ';')
		return;
	if (*s->next == '"' || *s->next == '\'')
	{
		take_quoted(s, *s->next);
		return;
	}
	s->token.kind = is_word_char(*s->next) ? TOKEN_WORD : TOKEN_OTHER;
	do
	{
		take_char(s, &len);
	} while (s->token.kind == TOKEN_WORD && s->next < s->end &&
			 is_word_char(*s->next) && !comment_begins(s));
}

static bool
at_word(const Scanner *s, const char *word)
{
	return s->token.kind == TOKEN_WORD && same_word(s->token.text, word);
}

/* Copies a name; it has to fit. */
static PoolerConsoleError
take_name(Scanner *s, char name[POOLER_CONSOLE_NAME_MAX])
{
	size_t		len = strlen(s->token.text);

	if (s->token.kind == TOKEN_END)
		return POOLER_CONSOLE_MISSING;
	if ((s->token.kind != TOKEN_WORD && s->token.kind != TOKEN_IDENTIFIER) ||
		len == 0)
		return POOLER_CONSOLE_SYNTAX;
	if (s->token.too_long || len >= POOLER_CONSOLE_NAME_MAX)
		return POOLER_CONSOLE_TOO_LONG;
	memcpy(name, s->token.text, len + 1);
	advance(s);
	return POOLER_CONSOLE_OK;
}

/*
 * Commands
 */

static PoolerConsoleError
parse_show(Scanner *s, PoolerConsoleCommand *command)
{
	if (s->token.kind == TOKEN_END)
		return POOLER_CONSOLE_MISSING;
	if (s->token.kind != TOKEN_WORD && s->token.kind != TOKEN_IDENTIFIER)
		return POOLER_CONSOLE_UNKNOWN_SHOW;
	for (int i = 0; i < POOLER_NSHOWS; i++)
	{
		if (same_word(s->token.text, shows[i]))
		{
			command->verb = POOLER_CONSOLE_SHOW;
			command->show = (PoolerConsoleShow) i;
			advance(s);
			return POOLER_CONSOLE_OK;
		}
	}
	for (int i = 0; i < lengthof_(variables); i++)
	{
		if (same_word(s->token.text, variables[i].name))
		{
			command->verb = POOLER_CONSOLE_SHOW_VARIABLE;
			command->variable = i;
			advance(s);
			return POOLER_CONSOLE_OK;
		}
	}
	return POOLER_CONSOLE_UNKNOWN_SHOW;
}

/* PgBouncer's other way to say SHOW; anything else is meant as SQL. */
static PoolerConsoleError
parse_select(Scanner *s, PoolerConsoleCommand *command)
{
	if (s->token.kind == TOKEN_END ||
		parse_show(s, command) != POOLER_CONSOLE_OK ||
		s->token.kind != TOKEN_END)
		return POOLER_CONSOLE_SQL;
	return POOLER_CONSOLE_OK;
}

/* A value, or several with commas between them, which become one. */
static PoolerConsoleError
parse_value(Scanner *s, PoolerConsoleCommand *command)
{
	size_t		len = 0;

	if (at_word(s, "DEFAULT"))
	{
		command->to_default = true;
		advance(s);
		return POOLER_CONSOLE_OK;
	}
	for (;;)
	{
		size_t		n = strlen(s->token.text);

		if (s->token.kind == TOKEN_END)
			return POOLER_CONSOLE_MISSING;
		if (s->token.kind == TOKEN_OTHER)
			return POOLER_CONSOLE_SYNTAX;
		if (s->token.too_long || len + n >= sizeof(command->value))
			return POOLER_CONSOLE_TOO_LONG;
		memcpy(command->value + len, s->token.text, n + 1);
		len += n;
		advance(s);
		if (s->token.kind != TOKEN_OTHER || s->token.text[0] != ',')
			return POOLER_CONSOLE_OK;
		advance(s);
		if (len + 2 >= sizeof(command->value))
			return POOLER_CONSOLE_TOO_LONG;
		memcpy(command->value + len, ", ", 3);
		len += 2;
	}
}

static PoolerConsoleError
parse_set(Scanner *s, PoolerConsoleCommand *command)
{
	PoolerConsoleError error = take_name(s, command->key);

	if (error == POOLER_CONSOLE_OK && same_word(command->key, "SESSION") &&
		s->token.kind == TOKEN_WORD && !at_word(s, "TO"))
		error = take_name(s, command->key);
	if (error != POOLER_CONSOLE_OK)
		return error;
	if (s->token.kind == TOKEN_END)
		return POOLER_CONSOLE_MISSING;
	if (!at_word(s, "TO") &&
		!(s->token.kind == TOKEN_OTHER && s->token.text[0] == '='))
		return POOLER_CONSOLE_SYNTAX;
	advance(s);
	error = parse_value(s, command);
	command->verb = POOLER_CONSOLE_SET;
	for (int i = 0; i < lengthof_(variables); i++)
	{
		if (same_word(command->key, variables[i].name))
		{
			command->verb = POOLER_CONSOLE_SET_VARIABLE;
			command->variable = i;
		}
	}
	return error;
}

static PoolerConsoleError
parse_id(Scanner *s, PoolerConsoleCommand *command)
{
	const char *p = s->token.text;
	uint64_t	id = 0;

	if (s->token.kind == TOKEN_END)
		return POOLER_CONSOLE_MISSING;
	if (*p == '\0' || s->token.kind == TOKEN_IDENTIFIER)
		return POOLER_CONSOLE_BAD_ID;
	for (; *p; p++)
	{
		if (*p < '0' || *p > '9' ||
			id > (UINT64_MAX - (uint64_t) (*p - '0')) / 10)
			return POOLER_CONSOLE_BAD_ID;
		id = id * 10 + (uint64_t) (*p - '0');
	}
	command->client_id = id;
	advance(s);
	return POOLER_CONSOLE_OK;
}

static PoolerConsoleError
parse_shutdown(Scanner *s, PoolerConsoleCommand *command)
{
	command->shutdown = POOLER_CONSOLE_SHUTDOWN_NOW;
	if (s->token.kind == TOKEN_END)
		return POOLER_CONSOLE_OK;
	if (at_word(s, "WAIT_FOR_SERVERS"))
		command->shutdown = POOLER_CONSOLE_SHUTDOWN_WAIT_FOR_SERVERS;
	else if (at_word(s, "WAIT_FOR_CLIENTS"))
		command->shutdown = POOLER_CONSOLE_SHUTDOWN_WAIT_FOR_CLIENTS;
	else
		return POOLER_CONSOLE_SYNTAX;
	advance(s);
	return POOLER_CONSOLE_OK;
}

static PoolerConsoleError
parse_argument(Scanner *s, const Verb *verb, PoolerConsoleCommand *command)
{
	command->verb = verb->verb;
	switch (verb->argument)
	{
		case ARGUMENT_NONE:
			break;
		case ARGUMENT_DATABASE:
			if (s->token.kind == TOKEN_END)
				break;
			/* FALLTHROUGH */
		case ARGUMENT_DATABASE_NEEDED:
			command->has_database = true;
			return take_name(s, command->database);
		case ARGUMENT_ID:
			return parse_id(s, command);
		case ARGUMENT_SHUTDOWN:
			return parse_shutdown(s, command);
	}
	return POOLER_CONSOLE_OK;
}

/* The present token is the first. */
static PoolerConsoleError
parse_command(Scanner *s, PoolerConsoleCommand *command)
{
	bool		word = s->token.kind == TOKEN_WORD;

	if (word && (at_word(s, "SHOW") || at_word(s, "SELECT")))
	{
		bool		show = at_word(s, "SHOW");

		advance(s);
		return show ? parse_show(s, command) : parse_select(s, command);
	}
	if (at_word(s, "SET"))
	{
		advance(s);
		return parse_set(s, command);
	}
	for (int i = 0; word && i < lengthof_(verbs); i++)
	{
		if (same_word(s->token.text, verbs[i].name))
		{
			advance(s);
			return parse_argument(s, &verbs[i], command);
		}
	}
	for (int i = 0; word && i < lengthof_(sql_words); i++)
	{
		if (same_word(s->token.text, sql_words[i]))
			return POOLER_CONSOLE_SQL;
	}
	return POOLER_CONSOLE_UNKNOWN;
}

/* As much of the present token as fits, in whole characters. */
static void
copy_word(const Scanner *s, char word[POOLER_CONSOLE_WORD_MAX])
{
	size_t		n = strlen(s->token.text);

	if (n >= POOLER_CONSOLE_WORD_MAX)
	{
		n = POOLER_CONSOLE_WORD_MAX - 1;
		while (n > 0 && ((unsigned char) s->token.text[n] & 0xC0) == 0x80)
			n--;
	}
	memcpy(word, s->token.text, n);
	word[n] = '\0';
}

PoolerConsoleError
pooler_console_next(const char **at, const char *end,
					PoolerConsoleCommand *command,
					char word[POOLER_CONSOLE_WORD_MAX])
{
	Scanner		s = {0};
	PoolerConsoleError error;

	memset(command, 0, sizeof(*command));
	word[0] = '\0';
	s.next = *at;
	s.end = end;
	s.error = POOLER_CONSOLE_OK;

	advance(&s);
	while (s.token.kind == TOKEN_END && s.next < end)
	{
		s.next++;				/* an empty statement */
		advance(&s);
	}
	if (s.token.kind == TOKEN_END)
	{
		*at = end;
		return s.error;
	}
	error = parse_command(&s, command);
	if (error == POOLER_CONSOLE_OK && s.token.kind != TOKEN_END)
		error = POOLER_CONSOLE_SYNTAX;
	copy_word(&s, word);
	while (s.token.kind != TOKEN_END)
		advance(&s);
	*at = s.next < end ? s.next + 1 : end;
	return s.error != POOLER_CONSOLE_OK ? s.error : error;
}
