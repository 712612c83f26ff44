/*
 * test_leak.c
 *		Unit tests of src/shared/leak.c: pooler.leak_action, names, limits, and
 *		copies of what is being written.
 */
#include "postgres.h"

#include "tap.h"

#include "../../src/shared/leak.h"

#define ROUNDS	200000

static const struct
{
	const char *value;
	PoolerLeakActionError error;
	int			kind;			/* -1: none is named */
}			wrong[] =

{
	{"", POOLER_LEAK_ACTION_KIND, -1},
	{" \t", POOLER_LEAK_ACTION_KIND, -1},
	{"kill", POOLER_LEAK_ACTION_KIND, -1},
	{"lo", POOLER_LEAK_ACTION_KIND, -1},
	{"logs", POOLER_LEAK_ACTION_KIND, -1},
	{"log,", POOLER_LEAK_ACTION_KIND, -1},
	{",log", POOLER_LEAK_ACTION_KIND, -1},
	{"log log", POOLER_LEAK_ACTION_SYNTAX, -1},
	{"log, terminate", POOLER_LEAK_ACTION_SYNTAX, -1},
	{"locks", POOLER_LEAK_ACTION_SYNTAX, -1},
	{"locks =", POOLER_LEAK_ACTION_SYNTAX, -1},
	{"locks = = log", POOLER_LEAK_ACTION_SYNTAX, -1},
	{"locks = locks", POOLER_LEAK_ACTION_SYNTAX, -1},
	{"locks = log, locks = log", POOLER_LEAK_ACTION_DUPLICATE, POOLER_LEAK_LOCKS},
	{"cursors = cancel", POOLER_LEAK_ACTION_CANCEL, POOLER_LEAK_CURSORS},
};

/* Without the byte that follows, so that a read beyond the end is seen. */
static PoolerLeakActionError
parse(const char *value, int *packed, PoolerLeakKind *kind)
{
	char	   *copy = (char *) exact(value, strlen(value) + 1);
	PoolerLeakActionError error = pooler_leak_parse_action(copy, packed, kind);

	free(copy);
	return error;
}

static void
test_wrong_actions(void)
{
	for (size_t i = 0; i < lengthof(wrong); i++)
	{
		int			packed = -1;
		PoolerLeakKind kind = POOLER_NLEAK_KINDS;

		is(parse(wrong[i].value, &packed, &kind), wrong[i].error, "\"%s\"", wrong[i].value);
		is(packed, -1, "no result");
		if (wrong[i].kind >= 0)
			is(kind, wrong[i].kind, "the kind is named");
	}
}

static void
test_actions(void)
{
	int			packed = -1;
	PoolerLeakKind kind;
	int			bad = 0;

	is(parse(" Terminate , LOCKS=log,\ttransaction = cancel ", &packed, &kind),
	   POOLER_LEAK_ACTION_OK, "blanks, and capital letters");
	is(pooler_leak_action_of(packed, POOLER_LEAK_LOCKS), POOLER_LEAK_LOG, "one kind");
	is(pooler_leak_action_of(packed, POOLER_LEAK_TRANSACTION), POOLER_LEAK_CANCEL, "another kind");
	is(pooler_leak_action_of(packed, POOLER_LEAK_STATEMENTS), POOLER_LEAK_TERMINATE, "all others");

	is(parse("cancel", &packed, &kind), POOLER_LEAK_ACTION_OK, "an action that most kinds can't have");
	is(pooler_leak_action_of(packed, POOLER_LEAK_TRANSACTION), POOLER_LEAK_CANCEL, "the one that can");
	is(pooler_leak_action_of(packed, POOLER_LEAK_LOCKS), POOLER_LEAK_LOG, "the others");

	/* each kind by its name, and by it alone */
	for (int i = 0; i < POOLER_NLEAK_KINDS; i++)
	{
		char		value[64];

		snprintf(value, sizeof(value), "%s=terminate", pooler_leak_kind_name(i));
		bad += parse(value, &packed, &kind) != POOLER_LEAK_ACTION_OK ||
			packed != POOLER_LEAK_TERMINATE << (2 * i);
	}
	is(bad, 0, "every kind");
}

