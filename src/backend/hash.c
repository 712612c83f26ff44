/*-------------------------------------------------------------------------
 *
 * hash.c
 *	  Core's private hash tables.
 *
 * Runs in: pool backends.  hash_create() makes a memory context named
 * "dynahash" whose identifier is the table's name, and the name lies behind
 * the table's header in the same allocation (dynahash.c).  How far behind is
 * measured on a table of our own.
 *
 *-------------------------------------------------------------------------
 */
#include "backend/hash.h"

#include "utils/memutils.h"

static HTAB *
make_table(void)
{
	HASHCTL		info = {0};

	info.keysize = sizeof(uint32);
	info.entrysize = sizeof(uint32);
	return hash_create("pooler measure", 1, &info, HASH_ELEM | HASH_BLOBS);
}

static ptrdiff_t
header_size(void)
{
	static ptrdiff_t size = 0;
	HTAB	   *table;

	if (size != 0)
		return size;
	table = make_table();
	for (MemoryContext c = TopMemoryContext->firstchild; c; c = c->nextchild)
	{
		if (c->ident != NULL && strcmp(c->ident, "pooler measure") == 0)
			size = c->ident - (const char *) table;
	}
	hash_destroy(table);
	if (size <= 0 || size > 1024)
		ereport(FATAL,
				(errcode(ERRCODE_SYSTEM_ERROR),
				 errmsg("could not find the session's hash tables")));
	return size;
}

static HTAB *
find_in(MemoryContext parent, const char *name)
{
	for (MemoryContext c = parent->firstchild; c; c = c->nextchild)
	{
		if (c->ident != NULL && strcmp(c->name, "dynahash") == 0 &&
			strcmp(c->ident, name) == 0)
			return (HTAB *) (c->ident - header_size());
	}
	return NULL;
}

HTAB *
pooler_hash_find(const char *name)
{
	return find_in(TopMemoryContext, name);
}

HTAB *
pooler_hash_find_below(const char *context, const char *name)
{
	for (MemoryContext c = TopMemoryContext->firstchild; c; c = c->nextchild)
	{
		if (strcmp(c->name, context) == 0)
			return find_in(c, name);
	}
	return NULL;
}
