/*-------------------------------------------------------------------------
 *
 * statements.c
 *	  Named prepared statements.
 *
 * Runs in: pool backends.  The names of the session lie in a hash table of
 * core (prepare.c), which is reached by its name; what they lead to is the
 * business of plans.c.  When a client is given back its names stay, and the
 * next client's are compared with them: only the difference is touched.
 *
 * Core is not asked to store or drop a statement here, since both include its
 * plan, which other clients use.  Where a client's command makes core drop
 * one, a stand-in is dropped; but for Close, which can't be seen before it is
 * done.  Then the plan has gone, and is made again when somebody needs it.
 *
 *-------------------------------------------------------------------------
 */
#include "backend/hash.h"
#include "backend/internal.h"
#include "backend/plans.h"

#include "commands/prepare.h"
#include "common/hashfn.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "tcop/utility.h"

/* Core's table of PreparedStatement. */
static HTAB *table;

/* How many names there were when we last looked; UNSURE: look again. */
#define UNSURE	(-1)
static long count = 0;

/* Since the last save or restore. */
static bool changed;

/* Order of the names in a saved part, for pooler_statements_renew(). */
static PreparedStatement **order;
static int	norder;
static int	order_size;

/*
 * Plans with references to statements of the registry that no saved session
 * has yet.
 */
static dlist_head held = DLIST_STATIC_INIT(held);

/*---------------------------------------------------------------------------
 * core's table
 *---------------------------------------------------------------------------
 */

/* Core makes it when it is first needed, and never destroys it. */
static void
find_table(void)
{
	static const char *name = "pooler";

	if (table != NULL)
		return;
	table = pooler_hash_find("Prepared Queries");
	if (table != NULL)
		return;
	StorePreparedStatement(name, pooler_plan_make_empty(), false);
	DropPreparedStatement(name, true);
	table = pooler_hash_find("Prepared Queries");
	if (table == NULL)
		ereport(FATAL,
				(errcode(ERRCODE_SYSTEM_ERROR),
				 errmsg("could not find the session's prepared statements")));
}

/* All entries, so that the table can be changed meanwhile; palloc'd. */
static PreparedStatement **
all_names(int *n)
{
	PreparedStatement **result;
	PreparedStatement *stmt;
	HASH_SEQ_STATUS seq;

	result = palloc(sizeof(PreparedStatement *) * (hash_get_num_entries(table) + 1));
	*n = 0;
	hash_seq_init(&seq, table);
	while ((stmt = hash_seq_search(&seq)) != NULL)
		result[(*n)++] = stmt;
	return result;
}

static bool
has_name(const CachedPlanSource *source)
{
	PreparedStatement *stmt;
	HASH_SEQ_STATUS seq;

	hash_seq_init(&seq, table);
	while ((stmt = hash_seq_search(&seq)) != NULL)
	{
		if (stmt->plansource == source)
		{
			hash_seq_term(&seq);
			return true;
		}
	}
	return false;
}

/*---------------------------------------------------------------------------
 * seeing what the client does
 *---------------------------------------------------------------------------
 */

static void
see_new_name(CachedPlanSource *source)
{
	pooler_plan_set_use(pooler_plan_watch(source), POOLER_PLAN_NAMED);
	changed = true;
}

/*
 * ParseComplete does not tell the name, but if there is one, there now is one
 * more of them.
 */
void
pooler_statements_see_parse(void)
{
	CachedPlanSource *source = pooler_plan_newest();
	bool		named;

	find_table();
	if (source == NULL)
		return;
	named = count != hash_get_num_entries(table) && has_name(source);
	count = hash_get_num_entries(table);
	if (named)
		see_new_name(source);
	else
		pooler_unnamed_see_parse(source);
}

uint32
pooler_statements_count(void)
{
	return table ? (uint32) hash_get_num_entries(table) : 0;
}

bool
pooler_statements_changed(void)
{
	return changed;
}

/*---------------------------------------------------------------------------
 * references
 *---------------------------------------------------------------------------
 */

/* Takes over the caller's reference, unless there is one already. */
static void
hold_reference(PoolerPlan *plan, dsa_pointer statement)
{
	if (plan->held)
	{
		pooler_registry_drop(statement);
		return;
	}
	plan->held = true;
	dlist_push_tail(&held, &plan->held_node);
}

static void
drop_reference(PoolerPlan *plan)
{
	if (!plan->held)
		return;
	dlist_delete(&plan->held_node);
	plan->held = false;
	pooler_registry_drop(plan->statement);
}

void
pooler_names_see_gone(PoolerPlan *plan)
{
	drop_reference(plan);
	changed = true;
	count = UNSURE;
}

