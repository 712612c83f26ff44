/*-------------------------------------------------------------------------
 *
 * compat.h
 *	  What differs between PostgreSQL 15, 17 and 18.
 *
 * The only place in the project that looks at PG_VERSION_NUM.
 *
 *-------------------------------------------------------------------------
 */
#ifndef POOLER_COMPAT_H
#define POOLER_COMPAT_H

#include "postgres.h"

#if PG_VERSION_NUM < 150000
#error "pooler needs PostgreSQL 15 or newer"
#endif

#include "libpq/libpq.h"
#include "libpq/libpq-be.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "utils/memutils.h"

/*
 * Wait event sets belong to a resource owner since 17, to a
 * memory context before.  We only make sets that live as long as the process.
 */
#if PG_VERSION_NUM >= 170000
#define pooler_create_wait_event_set(n) CreateWaitEventSet(NULL, (n))
#else
#define pooler_create_wait_event_set(n) CreateWaitEventSet(TopMemoryContext, (n))
#endif

/* Is anything left in libpq's receive buffer?  (renamed in 17) */
#if PG_VERSION_NUM >= 170000
#define pooler_recv_buffer_has_data() (pq_buffer_remaining_data() > 0)
#else
#define pooler_recv_buffer_has_data() pq_buffer_has_data()
#endif

/* libpq/protocol.h came with 17 */
#if PG_VERSION_NUM >= 170000
#include "libpq/protocol.h"
#else
#define PqMsg_ReadyForQuery 'Z'
#define PqMsg_BackendKeyData 'K'
#define PqMsg_ParameterStatus 'S'
#define PqMsg_NegotiateProtocolVersion 'v'
#define PqMsg_ErrorResponse 'E'
#define PqMsg_AuthenticationRequest 'R'
#define PqMsg_CommandComplete 'C'
#define PqMsg_EmptyQueryResponse 'I'
#define PqMsg_PortalSuspended 's'
#define PqMsg_CopyInResponse 'G'
#define PqMsg_ParseComplete '1'
#define PqMsg_BindComplete '2'
#define PqMsg_CloseComplete '3'
#define PqMsg_NotificationResponse 'A'
#define PqMsg_ParameterDescription 't'
#define PqMsg_RowDescription 'T'
#define PqMsg_NoData 'n'
#endif

/* Wait events of our own have names since 17. */
#if PG_VERSION_NUM >= 170000
#include "utils/wait_event.h"
#define pooler_wait_event(name) WaitEventExtensionNew(name)
#else
#include "utils/wait_event.h"
#define pooler_wait_event(name) ((void) (name), PG_WAIT_EXTENSION)
#endif


/* 18 has pg_noreturn as a prefix, older servers an attribute. */
#if PG_VERSION_NUM < 180000
#ifndef pg_noreturn
#define pg_noreturn pg_attribute_noreturn()
#endif
#endif

/*
 * Configuration variables that differ from their default are in a list since
 * 16 (guc_tables.h); before, there is an array of all.
 */
#if PG_VERSION_NUM >= 160000
#define POOLER_HAVE_NONDEF_LIST 1
#endif

/* Variables that RESET refuses, since 16. */
#if PG_VERSION_NUM >= 160000
#define POOLER_GUC_NO_RESET GUC_NO_RESET
#else
#define POOLER_GUC_NO_RESET 0
#endif

/* All configuration variables: a copy of the list since 16. */
#include "utils/guc_tables.h"
#if PG_VERSION_NUM >= 160000
#define pooler_guc_variables(n) get_guc_variables(n)
#else
#define pooler_guc_variables(n) \
	(*(n) = GetNumConfigOptions(), get_guc_variables())
#endif

/* What guc.c allocates comes from malloc() before 16. */
#if PG_VERSION_NUM >= 160000
#define pooler_guc_free(pointer) guc_free(pointer)
#else
#define pooler_guc_free(pointer) free(pointer)
#endif

/* Lists of a process's locks: SHM_QUEUE before 16. */
#if PG_VERSION_NUM >= 160000
#define pooler_proc_locks_empty(proc, i) dlist_is_empty(&(proc)->myProcLocks[i])
#else
#define pooler_proc_locks_empty(proc, i) SHMQueueEmpty(&(proc)->myProcLocks[i])
#endif

