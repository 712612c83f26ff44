/*-------------------------------------------------------------------------
 *
 * console_show.c
 *	  The table of SHOWs, and those that are about the pooler as a whole.
 *
 * Runs in: the pooler.  Columns, their order and their types are PgBouncer's
 * (1.26); README.md says which have no meaning here.
 *
 *-------------------------------------------------------------------------
 */
#include "worker/console.h"

#include "libpq/auth.h"
#include "shared/setting_list.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"

/*---------------------------------------------------------------------------
 * lists of fixed length: made at once
 *---------------------------------------------------------------------------
 */

/* A name and a number; or two more texts. */
typedef struct ShowItem
{
	const char *name;
	uint64		number;
	const char *value;
	const char *boot;
	bool		changeable;
} ShowItem;

static void
add_item(ConsoleCursor *cursor, const char *name, uint64 number)
{
	ShowItem   *item = (ShowItem *) cursor->data + cursor->count++;

	item->name = name;
	item->number = number;
}

static void
make_items(ConsoleCursor *cursor, int n)
{
	cursor->data = MemoryContextAllocZero(cursor->cxt, sizeof(ShowItem) * n);
}

static const ShowItem *
next_item(ConsoleCursor *cursor)
{
	if (cursor->at >= cursor->count)
		return NULL;
	return (const ShowItem *) cursor->data + cursor->at++;
}

/*---------------------------------------------------------------------------
 * LISTS
 *---------------------------------------------------------------------------
 */

static const ConsoleColumn lists_columns[] = {
	{"list", 's'}, {"items", 'i'}
};

/* How many different values the OID at this offset of pools has. */
static int
count_distinct(size_t offset)
{
	List	   *seen = NIL;
	int			n;

	for (int i = 0; i < pooler_shared->npools; i++)
	{
		if (pooler_pools[i].in_use)
			seen = list_append_unique_oid(seen,
										  *(Oid *) ((char *) &pooler_pools[i] + offset));
	}
	n = list_length(seen);
	list_free(seen);
	return n;
}

static bool
begin_lists(ConsoleCursor *cursor)
{
	int			used = 0;
	int			login = 0;
	int			pools = 0;
	int			servers = 0;

	for (int i = 0; i < pooler_shared->nclients; i++)
	{
		PoolerClientState state = pooler_client_state(i);

		if (state == POOLER_CLIENT_LOGIN)
			login++;
		else if (state != POOLER_CLIENT_FREE)
			used++;
	}
	for (int i = 0; i < pooler_shared->npools; i++)
		pools += pooler_pools[i].in_use;
	for (int i = 0; i < pooler_shared->nbackends; i++)
		servers += pooler_backend_word_state(pg_atomic_read_u64(&pooler_backends[i].word)) !=
			POOLER_BACKEND_UNUSED;
	make_items(cursor, 14);
	add_item(cursor, "databases", count_distinct(offsetof(PoolerPool, dbid)));
	add_item(cursor, "users", count_distinct(offsetof(PoolerPool, roleid)));
	add_item(cursor, "peers", 0);
	add_item(cursor, "pools", pools);
	add_item(cursor, "peer_pools", 0);
	add_item(cursor, "free_clients", Max(0, pooler_shared->max_clients - used - login));
	add_item(cursor, "used_clients", used);
	add_item(cursor, "login_clients", login);
	add_item(cursor, "free_servers", Max(0, pooler_max_backends_in_force() - servers));
	add_item(cursor, "used_servers", servers);
	add_item(cursor, "dns_names", 0);
	add_item(cursor, "dns_zones", 0);
	add_item(cursor, "dns_queries", 0);
	add_item(cursor, "dns_pending", 0);
	return true;
}

static bool
next_lists(ConsoleCursor *cursor, ConsoleRow *row)
{
	const ShowItem *item = next_item(cursor);

	if (item == NULL)
		return false;
	pooler_row_text(row, item->name);
	pooler_row_number(row, item->number);
	return true;
}

/*---------------------------------------------------------------------------
 * CONFIG
 *---------------------------------------------------------------------------
 */

static const ConsoleColumn config_columns[] = {
	{"key", 's'}, {"value", 's'}, {"default", 's'}, {"changeable", 's'}
};

/* What PgBouncer has as a parameter and is not one here. */
static const struct
{
	const char *name;
	const char *value;
}			fixed_parameters[] = {
	{"auth_type", "hba"},
	{"job_name", "pooler"},
	{"max_packet_size", "1073741822"},
	{"max_prepared_statements", "2147483647"},
	{"server_check_query", ""},
	{"server_reset_query", ""},
	{"server_reset_query_always", "0"},
	{"server_round_robin", "0"},
	{"stats_users", "pg_monitor"},
};

static int
by_name(const void *a, const void *b)
{
	return strcmp(((const ShowItem *) a)->name, ((const ShowItem *) b)->name);
}

/* Copies it into the cursor's memory: the rows are made in later turns. */
static char *
keep(ConsoleCursor *cursor, const char *text)
{
	return MemoryContextStrdup(cursor->cxt, text);
}

