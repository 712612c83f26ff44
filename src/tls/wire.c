/*-------------------------------------------------------------------------
 *
 * wire.c
 *	  OpenSSL's side towards the network: memory.
 *
 * Runs in: relays.  OpenSSL never touches a socket: what has come from the
 * client is put before it, and what it writes is collected, so that there is
 * one recv() and one send() for as many records as there are.  One buffer
 * serves all connections, because nothing of one step outlives it: input is
 * read until OpenSSL wants more, which it keeps itself, and output is sent or
 * put aside.
 *
 *-------------------------------------------------------------------------
 */
#include "tls/internal.h"

#ifdef USE_OPENSSL

#include <openssl/bio.h>
#include <openssl/err.h>

TlsWire		pooler_tls_wire;

static BIO *wire_bio;			/* all connections have the same */

static int
wire_read(BIO *bio, char *buf, int size)
{
	TlsWire    *wire = &pooler_tls_wire;
	int			n = (int) Min(wire->in_len, (size_t) Max(size, 0));

	BIO_clear_retry_flags(bio);
	if (n > 0)
	{
		memcpy(buf, wire->in, n);
		wire->in += n;
		wire->in_len -= n;
		return n;
	}
	if (wire->in_eof)
		return 0;
	BIO_set_retry_read(bio);
	return -1;
}

static int
wire_write(BIO *bio, const char *buf, int size)
{
	TlsWire    *wire = &pooler_tls_wire;

	BIO_clear_retry_flags(bio);
	if (wire->out_len + size > wire->out_size)
	{
		size_t		room = wire->out_len + size + 16384;
		char	   *larger = realloc(wire->out, room);

		if (larger == NULL)
			return -1;
		wire->out = larger;
		wire->out_size = room;
	}
	memcpy(wire->out + wire->out_len, buf, size);
	wire->out_len += size;
	return size;
}

static long
wire_ctrl(BIO *bio, int cmd, long num, void *ptr)
{
	switch (cmd)
	{
		case BIO_CTRL_FLUSH:
		case BIO_CTRL_DUP:
			return 1;
		case BIO_CTRL_EOF:
			/* whether OpenSSL hears of it decides over core's words */
			return POOLER_TLS_BIO_TELLS_EOF && pooler_tls_wire.in_eof;
		default:
			return 0;
	}
}

static BIO *
get_bio(void)
{
	int			type = BIO_get_new_index();
	BIO_METHOD *method;

	if (wire_bio != NULL || type == -1)
		return wire_bio;
	method = BIO_meth_new(type | BIO_TYPE_SOURCE_SINK, "pooler relay");
	if (method == NULL || !BIO_meth_set_read(method, wire_read) ||
		!BIO_meth_set_write(method, wire_write) ||
		!BIO_meth_set_ctrl(method, wire_ctrl))
		return NULL;
	wire_bio = BIO_new(method);
	if (wire_bio != NULL)
		BIO_set_init(wire_bio, 1);
	return wire_bio;
}

SSL *
pooler_tls_wire_new(SSL_CTX *context)
{
	BIO		   *bio = get_bio();
	SSL		   *ssl = bio ? SSL_new(context) : NULL;

	if (ssl == NULL)
		return NULL;
	BIO_up_ref(bio);
	SSL_set_bio(ssl, bio, bio);
	SSL_set_accept_state(ssl);
	return ssl;
}

const char *
pooler_tls_error_text(unsigned long code)
{
	static char number[48];
	const char *reason;

	if (code == 0)
		return _("no SSL error reported");
	reason = ERR_reason_error_string(code);
	if (reason != NULL)
		return reason;
#ifdef ERR_SYSTEM_ERROR
	if (ERR_SYSTEM_ERROR(code))
		return strerror(ERR_GET_REASON(code));
#endif
	snprintf(number, sizeof(number), _("SSL error code %lu"), code);
	return number;
}

#endif							/* USE_OPENSSL */
