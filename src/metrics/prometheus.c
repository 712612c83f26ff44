/*-------------------------------------------------------------------------
 *
 * prometheus.c
 *	  Metrics as text for Prometheus, or as OpenMetrics.
 *
 * Runs in: the HTTP worker.  Counters come from the table in shared/stats.c,
 * gauges from the tables below.  A family is written once, with all that belongs
 * to it: that is required of OpenMetrics.
 *
 * No label is chosen by clients alone: application_name is none.
 *
 *-------------------------------------------------------------------------
 */
#include "metrics/internal.h"

#include "shared/guc.h"
#include "shared/hold.h"
#include "shared/leak.h"
#include "shared/snapshot.h"

typedef enum MetricType
{
	METRIC_COUNTER,
	METRIC_GAUGE,
	METRIC_HISTOGRAM,
	METRIC_INFO
} MetricType;

typedef struct Writer
{
	StringInfo	buf;
	bool		openmetrics;
	const PoolerMetrics *metrics;
	char	  **labels;			/* of each group */
} Writer;

/*---------------------------------------------------------------------------
 * the format
 *---------------------------------------------------------------------------
 */

/* OpenMetrics has quotes escaped also in help texts. */
static void
append_escaped(StringInfo buf, const char *text, bool quotes)
{
	for (const char *p = text; *p; p++)
	{
		if (*p == '\n')
			appendStringInfoString(buf, "\\n");
		else if (*p == '\\')
			appendStringInfoString(buf, "\\\\");
		else if (*p == '"' && quotes)
			appendStringInfoString(buf, "\\\"");
		else
			appendStringInfoChar(buf, *p);
	}
}

/* OpenMetrics names the family, Prometheus what its samples are called. */
static void
family(const Writer *out, const char *name, MetricType type, const char *help)
{
	static const char *const types[] = {
		[METRIC_COUNTER] = "counter",
		[METRIC_GAUGE] = "gauge",
		[METRIC_HISTOGRAM] = "histogram",
		[METRIC_INFO] = "info",
	};
	const char *suffix = "";

	if (!out->openmetrics && type == METRIC_COUNTER)
		suffix = "_total";
	if (!out->openmetrics && type == METRIC_INFO)
		suffix = "_info";
	appendStringInfo(out->buf, "# HELP pooler_%s%s ", name, suffix);
	append_escaped(out->buf, help, out->openmetrics);
	appendStringInfo(out->buf, ".\n# TYPE pooler_%s%s %s\n", name, suffix,
					 !out->openmetrics && type == METRIC_INFO ? "gauge" : types[type]);
}

/* What comes before the value.  label may be NULL, labels empty. */
static void
sample(const Writer *out, const char *name, const char *suffix,
	   const char *labels, const char *label, const char *value)
{
	StringInfo	buf = out->buf;

	appendStringInfoString(buf, "pooler_");
	appendStringInfoString(buf, name);
	appendStringInfoString(buf, suffix);
	if (labels[0] != '\0' || label != NULL)
	{
		appendStringInfoChar(buf, '{');
		appendStringInfoString(buf, labels);
		if (label != NULL)
		{
			if (labels[0] != '\0')
				appendStringInfoChar(buf, ',');
			appendStringInfoString(buf, label);
			appendStringInfoString(buf, "=\"");
			append_escaped(buf, value, true);
			appendStringInfoChar(buf, '"');
		}
		appendStringInfoChar(buf, '}');
	}
	appendStringInfoChar(buf, ' ');
}

static void
append_count(StringInfo buf, uint64 value)
{
	appendStringInfo(buf, UINT64_FORMAT "\n", value);
}

/* Exact, unlike a double. */
static void
append_seconds(StringInfo buf, uint64 us)
{
	appendStringInfo(buf, UINT64_FORMAT ".%06u\n", us / 1000000,
					 (unsigned) (us % 1000000));
}

