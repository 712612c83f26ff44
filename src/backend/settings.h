/*-------------------------------------------------------------------------
 *
 * settings.h
 *	  Configuration variables: what the files that save and restore them
 *	  share.
 *
 *	settings.c			walking, finding, values as text
 *	session_settings.c	what a session has set
 *	startup_settings.c	what a client asked for when it connected
 *	placeholders.c		custom variables that no library has defined
 *
 *-------------------------------------------------------------------------
 */
#ifndef POOLER_BACKEND_SETTINGS_H
#define POOLER_BACKEND_SETTINGS_H

#include "compat.h"

#include "lib/stringinfo.h"
#include "utils/guc.h"
#include "utils/guc_tables.h"

/*---------------------------------------------------------------------------
 * settings.c
 *---------------------------------------------------------------------------
 */

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

/*
 * All variables that may differ from their default; NULL at the end.  None
 * but the one that was returned last may be changed meanwhile.
 */
#ifdef POOLER_HAVE_NONDEF_LIST
extern struct config_generic *pooler_next_setting(PoolerSettingIterator *it);
#else
/* At the end of core's array, of no interest to anybody; placeholders.c. */
extern int	pooler_placeholders_hidden;

static inline struct config_generic *
pooler_next_setting(PoolerSettingIterator *it)
{
	if (it->vars == NULL)
	{
		it->vars = get_guc_variables();
		it->nvars = GetNumConfigOptions() - pooler_placeholders_hidden;
	}
	return it->i < it->nvars ? it->vars[it->i++] : NULL;
}

/* Core's order of names, by which its array is sorted. */
extern int	pooler_setting_name_compare(const char *a, const char *b);

/* Where a name stands, or would stand, in the first n of core's array. */
extern int	pooler_setting_position(const char *name, int n);
#endif

/* NULL if there is none of that name. */
extern struct config_generic *pooler_find_setting(const char *name);

/* The variables "role" and "session_authorization", which are never replaced. */
extern struct config_generic *pooler_setting_role(void);
extern struct config_generic *pooler_setting_session_authorization(void);

/*
 * Has this been set by the session, and does it outlive a transaction?  What
 * RESET ALL leaves alone is core's business, but for the two that say who one
 * is.
 */
static inline bool
pooler_setting_is_set(struct config_generic *gconf)
{
	if (gconf->source != PGC_S_SESSION)
		return false;
	if (gconf->context != PGC_USERSET && gconf->context != PGC_SUSET)
		return false;
	return (gconf->flags & GUC_NO_RESET_ALL) == 0 ||
		gconf == pooler_setting_role() ||
		gconf == pooler_setting_session_authorization();
}

/*
 * A custom variable that a session has made, but that has no value: SHOW
 * gives '' instead of an error.  One that has ever been in the configuration
 * file is there for everybody.
 */
static inline bool
pooler_setting_is_known(struct config_generic *gconf)
{
	return (gconf->flags & GUC_CUSTOM_PLACEHOLDER) != 0 &&
		gconf->source == PGC_S_DEFAULT && gconf->reset_source == PGC_S_DEFAULT &&
		gconf->sourcefile == NULL;
}

/* The value in force, and that of RESET; strings belong to core. */
extern union config_var_val pooler_setting_value(struct config_generic *gconf);
extern union config_var_val pooler_setting_reset_value(struct config_generic *gconf);

/*
 * A value as a text that makes exactly the same value again, independently of
 * units and of other settings.  In buf, or core's own string; NULL for a
 * string that is NULL.
 */
#define POOLER_SETTING_TEXT 64
extern const char *pooler_setting_text(struct config_generic *gconf,
									   union config_var_val value, char *buf);

/* The role that the value of one of the two above stands for, else 0. */
extern Oid	pooler_setting_role_id(struct config_generic *gconf);

/* RESET.  Needs no transaction, and then is not undone by one. */
extern void pooler_setting_reset(struct config_generic *gconf);

/*
 * Makes a source PGC_S_DEFAULT; the value is then to be set again, with any
 * source.
 */
extern void pooler_setting_source_default(struct config_generic *gconf);

/*
 * Gives an array of n elements room for one more, in TopMemoryContext: these
 * arrays are made again at each hand-over, and keep their memory.
 */
extern void *pooler_setting_room(void *array, int n, int *max, Size size);

/*---------------------------------------------------------------------------
 * startup_settings.c
 *
 * Startup settings are passed as pairs of strings, one after the other, as a
 * backend that core had started with them reported them.
 *---------------------------------------------------------------------------
 */

/*
 * Takes back those in force here that are not among these.  Not in a
 * transaction; can't fail but for lack of memory.
 */
extern void pooler_startup_undo(const char *pairs, int len);

/* Are these in force? */
extern bool pooler_startup_in_force(const char *pairs, int len);

/* Puts them in force.  In a transaction; raises what core raises. */
extern void pooler_startup_apply(const char *pairs, int len);

/*---------------------------------------------------------------------------
 * placeholders.c
 *---------------------------------------------------------------------------
 */

/* How many variables there are; changes whenever one is made. */
extern int	pooler_placeholders_variables(void);

/*
 * Those of which pooler_setting_is_known() is true.  The array is valid until
 * the next call.
 */
extern int	pooler_placeholders_known(struct config_generic ***known);

/* Makes as if it had never been made.  Must be known(). */
extern void pooler_placeholder_remove(struct config_generic *gconf);

/*
 * Makes one without a value.  False if core does not allow that name, because
 * a library has reserved its prefix, say.
 */
extern bool pooler_placeholder_make(const char *name);

#endif							/* POOLER_BACKEND_SETTINGS_H */
