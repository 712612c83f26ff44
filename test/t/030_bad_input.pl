# What clients may send that is wrong, late, half, or too much, and what that
# costs the others: nothing.  There is one backend, which everybody needs.

use strict;
use warnings;

use IO::Select;
use PoolerTest
  qw(becomes descriptors log_after log_size logged pooler_port start_node wait_until worker_cpu worker_pid);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use RawClient;
use Socket qw(MSG_OOB SOL_SOCKET SO_LINGER);
use Test::More;
use Time::HiRes qw(sleep time);

my $node = start_node(
	'bad',
	conf => q(
log_statement = none
log_line_prefix = '<%h|%u|%d> '
max_connections = 30
max_files_per_process = 500
pooler.max_client_conn = 2500
pooler.default_pool_size = 1
pooler.client_read_timeout = 1
pooler.client_write_timeout = 1
));
$node->safe_psql('postgres', q(CREATE ROLE alice LOGIN; CREATE TABLE lines (line text);
	GRANT ALL ON lines TO alice));

my %ports = (server => $node->port, pooler => pooler_port($node));
my $worker = worker_pid($node);

sub client
{
	return RawClient->connect($node, role => 'alice', @_);
}

# One who is there all the time, does nothing wrong, and notices nothing.
my $bystander = client(application_name => 'bystander');
is($bystander->ask('SELECT 1'), '1', 'somebody is served');
my $backends = 'SELECT count(*) FROM pooler.backends';
becomes($node, $backends, 1, 'by one backend');

sub spare_descriptors
{
	return descriptors($worker) - $node->safe_psql('postgres', $backends);
}

my $descriptors = spare_descriptors();

# Descriptors of clients have high numbers in every process.
sub kept_clients
{
	my ($pid) = @_;
	return scalar grep { /(\d+)$/ && $1 >= 500 } glob("/proc/$pid/fd/*");
}

# Nothing is left of anybody else, and the worker is the same.
sub all_well
{
	my ($after) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $ok = is($bystander->ask('SELECT 1'), '1', "after $after: the bystander is served");

	$ok &= becomes($node, q(
		SELECT (SELECT count(*) FROM pooler.clients), clients, clients_waiting, clients_active,
			   backends, backends_busy
		FROM pooler.pools WHERE role = 'alice'),
		'1|1|0|0|1|0', "after $after: no client and no backend is left");
	$ok &= ok(
		wait_until("after $after: descriptors are closed", sub {
			my $pids = $node->safe_psql('postgres', 'SELECT pid FROM pooler.backends');
			return spare_descriptors() == $descriptors
			  && !grep { kept_clients($_) > 1 } split /\n/, $pids;
		}),
		"after $after: no descriptor is left");
	$ok &= is(worker_pid($node), $worker, "after $after: the worker is the same");
	return $ok;
}

#
# Startup packets
#

