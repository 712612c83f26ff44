# What a client asks for in its startup packet, what it is told before its
# first query, and what the server's log and views know about it.  All of it
# has to be as on a direct connection.

use strict;
use warnings;

use LoginClient ();
use PoolerTest
  qw(becomes log_after log_size logged pooler_port pooler_psql set_hba start_node wait_until);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use RawClient;
use Socket qw(inet_pton AF_INET6 SOCK_STREAM);
use Test::More;

my $probe;
my $has_ipv6 =
  socket($probe, AF_INET6, SOCK_STREAM, 0)
  && bind($probe, Socket::pack_sockaddr_in6(0, inet_pton(AF_INET6, '::1')));
close $probe if $probe;

my $node = start_node(
	'start',
	listen => $has_ipv6 ? '127.0.0.1,::1' : '127.0.0.1',
	conf => q(
log_connections = on
log_disconnections = on
log_line_prefix = '<%h|%u|%d|%a> '
pooler.default_pool_size = 1
));
$node->safe_psql('postgres', q(
	CREATE ROLE alice LOGIN;
	CREATE ROLE german LOGIN;
	ALTER ROLE german SET DateStyle = 'German';
	CREATE DATABASE roman;
	ALTER DATABASE roman SET IntervalStyle = 'sql_standard';
));

my %ports = (server => $node->port, pooler => pooler_port($node));

sub client
{
	my ($port, %options) = @_;
	return RawClient->connect($node, port => $ports{$port}, role => 'alice', %options);
}

#
# Parameters
#

my @startups = (
	{},
	{ role => 'german' },
	{ role => 'german', database => 'roman' },
	{ application_name => 'app' },
	{},
	{ application_name => 'other', client_encoding => 'LATIN1', DateStyle => 'SQL, DMY' },
	{ client_encoding => 'LATIN1', DateStyle => 'SQL, DMY' },
	{ application_name => "caf\xc3\xa9\n" },
	{ application_name => 'x' x 100 },
	{ role => 'german', datestyle => 'Postgres', TIMEZONE => 'Europe/Berlin' },
	{ options => '-c IntervalStyle=iso_8601 -c application_name=by\ option' },
	{ options => '-c standard_conforming_strings=off', application_name => 'second' },
	{ options => '--timezone=Asia/Tokyo -e' },
	{ role => scalar getpwuid($<), options => '-c default_transaction_read_only=on' });

for my $startup (@startups)
{
	my $name = join(', ', map { "$_=$startup->{$_}" } sort keys %$startup) =~ s/[^ -~]/?/gr;
	my %told;

	for my $port (sort keys %ports)
	{
		my $client = client($port, %$startup);
		$told{$port} = { %{ $client->{parameters} } };
		# what it was told must be true
		my %true = map { $_ => $client->ask("SHOW $_") } sort keys %{ $told{$port} };
		is_deeply(\%true, $told{$port}, "$port: told the truth about {$name}");
		$client->quit;
	}
	is_deeply($told{pooler}, $told{server}, "the same parameters for {$name}");
}

# What ALTER ROLE and ALTER DATABASE set holds for the next login, though
# backends of before are there.
{
	my $old = client('pooler', database => 'roman');
	is($old->ask('SHOW work_mem'), '4MB', 'a session of before');
	$node->safe_psql('postgres', q(
		ALTER DATABASE roman SET work_mem = '11MB';
		ALTER ROLE alice SET IntervalStyle = 'iso_8601'));
	my $client = client('pooler', database => 'roman');
	is($client->{parameters}{IntervalStyle}, 'iso_8601', 'the next one is told');
	is($client->ask('SHOW work_mem'), '11MB', 'and it is so');
	is($client->ask('SHOW IntervalStyle'), 'iso_8601', 'all of it');
	$node->safe_psql('postgres',
		'ALTER DATABASE roman RESET work_mem; ALTER ROLE alice RESET IntervalStyle');
	$client = client('pooler', database => 'roman');
	is($client->{parameters}{IntervalStyle}, 'sql_standard', 'after RESET as before');
	is($client->ask('SHOW work_mem'), '4MB', 'all of it');
	$_->quit for $old, $client;
}

