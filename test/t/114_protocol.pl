# Versions and options of the protocol: what is sent to a client that asks for
# them is, byte by byte, what the server sends on its own port, whatever its
# version knows; but for cancel keys, which differ from connection to
# connection and must have the same length.

use strict;
use warnings;

use PoolerTest qw(becomes log_after log_size pooler_connstr pooler_port start_node wait_until);
use PostgreSQL::Test::Utils;
use RawClient;
use Test::More;

my $node = start_node(
	'protocol',
	conf => q(
wal_level = logical
max_wal_senders = 4
pooler.default_pool_size = 1
),
	hba => q(
local	delegated	all			password
local	all			all			trust
local	replication	all			trust
host	all			all			127.0.0.1/32	trust
));
my $user = scalar getpwuid($<);
$node->safe_psql('postgres', qq(
	CREATE DATABASE delegated;
	ALTER ROLE "$user" PASSWORD 'secret'));
my $port = pooler_port($node);
my $newest = $node->safe_psql('postgres', 'SHOW server_version_num') >= 180000 ? 2 : 0;

sub version { return $_[0] << 16 | $_[1] }

# A packet of its own length.
sub packet
{
	my ($body) = @_;
	return pack('N', 4 + length $body) . $body;
}

# A startup packet with these pairs, in this order.
sub startup
{
	my ($version, @pairs) = @_;
	return packet(pack('N', $version) . join('', map { "$_\0" } @pairs) . "\0");
}

# A message as it can be compared: without keys but for their length, and
# without the place in the source where an error was found.
sub comparable
{
	my ($type, $body) = @_;

	return 'K' . length $body if $type eq 'K';
	return join("\0", 'E', grep { !/^[FLR]/ } split /\0/, $body) if $type eq 'E';
	return $type . pack('N', 4 + length $body) . $body;
}

# Send the packets, and a password if there is a question for it.  Returns the
# client and what came back, up to ReadyForQuery or the end: messages, and
# bytes that are none (answers to SSLRequest, errors of old protocols).
sub answer
{
	my ($to, @packets) = @_;
	my $client = RawClient->open($node, from => 'local', port => $to);
	my @seen;

	foreach my $packet (@packets)
	{
		$client->send_raw($packet);
		push @seen, substr($client->{in}, 0, 1, '')
		  if length $packet == 8 && $client->fill(1);
	}
	while ($client->fill(5))
	{
		my ($type, $len) = unpack('aN', $client->{in});
		last if $len > 30000 || !$client->fill(1 + $len);
		my $body = substr(substr($client->{in}, 0, 1 + $len, ''), 5);

		push @seen, comparable($type, $body);
		$client->{key} = $body if $type eq 'K';
		$client->send('p', "secret\0") if $type eq 'R' && unpack('N', $body) == 3;
		return ($client, \@seen) if $type eq 'Z';
	}
	push @seen, 'rest: ' . $client->rest;
	return ($client, \@seen);
}

sub same_answer
{
	my ($name, @packets) = @_;
	my ($direct, $wanted) = answer($node->port, @packets);
	my ($pooled, $got) = answer($port, @packets);
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	is_deeply($got, $wanted, $name);
	$_->close for $direct, $pooled;
	return $got;
}

#----------------------------------------------------------------------------
# the table
#----------------------------------------------------------------------------

