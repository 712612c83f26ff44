/*
 * pgbouncer.h
 *		The configuration files of PgBouncer, taken apart.
 *
 * Pure and process-independent: no I/O, no allocation, no reports.  What the
 * files may look like was read in PgBouncer's parsers (lib/usual/cfparser.c
 * and src/loader.c of 1.24) and its manual; where those two differ, the more
 * generous one is followed, since the file has been working.  Unlike PgBouncer,
 * which stops at the first mistake, all readers go on with the next line.
 */
#ifndef POOLER_IMPORT_PGBOUNCER_H
#define POOLER_IMPORT_PGBOUNCER_H

#include <stdbool.h>
#include <stddef.h>

/* A piece of the input, not terminated.  bytes is never NULL. */
typedef struct PoolerText
{
	const char *bytes;
	size_t		len;
} PoolerText;

/* A quoted piece is what lies between its quotes, doubled ones still doubled. */
typedef struct PoolerWord
{
	PoolerText	text;
	char		quote;			/* '\0' if it was not quoted */
} PoolerWord;

/* What can be wrong with a line. */
typedef enum PoolerImportError
{
	POOLER_IMPORT_OK = 0,

	/* pgbouncer.ini */
	POOLER_IMPORT_SECTION,		/* "[" without "]" */
	POOLER_IMPORT_AFTER_SECTION,	/* something behind "]" */
	POOLER_IMPORT_INCLUDE,		/* %include without a file */
	POOLER_IMPORT_NAME,			/* no name at the start of the line */
	POOLER_IMPORT_NAME_QUOTE,	/* no closing quote */
	POOLER_IMPORT_EQUALS,		/* no "=" behind the name */

	/* connection strings and options of users */
	POOLER_IMPORT_OPTION_NAME,	/* no name before "=" */
	POOLER_IMPORT_OPTION_EQUALS,	/* no "=" behind the name */
	POOLER_IMPORT_OPTION_VALUE, /* no value, or an empty one */
	POOLER_IMPORT_OPTION_QUOTE, /* no closing quote */
	POOLER_IMPORT_AFTER_QUOTE,	/* no space behind the closing quote */

	/* userlist.txt */
	POOLER_IMPORT_USER,			/* no quoted name */
	POOLER_IMPORT_SECRET		/* no quoted secret behind it */
} PoolerImportError;

#define POOLER_IMPORT_NERRORS	(POOLER_IMPORT_SECRET + 1)

/* What is wrong, as a sentence without anything from the line. */
extern const char *pooler_import_error_text(PoolerImportError error);

/*---------------------------------------------------------------------------
 * Lines of both files
 *---------------------------------------------------------------------------
 */

typedef enum PoolerIniSection
{
	POOLER_INI_NO_SECTION,		/* before the first header */
	POOLER_INI_PGBOUNCER,
	POOLER_INI_DATABASES,
	POOLER_INI_USERS,
	POOLER_INI_PEERS,
	POOLER_INI_OTHER			/* PgBouncer has no such section */
} PoolerIniSection;

/* Where a reader is.  Set up by pooler_import_reader() only. */
typedef struct PoolerImportReader
{
	PoolerText	rest;
	int			line;			/* of what was read last, from 1 */
	PoolerIniSection section;
} PoolerImportReader;

extern PoolerImportReader pooler_import_reader(const char *bytes, size_t len);

typedef enum PoolerIniKind
{
	POOLER_INI_HEADER,			/* name: of the section */
	POOLER_INI_ENTRY,			/* name, value */
	POOLER_INI_INCLUDE,			/* value: the file */
	POOLER_INI_MISTAKE			/* error */
} PoolerIniKind;

/* A line that is neither empty nor a comment. */
typedef struct PoolerIniLine
{
	PoolerIniKind kind;
	PoolerIniSection section;	/* where it stands; of a header: its own */
	PoolerWord	name;
	PoolerText	value;			/* up to the end of the line, without spaces
								 * around it; may be empty */
	PoolerImportError error;
} PoolerIniLine;

/* The next line of pgbouncer.ini; false at the end. */
extern bool pooler_ini_next(PoolerImportReader *reader, PoolerIniLine *line);

typedef struct PoolerUserLine
{
	PoolerWord	name;
	PoolerWord	secret;
	PoolerImportError error;	/* if not OK, the words are not set */
} PoolerUserLine;

/*
 * The next line of userlist.txt; false at the end.  What follows the secret is
 * ignored, as PgBouncer does.
 */
extern bool pooler_userlist_next(PoolerImportReader *reader,
								 PoolerUserLine *user);

/*---------------------------------------------------------------------------
 * Values
 *---------------------------------------------------------------------------
 */

/* Options: "name=value name='quoted value'", of a database, user or peer. */
typedef struct PoolerOptions
{
	PoolerText	rest;
	bool		comment;		/* ended at a "#" or ";", which PgBouncer
								 * would take for a name */
	PoolerImportError error;	/* why it ended early */
} PoolerOptions;

typedef struct PoolerOption
{
	PoolerText	name;
	PoolerWord	value;
} PoolerOption;

extern PoolerOptions pooler_options(PoolerText value);

/* The next option; false at the end and at a mistake, see error. */
extern bool pooler_option_next(PoolerOptions *options, PoolerOption *option);

/*
 * The next of several names that are separated by commas or spaces; false at
 * the end.
 */
extern bool pooler_name_next(PoolerText *rest, PoolerText *name);

/*
 * Cut off a comment behind a value, for values that can hold no space before a
 * "#" or ";".  PgBouncer has no such comments.  Returns whether there was one.
 */
extern bool pooler_text_cut_comment(PoolerText *value);

extern bool pooler_text_equals(PoolerText text, const char *string);

/*
 * Copy a word with its doubled quotes made single, and terminate it.  buf must
 * have room for word.text.len + 1 bytes.  Returns the length of the copy.
 */
extern size_t pooler_word_copy(PoolerWord word, char *buf);

#endif							/* POOLER_IMPORT_PGBOUNCER_H */
