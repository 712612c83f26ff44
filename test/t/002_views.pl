# Do the views tell what clients and backends are doing?  Three clients share
# a pool of two backends.

use strict;
use warnings;

use IPC::Run qw(start pump finish timer);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', q{
shared_preload_libraries = 'pooler'
pooler.listen_addresses = ''
pooler.port = 6432
pooler.default_pool_size = 2
});
$node->start;
$node->safe_psql('postgres', q{
	CREATE EXTENSION pooler;
	CREATE ROLE app LOGIN;
	CREATE DATABASE shop});

# A session of psql through the pooler that is fed line by line.
sub client
{
	my ($name) = @_;
	my $c = { in => '', out => '', timer => timer($PostgreSQL::Test::Utils::timeout_default) };

	$c->{run} = start(
		[ 'psql', '-XAtq', '-d',
			"host=" . $node->host
			  . " port=6432 user=app dbname=shop application_name=$name" ],
		'<', \$c->{in}, '>', \$c->{out}, '2>', \$c->{err}, $c->{timer});
	return $c;
}

sub feed
{
	my ($c, $sql) = @_;

	$c->{in} .= "$sql\n";
	$c->{run}->pump_nb;
}

# Waits for the answer to all that was fed before.
sub ask
{
	my ($c, $sql) = @_;

	$c->{timer}->start;
	feed($c, "$sql\n\\echo done");
	$c->{run}->pump until $c->{out} =~ /done\n/ || $c->{timer}->is_expired;
	my $answer = $c->{out};
	$c->{out} = '';
	$answer =~ s/done\n\z//;
	chomp $answer;
	return $answer;
}

sub quit
{
	my ($c) = @_;

	feed($c, '\q');
	$c->{run}->finish;
}

# The answer to a question asked in a server's own session, in time.
sub becomes
{
	my ($query, $wanted, $name) = @_;

	ok($node->poll_query_until('postgres', $query, $wanted), $name)
	  or diag($node->safe_psql('postgres',
			'SELECT * FROM pooler.clients; SELECT * FROM pooler.backends'));
}

my $start = $node->safe_psql('postgres', 'SELECT clock_timestamp()');
my ($one, $two, $three) = map { client($_) } qw(one two three);
is(ask($one, 'SELECT 1;'), '1', 'the first client is served');

# two transactions hold the pool, and a third client waits
my $pid_one = ask($one, 'BEGIN; SELECT pg_backend_pid();');
my $pid_two = ask($two, 'BEGIN; SELECT pg_backend_pid();');
isnt($pid_one, $pid_two, 'two backends');
# (clients may have waited for these two to be started)
my $waits = $node->safe_psql('postgres', 'SELECT waits FROM pooler.stats');
my $waited = $node->safe_psql('postgres', 'SELECT wait_time FROM pooler.stats');
feed($three, 'SELECT 3;');
becomes(q{SELECT count(*) FROM pooler.clients
		  WHERE application_name = 'three' AND state = 'waiting'},
	'1', 'the third one waits');

is( $node->safe_psql('postgres', q{
		SELECT application_name, state, pid, client_port, client_addr IS NULL,
			   wait IS NOT NULL, database, role
		FROM pooler.clients ORDER BY application_name}),
	"one|active|$pid_one|-1|t|f|shop|app\n"
	  . "three|waiting||-1|t|t|shop|app\n"
	  . "two|active|$pid_two|-1|t|f|shop|app",
	'clients');
is( $node->safe_psql('postgres', q{
		SELECT c.application_name, a.application_name, a.state, a.usename, a.datname
		FROM pooler.clients AS c JOIN pg_stat_activity AS a USING (pid)
		ORDER BY 1}),
	"one|one|idle in transaction|app|shop\n"
	  . "two|two|idle in transaction|app|shop",
	'clients join pg_stat_activity');
is( $node->safe_psql('postgres', q{
		SELECT c.application_name, b.state, b.database, b.role, b.draining,
			   b.pid = c.pid, b.born_at <= b.state_since
		FROM pooler.backends AS b JOIN pooler.clients AS c ON c.id = b.client_id
		ORDER BY 1}),
	"one|busy|shop|app|f|t|t\ntwo|busy|shop|app|f|t|t",
	'backends join clients');
is( $node->safe_psql('postgres', q{
		SELECT database, role, clients, clients_idle, clients_waiting,
			   clients_active, backends, backends_busy, size, utilisation,
			   paused, longest_wait > '0',
			   dbid = (SELECT oid FROM pg_database WHERE datname = 'shop'),
			   roleid = 'app'::regrole
		FROM pooler.pools}),
	'shop|app|3|0|1|2|2|2|2|1|f|t|t|t', 'pools');

# Times are those of this machine's clock, and in order.
is( $node->safe_psql('postgres', qq{
		SELECT count(*) FROM pooler.clients
		WHERE connected_at >= '$start' AND connected_at <= state_since
			  AND state_since <= clock_timestamp()}),
	3, 'times of clients');
