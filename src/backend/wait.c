/*-------------------------------------------------------------------------
 *
 * wait.c
 *	  Between two commands: give the client back, take the next one, or wait.
 *
 * Runs in: pool backends, inside PqCommMethods->flush after ReadyForQuery.
 * PostgresMain believes that it is still sending; when we return it reads the
 * next command from MyProcPort->sock, whoever's socket that is by then.
 *
 *	RUN <---------------------------------------------+
 *	 |  command ended                                 |
 *	 +--> LINGER ---- its client sent a command ------+
 *	 |      |  claimed, client left, somebody waits   |
 *	 |      v                                         |
 *	 +--> TAKE ------ popped a client, attached it ---+
 *	 |    ^ |  queue is empty                         |
 *	 |    | v                                         |
 *	 |    | FREE ---- claimed and given a client -----+
 *	 |    | client left                               |
 *	 +--> PINNED ---- its client sent a command ------+
 *
 * An idle backend has duties (signals, statistics, invalidations) that
 * PostgresMain fulfils only while it reads a command: they are ours here, see
 * serve_interrupts().  No ERROR may leave this file, because PostgresMain would
 * send another ReadyForQuery: errors become FATAL.
 *
 *-------------------------------------------------------------------------
 */
#include "backend/internal.h"
#include "backend/delegated.h"
#include "backend/settings.h"

#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "access/xact.h"
#include "commands/async.h"
#include "pgstat.h"
#include "postmaster/interrupt.h"
#include "proto/frame.h"
#include "shared/debug_point.h"
#include "shared/guc.h"
#include "shared/hold.h"
#include "shared/pin.h"
#include "storage/ipc.h"
#include "storage/sinval.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

typedef enum Next
{
	NEXT_RUN,
	NEXT_LINGER,
	NEXT_PINNED,
	NEXT_TAKE,
	NEXT_FREE
} Next;

static TimestampTz busy_since;
static struct config_generic *idle_session_timeout;

static PoolerFrameVerdict peek(void);

/*---------------------------------------------------------------------------
 * our word
 *---------------------------------------------------------------------------
 */

static void
set_word(PoolerBackendState state)
{
	uint64		w = pooler_backend_word(state, POOLER_NO_CLIENT, 0, 0);

	if (pooler_me.client >= 0)
		w = pooler_backend_word(state, pooler_me.client, pooler_me.client_gen,
								pooler_me.client_serial);
	pg_atomic_write_u64(&pooler_me.shared->word, w);
}

/* Moves the word unless somebody else has moved it. */
static bool
move_word(PoolerBackendState from, PoolerBackendState to)
{
	uint64		w = pg_atomic_read_u64(&pooler_me.shared->word);

	return pooler_backend_word_state(w) == from &&
		pg_atomic_compare_exchange_u64(&pooler_me.shared->word, &w,
									   pooler_backend_word_in(w, to));
}

static PoolerBackendState
my_state(void)
{
	return pooler_backend_word_state(pg_atomic_read_u64(&pooler_me.shared->word));
}

static bool
worker_has_ended(void)
{
	return pg_atomic_read_u32(&pooler_shared->epoch) != pooler_me.epoch;
}

/*---------------------------------------------------------------------------
 * the end of this process
 *---------------------------------------------------------------------------
 */

/*
 * The slot tells what we leave behind; the pooler acts on it when the control
 * socket is closed.  Once the pooler has ended, nobody else shuts the
 * client's socket, of which other backends hold copies.
 */
static void
on_exit_report(int code, Datum arg)
{
	uint64		w;

	if (pooler_me.shared->pid != MyProcPid)
		return;					/* the slot is somebody else's by now */
	pooler_tally_end(code);
	for (;;)
	{
		w = pg_atomic_read_u64(&pooler_me.shared->word);
		if (pooler_backend_word_state(w) == POOLER_BACKEND_CANCELLING &&
			!worker_has_ended())
			pg_usleep(10);
		else if (pg_atomic_compare_exchange_u64(&pooler_me.shared->word, &w,
												pooler_backend_word_in(w, POOLER_BACKEND_DEAD)))
			break;
	}
	if (worker_has_ended() && pooler_me.client >= 0)
		(void) shutdown(MyProcPort->sock, SHUT_RDWR);
}

/* Without a pooler a client has no future here. */
pg_noreturn static void
end_without_pooler(void)
{
	pooler_tally_leaving(POOLER_ENDED_POOLER);
	if (pooler_me.client >= 0 && my_state() != POOLER_BACKEND_CLAIMED)
		ereport(FATAL,
				(errcode(ERRCODE_ADMIN_SHUTDOWN),
				 errmsg("terminating connection because the pooler has ended")));
	proc_exit(0);
}

/*---------------------------------------------------------------------------
 * signals and other duties of an idle backend
 *---------------------------------------------------------------------------
 */

/*
 * This process is about to end, and core to tell the client.  A pooler that
 * ends at the same time claims those who linger and tells their clients: with
 * our word in TAKING it can't, and where it was faster we say nothing.
 */
