/*-------------------------------------------------------------------------
 *
 * walsender.c
 *	  Replication connections: from the birth to a walsender of core's own.
 *
 * Runs in: a process that the pooler has started with the option "replication"
 * and that core logs a client in on.  Up to the first ReadyForQuery it differs
 * from any walsender in the client's key and in who has accepted the
 * connection; then it asks the pooler whether it may stay, and is core's own:
 * core's PqCommMethods, no slot of a backend, nothing that has to do with the
 * pooler but an end of the control socket, which nobody reads and which closes
 * with the process.  So it goes on when the pooler ends, and through a shutdown
 * of the server as long as core wants it to.
 *
 *-------------------------------------------------------------------------
 */
#include "backend/internal.h"

#include "backend/delegated.h"

#include "storage/ipc.h"
#include "utils/wait_event.h"

static const char *client_facts;
static int	client_facts_len;

void
pooler_walsender_begin(const char *facts, int len)
{
	client_facts = facts;
	client_facts_len = len;
}

/* The slot is the pooler's as soon as it has read this. */
static void
report(void)
{
	PoolerControl frame = {.type = POOLER_CONTROL_LOGGED_IN};
	PoolerWalsender walsender = {0};

	walsender.pid = MyProcPid;
	walsender.dbid = MyDatabaseId;
	walsender.roleid = GetAuthenticatedUserId();
	walsender.max_user_clients =
		(int) pooler_pool_setting_here(POOLER_MAX_USER_CLIENT_CONNECTIONS);
	walsender.max_db_clients =
		(int) pooler_pool_setting_here(POOLER_MAX_DB_CLIENT_CONNECTIONS);
	frame.payload = sizeof(walsender);
	pooler_me.shared = NULL;
	pooler_me.slot = -1;
	if (!pooler_control_send(pooler_me.control, &frame, &walsender, -1))
		proc_exit(0);
}

/*
 * The pooler refuses a client that is one too many: it tells the client, and
 * closes both sockets.
 */
static void
await_answer(void)
{
	static char payload[POOLER_MAX_PAYLOAD];
	PoolerControl frame;
	int			fd;

	HOLD_CANCEL_INTERRUPTS();
	for (;;)
	{
		switch (pooler_control_receive(pooler_me.control, &frame, payload, &fd))
		{
			case POOLER_CONTROL_RECEIVED:
				if (frame.type != POOLER_CONTROL_WELCOME)
					proc_exit(0);
				RESUME_CANCEL_INTERRUPTS();
				return;
			case POOLER_CONTROL_CLOSED:
				proc_exit(0);
			case POOLER_CONTROL_AGAIN:
				break;
		}
		(void) WaitLatchOrSocket(MyLatch,
								 WL_LATCH_SET | WL_SOCKET_READABLE | WL_EXIT_ON_PM_DEATH,
								 pooler_me.control, -1, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
}

/*
 * What was put so far goes out first: if the pooler refuses the client, its
 * words have to come after it.
 */
static void
leave_pooler(void)
{
	if (pooler_birth_is_given_up())
		proc_exit(0);
	if (OidIsValid(MyDatabaseId))
		pooler_check_enabled();
	PqCommMethods = pooler_me.core;
	(void) PqCommMethods->flush();
	/* core has made its row of a Port without TLS */
	pooler_attach_show_tls(client_facts, client_facts_len);
	report();
	await_answer();
}

static int
walsender_putmessage(char type, const char *s, size_t len)
{
	if (pooler_delegated_see(type, &s, &len))
		return 0;
	if (type == PqMsg_BackendKeyData)
		return pooler_put_key();
	if (type == PqMsg_ReadyForQuery)
		leave_pooler();
	return pooler_me.core->putmessage(type, s, len);
}

static void
walsender_putmessage_noblock(char type, const char *s, size_t len)
{
	pooler_me.core->putmessage_noblock(type, s, len);
}

static void
walsender_comm_reset(void)
{
	pooler_me.core->comm_reset();
}

static int
walsender_flush(void)
{
	return pooler_me.core->flush();
}

static int
walsender_flush_if_writable(void)
{
	return pooler_me.core->flush_if_writable();
}

static bool
walsender_is_send_pending(void)
{
	return pooler_me.core->is_send_pending();
}

const PQcommMethods pooler_walsender_methods = {
	.comm_reset = walsender_comm_reset,
	.flush = walsender_flush,
	.flush_if_writable = walsender_flush_if_writable,
	.is_send_pending = walsender_is_send_pending,
	.putmessage = walsender_putmessage,
	.putmessage_noblock = walsender_putmessage_noblock
};
