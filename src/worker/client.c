/*-------------------------------------------------------------------------
 *
 * client.c
 *	  The table of clients: accepting, watching and closing them.
 *
 * Runs in: the pooler.  Owns every client's socket and slot.  Reads nothing
 * from a client that is logged in: it peeks, and whoever runs the command
 * reads it.  Must not touch a socket whose word says that a backend has it.
 *
 *-------------------------------------------------------------------------
 */
#include "worker/internal.h"

#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/ip.h"
#include "common/string.h"
#include "postmaster/postmaster.h"
#include "shared/session.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "worker/tally.h"
#include "worker/tls.h"

/*
 * As much as a backend's receive buffer holds (PQ_RECV_BUFFER_SIZE, pqcomm.c):
 * a first message up to this size is handed over only when it is there whole.
 */
#define WHOLE_LIMIT		8192

/* A queued client is watched for hanging up once it has waited this long. */
#define HANGUP_WATCH_MS	100

/* Looks at half a message, each after twice the time, until it stays at that. */
#define MAX_HALF_LOOKS		6

/* No sender of fewer bytes is stopped by the kernel, if each was a write. */
#define STOPPED_AFTER		64

#define WATCH_COMMAND	(EPOLLIN | EPOLLRDHUP | EPOLLONESHOT)
#define WATCH_HANGUP	(EPOLLRDHUP | EPOLLONESHOT)

WorkerClient *pooler_worker_clients;

static void forget_identity(PoolerClient *client);

static dlist_head free_slots = DLIST_STATIC_INIT(free_slots);

/* IDLE clients on Unix sockets that have sent part of a message: polled */
static dlist_head half_sent = DLIST_STATIC_INIT(half_sent);

static Port log_port;
static char *own_application_name;

/*
 * Slots that a backend of an earlier worker still has stay out of use until
 * that backend has gone; see pooler_backend_tick().
 */
void
pooler_client_startup(void)
{
	pooler_worker_clients =
		MemoryContextAllocZero(TopMemoryContext,
							   sizeof(WorkerClient) * pooler_shared->nclients);
	for (int i = 0; i < pooler_shared->nclients; i++)
	{
		PoolerClient *client = &pooler_clients[i];
		uint64		w = pg_atomic_read_u64(&client->word);

		pooler_worker_clients[i].fd = -1;
		if (pooler_client_word_state(w) == POOLER_CLIENT_BACKEND &&
			pooler_backend_word_state(pg_atomic_read_u64(&pooler_backends[pooler_client_word_backend(w)].word)) !=
			POOLER_BACKEND_UNUSED)
			continue;
		pooler_session_free(client);
		forget_identity(client);
		client->pool = -1;
		pg_atomic_write_u64(&client->word,
							pooler_client_word(POOLER_CLIENT_FREE, 0,
											   pooler_client_word_gen(w) + 1, 0));
		if (i < pooler_shared->max_clients + POOLER_EXTRA_CLIENTS)
			dlist_push_tail(&free_slots, &pooler_worker_clients[i].node);
	}
}

bool
pooler_client_slot_free(void)
{
	return !dlist_is_empty(&free_slots);
}

void
pooler_client_slot_recovered(int slot)
{
	uint64		w = pg_atomic_read_u64(&pooler_clients[slot].word);

	pooler_leak_client_left(slot);
	pooler_session_free(&pooler_clients[slot]);
	forget_identity(&pooler_clients[slot]);
	pooler_clients[slot].pool = -1;
	pg_atomic_write_u64(&pooler_clients[slot].word,
						pooler_client_word(POOLER_CLIENT_FREE, 0,
										   pooler_client_word_gen(w) + 1, 0));
	dlist_push_tail(&free_slots, &pooler_worker_clients[slot].node);
	pooler_listener_resume();
}

PoolerClientState
pooler_client_state(int slot)
{
	return pooler_client_word_state(pg_atomic_read_u64(&pooler_clients[slot].word));
}

