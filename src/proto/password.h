/*
 * password.h
 *		What a client sends while it is being authenticated.
 *
 * Pure and process-independent: no I/O, no allocation, no reports.  Equal to
 * recv_password_packet() (auth.c) and CheckSASLAuth() (auth-sasl.c) of the
 * server.  The bytes are secrets: nothing here copies them.
 */
#ifndef POOLER_PROTO_PASSWORD_H
#define POOLER_PROTO_PASSWORD_H

#include "bytes.h"
#include "errors.h"

/* Core's limits of the length word, which counts itself. */
#define POOLER_PASSWORD_LIMIT	65535	/* PG_MAX_AUTH_TOKEN_LENGTH */
#define POOLER_SASL_LIMIT		1024	/* PG_MAX_SASL_MESSAGE_LENGTH */

typedef enum PoolerPasswordVerdict
{
	POOLER_PASSWORD_NEED_MORE,	/* see need */
	POOLER_PASSWORD_WHOLE,
	POOLER_PASSWORD_WRONG_TYPE, /* POOLER_PROTO_PASSWORD_TYPE or _SASL_TYPE */
	POOLER_PASSWORD_INVALID_LENGTH	/* POOLER_PROTO_LENGTH */
} PoolerPasswordVerdict;

typedef struct PoolerPassword
{
	uint8_t		type;			/* type byte, once there is one */
	const uint8_t *body;		/* WHOLE: into the buffer */
	uint32_t	len;			/* WHOLE: of the body */
	uint32_t	need;			/* NEED_MORE: bytes needed in total; WHOLE:
								 * bytes to consume; otherwise 0 */
} PoolerPassword;

/*
 * Judge the `avail` bytes against one 'p' message.  limit: one of the two
 * above.  The type is judged with the first byte, the length with the fifth.
 */
extern PoolerPasswordVerdict pooler_password_inspect(const uint8_t *buf,
													 size_t avail,
													 uint32_t limit,
													 PoolerPassword *message);

/*
 * The body of a clear-text or md5 answer: *password points to it, terminated.
 * Returns OK, PASSWORD_SIZE or PASSWORD_EMPTY.
 */
extern PoolerProtoError pooler_password_parse(const uint8_t *body, size_t len,
											  const char **password);

/*
 * A SASLInitialResponse.  Later SASLResponses need no parser: they are the
 * body.  `data` is not terminated: core's mechanisms want a copy that is.
 */
typedef struct PoolerSaslInitial
{
	const char *mechanism;		/* set as soon as it was readable, since core
								 * judges it before the rest; else NULL */
	bool		has_data;		/* false: no initial response was sent */
	const uint8_t *data;
	size_t		data_len;
} PoolerSaslInitial;

/* Returns OK, STRING, SHORT or FORMAT. */
extern PoolerProtoError pooler_password_parse_sasl(const uint8_t *body,
												   size_t len,
												   PoolerSaslInitial *initial);

#endif							/* POOLER_PROTO_PASSWORD_H */
