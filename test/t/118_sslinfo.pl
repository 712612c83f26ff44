# The extension sslinfo shows on the pooling port what it shows on the server's:
# with a certificate of the client, without one, and without TLS, all by the
# same backend.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use IPC::Run qw(start);
use PoolerTest qw(new_node pooler_connstr pooler_port pooler_psql wait_for_pooler);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use TlsTest;
use WireClient ();

plan skip_all => 'the program openssl is needed' unless TlsTest::possible();

my $ca = TlsTest->new;

$ca->certificate('server', subject => '/CN=localhost', names => 'DNS:localhost,IP:127.0.0.1');
$ca->certificate('alice', subject => '/O=Pool, Inc./CN=alice');
$ca->certificate('long', names => join(',', map { "DNS:$_." . 'x' x 60 } 1 .. 100));

my $node = new_node('sslinfo',
	hba => qq(
local	all	all	trust
host	all	app	127.0.0.1/32	trust
),
	conf => qq(
ssl = on
ssl_cert_file = '@{[ $ca->file('server.crt') ]}'
ssl_key_file = '@{[ $ca->file('server.key') ]}'
ssl_ca_file = '@{[ $ca->file('ca.crt') ]}'
pooler.default_pool_size = 1
wal_level = replica
max_wal_senders = 2
));
$node->start;

if ($node->safe_psql('postgres', q{SELECT count(*) FROM pg_available_extensions WHERE name = 'sslinfo'}) == 0)
{
	$node->stop;
	plan skip_all => 'sslinfo is not installed';
}
$node->safe_psql('postgres', 'CREATE EXTENSION pooler; CREATE EXTENSION sslinfo; CREATE ROLE app LOGIN REPLICATION');
wait_for_pooler($node);

my $everything = q{SELECT ssl_is_used(), ssl_version(), ssl_cipher(), ssl_client_cert_present(),
	ssl_client_serial(), ssl_client_dn(), ssl_issuer_dn(),
	ssl_client_dn_field('O'), ssl_issuer_field('commonName'),
	(SELECT string_agg(i::text, '; ' ORDER BY i::text) FROM ssl_extension_info() i)};

# psql by TCP, on one of the two ports.
sub ask
{
	my ($port, $sql, %options) = @_;

	return scalar pooler_psql($node, $sql, host => '127.0.0.1', role => 'app',
		port => $port, %options);
}

my %with_certificate = (
	sslmode => 'require',
	sslcert => $ca->file('alice.crt'),
	sslkey => $ca->file('alice.key'));
my @clients = (
	[ 'with a certificate', %with_certificate ],
	[ 'without TLS', sslmode => 'disable' ],
	[ 'by TLS', sslmode => 'require' ]);
my $backend;

for my $client (@clients, @clients)
{
	my ($name, %options) = @$client;
	my $wanted = ask($node->port, $everything, %options);

	is(ask(pooler_port($node), $everything, %options), $wanted, "$name: as on the server");
	note($wanted);
	$backend //= ask(pooler_port($node), 'SELECT pg_backend_pid()', %options);
	is(ask(pooler_port($node), 'SELECT pg_backend_pid()', %options), $backend, 'the same backend');
}
like(ask($node->port, $everything, %with_certificate), qr/^t\|TLSv1.*\|t\|.*Pool.*alice/,
	'there is something to be seen');

# A walsender of a client's own.
is(ask(pooler_port($node), $everything, %with_certificate, replication => 'database'),
	ask($node->port, $everything, %with_certificate), 'a replication connection');

