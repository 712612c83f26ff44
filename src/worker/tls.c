/*-------------------------------------------------------------------------
 *
 * tls.c
 *	  The relays of TLS, as the pooler sees them.
 *
 * Runs in: the pooler.  Owns the socket at which relays connect, and which
 * client has which relay.  Waits for none of them: a frame that can't be sent
 * at once goes to another relay, or is tried again.
 *
 * The name of the socket is random and new in each life of the pooler, but
 * anybody can read it in /proc/net/unix: who connects has to be a process that
 * has noted itself in shared memory as a relay.
 *
 *-------------------------------------------------------------------------
 */
#include "worker/login_internal.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "postmaster/postmaster.h"
#include "shared/tls.h"
#include "utils/memutils.h"

#ifdef USE_OPENSSL
#include <openssl/err.h>
#include <openssl/x509.h>
#endif

#define BACKLOG			64
#define MAX_ACCEPTS		16
#define MAX_FRAMES		64

/* Without any relay for so long there will be none. */
#define MISSING_AFTER_MS	10000

typedef struct TlsLink
{
	int			sock;			/* -1: none */
	uint32		clients;		/* that were handed to it and have not gone */
#ifdef USE_OPENSSL
	SSL_CTX    *certificate;	/* has that of the handshake that is reported
								 * next and nothing else, or nothing at all:
								 * not known */
#endif
} TlsLink;

static TlsLink links[POOLER_MAX_TLS_WORKERS];
static int	listen_sock = -1;
static TimestampTz seen_at;		/* when any relay was running last */

/*---------------------------------------------------------------------------
 * listening
 *---------------------------------------------------------------------------
 */

/* Nobody but relays needs it, so a failure ends only TLS. */
static bool
listen_at_random_name(void)
{
	uint8		random[16];
	char		name[POOLER_TLS_NAME_LEN] = "pooler-";
	size_t		prefix = strlen(name);
	struct sockaddr_un addr;
	socklen_t	len;

	if (!pg_strong_random(random, sizeof(random)))
		return false;
	for (size_t i = 0; i < sizeof(random); i++)
		sprintf(name + prefix + 2 * i, "%02x", random[i]);
	len = pooler_tls_address(&addr, name);
	listen_sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (listen_sock < 0 ||
		bind(listen_sock, (struct sockaddr *) &addr, len) < 0 ||
		listen(listen_sock, BACKLOG) < 0 ||
		!pooler_worker_watch(EPOLL_CTL_ADD, listen_sock, EPOLLIN,
							 worker_event(WORKER_EVENT_TLS, 0, 0)))
		return false;
	strlcpy(pooler_shared->tls_name, name, sizeof(pooler_shared->tls_name));
	return true;
}

void
pooler_tls_worker_startup(void)
{
	for (int i = 0; i < POOLER_MAX_TLS_WORKERS; i++)
		links[i].sock = -1;
	seen_at = pooler_worker.now;
	if (pooler_shared->ntls > 0 && !listen_at_random_name())
		ereport(LOG, (errmsg("pooler could not listen for its TLS processes: %m")));
}

void
pooler_tls_worker_exit(void)
{
	pooler_shared->tls_name[0] = '\0';
}

static int
relay_of(pid_t pid)
{
	for (int i = 0; i < pooler_shared->ntls; i++)
	{
		if (pid != 0 &&
			pg_atomic_read_u32(&pooler_shared->tls_relays[i].pid) == (uint32) pid)
			return i;
	}
	return -1;
}

/*---------------------------------------------------------------------------
 * certificates
 *---------------------------------------------------------------------------
 */

#ifdef USE_OPENSSL
/* NULL: there is none, or it can't be read. */
static X509 *
read_certificate(int fd)
{
	struct stat st;
	char	   *der;
	const unsigned char *p;
	X509	   *cert = NULL;

	if (fd < 0 || fstat(fd, &st) < 0 || st.st_size > (off_t) MaxAllocSize)
		return NULL;
	der = palloc(st.st_size);
	p = (unsigned char *) der;
	if (pread(fd, der, st.st_size, 0) == st.st_size)
		cert = d2i_X509(NULL, &p, st.st_size);
	pfree(der);
	return cert;
}

static void
set_certificate(TlsLink *link, int fd)
{
	X509	   *cert = read_certificate(fd);

	SSL_CTX_free(link->certificate);
	link->certificate = SSL_CTX_new(TLS_method());
	if (cert != NULL && link->certificate != NULL)
		(void) SSL_CTX_use_certificate(link->certificate, cert);
	X509_free(cert);
	ERR_clear_error();
}

