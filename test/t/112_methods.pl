# Methods that the pooler leaves to core, each with a real server behind it:
# who is let in, and what the others are told, is the same on both ports, and a
# client that was let in is served like any other.

use strict;
use warnings;

use LoginClient qw(login_answer);
use PoolerTest qw(becomes configure log_after log_size pooler_port set_hba
  wait_for_pooler wait_until);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Services qw(find_program kerberos ldap radius);
use Test::More;
use TlsTest;

my $pam_service = 'pooler-test';
my $pam_password = 'from pam';	# as in test/tools/test.sh
my @programs = qw(slapd slapadd krb5kdc kdb5_util kadmin.local kinit);
my @missing = grep { !find_program($_) } @programs;

# test.sh installs them; by hand one has to do so oneself
plan skip_all => "not installed: @missing" if @missing;
plan skip_all => "there is no PAM service $pam_service (test/tools/test.sh makes one)"
  unless -e "/etc/pam.d/$pam_service";

# a password that is found wherever it is left
my %people = (alice => 'marker ' . join('', map { ('a' .. 'z')[rand 26] } 1 .. 20), bob => 'of bob');
my ($ldap_port, $searcher, $searching) = ldap(%people);
my $radius_port = radius('shared_secret', %people);
my $keytab = kerberos(%people);

my $ca = TlsTest->new;

$ca->certificate('server', subject => '/CN=localhost', names => 'DNS:localhost,IP:127.0.0.1');
$ca->certificate('alice');

my $tls = qq(
ssl = on
ssl_cert_file = '@{[ $ca->file('server.crt') ]}'
ssl_key_file = '@{[ $ca->file('server.key') ]}'
ssl_ca_file = '@{[ $ca->file('ca.crt') ]}'
);
my $node = PostgreSQL::Test::Cluster->new('methods');
$node->init;
configure($node, conf => $tls . qq(
krb_server_keyfile = '$keytab'
log_connections = on
log_line_prefix = ''
log_min_messages = debug5
log_statement = all
));
my ($major) = `pg_config --version` =~ /(\d+)/;
my ($libdir) = PostgreSQL::Test::Utils::run_command([ 'pg_config', '--pkglibdir' ]);

my $ldap = "ldap ldapserver=127.0.0.1 ldapport=$ldap_port";
my $radius = qq(radius radiusservers="127.0.0.1" radiusports="$radius_port" radiussecrets="shared_secret");

# One address for each rule.
my %rule = (
	'127.0.1.1' => qq($ldap ldapprefix="uid=" ldapsuffix=",ou=people,dc=example"),
	'127.0.1.2' => qq($ldap ldapbasedn="ou=people,dc=example" ldapbinddn="$searcher" ldapbindpasswd="$searching"),
	'127.0.1.3' => qq($ldap ldapbasedn="ou=people,dc=example" ldapbinddn="$searcher" ldapbindpasswd="wrong"),
	'127.0.1.4' => "pam pamservice=$pam_service",
	'127.0.1.7' => $radius,
	'127.0.1.8' => 'password');
delete $rule{'127.0.1.7'} if $major >= 19;

set_hba($node, join '', "local all all trust\n",
	map { "host all all $_/32 $rule{$_}\n" } sort keys %rule);
unlink $node->data_dir . '/pg_ident.conf';
$node->append_conf('pg_ident.conf', "realm /^(.*)\@EXAMPLE\$ \\1\n");
$node->start;
wait_for_pooler($node);
$node->safe_psql('postgres', q(
	CREATE EXTENSION pooler;
	CREATE ROLE bob LOGIN;
	CREATE ROLE carol LOGIN;)
	. "CREATE ROLE alice LOGIN PASSWORD '$people{alice}';\n"
	# written over what pg_stat_activity remembers of this session
	. "SELECT '" . ' ' x 2000 . "'");

my %ports = (server => $node->port, pooler => pooler_port($node));
my $begin = log_size($node);	# so far it has the passwords, from CREATE ROLE

# What the log says of a login, but for debugging output.
sub reasons
{
	my ($offset) = @_;
	return join "\n",
	  grep { /^(FATAL|LOG|DETAIL|\t)/ }
	  # the last of these is a pool backend's own login
	  grep { !/connection (received|authorized)|disconnection|could not send data|\/proc\/self\/fd/ }
	  split /\n/, log_after($node, $offset);
}

