/*-------------------------------------------------------------------------
 *
 * leak.h
 *	  Something that a client holds and should have given back.
 *
 * Runs in: any process.  Backends say in their slots what their client holds
 * (PoolerHoldings), and spend next to nothing on it.  The pooler compares that
 * with the thresholds (worker/leak.c), and keeps what exceeds them in a table
 * of leaks; ended ones go to a ring of fixed size.  Everybody else only reads.
 *
 *-------------------------------------------------------------------------
 */
#ifndef POOLER_LEAK_H
#define POOLER_LEAK_H

#include "c.h"

#include "datatype/timestamp.h"
#include "libpq/pqcomm.h"
#include "port/atomics.h"

typedef enum PoolerLeakKind
{
	POOLER_LEAK_IDLE_IN_TRANSACTION,
	POOLER_LEAK_TRANSACTION,	/* open for too long, idle or not */
	POOLER_LEAK_PINNED_IDLE,	/* keeps its backend and does not use it */
	POOLER_LEAK_CONNECTION_IDLE,	/* is not used at all */
	POOLER_LEAK_CONNECTION_GROWTH,	/* an application opens connections while
									 * it has unused ones, and closes none */
	POOLER_LEAK_POOL_HELD,		/* clients wait, all backends are held, and
								 * none of them runs a command */
	/* their number only grows in a session */
	POOLER_LEAK_LOCKS,
	POOLER_LEAK_CURSORS,
	POOLER_LEAK_TEMP_OBJECTS,
	POOLER_LEAK_STATEMENTS,
	POOLER_NLEAK_KINDS
} PoolerLeakKind;

/* How much it matters; see severity_of() in worker/leak_find.c. */
typedef enum PoolerLeakSeverity
{
	POOLER_LEAK_INFO,
	POOLER_LEAK_WARNING,
	POOLER_LEAK_CRITICAL
} PoolerLeakSeverity;

/* What pooler.leak_action says. */
typedef enum PoolerLeakAction
{
	POOLER_LEAK_LOG,
	POOLER_LEAK_CANCEL,			/* the command that runs; TRANSACTION only */
	POOLER_LEAK_TERMINATE
} PoolerLeakAction;

/* How a leak ended. */
typedef enum PoolerLeakEnd
{
	POOLER_LEAK_CURRENT,		/* not yet */
	POOLER_LEAK_GIVEN_BACK,		/* the client did it */
	POOLER_LEAK_ALLOWED,		/* the threshold is another one */
	POOLER_LEAK_LEFT,			/* its connection has ended otherwise */
	POOLER_LEAK_TERMINATED,		/* by pooler.leak_action */
	POOLER_LEAK_CANCELED,		/* likewise */
	POOLER_LEAK_ENDED			/* by end_leaks() */
} PoolerLeakEnd;

#define POOLER_LEAK_QUERY_LEN	1024	/* with the final 0 */
#define POOLER_LEAK_NAMES_LEN	256

/*
 * What the client of a backend holds, and what its transaction has begun with.
 * Written by the backend at the end of commands, under changes; texts are in
 * the encoding of its database, cut off at the border of a character.  A reader
 * copies, and copies again if changes was odd or is another one then.
 */
typedef struct PoolerHoldings
{
	pg_atomic_uint32 changes;	/* odd while it is being written */

	/*
	 * First statement of the transaction block that says something: the one
	 * after BEGIN.  Empty outside a block, and if track_activities is off.
	 */
	char		first_query[POOLER_LEAK_QUERY_LEN];
	uint64		first_query_id; /* as in pg_stat_activity; 0: not known */

	/*
	 * How many there are, and by how many that is more than the fewest since
	 * there were fewer at the end of a command than before.
	 */
	uint32		cursors;		/* with a name, transaction or holdable */
	uint32		cursors_grown;
	uint32		locks;			/* of the session: advisory ones */
	uint32		locks_grown;
	uint32		temp_objects;
	uint32		temp_objects_grown;
	uint64		temp_bytes;		/* of temporary tables and their indexes */
	char		cursor_names[POOLER_LEAK_NAMES_LEN];	/* the first ones */
} PoolerHoldings;

/* So many are kept; what does not fit is only counted. */
#define POOLER_MAX_LEAKS		128
#define POOLER_MAX_ENDED_LEAKS	256
#define POOLER_MAX_LEAK_COUNTS	256

#define POOLER_LEAK_LOCKS_LEN	1024

/* What is copied of PoolerHoldings, when the leak was found. */
typedef struct PoolerHeld
{
	uint32		cursors;
	uint32		locks;
	uint32		temp_objects;
	uint64		temp_bytes;
	char		cursor_names[POOLER_LEAK_NAMES_LEN];
} PoolerHeld;

/*
 * A leak.  Written by the worker, and by it alone.  Texts are as clients and
 * backends gave them, in whatever encoding.
 */
