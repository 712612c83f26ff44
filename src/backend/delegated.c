/*-------------------------------------------------------------------------
 *
 * delegated.c
 *	  A login that core carries out: what it has to know of the client's TLS
 *	  connection, and what becomes of its verdict.
 *
 * Runs in: pool backends, before they belong to a pool.  Decides nothing about
 * the login.
 *
 * The socket of a client that came by TLS is one end of a socketpair, at whose
 * other end a relay encrypts; core has to speak plainly there, and yet to find
 * the rule for a client with TLS and to check its certificate.  It does the
 * one after the other:
 *
 *	LOOKING ---> TALKING <---> ASKING_HOOK
 *	   |            |
 *	   +------------+---> done: pooler_delegated_see() saw 'R' 0 or 'E'
 *
 * LOOKING: core looks for the rule, and at what it asks of the certificate.
 *		The Port says that TLS is in use.  Nothing is sent or read.
 * TALKING: from its first message on.  The Port says that it is not, and yet
 *		has something in the place of the connection, since core asserts that
 *		when it comes to clientcert=verify-full.
 * ASKING_HOOK: another library's ClientAuthentication_hook sees a Port with
 *		TLS again.
 *
 * Channel binding needs TLS while core reads, so it is not offered: a client
 * that insists on it gives up.
 *
 *-------------------------------------------------------------------------
 */
#include "backend/internal.h"

#include <sys/socket.h>
#include <unistd.h>

#include "backend/delegated.h"
#include "libpq/auth.h"
#include "libpq/scram.h"
#include "port/pg_bswap.h"
#include "proto/frame.h"
#include "shared/guc.h"
#include "shared/tls.h"
#include "storage/ipc.h"
#include "utils/memutils.h"

/* PQ_RECV_BUFFER_SIZE of pqcomm.c */
#define RECEIVE_BUFFER	8192

static bool client_tls;
static const char *tls_words;	/* for the log */
static bool failed;				/* core will say so with its next message */
static bool accept_delegation;	/* as the server's settings say */
static bool authenticated;
static emit_log_hook_type chained_log_hook;
static ClientAuthentication_hook_type chained_hook;

static void
pretend_tls(bool on)
{
	if (client_tls)
		MyProcPort->ssl_in_use = on;
}

/* Nobody looks into what is there while ssl_in_use is false. */
static void
pretend_connection(bool on)
{
#ifdef USE_OPENSSL
	if (client_tls)
		MyProcPort->ssl = on ? (SSL *) &client_tls : NULL;
#endif
}

/*
 * Who is ended while it looks for the rule, by SIGTERM or authentication_timeout,
 * says nothing to the client; and then core closes what ssl points to.
 */
static void
stop_pretending(int code, Datum arg)
{
	pretend_tls(false);
	pretend_connection(false);
}

/*
 * Core has had the password, and copies of it, in chunks that it has freed
 * when it comes to the hook.  Who asks for chunks of these sizes gets those
 * first that were freed last.
 */
static void
scrub_heap(void)
{
	for (size_t size = 16; size <= RECEIVE_BUFFER; size *= 2)
	{
		char	   *chunks[8];

		for (int i = 0; i < (int) lengthof(chunks); i++)
		{
			chunks[i] = palloc(size);
			explicit_bzero(chunks[i], size);
		}
		for (int i = 0; i < (int) lengthof(chunks); i++)
			pfree(chunks[i]);
	}
}

static void
see_status(Port *port, int status)
{
	scrub_heap();
	pooler_gss_set_accept_delegation(accept_delegation);
	failed = status != STATUS_OK && status != STATUS_EOF;
	authenticated = status == STATUS_OK;
	if (chained_hook != NULL)
	{
		pretend_tls(true);
		chained_hook(port, status);
		pretend_tls(false);
	}
	pretend_connection(false);
	if (authenticated)
		pooler_system_user_check();
}

/*
 * Core logs what TLS a client has that has logged in, of a Port that does not
 * say so then.  Where it would stand, GSS comes after it.  For what core thinks
 * of hooks that do so see reword() in ending.c.
 */
static void
name_tls(ErrorData *edata)
{
	if (authenticated && tls_words != NULL && edata->elevel == LOG &&
		edata->message != NULL && edata->funcname != NULL &&
		strcmp(edata->funcname, "PerformAuthentication") == 0)
	{
		char	   *rest = NULL;

#ifdef ENABLE_GSS
		if (MyProcPort->gss != NULL)
			rest = strstr(edata->message, " GSS (");
#endif
		edata->message = psprintf("%.*s%s%s",
								  rest ? (int) (rest - edata->message) :
								  (int) strlen(edata->message),
								  edata->message, tls_words, rest ? rest : "");
		authenticated = false;
	}
	if (chained_log_hook)
		chained_log_hook(edata);
}

/* As core writes it. */
static void
keep_tls_words(const char *version, const char *cipher, const char *bits)
{
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

	tls_words = psprintf(_(" SSL enabled (protocol=%s, cipher=%s, bits=%d)"),
						 version, cipher, atoi(bits));
	MemoryContextSwitchTo(old);
	chained_log_hook = emit_log_hook;
	emit_log_hook = name_tls;
}

