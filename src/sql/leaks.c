/*-------------------------------------------------------------------------
 *
 * leaks.c
 *	  SQL functions for leaks: the current ones, those that have ended, how
 *	  many there were of which, and end_leaks().
 *
 * Runs in: any backend.  Reads the table of leaks by copies and changes nothing
 * there: who is to be ended, the pooler is asked to end (shared/request.h).
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "shared/leak.h"
#include "shared/pin.h"
#include "shared/request.h"
#include "shared/shmem.h"
#include "sql/rows.h"
#include "sql/version.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(pooler_get_leaks);
PG_FUNCTION_INFO_V1(pooler_get_leak_counts);
PG_FUNCTION_INFO_V1(pooler_end_leaks);

/*---------------------------------------------------------------------------
 * rows
 *---------------------------------------------------------------------------
 */

static void
put_word(PoolerRow *row, const char *word)
{
	pooler_put_text(row, word != NULL ? word : "");
}

/* A text that was cut off may end in the middle of a character. */
static void
put_query(PoolerRow *row, const char *query)
{
	size_t		len = strlen(query);
	size_t		shorter = Min(len, MAX_MULTIBYTE_CHAR_LEN - 1);
	char	   *text = pstrdup(query);

	for (size_t cut = 0; cut <= shorter; cut++)
	{
		text[len - cut] = '\0';
		if (pg_verifymbstr(text, len - cut, true))
		{
			pooler_put_text(row, text);
			return;
		}
	}
	pooler_put_text(row, query);
}

/* 0: not known. */
static void
put_id(PoolerRow *row, uint64 value)
{
	if (value == 0)
		pooler_put_null(row);
	else
		pooler_put_count(row, value);
}

static void
put_address(PoolerRow *row, const PoolerLeak *leak)
{
	pooler_put_address(row, &leak->raddr);
	if (leak->client_id == 0 && leak->raddr.addr.ss_family != AF_UNIX)
		row->nulls[row->n - 1] = true;	/* a group has several ports */
}

/*
 * Has the client still the backend?  Else what others find out of that process
 * would be of another client.
 */
static bool
still_attached(const PoolerLeak *leak)
{
	uint64		w;

	if (leak->backend < 0 || leak->backend >= pooler_shared->nbackends)
		return false;
	w = pg_atomic_read_u64(&pooler_backends[leak->backend].word);
	return pooler_backend_word_client(w) == (uint32) leak->client &&
		pooler_backend_word_gen(w) == leak->gen &&
		pooler_backends[leak->backend].pid == leak->pid;
}

static void
put_held(PoolerRow *row, const PoolerLeak *leak)
{
	put_word(row, pooler_pin_name(leak->pin));
	pooler_put_int_or_null(row, (int32) leak->held.cursors);
	pooler_put_text(row, leak->held.cursor_names);	/* whole names */
	pooler_put_int_or_null(row, (int32) leak->held.locks);
	pooler_put_int_or_null(row, (int32) leak->held.temp_objects);
	put_id(row, leak->held.temp_bytes);
	put_id(row, leak->amount);
	put_query(row, leak->locks);
	if (leak->xmin_age >= 0)
		pooler_put_int(row, leak->xmin_age);
	else
		pooler_put_null(row);
}

static void
leak_row(PoolerRow *row, const PoolerLeak *leak)
{
	bool		ended = leak->ended_at != 0;
	char		limit[32];

	pooler_put_count(row, leak->id);
	put_word(row, pooler_leak_kind_name(leak->kind));
	put_word(row, pooler_leak_severity_name(leak->severity));
	put_id(row, leak->client_id);
	pooler_put_int_or_null(row, ended || still_attached(leak) ? leak->pid : 0);
	pooler_put_oid(row, leak->dbid);
	pooler_put_oid(row, leak->roleid);
	pooler_put_name(row, leak->database);
	pooler_put_name(row, leak->role);
	pooler_put_text(row, leak->application_name);
	put_address(row, leak);
	pooler_put_time(row, leak->held_since);
	pooler_put_time(row, leak->found_at);
	pooler_put_time(row, leak->ended_at);
	put_word(row, pooler_leak_end_name(leak->end));
	pooler_put_int(row, leak->waiting);
	pooler_put_int(row, leak->max_waiting);
	put_held(row, leak);
	put_query(row, leak->first_query);
	put_query(row, leak->last_query);
	put_id(row, leak->last_query_id);
	pooler_leak_print_limit(leak->kind, leak->limit, limit, sizeof(limit));
	pooler_put_text(row, limit);
	put_word(row, pooler_leak_action_name(leak->action));
}

static void
put_leaks(ReturnSetInfo *result, PoolerLeakPlace *places, int n)
{
	PoolerLeak	leak;
	PoolerRow	row = {0};

	for (int i = 0; i < n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (!pooler_leak_read(&places[i], &leak))
			continue;
		leak_row(&row, &leak);
		pooler_rows_put(result, &row);
	}
}

/* Those that have ended, or the current ones. */
Datum
pooler_get_leaks(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result;

	pooler_require_version();
	result = pooler_rows_begin(fcinfo);
	if (PG_GETARG_BOOL(0))
		put_leaks(result, pooler_leaks->ended, POOLER_MAX_ENDED_LEAKS);
	else
		put_leaks(result, pooler_leaks->current, POOLER_MAX_LEAKS);
	return (Datum) 0;
}

