# Does each client get on the pooling port the answer that it gets on the
# server's own?
#
# The rules and clients of test/hba/parity.txt are tried on both.  Compared are
# the requests for passwords on the way, the outcome with SQLSTATE, message,
# detail and hint, and what the server log says about it.  020_hba.pl compares
# names and addresses in more depth.

use strict;
use warnings;

use File::Basename qw(dirname);
use HbaRows qw(read_sets row_name);
use LoginClient qw(login_answer);
use POSIX ();
use PoolerTest qw(log_after log_size new_node pooler_port wait_for_pooler wait_until);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Socket qw(:DEFAULT getaddrinfo getnameinfo);
use Test::More;
use TlsTest;

my $files = dirname(__FILE__) . '/../hba';
my $user = getpwuid($<);

sub has_ipv6
{
	my $sock;
	return socket($sock, AF_INET6, SOCK_STREAM, 0)
	  && bind($sock, Socket::pack_sockaddr_in6(0, Socket::IN6ADDR_LOOPBACK()));
}

sub has_localhost
{
	my ($error, $name) = getnameinfo(pack_sockaddr_in(0, INADDR_LOOPBACK),
		Socket::NI_NAMEREQD(), Socket::NIx_NOSERV());
	return 0 if $error || $name ne 'localhost';
	my (undef, @found) = getaddrinfo($name, undef, { family => AF_INET });
	return grep { (unpack_sockaddr_in($_->{addr}))[1] eq INADDR_LOOPBACK } @found;
}

my %machine = (
	ipv6 => has_ipv6(),
	localhost => has_localhost(),
	tls => TlsTest::possible() && eval { require IO::Socket::SSL },
	# what the server was built with
	map { $_ => scalar(`pg_config --configure` =~ /--with-$_\b/) } qw(ldap pam));
my ($ca, $stranger, $tls_conf) = (undef, undef, '');

if ($machine{tls})
{
	$ca = TlsTest->new;
	$stranger = TlsTest->new('somebody else');
	$ca->certificate('server', subject => '/CN=localhost', names => 'DNS:localhost,IP:127.0.0.1');
	$ca->certificate($_) for qw(alice eve);
	$ca->certificate('bob', subject => '/O=Pool/OU=Sales/CN=bob');
	$ca->certificate('dotted', subject => '/CN=alice.dept');
	$ca->certificate('nameless', subject => '/O=Pool');
	$ca->certificate('expired', subject => '/CN=alice', expired => 1);
	$ca->certificate('revoked', subject => '/CN=alice');
	$ca->revoke('revoked');
	$stranger->certificate('stranger', subject => '/CN=alice');
	$tls_conf = qq(
ssl = on
ssl_cert_file = '@{[ $ca->file('server.crt') ]}'
ssl_key_file = '@{[ $ca->file('server.key') ]}'
ssl_ca_file = '@{[ $ca->file('ca.crt') ]}'
ssl_crl_file = '@{[ $ca->file('ca.crl') ]}'
);
}

my $node = new_node(
	'parity',
	listen => $machine{ipv6} ? '127.0.0.1, ::1' : '127.0.0.1',
	conf => $tls_conf . q(
log_connections = on
log_line_prefix = '%m %e %u@%d '
wal_level = replica
max_wal_senders = 5
# an empty packet is an answer, too
authentication_timeout = '20s'
));
my %ports = (server => $node->port, pooler => pooler_port($node));

$node->start;
wait_for_pooler($node);
$node->safe_psql('postgres', <<'SQL');
	SET password_encryption = 'scram-sha-256';
	CREATE ROLE alice LOGIN PASSWORD 'alice';
	CREATE ROLE carol LOGIN;
	CREATE ROLE dave LOGIN PASSWORD 'dave' VALID UNTIL '2000-01-01';
	CREATE ROLE eve NOLOGIN PASSWORD 'eve';
	CREATE ROLE frank LOGIN PASSWORD 'frank' VALID UNTIL 'infinity';
	CREATE ROLE boss SUPERUSER LOGIN PASSWORD 'boss';
	CREATE ROLE sender LOGIN REPLICATION PASSWORD 'sender';
	CREATE ROLE broken LOGIN;
	CREATE ROLE xostgre LOGIN;
	CREATE ROLE "two words" LOGIN;
	SET password_encryption = 'md5';
	CREATE ROLE bob LOGIN PASSWORD 'bob';
	CREATE ROLE late LOGIN PASSWORD 'late' VALID UNTIL '2000-01-01';
	CREATE ROLE empty LOGIN PASSWORD '';
	UPDATE pg_authid SET rolpassword = 'SCRAM-SHA-256$nonsense' WHERE rolname = 'broken';
	CREATE ROLE staff;
	CREATE ROLE dept;
	GRANT staff TO alice;
	GRANT dept TO staff, carol;
	CREATE DATABASE noconn ALLOW_CONNECTIONS false;
	CREATE DATABASE closed;
	REVOKE CONNECT ON DATABASE closed FROM PUBLIC;
