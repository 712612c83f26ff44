/*-------------------------------------------------------------------------
 *
 * listener.c
 *	  The sockets the pooler listens on.
 *
 * Runs in: the pooler.  Owns the listening descriptors and Unix socket
 * files.  A port that is taken is no reason for the worker or the server to
 * stop: it is logged once and tried again every second.
 *
 * Core's StreamServerPort() is not used: its lock file for Unix sockets
 * belongs to the postmaster's list of files, and its backlog follows
 * max_connections, which is far too small here.
 *
 *-------------------------------------------------------------------------
 */
#include "worker/internal.h"

#include <grp.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "postmaster/postmaster.h"
#include "shared/address.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/varlena.h"

#define MAX_LISTENERS	64

/* How long the kernel waits for a client's first bytes, in seconds. */
#define DEFER_ACCEPT	45

/* Connections taken in one turn of the loop, so that others get their turn. */
#define MAX_ACCEPTS		64

typedef enum ListenerState
{
	LISTENER_CLOSED,			/* to be opened, or failed; next: LISTENING */
	LISTENER_LISTENING,			/* in the epoll; next: PAUSED, STOPPED */
	LISTENER_PAUSED,			/* no client slot free; next: LISTENING */
	LISTENER_STOPPED			/* for good */
} ListenerState;

typedef struct Listener
{
	ListenerState state;
	bool		complained;		/* of the failure to open it */
	int			fd;
	SockAddr	addr;
	char		name[MAXPGPATH];	/* for messages */
} Listener;

static Listener listeners[MAX_LISTENERS];
static int	nlisteners;
static bool resolved;

static void
add_listener(const struct sockaddr *addr, socklen_t len, const char *name)
{
	Listener   *listener = &listeners[nlisteners];

	if (nlisteners == MAX_LISTENERS)
	{
		ereport(WARNING,
				(errmsg("the pooler listens on at most %d addresses, ignoring \"%s\"",
						MAX_LISTENERS, name)));
		return;
	}
	listener->state = LISTENER_CLOSED;
	listener->fd = -1;
	memcpy(&listener->addr.addr, addr, len);
	listener->addr.salen = len;
	strlcpy(listener->name, name, sizeof(listener->name));
	nlisteners++;
}

static void
add_address(const struct addrinfo *ai, const char *numeric, const char *name)
{
	add_listener(ai->ai_addr, ai->ai_addrlen, name);
}

static void
add_directory(const char *dir)
{
	struct sockaddr_un addr = {0};
	char		path[MAXPGPATH];
	char		name[MAXPGPATH + 32];

	snprintf(path, sizeof(path), "%s/.s.PGSQL.%d", dir, pooler_port);
	if (strlen(path) >= sizeof(addr.sun_path))
	{
		ereport(WARNING,
				(errmsg("Unix-domain socket path \"%s\" is too long (maximum %d bytes)",
						path, (int) sizeof(addr.sun_path) - 1)));
		return;
	}
	addr.sun_family = AF_UNIX;
	strlcpy(addr.sun_path, path, sizeof(addr.sun_path));
	snprintf(name, sizeof(name), "Unix socket \"%s\"", path);
	if (path[0] == '@')
	{
		/* in the abstract namespace: a name of just this length, no file */
		addr.sun_path[0] = '\0';
		add_listener((struct sockaddr *) &addr,
					 offsetof(struct sockaddr_un, sun_path) + strlen(path), name);
	}
	else
		add_listener((struct sockaddr *) &addr, sizeof(addr), name);
}

static void
resolve(void)
{
	List	   *items;
	ListCell   *cell;
	const char *dirs = pooler_unix_socket_directories ?
		pooler_unix_socket_directories : Unix_socket_directories;

	/* the check hooks have seen that both can be split */
	(void) SplitGUCList(pstrdup(pooler_listen_addresses), ',', &items);
	foreach(cell, items)
		pooler_address_resolve(lfirst(cell), pooler_port, NULL, add_address);
	(void) SplitDirectoriesString(pstrdup(dirs), ',', &items);
	foreach(cell, items)
		add_directory(lfirst(cell));
	strlcpy(pooler_shared->socket_dir, items ? linitial(items) : "", MAXPGPATH);
	if (nlisteners == 0)
		ereport(WARNING,
				(errmsg("the pooler has no address to listen on"),
				 errhint("Set pooler.listen_addresses or pooler.unix_socket_directories.")));
	resolved = true;
}

/*
 * A socket file that nobody answers at was left by a worker that could not
 * remove it.
 */
static void
remove_stale_socket(const struct sockaddr_un *addr)
{
	int			fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return;
	if (connect(fd, (const struct sockaddr *) addr, sizeof(*addr)) < 0 &&
		errno == ECONNREFUSED)
		(void) unlink(addr->sun_path);
	close(fd);
}

/* The owner and the rights that the server's own sockets have. */
static bool
set_socket_rights(const char *path)
{
	if (path[0] == '\0')
		return true;			/* abstract: there is no file */
	if (Unix_socket_group[0] != '\0')
	{
		struct group *gr = getgrnam(Unix_socket_group);
		gid_t		gid = gr ? gr->gr_gid : (gid_t) atoi(Unix_socket_group);

		if (chown(path, -1, gid) < 0)
			return false;
	}
	return chmod(path, Unix_socket_permissions) == 0;
}

