/*-------------------------------------------------------------------------
 *
 * prometheus.c
 *	  Metrics as text for Prometheus, or as OpenMetrics.
 *
 * Runs in: the HTTP worker.
 *
 *-------------------------------------------------------------------------
 */
#include "metrics/internal.h"

int
pooler_http_prometheus(StringInfo buf)
{
	appendStringInfoString(buf, "# HELP pooler_up Whether the pooler runs.\n"
						   "# TYPE pooler_up gauge\npooler_up 1\n");
	return 200;
}

int
pooler_http_openmetrics(StringInfo buf)
{
	(void) pooler_http_prometheus(buf);
	appendStringInfoString(buf, "# EOF\n");
	return 200;
}
