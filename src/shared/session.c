/*-------------------------------------------------------------------------
 *
 * session.c
 *	  What a client carries from one backend to the next.
 *
 * Runs in: pool backends and the pooler.  Owns the one allocation in the
 * dynamic area that PoolerClient.session points to, and its accounting.  Does
 * not look into the parts, but for giving back the references to prepared
 * statements that one of them holds.
 *
 *-------------------------------------------------------------------------
 */
#include "shared/session.h"

#include "common/hashfn.h"
#include "shared/area.h"
#include "shared/guc.h"
#include "shared/registry.h"

typedef struct Session
{
	uint32		size;			/* of all this */
	uint32		end[POOLER_NPARTS]; /* of each part, from data */
	char		data[FLEXIBLE_ARRAY_MEMBER];
} Session;

static Session *
session_of(const PoolerClient *client)
{
	if (client->session == InvalidDsaPointer)
		return NULL;
	return dsa_get_address(pooler_area(), client->session);
}

static uint32
begin_of(const Session *session, PoolerSessionPart part)
{
	return part == 0 ? 0 : session->end[part - 1];
}

const char *
pooler_session_part(const PoolerClient *client, PoolerSessionPart part, int *len)
{
	Session    *session = session_of(client);

	*len = session ? session->end[part] - begin_of(session, part) : 0;
	return *len > 0 ? session->data + begin_of(session, part) : NULL;
}

uint64
pooler_reported_digest(const char *name, const char *value)
{
	uint64		seed = hash_bytes_extended((const unsigned char *) name, strlen(name),
										   pooler_shared->digest_seed);

	return hash_bytes_extended((const unsigned char *) value, strlen(value), seed);
}

/*---------------------------------------------------------------------------
 * storing
 *---------------------------------------------------------------------------
 */

/* Does not raise: false if pooler.session_memory does not allow it. */
static bool
reserve(Size size)
{
	uint64		limit = (uint64) pooler_session_memory * 1024;

	if (pg_atomic_add_fetch_u64(&pooler_shared->session_bytes, size) <= limit)
		return true;
	pg_atomic_fetch_sub_u64(&pooler_shared->session_bytes, size);
	return false;
}

static dsa_pointer
allocate(Size size)
{
	dsa_pointer result = InvalidDsaPointer;

	if (reserve(size))
	{
		result = pooler_area_allocate(size);
		if (result == InvalidDsaPointer)
			pg_atomic_fetch_sub_u64(&pooler_shared->session_bytes, size);
	}
	if (result == InvalidDsaPointer)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory for the sessions of clients"),
				 errdetail("Failed on a session of %zu bytes.", size),
				 errhint("Raise pooler.session_memory.")));
	return result;
}

/* Values of settings may be secrets. */
static void
release(dsa_pointer pointer)
{
	Session    *session = dsa_get_address(pooler_area(), pointer);
	Size		size = session->size;

	explicit_bzero(session, size);
	dsa_free(pooler_area(), pointer);
	pg_atomic_fetch_sub_u64(&pooler_shared->session_bytes, size);
}

void
pooler_session_store(PoolerClient *client, const StringInfoData *const *parts)
{
	const char *old[POOLER_NPARTS];
	int			len[POOLER_NPARTS];
	Size		size = offsetof(Session, data);
	uint32		end = 0;
	dsa_pointer pointer = InvalidDsaPointer;

	for (int i = 0; i < POOLER_NPARTS; i++)
	{
		old[i] = pooler_session_part(client, i, &len[i]);
		size += parts[i] ? parts[i]->len : len[i];
	}
	if (size > offsetof(Session, data))
	{
		Session    *session;

		pointer = allocate(size);
		session = dsa_get_address(pooler_area(), pointer);
		session->size = size;
		for (int i = 0; i < POOLER_NPARTS; i++)
		{
			int			n = parts[i] ? parts[i]->len : len[i];

			if (n > 0)
				memcpy(session->data + end, parts[i] ? parts[i]->data : old[i], n);
			end += n;
			session->end[i] = end;
		}
	}
	if (parts[POOLER_PART_STATEMENTS] != NULL)
	{
		pooler_registry_hold(parts[POOLER_PART_STATEMENTS]->data,
							 parts[POOLER_PART_STATEMENTS]->len);
		pooler_registry_release(old[POOLER_PART_STATEMENTS], len[POOLER_PART_STATEMENTS]);
	}
	if (client->session != InvalidDsaPointer)
		release(client->session);
	client->session = pointer;
}

void
pooler_session_free(PoolerClient *client)
{
	const char *statements;
	int			len;

	memset(client->digest, 0, sizeof(client->digest));
	if (client->session == InvalidDsaPointer)
		return;
	statements = pooler_session_part(client, POOLER_PART_STATEMENTS, &len);
	pooler_registry_release(statements, len);
	release(client->session);
	client->session = InvalidDsaPointer;
}
