/*
 * pairs.h
 *		Names and values, as processes of the pooler tell them to each other.
 *
 * Pure and process-independent: no I/O, no allocation, no reports.  A pair is
 * two strings with their ends.  Much of what stands in them comes from clients:
 * startup settings, names in certificates.  What is cut off in the middle of a
 * pair ends before that pair.
 */
#ifndef POOLER_PROTO_PAIRS_H
#define POOLER_PROTO_PAIRS_H

#include <stdbool.h>
#include <stddef.h>

/* The pair at *p, which moves on to the next one; false at the end. */
extern bool pooler_next_pair(const char **p, const char *end,
							 const char **name, const char **value);

/*
 * The value of the first pair with this name; NULL if there is none.
 */
extern const char *pooler_find_pair(const char *pairs, size_t len,
									const char *wanted);

/*
 * Where pairs end: at an empty name, or at the end of all.  The rest behind
 * that name may be NULL if nobody wants it.
 */
extern size_t pooler_pairs_length(const char *pairs, size_t len,
								  const char **rest, size_t *rest_len);

#endif							/* POOLER_PROTO_PAIRS_H */
