# Who gets in, with what proof, into which database, and what the others are
# told.  libpq's own client is the judge: it must hear the same on the pooling
# port as on the server's.  (021_authentication.pl looks at the single steps.)

use strict;
use warnings;

use LoginClient qw(login_answer);
use PoolerTest
  qw(becomes log_after log_size logged pooler_port set_hba start_node wait_for_pooler wait_until);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use RawClient;
use Test::More;

my $owner = getpwuid($<);
my $node = start_node(
	'login',
	hba => qq(
local	all	$owner		peer
local	all	stranger	peer
local	all	all			trust
host	all	trusted		127.0.0.1/32	trust
host	all	rejected	127.0.0.1/32	reject
host	all	modern		127.0.0.1/32	scram-sha-256
host	all	old			127.0.0.1/32	md5
host	all	clear		127.0.0.1/32	password
host	all	+staff		127.0.0.1/32	trust
host	all	all			127.0.0.1/32	scram-sha-256
),
	conf => q(
max_connections = 20
pooler.default_pool_size = 3
pooler.server_login_retry = 1
));

$node->safe_psql('postgres', q(
	CREATE ROLE staff;
	CREATE ROLE trusted LOGIN;
	CREATE ROLE rejected LOGIN;
	CREATE ROLE stranger LOGIN;
	CREATE ROLE modern LOGIN PASSWORD 'secret';
	CREATE ROLE clear LOGIN PASSWORD 'secret';
	SET password_encryption = 'md5';
	CREATE ROLE old LOGIN PASSWORD 'secret';
	CREATE ROLE nologin NOLOGIN IN ROLE staff;
	CREATE ROLE expired LOGIN PASSWORD 'secret' VALID UNTIL '2001-01-01';
	CREATE ROLE limited LOGIN CONNECTION LIMIT 1 IN ROLE staff;
	CREATE ROLE alice LOGIN IN ROLE staff;
	CREATE DATABASE closed ALLOW_CONNECTIONS false;
	CREATE DATABASE members;
	REVOKE CONNECT ON DATABASE members FROM PUBLIC;
	CREATE DATABASE crowded;
	REVOKE CONNECT ON DATABASE crowded FROM PUBLIC;
	CREATE DATABASE narrow CONNECTION LIMIT 1;
));
$node->safe_psql('postgres', q(
	DO $$
	BEGIN
		FOR i IN 1 .. 1000 LOOP
			EXECUTE format('CREATE ROLE member%s LOGIN IN ROLE staff', i);
			EXECUTE format('GRANT CONNECT ON DATABASE crowded TO member%s', i);
		END LOOP;
	END $$));

my %ports = (server => $node->port, pooler => pooler_port($node));

# What psql has to say about a login, the same from both ports: the answer to
# the query, or the error without the name of the port.
sub attempt
{
	my ($port, %options) = @_;
	my $password = delete $options{password};
	local $ENV{PGPASSWORD} = $password if defined $password;
	# by -c: a psql that is refused reads nothing, and who writes to it fails
	my ($rc, $out, $err) = $node->psql('postgres', '',
		connstr => join(' ',
			"port=$ports{$port}",
			map { "$_='$options{$_}'" } sort keys %options),
		extra_params => [ '-w', '-c', 'SELECT current_user, session_user, current_database()' ],
		timeout => $PostgreSQL::Test::Utils::timeout_default);

	$err =~ s/^psql: error: connection to server .*? failed: //;
	return $rc == 0 ? $out : $err;
}

sub both
{
	my ($name, $expected, $role, %options) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my %how = (
		host => '127.0.0.1',
		user => $role,
		dbname => 'postgres',
		%options);
	my $server = attempt('server', %how);
	my $pooler = attempt('pooler', %how);

	like($server, $expected, "$name: the server");
	is($pooler, $server, "$name: the pooler says the same");
}

