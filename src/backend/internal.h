/*-------------------------------------------------------------------------
 *
 * internal.h
 *	  What the files that run inside a pool backend share.
 *
 * Runs in: pool backends.  Each section names the file that implements it.
 * Everything that is kept lives in TopMemoryContext or in static variables,
 * because an error longjmps to PostgresMain and resets the rest.
 *
 *-------------------------------------------------------------------------
 */
#ifndef POOLER_BACKEND_INTERNAL_H
#define POOLER_BACKEND_INTERNAL_H

#include "compat.h"

#include "lib/stringinfo.h"
#include "proto/build.h"
#include "shared/control.h"
#include "shared/queue.h"
#include "shared/shmem.h"

/* This process; set once, at birth. */
typedef struct PoolerMe
{
	int			slot;
	PoolerBackend *shared;		/* our slot in shared memory */
	PoolerPool *pool;			/* NULL until welcomed */
	uint32		number;			/* of this use of the slot */
	uint32		epoch;			/* of the worker that made us */
	int			control;		/* socket to the pooler */
	int			pooler_epoll;	/* the pooler's epoll, -1 until welcomed */
	int			client;			/* slot of the attached client, -1 */
	uint32		client_gen;
	uint32		client_serial;
	const PQcommMethods *core;	/* libpq's own methods */
} PoolerMe;

extern PoolerMe pooler_me;

/*---------------------------------------------------------------------------
 * socket.c: the descriptor that core reads and writes, and wait sets
 *---------------------------------------------------------------------------
 */

/* Where events of the idle wait set stand. */
typedef enum PoolerWaitPos
{
	POOLER_WAIT_LATCH,
	POOLER_WAIT_POSTMASTER,
	POOLER_WAIT_CONTROL,
	POOLER_WAIT_CLIENT
} PoolerWaitPos;

/*
 * Takes MyProcPort->sock over: from now on that number is ours to point at
 * one client after the other.  Builds FeBeWaitSet anew.
 */
extern void pooler_socket_take_over(void);

/* Builds the set for pooler_socket_wait(). */
extern void pooler_socket_prepare_wait(void);

/* Keeps a client's descriptor under its own number; takes fd over. */
extern void pooler_socket_keep(int client, uint32 gen, int fd);
extern bool pooler_socket_has(int client, uint32 gen);

/* Closes descriptors of clients that have gone. */
extern void pooler_socket_close_stale(void);

/* The number under which a client's descriptor is kept. */
static inline int
pooler_socket_of(int client)
{
	return pooler_shared->fd_base + client;
}

/* Points core at a client's socket, or another one, and away from it. */
extern void pooler_socket_attach_fd(int fd);
extern void pooler_socket_detach(void);

/*
 * Waits for the latch, the control socket or, if with_client, the attached
 * client.  The postmaster's death ends the process.  Returns which.
 */
extern PoolerWaitPos pooler_socket_wait(bool with_client, uint32 wait_event);

/* Lets the pooler watch for the client's next command. */
extern void pooler_socket_rearm(int client, uint32 gen);

/*---------------------------------------------------------------------------
 * birth.c: becoming a pool backend
 *---------------------------------------------------------------------------
 */

/* A client that core logs in is told the pooler's key, not this process's. */
extern int	pooler_put_key(void);

/*---------------------------------------------------------------------------
 * walsender.c: replication connections
 *---------------------------------------------------------------------------
 */

/* The messages of a process that is going to be a walsender. */
extern const PQcommMethods pooler_walsender_methods;

/* What came with the client's socket, which has to stay where it is. */
extern void pooler_walsender_begin(const char *facts, int len);

/*---------------------------------------------------------------------------
 * begin.c: what a new backend tells the pooler
 *---------------------------------------------------------------------------
 */

/* Has the pooler given this birth up?  Then the slot may be another's. */
extern bool pooler_birth_is_given_up(void);

/* Of a client that core has logged in: may it be in this database?  Else FATAL. */
extern void pooler_check_enabled(void);

/* Called at the first ReadyForQuery, before it is sent. */
extern void pooler_wait_begin(void);

/*---------------------------------------------------------------------------
 * wait.c: between two commands; more is in wait.h
 *---------------------------------------------------------------------------
 */

/*
 * Called when ReadyForQuery with status 'I' has been sent (or could not be:
 * lost).  Returns when MyProcPort->sock has the next command.
 */
extern void pooler_wait_next_command(bool lost);

