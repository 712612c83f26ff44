# The admin console: who may, what each SHOW has, what commands do, and what
# bad input gets.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use LoginClient ();
use PoolerTest qw(becomes log_size logged pooler_port pooler_psql set_hba
  start_node wait_until worker_pid);
use PostgreSQL::Test::Utils;
use RawClient ();
use Socket qw(SOL_SOCKET SO_RCVBUF);
use Test::More;
use WireClient qw(m_bind m_close m_execute m_flush m_parse m_query m_sync
  m_terminate message);

my $node = start_node('console', conf => q(
max_connections = 40
pooler.max_client_conn = 20
pooler.default_pool_size = 2
pooler.admin_roles = 'dba, "Ops Team"'
pooler.query_wait_timeout = 0
pooler.server_lifetime = 0
));
$node->safe_psql('postgres', q{
	CREATE ROLE app LOGIN;
	CREATE ROLE dba LOGIN;
	CREATE ROLE "Ops Team";
	CREATE ROLE member LOGIN IN ROLE "Ops Team";
	CREATE ROLE watcher LOGIN IN ROLE pg_monitor;
	CREATE ROLE secret LOGIN PASSWORD 'pw';
	GRANT pg_monitor TO secret;
	CREATE DATABASE shop;
	CREATE DATABASE "My Shop";
	GRANT ALTER SYSTEM ON PARAMETER pooler.default_pool_size TO dba});
my $superuser = $node->safe_psql('postgres', 'SELECT current_user');

sub console
{
	my (%options) = @_;
	return WireClient->new($node, database => 'pgbouncer', %options);
}

# Rows of a SHOW as references to hashes.
sub show
{
	my ($client, $what) = @_;
	my (@names, @rows);

	$client->put(m_query("SHOW $what"));
	while (my ($type, $body) = $client->read_message)
	{
		@names = map { $_->[0] } columns_of($body) if $type eq 'T';
		if ($type eq 'D')
		{
			my %row;
			@row{@names} = @{ RawClient::row($body) };
			push @rows, \%row;
		}
		BAIL_OUT("SHOW $what: " . LoginClient::error_text($body)) if $type eq 'E';
		last if $type eq 'Z';
	}
	return @rows;
}

my %letter = (25 => 's', 23 => 'i', 20 => 'q', 1700 => 'N', 17 => 'b');

