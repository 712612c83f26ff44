/*-------------------------------------------------------------------------
 *
 * guc.c
 *	  Definitions and checks of the settings.
 *
 * Runs in: the postmaster at start (definitions) and every process (checks).
 * No role can lift its own limits: only superusers can change a setting for a
 * role or a database, and a session can change none for its pool.
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "postmaster/postmaster.h"
#include "shared/guc.h"
#include "shared/lists.h"
#include "shared/shmem.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/varlena.h"

char	   *pooler_listen_addresses;
int			pooler_port;
char	   *pooler_unix_socket_directories;

int			pooler_max_client_conn;
int			pooler_max_unauthenticated;
int			pooler_max_backends;
int			pooler_tls_workers;
char	   *pooler_prefork;

double		pooler_server_connect_timeout;
double		pooler_server_login_retry;
double		pooler_client_login_timeout;
double		pooler_auth_delay;
double		pooler_client_read_timeout;
double		pooler_client_write_timeout;
double		pooler_cancel_wait_timeout;
double		pooler_health_max_wait;
double		pooler_pool_idle_timeout;
double		pooler_stats_period;
double		pooler_pin_timeout;
int			pooler_session_memory;
int			pooler_pool_mode;
int			pooler_pin_limit;
int			pooler_prepared_statements_memory;

static char *leak_action;

char	   *pooler_admin_roles;
char	   *pooler_aliases;
char	   *pooler_ignore_startup_parameters;
char	   *pooler_login_notify_message;

int			pooler_log_connections;
int			pooler_log_disconnections;
bool		pooler_log_pooler_errors;
bool		pooler_log_stats;

bool		pooler_tcp_keepalive;
int			pooler_tcp_keepcnt;
int			pooler_tcp_keepidle;
int			pooler_tcp_keepintvl;
int			pooler_tcp_user_timeout;
int			pooler_tcp_socket_buffer;
bool		pooler_tcp_defer_accept;
int			pooler_listen_backlog;

int			pooler_http_port;
char	   *pooler_http_listen_addresses;
bool		pooler_http_show_queries;

/* the server-wide values of what a pool may have of its own */
static int	default_pool_size;
static int	min_pool_size;
static int	reserve_pool_size;
static int	max_db_connections;
static int	max_user_connections;
static int	max_db_client_connections;
static int	max_user_client_connections;
static double reserve_pool_timeout;
static double server_idle_timeout;
static double server_lifetime;
static double query_timeout;
static double query_wait_timeout;
static double query_wait_notify;
static double client_idle_timeout;
static double idle_transaction_timeout;
static double transaction_timeout;
static double leak_idle_in_transaction;
static double leak_transaction;
static double leak_pinned_idle;
static double leak_connection_idle;
static int	leak_connection_growth;
static double leak_pool_held;
static int	leak_locks;
static int	leak_cursors;
static int	leak_temp_objects;
static int	leak_prepared_statements;
static int	leak_actions;		/* what pooler.leak_action says */

typedef struct PoolSettingPlace
{
	const char *name;
	int		   *count;			/* one of these */
	double	   *seconds;
} PoolSettingPlace;

