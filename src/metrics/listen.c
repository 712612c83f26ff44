/*-------------------------------------------------------------------------
 *
 * listen.c
 *	  The sockets that the HTTP worker listens on.
 *
 * Runs in: the HTTP worker.  Owns the listening descriptors.  A port that is
 * taken is no reason to stop: it is logged once and tried again every second.
 *
 * The library could listen by itself, but on one address only, and it would
 * take connections also when we have no time for them.
 *
 *-------------------------------------------------------------------------
 */
#include "metrics/internal.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shared/address.h"
#include "shared/guc.h"
#include "utils/memutils.h"
#include "utils/varlena.h"

#define MAX_LISTENERS	32

/*
 * Connections that wait in the kernel, for each address.  Few: those who ask
 * are few, and a flood is better refused than kept.
 */
#define BACKLOG			64

/* Connections taken in one turn of the loop. */
#define MAX_ACCEPTS		16

typedef struct Listener
{
	int			fd;				/* -1: to be opened, or failed */
	bool		complained;		/* of the failure to open it */
	SockAddr	addr;
	char		name[NI_MAXHOST + 32];	/* for messages */
} Listener;

static Listener listeners[MAX_LISTENERS];
static int	nlisteners;
static bool resolved;
static bool paused;
static int	watcher;			/* epoll */

/* localhost may stand in /etc/hosts more than once. */
static bool
is_known(const struct addrinfo *ai)
{
	for (int i = 0; i < nlisteners; i++)
	{
		if (listeners[i].addr.salen == ai->ai_addrlen &&
			memcmp(&listeners[i].addr.addr, ai->ai_addr, ai->ai_addrlen) == 0)
			return true;
	}
	return false;
}

static void
add_listener(const struct addrinfo *ai, const char *numeric, const char *name)
{
	Listener   *listener = &listeners[nlisteners];

	if (is_known(ai))
		return;
	if (nlisteners == MAX_LISTENERS)
	{
		ereport(WARNING,
				(errmsg("the pooler listens for HTTP on at most %d addresses, ignoring \"%s\"",
						MAX_LISTENERS, numeric)));
		return;
	}
	listener->fd = -1;
	listener->complained = false;
	memcpy(&listener->addr.addr, ai->ai_addr, ai->ai_addrlen);
	listener->addr.salen = ai->ai_addrlen;
	strlcpy(listener->name, name, sizeof(listener->name));
	nlisteners++;
}

static void
resolve(void)
{
	List	   *items;
	ListCell   *cell;

	/* the check hook has seen that it can be split */
	(void) SplitGUCList(pstrdup(pooler_http_listen_addresses), ',', &items);
	foreach(cell, items)
		pooler_address_resolve(lfirst(cell), pooler_http_port,
							   "Check pooler.http_listen_addresses.", add_listener);
	if (nlisteners == 0)
		ereport(WARNING,
				(errmsg("the pooler has no address to listen on for HTTP"),
				 errhint("Check pooler.http_listen_addresses.")));
	resolved = true;
}

/* Binds and listens; what failed is told by its name, with errno set. */
static const char *
open_socket(Listener *listener)
{
	const struct sockaddr *addr = (struct sockaddr *) &listener->addr.addr;
	int			on = 1;

	listener->fd = socket(addr->sa_family,
						  SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (listener->fd < 0)
		return "create";
	if (setsockopt(listener->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
		(addr->sa_family == AF_INET6 &&
		 setsockopt(listener->fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) < 0))
		return "set options of";
	if (bind(listener->fd, addr, listener->addr.salen) < 0)
		return "bind";
	if (listen(listener->fd, BACKLOG) < 0)
		return "listen on";
	return NULL;
}

static bool
watch(int index, int op)
{
	struct epoll_event ev = {
		.events = paused ? 0 : EPOLLIN,
		.data.u64 = index
	};

	return epoll_ctl(watcher, op, listeners[index].fd, &ev) == 0;
}

static const char *
listen_hint(int error)
{
	if (error == EADDRINUSE)
		return _("Is another process using the port? If so, end it, or change pooler.http_port. It will be tried again every second.");
	return _("Check pooler.http_listen_addresses and pooler.http_port. It will be tried again every second.");
}

static void
start_listening(int index)
{
	Listener   *listener = &listeners[index];
	const char *failed = open_socket(listener);
	int			error;

	if (failed == NULL && watch(index, EPOLL_CTL_ADD))
	{
		listener->complained = false;
		ereport(LOG, (errmsg("pooler is listening for HTTP on %s", listener->name)));
		return;
	}
	error = errno;
	if (!listener->complained)
		ereport(LOG,
				(errcode_for_socket_access(),
				 errmsg("pooler could not %s %s: %m",
						failed ? failed : "watch", listener->name),
				 errhint("%s", listen_hint(error))));
	listener->complained = true;
	if (listener->fd >= 0)
		close(listener->fd);
	listener->fd = -1;
}

void
pooler_http_listen(int epoll_fd)
{
	watcher = epoll_fd;
	if (!resolved)
		resolve();
	for (int i = 0; i < nlisteners; i++)
	{
		if (listeners[i].fd < 0)
			start_listening(i);
	}
}

void
pooler_http_listen_stop(void)
{
	for (int i = 0; i < nlisteners; i++)
	{
		if (listeners[i].fd >= 0)
			close(listeners[i].fd);
	}
	nlisteners = 0;
	resolved = false;
	paused = false;
}

void
pooler_http_listen_pause(bool pause)
{
	if (paused == pause)
		return;
	paused = pause;
	for (int i = 0; i < nlisteners; i++)
	{
		if (listeners[i].fd >= 0)
			(void) watch(i, EPOLL_CTL_MOD);
	}
}

void
pooler_http_listen_event(int index, PoolerHttpAccept accept)
{
	for (int i = 0; i < MAX_ACCEPTS; i++)
	{
		SockAddr	raddr;
		int			fd;

		if (index >= nlisteners || listeners[index].fd < 0 || paused)
			return;
		raddr.salen = sizeof(raddr.addr);
		memset(&raddr.addr, 0, sizeof(raddr.addr));
		fd = accept4(listeners[index].fd, (struct sockaddr *) &raddr.addr,
					 &raddr.salen, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd < 0)
		{
			/* out of descriptors, say: until the next tick */
			if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
				pooler_http_listen_pause(true);
			return;
		}
		accept(fd, &raddr);
	}
}

bool
pooler_http_listens_by_name(const char *host, size_t len)
{
	List	   *items;
	ListCell   *cell;

	(void) SplitGUCList(pstrdup(pooler_http_listen_addresses), ',', &items);
	foreach(cell, items)
	{
		const char *item = lfirst(cell);

		if (strlen(item) == len && pg_strncasecmp(item, host, len) == 0)
			return true;
	}
	return false;
}
