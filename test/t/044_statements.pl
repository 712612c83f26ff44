# Prepared statements travel with the client: those with a name, by protocol
# and by SQL, and the unnamed one.  What a client does is done on a direct
# connection, too, and the answers have to be the same.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use PoolerTest qw(pooler_port start_node);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WireClient qw(m_bind m_close m_execute m_flush m_parse m_query m_sync message);

use constant { INT4 => 23, INT8 => 20, TEXT => 25, DATE => 1082 };

my $node = start_node('statements', conf => q{
max_connections = 30
pooler.default_pool_size = 2
pooler.prepared_statements_memory = '1MB'
});
my $admin = WireClient->new($node, port => $node->port);
$admin->query($_) for (
	'CREATE ROLE one SUPERUSER LOGIN',
	'CREATE ROLE two SUPERUSER LOGIN',
	'CREATE ROLE other',
	"ALTER ROLE one SET pooler.pool_mode = 'transaction'",
	'CREATE TABLE public.t (a int, b text)',
	q{INSERT INTO t VALUES (1, 'public')},
	'CREATE SCHEMA other',
	'GRANT USAGE ON SCHEMA other TO other',
	'GRANT SELECT ON t TO other',
	'CREATE TABLE other.t (a int, b text)',
	q{INSERT INTO other.t VALUES (1, 'other')},
	'CREATE TABLE secrets (who name, what text)',
	q{INSERT INTO secrets VALUES ('other', 'its'), ('two', 'mine')},
	'ALTER TABLE secrets ENABLE ROW LEVEL SECURITY',
	'CREATE POLICY own ON secrets USING (who = current_user)',
	'GRANT SELECT ON secrets TO other',
	q{CREATE FUNCTION runs(command text) RETURNS text LANGUAGE plpgsql AS
	  'DECLARE result text; BEGIN EXECUTE command INTO result; RETURN result; END'});

#----------------------------------------------------------------------------
# the same on a direct connection and in a pool
#----------------------------------------------------------------------------

sub m_describe { return message('D', "S$_[0]\0") }
sub run { return m_bind(@_) . m_execute() }

# A row description, but for the OIDs of tables.
sub columns
{
	my ($body) = @_;
	my ($n, @fields) = unpack('n (Z* N n N n N n)*', $body);
	my @columns;

	while (my ($name, $table, $number, $type, $len, $typmod, $format) = splice(@fields, 0, 7))
	{
		push @columns, "$name:$number:$type:$len:$typmod:$format";
	}
	return "$n columns @columns";
}

# All that comes back, up to the last ReadyForQuery, with row descriptions.
sub answers
{
	my ($client, $bytes) = @_;
	my @answers;

	$client->put($bytes);
	while (my ($type, $body) = $client->read_message)
	{
		my $text = $type eq 'T' ? columns($body)
		  : $type eq 't' ? 'parameters ' . join(' ', unpack('x2 N*', $body))
		  : WireClient::text_of($type, $body);
		push @answers, $text;
		last if $type eq 'Z';
	}
	return join(', ', @answers);
}

# Occupies backends, so that another client of the pool moves from one to the
# other.
{
	package Occupiers;

	sub new
	{
		my ($class, $node, $role) = @_;
		my $self = bless {
			waiting => WireClient->new($node, role => $role),
			holding => WireClient->new($node, role => $role)
		}, $class;
		$self->{holding}->query('BEGIN');
		return $self;
	}

	sub swap
	{
		my ($self) = @_;
		$self->{waiting}->query('BEGIN');
		$self->{holding}->query('COMMIT');
		@$self{qw(waiting holding)} = @$self{qw(holding waiting)};
	}
}

# Leaves what it can in a backend, and takes nothing away that is not its own.
sub disturb
{
	my ($client) = @_;
	$client->put(m_parse(q{SELECT 'stranger', $1::text}, 's')
		  . m_parse(q{SELECT 'stranger'}, 'u')
		  . run('s', ['x']) . m_parse(q{SELECT 'stranger'}) . m_sync());
	return $client->reply;
}

my $thief = WireClient->new($node, role => 'one');
my $occupiers = Occupiers->new($node, 'two');

sub in_transaction
{
	my ($answers) = @_;
	return $answers && @$answers && $answers->[-1] !~ /I$/;
}

