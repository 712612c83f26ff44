/*-------------------------------------------------------------------------
 *
 * login_tls.c
 *	  The part of a login that is TLS.
 *
 * Runs in: the pooler.  SSLRequest, or a first byte that begins a handshake,
 * leads to these steps, and they back to STARTUP, inside TLS:
 *
 *				  relay is there          'S' was sent           done
 *	TLS_OFFER --------------------> TLS_SEND -------> TLS_HANDSHAKE ---> STARTUP
 *		|  'N': no TLS here                                |
 *		+-------> STARTUP                                  +-- failed: closed
 *
 * Nothing is read from the TCP socket but the request itself, so that all that
 * follows is the relay's.
 *
 *-------------------------------------------------------------------------
 */
#include "worker/login_internal.h"

#include <sys/socket.h>

#include "shared/tls.h"
#include "worker/tally.h"

/* Failed handshakes that are logged in one second; the rest is counted. */
#define LOGGED_PER_SECOND	20

/*---------------------------------------------------------------------------
 * TLS_OFFER, TLS_SEND
 *---------------------------------------------------------------------------
 */

void
pooler_login_begin_tls(int slot, bool direct)
{
	WorkerLogin *login = login_of(slot);

	login->direct_tls = direct;
	login->step = LOGIN_TLS_OFFER;
}

/*
 * Core has no words for a client that begins TLS at once where there is none;
 * before it knew such clients, it took their first bytes for a length.
 */
static void
decline(int slot)
{
	WorkerLogin *login = login_of(slot);

	if (login->direct_tls && !POOLER_HAVE_ALPN)
	{
		pooler_login_fail_proto(slot, POOLER_PROTO_STARTUP_LENGTH, NULL);
		return;
	}
	if (login->direct_tls)
	{
		pooler_client_close(slot, NULL, NULL);
		return;
	}
	appendStringInfoChar(&login->out, 'N');
	login->step = LOGIN_STARTUP;
}

void
pooler_login_step_tls_offer(int slot)
{
	WorkerLogin *login = login_of(slot);

	if (pooler_address_is_unix(&pooler_clients[slot].raddr))
	{
		decline(slot);
		return;
	}
	switch (pooler_tls_offer())
	{
		case WORKER_TLS_NO:
			decline(slot);
			break;
		case WORKER_TLS_SOON:
			pooler_worker_tick_within(100);
			break;
		case WORKER_TLS_YES:
			if (!login->direct_tls)
				appendStringInfoChar(&login->out, 'S');
			login->gss_done = !login->direct_tls;
			login->step = LOGIN_TLS_SEND;
			break;
	}
}

void
pooler_login_step_tls_send(int slot)
{
	WorkerLogin *login = login_of(slot);
	uint32		gen = pooler_client_gen(&pooler_clients[slot]);

	if (!pooler_tls_hand_over(slot, login->direct_tls, login->in.data, login->in.len))
	{
		pooler_worker_tick_within(100);
		return;
	}
	if (pooler_client_gen(&pooler_clients[slot]) != gen)
		return;
	resetStringInfo(&login->in);
	login->step = LOGIN_TLS_HANDSHAKE;
}

/* It has begun TLS, or was told to. */
bool
pooler_login_is_speechless(int slot)
{
	WorkerLogin *login = login_of(slot);

	return login != NULL &&
		(login->step == LOGIN_TLS_SEND || login->step == LOGIN_TLS_HANDSHAKE ||
		 (login->step == LOGIN_TLS_OFFER && login->direct_tls));
}

/*---------------------------------------------------------------------------
 * TLS_HANDSHAKE
 *---------------------------------------------------------------------------
 */

bool
pooler_login_tls_under_way(int slot)
{
	return login_of(slot) != NULL && login_of(slot)->step == LOGIN_TLS_HANDSHAKE;
}

static char *
copy_of(WorkerLogin *login, const char *pairs, size_t len, const char *wanted)
{
	const char *value = pooler_find_pair(pairs, len, wanted);

	return value ? MemoryContextStrdup(login->cxt, value) : NULL;
}

static const char *
or_empty(const char *value)
{
	return value ? value : "";
}

static void
keep_facts(WorkerLogin *login, bool ca_loaded, const char *pairs, size_t len)
{
	PoolerTlsFacts *tls = MemoryContextAllocZero(login->cxt, sizeof(PoolerTlsFacts));

	tls->version = or_empty(copy_of(login, pairs, len, POOLER_TLS_FACT_VERSION));
	tls->cipher = or_empty(copy_of(login, pairs, len, POOLER_TLS_FACT_CIPHER));
	tls->bits = atoi(or_empty(pooler_find_pair(pairs, len, POOLER_TLS_FACT_BITS)));
	tls->alpn = pooler_find_pair(pairs, len, POOLER_TLS_FACT_ALPN) != NULL;
	tls->ca_loaded = ca_loaded;
	tls->peer_cn = copy_of(login, pairs, len, POOLER_TLS_FACT_CN);
	tls->peer_dn = copy_of(login, pairs, len, POOLER_TLS_FACT_DN);
	tls->cert_valid = tls->peer_dn != NULL;
	tls->client_dn = or_empty(copy_of(login, pairs, len, POOLER_TLS_FACT_CLIENT_DN));
	tls->client_serial = or_empty(copy_of(login, pairs, len, POOLER_TLS_FACT_SERIAL));
	tls->issuer_dn = or_empty(copy_of(login, pairs, len, POOLER_TLS_FACT_ISSUER_DN));
	tls->certificate = or_empty(copy_of(login, pairs, len, POOLER_TLS_FACT_CERTIFICATE));
	login->tls = tls;
}