/* Metrics without labels. */
static void
single(const Writer *out, const char *name, MetricType type, uint64 value,
	   const char *help)
{
	family(out, name, type, help);
	sample(out, name, type == METRIC_COUNTER ? "_total" : "", "", NULL, NULL);
	append_count(out->buf, value);
}

static void
single_time(const Writer *out, const char *name, TimestampTz time, const char *help)
{
	TimestampTz unix_epoch = (TimestampTz) (UNIX_EPOCH_JDATE - POSTGRES_EPOCH_JDATE) *
		USECS_PER_DAY;

	if (time == 0)
		return;
	family(out, name, METRIC_GAUGE, help);
	sample(out, name, "", "", NULL, NULL);
	append_seconds(out->buf, (uint64) (time - unix_epoch));
}

static void
make_labels(Writer *out)
{
	const PoolerMetrics *metrics = out->metrics;

	out->labels = palloc(metrics->ngroups * sizeof(char *));
	for (int i = 0; i < metrics->ngroups; i++)
	{
		StringInfoData labels;

		initStringInfo(&labels);
		appendStringInfoString(&labels, "database=\"");
		append_escaped(&labels, metrics->groups[i].database, true);
		appendStringInfoString(&labels, "\",role=\"");
		append_escaped(&labels, metrics->groups[i].role, true);
		appendStringInfoChar(&labels, '"');
		out->labels[i] = labels.data;
	}
}

/*---------------------------------------------------------------------------
 * counters
 *---------------------------------------------------------------------------
 */

static void
append_counter(StringInfo buf, const PoolerStat *stat, const void *counters)
{
	uint64		value = *(const uint64 *) ((const char *) counters + stat->offset);

	if (strcmp(stat->unit, "us") == 0)
		append_seconds(buf, value);
	else
		append_count(buf, value);
}

/* In all groups, or in the pooler. */
static void
append_stat(const Writer *out, const char *name, const PoolerStat *stat,
			const char *label)
{
	const char *suffix = stat->kind == POOLER_STAT_SUM ? "_total" : "";

	if (stat->scope == POOLER_STAT_WORKER)
	{
		sample(out, name, suffix, "", NULL, NULL);
		append_counter(out->buf, stat, &pooler_shared->counters);
		return;
	}
	for (int i = 0; i < out->metrics->ngroups; i++)
	{
		sample(out, name, suffix, out->labels[i], label, stat->label_value);
		append_counter(out->buf, stat, &out->metrics->groups[i].counters);
	}
}

/* wait_us becomes wait_seconds: base units. */
static const char *
base_name(const PoolerStat *stat)
{
	if (strcmp(stat->unit, "us") != 0)
		return stat->name;
	return psprintf("%.*s_seconds", (int) strlen(stat->name) - 3, stat->name);
}

static void
append_alone(const Writer *out, const PoolerStat *stat)
{
	const char *name = base_name(stat);

	family(out, name, stat->kind == POOLER_STAT_SUM ? METRIC_COUNTER : METRIC_GAUGE,
		   stat->help);
	append_stat(out, name, stat, NULL);
}

static void
append_family(const Writer *out, const PoolerStatFamily *fam)
{
	family(out, fam->name, METRIC_COUNTER, fam->help);
	for (int i = 0; i < pooler_stats_count; i++)
	{
		if (pooler_stat_family(&pooler_stats[i]) == fam)
			append_stat(out, fam->name, &pooler_stats[i], fam->label);
	}
}

static void
append_counters(const Writer *out)
{
	const PoolerStatFamily *last = NULL;

	for (int i = 0; i < pooler_stats_count; i++)
	{
		const PoolerStat *stat = &pooler_stats[i];
		const PoolerStatFamily *fam = pooler_stat_family(stat);

		if (stat->family == NULL)
			append_alone(out, stat);
		else if (fam != NULL && fam != last)
		{
			append_family(out, fam);
			last = fam;
		}
	}
}

