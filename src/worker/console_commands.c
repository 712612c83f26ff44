/*-------------------------------------------------------------------------
 *
 * console_commands.c
 *	  What the commands of the admin console do.
 *
 * Runs in: the pooler.  What needs the catalogs is done in a transaction that
 * takes no lock it would have to wait for; an error is the client's alone.
 *
 *-------------------------------------------------------------------------
 */
#include "worker/console.h"

#include "access/xact.h"
#include "auth/catalog.h"
#include "utils/memutils.h"

static const char usage[] =
"\n\tSHOW HELP|CONFIG|DATABASES|POOLS|CLIENTS|SERVERS|USERS|VERSION"
"\n\tSHOW PEERS|PEER_POOLS"
"\n\tSHOW FDS|SOCKETS|ACTIVE_SOCKETS|LISTS|MEM|STATE"
"\n\tSHOW DNS_HOSTS|DNS_ZONES"
"\n\tSHOW LEAKS"
"\n\tSHOW STATS|STATS_TOTALS|STATS_AVERAGES|TOTALS"
"\n\tSET key = value|DEFAULT"
"\n\tRELOAD"
"\n\tPAUSE [<db>]"
"\n\tRESUME [<db>]"
"\n\tDISABLE <db>"
"\n\tENABLE <db>"
"\n\tRECONNECT [<db>]"
"\n\tKILL [<db>]"
"\n\tKILL_CLIENT <client_id>"
"\n\tSUSPEND"
"\n\tSHUTDOWN"
"\n\tSHUTDOWN WAIT_FOR_SERVERS|WAIT_FOR_CLIENTS"
"\n\tWAIT_CLOSE [<db>]";

/*---------------------------------------------------------------------------
 * catalogs
 *---------------------------------------------------------------------------
 */

bool
pooler_console_with_catalogs(WorkerConsole *console,
							 bool (*function) (WorkerConsole *console))
{
	MemoryContext old = CurrentMemoryContext;
	volatile bool locked = false;
	ErrorData  *volatile edata = NULL;

	PG_TRY();
	{
		StartTransactionCommand();
		locked = !function(console);
		CommitTransactionCommand();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(old);
		edata = CopyErrorData();
		FlushErrorState();
		AbortCurrentTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);
	if (edata)
		pooler_console_error(console, unpack_sql_state(edata->sqlerrcode),
							 edata->message ? edata->message : _("missing error text"),
							 edata->detail, edata->hint);
	else if (locked)
		pooler_console_wait(console, CONSOLE_WAIT_CATALOG);
	return edata == NULL && !locked;
}

/*---------------------------------------------------------------------------
 * SHOW
 *---------------------------------------------------------------------------
 */

static void
close_cursor(ConsoleCursor *cursor)
{
	if (cursor->cxt)
		MemoryContextDelete(cursor->cxt);
	cursor->cxt = NULL;
}

static bool
begin_cursor(WorkerConsole *console)
{
	ConsoleCursor *cursor = &console->portal->cursor;

	return cursor->show->begin(cursor);
}

static void
show(WorkerConsole *console)
{
	ConsolePortal *portal = console->portal;
	ConsoleCursor *cursor = &portal->cursor;

	if (cursor->cxt == NULL)
	{
		memset(cursor, 0, sizeof(*cursor));
		cursor->show = pooler_console_rows_of(&portal->command);
		cursor->command = &portal->command;
		cursor->cxt = AllocSetContextCreate(console->cxt, "pooler console rows",
											ALLOCSET_SMALL_SIZES);
		if (cursor->show->begin &&
			!pooler_console_with_catalogs(console, begin_cursor))
		{
			close_cursor(cursor);
			return;
		}
	}
	console->state = CONSOLE_ROWS;
}

static void
suspend_portal(WorkerConsole *console)
{
	int			start;

	pooler_message_begin(&console->out, PqMsg_PortalSuspended, &start);
	pooler_message_end(&console->out, start);
	console->portal = NULL;
	console->state = CONSOLE_READY;
}

