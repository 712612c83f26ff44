/*-------------------------------------------------------------------------
 *
 * ending.c
 *	  Why a client, or its command, is ended, and in which words.
 *
 * Runs in: pooler and pool backends.  A table and nothing else.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "shared/ending.h"

static const PoolerEndWords words[POOLER_NEND_REASONS] = {
	[POOLER_END_READ_TIMEOUT] = {
		"57P05", gettext_noop("terminating connection because of an unfinished message"),
		gettext_noop("pooler.client_read_timeout has passed while other clients waited for the backend."),
		"client_read_timeout"
	},
	[POOLER_END_WRITE_TIMEOUT] = {
		"57P05", gettext_noop("terminating connection because the client does not read its result"),
		gettext_noop("pooler.client_write_timeout has passed while other clients waited for the backend."),
		"client_write_timeout"
	},
	/* the backend adds why it was pinned */
	[POOLER_END_PIN_TIMEOUT] = {
		"57P05", gettext_noop("terminating connection because its session has kept a backend for too long"),
		NULL, "pin_timeout"
	},
	[POOLER_END_SHUTDOWN] = {
		"57P01", gettext_noop("terminating connection due to administrator command"),
		NULL, NULL
	},
	[POOLER_END_QUERY_TIMEOUT] = {
		"57014", gettext_noop("canceling statement due to pooler.query_timeout"),
		NULL, NULL
	},
	/* what transaction_timeout of PostgreSQL 17 gives */
	[POOLER_END_TRANSACTION_TIMEOUT] = {
		"25P04", gettext_noop("terminating connection due to pooler.transaction_timeout"),
		NULL, "transaction_timeout"
	},
	[POOLER_END_IDLE_TRANSACTION_TIMEOUT] = {
		"25P03", gettext_noop("terminating connection due to pooler.idle_transaction_timeout"),
		NULL, "idle_transaction_timeout"
	},
	[POOLER_END_CLIENT_IDLE_TIMEOUT] = {
		"57P05", gettext_noop("terminating connection due to pooler.client_idle_timeout"),
		NULL, "client_idle_timeout"
	},
	[POOLER_END_IDLE_SESSION_TIMEOUT] = {
		"57P05", gettext_noop("terminating connection due to idle-session timeout"),
		NULL, "idle_session_timeout"
	},
	[POOLER_END_QUERY_WAIT_TIMEOUT] = {
		"53300", gettext_noop("terminating connection because no backend became free in time"),
		gettext_noop("pooler.query_wait_timeout has passed."),
		"query_wait_timeout"
	},
	[POOLER_END_ADMIN] = {
		"57P01", gettext_noop("terminating connection due to administrator command"),
		NULL, "administrator command"
	},
};

const PoolerEndWords *
pooler_end_words(PoolerEndReason reason)
{
	return reason > POOLER_END_NONE && reason < POOLER_NEND_REASONS ?
		&words[reason] : NULL;
}
