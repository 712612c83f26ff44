# What core takes for granted of its own sessions, where pooler does otherwise:
# see "What core takes for granted" in src/README.md.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use PoolerTest qw(log_after log_size pooler_port pooler_psql start_node wait_until);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WireClient qw(m_copy_data m_query message);

my $node = start_node('core', hba => q(
local	all	all	trust
host	all	all	127.0.0.1/32	password
), conf => q{
pooler.default_pool_size = 1
restart_after_crash = on
});
my $admin = WireClient->new($node, port => $node->port);

sub client { return WireClient->new($node, role => 'app', @_) }

$admin->query($_) for ('CREATE ROLE app LOGIN SUPERUSER',
	q{CREATE ROLE core LOGIN SUPERUSER PASSWORD 'secret'}, 'CREATE TABLE t (a int)',
	'GRANT ALL ON t TO app');

#----------------------------------------------------------------------------
# a backend knows from its start on whether its role is a superuser
#----------------------------------------------------------------------------

# What a new client has, on the backend of an earlier one, and on the server's
# own port.
sub rights
{
	my ($name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my @answers;

	for my $port ($node->port, undef)
	{
		my $client = defined $port ? client(port => $port) : client();

		push @answers, join('; ', $client->{parameters}{is_superuser} // '',
			map { $client->query($_) } 'SHOW is_superuser',
			'SET SESSION AUTHORIZATION pg_monitor', 'SELECT session_user');
		$client->quit;
	}
	is($answers[1], $answers[0], $name);
}

# The same, where core carries out the login.
sub delegated_rights
{
	my ($name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	local $ENV{PGPASSWORD} = 'secret';
	my @answers = map {
		join('; ', pooler_psql($node,
			'SHOW is_superuser; SET SESSION AUTHORIZATION pg_monitor; SELECT session_user',
			role => 'core', host => '127.0.0.1', port => $_, psql => { on_error_stop => 0 }))
	} $node->port, pooler_port($node);

	is($answers[1], $answers[0], "$name, core does the login");
}

for my $is ('NOSUPERUSER', 'SUPERUSER', 'NOSUPERUSER')
{
	my $before = client();

	$before->query('SELECT 1');
	$admin->query("ALTER ROLE app $is; ALTER ROLE core $is");
	for my $when ('first', 'again')
	{
		rights("after ALTER ROLE $is, $when");
		delegated_rights("after ALTER ROLE $is, $when");
	}
	$before->quit;
}

#----------------------------------------------------------------------------
# half a message that is left of a COPY, when the client goes
#----------------------------------------------------------------------------

{
	my $client = client();
	my $pid = $client->value('SELECT pg_backend_pid()');
	my $log = log_size($node);

	$client->put(m_query('COPY t FROM STDIN'));
	$client->reply('G');
	$client->put(m_copy_data("x\n") . substr(m_copy_data('y' x 1000), 0, 100));
	like($client->reply, qr/^ERROR 22P02/, 'a COPY fails');
	$client->close;

	$client = client();
	is($client->value('SELECT pg_backend_pid()'), $pid, 'the backend goes on');
	unlike(log_after($node, $log), qr/synchronization/, '... and complains of nothing');
	$client->quit;
}

#----------------------------------------------------------------------------
# SIGQUIT while the last bytes of a result are being sent
#----------------------------------------------------------------------------

{
	my $client = client();
	my $pid = $client->value('SELECT pg_backend_pid()');
	my $log = log_size($node);
	my $blocked = 0;

	# No result fills libpq's buffer, so that all of each is sent by the flush
	# after ReadyForQuery; at last that of one of them has to wait.
	for (1 .. 10_000)
	{
		$client->put(m_query(q{SELECT repeat('x', 4000)}));
		$blocked = wait_until('the backend is idle, or waits', sub {
			my $state = $admin->value(qq{SELECT state || ' ' || coalesce(wait_event, '')
				FROM pg_stat_activity WHERE pid = $pid});
			return $state eq 'idle ClientWrite' ? 1 : $state =~ /^idle Client/ ? 1 : 0;
		}) && $admin->value(qq{SELECT wait_event FROM pg_stat_activity WHERE pid = $pid}) eq 'ClientWrite';
		last if $blocked;
	}
	ok($blocked, 'a backend waits for its client to read the end of a result');
	ok(kill('QUIT', $pid), 'it gets SIGQUIT');
	ok(wait_until("process $pid has ended", sub { !-e "/proc/$pid" || slurp_file("/proc/$pid/stat") =~ /\) Z/ }, 60),
		'... and ends');
	kill('KILL', $pid);
	$client->close;
	$admin->close;

	# as the process of any other session that does so
	ok(wait_until('the server has begun anew', sub {
		log_after($node, $log) =~ /all server processes terminated; reinitializing/ }),
		'the server takes it for a crash');
	ok($node->poll_query_until('postgres', 'SELECT true'), '... and goes on');
}

$node->stop;
done_testing();
