/*-------------------------------------------------------------------------
 *
 * import_databases.c
 *	  Lines of [databases] and [users] as statements and notes.
 *
 * Runs in: any backend.  Executes nothing; see import_rows.c for what rows may
 * show.  Passwords in connection strings are not looked at.
 *
 *-------------------------------------------------------------------------
 */
#include "sql/import.h"

#include "commands/dbcommands.h"
#include "utils/builtins.h"

/* What a name in [databases] stands for; NULL is what is not given. */
typedef struct DatabaseEntry
{
	const char *name;
	const char *item;			/* the name, quoted if need be */
	const char *dbname;			/* never NULL */
	const char *user;
	const char *host;
	const char *port;
	bool		password;
	bool		fallback;		/* the name is * */
} DatabaseEntry;

/*
 * Are all options well-formed and known?  An entry with a mistake is left out
 * as a whole, as by PgBouncer.  What follows a password may be a part of it,
 * of which a quote or a space was not quoted: its name is not shown.
 */
static bool
check_options(PoolerImport *import, const char *item, PoolerText value,
			  unsigned place)
{
	PoolerOptions options = pooler_options(value);
	PoolerOption option;
	bool		good = true;
	bool		password = false;

	while (pooler_option_next(&options, &option))
	{
		if (pooler_text_equals(option.name, "password"))
			password = true;
		if (pooler_parameter(option.name, place) != NULL)
			continue;
		if (password)
			pooler_import_error(import, item,
								"Something behind the password is not an option of PgBouncer.",
								"Options are name=value, a value with spaces or quotes in single quotes, those doubled inside.");
		else
			pooler_import_unknown(import, item, option.name, place);
		good = false;
	}
	if (options.error != POOLER_IMPORT_OK)
		pooler_import_error(import, item, pooler_import_error_text(options.error),
							"Options are name=value, a value with spaces or quotes in single quotes, those doubled inside.");
	if (options.comment)
		pooler_import_note(import, item,
						   "Without the comment behind the options, which PgBouncer takes for an option.",
						   "Nothing to do.");
	return good && options.error == POOLER_IMPORT_OK;
}

static void
read_database_entry(DatabaseEntry *entry, PoolerText value)
{
	PoolerOptions options = pooler_options(value);
	PoolerOption option;

	while (pooler_option_next(&options, &option))
	{
		if (pooler_text_equals(option.name, "dbname"))
			entry->dbname = pooler_import_word(option.value);
		else if (pooler_text_equals(option.name, "user"))
			entry->user = pooler_import_word(option.value);
		else if (pooler_text_equals(option.name, "host"))
			entry->host = pooler_import_word(option.value);
		else if (pooler_text_equals(option.name, "port"))
			entry->port = pooler_import_word(option.value);
		else if (pooler_text_equals(option.name, "password"))
			entry->password = true;
	}
}

/* "dbname [role]", as in pooler.aliases */
static char *
alias_target(const DatabaseEntry *entry)
{
	StringInfoData target;

	initStringInfo(&target);
	appendStringInfoString(&target, quote_identifier(entry->dbname));
	if (entry->user != NULL)
		appendStringInfo(&target, " %s", quote_identifier(entry->user));
	return target.data;
}

static void
add_alias(PoolerImport *import, const DatabaseEntry *entry, StringInfo reason,
		  StringInfo action)
{
	appendStringInfo(&import->aliases, "%s%s = %s",
					 import->aliases.len > 0 ? ", " : "",
					 quote_identifier(entry->name), alias_target(entry));
	pooler_import_sentence(reason,
						   psprintf("\"%s\" becomes another name of database \"%s\", by pooler.aliases (at the end).",
									entry->name, entry->dbname));
	pooler_import_sentence(reason, pooler_import_missing_database(entry->dbname));
	if (entry->user == NULL)
		return;
	pooler_import_sentence(reason,
						   psprintf("Its clients log in as themselves, and have the role \"%s\" then.",
									entry->user));
	pooler_import_sentence(reason, pooler_import_missing_role(import, entry->user));
	pooler_import_sentence(action,
						   psprintf("Run GRANT %s TO ... for each role that logs in.",
									quote_identifier(entry->user)));
}

/* Why a name can't be an alias; NULL if it can. */
static const char *
no_alias_because(const DatabaseEntry *entry)
{
	if (strcmp(entry->name, entry->dbname) == 0)
		return psprintf("The name of a database can't stand for a role, too, so that clients of \"%s\" keep the role that they log in as.",
						entry->name);
	if (strcmp(entry->name, "pooler") == 0)
		return "\"pooler\" is the name of the console.";
	if (OidIsValid(get_database_oid(entry->name, true)))
		return psprintf("This server has a database \"%s\", which an alias can't hide.",
						entry->name);
	return NULL;
}

static void
explain_place(const DatabaseEntry *entry, StringInfo reason, StringInfo action)
{
	if (entry->host == NULL && entry->port == NULL)
		return;
	pooler_import_sentence(reason, "The pooler serves the databases of its own server, which needs no host and port.");
	pooler_import_sentence(action,
						   psprintf("If %s%s%s%s%s is another server, install pooler there, and let these clients connect to it.",
									entry->host ? "host " : "",
									entry->host ? entry->host : "",
									entry->host && entry->port ? ", " : "",
									entry->port ? "port " : "",
									entry->port ? entry->port : ""));
}

