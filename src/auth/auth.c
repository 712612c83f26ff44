/*
 * auth.c
 *		One client's authentication, from the matching rule to the verdict.
 *
 * Runs in the pooler worker, inside a transaction.  Owns PoolerAuth.  It
 * carries through the methods that neither wait nor compute: trust, reject,
 * cert, md5 and scram-sha-256; all others are delegated.  It must not do I/O on the
 * client's socket, so it calls core's SASL mechanism step by step and never
 * CheckSASLAuth(), and must not report a secret.
 *
 * Counterparts in core's auth.c are named at the functions.
 */
#include "postgres.h"

#include "auth/auth.h"
#include "auth/catalog.h"
#include "auth/certificate.h"
#include "auth/report.h"
#include "compat.h"
#include "commands/user.h"
#include "libpq/auth.h"
#include "libpq/crypt.h"
#include "libpq/pqcomm.h"
#include "libpq/scram.h"
#include "proto/build.h"
#include "proto/password.h"
#include "utils/acl.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/*
 * What the next message must be:
 *
 *				 +-> AWAIT_MD5 ----------------------------+
 *	begin -------+                                         +-> FINISHED
 *				 +-> AWAIT_SASL_INITIAL -> AWAIT_SASL --+--+
 *											^           |
 *											+-----------+
 *
 * A refusal is an error from any of them; the exchange is then FINISHED, too.
 */
typedef enum AuthStep
{
	AUTH_AWAIT_MD5,
	AUTH_AWAIT_SASL_INITIAL,
	AUTH_AWAIT_SASL,
	AUTH_FINISHED
} AuthStep;

struct PoolerAuth
{
	MemoryContext cxt;			/* the login's: holds all of this */
	Port	   *port;
	PoolerAuthRule rule;
	AuthStep	step;
	bool		failed;			/* the client has not proved who it is */
	PoolerCertificate certificate;	/* what the rule asks of it */
	char	   *secret;			/* NULL: doomed, whatever the client says */
	const char *logdetail;		/* why it is doomed */
	uint8		md5_salt[4];
	void	   *scram;			/* from AWAIT_SASL on */
};

static void
send_request(StringInfo out, AuthRequest request, const void *data, int len)
{
	PoolerWriter writer;

	enlargeStringInfo(out, len + 9);	/* type, length, request, data */
	writer = pooler_writer(out->data + out->len, out->maxlen - out->len);
	pooler_build_auth(&writer, request, data, len);
	Assert(pooler_writer_fits(&writer));
	out->len += writer.len;
	out->data[out->len] = '\0';
}

/*
 * An MD5 hash is as good as the password, and of a SCRAM secret the rest can be
 * computed with what the client has sent.
 */
static void
forget_secret(PoolerAuth *auth)
{
	if (auth->secret != NULL)
		explicit_bzero(auth->secret, strlen(auth->secret));
	auth->secret = NULL;
}

pg_noreturn static void
fail(PoolerAuth *auth)
{
	auth->step = AUTH_FINISHED;
	auth->failed = true;
	forget_secret(auth);
	pooler_report_failure(&auth->rule, auth->port, auth->logdetail);
}

/*
 * The end of ClientAuthentication().  trust and cert come here at once.  Who
 * has proved who he is stands in the log before his certificate is compared
 * with his role, as in core.
 */
static PoolerAuthResult
succeed(PoolerAuth *auth)
{
	UserAuth	method = auth->rule.method;
	const char *identity = auth->port->user_name;

	auth->step = AUTH_FINISHED;
	forget_secret(auth);
	if (method == uaCert)
		identity = auth->port->peer_dn;
	if (method != uaTrust && identity != NULL &&
		(method != uaCert || auth->certificate.known))
		pooler_report_authenticated(&auth->rule, auth->port, identity);
	pooler_certificate_report(&auth->certificate);
	if (!auth->certificate.fits)
		fail(auth);
	if (method == uaTrust)
		pooler_report_authenticated(&auth->rule, auth->port, NULL);
	return POOLER_AUTH_DONE;
}

/*
 * ---- md5 and scram-sha-256 ----
 */

/*
 * The secret to check against, or NULL and the reason: get_role_password().
 */
static void
choose_secret(PoolerAuth *auth, bool role_exists,
			  const PoolerRoleSecret *secret)
{
	const char *user = auth->port->user_name;

	if (!role_exists)
		auth->logdetail = psprintf(_("Role \"%s\" does not exist."), user);
	else if (secret->external)
		auth->logdetail = psprintf(_("Password of user \"%s\" is too long."),
								   user);
	else if (secret->secret == NULL)
		auth->logdetail = psprintf(_("User \"%s\" has no password assigned."),
								   user);
	else if (secret->expires && secret->valid_until < GetCurrentTimestamp())
		auth->logdetail = psprintf(_("User \"%s\" has an expired password."),
								   user);
	else
		auth->secret = secret->secret;
}

