/*-------------------------------------------------------------------------
 *
 * holdings.c
 *	  SQL function for what clients hold, whether it is a leak or not.
 *
 * Runs in: any backend.  Reads shared memory and changes nothing there.
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "fmgr.h"
#include "shared/leak.h"
#include "shared/shmem.h"
#include "shared/snapshot.h"
#include "sql/rows.h"
#include "sql/version.h"

PG_FUNCTION_INFO_V1(pooler_get_holdings);

typedef struct Holder
{
	uint64		client_id;
	int			pid;			/* 0: it has no backend */
	uint32		statements;
	uint32		statements_grown;
	PoolerHoldings held;
} Holder;

/* False if the client or its backend has become another one meanwhile. */
static bool
look_at(int32 slot, Holder *holder)
{
	PoolerClient *client = &pooler_clients[slot];
	uint64		word = pg_atomic_read_u64(&client->word);
	uint32		backend = pooler_client_word_backend(word);

	memset(holder, 0, sizeof(*holder));
	pg_read_barrier();
	holder->client_id = client->id;
	holder->statements = client->statements;
	holder->statements_grown = client->statements_grown;
	if (client->pool >= 0 && backend < (uint32) pooler_shared->nbackends &&
		pooler_client_word_state(word) == POOLER_CLIENT_BACKEND)
	{
		holder->pid = pooler_backends[backend].pid;
		pooler_leak_read_holdings(&pooler_backends[backend].holdings, &holder->held);
	}
	pg_read_barrier();
	return client->pool >= 0 && pg_atomic_read_u64(&client->word) == word;
}

static void
holder_row(PoolerRow *row, const Holder *holder)
{
	const PoolerHoldings *held = &holder->held;

	pooler_put_count(row, holder->client_id);
	pooler_put_int_or_null(row, holder->pid);
	pooler_put_text(row, held->first_query);
	if (held->first_query_id != 0)
		pooler_put_count(row, held->first_query_id);
	else
		pooler_put_null(row);
	pooler_put_count(row, held->cursors);
	pooler_put_count(row, held->cursors_grown);
	pooler_put_text(row, held->cursor_names);
	pooler_put_count(row, held->locks);
	pooler_put_count(row, held->locks_grown);
	pooler_put_count(row, held->temp_objects);
	pooler_put_count(row, held->temp_objects_grown);
	pooler_put_count(row, held->temp_bytes);
	pooler_put_count(row, holder->statements);
	pooler_put_count(row, holder->statements_grown);
}

Datum
pooler_get_holdings(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result;
	PoolerRow	row = {0};
	Holder		holder;

	pooler_require_version();
	result = pooler_rows_begin(fcinfo);
	for (int32 i = 0; i < pooler_shared->nclients; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (pooler_client_word_state(pg_atomic_read_u64(&pooler_clients[i].word)) ==
			POOLER_CLIENT_FREE || !look_at(i, &holder))
			continue;
		holder_row(&row, &holder);
		pooler_rows_put(result, &row);
	}
	return (Datum) 0;
}