void
pooler_client_set_state(int slot, PoolerClientState state, uint32 backend)
{
	PoolerClient *client = &pooler_clients[slot];
	uint64		w = pg_atomic_read_u64(&client->word);
	uint32		serial = pooler_client_word_serial(w);

	if (state == POOLER_CLIENT_CLAIMED)
		serial++;
	client->state_since = pooler_worker.now;
	pg_write_barrier();
	pg_atomic_write_u64(&client->word,
						pooler_client_word(state, backend,
										   pooler_client_word_gen(w), serial));
}

/*---------------------------------------------------------------------------
 * accepting
 *---------------------------------------------------------------------------
 */

/* Ours, else the server's, else (0) the system's. */
static void
set_tcp_option(int fd, int option, int own, int server)
{
	int			value = own > 0 ? own : server;

	if (value > 0)
		(void) setsockopt(fd, IPPROTO_TCP, option, &value, sizeof(value));
}

/* What core does to a new connection (pq_init, StreamConnection). */
static void
set_tcp_options(int fd)
{
	int			on = 1;

	(void) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	set_tcp_option(fd, TCP_USER_TIMEOUT, pooler_tcp_user_timeout, tcp_user_timeout);
	if (pooler_tcp_socket_buffer > 0)
	{
		/* the first message is peeked at in the kernel's buffer */
		int			size = Max(pooler_tcp_socket_buffer, 2 * WHOLE_LIMIT);

		(void) setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
		(void) setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	}
	if (!pooler_tcp_keepalive)
		return;
	(void) setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	set_tcp_option(fd, TCP_KEEPIDLE, pooler_tcp_keepidle, tcp_keepalives_idle);
	set_tcp_option(fd, TCP_KEEPINTVL, pooler_tcp_keepintvl, tcp_keepalives_interval);
	set_tcp_option(fd, TCP_KEEPCNT, pooler_tcp_keepcnt, tcp_keepalives_count);
}

static void
fill_slot(int slot, int fd, const SockAddr *raddr)
{
	PoolerClient *client = &pooler_clients[slot];
	SockAddr	laddr = {.salen = sizeof(laddr.addr)};

	if (getsockname(fd, (struct sockaddr *) &laddr.addr, &laddr.salen) < 0)
		memset(&laddr, 0, sizeof(laddr));
	pooler_address_pack(&client->raddr, raddr);
	pooler_address_pack(&client->laddr, &laddr);
	client->host[0] = client->port[0] = '\0';
	(void) pg_getnameinfo_all(&raddr->addr, raddr->salen,
							  client->host, sizeof(client->host),
							  client->port, sizeof(client->port),
							  NI_NUMERICHOST | NI_NUMERICSERV);
	client->id = ++pooler_shared->next_client_id;
	client->connected_at = pooler_worker.now;
	client->application_name[0] = client->role[0] = client->database[0] = '\0';
	client->login_role[0] = client->alias[0] = '\0';
	client->transactions = 0;
	client->bytes_received = client->bytes_sent = 0;
	client->tls_version = client->tls_cipher = 0;
	client->tls_received = client->tls_sent = 0;
	client->idle_session_timeout = POOLER_SERVERS_OWN;
	client->last_backend = -1;
	client->queued_at = 0;
	client->pool = -1;
	client->next = client->prev = -1;
	pg_atomic_write_u32(&client->cancel_serial, 0);
}

/* Takes a slot; the descriptor is closed, and becomes the slot's. */
static int
take_slot(int fd, const SockAddr *raddr)
{
	WorkerClient *wc = dlist_container(WorkerClient, node,
									   dlist_pop_head_node(&free_slots));
	int			slot = wc - pooler_worker_clients;

	wc->node.next = wc->node.prev = NULL;
	wc->fd = pooler_shared->fd_base + slot;
	if (dup3(fd, wc->fd, O_CLOEXEC) < 0)
	{
		ereport(LOG, (errmsg("pooler could not keep a new connection: %m")));
		close(fd);
		wc->fd = -1;
		dlist_push_tail(&free_slots, &wc->node);
		return -1;
	}
	close(fd);
	fill_slot(slot, wc->fd, raddr);
	return slot;
}

