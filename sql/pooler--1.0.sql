/* sql/pooler--1.0.sql */

-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION pooler" to load this file. \quit

/*
 * First of all, and in each update script the first statement: is the library
 * new enough for what follows?
 */
CREATE FUNCTION pooler.require_library(version text)
RETURNS void
AS 'MODULE_PATHNAME', 'pooler_require_library'
LANGUAGE C STRICT VOLATILE;

REVOKE ALL ON FUNCTION pooler.require_library(text) FROM PUBLIC;
COMMENT ON FUNCTION pooler.require_library(text) IS
'raises an error if the library that the server has loaded is older than this version of the extension; for its scripts';

SELECT pooler.require_library('1.0'::pg_catalog.text);

/*
 * What lies in shared memory.  Each view below takes its rows from one of
 * these functions.  They take no lock and can be asked at any time; what is
 * not known is NULL.
 */

CREATE FUNCTION pooler.get_clients(
	OUT id bigint,
	OUT pid integer,
	OUT protocol_pid integer,
	OUT dbid oid,
	OUT roleid oid,
	OUT database name,
	OUT role name,
	OUT application_name text,
	OUT client_addr inet,
	OUT client_port integer,
	OUT state text,
	OUT state_since timestamptz,
	OUT wait interval,
	OUT connected_at timestamptz,
	OUT transactions bigint,
	OUT pin_reason text,
	OUT pinned_since timestamptz,
	OUT bytes_received bigint,
	OUT bytes_sent bigint,
	OUT login_role name,
	OUT alias name,
	OUT tls_version text,
	OUT tls_cipher text)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'pooler_get_clients'
LANGUAGE C STRICT VOLATILE PARALLEL SAFE;

CREATE FUNCTION pooler.get_backends(
	OUT pid integer,
	OUT dbid oid,
	OUT roleid oid,
	OUT state text,
	OUT state_since timestamptz,
	OUT client_id bigint,
	OUT draining boolean,
	OUT in_copy boolean,
	OUT pin_reason text,
	OUT pinned_since timestamptz,
	OUT born_at timestamptz,
	OUT transactions bigint,
	OUT queries bigint,
	OUT errors bigint,
	OUT handovers bigint,
	OUT lingered bigint,
	OUT resets bigint,
	OUT transaction_us bigint,
	OUT query_us bigint)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'pooler_get_backends'
LANGUAGE C STRICT VOLATILE PARALLEL SAFE;

CREATE FUNCTION pooler.get_pools(
	OUT dbid oid,
	OUT roleid oid,
	OUT database name,
	OUT role name,
	OUT clients_idle integer,
	OUT clients_waiting integer,
	OUT clients_active integer,
	OUT longest_wait interval,
	OUT backends_starting integer,
	OUT backends_free integer,
	OUT backends_lingering integer,
	OUT backends_pinned integer,
	OUT backends_busy integer,
	OUT backends_ending integer,
	OUT size integer,
	OUT paused boolean,
	OUT dedicated boolean,
	OUT created_at timestamptz,
	OUT transactions bigint,
	OUT transaction_us bigint,
	OUT waits bigint,
	OUT wait_us bigint,
	OUT max_wait_us bigint)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'pooler_get_pools'
LANGUAGE C STRICT VOLATILE PARALLEL SAFE;

CREATE FUNCTION pooler.get_status(
	OUT pid integer,
	OUT started_at timestamptz,
	OUT starts bigint,
	OUT port integer,
	OUT socket_directory text,
	OUT clients integer,
	OUT max_clients integer,
	OUT backends integer,
	OUT max_backends integer,
	OUT session_memory bigint,
	OUT prepared_statements bigint,
	OUT prepared_statements_memory bigint,
	OUT prepared_statements_evicted bigint,
	OUT state text,
	OUT stats_reset timestamptz)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'pooler_get_status'
LANGUAGE C STRICT VOLATILE PARALLEL SAFE ROWS 1;

CREATE FUNCTION pooler.get_tls_workers(
	OUT number integer,
	OUT pid integer,
	OUT state text,
	OUT loaded_at timestamptz,
	OUT connections integer,
	OUT max_connections integer,
	OUT handshakes bigint,
	OUT failures bigint)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'pooler_get_tls_workers'
LANGUAGE C STRICT VOLATILE PARALLEL SAFE ROWS 4;

CREATE FUNCTION pooler.get_counters(
	OUT name text,
	OUT scope text,
	OUT kind text,
	OUT unit text,
	OUT help text)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'pooler_get_counters'
LANGUAGE C STRICT VOLATILE PARALLEL SAFE ROWS 30;

CREATE FUNCTION pooler.get_stats(
	OUT dbid oid,
	OUT roleid oid,
	OUT database name,
	OUT role name,
	OUT name text,
	OUT value bigint)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'pooler_get_stats'
LANGUAGE C STRICT VOLATILE PARALLEL SAFE;

CREATE FUNCTION pooler.get_totals(
	OUT name text,
	OUT value bigint)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'pooler_get_totals'
LANGUAGE C STRICT VOLATILE PARALLEL SAFE ROWS 80;

CREATE FUNCTION pooler.get_times(
	OUT level text,
	OUT dbid oid,
	OUT roleid oid,
	OUT database name,
	OUT role name,
	OUT kind text,
	OUT count bigint,
	OUT sum_us bigint,
	OUT p50_us bigint,
	OUT p90_us bigint,
	OUT p95_us bigint,
	OUT p99_us bigint,
	OUT max_us bigint)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'pooler_get_times'
LANGUAGE C STRICT VOLATILE PARALLEL SAFE;

CREATE FUNCTION pooler.get_prepared_statements(
	OUT id bigint,
	OUT dbid oid,
	OUT query text,
	OUT parameter_types regtype[],
	OUT from_sql boolean,
	OUT holders integer,
	OUT memory bigint)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'pooler_get_prepared_statements'
LANGUAGE C STRICT VOLATILE PARALLEL SAFE;

CREATE FUNCTION pooler.import_pgbouncer(
	ini text,
	userlist text DEFAULT NULL,
	OUT source text,
	OUT line integer,
	OUT item text,
	OUT kind text,
	OUT statement text,
	OUT reason text,
	OUT action text)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'pooler_import_pgbouncer'
LANGUAGE C VOLATILE PARALLEL RESTRICTED ROWS 100;

CREATE FUNCTION pooler.get_cores()
RETURNS integer
AS 'MODULE_PATHNAME', 'pooler_get_cores'
LANGUAGE C STRICT STABLE PARALLEL SAFE;

CREATE FUNCTION pooler.get_databases(
	OUT dbid oid,
	OUT paused boolean,
	OUT disabled boolean)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'pooler_get_databases'
LANGUAGE C STRICT VOLATILE PARALLEL SAFE ROWS 10;

CREATE FUNCTION pooler.get_leaks(
	ended boolean,
	OUT id bigint,
	OUT kind text,
	OUT severity text,
	OUT client_id bigint,
	OUT pid integer,
	OUT dbid oid,
	OUT roleid oid,
	OUT database name,
	OUT role name,
	OUT application_name text,
	OUT client_addr inet,
	OUT client_port integer,
	OUT held_since timestamptz,
	OUT found_at timestamptz,
	OUT ended_at timestamptz,
	OUT ended_by text,
	OUT clients_waiting integer,
	OUT max_clients_waiting integer,
	OUT pin_reason text,
	OUT cursors integer,
	OUT cursor_names text,
	OUT session_locks integer,
	OUT temp_objects integer,
	OUT temp_bytes bigint,
	OUT amount bigint,
	OUT locks text,
	OUT xmin_age integer,
	OUT first_query text,
	OUT last_query text,
	OUT query_id bigint,
	OUT threshold text,
	OUT action text)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'pooler_get_leaks'
LANGUAGE C STRICT VOLATILE PARALLEL SAFE ROWS 10;

CREATE FUNCTION pooler.get_leak_counts(
	OUT kind text,
	OUT dbid oid,
	OUT roleid oid,
	OUT database name,
	OUT role name,
	OUT application_name text,
	OUT query_id bigint,
	OUT query text,
	OUT leaks bigint,
	OUT first_at timestamptz,
	OUT last_at timestamptz,
	OUT held_us bigint,
	OUT max_held_us bigint)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'pooler_get_leak_counts'
LANGUAGE C STRICT VOLATILE PARALLEL SAFE ROWS 100;

CREATE FUNCTION pooler.get_holdings(
	OUT client_id bigint,
	OUT pid integer,
	OUT first_query text,
	OUT first_query_id bigint,
	OUT cursors bigint,
	OUT cursors_grown bigint,
	OUT cursor_names text,
	OUT session_locks bigint,
	OUT session_locks_grown bigint,
	OUT temp_objects bigint,
	OUT temp_objects_grown bigint,
	OUT temp_bytes bigint,
	OUT prepared_statements bigint,
	OUT prepared_statements_grown bigint)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'pooler_get_holdings'
LANGUAGE C STRICT VOLATILE PARALLEL SAFE ROWS 100;

COMMENT ON FUNCTION pooler.get_holdings() IS
'What clients hold, whether it is a leak or not; *_grown: by how many that is more than the fewest since their number last fell';
COMMENT ON FUNCTION pooler.get_leaks(boolean) IS
'Leaks: the current ones (false), or those that have ended (true); see the views pooler.leaks and pooler.leak_history';
COMMENT ON FUNCTION pooler.get_leak_counts() IS
'How many leaks there were; see the view pooler.leak_counts';
COMMENT ON FUNCTION pooler.get_clients() IS
'Clients connected to the pooler; see the view pooler.clients';
COMMENT ON FUNCTION pooler.get_backends() IS
'Backends of the pooler; see the view pooler.backends';
COMMENT ON FUNCTION pooler.get_pools() IS
'Pools of backends; see the view pooler.pools';
COMMENT ON FUNCTION pooler.get_status() IS
'The pooler itself; see the view pooler.status';
COMMENT ON FUNCTION pooler.get_tls_workers() IS
'Processes that encrypt and decrypt for clients; see the view pooler.tls_workers';
COMMENT ON FUNCTION pooler.get_databases() IS
'Databases that are paused or disabled by name, and (dbid is NULL) whether all are; see the view pooler.databases';
COMMENT ON FUNCTION pooler.get_counters() IS
'What the pooler counts: name, scope (pool: for each pool; pooler: only for the pooler as a whole), kind (sum: since the pool was made; max: the largest single value), unit (us: microseconds; bytes; NULL: a number) and meaning of each counter';
COMMENT ON FUNCTION pooler.get_stats() IS
'Counters of each pool, a row for each; see the view pooler.stats';
COMMENT ON FUNCTION pooler.get_totals() IS
'Counters over all pools, a row for each; see the view pooler.status';
COMMENT ON FUNCTION pooler.import_pgbouncer(text, text) IS
'Converts the text of pgbouncer.ini and userlist.txt, and executes nothing. source: the argument that the row is about (ini, userlist); line: its line, NULL if it is about all; item: parameter, database or role, with its option; kind (statement: to be run; note: has no counterpart, or needs a decision; error: can''t be converted); statement: to be run in the order of the rows; reason: why there is none, or what to know about it; action: what to do instead';

COMMENT ON FUNCTION pooler.get_times() IS
'How long waits, transactions and logins took, by pool, database and role and in total; see the view pooler.latency';
COMMENT ON FUNCTION pooler.get_prepared_statements() IS
'Prepared statements that clients have in common; see the view pooler.prepared_statements';

/*
 * Databases and roles are shown with the names that they have now, and with
 * the name that was logged in with if they have gone.
 *
 * Where an operator has no variant in pg_catalog for just these types, the
 * operands are cast to types for which it has one: a schema "pooler" that
 * was there before may hold anything, also an operator that fits better.
 */

CREATE VIEW pooler.clients AS
SELECT c.id,
	   c.pid,
	   c.protocol_pid,
	   c.state,
	   c.state_since,
	   c.wait,
	   c.pin_reason,
	   c.pinned_since,
	   coalesce(d.datname, c.database) AS database,
	   coalesce(r.rolname, c.role) AS role,
	   c.application_name,
	   c.client_addr,
	   c.client_port,
	   c.connected_at,
	   c.transactions,
	   c.bytes_received,
	   c.bytes_sent,
	   c.login_role,
	   c.alias,
	   c.tls_version,
	   c.tls_cipher,
	   c.dbid,
	   c.roleid
