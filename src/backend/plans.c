/*-------------------------------------------------------------------------
 *
 * plans.c
 *	  Core's plan sources of prepared statements, seen as ours.
 *
 * Runs in: pool backends.  Core has one CachedPlanSource for each prepared
 * statement of a session (plancache.c).  Here they outlast the session: there
 * is one for each statement of the registry that this process has got to know,
 * and the names of clients, one after the other, lead to it.
 *
 * A statement that this process does not know is made without a look into the
 * catalogs: its text is parsed, its types and result columns are those that
 * core found in the first place, and it is marked as invalid.  Core analyses
 * it at its first use, as it does after any change of a table, and raises what
 * it has to raise, such as that its result type must not change.
 *
 *-------------------------------------------------------------------------
 */
#include "backend/plans.h"

#include "backend/internal.h"
#include "catalog/pg_type.h"
#include "nodes/nodeFuncs.h"
#include "parser/analyze.h"
#include "parser/parse_param.h"
#include "parser/parser.h"
#include "shared/statement.h"
#include "tcop/utility.h"
#include "utils/hsearch.h"

/* So many plans that no name leads to are kept. */
#define MAX_KEPT		1000

/* How many of them are looked at when statements have been evicted. */
#define MAX_LOOKED_AT	16

/*---------------------------------------------------------------------------
 * watching sources
 *---------------------------------------------------------------------------
 */

static void drop_from_table(PoolerPlan *plan);

static dlist_head kept = DLIST_STATIC_INIT(kept);
static int	nkept;

/* Its memory is about to be freed. */
static void
gone(void *arg)
{
	PoolerPlan *plan = arg;
	PoolerPlanUse use = plan->use;

	pooler_plan_set_use(plan, POOLER_PLAN_NEW);
	if (plan->id != 0)
		drop_from_table(plan);
	if (use == POOLER_PLAN_NAMED || plan->held)
		pooler_names_see_gone(plan);
	if (use == POOLER_PLAN_UNNAMED)
		pooler_unnamed_see_gone(plan);
	pooler_analysis_drop(plan->analysis);
}

static PoolerPlan *
plan_of(const CachedPlanSource *source)
{
	for (MemoryContextCallback *c = source->context->reset_cbs; c; c = c->next)
	{
		if (c->func == gone)
			return c->arg;
	}
	return NULL;
}

PoolerPlan *
pooler_plan_watch(CachedPlanSource *source)
{
	PoolerPlan *plan = plan_of(source);

	if (plan != NULL)
		return plan;
	plan = MemoryContextAllocZero(source->context, sizeof(PoolerPlan));
	plan->source = source;
	plan->analysis = pooler_analysis_now();
	plan->callback.func = gone;
	plan->callback.arg = plan;
	MemoryContextRegisterResetCallback(source->context, &plan->callback);
	return plan;
}

void
pooler_plan_set_use(PoolerPlan *plan, PoolerPlanUse use)
{
	if (plan->use == POOLER_PLAN_KEPT)
	{
		dlist_delete(&plan->node);
		nkept--;
	}
	plan->use = use;
	if (use == POOLER_PLAN_KEPT)
	{
		dlist_push_tail(&kept, &plan->node);
		nkept++;
	}
}

/*
 * Core's list of saved sources is private, but its links are not: behind a
 * source that has just been saved comes the list's head.
 */
static dlist_node *
list_head_of_core(void)
{
	static dlist_node *head = NULL;

	if (head == NULL)
	{
		CachedPlanSource *last = pooler_plan_make_empty();

		SaveCachedPlan(last);
		head = last->node.next;
		DropCachedPlan(last);
	}
	return head;
}

CachedPlanSource *
pooler_plan_newest(void)
{
	dlist_node *head = list_head_of_core();

	if (head->prev == head)
		return NULL;
	return dlist_container(CachedPlanSource, node, head->prev);
}

/*---------------------------------------------------------------------------
 * content
 *---------------------------------------------------------------------------
 */

