/*-------------------------------------------------------------------------
 *
 * tally.c
 *	  What the pooler counts, and where it is kept.
 *
 * Runs in: the pooler.  Owns the tallies in shared memory: gives them to
 * pools, moves what a backend has counted there when it has gone, and counts
 * logins, their failures, and bytes.  None of this is on the path of a
 * transaction.
 *
 *-------------------------------------------------------------------------
 */
#include "worker/tally.h"

#include "utils/timestamp.h"
#include "worker/login_internal.h"
#include "worker/tcp_progress.h"

/*
 * Clients whose bytes are looked at in a second, at most: each costs a system
 * call.  And how many slots are passed by in search of them.
 */
#define LOOKS_PER_TICK		256
#define SLOTS_PER_TICK		16384

/*---------------------------------------------------------------------------
 * tallies and pools
 *---------------------------------------------------------------------------
 */

static void
add_times(PoolerHistogram *sum, const PoolerHistogram *more, int n)
{
	for (int i = 0; i < n; i++)
		pooler_histogram_add(&sum[i], &more[i]);
}

/*
 * A reader of both tallies that comes in between finds the numbers odd, or
 * changed.
 */
static void
move(int from_index, int to_index)
{
	PoolerTally *from = &pooler_tallies[from_index];
	PoolerTally *to = &pooler_tallies[to_index];

	pg_atomic_fetch_add_u32(&to->folding, 1);
	pg_atomic_fetch_add_u32(&from->folding, 1);
	from->pool = -1;
	for (int i = 0; i < pooler_shared->npools; i++)
	{
		if (pooler_pools[i].tally == from_index)
			pooler_pools[i].tally = to_index;
	}
	pooler_stats_add(&to->counters, &from->counters);
	add_times(to->times, from->times, POOLER_NTIMES);
	memset(&from->counters, 0, sizeof(from->counters));
	memset(from->times, 0, sizeof(from->times));
	pg_atomic_fetch_add_u32(&from->folding, 1);
	pg_atomic_fetch_add_u32(&to->folding, 1);
}

/* Nobody's; or that of a pool that has neither clients nor backends. */
static int
free_tally(void)
{
	for (int i = POOLER_OTHERS + 1; i < pooler_shared->ntallies; i++)
	{
		if (pooler_tallies[i].pool < 0)
			return i;
	}
	for (int i = POOLER_OTHERS + 1; i < pooler_shared->ntallies; i++)
	{
		PoolerPool *pool = &pooler_pools[pooler_tallies[i].pool];

		if (pool->nclients == 0 && pool->nbackends == 0)
		{
			move(i, POOLER_OTHERS);
			return i;
		}
	}
	return POOLER_OTHERS;
}

/*
 * A pool that one client has for itself counts, when it goes, as a part of the
 * one that all others of this role have: views show both in one row.
 */
static int
tally_of_shared(const PoolerPool *pool)
{
	for (int i = POOLER_OTHERS + 1; i < pooler_shared->ntallies; i++)
	{
		int			index = pooler_tallies[i].pool;

		if (index >= 0 && &pooler_pools[index] != pool &&
			pooler_pools[index].owner == POOLER_NO_OWNER &&
			pooler_pools[index].dbid == pool->dbid &&
			pooler_pools[index].roleid == pool->roleid)
			return i;
	}
	return POOLER_OTHERS;
}

void
pooler_tally_open(int pool)
{
	int			index = free_tally();

	if (index == POOLER_OTHERS)
	{
		pooler_pools[pool].tally = tally_of_shared(&pooler_pools[pool]);
		return;
	}
	pooler_pools[pool].tally = index;
	pg_write_barrier();
	pooler_tallies[index].pool = pool;
}

void
pooler_tally_close(int pool)
{
	PoolerPool *p = &pooler_pools[pool];

	if (pooler_tallies[p->tally].pool == pool)
		move(p->tally, p->owner == POOLER_NO_OWNER ? POOLER_OTHERS : tally_of_shared(p));
}

void
pooler_tally_retry(int pool)
{
	if (pooler_tallies[pooler_pools[pool].tally].pool != pool)
		pooler_tally_open(pool);
}

