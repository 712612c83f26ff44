/*-------------------------------------------------------------------------
 *
 * stats.c
 *	  The SQL functions below the views of what was counted and measured, and
 *	  of prepared statements.
 *
 * Runs in: any backend.  Reads tallies through snapshots, without locks; only
 * the registry of prepared statements has some.
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "catalog/pg_type.h"
#include "shared/statement.h"
#include "sql/rows.h"
#include "sql/version.h"
#include "shared/snapshot.h"
#include "utils/array.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(pooler_list_counters);
PG_FUNCTION_INFO_V1(pooler_get_counters);
PG_FUNCTION_INFO_V1(pooler_get_stats);
PG_FUNCTION_INFO_V1(pooler_get_totals);
PG_FUNCTION_INFO_V1(pooler_get_times);
PG_FUNCTION_INFO_V1(pooler_get_prepared_statements);

static const char *const scope_names[] = {
	[POOLER_STAT_POOL] = "pool",
	[POOLER_STAT_WORKER] = "pooler",
};

StaticAssertDecl(lengthof(scope_names) == POOLER_STAT_WORKER + 1,
				 "each scope of a counter needs a name");

static const char *const kind_names[] = {
	[POOLER_STAT_SUM] = "sum",
	[POOLER_STAT_MAX] = "max",
};

StaticAssertDecl(lengthof(kind_names) == POOLER_STAT_MAX + 1,
				 "each kind of a counter needs a name");

/*---------------------------------------------------------------------------
 * Counters
 *---------------------------------------------------------------------------
 */

/*
 * The table of counters itself, from which the script of the extension makes
 * views.  It needs no shared memory.
 */
Datum
pooler_list_counters(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = pooler_rows_begin(fcinfo);
	PoolerRow	row = {0};

	for (int i = 0; i < pooler_stats_count; i++)
	{
		const PoolerStat *stat = &pooler_stats[i];

		pooler_put_text(&row, stat->name);
		pooler_put_text(&row, scope_names[stat->scope]);
		pooler_put_text(&row, kind_names[stat->kind]);
		pooler_put_text(&row, stat->unit);
		pooler_put_text(&row, stat->help);
		pooler_rows_put(result, &row);
	}
	return (Datum) 0;
}

/* Refuses like all others: a list of counters that can't count would mislead. */
Datum
pooler_get_counters(PG_FUNCTION_ARGS)
{
	pooler_require_version();
	return pooler_list_counters(fcinfo);
}

static uint64
counter_value(const PoolerStat *stat, const void *counters)
{
	return *(const uint64 *) ((const char *) counters + stat->offset);
}

static bool
nothing_counted(const PoolerCounters *counters)
{
	static const PoolerCounters none = {0};

	return memcmp(counters, &none, sizeof(none)) == 0;
}

/*
 * A row for each pool and each counter that pools have; with NULL for what was
 * counted elsewhere, so that the sum is that of the whole pooler.
 */
Datum
pooler_get_stats(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result;
	PoolerRow	row = {0};

	pooler_require_version();
	result = pooler_rows_begin(fcinfo);
	for (int32 i = 0; i < pooler_shared->ntallies; i++)
	{
		PoolerTallySnapshot snap;

		CHECK_FOR_INTERRUPTS();
		if (!pooler_snapshot_tally(i, &snap, NULL) ||
			(i == POOLER_OTHERS && nothing_counted(&snap.counters)))
			continue;
		for (int s = 0; s < pooler_stats_count; s++)
		{
			if (pooler_stats[s].scope != POOLER_STAT_POOL)
				continue;
			pooler_put_oid(&row, snap.dbid);
			pooler_put_oid(&row, snap.roleid);
			pooler_put_name(&row, snap.database);
			pooler_put_name(&row, snap.role);
			pooler_put_text(&row, pooler_stats[s].name);
			pooler_put_count(&row, counter_value(&pooler_stats[s], &snap.counters));
			pooler_rows_put(result, &row);
		}
	}
	return (Datum) 0;
}

