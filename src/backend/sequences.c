/*-------------------------------------------------------------------------
 *
 * sequences.c
 *	  currval(), lastval() and cached numbers travel with the client.
 *
 * Runs in: pool backends.  Core keeps an element for each sequence that the
 * session has used in a hash table (sequence.c), and a pointer to the one that
 * nextval() was last called for.  The elements can be read and written.  The
 * pointer can't; but lastval() tells where it points, nextval() sets it,
 * DISCARD SEQUENCES clears it, and the element that it points to can be given
 * another key.
 *
 *-------------------------------------------------------------------------
 */
#include "backend/internal.h"
#include "backend/hash.h"

#include "access/xact.h"
#include "catalog/pg_authid.h"
#include "commands/sequence.h"
#include "common/hashfn.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/syscache.h"

/* SeqTableData of sequence.c, equal in 15, 17 and 18. */
typedef struct Element
{
	Oid			relid;			/* key */
	Oid			filenumber;
	LocalTransactionId lxid;	/* of this process; means nothing elsewhere */
	bool		last_valid;
	int64		last;
	int64		cached;
	int64		increment;		/* undefined until nextval() is called */
} Element;

/* How an element is saved. */
typedef struct Saved
{
	Oid			relid;
	Oid			filenumber;
	bool		last_valid;
	bool		used_last;		/* lastval() tells this one's value */
	int64		last;
	int64		cached;
	int64		increment;
} Saved;

/*
 * Of the elements, as last saved or restored: all, and all but the one that
 * was used last.
 */
static uint64 digest_in_force;
static uint64 digest_of_others;

/* Where core's pointer points, if that is known. */
static enum
{
	POINTER_NULL,				/* nowhere */
	POINTER_KNOWN,				/* to the element whose key is used_last */
	POINTER_UNKNOWN
}			pointer = POINTER_NULL;
static Oid	used_last;

/* It is destroyed by DISCARD and made again, so it can't be remembered. */
static HTAB *
elements(void)
{
	return pooler_hash_find("Sequence values");
}

static void
describe(const Element *element, Saved *saved)
{
	memset(saved, 0, sizeof(Saved));
	saved->relid = element->relid;
	saved->filenumber = element->filenumber;
	saved->last_valid = element->last_valid;
	saved->last = element->last;
	saved->cached = element->cached;
	if (element->last_valid)
		saved->increment = element->increment;
}

static uint64
digest_of_element(const Element *element)
{
	Saved		saved;

	describe(element, &saved);
	return hash_bytes_extended((unsigned char *) &saved, sizeof(saved),
							   pooler_shared->digest_seed);
}

/* Does not depend on the order of the elements, nor on which was used last. */
static uint64
digest_of(HTAB *table)
{
	HASH_SEQ_STATUS status;
	Element    *element;
	uint64		digest = 0;

	if (table == NULL)
		return 0;
	hash_seq_init(&status, table);
	while ((element = hash_seq_search(&status)) != NULL)
		digest += digest_of_element(element);
	return digest;
}

bool
pooler_sequences_changed(void)
{
	HTAB	   *table = elements();

	return (table != NULL || digest_in_force != 0) &&
		digest_of(table) != digest_in_force;
}

void
pooler_sequences_see_discard(void)
{
	pointer = POINTER_UNKNOWN;
}

/*---------------------------------------------------------------------------
 * saving
 *---------------------------------------------------------------------------
 */

/*
 * Calls a function with a sequence's OID in a transaction of its own, as
 * somebody who may.  False if it has raised.
 */
