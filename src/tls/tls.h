/*-------------------------------------------------------------------------
 *
 * tls.h
 *	  What the rest of the library needs to know of the relays of TLS.
 *
 *-------------------------------------------------------------------------
 */
#ifndef POOLER_TLS_TLS_H
#define POOLER_TLS_TLS_H

#include "compat.h"

/*
 * Registers the relays and catches what core loads for TLS at server start;
 * from _PG_init.  Does nothing if the server was built without OpenSSL.
 */
#ifdef USE_OPENSSL
extern void pooler_tls_init(void);
#else
#define pooler_tls_init() ((void) 0)
#endif

#endif							/* POOLER_TLS_TLS_H */
