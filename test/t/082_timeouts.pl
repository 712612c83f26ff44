# Timeouts: each acts on the client that it is meant for, with its SQLSTATE, and
# nobody else is hurt.
#
# What must happen may take as long as the machine likes; what must not happen
# is given several times the limit to happen in.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use PoolerTest qw(becomes log_size logged start_node wait_until);
use RawClient;
use Test::More;
use Time::HiRes;
use WireClient qw(exchange m_bind m_copy_data m_copy_done m_execute m_parse m_query m_sync);

my $node = start_node('timeouts',
	conf => "max_connections = 60\npooler.default_pool_size = 5\n");
my $admin = WireClient->new($node, port => $node->port);

for (qw(arm release))
{
	$admin->query(
		"CREATE FUNCTION debug_$_(text) RETURNS void AS 'pooler', 'pooler_debug_$_' LANGUAGE C STRICT");
}
$admin->query(
	"CREATE FUNCTION debug_waiting(text) RETURNS int AS 'pooler', 'pooler_debug_waiting' LANGUAGE C STRICT");
$admin->query('CREATE TABLE wrote (what text)');
$admin->query('GRANT ALL ON wrote TO public');

# A role, and so a pool, of its own, with these settings.
sub role
{
	my ($role, %settings) = @_;
	$admin->query("CREATE ROLE $role LOGIN");
	$admin->query("ALTER ROLE $role SET $_ = '$settings{$_}'") for sort keys %settings;
	return $role;
}

sub client
{
	my ($role, %options) = @_;
	return WireClient->new($node, role => $role, %options);
}

sub server
{
	my (%settings) = @_;
	for (sort keys %settings)
	{
		$admin->query(defined $settings{$_} ? "ALTER SYSTEM SET $_ = '$settings{$_}'" :
			"ALTER SYSTEM RESET $_");
	}
	$admin->query('SELECT pg_reload_conf()');
}

sub stat_of
{
	my ($role, $column) = @_;
	return $admin->value("SELECT $column FROM pooler.stats WHERE role = '$role'");
}

