# Can one move from PgBouncer by running what pooler.import_pgbouncer() says?
# The way of the manual, with files and \gexec; then configurations from guides
# to pooling, one with all that databases and users can have, and PgBouncer's
# own sample, if it is installed.  What each line becomes is in
# test/sql/import.sql.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use PoolerTest qw(becomes pooler_connstr set_hba start_node wait_for_pooler);
use PostgreSQL::Test::Utils;
use RawClient;
use Test::More;

my $dir = PostgreSQL::Test::Utils::tempdir;
my $node = start_node('import', hba => 'local all all trust');

# From 18 on the server warns of MD5 passwords, of which there are some here.
if ($node->pg_version >= 18)
{
	$node->append_conf('postgresql.conf', 'md5_password_warnings = off');
	$node->reload;
}
$node->safe_psql('postgres', 'CREATE DATABASE shop');

# What the manual says, with psql reading the files.
sub convert
{
	my ($ini, $userlist, $query) = @_;
	my ($out, $err);

	append_to_file("$dir/pgbouncer.ini", $ini);
	append_to_file("$dir/userlist.txt", $userlist);
	$node->psql(
		'postgres', qq(\\set ini `cat $dir/pgbouncer.ini`
\\set userlist `cat $dir/userlist.txt`
$query),
		stdout => \$out, stderr => \$err, on_error_stop => 0);
	unlink "$dir/pgbouncer.ini", "$dir/userlist.txt";
	is($err, '', 'without errors');
	return $out;
}

sub setting
{
	my ($name, $database, $role) = @_;
	return $node->safe_psql($database // 'postgres', "SHOW $name",
		extra_params => defined $role ? [ '-U', $role ] : []);
}

my $ini = q{[databases]
shop = host=127.0.0.1 port=5432 pool_mode=session timezone=Asia/Tokyo

[pgbouncer]
default_pool_size = 7
min_pool_size = 2
reserve_pool_size = 3
reserve_pool_timeout = 4
server_lifetime = 1800
query_wait_timeout = 11.5
max_client_conn = 123
pool_mode = transaction
server_reset_query = DISCARD ALL
stats_users = watcher

[users]
"The Boss" = pool_mode=session
};
my $md5 = $node->safe_psql('postgres', q{SELECT 'md5' || md5('its md5' || 'clerk')});
my $userlist = qq("watcher" "its plain"
"clerk" "$md5"
"The Boss" "say ""please"""
);

my $before = $node->safe_psql('postgres',
	q{SELECT count(*) FROM pg_roles UNION ALL SELECT count(*) FROM pg_db_role_setting
	UNION ALL SELECT count(*) FROM pg_file_settings});
convert($ini, $userlist, q{SELECT * FROM pooler.import_pgbouncer(:'ini', :'userlist')});
is($node->safe_psql('postgres',
	q{SELECT count(*) FROM pg_roles UNION ALL SELECT count(*) FROM pg_db_role_setting
	UNION ALL SELECT count(*) FROM pg_file_settings}),
	$before, 'looking changes nothing');

# Runs all statements; none may fail.
sub run_statements
{
	my ($ini, $userlist) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	convert($ini, $userlist, q{SELECT statement FROM pooler.import_pgbouncer(:'ini', :'userlist')
WHERE kind = 'statement'
\gexec
});
}

run_statements($ini, $userlist);
$node->restart;
is(setting('pooler.default_pool_size'), '7', 'a size');
is(setting('pooler.query_wait_timeout'), '11500ms', 'a time');
is(setting('pooler.server_lifetime'), '30min', 'another one');
is(setting('pooler.max_client_conn'), '123', 'what needs a restart');
is(setting('pooler.pool_mode'), 'transaction', 'the mode');
is(setting('pooler.pool_mode', 'shop', 'watcher'), 'session', 'the mode of a database');
is(setting('pooler.pool_mode', 'postgres', 'The Boss'), 'session', 'the mode of a role');
is(setting('timezone', 'shop'), 'Asia/Tokyo', 'a setting of the server for a database');
is($node->safe_psql('postgres', q{SELECT pg_has_role('watcher', 'pg_monitor', 'member')}),
	't', 'who may look');

