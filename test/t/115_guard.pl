# What strangers can't do: guess passwords as fast as they like, use up the
# slots for clients, have the pooler keep what they send, or read a password in
# the log.

use strict;
use warnings;

use LoginClient qw(connect_from login_answer send_message);
use POSIX ();
use PoolerTest qw(becomes log_after log_size logged pooler_port start_node wait_until worker_pid);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use RawClient;
use Test::More;
use Time::HiRes qw(time);

my $max_clients = 40;
my $node = start_node(
	'guard',
	conf => "pooler.max_client_conn = $max_clients\nlog_line_prefix = '%m %e '",
	hba => q(
local	all	all		trust
host	all	plain	127.0.0.0/8	password
host	all	bob		127.0.0.0/8	md5
host	all	trusted	127.0.0.0/8	trust
host	all	all		127.0.0.0/8	scram-sha-256
));
my $port = pooler_port($node);

$node->safe_psql('postgres', q(
	CREATE ROLE alice LOGIN PASSWORD 'right';
	CREATE ROLE plain LOGIN PASSWORD 'right';
	CREATE ROLE trusted LOGIN;
	SET password_encryption = 'md5';
	CREATE ROLE bob LOGIN PASSWORD 'right'));

sub attempt
{
	my ($from, $role, @password) = @_;
	return login_answer($from, $node->host, $port, role => $role, database => 'postgres', @password);
}

# How long the answer took, which has to be that.
sub refused
{
	my ($from, $role, $least, $name) = @_;
	my $begin = time;

	is(attempt($from, $role, password => 'wrong'),
		qq(FATAL 28P01: password authentication failed for user "$role"), "$name: refused");
	my $took = time - $begin;
	cmp_ok($took, '>=', $least, "$name: after $least s") if $least > 0;
	return $took;
}

#
# Wrong passwords
#

refused('127.0.0.1', 'alice', 0, 'without a delay');
$node->safe_psql('postgres', q(ALTER SYSTEM SET pooler.auth_delay = '0.2s'));
$node->reload;
# it is in force when an answer takes that long
wait_until('auth_delay is in force', sub {
	my $begin = time;
	attempt('127.1.0.1', 'alice', password => 'wrong');
	return time - $begin >= 0.2;
});

my $offset = log_size($node);
refused('127.0.0.1', 'alice', 0.2, 'scram, once');
refused('127.0.0.1', 'bob', 0.4, 'md5, the second');
refused('127.0.0.1', 'plain', 0.8, 'password, which a backend checks, the third');
refused('127.0.0.1', 'nosuch', 1.6, 'an unknown role, the fourth');
is(scalar(() = log_after($node, $offset) =~ /FATAL:  password authentication failed/g), 4,
	'each is in the log once');

# Others do not wait, neither for a backend nor for the answer.
{
	my $client = RawClient->connect($node, role => 'trusted');
	my @waiting;

	for my $role ('alice', 'plain', 'bob')
	{
		my $sock = connect_from('127.2.0.1', $node->host, $port);
		my $pid = fork() // die "fork: $!";
		if ($pid == 0)
		{
			POSIX::_exit(attempt('127.0.0.1', $role, password => 'wrong') =~ /28P01/ ? 0 : 1);
		}
		push @waiting, $pid;
	}
	is($client->ask('SELECT 1'), 1, 'another client is served meanwhile');
	is(attempt('127.0.0.2', 'plain', password => 'right'), 'ok', 'or logs in from another address');
	is(attempt('127.0.0.1', 'alice', password => 'right'), 'ok', 'or, with the right password, from this one');
	for my $pid (@waiting)
	{
		waitpid($pid, 0);
		is($?, 0, 'they are refused in the end');
	}
	$client->quit;
}

# Success is not delayed, and ends the row of failures.
is(attempt('127.0.0.3', 'alice', password => 'wrong') =~ /28P01/, 1, 'another address fails');
refused('127.0.0.3', 'alice', 0.4, 'twice');
is(attempt('127.0.0.3', 'alice', password => 'right'), 'ok', 'and gets in');
refused("127.0.0.3", "alice", 0.2, "then fails again");

