/*-------------------------------------------------------------------------
 *
 * lists.c
 *	  The settings that are lists with a grammar of their own.
 *
 * Runs in: any process.  Takes strings apart and looks at nothing else: check
 * hooks use it in processes that have no catalogs.
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "nodes/pg_list.h"
#include "parser/scansup.h"
#include "shared/lists.h"
#include "utils/varlena.h"

/*---------------------------------------------------------------------------
 * pooler.prefork
 *---------------------------------------------------------------------------
 */

/*
 * One "database/role" item: the slash that counts is the first one outside
 * double quotes, and either part may be quoted as an identifier.
 */
static bool
parse_prefork_item(char *item, PoolerPreforkItem *result)
{
	char	   *slash = NULL;
	bool		quoted = false;
	List	   *part;

	for (char *p = item; *p && slash == NULL; p++)
	{
		if (*p == '"')
			quoted = !quoted;
		else if (*p == '/' && !quoted)
			slash = p;
	}
	if (slash == NULL || slash == item || slash[1] == '\0')
		return false;
	if (slash[1] != '"' && strchr(slash + 1, '/') != NULL)
		return false;			/* a name with a slash has to be quoted */
	*slash = '\0';
	if (!SplitIdentifierString(item, ',', &part) || list_length(part) != 1)
		return false;
	result->database = linitial(part);
	if (!SplitIdentifierString(slash + 1, ',', &part) || list_length(part) != 1)
		return false;
	result->role = linitial(part);
	return true;
}

/*
 * Cuts the list at commas outside double quotes, in place.  *rest is NULL after
 * the last item; what is between two commas, or behind the last, is an item
 * even if it is empty.
 */
static char *
next_prefork_item(char **rest)
{
	char	   *start = *rest;
	bool		quoted = false;
	char	   *p;

	if (start == NULL)
		return NULL;
	while (isspace((unsigned char) *start))
		start++;
	for (p = start; *p && (quoted || *p != ','); p++)
	{
		if (*p == '"')
			quoted = !quoted;
	}
	*rest = *p ? p + 1 : NULL;
	while (p > start && isspace((unsigned char) p[-1]))
		p--;
	*p = '\0';
	return start;
}

bool
pooler_parse_prefork(const char *value, struct List **items)
{
	char	   *rest = pstrdup(value ? value : "");
	char	   *item;
	List	   *result = NIL;

	if (strspn(rest, " \t\n\r") == strlen(rest))
		rest = NULL;			/* an empty list */
	while ((item = next_prefork_item(&rest)) != NULL)
	{
		PoolerPreforkItem *parsed = palloc(sizeof(PoolerPreforkItem));

		if (!parse_prefork_item(item, parsed))
			return false;
		result = lappend(result, parsed);
	}
	*items = result;
	return true;
}

/*---------------------------------------------------------------------------
 * pooler.aliases
 *---------------------------------------------------------------------------
 */

static void
skip_space(const char **p)
{
	while (scanner_isspace(**p))
		(*p)++;
}

/* A name in double quotes, where two stand for one.  NULL if it has no end. */
static char *
scan_quoted(const char **p)
{
	char	   *name = palloc(strlen(*p));
	int			len = 0;

	for ((*p)++; **p != '\0'; (*p)++)
	{
		if (**p == '"' && *++(*p) != '"')
		{
			name[len] = '\0';
			truncate_identifier(name, len, false);
			return name;
		}
		name[len++] = **p;
	}
	return NULL;
}

/* A name as in SQL, and as lenient as other lists of names.  NULL: none. */
static char *
scan_name(const char **p)
{
	const char *start;
	char	   *name;

	skip_space(p);
	start = *p;
	if (*start == '"')
		name = scan_quoted(p);
	else
	{
		while (**p != '\0' && !scanner_isspace(**p) && strchr(",=\"", **p) == NULL)
			(*p)++;
		name = downcase_truncate_identifier(start, *p - start, false);
	}
	skip_space(p);
	return name != NULL && name[0] != '\0' ? name : NULL;
}

static PoolerAlias *
scan_alias(const char **p)
{
	PoolerAlias *item = palloc0(sizeof(PoolerAlias));

	item->alias = scan_name(p);
	if (item->alias == NULL || **p != '=')
		return NULL;
	(*p)++;
	item->database = scan_name(p);
	if (item->database == NULL)
		return NULL;
	if (**p != ',' && **p != '\0')
	{
		item->role = scan_name(p);
		if (item->role == NULL)
			return NULL;
	}
	return **p == ',' || **p == '\0' ? item : NULL;
}

const PoolerAlias *
pooler_find_alias(struct List *aliases, const char *name)
{
	ListCell   *cell;

	foreach(cell, aliases)
	{
		const PoolerAlias *item = lfirst(cell);

		if (strcmp(item->alias, name) == 0)
			return item;
	}
	return NULL;
}

PoolerAliasesError
pooler_parse_aliases(const char *value, struct List **aliases, const char **name)
{
	const char *p = value ? value : "";
	List	   *result = NIL;

	*aliases = NIL;
	skip_space(&p);
	while (*p != '\0')
	{
		PoolerAlias *item = scan_alias(&p);

		/* each is looked for among all before it: a long list takes time */
		CHECK_FOR_INTERRUPTS();
		if (item == NULL)
			return POOLER_ALIASES_SYNTAX;
		*name = item->alias;
		if (strcmp(item->alias, "pgbouncer") == 0 ||
			strcmp(item->alias, "pooler") == 0)
			return POOLER_ALIASES_CONSOLE;
		if (pooler_find_alias(result, item->alias) != NULL)
			return POOLER_ALIASES_DUPLICATE;
		result = lappend(result, item);
		if (*p == ',' && *++p == '\0')
			return POOLER_ALIASES_SYNTAX;
	}
	*aliases = result;
	return POOLER_ALIASES_OK;
}
