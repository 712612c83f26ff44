/*-------------------------------------------------------------------------
 *
 * import_rows.c
 *	  Rows of pooler.import_pgbouncer(), and the statements in them.
 *
 * Runs in: any backend.  Executes nothing.  Of the server it looks at the names
 * of roles and databases, which everybody can read, and lets settings check the
 * values that they would get.  Must not show a plain password: no row contains
 * a line of the input as it was written.
 *
 *-------------------------------------------------------------------------
 */
#include "sql/import.h"

#include "commands/dbcommands.h"
#include "funcapi.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"

#define NCOLUMNS	7

typedef enum RowKind
{
	ROW_STATEMENT,
	ROW_NOTE,
	ROW_ERROR
} RowKind;

static const char *const row_kind_names[] = {
	[ROW_STATEMENT] = "statement",
	[ROW_NOTE] = "note",
	[ROW_ERROR] = "error",
};

StaticAssertDecl(lengthof(row_kind_names) == ROW_ERROR + 1,
				 "each kind of row needs a name");

/*---------------------------------------------------------------------------
 * Rows
 *---------------------------------------------------------------------------
 */

static void
set_text(Datum *value, bool *null, const char *text)
{
	*null = text == NULL || text[0] == '\0';
	*value = *null ? (Datum) 0 : CStringGetTextDatum(text);
}

static void
add_row(PoolerImport *import, RowKind kind, const char *item,
		const char *statement, const char *reason, const char *action)
{
	ReturnSetInfo *result = import->result;
	Datum		values[NCOLUMNS];
	bool		nulls[NCOLUMNS] = {0};

	if (result->setDesc->natts != NCOLUMNS)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the pooler library and the extension in this database are of different versions"),
				 errhint("Run ALTER EXTENSION pooler UPDATE, or restart the server if the library was replaced.")));
	CHECK_FOR_INTERRUPTS();
	set_text(&values[0], &nulls[0], import->source);
	values[1] = Int32GetDatum(import->line);
	nulls[1] = import->line == 0;
	set_text(&values[2], &nulls[2], item);
	set_text(&values[3], &nulls[3], row_kind_names[kind]);
	set_text(&values[4], &nulls[4], statement);
	set_text(&values[5], &nulls[5], reason);
	set_text(&values[6], &nulls[6], action);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

void
pooler_import_statement(PoolerImport *import, const char *item,
						const char *statement, const char *reason)
{
	add_row(import, ROW_STATEMENT, item, statement, reason, NULL);
}

void
pooler_import_note(PoolerImport *import, const char *item, const char *reason,
				   const char *action)
{
	add_row(import, ROW_NOTE, item, NULL, reason, action);
}

void
pooler_import_error(PoolerImport *import, const char *item, const char *reason,
					const char *action)
{
	add_row(import, ROW_ERROR, item, NULL, reason, action);
}

void
pooler_import_sentence(StringInfo text, const char *sentence)
{
	if (sentence == NULL)
		return;
	if (text->len > 0)
		appendStringInfoChar(text, ' ');
	appendStringInfoString(text, sentence);
}

/*---------------------------------------------------------------------------
 * Names
 *---------------------------------------------------------------------------
 */

char *
pooler_import_word(PoolerWord word)
{
	char	   *string = palloc(word.text.len + 1);

	pooler_word_copy(word, string);
	return string;
}

char *
pooler_import_string(PoolerText text)
{
	return pnstrdup(text.bytes, text.len);
}

bool
pooler_import_name_fits(PoolerImport *import, const char *name)
{
	if (strlen(name) < NAMEDATALEN)
		return true;
	pooler_import_error(import, NULL,
						psprintf("A name is longer than %d bytes.", NAMEDATALEN - 1),
						"The server can't have a role or database of this name.");
	return false;
}

PoolerImportSaid *
pooler_import_say(PoolerImport *import, const char *key, const char *value)
{
	PoolerImportSaid *said;
	bool		found;

	said = hash_search(import->said, key, HASH_ENTER, &found);
	if (found)
		return said;
	said->line = import->line;
	said->value = pstrdup(value);
	return NULL;
}

static bool
was_said(PoolerImport *import, const char *key)
{
	return hash_search(import->said, key, HASH_FIND, NULL) != NULL;
}

/* An entry for the same name again: PgBouncer takes the last one. */
bool
pooler_import_is_duplicate(PoolerImport *import, const char *kind,
						   const char *name)
{
	const char *item = quote_identifier(name);
	PoolerImportSaid *before;

	before = pooler_import_say(import, psprintf("%s %s", kind, item), "");
	if (before == NULL)
		return false;
	pooler_import_error(import, item,
						psprintf("Line %d is about the same name. PgBouncer goes by the last one.",
								 before->line),
						"Remove one of the two, and convert again.");
	return true;
}

const char *
pooler_import_missing_role(PoolerImport *import, const char *role)
{
	if (OidIsValid(get_role_oid(role, true)) ||
		was_said(import, psprintf("ROLE %s", quote_identifier(role))))
		return NULL;
	return psprintf("This server has no role \"%s\" yet: create it first.", role);
}

const char *
pooler_import_missing_database(const char *database)
{
	if (OidIsValid(get_database_oid(database, true)))
		return NULL;
	return psprintf("This server has no database \"%s\" yet: create it first.", database);
}

/*---------------------------------------------------------------------------
 * Settings
 *---------------------------------------------------------------------------
 */

const char *
pooler_import_setting_of(const PoolerParameter *parameter)
{
	return parameter->target ? parameter->target :
		psprintf("pooler.%s", parameter->name);
}

/*
 * Would the server refuse it?  It can't tell for a setting that it does not
 * know, since the library is not loaded, or that has no value at all.
 */