sub lets_in
{
	my ($name, $role, %options) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $database = $options{dbname} // 'postgres';

	both($name, qr/^$role\|$role\|$database$/, $role, %options);
}

#
# Every method, with the right password and with a wrong one
#

my $delegated = 'SELECT delegated_logins FROM pooler.status';

lets_in('trust', 'trusted');
both('reject', qr/FATAL:  pg_hba.conf rejects connection/, 'rejected');
lets_in('scram-sha-256', 'modern', password => 'secret');
lets_in('md5', 'old', password => 'secret');
lets_in('a SCRAM secret by md5', 'modern', password => 'secret', host => '127.0.0.1');
is($node->safe_psql('postgres', $delegated), 0, 'none of these needed a backend of its own');
lets_in('password', 'clear', password => 'secret');
is($node->safe_psql('postgres', $delegated), 1, 'password does');
lets_in('peer', $owner, host => $node->host);
is($node->safe_psql('postgres', $delegated), 2, 'and peer');

my $failed = qr/FATAL:  password authentication failed for user/;
both('scram-sha-256, wrong', $failed, 'modern', password => 'wrong');
both('md5, wrong', $failed, 'old', password => 'wrong');
both('password, wrong', $failed, 'clear', password => 'wrong');
both('scram-sha-256, none', qr/no password supplied/, 'modern');
both('md5, none', qr/no password supplied/, 'old');
both('password, none', qr/no password supplied/, 'clear');
both('peer, another one', qr/FATAL:  Peer authentication failed for user "stranger"/,
	'stranger', host => $node->host);

# Nothing of a failed login is left behind.
becomes($node, 'SELECT count(*) FROM pooler.clients', 0, 'no clients are left');

#
# Roles and databases
#

both('unknown role', $failed, 'nobody', password => 'secret');
both('unknown role by trust', qr/FATAL:  role "nobody" does not exist/, 'nobody',
	host => $node->host);
both('unknown database', qr/FATAL:  database "nowhere" does not exist/, 'trusted',
	dbname => 'nowhere');
both('NOLOGIN', qr/FATAL:  role "nologin" is not permitted to log in/, 'nologin');
both('VALID UNTIL', $failed, 'expired', password => 'secret');
both('ALLOW_CONNECTIONS', qr/FATAL:  database "closed" is not currently accepting/,
	'trusted', dbname => 'closed');
both('CONNECT', qr/FATAL:  permission denied for database "members"/, 'trusted',
	dbname => 'members');
$node->safe_psql('postgres', 'GRANT CONNECT ON DATABASE members TO trusted');
lets_in('CONNECT granted', 'trusted', dbname => 'members');
for my $role ('member1', 'member1000')
{
	lets_in('one of 1,000 grants', $role, dbname => 'crowded');
}
both('none of 1,000 grants', qr/FATAL:  permission denied for database "crowded"/,
	'trusted', dbname => 'crowded');
$node->safe_psql('postgres', 'REVOKE CONNECT ON DATABASE crowded FROM member1');
both('one of 1,000 grants revoked',
	qr/FATAL:  permission denied for database "crowded"/, 'member1', dbname => 'crowded');
$node->safe_psql('postgres', 'GRANT member1000 TO member1');
lets_in('by being a member of one of them', 'member1', dbname => 'crowded');
$node->safe_psql('postgres', 'REVOKE member1000 FROM member1');
both('a member no more',
	qr/FATAL:  permission denied for database "crowded"/, 'member1', dbname => 'crowded');
unlike(log_after($node, 0), qr/background worker .*pooler.* exited/, 'the worker lives');

