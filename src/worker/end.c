/*-------------------------------------------------------------------------
 *
 * end.c
 *	  Ending clients because an administrator wants it.
 *
 * Runs in: the pooler.  A client is marked, and ended as soon as it is in a
 * state in which that can be done without touching anybody else: at once if
 * the pooler owns it, through its backend otherwise.  Until then it is looked
 * at every few milliseconds, since a hand-over that is under way is over by
 * then.  The mark belongs to the slot's client and goes with it.
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

static int	nending;

static const PoolerErrorFields ending_error = {
	.severity = "FATAL",
	.sqlstate = "57P01",
	.message = "terminating connection due to administrator command"
};

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

/*
 * The backend tells the client: SIGTERM has it say the words above.  A send
 * that is stuck can't be interrupted, and then nothing can be told.
 */
static void
end_busy(int slot, int backend, uint32 gen)
{
	WorkerClient *wc = &pooler_worker_clients[slot];
	PGPROC	   *proc;

	if (wc->end_asked_at == 0 ||
		TimestampDifferenceExceeds(wc->end_asked_at, pooler_worker.now,
								   SIGNAL_AGAIN_MS))
	{
		if (pooler_backend_signal(backend, slot, gen, SIGTERM))
			wc->end_asked_at = pooler_worker.now;
		return;
	}
	proc = BackendPidGetProc(pooler_backends[backend].pid);
	if (proc != NULL && proc->wait_event_info == WAIT_EVENT_CLIENT_WRITE &&
		TimestampDifferenceExceeds(wc->end_asked_at, pooler_worker.now, CUT_OFF_MS))
		(void) shutdown(wc->fd, SHUT_RDWR);
}

/* Only the backend can end it, if its word is still this one when it looks. */
static void
end_pinned(int backend, uint64 word)
{
	PGPROC	   *proc;

	pg_atomic_write_u64(&pooler_backends[backend].end_word, word);
	pg_memory_barrier();
	proc = BackendPidGetProc(pooler_backends[backend].pid);
	if (proc != NULL)
		SetLatch(&proc->procLatch);
}

static void
end_attached(int slot, uint64 client_word)
{
	uint32		gen = pooler_client_word_gen(client_word);
	int			backend = pooler_client_word_backend(client_word);
	uint64		w = pg_atomic_read_u64(&pooler_backends[backend].word);

	if (pooler_worker_clients[slot].login != NULL)
	{
		/* core logs it in, and is told nothing; it finds the client gone */
		(void) shutdown(pooler_worker_clients[slot].fd, SHUT_RDWR);
		return;
	}
	if (pooler_backend_word_client(w) != (uint32) slot ||
		pooler_backend_word_gen(w) != gen)
		return;					/* taken and not attached yet */
	switch (pooler_backend_word_state(w))
	{
		case POOLER_BACKEND_LINGERING:
			if (pooler_backend_claim(backend))
				pooler_backend_detach(backend);
			break;
		case POOLER_BACKEND_BUSY:
			end_busy(slot, backend, gen);
			break;
		case POOLER_BACKEND_PINNED:
			end_pinned(backend, w);
			break;
		default:				/* comes to one of these, or ends */
			break;
	}
}

static void
end_if_possible(int slot)
{
	PoolerClient *client = &pooler_clients[slot];
	uint64		w = pg_atomic_read_u64(&client->word);

	switch (pooler_client_word_state(w))
	{
		case POOLER_CLIENT_QUEUED:
			if (!pooler_queue_remove(&pooler_pools[client->pool], slot,
									 pooler_client_word_gen(w)))
				break;
			/* FALLTHROUGH */
		case POOLER_CLIENT_LOGIN:
		case POOLER_CLIENT_IDLE:
		case POOLER_CLIENT_CONSOLE:
			pooler_client_close(slot, &ending_error, "administrator command");
			break;
		case POOLER_CLIENT_BACKEND:
			end_attached(slot, w);
			break;
		case POOLER_CLIENT_CLAIMED:
		case POOLER_CLIENT_FREE:
			break;
	}
}

void
pooler_end_tick(void)
{
	for (int i = 0; i < pooler_shared->nclients && nending > 0; i++)
	{
		if (pooler_worker_clients[i].ending)
			end_if_possible(i);
	}
	if (nending > 0)
		pooler_worker_tick_within(LOOK_AGAIN_MS);
}
