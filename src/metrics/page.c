/*-------------------------------------------------------------------------
 *
 * page.c
 *	  The files of the page.
 *
 * Runs in: the HTTP worker.  Constants only.
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "metrics/page.h"

#define PLACE_HOLDER "pooler\n"

const PoolerPageFile pooler_page_files[] = {
	{
		.path = "/",
		.type = "text/plain; charset=utf-8",
		.policy = "default-src 'none'",
		.body = PLACE_HOLDER,
		.size = sizeof(PLACE_HOLDER) - 1
	},
};

const int	pooler_page_nfiles = (int) lengthof(pooler_page_files);
