/*-------------------------------------------------------------------------
 *
 * console_sockets.c
 *	  SHOW CLIENTS, SERVERS, SOCKETS, ACTIVE_SOCKETS and FDS.
 *
 * Runs in: the pooler.  Reads the same snapshots as the views
 * pooler.clients and pooler.backends, in PgBouncer's words.
 *
 *-------------------------------------------------------------------------
 */
#include "worker/console.h"

#include <sys/socket.h>

#include "common/ip.h"
#include "postmaster/postmaster.h"
#include "shared/snapshot.h"

#define SOCKET_COLUMNS \
	{"type", 's'}, {"user", 's'}, {"database", 's'}, {"replication", 's'}, \
	{"state", 's'}, {"addr", 's'}, {"port", 'i'}, {"local_addr", 's'}, \
	{"local_port", 'i'}, {"connect_time", 'T'}, {"request_time", 'T'}, \
	{"wait", 'i'}, {"wait_us", 'i'}, {"close_needed", 'i'}, {"ptr", 's'}, \
	{"link", 's'}, {"remote_pid", 'i'}, {"tls", 's'}, \
	{"application_name", 's'}, {"prepared_statements", 'i'}, {"id", 'i'}

static const ConsoleColumn socket_columns[] = {SOCKET_COLUMNS};

static const ConsoleColumn debug_columns[] = {
	SOCKET_COLUMNS,
	{"recv_pos", 'i'}, {"pkt_pos", 'i'}, {"pkt_remain", 'i'},
	{"send_pos", 'i'}, {"send_remain", 'i'}, {"pkt_avail", 'i'},
	{"send_avail", 'i'}
};

#define DEBUG_ONLY	((int) (lengthof(debug_columns) - lengthof(socket_columns)))

static const ConsoleColumn fds_columns[] = {
	{"fd", 'i'}, {"task", 's'}, {"user", 's'}, {"database", 's'}, {"addr", 's'},
	{"port", 'i'}, {"cancel", 'q'}, {"link", 'i'}, {"client_encoding", 's'},
	{"std_strings", 's'}, {"datestyle", 's'}, {"timezone", 's'},
	{"password", 's'}, {"scram_client_key", 'b'}, {"scram_server_key", 'b'}
};

/*---------------------------------------------------------------------------
 * values
 *---------------------------------------------------------------------------
 */

/* Of a Unix socket, PgBouncer says "unix" and the port in its name. */
static void
add_address(ConsoleRow *row, const PoolerAddress *address, int unix_port)
{
	bool		is_unix = pooler_address_is_unix(address);
	char		host[NI_MAXHOST] = "";
	char		port[NI_MAXSERV] = "";
	SockAddr	addr;

	pooler_address_expand(&addr, address);
	if (!is_unix)
		(void) pg_getnameinfo_all(&addr.addr, addr.salen, host, sizeof(host),
								  port, sizeof(port),
								  NI_NUMERICHOST | NI_NUMERICSERV);
	pooler_row_text(row, is_unix ? "unix" : pstrdup(host));
	pooler_row_number(row, is_unix ? unix_port : atoi(port));
}

/* Nothing is to be learned from these but which are the same. */
static const char *
client_ptr(uint64 id)
{
	return psprintf("0xc%012llx", (unsigned long long) id);
}

static const char *
server_ptr(int backend)
{
	return psprintf("0x5%04x%08x", backend, pooler_worker_backends[backend].number);
}

static int
peer_pid(int slot)
{
	struct ucred peer;
	socklen_t	len = sizeof(peer);

	if (!pooler_address_is_unix(&pooler_clients[slot].raddr) ||
		getsockopt(pooler_worker_clients[slot].fd, SOL_SOCKET, SO_PEERCRED,
				   &peer, &len) != 0)
		return 0;
	return peer.pid;
}

/*---------------------------------------------------------------------------
 * clients
 *---------------------------------------------------------------------------
 */

static const char *
client_state_name(PoolerActivity activity)
{
	switch (activity)
	{
		case POOLER_ACTIVITY_LOGIN:
			return "login";
		case POOLER_ACTIVITY_IDLE:
			return "idle";
		case POOLER_ACTIVITY_WAITING:
			return "waiting";
		case POOLER_ACTIVITY_HANDOVER:
		case POOLER_ACTIVITY_PINNED:
		case POOLER_ACTIVITY_ACTIVE:
		case POOLER_ACTIVITY_LOST:
		case POOLER_ACTIVITY_CONSOLE:
		case POOLER_ACTIVITY_REPLICATION:
			break;
	}
	return "active";
}

