/*
 * errors.h
 *		What can be wrong with a client's bytes, and what the server says then.
 *
 * Pure and process-independent.  The parsers of src/proto return these codes;
 * whoever owns the client's socket turns them into a report.
 */
#ifndef POOLER_PROTO_ERRORS_H
#define POOLER_PROTO_ERRORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The comment gives the placeholders of the message, if it has any. */
typedef enum PoolerProtoError
{
	POOLER_PROTO_OK = 0,

	/* startup phase */
	POOLER_PROTO_STARTUP_INCOMPLETE,	/* end of stream inside the packet */
	POOLER_PROTO_STARTUP_LENGTH,
	POOLER_PROTO_CANCEL_LENGTH,
	POOLER_PROTO_CANCEL_KEY_LENGTH,
	POOLER_PROTO_DATA_AFTER_SSL,	/* bytes behind an SSLRequest */
	POOLER_PROTO_DATA_AFTER_GSS,	/* bytes behind a GSSENCRequest */
	POOLER_PROTO_VERSION,		/* args: proto, latest */
	POOLER_PROTO_STARTUP_LAYOUT,
	POOLER_PROTO_REPLICATION,	/* args: value */
	POOLER_PROTO_NO_USER,

	/* password phase */
	POOLER_PROTO_PASSWORD_TYPE, /* args: type */
	POOLER_PROTO_SASL_TYPE,		/* args: type */
	POOLER_PROTO_PASSWORD_SIZE,
	POOLER_PROTO_PASSWORD_EMPTY,
	POOLER_PROTO_STRING,		/* a string without terminator */
	POOLER_PROTO_SHORT,			/* a message ends before its last field */
	POOLER_PROTO_FORMAT,		/* bytes after the last field */

	/* any message */
	POOLER_PROTO_TYPE,			/* args: type */
	POOLER_PROTO_LENGTH,
	POOLER_PROTO_LENGTH_EOF,	/* end of stream inside the length word */
	POOLER_PROTO_MESSAGE_EOF	/* end of stream inside the body */
} PoolerProtoError;

/*
 * Core's report of the same mistake.  All strings are static; detail and hint
 * may be NULL.  `message` still has its printf placeholders: log or send only
 * what pooler_proto_error_format() made of it.
 *
 * log_only: core writes this to the log only (COMMERROR) and closes the
 * connection without a message, because the peer has not shown that it speaks
 * the protocol, or has lost its place in it.
 */
typedef struct PoolerProtoErrorInfo
{
	const char *sqlstate;
	const char *message;
	const char *detail;
	const char *hint;
	bool		log_only;
} PoolerProtoErrorInfo;

/* What fills the placeholders; only what the code names above is looked at. */
typedef struct PoolerProtoErrorArgs
{
	uint32_t	proto;			/* version that the client asked for */
	uint32_t	latest;			/* PG_PROTOCOL_LATEST of this server */
	int			type;			/* message type byte, 0..255 */
	const char *value;			/* replication value, as in PoolerStartup */
} PoolerProtoErrorArgs;

/* Never NULL; POOLER_PROTO_OK gives SQLSTATE 00000. */
extern const PoolerProtoErrorInfo *pooler_proto_error_info(PoolerProtoError code);

/*
 * Write the primary message, zero-terminated and cut to `size` bytes (which
 * must be at least 1), and return buf.  args may be NULL for codes that have
 * no placeholders.
 */
extern char *pooler_proto_error_format(PoolerProtoError code,
									   const PoolerProtoErrorArgs *args,
									   char *buf, size_t size);

#endif							/* POOLER_PROTO_ERRORS_H */