/* Field by field, since core leaves padding and some fields undefined. */
static void
copy_column(Form_pg_attribute to, const FormData_pg_attribute *from)
{
	memset(to, 0, ATTRIBUTE_FIXED_PART_SIZE);
	strlcpy(NameStr(to->attname), NameStr(from->attname), NAMEDATALEN);
	to->atttypid = from->atttypid;
	to->attlen = from->attlen;
	to->attnum = from->attnum;
	to->atttypmod = from->atttypmod;
	to->attndims = from->attndims;
	to->attbyval = from->attbyval;
	to->attalign = from->attalign;
	to->attstorage = from->attstorage;
	to->attcompression = from->attcompression;
	to->attnotnull = from->attnotnull;
	to->atthasdef = from->atthasdef;
	to->atthasmissing = from->atthasmissing;
	to->attidentity = from->attidentity;
	to->attgenerated = from->attgenerated;
	to->attisdropped = from->attisdropped;
	to->attislocal = from->attislocal;
	to->attinhcount = from->attinhcount;
	to->attcollation = from->attcollation;
	pooler_column_copy_target(to, from);
	pooler_column_offset_unknown(to);
}

static void
append_columns(StringInfo content, TupleDesc desc)
{
	for (int i = 0; desc != NULL && i < desc->natts; i++)
	{
		FormData_pg_attribute column;

		copy_column(&column, TupleDescAttr(desc, i));
		appendBinaryStringInfo(content, (char *) &column, ATTRIBUTE_FIXED_PART_SIZE);
	}
}

void
pooler_plan_describe(PoolerPlan *plan, bool from_sql, StringInfo content)
{
	const CachedPlanSource *source = plan->source;
	const RawStmt *raw = source->raw_parse_tree;
	TupleDesc	desc = source->resultDesc;
	PoolerStatementHeader header = {0};

	header.location = raw ? raw->stmt_location : 0;
	header.length = raw ? raw->stmt_len : 0;
	header.nparams = source->num_params;
	header.natts = desc ? desc->natts : -1;
	header.tdtypeid = desc ? desc->tdtypeid : InvalidOid;
	header.tdtypmod = desc ? desc->tdtypmod : -1;
	header.analysis_len = plan->analysis->len;
	header.text_len = strlen(source->query_string) + 1;
	header.from_sql = from_sql;
	appendBinaryStringInfo(content, (char *) &header, sizeof(header));
	appendBinaryStringInfo(content, (char *) source->param_types,
						   header.nparams * sizeof(Oid));
	append_columns(content, desc);
	appendBinaryStringInfo(content, plan->analysis->data, header.analysis_len);
	appendBinaryStringInfo(content, source->query_string, header.text_len);
}

/*---------------------------------------------------------------------------
 * parsing again
 *---------------------------------------------------------------------------
 */

/*
 * What the text was parsed under decides how; what it could warn of, or refuse
 * because of the client's encoding, was said then.
 */
static List *
parse(const char *text, bool standard_strings)
{
	bool		was_standard = standard_conforming_strings;
	bool		was_warning = escape_string_warning;
	int			was_backslash = backslash_quote;
	List	   *result = NIL;

	standard_conforming_strings = standard_strings;
	escape_string_warning = false;
	backslash_quote = BACKSLASH_QUOTE_ON;
	PG_TRY();
	{
		result = raw_parser(text, RAW_PARSE_DEFAULT);
	}
	PG_FINALLY();
	{
		standard_conforming_strings = was_standard;
		escape_string_warning = was_warning;
		backslash_quote = was_backslash;
	}
	PG_END_TRY();
	return result;
}

/*
 * The statement that was prepared: by protocol it is the only one in its text,
 * by SQL it is what a PREPARE among others contains.  NULL if it is empty.
 */
static RawStmt *
find_statement(List *parsed, const PoolerStatementHeader *header)
{
	ListCell   *lc;

	foreach(lc, parsed)
	{
		RawStmt    *raw = lfirst_node(RawStmt, lc);
		RawStmt    *result;

		if (!header->from_sql)
			return raw;
		if (raw->stmt_location != header->location || !IsA(raw->stmt, PrepareStmt))
			continue;
		result = makeNode(RawStmt);
		result->stmt = ((PrepareStmt *) raw->stmt)->query;
		result->stmt_location = header->location;
		result->stmt_len = header->length;
		return result;
	}
	return NULL;
}

