/*-------------------------------------------------------------------------
 *
 * socket.c
 *	  The descriptor that core reads and writes, and the sets it waits with.
 *
 * Runs in: pool backends.
 *
 * Core waits for its client in FeBeWaitSet, and no function takes a socket
 * out of a WaitEventSet or puts another one in.  To build a set for each
 * client would cost five system calls and a descriptor each.  Instead there
 * is one descriptor number, MyProcPort->sock, that is made to refer to one
 * client's socket after the other with dup3(); and as epoll knows an entry by
 * file and number, the old entry is taken out before and the new one put in
 * after.  For that we need the epoll descriptor behind a WaitEventSet, and the
 * pointer that the set has stored with its entry.  Both can be had without
 * knowing the struct: descriptors are given out lowest first, and epoll_wait
 * returns the pointer of an entry that is ready.  Both are verified; a server
 * on which they can't be had ends its pool backends with a clear error.
 *
 * A client also keeps a descriptor with the number that it has in the pooler
 * (base + slot): by that number its entry in the pooler's epoll is known, so
 * that it can be armed from here.
 *
 *-------------------------------------------------------------------------
 */
#include "backend/internal.h"

#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include "storage/fd.h"
#include "storage/ipc.h"

/* A WaitEventSet with one entry whose socket changes. */
typedef struct SwappableSet
{
	WaitEventSet *set;
	int			epoll_fd;
	void	   *entry;			/* what the set stored with that socket */
	bool		present;		/* MyProcPort->sock is in the epoll */
} SwappableSet;

static SwappableSet febe;		/* FeBeWaitSet */
static SwappableSet idle;		/* for pooler_socket_wait() */

/* Generation + 1 of the client whose descriptor is kept; 0: none. */
static uint32 *kept;
static bool attached;

/*
 * Creates an empty set and finds out the descriptor of its epoll: the lowest
 * number that is free.
 */
static void
create_set(SwappableSet *result, int nevents)
{
	char		path[64];
	char		target[64];
	ssize_t		len;
	int			lowest = fcntl(0, F_DUPFD_CLOEXEC, 0);

	if (lowest < 0)
		ereport(FATAL, (errmsg("could not duplicate a descriptor: %m")));
	close(lowest);
	result->set = pooler_create_wait_event_set(nevents);
	result->epoll_fd = lowest;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", lowest);
	len = readlink(path, target, sizeof(target) - 1);
	target[Max(len, 0)] = '\0';
	if (strcmp(target, "anon_inode:[eventpoll]") != 0)
		ereport(FATAL,
				(errcode(ERRCODE_SYSTEM_ERROR),
				 errmsg("could not find the epoll descriptor of a wait event set")));
}

/*
 * Finds the pointer that a set has stored with MyProcPort->sock, its only
 * entry so far, which waits for a connected socket to be ready for writing.
 */
static void
learn_entry(SwappableSet *result)
{
	struct epoll_event ev;

	if (epoll_wait(result->epoll_fd, &ev, 1, 0) != 1 ||
		(ev.events & EPOLLOUT) == 0)
		ereport(FATAL,
				(errcode(ERRCODE_SYSTEM_ERROR),
				 errmsg("could not find the socket's entry in a wait event set")));
	result->entry = ev.data.ptr;
	result->present = true;
}

static void
add_socket(SwappableSet *s)
{
	struct epoll_event ev = {.events = EPOLLIN | EPOLLERR | EPOLLHUP};

	if (s->present)
		return;
	ev.data.ptr = s->entry;
	if (epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, MyProcPort->sock, &ev) < 0)
		ereport(FATAL,
				(errcode(ERRCODE_SYSTEM_ERROR),
				 errmsg("could not watch the client's socket: %m")));
	s->present = true;
}

static void
remove_socket(SwappableSet *s)
{
	struct epoll_event ev = {0};

	if (s->present &&
		epoll_ctl(s->epoll_fd, EPOLL_CTL_DEL, MyProcPort->sock, &ev) < 0)
		ereport(FATAL,
				(errcode(ERRCODE_SYSTEM_ERROR),
				 errmsg("could not stop watching the client's socket: %m")));
	s->present = false;
}

/*
 * The set believes that it waits for reading whenever a socket is put in
 * behind its back, so it has to wait for reading when one is taken out.
 */
void
pooler_socket_take_over(void)
{
	WaitEventSet *old = FeBeWaitSet;

	create_set(&febe, FeBeWaitSetNEvents);
	AddWaitEventToSet(febe.set, WL_SOCKET_WRITEABLE, MyProcPort->sock, NULL, NULL);
	learn_entry(&febe);
	AddWaitEventToSet(febe.set, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, NULL);
	AddWaitEventToSet(febe.set, WL_POSTMASTER_DEATH, PGINVALID_SOCKET, NULL, NULL);
	FeBeWaitSet = febe.set;
	FreeWaitEventSet(old);
	attached = true;
}

