/*-------------------------------------------------------------------------
 *
 * probe.c
 *	  Transactions of the pooler itself: does a pool work, and how fast?
 *
 * Runs in: the pooler.  A probe is a client of which the pooler has both ends.
 * One end of a socket pair lies in a slot like that of any client, and goes
 * all the way that a client goes once it is authenticated: its rights, its
 * parameters, its pool, the queue, a backend.  The other end, which this file
 * owns, sends one command and reads what comes back.  Nothing is known of the
 * one end here but its slot, and nothing there of this file.
 *
 *	        begin          ReadyForQuery         ReadyForQuery
 *	FREE -----------> LOGIN ------------> QUERY ------------> LEAVING
 *	 ^                  |                   |                    |
 *	 |                  | error, end of the connection, time,    | end of the
 *	 |                  | nobody waits for it any more           | connection,
 *	 +------------------+-------------------+--------------------+ time, nobody
 *
 * What is measured is the time in QUERY.  In LEAVING the answer is known, but
 * is given only when the client has gone, so that who has asked does not find
 * it among those that he counts next.
 *
 * There is one probe for each request at most (shared/request.h), and it lives
 * no longer than MAX_MS: so they are bounded in number and in time.
 *
 *-------------------------------------------------------------------------
 */
#include "worker/internal.h"

#include <sys/socket.h>
#include <unistd.h>

#include "portability/instr_time.h"
#include "shared/hold.h"
#include "shared/request.h"

#define MAX_MS		5000

/*
 * A longer message is passed over: only an error or a row with one number is
 * of interest.
 */
#define BUFFER_SIZE	8192

/* Has to be executed to be answered, and is told by a number who has done so. */
static const char query[] = "SELECT pg_catalog.pg_backend_pid()";

typedef enum ProbeState
{
	PROBE_FREE,
	PROBE_LOGIN,				/* the client logs in */
	PROBE_QUERY,				/* the command is sent */
	PROBE_LEAVING				/* it has said goodbye */
} ProbeState;

typedef struct Probe
{
	ProbeState	state;
	int			fd;				/* our end */
	uint32		number;			/* of this use, for late events */
	int			client;			/* slot of the other end ... */
	uint64		client_id;		/* ... as long as it has this id */
	Oid			dbid;
	TimestampTz began_at;
	instr_time	began;
	instr_time	sent;
	size_t		skip;			/* bytes to come of a long message */
	size_t		have;			/* bytes in buffer */
	uint8_t    *buffer;
	PoolerAdminResult result;	/* sqlstate is empty as long as all is well */
} Probe;

static Probe probes[POOLER_MAX_REQUESTS];
static uint32 last_number;

static void end(Probe *probe);
static void answer(Probe *probe);

/*---------------------------------------------------------------------------
 * results
 *---------------------------------------------------------------------------
 */

static double
ms_since(instr_time start)
{
	instr_time	now;

	INSTR_TIME_SET_CURRENT(now);
	INSTR_TIME_SUBTRACT(now, start);
	return INSTR_TIME_GET_MILLISEC(now);
}

static bool
has_failed(const Probe *probe)
{
	return probe->result.sqlstate[0] != '\0';
}

/* The first thing that went wrong is what counts. */
static void
fail(Probe *probe, const char *sqlstate, const char *message, const char *hint)
{
	PoolerAdminResult *result = &probe->result;

	if (has_failed(probe))
		return;
	result->latency_ms = ms_since(probe->began);
	strlcpy(result->sqlstate, sqlstate, sizeof(result->sqlstate));
	strlcpy(result->message, message, sizeof(result->message));
	strlcpy(result->hint, hint ? hint : "", sizeof(result->hint));
}

static void
fail_paused(Probe *probe)
{
	fail(probe, "55000", "the database is paused", NULL);
	probe->result.held = true;
}

/*---------------------------------------------------------------------------
 * the client at the other end
 *---------------------------------------------------------------------------
 */

static bool
client_is_there(const Probe *probe)
{
	return probe->client >= 0 &&
		pooler_clients[probe->client].id == probe->client_id &&
		pooler_client_state(probe->client) != POOLER_CLIENT_FREE;
}

/* No longer than a client of the pool would wait. */
static int
limit_ms(const Probe *probe)
{
	int			pool = client_is_there(probe) ? pooler_clients[probe->client].pool : -1;
	int			wait = pool >= 0 ?
		pooler_pool_ms(&pooler_pools[pool], POOLER_QUERY_WAIT_TIMEOUT) :
		pooler_ms(pooler_pool_setting_here(POOLER_QUERY_WAIT_TIMEOUT));

	return wait > 0 ? Min(wait, MAX_MS) : MAX_MS;
}

