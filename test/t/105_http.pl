# HTTP: what is answered, to whom, and that nothing that is sent to the port
# harms anybody.

use strict;
use warnings;

use FindBin;
use IO::Select;
use IO::Socket::INET;
use JSON::PP;
use PoolerTest qw(becomes log_after log_size logged pooler_connstr
  pooler_psql start_node wait_until worker_pid);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);
use WireClient;

use constant TIMEOUT => $PostgreSQL::Test::Utils::timeout_default;

my $http_port = PostgreSQL::Test::Cluster::get_free_port();

# Names may be any bytes in such databases.
my $node = start_node('http',
	init => { extra => [ '--encoding', 'SQL_ASCII', '--locale', 'C' ] });

#
# Clients
#

sub open_socket
{
	my ($port) = @_;
	return IO::Socket::INET->new(PeerAddr => '127.0.0.1',
		PeerPort => $port // $http_port, Timeout => TIMEOUT);
}

# What comes until the other side closes; undef if it does not in time.
sub read_all
{
	my ($socket) = @_;
	my ($end, $all) = (time + TIMEOUT, '');

	while (time < $end)
	{
		next unless IO::Select->new($socket)->can_read(1);
		my $n = sysread($socket, $all, 65536, length $all);
		return $all unless $n;
	}
	return undef;
}

# Send these bytes on a new connection, and return what comes.
sub exchange
{
	my ($bytes) = @_;
	my $socket = open_socket() or return undef;

	local $SIG{PIPE} = 'IGNORE';
	syswrite($socket, $bytes);
	return read_all($socket);
}

sub parse
{
	my ($bytes) = @_;
	my ($head, $body) = split /\r\n\r\n/, $bytes // '', 2;
	my ($first, @lines) = split /\r\n/, $head // '';

	return {
		status => ($first // '') =~ m{^HTTP/1\.1 (\d+) } ? $1 : 0,
		headers => { map { /^([^:]+): (.*)/ ? (lc $1, $2) : () } @lines },
		body => $body // '',
	};
}

sub request
{
	my ($method, $path, %headers) = @_;
	%headers = (Host => 'localhost', Connection => 'close', %headers);

	return parse(exchange(join "\r\n", "$method $path HTTP/1.1",
			(map { "$_: $headers{$_}" } sort keys %headers), '', ''));
}

sub get { return request('GET', @_); }

sub json { return JSON::PP->new->utf8->decode(get($_[0])->{body}); }

# Does it answer?
sub serves
{
	my ($port) = @_;
	my $socket = open_socket($port) or return 0;

	syswrite($socket, "GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
	return (read_all($socket) // '') =~ m{^HTTP/1\.1 200 };
}

sub http_pid
{
	my $postmaster = (split /\n/, slurp_file($node->data_dir . '/postmaster.pid'))[0];

	for my $stat (glob '/proc/[0-9]*/stat')
	{
		open(my $file, '<', $stat) or next;
		my ($pid, $parent) = (<$file> // '') =~ /^(\d+) \(.*\) \S (\d+) /s or next;
		next unless $parent == $postmaster;
		open(my $cmdline, '<', "/proc/$pid/cmdline") or next;
		return $pid if (<$cmdline> // '') =~ /pooler http/;
	}
	return 0;
}

sub set
{
	my (%settings) = @_;

	$node->safe_psql('postgres', "ALTER SYSTEM SET $_ = '$settings{$_}'")
	  for sort keys %settings;
	$node->reload;
}

#
# On and off
#

ok(wait_until('the worker is there', \&http_pid), 'there is a worker of its own');
ok(!open_socket(), 'nothing listens by default');
is($node->safe_psql('postgres', 'SHOW pooler.http_port'), '0', 'HTTP is off by default');

my $offset = log_size($node);
set('pooler.http_port' => $http_port);
ok(wait_until('HTTP is served', \&serves), 'a reload turns it on');
logged($node, $offset, qr/pooler is listening for HTTP on IPv4 address "127\.0\.0\.1", port $http_port/,
	'which is logged');

#
# Routes
#

my %type = (
	'/health' => qr{^application/json$},
	'/status.json' => qr{^application/json$},
	'/metrics' => qr{^text/plain; version=0\.0\.4; charset=utf-8$},
	'/' => qr{^text/},
);

for my $path (sort keys %type)
{
	my $answer = get($path);

	is($answer->{status}, 200, "GET $path");
	like($answer->{headers}{'content-type'}, $type{$path}, "... its type");
	is($answer->{headers}{'x-content-type-options'}, 'nosniff', '... which holds');
	is($answer->{headers}{'cache-control'}, 'no-store', '... nobody keeps it');
	ok(!exists $answer->{headers}{'access-control-allow-origin'}, '... nor reads it from elsewhere');
	is(length $answer->{body}, $answer->{headers}{'content-length'}, '... its length');

	my $head = request('HEAD', $path);
	is($head->{status}, 200, "HEAD $path");
	is($head->{body}, '', '... has no body');
	ok($head->{headers}{'content-length'} > 0, '... but its length');
	is(get("$path?a=b")->{status}, 200, "GET $path with a query");
}
like(get('/')->{headers}{'content-security-policy'}, qr/default-src 'none'/, 'the page has a policy');
is(json('/health')->{status}, 'healthy', '/health says so');
is(get('/metrics', Accept => 'application/openmetrics-text; version=1.0.0,text/plain;q=0.5')
	->{headers}{'content-type'},
	'application/openmetrics-text; version=1.0.0; charset=utf-8', 'OpenMetrics for those who read it');

for my $path ('/nothing', '/metrics/', '//metrics', '/../metrics', '/%2e%2e/etc/passwd', '/METRICS')
{
	is(get($path)->{status}, 404, "404 for $path");
}
for my $method (qw(POST PUT DELETE OPTIONS TRACE PATCH CONNECT get BREW))
{
	my $answer = request($method, '/metrics');

	is($answer->{status}, 405, "405 for $method");
	is($answer->{headers}{allow}, 'GET, HEAD', '... and what is allowed');
}
is(request('POST', '/metrics', 'Content-Length' => 1_000_000)->{status}, 405, 'a body is not waited for');
is(request('GET', '/metrics', 'Content-Length' => 1_000_000)->{status}, 413, '... nor wanted');
is(request('GET', '/metrics', 'Transfer-Encoding' => 'chunked')->{status}, 413, '... in pieces');

#
# Names by which we are asked
#

for my $host ('127.0.0.1', "127.0.0.1:$http_port", '[::1]', "[::1]:$http_port", 'localhost',
	"LocalHost:$http_port", 'db', '192.0.2.1')
{
	is(get('/status.json', Host => $host)->{status}, 200, "/status.json for $host");
}
for my $host ('evil.example.com', "evil.example.com:$http_port", '127.0.0.1.example.com',
	'localhost.', '127.0.0.1.', 'x' x 300 . '.com', '[evil.example.com', '[evil.example.com]', '[::1]evil.example.com')
{
	is(get($_, Host => $host)->{status}, 403, "$_ not for $host, by the loopback interface")
	  for '/', '/status.json', '/metrics', '/health';
}
is(parse(exchange("GET /metrics HTTP/1.0\r\n\r\n"))->{status}, 200, 'a program need not send a name');
is(parse(exchange("GET /metrics HTTP/1.1\r\nConnection: close\r\n\r\n"))->{status}, 400,
	'... but by the rules of 1.1 has to');

# By another address: programs may use any name.
sub from_outside
{
	my ($path, $host) = @_;
	my ($address) = `hostname -I` =~ /^(\d+\.\d+\.\d+\.\d+)/ or return;
	my $socket = IO::Socket::INET->new(PeerAddr => $address, PeerPort => $http_port, Timeout => TIMEOUT)
	  or return;

	syswrite($socket, "GET $path HTTP/1.1\r\nHost: $host\r\nConnection: close\r\n\r\n");
	return parse(read_all($socket))->{status};
}
set('pooler.http_listen_addresses' => '*');
SKIP:
{
	skip 'the machine has no other address', 3
	  unless wait_until('it listens on all addresses', sub { from_outside('/health', 'localhost') }, 10);
	is(from_outside('/metrics', 'db1.example.com'), 200, '/metrics by any name, from outside');
	is(from_outside('/health', 'db1.example.com'), 200, '/health, too');
	is(from_outside('/status.json', 'db1.example.com'), 403, '... but not what is for browsers');
}
$offset = log_size($node);
set('pooler.http_listen_addresses' => 'localhost, 127.0.0.1, db1.example.invalid');
ok(wait_until('HTTP is served', \&serves), 'a name without an address does no harm');
logged($node, $offset, qr/could not translate host name "db1\.example\.invalid"/, '... and is logged');
is(get('/status.json', Host => 'db1.Example.invalid')->{status}, 200, 'a name that is given in the settings');
set('pooler.http_listen_addresses' => 'localhost');
ok(wait_until('HTTP is served', sub { get('/', Host => 'db1.example.invalid')->{status} == 403 }),
	'... is ours only as long as it is there');

#
# Bad requests
#

my $http_pid = http_pid();
my $pooler_pid = worker_pid($node);
my @bad = (
	[ 'a long path', 'GET /' . 'a' x 100_000 . " HTTP/1.1\r\nHost: localhost\r\n\r\n" ],
	[ 'a long header', "GET / HTTP/1.1\r\nHost: localhost\r\nX: " . 'a' x 100_000 . "\r\n\r\n" ],
	[ 'many headers', "GET / HTTP/1.1\r\nHost: localhost\r\n" . "X: y\r\n" x 10_000 . "\r\n" ],
	[ 'no method', " / HTTP/1.1\r\n\r\n" ],
	[ 'no version', "GET /\r\n\r\n" ],
	[ 'another version', "GET / HTTP/9.9\r\nHost: localhost\r\n\r\n" ],
	[ 'a negative length', "GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n" ],
	[ 'a huge length', "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999999999999\r\n\r\n" ],
	[ 'a zero byte', "GET /metrics\0x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n" ],
	[ 'a startup packet', pack('NN', 8, 80877103) . "\0" x 100 . "\r\n\r\n" ],
	[ 'a TLS hello', "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" . 'r' x 500 . "\r\n\r\n" ],
);
for (@bad)
{
	my ($name, $bytes) = @$_;
	my $answer = exchange($bytes);

	ok(defined $answer, "$name: the connection is closed");
	unlike($answer // '', qr/^HTTP\/1\.1 200 /, '... without what was asked for') unless $name eq 'a zero byte';
}

# Bytes at random, some behind the beginning of a request; and requests that were
# changed at random.  POOLER_HTTP_SECONDS says for how long, POOLER_SEED repeats
# it.
my $seed = int($ENV{POOLER_SEED} || time ^ $$);
my $until = time + ($ENV{POOLER_HTTP_SECONDS} || 3);
my $requests = 0;
my @kept;

srand($seed);
note "POOLER_SEED=$seed";

sub any { return $_[ rand @_ ] }
sub garbage { return join '', map { chr rand 256 } 1 .. $_[0] }

sub maybe { return rand() < 0.5 ? @_ : () }

sub random_request
{
	my $body = any('', '', 'x' x rand 3000, "5\r\nhello\r\n0\r\n\r\n");
	my @lines = (
		join(' ', any(qw(GET GET GET HEAD POST OPTIONS TRACE), garbage(3)),
			any(qw(/ /metrics /health /status.json /page.js /nothing * //health /health?a=b&c=%00 /%2e%2e/etc/passwd /%), '/' . garbage(30), '/' . 'a' x rand 20000),
			any('HTTP/1.1', 'HTTP/1.1', 'HTTP/1.0', 'HTTP/2.0', 'HTTP/0.9', garbage(5))),
		'Host: ' . any('localhost', '127.0.0.1', '[::1]', '[', '[]', ':', 'x' x 5000, garbage(20), '[' . garbage(5) . ']:1', 'a.b:99999999999'),
		maybe('Accept: ' . any('*/*', 'application/openmetrics-text', garbage(50))),
		maybe('Connection: ' . any('close', 'keep-alive', 'Upgrade', garbage(5))),
		maybe('Content-Length: ' . any(0, length $body, -1, 2**31, 2**63, '0x10', '1, 2', garbage(4))),
		maybe('Transfer-Encoding: ' . any('chunked', 'chunked, gzip', garbage(5))),
		maybe(map { 'X-' . garbage(3) . ': ' . garbage(rand 30) } 1 .. rand 30),
		maybe(any('Expect: 100-continue', ' folded', 'Cookie: ' . 'a=b; ' x rand 500, 'Authorization: Digest ' . garbage(40))));
	my $request = join(any("\r\n", "\r\n", "\r\n", "\n", "\r"), @lines, '', '') . $body;

	for (1 .. any(0, 0, 1, 3))
	{
		any(sub { substr($request, rand length $request, 1) = chr rand 256 },
			sub { substr($request, rand length $request, 0) = garbage(rand 10) },
			sub { substr($request, rand length $request) = '' },
			sub { $request x= 1 + rand 4 })->();
		$request .= "\r\n" if $request eq '';
	}
	return $request;
}

while (time < $until || $requests < 100)
{
	my $socket = open_socket() or next;

	local $SIG{PIPE} = 'IGNORE';
	$requests++;
	$socket->blocking(0);
	syswrite($socket, any(garbage(1 + rand 2000), "GET /metrics HTTP/1.1\r\nHost: localhost\r\n" . garbage(rand 500),
			random_request(), random_request(), random_request(), random_request()));
	usleep(20_000), sysread($socket, my $answer, 65536) if rand() < 0.3;
	push @kept, $socket if rand() < 0.2;
	splice(@kept, rand @kept, 1) if @kept > 20;
}
@kept = ();
note "$requests requests";
ok(wait_until('HTTP is served', \&serves), 'random requests: it still answers');

# More connections than there may be, of which none asks for anything.
my @many = map { open_socket() } 1 .. 300;
ok(wait_until('there is room again', \&serves), 'many idle connections: it still answers');
@many = ();
# What comes next must not be one too many.
ok(wait_until('they are gone', sub {
	local $SIG{PIPE} = 'IGNORE';
	my @some = map { open_socket() } 1 .. 10;

	$_ && syswrite($_, "GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n") for @some;
	return !grep { !$_ || (read_all($_) // '') !~ m{^HTTP/1\.1 200 } } @some;
}), '... and others when they are gone');

#
# Slow clients: it takes a while until they are closed, see below
#

my @drips = map { { socket => open_socket(), sent => 0, begun => time } } 1 .. 3;
my $silent = { socket => open_socket(), begun => time };
my $drip_bytes = "GET /health HTTP/1.1\r\nX-Slow: " . 'x' x 10000;

sub drip
{
	local $SIG{PIPE} = 'IGNORE';
	for my $drip (grep { !$_->{ended} } @drips)
	{
		if (IO::Select->new($drip->{socket})->can_read(0)
			&& !sysread($drip->{socket}, my $answer, 65536))
		{
			$drip->{ended} = time;
			next;
		}
		syswrite($drip->{socket}, substr($drip_bytes, $drip->{sent}++, 1));
	}
}

# Pipelined requests on one connection.  It is closed at once as long as the many
# from above are not gone.
my $pipelined;
wait_until('a connection is served', sub {
	$pipelined = exchange("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n" x 50
		  . "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
	return ($pipelined // '') ne '';
});
is(scalar(() = $pipelined =~ /^HTTP\/1\.1 200 /mg), 51, 'requests that do not wait for answers');

is(http_pid(), $http_pid, 'it is the same worker');
is(worker_pid($node), $pooler_pid, '... and the same pooler');
is(scalar pooler_psql($node, 'SELECT 1'), '1', '... which works');

#
# Names
#

sub quote
{
	my ($name) = @_;
	return '"' . $name =~ s/"/""/gr . '"';
}

my @names = (
	[ 'plain', 'plain' ],
	[ 'quo"te', "sing'le" ],
	[ "new\nline", "tab\tbell\a" ],
	[ 'back\\slash', '\\n' ],
	[ '<script>alert(1)</script>', '"><img src=x>' ],
	[ "umlaut \xc3\xa4", "invalid \xff\xc3" ],
	[ "invalid \xfe", "cut \xe2\x82" ],
	[ "invalid \xfd", "cut \xe2\x83" ],	# the same, if one can't look closely
	[ '{a="b"} 1', "\xe2\x80\xae\xf0\x9f\x98\x80" ],
);
for (@names)
{
	my ($database, $role) = @$_;

	$node->safe_psql('postgres', 'CREATE DATABASE ' . quote($database));
	$node->safe_psql('postgres', 'CREATE ROLE ' . quote($role) . ' LOGIN');
	is(scalar pooler_psql($node, 'SELECT 1', database => $database, role => $role,
			application_name => '</script>"\\'), '1', 'a pool with strange names');
	drip();
}

# As Prometheus reads it: name, labels => value
sub metrics
{
	my $text = $_[0] // get('/metrics')->{body};
	my %value;

	for my $line (grep { !/^#/ } split /\n/, $text)
	{
		my ($name, $labels, $value) =
		  $line =~ /^(\w+)(?:\{((?:\w+="(?:[^"\\]|\\.)*",?)*)\})? (\S+)$/
		  or die "not a sample: $line";
		$labels //= '';
		die "twice: $line" if exists $value{"$name\{$labels}"};
		$value{"$name\{$labels}"} = $value;
	}
	return %value;
}

my $text = get('/metrics')->{body};
ok(utf8::decode(my $copy = $text), '/metrics is valid UTF-8');
my %metrics = metrics($text);
for my $label ('database="quo\\"te"', 'role="sing\'le"', 'database="new\\nline"',
	'database="back\\\\slash"', 'role="\\\\n"', 'database="<script>alert(1)</script>"',
	"database=\"umlaut \xc3\xa4\"", 'role="invalid ??"', 'database="invalid ?"',
	'database="{a=\\"b\\"} 1"')
{
	ok((grep { /^pooler_transactions_total\{.*\Q$label\E/ } keys %metrics), "label $label");
}
is($metrics{'pooler_transactions_total{database="invalid ?",role="cut ??"}'}, 2,
	'what looks the same is one');
unlike($text, qr/application/, 'no application is named');

my $status = get('/status.json')->{body};
my $state = eval { JSON::PP->new->utf8->decode($status) };
ok(defined $state, '/status.json is JSON') or diag($@, $status);
my %databases = map { $_->{database} => 1 } @{ $state->{pools} };
ok($databases{$_}, "... with a pool of $_")
  for 'quo"te', "new\nline", 'back\\slash', '<script>alert(1)</script>', "umlaut \x{e4}", 'invalid ?';
is($state->{latency}{interval_s}, 5, '... and samples');
ok(!$state->{queries_shown}, '... but without queries');
ok(eval { json('/health'); 1 }, '/health is JSON') or diag($@);

#
# promtool
#

SKIP:
{
	my $promtool = (grep { -x "$_/promtool" } split /:/, $ENV{PATH})[0];

	skip 'there is no promtool', 1 unless $promtool;
	my $file = "$PostgreSQL::Test::Utils::tmp_check/metrics";
	append_to_file($file, $text);
	my $said = `promtool check metrics <'$file' 2>&1`;
	is("$?: $said", '0: ', 'promtool has nothing to complain about');
}

my $open = get('/metrics', Accept => 'application/openmetrics-text')->{body};
like($open, qr/\n# EOF\n\z/, 'OpenMetrics ends');
unlike($open, qr/^# TYPE \w+_total /m, '... and does not call families totals');
my %seen;
my @again = grep { $seen{$_}++ } $open =~ /^# TYPE (\w+) /mg;
is("@again", '', '... each of which is there once');
is(scalar(() = $open =~ /^# HELP /mg), scalar keys %seen, '... and described');
is_deeply([ sort keys %{ { metrics($open) } } ], [ sort keys %metrics ], '... with the same samples');

# Each family is described in the manual, or is a counter that is called there
# what it is called in views.
my $manual = slurp_file("$FindBin::Bin/../../README.md");
my %described = map { $_ => 1 } $manual =~ /`(pooler_\w+)`/g;
my %columns = map { $_ => 1 } map { /`(\w+)`/g } $manual =~ /^\| ((?:`\w+`(?:, )?)+) \| bigint/mg;
my @families = $text =~ /^# TYPE (\w+) /mg;
my @undescribed = grep { !$described{$_} && !(/^pooler_(\w+)_total$/ && $columns{$1}) } @families;
is("@undescribed", '', 'the manual has all metrics');
my %family = map { $_ => 1 } @families;
my @unknown = grep { !$family{$_} && !$family{ s/_(bucket|sum|count)$//r } } sort keys %described;
is("@unknown", 'pooler_stats_reset_time_seconds', '... and no others');

#
# Counters
#

# One for each counter, whatever its name.
sub metric_of
{
	my ($name, $unit, $kind) = @_;

	return if $name =~ /^(wait_us|transaction_us|failed_logins|ends)$/;
	return ($name =~ /^bytes_(\w+)$/)[0] =~ s/(.*)/pooler_$1_bytes_total/r if $unit eq 'bytes';
	return ("pooler_$1_total", qr/reason="\Q$2\E"/) if $name =~ /^(failed_logins|pins|ends)_(\w+)$/;
	return ('pooler_timeouts_total', qr/kind="\Q$1\E"/)
	  if $name =~ /^(\w+)_timeouts$/;
	return ('pooler_leaks_ended_total', qr/cause="\Q$1\E"/) if $name =~ /^leaks_ended_by_(\w+)$/;
	return ('pooler_leaks_found_total', qr/kind="\Q$1\E"/) if $name =~ /^leaks_(\w+)$/;
	$name =~ s/_us$/_seconds/;
	return "pooler_$name" . ($kind eq 'sum' ? '_total' : '');
}

sub sum
{
	my ($metrics, $name, $labels) = @_;
	my ($sum, $found) = (0, 0);

	for (keys %$metrics)
	{
		next unless /^\Q$name\E\{(.*)\}$/ && (!$labels || $1 =~ $labels);
		$sum = $name =~ /max/ && $sum > $metrics->{$_} ? $sum : $name =~ /max/ ? $metrics->{$_} : $sum + $metrics->{$_};
		$found++;
	}
	return $found ? $sum : undef;
}

$node->command_ok([ 'pgbench', '-i', '-q', 'postgres' ], 'tables for pgbench');

sub load
{
	return command_ok(
		[
			'pgbench', '--no-vacuum', '--select-only', '--client=30', '--transactions=50',
			pooler_connstr($node, host => '127.0.0.1')
		],
		'some load');
}
my %before = metrics();
load();
pooler_psql($node, 'SELECT 1', role => 'nobody');
pooler_psql($node, 'SELECT 1', database => 'nothing');
becomes($node, q{SELECT count(*) FROM pooler.clients}, '0', 'everybody has left');

my @counters = map { [ split /\|/ ] } split /\n/,
  $node->safe_psql('postgres', 'SELECT name, unit, kind FROM pooler.get_counters()');
my $rows = sub {
	return map { split /\|/ } split /\n/,
	  $node->safe_psql('postgres', 'SELECT name, value FROM pooler.get_totals()');
};
my @different;
ok(wait_until('both say the same', sub {
	my %total = $rows->();
	usleep(300_000);			# until what is kept is outdated
	%metrics = metrics();
	@different = ();
	for (@counters)
	{
		my ($name, $unit, $kind) = @$_;
		my ($metric, $labels) = metric_of($name, $unit, $kind) or next;
		my $value = sum(\%metrics, $metric, $labels) // -1;

		$value = sprintf '%.0f', $value * 1e6 if $unit eq 'us';
		push @different, "$metric: $value, $name: $total{$name}" unless $value == $total{$name};
	}
	return !@different;
}), 'each counter is a metric, with the value that SQL shows') or diag(join "\n", @different);
cmp_ok(sum(\%metrics, 'pooler_transactions_total'), '>=', 1500, '... which is as it should be');
cmp_ok(sum(\%metrics, 'pooler_failed_logins_total'), '>=', 1, '... also of failed logins');

my @less = grep { /_(total|bucket|count|sum)\{/ && ($metrics{$_} // 0) < $before{$_} } keys %before;
is("@less", '', 'no counter goes back');

# Histograms
for my $time (qw(wait transaction login))
{
	my ($bad, $n) = (0, 0);
	my %buckets;

	for (keys %metrics)
	{
		push @{ $buckets{$1} }, [ $2, $metrics{$_} ]
		  if /^pooler_${time}_seconds_bucket\{(.*),le="(.*)"\}$/;
	}
	for my $labels (keys %buckets)
	{
		my @sorted = sort { $a->[0] <=> $b->[0] }
		  map { [ $_->[0] eq '+Inf' ? 9**9**9 : $_->[0], $_->[1] ] } @{ $buckets{$labels} };
		my $last = 0;

		for (@sorted)
		{
			$bad++ if $_->[1] < $last;
			$last = $_->[1];
		}
		$bad++ if $last != $metrics{"pooler_${time}_seconds_count{$labels}"};
		$bad++ if @sorted != 24;
		$n += $last;
	}
	is($bad, 0, "histogram of $time: buckets add up");
	is($n, $node->safe_psql('postgres',
			"SELECT count FROM pooler.get_times() WHERE level = 'total' AND kind = '$time'"),
		'... to what SQL shows');
}

#
# Leaks
#

sub leaks { return @{ json('/status.json')->{leaks} }; }

set('pooler.leak_idle_in_transaction' => '500ms');
my $leaker = WireClient->connect($node, from => '127.0.0.1', application_name => "</script>\\\"'");
$leaker->query('BEGIN');
$leaker->query("SELECT 'caf\xe9'");	# neither is it UTF-8
ok(wait_until('the leak is shown', sub { leaks() == 1 }), '/status.json shows a leak');
my ($leak) = leaks();
is($leak->{kind}, 'idle_in_transaction', '... of which kind');
is($leak->{database}, 'postgres', '... where');
is($leak->{application}, "</script>\\\"'", '... whose');
like($leak->{address}, qr/^127\.0\.0\.1:\d+$/, '... from where');
cmp_ok($leak->{held_ms}, '>=', 500, '... for how long');
ok(!defined $leak->{first_query} && !defined $leak->{last_query}, '... but not its query');
unlike(get('/status.json')->{body}, qr/caf/, '... nowhere');
%metrics = metrics();
is(sum(\%metrics, 'pooler_leaks', qr/kind="idle_in_transaction"/), 1, '/metrics counts it');
is(sum(\%metrics, 'pooler_leaks'), 1, '... once');
is(sum(\%metrics, 'pooler_leaks_found_total', qr/kind="idle_in_transaction"/), 1, '... and how many there were');
set('pooler.http_show_queries' => 'on');
ok(wait_until('queries are shown', sub { json('/status.json')->{queries_shown} }), 'queries are shown if that is wanted');
($leak) = leaks();
is($leak->{first_query}, "SELECT 'caf?'", '... in valid UTF-8');
set('pooler.http_show_queries' => 'off');
$leaker->query('COMMIT');
ok(wait_until('the leak is gone', sub { !leaks() }), '... until it ends');

#
# Slow clients
#

ok(wait_until('slow clients are closed', sub { drip(); usleep(200_000); !grep { !$_->{ended} } @drips }),
	'who sends a byte now and then is closed');
my @soon = grep { $_->{ended} - $_->{begun} < 9 } @drips;
is(scalar @soon, 0, '... not at once');
ok(defined read_all($silent->{socket}), 'who sends nothing is, too');
ok(serves(), 'it still answers');

#
# Settings that change
#

my $kept = open_socket();
syswrite($kept, "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n");
ok(IO::Select->new($kept)->can_read(TIMEOUT), 'a connection is kept');

my $old_port = $http_port;
my $taken = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1') or die $!;
$http_port = $taken->sockport;
$offset = log_size($node);
set('pooler.http_port' => $http_port);
logged($node, $offset, qr/could not bind IPv4 address "127\.0\.0\.1", port $http_port/, 'a port that is taken');
ok(wait_until('the old port is closed', sub { !open_socket($old_port) }), '... the old one is closed');
ok(defined read_all($kept), '... with its connections');
close $taken;
ok(wait_until('HTTP is served', \&serves), '... it is tried again');
is(scalar(() = log_after($node, $offset) =~ /could not bind IPv4/g), 1, '... and logged once');

#
# The end
#

$http_pid = http_pid();
kill 'TERM', $http_pid;
ok(wait_until('another one', sub { my $pid = http_pid(); $pid && $pid != $http_pid }), 'a new worker after SIGTERM');
ok(wait_until('HTTP is served', \&serves), '... which answers');
is(worker_pid($node), $pooler_pid, '... to the pooler it is the same');
is(scalar @{ json('/status.json')->{latency}{samples} } <= 1, 1, 'samples begin anew');

set('pooler.http_port' => 0);
ok(wait_until('the port is closed', sub { !open_socket() }), 'a reload turns it off');
set('pooler.http_port' => $http_port);
ok(wait_until('HTTP is served', \&serves), '... and on');

# Connections that are kept hold nobody up.
my @idle = map { my $s = open_socket(); syswrite($s, "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"); $s } 1 .. 5;
IO::Select->new($_)->can_read(TIMEOUT) for @idle;
ok($node->stop('smart'), 'a smart shutdown does not wait for them');

unlike(slurp_file($node->logfile), qr/PANIC|FATAL:  .*microhttpd|terminated by signal|server process .* was terminated/,
	'nothing went wrong');

done_testing();
