/*-------------------------------------------------------------------------
 *
 * login.c
 *	  From accept to a client's first ReadyForQuery.
 *
 * Runs in: the pooler.  Owns the bytes of the login dialogue.  Reads exactly
 * the messages that belong to it, because what follows is a backend's to
 * read.  Every step that can raise runs in a transaction and under PG_TRY:
 * an error ends this client only.
 *
 *	TLS_OFFER, TLS_SEND, TLS_HANDSHAKE: see login_tls.c
 *	   ^ |
 *	   | v
 *	STARTUP ---> CHECK_RULES ---> PASSWORD --+--> AUTHORIZE --+--> PARAMETERS
 *	                 |    |           ^ |    |                |       | |
 *	                 |    |           +-+    |   FORCE_ROLE --+       | v
 *	                 |    +-- trust ---------+      ^  ^              | WELCOME --> IDLE
 *	                 v                              |  |              |
 *	              DELEGATE ---> CORE ---> IDLE      |  +--------------+
 *	                              |                 |
 *	                              +-----------------+
 *
 * From CHECK_RULES, PASSWORD and CORE a client that has not proved who it is
 * may come to DELAYED (login_guard.c), which ends in FREE.
 *
 * In CORE core does the dialogue.  FORCE_ROLE is for clients whose alias names
 * another role than the one that logs in; mostly AUTHORIZE does it in passing.
 * From PARAMETERS it comes if only a backend could tell whether the one that
 * logs in may connect.
 * To the console AUTHORIZE leads straight to WELCOME, and that to CONSOLE.
 *
 * CHECK_RULES, AUTHORIZE and FORCE_ROLE are tried again by the clock if a
 * catalog is locked, DELEGATE if no backend can be started now; every step
 * ends in FREE when it fails or takes too long.
 *
 *-------------------------------------------------------------------------
 */
#include "worker/login_internal.h"

#include "access/xact.h"
#include "auth/catalog.h"
#include "shared/evict.h"
#include "shared/session.h"
#include "utils/memutils.h"
#include "worker/admin.h"
#include "worker/parameters.h"
#include "worker/tally.h"

dlist_head	pooler_logins = DLIST_STATIC_INIT(pooler_logins);
static int	ncounted;			/* clients that count against the limit */

static void login_continue(int slot);
static void authorize(int slot);
static void log_authorized(int slot);
static void force_role(int slot);

/*---------------------------------------------------------------------------
 * begin and end
 *---------------------------------------------------------------------------
 */

static void
set_deadline(WorkerLogin *login)
{
	if (pooler_client_login_timeout > 0)
		login->deadline = TimestampTzPlusMilliseconds(pooler_worker.now,
													  pooler_ms(pooler_client_login_timeout));
}

static WorkerLogin *
begin(int slot)
{
	PoolerClient *client = &pooler_clients[slot];
	WorkerClient *wc = &pooler_worker_clients[slot];
	MemoryContext cxt = AllocSetContextCreate(TopMemoryContext, "pooler login",
											  ALLOCSET_SMALL_SIZES);
	WorkerLogin *login = MemoryContextAllocZero(cxt, sizeof(WorkerLogin));
	MemoryContext old = MemoryContextSwitchTo(cxt);

	login->cxt = cxt;
	login->step = LOGIN_STARTUP;
	login->port.sock = PGINVALID_SOCKET;
	pooler_address_expand(&login->port.raddr, &client->raddr);
	pooler_address_expand(&login->port.laddr, &client->laddr);
	login->port.remote_host = client->host;
	login->port.remote_port = client->port;
	initStringInfo(&login->in);
	initStringInfo(&login->out);
	MemoryContextSwitchTo(old);
	wc->login = login;
	dlist_push_tail(&pooler_logins, &wc->node);
	pooler_guard_begin(login);
	pooler_worker_tick_within(1000);
	return login;
}

void
pooler_login_begin(int slot)
{
	PoolerClient *client = &pooler_clients[slot];
	WorkerLogin *login = begin(slot);

	set_deadline(login);
	if (pooler_logs(pooler_log_connections, pooler_log_connection_received()))
	{
		MyProcPort = &login->port;
		ereport(LOG,
				(errmsg("connection received: host=%s%s%s", client->host,
						client->port[0] ? " port=" : "", client->port)));
		MyProcPort = NULL;
	}
}

