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
 * another key.  It must always be known where it points: were that element
 * removed, its place would be another client's one day.
 *
 * Whatever uses a sequence writes the transaction's number into its element.
 * We write 0 over it, and so see which have been used since, even if their
 * values are what they were.
 *
 *-------------------------------------------------------------------------
 */
#include "backend/internal.h"
#include "backend/hash.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "commands/sequence.h"
#include "common/hashfn.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"

/* SeqTableData of sequence.c, equal in 15, 17 and 18. */
typedef struct Element
{
	Oid			relid;			/* key */
	Oid			filenumber;
	LocalTransactionId lxid;	/* in which it was used; 0: not since saved */
	bool		last_valid;
	int64		last;
	int64		cached;
	int64		increment;		/* undefined until nextval() is called */
} Element;

/* How an element is saved that has a value. */
typedef struct Saved
{
	Oid			relid;
	Oid			filenumber;
	bool		used_last;		/* lastval() tells this one's value */
	int64		last;
	int64		cached;
	int64		increment;
} Saved;

/* Of the elements, as last saved or restored. */
static uint64 digest_in_force;

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
	saved->last = element->last;
	saved->cached = element->cached;
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
	{
		if (element->last_valid)
			digest += digest_of_element(element);
	}
	return digest;
}

/* Has any sequence been used since, but for this one? */
static bool
used_another(HTAB *table, Oid relid)
{
	HASH_SEQ_STATUS status;
	Element    *element;
	bool		used = false;

	hash_seq_init(&status, table);
	while ((element = hash_seq_search(&status)) != NULL)
	{
		if (element->lxid != InvalidLocalTransactionId && element->relid != relid)
			used = true;
	}
	return used;
}

bool
pooler_sequences_changed(void)
{
	HTAB	   *table = elements();

	return table ? used_another(table, InvalidOid) : digest_in_force != 0;
}

/*---------------------------------------------------------------------------
 * saving
 *---------------------------------------------------------------------------
 */

/*
 * Calls one of the functions below in a transaction of its own, as somebody
 * who may do everything.  Returns the SQLSTATE if it has raised, else 0.
 */
static int
call(PGFunction function, int64 *result)
{
	MemoryContext cxt = CurrentMemoryContext;
	volatile int sqlstate = 0;
	Oid			user;
	int			context;

	StartTransactionCommand();
	if (!RecoveryInProgress())	/* where core allows no other (xact.c) */
		XactReadOnly = false;
	GetUserIdAndSecContext(&user, &context);
	SetUserIdAndSecContext(BOOTSTRAP_SUPERUSERID,
						   context | SECURITY_LOCAL_USERID_CHANGE);
	PG_TRY();
	{
		*result = DatumGetInt64(DirectFunctionCall1(function,
													ObjectIdGetDatum(InvalidOid)));
		SetUserIdAndSecContext(user, context);
		CommitTransactionCommand();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(cxt);
		sqlstate = geterrcode();
		FlushErrorState();
		AbortCurrentTransaction();
		HOLD_CANCEL_INTERRUPTS();	/* errfinish() has released it */
	}
	PG_END_TRY();
	MemoryContextSwitchTo(cxt);
	return sqlstate;
}

/*
 * A sequence for core to open; none if these are all dropped.  Which one is of
 * no account, since its element gets another key.  Core would wait for whoever
 * alters or truncates it.  But all that it looks at is the entry in the
 * relation cache, so a weaker lock will do, and if that can't be had at once,
 * none: a client must not wait for a lock that its command does not need.
 */
static Oid
find_sequence(const Oid *relids, int n)
{
	for (int i = 0; i < n; i++)
	{
		if (!ConditionalLockRelationOid(relids[i], AccessShareLock))
			continue;
		if (get_rel_relkind(relids[i]) == RELKIND_SEQUENCE)
			return relids[i];
		UnlockRelationOid(relids[i], AccessShareLock);
	}
	for (int i = 0; i < n; i++)
	{
		if (get_rel_relkind(relids[i]) != RELKIND_SEQUENCE)
			continue;
#ifdef USE_ASSERT_CHECKING
		LockRelationOid(relids[i], AccessShareLock);	/* relation_open() */
#endif
		return relids[i];
	}
	return InvalidOid;
}

/* For find_sequence() in a function that is called by call(). */
static const Oid *candidates;
static int	ncandidates;

/* All elements, while core is asked which of them it points to. */
static Element **asked;

/*
 * All elements are made to be of one sequence that exists, which need not be
 * locked, and get their numbers in place of their values: lastval() tells the
 * number.  -1: there is no such sequence.
 */
static Datum
number_used_last(PG_FUNCTION_ARGS)
{
	Oid			relid = find_sequence(candidates, ncandidates);

	if (!OidIsValid(relid))
		PG_RETURN_INT64(-1);
	for (int i = 0; i < ncandidates; i++)
	{
		asked[i]->relid = relid;
		asked[i]->lxid = pooler_my_lxid();
		asked[i]->last = i;
	}
	return DirectFunctionCall1(lastval, ObjectIdGetDatum(InvalidOid));
}

/* Finds out where the pointer points to: nowhere if lastval() says so. */
static void
ask_core(HTAB *table)
{
	HASH_SEQ_STATUS status;
	Element    *element;
	int			max = hash_get_num_entries(table);
	Element    *saved = palloc(sizeof(Element) * max);
	Oid		   *relids = palloc(sizeof(Oid) * max);
	int64		answer = -1;
	int			sqlstate;

	asked = palloc(sizeof(Element *) * max);
	candidates = relids;
	ncandidates = 0;
	hash_seq_init(&status, table);
	while ((element = hash_seq_search(&status)) != NULL)
	{
		relids[ncandidates] = element->relid;
		saved[ncandidates] = *element;
		asked[ncandidates++] = element;
	}
	sqlstate = call(number_used_last, &answer);
	if (sqlstate == ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE)
		pointer = POINTER_NULL;
	else if (sqlstate != 0 || answer < 0)
		pointer = POINTER_UNKNOWN;
	else
	{
		pointer = POINTER_KNOWN;
		used_last = relids[answer];
	}
	for (int i = 0; i < ncandidates; i++)
		*asked[i] = saved[i];
	pfree(asked);
	pfree(saved);
	pfree(relids);
}