my @user = (user => $user, database => 'postgres');
my @versions = ([ 3, 0 ], [ 3, 1 ], [ 3, 2 ], [ 3, 3 ], [ 3, 9999 ], [ 3, 65535 ]);
my @unsupported = ([ 0, 0 ], [ 0, 1 ], [ 1, 0 ], [ 2, 0 ], [ 2, 9999 ], [ 4, 0 ], [ 4, 2 ], [ 65535, 65535 ]);
my %options = (
	'no option' => [],
	'an option' => [ '_pq_.command_tag_format' => '1' ],
	'three options' => [ '_pq_.b' => '', '_pq_.a' => 'x', '_pq_.c' => 'y' ],
	'one twice' => [ '_pq_.a' => '1', '_pq_.a' => '2' ],
	'one without a name' => [ '_pq_.' => '' ],
	"libpq's grease" => [ '_pq_.test_protocol_negotiation' => '' ],
	'a long one' => [ '_pq_.' . 'x' x 5000 => 'y' ],
	'one in capitals' => [ '_PQ_.a' => '1' ],
	'one of another kind' => [ '_pq.a' => '1' ],
	'with application_name' => [ '_pq_.a' => '1', application_name => "p\x{1}q" ],
	'with settings' => [ options => '-c DateStyle=German', '_pq_.a' => '1', timezone => 'UTC' ],
	'with a bad setting' => [ '_pq_.a' => '1', datestyle => 'nonsense' ],
	'with a bad replication' => [ '_pq_.a' => '1', replication => 'maybe' ],
	'before a bad replication' => [ replication => 'maybe', '_pq_.a' => '1' ],
	'of a walsender' => [ '_pq_.a' => '1', replication => 'true' ],
	'of a walsender in a database' => [ '_pq_.a' => '1', replication => 'database' ],
);

foreach my $version (@versions)
{
	my $name = join('.', @$version);
	my $long = $version->[1] >= 2 && $newest >= 2;
	my %types;

	foreach my $what (sort keys %options)
	{
		my $got = same_answer("$name, $what", startup(version(@$version), @user, @{ $options{$what} }));
		$types{$what} = join('', map { substr($_, 0, 1) } @$got);
		my ($key) = grep { /^K/ } @$got;
		is($key, $long ? 'K36' : 'K8', "$name, $what: length of pid and key")
		  if defined $key;
	}
	like($types{'an option'}, qr/^vRS+KZ$/, "$name: an option is negotiated");
	like($types{'no option'}, $version->[1] > $newest ? qr/^vRS+KZ$/ : qr/^RS+KZ$/,
		"$name: and so is a version that the server does not know");

	same_answer("$name, no user", startup(version(@$version), '_pq_.a' => '1'));
	same_answer("$name, an empty user", startup(version(@$version), user => '', '_pq_.a' => '1'));
	same_answer("$name, no such database",
		startup(version(@$version), user => $user, database => 'nowhere', '_pq_.a' => '1'));
	same_answer("$name, no such role",
		startup(version(@$version), user => 'nobody', database => 'postgres', '_pq_.a' => '1'));
	same_answer("$name, no terminator",
		packet(pack('N', version(@$version)) . "user\0$user\0_pq_.a\0x\0"));
	same_answer("$name, more after it",
		packet(pack('N', version(@$version)) . "user\0$user\0_pq_.a\0x\0\0\0"));
	same_answer("$name, after SSLRequest",
		packet(pack('N', 80877103)), startup(version(@$version), @user, '_pq_.a' => '1'));
	my $got = same_answer("$name, of a login that core carries out",
		startup(version(@$version), user => $user, database => 'delegated', '_pq_.a' => '1'));
	like(join('', map { substr($_, 0, 1) } @$got), qr/^vRRS+KZ$/, '... which asks for a password');
}
foreach my $version (@unsupported)
{
	my $got = same_answer(join('.', @$version), startup(version(@$version), @user));
	like("@$got", qr/unsupported frontend protocol/, '... is not supported');
	same_answer(join('.', @$version) . ', an option', startup(version(@$version), @user, '_pq_.a' => ''));
}
cmp_ok($node->safe_psql('postgres', 'SELECT sum(delegated_logins) FROM pooler.stats'),
	'>=', scalar @versions, 'core has carried out logins');

#----------------------------------------------------------------------------
# cancel requests
#----------------------------------------------------------------------------

my $cancelled = 'ERROR 57014: canceling statement due to user request';

# A client of the pool whose key is known.
sub client
{
	my ($version, @pairs) = @_;
	my ($client) = answer($port, startup($version, @user, @pairs));
	return $client;
}

