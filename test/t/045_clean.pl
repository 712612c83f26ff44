# A client that leaves, leaves nothing; and where there is nothing to clear, and
# nothing to restore, nothing is done.

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

sub resets { return $admin->value('SELECT resets FROM pooler.stats') }
sub restores { return $admin->value('SELECT restores FROM pooler.stats') }

sub quiet
{
	return $admin->until(
		q{SELECT count(*) FROM pooler.clients WHERE state <> 'idle'}, 0);
}

#----------------------------------------------------------------------------
# nothing left: nothing done
#----------------------------------------------------------------------------

my $resets = resets();
$_->query('SELECT 1') for $one, $two;
my $restores = restores();
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
is(resets(), $resets, 'transactions that leave nothing need no clearing');
is(restores(), $restores, 'nor anything to be restored');

$one->put(m_parse('SELECT $1::int') . m_bind('', ['5']) . m_execute() . m_sync());
is($one->reply, 'parsed, bound, 5, SELECT 1, I', 'an unnamed statement');
quiet();
$two->query('SELECT 1');
is(resets(), $resets, 'needs no clearing');

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
