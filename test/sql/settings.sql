-- The settings: names, when they can be changed, defaults and limits, as they
-- are documented.  Not their values, which the tests' configuration sets.
\pset format unaligned
SELECT name, context, vartype AS type, unit, boot_val, min_val, max_val
FROM pg_settings WHERE name LIKE 'pooler.%' ORDER BY name COLLATE "C";
\pset format aligned

-- each has a description
SELECT name FROM pg_settings
WHERE name LIKE 'pooler.%' AND coalesce(short_desc, '') = '';

-- Wrong values are refused, whoever sets them, and it is said what is right.
-- (ALTER SYSTEM runs the same checks as a reload.)
ALTER SYSTEM SET pooler.port = 0;
ALTER SYSTEM SET pooler.port = 65536;
ALTER SYSTEM SET pooler.port = 'here';
ALTER SYSTEM SET pooler.listen_addresses = 'localhost,,';
ALTER SYSTEM SET pooler.unix_socket_directories = '/tmp,,';
ALTER SYSTEM SET pooler.http_port = 65536;
ALTER SYSTEM SET pooler.http_listen_addresses = 'localhost,,';
ALTER SYSTEM SET pooler.max_client_conn = 0;
ALTER SYSTEM SET pooler.max_backends = -1;
ALTER SYSTEM SET pooler.default_pool_size = -1;
ALTER SYSTEM SET pooler.min_pool_size = -1;
ALTER SYSTEM SET pooler.pool_mode = 'query';
ALTER SYSTEM SET pooler.log_connections = 'perhaps';
ALTER SYSTEM SET pooler.admin_roles = 'a,,b';
ALTER SYSTEM SET pooler.ignore_startup_parameters = 'a b';
ALTER SYSTEM SET pooler.query_wait_timeout = '1 parsec';
ALTER SYSTEM SET pooler.prefork = 'nonsense';
ALTER SYSTEM SET pooler.prefork = 'a/';
ALTER SYSTEM SET pooler.prefork = '/b';
ALTER SYSTEM SET pooler.prefork = 'a/b c';
ALTER SYSTEM SET pooler.prefork = 'a/b,,c/d';
ALTER SYSTEM SET pooler.prefork = '"a/b';
ALTER SYSTEM SET pooler.leak_locks = -1;
ALTER SYSTEM SET pooler.leak_temp_objects = 5001;
ALTER SYSTEM SET pooler.leak_idle_in_transaction = 'soon';
ALTER SYSTEM SET pooler.leak_action = '';
ALTER SYSTEM SET pooler.leak_action = 'kill';
ALTER SYSTEM SET pooler.leak_action = 'log,';
ALTER SYSTEM SET pooler.leak_action = 'log, terminate';
ALTER SYSTEM SET pooler.leak_action = 'transaction';
ALTER SYSTEM SET pooler.leak_action = 'transaction = stop';
ALTER SYSTEM SET pooler.leak_action = 'transaction = log, transaction = cancel';
ALTER SYSTEM SET pooler.leak_action = 'transactions = log';
ALTER SYSTEM SET pooler.leak_action = 'idle_in_transaction = cancel';
ALTER SYSTEM SET pooler.leak_action = 'locks = terminate terminate';
-- (how a limit with a unit is worded depends on the server's version)
\set VERBOSITY sqlstate
ALTER SYSTEM SET pooler.query_wait_timeout = '-1';
ALTER SYSTEM SET pooler.server_connect_timeout = 0;
\set VERBOSITY default

-- There are no others.
SET pooler.no_such_setting = 1;

-- What is the server's is nobody else's.
SET pooler.port = 7000;
SET pooler.client_login_timeout = 0;
ALTER ROLE CURRENT_USER SET pooler.client_login_timeout = 0;

-- What a pool may have of its own is given by superusers alone.  (How that is
-- worded depends on the server's version, too.)
CREATE ROLE pooler_plain;
\set VERBOSITY sqlstate
SET ROLE pooler_plain;
SELECT name FROM pg_settings
WHERE name LIKE 'pooler.%' AND context NOT IN ('postmaster', 'sighup', 'superuser');
SET pooler.query_wait_timeout = 0;
SELECT set_config('pooler.pool_mode', 'session', false);
ALTER ROLE pooler_plain SET pooler.query_wait_timeout = 0;
ALTER ROLE pooler_plain IN DATABASE postgres SET pooler.query_wait_timeout = 0;
CREATE FUNCTION pg_temp.f() RETURNS void LANGUAGE sql
	SET pooler.default_pool_size = 1000 AS 'SELECT';
RESET ROLE;
\set VERBOSITY default
ALTER ROLE pooler_plain SET pooler.query_wait_timeout = '1.5s';
ALTER ROLE pooler_plain SET pooler.default_pool_size = 0;
SELECT setconfig FROM pg_db_role_setting WHERE setrole = 'pooler_plain'::regrole;
SET ROLE pooler_plain;
\set VERBOSITY sqlstate
ALTER ROLE pooler_plain RESET pooler.query_wait_timeout;
\set VERBOSITY default
RESET ROLE;
DROP ROLE pooler_plain;

-- Right values are taken.
ALTER SYSTEM SET pooler.leak_action = 'cancel';
ALTER SYSTEM SET pooler.leak_action = ' Terminate , LOCKS=log,transaction = cancel ';
ALTER SYSTEM RESET pooler.leak_action;
ALTER SYSTEM SET pooler.prefork = 'app/reader, "A/b, ""c"""/"D"';
ALTER SYSTEM SET pooler.query_wait_timeout = '2min';
SELECT pg_reload_conf();
DO $$
BEGIN
	FOR i IN 1..600 LOOP
		EXIT WHEN (SELECT setting FROM pg_file_settings
				   WHERE name = 'pooler.query_wait_timeout' AND applied) = '2min';
		PERFORM pg_sleep(0.1);
	END LOOP;
END $$;
SELECT name, setting, applied, error FROM pg_file_settings
WHERE name IN ('pooler.prefork', 'pooler.query_wait_timeout') ORDER BY name;
ALTER SYSTEM RESET pooler.prefork;
ALTER SYSTEM RESET pooler.query_wait_timeout;
SELECT pg_reload_conf();