# The same on both ports, and as expected.
sub both
{
	my ($expected, $name, $attempt) = @_;
	my (%answer, %log);

	for my $port (sort keys %ports)
	{
		my $offset = log_size($node);

		$answer{$port} = $attempt->($ports{$port});
		$log{$port} = reasons($offset);
		like($answer{$port}, $expected, "$port: $name");
	}
	is($answer{pooler}, $answer{server}, "$name: both say the same");
	# it is written before the client is told, but not before one that gives up
	is($log{pooler}, $log{server}, "$name: and the log says the same of both")
	  if $answer{server} =~ /^(ok|in as)|FATAL/;
}

# Without TLS and with it: what core does is the same.
sub by_password
{
	my ($from, $role, $password, $expected, $name) = @_;

	for my $tls (undef, {})
	{
		both($expected, $tls ? "$name, by TLS" : $name, sub {
			login_answer($from, $node->host, $_[0], role => $role,
				database => 'postgres', password => $password, tls => $tls);
		});
	}
}

my %name = (
	'127.0.1.1' => 'ldap',
	'127.0.1.2' => 'ldap that searches',
	'127.0.1.4' => 'pam',
	'127.0.1.7' => 'radius',
	'127.0.1.8' => 'password');

for my $from (grep { $rule{$_} } sort keys %name)
{
	my $good = $from eq '127.0.1.4' ? $pam_password : $people{alice};

	by_password($from, 'alice', $good, qr/^ok$/, "$name{$from}, the right password");
	by_password($from, 'alice', 'wrong', qr/^FATAL 28(000|P01): .* authentication failed for user "alice"/,
		"$name{$from}, a wrong one");
	by_password($from, 'nosuch', $good, qr/^FATAL 28(000|P01): .* authentication failed for user "nosuch"/,
		"$name{$from}, an unknown role");
	by_password($from, 'alice', '', qr/^FATAL 28(000|P01): /, "$name{$from}, no password")
	  unless $from eq '127.0.1.4';
}
by_password('127.0.1.1', 'carol', 'x', qr/^FATAL 28000: LDAP/, 'ldap, a role that it does not know');
by_password('127.0.1.3', 'alice', $people{alice}, qr/^FATAL 28000: LDAP/, 'ldap, a search that fails');
by_password('127.0.1.1', 'bob', $people{bob}, qr/^ok$/, 'ldap, another role');

#
# By psql, which comes from 127.0.0.1
#

my $loads = 0;

# The pooler reads the file by itself: wait until both know its first rule.
sub rule_for_psql
{
	my ($rule) = @_;
	my $mark = 'rules_' . ++$loads;

	set_hba($node, "local $mark all reject\nlocal all all trust\nhost all all 127.0.0.1/32 $rule\n");
	$node->reload;
	for my $port (values %ports)
	{
		ok(wait_until("$rule is loaded", sub {
			login_answer('local', $node->host, $port, role => 'alice', database => $mark) =~ /rejects/;
		}), "the rule is loaded: $rule");
	}
}

sub by_psql
{
	my ($role, $expected, $name, $sslmode) = @_;

	$sslmode //= 'disable';
	both($expected, "$name, sslmode=$sslmode", sub {
		my ($rc, $out, $err) = $node->psql('postgres', '',
			extra_params => [ '-c', q(SELECT current_user, inet_client_addr(), coalesce(principal, gss_authenticated::text)
				FROM pg_stat_gssapi WHERE pid = pg_backend_pid()) ],
			connstr => "host=localhost hostaddr=127.0.0.1 port=$_[0] dbname=postgres user=$role gssencmode=disable application_name=psql sslmode=$sslmode");
		return $rc == 0 ? "in as $out" : $err =~ s/port \d+/port/r;
	});
}

rule_for_psql('gss include_realm=0');
by_psql('alice', qr/GSSAPI/, 'gss, no ticket');
open(my $kinit, '|-', find_program('kinit') . ' alice') or die "kinit: $!";
print $kinit "$people{alice}\n";
close $kinit;
is($?, 0, 'a ticket for alice');
by_psql('alice', qr/^in as alice\|127.0.0.1\|alice\@EXAMPLE$/, 'gss, with a ticket');
by_psql('alice', qr/^in as alice\|127.0.0.1\|alice\@EXAMPLE$/, 'gss, with a ticket', 'require');
by_psql('bob', qr/FATAL:  GSSAPI authentication failed for user "bob"/,
	'gss, with the ticket of another');
