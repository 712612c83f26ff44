# What the pooler does when it can't have what it was told to take: a port that
# is in use, more open files than it may have, settings that make no sense.

use strict;
use warnings;

use IO::Socket::INET;
use IO::Socket::UNIX;
use PoolerTest
  qw(becomes configure descriptors log_after log_size logged new_node pooler_port pooler_psql wait_for_pooler wait_until worker_pid);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use RawClient;
use Test::More;

my $node = new_node('start', conf => 'max_connections = 30');
my $port = pooler_port($node);
my $socket = $node->host . "/.s.PGSQL.$port";

#
# The port is taken, and there is a socket file that nobody listens at
#

my $squatter = IO::Socket::INET->new(
	Listen => 1,
	LocalAddr => '127.0.0.1',
	LocalPort => $port,
	ReuseAddr => 1) or die "cannot take port $port: $!";
my $stale = IO::Socket::UNIX->new(Listen => 1, Local => $socket)
  or die "cannot make $socket: $!";
close $stale;
ok(-S $socket, 'there is a stale socket');

$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION pooler; CREATE ROLE alice LOGIN');
logged($node, 0, qr/LOG:  pooler could not bind IPv4 address "127\.0\.0\.1", port $port: Address already in use.*\n.*HINT:  Is another process using the port\? .*tried again/,
	'the worker says that the port is taken');
is($node->safe_psql('postgres', 'SELECT 1'), '1', 'the server runs');
wait_for_pooler($node);
is(scalar pooler_psql($node, 'SELECT 2'), '2', 'the stale socket has been replaced');
my $worker = worker_pid($node);
my $lines = () = log_after($node, 0) =~ /could not bind/g;
is($lines, 1, 'it says so once');

close $squatter;
ok(wait_until('the port is listened at', sub {
			return defined RawClient->open($node);
		}), 'it gets the port when it is free');
is(scalar pooler_psql($node, 'SELECT 3', host => '127.0.0.1'), '3', 'and serves there');
is(worker_pid($node), $worker, 'it is the same worker');
logged($node, 0, qr/LOG:  pooler is listening on IPv4 address "127\.0\.0\.1", port $port/,
	'and it says so');

# Somebody listens at the socket: it stays theirs.
$node->stop;
ok(!-e $socket, 'the socket is removed at the end');
my $other = IO::Socket::UNIX->new(Listen => 1, Local => $socket)
  or die "cannot make $socket: $!";
my $offset = log_size($node);
$node->start;
logged($node, $offset, qr/LOG:  pooler could not bind Unix socket "\Q$socket\E": Address already in use/,
	'a socket that somebody listens at is left alone');
is(scalar pooler_psql($node, 'SELECT 4', host => '127.0.0.1'), '4', 'the other address is served');
close $other;
ok(wait_until('the socket is listened at', sub {
			return defined RawClient->open($node, from => 'local');
		}), 'it gets the socket when it is free');
$node->stop;

# No such directory, although the others are fine.
my $conf = slurp_file($node->data_dir . '/postgresql.conf');
my $none = $node->data_dir . '/none';
$offset = log_size($node);
$node->append_conf('postgresql.conf',
	"pooler.unix_socket_directories = '" . ($socket =~ s{/[^/]*$}{}r) . ", $none'");
$node->start;
logged($node, $offset, qr{LOG:  pooler could not bind Unix socket "\Q$none\E/[^"]+": No such file or directory.*\n.*HINT:  Check pooler\.unix_socket_directories},
	'what is wrong with a directory');
is(scalar pooler_psql($node, 'SELECT 5'), '5', 'the other sockets are served');
$node->stop;
unlink $node->data_dir . '/postgresql.conf';
append_to_file($node->data_dir . '/postgresql.conf', $conf);

#
# Limits on open files
#

# Start the server with these limits for it alone.
sub start_with
{
	my ($soft, $hard) = @_;

	system_or_bail('sh', '-c',
		'ulimit -S -n "$1" && ulimit -H -n "$2" && shift 2 && exec "$@" >/dev/null',
		'sh', $soft, $hard, $node->installed_command('pg_ctl'),
		'-w', '-D', $node->data_dir, '-l', $node->logfile, 'start');
	$node->_update_pid(1);
	wait_for_pooler($node);
}

sub max_clients
{
	return $node->safe_psql('postgres', 'SELECT max_clients FROM pooler.status');
}

# As many clients as can be had, and what the next one is told.
sub fill
{
	my @clients;

	while (1)
	{
		my $client = RawClient->open($node) or die "connect: $!";
		my $answer = $client->login(role => 'alice');
		return (\@clients, $answer) if $answer ne 'ok';
		push @clients, $client;
	}
}

$node->append_conf('postgresql.conf', q(
max_files_per_process = 200
pooler.max_client_conn = 300
pooler.default_pool_size = 2
));

# There is no room for a single client: the server runs without the pooler.
$offset = log_size($node);
system_or_bail('sh', '-c', 'ulimit -n 300 && exec "$@" >/dev/null',
	'sh', $node->installed_command('pg_ctl'),
	'-w', '-D', $node->data_dir, '-l', $node->logfile, 'start');
$node->_update_pid(1);
logged($node, $offset, qr/FATAL:  the limit on open files is too low for the pooler\n.*DETAIL:  The limit is 300, at least \d+ are needed\.\n.*HINT:  /,
	'no room at all');
my ($least) = log_after($node, $offset) =~ /at least (\d+) are needed/;
is($node->safe_psql('postgres', 'SELECT 7'), '7', 'the server runs');
$node->stop;

