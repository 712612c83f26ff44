# Does a session behave in a pool as it does on a direct connection?  Sequences
# of steps of several clients, named ones (DifferCases.pm) and random ones
# (DifferRandom.pm), are run on direct connections and through the pool, and
# every message is compared; what may differ is listed in Differ.pm.
#
# By hand:
#
#	DIFF_SEED=1 DIFF_COUNT=5000 TESTS=t/042_differential.pl make test
#
#	DIFF_SEED		of the first sequence; each has the next.  Odd ones use a pool of
#					one backend, even ones of two
#	DIFF_COUNT		how many random sequences; 0 for none
#	DIFF_SECONDS	stop after so long (without it, when all have been run)
#	DIFF_CASES		a pattern: only the named sequences that match
#	DIFF_SHRINK		seconds for shrinking a sequence (30)
#	DIFF_MAX		stop after so many random sequences with a difference, of each
#					size of the pool (5)
#	DIFF_PEER		"direct" compares direct connections with each other: there
#					must be no difference, or this program finds its own
#	DIFF_TRACE		show each sequence

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Differ;
use DifferCases qw(cases);
use DifferRandom;
use PoolerTest qw(start_node);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $seed = $ENV{DIFF_SEED} // int(time) * 1000;
my $count = $ENV{DIFF_COUNT} // 400;
my $seconds = $ENV{DIFF_SECONDS} // ($ENV{DIFF_COUNT} ? 1e9 : 40);
my $pattern = $ENV{DIFF_CASES} // '.';
my $shrink = $ENV{DIFF_SHRINK} // 30;
my $max = $ENV{DIFF_MAX} // 5;

# Nothing may make a plan again at a time that is left to chance, nor may a
# pool change its size.
my $node = start_node('differential', conf => q{
max_connections = 30
max_prepared_transactions = 5
wal_level = replica
max_replication_slots = 4
autovacuum = off
jit = off
pooler.default_pool_size = 1
pooler.max_client_conn = 50
pooler.server_idle_timeout = 0
pooler.server_lifetime = 0
});
my $differ = Differ->new(node => $node, peer => $ENV{DIFF_PEER});

sub report
{
	my ($sequence, $difference) = @_;

	diag(Differ::difference_text($difference));
	my ($least, $at, $fresh) = $differ->shrink($sequence, $shrink);
	diag($least
		? ($fresh ? 'shrunk, on new backends' : 'shrunk, on backends that have served others')
		  . ":\n" . Differ::difference_text($at)
		: 'could not be repeated by itself; all of it:');
	diag(Differ::sequence_text($least // $sequence));
}

# Nothing if the sequence can't be run, which is a failure, too.
sub compared
{
	my ($sequence, $name) = @_;
	my $difference = eval { $differ->difference($sequence) };

	return { difference => $difference } if $@ eq '';
	diag("$name: $@", Differ::sequence_text($sequence));
	return undef;
}

sub compare_cases
{
	my ($size) = @_;

	for my $case (grep { $_->{name} =~ $pattern } cases($size))
	{
		my $result = compared($case, $case->{name});
		ok($result && !$result->{difference}, "pool of $size: $case->{name}");
		diag(Differ::difference_text($result->{difference}))
		  if $result && $result->{difference};
	}
}

sub compare_random
{
	my ($size) = @_;
	my $end = time + $seconds / 2;
	my ($run, $failed) = (0, 0);

	for (my $n = $seed; $n < $seed + $count; $n++)
	{
		next if $n % 2 != $size % 2;
		last if time > $end || $failed >= $max;
		my $sequence = DifferRandom::sequence($n, $size);
		my $result = compared($sequence, "DIFF_SEED=$n");
		$run++;
		note("DIFF_SEED=$n\n" . Differ::sequence_text($sequence)) if $ENV{DIFF_TRACE};
		next if $result && !$result->{difference};
		$failed++;
		diag("DIFF_SEED=$n DIFF_COUNT=1 has a difference");
		report($sequence, $result->{difference}) if $result;
	}
	is($failed, 0, "pool of $size: $run random sequences from DIFF_SEED=$seed");
}

# A difference that is always there is found, and the rest is dropped.
sub prove_itself
{
	my ($size) = @_;
	my %sequence = (
		clients => [ { TimeZone => 'UTC' }, {} ],
		pool => $size,
		steps => [
			[ 1, 'SELECT 1' ], [ 2, [ P => '', 'SELECT 2' ], ['S'] ], [ 1, 'BEGIN' ],
			[ 1, 'SELECT 3; SELECT pg_backend_pid()', 'SELECT 4' ], [ 1, 'COMMIT' ],
			[ 2, 'SELECT 5' ]
		]);
	my $difference = $differ->difference({%sequence});
	my ($least) = $differ->shrink({%sequence}, $shrink);

	is($difference->{number}, 4, "pool of $size: a difference is found");
	is_deeply(
		[ @$least{qw(clients steps)} ],
		[ [ {} ], [ [ 1, 'SELECT pg_backend_pid()' ] ] ],
		"pool of $size: and shrunk to its cause");
}

for my $size (1, 2)
{
	$differ->resize($size);
	prove_itself($size);
	compare_cases($size);
	compare_random($size);
}
$node->stop;
done_testing();
