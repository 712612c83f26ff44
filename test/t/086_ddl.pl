# Commands on roles and databases just work, whatever the pools have there;
# what they change holds at once.  And the server's shutdown is the one that
# everybody knows.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use IPC::Run qw(start);
use PoolerTest qw(start_node wait_for_pooler wait_until);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use RawClient ();
use Test::More;
use Time::HiRes qw(time);
use WireClient qw(m_query);

my $node = start_node('ddl', conf => q{
max_connections = 60
allow_in_place_tablespaces = on
});
my $admin = WireClient->new($node, port => $node->port);

sub clients
{
	my ($n, $role, $database) = @_;
	return map { WireClient->new($node, role => $role, database => $database) } 1 .. $n;
}

sub login
{
	my ($role, $database, %options) = @_;
	my $client = RawClient->open($node, from => 'local');
	my $answer = $client->login(role => $role, database => $database, %options);

	$answer eq 'ok' ? $client->quit : $client->close;
	return $answer;
}

sub leave
{
	$_->quit for @_;
}

# A pool with some idle backends; returns its clients, which are idle, too.
sub idle_pool
{
	my ($role, $database) = @_;
	my @clients = clients(4, $role, $database);
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	$_->put(m_query('BEGIN')) for @clients;
	$_->reply for @clients;
	$_->query('COMMIT') for @clients;
	ok( $admin->until(
			"SELECT sum(backends) >= 4 AND sum(backends_busy) = 0 FROM pooler.pools WHERE role = '$role' AND database = '$database'",
			't'), "a pool with idle backends in $database");
	return @clients;
}

$admin->query("CREATE ROLE $_ LOGIN") for qw(app stranger);
$admin->query('CREATE TABLESPACE elsewhere LOCATION \'\'');

#----------------------------------------------------------------------------
# commands that want a database for themselves
#----------------------------------------------------------------------------

my %command = (
	'DROP DATABASE' => 'DROP DATABASE shop',
	'RENAME' => 'ALTER DATABASE shop RENAME TO renamed',
	'SET TABLESPACE' => 'ALTER DATABASE shop SET TABLESPACE elsewhere',
	'TEMPLATE' => 'CREATE DATABASE copied TEMPLATE shop');

# What becomes of an idle client: its next command.
my $gone = 'FATAL 3D000: database "shop" does not exist, eof';
my %next = (
	'DROP DATABASE' => $gone,
	'RENAME' => 'renamed, SELECT 1, I',
	'SET TABLESPACE' => 'shop, SELECT 1, I',
	'TEMPLATE' => 'shop, SELECT 1, I');

