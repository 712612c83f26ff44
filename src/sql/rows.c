/*-------------------------------------------------------------------------
 *
 * rows.c
 *	  Rows of the functions below the views.
 *
 * Runs in: any backend.  What is not known is NULL.
 *
 *-------------------------------------------------------------------------
 */
#include "sql/rows.h"

#include "common/ip.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/inet.h"
#include "utils/timestamp.h"

void
pooler_put_value(PoolerRow *row, Datum value)
{
	Assert(row->n < POOLER_MAX_COLUMNS);
	row->values[row->n] = value;
	row->nulls[row->n++] = false;
}

void
pooler_put_null(PoolerRow *row)
{
	Assert(row->n < POOLER_MAX_COLUMNS);
	row->values[row->n] = (Datum) 0;
	row->nulls[row->n++] = true;
}

void
pooler_put_bool(PoolerRow *row, bool value)
{
	pooler_put_value(row, BoolGetDatum(value));
}

void
pooler_put_int(PoolerRow *row, int32 value)
{
	pooler_put_value(row, Int32GetDatum(value));
}

/* A process, port or limit: 0 says that there is none. */
void
pooler_put_int_or_null(PoolerRow *row, int32 value)
{
	if (value == 0)
		pooler_put_null(row);
	else
		pooler_put_int(row, value);
}

void
pooler_put_count(PoolerRow *row, uint64 value)
{
	pooler_put_value(row, Int64GetDatum((int64) value));
}

void
pooler_put_oid(PoolerRow *row, Oid value)
{
	if (OidIsValid(value))
		pooler_put_value(row, ObjectIdGetDatum(value));
	else
		pooler_put_null(row);
}

void
pooler_put_time(PoolerRow *row, TimestampTz value)
{
	if (value == 0)
		pooler_put_null(row);
	else
		pooler_put_value(row, TimestampTzGetDatum(value));
}

/*
 * How long something has lasted.  The clock was read before the slot, so that
 * it may seem to have begun in the future.
 */
void
pooler_put_age(PoolerRow *row, TimestampTz since, TimestampTz now)
{
	Interval   *age;

	if (since == 0)
	{
		pooler_put_null(row);
		return;
	}
	age = palloc0(sizeof(Interval));
	age->time = Max(now - since, 0);
	pooler_put_value(row, IntervalPGetDatum(age));
}

/*
 * Text that is valid in this database's encoding.  The bytes may be a
 * client's choice, or a name of another database that uses another encoding.
 */
char *
pooler_valid_text(const char *bytes)
{
	char	   *text = pstrdup(bytes);

	if (pg_verifymbstr(text, strlen(text), true))
		return text;
	for (char *p = text; *p; p++)
	{
		if (IS_HIGHBIT_SET(*p))
			*p = '?';
	}
	return text;
}

void
pooler_put_text(PoolerRow *row, const char *bytes)
{
	if (bytes[0] == '\0')
		pooler_put_null(row);
	else
		pooler_put_value(row, CStringGetTextDatum(pooler_valid_text(bytes)));
}

void
pooler_put_name(PoolerRow *row, const char *bytes)
{
	Name		name;

	if (bytes[0] == '\0')
	{
		pooler_put_null(row);
		return;
	}
	name = palloc0(sizeof(NameData));
	namestrcpy(name, pooler_valid_text(bytes));
	pooler_put_value(row, NameGetDatum(name));
}

/*
 * Address and port of a client, as pg_stat_activity shows them: on a Unix
 * socket no address, and -1 for the port.
 */
void
pooler_put_address(PoolerRow *row, const SockAddr *from)
{
	SockAddr	addr = *from;
	char		host[NI_MAXHOST] = "";
	char		port[NI_MAXSERV] = "";

	if (addr.addr.ss_family == AF_UNIX)
	{
		pooler_put_null(row);
		pooler_put_int(row, -1);
		return;
	}
	if ((addr.addr.ss_family != AF_INET && addr.addr.ss_family != AF_INET6) ||
		pg_getnameinfo_all(&addr.addr, addr.salen, host, sizeof(host), port,
						   sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV) != 0)
	{
		pooler_put_null(row);
		pooler_put_null(row);
		return;
	}
	clean_ipv6_addr(addr.addr.ss_family, host);
	pooler_put_value(row, DirectFunctionCall1(inet_in, CStringGetDatum(host)));
	pooler_put_int(row, atoi(port));
}

ReturnSetInfo *
pooler_rows_begin(FunctionCallInfo fcinfo)
{
	InitMaterializedSRF(fcinfo, 0);
	return (ReturnSetInfo *) fcinfo->resultinfo;
}

/*
 * Hands the row over.  The script of another version of the extension may
 * have declared another number of columns.
 */
void
pooler_rows_put(ReturnSetInfo *result, PoolerRow *row)
{
	if (row->n != result->setDesc->natts)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the pooler library and the extension in this database are of different versions"),
				 errhint("Run ALTER EXTENSION pooler UPDATE, or restart the server if the library was replaced.")));
	tuplestore_putvalues(result->setResult, result->setDesc, row->values,
						 row->nulls);
	row->n = 0;
}
