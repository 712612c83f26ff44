/*-------------------------------------------------------------------------
 *
 * internal.h
 *	  What the files of a relay share with each other.
 *
 * Runs in: relays.  A relay is one process with one event loop; everything
 * here is private to it.  Each section names the file that implements it.
 *
 * Rules for all of them: nothing waits but the loop; a client that does not
 * read or send stops its own pair of sockets and nothing else; what is kept
 * for one connection is bounded.
 *
 *-------------------------------------------------------------------------
 */
#ifndef POOLER_TLS_INTERNAL_H
#define POOLER_TLS_INTERNAL_H

#include "compat.h"

#ifdef USE_OPENSSL

#include <openssl/ssl.h>
#include <sys/epoll.h>

#include "datatype/timestamp.h"
#include "lib/ilist.h"
#include "lib/stringinfo.h"
#include "shared/shmem.h"
#include "shared/tls.h"

/*
 * A connection: a client's TCP socket on one side, one end of a socketpair on
 * the other, whose other end is the client as far as everybody else knows.
 *
 *	 ACCEPT                done               reported
 *	--------> HANDSHAKE --------> REPORTING ----------> OPEN
 *				  |                 ^   |                 | pair: end of file,
 *				  |  failed         |   | failed          | or an error of TLS
 *				  +-----------------+   |                 v
 *				  |                     +------------> CLOSING
 *				  | client or pooler gone                 | told and flushed,
 *				  |                                       | no patience, or no
 *				  |                                       | room for a new one
 *				  +---------------> DEAD <----------------+
 *
 * A reset from either side leads from any state to DEAD, and so does what ends
 * CLOSING for one that is OPEN with nobody at the other end of the pair.
 */
typedef enum TlsState
{
	TLS_HANDSHAKE,
	TLS_REPORTING,				/* the pooler has not been told yet */
	TLS_OPEN,					/* bytes are moved */
	TLS_CLOSING,				/* the client is told that it is over */
	TLS_DEAD					/* to be freed at the end of this turn */
} TlsState;

/* Bytes that the other side would not take yet. */
typedef struct TlsLeftover
{
	char	   *bytes;			/* NULL: none */
	int			start;
	int			end;
} TlsLeftover;

typedef struct TlsConnection
{
	TlsState	state;
	int			tcp;
	int			pair;			/* -1: closed */
	SSL		   *ssl;			/* NULL once closing */
	uint32		client;			/* slot, and the generation that it had */
	uint32		gen;
	bool		direct;			/* came without SSLRequest */
	bool		failed;			/* REPORTING: the handshake has */
	bool		client_eof;		/* the client sends no more */
	bool		pair_shut;		/* and the other side knows */
	bool		tcp_shut;		/* CLOSING: the client knows */
	int			erase_for;		/* so many bytes more OpenSSL erases its copy
								 * of what it has decrypted */
	TlsLeftover to_tcp;			/* encrypted */
	TlsLeftover to_pair;		/* in plain text */
	uint32		tcp_events;		/* that are watched for */
	uint32		pair_events;
	char	   *report;			/* REPORTING: payload of the frame */
	int			report_len;
	TimestampTz deadline;		/* 0, or it is leaving (CLOSING, or OPEN with
								 * nobody at the other end of the pair, so
								 * that nobody counts it any more): DEAD by
								 * then */
	dlist_node	node;			/* of all, of those that are leaving, or DEAD */
	dlist_node	report_node;	/* of those that are REPORTING */
} TlsConnection;

/* What an event is about: one of these, or a connection and a side of it. */
#define TLS_EVENT_POSTMASTER	((uint64) 1)
#define TLS_EVENT_LINK			((uint64) 2)
#define TLS_EVENT_HANDSHAKES	((uint64) 3)
#define TLS_EVENT_PASSPHRASE	((uint64) 4)
#define TLS_EVENT_SPECIALS		((uint64) 8)	/* all of them lie below */
#define TLS_EVENT_PAIR			((uint64) 1)	/* flag: the pair, not the TCP
												 * socket */