void
pooler_socket_prepare_wait(void)
{
	int			pos PG_USED_FOR_ASSERTS_ONLY;

	create_set(&idle, 4);

	AddWaitEventToSet(idle.set, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, NULL);
	AddWaitEventToSet(idle.set, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, NULL, NULL);
	AddWaitEventToSet(idle.set, WL_SOCKET_READABLE, pooler_me.control, NULL, NULL);
	pos = AddWaitEventToSet(idle.set, WL_SOCKET_WRITEABLE, MyProcPort->sock,
							NULL, NULL);
	Assert(pos == POOLER_WAIT_CLIENT);
	for (;;)
	{
		struct epoll_event ev[4];
		int			n = epoll_wait(idle.epoll_fd, ev, 4, 0);

		for (int i = 0; i < n; i++)
		{
			if (ev[i].events & EPOLLOUT)
				idle.entry = ev[i].data.ptr;
		}
		if (idle.entry != NULL)
			break;
		CHECK_FOR_INTERRUPTS();
		pg_usleep(1000);
		if (n < 0 && errno != EINTR)
			ereport(FATAL,
					(errcode(ERRCODE_SYSTEM_ERROR),
					 errmsg("could not find the socket's entry in a wait event set")));
	}
	idle.present = true;
	ModifyWaitEvent(idle.set, POOLER_WAIT_CLIENT, WL_SOCKET_READABLE, NULL);
}

/*
 * Descriptors of clients lie above all others, so the soft limit on open
 * files may have to be raised; the worker has checked that it can be.
 */
static void
prepare_keeping(void)
{
	struct rlimit limit;
	rlim_t		wanted = (rlim_t) pooler_shared->fd_base + pooler_shared->nclients;

	kept = MemoryContextAllocZero(TopMemoryContext,
								  sizeof(uint32) * pooler_shared->nclients);
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 &&
		limit.rlim_cur != RLIM_INFINITY && limit.rlim_cur < wanted)
	{
		limit.rlim_cur = limit.rlim_max == RLIM_INFINITY ? wanted :
			Min(wanted, limit.rlim_max);
		(void) setrlimit(RLIMIT_NOFILE, &limit);
	}
}

void
pooler_socket_keep(int client, uint32 gen, int fd)
{
	if (kept == NULL)
		prepare_keeping();

	/* whatever is there instead of a client must not be closed unseen */
	if (kept[client] == 0 && fcntl(pooler_socket_of(client), F_GETFD) >= 0)
		ereport(FATAL,
				(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
				 errmsg("descriptor %d, meant for a client of the pooler, is in use",
						pooler_socket_of(client))));
	if (dup3(fd, pooler_socket_of(client), O_CLOEXEC) < 0)
		ereport(FATAL,
				(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
				 errmsg("could not keep a client's descriptor: %m")));
	close(fd);
	kept[client] = gen + 1;
}

bool
pooler_socket_has(int client, uint32 gen)
{
	return kept != NULL && kept[client] == gen + 1;
}

void
pooler_socket_close_stale(void)
{
	for (int i = 0; kept != NULL && i < pooler_shared->nclients; i++)
	{
		if (kept[i] == 0 || kept[i] == pooler_client_gen(&pooler_clients[i]) + 1)
			continue;
		close(pooler_socket_of(i));
		kept[i] = 0;
		pooler_attach_remember(i, NULL, 0);
	}
}

void
pooler_socket_attach_fd(int fd)
{
	Assert(!attached);
	if (dup3(fd, MyProcPort->sock, O_CLOEXEC) < 0)
		ereport(FATAL,
				(errcode(ERRCODE_SYSTEM_ERROR),
				 errmsg("could not attach to the client's socket: %m")));
	attached = true;
	add_socket(&febe);
}

void
pooler_socket_detach(void)
{
	if (!attached)
		return;
	ModifyWaitEvent(febe.set, FeBeWaitSetSocketPos, WL_SOCKET_READABLE, NULL);
	remove_socket(&febe);
	remove_socket(&idle);
	attached = false;
}

PoolerWaitPos
pooler_socket_wait(bool with_client, uint32 wait_event)
{
	WaitEvent	event;

	if (with_client)
		add_socket(&idle);
	(void) WaitEventSetWait(idle.set, -1, &event, 1, wait_event);
	return (PoolerWaitPos) event.pos;
}

void
pooler_socket_rearm(int client, uint32 gen)
{
	struct epoll_event ev = {.events = EPOLLIN | EPOLLRDHUP | EPOLLONESHOT};

	ev.data.u64 = pooler_client_event_data(client, gen);

	/* fails harmlessly if the pooler has closed the client meanwhile */
	(void) epoll_ctl(pooler_me.pooler_epoll, EPOLL_CTL_MOD,
					 pooler_socket_of(client), &ev);
}
