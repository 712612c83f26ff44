# Programs with real drivers that forget to give something back are found, with
# all that is needed to know which they are and whom they keep waiting; those
# that are only busy are not.
#
# The programs are test/drivers/leak_*, LeakJdbc.java; make test builds them.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use IPC::Run qw(start);
use PoolerTest qw(becomes pooler_connstr pooler_port start_node wait_until);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes ();
use WireClient qw(m_query);

my $programs = $ENV{POOLER_DRIVERS}
  or plan skip_all => 'the programs are built by make test';

# How long sound programs are at work, if the machine is busy with nothing else.
my $seconds = $ENV{POOLER_SOUND_SECONDS} // 30;

my %command_of = (
	jdbc => [ 'java', '-cp', "/usr/share/java/postgresql.jar:$programs", 'LeakJdbc' ],
	pg => [ 'node', "$programs/leak_pg.mjs" ],
	psycopg => [ '/usr/bin/python3', "$programs/leak_psycopg.py" ]);

my $node = start_node('leaking', conf => q{
max_connections = 60
log_statement = none
compute_query_id = on
pooler.default_pool_size = 1
pooler.leak_idle_in_transaction = 2
pooler.leak_pinned_idle = 3
pooler.leak_connection_growth = 5
pooler.leak_pool_held = 3
pooler.leak_locks = 5
pooler.leak_cursors = 5
pooler.leak_prepared_statements = 20
});
my $admin = WireClient->new($node, port => $node->port);
$admin->query('CREATE TABLE accounts AS SELECT id, 0 AS balance FROM generate_series(1, 1000) AS id');
$admin->query('ALTER TABLE accounts ADD PRIMARY KEY (id)');
$admin->query('GRANT ALL ON accounts TO PUBLIC');

# A program, and what is between us: its input, output and errors.
sub start_program
{
	my ($driver, $how, $role) = @_;
	my %program = (in => '', out => '', err => '', name => "leak $driver $how");
	local %ENV = (
		(map { $_ => $ENV{$_} } grep { !/^PG/ } keys %ENV),
		PGHOST => '127.0.0.1', PGPORT => pooler_port($node),
		PGUSER => $role, PGDATABASE => 'postgres', SECONDS => $seconds);

	$program{handle} = start([ @{ $command_of{$driver} }, $how ],
		\$program{in}, \$program{out}, \$program{err});
	return \%program;
}

# Reads from the program until it has said this; returns the match.
sub says
{
	my ($program, $regexp) = @_;
	my @found;

	wait_until("$program->{name} says $regexp",
		sub {
			eval { $program->{handle}->pump_nb };
			@found = $program->{out} =~ $regexp;
			return @found > 0;
		}) or diag("$program->{out}\n$program->{err}");
	return @found;
}

sub ends
{
	my ($program) = @_;
	eval { $program->{handle}->finish } or eval { $program->{handle}->kill_kill };
}

# Clients of the same pool, which wait for their turn.
sub waiters
{
	my ($role, $n) = @_;
	my @waiters = map { WireClient->new($node, role => $role) } 1 .. $n;

	$_->put(m_query("SELECT 'at last'")) for @waiters;
	return @waiters;
}

