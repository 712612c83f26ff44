# TLS: handshakes, certificates, what is moved and what stops, and what others
# are told of it.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use PoolerTest qw(log_after log_size logged new_node pooler_connstr pooler_port
  pooler_psql set_hba wait_for_pooler wait_until);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use RawClient ();
use Test::More;
use TlsTest;
use WireClient ();

plan skip_all => 'the program openssl is needed' unless TlsTest::possible();

my $ca = TlsTest->new;
my $other_ca = TlsTest->new('somebody else');
my $names = 'DNS:localhost,IP:127.0.0.1';

$ca->certificate('server', subject => '/CN=localhost', names => $names);
my $alice_serial = $ca->certificate('alice', subject => '/O=Pool, Inc./CN=alice');
$ca->certificate('revoked', subject => '/CN=alice');
$ca->certificate('expired', subject => '/CN=alice', expired => 1);
$ca->revoke('revoked');
$other_ca->certificate('alice');

my $rules = qq(
local	all	all	trust
hostssl	all	alice	127.0.0.1/32	trust clientcert=verify-full
hostssl	all	carol	127.0.0.1/32	trust clientcert=verify-ca
hostnossl	all	plain	127.0.0.1/32	trust
hostssl	all	postgres,app	127.0.0.1/32	trust
host	all	app	127.0.0.1/32	trust
);
my $node = new_node('tls',
	hba => $rules,
	conf => qq(
ssl = on
ssl_cert_file = '@{[ $ca->file('server.crt') ]}'
ssl_key_file = '@{[ $ca->file('server.key') ]}'
ssl_ca_file = '@{[ $ca->file('ca.crt') ]}'
ssl_crl_file = '@{[ $ca->file('ca.crl') ]}'
log_connections = on
pooler.default_pool_size = 2
pooler.tls_workers = 2
));
$node->start;
$node->safe_psql('postgres', q{
	CREATE EXTENSION pooler;
	CREATE ROLE alice LOGIN; CREATE ROLE carol LOGIN;
	CREATE ROLE plain LOGIN; CREATE ROLE app LOGIN;
	GRANT pg_monitor TO app;
});
wait_for_pooler($node);

# psql by TCP, with TLS.
sub tls_psql
{
	my ($sql, %options) = @_;

	return pooler_psql($node, $sql, host => '127.0.0.1', role => 'app',
		sslmode => 'require', %options);
}

sub with_cert
{
	my ($authority, $name) = @_;

	return (sslcert => $authority->file("$name.crt"), sslkey => $authority->file("$name.key"));
}


# Settings of the server, in force in all relays when this returns.  There is
# another certificate each time.
my $generation = 0;

