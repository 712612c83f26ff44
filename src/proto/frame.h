/*
 * frame.h
 *		The messages of a running connection: where they begin and end.
 *
 * Pure and process-independent: no I/O, no allocation, no reports.  What a
 * client may send is SocketBackend()'s business in the server (postgres.c,
 * same in 15, 17 and 18); nothing here looks into a command.
 */
#ifndef POOLER_PROTO_FRAME_H
#define POOLER_PROTO_FRAME_H

#include "bytes.h"
#include "errors.h"

/* Core's limits of the length word, which counts itself (libpq/libpq.h). */
#define POOLER_FRAME_SMALL_LIMIT	10000
#define POOLER_FRAME_LARGE_LIMIT	(0x3fffffff - 1)	/* MaxAllocSize - 1 */

/* A type byte and a length word. */
#define POOLER_FRAME_HEADER		5

/*
 * 1. The first message of an idle client
 */

typedef enum PoolerFrameVerdict
{
	POOLER_FRAME_EMPTY,			/* no bytes */
	POOLER_FRAME_PARTIAL,		/* wait until `need` bytes are there */
	POOLER_FRAME_READY,			/* may be handed to a backend */
	POOLER_FRAME_STRAY,			/* belongs to a COPY that is over: core would
								 * ignore it and wait for the next */
	POOLER_FRAME_TERMINATE,		/* 'X': the client leaves */
	POOLER_FRAME_INVALID_TYPE,	/* POOLER_PROTO_TYPE */
	POOLER_FRAME_INVALID_LENGTH /* POOLER_PROTO_LENGTH */
} PoolerFrameVerdict;

typedef struct PoolerFrame
{
	PoolerFrameVerdict verdict;
	uint8_t		type;			/* type byte; 0 if EMPTY */
	uint32_t	total;			/* bytes of the message, its header included;
								 * 0 while unknown */
	uint32_t	need;			/* PARTIAL: bytes needed in total (for
								 * SO_RCVLOWAT); otherwise 0 */
} PoolerFrame;

/*
 * Judge the peeked bytes.  A message longer than whole_limit (bytes, header
 * included) is READY as soon as its header is valid, because a backend's
 * receive buffer could not hold it whole; any other only when it is there
 * whole.  The caller must be able to peek whole_limit bytes.
 */
extern PoolerFrame pooler_frame_inspect(const uint8_t *peeked, size_t navail,
										size_t whole_limit);

/*
 * The largest length word that core takes for this type of client message, 0
 * for a type that it does not know.
 */
extern uint32_t pooler_frame_length_limit(uint8_t type);

/*
 * 2. What a cancelled client that waited in a queue must lose
 *
 * Exactly one 'Q' or 'F', or, if the client speaks the extended protocol,
 * everything up to and including 'S': the same that core would throw away
 * after an error in the first of these messages.  'd', 'c' and 'f' before them
 * are ignored by core and therefore go too.
 *
 * The messages may be longer than any buffer: the walker keeps its place, and
 * is fed what arrives.
 *
 *		  .-------- 'd' 'c' 'f' --------.
 *		  v								|
 *		FIRST -- 'Q' 'F' 'S' -- body --> DONE
 *		  |
 *		  `-- 'P' 'B' 'D' 'E' 'C' 'H' --> UNTIL_SYNC -- 'S' --> DONE
 *										  (skips all but 'S' and 'X')
 *		both -- 'X' --> TERMINATE
 *
 * Zero-initialised is the start.
 */

typedef struct PoolerSkip
{
	uint8_t		header[POOLER_FRAME_HEADER];
	uint8_t		header_len;		/* bytes in header; 0 between messages */
	bool		until_sync;		/* an extended-protocol message was seen */
	uint32_t	body_left;		/* bytes of the current body to come */
} PoolerSkip;

typedef enum PoolerSkipVerdict
{
	POOLER_SKIP_MORE,			/* all bytes belong to it, more to come */
	POOLER_SKIP_DONE,			/* complete: send ReadyForQuery */
	POOLER_SKIP_TERMINATE,		/* an 'X' is next; it is not consumed */
	POOLER_SKIP_INVALID_TYPE,	/* POOLER_PROTO_TYPE; see header[0] */
	POOLER_SKIP_INVALID_LENGTH	/* POOLER_PROTO_LENGTH */
} PoolerSkipVerdict;

/*
 * Feed the next bytes; *consumed says how many of them to take off the socket
 * (never beyond the end of what is to be lost).  After any verdict but MORE
 * the walker must not be fed again before it is cleared.
 */
extern PoolerSkipVerdict pooler_skip_feed(PoolerSkip *skip,
										  const uint8_t *bytes, size_t len,
										  size_t *consumed);

/*
 * 3. Messages from a backend, on a connection that the pooler made
 */

typedef struct PoolerMessage
{
	uint8_t		type;
	const uint8_t *body;		/* into the buffer */
	uint32_t	len;			/* of the body */
	uint32_t	total;			/* with header; also set for NEED_MORE, if
								 * known, else 0 */
} PoolerMessage;

typedef enum PoolerMessageVerdict
{
	POOLER_MESSAGE_OK,
	POOLER_MESSAGE_NEED_MORE,
	POOLER_MESSAGE_TOO_LONG,	/* total > limit: type is valid */
	POOLER_MESSAGE_INVALID		/* impossible length word */
} PoolerMessageVerdict;

/*
 * The message at *offset (<= avail) of the `avail` bytes; *offset moves past it
 * if it is OK.  limit: the longest message (header included) that the caller's buffer
 * can hold.
 */
extern PoolerMessageVerdict pooler_message_next(const uint8_t *buf,
												size_t avail, size_t limit,
												size_t *offset,
												PoolerMessage *message);

/*
 * An ErrorResponse or NoticeResponse.  From the parser: strings in place, NULL
 * if the field is missing.  For the builder: see build.h.
 */
typedef struct PoolerErrorFields
{
	const char *severity;		/* 'V', not translated; 'S' if there is no 'V' */
	const char *severity_local; /* 'S' */
	const char *sqlstate;		/* 'C' */
	const char *message;		/* 'M' */
	const char *detail;			/* 'D' */
	const char *hint;			/* 'H' */
	const char *context;		/* 'W' */
} PoolerErrorFields;

/*
 * The following read a message's body and return false if it is malformed;
 * then the output must not be used.  An error message without severity,
 * SQLSTATE or primary message is malformed.
 */
extern bool pooler_message_parse_error(const PoolerMessage *message,
									   PoolerErrorFields *fields);
extern bool pooler_message_parse_parameter(const PoolerMessage *message,
										   const char **name,
										   const char **value);

/* 'D' of one column in text format that holds a number from 0 to INT_MAX. */
extern bool pooler_message_parse_number(const PoolerMessage *message,
										int *number);

#endif							/* POOLER_PROTO_FRAME_H */
