/*-------------------------------------------------------------------------
 *
 * shmem.c
 *	  Reserves and sets up the pooler's shared memory.
 *
 * Runs in: the postmaster at start (and again after a crash restart).
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "shared/area.h"
#include "shared/guc.h"
#include "shared/queue.h"
#include "shared/registry.h"
#include "shared/shmem.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/shmem.h"

PoolerShared *pooler_shared;
PoolerClient *pooler_clients;
PoolerBackend *pooler_backends;
PoolerPool *pooler_pools;
PoolerTally *pooler_tallies;
void	   *pooler_area_place;

static shmem_request_hook_type prev_shmem_request_hook;
static shmem_startup_hook_type prev_shmem_startup_hook;

static int
client_slots(void)
{
	return pooler_max_client_conn + POOLER_EXTRA_CLIENTS;
}

static int
backend_slots(void)
{
	return pooler_max_backends_in_force() + pooler_login_backends();
}

/*
 * A pool's slot can be used again once it has neither clients nor backends,
 * so this many can never be too few.
 */
static int
pool_slots(void)
{
	return client_slots() + backend_slots();
}

static int
tally_slots(void)
{
	return Min(pool_slots(), backend_slots() + POOLER_EXTRA_TALLIES) + 1;
}

static Size
shmem_size(void)
{
	Size		size = MAXALIGN(sizeof(PoolerShared));

	size = add_size(size, mul_size(client_slots(), sizeof(PoolerClient)));
	size = add_size(size, mul_size(backend_slots(), sizeof(PoolerBackend)));
	size = add_size(size, mul_size(pool_slots(), sizeof(PoolerPool)));
	size = add_size(size, mul_size(tally_slots(), sizeof(PoolerTally)));
	size = add_size(size, sizeof(PoolerLeakTable));
	size = add_size(size, pooler_area_size());
	return add_size(size, 6 * PG_CACHE_LINE_SIZE);
}

static void
shmem_request(void)
{
	if (prev_shmem_request_hook)
		prev_shmem_request_hook();
	RequestAddinShmemSpace(shmem_size());
}

static void
init_slots(void)
{
	for (int i = 0; i < pooler_shared->nclients; i++)
	{
		PoolerClient *client = &pooler_clients[i];

		pg_atomic_init_u64(&client->word, 0);
		pg_atomic_init_u32(&client->cancel_serial, 0);
		client->next = client->prev = client->pool = -1;
		client->last_backend = -1;
		client->idle_session_timeout = POOLER_SERVERS_OWN;
	}
	for (int i = 0; i < pooler_shared->nbackends; i++)
	{
		PoolerBackend *backend = &pooler_backends[i];

		pg_atomic_init_u64(&backend->word, 0);
		pg_atomic_init_u32(&backend->in_copy, 0);
		pg_atomic_init_u32(&backend->pin, POOLER_PIN_NONE);
		pg_atomic_init_u32(&backend->notifier, 0);
		pg_atomic_init_u32(&backend->in_transaction, 0);
		pg_atomic_init_u32(&backend->end_reason, POOLER_END_NONE);
		pg_atomic_init_u32(&backend->login_sqlstate, 0);
		pg_atomic_init_u32(&backend->command, 0);
		pg_atomic_init_u32(&backend->demand.reason, POOLER_END_NONE);
		pg_atomic_init_u32(&backend->holdings.changes, 0);
		backend->taking = backend->pool = backend->login_client = -1;
	}
	for (int i = 0; i < pooler_shared->npools; i++)
	{
		pooler_queue_init(&pooler_pools[i]);
		pg_atomic_init_u32(&pooler_pools[i].drain_gen, 0);
		pg_atomic_init_u32(&pooler_pools[i].surplus, 0);
	}
	for (int i = 0; i < pooler_shared->ntallies; i++)
	{
		pg_atomic_init_u32(&pooler_tallies[i].folding, 0);
		pooler_tallies[i].pool = -1;
	}
}

static void
init_tls(void)
{
#ifdef USE_OPENSSL
	pooler_shared->ntls = pooler_tls_workers_in_force();
#endif
	for (int i = 0; i < POOLER_MAX_TLS_WORKERS; i++)
	{
		PoolerTlsRelay *relay = &pooler_shared->tls_relays[i];

		pg_atomic_init_u32(&relay->pid, 0);
		pg_atomic_init_u32(&relay->state, POOLER_TLS_STARTING);
		pg_atomic_init_u32(&relay->capacity, 0);
		pg_atomic_init_u32(&relay->connections, 0);
		pg_atomic_init_u32(&relay->leaving, 0);
		pg_atomic_init_u64(&relay->handshakes, 0);
		pg_atomic_init_u64(&relay->failures, 0);
		pg_atomic_init_u64(&relay->loaded_at, 0);
	}
}

