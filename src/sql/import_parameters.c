/*-------------------------------------------------------------------------
 *
 * import_parameters.c
 *	  Lines of [pgbouncer] as statements and notes.
 *
 * Runs in: any backend.  Executes nothing; see import_rows.c for what rows may
 * show.
 *
 *-------------------------------------------------------------------------
 */
#include "sql/import.h"

#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/varlena.h"

/*---------------------------------------------------------------------------
 * What PgBouncer does not know
 *---------------------------------------------------------------------------
 */

/* A parameter whose name is nearly this one, or NULL. */
static const char *
similar_parameter(PoolerText name, unsigned place)
{
	const char *best = NULL;
	int			limit = Min(3, (int) (name.len / 3));

	if (name.len >= NAMEDATALEN)
		return NULL;
	for (int i = 0; i < pooler_nparameters && limit >= 0; i++)
	{
		const char *other = pooler_parameters[i].name;
		int			distance;

		if ((pooler_parameters[i].places & place) == 0)
			continue;
		distance = varstr_levenshtein_less_equal(name.bytes, name.len, other,
												 strlen(other), 1, 1, 1, limit,
												 true);
		if (distance <= limit)
		{
			best = other;
			limit = distance - 1;
		}
	}
	return best;
}

void
pooler_import_unknown(PoolerImport *import, const char *item, PoolerText name,
					  unsigned place)
{
	const char *setting = pooler_import_string(name);
	const char *similar = similar_parameter(name, place);
	const char *action = "Correct or remove it, and convert again.";

	if (similar != NULL)
		action = psprintf("Perhaps it should be \"%s\".", similar);
	else if (GetConfigOption(setting, true, false) != NULL)
		action = psprintf("\"%s\" is a setting of the server: use ALTER SYSTEM, ALTER DATABASE or ALTER ROLE ... SET.",
						  setting);
	pooler_import_error(import, item,
						psprintf("PgBouncer 1.26 has no such parameter here, and does not start with it: \"%s\".",
								 setting),
						action);
}

/*---------------------------------------------------------------------------
 * [pgbouncer]
 *---------------------------------------------------------------------------
 */

static const char *
auth_type_advice(PoolerText type)
{
	static const struct
	{
		const char *type;
		const char *advice;
	}			rows[] = {
		{"any", "Have a rule for those clients, \"host all all samenet trust\". The role that all of them are to have is the second name in an entry of pooler.aliases."},
		{"trust", "Have a rule for those clients, \"host all all samenet trust\", or better give them passwords."},
		{"plain", "Have a rule such as \"host all all samenet scram-sha-256\". Clients need no change for it, and with \"password\" they would send theirs in plain text."},
		{"md5", "Have a rule such as \"host all all samenet md5\". It takes passwords of both kinds, md5 and scram-sha-256."},
		{"scram-sha-256", "Have a rule such as \"host all all samenet scram-sha-256\"."},
		{"cert", "Have a rule such as \"hostssl all all samenet cert\"."},
		{"hba", "Take the rules of auth_hba_file over into pg_hba.conf: they have the same form there, and the same first match decides."},
		{"ldap", "Have a rule such as \"host all all samenet ldap ldapserver=...\", with the options of auth_ldap_options."},
		{"pam", "Have a rule such as \"host all all samenet pam pamservice=pgbouncer\"."},
	};

	for (int i = 0; i < (int) lengthof(rows); i++)
	{
		if (pooler_text_equals(type, rows[i].type))
			return rows[i].advice;
	}
	return NULL;
}

static void
import_auth_type(PoolerImport *import, const PoolerParameter *parameter,
				 PoolerText value)
{
	const char *advice = auth_type_advice(value);

	if (advice != NULL)
		pooler_import_note(import, parameter->name, parameter->reason,
						   psprintf("%s Instead of samenet give the networks of your clients.",
									advice));
	else
		pooler_import_error(import, parameter->name,
							psprintf("PgBouncer has no auth_type \"%s\".",
									 pooler_import_string(value)),
							"See the chapter on pg_hba.conf in the manual of PostgreSQL.");
}

/* stats_users: roles that may look, but not touch. */
static void
import_monitors(PoolerImport *import, const PoolerParameter *parameter,
				PoolerText names)
{
	PoolerText	name;
	int			n = 0;

	for (; pooler_name_next(&names, &name); n++)
	{
		const char *role = pooler_import_string(name);
		Oid			oid;
		StringInfoData reason;

		if (!pooler_import_name_fits(import, role))
			continue;
		oid = get_role_oid(role, true);
		if (OidIsValid(oid) && superuser_arg(oid))
		{
			pooler_import_note(import, parameter->name,
							   psprintf("\"%s\" is a superuser, who may do all.",
										role),
							   "Nothing to do.");
			continue;
		}
		initStringInfo(&reason);
		pooler_import_sentence(&reason, parameter->reason);
		pooler_import_sentence(&reason, pooler_import_missing_role(import, role));
		pooler_import_statement(import, parameter->name,
								psprintf("GRANT pg_monitor TO %s;",
										 quote_identifier(role)),
								reason.data);
	}
	if (n == 0)
		pooler_import_note(import, parameter->name, parameter->reason,
						   "Nothing to do.");
}

void
pooler_import_parameter(PoolerImport *import, const PoolerIniLine *line)
{
	const PoolerParameter *parameter;
	PoolerImportTarget system = {.object = "SYSTEM"};
	PoolerWord	value = {line->value, '\0'};
	bool		comment;

	parameter = pooler_parameter(line->name.text, POOLER_IN_PGBOUNCER);
	import->has_parameters = true;
	if (parameter == NULL)
	{
		pooler_import_unknown(import, pooler_import_string(line->name.text),
							  line->name.text, POOLER_IN_PGBOUNCER);
		return;
	}
	import->present[parameter - pooler_parameters] = true;
	system.item = parameter->name;
	comment = parameter->type != POOLER_VALUE_TEXT &&
		pooler_text_cut_comment(&value.text);
	switch (parameter->how)
	{
		case POOLER_HOW_SETTING:
			pooler_import_setting(import, &system, parameter, value, comment);
			break;
		case POOLER_HOW_AUTH_TYPE:
			import_auth_type(import, parameter, value.text);
			break;
		case POOLER_HOW_AUTH_FILE:
			pooler_import_note(import, parameter->name, parameter->reason,
							   import->has_userlist ? "Nothing to do: see the rows of the userlist." :
							   "To convert the file, give its text as the second argument.");
			break;
		case POOLER_HOW_MONITORS:
			import_monitors(import, parameter, value.text);
			break;
		case POOLER_HOW_NOTE:
		case POOLER_HOW_SERVER:
		case POOLER_HOW_ALIAS:
			pooler_import_no_setting(import, parameter->name, parameter,
									 value.text);
			break;
	}
}

/* Defaults that differ, of parameters that the file does not have. */
void
pooler_import_absent(PoolerImport *import)
{
	import->line = 0;
	for (int i = 0; import->has_parameters && i < pooler_nparameters; i++)
	{
		const PoolerParameter *parameter = &pooler_parameters[i];

		if (parameter->absent_reason != NULL && !import->present[i])
			pooler_import_note(import, parameter->name,
							   psprintf("Not in the file. %s",
										parameter->absent_reason),
							   parameter->absent_action);
	}
}
