-- What the sequences of a differential test work with.  Tables that all clients
-- see never change; what a client changes is in a schema of its own, c1 to c4,
-- and is made again by diff_reset().

CREATE ROLE diff_super SUPERUSER LOGIN;
CREATE ROLE diff_group;
CREATE ROLE diff_owner;
CREATE ROLE diff_user LOGIN IN ROLE diff_group, diff_owner;
ALTER ROLE diff_user SET DateStyle = 'SQL, DMY';
ALTER ROLE diff_user SET app.of_role = 'role';
ALTER DATABASE differ SET app.of_database = 'database';
GRANT ALL ON SCHEMA public TO PUBLIC;

CREATE SCHEMA one;
CREATE SCHEMA two;
GRANT USAGE ON SCHEMA one, two TO PUBLIC;
CREATE TABLE public.things (id int, what text);
CREATE TABLE one.things (id int, what varchar(20), more numeric);
CREATE TABLE two.things (what text, id bigint);
CREATE TABLE public.secrets (what text);
INSERT INTO public.things VALUES (1, 'public one'), (2, 'public two'), (3, NULL);
INSERT INTO one.things VALUES (1, 'one one', 1.50), (2, 'one two', 2.5);
INSERT INTO two.things VALUES ('two one', 1), (E'two \u00e9', 2);
GRANT SELECT ON public.things, one.things, two.things TO PUBLIC;

CREATE FUNCTION public.place() RETURNS text LANGUAGE sql AS $$SELECT 'public'::text$$;
CREATE FUNCTION one.place() RETURNS text LANGUAGE sql AS $$SELECT 'one'::text$$;
CREATE FUNCTION two.place() RETURNS int LANGUAGE sql AS $$SELECT 2$$;

CREATE FUNCTION public.set_by_config(name text, value text, local bool) RETURNS text
LANGUAGE plpgsql AS $$BEGIN RETURN set_config(name, value, local); END$$;

CREATE FUNCTION public.set_by_command(name text, value text) RETURNS void
LANGUAGE plpgsql AS $$BEGIN EXECUTE format('SET %s = %L', name, value); END$$;

CREATE FUNCTION public.with_clause() RETURNS text LANGUAGE plpgsql
SET "TimeZone" = 'Asia/Tokyo' SET work_mem = '7MB' SET app.one = 'clause'
AS $$BEGIN RETURN concat_ws(' ', current_setting('TimeZone'), current_setting('work_mem'),
	current_setting('app.one')); END$$;

CREATE FUNCTION public.set_in_clause(value text, local bool) RETURNS text LANGUAGE plpgsql
SET app.one = 'clause'
AS $$BEGIN RETURN set_config('app.one', value, local); END$$;

CREATE FUNCTION public.set_as_owner(value text) RETURNS text LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog
AS $$BEGIN RETURN current_user || set_config('app.one', value, false); END$$;

CREATE FUNCTION public.set_and_fail(value text) RETURNS void LANGUAGE plpgsql
AS $$BEGIN PERFORM set_config('app.one', value, false); RAISE EXCEPTION 'failed as wanted'; END$$;

CREATE FUNCTION public.run(command text) RETURNS text LANGUAGE plpgsql
AS $$DECLARE result text; BEGIN EXECUTE command INTO result; RETURN result; END$$;

CREATE FUNCTION public.do_it(command text) RETURNS void LANGUAGE plpgsql
AS $$BEGIN EXECUTE command; END$$;

CREATE FUNCTION public.try_it(command text) RETURNS text LANGUAGE plpgsql
AS $$
BEGIN
	EXECUTE command;
	RETURN 'done';
EXCEPTION WHEN others THEN
	RAISE NOTICE 'caught %: %', SQLSTATE, SQLERRM;
	RETURN SQLSTATE;
END$$;

CREATE FUNCTION public.notice(what text) RETURNS void LANGUAGE plpgsql
AS $$BEGIN RAISE NOTICE 'notice: %', what USING DETAIL = 'the detail', HINT = 'the hint'; END$$;

CREATE VIEW public.setter AS SELECT ''::text AS name, ''::text AS value;
CREATE FUNCTION public.set_by_trigger() RETURNS trigger LANGUAGE plpgsql
AS $$BEGIN PERFORM set_config(NEW.name, NEW.value, false); RETURN NEW; END$$;
CREATE TRIGGER set_it INSTEAD OF INSERT ON public.setter
	FOR EACH ROW EXECUTE FUNCTION public.set_by_trigger();
GRANT ALL ON public.setter TO PUBLIC;

-- Does this session have anything that can't be taken to another backend?
CREATE FUNCTION public.diff_held() RETURNS bool LANGUAGE plpgsql SECURITY DEFINER
AS $$
BEGIN
	IF EXISTS (SELECT FROM pg_catalog.pg_cursors WHERE is_holdable)
		OR EXISTS (SELECT FROM pg_catalog.pg_listening_channels())
		OR EXISTS (SELECT FROM pg_catalog.pg_locks
			WHERE locktype OPERATOR(pg_catalog.=) 'advisory'
				AND pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid())
		OR EXISTS (SELECT FROM pg_catalog.pg_class
			WHERE relnamespace OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema())
		OR EXISTS (SELECT FROM pg_catalog.pg_replication_slots
			WHERE temporary AND active_pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid())
		OR pg_catalog.pg_replication_origin_session_is_setup()
	THEN
		RETURN true;
	END IF;
	RETURN false;
END$$;

DO $$
BEGIN
	FOR i IN 1 .. 4 LOOP
		EXECUTE format('CREATE SCHEMA c%s AUTHORIZATION diff_owner', i);
	END LOOP;
END$$;

CREATE PROCEDURE public.diff_reset(clients int) LANGUAGE plpgsql
AS $$
DECLARE
	object record;
BEGIN
	FOR object IN SELECT relkind, oid::regclass AS name FROM pg_class
		WHERE relkind IN ('r', 'S', 'v')
			AND (relnamespace::regnamespace::text ~ '^c\d$'
				OR relnamespace = 'public'::regnamespace
					AND relname NOT IN ('things', 'secrets', 'setter'))
	LOOP
		EXECUTE format('DROP %s IF EXISTS %s CASCADE',
			CASE object.relkind WHEN 'r' THEN 'TABLE' WHEN 'S' THEN 'SEQUENCE' ELSE 'VIEW' END,
			object.name);
	END LOOP;
	PERFORM lo_unlink(oid) FROM pg_largeobject_metadata;
	SET LOCAL ROLE diff_owner;
	FOR i IN 1 .. clients LOOP
		EXECUTE format('CREATE TABLE c%s.mine (id int, what varchar(20))', i);
		EXECUTE format('CREATE SEQUENCE c%s.numbers START %s', i, 100 * i);
		EXECUTE format('INSERT INTO c%s.mine VALUES (1, ''first of %s''), (2, ''second'')', i, i);
	END LOOP;
END$$;
