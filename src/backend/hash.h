/*-------------------------------------------------------------------------
 *
 * hash.h
 *	  Core's private hash tables.
 *
 *-------------------------------------------------------------------------
 */
#ifndef POOLER_BACKEND_HASH_H
#define POOLER_BACKEND_HASH_H

#include "compat.h"

#include "utils/hsearch.h"

/*
 * The table that hash_create() was given this name for; NULL if there is none
 * now.  One that is destroyed and made again must be looked for each time.
 */
extern HTAB *pooler_hash_find(const char *name);

/* The same for one that was made in a context of this name. */
extern HTAB *pooler_hash_find_below(const char *context, const char *name);

#endif							/* POOLER_BACKEND_HASH_H */
