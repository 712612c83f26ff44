# State that can't travel keeps the backend with its client: as long as it
# exists, visibly, and for that client alone.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use IPC::Run qw(start);
use PoolerTest qw(log_after log_size logged pooler_connstr start_node
  wait_for_pooler wait_until);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes ();
use WireClient qw(m_bind m_close m_execute m_flush m_parse m_query m_sync message);

my $node = start_node('pins', conf => q{
max_connections = 30
wal_level = logical
max_prepared_transactions = 5
pooler.default_pool_size = 1
});
my $admin = WireClient->new($node, port => $node->port);
$admin->query($_) for (
	'CREATE ROLE app SUPERUSER LOGIN',
	'CREATE ROLE plain LOGIN',
	'CREATE TABLE journal (n serial, who text)',
	'CREATE TABLE base (a int)',
	"SELECT pg_replication_origin_create('source')");

sub client
{
	return WireClient->new($node, role => 'app', @_);
}

# The process id that the client was told.
sub pid_of { return unpack('N', $_[0]{key}) }

sub column
{
	my ($client, $column) = @_;
	return $admin->value(
		"SELECT $column FROM pooler.clients WHERE protocol_pid = " . pid_of($client));
}

# The end of the last command has been dealt with, and this is the outcome.
sub is_pinned
{
	my ($client, $reason, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $sql = q{SELECT concat_ws(' ', state, pin_reason,
		CASE WHEN pinned_since <= now() THEN 'since' END)
		FROM pooler.clients WHERE protocol_pid = } . pid_of($client);

	ok($admin->until($sql, defined $reason ? "pinned $reason since" : 'idle'), $name);
}

sub not_pinned
{
	my ($client, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is_pinned($client, undef, $name);
}

sub waiting_is
{
	my ($n) = @_;
	return $admin->until(
		q{SELECT count(*) FROM pooler.clients WHERE state = 'waiting'}, $n);
}

sub gone
{
	my ($client) = @_;
	return $admin->until('SELECT count(*) FROM pooler.clients WHERE protocol_pid = '
		  . pid_of($client), 0);
}

sub stat_of { return $admin->value("SELECT $_[0] FROM pooler.stats WHERE role = 'app'") }

# With new settings in force in the pooler and in the backend of this client.
sub set_conf
{
	my ($name, $value) = @_;

	$admin->query(defined $value ? "ALTER SYSTEM SET $name = '$value'" : "ALTER SYSTEM RESET $name");
	$admin->query('SELECT pg_reload_conf()');
}

# All that two clients of a backend could see of each other.
my $everything = q{
	SELECT (SELECT count(*) FROM pg_class WHERE relpersistence = 't')
		+ (SELECT count(*) FROM pg_depend WHERE refclassid = 'pg_namespace'::regclass
			AND refobjid = pg_my_temp_schema())
		+ (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory')
		+ (SELECT count(*) FROM pg_listening_channels())
		+ (SELECT count(*) FROM pg_cursors)
		+ (SELECT count(*) FROM pg_replication_slots)
		+ pg_replication_origin_session_is_setup()::int};

#----------------------------------------------------------------------------
# each state pins from its first moment to its last
#----------------------------------------------------------------------------

my $function = q{FUNCTION %s() RETURNS int LANGUAGE sql AS 'SELECT 1'};

# What the state is made by, and what ends it; both in several commands.
my @states = (
	[ 'temporary objects', 'a temporary table',
		['CREATE TEMP TABLE t (a int)'], ['DROP TABLE t'] ],
	[ 'temporary objects', 'a temporary table made by SELECT INTO',
		['SELECT 1 AS a INTO TEMP t'], ['DROP TABLE pg_temp.t'] ],
	[ 'temporary objects', 'a temporary table with indexes and more',
		['CREATE TEMP TABLE t (a serial PRIMARY KEY, b text) ON COMMIT DELETE ROWS'],
		['DROP TABLE t'] ],
	[ 'temporary objects', 'two temporary tables, one after the other',
		[ 'CREATE TEMP TABLE t (a int)', 'CREATE TEMP TABLE u (a int)', 'DROP TABLE t' ],
		['DROP TABLE u'] ],
	[ 'temporary objects', 'a temporary table, dropped in a longer transaction',
		[ 'CREATE TEMP TABLE t (a int)', 'BEGIN', 'DROP TABLE t', 'ROLLBACK' ],
		[ 'BEGIN', 'DROP TABLE t', 'SELECT 1', 'COMMIT' ] ],
	[ 'temporary objects', 'a temporary table made in a transaction',
		[ 'BEGIN', 'CREATE TEMP TABLE t (a int)', 'SELECT 1', 'COMMIT' ],
		['DISCARD TEMP'] ],
	[ 'temporary objects', 'a temporary table made in a savepoint',
		[ 'BEGIN', 'SAVEPOINT s', 'CREATE TEMP TABLE t (a int)', 'RELEASE s', 'COMMIT' ],
		['DISCARD ALL'] ],
	[ 'temporary objects', 'a temporary table made by a function',
		['DO $$BEGIN CREATE TEMP TABLE t (a int); END$$'],
		['DO $$BEGIN DROP TABLE t; END$$'] ],
	[ 'temporary objects', 'a temporary view', ['CREATE TEMP VIEW v AS SELECT 1'],
		['DROP VIEW v'] ],
	[ 'temporary objects', 'a temporary view that goes with its table',
		[ 'CREATE TABLE x (a int)', 'CREATE TEMP VIEW v AS SELECT * FROM x' ],
		['DROP TABLE x CASCADE'] ],
	[ 'temporary objects', 'a temporary sequence', ['CREATE TEMP SEQUENCE q'],
		['DROP SEQUENCE q'] ],
	[ 'temporary objects', 'a temporary function',
		[ 'CREATE ' . sprintf($function, 'pg_temp.f') ], ['DROP FUNCTION pg_temp.f()'] ],
	[ 'temporary objects', 'a temporary function by way of search_path',
		[
			'CREATE TEMP TABLE t (a int)', 'DROP TABLE t', 'BEGIN',
			'SET LOCAL search_path = pg_temp', 'CREATE ' . sprintf($function, 'f'), 'COMMIT'
		],
		['DROP FUNCTION pg_temp.f()'] ],
	[ 'temporary objects', 'a temporary function that goes with the type that it returns',
		[
			'CREATE TYPE ty AS (a int)',
			q{CREATE FUNCTION pg_temp.f() RETURNS ty LANGUAGE sql AS 'SELECT ROW(1)::ty'}
		],
		['DROP TYPE ty CASCADE'] ],
	[ 'temporary objects', 'a temporary type', [q{CREATE TYPE pg_temp.e AS ENUM ('a')}],
		['DROP TYPE pg_temp.e'] ],
	[ 'temporary objects', 'a temporary domain', ['CREATE DOMAIN pg_temp.d AS int'],
		['DROP DOMAIN pg_temp.d'] ],

	[ 'session locks', 'an advisory lock', ['SELECT pg_advisory_lock(1)'],
		['SELECT pg_advisory_unlock(1)'] ],
	[ 'session locks', 'an advisory lock, twice',
		[
			'SELECT pg_advisory_lock(1)', 'SELECT pg_advisory_lock(1)',
			'SELECT pg_advisory_unlock(1)'
		],
		['SELECT pg_advisory_unlock(1)'] ],
	[ 'session locks', 'a shared advisory lock',
		['SELECT pg_advisory_lock_shared(1, 2), pg_try_advisory_lock(5)'],
		['SELECT pg_advisory_unlock_all()'] ],
	[ 'session locks', 'an advisory lock of a transaction that was rolled back',
		[ 'BEGIN', 'SELECT pg_advisory_lock(1)', 'ROLLBACK' ], ['SELECT pg_advisory_unlock(1)'] ],
	[ 'session locks', 'an advisory lock of a query that failed',
		[ 'SELECT pg_advisory_lock(1), pg_sleep(0), 1 / (random() * 0)' ],
		['DISCARD ALL'] ],
	[ 'session locks', 'an advisory lock of session and transaction',
		[ 'BEGIN', 'SELECT pg_advisory_lock(1)', 'SELECT pg_advisory_xact_lock(1)', 'COMMIT' ],
		['SELECT pg_advisory_unlock(1)'] ],

	[ 'listen', 'LISTEN', ['LISTEN a'], ['UNLISTEN a'] ],
	[ 'listen', 'two channels', [ 'LISTEN a', 'LISTEN b', 'LISTEN b', 'UNLISTEN a' ],
		['UNLISTEN b'] ],
	[ 'listen', 'LISTEN until UNLISTEN *', [ 'LISTEN a', 'LISTEN b' ], ['UNLISTEN *'] ],
	[ 'listen', 'LISTEN until DISCARD ALL', ['LISTEN a'], ['DISCARD ALL'] ],
	[ 'listen', 'LISTEN in a transaction',
		[ 'BEGIN', 'LISTEN a', 'SELECT 1', 'COMMIT', 'BEGIN', 'UNLISTEN a', 'ROLLBACK' ],
		[ 'BEGIN', 'SELECT 1', 'UNLISTEN a', 'COMMIT' ] ],
	[ 'listen', 'LISTEN in a savepoint',
		[ 'BEGIN', 'SAVEPOINT s', 'LISTEN a', 'RELEASE s', 'COMMIT' ],
		[ 'BEGIN', 'SAVEPOINT s', 'UNLISTEN a', 'RELEASE s', 'COMMIT' ] ],
	[ 'listen', 'LISTEN in a function', ['DO $$BEGIN LISTEN a; END$$'],
		['DO $$BEGIN UNLISTEN a; END$$'] ],

	[ 'holdable cursors', 'a cursor WITH HOLD', ['DECLARE c CURSOR WITH HOLD FOR SELECT 1'],
		['CLOSE c'] ],
	[ 'holdable cursors', 'a cursor WITH HOLD of a longer transaction',
		[
			'BEGIN', 'DECLARE d CURSOR FOR SELECT 1',
			'DECLARE c CURSOR WITH HOLD FOR SELECT generate_series(1, 9)',
			'FETCH c', 'COMMIT', 'FETCH ALL c'
		],
		['CLOSE ALL'] ],
	[ 'holdable cursors', 'a cursor WITH HOLD in a savepoint',
		[
			'BEGIN', 'SAVEPOINT s', 'DECLARE c CURSOR WITH HOLD FOR SELECT 1',
			'RELEASE s', 'COMMIT'
		],
		['DISCARD ALL'] ],

	[ 'base backup', 'a base backup', [q{SELECT pg_backup_start('b', true)}],
		['SELECT 1 FROM pg_backup_stop(false)'] ],
	[ 'base backup', 'a base backup begun in a transaction that was rolled back',
		[ 'BEGIN', q{SELECT pg_backup_start('b', true)}, 'ROLLBACK' ],
		['SELECT 1 FROM pg_backup_stop(false)'] ],

	[ 'replication origin', 'a replication origin',
		[q{SELECT pg_replication_origin_session_setup('source')}],
		['SELECT pg_replication_origin_session_reset()'] ],

	[ 'temporary slots', 'a temporary physical slot',
		[q{SELECT pg_create_physical_replication_slot('s', true, true)}],
		[q{SELECT pg_drop_replication_slot('s')}] ],
	[ 'temporary slots', 'a temporary logical slot',
		[q{SELECT pg_create_logical_replication_slot('s', 'pgoutput', true)}],
		[q{SELECT pg_drop_replication_slot('s')}] ],
	[ 'temporary slots', 'a temporary slot, which core drops after an error',
		[q{SELECT pg_create_physical_replication_slot('s', true, true)}],
		['SELECT 1/0'] ]);

my ($one, $two) = map { client() } 1 .. 2;
my $backend = $one->value('SELECT pg_backend_pid()');

for my $state (@states)
{
	my ($reason, $name, $begin, $end) = @$state;

	$one->query($_) for @$begin;
	is_pinned($one, $reason, "$name pins");
	my $since = column($one, 'pinned_since');
	is(column($one, 'pid'), $backend, "$name: to the backend");
	is($admin->value("SELECT pin_reason FROM pooler.backends WHERE pid = $backend"),
		$reason, "$name: which shows it, too");
	is($admin->value("SELECT backends_pinned FROM pooler.pools WHERE role = 'app'"),
		1, "$name: and so does the pool");

	$two->put(m_query($everything));
	waiting_is(1);
	is($one->value('SELECT 1'), 1, "$name: its client is served");
	is_pinned($one, $reason, "$name pins still");
	is(column($one, 'pinned_since'), $since, "$name: since then");
	is(column($two, 'state'), 'waiting', "$name: others wait");

	$one->query($_) for @$end;
	is($two->reply, '0, SELECT 1, I', "$name: another client sees nothing of it");
	not_pinned($one, "$name: is over");
	is($one->value('SELECT pg_backend_pid()'), $backend, "$name: the backend is as before");
	$one->query('DROP TABLE IF EXISTS x; DROP TYPE IF EXISTS ty');
}

#----------------------------------------------------------------------------
# what does not pin
#----------------------------------------------------------------------------

for my $case (
	[ 'a temporary table of a transaction that was rolled back',
		'BEGIN', 'CREATE TEMP TABLE t (a int)', 'ROLLBACK' ],
	[ 'a temporary table of a transaction that failed',
		'BEGIN', 'CREATE TEMP TABLE t (a int)', 'SELECT 1/0', 'COMMIT' ],
	[ 'a temporary table of a savepoint that was rolled back',
		'BEGIN', 'SAVEPOINT s', 'CREATE TEMP TABLE t (a int)', 'ROLLBACK TO s', 'COMMIT' ],
	[ 'a temporary table that is dropped in its transaction',
		'BEGIN', 'CREATE TEMP TABLE t (a int)', 'DROP TABLE t', 'COMMIT' ],
	[ 'a temporary table that is dropped in its command',
		'CREATE TEMP TABLE t (a int); DROP TABLE t' ],
	[ 'a temporary table ON COMMIT DROP',
		'BEGIN', 'CREATE TEMP TABLE t (a int) ON COMMIT DROP', 'INSERT INTO t VALUES (1)', 'COMMIT' ],
	[ 'a temporary table with a serial ON COMMIT DROP',
		'BEGIN', 'CREATE TEMP TABLE t (a serial PRIMARY KEY) ON COMMIT DROP', 'COMMIT' ],
	[ 'a lock of a transaction', 'BEGIN', 'SELECT pg_advisory_xact_lock(1)',
		'LOCK TABLE base', 'COMMIT' ],
	[ 'a lock that is released in its command',
		'SELECT pg_advisory_lock(1), pg_advisory_unlock(1)' ],
	[ 'LISTEN in a transaction that was rolled back', 'BEGIN', 'LISTEN a', 'ROLLBACK' ],
	[ 'LISTEN in a transaction that failed', 'BEGIN', 'LISTEN a', 'SELECT 1/0', 'COMMIT' ],
	[ 'LISTEN in a savepoint that was rolled back',
		'BEGIN', 'SAVEPOINT s', 'LISTEN a', 'ROLLBACK TO s', 'COMMIT' ],
	[ 'LISTEN and UNLISTEN in a transaction', 'BEGIN', 'LISTEN a', 'UNLISTEN a', 'COMMIT' ],
	[ 'UNLISTEN of nothing', 'UNLISTEN a', 'UNLISTEN *' ],
	[ 'NOTIFY', 'NOTIFY a', q{SELECT pg_notify('a', 'b')} ],
	[ 'a cursor', 'BEGIN', 'DECLARE c CURSOR FOR SELECT 1', 'FETCH c', 'COMMIT' ],
	[ 'a cursor WITH HOLD of a transaction that was rolled back',
		'BEGIN', 'DECLARE c CURSOR WITH HOLD FOR SELECT 1', 'ROLLBACK' ],
	[ 'a cursor WITH HOLD that is closed in its transaction',
		'BEGIN', 'DECLARE c CURSOR WITH HOLD FOR SELECT 1', 'CLOSE c', 'COMMIT' ],
	[ 'a permanent slot', q{SELECT pg_create_physical_replication_slot('p')},
		q{SELECT pg_drop_replication_slot('p')} ],
	[ 'a transaction that is prepared', 'BEGIN', 'INSERT INTO base VALUES (1)',
		q{PREPARE TRANSACTION 'x'}, q{ROLLBACK PREPARED 'x'} ],
	[ 'DDL', 'CREATE TABLE x (a int)', 'DROP TABLE x' ],
	[ 'DISCARD ALL', 'DISCARD ALL' ])
{
	my ($name, @commands) = @$case;

	$one->query($_) for @commands;
	not_pinned($one, "$name does not pin");
	is($two->query($everything), '0, SELECT 1, I', "$name leaves nothing");
	is($two->value('SELECT pg_backend_pid()'), $backend, "$name: the same backend");
}

# Statements that execute themselves end as on a direct connection.
for my $sql ('EXECUTE itself', 'EXPLAIN ANALYZE EXECUTE itself')
{
	$one->query('CREATE TEMP TABLE t (a int)');
	$one->put(m_parse($sql, 'itself') . m_bind('itself') . m_execute() . m_sync());
	like($one->reply, $sql =~ /EXPLAIN/
		? qr/^parsed, bound, .*, EXPLAIN, I$/
		: qr/^parsed, bound, ERROR 54001: stack depth limit exceeded HINT: .*, I$/, $sql);
	$one->query('DISCARD ALL');
}

# Several states: one is shown, and the client is free after the last.
$one->query($_) for ('LISTEN a', 'SELECT pg_advisory_lock(1)', 'CREATE TEMP TABLE t (a int)');
is_pinned($one, 'temporary objects', 'several states');
my $since = column($one, 'pinned_since');
$one->query('DROP TABLE t');
is_pinned($one, 'session locks', 'without the first');
$one->query('SELECT pg_advisory_unlock_all()');
is_pinned($one, 'listen', 'without the second');
is(column($one, 'pinned_since'), $since, 'all the time');
$one->query('UNLISTEN *');
not_pinned($one, 'until the last is over');
$one->query('LISTEN a');
is_pinned($one, 'listen', 'again');
isnt(column($one, 'pinned_since'), $since, 'is counted anew');
$one->query('UNLISTEN *');

#----------------------------------------------------------------------------
# a client that leaves, leaves nothing
#----------------------------------------------------------------------------

# The definition of this view is stored out of line.
my $big_view = 'CREATE TEMP VIEW big AS SELECT '
  . join(', ', map { my $n = $_; "'" . join('', map { chr(97 + int rand 26) } 1 .. 40) . "' AS c$n" } 1 .. 900);
my @leave = (
	(map { [ $_->[1], @{ $_->[2] } ] } @states),
	[ 'a big temporary view', $big_view ],
	[ 'a big temporary function', q{CREATE FUNCTION pg_temp.f() RETURNS text LANGUAGE sql AS $$SELECT '}
		  . join('', map { chr(97 + int rand 26) } 1 .. 20000) . q{'$$} ],
	[
		'everything', 'CREATE TEMP TABLE t (a int)', 'LISTEN a', 'LISTEN b',
		'SELECT pg_advisory_lock(1), pg_advisory_lock(2)',
		'DECLARE c CURSOR WITH HOLD FOR SELECT 1',
		q{SELECT pg_create_physical_replication_slot('s', true, true)},
		q{SELECT pg_replication_origin_session_setup('source')},
		q{SELECT pg_backup_start('b', true)}
	]);

my $n = 0;
for my $state (@leave)
{
	my ($name, @commands) = @$state;
	my $how = (qw(quit close reset half_close))[ $n++ % 4 ];
	my $client = client(from => $n % 2 ? '127.0.0.1' : 'local');
	my $resets = stat_of('resets');

	$client->query($_) for @commands;
	is(column($client, 'pid'), $backend, "$name: same backend");
	$two->put(m_query($everything));
	waiting_is(1);
	$client->$how;
	is($two->reply, '0, SELECT 1, I', "$how: nothing is left of $name");
	ok(gone($client), "$how: nor of the client");
	is($two->value('SELECT pg_backend_pid()'), $backend, "$how: but the backend");
	is(stat_of('resets'), $resets + 1, "$how: by one clearing");
	is($admin->value(q{SELECT count(*) FROM pg_class WHERE relpersistence = 't'}), 0,
		"$how: nobody sees anything");
	is($two->value(q{SELECT 1 FROM pg_backup_stop(false)}),
		'ERROR 55000: backup is not in progress HINT: Did you call pg_backup_start()?',
		"$how: no backup") if $name =~ /backup|everything/;
	$two->query('DROP TABLE IF EXISTS x; DROP TYPE IF EXISTS ty');
}

# In the middle of a transaction, or of a command: the backend goes, too.
for my $case ([ 'a transaction', 'BEGIN', 'INSERT INTO base VALUES (1)' ],
	[ 'a transaction that failed', 'BEGIN', 'SELECT 1/0' ],
	[ 'a command', \'SELECT pg_sleep(1000)' ])
{
	my ($where, @commands) = @$case;

	for my $how (qw(quit close reset))
	{
		next if $how eq 'quit' && ref $commands[0];
		my $client = client();
		$client->query($_) for ('CREATE TEMP TABLE t (a int)', 'LISTEN a',
			'SELECT pg_advisory_lock(1)');
		is_pinned($client, 'temporary objects', "in $where: pinned");
		for (@commands)
		{
			ref $_ ? $client->put(m_query($$_)) : $client->query($_);
		}
		$admin->until(q{SELECT wait_event FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%'},
			'PgSleep') if ref $commands[0];
		my $pid = column($client, 'pid');
		$client->$how;
		# a query that sleeps does not notice
		$admin->query("SELECT pg_terminate_backend($pid)") if ref $commands[0];
		is($two->query($everything), '0, SELECT 1, I', "$how in $where: nothing is left");
		ok(gone($client), "$how in $where: nor of the client");
	}
}
is($admin->value('SELECT count(*) FROM base'), 0, 'transactions are rolled back');

# A process that is killed.
{
	my ($in, $out) = ('', '');
	my $psql = start([ 'psql', '-XAtq', '-d', pooler_connstr($node, role => 'app') ],
		'<', \$in, '>', \$out);
	$in .= "LISTEN a; CREATE TEMP TABLE t (a int); SELECT pg_advisory_lock(1); SELECT 'done';\n";
	ok(wait_until('psql has done it', sub { $psql->pump_nb; $out =~ /done/ }), 'psql');
	$psql->signal('KILL');
	eval { $psql->finish };
	is($two->query($everything), '0, SELECT 1, I', 'a client that is killed leaves nothing');
}
$backend = $two->value('SELECT pg_backend_pid()');

# A client that goes without waiting for the answer, with all in one write.
for my $tail (message('X', ''), '')
{
	my $client = client();
	$client->put(m_query('LISTEN a; CREATE TEMP TABLE t (a int)'),
		m_query('SELECT pg_advisory_lock(1)'), $tail);
	$tail eq '' ? $client->half_close : $client->close;
	ok(gone($client), 'a client that did not wait is gone');
	is($two->query($everything), '0, SELECT 1, I', 'and leaves nothing');
}

#----------------------------------------------------------------------------
# what a pinned client sends
#----------------------------------------------------------------------------

$backend = $two->value('SELECT pg_backend_pid()');
{
	my $client = client(from => '127.0.0.1');

	$client->query('LISTEN a');
	is_pinned($client, 'listen', 'a client in pieces');
	for my $byte (split //, m_query(q{SELECT 'in pieces'}))
	{
		$client->put($byte);
	}
	is($client->reply, 'in pieces, SELECT 1, I', 'a message in single bytes');
	my $query = m_query('SELECT ' . '1' x 5000);
	$client->put(substr($query, 0, 10));
	$admin->until('SELECT state FROM pooler.clients WHERE protocol_pid = ' . pid_of($client),
		'active');
	$client->put(substr($query, 10));
	like($client->reply, qr/^1{5000}, SELECT 1, I$/, 'a message in two pieces');
	$client->put(m_parse('SELECT 5') . m_bind() . m_execute() . m_sync());
	is($client->reply, 'parsed, bound, 5, SELECT 1, I', 'the extended protocol');
	is_pinned($client, 'listen', 'pinned as before');

	# a cancel request has nothing to cancel, now or later
	ok($client->cancel, 'cancel request for a pinned client') for 1 .. 3;
	is($client->value('SELECT 1'), 1, 'does nothing');
	$client->put(m_query('SELECT pg_sleep(1000)'));
	$admin->until(q{SELECT wait_event FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%'},
		'PgSleep');
	$client->cancel;
	is($client->reply, 'ERROR 57014: canceling statement due to user request, I',
		'but one that has something');
	is_pinned($client, 'listen', 'still pinned');
	is($client->value('SELECT pg_backend_pid()'), $backend, 'to the same backend');
	$client->cancel;
	$client->query('UNLISTEN *');
	not_pinned($client, 'free');
	is($client->value('SELECT 1'), 1, 'an old request hits nothing');
	$client->quit;
}

# Garbage is answered, and costs nobody else anything.
for my $garbage ([ 'type', "\x01\0\0\0\x04" ], [ 'length', "Q\0\0\0\x01" ],
	[ 'length', "Q\xff\xff\xff\xff" ])
{
	my $client = client();
	$client->query('CREATE TEMP TABLE t (a int)');
	is_pinned($client, 'temporary objects', 'before garbage');
	$client->put($garbage->[1]);
	like($client->reply, qr/^FATAL 08P01: invalid (frontend )?message $garbage->[0].*eof$/,
		"invalid message $garbage->[0]");
	is($two->query($everything), '0, SELECT 1, I', 'and nothing is left');
}
{
	# half a message, and gone
	my $client = client();
	$client->query('CREATE TEMP TABLE t (a int)');
	is_pinned($client, 'temporary objects', 'before half a message');
	$client->put("Q\0\0\1\0SELECT");
	$admin->until('SELECT state FROM pooler.clients WHERE protocol_pid = ' . pid_of($client),
		'active');
	$client->close;
	is($two->query($everything), '0, SELECT 1, I', 'half a message, and nothing is left');
	ok(gone($client), 'nor of the client');
}

# Pipelining: as long as more is there than was asked for.
{
	my $client = client();

	$admin->query('BEGIN');
	$admin->query('LOCK TABLE base');
	$client->put(m_query('SELECT 1'), m_query('SELECT count(*) FROM base'));
	is($client->reply, '1, SELECT 1, I', 'the first of two queries');
	ok($admin->until(q{SELECT concat_ws(' ', state, pin_reason, pinned_since IS NOT NULL)
			FROM pooler.clients WHERE protocol_pid = } . pid_of($client), 'active pipelining t'),
		'pipelining is visible');
	$admin->query('COMMIT');
	is($client->reply, '0, SELECT 1, I', 'the second');
	not_pinned($client, 'pipelining is over');
	$client->put((m_parse('SELECT 1') . m_bind() . m_execute() . m_sync()) x 50,
		m_query('LISTEN a'));
	is($client->reply, 'parsed, bound, 1, SELECT 1, I', "pipeline, $_") for 1 .. 50;
	is($client->reply, 'LISTEN, I', 'the end of a pipeline');
	is_pinned($client, 'listen', 'pins by what is left');
	$client->quit;
}

#----------------------------------------------------------------------------
# notifications
#----------------------------------------------------------------------------

sub notification
{
	my ($client) = @_;
	my ($type, $body) = $client->read_message;
	return "got $type" if $type ne 'A';
	my ($pid, $channel, $payload) = unpack('N Z* Z*', $body);
	return "$pid $channel $payload";
}

set_conf('pooler.default_pool_size', 2);
{
	my ($listener, $other, $third) = map { client(from => '127.0.0.1') } 1 .. 3;

	$listener->query('LISTEN a');
	is_pinned($listener, 'listen', 'a listener');
	ok($admin->until(q{SELECT size FROM pooler.pools WHERE role = 'app'}, 2), 'a pool of two');
	for my $round (1 .. 3)
	{
		is($other->query("NOTIFY a, 'round $round'"), 'NOTIFY, I', 'NOTIFY by another client');
		is(notification($listener), pid_of($other) . " a round $round",
			'an idle listener gets it at once, from the client');
		$third->query("SELECT pg_notify('a', 'third $round')");
		is(notification($listener), pid_of($third) . " a third $round",
			'of a function, and of a client on the same backend');
	}
	is($other->value('SELECT pg_backend_pid()'), $third->value('SELECT pg_backend_pid()'),
		'both share a backend');
	is($admin->query("NOTIFY a, 'direct'"), 'NOTIFY, I', 'NOTIFY on a direct connection');
	is(notification($listener), pid_of($admin) . ' a direct', 'comes with its own number');

	# its own, in the order in which a direct connection has them
	for my $client ($listener, client(port => $node->port))
	{
		$client->query('LISTEN a');
		$client->put(m_query("NOTIFY a, 'own'"));
		my @got;
		while (my ($type, $body) = $client->read_message)
		{
			push @got, $type eq 'A' ? join(' ', unpack('N Z* Z*', $body)) : $type;
			last if $type eq 'Z';
		}
		is(join(', ', @got), 'C, ' . pid_of($client) . ' a own, Z',
			'a notification of its own');
		$client->query('UNLISTEN *') if $client != $listener;
		$client->quit if $client != $listener;
	}

	# not before the end of the listener's transaction
	$listener->query('BEGIN');
	$other->query("NOTIFY a, 'late'");
	is($listener->query('SELECT 1'), '1, SELECT 1, T', 'nothing inside a transaction');
	$listener->put(m_query('COMMIT'));
	is(join(' ', ($listener->read_message)[0]), 'C', 'the end');
	is(notification($listener), pid_of($other) . ' a late', 'and then the notification');
	is($listener->reply, 'I', 'before ReadyForQuery');

	# what was sent while nobody listened, or to others, is nobody's
	$listener->query('UNLISTEN a');
	$other->query("NOTIFY a, 'for nobody'");
	$listener->query('LISTEN b');
	$third->query("NOTIFY a, 'for nobody'; NOTIFY b, 'for it'");
	is(notification($listener), pid_of($third) . ' b for it', 'only what it listens to');
	$listener->quit;
	$_->query("NOTIFY b, 'nobody is here'") for $other, $third;
	is($_->query('SELECT 1'), '1, SELECT 1, I', 'a channel goes with its client')
	  for $other, $third, $other, $third;
	$_->quit for $other, $third;
}

# The other backends of the pool serve everybody else.
{
	my $listener = client();
	my @others = map { client() } 1 .. 6;

	$listener->query('CREATE TEMP TABLE t (a int)');
	is_pinned($listener, 'temporary objects', 'one of two backends is kept');
	for my $round (1 .. 5)
	{
		$_->put(m_query("SELECT $round, to_regclass('pg_temp.t')")) for @others;
		is(join(' ', map { $_->reply } @others), join(' ', ("$round|NULL, SELECT 1, I") x 6),
			'others run on the other one');
	}
	is($admin->value(q{SELECT count(*) FROM pooler.backends b WHERE b.pin_reason IS NOT NULL}),
		1, 'only one is kept');
	$_->quit for $listener, @others;
}

#----------------------------------------------------------------------------
# the server's side
#----------------------------------------------------------------------------

set_conf('pooler.default_pool_size', 1);
ok($admin->until(q{SELECT size, backends FROM pooler.pools WHERE role = 'app'}, '1|1'),
	'a pool of one');

# Reload, and defaults that change: the backend goes when its client is free.
{
	my $client = client();

	$client->query('CREATE TEMP TABLE t AS SELECT 7 AS a');
	my $old = $client->value('SELECT pg_backend_pid()');
	is_pinned($client, 'temporary objects', 'before a reload');
	$admin->query('SELECT pg_reload_conf()');
	$admin->query("ALTER ROLE app SET my.setting = 'new'");
	ok($admin->until("SELECT draining FROM pooler.backends WHERE pid = $old", 't'),
		'the backend has to go');
	is($client->value('SELECT a FROM t'), 7, 'not before its client is free');
	is($client->value('SELECT pg_backend_pid()'), $old, 'the backend is the same');
	is_pinned($client, 'temporary objects', 'still pinned');
	$client->query('DROP TABLE t');
	ok($admin->until("SELECT count(*) FROM pooler.backends WHERE pid = $old", 0), 'now it goes');
	isnt($client->value('SELECT pg_backend_pid()'), $old, 'and there is another one');
	is($two->value(q{SELECT current_setting('my.setting')}), 'new', 'with the new default');
	$admin->query('ALTER ROLE app RESET my.setting');
	$client->quit;
}

# pg_terminate_backend(), and somebody waits.
{
	my $client = client();

	$client->query('LISTEN a');
	is_pinned($client, 'listen', 'before pg_terminate_backend()');
	$two->put(m_query($everything));
	waiting_is(1);
	$admin->query('SELECT pg_terminate_backend(' . column($client, 'pid') . ')');
	is($client->reply,
		'FATAL 57P01: terminating connection due to administrator command, eof',
		'its client is told');
	is($two->reply, '0, SELECT 1, I', 'the next one gets a new backend');
	ok(gone($client), 'the client is gone');
}

# A signal that would cancel does not disturb an idle client.
{
	my $client = client();

	$client->query('LISTEN a');
	is_pinned($client, 'listen', 'before pg_cancel_backend()');
	$admin->query('SELECT pg_cancel_backend(' . column($client, 'pid') . ')') for 1 .. 3;
	is($client->value('SELECT 1'), 1, 'which does nothing');
	$client->quit;
}

#----------------------------------------------------------------------------
# pooler.pin_limit
#----------------------------------------------------------------------------

set_conf('pooler.default_pool_size', 2);
set_conf('pooler.pin_limit', 50);
ok($admin->until(q{SELECT size FROM pooler.pools WHERE role = 'app'}, 2), 'a pool of two');

# The settings are in force in each backend of the pool.
sub limit_is_in_force
{
	my ($limit) = @_;
	my @clients = map { client() } 1 .. 2;

	$_->query('BEGIN') for @clients;
	ok($_->until('SHOW pooler.pin_limit', $limit), "pin_limit is $limit") for @clients;
	$_->query('COMMIT') for @clients;
	$_->quit for @clients;
}

limit_is_in_force(50);
{
	my ($first, $second) = map { client() } 1 .. 2;

	is($first->query('LISTEN a'), 'LISTEN, I', 'one of two may be pinned');
	is_pinned($first, 'listen', 'and is');
	for my $case (
		[ 'temporary objects', 'SELECT 1', q{CREATE TEMP TABLE t AS SELECT 1 AS a} ],
		[ 'session-level advisory locks', '1, SELECT 1', 'SELECT 1 FROM pg_advisory_lock(5)' ],
		[ 'LISTEN', 'LISTEN', 'LISTEN b' ],
		[ 'cursors WITH HOLD', 'DECLARE CURSOR', 'DECLARE c CURSOR WITH HOLD FOR SELECT 1' ],
		[ 'a base backup', '1, SELECT 1', q{SELECT 1 FROM pg_backup_start('b', true)} ],
		[ 'a replication origin', ', SELECT 1', q{SELECT pg_replication_origin_session_setup('source')} ],
		[ 'temporary replication slots', '1, SELECT 1',
			q{SELECT 1 FROM pg_create_physical_replication_slot('s', true, true)} ])
	{
		my ($what, $answer, $sql) = @$case;
		my $error = 'ERROR 53400: too many sessions keep a backend of this pool DETAIL: '
		  . "This session would have kept its backend because of $what. What it would have "
		  . 'kept has been dropped; pooler.pin_limit allows 1 sessions of this pool to keep a backend.';

		is($second->query($sql), "$answer, $error, I", "$what: one too many");
		not_pinned($second, "$what: does not pin");
		is($second->query($everything),
			($what eq 'LISTEN' ? '0' : '0') . ', SELECT 1, I', "$what: is gone");
		$second->put(m_parse($sql) . m_bind() . m_execute() . m_sync());
		is($second->reply, "parsed, bound, $answer, $error, I", "$what: by the extended protocol");
		not_pinned($second, "$what: does not pin either");
	}
	$second->query('BEGIN');
	$second->query(q{INSERT INTO journal (who) VALUES ('committed')});
	$second->query('CREATE TEMP TABLE t (a int)');
	like($second->query('COMMIT'), qr/^COMMIT, ERROR 53400: .*, I$/, 'a transaction');
	is($two->value(q{SELECT count(*) FROM journal WHERE who = 'committed'}), 1,
		'has been committed');
	like($second->query('CREATE TEMP TABLE t (a int)'), qr/^CREATE TABLE, ERROR 53400/,
		'and everything can be tried again');
	is($second->query('BEGIN; CREATE TEMP TABLE t (a int) ON COMMIT DROP; COMMIT'),
		'BEGIN, CREATE TABLE, COMMIT, I', 'what ends with the transaction is not meant');
	$first->query('CREATE TEMP TABLE t (a int)');
	is_pinned($first, 'temporary objects', 'who is pinned may do more');
	$first->query('UNLISTEN *; DROP TABLE t');
	not_pinned($first, 'until it is not');
	is($second->query('CREATE TEMP TABLE t (a int)'), 'CREATE TABLE, I', 'then another one may');
	like($first->query('LISTEN a'), qr/^LISTEN, ERROR 53400/, 'and it may not');
	$second->quit;
	ok(gone($second), 'one leaves');
	is($first->query('LISTEN a'), 'LISTEN, I', 'and the other may again');
	is($admin->value('SELECT count(*) FROM pooler.backends WHERE pin_reason IS NOT NULL'), 1, 'one');
	$first->quit;
	ok(gone($first), 'none');

	# pipelining is not meant
	my $client = client();
	set_conf('pooler.pin_limit', 0);
	limit_is_in_force(0);
	$client->put(m_query('SELECT 1') x 3);
	is($client->reply, '1, SELECT 1, I', 'pipelining with a limit of 0') for 1 .. 3;
	like($client->query('LISTEN a'), qr/^LISTEN, ERROR 53400/, 'LISTEN with a limit of 0');
	$client->put(m_query('LISTEN a'), m_query('SELECT 1'), m_query('SELECT count(*) FROM pg_listening_channels()'));
	like($client->reply, qr/^LISTEN, ERROR 53400.*, I$/, 'LISTEN in a pipeline');
	is($client->reply, '1, SELECT 1, I', 'which goes on');
	is($client->reply, '0, SELECT 1, I', 'without it');
	$client->quit;
}
set_conf('pooler.pin_limit', undef);
set_conf('pooler.default_pool_size', 1);
ok($admin->until(q{SELECT size, backends FROM pooler.pools WHERE role = 'app'}, '1|1'),
	'a pool of one again');
{
	my $client = client();
	ok($client->until('SHOW pooler.pin_limit', 100), 'without a limit');
	$client->quit;
}

#----------------------------------------------------------------------------
# pooler.pin_timeout
#----------------------------------------------------------------------------

{
	my ($client, $active) = map { client() } 1 .. 2;
	my $detail = 'The session keeps the backend because of %s; pooler.pin_timeout has passed.';
	my $text = 'FATAL 57P05: terminating connection because its session has kept a backend '
	  . 'for too long DETAIL: ' . $detail;

	$client->query('LISTEN a');
	is_pinned($client, 'listen', 'before pin_timeout');
	$two->put(m_query($everything));
	waiting_is(1);
	my $size = log_size($node);
	set_conf('pooler.pin_timeout', 1);
	is($client->reply, sprintf($text, 'LISTEN') . ', eof', 'pin_timeout ends an idle client');
	is($two->reply, '0, SELECT 1, I', 'and another one is served');
	ok(gone($client), 'it is gone');
	logged($node, $size, qr/FATAL:  terminating connection because its session has kept/,
		'the log says so');

	# only a client that is idle: as long as a transaction lasts it may keep it
	$active->query('CREATE TEMP TABLE t (a int)');
	$active->query('BEGIN');
	$active->query('SELECT pg_sleep(2)');
	$admin->query('SELECT pg_sleep(1)');
	is($active->query('SELECT count(*) FROM t'), '0, SELECT 1, T', 'not in a transaction');
	is($active->query('COMMIT'), 'COMMIT, I', 'which can end');
	is($active->reply, sprintf($text, 'temporary objects') . ', eof', 'but then');
	ok(gone($active), 'that one is gone, too');

	# Pipelining without an end.
	my $endless = client();
	my $sleeps = m_query('SELECT pg_sleep(0.2)');
	$endless->put($sleeps x 100);
	my @got;
	while (my ($type, $body) = $endless->read_message)
	{
		push @got, LoginClient::error_text($body) if $type eq 'E';
	}
	is("@got", sprintf($text, 'commands sent before the results of earlier ones were there'),
		'pipelining without an end');
	ok(gone($endless), 'that one is gone as well');

	# Others are not meant.
	my $free = client();
	is($free->value('SELECT 1'), 1, 'a client that is not pinned');
	$admin->query('SELECT pg_sleep(2)');
	is($free->value('SELECT 1'), 1, 'stays');
	$free->quit;
	set_conf('pooler.pin_timeout', undef);
}

# A pinned client is as idle as any other session.
{
	my ($client, $other) = map { client() } 1 .. 2;

	$_->query(q{SET idle_session_timeout = '300ms'}) for $client, $other;
	$client->query('LISTEN a');
	is($client->query('SELECT pg_sleep(0.4)'), ', SELECT 1, I', 'while it works, it is not idle');
	is($client->reply, 'FATAL 57P05: terminating connection due to idle-session timeout, eof',
		'idle_session_timeout ends a pinned client');
	is($other->reply, 'FATAL 57P05: terminating connection due to idle-session timeout, eof',
		'as it does one that is not pinned');
	$other = client();
	$other->query(q{SET idle_session_timeout = '1s'; LISTEN a});
	$other->query('RESET idle_session_timeout; UNLISTEN *; LISTEN b');
	$admin->query('SELECT pg_sleep(1.5)');
	is($other->value('SELECT 1'), 1, 'not one that has changed its mind');
	$other->query(q{SET idle_session_timeout = '1s'});
	is_pinned($other, 'listen', 'before it leaves');
	$other->quit;
	is($two->value('SELECT pg_sleep(0.5)'), '', 'the timer is not left to the next one');
	$admin->query('SELECT pg_sleep(0.4)');
	is($two->query('SELECT 1'), '1, SELECT 1, I', 'nor to its pauses');
}

#----------------------------------------------------------------------------
# pooler.pool_mode
#----------------------------------------------------------------------------

$admin->query($_) for (
	'CREATE DATABASE sess', 'CREATE DATABASE stmt',
	q{ALTER DATABASE sess SET pooler.pool_mode = 'session'},
	q{ALTER DATABASE stmt SET pooler.pool_mode = 'statement'},
	'CREATE ROLE sess SUPERUSER LOGIN', q{ALTER ROLE sess SET pooler.pool_mode = 'session'});

for my $case ([ database => 'sess' ], [ role => 'sess' ])
{
	my ($first, $second) = map { client(@$case) } 1 .. 2;

	is($first->value('SHOW pooler.pool_mode'), 'session', "session mode by $case->[0]");
	is_pinned($first, 'pool_mode', 'is shown as the reason');
	my $pid = $first->value('SELECT pg_backend_pid()');
	$first->query('LISTEN a; CREATE TEMP TABLE t (a int)');
	is_pinned($first, 'temporary objects', 'if there is no other');
	$second->put(m_query($everything));
	waiting_is(1);
	is($first->value('SELECT pg_backend_pid()'), $pid, 'the client keeps its backend');
	$first->query('DISCARD ALL');
	is_pinned($first, 'pool_mode', 'whatever it does');
	$first->query('LISTEN a; CREATE TEMP TABLE t (a int)');
	$first->quit;
	is($second->reply, '0, SELECT 1, I', 'until it leaves');
	is($second->value('SELECT pg_backend_pid()'), $pid, 'then another one gets it');
	is_pinned($second, 'pool_mode', 'and keeps it');

	# neither limit is about this mode
	set_conf('pooler.pin_timeout', 1);
	set_conf('pooler.pin_limit', 0);
	ok($second->until('SHOW pooler.pin_limit', 0), 'with a limit');
	$admin->query('SELECT pg_sleep(2)');
	is($second->query('LISTEN a; CREATE TEMP TABLE t (a int)'), 'LISTEN, CREATE TABLE, I',
		'no error');
	is($second->value('SELECT pg_backend_pid()'), $pid, 'the client is the same');
	$second->query('DISCARD ALL');
	set_conf('pooler.pin_timeout', undef);
	set_conf('pooler.pin_limit', undef);
	$second->quit;
}

# Only a superuser can ask for a mode.
{
	my $plain = WireClient->new($node, role => 'plain');

	is($plain->query(q{SET pooler.pool_mode = 'session'}),
		'ERROR 42501: permission denied to set parameter "pooler.pool_mode", I', 'SET');
	is($plain->value(q{SELECT set_config('pooler.pool_mode', 'session', false)}),
		'ERROR 42501: permission denied to set parameter "pooler.pool_mode"', 'set_config()');
	is($plain->value(q{ALTER ROLE plain SET pooler.pool_mode = 'session'}),
		'ERROR 42501: permission denied to set parameter "pooler.pool_mode"', 'ALTER ROLE');
	not_pinned($plain, 'refused');
	is($admin->query(q{ALTER ROLE plain SET pooler.pool_mode = 'statement'}), 'ALTER ROLE, I', '');
	is($plain->query('RESET pooler.pool_mode'),
		'ERROR 42501: permission denied to set parameter "pooler.pool_mode", I', 'RESET');
	$plain->quit;
	is( LoginClient::login_answer('local', $node->host, PoolerTest::pooler_port($node),
			role => 'plain', database => 'postgres', options => '-c pooler.pool_mode=session'),
		'FATAL 42501: permission denied to set parameter "pooler.pool_mode"', 'options');

	my $client = client();
	is($client->query(q{SET pooler.pool_mode = 'session'}), 'SET, I', 'SET by a superuser');
	is_pinned($client, 'pool_mode', 'pins at once');
	is($client->query(q{SET pooler.pool_mode = 'transaction'}), 'SET, I', 'and back');
	not_pinned($client, 'pins no more');
	$client->query('RESET pooler.pool_mode');
	$client->query('BEGIN');
	$client->query(q{SET LOCAL pooler.pool_mode = 'session'});
	$client->query('COMMIT');
	not_pinned($client, 'SET LOCAL has no effect');
	$client->quit;
	is($two->query(q{SET pooler.pool_mode = 'wrong'}),
		'ERROR 22023: invalid value for parameter "pooler.pool_mode": "wrong" '
		  . 'HINT: Available values: transaction, session, statement., I', 'a wrong mode');
}

# Statement mode: no transaction block, and all else.
{
	my $client = client(database => 'stmt');
	my $refused = 'ERROR 0A000: transaction blocks are not allowed in this pool '
	  . 'DETAIL: pooler.pool_mode is "statement" for this database and role.';

	is($client->query($_), "$refused, I", $_)
	  for ('BEGIN', 'START TRANSACTION', 'BEGIN ISOLATION LEVEL SERIALIZABLE',
		'BEGIN; SELECT 1; COMMIT', 'SELECT 1; BEGIN' =~ s/^SELECT 1; //r);
	is($client->query('SELECT 1; BEGIN'), "1, SELECT 1, $refused, I", 'BEGIN behind another command');
	$client->put(m_parse('BEGIN') . m_bind() . m_execute() . m_sync());
	is($client->reply, "parsed, bound, $refused, I", 'BEGIN by the extended protocol');
	for my $case (
		[ 'CREATE TABLE x (a int)', 'CREATE TABLE' ],
		[ 'INSERT INTO x VALUES (1); INSERT INTO x VALUES (2)', 'INSERT 0 1, INSERT 0 1' ],
		[ 'INSERT INTO x VALUES (3); SELECT 1/0',
			'INSERT 0 1, ERROR 22012: division by zero' ],
		[ 'SELECT sum(a) FROM x', '3, SELECT 1' ],
		[ 'DO $$BEGIN INSERT INTO x VALUES (4); COMMIT; INSERT INTO x VALUES (5); ROLLBACK; END$$', 'DO' ],
		[ 'SELECT sum(a) FROM x', '7, SELECT 1' ],
		[ 'VACUUM x', 'VACUUM' ],
		[ 'COMMIT', 'WARNING 25P01: there is no transaction in progress, COMMIT' ],
		[ 'ROLLBACK', 'WARNING 25P01: there is no transaction in progress, ROLLBACK' ],
		[ 'SAVEPOINT s', 'ERROR 25P01: SAVEPOINT can only be used in transaction blocks' ],
		[ 'DROP TABLE x', 'DROP TABLE' ])
	{
		is($client->query($case->[0]), "$case->[1], I", $case->[0]);
	}
	is($client->query('LISTEN a'), 'LISTEN, I', 'LISTEN');
	is_pinned($client, 'listen', 'pins in this mode, too');
	$client->quit;
}
$two->query('BEGIN');
is($two->query('SELECT 1'), '1, SELECT 1, T', 'elsewhere blocks are allowed');
$two->query('COMMIT');
my $direct = WireClient->new($node, database => 'stmt', port => $node->port);
is($direct->query('BEGIN'), 'BEGIN, T', 'and on a direct connection');
$direct->quit;

#----------------------------------------------------------------------------
# the end of the pooler, and of the server
#----------------------------------------------------------------------------

{
	my ($idle, $busy) = (client(), client(role => 'sess'));

	$idle->query('LISTEN a');
	is_pinned($idle, 'listen', 'before the pooler ends');
	$busy->query('CREATE TEMP TABLE t (a int)');
	$busy->query('BEGIN');
	my $started = $admin->value('SELECT started_at FROM pooler.status');
	$admin->query('SELECT pg_terminate_backend(pid) FROM pooler.status');
	is($idle->reply,
		'FATAL 57P01: terminating connection because the pooler has ended, eof',
		'an idle client is told that the pooler has ended');
	is($busy->query('INSERT INTO journal (who) VALUES (\'busy\')'), 'INSERT 0 1, T',
		'a transaction goes on');
	like($busy->query('COMMIT'), qr/^COMMIT, I$/, 'to its end');
	like($busy->reply, qr/^FATAL 57P01: .*eof$/, 'and then its client is told');
	ok($admin->until("SELECT started_at > '$started' FROM pooler.status", 't'),
		'the pooler starts again');
	wait_for_pooler($node);
	ok($admin->until(q{SELECT count(*) FROM pooler.backends WHERE pin_reason IS NOT NULL}, 0),
		'no backend is pinned');
	$two = client();
	is($two->query($everything), '0, SELECT 1, I', 'nothing is left of them');
}

for my $mode (qw(smart fast))
{
	my $client = client();

	$client->query('LISTEN a; CREATE TEMP TABLE t (a int)');
	is_pinned($client, 'temporary objects', "before a $mode shutdown");
	$admin->quit;
	my $stop = start([ 'pg_ctl', '-D', $node->data_dir, '-m', $mode, '-t', '60', 'stop' ],
		'>', \my $out, '2>', \my $err);
	for ($client, $two)
	{
		# in a fast one everybody is told at once, and who comes first is open
		like($_->reply, qr/^FATAL 57P01: terminating connection .*, eof$/,
			"$mode shutdown: idle clients are told, pinned or not");
	}
	ok($stop->finish, "$mode shutdown: the server has ended") or diag($out, $err);
	$node->_update_pid(0);
	$node->start;
	wait_for_pooler($node);
	$admin = WireClient->new($node, port => $node->port);
	$two = client();
	is($two->query($everything), '0, SELECT 1, I', "$mode shutdown: nothing is left");
}

$_->quit for $two, $admin;
$node->stop;
done_testing();