/* Binds and listens; what failed is told by its name, with errno set. */
static const char *
open_socket(Listener *listener)
{
	struct sockaddr *addr = (struct sockaddr *) &listener->addr.addr;
	int			family = addr->sa_family;
	int			on = 1;
	int			defer = DEFER_ACCEPT;
	int			fd;

	fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return "create";
	listener->fd = fd;
	if (family == AF_UNIX)
		remove_stale_socket((struct sockaddr_un *) addr);
	else if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
			 (family == AF_INET6 &&
			  setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) < 0))
		return "set options of";
	if (family != AF_UNIX && pooler_tcp_defer_accept &&
		setsockopt(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &defer, sizeof(defer)) < 0)
		return "set options of";
	if (bind(fd, addr, listener->addr.salen) < 0)
		return "bind";
	if (family == AF_UNIX &&
		!set_socket_rights(((struct sockaddr_un *) addr)->sun_path))
		return "set permissions of";
	if (listen(fd, pooler_listen_backlog) < 0)
		return "listen on";
	return NULL;
}

static const char *
listen_hint(const Listener *listener, int error)
{
	if (error == EADDRINUSE)
		return _("Is another process using the port? If so, end it, or change pooler.port. It will be tried again every second.");
	if (listener->addr.addr.ss_family == AF_UNIX)
		return _("Check pooler.unix_socket_directories and the directory. It will be tried again every second.");
	return _("Check pooler.listen_addresses. It will be tried again every second.");
}

static void
start_listening(int index)
{
	Listener   *listener = &listeners[index];
	const char *failed = open_socket(listener);
	int			error;

	if (failed == NULL &&
		pooler_worker_watch(EPOLL_CTL_ADD, listener->fd, EPOLLIN,
							worker_event(WORKER_EVENT_LISTENER, 0, index)))
	{
		listener->state = LISTENER_LISTENING;
		listener->complained = false;
		pooler_shared->port = pooler_port;
		ereport(LOG, (errmsg("pooler is listening on %s", listener->name)));
		return;
	}
	error = errno;
	if (!listener->complained)
		ereport(LOG,
				(errcode_for_socket_access(),
				 errmsg("pooler could not %s %s: %m",
						failed ? failed : "watch", listener->name),
				 errhint("%s", listen_hint(listener, error))));
	listener->complained = true;
	if (listener->fd >= 0)
		close(listener->fd);
	listener->fd = -1;
}

static void
set_paused(bool pause)
{
	for (int i = 0; i < nlisteners; i++)
	{
		Listener   *listener = &listeners[i];

		if (listener->state != (pause ? LISTENER_LISTENING : LISTENER_PAUSED))
			continue;
		(void) pooler_worker_watch(EPOLL_CTL_MOD, listener->fd,
								   pause ? 0 : EPOLLIN,
								   worker_event(WORKER_EVENT_LISTENER, 0, i));
		listener->state = pause ? LISTENER_PAUSED : LISTENER_LISTENING;
	}
}

void
pooler_listener_start(void)
{
	if (!resolved)
		resolve();
	if (pooler_client_slot_free())
		set_paused(false);
	for (int i = 0; i < nlisteners; i++)
	{
		if (listeners[i].state == LISTENER_CLOSED)
			start_listening(i);
	}
}

void
pooler_listener_resume(void)
{
	set_paused(false);
}

void
pooler_listener_stop(void)
{
	for (int i = 0; i < nlisteners; i++)
	{
		Listener   *listener = &listeners[i];

		if (listener->fd >= 0)
		{
			if (listener->addr.addr.ss_family == AF_UNIX)
				(void) unlink(((struct sockaddr_un *) &listener->addr.addr)->sun_path);
			close(listener->fd);
		}
		listener->fd = -1;
		listener->state = LISTENER_STOPPED;
	}
	pooler_shared->port = 0;
}

void
pooler_listener_event(uint32 index)
{
	Listener   *listener = &listeners[index];

	for (int i = 0; i < MAX_ACCEPTS; i++)
	{
		SockAddr	raddr;
		int			fd;

		if (listener->state != LISTENER_LISTENING)
			return;
		if (!pooler_client_slot_free() && !pooler_guard_make_room(-1))
		{
			/* the backlog keeps them until somebody leaves */
			set_paused(true);
			return;
		}
		raddr.salen = sizeof(raddr.addr);
		memset(&raddr.addr, 0, sizeof(raddr.addr));
		fd = accept4(listener->fd, (struct sockaddr *) &raddr.addr,
					 &raddr.salen, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd < 0)
		{
			if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
			{
				ereport(LOG,
						(errcode_for_socket_access(),
						 errmsg("pooler could not accept new connection: %m")));
				set_paused(true);	/* until the next tick */
			}
			return;
		}
		(void) pooler_client_accept(fd, &raddr);
	}
}
