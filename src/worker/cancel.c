/*-------------------------------------------------------------------------
 *
 * cancel.c
 *	  Cancel requests.
 *
 * Runs in: the pooler.  The keys are the pooler's own: the process id names
 * the client's slot, so a request can reach nobody's command but that
 * client's, wherever it runs by now.
 *
 *-------------------------------------------------------------------------
 */
#include "worker/internal.h"

#include <signal.h>
#include <sys/socket.h>

#include "utils/memutils.h"

/* Clients whose cancel_until is not 0. */
static int	nleft;

bool
pooler_cancel_make_key(int slot)
{
	WorkerClient *wc = &pooler_worker_clients[slot];
	int			len = wc->long_key ? POOLER_LONG_KEY : POOLER_SHORT_KEY;

	if (!pg_strong_random(wc->key, len))
		return false;
	wc->key_len = len;
	return true;
}

/* In constant time. */
static bool
key_matches(const WorkerClient *wc, const uint8_t *key, size_t key_len)
{
	uint8		different = 0;

	if (key_len != wc->key_len)
		return false;
	for (size_t i = 0; i < key_len; i++)
		different |= wc->key[i] ^ key[i];
	return different == 0;
}

/* The request is left to the backend, for some time. */
static void
leave(int slot)
{
	WorkerClient *wc = &pooler_worker_clients[slot];

	if (wc->cancel_until == 0)
		nleft++;
	wc->cancel_until =
		TimestampTzPlusMilliseconds(pooler_worker.now,
									pooler_ms(pooler_cancel_wait_timeout));
	(void) pooler_timeout_passed(wc->cancel_until, 0);
}

/*
 * The client has been popped but may not be attached yet: what is left for
 * the backend is in cancel_serial, which it tests once it is BUSY.  Looking at
 * its word after that was written (full barrier), we see BUSY, or it sees the
 * request.
 */
static void
cancel_at_backend(int slot, uint64 w)
{
	PoolerClient *client = &pooler_clients[slot];
	uint32		backend = pooler_client_word_backend(w);

	pg_atomic_write_u32(&client->cancel_serial, pooler_client_word_serial(w) + 1);
	pg_memory_barrier();
	if (pooler_backend_signal(backend, slot, pooler_client_word_gen(w), SIGINT,
							  POOLER_END_NONE))
	{
		pg_atomic_write_u32(&client->cancel_serial, 0);
		pooler_pool_counters(&pooler_pools[client->pool])->cancels++;
	}
	else if (pooler_cancel_wait_timeout > 0)
		leave(slot);
}

/*---------------------------------------------------------------------------
 * cancel_wait_timeout
 *---------------------------------------------------------------------------
 */

/* Is a backend about to have this client, without having looked so far? */
static bool
is_being_taken(int slot)
{
	uint64		w = pg_atomic_read_u64(&pooler_clients[slot].word);
	PoolerBackend *b = &pooler_backends[pooler_client_word_backend(w)];

	return pooler_client_word_state(w) == POOLER_CLIENT_CLAIMED ||
		(pooler_client_word_state(w) == POOLER_CLIENT_BACKEND && b->taking == slot);
}

/*
 * A backend that attaches a client may take long over it (it restores the
 * session).  After so long a time whoever wanted to cancel has given up, and
 * what comes then is perhaps not what he meant.
 */
static void
give_up(int slot)
{
	PoolerClient *client = &pooler_clients[slot];
	uint32		asked = pg_atomic_read_u32(&client->cancel_serial);
	bool		waits = is_being_taken(slot);

	pooler_worker_clients[slot].cancel_until = 0;
	nleft--;
	if (asked == 0 ||
		!pg_atomic_compare_exchange_u32(&client->cancel_serial, &asked, 0) || !waits)
		return;
	pooler_client_log_begin(slot);
	ereport(LOG, (errmsg("dropped a cancel request that waited longer than pooler.cancel_wait_timeout")));
	pooler_client_log_end();
}

void
pooler_cancel_forget(int slot)
{
	if (pooler_worker_clients[slot].cancel_until != 0)
		nleft--;
	pooler_worker_clients[slot].cancel_until = 0;
}

void
pooler_cancel_tick(void)
{
	for (int i = 0; i < pooler_shared->nclients && nleft > 0; i++)
	{
		TimestampTz until = pooler_worker_clients[i].cancel_until;

		if (until != 0 && pooler_timeout_passed(until, 0))
			give_up(i);
	}
}

/*---------------------------------------------------------------------------
 * requests
 *---------------------------------------------------------------------------
 */

/* It may know its key already; then nothing runs that could be canceled. */
static bool
is_logging_in(int slot)
{
	return pooler_clients[slot].pool < 0 &&
		pooler_worker_clients[slot].console == NULL &&
		pooler_worker_clients[slot].replication == NULL;
}

