# Clients that send anything but what they should (Mutations.pm), and others
# among them who do nothing wrong and notice nothing: each gets the answers to
# its own questions, what they count adds up, and in the end nothing is left of
# the attackers.
#
# POOLER_FUZZ_SECONDS says for how long, POOLER_SEED repeats the attackers'
# choices (but not, of course, their timing), and POOLER_ATTACKS, a regular
# expression, says which attacks alone there are ("console").

use strict;
use warnings;

use Leftovers qw(nothing_left own_descriptors);
use Crowd ();
use LoginClient ();
use Mutations qw(attack);
use PoolerTest qw(log_after start_node wait_until);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use RawClient;
use Test::More;
use Time::HiRes qw(time);
use WireClient qw(m_query);

my $seconds = $ENV{POOLER_FUZZ_SECONDS} || 12;
my $seed = int($ENV{POOLER_SEED} || time ^ $$);
my $attackers = 6;
my $good = 10;

srand($seed);
note "POOLER_SEED=$seed";

# The end of an attacker must not look like an answer that does not come: with
# the handler that Utils.pm sets, it interrupts whoever waits in select().
$SIG{CHLD} = 'DEFAULT';

my $node = start_node('mutations',
	hba => q(
local	all		all	trust
host	all		all	127.0.0.1/32	trust
host	all		all	127.0.0.2/32	scram-sha-256
),
	conf => q{
max_connections = 60
log_statement = none
log_line_prefix = '%m [%p] %b %e %u '
pooler.max_client_conn = 1000
pooler.max_backends = 20
pooler.default_pool_size = 5
pooler.client_login_timeout = 3s
pooler.client_read_timeout = 1s
pooler.client_write_timeout = 1s
pooler.server_lifetime = 30s
});
my $admin = WireClient->new($node, port => $node->port);
Crowd::set_up($admin);
$admin->query('CREATE ROLE viewer LOGIN IN ROLE pg_monitor');
WireClient->new($node, role => $_)->quit for qw(app calm);
$admin->until('SELECT clients FROM pooler.status', 0);

my $postmaster = slurp_file($node->data_dir . '/postmaster.pid') =~ s/\n.*//sr;
my $pooler = $admin->value('SELECT pid FROM pooler.status');
my %began = map { $_ => Crowd::start_of($_) } $postmaster, $pooler;
my $own = own_descriptors($admin);
my $log = PoolerTest::log_size($node);

#----------------------------------------------------------------------------
# those who do nothing wrong
#----------------------------------------------------------------------------

# Where from a client with this number comes, and as whom.
sub log_in
{
	my ($id, $role) = @_;
	my $from = ('local', '127.0.0.1', '127.0.0.2')[ $id % 3 ];
	my $client = WireClient->open($node, from => $from) // die "connect: $!";
	my $answer = LoginClient::login($client->{sock}, role => $role, database => 'postgres',
		application_name => "good $id", $from eq '127.0.0.2' ? (password => 'secret') : ());

	$client->query("PREPARE mine AS SELECT $id") if $answer eq 'ok';
	return ($client, $answer);
}

my $crowd = Crowd->new(
	admin => $admin,
	open => \&log_in,
	longest => 3000,
	questions => [
		sub {
			my ($c) = @_;
			my $n = $c->{n} += 2;
			my $update = "UPDATE counters SET n = n + 1 WHERE client = $c->{id}";
			return (m_query("BEGIN; $update; $update RETURNING n; COMMIT"),
				"BEGIN, UPDATE 1, $n, UPDATE 1, COMMIT, I");
		},
		sub { my ($c) = @_; return (m_query('EXECUTE mine'), "$c->{id}, SELECT 1, I") },
		# traces of others, who keep to their own backends while they have these
		sub {
			return (m_query(q(SELECT (SELECT count(*) FROM pg_prepared_statements WHERE name <> 'mine'),
				(SELECT count(*) FROM pg_cursors WHERE is_holdable), (SELECT count(*) FROM pg_listening_channels()),
				(SELECT count(*) FROM pg_class WHERE relnamespace = pg_my_temp_schema()),
				current_setting('application_name') ~ '^good', current_setting('work_mem'))),
				'0|0|0|0|t|4MB, SELECT 1, I');
		}
	]);

# A step at a time, and a cancel request that ends what it should.
sub others
{
	my ($calm) = grep { $_->{role} eq 'calm' } @{ $crowd->{clients} };
	my $update = "UPDATE counters SET n = n + 1 WHERE client = $calm->{id}";
	my @got = map { $calm->query($_) } 'BEGIN', $update, 'COMMIT';

	$calm->{n}++;
	$crowd->complain("a transaction in steps: @got") if "@got" ne 'BEGIN, T UPDATE 1, T COMMIT, I';
	my $sleeper = WireClient->new($node, role => 'calm', application_name => 'sleeper');
	$sleeper->put(m_query('SELECT pg_sleep(1000)'));
	$admin->until(q(SELECT count(*) FROM pooler.clients WHERE application_name = 'sleeper'
		AND state = 'active'), 1);
	$sleeper->cancel;
	my $got = $sleeper->reply;
	$crowd->complain("a cancelled query: $got")
	  if $got ne 'ERROR 57014: canceling statement due to user request, I';
	$sleeper->quit;
	$crowd->{count}{cancelled}++;
}

#----------------------------------------------------------------------------
# all of them together
#----------------------------------------------------------------------------

$crowd->come($good);
my $begin = time;

for my $number (1 .. $attackers)
{
	$crowd->send_attacker(sub { attack($node, $seed + $number, $begin + $seconds) });
}
my $half = $crowd->ask_for($seconds,
	begin => $begin,
	measure => sub { Crowd::memory($pooler) },
	between => sub { others() if $_[0] % 25 == 0 });
$crowd->one_round for 1 .. 5;
$crowd->await_attackers;
$crowd->were_answered(50);

nothing_left($admin, 0, $own, 'after all');
is($admin->value(q(SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'
	AND pid <> pg_backend_pid() AND pid NOT IN (SELECT pid FROM pooler.backends))), 0,
	'no backend is left');
is($admin->value('SELECT pid FROM pooler.status'), $pooler, 'the pooler is the same');
is($admin->value('SELECT starts FROM pooler.status'), 1, 'it was started once');
is(Crowd::start_of($_), $began{$_}, 'and so is the server') for sort keys %began;
cmp_ok(Crowd::memory($pooler) - $half, '<', 16 * 1024, 'memory has not grown without bound');

# An internal error is one that nobody should be able to cause.
$log = log_after($node, $log);
is(join("\n", Crowd::accidents($log)), '', 'the log tells of no crash and no internal error');
Crowd::note_messages($log) if $ENV{POOLER_FUZZ_SECONDS};
$node->stop;
done_testing();