/*
 * Closed at once if it is the pooler's.  A backend that has it, or is about to,
 * finds the end of the connection when its command is over.
 */
static void
drop_client(Probe *probe)
{
	PoolerClient *client;

	if (!client_is_there(probe))
		return;
	client = &pooler_clients[probe->client];
	switch (pooler_client_state(probe->client))
	{
		case POOLER_CLIENT_QUEUED:
			if (!pooler_queue_remove(&pooler_pools[client->pool], probe->client,
									 pooler_client_gen(client)))
				break;
			/* FALLTHROUGH */
		case POOLER_CLIENT_LOGIN:
		case POOLER_CLIENT_IDLE:
			pooler_client_close(probe->client, NULL, NULL);
			break;
		default:
			break;
	}
}

/*
 * Why it takes so long.  A client in the queue has the best reason to be told
 * that it may itself be who keeps the backend.
 */
static void
fail_late(Probe *probe, int ms)
{
	if (pooler_hold_paused(probe->dbid))
		fail_paused(probe);
	else if (probe->state == PROBE_LOGIN)
		fail(probe, "57014", "the login did not end in time", NULL);
	else if (client_is_there(probe) &&
			 pooler_client_state(probe->client) == POOLER_CLIENT_QUEUED)
		fail(probe, "57014", "no backend of the pool became free in time",
			 "A session through this pool that asks holds one of its backends itself.");
	else
		fail(probe, "57014", "the backend did not answer in time", NULL);
	if (probe->result.held)
		return;
	probe->result.timeout_ms = ms;
	/* the clocks differ: the number that triggers is not below its threshold */
	probe->result.latency_ms = Max(probe->result.latency_ms, ms);
}

/*---------------------------------------------------------------------------
 * transitions
 *---------------------------------------------------------------------------
 */

/* FREE -> LOGIN; false if it has failed, and is free again. */
static bool
begin(Probe *probe, const PoolerAdminCommand *command)
{
	int			fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
	{
		fail(probe, "53000", "could not create a socket pair", NULL);
		return false;
	}
	probe->fd = fds[0];
	probe->number = ++last_number & 0xFFFFFFF;
	probe->buffer = MemoryContextAlloc(TopMemoryContext, BUFFER_SIZE);
	probe->state = PROBE_LOGIN;
	if (!pooler_worker_watch(EPOLL_CTL_ADD, probe->fd, EPOLLIN | EPOLLRDHUP,
							 worker_event(WORKER_EVENT_PROBE, probe->number,
										  probe - probes)))
	{
		close(fds[1]);
		fail(probe, "53000", "the connection could not be watched", NULL);
		end(probe);
		return false;
	}
	/* it may have come and gone by the time that this returns */
	probe->client = pooler_client_accept_internal(fds[1], command->database,
												  command->role);
	probe->client_id = pooler_shared->next_client_id;
	(void) pooler_timeout_passed(probe->began_at, limit_ms(probe));
	return true;
}

static bool
send_all(Probe *probe, const PoolerWriter *w)
{
	return send(probe->fd, w->buf, w->len, MSG_DONTWAIT | MSG_NOSIGNAL) ==
		(ssize_t) w->len;
}

/* LOGIN -> QUERY */
static void
start_query(Probe *probe)
{
	uint8_t		buf[64] = {'Q', 0, 0, 0, 4 + sizeof(query)};
	PoolerWriter w = {.buf = buf, .size = sizeof(buf), .len = 5 + sizeof(query)};

	StaticAssertStmt(5 + sizeof(query) <= sizeof(buf), "the query has to fit");
	memcpy(buf + 5, query, sizeof(query));
	probe->state = PROBE_QUERY;
	INSTR_TIME_SET_CURRENT(probe->sent);
	if (!send_all(probe, &w))
		fail(probe, "08006", "the command could not be sent", NULL);
}

/* QUERY -> LEAVING */
static void
leave(Probe *probe)
{
	static uint8_t goodbye[] = {'X', 0, 0, 0, 4};
	PoolerWriter w = {.buf = goodbye, .size = sizeof(goodbye), .len = sizeof(goodbye)};

	if (!has_failed(probe))
		probe->result.latency_ms = ms_since(probe->sent);
	probe->state = PROBE_LEAVING;
	if (!send_all(probe, &w))
		answer(probe);			/* it has gone already */
}

/* any -> FREE, without an answer */
static void
end(Probe *probe)
{
	(void) pooler_worker_watch(EPOLL_CTL_DEL, probe->fd, 0, 0);
	close(probe->fd);
	pfree(probe->buffer);
	probe->buffer = NULL;
	probe->state = PROBE_FREE;
	drop_client(probe);
}

