/*-------------------------------------------------------------------------
 *
 * evict.h
 *	  Databases that idle pool backends have to leave, because a command
 *	  wants them for itself.
 *
 * Runs in: any backend (asks) and the pooler (obeys).  A few slots in shared
 * memory under a spinlock of their own, which is never held together with
 * another.
 *
 *-------------------------------------------------------------------------
 */
#ifndef POOLER_EVICT_H
#define POOLER_EVICT_H

#include "shared/shmem.h"

/*
 * Asks the pooler to send the idle backends of a database away and to start
 * none, until pooler_evict_end() or the end of this process.  Does not wait.
 * If too many do so at once, this one is left out.
 */
extern void pooler_evict_begin(Oid dbid);

/* Ends all that this process has asked for; cheap if that is nothing. */
extern void pooler_evict_end(void);

/* Tells the pooler that roles or databases have got other settings. */
extern void pooler_tell_defaults_changed(void);

/* Pooler: is anybody, or somebody for this database, asking? */
extern bool pooler_evict_any(void);
extern bool pooler_evict_wanted(Oid dbid);

/* Pooler: forgets what processes that are gone have asked for. */
extern void pooler_evict_forget_dead(void);

#endif							/* POOLER_EVICT_H */
