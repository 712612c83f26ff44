/*-------------------------------------------------------------------------
 *
 * tcp_progress.c
 *	  How many bytes a TCP socket has moved.
 *
 * Runs in: the pooler.  A file of its own, because glibc's struct tcp_info
 * has no byte counts, and the kernel's header can't be included beside
 * glibc's, which PostgreSQL's headers include.
 *
 *-------------------------------------------------------------------------
 */
#include <linux/tcp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "worker/tcp_progress.h"

/* States of TCP in which the peer has said that no more comes (tcp_states.h). */
#define TIME_WAIT	6
#define CLOSE_WAIT	8
#define LAST_ACK	9
#define CLOSING		11

static bool
ask(int sock, struct tcp_info *info)
{
	socklen_t	len = sizeof(*info);

	memset(info, 0, sizeof(*info));
	return getsockopt(sock, IPPROTO_TCP, TCP_INFO, info, &len) == 0;
}

/* The end of the stream takes a number of its own, which the kernel counts. */
bool
pooler_tcp_bytes(int sock, uint64_t *received, uint64_t *sent)
{
	struct tcp_info info;

	if (!ask(sock, &info))
		return false;
	*received = info.tcpi_bytes_received;
	*sent = info.tcpi_bytes_sent - info.tcpi_bytes_retrans + info.tcpi_notsent_bytes;
	switch (info.tcpi_state)
	{
		case TIME_WAIT:
		case CLOSE_WAIT:
		case LAST_ACK:
		case CLOSING:
			(*received)--;
	}
	return true;
}

bool
pooler_tcp_progress(int sock, bool sending, uint64_t *bytes)
{
	struct tcp_info info;

	if (!ask(sock, &info))
		return false;
	*bytes = sending ? info.tcpi_bytes_acked : info.tcpi_bytes_received;
	return true;
}
