# Are the steps of a login the server's own?
#
# Every login, good or bad, is tried on the server's port and on the pooling
# port, and both must be told the same.  Then: what the log says about it, that
# changes of roles and databases hold for the next login, and what must not
# harm the worker.

use strict;
use warnings;

use LoginClient qw(connect_from dialogue login_answer send_message);
use MIME::Base64 qw(encode_base64);
use POSIX ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $node = PostgreSQL::Test::Cluster->new('authentication');
my $pooler_port = PostgreSQL::Test::Cluster::get_free_port();

$node->init;
$node->append_conf('postgresql.conf', qq(
listen_addresses = '127.0.0.1'
log_line_prefix = ''
log_connections = on
shared_preload_libraries = 'pooler'
pooler.port = $pooler_port
pooler.listen_addresses = '127.0.0.1'
));
unlink $node->data_dir . '/pg_hba.conf';
$node->append_conf('pg_hba.conf', q(
local	postgres	all					trust
local	app			+staff				trust
host	all			all	127.0.0.1/32	scram-sha-256
host	all			all	127.0.0.2/32	md5
host	all			all	127.0.0.3/32	trust
));
$node->start;
$node->safe_psql('postgres', q(
	SET password_encryption = 'scram-sha-256';
	CREATE ROLE alice LOGIN PASSWORD 'secret';
	CREATE ROLE late LOGIN PASSWORD 'late' VALID UNTIL '2000-01-01';
	CREATE ROLE plain LOGIN;
	SET password_encryption = 'md5';
	CREATE ROLE bob LOGIN PASSWORD 'bob';
	CREATE ROLE staff;
	CREATE DATABASE app;
));
my $major = $node->safe_psql('postgres', 'SHOW server_version_num') =~ s/\d{4}$//r;

my %ports = (server => $node->port, pooler => $pooler_port);

