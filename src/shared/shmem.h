/*-------------------------------------------------------------------------
 *
 * shmem.h
 *	  The shared-memory area of the pooler: its layout and how to reach it.
 *
 * Runs in: any process.  One fixed area, made at server start: a header, a
 * slot for each client, each pool backend and each pool.  What may be
 * written by whom is said at each field; the only spinlock is the one in each
 * pool, which guards its ready queue, and the only LWLock is for prepared
 * statements, which no hand-over takes.
 *
 *-------------------------------------------------------------------------
 */
#ifndef POOLER_SHMEM_H
#define POOLER_SHMEM_H

#include "compat.h"

#include "datatype/timestamp.h"
#include "lib/dshash.h"
#include "port/atomics.h"
#include "shared/address.h"
#include "shared/ending.h"
#include "shared/guc.h"
#include "shared/leak.h"
#include "shared/pin.h"
#include "shared/recent.h"
#include "shared/request.h"
#include "shared/set_request.h"
#include "shared/state.h"
#include "shared/stats.h"
#include "shared/tls.h"
#include "storage/lwlock.h"
#include "storage/s_lock.h"
#include "storage/spin.h"

#define POOLER_TOKEN_LEN	16	/* bytes of randomness in a birth token */
#define POOLER_APPNAME_LEN	NAMEDATALEN

/* What a client carries; see session.h. */
typedef enum PoolerSessionPart
{
	POOLER_PART_SETTINGS,		/* variables whose source is the session */
	POOLER_PART_REPORTED,		/* ParameterStatus as the client knows it */
	POOLER_PART_STATEMENTS,		/* names of prepared statements */
	POOLER_PART_UNNAMED,		/* the unnamed prepared statement */
	POOLER_PART_SEQUENCES,		/* currval, lastval, cached numbers */
	POOLER_NPARTS
} PoolerSessionPart;

/* idle_session_timeout: that of the pool, or of postgresql.conf, holds. */
#define POOLER_SERVERS_OWN		(-1)

/*
 * What a timeout asks of the backend that has the client, and of which state it
 * is true.  The backend compares: by the time that it learns of it, its client
 * may be in another one.  Written by the worker, reason last.
 */
typedef struct PoolerDemand
{
	pg_atomic_uint32 reason;	/* a PoolerEndReason; the backend sets it back
								 * to NONE if it was no longer true */
	uint32		command;		/* QUERY_TIMEOUT: PoolerBackend.command */
	int			ms;				/* and what it has exceeded */
	TimestampTz since;			/* others: state_since or idle_since */
} PoolerDemand;

/*
 * A client.  The worker owns the slot; fields without a remark are written by
 * the worker alone before the client leaves LOGIN, and do not change until
 * the slot is free again.
 */
typedef struct PoolerClient
{
	pg_atomic_uint64 word;		/* see state.h */

	/* in the pool's ready queue; under the pool's mutex */
	int32		next;			/* -1: none */
	int32		prev;
	TimestampTz queued_at;		/* when it was put there; 0 once a backend has
								 * it */

	/*
	 * Serial of the hand-over that a cancel request asked to end, plus one; 0
	 * if none.  Set by the worker, tested and cleared by the backend.
	 */
	pg_atomic_uint32 cancel_serial;

	int32		pool;			/* index of its pool, -1 before login */
	int32		walsender;		/* its process, while the word is REPLICATION */

	/* written by whoever owns the client, for the views only */
	TimestampTz state_since;

	TimestampTz connected_at;
	uint64		id;				/* never used twice while the server runs */
	PoolerAddress raddr;
	PoolerAddress laddr;
	char		host[NI_MAXHOST > 64 ? 64 : NI_MAXHOST];	/* numeric */
	char		port[8];
	char		application_name[POOLER_APPNAME_LEN];	/* later by the owner,
														 * when it changes */
	char		role[NAMEDATALEN];	/* of its pool */
	char		database[NAMEDATALEN];
	char		login_role[NAMEDATALEN];	/* that was authenticated */
	char		alias[NAMEDATALEN]; /* by which it called the database; empty
									 * if by its name */

	/* written by the owner; freed by the worker when the client leaves */
	uint64		session;		/* dsa_pointer, or 0 */
	uint64		digest[POOLER_NPARTS];

	/* written by the owner at the end of each transaction */
	uint64		transactions;

	/* worker, as of its last look; 0 if it is not TCP */
	uint64		bytes_received;
	uint64		bytes_sent;
	int32		last_backend;	/* slot of the backend it ran on last, -1 */

	/* TLS; worker, 0: none.  Version and cipher as in tls_names, plus one */
	uint8		tls_version;
	uint8		tls_cipher;

	/* its relay: bytes on the wire, as the kernel counts them without TLS */
	uint64		tls_received;
	uint64		tls_sent;

	/*
	 * The session's idle_session_timeout in ms; POOLER_SERVERS_OWN if it is
	 * not its own.  Written by the owner, as above.
	 */
	int32		idle_session_timeout;

	/*
	 * Named prepared statements, and by how many that is more than the fewest
	 * since there were fewer than before.  Written by the owner, at the end
	 * of transactions.
	 */
	uint32		statements;
	uint32		statements_grown;
} PoolerClient;