/*
 * CheckPWChallengeAuth().  An md5 rule follows the kind of secret that the
 * role has, and gives a role without one a challenge of the usual kind.
 */
static void
begin_challenge(PoolerAuth *auth, StringInfo out)
{
	PasswordType type = Password_encryption;
	StringInfoData mechanisms;

	if (auth->secret != NULL)
		type = get_password_type(auth->secret);

	if (auth->rule.method == uaMD5 && type == PASSWORD_TYPE_MD5)
	{
		if (POOLER_DB_USER_NAMESPACE)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION),
					 errmsg("MD5 authentication is not supported when \"db_user_namespace\" is enabled")));
		if (!pg_strong_random(auth->md5_salt, sizeof(auth->md5_salt)))
		{
			ereport(LOG,
					(errmsg("could not generate random MD5 salt")));
			fail(auth);
		}
		send_request(out, AUTH_REQ_MD5, auth->md5_salt,
					 sizeof(auth->md5_salt));
		auth->step = AUTH_AWAIT_MD5;
		return;
	}

	initStringInfo(&mechanisms);
	pg_be_scram_mech.get_mechanisms(auth->port, &mechanisms);
	appendStringInfoChar(&mechanisms, '\0');
	send_request(out, AUTH_REQ_SASL, mechanisms.data, mechanisms.len);
	auth->step = AUTH_AWAIT_SASL_INITIAL;
}

/* CheckMD5Auth(), from where the answer is there */
static PoolerAuthResult
check_md5(PoolerAuth *auth, const char *body, int len)
{
	const char *answer;
	PoolerProtoError error;

	error = pooler_password_parse((const uint8 *) body, len, &answer);
	if (error != POOLER_PROTO_OK)
		pooler_report_protocol(error, 0);

	if (auth->secret == NULL ||
		md5_crypt_verify(auth->port->user_name, auth->secret, answer,
						 pooler_md5_salt(auth->md5_salt),
						 sizeof(auth->md5_salt),
						 &auth->logdetail) != STATUS_OK)
		fail(auth);
	return succeed(auth);
}

/*
 * One round of CheckSASLAuth().  data is NULL if the client sent no initial
 * response; otherwise it is copied, since the mechanism wants a terminator
 * behind it.
 */
static PoolerAuthResult
exchange(PoolerAuth *auth, const char *data, int len, StringInfo out)
{
	char	   *input = NULL;
	char	   *output = NULL;
	int			outputlen = 0;
	int			result;

	if (data != NULL)
	{
		input = palloc(len + 1);
		memcpy(input, data, len);
		input[len] = '\0';
	}

	result = pg_be_scram_mech.exchange(auth->scram, input,
									   input != NULL ? len : -1,
									   &output, &outputlen, &auth->logdetail);
	if (input != NULL)
		explicit_bzero(input, len);

	if (result == PG_SASL_EXCHANGE_FAILURE)
		fail(auth);
	if (output != NULL)
		send_request(out,
					 result == PG_SASL_EXCHANGE_SUCCESS ?
					 AUTH_REQ_SASL_FIN : AUTH_REQ_SASL_CONT,
					 output, outputlen);
	return result == PG_SASL_EXCHANGE_SUCCESS ?
		succeed(auth) : POOLER_AUTH_CONTINUE;
}

static PoolerAuthResult
begin_sasl(PoolerAuth *auth, const char *body, int len, StringInfo out)
{
	PoolerSaslInitial initial;
	PoolerProtoError error;

	error = pooler_password_parse_sasl((const uint8 *) body, len, &initial);

	/* core judges the mechanism's name before it reads on */
	if (initial.mechanism != NULL)
		auth->scram = pg_be_scram_mech.init(auth->port, initial.mechanism,
											auth->secret);
	if (error != POOLER_PROTO_OK)
		pooler_report_protocol(error, 0);

	auth->step = AUTH_AWAIT_SASL;
	return exchange(auth, initial.has_data ? (const char *) initial.data : NULL,
					(int) initial.data_len, out);
}

/*
 * ---- the driver ----
 */

void
pooler_auth_startup(void)
{
	initialize_acl();
}

/* Why the last login that was looked at is to be delegated. */
static char delegated_for[64];

const char *
pooler_auth_delegated_for(void)
{
	return delegated_for;
}

static PoolerAuthResult
delegate_for(const char *format, const char *what)
{
	snprintf(delegated_for, sizeof(delegated_for), format, what);
	return POOLER_AUTH_DELEGATE;
}

/*
 * ClientAuthentication(), up to the first wait.  CurrentMemoryContext is the
 * login's.
 */
