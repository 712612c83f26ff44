/*-------------------------------------------------------------------------
 *
 * stats.c
 *	  The table of statistics: every view reads names and places from it.
 *
 * Runs in: any process.  Must not allocate or lock.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "shared/stats.h"

#define POOL(field, unit, kind, help) \
	{#field, help, unit, POOLER_STAT_POOL, kind, \
	 offsetof(PoolerCounters, field), NULL, NULL}
#define POOL_SUM(field, unit, help)	POOL(field, unit, POOLER_STAT_SUM, help)
#define POOL_MAX(field, unit, help)	POOL(field, unit, POOLER_STAT_MAX, help)

/* a metric tells it that has another name, or all of the sum */
#define POOL_IN(field, family, unit, help) \
	{#field, help, unit, POOLER_STAT_POOL, POOLER_STAT_SUM, \
	 offsetof(PoolerCounters, field), family, NULL}

/* one of several counters that are told apart by a reason */
#define POOL_BY(family, value, element, help) \
	{family "_" value, help, "", POOLER_STAT_POOL, POOLER_STAT_SUM, \
	 offsetof(PoolerCounters, element), family, value}
#define POOL_ONE_OF(field, family, value, help) \
	{#field, help, "", POOLER_STAT_POOL, POOLER_STAT_SUM, \
	 offsetof(PoolerCounters, field), family, value}

/* those that there are now are the metric leaks */
#define POOL_LEAK(value, element, help) \
	{"leaks_" value, help, "", POOLER_STAT_POOL, POOLER_STAT_SUM, \
	 offsetof(PoolerCounters, element), "leaks_found", value}
#define WORKER_SUM(field, unit, help) \
	{#field, help, unit, POOLER_STAT_WORKER, POOLER_STAT_SUM, \
	 offsetof(PoolerWorkerCounters, field), NULL, NULL}

