# Other names for databases (pooler.aliases), startup parameters that are left
# out (pooler.ignore_startup_parameters), and the notice at login
# (pooler.login_notify_message): for logins that the pooler carries out and for
# those that a backend does.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use PoolerTest qw(becomes log_after log_size logged pooler_psql start_node);
use PostgreSQL::Test::Utils;
use RawClient;
use Test::More;

my $node = start_node(
	'aliases',
	hba => q(
local	all			all			trust
host	legacy		all			all				reject
host	barred		turned_away	all				reject
host	all			secretive	127.0.0.1/32	scram-sha-256
host	all			all			127.0.0.1/32	trust
host	all			all			127.0.0.2/32	password
),
	conf => q(
log_connections = on
pooler.aliases = ') . join(', ',
		'legacy = app', '"Old Name" = app', 'gone = no_such_database',
		'bar = barred', 'shut = closed', 'reports = app reader',
		'asleep = app sleeper', 'nobody = app no_such_role', 'boss = app chief',
		'keyless = shut_db reader', 'late = app', 'same = app alice')
	  . "'");

$node->safe_psql('postgres', q(
	CREATE ROLE alice LOGIN PASSWORD 'secret';
	CREATE ROLE bob LOGIN PASSWORD 'secret';
	CREATE ROLE turned_away LOGIN;
	CREATE ROLE secretive LOGIN PASSWORD 'secret' VALID UNTIL '2001-01-01';
	CREATE ROLE retired NOLOGIN;
	CREATE ROLE readers;
	CREATE ROLE reader LOGIN;
	CREATE ROLE sleeper NOLOGIN;
	CREATE ROLE chief LOGIN SUPERUSER;
	GRANT reader TO readers;
	GRANT readers, sleeper, chief TO alice;
	GRANT reader TO secretive, turned_away;
	ALTER ROLE reader SET DateStyle = 'German';
	CREATE DATABASE app;
	CREATE DATABASE barred;
	CREATE DATABASE closed;
	CREATE DATABASE shut_db;
	CREATE DATABASE crowded;
	REVOKE CONNECT ON DATABASE closed, crowded, shut_db FROM PUBLIC;
	GRANT CONNECT ON DATABASE shut_db TO alice;
));

my $who = 'SELECT current_database(), session_user, current_user';

# What a client is told that connects by this name: the answer to $who, or the
# error.
sub by_name
{
	my ($role, $name, %options) = @_;
	my ($client, $answer) = connected($role, $name, %options);

	$answer = $client->ask($who) if $answer eq 'ok';
	$client->close;
	return $answer;
}

# The client and the answer to its login, to which it gives its password.
sub connected
{
	my ($role, $name, %options) = @_;
	my $client = RawClient->open($node,
		map { $_ => delete $options{$_} } grep { exists $options{$_} } qw(from));
	my $answer = $client->login(role => $role, database => $name, %options);

	if ($answer eq 'R3')
	{
		$client->send('p', "secret\0");
		$answer = $client->finish_login;
	}
	return ($client, $answer);
}

sub reload
{
	my ($setting, $value) = @_;
	$node->safe_psql('postgres', "ALTER SYSTEM SET $setting = $value");
	$node->reload;
}

