/*-------------------------------------------------------------------------
 *
 * internal.h
 *	  What the files of the pooler worker share with each other.
 *
 * Runs in: the pooler.  Everything here is private to one process with one
 * thread; what other processes see lies in shared memory (shared/shmem.h).
 * Each section names the file that implements it.
 *
 * Rules for all of them: nothing may block; an error that concerns one client
 * must end that client only; a function that can free a client says so.
 *
 *-------------------------------------------------------------------------
 */
#ifndef POOLER_WORKER_INTERNAL_H
#define POOLER_WORKER_INTERNAL_H

#include "compat.h"

#include <sys/epoll.h>

#include "auth/auth.h"
#include "auth/hba.h"
#include "lib/ilist.h"
#include "lib/stringinfo.h"
#include "proto/build.h"
#include "proto/frame.h"
#include "proto/password.h"
#include "proto/startup.h"
#include "shared/admin.h"
#include "shared/control.h"
#include "shared/guc.h"
#include "shared/queue.h"
#include "shared/shmem.h"
#include "utils/timestamp.h"

typedef struct WorkerLogin WorkerLogin; /* login.c */
typedef struct WorkerBirth WorkerBirth; /* birth.c */
typedef struct WorkerConsole WorkerConsole; /* console.c */
typedef struct WorkerReplication WorkerReplication; /* replication.c */

/* Cancel keys, in bytes: since protocol 3.2 (core: MAX_CANCEL_KEY_LENGTH), before. */
#define POOLER_LONG_KEY		32
#define POOLER_SHORT_KEY	4

/*---------------------------------------------------------------------------
 * main.c: the loop
 *---------------------------------------------------------------------------
 */

/* What an event of the worker's epoll is about. */
typedef enum WorkerEventKind
{
	WORKER_EVENT_LISTENER = 1,	/* index: which listener */
	WORKER_EVENT_CLIENT = POOLER_EVENT_CLIENT,	/* index: slot, with its
												 * generation */
	WORKER_EVENT_BACKEND,		/* index: slot, with the birth's number */
	WORKER_EVENT_PROBE,			/* index: slot of the request, with its number */
	WORKER_EVENT_WALSENDER,		/* index: the client's slot, with its
								 * generation */
	WORKER_EVENT_TLS			/* index: 0 for the listening socket, or relay
								 * plus one */
} WorkerEventKind;

static inline uint64
worker_event(WorkerEventKind kind, uint32 gen, uint32 index)
{
	return ((uint64) kind << 60) | ((uint64) (gen & 0xFFFFFFF) << 32) | index;
}

typedef struct WorkerState
{
	int			epoll_fd;
	uint32		epoch;			/* of this life */
	TimestampTz now;			/* at the start of this turn of the loop */
	const PoolerHbaRules *rules;	/* NULL: pg_hba.conf could not be loaded */
	uint32		reloads;		/* how often the settings were read again */
	bool		draining;		/* a smart shutdown is under way, or a
								 * SHUTDOWN that ends clients */
	bool		closed;			/* SHUTDOWN: the port is closed for good */
	PoolerShutdownMode shutdown_mode;	/* if so */
	uint32		defaults_gen;	/* PoolerShared.defaults_gen, as far as
								 * followed */
} WorkerState;

extern WorkerState pooler_worker;

/* Adds or changes a descriptor in the epoll; false (with errno) on failure. */
extern bool pooler_worker_watch(int op, int fd, uint32 events, uint64 data);

/* Asks the loop for a tick as soon as this many milliseconds have passed. */
extern void pooler_worker_tick_within(int ms);

/*
 * Follows ALTER ROLE and ALTER DATABASE ... SET.  Called by the loop, and by
 * whoever must not miss one that has just been committed.
 */
extern void pooler_worker_see_defaults(void);

/*---------------------------------------------------------------------------
 * listener.c: listening sockets
 *---------------------------------------------------------------------------
 */
extern void pooler_listener_start(void);	/* retries what failed, if called
											 * again */
extern void pooler_listener_event(uint32 index);
extern void pooler_listener_stop(void);

/* Accepts again, if it had stopped for want of slots. */
extern void pooler_listener_resume(void);

/*---------------------------------------------------------------------------
 * client.c: the table of clients
 *---------------------------------------------------------------------------
 */
