/*-------------------------------------------------------------------------
 *
 * handover.pml
 *	  Model of the hand-over protocol: who owns a client, and when.
 *
 * Runs in: nothing of the server; test/tools/check_model.sh gives it to spin,
 * which tries every interleaving of one pool, its backends, its clients and
 * the worker.  It mirrors state.h (the words), queue.h (the ready queue) and
 * control.h (the frames); change it first, then the C.
 *
 * What one step is.  Whatever one process does between two accesses to shared
 * memory, sockets or epoll is one step here (an atomic sequence), and other
 * processes may run between any two steps.  Sections under the pool's lock
 * are several steps, since client words, `taking' and the length of the queue
 * are also read without it.
 *
 * Memory.  With -DTSO, the stores after which the code reads something else
 * go through a store buffer and become visible later (process StoreBuffer):
 * a backend's word where it is set by a plain store, the worker's stores into
 * queue, flags and cancel_serial.  A compare-and-swap, taking the lock and
 * FENCE empty the own buffer.  So a full barrier that the protocol needs is a
 * FENCE here, and leaving it out makes the check fail.  LINGERING needs none
 * at the end of a command: it is set by compare-and-swap.
 *
 * What is left out: logging in, descriptors and their cache (NEED stands for
 * a cache miss), sessions, the epoch of the worker and its own death, limits
 * on backends, and all time-outs (a time-out of a waiting client is what a
 * hang-up of one is: pooler_queue_remove() and close; a demand for what a
 * backend does is a cancel, which the backend may ignore).  A death is a FATAL:
 * it happens only where a backend serves interrupts.  A crash restarts the
 * whole server.  The end of file of a backend comes after its exit callback
 * has set DEAD; only the worker sets PAUSED and raises drain_gen.
 *
 * Rules that the checks have shown to be needed, with the mutations that
 * leave them out:
 *	 - whoever goes idle re-checks the queue, with a barrier between (1, 3,
 *		4), and drain_gen (15, 27); a paused queue counts as empty (22), and
 *		nothing is born for it (28);
 *	 - push, put-back and new flags end with a barrier before backends' words
 *		are read (2, 23);
 *	 - a scan may be left out after a push only if the queue was found, under
 *		the lock of this very push, not to be empty (13); births are tried
 *		nevertheless;
 *	 - when a queued client is watched for hang-up, its word is looked at once
 *		more afterwards (14);
 *	 - IDLE is stored before the client is re-armed, with no interrupt served
 *		in between (5, 21);
 *	 - a pop notes `taking' under the lock (7, 8); at a death it counts only
 *		if the client's word names the dead backend (16), and the client goes
 *		to the head (6);
 *	 - BUSY is left, also by the exit callback, by compare-and-swap from BUSY,
 *		never from CANCELLING (9, 19);
 *	 - a signal that was sent is consumed before the next client (10), and not
 *		only where BUSY is left, since a second one may come there unseen
 *		(25); but before BUSY is set again, or the next client's is lost (24);
 *	 - cancel_serial is tested once per hand-over, after BUSY and a barrier
 *		(11, 12), not again when a lingered client goes on (18); whatever it
 *		holds is wiped out then (20);
 *	 - a client that is CANCELLED stays with the backend's word on it, and not
 *		armed, until the worker has read the frame (17, 26).
 *
 * Checked in every configuration:
 *	 1. No client has two owners; each command is run once, or its client was
 *		closed or its command cancelled.
 *	 2. No lost wake-up: when nothing moves any more, a client that waits does
 *		so because the pool is paused or each backend is in a transaction that
 *		lasts for ever (HANG).  Nothing else waits for anybody.
 *	 3. First come, first served.
 *	 4. A cancel's signal hits only the client it was meant for; a cancel that
 *		finds its client between queue and backend is not forgotten.
 *	 5. A backend that dies loses only the client it works for.
 *	 6. Nothing belongs to a slot's former client.
 *	 7. Once PAUSE has been answered, no transaction begins before RESUME; and
 *		PAUSE is answered unless a transaction lasts for ever.
 *	 8. With -DNP: there is no endless execution, so everything above is
 *		reached (no two processes chase each other for ever).
 *
 *-------------------------------------------------------------------------
 */

/*---------- the configuration; see check_model.sh ----------*/

#ifndef NC
#define NC		2			/* clients: 2 or 3 */
#endif
#ifndef NB
#define NB		2			/* backends: 1 or 2 */
#endif
#ifndef NCMD
#define NCMD	1			/* commands that each client sends */
#endif
#ifndef EXTRA
#define EXTRA	0			/* ... and client 0 so many more */
#endif
#ifndef DEATHS
#define DEATHS	0			/* up to so many backends die */
#endif
#ifndef HUPS
#define HUPS	0			/* ... clients hang up, at any moment */
#endif
#ifndef KILLS
#define KILLS	0			/* ... idle clients are closed by the worker, or
							 * taken from a lingering backend for that */
#endif
#ifndef REUSE
#define REUSE	0			/* ... new clients get the slot of a closed one */
#endif
#ifndef CANCELS
#define CANCELS	0			/* ... cancel requests */
#endif
#ifndef PAUSES
#define PAUSES	0			/* ... PAUSEs, each with or without a RESUME */
#endif
#ifndef NOTICES
#define NOTICES	0			/* ... times a client that waits is told so */
#endif
#ifndef EXITS
#define EXITS	0			/* ... backends are told to go, or go by
							 * themselves between two clients */
#endif
#ifndef HALVES
#define HALVES	0			/* ... commands come in two pieces to a
							 * lingering backend */
#endif
#ifndef SERIALS
#define SERIALS	2			/* where serials wrap around */
#endif
/*
 * HANG		a transaction may last for ever
 * NEEDS	a popped client's descriptor may not be cached
 * BATCH	events are fetched from epoll some time before they are handled
 * UNBORN	no backend exists at first
 * SKIP_SCAN the optimisation: no scan after a push to a queue that was found,
 *			under the lock, not to be empty
 *
 * Mutations: each leaves out one rule, and check_model.sh makes sure that
 * this is noticed.
 */
