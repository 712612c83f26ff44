# The pooler on a hot standby: it starts there, logs clients in, tells them
# where they are, and stays when the standby is promoted.

use strict;
use warnings;

use PoolerTest
  qw(becomes configure new_node pooler_psql wait_for_pooler wait_until worker_pid);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use RawClient;
use Test::More;

my $primary = new_node(
	'primary',
	init => { allows_streaming => 1 },
	conf => 'max_connections = 20',
	hba => qq(
local	all			all				trust
local	replication	all				trust
host	all			all	127.0.0.1/32	scram-sha-256
));
$primary->start;
$primary->safe_psql('postgres', q(
	CREATE EXTENSION pooler;
	CREATE TABLE t (a int);
	CREATE ROLE alice LOGIN PASSWORD 'secret';
	GRANT ALL ON t TO alice));
$primary->backup('backup');

my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'backup', has_streaming => 1);
configure($standby, hba => slurp_file($primary->data_dir . '/pg_hba.conf'));
$standby->start;
wait_for_pooler($standby);
$primary->wait_for_catchup($standby);

# With a password: the role is known there.
{
	local $ENV{PGPASSWORD} = 'secret';
	is( scalar pooler_psql($standby, 'SELECT current_user, pg_is_in_recovery()',
			host => '127.0.0.1', role => 'alice'),
		'alice|t', 'psql on a standby');
	local $ENV{PGPASSWORD} = 'wrong';
	my (undef, undef, $err) =
	  pooler_psql($standby, 'SELECT 1', host => '127.0.0.1', role => 'alice');
	like($err, qr/password authentication failed for user "alice"/, 'a wrong password');
}

my $old = RawClient->connect($standby, from => 'local', role => 'alice');
is($old->{parameters}{in_hot_standby}, 'on', 'the client is told in_hot_standby');
is($old->ask('INSERT INTO t VALUES (1)'),
	'ERROR 25006: cannot execute INSERT in a read-only transaction', 'nothing can be written');
becomes($standby, q(SELECT clients, backends > 0 FROM pooler.pools WHERE role = 'alice'),
	'1|t', 'the views work');

# What changes on the primary holds on the standby.
$primary->safe_psql('postgres',
	'ALTER ROLE alice RENAME TO bob; CREATE ROLE alice LOGIN; CREATE DATABASE new');
$primary->wait_for_catchup($standby);
my $new = RawClient->connect($standby, from => 'local', role => 'alice', database => 'new');
is($new->ask('SELECT current_user, current_database()'), 'alice|new', 'a new role and a new database');
is($old->ask('SELECT current_user'), 'bob', 'a role that was renamed');

my $worker = worker_pid($standby);
$standby->promote;
$standby->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()');
is(worker_pid($standby), $worker, 'the pooler goes on when the standby is promoted');
is($old->ask('SELECT pg_is_in_recovery()'), 'f', 'and so do its clients');
is($old->ask('INSERT INTO t VALUES (1)'), '', 'which can write now');
is($old->{parameters}{in_hot_standby}, 'off', 'and have been told');
ok(wait_until('a client is told that this is no standby', sub {
			my $client = RawClient->connect($standby, from => 'local', role => 'bob');
			return $client->{parameters}{in_hot_standby} eq 'off';
		}), 'a new client is told as well');
$_->quit for $old, $new;

$standby->stop;
$primary->stop;
done_testing();
