/*-------------------------------------------------------------------------
 *
 * leak_end.c
 *	  Ends a client because of a leak, or cancels its command.
 *
 * Runs in: the pooler.  Each time it is looked whether the leak is still one;
 * what a backend has it is asked for by a demand, with what was seen, so that
 * the backend compares once more at the moment at which nothing can change any
 * more (backend/ending.c).  A client that has got on is never hit.
 *
 *-------------------------------------------------------------------------
 */
#include "worker/leak.h"

/* Asked again after this time, if the backend has not said no. */
#define AGAIN_MS	5000

/* Until a client has come from a backend, or a backend has ended. */
#define LOOK_AGAIN_MS	5

static PoolerEndReason closing_for = POOLER_END_NONE;

PoolerEndReason
pooler_leak_closed_for(int slot)
{
	uint64		w = pg_atomic_read_u64(&pooler_clients[slot].word);
	uint32		backend = pooler_client_word_backend(w);
	PoolerBackend *b;
	uint64		bw;

	if (closing_for != POOLER_END_NONE ||
		pooler_client_word_state(w) != POOLER_CLIENT_BACKEND ||
		backend >= (uint32) pooler_shared->nbackends)
		return closing_for;
	b = &pooler_backends[backend];
	bw = pg_atomic_read_u64(&b->word);
	if (pooler_backend_word_client(bw) != (uint32) slot ||
		pooler_backend_word_gen(bw) != pooler_client_word_gen(w))
		return POOLER_END_NONE;
	return (PoolerEndReason) pg_atomic_read_u32(&b->end_reason);
}

/*---------------------------------------------------------------------------
 * clients of the pooler
 *---------------------------------------------------------------------------
 */

static void
close_client(int slot, PoolerEndReason reason, uint32 limit)
{
	char		detail[160];

	pooler_end_leak_detail(reason, limit, detail, sizeof(detail));
	closing_for = reason;
	pooler_client_close_with(slot, reason, detail);
	closing_for = POOLER_END_NONE;
}

/* It waits, or is idle; has sent a command, if nobody has seen that yet. */
static void
end_at_pooler(const LeakClient *who, PoolerEndReason reason, uint32 limit)
{
	if (who->queued)
	{
		if (pooler_queue_remove(&pooler_pools[who->pool], who->client, who->gen))
			close_client(who->client, reason, limit);
		else
			pooler_worker_tick_within(LOOK_AGAIN_MS);
	}
	else if (!pooler_client_has_sent_command(who->client))
		close_client(who->client, reason, limit);
}

/*---------------------------------------------------------------------------
 * clients of backends
 *---------------------------------------------------------------------------
 */

/* Is the backend still about what was demanded last? */
static bool
is_demanded(const PoolerBackend *b, PoolerEndReason reason, const LeakDemand *demand)
{
	return demand->reason == reason &&
		pg_atomic_read_u32((pg_atomic_uint32 *) &b->demand.reason) == (uint32) reason &&
		!TimestampDifferenceExceeds(demand->at, pooler_worker.now, AGAIN_MS);
}

static void
note(LeakDemand *demand, PoolerEndReason reason)
{
	demand->reason = reason;
	demand->at = pooler_worker.now;
}

/* since: of what the kind compares; a pinned client is idle since idle. */
static void
end_at_backend(const LeakClient *who, PoolerEndReason reason, TimestampTz since,
			   TimestampTz idle, uint32 limit, LeakDemand *demand)
{
	PoolerBackend *b = &pooler_backends[who->backend];

	pooler_worker_tick_within(LOOK_AGAIN_MS);
	switch (who->state)
	{
		case POOLER_BACKEND_BUSY:
			if (!is_demanded(b, reason, demand) &&
				pooler_backend_demand(who->backend, who->client, who->gen,
									  reason, 0, since, (int) limit))
				note(demand, reason);
			break;
		case POOLER_BACKEND_PINNED:
			if (is_demanded(b, reason, demand))
				break;
			pooler_backend_demand_idle(who->backend, who->word, reason,
									   idle, (int) limit);
			note(demand, reason);
			break;
		case POOLER_BACKEND_LINGERING:
			/* it gives the client back to us */
			if (pooler_backend_claim(who->backend))
				pooler_backend_detach(who->backend);
			break;
		default:
			break;
	}
}

