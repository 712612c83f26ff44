# The dashboard for Grafana and the alerts for Prometheus: they are valid, each
# alert is raised when it should be, and each metric and label that they use
# exists in the answer of /metrics.

use strict;
use warnings;

use Cwd qw(abs_path);
use File::Basename qw(basename);
use FindBin;
use lib $FindBin::RealBin;

use HTTP::Tiny;
use JSON::PP ();
use PoolerTest qw(pooler_psql start_node);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# make test installs it, and does not go on without it.
plan skip_all => 'there is no promtool'
  if system('command -v promtool >/dev/null') != 0;

my $top = abs_path("$FindBin::RealBin/../..");
my $alerts = "$top/src/metrics/alerts.yml";
my $dashboard = JSON::PP->new->decode(slurp_file("$top/src/metrics/grafana-dashboard.json"));
my $tmp = $PostgreSQL::Test::Utils::tmp_check;

command_ok([ 'promtool', 'check', 'rules', '--lint-fatal', $alerts ], 'alerts.yml: valid');
command_ok([ 'promtool', 'test', 'rules', "$top/test/tools/alerts_test.yml" ],
	'alerts.yml: each alert is raised when it should be');

my @alerts = slurp_file($alerts) =~ /^      - alert: (.*?)(?=^      - alert: |\z)/msg;
my $manual = slurp_file("$top/README.md");
my $tests = slurp_file("$top/test/tools/alerts_test.yml");
for (@alerts)
{
	my ($name) = /^(\w+)/;
	like($_, qr/^        for: \d+[sm]$/m, "$name says for how long");
	like($_, qr/severity: (warning|critical)$/m, "$name has a severity");
	like($_, qr/summary: .*description: /s, "$name says what it is and what to do");
	like($tests, qr/alertname="$name"/, "$name is tested");
	like($manual, qr/^\|.*`$name`/m, "README.md has $name");
}

# make install puts them where README.md says.
my ($docs) = run_command([ 'pg_config', '--docdir' ]);
is(slurp_file("$docs/extension/" . basename($_)), slurp_file($_), basename($_) . ' is installed')
  for $alerts, "$top/src/metrics/grafana-dashboard.json";

# Everything below an object that has this key: [ object, ... ].
sub having
{
	my ($key, $value) = @_;
	return map { having($key, $_) } @$value if ref $value eq 'ARRAY';
	return () if ref $value ne 'HASH';
	return ((exists $value->{$key} ? $value : ()), map { having($key, $_) } values %$value);
}

# The dashboard as Grafana imports it.
my @panels = grep { $_->{type} ne 'row' } @{ $dashboard->{panels} };
my %ids = map { $_->{id} => 1 } @{ $dashboard->{panels} };
is(scalar keys %ids, scalar @{ $dashboard->{panels} }, 'dashboard: numbers of panels are unique');
cmp_ok($dashboard->{schemaVersion}, '>=', 38, 'dashboard: of Grafana 10');
is_deeply([ map { $_->{title} } grep { $_->{type} eq 'row' } @{ $dashboard->{panels} } ],
	[ 'Overview', 'Pools', 'Latency', 'Waiting', 'Logins', 'Backends', 'Leaks' ], 'dashboard: rows');
is_deeply([ map { $_->{name} } @{ $dashboard->{templating}{list} } ],
	[ 'datasource', 'instance', 'database', 'role' ], 'dashboard: variables');
is(scalar(grep { $_->{datasource}{uid} ne '${datasource}' } map { $_, @{ $_->{targets} } } @panels),
	0, 'dashboard: asks the data source that was chosen');
is(scalar(grep { !@{ $_->{targets} } } @panels), 0, 'dashboard: each panel asks something');

my @places;
for my $panel (@panels)
{
	my $at = $panel->{gridPos};
	for my $x ($at->{x} .. $at->{x} + $at->{w} - 1)
	{
		$places[$_][$x]++ for $at->{y} .. $at->{y} + $at->{h} - 1;
	}
}
is(scalar(grep { defined && $_ > 1 } map { @$_ } grep { defined } @places), 0,
	'dashboard: panels do not overlap');

