/*-------------------------------------------------------------------------
 *
 * leak.h
 *	  What the files that look for leaks share.
 *
 * Runs in: the pooler.  leak_find.c says what is one, leak_group.c which
 * connections belong together, leak_report.c what is known about one, and
 * leak_end.c ends it; leak.c keeps the table.
 *
 *-------------------------------------------------------------------------
 */
#ifndef POOLER_WORKER_LEAK_H
#define POOLER_WORKER_LEAK_H

#include "worker/internal.h"

/*---------------------------------------------------------------------------
 * leak_find.c
 *---------------------------------------------------------------------------
 */

typedef enum LeakSight
{
	LEAK_GONE,					/* no client, or not logged in */
	LEAK_BETWEEN,				/* changes hands; or its backend ends */
	LEAK_SEEN
} LeakSight;

/* A client, and who has it. */
typedef struct LeakClient
{
	int			client;
	uint32		gen;
	uint64		id;
	int			pool;			/* -1: of an earlier worker */
	bool		queued;
	int			backend;		/* -1: the pooler has it */
	uint64		word;			/* the backend's, and its state */
	PoolerBackendState state;
} LeakClient;

extern LeakSight pooler_leak_see(int slot, LeakClient *who);

/*
 * Does it exceed this threshold, and since when, or with how many?  known: it
 * is a leak already, which it may remain under easier conditions.
 */
extern bool pooler_leak_holds(const LeakClient *who, PoolerLeakKind kind,
							  uint32 limit, bool known, TimestampTz *since,
							  uint32 *amount);

/* Is it idle outside a transaction, and since when? */
extern bool pooler_leak_idle(const LeakClient *who, TimestampTz *since);

/*
 * Do clients wait while no backend of the pool has run a command for so long?
 * since: when the last one ended; holder: the client that has been idle there
 * longest.
 */
extern bool pooler_leak_pool_held(int pool, uint32 limit, TimestampTz *since,
								  LeakClient *holder);

/* The threshold of a pool; -1: the server's. */
extern uint32 pooler_leak_limit_of(int pool, PoolerLeakKind kind);
extern PoolerLeakAction pooler_leak_action_for(int pool, PoolerLeakKind kind);

/*---------------------------------------------------------------------------
 * leak_group.c
 *---------------------------------------------------------------------------
 */

/* Connections of one database, role, application and address. */
typedef struct LeakGroupKey
{
	Oid			dbid;
	Oid			roleid;
	char		application_name[POOLER_APPNAME_LEN];
	int			family;
	char		address[16];
} LeakGroupKey;

typedef struct LeakGroup
{
	LeakGroupKey key;
	int			members;
	TimestampTz newest;			/* when the last one was opened */
	TimestampTz closed;			/* when one was closed last; 0: never */

	/* as of the last look */
	int			unused;
	TimestampTz oldest;			/* when the first of them was opened */
	int			client;			/* that one */

	int			place;			/* of its leak, -1 */
	bool		counted;		/* it has one that did not fit */
} LeakGroup;

extern void pooler_leak_group_startup(void);

/* The group of a client that is seen; made if need be. */
extern LeakGroup *pooler_leak_group_of(const LeakClient *who);

/* Some drivers tell their name only once they are connected. */
extern LeakGroup *pooler_leak_group_again(LeakGroup *group, const LeakClient *who);

/* Before and after a look at all clients, and at each. */
extern void pooler_leak_group_begin_look(void);
extern void pooler_leak_group_look(LeakGroup *group, const LeakClient *who);
extern void pooler_leak_group_end_look(void (*found) (LeakGroup *group));

/* A client is about to be closed.  May free its group. */
extern void pooler_leak_group_left(int slot, LeakGroup *group);

/* Does it belong to the group's unused ones?  since: idle since then. */
extern bool pooler_leak_group_unused(const LeakGroup *group,
									 const LeakClient *who, TimestampTz *since);

/*---------------------------------------------------------------------------
 * leak_report.c
 *---------------------------------------------------------------------------
 */

/* Fills in what is known: queries, locks, what it holds, who waits. */
extern void pooler_leak_collect(PoolerLeak *leak);

/* What was fetched for that is old by now. */
extern void pooler_leak_forget_collected(void);
extern void pooler_leak_log(const PoolerLeak *leak);

/* One more was found; or one has ended. */
extern void pooler_leak_count(const PoolerLeak *leak);
extern void pooler_leak_count_end(const PoolerLeak *leak);

/*---------------------------------------------------------------------------
 * leak_end.c
 *---------------------------------------------------------------------------
 */

/* What was demanded last for a leak, so as not to demand it all the time. */
typedef struct LeakDemand
{
	PoolerEndReason reason;
	TimestampTz at;
} LeakDemand;

/*
 * Ends the client that the leak names, if it still is this leak.  Has to be
 * called again until it has gone; asks for a tick.  May free the client.
 */
extern void pooler_leak_terminate(const PoolerLeak *leak, LeakDemand *demand);
extern void pooler_leak_cancel(const PoolerLeak *leak, LeakDemand *demand);

/* Was the command canceled, as far as the backend says? */
extern bool pooler_leak_was_canceled(const PoolerLeak *leak,
									 const LeakDemand *demand);

/* The same for one of a group, that is idle since then.  False: it is not. */
extern bool pooler_leak_terminate_idle(const LeakClient *who, TimestampTz since,
									   uint32 limit);

/* For which leak a client is being closed, here or by its backend; or NONE. */
extern PoolerEndReason pooler_leak_closed_for(int slot);

/*---------------------------------------------------------------------------
 * leak.c
 *---------------------------------------------------------------------------
 */

/* What is remembered of a client. */
typedef struct LeakMark
{
	uint32		gen;			/* of the client that it is about */
	uint32		kept;			/* kinds that are in the table: a bit each */
	uint32		counted;		/* kinds that did not fit, and were counted */
	LeakGroup  *group;
	TimestampTz ending;			/* one of a group that is to be ended, if idle
								 * since then; 0: not */
} LeakMark;

/* That of the slot's client; forgets what was of another one. */
extern LeakMark *pooler_leak_mark(int slot, uint32 gen);

#endif							/* POOLER_WORKER_LEAK_H */