SSL *
pooler_tls_stand_in(int slot)
{
	int			relay = pooler_worker_clients[slot].tls_relay - 1;

	if (relay < 0 || links[relay].certificate == NULL)
		return NULL;
	return SSL_new(links[relay].certificate);
}
#else
#define set_certificate(link, fd) ((void) (link), (void) (fd))
#endif

/*---------------------------------------------------------------------------
 * relays come and go
 *---------------------------------------------------------------------------
 */

/*
 * What it moved bytes for ends by itself, because the pairs are closed; only
 * a login in its handshake does not see that.
 */
static void
link_down(int relay)
{
	close(links[relay].sock);
	links[relay].sock = -1;
	seen_at = pooler_worker.now;
	set_certificate(&links[relay], -1);
	for (int i = 0; i < pooler_shared->nclients; i++)
	{
		if (pooler_worker_clients[i].tls_relay == relay + 1 &&
			pooler_login_tls_under_way(i))
			pooler_login_tls_lost(i);
	}
}

static void
accept_relays(void)
{
	for (int i = 0; i < MAX_ACCEPTS; i++)
	{
		int			sock = accept4(listen_sock, NULL, NULL,
								   SOCK_CLOEXEC | SOCK_NONBLOCK);
		int			relay;

		if (sock < 0)
			return;
		relay = relay_of(pooler_tls_peer(sock));
		if (relay < 0)
		{
			close(sock);
			continue;
		}
		if (links[relay].sock >= 0)
			link_down(relay);
		if (pooler_worker_watch(EPOLL_CTL_ADD, sock, EPOLLIN,
								worker_event(WORKER_EVENT_TLS, 0, relay + 1)))
			links[relay].sock = sock;
		else
			close(sock);
	}
}

static void
take_frame(int relay, const PoolerTlsFrame *frame, const char *payload,
		   size_t len, int fd)
{
	if (frame->type == POOLER_TLS_CERTIFICATE)
	{
		set_certificate(&links[relay], fd);
		return;
	}
	if (frame->client >= (uint32) pooler_shared->nclients ||
		pooler_client_gen(&pooler_clients[frame->client]) != frame->gen ||
		pooler_worker_clients[frame->client].tls_relay != relay + 1 ||
		!pooler_login_tls_under_way(frame->client))
		return;					/* it has left */
	if (frame->type == POOLER_TLS_DONE)
		pooler_login_tls_done(frame->client, frame->ca_loaded, payload, len);
	else if (frame->type == POOLER_TLS_FAILED)
		pooler_login_tls_failed(frame->client, payload, len);
}

static void
listen_to(int relay)
{
	static char payload[POOLER_TLS_MAX_PAYLOAD];
	PoolerTlsFrame frame;
	size_t		len;
	int			fds[2];

	for (int i = 0; i < MAX_FRAMES && links[relay].sock >= 0; i++)
	{
		switch (pooler_tls_receive(links[relay].sock, &frame, payload, &len, fds))
		{
			case POOLER_TLS_RECEIVED:
				take_frame(relay, &frame, payload, len, fds[0]);
				for (int j = 0; j < 2; j++)
				{
					if (fds[j] >= 0)
						close(fds[j]);
				}
				break;
			case POOLER_TLS_AGAIN:
				return;
			case POOLER_TLS_CLOSED:
				link_down(relay);
				return;
		}
	}
}

void
pooler_tls_worker_event(uint32 index)
{
	if (index == 0)
		accept_relays();
	else if (links[index - 1].sock >= 0)
		listen_to(index - 1);
}

void
pooler_tls_worker_listen_to(int slot)
{
	int			relay = pooler_worker_clients[slot].tls_relay - 1;

	if (relay >= 0 && links[relay].sock >= 0)
		listen_to(relay);
}

/*---------------------------------------------------------------------------
 * clients
 *---------------------------------------------------------------------------
 */

/*
 * How many clients a relay has: ours, or those that it has itself, if clients
 * of an earlier pooler are among them.
 */
static uint32
load_of(int relay)
{
	PoolerTlsRelay *shared = &pooler_shared->tls_relays[relay];
	uint32		leaving = pg_atomic_read_u32(&shared->leaving);
	uint32		connections = pg_atomic_read_u32(&shared->connections);

	return Max(links[relay].clients, connections - Min(connections, leaving));
}

static bool
can_take(int relay)
{
	PoolerTlsRelay *shared = &pooler_shared->tls_relays[relay];

	return links[relay].sock >= 0 &&
		pg_atomic_read_u32(&shared->state) == POOLER_TLS_READY &&
		load_of(relay) < pg_atomic_read_u32(&shared->capacity);
}