const PoolerStat pooler_stats[] = {
	POOL_SUM(transactions, "", "Transactions that ended"),
	POOL_SUM(queries, "", "Commands that completed"),
	POOL_SUM(errors, "", "Errors reported to clients by backends"),
	POOL_SUM(handovers, "", "Times a client was handed to a backend"),
	POOL_SUM(lingered, "", "Transactions that found their client still attached"),
	POOL_SUM(waits, "", "Times a client had to wait for a backend, whether it got one or not"),
	POOL_IN(wait_us, POOLER_STAT_TOLD, "us", "Time clients waited for a backend"),
	POOL_MAX(max_wait_us, "us", "Longest time a client waited for a backend"),
	POOL_IN(transaction_us, POOLER_STAT_TOLD, "us", "Time backends worked for clients, time idle in transactions included"),
	POOL_SUM(query_us, "us", "Time backends worked for clients, without time idle in transactions"),
	POOL_IN(bytes_received, "received_bytes", "bytes", "Bytes that clients sent, by TCP only, their logins included"),
	POOL_IN(bytes_sent, "sent_bytes", "bytes", "Bytes that were sent to clients, by TCP only, their logins included"),
	POOL_SUM(parses, "", "Parse messages that completed"),
	POOL_SUM(binds, "", "Bind messages that completed"),
	POOL_SUM(statements_new, "", "Named prepared statements that nobody had prepared before"),
	POOL_SUM(statements_shared, "", "Named prepared statements that another client had prepared already"),
	POOL_SUM(resets, "", "Times a backend was cleared of what kept it with a client that has left"),
	POOL_SUM(restores, "", "Times a session had to be restored, because it differed from the one before"),
	POOL_SUM(switch_us, "us", "Time that sessions were saved and restored between two clients"),
	POOL_SUM(logins, "", "Clients that logged in"),
	POOL_SUM(delegated_logins, "", "Logins that were carried out by a backend"),
	POOL_IN(failed_logins, POOLER_STAT_TOLD, "", "Logins that failed: the sum of the next eight"),
	POOL_BY("failed_logins", "authentication", login_failures[POOLER_LOGIN_AUTHENTICATION],
			"Logins with a wrong password, or that were not authenticated otherwise"),
	POOL_BY("failed_logins", "rule", login_failures[POOLER_LOGIN_RULE],
			"Logins that pg_hba.conf rejects, or has no rule for"),
	POOL_BY("failed_logins", "role", login_failures[POOLER_LOGIN_ROLE],
			"Logins of roles that do not exist, or may not log in"),
	POOL_BY("failed_logins", "database", login_failures[POOLER_LOGIN_DATABASE],
			"Logins to databases that do not exist, or must not be connected to"),
	POOL_BY("failed_logins", "limit", login_failures[POOLER_LOGIN_LIMIT],
			"Logins refused because of a limit on connections"),
	POOL_BY("failed_logins", "timeout", login_failures[POOLER_LOGIN_TIMEOUT],
			"Logins that took too long"),
	POOL_BY("failed_logins", "protocol", login_failures[POOLER_LOGIN_PROTOCOL],
			"Logins with messages that are invalid or not supported"),
	POOL_BY("failed_logins", "other", login_failures[POOLER_LOGIN_OTHER],
			"Logins that failed for other reasons"),
	POOL_BY("pins", "temp", pins[POOLER_PIN_TEMP], "Times a session had to keep its backend because of temporary objects"),
	POOL_BY("pins", "locks", pins[POOLER_PIN_LOCKS], "Times a session had to keep its backend because of session-level locks"),
	POOL_BY("pins", "listen", pins[POOLER_PIN_LISTEN], "Times a session had to keep its backend because of LISTEN"),
	POOL_BY("pins", "cursors", pins[POOLER_PIN_CURSORS], "Times a session had to keep its backend because of cursors WITH HOLD"),
	POOL_BY("pins", "backup", pins[POOLER_PIN_BACKUP], "Times a session had to keep its backend because of a base backup"),
	POOL_BY("pins", "origin", pins[POOLER_PIN_ORIGIN], "Times a session had to keep its backend because of a replication origin"),
	POOL_BY("pins", "slots", pins[POOLER_PIN_SLOTS], "Times a session had to keep its backend because of temporary replication slots"),
	POOL_BY("pins", "mode", pins[POOLER_PIN_MODE], "Times a session had to keep its backend because of pooler.pool_mode = session"),
	POOL_BY("pins", "statements", pins[POOLER_PIN_STATEMENTS],
			"Times a session had to keep its backend because of prepared statements that do not fit into shared memory"),
	POOL_BY("pins", "pipeline", pins[POOLER_PIN_PIPELINE], "Times a session had to keep its backend because of commands sent before the result of the last one"),
	POOL_SUM(pin_refusals, "", "Times a session was not let keep its backend, because of pooler.pin_limit"),
	POOL_SUM(cancels, "", "Cancel requests that reached a command"),
	POOL_ONE_OF(wait_timeouts, "timeouts", "wait", "Clients ended because they waited too long"),
	POOL_SUM(wait_notices, "", "Clients told that they wait for a backend"),
	POOL_ONE_OF(query_timeouts, "timeouts", "query", "Commands canceled because they took too long"),
	POOL_ONE_OF(transaction_timeouts, "timeouts", "transaction", "Clients ended because their transaction took too long"),
	POOL_ONE_OF(idle_transaction_timeouts, "timeouts", "idle_transaction", "Clients ended because they were idle in a transaction"),
	POOL_ONE_OF(client_idle_timeouts, "timeouts", "client_idle", "Clients ended because they were idle outside a transaction"),
	POOL_LEAK("idle_in_transaction", leaks[POOLER_LEAK_IDLE_IN_TRANSACTION],
			  "Clients found idle in a transaction for longer than pooler.leak_idle_in_transaction"),
	POOL_LEAK("transaction", leaks[POOLER_LEAK_TRANSACTION],
			  "Transactions found open for longer than pooler.leak_transaction"),
	POOL_LEAK("pinned_idle", leaks[POOLER_LEAK_PINNED_IDLE],
			  "Sessions found to keep a backend without using it for longer than pooler.leak_pinned_idle"),
	POOL_LEAK("connection_idle", leaks[POOLER_LEAK_CONNECTION_IDLE],
			  "Connections found not used for longer than pooler.leak_connection_idle"),
	POOL_LEAK("connection_growth", leaks[POOLER_LEAK_CONNECTION_GROWTH],
			  "Times an application was found to have reached pooler.leak_connection_growth"),
	POOL_LEAK("pool_held", leaks[POOLER_LEAK_POOL_HELD],
			  "Times a pool was found to run no command for longer than pooler.leak_pool_held while clients waited"),
	POOL_LEAK("locks", leaks[POOLER_LEAK_LOCKS],
			  "Sessions found to have reached pooler.leak_locks"),
	POOL_LEAK("cursors", leaks[POOLER_LEAK_CURSORS],
			  "Sessions found to have reached pooler.leak_cursors"),
	POOL_LEAK("temp_objects", leaks[POOLER_LEAK_TEMP_OBJECTS],
			  "Sessions found to have reached pooler.leak_temp_objects"),
	POOL_LEAK("prepared_statements", leaks[POOLER_LEAK_STATEMENTS],
			  "Sessions found to have reached pooler.leak_prepared_statements"),
	POOL_ONE_OF(leaks_ended_by_action, "leaks_ended", "action", "Leaks that were ended by pooler.leak_action"),
	POOL_ONE_OF(leaks_ended_by_request, "leaks_ended", "request", "Leaks that were ended by pooler.end_leaks()"),
	POOL_SUM(dropped_waiting, "", "Clients that hung up while they waited"),
	POOL_SUM(births, "", "Backends that were started"),
	POOL_SUM(births_probe, "", "Backends that were started to learn what a login leads to"),
	POOL_SUM(births_delegated, "", "Backends that were started to carry out a login"),
	POOL_SUM(failed_births, "", "Backends that could not be started"),
	POOL_IN(ends, POOLER_STAT_TOLD, "", "Backends that ended: the sum of the next ten"),
	POOL_BY("ends", "idle", ended[POOLER_ENDED_IDLE], "Backends that ended because of pooler.server_idle_timeout"),
	POOL_BY("ends", "lifetime", ended[POOLER_ENDED_LIFETIME], "Backends that ended because of pooler.server_lifetime"),
	POOL_BY("ends", "drained", ended[POOLER_ENDED_DRAINED],
			"Backends that ended because their pool was renewed or closed: a role, a database or their settings have changed"),
	POOL_BY("ends", "surplus", ended[POOLER_ENDED_SURPLUS],
			"Backends that ended because their pool had too many, or others needed one more"),
	POOL_BY("ends", "evicted", ended[POOLER_ENDED_EVICTED], "Backends that ended because they were idle and another pool needed room"),
	POOL_BY("ends", "database", ended[POOLER_ENDED_DATABASE], "Backends that ended because of DROP DATABASE and the like"),
	POOL_BY("ends", "unneeded", ended[POOLER_ENDED_UNNEEDED], "Backends that ended because they were started for a login only"),
	POOL_BY("ends", "client", ended[POOLER_ENDED_CLIENT], "Backends that ended because their client was lost within a transaction"),
	POOL_BY("ends", "pooler", ended[POOLER_ENDED_POOLER], "Backends that ended because the pooler ended"),
	POOL_BY("ends", "other", ended[POOLER_ENDED_OTHER],
			"Backends that ended otherwise: terminated by somebody, by a timeout or by an error"),
	WORKER_SUM(connections, "", "Connections that were accepted"),
	WORKER_SUM(refused, "", "Connections refused because there were too many"),
	WORKER_SUM(abandoned_logins, "", "Connections that ended before their login was complete, and without an error"),
	WORKER_SUM(console_logins, "", "Logins to the admin console"),
	WORKER_SUM(replication_logins, "", "Logins of replication connections"),
	WORKER_SUM(bad_messages, "", "Clients ended because of an invalid message"),
	WORKER_SUM(cancel_requests, "", "Cancel requests that were received"),
};

