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

uint64
pooler_attach_startup_of(int client, const char **pairs, int *len)
{
	ClientSettings *s = settings ? &settings[client] : NULL;

	*pairs = s ? s->pairs : NULL;
	*len = s && s->pairs ? s->len : 0;
	return s ? s->digest : 0;
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
	set_port(&pooler_clients[client]);
	set_activity(&pooler_clients[client].raddr);
	pooler_session_restore(client);
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
