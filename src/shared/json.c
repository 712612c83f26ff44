/*-------------------------------------------------------------------------
 *
 * json.c
 *	  Writes JSON, member by member.
 *
 * Runs in: any process.  Nothing but text: what is in it is the caller's
 * business, and so is that brackets match.
 *
 *-------------------------------------------------------------------------
 */
#include "shared/json.h"

#include <math.h>

#include "catalog/pg_type_d.h"
#include "shared/text.h"
#include "utils/datetime.h"
#include "utils/json.h"

void
pooler_json_key(const PoolerJson *json, const char *key)
{
	StringInfo	buf = json->buf;
	char		last = buf->len > 0 ? buf->data[buf->len - 1] : '{';

	if (strchr("{[:", last) == NULL)
		appendStringInfoChar(buf, ',');
	if (key != NULL)
		appendStringInfo(buf, "\"%s\":", key);
}

void
pooler_json_open_object(const PoolerJson *json, const char *key)
{
	pooler_json_key(json, key);
	appendStringInfoChar(json->buf, '{');
}

void
pooler_json_close_object(const PoolerJson *json)
{
	appendStringInfoChar(json->buf, '}');
}

void
pooler_json_open_array(const PoolerJson *json, const char *key)
{
	pooler_json_key(json, key);
	appendStringInfoChar(json->buf, '[');
}

void
pooler_json_close_array(const PoolerJson *json)
{
	appendStringInfoChar(json->buf, ']');
}

void
pooler_json_null(const PoolerJson *json, const char *key)
{
	pooler_json_key(json, key);
	appendStringInfoString(json->buf, "null");
}

void
pooler_json_bool(const PoolerJson *json, const char *key, bool value)
{
	pooler_json_key(json, key);
	appendStringInfoString(json->buf, value ? "true" : "false");
}

void
pooler_json_int(const PoolerJson *json, const char *key, int64 value)
{
	pooler_json_key(json, key);
	appendStringInfo(json->buf, INT64_FORMAT, value);
}

/* More digits are noise. */
void
pooler_json_number(const PoolerJson *json, const char *key, double value)
{
	pooler_json_key(json, key);
	appendStringInfo(json->buf, value == rint(value) ? "%.0f" : "%.3f", value);
}

void
pooler_json_string(const PoolerJson *json, const char *key, const char *value)
{
	char	   *text;

	if (value == NULL)
	{
		pooler_json_null(json, key);
		return;
	}
	text = pstrdup(value);
	pooler_make_valid_text(text, json->encoding);
	pooler_json_key(json, key);
	escape_json(json->buf, text);
	pfree(text);
}

void
pooler_json_time(const PoolerJson *json, const char *key, TimestampTz value)
{
	char		buf[MAXDATELEN + 1];

	JsonEncodeDateTime(buf, TimestampTzGetDatum(value), TIMESTAMPTZOID, NULL);
	pooler_json_key(json, key);
	appendStringInfo(json->buf, "\"%s\"", buf);
}
