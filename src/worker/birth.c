/*-------------------------------------------------------------------------
 *
 * birth.c
 *	  Making backends: the pooler connects to the postmaster like any client.
 *
 * Runs in: the pooler.  Owns a backend's control socket from connect() until
 * the backend is ready; it speaks PostgreSQL's protocol so far.  What happens
 * at the other end is in backend/birth.c.
 *
 *	connect ---> 'v' ---> R 0, S..., K, Z ---> ready     (POOL, PROBE)
 *	              |
 *	              +--> client's socket sent ---> LOGGED_IN frame  (DELEGATED)
 *
 * Any of them may end instead with 'E', end of file or a timeout.
 *
 *-------------------------------------------------------------------------
 */
#include "worker/internal.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "postmaster/postmaster.h"
#include "shared/birth_option.h"
#include "shared/hold.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/varlena.h"
#include "worker/parameters.h"
#include "worker/tally.h"

/* A backend says no more than this before it is ready. */
#define MAX_BIRTH_OUTPUT	65536

/*---------------------------------------------------------------------------
 * connecting
 *---------------------------------------------------------------------------
 */

/* The postmaster's own socket; false if it has none.  In the turn's memory. */
static bool
server_address(struct sockaddr_un *addr, socklen_t *len)
{
	char	   *raw = pstrdup(Unix_socket_directories);
	List	   *dirs;
	int			n;

	if (!SplitDirectoriesString(raw, ',', &dirs) || dirs == NIL)
		return false;
	memset(addr, 0, sizeof(*addr));
	addr->sun_family = AF_UNIX;
	n = snprintf(addr->sun_path, sizeof(addr->sun_path), "%s/.s.PGSQL.%d",
				 (char *) linitial(dirs), PostPortNumber);
	if (n >= (int) sizeof(addr->sun_path))
		return false;
	*len = sizeof(*addr);
	if (addr->sun_path[0] == '@')
	{
		/* abstract: the name is all of the given length */
		addr->sun_path[0] = '\0';
		*len = offsetof(struct sockaddr_un, sun_path) + n;
	}
	return true;
}

/*
 * Whoever else listens at that path must not learn a token, let alone be
 * given a client.  A Unix socket tells who called listen().
 */
static bool
is_postmaster(int sock)
{
	struct ucred peer;
	socklen_t	len = sizeof(peer);

	return getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 &&
		peer.pid == PostmasterPid && peer.uid == geteuid();
}

static int
connect_postmaster(void)
{
	static TimestampTz complained_at = 0;
	struct sockaddr_un addr;
	socklen_t	len;
	const char *problem = NULL;
	int			sock = -1;

	if (!server_address(&addr, &len))
		problem = "the server has no Unix socket";
	else if ((sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) < 0 ||
			 connect(sock, (struct sockaddr *) &addr, len) < 0)
		problem = strerror(errno);
	else if (!is_postmaster(sock))
		problem = "somebody else listens at the server's Unix socket";
	if (problem == NULL)
		return sock;

	if (TimestampDifferenceExceeds(complained_at, pooler_worker.now, 10000))
	{
		complained_at = pooler_worker.now;
		ereport(LOG,
				(errmsg("pooler could not connect to the server: %s", problem),
				 errhint("The pooler reaches the server through the first of unix_socket_directories.")));
	}
	if (sock >= 0)
		close(sock);
	return -1;
}

/* False if it is longer than the server takes. */
static bool
build_startup(PoolerWriter *w, int backend, const char *database, const char *role,
			  const char *settings, size_t settings_len)
{
	char		option[POOLER_BIRTH_OPTION_LEN];
	const char *end = settings + settings_len;
	const char *name;
	const char *value;
	size_t		begin;

	pooler_birth_option_format(option, backend, pooler_backends[backend].token);
	begin = pooler_build_startup_begin(w, POOLER_PROTO_VERSION_3_0);
	pooler_build_startup_pair(w, "user", role);
	pooler_build_startup_pair(w, "database", database);
	while (pooler_next_pair(&settings, end, &name, &value))
		pooler_build_startup_pair(w, name, value);
	if (pooler_backends[backend].walsender)
		pooler_build_startup_pair(w, "replication", database[0] ? "database" : "true");
	pooler_build_startup_pair(w, option, "");
	pooler_build_startup_end(w, begin);
	return pooler_writer_fits(w);
}

/*---------------------------------------------------------------------------
 * slots
 *---------------------------------------------------------------------------
 */

/*
 * Clients that core logs in may take their time, so they get no more than half
 * of the slots for logins: somebody who matches such a rule and stays silent
 * must not keep everybody else out.
 */