static const PoolSettingPlace pool_settings[POOLER_NPOOL_SETTINGS] = {
	[POOLER_DEFAULT_POOL_SIZE] = {"pooler.default_pool_size", .count = &default_pool_size},
	[POOLER_MIN_POOL_SIZE] = {"pooler.min_pool_size", .count = &min_pool_size},
	[POOLER_RESERVE_POOL_SIZE] = {"pooler.reserve_pool_size", .count = &reserve_pool_size},
	[POOLER_MAX_DB_CONNECTIONS] = {"pooler.max_db_connections", .count = &max_db_connections},
	[POOLER_MAX_USER_CONNECTIONS] = {"pooler.max_user_connections", .count = &max_user_connections},
	[POOLER_MAX_DB_CLIENT_CONNECTIONS] = {"pooler.max_db_client_connections", .count = &max_db_client_connections},
	[POOLER_MAX_USER_CLIENT_CONNECTIONS] = {"pooler.max_user_client_connections", .count = &max_user_client_connections},
	[POOLER_RESERVE_POOL_TIMEOUT] = {"pooler.reserve_pool_timeout", .seconds = &reserve_pool_timeout},
	[POOLER_SERVER_IDLE_TIMEOUT] = {"pooler.server_idle_timeout", .seconds = &server_idle_timeout},
	[POOLER_SERVER_LIFETIME] = {"pooler.server_lifetime", .seconds = &server_lifetime},
	[POOLER_QUERY_TIMEOUT] = {"pooler.query_timeout", .seconds = &query_timeout},
	[POOLER_QUERY_WAIT_TIMEOUT] = {"pooler.query_wait_timeout", .seconds = &query_wait_timeout},
	[POOLER_QUERY_WAIT_NOTIFY] = {"pooler.query_wait_notify", .seconds = &query_wait_notify},
	[POOLER_CLIENT_IDLE_TIMEOUT] = {"pooler.client_idle_timeout", .seconds = &client_idle_timeout},
	[POOLER_IDLE_TRANSACTION_TIMEOUT] = {"pooler.idle_transaction_timeout", .seconds = &idle_transaction_timeout},
	[POOLER_TRANSACTION_TIMEOUT] = {"pooler.transaction_timeout", .seconds = &transaction_timeout},
	[POOLER_POOL_MODE] = {"pooler.pool_mode", .count = &pooler_pool_mode},
	[POOLER_PIN_TIMEOUT] = {"pooler.pin_timeout", .seconds = &pooler_pin_timeout},
	[POOLER_LEAK_LIMITS + POOLER_LEAK_IDLE_IN_TRANSACTION] = {"pooler.leak_idle_in_transaction", .seconds = &leak_idle_in_transaction},
	[POOLER_LEAK_LIMITS + POOLER_LEAK_TRANSACTION] = {"pooler.leak_transaction", .seconds = &leak_transaction},
	[POOLER_LEAK_LIMITS + POOLER_LEAK_PINNED_IDLE] = {"pooler.leak_pinned_idle", .seconds = &leak_pinned_idle},
	[POOLER_LEAK_LIMITS + POOLER_LEAK_CONNECTION_IDLE] = {"pooler.leak_connection_idle", .seconds = &leak_connection_idle},
	[POOLER_LEAK_LIMITS + POOLER_LEAK_CONNECTION_GROWTH] = {"pooler.leak_connection_growth", .count = &leak_connection_growth},
	[POOLER_LEAK_LIMITS + POOLER_LEAK_POOL_HELD] = {"pooler.leak_pool_held", .seconds = &leak_pool_held},
	[POOLER_LEAK_LIMITS + POOLER_LEAK_LOCKS] = {"pooler.leak_locks", .count = &leak_locks},
	[POOLER_LEAK_LIMITS + POOLER_LEAK_CURSORS] = {"pooler.leak_cursors", .count = &leak_cursors},
	[POOLER_LEAK_LIMITS + POOLER_LEAK_TEMP_OBJECTS] = {"pooler.leak_temp_objects", .count = &leak_temp_objects},
	[POOLER_LEAK_LIMITS + POOLER_LEAK_STATEMENTS] = {"pooler.leak_prepared_statements", .count = &leak_prepared_statements},
	[POOLER_LEAK_ACTIONS] = {"pooler.leak_action", .count = &leak_actions},
};

const char *
pooler_pool_setting_name(PoolerPoolSetting setting)
{
	return pool_settings[setting].name;
}

double
pooler_pool_setting_here(PoolerPoolSetting setting)
{
	const PoolSettingPlace *place = &pool_settings[setting];

	return place->count ? *place->count : *place->seconds;
}

int32
pooler_pool_setting_kept(PoolerPoolSetting setting)
{
	const PoolSettingPlace *place = &pool_settings[setting];

	return place->count ? *place->count : pooler_ms(*place->seconds);
}

bool
pooler_pool_setting_is_time(PoolerPoolSetting setting)
{
	return pool_settings[setting].seconds != NULL;
}

int
pooler_max_backends_in_force(void)
{
	if (pooler_max_backends > 0)
		return pooler_max_backends;
	return Max(1, MaxConnections * 4 / 5);
}

int
pooler_login_backends(void)
{
	return Max(2, (MaxConnections - pooler_max_backends_in_force()) / 2);
}

static bool
check_prefork(char **newval, void **extra, GucSource source)
{
	List	   *items;

	if (pooler_parse_prefork(*newval, &items))
		return true;
	GUC_check_errdetail("Each item must be a database and a role, separated by a slash.");
	GUC_check_errhint("For example: pooler.prefork = 'app/app_user, \"Shop\"/reader'.");
	return false;
}

static bool
check_aliases(char **newval, void **extra, GucSource source)
{
	List	   *aliases;
	const char *name = NULL;

	switch (pooler_parse_aliases(*newval, &aliases, &name))
	{
		case POOLER_ALIASES_OK:
			return true;
		case POOLER_ALIASES_SYNTAX:
			GUC_check_errdetail("Each item must be an alias, an equals sign, a database, and perhaps a role.");
			break;
		case POOLER_ALIASES_DUPLICATE:
			GUC_check_errdetail("The alias \"%s\" is given twice.", name);
			break;
		case POOLER_ALIASES_CONSOLE:
			GUC_check_errdetail("\"%s\" is the name of the console.", name);
			break;
	}
	GUC_check_errhint("For example: pooler.aliases = 'app = app_v2, \"Reports\" = app_v2 reader'.");
	return false;
}

