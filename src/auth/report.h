/*
 * report.h
 *		What the server log and the client are told about an authentication:
 *		core's messages, word for word.
 *
 * For src/auth only.  Only pooler_report_authenticated() returns; all others
 * raise an ERROR (see auth.h).
 */
#ifndef POOLER_AUTH_REPORT_H
#define POOLER_AUTH_REPORT_H

#include "auth/hba.h"
#include "compat.h"
#include "libpq/libpq-be.h"
#include "proto/errors.h"

/*
 * What remains of the rule that a client met.  A copy, since a reload may
 * free the rule while the client is still looking for its password.
 */
typedef struct PoolerAuthRule
{
	UserAuth	method;
	int			linenumber;
	const char *file;
	const char *text;
	ClientCertMode clientcert;
	ClientCertName clientcertname;
	const char *usermap;		/* may be NULL */
} PoolerAuthRule;

/* Copies into CurrentMemoryContext. */
extern void pooler_auth_rule_copy(PoolerAuthRule *rule, const HbaLine *line);

/*
 * With log_connections: who it is, and by which rule.  identity is NULL for
 * trust, which learns nothing about that.
 */
extern void pooler_report_authenticated(const PoolerAuthRule *rule,
										const Port *port,
										const char *identity);

/* A rule with the method reject, or no rule at all: 28000. */
pg_noreturn extern void pooler_report_reject(const Port *port,
											 PoolerReplication replication);
pg_noreturn extern void pooler_report_no_rule(const Port *port,
											  PoolerReplication replication);

/*
 * auth_failed(): 28P01 where a password was wrong, else 28000.  logdetail is
 * for the log only and may be NULL.
 */
pg_noreturn extern void pooler_report_failure(const PoolerAuthRule *rule,
											  const Port *port,
											  const char *logdetail);

/* The client's bytes were wrong; type as in PoolerProtoErrorArgs. */
pg_noreturn extern void pooler_report_protocol(PoolerProtoError error,
											   int type);

#endif							/* POOLER_AUTH_REPORT_H */
