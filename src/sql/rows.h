/*-------------------------------------------------------------------------
 *
 * rows.h
 *	  Rows of the functions below the views.
 *
 * Runs in: any backend.
 *
 *-------------------------------------------------------------------------
 */
#ifndef POOLER_SQL_ROWS_H
#define POOLER_SQL_ROWS_H

#include "compat.h"

#include "datatype/timestamp.h"
#include "fmgr.h"
#include "funcapi.h"
#include "libpq/pqcomm.h"

#define POOLER_MAX_COLUMNS	32

/* A row that is filled in from left to right. */
typedef struct PoolerRow
{
	int			n;
	Datum		values[POOLER_MAX_COLUMNS];
	bool		nulls[POOLER_MAX_COLUMNS];
} PoolerRow;

extern void pooler_put_value(PoolerRow *row, Datum value);
extern void pooler_put_null(PoolerRow *row);
extern void pooler_put_bool(PoolerRow *row, bool value);
extern void pooler_put_int(PoolerRow *row, int32 value);
extern void pooler_put_count(PoolerRow *row, uint64 value);

/* NULL if it is 0, InvalidOid or empty. */
extern void pooler_put_int_or_null(PoolerRow *row, int32 value);
extern void pooler_put_oid(PoolerRow *row, Oid value);
extern void pooler_put_time(PoolerRow *row, TimestampTz value);
extern void pooler_put_text(PoolerRow *row, const char *bytes);
extern void pooler_put_name(PoolerRow *row, const char *bytes);

/* From then till now, as an interval; NULL if it never was. */
extern void pooler_put_age(PoolerRow *row, TimestampTz since, TimestampTz now);

/* Address and port of a client, in two columns. */
extern void pooler_put_address(PoolerRow *row, const SockAddr *from);

/* A copy that is valid in this database's encoding, whatever it was before. */
extern char *pooler_valid_text(const char *bytes);

extern ReturnSetInfo *pooler_rows_begin(FunctionCallInfo fcinfo);

/* Hands the row over, and begins another one. */
extern void pooler_rows_put(ReturnSetInfo *result, PoolerRow *row);

#endif							/* POOLER_SQL_ROWS_H */
