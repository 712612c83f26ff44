/*-------------------------------------------------------------------------
 *
 * handshake.c
 *	  TLS handshakes, and what they have come to.
 *
 * Runs in: relays.  What core's be_tls_open_server() does, in steps, and with
 * the outcome in a report for the pooler: the facts that core would put into
 * the Port, or the message that it would log.
 *
 *-------------------------------------------------------------------------
 */
#include "tls/internal.h"

#ifdef USE_OPENSSL

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "common/openssl.h"
#include "common/string.h"
#include "tls/names.h"
#include "utils/elog.h"
#include "utils/guc.h"
#include "utils/memutils.h"

/* The only protocol that we speak, as ALPN lists it (RFC 7301). */
static const unsigned char our_protocol[] = "\012postgresql";

/* of the certificate that was refused in this step; NULL: none */
static X509 *refused_cert;
static int	refused_error;
static int	refused_depth;

/*---------------------------------------------------------------------------
 * the report
 *---------------------------------------------------------------------------
 */

static void
put_pair(StringInfo buf, const char *name, const char *value)
{
	if (value == NULL)
		return;
	appendBinaryStringInfo(buf, name, strlen(name) + 1);
	appendBinaryStringInfo(buf, value, strlen(value) + 1);
}

/* The handshake is over; the pooler hears of it, now or later. */
static void
report(TlsConnection *conn, const StringInfoData *buf, bool failed)
{
	conn->failed = failed;
	conn->report_len = Min(buf->len, POOLER_TLS_MAX_PAYLOAD);
	conn->report = MemoryContextAlloc(TopMemoryContext, Max(buf->len, 1));
	memcpy(conn->report, buf->data, conn->report_len);
	pg_atomic_fetch_add_u64(failed ? &pooler_tls_me.shared->failures :
							&pooler_tls_me.shared->handshakes, 1);
	if (pooler_tls_begin_reporting(conn))
		pooler_tls_link_report(conn);
}

static void
fail(TlsConnection *conn, const char *sqlstate, const char *message,
	 const char *detail, const char *hint)
{
	StringInfoData buf;

	initStringInfo(&buf);
	put_pair(&buf, POOLER_TLS_ERROR_SQLSTATE, sqlstate);
	put_pair(&buf, POOLER_TLS_ERROR_MESSAGE, message);
	put_pair(&buf, POOLER_TLS_ERROR_DETAIL, detail);
	put_pair(&buf, POOLER_TLS_ERROR_HINT, hint);
	report(conn, &buf, true);
}

static void
fail_protocol(TlsConnection *conn, const char *message)
{
	fail(conn, "08P01", message, NULL, NULL);
}

/*---------------------------------------------------------------------------
 * callbacks
 *---------------------------------------------------------------------------
 */

/* Core's own keeps its words where nobody else can read them. */
static int
verify(int ok, X509_STORE_CTX *store)
{
	if (ok)
		return ok;
	refused_error = X509_STORE_CTX_get_error(store);
	refused_depth = X509_STORE_CTX_get_error_depth(store);
	X509_free(refused_cert);
	refused_cert = X509_STORE_CTX_get_current_cert(store);
	if (refused_cert != NULL)
		X509_up_ref(refused_cert);
	return ok;
}

/*
 * A server that knows no ALPN lets everybody in who does not need it; the
 * others refuse who wants another protocol.
 */
static int
choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *outlen,
				const unsigned char *in, unsigned int inlen, void *arg)
{
	TlsConnection *conn = SSL_get_app_data(ssl);
	unsigned char *chosen;

	if (SSL_select_next_proto(&chosen, outlen, our_protocol,
							  sizeof(our_protocol) - 1, in,
							  inlen) == OPENSSL_NPN_NEGOTIATED)
	{
		*out = chosen;
		return SSL_TLSEXT_ERR_OK;
	}
	return POOLER_HAVE_ALPN || conn->direct ? SSL_TLSEXT_ERR_ALERT_FATAL :
		SSL_TLSEXT_ERR_NOACK;
}

