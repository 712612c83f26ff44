# Replication connections through the pooling port: each has a walsender of
# core's own, for as long as it is connected.

use strict;
use warnings;

use PoolerTest qw(becomes configure log_size logged new_node pooler_connstr pooler_port
  pooler_psql set_hba wait_for_pooler wait_until worker_pid);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use RawClient;
use Test::More;

my $hba = q(
local	all			all				trust
local	replication	all				trust
host	replication	standby			127.0.0.1/32	scram-sha-256
host	replication	nobody			127.0.0.1/32	reject
host	all			nobody			127.0.0.1/32	trust
host	all			standby			127.0.0.1/32	scram-sha-256
);
my $node = new_node(
	'primary',
	init => { allows_streaming => 'logical' },
	hba => $hba,
	conf => q(
max_connections = 30
max_wal_senders = 20
max_replication_slots = 20
wal_sender_timeout = 0
pooler.max_backends = 20
pooler.aliases = 'shop = postgres, other = postgres nobody'
));
$node->start;
$node->safe_psql('postgres', q(
	CREATE EXTENSION pooler;
	CREATE ROLE standby LOGIN REPLICATION PASSWORD 'secret';
	CREATE ROLE nobody LOGIN;
	CREATE ROLE few LOGIN REPLICATION;
	CREATE DATABASE d;
	CREATE TABLE t (a int PRIMARY KEY);
	GRANT ALL ON t TO standby));
wait_for_pooler($node);

my $port = pooler_port($node);
my $dir = PostgreSQL::Test::Utils::tempdir();
my $superuser = scalar getpwuid($<);

sub sql { return $node->safe_psql('postgres', $_[0]) }
sub replication_rows { return q(SELECT count(*) FROM pooler.clients WHERE state = 'replication') }

sub raw
{
	my (%options) = @_;
	return RawClient->connect($node, from => 'local', replication => 'true', %options);
}

