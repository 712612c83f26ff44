/*-------------------------------------------------------------------------
 *
 * state.h
 *	  The state words of clients and backends, and nothing else.
 *
 * Every change of hands in the pooler is one compare-and-swap on one of two
 * kinds of 64-bit words: the client's word says who owns the client's socket,
 * the backend's word says whether the backend can be had and for whom it
 * works.  Generation numbers make a word that was read before a slot was
 * reused fail its compare-and-swap.
 *
 * Runs in: pooler and pool backends.  Pure: no I/O, no ereport.  The model
 * handover.pml beside this file checks the protocol that uses these words.
 *
 *-------------------------------------------------------------------------
 */
#ifndef POOLER_STATE_H
#define POOLER_STATE_H

#include "port/atomics.h"

/*
 * A client's word: state, backend, generation of the slot, serial of the
 * hand-over.  Who moves it, and to what:
 *
 *	          accept                login                 command
 *	FREE ---------------> LOGIN ---------------> IDLE ----------------+
 *	  ^                   |  |                   ^  ^                 |
 *	  |  refused, failed  |  | delegated login,  |  | given back      |
 *	  +-------------------+  | handed to core    |  | by the backend  |
 *	  |                      v                   |  |                 |
 *	  |                   BACKEND(b) ------------+--+                 |
 *	  |                     ^  ^                                      |
 *	  |         ATTACH read |  | popped by the backend itself         |
 *	  |                     |  |                                      |
 *	  |  CLAIMED(b) --------+  +------------ QUEUED <-----------------+
 *	  |      ^                                |  ^                    |
 *	  |      | popped by the pooler,          |  | b died first       |
 *	  |      | or given straight away         |  | (to the head)      |
 *	  |      +--------------------------------+  |                    |
 *	  |      +-----------------------------------+                    |
 *	  |      ^--------------------------------------------------------+
 *	  +---- IDLE, QUEUED (the pooler closes), BACKEND(b) (b has died)
 *
 *	LOGIN ---> CONSOLE ---> FREE
 *	LOGIN ---> BACKEND(b), core logs it in ---> REPLICATION ---> FREE
 *
 * From BACKEND(b) back to LOGIN goes a client that b has only authenticated,
 * because its alias names another role.
 *
 * Only the owner reads, writes or reports an error on the socket: the pooler
 * in LOGIN, IDLE, QUEUED and CONSOLE, nobody in CLAIMED, backend b in
 * BACKEND(b), a walsender that is no pool backend in REPLICATION.
 */
typedef enum PoolerClientState
{
	POOLER_CLIENT_FREE = 0,		/* slot unused; by pooler; next: LOGIN */
	POOLER_CLIENT_LOGIN,		/* by pooler at accept; next: IDLE, BACKEND
								 * (delegated login), CONSOLE, FREE */
	POOLER_CLIENT_IDLE,			/* logged in, watched by the pooler's epoll;
								 * next: QUEUED, CLAIMED, FREE */
	POOLER_CLIENT_QUEUED,		/* sent a command, in the pool's ready queue;
								 * next: BACKEND, CLAIMED, IDLE, FREE */
	POOLER_CLIENT_CLAIMED,		/* being sent to a claimed backend; next:
								 * BACKEND, QUEUED */
	POOLER_CLIENT_BACKEND,		/* attached to (or taken by) a backend; next:
								 * IDLE, QUEUED (nothing read and the backend
								 * died), LOGIN (was only authenticated),
								 * REPLICATION, FREE */
	POOLER_CLIENT_CONSOLE,		/* served by the pooler itself, for as long as
								 * it is connected; next: FREE */
	POOLER_CLIENT_REPLICATION	/* has a walsender, for as long as it is
								 * connected; next: FREE */
} PoolerClientState;