#ifdef MUTATION_1
#define NO_BARRIER_AFTER_FREE		/* between going idle and the re-check */
#endif
#ifdef MUTATION_2
#define NO_BARRIER_AFTER_PUSH		/* between push and scan */
#endif
#ifdef MUTATION_3
#define NO_RECHECK_AFTER_FREE		/* the re-check after FREE itself */
#endif
#ifdef MUTATION_4
#define NO_RECHECK_AFTER_LINGERING
#endif
#ifdef MUTATION_5
#define REARM_BEFORE_WORD			/* client watched before it is IDLE */
#endif
#ifdef MUTATION_6
#define PUT_BACK_AT_TAIL			/* of a dead backend's unread client */
#endif
#ifdef MUTATION_7
#define FORGET_TAKING				/* pop does not note the client */
#endif
#ifdef MUTATION_8
#define POP_WITHOUT_LOCK
#endif
#ifdef MUTATION_9
#define NO_WAIT_FOR_CANCELLING		/* backend leaves it by a store */
#endif
#ifdef MUTATION_10
#define NO_CONSUME_SIGNAL			/* what was sent is left pending */
#define NO_CLEAR_BEFORE_BUSY
#endif
#ifdef MUTATION_11
#define NO_BARRIER_BEFORE_CANCEL_TEST
#endif
#ifdef MUTATION_12
#define NO_BARRIER_AFTER_CANCEL		/* worker: cancel_serial, then b's word */
#endif
#ifdef MUTATION_13
#define SKIP_SCAN_ON_HINT			/* the optimisation, decided too early */
#endif
#ifdef MUTATION_14
#define NO_LOOK_AFTER_WATCH			/* was it IDLE when the watch was set? */
#endif
#ifdef MUTATION_15
#define LINGER_IGNORES_DRAIN		/* drain_gen not read after LINGERING */
#endif
#ifdef MUTATION_16
#define TRUST_TAKING				/* at a death, without the client's word */
#endif
#ifdef MUTATION_17
#define CANCELLED_IDLE
#define CANCEL_REARMS				/* CANCELLED client is given back armed */
#endif
#ifdef MUTATION_18
#define TEST_CANCEL_AFTER_LINGERING	/* cancel meant for an earlier command */
#endif
#ifdef MUTATION_19
#define EXIT_IGNORES_CANCELLING		/* dies while it is being signalled */
#endif
#ifdef MUTATION_20
#define KEEP_OLD_CANCEL				/* cancel_serial of an earlier hand-over */
#endif
#ifdef MUTATION_21
#define DIE_BEFORE_REARM			/* interrupts served while giving back */
#endif
#ifdef MUTATION_22
#define MAYBE		(hint > 0)		/* the hint leaves out the flag */
#endif
#ifdef MUTATION_23
#define NO_BARRIER_AFTER_FLAGS		/* between setting them and the scan */
#endif
#ifdef MUTATION_24
#define CLEAR_AFTER_BUSY			/* QueryCancelPending */
#endif
#ifdef MUTATION_25
#define NO_CLEAR_BEFORE_BUSY		/* consumed only where BUSY is left */
#endif
#ifdef MUTATION_26
#define CANCELLED_IDLE				/* CANCELLED client is IDLE at once */
#endif
#ifdef MUTATION_27
#define FREE_IGNORES_DRAIN			/* drain_gen not read after FREE */
#endif
#ifdef MUTATION_28
#define BORN_WHILE_PAUSED
#endif
#ifndef MAYBE
#define MAYBE		(hint > 0 && !paused)	/* pooler_queue_maybe() */
#endif

/*---------- states (state.h) ----------*/

#define NONE		7

/* client words */
#define C_FREE		0
#define C_IDLE		1
#define C_QUEUED	2
#define C_CLAIMED	3
#define C_BACKEND	4

/* backend words */
#define B_UNUSED	0
#define B_STARTING	1
#define B_FREE		2
#define B_LINGERING	3
#define B_BUSY		4
#define B_TAKING	5
#define B_CLAIMED	6
#define B_CANCELLING 7
#define B_DEAD		8
#define NOSTORE		15			/* store buffer: nothing in it */

/* what the worker's epoll watches a client for (one-shot) */
#define A_NOT		0
#define A_HUP		1			/* EPOLLRDHUP */
#define A_IN		2			/* EPOLLIN | EPOLLRDHUP */

mtype = { ATTACH, CLIENT, GONE, DETACH, RELEASE, EXIT,	/* to the backend */
		  NEED, CANCELLED, END_OF_FILE };				/* to the worker */

/*---------- shared memory ----------*/

/* client words; the serial is that of the hand-over */
byte cst[NC], cbk[NC], cgen[NC], cser[NC];
byte ccancel[NC];				/* cancel_serial: serial + 1, or 0 */

/* backend words */
byte bst[NB], bcl[NB], bgen[NB], bser[NB];
bit bsig[NB];					/* the signalled mark */
byte tak[NB], takgen[NB];		/* `taking' */

/* the pool: queue[0] is the head */
bit lock;
byte queue[NC], qlen;			/* under the lock */
byte hint;						/* nwaiting: written under the lock */
bit paused;						/* written under the lock */
bit old[NB];					/* the pool's drain_gen is not the backend's */

/*---------- sockets, epoll, signals ----------*/

bit pend[NC];					/* a command lies in the client's socket */
bit hup[NC];					/* the client has hung up */
byte arm[NC];					/* epoll: A_* */
bit watched[NC];				/* worker: hang-up watch has been set */
byte sigc[NB], siggen[NB];		/* SIGINT pending, and whom it is meant for */

chan ctl[NB] = [1] of { mtype, byte, byte };	/* frame, client, gen */
chan up[NB] = [2] of { mtype, byte, byte };

/*---------- ghosts: what only the checks look at ----------*/

bit alive[NC];					/* slot has a client */
byte left[NC];					/* commands it will still send */
byte sent[NC];					/* 0 idle, 1 sent a command, 2 it is run */
byte held[NC];					/* backends that may touch its socket */
bit fresh[NC];					/* handed over, its command not read yet */
bit want[NC];					/* a cancel relies on the backend's test */
bit marked[NC];					/* cancel_serial is of this hand-over */
bit putb[NC];					/* was put back at the head */
byte order[NC], norder;			/* clients in order of their readiness */
bit scanning;					/* the worker looks for idle backends */
bit pausing;					/* PAUSE has not been answered yet */
bit pausedone;					/* it has */
bit gone[NB];					/* the process has ended */

byte deaths, hups, kills, reuse, cancels, pauses, resumes, notices, exits, halves;

hidden byte k, n;				/* scratch within one step */

/*
 * Store buffers.  The worker's holds one of: the end of a push or put-back
 * (nwaiting, then the unlocking), new flags (then the unlocking), a
 * cancel_serial.
 */
#define W_EMPTY		0
#define W_QUEUE		1
#define W_FLAGS		2
#define W_CANCEL	3
#ifdef TSO
byte pst[NB] = NOSTORE, pcl[NB], pgen[NB], pser[NB];
byte wbuf, wclient, wvalue;
#endif

#ifdef TSO
inline drain(x)					/* what x has stored becomes visible */
{
	if
	:: pst[x] != NOSTORE ->
		bst[x] = pst[x]; bcl[x] = pcl[x];
		bgen[x] = pgen[x]; bser[x] = pser[x]; bsig[x] = 0;
		pst[x] = NOSTORE; pcl[x] = 0; pgen[x] = 0; pser[x] = 0
	:: else
	fi
}

