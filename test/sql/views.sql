-- The views: their columns, that all of them are explained, and that the
-- counters are those of the one table in stats.c.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pooler;
RESET client_min_messages;

CREATE TEMPORARY VIEW columns AS
SELECT c.relname AS view, a.attnum, a.attname::text AS name,
	   format_type(a.atttypid, a.atttypmod) AS type,
	   col_description(c.oid, a.attnum) AS comment
FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
WHERE c.relnamespace = 'pooler'::regnamespace AND c.relkind = 'v'
	  AND a.attnum > 0;

\pset format unaligned
SELECT view, name, type FROM columns
ORDER BY view COLLATE "C", attnum;
\pset format aligned

-- without a comment: nothing
SELECT view, name FROM columns WHERE coalesce(comment, '') = '';
SELECT relname FROM pg_class
WHERE relnamespace = 'pooler'::regnamespace
	  AND coalesce(obj_description(oid, 'pg_class'), '') = '';
SELECT proname FROM pg_proc
WHERE pronamespace = 'pooler'::regnamespace
	  AND coalesce(obj_description(oid, 'pg_proc'), '') = '';

-- The columns that a view should have for the counters: times are intervals
-- there, so wait_us becomes wait_time.
CREATE TEMPORARY VIEW wanted AS
SELECT name, scope, help AS comment,
	   CASE unit WHEN 'us' THEN regexp_replace(name, '_us$', '_time')
				 ELSE name END AS column_name,
	   CASE unit WHEN 'us' THEN 'interval' ELSE 'bigint' END AS type
FROM pooler.get_counters();

SELECT scope, kind, coalesce(unit, '') AS unit, count(*) > 0 AS there
FROM pooler.get_counters()
WHERE kind NOT IN ('sum', 'max') OR scope NOT IN ('pool', 'pooler')
	  OR coalesce(unit, '') NOT IN ('', 'us', 'bytes') OR help IS NULL
GROUP BY 1, 2, 3;

-- what only one side has, or what differs: nothing
SELECT w.column_name AS wanted, c.name AS found, w.type AS wanted_type, c.type,
	   w.comment AS wanted_comment, c.comment
FROM (SELECT * FROM wanted WHERE scope = 'pool') AS w
	 FULL JOIN (SELECT * FROM columns
				WHERE view = 'stats'
					  AND name NOT IN ('database', 'role', 'dbid', 'roleid')) AS c
	 ON c.name = w.column_name AND c.type = w.type AND c.comment = w.comment
WHERE c.name IS NULL OR w.name IS NULL;

SELECT w.column_name AS wanted, c.name AS found, w.type AS wanted_type, c.type,
	   w.comment AS wanted_comment, c.comment
FROM (SELECT * FROM wanted WHERE scope = 'pool') AS w
	 FULL JOIN (SELECT * FROM columns
				WHERE view = 'stats_by_database' AND name NOT IN ('database', 'dbid')) AS c
	 ON c.name = w.column_name AND c.type = w.type AND c.comment = w.comment
WHERE c.name IS NULL OR w.name IS NULL;

SELECT w.column_name AS wanted, c.name AS found, w.type AS wanted_type, c.type,
	   w.comment AS wanted_comment, c.comment
FROM (SELECT * FROM wanted WHERE scope = 'pool') AS w
	 FULL JOIN (SELECT * FROM columns
				WHERE view = 'stats_by_role' AND name NOT IN ('role', 'roleid')) AS c
	 ON c.name = w.column_name AND c.type = w.type AND c.comment = w.comment
WHERE c.name IS NULL OR w.name IS NULL;

SELECT w.column_name AS wanted, c.name AS found, w.type AS wanted_type, c.type,
	   w.comment AS wanted_comment, c.comment
FROM wanted AS w
	 FULL JOIN (SELECT * FROM columns
				WHERE view = 'status'
					  AND name NOT IN ('pid', 'started_at', 'starts', 'port',
									   'socket_directory', 'clients',
									   'max_clients', 'backends',
									   'max_backends', 'session_memory',
									   'prepared_statements',
									   'prepared_statements_memory',
									   'prepared_statements_evicted',
									   'state', 'stats_reset')) AS c
	 ON c.name = w.column_name AND c.type = w.type AND c.comment = w.comment
WHERE c.name IS NULL OR w.name IS NULL;

-- each counter is looked up under its name
SELECT name FROM wanted
WHERE scope = 'pool'
	  AND position(format('name = %L', name)
				   IN pg_get_viewdef('pooler.stats'::regclass)) = 0;

-- a reason for pins is shown by the same name everywhere, and each is counted
SELECT pin_reason FROM pooler.pin_reasons WHERE pins IS NULL
UNION ALL
SELECT name FROM pooler.get_counters()
WHERE name LIKE 'pins\_%'
	  AND position(format('%L', name) IN pg_get_viewdef('pooler.pin_reasons'::regclass)) = 0;

SELECT key AS unknown
FROM pooler.status AS s, jsonb_each(to_jsonb(s)) JOIN wanted ON column_name = key
WHERE value = 'null';

-- The pooler, once it has started.
DO $$
BEGIN
	FOR i IN 1..600 LOOP
		EXIT WHEN (SELECT port FROM pooler.status) IS NOT NULL;
		PERFORM pg_sleep(0.1);
	END LOOP;
END $$;

SELECT a.backend_type, s.started_at > pg_postmaster_start_time() AS started,
	   s.started_at < now() AS past, s.starts,
	   s.port = current_setting('pooler.port')::integer AS port,
	   s.max_clients = current_setting('pooler.max_client_conn')::integer AS max_clients,
	   s.max_backends = current_setting('max_connections')::integer * 4 / 5 AS max_backends
FROM pooler.status AS s JOIN pg_stat_activity AS a USING (pid);

-- Without clients there is nothing to show.
DO $$
BEGIN
	FOR i IN 1..600 LOOP
		EXIT WHEN (SELECT clients FROM pooler.status) = 0;
		PERFORM pg_sleep(0.1);
	END LOOP;
END $$;

SELECT id, application_name, state FROM pooler.clients;
SELECT client_id FROM pooler.backends WHERE client_id IS NOT NULL;
SELECT clients, clients_waiting, longest_wait FROM pooler.pools WHERE clients > 0;

DROP VIEW wanted, columns;
