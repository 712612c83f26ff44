-- Control by SQL: the functions, who may call them, and what they refuse.
-- What they do to clients is tested elsewhere.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pooler;
RESET client_min_messages;

CREATE FUNCTION pg_temp.wait_until(condition text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	holds boolean;
BEGIN
	FOR i IN 1..600 LOOP
		EXECUTE condition INTO holds;
		EXIT WHEN holds;
		PERFORM pg_sleep(0.1);
	END LOOP;
END $$;
SELECT pg_temp.wait_until('SELECT port IS NOT NULL FROM pooler.status');

SELECT proname, pg_get_function_arguments(p.oid) AS arguments,
	   prorettype::regtype AS returns, provolatile AS volatility, proparallel AS parallel,
	   has_function_privilege('pg_monitor', p.oid, 'EXECUTE') AS monitor
FROM pg_proc AS p
WHERE pronamespace = 'pooler'::regnamespace AND proname NOT LIKE 'get\_%'
	  AND prorettype = 'void'::regtype
ORDER BY proname COLLATE "C";

-- one database, and all
SELECT pooler.pause(current_database());
SELECT database = current_database() AS this, paused, paused_by_name, disabled, clients, backends
FROM pooler.databases WHERE paused;
SELECT state FROM pooler.status;
SELECT pooler.pause();
SELECT bool_and(paused) AS all_paused, count(*) FILTER (WHERE paused_by_name) AS by_name
FROM pooler.databases;
SELECT state FROM pooler.status;
SELECT pooler.resume();
SELECT pooler.resume(current_database());
SELECT count(*) FROM pooler.databases WHERE paused;
SELECT pooler.suspend();
SELECT state FROM pooler.status;
SELECT pooler.resume(NULL);
SELECT pooler.disable(current_database());
SELECT database = current_database() AS this, paused, disabled FROM pooler.databases WHERE disabled;
SELECT pooler.enable(database => current_database());
SELECT pooler.reconnect();
SELECT pooler.wait_close();
SELECT pooler.kill(current_database());
SELECT pooler.resume(current_database());
SELECT pooler.reset_stats();
SELECT stats_reset > started_at AS reset FROM pooler.status;

-- no rollback undoes it
BEGIN;
SELECT pooler.pause();
ROLLBACK;
SELECT state FROM pooler.status;
SELECT pooler.resume();
SELECT state FROM pooler.status;

-- what is refused
DO $$
DECLARE
	command text;
	state text;
	message text;
	hint text;
BEGIN
	FOREACH command IN ARRAY ARRAY[
		'pooler.resume()', 'pooler.resume(current_database())',
		'pooler.pause(''no such'')', 'pooler.disable(NULL)', 'pooler.enable(NULL)',
		'pooler.kill_client(0)', 'pooler.shutdown(''soon'')'] LOOP
		BEGIN
			EXECUTE 'SELECT ' || command;
		EXCEPTION WHEN OTHERS THEN
			GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT,
				hint = PG_EXCEPTION_HINT;
			RAISE WARNING '%: % [%] [%]', command, state,
				replace(message, current_database(), 'this'), hint;
		END;
	END LOOP;
END $$;

-- nobody but a superuser, unless told otherwise
CREATE ROLE regress_pooler_control;
GRANT USAGE ON SCHEMA pooler TO regress_pooler_control;
SET ROLE regress_pooler_control;
SELECT pooler.pause();
SELECT pooler.reset_stats();
RESET ROLE;
GRANT EXECUTE ON FUNCTION pooler.reset_stats() TO regress_pooler_control;
SET ROLE regress_pooler_control;
SELECT pooler.reset_stats();
RESET ROLE;
DROP OWNED BY regress_pooler_control;
DROP ROLE regress_pooler_control;