inline wdrain()
{
	if
	:: wbuf == W_QUEUE -> hint = qlen; lock = 0
	:: wbuf == W_FLAGS -> paused = wvalue; lock = 0
	:: wbuf == W_CANCEL -> ccancel[wclient] = wvalue
	:: else
	fi;
	wbuf = W_EMPTY; wclient = 0; wvalue = 0
}

/* what the worker itself reads back */
#define WHINT	(wbuf == W_QUEUE -> qlen : hint)
#define WPAUSED	(wbuf == W_FLAGS -> wvalue : paused)
#else
#define WHINT	hint
#define WPAUSED	paused
inline drain(x)	{ skip }
inline wdrain()	{ skip }
#endif

/* pg_memory_barrier(), in backend b and in the worker */
#define FENCE	atomic { drain(b) }
#define WFENCE	atomic { wdrain() }

/* A plain store of a backend's own word. */
inline put_word(x, st, c, g)
{
#ifdef TSO
	drain(x);
	pst[x] = st; pcl[x] = c;
	if
	:: c != NONE -> pgen[x] = g; pser[x] = cser[c]
	:: else
	fi
#else
	bst[x] = st; bcl[x] = c; bsig[x] = 0;
	if
	:: c != NONE -> bgen[x] = g; bser[x] = cser[c]
	:: else -> bgen[x] = 0; bser[x] = 0
	fi
#endif
}

/* The word becomes st without a client, as the success of a CAS. */
inline set_word(x, st)
{
	bst[x] = st; bcl[x] = NONE; bgen[x] = 0; bser[x] = 0; bsig[x] = 0
}

/* Serials matter to cancels alone; else they would only multiply states. */
inline next_serial(c)
{
#if CANCELS > 0
	cser[c] = (cser[c] + 1) % SERIALS
#else
	skip
#endif
}

/*---------- ghost: order of arrival ----------*/

inline order_leave(c)
{
	putb[c] = 0;
	k = 0;
	do
	:: k < norder && order[k] != c -> k++
	:: else -> break
	od;
	if
	:: k < norder ->
		norder--;
		do
		:: k < norder -> order[k] = order[k + 1]; k++
		:: else -> break
		od;
		order[norder] = 0
	:: else
	fi
}

/*
 * d leaves the queue for a backend: nobody who came earlier still waits.  Two
 * clients that were both put back may have changed places, if the later one's
 * backend died first.
 */
inline check_fifo(d)
{
	k = 0;
	do
	:: k < norder && order[k] != d ->
		assert(cst[order[k]] != C_QUEUED ||
			   (putb[order[k]] && putb[d]));
		k++
	:: else -> break
	od;
	assert(k < norder)
}

/*---------- the ready queue ----------*/

inline unlink_client(d)
{
	k = 0;
	do
	:: k < qlen && queue[k] != d -> k++
	:: else -> break
	od;
	assert(k < qlen);			/* unlinked twice */
	qlen--;
	do
	:: k < qlen -> queue[k] = queue[k + 1]; k++
	:: else -> break
	od;
	queue[qlen] = 0;
	hint = qlen
}

/*
 * pooler_queue_pop() in three steps: the head is read, it is unlinked, words
 * and `taking' are set.  d is NONE if there was nothing to take.
 */
inline pop(x, d, state)
{
	atomic {
#ifndef POP_WITHOUT_LOCK
		lock == 0 -> lock = 1;
#endif
		if
		:: state == C_CLAIMED -> wdrain()
		:: else -> drain(x)
		fi;
		d = ((qlen > 0 && !paused) -> queue[0] : NONE)
	}
	if
	:: atomic { d != NONE -> check_fifo(d); unlink_client(d) }
		atomic {
			cst[d] = state; cbk[d] = x; next_serial(d);
			fresh[d] = 1;
#ifndef FORGET_TAKING
			tak[x] = d; takgen[x] = cgen[d];
#endif
#ifndef POP_WITHOUT_LOCK
			lock = 0
#endif
		}
	:: atomic {
			d == NONE;
#ifndef POP_WITHOUT_LOCK
			lock = 0
#endif
		}
	fi
}

/*
 * A client's slot becomes free: EPOLL_CTL_DEL, shutdown, close.  In the
 * worker only.
 */
inline close_client(c)
{
	assert(held[c] == 0);
	cst[c] = C_FREE; cbk[c] = 0; cser[c] = 0; ccancel[c] = 0;
#if REUSE > 0 || defined(BATCH)
	cgen[c] = (cgen[c] + 1) % 4;
#endif
	arm[c] = A_NOT;
	alive[c] = 0; pend[c] = 0; hup[c] = 0; sent[c] = 0; left[c] = 0;
	fresh[c] = 0; want[c] = 0; marked[c] = 0;
	order_leave(c)
}

/*
 * The worker answers a client's unread command with 57014: one 'Q' or 'F' is
 * dropped, or all up to and with a Sync.
 */
inline drop_command(c)
{
	assert(held[c] == 0 && pend[c]);
	cst[c] = C_IDLE; cbk[c] = 0;
	pend[c] = 0; sent[c] = 0; ccancel[c] = 0;
	fresh[c] = 0; want[c] = 0; marked[c] = 0;
	order_leave(c);
	arm[c] = A_IN
}

/*=========================================================================
 * The worker: one event loop, so its handlers never overlap.
 *=========================================================================*/

/* Forgets the handler's variables, so that equal states look equal. */
inline done()
{
	c = 0; i = 0; g = 0; h = 0; x = 0; d = 0;
	rs = 0; rc = 0; rg = 0; rr = 0; ok = 0; was = 0
}

/*
 * FREE|LINGERING -> CLAIMED: reads the word, then compares and swaps.  A lost
 * swap is not tried again: a backend that has become idle since the push will
 * look at the queue itself.
 */
inline try_claim(x, ok)
{
	atomic { rs = bst[x]; rc = bcl[x]; rg = bgen[x]; rr = bser[x] }
	if
	:: (rs == B_FREE || rs == B_LINGERING) ->
		atomic {
			wdrain();
			ok = (bst[x] == rs && bcl[x] == rc && bgen[x] == rg &&
				  bser[x] == rr);
			if
			:: ok -> bst[x] = B_CLAIMED
			:: else
			fi;
			rs = 0; rc = 0; rg = 0; rr = 0
		}
	:: else -> atomic { ok = 0; rs = 0; rc = 0; rg = 0; rr = 0 }
	fi
}

