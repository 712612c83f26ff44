# Files of rules made up at random, good and broken: does each client get the
# same answer on the pooling port as on the server's own, does a broken file
# change nothing on either, and do both complain of the same lines?
#
# POOLER_HBA_SECONDS says for how long, POOLER_SEED repeats it.

use strict;
use warnings;

use LoginClient qw(login_answer);
use PoolerTest qw(log_after log_size new_node pooler_port set_hba wait_for_pooler wait_until);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Socket qw(AF_INET6 SOCK_STREAM);
use Test::More;
use Time::HiRes qw(time);

my $seconds = $ENV{POOLER_HBA_SECONDS} || 8;
my $seed = int($ENV{POOLER_SEED} || time ^ $$);

srand($seed);
note "POOLER_SEED=$seed";

sub has_ipv6
{
	my $sock;
	return socket($sock, AF_INET6, SOCK_STREAM, 0)
	  && bind($sock, Socket::pack_sockaddr_in6(0, Socket::IN6ADDR_LOOPBACK()));
}

my $ipv6 = has_ipv6();
my $node = new_node('hba_random',
	listen => $ipv6 ? '127.0.0.1, ::1' : '127.0.0.1',
	conf => q{
log_line_prefix = '%b|'
log_statement = none
wal_level = replica
max_wal_senders = 3
pooler.server_idle_timeout = 1s
});
$node->start;
wait_for_pooler($node);

my @roles = ('alice', 'bob', 'carol', 'Alice', 'all', '+staff', 'two words', 'a,b', '/^al', 'sender', 'nobody');
my @databases = ('app', 'alice', 'staff', 'all', 'sameuser', 'replication', 'two words', 'a,b', 'app_1', 'app_22', 'nothing');
$node->safe_psql('postgres', join ";\n",
	(map { qq(CREATE ROLE "$_" LOGIN PASSWORD 'secret') } grep { !/nobody|carol|sender/ } @roles),
	'CREATE ROLE carol LOGIN NOINHERIT', 'CREATE ROLE sender LOGIN REPLICATION',
	'CREATE ROLE staff', 'CREATE ROLE dept', 'CREATE ROLE "Staff"',
	'GRANT staff TO alice', 'GRANT dept TO staff, carol', 'GRANT "Staff" TO bob');
$node->safe_psql('postgres', qq(CREATE DATABASE "$_")) for grep { !/nothing/ } @databases;

my $major = $node->safe_psql('postgres', 'SHOW server_version_num') =~ s/\d{4}$//r;
my %ports = (server => $node->port, pooler => pooler_port($node));

#----------------------------------------------------------------------------
# rules
#----------------------------------------------------------------------------

sub any { return $_[ rand @_ ] }
sub chance { return rand() < $_[0] }

