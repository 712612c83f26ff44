/*-------------------------------------------------------------------------
 *
 * health.h
 *	  How the pooler is: looked at, judged, and written down as JSON.
 *
 * Runs in: any process that is attached to shared memory, in its main thread
 * (it allocates).  Reads snapshots only: no lock, no catalog, no transaction,
 * no waiting for another process.  What is good and what is bad is decided by
 * health_rules.c.
 *
 *-------------------------------------------------------------------------
 */
#ifndef POOLER_HEALTH_H
#define POOLER_HEALTH_H

#include "compat.h"

#include "shared/health_rules.h"
#include "shared/json.h"

/*
 * Appends one JSON object with this key, which is NULL if it is by itself, and
 * returns the verdict that it contains.
 *
 * The encoding is GetDatabaseEncoding() for SQL, PG_UTF8 for everybody else:
 * names come from databases of any encoding.
 *
 * probe is what a probe has found, or NULL if there was none: then there is
 * no "probe" in the object.
 *
 * Memory is allocated in the current context and is the caller's to reset.
 * Raises no error but that of having no memory, also if the pooler is not
 * running; needs pooler_shared, i.e. a preloaded library.
 */
extern PoolerHealthStatus pooler_health_report(const PoolerJson *json, const char *key,
											   const PoolerHealthProbe *probe);

/*
 * Over HTTP: 200 for healthy and degraded, 503 for unhealthy.  A degraded
 * pooler works: to take it out of a load balancer would move its load to the
 * others and help nobody.
 */
static inline int
pooler_health_http_code(PoolerHealthStatus status)
{
	return status == POOLER_UNHEALTHY ? 503 : 200;
}

#endif							/* POOLER_HEALTH_H */
