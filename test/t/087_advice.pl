# pooler.advice(): each situation that it knows is brought about, the row has
# the numbers, and its statement changes what it is about.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use PoolerTest qw(becomes pooler_psql start_node wait_for_pooler wait_until worker_pid);
use PostgreSQL::Test::Utils;
use RawClient;
use Test::More;

my $node = start_node('advice', conf => qq(
max_connections = 40
pooler.max_client_conn = 50
pooler.server_login_retry = 0.1
));
$node->safe_psql('postgres', q(
	CREATE ROLE app LOGIN;
	CREATE ROLE "Other App" LOGIN;
	CREATE ROLE watcher LOGIN IN ROLE pg_monitor;
	CREATE ROLE nobody LOGIN;
	CREATE DATABASE shop;
	ALTER ROLE app SET pooler.default_pool_size = 1;
));
my $cores = $node->safe_psql('postgres', 'SELECT pooler.get_cores()');
my ($enough, $most) = (2 * $cores + 1, 6 * $cores + 1 > 25 ? 6 * $cores + 1 : 25);
like($cores, qr/^[1-9][0-9]*$/, 'there are processors');

sub client
{
	my ($role, $database) = @_;
	return RawClient->connect($node, from => 'local', role => $role,
		database => $database // 'shop');
}

sub rows
{
	my ($columns, $condition) = @_;
	return $node->safe_psql('postgres',
		"SELECT $columns FROM pooler.advice() WHERE " . ($condition // 'true'));
}

# There comes to be a row of that severity, with that text; its statement, as
# wanted, is run.
sub advises
{
	my ($what, $severity, $why, $statement, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $row;

	ok( wait_until(
			$name,
			sub {
				$row = rows('severity, why, statement', "what = '$what'");
				return $row =~ /^$severity\|.*$why/m;
			}),
		"$name: there is advice")
	  or diag(rows('*'));
	my ($found) = $row =~ /^$severity\|[^|]*$why[^|]*\|(.*)$/m;
	is($found, $statement, "$name: the statement") or return;
	$node->safe_psql('postgres', $_) for grep { $_ ne '' } $found;
}

# No such row is left; a condition says which.
sub is_done
{
	my ($condition, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	becomes($node, "SELECT count(*) FROM pooler.advice() WHERE $condition", '0',
		"$name: no advice is left");
}

sub restart
{
	$node->restart;
	wait_for_pooler($node);
}

# A pool learns of its size from a backend that is started.
sub size_becomes
{
	my ($role, $size) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	ok( wait_until(
			"the size of the pool is $size",
			sub {
				pooler_psql($node, 'SELECT 1', role => $role, database => 'shop');
				return $node->safe_psql('postgres',
					"SELECT size FROM pooler.pools WHERE role = '$role' AND database = 'shop'") eq $size;
			}),
		"a pool of $size");
}

# Somebody else holds what the clients of the pool ask for.
my $admin = RawClient->connect($node, from => 'local', port => $node->port,
	database => 'shop');

#
# Nothing
#
like(rows('*'), qr/^ok\|pooler\|Nothing to be said: 0 of 50 clients, .* for $cores processors and 40 connections of the server\.\|$/,
	'nothing to be said');
{
	my ($rc, $out, $err) = $node->psql('postgres', 'SELECT severity FROM pooler.advice()',
		extra_params => [ '-U', 'watcher' ]);
	is("$rc $out", '0 ok', 'who may look at the views may ask for advice');
	($rc, $out, $err) = $node->psql('postgres', 'SELECT severity FROM pooler.advice()',
		extra_params => [ '-U', 'nobody' ]);
	like($err, qr/permission denied/, 'others may not');
}

#
# Clients that wait
#
my $pool = 'pool shop/app';
my $alter = 'ALTER ROLE app IN DATABASE shop SET ';
$admin->ask('SELECT pg_advisory_lock(1)');
my $first = client('app');
my $second = client('app');
$first->start('SELECT pg_advisory_xact_lock(1)');
becomes($node, q{SELECT backends_busy, size FROM pooler.pools WHERE role = 'app'}, '1|1',
	'a pool of one is busy');
$second->start('SELECT 1');
advises($pool, 'critical',
	qr/Clients have to wait for a backend: 1 wait now, the first one for [1-9][0-9]{3,} ms\. 1 of 1 backends are busy, 0 of them idle in a transaction, and 0 are pinned\./,
	"${alter}pooler.default_pool_size = $enough;", 'a pool that is too small');
is($second->answer, '1', '... and it helps at once');
$admin->ask('SELECT pg_advisory_unlock(1)');
$first->answer;
is_done("what = '$pool'", 'a pool that is large enough');
$_->quit for $first, $second;

# Two at work in a pool of two
$node->safe_psql('postgres', "${alter}pooler.default_pool_size = 2");
$admin->ask('SELECT pg_advisory_lock(1)');
size_becomes('app', 2);
($first, $second) = map { client('app') } 1 .. 2;
$_->start('SELECT pg_advisory_xact_lock(1)') for $first, $second;
advises($pool, 'warning', qr/2 of 2 backends are at work, 0 of them idle in a transaction: more than 80 %\./,
	"${alter}pooler.default_pool_size = " . ($enough > 4 ? $enough : 4) . ';', 'a pool that is used up');
is_done("what = '$pool'", 'a pool that has something left');
$admin->ask('SELECT pg_advisory_unlock(1)');
$_->answer for $first, $second;
$_->quit for $first, $second;

# Idle in a transaction
$node->safe_psql('postgres', "${alter}pooler.default_pool_size = 1");
size_becomes('app', 1);
($first, $second) = map { client('app') } 1 .. 2;
$first->ask('BEGIN');
$second->start('SELECT 1');
advises($pool, 'critical', qr/1 of 1 backends are busy, 1 of them idle in a transaction,/,
	"${alter}pooler.idle_transaction_timeout = '60s';", 'a client that is idle in a transaction');
$first->ask('ROLLBACK');
is($second->answer, '1', '... which was in the way');
is_done("what = '$pool'", 'nobody in the way');
ok( wait_until(
		'the timeout is in force',
		sub { pooler_psql($node, 'SHOW pooler.idle_transaction_timeout',
				role => 'app', database => 'shop') eq '1min' }),
	'... and nobody will be for long');
$_->quit for $first, $second;

#
# Pins
#
$first = client('app');
$first->ask('CREATE TEMP TABLE mine ()');
advises($pool, 'warning', qr/1 of 1 backends are pinned and serve one client each, because of: temporary objects\./,
	"${alter}pooler.pin_timeout = '60s';", 'a pin');
$second = client('app');
$second->start('SELECT 1');
ok( wait_until(
		'the second client waits',
		sub { rows('why, statement', "what = '$pool'") =~
			  /1 are pinned \(temporary objects\).*\|\Q${alter}pooler.pin_timeout = '60s';\E/ }),
	'... that lets others wait');
$first->quit;
is($second->answer, '1', '... but no longer');
$second->quit;
ok( wait_until(
		'the timeout is in force',
		sub { pooler_psql($node, 'SHOW pooler.pin_timeout',
				role => 'app', database => 'shop') eq '1min' }),
	'the time of a pin is bounded');

$node->safe_psql('postgres', "${alter}pooler.pool_mode = session");
$first = client('app');
ok( wait_until(
		'the mode is in force',
		sub { $first->ask('SHOW pooler.pool_mode') eq 'session' || do {
				$first->quit;
				$first = client('app');
				0;
		  } }),
	'the mode session');
advises($pool, 'warning', qr/because of: pool_mode\./,
	"${alter}pooler.pool_mode = 'transaction';", 'the mode session');
$first->quit;
becomes($node, q{SELECT backends_pinned FROM pooler.pools WHERE role = 'app'}, '0', 'it is over');
is(pooler_psql($node, 'SHOW pooler.pool_mode', role => 'app', database => 'shop'),
	'transaction', '... and will not come back');

#
# A pause
#
for (q{'shop'}, '')
{
	$node->safe_psql('postgres', "SELECT pooler.pause($_)");
	$first = client('app');
	$first->start('SELECT 1');
	advises($pool, 'warning', qr/1 clients wait, because the database is paused\./,
		"SELECT pooler.resume($_);", 'a pause');
	is($first->answer, '1', '... which is over');
	$first->quit;
}

#
# Sizes
#
$node->safe_psql('postgres', 'ALTER ROLE "Other App" SET pooler.default_pool_size = 1000');
$first = client('Other App');
$first->ask('SELECT 1');
advises('pool shop/"Other App"', 'info',
	qr/The pool may have 1000 backends, and $cores processors are kept busy by about $enough\./,
	qq(ALTER ROLE "Other App" IN DATABASE shop SET pooler.default_pool_size = $most;), 'a pool that is too large');
$first->quit;
size_becomes('Other App', $most);
is_done(q{what ~ 'Other App'}, 'a pool that is not');
$first = client('Other App');

# two pools that together want more than there is
SKIP:
{
	skip 'this machine has many processors', 2 if $most > 31;
	$node->safe_psql('postgres', "${alter}pooler.default_pool_size = $most");
	size_becomes('app', $most);
	$second = client('app');
	advises('pooler.default_pool_size', 'warning',
		qr/2 pools in use may have ${\ (2 * $most)} backends in sum, but all pools together only 32, of 40 connections of the server\./,
		'ALTER SYSTEM SET pooler.default_pool_size = 16;', 'more than there is');
	$second->quit;
}
$first->quit;
$node->safe_psql('postgres', "${alter}pooler.default_pool_size = 1");
$node->safe_psql('postgres', 'ALTER SYSTEM RESET pooler.default_pool_size');

# the server's connections
$node->append_conf('postgresql.conf', 'pooler.max_backends = 33');
restart();
advises('pooler.max_backends', 'warning', qr/Pools may take 33 of 40 connections, more than 80 %/,
	'ALTER SYSTEM SET pooler.max_backends = 0;', 'too many connections for pools');
restart();
is_done(q{what = 'pooler.max_backends'}, 'not too many');

#
# Limits
#
$node->append_conf('postgresql.conf', 'pooler.max_client_conn = 2');
restart();
($first, $second) = map { client('app') } 1 .. 2;
advises('pooler.max_client_conn', 'warning', qr/2 of 2 clients are connected, and 0 were refused so far\./,
	'ALTER SYSTEM SET pooler.max_client_conn = 4;', 'many clients');
my ($rc, $out, $err) = pooler_psql($node, 'SELECT 1', role => 'app', database => 'shop');
like($err, qr/too many clients/, 'one is refused');
advises('pooler.max_client_conn', 'critical', qr/2 of 2 clients are connected, and 1 were refused so far\./,
	'ALTER SYSTEM SET pooler.max_client_conn = 4;', 'too many clients');
$_->quit for $first, $second;
restart();
is_done(q{what = 'pooler.max_client_conn'}, 'not too many');

# a limit of one role is not the pooler's
$node->safe_psql('postgres', 'ALTER ROLE app SET pooler.max_user_client_connections = 1');
$first = client('app');
($rc, $out, $err) = pooler_psql($node, 'SELECT 1', role => 'app', database => 'shop');
like($err, qr/too many connections for role/, "one is refused by its role's limit");
is_done(q{what = 'pooler.max_client_conn'}, "a role's limit");
$first->quit;
$node->safe_psql('postgres', 'ALTER ROLE app RESET pooler.max_user_client_connections');

# memory
$node->safe_psql('postgres', q{ALTER SYSTEM SET pooler.session_memory = '1MB'});
$node->reload;
my @clients = map { client('app') } 1 .. 4;	# one of them stays attached
$_->ask(q{SELECT set_config('app.x', repeat('x', 300000), false)}) for @clients;
advises('pooler.session_memory', 'warning', qr/The sessions of 4 clients take [0-9]+ kB of 1024 kB, more than 80 %/,
	q{ALTER SYSTEM SET pooler.session_memory = '2048 kB';}, 'memory for sessions');
$node->reload;
is_done(q{what = 'pooler.session_memory'}, 'there is more now');
$_->quit for @clients;

$node->safe_psql('postgres', q{ALTER SYSTEM SET pooler.prepared_statements_memory = '1MB'});
$node->reload;
($first, $second) = map { client('app') } 1 .. 2;
my $n = 0;
ok( wait_until(
		'statements make room for others',
		sub {
			# what is kept is what was taken to another transaction
			$first->ask("PREPARE s AS SELECT '" . 'x' x 100_000 . "'::text, " . $n++);
			$second->ask('SELECT 1');
			$first->ask('DEALLOCATE s');
			$second->ask('SELECT 1');
			return $node->safe_psql('postgres',
				'SELECT prepared_statements_evicted > 0 FROM pooler.status') eq 't';
		},
		30),
	'statements make room for others');
advises('pooler.prepared_statements_memory', 'warning', qr/Prepared statements take [0-9]+ kB of 1024 kB, and [0-9]+ had to make room for others\./,
	q{ALTER SYSTEM SET pooler.prepared_statements_memory = '2048 kB';}, 'memory for statements');
$node->reload;
is_done(q{what = 'pooler.prepared_statements_memory'}, 'there is more now');
$_->quit for $first, $second;

#
# Times, and limits that contradict each other
#
$node->safe_psql('postgres', $_)
  for 'ALTER SYSTEM SET pooler.server_lifetime = 0',
  'ALTER SYSTEM SET pooler.query_wait_timeout = 0',
  'ALTER SYSTEM SET pooler.max_db_connections = 5';
$node->reload;
advises('pooler.server_lifetime', 'info', qr/Backends are never replaced/,
	q{ALTER SYSTEM SET pooler.server_lifetime = '1h';}, 'backends without an age');
advises('pooler.query_wait_timeout', 'info', qr/without a limit/,
	q{ALTER SYSTEM SET pooler.query_wait_timeout = '30s';}, 'waiting without an end');
advises('pooler.max_db_connections', 'info', qr/A pool may have 20 backends, but all pools of one database only 5\./,
	'ALTER SYSTEM SET pooler.max_db_connections = 40;', 'limits that contradict each other');
$node->reload;
is_done(q{severity = 'info'}, 'all times and limits');
$node->safe_psql('postgres', q{ALTER SYSTEM SET pooler.server_lifetime = '10s'});
$node->reload;
advises('pooler.server_lifetime', 'info', qr/Backends are replaced after 10 s/,
	q{ALTER SYSTEM SET pooler.server_lifetime = '1h';}, 'backends that are soon too old');
$node->reload;

#
# The pooler itself
#
becomes($node, q{SELECT string_agg(severity, ' ') FROM pooler.advice()}, 'ok', 'nothing again');
$node->safe_psql('postgres', q{SELECT pg_terminate_backend(pid) FROM pooler.status});
advises('pooler', 'warning', qr/The pooler was started 2 times since the server was/, '', 'the pooler has ended');

# Whatever a name is, and whatever is not known
$node->safe_psql('postgres', q{CREATE ROLE "it's ""me""" LOGIN; ALTER ROLE "it's ""me""" SET pooler.default_pool_size = 500});
wait_for_pooler($node);
pooler_psql($node, 'SELECT 1', role => q{it's "me"}, database => 'shop');
advises(q{pool shop/"it''s ""me"""}, 'info', qr/may have 500 backends/,
	qq(ALTER ROLE "it's ""me""" IN DATABASE shop SET pooler.default_pool_size = $most;), 'odd names');
is($node->safe_psql('postgres', 'SELECT count(*) FROM pooler.advice() WHERE severity IS NULL OR what IS NULL OR why IS NULL'),
	'0', 'each row says something');

$node->stop;
done_testing();
