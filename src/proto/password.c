/*
 * password.c
 *		Recognise and parse a client's answers to authentication requests.
 *
 * Pure and process-independent: bytes in, typed result or error code out.
 * Must not do I/O, allocate, report, or copy the secrets that it sees.
 */
#include "password.h"

#define HEADER	5				/* a type byte and a length word */

PoolerPasswordVerdict
pooler_password_inspect(const uint8_t *buf, size_t avail, uint32_t limit,
						PoolerPassword *message)
{
	uint32_t	len;

	memset(message, 0, sizeof(*message));
	if (avail > 0)
	{
		message->type = buf[0];
		if (message->type != 'p')
			return POOLER_PASSWORD_WRONG_TYPE;
	}
	message->need = HEADER;
	if (avail < HEADER)
		return POOLER_PASSWORD_NEED_MORE;

	len = pooler_get_be32(buf + 1);
	if (len < 4 || len > limit)
	{
		message->need = 0;
		return POOLER_PASSWORD_INVALID_LENGTH;
	}
	message->need = len + 1;
	if (avail < message->need)
		return POOLER_PASSWORD_NEED_MORE;

	message->body = buf + HEADER;
	message->len = len - 4;
	return POOLER_PASSWORD_WHOLE;
}

PoolerProtoError
pooler_password_parse(const uint8_t *body, size_t len, const char **password)
{
	PoolerReader r = pooler_reader(body, len);

	if (!pooler_read_string(&r, password) || pooler_reader_left(&r) != 0)
		return POOLER_PROTO_PASSWORD_SIZE;
	if ((*password)[0] == '\0')
		return POOLER_PROTO_PASSWORD_EMPTY;
	return POOLER_PROTO_OK;
}

PoolerProtoError
pooler_password_parse_sasl(const uint8_t *body, size_t len,
						   PoolerSaslInitial *initial)
{
	PoolerReader r = pooler_reader(body, len);
	uint32_t	data_len;

	memset(initial, 0, sizeof(*initial));
	if (!pooler_read_string(&r, &initial->mechanism))
		return POOLER_PROTO_STRING;
	if (!pooler_read_be32(&r, &data_len))
		return POOLER_PROTO_SHORT;

	/* The length -1 tells "no initial response" from an empty one. */
	if (data_len != UINT32_MAX)
	{
		if (data_len > pooler_reader_left(&r))
			return POOLER_PROTO_SHORT;
		initial->has_data = true;
		initial->data = r.next;
		initial->data_len = data_len;
		r.next += data_len;
	}
	return pooler_reader_left(&r) == 0 ? POOLER_PROTO_OK : POOLER_PROTO_FORMAT;
}