void
pooler_cancel(uint32 pid, const uint8_t *key, size_t key_len)
{
	uint32		slot = pid - POOLER_FIRST_CLIENT_PID;
	PoolerClient *client;
	uint64		w;

	pooler_shared->counters.cancel_requests++;
	if (slot >= (uint32) pooler_shared->nclients ||
		pooler_worker_clients[slot].key_len == 0)
	{
		ereport(LOG, (errmsg("PID %d in cancel request did not match any process",
							 (int) pid)));
		return;
	}
	if (!key_matches(&pooler_worker_clients[slot], key, key_len))
	{
		ereport(LOG, (errmsg("wrong key in cancel request for process %d",
							 (int) pid)));
		return;
	}
	client = &pooler_clients[slot];
	w = pg_atomic_read_u64(&client->word);
	if (is_logging_in(slot))
		return;
	switch (pooler_client_word_state(w))
	{
		case POOLER_CLIENT_QUEUED:
			if (pooler_queue_remove(&pooler_pools[client->pool], slot,
									pooler_client_word_gen(w)))
				pooler_cancel_unread(slot);
			else
				cancel_at_backend(slot, pg_atomic_read_u64(&client->word));
			break;
		case POOLER_CLIENT_CLAIMED:
		case POOLER_CLIENT_BACKEND:
			cancel_at_backend(slot, w);
			break;
		case POOLER_CLIENT_CONSOLE:
			pooler_console_cancel(slot);
			break;
		case POOLER_CLIENT_REPLICATION:
			pooler_replication_signal(slot, SIGINT);
			break;
		case POOLER_CLIENT_FREE:
		case POOLER_CLIENT_LOGIN:
		case POOLER_CLIENT_IDLE:
			break;				/* nothing runs: no-op, as in core */
	}
}

/*---------------------------------------------------------------------------
 * a command that nobody has read yet
 *---------------------------------------------------------------------------
 */

static void
answer(int slot)
{
	WorkerClient *wc = &pooler_worker_clients[slot];
	uint8_t		buf[256];
	PoolerWriter w = pooler_writer(buf, sizeof(buf));
	PoolerErrorFields error = {.severity = "ERROR", .sqlstate = "57014"};

	pfree(wc->skip);
	wc->skip = NULL;
	pooler_clients[slot].state_since = pooler_worker.now;
	error.message = _("canceling statement due to user request");
	pooler_build_error(&w, &error);
	pooler_build_ready(&w, 'I');
	pooler_client_log_begin(slot);
	ereport(LOG, (errmsg("canceled a command that waited for a backend")));
	pooler_client_log_end();
	if (send(wc->fd, buf, w.len, MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t) w.len)
		pooler_client_close(slot, NULL, NULL);	/* it has gone, or reads
												 * nothing */
	else
		pooler_client_arm(slot);
}

/*
 * Takes off the socket what core would have thrown away after an error in
 * the first of these messages, and no byte more.
 */
void
pooler_cancel_continue(int slot)
{
	WorkerClient *wc = &pooler_worker_clients[slot];
	uint8_t		buf[8192];

	/* a long command in several turns, so that others get theirs */
	for (int round = 0; round < 16; round++)
	{
		ssize_t		n = recv(wc->fd, buf, sizeof(buf), MSG_PEEK | MSG_DONTWAIT);
		PoolerSkipVerdict verdict;
		size_t		consumed;

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
		{
			pooler_client_arm(slot);
			return;
		}
		if (n <= 0)
		{
			pooler_client_close(slot, NULL, NULL);
			return;
		}
		verdict = pooler_skip_feed(wc->skip, buf, n, &consumed);
		if (consumed > 0)
		{
			(void) recv(wc->fd, buf, consumed, MSG_DONTWAIT);
			pooler_clients[slot].state_since = pooler_worker.now;	/* not idle */
		}
		switch (verdict)
		{
			case POOLER_SKIP_MORE:
				break;
			case POOLER_SKIP_DONE:
				answer(slot);
				return;
			case POOLER_SKIP_TERMINATE:
			case POOLER_SKIP_INVALID_TYPE:
			case POOLER_SKIP_INVALID_LENGTH:
				pooler_client_close(slot, NULL, NULL);
				return;
		}
	}
	pooler_client_arm(slot);
}

void
pooler_cancel_unread(int slot)
{
	pooler_pool_counters(&pooler_pools[pooler_clients[slot].pool])->cancels++;
	pooler_clients[slot].state_since = pooler_worker.now;
	pooler_worker_clients[slot].skip =
		MemoryContextAllocZero(TopMemoryContext, sizeof(PoolerSkip));
	pooler_cancel_continue(slot);
}