static bool
check_leak_action(char **newval, void **extra, GucSource source)
{
	int			packed;
	PoolerLeakKind kind;

	switch (pooler_leak_parse_action(*newval, &packed, &kind))
	{
		case POOLER_LEAK_ACTION_OK:
			return true;
		case POOLER_LEAK_ACTION_SYNTAX:
			GUC_check_errdetail("Each item must be an action (log, cancel, terminate), or a kind of leak, an equals sign, and an action; only one may be without a kind.");
			break;
		case POOLER_LEAK_ACTION_KIND:
			GUC_check_errdetail("There is no such action or kind of leak.");
			break;
		case POOLER_LEAK_ACTION_DUPLICATE:
			GUC_check_errdetail("The kind \"%s\" is given twice.",
								pooler_leak_kind_name(kind));
			break;
		case POOLER_LEAK_ACTION_CANCEL:
			GUC_check_errdetail("In a leak of the kind \"%s\" no command runs that could be canceled.",
								pooler_leak_kind_name(kind));
			GUC_check_errhint("Use \"log\" or \"terminate\" for it.");
			return false;
	}
	GUC_check_errhint("For example: pooler.leak_action = 'log, idle_in_transaction = terminate, transaction = cancel'.");
	return false;
}

/* The check has found it to be right. */
static void
assign_leak_action(const char *newval, void *extra)
{
	PoolerLeakKind kind;

	(void) pooler_leak_parse_action(newval, &leak_actions, &kind);
}

static bool
check_listen_addresses(char **newval, void **extra, GucSource source)
{
	char	   *raw = pstrdup(*newval);
	List	   *addresses;

	if (SplitGUCList(raw, ',', &addresses))
		return true;
	GUC_check_errdetail("List syntax is invalid.");
	GUC_check_errhint("Give host names or addresses separated by commas, \"*\" for all, or an empty value for none.");
	return false;
}

static bool
check_names(char **newval, void **extra, GucSource source)
{
	char	   *raw = pstrdup(*newval);
	List	   *names;

	if (SplitIdentifierString(raw, ',', &names))
		return true;
	GUC_check_errdetail("List syntax is invalid.");
	GUC_check_errhint("Give names separated by commas; quote those with capital letters.");
	return false;
}

static bool
check_socket_directories(char **newval, void **extra, GucSource source)
{
	char	   *raw;
	List	   *directories;

	if (*newval == NULL)
		return true;
	raw = pstrdup(*newval);
	if (SplitDirectoriesString(raw, ',', &directories))
		return true;
	GUC_check_errdetail("List syntax is invalid.");
	GUC_check_errhint("Give directories separated by commas.");
	return false;
}

/*
 * 0 stands for a share of max_connections.  More than max_connections can
 * never be had, but max_connections may not be known yet when this runs.
 */
static bool
check_max_backends(int *newval, void **extra, GucSource source)
{
	if (*newval <= POOLER_MAX_BACKEND_SLOTS / 2)
		return true;
	GUC_check_errdetail("The pooler can have at most %d backends.",
						POOLER_MAX_BACKEND_SLOTS / 2);
	GUC_check_errhint("Set pooler.max_backends to 0 for 80 percent of max_connections.");
	return false;
}

/* The settings that are numbers, in two tables; see struct config_int. */
typedef struct PoolerIntSetting
{
	const char *name;
	const char *short_desc;
	const char *long_desc;
	int		   *variable;
	int			boot;
	int			min;
	int			max;
	GucContext	context;
	int			flags;
	GucIntCheckHook check;
} PoolerIntSetting;

