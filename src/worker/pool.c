/*-------------------------------------------------------------------------
 *
 * pool.c
 *	  Pools: how many backends each may have, and who has to go.
 *
 * Runs in: the pooler.  A pool's backends are in its list from birth to end
 * of file; counts in shared memory follow that list.  What pools share is in
 * limits.c.
 *
 *-------------------------------------------------------------------------
 */
#include "worker/internal.h"

#include "access/xact.h"
#include "auth/catalog.h"
#include "nodes/pg_list.h"
#include "shared/evict.h"
#include "shared/hold.h"
#include "shared/lists.h"
#include "utils/memutils.h"
#include "worker/parameters.h"
#include "worker/tally.h"

/* At most this many births a second, in the long run and at once. */
#define BIRTHS_PER_SECOND	100
#define BIRTHS_AT_ONCE		50

WorkerPool *pooler_worker_pools;

static int	npools;				/* slots below this have been used */
static double birth_tokens = BIRTHS_AT_ONCE;
static TimestampTz birth_tokens_at;

/*---------------------------------------------------------------------------
 * the table
 *---------------------------------------------------------------------------
 */

/* Clients and backends of the last life have nothing to do with this one. */
void
pooler_pool_startup(void)
{
	pooler_worker_pools =
		MemoryContextAllocZero(TopMemoryContext,
							   sizeof(WorkerPool) * pooler_shared->npools);
	for (int i = 0; i < pooler_shared->npools; i++)
	{
		PoolerPool *pool = &pooler_pools[i];

		dlist_init(&pooler_worker_pools[i].backends);
		SpinLockAcquire(&pool->mutex);
		pool->head = pool->tail = -1;
		pool->flags &= ~POOLER_POOL_HELD;
		pg_atomic_write_u32(&pool->nwaiting, 0);
		SpinLockRelease(&pool->mutex);
		pg_atomic_write_u32(&pool->surplus, 0);
		pool->nclients = pool->nbackends = pool->nstarting = 0;
		if (pool->in_use)
			npools = i + 1;
	}
	birth_tokens_at = pooler_worker.now;
}

int
pooler_pool_used(void)
{
	return npools;
}

/* One client needs one backend; a client that has gone needs none. */
static int
size_of(const PoolerPool *pool)
{
	int			size;

	if (pool->owner == POOLER_OWNER_GONE)
		return 0;
	if (pool->owner >= 0)
		return 1;
	size = pooler_pool_count(pool, POOLER_DEFAULT_POOL_SIZE);
	return size > 0 ? size : pooler_max_backends_in_force();
}

/* The pool that all clients of a database and a role share, or -1. */
static int
find_shared(Oid dbid, Oid roleid)
{
	for (int i = 0; i < npools; i++)
	{
		PoolerPool *pool = &pooler_pools[i];

		if (pool->in_use && pool->dbid == dbid && pool->roleid == roleid &&
			pool->owner == POOLER_NO_OWNER)
			return i;
	}
	return -1;
}

/* One that is a single client's begins with what the shared one has. */
static void
open_pool(int index, Oid dbid, Oid roleid, const char *database,
		  const char *role, bool superuser, int owner)
{
	static const PoolerOverrides none = {0};
	PoolerPool *pool = &pooler_pools[index];
	int			shared = find_shared(dbid, roleid);

	pool->in_use = false;
	pg_write_barrier();
	pooler_tally_close(index);
	pool->dbid = dbid;
	pool->roleid = roleid;
	strlcpy(pool->database, database, NAMEDATALEN);
	strlcpy(pool->role, role, NAMEDATALEN);
	pool->owner = owner;
	pooler_tally_open(index);
	pool->overrides = shared >= 0 ? pooler_pools[shared].overrides : none;
	pool->idle_session_timeout = shared >= 0 ?
		pooler_pools[shared].idle_session_timeout : POOLER_SERVERS_OWN;
	pool->size = size_of(pool);
	pool->created_at = pooler_worker.now;
	pooler_pool_set_flags(pool, pooler_hold_paused(dbid) ? POOLER_POOL_PAUSED : 0,
						  pooler_hold_paused(dbid) ? 0 : POOLER_POOL_PAUSED);
	pooler_worker_pools[index].resumed_at = 0;
	pooler_worker_pools[index].retry_at = 0;
	pooler_worker_pools[index].prefork = false;
	pooler_worker_pools[index].told = false;
	pooler_worker_pools[index].learnt = false;
	pooler_worker_pools[index].superuser = superuser;
	pooler_worker_pools[index].unused_since = 0;
	pooler_worker_pools[index].asked = 0;
	pg_atomic_write_u32(&pool->surplus, 0);
	pg_write_barrier();
	pool->in_use = true;
}