sub until_admin
{
	my ($sql, $wanted, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	ok($admin->until($sql, $wanted), $name)
	  or diag($admin->query('SELECT * FROM pooler.clients'),
		$admin->query('SELECT * FROM pooler.backends'));
}

# The only client of the role has been in this state for so long.
sub stays
{
	my ($role, $state, $seconds) = @_;
	return $admin->until(
		"SELECT count(*) FROM pooler.clients WHERE role = '$role' AND state = '$state'"
		  . " AND state_since < clock_timestamp() - interval '$seconds s'", '1');
}

# Its backend has been idle in a transaction for so long.
sub stays_in_transaction
{
	my ($role, $seconds) = @_;
	return $admin->until(
		"SELECT count(*) FROM pg_stat_activity WHERE usename = '$role'"
		  . " AND state = 'idle in transaction'"
		  . " AND state_change < clock_timestamp() - interval '$seconds s'", '1');
}

sub waiting
{
	my ($role, $n) = @_;
	return $admin->until(
		"SELECT count(*) FROM pooler.clients WHERE role = '$role' AND state = 'waiting'", $n);
}

# The answer, and whether it came no sooner than that.
sub timed
{
	my ($client, $seconds, @messages) = @_;
	my $start = Time::HiRes::time();

	$client->put(@messages);
	my $reply = $client->reply;
	return ($reply, Time::HiRes::time() - $start >= $seconds);
}

my $canceled = 'ERROR 57014: canceling statement due to pooler.query_timeout';

#----------------------------------------------------------------------------
# query_timeout
#----------------------------------------------------------------------------
{
	my $short = role('short', 'pooler.query_timeout' => '300ms');
	my $free = role('free');
	my $client = client($short);
	my ($reply, $late) = timed($client, 0.3, m_query('SELECT pg_sleep(1000)'));

	is($reply, "$canceled, I", 'query_timeout cancels a command');
	ok($late, 'not too early');
	is($client->query('SELECT 1'), '1, SELECT 1, I', 'the connection goes on');

	# in a block, by the extended protocol
	is($client->query('BEGIN'), 'BEGIN, T', 'a block');
	($reply, $late) = timed($client, 0.3,
		m_parse('SELECT pg_sleep($1::int)'), m_bind('', [1000]), m_execute(), m_sync());
	is($reply, "parsed, bound, $canceled, E", 'a command of the extended protocol');
	ok($late, 'not too early');
	is($client->query('ROLLBACK'), 'ROLLBACK, I', 'and the block goes on');
	is(stat_of($short, 'query_timeouts'), '2', 'both are counted');

	# at the same time: another client of the pool, another pool
	my ($below, $stranger) = (client($short), client($free));
	is_deeply(
		[ exchange([ $client, m_query('SELECT pg_sleep(1000)') ],
				[ $below, m_query('SELECT 2') ],
				[ $stranger, m_query('SELECT 3 FROM pg_sleep(1)') ]) ],
		[ [ $canceled, 'I' ], [ '2', 'SELECT 1', 'I' ], [ '3', 'SELECT 1', 'I' ] ],
		'nobody else is hurt');
	$_->quit for $client, $below, $stranger;

	# COPY waits for data: as with statement_timeout, the cancel is found when
	# some come
	$client = client($short);
	$client->put(m_query('COPY wrote FROM STDIN'));
	is($client->reply('G'), 'copy in', 'COPY has begun');
	until_admin("SELECT query_timeouts FROM pooler.stats WHERE role = '$short'", '4',
		'the time for which COPY waits counts');
	$client->put(m_copy_data("x\n"), m_copy_done());
	is($client->reply, "$canceled, I", 'COPY is canceled');
	$client->quit;

	# other reasons keep their words
	my $other = client(role('other', 'pooler.query_timeout' => '100s', statement_timeout => '300ms'));
	is($other->query('SELECT pg_sleep(1000)'),
		'ERROR 57014: canceling statement due to statement timeout, I',
		'statement_timeout says so');
	is($other->query('SET statement_timeout = 0'), 'SET, I', 'without it');
	$other->put(m_query('SELECT pg_sleep(1000)'));
	$admin->until("SELECT count(*) FROM pg_stat_activity WHERE usename = 'other' AND wait_event = 'PgSleep'", '1');
	$other->cancel;
	is($other->reply, 'ERROR 57014: canceling statement due to user request, I',
		'and so does a cancel request');
	$other->quit;

	# each command counts by itself, and not what is between them
	my $several = role('several', 'pooler.query_timeout' => '1500ms');
	$client = client($several);
	$client->query('BEGIN');
	is($client->query('SELECT 1 FROM pg_sleep(0.6)'), '1, SELECT 1, T', "command $_")
	  for 1 .. 3;
	ok(stays_in_transaction($several, 3), 'idle in transaction for longer');
	is($client->query('SELECT 2'), '2, SELECT 1, T', 'idle time does not count');
	is($client->query('SELECT 1 FROM pg_sleep(0.6);' x 3), join(', ', ('1, SELECT 1') x 3, 'T'),
		'statements of one message count by themselves');
	is($client->query('COMMIT'), 'COMMIT, I', 'end');
	is(stat_of($several, 'query_timeouts'), '0', 'nothing was canceled');
	$client->quit;
}

# The pooler has decided to cancel a command, which then ends by itself; the
# next one of the same transaction must not be hit.  And the same for the next
# transaction.
for my $block (1, 0)
{
	my $race = role("race$block", 'pooler.query_timeout' => '700ms');
	my $client = client($race);

	$client->query('BEGIN') if $block;
	$admin->query('SELECT pg_advisory_lock(1)');
	$client->put(m_query('SELECT pg_advisory_xact_lock_shared(1)'));
	$admin->until("SELECT count(*) FROM pg_stat_activity WHERE usename = '$race' AND wait_event_type = 'Lock'", '1');
	$admin->query(q{SELECT debug_arm('cancelling')});
	ok($admin->until(q{SELECT debug_waiting('cancelling') > 0}, 't'),
		'the pooler is about to cancel a command');
	if ($block)
	{
		$admin->query('SELECT pg_advisory_unlock(1)');
		like($client->reply, qr/, SELECT 1, T$/, 'that has ended');
		$client->put(m_query('SELECT 2 FROM pg_sleep(0.3)'));
		$admin->until("SELECT count(*) FROM pg_stat_activity WHERE usename = '$race' AND wait_event = 'PgSleep'", '1');
	}
	else
	{
		# sent together, so that the backend goes on without leaving BUSY
		$client->put(m_query('SELECT 2 FROM pg_sleep(0.3)'));
		$admin->query('SELECT pg_advisory_unlock(1)');
		like($client->reply, qr/, SELECT 1, I$/, 'that has ended');
	}
	$admin->query(q{SELECT debug_release('cancelling')});
	like($client->reply, qr/^2, SELECT 1, /, 'the next one is not canceled');
	is(stat_of($race, 'query_timeouts'), '0', 'nothing is counted');
	is($client->query('ROLLBACK'), 'ROLLBACK, I', 'and the client goes on') if $block;
	$client->quit;
}

#----------------------------------------------------------------------------
# precedence, and changes while clients are connected
#----------------------------------------------------------------------------
{
	$admin->query('CREATE DATABASE aside');
	$admin->query(q{ALTER DATABASE aside SET pooler.query_timeout = 0});
	server('pooler.query_timeout' => '250ms');
	my $plain = role('plain');
	my $own = role('own', 'pooler.query_timeout' => '200ms');
	my $both = role('pair', 'pooler.query_timeout' => '300ms');
	$admin->query(q{ALTER ROLE pair IN DATABASE aside SET pooler.query_timeout = 0});
	my $sleep = 'SELECT 1 FROM pg_sleep(1)';

	ok(wait_until('the setting is in force', sub {
				my $client = client($plain);
				my $answer = $client->value($sleep);
				$client->quit;
				return $answer eq $canceled;
			}), 'the setting of the server');
	my %in_aside = map { $_ => client($_, database => 'aside') } $plain, $own, $both;
	is($in_aside{$plain}->value($sleep), '1', "the database's own comes before it: 0 is off");
	is($in_aside{$own}->value($sleep), $canceled, "the role's own comes before the database's");
	is($in_aside{$both}->value($sleep), '1', 'what a role has in a database comes first');

	$admin->query(q{ALTER ROLE plain SET pooler.query_timeout = '0.2'});
	ok(wait_until('the setting is in force',
			sub { $in_aside{$plain}->value($sleep) eq $canceled }),
		'ALTER ROLE reaches clients that are connected');
	$admin->query(q{ALTER ROLE plain SET pooler.query_timeout = 0});
	ok(wait_until('the setting is in force',
			sub { $in_aside{$plain}->value($sleep) eq '1' }), 'and takes it back');
	$_->quit for values %in_aside;

	my $client = client(role('follows'));
	is($client->value($sleep), $canceled, 'the setting of the server');
	server('pooler.query_timeout' => undef);
	ok(wait_until('the setting is in force', sub { $client->value($sleep) eq '1' }),
		'a reload turns it off');
	server('pooler.query_timeout' => '300ms');
	ok(wait_until('the setting is in force', sub { $client->value($sleep) eq $canceled }),
		'and on');
	server('pooler.query_timeout' => undef);
	$client->quit;
}

#----------------------------------------------------------------------------
# transaction_timeout
#----------------------------------------------------------------------------
{
	my $ended = 'FATAL 25P04: terminating connection due to pooler.transaction_timeout';
	my $long = role('long', 'pooler.transaction_timeout' => '400ms');
	my ($client, $below) = (client($long), client($long));
	my $stranger = client('free');

	$client->query('BEGIN');
	$client->query(q{INSERT INTO wrote VALUES ('long')});
	is_deeply(
		[ exchange([ $client, m_query('SELECT pg_sleep(1000)') ],
				[ $below, m_query('SELECT 2') ],
				[ $stranger, m_query('SELECT 3 FROM pg_sleep(1)') ]) ],
		[ [ $ended, 'eof' ], [ '2', 'SELECT 1', 'I' ], [ '3', 'SELECT 1', 'I' ] ],
		'transaction_timeout ends a client and nobody else');
	is($admin->value(q{SELECT count(*) FROM wrote WHERE what = 'long'}), '0',
		'its transaction is rolled back');
	is($below->query('SELECT 4'), '4, SELECT 1, I', 'its pool goes on');
	my ($reply, $late) = timed($below, 0.4, m_query('SELECT pg_sleep(1000)'));
	is($reply, "$ended, eof", 'a single statement is a transaction');
	ok($late, 'not too early');

	$client = client($long);
	$client->query('BEGIN');
	is($client->reply, "$ended, eof", 'idle time counts, too');
	until_admin("SELECT transaction_timeouts FROM pooler.stats WHERE role = '$long'", '3',
		'all are counted');

	# a command comes after a long idleness; the pooler looks at that moment
	my $late_one = role('late', 'pooler.transaction_timeout' => '8s');
	my $other = client('free');
	my $id = $admin->value('SELECT max(id) FROM pooler.clients');
	$client = client($late_one);
	$client->query('SELECT 1');
	ok(stays($late_one, 'idle', 9), 'idle for longer than transaction_timeout');
	$admin->query(q{SELECT debug_arm('resumed')});
	$client->put(m_query('SELECT 2'));
	ok($admin->until(q{SELECT debug_waiting('resumed')}, '1'), 'a command comes');
	is($admin->value("SELECT pooler.kill_client($id)"), '', 'the pooler has looked at all');
	$admin->query(q{SELECT debug_release('resumed')});
	is($client->reply, '2, SELECT 1, I', 'who had been idle is not ended for that');
	$client->quit;

	my $chain = role('chain', 'pooler.transaction_timeout' => '1500ms');
	$client = client($chain);
	$client->put(map { m_query('SELECT 1 FROM pg_sleep(0.6)') } 1 .. 4);
	is($client->reply, '1, SELECT 1, I', "transaction $_ of a pipeline") for 1 .. 4;
	ok(stays($chain, 'idle', 3), 'idle for longer');
	is($client->query('SELECT 1'), '1, SELECT 1, I', 'what lies between does not count');
	$client->quit;
	$stranger->quit;
}

#----------------------------------------------------------------------------
# idle_transaction_timeout
#----------------------------------------------------------------------------
{
	my $ended = 'FATAL 25P03: terminating connection due to pooler.idle_transaction_timeout';
	my $holds = role('holds', 'pooler.idle_transaction_timeout' => '400ms');
	my ($client, $idle) = (client($holds), client($holds));

	$idle->query('SELECT 1');
	my ($reply, $late) = timed($client, 0.4, m_query('BEGIN'),
		m_query(q{INSERT INTO wrote VALUES ('holds')}));
	is($client->reply, 'INSERT 0 1, T', 'a transaction');
	is($client->reply, "$ended, eof", 'idle_transaction_timeout ends the client');
	is($admin->value(q{SELECT count(*) FROM wrote WHERE what = 'holds'}), '0',
		'its transaction is rolled back');
	is($idle->query('SELECT 1'), '1, SELECT 1, I', 'not one that is idle outside of one');
	$idle->quit;
	$client = client($holds);
	$client->query('BEGIN');
	is($client->query('SELECT x'), 'ERROR 42703: column "x" does not exist, E', 'one that has failed');
	is($client->reply, "$ended, eof", 'counts as well');
	until_admin("SELECT idle_transaction_timeouts FROM pooler.stats WHERE role = '$holds'", '2',
		'both are counted');

	# a command that says nothing for long is not idle
	my $works = role('works', 'pooler.idle_transaction_timeout' => '1500ms');
	$client = client($works);
	$client->put(m_query('BEGIN'), m_query('DO $$BEGIN PERFORM pg_sleep(4); END$$'),
		m_query('COMMIT'));
	is($client->reply, 'BEGIN, T', 'a transaction');
	is($client->reply, 'DO, T', 'works for longer');
	is($client->reply, 'COMMIT, I', 'and ends');
	$client->quit;
}

# The pooler has decided to end a client that is idle in its transaction, and
# which then goes on.
{
	my $wakes = role('wakes', 'pooler.idle_transaction_timeout' => '1s');
	my $client = client($wakes);

	$client->query('BEGIN');
	$admin->query(q{SELECT debug_arm('cancelling')});
	ok($admin->until(q{SELECT debug_waiting('cancelling') > 0}, 't'),
		'the pooler is about to end a client');
	$client->put(m_query('DO $$BEGIN PERFORM pg_sleep(0.3); END$$'), m_query('COMMIT'));
	$admin->until("SELECT count(*) FROM pg_stat_activity WHERE usename = '$wakes' AND wait_event = 'PgSleep'", '1');
	$admin->query(q{SELECT debug_release('cancelling')});
	is($client->reply, 'DO, T', 'a command came in time');
	is($client->reply, 'COMMIT, I', 'and the transaction ends');
	$client->quit;
}

#----------------------------------------------------------------------------
# client_idle_timeout
#----------------------------------------------------------------------------
{
	my $ended = 'FATAL 57P05: terminating connection due to pooler.client_idle_timeout';
	my $sleepy = role('sleepy', 'pooler.client_idle_timeout' => '600ms');
	my $stranger = client('free');
	$stranger->query('SELECT 1');

	my $start = Time::HiRes::time();
	my $client = client($sleepy);
	is($client->reply, "$ended, eof", 'a client that has just logged in');
	ok(Time::HiRes::time() - $start >= 0.6, 'not too early');

	$client = client($sleepy);
	my $pid = $client->value('SELECT pg_backend_pid()');
	is($client->reply, "$ended, eof", 'one that lingers');
	is($admin->value("SELECT count(*) FROM pg_stat_activity WHERE pid = $pid"), '1',
		'its backend stays');

	$client = client($sleepy);
	$client->query('CREATE TEMPORARY TABLE t()');
	is($client->reply, "$ended, eof", 'one that is pinned');
	until_admin("SELECT client_idle_timeouts FROM pooler.stats WHERE role = '$sleepy'", '3',
		'all are counted');

	$client = client($sleepy);
	$client->put(m_query('BEGIN'));
	is($client->reply, 'BEGIN, T', 'in a transaction');
	ok(stays_in_transaction($sleepy, 2), 'for longer');
	is($client->query('COMMIT'), 'COMMIT, I', 'a client is not idle in this sense');
	is($client->reply, "$ended, eof", 'after it, it is');
	is($stranger->query('SELECT 1'), '1, SELECT 1, I', 'other pools are not hurt');
	$stranger->quit;

	# who waits is not idle
	my $queues = role('queues', 'pooler.client_idle_timeout' => '600ms',
		'pooler.default_pool_size' => 1);
	my ($holder, $waits) = (client($queues), client($queues));
	$holder->query('BEGIN');
	$waits->put(m_query('SELECT 1'));
	ok(stays($queues, 'waiting', 2), 'one that waits for a backend');
	$holder->query('COMMIT');
	is($waits->reply, '1, SELECT 1, I', 'is not idle');
	is($holder->reply, "$ended, eof", 'the others are');
	is($waits->reply, "$ended, eof", 'and it is in the end');
}

#----------------------------------------------------------------------------
# idle_session_timeout of clients that no backend has
#----------------------------------------------------------------------------
{
	my $ended = 'FATAL 57P05: terminating connection due to idle-session timeout';
	my $dozes = role('dozes', idle_session_timeout => '500ms');
	my ($client, $other) = (client($dozes), client($dozes, options => '-c idle_session_timeout=0'));

	is($client->reply, "$ended, eof", "the role's default, before the first transaction");
	$client = client($dozes);
	$client->query('SELECT 1');
	is($client->reply, "$ended, eof", 'and after it');
	is($other->query('SELECT 1'), '1, SELECT 1, I', 'not who has asked for another value');
	$other->quit;

	$client = client('free', options => '-c idle_session_timeout=500ms');
	$other = client('free');
	is($client->reply, "$ended, eof", 'a value asked for when connecting');
	$client = client('free');
	$client->query(q{SET idle_session_timeout = '400ms'});
	is($client->reply, "$ended, eof", 'a value that is set');
	$client = client('free');
	$client->query(q{SET idle_session_timeout = '400ms'; CREATE TEMPORARY TABLE t()});
	is($client->reply, "$ended, eof", 'of a pinned client');
	is($other->query('SELECT 1'), '1, SELECT 1, I', 'others are not hurt');

	server(idle_session_timeout => '500ms');
	is($other->reply, "$ended, eof", 'a reload is for clients that are idle, too');
	server(idle_session_timeout => undef);
	becomes($node, 'SHOW idle_session_timeout', '0', 'taken back');
	$admin->quit;
	$admin = WireClient->new($node, port => $node->port);
}

#----------------------------------------------------------------------------
# query_wait_timeout, query_wait_notify
#----------------------------------------------------------------------------
{
	my $crowd = role('crowd', 'pooler.default_pool_size' => 1,
		'pooler.query_wait_timeout' => '500ms', 'pooler.query_wait_notify' => 0);
	my ($holder, $waits, $idle) = map { client($crowd) } 1 .. 3;

	$holder->query('BEGIN');
	my ($reply, $late) = timed($waits, 0.5, m_query('SELECT 1'));
	is( $reply,
		'FATAL 53300: terminating connection because no backend became free in time'
		  . ' DETAIL: pooler.query_wait_timeout has passed., eof',
		'query_wait_timeout of a role ends a client');
	ok($late, 'not too early');
	is($holder->query('COMMIT'), 'COMMIT, I', 'who has the backend goes on');
	is($idle->query('SELECT 1'), '1, SELECT 1, I', 'and so does who did not wait');
	is(stat_of($crowd, 'wait_timeouts'), '1', 'it is counted');
	$_->quit for $holder, $idle;

	# 0 is off, whatever the server's is
	my $patient = role('patient', 'pooler.default_pool_size' => 1,
		'pooler.query_wait_timeout' => 0, 'pooler.query_wait_notify' => '300ms');
	server('pooler.query_wait_timeout' => '400ms');
	my @clients = map { client($patient) } 1 .. 3;
	($holder, $waits, my $behind) = @clients;
	$holder->query('BEGIN');
	$waits->put(m_query("INSERT INTO wrote VALUES ('first')"));
	waiting($patient, 1);
	$behind->put(m_query("INSERT INTO wrote VALUES ('second')"));
	my $notice = qr/^NOTICE 00000: waiting for a backend DETAIL: Clients of the pool that wait: \d+; backends: 1\.$/;
	like($waits->reply('N'), $notice, 'query_wait_notify tells a client that it waits');
	like($behind->reply('N'), $notice, 'and another one');
	until_admin(
		"SELECT count(*) FROM pooler.clients WHERE role = '$patient' AND wait > '1.5 s'", '2',
		'both go on waiting');
	$holder->query('COMMIT');
	is($waits->reply, 'INSERT 0 1, I', 'it is told once');
	is($behind->reply, 'INSERT 0 1, I', 'each of them');
	is($admin->value("SELECT string_agg(what, ' ' ORDER BY ctid) FROM wrote"), 'first second',
		'they keep their places');
	is(stat_of($patient, 'wait_notices || $$ $$ || wait_timeouts'), '2 0', 'they are counted');
	$holder->query('BEGIN');
	$waits->put(m_query('SELECT 1'));
	like($waits->reply('N'), $notice, 'each wait has a notice of its own');
	$holder->query('COMMIT');
	is($waits->reply, '1, SELECT 1, I', 'and ends');
	server('pooler.query_wait_timeout' => undef);
	$_->quit for @clients;
}

# Many notices while backends take clients from the queue: nobody is forgotten.
{
	my $busy = role('busy', 'pooler.default_pool_size' => 2,
		'pooler.query_wait_notify' => '1ms');
	my @clients = map { client($busy) } 1 .. 40;
	my @answers = exchange(map { [ $_, m_query('SELECT 1 FROM pg_sleep(0.01)') x 1 ] } @clients);

	is_deeply(
		[ map { join ', ', grep { !/^NOTICE/ } @$_ } @answers ],
		[ ('1, SELECT 1, I') x 40 ], 'all clients are served');
	$_->quit for @clients;
}

#----------------------------------------------------------------------------
# cancel_wait_timeout
#----------------------------------------------------------------------------
{
	my $slow = role('slow', 'pooler.default_pool_size' => 1);
	my ($holder, $client) = (client($slow), client($slow));

	for my $limit ('300ms', '0')
	{
		server('pooler.cancel_wait_timeout' => $limit);
		$admin->until('SHOW pooler.cancel_wait_timeout', $limit);
		$holder->query('BEGIN');
		$client->put(m_query('SELECT 1'));
		waiting($slow, 1);
		$admin->query(q{SELECT debug_arm('popped')});
		$holder->query('COMMIT');
		$admin->until(q{SELECT debug_waiting('popped') > 0}, 't');
		my $offset = log_size($node);
		$client->cancel;
		if ($limit eq '0')
		{
			until_admin('SELECT pg_sleep(1) IS NOT NULL', 't', 'some time goes by');
		}
		else
		{
			logged($node, $offset,
				qr/dropped a cancel request that waited longer than pooler.cancel_wait_timeout/,
				'a cancel request that waits for its client is dropped');
		}
		$admin->query(q{SELECT debug_release('popped')});
		is( $client->reply,
			$limit eq '0' ? 'ERROR 57014: canceling statement due to user request, I' :
			  '1, SELECT 1, I',
			$limit eq '0' ? 'without the timeout it acts' : 'and its command is run');
	}
	server('pooler.cancel_wait_timeout' => undef);
	$_->quit for $holder, $client;
}

#----------------------------------------------------------------------------
# pool_idle_timeout
#----------------------------------------------------------------------------
{
	my $leaves = role('leaves', 'pooler.server_idle_timeout' => '100ms',
		'pooler.default_pool_size' => 3);
	my $stays = role('stays', 'pooler.server_idle_timeout' => '100ms');
	my ($client, $other) = (client($leaves), client($stays));

	$client->query('SELECT 1') for 1 .. 5;
	server('pooler.pool_idle_timeout' => '500ms');
	$client->quit;
	until_admin("SELECT count(*) FROM pooler.pools WHERE role = '$leaves'", '0',
		'a pool without clients and backends is forgotten');
	is($admin->value("SELECT clients FROM pooler.pools WHERE role = '$stays'"), '1',
		'not one that has a client');
	is($admin->value('SELECT (SELECT transactions FROM pooler.status) >= sum(transactions) + 5 FROM pooler.stats WHERE role IS NOT NULL'),
		't', 'the totals keep what it has counted');

	# what it had of its own is asked for again
	$client = client($leaves);
	until_admin("SELECT size FROM pooler.pools WHERE role = '$leaves'", '3',
		'it comes back with what it has of its own');
	is($client->query('SELECT 1'), '1, SELECT 1, I', 'and works');
	server('pooler.pool_idle_timeout' => undef);
	$client->quit;
	until_admin("SELECT backends FROM pooler.pools WHERE role = '$leaves'", '0', 'it is empty again');
	is($other->query('SELECT pg_sleep(1) IS NULL'), 'f, SELECT 1, I', 'for longer');
	is($admin->value("SELECT count(*) FROM pooler.pools WHERE role = '$leaves'"), '1', '0 is never');
	$other->quit;
}

until_admin('SELECT count(*) FROM pooler.clients', '0', 'no client is left over');
$admin->quit;
$node->stop;
done_testing();
