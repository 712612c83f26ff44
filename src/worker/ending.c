/*-------------------------------------------------------------------------
 *
 * ending.c
 *	  Ends a client, wherever it is.
 *
 * Runs in: the pooler.  A client that the pooler has is told and closed here;
 * one that a backend has is ended through that backend, which tells it
 * (backend/ending.c).
 *
 * A client that an administrator wants to go is marked, and looked at every few
 * milliseconds until it has gone, since a hand-over that is under way is over
 * by then.  The mark belongs to the slot's client and goes with it: who comes
 * later is not meant.
 *
 *-------------------------------------------------------------------------
 */
#include "worker/internal.h"

#include <signal.h>
#include <sys/socket.h>

#include "storage/proc.h"
#include "storage/procarray.h"
#include "utils/wait_event.h"

#define LOOK_AGAIN_MS	10

/* A backend is signalled again after this time. */
#define SIGNAL_AGAIN_MS	5000

/* A client that does not read its result is cut off after this time. */
#define CUT_OFF_MS		1000

static int	nending;			/* clients that are marked */

void
pooler_client_close_for(int slot, PoolerEndReason reason)
{
	pooler_client_close_with(slot, reason, NULL);
}

void
pooler_client_close_with(int slot, PoolerEndReason reason, const char *detail)
{
	const PoolerEndWords *words = pooler_end_words(reason);
	PoolerErrorFields error = {.severity = "FATAL"};

	error.sqlstate = words->sqlstate;
	error.message = _(words->message);
	error.detail = words->detail ? _(words->detail) : detail;
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
			pooler_backend_demand_pinned(backend, w, reason);
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
		case POOLER_CLIENT_CONSOLE:
			pooler_client_close_for(slot, reason);
			return true;
		case POOLER_CLIENT_CLAIMED:
			return false;
		case POOLER_CLIENT_BACKEND:
			if (pooler_worker_clients[slot].login != NULL)
			{
				/* core logs it in, and finds the connection closed */
				(void) shutdown(pooler_worker_clients[slot].fd, SHUT_RDWR);
				return false;
			}
			return end_at_backend(slot, pooler_client_word_gen(w),
								  pooler_client_word_backend(w), reason);
		case POOLER_CLIENT_REPLICATION:
			pooler_replication_signal(slot, SIGTERM);
			return true;
	}
	return false;
}

/*---------------------------------------------------------------------------
 * clients that an administrator wants to go
 *---------------------------------------------------------------------------
 */

void
pooler_end_client(int slot)
{
	WorkerClient *wc = &pooler_worker_clients[slot];

	if (wc->fd < 0 || wc->ending)
		return;
	wc->ending = true;
	wc->end_asked_at = 0;
	nending++;
	pooler_worker_tick_within(0);
}

bool
pooler_end_pending(int slot)
{
	return pooler_worker_clients[slot].ending;
}

void
pooler_end_forget(int slot)
{
	if (pooler_worker_clients[slot].ending)
		nending--;
	pooler_worker_clients[slot].ending = false;
}

/* The process that has the client; 0: none. */
static int
process_of(int slot)
{
	uint64		w = pg_atomic_read_u64(&pooler_clients[slot].word);

	switch (pooler_client_word_state(w))
	{
		case POOLER_CLIENT_BACKEND:
			return pooler_backends[pooler_client_word_backend(w)].pid;
		case POOLER_CLIENT_REPLICATION:
			return pooler_clients[slot].walsender;
		default:
			return 0;
	}
}

/*
 * Its backend was signalled some time ago.  A send that is stuck can't be
 * interrupted: then the socket has to go, and nothing can be told.
 */
static void
cut_off(int slot)
{
	WorkerClient *wc = &pooler_worker_clients[slot];
	PGPROC	   *proc;

	if (!TimestampDifferenceExceeds(wc->end_asked_at, pooler_worker.now, CUT_OFF_MS))
		return;
	proc = BackendPidGetProc(process_of(slot));
	if (proc != NULL && proc->wait_event_info == WAIT_EVENT_CLIENT_WRITE)
		(void) shutdown(wc->fd, SHUT_RDWR);
}

static void
end_marked(int slot)
{
	WorkerClient *wc = &pooler_worker_clients[slot];

	if (wc->end_asked_at != 0 &&
		!TimestampDifferenceExceeds(wc->end_asked_at, pooler_worker.now,
									SIGNAL_AGAIN_MS))
		cut_off(slot);
	else if (pooler_client_end(slot, POOLER_END_ADMIN) && wc->ending)
		wc->end_asked_at = pooler_worker.now;
}

void
pooler_end_tick(void)
{
	for (int i = 0; i < pooler_shared->nclients && nending > 0; i++)
	{
		if (pooler_worker_clients[i].ending)
			end_marked(i);
	}
	if (nending > 0)
		pooler_worker_tick_within(LOOK_AGAIN_MS);
}
