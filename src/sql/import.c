/*-------------------------------------------------------------------------
 *
 * import.c
 *	  pooler.import_pgbouncer(): a configuration of PgBouncer as statements.
 *
 * Runs in: any backend.  Only computes: it executes nothing, and looks at no
 * file.  Of the server it looks at the names of roles and databases, which
 * everybody can read, and lets settings check the values that they would get.
 *
 * src/import reads the files and knows the parameters.  A row is a statement
 * (perhaps with something to know about it), a note (what has no counterpart,
 * and what to do instead), or an error (what can't be converted).  Every line
 * of the input has at least one row, except empty ones and comments.
 *
 * Must not show a plain password: no row contains a line as it was written,
 * and of a secret only what the server would store.
 *
 *-------------------------------------------------------------------------
 */
#include "sql/import.h"

#include "fmgr.h"
#include "funcapi.h"
#include "libpq/crypt.h"
#include "libpq/scram.h"
#include "utils/acl.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(pooler_import_pgbouncer);

/* What the server stores is longer than this only from other servers. */
#define MAX_SECRET_LENGTH	512

/*---------------------------------------------------------------------------
 * pgbouncer.ini
 *---------------------------------------------------------------------------
 */

static void
import_header(PoolerImport *import, const PoolerIniLine *line)
{
	if (line->section == POOLER_INI_OTHER)
		pooler_import_error(import, NULL,
							psprintf("PgBouncer has no section [%s].",
									 pooler_import_string(line->name.text)),
							"Correct its name, and convert again: the lines below it were left out.");
}

static void
import_entry(PoolerImport *import, const PoolerIniLine *line)
{
	switch (line->section)
	{
		case POOLER_INI_NO_SECTION:
			if (!import->told_no_section)
				pooler_import_note(import, NULL,
								   "There is no section before this line. It is taken for one of [pgbouncer], which PgBouncer does not do.",
								   "Nothing to do.");
			import->told_no_section = true;
			pooler_import_parameter(import, line);
			break;
		case POOLER_INI_PGBOUNCER:
			pooler_import_parameter(import, line);
			break;
		case POOLER_INI_DATABASES:
			pooler_import_database(import, line);
			break;
		case POOLER_INI_USERS:
			pooler_import_user(import, line);
			break;
		case POOLER_INI_PEERS:
			pooler_import_note(import, pooler_import_string(line->name.text),
							   "There is one pooler, to which all cancel requests go.",
							   "Nothing to do.");
			break;
		case POOLER_INI_OTHER:
			break;				/* said with the header */
	}
}

static void
import_ini(PoolerImport *import, const char *text)
{
	PoolerImportReader reader = pooler_import_reader(text, strlen(text));
	PoolerIniLine line;

	import->source = "ini";
	while (pooler_ini_next(&reader, &line))
	{
		import->line = reader.line;
		switch (line.kind)
		{
			case POOLER_INI_HEADER:
				import_header(import, &line);
				break;
			case POOLER_INI_ENTRY:
				import_entry(import, &line);
				break;
			case POOLER_INI_INCLUDE:
				pooler_import_note(import, "%include", "Files are not read.",
								   psprintf("Put the text of %s in place of this line, and convert again.",
											pooler_import_string(line.value)));
				break;
			case POOLER_INI_MISTAKE:
				pooler_import_error(import, NULL,
									pooler_import_error_text(line.error),
									line.section == POOLER_INI_OTHER ?
									"Correct the line, and convert again: the lines below it were left out." :
									"Correct the line, and convert again.");
				break;
		}
	}
	pooler_import_absent(import);
}

/*---------------------------------------------------------------------------
 * userlist.txt
 *---------------------------------------------------------------------------
 */

/*
 * What to store as the password.  NULL, and a row, if there is none.  A plain
 * password is made a SCRAM secret here, so that it is neither in the output
 * nor, when the statement is run, in the log.
 */
static const char *
stored_secret(PoolerImport *import, const char *item, const char *secret)
{
	if (strlen(secret) > MAX_SECRET_LENGTH)
	{
		pooler_import_error(import, item, "The secret is too long.",
							"Create the role, and set its password with \\password in psql.");
		return NULL;
	}
	if (get_password_type(secret) != PASSWORD_TYPE_PLAINTEXT)
		return secret;
	if (strncmp(secret, "md5", 3) == 0 ||
		strncmp(secret, "SCRAM-SHA-256$", 14) == 0)
	{
		pooler_import_error(import, item,
							"The secret looks like one of md5 or SCRAM, but is none.",
							"Copy it again; if it is the password itself, create the role, and set it with \\password in psql.");
		return NULL;
	}
	return pg_be_scram_build_secret(secret);
}