/*
 * After each push, put-back, RESUME and death.  One pass is enough: a backend
 * that was busy when it was looked at re-checks the queue when it goes idle.
 */
inline dispatch()
{
	scanning = 1;
	i = 0;
	do
	:: i < NB && WHINT > 0 && !WPAUSED ->
		try_claim(i, ok);
		if
		:: ok ->
			pop(i, d, C_CLAIMED);
			if
			:: d != NONE -> ctl[i]!ATTACH,d,cgen[d]
			:: else -> ctl[i]!RELEASE,0,0
			fi
		:: else
		fi;
		atomic { ok = 0; d = 0; i++ }
	:: else -> break
	od;
	spawn()
}

/* Somebody still waits: is there room for another backend? */
inline spawn()
{
	atomic {
		scanning = 0;
#ifdef BORN_WHILE_PAUSED
		n = WHINT;
#else
		n = (WPAUSED -> 0 : WHINT);
#endif
		k = 0;
		do
		:: k < NB ->			/* those under way */
			n = ((n > 0 && bst[k] == B_STARTING) -> n - 1 : n);
			k++
		:: else -> break
		od;
		k = 0;
		do
		:: k < NB && n > 0 ->
			if
			:: bst[k] == B_UNUSED ->
				bst[k] = B_STARTING; gone[k] = 0; old[k] = 0; n--
			:: else
			fi;
			k++
		:: else -> break
		od
	}
}

/* pooler_queue_push() and pooler_queue_put_back(), with their barrier. */
inline enqueue(c, at_head)
{
	atomic { lock == 0 -> wdrain(); lock = 1; was = (qlen > 0) }
	atomic {
		scanning = 1;
		if
		:: at_head ->
			k = qlen;
			do
			:: k > 0 -> queue[k] = queue[k - 1]; k--
			:: else -> break
			od;
			queue[0] = c;
			putb[c] = 1
		:: else -> queue[qlen] = c
		fi;
		qlen++;
		cst[c] = C_QUEUED; cbk[c] = 0; fresh[c] = 0; marked[c] = 0;
#ifdef TSO
		wbuf = W_QUEUE
#else
		hint = qlen; lock = 0
#endif
	}
#ifndef NO_BARRIER_AFTER_PUSH
	WFENCE
#endif
}

#if NB > 1
#define ALL_GONE	(bst[0] == B_UNUSED && bst[1] == B_UNUSED)
#else
#define ALL_GONE	(bst[0] == B_UNUSED)
#endif