static char *
keep(const char *string)
{
	return MemoryContextStrdup(TopMemoryContext, string);
}

void
pooler_delegated_begin(const char *facts, int len)
{
	const char *end = facts + len;
	const char *version = "";
	const char *cipher = "";
	const char *bits = "";
	const char *name;
	const char *value;

	while (pooler_next_pair(&facts, end, &name, &value))
	{
		if (strcmp(name, "tls") == 0)
			client_tls = true;
		else if (strcmp(name, "cert_valid") == 0)
			MyProcPort->peer_cert_valid = true;
		else if (strcmp(name, "cn") == 0)
			MyProcPort->peer_cn = keep(value);
		else if (strcmp(name, "dn") == 0)
			MyProcPort->peer_dn = keep(value);
		else if (strcmp(name, POOLER_TLS_FACT_VERSION) == 0)
			version = value;
		else if (strcmp(name, POOLER_TLS_FACT_CIPHER) == 0)
			cipher = value;
		else if (strcmp(name, POOLER_TLS_FACT_BITS) == 0)
			bits = value;
	}
	if (client_tls && pooler_log_connection_authorized())
		keep_tls_words(version, cipher, bits);

	/*
	 * Credentials would stay in this process, for whoever comes after this
	 * client, and it would not have them in another one.
	 */
	accept_delegation = pooler_gss_accept_delegation();
	pooler_gss_set_accept_delegation(false);
	chained_hook = ClientAuthentication_hook;
	ClientAuthentication_hook = see_status;
	if (client_tls)
		on_proc_exit(stop_pretending, (Datum) 0);	/* before socket_close() */
	pretend_tls(true);
	pretend_connection(true);
}

/*
 * The list of mechanisms without those with channel binding; it ends with an
 * empty name.
 */
static void
offer_no_binding(const char **s, size_t *len)
{
	const char *name = *s + sizeof(uint32);
	const char *end = *s + *len;
	char	   *body = palloc(*len);
	size_t		used = sizeof(uint32);

	memcpy(body, *s, used);
	for (; name < end; name += strlen(name) + 1)
	{
		if (strcmp(name, "SCRAM-SHA-256-PLUS") == 0)
			continue;
		memcpy(body + used, name, strlen(name) + 1);
		used += strlen(name) + 1;
	}
	*s = body;
	*len = used;
}

/*
 * Who has failed is told by the pooler, after a while: this process is not to
 * be kept waiting, as there are only few for logins.  False if it can't be.
 */
static bool
let_pooler_tell(const char *s, size_t len)
{
	PoolerControl frame = {.type = POOLER_CONTROL_LOGIN_FAILED};
	uint32		size = pg_hton32((uint32) (len + sizeof(uint32)));
	char		message[POOLER_FRAME_HEADER + 2048];

	if (pooler_auth_delay <= 0 || len > sizeof(message) - POOLER_FRAME_HEADER)
		return false;
	message[0] = PqMsg_ErrorResponse;
	memcpy(message + 1, &size, sizeof(size));
	memcpy(message + POOLER_FRAME_HEADER, s, len);
	frame.payload = POOLER_FRAME_HEADER + len;
	return pooler_control_send(pooler_me.control, &frame, message, -1);
}

bool
pooler_delegated_see(char type, const char **s, size_t *len)
{
	uint32		request = 0;

	pretend_tls(false);
	if (type == PqMsg_ErrorResponse && failed)
		return let_pooler_tell(*s, *len);
	if (type == PqMsg_AuthenticationRequest && *len >= sizeof(request))
	{
		memcpy(&request, *s, sizeof(request));
		if (client_tls && pg_ntoh32(request) == AUTH_REQ_SASL)
			offer_no_binding(s, len);
	}
	return false;
}

/*
 * libpq's receive buffer can't be reached but by having it filled: this process
 * is going to work for others.
 */
void
pooler_delegated_end(void)
{
	pgsocket	sock = MyProcPort->sock;
	char		zeros[RECEIVE_BUFFER] = {0};
	int			pair[2];

	pooler_port_forget_scram_keys(MyProcPort);
	if (pooler_recv_buffer_has_data() ||
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return;
	if (send(pair[0], zeros, sizeof(zeros), MSG_DONTWAIT) == (ssize_t) sizeof(zeros))
	{
		MyProcPort->sock = pair[1];
		pq_startmsgread();
		(void) pq_getbytes(zeros, sizeof(zeros));
		pq_endmsgread();
		MyProcPort->sock = sock;
	}
	close(pair[0]);
	close(pair[1]);
}

void
pooler_delegated_report(StringInfo facts)
{
#ifdef ENABLE_GSS
	if (be_gssapi_get_auth(MyProcPort))
		appendStringInfo(facts, "%s%c%s%c", POOLER_FACT_GSS, '\0',
						 be_gssapi_get_princ(MyProcPort), '\0');
#endif
}