/*
 * A slot for another pool.  When all have been used, one without clients and
 * backends is used again; there always is one (see pool_slots() in shmem.c).
 */
static int
free_slot(void)
{
	for (int i = 0; i < npools; i++)
	{
		if (!pooler_pools[i].in_use)
			return i;
	}
	if (npools < pooler_shared->npools)
		return npools++;
	for (int i = 0; i < npools; i++)
	{
		if (pooler_pools[i].nclients == 0 && pooler_pools[i].nbackends == 0)
			return i;
	}
	Assert(false);
	return 0;
}

int
pooler_pool_find(Oid dbid, Oid roleid, const char *database, const char *role,
				 bool superuser, int owner)
{
	int			index = owner == POOLER_NO_OWNER ? find_shared(dbid, roleid) : -1;

	if (index >= 0)
	{
		pooler_tally_retry(index);
		return index;
	}
	index = free_slot();
	open_pool(index, dbid, roleid, database, role, superuser, owner);
	return index;
}

/* It has neither clients nor backends; its slot is free. */
static void
close_pool(int index)
{
	PoolerPool *pool = &pooler_pools[index];

	pool->in_use = false;
	pg_write_barrier();
	pooler_tally_close(index);
}

/* The slot of a pool whose owner has gone is free once its backend has. */
static void
close_if_abandoned(int index)
{
	PoolerPool *pool = &pooler_pools[index];

	if (pool->owner == POOLER_OWNER_GONE && pool->nbackends == 0)
		close_pool(index);
}

/*
 * pool_idle_timeout.  What was learnt of the pool goes with it: whoever logs in
 * next must not be let in by what is remembered of its logins, but ask again.
 */
static void
close_if_unused(int index)
{
	PoolerPool *pool = &pooler_pools[index];
	WorkerPool *wp = &pooler_worker_pools[index];

	if (pooler_pool_idle_timeout == 0 || pool->nclients > 0 ||
		pool->nbackends > 0 || pool->flags != 0 || wp->prefork)
	{
		wp->unused_since = 0;
		return;
	}
	if (wp->unused_since == 0)
		wp->unused_since = pooler_worker.now;
	if (!pooler_timeout_passed(wp->unused_since, pooler_ms(pooler_pool_idle_timeout)))
		return;
	close_pool(index);
	pooler_parameters_forget();
}

void
pooler_pool_client_left(int index)
{
	PoolerPool *pool = &pooler_pools[index];

	pool->nclients--;
	if (pool->owner < 0)
		return;
	pool->owner = POOLER_OWNER_GONE;
	pool->size = 0;
	pooler_pool_drain(index);
	close_if_abandoned(index);
}

/*---------------------------------------------------------------------------
 * limits
 *---------------------------------------------------------------------------
 */

/*
 * Backends of the pool that have not been told to go.  One that is born to
 * answer a login's question stays only if there is room: it must not push out
 * another.
 */
