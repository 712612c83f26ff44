/*
 * startup.c
 *		Recognise and parse the packets that open a connection.
 *
 * Pure and process-independent: bytes in, typed result or error code out.
 * Must not do I/O, allocate, report, or depend on the server's runtime.
 */
#include "startup.h"

#define CODE(major, minor)	(((uint32_t) (major) << 16) | (minor))
#define CANCEL_REQUEST_CODE CODE(1234, 5678)
#define NEGOTIATE_SSL_CODE	CODE(1234, 5679)
#define NEGOTIATE_GSS_CODE	CODE(1234, 5680)

/* First byte of a TLS record that carries a handshake. */
#define TLS_HANDSHAKE	0x16

/* A length word and a version or request code. */
#define PACKET_HEADER	8

/* All of a cancel request with a key of 4 bytes. */
#define CANCEL_PACKET_SHORT	(PACKET_HEADER + 4 + 4)

#define PROTOCOL_OPTION_PREFIX	"_pq_."

static PoolerStartupKind
classify(uint32_t proto, bool ssl_done, bool gss_done)
{
	if (proto == CANCEL_REQUEST_CODE)
		return POOLER_STARTUP_CANCEL;
	if (proto == NEGOTIATE_SSL_CODE && !ssl_done)
		return POOLER_STARTUP_SSL_REQUEST;
	if (proto == NEGOTIATE_GSS_CODE && !gss_done)
		return POOLER_STARTUP_GSS_REQUEST;
	if (POOLER_PROTO_VERSION_MAJOR(proto) ==
		POOLER_PROTO_VERSION_MAJOR(POOLER_PROTO_VERSION_3_0))
		return POOLER_STARTUP_PARAMETERS;
	return POOLER_STARTUP_ERROR;
}

PoolerStartupVerdict
pooler_startup_inspect(const uint8_t *buf, size_t avail,
					   bool ssl_done, bool gss_done)
{
	PoolerStartupVerdict v = {POOLER_STARTUP_NEED_MORE, POOLER_PROTO_OK, 4, 0};
	uint32_t	len;

	if (avail > 0 && buf[0] == TLS_HANDSHAKE && !ssl_done && !gss_done)
	{
		v.kind = POOLER_STARTUP_TLS_HELLO;
		v.need = 0;
		return v;
	}
	if (avail < 4)
		return v;

	len = pooler_get_be32(buf);
	if (len < PACKET_HEADER || len > POOLER_STARTUP_MAX_TOTAL)
	{
		v.kind = POOLER_STARTUP_ERROR;
		v.error = POOLER_PROTO_STARTUP_LENGTH;
		v.need = 0;
		return v;
	}

	v.need = len;
	if (avail < len)
		return v;

	v.proto = pooler_get_be32(buf + 4);
	v.kind = classify(v.proto, ssl_done, gss_done);
	if (v.kind == POOLER_STARTUP_ERROR)
		v.error = POOLER_PROTO_VERSION;
	return v;
}

PoolerProtoError
pooler_startup_parse_cancel(const uint8_t *packet, size_t len, uint32_t latest,
							PoolerCancelRequest *cancel)
{
	PoolerReader r = pooler_reader(packet, len);
	uint32_t	header[2];

	memset(cancel, 0, sizeof(*cancel));
	if (latest < POOLER_PROTO_VERSION_3_2 && len != CANCEL_PACKET_SHORT)
		return POOLER_PROTO_STARTUP_LENGTH;
	if (!pooler_read_be32(&r, &header[0]) ||
		!pooler_read_be32(&r, &header[1]) ||
		!pooler_read_be32(&r, &cancel->pid))
		return POOLER_PROTO_CANCEL_LENGTH;

	cancel->key = r.next;
	cancel->key_len = pooler_reader_left(&r);
	if (cancel->key_len == 0 || cancel->key_len > POOLER_CANCEL_KEY_MAX)
		return POOLER_PROTO_CANCEL_KEY_LENGTH;
	return POOLER_PROTO_OK;
}

static PoolerStartupParamKind
param_kind(const char *name)
{
	if (strcmp(name, "database") == 0)
		return POOLER_PARAM_DATABASE;
	if (strcmp(name, "user") == 0)
		return POOLER_PARAM_USER;
	if (strcmp(name, "options") == 0)
		return POOLER_PARAM_OPTIONS;
	if (strcmp(name, "replication") == 0)
		return POOLER_PARAM_REPLICATION;
	if (strncmp(name, PROTOCOL_OPTION_PREFIX,
				sizeof(PROTOCOL_OPTION_PREFIX) - 1) == 0)
		return POOLER_PARAM_PROTOCOL;
	return POOLER_PARAM_SETTING;
}

