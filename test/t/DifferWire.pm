# DifferWire.pm
#
# What a step of a differential test is made of: operations as Perl data, the
# bytes that they become, a client that sends them and keeps every message that
# comes back, and messages as text for a reader.
#
# An operation is a string, which is a simple query, or one of
#
#	[P => name, sql, type...]			Parse; types are OIDs
#	[D => 'S' or 'P', name]				Describe
#	[B => portal, name, [value...], [format of value...], [format of result...]]
#	[E => portal, rows]					Execute
#	[C => 'S' or 'P', name]				Close
#	['S']								Sync
#	[H => types]						Flush; the step ends with a message of one
#										of these types, or with an error
#	[d => data], ['c'], [f => text]		CopyData, CopyDone, CopyFail
#	[F => oid, value...]				FunctionCall; in text, result in text
#	[connect => %startup], ['quit']		come or go; alone in their step
#	[await => types]					read up to a message of these types
#	[raw => bytes, count]				bytes as they are, and how many
#										ReadyForQuery answer them

package DifferWire;

use strict;
use warnings;

use Data::Dumper ();
use Exporter 'import';
use LoginClient ();
use RawClient ();
use Socket qw(SOL_SOCKET SO_RCVTIMEO SO_SNDTIMEO);

our @EXPORT_OK = qw(dump_value message_text step_text);

#----------------------------------------------------------------------------
# operations
#----------------------------------------------------------------------------

sub values_of
{
	return pack('n', scalar @_)
	  . join('', map { defined $_ ? pack('N/a*', $_) : pack('N', 0xffffffff) } @_);
}