proctype Worker()
{
	byte c, i, g, x, d;
	byte rs, rc, rg, rr;		/* a backend's word as read */
	bit h, ok, was;
#ifdef BATCH
	chan events = [2] of { byte, byte, bit };
#endif

end_loop:
	do
	/*----- epoll: a client's one-shot event fires and disarms it -----*/
#ifdef BATCH
#define FETCH(C) \
	:: atomic { ((arm[C] == A_IN && (pend[C] || hup[C])) || \
				 (arm[C] == A_HUP && hup[C])) && nfull(events) -> \
				arm[C] = A_NOT; events!C,cgen[C],hup[C] }
#else
#define FETCH(C) \
	:: atomic { (arm[C] == A_IN && (pend[C] || hup[C])) || \
				(arm[C] == A_HUP && hup[C]) -> \
				arm[C] = A_NOT; c = C; g = cgen[C]; h = hup[C] } \
		goto event
#endif
	FETCH(0)
	FETCH(1)
#if NC > 2
	FETCH(2)
#endif
#ifdef BATCH
	:: events?c,g,h -> goto event
#endif

	/*----- a backend says something -----*/
#define HEAR(X) \
	:: atomic { up[X]?NEED,c,g -> x = X } goto need; \
	:: atomic { up[X]?CANCELLED,c,g -> x = X } goto cancelled; \
	:: atomic { up[X]?END_OF_FILE,_,_ -> x = X } goto died
	HEAR(0)
#if NB > 1
	HEAR(1)
#endif

#if HUPS > 0
	/*----- somebody waits; not twice for one event -----*/
#define WATCH(C) \
	:: atomic { cst[C] == C_QUEUED && !watched[C] -> \
				watched[C] = 1; c = C } \
		goto watch_waiting
	WATCH(0)
	WATCH(1)
#if NC > 2
	WATCH(2)
#endif
#endif
#if CANCELS > 0
	/*----- a cancel request for any client -----*/
	:: atomic { cancels > 0 && alive[0] -> cancels--; c = 0 } goto cancel
	:: atomic { cancels > 0 && alive[1] -> cancels--; c = 1 } goto cancel
#endif
#if KILLS > 0
	/*----- idle_session_timeout or KILL of a client that we own -----*/
	:: atomic { kills > 0 && cst[0] == C_IDLE -> kills--; close_client(0) }
	:: atomic { kills > 0 && cst[1] == C_IDLE -> kills--; close_client(1) }
	:: atomic { kills > 0 -> kills-- } goto kill_lingering
#endif
#if REUSE > 0
	/*----- accept: a new client in an old slot -----*/
#define ACCEPT(C) \
	:: atomic { reuse > 0 && cst[C] == C_FREE -> \
				reuse--; cst[C] = C_IDLE; alive[C] = 1; left[C] = 1; \
				arm[C] = A_IN }
	ACCEPT(0)
	ACCEPT(1)
#endif
#if EXITS > 0
	:: atomic { exits > 0 -> exits-- } goto retire
#endif
#if PAUSES > 0
	:: atomic { pauses > 0 && !paused -> pauses-- } goto pause
	:: atomic { pausing && ALL_GONE -> pausing = 0; pausedone = 1 }
	:: atomic { resumes > 0 && paused -> resumes--; pausing = 0; pausedone = 0 }
		goto resume
#endif
#if NOTICES > 0
	:: atomic { notices > 0 && WHINT > 0 && !paused -> notices-- } goto notice
#endif
	od;

/*----------
 * A client is readable or has hung up.  The event may be stale: the word and
 * the socket decide, not what the event says.
 *----------
 */
event:
	atomic {
		if
		:: cgen[c] == g && cst[c] == C_IDLE ->
			assert(held[c] == 0);	/* we are about to peek at its socket */
			if
			:: pend[c] -> goto ready
			:: !pend[c] && hup[c] -> close_client(c)
			:: else -> arm[c] = A_IN
			fi
#if HUPS > 0
		:: cgen[c] == g && cst[c] == C_QUEUED ->
			watched[c] = 0;
			if
			:: h -> goto hung_up
			:: else
			fi
#endif
		:: else					/* its backend will notice, or its end */
		fi;
		done()
	}
	goto end_loop;

/* A client has hung up while it waits: dropped unless somebody took it. */
hung_up:
	atomic { lock == 0 -> wdrain(); lock = 1; ok = (cst[c] == C_QUEUED) }
	if
	:: ok -> atomic { unlink_client(c) }
		atomic { cst[c] = C_IDLE; lock = 0 }
		atomic { close_client(c); done() }
	:: else -> atomic { lock = 0; done() }
	fi;
	goto end_loop;

#if HUPS > 0
/*----------
 * c has waited for a while: it is watched for hang-up alone.  It may be taken
 * and given back at any moment, and our EPOLL_CTL_MOD may have undone its
 * backend's; but then its word says IDLE by now.
 *----------
 */
watch_waiting:
	atomic { arm[c] = A_HUP }
	atomic {
#ifndef NO_LOOK_AFTER_WATCH
		if
		:: cst[c] == C_IDLE -> arm[c] = A_IN
		:: else
		fi;
#endif
		done()
	}
	goto end_loop;
#endif

/* A client that we own has sent a command. */
ready:
	atomic {
		order[norder] = c; norder++; scanning = 1;
#if HUPS > 0
		watched[c] = 0
#endif
	}
	if
	:: WHINT == 0 && !WPAUSED ->
		/* nobody waits: is a backend idle? */
		do
		:: i < NB ->
			try_claim(i, ok);
			if
			:: ok ->
				atomic {
					assert(qlen == 0);		/* else it would jump the queue */
					next_serial(c);
					cst[c] = C_CLAIMED; cbk[c] = i; fresh[c] = 1;
					tak[i] = c; takgen[i] = cgen[c];
					ctl[i]!ATTACH,c,cgen[c];
					scanning = 0;
					done()
				}
				goto end_loop
			:: else -> i++
			fi
		:: else -> break
		od
	:: else
	fi;
#ifdef SKIP_SCAN_ON_HINT
	g = WHINT;
#endif
	i = 0;
	enqueue(c, false);
	if
#ifdef SKIP_SCAN
	:: was -> spawn()
#endif
#ifdef SKIP_SCAN_ON_HINT
	:: g > 0 -> spawn()
#endif
	:: else -> dispatch()
	fi;
	atomic { done() }
	goto end_loop;

/*----------
 * NEED: backend x has popped client c and has no descriptor of it.  If the
 * worker knows by now that the client has left, it may close it: nothing was
 * read, and x can't touch the socket.  x learns of it by GONE and may die
 * before that: then its `taking' names a slot that is somebody else's.
 *----------
 */
need:
	atomic {
		assert(cst[c] == C_BACKEND && cbk[c] == x && cgen[c] == g);
		if
		:: hup[c] -> close_client(c); ctl[x]!GONE,c,g
		:: ctl[x]!CLIENT,c,g
		fi;
		done()
	}
	goto end_loop;

/*----------
 * CANCELLED: x gives c back unread, since a cancel was waiting for it.  Its
 * word stays BACKEND(x) and it is not armed until we have read this: were it
 * IDLE already, an event (that it has hung up, say, for which it was watched
 * while it waited) could start its command once more before we know that it
 * was cancelled; and if x could not send the frame, it would be nobody's.
 *----------
 */
cancelled:
	atomic {
#ifdef CANCELLED_IDLE
		if
		:: cst[c] == C_IDLE && cgen[c] == g && pend[c] ->
#else
		assert(cst[c] == C_BACKEND && cbk[c] == x && cgen[c] == g);
		if
		:: true ->
#endif
			drop_command(c)
#ifdef CANCELLED_IDLE
		:: else
#endif
		fi;
		done()
	}
	goto end_loop;

/*----------
 * End of file from backend x.  All frames that it sent have been read before.
 * The client that x was taking has not been read from and goes to the head of
 * the queue; `taking' alone proves nothing: see NEED.  The client in x's word
 * is closed if its own word still names x.
 *----------
 */
died:
	atomic {
		do						/* frames that nobody will read */
		:: ctl[x]?_,_,_
		:: empty(ctl[x]) -> break
		od;
		d = NONE;
#ifdef TRUST_TAKING
		d = tak[x];
#endif
		if
		:: tak[x] != NONE && takgen[x] == cgen[tak[x]] &&
		   (cst[tak[x]] == C_CLAIMED || cst[tak[x]] == C_BACKEND) &&
		   cbk[tak[x]] == x -> d = tak[x]
		:: else
		fi
	}
	if
	:: d != NONE && ccancel[d] == cser[d] + 1 && cst[d] != C_FREE ->
		/* a cancel was waiting for the backend's test: as CANCELLED */
		atomic { drop_command(d) }
	:: d != NONE && ccancel[d] != cser[d] + 1 ->
		atomic { assert(!want[d]); ccancel[d] = 0 }
#ifdef PUT_BACK_AT_TAIL
		enqueue(d, false);
#else
		enqueue(d, true);
#endif
	:: else
	fi;
	atomic {
		if
		:: bcl[x] != NONE && cst[bcl[x]] == C_BACKEND && cbk[bcl[x]] == x &&
		   cgen[bcl[x]] == bgen[x] -> close_client(bcl[x])
		:: else
		fi;
		i = 0;
		do
		:: i < NC ->			/* nobody else was with it */
			assert((cst[i] != C_CLAIMED && cst[i] != C_BACKEND) ||
				   cbk[i] != x);
			i++
		:: else -> break
		od;
		i = 0; d = 0;
		tak[x] = NONE; takgen[x] = 0; set_word(x, B_UNUSED)
	}
	dispatch();
	atomic { done() }
	goto end_loop;

#if CANCELS > 0
/*----------
 * A cancel request for client c.  (design, section 6)
 *----------
 */
cancel:
	atomic {
		if
		:: cst[c] == C_QUEUED -> ok = 0; goto cancel_queued
		:: cst[c] == C_CLAIMED || cst[c] == C_BACKEND ->
			x = cbk[c]; g = cgen[c]; rr = cser[c]; marked[c] = 1;
#ifdef TSO
			wdrain(); wbuf = W_CANCEL; wclient = c; wvalue = cser[c] + 1
#else
			ccancel[c] = cser[c] + 1
#endif
		:: else -> done(); goto end_loop	/* idle: nothing to cancel */
		fi
	}
#ifndef NO_BARRIER_AFTER_CANCEL
	WFENCE
#endif
	atomic {
		if
		:: bst[x] == B_BUSY && bcl[x] == c && bgen[x] == g && bser[x] == rr ->
			wdrain();
			bst[x] = B_CANCELLING		/* by CAS; if lost, read again */
		:: bst[x] == B_LINGERING && bcl[x] == c ->
			done(); goto end_loop			/* idle */
		:: else ->
			/*
			 * Left to the backend: either it has not begun with c, and will
			 * find our mark, or it has finished.
			 */
			if
			:: fresh[c] && cst[c] != C_QUEUED -> want[c] = 1
			:: else
			fi;
			done(); goto end_loop
		fi
	}
	atomic {
		assert(!gone[x]);				/* its pid could be somebody else's */
		sigc[x] = c; siggen[x] = g		/* kill(SIGINT) */
	}
	atomic {
		if
		:: bst[x] == B_CANCELLING -> bst[x] = B_BUSY; bsig[x] = 1
		:: else
		fi;
		done()
	}
	goto end_loop;

cancel_queued:
	atomic { lock == 0 -> wdrain(); lock = 1; ok = (cst[c] == C_QUEUED) }
	if
	:: ok ->
		atomic { unlink_client(c) }
		atomic { cst[c] = C_IDLE; lock = 0 }
		atomic { drop_command(c); done() }
	:: else ->
		atomic { lock = 0 }
		goto cancel					/* taken meanwhile: read the word again */
	fi;
	goto end_loop;
#endif

#if KILLS > 0
/* A client is to be ended on which a backend lingers: it is given back. */
kill_lingering:
	do
	:: i < NB ->
		if
		:: bst[i] == B_LINGERING ->
			try_claim(i, ok);
			if
			:: ok -> ctl[i]!DETACH,0,0; break
			:: else
			fi
		:: else
		fi;
		i++
	:: else -> break
	od;
	atomic { done() }
	goto end_loop;
#endif

#if EXITS > 0
/* server_lifetime and the like: an idle backend goes. */
retire:
	do
	:: i < NB ->
		try_claim(i, ok);
		if
		:: ok -> ctl[i]!EXIT,0,0; break
		:: else -> i++
		fi
	:: else -> break
	od;
	atomic { done() }
	goto end_loop;
#endif

#if PAUSES > 0
/*----------
 * PAUSE: from now on nothing is popped and no backend is born.  Those that
 * there are go: the idle ones are told to, the others see from drain_gen that
 * they have to.  It is raised by an atomic addition, which is a full barrier.
 *----------
 */
pause:
	atomic { lock == 0 -> wdrain(); lock = 1 }
	atomic {
#ifdef TSO
		wbuf = W_FLAGS; wvalue = 1
#else
		paused = 1; lock = 0
#endif
	}
#ifndef NO_BARRIER_AFTER_FLAGS
	WFENCE
#endif
	atomic {
		wdrain();
		pausing = 1;
		k = 0;
		do
		:: k < NB -> old[k] = (bst[k] != B_UNUSED); k++
		:: else -> break
		od
	}
	do
	:: i < NB ->
		try_claim(i, ok);
		if
		:: ok -> ctl[i]!EXIT,0,0
		:: else
		fi;
		i++
	:: else -> break
	od;
	atomic { done() }
	goto end_loop;

#endif

#if NOTICES > 0
/*----------
 * One that waits is spoken to: it must stay in the queue for that long, so
 * nothing is popped.  (The flag is another one, with the same effect.)
 *----------
 */
notice:
	atomic { lock == 0 -> wdrain(); lock = 1 }
	atomic {
#ifdef TSO
		wbuf = W_FLAGS; wvalue = 1
#else
		paused = 1; lock = 0
#endif
	}
	WFENCE;
	goto resume;
#endif

#if PAUSES > 0 || NOTICES > 0
resume:
	atomic { lock == 0 -> wdrain(); lock = 1 }
	atomic {
#ifdef TSO
		wbuf = W_FLAGS; wvalue = 0;
#else
		paused = 0; lock = 0;
#endif
		scanning = 1
	}
#ifndef NO_BARRIER_AFTER_FLAGS
	WFENCE
#endif
	dispatch();
	atomic { done() }
	goto end_loop;
#endif
}

