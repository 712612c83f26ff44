/*-------------------------------------------------------------------------
 *
 * passphrase.c
 *	  Asking for the passphrase of the server's key, at a reload.
 *
 * Runs in: relays, and in a child of one for as long as the command runs.  Core
 * runs ssl_passphrase_command while it loads the key and waits for it, in the
 * postmaster, which serves no connections.  A relay does.  So what it loads
 * first is to find out whether a passphrase is needed; if so, a child runs
 * core's function and says what came of it, and then the relay loads again.
 * Whether a passphrase may be asked for at a reload is core's decision.
 *
 * The child must not touch shared memory, and has no descriptors of clients,
 * who could not see the end of a connection as long as somebody has it open.
 *
 *-------------------------------------------------------------------------
 */
#include "tls/internal.h"

#ifdef USE_OPENSSL

#include <openssl/pem.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libpq/libpq.h"
#include "storage/ipc.h"
#include "utils/elog.h"
#include "utils/guc.h"
#include "utils/timestamp.h"

/* Core waits for ever; but nobody would notice that nothing was loaded. */
#define PATIENCE_S		60

static pem_password_cb * core_callback;
static void *core_data;

static pid_t child;				/* 0: none */
static int	answer_fd = -1;		/* its words come here */
static TimestampTz deadline;

static char passphrase[PEM_BUFSIZE];
static int	len;
static bool known;				/* the child has ended; len may be 0 */
static bool missing;

/*---------------------------------------------------------------------------
 * what OpenSSL asks
 *---------------------------------------------------------------------------
 */

static int
give(char *buf, int size, int rwflag, void *data)
{
	int			n = Min(len, size);

	if (!known)
		missing = true;
	memcpy(buf, passphrase, n);
	return n;
}

void
pooler_tls_passphrase_wrap(SSL_CTX *context)
{
	if (ssl_passphrase_command[0] == '\0' || !ssl_passphrase_command_supports_reload)
		return;
	core_callback = SSL_CTX_get_default_passwd_cb(context);
	core_data = SSL_CTX_get_default_passwd_cb_userdata(context);
	if (core_callback != NULL)
		SSL_CTX_set_default_passwd_cb(context, give);
}

bool
pooler_tls_passphrase_missing(void)
{
	return missing;
}

/*---------------------------------------------------------------------------
 * the child
 *---------------------------------------------------------------------------
 */

static void
close_but(int fd)
{
	struct rlimit limit;

#ifdef SYS_close_range
	if (syscall(SYS_close_range, fd + 1, ~0U, 0) == 0 &&
		(fd == 3 || syscall(SYS_close_range, 3, fd - 1, 0) == 0))
		return;
#endif
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	for (int i = 3; i < (int) Min(limit.rlim_cur, (rlim_t) INT_MAX); i++)
	{
		if (i != fd)
			close(i);
	}
}

/* The command is to run as any other; a group of its own can be ended whole. */
static void
be_ordinary(void)
{
	sigset_t	none;

	(void) setpgid(0, 0);
	on_exit_reset();			/* the relay does all that */
	MyProcPid = getpid();
	pqsignal(SIGHUP, SIG_DFL);
	pqsignal(SIGINT, SIG_DFL);
	pqsignal(SIGTERM, SIG_DFL);
	pqsignal(SIGQUIT, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (pooler_tls_me.index > 0)
		log_min_messages = FATAL;	/* the first relay says it */
}

static void
answer(int fd)
{
	char		buf[PEM_BUFSIZE];
	int			n = 0;
	bool		told = false;

	be_ordinary();
	close_but(fd);
	PG_TRY();
	{
		n = core_callback(buf, sizeof(buf), 0, core_data);
	}
	PG_CATCH();
	{
		EmitErrorReport();
		_exit(1);
	}
	PG_END_TRY();
	if (n > 0)
		told = write(fd, buf, n) == n;	/* fits into the pipe */
	explicit_bzero(buf, sizeof(buf));
	_exit(told ? 0 : 1);
}

/*---------------------------------------------------------------------------
 * the relay
 *---------------------------------------------------------------------------
 */

static void
end_child(void)
{
	if (child == 0)
		return;
	(void) kill(-child, SIGKILL);	/* before it has its group: */
	(void) kill(child, SIGKILL);
	(void) waitpid(child, NULL, 0);
	child = 0;
	(void) pooler_tls_watch(pooler_tls_me.epoll_fd, EPOLL_CTL_DEL, answer_fd, 0, 0);
	close(answer_fd);
	answer_fd = -1;
}

void
pooler_tls_passphrase_forget(void)
{
	end_child();
	explicit_bzero(passphrase, sizeof(passphrase));
	len = 0;
	known = missing = false;
}

bool
pooler_tls_passphrase_ask(void)
{
	int			ends[2];

	pooler_tls_passphrase_forget();
	if (pipe2(ends, O_CLOEXEC) < 0)
		return false;
	child = fork();
	if (child == 0)
		answer(ends[1]);
	close(ends[1]);
	answer_fd = ends[0];
	deadline = TimestampTzPlusMilliseconds(pooler_tls_me.now, PATIENCE_S * 1000);
	if (child > 0 &&
		pooler_tls_watch(pooler_tls_me.epoll_fd, EPOLL_CTL_ADD, answer_fd,
						 EPOLLIN, TLS_EVENT_PASSPHRASE))
		return true;
	if (child > 0)
		end_child();
	else
		close(answer_fd);
	child = 0;
	answer_fd = -1;
	return false;
}

static void
go_on(void)
{
	known = true;
	pooler_tls_context_go_on();
	pooler_tls_passphrase_forget();
}

/* The pipe ends with the child, which has nothing more to do. */
void
pooler_tls_passphrase_event(void)
{
	ssize_t		n;

	if (child == 0)
		return;
	n = read(answer_fd, passphrase + len, sizeof(passphrase) - len);
	if (n < 0 && errno == EINTR)
		return;
	if (n > 0)
		len += n;
	if (n > 0 && len < (int) sizeof(passphrase))
		return;
	end_child();
	go_on();
}

int
pooler_tls_passphrase_tick(void)
{
	if (child == 0)
		return -1;
	if (pooler_tls_me.now < deadline)
		return (int) TimestampDifferenceMilliseconds(pooler_tls_me.now, deadline) + 1;
	if (pooler_tls_me.index == 0)
		ereport(LOG,
				(errmsg("ssl_passphrase_command was canceled by the pooler after %d seconds",
						PATIENCE_S)));
	end_child();
	len = 0;
	go_on();
	return -1;
}

#endif							/* USE_OPENSSL */