bool
pooler_startup_next(PoolerReader *it, PoolerStartupParam *param)
{
	PoolerReader r = *it;

	if (!pooler_read_string(&r, &param->name) || param->name[0] == '\0' ||
		!pooler_read_string(&r, &param->value))
		return false;			/* the list ends here, or is cut off */
	param->kind = param_kind(param->name);
	*it = r;
	return true;
}

/*
 * The walsender flags live apart until all pairs are read, because core keeps
 * "database" in mind even if a later pair says "true".
 */
typedef struct WalSender
{
	bool		any;
	bool		database;
} WalSender;

static bool
take_replication(WalSender *walsender, const char *value)
{
	if (strcmp(value, "database") == 0)
	{
		walsender->any = true;
		walsender->database = true;
		return true;
	}
	return pooler_startup_parse_bool(value, &walsender->any);
}

static bool
take_param(PoolerStartup *startup, WalSender *walsender,
		   const PoolerStartupParam *param)
{
	switch (param->kind)
	{
		case POOLER_PARAM_USER:
			startup->user = param->value;
			break;
		case POOLER_PARAM_DATABASE:
			startup->database = param->value;
			break;
		case POOLER_PARAM_OPTIONS:
			startup->options = param->value;
			break;
		case POOLER_PARAM_REPLICATION:
			return take_replication(walsender, param->value);
		case POOLER_PARAM_PROTOCOL:
			startup->nprotocol++;
			break;
		case POOLER_PARAM_SETTING:
			startup->nsettings++;
			if (strcmp(param->name, "application_name") == 0)
				startup->application_name = param->value;
			break;
	}
	return true;
}

static void
set_replication(PoolerStartup *startup, WalSender walsender)
{
	if (!walsender.any)
		startup->replication = POOLER_REPLICATION_NONE;
	else if (walsender.database)
		startup->replication = POOLER_REPLICATION_DATABASE;
	else
		startup->replication = POOLER_REPLICATION_PHYSICAL;
}

PoolerProtoError
pooler_startup_parse(const uint8_t *packet, size_t len,
					 PoolerStartup *startup)
{
	PoolerReader r = pooler_reader(packet, len);
	PoolerStartupParam param;
	WalSender	walsender = {false, false};
	uint32_t	word;

	memset(startup, 0, sizeof(*startup));
	if (!pooler_read_be32(&r, &word) || !pooler_read_be32(&r, &startup->proto))
		return POOLER_PROTO_STARTUP_LENGTH;

	startup->pairs = r;
	while (pooler_startup_next(&r, &param))
	{
		if (!take_param(startup, &walsender, &param))
		{
			startup->bad_replication = param.value;
			return POOLER_PROTO_REPLICATION;
		}
	}

	/*
	 * Core asks where the last byte is, not what it is: one stray byte in the
	 * terminator's place passes there, so it does here.
	 */
	if (pooler_reader_left(&r) != 1)
		return POOLER_PROTO_STARTUP_LAYOUT;

	set_replication(startup, walsender);
	if (startup->user == NULL || startup->user[0] == '\0')
		return POOLER_PROTO_NO_USER;
	if (startup->database == NULL || startup->database[0] == '\0')
		startup->database = startup->user;
	if (startup->replication == POOLER_REPLICATION_PHYSICAL)
		startup->database = "";
	return POOLER_PROTO_OK;
}

bool
pooler_startup_must_negotiate(const PoolerStartup *startup, uint32_t latest)
{
	return startup->nprotocol > 0 ||
		POOLER_PROTO_VERSION_MINOR(startup->proto) >
		POOLER_PROTO_VERSION_MINOR(latest);
}

bool
pooler_startup_has_long_keys(uint32_t proto, uint32_t latest)
{
	return proto >= POOLER_PROTO_VERSION_3_2 &&
		latest >= POOLER_PROTO_VERSION_3_2;
}

/*
 * Is value a prefix of word, at least min bytes long, ASCII case ignored?
 * Not tolower(): the answer must not depend on a locale.
 */
static bool
is_prefix(const char *value, const char *word, size_t min)
{
	size_t		i;

	for (i = 0; value[i] != '\0'; i++)
	{
		char		c = value[i];

		if (c >= 'A' && c <= 'Z')
			c = (char) (c - 'A' + 'a');
		if (c != word[i])
			return false;		/* also when word ends first */
	}
	return i >= min;
}

bool
pooler_startup_parse_bool(const char *value, bool *result)
{
	static const struct
	{
		const char *word;
		size_t		min;		/* shortest prefix that is unique */
		bool		result;
	}			words[] = {
		{"true", 1, true},
		{"false", 1, false},
		{"yes", 1, true},
		{"no", 1, false},
		{"on", 2, true},
		{"off", 2, false},
		{"1", 1, true},
		{"0", 1, false},
	};
	size_t		i;

	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++)
	{
		if (is_prefix(value, words[i].word, words[i].min))
		{
			*result = words[i].result;
			return true;
		}
	}
	return false;
}
