/*
 * hba_match.c
 *		Which rule of pg_hba.conf does a client meet?
 *
 * Runs in the pooler worker, inside a transaction.  The same decisions as
 * check_hba() and its helpers in core's hba.c, with two differences: it knows
 * no GSSAPI encryption (the pooler answers GSSENCRequest with 'N'), and where
 * core would ask the resolver for a host name it says so and stops.
 */
#include "postgres.h"

#include "auth/catalog.h"
#include "auth/hba_rules.h"
#include "compat.h"
#include "libpq/ifaddr.h"
#include "mb/pg_wchar.h"
#include "regex/regex.h"

typedef enum AddressMatch
{
	ADDRESS_DIFFERS,
	ADDRESS_MATCHES,
	ADDRESS_NEEDS_DNS
} AddressMatch;

/*
 * ---- names ----
 */

/* Quotes take the special meaning from a keyword. */
static bool
is_keyword(const AuthToken *token, const char *keyword)
{
	return !token->quoted && strcmp(token->string, keyword) == 0;
}

/*
 * A name written out, or (16 and later) a regular expression, which quotes do
 * not turn into a name.
 */
static bool
name_matches(const AuthToken *token, const char *name)
{
	regex_t    *regex = pooler_auth_token_regex(token);
	pg_wchar   *wide;
	int			len;
	int			result;

	if (regex == NULL)
		return strcmp(token->string, name) == 0;

	wide = palloc((strlen(name) + 1) * sizeof(pg_wchar));
	len = pg_mb2wchar_with_len(name, wide, strlen(name));
	result = pg_regexec(regex, wide, len, 0, NULL, 0, NULL, 0);
	pfree(wide);
	return result == REG_OKAY;
}

static bool
database_token_matches(const AuthToken *token, const PoolerHbaPeer *peer)
{
	/* a physical replication connection has no database that could match */
	if (peer->replication == POOLER_REPLICATION_PHYSICAL)
		return is_keyword(token, "replication");

	if (is_keyword(token, "all"))
		return true;
	if (is_keyword(token, "sameuser"))
		return strcmp(peer->database, peer->role) == 0;
	if (is_keyword(token, "samerole") || is_keyword(token, "samegroup"))
		return pooler_catalog_is_member(peer->roleid, peer->database);
	if (is_keyword(token, "replication"))
		return false;
	return name_matches(token, peer->database);
}

bool
pooler_hba_role_matches(const AuthToken *token, const char *role, Oid roleid)
{
	if (!token->quoted && token->string[0] == '+')
		return pooler_catalog_is_member(roleid, token->string + 1);
	return is_keyword(token, "all") || name_matches(token, role);
}

static bool
database_matches(const HbaLine *line, const PoolerHbaPeer *peer)
{
	ListCell   *cell;

	foreach(cell, line->databases)
	{
		if (database_token_matches((AuthToken *) lfirst(cell), peer))
			return true;
	}
	return false;
}

static bool
role_matches(const HbaLine *line, const PoolerHbaPeer *peer)
{
	ListCell   *cell;

	foreach(cell, line->roles)
	{
		if (pooler_hba_role_matches((AuthToken *) lfirst(cell), peer->role,
									peer->roleid))
			return true;
	}
	return false;
}

/*
 * ---- addresses ----
 */

static bool
connection_type_matches(const HbaLine *line, const PoolerHbaPeer *peer)
{
	if (peer->raddr->addr.ss_family == AF_UNIX)
		return line->conntype == ctLocal;

	switch (line->conntype)
	{
		case ctLocal:
		case ctHostGSS:
			return false;
		case ctHost:
		case ctHostNoGSS:
			return true;
		case ctHostSSL:
			return peer->tls;
		case ctHostNoSSL:
			return !peer->tls;
	}
	return false;
}

static bool
in_range(const SockAddr *raddr, const void *addr, const void *mask)
{
	return raddr->addr.ss_family == ((const struct sockaddr *) addr)->sa_family &&
		pg_range_sockaddr(&raddr->addr,
						  (const struct sockaddr_storage *) addr,
						  (const struct sockaddr_storage *) mask) != 0;
}

typedef struct InterfaceSearch
{
	const SockAddr *raddr;
	bool		whole_net;		/* samenet, else samehost */
	bool		found;
} InterfaceSearch;

/* pg_foreach_ifaddr callback, once per address of this machine */
static void
check_interface(struct sockaddr *addr, struct sockaddr *netmask, void *arg)
{
	InterfaceSearch *search = (InterfaceSearch *) arg;
	struct sockaddr_storage single;

	if (search->found)
		return;
	if (search->whole_net)
		search->found = in_range(search->raddr, addr, netmask);
	else
	{
		pg_sockaddr_cidr_mask(&single, NULL, addr->sa_family);
		search->found = in_range(search->raddr, addr, &single);
	}
}

/*
 * Interfaces come and go without a reload, so ask the kernel each time, as
 * core does.  It costs some ten microseconds and doesn't wait.
 */
static bool
is_on_interface(const SockAddr *raddr, bool whole_net)
{
	InterfaceSearch search = {raddr, whole_net, false};

	errno = 0;
	if (pg_foreach_ifaddr(check_interface, &search) < 0)
	{
		ereport(LOG,
				(errmsg("error enumerating network interfaces: %m")));
		return false;
	}
	return search.found;
}

static AddressMatch
address_matches(const HbaLine *line, const PoolerHbaPeer *peer)
{
	bool		matches = false;

	if (line->conntype == ctLocal)
		return ADDRESS_MATCHES;

	switch (line->ip_cmp_method)
	{
		case ipCmpAll:
			matches = true;
			break;
		case ipCmpMask:
			if (line->hostname != NULL)
				return ADDRESS_NEEDS_DNS;
			matches = in_range(peer->raddr, &line->addr, &line->mask);
			break;
		case ipCmpSameHost:
			matches = is_on_interface(peer->raddr, false);
			break;
		case ipCmpSameNet:
			matches = is_on_interface(peer->raddr, true);
			break;
	}
	return matches ? ADDRESS_MATCHES : ADDRESS_DIFFERS;
}

/*
 * ---- rules ----
 */

PoolerHbaVerdict
pooler_hba_match(const PoolerHbaRules *rules, const PoolerHbaPeer *peer,
				 HbaLine **line)
{
	ListCell   *cell;

	foreach(cell, rules->lines)
	{
		HbaLine    *candidate = (HbaLine *) lfirst(cell);
		AddressMatch address;

		if (!connection_type_matches(candidate, peer))
			continue;
		address = address_matches(candidate, peer);
		if (address == ADDRESS_DIFFERS)
			continue;

		/* names last: those may cost a look into the catalogs */
		if (!database_matches(candidate, peer) ||
			!role_matches(candidate, peer))
			continue;

		*line = candidate;
		return address == ADDRESS_NEEDS_DNS ?
			POOLER_HBA_NEEDS_DNS : POOLER_HBA_MATCH;
	}

	*line = NULL;
	return POOLER_HBA_NO_MATCH;
}