for my $what (sort keys %command)
{
	my $tag = join(' ', (split / /, $command{$what})[ 0, 1 ]);
	my $sql = $command{$what};

	# idle backends and clients are no obstacle
	$admin->query('CREATE DATABASE shop');
	my @clients = idle_pool('app', 'shop');
	my $before = time;
	is($admin->query($sql), "$tag, I", "$what: idle backends get out of the way");
	cmp_ok(time - $before, '<', 4, "$what: without waiting for long");
	is($_->query('SELECT current_database()'), $next{$what}, "$what: an idle client") for @clients;
	is(login('app', 'shop'), $what eq 'RENAME' || $what eq 'DROP DATABASE' ? $gone =~ s/, eof//r : 'ok',
		"$what: a new client");
	is(login('app', 'renamed'), 'ok', "$what: a new client, by the new name") if $what eq 'RENAME';
	$_->close for @clients;
	$admin->query("DROP DATABASE IF EXISTS $_") for qw(shop renamed copied);

	# who is not idle is one, and is not disturbed
	$admin->query('CREATE DATABASE shop');
	my ($busy, $idle) = clients(2, 'app', 'shop');
	$busy->query('CREATE TEMP TABLE mine AS SELECT 1') if $what eq 'TEMPLATE';
	$busy->query('BEGIN');
	like($admin->query($sql), qr/^ERROR 55006: .*\b(is being accessed by other users|sessions? using the database)/,
		"$what: a transaction is in the way");
	is($busy->query('SELECT current_database()'), 'shop, SELECT 1, T', "$what: it goes on");
	is($idle->query('SELECT current_database()'), 'shop, SELECT 1, I', "$what: so do others, afterwards");
	is($busy->query('COMMIT'), 'COMMIT, I', "$what: it ends");
	leave($busy, $idle);

	# none is born until the command is through: somebody on the server's own
	# port is in its way for a while
	my $direct = WireClient->new($node, port => $node->port, database => 'shop');
	my $waits = WireClient->new($node, role => 'app', database => 'shop');
	$admin->until(q{SELECT count(*) FROM pooler.clients WHERE state <> 'idle'}, 0);
	my $owner = WireClient->new($node, port => $node->port);
	$owner->put(m_query($sql));
	ok($admin->until(q{SELECT count(*) FROM pooler.backends WHERE database = 'shop'}, 0),
		"$what: its pool is empty");
	$waits->put(m_query('SELECT current_database()'));
	ok($admin->until(q{SELECT count(*) FROM pooler.clients WHERE state = 'waiting'}, 1),
		"$what: a client that is connected waits");
	is($admin->value(q{SELECT count(*) FROM pooler.backends WHERE database = 'shop'}), 0,
		"$what: no backend is born for it");
	$direct->quit;
	is($owner->reply, "$tag, I", "$what: the command is through");
	is($waits->reply, $next{$what}, "$what: then the client is served, or told");
	$_->close for $waits, $owner;
	$admin->query("DROP DATABASE IF EXISTS $_") for qw(shop renamed copied);
}

# Until its end, not until that of the command.
$admin->query('CREATE DATABASE shop');
{
	my ($client, undef) = idle_pool('app', 'shop');
	$admin->query('BEGIN');
	is($admin->query('ALTER DATABASE shop RENAME TO renamed'), 'ALTER DATABASE, T', 'in a transaction');
	$client->put(m_query('SELECT current_database()'));
	ok($admin->until(q{SELECT count(*) FROM pooler.clients WHERE state = 'waiting'}, 1), 'a client waits');
	$admin->query('ROLLBACK');
	is($client->reply, 'shop, SELECT 1, I', 'until it is rolled back');

	$admin->query('BEGIN; SAVEPOINT a');
	like($admin->query('ALTER DATABASE shop RENAME TO postgres'), qr/^ERROR 42P04/, 'a command that fails');
	is($client->query('SELECT current_database()'), 'shop, SELECT 1, I', 'keeps nobody waiting');
	$admin->query('ROLLBACK');
	$client->quit;
}

# Nobody empties a pool by asking for what he has no right to.
{
	my @clients = idle_pool('app', 'shop');
	my $ends = $admin->value('SELECT ends FROM pooler.status');
	my $stranger = WireClient->new($node, port => $node->port, role => 'stranger');
	like($stranger->query($_), qr/^ERROR 42501/, "refused: $_")
	  for values %command, 'DROP DATABASE shop WITH (FORCE)';
	is($admin->value('SELECT ends FROM pooler.status'), $ends, 'no backend has gone');
	leave(@clients, $stranger);
}

# By force: also those at work.
{
	my ($busy, @idle) = idle_pool('app', 'shop');
	$busy->query('BEGIN');
	is($admin->query('DROP DATABASE shop WITH (FORCE)'), 'DROP DATABASE, I', 'DROP DATABASE ... WITH (FORCE)');
	like($busy->reply, qr/^FATAL 57P01: terminating connection due to administrator command, eof$/,
		'a transaction is ended');
	like($_->query('SELECT 1'), qr/^FATAL (3D000|57P01): .*, eof$/, 'so are the others') for @idle;
	$_->close for $busy, @idle;
}