sub reconfigure
{
	my (%settings) = @_;
	my $before = $node->safe_psql('postgres', 'SELECT clock_timestamp()');

	$generation++;
	$ca->certificate('server', subject => "/CN=localhost/serialNumber=$generation",
		names => $names);
	$node->safe_psql('postgres', "ALTER SYSTEM SET $_ = '$settings{$_}'")
	  for sort keys %settings;
	$node->reload;
	my $condition = ($settings{ssl} // '') eq 'off' ? q{state = 'off'} :
	  "state = 'ready' AND loaded_at > '$before'";
	ok($node->poll_query_until('postgres',
			"SELECT count(*) = 2 FROM pooler.tls_workers WHERE $condition"),
		'new settings: ' . join(', ', %settings));
	is(TlsTest::served_serial($node), $generation, 'a new certificate') if $condition =~ /ready/;
}

my $about_me = q{SELECT version, cipher, bits, client_dn, client_serial, issuer_dn
	FROM pg_stat_ssl WHERE ssl AND pid = pg_backend_pid()};

#----------------------------------------------------------------------------
# who is let in
#----------------------------------------------------------------------------

my $log = log_size($node);
my ($rc, $out, $err) = tls_psql($about_me);
is($rc, 0, 'TLS') or diag($err);
like($out, qr/^TLSv1\.3\|TLS_AES_256_GCM_SHA384\|256\|\|\|$/, 'and pg_stat_ssl says so');
logged($node, $log,
	qr/connection authorized: user=app database=postgres application_name=\S+ SSL enabled \(protocol=TLSv1\.3, cipher=TLS_AES_256_GCM_SHA384, bits=256\)/,
	'so does the log');
is(tls_psql('SELECT inet_client_addr(), inet_server_addr()'), '127.0.0.1|127.0.0.1',
	'addresses are those of the TCP connection');
is(tls_psql($about_me, sslmode => 'disable'), '', 'without TLS');
like(tls_psql($about_me, sslmode => 'verify-full', sslrootcert => $ca->file('ca.crt')),
	qr/^TLSv1\.3/, 'verify-full');
($rc, $out, $err) = tls_psql('SELECT 1', sslmode => 'verify-ca',
	sslrootcert => $other_ca->file('ca.crt'));
like($err, qr/certificate verify failed/, 'the server is not signed by somebody else');
($rc, $out, $err) = tls_psql('SELECT 1', role => 'plain');
like($err,
	qr/FATAL:  no pg_hba\.conf entry for host "127\.0\.0\.1", user "plain", database "postgres", SSL encryption/,
	'hostnossl');
is(tls_psql('SELECT 1', role => 'plain', sslmode => 'disable'), '1', 'without TLS');
($rc, $out, $err) = tls_psql('SELECT 1', role => 'postgres', sslmode => 'disable');
like($err, qr/no pg_hba\.conf entry for host "127\.0\.0\.1", user "postgres", database "postgres", no encryption/,
	'hostssl');

#----------------------------------------------------------------------------
# certificates of clients
#----------------------------------------------------------------------------

is(tls_psql($about_me, with_cert($ca, 'alice')),
	"TLSv1.3|TLS_AES_256_GCM_SHA384|256|/O=Pool\\, Inc./CN=alice|$alice_serial|/CN=pooler test authority",
	'the certificate of a client in pg_stat_ssl');
is(tls_psql($about_me, sslmode => 'disable'), '', 'and not of the next client');
for (
	[ $other_ca, 'alice', 'signed by somebody else',
		qr/could not accept SSL connection: certificate verify failed/ ],
	[ $ca, 'revoked', 'revoked', qr/could not accept SSL connection: certificate verify failed/ ],
	[ $ca, 'expired', 'expired', qr/could not accept SSL connection: certificate verify failed/ ])
{
	my ($authority, $name, $what, $message) = @$_;

	$log = log_size($node);
	($rc, $out, $err) = tls_psql('SELECT 1', with_cert($authority, $name));
	isnt($rc, 0, "a certificate that is $what is refused");
	logged($node, $log, $message, 'and the log has it in core\'s words');
}

#----------------------------------------------------------------------------
# settings, and their reload
#----------------------------------------------------------------------------

my $old = TlsTest::client($node);
is($old->login(role => 'app'), 'ok', 'a connection that stays');
like(tls_psql($about_me, ssl_max_protocol_version => 'TLSv1.2'), qr/^TLSv1\.2\|ECDHE/, 'TLS 1.2');
reconfigure(ssl_min_protocol_version => 'TLSv1.3');
$log = log_size($node);
($rc, $out, $err) = tls_psql('SELECT 1', ssl_max_protocol_version => 'TLSv1.2');
isnt($rc, 0, 'TLS 1.2 after ssl_min_protocol_version');
logged($node, $log,
	qr/could not accept SSL connection: unsupported protocol\n.*HINT:  This may indicate that the client does not support any SSL protocol version between TLSv1\.3 and TLSv1\.3\./,
	'and the hint');
reconfigure(ssl_min_protocol_version => 'TLSv1.2', ssl_max_protocol_version => 'TLSv1.2',
	ssl_ciphers => 'ECDHE-ECDSA-AES128-GCM-SHA256');
is(tls_psql($about_me), 'TLSv1.2|ECDHE-ECDSA-AES128-GCM-SHA256|128|||', 'ssl_ciphers');
is($old->value($about_me), 'TLSv1.3|TLS_AES_256_GCM_SHA384|256|NULL|NULL|NULL',
	'connections of before are as they were');

# What can't be loaded changes nothing.
$log = log_size($node);
$node->safe_psql('postgres', "ALTER SYSTEM SET ssl_ca_file = '/nowhere/ca.crt'");
$node->reload;
logged($node, $log, qr/SSL configuration was not reloaded by the pooler/, 'a reload in vain');
like(tls_psql($about_me), qr/^TLSv1\.2\|/, 'what was there before is still used');
$node->safe_psql('postgres', 'ALTER SYSTEM RESET ssl_ca_file');
reconfigure(ssl_max_protocol_version => '');

reconfigure(ssl => 'off');
ok(wait_until('TLS is off', sub {
			($rc, $out, $err) = tls_psql('SELECT 1');
			return $err =~ /server does not support SSL, but SSL was required/;
		}), 'it is not offered');
is(tls_psql('SELECT 1', sslmode => 'prefer'), '1', 'and prefer goes on without');
is($old->value('SELECT 2'), '2', 'connections of before stay');
reconfigure(ssl => 'on');
like(tls_psql($about_me), qr/^TLSv1\.3\|/, 'ssl = on');

#----------------------------------------------------------------------------
# the first bytes
#----------------------------------------------------------------------------

use constant SSL_REQUEST => pack('NN', 8, 80877103);

my $raw = RawClient->open($node);
$log = log_size($node);
$raw->send_raw(SSL_REQUEST . RawClient::startup_packet(role => 'app'));
like($raw->finish_login, qr/^FATAL 08P01: received unencrypted data after SSL request/,
	'plain text behind the request');

# The bytes come in two pieces.
$raw = RawClient->open($node);
$raw->send_raw(substr(SSL_REQUEST, 0, 5));
is($raw->readable(0.1) ? 1 : 0, 0, 'part of a request');
$raw->send_raw(substr(SSL_REQUEST, 5));
$raw->fill(1);
is($raw->{in}, 'S', 'the rest of it');
$log = log_size($node);
$raw->send_raw("\x16\x03\x01\x00\x05garbage, and more of it");
# an alert, and the end of the stream
$raw->fill(1000);
like($raw->{in}, qr/^S\x15\x03/, 'something else than a handshake');
logged($node, $log, qr/could not accept SSL connection: /, 'and the log');

$raw = RawClient->open($node);
$raw->send_raw(SSL_REQUEST);
$raw->fill(1);
$log = log_size($node);
$raw->send_raw("GET / HTTP/1.0\r\n\r\n");
$raw->fill(1000);
is($raw->{in}, 'S', 'a request of another protocol');
logged($node, $log, qr/could not accept SSL connection: http request/, 'and the log');

# Since 18 OpenSSL hears of an end of file, and has its own words for it.
my $eof = $node->safe_psql('postgres', 'SHOW server_version_num') < 180000 ?
  'EOF detected' : 'unexpected eof while reading';
for my $port ($node->port, pooler_port($node))
{
	$raw = RawClient->open($node, port => $port);
	$raw->send_raw(SSL_REQUEST);
	$raw->fill(1);
	$log = log_size($node);
	$raw->close;
	logged($node, $log, qr/could not accept SSL connection: $eof$/m, 'no handshake at all');
}

$raw = RawClient->open($node);
$raw->send_raw(pack('NN', 8, 80877104));
$raw->fill(1);
is($raw->{in}, 'N', 'no encryption by GSSAPI');
$raw->send_raw(SSL_REQUEST);
$raw->fill(2);
is($raw->{in}, 'NS', 'but TLS');
$raw->close;

my $local = RawClient->open($node, from => 'local');
$local->send_raw(SSL_REQUEST);
$local->fill(1);
is($local->{in}, 'N', 'no TLS by Unix sockets');
$local->{in} = '';
is($local->login(role => 'app'), 'ok', 'which go on without');

# Without SSLRequest, ALPN is needed.
my $direct = TlsTest::client($node, direct => 1);
is($direct->login(role => 'app'), 'ok', 'direct TLS');
like($direct->value($about_me), qr/^TLSv1\.3/, 'in pg_stat_ssl');
$direct->quit;
like(TlsTest::probe($node, '-alpn', 'postgresql'), qr/ALPN protocol: postgresql/, 'ALPN');
$log = log_size($node);
TlsTest::probe($node);
logged($node, $log,
	qr/received direct SSL connection request without ALPN protocol negotiation extension/,
	'direct TLS without ALPN is refused');
$log = log_size($node);
like(TlsTest::probe($node, '-alpn', 'http/1.1'), qr/no application protocol/,
	'so is another protocol');
logged($node, $log, qr/could not accept SSL connection: /, 'and logged');

# TLS in TLS is as in core.
my $twice = TlsTest::client($node);
$twice->send_raw(SSL_REQUEST);
like($twice->finish_login, qr/^FATAL 0A000: unsupported frontend protocol 1234\.5679/,
	'a request inside TLS');

# Renegotiation is refused; s_client asks for it by a line "R".
my $renegotiation = '';
{
	my ($in, $output) = ("R\n", '');
	my $h = IPC::Run::start([ 'openssl', 's_client', '-tls1_2', '-starttls', 'postgres',
			'-connect', '127.0.0.1:' . pooler_port($node) ],
		'<', \$in, '>', \$output, '2>', \$output, IPC::Run::timeout(PoolerTest::TIMEOUT));
	eval { $h->pump while $output !~ /no renegotiation|closed/; };
	$renegotiation = $output;
	$h->kill_kill;
}
like($renegotiation, qr/no renegotiation/, 'renegotiation');

#----------------------------------------------------------------------------
# clients that are slow
#----------------------------------------------------------------------------

$node->safe_psql('postgres', q{ALTER SYSTEM SET pooler.client_login_timeout = '1s'});
$node->reload;
is($node->safe_psql('postgres', 'SELECT 1'), '1');
my @stalled = map { RawClient->open($node) } 1 .. 30;
for (@stalled)
{
	$_->send_raw(SSL_REQUEST);
	$_->fill(1);
	$_->{in} = '';
}
# a whole head of a record, and a part of what it announces
$_->send_raw("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03") for @stalled[0 .. 14];
is(tls_psql('SELECT 1'), '1', 'handshakes that stall disturb nobody');
is(scalar(grep { $_->at_end } @stalled), 30, 'and end by client_login_timeout');
$node->safe_psql('postgres', q{ALTER SYSTEM RESET pooler.client_login_timeout});
$node->reload;

# One does not read a result that no buffer holds; the others go on.
my $lazy = TlsTest::client($node);
is($lazy->login(role => 'app'), 'ok', 'one that does not read');
$lazy->start(q{SELECT repeat('x', 1000000) FROM generate_series(1, 100)});
ok($node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity
	WHERE wait_event = 'ClientWrite'}), 'its backend waits for it');