static const PoolerIntSetting int_settings[] = {
	{
		.name = "pooler.port",
		.short_desc = "TCP port and Unix socket number the pooler listens on.",
		.variable = &pooler_port,
		.boot = 6432, .min = 1, .max = 65535,
		.context = PGC_POSTMASTER
	},
	{
		.name = "pooler.listen_backlog",
		.short_desc = "Number of connections that may wait to be accepted, for each address.",
		.long_desc = "The kernel cuts it to net.core.somaxconn.",
		.variable = &pooler_listen_backlog,
		.boot = 4096, .min = 1, .max = INT_MAX,
		.context = PGC_POSTMASTER
	},
	{
		.name = "pooler.max_client_conn",
		.short_desc = "Maximum number of clients connected to the pooler.",
		.variable = &pooler_max_client_conn,
		.boot = 1000, .min = 1, .max = 400000,
		.context = PGC_POSTMASTER
	},
	{
		.name = "pooler.max_unauthenticated",
		.short_desc = "Number of connections that may be logging in while client slots are short.",
		.long_desc = "0 means a quarter of pooler.max_client_conn.",
		.variable = &pooler_max_unauthenticated,
		.boot = 0, .min = 0, .max = 400000,
		.context = PGC_SIGHUP
	},
	{
		.name = "pooler.tls_workers",
		.short_desc = "Number of processes that encrypt and decrypt for clients.",
		.long_desc = "0 means half as many as processors, at least one and at most four.",
		.variable = &pooler_tls_workers,
		.boot = 0, .min = 0, .max = POOLER_MAX_TLS_WORKERS,
		.context = PGC_POSTMASTER
	},
	{
		.name = "pooler.max_backends",
		.short_desc = "Maximum number of backends in all pools together.",
		.long_desc = "0 means 80 percent of max_connections.",
		.variable = &pooler_max_backends,
		.boot = 0, .min = 0, .max = 262143,
		.context = PGC_POSTMASTER, .check = check_max_backends
	},
	{
		.name = "pooler.default_pool_size",
		.short_desc = "Maximum number of backends of a pool.",
		.long_desc = "0 means as many as pooler.max_backends.",
		.variable = &default_pool_size,
		.boot = 20, .min = 0, .max = 32767,
		.context = PGC_SUSET
	},
	{
		.name = "pooler.min_pool_size",
		.short_desc = "Number of backends that a pool in use keeps open.",
		.variable = &min_pool_size,
		.boot = 0, .min = 0, .max = 32767,
		.context = PGC_SUSET
	},
	{
		.name = "pooler.reserve_pool_size",
		.short_desc = "Number of additional backends of a pool whose clients wait too long.",
		.variable = &reserve_pool_size,
		.boot = 0, .min = 0, .max = 32767,
		.context = PGC_SUSET
	},
	{
		.name = "pooler.max_db_connections",
		.short_desc = "Maximum number of backends in all pools of one database.",
		.long_desc = "0 means no limit.",
		.variable = &max_db_connections,
		.boot = 0, .min = 0, .max = 262143,
		.context = PGC_SUSET
	},
	{
		.name = "pooler.max_user_connections",
		.short_desc = "Maximum number of backends in all pools of one role.",
		.long_desc = "0 means no limit.",
		.variable = &max_user_connections,
		.boot = 0, .min = 0, .max = 262143,
		.context = PGC_SUSET
	},
	{
		.name = "pooler.max_db_client_connections",
		.short_desc = "Maximum number of clients of one database.",
		.long_desc = "0 means no limit.",
		.variable = &max_db_client_connections,
		.boot = 0, .min = 0, .max = 400000,
		.context = PGC_SUSET
	},
	{
		.name = "pooler.max_user_client_connections",
		.short_desc = "Maximum number of clients of one role.",
		.long_desc = "0 means no limit.",
		.variable = &max_user_client_connections,
		.boot = 0, .min = 0, .max = 400000,
		.context = PGC_SUSET
	},
	{
		.name = "pooler.pin_limit",
		.short_desc = "Share of a pool's backends that sessions may keep between transactions.",
		.long_desc = "In percent of the pool's size.",
		.variable = &pooler_pin_limit,
		.boot = 100, .min = 0, .max = 100,
		.context = PGC_SUSET
	},
	{
		.name = "pooler.leak_connection_growth",
		.short_desc = "Number of unused connections of an application by which it counts as leaking them.",
		.long_desc = "0 means never.",
		.variable = &leak_connection_growth,
		.boot = 50, .min = 0, .max = 1000000,
		.context = PGC_SUSET
	},
	{
		.name = "pooler.leak_locks",
		.short_desc = "Number of session-level advisory locks by which a session may grow without it counting as a leak.",
		.long_desc = "0 means never.",
		.variable = &leak_locks,
		.boot = 1000, .min = 0, .max = 1000000,
		.context = PGC_SUSET
	},
	{
		.name = "pooler.leak_cursors",
		.short_desc = "Number of cursors by which a session may grow without it counting as a leak.",
		.long_desc = "0 means never.",
		.variable = &leak_cursors,
		.boot = 100, .min = 0, .max = 1000000,
		.context = PGC_SUSET
	},
	{
		.name = "pooler.leak_temp_objects",
		.short_desc = "Number of temporary objects by which a session may grow without it counting as a leak.",
		.long_desc = "0 means never.",
		.variable = &leak_temp_objects,
		.boot = 1000, .min = 0, .max = 5000,
		.context = PGC_SUSET
	},
	{
		.name = "pooler.leak_prepared_statements",
		.short_desc = "Number of prepared statements by which a session may grow without it counting as a leak.",
		.long_desc = "0 means never.",
		.variable = &leak_prepared_statements,
		.boot = 5000, .min = 0, .max = 1000000,
		.context = PGC_SUSET
	},
	{
		.name = "pooler.session_memory",
		.short_desc = "Shared memory for what all clients carry from one backend to the next.",
		.long_desc = "Settings, names of prepared statements and the like.",
		.variable = &pooler_session_memory,
		.boot = 64 * 1024, .min = 1024, .max = INT_MAX,
		.context = PGC_SIGHUP, .flags = GUC_UNIT_KB
	},
	{
		.name = "pooler.prepared_statements_memory",
		.short_desc = "Shared memory for prepared statements.",
		.long_desc = "Statements that no client holds any more make room for others.",
		.variable = &pooler_prepared_statements_memory,
		.boot = 64 * 1024, .min = 1024, .max = INT_MAX,
		.context = PGC_SIGHUP, .flags = GUC_UNIT_KB
	},
	{
		.name = "pooler.tcp_keepcnt",
		.short_desc = "Number of TCP keepalive probes that a client may leave unanswered.",
		.long_desc = "0 means the server's tcp_keepalives_count.",
		.variable = &pooler_tcp_keepcnt,
		.boot = 0, .min = 0, .max = INT_MAX,
		.context = PGC_SIGHUP
	},
	{
		.name = "pooler.tcp_keepidle",
		.short_desc = "Time without traffic before TCP sends a keepalive probe to a client.",
		.long_desc = "0 means the server's tcp_keepalives_idle.",
		.variable = &pooler_tcp_keepidle,
		.boot = 0, .min = 0, .max = INT_MAX,
		.context = PGC_SIGHUP, .flags = GUC_UNIT_S
	},
	{
		.name = "pooler.tcp_keepintvl",
		.short_desc = "Time between TCP keepalive probes to a client.",
		.long_desc = "0 means the server's tcp_keepalives_interval.",
		.variable = &pooler_tcp_keepintvl,
		.boot = 0, .min = 0, .max = INT_MAX,
		.context = PGC_SIGHUP, .flags = GUC_UNIT_S
	},
	{
		.name = "pooler.tcp_user_timeout",
		.short_desc = "Time that data sent to a client may go unacknowledged by TCP.",
		.long_desc = "0 means the server's tcp_user_timeout.",
		.variable = &pooler_tcp_user_timeout,
		.boot = 0, .min = 0, .max = INT_MAX,
		.context = PGC_SIGHUP, .flags = GUC_UNIT_MS
	},
	{
		.name = "pooler.tcp_socket_buffer",
		.short_desc = "Size of the kernel's buffers of a client's TCP connection.",
		.long_desc = "0 means that the kernel decides.",
		.variable = &pooler_tcp_socket_buffer,
		.boot = 0, .min = 0, .max = INT_MAX / 2,
		.context = PGC_SIGHUP, .flags = GUC_UNIT_BYTE
	},
	{
		.name = "pooler.http_port",
		.short_desc = "TCP port on which the pooler answers HTTP requests for its state.",
		.long_desc = "0 means none.",
		.variable = &pooler_http_port,
		.boot = 0, .min = 0, .max = 65535,
		.context = PGC_SIGHUP
	},
};

