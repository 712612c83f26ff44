# Clients that send anything but what they should, by TLS (TlsMutations.pm), and
# others among them who do nothing wrong and notice nothing: each gets the
# answers to its own questions, what they count adds up, and in the end nothing
# is left of the attackers, neither in the pooler nor in the relays.
#
# POOLER_TLS_SECONDS says for how long, POOLER_SEED repeats the attackers'
# choices (but not, of course, their timing).

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Crowd ();
use Leftovers qw(nothing_left own_descriptors);
use PoolerTest qw(log_after new_node wait_for_pooler wait_until);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use RawClient ();
use Test::More;
use Time::HiRes qw(sleep time);
use TlsMutations qw(attack);
use TlsTest;
use WireClient qw(m_query);

plan skip_all => 'the program openssl is needed' unless TlsTest::possible();
plan skip_all => 'Net::SSLeay is needed' unless TlsMutations::possible();

my $seconds = $ENV{POOLER_TLS_SECONDS} || 10;
my $seed = int($ENV{POOLER_SEED} || time ^ $$);
my $attackers = 4;
my $good = 8;
my $relays = 2;

srand($seed);
note "POOLER_SEED=$seed";

# The end of an attacker must not interrupt whoever waits in select().
$SIG{CHLD} = 'DEFAULT';

#----------------------------------------------------------------------------
# certificates that attackers have
#----------------------------------------------------------------------------

my $ca = TlsTest->new;
my $stranger = TlsTest->new('an authority that nobody knows');

$ca->certificate('server', subject => '/CN=localhost', names => 'DNS:localhost,IP:127.0.0.1');
my %subjects = (
	app => '/CN=app',
	bytes => "/CN=\x{c3}\x{a4}\x01\x1b[31m\x7f'\"\\,+/OU=two\nlines",
	empty => '/O=nobody',
	many => join('', map { "/CN=app/OU=unit $_/O=a \"b\", c=d" } 1 .. 20),
	long => '/CN=' . 'x' x 64 . join('', map { '/OU=' . 'y' x 64 } 1 .. 100),
	odd => '/CN=app/poolerOdd=odd');
for my $name (sort keys %subjects)
{
	delete $subjects{$name}
	  unless eval { $ca->certificate($name, subject => $subjects{$name}); 1 };
}
$ca->certificate('late', subject => '/CN=app', expired => 1);
$stranger->certificate('foreign', subject => '/CN=app');
for ('foreign.crt', 'foreign.key')
{
	append_to_file($ca->file($_), slurp_file($stranger->file($_)));
}
my @certificates = (sort(keys %subjects), 'late', 'foreign');

#----------------------------------------------------------------------------
# the server
#----------------------------------------------------------------------------

my $node = new_node('tls_random',
	hba => q(
local	all		all		trust
hostssl	all		cert	127.0.0.1/32	cert
hostssl	all		app		127.0.0.1/32	trust
hostssl	all		calm	127.0.0.1/32	trust
hostssl	all		all		127.0.0.2/32	scram-sha-256
),
	conf => qq(
max_connections = 60
log_statement = none
log_line_prefix = '%m [%p] %b %e %u '
ssl = on
ssl_cert_file = '@{[ $ca->file('server.crt') ]}'
ssl_key_file = '@{[ $ca->file('server.key') ]}'
ssl_ca_file = '@{[ $ca->file('ca.crt') ]}'
pooler.tls_workers = $relays
pooler.max_client_conn = 1000
pooler.max_backends = 20
pooler.default_pool_size = 5
pooler.client_login_timeout = 15s
pooler.client_read_timeout = 1s
pooler.client_write_timeout = 1s
));
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION pooler');
wait_for_pooler($node);
my $admin = WireClient->new($node, port => $node->port);
Crowd::set_up($admin);
$admin->query('CREATE ROLE cert LOGIN');

my @relays;
ok(wait_until('relays are ready', sub {
			@relays = split / /, $admin->value(q(SELECT coalesce(string_agg(pid::text, ' '), '')
				FROM pooler.tls_workers WHERE state = 'ready'));
			return @relays == $relays;
		}), 'relays are ready');
my $postmaster = slurp_file($node->data_dir . '/postmaster.pid') =~ s/\n.*//sr;
my $pooler = $admin->value('SELECT pid FROM pooler.status');
my %began = map { $_ => Crowd::start_of($_) } $postmaster, $pooler, @relays;

sub relays_memory
{
	my $sum = 0;
	$sum += Crowd::memory($_) for @relays;
	return $sum;
}

sub descriptors
{
	my ($pid) = @_;
	return scalar(my @all = glob("/proc/$pid/fd/*"));
}

