/*-------------------------------------------------------------------------
 *
 * delegated.h
 *	  A login that core carries out, from its first look at the rules to its
 *	  verdict.
 *
 * Runs in: pool backends, before they belong to a pool.
 *
 *-------------------------------------------------------------------------
 */
#ifndef POOLER_BACKEND_DELEGATED_H
#define POOLER_BACKEND_DELEGATED_H

#include "postgres.h"

#include "lib/stringinfo.h"

/*
 * The client's socket is in place.  facts are what came with it: pairs of
 * strings, see pooler_login_facts().
 */
extern void pooler_delegated_begin(const char *facts, int len);

/*
 * Core wants to send a message, before its first ReadyForQuery.  True if it
 * must not be sent.  *s and *len may be changed to what is to be sent instead.
 */
extern bool pooler_delegated_see(char type, const char **s, size_t *len);

/*
 * The client has logged in: forgets the password that it has sent, and the keys
 * that core has made of it.
 */
extern void pooler_delegated_end(void);

/* Appends what core alone knows of the login: POOLER_FACT_GSS. */
extern void pooler_delegated_report(StringInfo facts);

#endif							/* POOLER_BACKEND_DELEGATED_H */
