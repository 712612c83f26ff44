# Settings travel with the client.  Whatever sessions do with settings, they
# see the same through a pool of one backend, which they all share, as on
# connections of their own.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use PoolerTest qw(log_after log_size pooler_port start_node);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WireClient qw(m_bind m_execute m_parse m_query m_sync message);

my $node = start_node('settings', conf => q{
max_connections = 30
pooler.default_pool_size = 1
pooler.max_client_conn = 30
work_mem = 3MB
my.file = 'from the file'
autovacuum = off
jit = off
});
my %ports = (server => $node->port, pooler => pooler_port($node));
my $admin = WireClient->new($node, port => $node->port);

sub admin
{
	my (@commands) = @_;
	for my $sql (@commands)
	{
		my $reply = $admin->query($sql);
		die "$sql: $reply" if $reply =~ /ERROR|FATAL/;
	}
}

admin(
	'CREATE ROLE app LOGIN',
	'CREATE ROLE boss LOGIN SUPERUSER',
	'CREATE ROLE one', 'CREATE ROLE two', 'CREATE ROLE granted LOGIN',
	'GRANT one, two TO app',
	q{ALTER ROLE app SET my.role = 'from the role'},
	q{ALTER ROLE app SET random_page_cost = 1.23456789},
	q{ALTER DATABASE postgres SET statement_timeout = '1h'},
	'GRANT SET ON PARAMETER log_statement_stats, log_parser_stats TO granted',
	'GRANT ALL ON SCHEMA public TO app',
	q{CREATE FUNCTION sets(name text, value text) RETURNS text LANGUAGE plpgsql AS
	  $$BEGIN RETURN set_config(name, value, false); END$$},
	q{CREATE FUNCTION with_clause() RETURNS text LANGUAGE plpgsql
	  SET work_mem = '7MB' SET my.clause = 'x' AS
	  $$BEGIN RETURN current_setting('work_mem'); END$$},
	q{CREATE FUNCTION shows() RETURNS text LANGUAGE sql AS
	  $$SELECT string_agg(s, ', ') FROM (VALUES (current_setting('work_mem')),
		(current_setting('my.variable', true))) v(s)$$});

#----------------------------------------------------------------------------
# the same on a direct connection and through the pooler
#----------------------------------------------------------------------------

# What a client is told of parameters is another matter; and LOAD warns of
# values where it loads something.
sub answer
{
	my ($client, $sql) = @_;
	$client->put(m_query($sql));
	return join(', ', grep { !/^\w+=/ && ($sql !~ /^LOAD/ || !/^WARNING/) } $client->replies);
}

# Runs a script of [client, command] with clients that have these startup
# settings, and returns all answers.
sub play
{
	my ($port, $startups, @script) = @_;
	my @clients = map { WireClient->new($node, port => $ports{$port}, role => 'app', %$_) } @$startups;
	my @answers = map { [ "$_->[0]: $_->[1]", answer($clients[ $_->[0] ], $_->[1]) ] } @script;

	$_->quit for @clients;
	$admin->until(q{SELECT count(*) FROM pooler.clients}, 0);
	return \@answers;
}

sub same
{
	my ($name, $startups, @script) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	is_same(play('pooler', $startups, @script), play('server', $startups, @script), $name);
}