/* "server" stands for the server's setting of the same name. */
static const char *
log_choice(const char *name, const char *value)
{
	if (strcmp(value, "server") == 0)
	{
		bool		on = strcmp(name, "log_connections") == 0 ?
			pooler_log_connection_received() : Log_disconnections;

		return on ? "1" : "0";
	}
	return strcmp(value, "on") == 0 ? "1" : "0";
}

static void
add_setting(ConsoleCursor *cursor, const PoolerSettingItem *setting)
{
	ShowItem   *item = (ShowItem *) cursor->data + cursor->count++;
	const char *name = setting->pgbouncer_name;
	bool		log = strcmp(name, "log_connections") == 0 ||
		strcmp(name, "log_disconnections") == 0;

	item->name = name;
	item->value = keep(cursor, log ? log_choice(name, setting->value) : setting->value);
	item->boot = keep(cursor, log ? log_choice(name, setting->boot) : setting->boot);
	item->changeable = setting->reloadable;
}

static bool
begin_config(ConsoleCursor *cursor)
{
	List	   *settings = pooler_setting_list();
	ListCell   *cell;

	make_items(cursor, list_length(settings) + lengthof(fixed_parameters));
	foreach(cell, settings)
	{
		add_setting(cursor, lfirst(cell));
	}
	for (int i = 0; i < (int) lengthof(fixed_parameters); i++)
	{
		ShowItem   *item = (ShowItem *) cursor->data + cursor->count++;

		item->name = fixed_parameters[i].name;
		item->value = item->boot = fixed_parameters[i].value;
	}
	qsort(cursor->data, cursor->count, sizeof(ShowItem), by_name);
	return true;
}

static bool
next_config(ConsoleCursor *cursor, ConsoleRow *row)
{
	const ShowItem *item = next_item(cursor);

	if (item == NULL)
		return false;
	pooler_row_text(row, item->name);
	pooler_row_text(row, item->value);
	pooler_row_text(row, item->boot);
	pooler_row_text(row, item->changeable ? "yes" : "no");
	return true;
}

/*---------------------------------------------------------------------------
 * MEM
 *---------------------------------------------------------------------------
 */

static const ConsoleColumn mem_columns[] = {
	{"name", 's'}, {"size", 'i'}, {"used", 'i'}, {"free", 'i'}, {"memtotal", 'i'}
};

static int
used_slots(int kind)
{
	int			used = 0;

	if (kind == 0)
	{
		for (int i = 0; i < pooler_shared->nclients; i++)
			used += pooler_client_state(i) != POOLER_CLIENT_FREE;
	}
	else if (kind == 1)
	{
		for (int i = 0; i < pooler_shared->nbackends; i++)
			used += pooler_backend_word_state(pg_atomic_read_u64(&pooler_backends[i].word)) !=
				POOLER_BACKEND_UNUSED;
	}
	else
	{
		for (int i = 0; i < pooler_shared->npools; i++)
			used += pooler_pools[i].in_use;
	}
	return used;
}

static bool
next_mem(ConsoleCursor *cursor, ConsoleRow *row)
{
	const struct
	{
		const char *name;
		size_t		size;
		int			slots;
	}			arrays[] = {
		{"client_cache", sizeof(PoolerClient), pooler_shared->nclients},
		{"server_cache", sizeof(PoolerBackend), pooler_shared->nbackends},
		{"pool_cache", sizeof(PoolerPool), pooler_shared->npools},
	};
	int			at = (int) cursor->at++;
	uint64		bytes;

	if (at < 3)
	{
		int			used = used_slots(at);

		pooler_row_text(row, arrays[at].name);
		pooler_row_number(row, arrays[at].size);
		pooler_row_number(row, used);
		pooler_row_number(row, arrays[at].slots - used);
		pooler_row_number(row, arrays[at].size * arrays[at].slots);
		return true;
	}
	if (at > 4)
		return false;
	bytes = pg_atomic_read_u64(at == 3 ? &pooler_shared->session_bytes :
							   &pooler_shared->statements_bytes);
	pooler_row_text(row, at == 3 ? "session_memory" : "prepared_statements_memory");
	pooler_row_number(row, 1);
	pooler_row_number(row, bytes);
	pooler_row_number(row, 0);
	pooler_row_number(row, bytes);
	return true;
}

/*---------------------------------------------------------------------------
 * STATE, VERSION, variables, and what is always empty
 *---------------------------------------------------------------------------
 */

static const ConsoleColumn state_columns[] = {
	{"key", 's'}, {"value", 's'}
};

static bool
next_state(ConsoleCursor *cursor, ConsoleRow *row)
{
	bool		suspended = pooler_admin_suspended();
	bool		paused = !suspended && pooler_admin_paused(InvalidOid);
	const char *const names[] = {"active", "paused", "suspended"};
	const bool	values[] = {!suspended && !paused, paused, suspended};
	int			at = (int) cursor->at++;

	if (at > 2)
		return false;
	pooler_row_text(row, names[at]);
	pooler_row_text(row, values[at] ? "yes" : "no");
	return true;
}

