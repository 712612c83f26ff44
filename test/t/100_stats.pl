# What is counted and measured: under a load that is known to the last byte the
# numbers are exact, they add up, and nothing is lost when a backend, a client
# or the pooler goes.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use PoolerTest qw(becomes pooler_psql start_node wait_for_pooler wait_until worker_pid);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use RawClient;
use Test::More;
use WireClient qw(m_bind m_execute m_flush m_parse m_query m_sync m_terminate);

my $node = start_node('stats',
	conf => qq(
pooler.default_pool_size = 2
pooler.client_login_timeout = 0
password_encryption = 'scram-sha-256'
),
	hba => qq(
local	all	all	trust
host	all	nobody_here	127.0.0.1/32	scram-sha-256
host	all	secretive	127.0.0.1/32	scram-sha-256
host	all	rejected	127.0.0.1/32	reject
host	postgres,other,closed,nowhere	all	127.0.0.1/32	trust
));

$node->safe_psql('postgres', q{
	CREATE ROLE secretive LOGIN PASSWORD 'right';
	CREATE ROLE rejected LOGIN;
	CREATE ROLE stays_out NOLOGIN;
	CREATE DATABASE other;
	CREATE DATABASE closed;
	REVOKE CONNECT ON DATABASE closed FROM PUBLIC});

sub sql { return $node->safe_psql('postgres', $_[0]) }

# A role of its own for each part, so that its pool is its own, too.
sub new_role
{
	my ($role, $size) = @_;
	sql("CREATE ROLE $role LOGIN");
	sql("ALTER ROLE $role SET pooler.default_pool_size = $size") if $size;
	return $role;
}

sub client
{
	my ($role, %options) = @_;
	return WireClient->new($node, role => $role, %options);
}

# Some columns of pooler.stats, of the pools of a role.
sub stats
{
	my ($role, @columns) = @_;
	return sql('SELECT ' . join(', ', @columns)
		  . " FROM pooler.stats WHERE role = '$role'");
}

sub gone
{
	my ($role) = @_;
	becomes($node, "SELECT count(*) FROM pooler.clients WHERE role = '$role'",
		'0', "the clients of $role have gone");
}

