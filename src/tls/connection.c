/*-------------------------------------------------------------------------
 *
 * connection.c
 *	  The connections of a relay: their sockets, what is left over on the way,
 *	  and their end.
 *
 * Runs in: relays.  A connection is freed at the end of a turn of the loop,
 * since an event of the same turn may still name it.
 *
 *-------------------------------------------------------------------------
 */
#include "tls/internal.h"

#ifdef USE_OPENSSL

#include <unistd.h>

#include "utils/memutils.h"
#include "utils/timestamp.h"

/* A client that is told that it is over may take so long to read that, ms. */
#define PATIENCE_TO_FLUSH	30000

/* And so long to close its end, lest what it sends make a reset of that. */
#define PATIENCE_TO_CLOSE	2000

/* A client that reads nothing may have so much written for it, and no more. */
#define MAX_TO_TCP			(256 * 1024)

/* Longer than any login, handshake included. */
#define ERASE_BYTES			(64 * 1024)

static dlist_head living = DLIST_STATIC_INIT(living);
static dlist_head closing = DLIST_STATIC_INIT(closing);
static dlist_head dead = DLIST_STATIC_INIT(dead);
static int	nliving;
static int	nleaving;			/* of these */

int
pooler_tls_connections(void)
{
	return nliving;
}

bool
pooler_tls_is_full(void)
{
	return nliving >= (int) pg_atomic_read_u32(&pooler_tls_me.shared->capacity);
}

bool
pooler_tls_make_room(void)
{
	if (dlist_is_empty(&closing))
		return false;
	pooler_tls_kill(dlist_head_element(TlsConnection, node, &closing));
	return true;
}

static void
count(int living_more, int leaving_more)
{
	nliving += living_more;
	nleaving += leaving_more;
	pg_atomic_write_u32(&pooler_tls_me.shared->connections, nliving);
	pg_atomic_write_u32(&pooler_tls_me.shared->leaving, nleaving);
	if (living_more < 0 || leaving_more > 0)
		pooler_tls_link_room();
}

/*---------------------------------------------------------------------------
 * begin and end
 *---------------------------------------------------------------------------
 */

TlsConnection *
pooler_tls_open(int tcp, int pair, const PoolerTlsFrame *frame)
{
	TlsConnection *conn = MemoryContextAllocZero(TopMemoryContext,
												 sizeof(TlsConnection));
	SSL_CTX    *context = pooler_tls_context();

	conn->tcp = tcp;
	conn->pair = pair;
	conn->client = frame->client;
	conn->gen = frame->gen;
	conn->direct = frame->direct;
	conn->state = TLS_HANDSHAKE;
	conn->tcp_events = EPOLLIN;
	conn->erase_for = ERASE_BYTES;
	dlist_push_tail(&living, &conn->node);
	count(1, 0);
	conn->ssl = context ? pooler_tls_wire_new(context) : NULL;
	if (conn->ssl == NULL ||
		!pooler_tls_watch(pooler_tls_me.handshakes_fd, EPOLL_CTL_ADD, tcp,
						  EPOLLIN, (uint64) (uintptr_t) conn) ||
		!pooler_tls_watch(pooler_tls_me.epoll_fd, EPOLL_CTL_ADD, pair, 0,
						  (uint64) (uintptr_t) conn | TLS_EVENT_PAIR))
	{
		pooler_tls_kill(conn);
		return NULL;
	}
	SSL_set_app_data(conn->ssl, conn);
	return conn;
}

static void
free_leftover(TlsLeftover *left, bool secret)
{
	if (left->bytes == NULL)
		return;
	if (secret)
		explicit_bzero(left->bytes, left->end);
	pfree(left->bytes);
	memset(left, 0, sizeof(TlsLeftover));
}

static void
free_report(TlsConnection *conn)
{
	pooler_tls_link_forget(conn);
	if (conn->report != NULL)
		pfree(conn->report);
	conn->report = NULL;
}

static void
close_pair(TlsConnection *conn)
{
	if (conn->pair < 0)
		return;
	(void) pooler_tls_watch(pooler_tls_me.epoll_fd, EPOLL_CTL_DEL, conn->pair, 0, 0);
	close(conn->pair);
	conn->pair = -1;
	free_leftover(&conn->to_pair, true);
}

void
pooler_tls_kill(TlsConnection *conn)
{
	if (conn->state == TLS_DEAD)
		return;
	close_pair(conn);

	/* the pooler may not have closed its own descriptor yet */
	(void) pooler_tls_watch(conn->state == TLS_HANDSHAKE ?
							pooler_tls_me.handshakes_fd : pooler_tls_me.epoll_fd,
							EPOLL_CTL_DEL, conn->tcp, 0, 0);
	close(conn->tcp);
	pooler_tls_wire.out_len = 0;	/* was for this client, not for the next */
	free_report(conn);
	free_leftover(&conn->to_tcp, false);
	SSL_free(conn->ssl);
	conn->ssl = NULL;
	conn->state = TLS_DEAD;
	dlist_delete(&conn->node);
	dlist_push_tail(&dead, &conn->node);
	count(-1, conn->deadline != 0 ? -1 : 0);
}