FROM pooler.get_clients() AS c
	 LEFT JOIN pg_catalog.pg_database AS d ON d.oid = c.dbid
	 LEFT JOIN pg_catalog.pg_roles AS r ON r.oid = c.roleid;

COMMENT ON VIEW pooler.clients IS
'Who is connected to the pooler: a row for each client';
COMMENT ON COLUMN pooler.clients.id IS
'Number of the client; none is given twice while the server runs';
COMMENT ON COLUMN pooler.clients.pid IS
'Process ID of the backend that is attached to the client, or of its walsender, as in pg_stat_activity.pid; NULL if it has none';
COMMENT ON COLUMN pooler.clients.protocol_pid IS
'Process ID that the client was told at login, as drivers report it (PQbackendPID) and cancel requests name it; no process has it; NULL until the client has logged in';
COMMENT ON COLUMN pooler.clients.state IS
'login: has not logged in yet; idle: the client owes the next command (pid is set if its last backend still watches it); pinned: as idle, but its session keeps the backend, because of pin_reason; waiting: sent a command and waits for a backend; handover: is being handed to a backend; active: has a backend, with a command under way or a transaction open (pg_stat_activity.state of that pid tells which); lost: its backend has ended, which the pooler is about to settle; console: is on the admin console; replication: has a walsender, which is pid, for as long as it is connected';
COMMENT ON COLUMN pooler.clients.state_since IS
'When the client was last handed over, gave its backend back, or began to wait; NULL if not known';
COMMENT ON COLUMN pooler.clients.wait IS
'How long the client has been waiting for a backend; NULL unless state is waiting';
COMMENT ON COLUMN pooler.clients.pin_reason IS
'What keeps the backend with this client also between transactions: temporary objects, session locks, listen, holdable cursors, base backup, replication origin, temporary slots, pool_mode, prepared statements (their memory is used up) or pipelining (more commands were sent before the result of the last one); NULL if nothing does';
COMMENT ON COLUMN pooler.clients.pinned_since IS
'Since when something has kept the backend with this client; NULL if nothing does';
COMMENT ON COLUMN pooler.clients.database IS
'Database; NULL until the client has logged in, and for physical replication';
COMMENT ON COLUMN pooler.clients.role IS
'Role that the client works as; NULL until it has logged in';
COMMENT ON COLUMN pooler.clients.application_name IS
'application_name of the client; NULL if none';
COMMENT ON COLUMN pooler.clients.client_addr IS
'IP address of the client; NULL if it is connected by a Unix socket';
COMMENT ON COLUMN pooler.clients.client_port IS
'TCP port of the client; -1 if it is connected by a Unix socket';
COMMENT ON COLUMN pooler.clients.connected_at IS
'When the connection was accepted';
COMMENT ON COLUMN pooler.clients.transactions IS
'Transactions of this client that ended';
COMMENT ON COLUMN pooler.clients.bytes_received IS
'Bytes that came from the client, as the kernel had counted them about a second ago (with TLS, encrypted); NULL if it is connected by a Unix socket, or has not logged in';
COMMENT ON COLUMN pooler.clients.bytes_sent IS
'Bytes that were sent to the client; otherwise as bytes_received';
COMMENT ON COLUMN pooler.clients.login_role IS
'Role that the client logged in as, which an alias can make another one than role; NULL until it has logged in';
COMMENT ON COLUMN pooler.clients.alias IS
'Name by which the client called the database, if that is one of pooler.aliases; NULL if not';
COMMENT ON COLUMN pooler.clients.tls_version IS
'Version of TLS, such as TLSv1.3; NULL if the client does not use TLS, or has not logged in';
COMMENT ON COLUMN pooler.clients.tls_cipher IS
'Cipher suite that TLS uses; NULL as tls_version';
COMMENT ON COLUMN pooler.clients.dbid IS
'OID of the database; NULL until the client has logged in, on the console and for replication';
COMMENT ON COLUMN pooler.clients.roleid IS
'OID of the role; NULL until the client has logged in, on the console and for replication';

CREATE VIEW pooler.tls_workers AS
SELECT * FROM pooler.get_tls_workers();

COMMENT ON VIEW pooler.tls_workers IS
'Processes that encrypt and decrypt for clients: a row for each of pooler.tls_workers';
COMMENT ON COLUMN pooler.tls_workers.number IS
'Number of the process';
COMMENT ON COLUMN pooler.tls_workers.pid IS
'Process ID; NULL if it is not running';
COMMENT ON COLUMN pooler.tls_workers.state IS
'ready: has a certificate and takes clients; off: ssl is off, or could not be turned on; starting: is being started, or ends';
COMMENT ON COLUMN pooler.tls_workers.loaded_at IS
'When certificate, key and settings were loaded; NULL if they are not';
COMMENT ON COLUMN pooler.tls_workers.connections IS
'Connections that it has';
COMMENT ON COLUMN pooler.tls_workers.max_connections IS
'Connections that it can have, by the limit on open files';
COMMENT ON COLUMN pooler.tls_workers.handshakes IS
'Handshakes that were completed since the server started';
COMMENT ON COLUMN pooler.tls_workers.failures IS
'Handshakes that failed since the server started; the log has the reasons';

CREATE VIEW pooler.backends AS
SELECT b.pid,
	   d.datname AS database,
	   r.rolname AS role,
	   b.state,
	   b.state_since,
	   b.client_id,
	   b.draining,
	   b.in_copy,
	   b.pin_reason,
	   b.pinned_since,
	   b.born_at,
	   b.transactions,
	   b.queries,
	   b.errors,
	   b.handovers,
	   b.lingered,
	   b.resets,
	   b.transaction_us::double precision * interval '1 microsecond' AS transaction_time,
	   b.query_us::double precision * interval '1 microsecond' AS query_time,
	   b.dbid,
	   b.roleid
FROM pooler.get_backends() AS b
	 LEFT JOIN pg_catalog.pg_database AS d ON d.oid = b.dbid
	 LEFT JOIN pg_catalog.pg_roles AS r ON r.oid = b.roleid;

COMMENT ON VIEW pooler.backends IS
'Backends of the pooler: a row for each, also while it starts or ends';
COMMENT ON COLUMN pooler.backends.pid IS
'Process ID, as in pg_stat_activity.pid; NULL if not known yet';
COMMENT ON COLUMN pooler.backends.database IS
'Database; NULL if not known yet';
COMMENT ON COLUMN pooler.backends.role IS
'Role; NULL if not known yet or dropped';
COMMENT ON COLUMN pooler.backends.state IS
'starting: is not ready yet; free: idle and without a client; lingering: idle, watches its last client, and can be had by others; pinned: idle, but its client''s session can''t leave it; busy: works for its client or is in its transaction; taking: looks for the next client in the queue; claimed: is about to get a client or an order from the pooler; cancelling: busy, and a cancel request for it is being carried out; ending: the process is about to end, or has ended';
COMMENT ON COLUMN pooler.backends.state_since IS
'When the backend last began or ended work for a client; NULL if not known';
COMMENT ON COLUMN pooler.backends.client_id IS
'Client that is attached, as in pooler.clients.id; NULL if none';
COMMENT ON COLUMN pooler.backends.draining IS
'True if the backend ends as soon as it is idle, because its pool is renewed or the pooler was started again';
COMMENT ON COLUMN pooler.backends.in_copy IS
'True while the backend reads COPY data from its client';
COMMENT ON COLUMN pooler.backends.pin_reason IS
'What keeps its client on this backend also between transactions, as in pooler.clients; NULL if nothing does';
COMMENT ON COLUMN pooler.backends.pinned_since IS
'Since when; NULL if nothing does';
COMMENT ON COLUMN pooler.backends.born_at IS
'When the pooler began to start it';
COMMENT ON COLUMN pooler.backends.transactions IS
'Transactions that ended on this backend';
COMMENT ON COLUMN pooler.backends.queries IS
'Commands that completed on this backend';
COMMENT ON COLUMN pooler.backends.errors IS
'Errors that this backend reported to clients';
COMMENT ON COLUMN pooler.backends.handovers IS
'Times a client was handed to this backend';
COMMENT ON COLUMN pooler.backends.lingered IS
'Transactions that found their client still attached to this backend';
COMMENT ON COLUMN pooler.backends.resets IS
'Times this backend was cleared of what kept it with a client that has left';
COMMENT ON COLUMN pooler.backends.transaction_time IS
'Time this backend worked for clients, time idle in transactions included';
COMMENT ON COLUMN pooler.backends.query_time IS
'Time this backend worked for clients, without time idle in transactions';
COMMENT ON COLUMN pooler.backends.dbid IS
'OID of the database; NULL if not known yet';
COMMENT ON COLUMN pooler.backends.roleid IS
'OID of the role; NULL if not known yet';

CREATE VIEW pooler.pools AS
SELECT coalesce(d.datname, p.database) AS database,
	   coalesce(r.rolname, p.role) AS role,
	   p.clients_idle + p.clients_waiting + p.clients_active AS clients,
	   p.clients_idle,
	   p.clients_waiting,
	   p.clients_active,
	   p.longest_wait,
	   p.backends_starting + p.backends_free + p.backends_lingering +
	   p.backends_pinned + p.backends_busy + p.backends_ending AS backends,
	   p.backends_starting,
	   p.backends_free,
	   p.backends_lingering,
	   p.backends_pinned,
	   p.backends_busy,
	   p.backends_ending,
	   p.size,
	   (p.backends_pinned + p.backends_busy)::double precision / nullif(p.size, 0)::double precision AS utilisation,
	   p.paused,
	   p.dedicated,
	   p.transactions,
	   (p.transaction_us / nullif(p.transactions, 0))::double precision
	   * interval '1 microsecond' AS avg_transaction_time,
	   p.waits,
	   (p.wait_us / nullif(p.waits, 0))::double precision
	   * interval '1 microsecond' AS avg_wait_time,
	   CASE WHEN p.waits > 0
			THEN p.max_wait_us::double precision * interval '1 microsecond'
	   END AS max_wait_time,
	   p.created_at,
	   p.dbid,
	   p.roleid
FROM pooler.get_pools() AS p
	 LEFT JOIN pg_catalog.pg_database AS d ON d.oid = p.dbid
	 LEFT JOIN pg_catalog.pg_roles AS r ON r.oid = p.roleid;

COMMENT ON VIEW pooler.pools IS
'Pools: a row for each database and role that clients have used, and one for each client that needs a backend of its own';
COMMENT ON COLUMN pooler.pools.database IS
'Database';
COMMENT ON COLUMN pooler.pools.role IS
'Role';
COMMENT ON COLUMN pooler.pools.clients IS
'Clients that are logged in: clients_idle + clients_waiting + clients_active';
COMMENT ON COLUMN pooler.pools.clients_idle IS
'Clients outside a transaction that owe the next command';
COMMENT ON COLUMN pooler.pools.clients_waiting IS
'Clients that sent a command and wait for a backend';
COMMENT ON COLUMN pooler.pools.clients_active IS
'Clients that have a backend, or are being handed to one';
COMMENT ON COLUMN pooler.pools.longest_wait IS
'How long the first client in the queue has been waiting; NULL if none waits';
COMMENT ON COLUMN pooler.pools.backends IS
'Backends of the pool: the sum of the next six columns';
COMMENT ON COLUMN pooler.pools.backends_starting IS
'Backends that are being started';
COMMENT ON COLUMN pooler.pools.backends_free IS
'Backends that are idle and have no client';
COMMENT ON COLUMN pooler.pools.backends_lingering IS
'Backends that are idle, watch their last client, and can be had by others';
COMMENT ON COLUMN pooler.pools.backends_pinned IS
'Backends that are idle, but whose client''s session can''t leave them';
COMMENT ON COLUMN pooler.pools.backends_busy IS
'Backends that work for a client, are in its transaction (perhaps idle in it), or change clients';
COMMENT ON COLUMN pooler.pools.backends_ending IS
'Backends that are about to end, or have ended a moment ago';
COMMENT ON COLUMN pooler.pools.size IS
'Backends that the pool may have, without the reserve; NULL if not known yet';
COMMENT ON COLUMN pooler.pools.utilisation IS
'(backends_pinned + backends_busy) / size: 1 means that all are at work or kept, more that the reserve is used';
COMMENT ON COLUMN pooler.pools.paused IS
'True if the pool is paused: its clients wait, whatever is free';
COMMENT ON COLUMN pooler.pools.dedicated IS
'True if the pool is one client''s alone, which has connected with settings that only a starting backend can take';
COMMENT ON COLUMN pooler.pools.transactions IS
'Transactions that ended; NULL, as all that is counted, if there are so many pools that this one is counted with others';
COMMENT ON COLUMN pooler.pools.avg_transaction_time IS
'Average time a backend worked for a client per transaction, including time idle in it; NULL before the first one';
COMMENT ON COLUMN pooler.pools.waits IS
'Times a client had to wait for a backend; NULL, as all that is counted, if there are so many pools that this one is counted with others';
COMMENT ON COLUMN pooler.pools.avg_wait_time IS
'Average time of those waits that had an end; NULL if nobody ever waited';
COMMENT ON COLUMN pooler.pools.max_wait_time IS
'Longest of those waits; NULL if nobody ever waited';
COMMENT ON COLUMN pooler.pools.created_at IS
'When the pool was made; its counters start there';
COMMENT ON COLUMN pooler.pools.dbid IS
'OID of the database';
COMMENT ON COLUMN pooler.pools.roleid IS
'OID of the role';

