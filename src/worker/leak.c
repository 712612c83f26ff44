/*-------------------------------------------------------------------------
 *
 * leak.c
 *	  What clients hold and should have given back: the table.
 *
 * Runs in: the pooler, a few times a second while a threshold is in force, and
 * when a client leaves.  Nothing of it is on the path of a transaction.
 *
 * A place of the table goes through
 *
 *				 exceeds its threshold		  given back, or the client has left
 *		free -------------------------> leak ---------------------------------> free
 *										^  |
 *							 end_leaks()|  | pooler.leak_action
 *										+--+ demands its end, at each look
 *
 * and what it had goes to the ring of ended ones.  All of that lies in shared
 * memory and is still there if the pooler has ended in between; what is in this
 * file's variables can be found out again.
 *
 *-------------------------------------------------------------------------
 */
#include "worker/leak.h"

#include "utils/memutils.h"
#include "worker/tally.h"

/* Looks are so far apart, in ms: a leak is found within a second. */
#define LOOK_MS		400

/* What needs no place in shared memory; by place. */
typedef struct Live
{
	int			pool;			/* -1: of an earlier worker */
	bool		ended_by_us;	/* one of those who hold it */
	LeakDemand	demand;
	LeakGroup  *group;			/* CONNECTION_GROWTH */
} Live;

static Live live[POOLER_MAX_LEAKS];
static LeakMark *marks;			/* by client slot */
static bool *held_pools;		/* by pool: has a POOL_HELD */
static TimestampTz next_look;
static int	nending;			/* clients of groups that are to be ended */
static int	nleft_out;
static bool told_full;

#define LEAK(i)		(&pooler_leaks->current[i].leak)

void
pooler_leak_startup(void)
{
	marks = MemoryContextAllocZero(TopMemoryContext,
								   sizeof(LeakMark) * pooler_shared->nclients);
	held_pools = MemoryContextAllocZero(TopMemoryContext,
										sizeof(bool) * pooler_shared->npools);
	pooler_leak_group_startup();
	for (int i = 0; i < POOLER_MAX_LEAKS; i++)
		live[i].pool = -1;
}

LeakMark *
pooler_leak_mark(int slot, uint32 gen)
{
	LeakMark   *mark = &marks[slot];

	if (mark->gen != gen)
	{
		memset(mark, 0, sizeof(*mark));
		mark->gen = gen;
	}
	return mark;
}

static PoolerCounters *
counters_of(int pool)
{
	return pool >= 0 ? pooler_pool_counters(&pooler_pools[pool]) :
		&pooler_tallies[POOLER_OTHERS].counters;
}

static uint32
bit_of(PoolerLeakKind kind)
{
	return (uint32) 1 << kind;
}

/*---------------------------------------------------------------------------
 * the table
 *---------------------------------------------------------------------------
 */

static int
waiting_for(int pool, const PoolerLeak *leak)
{
	if (pool < 0 || (leak->backend < 0 && leak->kind != POOLER_LEAK_POOL_HELD))
		return 0;				/* it keeps nobody waiting */
	return (int) pg_atomic_read_u32(&pooler_pools[pool].nwaiting);
}

/* README.md has this rule, in words. */
static PoolerLeakSeverity
severity_of(int pool, const PoolerLeak *leak)
{
	if (leak->kind == POOLER_LEAK_POOL_HELD ||
		(leak->waiting > 0 && held_pools[pool]))
		return POOLER_LEAK_CRITICAL;
	if (leak->waiting > 0 || leak->blocked > 0 ||
		leak->kind == POOLER_LEAK_IDLE_IN_TRANSACTION ||
		leak->kind == POOLER_LEAK_TRANSACTION)
		return POOLER_LEAK_WARNING;
	return POOLER_LEAK_INFO;
}

static void
set_backend(PoolerLeak *leak, const LeakClient *who)
{
	leak->backend = who->backend;
	leak->pid = who->backend >= 0 ? pooler_backends[who->backend].pid : 0;
}

