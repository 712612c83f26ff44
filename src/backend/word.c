/*-------------------------------------------------------------------------
 *
 * word.c
 *	  This backend's word, and what depends on it: leaving BUSY, and the end.
 *
 * Runs in: pool backends.  The diagram of the states is in shared/state.h, who
 * may move the word how in src/README.md.  Whoever moves it from a state in which
 * the pooler may move it, too, uses pooler_word_move() or
 * pooler_word_leave_busy().
 *
 *-------------------------------------------------------------------------
 */
#include "backend/wait.h"

#include <sys/socket.h>
#include <unistd.h>

#include "storage/ipc.h"

void
pooler_word_set(PoolerBackendState state)
{
	uint64		w = pooler_backend_word(state, POOLER_NO_CLIENT, 0, 0);

	if (pooler_me.client >= 0)
		w = pooler_backend_word(state, pooler_me.client, pooler_me.client_gen,
								pooler_me.client_serial);
	pg_atomic_write_u64(&pooler_me.shared->word, w);
}

/* Moves the word unless somebody else has moved it. */
bool
pooler_word_move(PoolerBackendState from, PoolerBackendState to)
{
	uint64		w = pg_atomic_read_u64(&pooler_me.shared->word);

	return pooler_backend_word_state(w) == from &&
		pg_atomic_compare_exchange_u64(&pooler_me.shared->word, &w,
									   pooler_backend_word_in(w, to));
}

PoolerBackendState
pooler_word_state(void)
{
	return pooler_backend_word_state(pg_atomic_read_u64(&pooler_me.shared->word));
}

bool
pooler_worker_has_ended(void)
{
	return pg_atomic_read_u32(&pooler_shared->epoch) != pooler_me.epoch;
}

/*
 * Leaves BUSY.  The pooler may be about to signal us because of the client
 * that we work for: while the word says CANCELLING we wait those
 * microseconds, and where it bears the mark the signal has been sent.  Any
 * system call delivers it; it is meant for the client that is still attached.
 * The word keeps that client until it is given back, whatever the new state:
 * should we die in between, it says whom the pooler has to close.
 */
void
pooler_word_leave_busy(PoolerBackendState state)
{
	uint64		w = pg_atomic_read_u64(&pooler_me.shared->word);
	uint64		next = pooler_backend_word_in(w, state);

	for (;;)
	{
		if (pooler_backend_word_state(w) == POOLER_BACKEND_CANCELLING)
		{
			if (pooler_worker_has_ended())
				break;
			CHECK_FOR_INTERRUPTS();
			SPIN_DELAY();
			w = pg_atomic_read_u64(&pooler_me.shared->word);
			continue;
		}
		if ((w & POOLER_BACKEND_SIGNALLED) != 0)
		{
			(void) getppid();
			QueryCancelPending = false;
			CHECK_FOR_INTERRUPTS();
		}
		if (pg_atomic_compare_exchange_u64(&pooler_me.shared->word, &w, next))
			break;
	}
	pg_memory_barrier();
}

/*---------------------------------------------------------------------------
 * the end of this process
 *---------------------------------------------------------------------------
 */

/*
 * The slot tells what we leave behind; the pooler acts on it when the control
 * socket is closed.  Once the pooler has ended, nobody else shuts the
 * client's socket, of which other backends hold copies.
 */
static void
on_exit_report(int code, Datum arg)
{
	uint64		w;

	if (pooler_me.shared->pid != MyProcPid)
		return;					/* the slot is somebody else's by now */
	pooler_tally_end(code);
	pooler_holdings_forget();
	for (;;)
	{
		w = pg_atomic_read_u64(&pooler_me.shared->word);
		if (pooler_backend_word_state(w) == POOLER_BACKEND_CANCELLING &&
			!pooler_worker_has_ended())
			pg_usleep(10);
		else if (pg_atomic_compare_exchange_u64(&pooler_me.shared->word, &w,
												pooler_backend_word_in(w, POOLER_BACKEND_DEAD)))
			break;
	}
	if (pooler_worker_has_ended() && pooler_me.client >= 0)
		(void) shutdown(MyProcPort->sock, SHUT_RDWR);
}

/* Without a pooler a client has no future here. */
pg_noreturn void
pooler_end_without_pooler(void)
{
	pooler_tally_leaving(POOLER_ENDED_POOLER);
	if (pooler_me.client >= 0 && pooler_word_state() != POOLER_BACKEND_CLAIMED)
		ereport(FATAL,
				(errcode(ERRCODE_ADMIN_SHUTDOWN),
				 errmsg("terminating connection because the pooler has ended")));
	proc_exit(0);
}

void
pooler_word_begin(void)
{
	on_shmem_exit(on_exit_report, (Datum) 0);
}
