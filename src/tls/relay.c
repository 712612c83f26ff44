/*-------------------------------------------------------------------------
 *
 * relay.c
 *	  Moving bytes between a client's TCP socket and its pair.
 *
 * Runs in: relays.  One event moves at most one buffer full in one direction;
 * what is more is reported again, after everybody else's.  As long as one
 * side does not take what it was sent, nothing is read from the other: so a
 * connection has at most a buffer full of leftovers in each direction.
 *
 *-------------------------------------------------------------------------
 */
#include "tls/internal.h"

#ifdef USE_OPENSSL

#include <openssl/err.h>

/* Bytes that are moved at most for one event. */
#define TURN_BYTES		(64 * 1024)

/* What was read, and the rest of a record that OpenSSL had begun to keep. */
#define PLAIN_BYTES		(TURN_BYTES + 32 * 1024)

static char received[TURN_BYTES];	/* encrypted */
static char plain[PLAIN_BYTES];

static void
count_received(TlsConnection *conn, ssize_t n)
{
	PoolerClient *client = pooler_tls_client(conn);

	if (client != NULL)
		client->tls_received += n;
}

/*---------------------------------------------------------------------------
 * client -> pair
 *---------------------------------------------------------------------------
 */

static void
log_ssl_error(TlsConnection *conn, const char *text)
{
	if (!pooler_tls_may_log())
		return;
	pooler_tls_log_begin(conn);
	ereport(COMMERROR,
			(errcode(ERRCODE_PROTOCOL_VIOLATION),
			 errmsg("SSL error: %s", text)));
	pooler_tls_log_end();
}

/* False if the stream can't go on; what was decrypted before is in plain. */
static bool
decrypt(TlsConnection *conn, size_t *len)
{
	*len = 0;
	pooler_tls_wire.messages = 0;
	for (;;)
	{
		int			n;

		errno = 0;
		ERR_clear_error();
		n = SSL_read(conn->ssl, plain + *len, (int) (sizeof(plain) - *len));
		if (n > 0)
		{
			*len += n;
			continue;
		}
		switch (SSL_get_error(conn->ssl, n))
		{
			case SSL_ERROR_WANT_READ:
				if (pooler_tls_wire.messages <= TLS_MAX_MESSAGES)
					return true;
				log_ssl_error(conn, _("too many messages of the handshake protocol"));
				return false;
			case SSL_ERROR_ZERO_RETURN:
				conn->client_eof = true;
				return true;
			case SSL_ERROR_SSL:
				log_ssl_error(conn, pooler_tls_error_text(ERR_get_error()));
				return false;
			default:
				return false;
		}
	}
}

/*
 * OpenSSL erases a whole buffer of 17 kB each time, which costs a fourteenth of
 * all that a relay does; so only as long as passwords may be in it.
 */
static void
stop_erasing(TlsConnection *conn, size_t received_now)
{
	if (conn->erase_for <= 0)
		return;
	conn->erase_for -= received_now;
#ifdef SSL_OP_CLEANSE_PLAINTEXT
	if (conn->erase_for <= 0)
		SSL_clear_options(conn->ssl, SSL_OP_CLEANSE_PLAINTEXT);
#endif
}

/* The wire holds what has come; and what OpenSSL answers is sent. */
static void
pass_on(TlsConnection *conn)
{
	size_t		len;
	bool		good = decrypt(conn, &len);

	pooler_tls_deliver(conn, plain, len);
	explicit_bzero(plain, len);
	if (!good)
		conn->failed = true;	/* no close_notify after an alert */
	if (good)
	{
		if (pooler_tls_flush(conn))
			pooler_tls_rewatch(conn);
	}
	else if (conn->state == TLS_OPEN)
		pooler_tls_close(conn);
	else
		pooler_tls_kill(conn);
}

void
pooler_tls_read_rest(TlsConnection *conn)
{
	pass_on(conn);
}

