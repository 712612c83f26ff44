/*
 * catalog.c
 *		Role and database rows for logins.
 *
 * Runs in the pooler worker, inside a transaction.  Must not load a row of
 * pg_authid or pg_database through a catalog cache, nor detoast one: catalog.h
 * says why.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "auth/catalog.h"
#include "catalog/pg_auth_members.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_database.h"
#include "catalog/pg_type.h"
#include "compat.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/catcache.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/syscache.h"

/* A search for one row. */
typedef struct RowScan
{
	Relation	rel;
	SysScanDesc scan;
	HeapTuple	row;			/* NULL: not found; valid until row_close() */
} RowScan;

static void
row_open(RowScan *search, Oid relid, Oid indexid,
		 AttrNumber column, RegProcedure equal, Datum value)
{
	ScanKeyData key;

	ScanKeyInit(&key, column, BTEqualStrategyNumber, equal, value);
	search->rel = table_open(relid, AccessShareLock);

	/*
	 * The indexes can only be opened if they were in the shared relation
	 * cache's file when this process started: it has no way to find out about
	 * them later.
	 */
	search->scan = systable_beginscan(search->rel, indexid,
									  criticalSharedRelcachesBuilt,
									  NULL, 1, &key);
	search->row = systable_getnext(search->scan);
}

static void
row_close(RowScan *search)
{
	systable_endscan(search->scan);
	table_close(search->rel, AccessShareLock);
}

static Datum
row_attribute(const RowScan *search, int column, bool *isnull)
{
	return heap_getattr(search->row, column,
						RelationGetDescr(search->rel), isnull);
}

static void
open_role_by_name(RowScan *search, const char *name)
{
	row_open(search, AuthIdRelationId, AuthIdRolnameIndexId,
			 Anum_pg_authid_rolname, F_NAMEEQ, CStringGetDatum(name));
}

bool
pooler_catalog_try_lock(void)
{
	static const Oid relids[] = {
		AuthIdRelationId, AuthIdRolnameIndexId, AuthIdOidIndexId,
		AuthMemRelationId, AuthMemMemRoleIndexId,
		DatabaseRelationId, DatabaseNameIndexId, DatabaseOidIndexId
	};

	for (int i = 0; i < (int) lengthof(relids); i++)
	{
		if (!ConditionalLockRelationOid(relids[i], AccessShareLock))
			return false;
	}
	return true;
}

/*
 * ---- roles ----
 */

static void
read_secret(const RowScan *search, PoolerRoleSecret *secret)
{
	Datum		value;
	bool		isnull;

	memset(secret, 0, sizeof(*secret));

	value = row_attribute(search, Anum_pg_authid_rolpassword, &isnull);
	if (!isnull && VARATT_IS_EXTERNAL(DatumGetPointer(value)))
		secret->external = true;
	else if (!isnull)
		secret->secret = TextDatumGetCString(value);

	value = row_attribute(search, Anum_pg_authid_rolvaliduntil, &isnull);
	secret->expires = !isnull;
	if (!isnull)
		secret->valid_until = DatumGetTimestampTz(value);
}

static void
copy_role(const RowScan *search, PoolerRole *role)
{
	Form_pg_authid form = (Form_pg_authid) GETSTRUCT(search->row);

	role->oid = form->oid;
	role->name = form->rolname;
	role->superuser = form->rolsuper;
	role->canlogin = form->rolcanlogin;
}

bool
pooler_catalog_find_role(const char *name, PoolerRole *role,
						 PoolerRoleSecret *secret)
{
	RowScan		search;
	bool		found;

	open_role_by_name(&search, name);
	found = HeapTupleIsValid(search.row);
	if (found)
	{
		copy_role(&search, role);
		if (secret != NULL)
			read_secret(&search, secret);
	}
	row_close(&search);
	return found;
}

static Oid
role_oid(const char *name)
{
	RowScan		search;
	Oid			oid = InvalidOid;

	open_role_by_name(&search, name);
	if (HeapTupleIsValid(search.row))
		oid = ((Form_pg_authid) GETSTRUCT(search.row))->oid;
	row_close(&search);
	return oid;
}

static void
open_role_by_oid(RowScan *search, Oid roleid)
{
	row_open(search, AuthIdRelationId, AuthIdOidIndexId,
			 Anum_pg_authid_oid, F_OIDEQ, ObjectIdGetDatum(roleid));
}