# The clients share one backend, and each has its own settings in force.
{
	my @clients = map {
		client('pooler',
			options => "-c work_mem=${_}MB -c search_path=schema$_",
			application_name => "client $_")
	} 1 .. 3;

	for my $turn (1 .. 3)
	{
		for my $n (1 .. 3)
		{
			is( $clients[ $n - 1 ]->ask(
					q(SELECT current_setting('work_mem'), current_setting('search_path'), current_setting('application_name'))),
				"${n}MB|schema$n|client $n", "settings of client $n, turn $turn");
		}
	}
	is($node->safe_psql('postgres',
			q(SELECT max(backends) FROM pooler.pools WHERE role = 'alice')),
		1, 'on one backend');
	my $plain = client('pooler');
	is( $plain->ask(q(SELECT current_setting('work_mem'), current_setting('search_path'), current_setting('application_name'))),
		'4MB|"$user", public|', 'none of them are left to another client');
	$_->quit for @clients, $plain;
}
{
	local $ENV{PGOPTIONS} = '-c work_mem=7MB';
	local $ENV{PGCLIENTENCODING} = 'SQL_ASCII';
	local $ENV{PGTZ} = 'Asia/Tokyo';
	is( scalar pooler_psql($node,
			q(SELECT current_setting('work_mem'), current_setting('client_encoding'), current_setting('TimeZone'))),
		'7MB|SQL_ASCII|Asia/Tokyo', 'psql with its environment variables');
}

# What the server does not accept.
for my $startup (
	{ options => '-c nonsense=1' },
	{ options => '-c work_mem=lots' },
	{ options => '-c shared_buffers=1' },
	{ options => '-c work_mem' },
	{ options => '-c log_statement=none' },
	{ options => '-c log_connections=on' },
	{ options => '-x' },
	{ client_encoding => 'martian' },
	{ DateStyle => 'never' },
	{ nonsense => '1' },
	{ work_mem => '-5' },
	{ role => 'alice', options => '-c role=nobody' },
	{ replication => 'maybe' },
	{ database => 'x' x 70 },
	{ role => 'y' x 70 })
{
	my $name = join(', ', map { "$_=$startup->{$_}" } sort keys %$startup);
	my %answer;

	for my $port (sort keys %ports)
	{
		my $client = RawClient->open($node, port => $ports{$port});
		$answer{$port} = $client->login(role => 'alice', %$startup);
		ok($answer{$port} ne 'ok' && $client->at_end,
			"$port: closed after the refusal of {$name}");
	}
	like($answer{server}, qr/^FATAL \w{5}: ./, "the server does not accept {$name}");
	is($answer{pooler}, $answer{server}, "nor does the pooler: {$name}");
}
becomes($node, 'SELECT count(*) FROM pooler.clients', 0, 'no refused client is left');

#
# Protocol versions and encryption
#

sub negotiated
{
	my ($port, %options) = @_;
	my $client = client($port, %options);
	my $body = $client->{negotiated};

	is($client->ask('SELECT 1'), '1', "$port: goes on");
	$client->quit;
	return 'nothing' unless defined $body;
	my ($version, $count, $names) = unpack('NNa*', $body);
	return join(' ', $version, $count, split /\0/, $names);
}

for my $port (sort keys %ports)
{
	is(negotiated($port), 'nothing', "$port: nothing to negotiate");
	is(negotiated($port, '_pq_.foo' => 'x', '_pq_.bar' => ''),
		'196608 2 _pq_.bar _pq_.foo', "$port: unknown protocol options");

	# what it says about 3.9 depends on the server's version
	for my $version ((3 << 16) + 9, (3 << 16) + 9999)
	{
		like(negotiated($port, protocol => $version), qr/^19\d+ 0$/,
			"$port: protocol $version");
	}
}
# (114_protocol.pl compares all of it with the server's answers.)
my $newest = $node->safe_psql('postgres', 'SHOW server_version_num') >= 180000 ? 2 : 0;
is(negotiated('pooler', protocol => (3 << 16) + 3, '_pq_.x' => '1'),
	(3 << 16) + $newest . ' 1 _pq_.x', 'newer protocol and unknown option together');

