/*
 * pairs.c
 *		Names and values, as processes of the pooler tell them to each other.
 *
 * Pure and process-independent: bytes in, typed result out.  Must not do I/O,
 * allocate, report, or depend on the server's runtime.
 */
#include "pairs.h"

#include "bytes.h"

bool
pooler_next_pair(const char **p, const char *end,
				 const char **name, const char **value)
{
	PoolerReader r;

	if (*p >= end)
		return false;
	r = pooler_reader((const uint8_t *) *p, end - *p);
	if (!pooler_read_string(&r, name) || !pooler_read_string(&r, value))
		return false;
	*p = (const char *) r.next;
	return true;
}

const char *
pooler_find_pair(const char *pairs, size_t len, const char *wanted)
{
	const char *end = pairs + len;
	const char *name;
	const char *value;

	while (pooler_next_pair(&pairs, end, &name, &value))
	{
		if (strcmp(name, wanted) == 0)
			return value;
	}
	return NULL;
}

size_t
pooler_pairs_length(const char *pairs, size_t len,
					const char **rest, size_t *rest_len)
{
	const char *p = pairs;
	const char *end = pairs + len;
	const char *name;
	const char *value;
	bool		empty_name = false;

	while (!(empty_name = p < end && *p == '\0') &&
		   pooler_next_pair(&p, end, &name, &value))
		;
	if (rest != NULL)
	{
		*rest = empty_name ? p + 1 : end;
		*rest_len = end - *rest;
	}
	return p - pairs;
}
