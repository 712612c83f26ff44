/*-------------------------------------------------------------------------
 *
 * console.h
 *	  What the files of the console share with each other.
 *
 * Runs in: the pooler.  console.c owns a client's bytes and drives it,
 * console_messages.c the messages of the protocol, console_commands.c what
 * commands do, console_set.c SET, console_rows.c how rows look on the wire;
 * console_show.c, console_sockets.c and console_stats.c have the rows.
 *
 * What a client can make the pooler keep is bounded by the limits below.
 *
 *-------------------------------------------------------------------------
 */
#ifndef POOLER_WORKER_CONSOLE_H
#define POOLER_WORKER_CONSOLE_H

#include "proto/console.h"
#include "worker/admin.h"
#include "worker/internal.h"

/* A message, its header included. */
#define CONSOLE_MAX_MESSAGE		(64 * 1024)

/* Prepared statements, and portals, of one client; with the unnamed one. */
#define CONSOLE_MAX_NAMES		32
#define CONSOLE_NAME_LEN		128

/* Nothing more is made for a client that has so much to read. */
#define CONSOLE_OUT_FULL		(16 * 1024)

#define CONSOLE_MAX_COLUMNS		32

/*---------------------------------------------------------------------------
 * rows
 *---------------------------------------------------------------------------
 */

/* s text, i int4, q int8, N numeric, T time as text, b bytea */
typedef struct ConsoleColumn
{
	const char *name;
	char		type;
} ConsoleColumn;

typedef struct ConsoleValue
{
	bool		null;
	uint64		number;			/* i, q, N */
	const char *text;			/* s, T; lives to the end of the turn */
} ConsoleValue;

/* Filled in from left to right. */
typedef struct ConsoleRow
{
	int			n;
	ConsoleValue values[CONSOLE_MAX_COLUMNS];
} ConsoleRow;

typedef struct ConsoleCursor ConsoleCursor;

/* One SHOW. */
typedef struct ConsoleShow
{
	const ConsoleColumn *columns;
	int			ncolumns;

	/*
	 * Optional: makes what next() walks through, in cursor->cxt.  False if
	 * the catalogs are locked: try again.  May raise errors.
	 */
	bool		(*begin) (ConsoleCursor *cursor);

	/*
	 * Fills in the row for cursor->at and moves on; false if there are no
	 * more.  A row that is left empty (n = 0) is none.
	 */
	bool		(*next) (ConsoleCursor *cursor, ConsoleRow *row);
} ConsoleShow;

struct ConsoleCursor
{
	const ConsoleShow *show;
	MemoryContext cxt;			/* its own */
	int64		at;
	int64		count;			/* what begin() made: so many of these: */
	void	   *data;
	const PoolerConsoleCommand *command;
};

/* console_rows.c */
extern void pooler_row_text(ConsoleRow *row, const char *text); /* NULL: null */
extern void pooler_row_number(ConsoleRow *row, uint64 number);
extern void pooler_row_zeros(ConsoleRow *row, int n);
extern void pooler_row_nulls(ConsoleRow *row, int n);
extern void pooler_row_time(ConsoleRow *row, TimestampTz time);

extern void pooler_message_begin(StringInfo out, char type, int *start);
extern void pooler_message_end(StringInfo out, int start);
extern void pooler_message_int16(StringInfo out, uint16 value);
extern void pooler_message_int32(StringInfo out, uint32 value);
extern void pooler_message_string(StringInfo out, const char *text);

/* formats: 0 text, 1 binary; none, one for all, or one for each column. */
typedef struct ConsoleFormats
{
	int			n;
	uint8		binary[CONSOLE_MAX_COLUMNS];
} ConsoleFormats;

extern void pooler_row_describe(StringInfo out, const ConsoleColumn *columns,
								int ncolumns, const ConsoleFormats *formats);
extern void pooler_row_write(StringInfo out, const ConsoleColumn *columns,
							 const ConsoleRow *row,
							 const ConsoleFormats *formats);

/* console_show.c */

/* NULL if the command returns no rows. */
extern const ConsoleShow *pooler_console_rows_of(const PoolerConsoleCommand *command);
extern char *pooler_console_utf8(const char *bytes);

/* console_leaks.c, console_sockets.c, console_stats.c */
extern const ConsoleShow pooler_show_leaks;
extern const ConsoleShow pooler_show_clients;
extern const ConsoleShow pooler_show_servers;
extern const ConsoleShow pooler_show_sockets;
extern const ConsoleShow pooler_show_active_sockets;
extern const ConsoleShow pooler_show_fds;
extern const ConsoleShow pooler_show_pools;
extern const ConsoleShow pooler_show_databases;
extern const ConsoleShow pooler_show_users;
extern const ConsoleShow pooler_show_stats;
extern const ConsoleShow pooler_show_stats_totals;
extern const ConsoleShow pooler_show_stats_averages;
extern const ConsoleShow pooler_show_totals;

/* averages.c: counters of a pool when the period began, and when that was */
extern void pooler_averages_before(int pool, PoolerCounters *before);
extern void pooler_averages_all_before(PoolerCounters *before);
extern TimestampTz pooler_averages_since(void);

/* Over all pools that there are or were. */
extern void pooler_averages_all(PoolerCounters *sum);

/*---------------------------------------------------------------------------
 * a client
 *---------------------------------------------------------------------------
 */
