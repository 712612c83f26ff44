/*-------------------------------------------------------------------------
 *
 * admin.h
 *	  What an administrator can ask of the pooler, by SQL or on the console.
 *
 * Runs in: any process.  A command is carried out by the pooler alone
 * (worker/admin.h); SQL functions put it into shared memory and wait for the
 * answer.
 *
 *-------------------------------------------------------------------------
 */
#ifndef POOLER_SHARED_ADMIN_H
#define POOLER_SHARED_ADMIN_H

#include "c.h"

typedef enum PoolerAdminVerb
{
	POOLER_ADMIN_PAUSE,			/* no new transactions; over when the last one
								 * has ended and its backend has gone */
	POOLER_ADMIN_RESUME,
	POOLER_ADMIN_DISABLE,		/* no new logins */
	POOLER_ADMIN_ENABLE,
	POOLER_ADMIN_RECONNECT,		/* other backends, as soon as they are idle */
	POOLER_ADMIN_KILL,			/* ends all clients and backends, and pauses */
	POOLER_ADMIN_KILL_CLIENT,
	POOLER_ADMIN_PROBE,			/* a transaction through a pool; by SQL only */
	POOLER_ADMIN_SUSPEND,		/* as PAUSE of everything */
	POOLER_ADMIN_WAIT_CLOSE,	/* over when all backends are newer than the
								 * last RECONNECT */
	POOLER_ADMIN_SHUTDOWN,		/* closes the port; the server goes on */
	POOLER_ADMIN_RESET_STATS,
	POOLER_ADMIN_END_LEAK		/* over when it is no leak any more */
} PoolerAdminVerb;

typedef enum PoolerShutdownMode
{
	POOLER_SHUTDOWN_NOW,		/* clients are ended, as by a fast shutdown */
	POOLER_SHUTDOWN_WAIT_FOR_SERVERS,	/* each after its transaction */
	POOLER_SHUTDOWN_WAIT_FOR_CLIENTS	/* when they leave by themselves */
} PoolerShutdownMode;

typedef struct PoolerAdminCommand
{
	PoolerAdminVerb verb;
	Oid			dbid;			/* InvalidOid: all databases */
	uint64		client_id;		/* KILL_CLIENT: PoolerClient.id */
	uint64		leak_id;		/* END_LEAK: PoolerLeak.id */
	PoolerShutdownMode mode;	/* SHUTDOWN */
	char		database[NAMEDATALEN];	/* PROBE: of the pool, with dbid */
	char		role[NAMEDATALEN];
} PoolerAdminCommand;

/* sqlstate is "00000" if all went well. */
typedef struct PoolerAdminResult
{
	char		sqlstate[6];
	char		message[256];
	char		hint[256];		/* may be empty */

	/* PROBE, also if it has failed; see PoolerHealthProbe */
	double		latency_ms;
	double		timeout_ms;
	bool		held;
	int			backend_pid;
} PoolerAdminResult;

#endif							/* POOLER_SHARED_ADMIN_H */
