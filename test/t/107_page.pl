# The page at / of the HTTP port, in a real browser: what it shows is what is
# the case, names that clients have chosen stay text, and it can be used with a
# keyboard, a screen reader, and on a phone.

use strict;
use warnings;
use utf8;

use FindBin;
use lib $FindBin::RealBin;

use Encode qw(encode_utf8);
use JSON::PP ();
use PoolerTest qw(becomes pooler_port start_node wait_for_pooler wait_until);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use WebDriver;
use WireClient;

# make test installs it, and does not go on without it.
plan skip_all => 'there is no chromedriver'
  if system('command -v chromedriver >/dev/null') != 0;

# Where the pictures go: they are for people.
my $pictures = $ENV{POOLER_SCREENSHOTS} // "$PostgreSQL::Test::Utils::tmp_check/page";
-d $pictures or mkdir $pictures or die "$pictures: $!";

# Names as somebody would choose them who wants the DBA's browser to do what he
# likes, and such as are not read from left to right.  NAMEDATALEN bounds them;
# the server makes names of applications ASCII.
my %hostile = (
	database => '<img src=x onerror="window.hacked=1">🐘',
	role => q{'"><script>window.hacked=2</script>} . "\N{U+05D0}\N{U+05D1}",
	waiting => q{"><svg onload=window.hacked=3> ' &amp; \\},
	leaking => '</td><b onclick=window.hacked=4>?</b>',
	reversed => "app\N{U+202E}gnp");

my $http_port = PostgreSQL::Test::Cluster::get_free_port();
my $node = start_node('page', conf => qq(
max_connections = 40
max_prepared_transactions = 0
pooler.default_pool_size = 4
pooler.max_client_conn = 200
pooler.http_port = $http_port
pooler.http_show_queries = on
pooler.leak_idle_in_transaction = 1s
pooler.leak_pool_held = 1s
pooler.query_wait_timeout = 0
));
my $url = "http://127.0.0.1:$http_port";

sub quoted { return '"' . $_[0] =~ s/"/""/gr . '"' }

sub sql { return $node->safe_psql('postgres', encode_utf8($_[0])) }

my ($database, $role) = (quoted($hostile{database}), quoted($hostile{role}));
sql('CREATE ROLE app LOGIN');
sql("CREATE ROLE $role LOGIN");
sql("ALTER ROLE $role SET pooler.default_pool_size = 1");
sql("CREATE DATABASE $database");
sql('CREATE ROLE ' . quoted($_) . ' LOGIN') for $hostile{reversed}, map { "crowd$_" } 1 .. 12;
$node->safe_psql(encode_utf8($hostile{database}), 'CREATE TABLE held (id int); GRANT INSERT ON held TO PUBLIC');

sub client
{
	my ($application, %options) = @_;
	return WireClient->new($node,
		database => encode_utf8($options{database} // $hostile{database}),
		role => encode_utf8($options{role} // $hostile{role}),
		from => '127.0.0.1',
		application_name => encode_utf8($application),
		client_encoding => 'UTF8');
}

# A pool for each of the crowd, so that not all are shown at first.
my @crowd = map { client('crowd', database => 'postgres', role => $_) }
  $hostile{reversed}, map { "crowd$_" } 1 .. 12;
$_->query('SELECT 1') for @crowd;

# One forgets to commit, and has all backends of its pool: two wait for it.
my $leaking = client($hostile{leaking});
is($leaking->query('BEGIN; INSERT INTO held VALUES (1)'), 'BEGIN, INSERT 0 1, T',
	'a client forgets to commit');
my @waiting = map { client($hostile{waiting}) } 1 .. 2;
$_->put(WireClient::m_query('SELECT 2')) for @waiting;

my $web = WebDriver->new("$PostgreSQL::Test::Utils::tmp_check/browser");
my $loads = 0;

# What an expression is in the page, and that it comes to be true there.
sub page { return $web->script("return $_[0]") }

sub shows
{
	my ($expression, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	ok(wait_until($name, sub { page("Boolean($expression)") }), $name)
	  or diag(encode_utf8(page('document.body.innerText')));
}

# As text, for a comparison in the page.
sub literal { return JSON::PP->new->ascii->allow_nonref->encode($_[0]) }

sub text_of { return "document.querySelector('$_[0]').textContent" }

#
# what is shown
#

$web->screen(1440, 900);
$web->go("$url/");
shows(q(document.querySelectorAll('#pools-rows tr').length > 0), 'pools are shown');
shows(text_of('#pools-rows') . '.includes(' . literal($hostile{database}) . ')', 'a pool, by its database');
shows(text_of('#pools-rows') . '.includes(' . literal($hostile{role}) . ')', 'and by its role');
is(page(q([...document.querySelectorAll('#pools-rows tr')].findIndex((row) => row.classList.contains('waits')))),
	0, 'the pool in which clients wait is the first');
like(page(text_of('#pools-rows tr .words')), qr/^1 at work, of 1$/, 'its backends, in words');
shows(q(document.querySelectorAll('#waiting-rows tr').length === 2), 'the clients that wait');
is(page(text_of('#waiting-rows bdi')), $hostile{waiting}, 'by their application');
like(page(text_of('#waiting-rows .where')), qr/^client \d+, 127\.0\.0\.1:\d+$/, 'and address');
like(page(text_of('#waiting-rows .num')), qr/^\d+(\.\d)? (ms|s)$|^\d+ min/, 'and for how long');

# Its transaction is one leak, and that nobody gets on in its pool another one.
shows(q(document.querySelectorAll('.leak').length === 2), 'leaks');
is(page(q([...document.querySelectorAll('.leak h3')].map((h) => h.textContent).sort().join())),
	'Idle in a transaction,Pool held, and nobody at work', 'of two kinds');
shows(q([...document.querySelectorAll('.leak .tag')].every((tag) => tag.textContent === 'critical')), 'how severe');
is(page(text_of('.leak .waits')), '2 clients wait for a backend of its pool', 'how many wait');
is(page(text_of('.leak .name bdi')), $hostile{leaking}, 'by its application');
like(page(text_of('.leak dl')), qr/RowExclusiveLock/, 'what it holds');
like(page(text_of('.leak dl')), qr/INSERT INTO held VALUES \(1\)/, 'its query');
like(page(text_of('.leak .remedy code')), qr/^SELECT pooler\.end_leaks\(id => \d+\);$/, 'and what ends it');

shows(q(/^(degraded|unhealthy)$/.test(document.getElementById('health-text').textContent)), 'health');
shows(q(document.querySelectorAll('#messages-list li').length > 0), 'with messages');
is(page(q(document.querySelectorAll('#pools-rows tr').length)), 10, 'ten pools at first');
shows(text_of('#pools-rows') . '.includes("app\\\\u202egnp")', 'what would turn text around is spelled out');


# There is something to be plotted.
my $load = client('load', database => 'postgres', role => 'app');
sub is_plotted
{
	my ($condition, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	ok( wait_until(
			$name,
			sub {
				$load->query('SELECT 3') for 1 .. 20;
				return page("Boolean($condition)");
			}), $name);
}
is_plotted(q(/^[1-9]/.test(document.querySelector('#figures .value').textContent)),
	'transactions per second');
is_plotted(q([...document.querySelectorAll('#plot-transaction-key b')].every((b) => /^\d.* (µs|ms|s)$/.test(b.textContent))),
	'percentiles of transactions');
is_plotted(q([...document.querySelectorAll('#plots path:not(.dots)')].some((path) => /L/.test(path.getAttribute('d')))),
	'a line is drawn');
like(page(text_of('#plot-transaction-words')), qr/^p99: now \d.*highest .*p95: .*p50: /,
	'the plot is told in words');
$web->screenshot("$pictures/wide.png");

my $bytes = page(q([...performance.getEntriesByType('resource'), ...performance.getEntriesByType('navigation')]
	.filter((e) => !e.name.endsWith('.json')).reduce((sum, e) => sum + e.decodedBodySize, 0)));
cmp_ok($bytes, '<', 40960, 'the page is small');
cmp_ok($bytes, '>', 20000, 'and measured');

#
# nothing but text
#

is(page('window.hacked === undefined'), JSON::PP::true, 'no script ran from names');
is(page(q(document.querySelectorAll('img, svg[onload], b[onclick], main script').length)), 0,
	'and no element was made of them');
is(join("\n", $web->console), '', 'nothing on the console');

# The policy is in force: what is injected does not run, and that is noticed.
page(q{document.head.appendChild(Object.assign(document.createElement('script'),
	{ textContent: 'window.hacked = 5' })) && 1});
is(page('window.hacked === undefined'), JSON::PP::true, 'an injected script does not run');
like(join("\n", $web->console), qr/Content Security Policy/, 'because of the policy');

#
# keyboard and screen reader
#

$web->go("$url/");
shows(q(document.querySelectorAll('.leak').length === 2 && document.querySelectorAll('#waiting-rows tr').length === 2), 'loaded again');
my %reached;
for (1 .. 40)
{
	$web->press("\N{U+E004}");    # Tab
	my $focused = page(q(((e) => e.id || e.className || e.getAttribute('href') || e.tagName)(document.activeElement)));
	last if $focused eq 'BODY' && $_ > 5;
	$reached{$focused} = $_;
}
ok($reached{$_}, "Tab reaches: $_") for qw(skip pause filter pools-all copy health metrics status.json);
cmp_ok($reached{pause}, '<', $reached{'pools-all'}, 'in the order of the page');

for (
	[ '#pools-table', 'table', qr/^Pools/ ],
	[ '#waiting-table', 'table', qr/^Clients that wait/ ],
	[ '#pause', 'button', qr/^Pause$/ ],
	[ '#filter', 'searchbox', qr/^Filter\s*$/ ],
	[ '#pools-all', 'button', qr/^Show all 15 pools$/ ],
	[ '.copy', 'button', qr/^Copy/ ],
	[ '#plots svg', 'image|img', qr/^Wait for a backend$/ ],
	[ 'main', 'main', qr// ],
	[ 'body > header', 'banner', qr// ],
	[ 'footer', 'contentinfo', qr// ],
	[ '#leaks', 'region', qr/^Leaks/ ])
{
	my ($selector, $role, $name) = @$_;
	my @is = $web->accessible($selector);
	like($is[0], qr/^($role)$/, "$selector is a $role");
	like($is[1], $name, "and has a name");
}
is(page(q([...document.querySelectorAll('button, a, input')].filter((e) =>
	!(e.textContent || (e.labels && e.labels[0].textContent)).trim()).length)), 0,
	'each control says what it is');

# What has the focus, and what it is in, stays where it is while all is asked
# again.
$web->script(q(document.querySelector('.copy').focus(); window.kept = document.activeElement;));
sub asked { return page(q(performance.getEntriesByType('resource').filter((e) => e.name.endsWith('/status.json')).length)) }
my $asked = asked();
ok(wait_until('asked again', sub { asked() >= $asked + 2 }), 'the page asks again');
is(page('window.kept === document.activeElement && window.kept.isConnected'), JSON::PP::true,
	'and keeps the focus');

$web->click('.copy');
shows(q(/^(Copied|Selected: press Ctrl\+C)$/.test(document.querySelector('.copied').textContent)), 'a statement is copied');

$web->click('#pause');
is(page(q(document.getElementById('pause').getAttribute('aria-pressed'))), 'true', 'the page is paused');
shows(q(/^Paused at /.test(document.getElementById('fresh-text').textContent)), 'and says so');
$web->click('#pause');
shows(q(/^Updated /.test(document.getElementById('fresh-text').textContent)), 'until it is to go on');

$web->click('#pools-all');
is(page(q(document.querySelectorAll('#pools-rows tr').length)), 15, 'all pools');
is(page(q(document.getElementById('pools-all').getAttribute('aria-expanded'))), 'true', 'on request');
$web->script(q(const f = document.getElementById('filter'); f.value = 'CROWD7'; f.dispatchEvent(new Event('input'));));
is(page(text_of('#pools-rows')) =~ /crowd7/ && page(q(document.querySelectorAll('#pools-rows tr').length)),
	1, 'or those of a name');
$web->script(q(const f = document.getElementById('filter'); f.value = ''; f.dispatchEvent(new Event('input'));));

#
# other screens
#

$web->media('prefers-color-scheme' => 'dark');
$web->screenshot("$pictures/dark.png");
my $dark = page(q(getComputedStyle(document.body).backgroundColor));
$web->media('prefers-color-scheme' => 'light');
isnt($dark, page(q(getComputedStyle(document.body).backgroundColor)), 'dark, if that is preferred');
$web->media('prefers-reduced-motion' => 'reduce');
is(page(q(getComputedStyle(document.querySelector('.part')).transitionDuration)), '0s',
	'no motion, if none is wanted');

$web->screen(360, 740);
shows('window.innerWidth === 360', 'a phone');
is(page(q(document.documentElement.scrollWidth)), 360, 'has nothing to scroll sideways');
is(page(q([...document.querySelectorAll('button')].filter((b) => b.offsetHeight > 0 && b.offsetHeight < 24).length)),
	0, 'and buttons that a finger can hit');
$web->screenshot("$pictures/phone.png");
$web->screen(1440, 900);

#
# contrast: of each text with what is behind it, light and dark
#

for my $scheme ('light', 'dark')
{
	$web->media('prefers-color-scheme' => $scheme);
	is_deeply($web->script(slurp_file("$FindBin::RealBin/contrast.js")), [],
		"all texts can be read ($scheme)");
}

#
# not asked, not answered
#

# A page that is not looked at does not ask.
$web->script(q(Object.defineProperty(document, 'hidden', { configurable: true, value: true });
	document.dispatchEvent(new Event('visibilitychange'));));
my $last = asked();
$web->command(POST => 'execute/async', { script => 'setTimeout(arguments[0], 7000)', args => [] });
cmp_ok(asked(), '<=', $last + 1, 'a page that is hidden does not ask');
$web->script(q(delete document.hidden; document.dispatchEvent(new Event('visibilitychange'));));
$last = asked();
ok(wait_until('asks again', sub { asked() > $last }), 'but as soon as it is seen');

is(join("\n", $web->console), '', 'still nothing on the console');

# The leak ends, and so do the waits.
is($leaking->query('COMMIT'), 'COMMIT, I', 'the client commits');
$_->replies for @waiting;
shows(q(document.querySelectorAll('.leak, #waiting-rows tr').length === 0), 'nobody waits, no leak');
shows(q(!document.getElementById('leaks-none').hidden && !document.getElementById('waiting-none').hidden),
	'and the page says so');
shows(q(/^No client waits. No leaks$/.test(document.getElementById('news').textContent)), 'to those who listen, too');

$node->stop;
shows(q(/can.t be reached/.test(document.getElementById('banner').textContent)), 'the server is away');
is(page(text_of('#health-text')), 'not known', 'then nothing is said of its health');
shows(q(/^Last answer .* ago$/.test(document.getElementById('fresh-text').textContent)), 'but how old all is');
$web->screenshot("$pictures/away.png");
$node->start;
wait_for_pooler($node);
shows(q(document.getElementById('banner').textContent === ''), 'the server is there again');
shows(q(document.getElementById('health-text').textContent !== 'not known'), 'and so is its health');

$web->quit;
$node->stop;
done_testing();
