# WireClient.pm
#
# A logged-in client that speaks the protocol byte by byte: it sends whatever
# it is told, in as many pieces as it is told, and many of them fit into one
# test script.  What libpq would hide, or never do, is done with these.

package WireClient;

use strict;
use warnings;

use Carp qw(croak);
use Exporter 'import';
use IO::Select;
use LoginClient ();
use PoolerTest qw(pooler_port);
use PostgreSQL::Test::Utils;
use Socket qw(SHUT_WR SOL_SOCKET SO_LINGER);
use Time::HiRes ();

our @EXPORT_OK = qw(
  m_bind
  m_close
  m_copy_data
  m_copy_done
  m_copy_fail
  m_describe
  m_execute
  m_flush
  m_parse
  m_query
  m_sync
  m_terminate
  message
);

use constant TIMEOUT => $PostgreSQL::Test::Utils::timeout_default;

#----------------------------------------------------------------------------
# messages of a client
#----------------------------------------------------------------------------

sub message
{
	my ($type, $body) = @_;
	return $type . pack('N', 4 + length $body) . $body;
}

sub m_query { return message('Q', "$_[0]\0") }
sub m_sync { return message('S', '') }
sub m_flush { return message('H', '') }
sub m_terminate { return message('X', '') }
sub m_copy_data { return message('d', $_[0]) }
sub m_copy_done { return message('c', '') }
sub m_copy_fail { return message('f', "$_[0]\0") }