/* Who it is; of a group what its members have in common. */
static void
set_who(PoolerLeak *leak, const LeakClient *who)
{
	const PoolerClient *client = &pooler_clients[who->client];

	leak->client = who->client;
	leak->gen = who->gen;
	leak->client_id = who->id;
	set_backend(leak, who);
	leak->dbid = leak->roleid = InvalidOid;
	if (who->pool >= 0)
	{
		leak->dbid = pooler_pools[who->pool].dbid;
		leak->roleid = pooler_pools[who->pool].roleid;
	}
	else if (who->backend >= 0)
	{
		leak->dbid = pooler_backends[who->backend].dbid;
		leak->roleid = pooler_backends[who->backend].roleid;
	}
	strlcpy(leak->database, client->database, NAMEDATALEN);
	strlcpy(leak->role, client->role, NAMEDATALEN);
	strlcpy(leak->application_name, client->application_name, NAMEDATALEN);
	pooler_address_expand(&leak->raddr, &client->raddr);
}

static int
free_place(void)
{
	for (int i = 0; i < POOLER_MAX_LEAKS; i++)
	{
		if (LEAK(i)->id == 0)
			return i;
	}
	return -1;
}

static void
count_found(PoolerLeakKind kind, int pool)
{
	counters_of(pool)->leaks[kind]++;
}

/* There is no place: only its number is known. */
static void
leave_out(PoolerLeakKind kind, int pool, bool counted)
{
	nleft_out++;
	if (!counted)
		count_found(kind, pool);
	if (!told_full)
		ereport(LOG,
				(errmsg("there are more leaks than the pooler can keep"),
				 errdetail("The first %d are shown in pooler.leaks; others are only counted.",
						   POOLER_MAX_LEAKS)));
	told_full = true;
}

/*
 * A new one, of which kind, held_since, limit and amount are set, and who it
 * is.  Returns its place.
 */
static int
open_leak(PoolerLeak *leak, int pool, bool counted)
{
	int			i = free_place();
	PoolerLeakPlace *place = &pooler_leaks->current[i];

	leak->id = pooler_leaks->next_id++;
	leak->found_at = pooler_worker.now;
	leak->action = pooler_leak_action_for(pool, leak->kind);
	leak->waiting = leak->max_waiting = waiting_for(pool, leak);
	leak->severity = leak->highest = severity_of(pool, leak);
	pooler_leak_begin_write(&place->changes);
	place->leak = *leak;
	pooler_leak_end_write(&place->changes);
	memset(&live[i], 0, sizeof(live[i]));
	live[i].pool = pool;
	pg_atomic_fetch_add_u32(&pooler_leaks->ncurrent, 1);
	if (!counted)
		count_found(leak->kind, pool);
	pooler_leak_count(leak);
	pooler_leak_log(leak);
	return i;
}

static void
count_ended(const PoolerLeak *leak, int pool)
{
	pooler_leak_count_end(leak);
	if (leak->end == POOLER_LEAK_TERMINATED || leak->end == POOLER_LEAK_CANCELED)
		counters_of(pool)->leaks_ended_by_action++;
	else if (leak->end == POOLER_LEAK_ENDED)
		counters_of(pool)->leaks_ended_by_request++;
}

static void
close_leak(int i, PoolerLeakEnd end)
{
	PoolerLeakPlace *place = &pooler_leaks->current[i];
	PoolerLeakPlace *ring =
		&pooler_leaks->ended[pooler_leaks->next_ended++ % POOLER_MAX_ENDED_LEAKS];
	PoolerLeak *leak = &ring->leak;

	pooler_leak_begin_write(&ring->changes);
	*leak = place->leak;
	leak->ended_at = pooler_worker.now;
	leak->end = end;
	leak->severity = leak->highest;
	pooler_leak_end_write(&ring->changes);
	count_ended(leak, live[i].pool);

	if (leak->kind == POOLER_LEAK_CONNECTION_GROWTH)
	{
		if (live[i].group != NULL)
			live[i].group->place = -1;
	}
	else if (leak->kind == POOLER_LEAK_POOL_HELD)
	{
		if (live[i].pool >= 0)
			held_pools[live[i].pool] = false;
	}
	else if (marks[leak->client].gen == leak->gen)
		marks[leak->client].kept &= ~bit_of(leak->kind);
	pooler_leak_begin_write(&place->changes);
	memset(&place->leak, 0, sizeof(place->leak));
	pooler_leak_end_write(&place->changes);
	pg_atomic_fetch_sub_u32(&pooler_leaks->ncurrent, 1);
}