is(tls_psql('SELECT count(*) FROM generate_series(1, 100000)'), '100000', 'others do not');
my @lazy = $lazy->replies;
is(scalar(grep { length $_ == 1000000 } @lazy), 100, 'when it reads, all is there');
$lazy->quit;

#----------------------------------------------------------------------------
# large data
#----------------------------------------------------------------------------

$node->safe_psql('postgres', q{
	CREATE TABLE big AS SELECT i, md5(i::text) || repeat(chr(32 + i % 90), i % 500) AS t
		FROM generate_series(1, 100000) i;
	CREATE TABLE copied (LIKE big);
	GRANT ALL ON big, copied TO app;
});
my $file = $ca->file('big.data');
tls_psql("\\copy big TO '$file'");
tls_psql("\\copy copied FROM '$file'");
is(tls_psql(q{SELECT count(*), (SELECT count(*) FROM (TABLE big EXCEPT TABLE copied) x) FROM copied}),
	'100000|0', 'COPY, both ways');

#----------------------------------------------------------------------------
# hand-overs
#----------------------------------------------------------------------------

my $is_ssl = q{SELECT ssl, version, client_dn FROM pg_stat_ssl WHERE pid = pg_backend_pid()};
my $certified = TlsTest::client($node,
	more => [ '-cert', $ca->file('alice.crt'), '-key', $ca->file('alice.key') ]);
