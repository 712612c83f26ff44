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

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/hashfn.h"
#include "shared/session.h"
#include "shared/tls.h"
#include "utils/backend_status.h"
#include "utils/guc.h"

/* What came with a client's descriptor; see control.h. */
typedef struct Payload
{
	char	   *bytes;			/* NULL: none */
	int			len;
	int			startup_len;	/* of the startup settings, which come first */
	uint64		startup_digest; /* 0: none */
	char	   *facts;			/* of the connection; NULL: none */
	int			facts_len;
} Payload;

static Payload *payloads;		/* by client slot */

/*---------------------------------------------------------------------------
 * what the pooler knows of a client
 *---------------------------------------------------------------------------
 */

/* They come first, as long as there are pairs with a name. */
static void
take_facts(Payload *p, const char **payload, size_t *len)
{
	const char *facts = *payload;
	size_t		facts_len = pooler_pairs_length(facts, *len, payload, len);

	if (facts_len > 0)
	{
		p->facts = MemoryContextAlloc(TopMemoryContext, facts_len);
		memcpy(p->facts, facts, facts_len);
		p->facts_len = facts_len;
	}
}

void
pooler_attach_remember(int client, const char *payload, size_t len)
{
	Payload    *p;

	if (payloads == NULL)
		payloads = MemoryContextAllocZero(TopMemoryContext,
										  sizeof(Payload) * pooler_shared->nclients);
	p = &payloads[client];
	if (p->bytes != NULL)
	{
		explicit_bzero(p->bytes, p->len);	/* may be secret */
		pfree(p->bytes);
	}
	if (p->facts != NULL)
		pfree(p->facts);
	memset(p, 0, sizeof(Payload));
	take_facts(p, &payload, &len);
	if (len == 0)
		return;
	p->bytes = MemoryContextAlloc(TopMemoryContext, len);
	memcpy(p->bytes, payload, len);
	p->len = len;
	p->startup_len = pooler_pairs_length(payload, len, NULL, NULL);
	if (p->startup_len > 0)
		p->startup_digest = Max(hash_bytes_extended((unsigned char *) payload,
													p->startup_len,
													pooler_shared->digest_seed), 1);
}

uint64
pooler_attach_startup_of(int client, const char **pairs, int *len)
{
	Payload    *p = payloads ? &payloads[client] : NULL;

	*pairs = p ? p->bytes : NULL;
	*len = p ? p->startup_len : 0;
	return p ? p->startup_digest : 0;
}

void
pooler_attach_told_at_login(int client, const char **pairs, int *len)
{
	Payload    *p = payloads ? &payloads[client] : NULL;
	int			offset = p ? Min(p->startup_len + 1, p->len) : 0;

	*pairs = p && p->bytes ? p->bytes + offset : NULL;
	*len = p ? p->len - offset : 0;
}

/*---------------------------------------------------------------------------
 * identity
 *---------------------------------------------------------------------------
 */

/*
 * What 0 stands for in the settings of keepalive.  Core asks the socket, before
 * it sets anything; but this socket may have been set by another backend.
 */
static int
socket_default(int fd, int option)
{
	int			value = 0;
	socklen_t	len = sizeof(value);

	return getsockopt(fd, IPPROTO_TCP, option, &value, &len) == 0 ? value : 0;
}

static void
set_socket_defaults(Port *port)
{
	static int	idle = -1;
	static int	interval;
	static int	count;

	if (idle < 0)
	{
		int			fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

		idle = fd >= 0 ? socket_default(fd, TCP_KEEPIDLE) : 0;
		interval = fd >= 0 ? socket_default(fd, TCP_KEEPINTVL) : 0;
		count = fd >= 0 ? socket_default(fd, TCP_KEEPCNT) : 0;
		if (fd >= 0)
			close(fd);
	}
	port->default_keepalives_idle = idle;
	port->default_keepalives_interval = interval;
	port->default_keepalives_count = count;
	port->default_tcp_user_timeout = 0;
}