int
pooler_pool_staying(int index)
{
	int			n = pooler_pools[index].nbackends - pooler_worker_pools[index].asked;
	dlist_iter	iter;

	dlist_foreach(iter, &pooler_worker_pools[index].backends)
	{
		WorkerBackend *wb = dlist_container(WorkerBackend, pool_node, iter.cur);

		if (wb->exiting ||
			(wb->birth != NULL && wb->birth->kind == WORKER_BIRTH_PROBE))
			n--;
	}
	return n;
}

static int
reserve_of(PoolerPool *pool)
{
	if (pool->owner != POOLER_NO_OWNER)
		return 0;
	return pooler_pool_count(pool, POOLER_RESERVE_POOL_SIZE);
}

/* The pool's size, with the reserve once somebody has waited long enough. */
static int
pool_limit(PoolerPool *pool)
{
	int			reserve = reserve_of(pool);
	TimestampTz since;

	if (reserve == 0 || pooler_queue_first(pool, &since) < 0 ||
		!TimestampDifferenceExceeds(since, pooler_worker.now,
									pooler_pool_ms(pool, POOLER_RESERVE_POOL_TIMEOUT)))
		return pool->size;
	return pool->size + reserve;
}

bool
pooler_pool_has_room(int index)
{
	/* the backend in question is counted already */
	return pooler_pools[index].nbackends <= pooler_pools[index].size &&
		pooler_limits_kept(index);
}

void
pooler_pool_retire(int backend, PoolerBackendEnd why)
{
	if (pooler_backend_claim(backend))
		pooler_backend_exit(backend, why);
}

/* Has the pool an idle backend?  The one that has been idle longest; or -1. */
int
pooler_pool_longest_idle(int index, TimestampTz *longest)
{
	int			found = -1;
	dlist_iter	iter;

	dlist_foreach(iter, &pooler_worker_pools[index].backends)
	{
		WorkerBackend *wb = dlist_container(WorkerBackend, pool_node, iter.cur);
		int			b = wb - pooler_worker_backends;
		TimestampTz since;

		if (wb->birth == NULL && pooler_backend_idle(b, &since) &&
			(found < 0 || since < *longest))
		{
			found = b;
			*longest = since;
		}
	}
	return found;
}

/*---------------------------------------------------------------------------
 * who needs one more
 *---------------------------------------------------------------------------
 */

/*
 * Are there clients in the queue beyond those whom backends will take that are
 * being born, or have been and not looked yet, or look just now?
 */
static bool
needs_backend(int index)
{
	int			n = pg_atomic_read_u32(&pooler_pools[index].nwaiting);
	dlist_iter	iter;

	if (n == 0)
		return false;
	dlist_foreach(iter, &pooler_worker_pools[index].backends)
	{
		WorkerBackend *wb = dlist_container(WorkerBackend, pool_node, iter.cur);
		PoolerBackend *b = &pooler_backends[wb - pooler_worker_backends];

		switch (pooler_backend_word_state(pg_atomic_read_u64(&b->word)))
		{
			case POOLER_BACKEND_STARTING:
			case POOLER_BACKEND_TAKING:
				if (!wb->exiting)
					n--;
				break;
			default:
				break;
		}
	}
	return n > 0;
}

/* Does this pool wait for a backend that nothing but lack of room denies it? */
bool
pooler_pool_wants(int index)
{
	PoolerPool *pool = &pooler_pools[index];

	return needs_backend(index) &&
		(pool->flags & POOLER_POOL_PAUSED) == 0 &&
		pool->nbackends < pool_limit(pool) &&
		(pool->nbackends == 0 ||
		 pooler_worker_pools[index].retry_at <= pooler_worker.now) &&
		!pooler_evict_wanted(pool->dbid);
}

/* Whichever backend of the pool ends its transaction first goes. */
void
pooler_pool_ask_one_to_go(int index)
{
	pooler_worker_pools[index].asked++;
	pooler_worker_pools[index].asked_at = pooler_worker.now;
	pg_atomic_fetch_add_u32(&pooler_pools[index].surplus, 1);
}

