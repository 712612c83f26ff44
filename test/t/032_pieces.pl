# Twelve clients on two backends send all kinds of messages in pieces of any
# length, waiting for the answer or not.  Each gets exactly the answers to what
# it has sent, in order.

use strict;
use warnings;

use IO::Select;
use PoolerTest qw(becomes log_after start_node);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use RawClient;
use Test::More;
use Time::HiRes qw(time);

my $seconds = 6;
my $node = start_node(
	'pieces',
	conf => q(
log_statement = none
log_min_error_statement = panic
log_min_messages = fatal
pooler.default_pool_size = 2
));
$node->safe_psql('postgres', q(
	CREATE ROLE alice LOGIN;
	CREATE TABLE lines (line text);
	GRANT ALL ON lines TO alice));

my $seed = int(rand(1 << 30));
srand($seed);
note("seed $seed");

sub message
{
	return RawClient::message(@_);
}

sub query
{
	return message('Q', "$_[0]\0");
}

# Parse, Bind, Execute, of the unnamed statement
sub execute
{
	return message('P', "\0$_[0]\0\0\0") . message('B', "\0\0\0\0\0\0\0\0")
	  . message('E', "\0\0\0\0\0");
}

my $sync = message('S', '');

# Something to send, and what is to be answered: rows as their first column,
# errors as their SQLSTATE, and the types of the other messages.
my @makers = (
	sub { my ($n) = @_; return (query("SELECT $n"), "T $n C Z:I") },
	sub { my ($n) = @_; return (query("SELECT $n; SELECT -$n"), "T $n C T -$n C Z:I") },
	sub { my ($n) = @_; return (execute("SELECT $n") . $sync, "1 2 $n C Z:I") },
	sub {
		my ($n) = @_;
		return (execute("SELECT $n") . execute("SELECT -$n") . $sync, "1 2 $n C 1 2 -$n C Z:I");
	},
	sub {
		my ($n) = @_;
		return (execute("SELECT $n") . message('H', '') . execute('SELECT 1/0')
			  . execute('SELECT 1') . $sync,
			"1 2 $n C 1 22012 Z:I");
	},
	sub { return (query("SELECT 1/0"), "22012 Z:I") },
	sub { return (query('SELEKT'), '42601 Z:I') },
	sub { return (query(''), 'I Z:I') },
	sub { return ($sync, 'Z:I') },
	sub { return (message('P', "\0SELECT nothing\0\0\0") . $sync, '42703 Z:I') },
	sub { my ($n) = @_; return (query('SELECT ' . ' ' x int(rand 30_000) . $n), "T $n C Z:I") },
	sub {
		my ($n) = @_;
		return (query("SELECT $n, repeat('x', " . int(rand 40_000) . ')'), "T $n C Z:I");
	},
	sub {
		my ($n) = @_;
		return (query('BEGIN') . query("SELECT $n") . query('COMMIT'), "C Z:T T $n C Z:T C Z:I");
	},
	sub {
		my ($n) = @_;
		return (query('BEGIN') . query('SELECT 1/0') . execute("SELECT $n") . $sync . query('ROLLBACK'),
			'C Z:T 22012 Z:E 25P02 Z:E C Z:I');
	},
	sub {
		my ($n) = @_;
		return (query('COPY lines FROM STDIN') . message('d', "$n\n") x (1 + rand 5) . message('c', ''),
			'G C Z:I');
	},
	sub {
		return (query('COPY lines FROM STDIN') . message('f', "not today\0"), 'G 57014 Z:I');
	},
	sub { my ($n) = @_; return (query("COPY (SELECT $n) TO STDOUT"), 'H d c C Z:I') },
	# a named statement, within its transaction
	sub {
		my ($n) = @_;
		return (query('BEGIN') . message('P', "s\0SELECT $n\0\0\0") . $sync
			  . message('B', "\0s\0\0\0\0\0\0\0") . message('E', "\0\0\0\0\0")
			  . message('C', "Ss\0") . $sync . query('COMMIT'),
			"C Z:T 1 Z:T 2 $n C 3 Z:T C Z:I");
	});

sub summary
{
	my ($type, $body) = @_;

	return (RawClient::row($body))->[0] if $type eq 'D';
	return "Z:$body" if $type eq 'Z';
	return (LoginClient::error_text($body) =~ /^\w+ (\w{5}):/)[0] if $type eq 'E';
	return $type;
}

