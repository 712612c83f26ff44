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
ALTER SYSTEM SET pooler.max_client_conn = 0;
ALTER SYSTEM SET pooler.max_backends = -1;
ALTER SYSTEM SET pooler.default_pool_size = -1;
ALTER SYSTEM SET pooler.min_pool_size = -1;
ALTER SYSTEM SET pooler.query_wait_timeout = '1 parsec';
ALTER SYSTEM SET pooler.prefork = 'nonsense';
ALTER SYSTEM SET pooler.prefork = 'a/';
ALTER SYSTEM SET pooler.prefork = '/b';
ALTER SYSTEM SET pooler.prefork = 'a/b c';
ALTER SYSTEM SET pooler.prefork = 'a/b,,c/d';
ALTER SYSTEM SET pooler.prefork = '"a/b';
-- (how a limit with a unit is worded depends on the server's version)
\set VERBOSITY sqlstate
ALTER SYSTEM SET pooler.query_wait_timeout = '-1';
ALTER SYSTEM SET pooler.server_connect_timeout = 0;
\set VERBOSITY default

-- There are no others.
SET pooler.no_such_setting = 1;

-- No session and no role can change them for itself.
SET pooler.port = 7000;
SET pooler.client_login_timeout = 0;
ALTER ROLE CURRENT_USER SET pooler.client_login_timeout = 0;
CREATE ROLE regress_limited;
SET ROLE regress_limited;
SET pooler.query_wait_timeout = 0;
ALTER ROLE regress_limited SET pooler.query_wait_timeout = 0;
RESET ROLE;

-- A superuser can, for a role.
ALTER ROLE regress_limited SET pooler.query_wait_timeout = '300ms';
DROP ROLE regress_limited;

-- Right values are taken.
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
