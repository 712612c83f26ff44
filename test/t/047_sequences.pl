# currval(), lastval() and cached numbers belong to a client, whichever backend
# it runs on.  The same commands are run on direct connections in one database
# and through a pool in another, and give the same answers.
#
# POOLER_SEQUENCES_SEED and POOLER_SEQUENCES_STEPS choose other commands.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use PoolerTest qw(start_node);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WireClient qw(m_bind m_execute m_parse m_query m_sync message);

my $seed = $ENV{POOLER_SEQUENCES_SEED} // 1;
my $nsteps = $ENV{POOLER_SEQUENCES_STEPS} // 1500;

my $node = start_node('sequences', conf => q{
max_connections = 30
pooler.default_pool_size = 1
});
my $admin = WireClient->new($node, port => $node->port);
$admin->query($_) for ('CREATE ROLE app SUPERUSER LOGIN', 'CREATE ROLE plain LOGIN');

my %create = (
	a => 'CREATE SEQUENCE a',
	b => 'CREATE SEQUENCE b',
	c => 'CREATE SEQUENCE c CACHE 20',
	d => 'CREATE SEQUENCE d INCREMENT -3 CACHE 5',
	e => 'CREATE SEQUENCE e MAXVALUE 7 CYCLE CACHE 3');

my %setup;
for my $database (qw(direct pooled))
{
	$admin->query("CREATE DATABASE $database");
	$setup{$database} = WireClient->new($node, port => $node->port, database => $database);
	$setup{$database}->query($_) for (
		map({ $create{$_} } sort keys %create),
		'GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO plain',
		'CREATE TABLE t (n serial, m serial, who text)');
}

# One side of the comparison.
sub connect_to
{
	my ($database, %options) = @_;
	return WireClient->new($node, role => 'app', database => $database,
		$database eq 'direct' ? (port => $node->port) : (), %options);
}

# A pair of clients that do the same.
sub pair
{
	my (%options) = @_;
	return { map { $_ => connect_to($_, %options) } qw(direct pooled) };
}

# Numbers of objects differ between databases.
sub answer
{
	my ($client, $bytes) = @_;

	$client->put($bytes);
	return $client->reply =~ s/\boid \d+/oid N/gir;
}