void
pooler_statements_saved(void)
{
	while (!dlist_is_empty(&held))
		drop_reference(dlist_head_element(PoolerPlan, held_node, &held));
}

static void
drop_held_at_exit(int code, Datum arg)
{
	LWLockReleaseAll();
	pooler_statements_saved();
}

/*---------------------------------------------------------------------------
 * interning
 *---------------------------------------------------------------------------
 */

static void
lead_to(PreparedStatement *stmt, PoolerPlan *plan)
{
	stmt->plansource = plan->source;
	pooler_plan_set_use(plan, POOLER_PLAN_NAMED);
}

/*
 * If this process has got a plan for the statement, and no other name of this
 * client leads to it, the new one is not needed.  If it is another one all the
 * same, the new one is right for this client.  Returns the one that stays.
 */
static PoolerPlan *
settle(PreparedStatement *stmt, PoolerPlan *new, dsa_pointer statement)
{
	uint64		id = pooler_registry_get(statement)->id;
	PoolerPlan *plan;

	for (uint32 copy = 0;; copy++)
	{
		plan = pooler_plan_lookup(id, copy);
		if (plan != NULL && plan->use == POOLER_PLAN_NAMED)
			continue;
		if (plan != NULL && pooler_plan_same(plan, new))
		{
			lead_to(stmt, plan);
			DropCachedPlan(new->source);
			return plan;
		}
		if (plan != NULL)
			DropCachedPlan(plan->source);
		pooler_plan_adopt(new, statement, copy);
		return new;
	}
}

/* False if it does not fit into the registry. */
static bool
intern(PreparedStatement *stmt, PoolerPlan *plan)
{
	StringInfoData content;
	dsa_pointer statement;

	initStringInfo(&content);
	pooler_plan_describe(plan, stmt->from_sql, &content);
	statement = pooler_registry_find(content.data, content.len);
	if (statement != InvalidDsaPointer)
		pooler_me.shared->counters.statements_shared++;
	else if (pooler_plan_can_be_made(plan, stmt->from_sql))
	{
		statement = pooler_registry_intern(content.data, content.len);
		if (statement != InvalidDsaPointer)
			pooler_me.shared->counters.statements_new++;
	}
	pfree(content.data);
	if (statement == InvalidDsaPointer)
		return false;
	hold_reference(settle(stmt, plan, statement), statement);
	return true;
}

bool
pooler_statements_intern(void)
{
	PreparedStatement **names;
	int			n;
	bool		fit = true;

	if (!pooler_unnamed_fits())
		return false;
	if (!changed)
		return true;
	find_table();
	names = all_names(&n);
	for (int i = 0; i < n; i++)
	{
		PoolerPlan *plan = pooler_plan_watch(names[i]->plansource);

		if (plan->use == POOLER_PLAN_NEW)
			see_new_name(plan->source);
		if (plan->id == 0 && !intern(names[i], plan))
			fit = false;
	}
	pfree(names);
	return fit;
}

/*---------------------------------------------------------------------------
 * saving
 *---------------------------------------------------------------------------
 */

static void
set_order(int n)
{
	/* also for none: memcpy() and the like take no null pointer */
	if (order == NULL || n > order_size)
	{
		int			room = 2 * Max(n, 8);
		Size		bytes = room * sizeof(PreparedStatement *);

		norder = 0;
		order = order ? repalloc(order, bytes) : MemoryContextAlloc(TopMemoryContext, bytes);
		order_size = room;
	}
	norder = n;
}

static int
compare_names(const void *a, const void *b)
{
	return strcmp((*(PreparedStatement *const *) a)->stmt_name,
				  (*(PreparedStatement *const *) b)->stmt_name);
}

static uint64
append_name(StringInfo part, const PreparedStatement *stmt, const PoolerPlan *plan)
{
	PoolerName	name;

	memset(&name, 0, sizeof(name));
	name.statement = plan->statement;
	name.id = plan->id;
	name.from_sql = stmt->from_sql;
	name.len = strlen(stmt->stmt_name) + 1;
	appendBinaryStringInfo(part, (char *) &name, sizeof(name));
	appendBinaryStringInfo(part, stmt->stmt_name, name.len);
	return hash_bytes_extended((const unsigned char *) stmt->stmt_name, name.len,
							   pooler_shared->digest_seed + name.id);
}