static PoolerAuthResult
begin(PoolerAuth **auth, Port *port, PoolerReplication replication,
	  const PoolerHbaRules *rules, bool ca_loaded, StringInfo out)
{
	PoolerRole	role;
	PoolerRoleSecret secret;
	bool		role_exists;
	PoolerHbaPeer peer;
	HbaLine    *line;
	PoolerHbaVerdict verdict;

	role_exists = pooler_catalog_find_role(port->user_name, &role, &secret);

	peer.raddr = &port->raddr;
	peer.tls = port->ssl_in_use;
	peer.database = port->database_name;
	peer.role = port->user_name;
	peer.roleid = role_exists ? role.oid : InvalidOid;
	peer.replication = replication;

	verdict = pooler_hba_match(rules, &peer, &line);
	if (verdict == POOLER_HBA_NO_MATCH)
		pooler_report_no_rule(port, replication);
	if (verdict == POOLER_HBA_NEEDS_DNS)
		return delegate_for("%s", "a host name");

	pooler_certificate_require(line, port, ca_loaded);
	if (line->auth_method == uaReject)
		pooler_report_reject(port, replication);
	if (line->auth_method != uaTrust &&
		line->auth_method != uaCert &&
		line->auth_method != uaMD5 &&
		line->auth_method != uaSCRAM)
		return delegate_for("the method \"%s\"",
							hba_authname(line->auth_method));

	*auth = palloc0(sizeof(PoolerAuth));
	(*auth)->cxt = CurrentMemoryContext;
	(*auth)->port = port;
	pooler_auth_rule_copy(&(*auth)->rule, line);
	(*auth)->certificate = pooler_certificate_judge(&(*auth)->rule, port,
													peer.roleid);
	if (line->auth_method == uaTrust || line->auth_method == uaCert)
		return succeed(*auth);

	choose_secret(*auth, role_exists, &secret);
	begin_challenge(*auth, out);
	return POOLER_AUTH_CONTINUE;
}

PoolerAuthResult
pooler_auth_begin(PoolerAuth **auth, MemoryContext cxt, Port *port,
				  PoolerReplication replication,
				  const PoolerHbaRules *rules, bool ca_loaded, StringInfo out)
{
	MemoryContext oldcxt;
	PoolerAuthResult result;

	*auth = NULL;

	/*
	 * Libraries like auth_delay rely on being called at the end of every
	 * ClientAuthentication(), in a process that they may put to sleep.
	 */
	if (ClientAuthentication_hook != NULL)
		return delegate_for("%s", "a library's hook");

	oldcxt = MemoryContextSwitchTo(cxt);
	result = begin(auth, port, replication, rules, ca_loaded, out);
	MemoryContextSwitchTo(oldcxt);
	return result;
}

PoolerAuthResult
pooler_auth_continue(PoolerAuth *auth, const char *body, int len,
					 StringInfo out)
{
	MemoryContext oldcxt = MemoryContextSwitchTo(auth->cxt);
	PoolerAuthResult result = POOLER_AUTH_DONE;

	if (len > pooler_auth_max_body(auth))
		pooler_auth_fail(auth);

	switch (auth->step)
	{
		case AUTH_AWAIT_MD5:
			result = check_md5(auth, body, len);
			break;
		case AUTH_AWAIT_SASL_INITIAL:
			result = begin_sasl(auth, body, len, out);
			break;
		case AUTH_AWAIT_SASL:
			result = exchange(auth, body, len, out);
			break;
		case AUTH_FINISHED:
			elog(ERROR, "authentication has already ended");
	}

	MemoryContextSwitchTo(oldcxt);
	return result;
}

void
pooler_auth_forget(PoolerAuth *auth)
{
	forget_secret(auth);
}

bool
pooler_auth_has_failed(const PoolerAuth *auth)
{
	return auth->failed;
}

int
pooler_auth_max_body(const PoolerAuth *auth)
{
	return (auth->step == AUTH_AWAIT_MD5 ?
			POOLER_PASSWORD_LIMIT : POOLER_SASL_LIMIT) - 4;
}

void
pooler_auth_fail(PoolerAuth *auth)
{
	ereport(COMMERROR,
			(errcode(ERRCODE_PROTOCOL_VIOLATION),
			 errmsg("invalid message length")));
	fail(auth);
}

void
pooler_auth_fail_type(const PoolerAuth *auth, int type)
{
	pooler_report_protocol(auth->step == AUTH_AWAIT_MD5 ?
						   POOLER_PROTO_PASSWORD_TYPE :
						   POOLER_PROTO_SASL_TYPE, type);
}

const char *
pooler_auth_identity(const PoolerAuth *auth, UserAuth *method)
{
	*method = auth->rule.method;
	if (auth->rule.method == uaTrust)
		return NULL;
	return auth->rule.method == uaCert ? auth->port->peer_dn : auth->port->user_name;
}
