/*-------------------------------------------------------------------------
 *
 * snapshot.c
 *	  Copies of slots whose parts belong together.
 *
 * Runs in: any process.  Reads shared memory and changes nothing there.
 *
 * The method is the same for all kinds of slots: read what tells the users
 * of the slot apart, copy, read it again.  If it is still the same, all that
 * was copied is that user's; else try again.  A slot that changed its user at
 * each of MAX_TRIES looks is left out: whoever it was has gone, too.
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "shared/snapshot.h"

#define MAX_TRIES	10

typedef enum Look
{
	LOOK_EMPTY,					/* the slot is not in use */
	LOOK_CHANGED,				/* another user came in between */
	LOOK_UNSTEADY,				/* same user, but it moved meanwhile */
	LOOK_DONE
} Look;

/*
 * A string of a slot, which may be in the middle of being written when we
 * read it: the copy is terminated in any case.
 */
static void
copy_string(char *to, const char *from, Size size)
{
	memcpy(to, from, size);
	to[size - 1] = '\0';
}

/*
 * The OIDs of the pool that a client or backend belongs to.  The slot of a
 * pool stays with it as long as it has clients or backends.
 */
static void
copy_pool_oids(int32 pool, Oid *dbid, Oid *roleid)
{
	*dbid = pool < 0 ? InvalidOid : pooler_pools[pool].dbid;
	*roleid = pool < 0 ? InvalidOid : pooler_pools[pool].roleid;
}

/*---------------------------------------------------------------------------
 * Backends
 *---------------------------------------------------------------------------
 */

/*
 * The word of a backend that starts has a number of its own for each use of
 * the slot, but once it is at work its word names clients instead.  Then pid
 * and born_at tell: both were written before the word left STARTING, and no
 * two processes have both in common.
 */
static bool
backend_is_born(PoolerBackendState state)
{
	return state != POOLER_BACKEND_UNUSED && state != POOLER_BACKEND_STARTING;
}

typedef struct BackendIdentity
{
	int			pid;
	TimestampTz born_at;
} BackendIdentity;

static BackendIdentity
backend_identity(const volatile PoolerBackend *backend)
{
	BackendIdentity identity;

	identity.pid = backend->pid;
	identity.born_at = backend->born_at;
	return identity;
}

static bool
same_identity(BackendIdentity a, BackendIdentity b)
{
	return a.pid == b.pid && a.born_at == b.born_at;
}

/*
 * The client that a backend works for.  Both words must agree; if they do
 * not, they are changing and there is none to speak of.
 */
static void
copy_backend_client(int32 slot, uint64 word, PoolerBackendSnapshot *snap)
{
	PoolerBackend *backend = &pooler_backends[slot];
	uint32		client = pooler_backend_word_client(word);
	bool		login = snap->delegated &&
		snap->state == POOLER_BACKEND_STARTING;
	PoolerClient *c;
	PoolerClientState state;
	uint64		before;
	uint64		id;

	if (login)
		client = (uint32) backend->login_client;
	if (client >= (uint32) pooler_shared->nclients)
		return;
	c = &pooler_clients[client];
	before = pg_atomic_read_u64(&c->word);
	pg_read_barrier();
	id = c->id;
	pg_read_barrier();
	if (pg_atomic_read_u64(&c->word) != before)
		return;

	state = pooler_client_word_state(before);
	if (state != POOLER_CLIENT_BACKEND && state != POOLER_CLIENT_CLAIMED)
		return;
	if (pooler_client_word_backend(before) != (uint32) slot)
		return;
	if (!login &&
		pooler_client_word_gen(before) != pooler_backend_word_gen(word))
		return;
	snap->has_client = true;
	snap->client_id = id;
}

/* What the worker wrote before the birth. */
static void
copy_backend_birth(const PoolerBackend *backend, PoolerBackendSnapshot *snap)
{
	uint32		epoch = pg_atomic_read_u32(&pooler_shared->epoch);

	snap->pool = backend->pool;
	snap->delegated = backend->delegated;
	if (snap->pool < 0 || snap->pool >= pooler_shared->npools)
	{
		snap->pool = -1;
		snap->draining = backend->epoch != epoch;
	}
	else
		snap->draining = backend->epoch != epoch ||
			backend->drain_gen !=
			pg_atomic_read_u32(&pooler_pools[snap->pool].drain_gen);
	copy_pool_oids(snap->pool, &snap->dbid, &snap->roleid);
}