my $plain = WireClient->new($node, role => 'app', from => '127.0.0.1');
my $unix = WireClient->new($node, role => 'app');
is($certified->login(role => 'app'), 'ok');
for my $round (1 .. 3)
{
	is($certified->value($is_ssl), 't|TLSv1.3|/O=Pool\\, Inc./CN=alice', "round $round: with a certificate");
	is($plain->value($is_ssl), 'f|NULL|NULL', 'plain');
	is($old->value($is_ssl), 't|TLSv1.3|NULL', 'with TLS');
	is($unix->value($is_ssl), 'f|NULL|NULL', 'by a Unix socket');
}
$certified->put(WireClient::m_parse('SELECT $1::int + 1', 's'), WireClient::m_sync());
$certified->replies;
for my $client ($plain, $old)
{
	$client->put(WireClient::m_parse('SELECT $1::int + 2', 's'), WireClient::m_sync());
	$client->replies;
}
for (1 .. 2)
{
	$certified->put(WireClient::m_bind('s', [1]), WireClient::m_execute(), WireClient::m_sync());
	is(($certified->replies)[1], '2', 'prepared statements');
	$plain->put(WireClient::m_bind('s', [1]), WireClient::m_execute(), WireClient::m_sync());
	is(($plain->replies)[1], '3', 'of others');
}