/*---------------------------------------------------------------------------
 * main.c: start, loop, end
 *---------------------------------------------------------------------------
 */
typedef struct TlsProcess
{
	int			index;
	PoolerTlsRelay *shared;
	int			epoll_fd;
	int			handshakes_fd;	/* an epoll of those in HANDSHAKE, so that
								 * they wait for those that are OPEN */
	TimestampTz now;			/* at the start of this turn */
	bool		left_behind;	/* by a relay, without shared memory */
} TlsProcess;

extern TlsProcess pooler_tls_me;

extern bool pooler_tls_watch(int epoll_fd, int op, int fd, uint32 events,
							 uint64 data);

/* The client's slot; NULL if it is not its any more, or there are none. */
extern PoolerClient *pooler_tls_client(const TlsConnection *conn);

/* Bounds what is logged, where clients decide how often it happens. */
extern bool pooler_tls_may_log(void);

/* Moves bytes until the process has to end. */
extern void pooler_tls_loop(void);

/* Log lines in between show the client of the connection, if it is known. */
extern void pooler_tls_log_begin(const TlsConnection *conn);
extern void pooler_tls_log_end(void);

/*---------------------------------------------------------------------------
 * context.c: the server's certificate, key and settings
 *---------------------------------------------------------------------------
 */

/* Catches what core loads; from _PG_init. */
extern void pooler_tls_context_init(void);

/*
 * At the start of a relay, and when the settings were read again.  May go on
 * later, when the passphrase of the key is there.
 */
extern void pooler_tls_context_load(bool start);

/* It is there, or is not to be had. */
extern void pooler_tls_context_go_on(void);

/* NULL: TLS is not to be had. */
extern SSL_CTX *pooler_tls_context(void);

/* Was there a root certificate store when it was loaded? */
extern bool pooler_tls_context_has_ca(void);

/*---------------------------------------------------------------------------
 * link.c: the connection with the pooler
 *---------------------------------------------------------------------------
 */
extern void pooler_tls_link_tick(void);
extern void pooler_tls_link_event(uint32 events);
extern bool pooler_tls_link_is_up(void);

/* Has the pooler been told?  If not, it will be. */
extern void pooler_tls_link_report(TlsConnection *conn);

/* It need not be told any more. */
extern void pooler_tls_link_forget(TlsConnection *conn);

/* There may be room for clients that have to wait. */
extern void pooler_tls_link_room(void);

extern void pooler_tls_link_close(void);

/*---------------------------------------------------------------------------
 * passphrase.c: asking for the passphrase of the key
 *---------------------------------------------------------------------------
 */

/*
 * From now on the context asks us and not core for its passphrase, if that may
 * take a while.  It gets none while there is none.
 */
extern void pooler_tls_passphrase_wrap(SSL_CTX *context);

/* Was it asked for, without there being one, since the last one was asked? */
extern bool pooler_tls_passphrase_missing(void);

/*
 * Has core ask for it in a process of its own: pooler_tls_context_go_on() is
 * called when that has ended.  False if there can't be such a process.
 */
extern bool pooler_tls_passphrase_ask(void);

/* The settings have changed, or we end: the answer is not wanted any more. */
extern void pooler_tls_passphrase_forget(void);

extern void pooler_tls_passphrase_event(void);

/* When the loop has to look again at the latest, in ms; -1: never. */
extern int	pooler_tls_passphrase_tick(void);

/*---------------------------------------------------------------------------
 * left_behind.c: connections at the end of the server
 *---------------------------------------------------------------------------
 */

/*
 * If the server shuts down: leaves the connections to a process that outlives
 * this one, and is true.  The caller has to end then without touching any.
 */
extern bool pooler_tls_leave_behind(void);