/*
 * A pool backend.  "backend": written by the process itself; "worker": by the
 * worker.  A slot is used again only after word is UNUSED.
 */
typedef struct PoolerBackend
{
	pg_atomic_uint64 word;		/* see state.h */

	/*
	 * Client that is being taken from the queue, as slot and generation; set
	 * under the pool's mutex by the backend (TAKING) or the worker (CLAIMED),
	 * cleared by the backend once word is BUSY.  Nothing of what it sent has
	 * been read: if the backend dies it goes back to the head of the queue.
	 */
	int32		taking;			/* -1: none */
	uint32		taking_gen;

	/* worker, before the birth */
	uint32		epoch;			/* of the worker that made it */
	int32		pool;
	uint32		drain_gen;		/* the pool's when it was born; changed later
								 * if this one has to go */
	uint8		token[POOLER_TOKEN_LEN];
	bool		delegated;		/* core logs in a client on it */
	bool		only_login;		/* which then goes to another pool, and is
								 * told by the pooler what it is told */
	bool		walsender;		/* which wants a walsender: the slot is free
								 * as soon as it is logged in */
	bool		superuser;		/* backend, once, as pid: was the role one
								 * when it was born? */
	int32		login_client;	/* that client, -1 */

	/* backend, once, before its first ReadyForQuery */
	int			pid;
	Oid			dbid;
	Oid			roleid;
	TimestampTz born_at;
	PoolerOverrides overrides;	/* what ALTER ROLE and ALTER DATABASE say */

	/* backend */
	TimestampTz state_since;
	pg_atomic_uint32 in_copy;	/* reads COPY data from its client */
	pg_atomic_uint32 pin;		/* a PoolerPin */
	TimestampTz pinned_since;	/* if so */
	pg_atomic_uint32 notifier;	/* for whom it notified last: the process id
								 * that the client was told; 0: nobody */
	pg_atomic_uint32 in_transaction;	/* awaits a command inside a
										 * transaction block */
	uint32		stats_gen;		/* backend: number of the reset after which
								 * its maxima and times were taken */
	TimestampTz idle_since;		/* if so */
	pg_atomic_uint32 command;	/* changes whenever a command ends */
	uint32		first_command;	/* of the transaction that began, or will
								 * begin, at state_since */
	int32		idle_session_timeout;	/* once, as pid: what it was born
										 * with; POOLER_SERVERS_OWN */

	/*
	 * Why the attached client is being ended, a PoolerEndReason.  Written by
	 * the worker while the word is CANCELLING, and by the backend.
	 */
	pg_atomic_uint32 end_reason;
	PoolerDemand demand;
	uint32		swept;			/* backend: clients_gone when it last closed
								 * descriptors of those */
	uint64		messages;		/* backend: rows sent, to see that it gets on */
	uint32		end_hint;		/* worker: a PoolerBackendEnd, if it is the
								 * one that wants it to end */
	uint32		ended;			/* backend, at its end: a PoolerBackendEnd */
	pg_atomic_uint32 login_sqlstate;	/* backend: what a delegated login
										 * failed with; 0: nothing */

	/* backend; the worker adds them to the pool's when the backend has gone */
	PoolerCounters counters;
	PoolerHistogram times[POOLER_NBACKEND_TIMES];
	PoolerCounters counted_before;	/* worker: at the last reset; readers
									 * subtract it */

	PoolerHoldings holdings;	/* backend; see leak.h */
} PoolerBackend;

/* flags of a pool; under its mutex */
#define POOLER_POOL_PAUSED		0x01	/* nothing is popped */
#define POOLER_POOL_HELD		0x02	/* likewise, while the worker speaks
										 * to one of those who wait */
#define POOLER_POOL_CLOSED		(POOLER_POOL_PAUSED | POOLER_POOL_HELD)

