/*
 * extended.c
 *		Take the messages apart that the console answers.
 *
 * Pure and process-independent: bytes in, typed result out.  Must not do I/O,
 * allocate, report, or depend on the server's runtime.
 */
#include "extended.h"

static bool
read_be16(PoolerReader *r, uint16_t *value)
{
	if (pooler_reader_left(r) < 2)
		return false;
	*value = (uint16_t) (r->next[0] << 8 | r->next[1]);
	r->next += 2;
	return true;
}

/* n times size bytes, both of them small */
static bool
skip(PoolerReader *r, size_t n, size_t size)
{
	if (pooler_reader_left(r) < n * size)
		return false;
	r->next += n * size;
	return true;
}

static bool
at_end(const PoolerReader *r)
{
	return pooler_reader_left(r) == 0;
}

bool
pooler_query_parse(const uint8_t *body, size_t len, const char **text)
{
	PoolerReader r = pooler_reader(body, len);

	return pooler_read_string(&r, text) && at_end(&r);
}

bool
pooler_parse_parse(const uint8_t *body, size_t len, PoolerParse *parse)
{
	PoolerReader r = pooler_reader(body, len);

	return pooler_read_string(&r, &parse->name) &&
		pooler_read_string(&r, &parse->text) &&
		read_be16(&r, &parse->ntypes) && skip(&r, parse->ntypes, 4) &&
		at_end(&r);
}

/* Each value has a length before it, or -1 for NULL. */
static bool
skip_values(PoolerReader *r, uint16_t n)
{
	for (; n > 0; n--)
	{
		uint32_t	len;

		if (!pooler_read_be32(r, &len))
			return false;
		if (len != UINT32_MAX &&
			(len > pooler_reader_left(r) || !skip(r, len, 1)))
			return false;
	}
	return true;
}

static bool
formats_are_known(const PoolerBind *bind)
{
	for (size_t i = 0; i < bind->nformats; i++)
	{
		if (bind->formats[2 * i] != 0 || bind->formats[2 * i + 1] > 1)
			return false;
	}
	return true;
}

bool
pooler_bind_parse(const uint8_t *body, size_t len, PoolerBind *bind)
{
	PoolerReader r = pooler_reader(body, len);
	uint16_t	nformats;		/* of values */

	if (!pooler_read_string(&r, &bind->portal) ||
		!pooler_read_string(&r, &bind->statement) ||
		!read_be16(&r, &nformats) || !skip(&r, nformats, 2) ||
		!read_be16(&r, &bind->nvalues) || !skip_values(&r, bind->nvalues) ||
		!read_be16(&r, &bind->nformats))
		return false;
	bind->formats = r.next;
	return skip(&r, bind->nformats, 2) && at_end(&r) &&
		formats_are_known(bind);
}

bool
pooler_named_parse(const uint8_t *body, size_t len, char *kind,
				   const char **name)
{
	PoolerReader r = pooler_reader(body, len);

	if (len == 0)
		return false;
	*kind = (char) *r.next++;
	return (*kind == 'S' || *kind == 'P') &&
		pooler_read_string(&r, name) && at_end(&r);
}

bool
pooler_execute_parse(const uint8_t *body, size_t len, const char **portal,
					 int32_t *rows)
{
	PoolerReader r = pooler_reader(body, len);
	uint32_t	word;

	if (!pooler_read_string(&r, portal) || !pooler_read_be32(&r, &word) ||
		!at_end(&r))
		return false;
	*rows = (int32_t) word;
	return true;
}
