/*-------------------------------------------------------------------------
 *
 * series.c
 *	  What was measured over the last minutes.
 *
 * Runs in: the HTTP worker.
 *
 *-------------------------------------------------------------------------
 */
#include "metrics/internal.h"

void
pooler_http_series_begin(void)
{
}

void
pooler_http_series_tick(TimestampTz now)
{
}