my @clients = map { RawClient->connect($node, role => 'alice',
		from => $_ % 3 ? '127.0.0.1' : 'local') } 1 .. 12;
my $units = 0;
my $wrong = 0;

for my $n (0 .. $#clients)
{
	my $client = $clients[$n];
	$client->{n} = $n;
	$client->{sock}->blocking(0);
	$client->{out} = '';
	$client->{expected} = [];
}

sub send_some
{
	my ($client, $going_on) = @_;

	if ($client->{out} eq '')
	{
		return unless $going_on;
		# sometimes wait for the answers first, sometimes don't
		return if @{ $client->{expected} } && (rand() < 0.7 || @{ $client->{expected} } > 100);
		my $unit = $client->{n} * 10_000_000 + ++$units;
		my ($bytes, $answers) = $makers[ rand @makers ]->($unit);
		$client->{out} = $bytes;
		$client->{step} = rand() < 0.6 ? length $bytes : rand() < 0.5 ? 1 + int(rand 20) : 1 + int(rand 5000);
		push @{ $client->{expected} }, split / /, $answers;
	}
	my $len = 1 + int(rand($client->{step} + 1));
	my $written = syswrite($client->{sock}, $client->{out}, $len);
	substr($client->{out}, 0, $written) = '' if defined $written;
}

sub receive
{
	my ($client) = @_;

	if (!sysread($client->{sock}, $client->{in}, 65536, length $client->{in}))
	{
		$wrong++;
		diag("client $client->{n}: closed, " . LoginClient::error_text(substr($client->{in} . "\0" x 6, 5)));
		return 0;
	}
	while (length $client->{in} >= 5)
	{
		my ($type, $len) = unpack('aN', $client->{in});
		last if length $client->{in} < 1 + $len;
		my $body = substr($client->{in}, 5, $len - 4);
		substr($client->{in}, 0, 1 + $len) = '';
		next if $type eq 'S' || $type eq 'N';
		my $got = summary($type, $body);
		my $expected = shift @{ $client->{expected} } // 'nothing';
		next if $got eq $expected;
		$wrong++;
		diag("client $client->{n}: got $got instead of $expected");
		return 0;
	}
	return 1;
}

my $end = time + $seconds;
my $limit = $end + $PostgreSQL::Test::Utils::timeout_default;
my $writers = IO::Select->new(map { $_->{sock} } @clients);
my $readers = IO::Select->new(map { $_->{sock} } @clients);
my %by_socket = map { fileno($_->{sock}) => $_ } @clients;

while ($wrong == 0 && time < $limit)
{
	my $going_on = time < $end;
	last if !$going_on && !grep { $_->{out} ne '' || @{ $_->{expected} } } @clients;

	my ($readable, $writeable) = IO::Select->select($readers, $writers, undef, 1);
	for my $sock (@{ $readable // [] })
	{
		receive($by_socket{ fileno $sock }) or last;
	}
	for my $sock (@{ $writeable // [] })
	{
		send_some($by_socket{ fileno $sock }, $going_on) if rand() < 0.7;
	}
}
is($wrong, 0, 'every answer is the right one');
is(scalar(grep { $_->{out} ne '' || @{ $_->{expected} } } @clients), 0, 'no answer is missing');
for my $client (grep { $_->{out} ne '' || @{ $_->{expected} } } @clients)
{
	diag("client $client->{n}: " . length($client->{out}) . " bytes not sent, "
		  . length($client->{in}) . " bytes of a message received, expects @{ $client->{expected} }");
	diag($node->safe_psql('postgres', 'SELECT * FROM pooler.clients; SELECT * FROM pooler.backends'));
}
cmp_ok($units, '>', 50, 'many of them');
note("$units units");
die 'the streams are out of step' if $wrong;
$_->{sock}->blocking(1) for @clients;
is($_->ask('SELECT 1'), '1', 'all go on') for @clients;
$_->quit for @clients;
becomes($node, q(SELECT backends, backends_busy, clients FROM pooler.pools WHERE role = 'alice'),
	'2|0|0', 'the pool is whole');
unlike(log_after($node, 0), qr/background worker .*pooler.* exited|was terminated by signal|PANIC/,
	'nothing has crashed');
$node->stop;
done_testing();