/* The same numbers in each run. */
static unsigned
next_random(unsigned *state)
{
	*state = *state * 1664525u + 1013904223u;
	return *state >> 16;
}

/* Whatever is made of its words, a value is refused or its result is whole. */
static void
test_random_actions(void)
{
	static const char *const words[] = {
		"log", "cancel", "terminate", "transaction", "locks", "cursors",
		"idle_in_transaction", "=", ",", " ", "\t", "x", "_", "\xff"
	};
	unsigned	state = 1;
	int			accepted = 0;
	int			bad = 0;

	for (int round = 0; round < ROUNDS; round++)
	{
		char		value[160] = "";
		int			packed = -1;
		PoolerLeakKind kind = POOLER_NLEAK_KINDS;

		for (unsigned n = next_random(&state) % 8; n > 0; n--)
			strcat(value, words[next_random(&state) % lengthof(words)]);
		if (parse(value, &packed, &kind) != POOLER_LEAK_ACTION_OK)
		{
			bad += packed != -1;
			continue;
		}
		accepted++;
		for (int i = 0; i < POOLER_NLEAK_KINDS; i++)
		{
			PoolerLeakAction action = pooler_leak_action_of(packed, i);

			bad += action > POOLER_LEAK_TERMINATE ||
				(action == POOLER_LEAK_CANCEL && i != POOLER_LEAK_TRANSACTION);
		}
	}
	is(bad, 0, "random values");
	ok(accepted > ROUNDS / 100, "some of them are good ones");
}

static void
test_names(void)
{
	char		buf[32];

	for (int i = POOLER_LEAK_INFO; i <= POOLER_LEAK_CRITICAL; i++)
		ok(pooler_leak_severity_name(i) != NULL, "severity %d has a name", i);
	ok(pooler_leak_end_name(POOLER_LEAK_CURRENT) == NULL, "a leak that is not over has not ended");
	for (int i = POOLER_LEAK_GIVEN_BACK; i <= POOLER_LEAK_ENDED; i++)
		ok(pooler_leak_end_name(i) != NULL, "end %d has a name", i);
	pooler_leak_print_limit(POOLER_LEAK_TRANSACTION, 1500, buf, sizeof(buf));
	is_str(buf, "1.5 s", "a time");
	pooler_leak_print_limit(POOLER_LEAK_LOCKS, PG_UINT32_MAX, buf, sizeof(buf));
	is_str(buf, "4294967295", "the greatest number");
	pooler_leak_print_limit(POOLER_LEAK_LOCKS, 12345, buf, 4);
	is_str(buf, "123", "a buffer that is too short");
}

/* A copy is taken whole or not at all. */
static void
test_copies(void)
{
	static PoolerHoldings holdings;
	static PoolerHoldings held;
	static PoolerLeakPlace place;
	static PoolerLeak leak;

	pg_atomic_init_u32(&holdings.changes, 0);
	holdings.locks = 7;
	pooler_leak_read_holdings(&holdings, &held);
	is(held.locks, 7, "what a client holds");
	pooler_leak_begin_write(&holdings.changes);
	pooler_leak_read_holdings(&holdings, &held);
	is(held.locks, 0, "nothing while it is being written");
	pooler_leak_begin_write(&holdings.changes);
	pooler_leak_end_write(&holdings.changes);
	pooler_leak_read_holdings(&holdings, &held);
	is(held.locks, 7, "also after a writer that has died");

	pg_atomic_init_u32(&place.changes, 0);
	ok(!pooler_leak_read(&place, &leak), "a place without a leak");
	place.leak.id = 3;
	ok(pooler_leak_read(&place, &leak) && leak.id == 3, "one with a leak");
	pooler_leak_begin_write(&place.changes);
	ok(!pooler_leak_read(&place, &leak), "one that is being written");
}

int
main(void)
{
	test_wrong_actions();
	test_actions();
	test_random_actions();
	test_names();
	test_copies();
	return done_testing();
}
