# pooler.health(): that every message comes when it should, with its number and
# its threshold, and the probe: a transaction through a pool, whatever happens to
# it on its way.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use JSON::PP ();
use PoolerTest qw(becomes pooler_psql start_node wait_for_pooler wait_until worker_pid);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use RawClient;
use Test::More;
use WireClient qw(m_query);

my $node = start_node('health',
	conf => qq(
pooler.max_client_conn = 20
pooler.max_backends = 10
max_connections = 40
));

$node->safe_psql('postgres', q{
	CREATE FUNCTION debug_arm(text) RETURNS void
		AS 'pooler', 'pooler_debug_arm' LANGUAGE C STRICT;
	CREATE FUNCTION debug_release(text) RETURNS void
		AS 'pooler', 'pooler_debug_release' LANGUAGE C STRICT;
	CREATE FUNCTION debug_waiting(text) RETURNS int
		AS 'pooler', 'pooler_debug_waiting' LANGUAGE C STRICT;
	CREATE DATABASE other;
	CREATE ROLE stranger LOGIN;
	CREATE ROLE many LOGIN;
	ALTER ROLE many SET pooler.default_pool_size = 10;
	CREATE ROLE limited LOGIN CONNECTION LIMIT 0;
	CREATE ROLE watcher LOGIN IN ROLE pg_monitor;
	CREATE ROLE peculiar LOGIN IN ROLE pg_monitor;
	ALTER ROLE peculiar SET client_encoding = 'LATIN1';
	ALTER ROLE peculiar SET search_path = nowhere;
	ALTER ROLE peculiar SET default_transaction_read_only = on;
	ALTER ROLE peculiar IN DATABASE postgres SET work_mem = '1MB';
	CREATE ROLE one LOGIN IN ROLE pg_monitor;
	ALTER ROLE one SET pooler.default_pool_size = 1});
$node->safe_psql('other', 'CREATE EXTENSION pooler');

my $admin = direct();
my $stopped;

END { kill 'CONT', $stopped if defined $stopped }

# On the server's own port.
sub direct
{
	my (%options) = @_;
	return WireClient->new($node, port => $node->port, %options);
}

sub client
{
	my ($role, %options) = @_;
	return WireClient->new($node, role => $role, %options);
}

sub decoded
{
	my ($text) = @_;
	my $health = eval { JSON::PP->new->decode($text) };
	diag("no JSON: $text") unless $health;
	return $health // {};
}