static void
tcp_readable(TlsConnection *conn)
{
	TlsWire    *wire = &pooler_tls_wire;
	ssize_t		n = recv(conn->tcp, received, sizeof(received), MSG_DONTWAIT);

	if (n < 0)
	{
		if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)
			return;
		if (conn->state == TLS_HANDSHAKE)
			pooler_tls_handshake_broken(conn, errno);
		else
			pooler_tls_kill(conn);
		return;
	}
	count_received(conn, n);
	if (conn->state == TLS_HANDSHAKE)
	{
		if (n == 0)
			conn->client_eof = true;
		pooler_tls_handshake(conn, received, n, n == 0);
		return;
	}
	if (n == 0 && SSL_in_init(conn->ssl))
	{
		pooler_tls_kill(conn);	/* amid a message: nothing can be written */
		return;
	}
	if (n == 0)
	{
		conn->client_eof = true;
		pooler_tls_deliver(conn, NULL, 0);
		pooler_tls_rewatch(conn);
		return;
	}
	stop_erasing(conn, n);
	wire->in = received;
	wire->in_len = n;
	pass_on(conn);
}

/*---------------------------------------------------------------------------
 * pair -> client
 *---------------------------------------------------------------------------
 */

static void
pair_readable(TlsConnection *conn)
{
	ssize_t		n = recv(conn->pair, plain, TURN_BYTES, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
		return;
	if (n <= 0)
	{
		pooler_tls_close(conn);
		return;
	}
	ERR_clear_error();
	pooler_tls_wire.in_len = 0;
	if (SSL_write(conn->ssl, plain, (int) n) != (int) n)
	{
		explicit_bzero(plain, n);
		pooler_tls_kill(conn);
		return;
	}
	explicit_bzero(plain, n);
	if (pooler_tls_flush(conn))
		pooler_tls_rewatch(conn);
}

/*---------------------------------------------------------------------------
 * events
 *---------------------------------------------------------------------------
 */

static void
closing_event(TlsConnection *conn, uint32 events)
{
	if (events & (EPOLLERR | EPOLLHUP))
	{
		pooler_tls_kill(conn);
		return;
	}
	if (events & EPOLLIN)
	{
		ssize_t		n = recv(conn->tcp, received, sizeof(received), MSG_DONTWAIT);

		if (n == 0)
			conn->client_eof = true;
		else if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
		{
			pooler_tls_kill(conn);
			return;
		}
	}
	pooler_tls_close(conn);
}

static void
tcp_event(TlsConnection *conn, uint32 events)
{
	if (conn->state == TLS_CLOSING)
	{
		closing_event(conn, events);
		return;
	}
	if (conn->state != TLS_HANDSHAKE && (events & (EPOLLERR | EPOLLHUP)))
	{
		pooler_tls_kill(conn);
		return;
	}
	if (events & EPOLLOUT)
	{
		if (!pooler_tls_flush(conn))
			return;
		pooler_tls_rewatch(conn);
	}
	if ((events & (EPOLLIN | EPOLLERR | EPOLLHUP)) && conn->state != TLS_REPORTING)
		tcp_readable(conn);
}

static void
pair_event(TlsConnection *conn, uint32 events)
{
	if (conn->state == TLS_HANDSHAKE || conn->state == TLS_REPORTING)
	{
		pooler_tls_kill(conn);	/* nobody waits for it any more */
		return;
	}
	if (events & EPOLLOUT)
	{
		pooler_tls_deliver(conn, NULL, 0);
		pooler_tls_rewatch(conn);
	}
	if (conn->state == TLS_DEAD)
		return;
	if ((events & (EPOLLIN | EPOLLERR | EPOLLHUP)) && pooler_tls_can_write(conn))
		pair_readable(conn);
	else if (events & (EPOLLERR | EPOLLHUP))
		pooler_tls_hurry(conn);
}

void
pooler_tls_event(uint64 data, uint32 events)
{
	TlsConnection *conn = (TlsConnection *) (uintptr_t) (data & ~TLS_EVENT_PAIR);

	/* something earlier in this turn may have changed what was watched for */
	if (conn->state == TLS_DEAD)
		return;
	if ((data & TLS_EVENT_PAIR) == 0)
		tcp_event(conn, events);
	else if (conn->pair >= 0)
		pair_event(conn, events);
}

#endif							/* USE_OPENSSL */