# Of one that is too long nothing comes to the backend but what pg_stat_ssl shows.
{
	my %with_long = (%with_certificate,
		sslcert => $ca->file('long.crt'),
		sslkey => $ca->file('long.key'));
	my $row = 'SELECT ssl, version, client_serial, issuer_dn FROM pg_stat_ssl WHERE pid = pg_backend_pid()';

	cmp_ok(-s $ca->file('long.crt'), '>', 8000, 'a long certificate');
	is(ask(pooler_port($node), 'SELECT ssl_is_used(), ssl_client_cert_present()', %with_long),
		't|f', '... is not known to sslinfo');
	is(ask(pooler_port($node), $row, %with_long), ask($node->port, $row, %with_long),
		'... but to pg_stat_ssl');
}

# In the middle of a transaction, in a statement that is prepared, and where the
# function raises an error: nothing of it is left in the process.
my $in_transaction = q{BEGIN; PREPARE version AS SELECT ssl_version(), ssl_is_used();
	EXECUTE version; SAVEPOINT here; SELECT ssl_client_dn_field('no such field');
	ROLLBACK TO here; EXECUTE version; SELECT ssl_client_cert_present(); COMMIT; SELECT repeat('x', 100000)};

for my $client (@clients)
{
	my ($name, %options) = @$client;

	is(ask(pooler_port($node), $in_transaction, %options, psql => { on_error_stop => 0 }),
		ask($node->port, $in_transaction, %options, psql => { on_error_stop => 0 }),
		"$name: in a transaction, after an error");
}

# Where a row is seen only by TLS.
$node->safe_psql('postgres', q{
	CREATE TABLE secret AS SELECT 1 AS a;
	GRANT SELECT ON secret TO app;
	ALTER TABLE secret ENABLE ROW LEVEL SECURITY;
	CREATE POLICY by_tls ON secret USING (ssl_is_used());
});
for my $client (@clients)
{
	my ($name, %options) = @$client;

	is(ask(pooler_port($node), 'SELECT count(*) FROM secret', %options),
		$name eq 'without TLS' ? '0' : '1', "$name: row level security");
}

# Something is said to the client in the middle of a call: converting a name has
# to wait for a lock, and the backend is ended meanwhile.
{
	$node->safe_psql('postgres', q{CREATE DATABASE latin1 TEMPLATE template0
		ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'});
	$node->safe_psql('latin1', 'CREATE EXTENSION sslinfo');
	my $admin = WireClient->new($node, port => $node->port, database => 'latin1');
	my $started = $admin->value('SELECT pg_postmaster_start_time()');
	my $waiting = 'FROM pg_locks WHERE NOT granted AND ';
	my $for_conversion = "$waiting relation = 'pg_conversion'::regclass";

	for my $replication ('off', 'database')
	{
		my ($out, $err) = ('', '');

		# Connecting looks into the same catalog: so it is done before, and
		# what was found there is made invalid.
		$admin->query('SELECT pg_advisory_lock(1)');
		my $client = start([ 'psql', '-XAtq', '-c', 'SELECT pg_advisory_lock(1)',
				'-c', 'SELECT ssl_client_dn()', '-d',
				pooler_connstr($node, database => 'latin1', role => 'app',
					host => '127.0.0.1', replication => $replication, %with_certificate) ],
			'>', \$out, '2>', \$err);
		ok($admin->until("SELECT count(*) $waiting locktype = 'advisory'", 1),
			"replication=$replication: a client is connected");
		$admin->query("CREATE CONVERSION of_$replication FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8");
		$admin->query('BEGIN; LOCK TABLE pg_conversion; SELECT pg_advisory_unlock(1)');
		ok($admin->until("SELECT count(*) $for_conversion", 1), '... and waits in a function');
		$admin->query("SELECT pg_terminate_backend(pid) $for_conversion");
		eval { $client->finish };
		like($err, qr/terminating connection due to administrator command/,
			'... and is told why it ends');
		$admin->query('ROLLBACK');
	}
	is($admin->value('SELECT pg_postmaster_start_time()'), $started, 'nobody else notices');
	unlike(slurp_file($node->logfile), qr/terminated by signal/, '... since nothing has crashed');
	$admin->quit;
}

done_testing();
