# Crowd.pm
#
# Clients that do nothing wrong, among others that do: each gets the answers to
# its own questions, and what they count adds up.  And those others, in
# processes of their own.

package Crowd;

use strict;
use warnings;

use POSIX ();
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);
use WireClient qw(exchange m_bind m_execute m_parse m_query m_sync);

# Tables and roles.  Who holds a backend without a need has to give it back
# some time.
sub set_up
{
	my ($admin) = @_;

	$admin->query($_) for (
		'CREATE TABLE counters (client int PRIMARY KEY, n bigint)',
		'CREATE TABLE scratch (i int)',
		q(SET password_encryption = 'scram-sha-256'),
		q(CREATE ROLE calm LOGIN PASSWORD 'secret'),
		q(CREATE ROLE app LOGIN PASSWORD 'secret'),
		q(SET password_encryption = 'md5'),
		q(CREATE ROLE old LOGIN PASSWORD 'secret'),
		'GRANT ALL ON counters, scratch TO app, calm',
		q(ALTER ROLE app SET pooler.idle_transaction_timeout = '2s'),
		q(ALTER ROLE app SET pooler.pin_timeout = '2s'),
		q(ALTER ROLE app SET statement_timeout = '20s'));
}

# When a process began: it is another one if that differs.
sub start_of
{
	my ($pid) = @_;
	return (split ' ', slurp_file("/proc/$pid/stat") =~ s/^.*\) //sr)[19];
}

# In kB: what a process has allocated.
sub memory
{
	my ($pid) = @_;
	my ($kb) = slurp_file("/proc/$pid/status") =~ /^RssAnon:\s+(\d+)/m;
	return $kb;
}

