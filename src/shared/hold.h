/*-------------------------------------------------------------------------
 *
 * hold.h
 *	  Which databases are paused or disabled, and whether all are.
 *
 * Runs in: any process reads, the pooler alone writes.  It lies in shared
 * memory and not with the pools, so that it also holds for pools that are
 * opened later, for databases that have none, and for the next pooler if this
 * one ends.  It ends with the server.
 *
 *-------------------------------------------------------------------------
 */
#ifndef POOLER_HOLD_H
#define POOLER_HOLD_H

#include "shared/shmem.h"

/* of a database, or (but for DISABLED) of all */
#define POOLER_HOLD_PAUSED		0x01
#define POOLER_HOLD_SUSPENDED	0x02	/* of all only */
#define POOLER_HOLD_DISABLED	0x04

/*
 * How many of those who have paused it still wait for the last backend to go:
 * a number, counted in these units.
 */
#define POOLER_HOLD_AWAITED_ONCE	0x0100
#define POOLER_HOLD_AWAITED			0xFFFFFF00

/* What was said of this database alone; InvalidOid: of all together. */
extern uint32 pooler_hold_flags(Oid dbid);

/* Is it paused, by itself or with all? */
extern bool pooler_hold_paused(Oid dbid);
extern bool pooler_hold_disabled(Oid dbid);

/* Is any database paused by itself? */
extern bool pooler_hold_any_paused(void);

/*
 * Pooler: clears flags of a database or (InvalidOid) of all, and then sets
 * some.  False if the table is full: then nothing has changed.
 */
extern bool pooler_hold_change(Oid dbid, uint32 set, uint32 clear);

/*
 * The databases that have flags, by their place in the table, from 0 to
 * POOLER_MAX_HOLDS - 1: InvalidOid if a place is free.
 */
extern Oid	pooler_hold_database(int place);

#endif							/* POOLER_HOLD_H */
