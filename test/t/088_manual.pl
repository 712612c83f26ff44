# README.md is the manual: every setting, view, column, function and command is
# in it, and it has none that is not there.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use PoolerTest qw(start_node);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WireClient;

my $manual = slurp_file("$FindBin::RealBin/../../README.md");

# The text below a headline, up to the next one of its level or above.
sub section
{
	my ($headline) = @_;
	my ($level, $text) = $manual =~ /^(#+) \Q$headline\E\n(.*)/ms or return '';
	my $n = length $level;

	$text =~ s/^#{1,$n} .*//ms;
	return $text;
}

my $node = start_node('manual');
my $admin = WireClient->new($node, port => $node->port);

sub rows
{
	my ($sql) = @_;
	return grep { length } split(/\n/, $node->safe_psql('postgres', $sql));
}

# settings
my @settings = rows(q{SELECT name FROM pg_settings WHERE name LIKE 'pooler.%' ORDER BY 1});
my $settings = section('Settings');
cmp_ok(@settings, '>', 40, 'there are settings');
ok($settings =~ /^\| `$_` \|/m, "setting $_") for @settings;
is_deeply(
	[ sort { $a cmp $b } grep { my $name = $_; !grep { $_ eq $name } @settings }
	  $settings =~ /^\| `(pooler\.\w+)` \|/mg ],
	[], 'and no others');

# views and their columns
for my $view (rows(q{SELECT relname FROM pg_class WHERE relkind = 'v'
	AND relnamespace = 'pooler'::regnamespace ORDER BY 1}))
{
	my $text = section("pooler.$view");
	my @columns = rows(qq{SELECT attname FROM pg_attribute
		WHERE attrelid = 'pooler.$view'::regclass AND attnum > 0 ORDER BY attnum});

	isnt($text, '', "view $view");
	my ($table) = $text =~ /^\| Column \|.*?\n(.*?)(?:\n\n|\z)/ms;
	my @documented = map { /`(\w+)`/g } ($table // '') =~ /^\| ([^|]*) \|/mg;
	is_deeply([ sort @documented ], [ sort @columns ], "columns of $view");
}

# functions; those below the views are no interface
for my $function (rows(q{SELECT DISTINCT proname FROM pg_proc
	WHERE pronamespace = 'pooler'::regnamespace AND proname !~ '^get_' ORDER BY 1}))
{
	ok($manual =~ /`pooler\.$function\(/, "function $function");
}

$node->stop;
done_testing();