/* Births are bounded, whatever clients do to make backends die. */
static bool
take_birth_token(void)
{
	birth_tokens += Max(pooler_worker.now - birth_tokens_at, 0) / 1e6 * BIRTHS_PER_SECOND;
	birth_tokens = Min(birth_tokens, BIRTHS_AT_ONCE);
	birth_tokens_at = pooler_worker.now;
	if (birth_tokens < 1)
		return false;
	birth_tokens -= 1;
	return true;
}

/*---------------------------------------------------------------------------
 * growing
 *---------------------------------------------------------------------------
 */

/*
 * A role or a database has changed.  Backends bear the old names in the log
 * and in views, and were let in by rights that may be gone: they are replaced.
 */
static void
recheck_pool(int index)
{
	PoolerPool *pool = &pooler_pools[index];
	PoolerRole	role;
	NameData	database;

	if (!pooler_catalog_find_role_by_oid(pool->roleid, &role) ||
		!pooler_catalog_database_name(pool->dbid, &database))
	{
		pooler_pool_drain(index);
		return;
	}
	pooler_pool_see_role(role.oid, role.superuser);
	if (strcmp(NameStr(role.name), pool->role) != 0 ||
		strcmp(NameStr(database), pool->database) != 0)
	{
		strlcpy(pool->role, NameStr(role.name), NAMEDATALEN);
		strlcpy(pool->database, NameStr(database), NAMEDATALEN);
		pooler_pool_drain(index);
	}
}

void
pooler_pool_see_role(Oid roleid, bool superuser)
{
	for (int i = 0; i < npools; i++)
	{
		if (!pooler_pools[i].in_use || pooler_pools[i].roleid != roleid ||
			pooler_worker_pools[i].superuser == superuser)
			continue;
		pooler_worker_pools[i].superuser = superuser;
		pooler_pool_drain(i);
	}
}

bool
pooler_pool_refresh(int index)
{
	MemoryContext old = CurrentMemoryContext;
	PoolerPool *pool = &pooler_pools[index];
	char		role[NAMEDATALEN];
	char		database[NAMEDATALEN];

	strlcpy(role, pool->role, NAMEDATALEN);
	strlcpy(database, pool->database, NAMEDATALEN);
	StartTransactionCommand();
	if (pooler_catalog_try_lock())
		recheck_pool(index);
	CommitTransactionCommand();
	MemoryContextSwitchTo(old);
	return strcmp(role, pool->role) != 0 || strcmp(database, pool->database) != 0;
}

static int
start_shared(int index, WorkerBirthKind kind)
{
	PoolerPool *pool = &pooler_pools[index];
	PoolerIdentity who = {0};
	size_t		key_len;
	char	   *key;
	int			backend;

	who.dbid = pool->dbid;
	who.roleid = pool->roleid;
	key = pooler_parameters_key(CurrentMemoryContext, &who, NULL, 0, &key_len);
	backend = pooler_birth_start(kind, index, pool->database,
								 pool->role, NULL, 0, key, key_len, -1);
	pfree(key);
	return backend;
}

/* With the settings of the client that it is for. */
static int
start_own(int index)
{
	PoolerPool *pool = &pooler_pools[index];
	WorkerClient *wc = &pooler_worker_clients[pool->owner];

	return pooler_birth_start(WORKER_BIRTH_POOL, index, pool->database,
							  pool->role, wc->settings, wc->settings_len,
							  NULL, 0, -1);
}

static bool
give_birth(int index)
{
	if (!take_birth_token())
	{
		pooler_worker_tick_within(20);
		return false;
	}
	(void) pooler_pool_refresh(index);
	return (pooler_pools[index].owner >= 0 ? start_own(index) :
			start_shared(index, WORKER_BIRTH_POOL)) >= 0;
}

