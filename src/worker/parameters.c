/*-------------------------------------------------------------------------
 *
 * parameters.c
 *	  Remembers what backends reported at their start.
 *
 * Runs in: the pooler.  A login need not wait for a backend when another
 * client of the same database and role, with the same startup settings, was
 * here before.  Everything is forgotten at a reload and whenever a role or a
 * database has changed.  Bounded: when it is full it is emptied.
 *
 *-------------------------------------------------------------------------
 */
#include "worker/parameters.h"

#include "common/hashfn.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#define MAX_ENTRIES		1024

typedef struct ParametersEntry
{
	uint64		hash;			/* of the key: must be first */
	char	   *key;
	size_t		key_len;
	char	   *parameters;
	size_t		len;
} ParametersEntry;

static MemoryContext cache_cxt;
static HTAB *cache;

/*
 * Part of every key: what a backend reports that was started before a change
 * is an answer to those alone who asked before it.
 */
static uint32 generation;

/* A key is generation, database, role, and then pairs of strings. */
#define KEY_HEADER		(sizeof(uint32) + 2 * sizeof(Oid))

static void
create_cache(void)
{
	HASHCTL		info = {0};

	cache_cxt = AllocSetContextCreate(TopMemoryContext, "pooler parameters",
									  ALLOCSET_DEFAULT_SIZES);
	info.keysize = sizeof(uint64);
	info.entrysize = sizeof(ParametersEntry);
	info.hcxt = cache_cxt;
	cache = hash_create("pooler parameters", 64, &info,
						HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

void
pooler_parameters_outdate(void)
{
	generation++;
}

void
pooler_parameters_forget(void)
{
	pooler_parameters_outdate();
	if (cache_cxt)
		MemoryContextDelete(cache_cxt);
	cache_cxt = NULL;
	cache = NULL;
}

static ParametersEntry *
find_entry(const char *key, size_t key_len, HASHACTION action)
{
	uint64		hash = hash_bytes_extended((const unsigned char *) key, key_len, 0);
	bool		found;
	ParametersEntry *entry;

	if (cache == NULL)
		create_cache();
	entry = hash_search(cache, &hash, action, &found);
	if (entry != NULL && !found)
		entry->key = NULL;
	return entry;
}

bool
pooler_parameters_find(const char *key, size_t key_len,
					   const char **parameters, size_t *len)
{
	ParametersEntry *entry = find_entry(key, key_len, HASH_FIND);

	if (entry == NULL || entry->key == NULL || entry->key_len != key_len ||
		memcmp(entry->key, key, key_len) != 0)
		return false;
	*parameters = entry->parameters;
	*len = entry->len;
	return true;
}

void
pooler_parameters_store(const char *key, size_t key_len,
						const char *parameters, size_t len)
{
	ParametersEntry *entry;

	if (cache != NULL && hash_get_num_entries(cache) >= MAX_ENTRIES)
		pooler_parameters_forget();
	entry = find_entry(key, key_len, HASH_ENTER);
	if (entry->key != NULL)
	{
		pfree(entry->key);
		pfree(entry->parameters);
	}
	entry->key = MemoryContextAlloc(cache_cxt, key_len);
	memcpy(entry->key, key, key_len);
	entry->key_len = key_len;
	entry->parameters = MemoryContextAlloc(cache_cxt, Max(len, 1));
	memcpy(entry->parameters, parameters, len);
	entry->len = len;
}

char *
pooler_parameters_key(MemoryContext cxt, const PoolerIdentity *who,
					  const char *settings, size_t settings_len, size_t *key_len)
{
	MemoryContext old = MemoryContextSwitchTo(cxt);
	const char *p = settings;
	const char *name;
	const char *value;
	StringInfoData buf;

	initStringInfo(&buf);
	appendBinaryStringInfo(&buf, (const char *) &generation, sizeof(generation));
	appendBinaryStringInfo(&buf, (const char *) &who->dbid, sizeof(Oid));
	appendBinaryStringInfo(&buf, (const char *) &who->roleid, sizeof(Oid));
	Assert(buf.len == KEY_HEADER);
	while (pooler_next_pair(&p, settings + settings_len, &name, &value))
	{
		if (strcmp(name, "application_name") == 0)
			continue;
		appendBinaryStringInfo(&buf, name, strlen(name) + 1);
		appendBinaryStringInfo(&buf, value, strlen(value) + 1);
	}
	MemoryContextSwitchTo(old);
	*key_len = buf.len;
	return buf.data;
}

const char *
pooler_parameters_key_settings(const char *key, size_t key_len,
							   size_t *settings_len)
{
	*settings_len = key_len - KEY_HEADER;
	return key + KEY_HEADER;
}

void
pooler_parameters_write(StringInfo out, StringInfo told, const char *parameters,
						size_t len, const char *application_name)
{
	size_t		offset = 0;
	PoolerMessage message;

	while (pooler_message_next((const uint8_t *) parameters, len, len, &offset,
							   &message) == POOLER_MESSAGE_OK)
	{
		const char *name;
		const char *value;
		PoolerWriter w;
		size_t		room;

		if (message.type == POOLER_MESSAGE_SETTINGS ||
			!pooler_message_parse_parameter(&message, &name, &value))
			continue;
		if (application_name != NULL && strcmp(name, "application_name") == 0)
			value = application_name;
		room = POOLER_FRAME_HEADER + strlen(name) + strlen(value) + 2;
		enlargeStringInfo(out, room);
		w = pooler_writer(out->data + out->len, room);
		pooler_build_parameter(&w, name, value);
		out->len += w.len;
		appendBinaryStringInfo(told, name, strlen(name) + 1);
		appendBinaryStringInfo(told, value, strlen(value) + 1);
	}
}

const char *
pooler_parameters_settings(const char *parameters, size_t len, size_t *settings_len)
{
	size_t		offset = 0;
	PoolerMessage message;

	while (pooler_message_next((const uint8_t *) parameters, len, len, &offset,
							   &message) == POOLER_MESSAGE_OK)
	{
		if (message.type == POOLER_MESSAGE_SETTINGS)
		{
			*settings_len = message.len;
			return (const char *) message.body;
		}
	}
	*settings_len = 0;
	return NULL;
}