/* Whether it is from SQL is part of what the number stands for. */
uint64
pooler_statements_save(StringInfo part)
{
	PreparedStatement **names;
	int			n;
	uint64		digest = 0;

	if (!pooler_statements_intern())
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory for prepared statements"),
				 errhint("Raise pooler.prepared_statements_memory.")));
	names = all_names(&n);
	set_order(n);
	memcpy(order, names, n * sizeof(*names));
	pfree(names);
	changed = false;
	if (n == 0)
		return 0;
	qsort(order, n, sizeof(*order), compare_names);
	appendBinaryStringInfo(part, (char *) &n, sizeof(uint32));
	for (int i = 0; i < n; i++)
		appendBinaryStringInfo(part, (char *) &order[i]->prepare_time,
							   sizeof(TimestampTz));
	for (int i = 0; i < n; i++)
		digest += append_name(part, order[i], pooler_plan_watch(order[i]->plansource));
	return Max(digest, 1);
}

/*---------------------------------------------------------------------------
 * restoring
 *---------------------------------------------------------------------------
 */

/* Plans that the client's names lead to bear the mark of this restore. */
static uint32 mark;

/* A name that leads to the right statement already stays as it is. */
static bool
keep(PreparedStatement *stmt, const PoolerName *wanted)
{
	PoolerPlan *plan;

	if (stmt == NULL)
		return false;
	plan = pooler_plan_watch(stmt->plansource);
	if (plan->id != wanted->id || plan->use != POOLER_PLAN_NAMED ||
		plan->mark == mark)
		return false;
	plan->mark = mark;
	return true;
}

/* A plan that no other name of the client leads to. */
static PoolerPlan *
free_plan(const PoolerName *wanted)
{
	for (uint32 copy = 0;; copy++)
	{
		PoolerPlan *plan = pooler_plan_lookup(wanted->id, copy);

		if (plan == NULL)
			return pooler_plan_make(wanted->statement, copy);
		if (plan->mark != mark)
			return plan;
	}
}

/*
 * A plan that is not one of the registry's statements belonged to a client
 * that has gone; nobody else can use it.
 */
static void
let_go_of(CachedPlanSource *source)
{
	PoolerPlan *plan = pooler_plan_watch(source);

	if (plan->id == 0)
		DropCachedPlan(source);
	else if (plan->mark != mark && plan->use == POOLER_PLAN_NAMED)
		pooler_plan_set_use(plan, POOLER_PLAN_KEPT);
}

static PreparedStatement *
make_name(const char *name, const PoolerName *wanted)
{
	PoolerPlan *plan = free_plan(wanted);
	bool		found;
	PreparedStatement *stmt = hash_search(table, name, HASH_ENTER, &found);
	CachedPlanSource *old = found ? stmt->plansource : NULL;

	plan->mark = mark;
	lead_to(stmt, plan);
	stmt->from_sql = wanted->from_sql;
	if (old != NULL)
		let_go_of(old);
	return stmt;
}

/* Those that are not wanted: their plans have no mark. */
static void
remove_others(void)
{
	int			n;
	PreparedStatement **names = all_names(&n);

	for (int i = 0; i < n; i++)
	{
		CachedPlanSource *source = names[i]->plansource;

		if (bsearch(&names[i], order, norder, sizeof(*order), compare_names) != NULL)
			continue;
		(void) hash_search(table, names[i]->stmt_name, HASH_REMOVE, NULL);
		let_go_of(source);
	}
	pfree(names);
}

static void
restore_names(PoolerNames names)
{
	PoolerNames again = names;
	PoolerName	wanted;

	mark++;
	set_order(names.n);
	memset(order, 0, norder * sizeof(*order));
	for (int i = 0; i < norder; i++)
	{
		const char *name = pooler_names_next(&names, &wanted);
		PreparedStatement *stmt = hash_search(table, name, HASH_FIND, NULL);

		if (keep(stmt, &wanted))
			order[i] = stmt;
	}
	for (int i = 0; i < norder; i++)
	{
		const char *name = pooler_names_next(&again, &wanted);

		if (order[i] == NULL)
			order[i] = make_name(name, &wanted);
		order[i]->prepare_time = pooler_names_time(&again, i);
	}
	if (hash_get_num_entries(table) != norder)
		remove_others();
}

void
pooler_statements_restore(const char *part, int len)
{
	if (len == 0 && (table == NULL || hash_get_num_entries(table) == 0))
	{
		norder = 0;
		changed = false;
		return;
	}
	find_table();
	restore_names(pooler_names_begin(part, len));
	count = hash_get_num_entries(table);
	changed = false;
	pooler_plans_trim();
}

void
pooler_statements_renew(const char *part, int len)
{
	PoolerNames names = pooler_names_begin(part, len);

	Assert((int) names.n == norder);
	for (int i = 0; i < norder; i++)
		order[i]->prepare_time = pooler_names_time(&names, i);
}

void
pooler_statements_forget(void)
{
	norder = 0;
	changed = false;
	count = UNSURE;
	pooler_statements_saved();
}

/*---------------------------------------------------------------------------
 * commands that drop statements
 *---------------------------------------------------------------------------
 */