/*
 * OpenSSL goes from one KeyUpdate to the next without coming back, and each
 * costs as much as many records do.  The client sees the end of its input.
 */
static void
count_message(int writes, int version, int content_type, const void *buf,
			  size_t len, SSL *ssl, void *arg)
{
	if (!writes && content_type == SSL3_RT_HANDSHAKE &&
		++pooler_tls_wire.messages > TLS_MAX_MESSAGES)
		pooler_tls_wire.in_len = 0;
}

void
pooler_tls_handshake_prepare(SSL_CTX *context)
{
	SSL_CTX_set_msg_callback(context, count_message);
	SSL_CTX_set_verify(context, SSL_CTX_get_verify_mode(context), verify);
	SSL_CTX_set_alpn_select_cb(context, choose_protocol, NULL);
}

/*---------------------------------------------------------------------------
 * failures
 *---------------------------------------------------------------------------
 */

/* The end of a long name says most; nothing but ASCII goes into the log. */
static char *
loggable(char *name)
{
	const size_t limit = 71;
	size_t		len = strlen(name);

	if (len > limit)
	{
		name += len - limit;
		memset(name, '.', 3);
	}
	return pooler_clean_ascii(name);
}

/* As core words it since 16. */
static char *
refusal_detail(void)
{
	Port		port = {0};
	char	   *subject = palloc(POOLER_TLS_MAX_NAME);
	char	   *issuer = palloc(POOLER_TLS_MAX_NAME);
	char		serial[256];
	char	   *detail = psprintf(_("Client certificate verification failed at depth %d: %s."),
								  refused_depth,
								  X509_verify_cert_error_string(refused_error));

	if (refused_cert == NULL)
		return detail;
	port.peer = refused_cert;
	be_tls_get_peer_subject_name(&port, subject, POOLER_TLS_MAX_NAME);
	be_tls_get_peer_issuer_name(&port, issuer, POOLER_TLS_MAX_NAME);
	be_tls_get_peer_serial(&port, serial, sizeof(serial));
	return psprintf("%s\n%s", detail,
					psprintf(_("Failed certificate data (unverified): subject \"%s\", serial number %s, issuer \"%s\"."),
							 loggable(subject), serial, loggable(issuer)));
}

static bool
hints_at_versions(int reason)
{
	switch (reason)
	{
		case SSL_R_NO_PROTOCOLS_AVAILABLE:
		case SSL_R_UNSUPPORTED_PROTOCOL:
		case SSL_R_BAD_PROTOCOL_VERSION_NUMBER:
		case SSL_R_UNKNOWN_PROTOCOL:
		case SSL_R_UNKNOWN_SSL_VERSION:
		case SSL_R_UNSUPPORTED_SSL_VERSION:
		case SSL_R_WRONG_SSL_VERSION:
		case SSL_R_WRONG_VERSION_NUMBER:
		case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
#ifdef SSL_R_VERSION_TOO_HIGH
		case SSL_R_VERSION_TOO_HIGH:
#endif
#ifdef SSL_R_VERSION_TOO_LOW
		case SSL_R_VERSION_TOO_LOW:
#endif
			return true;
		default:
			return false;
	}
}

static const char *
version_name(int version, const char *any)
{
	switch (version)
	{
		case PG_TLS1_VERSION:
			return "TLSv1";
		case PG_TLS1_1_VERSION:
			return "TLSv1.1";
		case PG_TLS1_2_VERSION:
			return "TLSv1.2";
		case PG_TLS1_3_VERSION:
			return "TLSv1.3";
		default:
			return any;
	}
}