static const char *
replication_name(const PoolerClientSnapshot *snap)
{
	if (snap->activity != POOLER_ACTIVITY_REPLICATION)
		return "none";
	return snap->database[0] ? "logical" : "physical";
}

/* A client on whose return its backend only hopes is not linked to it. */
static const char *
client_link(int slot, const PoolerClientSnapshot *snap)
{
	uint64		w = pg_atomic_read_u64(&pooler_clients[slot].word);
	PoolerClientState state = pooler_client_word_state(w);

	if (snap->activity == POOLER_ACTIVITY_IDLE ||
		(state != POOLER_CLIENT_BACKEND && state != POOLER_CLIENT_CLAIMED))
		return "";
	return server_ptr(pooler_client_word_backend(w));
}

static const char *
or_empty(const char *text)
{
	return text ? text : "";
}

static void
client_row(ConsoleRow *row, int slot, const PoolerClientSnapshot *snap,
		   const char *prefix)
{
	const PoolerClient *client = &pooler_clients[slot];
	bool		known = pooler_snapshot_logged_in(snap);
	uint64		wait = snap->queued_at != 0 && pooler_worker.now > snap->queued_at ?
		pooler_worker.now - snap->queued_at : 0;

	pooler_row_text(row, "C");
	pooler_row_text(row, known ? client->role : "(nouser)");
	pooler_row_text(row, known ? client->database : "(nodb)");
	pooler_row_text(row, replication_name(snap));
	pooler_row_text(row, psprintf("%s%s", prefix, client_state_name(snap->activity)));
	add_address(row, &client->raddr, pooler_shared->port);
	add_address(row, &client->laddr, pooler_shared->port);
	pooler_row_time(row, client->connected_at);
	pooler_row_time(row, snap->state_since ? snap->state_since : client->connected_at);
	pooler_row_number(row, wait / USECS_PER_SEC);
	pooler_row_number(row, wait % USECS_PER_SEC);
	pooler_row_number(row, 0);
	pooler_row_text(row, client_ptr(client->id));
	pooler_row_text(row, client_link(slot, snap));
	pooler_row_number(row, peer_pid(slot));
	pooler_row_text(row, snap->tls_version == NULL ? "" :
					psprintf("%s/%s", snap->tls_version, or_empty(snap->tls_cipher)));
	pooler_row_text(row, known ? client->application_name : "");
	pooler_row_number(row, 0);
	pooler_row_number(row, client->id);
}

/*---------------------------------------------------------------------------
 * servers
 *---------------------------------------------------------------------------
 */

/* NULL: about to end, which PgBouncer has no word for. */
static const char *
server_state_name(PoolerBackendState state, const char *starting)
{
	switch (state)
	{
		case POOLER_BACKEND_STARTING:
			return starting;
		case POOLER_BACKEND_FREE:
		case POOLER_BACKEND_LINGERING:
			return "idle";
		case POOLER_BACKEND_BUSY:
		case POOLER_BACKEND_TAKING:
		case POOLER_BACKEND_CLAIMED:
		case POOLER_BACKEND_CANCELLING:
		case POOLER_BACKEND_PINNED:
			return "active";
		case POOLER_BACKEND_UNUSED:
		case POOLER_BACKEND_DEAD:
			break;
	}
	return NULL;
}

static void
server_row(ConsoleRow *row, int slot, const PoolerBackendSnapshot *snap,
		   const char *prefix, const char *state)
{
	const PoolerPool *pool = snap->pool >= 0 ? &pooler_pools[snap->pool] : NULL;
	bool		linked = snap->has_client && strcmp(state, "active") == 0;

	pooler_row_text(row, "S");
	pooler_row_text(row, pool ? pool->role : "(nouser)");
	pooler_row_text(row, pool ? pool->database : "(nodb)");
	pooler_row_text(row, "none");
	pooler_row_text(row, psprintf("%s%s", prefix, state));
	pooler_row_text(row, "unix");
	pooler_row_number(row, PostPortNumber);
	pooler_row_text(row, "unix");
	pooler_row_number(row, PostPortNumber);
	pooler_row_time(row, snap->born_at);
	pooler_row_time(row, snap->state_since ? snap->state_since : snap->born_at);
	pooler_row_zeros(row, 2);
	pooler_row_number(row, snap->draining);
	pooler_row_text(row, server_ptr(slot));
	pooler_row_text(row, linked ? client_ptr(snap->client_id) : "");
	pooler_row_number(row, snap->pid);
	pooler_row_text(row, "");
	pooler_row_text(row, "");
	pooler_row_number(row, 0);
	pooler_row_number(row, snap->pid);
}

