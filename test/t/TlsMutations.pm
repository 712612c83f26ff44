# TlsMutations.pm
#
# Clients that mean harm, or are broken, and come by TLS: records and messages
# of the handshake changed at random, left at any byte, or sent when they make
# no sense; and inside TLS that is sound, logins and sessions as in
# Mutations.pm.  Nothing here looks at answers, but for what comes next.
#
# Net::SSLeay encrypts in memory, so that each record can be changed on its way.

package TlsMutations;

use strict;
use warnings;

use Exporter 'import';
use IO::Select;
use LoginClient ();
use Mutations ();
use PoolerTest ();
use RawClient ();
use Time::HiRes qw(sleep time);
use WireClient qw(m_query m_terminate);

our @EXPORT_OK = qw(attack possible);

# How long an answer is waited for if there should be one.
use constant PATIENCE => 2;

use constant {
	CHANGE_CIPHER_SPEC => 20,
	ALERT => 21,
	HANDSHAKE => 22,
	DATA => 23
};

*any = \&Mutations::any;
*chance = \&Mutations::chance;
*garbage = \&Mutations::garbage;

sub possible
{
	return eval { require IO::Socket::SSL; Net::SSLeay::initialize(); 1 };
}

#----------------------------------------------------------------------------
# a client whose records pass through our hands
#----------------------------------------------------------------------------

my %contexts;

