/*-------------------------------------------------------------------------
 *
 * quit.c
 *	  The end at once: immediate shutdown, or the crash of another process.
 *
 * Runs in: the pooler, in a signal handler.  Core's quickdie() tells each
 * session why it ends; the clients that no backend has are told here, in the
 * same words.  They are written beforehand: the handler does nothing but read
 * words in shared memory and call send(), and never returns.
 *
 *-------------------------------------------------------------------------
 */
#include "worker/internal.h"

#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "storage/pmsignal.h"

/* What core says, in any language. */
#define MAX_WORDS	2048

typedef struct Farewell
{
	uint8_t		bytes[MAX_WORDS];
	size_t		len;
} Farewell;

static Farewell for_stop;
static Farewell for_crash;
static Farewell for_nothing;

static void
prepare(Farewell *farewell, const PoolerErrorFields *fields)
{
	PoolerWriter w = pooler_writer(farewell->bytes, sizeof(farewell->bytes));

	pooler_build_report(&w, 'N', fields);
	farewell->len = pooler_writer_fits(&w) ? w.len : 0;
}

static const Farewell *
choose(void)
{
	switch (GetQuitSignalReason())
	{
		case PMQUIT_FOR_STOP:
			return &for_stop;
		case PMQUIT_FOR_CRASH:
			return &for_crash;
		case PMQUIT_NOT_SENT:
			break;
	}
	return &for_nothing;
}

/* One that logs in is told nothing, as by core: it may be amid a message. */
static void
quit(SIGNAL_ARGS)
{
	const Farewell *farewell = choose();

	for (int i = 0; i < pooler_shared->nclients; i++)
	{
		PoolerClientState state = pooler_client_state(i);

		if (pooler_worker_clients[i].fd >= 0 &&
			(state == POOLER_CLIENT_IDLE || state == POOLER_CLIENT_QUEUED))
			(void) send(pooler_worker_clients[i].fd, farewell->bytes,
						farewell->len, MSG_DONTWAIT | MSG_NOSIGNAL);
	}
	_exit(2);
}

void
pooler_quit_startup(void)
{
	PoolerErrorFields fields = {.severity = "WARNING", .sqlstate = "57P01"};

	fields.message = _("terminating connection due to immediate shutdown command");
	prepare(&for_stop, &fields);
	fields.message = _("terminating connection because of unexpected SIGQUIT signal");
	prepare(&for_nothing, &fields);
	fields.sqlstate = "57P02";
	fields.message = _("terminating connection because of crash of another server process");
	fields.detail = _("The postmaster has commanded this server process to roll back"
					  " the current transaction and exit, because another"
					  " server process exited abnormally and possibly corrupted"
					  " shared memory.");
	fields.hint = _("In a moment you should be able to reconnect to the"
					" database and repeat your command.");
	prepare(&for_crash, &fields);
	pqsignal(SIGQUIT, quit);
}
