/*-------------------------------------------------------------------------
 *
 * statement.h
 *	  What a prepared statement in the registry consists of.
 *
 * Runs in: pool backends, which make it (backend/plans.c), and any backend that
 * shows it.
 *
 * Behind the header come parameter types, columns, the settings of analysis.c,
 * and the text with its zero.  Nothing is aligned.  Equal statements have equal
 * bytes, so nothing may be left undefined.
 *
 *-------------------------------------------------------------------------
 */
#ifndef POOLER_STATEMENT_H
#define POOLER_STATEMENT_H

#include "compat.h"

#include "catalog/pg_attribute.h"
#include "shared/registry.h"

typedef struct PoolerStatementHeader
{
	int32		location;		/* of the statement in the text */
	int32		length;
	int32		nparams;
	int32		natts;			/* -1: no result */
	Oid			tdtypeid;
	int32		tdtypmod;
	int32		analysis_len;
	int32		text_len;
	int32		from_sql;
} PoolerStatementHeader;

/* The same with pointers to what comes behind it. */
typedef struct PoolerStatementContent
{
	PoolerStatementHeader header;
	const char *params;
	const char *columns;
	const char *analysis;
	const char *text;
} PoolerStatementContent;

static inline PoolerStatementContent
pooler_statement_read(const char *bytes)
{
	PoolerStatementContent c;

	memcpy(&c.header, bytes, sizeof(PoolerStatementHeader));
	c.params = bytes + sizeof(PoolerStatementHeader);
	c.columns = c.params + c.header.nparams * sizeof(Oid);
	c.analysis = c.columns + Max(c.header.natts, 0) * ATTRIBUTE_FIXED_PART_SIZE;
	c.text = c.analysis + c.header.analysis_len;
	return c;
}

#endif							/* POOLER_STATEMENT_H */
