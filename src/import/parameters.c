/*
 * parameters.c
 *		PgBouncer's parameters, and their values in the words of the server.
 *
 * Pure and process-independent.  Must not do I/O, allocate or report.
 */
#include "parameters.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#define NOTHING			"Nothing to do."
#define OWN_SERVER		"Pool backends are processes of this server: there is no connection to it that could be set up, encrypted or lost."
#define NO_NAMES		"Host names are looked up only for pg_hba.conf, by the server."
#define SERVER_LOG		"The pooler writes into the server's log."
#define SERVER_LOG_DO	"See logging_collector, log_destination, log_directory and syslog_ident of the server."
#define SERVER_LOGIN	"Roles and their passwords are the server's own, so nobody has to look them up."
#define SERVER_LOGIN_DO	"Nothing to do. When PgBouncer has gone, a role or function that was made for it can be dropped."
#define SERVER_TLS		"TLS is the server's, by its ssl settings, which hold for the pooler's port, too."
#define SERVER_TLS_DO	"See ssl, ssl_min_protocol_version, ssl_ciphers, ssl_ecdh_curve (ssl_groups in PostgreSQL 18) and ssl_dh_params_file of the server."
#define ONE_PROCESS		"There is one pooler, and transactions do not pass through it."
#define BUFFERS			"Clients and backends talk to each other directly during a transaction, by the server's own buffers."
#define TRAVELS			"Sessions travel: a client meets its own settings and statements in each backend, and nothing of others."
#define DEFAULT_ROLE	"Clients that use the console log in as any role does. Superusers need no entry."
#define RESTART			"Takes effect when the server is restarted."

/* Rows of the table below. */
#define IN_P	POOLER_IN_PGBOUNCER
#define IN_D	POOLER_IN_DATABASE
#define IN_U	POOLER_IN_USER
#define NOTE(n, where, default_value) \
	.name = (n), .places = (where), .how = POOLER_HOW_NOTE, \
	.normal = (default_value)
#define OTHER(n, where, what, default_value) \
	.name = (n), .places = (where), .how = POOLER_HOW_##what, \
	.normal = (default_value)
#define SETTING(n, where, value_type, default_value) \
	.name = (n), .places = (where), .how = POOLER_HOW_SETTING, \
	.type = POOLER_VALUE_##value_type, .normal = (default_value)

/*
 * In the order of PgBouncer's SHOW CONFIG, then what only databases and users
 * have.
 */
