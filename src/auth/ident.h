/*
 * ident.h
 *		The maps of pg_ident.conf: may a role be used by whom another system
 *		knows by this name?
 *
 * As with pg_hba.conf (hba.h) the file is parsed by the pooler worker itself,
 * with core's tokenizer and core's parse_ident_line(): core's own copy is gone
 * in this process.
 */
#ifndef POOLER_AUTH_IDENT_H
#define POOLER_AUTH_IDENT_H

#include "postgres.h"

/*
 * Parse the file that the setting ident_file names, and use it from now on.
 * All or nothing, as a reload of the server: false if the file can't be read or
 * any line of it is wrong; each mistake was then reported as LOG, with core's
 * texts, and what was loaded before stays.  Needs no transaction.
 */
extern bool pooler_ident_load(void);

/*
 * core's check_usermap(): may the role be used by system_user?  Without a map
 * (NULL or empty) the names have to be the same.  roleid is InvalidOid if there
 * is no such role.  If not, *reason is what core logs, in
 * CurrentMemoryContext.
 *
 * Reads pg_authid and pg_auth_members, so it must run inside a transaction,
 * after pooler_catalog_try_lock().
 */
extern bool pooler_ident_allows(const char *map, const char *role, Oid roleid,
								const char *system_user, const char **reason);

#endif							/* POOLER_AUTH_IDENT_H */
