/*-------------------------------------------------------------------------
 *
 * timeout.c
 *	  Clients that wait too long, and clients that let others wait.
 *
 * Runs in: the pooler, a few times a second while somebody waits.  Looks at
 * other processes' state without locks: a decision may be late by one look,
 * never about the wrong client, since it is carried out through the words.
 *
 *-------------------------------------------------------------------------
 */
#include "worker/internal.h"

#include <linux/sockios.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "storage/proc.h"
#include "storage/procarray.h"
#include "utils/memutils.h"
#include "utils/wait_event.h"
#include "worker/tcp_progress.h"

/*
 * A backend that waits for its client in the middle of a message, or of a
 * result, and since when without any progress.
 */
typedef struct Stall
{
	uint32		wait_event;		/* 0: it does not wait */
	uint32		client;
	uint64		progress;		/* whatever counts bytes or messages */
	TimestampTz looked_at;
	TimestampTz since;
	TimestampTz told_at;		/* its end was asked for; 0: not yet */
} Stall;

static Stall *stalls;

/*---------------------------------------------------------------------------
 * query_wait_timeout
 *---------------------------------------------------------------------------
 */

static void
end_longest_waiting(int pool_index)
{
	PoolerPool *pool = &pooler_pools[pool_index];
	TimestampTz since;
	int			client;
	PoolerErrorFields error = {.severity = "FATAL",.sqlstate = "53300"};

	error.message = _("terminating connection because no backend became free in time");
	error.detail = _("pooler.query_wait_timeout has passed.");
	while ((client = pooler_queue_first(pool, &since)) >= 0 &&
		   TimestampDifferenceExceeds(since, pooler_worker.now,
									  pooler_pool_ms(pool, POOLER_QUERY_WAIT_TIMEOUT)))
	{
		if (!pooler_queue_remove(pool, client,
								 pooler_client_gen(&pooler_clients[client])))
			continue;
		pooler_pool_counters(pool)->wait_timeouts++;
		pooler_client_log_begin(client);
		ereport(LOG, (errmsg("client waited for a backend longer than pooler.query_wait_timeout")));
		pooler_client_log_end();
		pooler_client_close(client, &error, "query_wait_timeout");
	}
}

/*---------------------------------------------------------------------------
 * client_read_timeout, client_write_timeout
 *---------------------------------------------------------------------------
 */

/*
 * Does the backend wait for its client where no idle session would?  Between
 * two commands it may: that is what a transaction is for.
 */
static uint32
stalled_in(int backend)
{
	PoolerBackend *b = &pooler_backends[backend];
	PGPROC	   *proc = BackendPidGetProc(b->pid);
	uint32		wait_event = proc ? proc->wait_event_info : 0;

	if (wait_event == WAIT_EVENT_CLIENT_WRITE)
		return wait_event;
	if (wait_event == WAIT_EVENT_CLIENT_READ &&
		pg_atomic_read_u32(&b->in_copy) == 0 &&
		pg_atomic_read_u32(&b->in_transaction) == 0)
		return wait_event;
	return 0;
}

/*
 * Something that changes when the client sends or takes a byte: by the
 * kernel's count of bytes for TCP, by what is in the socket otherwise.
 */
static uint64
progress_of(int client, uint32 wait_event)
{
	bool		sending = wait_event == WAIT_EVENT_CLIENT_WRITE;
	int			fd = pooler_worker_clients[client].fd;
	uint64_t	bytes;
	int			pending = 0;

	if (pooler_tcp_progress(fd, sending, &bytes))
		return bytes;
	(void) ioctl(fd, sending ? SIOCOUTQ : SIOCINQ, &pending);
	return pending;
}

/* The backend reports the reason to the client; see backend/wait.c. */
static void
end_client(int backend, int client, PoolerEndReason reason)
{
	Stall	   *stall = &stalls[backend];
	PoolerBackend *b = &pooler_backends[backend];
	uint32		gen = pooler_client_gen(&pooler_clients[client]);

	if (stall->told_at != 0 &&
		!TimestampDifferenceExceeds(stall->told_at, pooler_worker.now, 5000))
		return;
	pg_atomic_write_u32(&b->end_reason, reason);
	stall->told_at = pooler_worker.now;
	/*
	 * A send that is stuck can't be interrupted: the socket has to go first,
	 * and then the backend can't say why.
	 */
	if (reason == POOLER_END_WRITE_TIMEOUT)
	{
		pooler_client_log_begin(client);
		ereport(LOG,
				(errcode(ERRCODE_IDLE_SESSION_TIMEOUT),
				 errmsg("terminating connection because the client does not read its result"),
				 errdetail("pooler.client_write_timeout has passed while other clients waited for the backend.")));
		pooler_client_log_end();
		(void) shutdown(pooler_worker_clients[client].fd, SHUT_RDWR);
	}
	if (!pooler_backend_signal(backend, client, gen, SIGTERM))
		pg_atomic_write_u32(&b->end_reason, POOLER_END_NONE);	/* it has ended */
}

