# Cancel requests hit the client that they are meant for, whatever it does at
# the moment, and never another one; what is done to a pool backend by its
# process ID hits the client that is attached to it.

use strict;
use warnings;

use IO::Select;
use IPC::Run qw(start);
use PoolerTest
  qw(becomes log_after log_size logged pooler_connstr pooler_port pooler_psql start_node wait_until worker_pid);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use RawClient;
use Test::More;
use Time::HiRes qw(time usleep);

my $node = start_node(
	'cancel',
	hba => q(
local	all	all		trust
host	all	clear	127.0.0.1/32	password
host	all	all		127.0.0.1/32	trust
),
	conf => q(
log_statement = none
max_connections = 30
pooler.default_pool_size = 2
));
$node->safe_psql('postgres', q(
	CREATE ROLE alice LOGIN;
	CREATE ROLE clear LOGIN PASSWORD 'secret'));

my $cancelled = 'ERROR 57014: canceling statement due to user request';

sub client
{
	return RawClient->connect($node, role => 'alice', @_);
}

# Sleeps for good, and is known to do so.
my $sleep = 'SELECT pg_sleep(600)';

sub sleeping
{
	my ($number, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	becomes($node, q(SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'),
		$number, $name);
}

sub waiting
{
	my ($number, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	becomes($node, q(SELECT clients_waiting FROM pooler.pools WHERE role = 'alice'),
		$number, $name);
}

#
# A running query
#

for my $from ('127.0.0.1', 'local')
{
	my $client = client(from => $from);

	$client->start($sleep);
	sleeping(1, "$from: a query runs");
	ok($client->cancel, "$from: a cancel request has no answer");
	is($client->answer, $cancelled, "$from: the query is canceled");
	is($client->ask('SELECT 1'), '1', "$from: the session goes on");

	is($client->ask('BEGIN'), '', "$from: in a transaction");
	$client->start($sleep);
	sleeping(1, "$from: a query runs");
	$client->cancel;
	my $result = $client->finish;
	is($result->{errors}[0], $cancelled, "$from: the query is canceled");
	is($result->{status}, 'E', "$from: and the transaction with it");
	is($client->ask('ROLLBACK'), '', "$from: it ends as always");

	# of several in one message, and of several messages, one
	$client->start("SELECT 2; $sleep; SELECT 3");
	$client->start('SELECT 4');
	sleeping(1, "$from: one of several runs");
	$client->cancel;
	is($client->answer, "2\n$cancelled", "$from: its message is canceled");
	is($client->answer, '4', "$from: and not the next one");

	# as some clients do, after asking for encryption
	$client->start($sleep);
	sleeping(1, "$from: a query runs");
	my $other = RawClient->open($node, from => $from);
	$other->send_raw(pack('NN', 8, 80877103));
	$other->fill(1);
	is($other->{in}, 'N', "$from: SSLRequest before a cancel request");
	$other->{in} = '';
	$other->send_raw(pack('NN', 16, 80877102) . $client->{key});
	ok($other->at_end, "$from: is closed");
	is($client->answer, $cancelled, "$from: and the query is canceled");
	$client->quit;
}

# psql's Ctrl-C, for a client that the server has logged in
for my $role ('alice', 'clear')
{
	local $ENV{PGPASSWORD} = 'secret';
	my ($in, $out, $err) = ("SELECT 'before';\n$sleep;\n", '', '');
	my $psql = start(
		[ 'psql', '-XAt', '-d', pooler_connstr($node, host => '127.0.0.1', role => $role) ],
		'<', \$in, '>', \$out, '2>', \$err,
		IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
	$psql->pump_nb;
	sleeping(1, "$role: psql runs a query");
	$psql->signal('INT');
	$psql->finish;
	like($err, qr/ERROR:  canceling statement due to user request/, "$role: Ctrl-C");
	is($out, "before\n", "$role: and of what was before, nothing is lost");
}

#
# Nothing to cancel, and nobody
#

{
	my $client = client();

	for my $turn (1 .. 50)
	{
		$client->cancel;
		is($client->ask("SELECT $turn"), $turn, "an idle client, turn $turn")
		  or last;
	}
	$client->ask('BEGIN');
	$client->cancel;
	is($client->ask('SELECT 5'), '5', 'a client that is idle in its transaction');
	$client->ask('COMMIT');

	$client->start($sleep);
	sleeping(1, 'a query runs');
	my ($pid, $secret) = unpack('NN', $client->{key});
	my $gone = client();
	$gone->quit;
	my $backend = $node->safe_psql('postgres',
		q(SELECT pid FROM pooler.clients WHERE state = 'active'));
	for my $key (
		pack('NN', $pid, $secret ^ 1),
		pack('NN', $pid, 0),
		pack('NN', $pid + 1, $secret),
		pack('NN', 0, 0),
		pack('NN', 0xffffffff, $secret),
		pack('NN', $backend, $secret),
		pack('NN', worker_pid($node), $secret),
		$gone->{key})
	{
		$client->cancel($key);
	}
	# keys and packets of other lengths
	for my $packet (
		pack('NNN', 12, 80877102, $pid),
		pack('NNNn', 14, 80877102, $pid, 1),
		pack('NN', 20, 80877102) . $client->{key} . "\0\0\0\0",
		pack('NN', 264, 80877102) . $client->{key} . 'x' x 248,
		pack('NN', 4000, 80877102) . $client->{key} . 'x' x 3984)
	{
		my $other = RawClient->open($node);
		$other->send_raw($packet);
		ok($other->at_end, 'a cancel request of length ' . length $packet);
		$other->close;
	}
	ok(!$client->readable(0.2), 'a wrong key does nothing');
	sleeping(1, 'the query still runs');
	$client->cancel;
	is($client->answer, $cancelled, 'the right one does');

	# The process ID that the client knows is nobody's.
	is($node->safe_psql('postgres', "SELECT pg_cancel_backend($pid), pg_terminate_backend($pid)"),
		'f|f', 'no process has the ID that the client was told');
	is($client->ask('SELECT 6'), '6', 'and the client is untouched');
	$client->quit;
}

#
# A client in the queue
#

{
	my @busy = (client(), client());
	my @clients = map { client() } 1 .. 4;

	$_->start($sleep) for @busy;
	sleeping(2, 'both backends are busy');

	my $parse = sub {
		my ($sql) = @_;
		return RawClient::message('P', "\0$sql\0\0\0")
		  . RawClient::message('B', "\0\0\0\0\0\0\0\0")
		  . RawClient::message('E', "\0\0\0\0\0");
	};
	my $sync = RawClient::message('S', '');

	# one query and another behind it; a batch and a query; a long query; a
	# batch that has not come to its end
	$clients[0]->send_raw(RawClient::message('Q', "SELECT 1\0")
		  . RawClient::message('Q', "SELECT 'behind'\0"));
	$clients[1]->send_raw($parse->('SELECT 2') . $parse->('SELECT 3') . $sync
		  . RawClient::message('Q', "SELECT 'behind'\0"));
	$clients[2]->send_raw(RawClient::message('Q', 'SELECT ' . ' ' x 50_000 . "4\0")
		  . RawClient::message('Q', "SELECT 'behind'\0"));
	$clients[3]->send_raw($parse->('SELECT 5'));
	waiting(4, 'four clients wait');
	for my $n (0 .. 3)
	{
		ok($clients[$n]->cancel, "waiting client $n: is canceled");
		if ($n == 3)
		{
			ok(!$clients[$n]->readable(0.1), 'not answered before the batch is complete');
			$clients[$n]->send_raw($sync . RawClient::message('Q', "SELECT 'behind'\0"));
		}
		my $result = $clients[$n]->finish;
		is_deeply([ @$result{qw(errors rows types status)} ], [ [$cancelled], [], 'EZ', 'I' ],
			"waiting client $n: is told, without waiting for a backend");
	}
	waiting(4, 'what is behind waits');
	is($node->safe_psql('postgres', q(SELECT cancels FROM pooler.stats WHERE role = 'alice')) > 4,
		1, 'they are counted');
	$busy[0]->cancel;
	is($busy[0]->answer, $cancelled, 'a backend gets free');
	is($_->answer, 'behind', 'what is behind is run, and once') for @clients;
	is($clients[0]->ask('SELECT 6'), '6', 'and on');
	$busy[1]->cancel;
	is($busy[1]->answer, $cancelled, 'the other one is canceled too');
	$_->quit for @busy, @clients;
}

#
# By process ID
#

sub backend_of
{
	my ($client) = @_;
	return $client->ask('SELECT pg_backend_pid()');
}

{
	my $client = client();
	my $pid = backend_of($client);

	$client->ask('BEGIN');
	is(backend_of($client), $pid, 'a transaction') or $pid = backend_of($client);
	$client->start($sleep);
	sleeping(1, 'a query runs');
	$pid = $node->safe_psql('postgres', q(SELECT pid FROM pooler.clients WHERE state = 'active'));
	is($node->safe_psql('postgres', "SELECT pg_cancel_backend($pid)"), 't', 'pg_cancel_backend');
	is($client->answer, $cancelled, 'cancels');
	$client->ask('ROLLBACK');

	# an idle one is not harmed, nor is the next client
	$pid = backend_of($client);
	for (1 .. 20)
	{
		$node->safe_psql('postgres', "SELECT pg_cancel_backend($pid)");
		is($client->ask('SELECT 7'), '7', 'an idle backend is not cancelled');
	}

	$client->start($sleep);
	sleeping(1, 'a query runs');
	$pid = $node->safe_psql('postgres', q(SELECT pid FROM pooler.clients WHERE state = 'active'));
	is($node->safe_psql('postgres', "SELECT pg_terminate_backend($pid, 60000)"), 't',
		'pg_terminate_backend');
	is($client->answer,
		"FATAL 57P01: terminating connection due to administrator command\nclosed",
		'gives the client the server\'s own error');
}
{
	my $client = client();
	my $other = client();

	# a lingering one: its client is told, the others are not
	is($other->ask('SELECT 8'), '8', 'another one is served');
	my $pid = backend_of($client);
	becomes($node, "SELECT state FROM pooler.backends WHERE pid = $pid", 'lingering',
		'a backend lingers');
	my $lingers = $node->safe_psql('postgres',
		"SELECT b.client_id = c.id FROM pooler.backends b, pooler.clients c WHERE b.pid = $pid AND c.protocol_pid = "
		  . unpack('N', $client->{key}));
	is($lingers, 't', 'with its last client');
	is($node->safe_psql('postgres', "SELECT pg_terminate_backend($pid, 60000)"), 't',
		'it is terminated');
	is($client->answer,
		"FATAL 57P01: terminating connection due to administrator command\nclosed",
		'its client is told');
	is($other->ask('SELECT 9'), '9', 'the other one is served');

	# all backends at once, while clients wait
	my @busy = (client(), client());
	$_->start($sleep) for @busy;
	sleeping(2, 'both backends are busy');
	$other->start(q(SELECT 'waited'));
	waiting(1, 'another one waits');
	$node->safe_psql('postgres',
		q(SELECT pg_terminate_backend(pid, 60000) FROM pooler.backends WHERE role = 'alice'));
	is($_->answer, "FATAL 57P01: terminating connection due to administrator command\nclosed",
		'who is at work is told') for @busy;
	is($other->answer, 'waited', 'who waits gets a new one');
	$other->quit;

	# free ones: nobody notices
	becomes($node, q(SELECT count(*) FROM pooler.backends WHERE role = 'alice' AND state <> 'free'),
		0, 'backends are free');
	$node->safe_psql('postgres',
		q(SELECT pg_terminate_backend(pid, 60000) FROM pooler.backends WHERE role = 'alice'));
	is(client()->ask('SELECT 10'), '10', 'the next one is served');
}
becomes($node, 'SELECT count(*) FROM pooler.clients', 0, 'all have gone');

#
# Short queries of eight clients on two backends, and cancel requests for four
# of them at any moment: the others never see one, nobody gets an answer that
# is not his, and nobody hangs.
#

my $seconds = 5;
my $seed = int(rand(1 << 30));
srand($seed);
note("seed $seed");

my @victims = map { client(application_name => "victim $_") } 1 .. 4;
my @others = map { client(application_name => "other $_") } 1 .. 4;
my %by_socket = map { fileno($_->{sock}) => $_ } @victims, @others;
my $select = IO::Select->new(map { $_->{sock} } @victims, @others);

sub next_query
{
	my ($client) = @_;

	$client->{number} = int(rand(1_000_000));
	my $sql = "SELECT $client->{number}, count(*) FROM generate_series(1, "
	  . int(rand(3000)) . ")";
	$sql = "SELECT $client->{number}, pg_sleep(0.002)" if rand() < 0.1;
	$client->{simple} = rand() < 0.5;
	if ($client->{simple})
	{
		$client->start($sql);
		return;
	}
	$client->send_raw(RawClient::message('P', "\0$sql\0\0\0")
		  . RawClient::message('B', "\0\0\0\0\0\0\0\0")
		  . RawClient::message('E', "\0\0\0\0\0")
		  . RawClient::message('S', ''));
}

my %count = (queries => 0, requests => 0, cancelled => 0, wrong => 0, others => 0);
my @pending;

next_query($_) for @victims, @others;
my $end = time + $seconds;
my $stuck = 0;
while (time < $end && !$stuck)
{
	my @ready = $select->can_read($PostgreSQL::Test::Utils::timeout_default);

	$stuck = 1 unless @ready;
	for my $sock (@ready)
	{
		my $client = $by_socket{ fileno($sock) };
		my $result = $client->finish;
		my $error = $result->{errors}[0];

		if (!defined $result->{status})
		{
			diag($error // 'closed');
			$count{wrong}++;
			$select->remove($sock);
			next;
		}
		$count{queries}++;
		if (!defined $error)
		{
			$count{wrong}++ unless $result->{rows}[0][0] eq $client->{number};
		}
		elsif ($error eq $cancelled)
		{
			$count{cancelled}++;
			$client->{cancelled}++;
			$count{others}++ if grep { $_ == $client } @others;
		}
		else
		{
			diag($error);
			$count{wrong}++;
		}
		next_query($client);
	}

	# cancel requests are sent and not waited for, so that any number of them
	# are under way
	@pending = grep {
		my $open = !$_->readable;
		$_->close unless $open;
		$open;
	} @pending;
	for (1 .. 2)
	{
		next if @pending > 20;
		my $victim = $victims[ rand @victims ];
		my $request = RawClient->open($node, from => 'local') or next;
		$request->send_raw(pack('NN', 16, 80877102) . $victim->{key});
		$victim->{requests}++;
		$count{requests}++;
		push @pending, $request;
	}
}
is($stuck, 0, 'nobody hangs');
for my $client (@victims, @others)
{
	my $result = $client->finish;
	$count{others}++ if @{ $result->{errors} } && grep { $_ == $client } @others;
	$client->{cancelled}++ if @{ $result->{errors} };
	ok(defined $result->{status}, 'a client is there at the end');
}
note(join(', ', map { "$_: $count{$_}" } sort keys %count));
cmp_ok($count{queries}, '>', 200, 'many queries');
cmp_ok($count{cancelled}, '>', 10, 'many of them cancelled');
is($count{wrong}, 0, 'every answer is the right one');
is($count{others}, 0, 'nobody was cancelled for another one');
ok(!(grep { ($_->{cancelled} // 0) > ($_->{requests} // 0) } @victims),
	'nobody was cancelled more often than requested');
is($_->ask('SELECT 11'), '11', 'and all go on') for @victims, @others;
$_->quit for @victims, @others;
becomes($node,
	q(SELECT backends, backends_busy, clients FROM pooler.pools WHERE role = 'alice'),
	'2|0|0', 'the pool is whole');
unlike(log_after($node, 0), qr/background worker .*pooler.* exited|was terminated by signal/,
	'nothing has crashed');

$node->stop;
done_testing();
