/*-------------------------------------------------------------------------
 *
 * birth.h
 *	  How a forked backend becomes a pool backend.
 *
 *-------------------------------------------------------------------------
 */
#ifndef POOLER_BACKEND_BIRTH_H
#define POOLER_BACKEND_BIRTH_H

/* Puts our methods before libpq's, for all children; from _PG_init. */
extern void pooler_birth_init(void);

/* Is this process a backend of the pooler?  (also in any other process) */
extern bool pooler_in_pool_backend(void);

#endif							/* POOLER_BACKEND_BIRTH_H */
