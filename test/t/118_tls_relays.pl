# Relays of TLS when something changes or runs short amid what they do: another
# certificate, descriptors, a passphrase that takes long, the pooler itself.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use IO::Select;
use IO::Socket::INET;
use POSIX ();
use PoolerTest qw(becomes descriptors log_after log_size logged new_node pooler_port
  pooler_psql wait_for_pooler wait_until worker_pid);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use RawClient ();
use Test::More;
use Time::HiRes qw(time);
use TlsTest;

plan skip_all => 'the program openssl is needed' unless TlsTest::possible();

use constant SSL_REQUEST => pack('NN', 8, 80877103);

my $ca = TlsTest->new;
my $names = 'DNS:localhost,IP:127.0.0.1';

$ca->certificate('odd', subject => '/CN=app/poolerOdd=odd');
my $serial = 1;

sub new_certificate
{
	$serial++;
	$ca->certificate('server', subject => "/CN=localhost/serialNumber=$serial",
		names => $names, @_);
}
new_certificate();

my $node = new_node('tls_relays',
	hba => qq(
local	all	all	trust
hostssl	all	scram	127.0.0.1/32	scram-sha-256
hostssl	all	all	127.0.0.1/32	trust
),
	conf => qq(
ssl = on
ssl_cert_file = '@{[ $ca->file('server.crt') ]}'
ssl_key_file = '@{[ $ca->file('server.key') ]}'
ssl_ca_file = '@{[ $ca->file('ca.crt') ]}'
pooler.default_pool_size = 8
pooler.max_client_conn = 40
pooler.tls_workers = 1
));
$node->start;
$node->safe_psql('postgres', q{
	CREATE EXTENSION pooler;
	CREATE ROLE app LOGIN;
	CREATE ROLE scram LOGIN PASSWORD 'secret';
});
wait_for_pooler($node);

sub sql { return $node->safe_psql('postgres', $_[0]) }

sub tls_psql
{
	my ($sql, %options) = @_;

	return pooler_psql($node, $sql, host => '127.0.0.1', role => 'app',
		sslmode => 'require', %options);
}

# The numbers of connections that the relays have.
sub connections { return sql('SELECT connections FROM pooler.tls_workers ORDER BY number') }

sub relays
{
	return split /\n/, sql(q{SELECT pid FROM pooler.tls_workers WHERE state = 'ready' ORDER BY number});
}

# A program in C, with OpenSSL; its path, or nothing if that can't be.
sub program
{
	my ($name, $source) = @_;
	my $path = $ca->file($name);

	append_to_file("$path.c", $source);
	return system("cc -w -o '$path' '$path.c' -lssl -lcrypto 2>/dev/null") == 0 ? $path : undef;
}

# A client that has been told that there is TLS.
sub begin_tls
{
	my $client = RawClient->open($node);

	$client->send_raw(SSL_REQUEST);
	$client->fill(1);
	return $client;
}

# Everything up to the end of the stream.
sub rest_of
{
	my ($client) = @_;

	eval { 1 while $client->fill(1 + length $client->{in}); };
	return $@ ? 'no end' : $client->{in};
}

#----------------------------------------------------------------------------
# another certificate in the middle of a handshake
#----------------------------------------------------------------------------

