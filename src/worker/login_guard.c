/*-------------------------------------------------------------------------
 *
 * login_guard.c
 *	  What keeps strangers from using up the pooler.
 *
 * Runs in: the pooler.  Owns what is known of addresses from which clients
 * log in: how many of them have not proved yet who they are, and how many
 * wrong passwords came from there in a row.
 *
 * Connections of strangers may use all the client slots that nobody needs, so
 * that a thousand clients that come back at once are no reason to refuse any.
 * When slots are short and there are more than pooler.max_unauthenticated, one
 * of them has to go for each that comes: of the oldest, the one whose address
 * has most.  So an address can crowd out itself only, or others that have as
 * many.
 *
 * The answer to a wrong password is kept back for pooler.auth_delay, twice as
 * long for each further one.  The client can't be kept from hanging up and
 * coming again, but it takes no more of the server than that.
 *
 * Memory is bounded: an address is remembered as long as one of its clients is
 * here, or it is among the last MAX_OFFENDERS that failed.
 *
 *-------------------------------------------------------------------------
 */
#include "worker/login_internal.h"

#include <netinet/in.h>

#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "worker/tally.h"

#define MAX_OFFENDERS	4096

/* A failure is forgotten after this time, in ms. */
#define FORGET_MS		(10 * 60 * 1000)

/* The delay is doubled so often, and never longer than this, in ms. */
#define MAX_DOUBLED		6
#define MAX_DELAY_MS	60000

/* Answers are given at ticks, which walk over all logins. */
#define ANSWER_TICK_MS	50

/* How many of the oldest are looked at for one that has to go. */
#define MAX_CANDIDATES	64

/* Who owns an IPv6 address owns all of its /64; local clients are one. */
typedef struct GuardKey
{
	uint8		family;			/* 4, 6, or 0 for a Unix socket */
	uint8		address[8];
} GuardKey;

typedef struct GuardAddress
{
	GuardKey	key;			/* must be the first */
	int			nunproven;		/* its clients that have not proved who they
								 * are */
	int			failures;		/* in a row */
	TimestampTz failed_at;
	dlist_node	node;			/* in offenders, if there are failures */
} GuardAddress;

static HTAB *addresses;
static int	nunproven;			/* of all addresses */
static dlist_head offenders = DLIST_STATIC_INIT(offenders); /* oldest first */
static int	noffenders;

static GuardKey
key_of(const SockAddr *raddr)
{
	GuardKey	key;

	memset(&key, 0, sizeof(key));
	if (raddr->addr.ss_family == AF_INET)
	{
		key.family = 4;
		memcpy(key.address, &((const struct sockaddr_in *) &raddr->addr)->sin_addr, 4);
	}
	else if (raddr->addr.ss_family == AF_INET6)
	{
		key.family = 6;
		memcpy(key.address, &((const struct sockaddr_in6 *) &raddr->addr)->sin6_addr, 8);
	}
	return key;
}