# Both ways to log in: by the pooler, and by a backend.
for my $from ('127.0.0.1', '127.0.0.2')
{
	my $way = $from eq '127.0.0.1' ? 'in the pooler' : 'on a backend';
	my %from = (from => $from);

	is(by_name('alice', 'legacy', %from), 'app|alice|alice',
		"$way: an alias is another name for a database");
	is(by_name('alice', 'Old Name', %from), 'app|alice|alice',
		"$way: a quoted alias");
	like(by_name('alice', 'old name', %from),
		qr/^FATAL 3D000: database "old name" does not exist$/,
		"$way: names are not folded in the startup packet");
	like(by_name('alice', 'gone', %from),
		qr/^FATAL 3D000: database "no_such_database" does not exist$/,
		"$way: an alias for a database that does not exist");
	is(by_name('alice', 'same', %from), 'app|alice|alice',
		"$way: an alias may name the role that logs in");
	like(by_name('alice', 'shut', %from),
		qr/^FATAL 42501: permission denied for database "closed"/,
		"$way: CONNECT is checked on the real database");

	# a role in the alias
	my ($client, $answer) = connected('alice', 'reports', %from);
	is($answer, 'ok', "$way: an alias with a role");
	is($client->{parameters}{session_authorization}, 'reader',
		"$way: ... which the client is told at login");
	is($client->{parameters}{DateStyle}, 'German, DMY', "$way: ... with its settings");
	is($client->ask($who), 'app|reader|reader', "$way: ... is the role of the session");
	is($client->ask('SHOW DateStyle'), 'German, DMY', "$way: ... of which it has the settings");
	becomes($node,
		q{SELECT database, role, login_role, alias FROM pooler.clients WHERE alias IS NOT NULL},
		'app|reader|alice|reports', "$way: ... and pooler.clients shows it all");
	$client->quit;
	($client, $answer) = connected('alice', 'boss', %from);
	is("$answer $client->{parameters}{is_superuser}", 'ok on',
		"$way: the role's attributes are told, too");
	$client->quit;

	my $offset = log_size($node);
	like(by_name('bob', 'reports', %from),
		qr/^FATAL 42501: permission denied to set role "reader"$/,
		"$way: only members may have the role");
	logged($node, $offset, qr/FATAL:  permission denied to set role "reader"/,
		"$way: ... and the log says so");
	is(by_name('alice', 'legacy', %from), 'app|alice|alice', "$way: the pooler goes on");
	like(by_name('alice', 'asleep', %from),
		qr/^FATAL 28000: role "sleeper" is not permitted to log in$/,
		"$way: the role must be able to log in");
	like(by_name('alice', 'nobody', %from),
		qr/^FATAL 28000: role "no_such_role" does not exist$/,
		"$way: a role that does not exist");
	like(by_name('alice', 'keyless', %from),
		qr/^FATAL 42501: permission denied for database "shut_db"/,
		"$way: the role needs CONNECT, as it logs in");

	# what comes, in which order, once each
	my $wire = RawClient->open($node, %from);
	$wire->send_startup(role => 'alice', database => 'reports');
	$wire->send('p', "secret\0") if $way eq 'on a backend';
	my $types = '';
	while ($wire->fill(5))
	{
		my ($type, $len) = unpack('aN', $wire->{in});
		$wire->fill(1 + $len);
		$type .= unpack('N', substr($wire->{in}, 5)) if $type eq 'R';
		substr($wire->{in}, 0, 1 + $len) = '';
		$types .= $type;
		last if $type eq 'Z';
	}
	like($types, qr/^(R3)?R0S+KZ$/, "$way: the dialogue is that of any login");
	$wire->quit;
}

# A superuser needs no grant.
is(pooler_psql($node, $who, database => 'reports'), 'app|reader|reader',
	'a superuser may have any role');
my ($superuser) = connected(scalar getpwuid($<), 'reports');
is($superuser->{parameters}{is_superuser}, 'off', '... and is none then');
like($superuser->ask('SELECT pg_read_file($$PG_VERSION$$)'), qr/42501/, '... at all');
like($superuser->ask('RESET SESSION AUTHORIZATION; SELECT pg_read_file($$PG_VERSION$$)'),
	qr/42501/, '... and can\'t become one again');
$superuser->quit;

# pg_hba.conf
is(by_name('alice', 'legacy'), 'app|alice|alice', 'rules for the alias are none for the client');
like(by_name('turned_away', 'bar'), qr/^FATAL 28000: pg_hba.conf rejects connection .* database "barred"/,
	'rules for the real database are');