# psql by way of us, who keep its handshake back until there is another one.
{
	my $listener = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1') or die $!;
	my ($out, $err) = ('', '');
	local %ENV = (%ENV, PGPASSWORD => 'secret');
	my $psql = IPC::Run::start(
		[ 'psql', '-XAtq', '-c', 'SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()',
			'-d', 'dbname=postgres user=scram host=127.0.0.1 port=' . $listener->sockport .
			  ' sslmode=require channel_binding=require' ],
		'<', \'', '>', \$out, '2>', \$err);
	my $client = $listener->accept or die $!;
	my $server = RawClient->open($node)->{sock};
	my $bytes = '';

	sysread($client, $bytes, 8 - length $bytes, length $bytes) or die while length $bytes < 8;
	syswrite($server, $bytes);
	sysread($server, $bytes, 1) or die;
	is($bytes, 'S', 'a handshake begins');
	becomes($node, 'SELECT sum(connections) FROM pooler.tls_workers', 1, 'at a relay');
	new_certificate();
	$node->reload;
	ok(wait_until('there is another certificate', sub { TlsTest::served_serial($node) eq $serial }),
		'there is another certificate');
	syswrite($client, 'S');
	my $pid = fork() // die $!;
	if ($pid == 0)
	{
		my %other = (fileno $client => $server, fileno $server => $client);
		my $select = IO::Select->new($client, $server);
		while (my @ready = $select->can_read)
		{
			for (@ready)
			{
				sysread($_, $bytes, 65536) or POSIX::_exit(0);
				syswrite($other{ fileno $_ }, $bytes);
			}
		}
	}
	close $client;
	close $server;
	$psql->finish;
	waitpid($pid, 0);
	is($out, "t\n", 'and what it began with is what channel binding compares with') or diag($err);
	is(tls_psql('SELECT 1', role => 'scram', channel_binding => 'require'), '1',
		'the next one sees the other');
}

# One that is larger than a frame.
new_certificate(names => join(',', map { "DNS:host-number-$_.example.com" } 1 .. 1500));
$node->reload;
ok(wait_until('a large certificate', sub { TlsTest::served_serial($node) eq $serial }), 'a large certificate');
{
	local $ENV{PGPASSWORD} = 'secret';
	is(tls_psql('SELECT 1', role => 'scram', channel_binding => 'require'), '1',
		'has channel binding, too');
}
new_certificate();
$node->reload;
ok(wait_until('a small one again', sub { TlsTest::served_serial($node) eq $serial }), 'a small one again');

#----------------------------------------------------------------------------
# a key update in two pieces
#----------------------------------------------------------------------------