# Messages in pieces: the pooler waits for the whole of one, by the clock.
my $message = WireClient::m_query("SELECT 'whole'");
$old->put(substr($message, 0, 9));
is($plain->value('SELECT 1'), '1', 'another one meanwhile');
$old->put(substr($message, 9));
is(join(',', $old->replies), 'whole,SELECT 1,I', 'a message in two pieces');

#----------------------------------------------------------------------------
# cancel
#----------------------------------------------------------------------------

my $sleeper = TlsTest::client($node);
is($sleeper->login(role => 'app'), 'ok');
$sleeper->start('SELECT pg_sleep(600)');
ok($node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity
	WHERE wait_event = 'PgSleep'}), 'a command that takes long');
my $canceller = TlsTest::client($node);
$canceller->send_raw(pack('NN', 16, 80877102) . $sleeper->{key});
ok($canceller->at_end, 'a cancel request by TLS');
like(join(',', $sleeper->replies), qr/^ERROR 57014: canceling statement due to user request/,
	'cancels it');

#----------------------------------------------------------------------------
# many
#----------------------------------------------------------------------------

my $script = $ca->file('idle.sql');
append_to_file($script, "SELECT 1;\n\\sleep 600 s\n");
my $port = pooler_port($node);
{
	local %ENV = (%ENV, PGSSLMODE => 'require', PGAPPNAME => 'pgbench');
	my ($in, $output) = ('', '');
	my $bench = IPC::Run::start([ 'pgbench', '-n', '-h', '127.0.0.1', '-p', $port, '-U', 'app',
			'-c', 500, '-j', 2, '-t', 1, '-f', $script, 'postgres' ],
		'<', \$in, '>', \$output, '2>', \$output);
	ok($node->poll_query_until('postgres', q{SELECT count(*) = 500 FROM pooler.clients
		WHERE application_name = 'pgbench' AND tls_version = 'TLSv1.3' AND transactions > 0}),
		'500 clients') or diag($output);
	is(tls_psql('SELECT 1'), '1', 'and one more');
	$bench->kill_kill;
}
ok($node->poll_query_until('postgres', q{SELECT count(*) = 0 FROM pooler.clients
	WHERE application_name = 'pgbench'}), 'they have gone');

#----------------------------------------------------------------------------
# processes that end
#----------------------------------------------------------------------------

sub relays
{
	return split /\n/, $node->safe_psql('postgres',
		q{SELECT pid FROM pooler.tls_workers WHERE state = 'ready' ORDER BY number});
}