my $version = pack('N', 3 << 16);
my $pairs = "user\0alice\0database\0postgres\0";
my %startup = (
	'length 0' => pack('N', 0),
	'length 4' => pack('N', 4),
	'length 7' => pack('N', 7) . "\0\3\0",
	'nothing but a version' => pack('N', 8) . $version,
	'10 kB and more' => pack('N', 10001) . $version . 'x' x 9993,
	'1 MB' => pack('N', 1 << 20) . $version,
	'2 GB' => pack('N', 0x7fffffff) . $version,
	'length -1' => pack('N', 0xffffffff) . $version,
	'no terminator' => pack('N', 8 + length $pairs) . $version . $pairs,
	'no value' => pack('N', 13) . $version . "user\0",
	'a half string' => pack('N', 12) . $version . 'user',
	'no user' => pack('N', 27) . $version . "database\0postgres\0\0",
	'an empty user' => pack('N', 15) . $version . "user\0\0\0",
	'HTTP' => "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
my $tls = "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" . 'r' x 500;

# Servers before 17 take TLS for a length; later ones know it, and say nothing
# to who begins with it where there is none.
my $knows_tls = $node->safe_psql('postgres', 'SHOW server_version_num') >= 170000;
$startup{TLS} = $tls unless $knows_tls;

# The fields of an error that name a line of the server's code differ.
sub told
{
	my ($bytes) = @_;
	return $bytes eq '' ? 'nothing' : LoginClient::error_text(substr($bytes, 5));
}

for my $name (sort keys %startup)
{
	my (%told, %log);

	for my $port (sort keys %ports)
	{
		my $offset = log_size($node);
		my $client = RawClient->open($node, port => $ports{$port}, from => '127.0.0.4');
		$client->send_raw($startup{$name});
		$told{$port} = told($client->rest);
		$client->close;
		wait_until("$port: $name is logged",
			sub { ($log{$port}) = log_after($node, $offset) =~ /^<127\.0\.0\.4\|.*?> (.*)/m });
	}
	like($log{server} . ' ', qr/invalid|unsupported|no PostgreSQL user/, "a startup packet with $name");
	is($told{pooler}, $told{server}, "$name: the client is told the same");
	is($log{pooler}, $log{server}, "$name: the log says the same");
}
for my $port ($knows_tls ? sort keys %ports : ())
{
	my $offset = log_size($node);
	my $client = RawClient->open($node, port => $ports{$port}, from => '127.0.0.4');

	$client->send_raw($tls);
	is($client->rest, '', "$port: a client that begins with TLS is told nothing");
	$client->close;
	# what is logged next is about somebody else
	client(port => $ports{$port}, from => '127.0.0.5')->ask('SELECT 1 / 0');
	logged($node, $offset, qr/^<127\.0\.0\.5\|.*division by zero/m, "$port: one after it");
	unlike(log_after($node, $offset), qr/^<127\.0\.0\.4\|/m, "$port: nor is anything logged");
}
for my $incomplete (1, 3, 6, 20)
{
	my $offset = log_size($node);
	my $client = RawClient->open($node, from => '127.0.0.4');
	$client->send_raw(substr(RawClient::startup_packet(role => 'alice'), 0, $incomplete));
	$client->close;
	logged($node, $offset, qr/^<127\.0\.0\.4\|.*LOG:  incomplete startup packet$/m,
		"$incomplete bytes of a startup packet");
}
all_well('bad startup packets');

#
# Bytes one at a time
#

for my $from ('127.0.0.1', 'local')
{
	my $client = RawClient->open($node, from => $from);

	for my $byte (split //, pack('NN', 8, 80877103))
	{
		$client->send_raw($byte);
		sleep(0.001);
	}
	ok($client->fill(1) && $client->{in} eq 'N', "SSLRequest in single bytes from $from");
	$client->{in} = '';
	for my $byte (split //, RawClient::startup_packet(role => 'alice'))
	{
		$client->send_raw($byte);
		sleep(0.001);
	}
	is($client->finish_login, 'ok', "a startup packet in single bytes from $from");
	for my $byte (split //, RawClient::message('Q', "SELECT 'in pieces'\0"))
	{
		$client->send_raw($byte);
		is($bystander->ask('SELECT 2'), '2', 'meanwhile, another one is served');
	}
	is($client->answer, 'in pieces', "a query in single bytes from $from");

	# so many writes that the sender is stopped until somebody reads
	$client->send_raw($_) for split //, RawClient::message('Q', "SELECT length('" . 'x' x 4000 . "')\0");
	is($client->answer, '4000', "a longer query in single bytes from $from");
	$client->quit;
}
all_well('single bytes');

#
# Messages
#

for my $type ("\0", "\xff", 'q', 'Z', 'p', 'R', '0', ' ', "\n")
{
	my $name = sprintf('type %d', ord $type);
	my %told;

	for my $port (sort keys %ports)
	{
		my $offset = log_size($node);
		my $client = client(port => $ports{$port}, from => '127.0.0.4');
		$client->send($type, 'something');
		$told{$port} = told($client->rest);
		$client->close;
		logged($node, $offset, qr/^<127\.0\.0\.4\|alice\|postgres> \w+:  invalid frontend message type/m,
			"$port: $name is logged");
	}
	is($told{pooler}, 'FATAL 08P01: invalid frontend message type ' . ord $type,
		"$name is refused");
	is($told{pooler}, $told{server}, "$name: as by the server");
}
for my $case (
	[ 'Q', 0 ], [ 'Q', 3 ], [ 'Q', -1 ], [ 'Q', 0x7fffffff ], [ 'Q', -0x80000000 ],
	[ 'P', 0 ], [ 'S', 20000 ], [ 'S', 0 ], [ 'X', -1 ], [ 'E', 0x3fffffff ], [ 'd', -5 ])
{
	my ($type, $len) = @$case;
	my $offset = log_size($node);
	my $client = client(from => '127.0.0.4');

	$client->send_raw($type . pack('N', $len & 0xffffffff) . 'abc');
	# The server says nothing; we do, and nobody has to guess.
	my $told = told($client->rest);
	if ($type eq 'X')
	{
		is($told, 'nothing', 'a farewell of any length is a farewell');
	}
	else
	{
		is($told, 'FATAL 08P01: invalid message length', "$type with length $len");
		logged($node, $offset, qr/^<127\.0\.0\.4\|alice\|postgres> LOG:  invalid message length/m,
			"$type with length $len is logged");
	}
	$client->close;
}
all_well('bad messages');

# What is wrong behind something right is found by the backend.
for my $garbage ("\xff\0\0\0\4", 'Q' . pack('N', 3), 'Q' . pack('N', 0x7fffffff))
{
	my $client = client();

	$client->send_raw(RawClient::message('Q', "SELECT 1\0") . $garbage);
	is($client->answer, '1', 'a good message before a bad one');
	like($client->answer, qr/^(FATAL 08P01: .*\n)?closed$/, 'ends with the bad one');
	$client->close;
}
all_well('bad messages behind good ones');

# Valid, if of no use: the same as from the server, and the session goes on.
for my $case (
	[ 'Sync', RawClient::message('S', '') ],
	[ 'an empty query', RawClient::message('Q', "\0") ],
	[ 'COPY data without COPY', RawClient::message('d', 'x') . RawClient::message('c', '')
		. RawClient::message('f', "x\0") . RawClient::message('S', '') ],
	[ 'Flush', RawClient::message('H', '') . RawClient::message('S', '') ],
	[ 'a query without its zero byte', RawClient::message('Q', 'SELECT 1') ],
	[ 'Bind of what is not there', RawClient::message('B', "\0nothing\0" . pack('nnn', 0, 0, 0))
		. RawClient::message('S', '') ],
	[ 'Parse without a body', RawClient::message('P', '') . RawClient::message('S', '') ],
	[ 'Describe of something else', RawClient::message('D', "Xyz\0") . RawClient::message('S', '') ],
	[ 'a function call of nothing', RawClient::message('F', pack('Nnnn', 0, 0, 0, 0)) ])
{
	my ($name, $bytes) = @$case;
	my %result;

	for my $port (sort keys %ports)
	{
		my $client = client(port => $ports{$port});
		$client->send_raw($bytes);
		$result{$port} = $client->finish;
		is($client->ask('SELECT 1'), '1', "$port: $name, and on") if $result{$port}{status};
		$client->quit;
	}
	is_deeply($result{pooler}, $result{server}, "$name: as from the server");
}
# Not tried on the server's own port, which may not survive it.
{
	my $client = client();

	$client->ask('BEGIN');
	like($client->ask('SELECT ' . join(', ', ('1 / (random() * 0)::int') x 1500)), qr/division by zero/,
		'a query fails');
	$client->send_raw(RawClient::message('E', "\0\0\0\0\0") . RawClient::message('S', ''));
	like($client->answer, qr/^ERROR 25P02: current transaction is aborted/, 'and is executed once more');
	$client->ask('ROLLBACK');
	is($client->ask('SELECT 1'), '1', 'the session goes on');
	$client->quit;
}
all_well('odd messages');

#
# Half a message, and then silence
#

for my $from ('127.0.0.1', 'local')
{
	my @halves = (
		RawClient::message('Q', "SELECT 'half'\0"),
		RawClient::message('P', "\0SELECT 'half'\0\0\0")
		  . RawClient::message('B', "\0\0\0\0\0\0\0\0")
		  . RawClient::message('E', "\0\0\0\0\0") . RawClient::message('S', ''),
		RawClient::message('Q', 'SELECT ' . ' ' x 7000 . "'half'\0"));
	my @clients;

	# of each, after the type, after a part of the length, and somewhere later
	for my $half (@halves)
	{
		for my $sent (1, 3, 5, 9)
		{
			my $client = client(from => $from);
			$client->send_raw(substr($half, 0, $sent));
			$client->{rest} = substr($half, $sent);
			push @clients, $client;
		}
	}
	# until all of it has been looked at
	is($bystander->ask('SELECT 3'), '3', "half messages from $from: another one is served") for 1 .. 3;

	my $cpu = worker_cpu($worker);
	sleep(2);
	$cpu = worker_cpu($worker) - $cpu;
	cmp_ok($cpu, '<', 0.2, "half messages from $from: cost nothing");
	is($node->safe_psql('postgres',
			q(SELECT clients_waiting, backends_busy FROM pooler.pools WHERE role = 'alice')),
		'0|0', "half messages from $from: hold no backend");
	for my $client (@clients)
	{
		$client->send_raw($client->{rest});
		is($client->answer, 'half', 'the other half is welcome later');
	}
	# once more, and hang up
	$_->send_raw("Q\0\0\0") for @clients;
	is($bystander->ask('SELECT 4'), '4', 'another one is served again');
	$_->close for @clients;
}
all_well('half messages');

#
# Urgent data, which a look at the socket may not show
#

# One byte of a command is sent as urgent: by a client that nobody has, one that
# lingers on the backend, and one that has it for itself.
my %urgent_after = (
	'a login' => sub { },
	'a command' => sub { $_[0]->ask('SELECT 0') },
	'LISTEN' => sub { $_[0]->ask('LISTEN urgent') });
my $urgent = RawClient::message('Q', "SELECT 'urgent'\0");

for my $from ('127.0.0.1', 'local')
{
	my $probe = RawClient->open($node, from => $from);
	my $known = defined CORE::send($probe->{sock}, 'x', MSG_OOB);

	$probe->close;
	next if !$known;			# by Linux on Unix sockets since 5.15
	for my $after (sort keys %urgent_after)
	{
		# on a Unix socket a look never gets past an urgent byte amid others
		for my $at ($from eq 'local' ? 0 : (0, 1, 4, 5, 9, length($urgent) - 1))
		{
			my $client = client(from => $from);

			$urgent_after{$after}->($client);
			$client->send_raw(substr($urgent, 0, $at));
			CORE::send($client->{sock}, substr($urgent, $at, 1), MSG_OOB);
			$client->send_raw(substr($urgent, $at + 1));
			is($client->answer, 'urgent', "from $from after $after: byte $at is urgent");
			$client->quit;
		}
	}
}
all_well('urgent data');

#
# A long message that does not come to its end, a batch without Sync, a result
# that is not read: who does that holds a backend, but not while others wait.
# COPY and an open transaction may take their time.  Each of these has a pool
# of its own, so that all of them can be tried at once.
#

my $query = 'SELECT length(' . "'" . 'x' x 100_000 . "')";
my $long = RawClient::message('Q', "$query\0");
my $batch = RawClient::message('P', "\0SELECT 'batch'\0\0\0")
  . RawClient::message('B', "\0\0\0\0\0\0\0\0") . RawClient::message('E', "\0\0\0\0\0");
my $many = RawClient::message('Q', "SELECT repeat('x', 1000) FROM generate_series(1, 20000)\0");
my @cases;

for my $from ('127.0.0.1', 'local')
{
	# what is sent, what is kept back, and how long the answer is
	push @cases,
	  [ 'half a long message', $from, substr($long, 0, 50_000), substr($long, 50_000), 6 ],
	  [ 'a batch without Sync', $from, $batch, RawClient::message('S', ''), 5 ],
	  [ 'an unread result', $from, $many, '', 20_000 * 1001 - 1 ];
}
for my $n (0 .. $#cases)
{
	my ($name, $from, @rest) = @{ $cases[$n] };
	my $role = "case$n";
	my $case = $cases[$n] = {};
	$node->safe_psql('postgres', "CREATE ROLE $role LOGIN");
	@{$case}{qw(name role client other first second length)} = (
		"$name from $from", $role, client(role => $role, from => $from),
		client(role => $role), @rest);
}

sub busy
{
	my ($roles, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	becomes($node, "SELECT count(*) FROM pooler.pools WHERE role LIKE '$roles' AND backends_busy = 1",
		scalar @cases, $name);
}

$_->{client}->send_raw($_->{first}) for @cases;
busy('case%', 'each has a backend');
sleep(2.5);
for my $case (@cases)
{
	ok($case->{client}->send_raw($case->{second}), "$case->{name}: has time while nobody waits");
	is(length $case->{client}->answer, $case->{length}, "$case->{name}: and gets its answer");
}

$_->{client}->send_raw($_->{first}) for @cases;
busy('case%', 'each has a backend again');
my $begin = time;
$_->{other}->start('SELECT 5') for @cases;
for my $case (@cases)
{
	is($case->{other}->answer, '5', "$case->{name}: who waits is served");
	cmp_ok(time - $begin, '>=', 0.9, "$case->{name}: not before the timeout");
	# what was produced before may come first
	my $result = $case->{client}->finish;
	ok(!defined $result->{status}, "$case->{name}: is ended");
	like($result->{errors}[-1] // '', qr/^FATAL 57P05: .*unfinished message/, "$case->{name}: and told why")
	  if $case->{name} !~ /unread/;
	$case->{client}->close;
	$case->{other}->quit;
}
logged($node, 0, qr/FATAL:  terminating connection because the client does not read its result/,
	'the log tells about unread results');
becomes($node, q(SELECT count(*) FROM pooler.clients WHERE role LIKE 'case%'), 0, 'all have gone');
$node->safe_psql('postgres', "DROP ROLE $_->{role}") for @cases;
becomes($node, $backends, 1, 'with their backends');

# Who goes on, if slowly, is not ended, nor is who copies, nor an open
# transaction.
$node->safe_psql('postgres', "CREATE ROLE patient$_ LOGIN; GRANT ALL ON lines TO patient$_") for 1 .. 3;
{
	my ($slow, $copy, $open) = map { client(role => "patient$_") } 1 .. 3;
	my @others = map { client(role => "patient$_") } 1 .. 3;
	my $piece = 20_000;

	$slow->send_raw(substr($long, 0, $piece));
	$copy->start('COPY lines FROM STDIN');
	is(($copy->read_message)[0], 'G', 'COPY begins');
	is($open->ask('BEGIN'), '', 'a transaction begins');
	becomes($node, q(SELECT count(*) FROM pooler.pools WHERE role LIKE 'patient%' AND backends_busy = 1),
		3, 'each has a backend');
	$_->start('SELECT 7') for @others;
	for my $n (1 .. 4)
	{
		sleep(0.6);
		$slow->send_raw(substr($long, $n * $piece, $piece));
	}
	$slow->send_raw(substr($long, 5 * $piece));
	is($slow->answer, '100000', 'a slow sender comes to its end');
	$copy->send('d', "a line\n");
	$copy->send('c');
	is($copy->answer, '', 'so does COPY');
	is($open->ask('SELECT 8; COMMIT'), '8', 'and a transaction');
	is($_->answer, '7', 'and then another one is served') for @others;
	$_->quit for $slow, $copy, $open, @others;
}
becomes($node, q(SELECT count(*) FROM pooler.clients WHERE role LIKE 'patient%'), 0, 'all have gone');
$node->safe_psql('postgres', "DROP OWNED BY patient$_; DROP ROLE patient$_") for 1 .. 3;
becomes($node, $backends, 1, 'with their backends');
all_well('slow ones');

#
# Who hangs up while served costs the next one nothing
#

for my $turn (1 .. 3)
{
	my $client = client();
	my $locker = RawClient->connect($node, port => $node->port);

	$locker->ask('SELECT pg_advisory_lock(1)');
	setsockopt($client->{sock}, SOL_SOCKET, SO_LINGER, pack('ii', 1, 0)) or die $!;
	$client->start(q(SELECT pg_advisory_xact_lock(1), 'nobody reads this'));
	becomes($node, q(SELECT backends_busy FROM pooler.pools WHERE role = 'alice'), 1,
		"turn $turn: a query runs");
	$bystander->start('SELECT 9');
	becomes($node, q(SELECT clients_waiting FROM pooler.pools WHERE role = 'alice'), 1,
		"turn $turn: another one waits");
	$client->close;
	$locker->quit;
	is($bystander->answer, '9', "turn $turn: and is served after the first one has hung up");
}
all_well('hanging up');

#
# Floods and storms
#

# Hang up at once, after a part of the packet, after all of it, after the
# login, after a query; politely, or with a reset.
my @parts = (
	'', substr(RawClient::startup_packet(role => 'alice'), 0, 10),
	RawClient::startup_packet(role => 'alice'),
	RawClient::startup_packet(role => 'nobody'),
	RawClient::startup_packet(role => 'alice') . RawClient::message('Q', "SELECT 1\0"),
	RawClient::startup_packet(role => 'alice') . RawClient::message('X', ''));

for my $n (1 .. 2000)
{
	my $client = RawClient->open($node, from => $n % 5 == 0 ? 'local' : '127.0.0.1')
	  or BAIL_OUT("connection $n: $!");
	setsockopt($client->{sock}, SOL_SOCKET, SO_LINGER, pack('ii', 1, 0)) if $n % 3 == 0;
	$client->send_raw($parts[ $n % @parts ]);
	$client->close;
	is($bystander->ask('SELECT 10'), '10', "served after $n") if $n % 500 == 0;
}
all_well('a flood of connections');

# The mark that backends put before some settings is none that a client can set.
for my $how ([ 'pooler.own_backend' => '' ], [ options => '-c pooler.own_backend=' ])
{
	my %answer = map { $_ => RawClient->open($node, port => $ports{$_})->login(role => 'alice', @$how) } keys %ports;

	like($answer{server}, qr/^FATAL 42602: invalid configuration parameter name "pooler.own_backend"/,
		"$how->[0]: a name of the pooler's own");
	is($answer{pooler}, $answer{server}, '... on its port, too');
}
all_well('a name of its own');

# All at once, as far as this process may have open files.
{
	system("prlimit --pid $$ --nofile=4096: 2>/dev/null");
	my $limit = `ulimit -n`;
	my $number = $limit =~ /^(\d+)/ && $1 < 2100 ? $1 - 100 : 2000;
	my @clients;
	my $begin = time;

	note("$number connections");
	for (1 .. $number)
	{
		push @clients, RawClient->open($node) // die "connect: $!";
	}
	$_->send_startup(role => 'alice') for @clients;
	is(scalar(grep { $_->finish_login eq 'ok' } @clients), $number, 'a storm: all get in');
	$_->start('SELECT 11') for @clients;
	is($bystander->ask('SELECT 12'), '12', 'another one among them');
	is(scalar(grep { $_->answer eq '11' } @clients), $number, 'a storm: all are served');
	is($node->safe_psql('postgres', $backends), 1, 'by one backend');
	note(sprintf('%.1f s', time - $begin));
	$_->close for @clients;
}
all_well('a storm of connections');

$bystander->quit;
$node->stop;
done_testing();