static bool
is_refused(const char *setting, const char *value)
{
	return GetConfigOption(setting, true, false) != NULL &&
		set_config_option(setting, value, PGC_POSTMASTER, PGC_S_TEST,
						  GUC_ACTION_SET, false, DEBUG5, false) == 0;
}

/*
 * The same setting of the same database, from two names that stand for it, or
 * of the same role: PgBouncer has a pool for each name.
 */
static bool
is_contradiction(PoolerImport *import, const PoolerImportTarget *target,
				 const char *setting, const char *value)
{
	PoolerImportSaid *before;

	/* the last ALTER SYSTEM wins, as the last line does in PgBouncer */
	if (strcmp(target->object, "SYSTEM") == 0)
		return false;
	before = pooler_import_say(import,
							   psprintf("%s %s", target->object, setting),
							   value);
	if (before == NULL || strcmp(before->value, value) == 0)
		return false;
	pooler_import_note(import, target->item,
					   psprintf("Line %d sets %s = %s for %s already, and there is one pool for a database and a role, whatever the name that clients connect by.",
								before->line, setting, before->value, target->object),
					   psprintf("If this one is to hold: ALTER %s SET %s = %s;",
								target->object, setting, value));
	return true;
}

void
pooler_import_add_setting(PoolerImport *import,
						  const PoolerImportTarget *target,
						  const char *setting, const char *value,
						  const char *bare, StringInfo reason)
{
	if (is_refused(setting, bare))
	{
		pooler_import_error(import, target->item,
							psprintf("The server refuses %s for %s.", value, setting),
							psprintf("Find out what it takes: SELECT * FROM pg_settings WHERE name = %s;",
									 quote_literal_cstr(setting)));
		return;
	}
	if (is_contradiction(import, target, setting, value))
		return;
	pooler_import_sentence(reason, target->missing);
	if (strcmp(target->object, "SYSTEM") == 0)
		import->changes_system = true;
	pooler_import_statement(import, target->item,
							psprintf("ALTER %s SET %s = %s;", target->object,
									 setting, value),
							reason->data);
}

/* Names, quoted where the server needs it, separated by commas. */
static char *
name_list(PoolerText names)
{
	StringInfoData list;
	PoolerText	name;

	initStringInfo(&list);
	while (pooler_name_next(&names, &name))
		appendStringInfo(&list, "%s%s", list.len > 0 ? ", " : "",
						 quote_identifier(pooler_import_string(name)));
	return list.data;
}

/* Zero has another meaning, and perhaps no counterpart. */
static bool
is_other_zero(PoolerImport *import, const PoolerImportTarget *target,
			  const PoolerParameter *parameter, const PoolerValue *value)
{
	if (!value->zero || parameter->zero_reason == NULL || parameter->zero != NULL)
		return false;
	pooler_import_note(import, target->item, parameter->zero_reason,
					   parameter->zero_action);
	return true;
}

static void
import_converted(PoolerImport *import, const PoolerImportTarget *target,
				 const PoolerParameter *parameter, PoolerText text,
				 StringInfo reason)
{
	const char *setting = pooler_import_setting_of(parameter);
	PoolerValue value;

	if (!pooler_parameter_value(parameter->type, text, &value))
	{
		pooler_import_error(import, target->item,
							psprintf("\"%s\" is not a valid value of %s in PgBouncer.",
									 pooler_import_string(text), parameter->name),
							"Correct the line, and convert again.");
		return;
	}
	if (is_other_zero(import, target, parameter, &value))
		return;
	if (value.zero && parameter->zero != NULL)
	{
		pooler_import_sentence(reason, parameter->zero_reason);
		pooler_import_add_setting(import, target, setting,
								  quote_literal_cstr(parameter->zero),
								  parameter->zero, reason);
		return;
	}
	if (strcmp(value.text, "session") == 0)
		pooler_import_sentence(reason, "The mode transaction serves more clients, and takes nothing from a session that the server knows of.");
	pooler_import_add_setting(import, target, setting,
							  value.literal ? quote_literal_cstr(value.text) : value.text,
							  value.text, reason);
}

void
pooler_import_setting(PoolerImport *import, const PoolerImportTarget *target,
					  const PoolerParameter *parameter, PoolerWord value,
					  bool comment)
{
	StringInfoData reason;
	const char *bare;

	initStringInfo(&reason);
	pooler_import_sentence(&reason, parameter->reason);
	if (comment)
		pooler_import_sentence(&reason, "Without the comment behind the value, which PgBouncer takes for a part of it.");
	if (parameter->type == POOLER_VALUE_STRING ||
		parameter->type == POOLER_VALUE_TEXT ||
		parameter->type == POOLER_VALUE_NAMES)
	{
		bare = parameter->type == POOLER_VALUE_NAMES ? name_list(value.text) :
			pooler_import_word(value);
		pooler_import_add_setting(import, target,
								  pooler_import_setting_of(parameter),
								  quote_literal_cstr(bare), bare, &reason);
	}
	else
		import_converted(import, target, parameter, value.text, &reason);
}

void
pooler_import_no_setting(PoolerImport *import, const char *item,
						 const PoolerParameter *parameter, PoolerText value)
{
	const char *action = parameter->action;

	if (parameter->how == POOLER_HOW_SERVER)
		action = psprintf("If it is to hold for the server as a whole: ALTER SYSTEM SET %s = %s;",
						  parameter->target,
						  quote_literal_cstr(pooler_import_string(value)));
	if (value.len == 0 ||
		(parameter->normal != NULL && pooler_text_equals(value, parameter->normal)))
		action = "Nothing to do.";
	pooler_import_note(import, item, parameter->reason, action);
}
