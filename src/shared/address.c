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