/* The element that is pointed to, if it is known. */
static Element *
pointed(HTAB *table)
{
	if (pointer != POINTER_KNOWN)
		return NULL;
	return hash_search(table, &used_last, HASH_FIND, NULL);
}

/* If no other sequence has been used, the pointer is where it was. */
static void
find_used_last(HTAB *table)
{
	if (pointed(table) == NULL || used_another(table, used_last))
		ask_core(table);
}

static void
save_elements(HTAB *table, StringInfo part)
{
	HASH_SEQ_STATUS status;
	Element    *element;
	Element    *last = pointed(table);

	hash_seq_init(&status, table);
	while ((element = hash_seq_search(&status)) != NULL)
	{
		Saved		saved;

		element->lxid = InvalidLocalTransactionId;
		if (!element->last_valid)
			continue;			/* says nothing */
		describe(element, &saved);
		saved.used_last = element == last;
		appendBinaryStringInfo(part, (char *) &saved, sizeof(saved));
	}
}

uint64
pooler_sequences_save(StringInfo part)
{
	HTAB	   *table = elements();

	digest_in_force = digest_of(table);
	if (table == NULL)
	{
		pointer = POINTER_NULL;
		return 0;
	}
	find_used_last(table);
	save_elements(table, part);
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
	element->last_valid = true;
	element->last = saved->last;
	element->cached = saved->cached;
	element->increment = saved->increment;
}

/*
 * Has the pointer point to an element: while a cached number is left,
 * nextval() does nothing but take it.  currval() sees to it that the element
 * is up to date, so that this number is not thrown away.  Returns the
 * element's key; 0 if there is no sequence for it.
 */
static Datum
point_somewhere(PG_FUNCTION_ARGS)
{
	Oid			relid = find_sequence(candidates, ncandidates);
	Element    *element;

	if (!OidIsValid(relid))
		PG_RETURN_INT64(0);
	element = hash_search(elements(), &relid, HASH_ENTER, NULL);
	element->filenumber = InvalidOid;
	element->lxid = pooler_my_lxid();
	element->last_valid = true;
	element->last = element->cached = 0;
	(void) DirectFunctionCall1(currval_oid, ObjectIdGetDatum(relid));
	element->cached = element->increment = 1;
	(void) nextval_internal(relid, false);
	PG_RETURN_INT64(relid);
}

/*
 * Looks a sequence up, which makes the table.  Here core takes its lock.  It
 * makes the table even if there is no such relation, but raises an error then.
 */
static Datum
look_up(PG_FUNCTION_ARGS)
{
	LOCAL_FCINFO(inner, 1);
	Oid			relid = InvalidOid;

	for (int i = 0; i < ncandidates && !OidIsValid(relid); i++)
	{
		if (ConditionalLockRelationOid(candidates[i], RowExclusiveLock) &&
			get_rel_relkind(candidates[i]) == RELKIND_SEQUENCE)
			relid = candidates[i];
	}
	InitFunctionCallInfoData(*inner, NULL, 1, InvalidOid, NULL, NULL);
	inner->args[0].value = ObjectIdGetDatum(relid);
	inner->args[0].isnull = false;
	(void) pg_sequence_last_value(inner);
	PG_RETURN_INT64(0);
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

static void
set_pointer(void)
{
	int64		relid = 0;

	if (call(point_somewhere, &relid) != 0)
		pointer = POINTER_UNKNOWN;
	else if (relid != 0)
	{
		pointer = POINTER_KNOWN;
		used_last = (Oid) relid;
	}
}

static void
restore_elements(const Saved *saved, int n, Oid wanted)
{
	HTAB	   *table = elements();
	int64		ignored;

	if (table == NULL)
	{
		(void) call(look_up, &ignored);
		table = elements();
	}
	remove_others(table);
	if (pointer == POINTER_NULL && OidIsValid(wanted))
		set_pointer();
	if (pointer == POINTER_KNOWN)
		point_known_to(table, wanted);
	for (int i = 0; i < n; i++)
		fill(hash_search(table, &saved[i].relid, HASH_ENTER, NULL), &saved[i]);
}

void
pooler_sequences_restore(const char *part, int len)
{
	int			n = len / sizeof(Saved);
	Oid			wanted = InvalidOid;
	Oid		   *relids = palloc(sizeof(Oid) * Max(n, 1));
	Saved	   *saved = palloc(sizeof(Saved) * Max(n, 1));

	/* where a part begins is not aligned */
	if (n > 0)
		memcpy(saved, part, n * sizeof(Saved));
	for (int i = 0; i < n; i++)
	{
		relids[i] = saved[i].relid;
		if (saved[i].used_last)
			wanted = saved[i].relid;
	}
	candidates = relids;
	ncandidates = n;
	if (pointer == POINTER_UNKNOWN || !OidIsValid(wanted))
		ResetSequenceCaches();
	if (elements() == NULL)
		pointer = POINTER_NULL;
	if (n > 0 || elements() != NULL)
		restore_elements(saved, n, wanted);
	digest_in_force = digest_of(elements());
	pfree(saved);
	pfree(relids);
}

/* An element must not be removed while core may point to it. */
void
pooler_sequences_forget(void)
{
	pointer = POINTER_UNKNOWN;
}