/*---------------------------------------------------------------------------
 * histograms
 *---------------------------------------------------------------------------
 */

typedef struct TimeMetric
{
	const char *name;
	const char *help;
} TimeMetric;

static const TimeMetric time_metrics[] = {
	[POOLER_TIME_WAIT] = {"wait_seconds", "Time clients waited for a backend, whether they got one or not"},
	[POOLER_TIME_TRANSACTION] = {"transaction_seconds", "Time transactions took, time idle in them included"},
	[POOLER_TIME_LOGIN] = {"login_seconds", "Time from accepting a client to its being logged in"},
};

StaticAssertDecl(lengthof(time_metrics) == POOLER_NTIMES,
				 "each kind of time needs a metric");

/*
 * Bounds are powers of two in microseconds, from 32 us to 134 s: borders of our
 * own buckets, so that they are exact.  A time of 31.9 us was recorded as 31.
 */
#define FIRST_BOUND		5
#define LAST_BOUND		27

static void
append_histogram(const Writer *out, const char *name, const char *labels,
				 const PoolerHistogram *times)
{
	uint64		sum = 0;
	unsigned	bucket = 0;

	for (int power = FIRST_BOUND; power <= LAST_BOUND; power++)
	{
		uint64		us = UINT64CONST(1) << power;
		unsigned	end = pooler_histogram_bucket(us);
		char		bound[32];

		while (bucket < end)
			sum += times->buckets[bucket++];
		snprintf(bound, sizeof(bound), "%u.%06u", (unsigned) (us / 1000000),
				 (unsigned) (us % 1000000));
		sample(out, name, "_bucket", labels, "le", bound);
		append_count(out->buf, sum);
	}
	sum = pooler_histogram_count(times);
	sample(out, name, "_bucket", labels, "le", "+Inf");
	append_count(out->buf, sum);
	sample(out, name, "_sum", labels, NULL, NULL);
	append_seconds(out->buf, times->sum);
	sample(out, name, "_count", labels, NULL, NULL);
	append_count(out->buf, sum);
}

static void
append_histograms(const Writer *out)
{
	for (int t = 0; t < POOLER_NTIMES; t++)
	{
		family(out, time_metrics[t].name, METRIC_HISTOGRAM, time_metrics[t].help);
		for (int i = 0; i < out->metrics->ngroups; i++)
			append_histogram(out, time_metrics[t].name, out->labels[i],
							 &out->metrics->groups[i].times[t]);
	}
}

/*---------------------------------------------------------------------------
 * pools
 *---------------------------------------------------------------------------
 */

typedef struct StateMetric
{
	const char *state;
	size_t		offset;			/* into PoolerPoolCount */
} StateMetric;

static const StateMetric backend_states[] = {
	{"starting", offsetof(PoolerPoolCount, backends_starting)},
	{"free", offsetof(PoolerPoolCount, backends_free)},
	{"lingering", offsetof(PoolerPoolCount, backends_lingering)},
	{"pinned", offsetof(PoolerPoolCount, backends_pinned)},
	{"busy", offsetof(PoolerPoolCount, backends_busy)},
	{"ending", offsetof(PoolerPoolCount, backends_ending)},
};

static const StateMetric client_states[] = {
	{"idle", offsetof(PoolerPoolCount, clients_idle)},
	{"waiting", offsetof(PoolerPoolCount, clients_waiting)},
	{"active", offsetof(PoolerPoolCount, clients_active)},
};

/* The others are shown only if there are any. */
static bool
has_pools(const Writer *out, int i)
{
	return out->metrics->groups[i].npools > 0;
}

