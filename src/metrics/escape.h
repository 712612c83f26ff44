/*-------------------------------------------------------------------------
 *
 * escape.h
 *	  Text within the format of Prometheus and OpenMetrics.
 *
 * Runs in: the HTTP worker.
 *
 *-------------------------------------------------------------------------
 */
#ifndef POOLER_METRICS_ESCAPE_H
#define POOLER_METRICS_ESCAPE_H

#include "lib/stringinfo.h"

/*
 * Appends text so that it stays one line, and within its quotes if quotes are
 * escaped: those of labels always, those of help texts in OpenMetrics only.
 */
extern void pooler_metrics_escape(StringInfo buf, const char *text, bool quotes);

#endif							/* POOLER_METRICS_ESCAPE_H */