static void
be_the_one_who_tells(void)
{
	if (!move_word(POOLER_BACKEND_LINGERING, POOLER_BACKEND_TAKING) &&
		my_state() == POOLER_BACKEND_CLAIMED && worker_has_ended())
		whereToSendOutput = DestNone;
}

/*
 * The flags that PostgresMain would look at while it waits for a command;
 * reference: ProcessClientReadInterrupt() and ProcessInterrupts().  A cancel
 * that arrives now is a no-op, as for any idle session.
 */
static void
serve_interrupts(void)
{
	MemoryContext cxt = CurrentMemoryContext;

	QueryCancelPending = false;
	if (my_state() != POOLER_BACKEND_PINNED)
		IdleSessionTimeoutPending = false;
	CheckClientConnectionPending = false;
	ClientConnectionLost = false;
	if (IdleStatsUpdateTimeoutPending)
	{
		IdleStatsUpdateTimeoutPending = false;
		pgstat_report_stat(true);
	}
	if (catchupInterruptPending)
		ProcessCatchupInterrupt();
	if (notifyInterruptPending)
		ProcessNotifyInterrupt(true);
	if (ConfigReloadPending)
	{
		ConfigReloadPending = false;
		ProcessConfigFile(PGC_SIGHUP);
	}
	if (ProcDiePending)
		be_the_one_who_tells();
	CHECK_FOR_INTERRUPTS();
	MemoryContextSwitchTo(cxt);
	if (worker_has_ended())
		end_without_pooler();
	if (my_state() != POOLER_BACKEND_PINNED)
		return;
	if (pg_atomic_read_u32(&pooler_me.shared->demand.reason) != POOLER_END_NONE)
		pooler_ending_pinned(peek() == POOLER_FRAME_READY);
	pooler_ending_pin_timeout();
}

/* Timers that PostgresMain has set for the idle session it thinks it has. */
static void
stop_idle_timers(void)
{
	if (IdleSessionTimeout > 0)
		disable_timeout(IDLE_SESSION_TIMEOUT, false);
	if (client_connection_check_interval > 0)
		disable_timeout(CLIENT_CONNECTION_CHECK_TIMEOUT, false);
}

/*
 * Leaves BUSY.  The pooler may be about to signal us because of the client
 * that we work for: while the word says CANCELLING we wait those
 * microseconds, and where it bears the mark the signal has been sent.  Any
 * system call delivers it; it is meant for the client that is still attached.
 * The word keeps that client until it is given back, whatever the new state:
 * should we die in between, it says whom the pooler has to close.
 */
static void
leave_busy(PoolerBackendState state)
{
	uint64		w = pg_atomic_read_u64(&pooler_me.shared->word);
	uint64		next = pooler_backend_word_in(w, state);

	for (;;)
	{
		if (pooler_backend_word_state(w) == POOLER_BACKEND_CANCELLING)
		{
			if (worker_has_ended())
				break;
			CHECK_FOR_INTERRUPTS();
			SPIN_DELAY();
			w = pg_atomic_read_u64(&pooler_me.shared->word);
			continue;
		}
		if ((w & POOLER_BACKEND_SIGNALLED) != 0)
		{
			(void) getppid();
			QueryCancelPending = false;
			CHECK_FOR_INTERRUPTS();
		}
		if (pg_atomic_compare_exchange_u64(&pooler_me.shared->word, &w, next))
			break;
	}
	pg_memory_barrier();
}

/*---------------------------------------------------------------------------
 * giving a client back
 *---------------------------------------------------------------------------
 */

/* What the client is told that an error has ended, as an ErrorResponse. */
typedef struct Failure
{
	uint8_t		bytes[2048];
	size_t		len;
} Failure;

/*
 * In a PG_CATCH block: logs the error, leaves the transaction, and says in
 * which words the client learns of it.
 */
static void
catch_failure(MemoryContext cxt, Failure *failure)
{
	PoolerWriter w = pooler_writer(failure->bytes, sizeof(failure->bytes));
	PoolerErrorFields error = {.severity = "FATAL"};
	ErrorData  *edata;

	MemoryContextSwitchTo(cxt);
	edata = CopyErrorData();
	EmitErrorReport();
	FlushErrorState();
	AbortCurrentTransaction();
	LWLockReleaseAll();
	HOLD_CANCEL_INTERRUPTS();	/* errfinish() has released it */
	pooler_session_reset();
	error.sqlstate = unpack_sql_state(edata->sqlerrcode);
	error.message = edata->message ? edata->message : "";
	if (strlen(error.message) > sizeof(failure->bytes) / 2)
		edata->message[pg_mbcliplen(edata->message, strlen(edata->message),
									sizeof(failure->bytes) / 2)] = '\0';
	pooler_build_error(&w, &error);
	failure->len = pooler_writer_fits(&w) ? w.len : 0;
	FreeErrorData(edata);
	MemoryContextSwitchTo(cxt);
}

