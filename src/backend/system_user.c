/*-------------------------------------------------------------------------
 *
 * system_user.c
 *	  SYSTEM_USER: as whom the client has authenticated itself.
 *
 * Runs in: pool backends, on servers that have it (16).  Core makes the string
 * once in the life of a session and lets nobody replace it: it can only be
 * written over.  So the first one that is needed is made longer than any, and
 * from then on holds that of the client that is attached.  A backend on which
 * core has logged a client in has a string that is just long enough for that
 * one.  What does not fit is not shown: an empty string, as for a client that
 * comes after another one and did not have to authenticate itself.
 *
 *-------------------------------------------------------------------------
 */
#include "backend/internal.h"

#include "libpq/auth.h"
#include "libpq/hba.h"
#include "shared/control.h"
#include "utils/memutils.h"

#if POOLER_HAVE_SYSTEM_USER

static char *place;				/* core's string; NULL: there is none yet */
static size_t room;				/* bytes in it, the zero at the end included */
static char *identity;			/* in MyClientConnectionInfo; ours to free */

static void
find_place(void)
{
	char		longest[POOLER_MAX_IDENTITY + NAMEDATALEN];

	if (GetSystemUser() == NULL)
	{
		memset(longest, ' ', sizeof(longest) - 1);
		longest[sizeof(longest) - 1] = '\0';
		InitializeSystemUser(longest, "");
	}
	place = unconstify(char *, GetSystemUser());
	room = strlen(place) + 1;
}

/* Parallel workers make theirs of this. */
static void
tell_parallel_workers(const char *id, int method)
{
	if (identity != NULL)
		pfree(identity);
	identity = id ? MemoryContextStrdup(TopMemoryContext, id) : NULL;
	MyClientConnectionInfo.authn_id = identity;
	MyClientConnectionInfo.auth_method = method;
}

void
pooler_system_user_show(const char *facts, int len)
{
	const char *pair = facts;
	const char *name;
	const char *value;
	const char *id = NULL;
	int			method = uaTrust;

	while (pooler_next_pair(&pair, facts + len, &name, &value))
	{
		if (strcmp(name, POOLER_FACT_AUTH_METHOD) == 0)
			method = atoi(value);
		else if (strcmp(name, POOLER_FACT_AUTH_ID) == 0)
			id = value;
	}
	if (place == NULL && (id != NULL || GetSystemUser() != NULL))
		find_place();
	if (place == NULL)
		return;					/* NULL it is */
	if (id == NULL ||
		snprintf(place, room, "%s:%s", hba_authname(method), id) >= (int) room)
		place[0] = '\0';
	tell_parallel_workers(place[0] != '\0' ? id : NULL, method);
}

/* One that is longer could not be shown to the backends that come next. */
void
pooler_system_user_check(void)
{
	const char *id = MyClientConnectionInfo.authn_id;

	if (id != NULL && strlen(id) > POOLER_MAX_IDENTITY)
		ereport(FATAL,
				(errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION),
				 errmsg("authenticated identity is too long for the pooler"),
				 errdetail("It has %zu bytes, and may have %d.", strlen(id),
						   POOLER_MAX_IDENTITY)));
}

void
pooler_system_user_report(StringInfo facts)
{
	const char *id = MyClientConnectionInfo.authn_id;

	if (id != NULL)
		appendStringInfo(facts, "%s%c%d%c%s%c%s%c", POOLER_FACT_AUTH_METHOD, '\0',
						 (int) MyClientConnectionInfo.auth_method, '\0',
						 POOLER_FACT_AUTH_ID, '\0', id, '\0');
}

#else

void
pooler_system_user_show(const char *facts, int len)
{
}

void
pooler_system_user_check(void)
{
}

void
pooler_system_user_report(StringInfo facts)
{
}

#endif							/* POOLER_HAVE_SYSTEM_USER */