# Everybody logs in through the pooler with the old password.
set_hba($node, 'local all all md5');
$node->restart;
wait_for_pooler($node);
my %password = (watcher => 'its plain', clerk => 'its md5', 'The Boss' => 'say "please"');
for my $role (sort keys %password)
{
	local $ENV{PGPASSWORD} = $password{$role};
	my ($out, $err);

	my $connstr = pooler_connstr($node, database => 'shop', role => $role);
	$node->psql('shop', 'SELECT current_user', connstr => $connstr,
		stdout => \$out, stderr => \$err, extra_params => ['-w']);
	is($out, $role, "$role logs in") or diag($err);

	$ENV{PGPASSWORD} = 'another one';
	isnt($node->psql('shop', 'SELECT 1', connstr => $connstr, stderr => \$err,
			extra_params => ['-w']), 0, "$role does not with another password");
}
set_hba($node, 'local all all trust');
$node->restart;

#
# Configurations as guides to pooling recommend them
#

# Start anew: nothing is left of the configuration before.
sub forget
{
	$node->safe_psql('postgres', 'ALTER SYSTEM RESET ALL');
	$node->safe_psql('postgres', $_) for split /\n/, $node->safe_psql('postgres', q{
		SELECT format('ALTER DATABASE %I RESET ALL', datname) FROM pg_database
		WHERE datallowconn
		UNION ALL SELECT format('ALTER ROLE %I RESET ALL', rolname) FROM pg_roles
		WHERE rolname !~ '^pg_'});
}

# Run the statements, and have the server go by them; but not the addresses,
# which this machine may not have, or which may be taken.
sub move
{
	my ($ini, $userlist) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	forget();
	run_statements($ini, $userlist);
	$node->safe_psql('postgres', "ALTER SYSTEM RESET pooler.$_")
	  for qw(port listen_addresses unix_socket_directories);
	$node->restart;
	wait_for_pooler($node);
}

# A client that is logged in by name and password; the error if it can't be.
sub client
{
	my ($role, $database, %options) = @_;
	my $client = RawClient->open($node, from => 'local');
	my $answer = $client->login(role => $role, database => $database, %options);

	$client->{answer} = $answer;
	return $client;
}