typedef struct WorkerClient
{
	int			fd;				/* fd_base + slot while the slot is used */
	WorkerLogin *login;			/* while its word is LOGIN, or core carries
								 * the login out; else NULL */
	WorkerConsole *console;		/* while its word is CONSOLE; else NULL */
	WorkerReplication *replication; /* while its word is REPLICATION; else
									 * NULL */
	char	   *settings;		/* startup settings: pairs of strings, for
								 * backends; NULL if there are none */
	uint16		settings_len;
	uint16		payload_len;	/* with what it was told at login, behind an
								 * empty name */
	uint8		tls_relay;		/* that has its TCP socket, plus one; 0: the
								 * descriptor is the client's own */
	char	   *facts;			/* pairs of strings, for backends; NULL: none */
	uint16		facts_len;
	uint32		stray_left;		/* bytes to drop of a message that belongs to
								 * a COPY that is over */
	PoolerSkip *skip;			/* a cancelled command is being thrown away;
								 * else NULL */
	bool		own_backend;	/* has settings for a starting backend only */
	bool		long_key;		/* its protocol has cancel keys of any length */
	uint8		key_len;		/* of the key: 0 until there is one */
	uint8		key[POOLER_LONG_KEY];	/* that it was told, for cancel
										 * requests */
	bool		counted;		/* against max_client_conn */
	bool		internal;		/* no client, but one end of a probe */
	int			lowat;			/* SO_RCVLOWAT; 0: 1, as it is by default */
	uint8		half_looks;		/* how often half a message was seen */
	bool		hangup_armed;	/* QUEUED, and watched for EPOLLRDHUP */
	uint64		looked_at;		/* its transactions when its bytes were
								 * counted last */
	bool		ending;			/* an administrator wants it to go: ending.c */
	TimestampTz end_asked_at;	/* when its backend was signalled; 0: not yet */
	TimestampTz notified;		/* queued_at of the wait that it was told of */
	TimestampTz cancel_until;	/* a cancel request is in force for its
								 * hand-over; 0: none */
	dlist_node	node;			/* free, logging in, half-sent, or with a
								 * walsender */
} WorkerClient;

extern WorkerClient *pooler_worker_clients;

extern void pooler_client_startup(void);

/*
 * Takes a slot for an accepted socket, which is closed on failure.  Returns
 * the slot, or -1 if none is free.
 */
extern int	pooler_client_accept(int fd, const SockAddr *raddr);
extern bool pooler_client_slot_free(void);

/*
 * The same for one end of a socket pair whose other end is the pooler's own
 * (probe.c): a client that is authenticated as this role and goes on from
 * there, beyond max_client_conn and the limits on clients, and that is not
 * counted as a connection or a login.  It may be gone again on return.
 */
extern int	pooler_client_accept_internal(int fd, const char *database,
										  const char *role);

/* The backend that had this client since an earlier life has gone. */
extern void pooler_client_slot_recovered(int slot);

/*
 * Closes a client that the pooler owns (LOGIN, IDLE, CONSOLE) and frees its
 * slot.  If
 * error is not NULL it is sent first, as an ErrorResponse.
 */
extern void pooler_client_close(int slot, const PoolerErrorFields *error,
								const char *reason);

/* The same, and logged as FATAL: who was let in can't stay. */
extern void pooler_client_refuse(int slot, const PoolerErrorFields *error);

/* The same with a ready-made message. */
extern void pooler_client_close_raw(int slot, const void *message, size_t len,
									const char *reason);

/* What it had asked for when it connected may be secret. */
extern void pooler_client_forget_settings(int slot);

/*
 * What a backend has to know of the client besides its settings: pairs with
 * the names of shared/tls.h.  They come with its descriptor, so it must not
 * have been sent yet.  At most POOLER_MAX_FACTS bytes, the rest is dropped.
 */
extern void pooler_client_add_facts(int slot, const char *pairs, size_t len);

/*
 * Is the descriptor a Unix socket, the client's own or one end of a pair?  Then
 * the kernel keeps no counts and knows no SO_RCVLOWAT.
 */
extern bool pooler_client_is_unix_socket(int slot);

