/*-------------------------------------------------------------------------
 *
 * context.c
 *	  The server's certificate, key and settings for TLS, as core loads them.
 *
 * Runs in: the postmaster (catches what core loads at server start) and
 * relays (inherit it; load again by core's function after a reload).  Sets
 * nothing itself that a setting of the server decides.
 *
 * openssl_tls_init_hook is called by core with each SSL_CTX that it fills,
 * before it fills it.  At server start a failure ends the server, so what was
 * caught is good; in a relay the result of be_tls_init() tells.  It is called
 * twice for settings that are wrong, or for a key whose passphrase has to be
 * asked for: the first call says nothing, the second tells why.
 *
 *-------------------------------------------------------------------------
 */
#include "tls/internal.h"

#ifdef USE_OPENSSL

#include <openssl/err.h>

#include "postmaster/postmaster.h"
#include "utils/elog.h"
#include "utils/guc.h"
#include "utils/timestamp.h"

static openssl_tls_init_hook_typ prev_init_hook;
static SSL_CTX *loaded_at_start;	/* by the postmaster */
static bool loaded_again;		/* by the postmaster, for good or ill */

static bool catching;
static SSL_CTX *caught;

static bool starting;			/* nothing was in use before */
static SSL_CTX *context;		/* in use; NULL: none */
static bool has_ca;

static void
tls_init(SSL_CTX *new_context, bool is_server_start)
{
	prev_init_hook(new_context, is_server_start);
	if (catching)
	{
		caught = new_context;
		pooler_tls_passphrase_wrap(new_context);
	}
	else if (!is_server_start)
		loaded_again = true;
	else if (SSL_CTX_up_ref(new_context))
		loaded_at_start = new_context;
}

void
pooler_tls_context_init(void)
{
	prev_init_hook = openssl_tls_init_hook;
	openssl_tls_init_hook = tls_init;
}

SSL_CTX *
pooler_tls_context(void)
{
	return context;
}

bool
pooler_tls_context_has_ca(void)
{
	return has_ca;
}

/* Takes a reference that is the caller's. */
static void
use(SSL_CTX *new_context)
{
	SSL_CTX_free(context);		/* connections have references, too */
	context = new_context;
	has_ca = context != NULL && secure_loaded_verify_locations();
	if (context == NULL)
		return;
	SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS |
					 SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
#ifdef SSL_OP_CLEANSE_PLAINTEXT
	SSL_CTX_set_options(context, SSL_OP_CLEANSE_PLAINTEXT);
#endif
	pooler_tls_handshake_prepare(context);
}

/*
 * A reference for the caller, or NULL.  What is wrong is logged by the
 * postmaster and by the first relay; by more of them it would only be repeated.
 */
static SSL_CTX *
load_by_core(bool quietly)
{
	int			saved_level = log_min_messages;
	openssl_tls_init_hook_typ saved_hook = openssl_tls_init_hook;
	bool		loaded;

	/* a library that was loaded later may not call the hook before it */
	if (openssl_tls_init_hook != tls_init)
	{
		prev_init_hook = openssl_tls_init_hook;
		openssl_tls_init_hook = tls_init;
	}
	if (quietly || pooler_tls_me.index > 0)
		log_min_messages = FATAL;
	catching = true;
	caught = NULL;
	ERR_clear_error();			/* of connections: it would be logged */
	loaded = be_tls_init(false) == 0;
	catching = false;
	log_min_messages = saved_level;
	openssl_tls_init_hook = saved_hook;
	ERR_clear_error();
	if (!loaded || caught == NULL || !SSL_CTX_up_ref(caught))
		return NULL;
	return caught;
}

static void
use_from_now_on(SSL_CTX *new_context)
{
	use(new_context);
	starting = false;
	pg_atomic_write_u64(&pooler_tls_me.shared->loaded_at,
						context ? GetCurrentTimestamp() : 0);
	pg_atomic_write_u32(&pooler_tls_me.shared->state,
						context ? POOLER_TLS_READY : POOLER_TLS_OFF);
}

static SSL_CTX *
take_inherited(void)
{
	if (loaded_at_start != NULL)
		SSL_CTX_up_ref(loaded_at_start);
	return loaded_at_start;
}

/* With the passphrase, if there is one, and with words for what is wrong. */
void
pooler_tls_context_go_on(void)
{
	SSL_CTX    *new_context = load_by_core(false);

	if (new_context == NULL && starting)
		new_context = take_inherited();
	if (new_context == NULL && pooler_tls_me.index == 0)
		ereport(LOG,
				(errmsg("SSL configuration was not reloaded by the pooler")));
	if (new_context != NULL || context == NULL)
		use_from_now_on(new_context);
}

/*
 * Live connections keep what they began with.  As in core, what can't be
 * loaded changes nothing; and if ssl is off nobody new is let in by TLS.
 */
void
pooler_tls_context_load(bool start)
{
	SSL_CTX    *new_context = NULL;

	starting |= start;
	pooler_tls_passphrase_forget();
	if (!EnableSSL)
	{
		use_from_now_on(NULL);
		return;
	}
	if (start && !loaded_again)
		new_context = take_inherited();
	if (new_context == NULL)
		new_context = load_by_core(true);
	if (new_context != NULL)
		use_from_now_on(new_context);
	else if (!pooler_tls_passphrase_missing() || !pooler_tls_passphrase_ask())
		pooler_tls_context_go_on();
}

#endif							/* USE_OPENSSL */
