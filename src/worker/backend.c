/*-------------------------------------------------------------------------
 *
 * backend.c
 *	  The table of backends: claiming them, talking to them, burying them.
 *
 * Runs in: the pooler.  Owns the control sockets of backends that are ready.
 * Speaks to a backend only while its word is CLAIMED (or STARTING), but for
 * the answers to its own requests; so there is never more than one message
 * under way, and its socket buffer can't fill up.
 *
 *-------------------------------------------------------------------------
 */
#include "worker/internal.h"

#include <signal.h>
#include <unistd.h>

#include "shared/debug_point.h"
#include "shared/session.h"
#include "storage/procarray.h"
#include "utils/memutils.h"
#include "worker/tally.h"

WorkerBackend *pooler_worker_backends;

/*
 * A backend that outlived its worker finishes its transaction and goes; until
 * then its slot stays as it is.  The same holds for the slot of its client.
 */
static int	norphans;

void
pooler_backend_startup(void)
{
	pooler_worker_backends =
		MemoryContextAllocZero(TopMemoryContext,
							   sizeof(WorkerBackend) * pooler_shared->nbackends);
	for (int i = 0; i < pooler_shared->nbackends; i++)
	{
		PoolerBackend *b = &pooler_backends[i];

		pooler_worker_backends[i].sock = -1;
		/* births of the last life can't be told apart from those of this */
		pooler_worker_backends[i].number = pooler_worker.epoch << 12;
		switch (pooler_backend_word_state(pg_atomic_read_u64(&b->word)))
		{
			case POOLER_BACKEND_UNUSED:
				break;
			case POOLER_BACKEND_STARTING:
				/* its token is void; it will find that out by itself */
				b->pid = 0;
				pg_atomic_write_u64(&b->word, 0);
				memset(b->token, 0, POOLER_TOKEN_LEN);
				break;
			default:
				norphans++;
		}
	}
}

/* The slot of an orphan's client can be used again. */
static void
free_orphan_client(int backend)
{
	for (int i = 0; i < pooler_shared->nclients; i++)
	{
		uint64		w = pg_atomic_read_u64(&pooler_clients[i].word);

		if (pooler_worker_clients[i].fd < 0 &&
			pooler_client_word_state(w) == POOLER_CLIENT_BACKEND &&
			pooler_client_word_backend(w) == (uint32) backend)
			pooler_client_slot_recovered(i);
	}
}

/* Backends that have been idle for a second close what they have for nothing. */
static void
wake_to_sweep(int backend)
{
	PoolerBackend *b = &pooler_backends[backend];
	TimestampTz since;
	PGPROC	   *proc;

	if (pooler_worker_backends[backend].sock < 0 ||
		b->swept == pg_atomic_read_u32(&pooler_shared->clients_gone) ||
		!pooler_backend_idle(backend, &since) ||
		!TimestampDifferenceExceeds(since, pooler_worker.now, 1000))
		return;
	proc = BackendPidGetProc(b->pid);
	if (proc != NULL)
		SetLatch(&proc->procLatch);
}

void
pooler_backend_tick(void)
{
	for (int i = 0; i < pooler_shared->nbackends; i++)
		wake_to_sweep(i);
	for (int i = 0; i < pooler_shared->nbackends && norphans > 0; i++)
	{
		PoolerBackend *b = &pooler_backends[i];

		if (pooler_worker_backends[i].sock >= 0 ||
			pooler_backend_word_state(pg_atomic_read_u64(&b->word)) !=
			POOLER_BACKEND_DEAD)
			continue;
		pooler_tally_backend_gone(b, true);
		free_orphan_client(i);
		pg_atomic_write_u64(&b->word, 0);
		norphans--;
	}
}

/*---------------------------------------------------------------------------
 * claiming
 *---------------------------------------------------------------------------
 */

bool
pooler_backend_idle(int backend, TimestampTz *since)
{
	PoolerBackend *b = &pooler_backends[backend];
	PoolerBackendState state = pooler_backend_word_state(pg_atomic_read_u64(&b->word));

	if (since)
		*since = b->state_since;
	return state == POOLER_BACKEND_FREE || state == POOLER_BACKEND_LINGERING;
}

bool
pooler_backend_claim(int backend)
{
	PoolerBackend *b = &pooler_backends[backend];
	uint64		w = pg_atomic_read_u64(&b->word);
	PoolerBackendState state = pooler_backend_word_state(w);

	if (state != POOLER_BACKEND_FREE && state != POOLER_BACKEND_LINGERING)
		return false;
	return pg_atomic_compare_exchange_u64(&b->word, &w,
										  pooler_backend_word_in(w, POOLER_BACKEND_CLAIMED));
}

