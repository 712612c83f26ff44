/*-------------------------------------------------------------------------
 *
 * leak.c
 *	  The table of leaks: its places, names, and pooler.leak_action.
 *
 * Runs in: any process (names, copies), the postmaster (set-up), the pooler
 * (writing).  Must not allocate: pooler.leak_action is taken apart in an assign
 * hook.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "shared/leak.h"
#include "storage/s_lock.h"

PoolerLeakTable *pooler_leaks;

/* A place that is being written is looked at so often; it takes microseconds. */
#define MAX_TRIES	1000

static const char *const kind_names[] = {
	[POOLER_LEAK_IDLE_IN_TRANSACTION] = "idle_in_transaction",
	[POOLER_LEAK_TRANSACTION] = "transaction",
	[POOLER_LEAK_PINNED_IDLE] = "pinned_idle",
	[POOLER_LEAK_CONNECTION_IDLE] = "connection_idle",
	[POOLER_LEAK_CONNECTION_GROWTH] = "connection_growth",
	[POOLER_LEAK_POOL_HELD] = "pool_held",
	[POOLER_LEAK_LOCKS] = "locks",
	[POOLER_LEAK_CURSORS] = "cursors",
	[POOLER_LEAK_TEMP_OBJECTS] = "temp_objects",
	[POOLER_LEAK_STATEMENTS] = "prepared_statements",
};

StaticAssertDecl(lengthof(kind_names) == POOLER_NLEAK_KINDS,
				 "each kind of leak needs a name");

/* pooler.leak_action has two bits for each, in an int */
StaticAssertDecl(POOLER_NLEAK_KINDS <= 15, "too many kinds of leaks");

static const char *const severity_names[] = {
	[POOLER_LEAK_INFO] = "info",
	[POOLER_LEAK_WARNING] = "warning",
	[POOLER_LEAK_CRITICAL] = "critical",
};

static const char *const action_names[] = {
	[POOLER_LEAK_LOG] = "log",
	[POOLER_LEAK_CANCEL] = "cancel",
	[POOLER_LEAK_TERMINATE] = "terminate",
};

static const char *const end_names[] = {
	[POOLER_LEAK_CURRENT] = NULL,
	[POOLER_LEAK_GIVEN_BACK] = "given back",
	[POOLER_LEAK_ALLOWED] = "threshold",
	[POOLER_LEAK_LEFT] = "disconnected",
	[POOLER_LEAK_TERMINATED] = "terminated",
	[POOLER_LEAK_CANCELED] = "canceled",
	[POOLER_LEAK_ENDED] = "end_leaks",
};

const char *
pooler_leak_kind_name(PoolerLeakKind kind)
{
	return kind_names[kind];
}

const char *
pooler_leak_severity_name(PoolerLeakSeverity severity)
{
	return severity_names[severity];
}

const char *
pooler_leak_action_name(PoolerLeakAction action)
{
	return action_names[action];
}

const char *
pooler_leak_end_name(PoolerLeakEnd end)
{
	return end_names[end];
}

void
pooler_leak_print_limit(PoolerLeakKind kind, uint32 limit, char *buf, size_t size)
{
	if (pooler_leak_is_timed(kind))
		snprintf(buf, size, "%g s", limit / 1000.0);
	else
		snprintf(buf, size, "%u", limit);
}

/*---------------------------------------------------------------------------
 * places
 *---------------------------------------------------------------------------
 */

void
pooler_leak_init(void)
{
	pooler_leaks->next_id = 1;
	pg_atomic_init_u32(&pooler_leaks->ncurrent, 0);
	pg_atomic_init_u32(&pooler_leaks->nleft_out, 0);
	for (int i = 0; i < POOLER_MAX_LEAKS; i++)
		pg_atomic_init_u32(&pooler_leaks->current[i].changes, 0);
	for (int i = 0; i < POOLER_MAX_ENDED_LEAKS; i++)
		pg_atomic_init_u32(&pooler_leaks->ended[i].changes, 0);
	for (int i = 0; i < POOLER_MAX_LEAK_COUNTS; i++)
		pg_atomic_init_u32(&pooler_leaks->counts[i].changes, 0);
}

/* Also if a worker that has ended has left it odd. */
void
pooler_leak_begin_write(pg_atomic_uint32 *changes)
{
	pg_atomic_write_u32(changes, pg_atomic_read_u32(changes) | 1);
	pg_write_barrier();
}

void
pooler_leak_end_write(pg_atomic_uint32 *changes)
{
	pg_write_barrier();
	pg_atomic_write_u32(changes, pg_atomic_read_u32(changes) + 1);
}

