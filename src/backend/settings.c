/*-------------------------------------------------------------------------
 *
 * settings.c
 *	  Configuration variables: walking over them cheaply, finding one, values
 *	  as text.
 *
 * Runs in: pool backends, at each hand-over.  Before 16 core hands out its
 * array.  Since then a walk over all variables allocates and sorts, but those
 * that do not have their default are in a list, whose links are part of the
 * public struct: from any member one can walk around it.  Its head, which is
 * private, is recognized as the one node that belongs to no variable.
 *
 *-------------------------------------------------------------------------
 */
#include "backend/internal.h"
#include "backend/settings.h"

#include "catalog/pg_authid.h"
#include "common/shortest_dec.h"

#ifdef POOLER_HAVE_NONDEF_LIST

static dlist_node *nondef_head;

static bool
is_variable(struct config_generic **vars, int n, dlist_node *node)
{
	for (int i = 0; i < n; i++)
	{
		if (&vars[i]->nondef_link == node)
			return true;
	}
	return false;
}

/* data_directory is never at its default, so it is in the list. */
static void
find_nondef_head(void)
{
	int			n;
	struct config_generic **vars = get_guc_variables(&n);
	struct config_generic *member = pooler_find_setting("data_directory");
	dlist_node *node;

	if (member == NULL || member->source == PGC_S_DEFAULT)
		ereport(FATAL,
				(errcode(ERRCODE_SYSTEM_ERROR),
				 errmsg("could not find the list of configuration variables")));
	node = member->nondef_link.next;
	while (node != &member->nondef_link && is_variable(vars, n, node))
		node = node->next;
	if (node == &member->nondef_link)
		ereport(FATAL,
				(errcode(ERRCODE_SYSTEM_ERROR),
				 errmsg("could not find the list of configuration variables")));
	nondef_head = node;
	pfree(vars);
}

struct config_generic *
pooler_next_setting(PoolerSettingIterator *it)
{
	if (nondef_head == NULL)
		find_nondef_head();
	if (it->next == NULL)
		it->next = nondef_head->next;
	if (it->next == nondef_head)
		return NULL;
	it->current = dlist_container(struct config_generic, nondef_link, it->next);
	it->next = it->next->next;
	return it->current;
}

#endif

#ifndef POOLER_HAVE_NONDEF_LIST

/* The same in every locale, so that the array stays sorted. */
static inline int
fold(char c)
{
	return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c;
}

int
pooler_setting_name_compare(const char *a, const char *b)
{
	while (*a && *b)
	{
		int			diff = fold(*a++) - fold(*b++);

		if (diff != 0)
			return diff;
	}
	return (*a != '\0') - (*b != '\0');
}

int
pooler_setting_position(const char *name, int n)
{
	struct config_generic **vars = get_guc_variables();
	int			low = 0;

	while (low < n)
	{
		int			middle = (low + n) / 2;

		if (pooler_setting_name_compare(vars[middle]->name, name) < 0)
			low = middle + 1;
		else
			n = middle;
	}
	return low;
}

struct config_generic *
pooler_find_setting(const char *name)
{
	int			n = GetNumConfigOptions() - pooler_placeholders_hidden;
	int			i = pooler_setting_position(name, n);
	struct config_generic *gconf = i < n ? get_guc_variables()[i] : NULL;

	return gconf != NULL && pooler_setting_name_compare(gconf->name, name) == 0 ?
		gconf : NULL;
}

#else

struct config_generic *
pooler_find_setting(const char *name)
{
	return find_option(name, false, true, 0);
}

#endif

struct config_generic *
pooler_setting_role(void)
{
	static struct config_generic *gconf = NULL;

	if (gconf == NULL)
		gconf = pooler_find_setting("role");
	return gconf;
}

struct config_generic *
pooler_setting_session_authorization(void)
{
	static struct config_generic *gconf = NULL;

	if (gconf == NULL)
		gconf = pooler_find_setting("session_authorization");
	return gconf;
}