/* What comes after authentication; who has asked for it has its own deadline. */
void
pooler_login_begin_internal(int slot)
{
	PoolerClient *client = &pooler_clients[slot];
	WorkerLogin *login = begin(slot);

	login->port.user_name = client->role;
	login->port.database_name = client->database;
	login->startup.application_name = client->application_name;
	login->told_ok = true;
	login->step = LOGIN_AUTHORIZE;
	login_continue(slot);
}

void
pooler_login_free(int slot)
{
	WorkerClient *wc = &pooler_worker_clients[slot];

	/* one that has entered its pool has logged in */
	if (!wc->login->counted && pooler_clients[slot].pool < 0 && !wc->internal)
		pooler_shared->counters.abandoned_logins++;
	dlist_delete(&wc->node);
	wc->node.next = wc->node.prev = NULL;
	pooler_guard_left(wc->login);
	if (wc->login->auth)
		pooler_auth_forget(wc->login->auth);
	explicit_bzero(wc->login->in.data, wc->login->in.maxlen);
	if (wc->login->packet)
		explicit_bzero(wc->login->packet, wc->login->packet_len);
	explicit_bzero(wc->login->out.data, wc->login->out.maxlen);
	pooler_port_forget_scram_keys(&wc->login->port);
#ifdef USE_OPENSSL
	SSL_free(wc->login->port.ssl);
#endif
	MemoryContextDelete(wc->login->cxt);
	wc->login = NULL;
}

void
pooler_login_uncount(void)
{
	ncounted--;
}

/*
 * Core answers a client that is one too many only after its startup packet,
 * so that cancel requests still get through.
 */
bool
pooler_login_admit(int slot)
{
	if (pooler_worker.draining)
	{
		pooler_login_fail(slot, "57P03", _("the database system is shutting down"), NULL);
		return false;
	}
	if (ncounted >= pooler_shared->max_clients +
		(pooler_login_console_name(pooler_clients[slot].database) ?
		 POOLER_EXTRA_CONSOLES : 0) && !pooler_guard_make_room(slot))
	{
		pooler_shared->counters.refused++;
		pooler_login_fail(slot, "53300", _("sorry, too many clients already"), NULL);
		return false;
	}
	ncounted++;
	pooler_worker_clients[slot].counted = true;
	return true;
}

/*
 * Sends and logs the error that was raised by one of core's functions, with
 * the severity that core would have given it.
 */
static void
fail_caught(int slot, ErrorData *edata)
{
	PoolerErrorFields error = {.severity = "FATAL"};
	PoolerAuth *auth = login_of(slot)->auth;
	uint8_t		buf[8192];
	PoolerWriter w = pooler_writer(buf, sizeof(buf));

	error.sqlstate = unpack_sql_state(edata->sqlerrcode);
	error.message = edata->message ? edata->message : _("missing error text");
	error.detail = edata->detail;
	error.hint = edata->hint;
	pooler_tally_login_failed(slot, error.sqlstate);
	pooler_login_say_authenticated(slot);
	(void) pooler_login_flush(slot);	/* what was said before the error */
	pooler_build_error(&w, &error);
	if (!pooler_writer_fits(&w))
		w.len = 0;
	if (auth != NULL && pooler_auth_has_failed(auth) &&
		pooler_guard_delay(slot, buf, w.len))
		return;
	pooler_client_close_raw(slot, buf, w.len, NULL);
}

/*
 * Runs a step of the login in a transaction.  False if it failed; then the
 * client is gone, or DELAYED.
 */
static bool
run_step(int slot, void (*step) (int slot))
{
	WorkerLogin *login = login_of(slot);
	MemoryContext old = CurrentMemoryContext;
	ErrorData  *volatile edata = NULL;

	MyProcPort = &login->port;
	PG_TRY();
	{
		StartTransactionCommand();
		step(slot);
		CommitTransactionCommand();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(login->cxt);
		edata = CopyErrorData();
		pooler_report_error(edata);
		FlushErrorState();
		AbortCurrentTransaction();
	}
	PG_END_TRY();
	MyProcPort = NULL;
	MemoryContextSwitchTo(old);
	if (edata == NULL)
		return true;
	fail_caught(slot, edata);
	return false;
}