# Options: version ("1.2", "1.3"), certificate (a name of TlsTest's), ca, curve.
sub context
{
	my (%options) = @_;
	my $key = join ' ', map { $options{$_} // '' } qw(version certificate curve);

	return $contexts{$key} //= do {
		my $context = Net::SSLeay::CTX_new_with_method(Net::SSLeay::TLS_client_method());
		my $version = { '1.2' => 0x303, '1.3' => 0x304 }->{ $options{version} // '' };
		if ($version)
		{
			Net::SSLeay::CTX_set_min_proto_version($context, $version);
			Net::SSLeay::CTX_set_max_proto_version($context, $version);
		}
		Net::SSLeay::CTX_set1_curves_list($context, $options{curve}) if $options{curve};
		if ($options{certificate})
		{
			Net::SSLeay::CTX_use_certificate_chain_file($context,
				$options{ca}->file("$options{certificate}.crt"));
			Net::SSLeay::CTX_use_PrivateKey_file($context,
				$options{ca}->file("$options{certificate}.key"), 1);
		}
		$context;
	};
}

# More options: direct (no SSLRequest), alpn, patience (seconds).
sub new
{
	my ($class, $node, %options) = @_;
	my $self = bless { %options, in => '', sent => 0 }, $class;

	$self->{sock} = LoginClient::connect_from('127.0.0.1', $node->host, PoolerTest::pooler_port($node))
	  or die "connect: $!";
	$self->{sock}->blocking(0);
	$self->{ssl} = Net::SSLeay::new(context(%options));
	$self->{from_net} = Net::SSLeay::BIO_new(Net::SSLeay::BIO_s_mem());
	$self->{to_net} = Net::SSLeay::BIO_new(Net::SSLeay::BIO_s_mem());
	Net::SSLeay::set_bio($self->{ssl}, $self->{from_net}, $self->{to_net});
	Net::SSLeay::set_connect_state($self->{ssl});
	my @alpn = $options{alpn} ? @{ $options{alpn} } : $options{direct} ? 'postgresql' : ();
	Net::SSLeay::set_alpn_protos($self->{ssl}, \@alpn) if @alpn;
	return $self;
}

sub DESTROY
{
	my ($self) = @_;

	# frees the BIOs as well
	Net::SSLeay::free(delete $self->{ssl}) if $self->{ssl};
}

# Something that comes, within a while; undef at the end of the stream.
sub receive
{
	my ($self, $seconds) = @_;

	$seconds //= $self->{patience} // ($self->{change} ? 0.3 : PATIENCE);
	IO::Select->new($self->{sock})->can_read($seconds) or return '';
	my $n = sysread($self->{sock}, my $bytes, 65536);
	return $bytes if $n;
	return !defined $n && $!{EAGAIN} ? '' : undef;
}

# Not longer than a moment: the server need not read.  What it says is kept.
sub write_some
{
	my ($self, $bytes) = @_;
	my $end = time + 0.5;

	while ($bytes ne '' && time < $end)
	{
		next unless IO::Select->new($self->{sock})->can_write(0.1);
		my $n = syswrite($self->{sock}, $bytes);
		return 0 if !defined $n && !$!{EAGAIN};
		substr($bytes, 0, $n // 0) = '';
	}
	return $bytes eq '';
}

# False if the server will not have it, or if we have said enough.
sub send_bytes
{
	my ($self, $bytes) = @_;
	my $rest = defined $self->{cut} ? $self->{cut} - $self->{sent} : length $bytes;

	$self->{sent} += length $bytes;
	return $self->write_some(substr($bytes, 0, $rest > 0 ? $rest : 0)) && length $bytes <= $rest;
}

sub request_tls
{
	my ($self) = @_;

	return 1 if $self->{direct};
	$self->send_bytes(pack('NN', 8, 80877103)) or return 0;
	return ($self->receive // '') eq 'S';
}

# What OpenSSL wants to send, record by record.
sub records
{
	my ($self) = @_;
	my $bytes = '';
	my @records;

	while (my $n = Net::SSLeay::BIO_pending($self->{to_net}))
	{
		$bytes .= Net::SSLeay::BIO_read($self->{to_net}, $n);
	}
	push @records, substr($bytes, 0, 5 + unpack('x3n', $bytes), '') while length $bytes >= 5;
	return @records;
}

# Sends it, after somebody has had it in his hands.
sub flush
{
	my ($self) = @_;
	my @records = $self->records;

	@records = $self->{change}->(@records) if $self->{change} && @records;
	for my $piece (@records)
	{
		$self->send_bytes($piece) or return 0;
		sleep($self->{pause}) if $self->{pause};
	}
	return 1;
}

# The handshake as far as it goes; true if it is done.
sub handshake
{
	my ($self) = @_;

	$self->request_tls or return 0;
	for (1 .. 20)
	{
		my $done = Net::SSLeay::do_handshake($self->{ssl}) == 1;
		$self->flush or return 0;
		return 1 if $done;
		my $bytes = $self->receive;
		return 0 if !defined $bytes || $bytes eq '';
		Net::SSLeay::BIO_write($self->{from_net}, $bytes);
	}
	return 0;
}

sub put
{
	my ($self, $plain) = @_;
	my $n = any(16384, 16384, 16384, 100, 1);

	# some in many small records
	$n = 16384 if length $plain > 300;
	for my $piece (unpack("(a$n)*", $plain))
	{
		Net::SSLeay::write($self->{ssl}, $piece);
	}
	return $self->flush;
}

# Throws away what comes in this time.
sub drain
{
	my ($self, $seconds) = @_;
	my $end = time + $seconds;

	while ((my $left = $end - time) > 0)
	{
		my $bytes = $self->receive($left) // return 0;
		Net::SSLeay::BIO_write($self->{from_net}, $bytes) if $bytes ne '';
		1 while length(Net::SSLeay::read($self->{ssl}, 32768) // '');
		$self->flush or return 0;
	}
	return 1;
}

# Messages up to one of this type; what it says, or undef if it does not come.
sub await
{
	my ($self, $wanted) = @_;
	my $end = time + ($self->{patience} // 10);

	while (time < $end)
	{
		$self->{in} .= Net::SSLeay::read($self->{ssl}, 32768) // '';
		while (length $self->{in} >= 5)
		{
			my ($type, $len) = unpack('aN', $self->{in});
			last if length $self->{in} < 1 + $len;
			my $body = substr($self->{in}, 5, $len - 4);
			substr($self->{in}, 0, 1 + $len) = '';
			return $body if $type eq $wanted;
			return undef if $type eq 'E';
		}
		$self->flush or return undef;
		my $bytes = $self->receive(5) // return undef;
		Net::SSLeay::BIO_write($self->{from_net}, $bytes) if $bytes ne '';
	}
	return undef;
}

my @kept;

sub leave
{
	my ($self) = @_;
	my $how = rand;

	$self->receive(0.05) if chance(0.3);
	if ($how < 0.15) { shutdown($self->{sock}, 1); $self->receive(0.1) }
	elsif ($how < 0.3) { Net::SSLeay::shutdown($self->{ssl}); $self->flush }
	elsif ($how < 0.5) { setsockopt($self->{sock}, Socket::SOL_SOCKET(), Socket::SO_LINGER(), pack('ii', 1, 0)) }
	elsif ($how < 0.6)
	{
		# nothing more is done with it, for some time
		push @kept, $self;
		splice(@kept, rand @kept, 1) if @kept > 30;
		return;
	}
	close $self->{sock};
}

#----------------------------------------------------------------------------
# records that are wrong
#----------------------------------------------------------------------------

sub record
{
	my ($type, $body, $version) = @_;
	return pack('C n n/a', $type, $version // any(0x301, 0x303), $body);
}

# A length that does not say how much follows.
sub wrong_length
{
	my ($record) = @_;
	my $right = length($record) - 5;
	my $wrong = any(0, 1, $right - 1, $right + 1, 16384, 16385, 16640, 16641, 18432, 18433, 0x7fff, 0xffff, int rand 65536);

	substr($record, 3, 2) = pack('n', $wrong & 0xffff);
	return $record;
}

# Records that make no sense here, and some that always do.
sub odd_record
{
	return any(
		sub { record(ALERT, pack('CC', any(1, 2, 0, 3), any(0, 10, 20, 40, 90, 100, 120, int rand 256))) },
		sub { record(ALERT, pack('CC', 1, 90)) x (1 + rand 12) },
		sub { record(ALERT, garbage(rand 5)) },
		sub { record(CHANGE_CIPHER_SPEC, "\1") x (1 + rand 60) },
		sub { record(CHANGE_CIPHER_SPEC, garbage(1 + rand 3)) },
		sub { record(HANDSHAKE, pack('CCn', any(0, 1, 2, 4, 8, 11, 15, 16, 20, 24, int rand 256), 0, rand 40) . garbage(rand 40)) },
		sub { record(HANDSHAKE, "\x18\0\0\1" . any("\0", "\1", "\2")) x (1 + rand 40) },
		sub { record(HANDSHAKE, "\0\0\0\0") x (1 + rand 40) },
		sub { record(HANDSHAKE, pack('CCn', any(1, 11, 15), 255, 65535) . garbage(rand 3000)) },
		sub { record(DATA, garbage(rand 300)) },
		sub { record(DATA, '') x (1 + rand 60) },
		sub { record(DATA, garbage(any(16384, 16385, 16640, 16641, 20000))) },
		sub { record(int rand 256, garbage(rand 100), int rand 65536) },
		sub { record(24, "\1\x40\0" . garbage(16)) },
		sub { pack('n', 0x8000 | 46) . "\1\3\1" . garbage(43) },
		sub { pack('NN', 8, any(80877103, 80877104, 3 << 16)) },
		sub { garbage(1 + rand 600) })->();
}

my @changes = (
	sub { my ($r, $i) = @_; vec($r->[$i], rand 8 * length $r->[$i], 1) ^= 1 },
	sub { my ($r, $i) = @_; substr($r->[$i], rand length $r->[$i], 1) = chr rand 256 for 1 .. 1 + rand 5 },
	# not the header, of which a change is found at once
	sub { my ($r, $i) = @_; vec($r->[$i], 40 + rand(8 * (length($r->[$i]) - 5)), 1) ^= 1 if length $r->[$i] > 6 },
	sub { my ($r, $i) = @_; $r->[$i] = wrong_length($r->[$i]) },
	sub { my ($r, $i) = @_; substr($r->[$i], rand length $r->[$i]) = '' },
	sub { my ($r, $i) = @_; splice(@$r, $i, 0, $r->[$i]) },
	sub { my ($r, $i) = @_; splice(@$r, $i, 1) },
	sub { my ($r, $i) = @_; splice(@$r, $i, 0, odd_record()) },
	sub { my ($r, $i) = @_; splice(@$r, $i + 1, 0, odd_record()) },
	sub { my ($r, $i) = @_; my $j = rand @$r; @$r[ $i, $j ] = @$r[ $j, $i ] },
	# one message in many records
	sub {
		my ($r, $i) = @_;
		my ($type, $version, $body) = unpack('Cnx2a*', $r->[$i]);
		my $n = any(1, 1, 7, 100);
		splice(@$r, $i, 1, map { record($type, $_, $version) } unpack("(a$n)*", $body));
	},
	sub { my ($r, $i) = @_; substr($r->[$i], 0, 1) = chr(any(20 .. 24, rand 256)) },
	sub { my ($r, $i) = @_; substr($r->[$i], 1, 2) = pack('n', any(0, 0x200, 0x300, 0x301, 0x304, 0x7f1c, 0xfeff, rand 65536)) });

sub change_records
{
	my (@records) = @_;

	for (1 .. any(1, 1, 1, 2, 4))
	{
		@records = grep { length } @records or last;
		any(@changes)->(\@records, int rand @records);
	}
	return grep { length } @records;
}

#----------------------------------------------------------------------------
# ClientHello
#----------------------------------------------------------------------------

# (what comes before extensions, [type, body], ...)
sub take_hello
{
	my ($record) = @_;
	my $body = substr($record, 9);
	my $at = 34 + 1 + unpack('x34C', $body);
	my @extensions;

	$at += 2 + unpack("x${at}n", $body);
	$at += 1 + unpack("x${at}C", $body);
	my $list = substr($body, $at + 2);
	while (length $list >= 4)
	{
		my ($type, $len) = unpack('nn', $list);
		push @extensions, [ $type, substr($list, 4, $len) ];
		substr($list, 0, 4 + $len) = '';
	}
	return (substr($body, 0, $at), @extensions);
}

sub make_hello
{
	my ($head, @extensions) = @_;
	my $list = join '', map { pack('n', $_->[0]) . pack('n/a', $_->[1]) } @extensions;
	my $body = $head . pack('n/a', $list);

	return pack('Cnn', HANDSHAKE, 0x301, 4 + length $body) . pack('N', 1 << 24 | length $body) . $body;
}

my @extension_changes = (
	sub { my ($e, $i) = @_; splice(@$e, $i, 1) },
	sub { my ($e, $i) = @_; splice(@$e, $i, 0, $e->[ rand @$e ]) },
	sub { my ($e, $i) = @_; splice(@$e, $i, 0, [ rand 70, garbage(rand 30) ]) },
	sub { my ($e, $i) = @_; push @$e, [ 41, garbage(rand 300) ] },
	sub { my ($e, $i) = @_; $e->[$i][1] = garbage(rand 60) },
	sub { my ($e, $i) = @_; $e->[$i][1] = substr($e->[$i][1], 0, rand 1 + length $e->[$i][1]) },
	sub { my ($e, $i) = @_; $e->[$i][1] .= garbage(rand 20) },
	sub { my ($e, $i) = @_; $e->[$i][1] = '' },
	sub { my ($e, $i) = @_; vec($e->[$i][1], rand 8 * length $e->[$i][1], 1) ^= 1 if length $e->[$i][1] },
	sub { my ($e, $i) = @_; $e->[$i][0] = any(rand 70, rand 65536) },
	sub { my ($e, $i) = @_; push @$e, [ 35, garbage(rand 200) ] },
	# names of protocols: empty, too long, none, many
	sub {
		my ($e, $i) = @_;
		my $list = any('', "\0", "\xffab", "\12postgresql", "\12postgresqL", "\2h2\12postgresql", "\1x" x 3000, "\12postgres");
		@$e = ((grep { $_->[0] != 16 } @$e), [ 16, any(pack('n/a', $list), $list) ]);
	},
	# early data
	sub { my ($e, $i) = @_; splice(@$e, $i, 0, [ 42, '' ]) },
	# a name of the server: empty, with a zero byte, long
	sub {
		my ($e, $i) = @_;
		my $name = any('', "a\0b", 'x' x 60000, '127.0.0.1', garbage(20));
		push @$e, [ 0, any(pack('n', 3 + length $name) . pack('Cn/a', 0, $name), '', garbage(9)) ];
	});

sub change_hello
{
	my ($record) = @_;
	my ($head, @extensions) = take_hello($record);

	for (1 .. 1 + rand 3)
	{
		any(@extension_changes)->(\@extensions, int rand @extensions) if @extensions;
	}
	# version, session id, ciphers
	substr($head, rand length $head, 1) = chr rand 256 if chance(0.2);
	return make_hello($head, map { [ $_->[0], substr($_->[1], 0, 60000) ] } @extensions);
}

#----------------------------------------------------------------------------
# attacks
#----------------------------------------------------------------------------

my ($node, $ca, @certificates);

sub client
{
	return TlsMutations->new($node,
		ca => $ca,
		version => any('1.2', '1.3', '1.3'),
		direct => chance(0.4),
		certificate => chance(0.3) ? any(@certificates) : undef,
		curve => any(undef, undef, 'P-521', 'X25519:P-256'),
		@_);
}

sub attack_raw
{
	my $client = client();

	$client->request_tls or return;
	$client->send_bytes(any("\x16", '') . garbage(rand 600)) if chance(0.4);
	for (1 .. 1 + rand 4)
	{
		$client->send_bytes(odd_record()) or last;
		$client->receive(any(0, 0.01));
	}
	$client->leave;
}

sub attack_hello
{
	my $first = 1;
	my $client = client(change => sub {
		my (@records) = @_;
		$records[0] = change_hello($records[0]) if $first && chance(0.8);
		push @records, map { record(DATA, garbage(rand 2000)) } 1 .. rand 20 if $first && chance(0.2);
		@records = change_records(@records) if $first && chance(0.4);
		$first = 0;
		return @records;
	});
	$client->handshake;
	$client->leave;
}

# A handshake of which any record may be changed.
sub attack_handshake
{
	my $change = chance(0.5) ? 1 : 2;
	my $client = client(pause => any(0, 0, 0, 0.005), change => sub {
		return --$change == 0 || chance(0.2) ? change_records(@_) : @_;
	});
	$client->handshake;
	$client->receive(0.05);
	$client->leave;
}

# The client leaves, or falls silent, after each number of bytes, one after the
# other: of the handshake and, behind it, of its first messages.
my $cut;

sub attack_cut
{
	my $client = client(certificate => $cut % 3 ? undef : $certificates[0], cut => $cut);

	$client->put(RawClient::startup_packet(role => 'app') . m_query('SELECT 1')) if $client->handshake;
	$cut = $client->{sent} < $cut ? int rand 8 : $cut + 7;
	$client->leave;
}

# Sound up to the end of the handshake, or of the login.
sub attack_records
{
	my $client = client(direct => chance(0.3));

	$client->handshake or return;
	if (chance(0.6))
	{
		$client->put(RawClient::startup_packet(role => 'app'));
		$client->await('Z') // return;
	}
	$client->{change} = \&change_records;
	for (1 .. 1 + rand 3)
	{
		$client->put(join '', Mutations::conversation()) or last;
		$client->send_bytes(odd_record()) if chance(0.3);
		$client->drain(any(0, 0.01, 0.05)) or last;
	}
	$client->leave;
}

sub attack_session
{
	my $client = client(direct => chance(0.3));

	$client->handshake or return;
	if (chance(0.3))
	{
		$client->put(join '', Mutations::mutate(Mutations::startup(), Mutations::conversation()));
		$client->drain(0.05);
		return $client->leave;
	}
	$client->put(RawClient::startup_packet(role => any('app', 'app', 'cert')));
	$client->await('Z') // return;
	for (1 .. 1 + rand 3)
	{
		$client->put(join '', Mutations::mutate(Mutations::conversation())) or last;
		$client->drain(any(0, 0.01, 0.05)) or last;
	}
	$client->put(m_terminate()) if chance(0.3);
	$client->leave;
}

# Has a large result, and does not read it, or not all.
sub attack_lazy
{
	my $client = client();

	$client->handshake or return;
	$client->put(RawClient::startup_packet(role => 'app'));
	$client->await('Z') // return;
	$client->put(m_query(q{SELECT repeat('x', 100000) FROM generate_series(1, 30)}));
	$client->put(join '', Mutations::conversation()) if chance(0.5);
	$client->receive(0.1) for 1 .. rand 5;
	$client->leave;
}

# Only 1.2 knows it.
sub attack_renegotiate
{
	my $client = client(version => '1.2');

	$client->handshake or return;
	for (1 .. 1 + rand 20)
	{
		Net::SSLeay::renegotiate($client->{ssl});
		Net::SSLeay::do_handshake($client->{ssl});
		$client->flush or last;
		$client->drain(any(0, 0, 0.01)) or last;
	}
	$client->leave;
}

# New keys, and asking for some; and the other way to renegotiate.
sub attack_keys
{
	my $port = PoolerTest::pooler_port($node);
	my $old = chance(0.3);

	open(my $program, '|-', 'timeout', '5', 'openssl', 's_client', '-connect', "127.0.0.1:$port",
		'-starttls', 'postgres', ($old ? '-tls1_2' : '-tls1_3')) or return;
	$program->autoflush(1);
	for (1 .. any(1, 10, 100))
	{
		print $program ($old ? any("R\n", "r\n") : any("K\n", "k\n", "K\nk\n" x 20)) or last;
		sleep(any(0, 0, 0.002));
	}
	print $program any("Q\n", 'x', '');
	close $program;
}

# What LoginClient sends is changed; the answers are those to what it sent.
sub attack_scram
{
	my $sock = LoginClient::connect_from('127.0.0.2', $node->host, PoolerTest::pooler_port($node))
	  or die "connect: $!";
	my $tls = LoginClient::start_tls($sock);
	return unless ref $tls;
	my $send = LoginClient->can('send_message');
	my $n = 0;
	no warnings 'redefine';
	local *LoginClient::send_message = sub {
		my ($s, $type, $body) = @_;
		my $bytes = $type . pack('N', 4 + length $body) . $body;

		if ($type ne '' && chance(0.5))
		{
			# names, lengths, attributes of SCRAM
			my $how = rand;
			if ($how < 0.3) { $bytes = join '', Mutations::mutate($bytes) }
			elsif ($how < 0.5) { substr($body, rand length $body, 1) = any(',', '=', "\0", 'p', chr rand 256) }
			elsif ($how < 0.6) { $body .= any(',x=y', ',m=1', "\0", garbage(rand 2000)) }
			elsif ($how < 0.7) { $body = substr($body, 0, rand length $body) }
			elsif ($how < 0.8) { $body =~ s/(?:SCRAM-SHA-256(?:-PLUS)?)/any('SCRAM-SHA-256', 'SCRAM-SHA-256-PLUS', 'SCRAM-SHA-1', '')/e }
			elsif ($how < 0.9) { $body =~ s/[npy](?:=[\w-]+)?,[^,]*,/any('n,,', 'y,,', 'p=tls-unique,,', 'p=tls-server-end-point,,', 'p=,,', 'n,a=root,', ',,,')/e }
			else { $body =~ s/([rcp])=[^,]*/"$1=" . any('', garbage(20), 'x' x 900)/e }
			$bytes = $type . pack('N', 4 + length $body) . $body if $how >= 0.3;
		}
		syswrite($s, $bytes);
		die "half\n" if $type ne '' && chance(0.05);
	};
	eval {
		local $SIG{ALRM} = sub { die "late\n" };
		alarm(5);
		LoginClient::login($tls, role => any('calm', 'calm', 'old', 'nobody'), database => 'postgres',
			password => any('secret', 'secret', 'wrong', '', 'x' x 900),
			binding => any(qw(prefer disable denied downgraded forged plain_plus tls_unique no_plus)));
	};
	alarm(0);
	chance(0.5) ? $tls->close(SSL_no_shutdown => 1) : $tls->close;
}

# Many at once, with a part of what they had to say.
sub attack_flood
{
	my @clients = map { client() } 1 .. 10 + rand 40;
	my ($length, $say) = (any(0, 1, 4, 5, 6, 100, 1000));

	for my $client (@clients)
	{
		$client->request_tls or next;
		Net::SSLeay::do_handshake($client->{ssl});
		$say = join '', $client->records;
		$client->send_bytes(substr($say, 0, $length));
	}
	$_->leave for @clients;
}

my @attacks = ((\&attack_raw) x 3, (\&attack_hello) x 5, (\&attack_handshake) x 5, (\&attack_cut) x 5,
	(\&attack_records) x 4, (\&attack_session) x 4, (\&attack_scram) x 4, (\&attack_lazy) x 2,
	(\&attack_renegotiate) x 2, \&attack_keys, \&attack_flood);
my %name_of = (\&attack_raw => 'raw', \&attack_hello => 'hello', \&attack_handshake => 'handshake',
	\&attack_cut => 'cut', \&attack_records => 'records', \&attack_session => 'session',
	\&attack_scram => 'scram', \&attack_lazy => 'lazy', \&attack_renegotiate => 'renegotiate',
	\&attack_keys => 'keys', \&attack_flood => 'flood');

# One attack after the other until this time.  Options: ca, certificates (names
# of TlsTest's).  Returns how many of which there were, and errors that were met.
sub attack
{
	(my ($seed, $until), my %options) = @_[ 1 .. $#_ ];
	my (%count, %errors);

	$node = $_[0];
	$ca = $options{ca};
	@certificates = @{ $options{certificates} };
	srand($seed);
	$cut = int rand 700;
	local $SIG{PIPE} = 'IGNORE';
	while (time < $until)
	{
		my $attack = any(@attacks);
		$count{ $name_of{$attack} }++;
		eval { $attack->(); 1 } or $errors{ $@ =~ s/ at \S+ line.*//sr }++;
	}
	@kept = ();
	return (\%count, \%errors);
}

1;