# Lines that tell of a crash, or of an error that nobody should be able to cause.
sub accidents
{
	my ($log) = @_;
	return grep { /PANIC|TRAP:|was terminated by signal|server process \(PID|XX\w{3} |stack smashing|AddressSanitizer/ }
	  split /\n/, $log;
}

# What the pooler has said, each kind of message with how often.
sub note_messages
{
	my ($log) = @_;
	my %said;

	$said{$_}++ for map { s/\d+/N/gr =~ s/"[^"]*"/"..."/gr } $log =~ /^\S+ \S+ \S+ \[\d+\] (pooler \S+ .*)/mg;
	note "$said{$_} $_" for sort { $said{$b} <=> $said{$a} } keys %said;
}

#----------------------------------------------------------------------------
# attackers
#----------------------------------------------------------------------------

# Run it in a process of its own; it returns two references to hashes, of how
# often it has done what, and how often what went wrong.
sub send_attacker
{
	my ($self, $attack) = @_;
	my $report = PostgreSQL::Test::Utils::tempdir() . '/report';
	my $pid = fork // die "fork: $!";

	if ($pid == 0)
	{
		my ($count, $errors) = eval { $attack->() };
		open(my $file, '>', $report) or POSIX::_exit(2);
		print $file "died: $@\n" unless $count;
		print $file join(', ', map { "$count->{$_} $_" } sort keys %$count), "\n",
		  map { "$errors->{$_} times: $_\n" } sort keys %$errors;
		close $file;
		POSIX::_exit($count ? 0 : 1);
	}
	$self->{attackers}{$pid} = $report;
}

# Tests: they come to their ends.  Returns what they have reported.
sub await_attackers
{
	my ($self) = @_;
	my @reports;

	for my $pid (sort keys %{ $self->{attackers} })
	{
		waitpid($pid, 0);
		is($?, 0, 'an attacker has come to its end');
		push @reports, slurp_file($self->{attackers}{$pid});
		note $reports[-1];
	}
	return @reports;
}

#----------------------------------------------------------------------------
# those who do nothing wrong
#----------------------------------------------------------------------------

# admin: on the server's own port.  open: called with a number and a role,
# returns a client and the answer to its login.  questions: more of them, as
# below.  longest: how often a text is repeated in an answer at most.
sub new
{
	my ($class, %options) = @_;
	my $longest = $options{longest};
	my @questions = (
		sub { my ($c, $nonce) = @_; return (m_query("SELECT '$nonce'"), "$nonce, SELECT 1, I") },
		sub {
			my ($c, $nonce) = @_;
			return (m_parse('SELECT $1::text') . m_bind('', [$nonce]) . m_execute() . m_sync(),
				"parsed, bound, $nonce, SELECT 1, I");
		},
		sub {
			my ($c) = @_;
			my $n = ++$c->{n};
			return (m_query("UPDATE counters SET n = n + 1 WHERE client = $c->{id} RETURNING n"),
				"$n, UPDATE 1, I");
		},
		sub { my ($c) = @_; return (m_query(q(SELECT current_setting('my.owner'))), "client $c->{id}, SELECT 1, I") },
		sub {
			my ($c, $nonce) = @_;
			my $n = int rand $longest;
			return (m_query("SELECT repeat('$nonce', $n)"), ($nonce x $n) . ', SELECT 1, I');
		});

	return bless {
		admin => $options{admin},
		open => $options{open},
		questions => [ @questions, @{ $options{questions} } ],
		next => 0,
		clients => [],
		count => { total => 0 },
		wrong => [],
		attackers => {}
	}, $class;
}

# Half of them share the attackers' pool.
sub newcomer
{
	my ($self) = @_;
	my $id = ++$self->{next};
	my $role = $id % 2 ? 'app' : 'calm';
	my ($client, $answer) = $self->{open}->($id, $role);

	$self->complain("login of client $id as $role: $answer") if $answer ne 'ok';
	@$client{qw(id role n)} = ($id, $role, 0);
	$self->{admin}->query("INSERT INTO counters VALUES ($id, 0)");
	$client->query(qq(SET my.owner = 'client $id'));
	$self->{count}{logins}++;
	return $client;
}

sub come
{
	my ($self, $n) = @_;
	push @{ $self->{clients} }, map { $self->newcomer } 1 .. $n;
}

sub complain
{
	my ($self, $what) = @_;
	push @{ $self->{wrong} }, $what;
}

# Everybody asks something, at the same time.
sub one_round
{
	my ($self) = @_;
	my $clients = $self->{clients};
	my $questions = $self->{questions};
	my (@pairs, @wanted);

	for my $client (@$clients)
	{
		my $nonce = "$client->{id}/" . ++$client->{asked};
		my ($bytes, $wanted) = $questions->[ rand @$questions ]->($client, $nonce);
		push @pairs, [ $client, $bytes ];
		push @wanted, $wanted;
	}
	my @answers = map { join ', ', grep { !/^NOTICE/ } @$_ } exchange(@pairs);
	for my $i (0 .. $#answers)
	{
		$self->complain("client $clients->[$i]{id} ($clients->[$i]{role}) got "
			  . substr($answers[$i], 0, 300) . ' wanted ' . substr($wanted[$i], 0, 300))
		  if $answers[$i] ne $wanted[$i];
	}
	$self->{count}{answers} += @answers;
}

# So many seconds of rounds, in which one leaves and another one comes now and
# then, or until too much went wrong.  measure: a number that is noted; returns
# what it was in the middle of that time.  between: called after each round with
# how many there have been.
sub ask_for
{
	my ($self, $seconds, %options) = @_;
	my $begin = $options{begin};
	my $measure = $options{measure};
	my ($half, @measured);

	while (time < $begin + $seconds && @{ $self->{wrong} } < 20)
	{
		$self->one_round;
		$self->{count}{rounds}++;
		if ($self->{count}{rounds} % 10 == 0)
		{
			$self->leave(splice(@{ $self->{clients} }, rand @{ $self->{clients} }, 1));
			$self->come(1);
		}
		$options{between}->($self->{count}{rounds}) if $options{between};
		$half //= $measure->() if time > $begin + $seconds / 2;
		push @measured, $measure->() if time > $begin + @measured * $seconds / 20;
	}
	note "memory in kB: @measured";
	return $half // $measure->();
}

sub leave
{
	my ($self, $client) = @_;

	$self->{count}{total} += $client->{n};
	$client->quit;
}

# Tests: all was right, with at least so many answers, and what they have counted
# adds up.  They have left then.
sub were_answered
{
	my ($self, $least) = @_;

	is(join("\n", @{ $self->{wrong} }), '', 'those who do nothing wrong are answered right');
	cmp_ok($self->{count}{answers}, '>', $least, 'they had something to do');
	$self->leave($_) for splice @{ $self->{clients} };
	note join(', ', map { "$self->{count}{$_} $_" } sort keys %{ $self->{count} });
	is($self->{admin}->value('SELECT sum(n) FROM counters'), $self->{count}{total},
		'what they count adds up');
}

1;
