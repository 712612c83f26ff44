/*
 * test_health.c
 *		Unit tests of src/shared/health_rules.c.
 */
#include "postgres_fe.h"

#include "tap.h"

#include "../../src/shared/health_rules.h"

static PoolerHealthMessage messages[POOLER_HEALTH_MAX_GENERAL];

/* Nothing is wrong. */
static PoolerHealthNumbers fine = {
	.running = true,
	.up_ms = 10000,
	.starts = 1,
	.listening = true,
	.clients = 80,
	.max_clients = 100,
	.backends = 80,
	.max_backends = 100,
};

static PoolerHealthPool fine_pool = {
	.size = 10,
	.backends = 8,
	.held = 8,
	.waiting = 3,
	.longest_wait_ms = 1000,
	.wait_timeout_ms = 120000,
	.max_wait_ms = 10000,
};

/* "check severity value > threshold unit", one after the other. */
static const char *
described(int n)
{
	static char buf[1024];
	int			len = 0;

	buf[0] = '\0';
	for (int i = 0; i < n; i++)
		len += snprintf(buf + len, sizeof(buf) - len, "%s%s %s %g %g%s", i ? ", " : "",
						pooler_health_check_name(messages[i].check),
						pooler_health_severity_name(messages[i].severity),
						messages[i].value, messages[i].threshold,
						pooler_health_check_unit(messages[i].check));
	return buf;
}

static void
general(PoolerHealthNumbers numbers, const char *expected, const char *name)
{
	is_str(described(pooler_health_judge(&numbers, messages)), expected, "%s", name);
}

static void
pool(PoolerHealthPool numbers, const char *expected, const char *name)
{
	is_str(described(pooler_health_judge_pool(&numbers, messages)), expected, "%s", name);
}

static void
probe(PoolerHealthProbe numbers, const char *expected, const char *name)
{
	is_str(described(pooler_health_judge_probe(&numbers, messages)), expected, "%s", name);
}

#define WITH(base, ...) \
	({ __typeof__(base) changed = (base); changed.__VA_ARGS__; changed; })

static void
test_general(void)
{
	PoolerHealthNumbers n = fine;

	general(fine, "", "nothing is wrong, at the thresholds");
	general(WITH(fine, running = false), "not_running critical 0 1", "no pooler");
	general(WITH(fine, listening = false), "not_listening critical 1 0", "no port");
	n.listening = false;
	n.draining = true;
	general(n, "draining critical 1 0", "draining is why the port is closed");
	n = fine;
	n.starts = 2;
	general(n, "restarted warning 10 300s", "started again");
	n.up_ms = 299999;
	general(n, "restarted warning 299.999 300s", "just in time");
	n.up_ms = 300000;
	general(n, "", "long ago");
	general(WITH(fine, clients = 81), "clients warning 81 80%", "many clients");
	general(WITH(fine, clients = 95), "clients warning 95 80%", "as many as that");
	general(WITH(fine, clients = 96), "clients critical 96 95%", "too many clients");
	general(WITH(fine, max_clients = 0), "", "a limit that is not known");
	general(WITH(fine, backends = 81), "backends warning 81 80%", "many backends");
	general(WITH(fine, failed_starts = 2), "failed_starts warning 2 0", "failed starts");
	general(WITH(fine, failed_logins = 7), "failed_logins info 7 0", "failed logins");
	general(WITH(fine, leaks = 3), "leaks warning 3 0", "leaks");
}

/* There is room for all that can come together. */
static void
test_all(void)
{
	PoolerHealthNumbers n = {
		.running = true, .starts = 2, .draining = true,
		.clients = 100, .max_clients = 100, .backends = 100, .max_backends = 100,
		.failed_starts = 1, .failed_logins = 1, .leaks = 1
	};
	int			most = pooler_health_judge(&n, messages);

	is(most, 7, "all at once");
	ok(most <= POOLER_HEALTH_MAX_GENERAL, "there is room for them");
}