/* Room for one more, within the pool and among all? */
static bool
may_grow(int index, bool needed)
{
	PoolerPool *pool = &pooler_pools[index];

	if (pooler_worker.draining || (pool->flags & POOLER_POOL_PAUSED) != 0 ||
		pool->nbackends >= pool_limit(pool) ||
		pooler_evict_wanted(pool->dbid))
		return false;
	if (pool->nbackends > 0 &&
		pooler_worker_pools[index].retry_at > pooler_worker.now)
		return false;
	return pooler_limits_room(index, needed);
}

void
pooler_pool_grow(int index)
{
	PoolerPool *pool = &pooler_pools[index];

	if (pool->flags & POOLER_POOL_PAUSED)
		return;
	while (needs_backend(index) && may_grow(index, true))
	{
		if (!give_birth(index))
		{
			pooler_worker_tick_within(100);
			break;
		}
	}
}

bool
pooler_pool_add(int index)
{
	return pooler_pools[index].nstarting == 0 && may_grow(index, false) &&
		give_birth(index);
}

static void
fail_waiting(int index, const void *message, size_t len)
{
	PoolerPool *pool = &pooler_pools[index];
	TimestampTz since;
	int			client;

	if (pool->nbackends > 1)	/* the failed one still counts */
		return;
	if ((pool->flags & POOLER_POOL_PAUSED) != 0)
		return;					/* they wait in any case */
	while ((client = pooler_queue_first(pool, &since)) >= 0)
	{
		if (pooler_queue_remove(pool, client,
								pooler_client_gen(&pooler_clients[client])))
			pooler_client_close_raw(client, message, len,
									"no backend could be started");
	}
}

/*
 * A pool that has backends tries again later.  The clients of one that has
 * none get the server's own words, unless the database or the role has another
 * name by now, or somebody has the database for himself: the next one may do.
 */
void
pooler_pool_birth_failed(int index, const void *message, size_t len)
{
	PoolerPool *pool = &pooler_pools[index];

	pooler_worker_pools[index].retry_at =
		TimestampTzPlusMilliseconds(pooler_worker.now,
									pooler_ms(pooler_server_login_retry));
	if (pooler_pool_refresh(index) || pooler_evict_wanted(pool->dbid))
		pooler_worker_pools[index].retry_at = 0;
	else
		fail_waiting(index, message, len);
}

/* Room has become free: the pools that want it know whose turn it is. */
void
pooler_pool_backend_left(int index)
{
	if (index >= 0)
	{
		if (pooler_worker_pools[index].asked > 0)
			pooler_worker_pools[index].asked--;
		close_if_abandoned(index);
		pooler_dispatch_feed(index);
	}
	for (int i = 0; i < npools; i++)
	{
		if (pg_atomic_read_u32(&pooler_pools[i].nwaiting) > 0)
			pooler_pool_grow(i);
	}
}

/*---------------------------------------------------------------------------
 * what a pool has of its own
 *---------------------------------------------------------------------------
 */

/*
 * What a client has asked for when it connected hides what the pool has, but
 * the rest is better than nothing.  A backend that began before a change
 * may have seen either.
 */
void
pooler_pool_learn(int index, int backend, uint32 defaults_gen)
{
	PoolerPool *pool = &pooler_pools[index];
	WorkerPool *wp = &pooler_worker_pools[index];
	const PoolerOverrides *overrides = &pooler_backends[backend].overrides;
	bool		current = defaults_gen ==
		pg_atomic_read_u32(&pooler_shared->defaults_gen);

	if (wp->told && (!current || overrides->partial))
		return;
	pool->overrides = *overrides;
	pool->size = size_of(pool);
	if (!overrides->partial)
		pool->idle_session_timeout = pooler_backends[backend].idle_session_timeout;
	wp->told = current;
	wp->learnt = current && !overrides->partial;
	pooler_timeout_begin(index);
}

bool
pooler_pool_known(int index)
{
	return pooler_worker_pools[index].told;
}

/*
 * Something has changed and no backend is born that would tell: clients may be
 * idle for long.
 */
