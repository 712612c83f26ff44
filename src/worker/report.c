/*-------------------------------------------------------------------------
 *
 * report.c
 *	  What the worker logs, and how its errors look in the log.
 *
 * Runs in: the pooler.
 *
 *-------------------------------------------------------------------------
 */
#include "worker/internal.h"

#include "utils/elog.h"
#include "utils/guc.h"
#include "worker/tally.h"

static emit_log_hook_type prev_emit_log_hook;
static bool as_fatal;

static void
set_severity(ErrorData *edata)
{
	if (as_fatal && (edata->elevel == ERROR || edata->elevel == LOG))
		edata->elevel = FATAL;
	if (prev_emit_log_hook)
		prev_emit_log_hook(edata);
}

/*
 * Whether a message goes to the log is decided by the level with which it is
 * raised: what is meant to be FATAL must not be held back as a LOG would be.
 */
void
pooler_log_error_as_fatal(bool on)
{
	static int	threshold;

	if (on && !as_fatal)
	{
		threshold = log_min_messages;
		if (threshold == LOG || threshold == FATAL)
			log_min_messages = ERROR;
	}
	else if (!on && as_fatal)
		log_min_messages = threshold;
	as_fatal = on;
}

void
pooler_report_error(const ErrorData *edata)
{
	pooler_log_error_as_fatal(true);
	if (edata->output_to_server)
		EmitErrorReport();
	else
		ereport(LOG,
				(errcode(edata->sqlerrcode),
				 errmsg_internal("%s", edata->message),
				 edata->detail_log ? errdetail_log("%s", edata->detail_log) : 0,
				 edata->detail ? errdetail_internal("%s", edata->detail) : 0,
				 edata->hint ? errhint("%s", edata->hint) : 0));
	pooler_log_error_as_fatal(false);
}

void
pooler_report_startup(void)
{
	prev_emit_log_hook = emit_log_hook;
	emit_log_hook = set_severity;
}

/*---------------------------------------------------------------------------
 * log_connections, log_disconnections
 *---------------------------------------------------------------------------
 */

/* The last one in the files counts; NULL if there is none. */
static const char *
value_in_files(const ConfigVariable *item, const char *name)
{
	const char *value = NULL;

	for (; item != NULL; item = item->next)
	{
		if (!item->ignore && pg_strcasecmp(item->name, name) == 0)
			value = item->value;
	}
	return value;
}

/*
 * A session keeps these two as they were when it began, so core changes them
 * at a reload in the postmaster only, of which its next children hear.  For
 * our clients the present value counts.  What the files say is found as core
 * finds it, and then taken as a child takes it from its parent (is_reload);
 * a value from the command line stays, as its source comes first.
 */
void
pooler_report_reload(void)
{
	static const char *const names[] = {"log_connections", "log_disconnections"};
	ConfigVariable *head = NULL;
	ConfigVariable *tail = NULL;

	/* if something is wrong with them, core has logged it just now */
	if (ParseConfigFile(ConfigFileName, true, NULL, 0, 0, DEBUG2, &head, &tail) &&
		ParseConfigFile(PG_AUTOCONF_FILENAME, false, NULL, 0, 0, DEBUG2, &head, &tail))
	{
		for (int i = 0; i < (int) lengthof(names); i++)
		{
			const char *value = value_in_files(head, names[i]);

			(void) set_config_option(names[i], value, PGC_SIGHUP,
									 value ? PGC_S_FILE : PGC_S_DEFAULT,
									 GUC_ACTION_SET, true, DEBUG2, true);
		}
	}
	FreeConfigVariables(head);
}

/*---------------------------------------------------------------------------
 * log_stats
 *---------------------------------------------------------------------------
 */

static void
log_stats(const PoolerCounters *now, const PoolerCounters *before, double seconds)
{
	uint64		transactions = now->transactions - before->transactions;
	uint64		waits = now->waits - before->waits;

	ereport(LOG,
			(errmsg("pooler statistics: %.1f transactions/s, %.1f queries/s, %.1f errors/s, %.0f us per transaction, %.1f waits/s, %.0f us per wait",
					transactions / seconds,
					(now->queries - before->queries) / seconds,
					(now->errors - before->errors) / seconds,
					(double) (now->transaction_us - before->transaction_us) / Max(transactions, 1),
					waits / seconds,
					(double) (now->wait_us - before->wait_us) / Max(waits, 1)),
			 errdetail("In total: " UINT64_FORMAT " transactions, " UINT64_FORMAT " queries, " UINT64_FORMAT " errors, " UINT64_FORMAT " waits, " UINT64_FORMAT " logins.",
					   now->transactions, now->queries, now->errors,
					   now->waits, now->logins)));
}

void
pooler_report_tick(void)
{
	static TimestampTz began = 0;
	static PoolerCounters before;
	PoolerCounters sum;

	if (began != 0 &&
		!TimestampDifferenceExceeds(began, pooler_worker.now,
									pooler_ms(pooler_stats_period)))
		return;
	pooler_tally_totals(&sum);
	if (sum.transactions < before.transactions || sum.queries < before.queries ||
		sum.errors < before.errors || sum.waits < before.waits)
		memset(&before, 0, sizeof(before)); /* they were reset meanwhile */
	if (began != 0 && pooler_log_stats)
		log_stats(&sum, &before, (pooler_worker.now - began) / 1e6);
	before = sum;
	began = pooler_worker.now;
}