# Before version 3 an error was a line, and that is what such a client gets.
for my $version (1 << 16, 2 << 16, (2 << 16) + 9, 4 << 16, 99999 << 8, 0)
{
	my %answer;

	for my $port (sort keys %ports)
	{
		my $client = RawClient->open($node, port => $ports{$port});
		$client->send_startup(role => 'alice', protocol => $version);
		$answer{$port} = $client->rest;
		# (the fields that name a line of the server's code are left out)
		$answer{$port} = LoginClient::error_text(substr($answer{$port}, 5))
		  unless $version > 0 && $version < 3 << 16;
	}
	like($answer{server}, qr/unsupported frontend protocol \d+\.\d+: server supports 3\.0 to 3\.$newest/,
		"the server does not know protocol $version");
	is($answer{pooler}, $answer{server}, "nor does the pooler: protocol $version");
}

my %request = (
	SSLRequest => pack('NN', 8, 80877103),
	GSSENCRequest => pack('NN', 8, 80877104));
# (A server may offer encryption, so there is nothing to compare with.)
for my $port ('pooler')
{
	for my $order ([ sort keys %request ], [ reverse sort keys %request ])
	{
		my $client = RawClient->open($node, port => $ports{$port});

		for my $type (@$order)
		{
			$client->send_raw($request{$type});
			$client->fill(1);
			is($client->{in}, 'N', "$port: $type is answered");
			$client->{in} = '';
		}
		is($client->login(role => 'alice'), 'ok', "$port: and the login goes on");
		is($client->ask('SELECT 1'), '1', "$port: and the session");
		$client->quit;
	}
	# asked twice: what was a request is a protocol version then
	my $client = RawClient->open($node, port => $ports{$port});
	$client->send_raw($request{SSLRequest});
	$client->fill(1);
	$client->{in} = '';
	$client->send_raw($request{SSLRequest});
	like($client->finish_login, qr/^FATAL 0A000: unsupported frontend protocol 1234\.5679/,
		"$port: SSLRequest twice");
}
for my $mode ('disable', 'allow', 'prefer')
{
	is(scalar pooler_psql($node, 'SELECT 1', host => '127.0.0.1', sslmode => $mode),
		'1', "sslmode=$mode");
}
my (undef, undef, $err) =
  pooler_psql($node, 'SELECT 1', host => '127.0.0.1', sslmode => 'require');
like($err, qr/server does not support SSL/, 'sslmode=require');

#
# What others see of a client
#

sub seen
{
	my ($client) = @_;

	$client->ask('BEGIN');
	my $self = $client->ask(
		q(SELECT inet_client_addr(), inet_client_port(), inet_server_addr(), inet_server_port(), pg_backend_pid()));
	my ($pid) = $self =~ s/\|(\d+)$// ? $1 : die $self;
	my $activity = $node->safe_psql('postgres', qq(
		SELECT usename, datname, client_addr, client_port, client_hostname, application_name,
			   state, query, backend_type
		FROM pg_stat_activity WHERE pid = $pid));
	$client->ask('COMMIT');
	return ($self, $activity);
}

for my $from ('127.0.0.1', '127.0.0.9', ($has_ipv6 ? '::1' : ()), 'local')
{
	my $server_addr = $from eq '127.0.0.9' ? '127.0.0.1' : $from;

	for my $port (sort keys %ports)
	{
		my $client = client($port, from => $from, application_name => "from $from");
		my ($self, $activity) = seen($client);
		my $client_port = -1;
		if ($from ne 'local')
		{
			$client_port = $from =~ /:/
			  ? (Socket::unpack_sockaddr_in6(getsockname($client->{sock})))[0]
			  : (Socket::unpack_sockaddr_in(getsockname($client->{sock})))[0];
		}
		is($self,
			$from eq 'local' ? '|||' : "$from|$client_port|$server_addr|$ports{$port}",
			"$port: a client from $from sees itself");
		my $addr = $from eq 'local' ? '' : $from;
		is($activity,
			"alice|postgres|$addr|$client_port||from $from|idle in transaction|"
			. 'SELECT inet_client_addr(), inet_client_port(), inet_server_addr(), inet_server_port(), pg_backend_pid()|client backend',
			"$port: others see a client from $from");
		$client->quit;
	}
}

# Clients of one backend, each under its own name.
{
	my @clients = map { client('pooler', from => "127.0.0.$_", application_name => "number $_") } 1 .. 3;
	for my $n (1, 2, 3, 2, 1)
	{
		like((seen($clients[ $n - 1 ]))[1], qr/\|127\.0\.0\.$n\|\d+\|\|number $n\|/,
			"client $n of one backend");
	}
	$_->quit for @clients;
}

