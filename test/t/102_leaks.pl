# Leaks: each kind is found, in time and about the right client; sound programs
# never are; and what is done about them hits nobody else.
#
# Each part has a role, and so a pool, of its own.  What must happen may take
# as long as the machine likes, unless it is about "in time"; what must not
# happen is given several times the threshold.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use PoolerTest qw(log_after log_size logged pooler_connstr pooler_psql start_node wait_until worker_pid);
use PostgreSQL::Test::Utils;
use Socket qw(unpack_sockaddr_in);
use Test::More;
use Time::HiRes qw(time usleep);
use WireClient qw(m_bind m_execute m_parse m_query m_sync);

my $node = start_node('leaks', conf => <<~'END');
	max_connections = 80
	pooler.default_pool_size = 3
	pooler.max_client_conn = 500
	compute_query_id = on
	log_statement = none
	log_line_prefix = '%p [%u/%d/%a] '
	pooler.leak_idle_in_transaction = 0
	pooler.leak_pinned_idle = 0
	pooler.leak_pool_held = 0
	pooler.leak_connection_growth = 0
	END
my $admin = WireClient->new($node, port => $node->port);

for (qw(arm release))
{
	$admin->query(
		"CREATE FUNCTION debug_$_(text) RETURNS void AS 'pooler', 'pooler_debug_$_' LANGUAGE C STRICT");
}
$admin->query(
	"CREATE FUNCTION debug_waiting(text) RETURNS int AS 'pooler', 'pooler_debug_waiting' LANGUAGE C STRICT");
$admin->query('CREATE TABLE things (n int)');
$admin->query('INSERT INTO things VALUES (1), (2)');
$admin->query('GRANT ALL ON things TO public');

sub role
{
	my ($role, %settings) = @_;
	$admin->query("CREATE ROLE $role LOGIN");
	$admin->query("ALTER ROLE $role SET $_ = '$settings{$_}'") for sort keys %settings;
	return $role;
}

# By TCP, so that it has a port, and under a name.
sub client
{
	my ($role, %options) = @_;
	return WireClient->new($node, role => $role, from => '127.0.0.1',
		application_name => "app of $role", %options);
}

sub leak
{
	my ($role, $columns, $where) = @_;
	return $admin->value("SELECT $columns FROM pooler.leaks WHERE role = '$role'"
		  . ($where ? " AND $where" : ''));
}

sub is_leak
{
	my ($role, $columns, $wanted, $name, $where) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	ok($admin->until("SELECT $columns FROM pooler.leaks WHERE role = '$role'"
			  . ($where ? " AND $where" : ''), $wanted), $name)
	  or diag($admin->query("SELECT * FROM pooler.leaks"), "\n",
		$admin->query("SELECT * FROM pooler.clients WHERE role = '$role'"));
}

sub has_ended
{
	my ($role, $how, $name, $where) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	ok($admin->until("SELECT ended_by FROM pooler.leak_history WHERE role = '$role'"
			  . ($where ? " AND $where" : '') . ' ORDER BY ended_at DESC, id DESC LIMIT 1', $how), $name)
	  or diag($admin->query("SELECT * FROM pooler.leak_history WHERE role = '$role'"),
	  $admin->query("SELECT * FROM pooler.leaks"));
}