Datum
pooler_get_leak_counts(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result;
	PoolerLeakCount count;
	PoolerRow	row = {0};

	pooler_require_version();
	result = pooler_rows_begin(fcinfo);
	for (int i = 0; i < POOLER_MAX_LEAK_COUNTS; i++)
	{
		if (!pooler_leak_read_count(&pooler_leaks->counts[i], &count))
			continue;
		put_word(&row, pooler_leak_kind_name(count.kind));
		pooler_put_oid(&row, count.dbid);
		pooler_put_oid(&row, count.roleid);
		pooler_put_name(&row, count.database);
		pooler_put_name(&row, count.role);
		pooler_put_text(&row, count.application_name);
		put_id(&row, count.query_id);
		put_query(&row, count.query);
		pooler_put_count(&row, count.count);
		pooler_put_time(&row, count.first_at);
		pooler_put_time(&row, count.last_at);
		pooler_put_count(&row, count.held_us);
		pooler_put_count(&row, count.max_held_us);
		pooler_rows_put(result, &row);
	}
	return (Datum) 0;
}

/*---------------------------------------------------------------------------
 * end_leaks()
 *---------------------------------------------------------------------------
 */

typedef enum Filter
{
	FILTER_ID,
	FILTER_KIND,
	FILTER_DATABASE,
	FILTER_ROLE,
	FILTER_APPLICATION,
	FILTER_HELD_FOR,
	FILTER_QUERY_ID,
	NFILTERS
} Filter;

static bool
is_given(FunctionCallInfo fcinfo, Filter filter)
{
	return !PG_ARGISNULL(filter);
}

static bool
has_text(FunctionCallInfo fcinfo, Filter filter, const char *value)
{
	return !is_given(fcinfo, filter) ||
		strcmp(text_to_cstring(PG_GETARG_TEXT_PP(filter)), value) == 0;
}

static bool
has_name(FunctionCallInfo fcinfo, Filter filter, const char *value)
{
	return !is_given(fcinfo, filter) ||
		strcmp(NameStr(*PG_GETARG_NAME(filter)), value) == 0;
}

/* now() - held_since > held_for, by the rules of intervals */
static bool
held_for_longer(TimestampTz since, Datum held_for)
{
	Datum		end = DirectFunctionCall2(timestamptz_pl_interval,
										  TimestampTzGetDatum(since), held_for);

	return DatumGetTimestampTz(end) < GetCurrentTimestamp();
}

static bool
matches(FunctionCallInfo fcinfo, const PoolerLeak *leak)
{
	if (leak->pid == MyProcPid && still_attached(leak))
		return false;			/* it would not live to tell */
	return (!is_given(fcinfo, FILTER_ID) ||
			(uint64) PG_GETARG_INT64(FILTER_ID) == leak->id) &&
		has_text(fcinfo, FILTER_KIND, pooler_leak_kind_name(leak->kind)) &&
		has_name(fcinfo, FILTER_DATABASE, leak->database) &&
		has_name(fcinfo, FILTER_ROLE, leak->role) &&
		has_text(fcinfo, FILTER_APPLICATION, leak->application_name) &&
		(!is_given(fcinfo, FILTER_QUERY_ID) ||
		 (uint64) PG_GETARG_INT64(FILTER_QUERY_ID) == leak->last_query_id) &&
		(!is_given(fcinfo, FILTER_HELD_FOR) ||
		 held_for_longer(leak->held_since, PG_GETARG_DATUM(FILTER_HELD_FOR)));
}

static void
check_arguments(FunctionCallInfo fcinfo)
{
	bool		any = false;
	bool		known = !is_given(fcinfo, FILTER_KIND);

	for (int i = 0; i < NFILTERS; i++)
		any = any || is_given(fcinfo, i);
	if (!any)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("pooler.end_leaks() needs at least one argument"),
				 errhint("To end all leaks, call pooler.end_leaks(held_for => '0').")));
	for (int i = 0; i < POOLER_NLEAK_KINDS; i++)
		known = known || has_text(fcinfo, FILTER_KIND, pooler_leak_kind_name(i));
	if (!known)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("unrecognized kind of leak: \"%s\"",
						text_to_cstring(PG_GETARG_TEXT_PP(FILTER_KIND))),
				 errhint("The view pooler.leaks shows kinds.")));
}

/* How it ended, once the pooler has looked after it. */
static PoolerLeakEnd
end_of(uint64 id)
{
	PoolerLeak	leak;

	for (int i = 0; i < POOLER_MAX_ENDED_LEAKS; i++)
	{
		if (pooler_leak_read(&pooler_leaks->ended[i], &leak) && leak.id == id)
			return leak.end;
	}
	return POOLER_LEAK_CURRENT;
}

static void
ended_row(PoolerRow *row, const PoolerLeak *leak)
{
	pooler_put_count(row, leak->id);
	put_word(row, pooler_leak_kind_name(leak->kind));
	put_id(row, leak->client_id);
	pooler_put_name(row, leak->database);
	pooler_put_name(row, leak->role);
	pooler_put_text(row, leak->application_name);
	pooler_put_age(row, leak->held_since, GetCurrentTimestamp());
}

/* One after the other: each takes some milliseconds. */
Datum
pooler_end_leaks(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result;
	PoolerAdminCommand command = {.verb = POOLER_ADMIN_END_LEAK};
	PoolerLeak	leak;
	PoolerRow	row = {0};

	pooler_require_version();
	check_arguments(fcinfo);
	result = pooler_rows_begin(fcinfo);
	for (int i = 0; i < POOLER_MAX_LEAKS; i++)
	{
		if (!pooler_leak_read(&pooler_leaks->current[i], &leak) ||
			!matches(fcinfo, &leak))
			continue;
		command.leak_id = leak.id;
		pooler_request_run(&command);
		if (end_of(leak.id) != POOLER_LEAK_ENDED)
			continue;
		ended_row(&row, &leak);
		pooler_rows_put(result, &row);
	}
	return (Datum) 0;
}