const PoolerParameter pooler_parameters[] = {
	{
		SETTING("admin_users", IN_P, NAMES, ""),
		.target = "pooler.admin_roles",
		.reason = DEFAULT_ROLE
	},
	{
		NOTE("application_name_add_host", IN_P, "0"),
		.reason = "The server sees the client's own address, in pg_stat_activity, in its log and in pooler.clients.",
		.action = NOTHING
	},
	{
		NOTE("auth_dbname", IN_P | IN_D, NULL),
		.reason = SERVER_LOGIN,
		.action = SERVER_LOGIN_DO
	},
	{
		OTHER("auth_file", IN_P, AUTH_FILE, NULL),
		.reason = "Clients log in as roles of the server, with the passwords that it has."
	},
	{
		NOTE("auth_hba_file", IN_P, ""),
		.reason = "The server's pg_hba.conf holds for the pooler's port, too.",
		.action = "Take the rules of this file over into pg_hba.conf: they have the same form there, and the same first match decides."
	},
	{
		NOTE("auth_ident_file", IN_P, NULL),
		.reason = "The server's pg_ident.conf holds for the pooler's port, too.",
		.action = "Take the maps of this file over into pg_ident.conf: they have the same form there."
	},
	{
		NOTE("auth_ldap_options", IN_P, NULL),
		.reason = "Options of LDAP belong to the rule in pg_hba.conf.",
		.action = "Write them behind the method, as in: host all all samenet ldap ldapserver=..."
	},
	{
		NOTE("auth_query", IN_P | IN_D, "SELECT rolname, CASE WHEN rolvaliduntil < now() THEN NULL ELSE rolpassword END FROM pg_authid WHERE rolname=$1 AND rolcanlogin"),
		.reason = SERVER_LOGIN,
		.action = SERVER_LOGIN_DO
	},
	{
		OTHER("auth_type", IN_P, AUTH_TYPE, NULL),
		.reason = "Who may log in, and how, is up to the server's pg_hba.conf, which holds for the pooler's port, too."
	},
	{
		NOTE("auth_user", IN_P | IN_D, NULL),
		.reason = SERVER_LOGIN,
		.action = SERVER_LOGIN_DO
	},
	{
		NOTE("autodb_idle_timeout", IN_P, "3600"),
		.reason = "Databases are those of the server and need no entry that could expire.",
		.action = "Nothing to do. pooler.pool_idle_timeout is about pools that are not used."
	},
	{SETTING("cancel_wait_timeout", IN_P, SECONDS, "10")},
	{SETTING("client_idle_timeout", IN_P | IN_U, SECONDS, "0")},
	{SETTING("client_login_timeout", IN_P, SECONDS, "60")},
	{
		NOTE("client_tls13_ciphers", IN_P, NULL),
		.reason = SERVER_TLS,
		.action = "PostgreSQL 18 has ssl_tls13_ciphers; before, the defaults of OpenSSL hold."
	},
	{
		OTHER("client_tls_ca_file", IN_P, SERVER, ""),
		.target = "ssl_ca_file",
		.reason = SERVER_TLS
	},
	{
		OTHER("client_tls_cert_file", IN_P, SERVER, ""),
		.target = "ssl_cert_file",
		.reason = SERVER_TLS
	},
	{
		NOTE("client_tls_ciphers", IN_P, "default"),
		.reason = SERVER_TLS,
		.action = SERVER_TLS_DO
	},
	{
		NOTE("client_tls_dheparams", IN_P, "auto"),
		.reason = SERVER_TLS,
		.action = SERVER_TLS_DO
	},
	{
		NOTE("client_tls_ecdhcurve", IN_P, "auto"),
		.reason = SERVER_TLS,
		.action = SERVER_TLS_DO
	},
	{
		OTHER("client_tls_key_file", IN_P, SERVER, ""),
		.target = "ssl_key_file",
		.reason = SERVER_TLS
	},
	{
		NOTE("client_tls_protocols", IN_P, "secure"),
		.reason = SERVER_TLS,
		.action = SERVER_TLS_DO
	},
	{
		NOTE("client_tls_sslmode", IN_P, "disable"),
		.reason = SERVER_TLS,
		.action = "Turn ssl on. In the rules of pg_hba.conf hostssl instead of host stands for require, and clientcert=verify-ca or verify-full for those."
	},
	{
		NOTE("conffile", IN_P, NULL),
		.reason = "Settings are in the server's configuration.",
		.action = "If that file is not the one converted here, convert it."
	},
	{SETTING("default_pool_size", IN_P, INTEGER, "20")},
	{
		NOTE("disable_pqexec", IN_P, "0"),
		.reason = "The server accepts both protocols for queries, and so does the pooler.",
		.action = "There is no way to refuse simple queries. Restrict what a role can do by its privileges."
	},
	{NOTE("dns_max_ttl", IN_P, "15"), .reason = NO_NAMES, .action = NOTHING},
	{NOTE("dns_nxdomain_ttl", IN_P, "15"), .reason = NO_NAMES, .action = NOTHING},
	{NOTE("dns_zone_check_period", IN_P, "0"), .reason = NO_NAMES, .action = NOTHING},
	{SETTING("idle_transaction_timeout", IN_P | IN_U, SECONDS, "0")},
	{
		SETTING("ignore_startup_parameters", IN_P, NAMES, ""),
		.reason = "Parameters that are not named here have the effect that they have on the server."
	},
	{
		NOTE("job_name", IN_P, "pgbouncer"),
		.reason = "The pooler starts and stops with the server.",
		.action = NOTHING
	},
	{
		SETTING("listen_addr", IN_P, STRING, ""),
		.target = "pooler.listen_addresses",
		.reason = RESTART,
		.absent_reason = "PgBouncer listens on no address unless one is given; the pooler listens on localhost.",
		.absent_action = "For Unix sockets only: ALTER SYSTEM SET pooler.listen_addresses = '';"
	},
	{
		NOTE("listen_backlog", IN_P, "128"),
		.reason = "The pooler asks for a queue that is long enough; the system's net.core.somaxconn limits it.",
		.action = NOTHING
	},
	{
		SETTING("listen_port", IN_P, INTEGER, "6432"),
		.target = "pooler.port",
		.reason = RESTART " On the machine of PgBouncer, that one has to be stopped first."
	},
	{SETTING("log_connections", IN_P, BOOLEAN, "1")},
	{SETTING("log_disconnections", IN_P, BOOLEAN, "1")},
	{SETTING("log_pooler_errors", IN_P, BOOLEAN, "1")},
	{SETTING("log_stats", IN_P, BOOLEAN, "1")},
	{NOTE("logfile", IN_P, ""), .reason = SERVER_LOG, .action = SERVER_LOG_DO},
	{SETTING("login_notify_message", IN_P, TEXT, "")},
	{
		SETTING("max_client_conn", IN_P, INTEGER, "100"),
		.reason = RESTART " The server's limit on open files has to be high enough.",
		.absent_reason = "PgBouncer lets 100 clients in by default, and the pooler 1000.",
		.absent_action = "Nothing to do, unless the lower limit is wanted: ALTER SYSTEM SET pooler.max_client_conn = 100;"
	},
	{SETTING("max_db_client_connections", IN_P | IN_D, INTEGER, "0")},
	{SETTING("max_db_connections", IN_P | IN_D, INTEGER, "0")},
	{
		NOTE("max_packet_size", IN_P, "2147483647"),
		.reason = "The server's own limits hold for messages.",
		.action = NOTHING
	},
	{
		NOTE("max_prepared_statements", IN_P, "200"),
		.reason = "Prepared statements always travel with their client, in any number.",
		.action = "Nothing to do. pooler.prepared_statements_memory bounds the memory for all of them."
	},
	{SETTING("max_user_client_connections", IN_P | IN_U, INTEGER, "0")},
	{SETTING("max_user_connections", IN_P | IN_U, INTEGER, "0")},
	{SETTING("min_pool_size", IN_P | IN_D, INTEGER, "0")},
	{
		NOTE("peer_id", IN_P, "0"),
		.reason = ONE_PROCESS " Cancel requests need no peers.",
		.action = NOTHING
	},
	{
		NOTE("pidfile", IN_P, ""),
		.reason = "The pooler starts and stops with the server.",
		.action = "Nothing to do. pooler.status.pid has its process ID."
	},
	{NOTE("pkt_buf", IN_P, "4096"), .reason = BUFFERS, .action = NOTHING},
	{
		SETTING("pool_mode", IN_P | IN_D | IN_U, POOL_MODE, "session"),
		.absent_reason = "PgBouncer's default is session, and the pooler's is transaction. " TRAVELS,
		.absent_action = "Nothing to do. For applications that depend on state that the server can't see: ALTER SYSTEM SET pooler.pool_mode = 'session'; or the same for their role."
	},
	{SETTING("pool_idle_timeout", IN_P, SECONDS, "0")},
	{SETTING("query_timeout", IN_P | IN_U, SECONDS, "0")},
	{SETTING("query_wait_notify", IN_P, SECONDS, "5")},
	{SETTING("query_wait_timeout", IN_P | IN_D | IN_U, SECONDS, "120")},
	{SETTING("reserve_pool_size", IN_P | IN_D | IN_U, INTEGER, "0")},
	{
		SETTING("reserve_pool_timeout", IN_P, SECONDS, "5"),
		.zero_reason = "0 means to PgBouncer that there is no reserve, and here that nobody waits for it.",
		.zero_action = "To have no reserve: ALTER SYSTEM SET pooler.reserve_pool_size = 0;"
	},
	{NOTE("resolv_conf", IN_P, ""), .reason = NO_NAMES, .action = NOTHING},
	{NOTE("sbuf_loopcnt", IN_P, "5"), .reason = BUFFERS, .action = NOTHING},
	{
		OTHER("scram_iterations", IN_P, SERVER, "4096"),
		.target = "scram_iterations",
		.reason = "The server has a setting of this name from PostgreSQL 16 on, for passwords that are set afterwards."
	},
	{NOTE("server_check_delay", IN_P, "30"), .reason = OWN_SERVER, .action = NOTHING},
	{
		NOTE("server_check_query", IN_P, ""),
		.reason = OWN_SERVER,
		.action = NOTHING
	},
	{
		SETTING("server_connect_timeout", IN_P, SECONDS, "15"),
		.zero_reason = "The start of a backend always has a limit here.",
		.zero_action = "Nothing to do, or set pooler.server_connect_timeout to a long time."
	},
	{
		NOTE("server_fast_close", IN_P, "0"),
		.reason = "Backends that have to be replaced are closed at the end of a transaction, except in the mode session.",
		.action = "To replace those of a database in the mode session, disconnect their clients."
	},
	{SETTING("server_idle_timeout", IN_P, SECONDS, "600")},
	{
		SETTING("server_lifetime", IN_P | IN_D, SECONDS, "3600"),
		.zero = "1s",
		.zero_reason = "0 means to PgBouncer that a connection is used once, and here that backends do not age. The shortest age comes nearest."
	},
	{SETTING("server_login_retry", IN_P, SECONDS, "15")},
	{
		NOTE("server_reset_query", IN_P, "DISCARD ALL"),
		.reason = TRAVELS,
		.action = NOTHING
	},
	{NOTE("server_reset_query_always", IN_P, "0"), .reason = TRAVELS, .action = NOTHING},
	{
		NOTE("server_round_robin", IN_P, "0"),
		.reason = "A client has the backend that it had before, if that one is idle.",
		.action = NOTHING
	},
	{NOTE("server_tls13_ciphers", IN_P, NULL), .reason = OWN_SERVER, .action = NOTHING},
	{NOTE("server_tls_ca_file", IN_P, ""), .reason = OWN_SERVER, .action = NOTHING},
	{NOTE("server_tls_cert_file", IN_P, ""), .reason = OWN_SERVER, .action = NOTHING},
	{
		NOTE("server_tls_ciphers", IN_P, "default"),
		.reason = OWN_SERVER,
		.action = NOTHING
	},
	{NOTE("server_tls_key_file", IN_P, ""), .reason = OWN_SERVER, .action = NOTHING},
	{
		NOTE("server_tls_protocols", IN_P, "secure"),
		.reason = OWN_SERVER,
		.action = NOTHING
	},
	{NOTE("server_tls_sslmode", IN_P, "prefer"), .reason = OWN_SERVER, .action = NOTHING},
	{
		NOTE("service_name", IN_P, "pgbouncer"),
		.reason = "The pooler starts and stops with the server.",
		.action = NOTHING
	},
	{
		NOTE("so_reuseport", IN_P, "0"),
		.reason = ONE_PROCESS " It needs no others beside it, and limits hold for all clients.",
		.action = "Nothing to do. Convert the file of one of the processes, and add the limits of all up."
	},
	{SETTING("stats_period", IN_P, SECONDS, "60")},
	{
		OTHER("stats_users", IN_P, MONITORS, ""),
		.reason = "Members of pg_monitor may read the console. They may also read the server's own statistics."
	},
	{
		NOTE("suspend_timeout", IN_P, "10"),
		.reason = "The pooler holds no data that would have to be flushed, and is not replaced while it runs.",
		.action = NOTHING
	},
	{NOTE("syslog", IN_P, "0"), .reason = SERVER_LOG, .action = SERVER_LOG_DO},
	{
		NOTE("syslog_facility", IN_P, "daemon"),
		.reason = SERVER_LOG,
		.action = SERVER_LOG_DO
	},
	{
		NOTE("syslog_ident", IN_P, "pgbouncer"),
		.reason = SERVER_LOG,
		.action = SERVER_LOG_DO
	},
	{
		NOTE("tcp_defer_accept", IN_P, "1"),
		.reason = "A connection that says nothing costs the pooler no more than one that does.",
		.action = "Nothing to do. pooler.client_login_timeout ends it."
	},
	{SETTING("tcp_keepalive", IN_P, BOOLEAN, "1")},
	{SETTING("tcp_keepcnt", IN_P, INTEGER, "0")},
	{SETTING("tcp_keepidle", IN_P, SECONDS, "0")},
	{SETTING("tcp_keepintvl", IN_P, SECONDS, "0")},
	{
		NOTE("tcp_socket_buffer", IN_P, "0"),
		.reason = "Buffers of sockets are sized by the system, as for direct connections.",
		.action = "See net.ipv4.tcp_rmem and net.ipv4.tcp_wmem of the system."
	},
	{SETTING("tcp_user_timeout", IN_P, MILLISECONDS, "0")},
	{
		NOTE("track_extra_parameters", IN_P, "IntervalStyle"),
		.reason = TRAVELS,
		.action = NOTHING
	},
	{SETTING("transaction_timeout", IN_P | IN_U, SECONDS, "0")},
	{
		SETTING("unix_socket_dir", IN_P, STRING, "/tmp"),
		.target = "pooler.unix_socket_directories",
		.reason = RESTART,
		.absent_reason = "PgBouncer's socket is in /tmp by default, and those of the pooler are in the server's unix_socket_directories.",
		.absent_action = "Nothing to do, unless clients name the directory: ALTER SYSTEM SET pooler.unix_socket_directories = '/tmp';"
	},
	{
		OTHER("unix_socket_group", IN_P, SERVER, ""),
		.target = "unix_socket_group",
		.reason = "The pooler's sockets have the group of the server's."
	},
	{
		OTHER("unix_socket_mode", IN_P, SERVER, "0777"),
		.target = "unix_socket_permissions",
		.reason = "The pooler's sockets have the permissions of the server's."
	},
	{
		NOTE("user", IN_P, NULL),
		.reason = "The pooler runs as the user of the server.",
		.action = NOTHING
	},
	{
		NOTE("verbose", IN_P, "0"),
		.reason = SERVER_LOG,
		.action = "See log_min_messages of the server."
	},

	/* what only databases have */
	{OTHER("dbname", IN_D, ALIAS, NULL)},
	{OTHER("host", IN_D, ALIAS, NULL)},
	{OTHER("port", IN_D, ALIAS, NULL)},
	{OTHER("user", IN_D, ALIAS, NULL)},
	{OTHER("password", IN_D, ALIAS, NULL)},
	{
		NOTE("load_balance_hosts", IN_D, "round-robin"),
		.reason = "The pooler serves the databases of its own server only.",
		.action = "Have pooler on each of these servers. libpq knows load_balance_hosts and lists of hosts itself from PostgreSQL 16 on."
	},
	{
		NOTE("connect_query", IN_D, NULL),
		.reason = "The pooler runs no commands of its own in a session.",
		.action = "If it sets something: ALTER DATABASE ... SET, or ALTER ROLE ... SET. For anything else there are event triggers on login from PostgreSQL 17 on."
	},
	{SETTING("client_encoding", IN_D, STRING, NULL), .target = "client_encoding"},
	{SETTING("datestyle", IN_D, STRING, NULL), .target = "datestyle"},
	{SETTING("timezone", IN_D, STRING, NULL), .target = "timezone"},
	{SETTING("application_name", IN_D, STRING, NULL), .target = "application_name"},

	/* what has another name for databases and users */
	{
		SETTING("pool_size", IN_D | IN_U, INTEGER, NULL),
		.target = "pooler.default_pool_size"
	},
	{SETTING("reserve_pool", IN_D, INTEGER, NULL), .target = "pooler.reserve_pool_size"},
};