# Who hangs up is not waited for.
{
	my $sock = connect_from('127.0.0.4', $node->host, $port);
	LoginClient::send_startup($sock, role => 'bob', database => 'postgres');
	LoginClient::read_message($sock);
	send_message($sock, 'p', "wrong\0");
	logged($node, log_size($node) - 1000, qr/failed for user "bob"/, 'a client that fails');
	close $sock;
	becomes($node, q(SELECT count(*) FROM pooler.clients), 0, 'and hangs up is forgotten');
}
$node->safe_psql('postgres', 'ALTER SYSTEM RESET pooler.auth_delay');
$node->reload;

#
# Silent connections
#

# As many as there are slots, in several states, and more.
my $silent = $max_clients + 64 + 20;
my @silent;

$offset = log_size($node);
for my $i (1 .. $silent)
{
	my $sock = connect_from('127.0.0.5', $node->host, $port) or die "connect: $!";
	if ($i % 2)
	{
		LoginClient::send_startup($sock, role => 'alice', database => 'postgres');
	}
	else
	{
		syswrite($sock, "\0");
	}
	push @silent, $sock;
}
for my $from ('127.0.0.6', '127.0.0.5')
{
	is(attempt($from, 'alice', password => 'right'), 'ok', "a client from $from gets in");
	is(attempt($from, 'trusted'), 'ok', 'as does another');
}
logged($node, $offset, qr/53300 FATAL:  too many connections are logging in\n.*DETAIL:  All client slots are taken, and pooler.max_unauthenticated is 10\./,
	'some had to go, and the log says why');
my $gone = 0;
for my $sock (@silent)
{
	my $in = '';
	my $bytes = '';
	vec($in, fileno($sock), 1) = 1;
	$gone++ if select(my $out = $in, undef, undef, 0) && sysread($sock, $bytes, 1000) && $bytes =~ /too many connections are logging in/;
}
cmp_ok($gone, '>=', 20, "$gone were told so");
cmp_ok($gone, '<', $silent, 'but not all');

# Who has logged in keeps its slot.
my @clients = map { RawClient->connect($node, role => 'trusted', from => '127.0.0.7') } 1 .. $max_clients - 12;
for my $i (1 .. 2 * $silent)
{
	my $sock = connect_from('127.0.0.5', $node->host, $port) or next;
	LoginClient::send_startup($sock, role => 'alice', database => 'postgres');
	push @silent, $sock;
}
is((grep { $_->ask('SELECT 1') eq '1' } @clients), scalar @clients, 'all others are served');
is(attempt('127.0.0.6', 'trusted'), 'ok', 'and one more can come');
close $_ for @silent;
# beyond that, a client is one too many as ever
push @clients, map { RawClient->connect($node, role => 'trusted') } @clients + 1 .. $max_clients;
like(attempt('127.0.0.6', 'trusted'), qr/^FATAL 53300: sorry, too many clients already/, 'when all have logged in');
$_->quit for @clients;
becomes($node, q(SELECT count(*) FROM pooler.clients), 0, 'all have left');

#
# Memory
#

# A password of 64 kB is what core takes; announcing it is not sending it.
my $pid = worker_pid($node);
sub resident { return slurp_file("/proc/$pid/status") =~ /VmRSS:\s+(\d+)/ ? $1 : die }
my $before = resident();
my @announced = map {
	my $sock = connect_from('127.0.0.5', $node->host, $port);
	LoginClient::send_startup($sock, role => 'bob', database => 'postgres');
	LoginClient::read_message($sock);
	syswrite($sock, pack('aNa4', 'p', 65000, 'x'));
	$sock
} 1 .. 30;
is(attempt('127.0.0.1', 'trusted'), 'ok', 'many announce long passwords');
cmp_ok(resident() - $before, '<', 30 * 60, 'no memory is kept for them');
close $_ for @announced;

$node->stop;
done_testing();
