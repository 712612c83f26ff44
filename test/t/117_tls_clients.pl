# Real clients by TLS: each checks the server's certificate, logs in with
# SCRAM (bound to the connection, where it can do that), works, and refuses a
# server that it can't trust.  Replication by TLS.
#
# The programs are test/drivers/tls_*, TlsJdbc.java; make test builds them.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use IPC::Run ();
use PoolerTest qw(becomes new_node pooler_port wait_for_pooler wait_until);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use TlsTest;

my $programs = $ENV{POOLER_DRIVERS}
  or plan skip_all => 'the programs are built by make test';
plan skip_all => 'the program openssl is needed' unless TlsTest::possible();

# Each takes a second or two if it is alone on a machine.
use constant SECONDS => 180;

my $psql = q(PREPARE p(int) AS
	SELECT ssl::text FROM pg_stat_ssl WHERE pid = pg_backend_pid() AND $1 > 0;
EXECUTE p(1) \gset
BEGIN;
INSERT INTO seen VALUES ('psql');
SELECT count(*) FROM seen WHERE driver = 'psql' \gset
COMMIT;
\echo :ssl :count
);

# The commands.  Debian's packages are for Debian's Python.
my %command_of = (
	asyncpg => [ '/usr/bin/python3', "$programs/tls_asyncpg.py" ],
	'go pgx' => [ "$programs/tls_go", 'pgx' ],
	'go postgres' => [ "$programs/tls_go", 'postgres' ],
	jdbc => [ 'java', '-cp', "/usr/share/java/postgresql.jar:$programs", 'TlsJdbc' ],
	pg => [ 'node', "$programs/tls_pg.mjs" ],
	postgres => [ 'node', "$programs/tls_postgres.mjs" ],
	psql => [ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', '-' ],
	psycopg => [ '/usr/bin/python3', "$programs/tls_psycopg.py" ]);
my @drivers = sort keys %command_of;
# what they say of themselves, beyond what all of them say
my %more = (pg => ' SCRAM-SHA-256-PLUS');

my $ca = TlsTest->new;
my $other_ca = TlsTest->new('somebody else');
my $names = 'DNS:localhost,IP:127.0.0.1';
$ca->certificate('server', subject => '/CN=here', names => $names);

my @from_here = ('127.0.0.1/32 scram-sha-256', '::1/128 scram-sha-256');
my $node = new_node('tls_clients',
	# some try one of the addresses of localhost, some the other first
	listen => 'localhost',
	init => { allows_streaming => 'logical' },
	hba => join("\n", 'local all all trust', 'local replication all trust',
		(map { "hostssl all app,standby $_" } @from_here),
		(map { "hostssl replication standby $_" } @from_here)) . "\n",
	conf => qq(
ssl = on
ssl_cert_file = '@{[ $ca->file('server.crt') ]}'
ssl_key_file = '@{[ $ca->file('server.key') ]}'
log_connections = on
max_wal_senders = 10
max_replication_slots = 10
pooler.default_pool_size = 1
));
$node->start;
$node->safe_psql('postgres', q{
	SET password_encryption = 'scram-sha-256';
	CREATE EXTENSION pooler;
	CREATE ROLE app LOGIN PASSWORD 'secret';
	CREATE ROLE standby LOGIN REPLICATION PASSWORD 'secret';
	CREATE TABLE seen (driver text);
	GRANT ALL ON seen TO app;
	CREATE TABLE t (a int PRIMARY KEY);
	GRANT SELECT ON t TO standby;
	CREATE PUBLICATION p FOR TABLE t;
});
wait_for_pooler($node);

my %connection = (
	PGHOST => 'localhost',
	PGPORT => pooler_port($node),
	PGDATABASE => 'postgres',
	PGPASSWORD => 'secret',
	PGSSLMODE => 'verify-full',
	PGSSLROOTCERT => $ca->file('ca.crt'));

sub sql { return $node->safe_psql('postgres', $_[0]) }

# Run a command with nothing of the test's own settings, but with these.
# Returns whether it has succeeded, its output and its errors.
sub run
{
	my ($command, %settings) = @_;
	my ($out, $err) = ('', '');
	local %ENV = ((map { $_ => $ENV{$_} } grep { !/^PG/ } keys %ENV), %connection, %settings);

	my $ok = eval {
		IPC::Run::run($command, '<', \$psql, '>', \$out, '2>', \$err,
			IPC::Run::timeout(SECONDS));
	};
	return ($ok ? 1 : 0, $out, $err . $@);
}

#----------------------------------------------------------------------------
# those that do their work
#----------------------------------------------------------------------------

sub run_driver
{
	my ($driver, %settings) = @_;

	return run($command_of{$driver}, PGUSER => 'app', PGCHANNELBINDING => 'require', %settings);
}

my $rounds = 0;

sub drivers_work
{
	my ($when) = @_;

	$rounds++;
	for my $driver (@drivers)
	{
		my ($ok, $out, $err) = run_driver($driver);
		is($out, "true $rounds" . ($more{$driver} // '') . "\n", "$driver: works by TLS, $when")
		  or diag($err);
		ok($ok, "$driver: to its end, $when");
	}
}

# It can't trust the server, and so does not log in.
sub drivers_refuse
{
	my ($why, %settings) = @_;
	my $logins = sql('SELECT sum(logins) FROM pooler.stats');

	for my $driver (@drivers)
	{
		my ($ok, $out, $err) = run_driver($driver, %settings);
		ok(!$ok, "$driver: refuses $why");
		is($out, '', "$driver: and does nothing");
		like($err, qr/certificate|PKIX|altname/i, "$driver: and says why");
	}
	is(sql('SELECT sum(logins) FROM pooler.stats'), $logins, "nobody has logged in ($why)");
}

# The server's certificate, as it is served.
sub serve
{
	my ($name, $alternatives) = @_;

	$ca->certificate('server', subject => "/CN=$name", names => $alternatives);
	$node->reload;
	ok(wait_until("$name is served",
			sub { TlsTest::probe($node, '-starttls', 'postgres') =~ /s:CN ?= ?$name\n/ }),
		"the certificate of $name is served");
}

drivers_work('at first');
drivers_refuse('an authority that it does not know', PGSSLROOTCERT => $other_ca->file('ca.crt'));
serve('elsewhere', 'DNS:elsewhere.example.com');
drivers_refuse('a certificate with another name');
serve('here-again', $names);
drivers_work('with a new certificate');

is(sql('SELECT count(*), count(DISTINCT driver) FROM seen'),
	2 * @drivers . '|' . @drivers, 'all that they have committed is there');
is(sql(q{SELECT backends FROM pooler.pools WHERE role = 'app'}), '1', 'one backend was enough');
for my $setting ('disable', 'prefer')
{
	my ($ok, undef, $err) = run_driver('psql', PGSSLMODE => $setting, PGSSLROOTCERT => '',
		PGPASSWORD => 'wrong', PGCHANNELBINDING => 'prefer');
	ok(!$ok, "a wrong password, sslmode=$setting");
	like($err, $setting eq 'disable' ? qr/no pg_hba\.conf entry for .*, no encryption/ :
		qr/password authentication failed for user "app"/, '... is told so');
}

#----------------------------------------------------------------------------
# replication
#----------------------------------------------------------------------------

my $dir = PostgreSQL::Test::Utils::tempdir();

sub run_program
{
	my ($name, $command, %settings) = @_;
	my ($ok, undef, $err) = run($command, PGUSER => 'standby', %settings);

	ok($ok, $name) or diag($err);
}

{
	my ($ok, undef, $err) = run([ 'pg_basebackup', '-D', "$dir/none" ],
		PGUSER => 'standby', PGSSLROOTCERT => $other_ca->file('ca.crt'));
	ok(!$ok, 'pg_basebackup: refuses an authority that it does not know');
	like($err, qr/certificate verify failed/, '... and says why');
	($ok, undef, $err) = run([ 'pg_basebackup', '-D', "$dir/none" ],
		PGUSER => 'standby', PGSSLMODE => 'disable');
	ok(!$ok, 'pg_basebackup without TLS is refused');
	like($err, qr/no pg_hba\.conf entry for replication connection from .*, no encryption/, '... by the rules');
	($ok, undef, $err) = run([ 'pg_basebackup', '-D', "$dir/none" ],
		PGUSER => 'standby', PGCHANNELBINDING => 'require');
	ok(!$ok, 'pg_basebackup: there is no channel binding for replication');
	like($err, qr/channel binding is required/, '... so that it gives up');
}

run_program('pg_basebackup -X stream',
	[ 'pg_basebackup', '-D', "$dir/backup", '-X', 'stream', '-c', 'fast' ]);
run_program('... and the backup is whole', [ 'pg_verifybackup', "$dir/backup" ]);

{
	mkdir "$dir/wal";
	my @receive = ('pg_receivewal', '-S', 'received', '-D', "$dir/wal");
	run_program('pg_receivewal --create-slot', [ @receive, '--create-slot' ]);
	sql('SELECT pg_switch_wal(); CHECKPOINT');
	my $end = sql('SELECT pg_current_wal_lsn()');
	sql('INSERT INTO t VALUES (1)');
	run_program('pg_receivewal', [ @receive, '--synchronous', '--no-loop', '--endpos', $end ]);
	ok((() = glob("$dir/wal/0*")) > 0, '... has received WAL');
	sql(q(SELECT pg_drop_replication_slot('received')));
}
{
	my @receive = ('pg_recvlogical', '-d', 'postgres', '-S', 'decoded');
	run_program('pg_recvlogical --create-slot', [ @receive, '-P', 'test_decoding', '--create-slot' ]);
	sql('INSERT INTO t VALUES (2)');
	my $end = sql('SELECT pg_current_wal_lsn()');
	run_program('pg_recvlogical --start',
		[ @receive, '--start', '-f', "$dir/decoded", '--no-loop', '--endpos', $end ]);
	like(slurp_file("$dir/decoded"), qr/table public.t: INSERT: a\[integer\]:2/, '... has decoded');
	run_program('pg_recvlogical --drop-slot', [ @receive, '--drop-slot' ]);
}

my $subscriber = PostgreSQL::Test::Cluster->new('subscriber');
$subscriber->init(allows_streaming => 'logical');
$subscriber->start;
$subscriber->safe_psql('postgres', 'CREATE TABLE t (a int PRIMARY KEY)');
$subscriber->safe_psql('postgres', qq(CREATE SUBSCRIPTION s
	CONNECTION 'host=localhost port=$connection{PGPORT} sslmode=require user=standby password=secret dbname=postgres'
	PUBLICATION p));
ok($subscriber->poll_query_until('postgres', 'SELECT count(*) FROM t', '2'),
	'a subscription: its first copy');
sql('INSERT INTO t VALUES (3)');
ok($subscriber->poll_query_until('postgres', 'SELECT count(*) FROM t', '3'), '... and what follows');

# What others see of its walsender.
becomes($node, q(SELECT s.ssl, s.version, s.cipher, s.bits > 0, s.client_dn IS NULL
		FROM pg_stat_ssl s JOIN pg_stat_replication r USING (pid)
		JOIN pooler.clients c ON c.pid = r.pid AND c.tls_version = s.version AND c.tls_cipher = s.cipher
		WHERE r.application_name = 's' AND r.state = 'streaming' AND c.state = 'replication'),
	't|TLSv1.3|TLS_AES_256_GCM_SHA384|t|t', 'pg_stat_ssl has its walsender');

$subscriber->safe_psql('postgres', 'DROP SUBSCRIPTION s');
$subscriber->stop;
becomes($node, q(SELECT count(*) FROM pooler.clients WHERE state = 'replication'), '0',
	'nothing is left of it');
unlike(slurp_file($node->logfile), qr/PANIC|TRAP|was terminated by signal|errmsg/, 'no accidents');
$node->stop;

done_testing();