/*---------------------------------------------------------------------------
 * values
 *---------------------------------------------------------------------------
 */

union config_var_val
pooler_setting_value(struct config_generic *gconf)
{
	union config_var_val value = {0};

	switch (gconf->vartype)
	{
		case PGC_BOOL:
			value.boolval = *((struct config_bool *) gconf)->variable;
			break;
		case PGC_INT:
			value.intval = *((struct config_int *) gconf)->variable;
			break;
		case PGC_REAL:
			value.realval = *((struct config_real *) gconf)->variable;
			break;
		case PGC_STRING:
			value.stringval = *((struct config_string *) gconf)->variable;
			break;
		case PGC_ENUM:
			value.enumval = *((struct config_enum *) gconf)->variable;
			break;
	}
	return value;
}

union config_var_val
pooler_setting_reset_value(struct config_generic *gconf)
{
	union config_var_val value = {0};

	switch (gconf->vartype)
	{
		case PGC_BOOL:
			value.boolval = ((struct config_bool *) gconf)->reset_val;
			break;
		case PGC_INT:
			value.intval = ((struct config_int *) gconf)->reset_val;
			break;
		case PGC_REAL:
			value.realval = ((struct config_real *) gconf)->reset_val;
			break;
		case PGC_STRING:
			value.stringval = ((struct config_string *) gconf)->reset_val;
			break;
		case PGC_ENUM:
			value.enumval = ((struct config_enum *) gconf)->reset_val;
			break;
	}
	return value;
}

/*
 * Not what SHOW says: that rounds, depends on the assign hooks of others, and
 * need not be accepted by SET.
 */
const char *
pooler_setting_text(struct config_generic *gconf, union config_var_val value,
					char *buf)
{
	switch (gconf->vartype)
	{
		case PGC_BOOL:
			return value.boolval ? "on" : "off";
		case PGC_INT:
			snprintf(buf, POOLER_SETTING_TEXT, "%d", value.intval);
			return buf;
		case PGC_REAL:
			/* exact, and shorter than with all 17 digits */
			StaticAssertStmt(POOLER_SETTING_TEXT >= DOUBLE_SHORTEST_DECIMAL_LEN,
							 "no room for a real");
			double_to_shortest_decimal_buf(value.realval, buf);
			return buf;
		case PGC_STRING:
			return value.stringval;
		case PGC_ENUM:
			return config_enum_lookup_by_value((struct config_enum *) gconf,
											   value.enumval);
	}
	return NULL;				/* keep the compiler quiet */
}

Oid
pooler_setting_role_id(struct config_generic *gconf)
{
	if (gconf == pooler_setting_role())
		return GetCurrentRoleId();
	if (gconf == pooler_setting_session_authorization())
		return GetSessionUserId();
	return InvalidOid;
}

/* What a library has forbidden to clients is not forbidden to us. */
void
pooler_setting_reset(struct config_generic *gconf)
{
	int			flags = gconf->flags;

	gconf->flags &= ~POOLER_GUC_NO_RESET;
	(void) set_config_option_ext(gconf->name, NULL, PGC_SUSET, PGC_S_SESSION,
								 BOOTSTRAP_SUPERUSERID, GUC_ACTION_SET, true,
								 DEBUG5, false);
	gconf->flags = flags;
}

void
pooler_setting_source_default(struct config_generic *gconf)
{
#ifdef POOLER_HAVE_NONDEF_LIST
	if (gconf->source != PGC_S_DEFAULT)
		dlist_delete(&gconf->nondef_link);
#endif
	gconf->source = PGC_S_DEFAULT;
}

void *
pooler_setting_room(void *array, int n, int *max, Size size)
{
	if (n < *max)
		return array;
	*max = Max(16, *max * 2);
	if (array == NULL)
		return MemoryContextAlloc(TopMemoryContext, *max * size);
	return repalloc(array, *max * size);
}