/* Watches a client for its next command, or only for leaving. */
extern void pooler_client_arm(int slot);
extern void pooler_client_watch_hangup(int slot);
extern void pooler_client_event(int slot, uint32 gen, uint32 events);

/* Half-sent messages on Unix sockets, hang-ups of waiting clients. */
extern void pooler_client_tick(void);

/* Moves a client to another state that the pooler decides on. */
extern void pooler_client_set_state(int slot, PoolerClientState state,
									uint32 backend);
extern PoolerClientState pooler_client_state(int slot);

/* Log lines and error reports inside these show the client, not the worker. */
extern void pooler_client_log_begin(int slot);
extern void pooler_client_log_end(void);

/* At the worker's end: tells every client that it owns and shuts them. */
extern void pooler_client_shutdown_all(void);

/* While the server shuts down: closes the clients that have nothing to do. */
extern void pooler_client_close_idle(void);

/*---------------------------------------------------------------------------
 * login.c: from accept to the first command
 *---------------------------------------------------------------------------
 */
extern void pooler_login_begin(int slot);
extern void pooler_login_begin_internal(int slot);
extern void pooler_login_event(int slot, uint32 events);
extern void pooler_login_free(int slot);
extern void pooler_login_tick(void);

/* Is it amid TLS, so that nothing can be said to it in plain text? */
extern bool pooler_login_is_speechless(int slot);

/* A backend has reported its parameters, or could not be had. */
extern void pooler_login_parameters_known(WorkerBirth *birth);
extern void pooler_login_parameters_failed(WorkerBirth *birth,
										   const void *message, size_t len);

/* A client's socket goes to the backend that core logs it in on. */
extern void pooler_login_handed_over(int slot, int backend);

/*
 * Core has logged the client in, with these startup settings; it belongs to
 * that backend for now, which knows whether the role is a superuser.
 */
extern void pooler_login_delegated_done(int slot, Oid dbid, Oid roleid,
										bool superuser,
										const char *settings, size_t len);

/*
 * What core has to know of the TLS connection of a client that it is to log in:
 * pairs of strings, none if there is no TLS.
 */
extern void pooler_login_facts(int slot, StringInfo pairs);

/*
 * Core has failed a client, with this ErrorResponse, which the client has not
 * been sent.  It may be gone after.
 */
extern void pooler_login_core_refused(int slot, const void *message,
									  size_t len);

/*
 * Client slots are short: ends a login, if there are more of those than
 * pooler.max_unauthenticated.  For the sake of a newcomer (or -1, if it has
 * not even a slot yet) one that counts against max_client_conn.  False if there
 * is none to be ended.
 */
extern bool pooler_guard_make_room(int newcomer);

/* Does it want a walsender, and of which kind? */
extern PoolerReplication pooler_login_replication(int slot);

/* It has one. */
extern void pooler_login_replication_done(int slot);

/* Is core to authenticate it only, since it works as another role? */
extern bool pooler_login_wants_other_role(int slot);

/* Core has done so; the client is the pooler's again.  It may be gone after. */
extern void pooler_login_delegated_go_on(int slot);

/* A client that counted against max_client_conn has gone. */
extern void pooler_login_uncount(void);

/*---------------------------------------------------------------------------
 * pool.c: pools, their sizes, and who has to go
 *---------------------------------------------------------------------------
 */
typedef struct WorkerPool
{
	dlist_head	backends;		/* WorkerBackend.pool_node */
	TimestampTz retry_at;		/* no births before; 0: none failed */
	int			asked;			/* backends asked to go by PoolerPool.surplus,
								 * that have not gone yet */
	TimestampTz asked_at;		/* the last of them */
	TimestampTz resumed_at;		/* after the last PAUSE; who has waited for
								 * longer was not let down before */
	bool		prefork;		/* named in pooler.prefork */
	bool		told;			/* a backend has told PoolerPool.overrides */
	bool		learnt;			/* and they are complete */
	bool		superuser;		/* is its role one, as last looked up? */
	TimestampTz unused_since;	/* without clients and backends; 0: it is not */
	int			internal;		/* of its clients: see WorkerClient */
} WorkerPool;

extern WorkerPool *pooler_worker_pools;

extern void pooler_pool_startup(void);

