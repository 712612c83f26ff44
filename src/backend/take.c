/*-------------------------------------------------------------------------
 *
 * take.c
 *	  Taking a client: from the queue, or as the pooler tells us.
 *
 * Runs in: pool backends, between two commands.  Owns the frames that come from
 * the pooler.  A client that is being taken is noted in the slot as "taking"
 * until our word is BUSY; up to then nothing of what it has sent is read.
 *
 *-------------------------------------------------------------------------
 */
#include "backend/wait.h"

#include "shared/debug_point.h"
#include "storage/fd.h"
#include "storage/ipc.h"
#include "tcop/dest.h"
#include "tcop/tcopprot.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

/*---------------------------------------------------------------------------
 * talking to the pooler
 *---------------------------------------------------------------------------
 */

static PoolerControl frame;
static char payload[POOLER_MAX_PAYLOAD];

/* A client's descriptor and what came with it. */
static void
keep_client(int fd)
{
	if (fd < 0)
		return;
	pooler_socket_keep(frame.client, frame.gen, fd);
	pooler_attach_remember(frame.client, payload, frame.payload);
}

/* Asks for a client that was popped; false if it is gone. */
static bool
fetch_client(int client, uint32 gen)
{
	PoolerControl request = {.type = POOLER_CONTROL_NEED};
	int			fd;

	request.client = client;
	request.gen = gen;
	if (!pooler_control_send(pooler_me.control, &request, NULL, -1))
		pooler_end_without_pooler();
	for (;;)
	{
		switch (pooler_control_receive(pooler_me.control, &frame, payload, &fd))
		{
			case POOLER_CONTROL_RECEIVED:
				QueryCancelPending = false;
				keep_client(fd);
				return frame.type == POOLER_CONTROL_CLIENT;
			case POOLER_CONTROL_CLOSED:
				pooler_end_without_pooler();
			case POOLER_CONTROL_AGAIN:
				ResetLatch(MyLatch);
				pooler_serve_interrupts();
				(void) pooler_socket_wait(false, PG_WAIT_EXTENSION);
		}
	}
}

/*---------------------------------------------------------------------------
 * taking a client
 *---------------------------------------------------------------------------
 */

static void
count_wait(PoolerClient *client)
{
	if (client->queued_at == 0)
		return;
	pooler_tally_wait(Max(pooler_busy_since - client->queued_at, 0));
	client->queued_at = 0;
}

/*
 * Attaches the session; on an error that client gets it, with the SQLSTATE
 * that was raised, and the backend stays.
 */