bool
pooler_catalog_find_role_by_oid(Oid roleid, PoolerRole *role)
{
	RowScan		search;
	bool		found;

	open_role_by_oid(&search, roleid);
	found = HeapTupleIsValid(search.row);
	if (found)
		copy_role(&search, role);
	row_close(&search);
	return found;
}

bool
pooler_catalog_role_name(Oid roleid, NameData *name)
{
	PoolerRole	role;

	if (!pooler_catalog_find_role_by_oid(roleid, &role))
		return false;
	*name = role.name;
	return true;
}

static bool
role_inherits(Oid roleid)
{
	RowScan		search;
	bool		inherits;

	open_role_by_oid(&search, roleid);
	inherits = HeapTupleIsValid(search.row) &&
		((Form_pg_authid) GETSTRUCT(search.row))->rolinherit;
	row_close(&search);
	return inherits;
}

typedef enum Membership
{
	MEMBERSHIP_ANY,
	MEMBERSHIP_INHERITS,		/* privileges are had without SET ROLE */
	MEMBERSHIP_SETS				/* SET ROLE is allowed */
} Membership;

/* Does a grant count? */
static bool
grant_counts(Form_pg_auth_members form, Membership kind)
{
	switch (kind)
	{
		case MEMBERSHIP_ANY:
			return true;
		case MEMBERSHIP_INHERITS:
			return pooler_grant_inherits(form);
		case MEMBERSHIP_SETS:
			return pooler_grant_sets(form);
	}
	return false;
}

/*
 * All roles that roleid is a member of, itself included, directly or through
 * others.  For MEMBERSHIP_INHERITS owner is the database's owner, whose
 * members are implicitly members of pg_database_owner there.  The list is both
 * the result and the agenda.
 *
 * This is core's roles_is_member_of(), which can't be used here: for
 * privileges it loads rows of pg_authid into a catalog cache.  The cache used
 * here is harmless, pg_auth_members has nothing that could be toasted.
 */
static List *
find_memberships(Oid roleid, Membership kind, Oid owner)
{
	List	   *roles = list_make1_oid(roleid);
	ListCell   *cell;

	foreach(cell, roles)
	{
		Oid			member = lfirst_oid(cell);
		CatCList   *grants;

		if (kind == MEMBERSHIP_INHERITS && !POOLER_INHERIT_IS_PER_GRANT &&
			!role_inherits(member))
			continue;

		grants = SearchSysCacheList1(AUTHMEMMEMROLE,
									 ObjectIdGetDatum(member));
		for (int i = 0; i < grants->n_members; i++)
		{
			Form_pg_auth_members form = (Form_pg_auth_members)
				GETSTRUCT(&grants->members[i]->tuple);

			if (grant_counts(form, kind))
				roles = list_append_unique_oid(roles, form->roleid);
		}
		ReleaseSysCacheList(grants);

		if (kind == MEMBERSHIP_INHERITS && member == owner)
			roles = list_append_unique_oid(roles, ROLE_PG_DATABASE_OWNER);
	}
	return roles;
}

bool
pooler_catalog_is_member(Oid roleid, const char *group)
{
	Oid			groupid;
	List	   *roles;
	bool		found;

	if (!OidIsValid(roleid))
		return false;
	groupid = role_oid(group);
	if (!OidIsValid(groupid))
		return false;

	roles = find_memberships(roleid, MEMBERSHIP_ANY, InvalidOid);
	found = list_member_oid(roles, groupid);
	list_free(roles);
	return found;
}

bool
pooler_catalog_may_set_role(const PoolerRole *role, Oid target)
{
	List	   *roles;
	bool		found;

	if (role->superuser || role->oid == target)
		return true;
	roles = find_memberships(role->oid, MEMBERSHIP_SETS, InvalidOid);
	found = list_member_oid(roles, target);
	list_free(roles);
	return found;
}

/*
 * ---- databases ----
 */

/*
 * The entries of an ACL, which is an array of one dimension without nulls.  A
 * superuser could have written something else into the catalog.
 */
static const AclItem *
acl_items(const Acl *acl, int *nitems)
{
	if (ARR_NDIM(acl) != 1 || ARR_HASNULL(acl) ||
		ARR_ELEMTYPE(acl) != ACLITEMOID)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid access control list of a database")));

	*nitems = ACL_NUM(acl);
	return (const AclItem *) ((const char *) acl + ARR_OVERHEAD_NONULLS(1));
}