sub no_leak_of
{
	my ($role, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is($admin->value("SELECT count(*) FROM (SELECT id, role FROM pooler.leaks UNION ALL"
			  . " SELECT id, role FROM pooler.leak_history) AS l WHERE role = '$role'"),
		'0', $name);
}

# The pooler has looked at everything, twice, since now.
sub looked
{
	usleep(2_000_000);
}

sub stat_of
{
	my ($role, $column) = @_;
	return $admin->value("SELECT $column FROM pooler.stats WHERE role = '$role'");
}

sub port_of
{
	my ($client) = @_;
	return (unpack_sockaddr_in(getsockname($client->{sock})))[0];
}

sub waiting
{
	my ($role, $n) = @_;
	return $admin->until(
		"SELECT count(*) FROM pooler.clients WHERE role = '$role' AND state = 'waiting'", $n);
}

#----------------------------------------------------------------------------
# transactions
#----------------------------------------------------------------------------
{
	my $role = role('forgets', 'pooler.leak_idle_in_transaction' => '700ms');
	my $log = log_size($node);
	my $client = client($role);
	# the pooler may still be about to say that it has logged the client in
	$admin->until("SELECT count(*) FROM pooler.clients WHERE role = '$role'", 1);
	my $id = $admin->value("SELECT id FROM pooler.clients WHERE role = '$role'");

	$client->query('BEGIN');
	$client->query('UPDATE things SET n = n WHERE n = 1');
	my $begun = time;
	is($client->query('SELECT 11 AS eleven'), '11, SELECT 1, T', 'a client forgets to commit');
	is_leak($role, 'kind', 'idle_in_transaction', 'it is found');
	my $took = time - $begun;
	cmp_ok($took, '>=', 0.7, 'not before its threshold');
	cmp_ok($took, '<', 3, "soon after it ($took s)");
	is(leak($role, "extract(epoch FROM found_at - held_since) BETWEEN 0.7 AND 1.7"), 't',
		'within a second');
	is(leak($role, 'client_id'), $id, 'the right client');
	is(leak($role, 'pid'),
		$admin->value("SELECT pid FROM pg_stat_activity WHERE usename = '$role'"), 'its backend');
	is(leak($role, "concat_ws(' ', database, role, application_name, client_addr, client_port)"),
		"postgres forgets app of forgets 127.0.0.1 " . port_of($client), 'who it is');
	is(leak($role, 'first_query'), 'UPDATE things SET n = n WHERE n = 1', 'first query');
	is(leak($role, 'last_query'), 'SELECT 11 AS eleven', 'last query');
	is(leak($role, "query_id = (SELECT query_id FROM pg_stat_activity WHERE usename = 'forgets')"),
		't', 'its identifier');
	like(leak($role, 'holds'), qr/RowExclusiveLock on relation things\b/, 'lock by name');
	is(leak($role, 'threshold'), '0.7 s', 'threshold');
	is(leak($role, 'severity'), 'warning', 'severity');
	is(leak($role, 'clients_waiting'), '0', 'nobody waits');
	is(leak($role, 'blocked_pids IS NULL'), 't', 'nor for a lock');
	is(leak($role, 'held_for > found_at - held_since'), 't', 'it is held');
	is(leak($role, 'statement'),
		'SELECT pooler.end_leaks(id => ' . leak($role, 'id') . ');', 'the statement that ends it');
	is(stat_of($role, 'leaks_idle_in_transaction'), '1', 'it is counted');

	# somebody waits for its lock, others for the pool
	my $blocked = WireClient->new($node, port => $node->port);
	my $pid = $blocked->value('SELECT pg_backend_pid()');
	$blocked->put(m_query('UPDATE things SET n = n WHERE n = 1'));
	is_leak($role, 'blocked_pids', "{$pid}", 'who waits for its lock');
	# who comes next waits for the first one, and so because of the leak
	my $next = WireClient->new($node, port => $node->port);
	my $pids = join(',', sort { $a <=> $b } $pid, $next->value('SELECT pg_backend_pid()'));
	$next->put(m_query('UPDATE things SET n = n WHERE n = 1'));
	is_leak($role, 'blocked_pids', "{$pids}", 'and who waits behind it');
	my @others = map { client($role) } 1 .. 4;
	$_->put(m_query('SELECT pg_sleep(1000)')) for @others;
	waiting($role, '2');
	is_leak($role, 'clients_waiting', '2', 'how many clients wait');

	my $console = WireClient->new($node, database => 'pgbouncer');
	like($console->query('SHOW LEAKS'),
		qr/^\d+\|idle_in_transaction\|warning\|$id\|\d+\|postgres\|forgets\|app of forgets\|127\.0\.0\.1\|\d+\|\d+\|2\|SELECT 11 AS eleven, SHOW, I$/,
		'SHOW LEAKS');
	$console->quit;
	is($admin->value(q{SELECT concat_ws('|', severity, statement) FROM pooler.advice() WHERE what = 'leak idle_in_transaction'}),
		'warning|SELECT pooler.end_leaks(id => ' . leak($role, 'id') . ');', 'advice');

	# as the log has it
	my $text = log_after($node, $log);
	my @found = $text =~ /LOG:  client has been idle in a transaction/g;
	is(scalar @found, 1, 'it is logged once');
	like($text, qr{\[forgets/postgres/app of forgets\] LOG:  client has been idle in a transaction for \d\.\d s\n.*DETAIL:  Kind "idle_in_transaction", severity warning, since .*\n\tClient $id of database "postgres", role "forgets", application "app of forgets", at 127\.0\.0\.1:\d+\.\n\tBackend with process ID \d+\.\n\tLocks: .*RowExclusiveLock on relation \d+ of database \d+.*\n\tClients of the pool that wait: 0; processes that wait for its locks: 0\.\n\tFirst statement of the transaction: UPDATE things SET n = n WHERE n = 1\n\tLast statement: SELECT 11 AS eleven\n.*HINT:  To end it: SELECT pooler\.end_leaks\(id => \d+\);},
		'with all that is known');

	is($client->query('COMMIT'), 'COMMIT, I', 'the client commits');
	has_ended($role, 'given back', 'the leak has ended');
	like($_->reply, qr/UPDATE 1/, 'who was blocked goes on') for $blocked, $next;
	is($admin->value("SELECT count(*) FROM pooler.leaks WHERE role = '$role'"), '0', 'it is gone');
	# more than two if there was a look while backends were being started for the others
	is($admin->value("SELECT max_clients_waiting BETWEEN 2 AND 4 FROM pooler.leak_history WHERE role = '$role'"),
		't', 'the history knows who waited');
	is($admin->value("SELECT last_query FROM pooler.leak_history WHERE role = '$role'"),
		'SELECT 11 AS eleven', 'and the query');
	is($admin->value("SELECT leaks || ' ' || application_name || ' ' || query FROM pooler.leak_counts WHERE role = '$role'"),
		'1 app of forgets SELECT 11 AS eleven', 'counted by application and query');
	$_->cancel for @others[0 .. 1];
	$_->close for @others;
	$_->quit for $client, $blocked, $next;
}

# Works all the time, in a transaction that is not over: no kind but the one.
{
	my $role = role('lasts', 'pooler.leak_idle_in_transaction' => '500ms',
		'pooler.leak_transaction' => '1500ms');
	my $client = client($role);

	$client->put(m_query('SELECT pg_sleep(1000)'));
	is_leak($role, 'kind', 'transaction', 'a transaction that lasts is found');
	is(leak($role, 'last_query'), 'SELECT pg_sleep(1000)', 'with what it runs');
	$client->cancel;
	$client->reply;
	has_ended($role, 'given back', 'it has ended');
	is($admin->value("SELECT string_agg(kind, ' ') FROM pooler.leak_history WHERE role = '$role'"),
		'transaction', 'who works is not idle');

	# in the same block, after having been idle in it
	$client->query('BEGIN');
	usleep(200_000);
	$client->put(m_query('SELECT pg_sleep(1.2)'));
	$client->reply;
	$client->query('COMMIT');
	looked();
	is(stat_of($role, 'leaks_idle_in_transaction'), '0', 'neither in a block');
	$client->quit;
}

# Text of a database with another encoding is valid where it is shown.
{
	my $role = role('latin', 'pooler.leak_idle_in_transaction' => '500ms');

	$admin->query("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0");
	my $client = client($role, database => 'latin');
	$client->query('BEGIN');
	$client->query(qq{DECLARE "c\xfcrs" CURSOR FOR SELECT 1});
	is_leak($role, q{concat_ws(' ', kind, first_query, last_query)},
		join(' ', 'idle_in_transaction', ('DECLARE "c?rs" CURSOR FOR SELECT 1') x 2), 'other encodings');
	like(leak($role, 'holds'), qr/1 cursors: c\?rs/, 'in what it holds, too');
	$client->quit;
}

# A transaction that follows another without a break is one of its own.
{
	my $role = role('chains', 'pooler.leak_transaction' => '3s');
	my $client = client($role);

	for my $end ('COMMIT', 'ROLLBACK', 'failed')
	{
		$client->query('BEGIN');
		my $later = $admin->value('SELECT clock_timestamp()');
		$client->query('SELECT 1 / 0') if $end eq 'failed';
		$client->query($end eq 'failed' ? 'ROLLBACK AND CHAIN' : "$end AND CHAIN");
		is($admin->value("SELECT state, state_since > '$later' FROM pooler.backends WHERE role = '$role'"),
			'busy|t', "$end AND CHAIN");
		$client->query('COMMIT');
	}
	# but one that goes on is one
	$client->query('BEGIN');
	my $later = $admin->value('SELECT clock_timestamp()');
	$client->query('SAVEPOINT a');
	$client->query('SELECT 1 / 0');
	$client->query('ROLLBACK TO a');
	is($admin->value("SELECT state, state_since > '$later' FROM pooler.backends WHERE role = '$role'"),
		'busy|f', 'ROLLBACK TO SAVEPOINT');
	is_leak($role, 'kind', 'transaction', 'it is found');
	$client->quit;
}

# Backends that do not get the processor: their clients have done their part.
{
	my @roles = map { role("starves_$_", 'pooler.leak_idle_in_transaction' => '1s',
			'pooler.leak_pinned_idle' => '1s') } qw(block pinned no);
	my ($block, $pinned, $idle) = map { client($_) } @roles;
	my @pids;

	$block->query('BEGIN');
	push @pids, $block->value('SELECT pg_backend_pid()');
	$pinned->query('LISTEN x');
	push @pids, $pinned->value('SELECT pg_backend_pid()');
	kill 'STOP', @pids;
	$_->put(m_query('SELECT 1')) for $block, $pinned;
	$idle->query('BEGIN');
	is_leak($roles[2], 'kind', 'idle_in_transaction', 'who has sent nothing is idle');
	looked();
	no_leak_of($_, "not who has sent a command ($_)") for @roles[0, 1];
	kill 'CONT', @pids;
	$_->reply for $block, $pinned;
	$_->quit for $block, $pinned, $idle;
}

#----------------------------------------------------------------------------
# sessions and connections
#----------------------------------------------------------------------------
{
	my $role = role('pins', 'pooler.leak_pinned_idle' => '600ms');
	my $client = client($role);

	$client->query('CREATE TEMP TABLE mine AS SELECT generate_series(1, 1000)');
	is_leak($role, 'kind', 'pinned_idle', 'a session that keeps its backend is found');
	is(leak($role, 'severity'), 'info', 'nobody waits');
	like(leak($role, 'holds'), qr/^backend because of temporary objects;.*\d+ temporary objects, \d+ kB/,
		'what it holds');
	is(leak($role, 'last_query'), 'CREATE TEMP TABLE mine AS SELECT generate_series(1, 1000)',
		'last query');
	$client->query('SELECT 1');
	has_ended($role, 'given back', 'it is used again');
	$client->quit;
	$role = role('listens', 'pooler.leak_pinned_idle' => '600ms', 'pooler.default_pool_size' => 1);
	$client = client($role);
	$client->query('LISTEN news');
	is_leak($role, "kind || ' ' || severity", 'pinned_idle info', 'a listener is one, too');
	my $other = client($role);
	$other->put(m_query('SELECT 5'));
	is_leak($role, "severity || ' ' || clients_waiting", 'warning 1', 'it matters if others wait');
	$client->quit;
	has_ended($role, 'disconnected', 'the client has left');
	is($other->reply, '5, SELECT 1, I', 'the other one gets the backend');
	$other->quit;

	# pool_mode = session lets it
	$role = role('keeps', 'pooler.leak_pinned_idle' => '700ms', 'pooler.pool_mode' => 'session',
		'pooler.default_pool_size' => 1);
	$client = client($role);
	$client->query('SELECT 1');
	looked();
	no_leak_of($role, 'pool_mode = session is no leak');
	$other = client($role);
	my $asked = time;
	$other->put(m_query('SELECT 6'));
	is_leak($role, 'kind', 'pinned_idle', 'unless somebody waits');
	is(leak($role, "extract(epoch FROM found_at) - $asked >= 0.5"), 't', 'and not only for a moment');
	$client->quit;
	is($other->reply, '6, SELECT 1, I', 'who gets the backend then');
	$other->quit;

	$role = role('sleeps', 'pooler.leak_connection_idle' => '600ms');
	$client = client($role);
	$client->query('SELECT 1');
	is_leak($role, "kind || ' ' || severity", 'connection_idle info', 'an unused connection');
	$client->query('SELECT 1');
	has_ended($role, 'given back', 'that is used');
	$client->quit;
}

# An application whose connections only become more: some now, others more than
# ten seconds later.
my $grows = role('grows', 'pooler.leak_connection_growth' => '5');
my $warm = role('warm', 'pooler.leak_connection_growth' => '5');
my @grown = map { client($grows) } 1 .. 6;
my @warm = map { client($warm) } 1 .. 12;
my $grown_at = time;

#----------------------------------------------------------------------------
# a pool that is held
#----------------------------------------------------------------------------
{
	my $role = role('held', 'pooler.leak_pool_held' => '1s', 'pooler.default_pool_size' => 3,
		'pooler.leak_idle_in_transaction' => '800ms');
	my @clients = map { client($role) } 1 .. 3;
	my $log = log_size($node);

	$clients[0]->query('BEGIN');
	$clients[0]->query('SELECT 1 AS oldest');
	my $id = $admin->value("SELECT client_id FROM pooler.backends WHERE role = '$role' AND state = 'busy'");
	$clients[1]->query('LISTEN x');
	$clients[2]->query('BEGIN');
	looked();
	is(leak($role, "count(*)", "kind = 'pool_held'"), '0', 'all are held, but nobody waits');
	my @waiting = map { client($role) } 1 .. 2;
	my $asked = time;
	$_->put(m_query('SELECT 7')) for @waiting;
	is_leak($role, "severity || ' ' || clients_waiting || ' ' || client_id || ' ' || last_query",
		"critical 2 $id SELECT 1 AS oldest", 'a pool that is held', "kind = 'pool_held'");
	is(leak($role, "extract(epoch FROM found_at) - $asked >= 0.5", "kind = 'pool_held'"), 't',
		'as soon as it is clear that there is no backend to come');
	is_leak($role, "string_agg(DISTINCT severity, ',')", 'critical',
		'who holds it is critical, too', "kind = 'idle_in_transaction'");
	$clients[2]->query('COMMIT');
	is($_->reply, '7, SELECT 1, I', 'one is given back') for @waiting;
	has_ended($role, 'given back', 'it is held no longer', "kind = 'pool_held'");
	logged($node, $log, qr/LOG:  pool has run no command for \d+\.\d s while clients wait/, 'it was logged');

	# somebody works: not held
	$clients[2]->put(m_query('SELECT pg_sleep(3)'));
	$admin->until("SELECT count(*) FROM pg_stat_activity WHERE usename = '$role' AND wait_event = 'PgSleep'", '1');
	$waiting[0]->put(m_query('SELECT 8'));
	looked();
	is(leak($role, "count(*)", "kind = 'pool_held'"), '0', 'as long as somebody works, it is not held');
	$clients[2]->reply;
	$waiting[0]->reply;
	$_->quit for @clients, @waiting;
}

#----------------------------------------------------------------------------
# numbers that only grow
#----------------------------------------------------------------------------
{
	my $role = role('collects', 'pooler.leak_locks' => 10, 'pooler.leak_cursors' => 5,
		'pooler.leak_temp_objects' => 6, 'pooler.leak_prepared_statements' => 20);
	my $client = client($role);

	$client->query('SELECT pg_advisory_lock(n), pg_advisory_unlock(n) FROM generate_series(1, 50) AS n');
	for (1 .. 9)
	{
		$client->query("SELECT pg_advisory_lock($_)");
	}
	looked();
	no_leak_of($role, 'nine locks are few');
	$client->query('SELECT pg_advisory_lock(10)');
	is_leak($role, 'kind', 'locks', 'locks that only become more');
	like(leak($role, 'holds'), qr/session locks.*ExclusiveLock on advisory \[0,1,1\]/, 'what they are');
	$client->query('SELECT pg_advisory_unlock_all()');
	has_ended($role, 'given back', 'released');

	$client->query('BEGIN');
	$client->query("DECLARE c$_ CURSOR FOR SELECT 1") for 1 .. 5;
	is_leak($role, 'kind', 'cursors', 'cursors that only become more');
	like(leak($role, 'holds'), qr/5 cursors: .*c3/, 'with names');
	is(leak($role, 'first_query'), 'DECLARE c1 CURSOR FOR SELECT 1', 'first query');
	$client->query('COMMIT');
	has_ended($role, 'given back', 'closed');

	$client->query("CREATE TEMP TABLE t$_ (n int)") for 1 .. 6;
	is_leak($role, 'kind', 'temp_objects', 'temporary objects that only become more');
	$client->query('DISCARD ALL');
	has_ended($role, 'given back', 'dropped');

	$client->query("PREPARE s$_ AS SELECT $_") for 1 .. 20;
	is_leak($role, "kind || ' ' || holds", 'prepared_statements 20 prepared statements',
		'prepared statements that only become more');
	$client->query('DEALLOCATE ALL');
	has_ended($role, 'given back', 'deallocated');
	$client->quit;

	# without the backend on which it was found it keeps nobody waiting
	$role = role('moves_on', 'pooler.leak_prepared_statements' => 5, 'pooler.default_pool_size' => 1);
	$client = client($role);
	my ($other, $waits) = map { client($role) } 1 .. 2;
	$client->query('BEGIN');
	$client->query("PREPARE s$_ AS SELECT $_") for 1 .. 6;
	$client->query('COMMIT');
	$client->query('BEGIN');
	$client->query('SELECT 1');
	is_leak($role, "kind || ' ' || (pid IS NOT NULL)", 'prepared_statements true', 'with a backend');
	$other->put(m_query('BEGIN'));
	is_leak($role, "severity || ' ' || clients_waiting", 'warning 1', 'for which others wait');
	$client->query('COMMIT');
	$other->reply;
	$waits->put(m_query('SELECT 1'));
	waiting($role, 1);
	is_leak($role, "severity || ' ' || clients_waiting || ' ' || (pid IS NULL)", 'info 0 true',
		'and without it');
	$other->query('COMMIT');
	$waits->reply;
	$_->quit for $client, $other, $waits;
}

#----------------------------------------------------------------------------
# actions
#----------------------------------------------------------------------------
my %ended = (
	idle_in_transaction => '25P03: terminating connection because it was idle in a transaction for too long',
	transaction => '25P04: terminating connection because its transaction was open for too long',
	pinned_idle => '57P05: terminating connection because its session kept a backend without using it',
	connection_idle => '57P05: terminating connection because it was not used for too long',
	locks => '57P05: terminating connection because its session has taken too many advisory locks and released none',
	cursors => '57P05: terminating connection because its session has opened too many cursors and closed none',
	temp_objects => '57P05: terminating connection because its session has created too many temporary objects and dropped none',
	prepared_statements => '57P05: terminating connection because its session has prepared too many statements and deallocated none');
my %does = (
	idle_in_transaction => [ 'BEGIN', 'SELECT 1' ],
	transaction => [ 'BEGIN', 'SELECT 1' ],
	pinned_idle => [ 'LISTEN x' ],
	connection_idle => [ 'SELECT 1' ],
	locks => [ 'SELECT pg_advisory_lock(1)', 'SELECT pg_advisory_lock(2)' ],
	cursors => [ 'BEGIN', 'DECLARE a CURSOR FOR SELECT 1', 'DECLARE b CURSOR FOR SELECT 1' ],
	temp_objects => [ 'CREATE TEMP SEQUENCE a', 'CREATE TEMP SEQUENCE b' ],
	prepared_statements => [ 'PREPARE a AS SELECT 1', 'PREPARE b AS SELECT 2' ]);

# what the client is told
sub told
{
	my ($kind, $limit, $message) = @_;
	return ($message // "FATAL $ended{$kind}")
	  . qq( DETAIL: It is a leak of the kind "$kind": pooler.leak_$kind is $limit.);
}

for my $kind (sort keys %does)
{
	my $limit = $kind =~ /idle|transaction/ ? '500ms' : 2;
	my $role = role("ends_$kind", "pooler.leak_$kind" => $limit,
		'pooler.leak_action' => "log, $kind = terminate");
	my $log = log_size($node);
	my $client = client($role);

	$client->query($_) for @{ $does{$kind} };
	my $said = $limit eq '500ms' ? '0.5 s' : $limit;
	is($client->reply, told($kind, $said) . ', eof', "$kind is terminated, and told why");
	has_ended($role, 'terminated', 'the history says so');
	is(stat_of($role, 'leaks_ended_by_action'), '1', 'it is counted');
	logged($node, $log, qr/DETAIL:  It is a leak of the kind "$kind": pooler\.leak_$kind is \Q$said\E\./,
		'so does the log');
	$client->close;
}

# the command that runs
{
	my $role = role('cancels', 'pooler.leak_transaction' => '500ms',
		'pooler.leak_action' => 'cancel', 'pooler.leak_idle_in_transaction' => '500ms');
	my $client = client($role);

	my $canceled = told('transaction', '0.5 s',
		'ERROR 57014: canceling statement because its transaction was open for too long');
	is($client->query('SELECT pg_sleep(1000)'), "$canceled, I",
		'a command is canceled');
	has_ended($role, 'canceled', 'the history says so');
	is($client->query('BEGIN'), 'BEGIN, T', 'in a block');
	is_leak($role, "string_agg(kind, ' ' ORDER BY kind)", 'idle_in_transaction transaction',
		'where nothing runs, nothing is canceled');
	is($client->query('SELECT pg_sleep(1000)'), "$canceled, E",
		'but as soon as something does');
	is($client->query('ROLLBACK'), 'ROLLBACK, I', 'the client goes on');
	has_ended($role, 'canceled', 'the history says so', "kind = 'transaction'");
	is($client->query('SELECT 9'), '9, SELECT 1, I', 'with the same connection');
	$client->quit;
}

# a pool that is held: the one that has held it longest
{
	my $role = role('frees', 'pooler.leak_pool_held' => '700ms', 'pooler.default_pool_size' => 2,
		'pooler.leak_action' => 'pool_held = terminate');
	my ($first, $second, $third) = map { client($role) } 1 .. 3;

	$first->query('LISTEN x');
	$second->query('BEGIN');
	$second->query('SELECT 1');
	is($third->query('SELECT 10'), '10, SELECT 1, I', 'who waits gets a backend');
	is($first->reply,
		told('pool_held', '0.7 s',
			'FATAL 57P05: terminating connection because it held a backend idly while clients waited for one') . ', eof',
		'of the one that has held it longest');
	is($second->query('COMMIT'), 'COMMIT, I', 'the other one keeps his');
	has_ended($role, 'terminated', 'the history says so');
	$_->quit for $second, $third;
}

# The client commits after it has been decided that its end is demanded, and
# before its backend, which does not get the processor, has heard of either.
for my $how ('pooler.leak_idle_in_transaction', 'pooler.idle_transaction_timeout')
{
	my $role = role($how =~ s/.*\./late_/r, $how => '600ms',
		'pooler.leak_action' => 'idle_in_transaction = terminate');
	my $client = client($role);

	$client->query('BEGIN');
	my $pid = $client->value('SELECT pg_backend_pid()');
	kill 'STOP', $pid;
	looked();
	$client->put(m_query('COMMIT'));
	kill 'CONT', $pid;
	is($client->reply, 'COMMIT, I', "$how: who has sent its command in time is not ended");
	$client->quit;
}

# The client commits just when its end is decided: it is not hit, and neither
# is what it does next.
for my $next ('COMMIT', 'SELECT 12')
{
	my $role = role($next eq 'COMMIT' ? 'race_commit' : 'race_select',
		'pooler.leak_idle_in_transaction' => '600ms',
		'pooler.leak_action' => 'idle_in_transaction = terminate');
	my $client = client($role);

	$admin->query(q{SELECT debug_arm('cancelling')});
	$client->query('BEGIN');
	$client->query('SELECT 1');
	ok($admin->until(q{SELECT debug_waiting('cancelling') > 0}, 't'),
		"the pooler is about to terminate it, when it sends $next");
	$client->put(m_query($next));
	ok(wait_until('the command has come', sub {
				$admin->value("SELECT count(*) FROM pg_stat_activity WHERE usename = '$role' AND state <> 'idle in transaction' OR usename = '$role' AND query = '$next'") ne '0';
			}), 'its backend has it');
	$admin->query(q{SELECT debug_release('cancelling')});
	my $reply = $client->reply;
	is($reply, $next eq 'COMMIT' ? 'COMMIT, I' : '12, SELECT 1, T', 'it is served');
	is($client->query('COMMIT'), 'COMMIT, I', 'and goes on') if $next ne 'COMMIT';
	has_ended($role, 'given back', 'the leak has ended by itself');
	is(stat_of($role, 'leaks_ended_by_action'), '0', 'nothing is counted');
	is($client->query('SELECT 13'), '13, SELECT 1, I', 'the connection goes on');
	$client->quit;
}

#----------------------------------------------------------------------------
# end_leaks()
#----------------------------------------------------------------------------
{
	my @roles = map { role("ender$_", 'pooler.leak_idle_in_transaction' => '300ms') } 1 .. 2;
	my $begin = sub {
		my ($role, $sql, %options) = @_;
		my $client = client($role, %options);
		$client->query('BEGIN');
		$client->query($sql);
		$admin->until("SELECT count(*) FROM pooler.leaks WHERE role = '$role' AND last_query = '$sql'", '1');
		return $client;
	};
	my $fatal = told('idle_in_transaction', '0.3 s') . ', eof';
	my $one = $begin->($roles[0], 'SELECT 21');
	my $two = $begin->($roles[1], 'SELECT 22, 22');
	my $id = leak($roles[0], 'id');

	is($admin->query('SELECT pooler.end_leaks()'),
		q{ERROR 22023: pooler.end_leaks() needs at least one argument HINT: To end all leaks, call pooler.end_leaks(held_for => '0')., I}, 'an argument is needed');
	is($admin->query(q{SELECT pooler.end_leaks(kind => 'nonsense')}),
		'ERROR 22023: unrecognized kind of leak: "nonsense" HINT: The view pooler.leaks shows kinds., I', 'and one that makes sense');
	is($admin->query("SELECT leak, leak_kind, client_role FROM pooler.end_leaks(id => $id)"),
		"$id|idle_in_transaction|ender1, SELECT 1, I", 'by id');
	is($one->reply, $fatal, 'the client is told');
	has_ended($roles[0], 'end_leaks', 'the history says so');
	is(stat_of($roles[0], 'leaks_ended_by_request'), '1', 'it is counted');
	is($admin->query("SELECT count(*) FROM pooler.end_leaks(id => $id)"), '0, SELECT 1, I',
		'it is over');
	is($two->query('SELECT 1'), '1, SELECT 1, T', 'the other client is still there');

	my %filter = (
		kind => [ q{'idle_in_transaction'}, q{'transaction'} ],
		database => [ q{'postgres'}, q{'template1'} ],
		role => [ q{'ender1'}, q{'ender3'} ],
		application_name => [ q{'app of ender1'}, q{'app of ender3'} ],
		held_for => [ q{'0'}, q{'1 hour'} ],
		query_id => [ undef, '12345' ]);
	$two->quit;
	for my $name (sort keys %filter)
	{
		my ($match, $other) = @{ $filter{$name} };
		my $client = $begin->($roles[0], 'SELECT 23');

		$match //= leak($roles[0], 'query_id');
		is($admin->value("SELECT count(*) FROM pooler.end_leaks(role => 'ender1', $name => $other)"),
			'0', "$name: another one's") if $name ne 'role';
		is($admin->value("SELECT count(*) FROM pooler.end_leaks(id => "
				  . leak($roles[0], 'id') . ", $name => $match)"), '1', "by $name");
		is($client->reply, $fatal, 'the client is told');
		$client->close;
	}

	# pinned, idle, and several at once
	my $role = role('ender3', 'pooler.leak_pinned_idle' => '300ms',
		'pooler.leak_connection_idle' => '300ms');
	my ($pinned, $idle) = map { client($role) } 1 .. 2;
	$pinned->query('LISTEN x');
	$idle->query('SELECT 1');
	is_leak($role, "string_agg(kind, ' ' ORDER BY kind, id)", 'connection_idle connection_idle pinned_idle',
		'two clients with three leaks');
	is($admin->value("SELECT count(*) FROM pooler.end_leaks(role => '$role')"), '2',
		'both are ended, each once')
	  or diag($admin->query("SELECT * FROM pooler.leak_history WHERE role = '$role'"));
	like($pinned->reply, qr/^FATAL 57P05: .*, eof$/, 'the pinned one');
	like($idle->reply, qr/^FATAL 57P05: .*, eof$/, 'the idle one');

	# who has used its connection meanwhile is left alone: the leak is over
	my $client = $begin->($roles[0], 'SELECT 24');
	$id = leak($roles[0], 'id');
	$client->query('SELECT 25');
	is($admin->value("SELECT count(*) FROM pooler.end_leaks(id => $id)"), '0', 'it is no leak any more');
	is($client->query('COMMIT'), 'COMMIT, I', 'the client goes on');
	$client->quit;

	# rights
	$admin->query('CREATE ROLE watcher LOGIN IN ROLE pg_monitor');
	my $watcher = WireClient->new($node, role => 'watcher', port => $node->port);
	like($watcher->query('SELECT count(*) FROM pooler.leaks'), qr/SELECT 1/, 'members of pg_monitor may look');
	is($watcher->query('SELECT pooler.end_leaks(id => 1)'),
		'ERROR 42501: permission denied for function end_leaks, I', 'but not end leaks');
	$watcher->quit;
	my $nobody = WireClient->new($node, role => $roles[0], port => $node->port);
	like($nobody->query('SELECT count(*) FROM pooler.leaks'), qr/^ERROR 42501/, 'others may not look');
	$nobody->quit;
}

#----------------------------------------------------------------------------
# what only grows: the connections from above
#----------------------------------------------------------------------------
{
	no_leak_of($_, "$_: connections that were opened at once are none") for $grows, $warm;
	my $left = 11 - (time - $grown_at);
	usleep($left * 1_000_000) if $left > 0;

	# those of the sound one are used, or it closes one
	$_->query('SELECT 1') for @warm[0 .. 8];
	push @grown, client($grows);
	push @warm, client($warm);
	is_leak($grows, "kind || ' ' || holds", 'connection_growth 6 unused connections',
		'an application that forgets its connections');
	is(leak($grows, "concat_ws(' ', client_id, pid, client_port, client_addr, application_name)"),
		'127.0.0.1 app of grows', 'who they are');
	no_leak_of($warm, 'one that uses them is none');
	is($admin->value("SELECT count(*) FROM pooler.end_leaks(role => '$grows')"), '1', 'it is ended');
	is($_->reply, told('connection_growth', 5,
			'FATAL 57P05: terminating connection because it is one of too many that are not used') . ', eof',
		'an unused connection') for @grown[0 .. 5];
	is($grown[6]->query('SELECT 1'), '1, SELECT 1, I', 'the last one is used');
	has_ended($grows, 'end_leaks', 'the history says so');
	$_->close for @grown;
	$_->quit for @warm;
}

#----------------------------------------------------------------------------
# reload, reset, restart of the pooler
#----------------------------------------------------------------------------
{
	my $role = role('plain');
	my $client = client($role);
	my $reload = sub {
		my ($value) = @_;
		$admin->query("ALTER SYSTEM SET pooler.leak_idle_in_transaction = '$value'");
		$admin->query('SELECT pg_reload_conf()');
	};

	$client->query('BEGIN');
	looked();
	no_leak_of($role, 'without a threshold there is no leak');
	$reload->('500ms');
	is_leak($role, 'kind', 'idle_in_transaction', 'a threshold of the server');
	$reload->('1h');
	has_ended($role, 'threshold', 'it is below another threshold');
	$reload->('500ms');
	is_leak($role, 'kind', 'idle_in_transaction', 'and above it again');
	$admin->query('SELECT pooler.reset_stats()');
	is($admin->value('SELECT count(*) FROM pooler.leak_history'), '0', 'the history is reset');
	is($admin->value('SELECT count(*) FROM pooler.leak_counts'), '0', 'so are the counts');
	is_leak($role, 'kind', 'idle_in_transaction', 'the leak is still there');

	my $id = leak($role, 'id');
	my $pid = worker_pid($node);
	my $log = log_size($node);
	kill 'TERM', $pid;
	ok($admin->until("SELECT pid <> $pid FROM pooler.status", 't'), 'the pooler is started again');
	looked();
	is(leak($role, 'id'), $id, 'the leak survives it');
	unlike(log_after($node, $log), qr/client has been idle in a transaction/, 'and is not logged again');
	$client->put(m_query('COMMIT'));
	like($client->reply, qr/^COMMIT/, 'the client commits');
	has_ended($role, 'disconnected', 'and leaves with its pooler');
	$client->close;

	# that of a client which only its backend has any more can be ended, too
	PoolerTest::wait_for_pooler($node);
	$client = client($role);
	$client->query('BEGIN');
	is_leak($role, 'kind', 'idle_in_transaction', 'another one');
	$pid = worker_pid($node);
	kill 'TERM', $pid;
	ok($admin->until("SELECT pid <> $pid FROM pooler.status", 't'), 'and another pooler');
	is($admin->value("SELECT leak_kind FROM pooler.end_leaks(role => '$role')"),
		'idle_in_transaction', 'end_leaks() says what it has ended');
	has_ended($role, 'end_leaks', 'and so does the history');
	like($client->reply, qr/^FATAL $ended{idle_in_transaction}/, 'as the client is told');
	$client->close;
	$reload->('0');
}

#----------------------------------------------------------------------------
# more than fit
#----------------------------------------------------------------------------
{
	PoolerTest::wait_for_pooler($node);
	my $role = role('many', 'pooler.leak_connection_idle' => '300ms');
	my $log = log_size($node);
	my @many = map { client($role) } 1 .. 140;

	is_leak($role, 'count(*)', '128', 'so many are kept');
	ok($admin->until("SELECT leaks_connection_idle FROM pooler.stats WHERE role = '$role'", '140'),
		'all are counted');
	logged($node, $log, qr/there are more leaks than the pooler can keep/, 'it is logged that there are more');
	looked();
	is(stat_of($role, 'leaks_connection_idle'), '140', 'each once');
	$_->quit for @many[0 .. 19];
	is_leak($role, 'count(*)', '120', 'others take their places');
	is(stat_of($role, 'leaks_connection_idle'), '140', 'and are not counted again');
	$_->quit for @many[20 .. 139];
	is_leak($role, 'count(*)', '0', 'none is left');
}

#----------------------------------------------------------------------------
# sound programs
#----------------------------------------------------------------------------
{
	my $role = role('sound', 'pooler.leak_idle_in_transaction' => '1s',
		'pooler.leak_transaction' => '5s', 'pooler.leak_pool_held' => '1s',
		'pooler.leak_connection_idle' => '20s', 'pooler.leak_connection_growth' => 10,
		'pooler.leak_pinned_idle' => '1s', 'pooler.leak_prepared_statements' => 50,
		'pooler.leak_locks' => 5, 'pooler.leak_cursors' => 5, 'pooler.leak_temp_objects' => 10);
	# (not "prepared": its threads wait for one client's PREPARE while another
	# of their clients is in a transaction, which is a leak indeed)
	my $script = PostgreSQL::Test::Utils::tempdir() . '/sound.sql';

	PostgreSQL::Test::Utils::append_to_file($script, <<~'END');
		BEGIN;
		SELECT pg_advisory_lock(1000 + :client_id);
		DECLARE c CURSOR FOR SELECT * FROM things;
		FETCH c;
		SELECT pg_advisory_unlock(1000 + :client_id);
		COMMIT;
		END
	$node->command_ok(
		[ 'pgbench', '-n', '-c', 30, '-j', 2, '-T', 8, '-M', 'extended', '-f', $script,
			'-h', $node->host, '-p', PoolerTest::pooler_port($node), '-U', $role, 'postgres' ],
		'a sound program under load');
	no_leak_of($role, 'never shows up');
}

ok($admin->until('SELECT count(*) FROM pooler.leaks', '0'), 'at the end there is no leak');
$admin->quit;
$node->stop;

done_testing();
