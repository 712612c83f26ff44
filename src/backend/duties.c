/*-------------------------------------------------------------------------
 *
 * duties.c
 *	  What an idle backend has to do besides waiting.
 *
 * Runs in: pool backends, between two commands.  PostgresMain serves signals,
 * statistics, invalidations and timers only while it reads a command, and in our
 * wait it does not.  No ERROR may leave; FATAL may.
 *
 *-------------------------------------------------------------------------
 */
#include "backend/wait.h"

#include "commands/async.h"
#include "pgstat.h"
#include "postmaster/interrupt.h"
#include "storage/sinval.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/timeout.h"

/*
 * This process is about to end, and core to tell the client.  A pooler that
 * ends at the same time claims those who linger and tells their clients: with
 * our word in TAKING it can't, and where it was faster we say nothing.
 */
static void
be_the_one_who_tells(void)
{
	if (!pooler_word_move(POOLER_BACKEND_LINGERING, POOLER_BACKEND_TAKING) &&
		pooler_word_state() == POOLER_BACKEND_CLAIMED && pooler_worker_has_ended())
		whereToSendOutput = DestNone;
}

/*
 * The flags that PostgresMain would look at while it waits for a command;
 * reference: ProcessClientReadInterrupt() and ProcessInterrupts().  A cancel
 * that arrives now is a no-op, as for any idle session.
 */
void
pooler_serve_interrupts(void)
{
	MemoryContext cxt = CurrentMemoryContext;

	QueryCancelPending = false;
	if (pooler_word_state() != POOLER_BACKEND_PINNED)
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
	if (pooler_worker_has_ended())
		pooler_end_without_pooler();
	if (pooler_word_state() != POOLER_BACKEND_PINNED)
		return;
	if (pg_atomic_read_u32(&pooler_me.shared->demand.reason) != POOLER_END_NONE)
		pooler_ending_pinned(pooler_peek_client() == POOLER_FRAME_READY);
	pooler_ending_pin_timeout();
}

/* Timers that PostgresMain has set for the idle session it thinks it has. */
void
pooler_stop_idle_timers(void)
{
	if (IdleSessionTimeout > 0)
		disable_timeout(IDLE_SESSION_TIMEOUT, false);
	if (client_connection_check_interval > 0)
		disable_timeout(CLIENT_CONNECTION_CHECK_TIMEOUT, false);
}