# A client of the pooler may be the one who asks.
{
	$admin->query('CREATE DATABASE shop OWNER app');
	$admin->query('ALTER ROLE app CREATEDB');
	my @clients = idle_pool('app', 'shop');
	my ($owner) = clients(1, 'app', 'postgres');
	is($owner->query('ALTER DATABASE shop RENAME TO renamed'), 'ALTER DATABASE, I', 'through the pooler');
	is($owner->query('DROP DATABASE renamed'), 'DROP DATABASE, I', 'once more');
	leave($owner);
	$_->close for @clients;
	$admin->query('ALTER ROLE app NOCREATEDB');
}

#----------------------------------------------------------------------------
# rights
#----------------------------------------------------------------------------

$admin->query('CREATE DATABASE shop');
{
	my $denied = 'FATAL 42501: permission denied for database "shop" DETAIL: User does not have CONNECT privilege.';
	my ($client, @others) = idle_pool('app', 'shop');
	my @failed;
	for my $round (1 .. 10)
	{
		$admin->query('REVOKE CONNECT ON DATABASE shop FROM PUBLIC');
		push @failed, login('app', 'shop');
		is($client->query('SELECT 1'), '1, SELECT 1, I', 'a session goes on') if $round == 1;
		$admin->query('GRANT CONNECT ON DATABASE shop TO PUBLIC');
		push @failed, login('app', 'shop');
	}
	is("@failed", join(' ', ($denied, 'ok') x 10), 'REVOKE CONNECT: new logins are refused at once');
	@failed = ();
	for my $round (1 .. 10)
	{
		$admin->query('ALTER ROLE app NOLOGIN');
		push @failed, login('app', 'shop');
		is($client->query('SELECT 1'), '1, SELECT 1, I', 'a session goes on') if $round == 1;
		$admin->query('ALTER ROLE app LOGIN');
		push @failed, login('app', 'shop');
	}
	is("@failed", join(' ', ('FATAL 28000: role "app" is not permitted to log in', 'ok') x 10),
		'NOLOGIN: too');
	$admin->query('ALTER DATABASE shop ALLOW_CONNECTIONS false');
	is(login('app', 'shop'), 'FATAL 55000: database "shop" is not currently accepting connections',
		'ALLOW_CONNECTIONS false: too');
	is($client->query('SELECT 1'), '1, SELECT 1, I', 'a session goes on');
	$admin->query('ALTER DATABASE shop ALLOW_CONNECTIONS true');
	is(login('app', 'shop'), 'ok', 'ALLOW_CONNECTIONS true');
	leave($client, @others);
}

# A role that is dropped: nobody logs in, backends go; a transaction ends first.
{
	$admin->query('CREATE ROLE leaver LOGIN');
	my ($busy, $idle, @others) = idle_pool('leaver', 'shop');
	my $oid = $admin->value(q{SELECT 'leaver'::regrole::oid});
	$busy->query('BEGIN');
	is($admin->query('DROP ROLE leaver'), 'DROP ROLE, I', 'DROP ROLE');
	is(login('leaver', 'shop'), 'FATAL 28000: role "leaver" does not exist', 'nobody logs in');
	is($busy->query('SELECT 1'), '1, SELECT 1, T', 'a transaction goes on');
	ok($admin->until("SELECT count(*) FROM pooler.backends WHERE roleid = $oid AND state <> 'busy'", 0),
		'idle backends go');
	is($busy->query('COMMIT'), 'COMMIT, I', 'it ends');
	ok($admin->until("SELECT count(*) FROM pooler.backends WHERE roleid = $oid", 0), 'its backend goes, too');
	is($idle->query('SELECT 1'), 'FATAL 28000: role "leaver" does not exist, eof', 'a client is told');
	$admin->query('CREATE ROLE leaver LOGIN');
	is(login('leaver', 'shop'), 'ok', 'another one of that name may come');
	$_->close for $busy, $idle, @others;
}

