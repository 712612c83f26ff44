/*-------------------------------------------------------------------------
 *
 * http.c
 *	  Requests and answers, by libmicrohttpd.
 *
 * Runs in: the HTTP worker.  The library parses requests and owns connections;
 * it has no thread, and does something only within MHD_run(), which does not
 * block.  Here is what may be asked for, and by whom.
 *
 * An error raised within a callback ends the worker, so the library never finds
 * itself left half-way.
 *
 *-------------------------------------------------------------------------
 */
#include "metrics/internal.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "metrics/page.h"
#include "proto/host.h"
#include "shared/guc.h"
#include "utils/timestamp.h"

#define MAX_CONNECTIONS		64
#define MAX_PER_ADDRESS		32
#define REQUEST_MEMORY		16384
#define IDLE_SECONDS		10

/*
 * How long a connection may be without a request that is complete and
 * answered: the library's own limit begins anew with each byte.
 */
#define REQUEST_MS			30000
#define REQUEST_MS_IF_FULL	1000

/*
 * An answer is made at most so often, however often it is asked for, and not
 * before so many times the time have passed that it took to make.
 */
#define FRESH_MS			250
#define FRESH_COSTS			20

/* See reply(). */
#define COST_US				100
#define COST_US_PER_MB		4000

typedef struct Route
{
	const char *path;
	const char *accept;			/* only for who can read this; NULL: for all */
	const char *type;			/* Content-Type of what is made */
	int			(*make) (StringInfo buf);
	bool		for_browsers;	/* see may_ask() */
} Route;

#define OPENMETRICS	"application/openmetrics-text"
#define JSON		"application/json"

/* All that there is, but for the files of the page.  The first one that fits. */
static const Route routes[] = {
	{"/metrics", OPENMETRICS, OPENMETRICS "; version=1.0.0; charset=utf-8",
	pooler_http_openmetrics, false},
	{"/metrics", NULL, "text/plain; version=0.0.4; charset=utf-8",
	pooler_http_prometheus, false},
	{"/health", NULL, JSON, pooler_http_health, false},
	{"/status.json", NULL, JSON, pooler_http_status, true},
};

/* The last answer of a route. */
typedef struct Answer
{
	struct MHD_Response *response;	/* NULL: none yet */
	size_t		size;
	unsigned	status;
	TimestampTz outdated_at;
} Answer;

typedef struct Refusal
{
	unsigned	status;
	const char *text;
	bool		close;			/* there may be more of this request to come */
} Refusal;

typedef enum RefusalKind
{
	REFUSED_PATH,
	REFUSED_METHOD,
	REFUSED_BODY,
	REFUSED_HOST,
	NREFUSALS
} RefusalKind;

static const Refusal refusals[NREFUSALS] = {
	[REFUSED_PATH] = {
		MHD_HTTP_NOT_FOUND,
		"There are only /, /health, /metrics and /status.json.\n", false
	},
	[REFUSED_METHOD] = {
		MHD_HTTP_METHOD_NOT_ALLOWED, "Only GET and HEAD are allowed.\n", true
	},
	[REFUSED_BODY] = {
		MHD_HTTP_CONTENT_TOO_LARGE, "A request must not have a body.\n", true
	},
	[REFUSED_HOST] = {
		MHD_HTTP_FORBIDDEN,
		"This name is not known to be the server's. Ask by its address, or put the name into pooler.http_listen_addresses.\n",
		false
	},
};

typedef struct Connection
{
	bool		used;
	bool		closing;		/* has been shut down */
	int			fd;
	struct sockaddr_storage from;
	TimestampTz since;			/* when it came, or had its last answer */
} Connection;

static struct MHD_Daemon *http;
static Connection connections[MAX_CONNECTIONS];
static int	nconnections;
static Answer answers[lengthof(routes)];
static struct MHD_Response **files; /* of the page */
static struct MHD_Response *refused[NREFUSALS];

/*---------------------------------------------------------------------------
 * answers
 *---------------------------------------------------------------------------
 */

static void
add_header(struct MHD_Response *response, const char *name, const char *value)
{
	if (MHD_add_response_header(response, name, value) == MHD_NO)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
}

/* No other site may read it: there is no Access-Control-Allow-Origin. */
static struct MHD_Response *
make_response(const char *body, size_t size, bool constant, const char *type)
{
	struct MHD_Response *response;

	response = MHD_create_response_from_buffer(size, unconstify(char *, body),
											   constant ? MHD_RESPMEM_PERSISTENT :
											   MHD_RESPMEM_MUST_COPY);
	if (response == NULL)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	add_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	add_header(response, MHD_HTTP_HEADER_X_CONTENT_TYPE_OPTIONS, "nosniff");
	add_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	return response;
}