static bool
attach_session(void)
{
	MemoryContext cxt = CurrentMemoryContext;
	volatile bool ok = true;
	PoolerFailure failure;

	PG_TRY();
	{
		pooler_attach_session(pooler_me.client);
	}
	PG_CATCH();
	{
		pooler_catch_failure(cxt, &failure);
		ok = false;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(cxt);
	if (!ok)
		pooler_give_back_with(POOLER_CONTROL_FAILED, failure.bytes, failure.len);
	return ok;
}

/* A cancel request that missed an earlier hand-over must not hit this one. */
static void
forget_old_cancel(PoolerClient *client, uint32 serial)
{
	uint32		asked = pg_atomic_read_u32(&client->cancel_serial);

	if (asked != 0 && asked != serial + 1)
		(void) pg_atomic_compare_exchange_u32(&client->cancel_serial, &asked, 0);
}

/*
 * Closes descriptors of clients that have gone since the last time, and
 * forgets what came with them; unless they are too few to be worth the walk.
 */
void
pooler_close_stale(uint32 worth)
{
	uint32		gone = pg_atomic_read_u32(&pooler_shared->clients_gone);

	if (gone - pooler_me.shared->swept < worth)
		return;
	pooler_me.shared->swept = gone;
	pooler_socket_close_stale();
}

/*
 * Makes a popped or given client ours, up to BUSY.  TAKE, and still in
 * TAKING, if it is gone or was given back unread.  RUN without it, and still
 * in TAKING, if PostgresMain has to make or drop an unnamed statement first;
 * then this is called again.
 */
PoolerNext
pooler_take(int slot)
{
	PoolerClient *client = &pooler_clients[slot];
	uint64		w = pg_atomic_read_u64(&client->word);
	uint32		gen = pooler_client_word_gen(w);
	uint32		serial = pooler_client_word_serial(w);

	pooler_temp_buffers_next_client();
	pooler_close_stale(100);
	if (!pooler_socket_has(slot, gen) && !fetch_client(slot, gen))
	{
		pooler_me.shared->taking = -1;
		return POOLER_NEXT_TAKE;
	}
	if (pooler_unnamed_must_prepare(slot, pooler_socket_of(slot)))
	{
		whereToSendOutput = DestRemote;
		pooler_unnamed_prepare();
		return POOLER_NEXT_RUN;
	}
	pooler_busy_since = GetCurrentTimestamp();
	pooler_me.client = slot;
	pooler_me.client_gen = gen;
	pooler_me.client_serial = serial;
	pg_atomic_write_u32(&pooler_me.shared->end_reason, POOLER_END_NONE);
	forget_old_cancel(client, serial);
	pooler_socket_attach_fd(pooler_socket_of(slot));
	if (pooler_worker_has_ended())
	{
		whereToSendOutput = DestRemote;
		pooler_end_without_pooler();
	}
	if (!attach_session())
	{
		pooler_me.shared->taking = -1;
		return POOLER_NEXT_TAKE;
	}
	whereToSendOutput = DestRemote;
	client->state_since = pooler_busy_since;
	pooler_me.shared->state_since = pooler_busy_since;
	count_wait(client);
	pooler_me.shared->counters.handovers++;

	/* what came until now was for others; what comes from now on is for it */
	QueryCancelPending = false;
	pooler_word_set(POOLER_BACKEND_BUSY);
	pooler_me.shared->taking = -1;
	pooler_debug_point(POOLER_DEBUG_BUSY);

	/* the pooler, seeing that we were not BUSY, left a cancel request to us */
	pg_memory_barrier();
	if (pg_atomic_read_u32(&client->cancel_serial) == serial + 1)
	{
		pg_atomic_write_u32(&client->cancel_serial, 0);
		pooler_word_leave_busy(POOLER_BACKEND_TAKING);
		pooler_give_back_with(POOLER_CONTROL_CANCELLED, NULL, 0);
		pooler_word_set(POOLER_BACKEND_TAKING);
		return POOLER_NEXT_TAKE;
	}
	return POOLER_NEXT_RUN;
}

/* Is the pool, or only this backend, being renewed, or paused? */
bool
pooler_is_drained(void)
{
	return pooler_me.shared->drain_gen != pg_atomic_read_u32(&pooler_me.pool->drain_gen);
}

/* Is it this one, or perhaps this one, that has to go? */
bool
pooler_may_have_to_go(void)
{
	return pooler_is_drained() || pg_atomic_read_u32(&pooler_me.pool->surplus) > 0;
}

/* If so, and there are too many, it counts as one that went. */
static bool
has_to_go(void)
{
	PoolerPool *pool = pooler_me.pool;
	uint32		surplus = pg_atomic_read_u32(&pool->surplus);

	if (pooler_is_drained())
	{
		pooler_tally_leaving(pooler_me.shared->end_hint == POOLER_ENDED_LIFETIME ?
							 POOLER_ENDED_LIFETIME : POOLER_ENDED_DRAINED);
		return true;
	}
	while (surplus > 0)
	{
		if (pg_atomic_compare_exchange_u32(&pool->surplus, &surplus, surplus - 1))
		{
			pooler_tally_leaving(POOLER_ENDED_SURPLUS);
			return true;
		}
	}
	return false;
}

PoolerNext
pooler_take_next(void)
{
	int			client;

	if (has_to_go())
		proc_exit(0);
	if (!pooler_queue_maybe(pooler_me.pool))
		return POOLER_NEXT_FREE;
	client = pooler_queue_pop(pooler_me.pool, pooler_me.slot,
							  POOLER_CLIENT_BACKEND, pooler_me.epoch);
	if (client < 0)
		return POOLER_NEXT_FREE;
	pooler_debug_point(POOLER_DEBUG_POPPED);
	return pooler_take(client);
}

/*---------------------------------------------------------------------------
 * orders of the pooler, which has claimed us
 *---------------------------------------------------------------------------
 */

static PoolerNext
attach_as_told(int fd)
{
	PoolerClient *client = &pooler_clients[frame.client];
	uint64		w = pooler_client_word(POOLER_CLIENT_CLAIMED, pooler_me.slot,
									   frame.gen, frame.serial);

	pooler_give_back(false);
	keep_client(fd);
	pooler_word_set(POOLER_BACKEND_TAKING);

	/* fails if giving back took so long that the pooler has ended meanwhile */
	if (!pg_atomic_compare_exchange_u64(&client->word, &w,
										pooler_client_word(POOLER_CLIENT_BACKEND,
														   pooler_me.slot,
														   frame.gen, frame.serial)))
		pooler_end_without_pooler();
	return pooler_take(frame.client);
}

PoolerNext
pooler_obey(void)
{
	int			fd;

	pooler_debug_point(POOLER_DEBUG_CLAIMED);
	switch (pooler_control_receive(pooler_me.control, &frame, payload, &fd))
	{
		case POOLER_CONTROL_AGAIN:
			return pooler_me.client >= 0 ? POOLER_NEXT_LINGER : POOLER_NEXT_FREE;
		case POOLER_CONTROL_CLOSED:
			pooler_end_without_pooler();
		case POOLER_CONTROL_RECEIVED:
			break;
	}
	if (pooler_worker_has_ended())
		pooler_end_without_pooler();
	QueryCancelPending = false;
	switch ((PoolerControlType) frame.type)
	{
		case POOLER_CONTROL_ATTACH:
			return attach_as_told(fd);
		case POOLER_CONTROL_WELCOME:
			pooler_me.pooler_epoll = fd;
			ReserveExternalFD();
			pooler_me.pool = &pooler_pools[pooler_me.shared->pool];
			pooler_word_set(POOLER_BACKEND_TAKING);
			return POOLER_NEXT_TAKE;
		case POOLER_CONTROL_RELEASE:
			pooler_word_set(pooler_me.client >= 0 ? POOLER_BACKEND_LINGERING :
							POOLER_BACKEND_FREE);
			return pooler_me.client >= 0 ? POOLER_NEXT_LINGER : POOLER_NEXT_FREE;
		case POOLER_CONTROL_DETACH:
			pooler_give_back(false);
			pooler_word_set(POOLER_BACKEND_TAKING);
			return POOLER_NEXT_TAKE;
		case POOLER_CONTROL_EXIT:
			pooler_give_back(false);
			pooler_tally_leaving(pooler_me.shared->end_hint);
			proc_exit(0);
		default:
			ereport(FATAL,
					(errcode(ERRCODE_PROTOCOL_VIOLATION),
					 errmsg("unexpected message %d from the pooler", frame.type)));
	}
}
