/*-------------------------------------------------------------------------
 *
 * analysis.c
 *	  The settings under which a statement was prepared.
 *
 * Runs in: pool backends.  On a direct connection a statement is analysed when
 * it is prepared, and with it the meaning of '1/2/2000'::date in its text is
 * fixed, whatever DateStyle is later.  In a pool another backend analyses it
 * again, when the client's settings may be others: so those of the first time
 * are part of the statement, and are put in force while it is analysed.
 *
 *-------------------------------------------------------------------------
 */
#include "backend/analysis.h"
#include "backend/internal.h"
#include "backend/settings.h"

#include "access/xact.h"
#include "parser/analyze.h"

/*
 * Settings that parsing, analysis or rewriting look at.  Core itself sees to
 * search_path, session_replication_role, row_security and the role: when they
 * change it analyses again.  They are here so that clients which differ in
 * them do not share a plan that would change hands all the time.
 */
typedef struct Dependency
{
	const char *name;
	bool		analysis;		/* to be put in force for it */
} Dependency;

static const Dependency dependencies[] = {
	{"standard_conforming_strings", false}, /* first, see below */
	{"search_path", false},
	{"session_replication_role", false},
	{"row_security", false},
	{"DateStyle", true},
	{"IntervalStyle", true},
	{"TimeZone", true},
	{"array_nulls", true},
	{"lc_monetary", true},
	{"transform_null_equals", true},
	{"xmloption", true},
};

#define NDEPENDENCIES	((int) lengthof(dependencies))

/* Where core keeps them. */
static struct config_generic *variables[NDEPENDENCIES];

/* As last seen; current is made of it. */
static int	numbers[NDEPENDENCIES];
static Oid	role;
static PoolerAnalysis *current;

/*---------------------------------------------------------------------------
 * reading
 *---------------------------------------------------------------------------
 */

static void
find_variables(void)
{
	for (int i = 0; i < NDEPENDENCIES; i++)
	{
		variables[i] = pooler_find_setting(dependencies[i].name);
		if (variables[i] == NULL)
			elog(FATAL, "could not find setting \"%s\"", dependencies[i].name);
	}
}

/* Of any but a string. */
static int
number_of(const struct config_generic *variable)
{
	switch (variable->vartype)
	{
		case PGC_BOOL:
			return *((const struct config_bool *) variable)->variable;
		case PGC_INT:
			return *((const struct config_int *) variable)->variable;
		case PGC_ENUM:
			return *((const struct config_enum *) variable)->variable;
		case PGC_REAL:
		case PGC_STRING:
			break;
	}
	return 0;
}

static const char *
string_of(const struct config_generic *variable)
{
	const char *value = *((const struct config_string *) variable)->variable;

	return value ? value : "";
}

/* The role that statements run as, if it is not the one that has logged in. */
static Oid
other_role(void)
{
	return GetUserId() == GetAuthenticatedUserId() ? InvalidOid : GetUserId();
}

/* Looked at for each Parse, so nothing is formatted or allocated. */
static bool
is_current(void)
{
	const char *value = current->data;

	if (role != other_role())
		return false;
	for (int i = 0; i < NDEPENDENCIES; i++)
	{
		if (variables[i]->vartype == PGC_STRING)
		{
			if (strcmp(value, string_of(variables[i])) != 0)
				return false;
		}
		else if (numbers[i] != number_of(variables[i]))
			return false;
		value += strlen(value) + 1;
	}
	return true;
}

/*---------------------------------------------------------------------------
 * references
 *---------------------------------------------------------------------------
 */

static PoolerAnalysis *
make(const char *data, int len)
{
	PoolerAnalysis *result;

	result = MemoryContextAlloc(TopMemoryContext, offsetof(PoolerAnalysis, data) + len);
	result->refs = 1;
	result->len = len;
	memcpy(result->data, data, len);
	return result;
}

void
pooler_analysis_drop(PoolerAnalysis *analysis)
{
	if (--analysis->refs == 0)
		pfree(analysis);
}

static void
read_again(void)
{
	StringInfoData buf;
	PoolerAnalysis *old = current;
	char		number[12];

	initStringInfo(&buf);
	role = other_role();
	for (int i = 0; i < NDEPENDENCIES; i++)
	{
		const char *value = GetConfigOption(dependencies[i].name, false, false);

		appendBinaryStringInfo(&buf, value, strlen(value) + 1);
		numbers[i] = number_of(variables[i]);
	}
	snprintf(number, sizeof(number), "%u", role);
	appendBinaryStringInfo(&buf, number, strlen(number) + 1);
	current = make(buf.data, buf.len);
	if (old != NULL)
		pooler_analysis_drop(old);
	pfree(buf.data);
}

PoolerAnalysis *
pooler_analysis_now(void)
{
	if (variables[0] == NULL)
		find_variables();
	if (current == NULL || !is_current())
		read_again();
	current->refs++;
	return current;
}

/* Most are as the client's settings now. */
PoolerAnalysis *
pooler_analysis_from(const char *data, int len)
{
	if (current != NULL && current->len == len &&
		memcmp(current->data, data, len) == 0)
	{
		current->refs++;
		return current;
	}
	return make(data, len);
}

bool
pooler_analysis_standard_strings(const PoolerAnalysis *analysis)
{
	return strcmp(analysis->data, "on") == 0;
}

/*---------------------------------------------------------------------------
 * putting in force
 *---------------------------------------------------------------------------
 */

/* The analysis for which they are in force; NULL: none. */
static const ParseState *begun;
static int	nest_level;

static post_parse_analyze_hook_type prev_post_parse_analyze_hook;

/*
 * As SET LOCAL inside a function: at the end of the analysis the values are
 * put back, and if it raises, by the end of its transaction.
 */
static void
set(const Dependency *dependency, const char *value)
{
	(void) set_config_option(dependency->name, value, PGC_SUSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
}

void
pooler_analysis_begin(ParseState *pstate, const PoolerAnalysis *analysis)
{
	PoolerAnalysis *now = pooler_analysis_now();
	const char *wanted = analysis->data;
	const char *is = now->data;

	if (analysis != now &&
		(analysis->len != now->len || memcmp(wanted, is, now->len) != 0))
	{
		begun = pstate;
		nest_level = NewGUCNestLevel();
		for (int i = 0; i < NDEPENDENCIES; i++)
		{
			if (dependencies[i].analysis && strcmp(wanted, is) != 0)
				set(&dependencies[i], wanted);
			wanted += strlen(wanted) + 1;
			is += strlen(is) + 1;
		}
	}
	pooler_analysis_drop(now);
}

static void
see_analysed(ParseState *pstate, Query *query, JumbleState *jstate)
{
	if (begun == pstate && begun != NULL)
	{
		begun = NULL;
		AtEOXact_GUC(true, nest_level);
	}
	if (prev_post_parse_analyze_hook)
		prev_post_parse_analyze_hook(pstate, query, jstate);
}

/* An analysis that raised has ended, too; core has put the values back. */
static void
see_transaction_end(XactEvent event, void *arg)
{
	begun = NULL;
}

static void
see_subtransaction_end(SubXactEvent event, SubTransactionId mine,
					   SubTransactionId parent, void *arg)
{
	if (event == SUBXACT_EVENT_ABORT_SUB)
		begun = NULL;
}

void
pooler_analysis_init(void)
{
	prev_post_parse_analyze_hook = post_parse_analyze_hook;
	post_parse_analyze_hook = see_analysed;
	RegisterXactCallback(see_transaction_end, NULL);
	RegisterSubXactCallback(see_subtransaction_end, NULL);
}
