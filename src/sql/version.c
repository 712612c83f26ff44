/*-------------------------------------------------------------------------
 *
 * version.c
 *	  Do the library and the SQL objects of a database fit?
 *
 * Runs in: any backend.  The library is the one that the server has loaded at
 * start; the objects are of the version that CREATE EXTENSION or ALTER
 * EXTENSION has made, in each database by itself.  So after a new version was
 * installed there is an old library with new objects until the server is
 * restarted, and then a new library with old objects until they are updated.
 * The pooler and its backends use none of the objects, and are not concerned.
 *
 * There is no such check for shared memory: all processes have one library.
 * Each is forked by the postmaster, which loads the file before it makes the
 * memory, and in none is it loaded again: dfmgr.c finds a library that is
 * there by its name, whatever the file has become.  Under another name (a
 * dynamic_library_path that has changed) there would be a second one, without
 * hooks and without shared memory, which refuses (pooler_require_shmem()).
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "sql/version.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_extension.h"
#include "commands/extension.h"
#include "fmgr.h"
#include "shared/shmem.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"

PG_FUNCTION_INFO_V1(pooler_require_library);

#define EXTENSION_NAME	"pooler"

/* The name before it is for those who look at the file. */
static const char library_version[] = "pooler_version=" POOLER_VERSION;

static const char *
own_version(void)
{
	return strchr(library_version, '=') + 1;
}

/*
 * -1, 0 or 1, as a is older than b, the same, newer.  Versions are two
 * numbers.  What is not, an administrator has made up: it is older than all.
 */
static int
compare_versions(const char *a, const char *b)
{
	int			v[2][2] = {{-1, -1}, {-1, -1}};

	if (strcmp(a, b) == 0)
		return 0;
	(void) sscanf(a, "%d.%d", &v[0][0], &v[0][1]);
	(void) sscanf(b, "%d.%d", &v[1][0], &v[1][1]);
	if (v[0][0] != v[1][0])
		return v[0][0] < v[1][0] ? -1 : 1;
	return v[0][1] > v[1][1] ? 1 : -1;
}

/*
 * The version of the objects in this database, or NULL if the extension is
 * not there, and the functions were made by hand.  Also NULL while its own
 * script runs, which may come to this version in several steps.
 */
static char *
objects_version(void)
{
	Relation	rel = table_open(ExtensionRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	char	   *version = NULL;

	ScanKeyInit(&key, Anum_pg_extension_extname, BTEqualStrategyNumber,
				F_NAMEEQ, CStringGetDatum(EXTENSION_NAME));
	scan = systable_beginscan(rel, ExtensionNameIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
	{
		Form_pg_extension form = (Form_pg_extension) GETSTRUCT(tuple);
		bool		isnull;
		Datum		datum = heap_getattr(tuple, Anum_pg_extension_extversion,
										 RelationGetDescr(rel), &isnull);

		if (!isnull && !(creating_extension && CurrentExtensionObject == form->oid))
			version = TextDatumGetCString(datum);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return version;
}

/*
 * Nothing is remembered: a look into a catalog of a few rows is a small part
 * of what these functions do, and can't be out of date.
 */
void
pooler_require_version(void)
{
	char	   *version;
	int			order;

	pooler_require_shmem();
	version = objects_version();
	order = version != NULL ? compare_versions(version, own_version()) : 0;
	if (order < 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("extension \"pooler\" of this database has version %s, but the library needs version %s",
						version, own_version()),
				 errhint("Run ALTER EXTENSION pooler UPDATE.")));
	if (order > 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("extension \"pooler\" of this database has version %s, but the library that the server has loaded is for version %s",
						version, own_version()),
				 errhint("Restart the server, so that it loads the library that is installed.")));
	if (version != NULL)
		pfree(version);
}

/*
 * require_library(version): the first statement of each script, before any
 * that an older library would fail with its own words, such as "could not
 * find function".  A newer library will do: it still has all the functions
 * that older scripts name.
 */
Datum
pooler_require_library(PG_FUNCTION_ARGS)
{
	char	   *version = text_to_cstring(PG_GETARG_TEXT_PP(0));

	if (compare_versions(version, own_version()) > 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("version %s of extension \"pooler\" needs a newer library than that of version %s, which the server has loaded",
						version, own_version()),
				 errhint("Restart the server, so that it loads the library that is installed.")));
	PG_RETURN_VOID();
}
