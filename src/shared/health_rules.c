/*-------------------------------------------------------------------------
 *
 * health_rules.c
 *	  What is healthy: numbers in, messages and a verdict out.
 *
 * Runs in: any process.  Pure: no shared memory, no clock, no allocation, no
 * ereport.  All thresholds stand in the table below; the manual has the same
 * table.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "shared/health_rules.h"

/*
 * A number above the threshold triggers.
 *
 * RESTARTED is the other way round: below it.  Clients that were thrown out
 * come back within minutes, and an alert that is looked at once a minute still
 * sees it.
 *
 * CLIENTS: above 95 % the next burst is refused; at 80 % there is time to do
 * something about it.
 *
 * BACKENDS: above it pools take backends from each other.
 *
 * UTILISATION: above 80 % queues form by chance alone.  In a pool of less than
 * MIN_POOL each backend is more than a fifth of it, and the number says nothing.
 *
 * WAIT: one second is far above what a queue that moves needs; whoever looks
 * at a screen notices it.  It is unhealthy when clients are about to be ended
 * for it (half of query_wait_timeout), or pooler.health_max_wait has passed.
 *
 * PROBE: as WAIT, for somebody who had nothing to do but to wait.
 */
#define RESTARTED_S			300
#define CLIENTS_PERCENT		80
#define CLIENTS_FULL_PERCENT 95
#define BACKENDS_PERCENT	80
#define UTILISATION_PERCENT	80
#define MIN_POOL			5
#define WAIT_MS				1000
#define PROBE_MS			1000

static const struct
{
	const char *name;
	const char *unit;
}			checks[] = {
	[POOLER_CHECK_NOT_RUNNING] = {"not_running", ""},
	[POOLER_CHECK_RESTARTED] = {"restarted", "s"},
	[POOLER_CHECK_NOT_LISTENING] = {"not_listening", ""},
	[POOLER_CHECK_DRAINING] = {"draining", ""},
	[POOLER_CHECK_CLIENTS] = {"clients", "%"},
	[POOLER_CHECK_BACKENDS] = {"backends", "%"},
	[POOLER_CHECK_UTILISATION] = {"utilisation", "%"},
	[POOLER_CHECK_WAIT] = {"wait", "ms"},
	[POOLER_CHECK_FAILED_STARTS] = {"failed_starts", ""},
	[POOLER_CHECK_FAILED_LOGINS] = {"failed_logins", ""},
	[POOLER_CHECK_PAUSED] = {"paused", ""},
	[POOLER_CHECK_DISABLED] = {"disabled", ""},
	[POOLER_CHECK_LEAKS] = {"leaks", ""},
	[POOLER_CHECK_PROBE_FAILED] = {"probe_failed", ""},
	[POOLER_CHECK_PROBE_LATENCY] = {"probe_latency", "ms"},
};

StaticAssertDecl(lengthof(checks) == POOLER_NHEALTH_CHECKS,
				 "each check needs a name");

typedef struct Messages
{
	PoolerHealthMessage *array;
	int			n;
} Messages;

static void
add(Messages *messages, PoolerHealthSeverity severity, PoolerHealthCheck check,
	double value, double threshold, const char *text)
{
	PoolerHealthMessage *m = &messages->array[messages->n++];

	m->severity = severity;
	m->check = check;
	m->value = value;
	m->threshold = threshold;
	m->text = text;
}

static double
percent(int part, int whole)
{
	return whole > 0 ? 100.0 * part / whole : 0;
}

/*---------------------------------------------------------------------------
 * the pooler as a whole
 *---------------------------------------------------------------------------
 */

static void
judge_process(const PoolerHealthNumbers *n, Messages *m)
{
	double		up_s = n->up_ms / 1000.0;

	if (n->starts > 1 && up_s < RESTARTED_S)
		add(m, POOLER_HEALTH_WARNING, POOLER_CHECK_RESTARTED, up_s, RESTARTED_S,
			"the pooler was started again a short time ago: the server's log tells why");
	if (n->draining)
		add(m, POOLER_HEALTH_CRITICAL, POOLER_CHECK_DRAINING, 1, 0,
			"the pooler is shutting down");
	else if (!n->listening)
		add(m, POOLER_HEALTH_CRITICAL, POOLER_CHECK_NOT_LISTENING, 1, 0,
			"the pooler accepts no connections: its port is closed");
}

static void
judge_limits(const PoolerHealthNumbers *n, Messages *m)
{
	double		clients = percent(n->clients, n->max_clients);
	double		backends = percent(n->backends, n->max_backends);

	if (clients > CLIENTS_FULL_PERCENT)
		add(m, POOLER_HEALTH_CRITICAL, POOLER_CHECK_CLIENTS, clients, CLIENTS_FULL_PERCENT,
			"almost as many clients are connected as pooler.max_client_conn allows");
	else if (clients > CLIENTS_PERCENT)
		add(m, POOLER_HEALTH_WARNING, POOLER_CHECK_CLIENTS, clients, CLIENTS_PERCENT,
			"the number of clients gets near to pooler.max_client_conn");
	if (backends > BACKENDS_PERCENT)
		add(m, POOLER_HEALTH_WARNING, POOLER_CHECK_BACKENDS, backends, BACKENDS_PERCENT,
			"the number of backends gets near to pooler.max_backends");
}