# The answer to a login on both ports.
sub both_ports
{
	my ($name, %options) = @_;
	my @answers = map {
		my $client = RawClient->open($node, port => $_, from => delete $options{"from$_"} // $options{from} // 'local');
		$client->login(map { $_ => $options{$_} } grep { $_ ne 'from' } keys %options) . ' '
		  . join('', sort keys %{ $client->{parameters} })
	} ($node->port, $port);
	is($answers[1], $answers[0], $name);
	return $answers[1];
}

#----------------------------------------------------------------------------
# what is a replication connection, and who may have one
#----------------------------------------------------------------------------

foreach my $value (qw(true on yes 1 t TRUE))
{
	my $client = raw(replication => $value);
	like($client->ask('IDENTIFY_SYSTEM'), qr/^\d+\|\d+\|/, "replication=$value: a walsender");
	is(sql(replication_rows() . q( AND database IS NULL AND protocol_pid IS NOT NULL)), '1', '... is in the view');
	is(sql(q(SELECT count(*) FROM pooler.clients c JOIN pg_stat_activity a USING (pid)
			WHERE c.state = 'replication' AND a.backend_type = 'walsender')), '1', '... with its pid');
	is(sql('SELECT count(*) FROM pooler.backends'), '0', '... and uses no backend of the pooler');
	$client->quit;
	becomes($node, replication_rows(), '0', '... until it leaves');
}
foreach my $value (qw(off false 0 no))
{
	my $client = raw(replication => $value);
	is($client->ask('SELECT 1'), '1', "replication=$value: a client as any other");
	is(sql(replication_rows()), '0', '...');
	$client->quit;
}
both_ports("replication=$_: as on the server's port", replication => $_)
  for ('maybe', '', 'Database', '2', 'true', 'database');
{
	my $client = raw(replication => 'database', database => 'd');
	is($client->ask('SELECT current_database()'), 'd', 'replication=database: SQL');
	is(sql(replication_rows() . q( AND database = 'd')), '1', '... the view has the database');
	$client->start('SELECT pg_sleep(600)');
	becomes($node, q(SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'), '1',
		'... a command');
	$client->cancel(substr($client->{key}, 0, 4) . pack('N', 1));
	$client->cancel;
	is($client->answer, 'ERROR 57014: canceling statement due to user request', '... is canceled');
	$client->close;
	becomes($node, replication_rows(), '0', '... one that hangs up is noticed');
}
{
	my $client = raw(replication => 'database', database => 'shop');
	is($client->ask('SELECT current_database()'), 'postgres', 'an alias of the database');
	$client->quit;
	like(RawClient->open($node, from => 'local')
		  ->login(replication => 'database', database => 'other'),
		qr/^FATAL 0A000: an alias with a role of its own cannot be used/, 'an alias with a role');
}
like(both_ports('no rule', from => '127.0.0.1', role => 'few', replication => 'true'),
	qr/no pg_hba.conf entry for replication connection/, '... says core');
like(both_ports('rejected', from => '127.0.0.1', role => 'nobody', replication => 'true'),
	qr/pg_hba.conf rejects replication connection/, '... says core');
both_ports('not allowed', role => 'nobody', replication => 'true');
both_ports('no such database', database => 'nowhere', replication => 'database');
both_ports('the console is no database', database => 'pgbouncer', replication => 'database');

sub with_password
{
	my ($password, @command) = @_;
	local $ENV{PGPASSWORD} = $password;
	my ($out, $err);
	my $ok = IPC::Run::run(\@command, '>', \$out, '2>', \$err);
	return ($ok, $err);
}
my $conninfo = "host=127.0.0.1 port=$port user=standby";
{
	my ($ok, $err) = with_password('wrong', 'pg_basebackup', '-d', $conninfo, '-D', "$dir/none");
	ok(!$ok, 'a wrong password');
	like($err, qr/password authentication failed for user "standby"/, '... says core');
}

#----------------------------------------------------------------------------
# core's programs
#----------------------------------------------------------------------------

{
	my $logins = sql('SELECT replication_logins FROM pooler.status');
	my ($ok, $err) = with_password('secret', 'pg_basebackup', '-d', $conninfo, '-D', "$dir/plain",
		'-X', 'stream', '-c', 'fast');
	ok($ok, 'pg_basebackup -Fp -X stream') or diag($err);
	($ok, $err) = with_password('secret', 'pg_verifybackup', "$dir/plain");
	ok($ok, '... and the backup is whole') or diag($err);
	is(sql('SELECT replication_logins FROM pooler.status') - $logins, 2, '... over two connections');
	($ok, $err) = with_password('secret', 'pg_basebackup', '-d', $conninfo, '-D', "$dir/tar",
		'-Ft', '-X', 'stream', '-c', 'fast');
	ok($ok && -s "$dir/tar/base.tar" && -s "$dir/tar/pg_wal.tar", 'pg_basebackup -Ft') or diag($err);
}
{
	mkdir "$dir/wal";
	my @receive = ('pg_receivewal', '-d', $conninfo, '-S', 'received', '-D', "$dir/wal");
	my ($ok, $err) = with_password('secret', @receive, '--create-slot');
	ok($ok, 'pg_receivewal --create-slot') or diag($err);
	sql('SELECT pg_switch_wal(); CHECKPOINT');
	my $end = sql('SELECT pg_current_wal_lsn()');
	sql('INSERT INTO t VALUES (1)');
	($ok, $err) = with_password('secret', @receive, '--synchronous', '--no-loop', '--endpos', $end);
	ok($ok, 'pg_receivewal --synchronous') or diag($err);
	ok((() = glob("$dir/wal/0*")) > 0, '... has received WAL');
	sql(q(SELECT pg_drop_replication_slot('received')));
}
{
	my @receive = ('pg_recvlogical', '-d', "$conninfo dbname=postgres", '-S', 'decoded');
	my ($ok, $err) = with_password('secret', @receive, '-P', 'test_decoding', '--create-slot');
	ok($ok, 'pg_recvlogical --create-slot') or diag($err);
	sql('INSERT INTO t VALUES (2)');
	my $end = sql('SELECT pg_current_wal_lsn()');
	($ok, $err) = with_password('secret', @receive, '--start', '-f', "$dir/decoded", '--no-loop',
		'--endpos', $end);
	ok($ok, 'pg_recvlogical --start') or diag($err);
	like(slurp_file("$dir/decoded"), qr/table public.t: INSERT: a\[integer\]:2/, '... has decoded');
	($ok, $err) = with_password('secret', @receive, '--drop-slot');
	ok($ok, 'pg_recvlogical --drop-slot') or diag($err);
}

#----------------------------------------------------------------------------
# limits, and what replication connections do not take from others
#----------------------------------------------------------------------------

{
	my @clients = map { raw() } 1 .. 12;
	is(sql(replication_rows()), '12', 'more walsenders than there are slots for logins');
	is(scalar pooler_psql($node, 'SELECT 2'), '2', '... and others get in');
	sql('ALTER SYSTEM SET pooler.max_user_client_connections = 12');
	$node->reload;
	wait_until('the limit holds',
		sub { RawClient->open($node, from => 'local')->login(replication => 'true') =~ /too many/ });
	is(RawClient->open($node, from => 'local')->login(replication => 'true'),
		qq(FATAL 53300: too many connections for role "$superuser" DETAIL: pooler.max_user_client_connections is 12.),
		'one too many of a role is refused');
	like(RawClient->open($node, from => 'local')->login(), qr/too many connections for role/,
		'... and they count for other clients');
	sql('ALTER SYSTEM RESET pooler.max_user_client_connections');
	$node->reload;
	$_->quit for @clients;
	becomes($node, replication_rows(), '0', 'all are gone');
	sql(q(ALTER ROLE few SET pooler.max_db_client_connections = 1));
	my $one = raw(role => 'few', replication => 'database', database => 'd');
	like(RawClient->open($node, from => 'local')->login(role => 'few', replication => 'database', database => 'd'),
		qr/^FATAL 53300: too many connections for database "d"/, 'of a database');
	is(RawClient->open($node, from => 'local')->login(role => 'few', replication => 'true'), 'ok',
		'... in which a standby is not');
	$one->quit;
	becomes($node, replication_rows(), '0', 'all are gone');
}

#----------------------------------------------------------------------------
# administration
#----------------------------------------------------------------------------

sub console { return scalar pooler_psql($node, $_[0], database => 'pgbouncer') }
sub client_of
{
	my ($database) = @_;
	return sql(q(SELECT id FROM pooler.clients WHERE state = 'replication' AND )
		  . (defined $database ? "database = '$database'" : 'database IS NULL'));
}
my $ended = 'FATAL 57P01: terminating connection due to administrator command';
{
	my $physical = raw();
	my $logical = raw(replication => 'database', database => 'd');
	my %kinds = map { (split /\|/)[3] => (split /\|/)[2] } split /\n/, console('SHOW CLIENTS');
	ok(exists $kinds{physical} && exists $kinds{logical}, 'SHOW CLIENTS has both')
	  or diag(console('SHOW CLIENTS'));

	sql(q(SELECT pooler.pause('d')));
	pass('PAUSE does not wait for replication');
	like($logical->ask('IDENTIFY_SYSTEM'), qr/^\d/, '... which goes on');
	my $late = RawClient->open($node, from => 'local');
	$late->send_startup(replication => 'database', database => 'd');
	becomes($node, q(SELECT count(*) FROM pooler.clients WHERE state = 'login'), '1', 'who comes now waits');
	ok(!$late->readable, '...');
	sql(q(SELECT pooler.resume('d')));
	is($late->finish_login, 'ok', '... until RESUME');
	$late->quit;

	sql(q(SELECT pooler.disable('d')));
	like(RawClient->open($node, from => 'local')->login(replication => 'database', database => 'd'),
		qr/^FATAL 55000: database "d" is disabled/, 'DISABLE');
	sql(q(SELECT pooler.enable('d')));
	becomes($node, replication_rows(), '2', 'two are left');

	sql('SELECT pooler.kill_client(' . client_of('d') . ')');
	is($logical->answer, "$ended\nclosed", 'kill_client');
	is(sql(replication_rows()), '1', '... and it has gone');
	$logical = raw(replication => 'database', database => 'd');
	sql(q(SELECT pooler.kill('d')));
	is($logical->answer, "$ended\nclosed", 'KILL of its database');
	like($physical->ask('IDENTIFY_SYSTEM'), qr/^\d/, '... does not touch a standby');
	sql(q(SELECT pooler.resume('d')));

	# core would wait for ever until the last words are sent
	my $start = sql('SELECT pg_switch_wal(); SELECT pg_current_wal_lsn()') =~ s/^.*\n//sr;
	sql('CREATE TABLE big AS SELECT i, repeat(\'x\', 1000) FROM generate_series(1, 10000) i; DROP TABLE big');
	my $silent = raw();
	my $id = sql('SELECT max(id) FROM pooler.clients');
	$silent->start("START_REPLICATION PHYSICAL $start");
	becomes($node, q(SELECT count(*) FROM pg_stat_replication WHERE state <> 'startup' AND sent_lsn > ')
		  . $start . q('), '1', 'a client that does not read what it gets');
	sql("SELECT pooler.kill_client($id)");
	is(sql("SELECT count(*) FROM pooler.clients WHERE id = $id"), '0', '... is ended all the same');

	$logical = raw(replication => 'database', database => 'd');
	my (undef, undef, $err) = $node->psql('postgres', 'DROP DATABASE d');
	like($err, qr/database "d" is being accessed by other users/, 'DROP DATABASE fails as ever');
	$logical->quit;
	becomes($node, replication_rows(), '1', 'it has gone');
	sql('DROP DATABASE d');
	$physical->quit;
	becomes($node, replication_rows(), '0', 'all are gone');
}

#----------------------------------------------------------------------------
# a standby and a subscription
#----------------------------------------------------------------------------

$node->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'backup');
$standby->append_conf('postgresql.conf', qq(
shared_preload_libraries = ''
primary_conninfo = 'host=127.0.0.1 port=$port user=standby password=secret application_name=second'
hot_standby = on
));
$standby->set_standby_mode;
$standby->start;
becomes($node, q(SELECT s.state, s.client_addr, c.application_name
		FROM pg_stat_replication s JOIN pooler.clients c USING (pid)
		WHERE c.state = 'replication' AND s.client_port = c.client_port),
	'streaming|127.0.0.1|second', 'a standby streams through the pooler');
sql(q(ALTER SYSTEM SET synchronous_standby_names = 'second'));
$node->reload;
becomes($node, q(SELECT sync_state FROM pg_stat_replication), 'sync', '... synchronously');
is(scalar pooler_psql($node, 'INSERT INTO t VALUES (3) RETURNING a'), '3', 'a commit that waits for it');
is($standby->safe_psql('postgres', 'SELECT count(*) FROM t WHERE a = 3'), '1', '... is there')
  if $standby->poll_query_until('postgres', 'SELECT count(*) FROM t WHERE a = 3', '1');

my $subscriber = PostgreSQL::Test::Cluster->new('subscriber');
$subscriber->init(allows_streaming => 'logical');
$subscriber->start;
$subscriber->safe_psql('postgres', 'CREATE TABLE t (a int PRIMARY KEY)');
sql('CREATE PUBLICATION p FOR TABLE t');
$subscriber->safe_psql('postgres', qq(CREATE SUBSCRIPTION s
	CONNECTION 'host=127.0.0.1 port=$port user=standby password=secret dbname=postgres'
	PUBLICATION p));
ok($subscriber->poll_query_until('postgres', q(SELECT count(*) FROM t), '3'),
	'a subscription: its first copy');
sql('INSERT INTO t VALUES (4)');
ok($subscriber->poll_query_until('postgres', q(SELECT count(*) FROM t), '4'), '... and what follows');
is(sql(replication_rows()), '2', 'two walsenders');

# The pooler ends: who replicates does not notice.
{
	my $client = raw(replication => 'database');
	my $pids = sql('SELECT array_agg(pid ORDER BY pid) FROM pg_stat_replication');
	my $old = worker_pid($node);
	sql("SELECT pg_terminate_backend($old)");
	wait_until('there is another pooler', sub { (my $new = worker_pid($node)) ne '' && worker_pid($node) ne $old });
	wait_for_pooler($node);
	is($client->ask('SELECT 5'), '5', 'a walsender outlives the pooler');
	sql('INSERT INTO t VALUES (5)');
	ok($subscriber->poll_query_until('postgres', q(SELECT count(*) FROM t), '5'), '... a subscription');
	is(sql('SELECT array_agg(pid ORDER BY pid) FROM pg_stat_replication'), $pids, 'they are the same processes');
	is(sql(replication_rows()), '0', '... of which the new pooler does not know');
	$client->quit;
}

$subscriber->safe_psql('postgres', 'DROP SUBSCRIPTION s');
$subscriber->stop;

#----------------------------------------------------------------------------
# the server shuts down
#----------------------------------------------------------------------------

sub checkpoint_of
{
	my ($server) = @_;
	my ($out) = run_command([ 'pg_controldata', $server->data_dir ]);
	return $out =~ /Latest checkpoint location:\s*(\S+)/ ? $1 : die $out;
}

# What a standby has received, in the order of its stop: it is asked while the
# primary is down.
sub received
{
	my ($lsn) = @_;
	return $standby->poll_query_until('postgres',
		"SELECT pg_last_wal_receive_lsn() > '$lsn'::pg_lsn");
}

sub streams_again
{
	my ($how) = @_;
	becomes($node, q(SELECT count(*) FROM pg_stat_replication r JOIN pooler.clients c USING (pid)
			WHERE r.state = 'streaming' AND c.state = 'replication'), '1', "$how: the standby comes back");
}

{
	my $client = raw();
	my $busy = RawClient->connect($node, from => 'local');
	$busy->ask('BEGIN');
	console('SHUTDOWN WAIT_FOR_SERVERS');
	like($client->ask('IDENTIFY_SYSTEM'), qr/^\d/, 'SHUTDOWN WAIT_FOR_SERVERS waits for a transaction');
	$busy->ask('COMMIT');
	is($client->answer, "$ended\nclosed", '... and ends replication when the last one is over');
}
foreach my $mode (qw(fast smart))
{
	$node->restart if $mode eq 'fast';
	wait_for_pooler($node);
	streams_again($mode);
	$node->stop($mode);
	ok(received(checkpoint_of($node)), "$mode: the standby has the checkpoint of the shutdown");
	$node->start;
	wait_for_pooler($node);
}
streams_again('smart');
{
	my $client = raw();
	$node->stop('immediate');
	ok($client->at_end, 'immediate: core says nothing to a walsender, nor does the pooler');
}
$standby->stop;
done_testing();
