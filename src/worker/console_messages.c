/*-------------------------------------------------------------------------
 *
 * console_messages.c
 *	  The messages of the protocol on the admin console, simple and extended.
 *
 * Runs in: the pooler.  Answers as exec_parse_message() and its like do in
 * core (postgres.c), for statements without parameters; there are no
 * transactions: portals live up to the next Sync.
 *
 *-------------------------------------------------------------------------
 */
#include "worker/console.h"

#include "proto/extended.h"
#include "utils/memutils.h"

static void
bad_format(WorkerConsole *console)
{
	pooler_console_error(console, "08P01", _("invalid message format"), NULL, NULL);
}

static void
put_empty(WorkerConsole *console, char type)
{
	int			start;

	pooler_message_begin(&console->out, type, &start);
	pooler_message_end(&console->out, start);
}

/*---------------------------------------------------------------------------
 * parsing
 *---------------------------------------------------------------------------
 */

static void
report_syntax(WorkerConsole *console, PoolerConsoleError error,
			  const PoolerConsoleCommand *command, const char *word)
{
	const char *message = NULL;
	const char *hint = NULL;
	const char *state = "42601";

	switch (error)
	{
		case POOLER_CONSOLE_OK:
			return;
		case POOLER_CONSOLE_UNKNOWN:
			message = psprintf(_("unknown command \"%s\""), word);
			hint = psprintf(_("The commands are %s."), pooler_console_commands());
			break;
		case POOLER_CONSOLE_SQL:
			message = _("this is the admin console of the pooler, which has no SQL");
			hint = psprintf(_("Connect to a database for SQL. The commands are %s."),
							pooler_console_commands());
			break;
		case POOLER_CONSOLE_UNKNOWN_SHOW:
			message = psprintf(_("there is no SHOW \"%s\""), word);
			hint = psprintf(_("SHOW can be followed by %s."), pooler_console_shows());
			break;
		case POOLER_CONSOLE_MISSING:
			message = _("the command is not complete");
			hint = _("SHOW HELP lists the commands and their arguments.");
			break;
		case POOLER_CONSOLE_SYNTAX:
			message = word[0] ? psprintf(_("syntax error at or near \"%s\""), word) :
				_("syntax error at end of input");
			hint = _("SHOW HELP lists the commands and their arguments.");
			break;
		case POOLER_CONSOLE_UNTERMINATED:
			message = _("unterminated quotes or comment");
			break;
		case POOLER_CONSOLE_TOO_LONG:
			message = psprintf(_("name or value \"%s...\" is too long"), word);
			state = "42622";
			break;
		case POOLER_CONSOLE_BAD_ID:
			message = psprintf(_("invalid client id \"%s\""), word);
			hint = _("SHOW CLIENTS and the view pooler.clients have the column id.");
			state = "22023";
			break;
		case POOLER_CONSOLE_BAD_BYTE:
			message = _("invalid character in a command");
			state = "22021";
			break;
	}
	pooler_console_error(console, state, message, NULL, hint);
}

/* The next statement; false if there is a mistake, which is reported. */
static bool
parse(WorkerConsole *console, const char **at, const char *end,
	  PoolerConsoleCommand *command)
{
	char		word[POOLER_CONSOLE_WORD_MAX];
	PoolerConsoleError error = pooler_console_next(at, end, command, word);

	if (error == POOLER_CONSOLE_OK)
		return true;
	report_syntax(console, error, command, word);
	return false;
}

/*---------------------------------------------------------------------------
 * names of prepared statements and portals
 *---------------------------------------------------------------------------
 */

static ConsolePortal *
new_portal(WorkerConsole *console)
{
	return MemoryContextAllocZero(console->cxt, sizeof(ConsolePortal));
}

void
pooler_console_drop_portal(ConsolePortal *portal)
{
	if (portal->cursor.cxt)
		MemoryContextDelete(portal->cursor.cxt);
	pfree(portal);
}

static ConsoleStatement **
find_statement(WorkerConsole *console, const char *name)
{
	for (int i = 0; i < CONSOLE_MAX_NAMES; i++)
	{
		if (console->statements[i] && strcmp(console->statements[i]->name, name) == 0)
			return &console->statements[i];
	}
	return NULL;
}