/* What the process wrote; as long as it has not, the pool's OIDs stay. */
static void
copy_backend_process(PoolerBackend *backend, PoolerBackendSnapshot *snap)
{
	Oid			dbid = backend->dbid;
	Oid			roleid = backend->roleid;

	if (OidIsValid(dbid) && OidIsValid(roleid))
	{
		snap->dbid = dbid;
		snap->roleid = roleid;
	}
	snap->pid = backend->pid;
	snap->born_at = backend->born_at;
	snap->state_since = backend->state_since;
	snap->in_copy = pg_atomic_read_u32(&backend->in_copy) != 0;
	snap->pin = pg_atomic_read_u32(&backend->pin);
	snap->pinned_since = backend->pinned_since;
	pooler_stats_add(&snap->counters, &backend->counters);
	if (backend->stats_gen != pg_atomic_read_u32(&pooler_shared->stats_gen))
		pooler_stats_forget_maxima(&snap->counters);
	snap->since_reset = snap->counters;
	pooler_stats_subtract(&snap->since_reset, &backend->counted_before);
}

/*
 * The order matters.  If the identity at the end is that of the beginning,
 * then nothing of a later process was there by then; and if the second look
 * at the word, before that, found the process born, then the worker had not
 * begun to fill in the slot for another one.
 */
static Look
look_at_backend(int32 slot, PoolerBackendSnapshot *snap)
{
	PoolerBackend *backend = &pooler_backends[slot];
	BackendIdentity identity = backend_identity(backend);
	uint64		word;
	uint64		after;

	memset(snap, 0, sizeof(*snap));
	pg_read_barrier();
	word = pg_atomic_read_u64(&backend->word);
	snap->state = pooler_backend_word_state(word);
	if (snap->state == POOLER_BACKEND_UNUSED)
		return LOOK_EMPTY;

	pg_read_barrier();
	copy_backend_birth(backend, snap);
	copy_backend_process(backend, snap);
	copy_backend_client(slot, word, snap);
	pg_read_barrier();
	after = pg_atomic_read_u64(&backend->word);
	pg_read_barrier();

	if (snap->state == POOLER_BACKEND_STARTING)
		return after == word ? LOOK_DONE : LOOK_CHANGED;
	if (backend_is_born(pooler_backend_word_state(after)) &&
		same_identity(identity, backend_identity(backend)))
		return LOOK_DONE;
	return LOOK_CHANGED;
}

bool
pooler_snapshot_backend(int32 slot, PoolerBackendSnapshot *snap)
{
	for (int i = 0; i < MAX_TRIES; i++)
	{
		Look		look = look_at_backend(slot, snap);

		if (look != LOOK_CHANGED)
			return look != LOOK_EMPTY;
	}
	return false;
}

/*---------------------------------------------------------------------------
 * Clients
 *---------------------------------------------------------------------------
 */

/*
 * What a client that is with a backend does: the backend's word says whether
 * there is a command.  A backend that the pooler has claimed may still have
 * the client on which it lingered.
 */
static PoolerActivity
attached_activity(int32 slot, uint64 word, uint64 backend_word)
{
	if (pooler_backend_word_client(backend_word) != (uint32) slot ||
		pooler_backend_word_gen(backend_word) != pooler_client_word_gen(word))
		return POOLER_ACTIVITY_ACTIVE;

	switch (pooler_backend_word_state(backend_word))
	{
		case POOLER_BACKEND_LINGERING:
		case POOLER_BACKEND_CLAIMED:
			return POOLER_ACTIVITY_IDLE;
		case POOLER_BACKEND_PINNED:
			return POOLER_ACTIVITY_PINNED;
		case POOLER_BACKEND_DEAD:
			return POOLER_ACTIVITY_LOST;
		case POOLER_BACKEND_UNUSED:
		case POOLER_BACKEND_STARTING:
		case POOLER_BACKEND_FREE:
		case POOLER_BACKEND_BUSY:
		case POOLER_BACKEND_TAKING:
		case POOLER_BACKEND_CANCELLING:
			break;
	}
	return POOLER_ACTIVITY_ACTIVE;
}