/* For what is parsed, described and thrown away. */
static MemoryContext
scratch(void)
{
	static MemoryContext cxt = NULL;

	if (cxt == NULL)
		cxt = AllocSetContextCreate(TopMemoryContext, "pooler scratch",
									ALLOCSET_DEFAULT_SIZES);
	MemoryContextReset(cxt);
	return cxt;
}

bool
pooler_plan_can_be_made(PoolerPlan *plan, bool from_sql)
{
	const CachedPlanSource *source = plan->source;
	PoolerStatementHeader header = {0};
	MemoryContext cxt;
	MemoryContext old;
	RawStmt    *raw;
	bool		same;

	if (source->parserSetup != NULL || source->cursor_options != CURSOR_OPT_PARALLEL_OK ||
		!source->fixed_result)
		return false;
	if (source->raw_parse_tree != NULL)
		header.location = source->raw_parse_tree->stmt_location;
	header.from_sql = from_sql;
	cxt = scratch();
	old = MemoryContextSwitchTo(cxt);
	raw = find_statement(parse(source->query_string,
							   pooler_analysis_standard_strings(plan->analysis)),
						 &header);
	same = raw == NULL ? source->raw_parse_tree == NULL :
		source->raw_parse_tree != NULL && equal(raw->stmt, source->raw_parse_tree->stmt);
	MemoryContextSwitchTo(old);
	MemoryContextReset(cxt);
	return same;
}

/*---------------------------------------------------------------------------
 * filling a source
 *---------------------------------------------------------------------------
 */

/* Core's parserSetup: called each time that it analyses the statement. */
static void
begin_analysis(ParseState *pstate, void *arg)
{
	PoolerPlan *plan = arg;

	pooler_analysis_begin(pstate, plan->analysis);
	if (plan->source->num_params > 0)
		setup_parse_fixed_parameters(pstate, plan->source->param_types,
									 plan->source->num_params);
}

/* What core's analysis makes of a statement that it does not analyse. */
static List *
wrap_utility(const RawStmt *raw, const char *text)
{
	Query	   *query = makeNode(Query);

	query->commandType = CMD_UTILITY;
	query->canSetTag = true;
	query->utilityStmt = copyObject(raw->stmt);
	query->stmt_location = raw->stmt_location;
	query->stmt_len = raw->stmt_len;
	if (IsQueryIdEnabled())
		(void) pooler_jumble_query(query, text);
	return list_make1(query);
}

static TupleDesc
make_desc(const PoolerStatementContent *c)
{
	TupleDesc	desc;

	if (c->header.natts < 0)
		return NULL;
	desc = CreateTemplateTupleDesc(c->header.natts);
	desc->tdtypeid = c->header.tdtypeid;
	desc->tdtypmod = c->header.tdtypmod;
	for (int i = 0; i < c->header.natts; i++)
	{
		Form_pg_attribute column = TupleDescAttr(desc, i);

		memcpy(column, c->columns + i * ATTRIBUTE_FIXED_PART_SIZE,
			   ATTRIBUTE_FIXED_PART_SIZE);
		pooler_column_made(desc, i);
	}
	return desc;
}

static Oid *
make_params(const PoolerStatementContent *c)
{
	Size		size = c->header.nparams * sizeof(Oid);

	return size == 0 ? NULL : memcpy(palloc(size), c->params, size);
}

static RawStmt *
make_raw(const PoolerStatementContent *c, const PoolerAnalysis *analysis, MemoryContext cxt)
{
	MemoryContext parsing = scratch();
	RawStmt    *raw;

	MemoryContextSwitchTo(parsing);
	raw = find_statement(parse(c->text, pooler_analysis_standard_strings(analysis)),
						 &c->header);
	MemoryContextSwitchTo(cxt);
	raw = copyObject(raw);
	MemoryContextReset(parsing);
	return raw;
}

