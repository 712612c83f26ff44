/*-------------------------------------------------------------------------
 *
 * begin.c
 *	  What a new backend tells the pooler of itself.
 *
 * Runs in: pool backends, at the first ReadyForQuery.  Fills the slot in shared
 * memory: process, database, role, and what ALTER ROLE and ALTER DATABASE say
 * of the pool, which nobody else can read.
 *
 *-------------------------------------------------------------------------
 */
#include "backend/wait.h"

#include "backend/settings.h"
#include "shared/hold.h"
#include "storage/ipc.h"
#include "utils/guc.h"
#include "utils/timestamp.h"

static struct config_generic *idle_session_timeout;

/*
 * While the client has no backend the pooler ends it for being idle.  What
 * stands in postgresql.conf the pooler knows itself, and better: it may change.
 */
int32
pooler_own_idle_session_timeout(void)
{
	if (idle_session_timeout->source <= PGC_S_ARGV)
		return POOLER_SERVERS_OWN;
	if (IdleSessionTimeout > 0 &&
		pg_atomic_read_u32(&pooler_shared->idle_sessions) == 0)
		pg_atomic_write_u32(&pooler_shared->idle_sessions, 1);
	return IdleSessionTimeout;
}

/* What ALTER ROLE and ALTER DATABASE say of our pool; nobody else can read it. */
static void
report_overrides(void)
{
	PoolerOverrides *overrides = &pooler_me.shared->overrides;

	memset(overrides, 0, sizeof(*overrides));
	for (int i = 0; i < POOLER_NPOOL_SETTINGS; i++)
	{
		struct config_generic *gconf = pooler_find_setting(pooler_pool_setting_name(i));

		switch (gconf->source)
		{
			case PGC_S_GLOBAL:
			case PGC_S_DATABASE:
			case PGC_S_USER:
			case PGC_S_DATABASE_USER:
				overrides->given |= UINT64CONST(1) << i;
				overrides->value[i] = pooler_pool_setting_kept(i);
				break;
			case PGC_S_DEFAULT:
			case PGC_S_DYNAMIC_DEFAULT:
			case PGC_S_ENV_VAR:
			case PGC_S_FILE:
			case PGC_S_ARGV:
				break;
			default:

				/*
				 * A superuser's own, given at login: no matter of the pool,
				 * whose value is to be had by another backend only.
				 */
				overrides->partial = true;
				break;
		}
	}
}

/* The pooler reads it before ReadyForQuery. */
static void
report_settings(void)
{
	StringInfoData settings;

	initStringInfo(&settings);
	pooler_startup_report(&settings);
	if (settings.len > POOLER_MAX_SETTINGS)
		ereport(FATAL,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("startup settings are too long")));
	if (settings.len > 0)
		(void) pooler_me.core->putmessage(POOLER_MESSAGE_SETTINGS, settings.data,
										  settings.len);
	pfree(settings.data);
}

/* See authorize() in login.c for logins that core does not carry out. */
void
pooler_check_enabled(void)
{
	if (pooler_hold_disabled(MyDatabaseId))
		ereport(FATAL,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("database \"%s\" is disabled", MyProcPort->database_name),
				 errdetail("It takes no new clients of the pooler until an administrator enables it.")));
}

bool
pooler_birth_is_given_up(void)
{
	uint64		w = pg_atomic_read_u64(&pooler_me.shared->word);

	return pooler_worker_has_ended() ||
		pooler_backend_word_state(w) != POOLER_BACKEND_STARTING ||
		pooler_backend_word_gen(w) != (pooler_me.number & POOLER_GEN_MASK);
}

/*
 * What the pooler needs to know of us has to stand in the slot before it
 * reads ReadyForQuery.
 */
void
pooler_wait_begin(void)
{
	PoolerBackend *shared = pooler_me.shared;

	if (pooler_birth_is_given_up())
		proc_exit(0);
	shared->pid = MyProcPid;
	shared->dbid = MyDatabaseId;
	shared->roleid = GetAuthenticatedUserId();
	shared->superuser = GetSessionUserIsSuperuser();
	shared->born_at = MyStartTimestamp;
	shared->first_command = pg_atomic_read_u32(&shared->command);
	report_overrides();
	pooler_tally_begin();
	idle_session_timeout = pooler_find_setting("idle_session_timeout");
	shared->idle_session_timeout = pooler_own_idle_session_timeout();
	if (idle_session_timeout->source > PGC_S_DATABASE_USER)
		shared->overrides.partial = true;
	pooler_temp_buffers_begin();
	pooler_word_begin();
	pooler_ending_begin();
	pooler_notify_begin();
	pooler_statements_begin();
	if (shared->delegated)
		pooler_check_enabled();
	else
	{
		report_settings();
		pooler_socket_take_over();
	}
	pooler_socket_prepare_wait();
}
