# Replication by TLS, and what the end of the server is to clients with TLS: a
# standby gets everything, and nothing is left of the server.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Cwd qw(realpath);
use File::Copy qw(copy);
use PoolerTest qw(becomes log_size logged new_node pooler_connstr pooler_port
  pooler_psql wait_for_pooler wait_until worker_pid);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use TlsTest;

plan skip_all => 'the program openssl is needed' unless TlsTest::possible();

my $ca = TlsTest->new;
my $other_ca = TlsTest->new('somebody else');

$ca->certificate('server', subject => '/CN=localhost', names => 'DNS:localhost,IP:127.0.0.1');
$ca->certificate('standby');
$ca->certificate('app');
$other_ca->certificate('standby');

# An identity longer than most.
my $long_name = '/O=' . join('/OU=', map { "$_ " . 'x' x 55 } 1 .. 45) . '/CN=long';
$ca->certificate('long', subject => $long_name);

my $node = new_node('tls_shutdown',
	init => { allows_streaming => 'logical' },
	hba => q(
local	all	all	trust
hostssl	replication	standby	127.0.0.1/32	cert
hostssl	all	standby,long	127.0.0.1/32	cert
hostssl	all	all	127.0.0.1/32	trust
),
	conf => qq(
ssl = on
ssl_cert_file = '@{[ $ca->file('server.crt') ]}'
ssl_key_file = '@{[ $ca->file('server.key') ]}'
ssl_ca_file = '@{[ $ca->file('ca.crt') ]}'
log_connections = on
restart_after_crash = on
pooler.tls_workers = 2
));
$node->start;
$node->safe_psql('postgres', q{
	CREATE EXTENSION pooler;
	CREATE ROLE app LOGIN;
	CREATE ROLE long LOGIN;
	CREATE ROLE standby LOGIN REPLICATION;
	CREATE TABLE t AS SELECT 1 AS a;
	GRANT ALL ON t TO app;
});
wait_for_pooler($node);

sub connection
{
	my ($authority, $role) = @_;

	return "host=127.0.0.1 port=@{[ pooler_port($node) ]} user=$role sslmode=verify-full"
	  . " sslrootcert=@{[ $ca->file('ca.crt') ]}"
	  . " sslcert=@{[ $authority->file('standby.crt') ]} sslkey=@{[ $authority->file('standby.key') ]}";
}

sub replication_psql
{
	my ($sql, $connection) = @_;
	my ($out, $err);

	IPC::Run::run([ 'psql', '-XAtq', '-c', $sql, '-d', "$connection replication=database dbname=postgres" ],
		'<', \'', '>', \$out, '2>', \$err);
	return $out . $err;
}

#----------------------------------------------------------------------------
# client certificates
#----------------------------------------------------------------------------

my $log = log_size($node);
like(replication_psql('IDENTIFY_SYSTEM', connection($ca, 'standby')), qr/^\d+\|1\|/,
	'replication with a client certificate');
logged($node, $log,
	qr/replication connection authorized: user=standby application_name=\S+ SSL enabled \(protocol=TLSv1\.3, cipher=TLS_AES_256_GCM_SHA384, bits=256\)$/m,
	'the log has its TLS');
is(replication_psql('SELECT ssl, client_dn FROM pg_stat_ssl WHERE pid = pg_backend_pid()',
		connection($ca, 'standby')), "t|/CN=standby\n", 'so has pg_stat_ssl');
like(replication_psql('IDENTIFY_SYSTEM', connection($ca, 'long')),
	qr/FATAL:  certificate authentication failed for user "long"/, 'another name than in the certificate');
like(replication_psql('IDENTIFY_SYSTEM', connection($other_ca, 'standby')),
	qr/SSL error|server closed the connection/, 'a certificate of somebody else');

#----------------------------------------------------------------------------
# a long identity
#----------------------------------------------------------------------------

my @long = (host => '127.0.0.1', role => 'long', sslmode => 'require',
	sslcert => $ca->file('long.crt'), sslkey => $ca->file('long.key'));
