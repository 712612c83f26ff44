# RawClient.pm
#
# A client of the pooler (or, with another port, of the server) that speaks the
# protocol message by message, so that a test decides which bytes are sent
# when, and sees which come back.

package RawClient;

use strict;
use warnings;

use Carp qw(croak);
use IO::Select;
use LoginClient ();
use PoolerTest ();
use Time::HiRes ();

use constant TIMEOUT => PoolerTest::TIMEOUT;

# A connected socket, on which nothing was sent.  Options: from ("local", or
# the address to connect from, "127.0.0.1"), port (the pooler's).
sub open
{
	my ($class, $node, %options) = @_;
	my $port = $options{port} // PoolerTest::pooler_port($node);
	my $from = $options{from} // '127.0.0.1';
	my $sock = LoginClient::connect_from($from, $node->host, $port)
	  or return undef;

	return bless {
		node => $node,
		from => $from,
		port => $port,
		sock => $sock,
		in => '',
		parameters => {},
		notices => [],
		notifications => []
	}, $class;
}

# A client that is logged in, without a password.  More options: role,
# database, and whatever else goes into the startup packet.
sub connect
{
	my ($class, $node, %options) = @_;
	my $self = $class->open($node, map { $_ => delete $options{$_} }
		  grep { exists $options{$_} } qw(from port))
	  or croak "cannot connect: $!";
	my $answer = $self->login(%options);

	croak "cannot log in: $answer" if $answer ne 'ok';
	return $self;
}

# Send a startup packet and read up to ReadyForQuery.  Returns "ok", the error
# in one line, "R<code>" for a request for a password, or "closed".
sub login
{
	my ($self, %options) = @_;

	$self->send_startup(%options);
	return $self->finish_login;
}

# Options: role, database, protocol (196608), and more parameters.
sub send_startup
{
	my ($self, %options) = @_;

	$self->send_raw(startup_packet(%options));
}

sub startup_packet
{
	my (%options) = @_;
	my $protocol = delete $options{protocol} // 3 << 16;
	my %parameters = (
		user => delete $options{role} // scalar getpwuid($<),
		database => 'postgres',
		%options);
	my $body = pack('N', $protocol)
	  . join('', map { "$_\0$parameters{$_}\0" }
		  grep { defined $parameters{$_} } sort keys %parameters) . "\0";

	return pack('N', 4 + length $body) . $body;
}

sub finish_login
{
	my ($self) = @_;

	while (my ($type, $body) = $self->read_message)
	{
		return 'ok' if $type eq 'Z';
		return $self->{error} = LoginClient::error_text($body) if $type eq 'E';
		$self->{key} = $body if $type eq 'K';
		$self->{negotiated} = $body if $type eq 'v';
		my $request = $type eq 'R' ? unpack('N', $body) : 0;
		return "R$request" if $request != 0 && $request != 12;
	}
	return 'closed';
}

# Bytes as they are.  False if the peer has closed.
sub send_raw
{
	my ($self, $bytes) = @_;
	local $SIG{PIPE} = 'IGNORE';

	while ($bytes ne '')
	{
		IO::Select->new($self->{sock})->can_write(TIMEOUT)
		  or croak 'the server does not read';
		my $written = syswrite($self->{sock}, $bytes);
		return 0 unless defined $written;
		substr($bytes, 0, $written) = '';
	}
	return 1;
}

sub message
{
	my ($type, $body) = @_;
	return $type . pack('N', 4 + length $body) . $body;
}