/*
 * owner: a client's slot, or POOLER_NO_OWNER for the pool that all share.
 * superuser: is the role one?  For a pool that there is not yet.
 */
extern int	pooler_pool_find(Oid dbid, Oid roleid, const char *database,
							 const char *role, bool superuser, int owner);

/*
 * Is the role a superuser, as the catalogs say now?  A backend knows only from
 * its start (is_superuser; and before 17 who may SET SESSION AUTHORIZATION:
 * AuthenticatedUserIsSuperuser in miscinit.c), so those that are wrong are
 * replaced.
 */
extern void pooler_pool_see_role(Oid roleid, bool superuser);

/*
 * Looks role and database of the pool up, unless somebody has locked the
 * catalogs.  True if one of them has another name.
 */
extern bool pooler_pool_refresh(int pool);
extern void pooler_pool_client_left(int pool);

/*
 * A backend that was born for this pool, when defaults_gen was this, has told
 * what the pool has of its own.
 */
extern void pooler_pool_learn(int pool, int backend, uint32 defaults_gen);

/* Is that known, since the last ALTER ROLE or ALTER DATABASE? */
extern bool pooler_pool_known(int pool);

/* Starts backends for those who wait, or makes room for them elsewhere. */
extern void pooler_pool_grow(int pool);

/*
 * One more backend, if the pool may have it and none is being started.  True
 * if that is so now.
 */
extern bool pooler_pool_add(int pool);

/* A backend has gone, of this pool or (-1) of none. */
extern void pooler_pool_backend_left(int pool);

/*
 * Is there room for one more backend?  Used for backends that were made for a
 * login.
 */
extern bool pooler_pool_has_room(int pool);
extern void pooler_pool_tick(void);

/* A birth for this pool failed; the message is the server's ErrorResponse. */
extern void pooler_pool_birth_failed(int pool, const void *message,
									 size_t len);

/*
 * Catalogs changed: checks names, drains pools whose role or database has
 * another name now.  False if the catalogs were locked: try again.
 */
extern bool pooler_pool_recheck(void);

/* Sends idle backends away from databases that somebody wants for himself. */
extern void pooler_pool_evict(void);

/*
 * ALTER ROLE or ALTER DATABASE ... SET: has all backends replaced as soon as
 * they are idle, and asks anew what pools have of their own.
 */
extern void pooler_pool_replace_all(void);

/* Has the backends of a pool replaced as soon as they are idle. */
extern void pooler_pool_drain(int pool);

/* Sends all backends away as soon as nobody waits for them. */
extern void pooler_pool_drain_all(void);

/* Slots below this have been used. */
extern int	pooler_pool_used(void);

/*
 * Backends of the pool that have not been told to go.  One that is born to
 * answer a login's question stays only if there is room: it must not push out
 * another.
 */
extern int	pooler_pool_staying(int pool);

/* Does it wait for a backend that nothing but lack of room denies it? */
extern bool pooler_pool_wants(int pool);

/* Its backend that has been idle longest and since when, or -1. */
extern int	pooler_pool_longest_idle(int pool, TimestampTz *since);

/* Ends a backend if it is idle. */
extern void pooler_pool_retire(int backend, PoolerBackendEnd why);

/* Whichever backend of the pool ends its transaction first goes. */
extern void pooler_pool_ask_one_to_go(int pool);

/*---------------------------------------------------------------------------
 * limits.c: limits that pools share
 *---------------------------------------------------------------------------
 */

/*
 * May this pool have one backend more, as far as its database, its role and
 * all pools together are concerned?  If not, and it is needed, another pool
 * has to give one up.
 */
extern bool pooler_limits_room(int pool, bool needed);

/* Are these limits kept, with a backend that is counted already? */
extern bool pooler_limits_kept(int pool);

/* Sends backends away that are too many since a limit was lowered. */
extern void pooler_limits_shed(int pool);

/*
 * Are the clients of the pool's database or role too many, with so many more?
 * Then the error says which; its strings are in the current context.
 */
extern bool pooler_limits_refuse_client(int pool, int more,
										PoolerErrorFields *error);

/* The same for a client with a walsender, which is in no pool. */
extern bool pooler_limits_refuse_walsender(const PoolerWalsender *walsender,
										   const char *database, const char *role,
										   PoolerErrorFields *error);

