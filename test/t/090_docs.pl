# Is what the manuals name all that there is, and nothing else?  README.md:
# settings with their defaults, views with their columns.  src/README.md: files
# in the table of their folder, functions.

use strict;
use warnings;

use Cwd qw(abs_path);
use File::Find;
use FindBin;
use lib $FindBin::Bin;
use PoolerTest qw(start_node);
use PostgreSQL::Test::Utils;
use Test::More;

my $top = abs_path("$FindBin::Bin/../..");
my $manual = slurp_file("$top/README.md");
my $inside = slurp_file("$top/src/README.md");

my $node = start_node('docs');

sub rows
{
	my ($query) = @_;
	return map { [ split /\t/, $_, -1 ] } split /\n/,
	  $node->safe_psql('postgres', $query, extra_params => [ '-F', "\t" ]);
}

# The words in backticks of a text, without schema or folder.
sub quoted
{
	my ($text) = @_;
	return map { s/^.*\///r } $text =~ /`([^`\n]+)`/g;
}

# Two lists of names are equal; says which are on one side only.
sub same_names
{
	my ($documented, $existing, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my %documented = map { $_ => 1 } @$documented;
	my %existing = map { $_ => 1 } @$existing;
	my @missing = grep { !$documented{$_} } sort keys %existing;
	my @unknown = grep { !$existing{$_} } sort keys %documented;

	ok(@missing + @unknown == 0 && %existing, $name)
	  or diag("not documented: @missing\ndo not exist: @unknown");
}

#
# README.md
#

# Rows of the table of settings: name => [ default, context ]
my %setting_row = map { $_->[0] => [ @$_[ 1, 2 ] ] }
  map { [ /^\| `(pooler\.\w+)` \| ([^|]*?) \| (\w+) \|/ ] }
  grep { /^\| `pooler\.\w+` \|/ } split /\n/, $manual;

my @settings = rows(
	q{SELECT name,
		CASE WHEN boot_val IS NULL THEN 'not set'
			WHEN boot_val = '' THEN 'empty'
			WHEN vartype IN ('string', 'enum') THEN '`' || boot_val || '`'
			ELSE boot_val || coalesce(' ' || unit, '') END,
		CASE context WHEN 'postmaster' THEN 'restart'
			WHEN 'sighup' THEN 'reload' ELSE context END
	FROM pg_settings WHERE name LIKE 'pooler.%' ORDER BY name});

same_names([ keys %setting_row ], [ map { $_->[0] } @settings ],
	'README.md has a row for each setting');
for (@settings)
{
	my ($name, $default, $context) = @$_;
	my $row = $setting_row{$name} // [];

	is("@$row", "$default $context", "default and context of $name");
}

# The part of README.md below "### pooler.<view>"
my %section = $manual =~ /^### (pooler\.\w+)\n(.*?)(?=^##)/msg;
my @columns = rows(
	q{SELECT 'pooler.' || c.relname, a.attname FROM pg_class c, pg_attribute a
	WHERE c.relnamespace = 'pooler'::regnamespace AND c.relkind IN ('v', 'r')
		AND a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped});
my %columns;
push @{ $columns{ $_->[0] } }, $_->[1] for @columns;

same_names([ keys %section ], [ keys %columns ],
	'README.md has a section for each view');
for my $view (sort keys %columns)
{
	my ($table) =
	  ($section{$view} // '') =~ /^\| Column \|.*\n\|[- |]*\n((?:\|.*\n)+)/m;

	same_names(
		[ map { /^\|([^|]*)\|/ ? quoted($1) : () } split /\n/, $table // '' ],
		$columns{$view}, "README.md has all columns of $view");
}

my @states = map { [ $_, $section{"pooler.$_"} =~ /^\| `state` \| \|\n\|[- |]*\n((?:\|.*\n)+)/m ] }
  qw(clients backends);
for (@states)
{
	my ($view, $table) = @$_;
	my ($comment) = $node->safe_psql('postgres',
		"SELECT col_description('pooler.$view'::regclass, attnum) FROM pg_attribute"
		  . " WHERE attrelid = 'pooler.$view'::regclass AND attname = 'state'");

	same_names([ map { /^\| `(\w+)`/ } split /\n/, $table // '' ],
		[ $comment =~ /(?:^|; )(\w+): /g ],
		"README.md has all values of pooler.$view.state");
}

# Functions, but for those below the views
same_names(
	[ grep { !/^get_/ } $manual =~ /`pooler\.(\w+)\(/g ],
	[
		map { $_->[0] } rows(
			q{SELECT DISTINCT proname FROM pg_proc
			WHERE pronamespace = 'pooler'::regnamespace AND proname !~ '^get_'})
	],
	'README.md has all functions');

#
# src/README.md
#

my (%files, $source);
find(
	{
		no_chdir => 1,
		wanted => sub {
			return unless -f && /\.(c|h|pml|map|html|css|js|yml|json)$/;
			my ($folder, $file) = m{^\Q$top\E/src/(?:(.*)/)?([^/]+)$};
			push @{ $files{ $folder // '' } }, $file;
			$source .= slurp_file($_);
		}
	},
	"$top/src");

for my $folder (sort grep { $_ ne '' } keys %files)
{
	my ($table) = $inside =~ /^\| `\Q$folder\E\/` \|.*\n\|[-|]*\n((?:\|.*\n)+)/m;

	same_names(
		[ map { /^\|([^|]*)\|/ ? quoted($1) : () } split /\n/, $table // '' ],
		$files{$folder}, "src/README.md has all files of src/$folder");
}
for (sort @{ $files{''} })
{
	like($inside, qr/`\Q$_\E`/, "src/README.md mentions $_");
}

my %exists = map { $_ => 1 } map { @$_ } values %files;
my @unknown = grep { /^[\w-]+\.(c|h|pml|map|html|css|js|yml)$/ && !$exists{$_} } quoted($inside);
is("@unknown", '', 'src/README.md names no file that does not exist');

my %word = map { $_ => 1 } $source =~ /(\w+)/g;
my %core = map { $_ => 1 } qw(
  CreateWaitEventSet PQbackendPID ReadyForQuery pg_backend_pid pg_backup_start
  pg_is_other_temp_schema pg_my_temp_schema random setseed ssl_is_used);
@unknown = grep { !$word{$_} && !$core{$_} } $inside =~ /`(\w+)\(\)`/g;
is("@unknown", '', 'src/README.md names no function that does not exist');

done_testing();