# As Grafana would fill in the variables.
sub filled_in
{
	my ($expression) = @_;
	$expression =~ s/\$__(rate_)?interval/5m/g;
	$expression =~ s/\$(instance|database|role)\b/.*/g;
	return $expression;
}

my @in_dashboard = map { filled_in($_->{expr}) } having(expr => $dashboard);
cmp_ok(scalar @in_dashboard, '>', 40, 'dashboard: expressions');
append_to_file("$tmp/dashboard.yml", join("\n",
		"groups:\n- name: dashboard\n  rules:",
		map { my $quoted = $in_dashboard[$_] =~ s/'/''/gr; "  - record: e$_\n    expr: '$quoted'" }
		  0 .. $#in_dashboard));
command_ok([ 'promtool', 'check', 'rules', "$tmp/dashboard.yml" ], 'dashboard: expressions are valid');

# What there is: { metric => { label => { value => 1 } } }
my $http_port = PostgreSQL::Test::Cluster::get_free_port();
my $node = start_node('ready_made', conf => "pooler.http_port = $http_port\n");
pooler_psql($node, 'SELECT 1');
my $answer = HTTP::Tiny->new->get("http://127.0.0.1:$http_port/metrics");
is($answer->{status}, 200, '/metrics answers');

my %exists = (up => { instance => {}, job => {} });
for (grep { !/^#/ } split /\n/, $answer->{content})
{
	my ($metric, undef, $labels) = /^(\w+)(\{(.*)\})? /;
	my $known = $exists{$metric} //= { instance => {}, job => {} };
	while (($labels // '') =~ /(\w+)="((?:[^"\\]|\\.)*)"/g)
	{
		$known->{$1}{$2} = 1;
	}
}

my $uses = 0;
sub is_known
{
	my ($where, $expression) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my @unknown;

	while ($expression =~ /\b(pooler_\w+)(?:\{(.*?)\})?/g)
	{
		my ($metric, $matchers) = ($1, $2 // '');
		my $known = $exists{$metric};

		$uses++;
		push @unknown, $metric unless $known;
		while ($known && $matchers =~ /(\w+)\s*=(~?)\s*"([^"]*)"/g)
		{
			my ($label, $values) = ($1, $2 ? $3 : quotemeta $3);
			push @unknown, "$metric\{$label}" unless $known->{$label};
			push @unknown, "$metric\{$label=\"$3\"}"
			  unless !$known->{$label} || $values eq '.*' || grep { /^(?:$values)$/ } keys %{ $known->{$label} };
		}
	}
	is("@unknown", '', "$where: all exists in /metrics");
}

# Labels by which is grouped or joined, and those that texts show, as well.
sub labels_are_known
{
	my ($where, $expression, $text) = @_;
	my ($metric) = $expression =~ /\b(pooler_\w+)/ or return;
	my @labels = map { split /\s*,\s*/ } $expression =~ /\b(?:by|on|ignoring)\s*\(([^)]*)\)/g;

	push @labels, $text =~ /(?:\$labels\.|\{\{)(\w+)/g;
	my @unknown = grep { !$exists{$metric}{$_} } @labels;
	is("@unknown", '', "$where: labels of $metric");
}

for (@alerts)
{
	my ($name) = /^(\w+)/;
	my ($expression) = /^        expr: (.*?)^        for:/ms;
	is_known($name, $expression);
	labels_are_known($name, $expression =~ s/^\s*up == 0 and//r, $_);
}
for my $target (having(expr => \@panels))
{
	my $expression = filled_in($target->{expr});
	is_known("dashboard: $expression", $expression);
	labels_are_known("dashboard: $expression", $expression, $target->{legendFormat});
}
is_known("dashboard: $_->{name}", filled_in($_->{expr})) for grep { $_->{expr} } @{ $dashboard->{annotations}{list} };
is_known("dashboard: $_->{name}", filled_in($_->{definition})) for grep { $_->{definition} } @{ $dashboard->{templating}{list} };
cmp_ok($uses, '>', 90, 'metrics are used');

$node->stop;
done_testing();
