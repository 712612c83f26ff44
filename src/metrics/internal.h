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

/* Starts with nothing; what happened before is not known. */
extern void pooler_http_series_begin(void);

/* Takes a sample if one is due. */
extern void pooler_http_series_tick(TimestampTz now);

#endif							/* POOLER_METRICS_INTERNAL_H */