# Portals and statements are named by their second argument, if at all.
sub m_parse
{
	my ($sql, $name) = @_;
	return message('P', ($name // '') . "\0$sql\0" . pack('n', 0));
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

# "S" for a statement, "P" for a portal.
sub m_describe { return message('D', $_[0] . ($_[1] // '') . "\0") }
sub m_close { return message('C', $_[0] . ($_[1] // '') . "\0") }

sub m_execute
{
	my ($portal, $rows) = @_;
	return message('E', ($portal // '') . "\0" . pack('N', $rows // 0));
}

#----------------------------------------------------------------------------
# the client
#----------------------------------------------------------------------------

# Connects and logs in (trust); dies if that fails.  Options: from (as for
# LoginClient, default "local"), port (default: the pooler's), role, database,
# and more parameters for the startup packet.
sub new
{
	my ($class, $node, %options) = @_;
	my $self = $class->start($node, %options);

	my @answer = $self->answer;
	croak "login failed: @answer" if ($answer[-1] // '') ne 'I';
	return $self;
}

# The same without waiting for the end of the login.
sub start
{
	my ($class, $node, %options) = @_;
	my $from = delete $options{from} // 'local';
	my $port = delete $options{port} // pooler_port($node);
	my %parameters = (role => 'postgres', database => 'postgres', %options);
	my $self = bless { buffer => '' }, $class;

	$self->{sock} = LoginClient::connect_from($from, $node->host, $port)
	  or croak "could not connect: $!";
	LoginClient::send_startup($self->{sock}, %parameters);
	return $self;
}

# Everything, however long the server takes to read it.  False if it has
# closed the connection.
sub send
{
	my ($self, @messages) = @_;
	my $bytes = join('', @messages);
	my $at = 0;
	local $SIG{PIPE} = 'IGNORE';

	while ($at < length $bytes)
	{
		my $n = syswrite($self->{sock}, $bytes, length($bytes) - $at, $at);
		return 0 unless defined $n;
		$at += $n;
	}
	return 1;
}

# As much as goes without waiting.  Returns how many bytes went.
sub send_some
{
	my ($self, $bytes) = @_;
	local $SIG{PIPE} = 'IGNORE';

	$self->{sock}->blocking(0);
	my $n = syswrite($self->{sock}, $bytes);
	$self->{sock}->blocking(1);
	return $n // 0;
}

# What is there already goes to the buffer; false at the end of the stream.
sub fill
{
	my ($self, $seconds) = @_;

	return 1 unless IO::Select->new($self->{sock})->can_read($seconds);
	return sysread($self->{sock}, $self->{buffer}, 1 << 18, length $self->{buffer}) ? 1 : 0;
}

# The next message as (type, body), or nothing at the end of the stream, or if
# none comes within that time (default: fail then).
sub read_message
{
	my ($self, $seconds) = @_;
	my $end = Time::HiRes::time() + ($seconds // TIMEOUT);

	while (1)
	{
		if (length $self->{buffer} >= 5)
		{
			my ($type, $len) = unpack('aN', $self->{buffer});
			if (length $self->{buffer} > $len)
			{
				my $body = substr($self->{buffer}, 5, $len - 4);
				substr($self->{buffer}, 0, $len + 1) = '';
				return ($type, $body);
			}
		}
		my $left = $end - Time::HiRes::time();
		if ($left <= 0)
		{
			croak 'the server did not answer' unless defined $seconds;
			return;
		}
		return unless $self->fill($left);
	}
}

# A message in one string; what matters of it.
my %short = (
	'1' => 'parsed',
	'2' => 'bound',
	'3' => 'closed',
	c => 'copy done',
	G => 'copy in',
	H => 'copy out',
	I => 'empty',
	n => 'no data',
	s => 'suspended',
	t => 'parameters',
	T => undef,
	K => undef,
	R => undef);

sub text_of
{
	my ($type, $body) = @_;

	return $short{$type} if exists $short{$type};
	return join('|', values_of($body)) if $type eq 'D';
	return $body =~ s/\0\z//r if $type eq 'C';
	return LoginClient::error_text($body) if $type eq 'E' || $type eq 'N';
	return $body if $type eq 'Z' || $type eq 'd';
	return join('=', split /\0/, $body) if $type eq 'S';
	return 'notify ' . join(' ', split /\0/, substr($body, 4)) if $type eq 'A';
	return $type;
}

sub values_of
{
	my ($body) = @_;
	my $n = unpack('n', $body);
	my $at = 2;
	my @values;

	for (1 .. $n)
	{
		my $len = unpack('l>', substr($body, $at, 4));
		push @values, $len < 0 ? 'NULL' : substr($body, $at + 4, $len);
		$at += 4 + ($len < 0 ? 0 : $len);
	}
	return @values;
}

# All that comes up to ReadyForQuery, whose status comes last, or up to the end
# of the stream, for which the last one is "eof", or up to a message of another
# type.  Rows are "a|b", ends of commands their tags, errors "ERROR 22012:
# text", parameters "name=value"; see above for the others.
sub answer
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

# One query and its answer, in one line.
sub query
{
	my ($self, $sql) = @_;
	$self->send(m_query($sql));
	return join(', ', $self->answer);
}

# The first column of the only row, or the error.
sub value
{
	my ($self, $sql) = @_;
	$self->send(m_query($sql));
	my @answer = $self->answer;
	my ($error) = grep { /^(ERROR|FATAL) / } @answer;
	return $error // $answer[0];
}

# Asks until the answer is the one that is wanted; false if it never is.
sub until
{
	my ($self, $sql, $wanted, $seconds) = @_;
	my $end = Time::HiRes::time() + ($seconds // TIMEOUT);
	my $last;

	do
	{
		$last = $self->value($sql);
		return 1 if $last eq $wanted;
		Time::HiRes::usleep(10_000);
	} until Time::HiRes::time() > $end;
	main::diag("timed out: $sql\nlast answer: $last, wanted: $wanted");
	return 0;
}

# Has anything come, within no time?
sub has_answer
{
	my ($self) = @_;
	$self->fill(0);
	return length $self->{buffer} > 0;
}

# Different ways to leave.
sub quit
{
	my ($self) = @_;
	$self->send(m_terminate());
	$self->hang_up;
}

sub hang_up
{
	my ($self) = @_;
	close $self->{sock} if $self->{sock};
	$self->{sock} = undef;
}

# As a crashed machine does it: TCP sends a reset.
sub reset
{
	my ($self) = @_;
	setsockopt($self->{sock}, SOL_SOCKET, SO_LINGER, pack('ii', 1, 0));
	$self->hang_up;
}

sub half_close
{
	my ($self) = @_;
	shutdown($self->{sock}, SHUT_WR);
}

1;