/*---------------------------------------------------------------------------
 * CHECK_RULES, PASSWORD
 *---------------------------------------------------------------------------
 */

static void
after_auth(int slot, PoolerAuthResult result)
{
	WorkerLogin *login = login_of(slot);

	switch (result)
	{
		case POOLER_AUTH_CONTINUE:
			login->step = LOGIN_PASSWORD;
			break;
		case POOLER_AUTH_DONE:
			pooler_guard_proven(login);
			pooler_login_keep_identity(slot);
			login->step = LOGIN_AUTHORIZE;
			break;
		case POOLER_AUTH_DELEGATE:
			login->step = LOGIN_DELEGATE;
			break;
	}
}

/* A walsender is the session of the role that core has authenticated. */
static void
require_own_role(const WorkerLogin *login)
{
	if (login->forced_role != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("an alias with a role of its own cannot be used for replication connections"),
				 errhint("Connect with the name of the database.")));
}

static void
check_rules(int slot)
{
	WorkerLogin *login = login_of(slot);
	bool		replicates = login->startup.replication != POOLER_REPLICATION_NONE;

	if (pooler_worker.rules == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIG_FILE_ERROR),
				 errmsg("could not load pg_hba.conf")));
	if (!pooler_catalog_try_lock())
		return;					/* stays in this step */
	login->console = !replicates && pooler_login_is_console(pooler_clients[slot].database);
	if (!login->console && ncounted > pooler_shared->max_clients)
		ereport(ERROR,
				(errcode(ERRCODE_TOO_MANY_CONNECTIONS),
				 errmsg("sorry, too many clients already")));
	if (!login->console)
		pooler_login_resolve_alias(slot);
	if (replicates)
		require_own_role(login);
	if (replicates ||
		(!login->console &&
		 pooler_catalog_has_login_triggers(pooler_clients[slot].database)))
	{
		/* they are run by the backend that core logs the client in on */
		login->step = LOGIN_DELEGATE;
		return;
	}
	after_auth(slot, pooler_auth_begin(&login->auth, login->cxt, &login->port,
									   login->startup.replication,
									   pooler_worker.rules,
									   login->tls != NULL && login->tls->ca_loaded,
									   &login->out));
	if (login->console && login->step == LOGIN_DELEGATE)
		pooler_login_refuse_delegation();
	if (login->step == LOGIN_AUTHORIZE)
		authorize(slot);		/* in the same transaction: it saves one */
}

static void
continue_auth(int slot)
{
	WorkerLogin *login = login_of(slot);

	after_auth(slot, pooler_auth_continue(login->auth,
										  login->in.data + POOLER_FRAME_HEADER,
										  login->in.len - POOLER_FRAME_HEADER,
										  &login->out));
	if (login->step == LOGIN_AUTHORIZE)
		authorize(slot);
}

static void
wrong_type(int slot)
{
	pooler_auth_fail_type(login_of(slot)->auth,
						  (unsigned char) login_of(slot)->in.data[0]);
}

static void
too_long(int slot)
{
	pooler_auth_fail(login_of(slot)->auth);
}

static void
step_password(int slot)
{
	WorkerLogin *login = login_of(slot);
	PoolerPassword message;
	uint32		limit = pooler_auth_max_body(login->auth) + 4;

	for (;;)
	{
		switch (pooler_password_inspect((uint8_t *) login->in.data, login->in.len,
										limit, &message))
		{
			case POOLER_PASSWORD_NEED_MORE:
				switch (pooler_login_read(slot, message.need))
				{
					case LOGIN_IO_DONE:
						continue;
					case LOGIN_IO_WAIT:
						return;
					case LOGIN_IO_CLOSED:
						/* psql leaves like this to ask for a password */
						pooler_client_close(slot, NULL, NULL);
						return;
				}
				break;
			case POOLER_PASSWORD_WHOLE:
				if (run_step(slot, continue_auth))
				{
					explicit_bzero(login->in.data, login->in.maxlen);
					resetStringInfo(&login->in);
				}
				return;
			case POOLER_PASSWORD_WRONG_TYPE:
				(void) run_step(slot, wrong_type);
				return;
			case POOLER_PASSWORD_INVALID_LENGTH:
				(void) run_step(slot, too_long);
				return;
		}
	}
}