#----------------------------------------------------------------------------
# transactions, commands, messages
#----------------------------------------------------------------------------
{
	my $role = new_role('exact', 1);
	my $a = client($role);
	my $b = client($role);

	is($a->query('SELECT 1'), '1, SELECT 1, I', 'one command');
	is($a->query('SELECT 1; SELECT 2'), '1, SELECT 1, 2, SELECT 1, I', 'two at a time');
	is($a->query($_), $_ . ', T') for ('BEGIN');
	is($a->query('SELECT 3'), '3, SELECT 1, T', 'in a block');
	is($a->query('COMMIT'), 'COMMIT, I', 'its end');
	like($a->query('SELECT 1/0'), qr/^ERROR 22012/, 'an error');
	is($a->query(''), 'empty, I', 'nothing');
	# 5 transactions, 7 commands: SELECT, 2, BEGIN, SELECT, COMMIT, empty

	$a->put(m_parse('SELECT $1::int', 's1'), m_bind('s1', [7]), m_execute(), m_sync());
	is($a->reply, 'parsed, bound, 7, SELECT 1, I', 'a prepared statement');
	$a->put(m_bind('s1', [8]), m_execute(), m_bind('s1', [9]), m_execute(), m_sync());
	is($a->reply, 'bound, 8, SELECT 1, bound, 9, SELECT 1, I', 'twice in a batch');

	becomes($node, "SELECT transactions, queries, errors, parses, binds, logins
		FROM pooler.stats WHERE role = '$role'", '7|10|1|1|3|2', 'as many as there were');

	# the other client has to be handed over, and prepares the same
	$b->put(m_parse('SELECT $1::int', 's1'), m_sync());
	is($b->reply, 'parsed, I', 'the same statement, by another client');
	$b->put(m_parse('SELECT $1::text', 's2'), m_sync());
	is($b->reply, 'parsed, I', 'another one');
	is($b->query('PREPARE s3 AS SELECT 5'), 'PREPARE, I', 'one by SQL');
	is($a->query('SELECT 1'), '1, SELECT 1, I', 'and the first one again');
	becomes($node, "SELECT parses, binds, statements_new, statements_shared, restores > 0
		FROM pooler.stats WHERE role = '$role'", '3|3|3|1|t', 'statements parsed and shared');
	is(sql(qq{
		SELECT p.query, p.parameter_types, p.from_sql, p.holders > 0, p.memory > 0, p.database
		FROM pooler.prepared_statements AS p
		ORDER BY query COLLATE "C"}),
		"PREPARE s3 AS SELECT 5|{}|t|t|t|postgres\n"
		  . "SELECT \$1::int|{integer}|f|t|t|postgres\n"
		  . "SELECT \$1::text|{text}|f|t|t|postgres",
		'the statements');
	like($node->safe_psql('other', 'CREATE EXTENSION pooler;
			SELECT count(*), count(parameter_types) FROM pooler.prepared_statements'),
		qr/^3\|0$/, 'types of another database are not known');

	is(stats($role, 'handovers + lingered = transactions'), 't',
		'each transaction began with a hand-over, or found its client there');
	$_->quit for ($a, $b);
	gone($role);
	is(sql('SELECT bool_and(holders = 0) FROM pooler.prepared_statements'), 't',
		'nobody holds the statements any more');
}

#----------------------------------------------------------------------------
# time
#----------------------------------------------------------------------------

# Time passes, by the server's clock.
sub let_pass { sql("SELECT pg_sleep($_[0])") }

{
	my $role = new_role('timed', 1);
	my $a = client($role);

	$a->query('SELECT 1');
	is($a->query('BEGIN; SELECT 1'), 'BEGIN, 1, SELECT 1, T', 'a block');
	let_pass(0.4);
	$a->put(m_parse('SELECT pg_sleep(0.2)'), m_bind(), m_execute(), m_sync());
	is($a->reply, 'parsed, bound, , SELECT 1, T', 'works for a while');
	let_pass(0.4);
	is($a->query('COMMIT'), 'COMMIT, I', 'and ends');
	becomes($node, "SELECT transactions FROM pooler.stats WHERE role = '$role'", '2', 'two transactions');
	is(stats($role, "transaction_time >= '1 s'",
			"query_time BETWEEN '0.2 s' AND transaction_time - interval '0.8 s'"),
		't|t', 'time idle in a transaction is not time of queries');
	is(sql("SELECT count, p50 < '0.5 s', p99 = max, max >= '1 s', max <= sum
			FROM pooler.latency AS l, LATERAL (SELECT transaction_time AS sum
				FROM pooler.stats AS s WHERE s.role = l.role) AS s
			WHERE level = 'pool' AND role = '$role' AND kind = 'transaction'"),
		'2|t|t|t|t', 'percentiles of transactions');
	$a->quit;
}

# Ten short ones and one long: percentiles tell them apart.
{
	my $role = new_role('waiting', 1);
	my $holder = client($role);
	my @others = map { client($role) } 1 .. 3;

	for my $round (1, 2)
	{
		$holder->query('BEGIN');
		$_->put(m_query('SELECT 1')) for @others;
		becomes($node, "SELECT count(*) FROM pooler.waits WHERE role = '$role'", '3', 'three wait');
		let_pass(0.3) if $round == 2;
		$holder->query('COMMIT');
		is($_->reply, '1, SELECT 1, I', 'served') for @others;
	}
	becomes($node, "SELECT sum(transactions) FROM pooler.backends WHERE role = '$role'",
		'8', 'all transactions have ended');
	is(sql("SELECT l.count = s.waits, s.waits >= 6, l.p90 >= '0.3 s', l.p99 <= l.max,
				l.max = s.max_wait_time, l.p50 <= l.p90, l.p90 <= l.p95,
				l.avg BETWEEN s.wait_time / s.waits - interval '1 us' AND s.wait_time / s.waits
			FROM pooler.latency AS l JOIN pooler.stats AS s USING (dbid, roleid)
			WHERE l.level = 'pool' AND l.role = '$role' AND l.kind = 'wait'"),
		't|t|t|t|t|t|t|t', 'percentiles of waits');
	$_->quit for ($holder, @others);
}

# Who waits in vain has waited, too.
{
	my $role = new_role('vain', 1);
	my $holder = client($role);
	my $other = client($role, application_name => 'in vain');

	sql("ALTER ROLE $role SET pooler.query_wait_timeout = '300ms'");
	$holder->query('SELECT 1');
	$holder->query('BEGIN');
	my $before = stats($role, 'waits');
	$other->put(m_query('SELECT 1'));
	like($other->reply, qr/^FATAL 53300: .*, eof$/, 'query_wait_timeout');
	is(stats($role, "waits - $before", 'wait_timeouts', "max_wait_time >= '0.3 s'"),
		'1|1|t', 'is a wait, and the longest');
	is(sql("SELECT max >= '0.3 s' FROM pooler.latency
			WHERE level = 'pool' AND role = '$role' AND kind = 'wait'"), 't', 'among the percentiles');
	$holder->quit;
}

#----------------------------------------------------------------------------
# bytes
#----------------------------------------------------------------------------

# A client that counts what it sends and gets.
{
	my $role = new_role('bytes', 1);
	my $client = RawClient->open($node, from => '127.0.0.1');
	my ($sent, $got) = (0, 0);
	my $put = sub { $client->send_raw($_[0]); $sent += length $_[0] };
	my $get = sub {
		my $buf = '';
		while (substr($buf, -6, 5) ne "Z\0\0\0\5")
		{
			sysread($client->{sock}, $buf, 1 << 16, length $buf) or die "closed: $!";
		}
		$got += length $buf;
	};

	$put->(RawClient::startup_packet(role => $role));
	$get->();
	$put->(m_query(q{SELECT repeat('x', 100000)}));
	$get->();
	$put->(m_query('SELECT 1 -- ' . 'y' x 70000));
	$get->();
	becomes($node, "SELECT bytes_received, bytes_sent FROM pooler.clients WHERE role = '$role'",
		"$sent|$got", 'bytes of a client that is connected');
	is(stats($role, 'bytes_received', 'bytes_sent'), "$sent|$got", 'and of its pool');
	$put->(m_query('SELECT 2'));
	$get->();
	$put->(m_terminate());
	close($client->{sock});
	gone($role);
	is(stats($role, 'bytes_received', 'bytes_sent'), "$sent|$got",
		'to the last byte, once it has gone');

	my $local = client($role);
	$local->query('SELECT 1');
	is(sql("SELECT bytes_received IS NULL, bytes_sent IS NULL FROM pooler.clients WHERE role = '$role'"),
		't|t', 'not known of a Unix socket');
	$local->quit;
	gone($role);
	is(stats($role, 'bytes_received'), $sent, 'and not counted');
}

#----------------------------------------------------------------------------
# logins
#----------------------------------------------------------------------------

# connections = logins + console_logins + replication_logins + failed_logins + abandoned_logins + cancel_requests
sub settled
{
	my ($name) = @_;
	becomes($node, q{
		SELECT connections - logins - console_logins - replication_logins - failed_logins - abandoned_logins - cancel_requests -
			   (SELECT count(*) FROM pooler.clients WHERE state = 'login')
		FROM pooler.status}, '0', $name);
}

sub failures
{
	return sql('SELECT ' . join(', ', map { "sum($_)" } qw(failed_logins authentication rule
			not_permitted_role not_permitted_database too_many timeout protocol other))
		  . ' FROM pooler.logins');
}

settled('connections add up');
{
	my @before = split /\|/, failures();
	my $expect = sub {
		my ($name, %more) = @_;
		my @names = qw(all authentication rule role database limit timeout protocol other);
		$before[$_] += $more{ $names[$_] } // 0 for 1 .. $#names;
		$before[0] += 1;
		ok(wait_until($name, sub { failures() eq join('|', @before) }), $name)
		  or diag(failures() . ' instead of ' . join('|', @before));
	};
	my $try = sub {
		my %options = @_;
		my $from = delete $options{from} // '127.0.0.1';
		return RawClient->open($node, from => $from)->login(%options);
	};

	like($try->(role => 'rejected'), qr/^FATAL 28000/, 'rejected');
	$expect->('by pg_hba.conf', rule => 1);
	like($try->(role => 'exact', database => 'unruled'), qr/^FATAL 28000/, 'no rule');
	$expect->('by the lack of a rule', rule => 1);
	my ($rc) = pooler_psql($node, 'SELECT 1', host => '127.0.0.1', role => 'secretive', password => 'wrong');
	isnt($rc, 0, 'a wrong password');
	$expect->('because of a wrong password', authentication => 1);
	($rc) = pooler_psql($node, 'SELECT 1', host => '127.0.0.1', role => 'nobody_here', password => 'any');
	isnt($rc, 0, 'a password of nobody');
	$expect->('which looks the same', authentication => 1);
	like($try->(role => 'who_is_this'), qr/^FATAL 28000/, 'no such role');
	$expect->('without a role', role => 1);
	like($try->(role => 'stays_out'), qr/^FATAL 28000/, 'NOLOGIN');
	$expect->('with a role that may not', role => 1);
	like($try->(role => 'exact', database => 'nowhere'), qr/^FATAL 3D000/, 'no such database');
	$expect->('without a database', database => 1);
	like($try->(role => 'exact', database => 'closed'), qr/^FATAL 42501/, 'no CONNECT');
	$expect->('with a database that it may not enter', database => 1);
	like($try->(role => 'exact', protocol => 2 << 16), qr/^(closed|FATAL 0A000)/, 'protocol 2');
	$expect->('in another protocol', protocol => 1);
	like($try->(role => 'exact', work_mem => 'much'), qr/^FATAL 22023/, 'a setting that is none');
	$expect->('with a bad setting', other => 1);

	# for whom it was meant, where that is a pool
	my $named = client('secretive');
	($rc) = pooler_psql($node, 'SELECT 1', host => '127.0.0.1', role => 'secretive', password => 'wrong');
	$expect->('a wrong password again', authentication => 1);
	is(sql(q{SELECT logins, failed_logins, authentication, delegated_logins, p50 > '0', max >= p95
			 FROM pooler.logins WHERE role = 'secretive'}), '1|1|1|0|t|t', 'counted for its pool');
	is(sql(q{SELECT failed_logins > 0 FROM pooler.logins WHERE role IS NULL}), 't', 'others by themselves');
	$named->quit;

	# who leaves has not failed
	my $abandoned = sql('SELECT abandoned_logins FROM pooler.status');
	RawClient->open($node, from => '127.0.0.1')->close;
	ok(wait_until('it is noticed', sub {
			sql('SELECT abandoned_logins FROM pooler.status') == $abandoned + 1 }), 'a login that was given up');
	is(failures(), join('|', @before), 'is no failure');
	my $cancels = sql('SELECT cancel_requests FROM pooler.status');
	my $request = RawClient->open($node, from => '127.0.0.1');
	$request->send_raw(pack('NNNN', 16, 80877102, 12345, 67890));
	ok(wait_until('it is noticed', sub {
			sql('SELECT cancel_requests FROM pooler.status') == $cancels + 1 }), 'a cancel request');
	settled('connections add up, failures included');
}

#----------------------------------------------------------------------------
# pins
#----------------------------------------------------------------------------
{
	my $role = new_role('pinned', 4);
	my $a = client($role, application_name => 'pinning');

	$a->query('CREATE TEMP TABLE t (x int)');
	$a->query('SELECT 1');
	becomes($node, "SELECT pin_reason, application_name, idle_for IS NOT NULL, pinned_for >= idle_for
		FROM pooler.pins WHERE role = '$role'", 'temporary objects|pinning|t|t', 'who is pinned, and why');
	is(sql("SELECT clients, longest > '0', pins FROM pooler.pin_reasons
			WHERE pin_reason = 'temporary objects'"), '1|t|1', 'by reason');
	is(sql(q{SELECT count(*), sum(clients) FROM pooler.pin_reasons}), '10|1', 'all reasons');
	$a->query('DROP TABLE t');
	$a->query('SELECT pg_advisory_lock(1)');
	$a->query('SELECT pg_advisory_unlock(1)');
	$a->query('LISTEN x');
	$a->query('CREATE TEMP TABLE t (x int)');
	$a->query('UNLISTEN x');
	$a->query('DROP TABLE t');
	$a->query('SELECT 1');
	is(stats($role, 'pins_temp, pins_locks, pins_listen, pins_cursors, pins_mode'), '2|1|1|0|0',
		'each reason as often as it came');
	is(sql("SELECT count(*) FROM pooler.pins WHERE role = '$role'"), '0', 'nobody is pinned any more');
	$a->query('LISTEN x');
	is(stats($role, 'resets'), '0', 'nothing was cleared yet');
	$a->quit;
	becomes($node, "SELECT resets, pins_listen FROM pooler.stats WHERE role = '$role'",
		'1|2', 'what the client has left is cleared');

	sql('ALTER SYSTEM SET pooler.pin_limit = 0');
	sql('SELECT pg_reload_conf()');
	$a = client($role);
	becomes($node, "SHOW pooler.pin_limit", '0', 'no session may keep its backend');
	ok(wait_until('a session is refused', sub {
			$a->query('LISTEN x') =~ /ERROR 53400/ || $a->query('UNLISTEN x') && 0 }), 'is refused');
	my ($refusals, $listens) = split /\|/, stats($role, 'pin_refusals', 'pins_listen');
	$a->query('LISTEN x');
	is(stats($role, 'pin_refusals', 'pins_listen'), ($refusals + 1) . "|$listens",
		'what is refused is no pin');
	$a->quit;
	sql('ALTER SYSTEM RESET pooler.pin_limit');
	sql('SELECT pg_reload_conf()');
}

#----------------------------------------------------------------------------
# backends: why they end
#----------------------------------------------------------------------------

# births = ends + those that there are
sub backends_add_up
{
	my ($name) = @_;
	becomes($node, q{
		SELECT births - ends - (SELECT count(*) FROM pooler.backends WHERE state <> 'starting'),
			   ends - ends_idle - ends_lifetime - ends_drained - ends_surplus - ends_evicted
			   - ends_database - ends_unneeded - ends_client - ends_pooler - ends_other
		FROM pooler.status}, '0|0', $name);
}

# Runs what makes a backend of the role end, and tells the counters that moved.
sub ends_by
{
	my ($role, $cause, @expected) = @_;
	# (others may have been started meanwhile to ask what the pool has of its own)
	my @names = map { "ends_$_" } qw(idle lifetime drained surplus evicted database
	  client pooler other);
	my $before = stats($role, 'ends');
	my @before = split /\|/, stats($role, @names);
	$cause->();
	becomes($node, "SELECT ends > $before FROM pooler.stats WHERE role = '$role'", 't', "$expected[0]: a backend ends");
	my @after = split /\|/, stats($role, @names);
	is_deeply([ grep { $after[$_] > $before[$_] } 0 .. $#names ],
		[ grep { my $i = $_; grep { $names[$i] eq "ends_$_" } @expected } 0 .. $#names ],
		"because of $expected[0]")
	  or diag("before @before, after @after of @names");
}

{
	my $role = new_role('ending', 1);
	my $a = client($role);
	my $fresh = sub {
		$a->query('SELECT 1') eq '1, SELECT 1, I' or $a = client($role);
		$a->query('SELECT 1');
	};

	$fresh->();
	ends_by($role, sub { sql("ALTER ROLE $role SET work_mem = '3MB'") }, 'drained');
	$fresh->();
	ends_by($role, sub {
			sql("ALTER SYSTEM SET pooler.server_idle_timeout = '1s'");
			sql('SELECT pg_reload_conf()') }, 'idle');
	sql('ALTER SYSTEM RESET pooler.server_idle_timeout');
	sql('SELECT pg_reload_conf()');
	becomes($node, 'SHOW pooler.server_idle_timeout', '10min', 'no longer');
	$fresh->();
	ends_by($role, sub {
			sql("SELECT pg_terminate_backend(pid) FROM pooler.backends WHERE role = '$role'") }, 'other');
	$a = client($role);
	$fresh->();
	ends_by($role, sub { $a->query('BEGIN'); $a->close }, 'client');
	$a = client($role);
	$fresh->();
	sql("ALTER SYSTEM SET pooler.server_lifetime = '1s'");
	ends_by($role, sub { sql('SELECT pg_reload_conf()') }, 'lifetime');
	sql('ALTER SYSTEM RESET pooler.server_lifetime');
	sql('SELECT pg_reload_conf()');
	$a->quit;
	backends_add_up('births and ends add up');
}

#----------------------------------------------------------------------------
# sums
#----------------------------------------------------------------------------

# What each pool has counted adds up to what all have, for each counter.
sub sums_agree
{
	my ($name) = @_;
	becomes($node, q{
		SELECT count(*) FROM
			(SELECT name, CASE kind WHEN 'sum' THEN sum(value) ELSE max(value) END AS value
			 FROM pooler.get_stats() JOIN pooler.get_counters() USING (name)
			 GROUP BY name, kind) AS s
			JOIN pooler.get_totals() AS t USING (name)
			WHERE s.value <> t.value}, '0', $name);
}

sums_agree('pools and the total');
is(sql(q{SELECT sum(transactions) FROM pooler.stats_by_database}),
	sql(q{SELECT sum(transactions) FROM pooler.stats_by_role}), 'databases and roles');
is(sql(q{SELECT count(*) FROM pooler.stats_by_role AS r
		 WHERE r.transactions <> (SELECT sum(transactions) FROM pooler.stats AS s WHERE s.roleid = r.roleid)}),
	'0', 'roles and pools');
is(sql(q{SELECT count(*) FROM (SELECT kind, sum(count) AS n, max(max) AS max FROM pooler.latency
			WHERE level = 'pool' GROUP BY kind) AS p JOIN pooler.latency AS t USING (kind)
		 WHERE t.level = 'total' AND (p.n <> t.count OR p.max <> t.max)}),
	'0', 'percentiles of pools and of all');
is(sql(q{SELECT string_agg(DISTINCT level, ' ' ORDER BY level) FROM pooler.latency}),
	'database pool role total', 'on four levels');

#----------------------------------------------------------------------------
# waits: who, and because of whom
#----------------------------------------------------------------------------
{
	my $role = new_role('jammed', 1);
	my $holder = client($role, application_name => 'holder');
	my @waiting = map { client($role, application_name => "waits $_") } 1, 2;

	sql('CREATE TABLE wanted (x int)');
	sql("GRANT ALL ON wanted TO $role");
	my $locker = WireClient->new($node, port => $node->port);
	$locker->query('BEGIN; LOCK TABLE wanted');
	my $pid = $locker->value('SELECT pg_backend_pid()');
	$holder->query('BEGIN');
	$holder->put(m_query('SELECT * FROM wanted'));
	becomes($node, "SELECT waits_for_lock FROM pooler.holders WHERE role = '$role'",
		'AccessShareLock on relation wanted', 'the holder waits for a lock');
	for my $n (1, 2)
	{
		$waiting[$n - 1]->put(m_query('SELECT 1'));
		becomes($node, "SELECT count(*) FROM pooler.waits WHERE role = '$role'", $n, "$n wait");
	}
	is(sql(qq{
		SELECT application_name, position, wait > '0', holders, holder_application_name,
			   holder_held_for > wait, holder_transaction_age > wait, holder_state,
			   holder_wait_event_type, holder_waits_for_lock, holder_blocked_by,
			   holder_query, holder_pid = (SELECT pid FROM pooler.backends WHERE role = '$role')
		FROM pooler.waits WHERE role = '$role' ORDER BY position}),
		join("\n", map { "waits $_|$_|t|1|holder|t|t|active|Lock|"
			  . "AccessShareLock on relation wanted|{$pid}|SELECT * FROM wanted|t" } 1, 2),
		'who waits, for whom, and what that one waits for');
	is(sql("SELECT application_name, clients_waiting, blocked_by, pin_reason FROM pooler.holders WHERE role = '$role'"),
		"holder|2|{$pid}|", 'who holds the pool');
	$locker->query('ROLLBACK');
	like($holder->reply, qr/T$/, 'the lock is free');
	becomes($node, "SELECT state, waits_for_lock IS NULL, blocked_by IS NULL
		FROM pooler.holders WHERE role = '$role'", 'idle in transaction|t|t', 'the holder is idle');
	$holder->query('COMMIT');
	is($_->reply, '1, SELECT 1, I', 'served') for @waiting;
	becomes($node, 'SELECT count(*) FROM pooler.waits', '0', 'nobody waits');
	becomes($node, "SELECT count(*) FROM pooler.holders WHERE role = '$role'", '0', 'nobody holds');
	$_->quit for ($holder, @waiting, $locker);
}

#----------------------------------------------------------------------------
# what a client leaves behind
#----------------------------------------------------------------------------

sql("CREATE FUNCTION debug_$_(text) RETURNS void AS 'pooler', 'pooler_debug_$_' LANGUAGE C STRICT")
  for qw(arm release);
sql("CREATE FUNCTION debug_waiting(text) RETURNS int AS 'pooler', 'pooler_debug_waiting' LANGUAGE C STRICT");

# A client that has a backend, but has not run anything, is not shown beside
# the query of the one before.
{
	my $role = new_role('discreet', 1);
	my $a = client($role, application_name => 'first');
	my $b = client($role, application_name => 'second');

	$a->query(q{SELECT 'nobody else is to see this'});
	my $pid = sql("SELECT pid FROM pooler.backends WHERE role = '$role'");
	is(sql("SELECT query FROM pg_stat_activity WHERE pid = $pid"),
		q{SELECT 'nobody else is to see this'}, 'shown while the client is there');
	sql(q{SELECT debug_arm('busy')});
	$b->put(m_query('SELECT 2'));
	becomes($node, q{SELECT debug_waiting('busy') > 0}, 't', 'the other one is attached');
	is(sql("SELECT application_name, query, query_id IS NULL, query_start IS NULL, state
			FROM pg_stat_activity WHERE pid = $pid"), 'second||t|t|idle', 'and stands there without a query');
	is(sql("SELECT client_id = (SELECT id FROM pooler.clients WHERE application_name = 'second'), query
			FROM pooler.holders WHERE role = '$role'"), 't|', 'also among the holders');
	sql(q{SELECT debug_release('busy')});
	is($b->reply, '2, SELECT 1, I', 'served');
	becomes($node, "SELECT query FROM pg_stat_activity WHERE pid = $pid", 'SELECT 2', 'its own query');
	$_->quit for ($a, $b);
}

# How often these bytes are in the memory that the server's processes share.
sub in_shared_memory
{
	my ($pid, $bytes) = @_;
	my $n = 0;

	open(my $maps, '<', "/proc/$pid/maps") or return undef;
	open(my $mem, '<:raw', "/proc/$pid/mem") or return undef;
	while (<$maps>)
	{
		my ($from, $to) = /^(\w+)-(\w+) rw-s .*(?:zero|PostgreSQL)/ or next;
		($from, $to) = map { hex } $from, $to;
		my $rest = '';
		for (my $at = $from; $at < $to; $at += 1 << 22)
		{
			my $len = $to - $at < 1 << 22 ? $to - $at : 1 << 22;
			sysseek($mem, $at, 0) or return undef;
			defined sysread($mem, my $buf, $len) or last;
			my $text = $rest . $buf;
			$n++ while $text =~ /\Q$bytes\E/g;
			$rest = substr($text, -length($bytes) + 1);
		}
	}
	return $n;
}

SKIP:
{
	my $pid = worker_pid($node);
	my $role = new_role('secrets', 1);
	my $secret = 'very' . 'secret' . 'value' . $$;
	my $name = 'name' . 'of' . 'client' . $$;

	skip 'memory of other processes can not be read', 4
	  unless defined in_shared_memory($pid, 'x' x 100);
	my $a = client($role, application_name => $name);
	my $b = client($role);
	$a->put(m_parse(q{SELECT set_config('my.secret', $1 || $2, false) IS NULL}),
		m_bind('', [ substr($secret, 0, 8), substr($secret, 8) ]), m_execute(), m_sync());
	like($a->reply, qr/SELECT 1, I$/, 'a setting with a secret');
	$b->query('SELECT 1');
	cmp_ok(in_shared_memory($pid, $secret), '>', 0, 'the client carries it');
	$a->quit;
	$b->quit;
	gone($role);
	is(in_shared_memory($pid, $secret), 0, 'nothing of it is left when the client has gone');
	sql("SELECT pg_terminate_backend(pid) FROM pooler.backends WHERE role = '$role'");
	becomes($node, "SELECT count(*) FROM pooler.backends WHERE role = '$role'", '0', 'the backend has gone');
	my $slot = in_shared_memory($pid, $name);
	is($slot, 0, 'nor of its name');
}

#----------------------------------------------------------------------------
# reset
#----------------------------------------------------------------------------
{
	my $role = new_role('reset', 2);
	my @clients = map { client($role) } 1, 2;
	my $seen = sub {
		my ($transactions, $name) = @_;
		becomes($node, qq{
			SELECT s.transactions, l.count, l.max > '0', s.query_time > '0'
			FROM pooler.stats AS s JOIN pooler.latency AS l USING (dbid, roleid)
			WHERE l.level = 'pool' AND l.kind = 'transaction' AND l.role = '$role'},
			$transactions . ($transactions ? '|' . $transactions . '|t|t' : '|0||f'), $name);
	};

	# one backend goes on, one ends without having noticed
	$clients[$_]->query('BEGIN') for 0, 1;
	$clients[$_]->query('COMMIT') for 0, 1;
	$seen->(2, 'two transactions');
	sql('SELECT pooler.reset_stats()');
	$seen->(0, 'are forgotten');
	sums_agree('pools and the total after a reset');
	$clients[0]->query('SELECT 1') for 1 .. 3;
	$seen->(3, 'what comes after a reset is counted');
	sql("SELECT pg_terminate_backend(pid) FROM pooler.backends WHERE role = '$role'");
	becomes($node, "SELECT count(*) FROM pooler.backends WHERE role = '$role'", '0', 'the backends have gone');
	$seen->(3, 'and nothing of before comes back with them');
	sums_agree('pools and the total after that');
	$_->close for @clients;
}

#----------------------------------------------------------------------------
# the pooler is started again
#----------------------------------------------------------------------------
{
	my $role = new_role('survivor', 2);
	my @clients = map { client($role) } 1, 2;

	for my $client (@clients)
	{
		$client->query('SELECT 1') for 1 .. 5;
	}
	becomes($node, "SELECT transactions FROM pooler.stats WHERE role = '$role'", '10', 'ten transactions');
	my $totals = sub {
		return { map { split /\|/ } split /\n/, sql('SELECT name, value FROM pooler.get_totals()') };
	};
	my $before = $totals->();
	my $pid = worker_pid($node);

	sql("SELECT pg_terminate_backend($pid)");
	becomes($node, "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'pooler' AND pid <> $pid",
		'1', 'the pooler is started again');
	wait_for_pooler($node);
	becomes($node, "SELECT count(*) FROM pooler.backends WHERE role = '$role' AND draining", '0',
		'its backends have gone');
	my $after = $totals->();
	is_deeply([ grep { $after->{$_} < $before->{$_} } sort keys %$before ], [], 'no counter has become less');
	is($after->{$_}, $before->{$_}, $_) for qw(transactions queries logins failed_logins parses
	  binds bytes_sent waits handovers);
	is(stats($role, 'transactions', 'ends_pooler > 0'), '10|t', 'what was counted stays');
	is(sql("SELECT count FROM pooler.latency WHERE level = 'pool' AND role = '$role' AND kind = 'transaction'"),
		10, 'and what was measured');
	my $again = client($role);
	$again->query('SELECT 1');
	becomes($node, "SELECT transactions, logins FROM pooler.stats WHERE role = '$role'", '11|3', 'and goes on');
	sums_agree('pools and the total add up all the same');
	$again->quit;
}

$node->stop;
done_testing();