/* The row about a name in [databases]: what it stands for, and where. */
static void
import_database_name(PoolerImport *import, const DatabaseEntry *entry)
{
	StringInfoData reason;
	StringInfoData action;
	const char *problem = NULL;

	initStringInfo(&reason);
	initStringInfo(&action);
	if (strcmp(entry->name, entry->dbname) == 0 && entry->user == NULL)
	{
		pooler_import_sentence(&reason,
							   psprintf("Clients connect to database \"%s\" by its name, without an entry.",
										entry->name));
		pooler_import_sentence(&reason,
							   pooler_import_missing_database(entry->dbname));
	}
	else if ((problem = no_alias_because(entry)) == NULL)
		add_alias(import, entry, &reason, &action);
	else
	{
		pooler_import_sentence(&reason, problem);
		pooler_import_sentence(&action,
							   psprintf("Let clients connect to another name, and add it to pooler.aliases: \"... = %s\".",
										alias_target(entry)));
		if (entry->user != NULL)
			pooler_import_sentence(&action,
								   psprintf("Or let them log in as \"%s\".",
											entry->user));
	}
	if (entry->password)
		pooler_import_sentence(&reason, "The password is not needed: the pooler logs in nowhere.");
	explain_place(entry, &reason, &action);
	pooler_import_note(import, entry->item, reason.data,
					   action.len > 0 ? action.data : "Nothing to do.");
}

static void
import_fallback(PoolerImport *import, const DatabaseEntry *entry)
{
	StringInfoData reason;
	StringInfoData action;

	initStringInfo(&reason);
	initStringInfo(&action);
	if (strcmp(entry->dbname, entry->name) == 0 && entry->user == NULL)
		pooler_import_sentence(&reason, "All databases of this server can be reached by their names, without an entry.");
	else
	{
		pooler_import_sentence(&reason, "Aliases have names: there is none for all other names.");
		pooler_import_sentence(&action,
							   psprintf("Add each name that clients use to pooler.aliases: \"... = %s\".",
										alias_target(entry)));
	}
	explain_place(entry, &reason, &action);
	pooler_import_note(import, entry->item, reason.data,
					   action.len > 0 ? action.data : "Nothing to do.");
}

/* An option of the entry *, which holds for databases without one. */
static void
import_fallback_option(PoolerImport *import, const char *item,
					   const PoolerParameter *parameter, PoolerWord word)
{
	const char *setting = pooler_import_setting_of(parameter);
	const char *literal = quote_literal_cstr(pooler_import_word(word));
	PoolerValue value;

	if (parameter->type != POOLER_VALUE_STRING &&
		pooler_parameter_value(parameter->type, word.text, &value))
		literal = value.literal ? quote_literal_cstr(value.text) :
			pstrdup(value.text);
	pooler_import_note(import, item,
					   "A setting is for one database or for all, and this is for databases without an entry.",
					   psprintf("For each of these: ALTER DATABASE ... SET %s = %s; or for all: ALTER SYSTEM SET %s = %s;",
								setting, literal, setting, literal));
}

/* Every option but those that say what the name stands for. */
static void
import_options(PoolerImport *import, const char *item,
			   PoolerImportTarget *target, PoolerText value, unsigned place,
			   bool fallback)
{
	PoolerOptions options = pooler_options(value);
	PoolerOption option;

	while (pooler_option_next(&options, &option))
	{
		const PoolerParameter *parameter = pooler_parameter(option.name, place);

		if (parameter->how == POOLER_HOW_ALIAS)
			continue;
		target->item = psprintf("%s %s", item, parameter->name);
		if (parameter->how != POOLER_HOW_SETTING)
			pooler_import_no_setting(import, target->item, parameter,
									 option.value.text);
		else if (fallback)
			import_fallback_option(import, target->item, parameter,
								   option.value);
		else
			pooler_import_setting(import, target, parameter, option.value,
								  false);
	}
}

void
pooler_import_database(PoolerImport *import, const PoolerIniLine *line)
{
	DatabaseEntry entry = {0};
	PoolerImportTarget target = {0};

	entry.name = pooler_import_word(line->name);
	if (!pooler_import_name_fits(import, entry.name) ||
		pooler_import_is_duplicate(import, "ENTRY", entry.name))
		return;
	entry.fallback = line->name.quote == '\0' && strcmp(entry.name, "*") == 0;
	entry.item = entry.fallback ? "*" : quote_identifier(entry.name);
	if (strcmp(entry.name, "pgbouncer") == 0)
	{
		pooler_import_error(import, entry.item, "\"pgbouncer\" is the name of the console.",
							"Give the entry another name, and convert again.");
		return;
	}
	if (!check_options(import, entry.item, line->value, POOLER_IN_DATABASE))
		return;
	entry.dbname = entry.name;
	read_database_entry(&entry, line->value);
	if (!pooler_import_name_fits(import, entry.dbname) ||
		(entry.user != NULL && !pooler_import_name_fits(import, entry.user)))
		return;
	if (entry.fallback)
		import_fallback(import, &entry);
	else
		import_database_name(import, &entry);
	target.object = psprintf("DATABASE %s", quote_identifier(entry.dbname));
	target.missing = pooler_import_missing_database(entry.dbname);
	import_options(import, entry.item, &target, line->value, POOLER_IN_DATABASE,
				   entry.fallback);
}

void
pooler_import_user(PoolerImport *import, const PoolerIniLine *line)
{
	const char *name = pooler_import_word(line->name);
	const char *item = quote_identifier(name);
	PoolerImportTarget target = {0};

	if (!pooler_import_name_fits(import, name) ||
		pooler_import_is_duplicate(import, "USER", name) ||
		!check_options(import, item, line->value, POOLER_IN_USER))
		return;
	if (line->value.len == 0)
		pooler_import_note(import, item, "No options are given.", "Nothing to do.");
	target.object = psprintf("ROLE %s", item);
	target.missing = pooler_import_missing_role(import, name);
	import_options(import, item, &target, line->value, POOLER_IN_USER, false);
}