/*---------------------------------------------------------------------------
 * AUTHORIZE, PARAMETERS, WELCOME
 *---------------------------------------------------------------------------
 */

static void
require_enabled(const PoolerIdentity *who)
{
	if (!pooler_admin_enabled(who->dbid))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("database \"%s\" is disabled", NameStr(who->database)),
				 errdetail("It takes no new clients of the pooler until an administrator enables it.")));
}

static void
ask_parameters(int slot)
{
	WorkerLogin *login = login_of(slot);
	WorkerClient *wc = &pooler_worker_clients[slot];

	login->key = pooler_parameters_key(login->cxt, &login->identity,
									   wc->settings, wc->settings_len,
									   &login->key_len);
	login->step = LOGIN_PARAMETERS;
}

static void
authorize(int slot)
{
	WorkerLogin *login = login_of(slot);
	PoolerClient *client = &pooler_clients[slot];

	if (!pooler_catalog_try_lock())
		return;
	if (login->console)
	{
		pooler_login_authorize_console(slot);
		log_authorized(slot);
		login->step = LOGIN_WELCOME;
		return;
	}
	pooler_worker_see_defaults();
	pooler_auth_authorize(client->role, client->database, &login->identity);
	pooler_pool_see_role(login->identity.roleid, login->identity.superuser);
	require_enabled(&login->identity);
	if (login->forced_role != NULL && !login->identity.connect_unknown)
		force_role(slot);		/* in the same transaction */
	else
		ask_parameters(slot);
}

/*
 * From now on the client is the other role's, for all but the log.
 */
static void
force_role(int slot)
{
	WorkerLogin *login = login_of(slot);
	PoolerClient *client = &pooler_clients[slot];

	if (!pooler_catalog_try_lock())
		return;
	pooler_auth_force_role(client->login_role, login->forced_role,
						   client->database, &login->identity);
	pooler_pool_see_role(login->identity.roleid, login->identity.superuser);
	require_enabled(&login->identity);
	strlcpy(client->role, login->forced_role, NAMEDATALEN);
	login->forced_role = NULL;
	ask_parameters(slot);
}

static void
fail_too_long(int slot)
{
	pooler_login_fail(slot, "08P01", _("startup settings are too long"),
					  _("The pooler needs some of the space in a startup packet itself."));
}

/* The pool that this client shares with others, unless it gets one of its own. */
static int
shared_pool(WorkerLogin *login)
{
	PoolerIdentity *who = &login->identity;

	return pooler_pool_find(who->dbid, who->roleid, NameStr(who->database),
							NameStr(who->role), who->superuser, POOLER_NO_OWNER);
}

/*
 * Asks a backend what a client with such settings has to be told.  It must not
 * learn this client's application_name, since others get the same answer.
 */
static void
start_probe(int slot)
{
	WorkerLogin *login = login_of(slot);
	PoolerIdentity *who = &login->identity;
	int			pool = shared_pool(login);
	int			backend;
	size_t		settings_len;
	const char *settings = pooler_parameters_key_settings(login->key,
														  login->key_len,
														  &settings_len);

	if (pooler_birth_awaited(login->key, login->key_len) ||
		pooler_evict_wanted(who->dbid))
		return;
	/* without settings of its own it may as well be one for the pool */
	if (settings_len == 0 && pooler_pool_add(pool))
		return;
	backend = pooler_birth_start(WORKER_BIRTH_PROBE, pool,
								 NameStr(who->database), NameStr(who->role),
								 settings, settings_len,
								 login->key, login->key_len, -1);
	if (backend == POOLER_BIRTH_TOO_LONG)
		fail_too_long(slot);
	else if (backend < 0)
		pooler_worker_tick_within(100);
}

static void
enter_pool(int slot, Oid dbid, Oid roleid, const char *database, const char *role,
		   bool superuser)
{
	PoolerClient *client = &pooler_clients[slot];

	client->pool = pooler_pool_find(dbid, roleid, database, role, superuser,
									pooler_worker_clients[slot].own_backend ?
									slot : POOLER_NO_OWNER);
	pooler_pools[client->pool].nclients++;
	if (pooler_worker_clients[slot].internal)
		pooler_worker_pools[client->pool].internal++;
	else
		pooler_tally_login(slot);
	pooler_timeout_begin(client->pool);
}

