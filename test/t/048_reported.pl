# Reported parameters: each client is told what holds for it, when it changes
# for it, and nothing of others; as on a direct connection, which does the same.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use LoginClient ();
use PoolerTest qw(configure new_node pooler_port start_node wait_for_pooler wait_until);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WireClient qw(m_bind m_execute m_parse m_query m_sync message);

my $node = start_node('reported',
	init => { allows_streaming => 1 },
	conf => q{
max_connections = 30
timezone = 'UTC'
pooler.default_pool_size = 1
},
	hba => q{
local	all			all				trust
local	replication	all				trust
host	all			all	127.0.0.1/32	trust
host	all			all	127.0.0.2/32	password
host	all			all	127.0.0.3/32	scram-sha-256
});
my $admin = WireClient->new($node, port => $node->port);
$admin->query($_) for (
	q{CREATE ROLE app SUPERUSER LOGIN PASSWORD 'secret'},
	'CREATE ROLE other',
	'CREATE ROLE styled LOGIN',
	q{ALTER ROLE styled SET DateStyle = 'German'},
	q{ALTER ROLE styled SET application_name = 'by the role'},
	'CREATE DATABASE zoned',
	q{ALTER DATABASE zoned SET timezone = 'Asia/Tokyo'},
	q{CREATE FUNCTION sets(name text, value text) RETURNS text LANGUAGE plpgsql AS
	  $$BEGIN RETURN set_config(name, value, false); END$$});

#----------------------------------------------------------------------------
# clients
#----------------------------------------------------------------------------

