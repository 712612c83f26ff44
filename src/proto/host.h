/*
 * host.h
 *		Whom a client of HTTP believes to talk to: the header Host.
 *
 * Pure and process-independent: no I/O, no allocation, no reports, no DNS.
 */
#ifndef POOLER_PROTO_HOST_H
#define POOLER_PROTO_HOST_H

#include <stdbool.h>
#include <stddef.h>

/* Longer names there are not in DNS. */
#define POOLER_HOST_MAX		256

typedef enum PoolerHostKind
{
	POOLER_HOST_BAD,			/* what can't be a name or an address */
	POOLER_HOST_ADDRESS,		/* of IPv4, or of IPv6 in brackets */
	POOLER_HOST_LABEL,			/* a name without a dot, or none at all */
	POOLER_HOST_NAME			/* any other name */
} PoolerHostKind;

/*
 * What stands before the port, if there is one, goes into name, which holds
 * POOLER_HOST_MAX bytes; brackets stay.  Empty if BAD.
 */
extern PoolerHostKind pooler_host_parse(const char *host, char *name);

#endif							/* POOLER_PROTO_HOST_H */