/*=========================================================================
 * A backend.
 *=========================================================================*/

/* FATAL: only where interrupts are served. */
#if DEATHS > 0
#define DIES	:: atomic { deaths > 0 -> deaths-- } goto die
#define MAY_DIE	if :: atomic { deaths > 0 -> deaths-- } goto die :: true fi;
#define MAY_DIE_HOLDING_NOTHING \
	if :: atomic { deaths > 0 -> deaths--; cur = NONE } goto die :: true fi;
#else
#define DIES
#define MAY_DIE
#define MAY_DIE_HOLDING_NOTHING
#endif

/*
 * Gives the client back: the word, then the re-arming as the very last act.
 * No interrupt may be served in between: a FATAL there would leave a client
 * that nobody watches.  The worker may close the client in between and give
 * the slot away: our descriptor is that of the old file then, and the
 * re-arming finds nothing.
 */
#define REARM \
	if \
	:: cgen[cur] == cg && cst[cur] != C_FREE -> arm[cur] = A_IN \
	:: else \
	fi

inline give_back()
{
#ifdef REARM_BEFORE_WORD
	atomic { REARM }
#endif
	atomic {
		assert(cst[cur] == C_BACKEND && cbk[cur] == b && cgen[cur] == cg &&
			   held[cur] == 1);
		held[cur]--; marked[cur] = 0;
		cst[cur] = C_IDLE; cbk[cur] = 0
	}
#ifdef DIE_BEFORE_REARM
	MAY_DIE_HOLDING_NOTHING
#endif
	atomic {
#ifndef REARM_BEFORE_WORD
		REARM;
#endif
		cur = NONE; cg = 0
	}
}

/*
 * Leaves BUSY by compare-and-swap for TAKING or LINGERING.  While the worker
 * is about to signal us we wait until it has done so; the mark then says that
 * a signal has been sent, and is delivered: it must not reach the next client.
 * Another may follow before the swap, which leaves the word as it was: it is
 * consumed before the next BUSY.  The word keeps its client until that has
 * been given back, for the worker to close if we die before.
 */
inline leave_busy(st)
{
	do
	:: atomic {
			drain(b);
#ifdef NO_WAIT_FOR_CANCELLING
			(bst[b] == B_BUSY || bst[b] == B_CANCELLING);
#else
			(bst[b] == B_BUSY);
#endif
			signalled = bsig[b]
		}
#ifndef NO_CONSUME_SIGNAL
		if
		:: atomic { signalled -> sigc[b] = NONE; siggen[b] = 0 }
		:: else
		fi;
#endif
		atomic {
#ifdef NO_WAIT_FOR_CANCELLING
			if
			:: true ->
#else
			if
			:: bst[b] == B_BUSY && bsig[b] == signalled ->
#endif
				bst[b] = st; bsig[b] = 0; signalled = 0;
				break
			:: else -> signalled = 0
			fi
		}
	od
}

/*
 * The first command of a hand-over, or a later one, is read and begun.  (Core
 * ignores a signal that arrives after BUSY but before it has read the command,
 * as it does on any connection; here it would cancel the command.)
 */
