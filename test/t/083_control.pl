# Controlling the pooler by SQL: who waits, who is ended, and that nobody else
# is, and that no command is lost or run twice.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use IPC::Run ();
use LoginClient ();
use PoolerTest qw(becomes log_size logged pooler_connstr pooler_port pooler_psql
  start_node wait_for_pooler wait_until worker_pid);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WireClient qw(m_query);

my $node = start_node(
	'control',
	conf => "pooler.default_pool_size = 3\npooler.max_client_conn = 60\nlog_connections = on\n",
	hba => qq(
host	all	deleg	127.0.0.0/8	password
local	all	all	trust
host	all	all	127.0.0.0/8	trust
));

# Administrators and all that is asked of views is on the server's own port.
my $admin = direct();
my $me = $admin->value('SELECT current_user');

sub direct
{
	my (%options) = @_;
	return WireClient->new($node, port => $node->port, %options);
}

sub client
{
	my ($database, %options) = @_;
	return WireClient->new($node, database => $database, %options);
}

sub is_value
{
	my ($sql, $wanted, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is($admin->value($sql), $wanted, $name);
}

sub becomes_value
{
	my ($sql, $wanted, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	ok($admin->until($sql, $wanted), $name)
	  or diag($admin->query('SELECT * FROM pooler.clients'),
		$admin->query('SELECT * FROM pooler.backends'),
		$admin->query('SELECT * FROM pooler.databases'));
}

# A command that takes a while, by an administrator of its own.
sub start
{
	my ($sql) = @_;
	my $other = direct();
	$other->put(m_query($sql));
	return $other;
}

sub ends_well
{
	my ($other, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my @replies = $other->replies;
	is($replies[-1] . (grep { /^(ERROR|FATAL)/ } @replies), 'I0', $name) or diag("@replies");
	$other->quit;
}

# What a view says of a client with this application_name.
sub state_is
{
	my ($name, $state) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	becomes_value("SELECT state FROM pooler.clients WHERE application_name = '$name'",
		$state, "$name is $state");
}

# (A client that has just been let in may not be shown yet.)
sub id_of
{
	$admin->until("SELECT count(*) FROM pooler.clients WHERE application_name = '$_[0]'", 1);
	return $admin->value("SELECT id FROM pooler.clients WHERE application_name = '$_[0]'");
}

# Other settings, in force in the pooler when this returns: the size of its
# pools, which it changes with them, tells.
sub settings
{
	my (%settings) = @_;
	my $size = 4;

	$admin->query("ALTER SYSTEM SET $_ = '$settings{$_}'") for sort keys %settings;
	$admin->query("ALTER SYSTEM SET pooler.default_pool_size = $size");
	$admin->query('SELECT pg_reload_conf()');
	becomes_value("SELECT count(*) FROM pooler.pools WHERE size <> $size", 0, 'new settings');
	$admin->query('ALTER SYSTEM RESET pooler.default_pool_size');
	$admin->query('SELECT pg_reload_conf()');
	becomes_value('SELECT count(*) FROM pooler.pools WHERE size <> 3', 0, 'are in force');
}

sub backends { return "SELECT count(*) FROM pg_stat_activity WHERE datname = '$_[0]' AND backend_type = 'client backend'" }

for (qw(app other))
{
	$admin->query("CREATE DATABASE $_");
}
$admin->query('CREATE ROLE nobody LOGIN');
$admin->query(q(CREATE ROLE deleg LOGIN PASSWORD 'deleg'));
{
	my $there = direct(database => 'app');
	$there->query('CREATE TABLE ran (who text)');
	$there->query('CREATE TABLE counters (id int PRIMARY KEY, n int NOT NULL)');
	$there->query('INSERT INTO counters SELECT i, 0 FROM generate_series(1, 8) i');
	$there->query('GRANT ALL ON ALL TABLES IN SCHEMA public TO PUBLIC');
	$there->quit;
}

#
# PAUSE and RESUME
#

{
	my $active = client('app', application_name => 'active');
	my $lingering = client('app', application_name => 'lingering');
	my $elsewhere = client('other', application_name => 'elsewhere');

	$active->query('BEGIN');
	$active->query("INSERT INTO ran VALUES ('active')");
	is($lingering->value('SELECT 1'), '1', 'a client on which a backend lingers');
	my $pause = start("SELECT pooler.pause('app')");
	becomes_value("SELECT paused, paused_by_name FROM pooler.databases WHERE database = 'app'",
		't|t', 'the database is paused');
	becomes_value(backends('app'), 1, 'its idle backends go, the one in a transaction stays');
	ok(!$pause->readable, 'PAUSE waits for it');
	$lingering->put(m_query("INSERT INTO ran VALUES ('lingering')"));
	state_is('lingering', 'waiting');
	is($elsewhere->value('SELECT 2'), '2', 'another database is not concerned');
	is($active->value('SELECT 3'), '3', 'the transaction goes on');
	is($active->query('COMMIT'), 'COMMIT, I', 'and ends');
	ends_well($pause, 'then PAUSE is over');
	is_value(backends('app'), 0, 'and no backend is left');
	is_value("SELECT bool_and(paused) FROM pooler.pools WHERE database = 'app'", 't',
		'the pools are shown as paused');
	$active->put(m_query("INSERT INTO ran VALUES ('again')"));
	state_is('active', 'waiting');
	is_value("SELECT clients, clients_waiting, backends FROM pooler.databases WHERE database = 'app'",
		'2|2|0', 'pooler.databases counts them');
	is_value("SELECT pooler.resume('app')", '', 'RESUME');
	is($lingering->reply, 'INSERT 0 1, I', 'who waited is served');
	is($active->reply, 'INSERT 0 1, I', 'all of them');
	is($active->value('SELECT count(*), count(DISTINCT who) FROM ran'), '3|3',
		'and each command was run once');
	is_value("SELECT paused FROM pooler.databases WHERE database = 'app'", 'f', 'not paused any more');

	# once more, with all databases; a client that waits for long stays
	settings('pooler.query_wait_timeout' => '3s');
	is_value('SELECT pooler.pause()', '', 'PAUSE of everything');
	is_value("SELECT state FROM pooler.status", 'paused', 'the state of the pooler');
	is_value('SELECT count(*) FROM pooler.backends', 0, 'no backend at all');
	is_value('SELECT bool_and(paused), bool_or(paused_by_name) FROM pooler.databases', 't|f',
		'all databases are paused, none by name');
	$_->put(m_query('SELECT 4')) for $active, $elsewhere;
	becomes_value(q(SELECT count(*) FROM pooler.clients WHERE wait > interval '3.5 s'), 2,
		'clients wait for much longer than query_wait_timeout');
	is_value('SELECT pooler.resume()', '', 'RESUME of everything');
	is($_->reply, '4, SELECT 1, I', 'nobody was let down') for $active, $elsewhere;
	settings('pooler.query_wait_timeout' => '2min');

	is_value('SELECT pooler.suspend()', '', 'SUSPEND');
	is_value("SELECT state FROM pooler.status", 'suspended', 'the state of the pooler');
	$active->put(m_query('SELECT 5'));
	state_is('active', 'waiting');
	is_value('SELECT pooler.resume()', '', 'RESUME ends it');
	is($active->reply, '5, SELECT 1, I', 'and the client is served');
	$_->quit for $active, $lingering, $elsewhere;
}

# A pinned session is waited for, as one of a pool in session mode.
{
	my $pinned = client('app', application_name => 'pinned');

	$pinned->query('CREATE TEMP TABLE mine (a int)');
	state_is('pinned', 'pinned');
	my $pause = start("SELECT pooler.pause('app')");
	becomes_value("SELECT paused FROM pooler.databases WHERE database = 'app'", 't', 'paused');
	is($pinned->query('INSERT INTO mine VALUES (1)'), 'INSERT 0 1, I',
		'a pinned session goes on');
	ok(!$pause->readable, 'PAUSE waits for it');
	is($pinned->query('DROP TABLE mine'), 'DROP TABLE, I', 'until nothing pins it');
	ends_well($pause, 'then PAUSE is over');
	$pinned->put(m_query('SELECT 1'));
	state_is('pinned', 'waiting');
	$admin->query("SELECT pooler.resume('app')");
	is($pinned->reply, '1, SELECT 1, I', 'and it is like any other');

	$pinned->query('LISTEN something');
	$pause = start("SELECT pooler.pause('app')");
	becomes_value("SELECT paused FROM pooler.databases WHERE database = 'app'", 't', 'paused');
	$pinned->quit;
	ends_well($pause, 'PAUSE is over when a pinned client leaves');
	$admin->query("SELECT pooler.resume('app')");
}

# No transaction is lost or begun while it is paused, whatever the load.
{
	my $script = $node->basedir . '/count.sql';
	my ($out, $err) = ('', '');
	my $n = 0;
	my $sum = direct(database => 'app');

	append_to_file($script,
		"\\set id random(1, 8)\nUPDATE counters SET n = n + 1 WHERE id = :id;\n");
	my $run = IPC::Run::start(
		[
			'pgbench', '-n', '-c', 12, '-j', 2, '-t', 1500, '-f', $script,
			pooler_connstr($node, database => 'app')
		],
		'>', \$out, '2>', \$err);
	while ($run->pumpable && $n < 200)
	{
		$n++ if $admin->value("SELECT pooler.pause('app')") eq '';
		my $before = $sum->value('SELECT sum(n) FROM counters');
		my $there = $admin->value(
			backends('app') . " AND pid <> " . $sum->value('SELECT pg_backend_pid()'));
		my $after = $sum->value('SELECT sum(n) FROM counters');
		if ($there ne '0' || $before ne $after)
		{
			fail("a transaction ran while paused: $there backends, $before, $after");
			last;
		}
		$admin->query("SELECT pooler.resume('app')");
		$sum->until("SELECT sum(n) > $after OR sum(n) = 18000 FROM counters", 't') or last;
		$run->pump_nb;
	}
	$admin->query("SELECT pooler.resume('app')");
	ok($run->finish, "pgbench goes through $n pauses") or diag($out, $err);
	is($sum->value('SELECT sum(n) FROM counters'), 18000, 'and each of its transactions was run once');
	cmp_ok($n, '>', 2, 'several pauses');
	$sum->quit;
}

#
# what is refused
#

sub refused
{
	my ($sql, $wanted, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	like($admin->value($sql), $wanted, $name);
}

refused("SELECT pooler.resume()", qr/^ERROR 55000: the pooler is not paused/, 'RESUME of what is not paused');
refused("SELECT pooler.resume('app')", qr/^ERROR 55000: database "app" is not paused/, '... of a database');
refused("SELECT pooler.$_('nowhere')", qr/^ERROR 3D000: database "nowhere" does not exist/, "$_ of an unknown database")
  for qw(pause resume disable enable reconnect wait_close kill);
refused("SELECT pooler.disable(NULL)", qr/^ERROR 22023: /, 'DISABLE of nothing');
refused("SELECT pooler.shutdown('gently')", qr/^ERROR 22023: .*wait_for_clients/, 'an unknown mode');
refused("SELECT pooler.kill_client(0)", qr/^ERROR 42704: client 0 does not exist/, 'a client that never was');
refused("SELECT pooler.kill_client(-1)", qr/^ERROR 42704: /, 'a number that can\'t be');

$admin->query("SELECT pooler.pause('app')");
refused("SELECT pooler.pause('app')", qr/^$/, 'PAUSE of a paused database once more is none');
refused("SELECT pooler.suspend()", qr/^ERROR 55000: .*while databases are paused/, 'SUSPEND after it');
refused("SELECT pooler.resume()", qr/^ERROR 55000: .*resumed by name/, 'RESUME of all does not do for one');
$admin->query("SELECT pooler.pause()");
refused("SELECT pooler.pause('other')", qr/^ERROR 55000: the pooler is already paused/, 'PAUSE while all is paused');
refused("SELECT pooler.pause()", qr/^ERROR 55000: the pooler is already paused/, '... of all');
refused("SELECT pooler.resume('other')", qr/^ERROR 55000: database "other" is not paused.*without a name/, 'RESUME of one');
$admin->query("SELECT pooler.resume()");
is_value("SELECT string_agg(database, ',') FROM pooler.databases WHERE paused", 'app',
	'a database that was paused by name stays so');
$admin->query("SELECT pooler.resume('app')");

# Through the pooler nobody can wait for himself.
{
	my $c = client('postgres');

	like($c->value("SELECT pooler.$_"), qr/^ERROR 55000: .*through the pooler.*server's own port/, "$_ through the pooler")
	  for "pause('postgres')", 'pause()', 'suspend()', 'kill()', "kill('postgres')", 'wait_close()', "wait_close('postgres')";
	is($c->value("SELECT pooler.pause('other')"), '', 'another database can be paused');
	is($c->value("SELECT pooler.resume('other')"), '', 'and resumed');
	is($c->value("SELECT pooler.reconnect()"), '', 'and who does not wait may');
	like($c->value('SELECT pooler.kill_client(id) FROM pooler.clients WHERE pid = pg_backend_pid()'),
		qr/^FATAL 57P01/, 'a session can end itself');
}

# Whoever was given the right.
{
	my $c = direct(role => 'nobody');

	$admin->query('GRANT USAGE ON SCHEMA pooler TO nobody');
	like($c->value("SELECT pooler.pause('other')"), qr/^ERROR 42501: permission denied for function pause/,
		'not everybody may');
	$admin->query('GRANT EXECUTE ON FUNCTION pooler.pause(name), pooler.resume(name) TO nobody');
	is($c->value("SELECT pooler.pause('other')"), '', 'who was given the right may');
	is($c->value("SELECT pooler.resume('other')"), '', 'and may end it');
	$admin->query('DROP OWNED BY nobody');
	$c->quit;
}

#
# giving up
#

{
	my $active = client('app', application_name => 'active');
	my $waiting = client('app', application_name => 'waiting');

	$active->query('BEGIN');
	for my $way ('cancel', 'timeout', 'termination', 'hang-up')
	{
		my $pause = direct();
		my $pid = $pause->value('SELECT pg_backend_pid()');

		$pause->query("SET statement_timeout = '200ms'") if $way eq 'timeout';
		$pause->put(m_query("SELECT pooler.pause('app')"));
		if ($way ne 'timeout')
		{
			becomes_value("SELECT paused FROM pooler.databases WHERE database = 'app'", 't', 'paused');
			$waiting->put(m_query('SELECT 1'));
			state_is('waiting', 'waiting');
		}
		$admin->query("SELECT pg_cancel_backend($pid)") if $way eq 'cancel';
		$admin->query("SELECT pg_terminate_backend($pid)") if $way eq 'termination';
		if ($way eq 'hang-up')
		{
			$pause->close;
			$admin->query("SELECT pg_terminate_backend($pid)");
		}
		else
		{
			like($pause->reply, qr/57014|57P01/, "a waiting PAUSE can be given up: $way");
		}
		becomes_value("SELECT paused FROM pooler.databases WHERE database = 'app'", 'f',
			'and is taken back');
		is($waiting->reply, '1, SELECT 1, I', 'who waited is served') if $way ne 'timeout';
		$pause->close;
	}
	is($active->value('SELECT 1'), '1', 'the transaction has not noticed');

	# two that pause: it is taken back when the last one has given up
	my $pausing = q(SELECT count(*) FROM pg_stat_activity
		WHERE state = 'active' AND query LIKE 'SELECT pooler.pause%');
	my ($first, $second);
	my $give_up = sub { $admin->query('SELECT pg_cancel_backend(' . unpack('N', $_[0]{key}) . ')') };
	my $two_pause = sub {
		$_ && $_->quit for $first, $second;
		$first = start("SELECT pooler.pause('app')");
		becomes_value("SELECT paused FROM pooler.databases WHERE database = 'app'", 't', 'paused');
		$second = start("SELECT pooler.pause('app')");
		becomes_value($pausing, 2, 'a second one waits, too');
	};
	for my $who (0, 1)
	{
		$two_pause->();
		my ($gives_up, $stays) = $who ? ($first, $second) : ($second, $first);

		$waiting->put(m_query('SELECT 1'));
		state_is('waiting', 'waiting');
		$give_up->($gives_up);
		like($gives_up->reply, qr/57014/, 'one of them gives up');
		is_value("SELECT pooler.enable('other')", '', 'the pooler has seen it');
		is($active->value('SELECT 1'), '1', 'the transaction goes on');
		is_value("SELECT paused FROM pooler.databases WHERE database = 'app'", 't',
			'it stays paused, since the other one waits');
		ok(!$stays->readable, 'who is not told anything');
		$give_up->($stays);
		like($stays->reply, qr/57014/, 'the other one gives up, too');
		becomes_value("SELECT paused FROM pooler.databases WHERE database = 'app'", 'f',
			'then it is taken back');
		is($waiting->reply, '1, SELECT 1, I', 'and who waited is served');
	}
	$two_pause->();
	$admin->query("SELECT pooler.resume('app')");
	like($_->reply, qr/ERROR 55000: RESUME came before/, 'RESUME ends the waiting of both') for $first, $second;
	$_->quit for $active, $waiting, $first, $second;
}

#
# logins while paused
#

{
	settings('pooler.min_pool_size' => 1, 'pooler.client_login_timeout' => '2s');
	client('app')->quit;		# its parameters are known then
	$admin->query("SELECT pooler.pause('app')");
	my $c = client('app', application_name => 'late');
	pass('who can be told his parameters logs in');
	$c->put(m_query('SELECT 1'));
	state_is('late', 'waiting');
	like(LoginClient::login_answer('local', $node->host, pooler_port($node), role => 'nobody', database => 'app'),
		qr/^FATAL 57014: canceling authentication due to timeout/, 'others wait for it up to client_login_timeout');
	like(LoginClient::login_answer('127.0.0.1', $node->host, pooler_port($node),
			role => 'deleg', database => 'app', password => 'deleg'),
		qr/^FATAL 57014: canceling authentication due to timeout/, 'as does who is authenticated by a backend');
	is(LoginClient::login_answer('127.0.0.1', $node->host, pooler_port($node),
			role => 'deleg', database => 'other', password => 'deleg'),
		'ok', 'but not for another database');
	is_value(backends('app'), 0, 'no backend was made for any of them, nor for min_pool_size');
	is_value("SELECT coalesce(sum(backends), 0) FROM pooler.pools WHERE database = 'app'", 0, 'nor begun');
	settings('pooler.client_login_timeout' => '1min');
	my $login = RawClient->open($node, from => 'local');
	$login->send_startup(role => 'nobody', database => 'app');
	my $deleg = RawClient->open($node);
	$deleg->send_startup(role => 'deleg', database => 'app');
	becomes_value("SELECT count(*) FROM pooler.clients WHERE state = 'login'", 2, 'two log in');
	$admin->query("SELECT pooler.resume('app')");
	is($login->finish_login, 'ok', 'RESUME lets in who has waited');
	is($deleg->finish_login, 'R3', 'and who is to be authenticated');
	is($c->reply, '1, SELECT 1, I', 'and serves who is in');
	# he is on his way, and nobody can say when he arrives
	my $pause = start("SELECT pooler.pause('app')");
	becomes_value("SELECT paused FROM pooler.databases WHERE database = 'app'", 't', 'paused');
	becomes_value(backends('app'), 0, 'it has no backend');
	is_value("SELECT pooler.pause('other')", '', 'another database is over at once');
	ok(!$pause->readable, 'who is being authenticated is waited for');
	$deleg->send('p', "deleg\0");
	is($deleg->finish_login, 'ok', 'he logs in');
	ends_well($pause, 'then PAUSE is over');
	is_value(backends('app'), 0, 'with no backend left');
	$admin->query("SELECT pooler.resume('$_')") for 'app', 'other';
	$deleg->close;

	$deleg = RawClient->open($node);
	$deleg->send_startup(role => 'deleg', database => 'app');
	is($deleg->finish_login, 'R3', 'one more');
	is_value("SELECT pooler.kill('app')", '', 'KILL does not wait for him');
	is_value("SELECT count(*) FROM pooler.clients WHERE state = 'login'", 0, 'but ends him');
	is($deleg->finish_login, 'closed', 'without a word');
	$admin->query("SELECT pooler.resume('app')");
	$deleg->close;
	$login->quit;
	$c->quit;
	settings('pooler.min_pool_size' => 0);
}

#
# KILL
#

{
	my %c = map { $_ => client('app', application_name => $_) } qw(idle lingering active open pinned waiting);
	my $elsewhere = client('other', application_name => 'elsewhere');

	$elsewhere->query('BEGIN');
	$c{idle}->query('SELECT 1');
	$admin->query("SELECT pooler.reconnect('app')");
	state_is('idle', 'idle');
	$c{active}->put(m_query('SELECT pg_sleep(1000)'));
	$c{open}->query('BEGIN');
	$c{pinned}->query('LISTEN x');
	$c{waiting}->put(m_query('SELECT 1'));
	state_is($_, $_ eq 'open' ? 'active' : $_) for qw(active open pinned waiting);
	is_value("SELECT pooler.kill('app')", '', 'KILL of a database');
	is_value("SELECT count(*) FROM pooler.clients WHERE database = 'app'", 0, 'ends all its clients');
	is_value(backends('app'), 0, 'and backends');
	like($c{$_}->reply('E'),
		qr/FATAL 57P01: terminating connection due to administrator command/, "$_ is told")
	  for sort keys %c;
	is($elsewhere->value('SELECT 2'), '2', 'and nobody else');
	is($elsewhere->query('COMMIT'), 'COMMIT, I', 'not even in a transaction');
	is_value("SELECT paused FROM pooler.databases WHERE database = 'app'", 't', 'the database is paused');
	my $new = client('app', application_name => 'new');
	$new->put(m_query('SELECT 3'));
	state_is('new', 'waiting');
	$admin->query("SELECT pooler.resume('app')");
	is($new->reply, '3, SELECT 1, I', 'until RESUME');
	$_->quit for $new, $elsewhere;
}

#
# KILL_CLIENT
#

{
	my $bystander = client('app', application_name => 'bystander');
	my $filler = client('app');

	$filler->query('BEGIN');
	for my $state (qw(idle lingering active open pinned waiting copy))
	{
		my $c = client('app', application_name => 'victim');
		my @fillers;

		$c->query('SELECT 1') if $state eq 'lingering';
		$c->put(m_query('SELECT pg_sleep(1000)')) if $state eq 'active';
		$c->query('BEGIN') if $state eq 'open';
		$c->query('SELECT pg_advisory_lock(1)') if $state eq 'pinned';
		$c->put(m_query('COPY ran FROM STDIN')) if $state eq 'copy';
		if ($state eq 'waiting')
		{
			@fillers = map { client('app') } 1 .. 2;
			$_->query('BEGIN') for @fillers;
			$c->put(m_query("INSERT INTO ran VALUES ('never')"));
		}
		state_is('victim',
			{ active => 'active', open => 'active', copy => 'active', lingering => 'idle' }->{$state} // $state);
		is_value('SELECT pooler.kill_client(' . id_of('victim') . ')', '', "KILL_CLIENT: $state");
		is_value("SELECT count(*) FROM pooler.clients WHERE application_name = 'victim'", 0, 'it has gone');
		my @replies = $c->replies('E');
		@replies = $c->replies('E') if $state eq 'copy' && $replies[-1] !~ /^FATAL/;
		like($replies[-1], qr/^FATAL 57P01/, 'and was told');
		$c->close;
		$_->quit for @fillers;
	}
	is($bystander->value("SELECT count(*) FROM ran WHERE who = 'never'"), 0, 'a waiting command is not run');
	is($filler->value('SELECT 1'), '1', 'nobody else was hurt');

	# one that does not read its result
	my $deaf = client('app', application_name => 'deaf');
	$deaf->put(m_query("SELECT repeat('x', 1000) FROM generate_series(1, 100000)"));
	becomes_value("SELECT wait_event FROM pg_stat_activity WHERE application_name = 'deaf'", 'ClientWrite',
		'a backend is stuck in sending');
	is_value('SELECT pooler.kill_client(' . id_of('deaf') . ')', '', 'KILL_CLIENT ends its client, too');
	$deaf->close;

	# those who log in
	my $login = RawClient->open($node, from => 'local');
	becomes_value("SELECT count(*) FROM pooler.clients WHERE state = 'login'", 1, 'a client that has sent nothing');
	is_value("SELECT pooler.kill_client(id) FROM pooler.clients WHERE state = 'login'", '', 'can be ended');
	like($login->answer, qr/57P01/, 'and is told');
	$login = RawClient->open($node);
	$login->send_startup(role => 'deleg', database => 'app');
	is($login->finish_login, 'R3', 'a client that a backend asks for its password');
	is_value("SELECT pooler.kill_client(id) FROM pooler.clients WHERE state = 'login'", '', 'can be ended');
	is($login->answer, 'closed', 'without a word');

	# the slot of a client that has left
	my $old = client('app', application_name => 'old');
	my $id = id_of('old');
	my $slot = unpack('N', $old->{key});
	$old->quit;
	becomes_value("SELECT count(*) FROM pooler.clients WHERE id = $id", 0, 'a client has left');
	my $new = client('app');
	for (1 .. 1000)
	{
		last if unpack('N', $new->{key}) == $slot;
		$new->quit;
		$new = client('app');
	}
	is(unpack('N', $new->{key}), $slot, 'its slot has another one');
	like($admin->value("SELECT pooler.kill_client($id)"), qr/^ERROR 42704: client $id does not exist/,
		'KILL_CLIENT of the old one is an error');
	is($new->value('SELECT 1'), '1', 'and does nothing to the new one');
	$_->quit for $new, $bystander, $filler;
}

# A client that is just being handed over is ended as soon as it has arrived.
{
	for (qw(arm release))
	{
		$admin->query("CREATE FUNCTION debug_$_(text) RETURNS void AS 'pooler', 'pooler_debug_$_' LANGUAGE C STRICT");
	}
	$admin->query("CREATE FUNCTION debug_waiting(text) RETURNS int AS 'pooler', 'pooler_debug_waiting' LANGUAGE C STRICT");
	for my $point ('popped', 'claimed', 'given back')
	{
		my @holders = map { client('app') } 1 .. ($point eq 'popped' ? 3 : 1);
		my $victim = client('app', application_name => 'victim');
		my $next = client('app');

		if ($point eq 'popped')
		{
			$_->query('BEGIN') for @holders;
			$victim->put(m_query('SELECT 1'));
			state_is('victim', 'waiting');
		}
		elsif ($point eq 'given back')
		{
			$victim->query('BEGIN');
			push @holders, client('app');
			$_->query('BEGIN') for @holders;
			$next->put(m_query('SELECT 2'));
			becomes_value("SELECT count(*) FROM pooler.clients WHERE state = 'waiting'", 1, 'one waits');
		}
		$admin->query("SELECT debug_arm('$point')");
		$holders[0]->put(m_query('COMMIT')) if $point eq 'popped';
		$victim->put(m_query('SELECT 1')) if $point eq 'claimed';
		$victim->put(m_query('COMMIT')) if $point eq 'given back';
		becomes_value("SELECT debug_waiting('$point') > 0", 't', "a backend stands at \"$point\"");
		my $kill = start('SELECT pooler.kill_client(' . id_of('victim') . ')');
		becomes_value("SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%kill_client%'", 2, 'KILL_CLIENT waits') if $point ne 'given back';
		$admin->query("SELECT debug_release('$point')");
		ends_well($kill, 'it is over');
		like(join(' ', $victim->replies('E')), qr/57P01/, 'the client has been told');
		$next->put(m_query('SELECT 2')) if $point ne 'given back';
		is($next->reply, '2, SELECT 1, I', 'the next one is served');
		$_->quit for $next, @holders;
	}
}

#
# DISABLE and ENABLE
#

{
	my $c = client('app');
	my @login = ($node->host, pooler_port($node), database => 'app');

	is_value("SELECT pooler.disable('app')", '', 'DISABLE');
	is_value("SELECT string_agg(database, ',') FROM pooler.databases WHERE disabled", 'app', 'it is shown');
	is($c->value('SELECT 1'), '1', 'who is there goes on');
	like(LoginClient::login_answer('local', @login, role => $me),
		qr/^FATAL 55000: database "app" is disabled/, 'new clients are refused');
	like(LoginClient::login_answer('127.0.0.1', @login, role => 'deleg', password => 'wrong'),
		qr/^FATAL 28P01/, 'after they were authenticated');
	like(LoginClient::login_answer('127.0.0.1', @login, role => 'deleg', password => 'deleg'),
		qr/^FATAL 55000: database "app" is disabled/, 'also by a backend');
	is(LoginClient::login_answer('local', $node->host, pooler_port($node), role => $me, database => 'other'),
		'ok', 'another database takes clients');
	is_value("SELECT pooler.disable('app')", '', 'DISABLE of a disabled one');
	is_value("SELECT pooler.enable('app')", '', 'ENABLE');
	is_value("SELECT pooler.enable('app')", '', 'ENABLE of an enabled one');
	is(LoginClient::login_answer('local', @login, role => $me), 'ok', 'new clients are let in');
	$c->quit;
}

#
# RECONNECT and WAIT_CLOSE
#

{
	my ($a, $b) = map { client('app') } 1 .. 2;
	my $other = client('other');
	my $of_other = $other->value('SELECT pg_backend_pid()');

	$a->query('BEGIN');
	my $of_a = $a->value('SELECT pg_backend_pid()');
	my $of_b = $b->value('SELECT pg_backend_pid()');
	is_value("SELECT pooler.wait_close('app')", '', 'WAIT_CLOSE without RECONNECT waits for nobody');
	is_value("SELECT pooler.reconnect('app')", '', 'RECONNECT');
	isnt($b->value('SELECT pg_backend_pid()'), $of_b, 'replaces idle backends');
	is($a->value('SELECT pg_backend_pid()'), $of_a, 'not those in a transaction');
	is($other->value('SELECT pg_backend_pid()'), $of_other, 'not those of another database');
	my $wait = start("SELECT pooler.wait_close('app')");
	is_value("SELECT pooler.wait_close('other')", '', 'WAIT_CLOSE of another database');
	ok(!$wait->readable, 'WAIT_CLOSE waits for the transaction');
	$a->query('COMMIT');
	ends_well($wait, 'and is over when its backend has gone');
	isnt($a->value('SELECT pg_backend_pid()'), $of_a, 'the client has another one');
	$_->quit for $a, $b, $other;
}

#
# RESET_STATS
#

{
	my $c = client('app');
	my @columns = qw(transactions queries handovers waits logins births connections);

	$c->query('SELECT 1') for 1 .. 3;
	is_value('SELECT stats_reset IS NULL FROM pooler.status', 't', 'statistics were never reset');
	is_value('SELECT pooler.reset_stats()', '', 'RESET_STATS');
	# a backend may be born just then, to whatever end
	ok( wait_until(
			'nothing is counted between the two',
			sub {
				$admin->query('SELECT pooler.reset_stats()');
				return $admin->value('SELECT ROW(' . join(', ', @columns)
					  . ')::text FROM pooler.status') eq '(0,0,0,0,0,0,0)';
			}),
		'all counters of the pooler begin anew');
	is_value("SELECT max_wait_time, wait_time FROM pooler.status", '00:00:00|00:00:00', 'times, too');
	is_value("SELECT sum(transactions), sum(queries), max(max_wait_time) FROM pooler.stats", '0|0|00:00:00', 'and those of pools');
	is_value("SELECT sum(transactions), sum(waits) FROM pooler.pools", '0|0', 'in all views');
	is_value("SELECT now() - stats_reset < interval '1 min' FROM pooler.status", 't', 'and it is told when');
	$c->query('SELECT 1');
	$c->query('SELECT 1');
	# a backend counts after it has answered
	becomes($node, "SELECT transactions FROM pooler.status", 2, 'what comes after is counted');
	$admin->query("SELECT pooler.reconnect('app')");
	is_value("SELECT pooler.wait_close('app')", '', 'its backend goes');
	is_value("SELECT transactions, ends > 0 FROM pooler.status", '2|t', 'and nothing of before comes back');
	$c->quit;
}

#
# databases that come and go
#

{
	$admin->query('CREATE DATABASE doomed');
	my $c = client('doomed', application_name => 'doomed');
	$c->query('SELECT 1');
	$admin->query("SELECT pooler.pause('doomed')");
	$c->put(m_query('SELECT 1'));
	state_is('doomed', 'waiting');
	$admin->query('ALTER DATABASE doomed RENAME TO damned');
	is_value("SELECT string_agg(database, ',') FROM pooler.databases WHERE paused", 'damned',
		'a paused database stays so under another name');
	is($admin->query('DROP DATABASE damned'), 'DROP DATABASE, I', 'a paused database can be dropped');
	like($c->reply('E'), qr/^FATAL 3D000/, 'who waited there is told so');
	becomes_value('SELECT count(*) FROM pooler.get_databases() WHERE dbid IS NOT NULL', 0,
		'and it is forgotten');
}

#
# the pooler ends and starts again
#

sub restart_pooler
{
	my $pid = worker_pid($node);

	$admin->query("SELECT pg_terminate_backend($pid)");
	becomes_value("SELECT count(*) FROM pooler.status WHERE pid <> $pid AND started_at IS NOT NULL", 1, 'the pooler is back');
}

{
	$admin->query("SELECT pooler.pause('app')");
	$admin->query("SELECT pooler.disable('other')");
	restart_pooler();
	wait_for_pooler($node);
	is_value("SELECT string_agg(database, ',') FROM pooler.databases WHERE paused", 'app', 'a pause outlives it');
	is_value("SELECT string_agg(database, ',') FROM pooler.databases WHERE disabled", 'other', 'and so does DISABLE');
	$admin->query("SELECT pooler.enable('other')");
	$admin->query("SELECT pooler.resume('app')");
	my $c = client('app', application_name => 'waiting');
	is($c->value('SELECT 1'), '1', 'RESUME ends it');

	# who waits for it meanwhile
	$c->query('BEGIN');
	my $pause = start("SELECT pooler.pause('app')");
	becomes_value("SELECT paused FROM pooler.databases WHERE database = 'app'", 't', 'paused');
	restart_pooler();
	like($pause->reply, qr/ERROR 57P01: the pooler has ended while/, 'who waits for the pooler is told that it has ended');
	is_value("SELECT pooler.resume('app')", '', 'what it had begun holds');
	is($c->query('COMMIT'), 'COMMIT, I', 'the transaction can be finished');
	like($c->reply('E'), qr/^FATAL 57P01/, 'then its client is ended');
}

#
# SHUTDOWN
#

for my $mode (qw(now wait_for_servers wait_for_clients))
{
	wait_for_pooler($node);
	my %c = map { $_ => client('app', application_name => $_) } qw(idle open pinned);
	my @more = client('app');

	$c{open}->query('BEGIN');
	$c{pinned}->query('LISTEN x');
	$more[0]->query('BEGIN');
	my $waiting = client('app', application_name => 'waiting');
	$waiting->put(m_query('SELECT 1'));
	state_is('waiting', 'waiting');
	is_value("SELECT pooler.shutdown('$mode')", '', "SHUTDOWN $mode");
	is_value('SELECT state, port IS NULL FROM pooler.status', 'closed|t', 'the port is closed');
	ok(!defined LoginClient::connect_from('local', $node->host, pooler_port($node)), 'nobody gets in');
	if ($mode eq 'wait_for_clients')
	{
		is($more[0]->query('COMMIT'), 'COMMIT, I', 'clients go on');
		is($waiting->reply, '1, SELECT 1, I', 'and so does who waited');
		is($_->value('SELECT 2'), '2', 'all of them') for values %c;
		becomes_value('SELECT clients FROM pooler.status', 5, 'nobody is sent away');
		$c{open}->query('COMMIT');
	}
	else
	{
		like($_->reply('E'), qr/FATAL 57P01/, 'idle and waiting clients are ended') for $c{idle}, $c{pinned}, $waiting;
		if ($mode eq 'now')
		{
			like($_->reply('E'), qr/FATAL 57P01/, 'transactions are ended') for $c{open}, @more;
		}
		else
		{
			is($_->value('SELECT 2'), '2', 'a transaction goes on') for $c{open}, @more;
			like($_->query('COMMIT'), qr/^COMMIT, I/, 'and ends') for $c{open}, @more;
			like($_->reply('E'), qr/FATAL 57P01/, 'then its client is ended') for $c{open}, @more;
		}
	}
	$_->close for values %c, @more, $waiting;
	becomes_value('SELECT clients, backends FROM pooler.status', '0|0', 'in the end nothing is left');
	is_value('SELECT 1', '1', 'the server goes on');
	restart_pooler();
}
wait_for_pooler($node);
client('app')->quit;
becomes_value('SELECT count(*) FROM pooler.clients', 0, 'no slot is left over');
$admin->quit;
$node->stop;
done_testing();
