/*-------------------------------------------------------------------------
 *
 * import.h
 *	  What the files behind pooler.import_pgbouncer() share.
 *
 * import.c has the function and reads lines, import_rows.c makes rows and
 * statements, import_databases.c converts [databases] and [users], and
 * import_parameters.c [pgbouncer].
 *
 *-------------------------------------------------------------------------
 */
#ifndef POOLER_SQL_IMPORT_H
#define POOLER_SQL_IMPORT_H

#include "compat.h"

#include "import/parameters.h"
#include "import/pgbouncer.h"
#include "lib/stringinfo.h"
#include "nodes/execnodes.h"
#include "utils/hsearch.h"

/* One call of the function.  All that it allocates lives as long as the call. */
typedef struct PoolerImport
{
	ReturnSetInfo *result;
	const char *source;			/* which argument is read */
	int			line;			/* 0: none in particular */
	bool		has_userlist;
	bool		has_parameters; /* anything of the section [pgbouncer] */
	bool		told_no_section;
	bool		changes_system; /* any ALTER SYSTEM */
	bool	   *present;		/* by index in pooler_parameters */
	HTAB	   *said;			/* PoolerImportSaid */
	StringInfoData aliases;		/* the value of pooler.aliases */
} PoolerImport;

/* What a parameter is set for. */
typedef struct PoolerImportTarget
{
	const char *item;			/* how rows call it */
	const char *object;			/* SYSTEM, DATABASE x, ROLE x */
	const char *missing;		/* a sentence if it does not exist; or NULL */
} PoolerImportTarget;

/*
 * Something that has been said before: "DATABASE x setting", "ENTRY x",
 * "ROLE x".  Names are quoted, which at most doubles them.
 */
#define POOLER_IMPORT_KEY_SIZE	(4 * NAMEDATALEN)

typedef struct PoolerImportSaid
{
	char		key[POOLER_IMPORT_KEY_SIZE];
	int			line;
	const char *value;
} PoolerImportSaid;

/*
 * Rows.  item, reason and action may be NULL or empty.  reason and action are
 * sentences, and show no secret.
 */
extern void pooler_import_statement(PoolerImport *import, const char *item,
									const char *statement, const char *reason);
extern void pooler_import_note(PoolerImport *import, const char *item,
							   const char *reason, const char *action);
extern void pooler_import_error(PoolerImport *import, const char *item,
								const char *reason, const char *action);

/* Append a sentence to others; NULL is none. */
extern void pooler_import_sentence(StringInfo text, const char *sentence);

/* Pieces of the input as strings. */
extern char *pooler_import_string(PoolerText text);
extern char *pooler_import_word(PoolerWord word);

/* False, and an error, for a name that the server would cut. */
extern bool pooler_import_name_fits(PoolerImport *import, const char *name);

/*
 * Remember under that key the line and the value.  Returns what was there
 * before, unchanged, or NULL.
 */
extern PoolerImportSaid *pooler_import_say(PoolerImport *import,
										   const char *key, const char *value);

/* True, and an error, if there was an entry of that kind and name before. */
extern bool pooler_import_is_duplicate(PoolerImport *import, const char *kind,
									   const char *name);

/* A sentence if there is no such role (nor will be) or database; else NULL. */
extern const char *pooler_import_missing_role(PoolerImport *import,
											  const char *role);
extern const char *pooler_import_missing_database(const char *database);

/* The setting that a parameter is. */
extern const char *pooler_import_setting_of(const PoolerParameter *parameter);

/*
 * The row for a setting: the statement, or an error or a note if it can't be.
 * value is as it is written in a statement, bare the same without quotes.
 */
extern void pooler_import_add_setting(PoolerImport *import,
									  const PoolerImportTarget *target,
									  const char *setting, const char *value,
									  const char *bare, StringInfo reason);

/* The row for a parameter that is a setting.  comment: one was cut off. */
extern void pooler_import_setting(PoolerImport *import,
								  const PoolerImportTarget *target,
								  const PoolerParameter *parameter,
								  PoolerWord value, bool comment);

/* The row for a parameter without a counterpart of the pooler's own. */
extern void pooler_import_no_setting(PoolerImport *import, const char *item,
									 const PoolerParameter *parameter,
									 PoolerText value);

/* The row for a name that PgBouncer does not know in that place. */
extern void pooler_import_unknown(PoolerImport *import, const char *item,
								  PoolerText name, unsigned place);

/* Rows for a line of [databases], [users], [pgbouncer]. */
extern void pooler_import_database(PoolerImport *import,
								   const PoolerIniLine *line);
extern void pooler_import_user(PoolerImport *import, const PoolerIniLine *line);
extern void pooler_import_parameter(PoolerImport *import,
									const PoolerIniLine *line);

/* Notes on defaults that differ, for parameters that the file does not have. */
extern void pooler_import_absent(PoolerImport *import);

#endif							/* POOLER_SQL_IMPORT_H */
