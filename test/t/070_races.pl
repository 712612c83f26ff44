# Races of the hand-over, each forced by a debug point (src/shared/debug_point.h).
#
# Every test names the interleaving that it guards.  A pool of one backend, so
# that it is known who serves whom.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use PoolerTest qw(becomes start_node wait_until worker_pid);
use PostgreSQL::Test::Utils;
use RawClient;
use Test::More;

my $node = start_node('races', conf => "pooler.default_pool_size = 1\n");

for (qw(arm release))
{
	$node->safe_psql('postgres',
		"CREATE FUNCTION debug_$_(text) RETURNS void AS 'pooler', 'pooler_debug_$_' LANGUAGE C STRICT");
}
$node->safe_psql('postgres',
	"CREATE FUNCTION debug_waiting(text) RETURNS int AS 'pooler', 'pooler_debug_waiting' LANGUAGE C STRICT");
$node->safe_psql('postgres', 'CREATE TABLE ran (who text)');

sub arm { $node->safe_psql('postgres', "SELECT debug_arm('$_[0]')") }
sub release { $node->safe_psql('postgres', "SELECT debug_release('$_[0]')") }

# Some process has come to the point.
sub stopped_at
{
	my ($point) = @_;
	return $node->poll_query_until('postgres',
		"SELECT debug_waiting('$point') > 0", 't');
}

sub waiting
{
	my ($n) = @_;
	return $node->poll_query_until('postgres',
		"SELECT count(*) = $n FROM pooler.clients WHERE state = 'waiting'", 't');
}

sub backend_pid
{
	return $node->safe_psql('postgres', 'SELECT pid FROM pooler.backends');
}

sub clients
{
	return map { RawClient->connect($node) } 1 .. $_[0];
}

# A client holds the backend in a transaction, and others queue up behind it in
# this order.
sub queue_up
{
	my ($holder, @others) = @_;
	my $n = 0;

	$holder->ask('BEGIN');
	for my $other (@others)
	{
		$other->[0]->start($other->[1]);
		waiting(++$n);
	}
}

sub counter
{
	return $node->safe_psql('postgres', "SELECT $_[0] FROM pooler.stats");
}

# The backend has popped b from the queue, under the lock, and dies before it
# has read a byte: b must go back to the head of the queue, before c.
{
	my ($a, $b, $c) = clients(3);

	queue_up($a, [ $b, "INSERT INTO ran VALUES ('b')" ],
		[ $c, "INSERT INTO ran VALUES ('c')" ]);
	arm('popped');
	$a->start('COMMIT');
	ok(stopped_at('popped'), 'backend stands after taking a client');
	is($a->answer, '', 'who was before has its result');
	my $pid = backend_pid();
	$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
	becomes($node, "SELECT count(*) FROM pg_stat_activity WHERE pid = $pid", '0',
		'it has died');
	release('popped');
	is($b->answer, '', 'the client that it had taken is served by the next one');
	is($c->answer, '', 'and so is the one behind');
	is($node->safe_psql('postgres', "SELECT string_agg(who, ',' ORDER BY ctid) FROM ran"),
		'b,c', 'once each, in their order');
	$_->quit for $a, $b, $c;
}

# The pooler has claimed the idle backend and sent b along; the backend dies
# before it reads the message: b is put back, nothing is run twice.
{
	my ($a, $b) = clients(2);

	$node->safe_psql('postgres', 'TRUNCATE ran');
	is($a->ask('SELECT 1'), '1', 'backend lingers on a client');
	arm('claimed');
	$b->start("INSERT INTO ran VALUES ('b')");
	ok(stopped_at('claimed'), 'backend is claimed for another one');
	my $pid = backend_pid();
	$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
	becomes($node, "SELECT count(*) FROM pg_stat_activity WHERE pid = $pid", '0',
		'it has died');
	release('claimed');
	is($b->answer, '', 'the claimed-for client is served by another backend');
	is($node->safe_psql('postgres', 'SELECT count(*) FROM ran'), '1', 'once');
	like($a->answer, qr/57P01|closed/, 'the one it lingered on has lost its connection');
	$b->quit;
}

