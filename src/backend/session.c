/*-------------------------------------------------------------------------
 *
 * session.c
 *	  The session travels with the client.
 *
 * Runs in: pool backends, whenever a client is given back or taken.  What a
 * session consists of is known to other files, one for each part; here is the
 * order in which parts are saved and restored, and the decision whether they
 * have to be.
 *
 * When a client is given back its session stays in force, and the digests of
 * the parts are remembered.  Only if the next client's are others is anything
 * done: most clients of an application are equal.
 *
 *-------------------------------------------------------------------------
 */
#include "backend/internal.h"

#include "access/xact.h"
#include "shared/session.h"
#include "utils/guc.h"

/* A digest that no part has: whatever comes next has to be restored. */
#define UNKNOWN		PG_UINT64_MAX

/* Of what is in force in this process. */
static uint64 in_force[POOLER_NPARTS];
static uint64 startup_in_force;

/* Whose session it is. */
static int	owner = -1;
static uint32 owner_gen;

/*---------------------------------------------------------------------------
 * saving
 *---------------------------------------------------------------------------
 */

/* A part is saved by its file; a buffer for each is kept. */
static StringInfoData buffers[POOLER_NPARTS];

static StringInfo
buffer(PoolerSessionPart part)
{
	if (buffers[part].data == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

		initStringInfo(&buffers[part]);
		MemoryContextSwitchTo(old);
	}
	resetStringInfo(&buffers[part]);
	return &buffers[part];
}

void
pooler_session_save(int client)
{
	PoolerClient *c = &pooler_clients[client];
	const StringInfoData *parts[POOLER_NPARTS] = {0};
	uint64		digest[POOLER_NPARTS];
	bool		changed = false;

	memcpy(digest, in_force, sizeof(digest));
	if (pooler_settings_changed())
	{
		StringInfo	part = buffer(POOLER_PART_SETTINGS);

		digest[POOLER_PART_SETTINGS] = pooler_settings_save(part);
		parts[POOLER_PART_SETTINGS] = part;
		changed = true;
	}
	if (pooler_statements_changed())
	{
		StringInfo	part = buffer(POOLER_PART_STATEMENTS);

		digest[POOLER_PART_STATEMENTS] = pooler_statements_save(part);
		parts[POOLER_PART_STATEMENTS] = part;
		changed = true;
	}
	if (changed)
		pooler_session_store(c, parts);
	memcpy(in_force, digest, sizeof(digest));
	memcpy(c->digest, digest, sizeof(digest));
}

/*---------------------------------------------------------------------------
 * restoring
 *---------------------------------------------------------------------------
 */

void
pooler_session_reset(void)
{
	for (int i = 0; i < POOLER_NPARTS; i++)
		in_force[i] = UNKNOWN;
	startup_in_force = UNKNOWN;
	pooler_settings_forget();
}

/* In a transaction of its own: roles and check hooks look into catalogs. */
static void
restore_settings(const PoolerClient *c, const char *startup, int startup_len)
{
	int			len;
	const char *part = pooler_session_part(c, POOLER_PART_SETTINGS, &len);

	StartTransactionCommand();
	pooler_settings_restore(startup, startup_len, part, len);
	CommitTransactionCommand();
	pooler_attach_mute_parameters = true;
	ReportChangedGUCOptions();
	pooler_attach_mute_parameters = false;
}

static void
restore_statements(const PoolerClient *c)
{
	int			len;
	const char *part = pooler_session_part(c, POOLER_PART_STATEMENTS, &len);

	if (c->digest[POOLER_PART_STATEMENTS] != in_force[POOLER_PART_STATEMENTS])
		pooler_statements_restore(part, len);
	else
		pooler_statements_renew(part, len);
}

void
pooler_session_restore(int client)
{
	PoolerClient *c = &pooler_clients[client];
	uint32		gen = pooler_client_gen(c);
	const char *startup;
	int			startup_len;
	uint64		startup_digest = pooler_attach_startup_of(client, &startup, &startup_len);

	if (owner == client && owner_gen == gen &&
		memcmp(in_force, c->digest, sizeof(in_force)) == 0)
		return;
	owner = -1;
	if (startup_digest != startup_in_force ||
		c->digest[POOLER_PART_SETTINGS] != in_force[POOLER_PART_SETTINGS])
		restore_settings(c, startup, startup_len);
	restore_statements(c);
	startup_in_force = startup_digest;
	memcpy(in_force, c->digest, sizeof(in_force));
	owner = client;
	owner_gen = gen;
}
