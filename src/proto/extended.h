/*
 * extended.h
 *		What is in the messages of a client that the console answers.
 *
 * Pure and process-independent: no I/O, no allocation, no reports.  Only the
 * console looks into messages of queries; all others are a backend's.  Each
 * function is given the body of one message, and returns false if that is not
 * well formed: something is missing, is left over, or can't be.  Strings lie
 * in the body.
 */
#ifndef POOLER_PROTO_EXTENDED_H
#define POOLER_PROTO_EXTENDED_H

#include "bytes.h"

/* 'Q' */
extern bool pooler_query_parse(const uint8_t *body, size_t len,
							   const char **text);

/* 'P'; the types of parameters are not looked at. */
typedef struct PoolerParse
{
	const char *name;			/* "" for the unnamed statement */
	const char *text;
	uint16_t	ntypes;
} PoolerParse;

extern bool pooler_parse_parse(const uint8_t *body, size_t len,
							   PoolerParse *parse);

/* 'B'; the values of parameters are not looked at. */
typedef struct PoolerBind
{
	const char *portal;
	const char *statement;
	uint16_t	nvalues;
	uint16_t	nformats;		/* of results */
	const uint8_t *formats;		/* so many words of two bytes, each 0 or 1 */
} PoolerBind;

extern bool pooler_bind_parse(const uint8_t *body, size_t len,
							  PoolerBind *bind);

/* i < nformats */
static inline bool
pooler_bind_is_binary(const PoolerBind *bind, int i)
{
	return bind->formats[2 * i + 1] == 1;
}

/* 'D' and 'C'; kind: 'S' a statement, 'P' a portal */
extern bool pooler_named_parse(const uint8_t *body, size_t len,
							   char *kind, const char **name);

/* 'E'; rows: 0 or less for all of them */
extern bool pooler_execute_parse(const uint8_t *body, size_t len,
								 const char **portal, int32_t *rows);

#endif							/* POOLER_PROTO_EXTENDED_H */