static bool
call(PGFunction function, Oid argument, int64 *result)
{
	MemoryContext cxt = CurrentMemoryContext;
	volatile bool ok = true;
	Oid			user;
	int			context;

	StartTransactionCommand();
	XactReadOnly = false;
	GetUserIdAndSecContext(&user, &context);
	SetUserIdAndSecContext(BOOTSTRAP_SUPERUSERID,
						   context | SECURITY_LOCAL_USERID_CHANGE);
	PG_TRY();
	{
		*result = DatumGetInt64(DirectFunctionCall1(function,
													ObjectIdGetDatum(argument)));
		SetUserIdAndSecContext(user, context);
		CommitTransactionCommand();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(cxt);
		FlushErrorState();
		AbortCurrentTransaction();
		HOLD_CANCEL_INTERRUPTS();	/* errfinish() has released it */
		ok = false;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(cxt);
	return ok;
}

/*
 * The elements get numbers in place of their values, and lastval() tells the
 * one that the pointer points to.  It raises if that sequence is no more: then
 * the pointer can't be told.
 */
static void
ask_lastval(HTAB *table)
{
	HASH_SEQ_STATUS status;
	Element    *element;
	int			n = 0;
	int			max = hash_get_num_entries(table);
	Element   **all = palloc(sizeof(Element *) * max);
	int64	   *values = palloc(sizeof(int64) * max);
	int64		answer;

	hash_seq_init(&status, table);
	while ((element = hash_seq_search(&status)) != NULL)
	{
		values[n] = element->last;
		element->last = n;
		all[n++] = element;
	}
	if (call(lastval, InvalidOid, &answer) && answer >= 0 && answer < n)
	{
		pointer = POINTER_KNOWN;
		used_last = all[answer]->relid;
	}
	else if (pointer == POINTER_KNOWN)
		pointer = POINTER_UNKNOWN;
	for (int i = 0; i < n; i++)
		all[i]->last = values[i];
	pfree(all);
	pfree(values);
}

/* The element that is pointed to, if it is known. */
static Element *
pointed(HTAB *table)
{
	if (pointer != POINTER_KNOWN)
		return NULL;
	return hash_search(table, &used_last, HASH_FIND, NULL);
}

static void
remember_digests(HTAB *table)
{
	Element    *element = table ? pointed(table) : NULL;

	digest_in_force = digest_of(table);
	digest_of_others = digest_in_force - (element ? digest_of_element(element) : 0);
}

/*
 * If the sequence that was used last is the only one that has changed since,
 * it still is.
 */
static void
find_used_last(HTAB *table)
{
	Element    *element = pointed(table);

	if (element == NULL ||
		digest_of(table) - digest_of_element(element) != digest_of_others)
		ask_lastval(table);
}

uint64
pooler_sequences_save(StringInfo part)
{
	HTAB	   *table = elements();
	HASH_SEQ_STATUS status;
	Element    *element;

	if (table == NULL)
		pointer = POINTER_NULL;
	else
		find_used_last(table);
	remember_digests(table);
	if (table == NULL)
		return 0;
	hash_seq_init(&status, table);
	while ((element = hash_seq_search(&status)) != NULL)
	{
		Saved		saved;

		describe(element, &saved);
		saved.used_last = element == pointed(table);
		appendBinaryStringInfo(part, (char *) &saved, sizeof(saved));
	}
	if (part->len == 0)
		return 0;
	/* two clients with equal values may differ in what they used last */
	return digest_in_force + (pointed(table) ? used_last : 0);
}

/*---------------------------------------------------------------------------
 * restoring
 *---------------------------------------------------------------------------
 */

static void
fill(Element *element, const Saved *saved)
{
	element->filenumber = saved->filenumber;
	element->lxid = InvalidLocalTransactionId;
	element->last_valid = saved->last_valid;
	element->last = saved->last;
	element->cached = saved->cached;
	element->increment = saved->increment;
}

/*
 * Has the pointer point to a sequence: while a cached number is left, nextval()
 * does nothing but take it.  currval() sees to it that the element is up to
 * date, so that this number is not thrown away, and that the sequence stays as
 * it is until the end of the transaction.
 */
static Datum
point_to(PG_FUNCTION_ARGS)
{
	Oid			relid = PG_GETARG_OID(0);
	Element    *element = hash_search(elements(), &relid, HASH_ENTER, NULL);

	element->filenumber = InvalidOid;
	element->lxid = InvalidLocalTransactionId;
	element->last_valid = true;
	element->last = element->cached = 0;
	(void) DirectFunctionCall1(currval_oid, ObjectIdGetDatum(relid));
	element->cached = element->increment = 1;
	PG_RETURN_INT64(nextval_internal(relid, false));
}

/* Looks the sequence up, which makes the table. */
static Datum
look_up(PG_FUNCTION_ARGS)
{
	LOCAL_FCINFO(inner, 1);

	InitFunctionCallInfoData(*inner, NULL, 1, InvalidOid, NULL, NULL);
	inner->args[0].value = PG_GETARG_DATUM(0);
	inner->args[0].isnull = false;
	(void) pg_sequence_last_value(inner);
	PG_RETURN_INT64(0);
}

static HTAB *
make_table(Oid relid)
{
	int64		ignored;

	(void) call(look_up, relid, &ignored);
	return elements();
}

static void
remove_others(HTAB *table)
{
	HASH_SEQ_STATUS status;
	Element    *element;
	Element    *keep = pointed(table);

	hash_seq_init(&status, table);
	while ((element = hash_seq_search(&status)) != NULL)
	{
		if (element != keep)
			(void) hash_search(table, &element->relid, HASH_REMOVE, NULL);
	}
}

/* Gives the element that is pointed to another key, which is in use by none. */
static void
point_known_to(HTAB *table, Oid relid)
{
	if (used_last != relid)
		(void) hash_update_hash_key(table, pointed(table), &relid);
	used_last = relid;
}

void
pooler_sequences_restore(const char *part, int len)
{
	const Saved *saved = (const Saved *) part;
	int			n = len / sizeof(Saved);
	HTAB	   *table;
	Oid			wanted = InvalidOid;
	int64		ignored;

	for (int i = 0; i < n; i++)
	{
		if (saved[i].used_last)
			wanted = saved[i].relid;
	}
	if (pointer == POINTER_UNKNOWN || !OidIsValid(wanted))
		ResetSequenceCaches();
	table = elements();
	if (table == NULL)
		pointer = POINTER_NULL;
	if (table == NULL && n > 0)
		table = make_table(saved[0].relid);
	if (table != NULL)
	{
		remove_others(table);
		if (pointer == POINTER_KNOWN)
			point_known_to(table, wanted);
		else if (OidIsValid(wanted) && call(point_to, wanted, &ignored))
		{
			pointer = POINTER_KNOWN;
			used_last = wanted;
		}
		for (int i = 0; i < n; i++)
			fill(hash_search(table, &saved[i].relid, HASH_ENTER, NULL), &saved[i]);
	}
	remember_digests(table);
}
