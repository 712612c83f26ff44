/*-------------------------------------------------------------------------
 *
 * internal.h
 *	  What the files of the HTTP worker need of each other.
 *
 * Runs in: the HTTP worker.  It reads shared memory through snapshots, and
 * changes nothing there.
 *
 *-------------------------------------------------------------------------
 */
#ifndef POOLER_METRICS_INTERNAL_H
#define POOLER_METRICS_INTERNAL_H

#include "compat.h"

#include "datatype/timestamp.h"
#include "lib/stringinfo.h"
#include "shared/pool_count.h"
#include "shared/shmem.h"
#include "utils/timestamp.h"

#define POOLER_VERSION "1.0"	/* as in pooler.control */

/*---------------------------------------------------------------------------
 * main.c
 *---------------------------------------------------------------------------
 */

/* Counts so much as used of our processor time, besides what we really use. */
extern void pooler_http_charge(int64 us);

/*---------------------------------------------------------------------------
 * listen.c: listening sockets
 *---------------------------------------------------------------------------
 */

/* Takes a new connection, in non-blocking mode, and becomes its owner. */
typedef void (*PoolerHttpAccept) (int fd, const SockAddr *raddr);

/*
 * Opens what is to be listened on and is not open yet.  To be called every now
 * and then: what has failed is tried again.
 */
extern void pooler_http_listen(int epoll_fd);

/* Closes all, and forgets the addresses; after the settings have changed. */
extern void pooler_http_listen_stop(void);

/* Are connections taken, or left in the backlog? */
extern void pooler_http_listen_pause(bool pause);

/* Takes connections that have come, not all of them at once. */
extern void pooler_http_listen_event(int index, PoolerHttpAccept accept);

/*
 * Is this a name by which pooler.http_listen_addresses calls this machine?
 * Not if it only stands in DNS.
 */
extern bool pooler_http_listens_by_name(const char *host, size_t len);

/*---------------------------------------------------------------------------
 * http.c: libmicrohttpd
 *---------------------------------------------------------------------------
 */

/* Returns the descriptor to watch. */
extern int	pooler_http_start(void);

/* Closes all connections. */
extern void pooler_http_stop(void);

/* Answers what has come, without waiting. */
extern void pooler_http_run(void);

/* When that has to be called at the latest, in ms; -1: no need. */
extern long pooler_http_timeout(void);

extern void pooler_http_accept(int fd, const SockAddr *raddr);

/* Is there room for one more connection? */
extern bool pooler_http_has_room(void);

/*
 * Closes connections that take too long to ask or to listen; much too long, or,
 * if room is needed, just longer than anybody needs.
 */
extern void pooler_http_close_overdue(TimestampTz now, bool need_room);

/* Answers that are kept for a moment were made under other settings. */
extern void pooler_http_forget(void);

/*---------------------------------------------------------------------------
 * collect.c: what is known of pools
 *---------------------------------------------------------------------------
 */

/* So many get labels of their own; what is said of the others is their sum. */
#define POOLER_METRICS_MAX_POOLS	200

/*
 * All pools of one database and role: that of most clients, and those that
 * single clients have because of their startup settings.
 */
typedef struct PoolerMetricsGroup
{
	/* valid UTF-8; empty: the others, and what belongs to no pool any more */
	char		database[NAMEDATALEN];
	char		role[NAMEDATALEN];
	int32		npools;
	int32		size;			/* of all of them */
	bool		paused;			/* one of them */
	PoolerPoolCount count;
	PoolerCounters counters;
	PoolerHistogram times[POOLER_NTIMES];
} PoolerMetricsGroup;

typedef struct PoolerMetrics
{
	TimestampTz now;
	int			ngroups;
	PoolerMetricsGroup *groups; /* the first one: the others */
	Size		size;			/* of groups, in bytes */
} PoolerMetrics;

/* In the current memory context. */
extern PoolerMetrics *pooler_http_collect(void);

/*---------------------------------------------------------------------------
 * what is answered: appended to a buffer; the result is the HTTP status
 *---------------------------------------------------------------------------
 */

extern int	pooler_http_health(StringInfo buf);
extern int	pooler_http_status(StringInfo buf);
extern int	pooler_http_prometheus(StringInfo buf);
extern int	pooler_http_openmetrics(StringInfo buf);

/*---------------------------------------------------------------------------
 * series.c: what was measured over the last minutes
 *---------------------------------------------------------------------------
 */

#define POOLER_SAMPLE_MS	5000
#define POOLER_MAX_SAMPLES	120

/* In microseconds. */
typedef struct PoolerSampleTimes
{
	uint64		count;			/* if 0, so are the others */
	uint64		p50;
	uint64		p90;
	uint64		p95;
	uint64		p99;
	uint64		max;
} PoolerSampleTimes;

/* What happened in all pools until then. */
typedef struct PoolerSample
{
	TimestampTz at;
	int64		us;				/* within so long a time */
	uint64		transactions;
	uint64		queries;
	uint64		errors;
	uint64		waits;
	uint64		logins;
	uint64		failed_logins;
	PoolerSampleTimes times[POOLER_NTIMES];
} PoolerSample;

/* Starts with nothing; what happened before is not known. */
extern void pooler_http_series_begin(void);

/* Takes a sample if one is due. */
extern void pooler_http_series_tick(TimestampTz now);

/* How many there are, and each of them, the oldest being number 0. */
extern int	pooler_http_series_count(void);
extern const PoolerSample *pooler_http_series_sample(int i);

#endif							/* POOLER_METRICS_INTERNAL_H */
