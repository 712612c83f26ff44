/*-------------------------------------------------------------------------
 *
 * setting_list.h
 *	  All settings of the pooler, as the console lists and finds them.
 *
 * Runs in: any process; reads this process's values.
 *
 *-------------------------------------------------------------------------
 */
#ifndef POOLER_SETTING_LIST_H
#define POOLER_SETTING_LIST_H

#include "compat.h"

#include "nodes/pg_list.h"

typedef struct PoolerSettingItem
{
	const char *name;			/* "pooler.x" */
	const char *pgbouncer_name; /* what PgBouncer calls it, or "x" */
	char	   *value;			/* numbers in the setting's own unit, booleans
								 * as 0 and 1, as PgBouncer shows them */
	char	   *boot;
	bool		reloadable;		/* else a change needs a restart */
} PoolerSettingItem;

/* By PgBouncer's name; in the caller's memory context. */
extern List *pooler_setting_list(void);

/*
 * The one of that name, with or without "pooler.", ours or PgBouncer's, in
 * any case; NULL if there is none.
 */
extern PoolerSettingItem *pooler_setting_find(const char *name);

#endif							/* POOLER_SETTING_LIST_H */
