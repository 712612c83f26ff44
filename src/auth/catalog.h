/*
 * catalog.h
 *		The rows of pg_authid, pg_auth_members and pg_database that a login
 *		needs, read in the pooler worker, which has no database.
 *
 * Why not core's lookups (get_role_oid, get_role_password, superuser_arg,
 * has_privs_of_role, get_database_oid, pg_database_aclcheck)?
 *
 * - The catalog caches fetch values that are stored out of line as soon as
 *	 they load a row.  That opens the row's TOAST table, and opening any
 *	 catalog that is not one of the few known at start is FATAL in a process
 *	 without a database.  A database with some hundred grants, or a role that
 *	 gave itself a very long password hash (possible before 18), would end the
 *	 pooler at each login.
 * - The caches remember names that do not exist, without limit.  Anybody who
 *	 reaches the port could fill the worker's memory with invented role names.
 * - They wait for locks: LOCK TABLE pg_authid would stop every client.
 *
 * So each lookup here is a scan of its own, and leaves nothing behind.  The
 * exception is the cache of pg_auth_members, a catalog of fixed width, which
 * is only asked about roles that exist.
 *
 * All functions need a transaction, and pooler_catalog_try_lock() before.
 */
#ifndef POOLER_AUTH_CATALOG_H
#define POOLER_AUTH_CATALOG_H

#include "datatype/timestamp.h"
#include "nodes/pg_list.h"

/* A role, as far as logging in is concerned. */
typedef struct PoolerRole
{
	Oid			oid;
	NameData	name;
	bool		superuser;
	bool		canlogin;
} PoolerRole;

/* What only the password methods look at. */
typedef struct PoolerRoleSecret
{
	char	   *secret;			/* palloc'd; NULL: none, or external */
	bool		external;		/* there is one, but stored out of line */
	bool		expires;		/* is valid_until set? */
	TimestampTz valid_until;
} PoolerRoleSecret;

typedef enum PoolerConnectRight
{
	POOLER_CONNECT_GRANTED,
	POOLER_CONNECT_DENIED,
	POOLER_CONNECT_UNKNOWN		/* the ACL is stored out of line: only a
								 * process with a database can read it */
} PoolerConnectRight;

/* A database, as far as connecting to it is concerned. */
typedef struct PoolerDatabase
{
	Oid			oid;
	NameData	name;
	bool		allows_connections;
	bool		invalid;		/* a DROP DATABASE was interrupted */
	PoolerConnectRight connect; /* for the role that was asked for */
} PoolerDatabase;

/*
 * Lock the three catalogs and the indexes that the functions below use, until
 * the transaction ends, without waiting: false if somebody holds one of them
 * exclusively.  The caller then ends the transaction and tries again later.
 * After true, no lookup of this transaction waits for a lock.
 */
extern bool pooler_catalog_try_lock(void);

/*
 * The role of that name; false if there is none.  secret may be NULL.
 */
extern bool pooler_catalog_find_role(const char *name, PoolerRole *role,
									 PoolerRoleSecret *secret);

/* The same by OID. */
extern bool pooler_catalog_find_role_by_oid(Oid roleid, PoolerRole *role);

/* The present name of a role or database; false if it does not exist. */
extern bool pooler_catalog_role_name(Oid roleid, NameData *name);
extern bool pooler_catalog_database_name(Oid dbid, NameData *name);

/*
 * Is the role a direct or indirect member of the role called group?  Being a
 * superuser does not count (as in pg_hba.conf).
 */
extern bool pooler_catalog_is_member(Oid roleid, const char *group);

/*
 * May a session of the role use SET ROLE with the other one?  As core's
 * check_role(): since 16 the grants need the SET option.
 */
extern bool pooler_catalog_may_set_role(const PoolerRole *role, Oid target);

extern bool pooler_catalog_has_database(const char *name);

/*
 * The database of that name, and whether role may connect to it; false if
 * there is none.
 */
extern bool pooler_catalog_find_database(const char *name,
										 const PoolerRole *role,
										 PoolerDatabase *database);

/* All databases, as a list of PoolerDatabase in the caller's memory context. */
extern List *pooler_catalog_databases(const PoolerRole *role);

/* Has it event triggers on login?  False if there is no such database. */
extern bool pooler_catalog_has_login_triggers(const char *database);

#endif							/* POOLER_AUTH_CATALOG_H */
