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
#include <unistd.h>

#include "utils/memutils.h"
#include "utils/timestamp.h"

#define RETRY_MS	100

static int	link_fd = -1;
static TimestampTz tried_at;
static bool certificate_due;	/* the pooler does not know it yet */
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
}

static void
watch_link(void)
{
	bool		writing = certificate_due || !dlist_is_empty(&unreported);

	if (!pooler_tls_watch(pooler_tls_me.epoll_fd, EPOLL_CTL_MOD, link_fd,
						  EPOLLIN | (writing ? EPOLLOUT : 0), TLS_EVENT_LINK))
		link_down();
}

/*---------------------------------------------------------------------------
 * relay -> pooler
 *---------------------------------------------------------------------------
 */

/* False if it has to wait, or there is nobody. */
static bool
send_frame(const PoolerTlsFrame *frame, const void *payload, size_t len)
{
	if (link_fd < 0)
		return false;
	if (pooler_tls_send(link_fd, frame, payload, len, NULL, 0))
		return true;
	if (errno != EAGAIN && errno != EWOULDBLOCK && errno != ENOBUFS)
		link_down();
	return false;
}

static void
send_certificate(void)
{
	PoolerTlsFrame frame = {.type = POOLER_TLS_CERTIFICATE};
	SSL_CTX    *context = pooler_tls_context();
	X509	   *cert = context ? SSL_CTX_get0_certificate(context) : NULL;
	unsigned char *der = NULL;
	int			len = cert ? i2d_X509(cert, &der) : 0;

	if (len < 0 || len > POOLER_TLS_MAX_PAYLOAD)
		len = 0;				/* no channel binding */
	if (send_frame(&frame, der, len))
		certificate_due = false;
	OPENSSL_free(der);
}

static void
send_report(TlsConnection *conn)
{
	PoolerTlsFrame frame = {0};

	frame.type = conn->failed ? POOLER_TLS_FAILED : POOLER_TLS_DONE;
	frame.ca_loaded = pooler_tls_context_has_ca();
	frame.client = conn->client;
	frame.gen = conn->gen;
	if (!send_frame(&frame, conn->report, conn->report_len))
		return;
	pooler_tls_link_forget(conn);
	pooler_tls_reported(conn);
}

/* The pooler has to know the certificate of those that it hears of next. */
static void
send_due(void)
{
	dlist_mutable_iter iter;

	if (certificate_due)
		send_certificate();
	dlist_foreach_modify(iter, &unreported)
	{
		if (certificate_due || link_fd < 0)
			break;
		send_report(dlist_container(TlsConnection, report_node, iter.cur));
	}
	if (link_fd >= 0)
		watch_link();
}

void
pooler_tls_link_certificate(void)
{
	certificate_due = true;
	if (link_fd >= 0)
		send_due();
}

void
pooler_tls_link_report(TlsConnection *conn)
{
	bool		first = dlist_is_empty(&unreported) && !certificate_due;

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

static void
take_client(const PoolerTlsFrame *frame, const char *bytes, size_t len, const int *fds)
{
	TlsConnection *conn;

	/* out of descriptors: the pooler sees the end of the pair, if it came */
	if (frame->type != POOLER_TLS_ACCEPT || fds[0] < 0 || fds[1] < 0 ||
		frame->client >= (uint32) pooler_shared->nclients)
	{
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
	if (name[0] == '\0' || !connect_to(name))
		return;
	certificate_due = true;
	send_due();
}

#endif							/* USE_OPENSSL */