/* A third parameter came with 17. */
#include "storage/lock.h"
#if PG_VERSION_NUM >= 170000
#define pooler_lock_held_by_me(tag, mode) LockHeldByMe((tag), (mode), false)
#else
#define pooler_lock_held_by_me(tag, mode) LockHeldByMe((tag), (mode))
#endif

/* PGPROC.lxid became a part of vxid in 17. */
#if PG_VERSION_NUM >= 170000
#define pooler_my_lxid() (MyProc->vxid.lxid)
#else
#define pooler_my_lxid() (MyProc->lxid)
#endif

/* Port.local_host came with 18, as a cache for log_line_prefix's %L. */
#if PG_VERSION_NUM >= 180000
#define pooler_port_forget_local_host(port) ((port)->local_host[0] = '\0')
#else
#define pooler_port_forget_local_host(port) ((void) (port))
#endif

/* 17 can drop only the synchronized ones. */
#if PG_VERSION_NUM >= 170000
#define pooler_slot_cleanup() ReplicationSlotCleanup(false)
#else
#define pooler_slot_cleanup() ReplicationSlotCleanup()
#endif

/* log_connections is a set of aspects since 18. */
#if PG_VERSION_NUM >= 180000
#include "tcop/backend_startup.h"
#define pooler_log_connection_received() \
	((log_connections & LOG_CONNECTION_RECEIPT) != 0)
#define pooler_log_connection_authorized() \
	((log_connections & LOG_CONNECTION_AUTHORIZATION) != 0)
#else
#include "postmaster/postmaster.h"
#define pooler_log_connection_received() (Log_connections)
#define pooler_log_connection_authorized() (Log_connections)
#endif

/* log_disconnections is declared in no header before 18. */
#if PG_VERSION_NUM < 180000
extern PGDLLIMPORT bool Log_disconnections;
#endif

/* Rights on a database; object_ownercheck() came with 16. */
#include "catalog/pg_database.h"
#include "utils/acl.h"
#if PG_VERSION_NUM >= 160000
#define pooler_owns_database(dbid) \
	object_ownercheck(DatabaseRelationId, (dbid), GetUserId())
#else
#define pooler_owns_database(dbid) pg_database_ownercheck((dbid), GetUserId())
#endif

/* In place before 16; both give a string in the current context here. */
#include "common/string.h"
#if PG_VERSION_NUM >= 160000
#define pooler_clean_ascii(s) pg_clean_ascii((s), 0)
#else
static inline char *
pooler_clean_ascii(const char *s)
{
	char	   *copy = pstrdup(s);

	pg_clean_ascii(copy);
	return copy;
}
#endif

/* dshash tables copy keys by a function of their own since 17. */
#if PG_VERSION_NUM >= 170000
#define POOLER_DSHASH_MEMCPY .copy_function = dshash_memcpy
#else
#define POOLER_DSHASH_MEMCPY .tranche_id = 0
#endif

/* Query identifiers; the text was a parameter before 16. */
#if PG_VERSION_NUM >= 160000
#include "nodes/queryjumble.h"
#define pooler_jumble_query(query, text) ((void) (text), JumbleQuery(query))
#else
#include "utils/queryjumble.h"
#define pooler_jumble_query(query, text) JumbleQuery((query), (text))
#endif

/*
 * Columns of a result: attstattarget is a part of what two of them are
 * compared by before 17.  18 has a second array, made from the first.
 */
#include "access/tupdesc.h"
#if PG_VERSION_NUM >= 170000
#define pooler_column_copy_target(to, from) ((void) 0)
#else
#define pooler_column_copy_target(to, from) \
	((to)->attstattarget = (from)->attstattarget)
#endif
#if PG_VERSION_NUM >= 180000
#define pooler_column_offset_unknown(column) ((void) 0)
#define pooler_column_made(desc, i) populate_compact_attribute((desc), (i))
#else
#define pooler_column_offset_unknown(column) ((column)->attcacheoff = -1)
#define pooler_column_made(desc, i) ((void) 0)
#endif

/*
 * ---- src/auth ----
 */
#include "libpq/hba.h"
#include "storage/fd.h"
#include "utils/guc.h"
#if PG_VERSION_NUM >= 180000
#include "tcop/backend_startup.h"
#else
#include "postmaster/postmaster.h"
#endif