/*---------------------------------------------------------------------------
 * talking
 *---------------------------------------------------------------------------
 */

static void
send_frame(int backend, PoolerControl *frame, const void *payload, int fd)
{
	WorkerBackend *wb = &pooler_worker_backends[backend];
	int			pid = pooler_backends[backend].pid;

	if (pooler_control_send(wb->sock, frame, payload, fd))
		return;

	/*
	 * If it has gone, end of file on the socket will settle what it leaves
	 * behind.  If it is there and does not read, something is badly wrong.
	 */
	if (pid > 0 && errno != EPIPE && errno != ECONNRESET)
		(void) kill(pid, SIGTERM);
}

/* What comes with a client's descriptor; see control.h. */
static uint16
fill_payload(const WorkerClient *wc, char *payload)
{
	char	   *p = payload;

	Assert(wc->facts_len <= POOLER_MAX_FACTS &&
		   wc->payload_len <= POOLER_MAX_SETTINGS_PAYLOAD);
	if (wc->facts_len > 0)
		memcpy(p, wc->facts, wc->facts_len);
	p += wc->facts_len;
	*p++ = '\0';
	if (wc->payload_len > 0)
		memcpy(p, wc->settings, wc->payload_len);
	return p + wc->payload_len - payload;
}

/* A frame about a client; with its descriptor unless the backend has it. */
static void
send_client(int backend, int client, PoolerControlType type)
{
	WorkerBackend *wb = &pooler_worker_backends[backend];
	WorkerClient *wc = &pooler_worker_clients[client];
	uint64		w = pg_atomic_read_u64(&pooler_clients[client].word);
	uint32		gen = pooler_client_word_gen(w);
	PoolerControl frame = {.type = type};

	frame.client = client;
	frame.gen = gen;
	frame.serial = pooler_client_word_serial(w);
	frame.cached = wb->sent[client] == gen + 1;
	if (frame.cached)
		send_frame(backend, &frame, NULL, -1);
	else
	{
		static char payload[POOLER_MAX_PAYLOAD];

		frame.payload = fill_payload(wc, payload);
		send_frame(backend, &frame, payload, wc->fd);
		explicit_bzero(payload, frame.payload);
		wb->sent[client] = gen + 1;
	}
}

void
pooler_backend_give(int backend, int client)
{
	send_client(backend, client, POOLER_CONTROL_ATTACH);
}

void
pooler_backend_release(int backend)
{
	PoolerControl frame = {.type = POOLER_CONTROL_RELEASE};

	send_frame(backend, &frame, NULL, -1);
}

void
pooler_backend_detach(int backend)
{
	PoolerControl frame = {.type = POOLER_CONTROL_DETACH};

	send_frame(backend, &frame, NULL, -1);
}

void
pooler_backend_exit(int backend, PoolerBackendEnd why)
{
	PoolerControl frame = {.type = POOLER_CONTROL_EXIT};

	pooler_backends[backend].end_hint = why;
	pooler_worker_backends[backend].exiting = true;
	pooler_worker_backends[backend].exit_asked_at = pooler_worker.now;
	send_frame(backend, &frame, NULL, -1);
}

void
pooler_backend_welcome(int backend)
{
	WorkerBackend *wb = &pooler_worker_backends[backend];
	PoolerControl frame = {.type = POOLER_CONTROL_WELCOME};

	if (wb->sent == NULL)
		wb->sent = MemoryContextAllocZero(TopMemoryContext,
										  sizeof(uint32) * pooler_shared->nclients);
	send_frame(backend, &frame, NULL, pooler_worker.epoll_fd);
}

/* Core has authenticated a client that goes to another pool than its backend's. */
static void
delegated_login_only(int backend)
{
	int			client = pooler_worker_backends[backend].birth->client;

	pooler_birth_free(backend);
	pooler_backends[backend].login_client = -1;
	pooler_backend_exit(backend, POOLER_ENDED_UNNEEDED);
	pooler_login_delegated_go_on(client);
}