# A program leaks; which, how, and what there is to be seen:
#	kind, within	kind of leak, and the seconds after which it is one
#	first, last		queries, if it has a backend
#	holds			what it holds
#	waiting			clients that have to wait for its backend
#	blocked			a command that has to wait for its lock
sub test_leak
{
	my ($driver, $how, %wanted) = @_;
	my $name = "$driver $how";
	my $role = "by_${driver}_$how";
	my $where = "WHERE role = '$role' AND kind = '$wanted{kind}'";

	$admin->query("CREATE ROLE $role LOGIN");
	my $program = start_program($driver, $how, $role);
	my ($pid) = says($program, qr/^leaking (\d+)/m);
	my $began = Time::HiRes::time();
	ok(defined $pid, "$name: leaks") or return ends($program);

	ok($admin->until("SELECT count(*) FROM pooler.leaks $where", 1), "$name: is found");
	my $late = $admin->value("SELECT extract(epoch FROM found_at) - $began - $wanted{within}
		FROM pooler.leaks $where");
	cmp_ok($late, '<', 1, "$name: within a second");
	is($admin->value("SELECT held_for > interval '$wanted{within} s' FROM pooler.leaks $where"),
		't', "$name: and not before");

	my @waiters = waiters($role, $wanted{waiting} // 0);
	my $blocked = WireClient->new($node, port => $node->port);
	my $blocked_pid = $blocked->value('SELECT pg_backend_pid()');
	$blocked->put(m_query($wanted{blocked})) if $wanted{blocked};

	is($admin->value("SELECT application_name, database, client_addr FROM pooler.leaks $where"),
		"leak $driver $how|postgres|127.0.0.1", "$name: whose it is");
	is($admin->value("SELECT count(*) FROM pooler.leaks AS l JOIN pooler.clients AS c
			ON c.id = l.client_id AND c.client_port = l.client_port $where" =~
			s/WHERE role/WHERE l.role/r), $wanted{pid} // 1, "$name: which client it is");
	is($admin->value("SELECT coalesce(pid, 0) FROM pooler.leaks $where"),
		defined $wanted{first} ? $pid : $wanted{idle_pid} // $pid, "$name: on which backend")
	  unless $wanted{no_backend};
	like($admin->value("SELECT first_query FROM pooler.leaks $where"), $wanted{first} // qr/^NULL$/,
		"$name: its first query");
	like($admin->value("SELECT last_query FROM pooler.leaks $where"), $wanted{last} // qr/^NULL$/,
		"$name: its last query")
	  unless $wanted{no_backend};
	like($admin->value("SELECT holds FROM pooler.leaks $where"), $wanted{holds},
		"$name: what it holds");
	ok($admin->until("SELECT clients_waiting FROM pooler.leaks $where", scalar @waiters),
		"$name: how many wait because of it");
	ok($admin->until("SELECT blocked_pids FROM pooler.leaks $where",
			$wanted{blocked} ? "{$blocked_pid}" : 'NULL'),
		"$name: who waits for its lock");
	# the pooler looks at what is held a few times a second
	ok($admin->until("SELECT max_clients_waiting FROM pooler.get_leaks(false) $where",
			scalar @waiters), "$name: as the pooler has seen");

	is($admin->value("SELECT leak_kind FROM pooler.end_leaks(kind => '$wanted{kind}', role => '$role')"),
		$wanted{kind}, "$name: can be ended");
	is($_->reply, 'at last, SELECT 1, I', "$name: others get on") for @waiters;
	is($blocked->reply, 'UPDATE 1, I', "$name: and who waited for a lock") if $wanted{blocked};
	$program->{in} .= "go\n";
	like((says($program, qr/^((?:error|went on|failed).*)/m))[0] // '', qr/^error: .*$wanted{error}/,
		"$name: the client is told why");
	ends($program);
	is($admin->value("SELECT ended_by, max_clients_waiting FROM pooler.leak_history $where"),
		'end_leaks|' . @waiters, "$name: stands in the history");
	$_->quit for $blocked, @waiters;
	ok($admin->until("SELECT count(*) FROM pooler.leaks WHERE role = '$role'", 0),
		"$name: nothing is left");
}

test_leak('psycopg', 'forgets_commit',
	kind => 'idle_in_transaction', within => 2,
	first => qr/^SELECT pg_backend_pid\(\)$/, last => qr/^SELECT 'the last thing it asks'$/,
	holds => qr/./, waiting => 2,
	error => 'idle in a transaction for too long');

test_leak('psycopg', 'holds_rows',
	kind => 'idle_in_transaction', within => 2,
	first => qr/^UPDATE accounts/, last => qr/^SELECT pg_backend_pid/,
	holds => qr/RowExclusiveLock on relation accounts/, waiting => 1,
	blocked => 'UPDATE accounts SET balance = 0 WHERE id = 1',
	error => 'idle in a transaction for too long');

test_leak('psycopg', 'keeps_locks',
	kind => 'locks', within => 0,
	last => qr/^SELECT pg_backend_pid/,
	holds => qr/backend because of .*advisory/, waiting => 1,
	error => 'too many advisory locks');

test_leak('pg', 'never_releases',
	kind => 'idle_in_transaction', within => 2,
	first => qr/^SELECT balance FROM accounts/, last => qr/^SELECT pg_backend_pid/,
	holds => qr/RowShareLock on relation accounts/, waiting => 1,
	blocked => 'UPDATE accounts SET balance = 0 WHERE id = 2',
	error => 'idle in a transaction for too long');

test_leak('pg', 'grows',
	kind => 'connection_growth', within => 0, no_backend => 1, pid => 0,
	holds => qr/[567] unused connections/,
	error => '6 clients: .*one of too many that are not used');

test_leak('jdbc', 'keeps_cursors',
	kind => 'cursors', within => 0,
	first => qr/^SELECT id FROM accounts/, last => qr/^SELECT pg_backend_pid/,
	holds => qr/6 cursors: .*C_\d/, waiting => 2,
	error => 'too many cursors');

test_leak('jdbc', 'keeps_statements',
	kind => 'prepared_statements', within => 0, no_backend => 1,
	holds => qr/[23]\d prepared statements/,
	error => 'prepared too many statements');

#----------------------------------------------------------------------------
# sound programs
#----------------------------------------------------------------------------

my $script = "$PostgreSQL::Test::Utils::tmp_check/sound.sql";
append_to_file($script, q{\set id random(2, 1000)
BEGIN;
SELECT balance FROM accounts WHERE id = :id;
\sleep 2 ms
UPDATE accounts SET balance = balance + 1 WHERE id = :id;
COMMIT;
});
$admin->query("CREATE ROLE sound_$_ LOGIN") for qw(psycopg pg jdbc pgbench);
$admin->query('ALTER SYSTEM SET pooler.default_pool_size = 3');
# more than a busy machine may keep one of them from going on
$admin->query("ALTER SYSTEM SET pooler.leak_$_ = 10")
  for qw(idle_in_transaction pinned_idle pool_held);
$admin->query('SELECT pg_reload_conf()');
my ($last_id) = $admin->value('SELECT max(id) FROM pooler.leak_history');

my @sound = map { start_program($_, 'sound', "sound_$_") } qw(psycopg pg jdbc);
my ($out, $err) = ('', '');
my $pgbench = start(
	[
		'pgbench', '-n', '-c', 8, '-j', 8, '-T', $seconds, '-M', 'prepared', '-f', $script,
		pooler_connstr($node, role => 'sound_pgbench')
	],
	\undef, \$out, \$err);
my $until = Time::HiRes::time() + $seconds;
wait_until('they have worked for some time',
	sub {
		eval { $_->{handle}->pump_nb } for @sound;
		eval { $pgbench->pump_nb };
		return Time::HiRes::time() > $until;
	}, $seconds + 60);
ok($pgbench->finish, 'pgbench is satisfied') or diag($err);
for my $program (@sound)
{
	is((says($program, qr/^at work\n(.+)/m))[0], 'done', "$program->{name}: is satisfied");
	ends($program);
}
is($admin->value("SELECT string_agg(concat_ws(' ', kind, application_name, threshold, holds), '; ')
		FROM (SELECT id, kind, application_name, threshold, holds FROM pooler.leaks UNION ALL
			SELECT id, kind, application_name, threshold, holds FROM pooler.leak_history) AS l
		WHERE id > $last_id"), 'NULL', 'none of them counts as a leak');
cmp_ok($admin->value(q{SELECT min(transactions) FROM pooler.stats WHERE role LIKE 'sound\_%'}),
	'>', 100, 'all have been at work');
cmp_ok($admin->value(q{SELECT count(*) FROM pooler.stats WHERE role LIKE 'sound\_%' AND waits > 0}),
	'>', 2, 'and had to wait for each other');

$node->stop;
done_testing();