/* The slot is in use from now on; false if it had to be given up again. */
static bool
enter_login(int slot)
{
	pooler_client_set_state(slot, POOLER_CLIENT_LOGIN, 0);
	if (pooler_worker_watch(EPOLL_CTL_ADD, pooler_worker_clients[slot].fd, WATCH_COMMAND,
							worker_event(WORKER_EVENT_CLIENT,
										 pooler_client_gen(&pooler_clients[slot]),
										 slot)))
		return true;
	pooler_client_close(slot, NULL, "could not be watched");
	return false;
}

/*
 * Urgent data (MSG_OOB) is data as any other.  Else a Unix socket with nothing
 * but that is reported as readable for ever, while a look finds nothing there:
 * who waits for it, the pooler or a backend, would never sleep.
 */
static void
take_urgent_data(int fd)
{
	int			on = 1;

	(void) setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on));
}

int
pooler_client_accept(int fd, const SockAddr *raddr)
{
	int			slot = take_slot(fd, raddr);

	if (slot < 0)
		return -1;
	take_urgent_data(pooler_worker_clients[slot].fd);
	if (raddr->addr.ss_family != AF_UNIX)
		set_tcp_options(pooler_worker_clients[slot].fd);
	pooler_shared->counters.connections++;
	if (!enter_login(slot))
		return -1;
	pooler_login_begin(slot);
	return slot;
}

int
pooler_client_accept_internal(int fd, const char *database, const char *role)
{
	SockAddr	raddr = {.salen = sizeof(sa_family_t)};
	int			slot;
	PoolerClient *client;

	raddr.addr.ss_family = AF_UNIX;
	slot = take_slot(fd, &raddr);
	if (slot < 0)
		return -1;
	client = &pooler_clients[slot];
	strlcpy(client->database, database, NAMEDATALEN);
	strlcpy(client->role, role, NAMEDATALEN);
	strlcpy(client->login_role, role, NAMEDATALEN);
	strlcpy(client->application_name, "pooler probe", POOLER_APPNAME_LEN);
	pooler_worker_clients[slot].internal = true;
	if (!enter_login(slot))
		return -1;
	pooler_login_begin_internal(slot);
	return slot;
}

/*---------------------------------------------------------------------------
 * logging
 *---------------------------------------------------------------------------
 */

/*
 * elog.c takes %h, %r, %u and %d of log_line_prefix from MyProcPort, which is
 * NULL in a worker, and %a from our own setting.
 */
void
pooler_client_log_begin(int slot)
{
	PoolerClient *client = &pooler_clients[slot];

	memset(&log_port, 0, sizeof(log_port));
	log_port.sock = PGINVALID_SOCKET;
	pooler_address_expand(&log_port.raddr, &client->raddr);
	pooler_address_expand(&log_port.laddr, &client->laddr);
	log_port.remote_host = client->host;
	log_port.remote_port = client->port;
	log_port.user_name = client->role[0] ? client->role : NULL;
	log_port.database_name = client->database[0] ? client->database : NULL;
	MyProcPort = &log_port;
	own_application_name = application_name;
	application_name = client->application_name;
}

void
pooler_client_log_end(void)
{
	MyProcPort = NULL;
	application_name = own_application_name;
}

