/*-------------------------------------------------------------------------
 *
 * escape.c
 *	  Text within the format of Prometheus and OpenMetrics.
 *
 * Runs in: the HTTP worker.  Needs nothing of a server but its StringInfo, so
 * that a unit test can have it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "metrics/escape.h"

void
pooler_metrics_escape(StringInfo buf, const char *text, bool quotes)
{
	for (const char *p = text; *p; p++)
	{
		if (*p == '\n')
			appendStringInfoString(buf, "\\n");
		else if (*p == '\\')
			appendStringInfoString(buf, "\\\\");
		else if (*p == '"' && quotes)
			appendStringInfoString(buf, "\\\"");
		else
			appendStringInfoChar(buf, *p);
	}
}
