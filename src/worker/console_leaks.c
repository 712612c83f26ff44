/*-------------------------------------------------------------------------
 *
 * console_leaks.c
 *	  SHOW LEAKS.
 *
 * Runs in: the pooler.  What the view pooler.leaks has, but for what needs a
 * database: names of relations, and who waits for a lock.
 *
 *-------------------------------------------------------------------------
 */
#include "worker/console.h"

#include "common/ip.h"
#include "shared/leak.h"

static const ConsoleColumn leak_columns[] = {
	{"id", 'i'}, {"kind", 's'}, {"severity", 's'}, {"client_id", 'i'},
	{"pid", 'i'}, {"database", 's'}, {"user", 's'}, {"application_name", 's'},
	{"addr", 's'}, {"port", 'i'}, {"held", 'i'}, {"clients_waiting", 'i'},
	{"query", 's'}
};

static void
add_address(ConsoleRow *row, const PoolerLeak *leak)
{
	char		host[NI_MAXHOST] = "";
	char		port[NI_MAXSERV] = "";

	if (leak->raddr.addr.ss_family != AF_UNIX)
		(void) pg_getnameinfo_all(&leak->raddr.addr, leak->raddr.salen, host,
								  sizeof(host), port, sizeof(port),
								  NI_NUMERICHOST | NI_NUMERICSERV);
	pooler_row_text(row, host[0] ? pstrdup(host) : "unix");
	/* a group of connections has several */
	pooler_row_number(row, leak->client_id != 0 ? atoi(port) : 0);
}

static bool
next_leak(ConsoleCursor *cursor, ConsoleRow *row)
{
	PoolerLeak	leak;
	int			at = (int) cursor->at++;

	if (at >= POOLER_MAX_LEAKS)
		return false;
	if (!pooler_leak_read(&pooler_leaks->current[at], &leak))
		return true;
	pooler_row_number(row, leak.id);
	pooler_row_text(row, pooler_leak_kind_name(leak.kind));
	pooler_row_text(row, pooler_leak_severity_name(leak.severity));
	pooler_row_number(row, leak.client_id);
	pooler_row_number(row, leak.pid);
	pooler_row_text(row, pstrdup(leak.database));
	pooler_row_text(row, pstrdup(leak.role));
	pooler_row_text(row, pstrdup(leak.application_name));
	add_address(row, &leak);
	pooler_row_number(row, Max(pooler_worker.now - leak.held_since, 0) / USECS_PER_SEC);
	pooler_row_number(row, leak.waiting);
	pooler_row_text(row, pstrdup(leak.last_query));
	return true;
}

const ConsoleShow pooler_show_leaks = {
	leak_columns, lengthof(leak_columns), NULL, next_leak
};
