/*-------------------------------------------------------------------------
 *
 * link.c
 *	  A relay's connection with the pooler.
 *
 * Runs in: relays.  The relay connects to the name that stands in shared
 * memory, tries again as long as there is nobody, and believes no process but
 * the one that shared memory names.  When the pooler has gone, connections
 * that are OPEN go on: backends may still work for their clients.
 *
 *-------------------------------------------------------------------------
 */
#include "tls/internal.h"

#ifdef USE_OPENSSL

#include <openssl/x509.h>
#include <sys/mman.h>
#include <unistd.h>

#include "utils/elog.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#define RETRY_MS	100

static int	link_fd = -1;
static TimestampTz tried_at;
static X509 *told;				/* the certificate that the pooler knows;
								 * NULL: none */
static bool full;				/* what comes has to wait for room */
static dlist_head unreported = DLIST_STATIC_INIT(unreported);

bool
pooler_tls_link_is_up(void)
{
	return link_fd >= 0;
}

/*
 * Handshakes that nobody waits for any more end by themselves, when the other
 * end of their pair is closed.
 */
static void
link_down(void)
{
	(void) pooler_tls_watch(pooler_tls_me.epoll_fd, EPOLL_CTL_DEL, link_fd, 0, 0);
	close(link_fd);
	link_fd = -1;
	full = false;
	X509_free(told);
	told = NULL;
}

static void
watch_link(void)
{
	uint32		events = full ? 0 : EPOLLIN;

	if (!dlist_is_empty(&unreported))
		events |= EPOLLOUT;
	if (!pooler_tls_watch(pooler_tls_me.epoll_fd, EPOLL_CTL_MOD, link_fd,
						  events, TLS_EVENT_LINK))
		link_down();
}

/*---------------------------------------------------------------------------
 * relay -> pooler
 *---------------------------------------------------------------------------
 */

/* False if it has to wait, or there is nobody. */
static bool
send_frame(const PoolerTlsFrame *frame, const void *payload, size_t len, int fd)
{
	if (link_fd < 0)
		return false;
	if (pooler_tls_send(link_fd, frame, payload, len, &fd, fd >= 0 ? 1 : 0))
		return true;
	if (errno != EAGAIN && errno != EWOULDBLOCK && errno != ENOBUFS)
		link_down();
	return false;
}

/* With the certificate, which may be larger than a frame; -1: it can't be had. */
static int
certificate_file(X509 *cert)
{
	unsigned char *der = NULL;
	int			len = cert ? i2d_X509(cert, &der) : 0;
	int			fd = len > 0 ? memfd_create("pooler_certificate", MFD_CLOEXEC) : -1;

	if (fd >= 0 && write(fd, der, len) != len)
	{
		close(fd);
		fd = -1;
	}
	OPENSSL_free(der);
	return fd;
}

/*
 * Channel binding compares with the certificate that the client has seen, which
 * is that of its own handshake: others may have been loaded since it began.
 * Not its hash, because core's SCRAM asks an SSL for it.  False if it has to
 * wait.
 */
static bool
tell_certificate(X509 *cert)
{
	PoolerTlsFrame frame = {.type = POOLER_TLS_CERTIFICATE};
	bool		sent;
	int			fd;

	if (cert != NULL && cert == told)
		return true;
	fd = certificate_file(cert);
	sent = send_frame(&frame, NULL, 0, fd);
	if (fd >= 0)
		close(fd);
	if (!sent)
		return false;
	X509_free(told);
	told = fd >= 0 && X509_up_ref(cert) ? cert : NULL;
	return true;
}

static void
send_report(TlsConnection *conn)
{
	PoolerTlsFrame frame = {0};

	frame.type = conn->failed ? POOLER_TLS_FAILED : POOLER_TLS_DONE;
	frame.ca_loaded = pooler_tls_context_has_ca();
	frame.client = conn->client;
	frame.gen = conn->gen;
	if (!conn->failed && !tell_certificate(SSL_get_certificate(conn->ssl)))
		return;
	if (!send_frame(&frame, conn->report, conn->report_len, -1))
		return;
	pooler_tls_link_forget(conn);
	pooler_tls_reported(conn);
}

static void
send_due(void)
{
	while (!dlist_is_empty(&unreported) && link_fd >= 0)
	{
		dlist_node *first = dlist_head_node(&unreported);

		send_report(dlist_container(TlsConnection, report_node, first));
		if (!dlist_is_empty(&unreported) && dlist_head_node(&unreported) == first)
			break;				/* it has to wait */
	}
	if (link_fd >= 0)
		watch_link();
}