# Logs in, and keeps what it is told meanwhile as "name=value", sorted, since
# core reports what a connection begins with in the order of its table.
sub log_in
{
	my ($server, $port, %options) = @_;
	my $password = delete $options{password};
	my $client = WireClient->open($server, port => $port,
		from => delete $options{from} // 'local');
	my @told;

	$client->send_startup(role => 'app', %options);
	while (my ($type, $body) = $client->read_message)
	{
		push @told, WireClient::text_of($type, $body) if $type eq 'S' || $type eq 'E';
		if ($type eq 'R' && (my $request = unpack('N', $body)) != 0)
		{
			my ($next) = LoginClient::give_password($client->{sock}, $request,
				substr($body, 4), 'app', $password);
			last if ($next // 'E') eq 'E';
		}
		last if $type eq 'Z';
	}
	$client->{told} = join(', ', sort @told);
	return $client;
}

# The same client twice: on a direct connection, and in the pool.
sub pair
{
	my (%options) = @_;
	my %pair = (
		direct => log_in($node, $node->port, %options),
		pooled => log_in($node, pooler_port($node), %options));
	return \%pair;
}

sub quit { $_->quit for map { values %$_ } @_ }

# Both get the same answer, with the same messages in the same order.
sub same
{
	my ($pair, $sql, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my %got;

	for my $how (qw(direct pooled))
	{
		$pair->{$how}->put(ref $sql ? $$sql : m_query($sql));
		$got{$how} = $pair->{$how}->reply;
	}
	return is($got{pooled}, $got{direct}, ($name // $sql) . ": $got{direct}");
}

sub in_turn
{
	my ($name, @steps) = @_;
	same($_->[0], $_->[1], "$name: " . (ref $_->[1] ? 'extended' : $_->[1])) for @steps;
}

#----------------------------------------------------------------------------
# after login
#----------------------------------------------------------------------------

for my $case (
	[ 'nothing' ],
	[ 'application_name', application_name => 'me' ],
	[ 'application_name that is not clean', application_name => "m\xc3\xa9" ],
	[ 'several', TimeZone => 'Europe/Paris', DateStyle => 'SQL, DMY', client_encoding => 'LATIN1' ],
	[ 'client_encoding in another spelling', client_encoding => 'utf-8' ],
	[ 'options', options => '-c intervalstyle=iso_8601 --application-name=opt' ],
	[ 'a setting that is not reported', options => '-c work_mem=1MB' ],
	[ 'read-only', options => '-c default_transaction_read_only=on' ],
	[ 'another role', role => 'styled' ],
	[ 'another role, and its own', role => 'styled', DateStyle => 'Postgres', application_name => 'mine' ],
	[ 'another database', database => 'zoned' ],
	[ 'a role by options', options => '-c role=other' ],
	[ 'a password', from => '127.0.0.2', password => 'secret' ],
	[ 'a password, and more', from => '127.0.0.2', password => 'secret',
		TimeZone => 'Asia/Tokyo', application_name => 'pw', options => '-c intervalstyle=sql_standard' ],
	[ 'a value that is wrong', TimeZone => 'Moon/Crater' ],
	[ 'another that is wrong', client_encoding => 'none' ])
{
	my ($name, %options) = @$case;

	# others in between, and again when the pooler knows the answer
	for my $round (1 .. 3)
	{
		my $pair = pair(%options);

		is($pair->{pooled}{told}, $pair->{direct}{told}, "login with $name, round $round");
		if ($pair->{direct}{told} !~ /FATAL/)
		{
			same($pair, 'SELECT 1', "$name: told nothing more");
			same($pair, q{SHOW TimeZone}, $name);
			same($pair, q{SHOW DateStyle}, $name);
			same($pair, q{SHOW client_encoding}, $name);
			same($pair, q{SHOW application_name}, $name) if $name !~ /not clean/;
		}
		quit($pair);
	}
}

#----------------------------------------------------------------------------
# changes by the client
#----------------------------------------------------------------------------

my ($x, $y, $z) = (pair(), pair(TimeZone => 'Asia/Tokyo'), pair(application_name => 'z'));

in_turn('SET', [ $x, q{SET TimeZone = 'Europe/Paris'} ], [ $y, 'SELECT 1' ], [ $z, 'SELECT 1' ],
	[ $x, 'SHOW TimeZone' ], [ $y, 'SHOW TimeZone' ], [ $z, 'SHOW TimeZone' ],
	[ $y, q{SET TimeZone = 'Europe/Paris'} ], [ $x, 'SELECT 1' ], [ $z, 'SELECT 1' ],
	[ $y, 'RESET TimeZone' ], [ $x, 'SELECT 1' ], [ $z, 'SELECT 1' ], [ $y, 'SHOW TimeZone' ]);
in_turn('SET to what it is', [ $x, q{SET TimeZone = 'Europe/Paris'} ], [ $y, q{SET TimeZone = 'Asia/Tokyo'} ],
	[ $z, q{SET TimeZone = 'UTC'} ], [ $x, 'SELECT 1' ]);
in_turn('to and fro', [ $x, q{SET TimeZone = 'UTC'; SET TimeZone = 'Europe/Paris'} ],
	[ $x, q{SET IntervalStyle = 'iso_8601'; SET IntervalStyle = 'postgres'} ], [ $y, 'SELECT 1' ]);
in_turn('in a transaction', [ $x, 'BEGIN' ], [ $x, q{SET TimeZone = 'Asia/Kolkata'} ],
	[ $x, q{SELECT 1} ], [ $x, 'COMMIT' ], [ $y, 'SELECT 1' ], [ $x, 'SHOW TimeZone' ]);
in_turn('rolled back', [ $x, 'BEGIN' ], [ $x, q{SET TimeZone = 'UTC'} ], [ $x, 'ROLLBACK' ],
	[ $y, 'SELECT 1' ], [ $x, 'SHOW TimeZone' ], [ $x, q{BEGIN; SET TimeZone = 'UTC'; SELECT 1/0} ],
	[ $x, 'ROLLBACK' ], [ $z, 'SELECT 1' ], [ $x, 'SHOW TimeZone' ]);
in_turn('SET LOCAL', [ $x, 'BEGIN' ], [ $x, q{SET LOCAL DateStyle = 'German'} ],
	[ $x, 'SELECT 1' ], [ $x, 'COMMIT' ], [ $y, 'SHOW DateStyle' ], [ $x, 'SHOW DateStyle' ]);
in_turn('savepoints', [ $x, 'BEGIN' ], [ $x, 'SAVEPOINT s' ], [ $x, q{SET application_name = 'deep'} ],
	[ $x, 'ROLLBACK TO s' ], [ $x, q{SET application_name = 'deeper'} ], [ $x, 'RELEASE s' ],
	[ $x, 'COMMIT' ], [ $z, 'SHOW application_name' ], [ $x, 'SHOW application_name' ]);
in_turn('in functions', [ $x, q{SELECT sets('application_name', 'by function')} ], [ $z, 'SELECT 1' ],
	[ $x, q{DO $$BEGIN SET IntervalStyle = 'sql_standard'; END$$} ], [ $y, 'SHOW IntervalStyle' ],
	[ $x, 'SHOW IntervalStyle' ]);
in_turn('roles', [ $x, 'SET ROLE other' ], [ $y, 'SELECT current_user' ], [ $x, 'SELECT current_user' ],
	[ $x, 'RESET ROLE' ], [ $x, 'SET SESSION AUTHORIZATION other' ], [ $y, 'SELECT session_user' ],
	[ $x, 'SELECT session_user' ], [ $x, 'SHOW is_superuser' ], [ $x, 'RESET SESSION AUTHORIZATION' ],
	[ $y, 'SHOW is_superuser' ], [ $x, 'SHOW is_superuser' ]);
in_turn('client_encoding', [ $x, q{SET client_encoding = 'LATIN1'} ], [ $y, q{SELECT U&'\00e9'} ],
	[ $x, q{SELECT U&'\00e9'} ], [ $x, "SELECT 1 AS \"\xe9\", length('\xe9')" ],
	[ $y, "SELECT length('\xc3\xa9')" ], [ $x, "SELECT \xe9" ], [ $x, q{SELECT U&'\20ac'} ],
	[ $y, q{SET NAMES 'SQL_ASCII'} ], [ $z, "SELECT length('\xc3\xa9'), U&'\\20ac'" ],
	[ $x, 'SHOW client_encoding' ], [ $x, 'RESET client_encoding' ], [ $y, 'RESET client_encoding' ]);
in_turn('RESET ALL and DISCARD ALL', [ $x, 'RESET ALL' ], [ $y, q{SET DateStyle = 'SQL'} ],
	[ $y, 'RESET ALL' ], [ $x, 'SELECT 1' ], [ $z, q{SET application_name = 'zz'} ],
	[ $z, 'DISCARD ALL' ], [ $x, 'SHOW application_name' ], [ $z, 'SHOW application_name' ],
	[ $y, 'SHOW TimeZone' ]);
in_turn('the extended protocol',
	[ $x, \(m_parse(q{SET TimeZone = 'Asia/Seoul'}) . m_bind() . m_execute() . m_sync()) ], [ $y, 'SELECT 1' ],
	[ $x, \(m_parse(q{SELECT set_config('TimeZone', 'UTC', false), set_config('application_name', 'x', true)})
			. m_bind() . m_execute() . m_sync()) ],
	[ $y, 'SELECT 1' ], [ $x, 'SHOW TimeZone' ]);
in_turn('a transaction that is prepared', [ $x, 'BEGIN' ], [ $x, q{SET TimeZone = 'Asia/Tokyo'} ],
	[ $x, 'SELECT 1/0' ], [ $x, 'COMMIT' ], [ $y, 'SELECT 1' ], [ $x, 'SHOW TimeZone' ]);

# Clients that leave do not change it for others.
for my $how (qw(quit close))
{
	my $pair = pair();
	in_turn("before $how", [ $pair, q{SET TimeZone = 'Asia/Tokyo'; LISTEN a} ],
		[ $pair, q{SET DateStyle = 'German'} ]);
	$_->$how for values %$pair;
	in_turn("after $how", map { [ $_, 'SHOW DateStyle' ] } $x, $y, $z);
}

#----------------------------------------------------------------------------
# changes by the administrator
#----------------------------------------------------------------------------

# What a client is told while it does nothing: it asks until it has been told
# so much (the signal may take its time), and some more.
sub told_by_and_by
{
	my ($client, $expected) = @_;
	my @told;
	my $ask = sub {
		$client->put(m_query('SELECT 1'));
		push @told, grep { /=/ } $client->replies;
		return @told >= $expected;
	};

	wait_until('a client has been told', $ask);
	$ask->() for 1 .. 3;
	return join(', ', @told);
}

sub set_default
{
	my (%settings) = @_;

	$admin->query("ALTER SYSTEM SET $_ = '$settings{$_}'") for sort keys %settings;
	$admin->query('SELECT pg_reload_conf()');
	$admin->until("SHOW $_", $settings{$_}) for grep { !/^pooler/ } keys %settings;
}

# They hear of a new default once, if it is one for them.
$_->query('RESET ALL') for map { values %$_ } $x, $y, $z;
# x has its own IntervalStyle, y its own TimeZone, z none of them
$_->query(q{SET IntervalStyle = 'iso_8601'}) for values %$x;
for my $case (
	[ 'a new default', { TimeZone => 'Europe/Rome' }, 1, 0, 1 ],
	[ 'two new defaults', { TimeZone => 'Europe/Oslo', IntervalStyle => 'sql_standard' }, 1, 1, 2 ],
	[ 'a default that is as it was', { TimeZone => 'Europe/Oslo' }, 0, 0, 0 ],
	[ 'a default that nobody is told of', { work_mem => '5MB' }, 0, 0, 0 ])
{
	my ($name, $settings, @expected) = @$case;

	set_default(%$settings);
	for my $n (0 .. 2)
	{
		my $pair = ($x, $y, $z)[$n];
		my $direct = told_by_and_by($pair->{direct}, $expected[$n]);

		is(told_by_and_by($pair->{pooled}, $expected[$n]), $direct,
			"$name: client $n is told '$direct'");
		is(scalar(() = $direct =~ /=/g), $expected[$n], "$name: so much and no more");
	}
	my $new = pair();
	is($new->{pooled}{told}, $new->{direct}{told}, "$name: a new client");
	quit($new);
}
in_turn('the new defaults hold', map({ [ $_, 'SHOW TimeZone' ] } $x, $y, $z),
	map({ [ $_, 'SHOW IntervalStyle' ] } $x, $y, $z));
in_turn('RESET leads to the new default', [ $x, 'RESET IntervalStyle' ], [ $y, 'SELECT 1' ],
	[ $x, 'SHOW IntervalStyle' ]);

# While it waits in a transaction, and while it is pinned.
{
	my ($open, $pinned) = map { pair() } 1 .. 2;

	# (the pool gets one backend more for each)
	set_default('pooler.default_pool_size' => 3);
	ok($admin->until(q{SELECT size FROM pooler.pools WHERE role = 'app' AND database = 'postgres'}, 3),
		'a bigger pool');
	in_turn('before', [ $open, 'BEGIN' ], [ $pinned, 'LISTEN a' ]);
	set_default(TimeZone => 'Asia/Dubai');
	for my $case ([ 'in a transaction', $open ], [ 'pinned', $pinned ])
	{
		my ($name, $pair) = @$case;

		is(told_by_and_by($pair->{$_}, 1), 'TimeZone=Asia/Dubai', "a new default $name, $_")
		  for qw(direct pooled);
	}
	in_turn('after', [ $open, 'COMMIT' ], [ $pinned, 'UNLISTEN *' ], [ $open, 'SELECT 1' ],
		[ $pinned, 'SELECT 1' ]);
	quit($open, $pinned);
}

# Clients that were logged in by core, in other ways too, and idle ever since.
{
	my @pairs = (
		pair(from => '127.0.0.2', password => 'secret'),
		pair(from => '127.0.0.3', password => 'secret'),
		pair(application_name => 'idle'));

	set_default(TimeZone => 'Asia/Baku');
	for my $n (0 .. 2)
	{
		is(told_by_and_by($pairs[$n]{$_}, 1), 'TimeZone=Asia/Baku',
			"$_ client $n that did nothing yet") for qw(direct pooled);
	}
	quit(@pairs);
}

quit($x, $y, $z);

#----------------------------------------------------------------------------
# promotion
#----------------------------------------------------------------------------

$node->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'backup', has_streaming => 1);
configure($standby, conf => 'pooler.default_pool_size = 1',
	hba => slurp_file($node->data_dir . '/pg_hba.conf'));
$standby->start;
wait_for_pooler($standby);
{
	my %ports = (direct => $standby->port, pooled => pooler_port($standby));
	my %used = map { $_ => log_in($standby, $ports{$_}) } keys %ports;
	my %unused = map { $_ => log_in($standby, $ports{$_}) } keys %ports;
	my %password = map {
		$_ => log_in($standby, $ports{$_}, from => '127.0.0.2', password => 'secret')
	} keys %ports;

	for my $clients (\%used, \%unused, \%password)
	{
		is($clients->{pooled}{told}, $clients->{direct}{told}, 'login on a standby');
		like($clients->{pooled}{told}, qr/in_hot_standby=on/, 'which it tells');
	}
	same(\%used, 'SELECT pg_is_in_recovery()');
	same(\%used, $_) for ('SELECT pg_advisory_lock_shared(1)', 'SELECT pg_advisory_unlock_shared(1)',
		'CREATE TEMP TABLE t (a int)', 'LISTEN a', 'UNLISTEN *', q{SET TimeZone = 'Asia/Tokyo'},
		'DECLARE c CURSOR WITH HOLD FOR SELECT 1', 'CLOSE c', 'DISCARD ALL');
	$standby->promote;
	$standby->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()');
	for my $clients (\%used, \%unused, \%password)
	{
		same($clients, 'SELECT pg_is_in_recovery()', 'after promotion each is told once');
		same($clients, 'SELECT 1', 'and no more');
	}
	for my $how (qw(direct pooled))
	{
		ok(wait_until('a new client is told', sub {
					my $new = log_in($standby, $ports{$how});
					$new->quit;
					return $new->{told} =~ /in_hot_standby=off/;
				}), "a new $how client knows");
	}
	quit(\%used, \%unused, \%password);
}
$standby->stop;

$admin->quit;
$node->stop;
done_testing();