/*
 * Times are in seconds, of which PgBouncer allows fractions.  TimestampTz
 * arithmetic counts milliseconds in an int.
 */
#define MAX_SECONDS		(INT_MAX / 1000)

typedef struct PoolerTimeSetting
{
	const char *name;
	const char *short_desc;
	const char *long_desc;
	double	   *variable;
	double		boot;
	double		min;
	double		max;
	GucContext	context;
} PoolerTimeSetting;

static const PoolerTimeSetting time_settings[] = {
	{
		.name = "pooler.reserve_pool_timeout",
		.short_desc = "Time a client waits before the reserve of its pool is used.",
		.variable = &reserve_pool_timeout,
		.boot = 5, .min = 0, .max = MAX_SECONDS,
		.context = PGC_SUSET
	},
	{
		.name = "pooler.server_idle_timeout",
		.short_desc = "Time after which an idle backend is closed.",
		.long_desc = "0 means never.",
		.variable = &server_idle_timeout,
		.boot = 600, .min = 0, .max = MAX_SECONDS,
		.context = PGC_SUSET
	},
	{
		.name = "pooler.server_lifetime",
		.short_desc = "Age after which a backend is closed when it becomes idle.",
		.long_desc = "0 means never.",
		.variable = &server_lifetime,
		.boot = 3600, .min = 0, .max = MAX_SECONDS,
		.context = PGC_SUSET
	},
	{
		.name = "pooler.query_timeout",
		.short_desc = "Time a command may take.",
		.long_desc = "0 means without limit.",
		.variable = &query_timeout,
		.boot = 0, .min = 0, .max = MAX_SECONDS,
		.context = PGC_SUSET
	},
	{
		.name = "pooler.query_wait_timeout",
		.short_desc = "Time a client may wait for a backend.",
		.long_desc = "0 means without limit.",
		.variable = &query_wait_timeout,
		.boot = 120, .min = 0, .max = MAX_SECONDS,
		.context = PGC_SUSET
	},
	{
		.name = "pooler.query_wait_notify",
		.short_desc = "Time after which a client that waits for a backend is told so.",
		.long_desc = "0 means never.",
		.variable = &query_wait_notify,
		.boot = 5, .min = 0, .max = MAX_SECONDS,
		.context = PGC_SUSET
	},
	{
		.name = "pooler.client_idle_timeout",
		.short_desc = "Time a client may be idle outside a transaction.",
		.long_desc = "0 means without limit.",
		.variable = &client_idle_timeout,
		.boot = 0, .min = 0, .max = MAX_SECONDS,
		.context = PGC_SUSET
	},
	{
		.name = "pooler.idle_transaction_timeout",
		.short_desc = "Time a client may be idle in a transaction.",
		.long_desc = "0 means without limit.",
		.variable = &idle_transaction_timeout,
		.boot = 0, .min = 0, .max = MAX_SECONDS,
		.context = PGC_SUSET
	},
	{
		.name = "pooler.transaction_timeout",
		.short_desc = "Time a transaction may take.",
		.long_desc = "0 means without limit.",
		.variable = &transaction_timeout,
		.boot = 0, .min = 0, .max = MAX_SECONDS,
		.context = PGC_SUSET
	},
	{
		.name = "pooler.pin_timeout",
		.short_desc = "Time a session may keep its backend between transactions.",
		.long_desc = "0 means without limit.",
		.variable = &pooler_pin_timeout,
		.boot = 0, .min = 0, .max = MAX_SECONDS,
		.context = PGC_SUSET
	},
	{
		.name = "pooler.leak_idle_in_transaction",
		.short_desc = "Time after which a client that is idle in a transaction counts as a leak.",
		.long_desc = "0 means never.",
		.variable = &leak_idle_in_transaction,
		.boot = 60, .min = 0, .max = MAX_SECONDS,
		.context = PGC_SUSET
	},
	{
		.name = "pooler.leak_transaction",
		.short_desc = "Time after which an open transaction counts as a leak.",
		.long_desc = "0 means never.",
		.variable = &leak_transaction,
		.boot = 0, .min = 0, .max = MAX_SECONDS,
		.context = PGC_SUSET
	},
	{
		.name = "pooler.leak_pinned_idle",
		.short_desc = "Time after which a session that keeps a backend without using it counts as a leak.",
		.long_desc = "0 means never.",
		.variable = &leak_pinned_idle,
		.boot = 300, .min = 0, .max = MAX_SECONDS,
		.context = PGC_SUSET
	},
	{
		.name = "pooler.leak_connection_idle",
		.short_desc = "Time after which a connection that is not used counts as a leak.",
		.long_desc = "0 means never.",
		.variable = &leak_connection_idle,
		.boot = 0, .min = 0, .max = MAX_SECONDS,
		.context = PGC_SUSET
	},
	{
		.name = "pooler.leak_pool_held",
		.short_desc = "Time after which a pool that runs no command while clients wait counts as a leak.",
		.long_desc = "0 means never.",
		.variable = &leak_pool_held,
		.boot = 10, .min = 0, .max = MAX_SECONDS,
		.context = PGC_SUSET
	},
	{
		.name = "pooler.server_connect_timeout",
		.short_desc = "Time a new backend may take to get ready.",
		.variable = &pooler_server_connect_timeout,
		.boot = 15, .min = 0.001, .max = MAX_SECONDS,
		.context = PGC_SIGHUP
	},
	{
		.name = "pooler.server_login_retry",
		.short_desc = "Time to wait after a backend could not be started.",
		.variable = &pooler_server_login_retry,
		.boot = 15, .min = 0, .max = MAX_SECONDS,
		.context = PGC_SIGHUP
	},
	{
		.name = "pooler.client_login_timeout",
		.short_desc = "Time a client may take to log in.",
		.long_desc = "0 means without limit.",
		.variable = &pooler_client_login_timeout,
		.boot = 60, .min = 0, .max = MAX_SECONDS,
		.context = PGC_SIGHUP
	},
	{
		.name = "pooler.auth_delay",
		.short_desc = "Time for which the answer to a wrong password is kept back.",
		.long_desc = "It doubles with each failure from the same address. 0 means not at all.",
		.variable = &pooler_auth_delay,
		.boot = 0, .min = 0, .max = 60,
		.context = PGC_SIGHUP
	},
	{
		.name = "pooler.client_read_timeout",
		.short_desc = "Time a client may leave a message unfinished while others wait for its backend.",
		.long_desc = "0 means without limit.",
		.variable = &pooler_client_read_timeout,
		.boot = 30, .min = 0, .max = MAX_SECONDS,
		.context = PGC_SIGHUP
	},
	{
		.name = "pooler.client_write_timeout",
		.short_desc = "Time a client may leave its result unread while others wait for its backend.",
		.long_desc = "0 means without limit.",
		.variable = &pooler_client_write_timeout,
		.boot = 30, .min = 0, .max = MAX_SECONDS,
		.context = PGC_SIGHUP
	},
	{
		.name = "pooler.cancel_wait_timeout",
		.short_desc = "Time a cancel request may wait for the command that it is meant for.",
		.long_desc = "0 means without limit.",
		.variable = &pooler_cancel_wait_timeout,
		.boot = 10, .min = 0, .max = MAX_SECONDS,
		.context = PGC_SIGHUP
	},
	{
		.name = "pooler.health_max_wait",
		.short_desc = "Time that a client may wait for a backend before the pooler counts as unhealthy.",
		.long_desc = "0 means without limit.",
		.variable = &pooler_health_max_wait,
		.boot = 10, .min = 0, .max = MAX_SECONDS,
		.context = PGC_SIGHUP
	},
	{
		.name = "pooler.pool_idle_timeout",
		.short_desc = "Time after which a pool without clients and backends is forgotten.",
		.long_desc = "0 means never.",
		.variable = &pooler_pool_idle_timeout,
		.boot = 0, .min = 0, .max = MAX_SECONDS,
		.context = PGC_SIGHUP
	},
	{
		.name = "pooler.stats_period",
		.short_desc = "Time over which averages are taken.",
		.variable = &pooler_stats_period,
		.boot = 60, .min = 1, .max = MAX_SECONDS,
		.context = PGC_SIGHUP
	},
};

