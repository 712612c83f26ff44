/*-------------------------------------------------------------------------
 *
 * with_libpq.c
 *	  libpq's own repertoire: statements prepared and described in one round
 *	  trip and executed in another, pipelines, single rows, large results,
 *	  COPY, fastpath calls and large objects, notices, notifications.
 *
 * Each session has a connection, settings that no other has, and a transcript,
 * which is kept until all have ended, since they run side by side.
 *
 *-------------------------------------------------------------------------
 */
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libpq-fe.h>
#include <libpq/libpq-fs.h>

#define SESSIONS	5
#define ROUNDS		8
#define TIMEOUT_MS	20000
#define BIG			(4 * 1024 * 1024)
#define MAX_TRANSCRIPTS 200
#define lengthof(array) (sizeof(array) / sizeof((array)[0]))

#define OID_LO_UNLINK		964 /* from pg_proc.dat */
#define OID_INT4_SUM		177

typedef struct Session
{
	char		name[64];
	int			number;
	PGconn	   *conn;
	FILE	   *out;			/* the transcript goes here */
	char	   *text;			/* and is here after fflush */
	size_t		size;
} Session;

typedef void (*Work) (Session *s);

static const char *const zones[SESSIONS] = {
	"Asia/Tokyo", "Europe/Paris", "America/Lima", "UTC", "Africa/Cairo"
};

static Session sessions[MAX_TRANSCRIPTS];
static int	nsessions;
static int	failures;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

/*
 * The transcript and what is expected
 */

static void complain(Session *s, const char *format,...)
			__attribute__((format(printf, 2, 3)));
static void say(Session *s, const char *label, const char *format,...)
			__attribute__((format(printf, 3, 4)));

static void
complain(Session *s, const char *format,...)
{
	va_list		args;

	pthread_mutex_lock(&mutex);
	failures++;
	fprintf(stderr, "%s: ", s->name);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	pthread_mutex_unlock(&mutex);
}

static void
say(Session *s, const char *label, const char *format,...)
{
	va_list		args;

	fprintf(s->out, "%s: %s: ", s->name, label);
	va_start(args, format);
	vfprintf(s->out, format, args);
	va_end(args);
	fputc('\n', s->out);
}

static void
expect(Session *s, const char *label, const char *got, const char *wanted)
{
	if (got == NULL)
		got = "(nothing)";
	say(s, label, "%s", got);
	if (strcmp(got, wanted) != 0)
		complain(s, "%s: got \"%s\", expected \"%s\"", label, got, wanted);
}

/* A value, or a long one's length and checksum. */
static void
say_value(Session *s, const char *value, int length)
{
	unsigned	sum = 0;
	int			i;

	if (length <= 60)
		fprintf(s->out, " %s", value);
	else
	{
		for (i = 0; i < length; i++)
			sum = sum * 31 + (unsigned char) value[i];
		fprintf(s->out, " %.10s...%d,%u", value, length, sum);
	}
}

/* All that a result tells; a pipeline's results go through here, too. */
static void
say_result(Session *s, const char *label, const PGresult *result)
{
	int			row,
				column;

	fprintf(s->out, "%s: %s: %s", s->name, label,
			PQresStatus(PQresultStatus(result)));
	if (PQresultStatus(result) == PGRES_FATAL_ERROR)
		fprintf(s->out, " %s %s", PQresultErrorField(result, PG_DIAG_SQLSTATE),
				PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY));
	else
		fprintf(s->out, " %s", PQcmdStatus((PGresult *) result));
	for (row = 0; row < PQntuples(result); row++)
	{
		fputs(" |", s->out);
		for (column = 0; column < PQnfields(result); column++)
		{
			if (PQgetisnull(result, row, column))
				fputs(" null", s->out);
			else if (PQfformat(result, column) != 0)
				fprintf(s->out, " (%d bytes)", PQgetlength(result, row, column));
			else
				say_value(s, PQgetvalue(result, row, column),
						  PQgetlength(result, row, column));
		}
	}
	fputc('\n', s->out);
}

