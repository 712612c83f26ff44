-- The roles and databases that rows.txt speaks of.
-- Run once, as a superuser, in a new cluster.

SET password_encryption = 'scram-sha-256';
CREATE ROLE alice LOGIN PASSWORD 'alice''s secret';
CREATE ROLE carol LOGIN NOINHERIT;
CREATE ROLE dave LOGIN PASSWORD 'dave' VALID UNTIL '2000-01-01';
CREATE ROLE eve NOLOGIN PASSWORD 'eve';
CREATE ROLE frank LOGIN PASSWORD 'frank' VALID UNTIL 'infinity';
CREATE ROLE boss SUPERUSER LOGIN PASSWORD 'boss';
SET password_encryption = 'md5';
CREATE ROLE bob LOGIN PASSWORD 'bob';

-- names that look like something else
CREATE ROLE "Alice" LOGIN;
CREATE ROLE "all" LOGIN;
CREATE ROLE "+staff" LOGIN;
CREATE ROLE "two words" LOGIN;
CREATE ROLE "a,b" LOGIN;
CREATE ROLE "#hash" LOGIN;
CREATE ROLE "@names" LOGIN;
CREATE ROLE "quo""te" LOGIN;
CREATE ROLE "/^al" LOGIN;
CREATE ROLE replication LOGIN;
CREATE ROLE sender LOGIN REPLICATION;

-- alice is in staff, staff in dept, dept in company; carol is in dept
CREATE ROLE staff;
CREATE ROLE dept;
CREATE ROLE company;
CREATE ROLE nobody_in;
CREATE ROLE "Staff";
GRANT staff TO alice;
GRANT dept TO staff;
GRANT company TO dept;
GRANT dept TO carol;
GRANT "Staff" TO bob;

-- a group that may itself log in
CREATE ROLE leads LOGIN;
GRANT leads TO frank;

CREATE DATABASE app;
CREATE DATABASE shop;
CREATE DATABASE alice;
CREATE DATABASE bob;
CREATE DATABASE "Alice";
CREATE DATABASE staff;
CREATE DATABASE dept;
CREATE DATABASE company;
CREATE DATABASE leads;
CREATE DATABASE "all";
CREATE DATABASE sameuser;
CREATE DATABASE samerole;
CREATE DATABASE replication;
CREATE DATABASE "two words";
CREATE DATABASE "a,b";
CREATE DATABASE "+staff";
CREATE DATABASE "app_1";
CREATE DATABASE "app_2";
CREATE DATABASE "app_22";

-- databases with rules of their own
CREATE DATABASE noconn ALLOW_CONNECTIONS false;
CREATE DATABASE closed;
REVOKE CONNECT ON DATABASE closed FROM PUBLIC;
CREATE DATABASE for_alice;
REVOKE CONNECT ON DATABASE for_alice FROM PUBLIC;
GRANT CONNECT ON DATABASE for_alice TO alice;
CREATE DATABASE for_dept;
REVOKE CONNECT ON DATABASE for_dept FROM PUBLIC;
GRANT CONNECT ON DATABASE for_dept TO dept;
CREATE DATABASE for_nobody OWNER bob;
REVOKE ALL ON DATABASE for_nobody FROM PUBLIC, bob;
CREATE DATABASE for_owner OWNER staff;
REVOKE ALL ON DATABASE for_owner FROM PUBLIC, staff;
GRANT CONNECT ON DATABASE for_owner TO pg_database_owner;
CREATE DATABASE temp_only;
REVOKE CONNECT ON DATABASE temp_only FROM PUBLIC;

-- an access list that is too long to be kept in the row
CREATE DATABASE many_grants;
REVOKE CONNECT ON DATABASE many_grants FROM PUBLIC;
DO $$
BEGIN
	FOR i IN 1..1000 LOOP
		EXECUTE format('CREATE ROLE grantee_%s', i);
		EXECUTE format('GRANT CONNECT ON DATABASE many_grants TO grantee_%s', i);
	END LOOP;
END
$$;
GRANT grantee_777 TO alice;