const int	pooler_nparameters = sizeof(pooler_parameters) / sizeof(pooler_parameters[0]);

const PoolerParameter *
pooler_parameter(PoolerText name, unsigned place)
{
	for (int i = 0; i < pooler_nparameters; i++)
	{
		if ((pooler_parameters[i].places & place) != 0 &&
			pooler_text_equals(name, pooler_parameters[i].name))
			return &pooler_parameters[i];
	}
	return NULL;
}

/*---------------------------------------------------------------------------
 * Values
 *---------------------------------------------------------------------------
 */

static int
digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return 16;
}

/* All of the text as digits of that base.  False above INT_MAX. */
static bool
parse_digits(PoolerText text, int base, int64_t *number)
{
	int64_t		sum = 0;

	for (size_t i = 0; i < text.len; i++)
	{
		int			digit = digit_value(text.bytes[i]);

		if (digit >= base)
			return false;
		sum = sum * base + digit;
		if (sum > INT_MAX)
			return false;
	}
	*number = sum;
	return text.len > 0;
}

/* As strtol() with base 0: "0x" is hexadecimal, "0" octal. */
static bool
parse_integer(PoolerText text, int64_t *number)
{
	bool		negative = text.len > 0 && text.bytes[0] == '-';
	int			base = 10;

	if (negative || (text.len > 0 && text.bytes[0] == '+'))
	{
		text.bytes++;
		text.len--;
	}
	if (text.len > 2 && text.bytes[0] == '0' &&
		(text.bytes[1] == 'x' || text.bytes[1] == 'X'))
	{
		base = 16;
		text.bytes += 2;
		text.len -= 2;
	}
	else if (text.len > 1 && text.bytes[0] == '0')
		base = 8;
	if (!parse_digits(text, base, number))
		return false;
	if (negative)
		*number = -*number;
	return true;
}

