/*
 * host.c
 *		Whom a client of HTTP believes to talk to: the header Host.
 *
 * Pure and process-independent: bytes in, typed result out.  Must not do I/O,
 * allocate, report, or depend on the server's runtime.
 */
#include "host.h"

#include <arpa/inet.h>
#include <string.h>

/* What follows a name or an address: nothing, or a port, which is not looked at. */
static bool
ends_well(const char *rest)
{
	return rest[0] == '\0' || rest[0] == ':';
}

/* "[address]" or "[address%zone]" */
static bool
is_ipv6(const char *name, size_t len)
{
	char		address[POOLER_HOST_MAX];
	struct in6_addr addr;

	if (len < 2 || name[len - 1] != ']')
		return false;
	memcpy(address, name + 1, len - 2);
	address[len - 2] = '\0';
	address[strcspn(address, "%")] = '\0';
	return inet_pton(AF_INET6, address, &addr) == 1;
}

static PoolerHostKind
kind_of(const char *name, size_t len)
{
	struct in_addr addr;

	if (name[0] == '[')
		return is_ipv6(name, len) ? POOLER_HOST_ADDRESS : POOLER_HOST_BAD;
	if (inet_pton(AF_INET, name, &addr) == 1)
		return POOLER_HOST_ADDRESS;
	return strchr(name, '.') == NULL ? POOLER_HOST_LABEL : POOLER_HOST_NAME;
}

PoolerHostKind
pooler_host_parse(const char *host, char *name)
{
	size_t		len = host[0] == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":");
	PoolerHostKind kind = POOLER_HOST_BAD;

	name[0] = '\0';
	if (len >= POOLER_HOST_MAX || len > strlen(host) || !ends_well(host + len))
		return POOLER_HOST_BAD;
	memcpy(name, host, len);
	name[len] = '\0';
	kind = kind_of(name, len);
	if (kind == POOLER_HOST_BAD)
		name[0] = '\0';
	return kind;
}
