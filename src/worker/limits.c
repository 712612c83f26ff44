/*-------------------------------------------------------------------------
 *
 * limits.c
 *	  Limits that pools share: on backends and on clients, of a database, of
 *	  a role, and of all.
 *
 * Runs in: the pooler.  Decides whether there is room for one more, and who
 * gives up a backend if there is not; pool.c carries that out.  A limit that
 * is set for a database or a role is that of the pool that wants to grow.
 *
 *-------------------------------------------------------------------------
 */
#include "worker/internal.h"

/* Whose backends or clients a limit counts; with neither of the two, all. */
typedef struct Scope
{
	Oid			dbid;
	Oid			roleid;
} Scope;

typedef struct Limit
{
	Scope		scope;
	int			most;			/* 0: no limit */
} Limit;

/* The first of a pool's limits are its own, the last one is that of all. */
#define NOWN	2
#define NLIMITS	3

static void
limits_of(int index, Limit limits[NLIMITS])
{
	PoolerPool *pool = &pooler_pools[index];

	memset(limits, 0, NLIMITS * sizeof(Limit));
	limits[0].scope.dbid = pool->dbid;
	limits[0].most = pooler_pool_count(pool, POOLER_MAX_DB_CONNECTIONS);
	limits[1].scope.roleid = pool->roleid;
	limits[1].most = pooler_pool_count(pool, POOLER_MAX_USER_CONNECTIONS);
	limits[2].most = pooler_max_backends_in_force();
}

static bool
in_scope(int index, Scope scope)
{
	PoolerPool *pool = &pooler_pools[index];

	return pool->in_use &&
		(!OidIsValid(scope.dbid) || pool->dbid == scope.dbid) &&
		(!OidIsValid(scope.roleid) || pool->roleid == scope.roleid);
}

static int
count_backends(Scope scope)
{
	int			n = 0;

	for (int i = 0; i < pooler_pool_used(); i++)
	{
		if (in_scope(i, scope))
			n += pooler_pools[i].nbackends;
	}
	return n;
}

/* Those that have not been told to go. */
static int
count_staying(Scope scope)
{
	int			n = 0;

	for (int i = 0; i < pooler_pool_used(); i++)
	{
		if (pooler_pools[i].nbackends > 0 && in_scope(i, scope))
			n += pooler_pool_staying(i);
	}
	return n;
}

/*---------------------------------------------------------------------------
 * whose turn it is
 *---------------------------------------------------------------------------
 */

/* Has it fewer backends, or as many and a client that has waited longer? */
static bool
comes_before(int index, int other)
{
	int			more = pooler_pools[other].nbackends - pooler_pools[index].nbackends;
	TimestampTz since;
	TimestampTz other_since;

	return more > 0 ||
		(more == 0 && pooler_queue_first(&pooler_pools[index], &since) >= 0 &&
		 pooler_queue_first(&pooler_pools[other], &other_since) >= 0 &&
		 since < other_since);
}

/*
 * Has its database or its role all the backends that it may have?  Then it is
 * in nobody's way: room elsewhere does not help it.
 */
static bool
is_full(int index)
{
	Limit		limits[NLIMITS];

	limits_of(index, limits);
	for (int i = 0; i < NOWN; i++)
	{
		if (limits[i].most > 0 && count_backends(limits[i].scope) >= limits[i].most)
			return true;
	}
	return false;
}

/*
 * Pools that want a backend and come first.  Who comes first of all is held up
 * by nobody, in any scope.
 */
static int
count_before(int index, Scope scope)
{
	int			n = 0;

	for (int i = 0; i < pooler_pool_used(); i++)
	{
		if (i != index && in_scope(i, scope) && pooler_pool_wants(i) &&
			comes_before(i, index) && !is_full(i))
			n++;
	}
	return n;
}

/*---------------------------------------------------------------------------
 * making room
 *---------------------------------------------------------------------------
 */

/*
 * The backend that has been idle longest, of those that a pool can spare; or
 * of all, if a limit was lowered.
 */
