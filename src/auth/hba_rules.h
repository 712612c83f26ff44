/*
 * hba_rules.h
 *		How the rules are kept, and what the matching of rules and that of
 *		maps have in common: for hba_rules.c, hba_match.c and ident.c only.
 */
#ifndef POOLER_AUTH_HBA_RULES_H
#define POOLER_AUTH_HBA_RULES_H

#include "auth/hba.h"
#include "nodes/pg_list.h"

struct PoolerHbaRules
{
	MemoryContext cxt;			/* holds the lines and this struct */
	List	   *lines;			/* of HbaLine, in the order of the file */
};

/*
 * Does a word in the place of a role mean this one?  It may be a name, "all",
 * a group or an expression.  roleid is InvalidOid if there is no such role.
 * Needs what pooler_hba_match() needs.
 */
extern bool pooler_hba_role_matches(const AuthToken *token, const char *role,
									Oid roleid);

#endif							/* POOLER_AUTH_HBA_RULES_H */