inline begin_command()
{
	assert(cst[cur] == C_BACKEND && cbk[cur] == b && cgen[cur] == cg);
	assert(held[cur] == 1 && pend[cur] && sent[cur] == 1);
	assert(!pausedone);
	pend[cur] = 0; sent[cur] = 2; fresh[cur] = 0;
	order_leave(cur)
}

/* What the worker may say to a backend that it has claimed. */
#define MESSAGES \
	:: atomic { ctl[b]?ATTACH,d,_ -> assert(bst[b] == B_CLAIMED) } \
		goto attach_sent; \
	:: atomic { ctl[b]?DETACH,_,_ -> assert(bst[b] == B_CLAIMED) } \
		goto detach; \
	:: atomic { ctl[b]?RELEASE,_,_ -> assert(bst[b] == B_CLAIMED) } \
		goto released; \
	:: atomic { ctl[b]?EXIT,_,_ -> assert(bst[b] == B_CLAIMED) } \
		goto exit_asked

proctype Backend(byte b)
{
	byte cur = NONE, cg;		/* attached client and its generation */
	byte d;						/* client that is being taken */
	bit signalled;

#ifndef UNBORN
	goto idle;
#endif

unborn:
end_unborn:
	atomic { bst[b] == B_STARTING -> bst[b] = B_TAKING }
	goto take;

given_back:
	atomic { set_word(b, B_TAKING) }

/* TAKING, no client attached: takes one from the queue, or is FREE. */
take:
	MAY_DIE
	if
	:: old[b] -> goto die
	:: else
	fi;
	d = NONE;
	if
	:: MAYBE -> pop(b, d, C_BACKEND)
	:: else
	fi;
	if
	:: d == NONE -> atomic { d = 0; put_word(b, B_FREE, NONE, 0) }
		goto recheck
	:: else
	fi;
	MAY_DIE
#ifdef NEEDS
	if
	:: true						/* its descriptor is cached */
	:: up[b]!NEED,d,cgen[d];
		if
		:: ctl[b]?CLIENT,_,_
		:: atomic { ctl[b]?GONE,_,_ -> tak[b] = NONE; takgen[b] = 0; d = 0 }
			goto take
		DIES
		fi
	fi;
#endif
	goto attach;

/* ATTACH has been read. */
attach_sent:
	if
	:: cur != NONE -> give_back()
	:: else
	fi;
	atomic { set_word(b, B_TAKING) }
	atomic {
		assert(cst[d] == C_CLAIMED && cbk[d] == b);
		cst[d] = C_BACKEND
	}

/* d's word is BACKEND(b), `taking' notes it. */
attach:
#ifdef CLEAR_AFTER_BUSY
	atomic { put_word(b, B_BUSY, d, cgen[d]) }
	FENCE;
	atomic { assert(sigc[b] != d); sigc[b] = NONE; siggen[b] = 0 }
#else
#ifndef NO_CLEAR_BEFORE_BUSY
	atomic { sigc[b] = NONE; siggen[b] = 0 }	/* QueryCancelPending */
#endif
	atomic { put_word(b, B_BUSY, d, cgen[d]) }
#endif
	atomic {
		assert(cst[d] == C_BACKEND && cbk[d] == b);
		tak[b] = NONE; takgen[b] = 0;
		cur = d; cg = cgen[d]; d = 0;
		held[cur]++;
		assert(held[cur] == 1)
	}
#ifndef NO_BARRIER_BEFORE_CANCEL_TEST
	FENCE
#endif
#if CANCELS > 0
	/*
	 * Once per hand-over: what comes later is for the worker to signal, and
	 * must not hit the next command of a client that we linger on.  A mark of
	 * an earlier hand-over is wiped out, since serials wrap around.  That may
	 * wipe out one that is set right now: but its worker sees us BUSY.
	 */
	if
	:: ccancel[cur] == cser[cur] + 1 ->
		atomic { ccancel[cur] = 0; assert(marked[cur]) }
		goto give_back_cancelled
	:: ccancel[cur] != cser[cur] + 1 && ccancel[cur] != 0 ->
#ifndef KEEP_OLD_CANCEL
		atomic { ccancel[cur] = 0 }
#endif
	:: else
	fi;
#endif
	MAY_DIE
	atomic {
		assert(!want[cur]);		/* a cancel was forgotten */
		begin_command()
	}

running:
	if
	:: true
#ifdef HANG
	:: goto hang
#endif
	DIES
	fi;

/* ReadyForQuery is flushed; from now on the client may send again. */
finish:
	atomic {
		if
		:: sigc[b] != NONE ->
			assert(sigc[b] == cur && siggen[b] == cg);
			sigc[b] = NONE; siggen[b] = 0
		:: else
		fi;
		sent[cur] = 0
	}
	MAY_DIE
#if EXITS > 0
	if
	:: atomic { exits > 0 -> exits-- }		/* its pool is drained, say */
		leave_busy(B_TAKING);
		give_back();
		goto die
	:: true
	fi;
#endif
	if
	:: !MAYBE && !old[b] ->		/* its next command may be there already */
		if
		:: atomic { pend[cur] -> begin_command() }
			goto running
		:: true
		fi
	:: else
	fi;
	if
	:: MAYBE || old[b] ->
		leave_busy(B_TAKING);
		MAY_DIE
		give_back();
		goto given_back
	:: else ->
		leave_busy(B_LINGERING);
		goto recheck
	fi;

/*----------
 * The word is FREE or LINGERING(cur).  Who pushes looks at our word after his
 * barrier, we look at the queue after ours: one of us sees the other.
 *----------
 */
recheck:
#ifndef NO_BARRIER_AFTER_FREE
	FENCE
#endif
	if
#ifndef NO_RECHECK_AFTER_FREE
#ifdef FREE_IGNORES_DRAIN
	:: cur == NONE && MAYBE ->
#else
	:: cur == NONE && (MAYBE || old[b]) ->
#endif
		atomic {
			drain(b);
			if
			:: bst[b] == B_FREE -> bst[b] = B_TAKING
			:: else -> goto claimed
			fi
		}
		goto take
#endif
#ifndef NO_RECHECK_AFTER_LINGERING
#ifdef LINGER_IGNORES_DRAIN
	:: cur != NONE && MAYBE ->
#else
	:: cur != NONE && (MAYBE || old[b]) ->
#endif
		atomic {
			drain(b);
			if
			:: bst[b] == B_LINGERING -> bst[b] = B_TAKING
			:: else -> goto claimed
			fi
		}
		give_back();
		goto given_back
#endif
	:: else
	fi;

/* FREE, LINGERING(cur), or CLAIMED without our knowing. */
idle:
end_idle:
	if
	MESSAGES
	:: atomic {
			cur != NONE && (pend[cur] || hup[cur]) ->
			drain(b);
			if
			:: bst[b] == B_LINGERING && pend[cur] ->
				assert(qlen == 0 || scanning || paused);	/* barging */
				bst[b] = B_BUSY;
#ifdef TEST_CANCEL_AFTER_LINGERING
				assert(ccancel[cur] != cser[cur] + 1);
#endif
				begin_command();
				goto running
			:: bst[b] == B_LINGERING && !pend[cur] ->
				/* it has left: the worker closes it */
				bst[b] = B_TAKING
#if HALVES > 0
			:: bst[b] == B_LINGERING && pend[cur] && halves > 0 ->
				/* half a message: the worker waits for the rest */
				halves--;
				bst[b] = B_TAKING
#endif
			:: else -> goto claimed
			fi
		}
		give_back();
		goto given_back
	DIES
	fi;

/* A compare-and-swap was lost: the worker has claimed us, its frame comes. */
claimed:
	if
	MESSAGES
	DIES
	fi;

detach:
	if
	:: cur != NONE -> give_back()
	:: else
	fi;
	goto given_back;

released:
	atomic {
		if
		:: cur != NONE -> put_word(b, B_LINGERING, cur, cg)
		:: else -> put_word(b, B_FREE, NONE, 0)
		fi
	}
	goto recheck;

#if CANCELS > 0
give_back_cancelled:
	leave_busy(B_TAKING);
#ifdef CANCELLED_IDLE
	atomic {
		held[cur]--;
		cst[cur] = C_IDLE; cbk[cur] = 0
	}
#ifdef CANCEL_REARMS
	atomic { REARM }
#endif
	atomic { up[b]!CANCELLED,cur,cg; cur = NONE; cg = 0 }
#else
	atomic {
		held[cur]--;
		up[b]!CANCELLED,cur,cg;
		cur = NONE; cg = 0
	}
#endif
	goto given_back;
#endif

#ifdef HANG
hang:
end_hang:
	if
	:: sigc[b] != NONE -> goto finish
	DIES
	fi;
#endif

exit_asked:
	if
	:: cur != NONE -> give_back()
	:: else
	fi;

/* The exit callback; like any other way out of BUSY it waits for a signal. */
die:
	atomic {
		drain(b);
#ifndef EXIT_IGNORES_CANCELLING
		(bst[b] != B_CANCELLING);
#endif
		bst[b] = B_DEAD
	}
	atomic {
		if
		:: cur != NONE -> held[cur]--
		:: else
		fi;
		cur = NONE; cg = 0; d = 0; signalled = 0;
		sigc[b] = NONE; siggen[b] = 0; gone[b] = 1;
		up[b]!END_OF_FILE,0,0
	}
	goto unborn
}

