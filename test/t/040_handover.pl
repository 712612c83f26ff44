# Transactions of many clients on few backends: whose turn it is, and that
# nobody gets what is another one's.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use IPC::Run qw(start);
use PoolerTest qw(pooler_connstr pooler_port start_node);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WireClient qw(exchange m_bind m_close m_copy_data m_copy_done m_copy_fail
  m_execute m_flush m_parse m_query m_sync m_terminate message);

# One server with a pool of eight for the crowds, one with a pool of one where
# it is known who has the backend.
my $crowd = start_node('crowd', conf => q{
max_connections = 30
pooler.max_client_conn = 400
pooler.default_pool_size = 8
});
my $single = start_node('single', conf => q{
max_connections = 30
pooler.default_pool_size = 1
});

# On the server's own port: what the views say.
my $admin = WireClient->new($single, port => $single->port);

sub stat_of
{
	return $admin->value("SELECT $_[0] FROM pooler.stats");
}

sub waiting_is
{
	my ($n, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	ok($admin->until(
			q{SELECT count(*) FROM pooler.clients WHERE state = 'waiting'}, $n),
		$name // "$n waiting");
}

# All have given their backend back, or linger.
sub all_quiet
{
	return $admin->until(
		q{SELECT count(*) FROM pooler.clients WHERE state <> 'idle'}, 0);
}

# (these count as transactions of one client, so nobody waits here)
$admin->query('CREATE TABLE journal (n serial, who text)');

sub journal
{
	my $who = $admin->value(
		q{SELECT coalesce(string_agg(who, ' ' ORDER BY n), '') FROM journal});
	$admin->query('TRUNCATE journal');
	return $who;
}

#----------------------------------------------------------------------------
# crowds
#----------------------------------------------------------------------------

# What comes back has to be what this client asked for, and a transaction has
# to stay where it began.
my $script = $crowd->basedir . '/echo.sql';
append_to_file($script, q{
\set r random(1, 1000000000)
SELECT :r AS back \gset
SELECT 1 / (:back = :r)::int;
BEGIN;
SELECT pg_backend_pid() AS pid, txid_current() AS xid \gset
UPDATE counters SET n = n + 1 WHERE id = :client_id;
SELECT 1 / (pg_backend_pid() = :pid AND txid_current() = :xid)::int;
INSERT INTO trace VALUES (:client_id);
COMMIT;
});
$crowd->safe_psql('postgres', q{
	CREATE TABLE counters AS SELECT i AS id, 0 AS n FROM generate_series(0, 399) i;
	ALTER TABLE counters ADD PRIMARY KEY (id);
	CREATE TABLE trace (id int)});

for my $case ([ 'simple', 300, 20 ], [ 'extended', 300, 20 ])
{
	my ($mode, $clients, $transactions) = @$case;
	my ($out, $err) = run_command(
		[
			'pgbench', '-n', '-M', $mode, '-c', $clients, '-j', 2,
			'-t', $transactions, '-f', $script,
			pooler_connstr($crowd, host => '127.0.0.1')
		]);
	like($out,
		qr/processed: ${\($clients * $transactions)}\/${\($clients * $transactions)}/,
		"$clients clients of pgbench -M $mode through a pool of 8")
	  or diag($err);
}
is( $crowd->safe_psql('postgres', q{
		SELECT count(*), min(n), max(n) FROM counters WHERE n > 0}),
	'300|40|40', 'each has done its part');
is( $crowd->safe_psql('postgres', q{
		SELECT count(*) FROM
			(SELECT id FROM trace GROUP BY id HAVING count(*) = 40) AS t}),
	'300', 'and has been heard');
cmp_ok($crowd->safe_psql('postgres', 'SELECT backends FROM pooler.pools'),
	'<=', 8, 'on no more than 8 backends');
cmp_ok($crowd->safe_psql('postgres', 'SELECT births FROM pooler.stats'),
	'<=', 8, 'all of which live still');

# As many processes of psql, with everything that libpq does at connection.
{
	my @psql = map {
		my $run = { out => '', err => '' };
		$run->{n} = $_;
		$run->{harness} = start(
			[
				'psql', '-XAtq', '-d', pooler_connstr($crowd),
				'-c', "SELECT $_, count(*) FROM counters",
				'-c', "BEGIN; UPDATE counters SET n = -$_ WHERE id = $_; COMMIT",
				'-c', "SELECT n FROM counters WHERE id = $_"
			],
			'>', \$run->{out}, '2>', \$run->{err});
		$run;
	} 1 .. 100;
	$_->{harness}->finish for @psql;
	is_deeply(
		[ map { $_->{out} . $_->{err} } @psql ],
		[ map { "$_|400\n-$_\n" } 1 .. 100 ],
		'100 processes of psql at once');
}

# A transaction that lasts holds its backend and nothing else: those who ran
# on that backend before are served by the others.
{
	my @clients = map { WireClient->new($crowd) } 1 .. 40;
	my $long = shift @clients;

	$_->query('SELECT 1') for @clients;
	$long->query('BEGIN');
	$long->put(m_query('SELECT pg_sleep(1000)'));
	for my $round (1 .. 5)
	{
		$_->put(m_query("SELECT $round")) for @clients;
		my @answers = map { $_->reply } @clients;
		is_deeply(\@answers, [ ("$round, SELECT 1, I") x @clients ],
			"39 clients beside a long transaction, round $round");
	}
	ok(!$long->readable, 'which still lasts');
	$long->close;
	$_->quit for @clients;
}

#----------------------------------------------------------------------------
# first come, first served
#----------------------------------------------------------------------------

my ($holder, @queue) =
  map { WireClient->new($single, from => $_ % 2 ? 'local' : '127.0.0.1') } 0 .. 25;

$holder->query('BEGIN');
for my $i (0 .. $#queue)
{
	# simple and extended protocol in turn
	my $sql = "INSERT INTO journal (who) VALUES ('$i')";
	$queue[$i]->put($i % 2
		? m_parse($sql) . m_bind() . m_execute() . m_sync()
		: m_query($sql));
	$admin->until(
		q{SELECT count(*) FROM pooler.clients WHERE state = 'waiting'}, $i + 1)
	  or last;
}
waiting_is(scalar @queue, 'all wait');
is(journal(), '', 'nobody has been served');
$holder->query('COMMIT');
is_deeply(
	[ map { $queue[$_]->reply } 0 .. $#queue ],
	[ map { $_ % 2 ? 'parsed, bound, INSERT 0 1, I' : 'INSERT 0 1, I' } 0 .. $#queue ],
	'all are served');
is(journal(), join(' ', 0 .. $#queue), 'in the order in which they came');

# The one who has the backend is not served before those who wait for it.
$holder->query('BEGIN');
for my $i (0 .. 1)
{
	$queue[$i]->put(m_query(
		"INSERT INTO journal (who) SELECT '$i' FROM pg_sleep(0.2)"));
	waiting_is($i + 1);
}
$holder->query('COMMIT');
is($holder->query("INSERT INTO journal (who) VALUES ('holder')"),
	'INSERT 0 1, I', 'the holder comes back');
$_->replies for @queue[ 0, 1 ];
is(journal(), '0 1 holder', 'and has gone behind those who waited');

# Nor can a client that never pauses keep the backend for itself.
{
	run_command([ 'pgbench', '-q', '-i', '-I', 'dtpg', $single->connstr('postgres') ]);
	my $busy = start(
		[ 'pgbench', '-n', '-S', '-T', '1000', pooler_connstr($single, application_name => 'busy') ],
		'>', \my $out, '2>', \my $err);
	ok($admin->until(q{SELECT count(*) FROM pooler.clients WHERE
			application_name = 'busy' AND transactions > 100}, 1),
		'one client runs as fast as it can');
	is(join(' ', map { $queue[0]->value("SELECT $_") } 1 .. 200),
		join(' ', 1 .. 200), 'another one is served 200 times');
	$busy->kill_kill;
}
ok(all_quiet(), 'quiet');

#----------------------------------------------------------------------------
# lingering
#----------------------------------------------------------------------------

sub counted
{
	my ($code) = @_;
	my @before = split /\|/, $admin->query(
		'SELECT transactions, handovers, lingered, waits FROM pooler.stats');
	$code->();
	all_quiet();
	my @after = split /\|/, $admin->query(
		'SELECT transactions, handovers, lingered, waits FROM pooler.stats');
	$_ =~ s/,.*// for (@before, @after);
	return join(' ', map { $after[$_] - $before[$_] } 0 .. 3);
}

$holder->query('SELECT 1');
all_quiet();
is(counted(sub { $holder->query('SELECT 1') for 1 .. 20 }),
	'20 0 20 0', 'the backend lingers on a client that is alone');
is(counted(
		sub {
			for (1 .. 10)
			{
				$queue[0]->query('SELECT 1');
				all_quiet();
				$holder->query('SELECT 1');
				all_quiet();
			}
		}),
	'20 20 0 0', 'and goes to whoever comes');
is( $admin->query(q{
		SELECT b.state, c.state, c.pid = b.pid
		FROM pooler.backends b JOIN pooler.clients c ON c.id = b.client_id}),
	'lingering|idle|t, SELECT 1, I', 'what a lingering backend looks like');
is( $admin->query('SELECT sum(handovers), sum(lingered) FROM pooler.backends'),
	$admin->query('SELECT handovers, lingered FROM pooler.stats'),
	'counters of backends and of pools agree');

#----------------------------------------------------------------------------
# leaving the queue
#----------------------------------------------------------------------------

my $dropped = stat_of('dropped_waiting');
$holder->query('BEGIN');
$queue[0]->put(m_query("INSERT INTO journal (who) VALUES ('gone')"));
waiting_is(1);
$queue[1]->put(m_query("INSERT INTO journal (who) VALUES ('stays')"));
waiting_is(2);
$queue[0]->close;
waiting_is(1, 'a client has hung up in the queue');
is(stat_of('dropped_waiting'), $dropped + 1, 'which is counted');
$queue[2]->put(m_query("INSERT INTO journal (who) VALUES ('reset')"));
waiting_is(2);
$queue[2]->reset;
waiting_is(1, 'another one did so rudely');
is(stat_of('dropped_waiting'), $dropped + 2, 'which is counted');
$holder->query('COMMIT');
is($queue[1]->reply, 'INSERT 0 1, I', 'who waits is served');
ok(all_quiet(), 'quiet');
is(journal(), 'stays', 'those who had left have not been');
is($admin->value('SELECT count(*) FROM pooler.clients'), 1 + @queue - 2,
	'and are gone');

# A server that is not busy runs what a client has sent before it closed.
for my $how ('half-closes', 'closes', 'says goodbye at once', 'says goodbye')
{
	for my $before ('idle', 'lingering')
	{
		my $client = WireClient->new($single);
		$client->query('SELECT 1') if $before eq 'lingering';
		my $births = stat_of('births');
		my $sql = "INSERT INTO journal (who) VALUES ('done')";

		$client->put(m_query($sql),
			$how eq 'says goodbye at once' ? m_terminate() : '');
		if ($how eq 'half-closes')
		{
			$client->half_close;
			is(join(', ', $client->replies, $client->replies),
				'INSERT 0 1, I, eof', "a client that was $before $how: answered");
		}
		elsif ($how eq 'says goodbye at once')
		{
			is(join(', ', $client->replies, $client->replies),
				'INSERT 0 1, I, eof', "a client that was $before $how: answered");
		}
		$client->quit if $how eq 'says goodbye';
		$client->close;
		ok($admin->until('SELECT count(*) FROM journal', 1),
			"a client that was $before $how: done");
		ok($admin->until(
				'SELECT count(*) FROM pooler.clients', 1 + @queue - 2),
			"a client that was $before $how: gone");
		is(stat_of('births'), $births,
			"a client that was $before $how: at no backend's cost");
		journal();
	}
}

# One whose answer can't be sent any more: what it has sent behind that query
# runs neither for it nor, worse, for whoever has the backend next.
for my $behind (m_terminate(), m_query("INSERT INTO journal (who) VALUES ('leak')"),
	substr(m_query("SELECT '" . 'x' x 20000 . "'"), 0, 12000))
{
	my $client = WireClient->new($single);
	my $births = stat_of('births');

	$client->put(m_query('SELECT pg_sleep(0.2)') . $behind);
	ok($admin->until(q{SELECT count(*) FROM pg_stat_activity
			WHERE wait_event = 'PgSleep'}, 1), 'a client with two messages');
	$client->close;
	is($holder->query("SELECT 'mine'"), 'mine, SELECT 1, I',
		'the next client is served as if nothing had been');
	ok($admin->until('SELECT count(*) FROM pooler.clients', 1 + @queue - 2),
		'the client has gone');
	is(stat_of('births'), $births, 'the backend has stayed');
	is(journal(), '', 'and has not run what came behind');
}

#----------------------------------------------------------------------------
# waiting too long
#----------------------------------------------------------------------------

sub reload
{
	my ($setting, $value) = @_;
	$admin->query("ALTER SYSTEM SET $setting = '$value'");
	$admin->query('SELECT pg_reload_conf()');
	# the pooler is a process like any other: it shows in what it does
}

@queue = @queue[ 1, 3 .. $#queue ];
reload('pooler.query_wait_timeout', '4s');
$holder->query('BEGIN');
$queue[0]->put(m_query("INSERT INTO journal (who) VALUES ('late')"));
waiting_is(1);
ok($admin->until("SELECT wait > '2 s' FROM pooler.clients WHERE state = 'waiting'", 't'),
	'a client has waited for two seconds');
$queue[1]->put(m_query("INSERT INTO journal (who) VALUES ('in time')"));
waiting_is(2);
like(
	$queue[0]->reply,
	qr/^FATAL 53300: terminating connection because no backend became free in time DETAIL: pooler\.query_wait_timeout has passed\., eof$/,
	'the one who has waited too long is told so');
is(stat_of('wait_timeouts'), 1, 'which is counted');
waiting_is(1, 'the other one still waits');
$holder->query('COMMIT');
is($queue[1]->reply, 'INSERT 0 1, I', 'and is served');
is(journal(), 'in time', 'the late one has not been');
reload('pooler.query_wait_timeout', '120s');
shift @queue;

#----------------------------------------------------------------------------
# pipelines
#----------------------------------------------------------------------------

# While a second client wants the backend all the time: it must not get what
# belongs to the first.
my ($one, $two) = @queue[ 0, 1 ];

sub beside
{
	my ($name, $bytes, $n, @wanted) = @_;
	my @answer;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	$two->put(m_query("SELECT 'two'"));
	$one->put($bytes);
	push @answer, $one->replies for 1 .. $n;
	is_deeply(\@answer, \@wanted, $name);
	is($two->reply, 'two, SELECT 1, I', "$name: the other one");
}

for my $round (1 .. 3)
{
	beside('five queries at once',
		join('', map { m_query("SELECT $_") } 1 .. 5), 5,
		map { ($_, 'SELECT 1', 'I') } 1 .. 5);
	beside('a transaction at once',
		join('', map { m_query($_) } 'BEGIN', 'SELECT 1', 'SELECT 1/0',
			'SELECT 2', 'ROLLBACK', 'SELECT 3'), 6,
		'BEGIN', 'T', 1, 'SELECT 1', 'T',
		'ERROR 22012: division by zero', 'E',
		'ERROR 25P02: current transaction is aborted, commands ignored until end of transaction block', 'E',
		'ROLLBACK', 'I', 3, 'SELECT 1', 'I');
	beside('a batch of extended queries',
		m_parse('SELECT $1 || $2', 's') . m_bind('s', [ 'a', 'b' ], 'p')
		  . m_execute('p') . m_bind('s', [ 'c', 'd' ]) . m_execute()
		  . m_close('P', 'p') . m_close('S', 's') . m_sync(), 1,
		'parsed', 'bound', 'ab', 'SELECT 1', 'bound', 'cd', 'SELECT 1',
		'closed', 'closed', 'I');
	beside('two batches, the first with an error',
		m_parse('SELECT 1/$1::int') . m_bind('', ['0']) . m_execute()
		  . m_bind('', ['1']) . m_execute() . m_sync()
		  . m_parse('SELECT 7') . m_bind() . m_execute() . m_sync(), 2,
		'parsed', 'ERROR 22012: division by zero', 'I',
		'parsed', 'bound', '7', 'SELECT 1', 'I');
	beside('a function call and an empty query',
		message('F', pack('N n n N/a* n', 1317, 0, 1, 'four', 0))
		  . m_query(''), 2, 'V', 'I', 'empty', 'I');
	beside('notices and an error',
		m_query(q{DO $$BEGIN RAISE NOTICE 'one %', 1; RAISE WARNING 'w'; END$$})
		  . m_query('SELECT nothing'), 2,
		'NOTICE 00000: one 1', 'WARNING 01000: w', 'DO', 'I',
		'ERROR 42703: column "nothing" does not exist', 'I');
}

# A flush asks for answers in the middle of a batch; the portal waits for more.
$one->put(m_parse('SELECT generate_series(1, 3)') . m_bind() . m_execute('', 2) . m_flush());
is_deeply([ $one->replies('s') ], [qw(parsed bound 1 2 suspended)],
	'a part of a result');
$two->put(m_query("SELECT 'two'"));
waiting_is(1, 'a batch without Sync keeps the backend');
$one->put(m_execute() . m_sync());
is_deeply([ $one->replies ], [ 3, 'SELECT 1', 'I' ], 'and the rest of it');
is($two->reply, 'two, SELECT 1, I', 'then the other one');

# One query and a piece of the next.
my $next = m_query(q{SELECT 'the next one'});
$one->put(m_query('SELECT 1'), substr($next, 0, 9));
is($one->reply, '1, SELECT 1, I', 'a query with a piece of another');
$two->put(m_query("SELECT 'two'"));
$one->put(substr($next, 9));
is($one->reply, 'the next one, SELECT 1, I', 'and the rest of it');
is($two->reply, 'two, SELECT 1, I', 'then the other one');

# A query of which a part is missing keeps nobody from the backend.
for my $client (@queue[ 2, 3 ])
{
	for my $cut (1, 4, 7, length($next) - 1)
	{
		$client->put(substr($next, 0, $cut));
		is($one->query('SELECT 1'), '1, SELECT 1, I',
			"beside the first $cut bytes of a query");
		$client->put(substr($next, $cut));
		is($client->reply, 'the next one, SELECT 1, I', 'whose rest comes then');
	}
}

# Processes that help with a query are nobody's pool backends.
$admin->query('CREATE TABLE big AS SELECT generate_series(1, 100000) AS i');
$admin->query('ANALYZE big');
$one->query(q{BEGIN; SET LOCAL parallel_setup_cost = 0; SET LOCAL parallel_tuple_cost = 0;
	SET LOCAL min_parallel_table_scan_size = 0; SET LOCAL max_parallel_workers_per_gather = 2});
like($one->query('EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) SELECT sum(i) FROM big'),
	qr/Workers Launched: [12]/, 'a query with parallel workers');
is($one->value('SELECT sum(i) FROM big'), '5000050000', 'has its result');
$one->query('COMMIT');

# A transaction in many messages, byte by byte, while others crowd.
$one->query('BEGIN');
my $pid = $one->value('SELECT pg_backend_pid()');
my $xid = $one->value('SELECT txid_current()');
$_->put(m_query('SELECT pg_backend_pid()')) for @queue[ 1 .. 10 ];
waiting_is(10);
for my $sql (q{INSERT INTO journal (who) VALUES ('a')}, q{SELECT 'x'})
{
	$one->put($_) for split //, m_query($sql);
	is(($one->replies)[-1], 'T', 'in a transaction');
}
is($one->value('SELECT txid_current()'), $xid, 'the same transaction');
is($one->query('SELECT 1/0'), 'ERROR 22012: division by zero, E', 'an error');
waiting_is(10, 'nobody gets the backend of a transaction that has failed');
is($one->query('COMMIT'), 'ROLLBACK, I', 'end of the transaction');
is_deeply([ map { ($_->replies)[0] } @queue[ 1 .. 10 ] ], [ ($pid) x 10 ],
	'then the others run on that backend');
is(journal(), '', 'it was rolled back');

#----------------------------------------------------------------------------
# long messages
#----------------------------------------------------------------------------

my $mega = 'x' x (3 << 20);
my $md5 = $admin->value("SELECT md5(repeat('x', length('$mega')))");
for my $round (1 .. 3)
{
	my @answers = exchange(
		[
			$queue[0],
			m_query("SELECT md5('$mega'), repeat('y', length('$mega'))")
		],
		[
			$queue[1],
			m_parse('SELECT length($1), $1') . m_bind('', [$mega]) . m_execute()
			  . m_sync()
		],
		[ $queue[2], m_query("SELECT repeat('z', 8 << 20)") ],
		[ $queue[3], m_query("SELECT 'short'") ]);
	ok($answers[0][0] eq "$md5|" . 'y' x length $mega, 'a long query and a long row');
	ok($answers[1][2] eq length($mega) . "|$mega", 'a long parameter');
	ok($answers[2][0] eq 'z' x (8 << 20), 'a long result');
	is_deeply($answers[3], [ 'short', 'SELECT 1', 'I' ], 'a short one');
}

# Around the size that is waited for as a whole.
for my $length (8100 .. 8110, 8170 .. 8200)
{
	my $message = m_query("SELECT length('" . 'x' x $length . "')");
	my $cut = $length % 2 ? 8192 : 100;

	$queue[0]->put(substr($message, 0, $cut));
	$queue[1]->query('SELECT 1') if $cut == 100 && length($message) <= 8192;
	$queue[0]->put(substr($message, $cut)) if length $message > $cut;
	my $answer = $queue[0]->reply;
	is($answer, "$length, SELECT 1, I", "a query of $length bytes")
	  if $answer ne "$length, SELECT 1, I" || $length % 10 == 0;
}

#----------------------------------------------------------------------------
# COPY
#----------------------------------------------------------------------------

$admin->query('CREATE TABLE copied (who int, i int, t text)');
my @copiers = @queue[ 0 .. 4 ];

# They take turns: whoever is told to begin has the backend until it is done.
$_->put(m_query('COPY copied FROM STDIN')) for @copiers;
my %left = map { $_ => $copiers[$_] } 0 .. $#copiers;
my $at = 0;
while (%left)
{
	my ($turn) = grep { $left{$_}->readable } sort keys %left;
	next unless defined $turn;
	my $client = delete $left{$turn};
	is($client->reply('G'), 'copy in', "client $turn may copy");
	is((grep { $_->readable } values %left), 0, 'nobody else');
	my $rows = join('', map { "$turn\t$_\t" . 'text ' x 20 . "\n" } 1 .. 5000);
	# the borders of messages have nothing to do with those of rows
	$client->put(m_copy_data($_)) for unpack('(a7777)*', $rows);
	if ($turn == 3)
	{
		$client->put(m_copy_fail('changed my mind'));
		like($client->reply,
			qr/^ERROR 57014: COPY from stdin failed: changed my mind.*, I$/,
			'a copy that is given up');
	}
	else
	{
		$client->put(m_copy_done());
		is($client->reply, 'COPY 5000, I', 'a copy is done');
	}
}
is( $admin->query('SELECT who, count(*), sum(i) FROM copied GROUP BY 1 ORDER BY 1'),
	(join ', ', map({ "$_|5000|12502500" } 0 .. 2, 4), 'SELECT 4', 'I'),
	'all rows have come');

# A client that is not read holds the backend, so whoever is served is read.
$_->put(m_query('COPY (SELECT * FROM copied ORDER BY who, i) TO STDOUT'))
  for @copiers;
%left = map { $_ => $copiers[$_] } 0 .. $#copiers;
while (%left)
{
	my ($turn) = grep { $left{$_}->readable } sort keys %left;
	next unless defined $turn;
	my @answer = (delete $left{$turn})->replies;
	my ($begin, $end) = ((shift @answer), join(', ', splice @answer, -3));
	is("$begin, $end, " . @answer, 'copy out, copy done, COPY 20000, I, 20000',
		"a copy to client $turn");
}

# Many at once with psql, and errors in the middle.
{
	my $file = $crowd->basedir . '/rows.txt';
	append_to_file($file, join('', map { "$_\n" } 1 .. 20000));
	$crowd->safe_psql('postgres', 'CREATE TABLE rows (i int)');
	my @psql = map {
		my $run = { out => '', err => '' };
		$run->{harness} = start(
			[
				'psql', '-XAtq', '-d', pooler_connstr($crowd),
				'-c', "\\copy rows from '$file'",
				'-c', '\copy (SELECT i FROM generate_series(1, 20000) i) to stdout'
			],
			'>', \$run->{out}, '2>', \$run->{err});
		$run;
	} 1 .. 20;
	$_->{harness}->finish for @psql;
	is((grep { $_->{out} eq slurp_file($file) && $_->{err} eq '' } @psql), 20,
		'20 processes of psql copy both ways');
	is( $crowd->safe_psql('postgres', 'SELECT count(*), sum(i) FROM rows'),
		'400000|4000200000', 'and nothing is lost');
}

is(stat_of('births'), 1, 'all of that was done by one backend');
is($crowd->safe_psql('postgres',
		'SELECT bool_and(births <= 9) FROM pooler.stats'),
	't', 'and by eight');

$_->quit for ($holder, @queue, $admin);
$_->stop for ($single, $crowd);
done_testing();