CREATE VIEW pooler.databases AS
SELECT d.datname AS database,
	   a.paused OR coalesce(h.paused, false) AS paused,
	   coalesce(h.paused, false) AS paused_by_name,
	   coalesce(h.disabled, false) AS disabled,
	   coalesce(p.clients, 0) AS clients,
	   coalesce(p.clients_waiting, 0) AS clients_waiting,
	   coalesce(p.backends, 0) AS backends,
	   d.oid AS dbid
FROM pg_catalog.pg_database AS d
	 LEFT JOIN pooler.get_databases() AS a ON a.dbid IS NULL
	 LEFT JOIN pooler.get_databases() AS h ON h.dbid = d.oid
	 LEFT JOIN (SELECT dbid,
					   sum(clients_idle + clients_waiting + clients_active)::integer AS clients,
					   sum(clients_waiting)::integer AS clients_waiting,
					   sum(backends_starting + backends_free + backends_lingering +
						   backends_pinned + backends_busy + backends_ending)::integer AS backends
				FROM pooler.get_pools()
				GROUP BY dbid) AS p ON p.dbid = d.oid
WHERE d.datallowconn;

COMMENT ON VIEW pooler.databases IS
'Databases that can be connected to: a row for each, whether clients have used it or not';
COMMENT ON COLUMN pooler.databases.database IS
'Database';
COMMENT ON COLUMN pooler.databases.paused IS
'True if its clients wait because it is paused, by itself or with all databases';
COMMENT ON COLUMN pooler.databases.paused_by_name IS
'True if it was paused by its name, and has to be resumed by it';
COMMENT ON COLUMN pooler.databases.disabled IS
'True if it takes no new clients';
COMMENT ON COLUMN pooler.databases.clients IS
'Clients that are logged in';
COMMENT ON COLUMN pooler.databases.clients_waiting IS
'Clients that sent a command and wait for a backend';
COMMENT ON COLUMN pooler.databases.backends IS
'Backends of its pools, those that start or end included';
COMMENT ON COLUMN pooler.databases.dbid IS
'OID of the database';

/*
 * Views with a column for each counter, made from the one table in stats.c, and
 * commented with its help.  Times are intervals: wait_us is wait_time there.
 */
CREATE FUNCTION pooler.list_counters(
	OUT name text,
	OUT scope text,
	OUT kind text,
	OUT unit text,
	OUT help text)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'pooler_list_counters'
LANGUAGE C STRICT VOLATILE;

DO $do$
DECLARE
	counter record;
	view_name text;
	line text;
	pool_columns text := '';	-- with a comma behind each
	pool_sums text := '';
	all_columns text := '';
	all_values text := '';
BEGIN
	FOR counter IN
		SELECT c.*,
			   CASE c.unit WHEN 'us' THEN pg_catalog.regexp_replace(c.name, '_us$', '_time')
							ELSE c.name END AS column_name
		FROM pooler.list_counters() AS c
	LOOP
		line := pg_catalog.format(CASE counter.unit
			WHEN 'us' THEN 's.%I::double precision * interval ''1 microsecond'' AS %I, '
			ELSE 's.%I AS %I, ' END, counter.name, counter.column_name);
		all_columns := pg_catalog.concat(all_columns, line);
		all_values := pg_catalog.concat(all_values, pg_catalog.format(
			'pg_catalog.max(value) FILTER (WHERE name = %L) AS %I, ', counter.name, counter.name));
		CONTINUE WHEN counter.scope <> 'pool';
		pool_columns := pg_catalog.concat(pool_columns, line);
		pool_sums := pg_catalog.concat(pool_sums, pg_catalog.format(
			'pg_catalog.%s(value) FILTER (WHERE name = %L)::bigint AS %I, ',
			counter.kind, counter.name, counter.name));
	END LOOP;

	EXECUTE pg_catalog.format($view$
		CREATE VIEW pooler.stats AS
		SELECT coalesce(d.datname, s.database) AS database,
			   coalesce(r.rolname, s.role) AS role,
			   %s s.dbid, s.roleid
		FROM (SELECT %s dbid, roleid, database, role
			  FROM pooler.get_stats()
			  GROUP BY dbid, roleid, database, role) AS s
			 LEFT JOIN pg_catalog.pg_database AS d ON d.oid = s.dbid
			 LEFT JOIN pg_catalog.pg_roles AS r ON r.oid = s.roleid
		$view$, pool_columns, pool_sums);
	EXECUTE pg_catalog.format($view$
		CREATE VIEW pooler.stats_by_database AS
		SELECT coalesce(d.datname, s.database) AS database, %s s.dbid
		FROM (SELECT %s dbid, pg_catalog.max(database::text)::name AS database
			  FROM pooler.get_stats() WHERE dbid IS NOT NULL
			  GROUP BY dbid) AS s
			 LEFT JOIN pg_catalog.pg_database AS d ON d.oid = s.dbid
		$view$, pool_columns, pool_sums);
	EXECUTE pg_catalog.format($view$
		CREATE VIEW pooler.stats_by_role AS
		SELECT coalesce(r.rolname, s.role) AS role, %s s.roleid
		FROM (SELECT %s roleid, pg_catalog.max(role::text)::name AS role
			  FROM pooler.get_stats() WHERE roleid IS NOT NULL
			  GROUP BY roleid) AS s
			 LEFT JOIN pg_catalog.pg_roles AS r ON r.oid = s.roleid
		$view$, pool_columns, pool_sums);
	EXECUTE pg_catalog.format($view$
		CREATE VIEW pooler.status AS
		SELECT p.*, %s
		FROM pooler.get_status() AS p,
			 (SELECT %s FROM pooler.get_totals()) AS s
		$view$, pg_catalog.rtrim(all_columns, ', '), pg_catalog.rtrim(all_values, ', '));

	FOREACH view_name IN ARRAY ARRAY['stats', 'stats_by_database', 'stats_by_role', 'status']
	LOOP
		FOR counter IN
			SELECT c.*,
				   CASE c.unit WHEN 'us' THEN pg_catalog.regexp_replace(c.name, '_us$', '_time')
								ELSE c.name END AS column_name
			FROM pooler.list_counters() AS c
			WHERE c.scope = 'pool' OR view_name = 'status'
		LOOP
			EXECUTE pg_catalog.format('COMMENT ON COLUMN pooler.%I.%I IS %L',
				view_name, counter.column_name, counter.help);
		END LOOP;
	END LOOP;
END $do$;

DROP FUNCTION pooler.list_counters();

COMMENT ON VIEW pooler.stats IS
'What was counted in each pool since it was made (pooler.pools.created_at): a row for each database and role. If database and role are NULL: what was counted in pools that are no more, and can''t be attributed to one; the sum of all rows is that of pooler.status';
COMMENT ON COLUMN pooler.stats.database IS
'Database';
COMMENT ON COLUMN pooler.stats.role IS
'Role';
COMMENT ON COLUMN pooler.stats.dbid IS
'OID of the database';
COMMENT ON COLUMN pooler.stats.roleid IS
'OID of the role';
COMMENT ON VIEW pooler.stats_by_database IS
'The same, a row for each database';
COMMENT ON COLUMN pooler.stats_by_database.database IS
'Database';
COMMENT ON COLUMN pooler.stats_by_database.dbid IS
'OID of the database';
COMMENT ON VIEW pooler.stats_by_role IS
'The same, a row for each role';
COMMENT ON COLUMN pooler.stats_by_role.role IS
'Role';
COMMENT ON COLUMN pooler.stats_by_role.roleid IS
'OID of the role';

COMMENT ON VIEW pooler.status IS
'The pooler as a whole: one row, with its limits and with all counters over all pools';
COMMENT ON COLUMN pooler.status.pid IS
'Process ID of the pooler; NULL if it is not running';
COMMENT ON COLUMN pooler.status.started_at IS
'When the pooler started; NULL if it is not running';
COMMENT ON COLUMN pooler.status.starts IS
'Times the pooler started since the server did: more than 1 means that it ended unexpectedly';
COMMENT ON COLUMN pooler.status.port IS
'Port that the pooler listens on; NULL if it does not listen';
COMMENT ON COLUMN pooler.status.socket_directory IS
'First directory that it has a Unix socket in; NULL if none';
COMMENT ON COLUMN pooler.status.clients IS
'Connections that the pooler has, those that are logging in included';
COMMENT ON COLUMN pooler.status.max_clients IS
'Clients that the pooler accepts: pooler.max_client_conn, or less if the limit on open files is too low; NULL if it never ran';
COMMENT ON COLUMN pooler.status.backends IS
'Backends that the pooler has, those that are starting or ending included';
COMMENT ON COLUMN pooler.status.max_backends IS
'Backends that all pools together may have';
COMMENT ON COLUMN pooler.status.session_memory IS
'Bytes that the sessions of all clients take; see pooler.session_memory';
COMMENT ON COLUMN pooler.status.prepared_statements IS
'Prepared statements that are kept, each once for all clients of a database';
COMMENT ON COLUMN pooler.status.prepared_statements_memory IS
'Bytes that they take; see pooler.prepared_statements_memory';
COMMENT ON COLUMN pooler.status.prepared_statements_evicted IS
'Prepared statements without a client that have made room for others';
COMMENT ON COLUMN pooler.status.state IS
'active; paused or suspended: by pooler.pause() or pooler.suspend() of all databases; closed: it does not listen, because of pooler.shutdown(), because the server shuts down, or because the port is taken; NULL if the pooler is not running';
COMMENT ON COLUMN pooler.status.stats_reset IS
'When pooler.reset_stats() was called last; NULL if it never was';
/*
 * How long things took.  Values of a histogram, whose error is one-sided: see
 * src/shared/histogram.h.
 */
CREATE VIEW pooler.latency AS
SELECT t.level,
	   coalesce(d.datname, t.database) AS database,
	   coalesce(r.rolname, t.role) AS role,
	   t.kind,
	   t.count,
	   (t.sum_us / nullif(t.count, 0))::double precision * interval '1 microsecond' AS avg,
	   t.p50_us::double precision * interval '1 microsecond' AS p50,
	   t.p90_us::double precision * interval '1 microsecond' AS p90,
	   t.p95_us::double precision * interval '1 microsecond' AS p95,
	   t.p99_us::double precision * interval '1 microsecond' AS p99,
	   t.max_us::double precision * interval '1 microsecond' AS max,
	   t.dbid,
	   t.roleid
FROM pooler.get_times() AS t
	 LEFT JOIN pg_catalog.pg_database AS d ON d.oid = t.dbid
	 LEFT JOIN pg_catalog.pg_roles AS r ON r.oid = t.roleid;

