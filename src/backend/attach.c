/*-------------------------------------------------------------------------
 *
 * attach.c
 *	  Makes a pool backend look like the attached client's: address, name,
 *	  settings.
 *
 * Runs in: pool backends.  What is set here is all that differs between two
 * clients of a pool as far as core is concerned; user and database are the
 * pool's.
 *
 *-------------------------------------------------------------------------
 */
#include "backend/internal.h"
#include "backend/settings.h"

#include "access/xact.h"
#include "common/hashfn.h"
#include "utils/backend_status.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/guc_tables.h"

bool		pooler_attach_mute_parameters = false;

/* Startup settings of a client, as (name, value) pairs of strings. */
typedef struct ClientSettings
{
	char	   *pairs;			/* NULL: none */
	int			len;
	uint64		digest;			/* 0: none */
} ClientSettings;

static ClientSettings *settings;	/* by client slot */
static uint64 in_force;			/* digest of what has been applied */

/* Settings that startup settings have set, with the value they have then. */
typedef struct Applied
{
	const char *name;			/* the variable's own */
	char	   *value;
} Applied;

static Applied *applied;
static int	napplied;
static int	max_applied;

/*---------------------------------------------------------------------------
 * settings
 *---------------------------------------------------------------------------
 */

void
pooler_attach_remember_settings(int client, const char *pairs, int len)
{
	ClientSettings *s;

	if (settings == NULL)
		settings = MemoryContextAllocZero(TopMemoryContext,
										  sizeof(ClientSettings) * pooler_shared->nclients);
	s = &settings[client];
	if (s->pairs != NULL)
		pfree(s->pairs);
	s->pairs = NULL;
	s->len = len;
	s->digest = 0;
	if (len == 0)
		return;
	s->pairs = MemoryContextAlloc(TopMemoryContext, len);
	memcpy(s->pairs, pairs, len);
	s->digest = hash_bytes_extended((const unsigned char *) pairs, len, 0);
	if (s->digest == 0)
		s->digest = 1;
}

void
pooler_attach_forget_settings(void)
{
	for (int i = 0; i < napplied; i++)
		pfree(applied[i].value);
	napplied = 0;
	in_force = 0;
}

int
pooler_attach_count_settings(void)
{
	return napplied;
}

static void
note_applied(const char *name)
{
	struct config_generic *gconf = pooler_find_setting(name);
	const char *value = GetConfigOption(name, true, false);

	if (gconf == NULL || value == NULL || gconf->source != PGC_S_SESSION ||
		(gconf->flags & GUC_NO_RESET_ALL) != 0)
		return;
	for (int i = 0; i < napplied; i++)
	{
		if (applied[i].name == gconf->name)
		{
			pfree(applied[i].value);
			applied[i].value = MemoryContextStrdup(TopMemoryContext, value);
			return;
		}
	}
	if (napplied == max_applied)
	{
		max_applied = Max(8, max_applied * 2);
		applied = applied ? repalloc(applied, sizeof(Applied) * max_applied) :
			MemoryContextAlloc(TopMemoryContext, sizeof(Applied) * max_applied);
	}
	applied[napplied].name = gconf->name;
	applied[napplied].value = MemoryContextStrdup(TopMemoryContext, value);
	napplied++;
}

bool
pooler_attach_set_by_startup(struct config_generic *gconf)
{
	for (int i = 0; i < napplied; i++)
	{
		if (applied[i].name == gconf->name)
		{
			const char *value = GetConfigOption(gconf->name, true, false);

			return value != NULL && strcmp(value, applied[i].value) == 0;
		}
	}
	return false;
}

static void
apply_one(const char *name, const char *value)
{
	struct config_generic *gconf = pooler_find_setting(name);

	/* what can be set only while a backend starts is not for shared ones */
	if (gconf != NULL && gconf->context != PGC_USERSET && gconf->context != PGC_SUSET)
		return;
	(void) set_config_option(name, value, superuser() ? PGC_SUSET : PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_SET, true, 0, false);
	note_applied(name);
}