/* By this reason: which of its leaks it was does not matter to who asked. */
static PoolerLeakEnd
end_by_reason(const PoolerLeak *leak, PoolerEndReason reason)
{
	if (!pooler_end_is_leak(reason))
		return POOLER_LEAK_LEFT;
	if (leak->asked)
		return POOLER_LEAK_ENDED;
	return leak->action == POOLER_LEAK_TERMINATE ? POOLER_LEAK_TERMINATED :
		POOLER_LEAK_LEFT;
}

/*
 * How it ended, if the client still is there.  A backend that ends it, which
 * takes a while, holds nothing any more before the client has gone.
 */
static PoolerLeakEnd
end_by_client(int i)
{
	PoolerLeak *leak = LEAK(i);
	PoolerEndReason reason = POOLER_END_NONE;

	if (leak->client_id != 0 &&
		pooler_client_gen(&pooler_clients[leak->client]) == leak->gen)
		reason = pooler_leak_closed_for(leak->client);
	if (pooler_end_is_leak(reason))
		return end_by_reason(leak, reason);
	if (live[i].ended_by_us)
		return LEAK(i)->asked ? POOLER_LEAK_ENDED : POOLER_LEAK_TERMINATED;
	if (LEAK(i)->kind == POOLER_LEAK_TRANSACTION &&
		pooler_leak_was_canceled(LEAK(i), &live[i].demand))
		return POOLER_LEAK_CANCELED;
	return POOLER_LEAK_GIVEN_BACK;
}

/*
 * What changes while it lasts.  who: who has the client now, of a leak that
 * goes with it from backend to backend; NULL: of one that does not.
 */
static void
refresh(int i, const LeakClient *who, uint32 amount, uint32 limit)
{
	PoolerLeakPlace *place = &pooler_leaks->current[i];
	PoolerLeak *leak = &place->leak;
	int			pool = live[i].pool;
	PoolerLeakAction action = pooler_leak_action_for(pool, leak->kind);
	int			waiting;

	pooler_leak_begin_write(&place->changes);
	if (who != NULL)
		set_backend(leak, who);
	waiting = waiting_for(pool, leak);
	leak->action = action;
	leak->amount = amount;
	leak->limit = limit;
	leak->waiting = waiting;
	leak->max_waiting = Max(leak->max_waiting, waiting);
	leak->severity = severity_of(pool, leak);
	leak->highest = Max(leak->highest, leak->severity);
	pooler_leak_end_write(&place->changes);
}

/*---------------------------------------------------------------------------
 * are they still there?
 *---------------------------------------------------------------------------
 */

/* The same one: not one of the next transaction, for instance. */
static bool
still_holds(const PoolerLeak *leak, const LeakClient *who, uint32 limit, uint32 *amount)
{
	TimestampTz since;

	return limit > 0 &&
		pooler_leak_holds(who, leak->kind, limit, true, &since, amount) &&
		(!pooler_leak_is_timed(leak->kind) || since == leak->held_since);
}

/*
 * Nobody tells us of the end of a client that an earlier worker had taken: then
 * what we have demanded has happened.
 */
static void
look_after_client(int i)
{
	PoolerLeak *leak = LEAK(i);
	LeakClient	who;
	LeakSight	sight = pooler_leak_see(leak->client, &who);
	uint32		limit;
	uint32		amount;

	if (sight == LEAK_GONE || who.gen != leak->gen || who.id != leak->client_id)
	{
		close_leak(i, end_by_reason(leak, live[i].demand.reason));
		return;
	}
	live[i].pool = who.pool;
	pooler_leak_mark(who.client, who.gen)->kept |= bit_of(leak->kind);
	if (sight == LEAK_BETWEEN)
		return;
	limit = pooler_leak_limit_of(who.pool, leak->kind);
	if (still_holds(leak, &who, limit, &amount))
		refresh(i, &who, amount, limit);
	else if (limit != leak->limit && still_holds(leak, &who, leak->limit, &amount))
		close_leak(i, POOLER_LEAK_ALLOWED);
	else
		close_leak(i, end_by_client(i));
}

