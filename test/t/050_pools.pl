# How many backends a pool has, when it gets one, and when it has to go
# without.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use PoolerTest qw(log_size logged new_node pooler_psql start_node wait_for_pooler);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WireClient qw(m_query);

my ($node, $admin);

# The settings that a test needs, in force when this returns: what the pooler
# knows is known to the pools that it shows.
sub settings
{
	my (%settings) = @_;
	my $size = ($settings{'pooler.default_pool_size'} //= 20);

	$admin->query("ALTER SYSTEM SET $_ = '$settings{$_}'") for sort keys %settings;
	$admin->query('SELECT pg_reload_conf()');
	$admin->until("SELECT count(*) FROM pooler.pools WHERE size <> $size", 0);
}

sub reset_settings
{
	$admin->query('ALTER SYSTEM RESET ALL');
	settings();
	$admin->query('ALTER SYSTEM RESET ALL');
	$admin->query('SELECT pg_reload_conf()');
}

# Each test has a role of its own, and so a pool that nobody has used before.
sub role
{
	my ($role) = @_;
	$admin->query("CREATE ROLE $role LOGIN");
	return $role;
}

sub clients
{
	my ($n, $role, %options) = @_;
	return map { WireClient->new($node, role => $role, %options) } 1 .. $n;
}

sub pool_is
{
	my ($role, $columns, $wanted, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	ok( $admin->until(
			"SELECT $columns FROM pooler.pools WHERE role = '$role'", $wanted),
		$name)
	  or diag($admin->query('SELECT * FROM pooler.pools'),
		$admin->query('SELECT * FROM pooler.backends'));
}

sub stat_of
{
	my ($role, $column) = @_;
	return $admin->value("SELECT $column FROM pooler.stats WHERE role = '$role'");
}

# Some clients hold a transaction open, or wait for a backend to do so.
sub begin
{
	$_->put(m_query('BEGIN')) for @_;
}

sub active
{
	my ($role, $n) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	pool_is($role, 'clients_active', $n, "$n transactions at once");
}

sub commit
{
	for my $client (@_)
	{
		is($client->reply, 'BEGIN, T', 'has a backend');
		$client->query('COMMIT');
	}
}

sub leave
{
	$_->quit for @_;
}

$node = start_node('pools', conf => q{
max_connections = 40
pooler.max_backends = 24
});
$admin = WireClient->new($node, port => $node->port);

#----------------------------------------------------------------------------
# pool size
#----------------------------------------------------------------------------

my $role = role('sized');
settings('pooler.default_pool_size' => 3);
my @clients = clients(10, $role);
begin(@clients);
pool_is($role, 'backends, clients_active, clients_waiting', '3|3|7',
	'a pool has default_pool_size backends');

# more of them at once, without waiting for anything else
settings('pooler.default_pool_size' => 5);
pool_is($role, 'backends, clients_active, clients_waiting', '5|5|5',
	'it grows when it may');

# fewer, as those that it has get free
settings('pooler.default_pool_size' => 2);
my @active = grep { $_->readable } @clients;
is(scalar @active, 5, 'nobody has lost a backend');
commit(@active[ 0 .. 2 ]);
pool_is($role, 'backends, clients_active, clients_waiting', '2|2|5',
	'it shrinks as its backends get free, although clients wait');
my %done = map { $_ => 1 } @active[ 0 .. 2 ];
while (my @rest = grep { !$done{$_} } @clients)
{
	# (one that has been served, or there would be none to commit)
	my ($next) = grep { $_->readable } @rest or next;
	commit($next);
	$done{$next} = 1;
}
pool_is($role, 'backends, clients_idle', '2|10', 'all were served');
settings('pooler.default_pool_size' => 1);
pool_is($role, 'backends', '1', 'an idle pool shrinks, too');
leave(@clients);

#----------------------------------------------------------------------------
# idle backends
#----------------------------------------------------------------------------

$role = role('idler');
settings('pooler.min_pool_size' => 2);
@clients = clients(6, $role);
begin(@clients);
active($role, 6);
commit(@clients);
pool_is($role, 'backends >= 6, backends_starting', 't|0', 'six backends');
my $more = $admin->value("SELECT backends - 2 FROM pooler.pools WHERE role = '$role'");
my $births = stat_of($role, 'births');
my $ends = stat_of($role, 'ends');
settings('pooler.min_pool_size' => 2, 'pooler.server_idle_timeout' => '1s');
pool_is($role, 'backends_free + backends_lingering, backends', '2|2',
	'min_pool_size are kept of those that are idle');
is(stat_of($role, 'ends') - $ends, $more, 'the others have gone');
is(stat_of($role, 'births') - $births, 0, 'none was made');
ok( $admin->until(
		"SELECT min(clock_timestamp() - state_since) > '2.5 s' FROM pooler.backends WHERE role = '$role'",
		't'),
	'time passes');
is(stat_of($role, 'births') - $births, 0, 'none is made later');
is(stat_of($role, 'ends') - $ends, $more, 'and none goes');
is($clients[5]->query('SELECT 1'), '1, SELECT 1, I', 'clients have not noticed');
settings('pooler.server_idle_timeout' => '1s', 'pooler.min_pool_size' => 0);
pool_is($role, 'backends, clients', '0|6', 'without a minimum all go');
is($clients[5]->query('SELECT 1'), '1, SELECT 1, I', 'and come back');
reset_settings();
settings('pooler.min_pool_size' => 3);
pool_is($role, 'backends', '3', 'a pool in use is filled up to the minimum');
leave(@clients);
reset_settings();

# Nobody loses a transaction, or even the connection, to the clock.
$role = role('oldie');
settings('pooler.server_lifetime' => '1s', 'pooler.default_pool_size' => 1);
@clients = clients(3, $role);
my $pid = $clients[0]->value('SELECT pg_backend_pid()');
ok( $admin->until(
		"SELECT count(*) FROM pooler.backends WHERE pid = $pid", 0),
	'an idle backend goes when it is too old');
$clients[0]->query('BEGIN');
$pid = $clients[0]->value('SELECT pg_backend_pid()');
ok( $admin->until(
		"SELECT clock_timestamp() - born_at > '2.5 s' FROM pooler.backends WHERE pid = $pid",
		't'),
	'a transaction makes it older');
is($clients[0]->value('SELECT pg_backend_pid()'), $pid, 'and is not disturbed');
$clients[1]->put(m_query('SELECT pg_backend_pid()'));
pool_is($role, 'clients_waiting', 1, 'another client waits');
$clients[0]->query('COMMIT');
isnt(($clients[1]->replies)[0], $pid,
	'then it goes, though there is somebody whom it could serve');
leave(@clients);
reset_settings();

#----------------------------------------------------------------------------
# reserve
#----------------------------------------------------------------------------

$role = role('reserved');
settings('pooler.default_pool_size' => 2, 'pooler.reserve_pool_size' => 1,
	'pooler.reserve_pool_timeout' => '2s');
@clients = clients(4, $role);
begin(@clients[ 0, 1 ]);
pool_is($role, 'backends_busy', 2, 'the pool is in use');
begin($clients[2]);
pool_is($role, 'clients_waiting', 1, 'a client waits');
my $early = $admin->value(
	"SELECT max(wait) < '1.9 s' OR count(*) = 0 FROM pooler.clients WHERE state = 'waiting'");
is($admin->value("SELECT backends FROM pooler.pools WHERE role = '$role'"),
	$early eq 't' ? 2 : 3, 'not yet');
pool_is($role, 'backends, clients_waiting', '3|0', 'the reserve is used');
is($clients[2]->reply, 'BEGIN, T', 'and the client is served');
cmp_ok(
	$admin->value(
		"SELECT extract(epoch FROM max_wait_time) FROM pooler.stats WHERE role = '$role'"),
	'>=', 2, 'after reserve_pool_timeout');
begin($clients[3]);
ok($admin->until("SELECT max(wait) > '3 s' FROM pooler.clients", 't'),
	'another client waits longer than that');
is($admin->value("SELECT backends FROM pooler.pools WHERE role = '$role'"), 3,
	'the reserve has its limit');
$clients[2]->query('COMMIT');
is($clients[3]->reply, 'BEGIN, T', 'it is served at last');
leave(@clients);
reset_settings();

#----------------------------------------------------------------------------
# limits that pools share
#----------------------------------------------------------------------------

# Of a database.  Another one's pool is not concerned.
my @roles = map { role("tenant_$_") } 1 .. 3;
$admin->query('CREATE DATABASE elsewhere');
settings('pooler.max_db_connections' => 4);
ok($admin->until(q{SELECT count(*) FROM pooler.clients}, 0), 'nobody is there');
my @one = clients(5, $roles[0]);
begin(@one);
pool_is($roles[0], 'backends, clients_waiting', '4|1',
	'a database has max_db_connections backends');
my @other = clients(3, $roles[0], database => 'elsewhere');
begin(@other);
commit(@other);
my @two = clients(1, $roles[1]);
begin(@two);
pool_is($roles[1], 'backends, clients_waiting', '0|1',
	'another pool of that database has to wait');
commit(@one);
commit(@two);
is( $admin->value(q{SELECT count(*) <= 4 FROM pooler.backends
		WHERE database = 'postgres'}), 't', 'within the limit');
leave(@one, @two, @other);
reset_settings();

# Of the server: a pool that needs a backend gets that of another one which
# has been idle longest.
ok($admin->until('SELECT count(*) FROM pooler.clients', 0), 'nobody is there');
settings('pooler.default_pool_size' => 24);
@one = clients(12, $roles[0]);
begin(@one);
active($roles[0], 12);
commit(@one);
@two = clients(12, $roles[1]);
begin(@two);
active($roles[1], 12);
commit(@two);
ok( $admin->until(q{SELECT backends, max_backends FROM pooler.status}, '24|24'),
	'the pooler has all the backends that it may have');
# the first pool has used half of its own since
begin(@one[ 0 .. 5 ]);
active($roles[0], 6);
commit(@one[ 0 .. 5 ]);
my $oldest = $admin->value(
	"SELECT pid FROM pooler.backends WHERE state IN ('free', 'lingering') ORDER BY state_since LIMIT 1");
my @three = clients(1, $roles[2]);
is($three[0]->query('SELECT 1'), '1, SELECT 1, I', 'a third pool gets one');
ok($admin->until("SELECT count(*) FROM pooler.backends WHERE pid = $oldest", 0),
	'the one that has been idle longest had to go');
is($admin->value('SELECT sum(backends) <= 24 FROM pooler.pools'), 't',
	'within the limit');
is($_->query('SELECT 1'), '1, SELECT 1, I', 'no client has noticed')
  for (@one[ 0, 11 ], @two[ 0, 11 ]);
leave(@one, @two, @three);
reset_settings();

# One pool has everything and is never idle: the others get their share all
# the same, before that one's clients are served a second time.
{
	ok($admin->until('SELECT count(*) FROM pooler.clients', 0), 'nobody is there');
	my @greedy = clients(60, $roles[0]);
	settings('pooler.default_pool_size' => 24);
	my $greed = sub { $_->put(m_query('SELECT pg_sleep(0.05)')) for @_ };
	$admin->query('SELECT pg_advisory_lock(50)');
	$_->put(m_query('SELECT pg_advisory_xact_lock_shared(50)')) for @greedy;
	pool_is($roles[0], 'backends_busy', 24, 'one pool has all backends');
	$admin->query('SELECT pg_advisory_unlock(50)');

	my @modest = (clients(1, $roles[1]), clients(1, $roles[2]));
	$_->put(m_query('SELECT 1')) for @modest;
	my $end = time() + 60;
	while ((grep { !$_->readable } @modest) && time() < $end)
	{
		# whoever has been served wants more
		for my $client (@greedy)
		{
			next unless $client->readable;
			$client->replies;
			$greed->($client);
		}
	}
	for my $client (@modest)
	{
		ok($client->readable, 'a client of another pool is served')
		  and is($client->reply, '1, SELECT 1, I', 'with its answer');
	}
	cmp_ok(stat_of($_, 'extract(epoch FROM max_wait_time)'), '<', 5, 'in time')
	  for @roles[ 1, 2 ];
	is($admin->value('SELECT sum(backends) <= 24 FROM pooler.pools'), 't',
		'within the limit');
	$_->close for (@greedy, @modest);
	reset_settings();
}

#----------------------------------------------------------------------------
# no backend to be had
#----------------------------------------------------------------------------

# A client is logged in; its pool has no backend left, and gets none.
sub refused
{
	my ($name, $forbid, $allow, $wanted, %options) = @_;
	my $role = role('refused');
	my @clients = clients(3, $role, database => $options{database} // 'postgres');
	my $oid = $admin->value("SELECT '$role'::regrole::oid");
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	$_->query('SELECT 1') for @clients;
	$admin->query($_) for @$forbid;
	$admin->query("SELECT pg_terminate_backend(pid) FROM pooler.backends WHERE roleid = $oid");
	$admin->until("SELECT count(*) FROM pooler.backends WHERE dbid IS NULL OR roleid = $oid", 0);
	# whoever was attached has been told so
	my @left = grep { !$_->readable } @clients;
	cmp_ok(scalar @left, '>=', 2, "$name: clients without a backend");
	$_->put(m_query('SELECT 1')) for @left;
	is($_->reply, "$wanted, eof", $name) for @left;
	$admin->query($_) for @$allow;
	my ($next) = clients(1, $role, database => $options{database} // 'postgres');
	is($next->query('SELECT 1'), '1, SELECT 1, I', "$name: later");
	leave($next);
	$admin->until("SELECT count(*) FROM pooler.clients WHERE role = '$role'", 0);
	$admin->query("SELECT pg_terminate_backend(pid) FROM pooler.backends WHERE role = '$role'");
	$admin->query("DROP ROLE $role");
}

# (so that only one of them is attached)
settings('pooler.default_pool_size' => 1);
refused(
	'role may not log in', ['ALTER ROLE refused NOLOGIN'],
	['ALTER ROLE refused LOGIN'],
	'FATAL 28000: role "refused" is not permitted to log in');
refused(
	'connection limit of the role', ['ALTER ROLE refused CONNECTION LIMIT 0'],
	['ALTER ROLE refused CONNECTION LIMIT -1'],
	'FATAL 53300: too many connections for role "refused"');
refused(
	'role is dropped', ['DROP ROLE refused'], ['CREATE ROLE refused LOGIN'],
	'FATAL 28000: role "refused" does not exist');
refused(
	'no right to connect',
	['REVOKE CONNECT ON DATABASE elsewhere FROM PUBLIC'],
	['GRANT CONNECT ON DATABASE elsewhere TO PUBLIC'],
	'FATAL 42501: permission denied for database "elsewhere" DETAIL: User does not have CONNECT privilege.',
	database => 'elsewhere');
refused(
	'connection limit of the database',
	['ALTER DATABASE elsewhere CONNECTION LIMIT 0'],
	['ALTER DATABASE elsewhere CONNECTION LIMIT -1'],
	'FATAL 53300: too many connections for database "elsewhere"',
	database => 'elsewhere');

reset_settings();

# All connections of the server are in use, the pooler's own share as well.
{
	my $role = role('crowded');
	my ($client) = clients(1, $role);
	$client->query('SELECT 1');
	my ($idle) = clients(1, $role);
	my @filling;
	$admin->query("SELECT pg_terminate_backend(pid) FROM pooler.backends");
	$admin->until('SELECT count(*) FROM pooler.backends', 0);
	while (@filling < 100)
	{
		my $client = RawClient->open($node, port => $node->port, from => 'local');
		last if $client->login(role => $role) ne 'ok';
		push @filling, $client;
	}
	$idle->put(m_query('SELECT 1'));
	like($idle->reply,
		qr/^FATAL 53300: (remaining connection slots are reserved|sorry, too many clients already).*, eof$/,
		'no connection is left for a backend');
	leave(@filling, $client);
}

# A pool that has a backend goes on with it, and tries again later.
{
	settings('pooler.server_login_retry' => '1s', 'pooler.default_pool_size' => 2);
	my $role = role('limited');
	my ($one, $two) = clients(2, $role);
	$one->query('BEGIN');
	$admin->query("ALTER ROLE $role CONNECTION LIMIT 1");
	# (logging in may have needed another one)
	pool_is($role, 'backends_starting, clients_active', '0|1', 'backends are ready');
	$admin->query("SELECT pg_terminate_backend(pid) FROM pooler.backends WHERE role = '$role' AND state = 'free'");
	pool_is($role, 'backends, clients_active', '1|1', 'a pool has one backend');
	my $failed = stat_of($role, 'failed_births');
	$two->put(m_query("SELECT 'two'"));
	ok( $admin->until(
			"SELECT failed_births > $failed FROM pooler.stats WHERE role = '$role'",
			't'), 'another one was tried in vain');
	ok(!$two->readable, 'the client still waits');
	ok( $admin->until(
			"SELECT failed_births > $failed + 1 FROM pooler.stats WHERE role = '$role'",
			't'), 'and again after server_login_retry');
	$one->query('COMMIT');
	is($two->reply, 'two, SELECT 1, I', 'until it gets the one that is there');
	$one->query('BEGIN');
	$two->put(m_query("SELECT 'two'"));
	pool_is($role, 'clients_waiting', 1, 'it waits once more');
	$admin->query("ALTER ROLE $role CONNECTION LIMIT -1");
	is($two->reply, 'two, SELECT 1, I', 'until the limit is lifted');
	leave($one, $two);
	reset_settings();
}

# Births are slow: nobody is told that there is no backend.
{
	my $role = role('newcomer');
	my @clients = clients(15, $role);
	$admin->query("SELECT pg_terminate_backend(pid) FROM pooler.backends");
	$admin->until('SELECT count(*) FROM pooler.backends', 0);
	begin(@clients);
	commit(@clients);
	leave(@clients);
}
$admin->quit;
$node->stop;

#----------------------------------------------------------------------------
# prefork
#----------------------------------------------------------------------------

$node = new_node('prefork', conf => q{
max_connections = 30
pooler.min_pool_size = 3
pooler.prefork = 'shop/clerk, "Odd/name"/"a, b", nowhere/clerk, shop/nobody'
});
$node->start;
$node->safe_psql('postgres', q{
	CREATE EXTENSION pooler;
	CREATE DATABASE shop;
	CREATE DATABASE "Odd/name";
	CREATE ROLE clerk LOGIN;
	CREATE ROLE "a, b" LOGIN});
my $log = log_size($node);
$node->restart;
$admin = WireClient->new($node, port => $node->port);
ok( $admin->until(
		q{SELECT string_agg(database || ' ' || role || ' ' || backends_free, ';' ORDER BY role)
		  FROM pooler.pools}, 'Odd/name a, b 3;shop clerk 3'),
	'backends are there before any client');
logged($node, $log,
	qr{WARNING:  pooler\.prefork names a role or database that does not exist: nowhere/clerk},
	'a database that does not exist is named in the log');
logged($node, $log, qr{does not exist: shop/nobody}, 'so is a role');
wait_for_pooler($node);
my $pids = $admin->value(
	q{SELECT string_agg(pid::text, ' ') FROM pooler.backends WHERE role = 'clerk'});
my ($clerk) = clients(1, 'clerk', database => 'shop');
like(" $pids ", qr/ ${\$clerk->value('SELECT pg_backend_pid()')} /,
	'a client is served by one of them');
$admin->query(q{ALTER SYSTEM SET pooler.prefork = 'shop/clerk, postgres/clerk'});
$admin->query('SELECT pg_reload_conf()');
ok( $admin->until(
		q{SELECT backends_free FROM pooler.pools WHERE database = 'postgres' AND role = 'clerk'},
		3),
	'a pool that is added later');
$admin->query(
	q{SELECT pg_terminate_backend(pid) FROM pooler.backends WHERE database = 'postgres'});
ok( $admin->until(
		q{SELECT ends, backends FROM pooler.stats JOIN pooler.pools USING (dbid, roleid)
		  WHERE pools.database = 'postgres'}, '3|3'),
	'is filled up again');
leave($clerk);

#----------------------------------------------------------------------------
# a backend that answers a login's question
#----------------------------------------------------------------------------

# Such a one belongs to the pool while it starts, but is no reason to send
# another away: a tick came in between, and the pool was one too many.
{
	my $asker = role('asker');
	settings('pooler.default_pool_size' => 1, 'pooler.server_connect_timeout' => '3s');
	my ($client) = clients(1, $asker);
	my $backend = $client->value('SELECT pg_backend_pid()');

	# it can't start for as long as this is locked: some ticks
	$admin->query('BEGIN; LOCK pg_db_role_setting IN ACCESS EXCLUSIVE MODE');
	my (undef, undef, $error) = pooler_psql($node, 'SELECT 1', role => $asker,
		options => '-c datestyle=German');
	like($error, qr/the pooler could not start a backend/,
		'a backend for a login does not get ready');
	$admin->query('COMMIT');
	is($client->value('SELECT pg_backend_pid()'), $backend, 'and that of the pool has stayed');
	$client->quit;
	reset_settings();
}

#----------------------------------------------------------------------------
# more pools than backends
#----------------------------------------------------------------------------

# All of them always have clients that wait: each gets a backend in turn.
$admin->query('ALTER SYSTEM RESET ALL');
$admin->query("ALTER SYSTEM SET pooler.max_backends = 2");
$admin->query("ALTER SYSTEM SET pooler.min_pool_size = 0");
$admin->query("ALTER SYSTEM SET pooler.prefork = ''");
$admin->quit;
$node->restart;
wait_for_pooler($node);
$admin = WireClient->new($node, port => $node->port);
{
	my @crowd = map { role("crowd_$_") } 1 .. 4;
	my @all = map { clients(3, $_) } @crowd;
	my %served;
	my $end = time() + 60;

	$_->put(m_query('SELECT session_user, pg_sleep(0.01)')) for @all;
	while (time() < $end && grep { ($served{$_} // 0) < 20 } @crowd)
	{
		for my $client (@all)
		{
			next unless $client->readable;
			my $reply = $client->reply;
			$reply =~ /^(crowd_\d)\|, SELECT 1, I$/
			  or die "unexpected reply: $reply";
			$served{$1}++;
			$client->put(m_query('SELECT session_user, pg_sleep(0.01)'));
		}
	}
	cmp_ok($served{$_} // 0, '>=', 20, "$_ is served") for @crowd;
	is($admin->value('SELECT sum(backends) <= 2 FROM pooler.pools'), 't',
		'within the limit');
	$_->close for @all;
}
$admin->quit;
$node->stop;

done_testing();