/*
 * As be_tls_open_server() leaves it, as far as can be; see tls.h.  False if
 * there is no memory: core's SCRAM looks into ssl without asking.
 */
static bool
fill_port(int slot)
{
	WorkerLogin *login = login_of(slot);

	login->port.ssl_in_use = true;
	login->port.peer_cn = (char *) login->tls->peer_cn;
	login->port.peer_dn = (char *) login->tls->peer_dn;
	login->port.peer_cert_valid = login->tls->cert_valid;
#ifdef USE_OPENSSL
	login->port.ssl = pooler_tls_stand_in(slot);
	return login->port.ssl != NULL;
#else
	return true;
#endif
}

static void
put_fact(StringInfo buf, const char *name, const char *value)
{
	if (value[0] == '\0')
		return;
	appendBinaryStringInfo(buf, name, strlen(name) + 1);
	appendBinaryStringInfo(buf, value, strlen(value) + 1);
}

/* What backends put into pg_stat_ssl; and the views. */
static void
keep_status(int slot)
{
	PoolerTlsFacts *tls = login_of(slot)->tls;
	StringInfoData buf;

	initStringInfo(&buf);
	put_fact(&buf, POOLER_TLS_FACT_VERSION, tls->version);
	put_fact(&buf, POOLER_TLS_FACT_CIPHER, tls->cipher);
	put_fact(&buf, POOLER_TLS_FACT_BITS, psprintf("%d", tls->bits));
	put_fact(&buf, POOLER_TLS_FACT_CLIENT_DN, tls->client_dn);
	put_fact(&buf, POOLER_TLS_FACT_SERIAL, tls->client_serial);
	put_fact(&buf, POOLER_TLS_FACT_ISSUER_DN, tls->issuer_dn);
	put_fact(&buf, POOLER_TLS_FACT_CERTIFICATE, tls->certificate);
	pooler_client_add_facts(slot, buf.data, buf.len);
	pooler_clients[slot].tls_version = pooler_tls_name_number(tls->version);
	pooler_clients[slot].tls_cipher = pooler_tls_name_number(tls->cipher);
	pfree(buf.data);
}

void
pooler_login_tls_done(int slot, bool ca_loaded, const char *pairs, size_t len)
{
	WorkerLogin *login = login_of(slot);

	keep_facts(login, ca_loaded, pairs, len);
	if (!fill_port(slot))
	{
		pooler_login_tls_lost(slot);
		return;
	}
	keep_status(slot);
	login->step = LOGIN_STARTUP;
	pooler_login_go_on(slot);
}

/* A client decides how often it fails. */
static bool
may_log(void)
{
	static TimestampTz period;
	static int	failures;
	int			left_out;

	if (TimestampDifferenceExceeds(period, pooler_worker.now, 1000))
	{
		left_out = failures - LOGGED_PER_SECOND;
		period = pooler_worker.now;
		failures = 0;
		if (left_out > 0)
			ereport(LOG,
					(errmsg_plural("%d more SSL connection could not be accepted",
								   "%d more SSL connections could not be accepted",
								   left_out, left_out)));
	}
	return ++failures <= LOGGED_PER_SECOND;
}

void
pooler_login_tls_failed(int slot, const char *pairs, size_t len)
{
	WorkerLogin *login = login_of(slot);
	const char *state = pooler_find_pair(pairs, len, POOLER_TLS_ERROR_SQLSTATE);
	const char *detail = pooler_find_pair(pairs, len, POOLER_TLS_ERROR_DETAIL);
	const char *hint = pooler_find_pair(pairs, len, POOLER_TLS_ERROR_HINT);

	if (state == NULL || strlen(state) != 5)
		state = "08P01";
	pooler_tally_login_failed(slot, state);
	if (may_log())
	{
		MyProcPort = &login->port;
		ereport(LOG,
				(errcode(MAKE_SQLSTATE(state[0], state[1], state[2], state[3], state[4])),
				 errmsg_internal("%s", or_empty(pooler_find_pair(pairs, len, POOLER_TLS_ERROR_MESSAGE))),
				 detail ? errdetail_internal("%s", detail) : 0,
				 hint ? errhint("%s", hint) : 0));
		MyProcPort = NULL;
	}
	pooler_client_close(slot, NULL, NULL);
}

void
pooler_login_tls_lost(int slot)
{
	pooler_tally_login_failed(slot, "08006");
	if (may_log())
	{
		MyProcPort = &login_of(slot)->port;
		ereport(LOG,
				(errcode(ERRCODE_CONNECTION_FAILURE),
				 errmsg("could not accept SSL connection: a process for TLS has ended or lost it")));
		MyProcPort = NULL;
	}
	pooler_client_close(slot, NULL, NULL);
}

/* The pair is closed: the relay has said why, or is no more. */
void
pooler_login_tls_hangup(int slot)
{
	uint32		gen = pooler_client_gen(&pooler_clients[slot]);

	pooler_tls_worker_listen_to(slot);
	if (pooler_client_gen(&pooler_clients[slot]) == gen &&
		pooler_login_tls_under_way(slot))
		pooler_login_tls_lost(slot);
}
