/*-------------------------------------------------------------------------
 *
 * unnamed.c
 *	  The unnamed prepared statement that a client leaves behind.
 *
 * Runs in: pool backends.  Core keeps it in a static variable of postgres.c
 * that outlives transactions and that nobody else can reach; the next client
 * would run it with a Bind that was not preceded by a Parse.  A simple query
 * drops it, and so does a Parse without a name, and most clients begin with
 * one of them.  For any other we have PostgresMain read an empty simple query
 * before the client is attached, from a socket pair, and swallow the answer.
 *
 *-------------------------------------------------------------------------
 */
#include "backend/internal.h"

#include <sys/socket.h>
#include <unistd.h>

bool		pooler_unnamed_dropping = false;

/* Whose statement it is, or was; client -1: there is none. */
static int	owner = -1;
static uint32 owner_gen;

/* [0] is read by core, [1] written by us. */
static int	pair[2] = {-1, -1};

void
pooler_unnamed_see_parse(void)
{
	owner = pooler_me.client;
	owner_gen = pooler_me.client_gen;
}

/* Does what the client sends first drop the statement anyway? */
static bool
drops_it_itself(int fd)
{
	char		head[6];		/* type, length, first byte of the name */
	ssize_t		n = recv(fd, head, sizeof(head), MSG_PEEK | MSG_DONTWAIT);

	return n >= 1 &&
		(head[0] == 'Q' || (n == sizeof(head) && head[0] == 'P' && head[5] == '\0'));
}

bool
pooler_unnamed_must_drop(int client, uint32 gen, int fd)
{
	return owner >= 0 && (owner != client || owner_gen != gen) &&
		!drops_it_itself(fd);
}

void
pooler_unnamed_drop(void)
{
	static const char empty_query[] = {'Q', 0, 0, 0, 5, 0};

	if (pair[0] < 0 &&
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
		ereport(FATAL,
				(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
				 errmsg("could not create a socket pair: %m")));
	if (write(pair[1], empty_query, sizeof(empty_query)) != sizeof(empty_query))
		ereport(FATAL,
				(errcode(ERRCODE_SYSTEM_ERROR),
				 errmsg("could not write to a socket pair: %m")));
	pooler_socket_attach_fd(pair[0]);
	pooler_unnamed_dropping = true;
}

void
pooler_unnamed_dropped(void)
{
	pooler_socket_detach();
	pooler_unnamed_dropping = false;
	owner = -1;
}
