/*
 * hba_rules.h
 *		How the rules are kept: for hba_rules.c and hba_match.c only.
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

#endif							/* POOLER_AUTH_HBA_RULES_H */
