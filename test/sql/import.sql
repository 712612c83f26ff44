-- pooler.import_pgbouncer(): configurations of PgBouncer as statements.
-- Nothing is executed; what is shown depends on the input, and on which roles
-- and databases there are.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pooler;
RESET client_min_messages;
SELECT NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'postgres') AS make_postgres \gset
\if :make_postgres
CREATE ROLE postgres SUPERUSER;
\endif
CREATE ROLE regress_import_there;
\pset format unaligned
\pset null '-'
\pset footer off

--
-- Configurations from guides to pooling
--

-- one database, all limits and timeouts
SELECT * FROM pooler.import_pgbouncer($ini$
[databases]
partpal = host=localhost port=5432 dbname=partpal

[pgbouncer]
# Connection settings
listen_addr = 127.0.0.1
listen_port = 6432
auth_type = md5
auth_file = /etc/pgbouncer/userlist.txt

# Pool mode
# - session: ...
pool_mode = transaction

# Connection limits
max_client_conn = 1000
default_pool_size = 25
min_pool_size = 10
reserve_pool_size = 5
reserve_pool_timeout = 3
max_db_connections = 50
max_user_connections = 50

# Timeouts
server_idle_timeout = 600
server_lifetime = 3600
server_connect_timeout = 15
query_timeout = 0
query_wait_timeout = 120
client_idle_timeout = 0
idle_transaction_timeout = 0

# Logging
admin_users = postgres
stats_users = stats, postgres
log_connections = 1
log_disconnections = 1
log_pooler_errors = 1

# Performance
ignore_startup_parameters = extra_float_digits

# client_tls_sslmode = require
$ini$, $users$
"partpal" "md5<md5_hash_of_password>"
"partpal2" "your_password"
$users$) AS i WHERE item IS DISTINCT FROM 'partpal2';

-- a forced role, and parameters that PgBouncer does not have
SELECT * FROM pooler.import_pgbouncer($ini$
[databases]
tracking = host=postgres port=5432 dbname=tracking user=postgres password=your_password

[pgbouncer]
pool_mode = transaction
default_pool_size = 25
min_pool_size = 5
reserve_pool_size = 5
reserve_pool_timeout = 3
timeout = 600
idle_in_transaction_session_timeout = 60000

listen_port = 6432
listen_addr = 0.0.0.0

logfile = /var/log/pgbouncer/pgbouncer.log
pidfile = /var/run/pgbouncer/pgbouncer.pid
$ini$);

-- indented, as it may be pasted
SELECT * FROM pooler.import_pgbouncer($ini$
   [databases]
   mega_directory = host=localhost port=5432 dbname=mega_directory

   [pgbouncer]
   pool_mode = transaction
   max_client_conn = 1000
   default_pool_size = 20
$ini$);

-- parts of a file, with comments behind values
SELECT * FROM pooler.import_pgbouncer($ini$
pool_mode = transaction
max_client_conn = 200          # Maximum client connections
default_pool_size = 25         # Connections per database/user
min_pool_size = 5              # Always-open connections
reserve_pool_size = 5          # Emergency connection reserve
max_db_connections = 50        # Total backend connections
server_lifetime = 3600         # Recycle connections hourly
server_idle_timeout = 600      # Close idle connections after 10min
query_wait_timeout = 120       # Queue timeout for new queries
client_idle_timeout = 0        # No client timeout (handled by app)
tcp_keepalive = 1              # Enable TCP keepalive
server_reset_query = DISCARD ALL  # Clean connection state
ignore_startup_parameters = extra_float_digits,search_path
log_connections = 1
verbose = 2
$ini$);

-- the other kind of comment, and the same for everybody who looks
SELECT * FROM pooler.import_pgbouncer($ini$
[databases]
; Database connection string
facebook_bot_db = host=localhost port=5432 dbname=facebook_bot_db

[pgbouncer]
; Listen on all interfaces
listen_addr = 0.0.0.0
listen_port = 6432

; Authentication
auth_type = md5
auth_file = /etc/pgbouncer/userlist.txt

; Connection pool settings
pool_mode = transaction
max_client_conn = 1000
default_pool_size = 20
min_pool_size = 5
reserve_pool_size = 5
reserve_pool_timeout = 3

; Logging
log_connections = 1
log_disconnections = 1
log_pooler_errors = 1

; Admin users
admin_users = postgres

; Stats
stats_users = stats_collector
$ini$, '"YOUR_USERNAME" "md5HASH_FROM_ABOVE"');