by_psql('bob', qr/FATAL:  GSSAPI authentication failed for user "bob"/,
	'gss, with the ticket of another', 'require');
rule_for_psql('gss map=realm');
by_psql('alice', qr/^in as alice\|127.0.0.1\|alice\@EXAMPLE$/, 'gss, with a map');
by_psql('bob', qr/FATAL:  GSSAPI authentication failed for user "bob"/,
	'gss, with a map that has another role');

# Credentials that a client delegates would be of use to whoever comes after it.
my $delegated = 0;
SKIP:
{
	skip 'clients delegate no credentials before 16', 1 if $major < 16;
	skip 'dblink of contrib is not installed', 1
	  unless -e "$libdir/dblink.so";
	$node->safe_psql('postgres', 'CREATE EXTENSION dblink');
	rule_for_psql('gss include_realm=0');
	$node->append_conf('postgresql.conf', 'gss_accept_delegation = on');
	$node->reload;
	ok($node->poll_query_until('postgres', 'SHOW gss_accept_delegation', 'on'), 'delegation is allowed');
	my $attempt = sub {
		my ($to) = @_;
		my ($rc, $out, $err) = $node->psql('postgres', '',
			extra_params => [ '-c', q(SELECT credentials_delegated FROM pg_stat_gssapi WHERE pid = pg_backend_pid()),
				'-c', qq(SELECT dblink_connect('host=localhost hostaddr=127.0.0.1 dbname=postgres user=alice port=@{[ $node->port ]}')) ],
			connstr => "host=localhost hostaddr=127.0.0.1 port=$to dbname=postgres user=alice gssencmode=disable gssdelegation=1");
		return "$out $err";
	};
	is($attempt->($node->port), "t\nOK ", 'credentials that are delegated to the server');
	like($attempt->(pooler_port($node)), qr/^f ERROR:  password or GSSAPI delegated credentials required/,
		'are not taken by the pooler');
	$delegated++;
}

{
	local $ENV{PGPASSWORD} = $people{alice};
	rule_for_psql($rule{'127.0.1.1'});
	by_psql('alice', qr/^in as alice\|127.0.0.1\|false$/, 'ldap, by psql');
	by_psql('alice', qr/^in as alice\|127.0.0.1\|false$/, 'ldap, by psql', 'require');
}
is($node->safe_psql('postgres', 'SELECT delegated_logins FROM pooler.status'),  15 + 2 * ($major < 19) + $delegated,
	'all these logins were carried out by backends');
becomes($node, q(SELECT count(*) FROM pooler.clients), 0, 'all clients have left');

#
# No secret is in the log
#

my $log = log_after($node, $begin);
unlike($log, qr/\Q$_\E/, "the log does not know \"$_\"")
  for $people{alice}, $people{bob}, $pam_password;
# The rule with it may be quoted where a login fails, by core.
my @quoting = grep { /\Q$searching\E|shared_secret/ && !/Connection matched|^\tldap|ereport/ } split /\n/, $log;
is("@quoting", '', 'nor what is secret in a rule, but for the rule itself');

#
# Nor in memory, once the client is served
#

# Does it stand anywhere in the writable memory of a process?
sub in_memory
{
	my ($pid, $text) = @_;
	open(my $maps, '<', "/proc/$pid/maps") or die "maps of $pid: $!";
	open(my $mem, '<:raw', "/proc/$pid/mem") or die "mem of $pid: $!";

	while (my $line = <$maps>)
	{
		my ($from, $to) = $line =~ /^([0-9a-f]+)-([0-9a-f]+) rw/ or next;
		($from, $to) = (hex $from, hex $to);
		for (my $at = $from; $at < $to; $at += 1 << 20)
		{
			sysseek($mem, $at, 0);
			my $len = $to - $at < 1 << 20 ? $to - $at : 1 << 20;
			my $bytes = '';
			sysread($mem, $bytes, $len);
			return 1 if index($bytes, $text) >= 0;
		}
	}
	return 0;
}