/* Core has logged a client in: its backend joins the pool if there is room. */
static void
delegated_login_done(int backend, const char *settings, size_t len)
{
	WorkerBackend *wb = &pooler_worker_backends[backend];
	PoolerBackend *b = &pooler_backends[backend];
	WorkerBirth *birth = wb->birth;
	int			client = birth->client;
	PoolerErrorFields error = {0};
	bool		has_settings = birth->has_settings;
	uint32		defaults_gen = birth->defaults_gen;
	int			pool;

	pooler_login_delegated_done(client, b->dbid, b->roleid, b->superuser, settings,
								len);
	pool = pooler_clients[client].pool;
	(void) pooler_pool_refresh(pool);	/* it may be new */
	pooler_birth_free(backend);

	b->pool = pool;
	b->drain_gen = pg_atomic_read_u32(&pooler_pools[pool].drain_gen);
	b->login_client = -1;
	pooler_pools[pool].nbackends++;
	wb->born = true;
	pooler_pool_counters(&pooler_pools[pool])->births++;
	pooler_pool_counters(&pooler_pools[pool])->births_delegated++;
	pooler_pool_learn(pool, backend, defaults_gen);
	dlist_push_tail(&pooler_worker_pools[pool].backends, &wb->pool_node);

	pooler_client_set_state(client, POOLER_CLIENT_IDLE, 0);
	if (pooler_limits_refuse_client(pool, 0, &error))
		pooler_client_refuse(client, &error);	/* core knows no such limits */
	else
		pooler_client_arm(client);
	if (!has_settings && pooler_pool_has_room(pool) &&
		b->superuser == pooler_worker_pools[pool].superuser &&
		(pooler_pools[pool].flags & POOLER_POOL_PAUSED) == 0)
		pooler_backend_welcome(backend);
	else
		pooler_backend_exit(backend, POOLER_ENDED_UNNEEDED);
}

/*
 * Core has refused a client, and leaves it to us to say so.  The backend is on
 * its way out.
 */
static void
delegated_login_failed(int backend, const char *message, size_t len)
{
	WorkerBirth *birth = pooler_worker_backends[backend].birth;
	int			client = birth->client;

	if (len == 0 || birth->refused ||
		pooler_client_gen(&pooler_clients[client]) != birth->client_gen)
		return;
	birth->refused = true;
	pooler_tally_login_core(client, backend);
	pooler_login_core_refused(client, message, len);
}

/* The facts come first, as in what is sent with a descriptor. */
static void
logged_in(int backend, const char *payload, size_t len)
{
	int			client = pooler_worker_backends[backend].birth->client;
	const char *settings;
	size_t		settings_len;
	size_t		facts_len = pooler_pairs_length(payload, len, &settings, &settings_len);

	pooler_client_add_facts(client, payload, facts_len);
	if (pooler_backends[backend].only_login)
		delegated_login_only(backend);
	else
		delegated_login_done(backend, settings, settings_len);
}

static void
walsender_logged_in(int backend, const PoolerControl *frame, const void *payload)
{
	PoolerWalsender walsender;

	if (frame->payload != sizeof(walsender))
	{
		pooler_backend_gone(backend);
		return;
	}
	memcpy(&walsender, payload, sizeof(walsender));
	pooler_replication_begin(backend, &walsender);
}

static void
client_needed(int backend, const PoolerControl *request)
{
	uint64		w;
	PoolerControl gone = {.type = POOLER_CONTROL_GONE};

	if (request->client < (uint32) pooler_shared->nclients)
	{
		w = pg_atomic_read_u64(&pooler_clients[request->client].word);
		if (pooler_client_word_gen(w) == request->gen &&
			pooler_client_word_state(w) == POOLER_CLIENT_BACKEND &&
			pooler_client_word_backend(w) == (uint32) backend)
		{
			send_client(backend, request->client, POOLER_CONTROL_CLIENT);
			return;
		}
	}
	gone.client = request->client;
	gone.gen = request->gen;
	send_frame(backend, &gone, NULL, -1);
}

/* Takes over a client that the backend gives back with this message. */
static bool
take_over(int backend, const PoolerControl *frame)
{
	uint64		w;

	if (frame->client >= (uint32) pooler_shared->nclients)
		return false;
	w = pg_atomic_read_u64(&pooler_clients[frame->client].word);
	if (pooler_client_word_gen(w) != frame->gen ||
		pooler_client_word_state(w) != POOLER_CLIENT_BACKEND ||
		pooler_client_word_backend(w) != (uint32) backend)
		return false;
	pooler_client_set_state(frame->client, POOLER_CLIENT_IDLE, 0);
	return true;
}