my @relays = relays();
is(scalar @relays, 2, 'two relays');
is($old->value('SELECT 3'), '3', 'a connection of long ago');
kill 'TERM', @relays;
is(join(',', $old->replies), 'eof', 'is closed when its relay ends');
is(join(',', $certified->replies), 'eof', 'as are all of them');
is($plain->value('SELECT 4'), '4', 'but not those without TLS');
ok(wait_until('relays run again', sub { scalar(grep { my $pid = $_; !grep { $_ == $pid } @relays } relays()) == 2 }),
	'they are started again');
is(tls_psql('SELECT 5'), '5', 'and serve new clients');

my $survivor = TlsTest::client($node);
is($survivor->login(role => 'app'), 'ok');
is($survivor->value('SELECT 6'), '6');
my $pooler = PoolerTest::worker_pid($node);
kill 'TERM', $pooler;
like($survivor->reply, qr/^FATAL 57P01: terminating connection due to administrator command, eof$/,
	'the end of the pooler is told by TLS');
ok(wait_until('the pooler runs again', sub { my $pid = PoolerTest::worker_pid($node); $pid && $pid ne $pooler }));
wait_for_pooler($node);
is(tls_psql('SELECT 7'), '7', 'TLS after it was started again');

#----------------------------------------------------------------------------
# a key with a passphrase
#----------------------------------------------------------------------------

$ca->certificate('locked', subject => '/CN=localhost/serialNumber=4711', names => $names,
	passphrase => 'sesame');
$node->append_conf('postgresql.conf', qq(
ssl_cert_file = '@{[ $ca->file('locked.crt') ]}'
ssl_key_file = '@{[ $ca->file('locked.key') ]}'
ssl_passphrase_command = 'echo sesame'
));
$node->restart;
wait_for_pooler($node);
is(tls_psql('SELECT 8'), '8', 'a key with a passphrase');
is(TlsTest::served_serial($node), '4711');
$log = log_size($node);
$node->reload;
logged($node, $log, qr/cannot be reloaded because it requires a passphrase/, 'is not loaded again');
is(tls_psql('SELECT 9'), '9', 'but kept');
kill 'TERM', relays();
ok(wait_until('new relays serve', sub { (tls_psql('SELECT 10') // '') eq '10' }),
	'also by relays that were started later');
$node->safe_psql('postgres', 'ALTER SYSTEM SET ssl_passphrase_command_supports_reload = on');
$ca->certificate('locked', subject => '/CN=localhost/serialNumber=4712', names => $names,
	passphrase => 'sesame');
$node->reload;
ok(wait_until('the new key is used', sub { TlsTest::served_serial($node) eq '4712' }),
	'unless the command supports it');

#----------------------------------------------------------------------------
# no room for relays
#----------------------------------------------------------------------------

$node->safe_psql('postgres', 'ALTER SYSTEM SET max_worker_processes = 2');
$log = log_size($node);
$node->restart;
wait_for_pooler($node);
is($node->safe_psql('postgres', 'SELECT count(pid) FROM pooler.tls_workers'), '0',
	'no relays, where the server has no room for them');
is(tls_psql('SELECT 12', sslmode => 'prefer'), '12', 'clients hear that there is no TLS');
logged($node, $log, qr/none of the pooler's processes for TLS is running/, 'and the log says why');
$node->safe_psql('postgres', 'ALTER SYSTEM RESET max_worker_processes');
$node->restart;
wait_for_pooler($node);

#----------------------------------------------------------------------------
# shutdown
#----------------------------------------------------------------------------

for my $mode ('smart', 'fast')
{
	my $client = TlsTest::client($node);
	is($client->login(role => 'app'), 'ok');
	is($client->value('SELECT 11'), '11');
	$node->stop($mode);
	like($client->reply, qr/^FATAL 57P01: terminating connection due to administrator command, eof$/,
		"$mode shutdown is told by TLS");
	$node->start;
	wait_for_pooler($node);
}

# Nothing was logged that is an accident.
my $all = slurp_file($node->logfile);
unlike($all, qr/PANIC|TRAP|was terminated by signal|errmsg|setsockopt/, 'no accidents');
$node->stop;

done_testing();