/* Saves what the client carries; false if that failed, which ends it. */
static bool
save_session(Failure *failure)
{
	MemoryContext cxt = CurrentMemoryContext;
	volatile bool ok = true;

	PG_TRY();
	{
		pooler_session_save(pooler_me.client);
	}
	PG_CATCH();
	{
		catch_failure(cxt, failure);
		ok = false;
	}
	PG_END_TRY();
	return ok;
}

/* The client has left: so does what only it could have used. */
static void
clear_session(void)
{
	pooler_session_abandon();
	if (pooler_pins_look() == POOLER_PIN_NONE)
		return;
	pooler_pins_clear();
	pooler_me.shared->counters.resets++;
}

/*
 * Takes leave of the attached client, whose session has been saved or
 * cleared.  Its word still says that it is ours.
 */
static void
let_go(void)
{
	PoolerClient *client = &pooler_clients[pooler_me.client];

	pooler_socket_detach();
	pooler_pins_set(POOLER_PIN_NONE);
	client->last_backend = pooler_me.slot;
	client->state_since = busy_since;
	pooler_me.client = -1;
	pg_write_barrier();
}

/*
 * Gives the client back unread, with something for the pooler to tell it.  The
 * pooler takes it when it reads the message: were its word IDLE before, an
 * event of the client could be handled first, and its command be run.
 */
static void
give_back_with(PoolerControlType type, const void *payload, int len)
{
	PoolerControl frame = {.type = type};

	frame.client = pooler_me.client;
	frame.gen = pooler_me.client_gen;
	frame.payload = len;
	if (worker_has_ended())
		end_without_pooler();
	whereToSendOutput = DestNone;
	let_go();
	if (!pooler_control_send(pooler_me.control, &frame, payload, -1))
		end_without_pooler();
}

/*
 * The client's word says IDLE before the pooler is asked to watch it: as soon
 * as it does, somebody else may have the client.  From the store to the watch
 * nothing may end this process, or nobody would ever watch it.  A client that
 * has gone is given back, too, for the pooler to close it.
 */
static void
give_back(bool gone)
{
	int			slot = pooler_me.client;
	uint32		gen = pooler_me.client_gen;
	Failure		failure;

	if (slot < 0)
		return;
	if (worker_has_ended())
		end_without_pooler();
	whereToSendOutput = DestNone;
	if (gone)
		clear_session();
	else if (!save_session(&failure))
	{
		clear_session();
		give_back_with(POOLER_CONTROL_FAILED, failure.bytes, failure.len);
		return;
	}
	if (worker_has_ended())
		end_without_pooler();	/* saving may have taken long */
	let_go();
	pg_atomic_write_u64(&pooler_clients[slot].word,
						pooler_client_word(POOLER_CLIENT_IDLE, 0, gen,
										   pooler_me.client_serial));
	pooler_debug_point(POOLER_DEBUG_GIVEN_BACK);
	pooler_socket_rearm(slot, gen);
}

/*---------------------------------------------------------------------------
 * talking to the pooler
 *---------------------------------------------------------------------------
 */

static PoolerControl frame;
static char payload[POOLER_MAX_PAYLOAD];

/* A client's descriptor and what came with it. */
static void
keep_client(int fd)
{
	if (fd < 0)
		return;
	pooler_socket_keep(frame.client, frame.gen, fd);
	pooler_attach_remember(frame.client, payload, frame.payload);
}

/* Asks for a client that was popped; false if it is gone. */
static bool
fetch_client(int client, uint32 gen)
{
	PoolerControl request = {.type = POOLER_CONTROL_NEED};
	int			fd;

	request.client = client;
	request.gen = gen;
	if (!pooler_control_send(pooler_me.control, &request, NULL, -1))
		end_without_pooler();
	for (;;)
	{
		switch (pooler_control_receive(pooler_me.control, &frame, payload, &fd))
		{
			case POOLER_CONTROL_RECEIVED:
				QueryCancelPending = false;
				keep_client(fd);
				return frame.type == POOLER_CONTROL_CLIENT;
			case POOLER_CONTROL_CLOSED:
				end_without_pooler();
			case POOLER_CONTROL_AGAIN:
				ResetLatch(MyLatch);
				serve_interrupts();
				(void) pooler_socket_wait(false, PG_WAIT_EXTENSION);
		}
	}
}

/*---------------------------------------------------------------------------
 * taking a client
 *---------------------------------------------------------------------------
 */

static void
count_wait(PoolerClient *client)
{
	if (client->queued_at == 0)
		return;
	pooler_tally_wait(Max(busy_since - client->queued_at, 0));
	client->queued_at = 0;
}

/*
 * Attaches the session; on an error that client gets it, with the SQLSTATE
 * that was raised, and the backend stays.
 */