/* False if it was being written all the time: then the copy is worth nothing. */
static bool
copy(pg_atomic_uint32 *changes, void *to, const void *from, size_t size)
{
	for (int i = 0; i < MAX_TRIES; i++)
	{
		uint32		before = pg_atomic_read_u32(changes);

		pg_read_barrier();
		memcpy(to, from, size);
		pg_read_barrier();
		if (before % 2 == 0 && pg_atomic_read_u32(changes) == before)
			return true;
		SPIN_DELAY();
	}
	return false;
}

bool
pooler_leak_read(PoolerLeakPlace *place, PoolerLeak *leak)
{
	return place->leak.id != 0 &&
		copy(&place->changes, leak, &place->leak, sizeof(*leak)) && leak->id != 0;
}

bool
pooler_leak_read_count(PoolerLeakCountPlace *place, PoolerLeakCount *count)
{
	return place->count.count != 0 &&
		copy(&place->changes, count, &place->count, sizeof(*count)) &&
		count->count != 0;
}

void
pooler_leak_read_holdings(PoolerHoldings *holdings, PoolerHoldings *held)
{
	if (!copy(&holdings->changes, held, holdings, sizeof(*held)))
		memset(held, 0, sizeof(*held));
}

/*---------------------------------------------------------------------------
 * pooler.leak_action
 *---------------------------------------------------------------------------
 */

static bool
is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v';
}

static void
skip_space(const char **p)
{
	while (is_space(**p))
		(*p)++;
}

/* The next word's place among these names, -1: none of them. */
static int
scan_word(const char **p, const char *const *names, int n)
{
	size_t		len = strcspn(*p, " \t\n\r\f\v,=");

	for (int i = 0; i < n; i++)
	{
		if (strlen(names[i]) == len && pg_strncasecmp(names[i], *p, len) == 0)
		{
			*p += len;
			skip_space(p);
			return i;
		}
	}
	return -1;
}

typedef struct Actions
{
	int			all;			/* -1: not given */
	int			of[POOLER_NLEAK_KINDS];
} Actions;

/* kind = action, or an action for the other kinds. */
static PoolerLeakActionError
scan_item(const char **p, Actions *actions, PoolerLeakKind *kind)
{
	int			action = scan_word(p, action_names, lengthof(action_names));
	int			which;

	if (action >= 0)
	{
		if (actions->all >= 0)
			return POOLER_LEAK_ACTION_SYNTAX;
		actions->all = action;
		return POOLER_LEAK_ACTION_OK;
	}
	which = scan_word(p, kind_names, lengthof(kind_names));
	if (which < 0)
		return POOLER_LEAK_ACTION_KIND;
	*kind = which;
	if (**p != '=')
		return POOLER_LEAK_ACTION_SYNTAX;
	(*p)++;
	skip_space(p);
	action = scan_word(p, action_names, lengthof(action_names));
	if (action < 0)
		return POOLER_LEAK_ACTION_SYNTAX;
	if (actions->of[which] >= 0)
		return POOLER_LEAK_ACTION_DUPLICATE;
	if (action == POOLER_LEAK_CANCEL && which != POOLER_LEAK_TRANSACTION)
		return POOLER_LEAK_ACTION_CANCEL;
	actions->of[which] = action;
	return POOLER_LEAK_ACTION_OK;
}

static int
pack(const Actions *actions)
{
	int			packed = 0;

	for (int i = 0; i < POOLER_NLEAK_KINDS; i++)
	{
		int			action = actions->of[i] >= 0 ? actions->of[i] : Max(actions->all, 0);

		if (action == POOLER_LEAK_CANCEL && i != POOLER_LEAK_TRANSACTION)
			action = POOLER_LEAK_LOG;
		packed |= action << (2 * i);
	}
	return packed;
}

PoolerLeakActionError
pooler_leak_parse_action(const char *value, int *packed, PoolerLeakKind *kind)
{
	const char *p = value ? value : "";
	Actions		actions;

	actions.all = -1;
	for (int i = 0; i < POOLER_NLEAK_KINDS; i++)
		actions.of[i] = -1;
	skip_space(&p);
	for (;;)
	{
		PoolerLeakActionError error = scan_item(&p, &actions, kind);

		if (error != POOLER_LEAK_ACTION_OK)
			return error;
		if (*p == '\0')
			break;
		if (*p != ',')
			return POOLER_LEAK_ACTION_SYNTAX;
		p++;
		skip_space(&p);
	}
	*packed = pack(&actions);
	return POOLER_LEAK_ACTION_OK;
}