my $halves = program('halves', q(
#include <arpa/inet.h>
#include <openssl/hmac.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
static unsigned char secret[48], key[32], iv[12];
static unsigned long long sequence;
static int sock;
static void expand(const char *label, unsigned char *out, int len)
{
	unsigned char info[64], all[48];
	int n = 0, size = 6 + strlen(label);

	info[n++] = 0; info[n++] = len; info[n++] = size;
	memcpy(info + n, "tls13 ", 6); memcpy(info + n + 6, label, size - 6); n += size;
	info[n++] = 0; info[n++] = 1;
	HMAC(EVP_sha384(), secret, 48, info, n, all, NULL);
	memcpy(out, all, len);
}
static void new_keys(void)
{
	expand("key", key, 32); expand("iv", iv, 12); sequence = 0;
}
static void keylog(const SSL *ssl, const char *line)
{
	const char *hex = strrchr(line, ' ') + 1;

	if (strncmp(line, "CLIENT_TRAFFIC_SECRET_0 ", 24) != 0)
		return;
	for (int i = 0; i < 48; i++)
		sscanf(hex + 2 * i, "%2hhx", &secret[i]);
	new_keys();
}
static void put(int type, const void *bytes, int len)
{
	unsigned char nonce[12], in[512], out[1024] = {23, 3, 3, 0, len + 17};
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	int n;

	memcpy(nonce, iv, 12);
	for (int i = 0; i < 8; i++)
		nonce[11 - i] ^= sequence >> 8 * i;
	sequence++;
	memcpy(in, bytes, len); in[len] = type;
	EVP_EncryptInit_ex(c, EVP_aes_256_gcm(), NULL, key, nonce);
	EVP_EncryptUpdate(c, NULL, &n, out, 5);
	EVP_EncryptUpdate(c, out + 5, &n, in, len + 1);
	EVP_EncryptFinal_ex(c, out + 5 + n, &n);
	EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_GET_TAG, 16, out + 5 + len + 1);
	if (send(sock, out, 5 + len + 17, MSG_NOSIGNAL) < 0)
		exit(2);
}
static void await_ready(SSL *ssl)
{
	static const char ready[6] = {'Z', 0, 0, 0, 5, 'I'};
	char buf[16384];
	int n = 0, got;

	do
	{
		if ((got = SSL_read(ssl, buf + n, sizeof(buf) - n)) <= 0)
			exit(3);
		n += got;
	}
	while (n < 6 || memcmp(buf + n - 6, ready, 6) != 0);
}
int main(int argc, char **argv)
{
	static const char startup[] = "\0\0\0\x2e\0\3\0\0user\0app\0database\0postgres\0" "application_name\0h\0";
	static const char query[] = "Q\0\0\0\x19SELECT pg_sleep(0.5)";
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1]))};
	unsigned char request[8] = {0, 0, 0, 8, 4, 210, 22, 47}, answer, packet[128];
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	SSL *ssl;
	int len = sizeof(startup);

	SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION);
	SSL_CTX_set_ciphersuites(ctx, "TLS_AES_256_GCM_SHA384");
	SSL_CTX_set_keylog_callback(ctx, keylog);
	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	sock = socket(AF_INET, SOCK_STREAM, 0);
	if (connect(sock, (struct sockaddr *) &addr, sizeof(addr)) < 0 ||
		write(sock, request, 8) != 8 || read(sock, &answer, 1) != 1)
		return 1;
	ssl = SSL_new(ctx);
	SSL_set_fd(ssl, sock);
	if (SSL_connect(ssl) != 1)
		return 1;
	memcpy(packet, startup, len);
	packet[3] = len;
	put(23, packet, len);
	await_ready(ssl);
	put(23, query, 26);
	put(22, "\30\0\0\1", 4);	/* OpenSSL begins with a message when it has this */
	printf("half\n");
	fflush(stdout);
	getchar();
	put(22, "\0", 1);
	expand("traffic upd", secret, 48);
	new_keys();
	await_ready(ssl);
	put(23, query, 26);
	await_ready(ssl);
	printf("whole\n");
	return 0;
}
));
SKIP:
{
	skip 'no compiler, or no headers of OpenSSL', 3 unless $halves;
	my ($in, $out, $err) = ('', '', '');
	my $log = log_size($node);
	my $h = IPC::Run::start([ $halves, pooler_port($node) ], '<', \$in, '>', \$out, '2>', \$err,
		IPC::Run::timeout(PoolerTest::TIMEOUT));
	eval { $h->pump until $out =~ /half/; };
	becomes($node, q{SELECT count(*) FROM pooler.clients WHERE application_name = 'h' AND transactions = 0},
		0, 'a command, and half a key update before its answer');
	$in .= "\n";
	$h->finish;
	is($out, "half\nwhole\n", 'the answer waits for the other half') or diag($err);
	unlike(log_after($node, $log), qr/SSL error/, 'without an error');
}

#----------------------------------------------------------------------------
# more errors than the log should have
#----------------------------------------------------------------------------

my $many = program('many', q(
#include <arpa/inet.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
int main(int argc, char **argv)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1]))};
	unsigned char request[8] = {0, 0, 0, 8, 4, 210, 22, 47}, byte;

	SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION);
	SSL_CTX_use_certificate_file(ctx, argv[2], SSL_FILETYPE_PEM);
	SSL_CTX_use_PrivateKey_file(ctx, argv[3], SSL_FILETYPE_PEM);
	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	for (int i = 0; i < 200; i++)
	{
		int sock = socket(AF_INET, SOCK_STREAM, 0);
		SSL *ssl = SSL_new(ctx);

		if (connect(sock, (struct sockaddr *) &addr, sizeof(addr)) < 0 ||
			write(sock, request, 8) != 8 || read(sock, &byte, 1) != 1)
			return 1;
		SSL_set_fd(ssl, sock);
		SSL_connect(ssl);
		recv(sock, &byte, 1, 0);
		SSL_free(ssl);
		close(sock);
	}
	return 0;
}
));
SKIP:
{
	skip 'no compiler, or no headers of OpenSSL', 2 unless $many;
	my $log = log_size($node);
	my $begin = time;
	is(system($many, pooler_port($node), $ca->file('odd.crt'), $ca->file('odd.key')), 0,
		'an error in each of many handshakes');
	my $lines = () = log_after($node, $log) =~ /could not get NID/g;
	cmp_ok($lines, '<=', 10 * (int(time - $begin) + 2), 'is not logged each time');
}

