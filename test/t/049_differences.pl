# What differs from a direct connection and is not seen in messages: the list in
# src/README.md is closed, and this is what it says.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use PoolerTest qw(start_node);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WireClient qw(m_bind m_execute m_parse m_sync);

my $node = start_node('differences', conf => q{
pooler.default_pool_size = 1
log_statement = none
log_min_duration_statement = 0
});
my $admin = WireClient->new($node, port => $node->port);
$admin->query('CREATE ROLE app SUPERUSER LOGIN');
my ($one, $two) = map { WireClient->new($node, role => 'app') } 1 .. 2;
my $backend = $one->value('SELECT pg_backend_pid()');

# sessions
my $sessions = q{SELECT sessions FROM pg_stat_database WHERE datname = 'postgres'};
# those that are sessions have been counted by then: who has made the node, too
$admin->until(q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'}, 2);
$_->query('SELECT pg_stat_force_next_flush()') for $admin, $two;
my $before = $two->value($sessions);
WireClient->new($node, role => 'app')->quit for 1 .. 3;
is($two->value($sessions), $before, 'clients that come and go are no sessions');
is($two->value('SELECT pg_backend_pid()'), $backend, 'all of it on one backend');

# since when a session is there
my $since = q{SELECT backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()};
my @since = map { $_->value($since) } $one, $two, $one;
isnt($since[1], $since[0], 'each client has been there since a time of its own');
is($since[2], $since[0], 'which stays the same');
is($one->value(q{SELECT backend_start = connected_at FROM pooler.clients JOIN pg_stat_activity USING (pid) WHERE pid = pg_backend_pid()}),
	't', 'when it connected');

# libraries
like($two->query('SHOW auto_explain.log_min_duration'), qr/^ERROR 42704/, 'a library that nobody has loaded');
$one->query(q{LOAD 'auto_explain'});
is($two->value('SHOW auto_explain.log_min_duration'), '-1', 'one that another client has loaded');

# setseed()
my $direct = WireClient->new($node, port => $node->port);
$_->query('SELECT setseed(0.5)') for $direct, $one;
is($two->value('SELECT random()'), $direct->value('SELECT random()'), 'the seed of another client');

# an unnamed statement that is made again
$one->put(m_parse('SELECT 1') . m_sync());
$one->reply;
$two->query('SELECT 2');
my $log = -s $node->logfile;
$one->put(m_bind() . m_execute() . m_sync());
is($one->reply, 'bound, 1, SELECT 1, I', 'an unnamed statement');
$two->query('SELECT 3');
like(substr(slurp_file($node->logfile), $log), qr/parse <unnamed>: *\n/, 'is seen to be made again in the log');

# a number without its unit
$one->query(q{SET auto_explain.log_min_duration = '5s'});
is($one->value('SHOW auto_explain.log_min_duration'), '5s', 'a number of a library');
$node->append_conf('postgresql.conf', 'pooler.default_pool_size = 2');
$node->reload;
$two->query('BEGIN');
is($one->value('SHOW auto_explain.log_min_duration'), '5000', 'where it is not loaded');
$two->query('COMMIT');

$_->quit for $one, $two, $direct, $admin;
$node->stop;
done_testing();