--
-- Every parameter at its default
--
CREATE TEMPORARY TABLE defaults (name text, value text);
INSERT INTO defaults
SELECT split_part(line, '=', 1), substr(line, strpos(line, '=') + 1)
FROM regexp_split_to_table(
$ini$admin_users=
application_name_add_host=0
auth_dbname=
auth_file=
auth_hba_file=
auth_ident_file=
auth_ldap_options=
auth_query=SELECT rolname, CASE WHEN rolvaliduntil < now() THEN NULL ELSE rolpassword END FROM pg_authid WHERE rolname=$1 AND rolcanlogin
auth_type=md5
auth_user=
autodb_idle_timeout=3600
cancel_wait_timeout=10
client_idle_timeout=0
client_login_timeout=60
client_tls13_ciphers=
client_tls_ca_file=
client_tls_cert_file=
client_tls_ciphers=default
client_tls_dheparams=auto
client_tls_ecdhcurve=auto
client_tls_key_file=
client_tls_protocols=secure
client_tls_sslmode=disable
conffile=/etc/pgbouncer/pgbouncer.ini
default_pool_size=20
disable_pqexec=0
dns_max_ttl=15
dns_nxdomain_ttl=15
dns_zone_check_period=0
idle_transaction_timeout=0
ignore_startup_parameters=
job_name=pgbouncer
listen_addr=
listen_backlog=128
listen_port=6432
log_connections=1
log_disconnections=1
log_pooler_errors=1
log_stats=1
logfile=
login_notify_message=
max_client_conn=100
max_db_client_connections=0
max_db_connections=0
max_packet_size=2147483647
max_prepared_statements=200
max_user_client_connections=0
max_user_connections=0
min_pool_size=0
peer_id=0
pidfile=
pkt_buf=4096
pool_mode=session
pool_idle_timeout=0
query_timeout=0
query_wait_notify=5
query_wait_timeout=120
reserve_pool_size=0
reserve_pool_timeout=5
resolv_conf=
sbuf_loopcnt=5
scram_iterations=4096
server_check_delay=30
server_check_query=
server_connect_timeout=15
server_fast_close=0
server_idle_timeout=600
server_lifetime=3600
server_login_retry=15
server_reset_query=DISCARD ALL
server_reset_query_always=0
server_round_robin=0
server_tls13_ciphers=
server_tls_ca_file=
server_tls_cert_file=
server_tls_ciphers=default
server_tls_key_file=
server_tls_protocols=secure
server_tls_sslmode=prefer
service_name=pgbouncer
so_reuseport=0
stats_period=60
stats_users=
suspend_timeout=10
syslog=0
syslog_facility=daemon
syslog_ident=pgbouncer
tcp_defer_accept=1
tcp_keepalive=1
tcp_keepcnt=0
tcp_keepidle=0
tcp_keepintvl=0
tcp_socket_buffer=0
tcp_user_timeout=0
track_extra_parameters=IntervalStyle
transaction_timeout=0
unix_socket_dir=/tmp
unix_socket_group=
unix_socket_mode=0777
user=
verbose=0$ini$, '\n') AS line;

CREATE TEMPORARY TABLE converted AS
SELECT i.* FROM (SELECT '[pgbouncer]' || string_agg(E'\n' || name || ' = ' || value, '' ORDER BY name COLLATE "C") AS ini
				 FROM defaults) AS d,
	 pooler.import_pgbouncer(d.ini) AS i;
SELECT kind, count(*) FROM converted GROUP BY kind ORDER BY kind COLLATE "C";
-- each has its row
SELECT name FROM defaults EXCEPT SELECT item FROM converted;
SELECT line, item, statement, reason FROM converted WHERE kind = 'statement' ORDER BY line;
-- and nothing has to be done about those that have no counterpart, but for
SELECT item, reason, action FROM converted
WHERE kind = 'note' AND action NOT LIKE 'Nothing to do.%' ORDER BY line;

-- Settings that statements name and that the server does not know
SELECT setting AS missing
FROM converted, substring(statement FROM 'SYSTEM SET ([\w.]+) =') AS setting
WHERE setting NOT IN (SELECT name FROM pg_settings)
ORDER BY setting COLLATE "C";