static bool
attach_session(void)
{
	MemoryContext cxt = CurrentMemoryContext;
	volatile bool ok = true;
	Failure		failure;

	PG_TRY();
	{
		pooler_attach_session(pooler_me.client);
	}
	PG_CATCH();
	{
		catch_failure(cxt, &failure);
		ok = false;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(cxt);
	if (!ok)
		give_back_with(POOLER_CONTROL_FAILED, failure.bytes, failure.len);
	return ok;
}

/* A cancel request that missed an earlier hand-over must not hit this one. */
static void
forget_old_cancel(PoolerClient *client, uint32 serial)
{
	uint32		asked = pg_atomic_read_u32(&client->cancel_serial);

	if (asked != 0 && asked != serial + 1)
		(void) pg_atomic_compare_exchange_u32(&client->cancel_serial, &asked, 0);
}

/*
 * Closes descriptors of clients that have gone since the last time, and
 * forgets what came with them; unless they are too few to be worth the walk.
 */
static void
close_stale(uint32 worth)
{
	uint32		gone = pg_atomic_read_u32(&pooler_shared->clients_gone);

	if (gone - pooler_me.shared->swept < worth)
		return;
	pooler_me.shared->swept = gone;
	pooler_socket_close_stale();
}

/*
 * Makes a popped or given client ours, up to BUSY.  TAKE, and still in
 * TAKING, if it is gone or was given back unread.  RUN without it, and still
 * in TAKING, if PostgresMain has to make or drop an unnamed statement first;
 * then this is called again.
 */
static Next
take(int slot)
{
	PoolerClient *client = &pooler_clients[slot];
	uint64		w = pg_atomic_read_u64(&client->word);
	uint32		gen = pooler_client_word_gen(w);
	uint32		serial = pooler_client_word_serial(w);

	close_stale(100);
	if (!pooler_socket_has(slot, gen) && !fetch_client(slot, gen))
	{
		pooler_me.shared->taking = -1;
		return NEXT_TAKE;
	}
	if (pooler_unnamed_must_prepare(slot, pooler_socket_of(slot)))
	{
		whereToSendOutput = DestRemote;
		pooler_unnamed_prepare();
		return NEXT_RUN;
	}
	busy_since = GetCurrentTimestamp();
	pooler_me.client = slot;
	pooler_me.client_gen = gen;
	pooler_me.client_serial = serial;
	pg_atomic_write_u32(&pooler_me.shared->end_reason, POOLER_END_NONE);
	forget_old_cancel(client, serial);
	pooler_socket_attach_fd(pooler_socket_of(slot));
	if (worker_has_ended())
	{
		whereToSendOutput = DestRemote;
		end_without_pooler();
	}
	if (!attach_session())
	{
		pooler_me.shared->taking = -1;
		return NEXT_TAKE;
	}
	whereToSendOutput = DestRemote;
	client->state_since = busy_since;
	pooler_me.shared->state_since = busy_since;
	count_wait(client);
	pooler_me.shared->counters.handovers++;

	/* what came until now was for others; what comes from now on is for it */
	QueryCancelPending = false;
	set_word(POOLER_BACKEND_BUSY);
	pooler_me.shared->taking = -1;
	pooler_debug_point(POOLER_DEBUG_BUSY);

	/* the pooler, seeing that we were not BUSY, left a cancel request to us */
	pg_memory_barrier();
	if (pg_atomic_read_u32(&client->cancel_serial) == serial + 1)
	{
		pg_atomic_write_u32(&client->cancel_serial, 0);
		leave_busy(POOLER_BACKEND_TAKING);
		give_back_with(POOLER_CONTROL_CANCELLED, NULL, 0);
		set_word(POOLER_BACKEND_TAKING);
		return NEXT_TAKE;
	}
	return NEXT_RUN;
}

/* Is the pool, or only this backend, being renewed, or paused? */
static bool
is_drained(void)
{
	return pooler_me.shared->drain_gen != pg_atomic_read_u32(&pooler_me.pool->drain_gen);
}

/* Is it this one, or perhaps this one, that has to go? */
static bool
may_have_to_go(void)
{
	return is_drained() || pg_atomic_read_u32(&pooler_me.pool->surplus) > 0;
}

/* If so, and there are too many, it counts as one that went. */
static bool
has_to_go(void)
{
	PoolerPool *pool = pooler_me.pool;
	uint32		surplus = pg_atomic_read_u32(&pool->surplus);

	if (is_drained())
	{
		pooler_tally_leaving(pooler_me.shared->end_hint == POOLER_ENDED_LIFETIME ?
							 POOLER_ENDED_LIFETIME : POOLER_ENDED_DRAINED);
		return true;
	}
	while (surplus > 0)
	{
		if (pg_atomic_compare_exchange_u32(&pool->surplus, &surplus, surplus - 1))
		{
			pooler_tally_leaving(POOLER_ENDED_SURPLUS);
			return true;
		}
	}
	return false;
}

static Next
take_next(void)
{
	int			client;

	if (has_to_go())
		proc_exit(0);
	if (!pooler_queue_maybe(pooler_me.pool))
		return NEXT_FREE;
	client = pooler_queue_pop(pooler_me.pool, pooler_me.slot,
							  POOLER_CLIENT_BACKEND, pooler_me.epoch);
	if (client < 0)
		return NEXT_FREE;
	pooler_debug_point(POOLER_DEBUG_POPPED);
	return take(client);
}

/*---------------------------------------------------------------------------
 * orders of the pooler, which has claimed us
 *---------------------------------------------------------------------------
 */

static Next
attach_as_told(int fd)
{
	PoolerClient *client = &pooler_clients[frame.client];
	uint64		w = pooler_client_word(POOLER_CLIENT_CLAIMED, pooler_me.slot,
									   frame.gen, frame.serial);

	give_back(false);
	keep_client(fd);
	set_word(POOLER_BACKEND_TAKING);

	/* fails if giving back took so long that the pooler has ended meanwhile */
	if (!pg_atomic_compare_exchange_u64(&client->word, &w,
										pooler_client_word(POOLER_CLIENT_BACKEND,
														   pooler_me.slot,
														   frame.gen, frame.serial)))
		end_without_pooler();
	return take(frame.client);
}

static Next
obey(void)
{
	int			fd;

	pooler_debug_point(POOLER_DEBUG_CLAIMED);
	switch (pooler_control_receive(pooler_me.control, &frame, payload, &fd))
	{
		case POOLER_CONTROL_AGAIN:
			return pooler_me.client >= 0 ? NEXT_LINGER : NEXT_FREE;
		case POOLER_CONTROL_CLOSED:
			end_without_pooler();
		case POOLER_CONTROL_RECEIVED:
			break;
	}
	if (worker_has_ended())
		end_without_pooler();
	QueryCancelPending = false;
	switch ((PoolerControlType) frame.type)
	{
		case POOLER_CONTROL_ATTACH:
			return attach_as_told(fd);
		case POOLER_CONTROL_WELCOME:
			pooler_me.pooler_epoll = fd;
			pooler_me.pool = &pooler_pools[pooler_me.shared->pool];
			set_word(POOLER_BACKEND_TAKING);
			return NEXT_TAKE;
		case POOLER_CONTROL_RELEASE:
			set_word(pooler_me.client >= 0 ? POOLER_BACKEND_LINGERING :
					 POOLER_BACKEND_FREE);
			return pooler_me.client >= 0 ? NEXT_LINGER : NEXT_FREE;
		case POOLER_CONTROL_DETACH:
			give_back(false);
			set_word(POOLER_BACKEND_TAKING);
			return NEXT_TAKE;
		case POOLER_CONTROL_EXIT:
			give_back(false);
			pooler_tally_leaving(pooler_me.shared->end_hint);
			proc_exit(0);
		default:
			ereport(FATAL,
					(errcode(ERRCODE_PROTOCOL_VIOLATION),
					 errmsg("unexpected message %d from the pooler", frame.type)));
	}
}

/*---------------------------------------------------------------------------
 * waiting
 *---------------------------------------------------------------------------
 */

/*
 * Sleeps until the pooler or (with_client) the client has something for us.
 * Returns which.  Without a timeout, which would cost a timer for each
 * command: the pooler wakes us when we have been idle for a while and clients
 * have gone whose descriptors we may have.
 */
static PoolerWaitPos
sleep_until(bool with_client, uint32 wait_event)
{
	for (;;)
	{
		PoolerWaitPos pos;

		ResetLatch(MyLatch);
		serve_interrupts();
		pos = pooler_socket_wait(with_client, wait_event);
		if (pos == POOLER_WAIT_CLIENT || pos == POOLER_WAIT_CONTROL)
			return pos;
		close_stale(1);
	}
}

/* What has the client sent?  TERMINATE also if it has closed its end. */
static PoolerFrameVerdict
peek(void)
{
	static uint8_t buf[8192];
	ssize_t		n = recv(MyProcPort->sock, buf, sizeof(buf),
						 MSG_PEEK | MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return POOLER_FRAME_EMPTY;
	if (n <= 0)
		return POOLER_FRAME_TERMINATE;
	return pooler_frame_inspect(buf, n, sizeof(buf)).verdict;
}

/*
 * Anything but a command that is there whole is the pooler's business: it
 * speaks to clients that leave, or talk nonsense.
 */
static bool
has_sent_command(void)
{
	return peek() == POOLER_FRAME_READY;
}

/*
 * On a busy machine the next command is often there before the last one's
 * result has been read by us: then sleeping, and all that goes with it, can be
 * left out.  On an idle one a look is a wasted system call; so the more vain
 * ones in a row, the more of the next are omitted.
 */
static bool
next_command_is_there(void)
{
	static int	omit = 0;
	static int	misses = 0;		/* in a row */

	if (omit > 0)
	{
		omit--;
		return false;
	}
	if (has_sent_command())
	{
		misses = 0;
		return true;
	}
	omit = (1 << misses) - 1;
	misses = Min(misses + 1, 6);
	return false;
}

static void
begin_command(void)
{
	busy_since = GetCurrentTimestamp();
	pooler_me.shared->state_since = busy_since;
	pooler_clients[pooler_me.client].state_since = busy_since;
}

/*
 * Our word says LINGERING (or, by now, CLAIMED).  The barrier after it was
 * written and before the queue is read pairs with the one in
 * pooler_queue_push(): either we see the client there, or the pooler sees us
 * idle.  The same holds for drain_gen, which it raises before it looks for
 * idle backends: a pool that was paused must not keep one.
 */
static Next
linger(void)
{
	pg_memory_barrier();
	if ((pooler_queue_maybe(pooler_me.pool) || is_drained()) &&
		move_word(POOLER_BACKEND_LINGERING, POOLER_BACKEND_TAKING))
	{
		give_back(false);
		set_word(POOLER_BACKEND_TAKING);
		return NEXT_TAKE;
	}
	for (;;)
	{
		if (sleep_until(my_state() == POOLER_BACKEND_LINGERING,
						WAIT_EVENT_CLIENT_READ) == POOLER_WAIT_CONTROL)
			return obey();
		if (my_state() != POOLER_BACKEND_LINGERING)
			continue;			/* claimed: the message is under way */
		if (has_sent_command())
		{
			/* before: who finds us BUSY takes it for the transaction's begin */
			begin_command();
			if (!move_word(POOLER_BACKEND_LINGERING, POOLER_BACKEND_BUSY))
				continue;
			pooler_debug_point(POOLER_DEBUG_RESUMED);
			pooler_me.shared->counters.lingered++;
			return NEXT_RUN;
		}
		if (!move_word(POOLER_BACKEND_LINGERING, POOLER_BACKEND_TAKING))
			continue;
		give_back(false);
		set_word(POOLER_BACKEND_TAKING);
		return NEXT_TAKE;
	}
}

/*
 * The client can't be taken away, and nobody can claim us: we wait for it as
 * any session does, under the same timeout, and serve its notifications.
 * PostgresMain stops the timer when it has the command.  Part of a message is core's
 * to wait for; only the end of the connection, which would end this process
 * there, and nonsense are for the pooler.
 */
static Next
stay_pinned(void)
{
	if (IdleSessionTimeout > 0)
		enable_timeout_after(IDLE_SESSION_TIMEOUT, IdleSessionTimeout);
	for (;;)
	{
		if (sleep_until(true, WAIT_EVENT_CLIENT_READ) == POOLER_WAIT_CONTROL)
		{
			(void) obey();		/* the pooler has ended, or nothing */
			continue;
		}
		switch (peek())
		{
			case POOLER_FRAME_EMPTY:
				break;
			case POOLER_FRAME_READY:
			case POOLER_FRAME_PARTIAL:
			case POOLER_FRAME_STRAY:
				begin_command();
				set_word(POOLER_BACKEND_BUSY);
				return NEXT_RUN;
			default:
				stop_idle_timers();
				set_word(POOLER_BACKEND_TAKING);
				give_back(true);
				set_word(POOLER_BACKEND_TAKING);
				return NEXT_TAKE;
		}
	}
}

static Next
be_free(void)
{
	static uint32 wait_event = 0;

	if (wait_event == 0)
		wait_event = pooler_wait_event("PoolerBackendFree");
	pooler_attach_nobody();
	if (my_state() == POOLER_BACKEND_TAKING)
	{
		pooler_me.shared->state_since = GetCurrentTimestamp();
		set_word(POOLER_BACKEND_FREE);
	}
	pg_memory_barrier();		/* as in linger() */
	if (pooler_me.pool != NULL &&
		(pooler_queue_maybe(pooler_me.pool) || is_drained()) &&
		move_word(POOLER_BACKEND_FREE, POOLER_BACKEND_TAKING))
		return NEXT_TAKE;
	(void) sleep_until(false, wait_event);
	return obey();
}

/*---------------------------------------------------------------------------
 * the end of a command
 *---------------------------------------------------------------------------
 */

/* 'X' may lie behind the last command in libpq's buffer: the client leaves. */
static bool
buffer_says_goodbye(void)
{
	int			c;

	pq_startmsgread();
	c = pq_peekbyte();
	pq_endmsgread();
	return c == 'X';
}

/*
 * The client can't be reached, or wants nothing any more.  What it has sent,
 * here and in the kernel, must not be taken for a command: neither of the
 * next client nor, from the middle of a message, of this one.  The pooler is
 * told by the end of the stream, for which the client may be waiting, too.
 */
static void
end_stream(void)
{
	char		buf[8192];

	pq_startmsgread();
	while (pooler_recv_buffer_has_data())
		(void) pq_getbyte();
	pq_endmsgread();
	(void) shutdown(MyProcPort->sock, SHUT_RDWR);
	while (recv(MyProcPort->sock, buf, sizeof(buf), MSG_DONTWAIT) > 0)
		;
}

/*
 * What is left of a COPY that has failed: core would ignore it and wait for
 * the next message.  Each is read whole, as core would.  False if the client
 * is lost.
 */
static bool
drop_stray_copy(void)
{
	while (pooler_recv_buffer_has_data())
	{
		StringInfoData body;
		int			type;

		pq_startmsgread();
		type = pq_peekbyte();
		if (type != 'd' && type != 'c' && type != 'f')
		{
			pq_endmsgread();
			break;
		}
		(void) pq_getbyte();
		initStringInfo(&body);
		if (pq_getmessage(&body, type == 'd' ? POOLER_FRAME_LARGE_LIMIT :
						  POOLER_FRAME_SMALL_LIMIT) != 0)
			return false;
		pfree(body.data);
	}
	return true;
}

/*
 * While the client has no backend the pooler ends it for being idle.  What
 * stands in postgresql.conf the pooler knows itself, and better: it may change.
 */
static int32
own_idle_session_timeout(void)
{
	if (idle_session_timeout->source <= PGC_S_ARGV)
		return POOLER_SERVERS_OWN;
	if (IdleSessionTimeout > 0 &&
		pg_atomic_read_u32(&pooler_shared->idle_sessions) == 0)
		pg_atomic_write_u32(&pooler_shared->idle_sessions, 1);
	return IdleSessionTimeout;
}

static void
count_transaction(void)
{
	TimestampTz now = GetCurrentTimestamp();

	pooler_tally_transaction(Max(now - busy_since, 0));
	pooler_clients[pooler_me.client].transactions++;
	pooler_clients[pooler_me.client].state_since = now;
	pooler_clients[pooler_me.client].idle_session_timeout = own_idle_session_timeout();
	pooler_me.shared->state_since = now;
	pooler_me.shared->first_command = pg_atomic_read_u32(&pooler_me.shared->command);
	busy_since = now;
}

static Next
after_command(bool lost)
{
	count_transaction();
	pooler_debug_point(POOLER_DEBUG_COMMAND_ENDED);
	if (worker_has_ended())
		end_without_pooler();
	lost = lost || !drop_stray_copy();
	if (!lost && pooler_recv_buffer_has_data())
	{
		/* the client has sent more: bytes in the buffer can't be given back */
		lost = buffer_says_goodbye();
		if (!lost)
		{
			pooler_pins_set(POOLER_PIN_PIPELINE);
			pooler_ending_pin_timeout();
			return NEXT_RUN;
		}
	}
	if (lost)
	{
		end_stream();
		leave_busy(POOLER_BACKEND_TAKING);
		give_back(true);
		set_word(POOLER_BACKEND_TAKING);
		return NEXT_TAKE;
	}
	pooler_pins_set(pooler_pins_look());
	if (pg_atomic_read_u32(&pooler_me.shared->pin) != POOLER_PIN_NONE)
	{
		leave_busy(POOLER_BACKEND_PINNED);
		return NEXT_PINNED;
	}
	if (pooler_queue_maybe(pooler_me.pool) || may_have_to_go() ||
		pooler_unnamed_is_foreign())
	{
		leave_busy(POOLER_BACKEND_TAKING);
		give_back(false);
		set_word(POOLER_BACKEND_TAKING);
		return NEXT_TAKE;
	}
	if (next_command_is_there())
	{
		pooler_me.shared->counters.lingered++;
		return NEXT_RUN;
	}
	leave_busy(POOLER_BACKEND_LINGERING);
	return NEXT_LINGER;
}

/*
 * The first time: we are born.  The pooler looks at us and sends WELCOME or
 * EXIT.  A client that core has logged in goes to the pooler before.
 */
static Next
after_birth(void)
{
	PoolerControl report = {.type = POOLER_CONTROL_LOGGED_IN};
	StringInfoData settings;
	StringInfoData payload;

	whereToSendOutput = DestNone;
	if (pooler_me.shared->delegated)
		pooler_delegated_end();
	pooler_socket_detach();
	if (!pooler_me.shared->delegated)
		return NEXT_FREE;
	initStringInfo(&settings);
	pooler_startup_report(&settings);
	if (settings.len > POOLER_MAX_SETTINGS)
		proc_exit(0);
	appendStringInfoChar(&settings, '\0');
	pooler_reported_save(&settings);
	initStringInfo(&payload);
	pooler_system_user_report(&payload);
	appendStringInfoChar(&payload, '\0');
	if (settings.len > POOLER_MAX_SETTINGS_PAYLOAD || payload.len > POOLER_MAX_FACTS)
		proc_exit(0);
	appendBinaryStringInfo(&payload, settings.data, settings.len);
	report.payload = payload.len;
	if (!pooler_control_send(pooler_me.control, &report, payload.data, -1))
		proc_exit(0);
	pfree(settings.data);
	pfree(payload.data);
	return NEXT_FREE;
}

/* The client that was being taken is still waiting. */
static Next
after_preparing(void)
{
	whereToSendOutput = DestNone;
	pooler_unnamed_prepared();
	return take(pooler_me.shared->taking);
}

static void
between_commands(bool lost)
{
	Next		next;

	/* else the next client would pay for the one that was lost */
	lost = lost || ClientConnectionLost;
	ClientConnectionLost = false;
	stop_idle_timers();
	if (pooler_me.pool == NULL)
		next = after_birth();
	else if (pooler_unnamed_preparing)
		next = after_preparing();
	else
		next = after_command(lost);
	while (next != NEXT_RUN)
	{
		switch (next)
		{
			case NEXT_LINGER:
				next = linger();
				break;
			case NEXT_PINNED:
				next = stay_pinned();
				break;
			case NEXT_TAKE:
				next = take_next();
				break;
			case NEXT_FREE:
				next = be_free();
				break;
			case NEXT_RUN:
				break;
		}
	}
	pg_atomic_write_u32(&pooler_me.shared->in_transaction, 0);
}

void
pooler_wait_raise_as_fatal(MemoryContext cxt)
{
	ErrorData  *edata;

	MemoryContextSwitchTo(cxt);
	edata = CopyErrorData();
	FlushErrorState();
	edata->elevel = FATAL;
	ThrowErrorData(edata);
	pg_unreachable();
}

void
pooler_wait_next_command(bool lost)
{
	MemoryContext cxt = CurrentMemoryContext;

	HOLD_CANCEL_INTERRUPTS();
	PG_TRY();
	{
		between_commands(lost);
	}
	PG_CATCH();
	{
		pooler_wait_raise_as_fatal(cxt);
	}
	PG_END_TRY();
	RESUME_CANCEL_INTERRUPTS();
	MemoryContextSwitchTo(cxt);
}

/* What ALTER ROLE and ALTER DATABASE say of our pool; nobody else can read it. */
static void
report_overrides(void)
{
	PoolerOverrides *overrides = &pooler_me.shared->overrides;

	memset(overrides, 0, sizeof(*overrides));
	for (int i = 0; i < POOLER_NPOOL_SETTINGS; i++)
	{
		struct config_generic *gconf = pooler_find_setting(pooler_pool_setting_name(i));

		switch (gconf->source)
		{
			case PGC_S_GLOBAL:
			case PGC_S_DATABASE:
			case PGC_S_USER:
			case PGC_S_DATABASE_USER:
				overrides->given |= 1U << i;
				overrides->value[i] = pooler_pool_setting_here(i);
				break;
			case PGC_S_DEFAULT:
			case PGC_S_DYNAMIC_DEFAULT:
			case PGC_S_ENV_VAR:
			case PGC_S_FILE:
			case PGC_S_ARGV:
				break;
			default:

				/*
				 * A superuser's own, given at login: no matter of the pool,
				 * whose value is to be had by another backend only.
				 */
				overrides->partial = true;
				break;
		}
	}
}

/* The pooler reads it before ReadyForQuery. */
static void
report_settings(void)
{
	StringInfoData settings;

	initStringInfo(&settings);
	pooler_startup_report(&settings);
	if (settings.len > POOLER_MAX_SETTINGS)
		ereport(FATAL,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("startup settings are too long")));
	if (settings.len > 0)
		(void) pooler_me.core->putmessage(POOLER_MESSAGE_SETTINGS, settings.data,
										  settings.len);
	pfree(settings.data);
}

/* For logins that core carries out; see authorize() in login.c for others. */
static void
check_enabled(void)
{
	if (pooler_hold_disabled(MyDatabaseId))
		ereport(FATAL,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("database \"%s\" is disabled", MyProcPort->database_name),
				 errdetail("It takes no new clients of the pooler until an administrator enables it.")));
}