/* Is it an error with this code, or none if that is NULL? */
static void
check_state(Session *s, const char *label, const PGresult *result,
			const char *wanted)
{
	const char *got = PQresultErrorField(result, PG_DIAG_SQLSTATE);

	if (got == NULL && PQresultStatus(result) == PGRES_FATAL_ERROR)
		got = PQerrorMessage(s->conn);
	if (wanted == NULL ? got != NULL : got == NULL || strcmp(got, wanted) != 0)
		complain(s, "%s: got %s (%s), expected %s", label,
				 got ? got : "no error", PQresultErrorMessage(result),
				 wanted ? wanted : "no error");
}

/* Both, and the result is freed. */
static void
done(Session *s, const char *label, PGresult *result, const char *state)
{
	say_result(s, label, result);
	check_state(s, label, result, state);
	PQclear(result);
}

static void
query(Session *s, const char *label, const char *sql)
{
	done(s, label, PQexec(s->conn, sql), NULL);
}

static void
parse(Session *s, const char *name, const char *sql, const char *state)
{
	done(s, "parse", PQprepare(s->conn, name, sql, 0, NULL), state);
}

static void
execute(Session *s, const char *label, const char *name, int nparams,
		const char *const *values, const char *state)
{
	done(s, label,
		 PQexecPrepared(s->conn, name, nparams, values, NULL, NULL, 0), state);
}

/* A query with values that are all text, without a statement kept. */
static PGresult *
params(Session *s, const char *sql, int nparams, const char *const *values)
{
	return PQexecParams(s->conn, sql, nparams, NULL, values, NULL, NULL, 0);
}

static void
expect_value(Session *s, const char *label, const char *sql, const char *wanted)
{
	PGresult   *result = PQexec(s->conn, sql);

	if (PQntuples(result) == 1)
		expect(s, label, PQgetvalue(result, 0, 0), wanted);
	else
		expect(s, label, PQresultErrorMessage(result), wanted);
	PQclear(result);
}

/* Whatever happened, these are still this session's. */
static void
check(Session *s, const char *label)
{
	char		wanted[100];

	snprintf(wanted, sizeof(wanted), "%d %s with_libpq", s->number,
			 zones[s->number]);
	expect_value(s, label, "SELECT concat_ws(' ', current_setting('app.user_id'),"
				 " current_setting('TimeZone'), current_schema())", wanted);
	expect(s, "TimeZone as reported", PQparameterStatus(s->conn, "TimeZone"),
		   zones[s->number]);
}

static void
notice(void *arg, const PGresult *result)
{
	Session    *s = arg;

	say(s, "notice", "%s %s %s", PQresultErrorField(result, PG_DIAG_SEVERITY),
		PQresultErrorField(result, PG_DIAG_SQLSTATE),
		PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY));
}

static Session *
open_session(const char *part, int number, const char *options)
{
	Session    *s;
	char		sql[300];

	if (nsessions == MAX_TRANSCRIPTS)
		abort();
	s = &sessions[nsessions++];
	snprintf(s->name, sizeof(s->name), "%s %d", part, number);
	s->number = number;
	s->out = open_memstream(&s->text, &s->size);
	s->conn = PQconnectdb(options);
	if (PQstatus(s->conn) != CONNECTION_OK)
		complain(s, "could not connect: %s", PQerrorMessage(s->conn));
	PQsetNoticeReceiver(s->conn, notice, s);
	snprintf(sql, sizeof(sql), "SET search_path TO with_libpq;"
			 "SET TIME ZONE '%s'; SELECT set_config('app.user_id', '%d', false)",
			 zones[number], number);
	query(s, "connected", sql);
	return s;
}

static void
close_session(Session *s)
{
	PQfinish(s->conn);
	s->conn = NULL;
	fflush(s->out);
}

/*
 * In turn: every transaction finds another session's backend.
 */

static void
create(void)
{
	Session    *s = open_session("create", 0, "");

	query(s, "schema", "CREATE SCHEMA with_libpq");
	query(s, "table", "CREATE TABLE item (id serial PRIMARY KEY,"
		  " worker int NOT NULL, name text UNIQUE, price int)");
	query(s, "tables", "DO $$BEGIN FOR i IN 0..4 LOOP"
		  " EXECUTE format('CREATE TABLE shape_%s (a int)', i); END LOOP; END$$");
	close_session(s);
}

