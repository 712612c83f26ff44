/*-------------------------------------------------------------------------
 *
 * console_set.c
 *	  SET and RELOAD on the admin console.
 *
 * Runs in: the pooler.  SET is carried out by a background worker
 * (console/set_setting.c) as the role that is logged in; here it is started
 * and waited for, without blocking.
 *
 *-------------------------------------------------------------------------
 */
#include "worker/console.h"

#include <signal.h>

#include "auth/catalog.h"
#include "postmaster/bgworker.h"
#include "shared/setting_list.h"
#include "utils/memutils.h"

/* How long the new settings are waited for. */
#define RELOAD_MS	10000

/* What is known of a process that carries one out; per slot of a request. */
typedef struct SetProcess
{
	BackgroundWorkerHandle *handle; /* NULL: none */
	bool		abandoned;		/* nobody waits for it */
} SetProcess;

static SetProcess processes[POOLER_SET_REQUESTS];
static uint32 last_number;

/*---------------------------------------------------------------------------
 * slots
 *---------------------------------------------------------------------------
 */

static void
free_slot(int i)
{
	PoolerSetRequest *request = &pooler_shared->set_requests[i];

	SpinLockAcquire(&request->mutex);
	request->number = 0;
	explicit_bzero(request->value, sizeof(request->value));
	SpinLockRelease(&request->mutex);
	pfree(processes[i].handle);
	memset(&processes[i], 0, sizeof(SetProcess));
}

static bool
has_ended(int i)
{
	pid_t		pid;
	BgwHandleStatus status = GetBackgroundWorkerPid(processes[i].handle, &pid);

	return status == BGWH_STOPPED || status == BGWH_POSTMASTER_DIED;
}

void
pooler_console_abandon_set(int set_slot)
{
	processes[set_slot].abandoned = true;
	pooler_worker_tick_within(100);
}

static PoolerSetRequest
read_answer(int i)
{
	PoolerSetRequest *request = &pooler_shared->set_requests[i];
	PoolerSetRequest answer;

	SpinLockAcquire(&request->mutex);
	answer = *request;
	SpinLockRelease(&request->mutex);
	return answer;
}

static bool
has_succeeded(const PoolerSetRequest *answer)
{
	return answer->answered && strcmp(answer->sqlstate, "00000") == 0;
}

/* What was asked for is done, also if who asked has gone. */
void
pooler_console_set_tick(void)
{
	for (int i = 0; i < POOLER_SET_REQUESTS; i++)
	{
		PoolerSetRequest answer;

		if (processes[i].handle == NULL || !processes[i].abandoned)
			continue;
		if (!has_ended(i))
		{
			pooler_worker_tick_within(100);
			continue;
		}
		answer = read_answer(i);
		free_slot(i);
		if (has_succeeded(&answer))
			(void) kill(PostmasterPid, SIGHUP);
	}
}

static int
find_free_slot(void)
{
	for (int i = 0; i < POOLER_SET_REQUESTS; i++)
	{
		if (processes[i].handle == NULL)
			return i;
	}
	return -1;
}

/*---------------------------------------------------------------------------
 * SET
 *---------------------------------------------------------------------------
 */

/* Where the role can connect to: "postgres" if it may, or "template1", ... */
static Oid
choose_database(Oid roleid)
{
	NameData	name;
	PoolerRole	role;
	ListCell   *cell;
	Oid			best = InvalidOid;
	int			best_rank = 0;

	if (!pooler_catalog_role_name(roleid, &name) ||
		!pooler_catalog_find_role(NameStr(name), &role, NULL))
		return InvalidOid;
	foreach(cell, pooler_catalog_databases(&role))
	{
		PoolerDatabase *database = lfirst(cell);
		int			rank = strcmp(NameStr(database->name), "postgres") == 0 ? 3 :
			strcmp(NameStr(database->name), "template1") == 0 ? 2 : 1;

		if (!database->allows_connections || database->invalid ||
			database->connect != POOLER_CONNECT_GRANTED || rank <= best_rank)
			continue;
		best = database->oid;
		best_rank = rank;
	}
	return best;
}

static bool
find_database(WorkerConsole *console)
{
	if (!pooler_catalog_try_lock())
		return false;
	console->set_dbid = choose_database(console->roleid);
	return true;
}