COMMENT ON VIEW pooler.latency IS
'How long waits, transactions and logins took: for each pool, each database, each role, and in total, a row for each of the three';
COMMENT ON COLUMN pooler.latency.level IS
'pool: of one database and role; database; role; total: of the whole pooler, pools that are no more included';
COMMENT ON COLUMN pooler.latency.database IS
'Database; NULL: of all';
COMMENT ON COLUMN pooler.latency.role IS
'Role; NULL: of all';
COMMENT ON COLUMN pooler.latency.kind IS
'wait: for a backend, of those who had to wait; transaction: from its first command to the end, time idle in it included; login: from the acceptance of a connection to the end of the login, the time that the client took included';
COMMENT ON COLUMN pooler.latency.count IS
'How many there were';
COMMENT ON COLUMN pooler.latency.avg IS
'Their average; NULL if there was none';
COMMENT ON COLUMN pooler.latency.p50 IS
'Half of them took no longer. Never less than the true value, and at most an eighth more; NULL if there was none';
COMMENT ON COLUMN pooler.latency.p90 IS
'90 % of them took no longer, with the same precision';
COMMENT ON COLUMN pooler.latency.p95 IS
'95 % of them took no longer, with the same precision';
COMMENT ON COLUMN pooler.latency.p99 IS
'99 % of them took no longer, with the same precision';
COMMENT ON COLUMN pooler.latency.max IS
'The longest, exactly; NULL if there was none';
COMMENT ON COLUMN pooler.latency.dbid IS
'OID of the database; NULL: of all';
COMMENT ON COLUMN pooler.latency.roleid IS
'OID of the role; NULL: of all';

/*
 * Locks are looked at only for those that wait for one, as that stops others
 * who want one for a moment.
 */
CREATE VIEW pooler.holders AS
SELECT b.pid,
	   b.client_id,
	   d.datname AS database,
	   r.rolname AS role,
	   c.application_name,
	   c.client_addr,
	   c.client_port,
	   b.pin_reason,
	   b.since AS held_since,
	   clock_timestamp() - b.since AS held_for,
	   a.xact_start,
	   clock_timestamp() - a.xact_start AS transaction_age,
	   a.state,
	   a.wait_event_type,
	   a.wait_event,
	   CASE WHEN a.wait_event_type = 'Lock' THEN
		   (SELECT pg_catalog.concat_ws(' ', l.mode, 'on', l.locktype,
					   CASE WHEN l.relation IS NULL THEN NULL
							WHEN l.database = (SELECT oid FROM pg_catalog.pg_database
											   WHERE datname = pg_catalog.current_database())
							THEN l.relation::regclass::text
							ELSE l.relation::text END,
					   l.transactionid::text)
			FROM pg_catalog.pg_locks AS l
			WHERE l.pid = b.pid AND NOT l.granted
			LIMIT 1)
	   END AS waits_for_lock,
	   CASE WHEN a.wait_event_type = 'Lock'
			THEN pg_catalog.pg_blocking_pids(b.pid) END AS blocked_by,
	   a.query,
	   coalesce(p.clients_waiting, 0) AS clients_waiting,
	   b.dbid,
	   b.roleid
FROM (SELECT *, CASE WHEN pinned_since < state_since THEN pinned_since
					 ELSE state_since END AS since
	  FROM pooler.get_backends()
	  WHERE state IN ('busy', 'cancelling', 'pinned')) AS b
	 LEFT JOIN pooler.get_clients() AS c ON c.id = b.client_id
	 LEFT JOIN (SELECT dbid, roleid, pg_catalog.sum(clients_waiting)::integer AS clients_waiting
				FROM pooler.get_pools()
				GROUP BY dbid, roleid) AS p ON p.dbid = b.dbid AND p.roleid = b.roleid
	 LEFT JOIN pg_catalog.pg_stat_activity AS a ON a.pid = b.pid
	 LEFT JOIN pg_catalog.pg_database AS d ON d.oid = b.dbid
	 LEFT JOIN pg_catalog.pg_roles AS r ON r.oid = b.roleid;

COMMENT ON VIEW pooler.holders IS
'Who has a backend and keeps it from others: a row for each backend that works for a client, is in its transaction, or is kept by its session';
COMMENT ON COLUMN pooler.holders.pid IS
'Process ID of the backend, as in pg_stat_activity.pid';
COMMENT ON COLUMN pooler.holders.client_id IS
'Client that has it (pooler.clients.id); NULL if that has just changed';
COMMENT ON COLUMN pooler.holders.database IS
'Database';
COMMENT ON COLUMN pooler.holders.role IS
'Role';
COMMENT ON COLUMN pooler.holders.application_name IS
'application_name of the client; NULL if none';
COMMENT ON COLUMN pooler.holders.client_addr IS
'IP address of the client; NULL if it is connected by a Unix socket';
COMMENT ON COLUMN pooler.holders.client_port IS
'TCP port of the client; -1 if it is connected by a Unix socket';
COMMENT ON COLUMN pooler.holders.pin_reason IS
'What keeps the backend with the client also between transactions, as in pooler.clients; NULL if nothing does';
COMMENT ON COLUMN pooler.holders.held_since IS
'Since when the client has had the backend: since its transaction began, or something has kept the session there';
COMMENT ON COLUMN pooler.holders.held_for IS
'How long that is';
COMMENT ON COLUMN pooler.holders.xact_start IS
'When its transaction began, as in pg_stat_activity; NULL if none is open';
COMMENT ON COLUMN pooler.holders.transaction_age IS
'How old the transaction is; NULL if none is open';
COMMENT ON COLUMN pooler.holders.state IS
'As in pg_stat_activity: active, idle in transaction, ...';
COMMENT ON COLUMN pooler.holders.wait_event_type IS
'What it waits for, as in pg_stat_activity; NULL if it does not wait';
COMMENT ON COLUMN pooler.holders.wait_event IS
'What it waits for, as in pg_stat_activity; NULL if it does not wait';
COMMENT ON COLUMN pooler.holders.waits_for_lock IS
'The lock that it waits for: mode, kind, and relation (by its OID if it is in another database) or transaction; NULL if it waits for none';
COMMENT ON COLUMN pooler.holders.blocked_by IS
'Process IDs of those who hold that lock or are before it in the queue, whether they are of a pool or not; NULL if it waits for none';
COMMENT ON COLUMN pooler.holders.query IS
'Its last query, or the one that is running';
COMMENT ON COLUMN pooler.holders.clients_waiting IS
'Clients of the same database and role that wait for a backend';
COMMENT ON COLUMN pooler.holders.dbid IS
'OID of the database';
COMMENT ON COLUMN pooler.holders.roleid IS
'OID of the role';

CREATE VIEW pooler.waits AS
WITH waiting AS MATERIALIZED (
	SELECT *, pg_catalog.row_number() OVER (PARTITION BY dbid, roleid
											ORDER BY wait DESC) AS position
	FROM pooler.get_clients()
	WHERE state = 'waiting'
), holding AS MATERIALIZED (
	SELECT *, pg_catalog.row_number() OVER (PARTITION BY dbid, roleid
											ORDER BY held_since) AS position,
		   pg_catalog.count(*) OVER (PARTITION BY dbid, roleid) AS holders
	FROM pooler.holders
	WHERE EXISTS (SELECT FROM waiting)
)
SELECT w.id AS client_id,
	   coalesce(d.datname, w.database) AS database,
	   coalesce(r.rolname, w.role) AS role,
	   w.application_name,
	   w.client_addr,
	   w.client_port,
	   w.wait,
	   w.position,
	   coalesce(h.holders, 0) AS holders,
	   h.pid AS holder_pid,
	   h.client_id AS holder_client_id,
	   h.application_name AS holder_application_name,
	   h.held_for AS holder_held_for,
	   h.transaction_age AS holder_transaction_age,
	   h.state AS holder_state,
	   h.pin_reason AS holder_pin_reason,
	   h.wait_event_type AS holder_wait_event_type,
	   h.wait_event AS holder_wait_event,
	   h.waits_for_lock AS holder_waits_for_lock,
	   h.blocked_by AS holder_blocked_by,
	   h.query AS holder_query,
	   w.dbid,
	   w.roleid
FROM waiting AS w
	 LEFT JOIN holding AS h ON h.dbid = w.dbid AND h.roleid = w.roleid AND h.position = 1
	 LEFT JOIN pg_catalog.pg_database AS d ON d.oid = w.dbid
	 LEFT JOIN pg_catalog.pg_roles AS r ON r.oid = w.roleid;

COMMENT ON VIEW pooler.waits IS
'Who waits for a backend now, and because of whom: a row for each client that waits, with the one that has had a backend of its pool for the longest time. All of those are in pooler.holders';
COMMENT ON COLUMN pooler.waits.client_id IS
'Client that waits (pooler.clients.id)';
COMMENT ON COLUMN pooler.waits.database IS
'Database';
COMMENT ON COLUMN pooler.waits.role IS
'Role';
COMMENT ON COLUMN pooler.waits.application_name IS
'application_name of the client; NULL if none';
COMMENT ON COLUMN pooler.waits.client_addr IS
'IP address of the client; NULL if it is connected by a Unix socket';
COMMENT ON COLUMN pooler.waits.client_port IS
'TCP port of the client; -1 if it is connected by a Unix socket';
COMMENT ON COLUMN pooler.waits.wait IS
'How long it has been waiting';
COMMENT ON COLUMN pooler.waits.position IS
'1 for the client that has waited longest in its pool';
COMMENT ON COLUMN pooler.waits.holders IS
'Backends of the pool that others have; 0: they are being started, or the pool is paused or may have none';
COMMENT ON COLUMN pooler.waits.holder_pid IS
'The one that has been held longest: its process ID; NULL if none is held';
COMMENT ON COLUMN pooler.waits.holder_client_id IS
'Client that holds it (pooler.clients.id)';
COMMENT ON COLUMN pooler.waits.holder_application_name IS
'application_name of that client';
COMMENT ON COLUMN pooler.waits.holder_held_for IS
'How long it has had it';
COMMENT ON COLUMN pooler.waits.holder_transaction_age IS
'How old its transaction is; NULL if none is open';
COMMENT ON COLUMN pooler.waits.holder_state IS
'Its state, as in pg_stat_activity';
COMMENT ON COLUMN pooler.waits.holder_pin_reason IS
'What keeps it there also between transactions; NULL if nothing does';
COMMENT ON COLUMN pooler.waits.holder_wait_event_type IS
'What it waits for itself, as in pg_stat_activity; NULL if it does not wait';
COMMENT ON COLUMN pooler.waits.holder_wait_event IS
'What it waits for itself, as in pg_stat_activity; NULL if it does not wait';
COMMENT ON COLUMN pooler.waits.holder_waits_for_lock IS
'The lock that it waits for, as in pooler.holders; NULL if none';
COMMENT ON COLUMN pooler.waits.holder_blocked_by IS
'Process IDs of those who keep that lock from it; NULL if none';
COMMENT ON COLUMN pooler.waits.holder_query IS
'Its last query, or the one that is running';
COMMENT ON COLUMN pooler.waits.dbid IS
'OID of the database';
COMMENT ON COLUMN pooler.waits.roleid IS
'OID of the role';

CREATE VIEW pooler.prepared_statements AS
SELECT s.id,
	   d.datname AS database,
	   s.query,
	   s.parameter_types,
	   s.from_sql,
	   s.holders,
	   s.memory,
	   s.dbid
FROM pooler.get_prepared_statements() AS s
	 LEFT JOIN pg_catalog.pg_database AS d ON d.oid = s.dbid;

