# Clients, backends and the pooler itself end at any moment: nobody else
# notices, and nothing is left over.
#
# POOLER_CHAOS_SECONDS=120 makes the load test longer and bigger.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use IPC::Run qw(start);
use Leftovers qw(nothing_left own_descriptors);
use PoolerTest qw(log_size logged pooler_connstr start_node wait_for_pooler wait_until);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);
use WireClient qw(m_bind m_copy_data m_execute m_parse m_query m_sync message);

use constant POOL_SIZE => 4;

my ($node, $admin);

sub watch
{
	$admin = WireClient->new($node, port => $node->port);
}

sub value { return $admin->value(@_) }

# The pool can do as many transactions at once as ever.
sub pool_is_whole
{
	my ($name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $before = time;
	my @clients = map { WireClient->new($node) } 1 .. POOL_SIZE;

	$_->put(m_query('BEGIN')) for @clients;
	is(join(' ', map { $_->reply } @clients), 'BEGIN, T ' x (POOL_SIZE - 1) . 'BEGIN, T',
		"$name: the pool has its size");
	my $took = time - $before;
	$_->query('COMMIT') for @clients;
	$_->quit for @clients;
	return $took;
}

my $conf = qq{
max_connections = 40
pooler.max_client_conn = 400
pooler.default_pool_size = ${\POOL_SIZE}
restart_after_crash = on
};
$node = start_node('failure', conf => $conf);
watch();
$admin->query('CREATE TABLE journal (who text)');

sub rows
{
	return value('SELECT count(*) FROM journal');
}

#----------------------------------------------------------------------------
# clients vanish
#----------------------------------------------------------------------------

my $startup = message('', pack('N', 3 << 16) . "user\0postgres\0database\0postgres\0\0");
my $long = m_query("SELECT '" . 'x' x 30000 . "'");

# What a client has done when it vanishes: bytes, and what it reads after each.
# A function is called instead.
my %moments = (
	'idle' => [],
	'with a lingering backend' => [ m_query('SELECT 1') => 'Z' ],
	'with half a header' => [ substr(m_query('SELECT 1'), 0, 3) ],
	'with half a message' => [ substr(m_query('SELECT 1'), 0, 9) ],
	'with half a long message' => [ substr($long, 0, 20000) ],
	'with half a message behind another' =>
	  [ m_query('SELECT 1') . substr($long, 0, 9000) => 'Z' ],
	'in a transaction' =>
	  [ m_query(q{BEGIN; INSERT INTO journal VALUES ('lost')}) => 'Z' ],
	'in a transaction, with half a message' =>
	  [ m_query(q{BEGIN; INSERT INTO journal VALUES ('lost')}) => 'Z', substr($long, 0, 9000) ],
	'in a transaction that has failed' =>
	  [ m_query(q{BEGIN; INSERT INTO journal VALUES ('lost')}) => 'Z', m_query('SELECT 1/0') => 'Z' ],
	'in a batch' =>
	  [ m_parse(q{INSERT INTO journal VALUES ('lost')}) . m_bind() . m_execute() . message('H', '') => 'C' ],
	'in COPY' => [ m_query('COPY journal FROM STDIN') => 'G' ],
	'in COPY, with rows' =>
	  [ m_query('COPY journal FROM STDIN') => 'G', m_copy_data("lost\n" x 1000) ],
	'in COPY, with half a message' =>
	  [ m_query('COPY journal FROM STDIN') => 'G', substr(m_copy_data("lost\n" x 1000), 0, 2000) ],
	'in COPY to it' => [ m_query('COPY (SELECT generate_series(1, 1000000)) TO STDOUT') => 'H' ],
	'in a long result' => [ m_query('SELECT generate_series(1, 1000000)') => 'T' ],
	'in a query' => [ m_query('SELECT pg_sleep(0.2)') ],
	'in a query that locks' =>
	  [ m_query('BEGIN; LOCK TABLE journal') => 'Z', m_query('SELECT pg_sleep(0.2)') ]);

# (the first logins open catalogs)
pool_is_whole('at the start');
my $own = own_descriptors($admin);
pool_is_whole('once more');
is(own_descriptors($admin), $own, 'descriptors can be counted');

for my $moment (sort keys %moments)
{
	for my $from ('local', '127.0.0.1')
	{
		for my $how ('close', 'reset')
		{
			my @steps = @{ $moments{$moment} };
			my $client = WireClient->new($node, from => $from);
			while (@steps)
			{
				$client->put(shift @steps);
				$client->replies(shift @steps) if @steps && length $steps[0] == 1;
			}
			$client->$how;
		}
	}
	my $took = pool_is_whole("clients vanish $moment");
	cmp_ok($took, '<', 5, "clients vanish $moment: at once");
	nothing_left($admin, 0, $own, "clients vanish $moment", 1);
	is(rows(), 0, "clients vanish $moment: nothing has happened");
}

# While they connect.
for my $step (0 .. 12, 30 .. length($startup) - 1)
{
	my $client = RawClient->open($node);
	$client->send_raw(substr($startup, 0, $step));
	$client->close;
}
$_->send_raw($startup), $_->close for map { RawClient->open($node) } 1 .. 50;
pool_is_whole('clients vanish before they are logged in');
nothing_left($admin, 0, $own, 'clients vanish before they are logged in');

# In the queue, in front of somebody else; the pool is in use.
{
	my @busy = map { WireClient->new($node) } 1 .. POOL_SIZE;
	my @waiting = map { WireClient->new($node, from => $_ % 2 ? 'local' : '127.0.0.1') } 1 .. 20;
	my ($dropped) = split /,/, value('SELECT dropped_waiting FROM pooler.status');

	$_->query('BEGIN') for @busy;
	for my $i (0 .. $#waiting)
	{
		$waiting[$i]->put($i % 3
			? m_query("INSERT INTO journal VALUES ('$i')")
			: m_parse("INSERT INTO journal VALUES ('$i')") . m_bind() . m_execute() . m_sync());
		$admin->until(q{SELECT count(*) FROM pooler.clients WHERE state = 'waiting'}, $i + 1);
	}
	$_->close for @waiting[ 0 .. 8 ];
	$_->reset for @waiting[ 10 .. 18 ];
	ok( $admin->until(q{SELECT count(*) FROM pooler.clients WHERE state = 'waiting'}, 2),
		'clients have vanished from the queue');
	is(value('SELECT dropped_waiting FROM pooler.status'), $dropped + 18,
		'which is counted');
	$_->query('COMMIT') for @busy;
	is($waiting[9]->reply . '; ' . $waiting[19]->reply, 'parsed, bound, INSERT 0 1, I; INSERT 0 1, I',
		'the others are served');
	is(value(q{SELECT string_agg(who, ' ' ORDER BY who) FROM journal}), '19 9',
		'and nobody else');
	$admin->query('TRUNCATE journal');
	$_->quit for (@busy, @waiting[ 9, 19 ]);
	nothing_left($admin, 0, $own, 'clients vanish from the queue');
}

# The server's own watch for clients that have gone works for ours, too.
$admin->query(q{ALTER SYSTEM SET client_connection_check_interval = '100ms'});
$admin->query('SELECT pg_reload_conf()');
for my $from ('local', '127.0.0.1')
{
	my $client = WireClient->new($node, from => $from);
	$client->query('SELECT 1');
	ok($admin->until(q{SELECT count(*) FROM pg_settings WHERE
			name = 'client_connection_check_interval' AND setting = '100'}, 1), 'reloaded');
	$client->put(m_query('SELECT pg_sleep(1000)'));
	ok($admin->until(q{SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'}, 1),
		'a query that lasts');
	$client->close;
	ok($admin->until(q{SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'}, 0),
		'ends with its client');
}
$admin->query('ALTER SYSTEM RESET ALL');
$admin->query('SELECT pg_reload_conf()');
pool_is_whole('clients vanish in a query that lasts');
nothing_left($admin, 0, $own, 'clients vanish in a query that lasts');

# Backends that have nothing to do for long know many descriptors: they give
# them back when their clients go.
{
	my @clients = map { WireClient->new($node) } 1 .. 40;
	for my $round (1 .. 3)
	{
		$_->put(m_query('SELECT 1')) for @clients;
		$_->replies for @clients;
	}
	pool_is_whole('with many clients');
	ok( $admin->until(
			q{SELECT bool_and(state = 'free' AND clock_timestamp() - state_since > '2 s')
			  FROM pooler.backends}, 't'),
		'backends are free for a while');
	$_->quit for @clients;
	nothing_left($admin, 0, $own, 'clients leave when all is quiet');
}

#----------------------------------------------------------------------------
# backends end
#----------------------------------------------------------------------------

{
	my $told = qr/^FATAL 57P01: terminating connection due to administrator command, eof$/;
	my $client = WireClient->new($node);
	my $pid = $client->value('SELECT pg_backend_pid()');
	$admin->until(q{SELECT count(*) FROM pooler.clients WHERE state <> 'idle'}, 0);
	$admin->query("SELECT pg_terminate_backend($pid)");
	like($client->reply, $told, 'the client that a backend lingers on is told');

	$client = WireClient->new($node);
	$client->put(m_query('SELECT pg_sleep(1000)'));
	$admin->until(q{SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'}, 1);
	$admin->query(q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'});
	like($client->reply, $told, 'so is the one that it works for');

	my ($idle, $active) = map { WireClient->new($node) } 1 .. 2;
	$idle->query('SELECT 1');
	$active->query('BEGIN');
	# by now the first one has no backend, or one of its own that lingers
	my @free = split / /, value(
		q{SELECT coalesce(string_agg(pid::text, ' '), '') FROM pooler.backends WHERE state = 'free'});
	$admin->query("SELECT pg_terminate_backend($_)") for @free;
	$admin->until("SELECT count(*) FROM pooler.backends WHERE pid = $_", 0) for @free;
	is($idle->query('SELECT 1'), '1, SELECT 1, I', 'nobody is told of a free one');
	is($active->query('COMMIT'), 'COMMIT, I', 'nobody at all');
	$_->quit for ($idle, $active);
	nothing_left($admin, 0, $own, 'backends end');
	pool_is_whole('backends end');
}

# All of them at once, with a long queue: who waits is served by new ones.
{
	my @busy = map { WireClient->new($node) } 1 .. POOL_SIZE;
	my @waiting = map { WireClient->new($node) } 1 .. 30;
	$_->query('BEGIN') for @busy;
	$_->put(m_query(q{INSERT INTO journal VALUES ('x')})) for @waiting;
	$admin->until(q{SELECT count(*) FROM pooler.clients WHERE state = 'waiting'}, 30);
	$admin->query('SELECT pg_terminate_backend(pid) FROM pooler.backends');
	is((grep { $_->reply eq 'INSERT 0 1, I' } @waiting), 30, 'those who wait are served');
	is(rows(), 30, 'once each');
	is((grep { $_->reply =~ /^FATAL 57P01/ } @busy), POOL_SIZE, 'the others are told');
	$_->close for (@busy, @waiting);
	$admin->query('TRUNCATE journal');
	nothing_left($admin, 0, $own, 'all backends end');
}

#----------------------------------------------------------------------------
# load, with clients and backends that end at random
#----------------------------------------------------------------------------

my $seconds = $ENV{POOLER_CHAOS_SECONDS} || 20;
my $processes = $seconds > 60 ? 20 : 12;
my $per_process = 10;

run_command([ 'pgbench', '-q', '-i', '-s', 10, $node->connstr('postgres') ]);
{
	my $end = time + $seconds;
	my (@running, @finished);
	my ($killed, $terminated) = (0, 0);
	my $begin = sub {
		my $left = int($end - time);
		return if $left < 1;
		my $run = { out => '', err => '', until => $end };
		$run->{harness} = start(
			[
				'pgbench', '-n', '-M', rand() < 0.5 ? 'simple' : 'extended',
				'-c', $per_process, '-j', 1, '-T', $left,
				pooler_connstr($node, rand() < 0.5 ? (host => '127.0.0.1') : ())
			],
			'>', \$run->{out}, '2>', \$run->{err});
		push @running, $run;
	};

	$begin->() for 1 .. $processes;
	while (time < $end)
	{
		usleep(rand(200_000));
		if (rand() < 0.3)
		{
			my ($run) = splice @running, rand @running, 1;
			$run->{harness}->kill_kill(grace => 0) if $run;
			$killed++;
			$begin->();
		}
		else
		{
			$terminated += value(
				q{SELECT count(pg_terminate_backend(pid)) FROM
				  (SELECT pid FROM pooler.backends WHERE pid IS NOT NULL
				   ORDER BY random() LIMIT 1) AS b});
		}
		# clients that lost their backends have given up
		$_->{harness}->pump_nb for @running;
		push @finished, grep { !$_->{harness}->pumpable } @running;
		@running = grep { $_->{harness}->pumpable } @running;
		$begin->() while @running < $processes && time < $end - 1;
	}
	note "$killed processes with $per_process clients each killed, $terminated backends terminated";

	my $hangs = 0;
	for my $run (@running)
	{
		my $in_time = wait_until('pgbench ends', sub {
			$run->{harness}->pump_nb;
			return !$run->{harness}->pumpable;
		});
		$hangs++, $run->{harness}->kill_kill unless $in_time;
		$run->{harness}->finish if $in_time;
		push @finished, $run;
	}
	is($hangs, 0, 'no client hangs');

	# nothing is wrong with any of them but that its backend was terminated
	my @errors = grep { /(FATAL|ERROR|PANIC|WARNING):|error:/ }
	  map { split /\n/, $_->{err} } @finished;
	is( join("\n", grep { !/terminating connection due to administrator command|perhaps the backend died|Run was aborted/ } @errors),
		'', 'nor has another error');
	cmp_ok($killed, '>', $seconds / 4, 'processes were killed');
	cmp_ok($terminated, '>', $seconds / 4, 'backends were terminated');
}

is( value(q{
		SELECT (SELECT sum(abalance) FROM pgbench_accounts) = sum(delta)
			   AND (SELECT sum(tbalance) FROM pgbench_tellers) = sum(delta)
			   AND (SELECT sum(bbalance) FROM pgbench_branches) = sum(delta)
			   AND count(*) > 50
		FROM pgbench_history}), 't', 'balances add up')
  or diag(value('SELECT count(*), sum(delta) FROM pgbench_history'));
nothing_left($admin, 0, $own, 'after the load');
pool_is_whole('after the load');
nothing_left($admin, 0, $own, 'at the end');
is(value('SELECT starts FROM pooler.status'), 1, 'the pooler never ended');

#----------------------------------------------------------------------------
# the pooler ends
#----------------------------------------------------------------------------

# Reads what comes to all of them until each has ended.  Returns the seconds
# that it took, and how many have been told what they should.
sub all_end
{
	my (@clients) = @_;
	my $before = time;
	my $told = 0;

	for my $client (@clients)
	{
		$told++ if $client->reply =~ /^FATAL 57P01: .*, eof$/;
	}
	return (time - $before, $told);
}

for my $round (1 .. 2)
{
	my @idle = map { WireClient->new($node, from => $_ % 2 ? 'local' : '127.0.0.1') } 1 .. 300;
	my @lingering = map { WireClient->new($node) } 1 .. 2;
	my ($long, $failed) = map { WireClient->new($node) } 1 .. 2;
	my $connecting = RawClient->open($node);

	# (some of them are known to backends)
	$_->query('SELECT 1') for @idle[ 0 .. 99 ];
	$long->query(q{BEGIN; INSERT INTO journal VALUES ('before')});
	$failed->query('BEGIN; SELECT 1/0');
	$_->put(m_query('SELECT 1')) for @lingering;
	$_->replies for @lingering;
	$admin->until(q{SELECT count(*) FROM pooler.backends WHERE state = 'busy'}, 2);
	my $waiting;
	if ($round == 2)
	{
		# nobody lingers, all backends are in use
		$_->query('BEGIN') for @lingering;
		$waiting = WireClient->new($node);
		$waiting->put(m_query(q{INSERT INTO journal VALUES ('waiting')}));
		$admin->until(q{SELECT count(*) FROM pooler.clients WHERE state = 'waiting'}, 1);
	}
	my $pid = value('SELECT pid FROM pooler.status');
	my $orphans = value(q{SELECT string_agg(pid::text, ',') FROM pooler.backends});
	my @told = (@idle, $round == 1 ? @lingering : $waiting);

	$admin->query("SELECT pg_terminate_backend($pid)");
	my ($took, $told) = all_end(@told);
	cmp_ok($took, '<', 5, 'clients see the end of the pooler at once');
	is($told, scalar @told, 'they are told why');
	is($connecting->rest =~ /57P01/ ? 1 : 0, 1, 'so is one that connects');
	ok(!$long->readable, 'the transaction goes on');

	ok($admin->until(
			"SELECT pid IS DISTINCT FROM $pid AND port IS NOT NULL FROM pooler.status", 't'),
		'the pooler is back');
	is(value('SELECT starts FROM pooler.status'), 1 + $round, 'with its second life')
	  if $round == 1;
	wait_for_pooler($node);
	pool_is_whole('a new pooler beside old backends');
	my $new = WireClient->new($node);
	is($new->query('SELECT 1'), '1, SELECT 1, I', 'clients can connect');
	is($long->query(q{INSERT INTO journal VALUES ('after')}), 'INSERT 0 1, T',
		'the transaction still goes on');
	is($failed->query('ROLLBACK'),
		'ROLLBACK, I', 'the end of another one');
	like($failed->reply, qr/^FATAL 57P01: .*, eof$/, 'ends that client, too');
	is($long->query('COMMIT'), 'COMMIT, I', 'it commits');
	like($long->reply, qr/^FATAL 57P01: .*, eof$/, 'then the client is told');
	is(value(q{SELECT string_agg(who, ' ' ORDER BY who) FROM journal}), 'after before',
		'all of it is there, and nothing else');
	$admin->query('TRUNCATE journal');
	$_->close for (@idle, @lingering, $long, $failed);
	ok($admin->until("SELECT count(*) FROM pg_stat_activity WHERE pid IN ($orphans)", 0),
		'the old backends have gone');
	$new->quit;
	nothing_left($admin, 0, $own, "the pooler has ended ($round)");
	pool_is_whole("the pooler has ended ($round)");
}

# Again and again, under load.
{
	my $pgbench = start(
		[
			'pgbench', '-n', '-S', '-c', 40, '-j', 2, '-T', 1000,
			pooler_connstr($node)
		], '>', \my $out, '2>', \my $err);
	for (1 .. 4)
	{
		my $starts = value('SELECT starts FROM pooler.status');
		$admin->until(q{SELECT count(*) > 0 FROM pooler.clients WHERE state <> 'login'}, 't')
		  if $pgbench->pumpable;
		my $pid = value('SELECT pid FROM pooler.status');
		$admin->query("SELECT pg_terminate_backend($pid)");
		ok(wait_until('all clients of pgbench have ended', sub {
				$pgbench->pump_nb;
				return !$pgbench->pumpable;
			}), 'no client hangs');
		$pgbench->finish;
		ok($admin->until(
				"SELECT starts > $starts AND port IS NOT NULL FROM pooler.status", 't'),
			'the pooler is back');
		wait_for_pooler($node);
		$pgbench = start(
			[
				'pgbench', '-n', '-S', '-c', 40, '-j', 2, '-T', 1000,
				pooler_connstr($node)
			], '>', \$out, '2>', \$err);
	}
	$pgbench->kill_kill;
	nothing_left($admin, 0, $own, 'the pooler has ended under load');
	pool_is_whole('the pooler has ended under load');
}

# A crash of any process: the server starts again, and the pooler with it.
{
	my $client = WireClient->new($node);
	my $pid = $client->value('SELECT pg_backend_pid()');
	$client->query(q{BEGIN; INSERT INTO journal VALUES ('lost')});
	my $log = log_size($node);
	kill 'KILL', $pid;
	like($client->reply, qr/eof$/, 'the connection has ended');
	$admin->close;
	# until the server has noticed, it lets people in
	logged($node, $log, qr/all server processes terminated; reinitializing/,
		'a backend has crashed: all have to go');
	ok(wait_until('the server is back', sub {
			my $sock = RawClient->open($node, port => $node->port, from => 'local') or return 0;
			my $answer = $sock->login;
			$sock->close;
			return $answer eq 'ok';
		}), 'a backend has crashed: the server is back');
	watch();
	wait_for_pooler($node);
	pool_is_whole('a backend has crashed');
	is(rows(), 0, 'the transaction is lost');
	nothing_left($admin, 0, own_descriptors($admin), 'a backend has crashed');
}

#----------------------------------------------------------------------------
# the server shuts down
#----------------------------------------------------------------------------

for my $mode ('smart', 'fast')
{
	my @idle = map { WireClient->new($node) } 1 .. 50;
	my ($lingering, $active) = map { WireClient->new($node) } 1 .. 2;

	$_->query('SELECT 1') for (@idle[ 0 .. 9 ], $lingering);
	$active->query(q{BEGIN; INSERT INTO journal VALUES ('smart')});
	$admin->until(q{SELECT count(*) FROM pooler.clients WHERE state <> 'idle'}, 1);
	$admin->quit;

	my $stop = start([ 'pg_ctl', '-D', $node->data_dir, '-m', $mode, '-t', '60', 'stop' ],
		'>', \my $out, '2>', \my $err);
	my ($took, $told) = all_end(@idle, $lingering);
	is($told, 51, "$mode shutdown: idle clients are told");
	if ($mode eq 'smart')
	{
		is($active->query('COMMIT'), 'COMMIT, I', "$mode shutdown: a transaction ends");
	}
	like($active->reply, qr/^FATAL 57P01: .*, eof$/, "$mode shutdown: its client is told");
	my $before = time;
	ok($stop->finish, "$mode shutdown: the server has ended") or diag($out, $err);
	cmp_ok(time - $before, '<', 10, "$mode shutdown: promptly");
	$_->close for (@idle, $lingering, $active);
	$node->_update_pid(0);
	$node->start;
	watch();
	is(rows(), 1, "$mode shutdown: what was committed is there");
	wait_for_pooler($node);
}
pool_is_whole('after two shutdowns');
$admin->quit;
$node->stop;

done_testing();