#define POOLER_NO_OWNER			(-1)
#define POOLER_OWNER_GONE		(-2)

/*
 * A pool: the backends of one (database, role), known by their OIDs, or of one
 * client.
 */
typedef struct PoolerPool
{
	slock_t		mutex;			/* protects the ready queue: */
	int32		head;			/* first client that waits, -1 */
	int32		tail;
	uint32		flags;			/* POOLER_POOL_* */
	/* written under mutex, readable without it as a hint */
	pg_atomic_uint32 nwaiting;

	/*
	 * Backends born under an older number go as soon as they are idle.
	 * Written by the worker.
	 */
	pg_atomic_uint32 drain_gen;

	/*
	 * So many backends have to go, whichever are the first to end their
	 * transaction.  Raised by the worker, lowered by each that goes.
	 */
	pg_atomic_uint32 surplus;

	/* worker */
	bool		in_use;
	Oid			dbid;
	Oid			roleid;
	char		database[NAMEDATALEN];
	char		role[NAMEDATALEN];
	int32		nclients;
	int32		nbackends;		/* births under way included */
	int32		nstarting;
	int32		size;			/* limit in force, without the reserve */
	int32		owner;			/* client slot for which alone it is there,
								 * because of its startup settings; else
								 * POOLER_NO_OWNER or POOLER_OWNER_GONE */
	PoolerOverrides overrides;	/* as the last backend that was born told */
	int32		idle_session_timeout;	/* likewise; ms, POOLER_SERVERS_OWN */
	TimestampTz created_at;
	int32		tally;			/* index into pooler_tallies; POOLER_OTHERS */
} PoolerPool;

static inline int
pooler_pool_count(const PoolerPool *pool, PoolerPoolSetting setting)
{
	return (int) pooler_pool_setting(&pool->overrides, setting);
}

static inline int
pooler_pool_ms(const PoolerPool *pool, PoolerPoolSetting setting)
{
	return pooler_ms(pooler_pool_setting(&pool->overrides, setting));
}

/* A database that idle pool backends have to leave; see evict.h. */
#define POOLER_MAX_EVICTIONS	32

/* Databases that are paused or disabled; see hold.h. */
#define POOLER_MAX_HOLDS		256

#define POOLER_MAX_DEBUG_POINTS 32

typedef struct PoolerEviction
{
	int			pid;			/* who asks; 0: slot is free */
	Oid			dbid;
} PoolerEviction;

typedef struct PoolerShared
{
	/*
	 * Number of the worker's life: odd while one runs, even in between.  A
	 * backend that finds another number than the one it was born under
	 * finishes its transaction and goes.
	 */
	pg_atomic_uint32 epoch;

	/* worker, at its start */
	pid_t		worker_pid;		/* 0: none */
	TimestampTz worker_started_at;
	int32		fd_base;		/* descriptor of client slot 0, everywhere */
	int32		port;			/* listened on; 0 if none */
	int32		max_clients;	/* limit in force: open files may not allow
								 * pooler.max_client_conn */
	bool		draining;		/* and later: it is shutting down */
	char		socket_dir[MAXPGPATH];	/* first unix socket directory */

	slock_t		evict_mutex;	/* protects the following: */
	PoolerEviction evictions[POOLER_MAX_EVICTIONS];
	pg_atomic_uint32 nevictions;	/* readable without it as a hint */
	Latch	   *worker_latch;	/* worker; NULL: none */

	/* worker; see hold.h */
	pg_atomic_uint64 holds[POOLER_MAX_HOLDS];	/* database and its flags */
	pg_atomic_uint32 nholds;	/* how many are in use */
	pg_atomic_uint32 hold_all;	/* flags for all databases */

	slock_t		request_mutex;	/* protects the following; see request.h */
	PoolerRequest requests[POOLER_MAX_REQUESTS];
	pg_atomic_uint32 nrequests; /* readable without it as a hint */

	/* counts ALTER ROLE and ALTER DATABASE ... SET; any backend */
	pg_atomic_uint32 defaults_gen;

	/* SET on the console; see set_request.h */
	PoolerSetRequest set_requests[POOLER_SET_REQUESTS];

	/* for tests only; see debug_point.h */
	pg_atomic_uint32 debug_armed;	/* a bit for each point */
	pg_atomic_uint32 debug_waiting[POOLER_MAX_DEBUG_POINTS];

	pg_atomic_uint32 clients_gone;	/* worker: how many it has closed */

	/* has any session set idle_session_timeout?  Whoever sees it first */
	pg_atomic_uint32 idle_sessions;

	/* dynamic memory; see area.h */
	int			area_tranche;	/* postmaster */
	pg_atomic_uint64 session_bytes; /* whoever stores a session */

	/*
	 * Random, so that nobody can make up a session with the digest of
	 * another.  Postmaster.
	 */
	uint64		digest_seed;

	/* prepared statements; see registry.h */
	dshash_table_handle statements_table;	/* postmaster */
	LWLock		statements_lock;	/* protects the list of unused ones: */
	dsa_pointer statements_oldest;
	dsa_pointer statements_newest;
	pg_atomic_uint64 statements_bytes;
	pg_atomic_uint64 statements_next_id;
	pg_atomic_uint32 statements;	/* how many there are */
	pg_atomic_uint32 statements_evicted;

	/* TLS; see tls.h.  The name is the worker's, "" if it does not listen */
	char		tls_name[POOLER_TLS_NAME_LEN];
	PoolerTlsRelay tls_relays[POOLER_MAX_TLS_WORKERS];
	int32		ntls;			/* how many of them there are; postmaster */

	/* worker: versions and ciphers that clients have had, never changed */
	char		tls_names[POOLER_TLS_NAMES][POOLER_TLS_NAME_LEN];

	/* sizes of the arrays, fixed at server start */
	int32		nclients;		/* slots: max_client_conn and some more, so
								 * that one too many can be told so */
	int32		nbackends;
	int32		npools;
	int32		ntallies;

	/* worker, counted over all its lives */
	PoolerWorkerCounters counters;
	TimestampTz stats_reset;	/* when they were reset last; 0: never */
	pg_atomic_uint32 stats_gen; /* how often */
	uint64		next_client_id;
	PoolerRecent recent[POOLER_NRECENT];	/* worker */
} PoolerShared;

