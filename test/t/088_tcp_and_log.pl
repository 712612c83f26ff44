# Options of clients' TCP connections and of the listening sockets, and what is
# written to the log; changed by reload.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use PoolerTest qw(log_after log_size logged pooler_port start_node wait_for_pooler wait_until);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use RawClient ();
use Socket qw(:DEFAULT unpack_sockaddr_in);
use Test::More;
use WireClient qw(m_query);

my $node = start_node('tcp', conf => q{
log_min_messages = warning
tcp_keepalives_idle = 700
pooler.listen_backlog = 77
});
my $admin = WireClient->new($node, port => $node->port);
$admin->query('CREATE ROLE app LOGIN');

# In force when this returns: the size of a pool says so.
my $size = 20;

sub settings
{
	my (%settings) = @_;

	$size++;
	$settings{'pooler.default_pool_size'} = $size;
	$admin->query('ALTER SYSTEM RESET ALL');
	$admin->query("ALTER SYSTEM SET $_ = '$settings{$_}'") for sort keys %settings;
	my $canary = WireClient->new($node, role => 'app');
	$admin->query('SELECT pg_reload_conf()');
	$admin->until(q{SELECT size FROM pooler.pools WHERE role = 'app'}, $size);
	$canary->quit;
}

#----------------------------------------------------------------------------
# TCP
#----------------------------------------------------------------------------

# The row of the pooler's end of a client's connection in /proc/net/tcp: which
# timer is set, and the seconds that are left.
sub timer_of
{
	my ($client) = @_;
	my ($port) = unpack_sockaddr_in(getsockname $client->{sock});
	my $peer = sprintf ':%04X', $port;
	my $local = sprintf ':%04X', pooler_port($node);

	for (split /\n/, slurp_file('/proc/net/tcp'))
	{
		my @column = split;
		next unless @column > 5 && $column[1] =~ /\Q$local\E$/ && $column[2] =~ /\Q$peer\E$/;
		my ($timer, $left) = split /:/, $column[5];
		return ($timer, hex($left) / 100);
	}
	return ('none', 0);
}