/*=========================================================================
 * The clients, and the check of the end.
 *=========================================================================*/

#ifdef TSO
proctype StoreBuffer()
{
end:
	do
	:: atomic { pst[0] != NOSTORE -> drain(0) }
#if NB > 1
	:: atomic { pst[1] != NOSTORE -> drain(1) }
#endif
	:: atomic { wbuf != W_EMPTY -> wdrain() }
	od
}
#endif

/* Nothing can move any more: is that as it should be? */
inline check_end()
{
	assert(lock == 0);
	n = 0;						/* backends that could serve, or be born */
	k = 0;
	do
	:: k < NB ->
		assert(bst[k] == B_FREE || bst[k] == B_LINGERING ||
			   bst[k] == B_BUSY || bst[k] == B_UNUSED);
		assert(tak[k] == NONE && empty(ctl[k]) && empty(up[k]));
		/* a pause leaves nothing but transactions that do not end */
		assert(!paused || bst[k] == B_BUSY || bst[k] == B_UNUSED);
		if
		:: bst[k] != B_BUSY -> n++
		:: else -> assert(sent[bcl[k]] == 2)
		fi;
		k++
	:: else -> break
	od;
	k = 0;
	do
	:: k < NC ->
		if
		:: alive[k] && sent[k] == 2 ->		/* a transaction without end */
			assert(cst[k] == C_BACKEND && bst[cbk[k]] == B_BUSY &&
				   bcl[cbk[k]] == k)
		:: alive[k] && sent[k] == 1 ->
			assert(cst[k] == C_QUEUED);
			assert(paused || n == 0)		/* else a wake-up was lost */
		:: alive[k] && sent[k] == 0 ->
			assert(!hup[k]);				/* nobody has noticed */
			assert(cst[k] == C_IDLE || cst[k] == C_BACKEND)
		:: else -> assert(cst[k] == C_FREE)
		fi;
		k++
	:: else -> break
	od
}

proctype Clients()
{
#define SEND(C) \
	:: atomic { alive[C] && sent[C] == 0 && left[C] > 0 && !hup[C] -> \
				left[C]--; sent[C] = 1; pend[C] = 1 }
#define HANG_UP(C) \
	:: atomic { hups > 0 && alive[C] && !hup[C] -> hups--; hup[C] = 1 }

	do
	SEND(0)
	SEND(1)
#if NC > 2
	SEND(2)
#endif
#if HUPS > 0
	HANG_UP(0)
	HANG_UP(1)
#if NC > 2
	HANG_UP(2)
#endif
#endif
	:: atomic { timeout -> check_end() } break
	od
}

/* Up to n, chosen at the start: what may happen may also not happen. */
#define UP_TO(n, var) \
	var = 0; \
	do \
	:: var < n -> var++ \
	:: break \
	od

init
{
	atomic {
		n = 0;
		do
		:: n < NB ->
#ifdef UNBORN
			bst[n] = B_UNUSED;
#else
			bst[n] = B_FREE;
#endif
			bcl[n] = NONE; tak[n] = NONE; sigc[n] = NONE;
			n++
		:: else -> break
		od;
		n = 0;
		do
		:: n < NC ->
			cst[n] = C_IDLE; arm[n] = A_IN; alive[n] = 1; left[n] = NCMD;
			n++
		:: else -> break
		od;
		left[0] = NCMD + EXTRA;
		UP_TO(DEATHS, deaths);
		UP_TO(HUPS, hups);
		UP_TO(KILLS, kills);
		UP_TO(REUSE, reuse);
		UP_TO(CANCELS, cancels);
		UP_TO(PAUSES, pauses);
		UP_TO(PAUSES, resumes);
		UP_TO(NOTICES, notices);
		UP_TO(EXITS, exits);
		UP_TO(HALVES, halves);
		run Worker();
		run Clients();
#ifdef TSO
		run StoreBuffer();
#endif
		run Backend(0);
#if NB > 1
		run Backend(1);
#endif
	}
}
