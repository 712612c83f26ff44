/*-------------------------------------------------------------------------
 *
 * main.c
 *	  A relay of TLS: start, loop, end.
 *
 * Runs in: relays, static background workers without a database.  Each moves
 * the bytes of its clients between their TCP sockets, encrypted, and
 * socketpairs, in plain text.  What is said there is nothing to it.
 *
 * The loop is epoll_pwait() alone, without a latch: a WaitEventSet around it
 * would cost a second system call for each message, and nobody sets a relay's
 * latch.  SIGHUP and SIGTERM arrive only while it waits.
 *
 *-------------------------------------------------------------------------
 */
#include "tls/internal.h"

#ifdef USE_OPENSSL

#include <malloc.h>
#include <signal.h>
#include <sys/resource.h>

#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "postmaster/postmaster.h"
#include "storage/fd.h"
#include "storage/ipc.h"
#include "storage/pmsignal.h"
#include "tls/tls.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#define MAX_EVENTS			256

/*
 * Handshakes that go on in one turn of the loop: each may take a millisecond,
 * and all others wait for it.
 */
#define MAX_HANDSHAKES		2

/* While there is no pooler, and while connections are being closed; ms. */
#define TICK				100

/*
 * After SIGTERM, if the server does not shut down: the time that backends, which
 * may have got it as well, have to say good-bye to their clients.
 */
#define GRACE_MS			2000

/* Descriptors that are no client's. */
#define OTHER_DESCRIPTORS	200

/* Errors of connections. */
#define LOGGED_PER_SECOND	10

PGDLLEXPORT void pooler_tls_main(Datum arg);

TlsProcess	pooler_tls_me;

static sigset_t waiting_mask;	/* while the loop waits */

void
pooler_tls_init(void)
{
	BackgroundWorker worker = {0};

	pooler_tls_context_init();
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS;
	worker.bgw_start_time = BgWorkerStart_PostmasterStart;
	worker.bgw_restart_time = 1;
	snprintf(worker.bgw_type, BGW_MAXLEN, "pooler tls");
	snprintf(worker.bgw_library_name, BGW_MAXLEN, "pooler");
	snprintf(worker.bgw_function_name, BGW_MAXLEN, "pooler_tls_main");
	for (int i = 0; i < pooler_tls_workers_in_force(); i++)
	{
		snprintf(worker.bgw_name, BGW_MAXLEN, "pooler tls %d", i + 1);
		worker.bgw_main_arg = Int32GetDatum(i);
		RegisterBackgroundWorker(&worker);
	}
}

PoolerClient *
pooler_tls_client(const TlsConnection *conn)
{
	PoolerClient *client;

	if (pooler_tls_me.left_behind)
		return NULL;
	client = &pooler_clients[conn->client];
	return pooler_client_gen(client) == conn->gen ? client : NULL;
}

bool
pooler_tls_watch(int epoll_fd, int op, int fd, uint32 events, uint64 data)
{
	struct epoll_event ev = {.events = events,.data.u64 = data};

	return epoll_ctl(epoll_fd, op, fd, &ev) == 0;
}

/*---------------------------------------------------------------------------
 * logging
 *---------------------------------------------------------------------------
 */

bool
pooler_tls_may_log(void)
{
	static TimestampTz period;
	static int	logged;

	if (pooler_tls_me.now - period > USECS_PER_SEC)
	{
		period = pooler_tls_me.now;
		logged = 0;
	}
	return logged++ < LOGGED_PER_SECOND;
}

void
pooler_tls_log_begin(const TlsConnection *conn)
{
	static Port port;
	PoolerClient *client = pooler_tls_client(conn);

	memset(&port, 0, sizeof(port));
	port.sock = PGINVALID_SOCKET;
	port.remote_host = "";
	port.remote_port = "";
	if (client != NULL)
	{
		pooler_address_expand(&port.raddr, &client->raddr);
		pooler_address_expand(&port.laddr, &client->laddr);
		port.remote_host = client->host;
		port.remote_port = client->port;
	}
	MyProcPort = &port;
}

void
pooler_tls_log_end(void)
{
	MyProcPort = NULL;
}

