# DifferRandom.pm
#
# Random sequences for Differ.pm, from a number: the same number makes the same
# sequence.  The next step is chosen when the one before has been answered on
# direct connections, so that it is known who is inside a transaction, and no
# more clients need a backend at a time than the pool has.
#
# What a step does must have the same result whenever it is repeated: no
# process ids, times or transaction ids are selected, rows have an order, and
# clients change only what is in their own schema, c1 to c4.

package DifferRandom;

use strict;
use warnings;

use Differ ();

#----------------------------------------------------------------------------
# chance
#----------------------------------------------------------------------------

my $state;

# rand() would depend on what else uses it.  The low bits of such a generator
# are not random at all.
sub chance
{
	my ($limit) = @_;

	$state = ($state * 1103515245 + 12345) % 2147483648;
	return int($state / 65536) / 32768 * $limit;
}

sub any { return $_[ int chance(scalar @_) ] }
sub maybe { return chance(1) < $_[0] }

# One of the values, each preceded by its weight.
sub weighted
{
	my (@pairs) = @_;
	my $sum = 0;

	for (my $i = 0; $i < @pairs; $i += 2) { $sum += $pairs[$i] }
	my $at = chance($sum);
	while ($at >= $pairs[0])
	{
		$at -= shift @pairs;
		shift @pairs;
	}
	return $pairs[1];
}

#----------------------------------------------------------------------------
# settings
#----------------------------------------------------------------------------

# Values as they stand in a SET command.  "own" becomes the client's schema.
my %values = (
	'search_path' => [ 'own, public', 'own, public',
		'one, public', 'two, public', '"$user", public', 'nosuch', q{''} ],
	'"TimeZone"' => [ "'Asia/Tokyo'", "'America/New_York'", 'UTC', "'+3'", "'Nowhere/Land'" ],
	'DateStyle' => [ 'ISO', "'SQL, DMY'", 'German', "'Postgres, MDY'", 'YMD', 'potato' ],
	'IntervalStyle' => [ 'iso_8601', 'postgres_verbose', 'sql_standard', 'nosuch' ],
	'application_name' => [ 'alpha', "'beta gamma'", "'\xc3\xa9t\xc3\xa9'", q{''} ],
	'client_encoding' => [ 'LATIN1', 'UTF8', 'SQL_ASCII', "'KLINGON'" ],
	'work_mem' => [ "'5MB'", '100', "'64kB'", '-1', "'potato'" ],
	'extra_float_digits' => [ -3, 0, 1, 3, 99 ],
	'statement_timeout' => [ "'1h'", "'59min'", 0, -5 ],
	'bytea_output' => [ 'escape', 'hex' ],
	'standard_conforming_strings' => [ 'on', 'off' ],
	'default_transaction_isolation' => [ 'serializable', "'repeatable read'", "'read committed'" ],
	'default_transaction_read_only' => [ 'on', 'off', 'off' ],
	'transaction_isolation' => [ 'serializable', "'repeatable read'" ],
	'client_min_messages' => [ 'error', 'notice', 'warning' ],
	'plan_cache_mode' => [ 'force_generic_plan', 'auto', 'force_custom_plan' ],
	'transform_null_equals' => [ 'on', 'off' ],
	'session_replication_role' => [ 'replica', 'origin' ],
	'log_min_duration_statement' => [ "'1h'", -1 ],
	'idle_in_transaction_session_timeout' => [ "'1h'", 0 ],
	'max_connections' => [ 10 ],
	'server_version' => [ "'1'" ],
	'autovacuum' => ['on'],
	'nosuch' => [1],
	'app.one' => [ "'first'", "'second'", q{''}, 7 ],
	'app.two' => [ "'first'", "'\xc3\xa9'" ],
	'app.user_id' => [ 42, "'x y'" ],
	'app.of_role' => [ "'changed'" ],
	'app."odd name"' => [1]);
my @variables = sort keys %values;
my @often = ('search_path', '"TimeZone"', 'DateStyle', 'work_mem', 'app.one', 'app.two',
	'application_name', 'client_encoding');

sub variable { return maybe(0.6) ? any(@often) : any(@variables) }