static GuardAddress *
address_of(const WorkerLogin *login)
{
	GuardKey	key = key_of(&login->port.raddr);
	GuardAddress *address;
	bool		found;

	if (addresses == NULL)
	{
		HASHCTL		ctl = {
			.keysize = sizeof(GuardKey),
			.entrysize = sizeof(GuardAddress),
			.hcxt = TopMemoryContext
		};

		addresses = hash_create("pooler addresses", 256, &ctl,
								HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	address = hash_search(addresses, &key, HASH_ENTER, &found);
	if (!found)
	{
		address->nunproven = address->failures = 0;
		address->failed_at = 0;
	}
	return address;
}

static void
drop_if_unused(GuardAddress *address)
{
	if (address->nunproven == 0 && address->failures == 0)
		(void) hash_search(addresses, &address->key, HASH_REMOVE, NULL);
}

/* It may be gone afterwards. */
static void
forgive(GuardAddress *address)
{
	if (address->failures > 0)
	{
		dlist_delete(&address->node);
		noffenders--;
	}
	address->failures = 0;
	drop_if_unused(address);
}

/*---------------------------------------------------------------------------
 * counting
 *---------------------------------------------------------------------------
 */

void
pooler_guard_begin(WorkerLogin *login)
{
	address_of(login)->nunproven++;
	nunproven++;
	login->unproven = true;
}

void
pooler_guard_left(WorkerLogin *login)
{
	GuardAddress *address;

	if (!login->unproven)
		return;
	login->unproven = false;
	address = address_of(login);
	address->nunproven--;
	nunproven--;
	drop_if_unused(address);
}

void
pooler_guard_proven(WorkerLogin *login)
{
	if (!login->unproven)
		return;
	pooler_guard_left(login);
	forgive(address_of(login));
}

/*---------------------------------------------------------------------------
 * making room
 *---------------------------------------------------------------------------
 */

static int
max_unproven(void)
{
	return pooler_max_unauthenticated > 0 ? pooler_max_unauthenticated :
		Max(1, pooler_shared->max_clients / 4);
}

/* One that core has the socket of is not ours to end; there are few. */
static bool
can_go(const WorkerLogin *login)
{
	return login->unproven && login->step != LOGIN_CORE;
}

static void
send_away(int slot)
{
	WorkerLogin *login = login_of(slot);

	switch (login->step)
	{
		case LOGIN_DELAYED:
			login->answer_at = pooler_worker.now;
			pooler_guard_answer(slot);
			return;
		case LOGIN_TLS_OFFER:
		case LOGIN_TLS_SEND:
		case LOGIN_TLS_HANDSHAKE:
			/* it can't be told anything before there is TLS */
			pooler_tally_login_failed(slot, "53300");
			pooler_client_close(slot, NULL, NULL);
			return;
		default:
			break;
	}
	pooler_login_fail(slot, "53300", _("too many connections are logging in"),
					  psprintf(_("All client slots are taken, and pooler.max_unauthenticated is %d."),
							   max_unproven()));
}

bool
pooler_guard_make_room(int newcomer)
{
	dlist_iter	iter;
	int			looked_at = 0;
	int			victim = -1;
	int			most = 0;

	if (nunproven <= max_unproven())
		return false;
	dlist_foreach(iter, &pooler_logins)
	{
		WorkerClient *wc = dlist_container(WorkerClient, node, iter.cur);
		int			slot = wc - pooler_worker_clients;
		int			n;

		if (slot == newcomer || !can_go(wc->login) ||
			(newcomer >= 0 && !wc->counted))
			continue;
		n = address_of(wc->login)->nunproven;
		if (n > most)
		{
			most = n;
			victim = slot;
		}
		if (++looked_at == MAX_CANDIDATES)
			break;
	}
	if (victim < 0)
		return false;
	send_away(victim);
	return true;
}

/*---------------------------------------------------------------------------
 * answers that are kept back
 *---------------------------------------------------------------------------
 */

/* Notes a failure, and says for how many ms its answer is to wait. */
static int64
note_failure(const WorkerLogin *login)
{
	GuardAddress *address = address_of(login);
	int64		delay = (int64) (pooler_auth_delay * 1000);

	if (address->failures > 0)
	{
		dlist_delete(&address->node);
		noffenders--;
		if (TimestampDifferenceExceeds(address->failed_at, pooler_worker.now,
									   FORGET_MS))
			address->failures = 0;
	}
	delay <<= Min(address->failures, MAX_DOUBLED);
	address->failures++;
	address->failed_at = pooler_worker.now;
	dlist_push_tail(&offenders, &address->node);
	if (++noffenders > MAX_OFFENDERS)
		forgive(dlist_head_element(GuardAddress, node, &offenders));
	return Min(delay, MAX_DELAY_MS);
}

bool
pooler_guard_delay(int slot, const void *answer, size_t len)
{
	WorkerLogin *login = login_of(slot);
	WorkerClient *wc = &pooler_worker_clients[slot];
	int64		delay;

	if (pooler_auth_delay <= 0 || pooler_worker.draining)
		return false;
	delay = note_failure(login);
	login->answer = memcpy(MemoryContextAlloc(login->cxt, Max(len, 1)), answer, len);
	login->answer_len = len;
	login->answer_at = TimestampTzPlusMilliseconds(pooler_worker.now, delay);
	login->step = LOGIN_DELAYED;
	explicit_bzero(login->in.data, login->in.maxlen);
	if (wc->counted)
		pooler_login_uncount();
	wc->counted = false;
	pooler_client_watch_hangup(slot);
	pooler_worker_tick_within(Max(delay, ANSWER_TICK_MS));
	return true;
}

void
pooler_guard_answer(int slot)
{
	WorkerLogin *login = login_of(slot);
	char	   *answer = login->answer;

	if (login->answer_at > pooler_worker.now)
	{
		pooler_worker_tick_within(Max(ANSWER_TICK_MS,
									  TimestampDifferenceMilliseconds(pooler_worker.now,
																	  login->answer_at)));
		return;
	}
	pooler_client_close_raw(slot, answer, login->answer_len, NULL);
}
