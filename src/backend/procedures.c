/*-------------------------------------------------------------------------
 *
 * procedures.c
 *	  Functions that were compiled under an earlier client's settings.
 *
 * Runs in: pool backends.  PL/pgSQL compiles a function at its first call, and
 * looks up the types of its variables by the search_path of that moment.  A
 * session lives with that; the next one must not.
 *
 *-------------------------------------------------------------------------
 */
#include "backend/internal.h"
#include "backend/hash.h"

#ifdef POOLER_HAVE_FUNCCACHE

#include "utils/funccache.h"

#define TABLE_NAME	"Cached function hash"

/* Private to funccache.c. */
typedef struct Entry
{
	CachedFunctionHashKey key;
	CachedFunction *function;
} Entry;

#else

#include "plpgsql.h"

#define TABLE_NAME	"PLpgSQL function hash"

/* Private to pl_comp.c. */
typedef struct Entry
{
	PLpgSQL_func_hashkey key;
	PLpgSQL_function *function;
} Entry;

#endif

/* As if each had been replaced, so that its next call compiles it. */
void
pooler_procedures_compile_again(void)
{
	HTAB	   *table = pooler_hash_find(TABLE_NAME);
	HASH_SEQ_STATUS status;
	Entry	   *entry;

	if (table == NULL)
		return;
	hash_seq_init(&status, table);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		if (entry->function != NULL)
			entry->function->fn_xmin = InvalidTransactionId;
	}
}
