/*
 * console.h
 *		The language of the admin console.
 *
 * Pure and process-independent: no I/O, no allocation, no reports.  The
 * commands and their spelling are PgBouncer's (its manual, "Admin console").
 * What a command means is the business of src/worker/console_*.c.
 */
#ifndef POOLER_PROTO_CONSOLE_H
#define POOLER_PROTO_CONSOLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* With the terminating zero. */
#define POOLER_CONSOLE_NAME_MAX		64	/* of a database or setting */
#define POOLER_CONSOLE_VALUE_MAX	1024	/* of SET */
#define POOLER_CONSOLE_WORD_MAX		32	/* of what an error quotes */

typedef enum PoolerConsoleVerb
{
	POOLER_CONSOLE_EMPTY,		/* nothing but blanks and comments */
	POOLER_CONSOLE_SHOW,		/* show */
	POOLER_CONSOLE_SHOW_VARIABLE,	/* variable: an answer for drivers */
	POOLER_CONSOLE_SET_VARIABLE,	/* variable: accepted, without effect */
	POOLER_CONSOLE_SET,			/* key, value or to_default */
	POOLER_CONSOLE_PAUSE,		/* database, as in all that follow */
	POOLER_CONSOLE_RESUME,
	POOLER_CONSOLE_DISABLE,
	POOLER_CONSOLE_ENABLE,
	POOLER_CONSOLE_RECONNECT,
	POOLER_CONSOLE_KILL,
	POOLER_CONSOLE_WAIT_CLOSE,
	POOLER_CONSOLE_KILL_CLIENT, /* client_id */
	POOLER_CONSOLE_SUSPEND,
	POOLER_CONSOLE_RELOAD,
	POOLER_CONSOLE_SHUTDOWN		/* shutdown */
} PoolerConsoleVerb;

/* In the order in which hints list them. */
typedef enum PoolerConsoleShow
{
	POOLER_SHOW_ACTIVE_SOCKETS,
	POOLER_SHOW_CLIENTS,
	POOLER_SHOW_CONFIG,
	POOLER_SHOW_DATABASES,
	POOLER_SHOW_DNS_HOSTS,
	POOLER_SHOW_DNS_ZONES,
	POOLER_SHOW_FDS,
	POOLER_SHOW_HELP,
	POOLER_SHOW_LEAKS,
	POOLER_SHOW_LISTS,
	POOLER_SHOW_MEM,
	POOLER_SHOW_PEERS,
	POOLER_SHOW_PEER_POOLS,
	POOLER_SHOW_POOLS,
	POOLER_SHOW_SERVERS,
	POOLER_SHOW_SOCKETS,
	POOLER_SHOW_STATE,
	POOLER_SHOW_STATS,
	POOLER_SHOW_STATS_AVERAGES,
	POOLER_SHOW_STATS_TOTALS,
	POOLER_SHOW_TOTALS,
	POOLER_SHOW_USERS,
	POOLER_SHOW_VERSION,
	POOLER_NSHOWS
} PoolerConsoleShow;

typedef enum PoolerConsoleShutdown
{
	POOLER_CONSOLE_SHUTDOWN_NOW,
	POOLER_CONSOLE_SHUTDOWN_WAIT_FOR_SERVERS,
	POOLER_CONSOLE_SHUTDOWN_WAIT_FOR_CLIENTS
} PoolerConsoleShutdown;

typedef struct PoolerConsoleCommand
{
	PoolerConsoleVerb verb;
	PoolerConsoleShow show;
	PoolerConsoleShutdown shutdown;
	int			variable;		/* see pooler_console_variable() */
	bool		has_database;
	bool		to_default;		/* SET key TO DEFAULT */
	uint64_t	client_id;
	char		database[POOLER_CONSOLE_NAME_MAX];
	char		key[POOLER_CONSOLE_NAME_MAX];
	char		value[POOLER_CONSOLE_VALUE_MAX];
} PoolerConsoleCommand;

typedef enum PoolerConsoleError
{
	POOLER_CONSOLE_OK,
	POOLER_CONSOLE_UNKNOWN,		/* word is no command */
	POOLER_CONSOLE_SQL,			/* word begins an SQL statement */
	POOLER_CONSOLE_UNKNOWN_SHOW,	/* there is no SHOW word */
	POOLER_CONSOLE_MISSING,		/* the command needs an argument */
	POOLER_CONSOLE_SYNTAX,		/* word is not expected there; "" is the end */
	POOLER_CONSOLE_UNTERMINATED,	/* quotes or a comment */
	POOLER_CONSOLE_TOO_LONG,	/* a name or value, beginning with word */
	POOLER_CONSOLE_BAD_ID,		/* word is not the id of a client */
	POOLER_CONSOLE_BAD_BYTE		/* not UTF-8, or a control character */
} PoolerConsoleError;

/*
 * Takes the next statement from *at, up to end, and moves *at behind it and
 * its semicolon.  EMPTY with *at == end says that there is none any more;
 * empty statements in between are left out.  *word is what an error is about.
 * Names are taken as they are written, in quotes or without.
 */
extern PoolerConsoleError pooler_console_next(const char **at,
											  const char *end,
											  PoolerConsoleCommand *command,
											  char word[POOLER_CONSOLE_WORD_MAX]);

/* Its command tag (without the "key=value" that follows SET). */
extern const char *pooler_console_tag(PoolerConsoleVerb verb);

/* The word after SHOW, in upper case. */
extern const char *pooler_console_show_name(PoolerConsoleShow show);

/*
 * What drivers ask for, and what they are told.  NULL if the number is too
 * high.
 */
extern const char *pooler_console_variable(int number, const char **value);

/* All commands, or all words after SHOW, for hints. */
extern const char *pooler_console_commands(void);
extern const char *pooler_console_shows(void);

#endif							/* POOLER_PROTO_CONSOLE_H */
