/*
 * errors.c
 *		The table of protocol mistakes and the server's words for them.
 *
 * Pure and process-independent.  Texts, SQLSTATEs and whether the client is
 * told are core's (postmaster.c / backend_startup.c, auth.c, auth-sasl.c,
 * pqformat.c, pqcomm.c, postgres.c); the two about cancel requests are those
 * of PostgreSQL 18, which older servers do not tell apart.
 */
#include "errors.h"

#include <stdio.h>

#include "startup.h"

#define VIOLATION "08P01"

#define TLS_INJECTION \
	"This could be either a client-software bug or evidence of an attempted man-in-the-middle attack."

static const PoolerProtoErrorInfo error_table[] = {
	[POOLER_PROTO_OK] = {"00000", "", NULL, NULL, true},

	[POOLER_PROTO_STARTUP_INCOMPLETE] =
	{VIOLATION, "incomplete startup packet", NULL, NULL, true},
	[POOLER_PROTO_STARTUP_LENGTH] =
	{VIOLATION, "invalid length of startup packet", NULL, NULL, true},
	[POOLER_PROTO_CANCEL_LENGTH] =
	{VIOLATION, "invalid length of cancel request packet", NULL, NULL, true},
	[POOLER_PROTO_CANCEL_KEY_LENGTH] =
	{VIOLATION, "invalid length of cancel key in cancel request packet",
	NULL, NULL, true},
	[POOLER_PROTO_DATA_AFTER_SSL] =
	{VIOLATION, "received unencrypted data after SSL request",
	TLS_INJECTION, NULL, false},
	[POOLER_PROTO_DATA_AFTER_GSS] =
	{VIOLATION, "received unencrypted data after GSSAPI encryption request",
	TLS_INJECTION, NULL, false},
	[POOLER_PROTO_VERSION] =
	{"0A000",
		"unsupported frontend protocol %u.%u: server supports %u.0 to %u.%u",
	NULL, NULL, false},
	[POOLER_PROTO_STARTUP_LAYOUT] =
	{VIOLATION,
		"invalid startup packet layout: expected terminator as last byte",
	NULL, NULL, false},
	[POOLER_PROTO_REPLICATION] =
	{"22023", "invalid value for parameter \"replication\": \"%s\"", NULL,
		"Valid values are: \"false\", 0, \"true\", 1, \"database\".",
	false},
	[POOLER_PROTO_NO_USER] =
	{"28000", "no PostgreSQL user name specified in startup packet",
	NULL, NULL, false},

	[POOLER_PROTO_PASSWORD_TYPE] =
	{VIOLATION, "expected password response, got message type %d",
	NULL, NULL, false},
	[POOLER_PROTO_SASL_TYPE] =
	{VIOLATION, "expected SASL response, got message type %d",
	NULL, NULL, false},
	[POOLER_PROTO_PASSWORD_SIZE] =
	{VIOLATION, "invalid password packet size", NULL, NULL, false},
	[POOLER_PROTO_PASSWORD_EMPTY] =
	{"28P01", "empty password returned by client", NULL, NULL, false},
	[POOLER_PROTO_STRING] =
	{VIOLATION, "invalid string in message", NULL, NULL, false},
	[POOLER_PROTO_SHORT] =
	{VIOLATION, "insufficient data left in message", NULL, NULL, false},
	[POOLER_PROTO_FORMAT] =
	{VIOLATION, "invalid message format", NULL, NULL, false},

	[POOLER_PROTO_TYPE] =
	{VIOLATION, "invalid frontend message type %d", NULL, NULL, false},
	[POOLER_PROTO_LENGTH] =
	{VIOLATION, "invalid message length", NULL, NULL, true},
	[POOLER_PROTO_LENGTH_EOF] =
	{VIOLATION, "unexpected EOF within message length word",
	NULL, NULL, true},
	[POOLER_PROTO_MESSAGE_EOF] =
	{VIOLATION, "incomplete message from client", NULL, NULL, true},
};

const PoolerProtoErrorInfo *
pooler_proto_error_info(PoolerProtoError code)
{
	return &error_table[code];
}

char *
pooler_proto_error_format(PoolerProtoError code,
						  const PoolerProtoErrorArgs *args,
						  char *buf, size_t size)
{
	const char *message = error_table[code].message;

	switch (code)
	{
		case POOLER_PROTO_VERSION:
			snprintf(buf, size, message,
					 POOLER_PROTO_VERSION_MAJOR(args->proto),
					 POOLER_PROTO_VERSION_MINOR(args->proto),
					 POOLER_PROTO_VERSION_MAJOR(POOLER_PROTO_VERSION_3_0),
					 POOLER_PROTO_VERSION_MAJOR(args->latest),
					 POOLER_PROTO_VERSION_MINOR(args->latest));
			break;
		case POOLER_PROTO_REPLICATION:
			snprintf(buf, size, message, args->value);
			break;
		case POOLER_PROTO_PASSWORD_TYPE:
		case POOLER_PROTO_SASL_TYPE:
		case POOLER_PROTO_TYPE:
			snprintf(buf, size, message, args->type);
			break;
		default:
			snprintf(buf, size, "%s", message);
			break;
	}
	return buf;
}