static void
log_authorized(int slot)
{
	PoolerClient *client = &pooler_clients[slot];
	WorkerLogin *login = login_of(slot);

	if (!pooler_logs(pooler_log_connections, pooler_log_connection_authorized()))
		return;
	MyProcPort = &login->port;
	ereport(LOG,
			(errmsg_internal("%sconnection authorized: user=%s%s%s%s%s%s",
							 login->startup.replication == POOLER_REPLICATION_NONE ?
							 "" : "replication ",
							 client->login_role,
							 client->database[0] ? " database=" : "",
							 client->database,
							 client->application_name[0] ? " application_name=" : "",
							 client->application_name,
							 login->tls == NULL ? "" :
							 psprintf(" SSL enabled (protocol=%s, cipher=%s, bits=%d)",
									  login->tls->version, login->tls->cipher,
									  login->tls->bits))));
	MyProcPort = NULL;
}

static void
welcome(int slot, const char *parameters, size_t len)
{
	WorkerLogin *login = login_of(slot);
	PoolerClient *client = &pooler_clients[slot];
	PoolerIdentity *who = &login->identity;
	const char *settings;
	size_t		settings_len;
	StringInfoData told;
	WorkerClient *wc = &pooler_worker_clients[slot];
	PoolerWriter w;

	if (!pooler_cancel_make_key(slot))
	{
		pooler_login_fail(slot, "XX000", _("could not generate random cancel key"), NULL);
		return;
	}
	if (!login->told_ok)
	{
		w = pooler_login_out_begin(login, 9);
		pooler_build_auth(&w, 0, NULL, 0);
		pooler_login_out_end(login, &w);
	}
	initStringInfo(&told);
	pooler_parameters_write(&login->out, &told, parameters, len,
							login->startup.application_name ?
							client->application_name : NULL);
	settings = pooler_parameters_settings(parameters, len, &settings_len);
	pooler_login_keep_settings(slot, settings, settings_len,
							   login->startup.application_name ? client->application_name : NULL,
							   &told);
	pfree(told.data);
	w = pooler_login_out_begin(login, 96 + strlen(pooler_login_notify_message));
	if (pooler_login_notify_message[0] != '\0')
		pooler_build_notice(&w, pooler_login_notify_message);
	pooler_build_key(&w, pooler_client_pid(slot), wc->key, wc->key_len);
	pooler_build_ready(&w, 'I');
	pooler_login_out_end(login, &w);
	enter_pool(slot, who->dbid, who->roleid, NameStr(who->database),
			   NameStr(who->role), who->superuser);
	if (!login->told_ok)
		log_authorized(slot);	/* else core has */
	login->step = LOGIN_WELCOME;
}

static void
step_parameters(int slot)
{
	WorkerLogin *login = login_of(slot);
	const char *parameters;
	size_t		len;
	PoolerErrorFields error = {0};

	/*
	 * An ACL that can't be read here is judged by the backend that is born.
	 * That backend also tells how many clients the pool's database and role
	 * may have.
	 */
	if (!pooler_parameters_find(login->key, login->key_len, &parameters, &len) ||
		!pooler_pool_known(shared_pool(login)))
		start_probe(slot);
	else if (login->forced_role != NULL)
		login->step = LOGIN_FORCE_ROLE;
	else if (!pooler_worker_clients[slot].internal &&
			 pooler_limits_refuse_client(shared_pool(login), 1, &error))
		pooler_login_fail(slot, error.sqlstate, error.message, error.detail);
	else
		welcome(slot, parameters, len);
}

void
pooler_login_parameters_known(WorkerBirth *birth)
{
	dlist_mutable_iter iter;

	pooler_parameters_store(birth->key, birth->key_len,
							birth->parameters.data, birth->parameters.len);
	dlist_foreach_modify(iter, &pooler_logins)
	{
		WorkerClient *wc = dlist_container(WorkerClient, node, iter.cur);

		if (wc->login->step == LOGIN_PARAMETERS &&
			wc->login->key_len == birth->key_len &&
			memcmp(wc->login->key, birth->key, birth->key_len) == 0)
			login_continue(wc - pooler_worker_clients);
	}
}