# The soft limit is too low, the hard one is not.
$offset = log_size($node);
start_with($least - 50, $least + 1000);
is(max_clients(), 300, 'the soft limit is raised');
unlike(log_after($node, $offset), qr/WARNING/, 'without a warning');
my ($clients, $answer) = fill();
is(scalar @$clients, 300, 'all clients are let in');
is($answer, 'FATAL 53300: sorry, too many clients already', 'and no more');
is(scalar(grep { $_->ask('SELECT 5') eq '5' } @$clients), 300, 'and served');
my ($soft) = slurp_file('/proc/' . worker_pid($node) . '/limits') =~ /^Max open files\s+(\d+)/m;
cmp_ok($soft, '>', $least, 'the soft limit of the worker');
my ($postmaster) = slurp_file($node->data_dir . '/postmaster.pid') =~ /^(\d+)/;
($soft) = slurp_file("/proc/$postmaster/limits") =~ /^Max open files\s+(\d+)/m;
is($soft, $least - 50, 'the server keeps its own');
$_->close for @$clients;
$node->stop;

# Both are too low: fewer clients.
$offset = log_size($node);
start_with($least + 100, $least + 100);
logged($node, $offset, qr/WARNING:  the limit on open files is too low for 300 clients of the pooler, only \d+ will be let in\n.*DETAIL:  The limit is \d+, \d+ are needed\.\n.*HINT:  /,
	'a warning');
# the process that relays TLS has a limit of its own, and says so too
my ($fits) = log_after($node, $offset) =~ /clients of the pooler, only (\d+) will be let in/;
is(max_clients(), $fits, 'the limit in force can be seen');
cmp_ok($fits, '>', 20, 'there is some room');
cmp_ok($fits, '<', 300, 'but less than wanted');
($clients, $answer) = fill();
is(scalar @$clients, $fits, 'so many clients are let in');
is($answer, 'FATAL 53300: sorry, too many clients already', 'and no more');
is(scalar(grep { $_->ask('SELECT 6') eq '6' } @$clients), $fits, 'and served');
$clients->[0]->start('SELECT pg_sleep(600)');
becomes($node, q(SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'), 1,
	'a client is busy');
ok($clients->[0]->cancel, 'a cancel request still has room');
is($clients->[0]->answer, 'ERROR 57014: canceling statement due to user request',
	'and is carried out');
$_->close for @$clients;
becomes($node, 'SELECT count(*) FROM pooler.clients', 0, 'all have gone');
unlike(log_after($node, $offset), qr/Too many open files|out of file descriptors/,
	'nobody has run out of descriptors');
$node->stop;

#
# Settings that make no sense
#

$node->start;
for my $row (
	[ 'pooler.listen_addresses', 'a b "', qr/DETAIL:  List syntax is invalid\.\nHINT:  Give host names/ ],
	[ 'pooler.unix_socket_directories', '"', qr/DETAIL:  List syntax is invalid\.\nHINT:  Give directories/ ],
	[ 'pooler.prefork', 'app', qr/DETAIL:  Each item must be a database and a role.*\nHINT:  For example: / ],
	[ 'pooler.prefork', 'a/b/c', qr/HINT:  For example: / ],
	[ 'pooler.prefork', 'a/b,', qr/HINT:  For example: / ],
	[ 'pooler.max_backends', '40000', qr/DETAIL:  .*at most \d+ backends\.\nHINT:  / ],
	[ 'pooler.port', '0', qr/outside the valid range/ ],
	[ 'pooler.port', '65536', qr/outside the valid range/ ],
	[ 'pooler.max_client_conn', '0', qr/outside the valid range/ ],
	[ 'pooler.default_pool_size', '-1', qr/outside the valid range/ ],
	[ 'pooler.query_wait_timeout', '-1', qr/outside the valid range/ ],
	[ 'pooler.query_wait_timeout', '1 parsec', qr/HINT:  Valid units/ ],
	[ 'pooler.nonsense', '1', qr/(unrecognized configuration parameter|invalid configuration parameter name).*/ ])
{
	my ($name, $value, $expected) = @$row;
	my ($rc, undef, $err) = $node->psql('postgres', "ALTER SYSTEM SET $name = '$value'");

	isnt($rc, 0, "$name = '$value' is refused");
	like($err, $expected, "$name = '$value': with a reason");
}

# Nobody but a superuser gets at them, and at most of them nobody for a session
# alone.
for my $name ('pooler.prefork', 'pooler.client_read_timeout')
{
	my (undef, undef, $err) = pooler_psql($node, "SET $name = 5");
	like($err, qr/parameter "$name" cannot be changed now/, "$name is the server's");
}

# In the file they are refused at a reload, and the old ones hold.
$offset = log_size($node);
$node->append_conf('postgresql.conf', "pooler.prefork = 'nonsense'");
$node->reload;
logged($node, $offset, qr/invalid value for parameter "pooler.prefork": "nonsense"/, 'refused at a reload');
is(scalar pooler_psql($node, 'SHOW pooler.prefork'), '', 'the old one holds');
# names that do not exist are no reason to stop
$offset = log_size($node);
$node->append_conf('postgresql.conf', "pooler.prefork = 'nowhere/nobody'");
$node->reload;
logged($node, $offset, qr/WARNING:  pooler.prefork names a role or database that does not exist: nowhere\/nobody/,
	'names that do not exist');
is(scalar pooler_psql($node, 'SELECT 8'), '8', 'the others are served');
$node->stop;

# A host name that can't be resolved is left out, the other address is used.
$offset = log_size($node);
$node->append_conf('postgresql.conf', "pooler.listen_addresses = 'no.such.host.invalid, 127.0.0.1'");
$node->start;
logged($node, $offset, qr/WARNING:  pooler could not translate host name "no\.such\.host\.invalid"/,
	'a host name that is not known');
ok(wait_until('the pooler listens', sub { defined RawClient->open($node) }),
	'the other address is listened at');
$node->stop;

done_testing();