/* As log_disconnections() in postgres.c words it. */
static void
log_disconnection(int slot, const char *reason)
{
	PoolerClient *client = &pooler_clients[slot];
	long		secs;
	int			usecs;

	if (!pooler_logs(pooler_log_disconnections, Log_disconnections))
		return;
	TimestampDifference(client->connected_at, GetCurrentTimestamp(), &secs, &usecs);
	pooler_client_log_begin(slot);
	ereport(LOG,
			(errmsg("disconnection: session time: %ld:%02ld:%02ld.%03d user=%s database=%s host=%s%s%s",
					secs / 3600, secs / 60 % 60, secs % 60, usecs / 1000,
					client->login_role, client->database, client->host,
					client->port[0] ? " port=" : "", client->port),
			 reason ? errdetail_internal("%s", reason) : 0));
	pooler_client_log_end();
}

/*---------------------------------------------------------------------------
 * closing
 *---------------------------------------------------------------------------
 */

/*
 * Data that was not read makes close() reset the connection, and a reset may
 * overtake the error message on its way to the client.
 */
static void
discard_input(int fd)
{
	char		buf[8192];

	for (int i = 0; i < 16; i++)
	{
		if (recv(fd, buf, sizeof(buf), MSG_DONTWAIT) <= 0)
			break;
	}
}

void
pooler_client_forget_settings(int slot)
{
	WorkerClient *wc = &pooler_worker_clients[slot];

	if (wc->settings == NULL)
		return;
	explicit_bzero(wc->settings, wc->payload_len);
	pfree(wc->settings);
	wc->settings = NULL;
	wc->settings_len = wc->payload_len = 0;
}

void
pooler_client_add_facts(int slot, const char *pairs, size_t len)
{
	WorkerClient *wc = &pooler_worker_clients[slot];
	char	   *all;

	if (len == 0 || wc->facts_len + len > POOLER_MAX_FACTS)
		return;
	all = MemoryContextAlloc(TopMemoryContext, wc->facts_len + len);
	if (wc->facts != NULL)
	{
		memcpy(all, wc->facts, wc->facts_len);
		pfree(wc->facts);
	}
	memcpy(all + wc->facts_len, pairs, len);
	wc->facts = all;
	wc->facts_len += len;
}

static void
forget_facts(WorkerClient *wc)
{
	if (wc->facts == NULL)
		return;
	pfree(wc->facts);
	wc->facts = NULL;
	wc->facts_len = 0;
}

bool
pooler_client_is_unix_socket(int slot)
{
	return pooler_worker_clients[slot].tls_relay > 0 ||
		pooler_address_is_unix(&pooler_clients[slot].raddr);
}

/* Nothing of it is left in shared memory, but the number that it had. */
static void
forget_identity(PoolerClient *client)
{
	explicit_bzero(client->application_name, sizeof(client->application_name));
	explicit_bzero(client->role, sizeof(client->role));
	explicit_bzero(client->database, sizeof(client->database));
	explicit_bzero(client->login_role, sizeof(client->login_role));
	explicit_bzero(client->alias, sizeof(client->alias));
}