/* In a PG_CATCH block: the error ends this process, and with it the client. */
pg_noreturn extern void pooler_wait_raise_as_fatal(MemoryContext cxt);

/*---------------------------------------------------------------------------
 * tally.c: what is counted and measured
 *---------------------------------------------------------------------------
 */

/* Sees from now on what ends this process. */
extern void pooler_tally_begin(void);

/* ReadyForQuery inside a transaction block; and the first answer after it. */
extern void pooler_tally_idle_begin(TimestampTz now);
extern void pooler_tally_idle_end(void);

/* A transaction has ended, or a wait for it, after so many microseconds. */
extern void pooler_tally_transaction(uint64 us);
extern void pooler_tally_wait(uint64 us);

/* This process is going to end because of this; and the end itself. */
extern void pooler_tally_leaving(PoolerBackendEnd why);
extern void pooler_tally_end(int code);

/*---------------------------------------------------------------------------
 * ending.c: what ends the attached client, or its command
 *---------------------------------------------------------------------------
 */

/* Once this process is a pool backend: the pooler may demand from now on. */
extern void pooler_ending_begin(void);

/* Ends the attached client, and this process, with the words of the reason. */
pg_noreturn extern void pooler_end_attached(PoolerEndReason reason);

/*
 * What is the command's that has just ended must not hit the next one.  A
 * store; called for each that completes, and before ReadyForQuery.
 */
extern void pooler_ending_command_over(void);

/*
 * Between two transactions, for a client that can't be taken away: carries out
 * what the pooler demands, if the client is still idle.  May not return.
 */
extern void pooler_ending_pinned(bool command_came);
extern void pooler_ending_pin_timeout(void);

/*---------------------------------------------------------------------------
 * attach.c: the client's identity and settings
 *---------------------------------------------------------------------------
 */

/* What came with a client's descriptor; see control.h. */
extern void pooler_attach_remember(int client, const char *payload, size_t len);

/*
 * Makes this backend look like the client's: address, name, settings.  Can
 * raise.
 */
extern void pooler_attach_session(int client);

/*
 * The row of pg_stat_ssl, from the facts of a connection: pairs of
 * POOLER_TLS_FACT_*, and others.  Without a version the client has no TLS.
 * They have to stay where they are.
 */
extern void pooler_attach_show_tls(const char *facts, int len);

/* Has a client's connection ever been shown here, with TLS or without? */
extern bool pooler_attach_has_shown(void);

/* One of those that were shown last; NULL if it is not among them. */
extern const char *pooler_attach_fact(const char *wanted);

/* In the postmaster: the extension sslinfo sees the TLS of pooled clients, too. */
extern void pooler_sslinfo_init(void);

/* The attached client, if any, calls itself by this name now. */
extern void pooler_attach_renamed(const char *application_name);

/* Nobody is attached: views must not show the last client. */
extern void pooler_attach_nobody(void);

/*
 * The client's startup settings, as pairs of strings, and their digest; 0 if
 * it has none.
 */
extern uint64 pooler_attach_startup_of(int client, const char **pairs, int *len);

/* What the client was told by ParameterStatus at login, as pairs of strings. */
extern void pooler_attach_told_at_login(int client, const char **pairs, int *len);

/*---------------------------------------------------------------------------
 * session.c: the session travels with the client
 *---------------------------------------------------------------------------
 */

/*
 * Saves what the attached client would miss on another backend, unless that
 * is saved already.  Everything stays in force here.  Can raise.
 */
extern void pooler_session_save(int client);

/*
 * The same for a client that core has just logged in here, for which event
 * triggers on login may have done something.  Can raise.
 */
extern void pooler_session_save_login(int client);

/* The client has gone: what it changed is worth nothing. */
extern void pooler_session_abandon(void);

/*
 * Makes the client's session be in force here, and nothing of anybody else's.
 * Can raise; then pooler_session_reset() has to be called.
 */
extern void pooler_session_restore(int client);

/* Whatever is in force here, the next restore takes nothing for granted. */
extern void pooler_session_reset(void);

/*---------------------------------------------------------------------------
 * session_settings.c, startup_settings.c: configuration variables
 *---------------------------------------------------------------------------
 */

/*
 * Does what the session has set differ from what was last saved or restored?
 * Some memory reads, no system call, no allocation.
 */
extern bool pooler_settings_changed(void);

