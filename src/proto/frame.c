/*
 * frame.c
 *		Find the borders of messages, and read those of a young backend.
 *
 * Pure and process-independent: bytes in, typed result or error code out.
 * Must not do I/O, allocate, report, or depend on the server's runtime.
 */
#include "frame.h"

uint32_t
pooler_frame_length_limit(uint8_t type)
{
	switch (type)
	{
		case 'Q':				/* simple query */
		case 'F':				/* function call */
		case 'P':				/* parse */
		case 'B':				/* bind */
		case 'd':				/* copy data */
			return POOLER_FRAME_LARGE_LIMIT;
		case 'X':				/* terminate */
		case 'C':				/* close */
		case 'D':				/* describe */
		case 'E':				/* execute */
		case 'H':				/* flush */
		case 'S':				/* sync */
		case 'c':				/* copy done */
		case 'f':				/* copy fail */
			return POOLER_FRAME_SMALL_LIMIT;
		default:
			return 0;
	}
}

static bool
length_is_valid(uint8_t type, uint32_t len)
{
	return len >= 4 && len <= pooler_frame_length_limit(type);
}

static PoolerFrameVerdict
judge_header(const uint8_t *peeked, size_t navail, uint32_t *len)
{
	if (navail == 0)
		return POOLER_FRAME_EMPTY;
	if (peeked[0] == 'X')
		return POOLER_FRAME_TERMINATE;
	if (pooler_frame_length_limit(peeked[0]) == 0)
		return POOLER_FRAME_INVALID_TYPE;
	if (navail < POOLER_FRAME_HEADER)
		return POOLER_FRAME_PARTIAL;

	*len = pooler_get_be32(peeked + 1);
	if (!length_is_valid(peeked[0], *len))
		return POOLER_FRAME_INVALID_LENGTH;
	return POOLER_FRAME_READY;
}

PoolerFrame
pooler_frame_inspect(const uint8_t *peeked, size_t navail, size_t whole_limit)
{
	PoolerFrame f = {POOLER_FRAME_EMPTY, 0, 0, 0};
	uint32_t	len = 0;

	f.verdict = judge_header(peeked, navail, &len);
	if (navail > 0)
		f.type = peeked[0];
	if (f.verdict == POOLER_FRAME_PARTIAL)
		f.need = POOLER_FRAME_HEADER;
	if (f.verdict != POOLER_FRAME_READY)
		return f;

	f.total = len + 1;
	if (f.type == 'd' || f.type == 'c' || f.type == 'f')
	{
		f.verdict = POOLER_FRAME_STRAY;
		return f;
	}
	if (navail < f.total && f.total <= whole_limit)
	{
		f.verdict = POOLER_FRAME_PARTIAL;
		f.need = f.total;
	}
	return f;
}

/* The body of the message in skip->header is over: was it the last? */
static bool
skip_message_done(PoolerSkip *skip)
{
	uint8_t		type = skip->header[0];

	skip->header_len = 0;
	if (type == 'S')
		return true;
	return !skip->until_sync && (type == 'Q' || type == 'F');
}

/*
 * One more byte of a header.  MORE unless this byte ends the walk.
 */
static PoolerSkipVerdict
skip_header_byte(PoolerSkip *skip, uint8_t byte)
{
	uint32_t	len;

	if (skip->header_len == 0)
	{
		if (byte == 'X')
			return POOLER_SKIP_TERMINATE;
		skip->header[0] = byte;
		if (pooler_frame_length_limit(byte) == 0)
			return POOLER_SKIP_INVALID_TYPE;
		if (strchr("PBDECH", byte) != NULL)
			skip->until_sync = true;
	}
	skip->header[skip->header_len++] = byte;
	if (skip->header_len < POOLER_FRAME_HEADER)
		return POOLER_SKIP_MORE;

	len = pooler_get_be32(skip->header + 1);
	if (!length_is_valid(skip->header[0], len))
		return POOLER_SKIP_INVALID_LENGTH;
	skip->body_left = len - 4;
	return POOLER_SKIP_MORE;
}

