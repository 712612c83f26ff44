/*-------------------------------------------------------------------------
 *
 * control.c
 *	  Frames and descriptors over a Unix socket.
 *
 * Runs in: pooler and pool backends.  Raises nothing, allocates nothing.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "shared/control.h"

/* Space for one descriptor, aligned as cmsg(3) asks for. */
typedef union FdMessage
{
	struct cmsghdr align;
	char		space[CMSG_SPACE(sizeof(int))];
} FdMessage;

bool
pooler_control_send(int sock, const PoolerControl *frame, const void *payload,
					int fd)
{
	struct iovec iov[2];
	struct msghdr msg = {0};
	FdMessage	control;
	ssize_t		sent;

	iov[0].iov_base = (void *) frame;
	iov[0].iov_len = sizeof(PoolerControl);
	iov[1].iov_base = (void *) payload;
	iov[1].iov_len = frame->payload;
	msg.msg_iov = iov;
	msg.msg_iovlen = frame->payload > 0 ? 2 : 1;
	if (fd >= 0)
	{
		struct cmsghdr *cmsg;

		memset(&control, 0, sizeof(control));
		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control);
		cmsg = CMSG_FIRSTHDR(&msg);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(cmsg), &fd, sizeof(int));
	}

	do
		sent = sendmsg(sock, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (sent < 0 && errno == EINTR);

	/* A frame is far smaller than a socket buffer: part of one is an error. */
	return sent == (ssize_t) (sizeof(PoolerControl) + frame->payload);
}

/* Takes the descriptor out of a received message; -1 if there was none. */
static int
received_fd(struct msghdr *msg)
{
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(msg);
	int			fd = -1;

	if (cmsg != NULL && cmsg->cmsg_level == SOL_SOCKET &&
		cmsg->cmsg_type == SCM_RIGHTS &&
		cmsg->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(&fd, CMSG_DATA(cmsg), sizeof(int));
	return fd;
}

/*
 * Reads the rest of a frame.  It was sent by one sendmsg, so it is there or
 * about to be; the peer is trusted, and a dead one gives end of file.
 */
static bool
receive_rest(int sock, char *buf, size_t len)
{
	while (len > 0)
	{
		ssize_t		n = recv(sock, buf, len, MSG_DONTWAIT);

		if (n > 0)
		{
			buf += n;
			len -= n;
		}
		else if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		{
			struct pollfd pfd = {.fd = sock, .events = POLLIN};

			(void) poll(&pfd, 1, 100);
		}
		else if (n == 0 || errno != EINTR)
			return false;
	}
	return true;
}

PoolerControlResult
pooler_control_receive(int sock, PoolerControl *frame, void *payload, int *fd)
{
	struct iovec iov = {.iov_base = frame, .iov_len = sizeof(PoolerControl)};
	struct msghdr msg = {0};
	FdMessage	control;
	ssize_t		n;

	*fd = -1;
	msg.msg_iov = &iov;
	msg.msg_iovlen = 1;
	msg.msg_control = &control;
	msg.msg_controllen = sizeof(control);

	do
		n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);

	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return POOLER_CONTROL_AGAIN;
	if (n <= 0)
		return POOLER_CONTROL_CLOSED;
	*fd = received_fd(&msg);
	if ((msg.msg_flags & MSG_CTRUNC) != 0 ||
		!receive_rest(sock, (char *) frame + n, sizeof(PoolerControl) - n) ||
		frame->payload > POOLER_MAX_PAYLOAD ||
		!receive_rest(sock, payload, frame->payload))
	{
		if (*fd >= 0)
			close(*fd);
		*fd = -1;
		return POOLER_CONTROL_CLOSED;
	}
	return POOLER_CONTROL_RECEIVED;
}
