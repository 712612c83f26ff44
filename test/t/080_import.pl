# Can one move from PgBouncer by running what pooler.import_pgbouncer() says?
# The way of the manual, with files and \gexec; and PgBouncer's own sample, if
# it is installed.  What each line becomes is in test/sql/import.sql.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use PoolerTest qw(pooler_connstr set_hba start_node wait_for_pooler);
use PostgreSQL::Test::Utils;
use Test::More;

my $dir = PostgreSQL::Test::Utils::tempdir;
my $node = start_node('import', hba => 'local all all trust');
$node->safe_psql('postgres', 'CREATE DATABASE shop');

# What the manual says, with psql reading the files.
sub convert
{
	my ($ini, $userlist, $query) = @_;
	my ($out, $err);

	append_to_file("$dir/pgbouncer.ini", $ini);
	append_to_file("$dir/userlist.txt", $userlist);
	$node->psql(
		'postgres', qq(\\set ini `cat $dir/pgbouncer.ini`
\\set userlist `cat $dir/userlist.txt`
$query),
		stdout => \$out, stderr => \$err, on_error_stop => 0);
	unlink "$dir/pgbouncer.ini", "$dir/userlist.txt";
	is($err, '', 'without errors');
	return $out;
}

sub setting
{
	my ($name, $database, $role) = @_;
	return $node->safe_psql($database // 'postgres', "SHOW $name",
		extra_params => defined $role ? [ '-U', $role ] : []);
}

my $ini = q{[databases]
shop = host=127.0.0.1 port=5432 pool_mode=session timezone=Asia/Tokyo

[pgbouncer]
default_pool_size = 7
min_pool_size = 2
reserve_pool_size = 3
reserve_pool_timeout = 4
server_lifetime = 1800
query_wait_timeout = 11.5
max_client_conn = 123
pool_mode = transaction
server_reset_query = DISCARD ALL
stats_users = watcher

[users]
"The Boss" = pool_mode=session
};
my $md5 = $node->safe_psql('postgres', q{SELECT 'md5' || md5('its md5' || 'clerk')});
my $userlist = qq("watcher" "its plain"
"clerk" "$md5"
"The Boss" "say ""please"""
);

my $before = $node->safe_psql('postgres',
	q{SELECT count(*) FROM pg_roles UNION ALL SELECT count(*) FROM pg_db_role_setting
	UNION ALL SELECT count(*) FROM pg_file_settings});
convert($ini, $userlist, q{SELECT * FROM pooler.import_pgbouncer(:'ini', :'userlist')});
is($node->safe_psql('postgres',
	q{SELECT count(*) FROM pg_roles UNION ALL SELECT count(*) FROM pg_db_role_setting
	UNION ALL SELECT count(*) FROM pg_file_settings}),
	$before, 'looking changes nothing');

convert($ini, $userlist, q{SELECT statement FROM pooler.import_pgbouncer(:'ini', :'userlist')
WHERE kind = 'statement'
\gexec
});
$node->restart;
is(setting('pooler.default_pool_size'), '7', 'a size');
is(setting('pooler.query_wait_timeout'), '12s', 'a time');
is(setting('pooler.server_lifetime'), '30min', 'another one');
is(setting('pooler.max_client_conn'), '123', 'what needs a restart');
is(setting('pooler.pool_mode'), 'transaction', 'the mode');
is(setting('pooler.pool_mode', 'shop', 'watcher'), 'session', 'the mode of a database');
is(setting('pooler.pool_mode', 'postgres', 'The Boss'), 'session', 'the mode of a role');
is(setting('timezone', 'shop'), 'Asia/Tokyo', 'a setting of the server for a database');
is($node->safe_psql('postgres', q{SELECT pg_has_role('watcher', 'pg_monitor', 'member')}),
	't', 'who may look');

# Everybody logs in through the pooler with the old password.
set_hba($node, 'local all all md5');
$node->restart;
wait_for_pooler($node);
my %password = (watcher => 'its plain', clerk => 'its md5', 'The Boss' => 'say "please"');
for my $role (sort keys %password)
{
	local $ENV{PGPASSWORD} = $password{$role};
	my ($out, $err);

	my $connstr = pooler_connstr($node, database => 'shop', role => $role);
	$node->psql('shop', 'SELECT current_user', connstr => $connstr,
		stdout => \$out, stderr => \$err, extra_params => ['-w']);
	is($out, $role, "$role logs in") or diag($err);

	$ENV{PGPASSWORD} = 'another one';
	isnt($node->psql('shop', 'SELECT 1', connstr => $connstr, stderr => \$err,
			extra_params => ['-w']), 0, "$role does not with another password");
}
set_hba($node, 'local all all trust');
$node->restart;

#
# PgBouncer's own sample, with every line in it turned on
#
my ($sample) = grep { -r }
  qw(/usr/share/doc/pgbouncer/examples/pgbouncer.ini /etc/pgbouncer/pgbouncer.ini);
SKIP:
{
	skip 'PgBouncer is not installed', 4 unless $sample;

	my $text = slurp_file($sample) =~ s/^;(?=[\w*]+ *=|%include)//mgr;
	my @lines = split /\n/, $text;
	my $rows = convert($text, '', q{\pset fieldsep '\t'
SELECT line, item, kind, statement FROM pooler.import_pgbouncer(:'ini') ORDER BY line});
	my @rows = map { [ split /\t/, $_, -1 ] } split /\n/, $rows;
	my %rows_of;

	push @{ $rows_of{ $_->[0] } }, $_ for @rows;
	is_deeply([ grep { $lines[ $_ - 1 ] =~ /^[\w*%]/ && !$rows_of{$_} } 1 .. @lines ],
		[], "each line of $sample has a row");

	# PgBouncer would take it, too.
	is_deeply([ map { $_->[1] } grep { $_->[2] eq 'error' } @rows ],
		[], 'and none is an error');

	my @unknown;
	for (grep { $_->[2] eq 'statement' } @rows)
	{
		my ($statement) = $_->[3];
		my ($err);

		next if $statement =~ /^(ALTER DATABASE|ALTER ROLE|GRANT)/;
		$node->psql('postgres', $statement, stderr => \$err);
		push @unknown, "$statement $err" if $err ne '';
	}
	cmp_ok(scalar(@rows), '>', 60, 'a lot of rows');
  TODO:
	{
		local $TODO = 'settings that are still to come';
		is("@unknown", '', 'the server accepts all settings');
	}
}

$node->stop;
done_testing();