/* A row for each counter, over all pools. */
Datum
pooler_get_totals(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result;
	PoolerCounters total;
	PoolerRow	row = {0};

	pooler_require_version();
	result = pooler_rows_begin(fcinfo);
	pooler_snapshot_totals(&total, NULL);
	for (int s = 0; s < pooler_stats_count; s++)
	{
		const PoolerStat *stat = &pooler_stats[s];

		pooler_put_text(&row, stat->name);
		if (stat->scope == POOLER_STAT_WORKER)
			pooler_put_count(&row, counter_value(stat, &pooler_shared->counters));
		else
			pooler_put_count(&row, counter_value(stat, &total));
		pooler_rows_put(result, &row);
	}
	return (Datum) 0;
}

/*---------------------------------------------------------------------------
 * Times
 *---------------------------------------------------------------------------
 */

static const char *const time_names[] = {
	[POOLER_TIME_WAIT] = "wait",
	[POOLER_TIME_TRANSACTION] = "transaction",
	[POOLER_TIME_LOGIN] = "login",
};

StaticAssertDecl(lengthof(time_names) == POOLER_NTIMES,
				 "each kind of time needs a name");

/*
 * All pools of a database, of a role, or of both: percentiles can't be added
 * up, so histograms are.
 */
typedef struct TimeGroup
{
	const char *level;
	Oid			dbid;			/* InvalidOid: any */
	Oid			roleid;
	char		database[NAMEDATALEN];
	char		role[NAMEDATALEN];
	PoolerHistogram times[POOLER_NTIMES];
} TimeGroup;

typedef struct TimeGroups
{
	int			n;
	TimeGroup  *groups;
} TimeGroups;

static void
add_to_group(TimeGroups *all, const char *level, Oid dbid, Oid roleid,
			 const PoolerTallySnapshot *snap, const PoolerHistogram *times)
{
	TimeGroup  *group = NULL;

	for (int i = 0; i < all->n && group == NULL; i++)
	{
		if (all->groups[i].level == level && all->groups[i].dbid == dbid &&
			all->groups[i].roleid == roleid)
			group = &all->groups[i];
	}
	if (group == NULL)
	{
		group = &all->groups[all->n++];
		group->level = level;
		group->dbid = dbid;
		group->roleid = roleid;
		if (OidIsValid(dbid))
			strlcpy(group->database, snap->database, NAMEDATALEN);
		if (OidIsValid(roleid))
			strlcpy(group->role, snap->role, NAMEDATALEN);
	}
	for (int k = 0; k < POOLER_NTIMES; k++)
		pooler_histogram_add(&group->times[k], &times[k]);
}