static int
find_victim(int for_pool, Scope scope, bool spared)
{
	int			victim = -1;
	TimestampTz longest = 0;

	for (int i = 0; i < pooler_pool_used(); i++)
	{
		PoolerPool *pool = &pooler_pools[i];
		TimestampTz since = 0;
		int			b;

		if (i == for_pool || pool->nbackends == 0 || !in_scope(i, scope) ||
			(spared && pooler_pool_staying(i) <=
			 pooler_pool_count(pool, POOLER_MIN_POOL_SIZE)))
			continue;
		b = pooler_pool_longest_idle(i, &since);
		if (b >= 0 && (victim < 0 || since < longest))
		{
			victim = b;
			longest = since;
		}
	}
	return victim;
}

/*
 * No backend is idle, and where clients queue none ever will be: a pool has to
 * give one up in favour of another that has at least two less.  If there are
 * more pools than backends, those that have one give it up in turn.
 */
static void
ask_richest(int for_pool, Scope scope)
{
	static int	turn = 0;
	int			mine = pooler_pools[for_pool].nbackends;
	int			richest = -1;
	int			most = mine == 0 ? 0 : mine + 1;
	int			npools = pooler_pool_used();

	for (int n = 0; n < npools; n++)
	{
		int			i = (turn + n) % npools;
		int			staying;

		if (pooler_pools[i].nbackends == 0 || !in_scope(i, scope))
			continue;
		if (pooler_worker_pools[i].asked > 0 &&
			!TimestampDifferenceExceeds(pooler_worker_pools[i].asked_at,
										pooler_worker.now, 1000))
			return;				/* wait for the one that is about to go */
		staying = pooler_pool_staying(i);
		if (i == for_pool || pooler_worker_pools[i].asked > 0 ||
			staying <= pooler_pool_count(&pooler_pools[i], POOLER_MIN_POOL_SIZE) ||
			staying <= most)
			continue;
		most = staying;
		richest = i;
	}
	if (richest < 0)
		return;
	turn = richest + 1;
	pooler_pool_ask_one_to_go(richest);
}

/*
 * Is a backend on its way out already, so that another need not be?  One that
 * takes long, because it has to clean up after its session, does not count.
 */
static bool
somebody_exits(Scope scope)
{
	for (int i = 0; i < pooler_shared->nbackends; i++)
	{
		WorkerBackend *wb = &pooler_worker_backends[i];
		int			pool = pooler_backends[i].pool;

		if (wb->sock >= 0 && wb->exiting && pool >= 0 && in_scope(pool, scope) &&
			!TimestampDifferenceExceeds(wb->exit_asked_at, pooler_worker.now, 1000))
			return true;
	}
	return false;
}

static void
make_room(int for_pool, Scope scope)
{
	int			victim;

	if (somebody_exits(scope))
		return;
	victim = find_victim(for_pool, scope, true);
	if (victim >= 0)
		pooler_pool_retire(victim, POOLER_ENDED_EVICTED);
	else
		ask_richest(for_pool, scope);
}

bool
pooler_limits_room(int index, bool needed)
{
	Limit		limits[NLIMITS];

	limits_of(index, limits);
	for (int i = 0; i < NLIMITS; i++)
	{
		int			room = limits[i].most - count_backends(limits[i].scope);

		if (limits[i].most == 0 ||
			(room > 0 && room > count_before(index, limits[i].scope)))
			continue;
		if (room <= 0 && needed)
			make_room(index, limits[i].scope);
		return false;
	}
	return true;
}

bool
pooler_limits_kept(int index)
{
	Limit		limits[NLIMITS];

	limits_of(index, limits);
	for (int i = 0; i < NLIMITS; i++)
	{
		if (limits[i].most > 0 && count_backends(limits[i].scope) > limits[i].most)
			return false;
	}
	return true;
}

/*---------------------------------------------------------------------------
 * limits that were lowered
 *---------------------------------------------------------------------------
 */

/*
 * Pools of one scope can differ in the limit: a role may have one of its own
 * in this database.  Backends have to go only beyond what any of them allows.
 */
