/*-------------------------------------------------------------------------
 *
 * login_internal.h
 *	  What the files of the login share with each other.
 *
 * Runs in: the pooler.  login.c drives a login from step to step and owns the
 * steps after the startup packet, login_startup.c reads that packet,
 * login_alias.c says what settings make of it, login_io.c reads, writes and
 * refuses.
 *
 *-------------------------------------------------------------------------
 */
#ifndef POOLER_WORKER_LOGIN_INTERNAL_H
#define POOLER_WORKER_LOGIN_INTERNAL_H

#include "worker/internal.h"
#include "worker/tls.h"

typedef enum LoginStep
{
	LOGIN_STARTUP,				/* reads packets up to the parameters */
	LOGIN_TLS_OFFER,			/* wants TLS; is there a relay? */
	LOGIN_TLS_SEND,				/* was told so; its socket goes there */
	LOGIN_TLS_HANDSHAKE,		/* the relay has it */
	LOGIN_CHECK_RULES,			/* looks for the rule of pg_hba.conf */
	LOGIN_PASSWORD,				/* waits for a 'p' message */
	LOGIN_AUTHORIZE,			/* is who he says; may he connect? */
	LOGIN_FORCE_ROLE,			/* may he work as the role of his alias? */
	LOGIN_PARAMETERS,			/* waits for a backend to report parameters */
	LOGIN_DELEGATE,				/* waits for a backend to be authenticated by */
	LOGIN_CORE,					/* core has the socket */
	LOGIN_WELCOME,				/* the last messages are on their way */
	LOGIN_DELAYED				/* has failed, but is not told yet */
} LoginStep;

struct WorkerLogin
{
	LoginStep	step;
	MemoryContext cxt;			/* everything of this login */
	TimestampTz deadline;		/* 0: none */
	Port		port;			/* for core's functions and the log prefix */

	StringInfoData in;			/* the packet or message being read */
	StringInfoData out;			/* not sent yet: from out.cursor on */
	bool		ssl_done;		/* SSLRequest was answered */
	bool		gss_done;
	bool		direct_tls;		/* began TLS without SSLRequest */
	PoolerTlsFacts *tls;		/* NULL: not by TLS, or not done yet; see
								 * tls.h */

	PoolerStartup startup;		/* points into packet */
	char	   *packet;
	uint32		packet_len;
	PoolerAuth *auth;
	bool		told_ok;		/* AuthenticationOk was sent */
	char	   *forced_role;	/* that an alias wants; NULL: none, or
								 * identity is of that role by now */
	PoolerIdentity identity;
	char	   *key;			/* of its parameters, see parameters.c */
	size_t		key_len;
	bool		counted;		/* as failed, or as no login at all */

	bool		unproven;		/* the client has not proved yet who it is:
								 * login_guard.c counts it */
	char	   *answer;			/* DELAYED: the ErrorResponse */
	size_t		answer_len;
	TimestampTz answer_at;

	bool		console;		/* to the console, not to a database */
	bool		admin;			/* there: may do everything */
};

static inline WorkerLogin *
login_of(int slot)
{
	return pooler_worker_clients[slot].login;
}

/*
 * login.c
 */

/* Clients in LOGIN, oldest first, linked by WorkerClient.node. */
extern dlist_head pooler_logins;

/*
 * Counts the client against max_client_conn.  False if it is one too many, or
 * the server shuts down: then the client is gone.
 */
extern bool pooler_login_admit(int slot);

/* Goes on after something else than the client was waited for. */
extern void pooler_login_go_on(int slot);

/*
 * login_tls.c: the steps, which set the next one; the client may be gone
 * afterwards.
 */
extern void pooler_login_begin_tls(int slot, bool direct);
extern void pooler_login_step_tls_offer(int slot);
extern void pooler_login_step_tls_send(int slot);
extern void pooler_login_tls_hangup(int slot);

/*
 * login_settings.c
 */

/* This comes with the client's descriptor from now on; see control.h. */
extern void pooler_login_keep_payload(int slot, const char *payload, int len);

/*
 * The same, put together: what a backend has made of the settings that the
 * client wrote, its own application_name (or NULL), and what it was told.
 */
extern void pooler_login_keep_settings(int slot, const char *pairs, size_t len,
									   const char *application_name,
									   const StringInfoData *told);

/* The client is authenticated: what backends show as SYSTEM_USER. */
extern void pooler_login_keep_identity(int slot);

/*
 * login_console.c
 */

/*
 * May this name mean the console?  Then the client may come in although there
 * are too many: somebody has to be able to look.
 */
extern bool pooler_login_console_name(const char *database);

/*
 * Finds out whether it does (the database "pooler" may be a real one).  Inside
 * a transaction, with the catalogs locked.
 */
extern bool pooler_login_is_console(const char *database);

/* Raises an error: the console can't be reached by a delegated login. */
extern void pooler_login_refuse_delegation(void);

/*
 * Who is it, and may he?  Raises an error if not; else sets the identity, and
 * what he is told is in 'out'.
 */
extern void pooler_login_authorize_console(int slot);

/*
 * login_startup.c
 */

/*
 * One look at the startup packet; sets the next step when it is complete.  The
 * client may be gone afterwards.
 */
extern void pooler_login_step_startup(int slot);

/*
 * login_alias.c
 */

/*
 * If the database that the client names is an alias, and none has that name,
 * puts the real one in its place, and notes the role.  Inside a transaction,
 * after pooler_catalog_try_lock(), once for each login.
 */
extern void pooler_login_resolve_alias(int slot);

/* Is this startup parameter to have no effect? */
extern bool pooler_login_ignores(const char *parameter);

/*
 * login_guard.c
 */

/* A login begins, has proved who its client is, or ends before that. */
extern void pooler_guard_begin(WorkerLogin *login);
extern void pooler_guard_proven(WorkerLogin *login);
extern void pooler_guard_left(WorkerLogin *login);

/*
 * The client has not proved who it is, and this is to be its answer: keeps it
 * back for as long as pooler.auth_delay and earlier failures say.  False if
 * that is no time at all.
 */
extern bool pooler_guard_delay(int slot, const void *answer, size_t len);

/* Sends the answer, if it is time.  The client may be gone after. */
extern void pooler_guard_answer(int slot);

/*
 * login_io.c
 */

typedef enum LoginIo
{
	LOGIN_IO_DONE,
	LOGIN_IO_WAIT,				/* armed, go on when the socket is ready */
	LOGIN_IO_CLOSED				/* the peer has gone */
} LoginIo;

/* Reads until 'in' holds this many bytes and no more. */
extern LoginIo pooler_login_read(int slot, int upto);

/* Sends what is in 'out'. */
extern LoginIo pooler_login_flush(int slot);

/*
 * Room for a message in 'out'; what was written counts after
 * pooler_login_out_end().
 */
extern PoolerWriter pooler_login_out_begin(WorkerLogin *login, int room);
extern void pooler_login_out_end(WorkerLogin *login, const PoolerWriter *w);

/*
 * Log why the login is refused, tell the client, and close it.  The second is
 * for what the pure parser has found wrong with its bytes.
 */
extern void pooler_login_fail(int slot, const char *sqlstate,
							  const char *message, const char *detail);

/*
 * Who has proved who he is is told so before he is refused for another reason,
 * as core does.
 */
extern void pooler_login_say_authenticated(int slot);
extern void pooler_login_fail_proto(int slot, PoolerProtoError code,
									const PoolerProtoErrorArgs *args);

#endif							/* POOLER_WORKER_LOGIN_INTERNAL_H */
