# Another library that looks at every login, auth_delay of contrib, goes on to
# do so, whichever of the two is loaded first.

use strict;
use warnings;

use LoginClient qw(login_answer);
use POSIX ();
use PoolerTest qw(becomes new_node pooler_port pooler_psql wait_for_pooler wait_until);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use RawClient;
use Test::More;
use Time::HiRes qw(time);

my $delay = 0.3;

my ($libdir) = PostgreSQL::Test::Utils::run_command([ 'pg_config', '--pkglibdir' ]);
plan skip_all => 'auth_delay of contrib is not installed'
  unless -e "$libdir/auth_delay.so";

for my $libraries ('auth_delay,pooler', 'pooler,auth_delay')
{
	my $name = $libraries =~ s/,/ before /r;
	my $node = new_node(
		$libraries =~ s/,/_/r,
		libraries => $libraries,
		hba => q(
local	all	all		trust
host	all	carol	127.0.0.1/32	trust
host	all	bob		127.0.0.1/32	md5
host	all	all		127.0.0.1/32	scram-sha-256
),
		conf => 'auth_delay.milliseconds = ' . 1000 * $delay);
	$node->start;
	wait_for_pooler($node);
	$node->safe_psql('postgres', q(
		CREATE EXTENSION pooler;
		CREATE ROLE alice LOGIN PASSWORD 'secret';
		CREATE ROLE carol LOGIN;
		SET password_encryption = 'md5';
		CREATE ROLE bob LOGIN PASSWORD 'secret'));

	my $attempt = sub {
		my ($role, @password) = @_;
		return login_answer('127.0.0.1', $node->host, pooler_port($node),
			role => $role, database => 'postgres', @password);
	};

	# Good logins, and that a client was let in by the server itself makes no
	# difference afterwards.
	for my $role ('alice', 'bob', 'carol')
	{
		is($attempt->($role, password => 'secret'), 'ok', "$name: $role gets in");
	}
	is($node->safe_psql('postgres', 'SELECT delegated_logins FROM pooler.status'), 3,
		"$name: each login was seen by the other library");
	local $ENV{PGPASSWORD} = 'secret';
	is( scalar pooler_psql($node, 'SELECT current_user; SELECT current_user',
			host => '127.0.0.1', role => 'alice'),
		"alice\nalice", "$name: psql is served");
	my $client = RawClient->connect($node, role => 'carol', application_name => 'by carol');
	is($client->ask("SELECT current_user, current_setting('application_name')"),
		'carol|by carol', "$name: with startup options");

	# The others are not delayed by a wrong password.
	for my $case ([ 'alice', password => 'wrong' ], [ 'bob', password => 'wrong' ],
		[ 'nobody', password => 'wrong' ])
	{
		my $begin = time;
		my $pid = fork() // die "fork: $!";

		if ($pid == 0)
		{
			my $answer = $attempt->(@$case);
			POSIX::_exit($answer =~ /^FATAL 28(000|P01): / ? 0 : 1);
		}
		is($client->ask('SELECT 1'), '1', "$name: meanwhile, another client is served");
		waitpid($pid, 0);
		is($?, 0, "$name: $case->[0] is refused");
		cmp_ok(time - $begin, '>=', $delay, "$name: after the delay");
	}
	$client->quit;
	becomes($node, 'SELECT count(*) FROM pooler.clients', 0, "$name: all have gone");
	$node->stop;
}

done_testing();
