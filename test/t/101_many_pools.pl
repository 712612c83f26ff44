# More pools than there are tallies: those that come away empty-handed are
# counted together, and the sums are right all the same.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use PoolerTest qw(becomes start_node);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WireClient;

use constant POOLS => 110;

my $node = start_node('many',
	conf => qq(
max_connections = 30
pooler.max_backends = 4
pooler.max_client_conn = 300
));

sub sql { return $node->safe_psql('postgres', $_[0]) }

sql('DO $$ BEGIN FOR i IN 1..' . POOLS . q{ LOOP EXECUTE format('CREATE ROLE r%s LOGIN', i); END LOOP; END $$});

# Counters, and the number of transactions that were measured.
sub sums_agree
{
	my ($transactions, $name) = @_;

	becomes($node, q{
		SELECT sum(s.transactions), t.transactions, l.count, sum(s.logins) = t.logins
		FROM pooler.stats AS s, pooler.status AS t, pooler.latency AS l
		WHERE l.level = 'total' AND l.kind = 'transaction'
		GROUP BY t.transactions, t.logins, l.count}, "$transactions|$transactions|$transactions|t", $name);
	is(sql(q{
		SELECT count(*) FROM
			(SELECT name, CASE kind WHEN 'sum' THEN sum(value) ELSE max(value) END AS value
			 FROM pooler.get_stats() JOIN pooler.get_counters() USING (name)
			 GROUP BY name, kind) AS s
			JOIN pooler.get_totals() AS t USING (name)
			WHERE s.value <> t.value}), '0', "$name: all counters");
}

my @clients = map { WireClient->new($node, role => "r$_") } 1 .. POOLS;
for my $client (@clients)
{
	$client->query('SELECT 1') eq '1, SELECT 1, I' or fail('a client is served');
}
sums_agree(POOLS, 'each pool has run one transaction');
my ($with, $without) = split /\|/, sql(q{
	SELECT count(transactions), count(*) - count(transactions) FROM pooler.pools});
is($with + $without, POOLS, 'all pools are shown');
cmp_ok($without, '>', 0, 'some of them are counted with others');
is(sql(q{SELECT count(*) FROM pooler.stats WHERE role IS NOT NULL}), $with,
	'those that are not have a row');
is(sql(q{SELECT logins FROM pooler.stats WHERE role IS NULL}), $without,
	'and the others have one together');

# A pool that nobody uses any more makes room for one that is used.
$clients[$_]->quit for 0 .. 49;
becomes($node, 'SELECT count(*) FROM pooler.clients', POOLS - 50, 'clients have left');
becomes($node, q{SELECT count(*) <= 4 FROM pooler.backends WHERE state <> 'ending'}, 't', 'few backends are left');
my $last = POOLS;
my $again = WireClient->new($node, role => "r$last");
is($again->query('SELECT 2'), '2, SELECT 1, I', 'somebody comes to the last pool');
becomes($node, "SELECT role, transactions >= 1 FROM pooler.stats WHERE role = 'r$last'",
	"r$last|t", 'which is counted by itself from now on');
sums_agree(POOLS + 1, 'nothing is lost');

# What only one client's own pool has counted goes to that of its role.
my $own = WireClient->new($node, role => 'r60', options => '-c ignore_system_indexes=on');
$own->query('SELECT 3');
sums_agree(POOLS + 2, 'with a pool of its own');
$own->quit;
becomes($node, "SELECT count(*) FROM pooler.clients WHERE role = 'r60'", '1', 'its client has left');
sums_agree(POOLS + 2, 'and when it has gone');

sql('SELECT pooler.reset_stats()');
sums_agree(0, 'after a reset');
$again->query('SELECT 4');
sums_agree(1, 'and what comes after it');

$node->stop;
done_testing();