void
pooler_client_close_raw(int slot, const void *message, size_t len,
						const char *reason)
{
	WorkerClient *wc = &pooler_worker_clients[slot];
	PoolerClient *client = &pooler_clients[slot];
	uint64		w = pg_atomic_read_u64(&client->word);
	bool		logged_in = client->pool >= 0 || wc->console != NULL ||
		wc->replication != NULL;
	bool		core_logs = wc->replication != NULL && Log_disconnections;

	Assert(pooler_client_word_state(w) != POOLER_CLIENT_FREE);

	pooler_leak_client_left(slot);
	if (len > 0 && pooler_console_at_border(slot) &&
		!pooler_login_is_speechless(slot))
	{
		(void) send(wc->fd, message, len, MSG_DONTWAIT | MSG_NOSIGNAL);
		discard_input(wc->fd);
	}
	pooler_end_forget(slot);
	wc->hangup_armed = wc->own_backend = wc->long_key = false;
	wc->lowat = 0;
	wc->half_looks = 0;
	wc->stray_left = 0;
	wc->notified = 0;
	pooler_cancel_forget(slot);

	/* in this order: backends hold copies, so close() alone ends nothing */
	(void) pooler_worker_watch(EPOLL_CTL_DEL, wc->fd, 0, 0);
	pooler_tally_bytes(slot);
	(void) shutdown(wc->fd, SHUT_RDWR);
	close(wc->fd);
	wc->fd = -1;

	if (wc->login)
		pooler_login_free(slot);	/* and counts it, if nobody has */
	else if (wc->console)
		pooler_console_free(slot);
	else if (wc->replication)
		pooler_replication_free(slot);
	else if (wc->node.next != NULL)
		dlist_delete(&wc->node);	/* from half_sent */
	wc->node.next = wc->node.prev = NULL;
	if (logged_in && !wc->internal && !core_logs)
		log_disconnection(slot, reason);
	pooler_session_free(client);
	forget_identity(client);
	explicit_bzero(wc->key, sizeof(wc->key));
	wc->key_len = 0;
	pooler_client_forget_settings(slot);
	forget_facts(wc);
	pooler_tls_client_left(slot);
	if (wc->skip)
		pfree(wc->skip);
	wc->skip = NULL;
	if (client->pool >= 0 && wc->internal)
		pooler_worker_pools[client->pool].internal--;
	if (client->pool >= 0)
		pooler_pool_client_left(client->pool);
	client->pool = -1;
	if (wc->counted)
		pooler_login_uncount();
	wc->counted = wc->internal = false;
	pg_atomic_write_u64(&client->word,
						pooler_client_word(POOLER_CLIENT_FREE, 0,
										   pooler_client_word_gen(w) + 1, 0));
	pg_atomic_fetch_add_u32(&pooler_shared->clients_gone, 1);
	dlist_push_tail(&free_slots, &wc->node);
	pooler_listener_resume();
}

void
pooler_client_close(int slot, const PoolerErrorFields *error,
					const char *reason)
{
	uint8_t		buf[8192];
	PoolerWriter w = pooler_writer(buf, sizeof(buf));

	if (error != NULL)
	{
		pooler_build_error(&w, error);
		if (!pooler_writer_fits(&w))
			w.len = 0;
	}
	pooler_client_close_raw(slot, buf, w.len, reason);
}

void
pooler_client_refuse(int slot, const PoolerErrorFields *error)
{
	const char *state = error->sqlstate;

	pooler_client_log_begin(slot);
	pooler_log_error_as_fatal(true);
	ereport(LOG,
			(errcode(MAKE_SQLSTATE(state[0], state[1], state[2], state[3], state[4])),
			 errmsg_internal("%s", error->message),
			 error->detail ? errdetail_internal("%s", error->detail) : 0));
	pooler_log_error_as_fatal(false);
	pooler_client_log_end();
	pooler_client_close(slot, error, NULL);
}

static const PoolerErrorFields shutdown_error = {
	.severity = "FATAL",
	.sqlstate = "57P01",
	.message = "terminating connection due to administrator command"
};

/*
 * At the worker's end: may the pooler speak to this client?  One in CLAIMED or
 * BACKEND belongs to somebody else, unless that backend is idle and can be
 * claimed: then nobody will write to it any more.
 */
static bool
can_be_told(int slot)
{
	uint64		w = pg_atomic_read_u64(&pooler_clients[slot].word);
	uint32		backend = pooler_client_word_backend(w);

	switch (pooler_client_word_state(w))
	{
		case POOLER_CLIENT_FREE:
			return false;
		case POOLER_CLIENT_LOGIN:
			return !pooler_login_is_speechless(slot);
		case POOLER_CLIENT_IDLE:
			return true;
		case POOLER_CLIENT_CONSOLE:
			return pooler_console_at_border(slot);
		case POOLER_CLIENT_QUEUED:
			return pooler_queue_remove(&pooler_pools[pooler_clients[slot].pool],
									   slot, pooler_client_word_gen(w));
		case POOLER_CLIENT_CLAIMED:
			return true;		/* nobody reads it under the new epoch */
		case POOLER_CLIENT_BACKEND:
			return pooler_backend_idle(backend, NULL) &&
				pooler_backend_claim(backend);
		case POOLER_CLIENT_REPLICATION:
			return false;		/* it does not need us */
	}
	return false;
}

