/*
 * startup.h
 *		The first packets of a connection: what they are and what they ask for.
 *
 * Pure and process-independent: no I/O, no allocation, no reports.  Equal to
 * ProcessStartupPacket() and ProcessSSLStartup() of the server (15
 * postmaster.c, 17 and 18 backend_startup.c) except where said.
 */
#ifndef POOLER_PROTO_STARTUP_H
#define POOLER_PROTO_STARTUP_H

#include "bytes.h"
#include "errors.h"

/* The longest packet, its length word included (MAX_STARTUP_PACKET_LENGTH). */
#define POOLER_STARTUP_MAX_TOTAL	(10000 + 4)

#define POOLER_PROTO_VERSION_MAJOR(v)	((v) >> 16)
#define POOLER_PROTO_VERSION_MINOR(v)	((v) & 0xffff)
#define POOLER_PROTO_VERSION_3_0		((uint32_t) 3 << 16)
#define POOLER_PROTO_VERSION_3_2		(POOLER_PROTO_VERSION_3_0 | 2)

/* PG 18 takes cancel keys of 1 to 256 bytes, older servers only of 4. */
#define POOLER_CANCEL_KEY_MAX	256

typedef enum PoolerStartupKind
{
	POOLER_STARTUP_NEED_MORE,	/* see need */
	POOLER_STARTUP_ERROR,		/* see error */
	POOLER_STARTUP_TLS_HELLO,	/* direct TLS: nothing to consume */
	POOLER_STARTUP_SSL_REQUEST,
	POOLER_STARTUP_GSS_REQUEST,
	POOLER_STARTUP_CANCEL,		/* pooler_startup_parse_cancel() */
	POOLER_STARTUP_PARAMETERS	/* protocol 3.x: pooler_startup_parse() */
} PoolerStartupKind;

typedef struct PoolerStartupVerdict
{
	PoolerStartupKind kind;
	PoolerProtoError error;		/* STARTUP_LENGTH or VERSION, else OK */
	uint32_t	need;			/* NEED_MORE: bytes needed in total (4, or the
								 * packet); whole packets: their length, which
								 * is also what to consume; otherwise 0 */
	uint32_t	proto;			/* version or request code of a whole packet */
} PoolerStartupVerdict;

/*
 * Say what the `avail` bytes that the client has sent begin with.
 *
 * ssl_done, gss_done: whether that negotiation has been answered on this
 * connection.  Like core, a second request is an unsupported protocol version,
 * and a TLS hello is expected only as the very first byte.  Core sets both as
 * soon as either encryption was granted.  Servers before 17 do not know direct
 * TLS: there the caller reports POOLER_PROTO_STARTUP_LENGTH for TLS_HELLO.
 *
 * After answering SSL_REQUEST or GSS_REQUEST (also with 'N'), bytes beyond
 * `need` that were already received are POOLER_PROTO_DATA_AFTER_SSL/_GSS.
 * End of stream after 0 bytes is silent, after more POOLER_PROTO_STARTUP_INCOMPLETE.
 */
extern PoolerStartupVerdict pooler_startup_inspect(const uint8_t *buf,
												   size_t avail,
												   bool ssl_done,
												   bool gss_done);

typedef struct PoolerCancelRequest
{
	uint32_t	pid;
	const uint8_t *key;			/* into the packet */
	size_t		key_len;		/* 1..POOLER_CANCEL_KEY_MAX */
} PoolerCancelRequest;

/*
 * Take apart a whole cancel packet (packet, len = the first `need` bytes), as
 * a server does whose newest protocol is `latest`.  Returns OK, CANCEL_LENGTH or
 * CANCEL_KEY_LENGTH; STARTUP_LENGTH from one that knows only keys of 4 bytes.
 */
extern PoolerProtoError pooler_startup_parse_cancel(const uint8_t *packet,
													size_t len, uint32_t latest,
													PoolerCancelRequest *cancel);

typedef enum PoolerReplication
{
	POOLER_REPLICATION_NONE,
	POOLER_REPLICATION_PHYSICAL,	/* a walsender without a database */
	POOLER_REPLICATION_DATABASE /* a walsender in a database */
} PoolerReplication;

/* Which of core's uses a name of the packet has. */
typedef enum PoolerStartupParamKind
{
	POOLER_PARAM_USER,
	POOLER_PARAM_DATABASE,
	POOLER_PARAM_OPTIONS,
	POOLER_PARAM_REPLICATION,
	POOLER_PARAM_PROTOCOL,		/* _pq_.* */
	POOLER_PARAM_SETTING		/* any other: a configuration variable */
} PoolerStartupParamKind;

/*
 * A parsed packet.  All strings are zero-terminated, point into the packet
 * (the two defaults of `database` excepted) and live as long as it does.  If a
 * name is given twice the last one counts, as in core.
 */
typedef struct PoolerStartup
{
	uint32_t	proto;			/* 3.x as the client asked */
	const char *user;			/* never empty; NOT cut to NAMEDATALEN - 1
								 * bytes: the caller's copy must be */
	const char *database;		/* same; the user's name if it was missing or
								 * empty, "" for PHYSICAL replication */
	const char *options;		/* NULL if not given */
	const char *application_name;	/* NULL if not given; also a SETTING */
	PoolerReplication replication;
	const char *bad_replication;	/* the value behind
									 * POOLER_PROTO_REPLICATION */
	size_t		nsettings;		/* pairs of kind SETTING */
	size_t		nprotocol;		/* names of kind PROTOCOL */
	PoolerReader pairs;			/* start of pooler_startup_next() */
} PoolerStartup;

/*
 * Parse a whole 3.x packet (packet, len = the first `need` bytes) in place.
 *
 * Returns OK, STARTUP_LAYOUT, REPLICATION or NO_USER, in core's order: the
 * first mistake met.  Core answers NegotiateProtocolVersion after the layout
 * check and before the user check, so after OK and NO_USER alike see
 * pooler_startup_must_negotiate().  One difference: an invalid replication
 * value that runs up to the end of the packet is STARTUP_LAYOUT here.
 */
extern PoolerProtoError pooler_startup_parse(const uint8_t *packet, size_t len,
											 PoolerStartup *startup);

/*
 * Must the client be told which version and options are not supported (a
 * newer minor version than `latest`, or any _pq_.* name)?
 */
extern bool pooler_startup_must_negotiate(const PoolerStartup *startup,
										  uint32_t latest);

/*
 * Is a client that asked for `proto` given a long cancel key?  Like core, this
 * looks at what it asked for, and not at what it was told it would get.
 */
extern bool pooler_startup_has_long_keys(uint32_t proto, uint32_t latest);

/* One name and value of the packet. */
typedef struct PoolerStartupParam
{
	PoolerStartupParamKind kind;
	const char *name;
	const char *value;
} PoolerStartupParam;

/*
 * Walk over all pairs in the order of the packet:
 *
 *		PoolerReader it = startup->pairs;
 *		while (pooler_startup_next(&it, &param)) ...
 */
extern bool pooler_startup_next(PoolerReader *it, PoolerStartupParam *param);

/*
 * Core's parse_bool(): unique prefixes of true, false, yes, no, on, off in any
 * case, and 1, 0.  False if `value` is none of them.
 */
extern bool pooler_startup_parse_bool(const char *value, bool *result);

#endif							/* POOLER_PROTO_STARTUP_H */
