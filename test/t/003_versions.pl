# A library that is older or newer than the SQL objects of a database: what
# users are told, that the pooler goes on, updates to the next version and back,
# dump and restore.
#
# The next version is made up: two update scripts, and a copy of the library in
# which other bytes tell its version.  All this happens in an installation of
# the test's own, made of copies of the programs and links to the rest.

use strict;
use warnings;

use PoolerTest qw(configure pooler_psql wait_for_pooler worker_pid);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

#----------------------------------------------------------------------------
# an installation
#----------------------------------------------------------------------------

my $place = PostgreSQL::Test::Utils::tempdir_short();
my %dir;

for my $name (qw(bindir pkglibdir sharedir))
{
	chomp(my $from = `pg_config --$name`);
	$dir{$name} = "$place$from";
	system('mkdir', '-p', $dir{$name}) == 0 or die "mkdir: $?";
	system('cp', $name eq 'bindir' ? '-rL' : '-rs', "$from/.", $dir{$name}) == 0
	  or die "cp: $?";
}

my $library = "$dir{pkglibdir}/pooler.so";
my $scripts = "$dir{sharedir}/extension";
my ($version) = slurp_file("$scripts/pooler.control") =~ /^default_version = '(.*)'$/m;
my ($major, $minor) = $version =~ /^(\d+)\.(\d+)$/;
my $next = "$major." . ($minor + 1);

# A new file in the place of the old one, as an installation makes it.
sub put_file
{
	my ($path, $bytes) = @_;
	open(my $file, '>:raw', "$path.new") or die "$path: $!";
	print $file $bytes;
	close $file;
	rename("$path.new", $path) or die "$path: $!";
}

my %library = ($version => slurp_file($library));
$library{$next} = $library{$version};
is($library{$next} =~ s/pooler_version=\Q$version\E\0/pooler_version=$next\0/g, 1,
	'the library knows the version of pooler.control');
BAIL_OUT('the next version is longer') if length $library{$next} != length $library{$version};

