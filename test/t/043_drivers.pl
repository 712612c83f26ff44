# Real drivers with their own habits do their ordinary work, on direct
# connections and through pools that are too small for them, and must not see
# a difference.
#
# Each program in test/drivers opens five to ten connections at a time, says on
# its standard error what is not as expected, and prints a transcript of all
# that its sessions saw.  make test builds the programs.

use strict;
use warnings;

use Cwd qw(abs_path);
use FindBin;
use lib $FindBin::RealBin;

use PoolerTest qw(becomes pooler_port start_node wait_until);
use POSIX qw(WNOHANG);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $programs = $ENV{POOLER_DRIVERS}
  or plan skip_all => 'the programs are built by make test';

# The longest of them takes five seconds if it is alone on a machine.
use constant SECONDS => 120;

# Debian's packages are for Debian's Python.
my %command_of = (
	asyncpg => [ '/usr/bin/python3', "$programs/with_asyncpg.py" ],
	jdbc => [ 'java', '-cp', "/usr/share/java/postgresql.jar:$programs", 'WithJdbc' ],
	libpq => ["$programs/with_libpq"],
	pg => [ 'node', "$programs/with_pg.mjs" ],
	pgx => ["$programs/with_pgx"],
	postgres => [ 'node', "$programs/with_postgres.mjs" ],
	prisma => [ 'node', "$programs/with_prisma.mjs" ],
	psql => ["$programs/with_psql.sh"],
	psycopg => [ '/usr/bin/python3', "$programs/with_psycopg.py" ]);
my @drivers = sort keys %command_of;

# These connect through the Unix socket.
my %is_local = map { $_ => 1 } qw(libpq psql psycopg);

my $output = "$PostgreSQL::Test::Utils::tmp_check/drivers";
mkdir $output or die "$output: $!";

my $node = start_node('drivers', conf => q{
max_connections = 150
max_prepared_transactions = 20
log_statement = none
log_min_error_statement = panic
pooler.default_pool_size = 2
});
$node->safe_psql('postgres', 'CREATE ROLE pooler_guest');

# How a driver is run: on which port, as which role, and whether it may wait
# for what needs a second backend while it keeps the first.
sub parameters
{
	my ($run, $driver) = @_;
	return (
		PGDATABASE => $run,
		PGHOST => $is_local{$driver} ? $node->host : '127.0.0.1',
		PGPORT => $run eq 'direct' ? $node->port : pooler_port($node),
		PGUSER => $run eq 'shared' ? 'everybody' : "with_$driver",
		DRIVERS_ALONE => $run eq 'shared' ? 0 : 1);
}

sub start_driver
{
	my ($run, $driver) = @_;
	my %parameters = parameters($run, $driver);
	my $pid = fork() // die "could not fork: $!";
	return $pid if $pid;

	# As it would be at home: nothing of the test's own settings.
	delete @ENV{ grep { /^PG/ } keys %ENV };
	@ENV{ keys %parameters } = values %parameters;
	setpgrp;
	chdir $output;
	open STDIN, '<', '/dev/null';
	open STDOUT, '>', "$output/$run.$driver.out";
	open STDERR, '>', "$output/$run.$driver.err";
	exec @{ $command_of{$driver} }
	  or print STDERR "could not run $command_of{$driver}[0]: $!\n";
	POSIX::_exit(127);
}

# Run all drivers at the same time; returns what waitpid said of each.
sub run_drivers
{
	my ($run) = @_;
	my %driver_of = map { start_driver($run, $_) => $_ } @drivers;
	my %status;

	wait_until(
		"the drivers end ($run)",
		sub {
			while ((my $pid = waitpid(-1, WNOHANG)) > 0)
			{
				my $driver = delete $driver_of{$pid} // next;
				$status{$driver} = $?;
			}
			return !%driver_of;
		},
		SECONDS);
	diag($node->safe_psql('postgres',
			'SELECT * FROM pooler.clients; SELECT * FROM pooler.backends'))
	  if %driver_of;
	for my $pid (keys %driver_of)
	{
		kill 'KILL', -$pid;
		waitpid($pid, 0);
		$status{ $driver_of{$pid} } = 'too slow';
	}
	return \%status;
}

