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
	[POOLER_END_LEAK + POOLER_LEAK_IDLE_IN_TRANSACTION] = {
		"25P03", gettext_noop("terminating connection because it was idle in a transaction for too long"),
		NULL, "leak"
	},
	[POOLER_END_LEAK + POOLER_LEAK_TRANSACTION] = {
		"25P04", gettext_noop("terminating connection because its transaction was open for too long"),
		NULL, "leak"
	},
	[POOLER_END_LEAK + POOLER_LEAK_PINNED_IDLE] = {
		"57P05", gettext_noop("terminating connection because its session kept a backend without using it"),
		NULL, "leak"
	},
	[POOLER_END_LEAK + POOLER_LEAK_CONNECTION_IDLE] = {
		"57P05", gettext_noop("terminating connection because it was not used for too long"),
		NULL, "leak"
	},
	[POOLER_END_LEAK + POOLER_LEAK_CONNECTION_GROWTH] = {
		"57P05", gettext_noop("terminating connection because it is one of too many that are not used"),
		NULL, "leak"
	},
	[POOLER_END_LEAK + POOLER_LEAK_POOL_HELD] = {
		"57P05", gettext_noop("terminating connection because it held a backend idly while clients waited for one"),
		NULL, "leak"
	},
	[POOLER_END_LEAK + POOLER_LEAK_LOCKS] = {
		"57P05", gettext_noop("terminating connection because its session has taken too many advisory locks and released none"),
		NULL, "leak"
	},
	[POOLER_END_LEAK + POOLER_LEAK_CURSORS] = {
		"57P05", gettext_noop("terminating connection because its session has opened too many cursors and closed none"),
		NULL, "leak"
	},
	[POOLER_END_LEAK + POOLER_LEAK_TEMP_OBJECTS] = {
		"57P05", gettext_noop("terminating connection because its session has created too many temporary objects and dropped none"),
		NULL, "leak"
	},
	[POOLER_END_LEAK + POOLER_LEAK_STATEMENTS] = {
		"57P05", gettext_noop("terminating connection because its session has prepared too many statements and deallocated none"),
		NULL, "leak"
	},
	[POOLER_END_LEAK_CANCEL] = {
		"57014", gettext_noop("canceling statement because its transaction was open for too long"),
		NULL, NULL
	},
};

const PoolerEndWords *
pooler_end_words(PoolerEndReason reason)
{
	return reason > POOLER_END_NONE && reason < POOLER_NEND_REASONS ?
		&words[reason] : NULL;
}

void
pooler_end_leak_detail(PoolerEndReason reason, uint32 limit, char *buf, size_t size)
{
	PoolerLeakKind kind = reason == POOLER_END_LEAK_CANCEL ?
		POOLER_LEAK_TRANSACTION : (PoolerLeakKind) (reason - POOLER_END_LEAK);
	char		value[32];

	pooler_leak_print_limit(kind, limit, value, sizeof(value));
	snprintf(buf, size, _("It is a leak of the kind \"%s\": pooler.leak_%s is %s."),
			 pooler_leak_kind_name(kind), pooler_leak_kind_name(kind), value);
}