static struct MHD_Response *
make_file(const PoolerPageFile *file)
{
	struct MHD_Response *response = make_response(file->body, file->size, true,
												  file->type);

	add_header(response, MHD_HTTP_HEADER_CONTENT_SECURITY_POLICY, file->policy);
	add_header(response, "Referrer-Policy", "no-referrer");
	add_header(response, MHD_HTTP_HEADER_X_FRAME_OPTIONS, "DENY");
	return response;
}

static struct MHD_Response *
make_refusal(RefusalKind kind)
{
	const Refusal *refusal = &refusals[kind];
	struct MHD_Response *response = make_response(refusal->text,
												  strlen(refusal->text), true,
												  "text/plain; charset=utf-8");

	if (kind == REFUSED_METHOD)
		add_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
	if (refusal->close)
		add_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
	return response;
}

static void
make_constant_responses(void)
{
	if (files != NULL)
		return;
	for (int i = 0; i < NREFUSALS; i++)
		refused[i] = make_refusal(i);
	files = MemoryContextAllocZero(TopMemoryContext,
								   pooler_page_nfiles * sizeof(files[0]));
	for (int i = 0; i < pooler_page_nfiles; i++)
		files[i] = make_file(&pooler_page_files[i]);
}

static void
forget(Answer *answer)
{
	if (answer->response != NULL)
		MHD_destroy_response(answer->response); /* when all have got it */
	answer->response = NULL;
}

void
pooler_http_forget(void)
{
	for (int i = 0; i < (int) lengthof(answers); i++)
		forget(&answers[i]);
}

static const Answer *
answer_of(const Route *route)
{
	Answer	   *answer = &answers[route - routes];
	TimestampTz begin = GetCurrentTimestamp();
	TimestampTz end;
	StringInfoData buf;

	/* also if the clock was set back */
	if (answer->response != NULL && begin < answer->outdated_at &&
		answer->outdated_at - begin < 10 * USECS_PER_SEC)
		return answer;
	initStringInfo(&buf);
	answer->status = (unsigned) route->make(&buf);
	forget(answer);
	answer->response = make_response(buf.data, buf.len, false, route->type);
	answer->size = buf.len;
	pfree(buf.data);
	end = GetCurrentTimestamp();
	answer->outdated_at = end + Max(FRESH_MS * INT64CONST(1000),
									(end - begin) * FRESH_COSTS);
	return answer;
}

/*---------------------------------------------------------------------------
 * who may ask
 *---------------------------------------------------------------------------
 */