extern PGDLLIMPORT PoolerShared *pooler_shared;
extern PGDLLIMPORT PoolerClient *pooler_clients;
extern PGDLLIMPORT PoolerBackend *pooler_backends;
extern PGDLLIMPORT PoolerPool *pooler_pools;
extern PGDLLIMPORT void *pooler_area_place;

/*
 * What was counted in pools.  A tally is far bigger than a pool, and there are
 * slots for as many pools as clients: so there are only some more tallies than
 * backends, and pools that come away empty-handed share the first one.  In it
 * is also what was counted in pools that are no more, and what can't be
 * attributed to a pool; the sum of all tallies is that of the whole pooler.
 */
#define POOLER_OTHERS	0
#define POOLER_EXTRA_TALLIES	64

extern PGDLLIMPORT PoolerTally *pooler_tallies;

/* The worker's counters for a pool. */
static inline PoolerCounters *
pooler_pool_counters(const PoolerPool *pool)
{
	return &pooler_tallies[pool->tally].counters;
}

/* Installs the hooks that reserve and set up the area; from _PG_init. */
extern void pooler_shmem_init(void);

/* Raises the error that says what to put into postgresql.conf. */
extern void pooler_require_shmem(void);

/* Has the pooler look at what it is asked for.  False if there is none. */
extern bool pooler_wake_worker(void);

/* Slots of clients beyond max_client_conn, to read who is one too many. */
#define POOLER_EXTRA_CLIENTS	64

/* So many of them may be used by clients of the console. */
#define POOLER_EXTRA_CONSOLES	16

/*
 * What the pooler's epoll reports for a client, whoever armed it: kind (see
 * WorkerEventKind), generation, slot.
 */
#define POOLER_EVENT_CLIENT		2

static inline uint64
pooler_client_event_data(int32 slot, uint32 gen)
{
	return ((uint64) POOLER_EVENT_CLIENT << 60) | ((uint64) gen << 32) |
		(uint32) slot;
}

/*
 * The process id that a client is told in its cancel key.  It lies above any
 * that the system gives (PID_MAX_LIMIT of Linux is 2^22), so that it can't
 * name a stranger.
 */
#define POOLER_FIRST_CLIENT_PID	0x40000000

static inline uint32
pooler_client_pid(int32 slot)
{
	return POOLER_FIRST_CLIENT_PID + (uint32) slot;
}

static inline uint32
pooler_client_gen(const PoolerClient *client)
{
	return pooler_client_word_gen(pg_atomic_read_u64((pg_atomic_uint64 *) &client->word));
}

#endif							/* POOLER_SHMEM_H */