static PoolerActivity
client_activity(int32 slot, uint64 word, uint64 backend_word)
{
	switch (pooler_client_word_state(word))
	{
		case POOLER_CLIENT_FREE:
		case POOLER_CLIENT_LOGIN:
			break;
		case POOLER_CLIENT_IDLE:
			return POOLER_ACTIVITY_IDLE;
		case POOLER_CLIENT_QUEUED:
			return POOLER_ACTIVITY_WAITING;
		case POOLER_CLIENT_CLAIMED:
			return POOLER_ACTIVITY_HANDOVER;
		case POOLER_CLIENT_CONSOLE:
			return POOLER_ACTIVITY_CONSOLE;
		case POOLER_CLIENT_REPLICATION:
			return POOLER_ACTIVITY_REPLICATION;
		case POOLER_CLIENT_BACKEND:
			/* core logs it in: it has no pool before that has succeeded */
			if (pooler_clients[slot].pool < 0)
				return POOLER_ACTIVITY_LOGIN;
			return attached_activity(slot, word, backend_word);
	}
	return POOLER_ACTIVITY_LOGIN;
}

/*
 * The backend that the client's word names.  Its slot belongs to the same
 * process as long as the client's word names it, which the caller checks.
 */
static uint64
copy_client_backend(int32 client, uint64 word, PoolerClientSnapshot *snap)
{
	PoolerClientState state = pooler_client_word_state(word);
	uint32		slot = pooler_client_word_backend(word);
	PoolerBackend *backend;
	uint64		backend_word;

	if ((state != POOLER_CLIENT_BACKEND && state != POOLER_CLIENT_CLAIMED) ||
		slot >= (uint32) pooler_shared->nbackends)
		return 0;
	backend = &pooler_backends[slot];
	backend_word = pg_atomic_read_u64(&backend->word);
	pg_read_barrier();
	if (backend_is_born(pooler_backend_word_state(backend_word)))
		snap->backend_pid = backend->pid;
	if (pooler_backend_word_client(backend_word) == (uint32) client &&
		pooler_backend_word_gen(backend_word) == pooler_client_word_gen(word))
	{
		snap->pin = pg_atomic_read_u32(&backend->pin);
		snap->pinned_since = backend->pinned_since;
	}
	return backend_word;
}

/* Names stay where they are, so that pointers to them will do. */
static const char *
tls_name(uint8 number)
{
	return number == 0 || number > POOLER_TLS_NAMES ? NULL :
		pooler_shared->tls_names[number - 1];
}

static void
copy_client(const PoolerClient *client, PoolerClientState state,
			PoolerClientSnapshot *snap)
{
	snap->id = client->id;
	snap->connected_at = client->connected_at;
	snap->state_since = client->state_since;
	pooler_address_expand(&snap->raddr, &client->raddr);
	snap->transactions = client->transactions;
	snap->bytes_received = client->bytes_received;
	snap->bytes_sent = client->bytes_sent;
	if (state == POOLER_CLIENT_QUEUED)
		snap->queued_at = client->queued_at;

	/* while it logs in these are still being written */
	if (state == POOLER_CLIENT_LOGIN)
		return;
	snap->pool = client->pool;
	if (snap->pool >= pooler_shared->npools)
		snap->pool = -1;
	if (snap->pool < 0 && state != POOLER_CLIENT_CONSOLE &&
		state != POOLER_CLIENT_REPLICATION)
		return;					/* core is still carrying the login out */
	if (state == POOLER_CLIENT_REPLICATION)
		snap->backend_pid = client->walsender;
	copy_pool_oids(snap->pool, &snap->dbid, &snap->roleid);
	snap->tls_version = tls_name(client->tls_version);
	snap->tls_cipher = tls_name(client->tls_cipher);
	copy_string(snap->application_name, client->application_name,
				sizeof(snap->application_name));
	copy_string(snap->role, client->role, sizeof(snap->role));
	copy_string(snap->database, client->database, sizeof(snap->database));
	copy_string(snap->login_role, client->login_role, sizeof(snap->login_role));
	copy_string(snap->alias, client->alias, sizeof(snap->alias));
}