#----------------------------------------------------------------------------
# descriptors of a relay
#----------------------------------------------------------------------------

my $can_limit = system('prlimit --version >/dev/null 2>&1') == 0;

SKIP:
{
	skip 'the program prlimit is needed', 3 unless $can_limit;
	my ($relay) = relays();
	my $capacity = sql('SELECT max_connections FROM pooler.tls_workers');
	my $limit = 2 * $capacity + 200;	# as if it had been that when it started
	my @clients;
	my $most = 0;
	my $answers = 0;

	system('prlimit', "--pid=$relay", "--nofile=$limit:$limit") == 0 or die;
	for my $i (1 .. $limit)
	{
		my $client = begin_tls();
		$client->send_raw("\x16\x03\x01\x00\x05garbage, and more of it");
		$client->{in} = '';
		$answers++ if $client->fill(1) && $client->{in} =~ /^\x15/;
		push @clients, $client;	# which does not hang up
		$most = (sort { $a <=> $b } $most, connections())[-1] if $i % 10 == 0;
	}
	is($answers, $limit, 'failed handshakes whose clients do not hang up: each gets its answer');
	cmp_ok($most, '<=', $capacity, 'but no more of them are kept than there is room for');
	is(tls_psql('SELECT 1'), '1', 'and clients get in');
}

#----------------------------------------------------------------------------
# descriptors of the pooler
#----------------------------------------------------------------------------

SKIP:
{
	skip 'the program prlimit is needed', 2 unless $can_limit;
	my $pid = worker_pid($node);
	my $client = RawClient->open($node);
	my $log = log_size($node);

	# it has the client's socket, at the end of its range
	becomes($node, q{SELECT count(*) FROM pooler.clients WHERE state = 'login'}, 1, 'a client');
	my ($highest) = sort { $b <=> $a } map { m{/(\d+)$} ? $1 : () } glob("/proc/$pid/fd/*");
	my ($old) = `prlimit --pid=$pid --nofile --noheadings --output=SOFT` =~ /(\d+)/;
	system('prlimit', "--pid=$pid", "--nofile=$highest:") == 0 or die;
	$client->send_raw(SSL_REQUEST);
	is(rest_of($client), 'S', 'a client whose socket can\'t be replaced is closed');
	logged($node, $log, qr/pooler could not keep a new connection/, 'and the log says why');
	system('prlimit', "--pid=$pid", "--nofile=$old:") == 0 or die;
}

#----------------------------------------------------------------------------
# a passphrase that takes long
#----------------------------------------------------------------------------

$serial++;
$ca->certificate('locked', subject => "/CN=localhost/serialNumber=$serial", names => $names,
	passphrase => 'sesame');
my $hold = $ca->file('hold');
my $asked = $ca->file('asked');
my $command = $ca->file('ask.sh');
append_to_file($command, qq(grep SigBlk /proc/self/status >>$asked
while [ -e $hold ]; do sleep 0.1; done
echo sesame
));
$node->append_conf('postgresql.conf', qq(
ssl_cert_file = '@{[ $ca->file('locked.crt') ]}'
ssl_key_file = '@{[ $ca->file('locked.key') ]}'
ssl_passphrase_command = 'sh $command'
ssl_passphrase_command_supports_reload = on
pooler.tls_workers = 2
));
$node->restart;
wait_for_pooler($node);
my $client = TlsTest::client($node);
is($client->login(role => 'app'), 'ok', 'a client');
is($client->value('SELECT 1'), '1');
$serial++;
$ca->certificate('locked', subject => "/CN=localhost/serialNumber=$serial", names => $names,
	passphrase => 'sesame');