static void
check_backend(int backend)
{
	Stall	   *stall = &stalls[backend];
	uint64		w = pg_atomic_read_u64(&pooler_backends[backend].word);
	uint32		client = pooler_backend_word_client(w);
	uint32		wait_event = 0;
	double		limit;
	uint64		progress;

	if (pooler_backend_word_state(w) == POOLER_BACKEND_BUSY &&
		client < (uint32) pooler_shared->nclients &&
		pooler_worker_clients[client].fd >= 0)
		wait_event = stalled_in(backend);
	if (wait_event == 0)
	{
		stall->wait_event = 0;
		return;
	}
	progress = progress_of(client, wait_event) +
		pooler_backends[backend].counters.queries +
		pooler_backends[backend].counters.transactions +
		pooler_backends[backend].messages;
	if (stall->wait_event != wait_event || stall->client != client ||
		stall->progress != progress ||
		TimestampDifferenceExceeds(stall->looked_at, pooler_worker.now, 2000))
	{
		stall->wait_event = wait_event;
		stall->client = client;
		stall->progress = progress;
		stall->since = stall->looked_at = pooler_worker.now;
		stall->told_at = 0;
		return;
	}
	stall->looked_at = pooler_worker.now;
	limit = wait_event == WAIT_EVENT_CLIENT_WRITE ?
		pooler_client_write_timeout : pooler_client_read_timeout;
	if (limit > 0 &&
		TimestampDifferenceExceeds(stall->since, pooler_worker.now, pooler_ms(limit)))
		end_client(backend, client,
				   wait_event == WAIT_EVENT_CLIENT_WRITE ?
				   POOLER_END_WRITE_TIMEOUT : POOLER_END_READ_TIMEOUT);
}

/*---------------------------------------------------------------------------
 * pinned clients: pin_timeout, and smart shutdown
 *---------------------------------------------------------------------------
 */

static bool
pinned_too_long(PoolerBackend *b)
{
	if (pooler_pin_timeout == 0 || pg_atomic_read_u32(&b->pin) == POOLER_PIN_MODE)
		return false;
	pg_read_barrier();
	return TimestampDifferenceExceeds(b->pinned_since, pooler_worker.now,
									  pooler_ms(pooler_pin_timeout));
}

/*
 * Only the backend knows whether its client is still idle: it looks when its
 * latch is set, at the clock or at the reason (backend/wait.c).
 */
static void
check_pin(int backend)
{
	PoolerBackend *b = &pooler_backends[backend];
	PGPROC	   *proc;

	if (pooler_backend_word_state(pg_atomic_read_u64(&b->word)) != POOLER_BACKEND_PINNED)
		return;
	if (pooler_worker.draining)
		pg_atomic_write_u32(&b->end_reason, POOLER_END_SHUTDOWN);
	else if (!pinned_too_long(b))
		return;
	proc = BackendPidGetProc(b->pid);
	if (proc != NULL)
		SetLatch(&proc->procLatch);
}

static void
check_stalls(int pool)
{
	dlist_iter	iter;

	dlist_foreach(iter, &pooler_worker_pools[pool].backends)
	{
		WorkerBackend *wb = dlist_container(WorkerBackend, pool_node, iter.cur);

		if (wb->birth == NULL)
			check_backend(wb - pooler_worker_backends);
	}
}

void
pooler_timeout_tick(void)
{
	if (stalls == NULL)
		stalls = MemoryContextAllocZero(TopMemoryContext,
										sizeof(Stall) * pooler_shared->nbackends);
	for (int i = 0; i < pooler_shared->nbackends; i++)
		check_pin(i);
	for (int i = 0; i < pooler_shared->npools; i++)
	{
		if (!pooler_pools[i].in_use ||
			pg_atomic_read_u32(&pooler_pools[i].nwaiting) == 0)
			continue;
		if (pooler_pool_ms(&pooler_pools[i], POOLER_QUERY_WAIT_TIMEOUT) > 0)
			end_longest_waiting(i);
		check_stalls(i);
	}
}
