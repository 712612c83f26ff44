# Limits: each acts, on whom it should, and nothing else is hurt; for the
# server, a database, a role, and a role in a database; changed while clients
# are connected.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use PoolerTest qw(log_size logged start_node);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use RawClient ();
use Test::More;
use WireClient qw(m_query);

my $node = start_node('limits', conf => q{
max_connections = 60
pooler.max_backends = 24
}, hba => q{
local	all	core	password
host	all	core	127.0.0.1/32	password
local	all	all	trust
host	all	all	127.0.0.1/32	trust
});
my $admin = WireClient->new($node, port => $node->port);
$admin->query("CREATE DATABASE $_") for qw(shop small);

# In force for all pools when this returns, as far as it can be seen from
# their sizes.
my $size = 20;

sub settings
{
	my (%settings) = @_;

	$size++;
	$settings{'pooler.default_pool_size'} //= $size;
	$admin->query('ALTER SYSTEM RESET ALL');
	$admin->query("ALTER SYSTEM SET $_ = '$settings{$_}'") for sort keys %settings;
	reload_until($settings{'pooler.default_pool_size'} || 24);
}

sub reload_until
{
	my ($size) = @_;
	my $canary = WireClient->new($node, role => 'canary');

	$admin->query('SELECT pg_reload_conf()');
	$admin->until("SELECT size FROM pooler.pools WHERE role = 'canary' AND NOT dedicated", $size);
	$canary->quit;
}

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
	my ($role, $database, $columns, $wanted, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	ok( $admin->until(
			"SELECT $columns FROM pooler.pools WHERE role = '$role' AND database = '$database' AND NOT dedicated",
			$wanted),
		$name)
	  or diag($admin->query('SELECT * FROM pooler.pools'),
		$admin->query('SELECT * FROM pooler.backends'));
}

sub begin
{
	$_->put(m_query('BEGIN')) for @_;
}

sub commit
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
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

sub nobody
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	ok($admin->until('SELECT count(*) FROM pooler.clients', 0), 'nobody is there');
}

# What a client gets that can't be let in, or "ok".
sub login
{
	my ($role, $database, %options) = @_;
	my $client = RawClient->open($node, from => 'local');
	my $answer = $client->login(role => $role, database => $database, %options);

	return wantarray ? ($answer, $client) : $answer;
}

role('canary');

#----------------------------------------------------------------------------
# max_user_connections
#----------------------------------------------------------------------------

my ($worker, $other) = map { role($_) } qw(worker other);
settings('pooler.max_user_connections' => 3);
{
	my @here = clients(5, $worker);
	begin(@here);
	pool_is($worker, 'postgres', 'backends, clients_waiting', '3|2',
		'a role has max_user_connections backends');
	my @there = clients(1, $worker, database => 'shop');
	begin(@there);
	pool_is($worker, 'shop', 'backends, clients_waiting', '0|1',
		'in all databases together');
	my @others = clients(3, $other, database => 'shop');
	begin(@others);
	commit(@others);
	commit(@here[ 0 .. 2 ]);
	commit(@here[ 3, 4 ], @there);
	is( $admin->value("SELECT count(*) <= 3 FROM pooler.backends WHERE role = '$worker'"),
		't', 'within the limit');
	leave(@here, @there, @others);
}