static bool
too_many_logins(WorkerBirthKind kind)
{
	int			ndelegated = 0;
	int			nprobes = 0;
	int			limit = pooler_login_backends();

	for (int i = 0; i < pooler_shared->nbackends; i++)
	{
		WorkerBirth *birth = pooler_worker_backends[i].birth;

		if (birth != NULL && birth->kind == WORKER_BIRTH_DELEGATED)
			ndelegated++;
		else if (birth != NULL && birth->kind == WORKER_BIRTH_PROBE)
			nprobes++;
	}
	if (kind == WORKER_BIRTH_DELEGATED && ndelegated >= limit / 2)
		return true;
	return kind != WORKER_BIRTH_POOL && ndelegated + nprobes >= limit;
}

static int
free_slot(WorkerBirthKind kind)
{
	if (too_many_logins(kind))
		return -1;
	for (int i = 0; i < pooler_shared->nbackends; i++)
	{
		if (pooler_worker_backends[i].sock < 0 &&
			pooler_backend_word_state(pg_atomic_read_u64(&pooler_backends[i].word)) ==
			POOLER_BACKEND_UNUSED)
			return i;
	}
	return -1;
}

static bool
fill_slot(int slot, WorkerBirthKind kind, int pool, int client)
{
	PoolerBackend *b = &pooler_backends[slot];
	WorkerBackend *wb = &pooler_worker_backends[slot];

	b->taking = -1;
	b->epoch = pooler_worker.epoch;
	b->pool = pool;
	b->drain_gen = pool >= 0 ? pg_atomic_read_u32(&pooler_pools[pool].drain_gen) : 0;
	b->delegated = kind == WORKER_BIRTH_DELEGATED;
	b->only_login = b->delegated && pooler_login_wants_other_role(client);
	b->walsender = b->delegated &&
		pooler_login_replication(client) != POOLER_REPLICATION_NONE;
	b->login_client = client;
	b->pid = 0;
	b->dbid = b->roleid = InvalidOid;
	b->born_at = b->state_since = pooler_worker.now;
	b->swept = pg_atomic_read_u32(&pooler_shared->clients_gone);
	memset(&b->counters, 0, sizeof(b->counters));
	memset(&b->counted_before, 0, sizeof(b->counted_before));
	memset(b->times, 0, sizeof(b->times));
	b->end_hint = b->ended = POOLER_ENDED_OTHER;
	pg_atomic_write_u32(&b->login_sqlstate, 0);
	pg_atomic_write_u32(&b->in_copy, 0);
	pg_atomic_write_u32(&b->pin, POOLER_PIN_NONE);
	pg_atomic_write_u32(&b->notifier, 0);
	pg_atomic_write_u32(&b->in_transaction, 0);
	pg_atomic_write_u32(&b->end_reason, POOLER_END_NONE);
	b->stats_gen = pg_atomic_read_u32(&pooler_shared->stats_gen);
	if (!pg_strong_random(b->token, sizeof(b->token)))
		return false;
	wb->number++;
	pg_write_barrier();
	pg_atomic_write_u64(&b->word,
						pooler_backend_word(POOLER_BACKEND_STARTING,
											POOLER_NO_CLIENT, wb->number, 0));
	return true;
}

static void
empty_slot(int slot)
{
	memset(pooler_backends[slot].token, 0, POOLER_TOKEN_LEN);
	pg_atomic_write_u64(&pooler_backends[slot].word, 0);
}

int
pooler_birth_start(WorkerBirthKind kind, int pool, const char *database,
				   const char *role, const char *settings, size_t settings_len,
				   const char *key, size_t key_len, int client)
{
	uint8_t		buf[POOLER_STARTUP_MAX_TOTAL];
	PoolerWriter w = pooler_writer(buf, sizeof(buf));
	int			slot = free_slot(kind);
	int			sock;
	MemoryContext cxt;
	WorkerBirth *birth;
	WorkerBackend *wb;

	if (slot < 0 || (pool >= 0 && pooler_hold_paused(pooler_pools[pool].dbid)))
		return -1;
	wb = &pooler_worker_backends[slot];
	if (!fill_slot(slot, kind, pool, client))
		return -1;
	if (!build_startup(&w, slot, database, role, settings, settings_len))
	{
		empty_slot(slot);
		return POOLER_BIRTH_TOO_LONG;
	}
	sock = connect_postmaster();
	if (sock < 0)
	{
		empty_slot(slot);
		return -1;
	}
	if (send(sock, buf, w.len, MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t) w.len ||
		!pooler_worker_watch(EPOLL_CTL_ADD, sock, EPOLLIN,
							 worker_event(WORKER_EVENT_BACKEND, wb->number, slot)))
	{
		close(sock);
		empty_slot(slot);
		return -1;
	}

	cxt = AllocSetContextCreate(TopMemoryContext, "pooler birth",
								ALLOCSET_SMALL_SIZES);
	birth = MemoryContextAllocZero(cxt, sizeof(WorkerBirth));
	birth->cxt = cxt;
	birth->kind = kind;
	birth->backend = slot;
	birth->pool = pool;
	birth->client = client;
	birth->defaults_gen = pooler_worker.defaults_gen;
	birth->unsure = pool >= 0 && !pooler_pool_known(pool);
	birth->client_gen = client >= 0 ? pooler_client_gen(&pooler_clients[client]) : 0;
	birth->has_settings = settings_len > 0 &&
		(pool < 0 || pooler_pools[pool].owner == POOLER_NO_OWNER);
	birth->deadline = TimestampTzPlusMilliseconds(pooler_worker.now,
												  pooler_ms(pooler_server_connect_timeout));
	cxt = MemoryContextSwitchTo(cxt);
	initStringInfo(&birth->in);
	initStringInfo(&birth->parameters);
	birth->key_len = key_len;
	if (key != NULL)
		birth->key = memcpy(palloc(key_len), key, key_len);
	MemoryContextSwitchTo(cxt);

	wb->sock = sock;
	wb->birth = birth;
	wb->born = wb->exiting = false;
	pooler_worker_tick_within(1000);
	if (pool >= 0)
	{
		pooler_pools[pool].nbackends++;
		pooler_pools[pool].nstarting++;
		dlist_push_tail(&pooler_worker_pools[pool].backends, &wb->pool_node);
	}
	return slot;
}