static TimeGroups
collect_times(void)
{
	static const char pool[] = "pool";
	static const char database[] = "database";
	static const char role[] = "role";
	TimeGroups	all = {0};
	TimeGroup  *total;
	PoolerCounters counters;

	all.groups = MemoryContextAllocExtended(CurrentMemoryContext,
											mul_size(3 * pooler_shared->ntallies + 1,
													 sizeof(TimeGroup)),
											MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	for (int32 i = POOLER_OTHERS + 1; i < pooler_shared->ntallies; i++)
	{
		PoolerTallySnapshot snap;
		PoolerHistogram times[POOLER_NTIMES];

		CHECK_FOR_INTERRUPTS();
		if (!pooler_snapshot_tally(i, &snap, times))
			continue;
		add_to_group(&all, pool, snap.dbid, snap.roleid, &snap, times);
		add_to_group(&all, database, snap.dbid, InvalidOid, &snap, times);
		add_to_group(&all, role, InvalidOid, snap.roleid, &snap, times);
	}
	total = &all.groups[all.n++];
	total->level = "total";
	pooler_snapshot_totals(&counters, total->times);
	return all;
}

/* Of something that never happened only this is known. */
static void
add_quantiles(PoolerRow *row, const PoolerHistogram *times)
{
	static const unsigned thousandths[] = {500, 900, 950, 990};
	uint64		count = pooler_histogram_count(times);

	pooler_put_count(row, count);
	pooler_put_count(row, times->sum);
	for (int i = 0; i < (int) lengthof(thousandths); i++)
	{
		if (count > 0)
			pooler_put_count(row, pooler_histogram_quantile(times, thousandths[i]));
		else
			pooler_put_null(row);
	}
	if (count > 0)
		pooler_put_count(row, times->max);
	else
		pooler_put_null(row);
}

/* A row for each kind of time, of each pool, database and role, and of all. */
Datum
pooler_get_times(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result;
	TimeGroups	all;
	PoolerRow	row = {0};

	pooler_require_version();
	result = pooler_rows_begin(fcinfo);
	all = collect_times();
	for (int i = 0; i < all.n; i++)
	{
		for (int k = 0; k < POOLER_NTIMES; k++)
		{
			pooler_put_text(&row, all.groups[i].level);
			pooler_put_oid(&row, all.groups[i].dbid);
			pooler_put_oid(&row, all.groups[i].roleid);
			pooler_put_name(&row, all.groups[i].database);
			pooler_put_name(&row, all.groups[i].role);
			pooler_put_text(&row, time_names[k]);
			add_quantiles(&row, &all.groups[i].times[k]);
			pooler_rows_put(result, &row);
		}
	}
	return (Datum) 0;
}

/*---------------------------------------------------------------------------
 * Prepared statements
 *---------------------------------------------------------------------------
 */

/* What is shown of one: not the settings under which it was prepared. */
typedef struct Statement
{
	uint64		id;
	Oid			dbid;
	uint32		holders;
	uint32		size;
	bool		from_sql;
	int			nparams;
	Oid		   *params;
	char	   *query;
} Statement;

/* The entry is locked, so this must not take long. */
static void
copy_statement(const PoolerStatement *s, void *arg)
{
	List	  **all = arg;
	PoolerStatementContent c = pooler_statement_read(s->content);
	Statement  *copy = palloc(sizeof(Statement));

	copy->id = s->id;
	copy->dbid = s->key.dbid;
	copy->holders = pg_atomic_read_u32((pg_atomic_uint32 *) &s->refs);
	copy->size = s->size;
	copy->from_sql = c.header.from_sql != 0;
	copy->nparams = c.header.nparams;
	copy->params = palloc(sizeof(Oid) * (c.header.nparams + 1));
	memcpy(copy->params, c.params, sizeof(Oid) * c.header.nparams);
	copy->query = pstrdup(c.text);
	*all = lappend(*all, copy);
}

/* OIDs of another database mean nothing here. */
static void
add_types(PoolerRow *row, const Statement *s)
{
	Datum	   *types;

	if (s->dbid != MyDatabaseId)
	{
		pooler_put_null(row);
		return;
	}
	types = palloc(sizeof(Datum) * (s->nparams + 1));
	for (int i = 0; i < s->nparams; i++)
		types[i] = ObjectIdGetDatum(s->params[i]);
	pooler_put_value(row, PointerGetDatum(construct_array(types, s->nparams, REGTYPEOID, 4,
														  true, TYPALIGN_INT)));
}

Datum
pooler_get_prepared_statements(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result;
	List	   *all = NIL;
	ListCell   *lc;
	PoolerRow	row = {0};

	pooler_require_version();
	result = pooler_rows_begin(fcinfo);
	pooler_registry_each(copy_statement, &all);
	foreach(lc, all)
	{
		Statement  *s = lfirst(lc);

		CHECK_FOR_INTERRUPTS();
		pooler_put_count(&row, s->id);
		pooler_put_oid(&row, s->dbid);
		pooler_put_value(&row, CStringGetTextDatum(pooler_valid_text(s->query)));
		add_types(&row, s);
		pooler_put_bool(&row, s->from_sql);
		pooler_put_int(&row, (int32) s->holders);
		pooler_put_count(&row, s->size);
		pooler_rows_put(result, &row);
	}
	return (Datum) 0;
}