static void
fill_request(PoolerSetRequest *request, const PoolerConsoleCommand *command,
			 const char *name, Oid dbid, Oid roleid)
{
	if (last_number == 0)
		last_number = pooler_worker.epoch << 12;	/* not as in an earlier
													 * life */
	SpinLockAcquire(&request->mutex);
	request->number = ++last_number;
	request->answered = false;
	request->dbid = dbid;
	request->roleid = roleid;
	strlcpy(request->name, name, sizeof(request->name));
	request->to_default = command->to_default;
	memcpy(request->value, command->value, sizeof(request->value));
	SpinLockRelease(&request->mutex);
}

static bool
start_process(int slot)
{
	BackgroundWorker worker = {0};
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);
	bool		started;

	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_ConsistentState;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	worker.bgw_main_arg = Int32GetDatum(slot);
	worker.bgw_notify_pid = MyProcPid;
	snprintf(worker.bgw_name, BGW_MAXLEN, "pooler console SET");
	snprintf(worker.bgw_type, BGW_MAXLEN, "pooler console");
	snprintf(worker.bgw_library_name, BGW_MAXLEN, "pooler");
	snprintf(worker.bgw_function_name, BGW_MAXLEN, "pooler_set_setting_main");
	memcpy(worker.bgw_extra, &last_number, sizeof(last_number));
	started = RegisterDynamicBackgroundWorker(&worker, &processes[slot].handle);
	MemoryContextSwitchTo(old);
	return started;
}

static void
begin_set(WorkerConsole *console, const PoolerSettingItem *item, int slot)
{
	const PoolerConsoleCommand *command = &console->portal->command;

	if (!pooler_console_with_catalogs(console, find_database))
		return;
	if (!OidIsValid(console->set_dbid))
	{
		pooler_console_error(console, "55000",
							 _("there is no database that the role can connect to"),
							 _("SET is carried out in one, as ALTER SYSTEM."), NULL);
		return;
	}
	fill_request(&pooler_shared->set_requests[slot], command, item->name,
				 console->set_dbid, console->roleid);
	if (!start_process(slot))
	{
		pooler_console_error(console, "53000",
							 _("could not start a background worker for SET"), NULL,
							 _("Raise max_worker_processes, or use ALTER SYSTEM in a database."));
		return;
	}
	console->set_slot = slot;
	console->set_restart = !item->reloadable;
	pooler_console_wait(console, CONSOLE_WAIT_SET);
}

void
pooler_console_set(WorkerConsole *console)
{
	const PoolerConsoleCommand *command = &console->portal->command;
	PoolerSettingItem *item = pooler_setting_find(command->key);
	int			slot = find_free_slot();

	if (item == NULL)
		pooler_console_error(console, "42704",
							 psprintf(_("the pooler has no setting \"%s\""), command->key),
							 NULL, _("SHOW CONFIG lists the settings. Those of the server are changed with ALTER SYSTEM in a database."));
	else if (slot < 0)
		pooler_console_wait(console, CONSOLE_WAIT_SET_SLOT);
	else
		begin_set(console, item, slot);
}

/*---------------------------------------------------------------------------
 * its end
 *---------------------------------------------------------------------------
 */

static void
ask_for_reload(WorkerConsole *console)
{
	console->reloads = pooler_worker.reloads;
	console->wait_until = TimestampTzPlusMilliseconds(pooler_worker.now, RELOAD_MS);
	if (kill(PostmasterPid, SIGHUP) != 0)
		pooler_console_error(console, "58000",
							 _("could not send a signal to the postmaster"), NULL, NULL);
	else
		pooler_console_wait(console, CONSOLE_WAIT_RELOAD);
}

void
pooler_console_reload(WorkerConsole *console)
{
	ask_for_reload(console);
}

static void
report_set(WorkerConsole *console, const PoolerSetRequest *answer)
{
	if (!answer->answered)
		pooler_console_error(console, "XX000",
							 _("SET could not be carried out"), NULL,
							 _("The server log says why."));
	else if (!has_succeeded(answer))
		pooler_console_error(console, answer->sqlstate, answer->message,
							 answer->detail[0] ? answer->detail : NULL,
							 answer->hint[0] ? answer->hint : NULL);
	else
	{
		if (console->set_restart)
			pooler_console_notice(console,
								  _("the new value will be used after a restart of the server"),
								  NULL, NULL);
		ask_for_reload(console);
	}
}

void
pooler_console_poll_set(WorkerConsole *console)
{
	int			slot = console->set_slot;
	PoolerSetRequest answer;

	if (!has_ended(slot))
		return;
	answer = read_answer(slot);
	free_slot(slot);
	console->set_slot = -1;
	report_set(console, &answer);
}
