/*-------------------------------------------------------------------------
 *
 * page.h
 *	  The files of the page, which never change while the server runs.
 *
 * Runs in: the HTTP worker.  Constants only.
 *
 *-------------------------------------------------------------------------
 */
#ifndef POOLER_PAGE_H
#define POOLER_PAGE_H

#include <stddef.h>

/*
 * All are served with X-Content-Type-Options: nosniff and Cache-Control:
 * no-store, besides.
 */
typedef struct PoolerPageFile
{
	const char *path;			/* "/" is the page itself */
	const char *type;			/* Content-Type */
	const char *policy;			/* Content-Security-Policy */
	const char *body;
	size_t		size;			/* without a final 0 */
} PoolerPageFile;

extern const PoolerPageFile pooler_page_files[];
extern const int pooler_page_nfiles;

#endif							/* POOLER_PAGE_H */