#----------------------------------------------------------------------------
# ALTER ROLE ... SET, ALTER DATABASE ... SET
#----------------------------------------------------------------------------

# Of a client that connects when the command is through: what it is told, and
# what it has.
sub newcomer
{
	my ($name, %options) = @_;
	my $client = RawClient->connect($node, from => 'local', role => 'app', database => 'shop', %options);
	my $told = $client->{parameters}{$name} // '-';
	my $has = $client->ask("SHOW $name");
	$client->quit;
	return "$told $has";
}

{
	my @old = idle_pool('app', 'shop');
	my $tz = sub { return sprintf 'Etc/GMT-%d', 1 + $_[0] % 12 };
	my (@got, @wanted);
	for my $i (1 .. 20)
	{
		my $zone = $tz->($i);
		$admin->query($i % 2
			? "ALTER ROLE app SET TimeZone = '$zone'; ALTER DATABASE shop RESET TimeZone"
			: "ALTER DATABASE shop SET TimeZone = '$zone'; ALTER ROLE app RESET TimeZone");
		push @got, newcomer('TimeZone', $i % 3 ? () : (DateStyle => 'German'));
		push @wanted, "$zone $zone";
	}
	is("@got", "@wanted", 'new logins have what was set, at once');
	$admin->query('ALTER ROLE app IN DATABASE shop SET work_mem = \'7777kB\'');
	is(newcomer('work_mem'), '- 7777kB', 'what is not reported, too');
	ok( $admin->until(
			q{SELECT count(*) FROM pooler.backends WHERE role = 'app' AND database = 'shop' AND draining}, 0),
		'backends have been replaced');
	is($_->value('SHOW work_mem'), '7777kB', 'those of clients that were there') for @old;
	$_->query('BEGIN') for @old[ 0, 1 ];
	$admin->query('ALTER ROLE app IN DATABASE shop RESET work_mem');
	is($old[0]->value('SHOW work_mem'), '7777kB', 'not within a transaction');
	is(newcomer('work_mem'), '- 4MB', 'while new ones have the new value');
	$_->query('COMMIT') for @old[ 0, 1 ];
	is($old[0]->value('SHOW work_mem'), '4MB', 'afterwards');
	$old[1]->query(q{SET work_mem = '5MB'});
	$admin->query(q{ALTER ROLE app SET work_mem = '6MB'});
	# the pooler may hear of it a moment later
	ok($old[0]->until('SHOW work_mem', '6MB'), 'a default');
	is($old[1]->value('SHOW work_mem'), '5MB', 'what a session has set stays');
	$admin->query('ALTER ROLE app RESET ALL');
	$admin->query('ALTER DATABASE shop RESET ALL');
	is(newcomer('TimeZone'), join(' ', ($admin->value('SHOW TimeZone')) x 2), 'RESET ALL');
	leave(@old);
}

#----------------------------------------------------------------------------
# shutdown
#----------------------------------------------------------------------------

$admin->query('CREATE ROLE narrow LOGIN');
$admin->query('ALTER ROLE narrow SET pooler.default_pool_size = 1');
$admin->query('CREATE TABLE journal (who text)');
$admin->query('GRANT ALL ON journal TO PUBLIC');

my $told = 'FATAL 57P01: terminating connection due to administrator command, eof';
my $at_once = 'WARNING 57P01: terminating connection due to immediate shutdown command, eof';

