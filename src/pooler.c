/*-------------------------------------------------------------------------
 *
 * pooler.c
 *	  Entry point of the library.
 *
 * Runs in: the postmaster, once, when shared_preload_libraries is processed;
 * and, only to refuse politely, in a backend that loads the library later.
 *
 *-------------------------------------------------------------------------
 */
#include "compat.h"

#include "backend/birth.h"
#include "fmgr.h"
#include "metrics/metrics.h"
#include "shared/guc.h"
#include "shared/shmem.h"
#include "sql/ddl.h"
#include "tls/tls.h"
#include "worker/worker.h"

PG_MODULE_MAGIC;

void		_PG_init(void);

void
_PG_init(void)
{
	/*
	 * Without shared memory there is nothing to do; the SQL functions say
	 * what is missing.
	 */
	if (!process_shared_preload_libraries_in_progress)
		return;

	pooler_guc_init();
	pooler_shmem_init();
	pooler_birth_init();
	pooler_ddl_init();
	pooler_worker_register();
	pooler_tls_init();
	pooler_http_register();
}
