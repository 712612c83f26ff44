-- with_psql.sql
--
-- Session state as psql's users have it.  Errors are a part of it; the last
-- lines decide about the exit status.

\! touch connected; until [ -e ../begin ]; do sleep 0.05; done
\set SHOW_ALL_RESULTS on
SET search_path TO with_psql;
SET TIME ZONE :'zone';
SELECT set_config('app.user_id', :'worker', false);
PREPARE find (text) AS SELECT worker, name, price FROM item WHERE name LIKE $1 ORDER BY id;
PREPARE own AS SELECT :worker * 1000;
INSERT INTO item (worker, name, price) SELECT :worker, :'worker' || '/' || i, i FROM generate_series(1, 20) i;
EXECUTE find(:'worker' || '/1_');
EXECUTE own;
SELECT 1 / 0;
EXECUTE own;
SELECT name, statement, parameter_types, from_sql FROM pg_prepared_statements ORDER BY name;

-- what is set in a transaction that does not last
BEGIN;
SET search_path TO pg_catalog;
SET LOCAL app.user_id TO 'nobody';
PREPARE lasting AS SELECT 'lasting';
SELECT current_setting('app.user_id'), current_schema();
ROLLBACK;
SELECT current_setting('app.user_id'), current_setting('TimeZone'), current_schema();
EXECUTE lasting;
DEALLOCATE lasting;
EXECUTE lasting;

-- \gdesc parses and describes, without executing
SELECT id, price, now() AS at FROM item WHERE false \gdesc
SELECT count(*) AS number FROM item WHERE worker = :worker \gset
\echo :number
SELECT 'SELECT ' || i || ', current_setting(''app.user_id'')' FROM generate_series(1, 3) i \gexec

-- rows by a cursor
\set FETCH_COUNT 7
SELECT name FROM item WHERE worker = :worker ORDER BY id;
\unset FETCH_COUNT
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT name FROM item WHERE worker = :worker ORDER BY id;
FETCH 3 FROM c;
FETCH BACKWARD 2 FROM c;
MOVE 10 IN c;
FETCH 1 FROM c;
COMMIT;
FETCH 1 FROM c;

-- in and out
\copy (SELECT worker, name || '/copy', price FROM item WHERE worker = current_setting('app.user_id')::int ORDER BY id) TO 'items'
\copy item (worker, name, price) FROM 'items'
COPY item (worker, name) FROM STDIN;
no number	name
\.
\! wc -l <items
SELECT count(*), sum(price) FROM item WHERE worker = :worker;
COPY (SELECT name FROM item WHERE worker = :worker ORDER BY id LIMIT 3) TO STDOUT;

-- a savepoint around each statement
\set ON_ERROR_ROLLBACK on
BEGIN;
INSERT INTO item (worker, name) VALUES (:worker, :'worker' || '/rollback');
INSERT INTO item (worker, name) VALUES (:worker, :'worker' || '/rollback');
SELECT nonsense;
COMMIT;
SELECT count(*) FROM item WHERE name = :'worker' || '/rollback';
\unset ON_ERROR_ROLLBACK

-- two phases
SELECT current_database() || :worker AS gid \gset
BEGIN;
UPDATE item SET price = price + 1 WHERE worker = :worker;
PREPARE TRANSACTION :'gid';
SELECT sum(price) FROM item WHERE worker = :worker;
COMMIT PREPARED :'gid';
SELECT sum(price) FROM item WHERE worker = :worker;

-- the encoding is the client's
\encoding LATIN1
\encoding
SELECT length('é'), current_setting('client_encoding');
\encoding UTF8
SELECT length('é'), current_setting('client_encoding');
SET DateStyle TO 'German';
SELECT '2024-02-29'::date, '2024-02-29 12:00+00'::timestamptz;
SET standard_conforming_strings TO off;
SELECT '\\';
SET ROLE pooler_guest;
SELECT current_user;
SELECT count(*) FROM item WHERE worker = :worker;
DELETE FROM item;
RESET ROLE;

-- state that keeps the backend
CREATE TEMP TABLE scratch AS SELECT i FROM generate_series(1, 10) i;
INSERT INTO scratch VALUES (:worker);
SELECT sum(i) FROM scratch;
CREATE TEMP TABLE another (i int) ON COMMIT DROP;
SELECT count(*) FROM another;
DROP TABLE scratch;
SELECT pg_advisory_lock(4712);
SELECT pg_advisory_unlock(4712);
DECLARE h CURSOR WITH HOLD FOR SELECT generate_series(1, 10);
FETCH 3 FROM h;
FETCH 3 FROM h;
CLOSE ALL;
SELECT 'own_' || :worker AS own \gset
CREATE SEQUENCE :own;
SELECT nextval(:'own'), nextval(:'own');
SELECT currval(:'own'), lastval();
SELECT 'channel_' || :worker AS channel \gset
LISTEN :channel;
SELECT pg_listening_channels();
SELECT pg_notify(:'channel', 'to myself');
SELECT 1;
UNLISTEN *;

-- in force until the very end
SELECT current_setting('app.user_id'), current_setting('TimeZone'), current_schema(),
	current_setting('DateStyle'), current_setting('standard_conforming_strings');
EXECUTE own;
RESET standard_conforming_strings;
DISCARD PLANS;
EXECUTE own;
DEALLOCATE ALL;
SELECT count(*) FROM pg_prepared_statements;
\d with_psql.item
\set ON_ERROR_STOP on
SELECT format('%s %s %s', current_setting('app.user_id'), current_setting('TimeZone'), current_schema())
	= :'worker' || ' ' || :'zone' || ' with_psql' AS unchanged \gset
\if :unchanged
\else
DO $$BEGIN RAISE EXCEPTION 'settings are lost'; END$$;
\endif
DISCARD ALL;
SELECT nullif(current_setting('app.user_id', true), ''), current_setting('search_path'), current_setting('DateStyle');
\set QUIET on
\connect
SELECT nullif(current_setting('app.user_id', true), ''), current_setting('search_path');