# Steps are bytes, or code that does something on the side.  In the pool of
# "one", all but one backend are kept, and another client uses it between any
# two steps; in that of "two" each step gets another backend.
sub same
{
	my ($name, @steps) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	my %between = (
		direct => sub { },
		one => sub { disturb($thief) },
		two => sub { $occupiers->swap });
	my %got;
	for my $where (qw(direct one two))
	{
		my $client = WireClient->new($node, role => $where eq 'one' ? 'one' : 'two',
			$where eq 'direct' ? (port => $node->port) : ());
		for my $step (@steps)
		{
			if (ref $step)
			{
				$step->($client);
				next;
			}
			$between{$where}->() unless in_transaction($got{$where});
			push @{ $got{$where} }, answers($client, $step);
		}
		$client->quit;
	}
	is_deeply($got{one}, $got{direct}, "$name: with others in between");
	is_deeply($got{two}, $got{direct}, "$name: from backend to backend");
	return @{ $got{direct} };
}

sub sql { return map { m_query($_) } @_ }

# An answer must be the one that the test is about, or it proves nothing.
sub same_like
{
	my ($name, $regexp, @steps) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	my @answers = same($name, @steps);
	like(join(' / ', @answers), $regexp, "$name: as meant");
}

# One backend for the pool of "one".
my $keeper = WireClient->new($node, role => 'one');
$keeper->query('BEGIN');

my $list = m_query(q{SELECT name, statement, parameter_types, from_sql,
	prepare_time > now() - interval '1 hour' FROM pg_prepared_statements ORDER BY name});

same_like('bound again and again', qr{7, .* / bound, 8},
	m_parse('SELECT $1::int + 1', 's') . m_sync(),
	(map { run('s', [$_]) . m_sync() } 6 .. 7), $list);
same_like('described', qr/parameters 23, 2 columns x:0:23/,
	m_parse('SELECT $1::int AS x, b FROM t', 's') . m_sync(),
	m_describe('s') . m_sync(), m_describe('s') . run('s', [1]) . m_sync());
same_like('types declared', qr/parameters 20 1082/,
	m_parse('SELECT $1, $2', 's', INT8, DATE) . m_describe('s') . m_sync(),
	run('s', [ 5, '2000-01-02' ]) . m_sync(), $list);
same_like('types of which some are declared', qr/bigint,integer/,
	m_parse('SELECT $1 + $2::int', 's', INT8) . m_sync(),
	m_describe('s') . run('s', [ 5, 6 ]) . m_sync(), $list);
same_like('prepared by SQL', qr/10\|x/,
	sql('PREPARE s (int, text) AS SELECT $1 * 2, $2'), $list,
	sql("EXECUTE s (5, 'x')"), m_describe('s') . run('s', [ 5, 'x' ]) . m_sync(),
	sql('DEALLOCATE s', 'EXECUTE s (1)'));
same_like('several in one query', qr{2.* / .*3},
	sql('PREPARE s AS SELECT 1; PREPARE u AS SELECT 2; SELECT 0; PREPARE v AS SELECT $1::int + 2'),
	$list, sql('EXECUTE u', 'EXECUTE v (1)'), run('s') . m_sync());
same_like('the same text under two names', qr{26000},
	m_parse('SELECT 1 AS x', 'a') . m_parse('SELECT 1 AS x', 'b') . m_sync(),
	run('a') . run('b') . m_sync(), m_close('S', 'a') . run('b') . m_sync(),
	run('b') . m_sync(), $list, run('a') . m_sync(),
	m_parse('SELECT 1 AS x', 'a') . m_sync(), run('a') . run('b') . m_sync(),
	sql('DEALLOCATE b'), run('a') . m_sync(), $list);
same_like('the same text by protocol and by SQL', qr{PREPARE a},
	m_parse('SELECT 1 AS x', 's') . m_sync(), sql('PREPARE a AS SELECT 1 AS x'),
	sql('EXECUTE a', 'EXECUTE s'), $list);
same_like('closed', qr{closed.*26000},
	m_parse('SELECT 1', 's') . m_sync(), m_close('S', 's') . m_sync(),
	run('s') . m_sync(), $list, m_close('S', 'nowhere') . m_sync());
same_like('closed and made again', qr{parsed, closed, parsed, bound, 2},
	m_parse('SELECT 1', 's') . m_close('S', 's') . m_parse('SELECT 2', 's')
	  . run('s') . m_sync(),
	run('s') . m_sync(), m_close('S', 's') . m_parse('SELECT 3', 's') . m_sync(),
	run('s') . m_sync());