sub formats_of
{
	my ($formats) = @_;
	return pack('n n*', scalar @{ $formats // [] }, @{ $formats // [] });
}

my %body_of = (
	Q => sub { "$_[0]\0" },
	P => sub { my ($name, $sql, @types) = @_;
		"$name\0$sql\0" . pack('n N*', scalar @types, @types) },
	D => sub { "$_[0]$_[1]\0" },
	B => sub { my ($portal, $name, $values, $in, $out) = @_;
		"$portal\0$name\0" . formats_of($in) . values_of(@{ $values // [] })
		  . formats_of($out) },
	E => sub { "$_[0]\0" . pack('N', $_[1] // 0) },
	C => sub { "$_[0]$_[1]\0" },
	S => sub { '' },
	H => sub { '' },
	d => sub { $_[0] },
	c => sub { '' },
	f => sub { "$_[0]\0" },
	F => sub { my ($oid, @values) = @_;
		pack('N', $oid) . formats_of([]) . values_of(@values) . pack('n', 0) });

sub bytes_of
{
	my ($op) = @_;
	my ($type, @rest) = ref $op ? @$op : (Q => $op);

	return $rest[0] if $type eq 'raw';
	return RawClient::message($type, $body_of{$type}->(@rest));
}

# What answers the operations of a step: so many ReadyForQuery, or if none, a
# message of one of these types.  A 'Q' after an error and before a Sync would
# be skipped, so a step should not have that.
sub end_of
{
	my (@ops) = @_;
	my $count = 0;

	for my $op (@ops)
	{
		my $type = ref $op ? $op->[0] : 'Q';
		$count += $type eq 'raw' ? $op->[2] : $type =~ /^[QSF]$/ ? 1 : 0;
	}
	my $last = ref $ops[-1] ? $ops[-1] : ['Q'];
	return ($count, $last->[0] =~ /^(H|await)$/ ? $last->[1] : '');
}

#----------------------------------------------------------------------------
# the client
#----------------------------------------------------------------------------

# A connected client that has not logged in yet, or undef.
sub new
{
	my ($class, $dir, $port, $seconds) = @_;
	my $sock = LoginClient::connect_from('local', $dir, $port) or return undef;
	my $timeout = pack('l!l!', int $seconds, ($seconds - int $seconds) * 1e6);

	setsockopt($sock, SOL_SOCKET, $_, $timeout) for SO_RCVTIMEO, SO_SNDTIMEO;
	return bless { sock => $sock, in => '' }, $class;
}

sub send_bytes
{
	my ($self, $bytes) = @_;
	local $SIG{PIPE} = 'IGNORE';

	while ($bytes ne '')
	{
		my $written = syswrite($self->{sock}, $bytes) or return;
		substr($bytes, 0, $written) = '';
	}
}

# Messages as [type, body], up to the last of so many ReadyForQuery, or without
# a number to one of the types.  If it does not come, the last one is ['eof'] or
# ['silence'].
sub receive
{
	my ($self, $count, $types) = @_;
	my @messages;

	while (1)
	{
		while (length $self->{in} >= 5)
		{
			my ($type, $len) = unpack('aN', $self->{in});
			last if length $self->{in} <= $len;
			my $body = substr($self->{in}, 5, $len - 4);
			substr($self->{in}, 0, 1 + $len) = '';
			push @messages, [ $type, $body ];
			$self->{pid} = unpack('N', $body) if $type eq 'K';
			return @messages
			  if $count ? $type eq 'Z' && !--$count
			  : ($type eq 'E' || index($types, $type) >= 0);
		}
		my $n = sysread($self->{sock}, $self->{in}, 65536, length $self->{in});
		next if $n;
		return (@messages, [ defined $n || $!{ECONNRESET} ? 'eof' : 'silence' ]);
	}
}

sub log_in
{
	my ($self, %startup) = @_;

	$self->send_bytes(RawClient::startup_packet(%startup));
	return $self->receive(0, 'Z');
}

# A step but connect and quit.
sub run
{
	my ($self, @ops) = @_;

	$self->send_bytes(join('', map { bytes_of($_) } grep { !is_await($_) } @ops));
	return $self->receive(end_of(@ops));
}

sub is_await { return ref $_[0] && $_[0][0] eq 'await' }

sub quit
{
	my ($self) = @_;

	$self->send_bytes(RawClient::message('X', ''));
	$self->close;
}

sub close
{
	my ($self) = @_;
	CORE::close($self->{sock});
}

#----------------------------------------------------------------------------
# for a reader
#----------------------------------------------------------------------------

# Data as Perl source in one line.
sub dump_value
{
	my ($value) = @_;
	my $text = Data::Dumper->new([$value])->Terse(1)->Indent(0)->Sortkeys(1);
	my $source = $text->Useqq(0)->Dump;

	return $source =~ /[^\x20-\x7e]/ ? $text->Reset->Useqq(1)->Dump : $source;
}

# A step as source, such as a named case has.
sub step_text
{
	my ($client, @ops) = @{ $_[0] };
	return "[ $client, " . join(', ', map { dump_value($_) } @ops) . ' ],';
}

sub columns
{
	my ($body) = @_;
	my ($count, $rest) = unpack('na*', $body);
	my @columns;

	for (1 .. $count)
	{
		my ($name, @numbers) = unpack('Z*NnNnl>n', $rest);
		push @columns, "$name(" . join(' ', @numbers) . ')';
		$rest = substr($rest, length($name) + 1 + 18);
	}
	return join(', ', @columns);
}

my %name_of = (
	1 => 'ParseComplete', 2 => 'BindComplete', 3 => 'CloseComplete',
	c => 'CopyDone', G => 'CopyIn', H => 'CopyOut', I => 'EmptyQuery', n => 'NoData',
	s => 'PortalSuspended');
my %text_of = (
	A => sub { my ($pid, $channel, $payload) = unpack('a4Z*Z*', $_[0]);
		"Notification from $pid: $channel, $payload" },
	C => sub { $_[0] =~ s/\0//r },
	D => sub { 'Row ' . join('|', map { $_ // 'NULL' } @{ RawClient::row($_[0]) }) },
	K => sub { 'Key ' . unpack('H*', $_[0]) },
	R => sub { 'Authentication ' . unpack('N', $_[0]) },
	S => sub { 'Parameter ' . join('=', split /\0/, $_[0]) },
	T => sub { 'Columns ' . columns($_[0]) },
	V => sub { 'Result ' . unpack('H*', $_[0]) },
	Z => sub { "Ready $_[0]" },
	d => sub { "CopyData $_[0]" },
	t => sub { 'Parameters ' . join(' ', unpack('x2N*', $_[0])) });

# One message in one line.
sub message_text
{
	my ($type, $body) = @{ $_[0] };
	my $text = $name_of{$type}
	  // ($type =~ /^[EN]$/ ? join(' ', $type, map { s/^(.)/$1:/r } split /\0/, $body)
		: $text_of{$type} ? $text_of{$type}->($body)
		: defined $body ? "$type $body" : $type);
	return $text =~ s/([^\x20-\x7e])/sprintf '\\x%02x', ord $1/ger;
}

1;