static void
apply_pairs(const ClientSettings *s)
{
	const char *end = s->pairs + s->len;

	for (const char *name = s->pairs; name < end;)
	{
		const char *value = name + strlen(name) + 1;

		apply_one(name, value);
		name = value + strlen(value) + 1;
	}
}

/*
 * In a transaction of its own.  The client was told the values at login, so
 * that it is not told again; our record of what was reported follows.
 */
static void
apply_settings(const ClientSettings *s)
{
	StartTransactionCommand();
	if (in_force != 0)
	{
		ResetAllOptions();
		pooler_attach_forget_settings();
	}
	if (s != NULL && s->digest != 0)
	{
		apply_pairs(s);
	}
	CommitTransactionCommand();
	in_force = s != NULL ? s->digest : 0;
	pooler_attach_mute_parameters = true;
	ReportChangedGUCOptions();
	pooler_attach_mute_parameters = false;
}

/*
 * In a backend that core has started with a client's settings: what they have
 * come to.  Values may depend on defaults and on each other (DateStyle), and
 * "options" knows abbreviations, so what the client wrote is not enough.
 */
void
pooler_attach_report_startup(StringInfo pairs)
{
	PoolerSettingIterator it = {0};
	struct config_generic *gconf;

	while ((gconf = pooler_next_setting(&it)) != NULL)
	{
		const char *value;

		if (gconf->reset_source != PGC_S_CLIENT)
			continue;
		/* core's function gives six digits of a real */
		if (gconf->vartype == PGC_REAL)
			value = psprintf("%.17g", *((struct config_real *) gconf)->variable);
		else
			value = GetConfigOption(gconf->name, true, false);
		if (value == NULL)
			continue;
		appendBinaryStringInfo(pairs, gconf->name, strlen(gconf->name) + 1);
		appendBinaryStringInfo(pairs, value, strlen(value) + 1);
	}
}

/*---------------------------------------------------------------------------
 * identity
 *---------------------------------------------------------------------------
 */

/* What inet_client_addr(), the log prefix and keepalive settings look at. */
static void
set_port(PoolerClient *client)
{
	Port	   *port = MyProcPort;

	port->noblock = false;
	port->raddr = client->raddr;
	port->laddr = client->laddr;
	port->remote_host = client->host;
	port->remote_port = client->port;
	port->remote_hostname = NULL;
	port->remote_hostname_resolv = 0;
	port->default_keepalives_idle = port->default_keepalives_interval = 0;
	port->default_keepalives_count = port->default_tcp_user_timeout = 0;
	port->keepalives_idle = port->keepalives_interval = 0;
	port->keepalives_count = port->tcp_user_timeout = 0;
	pooler_port_forget_local_host(port);
}

/*
 * The row of pg_stat_activity.  The last client's query goes with it: a
 * client never stands beside what another one ran.
 */
static void
set_activity(const SockAddr *raddr)
{
	volatile PgBackendStatus *entry = MyBEEntry;

	if (entry == NULL)
		return;
	PGSTAT_BEGIN_WRITE_ACTIVITY(entry);
	if (raddr != NULL)
		memcpy((char *) &entry->st_clientaddr, raddr, sizeof(SockAddr));
	else
		MemSet((char *) &entry->st_clientaddr, 0, sizeof(SockAddr));
	entry->st_clienthostname[0] = '\0';
	entry->st_activity_raw[0] = '\0';
	PGSTAT_END_WRITE_ACTIVITY(entry);
}

static bool nobody;				/* pg_stat_activity shows no client */

void
pooler_attach_session(int client)
{
	const ClientSettings *s = settings ? &settings[client] : NULL;

	set_port(&pooler_clients[client]);
	set_activity(&pooler_clients[client].raddr);
	if ((s ? s->digest : 0) != in_force)
		apply_settings(s);
	if (nobody)
		pgstat_report_appname(application_name);
	nobody = false;
}

void
pooler_attach_nobody(void)
{
	if (nobody)
		return;
	MyProcPort->remote_host = "[local]";
	MyProcPort->remote_port = "";
	set_activity(NULL);
	pgstat_report_appname("");
	nobody = true;
}