static const ConsoleColumn version_columns[] = {
	{"version", 's'}
};

static bool
next_version(ConsoleCursor *cursor, ConsoleRow *row)
{
	if (cursor->at++ > 0)
		return false;
	pooler_row_text(row, "PgBouncer 1.26.0 (pooler 1.0)");
	return true;
}

static bool
next_variable(ConsoleCursor *cursor, ConsoleRow *row)
{
	const char *value;

	if (cursor->at++ > 0)
		return false;
	(void) pooler_console_variable(cursor->command->variable, &value);
	pooler_row_text(row, value);
	return true;
}

static const ConsoleColumn peers_columns[] = {
	{"peer_id", 'i'}, {"host", 's'}, {"port", 'i'}, {"pool_size", 'i'}
};

static const ConsoleColumn peer_pools_columns[] = {
	{"peer_id", 'i'}, {"cl_active_cancel_req", 'i'},
	{"cl_waiting_cancel_req", 'i'}, {"sv_active_cancel", 'i'}, {"sv_login", 'i'}
};

static const ConsoleColumn dns_hosts_columns[] = {
	{"hostname", 's'}, {"ttl", 'q'}, {"addrs", 's'}
};

static const ConsoleColumn dns_zones_columns[] = {
	{"zonename", 's'}, {"serial", 'q'}, {"count", 'i'}
};

static bool
next_of_none(ConsoleCursor *cursor, ConsoleRow *row)
{
	return false;
}

/*---------------------------------------------------------------------------
 * the table
 *---------------------------------------------------------------------------
 */

#define SHOW_OF(columns, begin, next) \
	{columns, lengthof(columns), begin, next}

static const ConsoleShow show_lists = SHOW_OF(lists_columns, begin_lists, next_lists);
static const ConsoleShow show_config = SHOW_OF(config_columns, begin_config, next_config);
static const ConsoleShow show_mem = SHOW_OF(mem_columns, NULL, next_mem);
static const ConsoleShow show_state = SHOW_OF(state_columns, NULL, next_state);
static const ConsoleShow show_version = SHOW_OF(version_columns, NULL, next_version);
static const ConsoleShow show_peers = SHOW_OF(peers_columns, NULL, next_of_none);
static const ConsoleShow show_peer_pools = SHOW_OF(peer_pools_columns, NULL, next_of_none);
static const ConsoleShow show_dns_hosts = SHOW_OF(dns_hosts_columns, NULL, next_of_none);
static const ConsoleShow show_dns_zones = SHOW_OF(dns_zones_columns, NULL, next_of_none);

static const ConsoleShow *const all_shows[POOLER_NSHOWS] = {
	[POOLER_SHOW_ACTIVE_SOCKETS] = &pooler_show_active_sockets,
	[POOLER_SHOW_CLIENTS] = &pooler_show_clients,
	[POOLER_SHOW_CONFIG] = &show_config,
	[POOLER_SHOW_DATABASES] = &pooler_show_databases,
	[POOLER_SHOW_DNS_HOSTS] = &show_dns_hosts,
	[POOLER_SHOW_DNS_ZONES] = &show_dns_zones,
	[POOLER_SHOW_FDS] = &pooler_show_fds,
	[POOLER_SHOW_HELP] = NULL,	/* is a notice */
	[POOLER_SHOW_LEAKS] = &pooler_show_leaks,
	[POOLER_SHOW_LISTS] = &show_lists,
	[POOLER_SHOW_MEM] = &show_mem,
	[POOLER_SHOW_PEERS] = &show_peers,
	[POOLER_SHOW_PEER_POOLS] = &show_peer_pools,
	[POOLER_SHOW_POOLS] = &pooler_show_pools,
	[POOLER_SHOW_SERVERS] = &pooler_show_servers,
	[POOLER_SHOW_SOCKETS] = &pooler_show_sockets,
	[POOLER_SHOW_STATE] = &show_state,
	[POOLER_SHOW_STATS] = &pooler_show_stats,
	[POOLER_SHOW_STATS_AVERAGES] = &pooler_show_stats_averages,
	[POOLER_SHOW_STATS_TOTALS] = &pooler_show_stats_totals,
	[POOLER_SHOW_TOTALS] = &pooler_show_totals,
	[POOLER_SHOW_USERS] = &pooler_show_users,
	[POOLER_SHOW_VERSION] = &show_version,
};

/* A variable is a table of one column that has its name. */
static const ConsoleShow *
show_variable(int number)
{
	static ConsoleColumn column;
	static const ConsoleShow show = {&column, 1, NULL, next_variable};
	const char *value;

	column.name = pooler_console_variable(number, &value);
	column.type = 's';
	return &show;
}

const ConsoleShow *
pooler_console_rows_of(const PoolerConsoleCommand *command)
{
	switch (command->verb)
	{
		case POOLER_CONSOLE_SHOW:
			return all_shows[command->show];
		case POOLER_CONSOLE_SHOW_VARIABLE:
			return show_variable(command->variable);
		default:
			return NULL;
	}
}