/*---------------------------------------------------------------------------
 * start and end
 *---------------------------------------------------------------------------
 */

static void
relay_exit(int code, Datum arg)
{
	pooler_tls_passphrase_forget();
	pg_atomic_write_u32(&pooler_tls_me.shared->state, POOLER_TLS_STARTING);
	pg_atomic_write_u32(&pooler_tls_me.shared->connections, 0);
	pg_atomic_write_u32(&pooler_tls_me.shared->leaving, 0);
	pg_atomic_write_u32(&pooler_tls_me.shared->pid, 0);
}

/* A client takes two descriptors here; says how many there can be. */
static void
set_capacity(void)
{
	uint64		wanted = (uint64) pooler_shared->nclients * 2 + OTHER_DESCRIPTORS;
	struct rlimit limit;
	uint64		clients;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		ereport(ERROR, (errmsg("getrlimit failed: %m")));
	if (limit.rlim_cur != RLIM_INFINITY && limit.rlim_cur < wanted)
	{
		limit.rlim_cur = limit.rlim_max == RLIM_INFINITY ? wanted :
			Min(limit.rlim_max, wanted);
		if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
			ereport(ERROR, (errmsg("could not raise the limit on open files: %m")));
	}
	clients = limit.rlim_cur == RLIM_INFINITY ? wanted : limit.rlim_cur;
	clients = (Max(clients, OTHER_DESCRIPTORS) - OTHER_DESCRIPTORS) / 2;
	pg_atomic_write_u32(&pooler_tls_me.shared->capacity,
						(uint32) Min(clients, (uint64) pooler_shared->nclients));
	if (pooler_tls_me.index == 0 &&
		clients * pooler_tls_workers_in_force() < (uint64) pooler_shared->nclients)
		ereport(WARNING,
				(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
				 errmsg("the limit on open files is too low for %d clients of the pooler by TLS, only %llu will be let in",
						pooler_max_client_conn,
						(unsigned long long) clients * pooler_tls_workers_in_force()),
				 errhint("Raise the limit on open files of the server (ulimit -n), or pooler.tls_workers.")));
}

static void
block_signals(void)
{
	sigset_t	blocked;

	sigemptyset(&blocked);
	sigaddset(&blocked, SIGHUP);
	sigaddset(&blocked, SIGTERM);
	sigprocmask(SIG_BLOCK, &blocked, &waiting_mask);
	sigdelset(&waiting_mask, SIGHUP);
	sigdelset(&waiting_mask, SIGTERM);
}

static void
relay_startup(int index)
{
	PoolerTlsRelay *shared = &pooler_shared->tls_relays[index];

	pooler_tls_me.index = index;
	pooler_tls_me.shared = shared;
	pooler_tls_me.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	pooler_tls_me.handshakes_fd = epoll_create1(EPOLL_CLOEXEC);
	if (pooler_tls_me.epoll_fd < 0 || pooler_tls_me.handshakes_fd < 0)
		ereport(ERROR, (errmsg("epoll_create1 failed: %m")));
	if (!pooler_tls_watch(pooler_tls_me.epoll_fd, EPOLL_CTL_ADD,
						  postmaster_alive_fds[POSTMASTER_FD_WATCH], EPOLLIN,
						  TLS_EVENT_POSTMASTER) ||
		!pooler_tls_watch(pooler_tls_me.epoll_fd, EPOLL_CTL_ADD,
						  pooler_tls_me.handshakes_fd, EPOLLIN,
						  TLS_EVENT_HANDSHAKES))
		ereport(ERROR, (errmsg("epoll_ctl failed: %m")));

	/*
	 * OpenSSL takes and gives back 17 kB for each record: they must not come
	 * from the system every time.
	 */
	(void) mallopt(M_TRIM_THRESHOLD, 4 * 1024 * 1024);
	(void) mallopt(M_MMAP_THRESHOLD, 256 * 1024);

	set_capacity();
	pg_atomic_write_u32(&shared->connections, 0);
	pg_atomic_write_u32(&shared->leaving, 0);
	pg_atomic_write_u32(&shared->state, POOLER_TLS_STARTING);
	pg_atomic_write_u32(&shared->pid, MyProcPid);
	before_shmem_exit(relay_exit, (Datum) 0);
	pooler_tls_context_load(true);
}

