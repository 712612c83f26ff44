/*-------------------------------------------------------------------------
 *
 * login_io.c
 *	  Reading, writing and refusing during a login.
 *
 * Runs in: the pooler.  Reads exactly what belongs to the login, because what
 * follows is a backend's to read.
 *
 *-------------------------------------------------------------------------
 */
#include "worker/login_internal.h"

#include <sys/socket.h>

#include "worker/tally.h"

/* Most startup packets and passwords are shorter. */
#define READ_CHUNK	1000

/*
 * Reads until 'in' holds this many bytes and no more.  upto is what the client
 * has announced, so memory follows what it has sent.
 */
LoginIo
pooler_login_read(int slot, int upto)
{
	WorkerLogin *login = login_of(slot);
	int			fd = pooler_worker_clients[slot].fd;

	while (login->in.len < upto)
	{
		int			room = Min(upto - login->in.len, Max(login->in.len, READ_CHUNK));
		ssize_t		n;

		enlargeStringInfo(&login->in, room);
		n = recv(fd, login->in.data + login->in.len, room, MSG_DONTWAIT);

		if (n > 0)
			login->in.len += n;
		else if (n < 0 && errno == EINTR)
			continue;
		else if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		{
			pooler_client_arm(slot);
			return LOGIN_IO_WAIT;
		}
		else
			return LOGIN_IO_CLOSED;
	}
	return LOGIN_IO_DONE;
}

LoginIo
pooler_login_flush(int slot)
{
	WorkerLogin *login = login_of(slot);
	WorkerClient *wc = &pooler_worker_clients[slot];

	while (login->out.cursor < login->out.len)
	{
		ssize_t		n = send(wc->fd, login->out.data + login->out.cursor,
							 login->out.len - login->out.cursor,
							 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n > 0)
			login->out.cursor += n;
		else if (n < 0 && errno == EINTR)
			continue;
		else if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		{
			(void) pooler_worker_watch(EPOLL_CTL_MOD, wc->fd,
									   EPOLLOUT | EPOLLRDHUP | EPOLLONESHOT,
									   worker_event(WORKER_EVENT_CLIENT,
													pooler_client_gen(&pooler_clients[slot]),
													slot));
			return LOGIN_IO_WAIT;
		}
		else
			return LOGIN_IO_CLOSED;
	}
	resetStringInfo(&login->out);
	return LOGIN_IO_DONE;
}

/* Room for a message in 'out'; commit what was written with pooler_login_out_end(). */
PoolerWriter
pooler_login_out_begin(WorkerLogin *login, int room)
{
	enlargeStringInfo(&login->out, room);
	return pooler_writer(login->out.data + login->out.len, room);
}

void
pooler_login_out_end(WorkerLogin *login, const PoolerWriter *w)
{
	Assert(pooler_writer_fits(w));
	login->out.len += w->len;
}

/*---------------------------------------------------------------------------
 * refusing
 *---------------------------------------------------------------------------
 */

/* With the severity that core gives it: LOG if the client is not told. */
static void
log_failure(int slot, const PoolerErrorFields *error, bool fatal)
{
	const char *state = error->sqlstate;

	pooler_tally_login_failed(slot, state);
	MyProcPort = &login_of(slot)->port;
	pooler_log_error_as_fatal(fatal);
	ereport(LOG,
			(errcode(MAKE_SQLSTATE(state[0], state[1], state[2], state[3], state[4])),
			 errmsg_internal("%s", error->message),
			 error->detail ? errdetail_internal("%s", error->detail) : 0,
			 error->hint ? errhint("%s", error->hint) : 0));
	pooler_log_error_as_fatal(false);
	MyProcPort = NULL;
}

void
pooler_login_say_authenticated(int slot)
{
	WorkerLogin *login = login_of(slot);
	PoolerWriter w;

	if (login->told_ok ||
		(login->step != LOGIN_AUTHORIZE && login->step != LOGIN_FORCE_ROLE &&
		 login->step != LOGIN_PARAMETERS))
		return;
	w = pooler_login_out_begin(login, 9);
	pooler_build_auth(&w, 0, NULL, 0);
	pooler_login_out_end(login, &w);
	(void) pooler_login_flush(slot);
}

void
pooler_login_fail(int slot, const char *sqlstate, const char *message, const char *detail)
{
	PoolerErrorFields error = {.severity = "FATAL"};

	error.sqlstate = sqlstate;
	error.message = message;
	error.detail = detail;
	log_failure(slot, &error, true);
	pooler_login_say_authenticated(slot);
	pooler_client_close(slot, &error, NULL);
}

/* As core does, in the one form that clients of before 7.4 understand. */
static void
fail_old_protocol(int slot, const PoolerErrorFields *error)
{
	char		line[256];
	int			len;

	len = snprintf(line, sizeof(line), "E%s:  %s\n", error->severity,
				   error->message);
	pooler_client_close_raw(slot, line, len + 1, NULL);
}

/* What the pure parser found wrong with the client's bytes. */
void
pooler_login_fail_proto(int slot, PoolerProtoError code, const PoolerProtoErrorArgs *args)
{
	const PoolerProtoErrorInfo *info = pooler_proto_error_info(code);
	PoolerErrorFields error = {.severity = "FATAL"};
	char		message[256];

	error.sqlstate = info->sqlstate;
	error.message = pooler_proto_error_format(code, args, message,
											  sizeof(message));
	error.detail = info->detail;
	error.hint = info->hint;
	log_failure(slot, &error, !info->log_only);
	if (code == POOLER_PROTO_VERSION && args->proto != 0 &&
		POOLER_PROTO_VERSION_MAJOR(args->proto) < 3)
		fail_old_protocol(slot, &error);
	else
		pooler_client_close(slot, info->log_only ? NULL : &error, NULL);
}
