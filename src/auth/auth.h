/*
 * auth.h
 *		One login in the pooler worker: authenticate by pg_hba.conf, then
 *		check that the role may connect to the database.
 *
 * Every function must be called inside a transaction (crypto
 * code needs a resource owner, catalogs a snapshot), inside PG_TRY, with
 * MyProcPort set to this client's Port (on 18, SCRAM writes to it), and none
 * of them ever waits or does I/O on a socket.
 *
 * They refuse a login by ereport(ERROR) with the SQLSTATE and text that core
 * uses at the same place with FATAL; the caller reports it as FATAL, to the
 * client without detail_log, and closes the connection.
 *
 * The order of a login, T being a transaction (commit at its end):
 *
 *	T: pooler_catalog_try_lock()	false: commit, try again some ms later
 *	   pooler_auth_begin()			-> CONTINUE: send out, await a 'p' message
 *	T: pooler_auth_continue()		-> CONTINUE, or DONE
 *	T: pooler_catalog_try_lock()
 *	   pooler_auth_authorize()
 *
 * The last transaction may be the one in which DONE was reached.
 */
#ifndef POOLER_AUTH_AUTH_H
#define POOLER_AUTH_AUTH_H

#include "auth/hba.h"
#include "compat.h"
#include "lib/stringinfo.h"
#include "libpq/libpq-be.h"

/*
 * Once in the worker's life, before the first login.  Nothing here relies on
 * core's membership cache (see catalog.h), but without this nothing would ever
 * invalidate it, if anything in this process should use it.
 */
extern void pooler_auth_startup(void);

typedef enum PoolerAuthResult
{
	POOLER_AUTH_CONTINUE,		/* send out; the answer is a 'p' message */
	POOLER_AUTH_DONE,			/* authenticated; AuthenticationOk is the
								 * caller's to send, after out */
	POOLER_AUTH_DELEGATE		/* a backend must do it: nothing is in out */
} PoolerAuthResult;

typedef struct PoolerAuth PoolerAuth;

/* Whom the client is, by what never changes when a name does. */
typedef struct PoolerIdentity
{
	Oid			roleid;
	Oid			dbid;
	NameData	role;			/* the names as the catalogs have them now */
	NameData	database;
	bool		superuser;
	bool		connect_unknown;	/* CONNECT was not checked, because the
									 * ACL is too long to be read here: ask a
									 * process that has a database */
} PoolerIdentity;

/*
 * Find the rule for a client and take the first step of its method.
 *
 * cxt is the memory context of this login.  All that must live from one step
 * to the next, *auth included, is allocated there and freed with it; it must
 * outlive the transaction.  port must live as long and have raddr,
 * user_name, database_name and ssl_in_use set, and for a client that came by
 * TLS what worker/tls.h promises; ca_loaded is its fact of that name.  out
 * must have been initialized; complete messages are appended to it.  The rules
 * are needed during this call only: a reload may free them before the next
 * step.
 *
 * POOLER_AUTH_DELEGATE is the answer if the method waits or computes
 * (password, peer, ldap, ...), if a rule names a host, or if a library has
 * set ClientAuthentication_hook.  *auth is then NULL.
 *
 * Errors: 28000 (rejected, or no rule), 28P01 and others of core's.
 */
extern PoolerAuthResult pooler_auth_begin(PoolerAuth **auth,
										  MemoryContext cxt, Port *port,
										  PoolerReplication replication,
										  const PoolerHbaRules *rules,
										  bool ca_loaded, StringInfo out);

/*
 * After DELEGATE, until the next call: what the pooler can't do itself, as
 * words ("the method \"peer\"").
 */
extern const char *pooler_auth_delegated_for(void);

/*
 * After DONE: as whom the client has proved itself, and by what (what core
 * calls authn_id, and shows as SYSTEM_USER); NULL if it did not have to.  Lives
 * as long as the port.
 */
extern const char *pooler_auth_identity(const PoolerAuth *auth, UserAuth *method);

/*
 * Take one 'p' message: len bytes of body, type and length word left out.
 * The body needs no terminator, and is not kept.
 *
 * Errors: 28P01 for a wrong password, 08P01 for a malformed message.
 */
extern PoolerAuthResult pooler_auth_continue(PoolerAuth *auth,
											 const char *body, int len,
											 StringInfo out);

/*
 * Overwrites what it knows of the role's secret.  To be called before a login
 * that was given up half-way is freed; after DONE or an error that was done.
 */
extern void pooler_auth_forget(PoolerAuth *auth);

/*
 * Has the client failed to prove who it is?  Then that was the error; else it
 * was another one.
 */
extern bool pooler_auth_has_failed(const PoolerAuth *auth);

/*
 * The longest body that the awaited 'p' message may have: 4 less than the
 * limit for pooler_password_inspect(), which counts the length word.
 */
extern int	pooler_auth_max_body(const PoolerAuth *auth);

/*
 * End the login as core does when the awaited message is too long, or is not
 * a 'p' message but one of the given type.  Neither returns.  A client that
 * just closes the connection is worth no message: psql does so, to ask for a
 * password.
 */
pg_noreturn extern void pooler_auth_fail(PoolerAuth *auth);
pg_noreturn extern void pooler_auth_fail_type(const PoolerAuth *auth,
											  int type);

/*
 * What core checks after authentication, in its order: the role exists, may
 * log in, the database exists, is whole, accepts connections, and the role
 * may connect to it.  For sessions that are not replication.
 *
 * Errors: 28000 (role), 3D000 (no such database), 55000 (database), 42501
 * (CONNECT).
 */
extern void pooler_auth_authorize(const char *role, const char *database,
								  PoolerIdentity *identity);

/*
 * A role that has logged in is to work as another one: may it?  Then the
 * identity is that of the other role, of which the same is checked as of one
 * that logs in, because its backends do.
 *
 * Errors: 42501 if the role could not use SET ROLE, and as above.
 */
extern void pooler_auth_force_role(const char *role, const char *forced,
								   const char *database,
								   PoolerIdentity *identity);

#endif							/* POOLER_AUTH_AUTH_H */