bool
pooler_birth_awaited(const char *key, size_t key_len)
{
	for (int i = 0; i < pooler_shared->nbackends; i++)
	{
		WorkerBirth *birth = pooler_worker_backends[i].birth;

		if (birth != NULL && birth->key != NULL && birth->key_len == key_len &&
			memcmp(birth->key, key, key_len) == 0)
			return true;
	}
	return false;
}

void
pooler_birth_free(int backend)
{
	WorkerBackend *wb = &pooler_worker_backends[backend];

	if (wb->birth->pool >= 0)
		pooler_pools[wb->birth->pool].nstarting--;
	MemoryContextDelete(wb->birth->cxt);
	wb->birth = NULL;
	memset(pooler_backends[backend].token, 0, POOLER_TOKEN_LEN);
}

/*---------------------------------------------------------------------------
 * what the new backend says
 *---------------------------------------------------------------------------
 */

/*
 * An error message in the server's own words, or, when it has said nothing,
 * in ours.
 */
static void
failed(int backend, const void *message, size_t len)
{
	WorkerBirth *birth = pooler_worker_backends[backend].birth;
	int			pool = birth->pool;
	uint8_t		buf[256];

	if (message == NULL)
	{
		PoolerWriter w = pooler_writer(buf, sizeof(buf));
		PoolerErrorFields error = {
			.severity = "FATAL",
			.sqlstate = "08006",
			.message = "the pooler could not start a backend"
		};

		pooler_build_error(&w, &error);
		message = buf;
		len = w.len;
	}
	if (pool >= 0)
		pooler_pool_counters(&pooler_pools[pool])->failed_births++;
	pooler_recent_add(&pooler_shared->recent[POOLER_RECENT_FAILED_BIRTH],
					  pooler_worker.now);
	if (birth->key != NULL)
		pooler_login_parameters_failed(birth, message, len);
	/* what one client's startup settings lead to is no other's business */
	if (pool >= 0 && !birth->has_settings)
		pooler_pool_birth_failed(pool, message, len);
	if (birth->kind == WORKER_BIRTH_DELEGATED && !birth->client_sent &&
		pooler_client_gen(&pooler_clients[birth->client]) == birth->client_gen)
	{
		pooler_tally_login_refused(birth->client, message, len);
		pooler_client_close_raw(birth->client, message, len, NULL);
	}
}

static void
ready(int backend)
{
	WorkerBackend *wb = &pooler_worker_backends[backend];
	WorkerBirth *birth = wb->birth;
	PoolerBackend *b = &pooler_backends[backend];
	PoolerPool *pool = &pooler_pools[birth->pool];
	bool		fits = !birth->has_settings;

	/*
	 * Names were sent, but a pool is known by OIDs: a role that was renamed
	 * in between must not get another one's backends.
	 */
	if (b->dbid != pool->dbid || b->roleid != pool->roleid)
	{
		failed(backend, NULL, 0);
		pooler_birth_free(backend);
		pooler_backend_exit(backend, POOLER_ENDED_UNNEEDED);
		return;
	}
	wb->born = true;
	pooler_pool_counters(pool)->births++;
	if (birth->kind == WORKER_BIRTH_PROBE)
		pooler_pool_counters(pool)->births_probe++;
	pooler_pool_learn(birth->pool, backend, birth->defaults_gen);
	if (birth->key != NULL)
		pooler_login_parameters_known(birth);
	if (birth->kind == WORKER_BIRTH_PROBE || birth->unsure)
		fits = fits && pooler_pool_has_room(birth->pool);
	pooler_birth_free(backend);
	if (fits)
		pooler_backend_welcome(backend);
	else
		pooler_backend_exit(backend, POOLER_ENDED_UNNEEDED);
}

