/*
 * hba.h
 *		The rules of pg_hba.conf, and which of them a client meets.
 *
 * Core keeps its own parsed rules in the postmaster and in a backend that has
 * not authenticated yet; load_hba() and hba_getauthmethod() must not be called
 * in any other process, because the memory that they use is gone there.  So
 * the pooler worker parses the file itself, with core's tokenizer and core's
 * parse_hba_line(), and matches as core's check_hba() does.
 */
#ifndef POOLER_AUTH_HBA_H
#define POOLER_AUTH_HBA_H

#include "libpq/hba.h"
#include "libpq/pqcomm.h"
#include "proto/startup.h"

/* All that a rule can look at.  Nothing in it is owned by the matcher. */
typedef struct PoolerHbaPeer
{
	const SockAddr *raddr;		/* AF_UNIX, AF_INET or AF_INET6 */
	bool		tls;			/* is the connection encrypted by TLS? */
	const char *database;		/* as the client wrote them, never NULL */
	const char *role;
	Oid			roleid;			/* InvalidOid: no such role */
	PoolerReplication replication;
} PoolerHbaPeer;

typedef enum PoolerHbaVerdict
{
	POOLER_HBA_MATCH,			/* *line is the first line that matches */
	POOLER_HBA_NO_MATCH,		/* no line does: core's implicit reject */
	POOLER_HBA_NEEDS_DNS		/* all but the host name of *line matches, and
								 * only the resolver knows the rest */
} PoolerHbaVerdict;

typedef struct PoolerHbaRules PoolerHbaRules;

/*
 * Parse the file that the setting hba_file names.  All or nothing, as a
 * reload of the server: NULL if the file can't be read, holds no rule, or any
 * line of it is wrong; each mistake was then reported at elevel (below
 * ERROR), with core's texts.  The rules live in a context of their own below
 * TopMemoryContext until pooler_hba_free().  Needs no transaction.
 */
extern PoolerHbaRules *pooler_hba_load(int elevel);

/* Free the rules and every HbaLine in them; NULL is allowed. */
extern void pooler_hba_free(PoolerHbaRules *rules);

/*
 * Find the first rule that the peer meets.  *line belongs to the rules and is
 * gone when they are freed; it is NULL for POOLER_HBA_NO_MATCH.
 *
 * Never resolves a name and never waits.  Reads pg_authid and pg_auth_members
 * for +group, samerole and samegroup, so it must run inside a transaction,
 * after pooler_catalog_try_lock().
 */
extern PoolerHbaVerdict pooler_hba_match(const PoolerHbaRules *rules,
										 const PoolerHbaPeer *peer,
										 HbaLine **line);

#endif							/* POOLER_AUTH_HBA_H */
