/*
 * report.c
 *		The messages of authentication.
 *
 * Runs in the pooler worker.  The texts are those of core's auth.c, so that
 * clients and log analyzers that know them find them here, too, and that
 * core's translations apply.
 */
#include "postgres.h"

#include <netdb.h>

#include "auth/report.h"
#include "common/ip.h"
#include "compat.h"
#include "shared/guc.h"

void
pooler_auth_rule_copy(PoolerAuthRule *rule, const HbaLine *line)
{
	rule->method = line->auth_method;
	rule->linenumber = line->linenumber;
	rule->file = pstrdup(pooler_hba_file(line));
	rule->text = pstrdup(line->rawline);
	rule->clientcert = line->clientcert;
	rule->clientcertname = line->clientcertname;
	rule->usermap = line->usermap ? pstrdup(line->usermap) : NULL;
}

void
pooler_report_authenticated(const PoolerAuthRule *rule, const Port *port,
							const char *identity)
{
	if (!pooler_logs(pooler_log_connections, pooler_log_authentication()))
		return;

	if (identity != NULL)
		ereport(LOG,
				errmsg("connection authenticated: identity=\"%s\" method=%s "
					   "(%s:%d)",
					   identity, hba_authname(rule->method),
					   rule->file, rule->linenumber));
	else if (POOLER_LOGS_TRUST)
		ereport(LOG,
				errmsg("connection authenticated: user=\"%s\" method=%s "
					   "(%s:%d)",
					   port->user_name, hba_authname(rule->method),
					   rule->file, rule->linenumber));
}

/* The numeric address, "[local]" for a Unix socket. */
static const char *
host_of(const Port *port, char *buf, size_t size)
{
	pg_getnameinfo_all(&port->raddr.addr, port->raddr.salen,
					   buf, size, NULL, 0, NI_NUMERICHOST);
	return buf;
}

static const char *
encryption_of(const Port *port)
{
	return port->ssl_in_use ? _("SSL encryption") : _("no encryption");
}

void
pooler_report_reject(const Port *port, PoolerReplication replication)
{
	char		host[NI_MAXHOST];

	if (replication == POOLER_REPLICATION_PHYSICAL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION),
				 errmsg("pg_hba.conf rejects replication connection for host \"%s\", user \"%s\", %s",
						host_of(port, host, sizeof(host)), port->user_name,
						encryption_of(port))));
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION),
			 errmsg("pg_hba.conf rejects connection for host \"%s\", user \"%s\", database \"%s\", %s",
					host_of(port, host, sizeof(host)), port->user_name,
					port->database_name, encryption_of(port))));
}

void
pooler_report_no_rule(const Port *port, PoolerReplication replication)
{
	char		host[NI_MAXHOST];

	if (replication == POOLER_REPLICATION_PHYSICAL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION),
				 errmsg("no pg_hba.conf entry for replication connection from host \"%s\", user \"%s\", %s",
						host_of(port, host, sizeof(host)), port->user_name,
						encryption_of(port))));
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION),
			 errmsg("no pg_hba.conf entry for host \"%s\", user \"%s\", database \"%s\", %s",
					host_of(port, host, sizeof(host)), port->user_name,
					port->database_name, encryption_of(port))));
}

void
pooler_report_failure(const PoolerAuthRule *rule, const Port *port,
					  const char *logdetail)
{
	int			sqlstate = ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION;
	const char *format;
	const char *matched = pooler_hba_matched(rule->file, rule->linenumber,
											 rule->text);

	if (logdetail != NULL)
		matched = psprintf("%s\n%s", logdetail, matched);

	switch (rule->method)
	{
		case uaTrust:			/* with clientcert=verify-full */
			format = gettext_noop("\"trust\" authentication failed for user \"%s\"");
			break;
		case uaCert:
			format = gettext_noop("certificate authentication failed for user \"%s\"");
			break;
		default:
			format = gettext_noop("password authentication failed for user \"%s\"");
			sqlstate = ERRCODE_INVALID_PASSWORD;
	}
	ereport(ERROR,
			(errcode(sqlstate),
			 errmsg(format, port->user_name),
			 errdetail_log("%s", matched)));
}

void
pooler_report_protocol(PoolerProtoError error, int type)
{
	const PoolerProtoErrorInfo *info = pooler_proto_error_info(error);
	const char *state = info->sqlstate;
	PoolerProtoErrorArgs args = {.type = type};
	char		text[256];

	ereport(ERROR,
			(errcode(MAKE_SQLSTATE(state[0], state[1], state[2],
								   state[3], state[4])),
			 errmsg_internal("%s",
							 pooler_proto_error_format(error, &args, text,
													   sizeof(text))),
			 info->detail != NULL ? errdetail_internal("%s", info->detail) : 0,
			 info->hint != NULL ? errhint("%s", info->hint) : 0));
}
