/*-------------------------------------------------------------------------
 *
 * lists.h
 *	  The settings that are lists with a grammar of their own.
 *
 * Runs in: any process.  Results are allocated in the memory context of the
 * caller.  Check hooks have refused what can't be taken apart.
 *
 *-------------------------------------------------------------------------
 */
#ifndef POOLER_LISTS_H
#define POOLER_LISTS_H

#include "c.h"

struct List;

/*
 * pooler.prefork as PoolerPreforkItem; NIL if it is empty.
 */
typedef struct PoolerPreforkItem
{
	char	   *database;
	char	   *role;
} PoolerPreforkItem;

extern bool pooler_parse_prefork(const char *value, struct List **items);

/*
 * pooler.aliases as PoolerAlias; NIL if it is empty.  Names are quoted and
 * folded as in SQL and cut to NAMEDATALEN - 1 bytes.
 */
typedef struct PoolerAlias
{
	char	   *alias;
	char	   *database;
	char	   *role;			/* NULL: the one that logs in */
} PoolerAlias;

typedef enum PoolerAliasesError
{
	POOLER_ALIASES_OK,
	POOLER_ALIASES_SYNTAX,
	POOLER_ALIASES_DUPLICATE,	/* *name is given twice */
	POOLER_ALIASES_CONSOLE		/* *name is a name of the console */
} PoolerAliasesError;

extern PoolerAliasesError pooler_parse_aliases(const char *value,
											   struct List **aliases,
											   const char **name);

/* NULL if there is none of that name. */
extern const PoolerAlias *pooler_find_alias(struct List *aliases,
											const char *name);

#endif							/* POOLER_LISTS_H */
