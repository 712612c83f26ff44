# LoginClient.pm
#
# A client that does nothing but log in, from any address of this machine, and
# tells what the server answered.  libpq can neither choose its own address nor
# stop at the first request for a password, nor lie about what it was offered.

package LoginClient;

use strict;
use warnings;

use Digest::MD5 qw(md5_hex);
use Digest::SHA qw(hmac_sha256 sha256);
use Exporter 'import';
use IO::Select;
use MIME::Base64 qw(decode_base64 encode_base64);
use Socket qw(:DEFAULT inet_pton IPPROTO_TCP);

our @EXPORT_OK = qw(connect_from dialogue login_answer send_message start_tls);

use constant TIMEOUT => $ENV{PG_TEST_TIMEOUT_DEFAULT} || 180;

# Connect to a port of the server: $from is "local" for the socket in $dir, or
# one of this machine's loopback addresses.
sub connect_from
{
	my ($from, $dir, $port) = @_;
	my ($sock, $here, $there);

	if ($from eq 'local')
	{
		socket($sock, AF_UNIX, SOCK_STREAM, 0) or die "socket: $!";
		$there = pack_sockaddr_un("$dir/.s.PGSQL.$port");
	}
	elsif ($from =~ /:/)
	{
		socket($sock, AF_INET6, SOCK_STREAM, 0) or die "socket: $!";
		$here = Socket::pack_sockaddr_in6(0, inet_pton(AF_INET6, $from));
		$there = Socket::pack_sockaddr_in6($port, inet_pton(AF_INET6, '::1'));
	}
	else
	{
		socket($sock, AF_INET, SOCK_STREAM, 0) or die "socket: $!";
		$here = pack_sockaddr_in(0, inet_aton($from));
		$there = pack_sockaddr_in($port, inet_aton('127.0.0.1'));
	}
	bind($sock, $here) or die "cannot bind to $from: $!" if defined $here;
	connect($sock, $there) or return undef;
	return $sock;
}

# Ask for TLS on a connected socket.  Returns the socket to go on with, or what
# has gone wrong.  Options of IO::Socket::SSL, which is loaded here because
# most tests don't need it.
sub start_tls
{
	my ($sock, %options) = @_;

	require IO::Socket::SSL;
	send_message($sock, '', pack('N', 80877103));
	my $answer = read_bytes($sock, 1) // return 'closed';
	return "TLS: $answer" if $answer ne 'S';
	return IO::Socket::SSL->start_SSL(
		$sock,
		SSL_verify_mode => IO::Socket::SSL::SSL_VERIFY_NONE(),
		%options) || "TLS: $IO::Socket::SSL::SSL_ERROR";
}

sub is_tls
{
	my ($sock) = @_;
	return ref $sock eq 'IO::Socket::SSL';
}

sub send_message
{
	my ($sock, $type, $body) = @_;
	local $SIG{PIPE} = 'IGNORE';
	syswrite($sock, $type . pack('N', 4 + length $body) . $body);
}

sub read_bytes
{
	my ($sock, $len) = @_;
	my $bytes = '';

	while (length $bytes < $len)
	{
		if (!(is_tls($sock) && $sock->pending)
			&& !IO::Select->new($sock)->can_read(TIMEOUT))
		{
			next if $!{EINTR};	# a child has ended
			die "the server did not answer";
		}
		sysread($sock, $bytes, $len - length $bytes, length $bytes)
		  or return undef;
	}
	return $bytes;
}

# The next message as (type, body), or nothing at the end of the stream.
sub read_message
{
	my ($sock) = @_;
	my $head = read_bytes($sock, 5);

	return unless defined $head;
	my ($type, $len) = unpack('aN', $head);
	my $body = read_bytes($sock, $len - 4);
	return unless defined $body;
	return ($type, $body);
}

sub error_text
{
	my ($body) = @_;
	my %field = map { substr($_, 0, 1) => substr($_, 1) } split /\0/, $body;

	return join(' ',
		$field{S}, "$field{C}:", $field{M},
		(defined $field{D} ? "DETAIL: $field{D}" : ()),
		(defined $field{H} ? "HINT: $field{H}" : ()));
}