COMMENT ON VIEW pooler.prepared_statements IS
'Named prepared statements that are kept for clients: a row for each, however many clients have prepared it. The same text may be there several times, if settings or types differ';
COMMENT ON COLUMN pooler.prepared_statements.id IS
'Number of the statement; none is given twice while the server runs';
COMMENT ON COLUMN pooler.prepared_statements.database IS
'Database';
COMMENT ON COLUMN pooler.prepared_statements.query IS
'Text of the statement';
COMMENT ON COLUMN pooler.prepared_statements.parameter_types IS
'Types of its parameters; NULL if it is of another database';
COMMENT ON COLUMN pooler.prepared_statements.from_sql IS
'True if it was prepared by PREPARE, false if by the protocol';
COMMENT ON COLUMN pooler.prepared_statements.holders IS
'References to it: names that clients carry, and backends that have just made one. 0: kept until the room is needed';
COMMENT ON COLUMN pooler.prepared_statements.memory IS
'Bytes that it takes in shared memory';
COMMENT ON COLUMN pooler.prepared_statements.dbid IS
'OID of the database';

CREATE VIEW pooler.pins AS
SELECT c.id AS client_id,
	   c.pid,
	   coalesce(d.datname, c.database) AS database,
	   coalesce(r.rolname, c.role) AS role,
	   c.application_name,
	   c.client_addr,
	   c.client_port,
	   c.pin_reason,
	   c.pinned_since,
	   clock_timestamp() - c.pinned_since AS pinned_for,
	   CASE WHEN c.state = 'pinned'
			THEN clock_timestamp() - c.state_since END AS idle_for,
	   coalesce(p.clients_waiting, 0) AS clients_waiting,
	   c.dbid,
	   c.roleid
FROM pooler.get_clients() AS c
	 LEFT JOIN (SELECT dbid, roleid, pg_catalog.sum(clients_waiting)::integer AS clients_waiting
				FROM pooler.get_pools()
				GROUP BY dbid, roleid) AS p ON p.dbid = c.dbid AND p.roleid = c.roleid
	 LEFT JOIN pg_catalog.pg_database AS d ON d.oid = c.dbid
	 LEFT JOIN pg_catalog.pg_roles AS r ON r.oid = c.roleid
WHERE c.pin_reason IS NOT NULL;

COMMENT ON VIEW pooler.pins IS
'Sessions that keep their backend also between transactions: a row for each client';
COMMENT ON COLUMN pooler.pins.client_id IS
'Client (pooler.clients.id)';
COMMENT ON COLUMN pooler.pins.pid IS
'Process ID of the backend, as in pg_stat_activity.pid';
COMMENT ON COLUMN pooler.pins.database IS
'Database';
COMMENT ON COLUMN pooler.pins.role IS
'Role';
COMMENT ON COLUMN pooler.pins.application_name IS
'application_name of the client; NULL if none';
COMMENT ON COLUMN pooler.pins.client_addr IS
'IP address of the client; NULL if it is connected by a Unix socket';
COMMENT ON COLUMN pooler.pins.client_port IS
'TCP port of the client; -1 if it is connected by a Unix socket';
COMMENT ON COLUMN pooler.pins.pin_reason IS
'What keeps the backend, as in pooler.clients: the first of several reasons';
COMMENT ON COLUMN pooler.pins.pinned_since IS
'Since when something has kept it';
COMMENT ON COLUMN pooler.pins.pinned_for IS
'How long that is';
COMMENT ON COLUMN pooler.pins.idle_for IS
'How long the client has had it without using it; NULL if it is in a transaction';
COMMENT ON COLUMN pooler.pins.clients_waiting IS
'Clients of the same database and role that wait for a backend';
COMMENT ON COLUMN pooler.pins.dbid IS
'OID of the database';
COMMENT ON COLUMN pooler.pins.roleid IS
'OID of the role';

CREATE VIEW pooler.pin_reasons AS
SELECT n.pin_reason,
	   pg_catalog.count(c.id) AS clients,
	   pg_catalog.max(clock_timestamp() - c.pinned_since) AS longest,
	   t.value AS pins
FROM (VALUES ('pins_temp', 'temporary objects'),
			 ('pins_locks', 'session locks'),
			 ('pins_listen', 'listen'),
			 ('pins_cursors', 'holdable cursors'),
			 ('pins_backup', 'base backup'),
			 ('pins_origin', 'replication origin'),
			 ('pins_slots', 'temporary slots'),
			 ('pins_mode', 'pool_mode'),
			 ('pins_statements', 'prepared statements'),
			 ('pins_pipeline', 'pipelining')) AS n (counter, pin_reason)
	 LEFT JOIN pooler.get_totals() AS t ON t.name = n.counter
	 LEFT JOIN pooler.get_clients() AS c ON c.pin_reason = n.pin_reason
GROUP BY n.pin_reason, t.value;

COMMENT ON VIEW pooler.pin_reasons IS
'What sessions keep their backend for: a row for each reason';
COMMENT ON COLUMN pooler.pin_reasons.pin_reason IS
'Reason, as in pooler.clients';
COMMENT ON COLUMN pooler.pin_reasons.clients IS
'Clients that keep their backend for it now';
COMMENT ON COLUMN pooler.pin_reasons.longest IS
'How long the first of them has; NULL if there is none';
COMMENT ON COLUMN pooler.pin_reasons.pins IS
'How often a session had to keep its backend for it so far';

CREATE VIEW pooler.logins AS
SELECT s.database,
	   s.role,
	   s.logins,
	   s.delegated_logins,
	   s.failed_logins,
	   s.failed_logins_authentication AS authentication,
	   s.failed_logins_rule AS rule,
	   s.failed_logins_role AS not_permitted_role,
	   s.failed_logins_database AS not_permitted_database,
	   s.failed_logins_limit AS too_many,
	   s.failed_logins_timeout AS timeout,
	   s.failed_logins_protocol AS protocol,
	   s.failed_logins_other AS other,
	   t.p50_us::double precision * interval '1 microsecond' AS p50,
	   t.p95_us::double precision * interval '1 microsecond' AS p95,
	   t.max_us::double precision * interval '1 microsecond' AS max,
	   s.dbid,
	   s.roleid
FROM pooler.stats AS s
	 LEFT JOIN pooler.get_times() AS t
	 ON t.level = 'pool' AND t.kind = 'login' AND t.dbid = s.dbid AND t.roleid = s.roleid;

COMMENT ON VIEW pooler.logins IS
'Logins and why they failed: a row for each pool. A login that failed counts for the database and the role that it named, if there is a pool of these, or else in the row without names. What did not get so far is in pooler.status: connections = logins + console_logins + replication_logins + failed_logins + abandoned_logins + cancel_requests';
COMMENT ON COLUMN pooler.logins.database IS
'Database; NULL: none that a pool is for';
COMMENT ON COLUMN pooler.logins.role IS
'Role; NULL: none that a pool is for';
COMMENT ON COLUMN pooler.logins.logins IS
'Clients that logged in';
COMMENT ON COLUMN pooler.logins.delegated_logins IS
'Those of them whose login was carried out by a backend';
COMMENT ON COLUMN pooler.logins.failed_logins IS
'Logins that failed: the sum of the next eight columns';
COMMENT ON COLUMN pooler.logins.authentication IS
'With a wrong password, or not authenticated otherwise';
COMMENT ON COLUMN pooler.logins.rule IS
'pg_hba.conf rejects them, or has no rule for them';
COMMENT ON COLUMN pooler.logins.not_permitted_role IS
'The role does not exist, or may not log in';
COMMENT ON COLUMN pooler.logins.not_permitted_database IS
'The database does not exist, or must not be connected to';
COMMENT ON COLUMN pooler.logins.too_many IS
'A limit on connections was reached';
COMMENT ON COLUMN pooler.logins.timeout IS
'They took too long';
COMMENT ON COLUMN pooler.logins.protocol IS
'Messages were invalid or not supported';
COMMENT ON COLUMN pooler.logins.other IS
'Other reasons: the log has them';
COMMENT ON COLUMN pooler.logins.p50 IS
'Half of the logins took no longer, with the precision of pooler.latency; NULL if there was none';
COMMENT ON COLUMN pooler.logins.p95 IS
'95 % of the logins took no longer';
COMMENT ON COLUMN pooler.logins.max IS
'Time of the longest one';
COMMENT ON COLUMN pooler.logins.dbid IS
'OID of the database';
COMMENT ON COLUMN pooler.logins.roleid IS
'OID of the role';

/*
 * Leaks.  Names of relations can be had only in the database that is asked, so
 * that locks are looked up here; of those who wait for locks only if there is
 * a leak at all.  What is taken from pg_stat_activity and pg_locks is the
 * client's as long as the transaction there is older than the leak's discovery:
 * a backend that has been handed on shows a younger one.
 */
CREATE VIEW pooler.leaks AS
WITH leak AS MATERIALIZED (
	SELECT * FROM pooler.get_leaks(false)
), held AS (
	SELECT l.*, a.pid AS live_pid, a.query AS live_query,
		   age(a.backend_xmin) AS live_xmin_age
	FROM leak AS l
		 LEFT JOIN pg_catalog.pg_stat_activity AS a
		 ON a.pid = l.pid AND coalesce(a.xact_start, a.query_start) < l.found_at
), waiter AS MATERIALIZED (
	SELECT k.pid, pg_catalog.pg_blocking_pids(k.pid) AS blockers
	FROM pg_catalog.pg_locks AS k
	WHERE NOT k.granted AND EXISTS (SELECT FROM leak WHERE pid IS NOT NULL)
), lock AS MATERIALIZED (
	SELECT k.pid, pg_catalog.string_agg(DISTINCT pg_catalog.concat_ws(' ', k.mode, 'on', k.locktype,
			   CASE WHEN k.relation IS NULL THEN NULL
					WHEN k.database IN (0::oid, (SELECT oid FROM pg_catalog.pg_database
												WHERE datname = pg_catalog.current_database()))
					THEN k.relation::regclass::text
					ELSE pg_catalog.format('%s of database %s', k.relation, k.database) END,
			   k.transactionid::text,
			   CASE WHEN k.locktype = 'advisory'
					THEN pg_catalog.format('[%s,%s,%s]', k.classid, k.objid, k.objsubid) END), ', ') AS locks
	FROM pg_catalog.pg_locks AS k
	WHERE k.granted AND k.locktype <> 'virtualxid' AND EXISTS (SELECT FROM leak WHERE pid IS NOT NULL)
	GROUP BY k.pid
)
SELECT l.id,
	   l.kind,
	   CASE WHEN l.severity = 'info' AND w.blocked_pids IS NOT NULL THEN 'warning'
			ELSE l.severity END AS severity,
	   l.client_id,
	   l.pid,
	   coalesce(d.datname, l.database) AS database,
	   coalesce(r.rolname, l.role) AS role,
	   l.application_name,
	   l.client_addr,
	   l.client_port,
	   l.held_since,
	   clock_timestamp() - l.held_since AS held_for,
	   l.found_at,
	   l.clients_waiting,
	   w.blocked_pids,
	   nullif(pg_catalog.concat_ws('; ',
		   CASE WHEN l.pin_reason IS NOT NULL
				THEN pg_catalog.concat('backend because of ', l.pin_reason) END,
		   CASE WHEN l.live_pid IS NULL THEN l.locks ELSE k.locks END,
		   CASE WHEN l.cursors > 0
				THEN pg_catalog.concat_ws(': ', pg_catalog.format('%s cursors', l.cursors), l.cursor_names) END,
		   CASE WHEN l.temp_objects > 0
				THEN pg_catalog.format('%s temporary objects, %s', l.temp_objects,
									   pg_catalog.pg_size_pretty(coalesce(l.temp_bytes, 0::bigint))) END,
		   CASE l.kind WHEN 'connection_growth' THEN pg_catalog.format('%s unused connections', l.amount)
				WHEN 'prepared_statements' THEN pg_catalog.format('%s prepared statements', l.amount) END),
		   ''::text) AS holds,
	   coalesce(l.live_xmin_age, l.xmin_age) AS xmin_age,
	   l.first_query,
	   coalesce(l.live_query, l.last_query) AS last_query,
	   l.query_id,
	   l.threshold,
	   l.action,
	   pg_catalog.format('SELECT pooler.end_leaks(id => %s);', l.id) AS statement,
	   l.dbid,
	   l.roleid
FROM held AS l
	 LEFT JOIN lock AS k ON k.pid = l.live_pid
	 LEFT JOIN LATERAL (SELECT pg_catalog.array_agg(DISTINCT waiter.pid ORDER BY waiter.pid) AS blocked_pids
						FROM waiter WHERE l.pid = ANY (waiter.blockers)) AS w ON true
	 LEFT JOIN pg_catalog.pg_database AS d ON d.oid = l.dbid
	 LEFT JOIN pg_catalog.pg_roles AS r ON r.oid = l.roleid;

