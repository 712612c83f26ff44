/*-------------------------------------------------------------------------
 *
 * set_request.h
 *	  SET on the console: what is asked of the process that carries it out,
 *	  and its answer.
 *
 * Runs in: the pooler, which asks (worker/console_set.c), and a background
 * worker that is started for one request (console/set_setting.c).
 *
 *-------------------------------------------------------------------------
 */
#ifndef POOLER_SET_REQUEST_H
#define POOLER_SET_REQUEST_H

#include "c.h"

#include "storage/spin.h"

/* At a time; others wait. */
#define POOLER_SET_REQUESTS		4

typedef struct PoolerSetRequest
{
	slock_t		mutex;			/* protects the following: */

	/*
	 * Of this use of the slot; 0: free.  A process that finds another number
	 * than the one it was started with outlived the pooler that asked.
	 */
	uint32		number;

	/* written by the pooler */
	Oid			dbid;			/* where to connect to */
	Oid			roleid;			/* as whom */
	char		name[NAMEDATALEN];
	bool		to_default;
	char		value[1024];

	/* written by the background worker; sqlstate "00000" if all went well */
	bool		answered;
	char		sqlstate[6];
	char		message[256];
	char		detail[256];	/* may be empty, as the hint */
	char		hint[256];
} PoolerSetRequest;

#endif							/* POOLER_SET_REQUEST_H */
