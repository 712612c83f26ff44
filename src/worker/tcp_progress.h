/*-------------------------------------------------------------------------
 *
 * tcp_progress.h
 *	  How many bytes a TCP socket has moved.
 *
 *-------------------------------------------------------------------------
 */
#ifndef POOLER_WORKER_TCP_PROGRESS_H
#define POOLER_WORKER_TCP_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Bytes that the peer has acknowledged (sending) or that have come from it,
 * since the connection was made.  False if the socket is not TCP.
 */
extern bool pooler_tcp_progress(int sock, bool sending, uint64_t *bytes);

/*
 * Bytes that have come from the peer, and that were written for it, whether it
 * has got them yet or not, since the connection was made.  False as above.
 */
extern bool pooler_tcp_bytes(int sock, uint64_t *received, uint64_t *sent);

#endif							/* POOLER_WORKER_TCP_PROGRESS_H */
