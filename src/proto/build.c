/*
 * build.c
 *		Write protocol messages into a bounded buffer.
 *
 * Pure and process-independent: no I/O, no allocation, no reports.  Only put()
 * and patch_be32() touch the buffer, and both check its size.
 */
#include "build.h"

PoolerWriter
pooler_writer(void *buf, size_t size)
{
	PoolerWriter w;

	w.buf = buf;
	w.size = size;
	w.len = 0;
	return w;
}

bool
pooler_writer_fits(const PoolerWriter *w)
{
	return w->len <= w->size;
}

static void
put(PoolerWriter *w, const void *bytes, size_t len)
{
	if (len > 0 && w->len < w->size)
	{
		size_t		room = w->size - w->len;

		memcpy(w->buf + w->len, bytes, len < room ? len : room);
	}
	w->len += len;
}

static void
put_byte(PoolerWriter *w, char c)
{
	put(w, &c, 1);
}

static void
put_string(PoolerWriter *w, const char *s)
{
	put(w, s, strlen(s) + 1);
}

static void
set_be32(uint8_t *p, uint32_t value)
{
	p[0] = (uint8_t) (value >> 24);
	p[1] = (uint8_t) (value >> 16);
	p[2] = (uint8_t) (value >> 8);
	p[3] = (uint8_t) value;
}

static void
put_be32(PoolerWriter *w, uint32_t value)
{
	uint8_t		bytes[4];

	set_be32(bytes, value);
	put(w, bytes, sizeof(bytes));
}

static void
patch_be32(PoolerWriter *w, size_t at, uint32_t value)
{
	if (w->size >= 4 && at <= w->size - 4)
		set_be32(w->buf + at, value);
}

/* Returns where the length word is, for end_message(). */
static size_t
begin_message(PoolerWriter *w, char type)
{
	size_t		at;

	put_byte(w, type);
	at = w->len;
	put_be32(w, 0);
	return at;
}

static void
end_message(PoolerWriter *w, size_t at)
{
	patch_be32(w, at, (uint32_t) (w->len - at));
}

void
pooler_build_negotiate(PoolerWriter *w, const PoolerStartup *startup,
					   uint32_t latest)
{
	PoolerReader it = startup->pairs;
	PoolerStartupParam param;
	size_t		at = begin_message(w, 'v');

	put_be32(w, startup->proto < latest ? startup->proto : latest);
	put_be32(w, (uint32_t) startup->nprotocol);
	while (pooler_startup_next(&it, &param))
	{
		if (param.kind == POOLER_PARAM_PROTOCOL)
			put_string(w, param.name);
	}
	end_message(w, at);
}

void
pooler_build_auth(PoolerWriter *w, uint32_t code,
				  const void *payload, size_t payload_len)
{
	size_t		at = begin_message(w, 'R');

	put_be32(w, code);
	put(w, payload, payload_len);
	end_message(w, at);
}

void
pooler_build_key(PoolerWriter *w, uint32_t pid,
				 const void *key, size_t key_len)
{
	size_t		at = begin_message(w, 'K');

	put_be32(w, pid);
	put(w, key, key_len);
	end_message(w, at);
}

void
pooler_build_parameter(PoolerWriter *w, const char *name, const char *value)
{
	size_t		at = begin_message(w, 'S');

	put_string(w, name);
	put_string(w, value);
	end_message(w, at);
}

void
pooler_build_ready(PoolerWriter *w, char status)
{
	size_t		at = begin_message(w, 'Z');

	put_byte(w, status);
	end_message(w, at);
}

static void
put_field(PoolerWriter *w, char code, const char *value)
{
	if (value != NULL)
	{
		put_byte(w, code);
		put_string(w, value);
	}
}

void
pooler_build_report(PoolerWriter *w, char type, const PoolerErrorFields *fields)
{
	size_t		at = begin_message(w, type);

	put_field(w, 'S', fields->severity_local != NULL ?
			  fields->severity_local : fields->severity);
	put_field(w, 'V', fields->severity);
	put_field(w, 'C', fields->sqlstate);
	put_field(w, 'M', fields->message);
	put_field(w, 'D', fields->detail);
	put_field(w, 'H', fields->hint);
	put_field(w, 'W', fields->context);
	put_byte(w, '\0');
	end_message(w, at);
}

void
pooler_build_error(PoolerWriter *w, const PoolerErrorFields *fields)
{
	pooler_build_report(w, 'E', fields);
}

void
pooler_build_notice(PoolerWriter *w, const char *text)
{
	size_t		at = begin_message(w, 'N');

	put_field(w, 'S', "NOTICE");
	put_field(w, 'V', "NOTICE");
	put_field(w, 'C', "00000");
	put_byte(w, 'M');
	for (; *text; text++)
	{
		if (text[0] == '\\' && text[1] == 'n')
		{
			put_byte(w, '\n');
			text++;
		}
		else
			put_byte(w, *text);
	}
	put_byte(w, '\0');
	put_byte(w, '\0');
	end_message(w, at);
}

size_t
pooler_build_startup_begin(PoolerWriter *w, uint32_t proto)
{
	size_t		at = w->len;

	put_be32(w, 0);
	put_be32(w, proto);
	return at;
}

void
pooler_build_startup_pair(PoolerWriter *w, const char *name,
						  const char *value)
{
	put_string(w, name);
	put_string(w, value);
}

void
pooler_build_startup_end(PoolerWriter *w, size_t begin)
{
	put_byte(w, '\0');
	end_message(w, begin);
}