void
pooler_tally_backend_gone(PoolerBackend *backend, bool born)
{
	PoolerTally *tally;

	if (backend->pool < 0)
		return;					/* it has served nobody */
	tally = &pooler_tallies[pooler_pools[backend->pool].tally];
	pg_atomic_fetch_add_u32(&tally->folding, 1);
	if (born)
	{
		tally->counters.ends++;
		tally->counters.ended[Min(backend->ended, POOLER_NBACKEND_ENDS - 1)]++;
	}
	if (backend->stats_gen != pg_atomic_read_u32(&pooler_shared->stats_gen))
	{
		pooler_stats_forget_maxima(&backend->counters);
		memset(backend->times, 0, sizeof(backend->times));
	}
	pooler_stats_subtract(&backend->counters, &backend->counted_before);
	pooler_stats_add(&tally->counters, &backend->counters);
	add_times(tally->times, backend->times, POOLER_NBACKEND_TIMES);
	memset(&backend->counters, 0, sizeof(backend->counters));
	memset(&backend->counted_before, 0, sizeof(backend->counted_before));
	memset(backend->times, 0, sizeof(backend->times));
	pg_atomic_fetch_add_u32(&tally->folding, 1);
}

/*
 * Backends go on counting where they are: what they have counted so far is
 * remembered, and readers subtract it.  Maxima and histograms can't be
 * subtracted: a backend begins anew when it finds another stats_gen, and until
 * then nobody reads its old ones.
 */
void
pooler_tally_reset(void)
{
	for (int i = 0; i < pooler_shared->ntallies; i++)
		pg_atomic_fetch_add_u32(&pooler_tallies[i].folding, 1);
	pg_atomic_fetch_add_u32(&pooler_shared->stats_gen, 1);
	for (int i = 0; i < pooler_shared->nbackends; i++)
		pooler_backends[i].counted_before = pooler_backends[i].counters;
	for (int i = 0; i < pooler_shared->ntallies; i++)
	{
		memset(&pooler_tallies[i].counters, 0, sizeof(PoolerCounters));
		memset(pooler_tallies[i].times, 0, sizeof(pooler_tallies[i].times));
	}
	for (int i = 0; i < pooler_shared->ntallies; i++)
		pg_atomic_fetch_add_u32(&pooler_tallies[i].folding, 1);
}

/* Nobody else moves anything, so there is no need to look twice. */
void
pooler_tally_totals(PoolerCounters *sum)
{
	memset(sum, 0, sizeof(*sum));
	for (int i = 0; i < pooler_shared->nbackends; i++)
	{
		if (pooler_backends[i].pool < 0)
			continue;
		pooler_stats_add(sum, &pooler_backends[i].counters);
		pooler_stats_subtract(sum, &pooler_backends[i].counted_before);
	}
	for (int i = 0; i < pooler_shared->ntallies; i++)
		pooler_stats_add(sum, &pooler_tallies[i].counters);
}

/*---------------------------------------------------------------------------
 * logins
 *---------------------------------------------------------------------------
 */

void
pooler_tally_login(int client)
{
	PoolerClient *c = &pooler_clients[client];
	PoolerTally *tally = &pooler_tallies[pooler_pools[c->pool].tally];
	TimestampTz took = GetCurrentTimestamp() - c->connected_at;

	tally->counters.logins++;
	if (login_of(client)->step == LOGIN_CORE || login_of(client)->told_ok)
		tally->counters.delegated_logins++;
	pooler_histogram_record(&tally->times[POOLER_TIME_LOGIN], Max(took, 0));
}

/*
 * What core says in one SQLSTATE (28000) depends on how far the login had got:
 * first it looks for a rule, and at the role's rights in the end.  A login that
 * core carries out has passed the rules.
 */
static PoolerLoginFailure
failure_of(const char *sqlstate, LoginStep step)
{
	if (sqlstate == NULL)
		return POOLER_LOGIN_OTHER;
	if (strcmp(sqlstate, "28P01") == 0)
		return POOLER_LOGIN_AUTHENTICATION;
	if (strcmp(sqlstate, "28000") == 0)
	{
		if (step <= LOGIN_CHECK_RULES)
			return POOLER_LOGIN_RULE;
		return step == LOGIN_CORE || step == LOGIN_PASSWORD ?
			POOLER_LOGIN_AUTHENTICATION : POOLER_LOGIN_ROLE;
	}
	if (strcmp(sqlstate, "3D000") == 0 || strcmp(sqlstate, "42501") == 0 ||
		strcmp(sqlstate, "55000") == 0)
		return POOLER_LOGIN_DATABASE;
	if (strcmp(sqlstate, "53300") == 0)
		return POOLER_LOGIN_LIMIT;
	if (strcmp(sqlstate, "57014") == 0)
		return POOLER_LOGIN_TIMEOUT;
	if (strncmp(sqlstate, "08", 2) == 0 || strncmp(sqlstate, "0A", 2) == 0)
		return POOLER_LOGIN_PROTOCOL;
	return POOLER_LOGIN_OTHER;
}