static Look
look_at_client(int32 slot, PoolerClientSnapshot *snap)
{
	PoolerClient *client = &pooler_clients[slot];
	uint64		word = pg_atomic_read_u64(&client->word);
	uint64		after;
	uint64		backend_word;

	if (pooler_client_word_state(word) == POOLER_CLIENT_FREE)
		return LOOK_EMPTY;
	memset(snap, 0, sizeof(*snap));
	snap->pool = -1;

	pg_read_barrier();
	copy_client(client, pooler_client_word_state(word), snap);
	backend_word = copy_client_backend(slot, word, snap);
	snap->activity = client_activity(slot, word, backend_word);
	pg_read_barrier();
	after = pg_atomic_read_u64(&client->word);

	if (after == word)
		return LOOK_DONE;
	if (pooler_client_word_state(after) == POOLER_CLIENT_FREE ||
		pooler_client_word_gen(after) != pooler_client_word_gen(word))
		return LOOK_CHANGED;
	return LOOK_UNSTEADY;
}

bool
pooler_snapshot_client(int32 slot, PoolerClientSnapshot *snap)
{
	Look		look = LOOK_EMPTY;

	for (int i = 0; i < MAX_TRIES; i++)
	{
		look = look_at_client(slot, snap);
		if (look == LOOK_EMPTY || look == LOOK_DONE)
			break;
	}

	/*
	 * A client that moves all the time must not disappear from the views: it
	 * is itself, we only can't say which backend it had.
	 */
	if (look == LOOK_UNSTEADY)
	{
		snap->backend_pid = 0;
		snap->pin = POOLER_PIN_NONE;
	}
	return look == LOOK_DONE || look == LOOK_UNSTEADY;
}

/*---------------------------------------------------------------------------
 * Tallies
 *---------------------------------------------------------------------------
 */

/* What the backend is counting; nothing if it has changed its user meanwhile. */
static void
add_backend(int32 slot, PoolerCounters *sum, PoolerHistogram *times)
{
	PoolerBackend *backend = &pooler_backends[slot];
	BackendIdentity identity = backend_identity(backend);
	PoolerHistogram copy[POOLER_NBACKEND_TIMES];
	PoolerBackendSnapshot snap;

	if (backend->stats_gen != pg_atomic_read_u32(&pooler_shared->stats_gen))
		times = NULL;			/* it has to begin anew */
	pg_read_barrier();
	if (times)
		memcpy(copy, backend->times, sizeof(copy));
	pg_read_barrier();
	if (!pooler_snapshot_backend(slot, &snap))
		return;
	if (sum)
		pooler_stats_add(sum, &snap.since_reset);
	pg_read_barrier();
	if (times == NULL || !same_identity(identity, backend_identity(backend)))
		return;
	for (int i = 0; i < POOLER_NBACKEND_TIMES; i++)
		pooler_histogram_add(&times[i], &copy[i]);
}

/*
 * When a backend has gone, the worker moves what it has counted to the tally;
 * while it does, and if it has, we start again.
 */
static void
add_up(int32 index, PoolerCounters *sum, PoolerHistogram *times)
{
	PoolerTally *tally = &pooler_tallies[index];

	for (int i = 0; i < MAX_TRIES; i++)
	{
		uint32		folding = pg_atomic_read_u32(&tally->folding);

		pg_read_barrier();
		memset(sum, 0, sizeof(*sum));
		pooler_stats_add(sum, &tally->counters);
		if (times)
			memcpy(times, tally->times, sizeof(tally->times));
		for (int32 b = 0; b < pooler_shared->nbackends; b++)
		{
			int32		pool = pooler_backends[b].pool;

			if (pool >= 0 && pool < pooler_shared->npools &&
				pooler_pools[pool].tally == index)
				add_backend(b, sum, times);
		}
		pg_read_barrier();
		if (folding % 2 == 0 && pg_atomic_read_u32(&tally->folding) == folding)
			break;
	}
}

static Look
look_at_tally(int32 index, PoolerTallySnapshot *snap, PoolerHistogram *times)
{
	volatile PoolerTally *tally = &pooler_tallies[index];
	int32		pool = tally->pool;

	memset(snap, 0, sizeof(*snap));
	if (pool < 0 && index != POOLER_OTHERS)
		return LOOK_EMPTY;
	pg_read_barrier();
	if (pool >= 0)
	{
		snap->dbid = pooler_pools[pool].dbid;
		snap->roleid = pooler_pools[pool].roleid;
		copy_string(snap->database, pooler_pools[pool].database, NAMEDATALEN);
		copy_string(snap->role, pooler_pools[pool].role, NAMEDATALEN);
	}
	add_up(index, &snap->counters, times);
	pg_read_barrier();
	return tally->pool == pool ? LOOK_DONE : LOOK_CHANGED;
}