/*
 * What the pooler needs to know of us has to stand in the slot before it
 * reads ReadyForQuery.
 */
void
pooler_wait_begin(void)
{
	PoolerBackend *shared = pooler_me.shared;
	uint64		w = pg_atomic_read_u64(&shared->word);

	if (worker_has_ended() ||
		pooler_backend_word_state(w) != POOLER_BACKEND_STARTING ||
		pooler_backend_word_gen(w) != (pooler_me.number & POOLER_GEN_MASK))
		proc_exit(0);			/* its pooler has given this birth up */
	shared->pid = MyProcPid;
	shared->dbid = MyDatabaseId;
	shared->roleid = GetAuthenticatedUserId();
	shared->born_at = MyStartTimestamp;
	shared->first_command = pg_atomic_read_u32(&shared->command);
	report_overrides();
	pooler_tally_begin();
	idle_session_timeout = pooler_find_setting("idle_session_timeout");
	shared->idle_session_timeout = own_idle_session_timeout();
	if (idle_session_timeout->source > PGC_S_DATABASE_USER)
		shared->overrides.partial = true;
	on_shmem_exit(on_exit_report, (Datum) 0);
	pooler_ending_begin();
	pooler_notify_begin();
	pooler_statements_begin();
	if (shared->delegated)
		check_enabled();
	else
	{
		report_settings();
		pooler_socket_take_over();
	}
	pooler_socket_prepare_wait();
}