COMMENT ON VIEW pooler.leaks IS
'What clients hold and should have given back, now: a row for each leak that exceeds its threshold (pooler.leak_*)';
COMMENT ON COLUMN pooler.leaks.id IS
'Number of the leak; none is given twice while the server runs';
COMMENT ON COLUMN pooler.leaks.kind IS
'idle_in_transaction: the client is idle in a transaction; transaction: its transaction is open, whatever it does; pinned_idle: its session keeps a backend and does not use it; connection_idle: its connection is not used; connection_growth: connections of one application and address only become more, and are not used; pool_held: clients wait, and no backend of their pool has run a command for so long; locks, cursors, temp_objects, prepared_statements: their number has only grown in the session';
COMMENT ON COLUMN pooler.leaks.severity IS
'critical: clients wait, and all backends of the pool are held; warning: others wait for the pool or for a lock, or it is a transaction; info: nobody waits';
COMMENT ON COLUMN pooler.leaks.client_id IS
'Client (pooler.clients.id); of a pool that is held, the one that has held a backend longest; NULL for a group of connections';
COMMENT ON COLUMN pooler.leaks.pid IS
'Process ID of its backend, as in pg_stat_activity.pid; NULL if it has none';
COMMENT ON COLUMN pooler.leaks.database IS
'Database';
COMMENT ON COLUMN pooler.leaks.role IS
'Role';
COMMENT ON COLUMN pooler.leaks.application_name IS
'application_name of the client; NULL if none';
COMMENT ON COLUMN pooler.leaks.client_addr IS
'IP address of the client; NULL if it is connected by a Unix socket';
COMMENT ON COLUMN pooler.leaks.client_port IS
'TCP port of the client; -1 if it is connected by a Unix socket; NULL for a group of connections';
COMMENT ON COLUMN pooler.leaks.held_since IS
'Since when: it became idle (idle_in_transaction, pinned_idle, connection_idle), its transaction began (transaction, cursors), its session has kept a backend (locks, temp_objects), it has been connected (prepared_statements), the first of the connections was opened (connection_growth), or the last command of the pool ended (pool_held)';
COMMENT ON COLUMN pooler.leaks.held_for IS
'How long that is';
COMMENT ON COLUMN pooler.leaks.found_at IS
'When the threshold was found exceeded';
COMMENT ON COLUMN pooler.leaks.clients_waiting IS
'Clients of the same pool that wait for a backend';
COMMENT ON COLUMN pooler.leaks.blocked_pids IS
'Processes that wait for a lock which it holds, whether they are of a pool or not; NULL if there are none';
COMMENT ON COLUMN pooler.leaks.holds IS
'What it holds: why its session keeps the backend, locks (relations by name, those of other databases by OID), cursors with the names of the first, temporary objects with their size, connections, prepared statements; NULL if nothing of these';
COMMENT ON COLUMN pooler.leaks.xmin_age IS
'How many transactions have begun since the oldest one that it can see: their dead rows can''t be removed; NULL if it holds no snapshot';
COMMENT ON COLUMN pooler.leaks.first_query IS
'First query of its transaction, after BEGIN; NULL if it is in none';
COMMENT ON COLUMN pooler.leaks.last_query IS
'Its last query, or the one that is running; NULL if it has no backend';
COMMENT ON COLUMN pooler.leaks.query_id IS
'Identifier of the last query, as in pg_stat_statements.queryid; NULL if none is computed';
COMMENT ON COLUMN pooler.leaks.threshold IS
'Threshold that it exceeds: the setting pooler.leak_<kind>';
COMMENT ON COLUMN pooler.leaks.action IS
'What pooler.leak_action says for it: log, cancel or terminate';
COMMENT ON COLUMN pooler.leaks.statement IS
'Statement that ends it';
COMMENT ON COLUMN pooler.leaks.dbid IS
'OID of the database';
COMMENT ON COLUMN pooler.leaks.roleid IS
'OID of the role';

CREATE VIEW pooler.leak_history AS
SELECT l.id,
	   l.kind,
	   l.severity,
	   l.client_id,
	   l.pid,
	   coalesce(d.datname, l.database) AS database,
	   coalesce(r.rolname, l.role) AS role,
	   l.application_name,
	   l.client_addr,
	   l.client_port,
	   l.held_since,
	   l.found_at,
	   l.ended_at,
	   l.ended_at - l.held_since AS held_for,
	   l.ended_by,
	   l.max_clients_waiting,
	   nullif(pg_catalog.concat_ws('; ',
		   CASE WHEN l.pin_reason IS NOT NULL
				THEN pg_catalog.concat('backend because of ', l.pin_reason) END,
		   l.locks,
		   CASE WHEN l.cursors > 0
				THEN pg_catalog.concat_ws(': ', pg_catalog.format('%s cursors', l.cursors), l.cursor_names) END,
		   CASE WHEN l.temp_objects > 0
				THEN pg_catalog.format('%s temporary objects, %s', l.temp_objects,
									   pg_catalog.pg_size_pretty(coalesce(l.temp_bytes, 0::bigint))) END,
		   CASE l.kind WHEN 'connection_growth' THEN pg_catalog.format('%s unused connections', l.amount)
				WHEN 'prepared_statements' THEN pg_catalog.format('%s prepared statements', l.amount) END),
		   ''::text) AS holds,
	   l.xmin_age,
	   l.first_query,
	   l.last_query,
	   l.query_id,
	   l.threshold,
	   l.action,
	   l.dbid,
	   l.roleid
FROM pooler.get_leaks(true) AS l
	 LEFT JOIN pg_catalog.pg_database AS d ON d.oid = l.dbid
	 LEFT JOIN pg_catalog.pg_roles AS r ON r.oid = l.roleid;

COMMENT ON VIEW pooler.leak_history IS
'Leaks that have ended: the last 256 of them, until pooler.reset_stats(). Columns as in pooler.leaks, as of when the leak was found';
COMMENT ON COLUMN pooler.leak_history.id IS
'Number of the leak';
COMMENT ON COLUMN pooler.leak_history.kind IS
'Kind, as in pooler.leaks';
COMMENT ON COLUMN pooler.leak_history.severity IS
'The highest that it had';
COMMENT ON COLUMN pooler.leak_history.client_id IS
'Client (pooler.clients.id); NULL for a group of connections';
COMMENT ON COLUMN pooler.leak_history.pid IS
'Process ID of the backend that it had; NULL if it had none';
COMMENT ON COLUMN pooler.leak_history.database IS
'Database';
COMMENT ON COLUMN pooler.leak_history.role IS
'Role';
COMMENT ON COLUMN pooler.leak_history.application_name IS
'application_name of the client; NULL if none';
COMMENT ON COLUMN pooler.leak_history.client_addr IS
'IP address of the client; NULL if it was connected by a Unix socket';
COMMENT ON COLUMN pooler.leak_history.client_port IS
'TCP port of the client; -1 if it was connected by a Unix socket; NULL for a group of connections';
COMMENT ON COLUMN pooler.leak_history.held_since IS
'Since when, as in pooler.leaks';
COMMENT ON COLUMN pooler.leak_history.found_at IS
'When the threshold was found exceeded';
COMMENT ON COLUMN pooler.leak_history.ended_at IS
'When it was found to have ended';
COMMENT ON COLUMN pooler.leak_history.held_for IS
'How long it was held';
COMMENT ON COLUMN pooler.leak_history.ended_by IS
'given back: the client has got on, or holds less again; threshold: it is below another threshold; disconnected: its connection has ended for another reason; terminated, canceled: by pooler.leak_action; end_leaks: by pooler.end_leaks()';
COMMENT ON COLUMN pooler.leak_history.max_clients_waiting IS
'How many clients of the same pool waited for a backend meanwhile, at most';
COMMENT ON COLUMN pooler.leak_history.holds IS
'What it held, as in pooler.leaks, but all relations by their OIDs';
COMMENT ON COLUMN pooler.leak_history.xmin_age IS
'How many transactions had begun since the oldest one that it could see; NULL if it held no snapshot';
COMMENT ON COLUMN pooler.leak_history.first_query IS
'First query of its transaction, after BEGIN; NULL if it was in none';
COMMENT ON COLUMN pooler.leak_history.last_query IS
'Its last query when it was found; NULL if it had no backend';
COMMENT ON COLUMN pooler.leak_history.query_id IS
'Identifier of that query; NULL if none was computed';
COMMENT ON COLUMN pooler.leak_history.threshold IS
'Threshold that it exceeded';
COMMENT ON COLUMN pooler.leak_history.action IS
'What pooler.leak_action said for it';
COMMENT ON COLUMN pooler.leak_history.dbid IS
'OID of the database';
COMMENT ON COLUMN pooler.leak_history.roleid IS
'OID of the role';

CREATE VIEW pooler.leak_counts AS
SELECT c.kind,
	   coalesce(d.datname, c.database) AS database,
	   coalesce(r.rolname, c.role) AS role,
	   c.application_name,
	   c.query_id,
	   c.query,
	   c.leaks,
	   c.first_at,
	   c.last_at,
	   c.held_us::double precision * interval '1 microsecond' AS total_held,
	   c.max_held_us::double precision * interval '1 microsecond' AS max_held,
	   c.dbid,
	   c.roleid
FROM pooler.get_leak_counts() AS c
	 LEFT JOIN pg_catalog.pg_database AS d ON d.oid = c.dbid
	 LEFT JOIN pg_catalog.pg_roles AS r ON r.oid = c.roleid;

COMMENT ON VIEW pooler.leak_counts IS
'How many leaks were found, by kind, pool, application and query, until pooler.reset_stats(): a row for each; of more than 256 those that were seen last';
COMMENT ON COLUMN pooler.leak_counts.kind IS
'Kind, as in pooler.leaks';
COMMENT ON COLUMN pooler.leak_counts.database IS
'Database';
COMMENT ON COLUMN pooler.leak_counts.role IS
'Role';
COMMENT ON COLUMN pooler.leak_counts.application_name IS
'application_name of the clients; NULL if none';
COMMENT ON COLUMN pooler.leak_counts.query_id IS
'Identifier of the last query, as in pg_stat_statements.queryid; NULL if none is computed: then rows are by the text of the query';
COMMENT ON COLUMN pooler.leak_counts.query IS
'Beginning of the last query of the latest one; NULL if there was none';
COMMENT ON COLUMN pooler.leak_counts.leaks IS
'How many leaks were found';
COMMENT ON COLUMN pooler.leak_counts.first_at IS
'When the first one was found';
COMMENT ON COLUMN pooler.leak_counts.last_at IS
'When the last one was found';
COMMENT ON COLUMN pooler.leak_counts.total_held IS
'How long they were held, of those that have ended';
COMMENT ON COLUMN pooler.leak_counts.max_held IS
'How long the longest of these was held';
COMMENT ON COLUMN pooler.leak_counts.dbid IS
'OID of the database';
COMMENT ON COLUMN pooler.leak_counts.roleid IS
'OID of the role';

/*
 * Advice on sizes.  The rules of thumb: as many backends at work as 2 x
 * processors + 1 are enough for a machine that is busy, and many more than
 * that slow it down; at most 80 % of the connections are for pools; a pool is
 * used by less than 80 %; nobody waits for long.
 *
 * Operands are of one type, as said above.
 */
CREATE FUNCTION pooler.get_pool_advice(
	OUT severity text,
	OUT what text,
	OUT why text,
	OUT statement text)