/*
 * A relay that has ended is started again after a second.  Where there is none
 * for much longer, the server had no room for it.
 */
static bool
relays_are_missing(void)
{
	static bool complained = false;

	for (int i = 0; i < pooler_shared->ntls; i++)
	{
		if (pg_atomic_read_u32(&pooler_shared->tls_relays[i].pid) != 0)
			seen_at = pooler_worker.now;
	}
	if (!TimestampDifferenceExceeds(seen_at, pooler_worker.now, MISSING_AFTER_MS))
	{
		complained = false;
		return false;
	}
	if (!complained)
		ereport(LOG,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("none of the pooler's processes for TLS is running"),
				 errdetail("Clients are told that there is no TLS."),
				 errhint("Raise max_worker_processes by pooler.tls_workers.")));
	complained = true;
	return true;
}

/*
 * "No" only if it is known: a client that need not have TLS would go on
 * without it.
 */
WorkerTlsOffer
pooler_tls_offer(void)
{
	bool		starting = false;

	if (!EnableSSL || listen_sock < 0)
		return WORKER_TLS_NO;
	for (int i = 0; i < pooler_shared->ntls; i++)
	{
		if (can_take(i))
			return WORKER_TLS_YES;
		if (pg_atomic_read_u32(&pooler_shared->tls_relays[i].state) != POOLER_TLS_OFF)
			starting = true;	/* or it is full */
	}
	return starting && !relays_are_missing() ? WORKER_TLS_SOON : WORKER_TLS_NO;
}

/* The one with the fewest clients; its next best if that has no ear now. */
static int
choose_relay(uint64 tried)
{
	int			best = -1;

	for (int i = 0; i < pooler_shared->ntls; i++)
	{
		if ((tried & (UINT64CONST(1) << i)) == 0 && can_take(i) &&
			(best < 0 || load_of(i) < load_of(best)))
			best = i;
	}
	return best;
}

/*
 * The pair takes the place of the TCP socket, which is the relay's now.  If it
 * can't, the client is closed: nobody else may speak on that socket.
 */
static void
replace_socket(int slot, int relay, int end)
{
	WorkerClient *wc = &pooler_worker_clients[slot];

	(void) pooler_worker_watch(EPOLL_CTL_DEL, wc->fd, 0, 0);
	links[relay].clients++;
	wc->tls_relay = relay + 1;
	if (dup3(end, wc->fd, O_CLOEXEC) < 0)
	{
		ereport(LOG, (errmsg("pooler could not keep a new connection: %m")));
		pooler_client_close(slot, NULL, NULL);
		return;
	}
	(void) pooler_worker_watch(EPOLL_CTL_ADD, wc->fd, EPOLLRDHUP | EPOLLONESHOT,
							   worker_event(WORKER_EVENT_CLIENT,
											pooler_client_gen(&pooler_clients[slot]),
											slot));
}

bool
pooler_tls_hand_over(int slot, bool direct, const void *bytes, size_t len)
{
	PoolerTlsFrame frame = {.type = POOLER_TLS_ACCEPT};
	int			pair[2];
	int			fds[2];
	int			relay;
	uint64		tried = 0;
	bool		sent = false;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
		return false;
	frame.direct = direct;
	frame.client = slot;
	frame.gen = pooler_client_gen(&pooler_clients[slot]);
	fds[0] = pooler_worker_clients[slot].fd;
	fds[1] = pair[1];
	while (!sent && (relay = choose_relay(tried)) >= 0)
	{
		sent = pooler_tls_send(links[relay].sock, &frame, bytes, len, fds, 2);
		tried |= UINT64CONST(1) << relay;
	}
	if (sent)
		replace_socket(slot, relay, pair[0]);
	close(pair[0]);
	close(pair[1]);
	return sent;
}

void
pooler_tls_client_left(int slot)
{
	WorkerClient *wc = &pooler_worker_clients[slot];

	if (wc->tls_relay > 0)
		links[wc->tls_relay - 1].clients--;
	wc->tls_relay = 0;
}

uint8
pooler_tls_name_number(const char *name)
{
	for (int i = 0; i < POOLER_TLS_NAMES; i++)
	{
		char	   *known = pooler_shared->tls_names[i];

		if (known[0] == '\0')
			strlcpy(known, name, POOLER_TLS_NAME_LEN);
		if (strncmp(known, name, POOLER_TLS_NAME_LEN - 1) == 0)
			return i + 1;
	}
	return 0;
}