static void
append_states(const Writer *out, const char *name, const char *help,
			  const StateMetric *states, int nstates)
{
	family(out, name, METRIC_GAUGE, help);
	for (int i = 0; i < out->metrics->ngroups; i++)
	{
		const char *count = (const char *) &out->metrics->groups[i].count;

		for (int s = 0; s < nstates && has_pools(out, i); s++)
		{
			sample(out, name, "", out->labels[i], "state", states[s].state);
			append_count(out->buf, *(const int32 *) (count + states[s].offset));
		}
	}
}

static void
append_size(StringInfo buf, const PoolerMetricsGroup *group, TimestampTz now)
{
	append_count(buf, group->size);
}

static void
append_paused(StringInfo buf, const PoolerMetricsGroup *group, TimestampTz now)
{
	append_count(buf, group->paused ? 1 : 0);
}

static void
append_longest_wait(StringInfo buf, const PoolerMetricsGroup *group, TimestampTz now)
{
	TimestampTz since = group->count.first_queued_at;

	append_seconds(buf, since == 0 || since > now ? 0 : now - since);
}

static void
append_utilisation(StringInfo buf, const PoolerMetricsGroup *group, TimestampTz now)
{
	int			used = group->count.backends_pinned + group->count.backends_busy;

	appendStringInfo(buf, "%.4f\n", group->size == 0 ? 0.0 : (double) used / group->size);
}

typedef struct PoolMetric
{
	const char *name;
	void		(*append) (StringInfo buf, const PoolerMetricsGroup *group,
						   TimestampTz now);
	const char *help;
} PoolMetric;

static const PoolMetric pool_metrics[] = {
	{"pool_size", append_size, "Most backends that the pool may have, without its reserve"},
	{"pool_utilisation_ratio", append_utilisation,
	"Share of the pool's size that is at work or kept by a session; more than 1 if the reserve is used"},
	{"pool_longest_wait_seconds", append_longest_wait,
	"How long the client waits that waits longest now; 0 if none does"},
	{"pool_paused", append_paused, "Whether the pool is paused"},
};

static void
append_pools(const Writer *out)
{
	append_states(out, "pool_backends", "Backends of a pool, by what they do",
				  backend_states, lengthof(backend_states));
	append_states(out, "pool_clients", "Clients of a pool, by what they do",
				  client_states, lengthof(client_states));
	for (int m = 0; m < (int) lengthof(pool_metrics); m++)
	{
		const PoolMetric *metric = &pool_metrics[m];

		family(out, metric->name, METRIC_GAUGE, metric->help);
		for (int i = 0; i < out->metrics->ngroups; i++)
		{
			if (!has_pools(out, i))
				continue;
			sample(out, metric->name, "", out->labels[i], NULL, NULL);
			metric->append(out->buf, &out->metrics->groups[i], out->metrics->now);
		}
	}
	single(out, "unlisted_pools", METRIC_GAUGE, out->metrics->groups[0].npools,
		   "Pools that are shown together, without names, because there are too many or they came too late to be counted apart");
}

/*---------------------------------------------------------------------------
 * the pooler
 *---------------------------------------------------------------------------
 */

static void
append_info(const Writer *out)
{
	family(out, "build", METRIC_INFO, "Versions of the pooler and of the server");
	sample(out, "build", "_info", "version=\"" POOLER_VERSION "\"",
		   "server_version", PG_VERSION);
	append_count(out->buf, 1);
}

static void
append_status(const Writer *out)
{
	uint32		epoch = pg_atomic_read_u32(&pooler_shared->epoch);
	bool		up = pooler_shared->worker_pid != 0;

	single(out, "up", METRIC_GAUGE, up ? 1 : 0, "Whether the pooler runs");
	single(out, "listening", METRIC_GAUGE, up && pooler_shared->port != 0 ? 1 : 0,
		   "Whether the pooler takes new clients");
	single(out, "paused", METRIC_GAUGE,
		   pooler_hold_flags(InvalidOid) & POOLER_HOLD_PAUSED ? 1 : 0,
		   "Whether all databases are paused");
	/* each life of the worker makes it odd, and even at its end */
	single(out, "starts", METRIC_COUNTER, ((uint64) epoch + 1) / 2,
		   "Times the pooler was started since the server was");
	if (up)
		single_time(out, "start_time_seconds", pooler_shared->worker_started_at,
					"When the pooler was started");
	single_time(out, "stats_reset_time_seconds", pooler_shared->stats_reset,
				"When statistics were reset");
}

