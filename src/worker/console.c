/*-------------------------------------------------------------------------
 *
 * console.c
 *	  Clients on the admin console: their bytes, and what happens next.
 *
 * Runs in: the pooler, inside its loop, so nothing here waits: what can't go
 * on is left where it is, and looked at again when the socket is ready or by
 * the clock.  A client gets a few steps per turn, then others get theirs.
 *
 * Memory of a client is bounded: one message of input, little more than
 * CONSOLE_OUT_FULL of output (rows are made when the ones before are sent),
 * and CONSOLE_MAX_NAMES statements and portals.
 *
 *-------------------------------------------------------------------------
 */
#include "worker/console.h"

#include <sys/socket.h>

#include "utils/memutils.h"

/*
 * So many steps in one turn (a message each, or a buffer full of rows), and
 * none is begun after this time.
 */
#define STEPS_PER_TURN	64
#define TURN_US			2000

#define READ_SIZE		4096

/* A buffer that has become larger than this is given back when it is empty. */
#define KEEP_SIZE		(2 * READ_SIZE)

static dlist_head consoles = DLIST_STATIC_INIT(consoles);

static void console_run(WorkerConsole *console);

/*---------------------------------------------------------------------------
 * begin and end
 *---------------------------------------------------------------------------
 */

void
pooler_console_begin(int slot, Oid roleid, bool admin)
{
	MemoryContext cxt = AllocSetContextCreate(TopMemoryContext, "pooler console",
											  ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);
	WorkerConsole *console = palloc0(sizeof(WorkerConsole));

	console->slot = slot;
	console->id = pooler_clients[slot].id;
	console->roleid = roleid;
	console->admin = admin;
	console->cxt = cxt;
	console->set_slot = -1;
	initStringInfo(&console->in);
	initStringInfo(&console->out);
	MemoryContextSwitchTo(old);
	dlist_push_tail(&consoles, &console->node);
	pooler_worker_clients[slot].console = console;
	pooler_client_set_state(slot, POOLER_CLIENT_CONSOLE, 0);
	pooler_client_arm(slot);
}

/* The client is being closed. */
void
pooler_console_free(int slot)
{
	WorkerConsole *console = pooler_worker_clients[slot].console;

	pooler_console_stop_waiting(console);
	dlist_delete(&console->node);
	MemoryContextDelete(console->cxt);
	pooler_worker_clients[slot].console = NULL;
}

/* Is it still there, after something that may have freed clients? */
static bool
still_there(int slot, uint64 id)
{
	return pooler_worker_clients[slot].console != NULL &&
		pooler_clients[slot].id == id;
}

/*---------------------------------------------------------------------------
 * what is sent
 *---------------------------------------------------------------------------
 */

static void
put_error(WorkerConsole *console, char type, const PoolerErrorFields *fields)
{
	uint8_t		buf[8192];
	PoolerWriter w = pooler_writer(buf, sizeof(buf));

	pooler_build_error(&w, fields);
	if (!pooler_writer_fits(&w))
		return;
	buf[0] = (uint8_t) type;
	appendBinaryStringInfo(&console->out, (char *) buf, w.len);
}

static void
log_error(WorkerConsole *console, const PoolerErrorFields *fields)
{
	const char *state = fields->sqlstate;

	if (!pooler_log_pooler_errors)
		return;
	pooler_client_log_begin(console->slot);
	ereport(LOG,
			(errcode(MAKE_SQLSTATE(state[0], state[1], state[2], state[3], state[4])),
			 errmsg("console: %s", fields->message),
			 fields->detail ? errdetail_internal("%s", fields->detail) : 0));
	pooler_client_log_end();
}

void
pooler_console_ready(WorkerConsole *console)
{
	appendBinaryStringInfo(&console->out, "Z\0\0\0\5I", 6);
}

void
pooler_console_error(WorkerConsole *console, const char *sqlstate,
					 const char *message, const char *detail, const char *hint)
{
	PoolerErrorFields fields = {.severity = "ERROR"};

	fields.sqlstate = sqlstate;
	fields.message = message;
	fields.detail = detail;
	fields.hint = hint;
	log_error(console, &fields);
	put_error(console, 'E', &fields);
	pooler_console_stop_waiting(console);
	if (console->simple)
		pooler_console_ready(console);
	else
		console->skipping = true;
	console->simple = false;
	console->portal = NULL;
	console->state = CONSOLE_READY;
}

void
pooler_console_fatal(WorkerConsole *console, const char *sqlstate,
					 const char *message)
{
	PoolerErrorFields fields = {.severity = "FATAL"};

	fields.sqlstate = sqlstate;
	fields.message = message;
	pooler_shared->counters.bad_messages++;
	log_error(console, &fields);
	put_error(console, 'E', &fields);
	console->closing = true;
}