/* Another client has held a backend longest. */
static void
set_holder(PoolerLeakPlace *place, const LeakClient *holder)
{
	static PoolerLeak leak;

	leak = place->leak;
	memset(&leak.held, 0, sizeof(leak.held));
	leak.first_query[0] = leak.last_query[0] = leak.locks[0] = '\0';
	leak.first_query_id = leak.last_query_id = 0;
	set_who(&leak, holder);
	pooler_leak_collect(&leak);
	pooler_leak_begin_write(&place->changes);
	place->leak = leak;
	pooler_leak_end_write(&place->changes);
}

static void
look_after_pool(int i)
{
	PoolerLeakPlace *place = &pooler_leaks->current[i];
	PoolerLeak *leak = &place->leak;
	int			pool = live[i].pool;
	uint32		limit = pooler_leak_limit_of(pool, leak->kind);
	TimestampTz since;
	LeakClient	holder;

	if (pool < 0)
	{
		close_leak(i, POOLER_LEAK_LEFT);	/* of an earlier worker */
		return;
	}
	if (limit == 0 || !pooler_leak_pool_held(pool, limit, true, &since, &holder))
	{
		close_leak(i, limit == 0 ? POOLER_LEAK_ALLOWED : end_by_client(i));
		return;
	}
	if (leak->client_id != holder.id)
		set_holder(place, &holder);
	pooler_leak_begin_write(&place->changes);
	leak->idle_since = holder.state == POOLER_BACKEND_BUSY ?
		pooler_backends[holder.backend].idle_since :
		pooler_backends[holder.backend].state_since;
	pooler_leak_end_write(&place->changes);
	refresh(i, NULL, 0, limit);
}

/* Its numbers are those of the last look at all clients. */
static void
look_after_group(int i)
{
	PoolerLeak *leak = LEAK(i);
	LeakGroup  *group = live[i].group;
	uint32		limit = pooler_leak_limit_of(live[i].pool, leak->kind);

	if (group == NULL)
		close_leak(i, POOLER_LEAK_LEFT);	/* of an earlier worker */
	else if (group->members == 0)
		close_leak(i, end_by_client(i));
	else if (limit > 0 && group->unused >= (int) limit)
		refresh(i, NULL, (uint32) group->unused, limit);
	else if (limit != leak->limit && group->unused >= (int) leak->limit)
		close_leak(i, POOLER_LEAK_ALLOWED);
	else
		close_leak(i, end_by_client(i));
}

static void
look_after(int i)
{
	if (LEAK(i)->id == 0)
		return;
	if (LEAK(i)->kind == POOLER_LEAK_POOL_HELD)
		look_after_pool(i);
	else if (LEAK(i)->kind == POOLER_LEAK_CONNECTION_GROWTH)
		look_after_group(i);
	else
		look_after_client(i);
}

/*---------------------------------------------------------------------------
 * are there new ones?
 *---------------------------------------------------------------------------
 */

/* With all that is known about it, which must be of the same moment. */
static void
found_client(const LeakClient *who, PoolerLeakKind kind, uint32 limit,
			 TimestampTz since, uint32 amount)
{
	LeakMark   *mark = pooler_leak_mark(who->client, who->gen);
	bool		counted = (mark->counted & bit_of(kind)) != 0;
	TimestampTz again;
	static PoolerLeak leak;

	if (free_place() < 0)
	{
		mark->counted |= bit_of(kind);
		leave_out(kind, who->pool, counted);
		return;
	}
	memset(&leak, 0, sizeof(leak));
	leak.kind = kind;
	leak.held_since = since;
	leak.limit = limit;
	leak.amount = amount;
	set_who(&leak, who);
	pooler_leak_collect(&leak);
	if (!pooler_leak_holds(who, kind, limit, false, &again, &amount) ||
		(pooler_leak_is_timed(kind) && again != since))
		return;
	mark->kept |= bit_of(kind);
	mark->counted &= ~bit_of(kind);
	(void) open_leak(&leak, who->pool, counted);
}

