/*-------------------------------------------------------------------------
 *
 * stall.c
 *	  Clients that keep a backend from others: half-way through a message or a
 *	  result, or pinned for too long.
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

	if (pooler_worker_clients[client].tls_relay > 0)
		return sending ? pooler_clients[client].tls_sent :
			pooler_clients[client].tls_received;
	if (pooler_tcp_progress(fd, sending, &bytes))
		return bytes;
	(void) ioctl(fd, sending ? SIOCOUTQ : SIOCINQ, &pending);
	return pending;
}

/* The backend tells the client the reason; see backend/ending.c. */
static void
end_client(int backend, int client, PoolerEndReason reason)
{
	Stall	   *stall = &stalls[backend];
	uint32		gen = pooler_client_gen(&pooler_clients[client]);

	if (stall->told_at != 0 &&
		!TimestampDifferenceExceeds(stall->told_at, pooler_worker.now, 5000))
		return;
	stall->told_at = pooler_worker.now;

	/*
	 * A send that is stuck can't be interrupted: the socket has to go first,
	 * and then the backend can't say why.
	 */
	if (reason == POOLER_END_WRITE_TIMEOUT)
	{
		pooler_client_log_begin(client);
		if (pooler_end_logged(reason))
			ereport(LOG,
					(errcode(ERRCODE_IDLE_SESSION_TIMEOUT),
					 errmsg("terminating connection because the client does not read its result"),
					 errdetail("pooler.client_write_timeout has passed while other clients waited for the backend.")));
		pooler_client_log_end();
		(void) shutdown(pooler_worker_clients[client].fd, SHUT_RDWR);
	}
	(void) pooler_backend_signal(backend, client, gen, SIGTERM, reason);
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
	int			timeout = b->pool < 0 ? 0 :
		pooler_pool_ms(&pooler_pools[b->pool], POOLER_PIN_TIMEOUT);

	if (timeout == 0 || pg_atomic_read_u32(&b->pin) == POOLER_PIN_MODE)
		return false;
	pg_read_barrier();
	return TimestampDifferenceExceeds(b->pinned_since, pooler_worker.now, timeout);
}

/*
 * Only the backend knows whether its client is still idle: it looks when its
 * latch is set, at the clock or at what is demanded (backend/ending.c).
 */
static void
check_pin(int backend)
{
	PoolerBackend *b = &pooler_backends[backend];
	uint64		w = pg_atomic_read_u64(&b->word);
	PGPROC	   *proc;

	if (pooler_backend_word_state(w) != POOLER_BACKEND_PINNED)
		return;
	if (pooler_worker.draining)
		pooler_backend_demand_pinned(backend, w, POOLER_END_SHUTDOWN);
	else if (pinned_too_long(b))
	{
		proc = BackendPidGetProc(b->pid);
		if (proc != NULL)
			SetLatch(&proc->procLatch);
	}
}

void
pooler_stall_check_pins(void)
{
	for (int i = 0; i < pooler_shared->nbackends; i++)
		check_pin(i);
}

void
pooler_stall_check(int pool)
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
pooler_stall_startup(void)
{
	stalls = MemoryContextAllocZero(TopMemoryContext,
									sizeof(Stall) * pooler_shared->nbackends);
}
