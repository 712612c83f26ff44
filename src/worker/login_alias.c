/*-------------------------------------------------------------------------
 *
 * login_alias.c
 *	  What the settings make of a startup packet: other names for databases
 *	  (pooler.aliases), and parameters that are left out
 *	  (pooler.ignore_startup_parameters).
 *
 * Runs in: the pooler.  Both settings may change at each reload and are looked
 * at only while a client logs in: who is connected keeps what it has.
 *
 *-------------------------------------------------------------------------
 */
#include "worker/login_internal.h"

#include "auth/catalog.h"
#include "nodes/pg_list.h"
#include "shared/lists.h"
#include "utils/memutils.h"
#include "utils/varlena.h"

/* A setting that was taken apart, as long as its value is the same. */
typedef struct KnownList
{
	MemoryContext cxt;			/* NULL: not yet */
	char	   *value;
	List	   *items;
} KnownList;

/* Is it this value's?  If not it is empty, and memory is to be had in cxt. */
static bool
known(KnownList *list, const char *value)
{
	if (list->cxt != NULL && strcmp(list->value, value) == 0)
		return true;
	if (list->cxt == NULL)
		list->cxt = AllocSetContextCreate(TopMemoryContext, "pooler list",
										  ALLOCSET_SMALL_SIZES);
	else
		MemoryContextReset(list->cxt);
	list->items = NIL;
	list->value = MemoryContextStrdup(list->cxt, value);
	return false;
}

static const PoolerAlias *
find_alias(const char *name)
{
	static KnownList aliases;

	if (!known(&aliases, pooler_aliases))
	{
		MemoryContext old = MemoryContextSwitchTo(aliases.cxt);
		const char *ignored;

		(void) pooler_parse_aliases(pooler_aliases, &aliases.items, &ignored);
		MemoryContextSwitchTo(old);
	}
	return pooler_find_alias(aliases.items, name);
}

/*
 * The database is looked for each time: one that was created after the alias
 * is the one that is meant.
 */
void
pooler_login_resolve_alias(int slot)
{
	WorkerLogin *login = login_of(slot);
	PoolerClient *client = &pooler_clients[slot];
	const PoolerAlias *alias;

	if (pooler_aliases[0] == '\0' ||
		login->startup.replication == POOLER_REPLICATION_PHYSICAL)
		return;
	alias = find_alias(client->database);
	if (alias == NULL || pooler_catalog_has_database(client->database))
		return;
	strlcpy(client->alias, client->database, NAMEDATALEN);
	strlcpy(client->database, alias->database, NAMEDATALEN);
	if (alias->role != NULL && strcmp(alias->role, client->role) != 0)
		login->forced_role = MemoryContextStrdup(login->cxt, alias->role);
}

bool
pooler_login_ignores(const char *parameter)
{
	static KnownList names;
	ListCell   *cell;

	if (!known(&names, pooler_ignore_startup_parameters))
	{
		MemoryContext old = MemoryContextSwitchTo(names.cxt);

		(void) SplitIdentifierString(pstrdup(names.value), ',', &names.items);
		MemoryContextSwitchTo(old);
	}
	foreach(cell, names.items)
	{
		if (pg_strcasecmp(lfirst(cell), parameter) == 0)
			return true;
	}
	return false;
}
