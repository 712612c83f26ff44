# What a client holds is told by its backend as it is at the end of each command;
# of a client that has left nothing is told, nor is left in memory.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use PoolerTest qw(start_node wait_until);
use PostgreSQL::Test::Utils;
use Test::More;
use WireClient qw(m_bind m_close m_execute m_parse m_query m_sync);

# Shared memory that a test can read: a segment of System V's, and files.
my $node = start_node('holdings', conf => q{
max_connections = 20
shared_buffers = 1MB
shared_memory_type = sysv
dynamic_shared_memory_type = mmap
compute_query_id = on
log_statement = none
log_min_error_statement = panic
pooler.default_pool_size = 1
});
my $admin = WireClient->new($node, port => $node->port);
$admin->query('CREATE ROLE app SUPERUSER LOGIN');
$admin->query('CREATE TABLE t (a int)');

sub client
{
	return WireClient->new($node, role => 'app', @_);
}

sub of_client
{
	my ($client, $columns) = @_;
	my $pid = unpack('N', $client->{key});
	return "SELECT $columns FROM pooler.get_holdings() AS h
		JOIN pooler.clients AS c ON c.id = h.client_id WHERE protocol_pid = $pid";
}

# What is told after a command becomes this a moment after its answer.
sub holds
{
	my ($client, $columns, $wanted, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	ok($admin->until(of_client($client, $columns), $wanted), $name);
}

sub first_query_is
{
	my ($client, $wanted, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	holds($client, 'first_query', $wanted // 'NULL', $name);
}

sub m_run
{
	my ($sql) = @_;
	return m_parse($sql) . m_bind() . m_execute();
}

my $client = client();

#----------------------------------------------------------------------------
# the first query of a transaction block
#----------------------------------------------------------------------------

$client->query('SELECT 0');
first_query_is($client, undef, 'none outside a block');
$client->query('BEGIN');
first_query_is($client, undef, 'nor after BEGIN');
$client->query('SELECT 1');
first_query_is($client, 'SELECT 1', 'the first one');
is($admin->value(of_client($client, 'first_query_id = query_id') =~
		s/WHERE/JOIN pg_stat_activity AS a ON a.pid = h.pid WHERE/r),
	't', 'with its identifier');
$client->query("SELECT 2");
first_query_is($client, 'SELECT 1', 'stays so');
$client->query('SAVEPOINT s');
$client->query('SELECT 1/0');
$client->query('ROLLBACK TO s');
first_query_is($client, 'SELECT 1', 'whatever fails later');
$client->query('COMMIT AND CHAIN');
first_query_is($client, undef, 'a transaction that follows without a break is another one');
$client->query('SELECT 3');
first_query_is($client, 'SELECT 3', 'with a first query of its own');
$client->query('COMMIT');
first_query_is($client, undef, 'none after the block');

$client->query('BEGIN; SELECT 4');
first_query_is($client, 'BEGIN; SELECT 4', 'both in one');
$client->query('ROLLBACK; START TRANSACTION');
first_query_is($client, undef, 'the end and the next begin in one');
$client->query('SELCT 5');
first_query_is($client, 'SELCT 5', 'one that fails');
$client->query('ROLLBACK');
first_query_is($client, undef, 'none after a rollback');

$client->put(m_run('BEGIN'), m_run('SELECT 6'), m_run('SELECT 7'), m_sync());
$client->reply;
first_query_is($client, 'SELECT 6', 'of a batch the first one');
$client->put(m_run('COMMIT'), m_run('BEGIN'), m_run('SELECT 8'), m_run('SELECT 9'), m_sync());
$client->reply;
first_query_is($client, 'SELECT 8', 'of a batch over two blocks that of the second');
$client->put(m_run('ROLLBACK'), m_run('SELECT 10'), m_run('SELECT 11'), m_sync());
$client->reply;
first_query_is($client, undef, 'none after a batch that is a transaction by itself');

my $long = "SELECT '" . "\x{c3}\x{a9}" x 1000;
$client->query('BEGIN');
$client->query("$long'");
holds($client, "octet_length(first_query), first_query = left(convert_from('\\x"
		. unpack('H*', $long) . "', 'UTF8'), length(first_query))",
	'1022|t', 'one that is too long is cut off between two characters');
$client->query('ROLLBACK');
$client->query('SET track_activities = off');
$client->query('BEGIN');
$client->query('SELECT 12');
$client->query('SELECT 13');
first_query_is($client, undef, 'none if activities are not tracked');
$client->query('ROLLBACK');
$client->query('RESET track_activities');

#----------------------------------------------------------------------------
# cursors
#----------------------------------------------------------------------------

my $cursors = "concat_ws(' ', cursors, cursors_grown, cursor_names)";

$client->query('BEGIN');
$client->query('DECLARE one CURSOR FOR SELECT 1');
holds($client, $cursors, '1 1 one', 'a cursor');
$client->put(m_parse('SELECT 2'), m_bind('', [], 'two'), m_execute('two', 1),
	m_run('SELECT 3'), m_sync());
$client->reply;
holds($client, "cursors, array(SELECT unnest(string_to_array(cursor_names, ', ')) ORDER BY 1)",
	'2|{one,two}', 'a named portal is one, the unnamed one is not');
$client->query('CLOSE one');
holds($client, $cursors, '1 0 two', 'after CLOSE: what is left has not grown');
$client->query('DECLARE three CURSOR FOR SELECT 3');
$client->query('SELECT 1/0');
holds($client, 'cursors, cursors_grown', '2|1', 'they are there in a block that has failed');
$client->query('ROLLBACK');
holds($client, $cursors, '0 0', 'none after the block');

$client->query('DECLARE held CURSOR WITH HOLD FOR SELECT 1');
holds($client, $cursors, '1 1 held', 'one that outlives its transaction');
$client->query('BEGIN');
$client->query("DECLARE a_rather_long_name_for_a_cursor_number_$_ CURSOR FOR SELECT 1") for 1 .. 100;
holds($client, 'cursors, cursors_grown', '101|101', 'many');
like($admin->value(of_client($client, 'cursor_names')),
	qr/\A(?:(?:held|a_rather_long_name_for_a_cursor_number_\d+)(?:, |\z)){5,7}\z/,
	'with names as far as they fit');
$client->query('COMMIT');
holds($client, $cursors, '1 0 held', 'the one that outlives them');
$client->query('CLOSE held');
holds($client, $cursors, '0 0', 'none');

#----------------------------------------------------------------------------
# locks
#----------------------------------------------------------------------------

my $locks = "concat_ws(' ', session_locks, session_locks_grown)";

$client->query('SELECT pg_advisory_xact_lock(1); LOCK t');
$client->query('SELECT pg_advisory_lock(1)');
holds($client, $locks, '1 1', 'a lock of the session');
$client->query('SELECT pg_advisory_lock(1), pg_advisory_lock_shared(2)');
holds($client, $locks, '3 3', 'one taken twice, and another');
$client->query('SELECT pg_advisory_unlock(1)');
holds($client, $locks, '2 0', 'one given back');
$client->query('SELECT pg_advisory_lock(i) FROM generate_series(1000, 1299) AS i');
holds($client, $locks, '302 300', 'many');
$client->query('BEGIN; SELECT pg_advisory_unlock_all(), pg_advisory_lock(1); LOCK t');
$client->query('COMMIT');
holds($client, $locks, '1 0', 'all but one given back');
$client->query('SELECT pg_advisory_unlock(1)');
holds($client, $locks, '0 0', 'none');

#----------------------------------------------------------------------------
# temporary objects
#----------------------------------------------------------------------------

my $temp = "concat_ws(' ', temp_objects, temp_objects_grown, temp_bytes)";

$client->query('CREATE TEMP TABLE x (a int)');
holds($client, $temp, '1 1 0', 'a temporary table');
$client->query('INSERT INTO x SELECT 1');
holds($client, $temp, '1 1 8192', 'with a row');
$client->query('CREATE INDEX ON x (a)');
holds($client, 'temp_objects, temp_bytes > 8192', '1|t', 'with an index');
$client->query('CREATE TEMP SEQUENCE s');
$client->query('CREATE TEMP VIEW v AS SELECT 1');
holds($client, 'temp_objects, temp_objects_grown', '3|3', 'of all kinds');
$client->query('DROP TABLE x');
holds($client, 'temp_objects, temp_objects_grown', '2|0', 'fewer');
$client->query('DO $$ BEGIN FOR i IN 1..1100 LOOP
	EXECUTE format($f$CREATE TEMP TABLE y%s AS SELECT 1$f$, i); END LOOP; END $$');
holds($client, 'temp_objects, temp_bytes BETWEEN 8192 AND 32 * 8192', '1102|t',
	'very many, of which the first are measured');
$client->query('DISCARD TEMP');
holds($client, $temp, '0 0 0', 'none');

#----------------------------------------------------------------------------
# prepared statements
#----------------------------------------------------------------------------

my $statements = "concat_ws(' ', prepared_statements, prepared_statements_grown)";
my $other = client();

$client->query("PREPARE p$_ AS SELECT $_") for 1 .. 3;
holds($client, $statements, '3 3', 'statements by PREPARE');
$client->put(m_parse('SELECT 4', 'p4'), m_parse('SELECT 5'), m_sync());
$client->reply;
holds($client, $statements, '4 4', 'and by Parse');
is($other->query('PREPARE q AS SELECT 1'), 'PREPARE, I', 'another client has the backend');
holds($other, $statements, '1 1', 'its own are counted');
holds($client, $statements, '4 4', 'those of the other are told as before');
$client->query('DEALLOCATE p1');
holds($client, $statements, '3 0', 'fewer, on another backend or not');
$client->put(m_close('S', 'p2'), m_parse('SELECT 5', 'p5'), m_parse('SELECT 6', 'p6'), m_sync());
$client->reply;
holds($client, $statements, '4 1', 'more again');
$other->query('SELECT 1');
holds($client, $statements, '4 1', 'while another is at work, too');
$client->query('DEALLOCATE ALL');
holds($client, $statements, '0 0', 'none');

#----------------------------------------------------------------------------
# nobody stands beside what another one did
#----------------------------------------------------------------------------

my $backend = $admin->value('SELECT pid FROM pooler.backends');
my $activity = "SELECT state, client_port, '[' || query || ']', query_id
	FROM pg_stat_activity WHERE pid = $backend";
my $from = client(from => '127.0.0.1');
my ($port) = Socket::unpack_sockaddr_in(getsockname($from->{sock}));

$client->query("SELECT 'of the one before'");
$from->put(m_sync());
is($from->reply, 'I', 'a client that comes without a query');
is($admin->value('SELECT pid FROM pooler.backends'), $backend, 'has the same backend');
is($admin->value($activity), "idle|$port|[]|NULL", 'and stands beside none');
$client->query("BEGIN; DECLARE mine CURSOR FOR SELECT 1; SELECT 'of a client that breaks off'");
holds($client, 'cursors, first_query IS NOT NULL', '1|t', 'one that holds something');
$client->close;
ok($admin->until("SELECT count(*) FROM pg_stat_activity WHERE pid = $backend", 0),
	'is gone, and its backend with it');
$from->query('BEGIN');
holds($from, "$cursors, first_query", '0 0|NULL', 'the next one has nothing of that');
$from->query('ROLLBACK');

# What holds nothing that stays leaves nothing behind, either.
$client = client();
$client->query('SELECT pg_advisory_lock(7); CREATE TEMP TABLE z (a int)');
holds($client, "$locks, temp_objects", '1 1|1', 'one that is pinned');
$client->quit;
$from->put(m_sync());
$from->reply;
holds($from, "$locks, $temp", '0 0|0 0 0', 'the next one on the same backend');

#----------------------------------------------------------------------------
# nothing is left in shared memory
#----------------------------------------------------------------------------

# How often the text stands in shared memory.
sub times_in_memory
{
	my ($text) = @_;
	my ($id) = slurp_file($node->data_dir . '/postmaster.pid') =~ /^ *\d+ +(\d+) *$/m
	  or die 'no segment is named in postmaster.pid';
	my ($size) = slurp_file('/proc/sysvipc/shm') =~ /^ *-?\d+ +$id +\d+ +(\d+)/m
	  or die "no segment $id";
	my $times = 0;

	shmread($id, my $memory, 0, $size) or die "segment $id: $!";
	for ($memory, map { slurp_file($_) } glob $node->data_dir . '/pg_dynshmem/mmap.*')
	{
		$times++ while /\Q$text\E/g;
	}
	return $times;
}

sub leaves_memory
{
	my ($text, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $times;

	ok(wait_until($name, sub { ($times = times_in_memory($text)) == 0 }), $name)
	  or diag("it is there $times times");
}

# What is looked for must not be in a query, which core keeps.
sub disguised { return "reverse('" . reverse($_[0]) . "')" }

# Replaces what core shows of the last query, and all that it has room for.
sub overwrite
{
	my ($client) = @_;
	$client->query("SELECT '" . 'x' x 2000 . "'");
}

my $value = 'value-of-a-setting';
my $startup = 'value-from-the-beginning';
my $name = 'name-of-an-application';
$client = client(application_name => $name, 'my.startup' => $startup);
$client->query("SELECT set_config('my.setting', " . disguised($value) . ', false)');
$client->query("SELECT set_config('work_mem', '77777', false)");
$from->query('SELECT 1');
cmp_ok(times_in_memory($value), '>', 0, 'a setting travels through shared memory');
cmp_ok(times_in_memory($name), '>', 0, 'as does the name of the application');
$client->query("SELECT set_config('my.setting', " . disguised("another-$value") . ', false)');
$from->query('SELECT 1');
is(times_in_memory("another-$value"), times_in_memory($value), 'the old value has been replaced');
$client->quit;
$from->query('SELECT 1');
leaves_memory($value, 'its value has left with the client');
leaves_memory($name, 'its name, too');
is(times_in_memory($startup), 0, 'what it came with was never there');

my $secret = 'secret in a query';
$client = client();
$client->query("BEGIN; SELECT '$secret'");
overwrite($client);
is(times_in_memory($secret), 1, 'a first query is in shared memory');
$client->query('COMMIT');
leaves_memory($secret, 'as long as the block is open');

$client->query("BEGIN; SELECT '$secret'");
overwrite($client);
$client->close;
leaves_memory($secret, 'or until the client breaks off');

$node->stop;
done_testing();