same_like('deallocated', qr{26000},
	m_parse('SELECT 1', 's') . m_parse('SELECT 2', 'u') . m_sync(),
	sql('DEALLOCATE s', 'EXECUTE u', 'EXECUTE s', 'DEALLOCATE s'),
	m_parse('SELECT 3', 's') . m_sync(), run('s') . m_sync());
for my $all ('DEALLOCATE ALL', 'DISCARD ALL', 'DISCARD PLANS')
{
	same($all, m_parse('SELECT 1', 's') . m_sync(), sql('PREPARE u AS SELECT 2', $all),
		$list, run('s') . m_sync(), sql('EXECUTE u'),
		m_parse('SELECT 3', 's') . m_sync(), run('s') . m_sync());
	same("$all that fails", m_parse('SELECT 1', 's') . m_sync(),
		sql("BEGIN; $all"), sql('ROLLBACK'), $list, run('s') . m_sync());
	same("$all by protocol", m_parse('SELECT 1', 's') . m_parse($all, 'd') . m_sync(),
		run('d') . m_sync(), $list, run('s') . m_sync(), run('d') . m_sync());
}
same_like('DEALLOCATE in a function', qr{26000},
	m_parse('SELECT 1', 's') . m_sync(), sql(q{SELECT runs('DEALLOCATE s')}),
	run('s') . m_sync());
same_like('PREPARE and EXECUTE in a function', qr{42, SELECT 1},
	sql(q{SELECT runs('PREPARE s AS SELECT 42')}), sql(q{SELECT runs('EXECUTE s')}),
	run('s') . m_sync(), $list);
same_like('a live name is parsed again', qr{42P05},
	m_parse('SELECT 1', 's') . m_sync(), m_parse('SELECT 2', 's') . m_sync(),
	run('s') . m_sync(), sql('PREPARE s AS SELECT 3'), run('s') . m_sync());
same_like('Parse fails', qr{42703.*26000},
	m_parse('SELECT nothing', 's') . m_sync(), run('s') . m_sync(),
	m_parse('SELEC', 's') . m_sync(), m_parse('SELECT 1; SELECT 2', 's') . m_sync(),
	m_parse('SELECT 1', 's') . m_sync(), run('s') . m_sync());
same_like('a transaction that rolls back', qr{ROLLBACK.* 1, SELECT 1},
	m_query('BEGIN'), m_parse('SELECT 1', 's') . m_sync(),
	m_query('PREPARE u AS SELECT 2'), m_query('ROLLBACK'), $list,
	run('s') . m_sync(), sql('EXECUTE u'));
same_like('a pipeline that fails', qr{22012},
	m_parse('SELECT 1', 's') . m_parse('SELECT 1/0', 'd') . run('d')
	  . m_parse('SELECT 2', 'never') . m_sync(),
	$list, run('s') . m_sync());
same_like('a table that a transaction has taken back', qr{42P01},
	m_query('BEGIN'), m_query('CREATE TABLE brief (a int)'),
	m_parse('SELECT * FROM brief', 's') . m_sync(), m_query('ROLLBACK'),
	run('s') . m_sync(), m_describe('s') . m_sync(), $list);

