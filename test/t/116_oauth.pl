# The method oauth of PostgreSQL 18: the server's own answer, also through the
# pooler.

use strict;
use warnings;

use LoginClient qw(connect_from send_message start_tls);
use PoolerTest qw(new_node pooler_port wait_for_pooler);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use TlsTest;

my ($major) = `pg_config --version` =~ /(\d+)/;
plan skip_all => 'the server has no method oauth before 18' if $major < 18;

# A library that knows one token.
my $dir = PostgreSQL::Test::Utils::tempdir();
append_to_file("$dir/validator.c", <<'C');
#include "postgres.h"
#include "fmgr.h"
#include "libpq/oauth.h"

PG_MODULE_MAGIC;

static bool
validate(const ValidatorModuleState *state, const char *token,
		 const char *role, ValidatorModuleResult *result)
{
	result->authorized = strcmp(token, "good") == 0;
	result->authn_id = pstrdup("alice");
	return true;
}

static const OAuthValidatorCallbacks callbacks = {
	PG_OAUTH_VALIDATOR_MAGIC,.validate_cb = validate
};

const OAuthValidatorCallbacks *
_PG_oauth_validator_module_init(void)
{
	return &callbacks;
}
C
my ($include) = PostgreSQL::Test::Utils::run_command([ 'pg_config', '--includedir-server' ]);
PostgreSQL::Test::Utils::system_or_bail('gcc', '-shared', '-fPIC', "-I$include",
	'-o', "$dir/pooler_validator.so", "$dir/validator.c");

my $ca = TlsTest->new;
$ca->certificate('server', subject => '/CN=localhost', names => 'DNS:localhost');
my $node = new_node('oauth', conf => qq(
ssl = on
ssl_cert_file = '@{[ $ca->file('server.crt') ]}'
ssl_key_file = '@{[ $ca->file('server.key') ]}'
dynamic_library_path = '$dir:\$libdir'
oauth_validator_libraries = 'pooler_validator'
log_connections = on
log_min_messages = debug5
), hba => q(
local	all	all	trust
host	all	all	127.0.0.1/32	oauth issuer="https://example.org" scope="openid"
));
$node->start;
wait_for_pooler($node);
$node->safe_psql('postgres', 'CREATE EXTENSION pooler; CREATE ROLE alice LOGIN; CREATE ROLE bob LOGIN');

sub attempt
{
	my ($port, $role, $token, $tls) = @_;
	my $sock = connect_from('127.0.0.1', $node->host, $port);

	$sock = start_tls($sock) if $tls;
	LoginClient::send_startup($sock, role => $role, database => 'postgres');
	my @answers;
	my $initial = "n,,\x01auth=" . ($token eq '' ? '' : "Bearer $token") . "\x01\x01";
	my @messages = ("OAUTHBEARER\0" . pack('N', length $initial) . $initial, "\x01");
	while (my ($type, $body) = LoginClient::read_message($sock))
	{
		push @answers, LoginClient::answer_text($type, $body) if $type =~ /[RE]/;
		last if $type =~ /[ZE]/;
		send_message($sock, 'p', shift @messages)
		  if $type eq 'R' && unpack('N', $body) != 0 && @messages;
	}
	return join ', ', @answers;
}

for my $tls (0, 1)
{
	for my $case ([ 'alice', 'good', qr/^R10 OAUTHBEARER, R0$/ ],
		[ 'alice', 'bad', qr/FATAL 28000: OAuth bearer authentication failed for user "alice"$/ ],
		[ 'bob', 'good', qr/FATAL 28000: OAuth bearer authentication failed for user "bob"$/ ],
		[ 'alice', '', qr/FATAL 28000: / ])
	{
		my ($role, $token, $expected) = @$case;
		my %answer = map { $_ => attempt($_ eq 'pooler' ? pooler_port($node) : $node->port, $role, $token, $tls) }
		  qw(pooler server);
		my $name = "$role, token '$token'" . ($tls ? ', by TLS' : '');

		like($answer{server} =~ s/ +(?=,|$)//gr, $expected, "$name: the server's answer");
		is($answer{pooler}, $answer{server}, "$name: the pooler's");
	}
}
is($node->safe_psql('postgres', 'SELECT delegated_logins FROM pooler.status'), '2', 'core has carried out the logins');
unlike(slurp_file($node->logfile), qr/Bearer good/, 'the token is not in the log');
$node->stop;
done_testing();
