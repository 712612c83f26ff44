/*
 * authorize.c
 *		May this role connect to this database?
 *
 * Runs in the pooler worker, inside a transaction.  A backend's start checks
 * the same (InitializeSessionUserId(), InitPostgres(), CheckMyDatabase()), but
 * only once for all the clients that it will serve, so the pooler checks each
 * client itself.  Connection limits are no matter of clients but of backends,
 * and are left to the backend's start.
 */
#include "postgres.h"

#include "auth/auth.h"
#include "auth/catalog.h"

static void
check_database(const char *name, const PoolerDatabase *database)
{
	if (database->invalid)
		ereport(ERROR,
				errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("cannot connect to invalid database \"%s\"", name),
				errhint("Use DROP DATABASE to drop invalid databases."));

	if (!database->allows_connections)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("database \"%s\" is not currently accepting connections",
						name)));

	if (database->connect == POOLER_CONNECT_DENIED)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for database \"%s\"", name),
				 errdetail("User does not have CONNECT privilege.")));
}

static void
find_role(const char *name, PoolerRole *role)
{
	if (!pooler_catalog_find_role(name, role, NULL))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION),
				 errmsg("role \"%s\" does not exist", name)));
}

void
pooler_auth_authorize(const char *role_name, const char *database_name,
					  PoolerIdentity *identity)
{
	PoolerRole	role;
	PoolerDatabase database;

	find_role(role_name, &role);
	if (!role.canlogin)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION),
				 errmsg("role \"%s\" is not permitted to log in", role_name)));

	if (!pooler_catalog_find_database(database_name, &role, &database))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_DATABASE),
				 errmsg("database \"%s\" does not exist", database_name)));
	check_database(database_name, &database);

	identity->roleid = role.oid;
	identity->dbid = database.oid;
	identity->role = role.name;
	identity->database = database.name;
	identity->superuser = role.superuser;
	identity->connect_unknown = database.connect == POOLER_CONNECT_UNKNOWN;
}

void
pooler_auth_force_role(const char *role_name, const char *forced_name,
					   const char *database, PoolerIdentity *identity)
{
	PoolerRole	role;
	PoolerRole	forced;

	find_role(role_name, &role);
	find_role(forced_name, &forced);
	if (!pooler_catalog_may_set_role(&role, forced.oid))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to set role \"%s\"", forced_name)));
	pooler_auth_authorize(forced_name, database, identity);
}
