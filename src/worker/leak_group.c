/*-------------------------------------------------------------------------
 *
 * leak_group.c
 *	  Applications that open connections while they have unused ones.
 *
 * Runs in: the pooler.  Connections of one database, role, application_name
 * and client address are taken for those of one application: one that holds
 * connections in a pool of its own takes an unused one before it opens
 * another, and closes some now and then; one that forgets them does neither.
 *
 * A connection is unused if it has been idle since UNUSED_MS before another
 * one of the group was opened.  So many that are opened at once, as when an
 * application starts, are none; neither are those from before the group closed
 * one.
 *
 *-------------------------------------------------------------------------
 */
#include "worker/leak.h"

#include "utils/hsearch.h"
#include "utils/memutils.h"

#define UNUSED_MS	10000

static HTAB *groups;

void
pooler_leak_group_startup(void)
{
	HASHCTL		ctl = {0};

	ctl.keysize = sizeof(LeakGroupKey);
	ctl.entrysize = sizeof(LeakGroup);
	ctl.hcxt = TopMemoryContext;
	groups = hash_create("pooler groups of connections", 256, &ctl,
						 HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

/* Without the port; all bytes count, so there must be no gaps. */
static void
set_key(LeakGroupKey *key, int slot, int pool)
{
	PoolerClient *client = &pooler_clients[slot];
	const PoolerAddress *addr = &client->raddr;

	memset(key, 0, sizeof(*key));
	key->dbid = pooler_pools[pool].dbid;
	key->roleid = pooler_pools[pool].roleid;
	strlcpy(key->application_name, client->application_name,
			sizeof(key->application_name));
	key->family = addr->any.sa_family;
	if (key->family == AF_INET)
		memcpy(key->address, &addr->in4.sin_addr, 4);
	else if (key->family == AF_INET6)
		memcpy(key->address, &addr->in6.sin6_addr, 16);
}

LeakGroup *
pooler_leak_group_again(LeakGroup *group, const LeakClient *who)
{
	if (strcmp(group->key.application_name,
			   pooler_clients[who->client].application_name) == 0)
		return group;
	group->members--;			/* an empty one goes after the look */
	return pooler_leak_group_of(who);
}

LeakGroup *
pooler_leak_group_of(const LeakClient *who)
{
	LeakGroupKey key;
	LeakGroup  *group;
	bool		found;

	set_key(&key, who->client, who->pool);
	group = hash_search(groups, &key, HASH_ENTER, &found);
	if (!found)
	{
		memset((char *) group + sizeof(key), 0, sizeof(*group) - sizeof(key));
		group->place = -1;
	}
	group->members++;
	group->newest = Max(group->newest, pooler_clients[who->client].connected_at);
	return group;
}

/* One that was connected so shortly that nobody has seen it has closed, too. */
void
pooler_leak_group_left(int slot, LeakGroup *group)
{
	LeakGroupKey key;

	if (group == NULL)
	{
		int			pool = pooler_clients[slot].pool;

		if (pool < 0 || hash_get_num_entries(groups) == 0)
			return;
		set_key(&key, slot, pool);
		group = hash_search(groups, &key, HASH_FIND, NULL);
		if (group != NULL)
			group->closed = pooler_worker.now;
		return;
	}
	group->closed = pooler_worker.now;
	group->members--;
	/* its leak, if there is one, is looked after first */
	if (group->members == 0 && group->place < 0)
		(void) hash_search(groups, &group->key, HASH_REMOVE, NULL);
}

bool
pooler_leak_group_unused(const LeakGroup *group, const LeakClient *who,
						 TimestampTz *since)
{
	return pooler_leak_idle(who, since) &&
		pooler_clients[who->client].connected_at > group->closed &&
		TimestampTzPlusMilliseconds(*since, UNUSED_MS) <= group->newest;
}

void
pooler_leak_group_begin_look(void)
{
	HASH_SEQ_STATUS seq;
	LeakGroup  *group;

	hash_seq_init(&seq, groups);
	while ((group = hash_seq_search(&seq)) != NULL)
	{
		group->unused = 0;
		group->oldest = 0;
		group->client = -1;
	}
}

void
pooler_leak_group_look(LeakGroup *group, const LeakClient *who)
{
	TimestampTz connected_at = pooler_clients[who->client].connected_at;
	TimestampTz since;

	if (!pooler_leak_group_unused(group, who, &since))
		return;
	group->unused++;
	if (group->oldest == 0 || connected_at < group->oldest)
	{
		group->oldest = connected_at;
		group->client = who->client;
	}
}

void
pooler_leak_group_end_look(void (*found) (LeakGroup *group))
{
	HASH_SEQ_STATUS seq;
	LeakGroup  *group;

	hash_seq_init(&seq, groups);
	while ((group = hash_seq_search(&seq)) != NULL)
	{
		if (group->members == 0 && group->place < 0)
			(void) hash_search(groups, &group->key, HASH_REMOVE, NULL);
		else
			found(group);
	}
}
