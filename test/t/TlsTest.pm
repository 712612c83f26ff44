# TlsTest.pm
#
# Certificates for tests of TLS, made by the program openssl: an authority, what
# it has signed, and what it has not.

package TlsTest;

use strict;
use warnings;

use Carp qw(croak);
use Cwd qw(abs_path);
use IPC::Run ();
use PoolerTest ();
use PostgreSQL::Test::Utils;
use Socket qw(AF_UNIX SOCK_STREAM PF_UNSPEC);
use WireClient ();

# All files of one authority lie in one directory.
sub new
{
	my ($class, $name) = @_;
	my $self = bless {
		dir => abs_path(PostgreSQL::Test::Utils::tempdir()),	# the server has another
		name => $name // 'pooler test authority',
		serial => 1000
	}, $class;

	$self->_write('index.txt', '');
	$self->_write('crlnumber', "01\n");
	$self->_write('ca.conf', <<"END");
[ca]
default_ca = this
[this]
database = $self->{dir}/index.txt
crlnumber = $self->{dir}/crlnumber
default_md = sha256
default_crl_days = 100
new_certs_dir = $self->{dir}
rand_serial = yes
unique_subject = no
policy = anything
[anything]
commonName = optional
END
	$self->_write('req.conf', <<"END");
oid_section = oids
[oids]
poolerOdd = 1.3.6.1.4.1.99999.1
[req]
string_mask = default
distinguished_name = dn
[dn]
END
	$self->_openssl('req', '-x509', '-new', '-sha256', '-days', 1000, '-nodes',
		'-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1',
		'-subj', "/CN=$self->{name}",
		'-keyout', $self->file('ca.key'), '-out', $self->file('ca.crt'));
	return $self;
}

# Can certificates be made here?
sub possible
{
	my ($out, $err);

	return eval { IPC::Run::run([ 'openssl', 'version' ], '>', \$out, '2>', \$err) }
	  && $out =~ /^OpenSSL/;
}

sub file
{
	my ($self, $name) = @_;
	return "$self->{dir}/$name";
}

# Makes NAME.key and NAME.crt.  Options: subject ("/CN=NAME"), names
# (subjectAltName), passphrase (of the key), expired.
# Returns its serial number.
#
# A subject can have a poolerOdd, which core's functions know no name for: they
# raise an error.
sub certificate
{
	my ($self, $name, %options) = @_;
	my @cipher = $options{passphrase} ?
	  ('-aes256', '-pass', "pass:$options{passphrase}") : ();

	$self->_openssl('genpkey', '-algorithm', 'EC',
		'-pkeyopt', 'ec_paramgen_curve:prime256v1', @cipher,
		'-out', $self->file("$name.key"));
	$self->_openssl('req', '-new', '-config', $self->file('req.conf'), '-sha256', '-key', $self->file("$name.key"),
		($options{passphrase} ? ('-passin', "pass:$options{passphrase}") : ()),
		'-subj', $options{subject} // "/CN=$name", '-utf8',
		'-out', $self->file("$name.csr"));
	$self->_write("$name.ext",
		$options{names} ? "subjectAltName=$options{names}\n" : "basicConstraints=CA:FALSE\n");
	$self->{serial}++;
	$options{expired} ? $self->_sign_for_the_past($name) : $self->_sign($name);
	chmod 0600, $self->file("$name.key") or croak "chmod: $!";
	return $self->{serial};
}

sub _sign
{
	my ($self, $name) = @_;

	$self->_openssl('x509', '-req', '-sha256', '-in', $self->file("$name.csr"),
		'-CA', $self->file('ca.crt'), '-CAkey', $self->file('ca.key'),
		'-set_serial', $self->{serial}, '-extfile', $self->file("$name.ext"),
		'-days', 1000, '-out', $self->file("$name.crt"));
}