/* any -> FREE */
static void
answer(Probe *probe)
{
	if (probe->state != PROBE_FREE)
		end(probe);
	if (!has_failed(probe))
		strlcpy(probe->result.sqlstate, "00000", sizeof(probe->result.sqlstate));
	pooler_request_answer(probe - probes, &probe->result);
}

/*---------------------------------------------------------------------------
 * what comes back
 *---------------------------------------------------------------------------
 */

static void
take_error(Probe *probe, const PoolerMessage *message)
{
	PoolerErrorFields fields;

	if (pooler_message_parse_error(message, &fields))
		fail(probe, fields.sqlstate, fields.message, fields.hint);
	else
		fail(probe, "08P01", "an error could not be understood", NULL);
}

static void
take_ready(Probe *probe)
{
	if (probe->state == PROBE_LOGIN)
		start_query(probe);
	else if (probe->state == PROBE_QUERY)
		leave(probe);
}

static void
take_message(Probe *probe, const PoolerMessage *message)
{
	if (message->type == PqMsg_ErrorResponse)
		take_error(probe, message);
	else if (message->type == PqMsg_ReadyForQuery)
		take_ready(probe);
	else if (message->type == 'D' && probe->state == PROBE_QUERY)
		(void) pooler_message_parse_number(message, &probe->result.backend_pid);
}

/* Takes whole messages off the buffer.  The probe may be FREE afterwards. */
static void
take_messages(Probe *probe)
{
	uint32		number = probe->number;
	size_t		offset = 0;

	while (probe->state != PROBE_FREE && probe->number == number)
	{
		PoolerMessage message;

		switch (pooler_message_next(probe->buffer, probe->have, BUFFER_SIZE,
									&offset, &message))
		{
			case POOLER_MESSAGE_OK:
				take_message(probe, &message);
				break;
			case POOLER_MESSAGE_TOO_LONG:
				if (message.type == PqMsg_ErrorResponse)
					fail(probe, "54000", "an error was too long", NULL);
				probe->skip = message.total - (probe->have - offset);
				probe->have = 0;
				return;
			case POOLER_MESSAGE_INVALID:
				fail(probe, "08P01", "a message could not be understood", NULL);
				answer(probe);
				return;
			case POOLER_MESSAGE_NEED_MORE:
				probe->have -= offset;
				memmove(probe->buffer, probe->buffer + offset, probe->have);
				return;
		}
	}
}

/* Drops what is left of a long message. */
static void
skip(Probe *probe)
{
	size_t		n = Min(probe->skip, probe->have);

	probe->skip -= n;
	probe->have -= n;
	memmove(probe->buffer, probe->buffer + n, probe->have);
}

/* Level-triggered: what is not read now is reported again. */
void
pooler_probe_event(int request, uint32 number)
{
	Probe	   *probe = &probes[request];
	ssize_t		n;

	if (probe->state == PROBE_FREE || probe->number != number)
		return;
	n = recv(probe->fd, probe->buffer + probe->have, BUFFER_SIZE - probe->have,
			 MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0)
	{
		if (probe->state != PROBE_LEAVING)
			fail(probe, "08006", "the connection has ended", NULL);
		answer(probe);
		return;
	}
	probe->have += n;
	skip(probe);
	take_messages(probe);
}

/*---------------------------------------------------------------------------
 * for others
 *---------------------------------------------------------------------------
 */

void
pooler_probe_begin(int request, const PoolerAdminCommand *command)
{
	Probe	   *probe = &probes[request];

	Assert(probe->state == PROBE_FREE);
	memset(probe, 0, sizeof(*probe));
	probe->client = -1;
	probe->dbid = command->dbid;
	probe->began_at = GetCurrentTimestamp();
	INSTR_TIME_SET_CURRENT(probe->began);
	if (pooler_worker.draining)
		fail(probe, "57P03", "the pooler is shutting down", NULL);
	else if (pooler_hold_paused(command->dbid))
		fail_paused(probe);
	else if (!pooler_client_slot_free())
		fail(probe, "53300", "there are too many connections", NULL);
	else if (begin(probe, command))
		return;
	answer(probe);
}

void
pooler_probe_abandon(int request)
{
	if (probes[request].state != PROBE_FREE)
		end(&probes[request]);
}

/*
 * Comes before query_wait_timeout, so that a probe that fails for lack of a
 * backend does not count as a client that was ended for that.
 */
void
pooler_probe_tick(void)
{
	for (int i = 0; i < POOLER_MAX_REQUESTS; i++)
	{
		Probe	   *probe = &probes[i];
		int			limit;

		if (probe->state == PROBE_FREE)
			continue;
		limit = limit_ms(probe);
		if (!pooler_timeout_passed(probe->began_at, limit))
			continue;
		if (probe->state != PROBE_LEAVING)
			fail_late(probe, limit);
		answer(probe);
	}
}