# Compares lists of [command, answer]; shows the first rows that differ.
sub is_same
{
	my ($pooler, $server, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $n = @$server > @$pooler ? @$server : @$pooler;

	for my $i (0 .. $n - 1)
	{
		my ($got, $wanted) = map { $_->[$i][1] // 'nothing' } $pooler, $server;
		next if $got eq $wanted;
		my @got = split /, /, $got;
		my @wanted = split /, /, $wanted;
		my ($row) = grep { ($got[$_] // '') ne ($wanted[$_] // '') } 0 .. 1000;
		fail($name);
		diag("step $i, $server->[$i][0]\n     got: $got[$row]\nexpected: $wanted[$row]");
		return 0;
	}
	return pass($name);
}

# The script with a look by each of n clients after each step.
sub with_looks
{
	my ($n, $look, @script) = @_;
	return map { my $step = $_; ($step, map { [ $_, $look ] } 0 .. $n - 1) } @script;
}

sub alternate
{
	my ($name, $look, @script) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $n = 1 + (sort map { $_->[0] } @script)[-1];

	return same($name, [ ({}) x ($n + 1) ], with_looks($n + 1, $look, @script));
}

my $all = q{SELECT name, setting, source, reset_val, boot_val, sourcefile IS NULL, pending_restart
	FROM pg_settings WHERE name !~ '\\.' ORDER BY name};

alternate('each type of value', q{SELECT current_setting('work_mem'), current_setting('enable_seqscan'),
	current_setting('random_page_cost')::float8, current_setting('search_path'), current_setting('IntervalStyle'),
	(SELECT string_agg(name || '=' || setting || ' ' || source || ' ' || reset_val, ',') FROM pg_settings
	 WHERE source = 'session')},
	[ 0, q{SET work_mem = '123kB'} ],
	[ 1, q{SET work_mem = '5MB'} ],
	[ 0, q{SET enable_seqscan = off} ],
	[ 0, q{SET random_page_cost = 1.234567890123456} ],
	[ 1, q{SET random_page_cost = 1e-7; SET cpu_tuple_cost = 1e10} ],
	[ 0, q{SET search_path = nowhere, "$user", "a ""b"" c"} ],
	[ 1, q{SET search_path = ''} ],
	[ 0, q{SET IntervalStyle = sql_standard} ],
	[ 1, q{SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY} ],
	[ 1, q{SET DateStyle = 'German'} ],
	[ 0, q{SET TIME ZONE INTERVAL '-08:30' HOUR TO MINUTE} ],
	[ 1, q{SET TIME ZONE 'Europe/Berlin'} ],
	[ 0, q{SET client_encoding = 'LATIN1'; SET lc_time = 'C'; SET bytea_output = escape} ],
	[ 0, q{RESET work_mem} ],
	[ 1, q{RESET ALL} ],
	[ 0, q{DISCARD ALL} ]);

alternate('as SHOW has them', q{SELECT current_setting('DateStyle'), current_setting('TimeZone'),
	current_setting('default_transaction_isolation'), timestamptz '2020-02-29 12:00:00+00', interval '1 day 2 hours'},
	[ 0, q{SET TIME ZONE INTERVAL '-08:30' HOUR TO MINUTE} ],
	[ 1, q{SET TIME ZONE 5} ],
	[ 1, q{SET DateStyle = 'SQL, DMY'} ],
	[ 0, q{SET TIME ZONE LOCAL} ],
	[ 0, q{SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE} ],
	[ 1, q{SET TIME ZONE 'America/Los_Angeles'} ]);

alternate('ways to set', q{SELECT current_setting('work_mem'), current_setting('my.variable', true),
	current_setting('default_statistics_target'), current_setting('pg_trgm.similarity_threshold', true)},
	[ 0, q{SELECT set_config('work_mem', '1MB', false)} ],
	[ 0, q{SELECT sets('work_mem', '2MB'), sets('my.variable', 'function')} ],
	[ 1, q{DO $$BEGIN SET work_mem = '11MB'; PERFORM set_config('my.variable', 'block', false); END$$} ],
	[ 0, q{BEGIN; SET work_mem = '8MB'; ROLLBACK} ],
	[ 0, q{BEGIN; SET work_mem = '8MB'; SAVEPOINT a; SET work_mem = '9MB'; ROLLBACK TO a; COMMIT} ],
	[ 1, q{BEGIN; SET LOCAL work_mem = '8MB'; SET LOCAL my.variable = 'local'; COMMIT} ],
	[ 1, q{BEGIN; SET work_mem = '12MB'; SET LOCAL work_mem = '13MB'; COMMIT} ],
	[ 0, q{SELECT with_clause()} ],
	[ 0, q{SET default_statistics_target = 77; SELECT 1/0} ],
	[ 0, q{SET default_statistics_target = 77} ],
	[ 1, q{SELECT sets('default_statistics_target', '78'), 1/(random() * 0)} ],
	[ 0, q{ALTER ROLE app SET my.role = 'from the role'} ],
	[ 1, q{SET work_mem TO DEFAULT} ],
	[ 0, q{RESET work_mem} ]);

same('inside a transaction', [ {}, {} ],
	[ 0, q{SET work_mem = '5MB'} ], [ 1, 'SHOW work_mem' ],
	[ 0, 'BEGIN' ], [ 0, q{SET LOCAL work_mem = '6MB'} ], [ 0, 'SHOW work_mem' ], [ 0, 'COMMIT' ],
	[ 1, q{SET work_mem = '7MB'} ], [ 0, 'SHOW work_mem' ], [ 1, 'SHOW work_mem' ]);

#----------------------------------------------------------------------------
# custom variables
#----------------------------------------------------------------------------

alternate('custom variables: NULL and empty', q{SELECT current_setting('my.a', true), current_setting('my.a', true) IS NULL,
	current_setting('My.B', true), current_setting('my.clause', true) IS NULL, current_setting('my.file'), current_setting('my.role')},
	[ 0, q{SHOW my.a} ],
	[ 0, q{SET my.a = 'secret of 0'} ],
	[ 1, q{SHOW my.a} ],
	[ 1, q{BEGIN; SET LOCAL my.a = 'x'; COMMIT} ],
	[ 1, q{SHOW my.a} ],
	[ 0, q{RESET my.a} ],
	[ 1, q{SET my.a = 'secret of 1'} ],
	[ 0, q{SHOW my.a} ],
	[ 0, q{SET my.b = 'b'; SET MY.B = 'B'; SET my.c = ''} ],
	[ 1, q{RESET ALL} ],
	[ 2, q{SELECT with_clause()} ],
	[ 1, q{BEGIN; SET my.b = 'gone'; ROLLBACK} ],
	[ 2, q{SHOW my.b} ],
	[ 0, q{SET my.file = 'of a session'; SET my.role = 'of a session'} ],
	[ 1, q{SET my.file = ''} ],
	[ 0, q{RESET my.file} ],
	[ 0, q{DISCARD ALL} ],
	[ 1, q{SELECT set_config('my.d' || i, i::text, false) FROM generate_series(1, 20) i} ],
	[ 0, q{SELECT count(current_setting('my.d' || i, true)) FROM generate_series(1, 20) i} ],
	[ 1, q{SELECT count(current_setting('my.d' || i, true)) FROM generate_series(1, 20) i} ],
	[ 2, q{SET "a.b.c" = 'x'; SET _.z = 'y'; SET zz.zz = 'z'} ],
	[ 0, q{SHOW "a.b.c"} ], [ 1, q{SHOW _.z} ], [ 1, q{SHOW zz.zz} ],
	[ 2, q{SELECT current_setting('a.b.c'), current_setting('_.z'), current_setting('zz.zz')} ]);

# More than are kept in store, and new ones all the time.
{
	my @script;
	for my $round (1 .. 12)
	{
		for my $client (0 .. 2)
		{
			push @script, [ $client,
				qq{SELECT count(set_config('r$round.v' || i, '$client', false)) FROM generate_series(1, 60) i} ];
			push @script, [ $client, 'DISCARD ALL' ] if $round == 4;
		}
		push @script, map { [ $_, q{SELECT string_agg(concat(r, current_setting('r' || r || '.v' || i, true)), ' ' ORDER BY r, i)
			FROM generate_series(1, 12) r, generate_series(1, 60) i} ] } 0 .. 2;
	}
	same('very many custom variables', [ {}, {}, {} ], @script);
}

# A library defines what was a placeholder, with or without a value.  (It stays
# loaded in a backend, so each case has a pool of its own.)
for my $value (qw('0.7' 'nonsense'))
{
	my $role = 'loads_' . $value =~ tr/a-z0-9//cdr;
	admin("CREATE ROLE $role LOGIN SUPERUSER");
	same("a library defines a variable, $value", [ map { +{ role => $role } } 1 .. 3 ],
		[ 0, "SET pg_trgm.similarity_threshold = $value" ],
		[ 1, 'BEGIN; SET LOCAL pg_trgm.similarity_threshold = 0.4; COMMIT' ],
		[ 0, 'SHOW pg_trgm.similarity_threshold' ],
		[ 0, q{LOAD 'pg_trgm'} ],
		[ 0, 'SHOW pg_trgm.similarity_threshold' ],
		[ 1, q{LOAD 'pg_trgm'} ],
		[ 1, 'SHOW pg_trgm.similarity_threshold' ],
		[ 2, q{LOAD 'pg_trgm'} ],
		[ 2, 'SHOW pg_trgm.similarity_threshold' ],
		[ 1, 'SET pg_trgm.similarity_threshold = 0.11' ],
		[ 0, 'SHOW pg_trgm.similarity_threshold' ],
		[ 2, 'SHOW pg_trgm.similarity_threshold' ],
		[ 1, 'SHOW pg_trgm.similarity_threshold' ],
		[ 0, 'SET pg_trgm.nonsense = 1' ],
		[ 1, 'RESET ALL' ], [ 1, 'SHOW pg_trgm.similarity_threshold' ]);
}

# Where it is not valid, the value of another session must not be there instead.
{
	admin('CREATE ROLE loads_later LOGIN SUPERUSER');
	my ($one, $two) = map { WireClient->new($node, role => 'loads_later') } 1 .. 2;
	my $look = 'SHOW pg_trgm.similarity_threshold';
	$one->query(q{SET pg_trgm.similarity_threshold = 'nonsense'; SET pg_trgm.unknown = 'x'});
	$two->query(q{LOAD 'pg_trgm'; SET pg_trgm.similarity_threshold = 0.11});
	is($one->value($look), '0.3', 'a value that a library refuses');
	is($two->value($look), '0.11', 'and the one of another session');
	is($one->value($look), '0.3', 'that is not seen');
	$_->quit for $one, $two;
}

SKIP:
{
	skip 'pg_trgm is not installed', 1
	  if $admin->query('CREATE EXTENSION pg_trgm') =~ /ERROR/;
	alternate('a function in C that sets', q{SELECT show_limit(), current_setting('pg_trgm.similarity_threshold')},
		[ 0, 'SELECT set_limit(0.77)' ], [ 1, 'SELECT set_limit(0.123456)' ],
		[ 0, 'RESET pg_trgm.similarity_threshold' ]);
}

#----------------------------------------------------------------------------
# roles
#----------------------------------------------------------------------------

my $who = q{SELECT session_user, current_user, current_setting('role'), current_setting('session_authorization'),
	current_setting('is_superuser'), current_setting('my.a', true)};

alternate('SET ROLE', $who,
	[ 0, 'SET ROLE one' ], [ 1, 'SET ROLE two' ], [ 0, 'SET my.a = 5' ], [ 0, 'RESET ROLE' ],
	[ 1, 'SET ROLE none' ], [ 0, 'SET ROLE boss' ], [ 0, 'BEGIN; SET LOCAL ROLE two; COMMIT' ],
	[ 1, 'SET ROLE one; RESET ALL' ], [ 1, 'DISCARD ALL' ],
	[ 1, q{SELECT set_config('role', 'two', false)} ], [ 0, 'BEGIN; SET ROLE one; ROLLBACK' ]);

{
	my @boss = map { +{ role => 'boss' } } 1 .. 3;
	same('SET SESSION AUTHORIZATION', \@boss, with_looks(3, $who,
		[ 0, 'SET SESSION AUTHORIZATION app' ], [ 0, 'SET ROLE one' ], [ 1, 'SET ROLE app' ],
		[ 1, 'SET SESSION AUTHORIZATION two' ], [ 2, 'SET ROLE two' ], [ 0, 'SET ROLE boss' ],
		[ 0, 'RESET ROLE' ], [ 0, 'SET SESSION AUTHORIZATION boss' ], [ 1, 'RESET SESSION AUTHORIZATION' ],
		[ 2, 'SET SESSION AUTHORIZATION app; SET ROLE two' ], [ 1, 'SET SESSION AUTHORIZATION app; SET ROLE one' ],
		[ 2, 'RESET ALL' ], [ 2, 'DISCARD ALL' ], [ 1, 'SET SESSION AUTHORIZATION DEFAULT' ]));

	# what only a superuser may set, and then it is one no more
	same('rights of the one who has set it', \@boss, with_looks(3,
		q{SELECT current_user, current_setting('log_min_duration_statement'), current_setting('session_replication_role')},
		[ 0, 'SET log_min_duration_statement = 100000; SET session_replication_role = replica; SET ROLE app' ],
		[ 1, 'SET ROLE one' ], [ 0, 'SET log_min_duration_statement = 5' ], [ 0, 'RESET log_min_duration_statement' ],
		[ 1, 'SET log_min_duration_statement = 5' ],
		[ 0, 'RESET ROLE' ], [ 0, 'SET log_min_duration_statement = 200000' ], [ 1, 'DISCARD ALL' ]));
}

# A right that was taken away since does not take the value away.
{
	my @answers;
	for my $port (qw(server pooler))
	{
		admin('GRANT SET ON PARAMETER log_min_messages TO granted');
		my ($one, $two) = map { WireClient->new($node, port => $ports{$port}, role => 'granted') } 1 .. 2;
		my @mine = answer($one, 'SET log_min_messages = fatal');
		push @mine, answer($two, 'SHOW log_min_messages');
		admin('REVOKE SET ON PARAMETER log_min_messages FROM granted');
		push @mine, answer($one, 'SHOW log_min_messages'), answer($two, 'SHOW log_min_messages'),
		  answer($one, 'SHOW log_min_messages'), answer($one, 'SET log_min_messages = error');
		$_->quit for $one, $two;
		push @answers, [ map { [ '', $_ ] } @mine ];
	}
	is_same($answers[1], $answers[0], 'a right that was taken away');
}

# Values that are valid only with others.
same('values that depend on each other', [ map { +{ role => 'boss' } } 1 .. 2 ],
	map { ([ 0, $_ ], [ 1, $_ ], [ 0, q{SELECT current_setting('log_statement_stats'), current_setting('log_parser_stats')} ]) }
	'SET log_parser_stats = on', 'SET log_parser_stats = off; SET log_statement_stats = on',
	'SET log_statement_stats = off; SET log_parser_stats = on', 'RESET ALL');

# Objects that have gone since, and what the process has done before.
{
	my @answers;
	for my $port (qw(server pooler))
	{
		admin('SET allow_in_place_tablespaces = on', q{CREATE TABLESPACE place LOCATION ''},
			'GRANT CREATE ON TABLESPACE place TO one',
			'CREATE TEXT SEARCH CONFIGURATION public.searching (COPY = pg_catalog.simple)');
		my ($one, $two) = map { WireClient->new($node, port => $ports{$port}, role => 'app') } 1 .. 2;
		my $look = q{SELECT current_user, current_setting('temp_tablespaces'), current_setting('default_tablespace'),
			current_setting('default_text_search_config'), current_setting('temp_buffers')};
		my @mine = map { answer($one, $_) } 'SET ROLE one', 'SET temp_tablespaces = place',
		  'SET default_tablespace = place', 'SET temp_buffers = 200',
		  'SET default_text_search_config = searching', 'SET ROLE two', $look;
		push @mine, map { answer($two, $_) } 'CREATE TEMP TABLE t (i int)', 'DROP TABLE t', $look;
		push @mine, answer($one, $look), answer($two, $look);
		admin('DROP TABLESPACE place', 'DROP TEXT SEARCH CONFIGURATION searching');
		push @mine, answer($one, $look), answer($two, $look), answer($one, $look);
		push @mine, answer($one, 'RESET ALL'), answer($one, $look), answer($two, $look);
		$_->quit for $one, $two;
		push @answers, [ map { [ '', $_ ] } @mine ];
	}
	is_same($answers[1], $answers[0], 'objects that have gone');
}

# A role that has gone ends the client, and nobody else.
for my $command ('SET ROLE', 'SET SESSION AUTHORIZATION')
{
	admin('CREATE ROLE transient', 'GRANT transient TO boss');
	my ($one, $two) = map { WireClient->new($node, role => 'boss') } 1 .. 2;
	my $backend = $two->value('SELECT pg_backend_pid()');
	$one->query(q{SET work_mem = '77MB'; SET my.a = 'secret'});
	$one->query("$command transient");
	is($two->value('SELECT current_user'), 'boss', "$command: not for others");
	admin('DROP ROLE transient');
	is($one->query('SELECT 1'), 'FATAL 22023: role "transient" does not exist, eof',
		"$command: dropped: the client is told, and ended");
	is($two->value(q{SELECT pg_backend_pid(), current_user, session_user, current_setting('work_mem'), current_setting('my.a', true) IS NULL}),
		"$backend|boss|boss|3MB|t", "$command: the next one finds nothing of it, on the same backend");
	$two->query(q{SET work_mem = '5MB'});
	my $three = WireClient->new($node, role => 'boss');
	is($three->value('SHOW work_mem'), '3MB', 'nor does another');
	is($two->value('SHOW work_mem'), '5MB', 'and settings travel as before');
	$_->quit for $two, $three;
}

# A role that was taken away stays in force, as on a direct connection.
for my $command ('SET ROLE', 'SET SESSION AUTHORIZATION')
{
	my @answers;

	for my $port ($node->port, pooler_port($node))
	{
		admin('CREATE ROLE transient', 'CREATE ROLE taken SUPERUSER LOGIN',
			'GRANT transient TO taken');
		my ($one, $two) = map { WireClient->new($node, role => 'taken', port => $port) } 1 .. 2;
		my $look = q{SELECT session_user, current_user, current_setting('role')};
		my @mine = map { $one->query($_) } "$command transient", $look;

		$two->query('SELECT 1');
		admin('REVOKE transient FROM taken', 'ALTER ROLE taken NOSUPERUSER');
		push @mine, map { $_->query($look) } $one, $two, $one, $two;
		admin('ALTER ROLE transient RENAME TO renamed');
		push @mine, map { $_->query($look) } $one, $two, $one;
		push @mine, map { $one->query($_) } 'RESET ROLE', 'RESET SESSION AUTHORIZATION', $look;
		push @mine, $two->query('SET ROLE renamed'), $one->query($look);
		$_->quit for $one, $two;
		admin('DROP ROLE renamed', 'DROP ROLE taken');
		push @answers, [ map { [ '', $_ ] } @mine ];
	}
	is_same($answers[1], $answers[0], "$command: a role that was taken away");
}

# Another one of that name is somebody else.
{
	admin('CREATE ROLE transient', 'GRANT transient TO boss');
	my ($one, $two) = map { WireClient->new($node, role => 'boss') } 1 .. 2;
	$one->query('SET ROLE transient');
	$two->query('SELECT 1');
	admin('ALTER ROLE transient RENAME TO renamed', 'CREATE ROLE transient');
	is($one->value('SELECT current_user'), 'renamed', 'a renamed role goes on');
	$two->query('SELECT 1');
	admin('DROP ROLE renamed');
	is($one->query('SELECT current_user'), 'FATAL 22023: role "transient" does not exist, eof',
		'and is not taken for another one that has its name');
	is($two->value('SELECT current_user'), 'boss', 'the other client is well');
	admin('DROP ROLE transient');
	$two->quit;
}

#----------------------------------------------------------------------------
# startup settings are reset values
#----------------------------------------------------------------------------

my @startups = (
	{},
	{ application_name => 'app', options => '-c work_mem=5MB -c random_page_cost=1.2345678901 -c search_path=a,b' },
	{ DateStyle => 'German', options => '--enable-seqscan=off -c my.a=startup -c my.file=startup -c my.role=startup' },
	{ client_encoding => 'LATIN1', TimeZone => 'Europe/Berlin', options => '-c role=one -c statement_timeout=5min' },
	{ options => '-c temp_buffers=300 -c IntervalStyle=iso_8601 -c default_text_search_config=simple', extra_float_digits => 2 });
my $custom = q{SELECT current_setting('my.a', true) IS NULL, current_setting('my.a', true), current_setting('my.file'),
	current_setting('my.role'), current_user, current_setting('role'), current_setting('application_name')};
my $unused = q{CREATE TEMP TABLE t (i int); DROP TABLE t};

same('startup settings', \@startups,
	map { my $sql = $_; map { [ $_, $sql ] } 0 .. 4, 1, 3, 1, 0 }
	$all, $custom, q{SET work_mem = '6MB'}, $all, 'RESET work_mem', $all,
	q{SET ALL = 1}, q{SELECT sets('my.a', 'set'), sets('random_page_cost', '3')}, $all, $custom,
	q{SET DateStyle = 'YMD'; SET TIME ZONE 'UTC'; SET search_path = c; SET my.file = 'set'; SET client_encoding = 'UTF8'},
	$all, $custom, 'RESET ALL', $all, $custom, 'SET ROLE two', $custom, 'RESET ROLE', $custom, 'DISCARD ALL', $all, $custom,
	'BEGIN; SET LOCAL my.a = 5; SET LOCAL IntervalStyle = postgres; COMMIT', $all, $custom);
same('startup settings and a process that has had temporary tables', \@startups,
	[ 0, $unused ], [ 1, $unused ],
	map { ([ $_, q{SELECT current_setting('temp_buffers'), reset_val, source FROM pg_settings WHERE name = 'temp_buffers'} ]) } 0 .. 4, 4, 0);

# Local buffers stay with the process, their number is each client's own affair
# until it has used them itself.
my $buffers = q{SELECT current_setting('temp_buffers'), source, reset_val FROM pg_settings WHERE name = 'temp_buffers'};
my $use = q{CREATE TEMP TABLE t AS SELECT generate_series(1, 1000) AS i; SELECT sum(i) FROM t};
same('temp_buffers, after the temporary tables of somebody else', [ {}, {}, { options => '-c temp_buffers=300' } ],
	(map { ([ 0, $_ ]) } $use, 'SET temp_buffers = 200', 'DROP TABLE t'),
	(map { ([ 1, $_ ], [ 2, $_ ]) } 'SET temp_buffers = 200', $buffers, 'SET temp_buffers = 5000', $buffers, 'SET temp_buffers = 99'),
	(map { ([ 1, $_ ]) } 'BEGIN', 'SET LOCAL temp_buffers = 150', $buffers, 'ROLLBACK', $buffers, $use, 'SELECT 1', 'RESET temp_buffers', 'DISCARD TEMP'),
	(map { ([ $_, $buffers ]) } 2, 0, 1, 2),
	(map { ([ 2, $_ ]) } 'RESET ALL', $buffers, $use, $buffers, 'DISCARD TEMP'));

# What a superuser may ask for.
same('startup settings of a superuser', [ map { +{ role => 'boss', %$_ } } {}, { options => '-c log_statement_stats=on -c session_replication_role=replica' },
		{ options => '-c log_parser_stats=on' }, @startups[1, 4] ],
	map { my $sql = $_; map { [ $_, $sql ] } 0 .. 4, 2, 1, 2, 0 }
	$all, 'RESET ALL', $all, 'SET ROLE app', $all, 'RESET session_replication_role', $all, $custom);

# One after the other on the same connections, with the same settings or not.
same('application_name', [ {}, { application_name => 'one' }, { application_name => 'two' }, { application_name => 'one' } ],
	map { my $sql = $_; map { [ $_, $sql ] } 0 .. 3, 1, 3, 0 }
	q{SELECT a.application_name, setting, source, reset_val FROM pg_settings s, pg_stat_activity a WHERE name = 'application_name' AND pid = pg_backend_pid()},
	q{SET application_name = 'set'}, q{SELECT setting, source, reset_val FROM pg_settings WHERE name = 'application_name'},
	'RESET application_name', q{SELECT setting, source, reset_val FROM pg_settings WHERE name = 'application_name'});

# Options of sockets, which are each client's own also where the settings are
# the same.
same('options of sockets', [ map { +{ from => '127.0.0.1', %$_ } } {}, ({ options => '-c tcp_keepalives_idle=123' }) x 2, {},
		{ options => '-c tcp_keepalives_count=7' } ],
	map { my $sql = $_; map { [ $_, $sql ] } 1, 2, 0, 4, 3, 1, 1 }
	q{SELECT name, setting, reset_val, source FROM pg_settings WHERE name ~ 'tcp' ORDER BY 1}, 'SHOW tcp_keepalives_idle',
	'SET tcp_keepalives_idle = 77', 'SHOW tcp_keepalives_idle', 'SHOW tcp_keepalives_count', 'RESET ALL', 'SHOW tcp_keepalives_idle');

# A library defines a variable that a startup setting has made.
{
	admin('CREATE ROLE loads_startup LOGIN SUPERUSER');
	my @clients = map { +{ role => 'loads_startup', options => $_ } } '', '-c pg_trgm.similarity_threshold=0.2',
	  '-c pg_trgm.similarity_threshold=nonsense -c pg_trgm.unknown=1';
	my $look = q{SELECT current_setting('pg_trgm.similarity_threshold'), current_setting('pg_trgm.unknown', true)};
	same('a library defines a startup setting', \@clients,
		[ 1, $look ], [ 2, $look ],
		(map { ([ $_, q{LOAD 'pg_trgm'} ]) } 1, 2, 0),
		map { my $sql = $_; map { ([ $_, $sql ], [ $_, $look ]) } 0, 1, 2 }
		'SELECT 1', 'SET pg_trgm.similarity_threshold = 0.4', 'RESET pg_trgm.similarity_threshold', 'SELECT 2');
}

#----------------------------------------------------------------------------
# a reload
#----------------------------------------------------------------------------

my $included = $node->data_dir . '/settings.conf';
append_to_file($included, '');
$node->append_conf('postgresql.conf', "include = 'settings.conf'\n");

# Puts these lines in place and tells the server.  Returns a query that says
# whether the backend that runs it has read them.
sub change
{
	my (@lines) = @_;
	my $now = $admin->value('SELECT clock_timestamp()');

	open(my $file, '>', $included) or die "$included: $!";
	print $file "$_\n" for @lines;
	close $file;
	$node->reload;
	return "SELECT pg_conf_load_time() > '$now'";
}

# What clients see when the configuration changes, while one of them is in a
# transaction, or all are idle.
sub play_changes
{
	my ($port, $attached, @changes) = @_;
	my $look = q{SELECT name, setting, source, reset_val, sourcefile IS NULL FROM pg_settings
		WHERE name IN ('work_mem', 'cpu_tuple_cost', 'enable_sort', 'application_name') ORDER BY 1};
	# once it was in the file every new session has it
	my $variable = "my.${port}_$attached";
	my $custom = qq{SELECT current_setting('$variable', true), current_setting('$variable', true) IS NULL};
	my @clients = map { WireClient->new($node, port => $ports{$port}, role => 'app', %$_) } {},
	  { application_name => 'startup', options => "-c work_mem=7MB -c cpu_tuple_cost=3 -c $variable=startup" },
	  { options => '-c enable_sort=on' };
	my @answers;

	for my $change (@changes)
	{
		for my $n (0 .. 2)
		{
			my $client = $clients[$n];
			my @order = @clients[ $n, ($n + 1) % 3, ($n + 2) % 3 ];
			push @answers, map { ([ 'before', answer($_, $look) ], [ 'before, custom', answer($_, $custom) ]) } reverse @order;
			$client->query('BEGIN') if $attached;
			my $read = change(map { s/my\.file/$variable/r } @$change);
			$client->until($read, 't');
			push @answers, [ 'attached', answer($client, $look) ];
			$client->query('COMMIT') if $attached;
			$_->until($read, 't') for @order;
			for my $other (@order)
			{
				push @answers, map { [ '', answer($other, $_) ] } $look, $custom,
				  qq{SET work_mem = '20MB'; SET $variable = 'set'}, $look, 'RESET ALL', $look;
			}
			$read = change();
			$_->until($read, 't') for @order;
		}
	}
	push @clients, WireClient->new($node, port => $ports{$port}, role => 'app');
	push @answers, map { [ 'after', answer($_, $custom) ] } @clients;
	$_->quit for @clients;
	$admin->until(q{SELECT count(*) FROM pooler.clients}, 0);
	return \@answers;
}

for my $attached (0, 1)
{
	my @changes = (
		[],
		[ 'work_mem = 9MB', 'cpu_tuple_cost = 5' ],
		[ 'work_mem = 10MB', 'enable_sort = off', q{my.file = 'file'} ]);
	my $server = play_changes('server', $attached, @changes);
	my $pooler = play_changes('pooler', $attached, @changes);

	is_same($pooler, $server, 'a reload while ' . ($attached ? 'a client is in a transaction' : 'all are idle'));
}

#----------------------------------------------------------------------------
# from one backend to another, and what it costs
#----------------------------------------------------------------------------

# Workers of a parallel query get what was restored.
{
	my $force = q{SELECT set_config(name, 'on', false) FROM pg_settings WHERE name IN ('force_parallel_mode', 'debug_parallel_query')};
	my $look = q{SELECT current_user, session_user, current_setting('my.a', true), current_setting('work_mem'), current_setting('random_page_cost')};
	same('parallel workers', [ {}, { options => '-c work_mem=7MB -c my.a=startup' }, { options => '-c role=two' } ],
		(map { ([ $_, $force ], [ $_, "SET random_page_cost = 1.$_" ]) } 0 .. 2), [ 1, 'SET ROLE one' ], [ 2, q{SET my.a = 'set'} ],
		map { [ $_ % 3, $look ] } 0 .. 5);
}

# A client that finds its backend taken goes on with its settings on the other.
$node->append_conf('postgresql.conf', 'pooler.default_pool_size = 2');
$node->reload;
{
	my ($one, $left, $right) = map { WireClient->new($node, role => 'app', application_name => $_) } qw(one left right);
	my $state = q{SELECT pg_backend_pid(), current_setting('work_mem'), current_setting('my.p', true), current_user,
		current_setting('application_name'), current_setting('my.b', true)};
	my (%backends, @wrong);

	$one->query(q{SET work_mem = '5MB'; SET my.p = 'secret'; SET ROLE one; BEGIN; SET LOCAL my.b = 'x'; COMMIT});
	for my $round (1 .. 20)
	{
		# whichever of the two it has, that one is taken away
		my $pid = $one->value('SELECT pg_backend_pid()');
		$_->query('BEGIN') for $left, $right;
		for my $holder ($left, $right)
		{
			$holder->query('COMMIT') if $holder->value('SELECT pg_backend_pid()') != $pid;
		}
		my ($backend, $own) = split /\|/, $one->value($state), 2;
		$backends{$_}++ for $pid, $backend;
		push @wrong, "$round: stayed where it was" if $backend == $pid;
		push @wrong, "$round: $own" if $own ne '5MB|secret|one|one|';
		$_->query('ROLLBACK') for $left, $right;
		my $other = $left->value($state) =~ s/^\d+\|//r;
		push @wrong, "$round: $other" if $other ne '3MB|NULL|app|left|NULL';
	}
	is_deeply(\@wrong, [], 'settings come along, and are left to nobody');
	is(scalar keys %backends, 2, 'on two backends');
	$_->quit for $one, $left, $right;
}
$node->append_conf('postgresql.conf', 'pooler.default_pool_size = 1');
$node->reload;

# Transactions of a database, of which a restore is one.  (Statistics are sent
# only together with some of tables.)
sub commits
{
	my ($client, $database) = @_;

	$client->query('SELECT pg_stat_force_next_flush(), count(*) FROM pg_class');
	return $admin->value("SELECT xact_commit FROM pg_stat_database WHERE datname = '$database'");
}

# Clients that are equal cost nothing; nor does a reset.
admin('CREATE DATABASE counted');
for my $case (
	[ 'nothing set', 0, {}, 'SELECT 1', 'SELECT 1' ],
	[ 'the same set', 0, {}, q{SET my.x = 1; SET work_mem = '5MB'; SET my.y = 2}, q{SET my.y = 2; SET my.x = 1; SET work_mem = 5120} ],
	[ 'the same startup settings', 0, { application_name => 'x', options => '-c work_mem=6MB' }, 'SELECT 1', 'SELECT 1' ],
	[ 'one setting or another', 1, {}, q{SET work_mem = '5MB'}, q{SET work_mem = '6MB'} ])
{
	my ($name, $per_switch, $startup, @set) = @$case;
	my @clients = map { WireClient->new($node, role => 'app', database => 'counted', %$startup) } @set;
	my $rounds = 50;

	$clients[$_]->query($set[$_]) for 0, 1;
	$_->query('SELECT 1') for @clients;
	my $before = commits($clients[1], 'counted');
	for (1 .. $rounds) { $_->query('SELECT 1') for @clients }
	my $wanted = 2 * $rounds * (1 + $per_switch) + 1;
	is(commits($clients[1], 'counted') - $before, $wanted, "$name: $per_switch transactions for a switch");
	$_->quit for @clients;
}

# Memory does not grow with what was restored.
{
	my @clients = map { WireClient->new($node, role => 'boss', application_name => "client $_",
		options => "-c my.s$_=x -c TimeZone=Europe/Berlin -c cpu_tuple_cost=0.$_") } 1 .. 3;
	my $bytes = q{SELECT sum(used_bytes) FROM pg_backend_memory_contexts};
	my @sizes;

	for my $turn (1 .. 4)
	{
		for my $i (1 .. 800)
		{
			for my $client (@clients)
			{
				my $n = $i % 20;
				$client->query($i % 8 == 0 ? 'DISCARD ALL' :
					"SELECT set_config('my.v$n', repeat('x', $i), false), set_config('work_mem', '${i}kB', false), set_config('search_path', 's$i', false) WHERE $i > 64");
			}
		}
		# sessions that end, with variables of their own
		for my $i (1 .. 100)
		{
			my $short = WireClient->new($node, role => 'boss');
			$short->query("SET my.short$i = '$turn'; SET my.user = '$i'");
			$clients[0]->query('SELECT 1');
			$short->quit;
		}
		$clients[0]->query('DISCARD ALL');
		push @sizes, $clients[0]->value($bytes);
	}
	my ($early, $late) = map { (sort { $b <=> $a } @$_)[0] } [ @sizes[0, 1] ], [ @sizes[2, 3] ];
	# what clients that have gone had brought is forgotten for many at a time, and
	# a cache of core's may grow once
	cmp_ok($late, '<=', $early * 1.05, 'memory of a backend that restored thousands of settings')
	  or diag("@sizes");
	$_->quit for @clients;
}

$admin->quit;
$node->stop;
done_testing();
