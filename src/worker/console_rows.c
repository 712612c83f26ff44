/*-------------------------------------------------------------------------
 *
 * console_rows.c
 *	  Rows of the console: their values, and how they look on the wire.
 *
 * Runs in: the pooler.  Writes into the buffers that it is given; does no
 * I/O.  Values in binary are for drivers that ask for it (pgx).
 *
 *-------------------------------------------------------------------------
 */
#include "worker/console.h"

#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "port/pg_bswap.h"

/*---------------------------------------------------------------------------
 * values
 *---------------------------------------------------------------------------
 */

static ConsoleValue *
next_value(ConsoleRow *row)
{
	Assert(row->n < CONSOLE_MAX_COLUMNS);
	memset(&row->values[row->n], 0, sizeof(ConsoleValue));
	return &row->values[row->n++];
}

void
pooler_row_text(ConsoleRow *row, const char *text)
{
	ConsoleValue *value = next_value(row);

	value->null = text == NULL;
	value->text = text;
}

void
pooler_row_number(ConsoleRow *row, uint64 number)
{
	next_value(row)->number = number;
}

/* Columns of the kinds s and i that have no meaning here. */
void
pooler_row_zeros(ConsoleRow *row, int n)
{
	while (n-- > 0)
		pooler_row_number(row, 0);
}

void
pooler_row_nulls(ConsoleRow *row, int n)
{
	while (n-- > 0)
		pooler_row_text(row, NULL);
}

/* As PgBouncer writes times: local, without fractions. */
void
pooler_row_time(ConsoleRow *row, TimestampTz time)
{
	pg_time_t	stamp = timestamptz_to_time_t(time);
	char		buf[64];

	if (time == 0)
	{
		pooler_row_text(row, NULL);
		return;
	}
	pg_strftime(buf, sizeof(buf), "%Y-%m-%d %H:%M:%S %Z",
				pg_localtime(&stamp, log_timezone));
	pooler_row_text(row, pstrdup(buf));
}

/*
 * Text that is valid UTF-8, as the console says it is: names of databases
 * with other encodings, or a client's application_name, may not be.
 */
char *
pooler_console_utf8(const char *bytes)
{
	char	   *text = pstrdup(bytes);
	int			len = strlen(text);

	if (pg_encoding_verifymbstr(PG_UTF8, text, len) == len)
		return text;
	for (char *p = text; *p; p++)
	{
		if (IS_HIGHBIT_SET(*p))
			*p = '?';
	}
	return text;
}

/*---------------------------------------------------------------------------
 * messages
 *---------------------------------------------------------------------------
 */

void
pooler_message_begin(StringInfo out, char type, int *start)
{
	appendStringInfoCharMacro(out, type);
	*start = out->len;
	pooler_message_int32(out, 0);
}

void
pooler_message_end(StringInfo out, int start)
{
	uint32		len = pg_hton32((uint32) (out->len - start));

	memcpy(out->data + start, &len, sizeof(len));
}

void
pooler_message_int16(StringInfo out, uint16 value)
{
	value = pg_hton16(value);
	appendBinaryStringInfo(out, (char *) &value, sizeof(value));
}

void
pooler_message_int32(StringInfo out, uint32 value)
{
	value = pg_hton32(value);
	appendBinaryStringInfo(out, (char *) &value, sizeof(value));
}

void
pooler_message_string(StringInfo out, const char *text)
{
	appendBinaryStringInfo(out, text, strlen(text) + 1);
}

/*---------------------------------------------------------------------------
 * RowDescription, DataRow
 *---------------------------------------------------------------------------
 */

static Oid
type_oid(char type, int16 *size)
{
	*size = -1;
	switch (type)
	{
		case 'i':
			*size = 4;
			return INT4OID;
		case 'q':
			*size = 8;
			return INT8OID;
		case 'N':
			return NUMERICOID;
		case 'b':
			return BYTEAOID;
		default:
			return TEXTOID;
	}
}

static bool
is_binary(const ConsoleFormats *formats, int column)
{
	if (formats == NULL || formats->n == 0)
		return false;
	return formats->binary[formats->n == 1 ? 0 : column] != 0;
}

void
pooler_row_describe(StringInfo out, const ConsoleColumn *columns, int ncolumns,
					const ConsoleFormats *formats)
{
	int			start;

	pooler_message_begin(out, PqMsg_RowDescription, &start);
	pooler_message_int16(out, ncolumns);
	for (int i = 0; i < ncolumns; i++)
	{
		int16		size;
		Oid			oid = type_oid(columns[i].type, &size);

		pooler_message_string(out, columns[i].name);
		pooler_message_int32(out, 0);	/* no table */
		pooler_message_int16(out, 0);
		pooler_message_int32(out, oid);
		pooler_message_int16(out, size);
		pooler_message_int32(out, (uint32) -1);
		pooler_message_int16(out, is_binary(formats, i));
	}
	pooler_message_end(out, start);
}

/* numeric_send()'s form of a whole number. */
static void
write_numeric(StringInfo out, uint64 number)
{
	uint16		digits[8];		/* to the base of 10000, last one first */
	int			n = 0;
	int			first = 0;		/* zeros at the end are left out */

	for (; number > 0; number /= 10000)
		digits[n++] = number % 10000;
	while (first < n && digits[first] == 0)
		first++;
	pooler_message_int32(out, 8 + 2 * (n - first));
	pooler_message_int16(out, n - first);
	pooler_message_int16(out, n > 0 ? n - 1 : 0);	/* weight */
	pooler_message_int16(out, 0);	/* positive */
	pooler_message_int16(out, 0);	/* no decimals */
	for (int i = n - 1; i >= first; i--)
		pooler_message_int16(out, digits[i]);
}

static void
write_binary_number(StringInfo out, char type, uint64 number)
{
	switch (type)
	{
		case 'i':
			pooler_message_int32(out, 4);
			pooler_message_int32(out, (uint32) Min(number, PG_INT32_MAX));
			break;
		case 'q':
			number = Min(number, PG_INT64_MAX);
			pooler_message_int32(out, 8);
			pooler_message_int32(out, (uint32) (number >> 32));
			pooler_message_int32(out, (uint32) number);
			break;
		default:
			write_numeric(out, number);
			break;
	}
}

static void
write_text(StringInfo out, const char *text)
{
	char	   *valid = pooler_console_utf8(text);

	pooler_message_int32(out, strlen(valid));
	appendBinaryStringInfo(out, valid, strlen(valid));
	pfree(valid);
}

void
pooler_row_write(StringInfo out, const ConsoleColumn *columns,
				 const ConsoleRow *row, const ConsoleFormats *formats)
{
	int			start;
	char		number[32];

	pooler_message_begin(out, 'D', &start);
	pooler_message_int16(out, row->n);
	for (int i = 0; i < row->n; i++)
	{
		const ConsoleValue *value = &row->values[i];
		bool		numeric = strchr("iqN", columns[i].type) != NULL;

		if (value->null)
			pooler_message_int32(out, (uint32) -1);
		else if (!numeric)
			write_text(out, value->text ? value->text : "");
		else if (is_binary(formats, i))
			write_binary_number(out, columns[i].type, value->number);
		else
		{
			snprintf(number, sizeof(number), UINT64_FORMAT, value->number);
			write_text(out, number);
		}
	}
	pooler_message_end(out, start);
}
