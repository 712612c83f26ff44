/*-------------------------------------------------------------------------
 *
 * health_rules.h
 *	  What is healthy: numbers in, messages and a verdict out.
 *
 * Runs in: any process.  Pure: no shared memory, no clock, no allocation, so
 * that each rule can be tested with made-up numbers.
 *
 *-------------------------------------------------------------------------
 */
#ifndef POOLER_HEALTH_RULES_H
#define POOLER_HEALTH_RULES_H

#include "c.h"

typedef enum PoolerHealthStatus
{
	POOLER_HEALTHY,
	POOLER_DEGRADED,			/* works, but somebody should look */
	POOLER_UNHEALTHY			/* does not do what it is there for */
} PoolerHealthStatus;

/* What a message makes of the status. */
typedef enum PoolerHealthSeverity
{
	POOLER_HEALTH_INFO,			/* nothing */
	POOLER_HEALTH_WARNING,		/* degraded */
	POOLER_HEALTH_CRITICAL		/* unhealthy */
} PoolerHealthSeverity;

typedef enum PoolerHealthCheck
{
	POOLER_CHECK_NOT_RUNNING,
	POOLER_CHECK_RESTARTED,
	POOLER_CHECK_NOT_LISTENING,
	POOLER_CHECK_DRAINING,
	POOLER_CHECK_CLIENTS,
	POOLER_CHECK_BACKENDS,
	POOLER_CHECK_UTILISATION,
	POOLER_CHECK_WAIT,
	POOLER_CHECK_FAILED_STARTS,
	POOLER_CHECK_FAILED_LOGINS,
	POOLER_CHECK_PAUSED,
	POOLER_CHECK_DISABLED,
	POOLER_CHECK_LEAKS,
	POOLER_CHECK_PROBE_FAILED,
	POOLER_CHECK_PROBE_LATENCY,
	POOLER_NHEALTH_CHECKS
} PoolerHealthCheck;

/* A transaction through the pool of one database and role. */
typedef struct PoolerHealthProbe
{
	bool		ok;
	double		latency_ms;		/* from sending to ReadyForQuery; if not ok,
								 * how long it was tried; < 0: not at all */
	int			backend_pid;	/* 0: not known */
	double		timeout_ms;		/* that has passed; 0: it has not */
	bool		held;			/* not tried: the database is paused */
	const char *error;			/* NULL if ok */
	const char *hint;			/* NULL: none */
	const char *database;		/* of the pool */
	const char *role;
} PoolerHealthProbe;

typedef struct PoolerHealthPool
{
	int			size;			/* most backends that it may have */
	int			backends;		/* that it has, those that start or end too */
	int			held;			/* with a client: busy or pinned */
	int			waiting;		/* clients in the queue */
	int64		longest_wait_ms;	/* of those; 0: none */
	int64		wait_timeout_ms;	/* query_wait_timeout; 0: none */
	int64		max_wait_ms;	/* pooler.health_max_wait; 0: none */
	bool		paused;
	bool		dedicated;		/* to one client */
} PoolerHealthPool;

/* The pooler as a whole. */
typedef struct PoolerHealthNumbers
{
	bool		running;
	int64		up_ms;			/* if running */
	uint64		starts;			/* since the server's start */
	bool		listening;
	bool		draining;
	int			clients;
	int			max_clients;
	int			backends;
	int			max_backends;
	uint64		failed_starts;	/* of backends, in the last minute */
	uint64		failed_logins;	/* likewise */
	int			leaks;			/* that there are now */
} PoolerHealthNumbers;

typedef struct PoolerHealthMessage
{
	PoolerHealthSeverity severity;
	PoolerHealthCheck check;
	double		value;			/* the number that triggered it ... */
	double		threshold;		/* ... and what it was compared with */
	const char *text;			/* constant, untranslated, plain ASCII */
} PoolerHealthMessage;

/* Each of these writes at most so many messages. */
#define POOLER_HEALTH_MAX_GENERAL	12
#define POOLER_HEALTH_MAX_POOL		2
#define POOLER_HEALTH_MAX_OTHER		2	/* of a probe, of a database */

/* They return how many they have written. */
extern int	pooler_health_judge(const PoolerHealthNumbers *numbers,
								PoolerHealthMessage *messages);
extern int	pooler_health_judge_pool(const PoolerHealthPool *pool,
									 PoolerHealthMessage *messages);
extern int	pooler_health_judge_probe(const PoolerHealthProbe *probe,
									  PoolerHealthMessage *messages);

/* A database that an administrator has paused or disabled. */
extern int	pooler_health_judge_hold(bool paused, bool disabled,
									 PoolerHealthMessage *messages);

/*
 * How many of the backends that a pool may have are held, in percent: 0 if it
 * has no size yet, above 100 if it was made smaller.
 */
extern double pooler_health_utilisation(const PoolerHealthPool *pool);

/* The worst of both. */
extern PoolerHealthStatus pooler_health_worse(PoolerHealthStatus status,
											  const PoolerHealthMessage *message);

extern const char *pooler_health_status_name(PoolerHealthStatus status);
extern const char *pooler_health_severity_name(PoolerHealthSeverity severity);
extern const char *pooler_health_check_name(PoolerHealthCheck check);

/* Of value and threshold: "ms", "s", "%" or "". */
extern const char *pooler_health_check_unit(PoolerHealthCheck check);

#endif							/* POOLER_HEALTH_RULES_H */
