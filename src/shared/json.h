/*-------------------------------------------------------------------------
 *
 * json.h
 *	  Writes JSON, member by member.
 *
 * Runs in: any process, in its main thread (it allocates).
 *
 *-------------------------------------------------------------------------
 */
#ifndef POOLER_JSON_H
#define POOLER_JSON_H

#include "compat.h"

#include "lib/stringinfo.h"
#include "utils/timestamp.h"

/*
 * Where to, and in which encoding.  A member is separated by itself from what
 * is there: begin with an empty buffer, a bracket, or a whole value.
 *
 * key is NULL in arrays, is written as it is, and must not come from outside.
 */
typedef struct PoolerJson
{
	StringInfo	buf;
	int			encoding;
} PoolerJson;

/* The key alone; the caller appends the value. */
extern void pooler_json_key(const PoolerJson *json, const char *key);

extern void pooler_json_open_object(const PoolerJson *json, const char *key);
extern void pooler_json_close_object(const PoolerJson *json);
extern void pooler_json_open_array(const PoolerJson *json, const char *key);
extern void pooler_json_close_array(const PoolerJson *json);

extern void pooler_json_null(const PoolerJson *json, const char *key);
extern void pooler_json_bool(const PoolerJson *json, const char *key, bool value);
extern void pooler_json_int(const PoolerJson *json, const char *key, int64 value);

/* With three digits behind the point unless it is whole; must be finite. */
extern void pooler_json_number(const PoolerJson *json, const char *key, double value);

/*
 * A text from anywhere: what is no character of the encoding becomes '?'.
 * NULL is null.
 */
extern void pooler_json_string(const PoolerJson *json, const char *key,
							   const char *value);

/* As ISO 8601, in the time zone of the session. */
extern void pooler_json_time(const PoolerJson *json, const char *key,
							 TimestampTz value);

#endif							/* POOLER_JSON_H */