# a's word says IDLE, but its backend has not asked the pooler yet to watch it;
# the client sends its next command meanwhile: it must not be overlooked.
{
	my ($a, $b) = clients(2);

	queue_up($a, [ $b, 'SELECT 2' ]);
	arm('given back');
	$a->start('COMMIT');
	ok(stopped_at('given back'), 'client is given back, not watched yet');
	$a->answer;
	$a->start('SELECT 1');
	release('given back');
	is($a->answer, '1', 'a command sent in between is served');
	is($b->answer, '2', 'and so is who was waiting');
	$_->quit for $a, $b;
}

# The same, but the client hangs up in between and its slot is used again: the
# late request to watch must not concern the new owner.
{
	my ($a, $b) = clients(2);

	queue_up($a, [ $b, 'SELECT 2' ]);
	arm('given back');
	$a->start('COMMIT');
	ok(stopped_at('given back'), 'client is given back, not watched yet');
	$a->answer;
	$a->close;
	release('given back');
	is($b->answer, '2', 'who was waiting is served');
	becomes($node, 'SELECT count(*) FROM pooler.clients', '1', 'the slot is free');
	my ($c) = clients(1);
	is($c->ask('SELECT 3'), '3', 'and serves a new client');
	$_->quit for $b, $c;
}

# A cancel request for b arrives while its backend is not BUSY yet: it can't be
# signalled, so the backend has to find the request itself.
{
	my ($a, $b) = clients(2);

	queue_up($a, [ $b, 'SELECT pg_sleep(1000)' ]);
	arm('popped');
	$a->start('COMMIT');
	ok(stopped_at('popped'), 'backend has taken a client');
	$b->cancel;
	release('popped');
	like($b->answer, qr/57014/, 'a cancel request in between ends the command');
	is($b->ask('SELECT 2'), '2', 'the client goes on');
	is($a->answer, '', 'nobody else is concerned');
	$_->quit for $a, $b;
}

# The pooler is about to signal the backend because of a, when a's command ends
# and b is next: the backend has to wait for the signal and throw it away.
{
	my ($a, $b) = clients(2);

	$a->ask('BEGIN');
	$b->start('SELECT count(*) FROM generate_series(1, 200000)');
	waiting(1);
	arm('command ended');
	$a->start('COMMIT');
	ok(stopped_at('command ended'), 'result of a command is sent, backend is busy');
	arm('cancelling');
	my $other = RawClient->open($node);
	$other->send_raw(pack('NN', 16, 80877102) . $a->{key});
	ok(stopped_at('cancelling'), 'the pooler is about to signal it');
	release('command ended');
	release('cancelling');
	is($a->answer, '', 'the command had ended before');
	is($b->answer, '200000', 'the cancel does not hit the next client');
	$_->quit for $a, $b;
}

# A cancel request for a client that lingers is a no-op, also for its next
# command.
{
	my ($a) = clients(1);

	is($a->ask('SELECT 1'), '1', 'backend lingers');
	$a->cancel;
	is($a->ask('SELECT 2'), '2', 'a cancel request between commands does nothing');
	$a->quit;
}

# The pooler ends while the backend has taken b and read nothing: b is told,
# since nobody will ever serve it; the backend must not run it.
{
	my ($a, $b) = clients(2);

	$node->safe_psql('postgres', 'TRUNCATE ran');
	is($b->ask('SELECT 1'), '1', 'the backend has the socket of the client');
	queue_up($a, [ $b, "INSERT INTO ran VALUES ('b')" ]);
	arm('popped');
	$a->start('COMMIT');
	ok(stopped_at('popped'), 'backend has taken a client');
	my $pid = worker_pid($node);
	$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
	becomes($node, "SELECT count(*) FROM pg_stat_activity WHERE pid = $pid", '0',
		'the pooler has ended');
	release('popped');
	like($b->answer, qr/57P01|closed/, 'the client is told');
	is($node->safe_psql('postgres', 'SELECT count(*) FROM ran'), '0',
		'its command is not run');
	becomes($node,
		q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'pooler'}, '1',
		'the pooler is back');
	PoolerTest::wait_for_pooler($node);
	becomes($node, 'SELECT count(*) FROM pooler.backends', '0', 'no backend is left over');
	my ($c) = clients(1);
	is($c->ask('SELECT 3'), '3', 'new clients are served');
	$c->quit;
}

becomes($node, 'SELECT count(*) FROM pooler.clients', '0', 'no slot is left over');
$node->stop;
done_testing();
