/*-------------------------------------------------------------------------
 *
 * address.h
 *	  Addresses of sockets as client slots keep them.
 *
 * Runs in: any process.  Core's SockAddr has room for the longest path of a
 * Unix socket, which nobody asks for: what is known of such an address is that
 * it is one.
 *
 *-------------------------------------------------------------------------
 */
#ifndef POOLER_ADDRESS_H
#define POOLER_ADDRESS_H

#include "c.h"

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "libpq/pqcomm.h"

typedef union PoolerAddress
{
	struct sockaddr any;		/* family; AF_UNSPEC: not known */
	struct sockaddr_in in4;
	struct sockaddr_in6 in6;
} PoolerAddress;

extern void pooler_address_pack(PoolerAddress *to, const SockAddr *from);
extern void pooler_address_expand(SockAddr *to, const PoolerAddress *from);

/*
 * Calls found() with each IP address of a host ('*': of all interfaces), and
 * with it in numbers and in words for messages.  A name without an address is
 * a WARNING with this hint, or none if that is NULL.  May wait for a resolver.
 */
extern void pooler_address_resolve(const char *host, int port, const char *hint,
								   void (*found) (const struct addrinfo *ai,
												  const char *numeric,
												  const char *name));

static inline bool
pooler_address_is_unix(const PoolerAddress *address)
{
	return address->any.sa_family == AF_UNIX;
}

#endif							/* POOLER_ADDRESS_H */