# DDL between Parse and Bind
for my $case (
	[ 'column added, all selected', 'SELECT * FROM d', 'ALTER TABLE d ADD c int' ],
	[ 'column added, some selected', 'SELECT a FROM d', 'ALTER TABLE d ADD c int' ],
	[ 'column dropped', 'SELECT b FROM d', 'ALTER TABLE d DROP b' ],
	[ 'column renamed', 'SELECT * FROM d', 'ALTER TABLE d RENAME b TO z' ],
	[ 'type changed', 'SELECT a FROM d', 'ALTER TABLE d ALTER a TYPE bigint' ],
	[ 'type changed, not in the result', 'SELECT b FROM d WHERE a = 1', 'ALTER TABLE d ALTER a TYPE bigint' ],
	[ 'table dropped', 'SELECT * FROM d', 'DROP TABLE d' ],
	[ 'table made again', 'SELECT * FROM d', 'DROP TABLE d; CREATE TABLE d (a int, b text)' ],
	[ 'DELETE RETURNING', 'DELETE FROM d RETURNING *', 'ALTER TABLE d ADD c int' ],
	[ 'INSERT', q{INSERT INTO d VALUES (1, 'x')}, 'ALTER TABLE d DROP b' ],
	[ 'EXPLAIN', 'EXPLAIN (COSTS off) SELECT a FROM d', 'ALTER TABLE d ADD c int' ])
{
	my ($name, $statement, $ddl) = @$case;
	my @prepare = (
		sub { $admin->query('DROP TABLE IF EXISTS d; CREATE TABLE d (a int, b text)') },
		m_parse($statement, 's') . m_sync());
	my @afterwards = (
		sub { $admin->query($ddl) },
		m_describe('s') . m_sync(), run('s') . m_sync(), run('s') . m_sync(),
		m_parse($statement, 'u') . m_sync(), m_describe('u') . run('u') . m_sync(), $list);
	same($name, @prepare, @afterwards);
	same("$name, after it was run", @prepare, run('s') . m_sync(), @afterwards);
}
same_like('result type', qr{0A000: cached plan must not change result type},
	sub { $admin->query('DROP TABLE IF EXISTS d; CREATE TABLE d (a int, b text)') },
	m_parse('SELECT * FROM d', 's') . m_sync(),
	sub { $admin->query('ALTER TABLE d ADD c int') }, run('s') . m_sync(),
	sub { $admin->query('ALTER TABLE d DROP c') }, run('s') . m_sync());

# Statements of all kinds
for my $statement (
	'', 'BEGIN', 'COMMIT', 'ROLLBACK', 'SHOW work_mem', "SET work_mem = '5MB'", 'RESET work_mem',
	'DECLARE c CURSOR FOR SELECT 1', 'EXPLAIN (COSTS off) SELECT 1', 'VALUES (1), (2)',
	'CREATE TEMP TABLE brief ON COMMIT DROP AS SELECT 1', 'LOCK TABLE t', 'NOTIFY x',
	'INSERT INTO t SELECT 2 WHERE false', 'UPDATE t SET a = a', 'TABLE t', 'VACUUM t',
	'WITH x AS (SELECT 1) SELECT * FROM x', 'SELECT ROW(1, 2), t FROM t', 'DISCARD SEQUENCES',
	'CALL nothing()', 'PREPARE inner_one AS SELECT 1', 'EXECUTE nowhere', 'FETCH nowhere',
	'DEALLOCATE ALL', 'CHECKPOINT', 'DO $$BEGIN END$$', 'COPY (SELECT 1) TO STDOUT',
	'SELECT 1 WHERE false', 'SELECT FROM t', 'MERGE INTO t USING (SELECT 9) x (a) ON t.a = x.a WHEN MATCHED THEN DELETE')
{
	same("statement: $statement",
		m_parse($statement, 's') . m_describe('s') . m_sync(),
		$list, m_describe('s') . m_sync(), run('s') . m_sync(), run('s') . m_sync(),
		m_query('ROLLBACK'), $list);
	same("unnamed statement: $statement",
		m_parse($statement) . m_describe('') . m_sync(), m_describe('') . m_sync(),
		run() . m_sync(), run() . m_sync(), m_query('ROLLBACK'), run() . m_sync());
}
same_like('in a transaction that has failed', qr{25P02.*ROLLBACK},
	m_parse('ROLLBACK', 'r') . m_parse('SELECT 1', 's') . m_sync(),
	m_query('BEGIN; SELECT 1/0'), run('s') . m_sync(), run('r') . m_sync());
same_like('too few parameters', qr{08P01},
	m_parse('SELECT $1::int', 's') . m_sync(), run('s') . m_sync(), run('s', [1]) . m_sync());
same_like('a long text', qr/\|t, SELECT 1/,
	m_parse('SELECT length($1), length($$' . 'x' x 100_000 . '$$) = 100000', 's', TEXT) . m_sync(),
	run('s', [ 'y' x 50_000 ]) . m_sync(), run('s', [ 'y' x 50_000 ]) . m_sync());
same_like('many names', qr/60, SELECT 1/,
	join('', map { m_parse("SELECT $_ + \$1", "n$_", INT4) } 1 .. 60) . m_sync(),
	m_query('SELECT count(*) FROM pg_prepared_statements'),
	(map { run("n$_", [1]) . m_sync() } 1, 30, 60),
	join('', map { m_close('S', "n$_") } 1 .. 59) . m_sync(), $list);
