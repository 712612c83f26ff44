/*-------------------------------------------------------------------------
 *
 * registry.c
 *	  Prepared statements that clients have in common.
 *
 * Runs in: pool backends; the pooler, which only gives references back.
 *
 * A dshash table leads from a digest to a statement.  Nobody looks into it to
 * run one: clients carry pointers.  Statements without references stay, in a
 * list, until the room is needed.  Locks are taken in this order: that of a
 * partition of the table, statements_lock.  A transaction without Parse, and
 * a hand-over, take none.
 *
 *-------------------------------------------------------------------------
 */
#include "shared/registry.h"

#include "common/hashfn.h"
#include "lib/dshash.h"
#include "shared/area.h"
#include "shared/guc.h"
#include "shared/shmem.h"
#include "storage/lwlock.h"
#include "tcop/tcopprot.h"
#include "utils/memutils.h"

/* What the table keeps. */
typedef struct Entry
{
	PoolerStatementKey key;
	dsa_pointer statement;
	uint64		id;
} Entry;

/* Room that an entry takes in the table, about. */
#define ENTRY_SIZE	(sizeof(Entry) + 32)

/* How many statements may have to make room for one, at most. */
#define MAX_EVICTIONS	64

static dshash_parameters parameters = {
	.key_size = sizeof(PoolerStatementKey),
	.entry_size = sizeof(Entry),
	.compare_function = dshash_memcmp,
	.hash_function = dshash_memhash,
	POOLER_DSHASH_MEMCPY
};

void
pooler_registry_create(dsa_area *area)
{
	dshash_table *table;

	LWLockInitialize(&pooler_shared->statements_lock, pooler_shared->area_tranche);
	pg_atomic_init_u64(&pooler_shared->statements_bytes, 0);
	pg_atomic_init_u64(&pooler_shared->statements_next_id, 1);
	pg_atomic_init_u32(&pooler_shared->statements, 0);
	pg_atomic_init_u32(&pooler_shared->statements_evicted, 0);
	parameters.tranche_id = pooler_shared->area_tranche;
	table = dshash_create(area, &parameters, NULL);
	pooler_shared->statements_table = dshash_get_hash_table_handle(table);
	dshash_detach(table);
}

static dshash_table *
registry(void)
{
	static dshash_table *table = NULL;
	MemoryContext old;

	if (table != NULL)
		return table;
	old = MemoryContextSwitchTo(TopMemoryContext);
	parameters.tranche_id = pooler_shared->area_tranche;
	table = dshash_attach(pooler_area(), &parameters,
						  pooler_shared->statements_table, NULL);
	MemoryContextSwitchTo(old);
	return table;
}

static PoolerStatement *
get(dsa_pointer statement)
{
	return dsa_get_address(pooler_area(), statement);
}

const PoolerStatement *
pooler_registry_get(dsa_pointer statement)
{
	return get(statement);
}

/*---------------------------------------------------------------------------
 * statements without references, least recently used first
 *---------------------------------------------------------------------------
 */

/* Both under statements_lock. */
static void
push_unused(PoolerStatement *s)
{
	s->newer = InvalidDsaPointer;
	s->older = pooler_shared->statements_newest;
	if (s->older != InvalidDsaPointer)
		get(s->older)->newer = s->self;
	else
		pooler_shared->statements_oldest = s->self;
	pooler_shared->statements_newest = s->self;
}

static void
remove_unused(PoolerStatement *s)
{
	if (s->older != InvalidDsaPointer)
		get(s->older)->newer = s->newer;
	else
		pooler_shared->statements_oldest = s->newer;
	if (s->newer != InvalidDsaPointer)
		get(s->newer)->older = s->older;
	else
		pooler_shared->statements_newest = s->older;
}

/* Adds a reference if there is one. */
static bool
hold_used(PoolerStatement *s)
{
	uint32		refs = pg_atomic_read_u32(&s->refs);

	while (refs > 0)
	{
		if (pg_atomic_compare_exchange_u32(&s->refs, &refs, refs + 1))
			return true;
	}
	return false;
}

/* Under the lock of its partition, or while a reference is held. */
static void
hold(PoolerStatement *s)
{
	if (hold_used(s))
		return;
	LWLockAcquire(&pooler_shared->statements_lock, LW_EXCLUSIVE);
	if (pg_atomic_fetch_add_u32(&s->refs, 1) == 0)
		remove_unused(s);
	LWLockRelease(&pooler_shared->statements_lock);
}