/* One name, and another text in each session; some types are left open. */
static void
prepare(Session *s)
{
	char		sql[200];
	Oid			types[] = {0, 25};

	snprintf(sql, sizeof(sql), "SELECT %d + $1, $2, count(*) FROM item"
			 " WHERE worker = $1", s->number);
	done(s, "parse", PQprepare(s->conn, "own", sql, 2, types), NULL);
	parse(s, "own", "SELECT 1", "42P05");
	parse(s, "insert", "INSERT INTO item (worker, name) VALUES ($1, $2)"
		  " RETURNING id", NULL);
	parse(s, "nonsense", "SELEC 1", "42601");
	query(s, "prepare", "PREPARE by_sql (int) AS"
		  " SELECT $1 * 2, current_setting('app.user_id')");
	snprintf(sql, sizeof(sql), "SELECT * FROM shape_%d WHERE a > $1", s->number);
	parse(s, "shape", sql, NULL);
}

static void
say_description(Session *s, const char *label, PGresult *result)
{
	int			i;

	check_state(s, label, result, NULL);
	fprintf(s->out, "%s: %s: %s", s->name, label,
			PQresStatus(PQresultStatus(result)));
	for (i = 0; i < PQnparams(result); i++)
		fprintf(s->out, " %u", PQparamtype(result, i));
	for (i = 0; i < PQnfields(result); i++)
		fprintf(s->out, " %s:%u", PQfname(result, i), PQftype(result, i));
	fputc('\n', s->out);
	PQclear(result);
}

static void
use_prepared(Session *s, int turn)
{
	char		number[12],
				name[100];
	const char *values[] = {number, name};

	snprintf(number, sizeof(number), "%d", s->number);
	snprintf(name, sizeof(name), "%s/%d", s->name, turn);
	say_description(s, "describe", PQdescribePrepared(s->conn, "own"));
	execute(s, "insert", "insert", 2, values, NULL);
	execute(s, "own", "own", 2, values, NULL);
	query(s, "by SQL", "EXECUTE by_sql(21)");
	execute(s, "by the protocol", "by_sql", 1, values, NULL);
	snprintf(name, sizeof(name), "%s/0", s->name);
	execute(s, "duplicate", "insert", 2, values, "23505");
	execute(s, "not there", "nowhere", 0, NULL, "26000");
	execute(s, "nonsense", "nonsense", 0, NULL, "26000");
}

/* Settings and statements in transactions that do not last. */
static void
use_transaction(Session *s, int turn)
{
	const char *one = "1";
	char		wanted[12];

	query(s, "begin", "BEGIN");
	query(s, "local", "SET LOCAL TIME ZONE 'Asia/Kolkata';"
		  " SET LOCAL app.user_id = 'nobody'");
	expect(s, "TimeZone as reported", PQparameterStatus(s->conn, "TimeZone"),
		   "Asia/Kolkata");
	if (turn % 3 == 2)
	{
		query(s, "set", "SET search_path TO pg_catalog; SET app.turn = 'lost'");
		if (turn == 2)
			parse(s, "survives", "SELECT $1::int", NULL);
		else
			query(s, "prepare", "PREPARE other AS SELECT 1; DEALLOCATE other");
		query(s, "rollback", "ROLLBACK");
	}
	else
	{
		char		sql[100];

		snprintf(sql, sizeof(sql), "SET app.turn = '%d'; COMMIT", turn);
		query(s, "commit", sql);
	}
	snprintf(wanted, sizeof(wanted), "%d", turn % 3 == 2 ? turn - 1 : turn);
	expect_value(s, "app.turn", "SHOW app.turn", wanted);
	if (turn > 2)
		execute(s, "survives", "survives", 1, &one, NULL);
}

/* A table changes under a statement. */
static void
reshape(Session *s)
{
	const char *zero = "0";
	char		sql[100];

	execute(s, "shape", "shape", 1, &zero, NULL);
	snprintf(sql, sizeof(sql), "ALTER TABLE shape_%d ADD COLUMN b%d int", s->number,
			 nsessions);
	query(s, "alter", sql);
	execute(s, "result type", "shape", 1, &zero, "0A000");
	query(s, "deallocate", "DEALLOCATE shape");
	execute(s, "deallocated", "shape", 1, &zero, "26000");
	snprintf(sql, sizeof(sql), "SELECT * FROM shape_%d WHERE a > $1", s->number);
	parse(s, "shape", sql, NULL);
	say_description(s, "describe", PQdescribePrepared(s->conn, "shape"));
}

