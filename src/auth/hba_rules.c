/*
 * hba_rules.c
 *		Loading pg_hba.conf.
 *
 * Runs in the pooler worker.  Owns the parsed rules.  Must not touch core's
 * own list of rules (see hba.h), and must not leave anything behind when the
 * file is wrong.
 */
#include "postgres.h"

#include "auth/hba_rules.h"
#include "compat.h"
#include "libpq/hba.h"
#include "miscadmin.h"
#include "utils/guc.h"
#include "utils/memutils.h"

/*
 * Parse every line, also after a mistake, so that one reload reports all of
 * them.  Returns whether there was none.
 */
static bool
parse_lines(PoolerHbaRules *rules, List *tokenized, int elevel)
{
	bool		ok = true;
	ListCell   *cell;

	foreach(cell, tokenized)
	{
		TokenizedAuthLine *line = (TokenizedAuthLine *) lfirst(cell);
		HbaLine    *parsed = NULL;

		/* the tokenizer has reported its own errors */
		if (line->err_msg == NULL)
			parsed = parse_hba_line(line, elevel);

		if (parsed == NULL)
			ok = false;
		else
			rules->lines = lappend(rules->lines, parsed);
	}

	if (ok && rules->lines == NIL)
	{
		ereport(elevel,
				(errcode(ERRCODE_CONFIG_FILE_ERROR),
				 errmsg("configuration file \"%s\" contains no entries",
						HbaFileName)));
		ok = false;
	}

	return ok;
}

PoolerHbaRules *
pooler_hba_load(int elevel)
{
	MemoryContext rulecxt;
	MemoryContext oldcxt;
	PoolerHbaRules *rules;
	PoolerAuthFile file;
	bool		ok;

	Assert(elevel < ERROR);

	if (!pooler_auth_file_tokenize(&file, HbaFileName, elevel))
		return NULL;

	/*
	 * Below the caller's context until everything has worked, so that an
	 * error thrown on the way (out of memory) leaks nothing.  Regular
	 * expressions (16 and later) are compiled into it, too.
	 */
	rulecxt = AllocSetContextCreate(CurrentMemoryContext, "pooler hba rules",
									ALLOCSET_SMALL_SIZES);
	oldcxt = MemoryContextSwitchTo(rulecxt);
	rules = palloc0(sizeof(PoolerHbaRules));
	rules->cxt = rulecxt;
	ok = parse_lines(rules, file.lines, elevel);
	MemoryContextSwitchTo(oldcxt);

	pooler_auth_file_free(&file);

	if (!ok)
	{
		MemoryContextDelete(rulecxt);
		return NULL;
	}
	MemoryContextSetParent(rulecxt, TopMemoryContext);
	return rules;
}

void
pooler_hba_free(PoolerHbaRules *rules)
{
	if (rules != NULL)
		MemoryContextDelete(rules->cxt);
}
