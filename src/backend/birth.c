/*-------------------------------------------------------------------------
 *
 * birth.c
 *	  How a forked backend becomes a pool backend, and our PqCommMethods.
 *
 * Runs in: every child of the postmaster up to its first message; pool
 * backends for life.
 *
 * Core answers unknown "_pq_." options of a startup packet with
 * NegotiateProtocolVersion before authentication, through
 * PqCommMethods->putmessage (ProcessStartupPacket, 15 postmaster.c:2293, 17
 * and 18 backend_startup.c).  That is where we come in.  In a process that is
 * not ours the methods are libpq's again from its first message on.
 *
 * Until core has installed its own signal handlers SIGTERM and SIGALRM end
 * the process at once, wherever it is: shared memory is only read here.
 *
 *-------------------------------------------------------------------------
 */
#include "backend/internal.h"

#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "access/xact.h"
#include "backend/birth.h"
#include "backend/delegated.h"
#include "libpq/hba.h"
#include "pgstat.h"
#include "port/pg_bswap.h"
#include "proto/build.h"
#include "postmaster/postmaster.h"
#include "shared/birth_option.h"
#include "shared/guc.h"
#include "tcop/pquery.h"
#include "storage/fd.h"
#include "storage/ipc.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/portal.h"
#include "utils/snapmgr.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

PoolerMe	pooler_me = {.slot = -1, .control = -1, .pooler_epoll = -1, .client = -1};

/* What the wrapper of flush has to do after libpq's. */
typedef enum FlushAction
{
	FLUSH_ONLY,
	FLUSH_THEN_WAIT				/* ReadyForQuery 'I' is in the buffer */
} FlushAction;

static FlushAction after_flush = FLUSH_ONLY;

/* What the client has been answered since its last ReadyForQuery. */
static enum
{
	BATCH_EMPTY,
	BATCH_DESCRIBES,			/* Parse, Describe of statements, Close */
	BATCH_OTHER
}			batch = BATCH_OTHER;

/* Of the client that core logs in; as long as keys can be. */
static char client_key[POOLER_CANCEL_KEY_MAX];
static int	client_key_len;

/* Of the transaction block that it was answered in last; 0: none since it came. */
static LocalTransactionId block_seen = InvalidLocalTransactionId;

static bool waiting;			/* between two commands */
static bool begun;				/* the first ReadyForQuery was seen */

/*---------------------------------------------------------------------------
 * who are we?
 *---------------------------------------------------------------------------
 */

static bool
equal_in_constant_time(const uint8 *a, const uint8 *b, int len)
{
	uint8		different = 0;

	for (int i = 0; i < len; i++)
		different |= a[i] ^ b[i];
	return different == 0;
}

/* Reads hex digits; false if there is anything else. */
static bool
parse_token(const char *hex, uint8 *token)
{
	for (int i = 0; i < 2 * POOLER_TOKEN_LEN; i++)
	{
		const char *digits = "0123456789abcdef";
		const char *digit = hex[i] ? strchr(digits, hex[i]) : NULL;

		if (digit == NULL)
			return false;
		token[i / 2] = (uint8) (token[i / 2] << 4 | (digit - digits));
	}
	return hex[2 * POOLER_TOKEN_LEN] == '\0';
}