void
pooler_tls_free_dead(void)
{
	while (!dlist_is_empty(&dead))
		pfree(dlist_container(TlsConnection, node, dlist_pop_head_node(&dead)));
}

void
pooler_tls_close_all(void)
{
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, &living)
	{
		TlsConnection *conn = dlist_container(TlsConnection, node, iter.cur);

		if (conn->state == TLS_OPEN)
			pooler_tls_close(conn);
	}
}

void
pooler_tls_kill_unreported(void)
{
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, &living)
	{
		TlsConnection *conn = dlist_container(TlsConnection, node, iter.cur);

		if (conn->state == TLS_HANDSHAKE || conn->state == TLS_REPORTING)
			pooler_tls_kill(conn);
	}
}

bool
pooler_tls_closing_tick(void)
{
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, &closing)
	{
		TlsConnection *conn = dlist_container(TlsConnection, node, iter.cur);

		if (conn->deadline <= pooler_tls_me.now)
			pooler_tls_kill(conn);
	}
	return !dlist_is_empty(&closing);
}

/*---------------------------------------------------------------------------
 * sending
 *---------------------------------------------------------------------------
 */

/* Adds to what is left over; what was sent of it makes room first. */
static void
leave_over(TlsLeftover *left, const char *bytes, size_t len)
{
	int			old = tls_left(left);
	char	   *larger;

	if (len == 0)
		return;
	larger = MemoryContextAlloc(TopMemoryContext, old + len);
	if (old > 0 && left->bytes != NULL)
		memcpy(larger, left->bytes + left->start, old);
	memcpy(larger + old, bytes, len);
	free_leftover(left, true);
	left->bytes = larger;
	left->start = 0;
	left->end = old + len;
}

/*
 * Sends as much as the socket takes.  Returns how much that was, or -1 if the
 * socket is broken.
 */
static ssize_t
send_some(int fd, const char *bytes, size_t len)
{
	size_t		sent = 0;

	while (sent < len)
	{
		ssize_t		n = send(fd, bytes + sent, len - sent,
							 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n >= 0)
			sent += n;
		else if (errno == EAGAIN || errno == EWOULDBLOCK)
			break;
		else if (errno != EINTR)
			return -1;
	}
	return sent;
}

static ssize_t
send_leftover(int fd, TlsLeftover *left, bool secret)
{
	ssize_t		n = send_some(fd, left->bytes + left->start, tls_left(left));

	if (n > 0)
		left->start += n;
	if (left->start == left->end)
		free_leftover(left, secret);
	return n;
}

/* The worker looks at this as it looks at the kernel's count of plain TCP. */
static void
count_sent(TlsConnection *conn, ssize_t n)
{
	PoolerClient *client = pooler_tls_client(conn);

	if (client != NULL)
		client->tls_sent += n;
}

bool
pooler_tls_flush(TlsConnection *conn)
{
	TlsWire    *wire = &pooler_tls_wire;
	ssize_t		n = 0;

	if (conn->to_tcp.bytes != NULL)
	{
		leave_over(&conn->to_tcp, wire->out, wire->out_len);
		n = send_leftover(conn->tcp, &conn->to_tcp, false);
	}
	else if (wire->out_len > 0)
	{
		n = send_some(conn->tcp, wire->out, wire->out_len);
		if (n >= 0)
			leave_over(&conn->to_tcp, wire->out + n, wire->out_len - n);
	}
	wire->out_len = 0;
	if (n < 0)
	{
		pooler_tls_kill(conn);
		return false;
	}
	count_sent(conn, n);
	return true;
}

void
pooler_tls_deliver(TlsConnection *conn, const char *bytes, size_t len)
{
	ssize_t		n;

	if (conn->to_pair.bytes != NULL)
	{
		leave_over(&conn->to_pair, bytes, len);
		n = send_leftover(conn->pair, &conn->to_pair, true);
	}
	else
	{
		n = len > 0 ? send_some(conn->pair, bytes, len) : 0;
		if (n >= 0)
			leave_over(&conn->to_pair, bytes + n, len - n);
	}

	/*
	 * Nobody is there to read it; the end of the pair is seen by reading.  If
	 * it is something else, nothing may follow what is missing now.
	 */
	if (n < 0)
	{
		free_leftover(&conn->to_pair, true);
		(void) shutdown(conn->pair, SHUT_WR);
		conn->pair_shut = true;
	}
	if (conn->client_eof && conn->to_pair.bytes == NULL && !conn->pair_shut)
	{
		(void) shutdown(conn->pair, SHUT_WR);
		conn->pair_shut = true;
	}
}

/*---------------------------------------------------------------------------
 * watching
 *---------------------------------------------------------------------------
 */

