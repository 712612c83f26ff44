/*-------------------------------------------------------------------------
 *
 * unnamed.c
 *	  The unnamed prepared statement travels with the client.
 *
 * Runs in: pool backends.  Core keeps it in a static variable of postgres.c
 * that outlives transactions and that nobody else can reach.  Only commands
 * can make and drop it: so PostgresMain is given one, from a socket pair,
 * before the client is attached, and the answer is swallowed.  But where there
 * is one it can be turned into another, and most clients begin with a command
 * that replaces or drops it anyway.
 *
 *		 there is		client has		first message		what is done
 *		---------------------------------------------------------------
 *		 the same		the same		any					nothing
 *		 any			any				replaces or drops	nothing
 *		 none			none			any					nothing
 *		 one			none			another				a query drops it
 *		 none			one				another				a Parse makes one,
 *															which is filled
 *		 one			another			another				it is filled
 *
 *-------------------------------------------------------------------------
 */
#include "backend/internal.h"
#include "backend/plans.h"

#include <sys/socket.h>
#include <unistd.h>

#include "common/hashfn.h"
#include "shared/guc.h"
#include "shared/session.h"
#include "storage/fd.h"

bool		pooler_unnamed_preparing = false;

/* Core's unnamed statement; NULL if there is none. */
static PoolerPlan *there;

/* Its content's digest; 0: not known yet. */
static uint64 digest;

/* What the next restore has to do. */
static bool fill;

/* Is what is there the attached client's? */
static enum
{
	OWN,
	OWN_SOON,					/* once its first command has ended */
	FOREIGN_UNTIL_GONE			/* the same, if that drops what is there */
}			state = OWN;

/* [0] is read by core, [1] written by us. */
static int	pair[2] = {-1, -1};

/* Has PostgresMain just been given a Parse? */
static bool parsed;

/*---------------------------------------------------------------------------
 * seeing what the client does
 *---------------------------------------------------------------------------
 */

void
pooler_unnamed_see_parse(CachedPlanSource *source)
{
	there = pooler_plan_watch(source);
	pooler_plan_set_use(there, POOLER_PLAN_UNNAMED);
	digest = 0;
	if (state == FOREIGN_UNTIL_GONE)
		state = OWN_SOON;
}

void
pooler_unnamed_see_gone(PoolerPlan *plan)
{
	if (plan != there)
		return;
	there = NULL;
	digest = 0;
	if (state == FOREIGN_UNTIL_GONE)
		state = OWN_SOON;
}

/*
 * A first message that was to replace what is there has failed before it did.
 * More may have been sent behind it, so that the client can't be given back.
 */
static void
take_foreign(void)
{
	const PoolerClient *client = &pooler_clients[pooler_me.client];
	int			len;
	const char *part = pooler_session_part(client, POOLER_PART_UNNAMED, &len);

	if (part != NULL)
	{
		fill = true;
		pooler_unnamed_restore(client->digest[POOLER_PART_UNNAMED], part, len);
		state = OWN;
	}
	else
	{
		pooler_plan_forbid(there);	/* and stays nobody's */
		digest = 0;
	}
}

void
pooler_unnamed_see_ready(void)
{
	if (state == OWN_SOON)
		state = OWN;
	if (state == FOREIGN_UNTIL_GONE && there != NULL && pooler_me.client >= 0)
		take_foreign();
}

bool
pooler_unnamed_is_foreign(void)
{
	return state == FOREIGN_UNTIL_GONE;
}

/*---------------------------------------------------------------------------
 * saving
 *---------------------------------------------------------------------------
 */

/* The content of what is there, as long as the buffer is not used again. */
static StringInfo
describe(void)
{
	static StringInfoData content;

	if (content.data == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

		initStringInfo(&content);
		MemoryContextSwitchTo(old);
	}
	resetStringInfo(&content);
	pooler_plan_describe(there, false, &content);
	return &content;
}