static void
define_number_settings(void)
{
	for (int i = 0; i < (int) lengthof(int_settings); i++)
	{
		const PoolerIntSetting *s = &int_settings[i];

		DefineCustomIntVariable(s->name, s->short_desc, s->long_desc,
								s->variable, s->boot, s->min, s->max,
								s->context, s->flags, s->check,
								 /* assign_hook = */ NULL,
								 /* show_hook = */ NULL);
	}
	for (int i = 0; i < (int) lengthof(time_settings); i++)
	{
		const PoolerTimeSetting *s = &time_settings[i];

		DefineCustomRealVariable(s->name, s->short_desc, s->long_desc,
								 s->variable, s->boot, s->min, s->max,
								 s->context, GUC_UNIT_S,
								 NULL, NULL, NULL);
	}
}

static const struct config_enum_entry pool_modes[] = {
	{"transaction", POOLER_MODE_TRANSACTION, false},
	{"session", POOLER_MODE_SESSION, false},
	{"statement", POOLER_MODE_STATEMENT, false},
	{NULL, 0, false}
};

static const struct config_enum_entry log_choices[] = {
	{"server", POOLER_LOG_SERVER, false},
	{"on", POOLER_LOG_ON, false},
	{"off", POOLER_LOG_OFF, false},
	{"true", POOLER_LOG_ON, true},
	{"false", POOLER_LOG_OFF, true},
	{"yes", POOLER_LOG_ON, true},
	{"no", POOLER_LOG_OFF, true},
	{"1", POOLER_LOG_ON, true},
	{"0", POOLER_LOG_OFF, true},
	{NULL, 0, false}
};

