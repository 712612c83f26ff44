/*-------------------------------------------------------------------------
 *
 * replication.c
 *	  Clients with a walsender: standbys, pg_basebackup, subscriptions.
 *
 * Runs in: the pooler.  The walsender is born like a backend that core logs a
 * client in on, and then is core's own process: it has the client's socket, no
 * slot for a backend, and looks at nothing of the pooler's any more.  What is
 * left here is the client's slot, so that it counts and can be seen, canceled
 * and ended, and the control socket, whose end of file says that the process
 * has gone.  Neither reads nor writes the client's socket.
 *
 *-------------------------------------------------------------------------
 */
#include "worker/internal.h"

#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "storage/procarray.h"

struct WorkerReplication
{
	int			sock;			/* control socket */
	Oid			dbid;			/* InvalidOid: none */
	Oid			roleid;
};

/* Clients with a walsender, by WorkerClient.node. */
static dlist_head walsenders = DLIST_STATIC_INIT(walsenders);

/* From now on the process is core's, but for the control socket. */
static void
take_over(int slot, int sock, const PoolerWalsender *walsender)
{
	WorkerClient *wc = &pooler_worker_clients[slot];
	WorkerReplication *replication =
		MemoryContextAllocZero(TopMemoryContext, sizeof(WorkerReplication));

	replication->sock = sock;
	replication->dbid = walsender->dbid;
	replication->roleid = walsender->roleid;
	wc->replication = replication;
	dlist_push_tail(&walsenders, &wc->node);
	pooler_clients[slot].walsender = walsender->pid;
	(void) pooler_worker_watch(EPOLL_CTL_MOD, sock, EPOLLIN,
							   worker_event(WORKER_EVENT_WALSENDER,
											pooler_client_gen(&pooler_clients[slot]),
											slot));
	pooler_client_set_state(slot, POOLER_CLIENT_REPLICATION, 0);
}

void
pooler_replication_begin(int backend, const PoolerWalsender *walsender)
{
	int			slot = pooler_worker_backends[backend].birth->client;
	PoolerControl go_on = {.type = POOLER_CONTROL_WELCOME};
	PoolerErrorFields error = {0};
	bool		too_many =
		pooler_limits_refuse_walsender(walsender, pooler_clients[slot].database,
									   pooler_clients[slot].role, &error);

	pooler_login_replication_done(slot);
	take_over(slot, pooler_backend_let_go(backend), walsender);
	if (too_many)
		pooler_client_refuse(slot, &error); /* the process sees end of file */
	else
		(void) pooler_control_send(pooler_worker_clients[slot].replication->sock,
								   &go_on, NULL, -1);
}

/* It says nothing on that socket. */
static bool
has_ended(const WorkerReplication *replication)
{
	char		byte;
	ssize_t		n = recv(replication->sock, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

	return n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
}

void
pooler_replication_event(int slot, uint32 gen)
{
	WorkerClient *wc = &pooler_worker_clients[slot];

	if (wc->replication == NULL || pooler_client_gen(&pooler_clients[slot]) != gen)
		return;
	if (has_ended(wc->replication))
		pooler_client_close(slot, NULL, NULL);
}

/*
 * As pg_terminate_backend() and core's cancel requests do it, but for a process
 * that was there a moment ago.
 */
void
pooler_replication_signal(int slot, int sig)
{
	WorkerReplication *replication = pooler_worker_clients[slot].replication;
	int			pid = pooler_clients[slot].walsender;

	if (has_ended(replication) || BackendPidGetProc(pid) == NULL)
		return;
	if (kill(-pid, sig) < 0)
		(void) kill(pid, sig);
}

bool
pooler_replication_in(int slot, Oid dbid)
{
	return !OidIsValid(dbid) ||
		pooler_worker_clients[slot].replication->dbid == dbid;
}

int
pooler_replication_count(Oid dbid, Oid roleid)
{
	dlist_iter	iter;
	int			n = 0;

	dlist_foreach(iter, &walsenders)
	{
		WorkerReplication *replication =
			dlist_container(WorkerClient, node, iter.cur)->replication;

		if ((!OidIsValid(dbid) || replication->dbid == dbid) &&
			(!OidIsValid(roleid) || replication->roleid == roleid))
			n++;
	}
	return n;
}

void
pooler_replication_free(int slot)
{
	WorkerClient *wc = &pooler_worker_clients[slot];

	(void) pooler_worker_watch(EPOLL_CTL_DEL, wc->replication->sock, 0, 0);
	close(wc->replication->sock);
	dlist_delete(&wc->node);
	pfree(wc->replication);
	wc->replication = NULL;
	pooler_clients[slot].walsender = 0;
}