void
pooler_console_more_rows(WorkerConsole *console)
{
	ConsolePortal *portal = console->portal;
	ConsoleCursor *cursor = &portal->cursor;

	/* slots that are not in use yield no row, so these are counted, too */
	for (int i = 0; i < 1000; i++)
	{
		ConsoleRow	row;

		if (console->rows_left == 0)
		{
			suspend_portal(console);
			return;
		}
		row.n = 0;
		if (!cursor->show->next(cursor, &row))
		{
			close_cursor(cursor);
			pooler_console_complete(console, "SHOW");
			return;
		}
		if (row.n == 0)
			continue;
		Assert(row.n == cursor->show->ncolumns);
		pooler_row_write(&console->out, cursor->show->columns, &row,
						 &portal->formats);
		if (console->rows_left > 0)
			console->rows_left--;
		if (console->out.len - console->out.cursor >= CONSOLE_OUT_FULL)
			return;
	}
}

/*---------------------------------------------------------------------------
 * commands of worker/admin.h
 *---------------------------------------------------------------------------
 */

static bool
resolve_database(WorkerConsole *console)
{
	const PoolerConsoleCommand *command = &console->portal->command;
	PoolerRole	nobody = {.superuser = true};	/* rights do not matter */
	PoolerDatabase database;

	if (!pooler_catalog_try_lock())
		return false;
	if (strcmp(command->database, "pgbouncer") == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" is the console, not a database", command->database)));
	if (!pooler_catalog_find_database(command->database, &nobody, &database))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_DATABASE),
				 errmsg("database \"%s\" does not exist", command->database),
				 errhint("Names are taken as they are written, capital letters included.")));
	console->admin_command.dbid = database.oid;
	return true;
}

static PoolerAdminVerb
admin_verb(PoolerConsoleVerb verb)
{
	switch (verb)
	{
		case POOLER_CONSOLE_PAUSE:
			return POOLER_ADMIN_PAUSE;
		case POOLER_CONSOLE_RESUME:
			return POOLER_ADMIN_RESUME;
		case POOLER_CONSOLE_DISABLE:
			return POOLER_ADMIN_DISABLE;
		case POOLER_CONSOLE_ENABLE:
			return POOLER_ADMIN_ENABLE;
		case POOLER_CONSOLE_RECONNECT:
			return POOLER_ADMIN_RECONNECT;
		case POOLER_CONSOLE_KILL:
			return POOLER_ADMIN_KILL;
		case POOLER_CONSOLE_KILL_CLIENT:
			return POOLER_ADMIN_KILL_CLIENT;
		case POOLER_CONSOLE_SUSPEND:
			return POOLER_ADMIN_SUSPEND;
		case POOLER_CONSOLE_WAIT_CLOSE:
			return POOLER_ADMIN_WAIT_CLOSE;
		default:
			Assert(verb == POOLER_CONSOLE_SHUTDOWN);
			return POOLER_ADMIN_SHUTDOWN;
	}
}

static PoolerShutdownMode
shutdown_mode(PoolerConsoleShutdown mode)
{
	switch (mode)
	{
		case POOLER_CONSOLE_SHUTDOWN_WAIT_FOR_SERVERS:
			return POOLER_SHUTDOWN_WAIT_FOR_SERVERS;
		case POOLER_CONSOLE_SHUTDOWN_WAIT_FOR_CLIENTS:
			return POOLER_SHUTDOWN_WAIT_FOR_CLIENTS;
		case POOLER_CONSOLE_SHUTDOWN_NOW:
			break;
	}
	return POOLER_SHUTDOWN_NOW;
}

/* Is the client still there, after a command that may have ended any? */
static bool
still_there(int slot, uint64 id)
{
	return pooler_worker_clients[slot].console != NULL &&
		pooler_clients[slot].id == id;
}

static void
report_result(WorkerConsole *console, const PoolerAdminResult *result)
{
	const char *hint = result->hint[0] ? result->hint : NULL;

	if (strcmp(result->sqlstate, "00000") != 0)
	{
		pooler_console_error(console, result->sqlstate, result->message, NULL, hint);
		return;
	}
	if (result->message[0])
		pooler_console_notice(console, result->message, NULL, hint);
	pooler_console_complete(console,
							pooler_console_tag(console->portal->command.verb));
}

static void
log_command(WorkerConsole *console)
{
	const PoolerConsoleCommand *command = &console->portal->command;
	const char *tag = pooler_console_tag(command->verb);

	pooler_client_log_begin(console->slot);
	if (command->verb == POOLER_CONSOLE_KILL_CLIENT)
		ereport(LOG, (errmsg("console command: %s %llu", tag,
							 (unsigned long long) command->client_id)));
	else if (command->has_database)
		ereport(LOG, (errmsg("console command: %s \"%s\"", tag, command->database)));
	else
		ereport(LOG, (errmsg("console command: %s", tag)));
	pooler_client_log_end();
}

