/*-------------------------------------------------------------------------
 *
 * tls.c
 *	  Frames between the pooler and the relays of TLS.
 *
 * Runs in: pooler and relays.  Raises nothing, allocates nothing, waits for
 * nothing.
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include <sys/uio.h>
#include <unistd.h>

#include "shared/guc.h"
#include "shared/tls.h"

#define MAX_FDS		2

/* Space for the descriptors, aligned as cmsg(3) asks for. */
typedef union FdMessage
{
	struct cmsghdr align;
	char		space[CMSG_SPACE(MAX_FDS * sizeof(int))];
} FdMessage;

/*
 * Each is a background worker, of which a server has few, and one keeps up
 * with the backends of two processors.
 */
int
pooler_tls_workers_in_force(void)
{
	long		processors;

	if (pooler_tls_workers > 0)
		return pooler_tls_workers;
	processors = sysconf(_SC_NPROCESSORS_ONLN);
	return (int) Max(1, Min(processors / 2, 4));
}

socklen_t
pooler_tls_address(struct sockaddr_un *addr, const char *name)
{
	memset(addr, 0, sizeof(*addr));
	addr->sun_family = AF_UNIX;
	strlcpy(addr->sun_path + 1, name, sizeof(addr->sun_path) - 1);
	return offsetof(struct sockaddr_un, sun_path) + 1 + strlen(addr->sun_path + 1);
}

pid_t
pooler_tls_peer(int sock)
{
	struct ucred peer;
	socklen_t	len = sizeof(peer);

	if (getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 ||
		peer.uid != geteuid())
		return 0;
	return peer.pid;
}

bool
pooler_tls_peer_is(int sock, pid_t pid)
{
	return pid != 0 && pooler_tls_peer(sock) == pid;
}

bool
pooler_tls_send(int sock, const PoolerTlsFrame *frame, const void *payload,
				size_t len, const int *fds, int nfds)
{
	struct iovec iov[2];
	struct msghdr msg = {0};
	FdMessage	control;
	ssize_t		sent;

	Assert(len <= POOLER_TLS_MAX_PAYLOAD && nfds <= MAX_FDS);
	iov[0].iov_base = (void *) frame;
	iov[0].iov_len = sizeof(PoolerTlsFrame);
	iov[1].iov_base = (void *) payload;
	iov[1].iov_len = len;
	msg.msg_iov = iov;
	msg.msg_iovlen = len > 0 ? 2 : 1;
	if (nfds > 0)
	{
		struct cmsghdr *cmsg;

		memset(&control, 0, sizeof(control));
		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
		cmsg = CMSG_FIRSTHDR(&msg);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(nfds * sizeof(int));
		memcpy(CMSG_DATA(cmsg), fds, nfds * sizeof(int));
	}
	do
		sent = sendmsg(sock, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (sent < 0 && errno == EINTR);
	return sent >= 0;
}

static void
take_fds(struct msghdr *msg, int *fds)
{
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(msg);

	fds[0] = fds[1] = -1;
	if (cmsg != NULL && cmsg->cmsg_level == SOL_SOCKET &&
		cmsg->cmsg_type == SCM_RIGHTS)
		memcpy(fds, CMSG_DATA(cmsg),
			   Min(cmsg->cmsg_len - CMSG_LEN(0), MAX_FDS * sizeof(int)));
}

PoolerTlsReceived
pooler_tls_receive(int sock, PoolerTlsFrame *frame, void *payload, size_t *len,
				   int *fds)
{
	struct iovec iov[2];
	struct msghdr msg = {0};
	FdMessage	control;
	ssize_t		n;

	iov[0].iov_base = frame;
	iov[0].iov_len = sizeof(PoolerTlsFrame);
	iov[1].iov_base = payload;
	iov[1].iov_len = POOLER_TLS_MAX_PAYLOAD;
	msg.msg_iov = iov;
	msg.msg_iovlen = 2;
	msg.msg_control = &control;
	msg.msg_controllen = sizeof(control);
	fds[0] = fds[1] = -1;
	do
		n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);

	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return POOLER_TLS_AGAIN;
	if (n <= 0)
		return POOLER_TLS_CLOSED;
	take_fds(&msg, fds);

	/* without descriptors left (MSG_CTRUNC) the frame says who it was for */
	if (n < (ssize_t) sizeof(PoolerTlsFrame) || (msg.msg_flags & MSG_TRUNC) != 0)
	{
		for (int i = 0; i < MAX_FDS; i++)
		{
			if (fds[i] >= 0)
				close(fds[i]);
		}
		return POOLER_TLS_CLOSED;
	}
	*len = n - sizeof(PoolerTlsFrame);
	return POOLER_TLS_RECEIVED;
}