sub wait_until
{
	my ($what, $condition) = @_;

	for (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
	{
		return 1 if $condition->();
		usleep(100_000);
	}
	diag("timed out waiting until $what");
	return 0;
}

sub attempt
{
	my ($port, $from, $role, $password, $database) = @_;

	return login_answer($from, $node->host, $ports{$port},
		role => $role, database => $database // 'app',
		defined $password ? (password => $password) : ());
}

# The pooler's worker may open its port a moment later than the server.
wait_until('the pooler listens',
	sub { attempt('pooler', '127.0.0.1', 'alice') !~ /cannot connect/ });

#
# What the log says
#

sub failure_is_logged
{
	my ($from, $role, $password, @detail) = @_;
	my %log;

	for my $port (sort keys %ports)
	{
		my $offset = -s $node->logfile;
		like(attempt($port, $from, $role, $password),
			qr/^FATAL 28P01: password authentication failed for user "$role"$/,
			"$port: $role fails from $from");
		wait_until("the failure of $role is logged", sub {
			$log{$port} = substr(slurp_file($node->logfile), $offset);
			$log{$port} =~ /Connection matched .*\n/;
		});
		my ($detail) = $log{$port} =~
		  /^FATAL:  password authentication failed for user "$role"\nDETAIL:  ((?:.*\n\t?)+?Connection matched .*|Connection matched .*)$/m;
		$log{$port} = $detail // "nothing in: $log{$port}";
	}
	is($log{pooler}, $log{server}, "the log gives the same reason for $role");
	like($log{pooler}, $_, "the reason: $_") for @detail;
	unlike($log{pooler}, qr/\Q$password\E|SCRAM-SHA-256\$/, 'it holds no secret');
}

failure_is_logged('127.0.0.1', 'alice', 'wrong-one', qr/127\.0\.0\.1\/32/);
failure_is_logged('127.0.0.2', 'alice', 'wrong-one', qr/127\.0\.0\.2\/32/);
failure_is_logged('127.0.0.2', 'bob', 'wrong-one',
	qr/Password does not match for user "bob"\./);
failure_is_logged('127.0.0.1', 'bob', 'wrong-one',
	qr/User "bob" does not have a valid SCRAM secret\./);
failure_is_logged('127.0.0.1', 'late', 'wrong-one',
	qr/User "late" has an expired password\./);
failure_is_logged('127.0.0.1', 'plain', 'wrong-one',
	qr/User "plain" has no password assigned\./);
failure_is_logged('127.0.0.1', 'nobody', 'wrong-one',
	qr/Role "nobody" does not exist\./);

for my $port (sort keys %ports)
{
	my $offset = -s $node->logfile;

	is(attempt($port, '127.0.0.1', 'alice', 'secret'), 'ok', "$port: alice gets in");
	ok(wait_until("$port logs who was authenticated", sub {
				substr(slurp_file($node->logfile), $offset) =~
				  /connection authenticated: identity="alice" method=scram-sha-256 \(.*pg_hba\.conf:4\)/;
			}), "$port: who was authenticated is logged");
}

#
# Wrong bytes
#

my $nonce = 'rOprNGfwEbeRWgbNEkqO';

sub message { return pack('aN', $_[0], 4 + length $_[1]) . $_[1] }

sub initial
{
	my ($mechanism, $data) = @_;
	return message('p', "$mechanism\0" . pack('N', length $data) . $data);
}

my $good_initial = initial('SCRAM-SHA-256', "n,,n=,r=$nonce");
my $other_type = message('Q', "SELECT 1\0");

my %wrong = (
	'unknown mechanism' => [ initial('PLAIN', 'x') ],
	'mechanism in lower case' => [ initial('scram-sha-256', "n,,n=,r=$nonce") ],
	'channel binding without TLS' => [ initial('SCRAM-SHA-256-PLUS', "p=tls-server-end-point,,n=,r=$nonce") ],
	'empty mechanism' => [ initial('', '') ],
	'empty message' => [ message('p', '') ],
	'no terminator' => [ message('p', 'SCRAM-SHA-256') ],
	'no length' => [ message('p', "SCRAM-SHA-256\0") ],
	'length beyond the end' => [ message('p', "SCRAM-SHA-256\0" . pack('N', 100) . 'n,,') ],
	'huge length' => [ message('p', "SCRAM-SHA-256\0" . pack('N', 0x7fffffff) . 'n,,') ],
	'negative length' => [ message('p', "SCRAM-SHA-256\0" . pack('N', 0xfffffffe) . 'n,,') ],
	'bytes left over' => [ message('p', "SCRAM-SHA-256\0" . pack('N', 3) . 'n,,more') ],
	'wrong mechanism and no length' => [ message('p', "PLAIN\0") ],
	'another type' => [$other_type],
	'another type later' => [ $good_initial, $other_type ],
	'too long' => [ message('p', 'x' x 1021) ],
	'too long later' => [ $good_initial, message('p', 'x' x 1021) ],
	'announced as 2 GB' => [ pack('aN', 'p', 0x7fffffff) ],
	'announced as negative' => [ pack('aN', 'p', 0xffffffff) ],
	'announced as 3' => [ pack('aN', 'p', 3) ],
	'as long as allowed' => [ message('p', 'x' x 1020) ],
	'no initial response, then one' => [
		message('p', "SCRAM-SHA-256\0" . pack('N', 0xffffffff)),
		message('p', "n,,n=,r=$nonce"),
		message('p', 'c=biws,r=x') ],
	'no initial response, then nothing' => [
		message('p', "SCRAM-SHA-256\0" . pack('N', 0xffffffff)),
		message('p', '') ],
	'empty initial response' => [ initial('SCRAM-SHA-256', '') ],
	'zero byte inside' => [ initial('SCRAM-SHA-256', "n,,n=\0,r=$nonce") ],
	'zero byte at the end' => [ initial('SCRAM-SHA-256', "n,,n=,r=$nonce\0") ],
	'unknown binding flag' => [ initial('SCRAM-SHA-256', 'x,,n=,r=abc') ],
	'binding asked for' => [ initial('SCRAM-SHA-256', 'p=tls-unique,,n=,r=abc') ],
	'binding thought missing' => [ initial('SCRAM-SHA-256', "y,,n=,r=$nonce"), message('p', 'c=eSws,r=x') ],
	'another identity' => [ initial('SCRAM-SHA-256', 'n,a=eve,n=,r=abc') ],
	'extension' => [ initial('SCRAM-SHA-256', 'n,,m=x,n=,r=abc') ],
	'no nonce' => [ initial('SCRAM-SHA-256', 'n,,n=') ],
	'empty nonce' => [ initial('SCRAM-SHA-256', 'n,,n=,r=') ],
	'nonce that cannot be printed' => [ initial('SCRAM-SHA-256', "n,,n=,r=\x01\x02") ],
	'not ASCII' => [ initial('SCRAM-SHA-256', "n,,n=\xc3\xa9,r=abc") ],
	'another nonce' => [ $good_initial, message('p', 'c=biws,r=abc,p=AAAA') ],
	'another binding' => [ $good_initial, message('p', 'c=AAAA,r=abc,p=AAAA') ],
	'empty proof' => [ $good_initial, message('p', '') ],
	'zero byte in the proof' => [ $good_initial, message('p', "c=biws\0,r=abc") ],
	'garbage for a proof' => [ $good_initial, message('p', join '', map { chr } 128 .. 255) ],
);

for my $what (sort keys %wrong)
{
	# an unknown role must be treated the same
	for my $role (qw(alice nobody))
	{
		my %answer = map {
			$_ => dialogue('127.0.0.1', $node->host, $ports{$_},
				{ role => $role, database => 'app' }, @{ $wrong{$what} })
			  # the salt is the role's own
			  =~ s/s=[^,]*/s=<salt>/r
			  # and so is its name
			  =~ s/user "$role"/user "<role>"/r
		} keys %ports;

		is($answer{pooler}, $answer{server}, "$role: $what");
		like($answer{pooler}, qr/^R10 SCRAM-SHA-256/, "$role: $what, after a challenge");
	}
}

my %wrong_md5 = (
	'no terminator' => [ message('p', 'md5') ],
	'empty message' => [ message('p', '') ],
	'empty password' => [ message('p', "\0") ],
	'zero byte inside' => [ message('p', "md5\0x\0") ],
	'not a hash' => [ message('p', "bob\0") ],
	'very long' => [ message('p', ('x' x 60000) . "\0") ],
	'a scram message' => [$good_initial],
	'another type' => [$other_type]);

for my $what (sort keys %wrong_md5)
{
	my %answer = map {
		$_ => dialogue('127.0.0.2', $node->host, $ports{$_},
			{ role => 'bob', database => 'app' }, @{ $wrong_md5{$what} })
	} keys %ports;

	is($answer{pooler}, $answer{server}, "md5: $what");
	like($answer{pooler}, qr/^R5/, "md5: $what, after a challenge");
}

# Here the server hangs up; a word of explanation is better.
is( dialogue('127.0.0.2', $node->host, $ports{pooler},
		{ role => 'bob', database => 'app' }, pack('aN', 'p', 0x7fffffff)),
	'R5 <salt>, FATAL 28P01: password authentication failed for user "bob"',
	'md5: announced as 2 GB');

#
# The salt of an unknown role is always the same
#

sub salt_of
{
	my ($port, $role) = @_;
	my ($salt) = dialogue('127.0.0.1', $node->host, $ports{$port},
		{ role => $role, database => 'app' }, $good_initial) =~ /s=([^,]*)/;
	return $salt;
}

is(salt_of('pooler', 'nobody'), salt_of('server', 'nobody'),
	'the invented salt is the server\'s');
is(salt_of('pooler', 'nobody'), salt_of('pooler', 'nobody'), 'and it stays');
isnt(salt_of('pooler', 'nobody'), salt_of('pooler', 'somebody'),
	'another role has another one');

#
# A change holds for the next login
#

sub both_answer
{
	my ($expected, $what, @how) = @_;

	for my $port (sort keys %ports)
	{
		like(attempt($port, @how), $expected, "$port: $what");
	}
}

sub after
{
	my ($sql, $expected, @how) = @_;

	$node->safe_psql('postgres', $sql);
	both_answer($expected, $sql, @how);
}

my @by_trust = ('127.0.0.3', 'alice');
my @by_group = ('local', 'alice');
my @by_password = ('127.0.0.1', 'alice', 'secret');

after('SELECT', qr/^ok$/, @by_trust);
after('SELECT', qr/^FATAL 28000: no pg_hba.conf entry/, @by_group);
after('GRANT staff TO alice', qr/^ok$/, @by_group);
after('ALTER ROLE staff RENAME TO former_staff', qr/no pg_hba.conf entry/, @by_group);
after('ALTER ROLE former_staff RENAME TO staff', qr/^ok$/, @by_group);
after('CREATE ROLE subgroup ROLE alice IN ROLE staff; REVOKE staff FROM alice',
	qr/^ok$/, @by_group);
after('REVOKE staff FROM subgroup', qr/no pg_hba.conf entry/, @by_group);
after('ALTER ROLE alice NOLOGIN', qr/28000: role "alice" is not permitted/, @by_trust);
after('ALTER ROLE alice LOGIN', qr/^ok$/, @by_trust);
after(q(ALTER ROLE alice VALID UNTIL 'yesterday'), qr/^FATAL 28P01/, @by_password);
after(q(SELECT), qr/^ok$/, @by_trust);
after(q(ALTER ROLE alice VALID UNTIL 'tomorrow'), qr/^ok$/, @by_password);
after(q(ALTER ROLE alice PASSWORD 'changed'), qr/^FATAL 28P01/, @by_password);
after(q(SET password_encryption = 'md5'; ALTER ROLE alice PASSWORD 'secret'),
	qr/^FATAL 28P01/, @by_password);
after('SELECT', qr/^ok$/, '127.0.0.2', 'alice', 'secret');
after(q(SET password_encryption = 'scram-sha-256'; ALTER ROLE alice PASSWORD 'secret'),
	qr/^ok$/, @by_password);
after('REVOKE CONNECT ON DATABASE app FROM PUBLIC', qr/^FATAL 42501/, @by_trust);
after('GRANT CONNECT ON DATABASE app TO staff; GRANT subgroup TO alice; GRANT staff TO subgroup',
	qr/^ok$/, @by_trust);
after($major >= 16
	? 'GRANT subgroup TO alice WITH INHERIT FALSE'
	: 'ALTER ROLE subgroup NOINHERIT', qr/^FATAL 42501/, @by_trust);
after('ALTER ROLE alice SUPERUSER', qr/^ok$/, @by_trust);
after('ALTER ROLE alice NOSUPERUSER', qr/^FATAL 42501/, @by_trust);
after('GRANT CONNECT ON DATABASE app TO alice', qr/^ok$/, @by_trust);
after('ALTER DATABASE app ALLOW_CONNECTIONS false', qr/^FATAL 55000/, @by_trust);
after('ALTER DATABASE app ALLOW_CONNECTIONS true', qr/^ok$/, @by_trust);

#
# What must not harm the worker
#

# The worker can't read the catalogs that tell where these three now are.
after("VACUUM FULL $_; REINDEX TABLE $_; ANALYZE $_", qr/^ok$/, @by_password)
  for qw(pg_authid pg_auth_members pg_database);
after('REVOKE CONNECT ON DATABASE app FROM alice', qr/^FATAL 42501/, @by_trust);
after('GRANT CONNECT ON DATABASE app TO alice', qr/^ok$/, @by_trust);

my $worker_ends = qr/background worker .*pooler.* exited/;

# A secret so long that it is stored out of line, which nobody can read in a
# process without a database.  It is the role's owner who chooses it.  18
# limits its length.
SKIP:
{
	skip 'no such password is possible', 4 if $major >= 18;

	my $salt = encode_base64(join('', map { chr int rand 256 } 1 .. 12000), '');
	my $key = encode_base64('k' x 32, '');
	$node->safe_psql('postgres',
		"CREATE ROLE wordy LOGIN PASSWORD 'SCRAM-SHA-256\$4096:$salt\$$key:$key'");
	is($node->safe_psql('postgres',
			q(SELECT length(rolpassword) > 12000 FROM pg_authid WHERE rolname = 'wordy')),
		't', 'the server takes a very long secret');
	is(attempt('pooler', '127.0.0.1', 'wordy', 'x'),
		'FATAL 28P01: password authentication failed for user "wordy"',
		'it fits no password');
	# whether the backend of such a role can start is the server's business
	attempt('pooler', '127.0.0.3', 'wordy');
	attempt('pooler', 'local', 'wordy');
	$node->safe_psql('postgres', 'GRANT wordy TO alice');
	is(attempt('pooler', @by_password), 'ok',
		'nor does it hurt in a group that one is a member of');
	unlike(slurp_file($node->logfile), $worker_ends, 'the worker lives');
}

# Nobody can be let in while pg_authid is locked, but nobody else waits.
{
	my $locker = $node->background_psql('postgres');
	$locker->query_safe('BEGIN; LOCK pg_authid');
	my $sock = connect_from('127.0.0.3', $node->host, $ports{pooler});
	my $login = fork() // die "fork: $!";
	if ($login == 0)
	{
		my $answer = attempt('pooler', @by_trust);
		POSIX::_exit($answer eq 'ok' ? 0 : 1);
	}
	# the worker serves another connection meanwhile
	send_message($sock, '', pack('N', 80877103));
	sysread($sock, my $byte, 1);
	is($byte, 'N', 'the worker goes on while pg_authid is locked');
	$locker->query_safe('COMMIT');
	$locker->quit;
	waitpid($login, 0);
	is($?, 0, 'the login goes on when it is not locked any more');
	close $sock;
}

unlike(slurp_file($node->logfile), $worker_ends, 'the worker has never ended');

$node->stop;
done_testing();
