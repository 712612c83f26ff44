/*
 * build.h
 *		Messages that the pooler itself writes, into a bounded buffer.
 *
 * Pure and process-independent: no I/O, no allocation, no reports.
 *
 * All builders append to a PoolerWriter, so that several messages can lie in
 * one buffer and go out in one send().  A writer never writes beyond its
 * buffer, but goes on counting: after building, `len` is the length needed,
 * and if it exceeds `size` the contents must not be sent.
 */
#ifndef POOLER_PROTO_BUILD_H
#define POOLER_PROTO_BUILD_H

#include "frame.h"
#include "startup.h"

typedef struct PoolerWriter
{
	uint8_t    *buf;			/* may be NULL if size is 0 */
	size_t		size;
	size_t		len;			/* bytes needed so far */
} PoolerWriter;

extern PoolerWriter pooler_writer(void *buf, size_t size);
extern bool pooler_writer_fits(const PoolerWriter *w);

/*
 * NegotiateProtocolVersion: the newest version that this server (`latest`) and
 * this client both know, and the client's _pq_.* names.
 */
extern void pooler_build_negotiate(PoolerWriter *w,
								   const PoolerStartup *startup,
								   uint32_t latest);

/* AuthenticationRequest; payload may be NULL if payload_len is 0. */
extern void pooler_build_auth(PoolerWriter *w, uint32_t code,
							  const void *payload, size_t payload_len);
extern void pooler_build_key(PoolerWriter *w, uint32_t pid,
							 const void *key, size_t key_len);
extern void pooler_build_parameter(PoolerWriter *w, const char *name,
								   const char *value);
extern void pooler_build_ready(PoolerWriter *w, char status);

/*
 * ErrorResponse.  severity ("ERROR" or "FATAL"), sqlstate and message must be
 * there, any other field may be NULL; severity_local defaults to severity.
 */
extern void pooler_build_error(PoolerWriter *w,
							   const PoolerErrorFields *fields);

/* The same as a message of another type: 'N' for NoticeResponse. */
extern void pooler_build_report(PoolerWriter *w, char type,
								const PoolerErrorFields *fields);

/*
 * NoticeResponse with this text, in which \n (a backslash and an n) stands for
 * the end of a line.
 */
extern void pooler_build_notice(PoolerWriter *w, const char *text);

/*
 * A startup packet for a connection that the pooler makes, in steps; begin
 * returns what end wants.  A name must not be empty: that would end the list.
 * More than POOLER_STARTUP_MAX_TOTAL bytes would be refused by the server.
 */
extern size_t pooler_build_startup_begin(PoolerWriter *w, uint32_t proto);
extern void pooler_build_startup_pair(PoolerWriter *w, const char *name,
									  const char *value);
extern void pooler_build_startup_end(PoolerWriter *w, size_t begin);

#endif							/* POOLER_PROTO_BUILD_H */
