/*-------------------------------------------------------------------------
 *
 * login_settings.c
 *	  What a login leaves for backends: the client's startup settings, what it
 *	  was told, and what core has to know of its TLS connection.
 *
 * Runs in: the pooler.  Only puts together what others have found out; it goes
 * to backends with the client's descriptor.
 *
 *-------------------------------------------------------------------------
 */
#include "worker/login_internal.h"

#include "shared/session.h"
#include "utils/memutils.h"

/* The one setting that the pooler has to enforce itself; as an integer, in ms. */
static void
keep_idle_session_timeout(int slot)
{
	WorkerClient *wc = &pooler_worker_clients[slot];
	const char *pair = wc->settings;
	const char *name;
	const char *value;

	while (pooler_next_pair(&pair, wc->settings + wc->settings_len, &name, &value))
	{
		if (strcmp(name, "idle_session_timeout") == 0)
		{
			pooler_clients[slot].idle_session_timeout = atoi(value);
			pg_atomic_write_u32(&pooler_shared->idle_sessions, 1);
		}
	}
}

void
pooler_login_keep_payload(int slot, const char *payload, int len)
{
	/* a pair whose value is empty */
	static const char mark[] = POOLER_NEEDS_OWN_BACKEND "\0";
	WorkerClient *wc = &pooler_worker_clients[slot];
	const char *pair;
	const char *end;
	size_t		pairs_len;
	const char *name;
	const char *value;
	uint64		told = 0;

	wc->own_backend = len > (int) sizeof(mark) &&
		memcmp(payload, mark, sizeof(mark)) == 0;
	if (wc->own_backend)
	{
		payload += sizeof(mark);
		len -= sizeof(mark);
	}
	pooler_client_forget_settings(slot);
	wc->settings = MemoryContextAlloc(TopMemoryContext, Max(len, 1));
	memcpy(wc->settings, payload, len);
	wc->payload_len = len;
	wc->settings_len = pooler_pairs_length(payload, len, &pair, &pairs_len);
	end = pair + pairs_len;
	while (pooler_next_pair(&pair, end, &name, &value))
		told += pooler_reported_digest(name, value);
	pooler_clients[slot].digest[POOLER_PART_REPORTED] = told;
	keep_idle_session_timeout(slot);
}

void
pooler_login_keep_settings(int slot, const char *pairs, size_t len,
						   const char *application_name, const StringInfoData *told)
{
	StringInfoData buf;

	initStringInfo(&buf);
	if (len > 0)
		appendBinaryStringInfo(&buf, pairs, len);
	if (application_name != NULL)
	{
		appendBinaryStringInfo(&buf, "application_name", sizeof("application_name"));
		appendBinaryStringInfo(&buf, application_name, strlen(application_name) + 1);
	}
	if (buf.len + 1 + told->len <= POOLER_MAX_SETTINGS_PAYLOAD)
	{
		appendStringInfoChar(&buf, '\0');
		appendBinaryStringInfo(&buf, told->data, told->len);
	}
	pooler_login_keep_payload(slot, buf.data, buf.len);
	pfree(buf.data);
}

void
pooler_login_keep_identity(int slot)
{
	UserAuth	method;
	const char *id = pooler_auth_identity(login_of(slot)->auth, &method);
	StringInfoData buf;

	if (id == NULL || !POOLER_HAVE_SYSTEM_USER)
		return;
	initStringInfo(&buf);
	appendStringInfo(&buf, "%s%c%d%c%s%c%s%c", POOLER_FACT_AUTH_METHOD, '\0',
					 (int) method, '\0', POOLER_FACT_AUTH_ID, '\0', id, '\0');
	pooler_client_add_facts(slot, buf.data, buf.len);
}

static void
add_fact(StringInfo pairs, const char *name, const char *value)
{
	if (value == NULL)
		return;
	appendBinaryStringInfo(pairs, name, strlen(name) + 1);
	appendBinaryStringInfo(pairs, value, strlen(value) + 1);
}

void
pooler_login_facts(int slot, StringInfo pairs)
{
	Port	   *port = &login_of(slot)->port;
	WorkerClient *wc = &pooler_worker_clients[slot];

	if (!port->ssl_in_use)
		return;
	add_fact(pairs, "tls", "");
	add_fact(pairs, "cert_valid", port->peer_cert_valid ? "" : NULL);
	add_fact(pairs, "cn", port->peer_cn);
	add_fact(pairs, "dn", port->peer_dn);
	/* for a walsender's row of pg_stat_ssl */
	if (wc->facts_len > 0)
		appendBinaryStringInfo(pairs, wc->facts, wc->facts_len);
}