int
pooler_health_judge(const PoolerHealthNumbers *n, PoolerHealthMessage *messages)
{
	Messages	m = {messages, 0};

	if (n->running)
		judge_process(n, &m);
	else
		add(&m, POOLER_HEALTH_CRITICAL, POOLER_CHECK_NOT_RUNNING, 0, 1,
			"the pooler is not running");
	judge_limits(n, &m);
	if (n->failed_starts > 0)
		add(&m, POOLER_HEALTH_WARNING, POOLER_CHECK_FAILED_STARTS, n->failed_starts, 0,
			"backends could not be started in the last minute");
	if (n->failed_logins > 0)
		add(&m, POOLER_HEALTH_INFO, POOLER_CHECK_FAILED_LOGINS, n->failed_logins, 0,
			"logins have failed in the last minute");
	if (n->leaks > 0)
		add(&m, POOLER_HEALTH_WARNING, POOLER_CHECK_LEAKS, n->leaks, 0,
			"clients hold what they should have given back: see pooler.leaks");
	return m.n;
}

/*---------------------------------------------------------------------------
 * one pool
 *---------------------------------------------------------------------------
 */

double
pooler_health_utilisation(const PoolerHealthPool *pool)
{
	return percent(pool->held, pool->size);
}

/* The smaller one of those that are there. */
static int64
unhealthy_wait(const PoolerHealthPool *pool)
{
	int64		half = pool->wait_timeout_ms / 2;

	if (half > 0 && pool->max_wait_ms > 0)
		return Min(half, pool->max_wait_ms);
	return half > 0 ? half : pool->max_wait_ms;
}

static void
judge_wait(const PoolerHealthPool *pool, Messages *m)
{
	int64		critical = unhealthy_wait(pool);

	if (critical > 0 && pool->longest_wait_ms > critical)
		add(m, POOLER_HEALTH_CRITICAL, POOLER_CHECK_WAIT, pool->longest_wait_ms, critical,
			"clients wait too long for a backend");
	else if (pool->longest_wait_ms > WAIT_MS)
		add(m, POOLER_HEALTH_WARNING, POOLER_CHECK_WAIT, pool->longest_wait_ms, WAIT_MS,
			pool->held >= pool->size ?
			"all backends of the pool are held, and clients wait for one" :
			"clients wait for a backend");
}

int
pooler_health_judge_pool(const PoolerHealthPool *pool, PoolerHealthMessage *messages)
{
	Messages	m = {messages, 0};
	double		utilisation = pooler_health_utilisation(pool);

	/* who waits does so because somebody wanted it: see judge_hold */
	if (pool->paused)
		return 0;
	if (!pool->dedicated && pool->size >= MIN_POOL && utilisation > UTILISATION_PERCENT)
		add(&m, POOLER_HEALTH_WARNING, POOLER_CHECK_UTILISATION, utilisation,
			UTILISATION_PERCENT, "most backends that the pool may have are held");
	if (pool->waiting > 0)
		judge_wait(pool, &m);
	return m.n;
}

/*---------------------------------------------------------------------------
 * others
 *---------------------------------------------------------------------------
 */

int
pooler_health_judge_probe(const PoolerHealthProbe *probe, PoolerHealthMessage *messages)
{
	Messages	m = {messages, 0};

	if (probe->ok && probe->latency_ms > PROBE_MS)
		add(&m, POOLER_HEALTH_WARNING, POOLER_CHECK_PROBE_LATENCY, probe->latency_ms,
			PROBE_MS, "a transaction through the pool took long");
	else if (!probe->ok && probe->timeout_ms > 0)
		add(&m, POOLER_HEALTH_CRITICAL, POOLER_CHECK_PROBE_LATENCY, probe->latency_ms,
			probe->timeout_ms, "a transaction through the pool did not end in time");
	else if (!probe->ok && !probe->held)
		add(&m, POOLER_HEALTH_CRITICAL, POOLER_CHECK_PROBE_FAILED, 1, 0,
			"a transaction through the pool has failed");
	return m.n;
}

int
pooler_health_judge_hold(bool paused, bool disabled, PoolerHealthMessage *messages)
{
	Messages	m = {messages, 0};

	if (paused)
		add(&m, POOLER_HEALTH_WARNING, POOLER_CHECK_PAUSED, 1, 0,
			"paused by an administrator: transactions wait until it is resumed");
	if (disabled)
		add(&m, POOLER_HEALTH_WARNING, POOLER_CHECK_DISABLED, 1, 0,
			"disabled by an administrator: there are no new clients until it is enabled");
	return m.n;
}

/*---------------------------------------------------------------------------
 * the verdict, and names
 *---------------------------------------------------------------------------
 */

PoolerHealthStatus
pooler_health_worse(PoolerHealthStatus status, const PoolerHealthMessage *message)
{
	static const PoolerHealthStatus makes[] = {
		[POOLER_HEALTH_INFO] = POOLER_HEALTHY,
		[POOLER_HEALTH_WARNING] = POOLER_DEGRADED,
		[POOLER_HEALTH_CRITICAL] = POOLER_UNHEALTHY,
	};

	return Max(status, makes[message->severity]);
}

const char *
pooler_health_status_name(PoolerHealthStatus status)
{
	static const char *const names[] = {"healthy", "degraded", "unhealthy"};

	return names[status];
}

const char *
pooler_health_severity_name(PoolerHealthSeverity severity)
{
	static const char *const names[] = {"info", "warning", "critical"};

	return names[severity];
}

const char *
pooler_health_check_name(PoolerHealthCheck check)
{
	return checks[check].name;
}

const char *
pooler_health_check_unit(PoolerHealthCheck check)
{
	return checks[check].unit;
}