is( $node->safe_psql('postgres', q{
		SELECT count(DISTINCT protocol_pid) FROM pooler.clients
		WHERE protocol_pid NOT IN (SELECT pid FROM pg_stat_activity)}),
	3, 'process ids told to clients');

# the wait ends, and is counted
is(ask($one, 'COMMIT;'), '', 'the first transaction ends');
is(ask($three, ''), '3', 'the third client is served');
is(ask($two, 'COMMIT;'), '', 'the second transaction ends');
becomes(q{SELECT count(*) FROM pooler.clients WHERE state = 'idle'},
	'3', 'all are idle');
becomes(q{SELECT backends_busy, backends, longest_wait IS NULL, utilisation
		  FROM pooler.pools},
	'0|2|t|0', 'the pool is idle');
is( $node->safe_psql('postgres', qq{
		SELECT database, role, transactions, waits - $waits, logins, births,
			   errors, cancels, wait_timeouts,
			   wait_time - '$waited' > '10 ms',
			   max_wait_time BETWEEN '10 ms' AND wait_time,
			   transaction_time > wait_time - '$waited'
		FROM pooler.stats}),
	'shop|app|4|1|3|2|0|0|0|t|t|t', 'stats');
is( $node->safe_psql('postgres', q{
		SELECT p.avg_wait_time BETWEEN s.wait_time / s.waits - interval '1 us'
			   AND s.wait_time / s.waits,
			   p.max_wait_time = s.max_wait_time, p.waits = s.waits,
			   p.transactions = s.transactions,
			   p.avg_transaction_time
			   BETWEEN s.transaction_time / s.transactions - interval '1 us'
			   AND s.transaction_time / s.transactions
		FROM pooler.pools AS p JOIN pooler.stats AS s USING (dbid, roleid)}),
	't|t|t|t|t', 'averages');
is( $node->safe_psql('postgres',
		'SELECT sum(transactions) FROM pooler.clients'),
	'4', 'transactions of the clients');
is( $node->safe_psql('postgres',
		'SELECT sum(transactions) FROM pooler.backends'),
	'4', 'transactions of the backends');

# Who finds an idle backend has not waited, even if it had to before.
$waits++;
for my $c ($three, $one, $two, $three)
{
	becomes(q{SELECT backends_free + backends_lingering FROM pooler.pools},
		'2', 'backends are idle');
	is(ask($c, 'SELECT 5;'), '5', 'a client is served at once');
}
becomes(q{SELECT sum(transactions) FROM pooler.clients}, '8',
	'transactions have ended');
is($node->safe_psql('postgres', 'SELECT waits FROM pooler.stats'),
	$waits, 'and nobody has waited');

# Each column has the counter of its name: compared where nothing moves.
is( $node->safe_psql('postgres', q{
		SELECT count(*)
		FROM pooler.get_stats() AS g JOIN pooler.get_counters() AS c USING (name),
			 (SELECT to_jsonb(s) AS row FROM pooler.stats AS s) AS v
		WHERE g.value IS DISTINCT FROM
			  CASE c.unit
			  WHEN 'us' THEN
				round(extract(epoch FROM (v.row ->> regexp_replace(name, '_us$', '_time'))::interval) * 1000000)
			  ELSE (v.row ->> name)::numeric END}),
	0, 'columns of stats');
is( $node->safe_psql('postgres', q{
		SELECT count(*)
		FROM pooler.get_totals() AS g JOIN pooler.get_counters() AS c USING (name),
			 (SELECT to_jsonb(s) AS row FROM pooler.status AS s) AS v
		WHERE g.value IS DISTINCT FROM
			  CASE c.unit
			  WHEN 'us' THEN
				round(extract(epoch FROM (v.row ->> regexp_replace(name, '_us$', '_time'))::interval) * 1000000)
			  ELSE (v.row ->> name)::numeric END}),
	0, 'columns of status');
is( $node->safe_psql('postgres', q{
		SELECT clients, backends, connections >= 3, transactions
		FROM pooler.status}),
	'3|2|t|8', 'status');

# names are those of now
$node->safe_psql('postgres', 'ALTER ROLE app RENAME TO renamed');
is( $node->safe_psql('postgres',
		'SELECT DISTINCT role FROM pooler.clients'),
	'renamed', 'a renamed role');
# (its backends are replaced; what they counted stays)

# clients leave nothing behind
quit($_) for ($one, $two, $three);
becomes('SELECT clients FROM pooler.status', '0', 'all clients have gone');
is($node->safe_psql('postgres', 'SELECT count(*) FROM pooler.clients'),
	0, 'and none is shown');
becomes(q{SELECT count(*) FROM pooler.backends WHERE client_id IS NOT NULL},
	'0', 'no backend has a client');
becomes(q{SELECT transactions FROM pooler.stats}, '8',
	'what backends have counted stays when they are gone');

$node->stop;
done_testing();
