/*-------------------------------------------------------------------------
 *
 * tls.h
 *	  What the pooler and the relays of TLS say to each other.
 *
 * Runs in: pooler and relays.  Their connection is a Unix socket of type
 * SOCK_SEQPACKET: a frame is one message, so none is ever cut.  The pooler
 * listens at a random name in the abstract namespace, which stands in shared
 * memory; both look at SO_PEERCRED.  Neither waits for the other.
 *
 *-------------------------------------------------------------------------
 */
#ifndef POOLER_SHARED_TLS_H
#define POOLER_SHARED_TLS_H

#include "compat.h"

#include <sys/socket.h>
#include <sys/un.h>

#include "port/atomics.h"

#define POOLER_MAX_TLS_WORKERS	64
#define POOLER_TLS_NAME_LEN		48
#define POOLER_TLS_NAMES		128

/* What a relay can do; written by itself. */
typedef enum PoolerTlsState
{
	POOLER_TLS_STARTING,		/* not known yet, or it has ended */
	POOLER_TLS_OFF,				/* ssl is off, or was turned on in vain */
	POOLER_TLS_READY			/* it has a certificate and its key */
} PoolerTlsState;

/*
 * A relay in shared memory.  Counters are written by the relay alone and
 * survive it.
 */
typedef struct PoolerTlsRelay
{
	pg_atomic_uint32 pid;		/* 0: none; relay */
	pg_atomic_uint32 state;		/* a PoolerTlsState; relay */
	pg_atomic_uint32 capacity;	/* connections that its limit on open files
								 * allows; relay */
	pg_atomic_uint32 connections;	/* that it has; relay */
	pg_atomic_uint32 leaving;	/* of these, that nobody needs any more: the
								 * client is told that it is over; relay */
	pg_atomic_uint64 handshakes;	/* that were completed */
	pg_atomic_uint64 failures;	/* that were not */
	pg_atomic_uint64 loaded_at; /* a TimestampTz: when certificate, key and
								 * settings were; 0: never */
} PoolerTlsRelay;

typedef enum PoolerTlsFrameType
{
	/*
	 * pooler -> relay: do a handshake.  Descriptors: the client's TCP socket,
	 * the relay's end of the pair.  Payload: bytes of it that were read
	 * already.
	 */
	POOLER_TLS_ACCEPT = 1,

	/* relay -> pooler */
	POOLER_TLS_CERTIFICATE,		/* descriptor: a file in memory with the
								 * server's, in DER; that of all handshakes
								 * reported as DONE up to the next of these
								 * frames.  No descriptor: it is not known */
	POOLER_TLS_DONE,			/* payload: pairs of POOLER_TLS_FACT_* */
	POOLER_TLS_FAILED			/* payload: pairs of POOLER_TLS_ERROR_* */
} PoolerTlsFrameType;

typedef struct PoolerTlsFrame
{
	uint8		type;			/* PoolerTlsFrameType */
	bool		direct;			/* ACCEPT: without SSLRequest, so the client
								 * has to ask for our protocol by ALPN */
	bool		ca_loaded;		/* DONE: there is a root certificate store */
	bool		unused;
	uint32		client;			/* slot; but for CERTIFICATE */
	uint32		gen;
} PoolerTlsFrame;

/* More than names of people have, less than a socket takes. */
#define POOLER_TLS_MAX_PAYLOAD	32000

/* Longest certificate of a client, in DER, that backends are told. */
#define POOLER_TLS_MAX_CERTIFICATE	6000

/* names of the pairs; what is not there is left out */
#define POOLER_TLS_FACT_VERSION		"version"
#define POOLER_TLS_FACT_CIPHER		"cipher"
#define POOLER_TLS_FACT_BITS		"bits"
#define POOLER_TLS_FACT_ALPN		"alpn"
#define POOLER_TLS_FACT_CN			"cn"
#define POOLER_TLS_FACT_DN			"dn"
#define POOLER_TLS_FACT_CLIENT_DN	"client_dn"
#define POOLER_TLS_FACT_SERIAL		"client_serial"
#define POOLER_TLS_FACT_ISSUER_DN	"issuer_dn"
#define POOLER_TLS_FACT_CERTIFICATE	"certificate"	/* the client's, DER in
													 * base64 */

#define POOLER_TLS_ERROR_SQLSTATE	"sqlstate"
#define POOLER_TLS_ERROR_MESSAGE	"message"
#define POOLER_TLS_ERROR_DETAIL		"detail"
#define POOLER_TLS_ERROR_HINT		"hint"

/* pooler.tls_workers, or what 0 stands for. */
extern int	pooler_tls_workers_in_force(void);

/*
 * The address behind a name in the abstract namespace; its length is the
 * result.
 */
extern socklen_t pooler_tls_address(struct sockaddr_un *addr, const char *name);

/* Is the process at the other end of the socket this one, of our user? */
extern bool pooler_tls_peer_is(int sock, pid_t pid);

/* The same, to find out which it is; 0 if it is not of our user. */
extern pid_t pooler_tls_peer(int sock);

/*
 * Sends a frame and up to two descriptors without blocking.  False, with
 * errno, if it could not be sent: nothing of it was.
 */
extern bool pooler_tls_send(int sock, const PoolerTlsFrame *frame,
							const void *payload, size_t len,
							const int *fds, int nfds);

typedef enum PoolerTlsReceived
{
	POOLER_TLS_RECEIVED,
	POOLER_TLS_AGAIN,			/* nothing there */
	POOLER_TLS_CLOSED			/* end of file, error, or nonsense */
} PoolerTlsReceived;

/*
 * Receives one.  payload must hold POOLER_TLS_MAX_PAYLOAD bytes, fds two; those
 * that did not come are -1, the others the caller's, with FD_CLOEXEC.
 */
extern PoolerTlsReceived pooler_tls_receive(int sock, PoolerTlsFrame *frame,
											void *payload, size_t *len,
											int *fds);

#endif							/* POOLER_SHARED_TLS_H */
