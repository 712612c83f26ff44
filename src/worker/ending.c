/*-------------------------------------------------------------------------
 *
 * ending.c
 *	  Ends a client, wherever it is.
 *
 * Runs in: the pooler.  A client that the pooler has is told and closed here;
 * one that a backend has is ended through that backend, which tells it
 * (backend/ending.c).
 *
 *-------------------------------------------------------------------------
 */
#include "worker/internal.h"

#include <signal.h>

void
pooler_client_close_for(int slot, PoolerEndReason reason)
{
	const PoolerEndWords *words = pooler_end_words(reason);
	PoolerErrorFields error = {.severity = "FATAL"};

	error.sqlstate = words->sqlstate;
	error.message = _(words->message);
	error.detail = words->detail ? _(words->detail) : NULL;
	pooler_client_log_begin(slot);
	if (pooler_end_logged(reason))
		ereport(LOG,
				(errmsg_internal("%s", error.message),
				 error.detail ? errdetail_internal("%s", error.detail) : 0));
	pooler_client_log_end();
	pooler_client_close(slot, &error, words->name);
}

/* Its word named this backend a moment ago. */
static bool
end_at_backend(int slot, uint32 gen, int backend, PoolerEndReason reason)
{
	uint64		w = pg_atomic_read_u64(&pooler_backends[backend].word);

	if (pooler_backend_word_client(w) != (uint32) slot ||
		pooler_backend_word_gen(w) != gen)
		return false;
	switch (pooler_backend_word_state(w))
	{
		case POOLER_BACKEND_BUSY:
			return pooler_backend_signal(backend, slot, gen, SIGTERM, reason);
		case POOLER_BACKEND_PINNED:
			pooler_backend_demand_pinned(backend, reason);
			return false;
		case POOLER_BACKEND_LINGERING:
			/* the backend can stay: it gives the client back to us */
			if (pooler_backend_claim(backend))
				pooler_backend_detach(backend);
			return false;
		default:
			return false;
	}
}

bool
pooler_client_end(int slot, PoolerEndReason reason)
{
	PoolerClient *client = &pooler_clients[slot];
	uint64		w = pg_atomic_read_u64(&client->word);

	switch (pooler_client_word_state(w))
	{
		case POOLER_CLIENT_FREE:
			return true;
		case POOLER_CLIENT_QUEUED:
			if (!pooler_queue_remove(&pooler_pools[client->pool], slot,
									 pooler_client_word_gen(w)))
				return false;
			/* FALLTHROUGH */
		case POOLER_CLIENT_LOGIN:
		case POOLER_CLIENT_IDLE:
			pooler_client_close_for(slot, reason);
			return true;
		case POOLER_CLIENT_CLAIMED:
			return false;
		case POOLER_CLIENT_BACKEND:
			return end_at_backend(slot, pooler_client_word_gen(w),
								  pooler_client_word_backend(w), reason);
	}
	return false;
}
