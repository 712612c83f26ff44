/*-------------------------------------------------------------------------
 *
 * address.c
 *	  Addresses of sockets as client slots keep them.
 *
 * Runs in: any process.
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "common/ip.h"
#include "shared/address.h"

static socklen_t
length_of(sa_family_t family)
{
	switch (family)
	{
		case AF_INET:
			return sizeof(struct sockaddr_in);
		case AF_INET6:
			return sizeof(struct sockaddr_in6);
		case AF_UNIX:
			return sizeof(sa_family_t); /* one without a name */
		default:
			return 0;
	}
}

void
pooler_address_pack(PoolerAddress *to, const SockAddr *from)
{
	memset(to, 0, sizeof(*to));
	memcpy(to, &from->addr, Min(length_of(from->addr.ss_family), from->salen));
}

void
pooler_address_expand(SockAddr *to, const PoolerAddress *from)
{
	memset(to, 0, sizeof(*to));
	to->salen = length_of(from->any.sa_family);
	memcpy(&to->addr, from, to->salen);
}

void
pooler_address_resolve(const char *host, int port, const char *hint,
					   void (*found) (const struct addrinfo *ai,
									  const char *numeric, const char *name))
{
	struct addrinfo hints = {0};
	struct addrinfo *list = NULL;
	char		service[16];
	int			rc;

	hints.ai_family = AF_UNSPEC;
	hints.ai_flags = AI_PASSIVE;
	hints.ai_socktype = SOCK_STREAM;
	snprintf(service, sizeof(service), "%d", port);
	rc = pg_getaddrinfo_all(strcmp(host, "*") == 0 ? NULL : host, service,
							&hints, &list);
	if (rc != 0 || list == NULL)
	{
		ereport(WARNING,
				(errmsg("pooler could not translate host name \"%s\", service \"%s\" to address: %s",
						host, service, gai_strerror(rc)),
				 hint ? errhint("%s", hint) : 0));
		return;
	}
	for (struct addrinfo *ai = list; ai; ai = ai->ai_next)
	{
		char		numeric[NI_MAXHOST] = "";
		char		name[NI_MAXHOST + 32];

		if (ai->ai_family != AF_INET && ai->ai_family != AF_INET6)
			continue;
		(void) getnameinfo(ai->ai_addr, ai->ai_addrlen, numeric,
						   sizeof(numeric), NULL, 0, NI_NUMERICHOST);
		snprintf(name, sizeof(name), "%s address \"%s\", port %d",
				 ai->ai_family == AF_INET ? "IPv4" : "IPv6", numeric, port);
		found(ai, numeric, name);
	}
	pg_freeaddrinfo_all(hints.ai_family, list);
}