static void
in_turn(const char *part, const char *options)
{
	const char *still = "still";
	Session    *mine[SESSIONS];
	int			turn,
				n;

	for (n = 0; n < SESSIONS; n++)
		prepare(mine[n] = open_session(part, n, options));
	for (turn = 0; turn < ROUNDS; turn++)
	{
		/* the unnamed statement: parsed by all, then described, then executed */
		for (n = 0; n < SESSIONS; n++)
		{
			char		sql[100];

			check(mine[n], "settings");
			snprintf(sql, sizeof(sql), "SELECT $1 || ' unnamed %d'", n);
			parse(mine[n], "", sql, NULL);
		}
		for (n = 0; n < SESSIONS; n++)
			say_description(mine[n], "describe",
							PQdescribePrepared(mine[n]->conn, ""));
		for (n = 0; n < SESSIONS; n++)
			execute(mine[n], "execute", "", 1, &still, NULL);
		for (n = 0; n < SESSIONS; n++)
			use_prepared(mine[n], turn);
		for (n = 0; n < SESSIONS; n++)
			use_transaction(mine[n], turn);
		for (n = 0; turn == ROUNDS - 2 && n < SESSIONS; n++)
			reshape(mine[n]);
	}
	for (n = 0; n < SESSIONS; n++)
	{
		query(mine[n], "prepared", "SELECT name, statement, from_sql,"
			  " parameter_types::text FROM pg_prepared_statements ORDER BY name");
		query(mine[n], "discard", "DISCARD ALL");
		query(mine[n], "nothing prepared",
			  "SELECT count(*) FROM pg_prepared_statements");
		query(mine[n], "reset", "SELECT nullif(current_setting('app.user_id', true),"
			  " ''), current_setting('search_path'), current_setting('work_mem')");
		close_session(mine[n]);
	}
}

/*
 * Side by side: all sessions at once, each in a thread.
 */

/* Three hundred queries in six parts, with errors in some of them. */
static void
send_pipeline(PGconn *conn, const char *name)
{
	int			i;

	PQsendPrepare(conn, name,
				  "SELECT $1::int * 2, current_setting('app.user_id')", 0, NULL);
	PQpipelineSync(conn);
	for (i = 0; i < 300; i++)
	{
		char		number[12];
		const char *value = number;

		/* 1000 / 0 fails at 100, what follows is skipped up to the Sync */
		snprintf(number, sizeof(number), "%d", i - 100);
		if (i % 10 == 0)
			PQsendQueryParams(conn, "SELECT 1000 / $1::int",
							  1, NULL, &value, NULL, NULL, 0);
		else if (i % 10 == 1)
			PQsendQueryParams(conn, "INSERT INTO item (worker, price)"
							  " VALUES (1, $1)", 1, NULL, &value, NULL, NULL, 0);
		else
			PQsendQueryPrepared(conn, name, 1, &value, NULL, NULL, 0);
		if (i % 50 == 49)
			PQpipelineSync(conn);
	}
	PQsendDescribePrepared(conn, name);
	PQpipelineSync(conn);
	PQsendQueryParams(conn, "SET app.pipeline = 'set'",
					  0, NULL, NULL, NULL, NULL, 0);
	PQsendFlushRequest(conn);
	PQflush(conn);
}

/* A NULL ends each query, a PGRES_PIPELINE_SYNC each part. */
static bool
receive_pipeline(Session *s)
{
	PGresult   *result;
	int			syncs = 0;

	while (syncs < 8)
	{
		if (PQstatus(s->conn) == CONNECTION_BAD)
			return false;
		if ((result = PQgetResult(s->conn)) == NULL)
			continue;
		if (PQresultStatus(result) == PGRES_PIPELINE_SYNC)
			syncs++;
		say_result(s, "pipeline", result);
		PQclear(result);
	}
	if ((result = PQgetResult(s->conn)) == NULL)
		result = PQgetResult(s->conn);
	done(s, "after a flush", result, NULL);
	PQgetResult(s->conn);
	PQpipelineSync(s->conn);
	PQclear(PQgetResult(s->conn));
	return PQexitPipelineMode(s->conn);
}