static void
test_pool(void)
{
	PoolerHealthPool p = fine_pool;

	pool(fine_pool, "", "nothing is wrong, at the thresholds");
	pool(WITH(fine_pool, held = 9), "utilisation warning 90 80%", "utilisation");
	pool(WITH(fine_pool, size = 4), "", "but not of a small pool");
	pool(WITH(fine_pool, size = 0), "", "or of one without a size");
	p.held = 10;
	p.dedicated = true;
	pool(p, "", "or of one client's");
	pool(WITH(fine_pool, longest_wait_ms = 1001), "wait warning 1001 1000ms", "a wait");
	is_str(messages[0].text, "clients wait for a backend", "not all are held");
	p = fine_pool;
	p.size = p.held = 4;
	p.longest_wait_ms = 2000;
	pool(p, "wait warning 2000 1000ms", "a wait for one of those");
	ok(strncmp(messages[0].text, "all backends", 12) == 0, "all are held");
	p.longest_wait_ms = 10000;
	pool(p, "wait warning 10000 1000ms", "as long as it may be");
	p.longest_wait_ms = 10001;
	pool(p, "wait critical 10001 10000ms", "too long");
	p.wait_timeout_ms = 5000;
	pool(p, "wait critical 10001 2500ms", "half of the timeout is less");
	p.max_wait_ms = 0;
	pool(p, "wait critical 10001 2500ms", "half of the timeout alone");
	p.wait_timeout_ms = 0;
	pool(p, "wait warning 10001 1000ms", "never too long");
	p.max_wait_ms = 500;
	p.longest_wait_ms = 501;
	pool(p, "wait critical 501 500ms", "a threshold below a second");
	p.waiting = 0;
	pool(p, "", "nobody waits any more");
	p.waiting = 1;
	p.paused = true;
	pool(p, "", "it is paused");
	p = fine_pool;
	p.held = 20;
	p.longest_wait_ms = 99999;
	pool(p, "utilisation warning 200 80%, wait critical 99999 10000ms", "both");
	ok(pooler_health_utilisation(&p) == 200, "a pool that was made smaller");
}

static void
test_probe(void)
{
	PoolerHealthProbe good = {.ok = true, .latency_ms = 1000};
	PoolerHealthProbe bad = {.latency_ms = 0.5, .error = "no"};

	probe(good, "", "in time");
	probe(WITH(good, latency_ms = 1000.5), "probe_latency warning 1000.5 1000ms", "slow");
	probe(bad, "probe_failed critical 1 0", "an error");
	probe(WITH(bad, held = true), "", "paused: not tried");
	bad.latency_ms = 5001;
	probe(WITH(bad, timeout_ms = 5000), "probe_latency critical 5001 5000ms", "a timeout");
}

static void
test_verdict(void)
{
	PoolerHealthMessage info = {.severity = POOLER_HEALTH_INFO};
	PoolerHealthMessage warning = {.severity = POOLER_HEALTH_WARNING};
	PoolerHealthMessage critical = {.severity = POOLER_HEALTH_CRITICAL};

	is(pooler_health_worse(POOLER_HEALTHY, &info), POOLER_HEALTHY, "info: healthy");
	is(pooler_health_worse(POOLER_HEALTHY, &warning), POOLER_DEGRADED, "warning: degraded");
	is(pooler_health_worse(POOLER_DEGRADED, &critical), POOLER_UNHEALTHY, "critical: unhealthy");
	is(pooler_health_worse(POOLER_UNHEALTHY, &warning), POOLER_UNHEALTHY, "stays unhealthy");
	is(pooler_health_worse(POOLER_DEGRADED, &info), POOLER_DEGRADED, "stays degraded");
	is_str(pooler_health_status_name(POOLER_UNHEALTHY), "unhealthy", "its name");
	is_str(described(pooler_health_judge_hold(true, true, messages)),
		   "paused warning 1 0, disabled warning 1 0", "paused and disabled");
	is(pooler_health_judge_hold(false, false, messages), 0, "neither");
}

int
main(void)
{
	test_general();
	test_all();
	test_pool();
	test_probe();
	test_verdict();
	return done_testing();
}
