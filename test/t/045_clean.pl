# What a client leaves in its backend is gone when another one gets it, and
# looking for it costs nothing when there is nothing.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use PoolerTest qw(start_node);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WireClient qw(m_bind m_execute m_parse m_query m_sync message);

my $node = start_node('clean', conf => q{
max_connections = 20
wal_level = replica
pooler.default_pool_size = 1
});
my $admin = WireClient->new($node, port => $node->port);
$admin->query($_) for (
	'CREATE ROLE app SUPERUSER LOGIN',
	'CREATE ROLE other',
	'CREATE SEQUENCE numbers',
	'CREATE TABLE journal (who text)',
	'CREATE FUNCTION sets() RETURNS void LANGUAGE plpgsql AS
	 $$BEGIN PERFORM set_config(\'work_mem\', \'123kB\', false); END$$',
	"SELECT pg_replication_origin_create('source')");

my ($one, $two) = map { WireClient->new($node, role => 'app') } 1 .. 2;
my $backend = $one->value('SELECT pg_backend_pid()');

sub resets
{
	return $admin->value('SELECT resets FROM pooler.stats');
}

sub quiet
{
	return $admin->until(
		q{SELECT count(*) FROM pooler.clients WHERE state <> 'idle'}, 0);
}

# Does this probe give this answer for a client?  A probe is a query, or bytes.
sub probe
{
	my ($client, $probe) = @_;
	return $client->query($probe) if ref $probe eq '';
	$client->put($$probe);
	return $client->reply;
}

# The first client leaves something, which its own probe must show, or this
# proves nothing; and the second must find a backend as good as new.  (Some
# probes leave something themselves, then clearings can't be counted.)
sub is_cleared
{
	my ($name, $leave, $probe, $dirty, $probe_leaves) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	$two->query('SELECT 1');
	my $clean = probe($two, $probe);
	quiet();
	my $resets = resets();
	$one->query($_) for ref $leave eq 'ARRAY' ? @$leave : ();
	if (ref $leave ne 'ARRAY')
	{
		$one->put($leave);
		$one->reply;
	}
	like(probe($one, $probe), $dirty, "$name: is there");
	quiet();
	is($two->value('SELECT pg_backend_pid()'), $backend, "$name: same backend");
	is(probe($two, $probe), $clean, "$name: is gone");
	is(resets(), $resets + 1, "$name: took one clearing") unless $probe_leaves;
	quiet();
	is($one->value('SELECT pg_backend_pid()'), $backend, "$name: back again");
	return if $probe_leaves;
	is(resets(), $resets + 1, "$name: then took none");
}

# A setting goes on with its client (041_settings.pl), which needs no clearing.
sub is_apart
{
	my ($name, $leave, $probe, $dirty) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	my $clean = probe($two, $probe);
	my $resets = resets();
	$one->query($_) for @$leave;
	like(probe($one, $probe), $dirty, "$name: is there");
	is(probe($two, $probe), $clean, "$name: not for others");
	like(probe($one, $probe), $dirty, "$name: back again");
	is($two->value('SELECT pg_backend_pid()'), $backend, "$name: same backend");
	quiet();
	is(resets(), $resets, "$name: took no clearing");
	$one->query('DISCARD ALL');
}

is_apart('setting', ["SET work_mem = '123kB'"], 'SHOW work_mem', qr/^123kB/);
is_apart('setting made in a function', ['SELECT sets()'],
	'SHOW work_mem', qr/^123kB/);
is_apart('several settings',
	["SET search_path = 'nowhere'; SET statement_timeout = '1h'; SET DateStyle = 'German'"],
	q{SELECT current_setting('search_path'), current_setting('statement_timeout'),
	  current_setting('DateStyle'), current_date > '1.1.2000'},
	qr/^nowhere\|1h\|German, DMY\|t/);
is_apart('setting of the session\'s transactions',
	['SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY'],
	'SHOW default_transaction_read_only', qr/^on/);
is_apart('setting that only superusers have',
	['SET session_replication_role = replica'],
	'SHOW session_replication_role', qr/^replica/);
is_apart('reported setting', ["SET client_encoding = 'LATIN1'"],
	'SHOW client_encoding', qr/^LATIN1/);
is_apart('custom variable', ["SET my.variable = 'secret'"],
	q{SELECT coalesce(nullif(current_setting('my.variable', true), ''), 'none')},
	qr/^secret/);
is_apart('setting from a transaction',
	[ 'BEGIN', "SET work_mem = '123kB'", 'COMMIT' ], 'SHOW work_mem', qr/^123kB/);
is_apart('role', ['SET ROLE other'],
	"SELECT current_user, current_setting('role'), current_setting('is_superuser')",
	qr/^other\|other\|off/);
is_apart('session authorization', ['SET SESSION AUTHORIZATION other'],
	"SELECT session_user, current_user, current_setting('is_superuser')",
	qr/^other\|other\|off/);
is_apart('session authorization and role',
	[ 'SET SESSION AUTHORIZATION other', 'SET ROLE other' ],
	"SELECT session_user, current_user, current_setting('is_superuser')",
	qr/^other\|other\|off/);
is_cleared('statement prepared by SQL', ['PREPARE s AS SELECT 1'],
	q{SELECT count(*) FROM pg_prepared_statements}, qr/^1,/);
is_cleared('statement prepared by protocol', m_parse('SELECT 1', 'named') . m_sync(),
	q{SELECT count(*) FROM pg_prepared_statements}, qr/^1,/);
is_cleared('statement prepared by protocol, used by protocol',
	m_parse('SELECT 42', 'named') . m_sync(),
	\(m_bind('named') . m_execute() . m_sync()), qr/^bound, 42/);
is_cleared('cursor WITH HOLD', ['DECLARE c CURSOR WITH HOLD FOR SELECT 1'],
	'SELECT count(*) FROM pg_cursors', qr/^1,/);
is_cleared('cursor WITH HOLD of a longer transaction',
	[
		'BEGIN', 'DECLARE c CURSOR WITH HOLD FOR SELECT generate_series(1, 9)',
		'FETCH c', 'COMMIT'
	],
	'SELECT count(*) FROM pg_cursors', qr/^1,/);
is_cleared('LISTEN', ['LISTEN channel'],
	q{SELECT count(*) FROM pg_listening_channels()}, qr/^1,/);
is_cleared('temporary table', ['CREATE TEMP TABLE t AS SELECT 1'],
	q{SELECT to_regclass('pg_temp.t') IS NOT NULL, count(*) FROM pg_class
	  WHERE relnamespace = pg_my_temp_schema()}, qr/^t\|1/);
is_cleared('temporary table that hides another one',
	['CREATE TEMP TABLE journal AS SELECT \'temporary\' AS who'],
	'SELECT count(*) FROM journal', qr/^1,/);
is_cleared('temporary objects of other kinds',
	[
		'CREATE TEMP SEQUENCE s; CREATE TEMP VIEW v AS SELECT 1',
		'CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS \'SELECT 1\'',
		'CREATE TYPE pg_temp.y AS ENUM ()'
	],
	q{SELECT (SELECT count(*) FROM pg_class WHERE relnamespace = pg_my_temp_schema()),
	  (SELECT count(*) FROM pg_proc WHERE pronamespace = pg_my_temp_schema()),
	  (SELECT count(*) FROM pg_type WHERE typnamespace = pg_my_temp_schema()
	   AND typtype = 'e')}, qr/^2\|1\|1/);
is_cleared('advisory lock', ['SELECT pg_advisory_lock(1)'],
	q{SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'}, qr/^1,/);
is_cleared('shared advisory locks, twice',
	[ 'SELECT pg_advisory_lock_shared(1, 2)', 'SELECT pg_advisory_lock_shared(1, 2), pg_advisory_lock(3)' ],
	q{SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'}, qr/^2,/);
is_cleared('sequence', [q{SELECT nextval('numbers')}],
	q{SELECT currval('numbers') > 0}, qr/^t,/, 1);
is_cleared('last sequence', [q{SELECT nextval('numbers')}],
	q{SELECT lastval() > 0}, qr/^t,/);
is_cleared('temporary replication slot',
	[q{SELECT pg_create_physical_replication_slot('temporary', true, true)}],
	q{SELECT count(*) FROM pg_replication_slots}, qr/^1,/);
is_cleared('replication origin',
	[q{SELECT pg_replication_origin_session_setup('source')}],
	'SELECT pg_replication_origin_session_is_setup()', qr/^t,/);
is_cleared('all at once',
	[
		q{SET work_mem = '123kB'; SET ROLE other; RESET ROLE; PREPARE s AS SELECT 1;
		  LISTEN a; LISTEN b; SELECT pg_advisory_lock(7), nextval('numbers')},
		'DECLARE c CURSOR WITH HOLD FOR SELECT 1', 'CREATE TEMP TABLE t (i int)'
	],
	q{SELECT current_setting('work_mem'), to_regclass('pg_temp.t'),
	  (SELECT count(*) FROM pg_prepared_statements),
	  (SELECT count(*) FROM pg_cursors),
	  (SELECT count(*) FROM pg_listening_channels()),
	  (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory')},
	qr/^123kB\|t\|1\|1\|2\|1/);

# What was done in a transaction that failed left nothing, or what it left
# outside of the transaction is cleared as well.
is_cleared('advisory lock of a transaction that failed',
	[ 'BEGIN', 'SELECT pg_advisory_lock(1)', 'SELECT 1/0', 'ROLLBACK' ],
	q{SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'}, qr/^1,/);
is_cleared('sequence of a query that failed',
	[q{SELECT nextval('numbers'), 1/(random() * 0)}],
	q{SELECT lastval() > 0}, qr/^t,/);

# The unnamed statement: of another client it must neither run nor be seen.
# (A client that finds its own has got the backend back in time.)
for my $case (
	[ 'prepared', m_parse(q{SELECT 'secret'}) . m_sync() ],
	[ 'used', m_parse(q{SELECT 'secret'}) . m_bind() . m_execute() . m_sync() ])
{
	for my $use (
		[ 'bind', m_bind() . m_execute() . m_sync() ],
		[ 'describe', message('D', "S\0") . m_sync() ],
		[ 'describe, then bind', message('D', "S\0") . m_bind() . m_execute() . m_sync() ],
		[ 'close another, then bind', message('C', "Sx\0") . m_bind() . m_execute() . m_sync() ],
		[ 'parse another, then bind', m_parse('SELECT 1', 'x') . m_bind() . m_execute() . m_sync() ],
		[ 'sync, then bind', m_sync() . m_bind() . m_execute() . m_sync() ])
	{
		$one->put($case->[1]);
		$one->reply;
		quiet();
		$two->put($use->[1]);
		my $reply = $two->reply;
		$reply .= ', ' . $two->reply if $use->[0] =~ /^sync/;
		like($reply, qr/ERROR 26000: unnamed prepared statement does not exist/,
			"$case->[0] unnamed statement of another client: $use->[0]");
		unlike($reply, qr/secret|^t/, "$case->[0], $use->[0]: nothing is shown");
		is($two->value('SELECT pg_backend_pid()'), $backend, 'the same backend');
	}
}

# One client after the other, by the queue: the backend passes it on by itself.
$one->query('BEGIN');
$two->put(m_query("SELECT current_setting('work_mem')"));
$admin->until(q{SELECT count(*) FROM pooler.clients WHERE state = 'waiting'}, 1);
$one->query("SET work_mem = '123kB'");
$one->query('COMMIT');
is($two->reply, '4MB, SELECT 1, I', 'a backend that goes on at once is clean, too');
quiet();

#----------------------------------------------------------------------------
# nothing left: nothing done
#----------------------------------------------------------------------------

my $resets = resets();
for my $sql (
	'SELECT 1',
	"BEGIN; SET LOCAL work_mem = '123kB'; SET LOCAL ROLE other; COMMIT",
	"BEGIN; SET work_mem = '123kB'; ROLLBACK",
	"SET work_mem = '123kB'; RESET work_mem",
	'BEGIN; DECLARE c CURSOR FOR SELECT 1; FETCH c; COMMIT',
	'BEGIN; SELECT pg_advisory_xact_lock(1); COMMIT',
	'SELECT pg_advisory_lock(1), pg_advisory_unlock(1)',
	'PREPARE s AS SELECT 1; EXECUTE s; DEALLOCATE s',
	"INSERT INTO journal VALUES ('x'); DELETE FROM journal",
	"NOTIFY channel, 'x'",
	'CREATE TABLE another (i int); DROP TABLE another',
	'SELECT 1/0',
	'EXPLAIN SELECT 1',
	'DO $$ BEGIN PERFORM 1; END $$')
{
	$one->query($sql);
	quiet();
	is($two->value('SELECT pg_backend_pid()'), $backend, $sql);
	quiet();
}
is(resets(), $resets, 'transactions that leave nothing cost nothing');

$one->put(m_parse('SELECT $1::int') . m_bind('', ['5']) . m_execute() . m_sync());
is($one->reply, 'parsed, bound, 5, SELECT 1, I', 'an unnamed statement');
quiet();
$two->query('SELECT 1');
is(resets(), $resets, 'costs nothing either');

# What a client asked for when it connected is its own, and nothing left over.
my $three = WireClient->new($node, role => 'app', application_name => 'three',
	options => '-c work_mem=5MB', DateStyle => 'SQL, DMY');
for my $round (1 .. 3)
{
	my $probe = q{SELECT current_setting('work_mem'), current_setting('DateStyle'),
		current_setting('application_name')};
	quiet();
	is($three->value($probe), '5MB|SQL, DMY|three', 'startup settings');
	quiet();
	is($one->value($probe), '4MB|ISO, MDY|', 'are not those of others');
}
is(resets(), $resets, 'and cost no clearing');
$three->query("SET work_mem = '6MB'");
quiet();
is($one->value('SHOW work_mem'), '4MB', 'nor is what was changed afterwards');
is(resets(), $resets, 'without a clearing');
is($three->value('SHOW work_mem'), '6MB', 'it goes on');
$three->query('RESET work_mem');
is($one->value('SHOW work_mem'), '4MB', 'others');
is($three->value('SHOW work_mem'), '5MB', 'down to the startup settings');
$three->quit;

#----------------------------------------------------------------------------
# a client that leaves, leaves nothing
#----------------------------------------------------------------------------

for my $how (qw(quit close reset))
{
	my $client = WireClient->new($node, role => 'app', from => '127.0.0.1');
	$client->query($_) for (
		q{SET work_mem = '123kB'; PREPARE s AS SELECT 1; LISTEN channel},
		'SELECT pg_advisory_lock(1)',
		'CREATE TEMP TABLE t (i int)');
	is($admin->value(q{SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'}),
		1, 'a lock');
	$client->$how;
	ok($admin->until(
			q{SELECT (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory')
			  + (SELECT count(*) FROM pg_class WHERE relpersistence = 't')}, 0),
		"$how: gone although nobody else came");
	is($one->query(q{SELECT current_setting('work_mem'),
			(SELECT count(*) FROM pg_prepared_statements),
			(SELECT count(*) FROM pg_listening_channels())}),
		'4MB|0|0, SELECT 1, I', "$how: all of it");
}

# An open transaction is rolled back.
for my $how (qw(quit close reset))
{
	my $client = WireClient->new($node, role => 'app', from => '127.0.0.1');
	$client->query($_) for (
		'BEGIN', q{INSERT INTO journal VALUES ('lost')},
		'LOCK TABLE journal', 'SELECT pg_advisory_lock(1)',
		q{SET work_mem = '123kB'});
	$client->$how;
	is($one->query(q{SELECT count(*), current_setting('work_mem') FROM journal}),
		'0|4MB, SELECT 1, I', "$how in a transaction: rolled back");
	ok($admin->until(q{SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'}, 0),
		"$how in a transaction: no lock is left");
}

$_->quit for ($one, $two, $admin);
$node->stop;
done_testing();
