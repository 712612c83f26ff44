/*-------------------------------------------------------------------------
 *
 * tally.c
 *	  What a pool backend counts and measures.
 *
 * Runs in: pool backends.  Owns the counters and histograms in this process's
 * slot, into which nobody else writes.  Most of it is on the path of each
 * transaction: no lock, no system call, and the clock is read only where
 * nobody else has.
 *
 *-------------------------------------------------------------------------
 */
#include "backend/internal.h"

#include "access/xact.h"
#include "utils/timestamp.h"

/* Within a transaction block, while the client owes the next command; or 0. */
static TimestampTz idle_from;

/* How long that took so far in this transaction. */
static uint64 idle_us;

/* Of the FATAL error that ends this process; 0: none. */
static int	fatal_sqlstate;

/* Why we leave; if we do it by ourselves. */
static PoolerBackendEnd leaving = POOLER_ENDED_OTHER;

static emit_log_hook_type prev_emit_log_hook;

/*---------------------------------------------------------------------------
 * time
 *---------------------------------------------------------------------------
 */

void
pooler_tally_idle_begin(TimestampTz now)
{
	pooler_tally_idle_end();
	idle_from = now;
}

/*
 * Core has noted when the command came.  If it has not, because this is not
 * the answer to one (a warning, say), the client is still idle.
 */
void
pooler_tally_idle_end(void)
{
	TimestampTz until;

	if (idle_from == 0)
		return;
	until = GetCurrentStatementStartTimestamp();
	if (until < idle_from)
		return;
	idle_us += until - idle_from;
	idle_from = 0;
}

/* There may have been a reset: what can't be subtracted begins anew. */
static void
begin_anew(PoolerBackend *shared)
{
	uint32		stats_gen = pg_atomic_read_u32(&pooler_shared->stats_gen);

	if (likely(shared->stats_gen == stats_gen))
		return;
	pooler_stats_forget_maxima(&shared->counters);
	memset(shared->times, 0, sizeof(shared->times));
	pg_write_barrier();
	shared->stats_gen = stats_gen;
}

void
pooler_tally_transaction(uint64 us)
{
	PoolerBackend *shared = pooler_me.shared;

	begin_anew(shared);
	pooler_tally_idle_end();
	shared->counters.transactions++;
	shared->counters.transaction_us += us;
	shared->counters.query_us += us - Min(us, idle_us);
	pooler_histogram_record(&shared->times[POOLER_TIME_TRANSACTION], us);
	idle_us = 0;
	idle_from = 0;
}

void
pooler_tally_wait(uint64 us)
{
	PoolerBackend *shared = pooler_me.shared;

	begin_anew(shared);
	shared->counters.waits++;
	shared->counters.wait_us += us;
	shared->counters.max_wait_us = Max(shared->counters.max_wait_us, us);
	pooler_histogram_record(&shared->times[POOLER_TIME_WAIT], us);
}

/*---------------------------------------------------------------------------
 * the end
 *---------------------------------------------------------------------------
 */

static void
see_fatal(ErrorData *edata)
{
	if (edata->elevel == FATAL)
	{
		fatal_sqlstate = edata->sqlerrcode;
		if (pooler_me.pool == NULL && pooler_me.shared != NULL)
			pg_atomic_write_u32(&pooler_me.shared->login_sqlstate,
								(uint32) edata->sqlerrcode);
	}
	if (prev_emit_log_hook)
		prev_emit_log_hook(edata);
}

void
pooler_tally_begin(void)
{
	static bool begun = false;

	if (begun)
		return;
	begun = true;
	prev_emit_log_hook = emit_log_hook;
	emit_log_hook = see_fatal;
}

void
pooler_tally_leaving(PoolerBackendEnd why)
{
	leaving = why;
}

/*
 * Core leaves with 0 when its client has gone, and with FATAL for any other
 * reason.
 */
void
pooler_tally_end(int code)
{
	PoolerBackendEnd why = leaving;

	if (code == 0 && why == POOLER_ENDED_OTHER)
		why = POOLER_ENDED_CLIENT;
	else if (code != 0 && why != POOLER_ENDED_POOLER)
		why = ERRCODE_TO_CATEGORY(fatal_sqlstate) == ERRCODE_CONNECTION_EXCEPTION ?
			POOLER_ENDED_CLIENT : POOLER_ENDED_OTHER;
	pooler_me.shared->ended = why;
}