/*---------------------------------------------------------------------------
 * birth.c: how a backend is made
 *---------------------------------------------------------------------------
 */
typedef enum WorkerBirthKind
{
	WORKER_BIRTH_POOL,			/* for a pool; its parameters are remembered */
	WORKER_BIRTH_PROBE,			/* to learn what a client's startup settings
								 * lead to, or whether it may connect */
	WORKER_BIRTH_DELEGATED		/* core logs in a client on it */
} WorkerBirthKind;

struct WorkerBirth
{
	WorkerBirthKind kind;
	int			backend;		/* slot */
	int			pool;			/* -1 if not known yet (delegated) */
	int			client;			/* delegated: whose login */
	uint32		client_gen;
	char	   *key;			/* its parameters are remembered by; or NULL */
	size_t		key_len;
	bool		has_settings;	/* it was given startup settings: it can't
								 * serve anybody else */
	bool		client_sent;	/* delegated: socket handed over */
	bool		refused;		/* delegated: core has failed the client,
								 * which is the pooler's again */
	uint32		defaults_gen;	/* when it began */
	bool		unsure;			/* then it was not known whether the pool may
								 * have it */
	StringInfoData in;			/* what it has sent so far */
	StringInfoData parameters;	/* its ParameterStatus messages */
	MemoryContext cxt;
	TimestampTz deadline;
};

/*
 * Starts one.  settings are startup settings (pairs, as in WorkerClient) or
 * NULL.  Returns the backend's slot, -1 if none is free or the server can't be
 * reached now, or POOLER_BIRTH_TOO_LONG.
 */
extern int	pooler_birth_start(WorkerBirthKind kind, int pool,
							   const char *database, const char *role,
							   const char *settings, size_t settings_len,
							   const char *key, size_t key_len, int client);

/* The client's settings leave no room for what the pooler has to add. */
#define POOLER_BIRTH_TOO_LONG	(-2)

/* Will a birth under way report the parameters known by this key? */
extern bool pooler_birth_awaited(const char *key, size_t key_len);
extern void pooler_birth_event(int backend);

/* Its connection has ended before it was ready. */
extern void pooler_birth_ended(int backend);
extern void pooler_birth_free(int backend);
extern void pooler_birth_tick(void);

/*---------------------------------------------------------------------------
 * backend.c: the table of backends, and their control sockets
 *---------------------------------------------------------------------------
 */
typedef struct WorkerBackend
{
	int			sock;			/* control socket, -1 if unused */
	uint32		number;			/* of this use of the slot */
	WorkerBirth *birth;			/* until it is ready */
	uint32	   *sent;			/* per client slot: generation + 1 of the
								 * descriptor that it was sent */
	bool		born;			/* it was ready, and counts as one of births */
	bool		exiting;		/* was told to exit */
	TimestampTz exit_asked_at;
	dlist_node	pool_node;		/* in WorkerPool.backends */
} WorkerBackend;

extern WorkerBackend *pooler_worker_backends;

extern void pooler_backend_startup(void);
extern void pooler_backend_event(int backend, uint32 number, uint32 events);

/* The control socket is closed: settles what the backend left behind. */
extern void pooler_backend_gone(int backend);

/* Claims it if it is idle; false if somebody was faster. */
extern bool pooler_backend_claim(int backend);
extern bool pooler_backend_idle(int backend, TimestampTz *since);

/* Messages to a claimed backend. */
extern void pooler_backend_give(int backend, int client);
extern void pooler_backend_release(int backend);
extern void pooler_backend_detach(int backend); /* gives its client back */
extern void pooler_backend_exit(int backend, PoolerBackendEnd why);

/*
 * It is a walsender by now, and no pool backend any more: its slot is free, and
 * the control socket is the caller's.
 */
extern int	pooler_backend_let_go(int backend);

/* Puts a newly born backend to work in its pool. */
extern void pooler_backend_welcome(int backend);

/* Slots of backends that outlived an earlier worker. */
extern void pooler_backend_tick(void);

/*
 * Signals a backend that is BUSY with this client.  False if it is not, or no
 * longer.  With SIGTERM, the reason says in which words the client is told;
 * else it is POOLER_END_NONE.
 */