/*
 * The pool that the client has asked for by name, whether it is who it says or
 * not, if there is one.
 */
static int
tally_asked_for(const PoolerClient *client)
{
	for (int i = POOLER_OTHERS + 1; i < pooler_shared->ntallies; i++)
	{
		int			index = pooler_tallies[i].pool;

		if (index >= 0 && pooler_pools[index].owner == POOLER_NO_OWNER &&
			strcmp(pooler_pools[index].role, client->role) == 0 &&
			strcmp(pooler_pools[index].database, client->database) == 0)
			return i;
	}
	return POOLER_OTHERS;
}

void
pooler_tally_login_failed(int client, const char *sqlstate)
{
	WorkerLogin *login = login_of(client);
	PoolerCounters *counters =
		&pooler_tallies[tally_asked_for(&pooler_clients[client])].counters;

	if (login->counted || pooler_worker_clients[client].internal)
		return;
	login->counted = true;
	counters->failed_logins++;
	counters->login_failures[failure_of(sqlstate, login->step)]++;
	pooler_recent_add(&pooler_shared->recent[POOLER_RECENT_FAILED_LOGIN],
					  pooler_worker.now);
}

void
pooler_tally_login_refused(int client, const void *message, size_t len)
{
	PoolerMessage parsed;
	PoolerErrorFields fields;
	size_t		offset = 0;

	if (pooler_message_next(message, len, len, &offset, &parsed) == POOLER_MESSAGE_OK &&
		pooler_message_parse_error(&parsed, &fields))
		pooler_tally_login_failed(client, fields.sqlstate);
	else
		pooler_tally_login_failed(client, NULL);
}

/* Core says nothing if the client has left. */
void
pooler_tally_login_core(int client, int backend)
{
	uint32		sqlstate = pg_atomic_read_u32(&pooler_backends[backend].login_sqlstate);

	if (sqlstate != 0)
		pooler_tally_login_failed(client, unpack_sql_state((int) sqlstate));
}

/*---------------------------------------------------------------------------
 * bytes
 *---------------------------------------------------------------------------
 */

/*
 * The kernel counts them anyway, for TCP.  Its counts begin with the
 * connection, so nothing is missed or counted twice, whenever one looks.
 */
void
pooler_tally_bytes(int client)
{
	PoolerClient *c = &pooler_clients[client];
	WorkerClient *wc = &pooler_worker_clients[client];
	PoolerCounters *counters;
	uint64_t	received;
	uint64_t	sent;

	if ((c->pool < 0 && wc->replication == NULL) ||
		pooler_address_is_unix(&c->raddr) || wc->fd < 0)
		return;
	wc->looked_at = c->transactions;
	if (wc->tls_relay > 0)
	{
		received = c->tls_received;
		sent = c->tls_sent;
	}
	else if (!pooler_tcp_bytes(wc->fd, &received, &sent))
		return;
	counters = c->pool >= 0 ? pooler_pool_counters(&pooler_pools[c->pool]) :
		&pooler_tallies[POOLER_OTHERS].counters;
	counters->bytes_received += Max(received, c->bytes_received) - c->bytes_received;
	counters->bytes_sent += Max(sent, c->bytes_sent) - c->bytes_sent;
	c->bytes_received = Max(received, c->bytes_received);
	c->bytes_sent = Max(sent, c->bytes_sent);
}

void
pooler_tally_tick(void)
{
	static int	next = 0;
	int			slots = Min(pooler_shared->nclients, SLOTS_PER_TICK);
	int			looks = LOOKS_PER_TICK;

	for (; slots > 0 && looks > 0; slots--)
	{
		WorkerClient *wc = &pooler_worker_clients[next];

		if (wc->fd >= 0 && wc->login == NULL &&
			(wc->looked_at != pooler_clients[next].transactions ||
			 wc->replication != NULL ||
			 pooler_clients[next].bytes_received == 0))
		{
			pooler_tally_bytes(next);
			looks--;
		}
		next = (next + 1) % pooler_shared->nclients;
	}
}