void
pooler_console_notice(WorkerConsole *console, const char *message,
					  const char *detail, const char *hint)
{
	PoolerErrorFields fields = {.severity = "NOTICE", .sqlstate = "00000"};

	fields.message = message;
	fields.detail = detail;
	fields.hint = hint;
	put_error(console, 'N', &fields);
}

void
pooler_console_complete(WorkerConsole *console, const char *tag)
{
	int			start;

	pooler_message_begin(&console->out, 'C', &start);
	pooler_message_string(&console->out, tag);
	pooler_message_end(&console->out, start);
	pooler_console_stop_waiting(console);
	console->portal->done = true;
	console->portal = NULL;
	console->state = console->simple ? CONSOLE_RUNNING : CONSOLE_READY;
}

void
pooler_console_wait(WorkerConsole *console, ConsoleWait wait)
{
	console->wait = wait;
	console->state = CONSOLE_WAITING;
	pooler_worker_tick_within(50);
}

/*---------------------------------------------------------------------------
 * reading and writing
 *---------------------------------------------------------------------------
 */

typedef enum Io
{
	IO_DONE,
	IO_WAIT,
	IO_CLOSED
} Io;

/* An empty buffer does not stay large. */
static void
reset_buffer(WorkerConsole *console, StringInfo buf)
{
	resetStringInfo(buf);
	if (buf->maxlen > KEEP_SIZE)
	{
		MemoryContext old = MemoryContextSwitchTo(console->cxt);

		pfree(buf->data);
		initStringInfo(buf);
		MemoryContextSwitchTo(old);
	}
}

static Io
flush(WorkerConsole *console)
{
	StringInfo	out = &console->out;
	int			fd = pooler_worker_clients[console->slot].fd;

	while (out->cursor < out->len)
	{
		ssize_t		n = send(fd, out->data + out->cursor, out->len - out->cursor,
							 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n > 0)
			out->cursor += n;
		else if (n < 0 && errno == EINTR)
			continue;
		else if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return IO_WAIT;
		else
			return IO_CLOSED;
	}
	reset_buffer(console, out);
	return IO_DONE;
}