static ConsolePortal **
find_portal(WorkerConsole *console, const char *name)
{
	for (int i = 0; i < CONSOLE_MAX_NAMES; i++)
	{
		if (console->portals[i] && strcmp(console->portals[i]->name, name) == 0)
			return &console->portals[i];
	}
	return NULL;
}

static bool
name_fits(WorkerConsole *console, const char *name)
{
	if (strlen(name) < CONSOLE_NAME_LEN)
		return true;
	pooler_console_error(console, "42622", _("name is too long for the console"),
						 NULL, NULL);
	return false;
}

static void
no_room(WorkerConsole *console)
{
	pooler_console_error(console, "53200",
						 _("too many prepared statements or portals on the console"),
						 psprintf(_("There can be %d of each."), CONSOLE_MAX_NAMES),
						 NULL);
}

static void
no_statement(WorkerConsole *console, const char *name)
{
	pooler_console_error(console, "26000",
						 psprintf(_("prepared statement \"%s\" does not exist"),
								  pooler_console_utf8(name)), NULL, NULL);
}

static void
no_portal(WorkerConsole *console, const char *name)
{
	pooler_console_error(console, "34000",
						 psprintf(_("portal \"%s\" does not exist"),
								  pooler_console_utf8(name)), NULL, NULL);
}

static void
drop_statement(ConsoleStatement **place)
{
	if (place)
	{
		pfree(*place);
		*place = NULL;
	}
}

static void
drop_portal(ConsolePortal **place)
{
	if (place)
	{
		pooler_console_drop_portal(*place);
		*place = NULL;
	}
}

/* As at the end of a transaction in core. */
static void
drop_all_portals(WorkerConsole *console)
{
	for (int i = 0; i < CONSOLE_MAX_NAMES; i++)
	{
		if (console->portals[i])
			drop_portal(&console->portals[i]);
	}
}

/* Where a new one may go; what has no name replaces the one before. */
static ConsoleStatement **
room_for_statement(WorkerConsole *console, const char *name)
{
	ConsoleStatement **place = find_statement(console, name);

	if (place && name[0])
	{
		pooler_console_error(console, "42P05",
							 psprintf(_("prepared statement \"%s\" already exists"),
									  pooler_console_utf8(name)), NULL, NULL);
		return NULL;
	}
	drop_statement(place);
	for (int i = 0; i < CONSOLE_MAX_NAMES; i++)
	{
		if (console->statements[i] == NULL)
			return &console->statements[i];
	}
	no_room(console);
	return NULL;
}

static ConsolePortal **
room_for_portal(WorkerConsole *console, const char *name)
{
	ConsolePortal **place = find_portal(console, name);

	if (place && name[0])
	{
		pooler_console_error(console, "42P03",
							 psprintf(_("cursor \"%s\" already exists"),
									  pooler_console_utf8(name)), NULL, NULL);
		return NULL;
	}
	drop_portal(place);
	for (int i = 0; i < CONSOLE_MAX_NAMES; i++)
	{
		if (console->portals[i] == NULL)
			return &console->portals[i];
	}
	no_room(console);
	return NULL;
}

/*---------------------------------------------------------------------------
 * simple query
 *---------------------------------------------------------------------------
 */

/* As core, nothing is carried out if there is a mistake anywhere. */
static bool
all_well(WorkerConsole *console, const char *text, const char *end, bool *empty)
{
	PoolerConsoleCommand command;

	*empty = true;
	while (text < end)
	{
		if (!parse(console, &text, end, &command))
			return false;
		*empty = *empty && command.verb == POOLER_CONSOLE_EMPTY;
	}
	return true;
}

