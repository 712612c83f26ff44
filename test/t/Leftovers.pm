# Leftovers.pm
#
# Is anything left of clients and backends that have gone?  The views tell, and
# the descriptors that processes have open.

package Leftovers;

use strict;
use warnings;

use Exporter 'import';
use PoolerTest qw(wait_until);
use Test::More;

our @EXPORT_OK = qw(nothing_left own_descriptors);

# Descriptors of clients begin here, in every process (worker/main.c).
use constant FIRST_CLIENT_DESCRIPTOR => 1000;

# How many descriptors of clients a process has, and how many others, without
# files of catalogs, which are opened when they are needed first.
sub descriptors_of
{
	my ($pid) = @_;
	opendir(my $dir, "/proc/$pid/fd") or return (0, 0);
	my @numbers = grep { /^\d+$/ && (readlink("/proc/$pid/fd/$_") // '') !~ m{/global/\d+$} }
	  readdir $dir;
	return (scalar(grep { $_ >= FIRST_CLIENT_DESCRIPTOR } @numbers),
		scalar(grep { $_ < FIRST_CLIENT_DESCRIPTOR } @numbers));
}

# The pooler's own descriptors: those that it always has, as there is one more
# for each backend.
sub own_descriptors
{
	my ($admin) = @_;
	my (undef, $own) = descriptors_of($admin->value('SELECT pid FROM pooler.status'));
	return $own - $admin->value('SELECT backends FROM pooler.status');
}

# What they are, for those who wonder.
sub own_files
{
	my ($admin) = @_;
	my $pid = $admin->value('SELECT pid FROM pooler.status');
	return map { m{/(\d+)$} && $1 < FIRST_CLIENT_DESCRIPTOR ? "$1 " . (readlink // '?') . "\n" : () }
	  glob("/proc/$pid/fd/*");
}

# There are so many clients, nobody is served or waits, and no process has the
# descriptor of anybody else.  Backends close those of clients that have gone
# when they are idle for a second, which is not waited for if told so.
sub nothing_left
{
	my ($admin, $clients, $own, $name, $at_once) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	ok( $admin->until(
			q{SELECT count(*), count(*) FILTER (WHERE state = 'idle') FROM pooler.clients},
			"$clients|$clients"), "$name: clients")
	  or diag($admin->query('SELECT * FROM pooler.clients'));
	ok( $admin->until(
			q{SELECT coalesce(sum(clients), 0), coalesce(sum(clients_idle), 0),
			  coalesce(sum(backends_busy + backends_starting + backends_ending), 0),
			  (SELECT clients FROM pooler.status) FROM pooler.pools},
			"$clients|$clients|0|$clients"), "$name: pools")
	  or diag($admin->query('SELECT * FROM pooler.pools'));
	ok( $admin->until(
			q{SELECT count(*) FROM pooler.backends
			  WHERE state NOT IN ('free', 'lingering')}, 0), "$name: backends")
	  or diag($admin->query('SELECT * FROM pooler.backends'));

	my ($pooler) = descriptors_of($admin->value('SELECT pid FROM pooler.status'));
	is($pooler, $clients, "$name: descriptors of the pooler");
	# one of a backend that comes or goes may be counted in between
	my $others;
	ok(wait_until("$name: other descriptors are closed",
			sub { ($others = own_descriptors($admin)) <= $own }, 20),
		"$name: its other descriptors")
	  or diag("$others, and not $own\n", own_files($admin));
	return if $at_once;

	my %has;
	my $closed = wait_until(
		"$name: descriptors are closed",
		sub {
			my $pids = $admin->value(q{SELECT string_agg(pid::text, ' ') FROM pooler.backends});
			%has = map { $_ => (descriptors_of($_))[0] } split / /, $pids;
			return !grep { $_ > $clients } values %has;
		});
	ok($closed, "$name: descriptors of backends")
	  or diag(join(' ', map { "$_:$has{$_}" } sort keys %has));
}

1;