# The pooler, and the relays of TLS, which are in no view of activity.
sub processes
{
	my ($postmaster) = slurp_file($node->data_dir . '/postmaster.pid') =~ /^(\d+)/;

	return grep {
		my $stat = eval { slurp_file("/proc/$_/stat") } // '';
		my $command = eval { slurp_file("/proc/$_/cmdline") } // '';
		$stat =~ /^\d+ \(.*\) \S $postmaster / && $command =~ /^postgres: .*pooler/
	} map { m{/proc/(\d+)$} } glob '/proc/[0-9]*';
}

SKIP:
{
	# AddressSanitizer keeps what was freed, and maps terabytes
	skip 'the server was built with sanitizers', 1 if $ENV{POOLER_SANITIZERS};
	skip 'memory of other processes can not be read here', 1
	  unless open(my $mem, '<', '/proc/' . (processes())[0] . '/mem');
	cmp_ok(scalar(processes()), '>', 1, 'there is a pooler, and relays of TLS');
	is_deeply([ grep { in_memory($_, $people{alice}) } processes() ], [],
		'none of them remembers the password');
	my @backends = split /\n/, $node->safe_psql('postgres', 'SELECT pid FROM pooler.backends');
	cmp_ok(scalar(@backends), '>', 0, 'there are pool backends');
	is_deeply([ grep { in_memory($_, $people{alice}) } @backends ], [],
		'none of them remembers it either');
}
$node->stop;

#
# With a library that looks at every login, password methods are core's, too.
# Channel binding can't be had then: who needs it is not let in.
#

SKIP:
{
	skip 'auth_delay of contrib is not installed', 1 unless -e "$libdir/auth_delay.so";
	my $hooked = PoolerTest::new_node('hooked', libraries => 'auth_delay,pooler', conf => $tls, hba => q(
local	all	all	trust
hostssl	all	all	127.0.0.1/32	scram-sha-256
hostssl	all	all	127.0.0.2/32	md5
hostssl	all	all	127.0.0.3/32	cert
hostssl	all	all	127.0.0.4/32	scram-sha-256 clientcert=verify-full
));
	$hooked->start;
	wait_for_pooler($hooked);
	$hooked->safe_psql('postgres', q(CREATE EXTENSION pooler; CREATE ROLE alice LOGIN PASSWORD 'x'));
	my $answer = sub {
		my ($from, $cert, %options) = @_;
		my @seen;
		my $answer = login_answer($from, $hooked->host, pooler_port($hooked), role => 'alice',
			database => 'postgres', password => 'x', seen => \@seen, %options,
			tls => $cert ? { SSL_cert_file => $ca->file('alice.crt'), SSL_key_file => $ca->file('alice.key') } : {});
		return join ', ', @seen, $answer;
	};
	for my $from ('127.0.0.1', '127.0.0.2')
	{
		is($answer->($from, 0), 'R10 SCRAM-SHA-256 , ok', "$from: a hook, and TLS");
		is($answer->($from, 0, password => 'wrong'),
			'R10 SCRAM-SHA-256 , FATAL 28P01: password authentication failed for user "alice"', "$from: a wrong password");
		is($answer->($from, 0, binding => 'require'), 'R10 SCRAM-SHA-256 , client: channel binding is not offered',
			"$from: a client that needs channel binding gives up");
		like($answer->($from, 0, binding => 'forged'),
			qr/FATAL 08P01: client selected an invalid SASL authentication mechanism/, "$from: and it can't be had");
	}
	is($answer->('127.0.0.3', 1), 'ok', 'a certificate');
	is($answer->('127.0.0.3', 1, role => 'postgres_nosuch'),
		'FATAL 28000: certificate authentication failed for user "postgres_nosuch"', 'that of another');
	is($answer->('127.0.0.3', 0), 'FATAL 28000: connection requires a valid client certificate', 'no certificate');
	is($answer->('127.0.0.4', 1), 'R10 SCRAM-SHA-256 , ok', 'a certificate and a password');
	is($hooked->safe_psql('postgres', 'SELECT delegated_logins FROM pooler.status'), 4, 'all went through core');
	$hooked->stop;
}

done_testing();