static void
simple_query(WorkerConsole *console, const uint8 *body, int len)
{
	const char *text;
	bool		empty;

	console->simple = true;
	drop_statement(find_statement(console, ""));
	drop_all_portals(console);
	if (!pooler_query_parse(body, len, &text))
	{
		bad_format(console);
		return;
	}
	if (!all_well(console, text, text + strlen(text), &empty))
		return;
	if (empty)
	{
		put_empty(console, PqMsg_EmptyQueryResponse);
		pooler_console_ready(console);
		console->simple = false;
		return;
	}
	/* the buffer may be read into while the statements are carried out */
	if (console->query)
		pfree(console->query);
	console->query = MemoryContextStrdup(console->cxt, text);
	console->query_next = console->query;
	console->query_end = console->query + strlen(console->query);
	console->state = CONSOLE_RUNNING;
}

void
pooler_console_next_statement(WorkerConsole *console)
{
	const ConsoleShow *show;
	ConsolePortal *portal;

	if (console->own_portal)
		pooler_console_drop_portal(console->own_portal);
	console->own_portal = portal = new_portal(console);
	if (!parse(console, &console->query_next, console->query_end, &portal->command))
		return;
	if (portal->command.verb == POOLER_CONSOLE_EMPTY)
	{
		pfree(console->query);
		console->query = NULL;
		console->simple = false;
		console->state = CONSOLE_READY;
		pooler_console_ready(console);
		return;
	}
	console->portal = portal;
	console->rows_left = -1;
	show = pooler_console_rows_of(&portal->command);
	if (show)
		pooler_row_describe(&console->out, show->columns, show->ncolumns, NULL);
	pooler_console_execute(console);
}

/*---------------------------------------------------------------------------
 * extended protocol
 *---------------------------------------------------------------------------
 */

static void
parse_message(WorkerConsole *console, const uint8 *body, int len)
{
	PoolerParse message;
	PoolerConsoleCommand command;
	PoolerConsoleCommand more;
	ConsoleStatement **place;
	const char *end;

	if (!pooler_parse_parse(body, len, &message))
	{
		bad_format(console);
		return;
	}
	end = message.text + strlen(message.text);
	if (!name_fits(console, message.name) ||
		!parse(console, &message.text, end, &command) ||
		!parse(console, &message.text, end, &more))
		return;
	if (more.verb != POOLER_CONSOLE_EMPTY)
	{
		pooler_console_error(console, "42601",
							 _("cannot insert multiple commands into a prepared statement"),
							 NULL, NULL);
		return;
	}
	place = room_for_statement(console, message.name);
	if (place == NULL)
		return;
	*place = MemoryContextAllocZero(console->cxt, sizeof(ConsoleStatement));
	strlcpy((*place)->name, message.name, CONSOLE_NAME_LEN);
	(*place)->command = command;
	put_empty(console, PqMsg_ParseComplete);
}

/* Formats for the results; false if they do not fit the columns. */
static bool
take_formats(const PoolerBind *bind, const ConsoleShow *show, ConsoleFormats *formats)
{
	if (bind->nformats > 1 && (show == NULL || bind->nformats != show->ncolumns))
		return false;
	formats->n = Min(bind->nformats, CONSOLE_MAX_COLUMNS);
	for (int i = 0; i < formats->n; i++)
		formats->binary[i] = pooler_bind_is_binary(bind, i);
	return true;
}

static void
bind_message(WorkerConsole *console, const uint8 *body, int len)
{
	PoolerBind	bind;
	ConsoleStatement **statement;
	ConsoleFormats formats = {0};
	ConsolePortal **place;

	if (!pooler_bind_parse(body, len, &bind))
		bad_format(console);
	else if (!name_fits(console, bind.statement))
		return;
	else if ((statement = find_statement(console, bind.statement)) == NULL)
		no_statement(console, bind.statement);
	else if (bind.nvalues > 0)
		pooler_console_error(console, "08P01",
							 psprintf(_("bind message supplies %d parameters, but prepared statement \"%s\" requires %d"),
									  bind.nvalues, pooler_console_utf8(bind.statement), 0),
							 NULL, NULL);
	else if (!take_formats(&bind, pooler_console_rows_of(&(*statement)->command), &formats))
		pooler_console_error(console, "08P01",
							 _("bind message has result formats for other columns"), NULL, NULL);
	else if (name_fits(console, bind.portal) &&
			 (place = room_for_portal(console, bind.portal)) != NULL)
	{
		*place = new_portal(console);
		strlcpy((*place)->name, bind.portal, CONSOLE_NAME_LEN);
		(*place)->command = (*statement)->command;
		(*place)->formats = formats;
		put_empty(console, '2');
	}
}