same_like('a name of the greatest length', qr{x{63}},
	m_parse('SELECT 1', 'x' x 63) . m_parse('SELECT 2', 'x' x 62) . m_sync(),
	$list, run('x' x 63) . m_sync(), run('x' x 62) . m_sync());

#----------------------------------------------------------------------------
# the unnamed statement
#----------------------------------------------------------------------------

same_like('unnamed in two steps', qr{7, SELECT 1},
	m_parse('SELECT $1::int + 1') . m_describe('') . m_sync(), run('', [6]) . m_sync());
same_like('unnamed, used again', qr{7, .*8, },
	m_parse('SELECT $1::int + 1') . m_sync(), (map { run('', [$_]) . m_sync() } 6 .. 8),
	m_describe('') . m_sync());
same_like('unnamed, dropped by a query', qr{26000},
	m_parse('SELECT 1') . m_sync(), m_query('SELECT 2'), run() . m_sync());
same_like('unnamed, closed', qr{26000},
	m_parse('SELECT 1') . m_sync(), m_close('S', '') . m_sync(), run() . m_sync());
same_like('unnamed, not closed by closing others', qr{1, SELECT 1},
	m_parse('SELECT 1') . m_sync(), m_close('S', 'x') . m_close('P', '') . m_sync(),
	m_parse('SELECT 2', 'x') . m_sync(), m_sync(), run() . m_sync());
same_like('unnamed, dropped by a Parse that fails', qr{42703.*26000},
	m_parse('SELECT 1') . m_sync(), m_parse('SELECT nothing') . m_sync(), run() . m_sync());
same_like('unnamed, replaced', qr{2, SELECT 1},
	m_parse('SELECT 1') . m_sync(), m_parse('SELECT 2') . m_sync(), run() . m_sync());
same_like('unnamed, from a transaction', qr{no transaction in progress},
	m_query('BEGIN'), m_parse('SELECT 1') . m_sync(), run('x') . m_sync(),
	m_parse('ROLLBACK') . m_sync(), run() . m_sync(), run() . m_sync());
same_like('unnamed, result type', qr{0A000},
	sub { $admin->query('DROP TABLE IF EXISTS d; CREATE TABLE d (a int, b text)') },
	m_parse('SELECT * FROM d') . m_sync(),
	sub { $admin->query('ALTER TABLE d ADD c int') }, m_describe('') . m_sync(),
	run() . m_sync());
same_like('none', qr{26000}, run() . m_sync(), m_describe('') . m_sync());
same_like('portal', qr{34000},
	m_parse('SELECT 1') . m_bind() . m_sync(), m_execute() . m_sync(), run() . m_sync());
same('named and unnamed', m_parse('SELECT 1', 's') . m_parse('SELECT 2') . m_sync(),
	run('s') . run() . m_sync(), m_parse('SELECT 3') . m_parse('SELECT 4', 'u') . m_sync(),
	$list, m_parse('SELECT 5') . m_close('S', 's') . m_sync(), run() . m_sync(), run('u') . run() . m_sync());
{
	# a Parse that is not one: core reads it as an error before it drops anything
	my $broken = message('P', "\0SELECT 1\0\0");

	$thief->put(m_parse(q{SELECT 'secret'}) . m_sync());
	$thief->reply;
	my $client = WireClient->new($node, role => 'one');
	$client->put($broken . m_sync());
	like($client->reply, qr/08P01/, 'a broken Parse');
	$client->put(run() . m_sync());
	like($client->reply, qr/26000/, 'does not lead to the statement of another client');
	$client->quit;
}

# By the first analysis it is decided what a text means.
same_like('DateStyle', qr{2000-02-01|01/02/2000},
	sql("SET DateStyle = 'SQL, DMY'"), m_parse(q{SELECT '1/2/2000'::date, $1::date}, 's') . m_sync(),
	run('s', ['1/2/2000']) . m_sync(), sql("SET DateStyle = 'ISO, MDY'"),
	run('s', ['1/2/2000']) . m_sync());
same_like('TimeZone', qr{12:00:00\+0\d},
	sql("SET TimeZone = 'Asia/Tokyo'"),
	m_parse(q{SELECT '2000-01-01 12:00'::timestamptz}, 's') . m_sync(),
	run('s') . m_sync(), sql("SET TimeZone = 'UTC'"), run('s') . m_sync());