for my $mode ('smart', 'fast', 'immediate')
{
	my $end = $mode eq 'immediate' ? $at_once : $told;
	my ($idle, $lingering, $listens, $pinned, $active) = clients(5, 'app', 'postgres');
	my ($first, $second) = clients(2, 'narrow', 'postgres');

	$listens->query('LISTEN something');
	$pinned->query('CREATE TEMP TABLE mine ()');
	$active->query("BEGIN; INSERT INTO journal VALUES ('$mode active')");
	$lingering->query('SELECT 1');
	$first->query("BEGIN; INSERT INTO journal VALUES ('$mode first')");
	$second->put(m_query("INSERT INTO journal VALUES ('$mode second')"));
	$admin->until(q{SELECT string_agg(state, ' ' ORDER BY state COLLATE "C") FROM pooler.clients},
		'active active idle idle pinned pinned waiting');
	my $direct = WireClient->new($node, port => $node->port) if $mode ne 'smart';
	$admin->quit;

	my $stop = start([ 'pg_ctl', '-D', $node->data_dir, '-m', $mode, '-t', '60', 'stop' ],
		'>', \my $out, '2>', \my $err);
	is($direct->reply, $end, "$mode shutdown: on a direct connection") if $direct;
	is($_->[1]->reply, $end, "$mode shutdown: $_->[0]")
	  for [ 'an idle client' => $idle ], [ 'one that a backend watches' => $lingering ];
	# (their backends may hear of the pooler's end first)
	like($_->[1]->reply, qr/^\Q$end\E$|^FATAL 57P01: terminating connection because the pooler has ended, eof$/,
		"$mode shutdown: $_->[0]")
	  for [ 'one that listens' => $listens ], [ 'one with temporary tables' => $pinned ];
	if ($mode eq 'smart')
	{
		ok(!$_->readable, 'smart shutdown: a transaction is not disturbed') for $active, $first;
		is($active->query('COMMIT'), 'COMMIT, I', 'smart shutdown: it commits');
		is($first->query('COMMIT'), 'COMMIT, I', 'smart shutdown: another one');
		is($second->reply, 'INSERT 0 1, I', 'smart shutdown: who waited for it is served');
	}
	like($_->[1]->reply, qr/^\Q$end\E$|^FATAL 57P01: terminating connection because the pooler has ended, eof$/,
		"$mode shutdown: $_->[0]")
	  for [ 'a transaction' => $active ], [ 'another' => $first ], [ 'one that waits' => $second ];
	my $before = time;
	ok($stop->finish, "$mode shutdown: the server has ended") or diag($out, $err);
	cmp_ok(time - $before, '<', 20, "$mode shutdown: promptly");
	$_->close for grep { defined } $idle, $lingering, $listens, $pinned, $active, $first, $second, $direct;
	$node->_update_pid(0);
	$node->start;
	wait_for_pooler($node);
	$admin = WireClient->new($node, port => $node->port);
	is($admin->value(q{SELECT coalesce(string_agg(who, ', ' ORDER BY who), 'none') FROM journal}),
		$mode eq 'smart' ? 'smart active, smart first, smart second' : 'none',
		"$mode shutdown: what was committed is there");
	$admin->query('TRUNCATE journal');
}

# The crash of another process: core's words, too.
$admin->query('ALTER SYSTEM SET restart_after_crash = on');
$admin->query('SELECT pg_reload_conf()');
{
	my ($idle, $victim) = clients(2, 'app', 'postgres');
	my $direct = WireClient->new($node, port => $node->port);
	my $pid = $victim->value('SELECT pg_backend_pid()');
	$victim->query('BEGIN');
	kill 'KILL', $victim->value('SELECT pg_backend_pid()');
	like($idle->reply, qr/^WARNING 57P02: terminating connection because of crash of another server process DETAIL: .* HINT: .*, eof$/,
		'a crash: an idle client is told');
	$admin->close;
	$_->close for $idle, $victim, $direct;
	ok(wait_until('the server is back', sub {
		my $sock = RawClient->open($node, port => $node->port, from => 'local') or return 0;
		my $answer = $sock->login;
		$sock->close;
		return $answer eq 'ok';
	}), 'the server is back');
	wait_for_pooler($node);
	is(login('app', 'postgres'), 'ok', 'and the pooler');
}
$node->stop;
done_testing();
