/*-------------------------------------------------------------------------
 *
 * snapshot.h
 *	  Copies of slots whose parts belong together.
 *
 * Runs in: any process.  The pooler and its backends change slots without a
 * lock while others look at them.  A snapshot is a copy in which all that
 * describes one client, backend or pool is of that one, never of it and of
 * the next user of its slot.  What goes on changing, such as counters, may be
 * of slightly different moments.
 *
 * Nothing here takes a lock, waits for another process, or raises errors, so
 * that looking costs a transaction nothing.
 *
 *-------------------------------------------------------------------------
 */
#ifndef POOLER_SNAPSHOT_H
#define POOLER_SNAPSHOT_H

#include "shared/shmem.h"

/*
 * What a client does, as one who looks for the cause of a slow application
 * wants to know it.  Made from the words of the client and of its backend.
 */
typedef enum PoolerActivity
{
	POOLER_ACTIVITY_LOGIN,		/* not logged in yet */
	POOLER_ACTIVITY_IDLE,		/* owes the next command */
	POOLER_ACTIVITY_WAITING,	/* in the ready queue of its pool */
	POOLER_ACTIVITY_HANDOVER,	/* is being sent to a backend */
	POOLER_ACTIVITY_PINNED,		/* as idle, but keeps its backend */
	POOLER_ACTIVITY_ACTIVE,		/* has a backend that works for it */
	POOLER_ACTIVITY_LOST,		/* its backend has ended; the pooler is about
								 * to settle that */
	POOLER_ACTIVITY_CONSOLE,	/* an administrator on the console */
	POOLER_ACTIVITY_REPLICATION /* has a walsender */
} PoolerActivity;

#define POOLER_NACTIVITIES	(POOLER_ACTIVITY_REPLICATION + 1)

typedef struct PoolerClientSnapshot
{
	PoolerActivity activity;
	uint64		id;
	int32		pool;			/* -1: none yet, the console, or replication */
	Oid			dbid;			/* of the pool */
	Oid			roleid;
	int			backend_pid;	/* attached or about to be, or a walsender; 0:
								 * none */
	PoolerPin	pin;			/* why it keeps it */
	TimestampTz pinned_since;
	TimestampTz connected_at;
	TimestampTz state_since;	/* 0: not known */
	TimestampTz queued_at;		/* only while it waits */
	SockAddr	raddr;
	uint64		transactions;
	uint64		bytes_received;
	uint64		bytes_sent;
	const char *tls_version;	/* NULL: no TLS, or not logged in */
	const char *tls_cipher;

	/* empty until it has logged in: before, they are only claims */
	char		application_name[POOLER_APPNAME_LEN];
	char		role[NAMEDATALEN];
	char		database[NAMEDATALEN];
	char		login_role[NAMEDATALEN];
	char		alias[NAMEDATALEN];
} PoolerClientSnapshot;

static inline bool
pooler_snapshot_logged_in(const PoolerClientSnapshot *snap)
{
	return snap->pool >= 0 || snap->activity == POOLER_ACTIVITY_CONSOLE ||
		snap->activity == POOLER_ACTIVITY_REPLICATION;
}

typedef struct PoolerBackendSnapshot
{
	PoolerBackendState state;
	int32		pool;			/* -1: made for a login, in no pool */
	bool		delegated;		/* a client logs or logged in on it */
	bool		draining;		/* goes as soon as it is idle */
	bool		has_client;
	uint64		client_id;		/* if has_client */
	Oid			dbid;			/* of the pool until it says its own */
	Oid			roleid;
	int			pid;			/* 0: not known yet */
	TimestampTz born_at;
	TimestampTz state_since;
	bool		in_copy;
	PoolerPin	pin;
	TimestampTz pinned_since;
	PoolerCounters counters;	/* since it was born */
	PoolerCounters since_reset;
} PoolerBackendSnapshot;

typedef struct PoolerPoolSnapshot
{
	Oid			dbid;
	Oid			roleid;
	char		database[NAMEDATALEN];
	char		role[NAMEDATALEN];
	int32		size;
	bool		paused;
	bool		dedicated;		/* to one client */
	bool		counted;		/* it has a tally of its own */
	int			wait_timeout;	/* query_wait_timeout in ms; 0: none */
	TimestampTz created_at;
} PoolerPoolSnapshot;

/* Each returns false if the slot is not in use. */
extern bool pooler_snapshot_client(int32 slot, PoolerClientSnapshot *snap);
extern bool pooler_snapshot_backend(int32 slot, PoolerBackendSnapshot *snap);

/* What was counted in one pool, or (POOLER_OTHERS) in those without a tally. */
typedef struct PoolerTallySnapshot
{
	Oid			dbid;			/* InvalidOid: of the others */
	Oid			roleid;
	char		database[NAMEDATALEN];
	char		role[NAMEDATALEN];
	PoolerCounters counters;
} PoolerTallySnapshot;

/*
 * The sum of what was counted by the backends that there are and those that
 * there were; see add_up() for how exact it is.  times: as many as
 * POOLER_NTIMES, or NULL.  False if the tally is not in use.
 */
extern bool pooler_snapshot_tally(int32 index, PoolerTallySnapshot *snap,
								  PoolerHistogram *times);

/*
 * The sum of all tallies.  Nothing is missing or in it twice, unless things are
 * moved faster than they can be read.
 */
extern void pooler_snapshot_totals(PoolerCounters *counters,
								   PoolerHistogram *times);

/*
 * Changes whenever something is moved from one tally to another.  Who reads
 * several of them, and finds another number than before, may have missed
 * something or have it twice.
 */
extern uint64 pooler_snapshot_moves(void);

/*
 * counters, if not NULL, are those of the pool's tally, or 0 if it has none of
 * its own.
 */
extern bool pooler_snapshot_pool(int32 slot, PoolerPoolSnapshot *snap,
								 PoolerCounters *counters);

#endif							/* POOLER_SNAPSHOT_H */