# Whatever comes first in a script must not fail with an old library.
for my $script (glob("$scripts/pooler--*.sql"))
{
	my $text = slurp_file($script) =~ s{/\*.*?\*/|^\\echo.*?$|^--.*?$}{}gmsr;
	my ($target) = $script =~ /([0-9.]+)\.sql$/;
	$text =~ s/\A\s*CREATE FUNCTION pooler.require_library.*?;\s*REVOKE.*?;\s*COMMENT.*?';//s
	  if $script !~ /--.*--/;
	like($text, qr/\A\s*SELECT pooler\.require_library\('\Q$target\E'/,
		($script =~ s{.*/}{}r) . ' asks for the library first');
}

put_file("$scripts/pooler--$version--$next.sql", qq{
SELECT pooler.require_library('$next'::pg_catalog.text);
CREATE FUNCTION pooler.get_next() RETURNS integer AS 'MODULE_PATHNAME', 'pooler_get_cores' LANGUAGE C;
CREATE VIEW pooler.next AS SELECT pooler.get_next() AS next, clients FROM pooler.status;
});
put_file("$scripts/pooler--$next--$version.sql", qq{
SELECT pooler.require_library('$version'::pg_catalog.text);
DROP VIEW pooler.next;
DROP FUNCTION pooler.get_next();
});

#----------------------------------------------------------------------------
# what can be asked
#----------------------------------------------------------------------------

my $node = PostgreSQL::Test::Cluster->new('versions',
	install_path => $dir{bindir} =~ s{/bin$}{}r);
$node->init;
configure($node);
$node->start;
wait_for_pooler($node);

sub answer
{
	my ($sql, $database) = @_;
	my ($rc, $out, $err) = $node->psql($database // 'postgres', "\\set VERBOSITY verbose\n$sql");
	return $rc == 0 ? $out : $err;
}

sub installed
{
	return answer(q{SELECT extversion FROM pg_extension WHERE extname = 'pooler'}, @_);
}

sub error
{
	my ($message, $hint) = @_;
	return qr/ERROR:  55000: \Q$message\E\n(.*\n)*HINT:  \Q$hint\E/;
}

my $restart = 'Restart the server, so that it loads the library that is installed.';
my $objects_old = error(qq(extension "pooler" of this database has version $version, but the library needs version $next),
	'Run ALTER EXTENSION pooler UPDATE.');
my $objects_new = error(qq(extension "pooler" of this database has version $next, but the library that the server has loaded is for version $version), $restart);
my $library_old = error(qq(version $next of extension "pooler" needs a newer library than that of version $version, which the server has loaded), $restart);

# All views, and all functions in C but those that look at nothing.
sub everything
{
	return split /\n/, answer(q{
		SELECT format('SELECT * FROM pooler.%I', relname)
		FROM pg_class WHERE relnamespace = 'pooler'::regnamespace AND relkind = 'v'
		UNION ALL
		SELECT format('SELECT * FROM pooler.%I(%s)', proname,
			(SELECT string_agg(CASE t::regtype::text WHEN 'text' THEN '''now''' WHEN 'name' THEN '''postgres'''
				WHEN 'boolean' THEN 'false' WHEN 'interval' THEN '''1s''' ELSE '1' END, ', ')
			 FROM unnest(proargtypes) AS t))
		FROM pg_proc AS p JOIN pg_language AS l ON l.oid = prolang
		WHERE pronamespace = 'pooler'::regnamespace AND lanname = 'c'
			  AND proname NOT IN ('get_cores', 'get_next', 'import_pgbouncer', 'require_library')});
}

sub all_refuse
{
	my ($error, $name) = @_;
	my @all = everything();
	my @others = grep { answer($_) !~ $error } @all;

	cmp_ok(scalar @all, '>', 30, "$name: views and functions");
	is(join(', ', @others), '', "$name: each refuses");
	diag(answer($others[0])) if @others;
}

sub all_work
{
	my ($name) = @_;
	my @failed = grep { /pooler\.\w+$/ && answer("SELECT count(*) FROM ($_) AS q") !~ /^\d+$/ } everything();
	is(join(', ', @failed), '', "$name: all views can be read");
}

sub pooler_goes_on
{
	my ($name) = @_;
	is(pooler_psql($node, 'SELECT 40 + 2'), '42', "$name: the pooler serves");
	isnt(worker_pid($node), '', "$name: it runs");
}

sub install
{
	my ($which) = @_;
	put_file($library, $library{$which});
	put_file("$scripts/pooler.control",
		slurp_file("$scripts/pooler.control") =~ s/^default_version = .*$/default_version = '$which'/mr);
}

sub restart
{
	$node->restart;
	wait_for_pooler($node);
}

#----------------------------------------------------------------------------
# the same version
#----------------------------------------------------------------------------

$node->safe_psql('postgres', "CREATE DATABASE $_") for qw(old new restored);
answer('CREATE EXTENSION pooler');
is(installed(), $version, 'the extension');
all_work('the same version');
is(answer("SELECT pooler.require_library('$version')"), '', 'the library is new enough');
is(answer("SELECT pooler.require_library('$major.0')"), '', 'also for what was before');
is(answer("SELECT pooler.require_library('0.99')"), '', 'and for what was long before');
like(answer("SELECT pooler.require_library('$_')"), qr/needs a newer library/, "and not for $_")
  for ($next, "$major.1000", ($major + 1) . '.0');

#----------------------------------------------------------------------------
# new files, and no restart
#----------------------------------------------------------------------------

install($next);
like(answer('ALTER EXTENSION pooler UPDATE'), $library_old, 'an update needs the new library');
is(installed(), $version, 'and changes nothing');
all_work('new files, no restart');
like(answer('CREATE EXTENSION pooler', 'new'), $library_old, 'so does a new extension');
is(installed('new'), '', 'which is not there then');
is(answer("CREATE EXTENSION pooler VERSION '$version'", 'old'), '', 'one of the old version can be made');
pooler_goes_on('new files, no restart');

#----------------------------------------------------------------------------
# older objects
#----------------------------------------------------------------------------

restart();
all_refuse($objects_old, 'older objects');
pooler_goes_on('older objects');
is(answer('CREATE EXTENSION pooler', 'new'), '', 'a new extension');
is(installed('new'), $next, 'is of the new version, made in two steps');
like(answer('SELECT next >= 0 AND clients >= 0 FROM pooler.next', 'new'), qr/^t$/, 'and works');
like(answer('BEGIN; ALTER EXTENSION pooler UPDATE; SELECT count(*) FROM pooler.next; ROLLBACK'),
	qr/^1$/, 'objects work as soon as they are updated');
like(answer('SELECT * FROM pooler.status'), $objects_old, 'unless that is taken back');
is(answer('ALTER EXTENSION pooler UPDATE'), '', 'an update');
is(installed(), $next, 'to the new version');
all_work('after the update');
is(answer("SELECT pooler.require_library('$version')"), '', 'the new library will do for older scripts');

#----------------------------------------------------------------------------
# dump and restore
#----------------------------------------------------------------------------

$node->safe_psql('postgres', q{CREATE ROLE watcher; GRANT SELECT ON pooler.clients TO watcher;
	CREATE VIEW public.mine AS SELECT clients FROM pooler.status});
my $dump = "$place/dump.sql";
$node->command_ok([ 'pg_dump', '-f', $dump, '-d', $node->connstr('postgres') ], 'pg_dump');
unlike(slurp_file($dump), qr/CREATE (VIEW|FUNCTION) pooler/, 'it holds no objects of the extension');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', $dump,
		'-d', $node->connstr('restored') ], 'restored');
is(installed('restored'), $next, 'with the extension');
is(answer('SELECT count(*) FROM public.mine', 'restored'), '1', 'and what uses it');
is(answer(q{SELECT has_table_privilege('watcher', 'pooler.clients', 'SELECT'),
	has_table_privilege('watcher', 'pooler.backends', 'SELECT')}, 'restored'),
	't|f', 'and who may read it');
answer('DROP VIEW public.mine');

#----------------------------------------------------------------------------
# newer objects
#----------------------------------------------------------------------------

install($version);
restart();
all_refuse($objects_new, 'newer objects');
pooler_goes_on('newer objects');
is(answer("ALTER EXTENSION pooler UPDATE TO '$version'"), '', 'back to the version before');
is(installed(), $version, 'it is');
all_work('after going back');
is(answer('SELECT count(*) FROM pooler.status', 'old'), '1', 'a database that was never updated works again');

# a version that is none of ours
$node->safe_psql('postgres', q{UPDATE pg_extension SET extversion = 'unpackaged' WHERE extname = 'pooler'});
like(answer('SELECT * FROM pooler.status'),
	qr/has version unpackaged, but the library needs version \Q$version\E\n(.*\n)*HINT:  Run ALTER EXTENSION pooler UPDATE/,
	'a version made up by somebody');
$node->safe_psql('postgres', qq{UPDATE pg_extension SET extversion = '$version' WHERE extname = 'pooler'});

unlike(slurp_file($node->logfile), qr/PANIC|was terminated by signal/, 'the server has not crashed');
$node->stop;
done_testing();