# As it may be written: names that need quotes also without them.
sub written
{
	my ($name) = @_;
	return $name if chance(0.6) && $name !~ /[ ,"]/;
	return '"' . $name =~ s/"/""/gr . '"' if chance(0.8);
	my $at = int rand 1 + length $name;
	return $name =~ /[ ,"]/ ? qq("$name") : substr($name, 0, $at) . '"' . substr($name, $at) . '"';
}

my @patterns = ('/^al', '/^app_[12]$', '/', '/^a.*e$', '/li|ob', '"/^two words$"', '/^$', '"/a,b"', '/\\d+$', '/(?i)ALICE');

sub list { return join any(',', ', ', ','), map { $_[0]->() } 1 .. any(1, 1, 1, 2, 3) }

sub database_token
{
	return any(qw(all all all all all sameuser samerole samegroup replication ALL "all" +staff @names @missing))
	  if chance(0.5);
	return any(@patterns) if chance(0.25);
	return written(any(@databases));
}

sub role_token
{
	return any(qw(all all all all +staff +dept +Staff "+staff" +"staff" +nobody + @names ALL)) if chance(0.5);
	return any(@patterns) if chance(0.25);
	return written(any(@roles));
}

sub address
{
	return any('all', 'all', 'samehost', 'samenet', '127.0.0.1/32', '127.0.0.0/8', '0.0.0.0/0', '127.0.0.2/31',
		'127.0.0.1 255.255.255.255', '127.0.0.0 255.0.0.255', '127.0.0.3/32', '10.0.0.0/8', '::1/128',
		'::/0', '::ffff:127.0.0.1/128', '::1 ffff:ffff::', '"127.0.0.1/32"', '"all"', 'localhost', '.local',
		'127.0.0.1 255.0.255.0');
}

sub method
{
	my ($local) = @_;
	return any(qw(trust trust trust trust reject reject scram-sha-256 scram-sha-256 md5 password),
		($local ? ('peer', 'peer map=m') : ()), '"trust"');
}

sub good_line
{
	my $type = any(qw(local local local local host host host host host hostssl hostnossl hostgssenc hostnogssenc));
	my @fields = ($type, list(\&database_token), list(\&role_token),
		($type eq 'local' ? () : address()), method($type eq 'local'));
	my $line = join any(' ', "\t", '   '), @fields;

	$line .= any('', '', '', ' # comment', "\t", "\r", '#') if chance(0.5);
	$line =~ s/[ \t]/ \\\n / if chance(0.05);
	return $line;
}

sub bad_line
{
	my $line = good_line();
	my @fields = split /\s+/, $line;

	return any(
		sub { splice(@fields, rand @fields, 1); "@fields" },
		sub { splice(@fields, rand @fields, 0, any('x', ',', '""', '@', 'map=x', '256.0.0.1/8')); "@fields" },
		sub { $fields[ rand @fields ] = any('127.0.0.1/33', '::1/129', '127.0.0.1/', '/(', '"open', 'nosuch', '+', 'x=y'); "@fields" },
		sub { substr($line, rand length $line, 1) = chr(33 + rand 94); $line },
		sub { "$line map=x" }, sub { "$line clientcert=verify-full" }, sub { "$line =" },
		sub { any('hostssl all all all cert', 'host all all all ldap', 'host all all all radius',
				'host all all 127.0.0.1 trust', 'host all all 127.0.0.1 x trust', 'local all all peer clientname=DN',
				'host all all 127.0.0.1/32 gss krb_realm', 'include nosuchfile', 'include', 'local all all trust trust',
				'local all,,app all trust', 'host all all ::1 255.0.0.0 trust', 'x' x 20000) })->();
}

# Is the file good?  The server tells, in a process that keeps nothing of it.  A
# line that is of no use is reported there, too, but is no mistake.
sub mistakes
{
	return $node->safe_psql('postgres', q(SELECT count(*) FROM pg_hba_file_rules
		WHERE error !~ 'record cannot match because'));
}

#----------------------------------------------------------------------------
# on both ports
#----------------------------------------------------------------------------

sub answer
{
	my ($port, %row) = @_;
	return login_answer(delete $row{from}, $node->host, $ports{$port}, %row);
}

# What was said about lines of the file, by one kind of process.
sub complaints
{
	my ($log, $who) = @_;
	return join '', map { s/^\Q$who\E\|//gmr } grep { /line \d+ of configuration file|configuration file .*line/ }
	  $log =~ /^\Q$who\E\|(\w+:  .*\n(?:\Q$who\E\|(?:DETAIL|HINT|CONTEXT):  .*\n)*)/mg;
}

my $mark = '';
my %told;

# Returns whether the file was taken; the first rule tells.
sub load_rules
{
	my ($number, @lines) = @_;
	my $new = "mark_$number";
	my $offset = log_size($node);
	my $log;

	set_hba($node, join("\n", "local $new all reject", "local postgres all trust", @lines, ''));
	my $broken = mistakes();
	$node->reload;
	if (!$broken)
	{
		for my $port (sort keys %ports)
		{
			wait_until("$new is loaded on the $port\'s port",
				sub { answer($port, from => 'local', role => 'alice', database => $new) =~ /rejects connection/ })
			  or return undef;
		}
		$mark = $new;
		return 1;
	}
	wait_until("$new is refused", sub {
		$log = log_after($node, $offset);
		$log =~ /^postmaster\|.*pg_hba\.conf was not reloaded/m && $log =~ /^pooler\|.*pg_hba\.conf was not loaded/m;
	}) or return undef;
	is(complaints($log, 'pooler'), complaints($log, 'postmaster'), "$new: the same complaints")
	  or diag(slurp_file($node->data_dir . '/pg_hba.conf'));
	return 0;
}

sub client
{
	my %client = (
		from => any('local', '127.0.0.1', '127.0.0.2', '127.0.0.3', $ipv6 ? '::1' : 'local'),
		role => any(@roles), database => any(@databases));

	$client{database} = $client{role} if chance(0.1);
	$client{password} = any('secret', 'secret', 'wrong') if chance(0.3);
	@client{qw(role replication)} = ('sender', any('true', 'database')) if chance(0.05);
	return %client;
}

$node->append_conf($_->[0], $_->[1]) for ([ names => "alice, app\n\"two words\"\n" ], [ 'pg_ident.conf' => "m /(.*) alice\n" ]);

my $end = time + $seconds;
my ($number, $good, $bad) = (0, 0, 0);

while (time < $end || $good < 2 || $bad < 1)
{
	my @lines = map { good_line() } 1 .. 3 + rand 12;
	my @rules;

	# what a machine or a version does not have, or not: the server knows
	if (chance(0.3)) { splice(@lines, rand @lines, 0, bad_line()) for 1 .. 1 + rand 2 }
	my $taken = load_rules(++$number, @lines);
	if (!defined $taken)
	{
		fail("rules $number: loaded or refused");
		diag(slurp_file($node->data_dir . '/pg_hba.conf'));
		last;
	}
	$taken ? $good++ : $bad++;
	if (!$taken)
	{
		next unless $mark;
		like(answer($_, from => 'local', role => 'alice', database => $mark), qr/rejects connection/,
			"rules $number are broken: those of before hold on the $_\'s port") for sort keys %ports;
	}
	for (1 .. 20)
	{
		my %client = client();
		my %answer = map { $_ => answer($_, %client) } sort keys %ports;
		my $name = join ' ', map { "$_=$client{$_}" } sort keys %client;

		# let in by the rules, and then refused for what it wants
		$answer{pooler} = 'ok'
		  if $client{replication} && $answer{pooler} =~ /^FATAL 0A000: the pooler does not accept replication/;
		$told{ $answer{server} =~ s/"[^"]*"/"..."/gr }++;
		is($answer{pooler}, $answer{server}, "rules $number: $name")
		  or diag(slurp_file($node->data_dir . '/pg_hba.conf'));
	}
}
note "$good files were good, $bad broken";
note "$told{$_} $_" for sort { $told{$b} <=> $told{$a} } keys %told;
cmp_ok(scalar keys %told, '>', 3, 'there were different answers');
$node->stop;
done_testing();