static void
pipeline(Session *s)
{
	int			turn;

	for (turn = 0; turn < 4; turn++)
	{
		PQenterPipelineMode(s->conn);
		send_pipeline(s->conn, turn % 2 ? "odd" : "even");
		if (!receive_pipeline(s))
		{
			complain(s, "pipeline: %s", PQerrorMessage(s->conn));
			return;
		}
		expect_value(s, "set in a pipeline", "SHOW app.pipeline", "set");
		query(s, "reset", "RESET app.pipeline");
		query(s, "deallocate", turn % 2 ? "DEALLOCATE odd" : "DEALLOCATE ALL");
		check(s, "settings");
	}
}

static char *
big_text(int seed)
{
	char	   *text = malloc(BIG + 1);
	int			i;

	for (i = 0; i < BIG; i++)
		text[i] = 'a' + (i / 7 + i * seed) % 26;
	text[BIG] = '\0';
	return text;
}

static void
large(Session *s)
{
	char	   *text = big_text(s->number + 1);
	const char *value = text;
	const char *wanted = "6000";
	PGresult   *result;
	bool		same;
	int			rows,
				turn;

	for (turn = 0; turn < 2; turn++)
	{
		result = params(s, "SELECT $1::text, length($1)", 1, &value);
		check_state(s, "several MB", result, NULL);
		same = PQntuples(result) == 1 &&
			strcmp(PQgetvalue(result, 0, 0), text) == 0;
		expect(s, "there and back", same ? "equal" : "different", "equal");
		PQclear(result);
		result = PQexec(s->conn, "SELECT i, repeat('x', 100)"
						" FROM generate_series(1, 40000) i");
		say(s, "many rows", "%d", PQntuples(result));
		check_state(s, "many rows", result, NULL);
		PQclear(result);

		parse(s, "", "SELECT i, 1 / (5000 - i) FROM"
			  " generate_series(1, $1::int) i", NULL);
		PQsendQueryPrepared(s->conn, "", 1, &wanted, NULL, NULL, 0);
		PQsetSingleRowMode(s->conn);
		for (rows = 0; (result = PQgetResult(s->conn)) != NULL; PQclear(result))
		{
			if (PQresultStatus(result) == PGRES_SINGLE_TUPLE)
				rows++;
			else
			{
				say_result(s, "single rows", result);
				check_state(s, "single rows", result, "22012");
			}
		}
		say(s, "single rows", "%d", rows);
		check(s, "settings");
	}
	free(text);
}

static void
copy(Session *s)
{
	char		line[200];
	char	   *data;
	long		bytes = 0;
	int			turn,
				i;

	for (turn = 0; turn < 3; turn++)
	{
		query(s, "copy in", "COPY item (worker, name, price) FROM STDIN");
		for (i = 0; i < 5000; i++)
		{
			int			length = snprintf(line, sizeof(line), "%d\t%s/%d/%d\t%d\n",
										  s->number, s->name, turn, i, i);

			PQputCopyData(s->conn, line, length);
		}
		/* the last time it is the client that gives up */
		PQputCopyEnd(s->conn, turn == 2 ? "enough" : NULL);
		done(s, "copied in", PQgetResult(s->conn), turn == 2 ? "57014" : NULL);
		PQclear(PQgetResult(s->conn));

		snprintf(line, sizeof(line), "COPY (SELECT * FROM item WHERE name LIKE"
				 " '%s/%%') TO STDOUT (FORMAT binary)", s->name);
		query(s, "copy out", line);
		while ((i = PQgetCopyData(s->conn, &data, 0)) > 0)
		{
			bytes += i;
			PQfreemem(data);
		}
		done(s, "copied out", PQgetResult(s->conn), NULL);
		PQclear(PQgetResult(s->conn));
		/* the ids take four bytes each, whatever they are */
		say(s, "copied out", "%ld bytes", bytes);
		check(s, "settings");
	}
}

static int
fastpath(Session *s, int function, int nargs, int first, int second)
{
	PQArgBlock	args[2] = {
		{.len = 4, .isint = 1,.u.integer = first},
		{.len = 4, .isint = 1,.u.integer = second}
	};
	int			result = -1,
				length;

	done(s, "function call",
		 PQfn(s->conn, function, &result, &length, 1, args, nargs), NULL);
	return result;
}