/* 0 if there is none. */
static uint64
digest_there(void)
{
	if (there != NULL && digest == 0)
	{
		StringInfo	content = describe();

		digest = hash_bytes_extended((unsigned char *) content->data, content->len,
									 pooler_shared->digest_seed);
		digest = Max(digest, 1);
	}
	return digest;
}

/*
 * A statement of many megabytes, such as one INSERT of all of a file, must not
 * fill the memory that is meant for everybody; nor is its client to be ended.
 */
bool
pooler_unnamed_fits(void)
{
	uint64		limit = (uint64) pooler_session_memory * 1024;
	uint64		size;

	if (there == NULL || state != OWN)
		return true;
	size = strlen(there->source->query_string);
	return size <= limit / 16 &&
		pg_atomic_read_u64(&pooler_shared->session_bytes) + 2 * size <= limit;
}

/* Of a client that has not run anything here we know no better. */
bool
pooler_unnamed_changed(uint64 saved)
{
	return state == OWN && digest_there() != saved;
}

uint64
pooler_unnamed_save(StringInfo part)
{
	if (there != NULL)
	{
		StringInfo	content = describe();

		appendBinaryStringInfo(part, content->data, content->len);
	}
	return digest_there();
}

/*---------------------------------------------------------------------------
 * restoring
 *---------------------------------------------------------------------------
 */

/* Does what the client sends first replace or drop the statement? */
static bool
drops_it_itself(int fd)
{
	char		head[6];		/* type, length, first byte of the name */
	ssize_t		n = recv(fd, head, sizeof(head), MSG_PEEK | MSG_DONTWAIT);

	return n >= 1 &&
		(head[0] == 'Q' || (n == sizeof(head) && head[0] == 'P' && head[5] == '\0'));
}

bool
pooler_unnamed_must_prepare(int client, int fd)
{
	uint64		wanted = pooler_clients[client].digest[POOLER_PART_UNNAMED];

	fill = false;
	state = OWN;
	if (there != NULL ? wanted != 0 && wanted == digest : wanted == 0)
		return false;
	if (drops_it_itself(fd))
	{
		state = there != NULL ? FOREIGN_UNTIL_GONE : OWN_SOON;
		return false;
	}
	fill = there != NULL && wanted != 0;
	return !fill;
}

static void
make_pair(void)
{
	if (pair[0] >= 0)
		return;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
		ereport(FATAL,
				(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
				 errmsg("could not create a socket pair: %m")));
	ReserveExternalFD();
	ReserveExternalFD();
}

/* Either drops it, or makes one of an empty query. */
void
pooler_unnamed_prepare(void)
{
	static const char drop[] = {'Q', 0, 0, 0, 5, 0};
	static const char make[] = {'P', 0, 0, 0, 8, 0, 0, 0, 0, 'S', 0, 0, 0, 4};
	const char *command = there != NULL ? drop : make;
	ssize_t		len = there != NULL ? sizeof(drop) : sizeof(make);

	if (parsed)
		ereport(FATAL,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not make an unnamed prepared statement")));
	make_pair();
	if (write(pair[1], command, len) != len)
		ereport(FATAL,
				(errcode(ERRCODE_SYSTEM_ERROR),
				 errmsg("could not write to a socket pair: %m")));
	parsed = there == NULL;
	pooler_socket_attach_fd(pair[0]);
	pooler_unnamed_preparing = true;
}

void
pooler_unnamed_prepared(void)
{
	pooler_socket_detach();
	pooler_unnamed_preparing = false;
	if (there != NULL)
		parsed = false;
}

/* Until it is filled it is nobody's. */
void
pooler_unnamed_restore(uint64 wanted, const char *part, int len)
{
	char	   *content;

	if (!fill)
		return;
	fill = false;
	digest = 0;
	content = palloc(len);
	memcpy(content, part, len);
	pooler_plan_fill(there, content);
	pfree(content);
	digest = wanted;
}