# At the limit the backend of that role goes that has been idle longest, and
# none of another role, however long that has been idle.
settings('pooler.max_user_connections' => 4);
{
	my @others = clients(4, $other);
	begin(@others);
	commit(@others);
	my @one = clients(2, $worker);
	my @two = clients(2, $worker, database => 'small');
	# all at the same time, so that there are four
	begin(@one, @two);
	is($_->reply, 'BEGIN, T', 'has a backend') for @one, @two;
	$_->query('COMMIT') for @one, @two;
	ok( $admin->until(
			"SELECT count(*), count(*) FILTER (WHERE state NOT IN ('free', 'lingering'))
			FROM pooler.backends WHERE role = '$worker'", '4|0'),
		'two pools are idle, and have all that the role may have');
	my $mine = $admin->value(
		"SELECT pid FROM pooler.backends WHERE role = '$worker' ORDER BY state_since LIMIT 1");
	my $ends = $admin->value("SELECT ends FROM pooler.stats WHERE role = '$other' AND database = 'postgres'");
	my ($three) = clients(1, $worker, database => 'shop');
	is($three->query('SELECT 1'), '1, SELECT 1, I', 'a third pool of the role gets one');
	ok($admin->until("SELECT count(*) FROM pooler.backends WHERE pid = $mine", 0),
		'the one that was idle longest has gone for it');
	is( $admin->value("SELECT ends FROM pooler.stats WHERE role = '$other' AND database = 'postgres'"),
		$ends, 'none of another role');
	is($_->query('SELECT 1'), '1, SELECT 1, I', 'no client has noticed') for @one, @two, @others;
	leave(@one, @two, $three, @others);
}

# A pool that is never idle gives way, too.
settings('pooler.max_user_connections' => 2);
nobody();
{
	my @greedy = clients(12, $worker);
	$_->put(m_query('SELECT pg_sleep(0.05)')) for @greedy;
	pool_is($worker, 'postgres', 'backends_busy', 2, 'one pool has all of the role');
	my ($modest) = clients(1, $worker, database => 'shop');
	$modest->put(m_query('SELECT 1'));
	my $end = time() + PoolerTest::TIMEOUT;
	while (!$modest->readable && time() < $end)
	{
		for my $client (grep { $_->readable } @greedy)
		{
			$client->replies;
			$client->put(m_query('SELECT pg_sleep(0.05)'));
		}
	}
	is($modest->reply, '1, SELECT 1, I', 'a client in another database is served');
	$_->close for @greedy, $modest;
}

#----------------------------------------------------------------------------
# for one role, for one database
#----------------------------------------------------------------------------

settings();
nobody();
{
	my @clients = clients(5, $worker);
	my @others = clients(5, $other);
	begin(@clients, @others);
	pool_is($worker, 'postgres', 'clients_active', 5, 'no limit');
	$admin->query("ALTER ROLE $worker SET pooler.max_user_connections = 2");
	commit(@clients);
	pool_is($worker, 'postgres', 'backends <= 2', 't', 'a limit for a role comes into force');
	pool_is($other, 'postgres', 'clients_active', 5, 'for that one only');
	begin(@clients);
	pool_is($worker, 'postgres', 'clients_active, clients_waiting', '2|3',
		'its clients have no more');
	$admin->query("ALTER ROLE $worker RESET pooler.max_user_connections");
	pool_is($worker, 'postgres', 'clients_active', 5, 'until it is lifted');
	commit(@clients, @others);

	$admin->query("ALTER DATABASE shop SET pooler.max_db_connections = 3");
	my @shop = (clients(3, $worker, database => 'shop'), clients(3, $other, database => 'shop'));
	begin(@shop, @clients);
	ok( $admin->until(
			q{SELECT sum(clients_active), sum(clients_waiting) FROM pooler.pools WHERE database = 'shop'},
			'3|3'),
		'a limit for a database');
	pool_is($worker, 'postgres', 'clients_active', 5, 'not for another one');
	$admin->query("ALTER DATABASE shop SET pooler.max_db_connections = 5");
	ok( $admin->until(
			q{SELECT sum(clients_active), sum(clients_waiting) FROM pooler.pools WHERE database = 'shop'},
			'5|1'),
		'is raised while all wait');
	commit(grep { $_->readable(1) } @shop);
	commit(@clients);
	$admin->query("ALTER DATABASE shop RESET pooler.max_db_connections");
	leave(@clients, @others);
	$_->close for @shop;
}

# Lowered by reload: idle backends go at once, others with their transaction.
settings('pooler.max_db_connections' => 10);
nobody();
{
	my @busy = clients(4, $worker, database => 'shop');
	my @idle = clients(4, $other, database => 'shop');
	begin(@busy, @idle);
	pool_is($_, 'shop', 'clients_active', 4, 'eight are at work') for $worker, $other;
	commit(@idle);
	settings('pooler.max_db_connections' => 2);
	pool_is($other, 'shop', 'backends', 0, 'backends that are idle go');
	pool_is($worker, 'shop', 'clients_active', 4, 'nobody loses a transaction');
	commit(@busy);
	ok( $admin->until(
			q{SELECT sum(backends) FROM pooler.pools WHERE database = 'shop'}, 2),
		'the others follow');
	leave(@busy, @idle);
}

# A pool whose database has all that it may have, and whose client waits, is
# in nobody's way elsewhere.
settings();
nobody();
{
	$admin->query('ALTER DATABASE small SET pooler.max_db_connections = 1');
	my @small = (clients(1, $worker, database => 'small'), clients(1, $other, database => 'small'));
	begin($small[0]);
	pool_is($worker, 'small', 'clients_active', 1, 'a database is full');
	begin($small[1]);
	pool_is($other, 'small', 'clients_waiting', 1, 'a client waits there');
	my @many = (clients(12, $worker), clients(11, $other));
	begin(@many);
	ok( $admin->until(
			q{SELECT sum(clients_active) FROM pooler.pools WHERE database = 'postgres'}, 23),
		'others get all that is left') or diag($admin->query('SELECT * FROM pooler.pools'));
	pool_is($other, 'small', 'clients_waiting', 1, 'it still waits');
	commit(@many);
	commit(@small);
	leave(@many, @small);
	$admin->query('ALTER DATABASE small RESET pooler.max_db_connections');
}

#----------------------------------------------------------------------------
# max_db_client_connections, max_user_client_connections
#----------------------------------------------------------------------------

my $db_full = 'FATAL 53300: too many connections for database "shop"'
  . ' DETAIL: pooler.max_db_client_connections is 3.';
my $role_full = 'FATAL 53300: too many connections for role "worker"'
  . ' DETAIL: pooler.max_user_client_connections is 3.';

settings('pooler.max_db_client_connections' => 3);
nobody();
{
	my @clients = (clients(2, $worker, database => 'shop'), clients(1, $other, database => 'shop'));
	my ($failed, $refused) = split /\|/,
	  $admin->value(q{SELECT failed_logins || '|' || refused FROM pooler.status});
	my $log = log_size($node);

	is(scalar login($worker, 'shop'), $db_full, 'clients of a database are limited');
	logged($node, $log, qr/FATAL:  too many connections for database "shop"/, 'it is in the log');
	is($admin->value(q{SELECT failed_logins || '|' || refused FROM pooler.status}),
		($failed + 1) . "|$refused", 'and counted, but not for pooler.max_client_conn');
	is(scalar login(scalar(getpwuid($<)), 'shop'), $db_full, 'superusers are no exception');
	my $told = RawClient->open($node);
	$told->send_startup(role => $worker, database => 'shop');
	is(join('', map { ($told->read_message)[0] } 1 .. 2), 'RE', 'after authentication');
	is(scalar login($worker, 'postgres'), 'ok', 'not in another database');
	is($_->query('SELECT 1'), '1, SELECT 1, I', 'who is there is not hurt') for @clients;
	leave(shift @clients);
	ok($admin->until(q{SELECT count(*) FROM pooler.clients WHERE database = 'shop'}, 2),
		'one leaves');
	my ($answer, $next) = login($worker, 'shop');
	is($answer, 'ok', 'another one may come');
	is(scalar login($worker, 'shop'), $db_full, 'and no more');

	# while they are connected
	settings('pooler.max_db_client_connections' => 1);
	is(scalar login($worker, 'shop'), $db_full =~ s/is 3/is 1/r, 'a lower limit holds');
	is($_->query('SELECT 1'), '1, SELECT 1, I', 'for new clients') for @clients;
	$admin->query('ALTER DATABASE shop SET pooler.max_db_client_connections = 4');
	($answer, my $fourth) = login($worker, 'shop');
	is($answer, 'ok', 'one for this database');
	is(scalar login($other, 'shop'), $db_full =~ s/is 3/is 4/r, 'has an end, too');
	$admin->query('ALTER DATABASE shop SET pooler.max_db_client_connections = 0');
	($answer, my $fifth) = login($worker, 'shop');
	is($answer, 'ok', '0 lifts it');
	$admin->query('ALTER DATABASE shop RESET pooler.max_db_client_connections');
	is(scalar login($other, 'shop'), $db_full =~ s/is 3/is 1/r, 'RESET returns to the general one');
	leave(@clients, $next, $fourth, $fifth);
}

settings('pooler.max_user_client_connections' => 3);
nobody();
{
	my @clients = (clients(2, $worker), clients(1, $worker, database => 'shop'));
	is(scalar login($worker, 'small'), $role_full, 'clients of a role are limited');
	is(scalar login($other, 'small'), 'ok', 'not those of another role');
	is( scalar login($worker, 'small', options => '-c datestyle=German'),
		$role_full, 'whatever its settings are');
	is( scalar login($worker, 'small', options => '-c log_statement_stats=on'),
		'FATAL 42501: permission denied to set parameter "log_statement_stats"',
		'what the server refuses is refused in its words');
	$admin->query("ALTER ROLE $worker SET pooler.max_user_client_connections = 4");
	my ($answer, $fourth) = login($worker, 'small');
	is($answer, 'ok', 'a limit for one role');
	$admin->query("ALTER ROLE $worker IN DATABASE small SET pooler.max_user_client_connections = 6");
	is(scalar login($worker, 'shop'), $role_full =~ s/is 3/is 4/r, 'comes before');
	($answer, my $fifth) = login($worker, 'small');
	is($answer, 'ok', 'one for a role in a database');
	$admin->query("ALTER ROLE $worker RESET ALL; ALTER ROLE $worker IN DATABASE small RESET ALL");
	leave(@clients, $fourth, $fifth);
}

# Both at once: the role is looked at first, as by the server.
settings('pooler.max_db_client_connections' => 3, 'pooler.max_user_client_connections' => 3);
nobody();
{
	my @clients = clients(3, $worker, database => 'shop');
	is(scalar login($worker, 'shop'), $role_full, 'the role is full');
	is(scalar login($other, 'shop'), $db_full, 'and the database is');
	leave(@clients);
}

# All at the same moment, also those of a pool that has yet to be asked.
for my $role ($worker, role('fresh'))
{
	settings();
	nobody();
	$admin->query("ALTER ROLE $role SET pooler.max_user_client_connections = 7");
	my @crowd = map { RawClient->open($node, from => $_ % 2 ? 'local' : '127.0.0.1') } 1 .. 40;
	for my $i (0 .. $#crowd)
	{
		$crowd[$i]->send_startup(role => $role, database => $i % 3 ? 'shop' : 'small',
			$i % 4 ? () : (options => '-c datestyle=German'));
	}
	my @answers = map { $_->finish_login } @crowd;
	is((grep { $_ eq 'ok' } @answers), 7, "as many as the limit says ($role)");
	is((grep { /^FATAL 53300: too many connections for role "$role"/ } @answers), 33,
		'and nobody else');
	$admin->query("ALTER ROLE $role RESET ALL");
	$_->close for @crowd;
}

# A pool that was forgotten has to be asked again, although it is known what its
# clients are told.
settings('pooler.pool_idle_timeout' => '100ms', 'pooler.server_idle_timeout' => '100ms');
nobody();
{
	$admin->query("ALTER ROLE $other SET pooler.max_user_client_connections = 1");
	is(scalar login($other, 'small'), 'ok', 'a client comes and goes');
	ok( $admin->until("SELECT count(*) FROM pooler.pools WHERE role = '$other' AND database = 'small'", 0),
		'its pool is forgotten');
	my @crowd = map { RawClient->open($node, from => 'local') } 1 .. 8;
	$_->send_startup(role => $other, database => 'small') for @crowd;
	my @answers = sort map { $_->finish_login } @crowd;
	is("@answers", join(' ', ($role_full =~ s/worker/other/r =~ s/is 3/is 1/r) x 7, 'ok'),
		'the limit is not');
	$admin->query("ALTER ROLE $other RESET ALL");
	$_->close for @crowd;
}

# Core carries out the login, and knows nothing of these limits.
settings('pooler.max_user_client_connections' => 1);
nobody();
{
	$admin->query(q{CREATE ROLE core LOGIN PASSWORD 'secret'});
	my $env = sub {
		my $client = RawClient->open($node, from => 'local');
		$client->send_startup(role => 'core', database => 'shop');
		$client->finish_login;
		$client->send('p', "secret\0");
		return ($client->finish_login, $client);
	};
	my ($first, $one) = $env->();
	is($first, 'ok', 'the first client that core logs in');
	is($one->ask('SELECT 1'), '1', 'is served');
	my $log = log_size($node);
	my ($second, $two) = $env->();
	is($second, 'ok', 'core lets the second one in');
	is($two->answer,
		'FATAL 53300: too many connections for role "core" DETAIL: pooler.max_user_client_connections is 1.'
		  . "\nclosed", 'the pooler does not');
	logged($node, $log, qr/FATAL:  too many connections for role "core"/, 'which is logged');
	is($one->ask('SELECT 1'), '1', 'the first one is not hurt');
	leave($one);
	ok($admin->until('SELECT count(*) FROM pooler.clients', 0), 'it leaves');
	my ($third, $three) = $env->();
	is($three->ask('SELECT 1'), '1', 'the next one is served');
	leave($three);
}

#----------------------------------------------------------------------------
# sizes, and what comes before what
#----------------------------------------------------------------------------

sub size_is
{
	my ($database, $wanted, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	pool_is('sized', $database, 'size', $wanted, $name);
}

role('sized');
settings('pooler.default_pool_size' => 0);
nobody();
{
	my @clients = (clients(1, 'sized'), clients(1, 'sized', database => 'shop'));

	size_is('postgres', 24, 'default_pool_size = 0: as many as there may be');
	my @many = clients(22, 'sized');
	begin(@many);
	pool_is('sized', 'postgres', 'clients_active', 22, 'they can be had');
	commit(@many);
	leave(@many);

	settings('pooler.default_pool_size' => 10);
	size_is('postgres', 10, 'for the server');
	$admin->query('ALTER DATABASE shop SET pooler.default_pool_size = 5');
	size_is('shop', 5, 'for a database');
	size_is('postgres', 10, 'not for another one');
	$admin->query('ALTER ROLE sized SET pooler.default_pool_size = 4');
	size_is('shop', 4, 'a role comes before a database');
	size_is('postgres', 4, 'in each');
	$admin->query('ALTER ROLE sized IN DATABASE shop SET pooler.default_pool_size = 3');
	size_is('shop', 3, 'a role in a database before all');
	size_is('postgres', 4, 'there only');
	$admin->query('ALTER ROLE sized IN DATABASE shop RESET pooler.default_pool_size');
	size_is('shop', 4, 'back to the role');
	$admin->query('ALTER ROLE sized SET pooler.default_pool_size = 0');
	size_is('shop', 24, 'a role without limit');
	$admin->query('ALTER ROLE sized RESET ALL');
	size_is('shop', 5, 'back to the database');
	size_is('postgres', 10, 'and the server');
	$admin->query('ALTER ROLE ALL SET pooler.default_pool_size = 7');
	size_is('postgres', 7, 'all roles');
	size_is('shop', 5, 'come after a database');
	$admin->query('ALTER DATABASE shop RESET ALL');
	size_is('shop', 7, 'which is reset');
	$admin->query('ALTER ROLE ALL RESET pooler.default_pool_size');
	size_is('shop', 10, 'as they are');

	# nothing that is rolled back counts
	$admin->query('BEGIN; ALTER ROLE sized SET pooler.default_pool_size = 2; ROLLBACK');
	$admin->query('ALTER ROLE sized SET pooler.min_pool_size = 3');
	pool_is('sized', 'postgres', 'size, backends', '10|3', 'min_pool_size of a role');
	$admin->query('ALTER ROLE sized RESET ALL');

	# the pool's clients go on meanwhile
	is($_->query('SELECT 1'), '1, SELECT 1, I', 'clients have not noticed') for @clients;
	leave(@clients);
}

# Reserve, and how long a backend lives.
settings('pooler.default_pool_size' => 1);
nobody();
{
	$admin->query(q{ALTER ROLE sized SET pooler.reserve_pool_size = 2;
		ALTER ROLE sized SET pooler.reserve_pool_timeout = '100ms'});
	my @clients = clients(4, 'sized');
	my @others = clients(2, $other);
	begin(@clients, @others);
	pool_is('sized', 'postgres', 'backends, clients_waiting', '3|1', 'a reserve for a role');
	pool_is($other, 'postgres', 'backends, clients_waiting', '1|1', 'not for another');
	commit(grep { $_->readable(1) } @clients, @others);
	$admin->query('ALTER ROLE sized RESET ALL');
	$_->close for @clients, @others;
	nobody();

	settings();
	for my $setting ('server_idle_timeout', 'server_lifetime')
	{
		my ($one) = clients(1, 'sized');
		my ($two) = clients(1, $other);
		$admin->query("ALTER ROLE sized SET pooler.$setting = '1s'");
		$admin->query("ALTER ROLE sized SET pooler.min_pool_size = 1") if $setting eq 'server_lifetime';
		# (both have been replaced by now)
		$_->query('SELECT 1') for $one, $two;
		my ($mine, $hers) = map { $_->value('SELECT pg_backend_pid()') } $one, $two;
		ok($admin->until("SELECT count(*) FROM pooler.backends WHERE pid = $mine", 0),
			"$setting of a role");
		is($admin->value("SELECT count(*) FROM pooler.backends WHERE pid = $hers"), 1,
			'the backend of another one stays');
		$admin->query('ALTER ROLE sized RESET ALL');
		leave($one, $two);
		nobody();
	}
}

# How long a session may keep one.
{
	my ($one) = clients(1, 'sized');
	my ($two) = clients(1, $other);
	$_->query('LISTEN something') for $one, $two;
	my $pid = $one->value('SELECT pg_backend_pid()');

	$admin->query(q{ALTER ROLE sized SET pooler.pin_timeout = '1s'});
	# (a pinned backend can't be replaced, and keeps what it was born with; the
	# pooler hears of ALTER ROLE a moment later)
	is($one->query('UNLISTEN *'), 'UNLISTEN, I', 'pin_timeout of a role');
	ok($admin->until("SELECT count(*) FROM pooler.backends WHERE pid = $pid", 0),
		'its backend is replaced');
	$one->query('LISTEN something');
	is($one->reply, 'FATAL 57P05: terminating connection because its session has kept a backend for too long'
		. ' DETAIL: The session keeps the backend because of LISTEN; pooler.pin_timeout has passed., eof',
		'ends its client');
	is($two->query('SELECT 1'), '1, SELECT 1, I', 'not that of another one');
	$admin->query('ALTER ROLE sized RESET ALL');
	$one->close;
	leave($two);
	nobody();
}

#----------------------------------------------------------------------------
# nobody lifts his own limits
#----------------------------------------------------------------------------

settings('pooler.default_pool_size' => 6);
$admin->query('ALTER DATABASE small OWNER TO sized');
{
	my ($client) = clients(1, 'sized', database => 'small');
	my $denied = 'ERROR 42501: permission denied to set parameter "pooler.max_user_client_connections", I';
	for my $sql ('SET', 'ALTER ROLE sized SET', 'ALTER ROLE CURRENT_USER SET',
		'ALTER ROLE sized IN DATABASE small SET', 'ALTER DATABASE small SET')
	{
		is($client->query("$sql pooler.max_user_client_connections = 1000"), $denied,
			"a plain role: $sql");
	}
	is($client->query(q{SELECT set_config('pooler.max_user_client_connections', '1000', false)}),
		$denied, 'a plain role: set_config()');
	like($client->query('SET pooler.client_login_timeout = 0'),
		qr/^ERROR 55P02: parameter "pooler.client_login_timeout" cannot be changed now, I/,
		'what is the server\'s alone');
	my @options = (options => '-c pooler.default_pool_size=100');
	my $direct = RawClient->open($node, from => 'local', port => $node->port)
	  ->login(role => 'sized', database => 'small', @options);
	is($direct, 'FATAL 42501: permission denied to set parameter "pooler.default_pool_size"',
		'the server refuses it at login');
	is(scalar login('sized', 'small', @options), $direct, 'so does the pooler');
	size_is('small', 6, 'nothing has changed');

	# for a reset to fail, there has to be something
	$admin->query('ALTER ROLE sized SET pooler.default_pool_size = 2');
	size_is('small', 2, 'a limit for the role');
	is($client->query('ALTER ROLE sized RESET pooler.default_pool_size'),
		'ERROR 42501: permission denied to set parameter "pooler.default_pool_size", I',
		'a plain role: RESET');
	is($client->query('ALTER ROLE sized RESET ALL'), 'ALTER ROLE, I', 'RESET ALL leaves it');
	$client->query('SELECT 1');
	size_is('small', 2, 'in force');
	leave($client);
}

# What a superuser asks for is no matter of the pool, even if he comes first.
{
	$admin->query('CREATE ROLE chief SUPERUSER LOGIN');
	$admin->query('ALTER ROLE chief SET pooler.default_pool_size = 3');
	my ($first) = clients(1, 'chief', options => '-c pooler.default_pool_size=1');
	pool_is('chief', 'postgres', 'size', 3, 'the role\'s own value is found out');
	my ($second) = clients(1, 'chief', options => '-c pooler.default_pool_size=11 -c pooler.max_user_connections=1');
	my ($third) = clients(1, 'chief');
	is($first->value('SHOW pooler.default_pool_size'), 1, 'he has his own');
	is($second->value('SHOW pooler.default_pool_size'), 11, 'another has another');
	is($third->value('SHOW pooler.default_pool_size'), 3, 'and who asks for nothing the role\'s');
	$third->query('SET pooler.default_pool_size = 9');
	begin($first, $second, $third);
	pool_is('chief', 'postgres', 'size, clients_active', '3|3', 'for the pool it is the role\'s');
	commit($first, $second, $third);
	leave($first, $second, $third);
}

$admin->query('ALTER SYSTEM RESET ALL');
$admin->quit;
$node->stop;
done_testing();