void
pooler_login_parameters_failed(WorkerBirth *birth, const void *message, size_t len)
{
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, &pooler_logins)
	{
		WorkerClient *wc = dlist_container(WorkerClient, node, iter.cur);

		if (wc->login->step == LOGIN_PARAMETERS &&
			wc->login->key_len == birth->key_len &&
			memcmp(wc->login->key, birth->key, birth->key_len) == 0)
		{
			pooler_tally_login_refused(wc - pooler_worker_clients, message, len);
			pooler_login_say_authenticated(wc - pooler_worker_clients);
			pooler_client_close_raw(wc - pooler_worker_clients, message, len, NULL);
		}
	}
}

static void
finish(int slot)
{
	bool		console = login_of(slot)->console;
	bool		admin = login_of(slot)->admin;
	Oid			roleid = login_of(slot)->identity.roleid;

	if (console)
	{
		login_of(slot)->counted = true;
		pooler_shared->counters.console_logins++;
	}
	pooler_login_free(slot);
	if (console)
	{
		pooler_console_begin(slot, roleid, admin);
		return;
	}
	pooler_client_set_state(slot, POOLER_CLIENT_IDLE, 0);
	pooler_client_arm(slot);
}

/*---------------------------------------------------------------------------
 * DELEGATE, CORE
 *---------------------------------------------------------------------------
 */

static void
step_delegate(int slot)
{
	WorkerLogin *login = login_of(slot);
	WorkerClient *wc = &pooler_worker_clients[slot];
	PoolerClient *client = &pooler_clients[slot];
	int			backend;

	/* a standby has no database, and a PAUSE ends no walsender */
	if (login->startup.replication != POOLER_REPLICATION_PHYSICAL &&
		pooler_admin_holds_login(client->database))
		return;					/* until RESUME, or client_login_timeout */
	if (!pooler_cancel_make_key(slot))
	{
		pooler_login_fail(slot, "XX000", _("could not generate random cancel key"), NULL);
		return;
	}
	/* the settings are the business of the role that the client works as */
	backend = pooler_birth_start(WORKER_BIRTH_DELEGATED, -1,
								 client->database, client->role,
								 wc->settings,
								 login->forced_role ? 0 : wc->settings_len,
								 NULL, 0, slot);
	if (backend == POOLER_BIRTH_TOO_LONG)
	{
		fail_too_long(slot);
		return;
	}
	if (backend < 0)
	{
		pooler_worker_tick_within(100);
		return;
	}
	login->step = LOGIN_CORE;
	login->deadline = 0;		/* core has authentication_timeout */
}

/*
 * The backend has the socket from now on: the word says so, and the pooler
 * watches for nothing until it comes back.
 */
void
pooler_login_handed_over(int slot, int backend)
{
	pooler_client_set_state(slot, POOLER_CLIENT_BACKEND, backend);
}

void
pooler_login_delegated_done(int slot, Oid dbid, Oid roleid, bool superuser,
							const char *settings, size_t len)
{
	PoolerClient *client = &pooler_clients[slot];

	pooler_guard_proven(login_of(slot));
	pooler_login_keep_payload(slot, settings, len);
	enter_pool(slot, dbid, roleid, client->database, client->role, superuser);
	if (!pooler_log_connection_authorized())
		log_authorized(slot);
	pooler_login_free(slot);
}

void
pooler_login_core_refused(int slot, const void *message, size_t len)
{
	pooler_client_set_state(slot, POOLER_CLIENT_LOGIN, 0);
	if (!pooler_guard_delay(slot, message, len))
		pooler_client_close_raw(slot, message, len, NULL);
}

PoolerReplication
pooler_login_replication(int slot)
{
	return login_of(slot)->startup.replication;
}

void
pooler_login_replication_done(int slot)
{
	if (!pooler_log_connection_authorized())
		log_authorized(slot);	/* else core has */
	pooler_guard_proven(login_of(slot));
	login_of(slot)->counted = true;
	pooler_shared->counters.replication_logins++;
	pooler_login_free(slot);
}

bool
pooler_login_wants_other_role(int slot)
{
	return login_of(slot)->forced_role != NULL;
}