extern bool pooler_backend_signal(int backend, int client, uint32 gen, int sig,
								  PoolerEndReason reason);

/*
 * The same for what is true only of the command (QUERY_TIMEOUT), or the
 * transaction (since: PoolerBackend.state_since), or the idleness in it
 * (idle_since) that was seen: the backend compares before it acts; see
 * PoolerDemand.  It may come to nothing.
 */
extern bool pooler_backend_demand(int backend, int client, uint32 gen,
								  PoolerEndReason reason, uint32 command,
								  TimestampTz since, int ms);

/*
 * Has the client of a PINNED backend ended, if it is still idle by then.  word
 * is the backend's as it was seen, and says whose client is meant.
 */
extern void pooler_backend_demand_pinned(int backend, uint64 word,
										 PoolerEndReason reason);

/* The same, if it is idle since then; limit is what it has exceeded. */
extern void pooler_backend_demand_idle(int backend, uint64 word,
									   PoolerEndReason reason,
									   TimestampTz since, int limit);

/*---------------------------------------------------------------------------
 * ending.c: ending clients
 *---------------------------------------------------------------------------
 */

/*
 * Closes a client that the pooler owns, with the reason's words; a detail that
 * is not in them, or NULL.
 */
extern void pooler_client_close_for(int slot, PoolerEndReason reason);
extern void pooler_client_close_with(int slot, PoolerEndReason reason,
									 const char *detail);

/*
 * Ends a client, wherever it is, with the reason's words.  True if it is
 * closed, or a backend that works for it has been signalled (which ends with
 * it).  False if it can't be had just now: it is between two owners, or a
 * backend on which it is idle was asked for it.  Then, as long as the reason
 * holds, call this again soon (pooler_worker_tick_within()).
 */
extern bool pooler_client_end(int slot, PoolerEndReason reason);

/*
 * An administrator wants it to go: as soon as that is possible, at the next
 * tick if it does nothing.
 */
extern void pooler_end_client(int slot);
extern bool pooler_end_pending(int slot);

/* It has gone. */
extern void pooler_end_forget(int slot);
extern void pooler_end_tick(void);

/*---------------------------------------------------------------------------
 * dispatch.c: who runs next, and where
 *---------------------------------------------------------------------------
 */

/* An IDLE client has sent a command. */
extern void pooler_dispatch_ready(int client);

/* Idle backends of the pool take from its queue until one of them is empty. */
extern void pooler_dispatch_feed(int pool);

/*---------------------------------------------------------------------------
 * cancel.c: cancel requests
 *---------------------------------------------------------------------------
 */
extern void pooler_cancel(uint32 pid, const uint8_t *key, size_t key_len);

/*
 * Gives a client that logs in its key, of the length that its protocol has.
 * False if there is no randomness to be had.
 */
extern bool pooler_cancel_make_key(int slot);

/* A backend gave the client back unread because it was asked to cancel. */
extern void pooler_cancel_unread(int client);

/* Goes on throwing away the cancelled command of such a client. */
extern void pooler_cancel_continue(int client);

/* The client has gone. */
extern void pooler_cancel_forget(int client);

/* Requests that have waited too long for their client to be attached. */
extern void pooler_cancel_tick(void);

/*---------------------------------------------------------------------------
 * console.c: clients on the admin console
 *---------------------------------------------------------------------------
 */

/* A client has logged in to the console. */
extern void pooler_console_begin(int slot, Oid roleid, bool admin);
extern void pooler_console_event(int slot, uint32 events);

/* A cancel request: ends a command that waits. */
extern void pooler_console_cancel(int slot);
extern void pooler_console_free(int slot);

/* Is no message sent in part?  True also if it is not on the console. */
extern bool pooler_console_at_border(int slot);

/* Looks after commands that wait. */
extern void pooler_console_tick(void);

/*---------------------------------------------------------------------------
 * replication.c: clients with a walsender
 *---------------------------------------------------------------------------
 */

/*
 * Core has logged a client in that wants a walsender.  Lets it go on, or refuses
 * it: then the client is gone.
 */
extern void pooler_replication_begin(int backend, const PoolerWalsender *walsender);

/* Something has happened to its control socket: it has ended. */
extern void pooler_replication_event(int slot, uint32 gen);