/* The backend has shown that it is ours: it gets the client's socket. */
static void
hand_over_login(int backend)
{
	WorkerBackend *wb = &pooler_worker_backends[backend];
	WorkerBirth *birth = wb->birth;
	PoolerControl frame = {.type = POOLER_CONTROL_CLIENT};
	StringInfoData facts;
	WorkerClient *wc;

	if (birth->client < 0 ||
		pooler_client_gen(&pooler_clients[birth->client]) != birth->client_gen)
	{
		pooler_backend_gone(backend);	/* the client has left meanwhile */
		return;
	}
	frame.client = birth->client;
	frame.gen = birth->client_gen;
	wc = &pooler_worker_clients[birth->client];
	initStringInfo(&facts);
	appendStringInfoChar(&facts, wc->key_len);
	appendBinaryStringInfo(&facts, (char *) wc->key, wc->key_len);
	pooler_login_facts(birth->client, &facts);
	frame.payload = facts.len;
	if (!pooler_control_send(wb->sock, &frame, facts.data, wc->fd))
	{
		pooler_backend_gone(backend);
		return;
	}
	birth->client_sent = true;
	pooler_login_handed_over(birth->client, backend);
}

/* One message of the birth's dialogue.  False once it is over. */
static bool
take_message(int backend, const PoolerMessage *message)
{
	WorkerBirth *birth = pooler_worker_backends[backend].birth;

	switch (message->type)
	{
		case PqMsg_NegotiateProtocolVersion:
			if (birth->kind == WORKER_BIRTH_DELEGATED)
			{
				hand_over_login(backend);
				return false;
			}
			return true;
		case PqMsg_ParameterStatus:
		case POOLER_MESSAGE_SETTINGS:
			appendBinaryStringInfo(&birth->parameters,
								   (const char *) message->body - POOLER_FRAME_HEADER,
								   message->total);
			return true;
		case PqMsg_ErrorResponse:
			failed(backend, message->body - POOLER_FRAME_HEADER, message->total);
			pooler_birth_free(backend);
			pooler_backend_gone(backend);
			return false;
		case PqMsg_ReadyForQuery:
			ready(backend);
			return false;
		default:				/* 'R', 'K', 'N': nothing to learn */
			return true;
	}
}

void
pooler_birth_event(int backend)
{
	WorkerBackend *wb = &pooler_worker_backends[backend];
	WorkerBirth *birth = wb->birth;
	size_t		offset = 0;
	PoolerMessage message;
	ssize_t		n;

	enlargeStringInfo(&birth->in, 8192);
	n = recv(wb->sock, birth->in.data + birth->in.len,
			 birth->in.maxlen - birth->in.len - 1, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0 || birth->in.len + n > MAX_BIRTH_OUTPUT)
	{
		pooler_backend_gone(backend);
		return;
	}
	birth->in.len += n;
	for (;;)
	{
		switch (pooler_message_next((uint8_t *) birth->in.data, birth->in.len,
									MAX_BIRTH_OUTPUT, &offset, &message))
		{
			case POOLER_MESSAGE_OK:
				if (!take_message(backend, &message))
					return;
				break;
			case POOLER_MESSAGE_NEED_MORE:
				memmove(birth->in.data, birth->in.data + offset,
						birth->in.len - offset);
				birth->in.len -= offset;
				return;
			default:
				pooler_backend_gone(backend);
				return;
		}
	}
}

void
pooler_birth_ended(int backend)
{
	WorkerBirth *birth = pooler_worker_backends[backend].birth;

	if (birth->client_sent)
	{
		/* core has told the client why, or the pooler does */
		if (!birth->refused &&
			pooler_client_gen(&pooler_clients[birth->client]) == birth->client_gen)
		{
			pooler_tally_login_core(birth->client, backend);
			pooler_client_close(birth->client, NULL, NULL);
		}
	}
	else
		failed(backend, NULL, 0);
}

void
pooler_birth_tick(void)
{
	for (int i = 0; i < pooler_shared->nbackends; i++)
	{
		WorkerBirth *birth = pooler_worker_backends[i].birth;

		if (birth == NULL || birth->client_sent ||
			birth->deadline > pooler_worker.now)
			continue;
		ereport(LOG,
				(errmsg("backend was not ready within pooler.server_connect_timeout")));
		pooler_backend_gone(i);
	}
}