/* Is the peer the process that published itself as the pooler? */
static bool
peer_is_pooler(void)
{
	struct ucred peer;
	socklen_t	len = sizeof(peer);

	return MyProcPort->raddr.addr.ss_family == AF_UNIX &&
		getsockopt(MyProcPort->sock, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 &&
		peer.pid != 0 && peer.pid == pooler_shared->worker_pid &&
		peer.uid == geteuid();
}

/*
 * The slot that an option's name claims, if the token in it is that slot's;
 * else -1.
 */
static int
slot_of_option(const char *name)
{
	const char *p = name + strlen(POOLER_BIRTH_OPTION_PREFIX);
	uint8		token[POOLER_TOKEN_LEN] = {0};
	char	   *end;
	long		slot;

	if (strncmp(name, POOLER_BIRTH_OPTION_PREFIX,
				strlen(POOLER_BIRTH_OPTION_PREFIX)) != 0)
		return -1;
	slot = strtol(p, &end, 10);
	if (end == p || *end != '_' || slot < 0 || slot >= pooler_shared->nbackends ||
		!parse_token(end + 1, token))
		return -1;
	if (pooler_backend_word_state(pg_atomic_read_u64(&pooler_backends[slot].word)) !=
		POOLER_BACKEND_STARTING ||
		!equal_in_constant_time(token, pooler_backends[slot].token, POOLER_TOKEN_LEN))
		return -1;
	return (int) slot;
}

/*
 * Walks the names in a NegotiateProtocolVersion body: version, count, names.
 */
static int
find_our_slot(const char *body, size_t len)
{
	const char *p = body + 8;

	if (pooler_shared == NULL || len < 9 || !peer_is_pooler())
		return -1;
	while (p < body + len)
	{
		int			slot = slot_of_option(p);

		if (slot >= 0)
			return slot;
		p += strlen(p) + 1;
	}
	return -1;
}

/*---------------------------------------------------------------------------
 * authentication
 *---------------------------------------------------------------------------
 */

/*
 * The pooler has authenticated the client: core is given one rule that lets
 * it in, and does everything else itself (LOGIN, CONNECT, limits, settings).
 * A file in memory can't be tampered with.
 */
static void
trust_pooler(void)
{
	static const char rule[] = "local all all trust\n";
	char	   *saved = HbaFileName;
	char		path[64];
	int			fd = memfd_create("pooler_hba", MFD_CLOEXEC);
	bool		loaded = false;

	if (fd >= 0 && write(fd, rule, sizeof(rule) - 1) == (ssize_t) (sizeof(rule) - 1))
	{
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		HbaFileName = path;
		loaded = load_hba();
		HbaFileName = saved;
	}
	if (fd >= 0)
		close(fd);
	if (!loaded)
		ereport(FATAL,
				(errcode(ERRCODE_CONFIG_FILE_ERROR),
				 errmsg("could not load the rule for pool backends")));
}

/* It comes first, with its length; returns the length of the rest. */
static int
take_key(char *payload, int len)
{
	int			key_len = len > 0 ? (uint8) payload[0] : 0;

	if (key_len == 0 || 1 + key_len > len || key_len > (int) sizeof(client_key))
		proc_exit(0);
	memcpy(client_key, payload + 1, key_len);
	client_key_len = key_len;
	memmove(payload, payload + 1 + key_len, len - 1 - key_len);
	explicit_bzero(payload + len - 1 - key_len, 1 + key_len);
	return len - 1 - key_len;
}

/*
 * Blocks for the client's socket, and what comes with it: nothing else can
 * happen here yet.
 */
static int
receive_client(char *payload, int *len)
{
	PoolerControl frame;
	int			fd = -1;

	for (;;)
	{
		struct pollfd pfd = {.fd = pooler_me.control, .events = POLLIN};

		(void) poll(&pfd, 1, 1000);
		switch (pooler_control_receive(pooler_me.control, &frame, payload, &fd))
		{
			case POOLER_CONTROL_AGAIN:
				continue;
			case POOLER_CONTROL_RECEIVED:
				if (frame.type == POOLER_CONTROL_CLIENT && fd >= 0)
				{
					*len = take_key(payload, frame.payload);
					return fd;
				}
				/* FALLTHROUGH */
			case POOLER_CONTROL_CLOSED:
				proc_exit(0);	/* the client has left */
		}
	}
}

/*
 * Core is to log the real client in, by the real rules: it gets the client's
 * socket and address in place of the pooler's.
 */
static void
become_client(void)
{
	PoolerClient *client = &pooler_clients[pooler_me.shared->login_client];
	static char facts[POOLER_MAX_PAYLOAD];
	int			len;
	int			fd;

	pooler_tally_begin();
	if (pooler_me.core->flush() != 0)
		proc_exit(0);
	fd = receive_client(facts, &len);
	if (dup3(fd, MyProcPort->sock, O_CLOEXEC) < 0)
		ereport(FATAL, (errmsg("could not attach to the client's socket: %m")));
	close(fd);
	pooler_socket_take_over();
	pooler_address_expand(&MyProcPort->raddr, &client->raddr);
	pooler_address_expand(&MyProcPort->laddr, &client->laddr);
	MyProcPort->remote_host = client->host;
	MyProcPort->remote_port = client->port;
	MyProcPort->remote_hostname = NULL;
	MyProcPort->remote_hostname_resolv = 0;
	MyProcPort->remote_hostname_errcode = 0;
	pooler_port_forget_local_host(MyProcPort);
	pooler_delegated_begin(facts, len);
	if (pooler_me.shared->walsender)
		pooler_walsender_begin(facts, len);
}

static void
become_pool_backend(int slot)
{
	PoolerBackend *shared = &pooler_backends[slot];

	pooler_me.slot = slot;
	pooler_me.shared = shared;
	pooler_me.number = pooler_backend_word_gen(pg_atomic_read_u64(&shared->word));
	pooler_me.epoch = shared->epoch;
	pooler_me.control = fcntl(MyProcPort->sock, F_DUPFD_CLOEXEC, 0);
	if (pooler_me.control < 0)
		ereport(FATAL, (errmsg("could not duplicate a descriptor: %m")));
	ReserveExternalFD();
	pooler_startup_restrict();
}

/*---------------------------------------------------------------------------
 * messages of a pool backend
 *---------------------------------------------------------------------------
 */

int
pooler_put_key(void)
{
	uint32		pid = pg_hton32(pooler_client_pid(pooler_me.shared->login_client));
	char		body[sizeof(pid) + sizeof(client_key)];

	memcpy(body, &pid, sizeof(pid));
	memcpy(body + sizeof(pid), client_key, client_key_len);
	return pooler_me.core->putmessage(PqMsg_BackendKeyData, body,
									  sizeof(pid) + client_key_len);
}

/* As the pooler tells those that it logs in itself. */
static void
put_login_notice(void)
{
	size_t		size = strlen(pooler_login_notify_message) + 64;
	PoolerWriter w;

	if (pooler_login_notify_message[0] == '\0')
		return;
	w = pooler_writer(palloc(size), size);
	pooler_build_notice(&w, pooler_login_notify_message);
	(void) pooler_me.core->putmessage('N', (char *) w.buf + POOLER_FRAME_HEADER,
									  w.len - POOLER_FRAME_HEADER);
	pfree(w.buf);
}

/*
 * A client that core has only authenticated here, because it goes to the pool
 * of another role, hears the rest from the pooler.
 */
static bool
is_told_by_pooler(char type)
{
	return !begun && pooler_me.shared->only_login &&
		(type == PqMsg_ParameterStatus || type == PqMsg_BackendKeyData);
}

/*
 * A transaction block may follow another while the client keeps us, by COMMIT
 * AND CHAIN, say: the new one has not been open for as long as both.  One that
 * has failed has no number any more.
 */
static void
see_block(PoolerBackend *shared)
{
	LocalTransactionId now = pooler_my_lxid();

	if (likely(now == block_seen) || now == InvalidLocalTransactionId)
		return;
	if (block_seen != InvalidLocalTransactionId)
		shared->state_since = GetCurrentTransactionStartTimestamp();
	block_seen = now;
}

static void
see_ready_for_query(char status)
{
	PoolerBackend *shared = pooler_me.shared;

	pg_atomic_write_u32(&shared->in_copy, 0);
	pooler_ending_command_over();
	if (!begun)
	{
		begun = true;
		pooler_wait_begin();
		if (shared->delegated && !shared->only_login)
			put_login_notice();
	}
	pooler_reported_catch_up();
	pooler_unnamed_see_ready();
	if (status == 'I')
	{
		block_seen = InvalidLocalTransactionId;
		if (pooler_pin_limit < 100 && pooler_me.client >= 0)
			pooler_pins_limit();
		after_flush = FLUSH_THEN_WAIT;
	}
	else
	{
		see_block(shared);
		pooler_holdings_in_block(status == 'E');
		shared->idle_since = GetCurrentTimestamp();
		pooler_tally_idle_begin(shared->idle_since);
		pg_write_barrier();
		pg_atomic_write_u32(&shared->in_transaction, 1);
	}
}

/* Counts what passes by, and remembers what other processes ask for. */
static void
see_message(char type, const char *body)
{
	PoolerBackend *shared = pooler_me.shared;

	if (pg_atomic_read_u32(&shared->in_transaction) != 0)
	{
		pg_atomic_write_u32(&shared->in_transaction, 0);
		pooler_tally_idle_end();
	}
	switch (type)
	{
		case PqMsg_CommandComplete:
		case PqMsg_EmptyQueryResponse:
		case PqMsg_PortalSuspended:
			shared->counters.queries++;
			pooler_ending_command_over();
			pooler_holdings_see_complete(type == PqMsg_CommandComplete ? body : NULL);
			pg_atomic_write_u32(&shared->in_copy, 0);
			break;
		case PqMsg_ErrorResponse:
			shared->counters.errors++;
			break;
		case PqMsg_ParseComplete:
			shared->counters.parses++;
			break;
		case PqMsg_BindComplete:
			shared->counters.binds++;
			break;
		case PqMsg_CopyInResponse:
			pg_atomic_write_u32(&shared->in_copy, 1);
			break;
	}
}

static void
see_batch(char type)
{
	switch (type)
	{
		case PqMsg_ReadyForQuery:
			batch = BATCH_EMPTY;
			break;
		case PqMsg_ParseComplete:
		case PqMsg_CloseComplete:
		case PqMsg_ParameterDescription:
		case PqMsg_RowDescription:
		case PqMsg_NoData:
			if (batch == BATCH_EMPTY)
				batch = BATCH_DESCRIBES;
			break;
		default:
			batch = BATCH_OTHER;
	}
}

/*
 * A simple query that fails in a transaction block leaves its portal, which has
 * no name, with a list of statements that was freed.  An Execute that follows
 * reads it, on a direct connection, too: any client could have the server
 * restart (exec_execute_message(), 15 to 18).
 */
static void
forget_failed_query(void)
{
	Portal		portal = GetPortalByName("");

	if (PortalIsValid(portal) && portal->status == PORTAL_FAILED &&
		portal->stmts != NIL)
	{
		portal->stmts = NIL;
		portal->sourceText = "";
	}
}

static int
pool_putmessage(char type, const char *s, size_t len)
{
	/*
	 * quickdie(), in a signal handler, may put a warning behind ReadyForQuery
	 * and flush it: that is no place to wait.
	 */
	after_flush = FLUSH_ONLY;
	if (pooler_unnamed_preparing)
	{
		/* the answer to a command of ours; core thinks that a report is told */
		if (type == PqMsg_ParameterStatus)
			pooler_reported_miss(s, s + strlen(s) + 1);
		if (type == PqMsg_ParseComplete)
			pooler_statements_see_parse();
		if (type == PqMsg_ReadyForQuery)
			after_flush = FLUSH_THEN_WAIT;
		return 0;
	}
	if (!begun && pooler_me.shared->delegated &&
		pooler_delegated_see(type, &s, &len))
		return 0;
	if (is_told_by_pooler(type))
		return 0;
	see_batch(type);
	switch (type)
	{
		case 'D':
			pooler_me.shared->messages++;
			break;
		case PqMsg_ParseComplete:
			pooler_statements_see_parse();
			see_message(type, s);
			break;
		case PqMsg_ParameterStatus:
			if (!pooler_reported_see(s, s + strlen(s) + 1))
				return 0;
			break;
		case PqMsg_BackendKeyData:
			if (!begun && pooler_me.shared->delegated)
				return pooler_put_key();
			if (!begun)
				pooler_forget_login_triggers(); /* nobody logs in */
			break;
		case PqMsg_NotificationResponse:
			return pooler_notify_put(s, len);
		case PqMsg_ReadyForQuery:
			see_ready_for_query(s[0]);
			if (s[0] == 'E')
				forget_failed_query();
			if (pooler_me.shared->only_login)
				return 0;		/* it serves nobody */
			break;
		default:
			see_message(type, s);
			break;
	}
	return pooler_me.core->putmessage(type, s, len);
}

static void
pool_putmessage_noblock(char type, const char *s, size_t len)
{
	pooler_me.core->putmessage_noblock(type, s, len);
}

/*
 * Some drivers prepare a statement with Parse, Describe and Flush, and send no
 * Sync before they execute something.  Outside a transaction block nothing has
 * been done then that the client would miss in another transaction: so the one
 * that core has begun ends here, and the backend is free for others.  Reports
 * that are made while we wait flush, too.
 */
static bool
ends_with_flush(void)
{
	if (!begun || waiting || pooler_me.client < 0 || batch == BATCH_OTHER ||
		TransactionBlockStatusCode() != 'I' || pooler_recv_buffer_has_data())
		return false;
	if (!IsTransactionState())
		return true;			/* Close, or nothing at all */
	return batch == BATCH_DESCRIBES && ActivePortal == NULL && !ActiveSnapshotSet();
}

static void
wait_for_command(bool lost)
{
	waiting = true;
	pooler_wait_next_command(lost);
	waiting = false;
	batch = BATCH_EMPTY;
}

/*
 * PostgresMain believes that it is still in the transaction that it began for
 * Parse: whoever comes next is given one that has just begun.
 */
static void
wait_after_flush(bool lost)
{
	bool		in_transaction = IsTransactionState();

	pooler_unnamed_see_ready();
	if (in_transaction)
	{
		disable_timeout(STATEMENT_TIMEOUT, false);
		CommitTransactionCommand();
		MemoryContextSwitchTo(MessageContext);
	}
	pgstat_report_activity(STATE_IDLE, NULL);
	wait_for_command(lost);
	if (in_transaction)
	{
		SetCurrentStatementStartTimestamp();
		StartTransactionCommand();
	}
}

/*
 * Also called, and with nothing to wait for, after every error or notice and
 * for most Flush messages.  Disarmed before waiting, because reports made while
 * we wait come through here again.
 */
static int
pool_flush(void)
{
	int			result = pooler_me.core->flush();

	if (after_flush == FLUSH_THEN_WAIT)
	{
		after_flush = FLUSH_ONLY;
		wait_for_command(result != 0);
		return 0;
	}
	if (ends_with_flush())
	{
		wait_after_flush(result != 0);
		return 0;
	}
	return result;
}

static void
pool_comm_reset(void)
{
	pooler_me.core->comm_reset();
}

static int
pool_flush_if_writable(void)
{
	return pooler_me.core->flush_if_writable();
}

static bool
pool_is_send_pending(void)
{
	return pooler_me.core->is_send_pending();
}

static const PQcommMethods pool_methods = {
	.comm_reset = pool_comm_reset,
	.flush = pool_flush,
	.flush_if_writable = pool_flush_if_writable,
	.is_send_pending = pool_is_send_pending,
	.putmessage = pool_putmessage,
	.putmessage_noblock = pool_putmessage_noblock
};

/*---------------------------------------------------------------------------
 * messages of a child that is not known yet
 *---------------------------------------------------------------------------
 */

static int
first_putmessage(char type, const char *s, size_t len)
{
	int			slot = -1;
	int			result;

	PqCommMethods = pooler_me.core;
	if (type == PqMsg_NegotiateProtocolVersion)
		slot = find_our_slot(s, len);
	result = PqCommMethods->putmessage(type, s, len);
	if (slot < 0)
		return result;

	become_pool_backend(slot);
	PqCommMethods = pooler_me.shared->walsender ? &pooler_walsender_methods :
		&pool_methods;
	if (pooler_me.shared->delegated)
		become_client();
	else
		trust_pooler();
	return result;
}

static void
first_putmessage_noblock(char type, const char *s, size_t len)
{
	PqCommMethods = pooler_me.core;
	PqCommMethods->putmessage_noblock(type, s, len);
}

static const PQcommMethods first_methods = {
	.comm_reset = pool_comm_reset,
	.flush = pool_flush,
	.flush_if_writable = pool_flush_if_writable,
	.is_send_pending = pool_is_send_pending,
	.putmessage = first_putmessage,
	.putmessage_noblock = first_putmessage_noblock
};

void
pooler_birth_init(void)
{
	pooler_me.core = PqCommMethods;
	PqCommMethods = &first_methods;
	pooler_pins_init();
	pooler_statements_init();
	pooler_sslinfo_init();
}

bool
pooler_in_pool_backend(void)
{
	return pooler_me.shared != NULL;
}
