# Is each client treated as pg_hba.conf says?
#
# The rules and clients of test/hba/rows.txt are tried on the server's own port
# and on the pooling port; both must give the answer that was recorded from a
# server of the same major version.  For a version without recorded answers
# the two ports are compared with each other.
#
# To record the answers of a server, without the pooler:
#
#	POOLER_HBA_RECORD=file prove -I test/t test/t/020_hba.pl

use strict;
use warnings;

use File::Basename qw(dirname);
use HbaRows qw(read_answers read_sets row_name);
use LoginClient qw(login_answer);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Socket qw(:DEFAULT getaddrinfo getnameinfo);
use Test::More;
use Time::HiRes qw(usleep);

my $record = $ENV{POOLER_HBA_RECORD};
my $files = dirname(__FILE__) . '/../hba';

#
# What this machine can do
#

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

my $ipv6 = has_ipv6();
my $localhost = has_localhost();

#
# A cluster with the roles and databases of the rows
#

my $node = PostgreSQL::Test::Cluster->new('hba');
my $pooler_port = PostgreSQL::Test::Cluster::get_free_port();
my $addresses = $ipv6 ? '127.0.0.1, ::1' : '127.0.0.1';

$node->init;
$node->append_conf('postgresql.conf', qq(
listen_addresses = '$addresses'
wal_level = replica
max_wal_senders = 5
));
$node->append_conf('postgresql.conf', qq(
shared_preload_libraries = 'pooler'
pooler.port = $pooler_port
pooler.listen_addresses = '$addresses'
pooler.server_idle_timeout = '1s'
)) unless $record;
$node->start;
$node->safe_psql('postgres', slurp_file("$files/setup.sql"));

my ($major) = $node->safe_psql('postgres', 'SHOW server_version_num') =~ /^(\d\d)/;
my %recorded;
my $answers = "$files/answers-$major.txt";
%recorded = read_answers($answers) if !$record && -e $answers;

my %ports = (server => $node->port);
$ports{pooler} = $pooler_port unless $record;

#
# One set of rules after the other
#

sub answer
{
	my ($port, %row) = @_;
	return login_answer(delete $row{from}, $node->host, $port, %row);
}

sub wait_until
{
	my ($what, $condition) = @_;

	for (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
	{
		return if $condition->();
		usleep(100_000);
	}
	die "timed out waiting until $what";
}

# How many processes have complained with this text since that place?
sub complaints
{
	my ($text, $offset) = @_;
	my $log = substr(slurp_file($node->logfile), $offset);
	return scalar(() = $log =~ /^.*LOG:.*\Q$text\E/mg);
}

sub write_file
{
	my ($name, $text) = @_;
	my $path = $node->data_dir . "/$name";

	unlink $path;
	append_to_file($path, $text);
}

# Have the rules loaded.  The pooler reads the file by itself, so wait until
# each port knows the first rule, which is for a database of its own.
sub load_rules
{
	my ($set) = @_;
	my $offset = -s $node->logfile;
	my $broken = $set->{options}{broken};
	my $mark = "rules_$set->{name}";

	write_file($_, $set->{files}{$_}) for keys %{ $set->{files} };
	write_file('pg_hba.conf', "local $mark all reject\n" . $set->{hba});
	$node->reload;

	if (defined $broken)
	{
		wait_until("$set->{name} is refused by all",
			sub { complaints($broken, $offset) >= keys %ports });
		return;
	}
	for my $port (values %ports)
	{
		wait_until("$set->{name} is loaded", sub {
			answer($port, from => 'local', role => 'boss', database => $mark)
			  =~ /rejects connection/;
		});
	}
}

my @results;

for my $set (read_sets("$files/rows.txt"))
{
	my %options = %{ $set->{options} };

	next if $major < ($options{since} // 0) || $major >= ($options{before} // 99);
  SKIP:
	{
		skip "$set->{name}: no IPv6", 1 if $options{ipv6} && !$ipv6;
		skip "$set->{name}: no localhost", 1 if $options{localhost} && !$localhost;

		load_rules($set);
		for my $row (@{ $set->{rows} })
		{
			my $name = row_name($set, $row);
			my $expected = $recorded{$name};

			fail("there is no recorded answer for $name")
			  if %recorded && !defined $expected;
			for my $port (sort { $b cmp $a } keys %ports)
			{
				my $answer = answer($ports{$port}, %$row);

				push @results, "$name => $answer\n";
				$expected //= $answer;
				is($answer, $expected, "$port: $name");
			}
		}
	}
}

if ($record)
{
	unlink $record;
	append_to_file($record,
		"# Recorded from PostgreSQL $major by test/t/020_hba.pl: do not edit.\n"
		  . join('', @results));
}

$node->stop;
done_testing();
