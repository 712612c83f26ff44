/*-------------------------------------------------------------------------
 *
 * reported.c
 *	  ParameterStatus: each client is told what changes for it.
 *
 * Runs in: pool backends.  Core reports a variable when it differs from what
 * it reported last, whoever that was reported to (ReportGUCOption, guc.c).  So
 * we know from core what is current, and keep ourselves what the attached
 * client has been told: it is sent what differs, before the ReadyForQuery
 * where core would send it.
 *
 *-------------------------------------------------------------------------
 */
#include "backend/internal.h"

#include "shared/session.h"
#include "utils/memutils.h"

/* More variables than these are told to everybody, each time they change. */
#define MAX_REPORTED	64

typedef struct Reported
{
	char	   *name;
	char	   *current;		/* as core reported it last */
	char	   *told;			/* to the attached client; NULL: as current */
} Reported;

static Reported reported[MAX_REPORTED];
static int	nreported;
static uint64 told_digest;		/* of what the client has been told */

/* Is there anything that the client has not been told of? */
static bool pending;

bool		pooler_reported_mute = false;

static Reported *
find(const char *name)
{
	for (int i = 0; i < nreported; i++)
	{
		if (strcmp(reported[i].name, name) == 0)
			return &reported[i];
	}
	return NULL;
}

static Reported *
find_or_add(const char *name)
{
	Reported   *r = find(name);

	if (r != NULL || nreported == MAX_REPORTED)
		return r;
	reported[nreported].name = MemoryContextStrdup(TopMemoryContext, name);
	return &reported[nreported++];
}

static void
replace(char **string, const char *value)
{
	char	   *old = *string;

	*string = value ? MemoryContextStrdup(TopMemoryContext, value) : NULL;
	if (old != NULL)
		pfree(old);
}

static const char *
told(const Reported *r)
{
	return r->told ? r->told : r->current;
}

static uint64
digest_of(const char *name, const char *value)
{
	return value ? pooler_reported_digest(name, value) : 0;
}

bool
pooler_reported_see(const char *name, const char *value)
{
	Reported   *r = find_or_add(name);
	bool		known;

	if (!pooler_reported_mute && strcmp(name, "application_name") == 0)
		pooler_attach_renamed(value);
	if (r == NULL)
		return !pooler_reported_mute;
	known = r->current != NULL && strcmp(told(r), value) == 0;
	if (known)
		replace(&r->told, NULL);
	else if (!pooler_reported_mute)
	{
		told_digest += digest_of(name, value) - digest_of(name, told(r));
		replace(&r->told, NULL);
	}
	else if (r->told == NULL)
	{
		r->told = r->current;
		r->current = NULL;
		pending = true;
	}
	replace(&r->current, value);
	return !known && !pooler_reported_mute;
}

void
pooler_reported_miss(const char *name, const char *value)
{
	pooler_reported_mute = true;
	(void) pooler_reported_see(name, value);
	pooler_reported_mute = false;
}

void
pooler_reported_catch_up(void)
{
	if (!pending)
		return;
	pending = false;
	for (int i = 0; i < nreported; i++)
	{
		Reported   *r = &reported[i];
		StringInfoData message;

		if (r->told == NULL)
			continue;
		told_digest += digest_of(r->name, r->current) - digest_of(r->name, r->told);
		replace(&r->told, NULL);
		initStringInfo(&message);
		appendBinaryStringInfo(&message, r->name, strlen(r->name) + 1);
		appendBinaryStringInfo(&message, r->current, strlen(r->current) + 1);
		(void) pooler_me.core->putmessage(PqMsg_ParameterStatus, message.data,
										  message.len);
		pfree(message.data);
	}
}

uint64
pooler_reported_told(void)
{
	return told_digest;
}

void
pooler_reported_save(StringInfo part)
{
	for (int i = 0; i < nreported; i++)
	{
		appendBinaryStringInfo(part, reported[i].name, strlen(reported[i].name) + 1);
		appendBinaryStringInfo(part, told(&reported[i]), strlen(told(&reported[i])) + 1);
	}
}

static uint64
current_digest(void)
{
	uint64		digest = 0;

	for (int i = 0; i < nreported; i++)
		digest += digest_of(reported[i].name, reported[i].current);
	return digest;
}

/* The client has been told what is current. */
static void
forget_told(void)
{
	for (int i = 0; i < nreported; i++)
		replace(&reported[i].told, NULL);
	pending = false;
}

void
pooler_reported_restore(uint64 digest, const char *pairs, int len)
{
	const char *end = pairs + len;
	const char *name;
	const char *value;

	if (digest == told_digest && !pending)
		return;
	forget_told();
	told_digest = current_digest();
	if (digest == told_digest)
		return;
	while (pooler_next_pair(&pairs, end, &name, &value))
	{
		Reported   *r = find(name);

		if (r != NULL && r->current != NULL && strcmp(r->current, value) != 0)
		{
			told_digest += digest_of(name, value) - digest_of(name, r->current);
			replace(&r->told, value);
			pending = true;
		}
	}
}
