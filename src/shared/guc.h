/*-------------------------------------------------------------------------
 *
 * guc.h
 *	  The settings of the pooler.
 *
 * Runs in: any process.  guc.c is the only place that defines a setting;
 * everybody else reads the variables below and writes none.
 *
 *-------------------------------------------------------------------------
 */
#ifndef POOLER_GUC_H
#define POOLER_GUC_H

#include "c.h"

#include "shared/leak.h"

/* where to listen */
extern char *pooler_listen_addresses;
extern int	pooler_port;
extern char *pooler_unix_socket_directories;	/* NULL: the server's */

/* limits */
extern int	pooler_max_client_conn;
extern int	pooler_max_unauthenticated;
extern int	pooler_max_backends;	/* 0: four fifths of max_connections */
extern char *pooler_prefork;	/* see lists.h */
extern int	pooler_tls_workers; /* 0: see pooler_tls_workers_in_force() */

/*
 * What a pool may have of its own, by ALTER ROLE or ALTER DATABASE ... SET.
 * The pooler has no database and can't read those: a backend tells it what it
 * was born with (PoolerOverrides).  Counts, and times in seconds; 0 mostly
 * means no limit.  Ask pooler_pool_count() and pooler_pool_ms().
 */
typedef enum PoolerPoolSetting
{
	POOLER_DEFAULT_POOL_SIZE,
	POOLER_MIN_POOL_SIZE,
	POOLER_RESERVE_POOL_SIZE,
	POOLER_MAX_DB_CONNECTIONS,
	POOLER_MAX_USER_CONNECTIONS,
	POOLER_MAX_DB_CLIENT_CONNECTIONS,
	POOLER_MAX_USER_CLIENT_CONNECTIONS,
	POOLER_RESERVE_POOL_TIMEOUT,
	POOLER_SERVER_IDLE_TIMEOUT,
	POOLER_SERVER_LIFETIME,
	POOLER_QUERY_TIMEOUT,
	POOLER_QUERY_WAIT_TIMEOUT,
	POOLER_QUERY_WAIT_NOTIFY,
	POOLER_CLIENT_IDLE_TIMEOUT,
	POOLER_IDLE_TRANSACTION_TIMEOUT,
	POOLER_TRANSACTION_TIMEOUT,
	POOLER_PIN_TIMEOUT,
	POOLER_POOL_MODE,			/* a PoolerPoolMode */
	POOLER_LEAK_LIMITS,			/* the first one, of POOLER_NLEAK_KINDS */
	POOLER_LEAK_ACTIONS = POOLER_LEAK_LIMITS + POOLER_NLEAK_KINDS,	/* packed */
	POOLER_NPOOL_SETTINGS
} PoolerPoolSetting;

/*
 * Those that differ from the server's, and how.  Each pool and each backend
 * has some, so that times are in ms and not in the seconds that were given.
 */
typedef struct PoolerOverrides
{
	uint64		given;			/* a bit for each setting */
	bool		partial;		/* something else hides some of them */
	int32		value[POOLER_NPOOL_SETTINGS];
} PoolerOverrides;

StaticAssertDecl(POOLER_NPOOL_SETTINGS <= 64, "given has a bit for each setting");

extern const char *pooler_pool_setting_name(PoolerPoolSetting setting);

/* The value in force in this process: in the pooler, the server's. */
extern double pooler_pool_setting_here(PoolerPoolSetting setting);

/* The same as it is kept in overrides. */
extern int32 pooler_pool_setting_kept(PoolerPoolSetting setting);
extern bool pooler_pool_setting_is_time(PoolerPoolSetting setting);

static inline double
pooler_pool_setting(const PoolerOverrides *overrides, PoolerPoolSetting setting)
{
	if ((overrides->given & (UINT64CONST(1) << setting)) == 0)
		return pooler_pool_setting_here(setting);
	return pooler_pool_setting_is_time(setting) ?
		overrides->value[setting] / 1000.0 : overrides->value[setting];
}

/* Threshold of a kind of leak: ms, or how many; 0: off. */
static inline uint32
pooler_leak_limit(const PoolerOverrides *overrides, PoolerLeakKind kind)
{
	PoolerPoolSetting setting = POOLER_LEAK_LIMITS + kind;

	if (overrides->given & (UINT64CONST(1) << setting))
		return (uint32) overrides->value[setting];
	return (uint32) pooler_pool_setting_kept(setting);
}

/*
 * Seconds as milliseconds, rounded up, but not because core has read '100ms' as
 * 0.09999999999999999.
 */
static inline int
pooler_ms(double seconds)
{
	int			ms = (int) (seconds * 1000);

	return seconds * 1000 - ms > 1e-6 ? ms + 1 : ms;
}

/* when a client keeps its backend */
typedef enum PoolerPoolMode
{
	POOLER_MODE_TRANSACTION,
	POOLER_MODE_SESSION,
	POOLER_MODE_STATEMENT
} PoolerPoolMode;

extern int	pooler_pool_mode;	/* a PoolerPoolMode */
extern int	pooler_pin_limit;	/* percent of a pool */
extern double pooler_pin_timeout;	/* seconds, 0 = none; in the pooler: ask
									 * pooler_pool_ms() */

/* memory: kB */
extern int	pooler_session_memory;
extern int	pooler_prepared_statements_memory;

/* times: seconds, 0 = none; see pooler_ms() */
extern double pooler_server_connect_timeout;
extern double pooler_server_login_retry;
extern double pooler_client_login_timeout;
extern double pooler_auth_delay;
extern double pooler_client_read_timeout;
extern double pooler_client_write_timeout;
extern double pooler_cancel_wait_timeout;
extern double pooler_pool_idle_timeout;
extern double pooler_stats_period;
extern double pooler_health_max_wait;

/* who and what */
extern char *pooler_admin_roles;	/* list of names */
extern char *pooler_aliases;	/* see lists.h */
extern char *pooler_ignore_startup_parameters;	/* list of names */
extern char *pooler_login_notify_message;

/* logging */
typedef enum PoolerLogChoice
{
	POOLER_LOG_SERVER,			/* as the server's own setting */
	POOLER_LOG_ON,
	POOLER_LOG_OFF
} PoolerLogChoice;

extern int	pooler_log_connections; /* a PoolerLogChoice */
extern int	pooler_log_disconnections;
extern bool pooler_log_pooler_errors;	/* those that core has not */
extern bool pooler_log_stats;

/* Is it logged, if this is what the server's own setting says? */
static inline bool
pooler_logs(int choice, bool server)
{
	return choice == POOLER_LOG_SERVER ? server : choice == POOLER_LOG_ON;
}

/* TCP; 0: the server's setting */
extern bool pooler_tcp_keepalive;
extern int	pooler_tcp_keepcnt;
extern int	pooler_tcp_keepidle;
extern int	pooler_tcp_keepintvl;
extern int	pooler_tcp_user_timeout;
extern int	pooler_tcp_socket_buffer;	/* bytes; 0: the system's */
extern bool pooler_tcp_defer_accept;
extern int	pooler_listen_backlog;

/* HTTP; see metrics/ */
extern int	pooler_http_port;	/* 0: none */
extern char *pooler_http_listen_addresses;
extern bool pooler_http_show_queries;

/* pooler.max_backends, or what 0 stands for */
extern int	pooler_max_backends_in_force(void);

/*
 * Slots for backends: the pools' and some for logins that core carries out,
 * which have to succeed also when the pools are full.
 */
extern int	pooler_login_backends(void);

/* Defines the settings; from _PG_init while the server starts. */
extern void pooler_guc_init(void);

#endif							/* POOLER_GUC_H */
