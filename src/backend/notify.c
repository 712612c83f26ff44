/*-------------------------------------------------------------------------
 *
 * notify.c
 *	  A notification names the process that its sender was told it has.
 *
 * Runs in: pool backends.  Core puts the backend's own process ID into the
 * queue of notifications.  Clients know another one, and compare it with that
 * of their own connection; so it is replaced on the way to the client.  Each
 * backend says in its slot for whom it notified last.  If it did so for two
 * clients before a listener has read the first notification, the listener is
 * told the second client's ID for both.
 *
 *-------------------------------------------------------------------------
 */
#include "backend/internal.h"

#include "access/xact.h"
#include "catalog/pg_database.h"
#include "port/pg_bswap.h"
#include "storage/lock.h"

/*
 * Who is about to commit notifications holds this lock (PreCommit_Notify,
 * async.c).  pg_notify() can't be seen in any other way.
 */
static bool
has_notified(void)
{
	LOCKTAG		tag;

	if (!TransactionIdIsValid(GetTopTransactionIdIfAny()))
		return false;
	SET_LOCKTAG_OBJECT(tag, InvalidOid, DatabaseRelationId, InvalidOid, 0);
	return pooler_lock_held_by_me(&tag, AccessExclusiveLock);
}

static void
see_commit(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_COMMIT && pooler_me.client >= 0 && has_notified())
		pg_atomic_write_u32(&pooler_me.shared->notifier,
							pooler_client_pid(pooler_me.client));
}

void
pooler_notify_begin(void)
{
	RegisterXactCallback(see_commit, NULL);
}

/* A client's for a pool backend's; any other as it is. */
static uint32
sender(uint32 pid)
{
	for (int i = 0; i < pooler_shared->nbackends; i++)
	{
		uint32		notifier = pg_atomic_read_u32(&pooler_backends[i].notifier);

		if (pooler_backends[i].pid == (int) pid && notifier != 0)
			return notifier;
	}
	return pid;
}

int
pooler_notify_put(const char *s, size_t len)
{
	char	   *copy = palloc(len);
	uint32		pid;
	int			result;

	memcpy(copy, s, len);
	memcpy(&pid, copy, sizeof(pid));
	pid = pg_hton32(sender(pg_ntoh32(pid)));
	memcpy(copy, &pid, sizeof(pid));
	result = pooler_me.core->putmessage(PqMsg_NotificationResponse, copy, len);
	pfree(copy);
	return result;
}