sub pbkdf2
{
	my ($password, $salt, $iterations) = @_;
	my $u = hmac_sha256($salt . pack('N', 1), $password);
	my $result = $u;

	for (2 .. $iterations)
	{
		$u = hmac_sha256($u, $password);
		$result ^= $u;
	}
	return $result;
}

my %pbkdf2_cache;

# The hash of the server's certificate, as channel binding wants it for one
# that was signed with SHA-256.
sub certificate_hash
{
	my ($sock) = @_;
	my $hash = Net::SSLeay::X509_get_fingerprint($sock->peer_certificate, 'sha256');
	return pack('H*', $hash =~ tr/://dr);
}

# How a client begins SCRAM, as (mechanism, GS2 header, binding), or nothing if
# it does not begin.  "offered" is what the server has; "binding" is
#
#	prefer		as libpq does without further instructions
#	disable		never
#	require		or not at all
#	downgraded	it can, but believes that the server can't
#	denied		it says that it can't
#	forged		of another certificate
#	plain_plus	the mechanism with binding, but without
#	tls_unique	of another kind
#	no_plus		the mechanism without binding, but with
sub scram_begin
{
	my ($sock, $binding, $offered) = @_;
	my $plus = grep { $_ eq 'SCRAM-SHA-256-PLUS' } @$offered;
	my $header = 'p=tls-server-end-point,,';
	my %choice = (
		disable => [ 'SCRAM-SHA-256', 'n,,', '' ],
		denied => [ 'SCRAM-SHA-256', 'n,,', '' ],
		downgraded => [ 'SCRAM-SHA-256', 'y,,', '' ],
		plain_plus => [ 'SCRAM-SHA-256-PLUS', 'n,,', '' ],
		tls_unique => [ 'SCRAM-SHA-256-PLUS', 'p=tls-unique,,', 'x' x 12 ],
		no_plus => [ 'SCRAM-SHA-256', $header, 'x' x 32 ],
		forged => [ 'SCRAM-SHA-256-PLUS', $header, 'x' x 32 ]);

	return @{ $choice{$binding} } if $choice{$binding};
	return ('SCRAM-SHA-256-PLUS', $header, certificate_hash($sock)) if $plus;
	return if $binding eq 'require';
	return @{ $choice{ is_tls($sock) ? 'downgraded' : 'denied' } };
}

# The client's side of SCRAM, up to the point where the server has said what it
# thinks.  Returns that message.
sub scram
{
	my ($sock, $password, $binding, $offered) = @_;
	my ($mechanism, $header, $bound) = scram_begin($sock, $binding, $offered)
	  or return ('client', 'channel binding is not offered');
	my $first = 'n=,r=' . encode_base64(join('', map { chr rand 256 } 1 .. 18), '');
	my $initial = "$header$first";

	send_message($sock, 'p',
		"$mechanism\0" . pack('N', length $initial) . $initial);
	my ($type, $body) = read_message($sock);
	return ($type, $body) if ($type // '') ne 'R' || unpack('N', $body) != 11;

	my $challenge = substr($body, 4);
	my ($nonce, $salt, $iterations) = $challenge =~ /^r=([^,]+),s=([^,]+),i=(\d+)$/
	  or die "unexpected challenge: $challenge";
	my $salted = $pbkdf2_cache{"$password,$salt,$iterations"} //=
	  pbkdf2($password, decode_base64($salt), $iterations);
	my $client_key = hmac_sha256('Client Key', $salted);
	my $final = 'c=' . encode_base64("$header$bound", '') . ",r=$nonce";
	my $signed = "$first,$challenge,$final";
	my $proof = $client_key ^ hmac_sha256($signed, sha256($client_key));

	send_message($sock, 'p', "$final,p=" . encode_base64($proof, ''));
	($type, $body) = read_message($sock);
	return ($type, $body) if ($type // '') ne 'R' || unpack('N', $body) != 12;

	my $signature = hmac_sha256($signed, hmac_sha256('Server Key', $salted));
	die "the server's signature is wrong"
	  if substr($body, 4) ne 'v=' . encode_base64($signature, '');
	return read_message($sock);
}

# Answer a request for a password, and return the next message.
sub give_password
{
	my ($sock, $request, $extra, $role, $password, $binding) = @_;

	return scram($sock, $password, $binding, [ split /\0/, $extra ])
	  if $request == 10;
	return ('client', 'channel binding is not offered') if $binding eq 'require';

	$password = 'md5' . md5_hex(md5_hex($password . $role) . $extra)
	  if $request == 5;
	send_message($sock, 'p', "$password\0");
	return read_message($sock);
}

# Options: role, database, and anything else for the packet.
sub send_startup
{
	my ($sock, %options) = @_;
	my %parameters = (user => delete $options{role}, %options);

	delete $parameters{database} if $parameters{database} eq '';
	send_message($sock, '',
		pack('N', 3 << 16)
		  . join('', map { "$_\0$parameters{$_}\0" } sort keys %parameters)
		  . "\0");
}

# Send a startup packet and carry the login through on a connected socket.
# Without a password, stops when asked for one.  Returns the answer in one
# line:
#
#	ok							ready for queries
#	R<code> [mechanisms]		the password that is asked for
#	FATAL <sqlstate>: <message> and DETAIL and HINT, if any
#	client: <reason>			it is the client that does not go on
#	closed						the server closed the connection
#
# "binding" is that of scram_begin(); to the list "seen" are added the
# requests for passwords that were met on the way.
sub login
{
	my ($sock, %options) = @_;
	my $password = delete $options{password};
	my $binding = delete $options{binding} // 'prefer';
	my $seen = delete $options{seen} // [];
	my $role = $options{role};

	send_startup($sock, %options);
	my ($type, $body) = read_message($sock);
	while (defined $type)
	{
		return error_text($body) if $type eq 'E';
		return "client: $body" if $type eq 'client';
		return 'ok' if $type eq 'Z';
		if ($type eq 'R' && (my $request = unpack('N', $body)) != 0)
		{
			my $extra = substr($body, 4);
			push @$seen, answer_text($type, $body);
			if (!defined $password)
			{
				$extra = $request == 10 ? ' ' . join(' ', split /\0/, $extra) : '';
				return "R$request$extra";
			}
			($type, $body) =
			  give_password($sock, $request, $extra, $role, $password, $binding);
			next;
		}
		($type, $body) = read_message($sock);
	}
	return 'closed';
}

# Send a startup packet, then each of these raw messages when the server has
# answered the one before.  Returns all the answers in one line.
sub dialogue
{
	my ($from, $dir, $port, $options, @messages) = @_;
	my $sock = connect_from($from, $dir, $port) or die "cannot connect: $!";
	my @answers;

	send_startup($sock, %$options);
	while (my ($type, $body) = read_message($sock))
	{
		push @answers, answer_text($type, $body);
		last if $type ne 'R' || !@messages;
		syswrite($sock, shift @messages);
	}
	push @answers, 'closed' if @messages;
	close $sock;
	return join(', ', @answers);
}

sub answer_text
{
	my ($type, $body) = @_;

	return error_text($body) if $type eq 'E';
	return $type if $type ne 'R';
	my ($request, $extra) = unpack('Na*', $body);
	$extra =~ s/r=[^,]*/r=<nonce>/ if $request == 11;
	$extra = '<salt>' if $request == 5;
	return "R$request" . ($extra eq '' ? '' : ' ' . $extra =~ s/\0+/ /gr);
}

# All of it in one call: connect, log in, close.  "tls" has the options of
# start_tls().
sub login_answer
{
	my ($from, $dir, $port, %options) = @_;
	my $tls = delete $options{tls};
	my $sock = connect_from($from, $dir, $port);

	return "cannot connect: $!" unless defined $sock;
	$sock = start_tls($sock, %$tls) if $tls;
	return $sock unless ref $sock;
	my $answer = login($sock, %options);
	send_message($sock, 'X', '') if $answer eq 'ok';
	close $sock;
	return $answer;
}

1;