#
# What the log says
#

sub log_of
{
	my ($port, $from, $role, $wanted, $sub) = @_;
	my $host = $from eq 'local' ? '[local]' : $from;
	my $offset = log_size($node);
	my @lines;

	my $client = RawClient->open($node, port => $ports{$port}, from => $from);
	$sub->($client);
	$client->close;
	wait_until("$port: the log is complete", sub {
		@lines = grep { /^<\Q$host\E\|/ } split /\n/, log_after($node, $offset);
		return grep { $_ =~ $wanted } @lines;
	});
	s/port=\d+/port=P/, s/session time: [\d:.]+/session time: T/, s/pg_hba\.conf:\d+/pg_hba.conf:N/
	  for @lines;
	return join("\n", @lines);
}

sub same_log
{
	my ($name, @how) = @_;
	my $server = log_of('server', @how);
	my $pooler = log_of('pooler', @how);

	is($pooler, $server, "the log: $name") or diag($server);
	return $pooler;
}

# so that no backend is started in between
client('pooler')->quit;

for my $from ('127.0.0.7', ($has_ipv6 ? '::1' : ()))
{
	my $lines = same_log("a session from $from", $from, 'alice', qr/disconnection/, sub {
		my ($client) = @_;
		is($client->login(role => 'alice', application_name => 'logged'), 'ok', 'logs in');
		is($client->ask('SELECT 1/0'), 'ERROR 22012: division by zero', 'makes an error');
		is($client->ask('SELECT 1'), '1', 'and goes on');
		$client->send('X');
		$client->at_end;
	});
	like($lines, qr/^<$from\|\[unknown\]\|\[unknown\]\|\[unknown\]> LOG:  connection received: host=$from port=P$/m,
		'received');
	like($lines, qr/^<$from\|alice\|postgres\|\[unknown\]> LOG:  connection authorized: user=alice database=postgres application_name=logged$/m,
		'authorized');
	like($lines, qr/^<$from\|alice\|postgres\|logged> ERROR:  division by zero$/m,
		'an error of its own');
	like($lines, qr/^<$from\|alice\|postgres\|logged> LOG:  disconnection: session time: T user=alice database=postgres host=$from port=P$/m,
		'disconnected');
}
same_log('a client that hangs up', '127.0.0.7', 'alice', qr/disconnection/, sub {
	my ($client) = @_;
	is($client->login(role => 'alice'), 'ok', 'logs in');
	is($client->ask('SELECT 1'), '1', 'is served');
});
# (The server calls one authorized before it looks for the database.)
like(log_of('pooler', '127.0.0.7', 'alice', qr/FATAL/, sub {
			my ($client) = @_;
			like($client->login(role => 'alice', database => 'nowhere'), qr/3D000/, 'is refused');
		}),
	qr/^<127\.0\.0\.7\|alice\|nowhere\|\[unknown\]> FATAL:  database "nowhere" does not exist$/m,
	'the log: an unknown database');

#
# Changes of pg_hba.conf
#

my $trust = qq(
local	all	all		trust
host	all	all	127.0.0.0/8	trust
);

sub alice_may
{
	my $answer = LoginClient::login_answer('127.0.0.1', $node->host, $ports{pooler},
		role => 'alice', database => 'postgres');
	return $answer eq 'ok';
}

{
	my $old = client('pooler');

	set_hba($node, "host all alice 127.0.0.1/32 reject\n$trust");
	ok(alice_may(), 'a changed pg_hba.conf has no effect');
	my $offset = log_size($node);
	$node->reload;
	ok(wait_until('the rules have changed', sub { !alice_may() }), 'until the server is told');
	is($old->ask('SELECT 1'), '1', 'who is in stays in');

	$offset = log_size($node);
	set_hba($node, "host all all 127.0.0.1/32 trust\nhost all all nonsense\n");
	$node->reload;
	logged($node, $offset, qr/pg_hba\.conf was not loaded by the pooler/,
		'a broken one is not loaded');
	ok(!alice_may(), 'the rules are those from before');

	set_hba($node, $trust);
	$node->reload;
	ok(wait_until('the rules have changed', sub { alice_may() }), 'a good one is');
	$old->quit;
}

$node->stop;

#
# Too many clients, and clients that take their time
#