/* For the time of such a command. */
typedef struct StandIn
{
	char		name[NAMEDATALEN];
	PoolerPlan *plan;			/* of a statement that others use */
	CachedPlanSource *source;	/* what core may drop in its place */
} StandIn;

static void
put_stand_in(StandIn *s, PreparedStatement *stmt)
{
	CachedPlanSource *source = pooler_plan_make_empty();

	SaveCachedPlan(source);
	strlcpy(s->name, stmt->stmt_name, NAMEDATALEN);
	s->plan = pooler_plan_watch(stmt->plansource);
	s->source = source;
	stmt->plansource = source;
}

/* Core has dropped the stand-in, or it is taken away again. */
static void
take_stand_in(const StandIn *s)
{
	PreparedStatement *stmt = hash_search(table, s->name, HASH_FIND, NULL);

	if (stmt != NULL && stmt->plansource == s->source)
	{
		stmt->plansource = s->plan->source;
		DropCachedPlan(s->source);
	}
	else
	{
		drop_reference(s->plan);
		pooler_plan_set_use(s->plan, POOLER_PLAN_KEPT);
	}
}

/* Which names a command is about; palloc'd. */
static PreparedStatement **
names_dropped_by(const Node *stmt, int *n)
{
	const char *name = NULL;
	PreparedStatement **result;

	if (IsA(stmt, DeallocateStmt))
		name = ((const DeallocateStmt *) stmt)->name;
	if (name == NULL)
		return all_names(n);
	result = palloc(sizeof(*result));
	result[0] = FetchPreparedStatement(name, false);
	*n = result[0] != NULL;
	return result;
}

static bool
is_shared(const PreparedStatement *stmt)
{
	return pooler_plan_watch(stmt->plansource)->id != 0;
}

typedef struct Utility
{
	PlannedStmt *pstmt;
	const char *text;
	bool		read_only;
	ProcessUtilityContext context;
	ParamListInfo params;
	QueryEnvironment *env;
	DestReceiver *dest;
	QueryCompletion *qc;
} Utility;

static ProcessUtility_hook_type prev_ProcessUtility_hook;

static void
run(const Utility *u)
{
	ProcessUtility_hook_type next = standard_ProcessUtility;

	if (prev_ProcessUtility_hook)
		next = prev_ProcessUtility_hook;
	next(u->pstmt, u->text, u->read_only, u->context, u->params, u->env,
		 u->dest, u->qc);
}

static void
run_with_stand_ins(const Utility *u, PreparedStatement *const *names, int n)
{
	StandIn    *stand_ins = palloc0(sizeof(StandIn) * Max(n, 1));
	volatile int in_place = 0;

	PG_TRY();
	{
		for (int i = 0; i < n; i++)
		{
			if (!is_shared(names[i]))
				continue;
			put_stand_in(&stand_ins[in_place], names[i]);
			in_place++;
		}
		run(u);
	}
	PG_FINALLY();
	{
		changed = true;
		count = UNSURE;
		for (int i = 0; i < in_place; i++)
			take_stand_in(&stand_ins[i]);
	}
	PG_END_TRY();
}

static bool
drops_statements(const Node *stmt)
{
	return IsA(stmt, DeallocateStmt) ||
		(IsA(stmt, DiscardStmt) && ((const DiscardStmt *) stmt)->target == DISCARD_ALL);
}

static void
see_utility(PlannedStmt *pstmt, const char *queryString, bool readOnlyTree,
			ProcessUtilityContext context, ParamListInfo params,
			QueryEnvironment *queryEnv, DestReceiver *dest, QueryCompletion *qc)
{
	Utility		u = {pstmt, queryString, readOnlyTree, context, params, queryEnv, dest, qc};
	bool		prepare = IsA(pstmt->utilityStmt, PrepareStmt);

	if (pooler_me.slot >= 0)
		pooler_pins_see_utility(pstmt->utilityStmt);
	if (pooler_me.slot >= 0 && table != NULL && drops_statements(pstmt->utilityStmt))
	{
		int			n;
		PreparedStatement **names = names_dropped_by(pstmt->utilityStmt, &n);

		run_with_stand_ins(&u, names, n);
	}
	else
		run(&u);
	if (pooler_me.slot >= 0 && prepare)
	{
		find_table();
		see_new_name(pooler_plan_newest());
		count = UNSURE;
	}
}

void
pooler_statements_init(void)
{
	prev_ProcessUtility_hook = ProcessUtility_hook;
	ProcessUtility_hook = see_utility;
	pooler_analysis_init();
}

void
pooler_statements_begin(void)
{
	before_shmem_exit(drop_held_at_exit, (Datum) 0);
}