static void
take_frame(int backend, const PoolerControl *frame, const void *payload)
{
	switch ((PoolerControlType) frame->type)
	{
		case POOLER_CONTROL_NEED:
			client_needed(backend, frame);
			break;
		case POOLER_CONTROL_LOGGED_IN:
			if (pooler_worker_backends[backend].birth == NULL)
				break;
			if (pooler_backends[backend].walsender)
				walsender_logged_in(backend, frame, payload);
			else
				logged_in(backend, payload, frame->payload);
			break;
		case POOLER_CONTROL_LOGIN_FAILED:
			if (pooler_worker_backends[backend].birth != NULL)
				delegated_login_failed(backend, payload, frame->payload);
			break;
		case POOLER_CONTROL_CANCELLED:
			if (take_over(backend, frame))
				pooler_cancel_unread(frame->client);
			break;
		case POOLER_CONTROL_FAILED:
			if (take_over(backend, frame))
				pooler_client_close_raw(frame->client, payload, frame->payload,
										"session could not be set up");
			break;
		default:
			break;
	}
}

void
pooler_backend_event(int backend, uint32 number, uint32 events)
{
	WorkerBackend *wb = &pooler_worker_backends[backend];
	static char payload[POOLER_MAX_PAYLOAD];
	PoolerControl frame;
	int			fd;

	if (wb->sock < 0 || (wb->number & 0xFFFFFFF) != number)
		return;
	if (wb->birth != NULL && !wb->birth->client_sent)
	{
		pooler_birth_event(backend);
		return;
	}
	for (;;)
	{
		switch (pooler_control_receive(wb->sock, &frame, payload, &fd))
		{
			case POOLER_CONTROL_RECEIVED:
				if (fd >= 0)
					close(fd);	/* backends have none to give */
				take_frame(backend, &frame, payload);
				break;
			case POOLER_CONTROL_AGAIN:
				return;
			case POOLER_CONTROL_CLOSED:
				pooler_backend_gone(backend);
				return;
		}
		if (wb->sock < 0)
			return;
	}
}

/*---------------------------------------------------------------------------
 * burying
 *---------------------------------------------------------------------------
 */

/*
 * A cancel request that the backend was to find once BUSY is carried out here.
 */
static void
settle_taken(int backend)
{
	PoolerBackend *b = &pooler_backends[backend];
	int			slot = b->taking;
	PoolerClient *client = &pooler_clients[slot];
	uint64		w = pg_atomic_read_u64(&client->word);

	b->taking = -1;
	if (pooler_client_word_gen(w) != b->taking_gen ||
		(pooler_client_word_state(w) != POOLER_CLIENT_CLAIMED &&
		 pooler_client_word_state(w) != POOLER_CLIENT_BACKEND) ||
		pooler_client_word_backend(w) != (uint32) backend)
		return;
	if (pg_atomic_read_u32(&client->cancel_serial) != pooler_client_word_serial(w) + 1)
	{
		pooler_queue_put_back(&pooler_pools[b->pool], slot, pooler_worker.now);
		return;
	}
	pg_atomic_write_u32(&client->cancel_serial, 0);
	client->queued_at = 0;
	pooler_client_set_state(slot, POOLER_CLIENT_IDLE, 0);
	pooler_cancel_unread(slot);
}

/*
 * What becomes of its clients.  One that it had taken, or was being given,
 * but had read nothing from goes back to the head of the queue; one that it
 * worked for or lingered on has had its error from the backend.
 */
static void
settle_clients(int backend)
{
	PoolerBackend *b = &pooler_backends[backend];
	uint64		w = pg_atomic_read_u64(&b->word);
	uint32		attached = pooler_backend_word_client(w);
	uint64		cw;

	if (b->taking >= 0)
		settle_taken(backend);
	if (attached < (uint32) pooler_shared->nclients)
	{
		cw = pg_atomic_read_u64(&pooler_clients[attached].word);
		if (pooler_client_word_gen(cw) == pooler_backend_word_gen(w) &&
			pooler_client_word_state(cw) == POOLER_CLIENT_BACKEND &&
			pooler_client_word_backend(cw) == (uint32) backend)
			pooler_client_close(attached, NULL, NULL);
	}
}

int
pooler_backend_let_go(int backend)
{
	WorkerBackend *wb = &pooler_worker_backends[backend];
	PoolerBackend *b = &pooler_backends[backend];
	int			sock = wb->sock;

	wb->sock = -1;
	pooler_birth_free(backend);
	pooler_tally_backend_gone(b, false);
	wb->number++;
	pg_write_barrier();
	pg_atomic_write_u64(&b->word, 0);
	pooler_pool_backend_left(-1);
	return sock;
}