bool
pooler_snapshot_tally(int32 index, PoolerTallySnapshot *snap, PoolerHistogram *times)
{
	for (int i = 0; i < MAX_TRIES; i++)
	{
		Look		look = look_at_tally(index, snap, times);

		if (look != LOOK_CHANGED)
			return look != LOOK_EMPTY;
	}
	return false;
}

uint64
pooler_snapshot_moves(void)
{
	uint64		result = 0;

	for (int32 i = 0; i < pooler_shared->ntallies; i++)
		result += pg_atomic_read_u32(&pooler_tallies[i].folding);
	return result;
}

void
pooler_snapshot_totals(PoolerCounters *counters, PoolerHistogram *times)
{
	PoolerTallySnapshot snap;
	PoolerHistogram part[POOLER_NTIMES];

	for (int i = 0; i < MAX_TRIES; i++)
	{
		uint64		before = pooler_snapshot_moves();

		pg_read_barrier();
		memset(counters, 0, sizeof(*counters));
		if (times)
			memset(times, 0, sizeof(PoolerHistogram) * POOLER_NTIMES);
		for (int32 t = 0; t < pooler_shared->ntallies; t++)
		{
			if (!pooler_snapshot_tally(t, &snap, times ? part : NULL))
				continue;
			pooler_stats_add(counters, &snap.counters);
			for (int k = 0; times && k < POOLER_NTIMES; k++)
				pooler_histogram_add(&times[k], &part[k]);
		}
		pg_read_barrier();
		if (before == pooler_snapshot_moves())
			break;
	}
}

/*---------------------------------------------------------------------------
 * Pools
 *---------------------------------------------------------------------------
 */

/*
 * What tells the users of a pool's slot apart.  The worker clears in_use
 * before it fills in the slot and sets it afterwards.
 */
typedef struct PoolIdentity
{
	bool		in_use;
	Oid			dbid;
	Oid			roleid;
	TimestampTz created_at;
	int32		tally;
} PoolIdentity;

static PoolIdentity
pool_identity(const volatile PoolerPool *pool)
{
	PoolIdentity identity;

	identity.in_use = pool->in_use;
	pg_read_barrier();
	identity.dbid = pool->dbid;
	identity.roleid = pool->roleid;
	identity.created_at = pool->created_at;
	identity.tally = pool->tally;
	return identity;
}

static Look
look_at_pool(int32 slot, PoolerPoolSnapshot *snap, PoolerCounters *counters)
{
	const PoolerPool *pool = &pooler_pools[slot];
	PoolIdentity before = pool_identity(pool);
	PoolIdentity after;

	if (!before.in_use)
		return LOOK_EMPTY;
	memset(snap, 0, sizeof(*snap));
	pg_read_barrier();
	snap->dbid = before.dbid;
	snap->roleid = before.roleid;
	snap->created_at = before.created_at;
	snap->size = pool->size;
	snap->wait_timeout = pooler_pool_ms(pool, POOLER_QUERY_WAIT_TIMEOUT);
	snap->dedicated = pool->owner != POOLER_NO_OWNER;
	snap->paused = (pool->flags & POOLER_POOL_PAUSED) != 0;
	copy_string(snap->database, pool->database, sizeof(snap->database));
	copy_string(snap->role, pool->role, sizeof(snap->role));
	snap->counted = pooler_tallies[before.tally].pool == slot;
	if (counters)
		memset(counters, 0, sizeof(*counters));
	if (counters && snap->counted)
		add_up(before.tally, counters, NULL);
	pg_read_barrier();
	after = pool_identity(pool);

	if (!after.in_use || after.dbid != before.dbid ||
		after.roleid != before.roleid ||
		after.created_at != before.created_at || after.tally != before.tally)
		return LOOK_CHANGED;
	return LOOK_DONE;
}

bool
pooler_snapshot_pool(int32 slot, PoolerPoolSnapshot *snap,
					 PoolerCounters *counters)
{
	for (int i = 0; i < MAX_TRIES; i++)
	{
		Look		look = look_at_pool(slot, snap, counters);

		if (look != LOOK_CHANGED)
			return look != LOOK_EMPTY;
	}
	return false;
}