sub health { return decoded(($_[0] // $admin)->value('SELECT pooler.health()')) }
sub probe { return decoded(($_[0] // $admin)->value('SELECT pooler.health(true)')) }

# "check severity value threshold", of all messages but some, of which the
# numbers are others in each run.
sub messages
{
	my ($health, $leave_out) = @_;
	return join ', ', map { "$_->{check} $_->{severity} $_->{value} $_->{threshold}" }
	  grep { $_->{check} !~ /^(?:$leave_out)$/ } @{ $health->{messages} };
}

sub message
{
	my ($health, $check) = @_;
	return (grep { $_->{check} eq $check } @{ $health->{messages} })[0];
}

# There is such a message, sooner or later; returns it.
sub comes
{
	my ($check, $severity, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $health;
	my $message;

	ok(wait_until($name, sub {
			$health = health();
			$message = message($health, $check);
			return $message && $message->{severity} eq $severity;
		}), $name) or diag(JSON::PP->new->canonical->pretty->encode($health));
	return $message // {};
}

sub no_probes_left
{
	my ($name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	becomes($node, q{SELECT count(*) FROM pooler.clients
		WHERE application_name = 'pooler probe' OR state = 'login'}, '0', $name);
}

sub gone
{
	my ($role) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	becomes($node, "SELECT count(*) FROM pooler.clients WHERE role = '$role'", '0',
		"the clients of $role have gone");
}

sub server
{
	my ($setting, $value) = @_;
	$node->safe_psql('postgres', defined $value ?
		  "ALTER SYSTEM SET $setting = '$value'" : "ALTER SYSTEM RESET $setting");
	$node->reload;
	$admin->until("SHOW $setting", $value) if defined $value;
}

#----------------------------------------------------------------------------
# nothing is wrong
#----------------------------------------------------------------------------
{
	my $health = health();

	is($health->{status}, 'healthy', 'a pooler that has just started');
	is_deeply($health->{messages}, [], 'has nothing to say');
	like($health->{timestamp}, qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+[+-]\d\d:\d\d$/,
		'time with its zone');
	is($admin->value("SELECT abs(extract(epoch FROM now() - '$health->{timestamp}')) < 60"),
		't', 'and that of now');
	is($health->{version},
		$admin->value(q{SELECT extversion FROM pg_extension WHERE extname = 'pooler'}),
		'version');
	is($health->{pooler}{pid}, worker_pid($node), 'process');
	is($health->{pooler}{starts}, 1, 'how often it has started');
	is($admin->value("SELECT '$health->{pooler}{started_at}' = started_at FROM pooler.status"),
		't', 'and when');
	ok(!exists $health->{probe}, 'no probe unless asked for');
	is_deeply($health->{pool_details}, [], 'no pools');
	is_deeply([ map { $health->{$_}{total} } qw(pools clients servers databases) ],
		[ 0, 0, 0, 0 ], 'nobody is there');
	is_deeply([ map { $health->{$_}{max} } qw(clients servers) ], [ 20, 10 ], 'limits');
}

# who may
{
	my ($rc, $out, $err) = $node->psql('postgres', 'SELECT pooler.health()',
		extra_params => [ '-U', 'stranger' ]);
	like($err, qr/permission denied/, 'not everybody may ask');
	my $watcher = direct(role => 'watcher');
	is(health($watcher)->{status}, 'healthy', 'members of pg_monitor may');
}

#----------------------------------------------------------------------------
# the probe
#----------------------------------------------------------------------------
sub probe_is_good
{
	my ($who, $role, $name, $clients) = @_;
	my $health = probe($who);
	my $probe = $health->{probe};

	# it may be slow on a slow machine
	is(messages($health, 'probe_latency'), '', "$name: nothing is wrong")
	  or diag(JSON::PP->new->canonical->pretty->encode($health));
	ok($probe->{ok}, "$name: it works");
	cmp_ok($probe->{latency_ms}, '>', 0, "$name: took some time");
	ok(!exists $probe->{error}, "$name: no error");
	is("$probe->{database} $probe->{role}", "postgres $role", "$name: whose pool");
	is($admin->value("SELECT role FROM pooler.backends WHERE pid = $probe->{backend_pid}"),
		$role, "$name: a backend of that pool");
	is($health->{clients}{total}, $clients, "$name: its client has gone");
}

{
	my $counted = q{SELECT s.connections, s.logins, s.abandoned_logins, s.failed_logins, s.refused
		FROM pooler.status AS s};
	my $before = $admin->query($counted);

	probe_is_good($admin, $admin->value('SELECT session_user'), 'superuser', 0);
	probe_is_good(direct(role => 'watcher'), 'watcher', 'by a Unix socket', 0);
	probe_is_good(direct(role => 'watcher', from => '127.0.0.1'), 'watcher', 'by TCP', 0);
	probe_is_good(direct(role => 'peculiar'), 'peculiar', 'a role with settings', 0);
	is($admin->query($counted), $before, 'it does not count as connection or login');

	my $pooled = client('watcher');
	probe_is_good($pooled, 'watcher', 'by a client of the pool', 1);
	is($pooled->query('SET work_mem = 70'), 'SET, I', 'it may have settings');
	probe_is_good($pooled, 'watcher', 'by a client with settings', 1);
	is($pooled->value('SHOW work_mem'), '70kB', 'it has kept them');
	is($pooled->value('SELECT pooler.health(NULL)'), 'NULL', 'NULL');
	$pooled->quit;
	gone('watcher');
	no_probes_left('none is left');
}

# SET ROLE does not matter, SET SESSION AUTHORIZATION does.
{
	my $c = direct();
	$c->query('SET ROLE watcher');
	is(probe($c)->{probe}{role}, $admin->value('SELECT session_user'), 'SET ROLE');
	$c->query('RESET ROLE');
	$c->query('SET SESSION AUTHORIZATION watcher');
	is(probe($c)->{probe}{role}, 'watcher', 'SET SESSION AUTHORIZATION');
	$c->quit;
}

#----------------------------------------------------------------------------
# messages about the pooler as a whole
#----------------------------------------------------------------------------

# logins that fail, and no more than that
{
	my ($rc) = pooler_psql($node, 'SELECT 1', role => 'nobody');
	isnt($rc, 0, 'a login fails');
	my $health = health();
	is(messages($health, ''), 'failed_logins info 1 0', 'failed logins');
	is($health->{status}, 'healthy', 'are not the pooler\'s fault');
}

# backends that can't be started
{
	my ($rc) = pooler_psql($node, 'SELECT 1', role => 'limited');
	isnt($rc, 0, 'no backend may be started for a role');
	my $m = comes('failed_starts', 'warning', 'failed starts');
	cmp_ok($m->{value}, '>=', 1, 'how many');
	is($m->{threshold}, 0, 'threshold');
	is(health()->{status}, 'degraded', 'degraded');
}

my $lately = 'failed_logins|failed_starts|restarted';

# backends and their limit, and the utilisation of a pool
{
	my @clients = map { client('many') } 1 .. 9;

	$_->query('BEGIN') for @clients[ 0 .. 7 ];
	unlike(messages(health(), $lately), qr/utilisation/, '8 of 10 are not too many');
	$clients[8]->query('BEGIN');
	# backends that others have left go to make room
	my $m = comes('utilisation', 'warning', 'utilisation of a pool');
	is("$m->{value} $m->{threshold} $m->{unit}", '90 80 %', 'its numbers');
	is("$m->{object}{database} $m->{object}{role}", 'postgres many', 'which pool');
	$m = comes('backends', 'warning', 'backends');
	cmp_ok($m->{value}, '>=', 90, 'how many');
	is($m->{threshold}, 80, 'threshold');

	my ($detail) = grep { $_->{role} eq 'many' } @{ health()->{pool_details} };
	is_deeply([ @{$detail}{qw(database size waiting utilisation)}, @{ $detail->{clients} }{qw(total active)},
			@{ $detail->{backends} }{qw(total busy)} ],
		[ 'postgres', 10, 0, 90, 9, 9, 9, 9 ], 'details of the pool');
	$_->quit for @clients;
	gone('many');
}

# clients and their limit; a probe is let in nevertheless
{
	my @clients = map { client('watcher') } 1 .. 16;

	unlike(messages(health(), $lately), qr/clients/, '80 % is not too many');
	push @clients, client('watcher');
	is(messages(health(), "$lately|backends"), 'clients warning 85 80', 'clients');
	push @clients, map { client('watcher') } 1 .. 3;
	my $health = health();
	is(messages($health, "$lately|backends"), 'clients critical 100 95', 'too many clients');
	is($health->{status}, 'unhealthy', 'unhealthy');
	my $other = direct(role => 'watcher');
	ok(probe($other)->{probe}{ok}, 'a probe does not need a place');
	is($clients[0]->query('SELECT 1'), '1, SELECT 1, I', 'nor does it take one');
	$_->quit for @clients;
	gone('watcher');
}

#----------------------------------------------------------------------------
# waiting
#----------------------------------------------------------------------------
{
	my ($holder, $waiter) = map { client('one') } 1 .. 2;

	$holder->query('BEGIN');
	$waiter->put(m_query('SELECT 5'));
	my $m = comes('wait', 'warning', 'a client waits');
	cmp_ok($m->{value}, '>', 1000, 'how long');
	is("$m->{threshold} $m->{unit}", '1000 ms', 'threshold');
	is($m->{object}{role}, 'one', 'whose pool');
	like($m->{message}, qr/all backends of the pool are held/, 'why');
	server('pooler.health_max_wait', '1500ms');
	$m = comes('wait', 'critical', 'too long');
	cmp_ok($m->{value}, '>', 1500, 'how long');
	is($m->{threshold}, 1500, 'threshold');
	my $health = health();
	is($health->{status}, 'unhealthy', 'unhealthy');
	is("$health->{pools}{waiting} $health->{clients}{waiting}", '1 1', 'counted');
	my ($detail) = grep { $_->{role} eq 'one' } @{ $health->{pool_details} };
	cmp_ok($detail->{longest_wait_ms}, '>', 1500, 'details');
	is("$detail->{waiting} $detail->{utilisation}", '1 100', 'of the pool');
	server('pooler.health_max_wait', undef);
	$holder->query('COMMIT');
	is($waiter->reply, '5, SELECT 1, I', 'its turn');
	is(messages(health(), "$lately|backends"), '', 'that is over');
	$_->quit for ($holder, $waiter);
	gone('one');
}

# leaks
{
	my $c = client('watcher');

	$c->query('BEGIN');
	server('pooler.leak_idle_in_transaction', '1s');
	my $m = comes('leaks', 'warning', 'a leak');
	is("$m->{value} $m->{threshold}", '1 0', 'how many');
	is(health()->{status}, 'degraded', 'degraded');
	$c->query('COMMIT');
	ok(wait_until('it is over', sub { !message(health(), 'leaks') }), 'it is over');
	server('pooler.leak_idle_in_transaction', undef);
	$c->quit;
	gone('watcher');
}

#----------------------------------------------------------------------------
# paused and disabled
#----------------------------------------------------------------------------
{
	my $there = direct(database => 'other');

	$admin->query(q{SELECT pooler.pause('other')});
	my $health = health();
	is(messages($health, "$lately|backends"), 'paused warning 1 0', 'paused');
	is($health->{status}, 'degraded', 'degraded');
	is(message($health, 'paused')->{object}{dbid},
		$admin->value(q{SELECT oid FROM pg_database WHERE datname = 'other'}), 'which one');
	is($health->{databases}{paused}, 1, 'counted');
	$health = probe($there);
	ok(!$health->{probe}{ok}, 'no probe of a paused database');
	is($health->{probe}{error}, 'the database is paused', 'and why');
	is($health->{status}, 'degraded', 'which is no surprise');
	$admin->query(q{SELECT pooler.resume('other')});

	$admin->query(q{SELECT pooler.disable('other')});
	is(messages(health(), "$lately|backends"), 'disabled warning 1 0', 'disabled');
	$health = probe($there);
	is(messages($health, "$lately|backends"), 'disabled warning 1 0, probe_failed critical 1 0',
		'a probe is refused as a client is');
	like($health->{probe}{error}, qr/database "other" is disabled/, 'and why');
	$admin->query(q{SELECT pooler.enable('other')});
	ok(probe($there)->{probe}{ok}, 'enabled');

	$admin->query('SELECT pooler.suspend()');
	my ($m) = comes('paused', 'warning', 'all databases are paused');
	is_deeply($m->{object}, {}, 'and none in particular');
	$admin->query('SELECT pooler.resume()');
	$there->quit;
}

#----------------------------------------------------------------------------
# probes that fail
#----------------------------------------------------------------------------

# A client that holds the only backend waits for itself.
{
	$node->safe_psql('postgres', q{ALTER ROLE one SET pooler.query_wait_timeout = '1s'});
	my $timeouts = q{SELECT coalesce(sum(wait_timeouts), 0) FROM pooler.stats WHERE role = 'one'};
	my $before = $admin->value($timeouts);
	my $c = client('one');
	my $health = probe($c);
	my $m = message($health, 'probe_latency') // {};

	is($health->{status}, 'unhealthy', 'in a pool of one: unhealthy');
	ok(!$health->{probe}{ok}, 'it did not work');
	is($health->{probe}{error}, 'no backend of the pool became free in time', 'why');
	like($health->{probe}{hint}, qr/holds one of its backends itself/, 'and why that');
	is("$m->{severity} $m->{threshold}", 'critical 1000', 'the message');
	cmp_ok($m->{value}, '>=', 1000, 'its number');
	is($health->{clients}{waiting}, 0, 'it waits no more');
	is($admin->value($timeouts), $before, 'no client was ended');
	is($c->query('SELECT 1'), '1, SELECT 1, I', 'the caller goes on');
	$c->quit;
	gone('one');
	ok(probe(direct(role => 'one'))->{probe}{ok}, 'from outside it works');
}

# A session that asks for a probe while somebody keeps the backend; done once it
# waits, with its answer.
sub waiting_probe
{
	my $holder = client('one');
	my $asker = direct(role => 'one');

	$holder->query('BEGIN');
	$asker->put(m_query('SELECT pooler.health(true)'));
	ok($admin->until(q{SELECT count(*) FROM pooler.clients
		WHERE application_name = 'pooler probe' AND state = 'waiting'}, 1), 'a probe waits');
	return ($holder, $asker);
}

$node->safe_psql('postgres', 'ALTER ROLE one RESET pooler.query_wait_timeout');

# cancelled
{
	my ($holder, $asker) = waiting_probe();

	$admin->query(q{SELECT pg_cancel_backend(pid) FROM pg_stat_activity
		WHERE query LIKE '%health(true)' AND usename = 'one'});
	like($asker->reply, qr/^ERROR 57014/, 'the caller is cancelled');
	no_probes_left('a cancelled caller leaves no client');
	is($holder->query('COMMIT'), 'COMMIT, I', 'the holder goes on');
	ok(probe($asker)->{probe}{ok}, 'the next one works');
	$_->quit for ($holder, $asker);
	gone('one');
}

# the caller's connection is lost
{
	my ($holder, $asker) = waiting_probe();

	$admin->query(q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity
		WHERE query LIKE '%health(true)' AND usename = 'one'});
	like($asker->reply, qr/FATAL 57P01/, 'the caller is terminated');
	no_probes_left('it leaves no client');
	$_->quit for ($holder);
	gone('one');
}

# its client is ended by an administrator
{
	my ($holder, $asker) = waiting_probe();

	$admin->query(q{SELECT pooler.kill_client(id) FROM pooler.clients
		WHERE application_name = 'pooler probe'});
	my $health = decoded(($asker->replies)[0]);
	like($health->{probe}{error}, qr/terminating connection due to administrator command/,
		'killed: told');
	is(message($health, 'probe_failed')->{severity}, 'critical', 'a probe that failed');
	$_->quit for ($holder, $asker);
	gone('one');
}

# paused meanwhile: PAUSE waits for the holder, the probe for both
{
	my ($holder, $asker) = waiting_probe();
	my $pauser = direct();

	$pauser->put(m_query(q{SELECT pooler.pause('postgres')}));
	my $health = decoded(($asker->replies)[0]);
	is($health->{probe}{error}, 'the database is paused', 'paused meanwhile');
	unlike(messages($health, ''), qr/probe/, 'not its fault');
	no_probes_left('nothing is left');
	is($holder->query('COMMIT'), 'COMMIT, I', 'the holder goes on');
	is($pauser->reply, ', SELECT 1, I', 'paused');
	$admin->query(q{SELECT pooler.resume('postgres')});
	$_->quit for ($holder, $asker, $pauser);
	gone('one');
}

# the backend dies
{
	my $asker = direct(role => 'one');

	$admin->query(q{SELECT debug_arm('busy')});
	$asker->put(m_query('SELECT pooler.health(true)'));
	ok($admin->until(q{SELECT debug_waiting('busy') > 0}, 't'), 'a backend has the probe');
	is($admin->value(q{SELECT count(*) FROM pooler.clients
		WHERE application_name = 'pooler probe' AND pid IS NOT NULL}), 1, 'which is seen');
	$admin->query(q{SELECT pg_terminate_backend(pid) FROM pooler.backends WHERE role = 'one'});
	my $health = decoded(($asker->replies)[0]);
	$admin->query(q{SELECT debug_release('busy')});
	ok(!$health->{probe}{ok}, 'its backend is terminated');
	like($health->{probe}{error}, qr/terminating connection|has ended/, 'why');
	is($health->{status}, 'unhealthy', 'unhealthy');
	no_probes_left('nothing is left');
	ok(probe($asker)->{probe}{ok}, 'the next one works');

	# it hangs
	$admin->query(q{SELECT debug_arm('busy')});
	$health = probe($asker);
	is($health->{probe}{error}, 'the backend did not answer in time', 'it hangs');
	is(message($health, 'probe_latency')->{threshold}, 5000, 'for so long');
	$admin->query(q{SELECT debug_release('busy')});
	no_probes_left('nothing is left');
	$asker->quit;
}

# many at once: as many as there are requests
{
	my @askers = map { direct(role => 'watcher') } 1 .. 20;

	$_->put(m_query(q{SELECT pooler.health(true) -> 'probe' -> 'ok'})) for @askers;
	is_deeply([ map { $_->reply } @askers ], [ ('true, SELECT 1, I') x 20 ], 'twenty at once');
	$_->quit for @askers;
	no_probes_left('none is left');
}

#----------------------------------------------------------------------------
# names of all kinds
#----------------------------------------------------------------------------
{
	my $name = q{q"u\\o<t>e};

	$admin->query(qq{CREATE ROLE "q""u\\o<t>e" LOGIN});
	$admin->query(q{CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0});
	$admin->query(q{CREATE DATABASE utf ENCODING 'UTF8' LOCALE 'C' TEMPLATE template0});
	$node->safe_psql('utf', 'CREATE EXTENSION pooler');
	$node->safe_psql('latin', q{DO $$ BEGIN EXECUTE 'CREATE ROLE "b' || chr(228) || 'r" LOGIN'; END $$});
	my $c = WireClient->new($node, role => $name);
	$c->query('SELECT 1');
	my $bear = WireClient->new($node, role => "b\xe4r", database => 'latin');
	$bear->query('SELECT 1');

	my $utf = direct(database => 'utf');
	my %roles = map { $_->{role} => 1 } @{ health($utf)->{pool_details} };
	ok($roles{$name}, 'quotes and backslashes');
	ok($roles{'b?r'}, 'bytes that are not valid in this encoding');
	my $latin = direct(database => 'latin');
	$latin->query('CREATE EXTENSION pooler');
	like($latin->value('SELECT pooler.health()'), qr/"b\xe4r"/, 'and in theirs');
	$_->quit for ($c, $bear, $utf, $latin);
}

# The views agree with each other.
becomes($node, q{
	SELECT (SELECT coalesce(sum(clients), 0) FROM pooler.pools) =
		   (SELECT count(*) FROM pooler.clients),
		   (SELECT sum(backends_busy) FROM pooler.pools),
		   (SELECT failed_logins FROM pooler.status)}, 't|0|2', 'the views are sound');

#----------------------------------------------------------------------------
# the pooler ends
#----------------------------------------------------------------------------

# during a probe
{
	my ($holder, $asker) = waiting_probe();

	$admin->query(q{SELECT pg_terminate_backend(pid) FROM pooler.status});
	my $health = decoded(($asker->replies)[0]);
	ok(!$health->{probe}{ok}, 'the pooler ends during a probe');
	like($health->{probe}{error}, qr/the pooler has ended|terminating connection/, 'why');
	is($health->{status}, 'unhealthy', 'unhealthy');
	wait_for_pooler($node);
	my $m = comes('restarted', 'warning', 'it has started again');
	cmp_ok($m->{value}, '<', 300, 'not long ago');
	is("$m->{threshold} $m->{unit}", '300 s', 'threshold');
	$health = probe($asker);
	ok($health->{probe}{ok}, 'a probe of the new one');
	is($health->{pooler}{starts}, 2, 'its second start');
	no_probes_left('nothing is left');
	$asker->quit;
}

# It is not there, as long as the postmaster can't start it again.
{
	my $postmaster = (split /\n/, slurp_file($node->data_dir . '/postmaster.pid'))[0];

	kill 'STOP', $stopped = $postmaster;
	$admin->query(q{SELECT pg_terminate_backend(pid) FROM pooler.status});
	my $m = comes('not_running', 'critical', 'it is not running');
	is("$m->{value} $m->{threshold}", '0 1', 'numbers');
	my $health = probe();
	is($health->{probe}{error}, 'the pooler is not running', 'no probe, and why');
	is($health->{pooler}{pid}, undef, 'no process');
	is($health->{status}, 'unhealthy', 'unhealthy');
	kill 'CONT', $postmaster;
	$stopped = undef;
	wait_for_pooler($node);
}

# Its port is closed, and then it ends its clients.
{
	my $client = client('watcher');

	$admin->query(q{SELECT pooler.shutdown('wait_for_clients')});
	my $health = health();
	is(messages($health, "$lately|backends"), 'not_listening critical 1 0', 'the port is closed');
	is($health->{status}, 'unhealthy', 'unhealthy');
	ok(probe()->{probe}{ok}, 'but its pools work');
	$admin->query(q{SELECT pooler.shutdown('now')});
	is($client->reply, 'FATAL 57P01: terminating connection due to administrator command, eof',
		'it ends its clients');
	comes('draining', 'critical', 'it is shutting down');
	is(probe()->{probe}{error}, 'the pooler is shutting down', 'no probe, and why');
}

$node->stop('fast');
done_testing();