void
pooler_tls_link_report(TlsConnection *conn)
{
	bool		first = dlist_is_empty(&unreported);

	dlist_push_tail(&unreported, &conn->report_node);
	if (first && link_fd >= 0)
		send_report(conn);
	if (!dlist_is_empty(&unreported) && link_fd >= 0)
		watch_link();
}

void
pooler_tls_link_forget(TlsConnection *conn)
{
	if (conn->report_node.next == NULL)
		return;
	dlist_delete(&conn->report_node);
	conn->report_node.next = conn->report_node.prev = NULL;
}

/*---------------------------------------------------------------------------
 * pooler -> relay
 *---------------------------------------------------------------------------
 */

/* The client is lost: its socket was closed on the way to us. */
static void
refuse(const PoolerTlsFrame *frame)
{
	static const char pairs[] = POOLER_TLS_ERROR_SQLSTATE "\0" "53000\0"
		POOLER_TLS_ERROR_MESSAGE "\0"
		"could not accept SSL connection: a process for TLS has no descriptor left";
	PoolerTlsFrame answer = {.type = POOLER_TLS_FAILED};

	answer.client = frame->client;
	answer.gen = frame->gen;
	pg_atomic_fetch_add_u64(&pooler_tls_me.shared->failures, 1);
	if (!send_frame(&answer, pairs, sizeof(pairs), -1) && pooler_tls_may_log())
		ereport(LOG,
				(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
				 errmsg("could not accept SSL connection: a process for TLS has no descriptor left")));
}

static void
take_client(const PoolerTlsFrame *frame, const char *bytes, size_t len, const int *fds)
{
	bool		good = frame->type == POOLER_TLS_ACCEPT &&
		frame->client < (uint32) pooler_shared->nclients;
	TlsConnection *conn;

	if (!good || fds[0] < 0 || fds[1] < 0)
	{
		if (good)
			refuse(frame);		/* before the pooler sees the end of the pair */
		for (int i = 0; i < 2; i++)
		{
			if (fds[i] >= 0)
				close(fds[i]);
		}
		return;
	}
	conn = pooler_tls_open(fds[0], fds[1], frame);
	if (conn != NULL && len > 0)
		pooler_tls_handshake(conn, bytes, len, false);
}

/*
 * A frame is not read before there are descriptors for what comes with it: the
 * kernel would drop them, and the client with them.
 */
static bool
must_wait(void)
{
	char		byte;

	if (!pooler_tls_is_full() ||
		recv(link_fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) <= 0)
		return false;
	full = !pooler_tls_make_room();
	return full;
}

void
pooler_tls_link_room(void)
{
	if (!full)
		return;
	full = false;
	watch_link();
}

void
pooler_tls_link_event(uint32 events)
{
	static char payload[POOLER_TLS_MAX_PAYLOAD];
	PoolerTlsFrame frame;
	size_t		len;
	int			fds[2];

	if (events & EPOLLOUT)
		send_due();
	for (int i = 0; i < 16 && link_fd >= 0; i++)
	{
		if (must_wait())
		{
			watch_link();
			return;
		}
		switch (pooler_tls_receive(link_fd, &frame, payload, &len, fds))
		{
			case POOLER_TLS_RECEIVED:
				take_client(&frame, payload, len, fds);
				break;
			case POOLER_TLS_AGAIN:
				return;
			case POOLER_TLS_CLOSED:
				link_down();
				return;
		}
	}
}

void
pooler_tls_link_close(void)
{
	if (link_fd >= 0)
		link_down();
}

/*---------------------------------------------------------------------------
 * connecting
 *---------------------------------------------------------------------------
 */

static bool
connect_to(const char *name)
{
	struct sockaddr_un addr;
	socklen_t	len = pooler_tls_address(&addr, name);

	link_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (link_fd < 0)
		return false;
	if (connect(link_fd, (struct sockaddr *) &addr, len) == 0 &&
		pooler_tls_peer_is(link_fd, pooler_shared->worker_pid) &&
		pooler_tls_watch(pooler_tls_me.epoll_fd, EPOLL_CTL_ADD, link_fd,
						 EPOLLIN, TLS_EVENT_LINK))
		return true;
	close(link_fd);
	link_fd = -1;
	return false;
}

void
pooler_tls_link_tick(void)
{
	char		name[POOLER_TLS_NAME_LEN];

	if (link_fd >= 0 ||
		!TimestampDifferenceExceeds(tried_at, pooler_tls_me.now, RETRY_MS))
		return;
	tried_at = pooler_tls_me.now;
	strlcpy(name, pooler_shared->tls_name, sizeof(name));
	if (name[0] != '\0' && connect_to(name))
		send_due();
}

#endif							/* USE_OPENSSL */
