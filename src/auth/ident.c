/*
 * ident.c
 *		Loading pg_ident.conf, and looking names up in its maps.
 *
 * Runs in the pooler worker.  Owns the parsed lines.  Must not touch core's
 * own list of them (see hba.h).  The decisions are those of check_usermap()
 * and check_ident_usermap() in core's hba.c; the pooler needs them for client
 * certificates only, so that case never folds.
 */
#include "postgres.h"

#include "auth/hba_rules.h"
#include "auth/ident.h"
#include "compat.h"
#include "libpq/hba.h"
#include "mb/pg_wchar.h"
#include "regex/regex.h"
#include "utils/memutils.h"

static MemoryContext ident_cxt; /* holds the lines; NULL: none were loaded */
static List *ident_lines;		/* of IdentLine */

/*
 * ---- loading ----
 */

/* Before 16 a compiled expression is not in the memory context. */
static void
free_lines(MemoryContext cxt, List *lines)
{
	ListCell   *cell;

	foreach(cell, lines)
		pooler_ident_free_line((IdentLine *) lfirst(cell));
	if (cxt != NULL)
		MemoryContextDelete(cxt);
}

static List *
parse_lines(List *tokenized, bool *ok)
{
	List	   *lines = NIL;
	ListCell   *cell;

	foreach(cell, tokenized)
	{
		TokenizedAuthLine *line = (TokenizedAuthLine *) lfirst(cell);
		IdentLine  *parsed = NULL;

		/* the tokenizer has reported its own errors */
		if (line->err_msg == NULL)
			parsed = parse_ident_line(line, LOG);

		if (parsed == NULL)
			*ok = false;
		else
			lines = lappend(lines, parsed);
	}
	return lines;
}

bool
pooler_ident_load(void)
{
	MemoryContext cxt;
	MemoryContext oldcxt;
	PoolerAuthFile file;
	List	   *lines;
	bool		ok = true;

	if (!pooler_ident_file_tokenize(&file, IdentFileName))
		return false;

	cxt = AllocSetContextCreate(CurrentMemoryContext, "pooler ident maps",
								ALLOCSET_SMALL_SIZES);
	oldcxt = MemoryContextSwitchTo(cxt);
	lines = parse_lines(file.lines, &ok);
	MemoryContextSwitchTo(oldcxt);
	pooler_auth_file_free(&file);

	if (!ok)
	{
		free_lines(cxt, lines);
		return false;
	}
	free_lines(ident_cxt, ident_lines);
	MemoryContextSetParent(cxt, TopMemoryContext);
	ident_cxt = cxt;
	ident_lines = lines;
	return true;
}

/*
 * ---- looking up ----
 */

typedef enum LineVerdict
{
	LINE_DIFFERS,
	LINE_ALLOWS,
	LINE_IS_WRONG				/* the search ends here, in vain */
} LineVerdict;

/* The line's expression against a name: what \1 stands for is in match[1]. */
static int
match_expression(regex_t *regex, const char *name, regmatch_t match[2])
{
	pg_wchar   *wide = palloc((strlen(name) + 1) * sizeof(pg_wchar));
	int			len = pg_mb2wchar_with_len(name, wide, strlen(name));
	int			result = pg_regexec(regex, wide, len, 0, NULL, 2, match, 0);

	pfree(wide);
	return result;
}

/*
 * The role that a line names, with the first \1 replaced; NULL if there is
 * nothing to replace it with.  As in core the match counts characters and the
 * name is cut by bytes.
 */
static char *
expand_role(const char *role, const char *place, const char *name,
			const regmatch_t match[2])
{
	if (match[1].rm_so < 0)
		return NULL;
	return psprintf("%.*s%.*s%s", (int) (place - role), role,
					(int) (match[1].rm_eo - match[1].rm_so),
					name + match[1].rm_so, place + 2);
}

static LineVerdict
check_expression(const IdentLine *line, const char *role, Oid roleid,
				 const char *system_user, const char **reason)
{
	regex_t    *regex = pooler_ident_regex(line);
	const char *pattern = pooler_ident_system_user(line) + 1;
	AuthToken	wanted = pooler_ident_role(line);
	regmatch_t	match[2];
	int			result = match_expression(regex, system_user, match);
	const char *place = NULL;

	if (result == REG_NOMATCH)
		return LINE_DIFFERS;
	if (result != REG_OKAY)
	{
		char		text[100];

		pg_regerror(result, regex, text, sizeof(text));
		*reason = psprintf(_("regular expression match for \"%s\" failed: %s"),
						   pattern, text);
		return LINE_IS_WRONG;
	}
	if (!pooler_ident_role_is_special(&wanted))
		place = strstr(wanted.string, "\\1");
	if (place != NULL)
	{
		char	   *expanded = expand_role(wanted.string, place, system_user,
										   match);

		if (expanded == NULL)
		{
			*reason = psprintf(_("regular expression \"%s\" has no subexpressions as requested by backreference in \"%s\""),
							   pattern, wanted.string);
			return LINE_IS_WRONG;
		}
		wanted.string = expanded;
		wanted.quoted = true;	/* a name, whatever it looks like */
	}
	return pooler_hba_role_matches(&wanted, role, roleid) ?
		LINE_ALLOWS : LINE_DIFFERS;
}

static LineVerdict
check_line(const IdentLine *line, const char *role, Oid roleid,
		   const char *system_user, const char **reason)
{
	AuthToken	wanted;

	if (pooler_ident_regex(line) != NULL)
		return check_expression(line, role, roleid, system_user, reason);
	if (strcmp(pooler_ident_system_user(line), system_user) != 0)
		return LINE_DIFFERS;
	wanted = pooler_ident_role(line);
	return pooler_hba_role_matches(&wanted, role, roleid) ?
		LINE_ALLOWS : LINE_DIFFERS;
}

bool
pooler_ident_allows(const char *map, const char *role, Oid roleid,
					const char *system_user, const char **reason)
{
	ListCell   *cell;

	*reason = NULL;
	if (map == NULL || map[0] == '\0')
	{
		if (strcmp(role, system_user) == 0)
			return true;
		*reason = psprintf(_("provided user name (%s) and authenticated user name (%s) do not match"),
						   role, system_user);
		return false;
	}
	foreach(cell, ident_lines)
	{
		const IdentLine *line = (const IdentLine *) lfirst(cell);

		if (strcmp(line->usermap, map) != 0)
			continue;
		switch (check_line(line, role, roleid, system_user, reason))
		{
			case LINE_ALLOWS:
				return true;
			case LINE_IS_WRONG:
				return false;
			case LINE_DIFFERS:
				break;
		}
	}
	*reason = psprintf(_("no match in usermap \"%s\" for user \"%s\" authenticated as \"%s\""),
					   map, role, system_user);
	return false;
}
