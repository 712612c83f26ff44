/*-------------------------------------------------------------------------
 *
 * metrics.h
 *	  What the rest of the library needs to know of the HTTP worker.
 *
 *-------------------------------------------------------------------------
 */
#ifndef POOLER_METRICS_H
#define POOLER_METRICS_H

/*
 * Registers the static background worker; from _PG_init.  In a build without
 * libmicrohttpd there is none, and the log says so if pooler.http_port is set.
 */
extern void pooler_http_register(void);

#endif							/* POOLER_METRICS_H */