# The SQLSTATEs, which psql does not show.
for my $row (
	[ 'nobody', 'postgres', 'FATAL 28000: role "nobody" does not exist' ],
	[ 'trusted', 'nowhere', 'FATAL 3D000: database "nowhere" does not exist' ],
	[ 'nologin', 'postgres', 'FATAL 28000: role "nologin" is not permitted to log in' ],
	[ 'trusted', 'closed',
		'FATAL 55000: database "closed" is not currently accepting connections' ],
	[ 'trusted', 'crowded',
		'FATAL 42501: permission denied for database "crowded" DETAIL: User does not have CONNECT privilege.' ])
{
	my ($role, $database, $expected) = @$row;

	for my $port (sort keys %ports)
	{
		is(login_answer('local', $node->host, $ports{$port},
				role => $role, database => $database),
			$expected, "$port: $role in $database");
	}
}

#
# Limits that count backends: the server's own errors
#

sub direct
{
	return RawClient->connect($node, port => $node->port, from => 'local', @_);
}

my %refusal = (
	role => 'FATAL 53300: too many connections for role "limited"',
	database => 'FATAL 53300: too many connections for database "narrow"');

for my $case ([ 'role', role => 'limited' ], [ 'database', role => 'alice', database => 'narrow' ])
{
	my ($limit, @who) = @$case;
	my $holder = direct(@who);
	my $client = RawClient->open($node);

	is($client->login(@who), $refusal{$limit}, "limit of the $limit: refused at login");
	$client->close;
	$holder->quit;
	ok(wait_until("the limit of the $limit is free", sub {
				$client = RawClient->open($node);
				return $client->login(@who) eq 'ok';
			}), "limit of the $limit: let in when there is room");
	is($client->ask('SELECT 1'), '1', 'and served');

	# A second client shares the backend, since clients don't count.
	my $second = RawClient->connect($node, @who);
	is($second->ask('SELECT 2'), '2', "limit of the $limit: a second client");
	is($client->ask('SELECT 3'), '3', 'and the first one again');

	# When the backend is gone and its place taken, it is a client's turn
	# to hear it.
	my $backend = $client->ask('SELECT pg_backend_pid()');
	is($node->safe_psql('postgres', "SELECT pg_terminate_backend($backend, 60000)"),
		't', 'the backend is ended');
	$client->close;
	ok(wait_until('the place is taken', sub {
				$holder = RawClient->open($node, port => $node->port, from => 'local');
				return $holder->login(@who) eq 'ok';
			}), "limit of the $limit: reached again");
	becomes($node, "SELECT sum(backends) FROM pooler.pools WHERE role = '$who[1]'",
		0, 'its pool has no backend');
	is($second->ask('SELECT 4'), "$refusal{$limit}\nclosed",
		"limit of the $limit: refused when it sends a query");
	$holder->quit;
}

# All of max_connections in use.  (The pools give up what they have not used
# for a while, so that nothing but direct sessions is left.)
{
	$node->append_conf('postgresql.conf', 'pooler.server_idle_timeout = 1');
	$node->reload;
	becomes($node, 'SELECT count(*) FROM pooler.backends', 0, 'idle backends have gone');

	my @sessions;
	my $answer;
	while (1)
	{
		my $session = RawClient->open($node, port => $node->port);
		$answer = $session->login(role => 'trusted');
		last if $answer ne 'ok';
		push @sessions, $session;
	}
	like($answer, qr/^FATAL 53300: remaining connection slots are reserved/,
		'the server is full');
	my $client = RawClient->open($node);
	is($client->login(role => 'trusted'), $answer, 'the pooler says the same');
	becomes($node, 'SELECT count(*) FROM pooler.clients', 0, 'and forgets the client');
	$_->quit for @sessions;
	ok(wait_until('the server has room', sub {
				return RawClient->open($node)->login(role => 'trusted') eq 'ok';
			}), 'and lets it in when there is room');
	$node->append_conf('postgresql.conf', 'pooler.server_idle_timeout = 600');
	$node->reload;
}

#
# Names change hands
#

my $whoami = 'SELECT current_user, session_user, current_database(), d.oid, r.oid'
  . ' FROM pg_database d, pg_roles r'
  . ' WHERE datname = current_database() AND rolname = current_user';