is(by_name('turned_away', 'reports'), 'app|reader|reader', 'and for the role that logs in');
is(by_name('secretive', 'reports'), 'R10', 'which has to give its password');
{
	my ($rc, $out, $err) = do {
		local $ENV{PGPASSWORD} = 'secret';
		pooler_psql($node, 'SELECT 1', role => 'secretive', database => 'reports',
			host => '127.0.0.1');
	};
	like($err, qr/password authentication failed for user "secretive"/,
		'... as long as that is valid');
}
like(by_name('retired', 'reports'), qr/^FATAL 28000: role "retired" is not permitted to log in$/,
	'a role that may not log in does not by another one');

my $offset = log_size($node);
by_name('alice', 'reports');
logged($node, $offset, qr/connection authorized: user=alice database=app\b/,
	'the log says who has logged in, and to which database');

# An ACL that only a backend can read.
$node->safe_psql('postgres', q(
	DO $$
	BEGIN
		FOR i IN 1 .. 1000 LOOP
			EXECUTE format('CREATE ROLE member%s', i);
			EXECUTE format('GRANT CONNECT ON DATABASE crowded TO member%s', i);
		END LOOP;
	END $$;
	GRANT CONNECT ON DATABASE crowded TO reader;
	CREATE ROLE outsider LOGIN;
	GRANT chief TO outsider;
));
reload('pooler.aliases', q('"crowd reports" = crowded reader, chiefs = crowded chief, late = app'));
ok( PoolerTest::wait_until(
		'the aliases are known',
		sub { by_name('alice', 'legacy') =~ /database "legacy" does not exist|rejects/ }),
	'an alias can be taken away by reload');
like(by_name('outsider', 'chiefs'),
	qr/^FATAL 42501: permission denied for database "crowded"/,
	'a long ACL: CONNECT of the role that logs in');
is(by_name('alice', 'crowd reports'), 'crowded|reader|reader',
	'... which may have it as a member');
like(by_name('outsider', 'chiefs'),
	qr/^FATAL 42501: permission denied for database "crowded"/,
	'... also when the role has a pool there');

# A real database wins, also one that was created later; who is connected stays.
my ($early) = connected('alice', 'late');
is($early->ask($who), 'app|alice|alice', 'the alias is there first');
$node->safe_psql('postgres', 'CREATE DATABASE late');
is(by_name('alice', 'late'), 'late|alice|alice', 'a real database wins');
is($early->ask($who), 'app|alice|alice', 'who was connected stays where he is');
$node->safe_psql('postgres', 'DROP DATABASE late');
is(by_name('alice', 'late'), 'app|alice|alice', 'without it there is the alias again');
$early->ask('SET app.mine = 1');
reload('pooler.aliases', q('late = postgres'));
ok( PoolerTest::wait_until(
		'the alias has changed',
		sub { by_name('alice', 'late') eq 'postgres|alice|alice' }),
	'an alias can be changed by reload');
is($early->ask("$who, current_setting('app.mine')"), 'app|alice|alice|1',
	'which does not touch who is connected');
reload('pooler.aliases', q(''));
ok( PoolerTest::wait_until(
		'there are no aliases',
		sub { by_name('alice', 'late') =~ /database "late" does not exist/ }),
	'all aliases can be taken away');
is($early->ask("$who, current_setting('app.mine')"), 'app|alice|alice|1',
	'which does not touch him either');
$early->quit;

# A mistake in the file is refused, and what was there before stays.
reload('pooler.aliases', q('late = app'));
ok( PoolerTest::wait_until('the alias is known', sub { by_name('alice', 'late') =~ /^app/ }),
	'aliases are back');
$offset = log_size($node);
$node->append_conf('postgresql.auto.conf', "pooler.aliases = 'late ='");
$node->reload;
logged($node, $offset, qr/invalid value for parameter "pooler.aliases"/,
	'a mistake in the file is logged');
