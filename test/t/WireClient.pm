# WireClient.pm
#
# A RawClient that is logged in and works: messages of the extended protocol
# and of COPY, in as many pieces and batches as a test likes, and answers as
# lists of texts in the order in which they came.

package WireClient;

use strict;
use warnings;

use Exporter 'import';
use IO::Select;
use LoginClient ();
use PoolerTest ();
use RawClient ();
use Socket qw(SHUT_WR SOL_SOCKET SO_LINGER);
use Time::HiRes ();

our @ISA = ('RawClient');
our @EXPORT_OK = qw(
  exchange
  m_bind
  m_close
  m_copy_data
  m_copy_done
  m_copy_fail
  m_execute
  m_flush
  m_parse
  m_query
  m_sync
  m_terminate
  message
);

use constant TIMEOUT => PoolerTest::TIMEOUT;

#----------------------------------------------------------------------------
# messages of a client
#----------------------------------------------------------------------------

*message = \&RawClient::message;

sub m_query { return message('Q', "$_[0]\0") }
sub m_sync { return message('S', '') }
sub m_flush { return message('H', '') }
sub m_terminate { return message('X', '') }
sub m_copy_data { return message('d', $_[0]) }
sub m_copy_done { return message('c', '') }
sub m_copy_fail { return message('f', "$_[0]\0") }

# Types of parameters by their OIDs; the server finds out about the others.
sub m_parse
{
	my ($sql, $statement, @types) = @_;
	return message('P',
		($statement // '') . "\0$sql\0" . pack('n N*', scalar @types, @types));
}

# Parameters and results in text.
sub m_bind
{
	my ($statement, $values, $portal) = @_;
	return message('B',
		($portal // '') . "\0" . ($statement // '') . "\0"
		  . pack('n n', 0, scalar @{ $values // [] })
		  . join('', map { pack('N/a*', $_) } @{ $values // [] })
		  . pack('n', 0));
}

sub m_execute
{
	my ($portal, $rows) = @_;
	return message('E', ($portal // '') . "\0" . pack('N', $rows // 0));
}

# "S" for a statement, "P" for a portal.
sub m_close { return message('C', $_[0] . ($_[1] // '') . "\0") }

#----------------------------------------------------------------------------
# the client
#----------------------------------------------------------------------------

# Connects and logs in, by the Unix socket unless told otherwise; options as
# for RawClient->connect().
sub new
{
	my ($class, $node, %options) = @_;
	return $class->connect($node, from => 'local', %options);
}

sub put
{
	my ($self, @messages) = @_;
	return $self->send_raw(join('', @messages));
}

# As RawClient, but nothing is kept aside: order matters here.
sub read_message
{
	my ($self, $seconds) = @_;

	$self->fill(5, $seconds) or return;
	my ($type, $len) = unpack('aN', $self->{in});
	$self->fill(1 + $len, $seconds) or return;
	my $body = substr($self->{in}, 5, $len - 4);
	substr($self->{in}, 0, 1 + $len) = '';
	$self->{key} = $body if $type eq 'K';
	return ($type, $body);
}

# What a message says in one string; undef if it does not matter.
my %short = (
	'1' => 'parsed',
	'2' => 'bound',
	'3' => 'closed',
	c => 'copy done',
	G => 'copy in',
	H => 'copy out',
	I => 'empty',
	s => 'suspended',
	T => undef);

sub text_of
{
	my ($type, $body) = @_;

	return $short{$type} if exists $short{$type};
	return join('|', map { $_ // 'NULL' } @{ RawClient::row($body) })
	  if $type eq 'D';
	return LoginClient::error_text($body) if $type eq 'E' || $type eq 'N';
	return join('=', split /\0/, $body) if $type eq 'S';
	return $body =~ s/\0\z//r if $type eq 'C';
	return $body if $type eq 'Z' || $type eq 'd';
	return $type;
}

# All that comes up to ReadyForQuery (or a message of another type), whose
# status comes last, or up to the end of the stream, for which the last one is
# "eof".  Rows are "a|b", ends of commands their tags, errors and notices
# "ERROR 22012: text", parameters "name=value"; others see above.
sub replies
{
	my ($self, $until) = @_;
	my @texts;

	while (my ($type, $body) = $self->read_message)
	{
		my $text = text_of($type, $body);
		push @texts, $text if defined $text;
		return @texts if $type eq ($until // 'Z');
	}
	return (@texts, 'eof');
}

# The same in one line.
sub reply
{
	my ($self, $until) = @_;
	return join(', ', $self->replies($until));
}

sub query
{
	my ($self, $sql) = @_;
	$self->put(m_query($sql));
	return $self->reply;
}

# The first row, or the error.
sub value
{
	my ($self, $sql) = @_;
	$self->put(m_query($sql));
	my @replies = $self->replies;
	my ($error) = grep { /^(ERROR|FATAL) / } @replies;
	return $error // $replies[0];
}

# Asks until the answer is the one that is wanted; false if it never is.
sub until
{
	my ($self, $sql, $wanted, $seconds) = @_;
	my $end = Time::HiRes::time() + ($seconds // TIMEOUT);
	my $last;

	while (1)
	{
		$last = $self->value($sql);
		return 1 if $last eq $wanted;
		last if Time::HiRes::time() > $end;
		Time::HiRes::usleep(10_000);
	}
	Test::More::diag("timed out: $sql\nlast answer: $last, wanted: $wanted");
	return 0;
}

# Takes [client, bytes] pairs, sends each client's bytes and reads its answer,
# all at the same time and in whatever order they come.  Returns the answers,
# each a reference to what replies() would have returned.
sub exchange
{
	my (@pairs) = @_;
	my $end = Time::HiRes::time() + TIMEOUT;
	my @left = @pairs = map { { client => $_->[0], out => $_->[1] } } @pairs;
	local $SIG{PIPE} = 'IGNORE';

	$_->{client}{sock}->blocking(0) for @pairs;
	while (@left && Time::HiRes::time() < $end)
	{
		my %of = map { fileno($_->{client}{sock}) => $_ } @left;
		my ($readable, $writable) = IO::Select->select(
			IO::Select->new(map { $_->{client}{sock} } @left),
			IO::Select->new(map { $_->{client}{sock} } grep { $_->{out} ne '' } @left),
			undef, 1);
		for my $sock (@{ $writable // [] })
		{
			my $written = syswrite($sock, $of{ fileno $sock }{out});
			substr($of{ fileno $sock }{out}, 0, $written) = '' if $written;
		}
		for my $sock (@{ $readable // [] })
		{
			my $client = $of{ fileno $sock }{client};
			my $n = sysread($sock, $client->{in}, 1 << 20, length $client->{in});
			$of{ fileno $sock }{done} = 1
			  if !$n || substr($client->{in}, -6, 5) eq "Z\0\0\0\5";
		}
		@left = grep { !$_->{done} } @left;
	}
	$_->{client}{sock}->blocking(1) for @pairs;
	return map { [ $_->{done} ? $_->{client}->replies : 'no answer' ] } @pairs;
}

# Different ways to leave; see also quit() and close().
sub reset
{
	my ($self) = @_;
	setsockopt($self->{sock}, SOL_SOCKET, SO_LINGER, pack('ii', 1, 0));
	$self->close;
}

sub half_close
{
	my ($self) = @_;
	shutdown($self->{sock}, SHUT_WR);
}

1;