static uint32
wanted_of_tcp(const TlsConnection *conn)
{
	uint32		events = conn->to_tcp.bytes ? EPOLLOUT : 0;

	if (conn->client_eof)
		return events;
	if (conn->state == TLS_CLOSING || conn->state == TLS_HANDSHAKE ||
		(conn->state == TLS_OPEN && conn->to_pair.bytes == NULL &&
		 tls_left(&conn->to_tcp) < MAX_TO_TCP))
		events |= EPOLLIN;
	return events;
}

/*
 * OpenSSL writes nothing while it has read a part of a message of the handshake
 * protocol: a KeyUpdate, which a client may send in two records.
 */
bool
pooler_tls_can_write(const TlsConnection *conn)
{
	return conn->to_tcp.bytes == NULL && !SSL_in_init(conn->ssl);
}

/*
 * A pair whose other end is closed reports that for ever, asked or not; so
 * one that can't be read now reports it only once.
 */
static uint32
wanted_of_pair(const TlsConnection *conn)
{
	uint32		events = conn->to_pair.bytes ? EPOLLOUT : 0;

	if (conn->state != TLS_OPEN)
		return 0;
	if (pooler_tls_can_write(conn))
		events |= EPOLLIN;
	return events != 0 ? events : EPOLLET;
}

static bool
rewatch_pair(TlsConnection *conn, uint32 wanted)
{
	if (conn->pair_events == wanted)
		return true;
	conn->pair_events = wanted;
	return pooler_tls_watch(pooler_tls_me.epoll_fd, EPOLL_CTL_MOD, conn->pair,
							wanted,
							(uint64) (uintptr_t) conn | TLS_EVENT_PAIR);
}

void
pooler_tls_rewatch(TlsConnection *conn)
{
	uint32		wanted;

	if (conn->state == TLS_DEAD)
		return;
	wanted = wanted_of_tcp(conn);
	if (conn->tcp_events != wanted &&
		!pooler_tls_watch(conn->state == TLS_HANDSHAKE ?
						  pooler_tls_me.handshakes_fd : pooler_tls_me.epoll_fd,
						  EPOLL_CTL_MOD, conn->tcp, wanted,
						  (uint64) (uintptr_t) conn))
	{
		pooler_tls_kill(conn);
		return;
	}
	conn->tcp_events = wanted;
	if (conn->pair >= 0 && !rewatch_pair(conn, wanted_of_pair(conn)))
		pooler_tls_kill(conn);
}

/*---------------------------------------------------------------------------
 * from state to state
 *---------------------------------------------------------------------------
 */

bool
pooler_tls_begin_reporting(TlsConnection *conn)
{
	conn->state = TLS_REPORTING;
	conn->tcp_events = 0;
	(void) pooler_tls_watch(pooler_tls_me.handshakes_fd, EPOLL_CTL_DEL, conn->tcp, 0, 0);
	if (pooler_tls_watch(pooler_tls_me.epoll_fd, EPOLL_CTL_ADD, conn->tcp, 0,
						 (uint64) (uintptr_t) conn))
		return true;
	pooler_tls_kill(conn);
	return false;
}

void
pooler_tls_reported(TlsConnection *conn)
{
	free_report(conn);
	if (conn->failed)
		pooler_tls_close(conn);
	else
	{
		conn->state = TLS_OPEN;
		pooler_tls_rewatch(conn);
	}
}

static void
finish_closing(TlsConnection *conn)
{
	if (conn->to_tcp.bytes == NULL && !conn->tcp_shut)
	{
		(void) shutdown(conn->tcp, SHUT_WR);
		conn->tcp_shut = true;
		conn->deadline = TimestampTzPlusMilliseconds(pooler_tls_me.now,
													 PATIENCE_TO_CLOSE);
	}
	if (conn->tcp_shut && conn->client_eof)
		pooler_tls_kill(conn);
	else
		pooler_tls_rewatch(conn);
}

/*
 * The list of those that are CLOSING takes it already: it comes to that when
 * the client has read what there is, or is killed.
 */
void
pooler_tls_hurry(TlsConnection *conn)
{
	if (conn->deadline != 0)
		return;
	conn->deadline = TimestampTzPlusMilliseconds(pooler_tls_me.now,
												 PATIENCE_TO_FLUSH);
	dlist_delete(&conn->node);
	dlist_push_tail(&closing, &conn->node);
	count(0, 1);
}

/* Also called each time that something could be sent afterwards. */
void
pooler_tls_close(TlsConnection *conn)
{
	if (conn->state != TLS_CLOSING)
	{
		close_pair(conn);
		if (!conn->failed)
			(void) SSL_shutdown(conn->ssl);
		conn->state = TLS_CLOSING;
		pooler_tls_hurry(conn);
	}
	if (!pooler_tls_flush(conn))
		return;
	SSL_free(conn->ssl);
	conn->ssl = NULL;
	finish_closing(conn);
}

#endif							/* USE_OPENSSL */
