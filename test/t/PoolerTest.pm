# PoolerTest.pm
#
# What the tests of a running pooler share: a server with the pooler in it,
# psql through the pooling port, and conditions to wait for.

package PoolerTest;

use strict;
use warnings;

use Carp qw(croak);
use Exporter 'import';
use LoginClient ();
use POSIX ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

our @EXPORT_OK = qw(
  becomes
  configure
  descriptors
  log_after
  log_size
  logged
  new_node
  pooler_connstr
  pooler_port
  pooler_psql
  set_hba
  start_node
  wait_for_pooler
  wait_until
  worker_cpu
  worker_pid
);

use constant TIMEOUT => $PostgreSQL::Test::Utils::timeout_default;

my %port_of;

# A server with the library, no notices to clients that wait and no checkpoints
# in the log (they would come on a slow machine only), trust for everybody, and the pooler on a free TCP
# port and in the server's socket directory.  Not started yet.  Options:
#
#	conf		lines for postgresql.conf
#	hba			pg_hba.conf instead of the one that trusts everybody
#	libraries	shared_preload_libraries, if not only 'pooler'
#	listen		addresses, of the server and of the pooler ("127.0.0.1")
#	init		options of $node->init
sub new_node
{
	my ($name, %options) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);

	$node->init(%{ $options{init} // {} });
	configure($node, %options);
	return $node;
}

# The same settings for a node that has been initialized, such as a standby.
sub configure
{
	my ($node, %options) = @_;
	my $port = $port_of{ $node->name } = PostgreSQL::Test::Cluster::get_free_port();
	my $libraries = $options{libraries} // 'pooler';
	my $listen = $options{listen} // '127.0.0.1';
	my $conf = $options{conf} // '';

	$node->append_conf('postgresql.conf', qq(
listen_addresses = '$listen'
shared_preload_libraries = '$libraries'
pooler.port = $port
pooler.listen_addresses = '$listen'
pooler.query_wait_notify = 0
log_checkpoints = off
$conf
));
	set_hba($node, $options{hba} // qq(
local	all	all	trust
host	all	all	127.0.0.0/8	trust
host	all	all	::1/128	trust
));
}

# Put another pg_hba.conf in place; the server has to be told.
sub set_hba
{
	my ($node, $text) = @_;

	unlink $node->data_dir . '/pg_hba.conf';
	$node->append_conf('pg_hba.conf', $text);
}

# All of it: a server that runs, with the extension in the database postgres,
# and whose pooler accepts connections.
sub start_node
{
	my ($name, %options) = @_;
	my $node = new_node($name, %options);

	$node->start;
	$node->safe_psql('postgres', 'CREATE EXTENSION pooler');
	wait_for_pooler($node);
	return $node;
}

sub pooler_port
{
	my ($node) = @_;
	return $port_of{ $node->name };
}

# The pooler opens its port a moment later than the server.
sub wait_for_pooler
{
	my ($node) = @_;

	wait_until(
		'the pooler listens',
		sub {
			my $sock = LoginClient::connect_from('local', $node->host, pooler_port($node));
			return defined $sock;
		}) or croak 'the pooler does not listen';
}

# Options: role, database, host, and more parameters in libpq's names.
sub pooler_connstr
{
	my ($node, %options) = @_;
	my %parameters = (
		host => $node->host,
		port => pooler_port($node),
		dbname => delete $options{database} // 'postgres',
		%options);

	$parameters{user} = delete $parameters{role} if defined $parameters{role};
	return join(' ',
		map { my $value = $parameters{$_} =~ s/([\\'])/\\$1/gr; "$_='$value'" }
		  sort keys %parameters);
}

# psql through the pooling port.  Returns its exit status, output and errors,
# or in scalar context the output alone.  Options as above, and those of
# $node->psql under "psql".
sub pooler_psql
{
	my ($node, $sql, %options) = @_;
	my %psql = %{ delete $options{psql} // {} };
	my $run = sub {
		return $node->psql(
			'postgres', $_[0],
			connstr => pooler_connstr($node, %options),
			timeout => TIMEOUT,
			%psql);
	};
	my ($rc, $out, $err) = eval { $run->($sql) };

	if ($@)
	{
		# who is refused reads nothing, and then we may not be able to write
		die $@ if $@ !~ /Broken pipe/;
		($rc, $out, $err) = $run->('');
	}
	return wantarray ? ($rc, $out, $err) : $out;
}

# Wait until the condition holds; false, with a note, if it never does.
sub wait_until
{
	my ($what, $condition, $seconds) = @_;
	my $end = Time::HiRes::time() + ($seconds // TIMEOUT);

	while (1)
	{
		return 1 if $condition->();
		last if Time::HiRes::time() > $end;
		usleep(20_000);
	}
	diag("timed out waiting until $what");
	return 0;
}

# A test: the query gives this answer, in time, on the server's own port.
sub becomes
{
	my ($node, $query, $wanted, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	ok($node->poll_query_until('postgres', $query, $wanted), $name)
	  or diag($node->safe_psql('postgres',
			'SELECT * FROM pooler.clients; SELECT * FROM pooler.backends'));
}

# The log of the server: its size, what was added since then, and a test that a
# line was, in time.
sub log_size
{
	my ($node) = @_;
	return -s $node->logfile // 0;
}

sub log_after
{
	my ($node, $offset) = @_;
	return substr(slurp_file($node->logfile), $offset);
}

sub logged
{
	my ($node, $offset, $regexp, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	ok(wait_until("the log matches $regexp",
			sub { log_after($node, $offset) =~ $regexp }), $name)
	  or diag(log_after($node, $offset));
}

sub worker_pid
{
	my ($node) = @_;
	return $node->safe_psql('postgres',
		q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'pooler'});
}

# How many descriptors a process has open.
sub descriptors
{
	my ($pid) = @_;
	opendir(my $dir, "/proc/$pid/fd") or croak "no process $pid: $!";
	my @entries = grep { /^\d+$/ } readdir $dir;
	return scalar @entries;
}

# The processor time of a process, its own and the system's, in seconds.
sub worker_cpu
{
	my ($pid) = @_;
	my @fields = split ' ', (slurp_file("/proc/$pid/stat") =~ s/^.*\) //sr);
	return ($fields[11] + $fields[12]) / POSIX::sysconf(POSIX::_SC_CLK_TCK());
}

1;