/* What inet_client_addr(), the log prefix and keepalive settings look at. */
static void
set_port(PoolerClient *client)
{
	Port	   *port = MyProcPort;

	port->noblock = false;
	pooler_address_expand(&port->raddr, &client->raddr);
	pooler_address_expand(&port->laddr, &client->laddr);
	port->remote_host = client->host;
	port->remote_port = client->port;
	port->remote_hostname = NULL;
	port->remote_hostname_resolv = 0;
	set_socket_defaults(port);
	port->keepalives_idle = port->keepalives_interval = 0;
	port->keepalives_count = port->tcp_user_timeout = 0;
	pooler_port_forget_local_host(port);
}

/* What is shown of the client's connection. */
static char *shown_facts;		/* NULL: nothing */
static int	shown_facts_len = -1;	/* not known yet */

/* The same, or what a walsender shows. */
static const char *facts_in_force;
static int	facts_in_force_len;
static bool has_shown;

bool
pooler_attach_has_shown(void)
{
	return has_shown;
}

const char *
pooler_attach_fact(const char *wanted)
{
	return pooler_find_pair(facts_in_force, facts_in_force_len, wanted);
}

#ifdef USE_OPENSSL
static void
fill_ssl_status(PgBackendSSLStatus *status, const char *pair, int len)
{
	const char *end = pair + len;
	const char *name;
	const char *value;

	while (pooler_next_pair(&pair, end, &name, &value))
	{
		if (strcmp(name, POOLER_TLS_FACT_VERSION) == 0)
			strlcpy(status->ssl_version, value, NAMEDATALEN);
		else if (strcmp(name, POOLER_TLS_FACT_CIPHER) == 0)
			strlcpy(status->ssl_cipher, value, NAMEDATALEN);
		else if (strcmp(name, POOLER_TLS_FACT_BITS) == 0)
			status->ssl_bits = atoi(value);
		else if (strcmp(name, POOLER_TLS_FACT_CLIENT_DN) == 0)
			strlcpy(status->ssl_client_dn, value, NAMEDATALEN);
		else if (strcmp(name, POOLER_TLS_FACT_SERIAL) == 0)
			strlcpy(status->ssl_client_serial, value, NAMEDATALEN);
		else if (strcmp(name, POOLER_TLS_FACT_ISSUER_DN) == 0)
			strlcpy(status->ssl_issuer_dn, value, NAMEDATALEN);
	}
}

void
pooler_attach_show_tls(const char *facts, int len)
{
	volatile PgBackendStatus *entry = MyBEEntry;
	PgBackendSSLStatus status;

	facts_in_force = facts;
	facts_in_force_len = len;
	has_shown = true;
	if (entry == NULL)
		return;
	memset(&status, 0, sizeof(status));
	if (len > 0)
		fill_ssl_status(&status, facts, len);
	PGSTAT_BEGIN_WRITE_ACTIVITY(entry);
	entry->st_ssl = status.ssl_version[0] != '\0';
	if (entry->st_ssl)
		memcpy(entry->st_sslstatus, &status, sizeof(status));
	PGSTAT_END_WRITE_ACTIVITY(entry);
}
#else
void
pooler_attach_show_tls(const char *facts, int len)
{
}
#endif

#ifdef ENABLE_GSS
/* Core has made the row of the client that it has logged in here, if any. */
static void
show_gss(const char *facts, int len)
{
	volatile PgBackendStatus *entry = MyBEEntry;
	PgBackendGSSStatus status;
	const char *principal = pooler_find_pair(facts, len, POOLER_FACT_GSS);

	memset(&status, 0, sizeof(status));
	if (principal != NULL)
	{
		status.gss_auth = true;
		strlcpy(status.gss_princ, principal, NAMEDATALEN);
	}
	PGSTAT_BEGIN_WRITE_ACTIVITY(entry);
	entry->st_gss = status.gss_auth;
	if (entry->st_gss)
		memcpy(entry->st_gssstatus, &status, sizeof(status));
	PGSTAT_END_WRITE_ACTIVITY(entry);
}
#else
static void
show_gss(const char *facts, int len)
{
}
#endif