SQL
$node->safe_psql('postgres', qq(CREATE DATABASE "$_"))
  for qw(app shop alice staff dept company all), 'two words';
my ($major) = $node->safe_psql('postgres', 'SHOW server_version_num') =~ /^(\d\d)/;

# For IO::Socket::SSL.
sub tls_options
{
	my ($version, $cert) = @_;
	my %options = $version eq 'any' ? () : (SSL_version => $version);

	return \%options unless defined $cert;
	my $from = $cert eq 'stranger' ? $stranger : $ca;
	return {
		%options,
		SSL_cert_file => $from->file("$cert.crt"),
		SSL_key_file => $from->file("$cert.key")
	};
}

sub answer
{
	my ($port, %row) = @_;
	my @seen;

	$row{tls} = tls_options(delete @row{qw(tls cert)}) if $row{tls};
	my $answer = login_answer(delete $row{from}, $node->host, $ports{$port}, %row, seen => \@seen);

	return join ', ', @seen, $answer;
}

# What the log says of reasons: it was written before the client was told.
# Left out is what differs for certain: the time, and what a pool backend says
# of its own login.
sub reasons
{
	my ($offset) = @_;

	return join "\n",
	  grep { /(FATAL|LOG):  |^(DETAIL|\t)/ }
	  map { s/^\d+-.*? [A-Z0-9]{5} .*?(?=[A-Z]+:  )//r }
	  # the last of these is a pool backend's own login
	  grep { !/connection (received|authorized)|disconnection|could not send data|\/proc\/self\/fd/ }
	  split /\n/, log_after($node, $offset);
}

# The pooler reads the files by itself, so wait until both know the first rule,
# which is for a database of its own.
sub load_rules
{
	my ($set) = @_;
	my $mark = "rules_$set->{name}";
	my %file = ('pg_ident.conf' => '', %{ $set->{files} },
		'pg_hba.conf' => "local $mark all reject\n" . $set->{hba});

	for my $name (keys %file)
	{
		my $path = $node->data_dir . "/$name";

		unlink $path;
		append_to_file($path, $file{$name} =~ s/%USER%/$user/gr);
	}
	$node->reload;
	for my $port (keys %ports)
	{
		wait_until("$set->{name} is loaded on the port of the $port", sub {
			answer($port, from => 'local', role => 'boss', database => $mark) =~ /rejects connection/;
		}) or return 0;
	}
	return 1;
}

my $compared = 0;

for my $set (read_sets("$files/parity.txt"))
{
	my %options = %{ $set->{options} };

	next if $major < ($options{since} // 0) || $major >= ($options{before} // 99);
	next if grep { exists $options{$_} && !$machine{$_} } keys %machine;
	ok(load_rules($set), "the rules of $set->{name} are loaded") or next;
	for my $row (@{ $set->{rows} })
	{
		my (%answer, %log);
		my $name = row_name($set, $row);

		s/%USER%/$user/g for values %$row;
		for my $port (keys %ports)
		{
			my $offset = log_size($node);
			$answer{$port} = answer($port, %$row);
			# a handshake that fails is logged after the client has been told
			wait_until('the reason is logged', sub { reasons($offset) ne '' })
			  if $answer{$port} =~ /^TLS: /;
			$log{$port} = reasons($offset);
		}
		is($answer{pooler}, $answer{server}, "$name => $answer{server}");
		is($log{pooler}, $log{server}, "$name: in the log");
		note "log: $log{server}";
		$compared++;
	}
}

cmp_ok($compared, '>=', 60, "$compared combinations were compared");
$node->stop;
done_testing();
