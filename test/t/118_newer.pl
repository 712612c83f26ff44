# What servers after 15, and their libpq, have that can be met in a pool: event
# triggers on login, transaction_timeout, TLS without a request for it, newer
# versions of the protocol, cancel requests by TLS, settings of TLS, lists of
# what is logged of connections.  All of it has to be as on the server's port.

use strict;
use warnings;

use PoolerTest qw(log_after log_size pooler_connstr pooler_port start_node wait_for_pooler wait_until);
use PostgreSQL::Test::Utils;
use Test::More;
use TlsTest;
use WireClient;

my ($major) = `pg_config --version` =~ /(\d+)/;
plan skip_all => 'a server of 17 or later is needed' if $major < 17;
plan skip_all => 'the program openssl is needed' unless TlsTest::possible();

my $ca = TlsTest->new;
$ca->certificate('server', subject => '/CN=localhost', names => 'DNS:localhost,IP:127.0.0.1');
my $node = start_node(
	'newer',
	conf => qq(
ssl = on
ssl_cert_file = '@{[ $ca->file('server.crt') ]}'
ssl_key_file = '@{[ $ca->file('server.key') ]}'
log_line_prefix = '<%h> '
pooler.default_pool_size = 1
));
my %ports = (server => $node->port, pooler => pooler_port($node));

$node->safe_psql('postgres', 'CREATE ROLE app LOGIN SUPERUSER; CREATE ROLE low LOGIN; CREATE DATABASE triggers');

# The same on both ports, and as expected.
sub both
{
	my ($name, $expected, $attempt) = @_;
	my %answer = map { $_ => $attempt->($ports{$_}) } sort keys %ports;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	like($answer{server}, $expected, "$name: the server's answer");
	is($answer{pooler}, $answer{server}, "$name: the pooler's");
}

sub client
{
	my ($port, %options) = @_;
	return WireClient->new($node, port => $port, role => 'app', %options);
}

# By psql.  Returns its status, output and errors, without what differs.
sub psql
{
	my ($port, $sql, %options) = @_;
	my ($rc, $out, $err) = $node->psql('postgres', $sql,
		connstr => pooler_connstr($node, port => $port, role => 'app', %options));

	return join('|', $rc, $out, $err =~ s/port \d+|PGSQL\.\d+/PORT/gr);
}

#----------------------------------------------------------------------------
# event triggers on login
#----------------------------------------------------------------------------

# What can travel is a part of the client's session; what can't (temporary
# tables, LISTEN, locks) is dropped, and not left to another client.
$node->safe_psql('triggers', q{
	CREATE TABLE logins (who text);
	CREATE SEQUENCE numbers;
	GRANT ALL ON logins, numbers TO low;
	CREATE FUNCTION see_login() RETURNS event_trigger LANGUAGE plpgsql AS $$
	BEGIN
		INSERT INTO logins VALUES (session_user);
		SET work_mem = '9MB';
		SET TimeZone = 'Asia/Tokyo';
		PERFORM set_config('app.one', 'set for ' || current_setting('application_name'), false);
		EXECUTE 'PREPARE answer AS SELECT 42';
		PERFORM nextval('numbers');
		RAISE NOTICE 'hello %', session_user;
		IF session_user = 'low' THEN
			RAISE EXCEPTION 'not you';
		END IF;
	END$$;
	CREATE EVENT TRIGGER see ON login EXECUTE FUNCTION see_login();
});

