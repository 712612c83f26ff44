/*-------------------------------------------------------------------------
 *
 * main.c
 *	  The pooler worker: start, loop, end.
 *
 * Runs in: the pooler.  One turn of the loop waits for events, handles them
 * in the order listener, clients, backends as they come, and every now and
 * then does what is due by time (a "tick").  It must not block.
 *
 * An error that gets as far as this loop ends the worker with exit code 1;
 * the postmaster then starts it again.  Errors while serving one client are
 * caught where that client is served.
 *
 *-------------------------------------------------------------------------
 */
#include "worker/internal.h"

#include <dirent.h>
#include <sys/resource.h>
#include <unistd.h>

#include "access/xact.h"
#include "access/xlog.h"
#include "auth/ident.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "postmaster/postmaster.h"
#include "shared/evict.h"
#include "shared/stopping.h"
#include "storage/fd.h"
#include "storage/ipc.h"
#include "storage/procsignal.h"
#include "storage/sinval.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/syscache.h"
#include "worker/admin.h"
#include "worker/parameters.h"
#include "worker/tally.h"
#include "worker/tls.h"
#include "worker/worker.h"

/* Ticks come at least this often, in ms, and more often while draining. */
#define TICK_LONG		1000
#define TICK_SHORT		100

/* How many times in a row events are taken without looking at the latch. */
#define MAX_ROUNDS		16
#define MAX_EVENTS		256

PGDLLEXPORT void pooler_worker_main(Datum arg);

WorkerState pooler_worker;

static WaitEventSet *wait_set;
static TimestampTz next_tick;
static bool catalogs_changed;

void
pooler_worker_register(void)
{
	BackgroundWorker worker = {0};

	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	/* on a standby as soon as it takes queries; it stays at promotion */
	worker.bgw_start_time = BgWorkerStart_ConsistentState;
	worker.bgw_restart_time = 1;
	snprintf(worker.bgw_name, BGW_MAXLEN, "pooler");
	snprintf(worker.bgw_type, BGW_MAXLEN, "pooler");
	snprintf(worker.bgw_library_name, BGW_MAXLEN, "pooler");
	snprintf(worker.bgw_function_name, BGW_MAXLEN, "pooler_worker_main");
	RegisterBackgroundWorker(&worker);
}

bool
pooler_worker_watch(int op, int fd, uint32 events, uint64 data)
{
	struct epoll_event ev = {.events = events,.data.u64 = data};

	return epoll_ctl(pooler_worker.epoll_fd, op, fd, &ev) == 0;
}

void
pooler_worker_tick_within(int ms)
{
	TimestampTz at = TimestampTzPlusMilliseconds(pooler_worker.now, ms);

	if (at < next_tick)
		next_tick = at;
}

static void
catalog_changed(Datum arg, int cacheid, uint32 hashvalue)
{
	catalogs_changed = true;
	pooler_parameters_outdate();
}

static int
highest_descriptor(void)
{
	DIR		   *dir = opendir("/proc/self/fd");
	struct dirent *entry;
	int			highest = 0;

	if (dir == NULL)
		ereport(ERROR, (errmsg("could not open directory \"%s\": %m", "/proc/self/fd")));
	while ((entry = readdir(dir)) != NULL)
		highest = Max(highest, atoi(entry->d_name));
	closedir(dir);
	return highest;
}

/*
 * A client's descriptor has the same number in every process, so it has to
 * lie above whatever else any of them may open.  Raises the soft limit on open
 * files to what is needed; if even the hard limit is too low, fewer clients
 * are let in.
 */
static void
set_descriptor_range(void)
{
	struct rlimit limit;
	int			base;
	rlim_t		wanted;
	int			fits;

	/*
	 * Every process has what it inherited and up to max_files_per_process
	 * more (18 does not count the former among the latter), the worker its
	 * control sockets, and its end of each probe, instead.
	 */
	base = highest_descriptor() + 1 + max_files_per_process +
		2 * pooler_shared->nbackends + POOLER_MAX_REQUESTS + 256;
	base = (base + 63) / 64 * 64;

	wanted = (rlim_t) base + pooler_shared->nclients;
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		ereport(ERROR, (errmsg("getrlimit failed: %m")));
	if (limit.rlim_cur != RLIM_INFINITY && limit.rlim_cur < wanted)
	{
		if (limit.rlim_max == RLIM_INFINITY || limit.rlim_max >= wanted)
			limit.rlim_cur = wanted;
		else
			limit.rlim_cur = limit.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
			ereport(ERROR, (errmsg("could not raise the limit on open files: %m")));
	}

	fits = pooler_shared->nclients;
	if (limit.rlim_cur != RLIM_INFINITY && limit.rlim_cur < wanted)
		fits = (int) limit.rlim_cur - base;
	if (fits <= POOLER_EXTRA_CLIENTS)
		ereport(FATAL,
				(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
				 errmsg("the limit on open files is too low for the pooler"),
				 errdetail("The limit is %lu, at least %d are needed.",
						   (unsigned long) limit.rlim_cur,
						   base + POOLER_EXTRA_CLIENTS + 1),
				 errhint("Raise the limit on open files of the server (ulimit -n), or lower max_files_per_process.")));
	if (fits < pooler_shared->nclients)
		ereport(WARNING,
				(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
				 errmsg("the limit on open files is too low for %d clients of the pooler, only %d will be let in",
						pooler_max_client_conn, fits - POOLER_EXTRA_CLIENTS),
				 errdetail("The limit is %lu, %lu are needed.",
						   (unsigned long) limit.rlim_cur, (unsigned long) wanted),
				 errhint("Raise the limit on open files of the server (ulimit -n), or lower pooler.max_client_conn.")));
	pooler_shared->fd_base = base;
	pooler_shared->max_clients = fits - POOLER_EXTRA_CLIENTS;
}