PoolerSkipVerdict
pooler_skip_feed(PoolerSkip *skip, const uint8_t *bytes, size_t len,
				 size_t *consumed)
{
	size_t		at = 0;
	PoolerSkipVerdict verdict = POOLER_SKIP_MORE;

	while (at < len && verdict == POOLER_SKIP_MORE)
	{
		if (skip->header_len < POOLER_FRAME_HEADER)
		{
			verdict = skip_header_byte(skip, bytes[at]);
			if (verdict == POOLER_SKIP_MORE)
				at++;
		}
		else
		{
			size_t		n = len - at;

			if (n > skip->body_left)
				n = skip->body_left;
			skip->body_left -= (uint32_t) n;
			at += n;
		}
		if (verdict == POOLER_SKIP_MORE && skip->body_left == 0 &&
			skip->header_len == POOLER_FRAME_HEADER &&
			skip_message_done(skip))
			verdict = POOLER_SKIP_DONE;
	}
	*consumed = at;
	return verdict;
}

PoolerMessageVerdict
pooler_message_next(const uint8_t *buf, size_t avail, size_t limit,
					size_t *offset, PoolerMessage *message)
{
	size_t		left = avail - *offset;
	uint32_t	len;

	memset(message, 0, sizeof(*message));
	if (left < POOLER_FRAME_HEADER)
		return POOLER_MESSAGE_NEED_MORE;

	message->type = buf[*offset];
	len = pooler_get_be32(buf + *offset + 1);
	if (len < 4 || len > INT32_MAX)
		return POOLER_MESSAGE_INVALID;
	message->total = len + 1;
	if (message->total > limit)
		return POOLER_MESSAGE_TOO_LONG;
	if (message->total > left)
		return POOLER_MESSAGE_NEED_MORE;

	message->body = buf + *offset + POOLER_FRAME_HEADER;
	message->len = len - 4;
	*offset += message->total;
	return POOLER_MESSAGE_OK;
}

static const char **
error_field(PoolerErrorFields *fields, uint8_t code)
{
	switch (code)
	{
		case 'V':
			return &fields->severity;
		case 'S':
			return &fields->severity_local;
		case 'C':
			return &fields->sqlstate;
		case 'M':
			return &fields->message;
		case 'D':
			return &fields->detail;
		case 'H':
			return &fields->hint;
		case 'W':
			return &fields->context;
		default:
			return NULL;
	}
}

bool
pooler_message_parse_error(const PoolerMessage *message,
						   PoolerErrorFields *fields)
{
	PoolerReader r = pooler_reader(message->body, message->len);

	memset(fields, 0, sizeof(*fields));
	while (pooler_reader_left(&r) > 0 && *r.next != 0)
	{
		const char **field = error_field(fields, *r.next++);
		const char *value;

		if (!pooler_read_string(&r, &value))
			return false;
		if (field != NULL)
			*field = value;
	}
	if (pooler_reader_left(&r) != 1)
		return false;
	if (fields->severity == NULL)
		fields->severity = fields->severity_local;
	return fields->severity != NULL && fields->sqlstate != NULL &&
		fields->message != NULL;
}

bool
pooler_message_parse_parameter(const PoolerMessage *message,
							   const char **name, const char **value)
{
	PoolerReader r = pooler_reader(message->body, message->len);

	return pooler_read_string(&r, name) && pooler_read_string(&r, value) &&
		pooler_reader_left(&r) == 0;
}

bool
pooler_message_parse_number(const PoolerMessage *message, int *number)
{
	PoolerReader r = pooler_reader(message->body, message->len);
	uint32_t	len;
	int64_t		value = 0;

	if (message->len < 2 || message->body[0] != 0 || message->body[1] != 1)
		return false;
	r.next += 2;
	if (!pooler_read_be32(&r, &len) || len != pooler_reader_left(&r) ||
		len < 1 || len > 10)
		return false;
	for (; r.next < r.end; r.next++)
	{
		if (*r.next < '0' || *r.next > '9')
			return false;
		value = value * 10 + (*r.next - '0');
	}
	*number = (int) value;
	return value <= INT32_MAX;
}