$node->append_conf('postgresql.conf', q(
pooler.max_client_conn = 4
pooler.client_login_timeout = 1
));
$node->start;
PoolerTest::wait_for_pooler($node);
becomes($node, 'SELECT count(*) FROM pooler.clients', 0, 'nobody is connected');
{
	my @clients = map { client('pooler') } 1 .. 4;
	my $offset = log_size($node);

	for (1 .. 10)
	{
		my $client = RawClient->open($node);
		is($client->login(role => 'alice'),
			'FATAL 53300: sorry, too many clients already', 'one too many');
		ok($client->at_end, 'is closed');
		$client->close;
	}
	logged($node, $offset, qr/^<127\.0\.0\.1\|alice\|postgres\|.*sorry, too many clients already/m,
		'with its address in the log');
	$clients[0]->start('SELECT pg_sleep(600)');
	becomes($node, q(SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'),
		1, 'a client is busy');
	ok($clients[0]->cancel, 'a cancel request is let in');
	is($clients[0]->answer, 'ERROR 57014: canceling statement due to user request',
		'and carried out');
	is($_->ask('SELECT 1'), '1', 'who is in is served') for @clients;
	is($node->safe_psql('postgres', 'SELECT refused FROM pooler.status'), 10, 'they are counted');

	(shift @clients)->quit;
	ok(wait_until('somebody has left', sub {
				RawClient->open($node)->login(role => 'alice') eq 'ok';
			}), 'there is room when somebody leaves');

	# Who says nothing takes nobody's place, and has not for ever.
	becomes($node, 'SELECT count(*) FROM pooler.clients', 3, 'three are there');
	my @silent = map { RawClient->open($node) } 1 .. 5;
	my $client = client('pooler');
	is($client->ask('SELECT 1'), '1', 'silent ones take no place');
	for my $silent (@silent)
	{
		my (undef, $body) = $silent->read_message;
		is(LoginClient::error_text($body),
			'FATAL 57014: canceling authentication due to timeout DETAIL: pooler.client_login_timeout has passed.',
			'client_login_timeout');
		ok($silent->at_end, 'and closed');
	}
	is($client->ask('SELECT 1'), '1', 'the others stay');
	$_->quit for $client, @clients;
}
becomes($node, 'SELECT count(*) FROM pooler.clients', 0, 'all have gone');

# The same for a password that never comes.
$node->safe_psql('postgres', q(CREATE ROLE slow LOGIN PASSWORD 'x'));
set_hba($node, "host all slow 127.0.0.1/32 scram-sha-256\n$trust");
$node->reload;
{
	my $client;
	ok(wait_until('a password is asked for', sub {
				$client = RawClient->open($node);
				return $client->login(role => 'slow') eq 'R10';
			}), 'a password is asked for');
	my $begin = time;
	is($client->finish_login,
		'FATAL 57014: canceling authentication due to timeout DETAIL: pooler.client_login_timeout has passed.',
		'and not given in time');
	cmp_ok(time - $begin, '<=', 30, 'in good time');
}

#
# A backend that sleeps before it is ready would keep others from logging in
#

set_hba($node, q(
local	all		all		trust
host	all		all		127.0.0.2/32	password
host	all		all		127.0.0.1/32	trust
));
$node->safe_psql('postgres', q(
	CREATE ROLE hasty LOGIN PASSWORD 'x';
	CREATE ROLE boss LOGIN SUPERUSER));
$node->reload;
for my $case (
	[ 'by the pooler', from => '127.0.0.1', options => '-c post_auth_delay=1' ],
	[ 'by its short name', from => '127.0.0.1', options => '-W 1' ],
	[ 'as a parameter', from => '127.0.0.1', post_auth_delay => '1' ],
	[ 'by core', from => '127.0.0.2', options => '-c post_auth_delay=1' ])
{
	my ($how, %options) = @$case;
	my $from = delete $options{from};
	my $client = RawClient->open($node, from => $from);
	my $answer = $client->login(role => 'hasty', %options);

	if ($answer eq 'R3')
	{
		$client->send('p', "x\0");
		$answer = $client->finish_login;
	}
	like($answer, qr/^FATAL 42501: permission denied to set parameter "post_auth_delay"/,
		"nobody delays a login, logged in $how");
}
is(client('pooler', role => 'boss', options => '-c post_auth_delay=1')->ask('SHOW post_auth_delay'),
	'1s', 'but a superuser');

$node->stop;
done_testing();