/* What revalidation would drop. */
static void
drop_query(CachedPlanSource *source)
{
	if (source->gplan != NULL)
		ReleaseCachedPlan(source->gplan, NULL);
	source->gplan = NULL;
	if (source->query_context != NULL)
		MemoryContextDelete(source->query_context);
	source->query_context = NULL;
	source->query_list = NIL;
	source->relationOids = NIL;
	source->invalItems = NIL;
	source->search_path = NULL;
	source->dependsOnRLS = false;
	source->generic_cost = -1;
	source->total_custom_cost = 0;
	source->num_custom_plans = 0;
	source->num_generic_plans = 0;
}

/* What a source is filled with. */
typedef struct Filling
{
	MemoryContext cxt;			/* all of it lies there */
	PoolerAnalysis *analysis;
	char	   *text;
	TupleDesc	desc;
	Oid		   *params;
	RawStmt    *raw;			/* NULL: an empty statement */
	List	   *queries;		/* if it is not analysed */
	bool		analyse;
} Filling;

/* The context is the source's own, so that it goes with it, whatever happens. */
static Filling
make_filling(const PoolerStatementContent *c, MemoryContext parent)
{
	Filling		f = {0};
	MemoryContext old;

	f.cxt = AllocSetContextCreate(parent, "pooler statement", ALLOCSET_START_SMALL_SIZES);
	old = MemoryContextSwitchTo(f.cxt);
	f.text = pstrdup(c->text);
	f.desc = make_desc(c);
	f.params = make_params(c);
	f.analysis = pooler_analysis_from(c->analysis, c->header.analysis_len);
	f.raw = make_raw(c, f.analysis, f.cxt);
	f.analyse = f.raw != NULL && stmt_requires_parse_analysis(f.raw);
	if (f.raw != NULL && !f.analyse)
		f.queries = wrap_utility(f.raw, f.text);
	MemoryContextSwitchTo(old);
	return f;
}

/* What was filled in before goes, so that doing it often takes no more memory. */
void
pooler_plan_fill(PoolerPlan *plan, const char *content)
{
	CachedPlanSource *source = plan->source;
	PoolerStatementContent c = pooler_statement_read(content);
	MemoryContext filled = plan->filling;
	Filling		f = make_filling(&c, source->context);

	/* nothing is raised from here on */
	drop_query(source);
	source->raw_parse_tree = f.raw;
	source->query_string = f.text;
	source->commandTag = f.raw ? CreateCommandTag(f.raw->stmt) : CMDTAG_UNKNOWN;
	source->param_types = f.params;
	source->num_params = c.header.nparams;
	source->resultDesc = f.desc;
	source->parserSetup = begin_analysis;
	source->parserSetupArg = plan;
	source->query_list = f.queries;
	source->is_valid = !f.analyse;
	MemoryContextSetIdentifier(source->context, f.text);
	pooler_analysis_drop(plan->analysis);
	plan->analysis = f.analysis;
	plan->filling = f.cxt;
	if (filled != NULL)
		MemoryContextDelete(filled);
}

static void
refuse_analysis(ParseState *pstate, void *arg)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_PSTATEMENT),
			 errmsg("unnamed prepared statement does not exist")));
}

void
pooler_plan_forbid(PoolerPlan *plan)
{
	CachedPlanSource *source = plan->source;
	MemoryContext old = MemoryContextSwitchTo(source->context);
	RawStmt    *raw = linitial_node(RawStmt, raw_parser("SELECT", RAW_PARSE_DEFAULT));

	MemoryContextSwitchTo(old);
	drop_query(source);
	source->raw_parse_tree = raw;
	source->query_string = "";
	source->commandTag = CMDTAG_SELECT;
	source->num_params = 0;
	source->resultDesc = NULL;
	source->parserSetup = refuse_analysis;
	source->is_valid = false;
}

/*
 * A plan that another function's SPI has saved was analysed under the settings
 * of an earlier client.
 */
void
pooler_plans_analyse_again(void)
{
	dlist_node *head = list_head_of_core();

	for (dlist_node *node = head->next; node != head; node = node->next)
	{
		CachedPlanSource *source = dlist_container(CachedPlanSource, node, node);

		if (plan_of(source) != NULL || !source->is_valid ||
			source->raw_parse_tree == NULL ||
			!stmt_requires_parse_analysis(source->raw_parse_tree))
			continue;
		source->is_valid = false;
		if (source->gplan != NULL)
			source->gplan->is_valid = false;
	}
}

