/*-------------------------------------------------------------------------
 *
 * login_console.c
 *	  Logins to the admin console.
 *
 * Runs in: the pooler.  A client that names the console as its database is
 * authenticated as any other, by the rules of pg_hba.conf for that name; who
 * may come in is decided here.
 *
 *-------------------------------------------------------------------------
 */
#include "worker/login_internal.h"

#include "auth/catalog.h"
#include "port/pg_bswap.h"
#include "utils/varlena.h"

/* PgBouncer's name is always the console's; ours only if nobody else has it. */
#define CONSOLE_NAME		"pgbouncer"
#define CONSOLE_OTHER_NAME	"pooler"

/* As PgBouncer's, with the version whose console this one resembles. */
#define CONSOLE_VERSION		"1.26.0/bouncer"

bool
pooler_login_console_name(const char *database)
{
	return strcmp(database, CONSOLE_NAME) == 0 ||
		strcmp(database, CONSOLE_OTHER_NAME) == 0;
}

bool
pooler_login_is_console(const char *database)
{
	PoolerRole	nobody = {.superuser = true};	/* rights do not matter */
	PoolerDatabase found;

	if (!pooler_login_console_name(database))
		return false;
	return strcmp(database, CONSOLE_NAME) == 0 ||
		!pooler_catalog_find_database(database, &nobody, &found);
}

void
pooler_login_refuse_delegation(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("a login to the console can't be carried out by a backend"),
			 errdetail("The rule of pg_hba.conf needs one because of %s.",
					   pooler_auth_delegated_for()),
			 errhint("Put a rule with scram-sha-256, md5 or trust for the database \"%s\" before it.",
					 CONSOLE_NAME)));
}

/* The role itself, or a member of it, is in pooler.admin_roles. */
static bool
in_admin_roles(const PoolerRole *role)
{
	List	   *names;
	ListCell   *cell;

	if (!SplitIdentifierString(pstrdup(pooler_admin_roles), ',', &names))
		return false;
	foreach(cell, names)
	{
		const char *name = lfirst(cell);

		if (strcmp(name, NameStr(role->name)) == 0 ||
			pooler_catalog_is_member(role->oid, name))
			return true;
	}
	return false;
}

static void
check_role(const char *name, PoolerRole *role, bool *admin)
{
	if (!pooler_catalog_find_role(name, role, NULL))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION),
				 errmsg("role \"%s\" does not exist", name)));
	if (!role->canlogin)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION),
				 errmsg("role \"%s\" is not permitted to log in", name)));
	*admin = role->superuser || in_admin_roles(role);
	if (!*admin && !pooler_catalog_is_member(role->oid, "pg_monitor"))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for the console of the pooler"),
				 errdetail("It is for superusers, roles in pooler.admin_roles, and members of pg_monitor.")));
}

/* What PgBouncer's console reports, and what drivers need besides. */
static void
write_parameters(WorkerLogin *login)
{
	static const char *const parameters[][2] = {
		{"server_version", CONSOLE_VERSION},
		{"client_encoding", "UTF8"},
		{"server_encoding", "UTF8"},
		{"DateStyle", "ISO"},
		{"TimeZone", "GMT"},
		{"standard_conforming_strings", "on"},
		{"is_superuser", "on"},
		{"integer_datetimes", "on"},
	};
	PoolerWriter w = pooler_login_out_begin(login, 1024);

	pooler_build_auth(&w, 0, NULL, 0);
	for (int i = 0; i < (int) lengthof(parameters); i++)
		pooler_build_parameter(&w, parameters[i][0], parameters[i][1]);
	pooler_login_out_end(login, &w);
}

void
pooler_login_authorize_console(int slot)
{
	WorkerLogin *login = login_of(slot);
	PoolerClient *client = &pooler_clients[slot];
	WorkerClient *wc = &pooler_worker_clients[slot];
	PoolerRole	role;
	PoolerWriter w;

	check_role(client->role, &role, &login->admin);
	if (!pooler_cancel_make_key(slot))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not generate random cancel key")));
	login->identity.roleid = role.oid;
	write_parameters(login);
	w = pooler_login_out_begin(login, 64);
	pooler_build_key(&w, pooler_client_pid(slot), wc->key, wc->key_len);
	pooler_build_ready(&w, 'I');
	pooler_login_out_end(login, &w);
}
