# Many clients do whatever comes to mind, on few backends, while backends end,
# settings change and the pooler itself is ended: each gets the answers to its
# own questions, nothing is run twice, what was acknowledged is there, and
# nothing is seen of what others left behind.
#
# POOLER_CHAOS_SECONDS says for how long, POOLER_SEED repeats the choices (but
# not, of course, their timing).

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use IO::Select;
use Leftovers qw(nothing_left own_descriptors);
use PoolerTest qw(start_node wait_for_pooler wait_until);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);
use WireClient qw(m_bind m_copy_data m_copy_done m_execute m_parse m_query
  m_sync m_terminate);

my $seconds = ($ENV{POOLER_CHAOS_SECONDS} || 16) * 0.75;
my $seed = $ENV{POOLER_SEED} || time ^ $$;
my @roles = map { "role_$_" } 1 .. 4;
my $crowd = 120;

srand($seed);
note "POOLER_SEED=" . int($seed);

my $node = start_node('random', conf => q{
max_connections = 60
pooler.max_client_conn = 400
pooler.max_backends = 12
pooler.default_pool_size = 4
pooler.server_lifetime = 2s
log_min_messages = log
});
my $admin = WireClient->new($node, port => $node->port);
$admin->query('CREATE TABLE journal (what text)');
$admin->query('GRANT ALL ON journal TO PUBLIC');
$admin->query("CREATE ROLE $_ LOGIN") for @roles;
WireClient->new($node, role => $_)->quit for @roles;
my $own;

my $restarts = 0;
my (@clients, %is_there, %may_be_there, @wrong, %count);
my $next_id = 0;

#----------------------------------------------------------------------------
# one client
#----------------------------------------------------------------------------

sub any { return $_[ rand @_ ] }

sub newcomer
{
	my $id = ++$next_id;
	my $client = WireClient->new($node, role => any(@roles),
		from => any('local', '127.0.0.1'), application_name => "client $id");

	$client->{id} = $id;
	$client->{got} = [];
	$client->{plan} = [];
	$client->{out} = '';
	$client->{then} = time + rand 0.05;
	return $client;
}

sub nonce
{
	my ($client) = @_;
	return "$client->{id}/" . ++$client->{nonces};
}

# Something that has not been inserted yet, and whether it is known to be.
sub insertion
{
	my ($client) = @_;
	my $what = nonce($client);
	$may_be_there{$what} = 1;
	return ($what, "INSERT INTO journal VALUES ('$what')");
}

# What other clients left: their names would show.
my $traces = q{
	SELECT current_setting('my.owner', true) FROM (VALUES (1)) AS v
	UNION SELECT relname FROM pg_class
		WHERE relnamespace = pg_my_temp_schema() AND relkind = 'r'
	UNION SELECT name FROM pg_prepared_statements
	UNION SELECT name FROM pg_cursors WHERE is_holdable
	UNION SELECT pg_listening_channels()
	UNION SELECT 'owner_' || objid FROM pg_locks
		WHERE locktype = 'advisory' AND pid = pg_backend_pid()
	UNION SELECT current_user WHERE current_user <> session_user};