static void
look_for(const LeakClient *who, PoolerLeakKind kind)
{
	uint32		limit = pooler_leak_limit_of(who->pool, kind);
	LeakMark   *mark = &marks[who->client];
	TimestampTz since;
	uint32		amount;

	if (limit == 0 || (mark->gen == who->gen && (mark->kept & bit_of(kind)) != 0))
		return;
	if (pooler_leak_holds(who, kind, limit, false, &since, &amount))
		found_client(who, kind, limit, since, amount);
	else if (mark->gen == who->gen)
		mark->counted &= ~bit_of(kind);
}

/* What can be had with a backend only. */
static void
look_at_backends(uint32 kinds)
{
	for (int i = 0; i < pooler_shared->nbackends; i++)
	{
		uint64		w = pg_atomic_read_u64(&pooler_backends[i].word);
		LeakClient	who;

		if ((pooler_backend_word_state(w) != POOLER_BACKEND_BUSY &&
			 pooler_backend_word_state(w) != POOLER_BACKEND_PINNED) ||
			pooler_backend_word_client(w) >= (uint32) pooler_shared->nclients ||
			pooler_leak_see((int) pooler_backend_word_client(w), &who) != LEAK_SEEN ||
			who.backend != i)
			continue;
		for (int kind = 0; kind < POOLER_NLEAK_KINDS; kind++)
		{
			if (kinds & bit_of(kind))
				look_for(&who, kind);
		}
	}
}

#define CLIENT_KINDS \
	((1 << POOLER_LEAK_CONNECTION_IDLE) | (1 << POOLER_LEAK_STATEMENTS))
#define GROUP_KINDS		(1 << POOLER_LEAK_CONNECTION_GROWTH)
#define POOL_KINDS		(1 << POOLER_LEAK_POOL_HELD)

static void
look_at_clients(uint32 kinds)
{
	for (int i = 0; i < pooler_shared->nclients; i++)
	{
		LeakClient	who;

		if (pooler_worker_clients[i].fd < 0 ||
			pooler_leak_see(i, &who) != LEAK_SEEN)
			continue;
		if (kinds & (1 << POOLER_LEAK_CONNECTION_IDLE))
			look_for(&who, POOLER_LEAK_CONNECTION_IDLE);
		if (kinds & (1 << POOLER_LEAK_STATEMENTS))
			look_for(&who, POOLER_LEAK_STATEMENTS);
		if (kinds & GROUP_KINDS)
		{
			LeakMark   *mark = pooler_leak_mark(i, who.gen);

			mark->group = mark->group == NULL ? pooler_leak_group_of(&who) :
				pooler_leak_group_again(mark->group, &who);
			pooler_leak_group_look(mark->group, &who);
		}
	}
}

static void
found_group(LeakGroup *group)
{
	static PoolerLeak leak;
	LeakClient	who;
	uint32		limit;

	if (group->place >= 0 || group->unused == 0 ||
		pooler_leak_see(group->client, &who) == LEAK_GONE || who.pool < 0)
		return;
	limit = pooler_leak_limit_of(who.pool, POOLER_LEAK_CONNECTION_GROWTH);
	if (limit == 0 || group->unused < (int) limit)
	{
		group->counted = false;
		return;
	}
	if (free_place() < 0)
	{
		leave_out(POOLER_LEAK_CONNECTION_GROWTH, who.pool, group->counted);
		group->counted = true;
		return;
	}
	memset(&leak, 0, sizeof(leak));
	leak.kind = POOLER_LEAK_CONNECTION_GROWTH;
	leak.held_since = group->oldest;
	leak.limit = limit;
	leak.amount = (uint32) group->unused;
	leak.xmin_age = -1;
	who.backend = -1;
	set_who(&leak, &who);
	leak.client_id = 0;
	group->place = open_leak(&leak, who.pool, group->counted);
	live[group->place].group = group;
	group->counted = false;
}