# Each looks twice, in between the others.
both('event triggers on login', qr/9MB\|.*set for one.*RESET, 4MB.*RESET, 3MB/, sub {
	my @clients = map { client($_[0], database => 'triggers', @$_) } [ application_name => 'one' ],
	  [ application_name => 'two', options => '-c work_mem=3MB' ], [];
	my @seen = map { $_->query(q{SELECT current_setting('work_mem'), current_setting('TimeZone'),
		current_setting('app.one'); EXECUTE answer; SELECT currval('numbers') IS NOT NULL}) }
	  @clients, reverse @clients;
	push @seen, $_->query('RESET ALL; SHOW work_mem; SHOW app.one') for @clients;
	push @seen, $_->query('SHOW work_mem; SHOW TimeZone; EXECUTE answer') for @clients;
	$_->quit for @clients;
	return join("\n", map { s/\n/ /gr } @seen) =~ s/\n/ \/ /gr;
});
both('a login that is refused', qr/NOTICE:  hello low.*FATAL:  not you/s, sub {
	return psql($_[0], 'SELECT 1', database => 'triggers', role => 'low');
});
both('what is told at login', qr/^Asia\/Tokyo$/, sub {
	my $client = RawClient->connect($node, from => 'local', port => $_[0], role => 'app', database => 'triggers');
	$client->quit;
	return $client->{parameters}{TimeZone};
});
is($node->safe_psql('triggers', 'SELECT count(*) FROM logins'), 9,
	'each login has fired it, this one included, and nothing else');
both('event_triggers = off', qr/^0\|4MB\|$/, sub {
	return psql($_[0], 'SHOW work_mem', database => 'triggers', options => '-c event_triggers=off');
});

$node->safe_psql('triggers', q{
	CREATE OR REPLACE FUNCTION see_login() RETURNS event_trigger LANGUAGE plpgsql AS $$
	BEGIN
		CREATE TEMP TABLE mine ();
		LISTEN something;
		PERFORM pg_advisory_lock(pg_backend_pid());
	END$$});
{
	my $client = client($ports{pooler}, database => 'triggers');

	is($client->query(q{SELECT to_regclass('mine') IS NULL,
		(SELECT count(*) FROM pg_listening_channels()),
		(SELECT count(*) FROM pg_locks WHERE locktype = 'advisory')}),
		't|0|0, SELECT 1, I', 'what can not travel is not left behind');
	$client->quit;
}

#----------------------------------------------------------------------------
# transaction_timeout
#----------------------------------------------------------------------------

my $ended = 'FATAL 25P04: terminating connection due to transaction timeout, eof';

both('transaction_timeout', qr/^\Q$ended\E.*0, SHOW, I.*\Q$ended\E$/, sub {
	my ($short, $other) = map { client($_[0]) } 1 .. 2;
	my $startup = client($_[0], options => '-c transaction_timeout=2s');
	my @seen;

	$short->query(q{SET transaction_timeout = '2s'});
	$other->query('SELECT 1');
	$short->query('BEGIN');
	push @seen, join(', ', $short->replies);
	push @seen, $other->query('SHOW transaction_timeout');
	push @seen, $startup->query('SELECT 1'), $other->query('BEGIN; SELECT pg_sleep(2.5); COMMIT');
	push @seen, $startup->query('SELECT pg_sleep(600)');
	$other->quit;
	return join(' / ', @seen);
});

#----------------------------------------------------------------------------
# libpq
#----------------------------------------------------------------------------

my $about_tls = 'SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid()';
my @modes = (
	[ sslmode => 'require', sslnegotiation => 'direct' ],
	[ sslmode => 'verify-full', sslnegotiation => 'direct', sslrootcert => $ca->file('ca.crt') ],
	[ sslmode => 'require', sslnegotiation => 'postgres' ]);
my @versions = $major < 18 ? () : (
	[ max_protocol_version => '3.0' ],
	[ min_protocol_version => '3.2', max_protocol_version => 'latest' ]);

for my $options (@modes, map { my $version = $_; map { [ @$_, @$version ] } @modes } @versions)
{
	both("psql with @$options", qr/^0\|TLSv1\.3\|$/, sub {
		return psql($_[0], $about_tls, host => '127.0.0.1', @$options);
	});
}
for my $wanted ('none', 'scram-sha-256', '!scram-sha-256', 'password,md5')
{
	both("psql with require_auth=$wanted", qr/^(0\|7|2\|\|.*did not complete authentication)/, sub {
		return psql($_[0], 'SELECT 7', require_auth => $wanted);
	});
}

