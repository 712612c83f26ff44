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
 * An idle backend has duties that PostgresMain fulfils only while it reads a
 * command: see duties.c.  How a client is given back and taken is in give_back.c
 * and take.c.  No ERROR may leave this file, because PostgresMain would send
 * another ReadyForQuery: errors become FATAL.
 *
 *-------------------------------------------------------------------------
 */
#include "backend/wait.h"
#include "backend/delegated.h"

#include <sys/socket.h>

#include "access/transam.h"
#include "access/xact.h"
#include "proto/frame.h"
#include "shared/debug_point.h"
#include "shared/pin.h"
#include "tcop/dest.h"
#include "tcop/tcopprot.h"
#include "storage/ipc.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

TimestampTz pooler_busy_since;

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

		/* as PostgresMain, when it waits for a command */
		Assert(!IsTransactionState() && !TransactionIdIsValid(MyProc->xid));
		Assert(InterruptHoldoffCount == 0 && CritSectionCount == 0);
		ResetLatch(MyLatch);
		pooler_serve_interrupts();
		pos = pooler_socket_wait(with_client, wait_event);
		if (pos == POOLER_WAIT_CLIENT || pos == POOLER_WAIT_CONTROL)
			return pos;
		pooler_close_stale(1);
	}
}

/* What has the client sent?  TERMINATE also if it has closed its end. */
PoolerFrameVerdict
pooler_peek_client(void)
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
	return pooler_peek_client() == POOLER_FRAME_READY;
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
	pooler_busy_since = GetCurrentTimestamp();
	pooler_me.shared->state_since = pooler_busy_since;
	pooler_clients[pooler_me.client].state_since = pooler_busy_since;
}

/*
 * Our word says LINGERING (or, by now, CLAIMED).  The barrier after it was
 * written and before the queue is read pairs with the one in
 * pooler_queue_push(): either we see the client there, or the pooler sees us
 * idle.  The same holds for drain_gen, which it raises before it looks for
 * idle backends: a pool that was paused must not keep one.
 */
static PoolerNext
linger(void)
{
	pg_memory_barrier();
	if ((pooler_queue_maybe(pooler_me.pool) || pooler_is_drained()) &&
		pooler_word_move(POOLER_BACKEND_LINGERING, POOLER_BACKEND_TAKING))
	{
		pooler_give_back(false);
		pooler_word_set(POOLER_BACKEND_TAKING);
		return POOLER_NEXT_TAKE;
	}
	for (;;)
	{
		if (sleep_until(pooler_word_state() == POOLER_BACKEND_LINGERING,
						WAIT_EVENT_CLIENT_READ) == POOLER_WAIT_CONTROL)
			return pooler_obey();
		if (pooler_word_state() != POOLER_BACKEND_LINGERING)
			continue;			/* claimed: the message is under way */
		if (has_sent_command())
		{
			/* before: who finds us BUSY takes it for the transaction's begin */
			begin_command();
			if (!pooler_word_move(POOLER_BACKEND_LINGERING, POOLER_BACKEND_BUSY))
				continue;
			pooler_debug_point(POOLER_DEBUG_RESUMED);
			pooler_me.shared->counters.lingered++;
			return POOLER_NEXT_RUN;
		}
		if (!pooler_word_move(POOLER_BACKEND_LINGERING, POOLER_BACKEND_TAKING))
			continue;
		pooler_give_back(false);
		pooler_word_set(POOLER_BACKEND_TAKING);
		return POOLER_NEXT_TAKE;
	}
}

/*
 * The client can't be taken away, and nobody can claim us: we wait for it as
 * any session does, under the same timeout, and serve its notifications.
 * PostgresMain stops the timer when it has the command.  Part of a message is core's
 * to wait for; only the end of the connection, which would end this process
 * there, and nonsense are for the pooler.
 */
static PoolerNext
stay_pinned(void)
{
	if (IdleSessionTimeout > 0)
		enable_timeout_after(IDLE_SESSION_TIMEOUT, IdleSessionTimeout);
	for (;;)
	{
		if (sleep_until(true, WAIT_EVENT_CLIENT_READ) == POOLER_WAIT_CONTROL)
		{
			(void) pooler_obey();	/* the pooler has ended, or nothing */
			continue;
		}
		switch (pooler_peek_client())
		{
			case POOLER_FRAME_EMPTY:
				break;
			case POOLER_FRAME_READY:
			case POOLER_FRAME_PARTIAL:
			case POOLER_FRAME_STRAY:
				begin_command();
				pooler_word_set(POOLER_BACKEND_BUSY);
				return POOLER_NEXT_RUN;
			default:
				pooler_stop_idle_timers();
				pooler_word_set(POOLER_BACKEND_TAKING);
				pooler_give_back(true);
				pooler_word_set(POOLER_BACKEND_TAKING);
				return POOLER_NEXT_TAKE;
		}
	}
}