/* So much of a fraction is kept; settings know no shorter times. */
#define FRACTION_DIGITS		9

/*
 * The digits behind the point, without zeros at their end.  False if there is
 * anything else.
 */
static bool
parse_fraction(PoolerText text, char *digits)
{
	size_t		len = 0;

	for (size_t i = 0; i < text.len; i++)
	{
		if (text.bytes[i] < '0' || text.bytes[i] > '9')
			return false;
		if (text.bytes[i] == '0')
			continue;
		if (i < FRACTION_DIGITS)
		{
			memset(digits + len, '0', i - len);
			len = i;
			digits[len++] = text.bytes[i];
		}
		else if (len == 0)
		{
			/* what is not 0 must not become 0, which means something else */
			memset(digits, '0', FRACTION_DIGITS - 1);
			len = FRACTION_DIGITS;
			digits[len - 1] = '1';
		}
	}
	digits[len] = '\0';
	return true;
}

/* Seconds, perhaps with a fraction. */
static bool
parse_seconds(PoolerText text, PoolerValue *value)
{
	const char *point = text.len > 0 ? memchr(text.bytes, '.', text.len) : NULL;
	PoolerText	whole = text;
	PoolerText	fraction = {NULL, 0};
	int64_t		seconds = 0;
	char		digits[FRACTION_DIGITS + 1];

	if (point != NULL)
	{
		whole.len = (size_t) (point - text.bytes);
		fraction.bytes = point + 1;
		fraction.len = text.len - whole.len - 1;
	}
	if (whole.len + fraction.len == 0 ||
		(whole.len > 0 && !parse_digits(whole, 10, &seconds)) ||
		!parse_fraction(fraction, digits))
		return false;
	value->zero = seconds == 0 && digits[0] == '\0';
	value->literal = !value->zero;
	snprintf(value->text, sizeof(value->text), "%lld%s%s%s", (long long) seconds,
			 digits[0] ? "." : "", digits, value->zero ? "" : "s");
	return true;
}