append_to_file($hold, '');
unlink $asked;
$node->reload;
ok(wait_until('the server and its relays ask for the passphrase', sub {
			return -e $asked && (() = slurp_file($asked) =~ /SigBlk/g) >= 3;
		}), 'the server and its relays ask for the passphrase');
is($client->value("SELECT $_"), $_, 'which stops no client') for 1 .. 3;
unlink $hold;
ok(wait_until('the new key is used', sub { TlsTest::served_serial($node) eq $serial }), 'the new key is used');
cmp_ok(scalar(() = slurp_file($asked) =~ /SigBlk:\s+0+$/mg), '>=', 2,
	'the command has no signal blocked');
is($client->value('SELECT 4'), '4', 'the client is still there');
$client->quit;

# A wrong one changes nothing.
unlink $command;
append_to_file($command, "echo mellon\n");
my $log = log_size($node);
$node->reload;
logged($node, $log, qr/SSL configuration was not reloaded by the pooler/, 'a wrong passphrase');
like(log_after($node, $log), qr/could not load private key file/, 'is named by the log');
is(TlsTest::served_serial($node), $serial, 'what was there before is still used');

#----------------------------------------------------------------------------
# the pooler is started again, and clients of before are still there
#----------------------------------------------------------------------------

my @clients;
becomes($node, 'SELECT sum(connections) FROM pooler.tls_workers', 0, 'no clients');
for (0 .. 5)
{
	push @clients, TlsTest::client($node);
	is($clients[-1]->login(role => 'app'), 'ok');
}
is(connections(), "3\n3", 'they are spread evenly');
$clients[$_]->start('SELECT pg_sleep(600)') for 0, 2, 4;
becomes($node, q{SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'}, 3,
	'those of one relay work');
my $pooler = worker_pid($node);
kill 'TERM', $pooler;
ok(wait_until('the pooler runs again', sub { my $pid = worker_pid($node); $pid && $pid ne $pooler }),
	'the pooler runs again');
wait_for_pooler($node);
my $spread = q{SELECT string_agg(connections::text, ' ' ORDER BY connections) FROM pooler.tls_workers};
becomes($node, $spread, '0 3', 'the others have gone');
# it knows a relay only when that has found it
ok( wait_until(
		'both relays have found the pooler',
		sub {
			my $client = TlsTest::client($node);

			if ($client->login(role => 'app') eq 'ok' && sql($spread) eq '1 3')
			{
				push @clients, $client;
				return 1;
			}
			$client->close;
			$node->poll_query_until('postgres', $spread, '0 3');
			return 0;
		}),
	'both relays have found the pooler');
for (1 .. 2)
{
	push @clients, TlsTest::client($node);
	is($clients[-1]->login(role => 'app'), 'ok');
}
is(connections(), "3\n3", 'new ones go where there are fewer');
$_->close for @clients;
sql(q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'});

#----------------------------------------------------------------------------
# clients that wait for a relay after they were told that there is TLS
#----------------------------------------------------------------------------

$node->append_conf('postgresql.conf', qq(
pooler.max_client_conn = 500
pooler.client_login_timeout = 3
pooler.tls_workers = 1
ssl_cert_file = '@{[ $ca->file('server.crt') ]}'
ssl_key_file = '@{[ $ca->file('server.key') ]}'
));
$node->restart;
wait_for_pooler($node);
is(tls_psql('SELECT 1'), '1', 'the relay has found the pooler');
my ($relay) = relays();
kill 'STOP', $relay;
@clients = map { my $c = RawClient->open($node); $c->send_raw(SSL_REQUEST); $c } 1 .. 450;
becomes($node, q{SELECT count(*) FROM pooler.clients WHERE state = 'login'}, 0,
	'clients whose relay does not answer');
kill 'CONT', $relay;			# it has the sockets of most of them
my %heard;
$heard{ rest_of($_) }++ for @clients;
is(join(', ', sort keys %heard), 'S', 'are told nothing in plain text when their time is over');

unlike(slurp_file($node->logfile), qr/PANIC|TRAP|was terminated by signal|errmsg/, 'no accidents');
$node->stop;
done_testing();
