/*-------------------------------------------------------------------------
 *
 * tls.h
 *	  Clients that come by TLS: what the pooler knows of them.
 *
 * Runs in: the pooler.  The encryption itself is done by relays, processes of
 * their own (tls/): the pooler sends a client's TCP socket to one of them,
 * with one end of a socketpair, and goes on with the login at the other end,
 * as if it were the client's socket.  Nothing here encrypts or decrypts.
 *
 * From the moment that a login has gone on past its handshake:
 *
 *	login->tls != NULL, and its Port looks as core's does for such a client
 *	as far as functions look that neither read nor write: ssl_in_use, peer_cn,
 *	peer_dn and peer_cert_valid are set; ssl is a stand-in that knows the
 *	server's certificate and nothing else, so that
 *	be_tls_get_certificate_hash() works (channel binding).  peer is NULL.
 *	Nobody may read or write through ssl.
 *
 *-------------------------------------------------------------------------
 */
#ifndef POOLER_WORKER_TLS_H
#define POOLER_WORKER_TLS_H

#include "worker/internal.h"

/*
 * What a handshake has come to.  Strings live as long as the login; what is
 * not there is NULL.
 */
typedef struct PoolerTlsFacts
{
	const char *version;		/* as SSL_get_version() names it: "TLSv1.3" */
	const char *cipher;
	int			bits;
	bool		alpn;			/* the client has asked for "postgresql" */
	bool		ca_loaded;		/* there was a root certificate store:
								 * secure_loaded_verify_locations() where the
								 * handshake was done */
	bool		cert_valid;		/* the client has shown a certificate, which
								 * was verified */
	const char *peer_cn;		/* its common name, if it has one */
	const char *peer_dn;		/* its subject as RFC 2253 writes it */

	/* as pg_stat_ssl shows them; empty without a certificate */
	const char *client_dn;
	const char *client_serial;
	const char *issuer_dn;
} PoolerTlsFacts;

#endif							/* POOLER_WORKER_TLS_H */