# How large the pool is that a new client enters, when its backends have told.
sub pool_size_becomes
{
	my ($role, $database, $size, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $client = client($role, $database);

	is($client->ask('SELECT 1'), '1', "$name: works");
	becomes($node, qq{SELECT size FROM pooler.pools
		WHERE database = '$database' AND role = '$role'},
		$size, "$name: size of the pool");
	$client->quit;
}

$node->safe_psql('postgres', "CREATE ROLE $_")
  for qw(baz dull), grep { $node->safe_psql('postgres',
		"SELECT count(*) FROM pg_roles WHERE rolname = '$_'") eq '0' }
  qw(postgres stats stats_collector);
$node->safe_psql('postgres', 'ALTER ROLE postgres SUPERUSER LOGIN; ALTER ROLE baz LOGIN');
$node->safe_psql('postgres', "CREATE DATABASE $_")
  for qw(partpal tracking mega_directory sav3 facebook_bot_db bazdb foodb nondefaultdb);

# all limits and timeouts, and somebody to log in
move(q{[databases]
partpal = host=localhost port=5432 dbname=partpal
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = 6432
auth_type = md5
auth_file = /etc/pgbouncer/userlist.txt
pool_mode = transaction
max_client_conn = 1000
default_pool_size = 25
min_pool_size = 10
reserve_pool_size = 5
reserve_pool_timeout = 3
max_db_connections = 50
max_user_connections = 50
server_idle_timeout = 600
server_lifetime = 3600
server_connect_timeout = 15
query_timeout = 0
query_wait_timeout = 120
client_idle_timeout = 0
idle_transaction_timeout = 0
admin_users = postgres
stats_users = stats, postgres
log_connections = 1
log_disconnections = 1
log_pooler_errors = 1
ignore_startup_parameters = extra_float_digits
}, '"partpal" "your_password"');
pool_size_becomes('partpal', 'partpal', 25, 'all limits');
{
	my $client = client('partpal', 'partpal', extra_float_digits => '3');
	is($client->ask('SHOW extra_float_digits'), '1', 'a startup parameter is ignored');
	becomes($node, q{SELECT backends >= 10 FROM pooler.pools WHERE database = 'partpal'},
		't', 'the pool keeps as many backends as it should');
	is($node->safe_psql('postgres', 'SELECT max_clients FROM pooler.status'), '1000',
		'as many clients are let in');
	is(setting('pooler.admin_roles'), 'postgres', 'who may do all on the console');
	is($node->safe_psql('postgres', q{SELECT pg_has_role('stats', 'pg_monitor', 'member')}),
		't', 'who may look at it');
	$client->quit;
}

# a role that is forced, but in a name that can't be an alias; two mistakes
move(q{[databases]
tracking = host=postgres port=5432 dbname=tracking user=postgres password=your_password
[pgbouncer]
pool_mode = transaction
default_pool_size = 25
min_pool_size = 5
reserve_pool_size = 5
reserve_pool_timeout = 3
timeout = 600
idle_in_transaction_session_timeout = 60000
listen_port = 6432
listen_addr = 0.0.0.0
logfile = /var/log/pgbouncer/pgbouncer.log
pidfile = /var/run/pgbouncer/pgbouncer.pid
}, '');
pool_size_becomes('postgres', 'tracking', 25, 'a forced role');

# the smallest one
move(q{[databases]
mega_directory = host=localhost port=5432 dbname=mega_directory
[pgbouncer]
pool_mode = transaction
max_client_conn = 1000
default_pool_size = 20
}, '');
pool_size_becomes('postgres', 'mega_directory', 20, 'a small one');

# in parts, with comments behind the values
move(q{pool_mode = transaction
max_client_conn = 200          # how many clients
default_pool_size = 25         # for each user
min_pool_size = 5              # always
reserve_pool_size = 5          # if need be
max_db_connections = 50        # for all users
server_lifetime = 3600         # an hour
server_idle_timeout = 600      # ten minutes
query_wait_timeout = 120       # two of them
client_idle_timeout = 0        # none
tcp_keepalive = 1              # yes
server_reset_query = DISCARD ALL  # clean
ignore_startup_parameters = extra_float_digits,search_path
log_connections = 1
verbose = 2
}, '');
pool_size_becomes('postgres', 'sav3', 25, 'in parts');
{
	my $client = client('postgres', 'sav3', search_path => 'nowhere', extra_float_digits => 0);
	is($client->ask(q{SELECT current_setting('search_path'), current_setting('extra_float_digits')}),
		'"$user", public|1', 'two startup parameters are ignored');
	is($node->safe_psql('postgres', 'SELECT max_clients FROM pooler.status'), '200',
		'so many clients are let in');
	is(setting('pooler.max_db_connections'), '50', 'so many backends of a database');
	$client->quit;
}

# the other kind of comment
move(q{[databases]
; where it is
facebook_bot_db = host=localhost port=5432 dbname=facebook_bot_db
[pgbouncer]
; everywhere
listen_addr = 0.0.0.0
listen_port = 6432
auth_type = md5
auth_file = /etc/pgbouncer/userlist.txt
pool_mode = transaction
max_client_conn = 1000
default_pool_size = 20
min_pool_size = 5
reserve_pool_size = 5
reserve_pool_timeout = 3
log_connections = 1
log_disconnections = 1
log_pooler_errors = 1
admin_users = postgres
stats_users = stats_collector
}, '"bot" "md5b6c92ee3a7c0b2a4a2a4b4dd5f4a8a5f"');
pool_size_becomes('bot', 'facebook_bot_db', 20, 'another kind of comment');
is($node->safe_psql('postgres', q{SELECT pg_has_role('stats_collector', 'pg_monitor', 'member')}),
	't', 'who may look at it');

#
# All that databases and users can have
#
move(q{[databases]
foodb =
bardb = host=localhost dbname=bazdb
forcedb = host=localhost port=300 user=baz password=foo client_encoding=UNICODE datestyle='ISO, DMY' connect_query='SELECT 1' dbname=bazdb
nondefaultdb = pool_size=50 reserve_pool_size=10 max_db_client_connections=10
* = host=testserver
[users]
user1 = pool_size=5 reserve_pool_size=2 pool_mode=transaction max_user_connections=10 max_user_client_connections=20
hasty = pool_size=1 query_wait_timeout=0.5
sticky = pool_mode=session
[pgbouncer]
login_notify_message = Hello # and\\nwelcome
query_wait_timeout = 60
default_pool_size = 7
}, join("\n", map { qq("$_" "") } qw(user1 hasty sticky)));
$node->safe_psql('postgres', 'GRANT baz TO user1');

my $who = 'SELECT current_database(), session_user';
{
	my $client = client('user1', 'bardb');
	is($client->ask($who), 'bazdb|user1', 'another name for a database');
	is("@{ $client->{notices} }", "NOTICE 00000: Hello # and\nwelcome",
		'the notice at login');
	$client->quit;
	$client = client('user1', 'forcedb');
	is($client->ask($who), 'bazdb|baz', 'another name, with a role');
	is($client->ask('SHOW DateStyle'), 'ISO, DMY', 'with a setting');
	$client->quit;
	like(client('hasty', 'forcedb')->{answer}, qr/^FATAL 42501: permission denied to set role "baz"/,
		'not for all');
	like(client('hasty', 'nowhere')->{answer}, qr/^FATAL 3D000: /, 'there is no other server');
}
pool_size_becomes('user1', 'foodb', 5, 'of a user');
pool_size_becomes('baz', 'nondefaultdb', 50, 'of a database');
pool_size_becomes('user1', 'nondefaultdb', 5, 'of a user, in that database');
pool_size_becomes('postgres', 'foodb', 7, 'of all others');

# a user's own timeout, with a fraction
my $first = client('hasty', 'foodb');
is($first->ask('BEGIN'), '', 'one user has the only backend');
my $second = client('hasty', 'foodb');
like($second->ask('SELECT 1'), qr/^FATAL 53300: .*query_wait_timeout has passed/s,
	'so another one waits, but not long');
$first->quit;

# a user's own mode
my $sticky = client('sticky', 'foodb');
$sticky->ask('SELECT 1');
becomes($node, q{SELECT state, pin_reason FROM pooler.clients WHERE role = 'sticky'},
	'pinned|pool_mode', 'a user whose sessions keep their backend');
$sticky->quit;
forget();
$node->restart;

#
# PgBouncer's own sample, with every line in it turned on
#
my ($sample) = grep { -r }
  qw(/usr/share/doc/pgbouncer/examples/pgbouncer.ini /etc/pgbouncer/pgbouncer.ini);
SKIP:
{
	skip 'PgBouncer is not installed', 4 unless $sample;

	my $text = slurp_file($sample) =~ s/^;(?=[\w*]+ *=|%include)//mgr;
	my @lines = split /\n/, $text;
	my $rows = convert($text, '', q{\pset fieldsep '\t'
SELECT line, item, kind, statement FROM pooler.import_pgbouncer(:'ini') ORDER BY line});
	my @rows = map { [ split /\t/, $_, -1 ] } split /\n/, $rows;
	my %rows_of;

	push @{ $rows_of{ $_->[0] } }, $_ for @rows;
	is_deeply([ grep { $lines[ $_ - 1 ] =~ /^[\w*%]/ && !$rows_of{$_} } 1 .. @lines ],
		[], "each line of $sample has a row");

	# PgBouncer would take it, too.
	is_deeply([ map { $_->[1] } grep { $_->[2] eq 'error' } @rows ],
		[], 'and none is an error');

	my @unknown;
	for (grep { $_->[2] eq 'statement' } @rows)
	{
		my ($statement) = $_->[3];
		my ($err);

		next if $statement =~ /^(ALTER DATABASE|ALTER ROLE|GRANT)/;
		$node->psql('postgres', $statement, stderr => \$err);
		push @unknown, "$statement $err" if $err ne '';
	}
	cmp_ok(scalar(@rows), '>', 60, 'a lot of rows');
	is("@unknown", '', 'the server accepts all settings');
}

$node->stop;
done_testing();
