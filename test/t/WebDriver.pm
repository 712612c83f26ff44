# WebDriver.pm
#
# A headless Chromium, driven through chromedriver by plain HTTP: what a test
# of the page needs, and no more.  Both are Debian's.

package WebDriver;

use strict;
use warnings;

use Carp qw(croak);
use HTTP::Tiny;
use IPC::Run ();
use JSON::PP ();
use MIME::Base64 qw(decode_base64);
use PostgreSQL::Test::Cluster;
use PoolerTest qw(wait_until);

# The key under which WebDriver hides the id of an element.
use constant ELEMENT => 'element-6066-11e4-a52e-4f735466cecf';

my $json = JSON::PP->new->utf8->allow_nonref;

# Starts a browser whose files are all below the directory.
sub new
{
	my ($class, $dir) = @_;
	my $port = PostgreSQL::Test::Cluster::get_free_port();
	my $self = bless {
		base => "http://127.0.0.1:$port",
		http => HTTP::Tiny->new(timeout => 120),
	}, $class;

	mkdir $dir or croak "$dir: $!";
	# It wants a home, and keeps what it finds there.
	local $ENV{HOME} = $dir;
	local $ENV{TMPDIR} = $dir;
	$self->{driver} = IPC::Run::start(
		[ 'chromedriver', "--port=$port", '--allowed-ips=127.0.0.1' ],
		'<', \undef, '>', "$dir/chromedriver.log", '2>&1');
	wait_until('chromedriver listens',
		sub { $self->{http}->get("$self->{base}/status")->{success} })
	  or croak 'chromedriver does not listen';
	$self->open_session($dir);
	return $self;
}

sub open_session
{
	my ($self, $dir) = @_;
	my @arguments = (
		'--headless', '--no-sandbox', '--disable-gpu', '--no-first-run',
		'--disable-background-networking', '--disable-component-update',
		'--disable-sync', '--disable-dev-shm-usage', '--hide-scrollbars',
		'--lang=en', "--user-data-dir=$dir/profile");

	my $session = $self->request(POST => 'session',
		{
			capabilities => {
				alwaysMatch => {
					'goog:chromeOptions' => { args => \@arguments },
					'goog:loggingPrefs' => { browser => 'ALL' },
					# what a script of a hostile name might do
					'unhandledPromptBehavior' => 'ignore',
				}
			}
		});
	$self->{session} = $session->{sessionId};
}

# One command; a failure is the test's.
sub request
{
	my ($self, $method, $path, $body) = @_;
	my $answer = $self->{http}->request($method, "$self->{base}/$path",
		{
			headers => { 'Content-Type' => 'application/json' },
			$method eq 'POST' ? (content => $json->encode($body // {})) : (),
		});
	my $content = eval { $json->decode($answer->{content}) };

	croak "$method $path: $answer->{status} "
	  . substr($content ? $content->{value}{message} // '' : $answer->{content}, 0, 500)
	  unless $answer->{success};
	return $content->{value};
}

sub command
{
	my ($self, $method, $path, $body) = @_;
	return $self->request($method, "session/$self->{session}/$path", $body);
}

sub go
{
	my ($self, $url) = @_;
	$self->command(POST => 'url', { url => $url });
}

# Runs the body of a function with these arguments, and returns its result.
sub script
{
	my ($self, $body, @arguments) = @_;
	return $self->command(POST => 'execute/sync',
		{ script => $body, args => \@arguments });
}

# What Chrome's own protocol can, and WebDriver can't.
sub devtools
{
	my ($self, $name, %parameters) = @_;
	return $self->command(POST => 'goog/cdp/execute',
		{ cmd => $name, params => \%parameters });
}

# A screen of that size; a narrow one is a phone's.
sub screen
{
	my ($self, $width, $height) = @_;
	$self->devtools('Emulation.setDeviceMetricsOverride',
		width => $width, height => $height, deviceScaleFactor => 1,
		mobile => $width < 600 ? JSON::PP::true : JSON::PP::false);
}

# media("prefers-color-scheme" => "dark")
sub media
{
	my ($self, %features) = @_;
	$self->devtools('Emulation.setEmulatedMedia',
		features => [ map { { name => $_, value => $features{$_} } } sort keys %features ]);
}

# All of the page, not only what fits on the screen.
sub screenshot
{
	my ($self, $file) = @_;
	my $size = $self->devtools('Page.getLayoutMetrics')->{cssContentSize};
	my $shot = $self->devtools('Page.captureScreenshot',
		captureBeyondViewport => JSON::PP::true,
		clip => { x => 0, y => 0, scale => 1,
			width => $size->{width}, height => $size->{height} });

	open my $out, '>:raw', $file or croak "$file: $!";
	print $out decode_base64($shot->{data});
	close $out or croak "$file: $!";
}

sub press
{
	my ($self, @keys) = @_;
	$self->command(POST => 'actions',
		{
			actions => [ {
				type => 'key', id => 'keyboard',
				actions => [ map { ({ type => 'keyDown', value => $_ },
						{ type => 'keyUp', value => $_ }) } @keys ]
			} ]
		});
}

sub element
{
	my ($self, $selector) = @_;
	my $element = $self->command(POST => 'element',
		{ using => 'css selector', value => $selector });
	return $element->{ +ELEMENT };
}

sub click
{
	my ($self, $selector) = @_;

	# Chromedriver's own scrolling does not know of screen().
	$self->script('document.querySelector(arguments[0])'
		  . '.scrollIntoView({ block: "center", behavior: "instant" })', $selector);
	$self->command(POST => 'element/' . $self->element($selector) . '/click');
}

# As a screen reader is told of it: role and accessible name.
sub accessible
{
	my ($self, $selector) = @_;
	my $element = $self->element($selector);
	return map { $self->command(GET => "element/$element/$_") }
	  qw(computedrole computedlabel);
}

# What was written to the console since the last call, by the browser too, but
# not by pages of its own.
sub console
{
	my ($self) = @_;
	return map { "$_->{level} $_->{message}" }
	  grep { $_->{message} !~ m{^chrome://} }
	  @{ $self->command(POST => 'se/log', { type => 'browser' }) };
}

sub quit
{
	my ($self) = @_;

	return unless $self->{driver};
	eval { $self->request(DELETE => "session/$self->{session}") } if $self->{session};
	$self->{driver}->kill_kill;
	delete $self->{driver};
}

sub DESTROY
{
	my ($self) = @_;
	local ($@, $?);
	eval { $self->quit };
}

1;
