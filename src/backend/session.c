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
#include "backend/analysis.h"

#include "portability/instr_time.h"
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

static bool
part_changed(PoolerSessionPart part, const PoolerClient *c)
{
	switch (part)
	{
		case POOLER_PART_SETTINGS:
			return pooler_settings_changed();
		case POOLER_PART_REPORTED:
			return pooler_reported_told() != c->digest[part];
		case POOLER_PART_STATEMENTS:
			return pooler_statements_changed();
		case POOLER_PART_UNNAMED:
			return pooler_unnamed_changed(c->digest[part]);
		case POOLER_PART_SEQUENCES:
			return pooler_sequences_changed();
		case POOLER_NPARTS:
			break;
	}
	return false;
}

static uint64
save_part(PoolerSessionPart part, StringInfo buf)
{
	switch (part)
	{
		case POOLER_PART_SETTINGS:
			return pooler_settings_save(buf);
		case POOLER_PART_REPORTED:
			pooler_reported_save(buf);
			return pooler_reported_told();
		case POOLER_PART_STATEMENTS:
			return pooler_statements_save(buf);
		case POOLER_PART_UNNAMED:
			return pooler_unnamed_save(buf);
		case POOLER_PART_SEQUENCES:
			return pooler_sequences_save(buf);
		case POOLER_NPARTS:
			break;
	}
	return 0;
}

/* Added up finer than the counter is, because most turns take less than 1 us. */
static void
count_time(instr_time begin)
{
	static instr_time total;
	instr_time	now;

	INSTR_TIME_SET_CURRENT(now);
	INSTR_TIME_ACCUM_DIFF(total, now, begin);
	pooler_me.shared->counters.switch_us = INSTR_TIME_GET_MICROSEC(total);
}

static void
save(int client)
{
	PoolerClient *c = &pooler_clients[client];
	const StringInfoData *parts[POOLER_NPARTS] = {0};
	bool		changed = false;

	for (PoolerSessionPart i = 0; i < POOLER_NPARTS; i++)
	{
		if (!part_changed(i, c))
			continue;
		parts[i] = buffer(i);
		in_force[i] = save_part(i, &buffers[i]);
		changed = true;
	}
	if (!changed)
		return;
	pooler_session_store(c, parts);
	pooler_statements_saved();
	memcpy(c->digest, in_force, sizeof(in_force));
}

void
pooler_session_save(int client)
{
	instr_time	begin;

	INSTR_TIME_SET_CURRENT(begin);
	save(client);
	count_time(begin);
}

/* What such a client was told, the pooler knows from the login. */
void
pooler_session_save_login(int client)
{
	if (pooler_settings_changed() || pooler_statements_changed() ||
		pooler_sequences_changed())
		pooler_session_save(client);
}

void
pooler_session_abandon(void)
{
	if (pooler_settings_changed() || pooler_statements_changed() ||
		pooler_sequences_changed())
		pooler_session_reset();
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
	owner = -1;
	pooler_reported_mute = false;
	pooler_settings_forget();
	pooler_statements_forget();
	pooler_sequences_forget();
}

/* Must what is in force be replaced for this client? */
static bool
differs(const PoolerClient *c, PoolerSessionPart part)
{
	return c->digest[part] != in_force[part];
}

static void
restore_settings(const PoolerClient *c, const char *startup, int startup_len)
{
	int			len;
	const char *part = pooler_session_part(c, POOLER_PART_SETTINGS, &len);
	PoolerAnalysis *before = pooler_analysis_now();
	PoolerAnalysis *now;

	pooler_settings_restore(startup, startup_len, part, len);
	now = pooler_analysis_now();
	if (now->len != before->len || memcmp(now->data, before->data, now->len) != 0)
	{
		pooler_plans_analyse_again();
		pooler_procedures_compile_again();
	}
	pooler_analysis_drop(now);
	pooler_analysis_drop(before);
	pooler_reported_mute = true;
	ReportChangedGUCOptions();
	pooler_reported_mute = false;
}

/* A client that has not been here yet was told by the pooler. */
static void
restore_reported(const PoolerClient *c)
{
	int			len;
	const char *pairs = pooler_session_part(c, POOLER_PART_REPORTED, &len);

	if (pairs == NULL)
		pooler_attach_told_at_login(c - pooler_clients, &pairs, &len);
	pooler_reported_restore(c->digest[POOLER_PART_REPORTED], pairs, len);
}

static void
restore_statements(const PoolerClient *c)
{
	int			len;
	const char *part = pooler_session_part(c, POOLER_PART_STATEMENTS, &len);

	if (differs(c, POOLER_PART_STATEMENTS))
		pooler_statements_restore(part, len);
	else
		pooler_statements_renew(part, len);
}

/* What there is already is compared in unnamed.c. */
static void
restore_unnamed(const PoolerClient *c)
{
	int			len;
	const char *part = pooler_session_part(c, POOLER_PART_UNNAMED, &len);

	pooler_unnamed_restore(c->digest[POOLER_PART_UNNAMED], part, len);
	in_force[POOLER_PART_UNNAMED] = c->digest[POOLER_PART_UNNAMED];
}

static void
restore(int client)
{
	PoolerClient *c = &pooler_clients[client];
	const char *startup;
	int			len;
	uint64		startup_digest = pooler_attach_startup_of(client, &startup, &len);

	if (differs(c, POOLER_PART_SEQUENCES))
	{
		int			part_len;
		const char *part = pooler_session_part(c, POOLER_PART_SEQUENCES, &part_len);

		pooler_sequences_restore(part, part_len);
	}
	if (startup_digest != startup_in_force || differs(c, POOLER_PART_SETTINGS))
		restore_settings(c, startup, len);
	restore_statements(c);
	restore_reported(c);
	if (startup_digest != startup_in_force ||
		memcmp(in_force, c->digest, sizeof(in_force)) != 0)
		pooler_me.shared->counters.restores++;
	startup_in_force = startup_digest;
	memcpy(in_force, c->digest, sizeof(in_force));
}

void
pooler_session_restore(int client)
{
	uint32		gen = pooler_client_gen(&pooler_clients[client]);
	instr_time	begin;

	restore_unnamed(&pooler_clients[client]);
	if (owner == client && owner_gen == gen &&
		memcmp(in_force, pooler_clients[client].digest, sizeof(in_force)) == 0)
		return;
	INSTR_TIME_SET_CURRENT(begin);
	owner = -1;
	restore(client);
	owner = client;
	owner_gen = gen;
	count_time(begin);
}
