/*-------------------------------------------------------------------------
 *
 * worker.h
 *	  What the rest of the library needs to know of the pooler worker.
 *
 *-------------------------------------------------------------------------
 */
#ifndef POOLER_WORKER_H
#define POOLER_WORKER_H

/* Registers the static background worker; from _PG_init. */
extern void pooler_worker_register(void);

#endif							/* POOLER_WORKER_H */