void
pooler_login_delegated_go_on(int slot)
{
	WorkerLogin *login = login_of(slot);

	pooler_guard_proven(login);
	pooler_client_set_state(slot, POOLER_CLIENT_LOGIN, 0);
	login->told_ok = true;
	login->step = LOGIN_FORCE_ROLE;
	set_deadline(login);
	login_continue(slot);
}

/*---------------------------------------------------------------------------
 * the driver
 *---------------------------------------------------------------------------
 */

/* Steps that are tried again by the clock; the client can only leave. */
static bool
waits_for_others(LoginStep step)
{
	return step == LOGIN_TLS_OFFER || step == LOGIN_TLS_SEND ||
		step == LOGIN_CHECK_RULES || step == LOGIN_AUTHORIZE ||
		step == LOGIN_FORCE_ROLE || step == LOGIN_PARAMETERS ||
		step == LOGIN_DELEGATE || step == LOGIN_DELAYED;
}

/*
 * Goes on with a login until it has to wait.  The client may be gone, or
 * logged in, afterwards.
 */
static void
login_continue(int slot)
{
	uint32		gen = pooler_client_gen(&pooler_clients[slot]);

	for (;;)
	{
		WorkerLogin *login = login_of(slot);
		LoginStep	before = login->step;

		switch (pooler_login_flush(slot))
		{
			case LOGIN_IO_DONE:
				break;
			case LOGIN_IO_WAIT:
				return;
			case LOGIN_IO_CLOSED:
				pooler_client_close(slot, NULL, NULL);
				return;
		}
		switch (before)
		{
			case LOGIN_STARTUP:
				pooler_login_step_startup(slot);
				break;
			case LOGIN_TLS_OFFER:
				pooler_login_step_tls_offer(slot);
				break;
			case LOGIN_TLS_SEND:
				pooler_login_step_tls_send(slot);
				break;
			case LOGIN_TLS_HANDSHAKE:
				return;
			case LOGIN_CHECK_RULES:
				(void) run_step(slot, check_rules);
				break;
			case LOGIN_PASSWORD:
				step_password(slot);
				break;
			case LOGIN_AUTHORIZE:
				(void) run_step(slot, authorize);
				break;
			case LOGIN_FORCE_ROLE:
				(void) run_step(slot, force_role);
				break;
			case LOGIN_PARAMETERS:
				step_parameters(slot);
				break;
			case LOGIN_DELEGATE:
				step_delegate(slot);
				break;
			case LOGIN_CORE:
				return;
			case LOGIN_WELCOME:
				finish(slot);
				return;
			case LOGIN_DELAYED:
				pooler_guard_answer(slot);
				break;
		}
		/* gone, or nothing more to do for now? */
		if (pooler_client_gen(&pooler_clients[slot]) != gen ||
			login_of(slot) == NULL)
			return;
		login = login_of(slot);
		if (login->step == before && login->out.len == 0)
		{
			if (waits_for_others(login->step))
				pooler_client_watch_hangup(slot);
			return;
		}
	}
}

void
pooler_login_go_on(int slot)
{
	login_continue(slot);
}

void
pooler_login_event(int slot, uint32 events)
{
	WorkerLogin *login = login_of(slot);

	if (login->step == LOGIN_TLS_HANDSHAKE)
	{
		pooler_login_tls_hangup(slot);
		return;
	}
	if (waits_for_others(login->step) && login->out.cursor == login->out.len)
	{
		if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
			pooler_client_close(slot, NULL, NULL);
		return;
	}
	login_continue(slot);
}

static void
login_timed_out(int slot)
{
	pooler_login_fail(slot, "57014", _("canceling authentication due to timeout"),
					  "pooler.client_login_timeout has passed.");
}

void
pooler_login_tick(void)
{
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, &pooler_logins)
	{
		WorkerClient *wc = dlist_container(WorkerClient, node, iter.cur);
		int			slot = wc - pooler_worker_clients;

		if (wc->login->step == LOGIN_DELAYED)
			pooler_guard_answer(slot);
		else if (wc->login->deadline != 0 && wc->login->deadline <= pooler_worker.now)
			login_timed_out(slot);
		else if (waits_for_others(wc->login->step))
		{
			pooler_worker_tick_within(100);
			login_continue(slot);
		}
	}
}
