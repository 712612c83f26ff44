/*
 * certificate.c
 *		Clients that have to show a certificate, or one of their role.
 *
 * Runs in the pooler worker.  Decides as ClientAuthentication() and
 * CheckCertAuth() in core's auth.c do, by the facts that the Port has.
 */
#include "postgres.h"

#include "auth/certificate.h"
#include "auth/ident.h"
#include "compat.h"

void
pooler_certificate_require(const HbaLine *line, const Port *port,
						   bool ca_loaded)
{
	if (line->clientcert == clientCertOff)
		return;
	if (!ca_loaded)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIG_FILE_ERROR),
				 errmsg("client certificates can only be checked if a root certificate store is available")));
	if (!port->peer_cert_valid)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION),
				 errmsg("connection requires a valid client certificate")));
}

PoolerCertificate
pooler_certificate_judge(const PoolerAuthRule *rule, const Port *port,
						 Oid roleid)
{
	const char *role = port->user_name;
	const char *name = rule->clientcertname == clientCertDN ?
		port->peer_dn : port->peer_cn;
	PoolerCertificate result = {
		.known = name != NULL && name[0] != '\0',
		.fits = true
	};

	if (rule->clientcert != clientCertFull && rule->method != uaCert)
		return result;

	result.fits = false;
	if (!result.known)
		result.reason = psprintf(_("certificate authentication failed for user \"%s\": client certificate contains no user name"),
								 role);
	else if (rule->method == uaCert && port->peer_dn == NULL)
		result.reason = psprintf(_("certificate authentication failed for user \"%s\": unable to retrieve subject DN"),
								 role);
	else
		result.fits = pooler_ident_allows(rule->usermap, role, roleid, name,
										  &result.reason);
	if (result.fits || rule->method == uaCert || !result.known)
		return result;
	result.rule_reason = rule->clientcertname == clientCertDN ?
		psprintf(_("certificate validation (clientcert=verify-full) failed for user \"%s\": DN mismatch"), role) :
		psprintf(_("certificate validation (clientcert=verify-full) failed for user \"%s\": CN mismatch"), role);
	return result;
}

void
pooler_certificate_report(const PoolerCertificate *certificate)
{
	if (certificate->reason != NULL)
		ereport(LOG, (errmsg_internal("%s", certificate->reason)));
	if (certificate->rule_reason != NULL)
		ereport(LOG, (errmsg_internal("%s", certificate->rule_reason)));
}
