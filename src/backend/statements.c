/*-------------------------------------------------------------------------
 *
 * statements.c
 *	  Named prepared statements.
 *
 *-------------------------------------------------------------------------
 */
#include "backend/internal.h"

void
pooler_statements_init(void)
{
}

void
pooler_statements_see_parse(void)
{
}

void
pooler_statements_see_close(void)
{
}

bool
pooler_statements_changed(void)
{
	return false;
}

bool
pooler_statements_intern(void)
{
	return true;
}

uint64
pooler_statements_save(StringInfo part)
{
	return 0;
}

void
pooler_statements_restore(const char *part, int len)
{
}

void
pooler_statements_renew(const char *part, int len)
{
}