# Names and types of a RowDescription.
sub columns_of
{
	my ($body) = @_;
	my @columns;
	my $left = substr($body, 2);

	while ($left ne '')
	{
		my ($name, undef, undef, $oid) = unpack('Z* N n N', $left);
		push @columns, [ $name, $letter{$oid} // $oid ];
		$left = substr($left, length($name) + 1 + 18);
	}
	return @columns;
}

#
# columns
#

my $sockets = 'type s, user s, database s, replication s, state s, addr s, port i,'
  . ' local_addr s, local_port i, connect_time s, request_time s, wait i, wait_us i,'
  . ' close_needed i, ptr s, link s, remote_pid i, tls s, application_name s,'
  . ' prepared_statements i, id i';
my $debug = "$sockets, recv_pos i, pkt_pos i, pkt_remain i, send_pos i, send_remain i,"
  . ' pkt_avail i, send_avail i';
my @counted = qw(server_assignment_count xact_count query_count);
my %columns = (
	ACTIVE_SOCKETS => $debug,
	CLIENTS => $sockets,
	CONFIG => 'key s, value s, default s, changeable s',
	DATABASES => 'name s, host s, port i, database s, force_user s, pool_size i,'
	  . ' min_pool_size i, reserve_pool_size i, server_lifetime i, pool_mode s,'
	  . ' load_balance_hosts s, max_connections i, current_connections i,'
	  . ' max_client_connections i, current_client_connections i, paused i, disabled i',
	DNS_HOSTS => 'hostname s, ttl q, addrs s',
	DNS_ZONES => 'zonename s, serial q, count i',
	FDS => 'fd i, task s, user s, database s, addr s, port i, cancel q, link i,'
	  . ' client_encoding s, std_strings s, datestyle s, timezone s, password s,'
	  . ' scram_client_key b, scram_server_key b',
	LEAKS => 'id i, kind s, severity s, client_id i, pid i, database s, user s,'
	  . ' application_name s, addr s, port i, held i, clients_waiting i, query s',
	LISTS => 'list s, items i',
	MEM => 'name s, size i, used i, free i, memtotal i',
	PEERS => 'peer_id i, host s, port i, pool_size i',
	PEER_POOLS => 'peer_id i, cl_active_cancel_req i, cl_waiting_cancel_req i,'
	  . ' sv_active_cancel i, sv_login i',
	POOLS => 'database s, user s, cl_active i, cl_waiting i, cl_active_cancel_req i,'
	  . ' cl_waiting_cancel_req i, sv_active i, sv_active_cancel i, sv_being_canceled i,'
	  . ' sv_idle i, sv_used i, sv_tested i, sv_login i, maxwait i, maxwait_us i,'
	  . ' pool_mode s, load_balance_hosts s',
	SERVERS => $sockets,
	SOCKETS => $debug,
	STATE => 'key s, value s',
	STATS => 'database s, '
	  . join(', ', map { "$_ N" }
		  (map { "total_$_" } @counted, qw(received sent xact_time query_time wait_time
			  client_parse_count server_parse_count bind_count client_login_count)),
		  (map { "avg_$_" } @counted, qw(recv sent xact_time query_time wait_time
			  client_parse_count server_parse_count bind_count client_login_count))),
	STATS_AVERAGES => 'database s, '
	  . join(', ', map { "$_ N" } @counted, qw(bytes_received bytes_sent xact_time
		  query_time wait_time avg_client_parse_count avg_server_parse_count
		  avg_bind_count avg_client_login_count)),
	STATS_TOTALS => 'database s, '
	  . join(', ', map { "$_ N" } @counted, qw(bytes_received bytes_sent xact_time
		  query_time wait_time client_parse_count server_parse_count bind_count
		  client_login_count)),
	TOTALS => 'name s, value N',
	USERS => 'name s, pool_size s, reserve_pool_size s, pool_mode s,'
	  . ' max_user_connections i, current_connections i,'
	  . ' max_user_client_connections i, current_client_connections i',
	VERSION => 'version s');

my $admin = console();
my $app = WireClient->new($node, role => 'app', database => 'shop',
	application_name => 'till');
is($app->query('SELECT 1'), '1, SELECT 1, I', 'a client of a database');

for my $name (sort keys %columns)
{
	$admin->put(m_query("show $name;"));
	my ($type, $body) = $admin->read_message;
	is(join(', ', map { "@$_" } columns_of($body)), $columns{$name}, "columns of SHOW $name");
	$admin->replies;

	$admin->put(m_parse("SHOW $name"), message('D', "S\0"), m_sync);
	is(($admin->read_message)[0], '1', "SHOW $name is prepared");
	is(unpack('n', ($admin->read_message)[1]), 0, '... without parameters');
	is(join(', ', map { "@$_" } columns_of(($admin->read_message)[1])),
		$columns{$name}, '... with the same columns');
	$admin->replies;
}
# The manual names them all.
my ($manual) = slurp_file("$FindBin::Bin/../../README.md") =~ /^## Console\n(.*?)^## /ms;
for my $name (sort keys %columns)
{
	my @missing = grep { $manual !~ /`$_`/ } map { (split)[0] } split /, /, $columns{$name};
	is("@missing", '', "README.md has the columns of SHOW $name");
}

like($admin->query('SHOW HELP'),
	qr/^NOTICE 00000: Console usage DETAIL: .*SHOW HELP\|CONFIG.*, SHOW, I$/s, 'SHOW HELP');
like($admin->query('SELECT version'), qr/^PgBouncer 1\.26\.0.*, SHOW, I$/,
	'SELECT is another word for SHOW');
is_deeply([ map { $_->{name} } show($admin, 'TOTALS') ],
	[ map { my $p = $_; map { "${p}_$_" } @counted, qw(client_bytes server_bytes xact_time
		query_time wait_time ps_client_parse_count ps_server_parse_count ps_bind_count
		client_login_count) } qw(total avg) ], 'rows of SHOW TOTALS');
is(join(' ', map { $_->{list} } show($admin, 'LISTS')),
	'databases users peers pools peer_pools free_clients used_clients login_clients'
	  . ' free_servers used_servers dns_names dns_zones dns_queries dns_pending',
	'rows of SHOW LISTS');

#
# what drivers and exporters ask
#

is($admin->query('SHOW client_encoding; show TimeZone'), 'UTF8, SHOW, GMT, SHOW, I',
	'variables that drivers ask for');
is($admin->query('SET extra_float_digits = 3'),
	'NOTICE 00000: SET has no effect on the console, SET, I', '... and set');
is($admin->query('; -- ping'), 'empty, I', 'an empty query');
is($admin->query(''), 'empty, I', '... of no bytes');

# prometheus-community/pgbouncer_exporter 0.10 asks these, by lib/pq
my %exporter = (
	'SHOW LISTS' => [qw(list items)],
	'SHOW CONFIG' => [qw(key value default changeable)],
	'SHOW VERSION' => [qw(version)],
	'SHOW DATABASES' => [qw(name host port database force_user pool_size reserve_pool_size
		pool_mode max_connections current_connections paused disabled)],
	'SHOW POOLS' => [qw(database user cl_active cl_waiting cl_active_cancel_req
		cl_waiting_cancel_req sv_active sv_active_cancel sv_being_canceled sv_idle sv_used
		sv_tested sv_login maxwait maxwait_us)],
	'SHOW STATS' => [qw(database total_query_count total_query_time total_received
		total_requests_unknown total_sent total_wait_time total_xact_count total_xact_time)]);
for my $query (sort keys %exporter)
{
	$admin->put(m_query("$query;"));
	my %has = map { $_->[0] => 1 } columns_of(($admin->read_message)[1]);
	$admin->replies;
	my @missing = grep { !$has{$_} && $_ !~ /unknown/ } @{ $exporter{$query} };
	is("@missing", '', "what an exporter reads of $query");
}
my %config = map { $_->{key} => $_ } show($admin, 'CONFIG');
is($config{max_client_conn}{value}, 20, 'SHOW CONFIG has max_client_conn');
is($config{max_client_conn}{changeable}, 'no', '... which needs a restart');
is($config{max_user_connections}{value}, 0, '... and max_user_connections');
is($config{listen_port}{value}, pooler_port($node), "... the port by PgBouncer's name");
is($config{tcp_keepalive}{value}, 1, '... booleans as numbers');
cmp_ok($config{max_prepared_statements}{value}, '>', 0, '... that prepared statements are supported');
is($config{query_wait_timeout}{default}, 120, '... defaults');
my @settings = split /\n/, $node->safe_psql('postgres', q{
	SELECT CASE name WHEN 'pooler.port' THEN 'listen_port'
			WHEN 'pooler.listen_addresses' THEN 'listen_addr'
			WHEN 'pooler.admin_roles' THEN 'admin_users'
			WHEN 'pooler.unix_socket_directories' THEN 'unix_socket_dir'
			ELSE substr(name, 8) END
	FROM pg_settings WHERE name LIKE 'pooler.%'});
is_deeply([ grep { !$config{$_} } @settings ], [], 'SHOW CONFIG has all settings');
my @keys = map { $_->{key} } show($admin, 'CONFIG');
is_deeply(\@keys, [ sort @keys ], '... in order');

#
# agreement with the views
#

# Two clients fill the pool, one waits.
my @busy = map { WireClient->new($node, role => 'app', database => 'shop') } 1 .. 2;
$_->query('BEGIN') for @busy;
$app->put(m_query('SELECT 2'));
becomes($node, q{SELECT state FROM pooler.clients WHERE application_name = 'till'},
	'waiting', 'a client waits');

my ($pool) = grep { $_->{database} eq 'shop' } show($admin, 'POOLS');
my ($row) = $node->safe_psql('postgres', q{
	SELECT clients_idle + clients_active, clients_waiting,
		backends_busy + backends_pinned, backends_free + backends_lingering
	FROM pooler.pools WHERE database = 'shop'});
is(join('|', @$pool{qw(cl_active cl_waiting sv_active sv_idle)}), $row,
	'SHOW POOLS agrees with pooler.pools');
is($row, '2|1|2|0', '... on what there is');
is($pool->{user}, 'app', '... its user');
is($pool->{pool_mode}, 'transaction', '... its mode');

sub maxwait
{
	my ($pool) = grep { $_->{database} eq 'shop' } show($admin, 'POOLS');
	return $pool->{maxwait} + $pool->{maxwait_us} / 1e6;
}
my $longest = q{SELECT extract(epoch FROM longest_wait) FROM pooler.pools
	WHERE database = 'shop'};
my $before = $node->safe_psql('postgres', $longest);
my $between = maxwait();
my $after = $node->safe_psql('postgres', $longest);
ok($before <= $between && $between <= $after, "maxwait is pooler.pools' longest_wait")
  or diag("$before $between $after");

my ($client) = grep { $_->{application_name} eq 'till' } show($admin, 'CLIENTS');
is($client->{state}, 'waiting', 'SHOW CLIENTS: the client waits');
ok($client->{wait} + $client->{wait_us} / 1e6 > 0, '... for a while');
is($client->{id}, $node->safe_psql('postgres',
		q{SELECT id FROM pooler.clients WHERE application_name = 'till'}),
	'... id is that of pooler.clients');
like($client->{connect_time}, qr/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \S+$/, '... connect_time');
is($client->{remote_pid}, $$, '... its process, by the Unix socket');

my @servers = grep { $_->{database} eq 'shop' } show($admin, 'SERVERS');
is(join(' ', map { $_->{state} } @servers), 'active active', 'SHOW SERVERS: both are active');
my %ptr = map { $_->{ptr} => 1 } show($admin, 'CLIENTS');
ok($ptr{ $servers[0]{link} } && $ptr{ $servers[1]{link} }, '... and linked to clients');
is(join(' ', sort { $a <=> $b } map { $_->{remote_pid} } @servers),
	$node->safe_psql('postgres', q{
		SELECT string_agg(pid::text, ' ' ORDER BY pid) FROM pooler.backends
		WHERE database = 'shop'}), "... the backends' processes");
my @active = show($admin, 'ACTIVE_SOCKETS');
is(join(' ', sort map { $_->{state} } grep { $_->{database} eq 'shop' } @active),
	'cl_active cl_active cl_waiting sv_active sv_active', 'SHOW ACTIVE_SOCKETS');

$_->query('COMMIT') for @busy;
is($app->reply, '2, SELECT 1, I', 'the client has waited enough');
becomes($node, q{SELECT count(*) FROM pooler.backends
	WHERE database = 'shop' AND state NOT IN ('free', 'lingering')}, '0', 'all are idle');

my ($stats) = grep { $_->{database} eq 'shop' } show($admin, 'STATS');
is(join('|', @$stats{qw(total_server_assignment_count total_xact_count total_query_count
		total_xact_time total_wait_time total_client_login_count)}),
	$node->safe_psql('postgres', q{
		SELECT handovers + lingered, transactions, queries,
			(extract(epoch FROM transaction_time) * 1000000)::bigint,
			(extract(epoch FROM wait_time) * 1000000)::bigint, logins
		FROM pooler.stats WHERE database = 'shop'}),
	'SHOW STATS agrees with pooler.stats');
my ($totals) = grep { $_->{database} eq 'shop' } show($admin, 'STATS_TOTALS');
is($totals->{xact_count}, $stats->{total_xact_count}, 'so does SHOW STATS_TOTALS');
my %lists = map { $_->{list} => $_->{items} } show($admin, 'LISTS');
is($lists{used_clients}, 4, 'SHOW LISTS: clients, with the console');
is($lists{pools}, $node->safe_psql('postgres', 'SELECT count(*) FROM pooler.pools'),
	'... pools');

# Averages are taken over a period.
pooler_psql($node, 'SET stats_period = 1', database => 'pgbouncer');
ok(wait_until('there are averages', sub {
			$app->query('SELECT 3') for 1 .. 50;
			my ($avg) = grep { $_->{database} eq 'shop' } show($admin, 'STATS_AVERAGES');
			return $avg->{xact_count} > 0 && $avg->{query_count} > 0 && $avg->{xact_time} > 0;
		}), 'SHOW STATS_AVERAGES');

# DATABASES has those without a pool, and the console.
my %database = map { $_->{name} => $_ } show($admin, 'DATABASES');
is(join(',', sort keys %database), 'My Shop,pgbouncer,postgres,shop,template1',
	'SHOW DATABASES');
is($database{shop}{pool_size}, 2, '... pool_size');
is($database{shop}{current_client_connections}, 3, '... clients');
is($database{shop}{current_connections}, 2, '... servers');
is($database{pgbouncer}{force_user}, 'pgbouncer', '... the console');

#
# extended protocol
#

$admin->put(m_parse('SHOW STATE', 'st'), m_bind('st', [], 'po'), m_execute('po', 2),
	m_execute('po', 2), m_execute('po'), m_close('P', 'po'), m_close('S', 'st'), m_sync);
is($admin->reply, 'parsed, bound, active|yes, paused|no, suspended, suspended|no, SHOW,'
	  . ' SHOW, closed, closed, I', 'rows in portions');
$admin->put(m_parse('SHOW STATE', 'st'), m_sync);
is($admin->reply, 'parsed, I', 'a named statement');
$admin->put(m_bind('st'), m_execute(''), m_sync);
is($admin->reply, 'bound, active|yes, paused|no, suspended|no, SHOW, I', '... lives on');
$admin->put(m_parse('SHOW STATE', 'st'), m_bind('st'), m_sync);
is($admin->reply, 'ERROR 42P05: prepared statement "st" already exists, I',
	'... and is not replaced; what follows an error is skipped up to Sync');
$admin->put(m_bind('nope'), m_sync, m_execute('nope'), m_sync);
is($admin->reply, 'ERROR 26000: prepared statement "nope" does not exist, I', 'no statement');
is($admin->reply, 'ERROR 34000: portal "nope" does not exist, I', 'no portal');
$admin->put(m_bind('st', ['x']), m_sync);
is($admin->reply, 'ERROR 08P01: bind message supplies 1 parameters, but prepared statement'
	  . ' "st" requires 0, I', 'parameters');
$admin->put(m_parse('SHOW STATE; SHOW STATE'), m_sync);
is($admin->reply, 'ERROR 42601: cannot insert multiple commands into a prepared statement, I',
	'two statements');
$admin->put(m_parse(''), m_bind(''), message('D', "P\0"), m_execute(''), m_flush);
is($admin->reply('I'), 'parsed, bound, n, empty', 'an empty statement, and Flush');
$admin->put(m_sync);
is($admin->reply, 'I', 'Sync');
$admin->put(message('P', "x\0"), m_sync);
is($admin->reply, 'ERROR 08P01: invalid message format, I', 'half a body');
$admin->put(message('F', pack('N n n n', 1, 0, 0, 0)));
is($admin->reply, 'ERROR 0A000: the console has no functions, I', 'a function call');
$admin->put(map({ m_parse('SHOW STATE', "s$_") } 1 .. 40), m_sync);
my @many = $admin->replies;
is($many[-2] =~ /^ERROR 53200: too many prepared statements/ ? 'refused' : $many[-2], 'refused',
	'not too many statements');
$admin->put(map({ m_close('S', "s$_") } 1 .. 40), m_sync);
$admin->replies;

# int4, int8 and numeric in binary, as pgx asks for them
sub binary_row
{
	my ($what, @formats) = @_;
	my $found;
	$admin->put(m_parse("SHOW $what"),
		message('B', "\0\0" . pack('n n n n*', 0, 0, scalar @formats, @formats)),
		m_execute(''), m_sync);
	while (my ($type, $body) = $admin->read_message)
	{
		$found //= RawClient::row($body) if $type eq 'D';
		last if $type eq 'Z';
	}
	return $found;
}
my $binary = binary_row('LISTS', 0, 1);
is($binary->[0], 'databases', 'formats by column: text');
is(unpack('N', $binary->[1]), (show($admin, 'LISTS'))[0]{items}, '... int4 in binary');
$binary = binary_row('TOTALS', 1);
is($binary->[0], 'total_server_assignment_count', 'one format for all: text in binary');
my ($ndigits, $weight, $sign, $scale, @digits) = unpack('n*', $binary->[1]);
my $number = 0;
$number += $digits[$_] * 10000**($weight - $_) for 0 .. $ndigits - 1;
cmp_ok($number, '>', 0, '... numeric in binary');
cmp_ok($number, '<=', (show($admin, 'TOTALS'))[0]{value}, '... has the right value');

#
# who may
#

sub login
{
	my (%options) = @_;
	my $client = RawClient->open($node, from => 'local');
	my $answer = $client->login(database => 'pgbouncer', %options);
	$client->close;
	return $answer;
}
like(login(role => 'app'),
	qr/^FATAL 42501: permission denied for the console of the pooler DETAIL: /,
	'a role without rights is refused');
is(login(role => 'dba'), 'ok', 'a role in pooler.admin_roles is let in');
is(login(role => 'watcher'), 'ok', 'a member of pg_monitor is let in');
is(login(role => 'nobody'), 'FATAL 28000: role "nobody" does not exist', 'no such role');
is(console(role => 'member')->query('RECONNECT'), 'RECONNECT, I',
	'a member of such a role may do all');
my $watcher = console(role => 'watcher');
like($watcher->query('SHOW VERSION'), qr/, SHOW, I$/, 'a member of pg_monitor may SHOW');
my $needed = 'ERROR 42501: admin access needed HINT: Superusers and roles in'
  . ' pooler.admin_roles have it., I';
is($watcher->query($_), $needed, "... and not $_")
  for 'SHOW FDS', 'PAUSE', 'RELOAD', 'SET default_pool_size = 3', 'KILL_CLIENT 1', 'SHUTDOWN';

is($admin->{parameters}{server_version} // 'kept', 'kept', 'parameters are told at login');
my $told = RawClient->connect($node, database => 'pooler');
is($told->{parameters}{server_version}, '1.26.0/bouncer', 'the name pooler, too');
is($told->{parameters}{client_encoding}, 'UTF8', '... client_encoding');
is($told->{parameters}{standard_conforming_strings}, 'on', '... standard_conforming_strings');
like($told->ask('SHOW VERSION'), qr/^PgBouncer/, '... is the console');
$node->safe_psql('postgres', 'CREATE DATABASE pooler');
is(pooler_psql($node, 'SELECT current_database()', database => 'pooler'), 'pooler',
	'a real database of that name comes first');
$node->safe_psql('postgres', 'CREATE DATABASE pgbouncer');
like(pooler_psql($node, 'SHOW VERSION', database => 'pgbouncer'), qr/^PgBouncer/,
	'but not before the name pgbouncer');

set_hba($node, q(
local	pgbouncer	secret	scram-sha-256
local	pgbouncer	app	reject
local	pgbouncer	member	peer
local	all	all	trust
host	all	all	127.0.0.0/8	trust
));
is(pooler_psql($node, 'RELOAD', database => 'pgbouncer'), '', 'RELOAD');
is(login(role => 'secret'), 'R10', 'and pg_hba.conf is read again: scram');
{
	local $ENV{PGPASSWORD} = 'pw';
	like(scalar pooler_psql($node, 'SHOW VERSION', database => 'pgbouncer', role => 'secret'),
		qr/^PgBouncer/, '... with a password');
}
like(login(role => 'app'), qr/^FATAL 28000: pg_hba.conf rejects/, '... reject');
is(login(role => 'member'),
	'FATAL 0A000: a login to the console can\'t be carried out by a backend'
	  . ' DETAIL: The rule of pg_hba.conf needs one because of the method "peer".'
	  . ' HINT: Put a rule with scram-sha-256, md5 or trust for the database "pgbouncer"'
	  . ' before it.', '... peer');

becomes($node, q{SELECT string_agg(DISTINCT state || coalesce(dbid::text, '-'), '')
	FROM pooler.clients WHERE database = 'pgbouncer'}, 'console-', 'pooler.clients has them');

#
# bad input
#

my $commands = 'SHOW, SET, PAUSE, RESUME, DISABLE, ENABLE, RECONNECT, KILL, KILL_CLIENT,'
  . ' SUSPEND, RELOAD, WAIT_CLOSE, SHUTDOWN.';
is($admin->query('FROB x'),
	qq{ERROR 42601: unknown command "FROB" HINT: The commands are $commands, I},
	'an unknown command');
like($admin->query('SHOW frob'),
	qr/^ERROR 42601: there is no SHOW "frob" HINT: SHOW can be followed by ACTIVE_SOCKETS, .*VERSION\., I$/,
	'an unknown SHOW');
like($admin->query($_),
	qr/^ERROR 42601: this is the admin console of the pooler, which has no SQL HINT: Connect to a database/,
	"SQL: $_") for 'SELECT 1', 'SELECT * FROM pg_class', 'BEGIN', "INSERT INTO t VALUES (';')";
is($admin->query('SHOW STATE; FROB'),
	qq{ERROR 42601: unknown command "FROB" HINT: The commands are $commands, I},
	'nothing is done if there is a mistake anywhere');
is($admin->query("PAUSE $_->[0]"), "ERROR $_->[1], I", "PAUSE $_->[0]")
  for [ 'nosuch', '3D000: database "nosuch" does not exist HINT: Names are taken as they are'
	  . ' written, capital letters included.' ],
  [ 'pgbouncer', '22023: "pgbouncer" is the console, not a database' ];
is($admin->query('SHOW STATE; PAUSE nosuch; SHOW STATE'),
	'active|yes, paused|no, suspended|no, SHOW, ERROR 3D000: database "nosuch" does not exist'
	  . ' HINT: Names are taken as they are written, capital letters included., I',
	'an error ends the other statements');
like($admin->query('KILL_CLIENT 4000000000'), qr/^ERROR \w+: client 4000000000 /,
	'KILL_CLIENT of nobody');
is($admin->query("PAUSE \"x"), 'ERROR 42601: unterminated quotes or comment, I', 'quotes');

# Half messages, and too long ones.
for my $byte (split //, m_query('SHOW STATE'))
{
	$admin->put($byte);
}
is($admin->reply, 'active|yes, paused|no, suspended|no, SHOW, I', 'a message byte by byte');
my $bad = console();
$bad->put('Q' . pack('N', 1_000_000) . 'SHOW');
is($bad->reply, 'FATAL 54000: message is too long for the console, eof', 'a message too long');
# the longest that core takes, of which not even the first kilobyte comes
for my $length (64 * 1024, 0x3ffffffd, 0x3ffffffe)
{
	$bad = console();
	$bad->put('Q' . pack('N', $length) . 'SHOW');
	is($bad->reply, 'FATAL 54000: message is too long for the console, eof',
		"a length of $length");
}
$bad = console();
$bad->put("?\0\0\0\4");
is($bad->reply, 'FATAL 08P01: invalid frontend message type 63, eof', 'an unknown message');
$bad = console();
$bad->put('Q' . pack('N', 2));
is($bad->reply, 'FATAL 08P01: invalid message length, eof', 'an impossible length');
$bad = console();
$bad->put(m_query('-- ' . 'x' x 60_000));
is($bad->reply, 'empty, I', 'a long message');
$bad->put(substr(m_query('SHOW STATE'), 0, 7));
$bad->close;
$bad = console();
my $name = 'n' x 9_000;
$bad->put(message('D', "S$name\0"), m_sync, message('D', "P$name\0"), m_sync,
	m_execute($name), m_sync, m_bind($name), m_sync, m_bind('', [], $name), m_sync,
	m_parse('SHOW STATE', $name), m_sync, m_close('S', $name), m_sync);
is($bad->reply, 'ERROR 42622: name is too long for the console, I', "a long name: $_")
  for 'Describe of a statement', 'Describe of a portal', 'Execute', 'Bind of a statement';
is($bad->reply, 'ERROR 26000: prepared statement "" does not exist, I', 'a long name: Bind to a portal');
is($bad->reply, 'ERROR 42622: name is too long for the console, I', 'a long name: Parse');
is($bad->reply, 'closed, I', 'a long name: Close');
$bad->put(m_query('SHOW STATE'), m_terminate);
is($bad->reply . $bad->reply, 'active|yes, paused|no, suspended|no, SHOW, Ieof', 'Terminate');

#
# commands
#

is($admin->query('DISABLE "My Shop"'), 'DISABLE, I', 'DISABLE, by a name in quotes');
%database = map { $_->{name} => $_ } show($admin, 'DATABASES');
is($database{'My Shop'}{disabled} . $database{shop}{disabled}, '10', '... is shown');
is($admin->query('ENABLE "My Shop"'), 'ENABLE, I', 'ENABLE');

$app->query('BEGIN');
my $second = console();
$admin->put(m_query('PAUSE shop; SHOW VERSION'));
ok(wait_until('it is paused', sub {
			my %is = map { $_->{name} => $_ } show($second, 'DATABASES');
			return $is{shop}{paused} == 1;
		}), 'PAUSE shop');
ok(!$admin->readable, '... waits for a transaction');
is($app->query('COMMIT'), 'COMMIT, I', '... which ends');
like($admin->reply, qr/^PAUSE, PgBouncer.*, SHOW, I$/, '... and then goes on');
is($admin->query('RESUME shop'), 'RESUME, I', 'RESUME shop');

$app->query('BEGIN');
$admin->put(m_query('PAUSE'), m_query('SHOW STATE'));
ok(wait_until('all are paused', sub {
			my %is = map { $_->{key} => $_->{value} } show($second, 'STATE');
			return $is{paused} eq 'yes';
		}), 'PAUSE, and another command behind it');
$admin->cancel;
is($admin->reply, 'ERROR 57014: canceling statement due to user request, I',
	'a cancel request ends the wait');
is($admin->reply, 'active|yes, paused|no, suspended|no, SHOW, I', '... and takes it back');

my $leaves = console();
$leaves->put(m_query('PAUSE'));
ok(wait_until('all are paused', sub {
			my %is = map { $_->{key} => $_->{value} } show($second, 'STATE');
			return $is{paused} eq 'yes';
		}), 'PAUSE again');
$leaves->close;
ok(wait_until('it is over', sub {
			my %is = map { $_->{key} => $_->{value} } show($second, 'STATE');
			return $is{active} eq 'yes';
		}), 'the client may leave meanwhile');
is($app->query('COMMIT'), 'COMMIT, I', 'nobody was hurt');

my ($victim) = grep { $_->{application_name} eq 'till' } show($admin, 'CLIENTS');
is($admin->query("KILL_CLIENT $victim->{id}"), 'KILL_CLIENT, I', 'KILL_CLIENT');
is($app->reply, 'FATAL 57P01: terminating connection due to administrator command, eof',
	'... ends the client');
my $own = console(application_name => 'own');
my ($self) = grep { $_->{application_name} eq 'own' } show($own, 'CLIENTS');
$own->put(m_query("KILL_CLIENT $self->{id}"));
like($own->reply, qr/eof$/, '... also itself');

# While the catalogs are locked, what needs them waits, and nobody else.
my $locker = WireClient->new($node, port => $node->port);
$second->query('SHOW STATE');
$locker->query('BEGIN; LOCK TABLE pg_catalog.pg_database');
$admin->put(m_query('SHOW DATABASES; RECONNECT shop'));
like($second->query('SHOW STATE'), qr/, SHOW, I$/, 'somebody else is served');
is(($admin->read_message)[0], 'T', 'SHOW DATABASES begins');
ok(!$admin->readable(0.3), '... and waits for a lock');
$second->put(m_query('PAUSE shop'));
wait_until('the cancel request finds it waiting',
	sub { $second->cancel; $second->readable(0.1) });
is($second->reply, 'ERROR 57014: canceling statement due to user request, I',
	'... which can be cancelled');
$locker->query('COMMIT');
like($admin->reply, qr/template1.*, SHOW, RECONNECT, I$/, '... and goes on');

#
# SET
#

is($admin->query('SET default_pool_size = 3'), 'SET default_pool_size=3, I', 'SET');
%config = map { $_->{key} => $_ } show($admin, 'CONFIG');
is($config{default_pool_size}{value}, 3, '... is in force when it is done');
is($node->safe_psql('postgres', q{SELECT setting FROM pg_file_settings
	WHERE name = 'pooler.default_pool_size' AND sourcefile LIKE '%auto.conf'}), '3',
	'... by ALTER SYSTEM');
is($admin->query("SET pooler.server_lifetime TO '2h'"), 'SET pooler.server_lifetime=2h, I',
	'a setting with a unit, by its own name');
%config = map { $_->{key} => $_ } show($admin, 'CONFIG');
is($config{server_lifetime}{value}, 7200, '... in seconds');
is($admin->query("SET admin_users = 'dba, \"Ops Team\"'"),
	'SET admin_users=dba, "Ops Team", I', "a list, by PgBouncer's name");
is($admin->query('SET max_client_conn = 30'),
	'NOTICE 00000: the new value will be used after a restart of the server,'
	  . ' SET max_client_conn=30, I', 'a setting that needs a restart');
is($admin->query('SET max_client_conn TO DEFAULT; SET default_pool_size TO DEFAULT'),
	'NOTICE 00000: the new value will be used after a restart of the server,'
	  . ' SET max_client_conn=DEFAULT, SET default_pool_size=DEFAULT, I', 'DEFAULT');
like($admin->query('SET default_pool_size = -1'),
	qr/^ERROR 22023: -1 is outside the valid range for parameter "pooler.default_pool_size"/,
	'out of range');
like($admin->query("SET pool_mode = 'none'"),
	qr/^ERROR 22023: invalid value for parameter "pooler.pool_mode": "none" HINT: Available values/,
	'not one of the values, with a hint');
like($admin->query('SET work_mem = 1'),
	qr/^ERROR 42704: the pooler has no setting "work_mem" HINT: SHOW CONFIG lists/,
	'no setting of the pooler');
my $dba = console(role => 'dba');
is($dba->query('SET default_pool_size = 4'), 'SET default_pool_size=4, I',
	'a role that may ALTER SYSTEM on it');
is($dba->query('SET server_lifetime = 4'),
	'ERROR 42501: permission denied to set parameter "pooler.server_lifetime", I',
	'... not on another');
$dba->put(m_query('SET default_pool_size = 2'));
$dba->close;
ok(wait_until('it is set', sub {
			my %is = map { $_->{key} => $_->{value} } show($admin, 'CONFIG');
			return $is{default_pool_size} == 2;
		}), 'a client that leaves at once gets it done all the same')
  or diag('reload is up to the client that waits');

# More at a time than there are places for requests.
my @setters = map { console() } 1 .. 6;
$_->put(m_query('SET min_pool_size = 0')) for @setters;
is_deeply([ map { $_->reply } @setters ], [ ('SET min_pool_size=0, I') x 6 ], 'several SET at once');
$_->close for @setters;

#
# many, and slow ones
#

my @consoles = map { console() } 1 .. 10;
like($_->query('SHOW POOLS; SHOW CONFIG'), qr/, I$/, 'one of many') for @consoles;

# All places are taken; the next client is refused, an administrator is not.
my @clients;
while (@clients < 40)
{
	my $client = RawClient->open($node, from => 'local');
	my $answer = $client->login(role => 'app', database => 'shop');
	if ($answer ne 'ok')
	{
		is($answer, 'FATAL 53300: sorry, too many clients already', 'one client too many');
		last;
	}
	push @clients, $client;
}
is(login(role => 'dba'), 'ok', 'an administrator gets in');
my @more = map { RawClient->open($node, from => 'local') } 1 .. 20;
my @answers = map { $_->login(role => 'dba', database => 'pgbouncer') } @more;
is(scalar(grep { $_ eq 'ok' } @answers), 16, '... so many of them');
is($answers[-1], 'FATAL 53300: sorry, too many clients already', '... and no more');
$_->close for @more, @clients;

# Who asks for much and reads nothing keeps the pooler neither busy nor full.
my $slow = console();
setsockopt($slow->{sock}, SOL_SOCKET, SO_RCVBUF, 4096);
my $rss = sub { (slurp_file('/proc/' . worker_pid($node) . '/statm') =~ /^\d+ (\d+)/)[0] * 4 };
my $memory = $rss->();
my $queries = m_query('SHOW CONFIG;' x 2000);
$slow->{sock}->blocking(0);
for (1 .. 200)
{
	defined syswrite($slow->{sock}, $queries) or last;
}
like($admin->query('SHOW STATE'), qr/, I$/, 'others are served');
cmp_ok($rss->() - $memory, '<', 4096, 'a client that does not read costs little memory');
my $cpu = PoolerTest::worker_cpu(worker_pid($node));
Time::HiRes::sleep(0.5);
cmp_ok(PoolerTest::worker_cpu(worker_pid($node)) - $cpu, '<', 0.25, '... and no time');
$slow->close;
like($admin->query('SHOW STATE'), qr/, I$/, 'the console lives on');

# The pooler starts anew: the console says so.
my $pid = worker_pid($node);
my $offset = log_size($node);
kill 'TERM', $pid;
is($admin->reply, 'FATAL 57P01: terminating connection due to administrator command, eof',
	'the pooler ends, and its consoles');
PoolerTest::wait_for_pooler($node);
like(console()->query('SHOW STATE'), qr/, I$/, '... and is there again');

# psql, from a file
my ($rc, $out, $err) = pooler_psql($node, "SHOW VERSION;\n\\d\nSHOW STATE;\n",
	database => 'pgbouncer', psql => { on_error_stop => 0 });
like($out, qr/^PgBouncer 1.*\nactive\|yes/s, 'psql');
like($err, qr/this is the admin console/, '... and its \d');

# pool_mode is that of the pool
{
	$node->safe_psql('postgres', q{
		CREATE ROLE keeper LOGIN;
		ALTER ROLE keeper SET pooler.pool_mode = session});
	my $console = console();
	my $keeper = WireClient->new($node, role => 'keeper');
	my ($kept) = grep { $_->{user} eq 'keeper' } show($console, 'POOLS');
	is($kept->{pool_mode}, 'session', 'pool_mode of a role');
	$_->quit for $keeper, $console;
}

# SHUTDOWN waits for clients, but not for the one who asked.
$admin = console();
is($admin->query('SHUTDOWN WAIT_FOR_CLIENTS'), 'SHUTDOWN, I', 'SHUTDOWN');
is($node->safe_psql('postgres', 'SELECT 1'), '1', 'the server goes on');

$node->stop;
done_testing();