is(pooler_psql($node, 'SELECT 1', @long), '1', 'a certificate with a long name');
SKIP:
{
	skip 'SYSTEM_USER came with PostgreSQL 16', 2 if $node->pg_version < 16;
	my $length = length($long_name) - 1;

	is(pooler_psql($node, 'SELECT length(SYSTEM_USER)', @long), $length + length('cert:'),
		'which SYSTEM_USER shows');
	# by a login that core carries out, and for other clients of its backend
	my $rules = slurp_file($node->data_dir . '/pg_hba.conf');
	$rules =~ s/^(hostssl\tall\t)standby,long/hostssl\tall\tlong\tsome.name.invalid\tcert\n$1standby,long/m;
	unlink $node->data_dir . '/pg_hba.conf';
	append_to_file($node->data_dir . '/pg_hba.conf', $rules);
	$node->reload;
	ok(wait_until('a host name in the rules', sub {
				my ($rc, $out) = pooler_psql($node, 'SELECT length(SYSTEM_USER)', @long);
				return $out eq $length + length('cert:')
				  && $node->safe_psql('postgres',
					'SELECT count(*) FROM pg_hba_file_rules WHERE address = \'some.name.invalid\'') eq '1';
			}), 'so it does after a delegated login');
}

#----------------------------------------------------------------------------
# the end of the server
#----------------------------------------------------------------------------

# Processes of the server.
sub left
{
	my $dir = realpath($node->data_dir);

	return grep { (readlink("$_/cwd") // '') eq $dir } glob('/proc/[0-9]*');
}

for my $mode ('fast', 'smart')
{
	my $dir = PostgreSQL::Test::Utils::tempdir();
	my ($out, $err) = ('', '');
	my $receiver = IPC::Run::start(
		[ 'pg_receivewal', '--no-loop', '-D', $dir, '-d', connection($ca, 'standby') ],
		'<', \'', '>', \$out, '2>', \$err);
	my $client = TlsTest::client($node);

	becomes($node, q{SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'}, 1,
		"$mode: a standby by TLS");
	is($client->login(role => 'app'), 'ok', 'and a client');
	is($client->value('SELECT 1'), '1');
	$node->safe_psql('postgres', 'INSERT INTO t SELECT generate_series(1, 10000)');
	$node->stop($mode);
	$receiver->finish;
	like($client->reply, qr/^FATAL 57P01: terminating connection due to administrator command, eof$/,
		'the client is told');
	unlike($err, qr/SSL|error:.*(?:closed|terminated) (?:the connection )?(?:abnormally|unexpectedly)/,
		'the standby sees an end that is none too early');
	my ($checkpoint) = `pg_controldata -D @{[ $node->data_dir ]}` =~
	  /^Latest checkpoint location:\s+(\S+)/m;
	my ($partial) = glob("$dir/*.partial");
	ok($partial, 'it has got WAL') or next;
	my $segment = $partial =~ s/\.partial$//r;
	copy($partial, $segment);
	my $last = `pg_waldump -n 1 -s $checkpoint $segment 2>&1`;
	like($last, qr/CHECKPOINT_SHUTDOWN/, 'up to the last checkpoint');
	ok(wait_until('no process of the server is left', sub { !left() }),
		'and nothing is left of the server');
	$node->start;
	wait_for_pooler($node);
}

# At once: clients see that it is over, and get in again.
for my $way ('immediate shutdown', 'crash')
{
	my $client = TlsTest::client($node);
	my $before = worker_pid($node);

	is($client->login(role => 'app'), 'ok');
	is($client->value('SELECT 2'), '2');
	if ($way eq 'crash')
	{
		kill 'KILL', $node->safe_psql('postgres', 'SELECT pid FROM pooler.backends LIMIT 1');
		ok(wait_until('the server is back', sub {
					my $pid = eval { worker_pid($node) };
					return $pid && $pid ne $before;
				}), 'the server is back');
	}
	else
	{
		$node->stop('immediate');
		ok(wait_until('no process of the server is left', sub { !left() }), 'nothing is left');
		$node->start;
	}
	like($client->reply, qr/eof$/, "$way: the client sees that it is over");
	wait_for_pooler($node);
	is(pooler_psql($node, 'SELECT 3', host => '127.0.0.1', role => 'app', sslmode => 'require'),
		'3', 'and gets in again');
}

$node->stop;
done_testing();