/*---------------------------------------------------------------------------
 * the loop
 *---------------------------------------------------------------------------
 */

static void
go_on_with_handshakes(void)
{
	struct epoll_event events[MAX_HANDSHAKES];
	int			n = epoll_wait(pooler_tls_me.handshakes_fd, events,
							   MAX_HANDSHAKES, 0);

	for (int i = 0; i < n; i++)
		pooler_tls_event(events[i].data.u64, events[i].events);
}

static void
handle_events(const struct epoll_event *events, int n)
{
	bool		handshakes = false;

	for (int i = 0; i < n; i++)
	{
		uint64		data = events[i].data.u64;

		if (data >= TLS_EVENT_SPECIALS)
			pooler_tls_event(data, events[i].events);
		else if (data == TLS_EVENT_LINK)
			pooler_tls_link_event(events[i].events);
		else if (data == TLS_EVENT_HANDSHAKES)
			handshakes = true;
		else if (data == TLS_EVENT_PASSPHRASE)
			pooler_tls_passphrase_event();
		else if (data == TLS_EVENT_POSTMASTER)
			proc_exit(1);
	}
	if (handshakes)
		go_on_with_handshakes();
	pooler_tls_free_dead();
}

static void
handle_signals(void)
{
	static TimestampTz stop_at = 0;

	if (ConfigReloadPending)
	{
		ConfigReloadPending = false;
		ProcessConfigFile(PGC_SIGHUP);
		pooler_tls_context_load(false);
	}
	if (!ShutdownRequestPending)
		return;
	pg_atomic_write_u32(&pooler_tls_me.shared->state, POOLER_TLS_STARTING);
	if (pooler_tls_connections() > 0 && pooler_tls_leave_behind())
		proc_exit(1);
	if (stop_at == 0)
		stop_at = TimestampTzPlusMilliseconds(pooler_tls_me.now, GRACE_MS);
	if (pooler_tls_connections() > 0 && pooler_tls_me.now < stop_at)
		return;
	pooler_tls_close_all();
	proc_exit(1);				/* 0 would mean never to start again */
}

static int
timeout_of_turn(bool closing)
{
	int			passphrase = pooler_tls_passphrase_tick();

	if (closing || ShutdownRequestPending)
		return TICK;
	if (!pooler_tls_link_is_up() && pooler_tls_context() != NULL)
		return TICK;
	return passphrase;
}

static void
tend(void)
{
	if (ConfigReloadPending || ShutdownRequestPending)
		handle_signals();
	if (!pooler_tls_link_is_up() && pooler_tls_context() != NULL &&
		!ShutdownRequestPending)
		pooler_tls_link_tick();
}

void
pooler_tls_loop(void)
{
	MemoryContext turn = AllocSetContextCreate(TopMemoryContext, "pooler tls turn",
											   ALLOCSET_DEFAULT_SIZES);
	struct epoll_event events[MAX_EVENTS];
	bool		closing = false;

	while (!pooler_tls_me.left_behind || pooler_tls_connections() > 0)
	{
		int			n;

		n = epoll_pwait(pooler_tls_me.epoll_fd, events, MAX_EVENTS,
						timeout_of_turn(closing), &waiting_mask);
		if (n < 0 && errno != EINTR)
			ereport(ERROR, (errmsg("epoll_pwait failed: %m")));
		MemoryContextSwitchTo(turn);
		MemoryContextReset(turn);
		pooler_tls_me.now = GetCurrentTimestamp();
		handle_events(events, Max(n, 0));
		if (!pooler_tls_me.left_behind)
			tend();
		closing = pooler_tls_closing_tick();
		pooler_tls_free_dead();
	}
}

void
pooler_tls_main(Datum arg)
{
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, SignalHandlerForShutdownRequest);
	pqsignal(SIGINT, SIG_IGN);	/* there is nothing to cancel */
	BackgroundWorkerUnblockSignals();
	block_signals();
	pooler_tls_me.now = GetCurrentTimestamp();
	relay_startup(DatumGetInt32(arg));
	pooler_tls_loop();
}

#endif							/* USE_OPENSSL */