static bool
parse_pool_mode(PoolerText text, PoolerValue *value)
{
	static const char *const modes[] = {"session", "transaction", "statement"};

	for (size_t m = 0; m < sizeof(modes) / sizeof(modes[0]); m++)
	{
		size_t		i = 0;

		/* in any case, of ASCII letters only: no bytes above are in a mode */
		while (i < text.len && modes[m][i] != '\0' &&
			   (text.bytes[i] == modes[m][i] ||
				text.bytes[i] == modes[m][i] - 'a' + 'A'))
			i++;
		if (i == text.len && modes[m][i] == '\0')
		{
			snprintf(value->text, sizeof(value->text), "%s", modes[m]);
			return true;
		}
	}
	return false;
}

bool
pooler_parameter_value(PoolerValueType type, PoolerText text, PoolerValue *value)
{
	int64_t		number = 0;

	memset(value, 0, sizeof(*value));
	if (type == POOLER_VALUE_POOL_MODE)
	{
		value->literal = true;
		return parse_pool_mode(text, value);
	}
	if (type == POOLER_VALUE_SECONDS)
		return parse_seconds(text, value);
	if (!parse_integer(text, &number) || number < 0)
		return false;
	value->zero = number == 0;
	value->literal = !value->zero && type == POOLER_VALUE_MILLISECONDS;
	if (type == POOLER_VALUE_BOOLEAN)
		snprintf(value->text, sizeof(value->text), "%s", value->zero ? "off" : "on");
	else
		snprintf(value->text, sizeof(value->text), "%lld%s", (long long) number,
				 value->literal ? "ms" : "");
	return true;
}