RETURNS SETOF record
LANGUAGE sql VOLATILE PARALLEL SAFE
BEGIN ATOMIC
	WITH machine AS (
		SELECT cores,
			   2 * cores + 1 AS enough,
			   greatest(25, 6 * cores + 1) AS most,
			   status.backends, status.max_backends,
			   pg_catalog.current_setting('max_connections')::integer AS max_connections
		FROM pooler.get_cores() AS cores, pooler.status
	), pool AS (
		SELECT p.*,
			   pg_catalog.format('pool %I/%I', p.database, p.role) AS name,
			   pg_catalog.format('ALTER ROLE %I IN DATABASE %I SET ', p.role, p.database) AS alter_pool,
			   (extract(epoch FROM p.longest_wait) * 1000::numeric)::bigint AS longest_ms,
			   (extract(epoch FROM p.avg_wait_time) * 1000::numeric)::bigint AS avg_ms,
			   (extract(epoch FROM p.max_wait_time) * 1000::numeric)::bigint AS max_ms,
			   coalesce(s.wait_timeouts, 0::bigint) AS wait_timeouts,
			   b.in_transaction, b.reasons, b.by_mode
		FROM pooler.pools AS p
			 LEFT JOIN (SELECT dbid, roleid, pg_catalog.sum(wait_timeouts)::bigint AS wait_timeouts
						FROM pooler.stats GROUP BY dbid, roleid) AS s
				ON s.dbid = p.dbid AND s.roleid = p.roleid
			 CROSS JOIN LATERAL
				(SELECT pg_catalog.count(*) FILTER (WHERE b.state = 'busy' AND a.state IN ('idle in transaction', 'idle in transaction (aborted)'))::integer AS in_transaction,
						pg_catalog.string_agg(DISTINCT b.pin_reason, ', ') AS reasons,
						coalesce(pg_catalog.bool_or(b.pin_reason = 'pool_mode'), false) AS by_mode
				 FROM pooler.backends AS b
					  LEFT JOIN pg_catalog.pg_stat_activity AS a ON a.pid = b.pid
				 WHERE b.dbid = p.dbid AND b.roleid = p.roleid) AS b
		WHERE NOT p.dedicated AND NOT p.paused AND p.size > 0
	), cause AS (
		SELECT pool.*, machine.cores, machine.enough, machine.most,
			   clients_waiting > 0 AND longest_ms >= 100::bigint AS waits_now,
			   (wait_timeouts > 0::bigint AND wait_timeouts * 1000::bigint >= transactions) OR
			   (transactions >= 1000::bigint AND waits > transactions / 100::bigint AND avg_ms >= 10::bigint) AS has_waited,
			   backends_pinned * 2 >= size AS is_pinned,
			   CASE
			   WHEN backends_pinned * 2 >= size AND by_mode
			   THEN alter_pool || 'pooler.pool_mode = ''transaction'';'::text
			   WHEN backends_pinned * 2 >= size
			   THEN alter_pool || 'pooler.pin_timeout = ''60s'';'::text
			   WHEN in_transaction * 2 >= size
			   THEN alter_pool || 'pooler.idle_transaction_timeout = ''60s'';'::text
			   WHEN pool.backends < size AND machine.backends >= machine.max_backends
			   THEN pg_catalog.format('ALTER SYSTEM SET max_connections = %s;', machine.max_connections * 2)
			   WHEN size < machine.most
			   THEN pg_catalog.format('%spooler.default_pool_size = %s;', alter_pool,
									  least(greatest(size * 2, machine.enough), machine.most))
			   ELSE alter_pool || 'log_min_duration_statement = ''1s'';'::text
			   END AS remedy
		FROM pool, machine
	)
	SELECT CASE WHEN waits_now AND longest_ms >= 1000::bigint
			THEN 'critical' ELSE 'warning' END,
		   name,
		   pg_catalog.format('Clients have to wait for a backend: %s wait now, the first one for %s ms. %s of %s backends are busy, %s of them idle in a transaction, and %s are pinned%s. So far %s waits in %s transactions, of %s ms on average and %s ms at most; %s clients were disconnected after pooler.query_wait_timeout. This machine has %s processors, enough for about %s backends at work.',
							 clients_waiting, coalesce(longest_ms, 0::bigint),
							 backends_busy, size, in_transaction, backends_pinned,
							 CASE WHEN is_pinned THEN pg_catalog.format(' (%s)', reasons) END,
							 waits, transactions, coalesce(avg_ms, 0::bigint),
							 coalesce(max_ms, 0::bigint), wait_timeouts, cores, enough),
		   remedy
	FROM cause WHERE waits_now OR has_waited
	UNION ALL
	SELECT 'warning', name,
		   pg_catalog.format('%s of %s backends are pinned and serve one client each, because of: %s.',
							 backends_pinned, size, reasons),
		   remedy
	FROM cause WHERE is_pinned AND NOT waits_now AND NOT has_waited
	UNION ALL
	SELECT 'warning', name,
		   pg_catalog.format('%s of %s backends are at work, %s of them idle in a transaction: more than 80 %%. The next clients will have to wait. This machine has %s processors, enough for about %s backends at work.',
							 backends_busy, size, in_transaction, cores, enough),
		   remedy
	FROM cause WHERE size > 1 AND utilisation > 0.8::double precision AND
		NOT is_pinned AND NOT waits_now AND NOT has_waited
	UNION ALL
	SELECT 'info', name,
		   pg_catalog.format('The pool may have %s backends, and %s processors are kept busy by about %s. More of them at work take turns, and each transaction lasts longer.',
							 size, cores, enough),
		   pg_catalog.format('%spooler.default_pool_size = %s;', alter_pool, most)
	FROM cause WHERE size > most
	UNION ALL
	SELECT 'warning', pg_catalog.format('pool %I/%I', p.database, p.role),
		   pg_catalog.format('%s clients wait, because the database is paused.', p.clients_waiting),
		   CASE WHEN d.paused_by_name THEN pg_catalog.format('SELECT pooler.resume(%L);', p.database)
		   ELSE 'SELECT pooler.resume();'::text END
	FROM pooler.pools AS p LEFT JOIN pooler.databases AS d ON d.dbid = p.dbid
	WHERE p.paused AND p.clients_waiting > 0;
END;

CREATE FUNCTION pooler.get_server_advice(
	OUT severity text,
	OUT what text,
	OUT why text,
	OUT statement text)
RETURNS SETOF record
LANGUAGE sql VOLATILE PARALLEL SAFE
BEGIN ATOMIC
	WITH setting AS (
		SELECT pg_catalog.current_setting('max_connections')::integer AS max_connections,
			   pg_catalog.current_setting('pooler.max_client_conn')::integer AS max_client_conn,
			   pg_catalog.current_setting('pooler.max_db_connections')::integer AS max_db_connections,
			   pg_catalog.current_setting('pooler.default_pool_size')::integer AS default_pool_size,
			   pg_catalog.pg_size_bytes(pg_catalog.current_setting('pooler.session_memory')) AS session_memory,
			   pg_catalog.pg_size_bytes(pg_catalog.current_setting('pooler.prepared_statements_memory')) AS statements_memory,
			   (SELECT s.setting::double precision FROM pg_catalog.pg_settings AS s WHERE s.name = 'pooler.server_lifetime') AS server_lifetime,
			   (SELECT s.setting::double precision FROM pg_catalog.pg_settings AS s WHERE s.name = 'pooler.server_idle_timeout') AS server_idle_timeout,
			   (SELECT s.setting::double precision FROM pg_catalog.pg_settings AS s WHERE s.name = 'pooler.query_wait_timeout') AS query_wait_timeout
	), used AS (
		SELECT pg_catalog.count(*)::integer AS pools, coalesce(pg_catalog.sum(size), 0::bigint)::integer AS sizes
		FROM pooler.pools WHERE clients > 0
	), all_of_it AS (
		SELECT setting.*, used.*, status.pid, status.starts, status.clients,
			   status.max_clients, status.max_backends, status.refused,
			   status.births, status.transactions,
			   status.session_memory AS session_bytes,
			   status.prepared_statements_memory AS statements_bytes,
			   status.prepared_statements_evicted AS evicted
		FROM setting, used, pooler.status
	)
	SELECT 'critical'::text AS severity, 'pooler'::text AS what,
		   'The pooler is not running. The log says why.'::text AS why,
		   NULL::text AS statement
	FROM all_of_it WHERE pid IS NULL
	UNION ALL
	SELECT 'warning', 'pooler',
		   pg_catalog.format('The pooler was started %s times since the server was: it has ended in between, and its clients were disconnected. The log says why.', starts),
		   NULL
	FROM all_of_it WHERE starts > 1::bigint
	UNION ALL
	SELECT 'warning', 'pooler.max_backends',
		   pg_catalog.format('Pools may take %s of %s connections, more than 80 %%. Administrators, monitoring and replication need some, too.',
							 max_backends, max_connections),
		   'ALTER SYSTEM SET pooler.max_backends = 0;'
	FROM all_of_it WHERE max_backends * 5 > max_connections * 4
	UNION ALL
	SELECT 'warning', 'pooler.default_pool_size',
		   pg_catalog.format('%s pools in use may have %s backends in sum, but all pools together only %s, of %s connections of the server. Under load they take backends from each other.',
							 pools, sizes, max_backends, max_connections),
		   pg_catalog.format('ALTER SYSTEM SET pooler.default_pool_size = %s;',
							 greatest(1, max_backends / greatest(pools, 1)))
	FROM all_of_it WHERE pools > 1 AND sizes > max_backends
	UNION ALL
	SELECT 'warning', 'pooler.max_client_conn',
		   pg_catalog.format('Only %s of %s clients can be let in, because of the limit on open files of the server. Raise that, or lower the setting to what is in force.',
							 max_clients, max_client_conn),
		   pg_catalog.format('ALTER SYSTEM SET pooler.max_client_conn = %s;', max_clients)
	FROM all_of_it WHERE max_clients < max_client_conn
	UNION ALL
	SELECT CASE WHEN refused > 0::bigint THEN 'critical' ELSE 'warning' END,
		   'pooler.max_client_conn',
		   pg_catalog.format('%s of %s clients are connected, and %s were refused so far. A client that is idle costs about 1 kB and a descriptor.',
							 clients, max_clients, refused),
		   pg_catalog.format('ALTER SYSTEM SET pooler.max_client_conn = %s;',
							 least(max_client_conn * 2, 400000))
	FROM all_of_it WHERE refused > 0::bigint OR clients * 5 > max_clients * 4
	UNION ALL
	SELECT 'warning', 'pooler.session_memory',
		   pg_catalog.format('The sessions of %s clients take %s of %s, more than 80 %%. Clients that would take more than all of it are disconnected.',
							 clients, pg_catalog.pg_size_pretty(session_bytes),
							 pg_catalog.pg_size_pretty(session_memory)),
		   pg_catalog.format('ALTER SYSTEM SET pooler.session_memory = ''%s kB'';', least(session_memory / 512::bigint, 2147483647::bigint))
	FROM all_of_it WHERE session_bytes * 5::bigint > session_memory * 4::bigint
	UNION ALL
	SELECT 'warning', 'pooler.prepared_statements_memory',
		   pg_catalog.format('Prepared statements take %s of %s, and %s had to make room for others. Clients whose statements do not fit keep their backends.',
							 pg_catalog.pg_size_pretty(statements_bytes),
							 pg_catalog.pg_size_pretty(statements_memory), evicted),
		   pg_catalog.format('ALTER SYSTEM SET pooler.prepared_statements_memory = ''%s kB'';', least(statements_memory / 512::bigint, 2147483647::bigint))
	FROM all_of_it WHERE evicted > 0::bigint AND statements_bytes * 5::bigint > statements_memory * 4::bigint
	UNION ALL
	SELECT 'info', 'pooler.server_lifetime',
		   CASE WHEN server_lifetime = 0::double precision
		   THEN 'Backends are never replaced, and what their caches have collected stays in memory.'::text
		   ELSE pg_catalog.format('Backends are replaced after %s s, and each costs the start of a process.', server_lifetime)
		   END,
		   'ALTER SYSTEM SET pooler.server_lifetime = ''1h'';'
	FROM all_of_it WHERE server_lifetime < 60::double precision
	UNION ALL
	SELECT 'info', 'pooler.server_idle_timeout',
		   pg_catalog.format('%s backends were started for %s transactions, and idle ones are closed after %s s. The start of a backend costs more than most transactions.',
							 births, transactions, server_idle_timeout),
		   'ALTER SYSTEM SET pooler.server_idle_timeout = ''10min'';'
	FROM all_of_it WHERE births >= 100::bigint AND births > transactions / 10::bigint AND
		server_idle_timeout > 0::double precision AND server_idle_timeout < 600::double precision
	UNION ALL
	SELECT 'info', 'pooler.query_wait_timeout',
		   'Clients wait for a backend without a limit. If one is never free, nobody is told.',
		   'ALTER SYSTEM SET pooler.query_wait_timeout = ''30s'';'
	FROM all_of_it WHERE query_wait_timeout = 0::double precision
	UNION ALL
	SELECT 'info', 'pooler.max_db_connections',
		   pg_catalog.format('A pool may have %s backends, but all pools of one database only %s.',
							 default_pool_size, max_db_connections),
		   pg_catalog.format('ALTER SYSTEM SET pooler.max_db_connections = %s;', default_pool_size * 2)
	FROM all_of_it WHERE max_db_connections > 0 AND default_pool_size > max_db_connections;