# dblink sends cancel requests by PQcancelStart(), encrypted like the connection.
SKIP:
{
	my ($libdir) = PostgreSQL::Test::Utils::run_command([ 'pg_config', '--pkglibdir' ]);
	skip 'dblink of contrib is not installed', 1 unless -e "$libdir/dblink.so";
	my $sleeps = q{SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'};

	$node->safe_psql('postgres', 'CREATE EXTENSION dblink');
	for my $options ([ sslmode => 'disable' ], @modes, map { my $version = $_; map { [ @$_, @$version ] } [ sslmode => 'disable' ], @modes } @versions)
	{
		my $admin = client($ports{server});
		my %options = @$options;
		my $connstr = join(' ', "host=127.0.0.1 port=$ports{pooler} user=app dbname=postgres",
			map { "$_=$options{$_}" } sort keys %options);
		my $offset = log_size($node);

		$admin->query("SELECT dblink_connect('c', '$connstr'), dblink_send_query('c', 'SELECT pg_sleep(600)')");
		ok($node->poll_query_until('postgres', $sleeps, '1'), "a command runs, @$options");
		$admin->query(q{SELECT dblink_cancel_query('c')});
		ok($node->poll_query_until('postgres', $sleeps, '0'), '... and is cancelled');
		like($admin->query(q{SELECT * FROM dblink_get_result('c') AS t (x text)}),
			qr/57014: canceling statement due to user request/, '... as its client learns');
		$admin->quit;
	}
}

#----------------------------------------------------------------------------
# 18: TLS, log_connections
#----------------------------------------------------------------------------

sub handshake
{
	my ($port) = @_;
	my ($out, $err);

	IPC::Run::run([ 'openssl', 's_client', '-starttls', 'postgres', '-connect', "127.0.0.1:$port" ],
		'<', \'', '>', \$out, '2>', \$err, IPC::Run::timeout(PoolerTest::TIMEOUT));
	return join('|', "$out$err" =~ /((?:Temp Key|TLS1\.3 group|Cipher is).*)/g);
}

for my $case (
	$major < 18 ? [ ssl_ecdh_curve => 'secp384r1', qr/secp384r1/ ] :
	([ ssl_groups => 'secp384r1', qr/secp384r1/ ],
		[ ssl_groups => 'secp521r1:X25519', qr/secp521r1|X25519/ ],
		[ ssl_tls13_ciphers => 'TLS_AES_128_GCM_SHA256', qr/Cipher is TLS_AES_128_GCM_SHA256/ ]))
{
	my ($name, $value, $expected) = @$case;

	$node->append_conf('postgresql.conf', "$name = '$value'");
	$node->reload;
	ok(wait_until("$name = $value", sub { handshake($ports{pooler}) =~ $expected
				  && handshake($ports{server}) =~ $expected }), "$name = $value is in force");
	both("$name = $value", $expected, \&handshake);
}

# What the log says of a client of the pooler, which has a backend already.
sub logged_of
{
	my ($port) = @_;
	my $offset = log_size($node);
	my $client = RawClient->open($node, from => '127.0.0.9', port => $port);

	$client->login(role => 'app');
	$client->quit;
	wait_until('the end is logged', sub { log_after($node, $offset) =~ /^<127\.0\.0\.9> LOG:  disconnection/m });
	return join "\n", map { s/port=\d+/port=P/r }
	  grep { /^<127\.0\.0\.9> LOG:  connection/ && !/connection ready/ }
	  split /\n/, log_after($node, $offset);
}

SKIP:
{
	skip 'log_connections is no list before 18', 1 if $major < 18;
	my $other = client($ports{pooler});

	$node->append_conf('postgresql.conf', 'log_disconnections = on');
	for my $aspects ('receipt', 'authentication', 'authorization', 'receipt,authorization', 'all', '')
	{
		$node->append_conf('postgresql.conf', "log_connections = '$aspects'");
		$node->reload;
		# told by a session that begins afterwards, and by the pooler's own
		ok($node->poll_query_until('postgres', 'SHOW log_connections', $aspects), "log_connections = '$aspects'");
		wait_until('the pooler knows', sub {
			logged_of($ports{pooler}) eq logged_of($ports{server}) });
		is(logged_of($ports{pooler}), logged_of($ports{server}), '... the same of both');
	}
	$other->quit;
}

$node->stop;
done_testing();
