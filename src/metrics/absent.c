/*-------------------------------------------------------------------------
 *
 * absent.c
 *	  What a build without libmicrohttpd has instead of the HTTP worker.
 *
 * Runs in: the postmaster, once.
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "metrics/metrics.h"
#include "shared/guc.h"

void
pooler_http_register(void)
{
	if (pooler_http_port != 0)
		ereport(WARNING,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("pooler.http_port is set, but this build of pooler has no HTTP"),
				 errhint("Install libmicrohttpd with its headers, and build pooler again.")));
}