# Before OpenSSL 3.4, x509 knows no dates, and since 3.5 no negative number of
# days.
sub _sign_for_the_past
{
	my ($self, $name) = @_;

	$self->_openssl('ca', '-config', $self->file('ca.conf'), '-batch', '-notext',
		'-cert', $self->file('ca.crt'), '-keyfile', $self->file('ca.key'),
		'-startdate', '20200101000000Z', '-enddate', '20200201000000Z',
		'-extfile', $self->file("$name.ext"), '-in', $self->file("$name.csr"),
		'-out', $self->file("$name.crt"));
}

# ca.crl, with these certificates in it.
sub revoke
{
	my ($self, @names) = @_;
	my @ca = ('ca', '-config', $self->file('ca.conf'),
		'-cert', $self->file('ca.crt'), '-keyfile', $self->file('ca.key'));

	$self->_openssl(@ca, '-revoke', $self->file("$_.crt")) for @names;
	$self->_openssl(@ca, '-gencrl', '-out', $self->file('ca.crl'));
}

# The serial number in the subject of the certificate that the pooler of a node
# shows, whose common name is "localhost"; programs of different versions put it
# differently.
sub served_serial
{
	my ($node) = @_;
	my ($serial) = probe($node, '-starttls', 'postgres') =~
	  /s:CN ?= ?localhost, serialNumber ?= ?(\d+)/;
	return $serial // '';
}

# A WireClient that is connected by TLS and has not logged in: its bytes go
# through the program s_client.  Options: direct (without SSLRequest), and
# "more", a list of options of that program.
sub client
{
	my ($node, %options) = @_;
	my $port = PoolerTest::pooler_port($node);
	my @command = ('openssl', 's_client', '-quiet', '-connect', "127.0.0.1:$port",
		($options{direct} ? ('-alpn', 'postgresql') : ('-starttls', 'postgres')),
		@{ $options{more} // [] });

	socketpair(my $ours, my $theirs, AF_UNIX, SOCK_STREAM, PF_UNSPEC)
	  or croak "socketpair: $!";
	my $pid = fork() // croak "fork: $!";
	if ($pid == 0)
	{
		open(STDIN, '<&', $theirs);
		open(STDOUT, '>&', $theirs);
		open(STDERR, '>', '/dev/null');
		CORE::close($ours);
		CORE::close($theirs);
		exec(@command) or exit 1;
	}
	CORE::close($theirs);
	return bless {
		node => $node,
		from => '127.0.0.1',
		port => $port,
		sock => $ours,
		tls_pid => $pid,
		in => '',
		parameters => {},
		notices => [],
		notifications => []
	}, 'TlsTest::Client';
}

# What s_client says of a connection that it makes and ends: the session, the
# server's certificate, errors.
sub probe
{
	my ($node, @options) = @_;
	my ($out, $err);

	IPC::Run::run([ 'openssl', 's_client', '-connect',
			'127.0.0.1:' . PoolerTest::pooler_port($node), @options ],
		'<', \'', '>', \$out, '2>', \$err,
		IPC::Run::timeout(PoolerTest::TIMEOUT));
	return $out . $err;
}

sub _write
{
	my ($self, $name, $text) = @_;

	open my $out, '>', $self->file($name) or croak "$name: $!";
	print $out $text;
	close $out or croak "$name: $!";
}

sub _openssl
{
	my ($self, @command) = @_;
	my ($out, $err);

	IPC::Run::run([ 'openssl', @command ], '<', \'', '>', \$out, '2>', \$err)
	  or croak "openssl @command: $err";
}

package TlsTest::Client;

our @ISA = ('WireClient');

sub close
{
	my ($self) = @_;

	$self->SUPER::close;
	kill('KILL', $self->{tls_pid}) if $self->{tls_pid};
	waitpid($self->{tls_pid}, 0) if $self->{tls_pid};
	$self->{tls_pid} = undef;
}

sub DESTROY
{
	my ($self) = @_;
	local ($?, $!);

	$self->close if $self->{tls_pid};
}

1;
