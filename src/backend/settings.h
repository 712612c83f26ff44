/*-------------------------------------------------------------------------
 *
 * settings.h
 *	  Walking over the configuration variables, cheaply.
 *
 *-------------------------------------------------------------------------
 */
#ifndef POOLER_BACKEND_SETTINGS_H
#define POOLER_BACKEND_SETTINGS_H

#include "compat.h"

#include "utils/guc.h"
#include "utils/guc_tables.h"

/* Start with all zeroes. */
typedef struct PoolerSettingIterator
{
#ifdef POOLER_HAVE_NONDEF_LIST
	dlist_node *next;
	struct config_generic *current;
#else
	struct config_generic **vars;
	int			nvars;
	int			i;
#endif
} PoolerSettingIterator;

/* All variables that may differ from their default; NULL at the end. */
#ifdef POOLER_HAVE_NONDEF_LIST
extern struct config_generic *pooler_next_setting(PoolerSettingIterator *it);
#else
static inline struct config_generic *
pooler_next_setting(PoolerSettingIterator *it)
{
	if (it->vars == NULL)
	{
		it->vars = get_guc_variables();
		it->nvars = GetNumConfigOptions();
	}
	return it->i < it->nvars ? it->vars[it->i++] : NULL;
}
#endif

/* NULL if there is none of that name. */
extern struct config_generic *pooler_find_setting(const char *name);

#endif							/* POOLER_BACKEND_SETTINGS_H */