/*
 * The lines of pg_hba.conf as tokens.  Since 16, which has include
 * directives, they live in a context that belongs to core's hba.c and goes
 * with the file; before, in one that the tokenizer returns.
 */
typedef struct PoolerAuthFile
{
	List	   *lines;			/* of TokenizedAuthLine */
	FILE	   *file;
	MemoryContext cxt;			/* NULL since 16 */
} PoolerAuthFile;

/* False, and reported at elevel, if the file can't be opened. */
static inline bool
pooler_auth_file_tokenize(PoolerAuthFile *f, const char *name, int elevel)
{
	f->lines = NIL;
	f->cxt = NULL;
#if PG_VERSION_NUM >= 160000
	f->file = open_auth_file(name, elevel, 0, NULL);
	if (f->file == NULL)
		return false;
	tokenize_auth_file(name, f->file, &f->lines, elevel, 0);
#else
	f->file = AllocateFile(name, "r");
	if (f->file == NULL)
	{
		ereport(elevel,
				(errcode_for_file_access(),
				 errmsg("could not open configuration file \"%s\": %m", name)));
		return false;
	}
	f->cxt = tokenize_auth_file(name, f->file, &f->lines, elevel);
#endif
	return true;
}

/* The same for pg_ident.conf, with core's words for that file. */
static inline bool
pooler_ident_file_tokenize(PoolerAuthFile *f, const char *name)
{
#if PG_VERSION_NUM >= 160000
	return pooler_auth_file_tokenize(f, name, LOG);
#else
	f->file = AllocateFile(name, "r");
	if (f->file == NULL)
	{
		ereport(LOG,
				(errcode_for_file_access(),
				 errmsg("could not open usermap file \"%s\": %m", name)));
		return false;
	}
	f->cxt = tokenize_auth_file(name, f->file, &f->lines, LOG);
	return true;
#endif
}

static inline void
pooler_auth_file_free(PoolerAuthFile *f)
{
#if PG_VERSION_NUM >= 160000
	free_auth_file(f->file, 0);
#else
	FreeFile(f->file);
	MemoryContextDelete(f->cxt);
#endif
}

/* Regular expressions in pg_hba.conf, and the file of a rule, came with 16. */
#if PG_VERSION_NUM >= 160000
#define pooler_auth_token_regex(token) ((token)->regex)
#define pooler_hba_file(line) ((line)->sourcefile)
#define pooler_hba_matched(file, number, text) \
	psprintf(_("Connection matched file \"%s\" line %d: \"%s\""), \
			 (file), (number), (text))
#else
#define pooler_auth_token_regex(token) ((void) (token), (regex_t *) NULL)
#define pooler_hba_file(line) ((void) (line), HbaFileName)
#define pooler_hba_matched(file, number, text) \
	((void) (file), \
	 psprintf(_("Connection matched pg_hba.conf line %d: \"%s\""), \
			  (number), (text)))
#endif

/*
 * Lines of pg_ident.conf: tokens, with groups and expressions in the place of a
 * role, since 16; before, two strings, the first of which may be an expression.
 * Compiled expressions are in a memory context since 16.
 */
#if PG_VERSION_NUM >= 160000
#define pooler_ident_regex(line) ((line)->system_user->regex)
#define pooler_ident_system_user(line) ((line)->system_user->string)
#define pooler_ident_role(line) (*(line)->pg_user)
#define pooler_ident_role_is_special(token) \
	((token)->regex != NULL || \
	 (!(token)->quoted && (token)->string[0] == '+'))
#define pooler_ident_free_line(line) ((void) (line))
#else
#include "regex/regex.h"
#define pooler_ident_regex(line) \
	((line)->ident_user[0] == '/' ? (regex_t *) &(line)->re : NULL)
#define pooler_ident_system_user(line) ((line)->ident_user)
#define pooler_ident_role(line) \
	((AuthToken) {.string = (line)->pg_role, .quoted = true})
#define pooler_ident_role_is_special(token) ((void) (token), false)
#define pooler_ident_free_line(line) \
	(pooler_ident_regex(line) ? pg_regfree(&(line)->re) : (void) 0)
#endif

/*
 * Whether privileges are inherited is said by each grant since 16, by the
 * role that is the member before.  So is whether SET ROLE is allowed, which
 * every grant allowed before.
 */