/* SIGTERM ends it, SIGINT cancels its command; nothing if it has ended. */
extern void pooler_replication_signal(int slot, int sig);

/* Is it a session in this database, or (InvalidOid) a client with a walsender? */
extern bool pooler_replication_in(int slot, Oid dbid);

/* How many there are in a database, of a role, or (InvalidOid) of all. */
extern int	pooler_replication_count(Oid dbid, Oid roleid);

/* The client is being closed. */
extern void pooler_replication_free(int slot);

/*---------------------------------------------------------------------------
 * averages.c: what was counted some time ago
 *---------------------------------------------------------------------------
 */
extern void pooler_averages_tick(void);

/*---------------------------------------------------------------------------
 * timeout.c: clients that wait or are idle for too long
 *---------------------------------------------------------------------------
 */
extern void pooler_timeout_tick(void);

/*
 * An IDLE client: is its next command there already, and only its event has
 * not been seen yet?
 */
extern bool pooler_client_has_sent_command(int slot);

/* A pool has got a client, or has learnt of settings of its own. */
extern void pooler_timeout_begin(int pool);

/*
 * Have so many milliseconds passed?  If not, there will be a tick when they
 * have.
 */
extern bool pooler_timeout_passed(TimestampTz since, int ms);

/*---------------------------------------------------------------------------
 * overrun.c: commands and transactions that take too long
 *---------------------------------------------------------------------------
 */
extern void pooler_overrun_startup(void);
extern void pooler_overrun_check(int pool);

/*
 * Is a command under way, and not one that waits for more of the client's
 * messages?  COPY data counts, as it does for statement_timeout.
 */
extern bool pooler_backend_runs_command(PoolerBackend *b);

/*---------------------------------------------------------------------------
 * leak.c: what clients hold and should have given back
 *---------------------------------------------------------------------------
 */
extern void pooler_leak_startup(void);
extern void pooler_leak_tick(void);

/* A client is about to be closed; its word and its backend's still say whose. */
extern void pooler_leak_client_left(int slot);

/* end_leaks(): asks for the end of one; false: there is none of that number. */
extern bool pooler_leak_ask(uint64 id);

/* Is it over? */
extern bool pooler_leak_asked_is_over(uint64 id);

/* RESET_STATS */
extern void pooler_leak_reset(void);

/*---------------------------------------------------------------------------
 * stall.c: clients that keep a backend from others
 *---------------------------------------------------------------------------
 */
extern void pooler_stall_startup(void);

/* Of a pool whose clients wait. */
extern void pooler_stall_check(int pool);

/* Pinned clients. */
extern void pooler_stall_check_pins(void);

/*---------------------------------------------------------------------------
 * quit.c: immediate shutdown, or the crash of another process
 *---------------------------------------------------------------------------
 */

/* From now on clients are told; needs the table of clients. */
extern void pooler_quit_startup(void);

/*---------------------------------------------------------------------------
 * probe.c: transactions of the pooler itself
 *---------------------------------------------------------------------------
 */

/*
 * Begins a probe for a request, and answers it when it is over, which may be
 * before this returns.
 */
extern void pooler_probe_begin(int request, const PoolerAdminCommand *command);

/* Nobody waits for the answer any more. */
extern void pooler_probe_abandon(int request);
extern void pooler_probe_event(int request, uint32 number);

/* Has to come before pooler_timeout_tick(): see there. */
extern void pooler_probe_tick(void);

/*---------------------------------------------------------------------------
 * report.c: what is logged, and how
 *---------------------------------------------------------------------------
 */
extern void pooler_report_startup(void);

/*
 * Core raises at the same places with FATAL what the worker raises with ERROR,
 * because it ends a client and not the process: while this is on, the log
 * shows FATAL.
 */
extern void pooler_log_error_as_fatal(bool on);

/* Logs an error that was caught, as FATAL; edata is a copy of it. */
extern void pooler_report_error(const ErrorData *edata);

/*
 * After a reload: the server's log_connections and log_disconnections, which
 * core changes in processes that start later only.
 */
extern void pooler_report_reload(void);

/* pooler.log_stats: by the clock. */
extern void pooler_report_tick(void);

#endif							/* POOLER_WORKER_INTERNAL_H */
