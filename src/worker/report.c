/*-------------------------------------------------------------------------
 *
 * report.c
 *	  How the worker's errors look in the log.
 *
 * Runs in: the pooler.
 *
 *-------------------------------------------------------------------------
 */
#include "worker/internal.h"

#include "utils/elog.h"

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

void
pooler_log_error_as_fatal(bool on)
{
	as_fatal = on;
}

void
pooler_report_startup(void)
{
	prev_emit_log_hook = emit_log_hook;
	emit_log_hook = set_severity;
}
