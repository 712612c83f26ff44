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

/* where to listen */
extern char *pooler_listen_addresses;
extern int	pooler_port;
extern char *pooler_unix_socket_directories;	/* NULL: the server's */

/* limits */
extern int	pooler_max_client_conn;
extern int	pooler_max_backends;	/* 0: four fifths of max_connections */
extern int	pooler_default_pool_size;
extern int	pooler_min_pool_size;
extern int	pooler_reserve_pool_size;
extern int	pooler_max_db_connections;	/* 0: no limit */
extern char *pooler_prefork;

/* when a client keeps its backend */
typedef enum PoolerPoolMode
{
	POOLER_MODE_TRANSACTION,
	POOLER_MODE_SESSION,
	POOLER_MODE_STATEMENT
} PoolerPoolMode;

extern int	pooler_pool_mode;	/* a PoolerPoolMode */
extern int	pooler_pin_limit;	/* percent of a pool */
extern int	pooler_pin_timeout; /* seconds, 0 = none */

/* memory: kB */
extern int	pooler_session_memory;
extern int	pooler_prepared_statements_memory;

/* timeouts: seconds unless the name says otherwise, 0 = none */
extern int	pooler_reserve_pool_timeout;
extern int	pooler_server_idle_timeout;
extern int	pooler_server_lifetime;
extern int	pooler_server_connect_timeout;
extern int	pooler_server_login_retry;
extern int	pooler_query_wait_timeout;
extern int	pooler_client_login_timeout;
extern int	pooler_client_read_timeout;
extern int	pooler_client_write_timeout;

/* pooler.max_backends, or what 0 stands for */
extern int	pooler_max_backends_in_force(void);

/*
 * Slots for backends: the pools' and some for logins that core carries out,
 * which have to succeed also when the pools are full.
 */
extern int	pooler_login_backends(void);

/*
 * Splits pooler.prefork into (database, role) pairs, in the memory context of
 * the caller; NIL if it is empty.  A check hook has refused what can't be
 * split.
 */
typedef struct PoolerPreforkItem
{
	char	   *database;
	char	   *role;
} PoolerPreforkItem;

struct List;
extern bool pooler_parse_prefork(const char *value, struct List **items);

/* Defines the settings; from _PG_init while the server starts. */
extern void pooler_guc_init(void);

#endif							/* POOLER_GUC_H */