/* Slots and descriptors go with the process. */
void
pooler_client_shutdown_all(void)
{
	uint8_t		buf[256];
	PoolerWriter w = pooler_writer(buf, sizeof(buf));

	pooler_build_error(&w, &shutdown_error);
	for (int i = 0; i < pooler_shared->nclients; i++)
	{
		WorkerClient *wc = &pooler_worker_clients[i];

		if (wc->fd < 0 || !can_be_told(i))
			continue;
		(void) send(wc->fd, buf, w.len, MSG_DONTWAIT | MSG_NOSIGNAL);
		(void) shutdown(wc->fd, SHUT_RDWR);
	}
}

/* The server shuts down: clients that are idle, or have just become so, go. */
void
pooler_client_close_idle(void)
{
	for (int i = 0; i < pooler_shared->nclients; i++)
	{
		PoolerClient *client = &pooler_clients[i];
		uint64		w = pg_atomic_read_u64(&client->word);

		if (pooler_worker_clients[i].fd < 0)
			continue;
		switch (pooler_client_word_state(w))
		{
			case POOLER_CLIENT_QUEUED:
				if (pooler_pools[client->pool].nbackends > 0 ||
					!pooler_queue_remove(&pooler_pools[client->pool], i,
										 pooler_client_word_gen(w)))
					break;
				/* FALLTHROUGH */
			case POOLER_CLIENT_LOGIN:
			case POOLER_CLIENT_IDLE:
			case POOLER_CLIENT_CONSOLE:
				pooler_client_close(i, &shutdown_error, NULL);
				break;
			default:
				break;
		}
	}
}

/*---------------------------------------------------------------------------
 * watching
 *---------------------------------------------------------------------------
 */

static void
watch(int slot, uint32 events)
{
	WorkerClient *wc = &pooler_worker_clients[slot];

	(void) pooler_worker_watch(EPOLL_CTL_MOD, wc->fd, events,
							   worker_event(WORKER_EVENT_CLIENT,
											pooler_client_gen(&pooler_clients[slot]),
											slot));
}

void
pooler_client_arm(int slot)
{
	watch(slot, WATCH_COMMAND);
}

void
pooler_client_watch_hangup(int slot)
{
	watch(slot, WATCH_HANGUP);
}

static void
set_lowat(WorkerClient *wc, int bytes)
{
	(void) setsockopt(wc->fd, SOL_SOCKET, SO_RCVLOWAT, &bytes, sizeof(bytes));
	wc->lowat = bytes > 1 ? bytes : 0;
}

/*
 * Part of a short message is there.  Armed as it is, the socket would be
 * reported again at once, for ever: TCP is told how much to wait for, other
 * sockets are looked at by the clock.
 */
static void
await_rest(int slot, uint32 need)
{
	WorkerClient *wc = &pooler_worker_clients[slot];

	if (!pooler_client_is_unix_socket(slot))
	{
		set_lowat(wc, need);
		pooler_client_arm(slot);
		return;
	}
	watch(slot, WATCH_HANGUP);
	if (wc->node.next == NULL)
		dlist_push_tail(&half_sent, &wc->node);
	/* most have the rest soon; who does not is looked at less and less */
	pooler_worker_tick_within(20 << Min(wc->half_looks, MAX_HALF_LOOKS));
	if (wc->half_looks < MAX_HALF_LOOKS)
		wc->half_looks++;
}