/*
 * Completed while it is empty, since completing a statement that has to be
 * analysed looks into the catalogs.
 */
CachedPlanSource *
pooler_plan_make_empty(void)
{
	CachedPlanSource *source = CreateCachedPlan(NULL, "", CMDTAG_UNKNOWN);

	CompleteCachedPlan(source, NIL, NULL, NULL, 0, NULL, NULL,
					   CURSOR_OPT_PARALLEL_OK, true);
	return source;
}

/*---------------------------------------------------------------------------
 * plans of the registry's statements
 *---------------------------------------------------------------------------
 */

typedef struct PlanKey
{
	uint64		id;
	uint64		copy;
} PlanKey;

typedef struct PlanEntry
{
	PlanKey		key;
	PoolerPlan *plan;
} PlanEntry;

static HTAB *plans;

static PlanEntry *
search(uint64 id, uint32 copy, HASHACTION action)
{
	PlanKey		key = {.id = id, .copy = copy};

	if (plans == NULL)
	{
		HASHCTL		info = {0};

		info.keysize = sizeof(PlanKey);
		info.entrysize = sizeof(PlanEntry);
		plans = hash_create("pooler plans", 64, &info, HASH_ELEM | HASH_BLOBS);
	}
	return hash_search(plans, &key, action, NULL);
}

static void
drop_from_table(PoolerPlan *plan)
{
	(void) search(plan->id, plan->copy, HASH_REMOVE);
}

PoolerPlan *
pooler_plan_lookup(uint64 id, uint32 copy)
{
	PlanEntry  *entry = search(id, copy, HASH_FIND);

	return entry ? entry->plan : NULL;
}

void
pooler_plan_adopt(PoolerPlan *plan, dsa_pointer statement, uint32 copy)
{
	const PoolerStatement *s = pooler_registry_get(statement);
	CachedPlanSource *source = plan->source;

	search(s->id, copy, HASH_ENTER)->plan = plan;
	plan->id = s->id;
	plan->copy = copy;
	plan->key = s->key;
	plan->statement = statement;
	source->parserSetup = begin_analysis;
	source->parserSetupArg = plan;
}

PoolerPlan *
pooler_plan_make(dsa_pointer statement, uint32 copy)
{
	CachedPlanSource *source = pooler_plan_make_empty();
	PoolerPlan *plan = pooler_plan_watch(source);

	pooler_plan_fill(plan, pooler_registry_get(statement)->content);
	pooler_plan_adopt(plan, statement, copy);
	SaveCachedPlan(source);
	pooler_plan_set_use(plan, POOLER_PLAN_KEPT);
	return plan;
}

/*
 * What is not valid will be analysed before it is used.  The queries may
 * differ although their results do not: a temporary table may hide another.
 */
bool
pooler_plan_same(const PoolerPlan *kept_one, const PoolerPlan *new)
{
	CachedPlanSource *source = kept_one->source;

	if (source->raw_parse_tree == NULL || !source->is_valid)
		return true;
	if (!stmt_requires_parse_analysis(source->raw_parse_tree))
		return true;
	return new->source->is_valid && equal(source->query_list, new->source->query_list);
}

/* The oldest first; those that nobody can ask for any more, too. */
void
pooler_plans_trim(void)
{
	static uint32 seen = 0;
	uint32		evictions = pooler_registry_evictions();
	dlist_mutable_iter it;
	int			n = 0;

	while (nkept > MAX_KEPT)
		DropCachedPlan(dlist_container(PoolerPlan, node, dlist_head_node(&kept))->source);
	if (evictions == seen)
		return;
	seen = evictions;
	dlist_foreach_modify(it, &kept)
	{
		PoolerPlan *plan = dlist_container(PoolerPlan, node, it.cur);

		if (n++ == MAX_LOOKED_AT)
			break;
		if (!pooler_registry_has(&plan->key, plan->id))
			DropCachedPlan(plan->source);
	}
}