/*---------------------------------------------------------------------------
 * handshake.c
 *---------------------------------------------------------------------------
 */

/* Callbacks that the handshake needs. */
extern void pooler_tls_handshake_prepare(SSL_CTX *context);

/* bytes: what has come from the client; eof: nothing more will. */
extern void pooler_tls_handshake(TlsConnection *conn, const char *bytes,
								 size_t len, bool eof);

/* The same for a socket that is broken; error is an errno. */
extern void pooler_tls_handshake_broken(TlsConnection *conn, int error);

/*---------------------------------------------------------------------------
 * wire.c: OpenSSL reads from, and writes to, memory
 *---------------------------------------------------------------------------
 */

/* What OpenSSL may read, and what it has written, in one step. */
typedef struct TlsWire
{
	const char *in;
	size_t		in_len;
	bool		in_eof;
	char	   *out;
	size_t		out_len;
	size_t		out_size;
	int			messages;		/* of handshakes and the like, that were in it */
} TlsWire;

/* A handshake has fewer; later there is one for millions of records. */
#define TLS_MAX_MESSAGES	16

extern TlsWire pooler_tls_wire;

/* A new SSL that reads and writes there; NULL if there is no memory. */
extern SSL *pooler_tls_wire_new(SSL_CTX *context);

/* The words for an error of OpenSSL's, as core has them. */
extern const char *pooler_tls_error_text(unsigned long code);

/*---------------------------------------------------------------------------
 * connection.c: sockets
 *---------------------------------------------------------------------------
 */

/* Takes over both sockets, which are closed if that fails. */
extern TlsConnection *pooler_tls_open(int tcp, int pair, const PoolerTlsFrame *frame);

/* How many there are, DEAD ones not counted. */
extern int	pooler_tls_connections(void);

/* Are there as many as there can be? */
extern bool pooler_tls_is_full(void);

/*
 * The oldest of those that are leaving is ended at once; false if there is
 * none.
 */
extern bool pooler_tls_make_room(void);

/*
 * Sends what is in the wire, and what was left over, to the client.  False if
 * the connection is broken: then it is DEAD.
 */
extern bool pooler_tls_flush(TlsConnection *conn);

/* The same for plain text on its way to the other side. */
extern void pooler_tls_deliver(TlsConnection *conn, const char *bytes, size_t len);

/* OPEN: would OpenSSL take plain text for the client now? */
extern bool pooler_tls_can_write(const TlsConnection *conn);

/* Watches for what can go on. */
extern void pooler_tls_rewatch(TlsConnection *conn);

/* HANDSHAKE is over; false if the connection is DEAD now. */
extern bool pooler_tls_begin_reporting(TlsConnection *conn);

/* REPORTING is over. */
extern void pooler_tls_reported(TlsConnection *conn);

/* The client is told that it is over, after what is on its way to it. */
extern void pooler_tls_close(TlsConnection *conn);

/* Nobody is left at the other end: the client may not take for ever. */
extern void pooler_tls_hurry(TlsConnection *conn);

/* At once. */
extern void pooler_tls_kill(TlsConnection *conn);

extern void pooler_tls_close_all(void);

/* Those whose handshake the pooler does not know of. */
extern void pooler_tls_kill_unreported(void);
extern void pooler_tls_free_dead(void);

/* Those that have been CLOSING for too long; true if there are any others. */
extern bool pooler_tls_closing_tick(void);

/*---------------------------------------------------------------------------
 * relay.c: moving bytes
 *---------------------------------------------------------------------------
 */
extern void pooler_tls_event(uint64 data, uint32 events);

/* What a handshake has left to be read. */
extern void pooler_tls_read_rest(TlsConnection *conn);

static inline int
tls_left(const TlsLeftover *left)
{
	return left->end - left->start;
}

#endif							/* USE_OPENSSL */

#endif							/* POOLER_TLS_INTERNAL_H */