/*---------------------------------------------------------------------------
 * the walks
 *---------------------------------------------------------------------------
 */

static bool
next_clients(ConsoleCursor *cursor, ConsoleRow *row)
{
	int			slot = (int) cursor->at++;
	PoolerClientSnapshot snap;

	if (slot >= pooler_shared->nclients)
		return false;
	if (pooler_snapshot_client(slot, &snap) && pooler_snapshot_logged_in(&snap))
		client_row(row, slot, &snap, "");
	return true;
}

static bool
next_servers(ConsoleCursor *cursor, ConsoleRow *row)
{
	int			slot = (int) cursor->at++;
	PoolerBackendSnapshot snap;
	const char *state;

	if (slot >= pooler_shared->nbackends)
		return false;
	if (pooler_snapshot_backend(slot, &snap) &&
		(state = server_state_name(snap.state, "new")) != NULL)
		server_row(row, slot, &snap, "", state);
	return true;
}

/* Clients, then servers. */
static bool
next_socket(ConsoleCursor *cursor, ConsoleRow *row, bool active_only)
{
	int			slot = (int) cursor->at++;
	PoolerClientSnapshot client;
	PoolerBackendSnapshot backend;
	const char *state;

	if (slot < pooler_shared->nclients)
	{
		if (pooler_snapshot_client(slot, &client) &&
			(!active_only || (client.activity != POOLER_ACTIVITY_IDLE &&
							  client.activity != POOLER_ACTIVITY_LOGIN)))
			client_row(row, slot, &client, "cl_");
	}
	else
	{
		slot -= pooler_shared->nclients;
		if (slot >= pooler_shared->nbackends)
			return false;
		if (pooler_snapshot_backend(slot, &backend) &&
			(state = server_state_name(backend.state, "login")) != NULL &&
			(!active_only || strcmp(state, "active") == 0))
			server_row(row, slot, &backend, "sv_", state);
	}
	if (row->n > 0)
		pooler_row_zeros(row, DEBUG_ONLY);
	return true;
}

static bool
next_sockets(ConsoleCursor *cursor, ConsoleRow *row)
{
	return next_socket(cursor, row, false);
}

static bool
next_active_sockets(ConsoleCursor *cursor, ConsoleRow *row)
{
	return next_socket(cursor, row, true);
}

/* Descriptors only: cancel keys and secrets are nobody's business. */
static bool
next_fds(ConsoleCursor *cursor, ConsoleRow *row)
{
	int			slot = (int) cursor->at++;
	PoolerClientSnapshot snap;

	if (slot >= pooler_shared->nclients)
		return false;
	if (!pooler_snapshot_client(slot, &snap) || !pooler_snapshot_logged_in(&snap))
		return true;
	pooler_row_number(row, pooler_worker_clients[slot].fd);
	pooler_row_text(row, "client");
	pooler_row_text(row, pooler_clients[slot].role);
	pooler_row_text(row, pooler_clients[slot].database);
	add_address(row, &pooler_clients[slot].raddr, pooler_shared->port);
	pooler_row_zeros(row, 2);
	pooler_row_nulls(row, 7);
	return true;
}

#define SHOW_OF(columns, next) {columns, lengthof(columns), NULL, next}

const ConsoleShow pooler_show_clients = SHOW_OF(socket_columns, next_clients);
const ConsoleShow pooler_show_servers = SHOW_OF(socket_columns, next_servers);
const ConsoleShow pooler_show_sockets = SHOW_OF(debug_columns, next_sockets);
const ConsoleShow pooler_show_active_sockets = SHOW_OF(debug_columns, next_active_sockets);
const ConsoleShow pooler_show_fds = SHOW_OF(fds_columns, next_fds);