static bool
is_loosest(const Limit *limit, int which)
{
	for (int i = 0; i < pooler_pool_used(); i++)
	{
		Limit		others[NLIMITS];

		if (pooler_pools[i].nbackends == 0 || !in_scope(i, limit->scope))
			continue;
		limits_of(i, others);
		if (others[which].most == 0 || others[which].most > limit->most)
			return false;
	}
	return true;
}

static void
send_one_away(Scope scope)
{
	int			victim = find_victim(-1, scope, false);
	int			richest = -1;
	int			most = 0;

	if (victim >= 0)
	{
		pooler_pool_retire(victim, POOLER_ENDED_EVICTED);
		return;
	}
	for (int i = 0; i < pooler_pool_used(); i++)
	{
		int			staying;

		if (pooler_pools[i].nbackends == 0 || !in_scope(i, scope))
			continue;
		staying = pooler_pool_staying(i);
		if (staying > most)
		{
			most = staying;
			richest = i;
		}
	}
	if (richest >= 0)
		pooler_pool_ask_one_to_go(richest);
}

void
pooler_limits_shed(int index)
{
	Limit		limits[NLIMITS];

	if (pooler_pools[index].nbackends == 0)
		return;
	limits_of(index, limits);
	for (int i = 0; i < NOWN; i++)
	{
		int			excess;

		if (limits[i].most == 0)
			continue;
		excess = count_staying(limits[i].scope) - limits[i].most;
		if (excess > 0 && is_loosest(&limits[i], i))
		{
			for (; excess > 0; excess--)
				send_one_away(limits[i].scope);
		}
	}
}

/*---------------------------------------------------------------------------
 * clients
 *---------------------------------------------------------------------------
 */

static int
count_clients(Scope scope)
{
	int			n = 0;

	for (int i = 0; i < pooler_pool_used(); i++)
	{
		if (in_scope(i, scope))
			n += pooler_pools[i].nclients - pooler_worker_pools[i].internal;
	}
	return n + pooler_replication_count(scope.dbid, scope.roleid);
}

static bool
too_many_of_role(Oid roleid, const char *name, int most, int more,
				 PoolerErrorFields *error)
{
	Scope		scope = {.roleid = roleid};

	if (most == 0 || count_clients(scope) + more <= most)
		return false;
	error->severity = "FATAL";
	error->sqlstate = "53300";
	error->message = psprintf(_("too many connections for role \"%s\""), name);
	error->detail = psprintf(_("pooler.max_user_client_connections is %d."), most);
	return true;
}

static bool
too_many_in_database(Oid dbid, const char *name, int most, int more,
					 PoolerErrorFields *error)
{
	Scope		scope = {.dbid = dbid};

	if (most == 0 || count_clients(scope) + more <= most)
		return false;
	error->severity = "FATAL";
	error->sqlstate = "53300";
	error->message = psprintf(_("too many connections for database \"%s\""), name);
	error->detail = psprintf(_("pooler.max_db_client_connections is %d."), most);
	return true;
}

/* In core's order, which looks at the role first. */
bool
pooler_limits_refuse_client(int index, int more, PoolerErrorFields *error)
{
	PoolerPool *pool = &pooler_pools[index];

	return too_many_of_role(pool->roleid, pool->role,
							pooler_pool_count(pool, POOLER_MAX_USER_CLIENT_CONNECTIONS),
							more, error) ||
		too_many_in_database(pool->dbid, pool->database,
							 pooler_pool_count(pool, POOLER_MAX_DB_CLIENT_CONNECTIONS),
							 more, error);
}

bool
pooler_limits_refuse_walsender(const PoolerWalsender *walsender,
							   const char *database, const char *role,
							   PoolerErrorFields *error)
{
	return too_many_of_role(walsender->roleid, role,
							walsender->max_user_clients, 1, error) ||
		(OidIsValid(walsender->dbid) &&
		 too_many_in_database(walsender->dbid, database,
							  walsender->max_db_clients, 1, error));
}