static void
define_bool_settings(void)
{
	DefineCustomBoolVariable("pooler.log_pooler_errors",
							 "Logs the errors that the pooler itself sends to clients.",
							 NULL, &pooler_log_pooler_errors, true,
							 PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomBoolVariable("pooler.log_stats",
							 "Logs statistics of all pools once in each pooler.stats_period.",
							 NULL, &pooler_log_stats, false,
							 PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomBoolVariable("pooler.tcp_keepalive",
							 "Has TCP find out whether clients are still there.",
							 NULL, &pooler_tcp_keepalive, true,
							 PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomBoolVariable("pooler.tcp_defer_accept",
							 "Leaves a TCP connection to the kernel until the client has sent something.",
							 NULL, &pooler_tcp_defer_accept, false,
							 PGC_POSTMASTER, 0, NULL, NULL, NULL);
	DefineCustomBoolVariable("pooler.http_show_queries",
							 "Shows texts of queries over HTTP.",
							 "To everybody who can reach pooler.http_port.",
							 &pooler_http_show_queries, false,
							 PGC_SIGHUP, 0, NULL, NULL, NULL);
}

static void
define_enum_settings(void)
{
	DefineCustomEnumVariable("pooler.log_connections",
							 "Logs clients that connect to the pooler.",
							 "server: as the server's log_connections says.",
							 &pooler_log_connections, POOLER_LOG_SERVER,
							 log_choices, PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomEnumVariable("pooler.log_disconnections",
							 "Logs clients that leave the pooler.",
							 "server: as the server's log_disconnections says.",
							 &pooler_log_disconnections, POOLER_LOG_SERVER,
							 log_choices, PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomEnumVariable("pooler.pool_mode",
							 "When a client gives its backend to others.",
							 "transaction: between transactions; session: when it leaves; statement: as transaction, but transaction blocks are refused.",
							 &pooler_pool_mode,
							  /* bootValue = */ POOLER_MODE_TRANSACTION,
							 pool_modes, PGC_SUSET,
							  /* flags = */ 0,
							 NULL, NULL, NULL);
}

static void
define_string_settings(void)
{
	DefineCustomStringVariable("pooler.listen_addresses",
							   "Host names or addresses the pooler listens on.",
							   "\"*\" means all; an empty value means Unix sockets only.",
							   &pooler_listen_addresses,
							    /* bootValue = */ "localhost",
							   PGC_POSTMASTER,
							    /* flags = */ GUC_LIST_INPUT,
							   check_listen_addresses, NULL, NULL);
	DefineCustomStringVariable("pooler.http_listen_addresses",
							   "Host names or addresses on which the pooler answers HTTP requests.",
							   "\"*\" means all; see pooler.http_port.",
							   &pooler_http_listen_addresses,
							    /* bootValue = */ "localhost",
							   PGC_SIGHUP,
							    /* flags = */ GUC_LIST_INPUT,
							   check_listen_addresses, NULL, NULL);
	DefineCustomStringVariable("pooler.unix_socket_directories",
							   "Directories in which the pooler creates its Unix sockets.",
							   "By default the server's unix_socket_directories.",
							   &pooler_unix_socket_directories,
							    /* bootValue = */ NULL,
							   PGC_POSTMASTER,
							    /* flags = */ GUC_SUPERUSER_ONLY,
							   check_socket_directories, NULL, NULL);
	DefineCustomStringVariable("pooler.prefork",
							   "Pools whose backends are opened at start, as database/role.",
							   "pooler.min_pool_size backends of each are kept open.",
							   &pooler_prefork,
							    /* bootValue = */ "",
							   PGC_SIGHUP,
							    /* flags = */ 0,
							   check_prefork, NULL, NULL);
	DefineCustomStringVariable("pooler.admin_roles",
							   "Roles that may use all commands of the console.",
							   "Superusers may in any case, members of pg_monitor may read.",
							   &pooler_admin_roles,
							    /* bootValue = */ "",
							   PGC_SIGHUP,
							    /* flags = */ GUC_LIST_INPUT,
							   check_names, NULL, NULL);
	DefineCustomStringVariable("pooler.aliases",
							   "Other names for databases, as \"alias = database [role]\".",
							   "Clients that connect to the alias get the database, and the role if one is given.",
							   &pooler_aliases,
							    /* bootValue = */ "",
							   PGC_SIGHUP,
							    /* flags = */ 0,
							   check_aliases, NULL, NULL);
	DefineCustomStringVariable("pooler.ignore_startup_parameters",
							   "Startup parameters of clients that are accepted and have no effect.",
							   NULL,
							   &pooler_ignore_startup_parameters,
							    /* bootValue = */ "",
							   PGC_SIGHUP,
							    /* flags = */ GUC_LIST_INPUT,
							   check_names, NULL, NULL);
	DefineCustomStringVariable("pooler.leak_action",
							   "What is done about leaks: log, cancel or terminate, by kind.",
							   "As \"kind = action\"; an action without a kind is for all others.",
							   &leak_action,
							    /* bootValue = */ "log",
							   PGC_SUSET,
							    /* flags = */ 0,
							   check_leak_action, assign_leak_action, NULL);
	DefineCustomStringVariable("pooler.login_notify_message",
							   "Notice that each client gets when it has logged in.",
							   NULL,
							   &pooler_login_notify_message,
							    /* bootValue = */ "",
							   PGC_SIGHUP,
							    /* flags = */ 0,
							   NULL, NULL, NULL);
}

void
pooler_guc_init(void)
{
	define_number_settings();
	define_bool_settings();
	define_enum_settings();
	define_string_settings();
	MarkGUCPrefixReserved("pooler");
}