static void
ask_if_outdated(int index)
{
	PoolerPool *pool = &pooler_pools[index];

	if (pooler_worker_pools[index].learnt || pool->owner != POOLER_NO_OWNER ||
		pool->nclients == 0 || pool->nstarting > 0 || pooler_worker.draining ||
		(pool->flags & POOLER_POOL_PAUSED) != 0 ||
		pooler_worker_pools[index].retry_at > pooler_worker.now ||
		pooler_evict_wanted(pool->dbid) || !take_birth_token())
		return;
	(void) start_shared(index, WORKER_BIRTH_PROBE);
}

/*---------------------------------------------------------------------------
 * by the clock
 *---------------------------------------------------------------------------
 */

static bool
outlived(int index, int backend)
{
	int			lifetime = pooler_pool_ms(&pooler_pools[index], POOLER_SERVER_LIFETIME);

	return lifetime > 0 &&
		TimestampDifferenceExceeds(pooler_backends[backend].born_at,
								   pooler_worker.now, lifetime);
}

/* Why an idle backend has to go; OTHER: it need not. */
static PoolerBackendEnd
too_old(int index, int backend, TimestampTz idle_since)
{
	PoolerPool *pool = &pooler_pools[index];
	int			timeout = pooler_pool_ms(pool, POOLER_SERVER_IDLE_TIMEOUT);

	if (outlived(index, backend))
		return POOLER_ENDED_LIFETIME;
	if (pooler_backends[backend].drain_gen != pg_atomic_read_u32(&pool->drain_gen))
		return POOLER_ENDED_DRAINED;
	if (timeout > 0 &&
		TimestampDifferenceExceeds(idle_since, pooler_worker.now, timeout) &&
		pooler_pool_staying(index) > pooler_pool_count(pool, POOLER_MIN_POOL_SIZE))
		return POOLER_ENDED_IDLE;
	return POOLER_ENDED_OTHER;
}

/*
 * Backends that are idle go at once.  Where clients queue none ever is: those
 * that have lived long enough go at the end of their transaction, one at a
 * time, so that the pool is never without.
 */
static void
retire_old(int index)
{
	bool		busy_one = false;
	dlist_iter	iter;

	dlist_foreach(iter, &pooler_worker_pools[index].backends)
	{
		WorkerBackend *wb = dlist_container(WorkerBackend, pool_node, iter.cur);
		int			b = wb - pooler_worker_backends;
		uint32		drain_gen = pg_atomic_read_u32(&pooler_pools[index].drain_gen);
		TimestampTz since;

		if (wb->exiting || wb->birth != NULL)
			continue;
		if (pooler_backend_idle(b, &since))
		{
			PoolerBackendEnd why = too_old(index, b, since);

			if (why != POOLER_ENDED_OTHER)
				pooler_pool_retire(b, why);
		}
		else if (!busy_one && pooler_backends[b].drain_gen == drain_gen &&
				 outlived(index, b))
		{
			pooler_backends[b].end_hint = POOLER_ENDED_LIFETIME;
			pooler_backends[b].drain_gen = drain_gen - 1;
			busy_one = true;
		}
	}
}

/* Its size has been lowered. */
static void
retire_surplus(int index)
{
	PoolerPool *pool = &pooler_pools[index];
	int			n = pooler_pool_staying(index) - pool->size - reserve_of(pool);

	for (; n > 0; n--)
	{
		TimestampTz since = 0;
		int			b = pooler_pool_longest_idle(index, &since);

		if (b >= 0)
			pooler_pool_retire(b, POOLER_ENDED_SURPLUS);
		else
			pooler_pool_ask_one_to_go(index);
	}
}

static void
keep_minimum(int index)
{
	PoolerPool *pool = &pooler_pools[index];
	int			minimum = Min(pooler_pool_count(pool, POOLER_MIN_POOL_SIZE), pool->size);

	if (pool->nclients == 0 && !pooler_worker_pools[index].prefork)
		return;
	if (pooler_worker_pools[index].prefork)
		minimum = Max(minimum, 1);
	while (pool->nbackends < minimum &&
		   pooler_worker_pools[index].retry_at <= pooler_worker.now &&
		   may_grow(index, true) && give_birth(index))
		;
}