--
-- What each of these means if it is not at its default
--
SELECT line, item, kind, statement, reason, action FROM pooler.import_pgbouncer(
$ini$[pgbouncer]
auth_type = trust
auth_type = any
auth_type = plain
auth_type = scram-sha-256
auth_type = cert
auth_type = hba
auth_type = ldap
auth_type = pam
auth_type = peer
client_tls_sslmode = require
client_tls_cert_file = /etc/ssl/it's.crt
unix_socket_mode = 0770
scram_iterations = 10000
server_tls_sslmode = verify-full
application_name_add_host = 1
so_reuseport = 1
max_prepared_statements = 0
pool_mode = Session
pool_mode = batch
query_wait_timeout = 0.5
query_wait_timeout = 2m
query_timeout = 90.0
tcp_user_timeout = 20000
log_stats = 0
log_connections = yes
listen_addr = 10.0.0.1, ::1
listen_addr =
listen_port = 0x1999
listen_port = 70000
unix_socket_dir = /run/it's here
admin_users = Alice, bob "c"
stats_users =
stats_users = "x", regress_import_there
; 0 that means something else
default_pool_size = 0
reserve_pool_timeout = 0
server_connect_timeout = 0
server_lifetime = 0
max_client_conn = 0
max_client_conn = -5
; names that are nearly right, those of the server, and others
max_client_con = 5
default_pool_sizes = 5
work_mem = 5
no_such_thing = 5
$ini$);

--
-- Databases and users
--
SELECT line, item, kind, statement, reason, action FROM pooler.import_pgbouncer(
$ini$[databases]
plain =
bardb = host=localhost dbname=bazdb
forcedb = dbname=bazdb user=baz password=hunter2 client_encoding=UNICODE datestyle='ISO, DMY' timezone=Europe/Vienna connect_query='SELECT ''x''' application_name=web
remote = host=10.1.1.1,10.1.1.2 port=5433 load_balance_hosts=disable
"Big ""One""" = dbname='My Data' user='The Role'
postgres = dbname=template1
regression_own = user=baz
pooler = dbname=template1
pgbouncer = dbname=template1
template1 = pool_size=50 min_pool_size=3 reserve_pool=10 max_db_connections=60 max_db_client_connections=600 pool_mode=session query_wait_timeout=30 server_lifetime=600
other = dbname=template1 pool_size=20 reserve_pool_size=10 auth_user=x auth_query='SELECT 1' auth_dbname=y
zeros = pool_size=0 server_lifetime=0 min_pool_size=0
bad1 = timezone=Mars/Olympus client_encoding=nonsense pool_size=many
bad2 = pool_size
bad3 = dbname='unclosed password=hunter2
bad4 = dbname=''
bad5 = =x
bad6 = dbname='a'b
bad7 = pool_sizes=5
bad8 = password=hunter2 and=hunter3 dbname=x
bad9 = pool_size=5 # comment
plain = pool_size=1
a_name_that_is_longer_than_the_sixty_three_bytes_that_the_server_has_for_it = pool_size=1
* = host=testserver
"*" = dbname=template1
[users]
regress_import_there = pool_size=5 reserve_pool_size=2 pool_mode=transaction max_user_connections=10 max_user_client_connections=100 query_timeout=5 query_wait_timeout=6 idle_transaction_timeout=7 transaction_timeout=8 client_idle_timeout=9
"Some One" = pool_mode=session
nobody =
nobody = pool_mode=session
bad = dbname=x
[peers]
1 = host=/tmp/1
%include /etc/pgbouncer/other.ini
$ini$);