static const char *
header(struct MHD_Connection *connection, const char *name)
{
	return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

static int
descriptor(struct MHD_Connection *connection)
{
	return MHD_get_connection_info(connection,
								   MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
}

static bool
came_by_loopback(struct MHD_Connection *connection)
{
	struct sockaddr_storage addr = {0};
	socklen_t	len = sizeof(addr);

	if (getsockname(descriptor(connection), (struct sockaddr *) &addr, &len) < 0)
		return true;			/* to be on the safe side */
	if (addr.ss_family == AF_INET)
		return ntohl(((struct sockaddr_in *) &addr)->sin_addr.s_addr) >> 24 == 127;
	return memcmp(&((struct sockaddr_in6 *) &addr)->sin6_addr, &in6addr_loopback,
				  sizeof(in6addr_loopback)) == 0;
}

/*
 * An address, a name that nobody can have in the public DNS, the machine's own
 * name, or one that the administrator has given.
 */
static bool
is_our_name(const char *host)
{
	char		name[POOLER_HOST_MAX];
	char		own[256] = "";

	switch (pooler_host_parse(host, name))
	{
		case POOLER_HOST_BAD:
			return false;
		case POOLER_HOST_ADDRESS:
		case POOLER_HOST_LABEL:
			return true;
		case POOLER_HOST_NAME:
			break;
	}
	if (gethostname(own, sizeof(own) - 1) == 0 && pg_strcasecmp(name, own) == 0)
		return true;
	return pooler_http_listens_by_name(name, strlen(name));
}

/*
 * A page of somebody else's, in a browser that can reach us, may have its own
 * name resolved to our address, and so be of the same origin.  It can't change
 * the name that the browser sends as Host.  What programs ask for is also given
 * by other names, except on the loopback interface: they can be configured with
 * any name in DNS, while those who can reach us from elsewhere can do so without
 * a browser.  A program that sends no Host is no browser.
 */
static bool
may_ask(struct MHD_Connection *connection, bool for_browsers)
{
	const char *host = header(connection, MHD_HTTP_HEADER_HOST);

	if (host == NULL || (!for_browsers && !came_by_loopback(connection)))
		return true;
	return is_our_name(host);
}

/*---------------------------------------------------------------------------
 * requests
 *---------------------------------------------------------------------------
 */

static bool
accepts(struct MHD_Connection *connection, const char *type)
{
	const char *accept = header(connection, MHD_HTTP_HEADER_ACCEPT);

	if (type == NULL)
		return true;
	return accept != NULL && strcasestr(accept, type) != NULL;
}

static bool
has_body(struct MHD_Connection *connection)
{
	const char *length = header(connection, MHD_HTTP_HEADER_CONTENT_LENGTH);

	return header(connection, MHD_HTTP_HEADER_TRANSFER_ENCODING) != NULL ||
		(length != NULL && strcmp(length, "0") != 0);
}

/*
 * Our own processor time is the smaller part of what an answer costs if who asks
 * is on the same machine: the kernel's and the reader's are charged as well.
 */
static enum MHD_Result
reply(struct MHD_Connection *connection, unsigned status,
	  struct MHD_Response *response, size_t size)
{
	pooler_http_charge(COST_US + size * COST_US_PER_MB / 1000000);
	return MHD_queue_response(connection, status, response);
}

static enum MHD_Result
refuse(struct MHD_Connection *connection, RefusalKind kind)
{
	return reply(connection, refusals[kind].status, refused[kind], 0);
}

static enum MHD_Result
route(struct MHD_Connection *connection, const char *path)
{
	for (int i = 0; i < (int) lengthof(routes); i++)
	{
		const Answer *answer;

		if (strcmp(path, routes[i].path) != 0 ||
			!accepts(connection, routes[i].accept))
			continue;
		if (!may_ask(connection, routes[i].for_browsers))
			return refuse(connection, REFUSED_HOST);
		answer = answer_of(&routes[i]);
		return reply(connection, answer->status, answer->response, answer->size);
	}
	for (int i = 0; i < pooler_page_nfiles; i++)
	{
		if (strcmp(path, pooler_page_files[i].path) != 0)
			continue;
		if (!may_ask(connection, true))
			return refuse(connection, REFUSED_HOST);
		return reply(connection, MHD_HTTP_OK, files[i], pooler_page_files[i].size);
	}
	return refuse(connection, REFUSED_PATH);
}

/*
 * The library calls it when it has the headers, and again when it has all of
 * the request; to answer the first call would be to refuse what is to come.
 */
static enum MHD_Result
handle_request(void *arg, struct MHD_Connection *connection, const char *path,
			   const char *method, const char *version, const char *upload,
			   size_t *upload_size, void **state)
{
	static int	seen;

	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 &&
		strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
		return refuse(connection, REFUSED_METHOD);
	if (has_body(connection))
		return refuse(connection, REFUSED_BODY);
	if (*state == NULL)
	{
		*state = &seen;
		return MHD_YES;
	}
	return route(connection, path);
}

/*---------------------------------------------------------------------------
 * connections
 *---------------------------------------------------------------------------
 */

static void
connection_begins(struct MHD_Connection *connection, void **context)
{
	const struct sockaddr *from = MHD_get_connection_info(connection,
														  MHD_CONNECTION_INFO_CLIENT_ADDRESS)->client_addr;

	for (int i = 0; i < MAX_CONNECTIONS; i++)
	{
		Connection *known = &connections[i];

		if (known->used)
			continue;
		known->used = true;
		known->closing = false;
		known->fd = descriptor(connection);
		known->since = GetCurrentTimestamp();
		memset(&known->from, 0, sizeof(known->from));
		memcpy(&known->from, from, from->sa_family == AF_INET ?
			   sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6));
		*context = known;
		nconnections++;
		return;
	}
}

static void
note_connection(void *arg, struct MHD_Connection *connection, void **context,
				enum MHD_ConnectionNotificationCode what)
{
	Connection *known = *context;

	if (what == MHD_CONNECTION_NOTIFY_STARTED)
		connection_begins(connection, context);
	else if (known != NULL)
	{
		known->used = false;
		nconnections--;
	}
}

static void
note_answered(void *arg, struct MHD_Connection *connection, void **state,
			  enum MHD_RequestTerminationCode how)
{
	Connection *known = MHD_get_connection_info(connection,
												MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;

	if (known != NULL)
		known->since = GetCurrentTimestamp();
}

bool
pooler_http_has_room(void)
{
	return nconnections < MAX_CONNECTIONS;
}

/* The library finds it shut down, and closes it. */
static void
shut_down(Connection *connection)
{
	connection->closing = true;
	(void) shutdown(connection->fd, SHUT_RDWR);
}

static bool
same_host(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
	if (a->ss_family != b->ss_family)
		return false;
	if (a->ss_family == AF_INET)
		return ((const struct sockaddr_in *) a)->sin_addr.s_addr ==
			((const struct sockaddr_in *) b)->sin_addr.s_addr;
	return memcmp(&((const struct sockaddr_in6 *) a)->sin6_addr,
				  &((const struct sockaddr_in6 *) b)->sin6_addr,
				  sizeof(struct in6_addr)) == 0;
}

/*
 * Nobody gets all connections.  Who has too many loses the one that has done
 * nothing for the longest time, so that those who only sit there can't shut out
 * whoever shares their address.
 */
static bool
has_room_for(const struct sockaddr_storage *from)
{
	Connection *oldest = NULL;
	int			n = 0;

	for (int i = 0; i < MAX_CONNECTIONS; i++)
	{
		Connection *connection = &connections[i];

		if (!connection->used || connection->closing ||
			!same_host(&connection->from, from))
			continue;
		n++;
		if (oldest == NULL || connection->since < oldest->since)
			oldest = connection;
	}
	if (n < MAX_PER_ADDRESS)
		return true;
	if (!TimestampDifferenceExceeds(oldest->since, GetCurrentTimestamp(),
									REQUEST_MS_IF_FULL))
		return false;
	shut_down(oldest);
	return true;
}

void
pooler_http_accept(int fd, const SockAddr *raddr)
{
	if (!pooler_http_has_room() || !has_room_for(&raddr->addr))
	{
		close(fd);
		return;
	}
	/* it closes the descriptor if it does not want it */
	(void) MHD_add_connection(http, fd, (const struct sockaddr *) &raddr->addr,
							  raddr->salen);
}

void
pooler_http_close_overdue(TimestampTz now, bool need_room)
{
	int			limit = need_room ? REQUEST_MS_IF_FULL : REQUEST_MS;

	for (int i = 0; i < MAX_CONNECTIONS; i++)
	{
		Connection *connection = &connections[i];

		if (connection->since > now)
			connection->since = now;	/* the clock was set back */
		if (connection->used && !connection->closing &&
			TimestampDifferenceExceeds(connection->since, now, limit))
			shut_down(connection);
	}
}

/*---------------------------------------------------------------------------
 * the library
 *---------------------------------------------------------------------------
 */

/* By default it calls abort(), which would restart the server. */
static void
panic(void *arg, const char *file, unsigned int line, const char *reason)
{
	ereport(FATAL,
			(errcode(ERRCODE_INTERNAL_ERROR),
			 errmsg("libmicrohttpd failed: %s", reason ? reason : "no reason given"),
			 errdetail("It was at line %u of %s.", line, file)));
}

int
pooler_http_start(void)
{
	make_constant_responses();
	MHD_set_panic_func(panic, NULL);
	http = MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET, 0,
							NULL, NULL, handle_request, NULL,
							MHD_OPTION_CONNECTION_LIMIT, (unsigned int) MAX_CONNECTIONS,
							MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t) REQUEST_MEMORY,
							MHD_OPTION_CONNECTION_TIMEOUT, (unsigned int) IDLE_SECONDS,
							MHD_OPTION_STRICT_FOR_CLIENT, 1,
							MHD_OPTION_NOTIFY_CONNECTION, note_connection, NULL,
							MHD_OPTION_NOTIFY_COMPLETED, note_answered, NULL,
							MHD_OPTION_END);
	if (http == NULL)
		ereport(ERROR, (errmsg("could not start libmicrohttpd")));
	return MHD_get_daemon_info(http, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
}

void
pooler_http_stop(void)
{
	MHD_stop_daemon(http);
	http = NULL;
}

void
pooler_http_run(void)
{
	if (MHD_run(http) == MHD_NO)
		ereport(ERROR, (errmsg("libmicrohttpd could not run")));
}

long
pooler_http_timeout(void)
{
	MHD_UNSIGNED_LONG_LONG ms;

	if (MHD_get_timeout(http, &ms) == MHD_NO)
		return -1;
	return (long) Min(ms, 60000);
}