void
pooler_registry_drop(dsa_pointer statement)
{
	PoolerStatement *s = get(statement);
	uint32		refs = pg_atomic_read_u32(&s->refs);

	while (refs > 1)
	{
		if (pg_atomic_compare_exchange_u32(&s->refs, &refs, refs - 1))
			return;
	}
	LWLockAcquire(&pooler_shared->statements_lock, LW_EXCLUSIVE);
	if (pg_atomic_sub_fetch_u32(&s->refs, 1) == 0)
		push_unused(s);
	LWLockRelease(&pooler_shared->statements_lock);
}

/*---------------------------------------------------------------------------
 * making room
 *---------------------------------------------------------------------------
 */

/* The one that has been unused for longest; false if all are used. */
static bool
find_oldest(PoolerStatementKey *key, uint64 *id)
{
	bool		found;

	LWLockAcquire(&pooler_shared->statements_lock, LW_SHARED);
	found = pooler_shared->statements_oldest != InvalidDsaPointer;
	if (found)
	{
		PoolerStatement *s = get(pooler_shared->statements_oldest);

		*key = s->key;
		*id = s->id;
	}
	LWLockRelease(&pooler_shared->statements_lock);
	return found;
}

/*
 * Under the exclusive lock of its partition nobody can find it, so with no
 * references it stays unused.
 */
static bool
take_unused(PoolerStatement *s)
{
	bool		unused;

	LWLockAcquire(&pooler_shared->statements_lock, LW_EXCLUSIVE);
	unused = pg_atomic_read_u32(&s->refs) == 0;
	if (unused)
		remove_unused(s);
	LWLockRelease(&pooler_shared->statements_lock);
	return unused;
}

/*
 * Between find_oldest() and here it may have been taken into use, or been
 * evicted by somebody else.  Returns how many bytes were freed.
 */
static Size
evict(const PoolerStatementKey *key, uint64 id)
{
	Entry	   *entry = dshash_find(registry(), key, true);
	dsa_pointer statement;
	Size		size;

	if (entry == NULL)
		return 0;
	if (entry->id != id || !take_unused(get(entry->statement)))
	{
		dshash_release_lock(registry(), entry);
		return 0;
	}
	statement = entry->statement;
	dshash_delete_entry(registry(), entry);
	size = get(statement)->size + ENTRY_SIZE;
	dsa_free(pooler_area(), statement);
	pg_atomic_fetch_sub_u64(&pooler_shared->statements_bytes, size);
	pg_atomic_fetch_sub_u32(&pooler_shared->statements, 1);
	pg_atomic_fetch_add_u32(&pooler_shared->statements_evicted, 1);
	return size;
}

/* False if all are used; that somebody else was faster counts as 0 bytes. */
static bool
evict_oldest(Size *freed)
{
	PoolerStatementKey key;
	uint64		id;

	if (!find_oldest(&key, &id))
		return false;
	*freed += evict(&key, id);
	return true;
}

/*
 * Accounts for so many bytes; false if they are too many.  When the limit has
 * been lowered it is enough if as much is freed as is added: what is above the
 * limit then goes little by little.
 */
static bool
reserve(Size size)
{
	uint64		limit = (uint64) pooler_prepared_statements_memory * 1024;
	uint64		used = pg_atomic_add_fetch_u64(&pooler_shared->statements_bytes, size);
	Size		freed = 0;

	for (int i = 0; used > limit && i < MAX_EVICTIONS && evict_oldest(&freed); i++)
		used = pg_atomic_read_u64(&pooler_shared->statements_bytes);
	if (used <= limit || freed >= size)
		return true;
	pg_atomic_fetch_sub_u64(&pooler_shared->statements_bytes, size);
	return false;
}

/*---------------------------------------------------------------------------
 * finding and adding
 *---------------------------------------------------------------------------
 */

static PoolerStatementKey
key_of(const char *content, uint32 len)
{
	PoolerStatementKey key = {.dbid = MyDatabaseId};

	for (int i = 0; i < 2; i++)
		key.digest[i] = hash_bytes_extended((const unsigned char *) content, len, i + 1);
	return key;
}

/*
 * The entry is locked.  Two contents with the same digest are not expected;
 * the second one is treated as one that does not fit.
 */
static dsa_pointer
use(const Entry *entry, const char *content, uint32 len)
{
	PoolerStatement *s = get(entry->statement);

	if (s->len != len || memcmp(s->content, content, len) != 0)
		return InvalidDsaPointer;
	hold(s);
	return entry->statement;
}

static dsa_pointer
find(const PoolerStatementKey *key, const char *content, uint32 len)
{
	dsa_pointer result = InvalidDsaPointer;
	Entry	   *entry = dshash_find(registry(), key, false);

	if (entry == NULL)
		return InvalidDsaPointer;
	result = use(entry, content, len);
	dshash_release_lock(registry(), entry);
	return result;
}

