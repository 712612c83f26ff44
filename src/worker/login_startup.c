/*-------------------------------------------------------------------------
 *
 * login_startup.c
 *	  The startup packet, and what may come before it.
 *
 * Runs in: the pooler.  The bytes are taken apart by proto/startup.c; here is
 * what follows from them.
 *
 *-------------------------------------------------------------------------
 */
#include "worker/login_internal.h"

#include <sys/socket.h>

#include "utils/memutils.h"

static void
copy_name(char *to, const char *from)
{
	strlcpy(to, from, NAMEDATALEN);
}

/* The settings of the packet, as (name, value) pairs for backends. */
static void
keep_settings(int slot)
{
	WorkerLogin *login = login_of(slot);
	WorkerClient *wc = &pooler_worker_clients[slot];
	PoolerReader it = login->startup.pairs;
	PoolerStartupParam param;
	StringInfoData buf;

	initStringInfo(&buf);
	while (pooler_startup_next(&it, &param))
	{
		if (param.kind != POOLER_PARAM_SETTING &&
			param.kind != POOLER_PARAM_OPTIONS)
			continue;
		if (pooler_login_ignores(param.name))
			continue;
		appendBinaryStringInfo(&buf, param.name, strlen(param.name) + 1);
		appendBinaryStringInfo(&buf, param.value, strlen(param.value) + 1);
	}
	if (buf.len > 0)
	{
		wc->settings = MemoryContextAlloc(TopMemoryContext, buf.len);
		memcpy(wc->settings, buf.data, buf.len);
	}
	wc->settings_len = wc->payload_len = buf.len;
	pfree(buf.data);
}

static void
negotiate(WorkerLogin *login)
{
	PoolerWriter w;

	if (!pooler_startup_must_negotiate(&login->startup, PG_PROTOCOL_LATEST))
		return;
	w = pooler_login_out_begin(login, POOLER_STARTUP_MAX_TOTAL + 64);
	pooler_build_negotiate(&w, &login->startup, PG_PROTOCOL_LATEST);
	pooler_login_out_end(login, &w);
}

static void
take_parameters(int slot, uint32 len)
{
	WorkerLogin *login = login_of(slot);
	PoolerClient *client = &pooler_clients[slot];
	PoolerProtoErrorArgs args = {0};
	PoolerProtoError error;

	login->packet = MemoryContextAlloc(login->cxt, len);
	memcpy(login->packet, login->in.data, len);
	login->packet_len = len;
	resetStringInfo(&login->in);
	error = pooler_startup_parse((uint8_t *) login->packet, len, &login->startup);
	if (error == POOLER_PROTO_OK || error == POOLER_PROTO_NO_USER)
		negotiate(login);
	if (error != POOLER_PROTO_OK)
	{
		(void) pooler_login_flush(slot);
		args.value = login->startup.bad_replication;
		pooler_login_fail_proto(slot, error, &args);
		return;
	}
	pooler_worker_clients[slot].long_key =
		pooler_startup_has_long_keys(login->startup.proto, PG_PROTOCOL_LATEST);
	copy_name(client->role, login->startup.user);
	copy_name(client->login_role, login->startup.user);
	copy_name(client->database, login->startup.database);
	if (pooler_login_ignores("application_name"))
		login->startup.application_name = NULL;
	if (login->startup.application_name)
	{
		char	   *name = pooler_clean_ascii(login->startup.application_name);

		strlcpy(client->application_name, name, POOLER_APPNAME_LEN);
		pfree(name);
	}
	login->port.user_name = client->role;
	login->port.database_name = client->database;
	if (!pooler_login_admit(slot))
		return;
	keep_settings(slot);
	login->step = LOGIN_CHECK_RULES;
}

/*
 * Answers SSLRequest and GSSENCRequest.  What lies behind the request was not
 * sent by TLS, but could be taken for it afterwards (CVE-2021-23222).  Inside
 * TLS there is no more encryption to be had, nor by GSSAPI.
 */
static void
negotiate_encryption(int slot, PoolerStartupKind kind)
{
	WorkerLogin *login = login_of(slot);
	int			fd = pooler_worker_clients[slot].fd;
	char		byte;

	resetStringInfo(&login->in);
	if (kind == POOLER_STARTUP_SSL_REQUEST)
		login->ssl_done = true;
	else
		login->gss_done = true;
	if (recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 1)
	{
		pooler_login_fail_proto(slot, kind == POOLER_STARTUP_SSL_REQUEST ?
								POOLER_PROTO_DATA_AFTER_SSL : POOLER_PROTO_DATA_AFTER_GSS, NULL);
		return;
	}
	if (kind == POOLER_STARTUP_SSL_REQUEST && login->tls == NULL)
		pooler_login_begin_tls(slot, false);
	else
		appendStringInfoChar(&login->out, 'N');
}

static void
take_cancel(int slot, uint32 len)
{
	PoolerCancelRequest cancel;
	PoolerProtoError error;

	error = pooler_startup_parse_cancel((uint8_t *) login_of(slot)->in.data,
										len, PG_PROTOCOL_LATEST, &cancel);
	if (error != POOLER_PROTO_OK)
	{
		pooler_login_fail_proto(slot, error, NULL);
		return;
	}
	login_of(slot)->counted = true;
	pooler_cancel(cancel.pid, cancel.key, cancel.key_len);
	pooler_client_close(slot, NULL, NULL);
}

/* One look at the startup packet; sets the next step when it is complete. */
void
pooler_login_step_startup(int slot)
{
	WorkerLogin *login = login_of(slot);
	PoolerProtoErrorArgs args = {0};
	PoolerStartupVerdict v;

	for (;;)
	{
		v = pooler_startup_inspect((uint8_t *) login->in.data, login->in.len,
								   login->ssl_done, login->gss_done);
		if (v.kind != POOLER_STARTUP_NEED_MORE)
			break;
		switch (pooler_login_read(slot, v.need))
		{
			case LOGIN_IO_DONE:
				continue;
			case LOGIN_IO_WAIT:
				return;
			case LOGIN_IO_CLOSED:
				if (login->in.len > 0)
					pooler_login_fail_proto(slot, POOLER_PROTO_STARTUP_INCOMPLETE, NULL);
				else
					pooler_client_close(slot, NULL, NULL);
				return;
		}
	}
	switch (v.kind)
	{
		case POOLER_STARTUP_ERROR:
			args.proto = v.proto;
			args.latest = PG_PROTOCOL_LATEST;
			pooler_login_fail_proto(slot, v.error, &args);
			break;
		case POOLER_STARTUP_TLS_HELLO:
			if (login->tls == NULL)
				pooler_login_begin_tls(slot, true);
			else
				pooler_login_fail_proto(slot, POOLER_PROTO_STARTUP_LENGTH, NULL);
			break;
		case POOLER_STARTUP_SSL_REQUEST:
		case POOLER_STARTUP_GSS_REQUEST:
			negotiate_encryption(slot, v.kind);
			break;
		case POOLER_STARTUP_CANCEL:
			take_cancel(slot, v.need);
			break;
		case POOLER_STARTUP_PARAMETERS:
			take_parameters(slot, v.need);
			break;
		case POOLER_STARTUP_NEED_MORE:
			break;
	}
}
