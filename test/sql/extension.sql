-- The extension as an object: what it consists of, who may use it, and that
-- it can go and come back.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pooler;
RESET client_min_messages;

SELECT extversion, extnamespace::regnamespace AS schema, extrelocatable
FROM pg_extension WHERE extname = 'pooler';

SELECT pg_describe_object(classid, objid, objsubid) COLLATE "C" AS object
FROM pg_depend
WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
	  AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'pooler')
	  AND classid <> 'pg_type'::regclass	-- row types of the views
ORDER BY object;

ALTER EXTENSION pooler SET SCHEMA public;
CREATE EXTENSION pooler;
DROP EXTENSION pooler;
CREATE EXTENSION pooler SCHEMA public;

-- the schema outlives the extension
CREATE EXTENSION pooler;
SELECT count(*) FROM pooler.status;

-- A schema that was there before may hold operators that fit the types of a
-- view better than those of pg_catalog do: none of them may be taken.
DROP EXTENSION pooler;
CREATE FUNCTION pooler.trap() RETURNS interval LANGUAGE plpgsql
	AS $$ BEGIN RAISE EXCEPTION 'an operator of the schema was called'; END $$;
CREATE FUNCTION pooler.trap(bigint, interval) RETURNS interval
	LANGUAGE sql AS 'SELECT pooler.trap()';
CREATE FUNCTION pooler.trap(integer, double precision) RETURNS double precision
	LANGUAGE sql AS 'SELECT extract(epoch FROM pooler.trap())::double precision';
CREATE OPERATOR pooler.* (FUNCTION = pooler.trap, LEFTARG = bigint, RIGHTARG = interval);
CREATE OPERATOR pooler./ (FUNCTION = pooler.trap, LEFTARG = integer, RIGHTARG = double precision);
CREATE EXTENSION pooler;
SELECT oprname, l.relname
FROM pg_operator AS o
	 JOIN pg_depend AS d ON d.refclassid = 'pg_operator'::regclass AND d.refobjid = o.oid
	 JOIN pg_rewrite AS w ON d.classid = 'pg_rewrite'::regclass AND w.oid = d.objid
	 JOIN pg_class AS l ON l.oid = w.ev_class
WHERE o.oprnamespace = 'pooler'::regnamespace;
DROP OPERATOR pooler.* (bigint, interval);
DROP OPERATOR pooler./ (integer, double precision);
DROP FUNCTION pooler.trap(bigint, interval), pooler.trap(integer, double precision), pooler.trap();

-- who may look: members of pg_monitor, and not everybody
CREATE ROLE regress_pooler_nobody;
CREATE ROLE regress_pooler_monitor IN ROLE pg_monitor;

CREATE TEMPORARY TABLE readers AS
SELECT r.rolname, 'view' AS kind, c.relname AS name,
	   has_table_privilege(r.oid, c.oid, 'SELECT') AS may,
	   has_table_privilege(r.oid, c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE') AS more
FROM pg_class AS c, pg_roles AS r
WHERE c.relnamespace = 'pooler'::regnamespace AND c.relkind = 'v'
	  AND r.rolname LIKE 'regress\_pooler\_%'
UNION ALL
SELECT r.rolname, 'function', p.proname,
	   has_function_privilege(r.oid, p.oid, 'EXECUTE'), false
FROM pg_proc AS p, pg_roles AS r
WHERE p.pronamespace = 'pooler'::regnamespace
	  AND r.rolname LIKE 'regress\_pooler\_%';

SELECT rolname, kind, may, more, count(*)
FROM readers GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4;

SET ROLE regress_pooler_nobody;
SELECT count(*) FROM pooler.clients;
RESET ROLE;
GRANT USAGE ON SCHEMA pooler TO regress_pooler_nobody;
SET ROLE regress_pooler_nobody;
SELECT count(*) FROM pooler.clients;
SELECT count(*) FROM pooler.get_clients();
SET ROLE regress_pooler_monitor;
SELECT count(*) FROM pooler.clients;
SELECT count(*) FROM pooler.backends WHERE client_id IS NOT NULL;
SELECT count(*) FROM pooler.pools WHERE clients > 0;
SELECT count(*) FROM pooler.stats WHERE database IS NULL;
SELECT count(*) FROM pooler.status;
SELECT count(*) > 0 AS there FROM pooler.get_counters();
RESET ROLE;

DROP TABLE readers;
REVOKE USAGE ON SCHEMA pooler FROM regress_pooler_nobody;
DROP ROLE regress_pooler_nobody, regress_pooler_monitor;