bool
pooler_leak_terminate_idle(const LeakClient *who, TimestampTz since, uint32 limit)
{
	PoolerEndReason reason = POOLER_END_LEAK + POOLER_LEAK_CONNECTION_GROWTH;
	LeakDemand	none = {POOLER_END_NONE, 0};
	TimestampTz idle;

	if (!pooler_leak_idle(who, &idle) || idle != since)
		return false;
	if (who->backend < 0)
		end_at_pooler(who, reason, limit);
	else
		end_at_backend(who, reason, since, since, limit, &none);
	return true;
}

/*
 * Sees the client of a leak that is still this leak.  idle: since when it is
 * idle if it is pinned.  Where the kind is not about that, it is read before
 * the rest is compared: if the client gets on after that, the backend finds
 * another time.
 */
static bool
see_leak(const PoolerLeak *leak, LeakClient *who, TimestampTz *idle)
{
	TimestampTz since;
	uint32		amount;

	switch (pooler_leak_see(leak->client, who))
	{
		case LEAK_GONE:
			return false;
		case LEAK_BETWEEN:
			pooler_worker_tick_within(LOOK_AGAIN_MS);
			return false;
		case LEAK_SEEN:
			break;
	}
	if (who->gen != leak->gen || who->id != leak->client_id)
		return false;
	*idle = leak->idle_since;
	if (leak->kind == POOLER_LEAK_POOL_HELD)
		return who->backend >= 0;	/* the backend compares idle_since */
	if (who->backend >= 0)
		*idle = pooler_backends[who->backend].state_since;
	pg_read_barrier();
	return pooler_leak_holds(who, leak->kind, leak->limit, true, &since, &amount) &&
		(!pooler_leak_is_timed(leak->kind) || since == leak->held_since);
}

void
pooler_leak_terminate(const PoolerLeak *leak, LeakDemand *demand)
{
	PoolerEndReason reason = POOLER_END_LEAK + leak->kind;
	LeakClient	who;
	TimestampTz idle;

	if (!see_leak(leak, &who, &idle))
		return;
	if (who.backend < 0)
		end_at_pooler(&who, reason, leak->limit);
	else
		end_at_backend(&who, reason,
					   leak->kind == POOLER_LEAK_POOL_HELD ? idle : leak->held_since,
					   idle, leak->limit, demand);
}

/*---------------------------------------------------------------------------
 * commands
 *---------------------------------------------------------------------------
 */

bool
pooler_leak_was_canceled(const PoolerLeak *leak, const LeakDemand *demand)
{
	return demand->reason == POOLER_END_LEAK_CANCEL &&
		pg_atomic_read_u32(&pooler_backends[leak->backend].demand.reason) ==
		(uint32) POOLER_END_LEAK_CANCEL;
}

/* Once: who goes on in the same transaction after that is left alone. */
void
pooler_leak_cancel(const PoolerLeak *leak, LeakDemand *demand)
{
	PoolerBackend *b;
	LeakClient	who;
	TimestampTz idle;
	uint32		command;

	if (leak->kind != POOLER_LEAK_TRANSACTION || pooler_leak_was_canceled(leak, demand) ||
		!see_leak(leak, &who, &idle))
		return;
	b = &pooler_backends[who.backend];
	command = pg_atomic_read_u32(&b->command);
	pg_read_barrier();
	if (pooler_backend_runs_command(b) &&
		pooler_backend_demand(who.backend, who.client, who.gen,
							  POOLER_END_LEAK_CANCEL, command, leak->held_since,
							  (int) leak->limit))
		note(demand, POOLER_END_LEAK_CANCEL);
}