sub oids
{
	my ($database, $role) = @_;
	return $node->safe_psql('postgres',
		"SELECT d.oid, r.oid FROM pg_database d, pg_roles r WHERE datname = '$database' AND rolname = '$role'");
}

{
	my $old = RawClient->connect($node, role => 'alice');
	my $oids = oids('postgres', 'alice');

	is($old->ask($whoami), "alice|alice|postgres|$oids", 'alice is alice');
	$node->safe_psql('postgres',
		'ALTER ROLE alice RENAME TO bob; CREATE ROLE alice LOGIN IN ROLE staff');

	my $new = RawClient->connect($node, role => 'alice');
	my $new_oids = oids('postgres', 'alice');
	isnt($new_oids, $oids, 'there is a new alice');
	for my $turn (1 .. 5)
	{
		is($new->ask($whoami), "alice|alice|postgres|$new_oids",
			"the new alice is herself, turn $turn");
		is($old->ask($whoami), "bob|bob|postgres|$oids",
			"the old one is called bob, turn $turn");
	}
	$old->quit;

	# the same for one who logs in between two changes, again and again
	for my $turn (1 .. 5)
	{
		$node->safe_psql('postgres',
			"ALTER ROLE alice RENAME TO alice$turn; CREATE ROLE alice LOGIN IN ROLE staff");
		$new = RawClient->connect($node, role => 'alice');
		is($new->ask($whoami), 'alice|alice|postgres|' . oids('postgres', 'alice'),
			"yet another alice, turn $turn");
		$new->quit;
	}
}

{
	$node->safe_psql('postgres', 'CREATE DATABASE shop');
	my $old = RawClient->connect($node, role => 'alice', database => 'shop');
	my $oids = oids('shop', 'alice');
	is($old->ask($whoami), "alice|alice|shop|$oids", 'the shop is the shop');

	# The server refuses to rename a database that has sessions.
	$node->safe_psql('postgres',
		q(SELECT count(pg_terminate_backend(pid, 60000)) FROM pg_stat_activity WHERE datname = 'shop'));
	$node->safe_psql('postgres', 'ALTER DATABASE shop RENAME TO attic');
	$node->safe_psql('postgres', 'CREATE DATABASE shop');
	my $new = RawClient->connect($node, role => 'alice', database => 'shop');
	my $new_oids = oids('shop', 'alice');
	isnt($new_oids, $oids, 'there is a new shop');
	for my $turn (1 .. 5)
	{
		is($new->ask($whoami), "alice|alice|shop|$new_oids",
			"the new client is in the new shop, turn $turn");
	}
	my $oldest = RawClient->connect($node, role => 'alice', database => 'attic');
	is($oldest->ask($whoami), "alice|alice|attic|$oids", 'the attic is the old shop');
}

# A role that is dropped while it has clients: they hear of it, and the next
# role of that name starts afresh.
{
	my $client = RawClient->connect($node, role => 'alice');

	is($client->ask('SELECT 1'), '1', 'alice is served');
	$node->safe_psql('postgres', 'DROP ROLE alice');
	becomes($node, 'SELECT count(*) FROM pooler.backends WHERE role IS NULL', 0,
		'the backends of a dropped role end');
	like($client->ask('SELECT 1'), qr/^FATAL \w{5}: .*\nclosed$/,
		'a dropped role is not served any more');
	$node->safe_psql('postgres', 'CREATE ROLE alice LOGIN IN ROLE staff');
	$client = RawClient->connect($node, role => 'alice');
	is($client->ask($whoami), 'alice|alice|postgres|' . oids('postgres', 'alice'),
		'the new one is');
}

becomes($node,
	q(SELECT count(*) FROM pooler.backends WHERE database IS NULL OR role IS NULL),
	0, 'no backend is left of what is gone');

$node->stop;
done_testing();