typedef struct ConsoleStatement
{
	char		name[CONSOLE_NAME_LEN];
	PoolerConsoleCommand command;
} ConsoleStatement;

typedef struct ConsolePortal
{
	char		name[CONSOLE_NAME_LEN];
	PoolerConsoleCommand command;
	ConsoleFormats formats;
	ConsoleCursor cursor;		/* cxt is NULL until rows were asked for */
	bool		done;			/* was executed to its end */
} ConsolePortal;

/*
 *			message             command           has to wait
 *	READY ----------> RUNNING ----------> ROWS	  WAITING
 *	  ^  ^               | ^                |		 |
 *	  |  |  no statement | |  its end (Q)   |		 |
 *	  |  +---------------+ +----------------+--------+
 *	  +------------- its end (extended protocol), error
 */
typedef enum ConsoleState
{
	CONSOLE_READY,				/* takes the next message; next: RUNNING,
								 * ROWS, WAITING */
	CONSOLE_RUNNING,			/* in a simple query, before its next
								 * statement; next: ROWS, WAITING, READY */
	CONSOLE_ROWS,				/* sends rows; next: RUNNING, READY */
	CONSOLE_WAITING				/* for something to happen; next: ROWS,
								 * RUNNING, READY */
} ConsoleState;

typedef enum ConsoleWait
{
	CONSOLE_WAIT_CATALOG,		/* the catalogs are locked: start again */
	CONSOLE_WAIT_ADMIN,			/* a command of worker/admin.h */
	CONSOLE_WAIT_SET_SLOT,		/* too many are at it */
	CONSOLE_WAIT_SET,			/* ALTER SYSTEM is being carried out */
	CONSOLE_WAIT_RELOAD			/* the new settings are not read yet */
} ConsoleWait;

struct WorkerConsole
{
	int			slot;
	uint64		id;				/* of the client, who may go at any time */
	Oid			roleid;
	bool		admin;
	MemoryContext cxt;
	dlist_node	node;			/* in the list of all */
	ConsoleState state;

	StringInfoData in;			/* from in.cursor on: not looked at yet */
	StringInfoData out;			/* from out.cursor on: not sent yet */
	bool		closing;		/* as soon as out is sent */

	bool		simple;			/* the command came in a Query message */
	bool		skipping;		/* to the next Sync, after an error */
	char	   *query;			/* text of the Query message */
	const char *query_next;		/* its next statement */
	const char *query_end;

	ConsolePortal *portal;		/* what is being carried out; of a simple
								 * query: */
	ConsolePortal *own_portal;
	int64		rows_left;		/* -1: no limit */

	ConsoleWait wait;
	TimestampTz wait_until;		/* RELOAD only */
	uint32		reloads;		/* WAIT_RELOAD: before it */
	PoolerAdminCommand admin_command;
	bool		admin_over;		/* it needs not be taken back */
	Oid			set_dbid;		/* where it is carried out */
	int			set_slot;		/* WAIT_SET */
	bool		set_restart;	/* the setting needs a restart */

	ConsoleStatement *statements[CONSOLE_MAX_NAMES];
	ConsolePortal *portals[CONSOLE_MAX_NAMES];
};

/* console.c */

/* What is sent to the client. */
extern void pooler_console_error(WorkerConsole *console, const char *sqlstate,
								 const char *message, const char *detail,
								 const char *hint);
extern void pooler_console_fatal(WorkerConsole *console, const char *sqlstate,
								 const char *message);
extern void pooler_console_notice(WorkerConsole *console, const char *message,
								  const char *detail, const char *hint);
extern void pooler_console_ready(WorkerConsole *console);

/* The command that is being carried out is over. */
extern void pooler_console_complete(WorkerConsole *console, const char *tag);

/* It can't go on before this has happened. */
extern void pooler_console_wait(WorkerConsole *console, ConsoleWait wait);

/* console_messages.c */

/* One whole message; len is that of its body. */
extern void pooler_console_message(WorkerConsole *console, char type,
								   const uint8 *body, int len);

/* CONSOLE_RUNNING: the next statement of a simple query. */
extern void pooler_console_next_statement(WorkerConsole *console);
extern void pooler_console_drop_portal(ConsolePortal *portal);

/* console_commands.c */

/*
 * Carries out console->portal: sets another state, completes it, or reports
 * an error.  The client may be gone afterwards.
 */
extern void pooler_console_execute(WorkerConsole *console);

/* CONSOLE_ROWS: some more of them. */
extern void pooler_console_more_rows(WorkerConsole *console);

/* CONSOLE_WAITING: has it happened?  The client may be gone afterwards. */
extern void pooler_console_poll(WorkerConsole *console);

/*
 * Runs what looks at the catalogs, in a transaction; it returns false if they
 * are locked, and may raise errors.  False if it did either: then the client
 * waits for the first, or was told the second.
 */
extern bool pooler_console_with_catalogs(WorkerConsole *console,
										 bool (*function) (WorkerConsole *console));

/* It is not waited for any more. */
extern void pooler_console_stop_waiting(WorkerConsole *console);

/* console_set.c */
extern void pooler_console_set(WorkerConsole *console);
extern void pooler_console_poll_set(WorkerConsole *console);
extern void pooler_console_reload(WorkerConsole *console);

/* Nobody waits for it any more; its slot is freed when it has ended. */
extern void pooler_console_abandon_set(int set_slot);
extern void pooler_console_set_tick(void);

#endif							/* POOLER_WORKER_CONSOLE_H */
