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
use LoginClient ();
use Mutations qw(attack);
use POSIX ();
use PoolerTest qw(log_after start_node wait_until);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use RawClient;
use Test::More;
use Time::HiRes qw(time);
use WireClient qw(exchange m_bind m_execute m_parse m_query m_sync);

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
$admin->query($_) for (
	'CREATE TABLE counters (client int PRIMARY KEY, n bigint)',
	'CREATE TABLE scratch (i int)',
	q(SET password_encryption = 'scram-sha-256'),
	q(CREATE ROLE calm LOGIN PASSWORD 'secret'),
	q(CREATE ROLE app LOGIN PASSWORD 'secret'),
	'CREATE ROLE viewer LOGIN IN ROLE pg_monitor',
	q(SET password_encryption = 'md5'),
	q(CREATE ROLE old LOGIN PASSWORD 'secret'),
	'GRANT ALL ON counters, scratch TO app, calm',
	# who holds a backend without a need has to give it back some time
	q(ALTER ROLE app SET pooler.idle_transaction_timeout = '2s'),
	q(ALTER ROLE app SET pooler.pin_timeout = '2s'),
	q(ALTER ROLE app SET statement_timeout = '20s'));
WireClient->new($node, role => $_)->quit for qw(app calm);
$admin->until('SELECT clients FROM pooler.status', 0);

sub start_of
{
	my ($pid) = @_;
	return (split ' ', slurp_file("/proc/$pid/stat") =~ s/^.*\) //sr)[19];
}

my $postmaster = slurp_file($node->data_dir . '/postmaster.pid') =~ s/\n.*//sr;
my $pooler = $admin->value('SELECT pid FROM pooler.status');
my %began = map { $_ => start_of($_) } $postmaster, $pooler;
my $own = own_descriptors($admin);
my $log = PoolerTest::log_size($node);

# In kB: what the pooler has allocated.
sub memory
{
	my ($kb) = slurp_file("/proc/$pooler/status") =~ /^RssAnon:\s+(\d+)/m;
	return $kb;
}

#----------------------------------------------------------------------------
# the attackers, in processes of their own
#----------------------------------------------------------------------------

my %attacker;

sub send_attacker
{
	my ($number, $until) = @_;
	my $report = PostgreSQL::Test::Utils::tempdir() . "/report";
	my $pid = fork // die "fork: $!";

	if ($pid == 0)
	{
		my ($count, $errors) = eval { attack($node, $seed + $number, $until) };
		open(my $file, '>', $report) or POSIX::_exit(2);
		print $file "died: $@\n" unless $count;
		print $file join(', ', map { "$count->{$_} $_" } sort keys %$count), "\n",
		  map { "$errors->{$_} times: $_\n" } sort keys %$errors;
		close $file;
		POSIX::_exit($count ? 0 : 1);
	}
	$attacker{$pid} = $report;
}

#----------------------------------------------------------------------------
# those who do nothing wrong
#----------------------------------------------------------------------------

my $next = 0;
my %count;
my @wrong;

# Half of them share the attackers' pool.
sub newcomer
{
	my $id = ++$next;
	my $role = $id % 2 ? 'app' : 'calm';
	my $from = ('local', '127.0.0.1', '127.0.0.2')[ $id % 3 ];
	my $client = WireClient->open($node, from => $from) // die "connect: $!";
	my $answer = LoginClient::login($client->{sock}, role => $role, database => 'postgres',
		application_name => "good $id", $from eq '127.0.0.2' ? (password => 'secret') : ());

	push @wrong, "login from $from as $role: $answer" if $answer ne 'ok';
	@$client{qw(id role n)} = ($id, $role, 0);
	$admin->query("INSERT INTO counters VALUES ($id, 0)");
	$client->query(qq(SET my.owner = 'client $id'));
	$client->query("PREPARE mine AS SELECT $id");
	$count{logins}++;
	return $client;
}

my @questions = (
	sub { my ($c, $nonce) = @_; return (m_query("SELECT '$nonce'"), "$nonce, SELECT 1, I") },
	sub {
		my ($c, $nonce) = @_;
		return (m_parse('SELECT $1::text') . m_bind('', [$nonce]) . m_execute() . m_sync(),
			"parsed, bound, $nonce, SELECT 1, I");
	},
	sub {
		my ($c) = @_;
		my $n = ++$c->{n};
		return (m_query("UPDATE counters SET n = n + 1 WHERE client = $c->{id} RETURNING n"),
			"$n, UPDATE 1, I");
	},
	sub {
		my ($c) = @_;
		my $n = $c->{n} += 2;
		my $update = "UPDATE counters SET n = n + 1 WHERE client = $c->{id}";
		return (m_query("BEGIN; $update; $update RETURNING n; COMMIT"),
			"BEGIN, UPDATE 1, $n, UPDATE 1, COMMIT, I");
	},
	sub { my ($c) = @_; return (m_query('EXECUTE mine'), "$c->{id}, SELECT 1, I") },
	sub { my ($c) = @_; return (m_query(q(SELECT current_setting('my.owner'))), "client $c->{id}, SELECT 1, I") },
	sub {
		my ($c, $nonce) = @_;
		my $n = int rand 3000;
		return (m_query("SELECT repeat('$nonce', $n)"), ($nonce x $n) . ', SELECT 1, I');
	},
	# traces of others, who keep to their own backends while they have these
	sub {
		return (m_query(q(SELECT (SELECT count(*) FROM pg_prepared_statements WHERE name <> 'mine'),
			(SELECT count(*) FROM pg_cursors WHERE is_holdable), (SELECT count(*) FROM pg_listening_channels()),
			(SELECT count(*) FROM pg_class WHERE relnamespace = pg_my_temp_schema()),
			current_setting('application_name') ~ '^good', current_setting('work_mem'))),
			'0|0|0|0|t|4MB, SELECT 1, I');
	});

