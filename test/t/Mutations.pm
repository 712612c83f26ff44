# Mutations.pm
#
# Clients that mean harm, or are broken: what a client says at each stage of a
# connection, changed at random, sent in random pieces, and left in random ways.
# Nothing here looks at answers, but for what the next message needs.

package Mutations;

use strict;
use warnings;

use Exporter 'import';
use IO::Select;
use LoginClient ();
use MIME::Base64 qw(encode_base64);
use RawClient ();
use Time::HiRes qw(sleep time);
use WireClient qw(m_bind m_close m_copy_data m_copy_done m_copy_fail m_execute
  m_flush m_parse m_query m_sync m_terminate message);

our @EXPORT_OK = qw(attack mutate);

# Sockets that one attacker keeps open without a use for them.
use constant KEPT => 40;

sub any { return $_[ rand @_ ] }
sub chance { return rand() < $_[0] }
sub garbage { return join '', map { chr rand 256 } 1 .. $_[0] }

#----------------------------------------------------------------------------
# what a client says
#----------------------------------------------------------------------------

my @sql = (
	'SELECT 1', '', ';;;', 'SELECT', 'SELECT 1; SELECT 2', 'SELECT 1/0', 'BEGIN', 'COMMIT',
	'ROLLBACK', 'BEGIN; SAVEPOINT s; SELECT 1/0', 'ROLLBACK TO s', 'SET work_mem = 64',
	'SET application_name = other', q(SET my.setting = 'x'), 'RESET ALL', 'SHOW ALL',
	'CREATE TEMP TABLE t (i int)', 'SELECT * FROM t', 'DROP TABLE t', 'DISCARD ALL',
	'PREPARE p AS SELECT 1', 'EXECUTE p', 'DEALLOCATE p', 'LISTEN l', 'NOTIFY l', 'UNLISTEN *',
	'DECLARE c CURSOR WITH HOLD FOR SELECT generate_series(1, 1000)', 'FETCH 10 FROM c',
	'COPY scratch FROM STDIN', 'COPY scratch TO STDOUT', 'COPY (SELECT 1) TO STDOUT (FORMAT binary)',
	'SELECT pg_sleep(0.02)', q(SELECT repeat('x', 100000)), 'SELECT generate_series(1, 3000)',
	'SELECT pg_advisory_xact_lock_shared(1)', 'INSERT INTO scratch VALUES (1)', 'DO $$ BEGIN RAISE NOTICE $n$n$n$; END $$');

sub simple { return map { m_query(any(@sql)) } 1 .. 1 + rand 4 }