/*
 * A Unix socket charges its sender for each write as if it had some hundred
 * bytes more, and stops it when that is too much.  Who writes in tiny pieces
 * can thus be stopped long before the message is whole, until somebody reads:
 * a backend has to, after more than a second.
 */
static bool
sender_may_be_stopped(int slot, ssize_t sent)
{
	return pooler_client_is_unix_socket(slot) &&
		sent >= STOPPED_AFTER &&
		pooler_worker_clients[slot].half_looks >= MAX_HALF_LOOKS;
}

/*
 * The kernel says that as much is there as was waited for, but a look ends
 * before urgent data (MSG_OOB), and would find that every time.  Nor can more
 * come where the buffer is full of tiny packets.  Reading gets past both.
 */
static bool
shows_less_than_there_is(const WorkerClient *wc, uint32 need, uint32 events)
{
	return wc->lowat == (int) need && (events & EPOLLIN) != 0;
}

static void
bad_message(int slot, PoolerProtoError code, int type)
{
	const PoolerProtoErrorInfo *info = pooler_proto_error_info(code);
	PoolerProtoErrorArgs args = {.type = type};
	PoolerErrorFields error = {.severity = "FATAL"};
	char		message[128];

	error.sqlstate = info->sqlstate;
	error.message = pooler_proto_error_format(code, &args, message, sizeof(message));
	pooler_shared->counters.bad_messages++;
	pooler_client_log_begin(slot);
	ereport(LOG,
			(errcode(ERRCODE_PROTOCOL_VIOLATION),
			 errmsg_internal("%s", message),
			 errdetail("The client was address \"%s\", port \"%s\".",
					   pooler_clients[slot].host, pooler_clients[slot].port)));
	pooler_client_log_end();
	pooler_client_close(slot, &error, message);
}

/*
 * Takes a message off that core would ignore: whoever sends COPY data when the
 * COPY has failed already goes on until he reads of that.
 */
static void
drop_stray(int slot)
{
	WorkerClient *wc = &pooler_worker_clients[slot];
	char		buf[WHOLE_LIMIT];
	ssize_t		n = recv(wc->fd, buf, Min(wc->stray_left, sizeof(buf)), MSG_DONTWAIT);

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
	{
		pooler_client_close(slot, NULL, NULL);
		return;
	}
	wc->stray_left -= Max(n, 0);
	if (wc->lowat)
		set_lowat(wc, 1);
	pooler_client_arm(slot);
}

/* Looks at what an IDLE client has sent. */
static void
idle_event(int slot, uint32 events)
{
	WorkerClient *wc = &pooler_worker_clients[slot];
	static uint8_t buf[WHOLE_LIMIT];
	PoolerFrame frame;
	ssize_t		n;

	if (wc->node.next != NULL)
	{
		dlist_delete(&wc->node);
		wc->node.next = wc->node.prev = NULL;
	}
	if (wc->skip != NULL)
	{
		pooler_cancel_continue(slot);
		return;
	}
	if (wc->stray_left > 0)
	{
		drop_stray(slot);
		return;
	}
	n = recv(wc->fd, buf, sizeof(buf), MSG_PEEK | MSG_DONTWAIT);
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
	frame = pooler_frame_inspect(buf, n, sizeof(buf));
	if (frame.verdict != POOLER_FRAME_PARTIAL)
		wc->half_looks = 0;
	switch (frame.verdict)
	{
		case POOLER_FRAME_READY:
			if (wc->lowat)
				set_lowat(wc, 1);
			pooler_dispatch_ready(slot);
			break;
		case POOLER_FRAME_PARTIAL:
			if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
				pooler_client_close(slot, NULL, NULL);
			else if (sender_may_be_stopped(slot, n) ||
					 shows_less_than_there_is(wc, frame.need, events))
			{
				wc->half_looks = 0;
				if (wc->lowat)
					set_lowat(wc, 1);
				pooler_dispatch_ready(slot);
			}
			else
				await_rest(slot, frame.need);
			break;
		case POOLER_FRAME_STRAY:
			wc->stray_left = frame.total;
			drop_stray(slot);
			break;
		case POOLER_FRAME_EMPTY:
			pooler_client_arm(slot);
			break;
		case POOLER_FRAME_TERMINATE:
			pooler_client_close(slot, NULL, NULL);
			break;
		case POOLER_FRAME_INVALID_TYPE:
			bad_message(slot, POOLER_PROTO_TYPE, frame.type);
			break;
		case POOLER_FRAME_INVALID_LENGTH:
			bad_message(slot, POOLER_PROTO_LENGTH, frame.type);
			break;
	}
}