static void
open_preforked(void)
{
	static char *done = NULL;
	List	   *items;
	ListCell   *cell;

	if (done != NULL && strcmp(done, pooler_prefork) == 0)
		return;
	if (done == NULL && pooler_prefork[0] == '\0')
		return;
	StartTransactionCommand();
	if (pooler_catalog_try_lock() && pooler_parse_prefork(pooler_prefork, &items))
	{
		for (int i = 0; i < npools; i++)
			pooler_worker_pools[i].prefork = false;
		foreach(cell, items)
		{
			PoolerPreforkItem *item = lfirst(cell);
			PoolerRole	role;
			PoolerDatabase database;
			int			pool;

			if (!pooler_catalog_find_role(item->role, &role, NULL) ||
				!pooler_catalog_find_database(item->database, &role, &database))
			{
				ereport(WARNING,
						(errmsg("pooler.prefork names a role or database that does not exist: %s/%s",
								item->database, item->role)));
				continue;
			}
			pool = pooler_pool_find(database.oid, role.oid, item->database,
									item->role, role.superuser, POOLER_NO_OWNER);
			pooler_worker_pools[pool].prefork = true;
		}
		if (done != NULL)
			pfree(done);
		done = MemoryContextStrdup(TopMemoryContext, pooler_prefork);
	}
	CommitTransactionCommand();
}

void
pooler_pool_tick(void)
{
	open_preforked();
	for (int i = 0; i < npools; i++)
	{
		PoolerPool *pool = &pooler_pools[i];

		if (!pool->in_use)
			continue;
		pool->size = size_of(pool);
		retire_old(i);
		retire_surplus(i);
		pooler_limits_shed(i);
		keep_minimum(i);
		ask_if_outdated(i);
		close_if_unused(i);
		if (pg_atomic_read_u32(&pool->nwaiting) > 0)
		{
			pooler_pool_grow(i);
			pooler_worker_tick_within(100);
		}
	}
}

/*---------------------------------------------------------------------------
 * draining
 *---------------------------------------------------------------------------
 */

void
pooler_pool_drain(int index)
{
	pg_atomic_fetch_add_u32(&pooler_pools[index].drain_gen, 1);
	retire_old(index);
}

void
pooler_pool_evict(void)
{
	pooler_evict_forget_dead();
	for (int i = 0; i < npools; i++)
	{
		dlist_iter	iter;

		if (pooler_pools[i].nbackends == 0 || !pooler_evict_wanted(pooler_pools[i].dbid))
			continue;
		dlist_foreach(iter, &pooler_worker_pools[i].backends)
		{
			WorkerBackend *wb = dlist_container(WorkerBackend, pool_node, iter.cur);

			if (wb->birth == NULL)
				pooler_pool_retire(wb - pooler_worker_backends, POOLER_ENDED_DATABASE);
		}
	}
	pooler_worker_tick_within(50);
}

void
pooler_pool_replace_all(void)
{
	for (int i = 0; i < npools; i++)
	{
		pooler_worker_pools[i].told = false;
		pooler_worker_pools[i].learnt = false;
		pooler_pool_drain(i);
	}
}

/* Who waits is still served, by the backends that there are. */
void
pooler_pool_drain_all(void)
{
	for (int i = 0; i < npools; i++)
	{
		if (pg_atomic_read_u32(&pooler_pools[i].nwaiting) == 0)
			pooler_pool_drain(i);
	}
}

bool
pooler_pool_recheck(void)
{
	bool		done;

	StartTransactionCommand();
	done = pooler_catalog_try_lock();
	for (int i = 0; i < npools && done; i++)
	{
		if (pooler_pools[i].in_use)
			recheck_pool(i);
	}
	CommitTransactionCommand();
	return done;
}