const int	pooler_stats_count = (int) lengthof(pooler_stats);

static const PoolerStatFamily families[] = {
	{"received_bytes", "Bytes that clients sent, by TCP only, their logins included", NULL},
	{"sent_bytes", "Bytes that were sent to clients, by TCP only, their logins included", NULL},
	{"failed_logins", "Logins that failed", "reason"},
	{"pins", "Times a session had to keep its backend", "reason"},
	{"timeouts", "Clients or commands that were ended because they took too long", "kind"},
	{"leaks_found", "Leaks that were found", "kind"},
	{"leaks_ended", "Leaks that were not ended by their holders", "cause"},
	{"ends", "Backends that ended", "reason"},
};

const PoolerStatFamily *
pooler_stat_family(const PoolerStat *stat)
{
	if (stat->family == NULL)
		return NULL;
	for (int i = 0; i < (int) lengthof(families); i++)
	{
		if (strcmp(families[i].name, stat->family) == 0)
			return &families[i];
	}
	return NULL;				/* POOLER_STAT_TOLD */
}

static uint64 *
counter(PoolerCounters *counters, const PoolerStat *stat)
{
	return (uint64 *) ((char *) counters + stat->offset);
}

void
pooler_stats_add(PoolerCounters *sum, const PoolerCounters *more)
{
	for (int i = 0; i < pooler_stats_count; i++)
	{
		const PoolerStat *stat = &pooler_stats[i];
		uint64	   *to = counter(sum, stat);
		uint64		value;

		if (stat->scope != POOLER_STAT_POOL)
			continue;
		value = *(const uint64 *) ((const char *) more + stat->offset);
		if (stat->kind == POOLER_STAT_MAX)
			*to = Max(*to, value);
		else
			*to += value;
	}
}

void
pooler_stats_subtract(PoolerCounters *sum, const PoolerCounters *less)
{
	for (int i = 0; i < pooler_stats_count; i++)
	{
		const PoolerStat *stat = &pooler_stats[i];
		uint64	   *from = counter(sum, stat);
		uint64		value;

		if (stat->scope != POOLER_STAT_POOL || stat->kind == POOLER_STAT_MAX)
			continue;
		value = *(const uint64 *) ((const char *) less + stat->offset);
		*from -= Min(*from, value);
	}
}

void
pooler_stats_forget_maxima(PoolerCounters *counters)
{
	for (int i = 0; i < pooler_stats_count; i++)
	{
		const PoolerStat *stat = &pooler_stats[i];

		if (stat->scope == POOLER_STAT_POOL && stat->kind == POOLER_STAT_MAX)
			*counter(counters, stat) = 0;
	}
}
