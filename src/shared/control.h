/*-------------------------------------------------------------------------
 *
 * control.h
 *	  What the pooler and a pool backend say to each other.
 *
 * Runs in: pooler and pool backends.  The control socket is the connection
 * on which the pooler made the backend: until the first ReadyForQuery it
 * speaks PostgreSQL's protocol, afterwards frames of a fixed size in both
 * directions, some with a descriptor (SCM_RIGHTS) and some with a payload.
 *
 *-------------------------------------------------------------------------
 */
#ifndef POOLER_CONTROL_H
#define POOLER_CONTROL_H

#include "c.h"

#include "proto/pairs.h"

typedef enum PoolerControlType
{
	/* pooler -> backend */
	POOLER_CONTROL_WELCOME = 1, /* descriptor: the pooler's epoll; to a
								 * walsender without one: go on */
	POOLER_CONTROL_ATTACH,		/* work for this client; descriptor and
								 * payload unless POOLER_CONTROL_CACHED */
	POOLER_CONTROL_CLIENT,		/* answer to NEED: descriptor and payload. For
								 * a login that core carries out the payload
								 * is the length of the client's cancel key in
								 * a byte, the key, and what is known of its
								 * TLS connection (pooler_login_facts()) */
	POOLER_CONTROL_GONE,		/* answer to NEED: no such client any more */
	POOLER_CONTROL_DETACH,		/* claim: give back whoever you linger on */
	POOLER_CONTROL_RELEASE,		/* claim undone: be what you were */
	POOLER_CONTROL_EXIT,		/* claim: give back, then exit */
	/* backend -> pooler */
	POOLER_CONTROL_NEED,		/* send me this client's descriptor */
	POOLER_CONTROL_LOGGED_IN,	/* delegated login has succeeded; payload: the
								 * client's startup settings, of a walsender a
								 * PoolerWalsender */
	POOLER_CONTROL_CANCELLED,	/* given back unread: it asked to cancel */
	POOLER_CONTROL_LOGIN_FAILED,	/* delegated login has failed, and the
									 * client was not told; payload: the
									 * ErrorResponse */
	POOLER_CONTROL_FAILED		/* given back unread: session can't be set up;
								 * payload: the ErrorResponse to send */
} PoolerControlType;

typedef struct PoolerControl
{
	uint8		type;			/* PoolerControlType */
	uint8		cached;			/* the backend has the descriptor already */
	uint16		payload;		/* bytes that follow */
	uint32		client;			/* slot */
	uint32		gen;
	uint32		serial;
} PoolerControl;

/* What a walsender says of itself. */
typedef struct PoolerWalsender
{
	int32		pid;
	uint32		dbid;			/* 0: none, it is for physical replication */
	uint32		roleid;
	int32		max_user_clients;	/* limits in force for its role and its */
	int32		max_db_clients; /* database; 0: none */
} PoolerWalsender;

/*
 * A message of our own that a new backend sends before its first
 * ReadyForQuery: its startup settings as core understood them, as (name, value)
 * pairs of strings.  PostgreSQL's protocol has no message of this type.
 */
#define POOLER_MESSAGE_SETTINGS	'%'

/*
 * What comes with a client's descriptor, and with LOGGED_IN: its startup
 * settings and, behind an empty name, what it was told by ParameterStatus at
 * login; both as (name, value) pairs of strings.  Startup settings are not
 * much longer than a startup packet, which core limits to 10000 bytes.
 */
#define POOLER_MAX_SETTINGS_PAYLOAD	24000

/*
 * With the descriptor, and with LOGGED_IN, come before all that the facts of
 * the connection that a backend has to know: pairs as well, with names of
 * shared/tls.h, and an empty name behind them.  The identity may be a name in a
 * certificate, or what another library says that it is; the rest has 10 kB.
 */
#define POOLER_MAX_IDENTITY	7168
#define POOLER_MAX_FACTS	(POOLER_MAX_IDENTITY + 10240)
#define POOLER_FACT_AUTH_METHOD	"auth_method"	/* a UserAuth, as a number */
#define POOLER_FACT_AUTH_ID		"auth_id"	/* SYSTEM_USER without the method */
#define POOLER_FACT_GSS			"gss"	/* principal of a login by GSSAPI */
#define POOLER_MAX_PAYLOAD	(POOLER_MAX_SETTINGS_PAYLOAD + POOLER_MAX_FACTS + 1)

/*
 * Name of a pair that comes before all others if some of the settings can only
 * be set while a backend starts, so that the client needs one of its own.
 */
#define POOLER_NEEDS_OWN_BACKEND	"pooler.own_backend"

/* Longest list of settings that a backend reports: application_name is added. */
#define POOLER_MAX_SETTINGS	11744

/* Both report errors by their result and errno; neither raises. */

/*
 * Sends a frame, its payload and a descriptor (-1: none) without blocking.
 * False if not all of it could be sent: the connection is of no use then.
 */
extern bool pooler_control_send(int sock, const PoolerControl *frame,
								const void *payload, int fd);

typedef enum PoolerControlResult
{
	POOLER_CONTROL_RECEIVED,
	POOLER_CONTROL_AGAIN,		/* nothing there yet */
	POOLER_CONTROL_CLOSED		/* end of file, error, or nonsense */
} PoolerControlResult;

/*
 * Receives one frame without blocking for its head.  payload must hold
 * POOLER_MAX_PAYLOAD bytes.  *fd is -1 or a descriptor with FD_CLOEXEC that
 * the caller owns.
 */
extern PoolerControlResult pooler_control_receive(int sock, PoolerControl *frame,
												  void *payload, int *fd);

#endif							/* POOLER_CONTROL_H */
