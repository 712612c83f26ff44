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
 * a backend has gone.  May free clients.  Does not check who asks.  Not in a
 * transaction: both may start some.
 */
extern bool pooler_admin_begin(const PoolerAdminCommand *command,
							   PoolerAdminResult *result);
extern bool pooler_admin_poll(const PoolerAdminCommand *command,
							  PoolerAdminResult *result);

/*
 * Whoever asked has gone, or waits no longer: a PAUSE or SUSPEND that is not
 * over is taken back, as by RESUME, unless somebody else waits for it.
 */
extern void pooler_admin_abandon(const PoolerAdminCommand *command);

/* For those who ask without a name of their own in the log, as by SQL. */
extern void pooler_admin_log(const PoolerAdminCommand *command);

/* May clients log in to this database?  Not if it is disabled. */
extern bool pooler_admin_enabled(Oid dbid);

/*
 * Has a login that core would carry out to wait, because no backend may be
 * made for this database?  True also if that can't be found out now.
 */
extern bool pooler_admin_holds_login(const char *database);

/*
 * What SHOW STATE and SHOW DATABASES tell: paused by a PAUSE of this database,
 * or (InvalidOid) of all.
 */
extern bool pooler_admin_paused(Oid dbid);
extern bool pooler_admin_suspended(void);

/* main.c calls these: at the start, at each tick ... */
extern void pooler_admin_startup(void);
extern void pooler_admin_tick(void);

/* Has a SHUTDOWN come to its end, so that there is nothing to look after? */
extern bool pooler_admin_is_shut_down(void);

/*
 * ... and when a database may have been dropped.  False if the catalogs were
 * locked: try again.
 */
extern bool pooler_admin_forget_dropped(void);

/*
 * requests.c: commands that SQL functions ask for.  To be served whenever the
 * latch was set, at each tick, and when a backend has gone.
 */
extern void pooler_requests_startup(void);
extern void pooler_requests_exit(void);
extern void pooler_requests_serve(void);

#endif							/* POOLER_WORKER_ADMIN_H */