same_like('SET LOCAL', qr{2000-02-01},
	m_query('BEGIN'), m_query('SET LOCAL DateStyle = "ISO, DMY"'),
	m_parse(q{SELECT '1/2/2000'::date}, 's') . m_sync(), m_query('COMMIT'),
	run('s') . m_sync(), run('s') . m_sync());
same_like('standard_conforming_strings', qr{\\n|n},
	sql('SET standard_conforming_strings = off; SET escape_string_warning = off'),
	m_parse(q{SELECT length('a\\nb'), '\\''}, 's') . m_sync(), run('s') . m_sync(),
	sql('SET standard_conforming_strings = on'), run('s') . m_sync(),
	sql('RESET standard_conforming_strings'), run('s') . m_sync());
same_like('transform_null_equals', qr{t,},
	sql('SET transform_null_equals = on'), m_parse('SELECT (NULL = NULL) IS TRUE', 's') . m_sync(),
	run('s') . m_sync(), sql('SET transform_null_equals = off'), run('s') . m_sync());
same_like('search_path', qr{public.*other},
	m_parse('SELECT b FROM t', 's') . m_sync(), run('s') . m_sync(),
	sql('SET search_path = other'), run('s') . m_sync(),
	m_parse('SELECT b FROM t', 'u') . m_sync(), run('u') . m_sync(),
	sql('RESET search_path'), run('u') . m_sync(), run('s') . m_sync());
same_like('row level security', qr{its},
	sql('SET ROLE other'), m_parse('SELECT what FROM secrets', 's') . m_sync(),
	run('s') . m_sync(), sql('RESET ROLE', 'SELECT count(*) > 1 FROM secrets'),
	sql('SET ROLE other'), run('s') . m_sync());
same_like('a role without the right', qr{42501},
	m_parse('SELECT * FROM other.t', 's') . m_sync(), run('s') . m_sync(),
	sql('SET ROLE other'), run('s') . m_sync(), sql('RESET ROLE'), run('s') . m_sync());

same_like('unnamed, DateStyle', qr{2000-02-01},
	sql("SET DateStyle = 'ISO, DMY'"), m_parse(q{SELECT '1/2/2000'::date}) . m_sync(),
	run() . m_sync(), m_parse(q{SET DateStyle = 'ISO, MDY'}) . run() . m_sync(),
	m_parse(q{SELECT '1/2/2000'::date}) . m_sync(), run() . m_sync());

$_->quit for ($keeper, $thief, @$occupiers{qw(holding waiting)});

#----------------------------------------------------------------------------
# isolation
#----------------------------------------------------------------------------

my ($one, $two) = map { WireClient->new($node, role => 'one') } 1 .. 2;
$keeper = WireClient->new($node, role => 'one');
$keeper->query('BEGIN');
my $backend = $one->value('SELECT pg_backend_pid()');

# What one client has prepared, the other neither sees nor can run or drop.
answers($one, m_parse(q{SELECT 'secret'}, 'mine') . m_parse(q{SELECT 'secret'}) . m_sync());
is($two->value('SELECT pg_backend_pid()'), $backend, 'the same backend');
is($two->value('SELECT count(*) FROM pg_prepared_statements'), 0, 'a name of another client is not seen');
for my $use (run('mine'), m_describe('mine'), run(), m_describe(''),
	m_parse('EXECUTE mine', 'x') . run('x'), m_parse('DEALLOCATE mine') . run())
{
	answers($one, run('mine') . m_parse(q{SELECT 'secret'}) . m_sync());
	like(answers($two, $use . m_sync()), qr/ERROR 26000/, 'nor used');
	answers($two, m_close('S', 'x') . m_close('S', 'mine') . m_sync());
	like(answers($one, run('mine') . m_sync()), qr/secret/, 'nor closed');
}
is(answers($two, m_parse(q{SELECT 'other'}, 'mine') . run('mine') . m_sync()),
	'parsed, bound, other, SELECT 1, I', 'the same name for another text');
like(answers($one, run('mine') . m_sync()), qr/secret/, 'the first one has its own');
like(answers($two, run('mine') . m_sync()), qr/other/, 'and the second one');
$two->query('DISCARD ALL');
like(answers($one, run('mine') . m_sync()), qr/secret/, 'DISCARD ALL of another client');

# What a text means is decided once for all backends: here it is different from
# a direct connection, as src/README.md says.
for my $port (pooler_port($node), $node->port)
{
	my $client = WireClient->new($node, role => 'one', port => $port,
		DateStyle => 'ISO, DMY');

	$admin->query('DROP TABLE IF EXISTS d; CREATE TABLE d (a int)');
	answers($client, m_parse(q{SELECT '1/2/2000'::date, count(*) FROM d}, 's') . run('s') . m_sync());
	$client->query("SET DateStyle = 'ISO, MDY'");
	like(answers($client, run('s') . m_sync()), qr/2000-02-01/, 'an old meaning');
	$admin->query('ALTER TABLE d ADD b int');
	like(answers($client, run('s') . m_sync()),
		$port == $node->port ? qr/2000-01-02/ : qr/2000-02-01/, 'after a change of the table');
	$client->quit;
}

# Each client has its own times.
answers($one, m_close('S', 'mine') . m_parse('SELECT 1', 'n') . m_sync());
my $time = q{SELECT prepare_time FROM pg_prepared_statements WHERE name = 'n'};
my $first = $one->value($time);
answers($two, m_parse('SELECT 1', 'n') . m_sync());
my $second = $two->value($time);
isnt($first, $second, 'prepared at different times');
is($one->value($time), $first, 'which the first one is told');
is($two->value($time), $second, 'and the second one');

# A temporary table hides another, whose plan is there.
answers($_, m_parse('SELECT b FROM t', 'hidden') . run('hidden') . m_sync()) for ($one, $two);
$two->query('DEALLOCATE hidden');
$two->query(q{CREATE TEMP TABLE t AS SELECT 1 AS a, text 'temporary' AS b});
answers($two, m_parse('SELECT b FROM t', 'hidden') . m_sync());
like(answers($two, run('hidden') . m_sync()), qr/temporary/, 'a temporary table');
$two->quit;
like(answers($one, run('hidden') . m_sync()), qr/public/, 'is of no interest to others');

# A client that has not done anything for long finds its unnamed statement, and
# keeps no backend meanwhile.
answers($one, m_parse(q{SELECT 'after a while'}) . m_sync());
$two = WireClient->new($node, role => 'one');
is($two->value('SELECT pg_backend_pid()'), $backend, 'the backend is not kept');
$two->query("SELECT $_") for 1 .. 20;
is(answers($one, run() . m_sync()), 'bound, after a while, SELECT 1, I', 'the statement is there');

#----------------------------------------------------------------------------
# plans are shared and kept
#----------------------------------------------------------------------------

# The server counts how often it has planned a statement; clients share that.
my $plans = q{SELECT generic_plans + custom_plans FROM pg_prepared_statements WHERE name = 'p'};
answers($one, m_parse('SELECT count(*) FROM t WHERE a = $1', 'p', INT4) . m_sync());
answers($one, run('p', [1]) . m_sync()) for 1 .. 10;
is($one->value($plans), 10, 'planned, or a generic plan taken');
answers($two, m_parse('SELECT count(*) FROM t WHERE a = $1', 'p', INT4) . m_sync());
is($two->value($plans), 10, 'a client that prepares the same finds the plan');
answers($two, run('p', [1]) . m_sync());
is($one->value($plans), 11, 'it is one for both');
my $contexts = q{SELECT count(*) FROM pg_backend_memory_contexts WHERE name = 'CachedPlanSource'};
my $before = $one->value($contexts);
for (1 .. 20)
{
	my $client = WireClient->new($node, role => 'one');
	answers($client, m_parse('SELECT count(*) FROM t WHERE a = $1', 'p', INT4)
		. run('p', [1]) . m_sync());
	answers($client, run('p', [1]) . m_sync());
	$client->query('DISCARD ALL') if $_ % 2;
	$client->quit;
}
is($one->value($contexts), $before, 'and so it is for those who come and go');
is($one->value($plans), 31, 'a plan outlives DISCARD ALL');

#----------------------------------------------------------------------------
# memory
#----------------------------------------------------------------------------

sub status
{
	return $admin->value("SELECT $_[0] FROM pooler.status");
}

# What a backend has allocated, but for what it knows of each slot of a client.
sub allocated
{
	my ($client) = @_;
	return $client->value(q{SELECT sum(total_bytes) FROM pg_backend_memory_contexts
		WHERE name <> 'TopMemoryContext'});
}

# Sessions with 50 statements each, a few of them closed in some way.
sub short_session
{
	my ($texts, $end) = @_;
	my $client = WireClient->new($node, role => 'one');

	answers($client, join('', map { m_parse($texts->($_), "s$_", INT4) } 1 .. 50) . m_sync());
	answers($client, join('', map { run("s$_", [1]) } 1, 25, 50) . m_sync());
	answers($client, $end) if $end;
	$client->quit;
}

# The same statements all the time: neither the backend nor shared memory grows.
my @ends = (undef, m_query('DISCARD ALL'), m_close('S', 's1') . m_sync(),
	m_query('DEALLOCATE s2'), m_parse('SELECT 1') . m_sync());
my $same = sub { "SELECT $_[0] + \$1" };
short_session($same, $ends[$_ % @ends]) for 1 .. 20;
my $memory = allocated($one);
my $shared = status('prepared_statements, prepared_statements_memory');
short_session($same, $ends[$_ % @ends]) for 1 .. 100;
cmp_ok(abs(allocated($one) - $memory), '<', 64 * 1024, 'a backend with the same statements does not grow');
is(status('prepared_statements, prepared_statements_memory'), $shared, 'nor does shared memory');

# Always others: the limit holds, and the plans kept are bounded.
$node->append_conf('postgresql.conf', "pooler.prepared_statements_memory = '1MB'");
$node->reload;
my $count = 0;
my $others = sub { $count++; "SELECT $count AS other_$count, \$1::int" };
short_session($others, $ends[$_ % @ends]) for 1 .. 60;
my $limit = 1024 * 1024;
cmp_ok(status('prepared_statements_memory'), '<=', $limit, 'the limit holds');
cmp_ok(status('prepared_statements_evicted'), '>', 500, 'since statements are evicted');
cmp_ok($one->value($contexts), '<', 1200, 'and plans are dropped');
$memory = allocated($one);
short_session($others, $ends[$_ % @ends]) for 1 .. 60;
cmp_ok(allocated($one) - $memory, '<', 256 * 1024, 'the backend has grown enough');
cmp_ok(status('prepared_statements_memory'), '<=', $limit, 'and the limit still holds');

# Whoever was there all the time has kept what it has.
is(answers($one, run('p', [1]) . m_sync()), 'bound, 1, SELECT 1, I', 'what a client holds is not evicted');
is(answers($one, run('hidden') . m_sync()), 'bound, public, SELECT 1, I', 'nothing of it');

# A client that holds all of the memory can't be carried: it keeps its backend,
# and works, until it drops them.
my $big = 'x' x 20_000;
my $hog = WireClient->new($node, role => 'one');
answers($hog, join('', map { m_parse("SELECT $_, length('$big')", "b$_") } 1 .. 60) . m_sync());
my $pinned = q{SELECT coalesce(string_agg(pin_reason, ','), 'none') FROM pooler.clients
	WHERE role = 'one'};
ok($admin->until($pinned, 'prepared statements'), 'what does not fit keeps its client where it is');
is(answers($hog, join('', map { run("b$_") } 1, 60) . m_sync()),
	'bound, 1|20000, SELECT 1, bound, 60|20000, SELECT 1, I', 'where its statements are');
$keeper->query('COMMIT');
is(answers($one, run('p', [1]) . m_sync()), 'bound, 1, SELECT 1, I', 'others use another backend');
answers($hog, join('', map { m_close('S', "b$_") } 31 .. 60) . m_sync());
ok($admin->until($pinned, 'none'),
	'with half of them closed it is free');
is(answers($hog, run('b30') . m_sync()), 'bound, 30|20000, SELECT 1, I', 'the others go with it');
$hog->quit;

# Unnamed statements that are too long keep their client, too.
$node->append_conf('postgresql.conf', "pooler.session_memory = '1MB'");
$node->reload;
$two->until('SHOW pooler.session_memory', '1MB');
$two->put(m_parse("SELECT length('" . 'x' x 100_000 . "')") . m_sync());
$two->reply;
ok($admin->until($pinned, 'prepared statements'), 'a very long unnamed statement');
is(answers($two, run() . m_sync()), 'bound, 100000, SELECT 1, I', 'can be run');
$two->query('SELECT 1');
ok($admin->until($pinned, 'none'), 'and does not keep it when it has been dropped');

# At the end nobody holds anything.
$_->quit for ($one, $two, $keeper);
ok($admin->until('SELECT session_memory FROM pooler.status', 0), 'nothing is left of sessions');

$node->stop;
done_testing();