static void
large_objects(Session *s)
{
	char	   *text = big_text(s->number + 1);
	char	   *back = malloc(BIG);
	int			turn,
				fd,
				total,
				got;
	Oid			oid;

	for (turn = 0; turn < 3; turn++)
	{
		say(s, "sum", "%d", fastpath(s, OID_INT4_SUM, 2, turn, s->number));
		query(s, "begin", "BEGIN");
		oid = lo_creat(s->conn, INV_READ | INV_WRITE);
		fd = lo_open(s->conn, oid, INV_READ | INV_WRITE);
		say(s, "written", "%d", lo_write(s->conn, fd, text, BIG));
		say(s, "at", "%d", lo_lseek(s->conn, fd, 0, SEEK_SET));
		total = 0;
		while ((got = lo_read(s->conn, fd, back + total, BIG - total)) > 0)
			total += got;
		expect(s, "large object", total == BIG && memcmp(text, back, BIG) == 0 ?
			   "equal" : "different", "equal");
		query(s, "commit", "COMMIT");
		/* outside a transaction a descriptor does not live on */
		say(s, "stale descriptor", "%d", lo_read(s->conn, fd, back, 10));
		fastpath(s, OID_LO_UNLINK, 1, oid, 0);
		check(s, "settings");
	}
	free(text);
	free(back);
}

static void *
cancel_soon(void *arg)
{
	PGcancel   *cancel = arg;
	char		error[256];

	usleep(500 * 1000);
	if (!PQcancel(cancel, error, sizeof(error)))
		fputs(error, stderr);
	PQfreeCancel(cancel);
	return NULL;
}

static void
mixture(Session *s)
{
	pthread_t	thread;
	int			turn;

	for (turn = 0; turn < 4; turn++)
	{
		query(s, "notices", "DO $$BEGIN RAISE NOTICE 'one'; RAISE WARNING 'two'"
			  " USING ERRCODE = '01234'; END$$");
		query(s, "role", "SET ROLE pooler_guest");
		expect_value(s, "role", "SELECT current_user", "pooler_guest");
		expect_value(s, "role", "SELECT current_user <> session_user", "t");
		query(s, "role", "RESET ROLE");
		expect_value(s, "role", "SELECT current_user = session_user", "t");
		query(s, "begin", "BEGIN;"
			  " DECLARE c CURSOR FOR SELECT generate_series(1, 100)");
		query(s, "fetch", "FETCH 3 FROM c");
		query(s, "move", "MOVE 50 IN c");
		query(s, "savepoint", "SAVEPOINT s");
		done(s, "error", PQexec(s->conn, "SELECT 1 / 0"), "22012");
		done(s, "aborted", PQexec(s->conn, "FETCH 1 FROM c"), "25P02");
		query(s, "rollback", "ROLLBACK TO s");
		query(s, "fetch", "FETCH 3 FROM c");
		say_description(s, "portal", PQdescribePortal(s->conn, "c"));
		query(s, "commit", "COMMIT");
		done(s, "closed", PQexec(s->conn, "FETCH 1 FROM c"), "34000");
		done(s, "several", PQexec(s->conn, "SET work_mem = '5MB'; SELECT 1;"
								  " SELECT 1 / 0"), "22012");
		expect_value(s, "undone", "SHOW work_mem", "4MB");
		check(s, "settings");
	}
	pthread_create(&thread, NULL, cancel_soon, PQgetCancel(s->conn));
	done(s, "cancel", PQexec(s->conn, "SELECT pg_sleep(60)"), "57014");
	pthread_join(thread, NULL);
	check(s, "settings");
}

