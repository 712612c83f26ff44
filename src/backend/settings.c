/*-------------------------------------------------------------------------
 *
 * settings.c
 *	  Walking over the configuration variables, cheaply.
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
struct config_generic *
pooler_find_setting(const char *name)
{
	PoolerSettingIterator it = {0};
	struct config_generic *gconf;

	while ((gconf = pooler_next_setting(&it)) != NULL)
	{
		if (pg_strcasecmp(gconf->name, name) == 0)
			return gconf;
	}
	return NULL;
}
#else
struct config_generic *
pooler_find_setting(const char *name)
{
	return find_option(name, false, true, 0);
}
#endif

/*---------------------------------------------------------------------------
 * the session's settings
 *---------------------------------------------------------------------------
 */

bool
pooler_settings_changed(void)
{
	return false;
}

uint64
pooler_settings_save(StringInfo part)
{
	return 0;
}

void
pooler_settings_restore(const char *startup, int startup_len,
						const char *part, int len)
{
}

void
pooler_settings_forget(void)
{
}