sub send
{
	my ($self, $type, $body) = @_;
	return $self->send_raw(message($type, $body // ''));
}

# Send a query and don't wait for its answer.
sub start
{
	my ($self, $sql) = @_;
	return $self->send('Q', "$sql\0");
}

# Read what is there until so many bytes are.  False at the end of the stream,
# dies if they don't come.
sub fill
{
	my ($self, $len, $seconds) = @_;
	my $end = Time::HiRes::time() + ($seconds // TIMEOUT);

	while (length $self->{in} < $len)
	{
		my $left = $end - Time::HiRes::time();
		croak 'the server did not answer' if $left <= 0;
		# a child's end may interrupt it
		IO::Select->new($self->{sock})->can_read($left) or next;
		sysread($self->{sock}, $self->{in}, 65536, length $self->{in})
		  or return 0;
	}
	return 1;
}

# The next message as (type, body), or nothing at the end of the stream.  What
# a server may send at any time is kept aside: parameters, notices,
# notifications.
sub read_message
{
	my ($self, $seconds) = @_;

	while ($self->fill(5, $seconds))
	{
		my ($type, $len) = unpack('aN', $self->{in});
		$self->fill(1 + $len, $seconds) or return;
		my $body = substr($self->{in}, 5, $len - 4);
		substr($self->{in}, 0, 1 + $len) = '';

		if ($type eq 'S')
		{
			my ($name, $value) = split /\0/, $body;
			$self->{parameters}{$name} = $value // '';
		}
		elsif ($type eq 'N')
		{
			push @{ $self->{notices} }, LoginClient::error_text($body);
		}
		elsif ($type eq 'A')
		{
			push @{ $self->{notifications} }, $body;
		}
		else
		{
			return ($type, $body);
		}
	}
	return;
}

# All bytes up to the end of the stream.
sub rest
{
	my ($self) = @_;
	while ($self->fill(1 + length $self->{in})) { }
	return $self->{in};
}

# Everything up to ReadyForQuery as { rows, tags, errors, status, types }: rows
# are references to arrays, types a string of the messages' types.  Without a
# status the server has closed the connection.
sub finish
{
	my ($self, $seconds) = @_;
	my $result = { rows => [], tags => [], errors => [], types => '' };

	while (my ($type, $body) = $self->read_message($seconds))
	{
		$result->{types} .= $type;
		if ($type eq 'D')
		{
			push @{ $result->{rows} }, row($body);
		}
		elsif ($type eq 'C')
		{
			push @{ $result->{tags} }, $body =~ s/\0//r;
		}
		elsif ($type eq 'E')
		{
			push @{ $result->{errors} }, LoginClient::error_text($body);
		}
		elsif ($type eq 'Z')
		{
			$result->{status} = $body;
			last;
		}
	}
	return $result;
}

sub row
{
	my ($body) = @_;
	my $columns = unpack('n', $body);
	my $at = 2;
	my @values;

	for (1 .. $columns)
	{
		my $len = unpack('l>', substr($body, $at, 4));
		$at += 4;
		push @values, $len < 0 ? undef : substr($body, $at, $len);
		$at += $len if $len > 0;
	}
	return \@values;
}

# The answer to what was sent before as text: rows as psql -At shows them, then
# errors, then "closed" if the connection is.
sub answer
{
	my ($self, $seconds) = @_;
	my $result = $self->finish($seconds);

	return join(
		"\n",
		(map { join('|', map { $_ // '' } @$_) } @{ $result->{rows} }),
		@{ $result->{errors} },
		(defined $result->{status} ? () : 'closed'));
}

# Send a query and return its answer.
sub ask
{
	my ($self, $sql, $seconds) = @_;

	$self->start($sql) or return 'closed';
	return $self->answer($seconds);
}

# Is there anything to read?  (Also the end of the stream.)
sub readable
{
	my ($self, $seconds) = @_;
	return $self->{in} ne ''
	  || scalar IO::Select->new($self->{sock})->can_read($seconds // 0);
}

# Wait for the end of the stream.  True if nothing was sent before.
sub at_end
{
	my ($self, $seconds) = @_;
	return !$self->fill(1, $seconds);
}

# Send a CancelRequest on a connection of its own, and wait until the server
# has closed it, that is: has dealt with it.
sub cancel
{
	my ($self, $key) = @_;
	my $other = RawClient->open($self->{node},
		from => $self->{from}, port => $self->{port})
	  or croak "cannot connect: $!";

	$key //= $self->{key};
	$other->send_raw(pack('NN', 8 + length $key, 80877102) . $key);
	my $silent = $other->at_end;
	$other->close;
	return $silent;
}

# Take leave, as a client should.
sub quit
{
	my ($self) = @_;

	$self->send('X');
	$self->close;
}

# Just hang up.
sub close
{
	my ($self) = @_;
	CORE::close($self->{sock});
}

1;