is(by_name('alice', 'late'), 'app|alice|alice', '... and changes nothing');
$node->safe_psql('postgres', 'ALTER SYSTEM RESET pooler.aliases');
$node->reload;

# pooler.ignore_startup_parameters
my %unknown = (no_such_parameter => 1);
like(by_name('alice', 'app', %unknown), qr/^FATAL 42704: /, 'an unknown startup parameter');
like(by_name('alice', 'app', options => '-c no_such_parameter=1'), qr/^FATAL 42704: /,
	'... and one in "options"');
reload('pooler.ignore_startup_parameters',
	q('no_such_parameter', 'options', 'application_name', 'work_mem'));
ok( PoolerTest::wait_until(
		'parameters are ignored',
		sub { by_name('alice', 'app', %unknown) eq 'app|alice|alice' }),
	'can be ignored');
for my $from ('127.0.0.1', '127.0.0.2')
{
	my ($client, $answer) = connected('alice', 'app', from => $from, %unknown,
		WORK_MEM => '123kB', application_name => 'mine',
		DateStyle => 'German', options => '-c no_such_parameter=1');

	is($answer, 'ok', "from $from: parameters are ignored");
	is($client->ask(q{SELECT current_setting('application_name'),
			current_setting('work_mem'), current_setting('DateStyle')}),
		'|4MB|German, DMY', '... and have no effect, but others do');
	is($client->{parameters}{application_name}, '', '... as the client is told');
	$client->quit;
}
reload('pooler.ignore_startup_parameters', q(''));
ok( PoolerTest::wait_until(
		'parameters are not ignored',
		sub { by_name('alice', 'app', %unknown) =~ /^FATAL 42704: / }),
	'and be refused again');

# pooler.login_notify_message
reload('pooler.aliases', q('reports = app reader'));
reload('pooler.login_notify_message', q('Welcome\nto the \pool'));
my $notice = "NOTICE 00000: Welcome\nto the \\pool";
ok( PoolerTest::wait_until(
		'there is a notice',
		sub {
			my ($client) = connected('alice', 'app');
			$client->close;
			return @{ $client->{notices} };
		}),
	'a notice at login');
for my $from ('127.0.0.1', '127.0.0.2')
{
	for my $name ('app', 'reports')
	{
		my ($client, $answer) = connected('alice', $name, from => $from);

		is($answer, 'ok', "from $from to $name: ok");
		is_deeply($client->{notices}, [$notice], '... with the notice, once');
		is($client->ask('SELECT 1'), '1', '... and all goes on');
		is_deeply($client->{notices}, [$notice], '... without another');
		$client->quit;
	}
}
reload('pooler.login_notify_message', q(''));
ok( PoolerTest::wait_until(
		'there is no notice',
		sub {
			my ($client) = connected('alice', 'app');
			$client->close;
			return !@{ $client->{notices} };
		}),
	'no notice any more');

is($node->safe_psql('postgres', 'SELECT starts FROM pooler.status'), '1',
	'the pooler has lived through it all');

# Grants without the SET option, which came with 16.
SKIP:
{
	skip 'grants have no options', 2
	  if $node->safe_psql('postgres', 'SHOW server_version_num') < 160000;
	$node->safe_psql('postgres', 'GRANT reader TO bob WITH SET false');
	like(by_name('bob', 'reports'), qr/permission denied to set role "reader"/,
		'membership without SET is not enough');
	$node->safe_psql('postgres', 'GRANT reader TO bob WITH SET true, INHERIT false');
	is(by_name('bob', 'reports'), 'app|reader|reader', 'SET without INHERIT is');
}

# To look for duplicates among so many takes seconds.
my $many = join(', ', map { "a$_ = app" } 1 .. 60_000);
my ($rc, $out, $err) = $node->psql('postgres',
	"SET statement_timeout = '100ms';\nALTER SYSTEM SET pooler.aliases = '$many'");

like($err, qr/canceling statement due to statement timeout/, 'a long list can be interrupted');

$node->stop;
done_testing();
