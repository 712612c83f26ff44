/*-------------------------------------------------------------------------
 *
 * names.h
 *	  Names in a client's certificate, as rules and maps compare them.
 *
 * Runs in: relays.  Pure but for OpenSSL, which reads the certificate: no
 * reports, and nothing of the server's runtime.
 *
 *-------------------------------------------------------------------------
 */
#ifndef POOLER_TLS_NAMES_H
#define POOLER_TLS_NAMES_H

#include <openssl/x509.h>

/* Longest name that is let in, without the zero byte behind it. */
#define POOLER_TLS_MAX_NAME		4000

typedef enum PoolerTlsName
{
	POOLER_TLS_NAME_OK,
	POOLER_TLS_NAME_NONE,		/* there is none, or no memory for it */
	POOLER_TLS_NAME_TOO_LONG,
	POOLER_TLS_NAME_HAS_NULL	/* two different names could look the same
								 * (CVE-2009-4034) */
} PoolerTlsName;

/*
 * The first common name, byte by byte as it is there.  name holds
 * POOLER_TLS_MAX_NAME + 1 bytes; it is empty unless the result is OK.
 */
extern PoolerTlsName pooler_tls_common_name(const X509_NAME *subject, char *name);

/* The whole name as RFC 2253 writes it: nothing but printable ASCII. */
extern PoolerTlsName pooler_tls_distinguished_name(const X509_NAME *subject,
												   char *name);

#endif							/* POOLER_TLS_NAMES_H */