END;

CREATE FUNCTION pooler.advice(
	OUT severity text,
	OUT what text,
	OUT why text,
	OUT statement text)
RETURNS SETOF record
LANGUAGE sql VOLATILE PARALLEL SAFE
BEGIN ATOMIC
	WITH advice AS MATERIALIZED (
		SELECT * FROM pooler.get_pool_advice()
		UNION ALL
		SELECT * FROM pooler.get_server_advice()
		UNION ALL
		SELECT l.severity, 'leak '::text || l.kind,
			   pg_catalog.format('A client of database %I, role %I, application %L%s holds what it should have given back for %s s; the threshold is %s. %s clients wait for its pool%s.',
								 l.database, l.role, coalesce(l.application_name, ''::text),
								 CASE WHEN l.client_addr IS NOT NULL THEN pg_catalog.format(', at %s', pg_catalog.host(l.client_addr)) END,
								 extract(epoch FROM l.held_for)::bigint, l.threshold, l.clients_waiting,
								 CASE WHEN l.blocked_pids IS NOT NULL
								 THEN pg_catalog.format(', %s processes for its locks', pg_catalog.cardinality(l.blocked_pids)) END),
			   l.statement
		FROM pooler.leaks AS l WHERE l.severity <> 'info'
	), all_of_it AS (
		SELECT * FROM advice
		UNION ALL
		SELECT 'ok', 'pooler',
			   pg_catalog.format('Nothing to be said: %s of %s clients, and %s of %s backends for %s processors and %s connections of the server.',
								 clients, max_clients, backends, max_backends,
								 pooler.get_cores(),
								 pg_catalog.current_setting('max_connections')),
			   NULL
		FROM pooler.status WHERE NOT EXISTS (SELECT FROM advice)
	)
	SELECT * FROM all_of_it AS a
	ORDER BY CASE a.severity WHEN 'critical' THEN 1 WHEN 'warning' THEN 2 ELSE 3 END, a.what, a.why;
END;

COMMENT ON FUNCTION pooler.get_cores() IS
'Processors that the server may use';
COMMENT ON FUNCTION pooler.get_pool_advice() IS
'Advice on single pools; see pooler.advice()';
COMMENT ON FUNCTION pooler.get_server_advice() IS
'Advice on all pools together; see pooler.advice()';
COMMENT ON FUNCTION pooler.advice() IS
'What to do about sizes and limits: severity (critical: clients suffer; warning: they soon may; info: could be better; ok: nothing to be said), what it is about, why with the numbers, and the statement that changes it, or NULL if none does';

/*
 * Control.  Each has the meaning of the console's command of that name; what
 * it does is no part of the transaction that calls it.
 */

CREATE FUNCTION pooler.pause(database name DEFAULT NULL)
RETURNS void
AS 'MODULE_PATHNAME', 'pooler_pause'
LANGUAGE C CALLED ON NULL INPUT VOLATILE PARALLEL UNSAFE;

CREATE FUNCTION pooler.resume(database name DEFAULT NULL)
RETURNS void
AS 'MODULE_PATHNAME', 'pooler_resume'
LANGUAGE C CALLED ON NULL INPUT VOLATILE PARALLEL UNSAFE;

CREATE FUNCTION pooler.suspend()
RETURNS void
AS 'MODULE_PATHNAME', 'pooler_suspend'
LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;

CREATE FUNCTION pooler.disable(database name)
RETURNS void
AS 'MODULE_PATHNAME', 'pooler_disable'
LANGUAGE C CALLED ON NULL INPUT VOLATILE PARALLEL UNSAFE;

CREATE FUNCTION pooler.enable(database name)
RETURNS void
AS 'MODULE_PATHNAME', 'pooler_enable'
LANGUAGE C CALLED ON NULL INPUT VOLATILE PARALLEL UNSAFE;

CREATE FUNCTION pooler.reconnect(database name DEFAULT NULL)
RETURNS void
AS 'MODULE_PATHNAME', 'pooler_reconnect'
LANGUAGE C CALLED ON NULL INPUT VOLATILE PARALLEL UNSAFE;

CREATE FUNCTION pooler.wait_close(database name DEFAULT NULL)
RETURNS void
AS 'MODULE_PATHNAME', 'pooler_wait_close'
LANGUAGE C CALLED ON NULL INPUT VOLATILE PARALLEL UNSAFE;

CREATE FUNCTION pooler.kill(database name DEFAULT NULL)
RETURNS void
AS 'MODULE_PATHNAME', 'pooler_kill'
LANGUAGE C CALLED ON NULL INPUT VOLATILE PARALLEL UNSAFE;

CREATE FUNCTION pooler.kill_client(id bigint)
RETURNS void
AS 'MODULE_PATHNAME', 'pooler_kill_client'
LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;

CREATE FUNCTION pooler.end_leaks(
	id bigint DEFAULT NULL,
	kind text DEFAULT NULL,
	database name DEFAULT NULL,
	role name DEFAULT NULL,
	application_name text DEFAULT NULL,
	held_for interval DEFAULT NULL,
	query_id bigint DEFAULT NULL,
	OUT leak bigint,
	OUT leak_kind text,
	OUT client_id bigint,
	OUT client_database name,
	OUT client_role name,
	OUT client_application_name text,
	OUT was_held_for interval)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'pooler_end_leaks'
LANGUAGE C CALLED ON NULL INPUT VOLATILE PARALLEL UNSAFE ROWS 10;

CREATE FUNCTION pooler.shutdown(mode text DEFAULT 'now')
RETURNS void
AS 'MODULE_PATHNAME', 'pooler_shutdown'
LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;

CREATE FUNCTION pooler.reset_stats()
RETURNS void
AS 'MODULE_PATHNAME', 'pooler_reset_stats'
LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;

COMMENT ON FUNCTION pooler.pause(name) IS
'Begins no new transactions in a database (NULL: in any), waits until those under way have ended and their backends have gone; clients stay connected and wait';
COMMENT ON FUNCTION pooler.resume(name) IS
'Ends what pooler.pause() or pooler.kill() of a database, or pooler.pause(), pooler.suspend() or pooler.kill() of all, has begun';
COMMENT ON FUNCTION pooler.suspend() IS
'As pooler.pause() of all databases; the state is shown as suspended';
COMMENT ON FUNCTION pooler.disable(name) IS
'Refuses new clients of a database; those that are connected go on';
COMMENT ON FUNCTION pooler.enable(name) IS
'Takes new clients of a database again';
COMMENT ON FUNCTION pooler.reconnect(name) IS
'Replaces the backends of a database (NULL: of all), each at the end of its transaction; does not wait';
COMMENT ON FUNCTION pooler.wait_close(name) IS
'Waits until the backends of a database (NULL: of all) that were there at the last pooler.reconnect() have gone';
COMMENT ON FUNCTION pooler.kill(name) IS
'Ends all clients and backends of a database (NULL: of all) at once, and leaves it paused';
COMMENT ON FUNCTION pooler.kill_client(bigint) IS
'Ends the client with this number (pooler.clients.id)';
COMMENT ON FUNCTION pooler.end_leaks(bigint, text, name, name, text, interval, bigint) IS
'Ends the leaks of pooler.leaks that match all arguments given, of which there has to be one, by ending their connections; held_for: held for longer than that. A row for each that was ended, and none for one that the client has given back meanwhile';
COMMENT ON FUNCTION pooler.shutdown(text) IS
'Closes the port of the pooler, and ends its clients: now; wait_for_servers: each after its transaction; wait_for_clients: not, they leave by themselves. The server goes on';
COMMENT ON FUNCTION pooler.reset_stats() IS
'Sets all counters of the views to 0, but those of single clients and backends, and empties pooler.leak_history and pooler.leak_counts';

REVOKE ALL ON FUNCTION pooler.pause(name), pooler.resume(name),
	pooler.suspend(), pooler.disable(name), pooler.enable(name),
	pooler.reconnect(name), pooler.wait_close(name), pooler.kill(name),
	pooler.kill_client(bigint), pooler.shutdown(text), pooler.reset_stats(),
	pooler.end_leaks(bigint, text, name, name, text, interval, bigint)
	FROM PUBLIC;

CREATE FUNCTION pooler.health(probe boolean DEFAULT false)
RETURNS jsonb
AS 'MODULE_PATHNAME', 'pooler_health'
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED;
COMMENT ON FUNCTION pooler.health(boolean) IS
'Health of the pooler, with its reasons; with a probe, also a transaction through the pool of this database and the role of the session';
REVOKE ALL ON FUNCTION pooler.health(boolean) FROM PUBLIC;

/*
 * They show other people's connections and activity: for those whose task it
 * is to look.  The owner of a view lends its access to tables, but functions
 * are called with the rights of whoever asks, hence both grants.
 */
REVOKE ALL ON FUNCTION pooler.get_clients(), pooler.get_backends(),
	pooler.get_pools(), pooler.get_status(), pooler.get_counters(),
	pooler.get_stats(), pooler.get_totals(), pooler.get_times(),
	pooler.get_prepared_statements(), pooler.get_databases(),
	pooler.get_leaks(boolean), pooler.get_leak_counts(),
	pooler.get_holdings(), pooler.get_tls_workers() FROM PUBLIC;
REVOKE ALL ON FUNCTION pooler.import_pgbouncer(text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION pooler.get_cores(), pooler.get_pool_advice(),
	pooler.get_server_advice(), pooler.advice() FROM PUBLIC;
REVOKE ALL ON pooler.clients, pooler.backends, pooler.pools, pooler.databases, pooler.stats,
	pooler.stats_by_database, pooler.stats_by_role, pooler.status,
	pooler.latency, pooler.holders, pooler.waits, pooler.prepared_statements,
	pooler.pins, pooler.pin_reasons, pooler.logins, pooler.leaks,
	pooler.leak_history, pooler.leak_counts, pooler.tls_workers FROM PUBLIC;

GRANT USAGE ON SCHEMA pooler TO pg_monitor;
GRANT EXECUTE ON FUNCTION pooler.health(boolean) TO pg_monitor;
GRANT EXECUTE ON FUNCTION pooler.get_clients(), pooler.get_backends(),
	pooler.get_pools(), pooler.get_status(), pooler.get_counters(),
	pooler.get_stats(), pooler.get_totals(), pooler.get_times(),
	pooler.get_prepared_statements(), pooler.get_databases(),
	pooler.get_leaks(boolean), pooler.get_leak_counts(),
	pooler.get_holdings(), pooler.get_tls_workers() TO pg_monitor;
/* It shows nothing that its caller did not give it, but takes some time. */
GRANT EXECUTE ON FUNCTION pooler.import_pgbouncer(text, text) TO pg_monitor;
GRANT EXECUTE ON FUNCTION pooler.get_cores(), pooler.get_pool_advice(),
	pooler.get_server_advice(), pooler.advice() TO pg_monitor;
GRANT SELECT ON pooler.clients, pooler.backends, pooler.pools, pooler.databases, pooler.stats,
	pooler.stats_by_database, pooler.stats_by_role, pooler.status,
	pooler.latency, pooler.holders, pooler.waits, pooler.prepared_statements,
	pooler.pins, pooler.pin_reasons, pooler.logins, pooler.leaks,
	pooler.leak_history, pooler.leak_counts, pooler.tls_workers TO pg_monitor;
