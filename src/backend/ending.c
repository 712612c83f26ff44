/*-------------------------------------------------------------------------
 *
 * ending.c
 *	  What ends the attached client, or its command, and what it is told.
 *
 * Runs in: pool backends.  The pooler sees from outside that something takes
 * too long, but by the time that its signal arrives the client may have got
 * on.  So it does not send the signal that ends something, but SIGUSR2, which
 * core ignores in backends (PostgresMain(), postgres.c), with a demand in our
 * slot: the handler compares it with what is under way, and only then signals
 * this process itself.  What comes after can't be hit, since nothing else
 * runs in this process meanwhile.
 *
 *-------------------------------------------------------------------------
 */
#include "backend/internal.h"

#include <signal.h>
#include <sys/socket.h>

#include "access/xact.h"
#include "libpq/libpq-be.h"
#include "miscadmin.h"
#include "shared/guc.h"
#include "shared/pin.h"
#include "utils/timestamp.h"

static emit_log_hook_type prev_emit_log_hook;

/* The command for which a demand has had itself signalled, if that is set. */
static volatile sig_atomic_t canceled = false;
static volatile uint32 canceled_command;
static volatile sig_atomic_t canceled_for;	/* a PoolerEndReason */

/*---------------------------------------------------------------------------
 * what the client is told
 *---------------------------------------------------------------------------
 */

static int
sqlstate_of(const PoolerEndWords *words)
{
	const char *s = words->sqlstate;

	return MAKE_SQLSTATE(s[0], s[1], s[2], s[3], s[4]);
}

/* errfinish() frees them. */
static void
say(ErrorData *edata, const PoolerEndWords *words)
{
	edata->sqlerrcode = sqlstate_of(words);
	edata->message = pstrdup(_(words->message));
	if (words->detail)
		edata->detail = pstrdup(_(words->detail));
}

/* Which leak, and its threshold, stand in the demand. */
static void
say_leak(ErrorData *edata, PoolerEndReason reason)
{
	char		detail[160];

	pooler_end_leak_detail(reason, (uint32) pooler_me.shared->demand.ms, detail,
						   sizeof(detail));
	edata->detail = pstrdup(detail);
}

static bool
canceled_by_us(const ErrorData *edata)
{
	return edata->elevel == ERROR &&
		edata->sqlerrcode == ERRCODE_QUERY_CANCELED && canceled &&
		canceled_command == pg_atomic_read_u32(&pooler_me.shared->command) &&
		edata->message_id != NULL &&
		strcmp(edata->message_id, "canceling statement due to user request") == 0;
}

/*
 * Core's errors for the two signals, in the words for why they were sent.  Core
 * supports nothing in its hook but turning output_to_server off
 * (EmitErrorReport(), elog.c).  But the fields that are replaced are read after
 * the hook, and until then by nobody; what is palloc'd here lies in the error's
 * own context, as what errmsg() leaves there.
 */
static void
reword(ErrorData *edata)
{
	if (edata->elevel == FATAL && edata->sqlerrcode == ERRCODE_ADMIN_SHUTDOWN)
	{
		PoolerEndReason reason = pg_atomic_read_u32(&pooler_me.shared->end_reason);

		if (reason != POOLER_END_NONE && reason != POOLER_END_SHUTDOWN)
		{
			say(edata, pooler_end_words(reason));
			edata->output_to_server = pooler_end_logged(reason);
		}
		if (reason == POOLER_END_PIN_TIMEOUT)
			edata->detail = psprintf(_("The session keeps the backend because of %s; pooler.pin_timeout has passed."),
									 pooler_pin_words(pg_atomic_read_u32(&pooler_me.shared->pin)));
		if (pooler_end_is_leak(reason))
			say_leak(edata, reason);
	}
	else if (canceled_by_us(edata))
	{
		say(edata, pooler_end_words(canceled_for));
		edata->output_to_server = pooler_end_logged(canceled_for);
		if (canceled_for == POOLER_END_LEAK_CANCEL)
			say_leak(edata, canceled_for);
	}
	if (prev_emit_log_hook)
		prev_emit_log_hook(edata);
}