/*
 * Appends what the session has set, and takes it as saved.  Returns a digest
 * of it that does not depend on the order in which it was set; 0 if there is
 * nothing.
 */
extern uint64 pooler_settings_save(StringInfo part);

/*
 * Makes exactly this be in force: startup settings (pairs of strings, as a
 * backend reported them) as values that RESET returns to, and what a session
 * has set (as saved).  Not in a transaction: makes one if it needs it.  Raises
 * what core raises; then, and after pooler_settings_forget(), nothing counts
 * as changed, and the next restore starts from scratch.
 */
extern void pooler_settings_restore(const char *startup, int startup_len,
									const char *part, int len);
extern void pooler_settings_forget(void);

/*
 * Before core looks at the startup settings: who is no superuser, and has not
 * been granted it, can't have this process sleep once he is logged in.
 */
extern void pooler_startup_restrict(void);

/*
 * In a backend that core has started with a client's settings: appends what
 * they have come to, as (name, value) pairs.
 */
extern void pooler_startup_report(StringInfo pairs);

/*---------------------------------------------------------------------------
 * temp_buffers.c: a setting that core fixes for the life of a process
 *---------------------------------------------------------------------------
 */

/* Once this process is a pool backend. */
extern void pooler_temp_buffers_begin(void);

/*
 * Before anything is set for another client: use of local buffers until now
 * is not held against it.  Four additions.
 */
extern void pooler_temp_buffers_next_client(void);

/*---------------------------------------------------------------------------
 * statements.c: named prepared statements
 *---------------------------------------------------------------------------
 */
extern void pooler_statements_init(void);

/* Once this process is a pool backend. */
extern void pooler_statements_begin(void);

/* ParseComplete passes by. */
extern void pooler_statements_see_parse(void);

/* How many names the attached client has. */
extern uint32 pooler_statements_count(void);

/* Have names been made or dropped since the last save or restore? */
extern bool pooler_statements_changed(void);

/*
 * Puts new statements into the registry, as soon as the transaction that made
 * them has ended.  False if they, or the unnamed one, can't be carried: then
 * the client can't leave.  They are usable here all the same.
 */
extern bool pooler_statements_intern(void);

/*
 * Appends the session's names.  Returns a digest.  Raises if a statement does
 * not fit into the registry, which pooler_statements_intern() has told before.
 */
extern uint64 pooler_statements_save(StringInfo part);

/* The part is stored, and with it references to what its names lead to. */
extern void pooler_statements_saved(void);

/*
 * Makes exactly these names visible.  Needs no transaction.  Raises only if
 * there is no memory; then pooler_statements_forget() has to be called.
 */
extern void pooler_statements_restore(const char *part, int len);

/* The names are those already visible, but another client's. */
extern void pooler_statements_renew(const char *part, int len);

/* Nothing is known of what is visible; the next restore puts it right. */
extern void pooler_statements_forget(void);

/*---------------------------------------------------------------------------
 * reported.c: ParameterStatus
 *---------------------------------------------------------------------------
 */

/*
 * Core reports a variable.  False if the client is not to be sent it, because
 * it knows that value, or because reports are muted.
 */
extern bool pooler_reported_see(const char *name, const char *value);

/* The same for a report that nobody can be sent. */
extern void pooler_reported_miss(const char *name, const char *value);

/* While on, what core reports is no news for a client but what we do to it. */
extern bool pooler_reported_mute;

/* Before ReadyForQuery: sends what the client has not been told of. */
extern void pooler_reported_catch_up(void);

/* Digest of what the client has been told, and all of it as pairs. */
extern uint64 pooler_reported_told(void);
extern void pooler_reported_save(StringInfo part);

/* From now on the client has been told this. */
extern void pooler_reported_restore(uint64 digest, const char *pairs, int len);

/*---------------------------------------------------------------------------
 * sequences.c: currval(), lastval()
 *---------------------------------------------------------------------------
 */

/* As those of settings.c.  Restoring must not be done inside a transaction. */
extern bool pooler_sequences_changed(void);
extern uint64 pooler_sequences_save(StringInfo part);
extern void pooler_sequences_restore(const char *part, int len);

/*
 * DISCARD is about to be run, or what has changed is not going to be saved:
 * the next restore starts from scratch.
 */
extern void pooler_sequences_forget(void);

/*---------------------------------------------------------------------------
 * plans.c, procedures.c: what functions have kept
 *---------------------------------------------------------------------------
 */

