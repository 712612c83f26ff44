/*
 * parameters.h
 *		What becomes of each parameter of PgBouncer.
 *
 * Pure and process-independent: one constant table, and the conversion of
 * values.  Names and defaults are those of PgBouncer 1.26.
 */
#ifndef POOLER_IMPORT_PARAMETERS_H
#define POOLER_IMPORT_PARAMETERS_H

#include <stdint.h>

#include "pgbouncer.h"

/* Where a parameter can stand. */
#define POOLER_IN_PGBOUNCER	(1 << 0)
#define POOLER_IN_DATABASE	(1 << 1)
#define POOLER_IN_USER		(1 << 2)

typedef enum PoolerParameterHow
{
	POOLER_HOW_NOTE,			/* no counterpart: reason and action say why */
	POOLER_HOW_SETTING,			/* target is a setting, type its type */
	POOLER_HOW_SERVER,			/* target is a setting of the server as a
								 * whole, which nobody but its owner should
								 * change */
	POOLER_HOW_AUTH_TYPE,		/* advice on pg_hba.conf */
	POOLER_HOW_AUTH_FILE,		/* depends on whether a userlist was given */
	POOLER_HOW_MONITORS,		/* names of roles that get pg_monitor */
	POOLER_HOW_ALIAS			/* part of what a database's name stands for */
} PoolerParameterHow;

typedef enum PoolerValueType
{
	POOLER_VALUE_STRING,
	POOLER_VALUE_TEXT,			/* a string in which anything can stand */
	POOLER_VALUE_INTEGER,
	POOLER_VALUE_BOOLEAN,		/* an integer in PgBouncer */
	POOLER_VALUE_SECONDS,		/* may have a fraction in PgBouncer */
	POOLER_VALUE_MILLISECONDS,
	POOLER_VALUE_POOL_MODE,
	POOLER_VALUE_NAMES			/* of roles, parameters */
} PoolerValueType;

/* All strings are sentences unless said otherwise; those not given are NULL. */
typedef struct PoolerParameter
{
	const char *name;
	unsigned	places;			/* POOLER_IN_... */
	PoolerParameterHow how;
	PoolerValueType type;
	const char *target;			/* name of a setting; of a SETTING also NULL,
								 * which stands for pooler.<name> */
	const char *normal;			/* PgBouncer's default, as it is written */
	const char *reason;			/* of a note; beside a statement: what to know */
	const char *action;			/* what to do instead */

	/*
	 * Where 0 means something else than to the setting: the value in its
	 * place, or NULL if there is none, and why.
	 */
	const char *zero;
	const char *zero_reason;
	const char *zero_action;

	/* What to know if the parameter is missing, since the defaults differ. */
	const char *absent_reason;
	const char *absent_action;
} PoolerParameter;

extern const PoolerParameter pooler_parameters[];
extern const int pooler_nparameters;

/* The parameter of that name in that place; NULL if there is none. */
extern const PoolerParameter *pooler_parameter(PoolerText name, unsigned place);

/* A value in the words of the server. */
typedef struct PoolerValue
{
	char		text[24];
	bool		literal;		/* has to be quoted in a statement */
	bool		zero;			/* it is 0 */
} PoolerValue;

/*
 * Convert a value of any type but STRING, TEXT and NAMES.  False if PgBouncer would
 * not accept it, or it does not fit into a setting.
 */
extern bool pooler_parameter_value(PoolerValueType type, PoolerText text,
								   PoolerValue *value);

#endif							/* POOLER_IMPORT_PARAMETERS_H */