sub one_round
{
	my ($clients) = @_;
	my (@pairs, @wanted);

	for my $client (@$clients)
	{
		my $nonce = "$client->{id}/" . ++$client->{asked};
		my ($bytes, $wanted) = $questions[ rand @questions ]->($client, $nonce);
		push @pairs, [ $client, $bytes ];
		push @wanted, $wanted;
	}
	my @answers = map { join ', ', grep { !/^NOTICE/ } @$_ } exchange(@pairs);
	for my $i (0 .. $#answers)
	{
		push @wrong, "client $clients->[$i]{id} ($clients->[$i]{role}) got "
		  . substr($answers[$i], 0, 300) . ' wanted ' . substr($wanted[$i], 0, 300)
		  if $answers[$i] ne $wanted[$i];
	}
	$count{answers} += @answers;
}

# A step at a time, and a cancel request that ends what it should.
sub others
{
	my ($calm) = grep { $_->{role} eq 'calm' } @_;
	my $update = "UPDATE counters SET n = n + 1 WHERE client = $calm->{id}";
	my @got = map { $calm->query($_) } 'BEGIN', $update, 'COMMIT';

	$calm->{n}++;
	push @wrong, "a transaction in steps: @got" if "@got" ne 'BEGIN, T UPDATE 1, T COMMIT, I';
	my $sleeper = WireClient->new($node, role => 'calm', application_name => 'sleeper');
	$sleeper->put(m_query('SELECT pg_sleep(1000)'));
	$admin->until(q(SELECT count(*) FROM pooler.clients WHERE application_name = 'sleeper'
		AND state = 'active'), 1);
	$sleeper->cancel;
	my $got = $sleeper->reply;
	push @wrong, "a cancelled query: $got"
	  if $got ne 'ERROR 57014: canceling statement due to user request, I';
	$sleeper->quit;
	$count{cancelled}++;
}

#----------------------------------------------------------------------------
# all of them together
#----------------------------------------------------------------------------

my @clients = map { newcomer() } 1 .. $good;
my $begin = time;
my $until = $begin + $seconds;
my ($half, @memory);

send_attacker($_, $until) for 1 .. $attackers;
while (time < $until && @wrong < 20)
{
	one_round(\@clients);
	$count{rounds}++;
	if ($count{rounds} % 10 == 0)
	{
		my $leaver = splice(@clients, rand @clients, 1);
		$count{total} += $leaver->{n};
		$leaver->quit;
		push @clients, newcomer();
	}
	others(@clients) if $count{rounds} % 25 == 0;
	$half //= memory() if time > $begin + $seconds / 2;
	push @memory, memory() if time > $begin + @memory * $seconds / 20;
}
$half //= memory();
one_round(\@clients) for 1 .. 5;
for my $pid (sort keys %attacker)
{
	waitpid($pid, 0);
	is($?, 0, 'an attacker has come to its end');
	note slurp_file($attacker{$pid});
}
note join(', ', map { "$count{$_} $_" } sort keys %count);
note "memory of the pooler in kB: @memory";

is(join("\n", @wrong), '', 'those who do nothing wrong are answered right');
cmp_ok($count{answers}, '>', 50, 'they had something to do');
$count{total} += $_->{n} for @clients;
is($admin->value('SELECT sum(n) FROM counters'), $count{total}, 'what they count adds up');
$_->quit for @clients;

nothing_left($admin, 0, $own, 'after all');
is($admin->value(q(SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'
	AND pid <> pg_backend_pid() AND pid NOT IN (SELECT pid FROM pooler.backends))), 0,
	'no backend is left');
is($admin->value('SELECT pid FROM pooler.status'), $pooler, 'the pooler is the same');
is($admin->value('SELECT starts FROM pooler.status'), 1, 'it was started once');
is(start_of($_), $began{$_}, 'and so is the server') for sort keys %began;
cmp_ok(memory() - $half, '<', 16 * 1024, 'memory has not grown without bound');

# An internal error is one that nobody should be able to cause.
$log = log_after($node, $log);
is(join("\n", grep { /PANIC|TRAP:|was terminated by signal|server process \(PID|XX\w{3} |stack smashing|AddressSanitizer/ }
		split /\n/, $log), '', 'the log tells of no crash and no internal error');
if ($ENV{POOLER_FUZZ_SECONDS})
{
	my %said;
	$said{$_}++ for map { s/\d+/N/gr =~ s/"[^"]*"/"..."/gr } $log =~ /^\S+ \S+ \S+ \[\d+\] (pooler \S+ .*)/mg;
	note "$said{$_} $_" for sort { $said{$b} <=> $said{$a} } keys %said;
}
$node->stop;
done_testing();