/* Their statements, and they themselves, depend on settings that are others. */
extern void pooler_plans_analyse_again(void);
extern void pooler_procedures_compile_again(void);

/*---------------------------------------------------------------------------
 * notify.c: NotificationResponse
 *---------------------------------------------------------------------------
 */
extern void pooler_notify_begin(void);

/* Sends one, with the sender's process ID as clients know it. */
extern int	pooler_notify_put(const char *s, size_t len);

/*---------------------------------------------------------------------------
 * pins.c: state that can't travel
 *---------------------------------------------------------------------------
 */
extern void pooler_pins_init(void);

/* A utility command of any depth is about to be run.  Raises what forbids it. */
struct Node;
extern void pooler_pins_see_utility(struct Node *stmt);

/*
 * Why the client can't leave this backend, now that its transaction has ended.
 * May start a transaction, and raise.
 */
extern PoolerPin pooler_pins_look(void);

/* Shows to others what keeps the client; for the view, and pin_limit. */
extern void pooler_pins_set(PoolerPin pin);

/*
 * At the end of a transaction, before ReadyForQuery: if this session would
 * have to be pinned and pooler.pin_limit does not allow it, its state is
 * cleared and the client is told so.  An error that this leads to is FATAL.
 */
extern void pooler_pins_limit(void);

/* Clears all such state, in a transaction of its own.  Can raise. */
extern void pooler_pins_clear(void);

/*---------------------------------------------------------------------------
 * holdings.c: what the attached client holds, for others to see
 *---------------------------------------------------------------------------
 */

/* A command has completed, with this tag (NULL: so far), before it is told. */
extern void pooler_holdings_see_complete(const char *tag);

/* ReadyForQuery inside a transaction block, which may have failed. */
extern void pooler_holdings_in_block(bool failed);

/* A transaction has ended. */
extern void pooler_holdings_at_end(void);

/*
 * In a transaction, whose locks and memory it uses: counts what is in the
 * temporary schema, and says whether there is anything.  And measures it, which
 * may raise.
 */
extern bool pooler_holdings_find_temp(void);
extern void pooler_holdings_measure_temp(void);

/* There is nothing any more. */
extern void pooler_holdings_forget_temp(void);

/* The client leaves this backend: nothing of it may be seen beside another. */
extern void pooler_holdings_forget(void);

/*---------------------------------------------------------------------------
 * unnamed.c: the unnamed statement
 *---------------------------------------------------------------------------
 */

/* The attached client has made one; this is its source. */
struct CachedPlanSource;
extern void pooler_unnamed_see_parse(struct CachedPlanSource *source);

/* A command of the attached client has ended. */
extern void pooler_unnamed_see_ready(void);

/*
 * Is there one although the client neither made nor carries it?  Then the
 * client has to be given back before it sends anything else.
 */
extern bool pooler_unnamed_is_foreign(void);

/*
 * May this client, whose socket is fd, ask for an unnamed statement while
 * there is none here that could be its, or the other way round?  Then
 * PostgresMain is given a command that makes or drops one: while that runs,
 * preparing is set and no message is sent to anybody.
 */
extern bool pooler_unnamed_must_prepare(int client, int fd);
extern void pooler_unnamed_prepare(void);
extern void pooler_unnamed_prepared(void);
extern bool pooler_unnamed_preparing;

/* Can it be carried? */
extern bool pooler_unnamed_fits(void);

/*
 * Has the client another one than the one with this digest, or one where it
 * had none (0)?
 */
extern bool pooler_unnamed_changed(uint64 saved);

/* Appends it.  Returns its digest; 0 and nothing if there is none. */
extern uint64 pooler_unnamed_save(StringInfo part);

/*
 * Makes this be the unnamed statement, if pooler_unnamed_must_prepare() has
 * found that the client may ask for it.  Raises if there is no memory.
 */
extern void pooler_unnamed_restore(uint64 digest, const char *part, int len);

/*---------------------------------------------------------------------------
 * system_user.c: SYSTEM_USER
 *---------------------------------------------------------------------------
 */

/* Shows that of a client, whose facts (see control.h) these are. */
extern void pooler_system_user_show(const char *facts, int len);

/* Raises FATAL if core has found out an identity that is too long for that. */
extern void pooler_system_user_check(void);

/* Adds what core knows of the one that it has logged in. */
extern void pooler_system_user_report(StringInfo facts);

#endif							/* POOLER_BACKEND_INTERNAL_H */
