/*
 * bytes.h
 *		Bounded reading of wire bytes, shared by the parsers of src/proto.
 *
 * Pure and process-independent: looks at the given bytes only.  Nothing here
 * may read past `end`, whatever the bytes say.
 */
#ifndef POOLER_PROTO_BYTES_H
#define POOLER_PROTO_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* What is left to read.  next <= end always holds. */
typedef struct PoolerReader
{
	const uint8_t *next;
	const uint8_t *end;
} PoolerReader;

static inline PoolerReader
pooler_reader(const uint8_t *bytes, size_t len)
{
	PoolerReader r;

	r.next = bytes;
	r.end = len > 0 ? bytes + len : bytes;
	return r;
}

static inline size_t
pooler_reader_left(const PoolerReader *r)
{
	return r->next == r->end ? 0 : (size_t) (r->end - r->next);
}

/* The four bytes at p in network order; the caller has checked the bounds. */
static inline uint32_t
pooler_get_be32(const uint8_t *p)
{
	return ((uint32_t) p[0] << 24) | ((uint32_t) p[1] << 16) |
		((uint32_t) p[2] << 8) | (uint32_t) p[3];
}

/* False, and nothing read, if fewer than four bytes are left. */
static inline bool
pooler_read_be32(PoolerReader *r, uint32_t *value)
{
	if (pooler_reader_left(r) < 4)
		return false;
	*value = pooler_get_be32(r->next);
	r->next += 4;
	return true;
}

/*
 * The next zero-terminated string, in place.  False, and nothing read, if
 * there is no terminator before the end.
 */
static inline bool
pooler_read_string(PoolerReader *r, const char **value)
{
	size_t		left = pooler_reader_left(r);
	const uint8_t *zero = left > 0 ? memchr(r->next, 0, left) : NULL;

	if (zero == NULL)
		return false;
	*value = (const char *) r->next;
	r->next = zero + 1;
	return true;
}

#endif							/* POOLER_PROTO_BYTES_H */
