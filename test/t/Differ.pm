# Differ.pm
#
# Does a pool answer as a direct connection does?  Runs a sequence of steps of
# several clients on direct connections, and again with the same interleaving
# through the pooling port, compares every message, and looks for the shortest
# sequence that still shows a difference.
#
# A sequence is { name, clients, steps, pool, provoke, next }:
#
#	clients		startup parameters of each, with role; clients are numbered from 1
#	steps		[client, operation...], see DifferWire.pm.  One is run when the one
#				before it has been answered.  Those of client 0 are the
#				administrator's: [0, sql...], [0, [reload => name, value]]
#	pool		the number of backends of the pool that it is made for
#	provoke		between two steps a stranger uses, and soils, the backend
#	next		instead of steps, a function that is given the state of all
#				clients and returns the next step, or nothing

package Differ;

use strict;
use warnings;

use Carp qw(croak);
use DifferWire qw(dump_value message_text step_text);
use PoolerTest ();
use Time::HiRes qw(time);

#----------------------------------------------------------------------------
# differences that are allowed
#----------------------------------------------------------------------------

# The closed list.  Each takes the body of a message, the client, and the state
# of the run, and returns the body without what may differ.
our @allowed = (
	{
		name => 'key',
		reason => 'process id and secret of a client of the pool are its own',
		types => 'K',
		without => sub { return "key of " . length($_[0]) . " bytes" }
	},
	{
		name => 'notifier',
		reason => 'notifications name the process id that the client was given',
		types => 'A',
		without => sub {
			my ($body, $client, $run) = @_;
			my $pid = unpack('N', $body);
			my ($who) = grep { ($_->{wire}{pid} // 0) == $pid } @{ $run->{clients} };
			return ($who ? sprintf('<%2d>', $who->{number}) : '<??>') . substr($body, 4);
		}
	},
	{
		name => 'position',
		reason => 'an invalid message of an idle client is found by the pooler, not by a function of core',
		types => 'E',
		without => sub {
			my ($body) = @_;
			my %fields = map { substr($_, 0, 1) => substr($_, 1) } split /\0/, $body;

			delete @fields{qw(F L R)}
			  if ($fields{M} // '') =~ /^invalid (?:frontend message type|message length)/;
			return join('', map { "$_$fields{$_}\0" } sort keys %fields) . "\0";
		}
	},
	{
		name => 'oids',
		reason => 'what a run creates gets the next free OIDs, so they are numbered',
		types => 'Tt',
		without => sub {
			my ($body, $client, $run, $type) = @_;
			return $type eq 'T' ? with_columns($body, $run) : with_types($body, $run);
		}
	});

my %without = map { my $entry = $_; map { $_ => $entry->{without} } split //, $entry->{types} }
  @allowed;

sub number_of
{
	my ($oid, $run) = @_;
	return $oid if $oid <= $run->{constant_oids};
	return $run->{oids}{$oid} //= 1e9 + keys %{ $run->{oids} };
}

sub with_columns
{
	my ($body, $run) = @_;
	my ($count, $rest) = unpack('na*', $body);
	my $result = pack('n', $count);

	for (1 .. $count)
	{
		(my ($name, $table, $column, $type), $rest) = unpack('Z*NnNa*', $rest);
		$result .= pack('Z*NnNa8', $name, number_of($table, $run), $column,
			number_of($type, $run), $rest);
		$rest = substr($rest, 8);
	}
	return $result . $rest;
}

sub with_types
{
	my ($body, $run) = @_;
	my ($count, @types) = unpack('nN*', $body);
	return pack('nN*', $count, map { number_of($_, $run) } @types);
}

#----------------------------------------------------------------------------
# the stranger
#----------------------------------------------------------------------------

# What it does to a backend: other values, the same names.
my @soil = (
	q{DISCARD ALL},
	q{SET search_path = two, one; SET "TimeZone" = 'Asia/Kathmandu';
		SET DateStyle = 'Postgres, DMY'; SET app.one = 'stranger'; SET app.secret = 'x'},
	q{RESET ALL},
	q{SET ROLE diff_group; SET work_mem = '77MB'; SET extra_float_digits = -3},
	q{RESET ROLE; SET bytea_output = escape; SET client_encoding = LATIN1;
		SET IntervalStyle = sql_standard; SET standard_conforming_strings = off},
	q{SET application_name = stranger; SET statement_timeout = '7h';
		SET default_transaction_isolation = serializable; SET plan_cache_mode = force_generic_plan});
my @parse = map { [ [ C => 'S', $_ ], [ P => $_, "SELECT 'stranger', '$_'" ], ['S'] ] } '', qw(s1 s2 s3);

# One connection of the stranger, to the pool of a role.
sub stranger
{
	my ($self, $role) = @_;
	my $wire = $self->connected($self->{pooled});

	($wire->log_in(role => $role, database => 'differ'))[-1][0] eq 'Z'
	  or croak 'the stranger can not log in';
	return { wire => $wire, turn => 0 };
}

sub ask_stranger
{
	my ($stranger, @ops) = @_;
	my @messages = $stranger->{wire}->run(@ops);

	die "the stranger got no answer\n" if $messages[-1][0] ne 'Z';
}

sub soil
{
	my ($stranger) = @_;
	my $turn = $stranger->{turn}++;

	ask_stranger($stranger, $soil[ $turn % @soil ]);
	ask_stranger($stranger, @{ $parse[ $turn % @parse ] });
}

# Before a step of a client through a pool.  In a pool of one, the stranger uses
# the backend.  In a larger one it keeps the backend that was used last in a
# transaction, so that the client gets another one.
sub provoke
{
	my ($self, $run, $client) = @_;
	my $role = $client->{role};
	my $pool = $self->{strangers}{$role} //= [];
	my $held = grep { $_->{role} eq $role && holds($_) } @{ $run->{clients} };

	if ($run->{pool} == 1)
	{
		return if $held;
		soil($pool->[0] //= $self->stranger($role));
		return;
	}
	my ($old, $new) = map { $pool->[$_] //= $self->stranger($role) }
	  $pool->[1] && $pool->[1]{keeps} ? (1, 0) : (0, 1);
	if (!$held)
	{
		soil($new);
		ask_stranger($new, 'BEGIN');
		$new->{keeps} = 1;
	}
	if ($old->{keeps} && !($held && $run->{pool} > 2))
	{
		ask_stranger($old, 'ROLLBACK');
		$old->{keeps} = 0;
	}
}

sub dismiss_strangers
{
	my ($self) = @_;

	$_->{wire}->close for map { grep { defined } @$_ } values %{ $self->{strangers} };
	$self->{strangers} = {};
}

# Between two sequences the strangers keep nothing, and they begin again from
# the same point, so that a sequence can be repeated.
sub rest_strangers
{
	my ($self) = @_;

	for my $stranger (map { grep { defined } @$_ } values %{ $self->{strangers} })
	{
		ask_stranger($stranger, 'ROLLBACK') if $stranger->{keeps};
		@$stranger{qw(keeps turn)} = (0, 0);
	}
}

#----------------------------------------------------------------------------
# server
#----------------------------------------------------------------------------

# Options: node; peer ("direct" compares direct connections with each other,
# which tests this program); seconds to wait for an answer.
sub new
{
	my ($class, %options) = @_;
	my $node = $options{node};
	my $self = bless {
		node => $node,
		direct => $node->port,
		pooled => ($options{peer} // '') eq 'direct'
		? $node->port
		: PoolerTest::pooler_port($node),
		seconds => $options{seconds} // 15,
		strangers => {}
	}, $class;

	$self->set_up;
	return $self;
}

sub connected
{
	my ($self, $port) = @_;
	return DifferWire->new($self->{node}->host, $port, $self->{seconds})
	  // croak "cannot connect to port $port: $!";
}

sub superuser { return scalar getpwuid($<) }

# An administrator's answer must not be an error.
sub admin
{
	my ($self, @sql) = @_;
	my @messages = map { $self->{admin}->run($_) } @sql;
	my ($failed) = grep { $_->[0] !~ /^[TDCZNS]$/ } @messages;

	croak "administrator: @sql: " . message_text($failed) if $failed;
	return map { RawClient::row($_->[1])->[0] } grep { $_->[0] eq 'D' } @messages;
}

sub set_up
{
	my ($self) = @_;

	$self->{node}->safe_psql('postgres', 'CREATE DATABASE differ');
	$self->{node}->safe_psql('differ', PostgreSQL::Test::Utils::slurp_file(
			"$FindBin::RealBin/differ.sql"));
	$self->connect_admin;

	# Making a schema for temporary tables makes all backends plan again, so
	# there has to be one for every backend before anything is compared.
	my ($room) = $self->admin('SHOW max_connections');
	my @all = map { $self->connected($self->{direct}) } 1 .. $room - 6;
	for my $wire (@all)
	{
		$wire->log_in(role => superuser(), database => 'differ');
		$wire->run('CREATE TEMP TABLE t ()');
	}
	$_->quit for @all;
	($self->{held_function}, $self->{constant_oids}) = $self->admin(
		q{SELECT 'diff_held'::regproc::oid},
		q{SELECT max(oid) FROM (SELECT oid FROM pg_class UNION ALL SELECT oid FROM pg_type) AS o});
}

# Another size for all pools.
sub resize
{
	my ($self, $size) = @_;

	$self->dismiss_strangers;
	$self->reload('pooler.default_pool_size', $size);
	delete $self->{changed};
}

sub connect_admin
{
	my ($self) = @_;

	$self->{admin} = $self->connected($self->{direct});
	$self->{admin}->log_in(role => superuser(), database => 'differ');
	$self->admin(q{SET lock_timeout = '10s'});
}

# Everything as it was at the beginning.  What holds a lock was left behind by
# a run without an answer.
sub reset
{
	my ($self, $clients) = @_;
	my $sql = qq{CALL diff_reset($clients)};
	my $orphans = q{SELECT format('ROLLBACK PREPARED %L', gid) FROM pg_prepared_xacts};

	$self->admin($_) for $self->admin($orphans);
	my @messages = $self->{admin}->run($sql);
	return if !grep { $_->[0] eq 'E' } @messages;

	$self->refresh;
	$self->admin($sql);
}

# New backends for all pools, to which no earlier sequence can have done anything.
sub refresh
{
	my ($self) = @_;

	$self->dismiss_strangers;
	$self->admin(q{SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
		WHERE datname = 'differ' AND pid <> pg_backend_pid()});
}

# Another value in postgresql.auto.conf.  Sessions that begin afterwards prove
# that the postmaster has told all that were there before.
sub reload
{
	my ($self, $name, $value) = @_;
	my $sql = defined $value ? "SET $name = '$value'" : "RESET $name";

	my $before = ($self->admin('SELECT clock_timestamp()'))[0];
	$self->admin("ALTER SYSTEM $sql", 'SELECT pg_reload_conf()');
	$self->{node}->poll_query_until('differ',
		"SELECT pg_conf_load_time() > '$before'") or croak 'no reload';
	$self->{changed}{$name} = 1 if defined $value;
}

sub undo_reloads
{
	my ($self) = @_;

	$self->reload($_) for keys %{ delete $self->{changed} // {} };
}

#----------------------------------------------------------------------------
# one run
#----------------------------------------------------------------------------

# Does a client keep its backend, or could it?
sub holds
{
	my ($client) = @_;
	return 0 if $client->{gone};
	return $client->{open} || $client->{held} || $client->{status} ne 'I';
}

# May this client run now, or are all backends of its pool held by others?
sub can_run
{
	my ($run, $client) = @_;
	return 1 if !$run->{pool} || holds($client);
	return $run->{pool} >
	  grep { $_->{role} eq $client->{role} && holds($_) } @{ $run->{clients} };
}

# Core keeps the unnamed portal of a simple query that failed inside a
# transaction, though its text is gone: whoever describes or executes it then
# reads freed memory.  So nobody may; the operations that don't.
sub without_dangling_portal
{
	my ($client, @ops) = @_;
	my $dangling = $client->{status} eq 'E';
	my @result;

	for my $op (@ops)
	{
		my ($type, @rest) = ref $op ? @$op : 'Q';
		next if $dangling && ($type eq 'E' && $rest[0] eq ''
			|| $type eq 'D' && $rest[0] eq 'P' && $rest[1] eq '');
		$dangling = 1 if $type eq 'Q' || $type eq 'S' && $client->{status} eq 'E';
		$dangling = 0 if $type eq 'B' && $rest[0] eq '';
		push @result, $op;
	}
	return @result;
}

# Can it be known when a step has been answered?
sub ends
{
	my (@ops) = @_;
	my $type = ref $ops[-1] ? $ops[-1][0] : 'Q';
	my ($count, $types) = DifferWire::end_of(@ops);

	return $types ne '' || $type =~ /^(connect|quit|raw)$/ || $count && $type =~ /^[QSFcf]$/;
}

# Why a step can't be run on direct connections, if it can't.
sub forbidden
{
	my ($run, $client, $step) = @_;
	my ($number, @ops) = @$step;

	return undef if !$number || !$run->{observe};
	return 'all backends would be held' if !can_run($run, $client);
	return 'nothing ends the step' if !ends(@ops);
	return 'a dangling portal would be used'
	  if !$client->{gone} && without_dangling_portal($client, @ops) < @ops;
	return undef;
}

# What the messages of a client would be if nothing differed that may.
sub comparable
{
	my ($run, $client, @messages) = @_;
	return map {
		my ($type, $body) = @$_;
		[ $type, $without{$type} ? $without{$type}->($body, $client, $run, $type) : $body ]
	} @messages;
}

my $may_hold = qr{temp|advisory|listen|hold|origin|slot}i;

# A backend whose session has state that can't travel is held.  Asked by a
# function call, which disturbs neither the unnamed statement nor settings.
# Only direct connections are asked.
sub observe
{
	my ($self, $run, $client, $ops) = @_;

	$client->{may_hold} ||= dump_value($ops) =~ $may_hold;
	return if !$client->{may_hold} || $client->{open} || $client->{gone}
	  || $client->{status} ne 'I' || DifferWire::is_await($ops->[-1]);
	my @messages = $client->{wire}->run([ F => $self->{held_function} ]);
	my ($result) = grep { $_->[0] eq 'V' } @messages;
	$result or croak 'diff_held(): ' . message_text($messages[0]);
	$client->{held} = substr($result->[1], 4) eq 't';
}

sub take_status
{
	my ($client, $ops, @messages) = @_;
	my $last = $messages[-1];

	$client->{gone} = 1 if $last->[0] eq 'eof';
	if ($last->[0] eq 'Z')
	{
		$client->{status} = $last->[1];
		$client->{open} = 0;
	}
	elsif (!DifferWire::is_await($ops->[-1]))
	{
		$client->{open} = 1;
	}
}

sub come
{
	my ($self, $run, $client, %startup) = @_;
	my %parameters = %startup ? %startup : %{ $client->{startup} };

	%$client = (%$client, held => 0, open => 0, may_hold => 0, gone => 0, status => 'I');
	$client->{role} = $parameters{role} //= 'diff_super';
	$client->{wire} = $self->connected($run->{port});
	my @messages = $client->{wire}->log_in(database => 'differ', %parameters);
	$client->{gone} = $messages[-1][0] ne 'Z';
	return @messages;
}

sub go
{
	my ($client) = @_;

	$client->{wire}->quit;
	$client->{gone} = 1;
	return ();
}

sub administrate
{
	my ($self, @ops) = @_;

	for my $op (@ops)
	{
		if (ref $op) { $self->reload(@$op[ 1 .. $#$op ]) }
		else { $self->admin($op) }
	}
	return ();
}

# The messages that answer a step, or undef if it can't be run: its client is
# not there, or is.
sub step
{
	my ($self, $run, $step) = @_;
	my ($number, @ops) = @$step;
	my $client = $run->{clients}[ $number - 1 ];
	my ($type, @rest) = ref $ops[0] ? @{ $ops[0] } : '';

	return $self->administrate(@ops) if $number == 0;
	$self->provoke($run, $client) if $run->{provoke} && $type ne 'quit';
	return $client->{gone} ? $self->come($run, $client, @rest) : undef if $type eq 'connect';
	return undef if $client->{gone};
	return go($client) if $type eq 'quit';

	my @messages = $client->{wire}->run(@ops);
	return @messages if $messages[-1][0] eq 'silence';
	take_status($client, \@ops, @messages);
	$self->observe($run, $client, \@ops) if $run->{observe};
	return @messages;
}

# Run a sequence on one port.  Returns { steps, answers, stopped }: the steps
# that were run, what each was answered (first come the logins), and why the run
# stopped before the end: a step that can't be run, a missing answer, or, if it
# is told what to expect, another answer.
sub run
{
	my ($self, $sequence, %how) = @_;
	my $run = { %how, pool => $sequence->{pool}, constant_oids => $self->{constant_oids} };
	my $number = 0;
	my @steps = @{ $sequence->{steps} // [] };
	my $next = $sequence->{next} // sub { shift @steps };

	$self->reset(scalar @{ $sequence->{clients} });
	$run->{clients} = [ map { { startup => $_, number => ++$number, gone => 1,
				role => $_->{role} // 'diff_super', status => 'I' } } @{ $sequence->{clients} } ];
	@$run{qw(steps answers)} = ([], []);
	eval {
		for my $client (@{ $run->{clients} })
		{
			last if $run->{stopped};
			$self->provoke($run, $client) if $run->{provoke};
			$self->take_answer($run, $client, [ $client->{number}, ['connect'] ],
				$self->come($run, $client));
		}
		while (!$run->{stopped} && (my $step = $next->($run)))
		{
			my $client = $run->{clients}[ $step->[0] - 1 ];
			push @{ $run->{steps} }, $step;
			$run->{stopped} = forbidden($run, $client, $step) and last;
			$self->take_answer($run, $client, $step, $self->step($run, $step));
		}
		$self->rest_strangers if $run->{provoke};
		1;
	} or do { $run->{stopped} = $@; $self->dismiss_strangers };
	$_->{wire} && !$_->{gone} && $_->{wire}->quit for @{ $run->{clients} };
	$self->undo_reloads;
	return $run;
}

sub take_answer
{
	my ($self, $run, $client, $step, @messages) = @_;

	if (@messages && !defined $messages[0])
	{
		$run->{stopped} = 'the client is not there, or already';
		return;
	}
	my @answer = comparable($run, $client, @messages);
	my $before = @{ $run->{answers} };
	my $expected = $run->{expect} ? $run->{expect}{answers}[$before] : undef;
	push @{ $run->{answers} }, \@answer;
	push @{ $run->{labels} }, $step;
	$run->{stopped} = 'no answer' if @answer && $answer[-1][0] eq 'silence';
	$run->{stopped} //= 'another answer' if $expected && !same($expected, \@answer);

	# What can be seen on direct connections only, is told to the other run.
	push @{ $run->{held} }, [ map { $_->{held} } @{ $run->{clients} } ];
	return if !$expected;
	my @held = @{ $run->{expect}{held}[$before] };
	$_->{held} = shift @held for @{ $run->{clients} };
}

sub same
{
	my ($one, $two) = @_;
	return 0 if @$one != @$two;
	for my $i (0 .. $#$one)
	{
		return 0 if $one->[$i][0] ne $two->[$i][0]
		  || ($one->[$i][1] // '') ne ($two->[$i][1] // '');
	}
	return 1;
}

#----------------------------------------------------------------------------
# comparing
#----------------------------------------------------------------------------

# Run a sequence directly and pooled.  Returns nothing if there is no
# difference, else { number, step, direct, pooled, why }.  The sequence then has
# the steps that were run.  A sequence that can't be run directly is an error.
sub difference
{
	my ($self, $sequence) = @_;
	my $direct = $self->run($sequence, port => $self->{direct}, observe => 1);

	die "cannot be run: $direct->{stopped}\n" if $direct->{stopped};
	$sequence->{steps} = $direct->{steps};
	delete $sequence->{next};
	$self->refresh if $self->{fresh};
	my $pooled = $self->run($sequence, port => $self->{pooled},
		provoke => $sequence->{provoke}, expect => $direct);
	return undef if !$pooled->{stopped};

	my $number = $#{ $pooled->{answers} };
	my $is_new = $pooled->{stopped} ne 'another answer' && $pooled->{stopped} ne 'no answer';
	$number++ if $is_new;
	return {
		number => $number - @{ $sequence->{clients} } + 1,
		step => $direct->{labels}[$number],
		direct => $direct->{answers}[$number],
		pooled => $is_new ? [] : $pooled->{answers}[$number],
		why => $pooled->{stopped} =~ s/\n+\z//r
	};
}

# The same, but a sequence that can't be run has no difference.
sub still_differs
{
	my ($self, $sequence) = @_;
	my $difference = eval { $self->difference($sequence) };

	return $difference;
}

#----------------------------------------------------------------------------
# shrinking
#----------------------------------------------------------------------------

# A sequence that may have been cut to what shows the difference, in so many
# seconds; and the difference.  Without a difference it can't be repeated.  If it
# can with new backends, then what an earlier sequence left is not the cause.
sub shrink
{
	my ($self, $sequence, $seconds) = @_;
	my $end = time + $seconds;
	local $self->{seconds} = 3;
	local $self->{fresh};
	my $best = { %$sequence, steps => [ @{ $sequence->{steps} } ] };
	my $difference;
	for my $fresh (1, 0)
	{
		$self->{fresh} = $fresh;
		$difference = $self->still_differs({%$best}) and last;
	}
	return if !$difference;
	my $try = sub {
		my (%changed) = @_;
		return 0 if time > $end;
		my $candidate = { %$best, %changed };
		my $found = $self->still_differs($candidate) or return 0;
		return 0 if $found->{why} eq 'no answer' && $difference->{why} ne 'no answer';
		($best, $difference) = ($candidate, $found);
		return 1;
	};
	my $size;

	$#{ $best->{steps} } = $difference->{number} - 1 if $difference->{number} > 0;
	do
	{
		$size = size_of($best);
		drop_steps($best, $try);
		$try->(provoke => 0) if $best->{provoke};
		drop_operations($best, $try);
		drop_clients($best, $try);
		drop_parameters($best, $try);
	} while (size_of($best) < $size && time < $end);
	return ($best, $difference, $self->{fresh});
}

sub size_of
{
	my ($sequence) = @_;
	return length(dump_value($sequence->{clients})) + length(dump_value($sequence->{steps}))
	  + ($sequence->{provoke} ? 1 : 0);
}

# $_[0] is the best sequence so far, which $try replaces.
sub drop_steps
{
	my $try = $_[1];

	for (my $length = @{ $_[0]{steps} }; $length >= 1; $length = int($length / 2))
	{
		my $at = @{ $_[0]{steps} } - $length;
		while ($at >= 0)
		{
			my @steps = @{ $_[0]{steps} };
			splice(@steps, $at, $length);
			$try->(steps => \@steps);
			$at -= $length;
		}
	}
}

sub drop_operations
{
	my $try = $_[1];

	for (my $i = $#{ $_[0]{steps} }; $i >= 0; $i--)
	{
		for (my $j = $#{ $_[0]{steps}[$i] }; $j >= 1; $j--)
		{
			next if @{ $_[0]{steps}[$i] } == 2;
			my @steps = map { [@$_] } @{ $_[0]{steps} };
			splice(@{ $steps[$i] }, $j, 1);
			$try->(steps => \@steps);
		}
		drop_statements($_[0], $try, $i);
	}
}

# Some of the statements of a simple query.
sub drop_statements
{
	my ($try, $i) = @_[ 1, 2 ];

	for my $j (1 .. $#{ $_[0]{steps}[$i] })
	{
		next if ref $_[0]{steps}[$i][$j];
		my @statements = split /; /, $_[0]{steps}[$i][$j];
		for (my $k = $#statements; $k >= 0 && @statements > 1; $k--)
		{
			my @fewer = @statements;
			splice(@fewer, $k, 1);
			my @steps = map { [@$_] } @{ $_[0]{steps} };
			$steps[$i][$j] = join('; ', @fewer);
			@statements = @fewer if $try->(steps => \@steps);
		}
	}
}

sub drop_parameters
{
	my $try = $_[1];

	for my $i (0 .. $#{ $_[0]{clients} })
	{
		for my $name (sort keys %{ $_[0]{clients}[$i] })
		{
			my @clients = map { {%$_} } @{ $_[0]{clients} };
			delete $clients[$i]{$name};
			$try->(clients => \@clients);
		}
	}
}

# Clients that have no steps.  The others get new numbers.
sub drop_clients
{
	my $try = $_[1];

	for (my $unused = @{ $_[0]{clients} }; $unused >= 1; $unused--)
	{
		next if @{ $_[0]{clients} } == 1 || grep { $_->[0] == $unused } @{ $_[0]{steps} };
		my @clients = @{ $_[0]{clients} };
		splice(@clients, $unused - 1, 1);
		$try->(
			clients => \@clients,
			steps => [ map { my ($number, @ops) = @$_; [ $number - ($number > $unused), @ops ] }
				  @{ $_[0]{steps} } ]);
	}
}

#----------------------------------------------------------------------------
# for a reader
#----------------------------------------------------------------------------

sub sequence_text
{
	my ($sequence) = @_;

	return join("\n",
		'{',
		"\tpool => $sequence->{pool}, provoke => " . ($sequence->{provoke} ? 1 : 0) . ',',
		"\tclients => [ " . join(', ', map { dump_value($_) } @{ $sequence->{clients} }) . ' ],',
		"\tsteps => [",
		(map { "\t\t" . step_text($_) } @{ $sequence->{steps} }),
		"\t]",
		'}');
}

sub difference_text
{
	my ($difference) = @_;
	my @direct = map { message_text($_) } @{ $difference->{direct} // [] };
	my @pooled = map { message_text($_) } @{ $difference->{pooled} // [] };
	my @lines;

	for (my $i = 0; $i < @direct || $i < @pooled; $i++)
	{
		my ($one, $two) = map { $_->[$i] // '(nothing)' } \@direct, \@pooled;
		push @lines, $one eq $two ? "  both:   $one" : ("  direct: $one", "  pooled: $two");
	}
	return join("\n",
		$difference->{number} < 1
		? "a login, $difference->{why}"
		: "step $difference->{number}, $difference->{why}",
		($difference->{step} ? step_text($difference->{step}) : ()),
		@lines);
}

1;