static Io
read_more(WorkerConsole *console)
{
	StringInfo	in = &console->in;
	int			fd = pooler_worker_clients[console->slot].fd;
	ssize_t		n;

	if (in->cursor > 0)
	{
		memmove(in->data, in->data + in->cursor, in->len - in->cursor);
		in->len -= in->cursor;
		in->cursor = 0;
	}
	enlargeStringInfo(in, READ_SIZE);
	do
		n = recv(fd, in->data + in->len, READ_SIZE, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return IO_WAIT;
	if (n <= 0)
		return IO_CLOSED;
	in->len += n;
	return IO_DONE;
}

/* Unread data would make close() reset the connection before the last word. */
static void
discard_input(WorkerConsole *console)
{
	char		buf[READ_SIZE];

	for (int i = 0; i < 2 * CONSOLE_MAX_MESSAGE / READ_SIZE; i++)
	{
		if (recv(pooler_worker_clients[console->slot].fd, buf, sizeof(buf),
				 MSG_DONTWAIT) <= 0)
			break;
	}
}

static void
too_long(WorkerConsole *console)
{
	pooler_console_fatal(console, "54000", _("message is too long for the console"));
}

static void
no_message(WorkerConsole *console, PoolerProtoError error, int type)
{
	PoolerProtoErrorArgs args = {.type = type};
	char		text[128];

	pooler_console_fatal(console, "08P01",
						 pooler_proto_error_format(error, &args, text, sizeof(text)));
}

/*
 * Takes the next message, if it is there whole; false if not.  What can't be
 * one ends the client.
 */
static bool
take_message(WorkerConsole *console)
{
	StringInfo	in = &console->in;
	char	   *message = in->data + in->cursor;
	uint32		left = in->len - in->cursor;
	PoolerFrame frame = pooler_frame_inspect((uint8_t *) message, left,
											 CONSOLE_MAX_MESSAGE);

	switch (frame.verdict)
	{
		case POOLER_FRAME_EMPTY:
		case POOLER_FRAME_PARTIAL:
			return false;
		case POOLER_FRAME_TERMINATE:
			console->closing = true;
			return true;
		case POOLER_FRAME_INVALID_TYPE:
			no_message(console, POOLER_PROTO_TYPE, frame.type);
			return true;
		case POOLER_FRAME_INVALID_LENGTH:
			no_message(console, POOLER_PROTO_LENGTH, frame.type);
			return true;
		case POOLER_FRAME_STRAY:
		case POOLER_FRAME_READY:
			break;
	}
	/* READY: also what is longer, of which not all needs to be there */
	if (frame.total > CONSOLE_MAX_MESSAGE)
	{
		too_long(console);
		return true;
	}
	if (frame.total > left)
		return false;
	in->cursor += frame.total;
	if (frame.verdict == POOLER_FRAME_READY)	/* others core ignores outside
												 * COPY */
		pooler_console_message(console, (char) frame.type,
							   (uint8 *) message + POOLER_FRAME_HEADER,
							   frame.total - POOLER_FRAME_HEADER);
	return true;
}

/*---------------------------------------------------------------------------
 * the driver
 *---------------------------------------------------------------------------
 */

static void
arm(WorkerConsole *console, uint32 events)
{
	int			slot = console->slot;

	(void) pooler_worker_watch(EPOLL_CTL_MOD, pooler_worker_clients[slot].fd,
							   events | EPOLLONESHOT,
							   worker_event(WORKER_EVENT_CLIENT,
											pooler_client_gen(&pooler_clients[slot]),
											slot));
}

/*
 * Makes room, or gets something to do.  True if the client can go on; else it
 * is watched for what it needs, or gone.
 */
static bool
exchange_bytes(WorkerConsole *console, bool read)
{
	Io			io = flush(console);

	if (io == IO_DONE && console->closing)
	{
		discard_input(console);
		io = IO_CLOSED;
	}
	else if (io == IO_DONE && read)
	{
		if (console->in.cursor == console->in.len)
			reset_buffer(console, &console->in);
		io = read_more(console);
		if (io == IO_WAIT)
		{
			arm(console, EPOLLIN | EPOLLRDHUP);
			return false;
		}
	}
	else if (io == IO_WAIT)
		arm(console, EPOLLOUT);
	if (io == IO_CLOSED)
		pooler_client_close(console->slot, NULL, NULL);
	return io == IO_DONE;
}

/* One step.  False if the client has to wait, or has gone. */
static bool
console_step(WorkerConsole *console)
{
	if (console->closing || console->out.len - console->out.cursor >= CONSOLE_OUT_FULL)
		return exchange_bytes(console, false);
	switch (console->state)
	{
		case CONSOLE_READY:
			if (!take_message(console))
				return exchange_bytes(console, true);
			break;
		case CONSOLE_RUNNING:
			pooler_console_next_statement(console);
			break;
		case CONSOLE_ROWS:
			pooler_console_more_rows(console);
			break;
		case CONSOLE_WAITING:
			if (exchange_bytes(console, false))
				arm(console, EPOLLRDHUP);
			return false;
	}
	return true;
}

static void
console_run(WorkerConsole *console)
{
	int			slot = console->slot;
	uint64		id = console->id;
	TimestampTz begin = GetCurrentTimestamp();

	for (int i = 0; i < STEPS_PER_TURN; i++)
	{
		if (!console_step(console) || !still_there(slot, id))
			return;
		if (GetCurrentTimestamp() - begin > TURN_US)
			break;
	}
	arm(console, EPOLLOUT);		/* goes on in the next turn */
}

void
pooler_console_event(int slot, uint32 events)
{
	WorkerConsole *console = pooler_worker_clients[slot].console;

	if (console->state == CONSOLE_WAITING &&
		(events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)))
	{
		pooler_client_close(slot, NULL, NULL);
		return;
	}
	console_run(console);
}

/* The slots of those that wait; n of them, in the turn's memory. */
static int *
find_waiting(uint64 **ids, int *n)
{
	int			count = 0;
	int		   *slots;
	dlist_iter	iter;

	dlist_foreach(iter, &consoles)
		count++;
	slots = palloc(sizeof(int) * Max(count, 1));
	*ids = palloc(sizeof(uint64) * Max(count, 1));
	*n = 0;
	dlist_foreach(iter, &consoles)
	{
		WorkerConsole *console = dlist_container(WorkerConsole, node, iter.cur);

		if (console->state != CONSOLE_WAITING)
			continue;
		(*ids)[*n] = console->id;
		slots[(*n)++] = console->slot;
	}
	return slots;
}

/* What ends one wait may free any client, so the list is not walked then. */
void
pooler_console_tick(void)
{
	uint64	   *ids;
	int			n;
	int		   *slots = find_waiting(&ids, &n);

	for (int i = 0; i < n; i++)
	{
		WorkerConsole *console = pooler_worker_clients[slots[i]].console;

		if (!still_there(slots[i], ids[i]))
			continue;
		pooler_console_poll(console);
		if (!still_there(slots[i], ids[i]))
			continue;
		if (console->state != CONSOLE_WAITING)
			console_run(console);
		else
			pooler_worker_tick_within(50);
	}
	pfree(slots);
	pfree(ids);
	pooler_console_set_tick();
}

/* May something be sent that is not in its buffer? */
bool
pooler_console_at_border(int slot)
{
	WorkerConsole *console = pooler_worker_clients[slot].console;

	return console == NULL || console->out.cursor == 0;
}

void
pooler_console_cancel(int slot)
{
	WorkerConsole *console = pooler_worker_clients[slot].console;

	if (console->state != CONSOLE_WAITING)
		return;
	pooler_console_error(console, "57014",
						 _("canceling statement due to user request"), NULL, NULL);
	console_run(console);
}