/* Does the ACL give CONNECT to the role?  As core's aclmask(). */
static bool
acl_grants_connect(const Acl *acl, Oid roleid, Oid owner)
{
	int			nitems;
	const AclItem *items = acl_items(acl, &nitems);
	List	   *roles;
	bool		granted = false;

	/* what is granted to everybody or to the role itself is quickly found */
	for (int i = 0; i < nitems; i++)
	{
		if ((items[i].ai_privs & ACL_CONNECT) != 0 &&
			(items[i].ai_grantee == ACL_ID_PUBLIC ||
			 items[i].ai_grantee == roleid))
			return true;
	}

	roles = find_memberships(roleid, MEMBERSHIP_INHERITS, owner);
	for (int i = 0; i < nitems && !granted; i++)
		granted = (items[i].ai_privs & ACL_CONNECT) != 0 &&
			list_member_oid(roles, items[i].ai_grantee);
	list_free(roles);
	return granted;
}

static PoolerConnectRight
connect_right(const RowScan *search, const PoolerRole *role)
{
	Oid			owner = ((Form_pg_database) GETSTRUCT(search->row))->datdba;
	Datum		value;
	bool		isnull;
	Acl		   *acl;

	if (role->superuser)
		return POOLER_CONNECT_GRANTED;

	value = row_attribute(search, Anum_pg_database_datacl, &isnull);
	if (isnull)
		acl = acldefault(OBJECT_DATABASE, owner);
	else if (VARATT_IS_EXTERNAL(DatumGetPointer(value)))
		return POOLER_CONNECT_UNKNOWN;
	else
		acl = DatumGetAclP(value);

	return acl_grants_connect(acl, role->oid, owner) ?
		POOLER_CONNECT_GRANTED : POOLER_CONNECT_DENIED;
}

static void
copy_database(const RowScan *search, const PoolerRole *role,
			  PoolerDatabase *database)
{
	Form_pg_database form = (Form_pg_database) GETSTRUCT(search->row);

	database->oid = form->oid;
	database->name = form->datname;
	database->allows_connections = form->datallowconn;
	database->invalid = database_is_invalid_form(form);
	database->connect = connect_right(search, role);
}

bool
pooler_catalog_find_database(const char *name, const PoolerRole *role,
							 PoolerDatabase *database)
{
	RowScan		search;
	bool		found;

	row_open(&search, DatabaseRelationId, DatabaseNameIndexId,
			 Anum_pg_database_datname, F_NAMEEQ, CStringGetDatum(name));
	found = HeapTupleIsValid(search.row);
	if (found)
		copy_database(&search, role, database);
	row_close(&search);
	return found;
}

List *
pooler_catalog_databases(const PoolerRole *role)
{
	RowScan		search;
	List	   *list = NIL;

	search.rel = table_open(DatabaseRelationId, AccessShareLock);
	search.scan = systable_beginscan(search.rel, InvalidOid, false, NULL, 0, NULL);
	while (HeapTupleIsValid(search.row = systable_getnext(search.scan)))
	{
		PoolerDatabase *database = palloc(sizeof(PoolerDatabase));

		copy_database(&search, role, database);
		list = lappend(list, database);
	}
	row_close(&search);
	return list;
}

bool
pooler_catalog_has_database(const char *name)
{
	RowScan		search;
	bool		found;

	row_open(&search, DatabaseRelationId, DatabaseNameIndexId,
			 Anum_pg_database_datname, F_NAMEEQ, CStringGetDatum(name));
	found = HeapTupleIsValid(search.row);
	row_close(&search);
	return found;
}

bool
pooler_catalog_has_login_triggers(const char *database)
{
	RowScan		search;
	bool		result = false;

	row_open(&search, DatabaseRelationId, DatabaseNameIndexId,
			 Anum_pg_database_datname, F_NAMEEQ, CStringGetDatum(database));
	if (HeapTupleIsValid(search.row))
		result = pooler_form_has_login_triggers((Form_pg_database) GETSTRUCT(search.row));
	row_close(&search);
	return result;
}

bool
pooler_catalog_database_name(Oid dbid, NameData *name)
{
	RowScan		search;
	bool		found;

	row_open(&search, DatabaseRelationId, DatabaseOidIndexId,
			 Anum_pg_database_oid, F_OIDEQ, ObjectIdGetDatum(dbid));
	found = HeapTupleIsValid(search.row);
	if (found)
		*name = ((Form_pg_database) GETSTRUCT(search.row))->datname;
	row_close(&search);
	return found;
}