sub keepalive_is
{
	my ($least, $most, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $client = WireClient->new($node, from => '127.0.0.1', role => 'app');
	my ($timer, $left);

	# a retransmission timer comes first, until what was sent is acknowledged
	wait_until('only the keepalive timer is left', sub {
		($timer, $left) = timer_of($client);
		return $timer eq '02' || $timer eq '00';
	});
	if (defined $least)
	{
		is($timer, '02', "$name: keepalive is on");
		cmp_ok($left, '>', $least, "$name: not too early");
		cmp_ok($left, '<=', $most, "$name: not too late");
	}
	else
	{
		is($timer, '00', "$name: keepalive is off");
	}
	$client->quit;
}

keepalive_is(500, 700, "the server's setting");
settings('pooler.tcp_keepidle' => '3000s');
keepalive_is(2700, 3000, 'of its own');
settings('pooler.tcp_keepidle' => '50min', 'pooler.tcp_keepalive' => 'off');
keepalive_is(undef, undef, 'none');

# Other options are seen by the tool that asks the kernel for them.
sub ss
{
	my ($what, $filter) = @_;
	return '' unless grep { -x "$_/ss" } split /:/, $ENV{PATH};
	my ($out, $err) = run_command([ 'ss', '-H', '-n', split(/ /, $what), split(/ /, $filter) ]);
	return $out;
}

SKIP:
{
	skip 'ss of iproute2 is not there', 5 unless ss('-lt', 'sport = :' . pooler_port($node));
	like(ss('-lt', 'sport = :' . pooler_port($node)), qr/^LISTEN +\d+ +77 /, 'listen_backlog');
	my $buffer = sub {
		my $client = WireClient->new($node, from => '127.0.0.1', role => 'app');
		my ($port) = unpack_sockaddr_in(getsockname $client->{sock});
		my $out = ss('-tm', "dport = :$port");
		is($client->query(q{SELECT length(repeat('x', 3000000)) /* } . 'y' x 100000 . ' */'),
			'3000000, SELECT 1, I', 'long messages pass');
		$client->quit;
		return $out =~ /skmem:\(r\d+,rb(\d+),t\d+,tb(\d+)/ ? ($1, $2) : (0, 0);
	};
	my @default = $buffer->();
	# the kernel doubles what it is told
	settings('pooler.tcp_socket_buffer' => '48kB');
	my @own = $buffer->();
	is("@own", '98304 98304', 'tcp_socket_buffer');
	settings('pooler.tcp_socket_buffer' => 1);
	@own = $buffer->();
	cmp_ok($own[0], '>=', 32768, 'a first message always fits');
}

# A message of just under the length up to which the pooler waits for all of
# it, in pieces, with the smallest buffer.
{
	settings('pooler.tcp_socket_buffer' => 1);
	my $client = WireClient->new($node, from => '127.0.0.1', role => 'app');
	my $message = m_query("SELECT 1 /* " . 'x' x 8000 . ' */');
	for my $piece (unpack('(a500)*', $message))
	{
		$client->put($piece);
		select undef, undef, undef, 0.01;
	}
	is($client->reply, '1, SELECT 1, I', 'it is served');
	$client->quit;
}

# Who says nothing is left to the kernel.
$admin->query('ALTER SYSTEM RESET ALL');
$admin->query('ALTER SYSTEM SET pooler.tcp_defer_accept = on');
$admin->quit;
$node->restart;
wait_for_pooler($node);
$admin = WireClient->new($node, port => $node->port);
{
	my $silent = RawClient->open($node);
	my $local = RawClient->open($node, from => 'local');
	ok($admin->until('SELECT count(*) FROM pooler.clients', 1), 'one of two is known');
	my $client = WireClient->new($node, from => '127.0.0.1', role => 'app');
	is($client->query('SELECT 1'), '1, SELECT 1, I', 'who speaks is served');
	is($silent->login(role => 'app'), 'ok', 'also when it begins late');
	$client->quit;
	$local->close;
	$silent->quit;
}

#----------------------------------------------------------------------------
# log_connections, log_disconnections
#----------------------------------------------------------------------------

# One client comes and goes; then its lines in the log.
sub lines
{
	my $log = log_size($node);
	my $client = WireClient->new($node, from => '127.0.0.1', role => 'app',
		application_name => "visit$log");
	my ($port) = unpack_sockaddr_in(getsockname $client->{sock});
	$client->quit;
	$admin->until('SELECT count(*) FROM pooler.clients', 0);
	# whatever was written before this line is there
	$admin->query(qq{DO \$\$ BEGIN RAISE WARNING 'mark$log'; END \$\$});
	logged($node, $log, qr/mark$log/, 'the log is up to date');
	my $text = log_after($node, $log);
	return join(' ',
		($text =~ /connection received: host=127\.0\.0\.1 port=$port$/m ? 'received' : ()),
		($text =~ /connection authorized: user=app database=postgres application_name=visit$log$/m ? 'authorized' : ()),
		($text =~ /disconnection: session time: .* user=app database=postgres host=127\.0\.0\.1 port=$port$/m ? 'left' : ()));
}

my $all = 'received authorized left';
my @server = ('log_connections' => 'on', 'log_disconnections' => 'on');
my @own = ('pooler.log_connections' => 'on', 'pooler.log_disconnections' => 'on');

is(lines(), '', 'nothing by default');
settings(@server);
is(lines(), $all, 'as the server: on, by reload');
settings('log_connections' => 'on');
is(lines(), 'received authorized', 'one of them');
settings();
is(lines(), '', 'off, by reload');
settings('pooler.log_connections' => 'on');
is(lines(), 'received authorized', 'connections to the pooler alone');
settings(@own);
is(lines(), $all, 'and their end');
settings(@server, 'pooler.log_connections' => 'off', 'pooler.log_disconnections' => 'off');
is(lines(), '', 'all but those to the pooler');
settings('log_connections' => 'nonsense');
is(lines(), '', 'what the server does not understand changes nothing');
settings(@server);
is(lines(), $all, 'on again');

# What the command line says comes first.
$admin->query('ALTER SYSTEM RESET ALL');
$admin->quit;
$node->stop;
$node->append_conf('postgresql.conf', "log_disconnections = off\n");
{
	local $ENV{PGOPTIONS};
	command_ok([ 'pg_ctl', '-w', '-D', $node->data_dir, '-l', $node->logfile, '-o',
			'--cluster-name=tcp -c log_connections=on', 'start' ], 'started with an option');
	$node->_update_pid(1);
}
wait_for_pooler($node);
$admin = WireClient->new($node, port => $node->port);
is(lines(), 'received authorized', 'an option of the command line');
settings('log_connections' => 'off', 'log_disconnections' => 'on');
is(lines(), $all, 'stays, and a file that is overridden has no effect');
settings();
is(lines(), 'received authorized', 'until the restart');

#----------------------------------------------------------------------------
# log_pooler_errors, log_stats
#----------------------------------------------------------------------------

# A client that waits in vain is told so in any case.
sub wait_in_vain
{
	my ($busy, $idle) = map { WireClient->new($node, role => 'app') } 1 .. 2;
	$busy->query('BEGIN');
	$idle->put(m_query('SELECT 1'));
	my $reply = $idle->reply;
	$busy->quit;
	$idle->close;
	$admin->until('SELECT count(*) FROM pooler.clients', 0);
	return $reply;
}

$admin->query(q{ALTER ROLE app SET pooler.default_pool_size = 1;
	ALTER ROLE app SET pooler.query_wait_timeout = '100ms'});
my $reply = qr/^FATAL 53300: terminating connection because no backend became free in time/;
for my $choice ('on', 'off')
{
	$admin->query('ALTER SYSTEM RESET ALL');
	$admin->query("ALTER SYSTEM SET pooler.log_pooler_errors = $choice");
	$admin->query('ALTER SYSTEM SET log_min_messages = log');
	$admin->query('SELECT pg_reload_conf()');
	# the worker has read it when a client is logged that has come after it
	my $log = log_size($node);
	ok(wait_until('it is reloaded', sub {
		my $seen = log_size($node);
		like(wait_in_vain(), $reply, 'told');
		$admin->query(qq{DO \$\$ BEGIN RAISE WARNING 'mark$seen'; END \$\$});
		wait_until('the log is up to date', sub { log_after($node, $seen) =~ /mark$seen/ });
		return (log_after($node, $seen) =~ /no backend became free in time/) == ($choice eq 'on');
	}), "log_pooler_errors = $choice");
	# what core would log is logged
	$log = log_size($node);
	is(RawClient->open($node)->login(role => 'nobody_of_this_name'),
		'FATAL 28000: role "nobody_of_this_name" does not exist', 'a login that fails');
	logged($node, $log, qr/FATAL:  role "nobody_of_this_name" does not exist/, 'is logged');
}
$admin->query('ALTER ROLE app RESET ALL');

settings('pooler.log_stats' => 'on', 'pooler.stats_period' => '1s', 'log_min_messages' => 'log');
{
	my $client = WireClient->new($node, role => 'app');
	my $log = log_size($node);
	my $end = time() + PoolerTest::TIMEOUT;
	my $line = qr/LOG:  pooler statistics: (\d+\.\d) transactions\/s, (\d+\.\d) queries\/s, (\d+\.\d) errors\/s, (\d+) us per transaction, (\d+\.\d) waits\/s, (\d+) us per wait\n.*DETAIL:  In total: (\d+) transactions, (\d+) queries, (\d+) errors, (\d+) waits, (\d+) logins\./;
	my $seen = '';
	# the period may have ended in the middle of the first ones
	while ($seen !~ $line || $1 == 0 || $2 < $1 || $7 < 20)
	{
		die "no statistics: $seen" if time() > $end;
		$client->query('SELECT 1; SELECT pg_sleep(0.01)') for 1 .. 20;
		$seen = (log_after($node, $log) =~ /.*($line)/s) ? $1 : '';
	}
	$seen =~ $line;
	cmp_ok($4, '>=', 9000, 'microseconds per transaction') or diag($seen);
	cmp_ok($4, '<', 5_000_000, 'are not too many') or diag($seen);
	cmp_ok($7, '>=', 20, 'transactions in total');
	cmp_ok($8, '>=', 2 * $7 - 40, 'queries in total');
	my $wanted = $admin->value('SELECT transactions FROM pooler.status');
	ok(wait_until('totals agree', sub {
		return log_after($node, $log) =~ /In total: $wanted transactions/;
	}), 'as the views have it');
	$client->quit;
}
settings('log_min_messages' => 'log');
{
	my $log = log_size($node);
	my $until = $admin->value(q{SELECT clock_timestamp() + '2.5 s'});
	$admin->until("SELECT clock_timestamp() > '$until'", 't');
	unlike(log_after($node, $log), qr/pooler statistics/, 'off, by reload');
}

$admin->query('ALTER SYSTEM RESET ALL');
$admin->quit;
$node->stop;
done_testing();