/*
 * A backend's word: state, attached client with its generation and serial,
 * and the "signalled" mark.
 *
 *	                        birth reported
 *	UNUSED ---> STARTING ---------------------> TAKING
 *	   ^           |                           ^  |  ^
 *	   |           | failed                    |  |  |
 *	   +-----------+     queue not empty, or   |  |  | command ended and the
 *	   |                 the client has left   |  |  | queue is not empty
 *	   |                                       |  |  |
 *	   |       +------------------+------------+  |  +----------+
 *	   |       |                  |               |             |
 *	   |     FREE <---------------|---------------+-------> BUSY(c,s)
 *	   |       |             LINGERING(c) <--------------->  ^  ^ |
 *	   |       |                  |         command ended /  |  | |  cancel
 *	   |       |                  |         command came     |  | v
 *	   |       +--> CLAIMED(c) <--+                          |  CANCELLING(c,s)
 *	   |             |   (pooler)                            |
 *	   |             +--- ATTACH ----------------------------+
 *	   |             +--- DETACH: FREE; RELEASE: what it was before
 *	   +--- DEAD <--- any, by the backend on its way out
 *
 * BUSY and PINNED change into each other when a transaction ends whose session
 * can't travel, and when its client sends a command; from PINNED it is TAKING
 * once the client has left.
 *
 * The pooler moves UNUSED->STARTING, FREE|LINGERING->CLAIMED,
 * BUSY<->CANCELLING, STARTING|DEAD->UNUSED; the backend everything else.
 */
typedef enum PoolerBackendState
{
	POOLER_BACKEND_UNUSED = 0,
	POOLER_BACKEND_STARTING,	/* being born; owned by the pooler */
	POOLER_BACKEND_FREE,		/* idle, no client attached */
	POOLER_BACKEND_LINGERING,	/* idle, still watching its last client */
	POOLER_BACKEND_BUSY,		/* works for its client */
	POOLER_BACKEND_TAKING,		/* between two clients, looks at the queue */
	POOLER_BACKEND_CLAIMED,		/* idle, owed a message by the pooler */
	POOLER_BACKEND_CANCELLING,	/* busy, the pooler is about to signal it */
	POOLER_BACKEND_PINNED,		/* idle, but its client can't be taken away */
	POOLER_BACKEND_DEAD			/* process is going, or has gone */
} PoolerBackendState;

#define POOLER_NO_CLIENT		0x7FFFF /* client field of a word without one */
#define POOLER_MAX_CLIENT_SLOTS	0x7FFFF
#define POOLER_MAX_BACKEND_SLOTS 0xFFFF

/* Generations and serials wrap around within their fields. */
#define POOLER_GEN_MASK			0xFFFFF
#define POOLER_SERIAL_MASK		0xFFFFF

/*---------- client words: state 4 | backend 20 | gen 20 | serial 20 ----------*/

static inline uint64
pooler_client_word(PoolerClientState state, uint32 backend, uint32 gen,
				   uint32 serial)
{
	return ((uint64) state << 60) | ((uint64) (backend & 0xFFFFF) << 40) |
		((uint64) (gen & POOLER_GEN_MASK) << 20) |
		(serial & POOLER_SERIAL_MASK);
}

static inline PoolerClientState
pooler_client_word_state(uint64 w)
{
	return (PoolerClientState) (w >> 60);
}

static inline uint32
pooler_client_word_backend(uint64 w)
{
	return (w >> 40) & 0xFFFFF;
}

static inline uint32
pooler_client_word_gen(uint64 w)
{
	return (w >> 20) & POOLER_GEN_MASK;
}

static inline uint32
pooler_client_word_serial(uint64 w)
{
	return w & POOLER_SERIAL_MASK;
}

/*- backend words: state 4 | signalled 1 | client 19 | gen 20 | serial 20 -*/

#define POOLER_BACKEND_SIGNALLED	((uint64) 1 << 59)

static inline uint64
pooler_backend_word(PoolerBackendState state, uint32 client, uint32 gen,
					uint32 serial)
{
	return ((uint64) state << 60) | ((uint64) (client & 0x7FFFF) << 40) |
		((uint64) (gen & POOLER_GEN_MASK) << 20) |
		(serial & POOLER_SERIAL_MASK);
}

static inline PoolerBackendState
pooler_backend_word_state(uint64 w)
{
	return (PoolerBackendState) (w >> 60);
}

static inline uint32
pooler_backend_word_client(uint64 w)
{
	return (w >> 40) & 0x7FFFF;
}

static inline uint32
pooler_backend_word_gen(uint64 w)
{
	return (w >> 20) & POOLER_GEN_MASK;
}

static inline uint32
pooler_backend_word_serial(uint64 w)
{
	return w & POOLER_SERIAL_MASK;
}

/* The same word in another state, without the signalled mark. */
static inline uint64
pooler_backend_word_in(uint64 w, PoolerBackendState state)
{
	return (w & (((uint64) 1 << 59) - 1)) | ((uint64) state << 60);
}

#endif							/* POOLER_STATE_H */