static void
load_rules(int elevel)
{
	PoolerHbaRules *rules = pooler_hba_load(elevel);

	if (!pooler_ident_load())
		ereport(LOG, (errmsg("pg_ident.conf was not loaded by the pooler")));
	if (rules == NULL)
	{
		ereport(LOG, (errmsg("pg_hba.conf was not loaded by the pooler")));
		return;
	}
	pooler_hba_free((PoolerHbaRules *) pooler_worker.rules);
	pooler_worker.rules = rules;
}

/*
 * On the way out, whatever the reason: no backend takes another client, and
 * every client that no backend is working for is told.
 */
static void
worker_exit(int code, Datum arg)
{
	pg_atomic_write_u32(&pooler_shared->epoch, pooler_worker.epoch + 1);
	pg_memory_barrier();
	pooler_client_shutdown_all();
	pooler_listener_stop();
	pooler_tls_worker_exit();
	pooler_shared->worker_pid = 0;
	SpinLockAcquire(&pooler_shared->evict_mutex);
	pooler_shared->worker_latch = NULL;
	SpinLockRelease(&pooler_shared->evict_mutex);
	pooler_requests_exit();
}

static void
worker_startup(void)
{
	uint32		epoch = pg_atomic_read_u32(&pooler_shared->epoch);

	pooler_worker.now = GetCurrentTimestamp();
	pooler_worker.epoch = (epoch | 1) + (epoch & 1 ? 2 : 0);
	pooler_worker.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (pooler_worker.epoll_fd < 0)
		ereport(ERROR, (errmsg("epoll_create1 failed: %m")));
	pooler_worker.defaults_gen = pg_atomic_read_u32(&pooler_shared->defaults_gen);
	set_descriptor_range();

	pooler_pool_startup();
	pooler_backend_startup();
	pooler_client_startup();
	pooler_overrun_startup();
	pooler_leak_startup();
	pooler_stall_startup();
	pooler_report_startup();
	pooler_quit_startup();
	pooler_tls_worker_startup();

	CacheRegisterSyscacheCallback(AUTHOID, catalog_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(AUTHMEMROLEMEM, catalog_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(DATABASEOID, catalog_changed, (Datum) 0);
	StartTransactionCommand();
	pooler_auth_startup();
	CommitTransactionCommand();
	load_rules(LOG);

	pooler_shared->draining = false;
	pooler_shared->worker_pid = MyProcPid;
	SpinLockAcquire(&pooler_shared->evict_mutex);
	pooler_shared->worker_latch = MyLatch;
	SpinLockRelease(&pooler_shared->evict_mutex);
	pooler_shared->worker_started_at = pooler_worker.now;
	pg_memory_barrier();
	pg_atomic_write_u32(&pooler_shared->epoch, pooler_worker.epoch);
	before_shmem_exit(worker_exit, (Datum) 0);
	pooler_requests_startup();
	pooler_admin_startup();
	pooler_listener_start();
}

static void
handle_event(const struct epoll_event *ev)
{
	uint32		index = (uint32) ev->data.u64;
	uint32		gen = (uint32) (ev->data.u64 >> 32) & 0xFFFFFFF;

	switch ((WorkerEventKind) (ev->data.u64 >> 60))
	{
		case WORKER_EVENT_LISTENER:
			pooler_listener_event(index);
			break;
		case WORKER_EVENT_CLIENT:
			pooler_client_event((int) index, gen, ev->events);
			break;
		case WORKER_EVENT_BACKEND:
			pooler_backend_event((int) index, gen, ev->events);
			break;
		case WORKER_EVENT_PROBE:
			pooler_probe_event((int) index, gen);
			break;
		case WORKER_EVENT_WALSENDER:
			pooler_replication_event((int) index, gen);
			break;
		case WORKER_EVENT_TLS:
			pooler_tls_worker_event(index);
			break;
	}
}

/*
 * Takes events as long as there are any, but not for ever: the latch, the
 * postmaster's death and the clock want to be looked at.
 */
static void
handle_events(void)
{
	struct epoll_event events[MAX_EVENTS];

	for (int round = 0; round < MAX_ROUNDS; round++)
	{
		int			n = epoll_wait(pooler_worker.epoll_fd, events, MAX_EVENTS, 0);

		if (n <= 0)
			break;
		pooler_worker.now = GetCurrentTimestamp();
		for (int i = 0; i < n; i++)
			handle_event(&events[i]);
	}
}

/*
 * Promotion changes what is reported to clients at login (in_hot_standby and
 * what depends on it), and no catalog.
 */
static void
watch_for_promotion(void)
{
	static bool in_recovery = true;

	if (in_recovery && !RecoveryInProgress())
	{
		in_recovery = false;
		pooler_parameters_forget();
	}
}

static void
tick(void)
{
	static TimestampTz last_long_tick = 0;

	next_tick = TimestampTzPlusMilliseconds(pooler_worker.now, TICK_LONG);
	pooler_client_tick();
	pooler_login_tick();
	pooler_birth_tick();
	pooler_probe_tick();
	pooler_timeout_tick();
	pooler_leak_tick();
	pooler_pool_tick();
	pooler_console_tick();
	pooler_averages_tick();
	pooler_admin_tick();
	if (pooler_worker.draining)
	{
		pooler_client_close_idle();
		pooler_pool_drain_all();
		if (!pooler_admin_is_shut_down())
			pooler_worker_tick_within(TICK_SHORT);
	}

	if (!TimestampDifferenceExceeds(last_long_tick, pooler_worker.now, TICK_LONG))
		return;
	last_long_tick = pooler_worker.now;
	pooler_backend_tick();
	pooler_tally_tick();
	pooler_listener_start();
	watch_for_promotion();
	pooler_report_tick();

	/* hears of changes in the catalogs, as any transaction does */
	StartTransactionCommand();
	CommitTransactionCommand();
	if (!pooler_worker.draining && pooler_server_is_stopping())
	{
		ereport(LOG, (errmsg("pooler is shutting down with the server")));
		pooler_worker.draining = pooler_shared->draining = true;
		pooler_listener_stop();
	}
}

/* Whose they were is not worth knowing: it happens seldom. */
void
pooler_worker_see_defaults(void)
{
	uint32		gen = pg_atomic_read_u32(&pooler_shared->defaults_gen);

	if (pooler_worker.defaults_gen == gen)
		return;
	pooler_worker.defaults_gen = gen;
	pooler_parameters_forget();
	pooler_pool_replace_all();
	pooler_worker_tick_within(0);
}

static void
handle_interrupts(void)
{
	CHECK_FOR_INTERRUPTS();
	if (ShutdownRequestPending)
		proc_exit(1);			/* 0 would mean never to start again */
	if (ConfigReloadPending)
	{
		ConfigReloadPending = false;
		ProcessConfigFile(PGC_SIGHUP);
		pooler_report_reload();
		load_rules(LOG);
		pooler_parameters_forget();
		pooler_worker.reloads++;
		pooler_worker_tick_within(1);	/* timeouts may be shorter now */
	}
	if (catchupInterruptPending)
		ProcessCatchupInterrupt();
	pooler_worker_see_defaults();
	if (catalogs_changed)
	{
		pooler_parameters_forget();
		catalogs_changed = !pooler_pool_recheck() || !pooler_admin_forget_dropped();
	}
}

static void
worker_loop(void)
{
	uint32		wait_event = pooler_wait_event("PoolerMain");
	MemoryContext turn = AllocSetContextCreate(TopMemoryContext, "pooler turn",
											   ALLOCSET_DEFAULT_SIZES);

	for (;;)
	{
		WaitEvent	event;
		long		timeout;

		/* what outlives a turn says so where it is allocated */
		MemoryContextSwitchTo(turn);
		MemoryContextReset(turn);
		pooler_worker.now = GetCurrentTimestamp();
		if (next_tick > TimestampTzPlusMilliseconds(pooler_worker.now, TICK_LONG))
			next_tick = pooler_worker.now;	/* the clock was set back */
		timeout = TimestampDifferenceMilliseconds(pooler_worker.now, next_tick);
		if (timeout == 0)
		{
			tick();
			timeout = TimestampDifferenceMilliseconds(pooler_worker.now,
													  next_tick);
		}
		(void) WaitEventSetWait(wait_set, timeout, &event, 1, wait_event);
		ResetLatch(MyLatch);
		handle_interrupts();
		MemoryContextSwitchTo(turn);
		handle_events();
		if (pooler_evict_any())
			pooler_pool_evict();
		if (pooler_request_any())
			pooler_requests_serve();
	}
}

void
pooler_worker_main(Datum arg)
{
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, SignalHandlerForShutdownRequest);
	pqsignal(SIGINT, SIG_IGN);	/* there is nothing to cancel */
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnection(NULL, NULL, 0);

	worker_startup();

	wait_set = pooler_create_wait_event_set(3);
	AddWaitEventToSet(wait_set, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, NULL);
	AddWaitEventToSet(wait_set, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, NULL, NULL);
	AddWaitEventToSet(wait_set, WL_SOCKET_READABLE, pooler_worker.epoll_fd,
					  NULL, NULL);
	worker_loop();
}
