# TLS: connections that end in the middle of something, and what that does to
# others: nothing.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use PoolerTest qw(log_after log_size logged new_node pooler_port wait_for_pooler
  wait_until);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use RawClient ();
use Test::More;
use TlsTest;

plan skip_all => 'the program openssl is needed' unless TlsTest::possible();

my $ca = TlsTest->new;

$ca->certificate('server', subject => '/CN=localhost', names => 'DNS:localhost,IP:127.0.0.1');

$ca->certificate('odd', subject => '/CN=app/poolerOdd=odd');

# Looking up a client's name takes until the test allows it to end.
my $hold = $ca->file('hold');
my $library = $ca->file('resolver.so');
append_to_file($ca->file('resolver.c'), qq(
#define _GNU_SOURCE
#include <netdb.h>
#include <unistd.h>
int getnameinfo(const struct sockaddr *addr, socklen_t len, char *host,
	socklen_t hostlen, char *service, socklen_t servicelen, int flags)
{
	static int (*real) (const struct sockaddr *, socklen_t, char *, socklen_t,
		char *, socklen_t, int);

	while ((flags & NI_NAMEREQD) && access("$hold", F_OK) == 0)
		usleep(10000);
	if (flags & NI_NAMEREQD)
		return EAI_NONAME;
	extern void *dlsym(void *, const char *);
	real = dlsym((void *) -1L, "getnameinfo");
	return real(addr, len, host, hostlen, service, servicelen, flags);
}
));
my $can_hold = system('cc', '-w', '-shared', '-fPIC', '-o', $library,
	$ca->file('resolver.c'), '-ldl') == 0;

my $node = new_node('tls_ends',
	hba => qq(
local	all	all	trust
hostssl	all	slow	some.name.invalid	trust
hostssl	all	all	127.0.0.1/32	trust
),
	conf => qq(
ssl = on
ssl_cert_file = '@{[ $ca->file('server.crt') ]}'
ssl_key_file = '@{[ $ca->file('server.key') ]}'
ssl_ca_file = '@{[ $ca->file('ca.crt') ]}'
pooler.tls_workers = 1
));
{
	local $ENV{LD_PRELOAD} = $library if $can_hold;
	$node->start;
}
$node->safe_psql('postgres', q{CREATE EXTENSION pooler; CREATE ROLE app LOGIN; CREATE ROLE slow LOGIN});
wait_for_pooler($node);

sub connections
{
	return $node->safe_psql('postgres', 'SELECT sum(connections) FROM pooler.tls_workers');
}

#----------------------------------------------------------------------------
# an error in the last step of a handshake
#----------------------------------------------------------------------------

my $bystander = TlsTest::client($node);
is($bystander->login(role => 'app'), 'ok', 'a client');
for my $round (1 .. 3)
{
	my $log = log_size($node);

	TlsTest::probe($node, '-starttls', 'postgres', '-tls1_2',
		'-cert', $ca->file('odd.crt'), '-key', $ca->file('odd.key'));
	logged($node, $log, qr/could not get NID for ASN1_OBJECT object/, 'an error in a relay');
	is($bystander->value("SELECT $round"), $round, 'is none of the client');
}

#----------------------------------------------------------------------------
# a name that is too long: the client is refused, and gone at once
#----------------------------------------------------------------------------

$ca->certificate('long', subject => '/CN=app' . join('', map { '/OU=' . 'y' x 64 } 1 .. 100));
for my $round (1 .. 6)
{
	my $log = log_size($node);

	TlsTest::probe($node, '-starttls', 'postgres', $round % 2 ? '-tls1_2' : '-tls1_3',
		'-cert', $ca->file('long.crt'), '-key', $ca->file('long.key'));
	logged($node, $log, qr/distinguished name is too long for the pooler/, 'a long name');
	is($bystander->value("SELECT $round"), $round, 'is none of the client');
}
$bystander->quit;

#----------------------------------------------------------------------------
# a client that reads nothing any more, and that nobody writes to
#----------------------------------------------------------------------------

my $lazy = TlsTest::client($node);
is($lazy->login(role => 'app'), 'ok', 'one that does not read');
$lazy->start(q{SELECT repeat('x', 1000000) FROM generate_series(1, 100)});
ok($node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity
	WHERE wait_event = 'ClientWrite'}), 'its backend waits for it');
is($node->safe_psql('postgres', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity
	WHERE wait_event = 'ClientWrite'}), 't', 'and is ended');
ok(wait_until('the relay has let go of it', sub { connections() == 0 }),
	'its relay does not keep it for ever');
$lazy->close;

#----------------------------------------------------------------------------
# a process that is ended while core looks for the rule
#----------------------------------------------------------------------------

SKIP:
{
	skip 'there is no compiler', 5 unless $can_hold;
	append_to_file($hold, '');
	my $client = TlsTest::client($node);
	$client->send_raw(RawClient::startup_packet(role => 'slow'));
	my $pid;
	ok(wait_until('core looks for the rule', sub {
				($pid) = `ps -eo pid,args` =~
				  /^\s*(\d+)\s+postgres: \S+ slow postgres \S+ (?:authentication|startup)/m;
				return $pid;
			}), 'core looks for the rule');
	my $log = log_size($node);
	is(kill('TERM', $pid), 1, 'and is ended');
	unlink $hold;
	ok($client->at_end, 'so is the client');
	is($node->safe_psql('postgres', 'SELECT 1'), '1', 'the server goes on');
	unlike(log_after($node, $log), qr/was terminated by signal/, 'nothing has crashed');
}

#----------------------------------------------------------------------------
# a client that changes its keys all the time
#----------------------------------------------------------------------------

my $changer = $ca->file('changer');
append_to_file("$changer.c", q(
#include <arpa/inet.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
int main(int argc, char **argv)
{
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1]))};
	unsigned char request[8] = {0, 0, 0, 8, 4, 210, 22, 47}, answer;
	int sock = socket(AF_INET, SOCK_STREAM, 0);
	SSL *ssl = SSL_new(SSL_CTX_new(TLS_client_method()));
	BIO *out = BIO_new(BIO_s_mem());
	char *bytes, byte;
	long len;

	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (connect(sock, (struct sockaddr *) &addr, sizeof(addr)) < 0 ||
		write(sock, request, 8) != 8 || read(sock, &answer, 1) != 1)
		return 1;
	SSL_set_fd(ssl, sock);
	if (SSL_connect(ssl) != 1)
		return 1;
	SSL_set_bio(ssl, BIO_new_socket(sock, 0), out);
	for (int i = 0; i < 1000; i++)
		if (SSL_key_update(ssl, SSL_KEY_UPDATE_NOT_REQUESTED) != 1 || SSL_do_handshake(ssl) != 1)
			return 1;
	len = BIO_get_mem_data(out, &bytes);
	if (send(sock, bytes, len, MSG_NOSIGNAL) != len)
		return 1;
	return recv(sock, &byte, 1, 0) > 0;
}
));
SKIP:
{
	skip 'no compiler, or no headers of OpenSSL', 2
	  if system("cc -w -o '$changer' '$changer.c' -lssl -lcrypto 2>/dev/null") != 0;
	my $log = log_size($node);
	is(system("timeout 60 '$changer' " . pooler_port($node)), 0,
		'a client that changes its keys all the time');
	logged($node, $log, qr/SSL error: too many messages of the handshake protocol/, 'is sent away');
}

$node->stop;
done_testing();