static void *
shmem_array(const char *name, int n, Size size)
{
	bool		found;
	void	   *array = ShmemInitStruct(name, mul_size(n, size), &found);

	if (!found)
		memset(array, 0, mul_size(n, size));
	return array;
}

static void
init_area(void)
{
	dsa_area   *area;

	pg_atomic_init_u64(&pooler_shared->session_bytes, 0);
	pooler_shared->area_tranche = LWLockNewTrancheId();
	LWLockRegisterTranche(pooler_shared->area_tranche, "PoolerArea");
	area = pooler_area_create(pooler_area_place, pooler_shared->area_tranche);
	pooler_registry_create(area);
	dsa_detach(area);
}

static void
shmem_startup(void)
{
	bool		found;

	if (prev_shmem_startup_hook)
		prev_shmem_startup_hook();

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	pooler_shared = ShmemInitStruct("pooler", sizeof(PoolerShared), &found);
	if (!found)
	{
		memset(pooler_shared, 0, sizeof(PoolerShared));
		pg_atomic_init_u32(&pooler_shared->epoch, 0);
		pg_atomic_init_u32(&pooler_shared->nevictions, 0);
		pg_atomic_init_u32(&pooler_shared->defaults_gen, 0);
		pg_atomic_init_u32(&pooler_shared->clients_gone, 0);
		pg_atomic_init_u32(&pooler_shared->idle_sessions, 0);
		SpinLockInit(&pooler_shared->evict_mutex);
		for (int i = 0; i < POOLER_SET_REQUESTS; i++)
			SpinLockInit(&pooler_shared->set_requests[i].mutex);
		SpinLockInit(&pooler_shared->request_mutex);
		pg_atomic_init_u32(&pooler_shared->nrequests, 0);
		pg_atomic_init_u32(&pooler_shared->nholds, 0);
		pg_atomic_init_u32(&pooler_shared->hold_all, 0);
		for (int i = 0; i < POOLER_MAX_HOLDS; i++)
			pg_atomic_init_u64(&pooler_shared->holds[i], 0);
		pg_atomic_init_u32(&pooler_shared->stats_gen, 0);
		for (int i = 0; i < POOLER_NRECENT; i++)
			pooler_recent_init(&pooler_shared->recent[i]);
		pg_atomic_init_u32(&pooler_shared->debug_armed, 0);
		for (int i = 0; i < POOLER_MAX_DEBUG_POINTS; i++)
			pg_atomic_init_u32(&pooler_shared->debug_waiting[i], 0);
		if (!pg_strong_random(&pooler_shared->digest_seed, sizeof(uint64)))
			ereport(FATAL,
					(errcode(ERRCODE_INTERNAL_ERROR),
					 errmsg("could not generate random number")));
		pooler_shared->nclients = client_slots();
		pooler_shared->nbackends = backend_slots();
		pooler_shared->npools = pool_slots();
		pooler_shared->ntallies = tally_slots();
	}
	pooler_clients = shmem_array("pooler clients", pooler_shared->nclients,
								 sizeof(PoolerClient));
	pooler_backends = shmem_array("pooler backends", pooler_shared->nbackends,
								  sizeof(PoolerBackend));
	pooler_pools = shmem_array("pooler pools", pooler_shared->npools,
							   sizeof(PoolerPool));
	pooler_tallies = shmem_array("pooler tallies", pooler_shared->ntallies,
								 sizeof(PoolerTally));
	pooler_leaks = shmem_array("pooler leaks", 1, sizeof(PoolerLeakTable));
	pooler_area_place = shmem_array("pooler area", 1, pooler_area_size());
	if (!found)
	{
		init_slots();
		pooler_leak_init();
		init_area();
		init_tls();
	}
	LWLockRelease(AddinShmemInitLock);
}

void
pooler_shmem_init(void)
{
	prev_shmem_request_hook = shmem_request_hook;
	shmem_request_hook = shmem_request;
	prev_shmem_startup_hook = shmem_startup_hook;
	shmem_startup_hook = shmem_startup;
}

void
pooler_require_shmem(void)
{
	if (pooler_shared == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("pooler must be loaded by the server at start"),
				 errhint("Put this line into postgresql.conf and restart the server: shared_preload_libraries = 'pooler'")));
}

bool
pooler_wake_worker(void)
{
	Latch	   *latch;

	SpinLockAcquire(&pooler_shared->evict_mutex);
	latch = pooler_shared->worker_latch;
	SpinLockRelease(&pooler_shared->evict_mutex);
	if (latch != NULL)
		SetLatch(latch);
	return latch != NULL;
}