sub extended
{
	my @messages;
	my $name = any('', '', 's', 't');
	my $portal = any('', '', 'p');

	for (1 .. 1 + rand 3)
	{
		push @messages, any(
			[ m_parse('SELECT $1::text', $name), m_bind($name, [ garbage(5) =~ s/\W//gr ], $portal),
				m_execute($portal) ],
			[ m_parse(any(@sql), $name), m_bind($name, [], $portal), message('D', "P$portal\0"),
				m_execute($portal, 1), m_execute($portal) ],
			[ m_bind($name, ['1'], $portal), m_execute($portal) ],
			[ message('D', "S$name\0"), m_flush() ],
			[ m_close('S', $name) ], [ m_close('P', $portal) ])->@*;
	}
	return (@messages, m_sync());
}

sub copy
{
	return (m_query('COPY scratch FROM STDIN'),
		(map { m_copy_data(any("1\n", "\\N\n", 'x', garbage(50), "1\n" x 500)) } 1 .. rand 8),
		any(m_copy_done(), m_copy_fail('enough'), m_sync(), m_terminate()));
}

sub call { return (message('F', pack('N n n n N/a n', any(1, 1242, 2**31), 0, 0, 1, 'x', 0)), m_sync()) }

sub conversation
{
	my @messages = map { any(\&simple, \&simple, \&extended, \&extended, \&copy, \&call)->() } 1 .. 1 + rand 3;
	push @messages, m_query('ROLLBACK'), m_query('DISCARD ALL') if chance(0.3);
	return @messages;
}

my @console = ('SHOW CLIENTS', 'SHOW POOLS', 'SHOW STATS', 'SHOW CONFIG', 'SHOW FDS', 'SHOW HELP',
	'SHOW SOCKETS', 'SHOW LISTS', 'SHOW nothing', 'PAUSE', 'KILL postgres', 'SELECT 1', 'SET a = b',
	'RELOAD', 'SHUTDOWN', q(SHOW "), '/* ', ';' x 100, 'SHOW VERSION; SHOW STATE', 'KILL_CLIENT 1');

sub console_batch
{
	my $name = any('', '', 's', 'x' x any(127, 128, 9000), garbage(4) =~ s/\0//gr);
	my $portal = any('', '', 'p', 'x' x 200);
	my $formats = any(pack('n'), pack('n n', 1, any(0, 1, 2)), pack('n*', 3, 0, 1, 0), pack('n n', 65535, 1),
		pack('n*', 30, (1) x 30));

	return (m_parse(any(@console), $name, (23) x rand 3),
		any(message('D', "S$name\0"), m_flush(), ''),
		message('B', "$portal\0$name\0" . any(pack('n n', 0, 0), pack('n n N a', 0, 1, 1, 'x')) . $formats),
		any(message('D', "P$portal\0"), ''),
		(map { m_execute($portal, any(0, 1, 2, 2**31)) } 1 .. rand 4),
		any(m_close(any('S', 'P', 'X'), any($name, $portal)), ''), any(m_sync(), m_sync(), m_flush()));
}

sub console_words
{
	return map { chance(0.6) ? m_query(join any(';', '; ', ''), map { any(@console) } 1 .. 1 + rand 3) : console_batch() }
	  1 .. 1 + rand 5;
}

sub startup
{
	my %more;

	$more{protocol} = any(3 << 16 | 1, 3 << 16 | 2, 3 << 16 | 9999, 2 << 16, 4 << 16, 0) if chance(0.2);
	$more{options} = any('-c work_mem=64', '-c', '-x', '--a=b', '\\ ', '-c statement_timeout=5s') if chance(0.3);
	$more{client_encoding} = any('UTF8', 'SQL_ASCII', 'nothing') if chance(0.3);
	$more{replication} = any('true', 'database', 'maybe') if chance(0.1);
	$more{"_pq_.option$_"} = 'x' for 1 .. rand(1.2);
	$more{ garbage(3) =~ s/\0//gr . 'x' } = garbage(5) =~ s/\0//gr if chance(0.1);
	$more{application_name} = 'x' x rand 9000 if chance(0.1);
	return RawClient::startup_packet(
		role => any('app', 'app', 'calm', 'nobody'),
		database => any('postgres', 'postgres', 'postgres', 'nothing', 'pgbouncer'), %more);
}

sub before_startup { return map { pack('NN', 8, $_) } grep { chance(0.3) } 80877103, 80877104 }

#----------------------------------------------------------------------------
# what becomes of it
#----------------------------------------------------------------------------

# Lengths that nobody means.
sub bad_length
{
	my ($right) = @_;
	return any(0, 1, 3, 4, 5, 8, 0xffffffff, 0x7fffffff, 0x80000000, 0x3ffffffd, 0x3ffffffe, 0x3fffffff, 10000, 10005, 65536,
		$right + 1, $right - 1, $right + 5, int rand 2**32) & 0xffffffff;
}

# Where the length word of a message is: startup packets have no type.
sub length_at { return ord($_[0]) == 0 ? 0 : 1 }

my @mutations = (
	sub { my ($m, $i) = @_; vec($m->[$i], rand 8 * length $m->[$i], 1) ^= 1 },
	sub { my ($m, $i) = @_; substr($m->[$i], rand length $m->[$i], 1) = chr rand 256 for 1 .. 1 + rand 5 },
	sub {
		my ($m, $i) = @_;
		my $at = length_at($m->[$i]);
		substr($m->[$i], $at, 4) = pack('N', bad_length(unpack("x$at N", $m->[$i])))
		  if length $m->[$i] >= 5;
	},
	sub { my ($m, $i) = @_; substr($m->[$i], rand length $m->[$i]) = '' },
	sub { my ($m, $i) = @_; splice(@$m, $i, 0, ($m->[$i]) x (1 + rand 3)) },
	sub { my ($m, $i) = @_; my $j = rand @$m; @$m[ $i, $j ] = @$m[ $j, $i ] },
	sub { my ($m, $i) = @_; splice(@$m, $i, 1) if @$m > 1 },
	sub { my ($m, $i) = @_; splice(@$m, $i, 0, message(chr rand 256, garbage(rand 30))) },
	sub { my ($m, $i) = @_; splice(@$m, $i, 0, garbage(1 + rand 60)) },
	sub { my ($m, $i) = @_; substr($m->[$i], rand length $m->[$i], 0) = any("\0", "\xff", garbage(4)) x (1 + rand 4) },
	sub { my ($m, $i) = @_; substr($m->[$i], 0, 1) = any(qw(Q P B E D C S H F d c f X p), chr rand 256) },
	# half of one and half of another
	sub {
		my ($m, $i) = @_;
		my $other = any(@$m);
		$m->[$i] = substr($m->[$i], 0, rand length $m->[$i]) . substr($other, rand length $other);
	},
	# a body that is too long, with a length that is right
	sub {
		my ($m, $i) = @_;
		my $at = length_at($m->[$i]);
		return if length $m->[$i] < 5;
		$m->[$i] .= garbage(1 + rand 3000);
		substr($m->[$i], $at, 4) = pack('N', length($m->[$i]) - $at);
	},
	# two bytes that may be a number of parameters
	sub { my ($m, $i) = @_; substr($m->[$i], rand length $m->[$i], 2) = any("\xff\xff", "\x7f\xff", "\0\0", "\x80\0") });

sub mutate
{
	my (@messages) = @_;

	@messages = grep { length } @messages;
	for (1 .. any(0, 1, 1, 1, 2, 3, 6))
	{
		last unless @messages;
		any(@mutations)->(\@messages, int rand @messages);
		@messages = grep { length } @messages;
	}
	return @messages;
}

#----------------------------------------------------------------------------
# how it is sent
#----------------------------------------------------------------------------

# Takes in, and throws away, what comes in this time.  False at the end.
sub drain
{
	my ($sock, $seconds) = @_;
	my $end = time + $seconds;

	while (IO::Select->new($sock)->can_read(0))
	{
		sysread($sock, my $buf, 1 << 16) or return 0;
		last if time > $end;
	}
	while ((my $left = $end - time) > 0)
	{
		next unless IO::Select->new($sock)->can_read($left);
		sysread($sock, my $buf, 1 << 16) or return 0;
	}
	return 1;
}

# Not longer than a moment: the server need not read, nor do we.
sub send_some
{
	my ($sock, $bytes) = @_;
	my $end = time + 0.5;

	while ($bytes ne '' && time < $end)
	{
		next unless IO::Select->new($sock)->can_write(0.1);
		my $n = syswrite($sock, $bytes);
		return 0 if !defined $n && !$!{EAGAIN};
		substr($bytes, 0, $n // 0) = '';
		drain($sock, 0) if chance(0.5);
	}
	return $bytes eq '';
}

sub pieces
{
	my (@messages) = @_;
	my $all = join '', @messages;
	my $how = rand;

	return @messages if $how < 0.3;
	return $all if $how < 0.7 || length $all < 2;
	return split //, substr($all, 0, 100) if $how < 0.75;
	my @pieces;
	while (length $all)
	{
		push @pieces, substr($all, 0, 1 + rand length $all, '');
	}
	return @pieces;
}

sub deliver
{
	my ($sock, @messages) = @_;
	my $pause = any(0, 0, 0, 0.001, 0.02);

	$sock->blocking(0);
	for my $piece (pieces(@messages))
	{
		send_some($sock, $piece) or return 0;
		sleep($pause) if $pause;
	}
	return 1;
}

my @kept;

# Half of what follows may have been said.
sub leave
{
	my ($client) = @_;
	my $sock = $client->{sock};
	my $how = rand;

	bless $client, 'WireClient';
	drain($sock, any(0, 0, 0.01, 0.1));
	if ($how < 0.2) { $client->half_close; drain($sock, 0.1); $client->close }
	elsif ($how < 0.4) { $client->reset }
	elsif ($how < 0.6) { send_some($sock, m_terminate()); $client->close }
	elsif ($how < 0.85) { $client->close }
	else
	{
		push @kept, $client;
		splice(@kept, rand @kept, 1)->reset if @kept > KEPT;
	}
}

#----------------------------------------------------------------------------
# attacks
#----------------------------------------------------------------------------

sub newcomer
{
	my ($node, $from) = @_;
	return RawClient->open($node, from => $from // any('local', '127.0.0.1')) // die "connect: $!";
}

sub logged_in
{
	my ($node, %options) = @_;
	my $client = newcomer($node);
	my $answer = $client->login(role => 'app', %options);
	die "login: $answer" if $answer ne 'ok';
	return $client;
}

sub attack_startup
{
	my ($node) = @_;
	my $client = newcomer($node);
	deliver($client->{sock}, mutate(before_startup(), startup(), chance(0.3) ? conversation() : ()));
	leave($client);
}

sub attack_session
{
	my ($node) = @_;
	my $client = logged_in($node, chance(0.3) ? (application_name => garbage(9) =~ s/\0//gr) : ());
	for (1 .. 1 + rand 3)
	{
		deliver($client->{sock}, mutate(conversation())) or last;
		drain($client->{sock}, any(0, 0.01, 0.05)) or last;
	}
	leave($client);
}

# LoginClient goes on with whatever it is answered, and sends what we let it.
sub attack_scram
{
	my ($node) = @_;
	my $client = newcomer($node, '127.0.0.2');
	my $sock = $client->{sock};
	my $role = any('calm', 'calm', 'old', 'nobody');
	my $send = \&LoginClient::send_message;
	no warnings 'redefine';
	local *LoginClient::send_message = sub {
		my ($s, $type, $body) = @_;
		my $bytes = $type . pack('N', 4 + length $body) . $body;
		return syswrite($s, $bytes) if $type eq '' && chance(0.9);
		syswrite($s, $_) for chance(0.5) ? $bytes : mutate($bytes, (chance(0.1) ? conversation() : ()));
		die "half\n" if chance(0.1);
	};
	local $SIG{PIPE} = 'IGNORE';
	eval { LoginClient::login($sock, role => $role, database => 'postgres',
		password => any('secret', 'secret', 'wrong', '', 'x' x 2000)) };
	leave($client);
}

sub attack_console
{
	my ($node) = @_;
	my $client = logged_in($node, role => 'viewer', database => 'pgbouncer');
	deliver($client->{sock}, mutate(console_words()));
	leave($client);
}

# Keys of others are too long to be found.
sub attack_cancel
{
	my ($node) = @_;
	my $victim = logged_in($node);
	$victim->start(any('SELECT pg_sleep(0.05)', 'SELECT 1'));
	for (1 .. 1 + rand 4)
	{
		my $client = newcomer($node);
		my $packet = pack('N', 12 + length(substr $victim->{key}, 4)) . pack('N', 80877102) . $victim->{key};
		deliver($client->{sock}, chance(0.3) ? $packet : mutate($packet));
		leave($client);
	}
	leave($victim);
}

# Many at once, with a part of what they had to say.
sub attack_flood
{
	my ($node) = @_;
	my @clients = map { newcomer($node) } 1 .. 20 + rand 130;
	my $say = join '', before_startup(), startup(), conversation();

	send_some($_->{sock}, substr($say, 0, any(0, rand 8, rand 100, length $say))) for @clients;
	leave($_) for @clients;
}

my @attacks = ((\&attack_startup) x 4, (\&attack_session) x 10, (\&attack_scram) x 3,
	(\&attack_console) x 3, \&attack_cancel, \&attack_flood);
my %name_of = (\&attack_startup => 'startup', \&attack_session => 'session', \&attack_scram => 'scram',
	\&attack_console => 'console', \&attack_cancel => 'cancel', \&attack_flood => 'flood');

# One attack after the other until this time; those alone that POOLER_ATTACKS
# names, if it is set.  Returns how many of which there were, and the errors that
# were met: who attacks may be hit as well.
sub attack
{
	my ($node, $seed, $until) = @_;
	my (%count, %errors);
	my $wanted = $ENV{POOLER_ATTACKS} || '.';
	my @wanted = grep { $name_of{$_} =~ /$wanted/ } @attacks;

	srand($seed);
	local $SIG{PIPE} = 'IGNORE';
	while (time < $until)
	{
		my $attack = any(@wanted);
		$count{ $name_of{$attack} }++;
		eval { $attack->($node); 1 } or $errors{ $@ =~ s/ at \S+ line.*//sr }++;
	}
	$_->close for @kept;
	@kept = ();
	return (\%count, \%errors);
}

1;