sub value
{
	my ($client, $variable) = @_;
	return any(@{ $values{$variable} }) =~ s/^own/c$client->{number}/r;
}

sub as_literal { return $_[0] =~ /^'/ ? $_[0] : "'$_[0]'" }
sub as_name { return "'" . $_[0] =~ s/"(TimeZone)"/$1/r . "'" }

my $settings = q{SELECT name, setting, source, reset_val FROM pg_settings WHERE name IN
('search_path', 'TimeZone', 'DateStyle', 'IntervalStyle', 'application_name', 'client_encoding',
'work_mem', 'extra_float_digits', 'statement_timeout', 'bytea_output', 'session_replication_role',
'default_transaction_isolation') OR name LIKE 'app.%' ORDER BY name COLLATE "C"};
my $all_settings = q{SELECT name, setting, source, reset_val FROM pg_settings
WHERE name !~ '^(plpgsql|pooler)\.' ORDER BY name COLLATE "C"};
my $statements = q{SELECT name, statement, parameter_types, from_sql FROM pg_prepared_statements
ORDER BY name COLLATE "C"};
my $formatted = q{SELECT '2020-02-03 04:05:06+00'::timestamptz, '2020-02-03'::date,
'1 year 2 months 3 days 04:05:06'::interval, '\x0102ff'::bytea, 1/3::float8, U&'\00e9'};

sub set_command
{
	my ($client) = @_;
	my $name = variable();
	my $value = value($client, $name);
	my $literal = as_literal($value);

	return weighted(
		10 => "SET $name = $value",
		1 => "SET SESSION $name TO $value",
		4 => "SET LOCAL $name = $value",
		1 => "SET $name TO DEFAULT",
		3 => 'SELECT set_config(' . as_name($name) . ", $literal, " . any('false', 'false', 'true') . ')',
		1 => 'SELECT set_by_config(' . as_name($name) . ", $literal, " . any('false', 'true') . ')',
		1 => "SELECT set_by_command('$name', $literal)",
		1 => "DO \$\$BEGIN SET $name = $value; END\$\$",
		1 => "SELECT try_it(\$\$SET $name = $value\$\$)",
		0.5 => 'INSERT INTO setter VALUES (' . as_name($name) . ", $literal)",
		0.5 => "SELECT set_and_fail('x')",
		0.5 => 'SELECT set_in_clause(' . $literal . ', ' . any('true', 'false') . ')',
		0.5 => "SELECT set_as_owner($literal)",
		0.5 => "BEGIN; SET $name = $value; " . any('COMMIT', 'ROLLBACK'),
		0.5 => "SET $name = $value; SELECT 1/0");
}

sub reset_command
{
	return weighted(
		6 => 'RESET ' . variable(),
		2 => 'RESET ALL',
		3 => 'DISCARD ALL',
		1 => 'DISCARD ' . any('PLANS', 'SEQUENCES', 'TEMP'));
}

sub role_command
{
	my $role = any(qw(diff_user diff_group diff_owner diff_super pg_monitor nosuch));
	return weighted(
		6 => "SET ROLE $role",
		3 => 'RESET ROLE',
		1 => 'SET ROLE NONE',
		2 => "SET SESSION AUTHORIZATION $role",
		2 => 'RESET SESSION AUTHORIZATION',
		1 => "SET LOCAL ROLE $role",
		1 => "SELECT set_config('role', '$role', false)");
}

sub look_command
{
	my $name = variable();
	return weighted(
		4 => $settings,
		0.3 => $all_settings,
		4 => $statements,
		3 => "SHOW $name",
		2 => 'SELECT current_setting(' . as_name($name) . ', true)',
		1 => q{SELECT current_setting('app.never', true) IS NULL, current_setting('app.one', true) IS NULL},
		3 => 'SELECT current_user, session_user',
		3 => $formatted,
		1 => 'SELECT with_clause()',
		1 => q{SELECT '01/02/2020'::date, 'a\\\\b'},
		1 => 'SHOW transaction_isolation',
		1 => 'SELECT name, statement, is_holdable, is_binary FROM pg_cursors ORDER BY name',
		1 => 'SELECT * FROM pg_listening_channels() ORDER BY 1',
		1 => 'SELECT * FROM t ORDER BY 1',
		1 => 'SHOW is_superuser');
}

#----------------------------------------------------------------------------
# statements
#----------------------------------------------------------------------------

my @bool = (16, sub { any('t', 'f') });
my @int = (23, sub { any(1, 2, 3, 10) });
my @text = (25, sub { any('a', 'bc', "\xc3\xa9", '') });

# What can be prepared: [text, [type, value]...].
my @prepared = (
	['SELECT 1 AS one'],
	[ 'SELECT $1::int + 1 AS next', \@int ],
	[ 'SELECT $1 || $2', \@text, \@text ],
	[ 'SELECT $1 AS what', \@text ],
	[ 'SELECT 10 / ($1::int - 2) AS quotient', \@int ],
	['SELECT * FROM things ORDER BY id'],
	[ 'SELECT * FROM things WHERE id = $1', \@int ],
	['SELECT place() AS place'],
	['SELECT * FROM mine ORDER BY 1, 2'],
	['SELECT count(*) FROM secrets'],
	[ 'INSERT INTO mine VALUES ($1, $2) RETURNING *', \@int, \@text ],
	[ 'UPDATE mine SET what = $2 WHERE id = $1', \@int, \@text ],
	[ 'SELECT generate_series(1, $1) AS n', \@int ],
	[ 'VALUES ($1::bool, $2::int)', \@bool, \@int ],
	[q{SELECT '01/02/2020'::date AS d, current_setting('DateStyle') AS s}],
	['SELECT current_user AS u, session_user AS s'],
	[$formatted],
	[ 'SELECT set_config($1, $2, false)', [ 25, sub { 'app.one' } ], \@text ],
	[ 'SELECT run($1)', [ 25, sub { any(q{EXECUTE s1}, 'SELECT 5') } ] ],
	['SELECT 1/0'],
	['TABLE nosuch'],
	['SELEC 1'],
	['SELECT $2::int'],
	['SELECT 1; SELECT 2'],
	['']);
# And by the protocol only.
my @commands = map { [$_] } (
	'SET app.one = 5', q{SET "TimeZone" = 'Asia/Seoul'}, 'SHOW search_path', 'RESET ALL', 'SET ROLE diff_group',
	'BEGIN', 'COMMIT', 'ROLLBACK', 'DISCARD ALL', 'DEALLOCATE s1', 'EXECUTE s1', 'PREPARE s2 AS SELECT 22',
	'DEALLOCATE ALL', q{SELECT notice('x')}, 'SET LOCAL app.two = 6', 'SET search_path = one, public');
my @names = qw(s1 s2 s3);

# A name that the client probably uses, out of these.
sub known_name
{
	my ($client, @names) = @_;
	my @known = grep { $client->{types}{$_} } @names;
	return @known && maybe(0.85) ? any(@known) : any(@names);
}

sub prepare_command
{
	my ($client) = @_;
	my $name = any(@names);
	my $known = known_name($client, @names);
	my ($sql, @types) = @{ any(@prepared) };
	my @values = map { as_literal($_->[1]->()) } @{ $client->{types}{$known} // [] };
	my $execute = "EXECUTE $known" . (@values ? ' (' . join(', ', @values) . ')' : '');
	my $command = weighted(
		4 => "PREPARE $name AS $sql",
		2 => "PREPARE $name ("
		  . join(', ', map { { 16 => 'bool', 23 => 'int', 25 => 'text' }->{ $_->[0] } } @types)
		  . ") AS $sql",
		8 => $execute,
		2 => "DEALLOCATE $name",
		0.7 => 'DEALLOCATE ALL',
		1 => "SELECT run('EXECUTE $known')",
		0.7 => "SELECT try_it('EXECUTE $known')",
		0.5 => "DO \$\$BEGIN EXECUTE 'PREPARE $name AS SELECT 3'; END\$\$",
		0.3 => "SELECT do_it('DEALLOCATE $name')");

	$command =~ s/ \(\)//;
	$command =~ s/;.*//s if $command =~ /^PREPARE/;
	$client->{types}{$name} //= \@types if $command =~ /^PREPARE/;
	delete $client->{types}{$1} if $command =~ /^DEALLOCATE (s\d)/;
	delete $client->{types} if $command eq 'DEALLOCATE ALL';
	return $command;
}

sub transaction_command
{
	my ($client) = @_;
	my $sp = any('sp1', 'sp2');

	return weighted(
		$client->{status} eq 'I'
		? ( 6 => 'BEGIN',
			1 => 'BEGIN ISOLATION LEVEL ' . any('SERIALIZABLE', 'REPEATABLE READ'),
			1 => 'BEGIN READ ONLY',
			0.5 => any('COMMIT', 'ROLLBACK', "SAVEPOINT $sp"),
			0.5 => 'SET TRANSACTION READ ONLY')
		: ( 3 => 'COMMIT',
			3 => 'ROLLBACK',
			2 => "SAVEPOINT $sp",
			2 => "ROLLBACK TO $sp",
			1 => "RELEASE $sp",
			0.5 => any('COMMIT', 'ROLLBACK') . ' AND CHAIN',
			0.5 => 'BEGIN',
			0.5 => 'SET TRANSACTION ISOLATION LEVEL SERIALIZABLE'));
}

sub data_command
{
	my ($client) = @_;
	my $mine = any('mine', "c$client->{number}.mine");
	my $id = int chance(5);

	return weighted(
		4 => "SELECT * FROM $mine ORDER BY 1, 2",
		3 => "INSERT INTO $mine (id) VALUES ($id)",
		1 => "UPDATE $mine SET what = 'changed' WHERE id = $id",
		1 => "DELETE FROM $mine WHERE id = $id RETURNING id",
		1 => "ALTER TABLE $mine ADD more int",
		1 => "ALTER TABLE $mine DROP more",
		0.5 => "ALTER TABLE $mine ALTER what TYPE text",
		0.5 => "TRUNCATE $mine",
		0.5 => "CREATE INDEX ON $mine (id)",
		2 => 'SELECT *, place() FROM things ORDER BY id',
		1 => 'SELECT * FROM secrets');
}

sub other_command
{
	my ($client) = @_;
	my $key = $client->{number};

	return weighted(
		2 => '',
		1 => ';;',
		2 => 'SELECT 1/0',
		1 => 'SELEC',
		2 => q{SELECT notice('x')},
		1 => q{DROP TABLE IF EXISTS nosuch},
		1 => q{SELECT try_it('SELECT 1/0')},
		1 => "SELECT pg_advisory_xact_lock($key)",
		1 => "SELECT lo_create(70000$key)",
		1 => "SELECT lo_put(70000$key, 0, 'x'), lo_get(70000$key)",
		1 => "SELECT lo_unlink(70000$key)",
		2 => any('DECLARE cur1', 'DECLARE cur2 SCROLL') . ' CURSOR FOR SELECT generate_series(1, 5)',
		2 => 'FETCH ' . any('1', '2', 'ALL', 'BACKWARD 1') . ' FROM ' . any('cur1', 'cur2'),
		1 => 'CLOSE ' . any('cur1', 'cur2', 'ALL'),
		1 => q{NOTIFY nobody},
		1 => 'COPY (SELECT * FROM things ORDER BY id) TO STDOUT',
		0.3 => 'VACUUM things');
}

# State that keeps a backend, and its end.
sub pin_command
{
	my ($client) = @_;
	my $key = $client->{number};

	return weighted(
		3 => 'CREATE TEMP TABLE t AS SELECT ' . $key . ' AS id',
		1 => 'CREATE TEMP TABLE t (id int) ON COMMIT DROP',
		1 => q{SELECT do_it('CREATE TEMP TABLE t (id int)')},
		3 => "SELECT pg_advisory_lock($key)",
		1 => "SELECT pg_advisory_lock_shared($key), pg_try_advisory_lock($key)",
		3 => "LISTEN channel_$key",
		2 => "NOTIFY channel_$key, 'hello'",
		3 => 'DECLARE held CURSOR WITH HOLD FOR SELECT generate_series(1, 5)',
		2 => "SELECT nextval('c$key.numbers')");
}

sub unpin_command
{
	my ($client) = @_;
	my $key = $client->{number};

	return weighted(
		3 => 'DISCARD ALL',
		3 => 'DROP TABLE t',
		1 => 'DISCARD TEMP',
		1 => 'INSERT INTO t VALUES (1)',
		3 => "SELECT pg_advisory_unlock($key)",
		2 => 'SELECT pg_advisory_unlock_all()',
		2 => "UNLISTEN channel_$key",
		1 => 'UNLISTEN *',
		2 => "NOTIFY channel_$key",
		2 => 'FETCH 2 FROM held',
		3 => 'CLOSE held',
		1 => 'SELECT lastval()',
		2 => 'DISCARD SEQUENCES');
}

sub command
{
	my ($client) = @_;

	return weighted(
		14 => \&set_command,
		6 => \&reset_command,
		5 => \&role_command,
		22 => \&look_command,
		14 => \&prepare_command,
		8 => \&transaction_command,
		8 => \&data_command,
		6 => \&other_command,
		1.5 => \&pin_command,
		1 => \&unpin_command)->($client);
}

#----------------------------------------------------------------------------
# messages
#----------------------------------------------------------------------------

# A value in the binary format, or nothing if it has none here.
sub as_binary
{
	my ($type, $value) = @_;
	return $type == 23 ? pack('N', $value) : $type == 16 ? chr($value eq 't') : $value;
}

sub bind_of
{
	my ($client, $portal, $name) = @_;
	my @types = @{ $client->{types}{$name} // [] };
	my @values = map { maybe(0.05) ? undef : $_->[1]->() } @types;
	my ($in, $out) = map { maybe(0.25) } 1 .. 2;

	pop @values if maybe(0.03);
	@values = map { defined $values[$_] ? as_binary($types[$_][0], $values[$_]) : undef } 0 .. $#values
	  if $in;
	return [ B => $portal, $name, \@values, [ $in ? 1 : () ], [ $out ? 1 : () ] ];
}

# Operations that parse, describe, bind, run and close a statement, or some of
# that.
sub flow
{
	my ($client) = @_;
	my $name = maybe(0.45) ? '' : any(@names);
	my $portal = maybe(0.75) ? '' : any('p1', 'p2');
	my @ops;

	if (maybe($name eq '' ? 0.85 : 0.5))
	{
		my ($sql, @types) = @{ maybe(0.8) ? any(@prepared) : any(@commands) };
		push @ops, [ C => 'S', $name ] if $name ne '' && maybe(0.5);
		push @ops, [ P => $name, $sql, maybe(0.3) ? map { $_->[0] } @types : () ];
		delete $client->{types}{$name} if @ops > 1 || $name eq '';
		$client->{types}{$name} //= \@types;
	}
	else
	{
		$name = known_name($client, $name eq '' ? '' : @names);
	}
	push @ops, [ D => 'S', $name ] if maybe(0.4);
	if (maybe(0.9))
	{
		push @ops, bind_of($client, $portal, $name);
		push @ops, [ D => 'P', $portal ] if maybe(0.4);
		push @ops, [ E => $portal, maybe(0.2) ? 1 + int chance(2) : 0 ] if maybe(0.9);
		push @ops, [ E => $portal, int chance(2) ] if maybe(0.1);
		push @ops, [ C => 'P', $portal ] if maybe(0.1);
	}
	push @ops, [ C => 'S', $name ] if maybe(0.1);
	push @ops, [ D => 'S', $name ] if !@ops;
	return @ops;
}

# The same with Syncs at any place, in one step or in several.
sub extended_steps
{
	my ($client) = @_;
	my @steps = ([]);
	my $cut = any(0, 0, 0.3, 0.6);
	my $apart = any(0, 1);

	for my $op (map { flow($client) } 1 .. any(1, 1, 1, 2, 3))
	{
		push @{ $steps[-1] }, $op;
		next if !maybe($cut);
		push @{ $steps[-1] }, ['S'];
		push @steps, [] if $apart;
	}
	pop @steps if !@{ $steps[-1] };
	push @{ $steps[-1] }, ['S'] if $steps[-1][-1][0] ne 'S';
	return @steps;
}

# A batch that waits for an answer before its Sync.
sub flush_steps
{
	my ($client) = @_;
	my @prepared = grep { @$_ == 1 && $_->[0] !~ /;/ } @prepared;
	my $name = any('', @names);
	my $sql = any(@prepared)->[0];

	$client->{types}{$name} = [];
	return (
		[ [ C => 'S', $name ], [ P => $name, $sql ], [ D => 'S', $name ], [ H => 'Tn' ] ],
		[ [ B => '', $name, [] ], [ E => '' ], ['S'] ]);
}

sub copy_steps
{
	my ($client) = @_;
	my $copy = "COPY c$client->{number}.mine (id, what) FROM STDIN";
	my @data = map { [ d => any("7\tseven\n", "8\t\\N\n", "8\teight\n9\tnine\n", "x\ty\n") ] } 0 .. chance(3);
	my $end = weighted(5 => ['c'], 1 => [ f => 'no more' ]);

	return [ $copy, @data, $end ] if maybe(0.6);
	delete $client->{types}{''};
	return ([ [ P => '', $copy ], [ B => '', '', [] ], [ E => '' ], @data, $end, ['S'] ],
		[ [ P => '', 'SELECT 1' ], ['S'] ]);
}

sub portal_steps
{
	my ($client) = @_;

	return (
		['BEGIN'],
		[ [ P => '', 'SELECT generate_series(1, 6)' ], [ B => 'p1', '', [] ], [ E => 'p1', 2 ], ['S'] ],
		[ [ E => 'p1', 1 ], ['S'] ],
		(maybe(0.5) ? [ any('SAVEPOINT sp1', 'SELECT 1', $settings) ] : ()),
		[ [ E => 'p1', any(0, 1) ], maybe(0.5) ? [ C => 'P', 'p1' ] : (), ['S'] ],
		[ any('COMMIT', 'ROLLBACK') ]);
}

# Nothing may come between for this client: its table is locked.
sub two_phase_steps
{
	my ($client) = @_;
	my $c = "c$client->{number}";

	return (
		["BEGIN; INSERT INTO $c.mine (id) VALUES (77); " . any('', 'SET app.two = 2; ') . "PREPARE TRANSACTION '$c'"],
		[ any('COMMIT', 'ROLLBACK') . " PREPARED '$c'" ]);
}

sub function_call
{
	return weighted(
		2 => [ F => 177, 40, any(2, undef, 'x') ],
		1 => [ F => 154, 1, any(0, 1) ],
		2 => [ F => 2078, any('app.one', 'TimeZone'), any('UTC', 'GMT'), any('f', 't') ],
		1 => [ F => 2077, any('app.one', 'TimeZone', 'nosuch') ],
		0.3 => [ F => 999999 ]);
}

# The next steps of a client, without its number.
sub new_steps
{
	my ($client) = @_;
	my $idle = $client->{status} eq 'I';

	return (
		[ weighted(3 => 'COMMIT', 3 => 'ROLLBACK', 1 => 'ROLLBACK TO sp1', 1 => command($client)) ])
	  if !$idle && maybe($client->{status} eq 'E' ? 0.5 : 0.25);
	return ([ unpin_command($client) ]) if $client->{held} && maybe(0.5);
	return weighted(
		40 => sub { [ command($client) ] },
		8 => sub { [ join('; ', map { command($client) } 1 .. 2 + chance(2)) ] },
		35 => sub { extended_steps($client) },
		5 => sub { [ map { maybe(0.5) ? command($client) : ((flow($client)), ['S']) } 1 .. 2 + chance(3) ] },
		4 => sub { flush_steps($client) },
		2 => sub { copy_steps($client) },
		$idle ? 2 : 0 => sub { portal_steps($client) },
		$idle && $client->{is_super} ? 0.7 : 0 => sub { two_phase_steps($client) },
		2 => sub { [ function_call() ] },
		0.7 => sub { ([ ['quit'] ], [ [ connect => %{ $client->{startup} } ] ]) })->();
}

#----------------------------------------------------------------------------
# clients
#----------------------------------------------------------------------------

my @startup = (
	[ TimeZone => 'Asia/Tokyo' ], [ TimeZone => 'Europe/Rome' ], [ DateStyle => 'German' ],
	[ DateStyle => 'SQL, DMY' ], [ application_name => 'startup' ], [ client_encoding => 'LATIN1' ],
	[ extra_float_digits => '3' ], [ IntervalStyle => 'iso_8601' ], [ search_path => 'one, public' ],
	[ 'app.one' => 'startup' ], [ work_mem => '3MB' ], [ standard_conforming_strings => 'off' ]);
my @options = (
	'-c search_path=two,public', '-c work_mem=6MB', '--app.two=start', '-c app.one=an\\ option',
	'-c default_transaction_isolation=serializable', '-c statement_timeout=30min', '-S 7000', '-e',
	'-c role=diff_group', '--DateStyle=ISO', '-c bytea_output=escape', '-c app.user_id=9');
my @bad = (
	[ TimeZone => 'Nowhere' ], [ work_mem => 'potato' ], [ nosuch => 1 ], [ options => '-c' ],
	[ options => '-c nosuch.x=1' ], [ options => '-c role=nobody' ], [ max_connections => 5 ]);

sub new_client
{
	my ($role) = @_;
	my %startup = (role => $role);

	return { role => $role } if maybe(0.35);
	for (0 .. chance(3))
	{
		my ($name, $value) = @{ any(@startup) };
		$startup{$name} = $value;
	}
	$startup{options} = join(' ', map { any(@options) } 0 .. chance(2)) if maybe(0.5);
	if (maybe(0.04))
	{
		my ($name, $value) = @{ any(@bad) };
		$startup{$name} = $value;
	}
	return \%startup;
}

#----------------------------------------------------------------------------
# sequences
#----------------------------------------------------------------------------

# Who goes on: somebody for whom there is a backend, rather not the last one.
sub choose
{
	my ($run, $last) = @_;
	my @able = grep { (!$_->{gone} || @{ $_->{plan} // [] }) && Differ::can_run($run, $_) } @{ $run->{clients} };
	my @others = grep { !$last || $_ != $last } @able;

	return undef if !@able;
	return @others && maybe(0.8) ? any(@others) : any(@able);
}

# At the end everybody looks around, first those who hold something.
sub farewell
{
	my (@clients) = @_;
	my @last = sort { Differ::holds($b) <=> Differ::holds($a) || $a->{number} <=> $b->{number} }
	  grep { !$_->{gone} } @clients;

	return map {
		my $number = $_->{number};
		(
			($_->{open} ? [ $number, ['S'] ] : ()),
			($_->{status} ne 'I' ? [ $number, 'ROLLBACK' ] : ()), [ $number, $settings ], [ $number, $statements ],
			[ $number, 'SELECT current_user, session_user' ],
			[ $number, "SELECT * FROM c$number.mine ORDER BY 1, 2" ], [ $number, ['quit'] ])
	} @last;
}

# The sequence of this number, for a pool of this size.
sub sequence
{
	my ($seed, $pool) = @_;
	my $count = 2 + $seed % 3;
	my $last;
	my @end;

	$state = $seed * 2654435761 % 2147483648;
	chance(1) for 1 .. 8;
	my $roles = weighted(6 => ['diff_super'], 3 => ['diff_user'], 2 => [ 'diff_super', 'diff_user' ]);
	my @clients = map { new_client(any(@$roles)) } 1 .. $count;
	my $left = 8 + int chance(18);
	my $next = sub {
		my ($run) = @_;

		if ($left-- > 0)
		{
			my $client = $last = choose($run, $last) // return;
			$client->{is_super} //= $client->{role} eq 'diff_super';
			$client->{plan} = [ new_steps($client) ] if !@{ $client->{plan} // [] };
			my @ops = @{ shift @{ $client->{plan} } };
			@ops = Differ::without_dangling_portal($client, @ops) if !$client->{gone};
			return [ $client->{number}, @ops ];
		}
		@end = (farewell(@{ $run->{clients} }), undef) if !@end;
		return shift @end;
	};
	return { name => "DIFF_SEED=$seed", clients => \@clients, next => $next, pool => $pool,
		provoke => maybe(0.6) };
}

1;
