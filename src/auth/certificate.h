/*
 * certificate.h
 *		What a rule of pg_hba.conf asks of a client's certificate.
 *
 * The certificate itself was verified during the handshake; see worker/tls.h
 * for what is known of it.  For src/auth only.
 */
#ifndef POOLER_AUTH_CERTIFICATE_H
#define POOLER_AUTH_CERTIFICATE_H

#include "auth/report.h"

/*
 * Is the certificate one of this role?  Found out with the rule, while the
 * catalogs are at hand, but logged only where core comes to it.
 */
typedef struct PoolerCertificate
{
	bool		known;			/* it says whose it is */
	bool		fits;
	const char *reason;			/* what core logs if not */
	const char *rule_reason;	/* and what after that; or NULL */
} PoolerCertificate;

/*
 * The checks of ClientAuthentication() before any method begins.
 *
 * Errors: F0000 (ca_loaded is false: the server has no root certificates),
 * 28000 (no valid certificate).
 */
extern void pooler_certificate_require(const HbaLine *line, const Port *port,
									   bool ca_loaded);

/*
 * CheckCertAuth(), if the rule wants it; else it fits.  Strings are in
 * CurrentMemoryContext.  Needs what pooler_ident_allows() needs.
 */
extern PoolerCertificate pooler_certificate_judge(const PoolerAuthRule *rule,
												  const Port *port,
												  Oid roleid);

/* Logs the reasons. */
extern void pooler_certificate_report(const PoolerCertificate *certificate);

#endif							/* POOLER_AUTH_CERTIFICATE_H */
