/*-------------------------------------------------------------------------
 *
 * main.c
 *	  The HTTP worker: start, loop, end.
 *
 * Runs in: the HTTP worker, a process of its own that only reads shared memory,
 * so that nothing that is asked of it, and nothing that goes wrong here, can
 * keep the pooler or a backend from its work.
 *
 * It takes no lock, it has the lowest claim to the processor, and it uses at
 * most a hundredth of one: a flood of requests is answered as slowly as that takes.
 *
 * An error that gets as far as this loop ends the worker with exit code 1;
 * the postmaster then starts it again.
 *
 *-------------------------------------------------------------------------
 */
#include "metrics/internal.h"

#include <sched.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "metrics/metrics.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "shared/guc.h"
#include "shared/shmem.h"
#include "storage/ipc.h"
#include "utils/guc.h"
#include "utils/timestamp.h"

#define TICK_MS			1000
#define NICENESS		10

/*
 * The share of one processor that the worker may use, and what it may use at
 * once if it has used none for a while.
 */
#define CPU_SHARE		1		/* percent */
#define CPU_SAVED_US	50000

#define MAX_EVENTS		64
#define EVENT_HTTP		UINT64_MAX	/* else the number of a listener */

typedef struct Budget
{
	int64		wall_us;		/* when it was looked at last */
	int64		cpu_us;
	int64		left_us;		/* negative: used too much */
} Budget;

PGDLLEXPORT void pooler_http_main(Datum arg);

static WaitEventSet *wait_set;
static uint32 wait_event;
static int	epoll_fd;
static Budget budget;
static bool running;			/* is there an HTTP daemon? */
static bool full;				/* of connections: listeners are paused */
static TimestampTz next_tick;

void
pooler_http_register(void)
{
	BackgroundWorker worker = {0};

	worker.bgw_flags = BGWORKER_SHMEM_ACCESS;
	/* at once, to be able to say that the pooler does not run yet */
	worker.bgw_start_time = BgWorkerStart_PostmasterStart;
	worker.bgw_restart_time = 1;
	snprintf(worker.bgw_name, BGW_MAXLEN, "pooler http");
	snprintf(worker.bgw_type, BGW_MAXLEN, "pooler http");
	snprintf(worker.bgw_library_name, BGW_MAXLEN, "pooler");
	snprintf(worker.bgw_function_name, BGW_MAXLEN, "pooler_http_main");
	RegisterBackgroundWorker(&worker);
}

/*---------------------------------------------------------------------------
 * processor time
 *---------------------------------------------------------------------------
 */

static int64
clock_us(clockid_t clock)
{
	struct timespec t;

	if (clock_gettime(clock, &t) < 0)
		ereport(ERROR, (errmsg("clock_gettime failed: %m")));
	return (int64) t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void
budget_look(void)
{
	int64		wall = clock_us(CLOCK_MONOTONIC);
	int64		cpu = clock_us(CLOCK_PROCESS_CPUTIME_ID);

	budget.left_us += (wall - budget.wall_us) * CPU_SHARE / 100 -
		(cpu - budget.cpu_us);
	budget.left_us = Min(budget.left_us, CPU_SAVED_US);
	budget.wall_us = wall;
	budget.cpu_us = cpu;
}

void
pooler_http_charge(int64 us)
{
	budget.left_us -= us;
}

/* How long to do nothing, in ms. */
static long
budget_pause(void)
{
	budget_look();
	if (budget.left_us >= 0)
		return 0;
	return Min((long) (-budget.left_us / 10 / CPU_SHARE) + 1, TICK_MS);
}

/*---------------------------------------------------------------------------
 * on and off
 *---------------------------------------------------------------------------
 */

static void
start(void)
{
	struct epoll_event ev = {.events = EPOLLIN,.data.u64 = EVENT_HTTP};
	int			fd;

	fd = pooler_http_start();
	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0)
		ereport(ERROR, (errmsg("epoll_ctl failed: %m")));
	running = true;
	full = false;
	next_tick = GetCurrentTimestamp();
	pooler_http_series_begin();
}

/* Closing a descriptor takes it out of the epoll. */
static void
stop(void)
{
	if (running)
		pooler_http_stop();
	pooler_http_listen_stop();
	running = false;
}