typedef struct PoolerLeak
{
	uint64		id;				/* never used again; 0: the place is free */
	PoolerLeakKind kind;
	PoolerLeakSeverity severity;	/* now; of an ended one the highest */
	PoolerLeakSeverity highest;
	PoolerLeakAction action;	/* what the setting says */
	PoolerLeakEnd end;
	bool		asked;			/* end_leaks() has asked for its end */

	/* who; of a group of connections only what they have in common */
	int32		client;			/* slot; of a group that of one of them */
	uint32		gen;
	uint64		client_id;		/* 0: a group */
	int32		backend;		/* slot, -1: none */
	int			pid;			/* 0: none */
	Oid			dbid;
	Oid			roleid;
	char		database[NAMEDATALEN];
	char		role[NAMEDATALEN];
	char		application_name[NAMEDATALEN];
	SockAddr	raddr;

	TimestampTz held_since;		/* with kind and client: which leak it is */
	TimestampTz idle_since;		/* POOL_HELD: its client */
	TimestampTz found_at;
	TimestampTz ended_at;		/* 0: it has not */
	int			waiting;		/* clients of the pool that wait */
	int			max_waiting;
	int			blocked;		/* processes that waited for its locks when it
								 * was found */

	uint32		limit;			/* the threshold: ms, or how many */
	uint32		amount;			/* of those that are counted: how many */
	int			pin;			/* a PoolerPin */
	int			xmin_age;		/* -1: it holds none */
	PoolerHeld	held;
	char		locks[POOLER_LEAK_LOCKS_LEN];	/* as core describes them */
	uint64		first_query_id;
	uint64		last_query_id;
	char		first_query[POOLER_LEAK_QUERY_LEN];
	char		last_query[POOLER_LEAK_QUERY_LEN];
} PoolerLeak;

/* How often leaks of one kind were found with one application and query. */
typedef struct PoolerLeakCount
{
	uint64		count;			/* 0: the place is free */
	PoolerLeakKind kind;
	Oid			dbid;
	Oid			roleid;
	char		database[NAMEDATALEN];
	char		role[NAMEDATALEN];
	char		application_name[NAMEDATALEN];
	uint64		query_id;		/* 0: not known, then by hash */
	uint64		hash;			/* of the query's text */
	TimestampTz first_at;
	TimestampTz last_at;
	uint64		held_us;		/* of those that have ended */
	uint64		max_held_us;
	char		query[POOLER_LEAK_NAMES_LEN];
} PoolerLeakCount;

/*
 * Places for them.  changes is odd while the worker writes: a reader copies,
 * and copies again if it was odd or is another one then.
 */
typedef struct PoolerLeakPlace
{
	pg_atomic_uint32 changes;
	PoolerLeak	leak;
} PoolerLeakPlace;

typedef struct PoolerLeakCountPlace
{
	pg_atomic_uint32 changes;
	PoolerLeakCount count;
} PoolerLeakCountPlace;

typedef struct PoolerLeakTable
{
	/* worker */
	uint64		next_id;
	uint64		next_ended;		/* the next one's place, modulo */
	pg_atomic_uint32 ncurrent;	/* readable as a hint */
	pg_atomic_uint32 nleft_out; /* current ones that did not fit */
	PoolerLeakPlace current[POOLER_MAX_LEAKS];
	PoolerLeakPlace ended[POOLER_MAX_ENDED_LEAKS];
	PoolerLeakCountPlace counts[POOLER_MAX_LEAK_COUNTS];
} PoolerLeakTable;

extern PGDLLIMPORT PoolerLeakTable *pooler_leaks;

/* Postmaster, once. */
extern void pooler_leak_init(void);

/* Any process: consistent copies.  False if the place is free. */
extern bool pooler_leak_read(PoolerLeakPlace *place, PoolerLeak *leak);
extern bool pooler_leak_read_count(PoolerLeakCountPlace *place,
								   PoolerLeakCount *count);

/* Any process: a copy of what a backend says, with changes being 0. */
extern void pooler_leak_read_holdings(PoolerHoldings *holdings,
									  PoolerHoldings *copy);

/* The worker: around whatever it writes to a place. */
extern void pooler_leak_begin_write(pg_atomic_uint32 *changes);
extern void pooler_leak_end_write(pg_atomic_uint32 *changes);

/* As in pooler.leak_action and in views: idle_in_transaction ... */
extern const char *pooler_leak_kind_name(PoolerLeakKind kind);
extern const char *pooler_leak_severity_name(PoolerLeakSeverity severity);
extern const char *pooler_leak_action_name(PoolerLeakAction action);
extern const char *pooler_leak_end_name(PoolerLeakEnd end);

/* Is the threshold of this kind a time (ms), or a number? */
static inline bool
pooler_leak_is_timed(PoolerLeakKind kind)
{
	return kind < POOLER_LEAK_CONNECTION_GROWTH || kind == POOLER_LEAK_POOL_HELD;
}

/* A threshold in words: "60 s", "1.5 s", "50". */
extern void pooler_leak_print_limit(PoolerLeakKind kind, uint32 limit,
									char *buf, size_t size);

/*
 * pooler.leak_action, packed: two bits for each kind.  False, and what is wrong
 * with it, if the value is none.
 */
typedef enum PoolerLeakActionError
{
	POOLER_LEAK_ACTION_OK,
	POOLER_LEAK_ACTION_SYNTAX,
	POOLER_LEAK_ACTION_KIND,	/* *kind is set for the last two */
	POOLER_LEAK_ACTION_DUPLICATE,
	POOLER_LEAK_ACTION_CANCEL	/* nothing runs that could be canceled */
} PoolerLeakActionError;

extern PoolerLeakActionError pooler_leak_parse_action(const char *value,
													  int *packed,
													  PoolerLeakKind *kind);

static inline PoolerLeakAction
pooler_leak_action_of(int packed, PoolerLeakKind kind)
{
	return (PoolerLeakAction) ((packed >> (2 * kind)) & 3);
}

#endif							/* POOLER_LEAK_H */