void
pooler_end_attached(PoolerEndReason reason)
{
	pg_atomic_write_u32(&pooler_me.shared->end_reason, reason);
	ereport(FATAL,
			(errcode(ERRCODE_ADMIN_SHUTDOWN),
			 errmsg("terminating connection due to administrator command")));
}

/*---------------------------------------------------------------------------
 * demands
 *---------------------------------------------------------------------------
 */

/* Something may have come that we have had no time to read. */
static bool
client_has_sent(void)
{
	char		byte;

	return MyProcPort != NULL &&
		recv(MyProcPort->sock, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

/* No command has come since we became idle in this transaction. */
static bool
still_idle_in_transaction(const PoolerBackend *shared)
{
	return pg_atomic_read_u32((pg_atomic_uint32 *) &shared->in_transaction) != 0 &&
		GetCurrentStatementStartTimestamp() <= shared->idle_since &&
		!client_has_sent();
}

/* Of a leak: is it still one?  Of what only grows: are there still as many? */
static bool
still_leaks(const PoolerBackend *shared, PoolerLeakKind kind)
{
	const PoolerHoldings *held = &shared->holdings;
	uint32		limit = (uint32) shared->demand.ms;

	switch (kind)
	{
		case POOLER_LEAK_IDLE_IN_TRANSACTION:
		case POOLER_LEAK_POOL_HELD:
			return shared->demand.since == shared->idle_since &&
				still_idle_in_transaction(shared);
		case POOLER_LEAK_TRANSACTION:
			return shared->demand.since == shared->state_since;
		case POOLER_LEAK_LOCKS:
			return held->locks_grown >= limit;
		case POOLER_LEAK_CURSORS:
			return held->cursors_grown >= limit;
		case POOLER_LEAK_TEMP_OBJECTS:
			return held->temp_objects_grown >= limit;
		case POOLER_LEAK_STATEMENTS:
			return pooler_me.client >= 0 &&
				pooler_clients[pooler_me.client].statements_grown >= limit;
		default:
			return false;		/* it works */
	}
}

/* Is what the pooler has seen still so? */
static bool
still_true(const PoolerBackend *shared, PoolerEndReason reason)
{
	const PoolerDemand *demand = &shared->demand;

	switch (reason)
	{
		case POOLER_END_QUERY_TIMEOUT:
			return demand->command == pg_atomic_read_u32((pg_atomic_uint32 *) &shared->command) &&
				TimestampDifferenceExceeds(GetCurrentStatementStartTimestamp(),
										   GetCurrentTimestamp(), demand->ms);
		case POOLER_END_TRANSACTION_TIMEOUT:
			return demand->since == shared->state_since;
		case POOLER_END_IDLE_TRANSACTION_TIMEOUT:
			return demand->since == shared->idle_since &&
				still_idle_in_transaction(shared);
		case POOLER_END_LEAK_CANCEL:
			return demand->since == shared->state_since &&
				demand->command == pg_atomic_read_u32((pg_atomic_uint32 *) &shared->command);
		default:
			return pooler_end_is_leak(reason) &&
				still_leaks(shared, (PoolerLeakKind) (reason - POOLER_END_LEAK));
	}
}

static void
count(PoolerCounters *counters, PoolerEndReason reason)
{
	switch (reason)
	{
		case POOLER_END_QUERY_TIMEOUT:
			counters->query_timeouts++;
			break;
		case POOLER_END_TRANSACTION_TIMEOUT:
			counters->transaction_timeouts++;
			break;
		case POOLER_END_IDLE_TRANSACTION_TIMEOUT:
			counters->idle_transaction_timeouts++;
			break;
		case POOLER_END_CLIENT_IDLE_TIMEOUT:
			counters->client_idle_timeouts++;
			break;
		default:
			break;
	}
}

/* Counts each end once, also if it is demanded again because it takes long. */
static void
count_once(PoolerBackend *shared, PoolerEndReason reason)
{
	bool		again = reason == POOLER_END_QUERY_TIMEOUT ?
		canceled && canceled_command == pg_atomic_read_u32(&shared->command) :
		pg_atomic_read_u32(&shared->end_reason) == (uint32) reason;

	if (!again)
		count(&shared->counters, reason);
}

/* To the group, as the pooler signals: programs of COPY are in it. */
static void
signal_myself(int sig)
{
	if (kill(-MyProcPid, sig) < 0)
		(void) kill(MyProcPid, sig);
}

/* SIGUSR2.  Runs anywhere: a few loads and stores, a clock, a look, a signal. */
static void
demand_handler(SIGNAL_ARGS)
{
	int			save_errno = errno;
	PoolerBackend *shared = pooler_me.shared;
	PoolerEndReason reason = pg_atomic_read_u32(&shared->demand.reason);

	pg_read_barrier();
	if (reason == POOLER_END_NONE || shared->pid != MyProcPid)
		;
	else if (!still_true(shared, reason))
		pg_atomic_write_u32(&shared->demand.reason, POOLER_END_NONE);
	else if (reason == POOLER_END_QUERY_TIMEOUT || reason == POOLER_END_LEAK_CANCEL)
	{
		count_once(shared, reason);
		canceled_command = pg_atomic_read_u32(&shared->command);
		canceled_for = reason;
		canceled = true;
		signal_myself(SIGINT);
	}
	else
	{
		count_once(shared, reason);
		pg_atomic_write_u32(&shared->end_reason, reason);
		signal_myself(SIGTERM);
	}
	errno = save_errno;
}

/*
 * The pooler looks at the clock first and at our word later: a whole command
 * may lie in between.
 */
static bool
idle_for_long_enough(void)
{
	int			timeout = pooler_pool_ms(pooler_me.pool, POOLER_CLIENT_IDLE_TIMEOUT);

	return timeout > 0 &&
		TimestampDifferenceExceeds(pooler_me.shared->state_since,
								   GetCurrentTimestamp(), timeout);
}

void
pooler_ending_pinned(bool command_came)
{
	PoolerBackend *shared = pooler_me.shared;
	PoolerEndReason reason = pg_atomic_read_u32(&shared->demand.reason);

	pg_read_barrier();
	if (reason == POOLER_END_NONE)
		return;
	pg_atomic_write_u32(&shared->demand.reason, POOLER_END_NONE);
	if (command_came || shared->demand.since != shared->state_since)
		return;
	if (reason == POOLER_END_CLIENT_IDLE_TIMEOUT && !idle_for_long_enough())
		return;
	count(&shared->counters, reason);
	pooler_end_attached(reason);
}

/*
 * The pooler only wakes us: by the time that we look its reason may have gone,
 * or have been another client's.
 */
void
pooler_ending_pin_timeout(void)
{
	if (pooler_pin_timeout > 0 && pooler_pool_mode != POOLER_MODE_SESSION &&
		TimestampDifferenceExceeds(pooler_me.shared->pinned_since,
								   GetCurrentTimestamp(),
								   pooler_ms(pooler_pin_timeout)))
		pooler_end_attached(POOLER_END_PIN_TIMEOUT);
}

/*---------------------------------------------------------------------------
 * a command has ended
 *---------------------------------------------------------------------------
 */

void
pooler_ending_command_over(void)
{
	pg_atomic_uint32 *command = &pooler_me.shared->command;

	pg_atomic_write_u32(command, pg_atomic_read_u32(command) + 1);
}

void
pooler_ending_begin(void)
{
	pg_atomic_write_u32(&pooler_me.shared->demand.reason, POOLER_END_NONE);
	prev_emit_log_hook = emit_log_hook;
	emit_log_hook = reword;
	pqsignal(SIGUSR2, demand_handler);
}