/* Connections to an address or a port that is no longer served end. */
static void
reload(void)
{
	int			port = pooler_http_port;
	char	   *addresses = pstrdup(pooler_http_listen_addresses);

	ProcessConfigFile(PGC_SIGHUP);
	pooler_http_forget();
	if (port == pooler_http_port &&
		strcmp(addresses, pooler_http_listen_addresses) == 0)
		return;
	stop();
	if (port != 0 && pooler_http_port == 0)
		ereport(LOG, (errmsg("pooler has stopped listening for HTTP")));
	if (pooler_http_port != 0)
		start();
}

/*---------------------------------------------------------------------------
 * the loop
 *---------------------------------------------------------------------------
 */

static void
tick(TimestampTz now)
{
	next_tick = TimestampTzPlusMilliseconds(now, TICK_MS);
	pooler_http_listen(epoll_fd);
	pooler_http_close_overdue(now, full);
	if (!full)
		pooler_http_listen_pause(false);
	pooler_http_series_tick(now);
}

static void
handle_events(void)
{
	struct epoll_event events[MAX_EVENTS];
	int			n = epoll_wait(epoll_fd, events, MAX_EVENTS, 0);

	for (int i = 0; i < n; i++)
	{
		if (events[i].data.u64 != EVENT_HTTP && pooler_http_has_room())
			pooler_http_listen_event((int) events[i].data.u64,
									 pooler_http_accept);
	}
	pooler_http_run();
	if (full != !pooler_http_has_room())
	{
		full = !full;
		pooler_http_listen_pause(full);
	}
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
		reload();
	}
}

/* In ms; -1: until something happens. */
static long
time_to_wait(void)
{
	TimestampTz now = GetCurrentTimestamp();
	long		library;
	long		own;

	if (!running)
		return -1;
	if (next_tick > TimestampTzPlusMilliseconds(now, TICK_MS))
		next_tick = now;		/* the clock was set back */
	own = TimestampDifferenceMilliseconds(now, next_tick);
	library = pooler_http_timeout();
	return library < 0 ? own : Min(library, own);
}

/* Whatever the budget, the postmaster is listened to. */
static void
wait_for_something(long pause)
{
	WaitEvent	event;

	if (pause > 0)
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 pause, wait_event);
	else
		(void) WaitEventSetWait(wait_set, time_to_wait(), &event, 1, wait_event);
	ResetLatch(MyLatch);
	handle_interrupts();
}

static void
serve(void)
{
	TimestampTz now = GetCurrentTimestamp();

	if (now >= next_tick)
		tick(now);
	handle_events();
}

/* Others give way neither to our share of the processor nor to our waking up. */
static void
lower_priority(void)
{
	struct sched_param param = {0};

	if (setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + NICENESS) < 0 ||
		sched_setscheduler(0, SCHED_BATCH, &param) < 0)
		ereport(LOG, (errmsg("could not lower the priority of the process: %m")));
}

void
pooler_http_main(Datum arg)
{
	MemoryContext context = AllocSetContextCreate(TopMemoryContext, "pooler http turn",
												  ALLOCSET_DEFAULT_SIZES);

	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, SignalHandlerForShutdownRequest);
	pqsignal(SIGINT, SIG_IGN);	/* there is nothing to cancel */
	BackgroundWorkerUnblockSignals();
	lower_priority();

	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (epoll_fd < 0)
		ereport(ERROR, (errmsg("epoll_create1 failed: %m")));
	wait_event = pooler_wait_event("PoolerHttp");
	wait_set = pooler_create_wait_event_set(3);
	AddWaitEventToSet(wait_set, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, NULL);
	AddWaitEventToSet(wait_set, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, NULL, NULL);
	AddWaitEventToSet(wait_set, WL_SOCKET_READABLE, epoll_fd, NULL, NULL);
	budget_look();
	if (pooler_http_port != 0)
		start();
	for (;;)
	{
		long		pause = budget_pause();

		/* what outlives a turn says so where it is allocated */
		MemoryContextSwitchTo(context);
		MemoryContextReset(context);
		wait_for_something(pause);
		if (running && pause == 0)
			serve();
	}
}