-- the fallback with all that it can have
SELECT line, item, kind, statement, reason, action FROM pooler.import_pgbouncer(
'[databases]
* = host=testserver dbname=one user=two pool_size=5 pool_mode=session timezone=UTC server_lifetime=30');

--
-- Users and secrets
--
SELECT line, item, kind,
	   regexp_replace(statement, 'SCRAM-SHA-256\$4096:[A-Za-z0-9+/]{22}==\$[A-Za-z0-9+/=]{44}:[A-Za-z0-9+/=]{44}''', 'a new secret''') AS statement,
	   reason, action
FROM pooler.import_pgbouncer(NULL,
$users$; comment
"regress_import_md5" "md5b6c92ee3a7c0b2a4a2a4b4dd5f4a8a5f"
"regress_import_scram" "SCRAM-SHA-256$1024:c2FsdHNhbHRzYWx0c2FsdA==$QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWY=:QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWY="
"regress_import_plain" "hunter2"
"regress_import ""quoted""" "hun'ter\""2"
"regress_import_none" "" and more
"regress_import_there" "hunter2"
"regress_import_plain" "again hunter2"
"regress_import_bad1" "md5hunter2"
"regress_import_bad2" "SCRAM-SHA-256$hunter2"
"regress_import_bad3" hunter2
"regress_import_bad4" "hunter2
regress_import_bad5 hunter2
"regress_import_bad6"
$users$);

-- A plain password can't be seen anywhere, whatever is wrong.
SELECT count(*) FROM pooler.import_pgbouncer(
'[databases]
a = user=b password=hunter2
b = password=hunter2 hunter2
c = password=''hunter2
d = password=hunter2=hunter2 hunter2=hunter2
password=hunter2
"hunter2
[pgbouncer]
auth_ldap_options = ldapbindpasswd="hunter2"
"a" "hunter2"
a hunter2
"a" "hunter2',
'"regress_import_plain" "hunter2"
"x" "md5hunter2"
"x" hunter2
hunter2') AS i WHERE i::text LIKE '%hunter2%';

-- The server accepts the secrets, and stores them as they are; 18 warns of md5.
SET client_min_messages = error;
SELECT statement FROM pooler.import_pgbouncer(NULL,
'"regress_import_md5" "md5b6c92ee3a7c0b2a4a2a4b4dd5f4a8a5f"
"regress_import_scram" "SCRAM-SHA-256$1024:c2FsdHNhbHRzYWx0c2FsdA==$QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWY=:QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWY="')
WHERE kind = 'statement'
\gexec
RESET client_min_messages;
SELECT rolname, rolcanlogin, rolpassword FROM pg_authid
WHERE rolname LIKE 'regress\_import\_%' ORDER BY rolname COLLATE "C";
-- a plain password becomes another secret each time
SELECT a.statement <> b.statement AS differ
FROM pooler.import_pgbouncer(NULL, '"x" "hunter2"') AS a,
	 pooler.import_pgbouncer(NULL, '"x" "hunter2"') AS b;

--
-- Other input
--
SELECT * FROM pooler.import_pgbouncer('');
SELECT * FROM pooler.import_pgbouncer(NULL);
SELECT * FROM pooler.import_pgbouncer(E'; nothing\n\n#\n');
SELECT * FROM pooler.import_pgbouncer(
E'[databases\nlost = x\n[nowhere]\nlost = x\n[users] x\n[pgbouncer]\r\nmax_client_conn\n= 5\n"max = 5\n%include\n%exclude x\nmax_db_connections = 5\r\n'
'unix_socket_dir=x\nlisten_addr=x\nmax_client_conn=7\npool_mode=statement');
-- the row of the aliases is checked and quoted like any other
SELECT item, statement FROM pooler.import_pgbouncer(
'[databases]
"it''s, = ""x""" = dbname="y" user=select') WHERE statement IS NOT NULL;

-- The example of README.md
\pset format aligned
\pset null ''
\set ini '[databases]\nshop = host=10.0.0.5 dbname=shop pool_size=10\nlegacy = host=10.0.0.5 dbname=shop user=app password=x\n\n[pgbouncer]\nlisten_addr = *\nunix_socket_dir = /tmp\nauth_type = scram-sha-256\npool_mode = transaction\nmax_client_conn = 2000\nquery_wait_timeout = 30\nserver_round_robin = 1\nmax_clients = 5\n'
\set userlist '"app" "md5b6c92ee3a7c0b2a4a2a4b4dd5f4a8a5f"\n'
SELECT line, item, kind, statement FROM pooler.import_pgbouncer(:'ini', :'userlist');
\x on
SELECT line, item, kind, reason, action FROM pooler.import_pgbouncer(:'ini', :'userlist')
WHERE kind <> 'statement';
\x off

DROP ROLE regress_import_there, regress_import_md5, regress_import_scram;
\if :make_postgres
DROP ROLE postgres;
\endif