void
pooler_backend_gone(int backend)
{
	WorkerBackend *wb = &pooler_worker_backends[backend];
	PoolerBackend *b = &pooler_backends[backend];
	int			pool = b->pool;

	(void) pooler_worker_watch(EPOLL_CTL_DEL, wb->sock, 0, 0);
	close(wb->sock);
	wb->sock = -1;
	if (wb->birth != NULL)
	{
		pooler_birth_ended(backend);
		pooler_birth_free(backend);
	}
	settle_clients(backend);
	if (wb->sent != NULL)
		pfree(wb->sent);
	wb->sent = NULL;
	if (pool >= 0)
	{
		dlist_delete(&wb->pool_node);
		pooler_pools[pool].nbackends--;
	}
	pooler_tally_backend_gone(b, wb->born);
	b->pool = -1;
	wb->number++;
	pg_write_barrier();
	pg_atomic_write_u64(&b->word, 0);
	pooler_pool_backend_left(pool);
}

/*---------------------------------------------------------------------------
 * signalling
 *---------------------------------------------------------------------------
 */

/*
 * Backends take clients by themselves, so by the time a signal arrives this
 * one may work for somebody else.  While its word is CANCELLING it can't: it
 * waits at the end of its command, and finds from the mark that a signal was
 * sent to it.  Nor can the process end, and its number be another's.
 */
static bool
begin_signalling(PoolerBackend *b, int client, uint32 gen, uint64 *w)
{
	*w = pg_atomic_read_u64(&b->word);
	if (pooler_backend_word_state(*w) != POOLER_BACKEND_BUSY ||
		pooler_backend_word_client(*w) != (uint32) client ||
		pooler_backend_word_gen(*w) != gen ||
		!pg_atomic_compare_exchange_u64(&b->word, w,
										pooler_backend_word_in(*w, POOLER_BACKEND_CANCELLING)))
		return false;
	pooler_debug_point(POOLER_DEBUG_CANCELLING);
	return true;
}

static void
end_signalling(PoolerBackend *b, uint64 w)
{
	pg_atomic_write_u64(&b->word,
						pooler_backend_word_in(w, POOLER_BACKEND_BUSY) |
						POOLER_BACKEND_SIGNALLED);
}

bool
pooler_backend_signal(int backend, int client, uint32 gen, int sig,
					  PoolerEndReason reason)
{
	PoolerBackend *b = &pooler_backends[backend];
	uint64		w;

	if (!begin_signalling(b, client, gen, &w))
		return false;
	if (reason != POOLER_END_NONE)
		pg_atomic_write_u32(&b->end_reason, reason);
	/* a backend leads a process group, like any child of the postmaster */
	if (kill(-b->pid, sig) < 0)
		(void) kill(b->pid, sig);
	end_signalling(b, w);
	return true;
}

static void
set_demand(PoolerBackend *b, PoolerEndReason reason, uint32 command,
		   TimestampTz since, int ms)
{
	PoolerDemand *demand = &b->demand;

	pg_atomic_write_u32(&demand->reason, POOLER_END_NONE);
	pg_write_barrier();
	demand->command = command;
	demand->since = since;
	demand->ms = ms;
	pg_write_barrier();
	pg_atomic_write_u32(&demand->reason, reason);
	pg_memory_barrier();
}

bool
pooler_backend_demand(int backend, int client, uint32 gen,
					  PoolerEndReason reason, uint32 command,
					  TimestampTz since, int ms)
{
	PoolerBackend *b = &pooler_backends[backend];
	uint64		w;

	if (!begin_signalling(b, client, gen, &w))
		return false;
	set_demand(b, reason, command, since, ms);
	/* not to the group, which would die of it */
	(void) kill(b->pid, SIGUSR2);
	end_signalling(b, w);
	return true;
}

/*
 * Nobody but the backend moves a PINNED word, so it is asked, and looks when
 * its latch is set.
 */
void
pooler_backend_demand_pinned(int backend, uint64 word, PoolerEndReason reason)
{
	TimestampTz since = pooler_backends[backend].state_since;

	pooler_backend_demand_idle(backend, word, reason, since, 0);
}

void
pooler_backend_demand_idle(int backend, uint64 word, PoolerEndReason reason,
						   TimestampTz since, int limit)
{
	PoolerBackend *b = &pooler_backends[backend];
	PGPROC	   *proc;

	pg_read_barrier();
	if (pg_atomic_read_u64(&b->word) != word)
		return;					/* since may be another client's */
	set_demand(b, reason, 0, since, limit);
	proc = BackendPidGetProc(b->pid);
	if (proc != NULL)
		SetLatch(&proc->procLatch);
}