/*
 * pg_stat_ssl, pg_stat_gssapi and SYSTEM_USER.  Only if they change: many clients of an
 * application are equal in this.
 */
static void
set_facts(int client)
{
	Payload    *p = payloads && client >= 0 ? &payloads[client] : NULL;
	int			len = p ? p->facts_len : 0;
	char	   *facts = NULL;

	if (MyBEEntry == NULL ||
		(len == shown_facts_len &&
		 (len == 0 || memcmp(p->facts, shown_facts, len) == 0)))
		return;
	if (len > 0)
	{
		facts = MemoryContextAlloc(TopMemoryContext, len);
		memcpy(facts, p->facts, len);
	}
	if (shown_facts != NULL)
		pfree(shown_facts);
	shown_facts = facts;
	shown_facts_len = len;
	pooler_attach_show_tls(shown_facts, len);
	show_gss(shown_facts, len);
	pooler_system_user_show(shown_facts, shown_facts_len);
}

/*
 * The row of pg_stat_activity.  The last client's query goes with it: a
 * client never stands beside what another one ran.  Core writes the start once
 * (pgstat_bestart()) and only shows it; what it computes with is
 * MyStartTimestamp, which stays that of the process.
 */
static void
set_activity(const SockAddr *raddr, TimestampTz since)
{
	volatile PgBackendStatus *entry = MyBEEntry;

	if (entry == NULL)
		return;
	PGSTAT_BEGIN_WRITE_ACTIVITY(entry);
	if (raddr != NULL)
		memcpy((char *) &entry->st_clientaddr, raddr, sizeof(SockAddr));
	else
		MemSet((char *) &entry->st_clientaddr, 0, sizeof(SockAddr));
	entry->st_proc_start_timestamp = since;
	entry->st_clienthostname[0] = '\0';
	entry->st_activity_raw[0] = '\0';
	entry->st_activity_start_timestamp = 0;
	pooler_activity_forget_ids(entry);
	PGSTAT_END_WRITE_ACTIVITY(entry);
}

/*
 * Core sets these options of a socket when the settings change, and if those
 * are the same for two clients they don't; but the sockets are two.  Costs
 * nothing if none is set.
 */
static void
set_socket_options(int client)
{
	if (pooler_clients[client].tls_version != 0)
	{
		/* set by the pooler; this socket is none of TCP */
		MyProcPort->keepalives_idle = tcp_keepalives_idle;
		MyProcPort->keepalives_interval = tcp_keepalives_interval;
		MyProcPort->keepalives_count = tcp_keepalives_count;
		MyProcPort->tcp_user_timeout = tcp_user_timeout;
		return;
	}
	(void) pq_setkeepalivesidle(tcp_keepalives_idle, MyProcPort);
	(void) pq_setkeepalivesinterval(tcp_keepalives_interval, MyProcPort);
	(void) pq_setkeepalivescount(tcp_keepalives_count, MyProcPort);
	(void) pq_settcpusertimeout(tcp_user_timeout, MyProcPort);
}

static bool nobody;				/* pg_stat_activity shows no client */

void
pooler_attach_session(int client)
{
	set_port(&pooler_clients[client]);
	set_activity(&MyProcPort->raddr, pooler_clients[client].connected_at);
	set_facts(client);
	pooler_session_restore(client);
	set_socket_options(client);
	if (nobody)
		pgstat_report_appname(application_name);
	nobody = false;
}

/* Some drivers tell their name only once they are connected. */
void
pooler_attach_renamed(const char *name)
{
	PoolerClient *client;

	if (pooler_me.client < 0)
		return;
	client = &pooler_clients[pooler_me.client];
	/* the last byte stays 0, so that readers find an end at any time */
	strncpy(client->application_name, name, sizeof(client->application_name) - 1);
}

void
pooler_attach_nobody(void)
{
	if (nobody)
		return;
	MyProcPort->remote_host = "[local]";
	MyProcPort->remote_port = "";
	set_activity(NULL, MyStartTimestamp);
	set_facts(-1);
	pgstat_report_appname("");
	nobody = true;
}