static void
fail_ssl(TlsConnection *conn, unsigned long code)
{
	const char *detail = NULL;
	const char *hint = NULL;

	if (hints_at_versions(ERR_GET_REASON(code)))
		hint = psprintf(_("This may indicate that the client does not support any SSL protocol version between %s and %s."),
						version_name(ssl_min_protocol_version, MIN_OPENSSL_TLS_VERSION),
						version_name(ssl_max_protocol_version, MAX_OPENSSL_TLS_VERSION));
	if (POOLER_TLS_TELLS_CERTIFICATE && refused_error != X509_V_OK)
		detail = refusal_detail();
	fail(conn, "08P01",
		 psprintf(_("could not accept SSL connection: %s"), pooler_tls_error_text(code)),
		 detail, hint);
}

static void
accept_failed(TlsConnection *conn, int result)
{
	int			error = SSL_get_error(conn->ssl, result);
	unsigned long code = ERR_get_error();

	switch (error)
	{
		case SSL_ERROR_WANT_READ:
			return;				/* in HANDSHAKE still */
		case SSL_ERROR_SSL:
			fail_ssl(conn, code);
			break;
		case SSL_ERROR_SYSCALL:
		case SSL_ERROR_ZERO_RETURN:
			fail_protocol(conn, _("could not accept SSL connection: EOF detected"));
			break;
		default:
			fail_protocol(conn, psprintf(_("unrecognized SSL error code: %d"), error));
	}
}

/*---------------------------------------------------------------------------
 * success
 *---------------------------------------------------------------------------
 */

/* False, and the client is refused, if a name can't be told. */
static bool
put_name(TlsConnection *conn, StringInfo buf, const char *fact, PoolerTlsName result,
		 const char *name, const char *complaint)
{
	switch (result)
	{
		case POOLER_TLS_NAME_OK:
			put_pair(buf, fact, name);
			return true;
		case POOLER_TLS_NAME_NONE:
			return true;
		case POOLER_TLS_NAME_TOO_LONG:
			fail_protocol(conn, _("SSL certificate's distinguished name is too long for the pooler"));
			return false;
		case POOLER_TLS_NAME_HAS_NULL:
			fail_protocol(conn, complaint);
			return false;
	}
	return false;
}

static bool
put_names(TlsConnection *conn, StringInfo buf, X509_NAME *subject)
{
	char		name[POOLER_TLS_MAX_NAME + 1];
	PoolerTlsName result = pooler_tls_common_name(subject, name);

	if (!put_name(conn, buf, POOLER_TLS_FACT_CN, result, name,
				  _("SSL certificate's common name contains embedded null")))
		return false;
	result = pooler_tls_distinguished_name(subject, name);
	if (result == POOLER_TLS_NAME_NONE)
		result = POOLER_TLS_NAME_TOO_LONG;	/* for this machine */
	return put_name(conn, buf, POOLER_TLS_FACT_DN, result, name,
					_("SSL certificate's distinguished name contains embedded null"));
}

/* What pg_stat_ssl shows, as far as there is room for it there. */
static void
put_status(StringInfo buf, Port *port)
{
	char		text[NAMEDATALEN];

	be_tls_get_peer_subject_name(port, text, sizeof(text));
	put_pair(buf, POOLER_TLS_FACT_CLIENT_DN, text);
	be_tls_get_peer_serial(port, text, sizeof(text));
	put_pair(buf, POOLER_TLS_FACT_SERIAL, text);
	be_tls_get_peer_issuer_name(port, text, sizeof(text));
	put_pair(buf, POOLER_TLS_FACT_ISSUER_DN, text);
}

/* What the extension sslinfo shows. */
static void
put_certificate(StringInfo buf, X509 *peer)
{
	int			len = i2d_X509(peer, NULL);
	unsigned char *der;
	unsigned char *p;
	char	   *text;

	if (len <= 0 || len > POOLER_TLS_MAX_CERTIFICATE)
		return;
	p = der = palloc(len);
	i2d_X509(peer, &p);
	text = palloc(4 * ((len + 2) / 3) + 1);
	EVP_EncodeBlock((unsigned char *) text, der, len);
	put_pair(buf, POOLER_TLS_FACT_CERTIFICATE, text);
}