sub transcript
{
	my ($run, $driver) = @_;
	return split /\n/, slurp_file("$output/$run.$driver.out");
}

# Tell where two transcripts part, but not everything that follows.
sub differences
{
	my ($run, $driver) = @_;
	my @direct = transcript('direct', $driver);
	my @pooled = transcript($run, $driver);
	my @differences;

	while (@direct && @pooled && @differences < 10)
	{
		my ($wanted, $got) = (shift @direct, shift @pooled);
		push @differences, "direct: $wanted", "pooled: $got" if $got ne $wanted;
	}
	push @differences, sprintf('%d lines are missing, %d too many',
		scalar @direct, scalar @pooled)
	  if !@differences && @direct != @pooled;
	return join("\n", map { substr($_, 0, 300) } @differences);
}

sub errors
{
	my ($run, $driver) = @_;
	my @lines = split /\n/, slurp_file("$output/$run.$driver.err");
	splice(@lines, 20, -1, '...') if @lines > 21;
	return join("\n", @lines);
}

# All drivers, in a database of their own; returns what they ended with.
sub run_in_database
{
	my ($run) = @_;

	$node->safe_psql('postgres', "CREATE DATABASE $run");
	$node->safe_psql('postgres', "GRANT CREATE ON DATABASE $run TO PUBLIC");
	return run_drivers($run);
}

# Run them directly.
#
# A cancel of the server's own is two signals, one to the process and one to its
# group (signal_child() in postmaster.c), and sometimes the second one hits the
# next query.  Nothing can be compared with such a run.
sub run_directly
{
	my $status;

	for (1 .. 5)
	{
		$status = run_in_database('direct');
		my @cancelled = grep {
			$status->{$_} && errors('direct', $_) =~ /canceling statement due to user request/
		} @drivers;
		last if !@cancelled;
		note("cancelled twice, once more: @cancelled");
		$node->safe_psql('postgres', 'DROP DATABASE direct WITH (FORCE)');
	}
	return $status;
}

# Each is satisfied, and has seen what it saw directly.
sub test_run
{
	my ($run, $status) = @_;

	for my $driver (@drivers)
	{
		is($status->{$driver}, 0, "$run, $driver: as expected")
		  or diag(errors($run, $driver));
		is((transcript($run, $driver))[-1], 'end', "$run, $driver: came to its end");
		is(differences($run, $driver), '', "$run, $driver: as on a direct connection")
		  unless $run eq 'direct';
	}
}

for my $role ('everybody', map { "with_$_" } @drivers)
{
	$node->safe_psql('postgres', "CREATE ROLE $role LOGIN IN ROLE pooler_guest");
}

# What they see on direct connections; then each with a pool of its own, and
# then all with the same one.
test_run('direct', run_directly());
test_run($_, run_in_database($_)) for 'pooled', 'shared';

for my $database ('pooled', 'shared')
{
	becomes($node, "SELECT count(*) FROM pooler.clients WHERE database = '$database'",
		0, "$database: all have left");
}
is($node->safe_psql('postgres', q{SELECT count(*) FROM pooler.pools
		WHERE database IN ('pooled', 'shared') AND backends > 2}),
	0, 'no pool has become larger');
# how often each of them waits depends on the machine
is($node->safe_psql('postgres', q{SELECT count(DISTINCT role) FROM pooler.stats
		WHERE database IN ('pooled', 'shared') AND waits > 0 AND handovers > 20}),
	@drivers + 1, 'they had to take turns');
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_prepared_xacts}), 0,
	'no prepared transaction is left');
unlike(slurp_file($node->logfile), qr/PANIC|was terminated by signal/,
	'no crash');

$node->stop;
done_testing();
