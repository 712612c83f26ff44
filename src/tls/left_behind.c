/*-------------------------------------------------------------------------
 *
 * left_behind.c
 *	  Connections that outlive their relay, at the end of the server.
 *
 * Runs in: relays, and in what they leave behind.  At a shutdown the postmaster
 * waits for all background workers, relays among them, before it has the last
 * checkpoint written; walsenders go on until their clients have got that, and
 * other backends until they have told theirs that it is over.  So a relay can't
 * stay, and its connections have to: it forks a process that the postmaster
 * does not know, which has nothing but these, and ends.
 *
 * That process must not touch shared memory, which is not its own any more: it
 * lets go of it, since a server that is started again wants nobody attached.
 * It writes no log.  It ends when all connections have: backends and walsenders
 * end with the server, and what is left then has the patience of connection.c.
 *
 *-------------------------------------------------------------------------
 */
#include "tls/internal.h"

#ifdef USE_OPENSSL

#include <signal.h>
#include <unistd.h>

#include "postmaster/postmaster.h"
#include "shared/stopping.h"
#include "storage/ipc.h"
#include "storage/pg_shmem.h"
#include "storage/proc.h"
#include "utils/elog.h"
#include "utils/guc.h"
#include "utils/ps_status.h"
#include "utils/wait_event.h"

/* Takes the place of the relay's own part of shared memory. */
static PoolerTlsRelay unshared;

/*
 * A signal for the relay and its group that has come just now is ignored; later
 * ones, from whoever ends everything that is left, are not.
 */
static void
set_signals(void)
{
	pqsignal(SIGHUP, SIG_IGN);
	pqsignal(SIGTERM, SIG_IGN);
	(void) setsid();
	pqsignal(SIGTERM, SIG_DFL);
	pqsignal(SIGQUIT, SIG_DFL);
}

static void
let_go(void)
{
	on_exit_reset();			/* the relay does all that */
	MyProcPid = getpid();
	log_min_messages = PANIC;
	pooler_tls_link_close();
	(void) pooler_tls_watch(pooler_tls_me.epoll_fd, EPOLL_CTL_DEL,
							postmaster_alive_fds[POSTMASTER_FD_WATCH], 0, 0);
	pooler_tls_kill_unreported();	/* the pooler has gone */

	pooler_tls_me.shared = &unshared;
	pooler_tls_me.left_behind = true;
	pgstat_reset_wait_event_storage();
	MyProc = NULL;
	pooler_shared = NULL;
	pooler_clients = NULL;
	PGSharedMemoryDetach();
}

static void
live_on(void)
{
	set_signals();
	PG_TRY();
	{
		let_go();
		set_ps_display("left behind");
		pooler_tls_loop();
	}
	PG_CATCH();
	{
		_exit(1);
	}
	PG_END_TRY();
	_exit(0);
}

bool
pooler_tls_leave_behind(void)
{
	pid_t		pid;

	if (!pooler_server_is_stopping())
		return false;
	pooler_tls_passphrase_forget();
	pid = fork();
	if (pid == 0)
		live_on();
	if (pid < 0 && pooler_tls_may_log())
		ereport(LOG,
				(errmsg("could not fork a process for connections by TLS: %m"),
				 errdetail("They end before the server does.")));
	return pid > 0;
}

#endif							/* USE_OPENSSL */