/* A client that waits has hung up: nobody wants the answer any more. */
static void
queued_event(int slot, uint32 gen, uint32 events)
{
	PoolerPool *pool = &pooler_pools[pooler_clients[slot].pool];

	pooler_worker_clients[slot].hangup_armed = false;
	if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) == 0 ||
		!pooler_queue_remove(pool, slot, gen))
		return;
	pooler_pool_counters(pool)->dropped_waiting++;
	pooler_client_close(slot, NULL, NULL);
}

void
pooler_client_event(int slot, uint32 gen, uint32 events)
{
	uint64		w = pg_atomic_read_u64(&pooler_clients[slot].word);

	/* the slot may have been used again since the event was reported */
	if (pooler_client_word_gen(w) != gen || pooler_worker_clients[slot].fd < 0)
		return;
	switch (pooler_client_word_state(w))
	{
		case POOLER_CLIENT_LOGIN:
			pooler_login_event(slot, events);
			break;
		case POOLER_CLIENT_IDLE:
			idle_event(slot, events);
			break;
		case POOLER_CLIENT_QUEUED:
			queued_event(slot, gen, events);
			break;
		case POOLER_CLIENT_CONSOLE:
			pooler_console_event(slot, events);
			break;
		case POOLER_CLIENT_FREE:
		case POOLER_CLIENT_CLAIMED:
		case POOLER_CLIENT_BACKEND:
		case POOLER_CLIENT_REPLICATION:
			break;				/* it is somebody else's by now */
	}
}

/*
 * The watch costs a system call, so only those who have waited for a while
 * get it.
 */
static void
watch_waiting(void)
{
	for (int i = 0; i < pooler_shared->nclients; i++)
	{
		WorkerClient *wc = &pooler_worker_clients[i];

		if (wc->fd < 0)
			continue;
		if (pooler_client_state(i) != POOLER_CLIENT_QUEUED)
			wc->hangup_armed = false;
		else if (!wc->hangup_armed &&
				 TimestampDifferenceExceeds(pooler_clients[i].queued_at,
											pooler_worker.now, HANGUP_WATCH_MS))
		{
			wc->hangup_armed = true;
			watch(i, WATCH_HANGUP);

			/*
			 * Had it been taken and given back in between, its backend's
			 * watch for the next command would be lost.
			 */
			if (pooler_client_state(i) == POOLER_CLIENT_IDLE)
				pooler_client_arm(i);
		}
	}
}

void
pooler_client_tick(void)
{
	dlist_head	look_at;
	bool		waiting = false;

	/* those who still have to wait add themselves to the list again */
	dlist_init(&look_at);
	while (!dlist_is_empty(&half_sent))
		dlist_push_tail(&look_at, dlist_pop_head_node(&half_sent));
	while (!dlist_is_empty(&look_at))
	{
		dlist_node *node = dlist_head_node(&look_at);

		idle_event(dlist_container(WorkerClient, node, node) -
				   pooler_worker_clients, 0);
	}

	for (int i = 0; i < pooler_shared->npools && !waiting; i++)
		waiting = pg_atomic_read_u32(&pooler_pools[i].nwaiting) > 0;
	if (waiting)
	{
		watch_waiting();
		pooler_worker_tick_within(100);
	}
}
