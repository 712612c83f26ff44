# Services.pm
#
# Servers that a PostgreSQL server asks who somebody is: LDAP (slapd), Kerberos
# (krb5kdc) and RADIUS.  They run as the user who runs the test, on free ports,
# with all their files in a directory of the test's, and end with it.

package Services;

use strict;
use warnings;

use Carp qw(croak);
use Digest::MD5 qw(md5);
use Exporter 'import';
use IO::Socket::INET;
use POSIX ();
use PoolerTest qw(wait_until);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Socket;

our @EXPORT_OK = qw(find_program kerberos ldap radius);

my @children;

END
{
	my $status = $?;
	kill 'TERM', @children;
	waitpid $_, 0 for @children;
	$? = $status;
}

sub find_program
{
	my ($name) = @_;
	my ($path) = grep { -x } map { "$_/$name" } split(/:/, $ENV{PATH}),
	  '/usr/sbin', '/usr/local/sbin';
	return $path;
}

# A program in the background, with its output in a file.
sub run
{
	my ($log, @command) = @_;
	my $pid = fork() // die "fork: $!";

	if ($pid == 0)
	{
		open(STDOUT, '>>', $log);
		open(STDERR, '>&', \*STDOUT);
		exec @command or POSIX::_exit(127);
	}
	push @children, $pid;
	return $pid;
}

sub listens
{
	my ($port) = @_;
	return defined IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port);
}

sub write_to
{
	my ($path, $text) = @_;
	unlink $path;
	append_to_file($path, $text);
	chmod 0600, $path;
}

# slapd with these people (name => password) below ou=people,dc=example.
# Returns its port, and the DN and password of one who may search.
sub ldap
{
	my (%people) = @_;
	my $dir = PostgreSQL::Test::Utils::tempdir('ldap');
	my $port = PostgreSQL::Test::Cluster::get_free_port();
	my $ldif = <<'LDIF';
dn: dc=example
objectClass: dcObject
objectClass: organization
dc: example
o: example

dn: ou=people,dc=example
objectClass: organizationalUnit
ou: people

LDIF

	mkdir "$dir/data";
	write_to("$dir/slapd.conf", <<"CONF");
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
pidfile $dir/slapd.pid
modulepath /usr/lib/ldap
moduleload back_ldif
database ldif
directory $dir/data
suffix "dc=example"
rootdn "cn=searcher,dc=example"
rootpw searching
access to attrs=userPassword by anonymous auth by * none
access to * by users read by * none
CONF
	$ldif .= "dn: uid=$_,ou=people,dc=example\nobjectClass: inetOrgPerson\n"
	  . "uid: $_\ncn: $_\nsn: $_\nuserPassword: $people{$_}\n\n"
	  for sort keys %people;
	write_to("$dir/data.ldif", $ldif);
	PostgreSQL::Test::Utils::system_or_bail(find_program('slapadd'),
		'-f' => "$dir/slapd.conf", '-l' => "$dir/data.ldif");
	run("$dir/log", find_program('slapd'), '-f' => "$dir/slapd.conf",
		'-h' => "ldap://127.0.0.1:$port/", '-d' => 'none');
	wait_until('slapd listens', sub { listens($port) })
	  or croak 'slapd did not start: ' . slurp_file("$dir/log");
	return ($port, 'cn=searcher,dc=example', 'searching');
}

# A realm EXAMPLE with these people, and a keytab for a PostgreSQL server at
# localhost.  Sets the environment for servers and clients that are started
# from now on, and returns the keytab.
sub kerberos
{
	my (%people) = @_;
	my $dir = PostgreSQL::Test::Utils::tempdir('kerberos');
	my $port = PostgreSQL::Test::Cluster::get_free_port();

	write_to("$dir/krb5.conf", <<"CONF");
[libdefaults]
	default_realm = EXAMPLE
	dns_lookup_realm = false
	dns_lookup_kdc = false
	dns_canonicalize_hostname = false
	rdns = false
	forwardable = true
[realms]
	EXAMPLE = {
		kdc = 127.0.0.1:$port
	}
[domain_realm]
	localhost = EXAMPLE
CONF
	write_to("$dir/kdc.conf", <<"CONF");
[kdcdefaults]
	kdc_listen = 127.0.0.1:$port
	kdc_tcp_listen = 127.0.0.1:$port
[realms]
	EXAMPLE = {
		database_name = $dir/principal
		key_stash_file = $dir/stash
		acl_file = $dir/acl
	}
CONF
	$ENV{KRB5_CONFIG} = "$dir/krb5.conf";
	$ENV{KRB5_KDC_PROFILE} = "$dir/kdc.conf";
	$ENV{KRB5CCNAME} = "FILE:$dir/tickets";
	my @admin = (find_program('kadmin.local'), '-q');
	my $quiet = '>/dev/null';
	for my $command (
		[ find_program('kdb5_util'), 'create', '-s', '-P', 'master' ],
		[ @admin, 'addprinc -randkey postgres/localhost' ],
		[ @admin, "ktadd -k $dir/keytab postgres/localhost" ],
		map { [ @admin, qq(addprinc -pw "$people{$_}" $_) ] } sort keys %people)
	{
		my ($out, $err) = PostgreSQL::Test::Utils::run_command($command);
		croak "@$command: $err" if $? != 0;
	}
	run("$dir/log", find_program('krb5kdc'), '-n');
	wait_until('krb5kdc listens', sub { listens($port) })
	  or croak 'krb5kdc did not start: ' . slurp_file("$dir/log");
	return "$dir/keytab";
}

# A RADIUS server that knows these people.  Returns its port.
sub radius
{
	my ($secret, %people) = @_;
	my $sock = IO::Socket::INET->new(Proto => 'udp', LocalAddr => '127.0.0.1')
	  or croak "radius: $!";
	my $pid = fork() // die "fork: $!";

	if ($pid == 0)
	{
		answer_radius($sock, $secret, %people);
		POSIX::_exit(0);
	}
	push @children, $pid;
	return $sock->sockport;
}

# RFC 2865: code, identifier, length, authenticator, attributes; the password
# is hidden by a chain of hashes.
sub answer_radius
{
	my ($sock, $secret, %people) = @_;

	while (defined(my $peer = $sock->recv(my $packet, 4096)))
	{
		my ($code, $id, undef, $authenticator, $rest) = unpack('CCna16a*', $packet);
		my ($name, $password, $last) = ('', '', $authenticator);

		while (length $rest > 2)
		{
			my ($type, $len) = unpack('CC', $rest);
			my $value = substr($rest, 2, $len - 2);

			$rest = substr($rest, $len);
			$name = $value if $type == 1;
			next if $type != 2;
			for my $block (unpack('(a16)*', $value))
			{
				$password .= $block ^ md5($secret . $last);
				$last = $block;
			}
		}
		$password =~ s/\0+$//;
		my $answer =
		  defined $people{$name} && $people{$name} eq $password ? 2 : 3;
		my $head = pack('CCn', $answer, $id, 20);
		$sock->send($head . md5($head . $authenticator . $secret), 0, $peer);
	}
}

1;
