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
	const char *certificate;	/* the whole, DER in base64 */
} PoolerTlsFacts;

/*
 * tls.c: the relays as the pooler sees them
 */
typedef enum WorkerTlsOffer
{
	WORKER_TLS_NO,				/* ssl is off, or could not be turned on */
	WORKER_TLS_YES,
	WORKER_TLS_SOON				/* ask again: relays are being started */
} WorkerTlsOffer;

extern void pooler_tls_worker_startup(void);
extern void pooler_tls_worker_exit(void);
extern WorkerTlsOffer pooler_tls_offer(void);

/*
 * Sends a client's socket to a relay, with bytes that were read from it; the
 * client's descriptor is one end of a pair from then on, and is not watched.
 * False if no relay takes it now.  The client may be gone afterwards.
 */
extern bool pooler_tls_hand_over(int slot, bool direct, const void *bytes,
								 size_t len);

/* An event of the listening socket (0) or of a relay's connection. */
extern void pooler_tls_worker_event(uint32 index);

/* Reads what the client's relay has said meanwhile. */
extern void pooler_tls_worker_listen_to(int slot);

/* The client has gone. */
extern void pooler_tls_client_left(int slot);

/*
 * A number for the name of a version or cipher in PoolerShared.tls_names, plus
 * one; 0 if there are too many.
 */
extern uint8 pooler_tls_name_number(const char *name);

#ifdef USE_OPENSSL
/*
 * An SSL that has nothing but the certificate of the client's relay; the
 * caller frees it; or none, if that is not known.  NULL: no memory.
 */
extern SSL *pooler_tls_stand_in(int slot);
#endif

/*
 * login_tls.c: the handshake as a step of the login
 */

/* The relay has said how it went; pairs as in shared/tls.h. */
extern void pooler_login_tls_done(int slot, bool ca_loaded, const char *pairs,
								  size_t len);
extern void pooler_login_tls_failed(int slot, const char *pairs, size_t len);

/* The relay has ended, or has lost it. */
extern void pooler_login_tls_lost(int slot);

/* Does a relay do its handshake? */
extern bool pooler_login_tls_under_way(int slot);

#endif							/* POOLER_WORKER_TLS_H */