static void
administer(WorkerConsole *console)
{
	const PoolerConsoleCommand *command = &console->portal->command;
	PoolerAdminCommand *admin = &console->admin_command;
	PoolerAdminResult result = {.sqlstate = "00000"};
	int			slot = console->slot;
	uint64		id = console->id;
	bool		over;

	memset(admin, 0, sizeof(*admin));
	admin->verb = admin_verb(command->verb);
	admin->dbid = InvalidOid;
	admin->client_id = command->client_id;
	admin->mode = shutdown_mode(command->shutdown);
	if (command->has_database &&
		!pooler_console_with_catalogs(console, resolve_database))
		return;
	log_command(console);
	over = pooler_admin_begin(admin, &result);
	if (!still_there(slot, id))
		return;
	console->admin_over = over;
	if (over)
		report_result(console, &result);
	else
		pooler_console_wait(console, CONSOLE_WAIT_ADMIN);
}

/*---------------------------------------------------------------------------
 * all of them
 *---------------------------------------------------------------------------
 */

/* Members of pg_monitor may look, but for what shows other people's sockets. */
static bool
may_execute(const WorkerConsole *console, const PoolerConsoleCommand *command)
{
	switch (command->verb)
	{
		case POOLER_CONSOLE_SHOW:
			return console->admin || command->show != POOLER_SHOW_FDS;
		case POOLER_CONSOLE_EMPTY:
		case POOLER_CONSOLE_SHOW_VARIABLE:
		case POOLER_CONSOLE_SET_VARIABLE:
			return true;
		default:
			return console->admin;
	}
}

void
pooler_console_execute(WorkerConsole *console)
{
	const PoolerConsoleCommand *command = &console->portal->command;

	if (!may_execute(console, command))
	{
		pooler_console_error(console, "42501", _("admin access needed"), NULL,
							 _("Superusers and roles in pooler.admin_roles have it."));
		return;
	}
	switch (command->verb)
	{
		case POOLER_CONSOLE_SHOW:
			if (command->show == POOLER_SHOW_HELP)
			{
				pooler_console_notice(console, _("Console usage"), usage, NULL);
				pooler_console_complete(console, "SHOW");
				break;
			}
			/* FALLTHROUGH */
		case POOLER_CONSOLE_SHOW_VARIABLE:
			show(console);
			break;
		case POOLER_CONSOLE_SET_VARIABLE:
			pooler_console_notice(console, _("SET has no effect on the console"),
								  NULL, NULL);
			pooler_console_complete(console, "SET");
			break;
		case POOLER_CONSOLE_SET:
			pooler_console_set(console);
			break;
		case POOLER_CONSOLE_RELOAD:
			log_command(console);
			pooler_console_reload(console);
			break;
		default:
			administer(console);
			break;
	}
}

static void
finish_reload(WorkerConsole *console)
{
	const PoolerConsoleCommand *command = &console->portal->command;

	if (command->verb == POOLER_CONSOLE_SET)
		pooler_console_complete(console,
								psprintf("SET %s=%s", command->key,
										 command->to_default ? "DEFAULT" : command->value));
	else
		pooler_console_complete(console, "RELOAD");
}

void
pooler_console_poll(WorkerConsole *console)
{
	PoolerAdminResult result = {.sqlstate = "00000"};
	int			slot = console->slot;
	uint64		id = console->id;

	switch (console->wait)
	{
		case CONSOLE_WAIT_CATALOG:
		case CONSOLE_WAIT_SET_SLOT:
			pooler_console_execute(console);
			break;
		case CONSOLE_WAIT_ADMIN:
			if (!pooler_admin_poll(&console->admin_command, &result) ||
				!still_there(slot, id))
				break;
			console->admin_over = true;
			report_result(console, &result);
			break;
		case CONSOLE_WAIT_SET:
			pooler_console_poll_set(console);
			break;
		case CONSOLE_WAIT_RELOAD:
			if (pooler_worker.reloads == console->reloads &&
				pooler_worker.now < console->wait_until)
				break;
			finish_reload(console);
			break;
	}
}

void
pooler_console_stop_waiting(WorkerConsole *console)
{
	if (console->set_slot >= 0)
		pooler_console_abandon_set(console->set_slot);
	console->set_slot = -1;
	if (console->state == CONSOLE_WAITING && console->wait == CONSOLE_WAIT_ADMIN &&
		!console->admin_over)
		pooler_admin_abandon(&console->admin_command);
	console->admin_over = true;
}