sub runs
{
	my ($client, $n) = @_;
	$client->start('SELECT pg_sleep(600)');
	becomes($node, q(SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'), $n // '1',
		'a command runs');
}

foreach my $version (version(3, 0), version(3, 2), version(3, 9999))
{
	my $client = client($version);
	my $pid = substr($client->{key}, 0, 4);
	my $key = substr($client->{key}, 4);
	my $name = 'a key of ' . length($key) . ' bytes';
	my $offset = log_size($node);
	my $other = client($version);

	runs($client);
	isnt(substr($other->{key}, 4), $key, "$name: another client's is another one");
	$client->cancel($pid . $_)
	  for substr($key, 1) . 'x', 'x' . substr($key, 1), substr($key, 0, -1), $key . 'x', 'x' x 256,
	  substr($key, 0, 4) . "\0" x 28, substr($other->{key}, 4);
	is($node->safe_psql('postgres', q(SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep')),
		'1', "$name: others don't cancel");
	$client->cancel;
	is($client->answer, $cancelled, "$name: the right one does");

	# waits for the only backend
	runs($client);
	$other->start('SELECT 1');
	becomes($node, q(SELECT count(*) FROM pooler.clients WHERE state = 'waiting'), '1', 'another one waits');
	$other->cancel;
	is($other->answer, $cancelled, "$name: of a client that waits");
	$client->cancel;
	is($client->answer, $cancelled, '... the first one');
	$_->quit for $client, $other;

	foreach my $pairs ([ replication => 'database' ], [ database => 'delegated' ])
	{
		$client = client($version, @$pairs);
		runs($client);
		$client->cancel;
		is($client->answer, $cancelled, "$name, @$pairs");
		$client->quit;
	}
	my ($console) = answer($port, startup($version, user => $user, database => 'pgbouncer'));
	is(length $console->{key}, length($key) + 4, "$name: on the console");
	$console->quit;
}

# A packet that is no cancel request: as core says in the log.
sub complaint
{
	my ($to, $packet) = @_;
	my $offset = log_size($node);
	my $client = RawClient->open($node, from => 'local', port => $to);
	my ($line) = ('');

	$client->send_raw($packet);
	ok($client->at_end, 'has no answer');
	wait_until('it is logged', sub { ($line) = log_after($node, $offset) =~ /LOG:  (invalid length .*|wrong key .*|PID \d+ in cancel.*)/ });
	return $line;
}
foreach my $len (0, 1, 257, 300)
{
	my $packet = packet(pack('NN', 80877102, 1) . 'k' x $len);
	my $wanted = complaint($node->port, $packet);
	is(complaint($port, $packet), $wanted, "a cancel request with a key of $len bytes: $wanted");
}
{
	my $packet = packet(pack('N', 80877102));
	is(complaint($port, $packet), complaint($node->port, $packet), 'one without anything');
}

#----------------------------------------------------------------------------
# libpq
#----------------------------------------------------------------------------

SKIP:
{
	skip 'libpq of before 18 speaks 3.0', 1 if $newest < 2;

	foreach my $version ('3.0', '3.2', 'latest')
	{
		my $wanted = $version eq '3.0' ? '3.0' : '3.2';
		my $connstr = pooler_connstr($node, max_protocol_version => $version);
		my ($out, $err);

		IPC::Run::run([ 'psql', '-X', '-At', '-d', $connstr, '-c', '\conninfo', '-c', 'SELECT 7' ],
			'>', \$out, '2>', \$err);
		like($out, qr/^Protocol Version\|\Q$wanted\E$/m, "psql with max_protocol_version=$version");
		like($out, qr/^7$/m, '... works');

		my $psql = IPC::Run::start([ 'psql', '-X', '-At', '-d', $connstr, '-c', 'SELECT pg_sleep(600)' ],
			'>', \$out, '2>', \$err);
		becomes($node, q(SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'), '1',
			'... runs a command');
		$psql->signal('INT');
		$psql->finish;
		like($err, qr/canceling statement due to user request/, '... which Ctrl-C cancels');
	}
}

$node->stop;
done_testing();