/* With one reference. */
static dsa_pointer
make(const PoolerStatementKey *key, const char *content, uint32 len, Size size)
{
	dsa_pointer result = pooler_area_allocate(size);
	PoolerStatement *s;

	if (result == InvalidDsaPointer)
		return InvalidDsaPointer;
	s = get(result);
	s->id = pg_atomic_fetch_add_u64(&pooler_shared->statements_next_id, 1);
	s->key = *key;
	pg_atomic_init_u32(&s->refs, 1);
	s->size = size;
	s->self = result;
	s->older = s->newer = InvalidDsaPointer;
	s->len = len;
	memcpy(s->content, content, len);
	return result;
}

/* Frees the new one if somebody else has added the same meanwhile. */
static dsa_pointer
add(const PoolerStatementKey *key, const char *content, uint32 len)
{
	Size		size = offsetof(PoolerStatement, content) + len;
	dsa_pointer new;
	dsa_pointer result;
	Size		freed = 0;
	Entry	   *entry;
	bool		found;

	if (!reserve(size + ENTRY_SIZE))
		return InvalidDsaPointer;
	new = result = make(key, content, len, size);
	/* the system may give less than the limit allows */
	for (int i = 0; new == InvalidDsaPointer && i < MAX_EVICTIONS && evict_oldest(&freed); i++)
		new = result = make(key, content, len, size);
	if (new != InvalidDsaPointer)
	{
		entry = dshash_find_or_insert(registry(), key, &found);
		if (found)
			result = use(entry, content, len);
		else
		{
			entry->statement = new;
			entry->id = get(new)->id;
			pg_atomic_fetch_add_u32(&pooler_shared->statements, 1);
		}
		dshash_release_lock(registry(), entry);
		if (!found)
			return new;
		dsa_free(pooler_area(), new);
	}
	pg_atomic_fetch_sub_u64(&pooler_shared->statements_bytes, size + ENTRY_SIZE);
	return result;
}

dsa_pointer
pooler_registry_find(const char *content, uint32 len)
{
	PoolerStatementKey key = key_of(content, len);

	return find(&key, content, len);
}

/* Not inlined, as it has variables and is called where an error may jump to. */
static pg_noinline dsa_pointer
find_or_add(const PoolerStatementKey *key, const char *content, uint32 len)
{
	dsa_pointer result = find(key, content, len);

	return result != InvalidDsaPointer ? result : add(key, content, len);
}

/*
 * dshash raises an error if it finds no room to grow.  The bytes stay accounted
 * for.
 */
dsa_pointer
pooler_registry_intern(const char *content, uint32 len)
{
	PoolerStatementKey key = key_of(content, len);
	PoolerAreaGuard guard = pooler_area_guard();
	volatile dsa_pointer result = InvalidDsaPointer;

	PG_TRY();
	{
		result = find_or_add(&key, content, len);
	}
	PG_CATCH();
	{
		CommandDest dest = whereToSendOutput;

		MemoryContextSwitchTo(guard.cxt);
		whereToSendOutput = DestNone;	/* its client keeps the backend */
		EmitErrorReport();
		whereToSendOutput = dest;
		pooler_area_recover(&guard);
	}
	PG_END_TRY();
	return result;
}

bool
pooler_registry_has(const PoolerStatementKey *key, uint64 id)
{
	Entry	   *entry = dshash_find(registry(), key, false);
	bool		result = entry != NULL && entry->id == id;

	if (entry != NULL)
		dshash_release_lock(registry(), entry);
	return result;
}

void
pooler_registry_each(void (*see) (const PoolerStatement *s, void *arg), void *arg)
{
	dshash_seq_status status;
	Entry	   *entry;

	dshash_seq_init(&status, registry(), false);
	while ((entry = dshash_seq_next(&status)) != NULL)
		see(get(entry->statement), arg);
	dshash_seq_term(&status);
}

uint32
pooler_registry_evictions(void)
{
	return pg_atomic_read_u32(&pooler_shared->statements_evicted);
}

/*---------------------------------------------------------------------------
 * references of a session
 *---------------------------------------------------------------------------
 */

void
pooler_registry_hold(const char *part, int len)
{
	PoolerNames names = pooler_names_begin(part, len);
	PoolerName	name;

	for (uint32 i = 0; i < names.n; i++)
	{
		(void) pooler_names_next(&names, &name);
		hold(get(name.statement));
	}
}

void
pooler_registry_release(const char *part, int len)
{
	PoolerNames names = pooler_names_begin(part, len);
	PoolerName	name;

	for (uint32 i = 0; i < names.n; i++)
	{
		(void) pooler_names_next(&names, &name);
		pooler_registry_drop(name.statement);
	}
}