sub connections
{
	return $admin->value('SELECT sum(connections) FROM pooler.tls_workers');
}

#----------------------------------------------------------------------------
# those who do nothing wrong
#----------------------------------------------------------------------------

# One in four comes without TLS.
sub log_in
{
	my ($id, $role) = @_;
	my $client = $id % 4 == 0 ? WireClient->open($node, from => 'local') :
	  TlsTest::client($node, direct => $id % 3 == 0, more => [ $id % 5 ? '-tls1_3' : '-tls1_2' ]);

	return ($client, $client->login(role => $role, application_name => "good $id"));
}

my $crowd = Crowd->new(
	admin => $admin,
	open => \&log_in,
	longest => 20000,			# more than one buffer of the relay
	questions => [
		sub {
			my ($c, $nonce) = @_;
			my $text = $nonce x (1 + rand 20000);
			return (m_query("SELECT length('$text')"), length($text) . ', SELECT 1, I');
		}
	]);

#----------------------------------------------------------------------------
# clients that read nothing: what a relay keeps for them is bounded
#----------------------------------------------------------------------------

$crowd->newcomer->quit;		# what a first one costs
ok(wait_until('nobody is there', sub { connections() == 0 }), 'nobody is there');
my $own = own_descriptors($admin);
my %descriptors = map { $_ => descriptors($_) } @relays;
my $begin_memory = relays_memory();
{
	my $n = 20;
	my @lazy = map {
		my $client = TlsMutations->new($node, version => '1.3', patience => PoolerTest::TIMEOUT);
		$client->handshake && $client->put(RawClient::startup_packet(role => 'app'))
		  && defined $client->await('Z') or die 'cannot log in';
		$client->put(m_query(q{SELECT repeat('x', 1000000) FROM generate_series(1, 20)}) x 3);
		$client;
	} 1 .. $n;
	$admin->until(q(SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'ClientWrite'), 5);
	my $more = relays_memory() - $begin_memory;
	SKIP:
	{
		skip 'the server was built with sanitizers', 1 if $ENV{POOLER_SANITIZERS};
		cmp_ok($more, '<', $n * 400, "clients that read nothing: memory, $more kB for $n of them");
	}
	close $_->{sock} for @lazy;
}

#----------------------------------------------------------------------------
# all of them together
#----------------------------------------------------------------------------

my $log = PoolerTest::log_size($node);
my $begin = time;

# before there are sockets of others that they would inherit
for my $number (1 .. $attackers)
{
	$crowd->send_attacker(sub {
			attack($node, $seed + $number, $begin + $seconds, ca => $ca, certificates => \@certificates);
	});
}
$crowd->come($good);
my $half = $crowd->ask_for($seconds, begin => $begin, measure => \&relays_memory);
$crowd->one_round for 1 .. 3;
unlike($_, qr/^died|Can't locate object method|Can't use|Undefined subroutine/m, '... as it should')
  for $crowd->await_attackers;
note 'handshakes, failures: ', $admin->value('SELECT sum(handshakes), sum(failures) FROM pooler.tls_workers');

$crowd->were_answered(30);

cmp_ok($admin->value('SELECT least(sum(handshakes), sum(failures)) FROM pooler.tls_workers'), '>', 20,
	'attackers have come through, and have failed');
nothing_left($admin, 0, $own, 'after all');
ok(wait_until('relays have let go of all', sub { connections() == 0 }), 'no connection is left in a relay');
for my $pid (@relays)
{
	my $now;
	ok(wait_until('its descriptors are closed', sub { ($now = descriptors($pid)) <= $descriptors{$pid} }, 20),
		'... and no descriptor')
	  or diag("$now, and not $descriptors{$pid}\n", map { readlink($_) . "\n" } glob("/proc/$pid/fd/*"));
}
is($admin->value('SELECT pid FROM pooler.status'), $pooler, 'the pooler is the same');
is($admin->value('SELECT starts FROM pooler.status'), 1, 'it was started once');
is(-e "/proc/$_" ? Crowd::start_of($_) : 'gone', $began{$_}, 'and so are the server and its relays')
  for sort keys %began;
SKIP:
{
	skip 'the server was built with sanitizers', 1 if $ENV{POOLER_SANITIZERS};
	cmp_ok(relays_memory() - $half, '<', 8 * 1024, 'memory has not grown without bound');
}

# An internal error is one that nobody should be able to cause; but this one is
# of core's functions for names of kinds that they don't know.
$log = log_after($node, $log);
is(join("\n", grep { !/could not get NID for ASN1_OBJECT object/ } Crowd::accidents($log)),
	'', 'the log tells of no crash and no internal error');
Crowd::note_messages($log) if $ENV{POOLER_TLS_SECONDS};
$node->stop;
done_testing();