static void
put_facts(StringInfo buf, Port *port)
{
	const unsigned char *protocol = NULL;
	unsigned int len = 0;

	put_pair(buf, POOLER_TLS_FACT_VERSION, be_tls_get_version(port));
	put_pair(buf, POOLER_TLS_FACT_CIPHER, be_tls_get_cipher(port));
	put_pair(buf, POOLER_TLS_FACT_BITS, psprintf("%d", be_tls_get_cipher_bits(port)));
	SSL_get0_alpn_selected(port->ssl, &protocol, &len);
	if (protocol != NULL)
		put_pair(buf, POOLER_TLS_FACT_ALPN, "1");
	put_status(buf, port);
}

static void
done(TlsConnection *conn)
{
	Port		port = {0};
	StringInfoData buf;
	bool		good = true;

	initStringInfo(&buf);
	port.ssl = conn->ssl;
	port.peer = SSL_get_peer_certificate(conn->ssl);
	X509_free(port.peer);		/* the SSL has a reference, too */
	put_facts(&buf, &port);
	if (port.peer != NULL)
		good = put_names(conn, &buf, X509_get_subject_name(port.peer));

	/* a client that was refused may be gone by now, with its certificate */
	if (good && port.peer != NULL)
		put_certificate(&buf, port.peer);
	if (good)
		report(conn, &buf, false);
}

/*---------------------------------------------------------------------------
 * one step
 *---------------------------------------------------------------------------
 */

static void
step(TlsConnection *conn)
{
	int			result;
	const unsigned char *protocol = NULL;
	unsigned int len = 0;

	errno = 0;
	ERR_clear_error();
	refused_error = X509_V_OK;
	result = SSL_accept(conn->ssl);
	if (result <= 0)
	{
		accept_failed(conn, result);
		return;
	}
	SSL_get0_alpn_selected(conn->ssl, &protocol, &len);
	if (conn->direct && protocol == NULL)
		fail_protocol(conn, _("received direct SSL connection request without ALPN protocol negotiation extension"));
	else
		done(conn);
}

/* Core's functions raise errors, for want of memory or because of a name. */
static void
step_caught(TlsConnection *conn)
{
	MemoryContext old = CurrentMemoryContext;

	PG_TRY();
	{
		step(conn);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(old);
		if (pooler_tls_may_log())
		{
			pooler_tls_log_begin(conn);
			EmitErrorReport();
			pooler_tls_log_end();
		}
		FlushErrorState();
		pooler_tls_kill(conn);
	}
	PG_END_TRY();
	X509_free(refused_cert);
	refused_cert = NULL;
}

void
pooler_tls_handshake(TlsConnection *conn, const char *bytes, size_t len, bool eof)
{
	TlsWire    *wire = &pooler_tls_wire;

	wire->in = bytes;
	wire->in_len = len;
	wire->in_eof = eof;
	wire->out_len = 0;
	wire->messages = 0;
	step_caught(conn);
	wire->in_eof = false;
	if (conn->state == TLS_DEAD)
		return;

	/* the last flight, or the alert, and what the client sent behind its own */
	if (conn->state == TLS_OPEN || (conn->state == TLS_REPORTING && !conn->failed))
		pooler_tls_read_rest(conn);
	else if (pooler_tls_flush(conn))
		pooler_tls_rewatch(conn);
}

void
pooler_tls_handshake_broken(TlsConnection *conn, int error)
{
	errno = error;
	fail(conn, unpack_sql_state(error == EPIPE || error == ECONNRESET ?
								ERRCODE_CONNECTION_FAILURE : ERRCODE_INTERNAL_ERROR),
		 psprintf(_("could not accept SSL connection: %s"), strerror(error)),
		 NULL, NULL);
}

#endif							/* USE_OPENSSL */