static void
import_role(PoolerImport *import, const char *name, const char *secret)
{
	const char *item = quote_identifier(name);
	const char *stored;
	const char *reason = NULL;

	if (OidIsValid(get_role_oid(name, true)))
	{
		pooler_import_note(import, item,
						   "The role exists. Clients log in with the password that it has.",
						   "Nothing to do. If the password in the file is another one that is to hold, set it with \\password in psql.");
		return;
	}
	if (secret[0] == '\0')
	{
		pooler_import_say(import, psprintf("ROLE %s", item), "");
		pooler_import_statement(import, item,
								psprintf("CREATE ROLE %s LOGIN;", item),
								"The role has no password, and can log in only where pg_hba.conf asks for none.");
		return;
	}
	stored = stored_secret(import, item, secret);
	if (stored == NULL)
		return;
	if (stored != secret)
		reason = "Made from the plain password. The role has no other privileges yet.";
	else if (get_password_type(secret) == PASSWORD_TYPE_MD5)
		reason = "Logs in by rules of pg_hba.conf with the method md5, not by those with scram-sha-256.";
	pooler_import_say(import, psprintf("ROLE %s", item), "");
	pooler_import_statement(import, item,
							psprintf("CREATE ROLE %s LOGIN PASSWORD %s;", item,
									 quote_literal_cstr(stored)),
							reason);
}

static void
import_userlist(PoolerImport *import, const char *text)
{
	PoolerImportReader reader = pooler_import_reader(text, strlen(text));
	PoolerUserLine user;

	import->source = "userlist";
	while (pooler_userlist_next(&reader, &user))
	{
		const char *name;

		import->line = reader.line;
		if (user.error != POOLER_IMPORT_OK)
		{
			pooler_import_error(import, NULL, pooler_import_error_text(user.error),
								"Correct the line, and convert again.");
			continue;
		}
		name = pooler_import_word(user.name);
		if (pooler_import_name_fits(import, name) &&
			!pooler_import_is_duplicate(import, "LOGIN", name))
			import_role(import, name, pooler_import_word(user.secret));
	}
}

/*---------------------------------------------------------------------------
 * The function
 *---------------------------------------------------------------------------
 */

/* What is about all lines. */
static void
import_end(PoolerImport *import)
{
	import->source = "ini";
	import->line = 0;
	if (import->aliases.len > 0)
	{
		StringInfoData reason;
		PoolerImportTarget system = {.item = "aliases", .object = "SYSTEM"};

		initStringInfo(&reason);
		pooler_import_add_setting(import, &system, "pooler.aliases",
								  quote_literal_cstr(import->aliases.data),
								  import->aliases.data, &reason);
	}
	if (import->changes_system)
		pooler_import_statement(import, "reload",
								"SELECT pg_catalog.pg_reload_conf();", NULL);
}

static HTAB *
make_said(void)
{
	HASHCTL		ctl = {0};

	ctl.keysize = POOLER_IMPORT_KEY_SIZE;
	ctl.entrysize = sizeof(PoolerImportSaid);
	ctl.hcxt = CurrentMemoryContext;
	return hash_create("pooler import", 256, &ctl,
					   HASH_ELEM | HASH_STRINGS | HASH_CONTEXT);
}

/* pooler.import_pgbouncer(ini text, userlist text) */
Datum
pooler_import_pgbouncer(PG_FUNCTION_ARGS)
{
	PoolerImport import = {0};

	InitMaterializedSRF(fcinfo, 0);
	import.result = (ReturnSetInfo *) fcinfo->resultinfo;
	import.present = palloc0(pooler_nparameters * sizeof(bool));
	import.said = make_said();
	import.has_userlist = !PG_ARGISNULL(1);
	initStringInfo(&import.aliases);

	/* roles first: statements about them follow */
	if (import.has_userlist)
		import_userlist(&import, text_to_cstring(PG_GETARG_TEXT_PP(1)));
	if (!PG_ARGISNULL(0))
		import_ini(&import, text_to_cstring(PG_GETARG_TEXT_PP(0)));
	import_end(&import);
	return (Datum) 0;
}