static void
look_at_pools(void)
{
	for (int i = 0; i < pooler_pool_used(); i++)
	{
		uint32		limit = pooler_leak_limit_of(i, POOLER_LEAK_POOL_HELD);
		static PoolerLeak leak;
		TimestampTz since;
		LeakClient	holder;

		if (limit == 0 || held_pools[i] || free_place() < 0 ||
			!pooler_leak_pool_held(i, limit, false, &since, &holder))
			continue;
		memset(&leak, 0, sizeof(leak));
		leak.kind = POOLER_LEAK_POOL_HELD;
		leak.held_since = since;
		leak.idle_since = since;
		leak.limit = limit;
		set_who(&leak, &holder);
		pooler_leak_collect(&leak);
		held_pools[i] = true;
		(void) open_leak(&leak, i, false);
	}
}

/*---------------------------------------------------------------------------
 * ending
 *---------------------------------------------------------------------------
 */

/* All that are unused now: with the first that is closed, none of them is. */
static void
mark_group(LeakGroup *group)
{
	for (int i = 0; i < pooler_shared->nclients; i++)
	{
		LeakClient	who;
		TimestampTz since;
		LeakMark   *mark = &marks[i];

		if (mark->group != group || mark->ending != 0 ||
			pooler_leak_see(i, &who) != LEAK_SEEN || who.gen != mark->gen ||
			!pooler_leak_group_unused(group, &who, &since))
			continue;
		mark->ending = since;
		nending++;
	}
}

static void
end_marked(void)
{
	for (int i = 0; i < pooler_shared->nclients && nending > 0; i++)
	{
		LeakMark   *mark = &marks[i];
		LeakClient	who;
		LeakSight	sight;

		if (mark->ending == 0)
			continue;
		sight = pooler_leak_see(i, &who);
		if (sight == LEAK_BETWEEN ||
			(sight == LEAK_SEEN && who.gen == mark->gen &&
			 pooler_leak_terminate_idle(&who, mark->ending,
										pooler_leak_limit_of(who.pool, POOLER_LEAK_CONNECTION_GROWTH))))
			continue;
		mark->ending = 0;
		nending--;
	}
	if (nending > 0)
		pooler_worker_tick_within(10);
}

/* May free clients, and so end leaks. */
static void
act(int i)
{
	PoolerLeak *leak = LEAK(i);

	if (leak->id == 0)
		return;
	if (!leak->asked && leak->action == POOLER_LEAK_CANCEL)
		pooler_leak_cancel(leak, &live[i].demand);
	else if (!leak->asked && leak->action == POOLER_LEAK_LOG)
		return;
	else if (leak->kind == POOLER_LEAK_CONNECTION_GROWTH)
	{
		if (live[i].group != NULL)
			mark_group(live[i].group);
		end_marked();
	}
	else
		pooler_leak_terminate(leak, &live[i].demand);
}

void
pooler_leak_client_left(int slot)
{
	uint32		gen = pooler_client_gen(&pooler_clients[slot]);
	LeakMark   *mark = pooler_leak_mark(slot, gen);
	PoolerEndReason reason = pooler_leak_closed_for(slot);

	if (mark->group != NULL && mark->group->place >= 0 &&
		reason == (PoolerEndReason) (POOLER_END_LEAK + POOLER_LEAK_CONNECTION_GROWTH))
		live[mark->group->place].ended_by_us = true;
	pooler_leak_group_left(slot, mark->group);
	mark->group = NULL;
	if (mark->ending != 0)
		nending--;
	mark->ending = 0;
	if (pg_atomic_read_u32(&pooler_leaks->ncurrent) == 0)
		return;
	for (int i = 0; i < POOLER_MAX_LEAKS; i++)
	{
		PoolerLeak *leak = LEAK(i);

		if (leak->id == 0 || leak->client != slot || leak->gen != gen ||
			leak->client_id != pooler_clients[slot].id)
			continue;
		if (leak->kind != POOLER_LEAK_POOL_HELD)
			close_leak(i, end_by_reason(leak, reason));
		else if (pooler_end_is_leak(reason))
			live[i].ended_by_us = true;
	}
}

/*---------------------------------------------------------------------------
 * the look
 *---------------------------------------------------------------------------
 */