# What a client can do: bytes, how many ReadyForQuery will come, and what they
# should be: texts with what comes in one line, or a function that is given
# them.
my @actions = (
	sub {
		my ($client) = @_;
		my $nonce = nonce($client);
		return (m_query("SELECT '$nonce'"), 1, "$nonce, SELECT 1, I");
	},
	sub {
		my ($client) = @_;
		my $nonce = nonce($client);
		return (m_parse('SELECT $1::text, pg_backend_pid() > 0') . m_bind('', [$nonce])
			  . m_execute() . m_sync(), 1, "parsed, bound, $nonce|t, SELECT 1, I");
	},
	# a batch of queries
	sub {
		my ($client) = @_;
		my @nonces = map { nonce($client) } 1 .. 1 + rand 5;
		return (join('', map { m_query("SELECT '$_'") } @nonces), scalar @nonces,
			join(', ', map { "$_, SELECT 1, I" } @nonces));
	},
	# a transaction at once
	sub {
		my ($client) = @_;
		my ($what, $insert) = insertion($client);
		return (m_query('BEGIN') . m_query($insert) . m_query('COMMIT'), 3,
			sub {
				$is_there{$what} = 1 if $_[0] =~ /COMMIT/;
				return $_[0] eq 'BEGIN, T, INSERT 0 1, T, COMMIT, I';
			});
	},
	# step by step
	sub {
		my ($client) = @_;
		my ($what, $insert) = insertion($client);
		my $xid;
		push @{ $client->{plan} },
		  [ m_query('SELECT txid_current()'), 1, sub { $xid = $_[0]; $xid =~ /, T$/ } ],
		  [ m_query($insert), 1, 'INSERT 0 1, T' ],
		  [ m_query('SELECT txid_current()'), 1, sub { $_[0] eq $xid } ],
		  rand() < 0.8
		  ? [ m_query('COMMIT'), 1, sub { $is_there{$what} = 1 if $_[0] eq 'COMMIT, I' } ]
		  : [ m_query('ROLLBACK'), 1,
			sub { delete $may_be_there{$what}; $_[0] eq 'ROLLBACK, I' } ];
		return (m_query('BEGIN'), 1, 'BEGIN, T');
	},
	# one that fails
	sub {
		my ($client) = @_;
		my ($what, $insert) = insertion($client);
		delete $may_be_there{$what};
		return (m_query("BEGIN; $insert; SELECT 1/0; COMMIT") . m_query('ROLLBACK'), 2,
			'BEGIN, INSERT 0 1, ERROR 22012: division by zero, E, ROLLBACK, I');
	},
	# several statements, one transaction
	sub {
		my ($client) = @_;
		my ($what, $insert) = insertion($client);
		return (m_query("$insert; SELECT '$what'"), 1,
			sub {
				$is_there{$what} = 1 if $_[0] =~ /I$/;
				return $_[0] eq "INSERT 0 1, $what, SELECT 1, I";
			});
	},
	# the unnamed statement goes with its client
	sub {
		my ($client) = @_;
		my $nonce = nonce($client);
		push @{ $client->{plan} },
		  [ m_bind() . m_execute() . m_sync(), 1, "bound, $nonce, SELECT 1, I" ];
		return (m_parse("SELECT '$nonce'") . m_sync(), 1, 'parsed, I');
	},
	# things that go with the client
	sub {
		my ($client) = @_;
		my $owner = "owner_$client->{id}";
		push @{ $client->{plan} },
		  [ m_query(q{SELECT current_setting('my.owner')}), 1, "$owner, SELECT 1, I" ],
		  [ m_query("EXECUTE $owner"), 1, "$client->{id}, SELECT 1, I" ];
		return (m_query("SET my.owner = '$owner'; SET statement_timeout = '1h';"
			  . "DEALLOCATE ALL; PREPARE $owner AS SELECT $client->{id}"), 1,
			'SET, SET, DEALLOCATE ALL, PREPARE, I');
	},
	# things with which the client keeps its backend, but not for long, since
	# others need one
	sub {
		my ($client) = @_;
		my $owner = "owner_$client->{id}";
		my @dirt = (
			"CREATE TEMP TABLE $owner (i int)",
			"LISTEN $owner",
			"SELECT pg_advisory_lock_shared($client->{id})",
			"BEGIN; DECLARE $owner CURSOR WITH HOLD FOR SELECT 1; COMMIT");
		push @{ $client->{plan} },
		  [ m_query("SELECT count(*) FROM ($traces) AS t (t) WHERE t = '$owner'"), 1, '1, SELECT 1, I' ],
		  [ m_query('DISCARD ALL'), 1, 'DISCARD ALL, I' ];
		return (m_query(any(@dirt)), 1, sub { $_[0] =~ /I$/ && $_[0] !~ /ERROR/ });
	},
	sub {
		my ($client) = @_;
		return (m_query("SELECT coalesce(string_agg(t, ' '), '') FROM ($traces) AS t (t)
				WHERE t <> '' AND t <> 'owner_$client->{id}'"), 1, ', SELECT 1, I');
	},
	# much of it
	sub {
		my ($client) = @_;
		my $nonce = nonce($client);
		my $n = int(rand(20000));
		return (m_query("SELECT repeat('$nonce', $n)"), 1,
			($nonce x $n) . ', SELECT 1, I');
	},
	sub {
		my ($client) = @_;
		my $text = nonce($client) x rand 5000;
		return (m_parse('SELECT $1') . m_bind('', [$text]) . m_execute() . m_sync(), 1,
			"parsed, bound, $text, SELECT 1, I");
	},
	sub {
		my ($client) = @_;
		my @what = map { (insertion($client))[0] } 1 .. 1 + rand 50;
		return (m_query('COPY journal FROM STDIN')
			  . join('', map { m_copy_data("$_\n") } @what)
			  . m_copy_done(), 1,
			sub {
				@is_there{@what} = (1) x @what if $_[0] =~ /I$/;
				return $_[0] eq 'copy in, COPY ' . @what . ', I';
			});
	},
	sub {
		my ($client) = @_;
		my $nonce = nonce($client);
		my $n = int(rand 500);
		return (m_query("COPY (SELECT '$nonce' FROM generate_series(1, $n)) TO STDOUT"), 1,
			'copy out, ' . "$nonce\n, " x $n . "copy done, COPY $n, I");
	},
	# the last one: cancelled, wherever it is, unless the pooler that knew it has
	# ended
	sub {
		my ($client) = @_;
		$client->{cancel_at} = time + rand 0.3;
		return (m_query('SELECT pg_sleep(' . ($restarts ? 2 : 1000) . ')'), 1,
			$restarts ? qr/^(ERROR 57014: canceling statement due to user request|, SELECT 1), I$/
			: qr/^ERROR 57014: canceling statement due to user request, I$/);
	});

#----------------------------------------------------------------------------
# what happens
#----------------------------------------------------------------------------

sub wrong
{
	my ($client, $got) = @_;
	my $wanted = $client->{wanted};
	push @wrong, "client $client->{id} got " . substr($got, 0, 300)
	  . ' wanted ' . (ref $wanted ? $wanted : substr($wanted, 0, 300));
}

# All bytes are sent with some care, since nobody reads meanwhile.
sub act
{
	my ($client, $ending) = @_;

	# some leave, in whatever state, but not in the middle of a long sleep, in
	# which the server would not notice
	if (!$ending && rand() < 0.02)
	{
		my $action = any(@actions[ 0 .. $#actions - 1 ]);
		$client->put(substr(($action->($client))[0], 0, rand 50)) if rand() < 0.3;
		my $how = any(qw(quit close reset));
		$client->$how;
		$count{left}++;
		return 0;
	}
	my $step = shift @{ $client->{plan} };
	my ($bytes, $answers, $wanted) = $step ? @$step : any(@actions)->($client);
	@$client{qw(out answers wanted)} = ($bytes, $answers, $wanted);
	$client->{then} = undef;
	$count{actions}++;
	return 1;
}

sub flush
{
	my ($client) = @_;
	local $SIG{PIPE} = 'IGNORE';

	$client->{sock}->blocking(0);
	my $n = syswrite($client->{sock}, $client->{out},
		rand() < 0.1 ? 1 + int rand 20 : length $client->{out});
	$client->{sock}->blocking(1);
	substr($client->{out}, 0, $n) = '' if $n;
	$client->{out} = '' if !$n && !$!{EAGAIN};
}

# Takes in what has come.  False if the client is no more.
sub listen_to
{
	my ($client) = @_;

	$client->{sock}->blocking(0);
	my $n = sysread($client->{sock}, $client->{in}, 1 << 18, length $client->{in});
	my $gone = !$n && (defined $n || !$!{EAGAIN});
	$client->{sock}->blocking(1);

	while (length $client->{in} >= 5
		&& length $client->{in} > unpack('x N', $client->{in}))
	{
		my ($type, $body) = $client->read_message;
		my $text = WireClient::text_of($type, $body);
		next if !defined $text || $type eq 'S' || $type eq 'A' || $type eq 'N';
		push @{ $client->{got} }, $text;
		next if $type ne 'Z' || --$client->{answers} > 0;
		answered($client, join(', ', @{ $client->{got} }));
		$client->{got} = [];
	}
	return 1 unless $gone;

	# It may have been told why, and it may have lost that on its way.
	my $last = $client->{got}[-1] // '';
	my $reason = $last =~ /^FATAL 57P01: terminating connection/ ? 'told' : 'not told';
	$count{$reason}++;
	push @wrong, "client $client->{id} got " . substr($last, 0, 300)
	  if $last =~ /^FATAL/ && $reason ne 'told';
	$client->close;
	return 0;
}

sub answered
{
	my ($client, $got) = @_;
	my $wanted = $client->{wanted};

	return wrong($client, $got) if defined $client->{then};    # to what?
	my $right =
	    ref $wanted eq 'CODE' ? $wanted->($got)
	  : ref $wanted ? $got =~ $wanted
	  : $got eq $wanted;
	wrong($client, $got) unless $right;
	delete $client->{cancel_at};
	$client->{then} = time + rand() * rand 0.1;
}

sub disturb
{
	my ($restart) = @_;

	if ($restart)
	{
		my $starts = $admin->value('SELECT starts FROM pooler.status');
		$admin->query('SELECT pg_terminate_backend(pid) FROM pooler.status');
		$admin->until("SELECT starts > $starts AND port IS NOT NULL FROM pooler.status", 't');
		wait_for_pooler($node);
		$count{restarts}++;
	}
	elsif (rand() < 0.8)
	{
		$admin->query(q{SELECT pg_terminate_backend(pid) FROM
			(SELECT pid FROM pooler.backends WHERE pid IS NOT NULL
			 ORDER BY random() LIMIT 1) AS b});
		$count{terminated}++;
	}
	else
	{
		$admin->query('ALTER SYSTEM SET pooler.default_pool_size = ' . int(1 + rand 5));
		$admin->query('ALTER SYSTEM SET pooler.reserve_pool_size = ' . int(rand 2));
		$admin->query('SELECT pg_reload_conf()');
		$count{reloads}++;
	}
}

sub hanging
{
	my ($client) = @_;
	return sprintf("client %d: %d bytes to send, got %s, wanted %s, the view says %s\n",
		$client->{id}, length $client->{out},
		substr(join(', ', @{ $client->{got} }), 0, 100), substr($client->{wanted}, 0, 100),
		$admin->query("SELECT * FROM pooler.clients WHERE application_name = 'client $client->{id}'"));
}

# One turn: whoever can be read is, whoever has something to say says it; in
# the end only what has been begun.
sub turn
{
	my ($ending) = @_;
	my %of = map { fileno($_->{sock}) => $_ } @clients;
	my ($readable, $writable) = IO::Select->select(
		IO::Select->new(map { $_->{sock} } @clients),
		IO::Select->new(map { $_->{sock} } grep { length $_->{out} } @clients),
		undef, 0.005);

	flush($of{ fileno $_ }) for @{ $writable // [] };
	my %gone;
	for my $sock (@{ $readable // [] })
	{
		my $client = $of{ fileno $sock };
		$gone{ $client->{id} } = 1 unless listen_to($client);
	}
	for my $client (@clients)
	{
		next if $gone{ $client->{id} };
		if (defined $client->{cancel_at} && $client->{cancel_at} < time)
		{
			my $other = RawClient->open($node);
			$other->send_raw(pack('NN', 16, 80877102) . $client->{key}) if $other;
			# and again, if it came too early
			$client->{cancel_at} = time + 0.5;
		}
		next if !defined $client->{then} || $client->{then} > time;
		next if $ending && !@{ $client->{plan} };
		$gone{ $client->{id} } = 1 unless act($client, $ending);
	}
	@clients = grep { !$gone{ $_->{id} } } @clients;
}

#----------------------------------------------------------------------------
# what is checked
#----------------------------------------------------------------------------

for (0, 1)
{
	$restarts = $_;
	my $until = time + $seconds / 2;
	my $disturbance = time + 0.5;
	my $restart = time + 1;
	my $name = $restarts ? 'with restarts of the pooler' : 'without restarts';

	%count = ();
	@wrong = ();
	$own //= own_descriptors($admin);
	while (time < $until)
	{
		push @clients, newcomer() while @clients < $crowd;
		turn();
		if ($restarts && time > $restart)
		{
			disturb(1);
			$restart = time + 2;
		}
		elsif (time > $disturbance)
		{
			disturb(0);
			$disturbance = time + rand 0.2;
		}
	}

	# who is in the middle of something gets to its end
	my $deadline = time + PoolerTest::TIMEOUT;
	my @hanging = @clients;
	while (@hanging && time < $deadline)
	{
		turn('ending');
		@hanging = grep { !defined $_->{then} || @{ $_->{plan} } } @clients;
	}
	is(scalar @hanging, 0, "$name: nobody hangs")
	  or diag(map { hanging($_) } @hanging);
	is(join("\n", @wrong), '', "$name: all answers are right");
	$_->quit for @clients;
	@clients = ();
	note join(', ', map { "$count{$_} $_" } sort keys %count);
	cmp_ok($count{actions}, '>', 100 * $seconds, "$name: there was something to do");
	cmp_ok($count{'not told'} // 0, '<=', 0.1 * ($count{told} // 0) + 5,
		"$name: who lost a backend knows why");

	nothing_left($admin, 0, $own, $name);
	my %found;
	$admin->put(m_query('SELECT what FROM journal'));
	for ($admin->replies)
	{
		$found{$_}++ if m{/};
	}
	is((grep { $found{$_} > 1 } keys %found), 0, "$name: nothing was done twice");
	is((grep { !$found{$_} } keys %is_there), 0, "$name: what was acknowledged is there");
	is((grep { !$may_be_there{$_} } keys %found), 0, "$name: and nothing that should not be");
}

is($node->safe_psql('postgres', 'SELECT starts > 1 FROM pooler.status'), 't',
	'the pooler has ended');
unlike(slurp_file($node->logfile), qr/PANIC|TRAP|terminated by signal|server process .* was terminated/,
	'no process has crashed');
$admin->quit;
$node->stop;
done_testing();