static void
describe_rows(WorkerConsole *console, const PoolerConsoleCommand *command,
			  const ConsoleFormats *formats)
{
	const ConsoleShow *show = pooler_console_rows_of(command);

	if (show)
		pooler_row_describe(&console->out, show->columns, show->ncolumns, formats);
	else
		put_empty(console, PqMsg_NoData);
}

static void
describe_statement(WorkerConsole *console, const char *name)
{
	ConsoleStatement **statement = find_statement(console, name);
	int			start;

	if (statement == NULL)
	{
		no_statement(console, name);
		return;
	}
	pooler_message_begin(&console->out, PqMsg_ParameterDescription, &start);
	pooler_message_int16(&console->out, 0);
	pooler_message_end(&console->out, start);
	describe_rows(console, &(*statement)->command, NULL);
}

static void
describe_portal(WorkerConsole *console, const char *name)
{
	ConsolePortal **portal = find_portal(console, name);

	if (portal)
		describe_rows(console, &(*portal)->command, &(*portal)->formats);
	else
		no_portal(console, name);
}

static void
describe_message(WorkerConsole *console, const uint8 *body, int len)
{
	char		kind;
	const char *name;

	if (!pooler_named_parse(body, len, &kind, &name))
		bad_format(console);
	else if (!name_fits(console, name))
		return;
	else if (kind == 'S')
		describe_statement(console, name);
	else
		describe_portal(console, name);
}

static void
close_message(WorkerConsole *console, const uint8 *body, int len)
{
	char		kind;
	const char *name;

	if (!pooler_named_parse(body, len, &kind, &name))
	{
		bad_format(console);
		return;
	}
	if (kind == 'S')
		drop_statement(find_statement(console, name));
	else
		drop_portal(find_portal(console, name));
	put_empty(console, PqMsg_CloseComplete);
}

static void
execute_portal(WorkerConsole *console, ConsolePortal *portal, int32 rows)
{
	if (portal->command.verb == POOLER_CONSOLE_EMPTY)
	{
		put_empty(console, PqMsg_EmptyQueryResponse);
		return;
	}
	console->portal = portal;
	console->rows_left = rows > 0 ? rows : -1;
	if (portal->done && pooler_console_rows_of(&portal->command) != NULL)
		pooler_console_complete(console, pooler_console_tag(portal->command.verb));
	else if (portal->done)
		pooler_console_error(console, "55000",
							 psprintf(_("portal \"%s\" cannot be run"),
									  pooler_console_utf8(portal->name)), NULL, NULL);
	else
		pooler_console_execute(console);
}

static void
execute_message(WorkerConsole *console, const uint8 *body, int len)
{
	const char *name;
	int32		rows;
	ConsolePortal **portal;

	if (!pooler_execute_parse(body, len, &name, &rows))
		bad_format(console);
	else if (!name_fits(console, name))
		return;
	else if ((portal = find_portal(console, name)) == NULL)
		no_portal(console, name);
	else
		execute_portal(console, *portal, rows);
}

void
pooler_console_message(WorkerConsole *console, char type, const uint8 *body,
					   int len)
{
	if (console->skipping && type != 'S')
		return;
	switch (type)
	{
		case 'Q':
			simple_query(console, body, len);
			break;
		case 'P':
			parse_message(console, body, len);
			break;
		case 'B':
			bind_message(console, body, len);
			break;
		case 'D':
			describe_message(console, body, len);
			break;
		case 'C':
			close_message(console, body, len);
			break;
		case 'E':
			execute_message(console, body, len);
			break;
		case 'H':
			break;				/* all is sent as soon as there is no more
								 * input */
		case 'S':
			console->skipping = false;
			drop_all_portals(console);
			pooler_console_ready(console);
			break;
		case 'F':
			console->simple = true; /* ReadyForQuery follows */
			pooler_console_error(console, "0A000",
								 _("the console has no functions"), NULL, NULL);
			break;
	}
}
