/*-------------------------------------------------------------------------
 *
 * registry.h
 *	  Prepared statements that clients have in common.
 *
 * Runs in: pool backends, which add statements and look them up; the pooler,
 * which gives back what a client held.
 *
 * A statement is a string of bytes that only backend/plans.c understands.  It
 * is kept once for all clients of a database that have prepared the same, and
 * at least as long as one of them holds a reference to it.  Its number stands
 * for its content: it is never given to another one.
 *
 *-------------------------------------------------------------------------
 */
#ifndef POOLER_REGISTRY_H
#define POOLER_REGISTRY_H

#include "compat.h"

#include "datatype/timestamp.h"
#include "port/atomics.h"
#include "utils/dsa.h"

typedef struct PoolerStatementKey
{
	uint64		digest[2];		/* of the content */
	Oid			dbid;			/* the content is full of this database's OIDs */
	uint32		zero;			/* padding, which is hashed, too */
} PoolerStatementKey;

typedef struct PoolerStatement
{
	uint64		id;
	PoolerStatementKey key;
	pg_atomic_uint32 refs;		/* from 0 to 1 only under the lock of the
								 * key's partition; to and from 0 only under
								 * statements_lock */
	uint32		size;			/* of all this */

	/* while refs is 0, in the order in which it became 0; statements_lock */
	dsa_pointer self;
	dsa_pointer older;
	dsa_pointer newer;

	uint32		len;
	char		content[FLEXIBLE_ARRAY_MEMBER];
} PoolerStatement;

/* In the postmaster, once the area has been created. */
extern void pooler_registry_create(dsa_area *area);

/*
 * The statement with this content, with a reference to it for the caller;
 * InvalidDsaPointer if there is none.
 */
extern dsa_pointer pooler_registry_find(const char *content, uint32 len);

/*
 * The same, and if there is none it is added.  InvalidDsaPointer if it does
 * not fit, even without the statements that nobody holds.
 */
extern dsa_pointer pooler_registry_intern(const char *content, uint32 len);

/* Only while a reference is held. */
extern const PoolerStatement *pooler_registry_get(dsa_pointer statement);

extern void pooler_registry_drop(dsa_pointer statement);

/* Is it still there, or has it made room for others? */
extern bool pooler_registry_has(const PoolerStatementKey *key, uint64 id);

/*
 * Calls see() for each statement, those without references included.  Each is
 * locked meanwhile, in shared mode, so that it can't go; see() may raise.
 */
extern void pooler_registry_each(void (*see) (const PoolerStatement *s, void *arg),
								 void *arg);

/* How many have made room so far. */
extern uint32 pooler_registry_evictions(void);

/*---------------------------------------------------------------------------
 * POOLER_PART_STATEMENTS of a session
 *---------------------------------------------------------------------------
 *
 * The number of names (uint32), the time at which each was prepared, and then
 * a record for each, in the order of strcmp().  Nothing is aligned.
 */
typedef struct PoolerName
{
	dsa_pointer statement;
	uint64		id;
	bool		from_sql;
	uint8		len;			/* of the name behind it, with its zero */
} PoolerName;

typedef struct PoolerNames
{
	uint32		n;
	const char *times;
	const char *next;
} PoolerNames;

/* NULL and 0 stand for no names at all. */
static inline PoolerNames
pooler_names_begin(const char *part, int len)
{
	PoolerNames names = {0};

	if (len == 0)
		return names;
	memcpy(&names.n, part, sizeof(uint32));
	names.times = part + sizeof(uint32);
	names.next = names.times + names.n * sizeof(TimestampTz);
	return names;
}

static inline TimestampTz
pooler_names_time(const PoolerNames *names, uint32 i)
{
	TimestampTz result;

	/* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): there are n */
	memcpy(&result, names->times + i * sizeof(TimestampTz), sizeof(result));
	return result;
}

/* To be called n times.  Returns the name. */
static inline const char *
pooler_names_next(PoolerNames *names, PoolerName *name)
{
	const char *result = names->next + sizeof(PoolerName);

	memcpy(name, names->next, sizeof(PoolerName));
	names->next = result + name->len;
	return result;
}

/* One more reference, or one less, for each name of a part. */
extern void pooler_registry_hold(const char *part, int len);
extern void pooler_registry_release(const char *part, int len);

#endif							/* POOLER_REGISTRY_H */
