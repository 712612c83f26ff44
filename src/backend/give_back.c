/*-------------------------------------------------------------------------
 *
 * give_back.c
 *	  Giving a client back to the pooler.
 *
 * Runs in: pool backends, between two commands.  Saves the session, lets go of
 * the socket, and hands the client over: by its word, or with a message if the
 * pooler has something to tell it.  Afterwards nothing of the client may be
 * touched.
 *
 *-------------------------------------------------------------------------
 */
#include "backend/wait.h"

#include <sys/socket.h>

#include "access/xact.h"
#include "mb/pg_wchar.h"
#include "shared/debug_point.h"
#include "shared/pin.h"
#include "storage/lwlock.h"
#include "tcop/dest.h"
#include "tcop/tcopprot.h"

/*
 * In a PG_CATCH block: logs the error, leaves the transaction, and says in
 * which words the client learns of it.
 */
void
pooler_catch_failure(MemoryContext cxt, PoolerFailure *failure)
{
	PoolerWriter w = pooler_writer(failure->bytes, sizeof(failure->bytes));
	PoolerErrorFields error = {.severity = "FATAL"};
	ErrorData  *edata;

	MemoryContextSwitchTo(cxt);
	edata = CopyErrorData();
	EmitErrorReport();
	FlushErrorState();
	AbortCurrentTransaction();
	LWLockReleaseAll();
	HOLD_CANCEL_INTERRUPTS();	/* errfinish() has released it */
	pooler_session_reset();
	error.sqlstate = unpack_sql_state(edata->sqlerrcode);
	error.message = edata->message ? edata->message : "";
	if (strlen(error.message) > sizeof(failure->bytes) / 2)
		edata->message[pg_mbcliplen(edata->message, strlen(edata->message),
									sizeof(failure->bytes) / 2)] = '\0';
	pooler_build_error(&w, &error);
	failure->len = pooler_writer_fits(&w) ? w.len : 0;
	FreeErrorData(edata);
	MemoryContextSwitchTo(cxt);
}

/* Saves what the client carries; false if that failed, which ends it. */
static bool
save_session(PoolerFailure *failure)
{
	MemoryContext cxt = CurrentMemoryContext;
	volatile bool ok = true;

	PG_TRY();
	{
		pooler_session_save(pooler_me.client);
	}
	PG_CATCH();
	{
		pooler_catch_failure(cxt, failure);
		ok = false;
	}
	PG_END_TRY();
	return ok;
}

/* The client has left: so does what only it could have used. */
static void
clear_session(void)
{
	pooler_session_abandon();
	if (pooler_pins_look() == POOLER_PIN_NONE)
		return;
	pooler_pins_clear();
	pooler_me.shared->counters.resets++;
}

/*
 * Takes leave of the attached client, whose session has been saved or
 * cleared.  Its word still says that it is ours.
 */
static void
let_go(void)
{
	PoolerClient *client = &pooler_clients[pooler_me.client];

	pooler_socket_detach();
	pooler_pins_set(POOLER_PIN_NONE);
	pooler_holdings_forget();
	client->last_backend = pooler_me.slot;
	client->state_since = pooler_busy_since;
	pooler_me.client = -1;
	pg_write_barrier();
}

/*
 * Gives the client back unread, with something for the pooler to tell it.  The
 * pooler takes it when it reads the message: were its word IDLE before, an
 * event of the client could be handled first, and its command be run.
 */
void
pooler_give_back_with(PoolerControlType type, const void *payload, int len)
{
	PoolerControl frame = {.type = type};

	frame.client = pooler_me.client;
	frame.gen = pooler_me.client_gen;
	frame.payload = len;
	if (pooler_worker_has_ended())
		pooler_end_without_pooler();
	whereToSendOutput = DestNone;
	let_go();
	if (!pooler_control_send(pooler_me.control, &frame, payload, -1))
		pooler_end_without_pooler();
}

/*
 * The client's word says IDLE before the pooler is asked to watch it: as soon
 * as it does, somebody else may have the client.  From the store to the watch
 * nothing may end this process, or nobody would ever watch it.  A client that
 * has gone is given back, too, for the pooler to close it.
 */
void
pooler_give_back(bool gone)
{
	int			slot = pooler_me.client;
	uint32		gen = pooler_me.client_gen;
	PoolerFailure failure;

	if (slot < 0)
		return;
	if (pooler_worker_has_ended())
		pooler_end_without_pooler();
	whereToSendOutput = DestNone;
	if (gone)
		clear_session();
	else if (!save_session(&failure))
	{
		clear_session();
		pooler_give_back_with(POOLER_CONTROL_FAILED, failure.bytes, failure.len);
		return;
	}
	if (pooler_worker_has_ended())
		pooler_end_without_pooler();	/* saving may have taken long */
	let_go();
	pg_atomic_write_u64(&pooler_clients[slot].word,
						pooler_client_word(POOLER_CLIENT_IDLE, 0, gen,
										   pooler_me.client_serial));
	pooler_debug_point(POOLER_DEBUG_GIVEN_BACK);
	pooler_socket_rearm(slot, gen);
}