/* Kinds for which any pool with clients has a threshold. */
static uint32
kinds_in_force(void)
{
	uint32		kinds = 0;

	for (int i = 0; i < pooler_pool_used(); i++)
	{
		if (!pooler_pools[i].in_use || pooler_pools[i].nclients == 0)
			continue;
		for (int kind = 0; kind < POOLER_NLEAK_KINDS; kind++)
		{
			if (pooler_leak_limit_of(i, kind) > 0)
				kinds |= bit_of(kind);
		}
	}
	return kinds;
}

static void
look(uint32 kinds)
{
	uint32		at_backends = kinds & ~(CLIENT_KINDS | GROUP_KINDS | POOL_KINDS);

	nleft_out = 0;
	for (int i = 0; i < POOLER_MAX_LEAKS; i++)
	{
		if (LEAK(i)->id != 0 && LEAK(i)->kind != POOLER_LEAK_CONNECTION_GROWTH)
			look_after(i);
	}
	if (kinds & POOL_KINDS)
		look_at_pools();
	if (at_backends)
		look_at_backends(at_backends);
	if (kinds & (CLIENT_KINDS | GROUP_KINDS))
	{
		pooler_leak_group_begin_look();
		look_at_clients(kinds);
		pooler_leak_group_end_look(found_group);
	}
	for (int i = 0; i < POOLER_MAX_LEAKS; i++)
	{
		if (LEAK(i)->id != 0 && LEAK(i)->kind == POOLER_LEAK_CONNECTION_GROWTH)
			look_after(i);
	}
	pooler_leak_forget_collected();
	pg_atomic_write_u32(&pooler_leaks->nleft_out, (uint32) nleft_out);
	told_full = told_full && nleft_out > 0;
	for (int i = 0; i < POOLER_MAX_LEAKS; i++)
		act(i);
}

void
pooler_leak_tick(void)
{
	uint32		kinds;

	if (nending > 0)
		end_marked();
	if (next_look > pooler_worker.now &&
		next_look <= TimestampTzPlusMilliseconds(pooler_worker.now, LOOK_MS))
	{
		pooler_worker_tick_within((int) ((next_look - pooler_worker.now) / 1000) + 1);
		return;
	}
	kinds = kinds_in_force();
	if (kinds == 0 && pg_atomic_read_u32(&pooler_leaks->ncurrent) == 0)
		return;					/* each tick looks again */
	next_look = TimestampTzPlusMilliseconds(pooler_worker.now, LOOK_MS);
	pooler_worker_tick_within(LOOK_MS);
	look(kinds);
}

/*---------------------------------------------------------------------------
 * what administrators ask for
 *---------------------------------------------------------------------------
 */

static int
find(uint64 id)
{
	for (int i = 0; i < POOLER_MAX_LEAKS && id != 0; i++)
	{
		if (LEAK(i)->id == id)
			return i;
	}
	return -1;
}

bool
pooler_leak_ask(uint64 id)
{
	int			i = find(id);

	if (i < 0)
		return false;
	LEAK(i)->asked = true;
	return !pooler_leak_asked_is_over(id);
}

bool
pooler_leak_asked_is_over(uint64 id)
{
	int			i = find(id);

	if (i < 0)
		return true;
	if (LEAK(i)->kind == POOLER_LEAK_CONNECTION_GROWTH)
	{
		/* its numbers are old as soon as one of them has gone */
		if (live[i].ended_by_us && nending == 0)
			look(kinds_in_force());
	}
	else
		look_after(i);
	if (find(id) == i)
		act(i);
	pooler_worker_tick_within(5);
	return find(id) < 0;
}

void
pooler_leak_reset(void)
{
	for (int i = 0; i < POOLER_MAX_ENDED_LEAKS; i++)
	{
		pooler_leak_begin_write(&pooler_leaks->ended[i].changes);
		memset(&pooler_leaks->ended[i].leak, 0, sizeof(PoolerLeak));
		pooler_leak_end_write(&pooler_leaks->ended[i].changes);
	}
	for (int i = 0; i < POOLER_MAX_LEAK_COUNTS; i++)
	{
		pooler_leak_begin_write(&pooler_leaks->counts[i].changes);
		memset(&pooler_leaks->counts[i].count, 0, sizeof(PoolerLeakCount));
		pooler_leak_end_write(&pooler_leaks->counts[i].changes);
	}
}
