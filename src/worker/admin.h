/*-------------------------------------------------------------------------
 *
 * admin.h
 *	  Carrying out what administrators ask for.
 *
 * Runs in: the pooler.  Used by the console and for the SQL functions, so
 * that each command means the same for both.
 *
 *-------------------------------------------------------------------------
 */
#ifndef POOLER_WORKER_ADMIN_H
#define POOLER_WORKER_ADMIN_H

#include "shared/admin.h"

/*
 * Begins a command.  True if it is over, with the result; else
 * pooler_admin_poll() has to be asked until it is, at each tick and whenever
 * a backend has gone.  May free clients.  Does not check who asks.
 */
extern bool pooler_admin_begin(const PoolerAdminCommand *command,
							   PoolerAdminResult *result);
extern bool pooler_admin_poll(const PoolerAdminCommand *command,
							  PoolerAdminResult *result);

/* May clients log in to this database?  Not if it is disabled. */
extern bool pooler_admin_enabled(Oid dbid);

/* What SHOW STATE and SHOW DATABASES tell. */
extern bool pooler_admin_paused(Oid dbid);	/* InvalidOid: all are */
extern bool pooler_admin_suspended(void);

#endif							/* POOLER_WORKER_ADMIN_H */