static void
append_limits(const Writer *out)
{
	single(out, "clients", METRIC_GAUGE, pooler_count_client_slots(),
		   "Clients that are connected, those that log in included");
	single(out, "max_clients", METRIC_GAUGE, pooler_shared->max_clients,
		   "Most clients that may be connected");
	single(out, "backends", METRIC_GAUGE, pooler_count_backend_slots(),
		   "Backends, in pools and for logins");
	single(out, "max_backends", METRIC_GAUGE, pooler_max_backends_in_force(),
		   "Most backends that all pools may have together");
	single(out, "session_memory_bytes", METRIC_GAUGE,
		   pg_atomic_read_u64(&pooler_shared->session_bytes),
		   "Shared memory with what clients carry from one backend to the next");
	single(out, "prepared_statements", METRIC_GAUGE,
		   pg_atomic_read_u32(&pooler_shared->statements),
		   "Prepared statements in shared memory");
	single(out, "prepared_statements_memory_bytes", METRIC_GAUGE,
		   pg_atomic_read_u64(&pooler_shared->statements_bytes),
		   "Shared memory with prepared statements");
	single(out, "prepared_statements_evicted", METRIC_COUNTER,
		   pg_atomic_read_u32(&pooler_shared->statements_evicted),
		   "Prepared statements that had to make room for others");
}

/*---------------------------------------------------------------------------
 * leaks
 *---------------------------------------------------------------------------
 */

#define NSEVERITIES		(POOLER_LEAK_CRITICAL + 1)

static void
append_leaks(const Writer *out)
{
	int			counts[POOLER_NLEAK_KINDS][NSEVERITIES] = {0};
	PoolerLeak	leak;

	for (int i = 0; i < POOLER_MAX_LEAKS; i++)
	{
		if (pooler_leak_read(&pooler_leaks->current[i], &leak) &&
			(int) leak.kind < POOLER_NLEAK_KINDS &&
			(int) leak.severity < NSEVERITIES)
			counts[leak.kind][leak.severity]++;
	}
	family(out, "leaks", METRIC_GAUGE, "What clients hold and should have given back");
	for (int kind = 0; kind < POOLER_NLEAK_KINDS; kind++)
	{
		const char *labels = psprintf("kind=\"%s\"", pooler_leak_kind_name(kind));

		for (int severity = 0; severity < NSEVERITIES; severity++)
		{
			sample(out, "leaks", "", labels, "severity",
				   pooler_leak_severity_name(severity));
			append_count(out->buf, counts[kind][severity]);
		}
	}
	single(out, "unlisted_leaks", METRIC_GAUGE,
		   pg_atomic_read_u32(&pooler_leaks->nleft_out),
		   "Leaks that there was no room to say anything of");
}

/*---------------------------------------------------------------------------
 * all of it
 *---------------------------------------------------------------------------
 */

static int
append_all(StringInfo buf, bool openmetrics)
{
	Writer		out = {.buf = buf, .openmetrics = openmetrics};

	out.metrics = pooler_http_collect();
	make_labels(&out);
	append_info(&out);
	append_status(&out);
	append_limits(&out);
	append_pools(&out);
	append_counters(&out);
	append_histograms(&out);
	append_leaks(&out);
	if (openmetrics)
		appendStringInfoString(buf, "# EOF\n");
	return 200;
}

int
pooler_http_prometheus(StringInfo buf)
{
	return append_all(buf, false);
}

int
pooler_http_openmetrics(StringInfo buf)
{
	return append_all(buf, true);
}
