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

bool
pooler_tcp_progress(int sock, bool sending, uint64_t *bytes)
{
	struct tcp_info info;
	socklen_t	len = sizeof(info);

	memset(&info, 0, sizeof(info));
	if (getsockopt(sock, IPPROTO_TCP, TCP_INFO, &info, &len) < 0)
		return false;
	*bytes = sending ? info.tcpi_bytes_acked : info.tcpi_bytes_received;
	return true;
}