/* What can't travel: the backend has to stay. */
static void
state(Session *s)
{
	char		sql[100];
	int			turn;

	query(s, "temporary table", "CREATE TEMP TABLE scratch (i int,"
		  " t text DEFAULT current_setting('app.user_id'))");
	for (turn = 0; turn < 10; turn++)
	{
		snprintf(sql, sizeof(sql), "INSERT INTO scratch VALUES (%d)",
				 turn * 10 + s->number);
		query(s, "scratch", sql);
		query(s, "scratch", "SELECT count(*), sum(i), min(t), max(t) FROM scratch");
	}
	query(s, "drop", "DROP TABLE scratch");
	query(s, "lock", "SELECT pg_advisory_lock(4711)");
	for (turn = 0; turn < 3; turn++)
		query(s, "locks", "SELECT objid, mode FROM pg_locks"
			  " WHERE locktype = 'advisory' AND pid = pg_backend_pid()");
	expect_value(s, "unlock", "SELECT pg_advisory_unlock(4711)", "t");
	query(s, "hold", "DECLARE h CURSOR WITH HOLD FOR"
		  " SELECT generate_series(1, 10)");
	for (turn = 0; turn < 3; turn++)
		query(s, "hold", "FETCH 3 FROM h");
	query(s, "hold", "CLOSE h");
	snprintf(sql, sizeof(sql), "CREATE SEQUENCE own_%d START 100", s->number);
	query(s, "sequence", sql);
	snprintf(sql, sizeof(sql), "SELECT nextval('own_%d')", s->number);
	query(s, "nextval", sql);
	snprintf(sql, sizeof(sql), "SELECT currval('own_%d')", s->number);
	expect_value(s, "currval", sql, "100");
	expect_value(s, "lastval", "SELECT lastval()", "100");
	check(s, "settings");
}

typedef struct Task
{
	Session    *session;
	Work		work;
} Task;

static void *
run_task(void *arg)
{
	Task	   *task = arg;

	task->work(task->session);
	close_session(task->session);
	return NULL;
}

static void
side_by_side(const char *part, Work work)
{
	Task		tasks[SESSIONS];
	pthread_t	threads[SESSIONS];
	int			n;

	for (n = 0; n < SESSIONS; n++)
	{
		tasks[n].session = open_session(part, n, "");
		tasks[n].work = work;
	}
	for (n = 0; n < SESSIONS; n++)
		pthread_create(&threads[n], NULL, run_task, &tasks[n]);
	for (n = 0; n < SESSIONS; n++)
		pthread_join(threads[n], NULL);
}

static PGnotify *
next_notification(PGconn *conn)
{
	PGnotify   *notify;
	struct pollfd pfd = {.fd = PQsocket(conn), .events = POLLIN};

	while ((notify = PQnotifies(conn)) == NULL)
		if (poll(&pfd, 1, TIMEOUT_MS) <= 0 || !PQconsumeInput(conn))
			break;
	return notify;
}

static void
listen_part(bool alone)
{
	Session    *listener = open_session("listen", 0, "");
	Session    *notifier = alone ? open_session("notify", 1, "") : listener;
	int			i;

	query(listener, "listen", "LISTEN libpq_news");
	for (i = 0; i < 3; i++)
	{
		char		sql[100],
					wanted[100],
					got[100] = "nothing";
		PGnotify   *notify;

		snprintf(sql, sizeof(sql), "SELECT pg_notify('libpq_news', 'news %d')", i);
		PQclear(PQexec(notifier->conn, sql));
		snprintf(wanted, sizeof(wanted), "libpq_news news %d from the notifier", i);
		if ((notify = next_notification(listener->conn)) != NULL)
			snprintf(got, sizeof(got), "%s %s from %s", notify->relname,
					 notify->extra,
					 notify->be_pid == PQbackendPID(notifier->conn) ?
					 "the notifier" : "somebody");
		PQfreemem(notify);
		expect(listener, "notification", got, wanted);
	}
	query(listener, "unlisten", "UNLISTEN *");
	query(listener, "channels", "SELECT pg_listening_channels()");
	check(listener, "settings");
	close_session(listener);
	if (alone)
	{
		close_session(notifier);
		nsessions--;			/* the transcript is the same without it */
	}
}

int
main(int argc, char **argv)
{
	const char *alone = getenv("DRIVERS_ALONE");
	int			i;

	create();
	in_turn("default", "");
	in_turn("options", "application_name=drivers"
			" options='-c work_mem=5MB --app.option=x'");
	side_by_side("pipeline", pipeline);
	side_by_side("large", large);
	side_by_side("copy", copy);
	side_by_side("large objects", large_objects);
	side_by_side("mixture", mixture);
	side_by_side("state", state);
	listen_part(alone == NULL || strcmp(alone, "0") != 0);

	for (i = 0; i < nsessions; i++)
		fputs(sessions[i].text, stdout);
	puts("end");
	return failures == 0 ? 0 : 1;
}