# Both give the same answer to a query, or to bytes of the protocol.
sub same
{
	my ($pair, $sql, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $bytes = ref $sql ? $$sql : m_query($sql);
	my $direct = answer($pair->{direct}, $bytes);

	return is(answer($pair->{pooled}, $bytes), $direct, ($name // $sql) . " gives $direct");
}

sub quiet
{
	return $admin->until(
		q{SELECT count(*) FROM pooler.clients WHERE state NOT IN ('idle', 'pinned')}, 0);
}

# In turn, so that each command changes hands.
sub in_turn
{
	my ($name, @steps) = @_;

	diag("in_turn: $name") if $ENV{POOLER_TEST_VERBOSE};
	same($_->[0], $_->[1], "$name: $_->[1]") for @steps;
}

#----------------------------------------------------------------------------
# what each function does, with others in between
#----------------------------------------------------------------------------

my ($x, $y, $z) = map { pair() } 1 .. 3;

in_turn('nothing yet', map { my $sql = $_; map { [ $_, $sql ] } $x, $y }
	(q{SELECT lastval()}, q{SELECT currval('a')}, q{SELECT currval('b')}));
in_turn('one sequence',
	[ $x, q{SELECT nextval('a')} ], [ $y, 'SELECT lastval()' ],
	[ $y, q{SELECT currval('a')} ], [ $x, 'SELECT lastval()' ],
	[ $y, q{SELECT nextval('a')} ], [ $x, q{SELECT lastval(), currval('a')} ],
	[ $z, q{SELECT currval('a')} ], [ $y, q{SELECT lastval(), currval('a')} ],
	[ $z, q{SELECT lastval()} ]);
in_turn('two sequences',
	[ $x, q{SELECT nextval('b')} ], [ $y, q{SELECT nextval('b'), nextval('a')} ],
	[ $x, q{SELECT lastval(), currval('a'), currval('b')} ],
	[ $y, q{SELECT lastval(), currval('a'), currval('b')} ],
	[ $z, q{SELECT lastval()} ], [ $z, q{SELECT currval('b')} ],
	[ $x, q{SELECT nextval('a')} ], [ $y, 'SELECT 1' ], [ $x, 'SELECT lastval()' ],
	[ $y, 'SELECT lastval()' ]);
in_turn('cached numbers', map({ [ $_, q{SELECT nextval('c')} ] } ($x, $y, $z) x 25),
	map { [ $_, q{SELECT lastval(), currval('c')} ] } $x, $y, $z);
in_turn('cached numbers downwards, and in a cycle',
	map({ my $who = $_; map { [ $who, "SELECT nextval('$_')" ] } 'd', 'e' } ($x, $y, $z) x 8),
	map { [ $_, q{SELECT lastval(), currval('d'), currval('e')} ] } $x, $y, $z);
in_turn('setval() alone',
	map { [ $_->[0], $_->[1] ] } (
		[ $z, 'DISCARD SEQUENCES' ], [ $x, 'SELECT lastval()' ],
		[ $z, q{SELECT setval('b', 100)} ], [ $x, 'SELECT lastval()' ],
		[ $z, q{SELECT currval('b')} ], [ $x, 'SELECT lastval()' ],
		[ $z, q{SELECT lastval()} ], [ $x, q{SELECT nextval('b')} ],
		[ $z, q{SELECT currval('b')} ], [ $x, q{SELECT nextval('b')} ],
		[ $z, q{SELECT setval('a', 50, false)} ], [ $x, q{SELECT nextval('a')} ],
		[ $z, q{SELECT currval('a')} ], [ $x, 'SELECT lastval()' ]));
in_turn('setval() throws cached numbers away',
	[ $x, q{SELECT nextval('c')} ], [ $y, 'SELECT 1' ], [ $x, q{SELECT setval('c', 1000)} ],
	[ $y, q{SELECT nextval('c')} ], [ $x, q{SELECT nextval('c')} ], [ $y, 'SELECT 1' ],
	[ $x, q{SELECT nextval('c'), currval('c'), lastval()} ]);
in_turn('equal values in two sequences',
	[ $x, q{SELECT setval('a', 77), setval('b', 77)} ], [ $y, 'SELECT lastval()' ],
	[ $x, q{SELECT nextval('a'), nextval('b')} ], [ $y, 'SELECT 1' ],
	[ $x, q{SELECT nextval('a')} ], [ $y, 'SELECT 1' ],
	[ $x, q{SELECT lastval(), currval('a'), currval('b')} ], [ $y, 'SELECT 1' ],
	[ $x, q{SELECT nextval('b')} ], [ $y, 'SELECT 1' ], [ $x, 'SELECT lastval()' ]);
in_turn('a sequence that starts anew',
	[ $x, q{SELECT nextval('c')} ], [ $y, q{SELECT nextval('c')} ],
	[ $z, 'ALTER SEQUENCE c RESTART' ], [ $x, q{SELECT lastval(), currval('c')} ],
	[ $y, q{SELECT nextval('c')} ], [ $x, q{SELECT nextval('c')} ],
	[ $z, 'ALTER SEQUENCE c INCREMENT 5' ], [ $y, q{SELECT nextval('c')} ],
	[ $x, q{SELECT nextval('c')} ], [ $y, q{SELECT lastval(), currval('c')} ],
	[ $z, 'ALTER SEQUENCE c RESTART INCREMENT 1' ]);
in_turn('a rollback takes nothing back',
	[ $x, 'BEGIN' ], [ $x, q{SELECT nextval('a')} ], [ $x, 'ROLLBACK' ], [ $y, 'SELECT 1' ],
	[ $x, q{SELECT lastval(), currval('a')} ], [ $y, 'SELECT 1' ],
	[ $x, q{SELECT nextval('b'), 1 / 0} ], [ $y, 'SELECT lastval()' ],
	[ $x, q{SELECT lastval(), currval('b')} ]);
in_turn('serial columns',
	[ $x, q{INSERT INTO t (who) VALUES ('x')} ], [ $y, q{INSERT INTO t (who) VALUES ('y'), ('y')} ],
	[ $x, q{SELECT lastval(), currval('t_n_seq'), currval('t_m_seq')} ],
	[ $y, q{SELECT lastval(), currval('t_n_seq'), currval('t_m_seq')} ],
	[ $z, q{SELECT currval('t_n_seq')} ], [ $x, 'TRUNCATE t RESTART IDENTITY' ],
	[ $y, q{INSERT INTO t (who) VALUES ('y') RETURNING n, m} ],
	[ $x, q{SELECT lastval(), currval('t_n_seq'), currval('t_m_seq')} ],
	[ $y, q{SELECT lastval()} ]);
in_turn('a sequence that is dropped',
	[ $x, q{SELECT nextval('a'), nextval('b')} ], [ $y, q{SELECT nextval('a')} ],
	[ $z, 'DROP SEQUENCE b' ], [ $x, 'SELECT lastval()' ], [ $y, 'SELECT lastval()' ],
	[ $x, q{SELECT currval('a')} ], [ $z, 'SELECT lastval()' ],
	[ $z, $create{b} ], [ $x, q{SELECT currval('b')} ], [ $y, 'SELECT lastval()' ],
	[ $x, 'SELECT lastval()' ], [ $z, q{SELECT nextval('b')} ],
	[ $x, q{SELECT nextval('b')} ], [ $x, 'SELECT lastval()' ]);
in_turn('a sequence that is dropped in the transaction that used it',
	[ $x, 'DISCARD SEQUENCES' ], [ $y, 'SELECT 1' ],
	[ $x, q{CREATE SEQUENCE v; SELECT nextval('v'); DROP SEQUENCE v} ],
	[ $y, q{SELECT setval('b', 4711)} ], [ $z, 'DISCARD SEQUENCES' ],
	[ $z, 'SELECT lastval()' ], [ $x, 'SELECT lastval()' ],
	[ $y, 'SELECT lastval()' ], [ $z, 'SELECT lastval()' ]);
in_turn('the only sequence of a session is dropped',
	[ $x, 'DISCARD ALL' ], [ $x, 'CREATE SEQUENCE v' ], [ $x, q{SELECT nextval('v')} ],
	[ $y, 'SELECT lastval()' ], [ $x, 'SELECT lastval()' ], [ $y, 'DROP SEQUENCE v' ],
	[ $x, 'SELECT lastval()' ], [ $y, 'SELECT lastval()' ], [ $z, 'SELECT lastval()' ],
	[ $x, q{SELECT nextval('a')} ], [ $y, 'SELECT lastval()' ], [ $x, 'SELECT lastval()' ]);
for my $discard ('DISCARD SEQUENCES', 'DISCARD ALL')
{
	in_turn($discard,
		[ $x, q{SELECT nextval('a'), nextval('b')} ], [ $y, q{SELECT nextval('a')} ],
		[ $x, $discard ], [ $y, q{SELECT lastval(), currval('a')} ],
		[ $x, q{SELECT currval('a')} ], [ $y, 'SELECT 1' ], [ $x, 'SELECT lastval()' ],
		[ $y, 'SELECT lastval()' ], [ $x, q{SELECT nextval('b')} ],
		[ $y, q{SELECT lastval()} ], [ $x, 'SELECT lastval()' ]);
}
in_turn('DISCARD in a transaction, and more behind it',
	[ $x, 'BEGIN' ], [ $x, q{SELECT nextval('a')} ], [ $x, 'DISCARD SEQUENCES' ],
	[ $x, q{SELECT nextval('b')} ], [ $x, 'ROLLBACK' ], [ $y, 'SELECT lastval()' ],
	[ $x, 'SELECT lastval()' ], [ $y, 'SELECT 1' ], [ $x, q{SELECT currval('a')} ]);
in_turn('in functions and by the extended protocol',
	[ $x, q{DO $$BEGIN PERFORM nextval('a'); PERFORM nextval('d'); END$$} ], [ $y, 'SELECT lastval()' ],
	[ $x, q{SELECT lastval(), currval('d')} ],
	[ $y, \(m_parse(q{SELECT nextval('b'), lastval()}) . m_bind() . m_execute() . m_sync()) ],
	[ $x, 'SELECT lastval()' ],
	[ $y, \(m_parse(q{SELECT lastval()}) . m_bind() . m_execute() . m_sync()) ]);

# A client that starts afresh has nothing of those who were here before, however
# they left.
for my $how (qw(quit close reset))
{
	for my $pin ('SELECT 1', 'LISTEN q')
	{
		my $gone = pair();
		in_turn("$how after $pin", [ $gone, q{SELECT nextval('a')} ], [ $y, 'SELECT 1' ],
			[ $gone, $pin ], [ $gone, q{SELECT nextval('b'), nextval('d')} ]);
		$_->$how for values %$gone;
		my $new = pair();
		in_turn("a client after $how after $pin", [ $new, q{SELECT lastval()} ],
			[ $new, q{SELECT currval('a')} ], [ $new, q{SELECT currval('b')} ],
			[ $new, q{SELECT setval('b', 12)} ], [ $new, 'SELECT lastval()' ],
			[ $y, 'SELECT lastval()' ], [ $new, 'SELECT lastval()' ]);
		$_->quit for values %$new;
	}
}

# What has gone with its client could be seen by who comes next, if core's
# pointer were left to it.
{
	my $gone = pair();
	in_turn('a pinned client', [ $gone, 'LISTEN q' ],
		[ $gone, q{SELECT setval('b', 31337), nextval('b')} ]);
	$_->quit for values %$gone;
	in_turn('nothing of it', map { [ $_, q{SELECT lastval()} ] } $z, pair(), $y, $x, $z);
}

#----------------------------------------------------------------------------
# rights are those of the moment, and of the client
#----------------------------------------------------------------------------

{
	my ($p, $q) = map { pair(role => 'plain') } 1 .. 2;
	my $grant = sub {
		$_->query($_[0]) for values %setup;
	};

	in_turn('rights', [ $p, q{SELECT nextval('a'), nextval('b')} ], [ $q, q{SELECT nextval('a')} ]);
	$grant->('REVOKE ALL ON SEQUENCE b FROM plain');
	in_turn('a right that was taken away', [ $p, 'SELECT lastval()' ], [ $q, 'SELECT lastval()' ],
		[ $p, q{SELECT currval('b')} ], [ $q, 'SELECT 1' ], [ $p, q{SELECT currval('a')} ],
		[ $q, q{SELECT nextval('b')} ], [ $p, 'SELECT lastval()' ], [ $q, 'SELECT lastval()' ]);
	$grant->('GRANT SELECT ON SEQUENCE b TO plain');
	in_turn('a right that is back', [ $p, 'SELECT lastval()' ], [ $q, 'SELECT lastval()' ],
		[ $p, q{SELECT nextval('b')} ], [ $q, q{SELECT currval('a')} ]);
	$grant->('GRANT ALL ON SEQUENCE b TO plain');
	in_turn('read-only transactions', [ $p, 'BEGIN READ ONLY' ], [ $p, q{SELECT lastval()} ],
		[ $p, q{SELECT nextval('b')} ], [ $p, 'ROLLBACK' ], [ $q, 'SELECT lastval()' ],
		[ $p, q{SELECT lastval()} ]);
	$_->quit for values %$p, values %$q;
}

#----------------------------------------------------------------------------
# nobody waits for a lock that its command does not need
#----------------------------------------------------------------------------

$admin->query('ALTER SYSTEM SET pooler.default_pool_size = 2');
$admin->query('SELECT pg_reload_conf()');
$admin->until(q{SELECT min(size) FROM pooler.pools}, 2);
{
	my ($p, $q) = map { connect_to('pooled') } 1 .. 2;

	$setup{pooled}->query('CREATE TABLE w (n serial, m serial)');
	for my $lock ('ALTER SEQUENCE %s RESTART', 'TRUNCATE w RESTART IDENTITY', 'DROP SEQUENCE %s CASCADE')
	{
		for my $names ([ 'w_n_seq' ], [ 'w_n_seq', 'w_m_seq' ])
		{
			my $what = sprintf($lock, join(', ', @$names));

			next if $lock =~ /ALTER/ && @$names > 1;
			# there core insists on a lock (find_sequence() in sequences.c)
			next if $lock !~ /ALTER/ && $admin->value('SHOW debug_assertions') eq 'on';
			$_->query('DISCARD ALL') for $p, $q;
			$p->query("SELECT nextval('w_n_seq')");
			$p->query("SELECT nextval('w_n_seq')" . (@$names > 1 ? ", nextval('w_m_seq')" : ''));
			my $last = $p->value('SELECT lastval()');
			my $lock_holder = $setup{pooled};
			$lock_holder->query('BEGIN');
			$lock_holder->query($what);

			# on each of the two backends, also one that has never seen a sequence
			my @hold = map { connect_to('pooled') } 1 .. 2;
			$_->query('BEGIN') for @hold;
			$admin->query('SELECT pg_terminate_backend(pid) FROM pooler.backends WHERE pid = '
				  . $hold[0]->value('SELECT pg_backend_pid()'));
			$hold[0]->close;
			is($p->query('SELECT 1'), '1, SELECT 1, I', "$what: no wait on a new backend");
			is($q->query('SELECT 1'), '1, SELECT 1, I', 'nor for the next client');
			is($p->query('SELECT 2'), '2, SELECT 1, I', 'nor on the way back');
			$hold[1]->query('COMMIT');
			$_->query('BEGIN') for $q;
			is($p->query('SELECT 3'), '3, SELECT 1, I', 'nor on the other one');
			$q->query('COMMIT');
			$hold[1]->close;
			$lock_holder->query('ROLLBACK');
			is($p->value('SELECT lastval()'), $last, 'lastval() has come with the client');
			is($q->value('SELECT lastval()'),
				'ERROR 55000: lastval is not yet defined in this session', 'and with that one alone');
		}
	}
	$_->quit for $p, $q;
}

#----------------------------------------------------------------------------
# at random
#----------------------------------------------------------------------------

sub random_step
{
	my @names = sort keys %create;
	my $s = $names[ rand @names ];
	my $t = $names[ rand @names ];
	my $n = 1 + int rand 7;
	my @steps = (
		(map { "SELECT nextval('$s')" } 1 .. 4),
		(map { 'SELECT lastval()' } 1 .. 4),
		(map { "SELECT currval('$s')" } 1 .. 3),
		"SELECT nextval('$s'), nextval('$t'), lastval()",
		"SELECT nextval('$s'), nextval('$t'), nextval('$s')",
		"SELECT setval('$s', " . ($s eq 'd' ? -$n : $n) . ')',
		"SELECT setval('$s', " . ($s eq 'd' ? -$n : $n) . ', false)',
		"SELECT nextval('$s') + setval('$t', " . ($t eq 'd' ? -$n : $n) . ')',
		"SELECT nextval('$s'), 1 / 0",
		"BEGIN; SELECT nextval('$s'); ROLLBACK",
		"SELECT nextval('$s'); SELECT nextval('$t'); SELECT 1 / 0",
		'SELECT 1', 'SELECT 1',
		'INSERT INTO t (who) VALUES (1)',
		rand() < 0.3 ? 'DISCARD SEQUENCES' : 'SELECT 2',
		rand() < 0.2 ? 'DISCARD ALL' : 'SELECT 3',
		rand() < 0.3 ? "ALTER SEQUENCE $s RESTART" : 'SELECT 4',
		rand() < 0.3 ? "DROP SEQUENCE $s; $create{$s}" : 'SELECT 5',
		rand() < 0.1 ? "DROP SEQUENCE $s; SELECT lastval(); $create{$s}" : 'SELECT 6',
		rand() < 0.3 ? "LISTEN $s" : "UNLISTEN *",
		rand() < 0.3 ? 'quit' : 'SELECT 8');
	return $steps[ rand @steps ];
}

for my $size (1, 2)
{
	$admin->query("ALTER SYSTEM SET pooler.default_pool_size = $size");
	$admin->query('SELECT pg_reload_conf()');
	$admin->until(q{SELECT min(size) FROM pooler.pools}, $size);

	srand($seed);
	my @pairs = map { pair() } 1 .. 4;
	my $differ = 0;
	my @last;
	my $listeners = 0;
	my %listens;
	for my $step (1 .. $nsteps)
	{
		my $who = int rand @pairs;
		# a pool is not to be blocked by those who listen
		($who) = grep { $listens{$_} } 0 .. $#pairs
		  if (grep { $listens{$_} } 0 .. $#pairs) >= $size;
		my $pair = $pairs[$who];
		my $sql = random_step();

		push @last, "$who: $sql";
		shift @last if @last > 40;
		if ($sql eq 'quit')
		{
			$_->quit for values %$pair;
			$admin->until(q{SELECT count(*) FROM pooler.clients WHERE database = 'pooled'},
				@pairs - 1 + 3) or last;
			$pairs[$who] = pair();
			$listens{$who} = 0;
			next;
		}
		$listens{$who} = 1 if $sql =~ /^LISTEN/;
		$listens{$who} = 0 if $sql =~ /^UNLISTEN|DISCARD ALL/;
		my $bytes = m_query($sql);
		$bytes = m_parse($sql) . m_bind() . m_execute() . m_sync()
		  if $sql !~ /;|DISCARD/ && rand() < 0.3;
		my ($direct, $pooled) = map { answer($pair->{$_}, $bytes) } qw(direct pooled);
		next if $direct eq $pooled;
		$differ++;
		diag(join("\n", "seed $seed, pool of $size, step $step:", @last,
				"direct: $direct", "pooled: $pooled"));
		last;
	}
	is($differ, 0, "$nsteps random commands of four clients on $size backends");
	$_->quit for map { values %$_ } @pairs;
	$admin->until(q{SELECT count(*) FROM pooler.clients WHERE database = 'pooled'}, 3);
}

$_->quit for (map({ values %$_ } $x, $y, $z), values %setup, $admin);
$node->stop;
done_testing();