#if PG_VERSION_NUM >= 160000
#define POOLER_INHERIT_IS_PER_GRANT true
#define pooler_grant_inherits(form) ((form)->inherit_option)
#define pooler_grant_sets(form) ((form)->set_option)
#else
#define POOLER_INHERIT_IS_PER_GRANT false
#define pooler_grant_inherits(form) ((void) (form), true)
#define pooler_grant_sets(form) ((void) (form), true)
#endif

/* log_connections: a bitmask since 18; says something on trust since 17 */
#if PG_VERSION_NUM >= 180000
#define pooler_log_authentication() \
	((log_connections & LOG_CONNECTION_AUTHENTICATION) != 0)
#else
#define pooler_log_authentication() Log_connections
#endif
#define POOLER_LOGS_TRUST (PG_VERSION_NUM >= 170000)

/* Clients can delegate credentials of GSSAPI since 16. */
#include "libpq/auth.h"
#if PG_VERSION_NUM >= 160000
#define pooler_gss_accept_delegation() pg_gss_accept_delegation
#define pooler_gss_set_accept_delegation(on) (pg_gss_accept_delegation = (on))
#else
#define pooler_gss_accept_delegation() false
#define pooler_gss_set_accept_delegation(on) ((void) (on))
#endif

/* A Port keeps the keys of SCRAM for foreign servers since 18. */
#if PG_VERSION_NUM >= 180000
#define pooler_port_forget_scram_keys(port) \
	((port)->has_scram_keys = false, \
	 explicit_bzero((port)->scram_ClientKey, sizeof((port)->scram_ClientKey)), \
	 explicit_bzero((port)->scram_ServerKey, sizeof((port)->scram_ServerKey)))
#else
#define pooler_port_forget_scram_keys(port) ((void) (port))
#endif

/* md5_crypt_verify() takes the salt as uint8 * since 18 */
#if PG_VERSION_NUM >= 180000
#define pooler_md5_salt(salt) (salt)
#else
#define pooler_md5_salt(salt) ((const char *) (salt))
#endif

/* All procedural languages share a cache of functions since 18. */
#if PG_VERSION_NUM >= 180000
#define POOLER_HAVE_FUNCCACHE 1
#endif

/* Event triggers on login came with 17. */
#if PG_VERSION_NUM >= 170000
#define pooler_form_has_login_triggers(form) ((form)->dathasloginevt)
#define pooler_forget_login_triggers() \
	(MyDatabaseHasLoginEventTriggers = false)
#else
#define pooler_form_has_login_triggers(form) ((void) (form), false)
#define pooler_forget_login_triggers() ((void) 0)
#endif

/* pg_stat_activity has another identifier since 18. */
#if PG_VERSION_NUM >= 180000
#define pooler_activity_forget_ids(entry) \
	((entry)->st_query_id = 0, (entry)->st_plan_id = 0)
#else
#define pooler_activity_forget_ids(entry) ((entry)->st_query_id = UINT64CONST(0))
#endif

/* The entry of the local copy with this number, from 1 on; renamed in 16. */
#include "utils/backend_status.h"
#if PG_VERSION_NUM >= 160000
#define pooler_activity_entry(i) \
	(&pgstat_get_local_beentry_by_index(i)->backendStatus)
#else
#define pooler_activity_entry(i) \
	(&pgstat_fetch_stat_local_beentry(i)->backendStatus)
#endif

/* db_user_namespace was removed in 17 */
#if PG_VERSION_NUM >= 170000
#define POOLER_DB_USER_NAMESPACE false
#else
#define POOLER_DB_USER_NAMESPACE Db_user_namespace
#endif

/*
 * TLS.  ALPN came with 17; a refused certificate is named in the log since 16.
 * Since 18 OpenSSL hears of an end of file, and so has other words for it.
 */
#define POOLER_HAVE_SYSTEM_USER (PG_VERSION_NUM >= 160000)
#define POOLER_HAVE_ALPN (PG_VERSION_NUM >= 170000)
#define POOLER_TLS_TELLS_CERTIFICATE (PG_VERSION_NUM >= 160000)
#define POOLER_TLS_BIO_TELLS_EOF (PG_VERSION_NUM >= 180000)

#endif							/* POOLER_COMPAT_H */