static PoolerNext
be_free(void)
{
	static uint32 wait_event = 0;

	if (wait_event == 0)
		wait_event = pooler_wait_event("PoolerBackendFree");
	pooler_attach_nobody();
	if (pooler_word_state() == POOLER_BACKEND_TAKING)
	{
		pooler_me.shared->state_since = GetCurrentTimestamp();
		pooler_word_set(POOLER_BACKEND_FREE);
	}
	pg_memory_barrier();		/* as in linger() */
	if (pooler_me.pool != NULL &&
		(pooler_queue_maybe(pooler_me.pool) || pooler_is_drained()) &&
		pooler_word_move(POOLER_BACKEND_FREE, POOLER_BACKEND_TAKING))
		return POOLER_NEXT_TAKE;
	(void) sleep_until(false, wait_event);
	return pooler_obey();
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

	if (!pq_is_reading_msg())	/* else in the middle of one */
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

static void
count_transaction(void)
{
	TimestampTz now = GetCurrentTimestamp();

	pooler_tally_transaction(Max(now - pooler_busy_since, 0));
	pooler_clients[pooler_me.client].transactions++;
	pooler_clients[pooler_me.client].state_since = now;
	pooler_clients[pooler_me.client].idle_session_timeout = pooler_own_idle_session_timeout();
	pooler_me.shared->state_since = now;
	pooler_me.shared->first_command = pg_atomic_read_u32(&pooler_me.shared->command);
	pooler_busy_since = now;
}

static PoolerNext
after_command(bool lost)
{
	count_transaction();
	pooler_holdings_at_end();
	pooler_debug_point(POOLER_DEBUG_COMMAND_ENDED);
	if (pooler_worker_has_ended())
		pooler_end_without_pooler();
	lost = lost || !drop_stray_copy();
	if (!lost && pooler_recv_buffer_has_data())
	{
		/* the client has sent more: bytes in the buffer can't be given back */
		lost = buffer_says_goodbye();
		if (!lost)
		{
			pooler_pins_set(POOLER_PIN_PIPELINE);
			pooler_ending_pin_timeout();
			return POOLER_NEXT_RUN;
		}
	}
	if (lost)
	{
		end_stream();
		pooler_word_leave_busy(POOLER_BACKEND_TAKING);
		pooler_give_back(true);
		pooler_word_set(POOLER_BACKEND_TAKING);
		return POOLER_NEXT_TAKE;
	}
	pooler_pins_set(pooler_pins_look());
	if (pg_atomic_read_u32(&pooler_me.shared->pin) != POOLER_PIN_NONE)
	{
		pooler_word_leave_busy(POOLER_BACKEND_PINNED);
		return POOLER_NEXT_PINNED;
	}
	if (pooler_queue_maybe(pooler_me.pool) || pooler_may_have_to_go() ||
		pooler_unnamed_is_foreign())
	{
		pooler_word_leave_busy(POOLER_BACKEND_TAKING);
		pooler_give_back(false);
		pooler_word_set(POOLER_BACKEND_TAKING);
		return POOLER_NEXT_TAKE;
	}
	if (next_command_is_there())
	{
		pooler_me.shared->counters.lingered++;
		return POOLER_NEXT_RUN;
	}
	pooler_word_leave_busy(POOLER_BACKEND_LINGERING);
	return POOLER_NEXT_LINGER;
}

/*
 * What event triggers on login have left.  Nobody has this client yet, so that
 * it can't be pinned: what can't travel is dropped.
 */
static void
keep_login(int client)
{
	PoolerPin	pin = pooler_pins_look();

	if (pin != POOLER_PIN_NONE && pin != POOLER_PIN_MODE)
		pooler_pins_clear();
	pooler_session_save_login(client);
}

/*
 * The first time: we are born.  The pooler looks at us and sends WELCOME or
 * EXIT.  A client that core has logged in goes to the pooler before.
 */
static PoolerNext
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
		return POOLER_NEXT_FREE;
	if (!pooler_me.shared->only_login)
		keep_login(pooler_me.shared->login_client);
	initStringInfo(&settings);
	pooler_startup_report(&settings);
	if (settings.len > POOLER_MAX_SETTINGS)
		proc_exit(0);
	appendStringInfoChar(&settings, '\0');
	pooler_reported_save(&settings);
	initStringInfo(&payload);
	pooler_system_user_report(&payload);
	pooler_delegated_report(&payload);
	appendStringInfoChar(&payload, '\0');
	if (settings.len > POOLER_MAX_SETTINGS_PAYLOAD || payload.len > POOLER_MAX_FACTS)
		proc_exit(0);
	appendBinaryStringInfo(&payload, settings.data, settings.len);
	report.payload = payload.len;
	if (!pooler_control_send(pooler_me.control, &report, payload.data, -1))
		proc_exit(0);
	pfree(settings.data);
	pfree(payload.data);
	return POOLER_NEXT_FREE;
}

/* The client that was being taken is still waiting. */
static PoolerNext
after_preparing(void)
{
	whereToSendOutput = DestNone;
	pooler_unnamed_prepared();
	return pooler_take(pooler_me.shared->taking);
}

static void
between_commands(bool lost)
{
	PoolerNext	next;

	/* else the next client would pay for the one that was lost */
	lost = lost || ClientConnectionLost;
	ClientConnectionLost = false;
	pooler_stop_idle_timers();
	if (pooler_me.pool == NULL)
		next = after_birth();
	else if (pooler_unnamed_preparing)
		next = after_preparing();
	else
		next = after_command(lost);
	while (next != POOLER_NEXT_RUN)
	{
		switch (next)
		{
			case POOLER_NEXT_LINGER:
				next = linger();
				break;
			case POOLER_NEXT_PINNED:
				next = stay_pinned();
				break;
			case POOLER_NEXT_TAKE:
				next = pooler_take_next();
				break;
			case POOLER_NEXT_FREE:
				next = be_free();
				break;
			case POOLER_NEXT_RUN:
				break;
		}
	}
	pg_atomic_write_u32(&pooler_me.shared->in_transaction, 0);
	Assert(whereToSendOutput == DestRemote);	/* ReadCommand(), postgres.c */
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
