# What happens in a server that has the extension's files but does not load
# the library at start, and that the same works once it does.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my @views = qw(clients backends pools stats stats_by_database stats_by_role status
  latency holders waits prepared_statements pins pin_reasons logins databases
  leaks leak_history leak_counts tls_workers);
my @functions = qw(get_clients get_backends get_pools get_status get_counters
  get_stats get_totals get_times get_prepared_statements get_databases get_holdings
  get_leak_counts get_tls_workers health advice get_pool_advice get_server_advice);

# Those that do something, with arguments; and those that need no pooler.
my @commands = ("disable('postgres')", "enable('postgres')", 'kill_client(1)', 'end_leaks(1)',
	'get_leaks(true)',
	map { "$_()" } qw(kill pause reconnect reset_stats resume shutdown suspend wait_close));
my @others = qw(get_cores import_pgbouncer require_library);
my $line = "shared_preload_libraries = 'pooler'";

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', q{
pooler.listen_addresses = ''
pooler.port = 6432
});
$node->start;

# Nothing goes wrong before somebody asks for something: pg_restore and
# pg_upgrade create extensions in servers that are not set up yet.
my ($rc, $out, $err) = $node->psql('postgres', q{LOAD 'pooler'});
is($rc, 0, 'library can be loaded later');
is($err, '', 'without a complaint');
$node->safe_psql('postgres', 'CREATE EXTENSION pooler');

# The settings in postgresql.conf belong to nobody, as for any library that is
# not loaded.
is($node->safe_psql('postgres',
		q{SELECT count(*) FROM pg_settings WHERE name LIKE 'pooler.%'
		  AND short_desc <> ''}),
	0, 'no settings are defined');

for my $object ((map { "pooler.$_" } @views),
	(map { "pooler.$_()" } @functions), (map { "pooler.$_" } @commands))
{
	($rc, $out, $err) = $node->psql('postgres',
		"\\set VERBOSITY verbose\nSELECT * FROM $object",
		on_error_stop => 0);
	is($out, '', "$object gives nothing");
	like($err, qr/ERROR:  55000: /, "$object raises 55000");
	like($err, qr/HINT: .*\Q$line\E/,
		"$object tells the line to put into postgresql.conf");
}

# The whole list, so that no function is forgotten above.
is($node->safe_psql('postgres',
		q{SELECT string_agg(proname, ' ' ORDER BY proname COLLATE "C")
		  FROM pg_proc WHERE pronamespace = 'pooler'::regnamespace}),
	join(' ', sort @functions, @others, map { /(\w+)/ } @commands),
	'all functions were asked');
is($node->safe_psql('postgres',
		q{SELECT string_agg(relname, ' ' ORDER BY relname COLLATE "C")
		  FROM pg_class WHERE relnamespace = 'pooler'::regnamespace}),
	join(' ', sort @views), 'all views were asked');

is($node->safe_psql('postgres',
		q{SELECT count(*) FROM pg_stat_activity
		  WHERE backend_type = 'pooler'}),
	0, 'no pooler is running');
unlike(slurp_file($node->logfile), qr/PANIC|was terminated by signal/,
	'server has not crashed');
$node->safe_psql('postgres', 'DROP EXTENSION pooler');
$node->safe_psql('postgres', 'CREATE EXTENSION pooler');

# With that very line, and a restart, it works.
$node->append_conf('postgresql.conf', $line);
$node->restart;
ok( $node->poll_query_until(
		'postgres', 'SELECT port = 6432 FROM pooler.status'),
	'the pooler listens');
for my $object ((map { "pooler.$_" } @views),
	(map { "pooler.$_()" } @functions))
{
	($rc, $out, $err) =
	  $node->psql('postgres', "SELECT count(*) FROM $object");
	is($rc, 0, "$object can be read");
	is($err, '', "$object without a complaint");
}

# For pg_monitor, not for everybody, also in a database made later from one
# that has the extension.
$node->safe_psql('postgres', q{
	CREATE ROLE watcher LOGIN IN ROLE pg_monitor;
	CREATE ROLE stranger LOGIN;
	CREATE DATABASE copied TEMPLATE postgres});
for my $database ('postgres', 'copied')
{
	for my $view (@views)
	{
		my $query = "SELECT count(*) FROM pooler.$view";

		($rc, $out, $err) = $node->psql($database, $query,
			extra_params => [ '-U', 'watcher' ]);
		is($rc, 0, "$database: pg_monitor reads pooler.$view");
		($rc, $out, $err) = $node->psql($database, $query,
			extra_params => [ '-U', 'stranger' ]);
		isnt($rc, 0, "$database: others do not read pooler.$view");
		like($err, qr/permission denied/, "$database: and are told why");
	}
}

$node->stop;
done_testing();
