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

#endif							/* POOLER_LEAK_H */
