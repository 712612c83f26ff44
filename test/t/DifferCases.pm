# DifferCases.pm
#
# The named sequences of the differential test: one or more for each kind of
# state of a session, and each difference that random sequences ever found.
# Each name says what must not be noticed.
#
# Unless a case says otherwise, it has two clients of the role diff_super, and is
# run in a pool of one and in a pool of two.

package DifferCases;

use strict;
use warnings;

use Exporter 'import';

our @EXPORT_OK = qw(cases);

my $settings = q{SELECT name, setting, source, reset_val FROM pg_settings WHERE name IN
('search_path', 'TimeZone', 'DateStyle', 'IntervalStyle', 'application_name', 'client_encoding',
'work_mem', 'extra_float_digits', 'statement_timeout', 'bytea_output') OR name LIKE 'app.%'
ORDER BY name COLLATE "C"};
my $statements = q{SELECT name, statement, parameter_types, from_sql FROM pg_prepared_statements
ORDER BY name COLLATE "C"};
my $who = 'SELECT current_user, session_user';
my $look = [ P => '', q{SELECT current_setting('TimeZone'), current_setting('app.one', true),
current_setting('work_mem')} ];
my @look = ($look, [ B => '', '', [] ], [ D => 'P', '' ], [ E => '' ], ['S']);

# Shorthands: Bind, Execute; and these with Sync.
sub be { return ([ B => '', @_ ], [ E => '' ]) }
sub bes { return (be(@_), ['S']) }

my @settings_cases = (
	{
		name => 'SET is kept, and not seen by others',
		steps => [
			[ 1, q{SET "TimeZone" = 'Asia/Tokyo'; SET work_mem = '5MB'; SET app.one = 'of 1'} ],
			[ 2, $settings ], [ 1, $settings ],
			[ 2, q{SET "TimeZone" = 'America/New_York'; SET DateStyle = 'German'} ],
			[ 1, $settings ], [ 2, $settings ],
			[ 1, q{SELECT '2020-01-02 03:04:05+00'::timestamptz} ],
			[ 2, q{SELECT '2020-01-02 03:04:05+00'::timestamptz} ],
		]
	},
	{
		name => 'SET to the default is still a session setting',
		steps => [
			[ 1, q{SET work_mem = '4MB'; SET bytea_output = hex} ],
			[ 2, $settings ], [ 1, $settings ], [ 1, 'RESET work_mem' ], [ 2, 'SELECT 1' ],
			[ 1, $settings ],
		]
	},
	{
		name => 'SET TO DEFAULT, RESET and RESET ALL',
		steps => [
			[ 1, q{SET work_mem = '5MB'; SET app.one = 'x'; SET "TimeZone" = 'Asia/Tokyo'} ],
			[ 2, q{SET work_mem = '6MB'; SET app.one = 'y'} ],
			[ 1, 'RESET work_mem' ], [ 2, $settings ], [ 1, $settings ],
			[ 1, 'SET app.one TO DEFAULT' ], [ 2, 'RESET ALL' ], [ 1, $settings ], [ 2, $settings ],
			[ 1, 'RESET ALL' ], [ 2, $settings ], [ 1, $settings ],
		]
	},
	{
		name => 'settings that are rolled back',
		steps => [
			[ 1, q{SET app.one = 'kept'; SET work_mem = '5MB'} ], [ 2, 'SELECT 1' ],
			[ 1, q{BEGIN; SET app.one = 'lost'; SET work_mem = '6MB'; SET "TimeZone" = 'Asia/Tokyo'} ],
			[ 1, 'ROLLBACK' ], [ 2, $settings ], [ 1, $settings ],
			[ 1, q{BEGIN; SAVEPOINT s; SET app.one = 'lost'; SET app.two = 'lost'; ROLLBACK TO s; SET app.three = 'kept'; COMMIT} ],
			[ 2, $settings ], [ 1, $settings ],
			[ 1, q{SET app.one = 'lost'; SELECT 1/0} ], [ 2, $settings ], [ 1, $settings ],
		]
	},
	{
		name => 'SET LOCAL leaves no trace',
		steps => [
			[ 1, q{SET work_mem = '5MB'} ], [ 2, 'SELECT 1' ],
			[ 1, q{BEGIN; SET LOCAL work_mem = '6MB'; SET LOCAL app.local = 'x'; SET LOCAL "TimeZone" = 'Asia/Tokyo'} ],
			[ 1, $settings ], [ 1, 'COMMIT' ], [ 2, $settings ], [ 1, $settings ],
			[ 1, q{SET LOCAL work_mem = '7MB'} ],
			[ 1, q{BEGIN; SET work_mem = '8MB'; SET LOCAL work_mem = '9MB'; COMMIT} ],
			[ 2, $settings ], [ 1, $settings ],
		]
	},
	{
		name => 'a custom variable that only another client has',
		steps => [
			[ 1, q{SET app.one = 'of 1'} ],
			[ 2, q{SELECT current_setting('app.one', true) IS NULL} ], [ 2, 'SHOW app.one' ],
			[ 2, 'RESET app.one' ], [ 2, q{SELECT current_setting('app.one', true)} ],
			[ 2, $settings ], [ 1, $settings ],
			[ 2, q{BEGIN; SET LOCAL app.two = 'x'; COMMIT} ],
			[ 1, q{SELECT current_setting('app.two', true) IS NULL} ],
			[ 2, q{SELECT current_setting('app.two', true) IS NULL} ],
		]
	},
	{
		name => 'settings made by functions, DO blocks, triggers and function calls',
		steps => [
			[ 1, q{SELECT set_by_config('app.one', 'function', false)} ], [ 2, $settings ],
			[ 1, $settings ],
			[ 1, q{DO $$BEGIN SET work_mem = '5MB'; PERFORM set_config('TimeZone', 'Asia/Tokyo', false); END$$} ],
			[ 2, $settings ], [ 1, $settings ],
			[ 1, q{INSERT INTO setter VALUES ('app.two', 'trigger')} ], [ 2, $settings ],
			[ 1, $settings ],
			[ 1, q{SELECT try_it('SET work_mem = ''6MB''; SELECT 1/0')} ], [ 2, $settings ],
			[ 1, $settings ],
			[ 1, q{SELECT set_and_fail('lost')} ], [ 2, $settings ], [ 1, $settings ],
			[ 1, [ F => 2078, 'app.three', 'call', 'f' ] ], [ 2, $settings ], [ 1, $settings ],
			[ 1, [ P => '', 'SELECT set_config($1, $2, false)' ], bes('', [ 'app.four', 'é' ]) ],
			[ 2, $settings ], [ 1, $settings ],
		]
	},
	{
		name => 'functions with a SET clause',
		steps => [
			[ 1, q{SET app.one = 'mine'} ], [ 2, 'SELECT with_clause()' ], [ 1, 'SELECT with_clause()' ],
			[ 2, $settings ], [ 1, $settings ],
			[ 1, q{SELECT set_in_clause('inner', false)} ], [ 2, $settings ], [ 1, $settings ],
			[ 2, q{SELECT set_in_clause('inner', true)} ], [ 1, $settings ], [ 2, $settings ],
			[ 2, q{SELECT set_as_owner('x')} ], [ 1, $settings ], [ 2, $settings ],
		]
	},
	{
		name => 'SET ROLE and SET SESSION AUTHORIZATION',
		steps => [
			[ 1, 'SET ROLE diff_group' ], [ 2, $who ], [ 1, $who ],
			[ 1, 'SELECT * FROM secrets' ], [ 2, 'SELECT * FROM secrets' ],
			[ 2, 'SET SESSION AUTHORIZATION diff_user' ], [ 1, $who ], [ 2, $who ],
			[ 2, 'SELECT * FROM secrets' ], [ 2, 'SET ROLE diff_owner' ], [ 1, $who ], [ 2, $who ],
			[ 1, 'SHOW is_superuser' ], [ 2, 'SHOW is_superuser' ],
			[ 1, 'RESET ROLE' ], [ 2, 'RESET SESSION AUTHORIZATION' ], [ 1, $who ], [ 2, $who ],
			[ 1, q{SELECT set_config('role', 'diff_user', false)} ], [ 2, $who ],
			[ 1, 'RESET ALL' ], [ 2, $who ], [ 1, $who ],
			[ 1, 'DISCARD ALL' ], [ 2, $who ], [ 1, $who ],
		]
	},
	{
		name => 'roles of an ordinary client',
		clients => [ { role => 'diff_user' }, { role => 'diff_user' } ],
		steps => [
			[ 1, $settings ], [ 1, 'SET ROLE diff_group' ], [ 2, $who ], [ 1, $who ],
			[ 2, 'SET ROLE diff_super' ], [ 2, 'SET SESSION AUTHORIZATION diff_super' ],
			[ 2, 'SET session_replication_role = replica' ],
			[ 2, 'SET ROLE nobody_at_all' ], [ 2, 'BEGIN; SET LOCAL ROLE diff_owner' ],
			[ 2, 'COMMIT' ], [ 1, $who ], [ 2, $who ], [ 1, 'SET ROLE NONE' ], [ 2, $who ],
			[ 1, $who ],
		]
	},
	{
		name => 'variables only for superusers, set before the role was given up',
		steps => [
			[ 1, q{SET session_replication_role = replica; SET ROLE diff_group} ],
			[ 2, 'SHOW session_replication_role' ], [ 1, 'SHOW session_replication_role' ],
			[ 1, 'SET session_replication_role = origin' ], [ 2, 'SELECT 1' ],
			[ 1, 'RESET ROLE; SHOW session_replication_role' ],
			[ 2, 'SET SESSION AUTHORIZATION diff_user; SET work_mem = 1000' ],
			[ 1, $settings ], [ 2, $settings ],
		]
	},
	{
		name => 'DISCARD ALL',
		clients => [ { TimeZone => 'Asia/Tokyo', options => '-c app.one=start' }, {} ],
		steps => [
			[ 1, q{SET "TimeZone" = 'UTC'; SET app.one = 'x'; SET ROLE diff_group; PREPARE s1 AS SELECT 1} ],
			[ 2, q{PREPARE s1 AS SELECT 2} ], [ 1, [ P => 's2', 'SELECT 3' ], ['S'] ],
			[ 2, 'DISCARD ALL' ], [ 1, $statements ], [ 2, $statements ], [ 1, 'DISCARD ALL' ],
			[ 2, $settings ], [ 1, $settings ], [ 1, $who ], [ 1, $statements ],
			[ 1, 'BEGIN; DISCARD ALL' ], [ 1, 'ROLLBACK' ], [ 2, $settings ],
		]
	},
	{
		name => 'a reload that changes a default',
		steps => [
			[ 1, q{SET work_mem = '5MB'} ], [ 2, $settings ],
			[ 0, [ reload => 'work_mem', '9MB' ], [ reload => 'TimeZone', 'Europe/Rome' ] ],
			[ 1, $settings ], [ 2, $settings ], [ 1, 'RESET ALL' ], [ 2, $settings ],
			[ 1, $settings ], [ 2, q{SET "TimeZone" = 'UTC'} ],
			[ 0, [ reload => 'TimeZone', 'Europe/Paris' ] ], [ 2, 'SELECT 1' ], [ 1, 'SELECT 1' ],
			[ 2, 'RESET "TimeZone"' ], [ 1, $settings ], [ 2, $settings ],
		]
	},
	{
		name => 'reported parameters are told when they change, and only then',
		steps => [
			[ 1, q{SET "TimeZone" = 'Asia/Tokyo'; SET application_name = 'one'} ], [ 2, 'SELECT 1' ],
			[ 1, 'SELECT 1' ], [ 2, q{SET "TimeZone" = 'Asia/Tokyo'} ], [ 1, 'SELECT 1' ],
			[ 1, q{BEGIN; SET "TimeZone" = 'UTC'} ], [ 1, 'ROLLBACK' ], [ 2, 'SELECT 1' ],
			[ 1, q{SET client_encoding = LATIN1; SELECT 'é'} ], [ 2, q{SELECT 'é'} ],
			[ 1, q{SELECT U&'\00e9'} ], [ 2, q{SELECT U&'\00e9'} ],
			[ 1, 'SET standard_conforming_strings = off' ], [ 2, q{SELECT 'a\\\\b'} ],
			[ 1, q{SELECT 'a\\\\b'} ], [ 1, 'SET ROLE diff_user' ], [ 2, 'SELECT 1' ],
			[ 1, 'RESET ALL' ], [ 2, 'SELECT 1' ], [ 1, 'RESET ROLE' ],
			[ 1, q{SET "TimeZone" = 'UTC'}, q{SET "TimeZone" = 'Asia/Tokyo'}, 'SELECT 1' ],
		]
	});

my @startup_cases = (
	{
		name => 'startup parameters are reset values of one client',
		clients => [
			{ TimeZone => 'Asia/Tokyo', application_name => 'one', options => '-c work_mem=5MB -c app.one=start' },
			{ DateStyle => 'German', client_encoding => 'LATIN1', options => '--search_path=one --app.two=a\\ b' },
			{} ],
		steps => [
			[ 1, $settings ], [ 2, $settings ], [ 3, $settings ],
			[ 1, q{SET "TimeZone" = 'UTC'; SET work_mem = '6MB'; SET app.one = 'x'} ],
			[ 2, 'SET search_path = two; SET DateStyle = ISO; SELECT place()' ], [ 3, $settings ],
			[ 3, 'RESET ALL' ], [ 3, $settings ], [ 1, 'RESET ALL' ], [ 2, 'RESET search_path' ],
			[ 3, $settings ], [ 1, $settings ], [ 2, $settings ], [ 2, 'SELECT place()' ],
			[ 2, 'DISCARD ALL' ], [ 2, $settings ], [ 3, $settings ],
		]
	},
	{
		name => 'startup parameters that are wrong',
		clients => [
			{ work_mem => 'potato' }, { TimeZone => 'Nowhere/Land' }, { nosuch => '1' },
			{ options => '-c' } ],
		steps => []
	},
	{
		name => 'startup parameters that may not be set',
		clients => [
			{ role => 'diff_user', options => '-c session_replication_role=replica' },
			{ max_connections => '10' }, { options => '-c nosuch.name=1 --nosuch=2' },
			{ options => '--autovacuum=off' } ],
		steps => []
	},
	{
		name => 'short options, and values with blanks and backslashes',
		clients => [
			{ options => '-S 7000 -e' }, { options => '-c app.one=a\\ b\\\\c  --app.two-three=x' },
			{ options => '-f s -f t' } ],
		steps => [
			[ 1, $settings ], [ 2, $settings ],
			[ 3, q{SELECT name, setting, source FROM pg_settings WHERE name LIKE 'enable_%' ORDER BY 1} ],
			[ 1, q{SELECT name, setting, source FROM pg_settings WHERE name LIKE 'enable_%' ORDER BY 1} ],
		]
	},
	{
		name => 'a role by startup option',
		clients => [ { options => '-c role=diff_group' }, {} ],
		steps => [
			[ 1, $who ], [ 2, $who ], [ 1, 'RESET ROLE' ], [ 1, $who ], [ 1, 'SET ROLE NONE' ],
			[ 2, $who ], [ 1, $who ], [ 1, 'DISCARD ALL' ], [ 1, $who ],
		]
	},
	{
		name => 'settings of role and database',
		clients => [ { role => 'diff_user' }, { role => 'diff_user', DateStyle => 'ISO' } ],
		steps => [
			[ 1, $settings ], [ 2, $settings ], [ 1, 'SET DateStyle = ISO; SET app.of_role = x' ],
			[ 2, q{SET app.of_database = 'x'} ], [ 1, $settings ], [ 2, $settings ],
			[ 1, 'RESET ALL' ], [ 2, 'RESET ALL' ], [ 1, $settings ], [ 2, $settings ],
		]
	},
	{
		name => 'a parameter that can only be set when a session begins',
		clients => [ { ignore_system_indexes => 'on' }, { options => '-c log_connections=on' }, {} ],
		steps => [
			[ 1, 'SHOW ignore_system_indexes' ], [ 3, 'SHOW ignore_system_indexes' ],
			[ 2, 'SHOW log_connections' ], [ 3, 'SHOW log_connections' ],
			[ 1, 'SET ignore_system_indexes = off' ], [ 1, 'RESET ALL; SHOW ignore_system_indexes' ],
		]
	},
	{
		name => 'a client that leaves leaves nothing, and a new one begins anew',
		steps => [
			[ 1, q{SET app.one = 'x'; SET "TimeZone" = 'Asia/Tokyo'; PREPARE s1 AS SELECT 1; SET ROLE diff_group} ],
			[ 1, ['quit'] ], [ 1, [ connect => TimeZone => 'Asia/Seoul' ] ], [ 1, $settings ],
			[ 1, $statements ], [ 2, $settings ], [ 2, $who ], [ 1, $who ], [ 1, 'RESET ALL' ],
			[ 1, $settings ],
		]
	});

my @statement_cases = (
	{
		# what a function has analysed and compiled is as good as its settings
		name => 'functions under the settings of others',
		steps => [
			[ 0, q{CREATE SCHEMA IF NOT EXISTS kind_a; CREATE SCHEMA IF NOT EXISTS kind_b;
				CREATE TABLE IF NOT EXISTS kind_a.kind AS SELECT 1 AS i;
				CREATE TABLE IF NOT EXISTS kind_b.kind AS SELECT text 'x' AS t;
				SET check_function_bodies = off;
				CREATE OR REPLACE FUNCTION public.midnight() RETURNS timestamptz LANGUAGE plpgsql
				AS $$BEGIN RETURN '2020-01-01 00:00'::timestamptz; END$$;
				CREATE OR REPLACE FUNCTION public.kind_of() RETURNS text LANGUAGE plpgsql
				AS $$DECLARE r kind%ROWTYPE; BEGIN SELECT * INTO r FROM kind; RETURN r; END$$;
				RESET check_function_bodies} ],
			[ 1, q{SET TIME ZONE 'America/New_York'; SET search_path = kind_a, public} ],
			[ 2, q{SET TIME ZONE 'Asia/Tokyo'; SET search_path = kind_b, public} ],
			map { ([ $_, 'SELECT midnight(), kind_of()' ]) } 1, 2, 1, 2
		]
	},
	{
		# no Sync between preparing and running: nobody waits for it
		name => 'Parse, Describe and Flush',
		pool => [ 1, 2 ],
		steps => [
			[ 1, [ P => 's1', 'SELECT $1::int + 1 AS one' ], [ D => 'S', 's1' ], ['H'], [ await => 'T' ] ],
			[ 2, [ P => '', 'SELECT $1::text AS two' ], [ D => 'S', '' ], ['H'], [ await => 'T' ] ],
			[ 1, [ B => '', 's1', [1] ], [ E => '' ], ['S'] ],
			[ 2, [ B => '', '', ['x'] ], [ E => '' ], ['S'] ],
			[ 1, [ P => '', 'SELECT 3 AS three' ], [ D => 'S', '' ], ['H'], [ await => 'T' ] ], [ 2, 'SELECT 4' ],
			[ 1, 'SELECT 5' ], [ 1, ['H'], [ C => 'S', 's1' ], ['H'], [ await => '3' ] ], [ 2, 'SELECT 5' ],
			[ 1, ['S'] ],
			[ 1, 'BEGIN' ], [ 1, [ P => 's2', 'SELECT 6 AS six' ], [ D => 'S', 's2' ], ['H'], [ await => 'T' ] ],
			[ 1, [ B => '', 's2', [] ], [ E => '' ], ['S'] ], [ 1, 'COMMIT' ], [ 2, 'SELECT 7' ],
		]
	},
	{
		name => 'named statements of the protocol',
		steps => [
			[ 1, [ P => 's1', 'SELECT $1::int + 1 AS one' ], [ D => 'S', 's1' ], ['S'] ],
			[ 2, [ P => 's1', 'SELECT $1::text || $2 AS two' ], [ D => 'S', 's1' ], ['S'] ],
			[ 1, bes('s1', [41]) ], [ 2, bes('s1', [ 'a', 'b' ]) ], [ 1, $statements ],
			[ 2, $statements ], [ 1, [ D => 'S', 's1' ], ['S'] ],
			[ 1, [ P => 's1', 'SELECT 1' ], ['S'] ], [ 2, [ C => 'S', 's1' ], ['S'] ],
			[ 2, bes('s1', [ 'a', 'b' ]) ], [ 1, bes('s1', [1]) ],
			[ 2, [ P => 's1', 'SELECT 3' ], bes('s1'), bes('s1') ],
			[ 1, [ C => 'S', 's1' ], [ P => 's1', 'SELECT 4' ], bes('s1') ], [ 1, $statements ],
		]
	},
	{
		name => 'the same statement in two clients',
		steps => [
			(map { [ $_, [ P => 's1', 'SELECT * FROM things WHERE id = $1' ], ['S'] ] } 1, 2),
			(map { ([ 1, bes('s1', [$_]) ], [ 2, [ D => 'S', 's1' ], bes('s1', [$_]) ]) } 1 .. 6),
			[ 1, 'DEALLOCATE s1' ], [ 2, bes('s1', [1]) ], [ 1, bes('s1', [1]) ],
		]
	},
	{
		name => 'statements whose meaning depends on search_path',
		steps => [
			[ 1, 'SET search_path = one, public' ], [ 2, 'SET search_path = two, public' ],
			(map { [ $_, [ P => 's1', 'SELECT *, place() FROM things ORDER BY id' ], [ D => 'S', 's1' ], ['S'] ] } 1, 2),
			(map { [ $_, bes('s1') ] } 1, 2, 1, 2),
			[ 1, 'SET search_path = two, public' ], [ 1, bes('s1') ], [ 2, bes('s1') ],
			[ 1, 'SET search_path = one, public' ], [ 1, bes('s1') ], [ 2, 'RESET search_path' ],
			[ 1, 'SELECT 1' ], [ 2, bes('s1') ],
		]
	},
	{
		name => 'statements whose parsing depends on a setting',
		steps => [
			[ 1, 'SET DateStyle = DMY' ], [ 2, 'SET DateStyle = MDY' ],
			(map { [ $_, [ P => 's1', q{SELECT '01/02/2020'::date, NULL = NULL} ], ['S'] ] } 1, 2),
			(map { [ $_, bes('s1') ] } 1, 2, 1), [ 1, 'SET DateStyle = MDY' ],
			[ 2, 'SET transform_null_equals = on' ], [ 1, bes('s1') ], [ 2, bes('s1') ],
			[ 2, [ P => 's2', q{SELECT '01/02/2020'::date, NULL = NULL} ], bes('s2') ],
			[ 1, [ P => 's2', q{SELECT '01/02/2020'::date, NULL = NULL} ], bes('s2') ],
			[ 2, 'SET standard_conforming_strings = off; SET escape_string_warning = off' ],
			(map { [ $_, [ P => 's3', q{SELECT 'a\\\\b'} ], ['S'] ] } 1, 2),
			[ 1, bes('s3') ], [ 2, bes('s3') ], [ 2, 'RESET ALL' ], [ 1, 'SELECT 1' ], [ 2, bes('s3') ],
		]
	},
	{
		name => 'statements and the role that runs them',
		steps => [
			(map { [ $_, [ P => 's1', 'SELECT what, current_user FROM secrets' ], ['S'] ] } 1, 2),
			[ 1, bes('s1') ], [ 2, 'SET ROLE diff_group' ], [ 1, bes('s1') ], [ 2, bes('s1') ],
			[ 1, bes('s1') ], [ 2, 'RESET ROLE' ], [ 1, 'SET SESSION AUTHORIZATION diff_user' ],
			[ 2, bes('s1') ], [ 1, bes('s1') ], [ 1, [ P => 's2', 'SELECT * FROM secrets' ], ['S'] ],
			[ 1, 'RESET SESSION AUTHORIZATION' ], [ 2, 'SELECT 1' ], [ 1, bes('s2') ],
		]
	},
	{
		name => 'PREPARE, EXECUTE and DEALLOCATE',
		steps => [
			[ 1, 'PREPARE s1 (int) AS SELECT $1 + 1 AS one' ], [ 2, 'PREPARE s1 AS SELECT $1 || $2' ],
			[ 2, q{PREPARE s1 (text, text) AS SELECT $1 || $2} ],
			[ 1, 'EXECUTE s1 (1)' ], [ 2, q{EXECUTE s1 ('a', 'b')} ], [ 2, q{EXECUTE s1 ('a')} ],
			[ 1, 'PREPARE s1 AS SELECT 1' ], [ 2, 'DEALLOCATE s1' ], [ 2, 'EXECUTE s1' ],
			[ 2, 'DEALLOCATE s1' ], [ 1, bes('s1', [5]) ], [ 1, [ D => 'S', 's1' ], ['S'] ],
			[ 2, [ P => 's1', 'SELECT 6 AS six' ], ['S'] ], [ 1, 'SELECT 1' ], [ 2, 'EXECUTE s1' ],
			[ 1, $statements ], [ 2, $statements ], [ 1, 'DEALLOCATE ALL' ], [ 2, $statements ],
			[ 1, $statements ], [ 2, 'DISCARD PLANS' ], [ 1, 'SELECT 1' ], [ 2, 'EXECUTE s1' ],
		]
	},
	{
		name => 'EXECUTE and PREPARE hidden in functions',
		steps => [
			[ 1, q{PREPARE s1 AS SELECT 'of 1'::text} ], [ 2, q{PREPARE s1 AS SELECT 'of 2'::text} ],
			[ 1, q{SELECT run('EXECUTE s1')} ], [ 2, q{SELECT run('EXECUTE s1')} ],
			[ 1, q{DO $$BEGIN EXECUTE 'PREPARE s2 AS SELECT 22'; END$$} ], [ 2, q{SELECT run('EXECUTE s2')} ],
			[ 1, q{SELECT run('EXECUTE s2')} ], [ 2, 'SELECT 1' ],
			[ 1, [ P => '', q{SELECT run('EXECUTE s2')} ], bes('') ],
			[ 1, q{SELECT do_it('DEALLOCATE ALL')} ], [ 2, $statements ], [ 1, $statements ],
		]
	},
	{
		name => 'statements and transactions that are rolled back',
		steps => [
			[ 1, 'BEGIN' ], [ 1, [ P => 's1', 'SELECT 1' ], ['S'] ], [ 1, 'PREPARE s2 AS SELECT 2' ],
			[ 1, 'ROLLBACK' ], [ 2, $statements ], [ 1, $statements ], [ 2, 'SELECT 1' ],
			[ 1, bes('s1') ], [ 1, 'EXECUTE s2' ],
			[ 1, [ P => 's3', 'SELECT 3' ], [ P => 's4', 'SELEC 4' ], [ P => 's5', 'SELECT 5' ], ['S'] ],
			[ 2, 'SELECT 1' ], [ 1, $statements ],
			[ 1, 'BEGIN; DEALLOCATE s1; ROLLBACK' ], [ 2, 'SELECT 1' ], [ 1, $statements ],
			[ 1, 'BEGIN; SELECT 1/0' ], [ 1, [ P => 's6', 'SELECT 6' ], ['S'] ],
			[ 1, [ P => 's7', 'ROLLBACK' ], bes('s7') ], [ 2, 'SELECT 1' ], [ 1, $statements ],
		]
	},
	{
		name => 'statements that can not be parsed',
		steps => [
			[ 1, [ P => 's1', 'SELECT * FROM nowhere' ], ['S'] ], [ 2, 'SELECT 1' ],
			[ 1, bes('s1') ], [ 1, [ P => 's1', 'SELECT $2::int' ], ['S'] ], [ 1, [ D => 'S', 's1' ], ['S'] ],
			[ 1, [ P => 's1', 'SELECT 1; SELECT 2' ], ['S'] ], [ 2, $statements ],
			[ 1, [ P => 's1', '' ], [ D => 'S', 's1' ], ['S'] ], [ 2, 'SELECT 1' ], [ 1, bes('s1') ],
			[ 1, [ P => 's2', 'SELECT $1', 999999 ], ['S'] ], [ 2, 'SELECT 1' ], [ 1, $statements ],
			[ 1, [ C => 'S', 'nosuch' ], [ C => 'S', 's1' ], ['S'] ], [ 1, bes('s1') ],
		]
	},
	{
		name => 'parameter types declared or inferred',
		steps => [
			[ 1, [ P => 's1', 'SELECT $1 + 1', 20 ], [ P => 's2', 'SELECT $1 + 1' ], [ D => 'S', 's1' ], [ D => 'S', 's2' ], ['S'] ],
			[ 2, [ P => 's1', 'SELECT $1 + 1', 1700 ], [ P => 's2', 'SELECT $1', 25 ], [ D => 'S', 's1' ], [ D => 'S', 's2' ], ['S'] ],
			[ 1, bes('s1', [ pack('q>', 1 << 40) ], [1], [1]) ], [ 2, bes('s1', ['1.5']) ],
			[ 1, bes('s2', [ pack('N', 7) ], [1], [1]) ], [ 2, bes('s2', [undef]) ],
			[ 1, bes('s2', ['x']) ], [ 2, bes('s2', []) ], [ 1, bes('s1', [ 'xx' ], [1]) ],
			[ 1, $statements ], [ 2, $statements ],
		]
	},
	{
		name => 'DDL between Parse and Bind',
		steps => [
			[ 1, [ P => 's1', 'SELECT * FROM c1.mine ORDER BY 1' ], [ D => 'S', 's1' ], bes('s1') ],
			[ 2, 'SELECT 1' ], [ 1, 'ALTER TABLE c1.mine ADD more int' ], [ 2, 'SELECT 1' ],
			[ 1, bes('s1') ], [ 2, 'SELECT 1' ], [ 1, [ D => 'S', 's1' ], ['S'] ],
			[ 1, 'ALTER TABLE c1.mine DROP more' ], [ 2, 'SELECT 1' ], [ 1, bes('s1') ],
			[ 1, 'DROP TABLE c1.mine' ], [ 2, 'SELECT 1' ], [ 1, bes('s1') ],
			[ 1, 'CREATE TABLE c1.mine (id int, what varchar(20))' ], [ 2, 'SELECT 1' ], [ 1, bes('s1') ],
		]
	},
	{
		name => 'a plan whose result changes with search_path',
		steps => [
			[ 1, [ P => 's1', 'SELECT * FROM things' ], ['S'] ], [ 2, 'SELECT 1' ],
			[ 1, 'SET search_path = two' ], [ 2, 'SELECT 1' ], [ 1, bes('s1') ], [ 1, [ D => 'S', 's1' ], ['S'] ],
			[ 1, 'SET search_path = public' ], [ 2, 'SELECT 1' ], [ 1, bes('s1') ],
			[ 1, 'PREPARE s2 AS SELECT place()' ], [ 1, 'SET search_path = two' ], [ 2, 'SELECT 1' ],
			[ 1, 'EXECUTE s2' ],
		]
	},
	{
		name => 'the unnamed statement across Sync',
		steps => [
			[ 1, [ P => '', 'SELECT $1::int * 2 AS twice' ], [ D => 'S', '' ], ['S'] ],
			[ 2, [ P => '', 'SELECT $1::text AS other' ], [ D => 'S', '' ], ['S'] ],
			[ 1, bes('', [21]) ], [ 2, bes('', ['x']) ], [ 1, [ D => 'S', '' ], ['S'] ], [ 2, 'SELECT 1' ],
			[ 2, bes('', ['x']) ], [ 1, bes('', [4]) ], [ 1, [ P => '', 'SELEC' ], ['S'] ],
			[ 2, 'SELECT 1' ], [ 1, bes('', [4]) ],
			[ 1, [ P => '', 'SELECT 5' ], ['S'] ], [ 2, 'SELECT 1' ], [ 1, [ C => 'S', '' ], ['S'] ],
			[ 2, 'SELECT 1' ], [ 1, bes('') ],
			[ 1, [ P => '', 'SELECT 6' ], ['S'] ], [ 2, 'DEALLOCATE ALL' ], [ 1, bes('') ],
			[ 1, [ P => '', 'SET app.one = 7' ], ['S'] ], [ 2, 'SELECT 1' ], [ 1, bes('') ],
			[ 1, bes('') ], [ 1, 'DISCARD ALL' ], [ 1, bes('') ],
		]
	},
	{
		name => 'the unnamed statement, parsed under other settings than it is run',
		steps => [
			[ 1, 'SET search_path = one' ], [ 1, [ P => '', q{SELECT what, '01/02/2020'::date FROM things} ], [ D => 'S', '' ], ['S'] ],
			[ 2, [ P => '', 'SELECT 1' ], ['S'] ], [ 1, bes('') ],
			[ 1, [ P => 's1', q{SET search_path = two} ], ['S'] ], [ 1, bes('s1') ], [ 2, bes('') ],
			[ 1, bes('') ], [ 1, [ P => 's2', 'SET DateStyle = DMY' ], bes('s2') ], [ 2, bes('') ],
			[ 1, bes('') ],
		]
	},
	{
		name => 'the unnamed portal across Sync',
		steps => [
			[ 1, [ P => '', 'SELECT 1' ], [ B => '', '', [] ], ['S'] ], [ 2, 'SELECT 1' ],
			[ 1, [ E => '' ], ['S'] ], [ 1, [ D => 'P', '' ], ['S'] ],
			[ 1, 'BEGIN' ], [ 1, [ P => '', 'SELECT generate_series(1, 4)' ], [ B => '', '', [] ], ['S'] ],
			[ 1, [ E => '', 2 ], ['S'] ], [ 1, [ E => '', 1 ], [ D => 'P', '' ], ['S'] ], [ 1, 'COMMIT' ],
			[ 2, 'SELECT 1' ], [ 1, [ E => '', 1 ], ['S'] ],
		]
	},
	{
		name => 'Flush in the middle of a batch',
		steps => [
			[ 1, [ P => 's1', 'SELECT 1 AS one' ], [ D => 'S', 's1' ], [ H => 'Tn' ] ],
			[ 1, [ B => '', 's1', [] ], [ H => '2' ] ], [ 1, [ E => '' ], [ H => 'C' ] ], [ 1, ['S'] ],
			[ 2, 'SELECT 1' ], [ 1, bes('s1') ],
			[ 1, [ P => '', 'SELEC' ], [ H => '1' ] ], [ 1, [ P => '', 'SELECT 1' ], ['S'] ],
			[ 2, 'SELECT 1' ], [ 1, bes('') ],
		]
	},
	{
		name => 'several batches at once',
		steps => [
			[ 1, (map { ([ P => "s$_", "SELECT $_" ], ['S'], bes("s$_")) } 1 .. 3), 'SELECT 4', 'SET app.one = 5' ],
			[ 2, (map { ([ P => "s$_", "SELECT -$_" ], ['S'], bes("s$_")) } 1 .. 3), 'SELECT 4', 'SHOW app.one' ],
			[ 1, 'BEGIN', bes('s1'), 'SELECT 1/0', bes('s2'), 'ROLLBACK', bes('s3'), @look ],
			[ 2, bes('s1'), bes('nosuch'), bes('s2'), 'SELECT 1; SELECT 2', @look ],
		]
	},
	{
		name => 'a hundred statements of two clients',
		steps => [
			[ 1, (map { [ P => "s$_", "SELECT 1, $_, \$1::int" ] } 1 .. 100), ['S'] ],
			[ 2, (map { [ P => "s$_", "SELECT 2, $_, \$1::int" ] } 1 .. 100), ['S'] ],
			[ 1, (map { be("s$_", [$_]) } 1 .. 100), ['S'] ], [ 2, (map { be("s$_", [$_]) } 1 .. 100), ['S'] ],
			[ 1, $statements ], [ 2, $statements ],
		]
	});

my @pin_cases = (
	{
		name => 'temporary tables',
		steps => [
			[ 1, q{CREATE TEMP TABLE t AS SELECT 'of 1' AS what} ], [ 1, 'SELECT * FROM t' ],
			[ 1, 'DROP TABLE t' ], [ 2, 'SELECT * FROM t' ], [ 2, 'CREATE TEMP TABLE t (id int)' ],
			[ 2, 'SELECT * FROM t' ], [ 2, 'DISCARD TEMP' ], [ 1, 'SELECT * FROM t' ],
			[ 1, 'BEGIN; CREATE TEMP TABLE t (id int) ON COMMIT DROP; COMMIT' ], [ 2, 'SELECT * FROM t' ],
			[ 1, 'BEGIN; CREATE TEMP TABLE t (id int); ROLLBACK' ], [ 2, 'SELECT * FROM t' ],
			[ 1, 'CREATE TEMP TABLE t (id int)' ], [ 1, ['quit'] ], [ 2, 'SELECT * FROM t' ],
		]
	},
	{
		name => 'temporary tables beside other clients',
		pool => [2],
		steps => [
			[ 1, q{CREATE TEMP TABLE t AS SELECT 'of 1' AS what} ], [ 2, 'SELECT * FROM t' ],
			[ 1, 'SELECT * FROM t' ], [ 2, 'CREATE TEMP TABLE t (id int); DROP TABLE t' ],
			[ 1, 'SELECT * FROM t; DROP TABLE t' ], [ 2, 'SELECT 1' ], [ 1, 'SELECT * FROM t' ],
			[ 1, q{SELECT do_it('CREATE TEMP TABLE hidden (id int)')} ], [ 2, 'SELECT * FROM hidden' ],
			[ 1, 'SELECT * FROM hidden' ],
		]
	},
	{
		name => 'advisory locks',
		pool => [2],
		steps => [
			[ 1, 'SELECT pg_advisory_lock(1), pg_advisory_lock(1)' ], [ 2, 'SELECT pg_try_advisory_lock(1)' ],
			[ 1, 'SELECT pg_advisory_unlock(1)' ], [ 2, 'SELECT pg_try_advisory_lock(1)' ],
			[ 1, 'SELECT pg_advisory_unlock(1), pg_advisory_unlock(1)' ], [ 2, 'SELECT pg_try_advisory_lock(1)' ],
			[ 2, 'SELECT pg_advisory_unlock_all()' ], [ 1, 'SELECT pg_try_advisory_lock_shared(1)' ],
			[ 2, 'SELECT pg_try_advisory_xact_lock(1)' ], [ 1, 'DISCARD ALL' ],
			[ 2, 'SELECT pg_try_advisory_xact_lock(1)' ],
		]
	},
	{
		name => 'advisory locks in a pool of one',
		steps => [
			[ 1, 'SELECT pg_advisory_lock(1)' ], [ 1, 'SELECT pg_advisory_unlock(1)' ],
			[ 2, 'SELECT pg_try_advisory_xact_lock(1)' ], [ 2, 'SELECT pg_advisory_unlock(1)' ],
			[ 1, 'BEGIN; SELECT pg_advisory_lock(1); ROLLBACK' ], [ 1, 'DISCARD ALL' ],
			[ 2, 'SELECT pg_try_advisory_xact_lock(1)' ],
		]
	},
	{
		name => 'LISTEN and NOTIFY',
		pool => [2],
		steps => [
			[ 1, 'LISTEN channel' ], [ 2, q{NOTIFY channel, 'from 2'} ], [ 1, [ await => 'A' ] ],
			[ 1, q{NOTIFY channel, 'from 1'} ], [ 1, 'SELECT * FROM pg_listening_channels()' ],
			[ 2, 'SELECT * FROM pg_listening_channels()' ],
			[ 2, q{BEGIN; NOTIFY channel, 'a'; NOTIFY channel, 'b'; COMMIT} ], [ 1, [ await => 'A' ] ],
			[ 1, [ await => 'A' ] ], [ 1, 'UNLISTEN channel' ], [ 2, 'NOTIFY channel' ],
			[ 1, 'SELECT 1' ], [ 2, 'SELECT 1' ],
		]
	},
	{
		name => 'LISTEN in a pool of one',
		steps => [
			[ 1, 'LISTEN channel' ], [ 1, q{NOTIFY channel, 'self'} ], [ 1, 'UNLISTEN *' ],
			[ 2, 'NOTIFY channel' ], [ 2, 'SELECT * FROM pg_listening_channels()' ],
			[ 1, 'BEGIN; LISTEN channel' ], [ 1, 'ROLLBACK' ], [ 2, 'NOTIFY channel' ],
			[ 1, 'SELECT * FROM pg_listening_channels()' ],
		]
	},
	{
		name => 'cursors',
		steps => [
			[ 1, 'BEGIN; DECLARE c CURSOR FOR SELECT generate_series(1, 5); FETCH 2 FROM c' ],
			[ 1, 'FETCH 2 FROM c; SELECT name, statement, is_holdable FROM pg_cursors' ], [ 1, 'COMMIT' ],
			[ 2, 'FETCH 1 FROM c' ], [ 1, 'FETCH 1 FROM c' ],
			[ 1, 'DECLARE c CURSOR WITH HOLD FOR SELECT generate_series(1, 5)' ], [ 1, 'FETCH 2 FROM c' ],
			[ 1, 'CLOSE c' ], [ 2, 'FETCH 1 FROM c' ], [ 1, 'FETCH 1 FROM c' ],
			[ 1, 'BEGIN; DECLARE c CURSOR WITH HOLD FOR SELECT generate_series(1, 5)' ], [ 1, 'ROLLBACK' ],
			[ 2, 'SELECT name FROM pg_cursors' ], [ 1, 'SELECT name FROM pg_cursors' ],
		]
	},
	{
		name => 'WITH HOLD cursors beside other clients',
		pool => [2],
		steps => [
			[ 1, 'BEGIN; DECLARE c CURSOR WITH HOLD FOR SELECT generate_series(1, 9); COMMIT' ],
			[ 2, 'FETCH 1 FROM c' ], [ 1, 'FETCH 3 FROM c' ], [ 2, 'SELECT name FROM pg_cursors' ],
			[ 1, 'FETCH 3 FROM c' ], [ 1, 'CLOSE ALL' ], [ 2, 'SELECT 1' ], [ 1, 'FETCH 3 FROM c' ],
		]
	},
	{
		name => 'sequences',
		pool => [2],
		steps => [
			[ 1, q{SELECT nextval('c1.numbers')} ], [ 2, q{SELECT lastval()} ], [ 1, 'SELECT lastval()' ],
			[ 2, q{SELECT currval('c1.numbers')} ], [ 1, q{SELECT currval('c1.numbers')} ],
			[ 1, 'DISCARD SEQUENCES' ], [ 2, 'SELECT lastval()' ], [ 1, 'SELECT lastval()' ],
		]
	},
	{
		name => 'replication origins and temporary slots',
		pool => [2],
		steps => [
			[ 0, q{SELECT pg_replication_origin_create('origin') WHERE NOT EXISTS (SELECT FROM pg_replication_origin)} ],
			[ 1, q{SELECT pg_replication_origin_session_setup('origin')} ],
			[ 2, 'SELECT pg_replication_origin_session_is_setup()' ],
			[ 1, 'SELECT pg_replication_origin_session_is_setup()' ],
			[ 1, 'SELECT pg_replication_origin_session_reset()' ], [ 2, 'SELECT 1' ],
			[ 1, 'SELECT pg_replication_origin_session_is_setup()' ],
			[ 1, q{SELECT slot_name FROM pg_create_physical_replication_slot('slot', true, true)} ],
			[ 2, q{SELECT slot_name FROM pg_replication_slots} ],
			[ 1, q{SELECT slot_name FROM pg_replication_slots} ],
			[ 1, q{SELECT pg_drop_replication_slot('slot')} ], [ 2, q{SELECT slot_name FROM pg_replication_slots} ],
			[ 1, q{SELECT slot_name FROM pg_replication_slots} ],
		]
	},
	{
		name => 'sequences in a pool of one',
		steps => [
			[ 1, q{SELECT nextval('c1.numbers')} ], [ 1, q{SELECT currval('c1.numbers'), lastval()} ],
			[ 1, 'DISCARD ALL' ], [ 2, 'SELECT lastval()' ], [ 1, q{SELECT currval('c1.numbers')} ],
		]
	});

my $long = 'x' x 3_000_000;
my @protocol_cases = (
	{
		name => 'COPY both ways',
		steps => [
			[ 1, 'COPY c1.mine FROM STDIN', [ d => "3\tthree\n4\t\\N\n" ], ['c'] ], [ 2, 'COPY c2.mine TO STDOUT' ],
			[ 1, 'COPY c1.mine TO STDOUT' ], [ 1, 'COPY c1.mine FROM STDIN', [ d => "5\tfive\n" ], [ f => 'no' ] ],
			[ 2, 'SELECT 1' ], [ 1, 'COPY c1.mine FROM STDIN', [ d => "x\n" ], ['c'] ], [ 2, 'SELECT 1' ],
			[ 1, [ P => '', 'COPY c1.mine FROM STDIN' ], be(''), [ d => "6\tsix\n" ], ['c'], ['S'] ],
			[ 2, 'SELECT 1' ], [ 1, [ P => '', 'COPY c1.mine TO STDOUT (FORMAT binary)' ], bes('') ],
			[ 1, 'COPY nowhere FROM STDIN', [ d => "1\n" ], ['c'] ], [ 2, 'SELECT 1' ],
		]
	},
	{
		name => 'transactions of all kinds',
		steps => [
			[ 1, 'BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY; SHOW transaction_isolation' ], [ 1, 'COMMIT' ],
			[ 2, 'SHOW transaction_isolation; SHOW transaction_read_only' ],
			[ 1, 'SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY' ],
			[ 2, q{INSERT INTO c2.mine VALUES (3, 'x'); SHOW transaction_isolation} ],
			[ 1, q{SHOW transaction_isolation} ], [ 1, q{INSERT INTO c1.mine VALUES (3, 'x')} ],
			[ 1, 'BEGIN; SET TRANSACTION READ WRITE; SAVEPOINT a; SELECT 1/0' ], [ 1, 'SELECT 1' ],
			[ 1, 'ROLLBACK TO a; SET TRANSACTION ISOLATION LEVEL SERIALIZABLE' ], [ 1, 'COMMIT AND CHAIN' ],
			[ 1, 'ROLLBACK' ], [ 2, 'COMMIT' ], [ 2, 'BEGIN; BEGIN' ], [ 2, 'ROLLBACK' ],
			[ 1, 'SET TRANSACTION READ ONLY' ], [ 2, 'SAVEPOINT x' ],
		]
	},
	{
		name => 'two-phase commit',
		steps => [
			[ 1, q{BEGIN; INSERT INTO c1.mine VALUES (9, 'prepared'); PREPARE TRANSACTION 'c1'} ],
			[ 2, q{BEGIN; INSERT INTO c2.mine VALUES (9, 'prepared'); PREPARE TRANSACTION 'c2'} ],
			[ 1, 'SELECT * FROM c1.mine ORDER BY 1' ], [ 2, q{COMMIT PREPARED 'c1'} ],
			[ 1, 'SELECT * FROM c1.mine ORDER BY 1' ], [ 1, q{ROLLBACK PREPARED 'c2'} ],
			[ 2, 'SELECT * FROM c2.mine ORDER BY 1' ], [ 1, q{COMMIT PREPARED 'c1'} ],
		]
	},
	{
		name => 'large objects and function calls',
		steps => [
			[ 1, 'SELECT lo_create(700001)' ], [ 2, 'SELECT 1' ], [ 1, 'BEGIN; SELECT lo_open(700001, 393216)' ],
			[ 1, [ F => 955, 0, 'bytes' ], [ F => 956, 0, 1, 0 ], [ F => 954, 0, 3 ] ], [ 1, 'COMMIT' ],
			[ 2, 'SELECT lo_get(700001)' ], [ 1, [ F => 954, 0, 3 ] ], [ 1, 'SELECT lo_unlink(700001)' ],
			[ 2, [ F => 177, 40, 2 ] ], [ 1, [ F => 154, 1, 0 ] ], [ 2, [ F => 999999, 1 ] ], [ 1, [ F => 177, undef, 2 ] ],
		]
	},
	{
		name => 'notices in the middle',
		steps => [
			[ 1, q{SELECT notice('a'); SELECT notice('b')} ], [ 2, q{SET client_min_messages = error; SELECT notice('a')} ],
			[ 1, q{SELECT notice('c')} ], [ 2, q{SELECT notice('c')} ], [ 1, 'DROP TABLE IF EXISTS nowhere' ],
			[ 1, [ P => '', q{SELECT notice($1), generate_series(1, 3)} ], [ B => '', '', ['d'] ], [ E => '', 2 ], [ E => '' ], ['S'] ],
		]
	},
	{
		name => 'messages of several megabytes',
		steps => [
			[ 1, [ P => 's1', 'SELECT length($1), $1' ], bes('s1', [$long]) ], [ 2, "SELECT length('$long')" ],
			[ 1, bes('s1', [$long]) ], [ 2, q{SELECT repeat('abc', 1000000)} ],
			[ 1, q{SELECT set_config('app.long', repeat('y', 100000), false)} ], [ 2, 'SHOW app.long' ],
			[ 1, 'SHOW app.long' ], [ 2, [ P => 's2', "SELECT 1 /* $long */" ], bes('s2') ],
			[ 1, 'SELECT 1' ], [ 2, bes('s2') ],
		]
	},
	{
		name => 'parallel query',
		steps => [
			[ 1, q{SET work_mem = '5MB'; SET app.one = 'in workers'; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0; SET force_parallel_mode = on} ],
			[ 2, 'SELECT 1' ], [ 1, q{SELECT count(*), min(current_setting('work_mem')), min(current_setting('app.one')) FROM things} ],
			[ 2, 'SHOW parallel_setup_cost' ],
		]
	},
	{
		name => 'empty queries and errors of the protocol',
		steps => [
			[ 1, '' ], [ 2, ' ; ' ], [ 1, [ P => '', '' ], bes('') ], [ 2, ['S'] ], [ 1, [ D => 'P', 'nosuch' ], ['S'] ],
			[ 2, [ E => 'nosuch' ], ['S'] ], [ 1, [ C => 'P', 'nosuch' ], ['S'] ], [ 2, [ C => 'X', '' ], ['S'] ],
			[ 1, [ D => 'X', '' ], ['S'] ], [ 2, [ P => 's1', 'SELECT $1::int' ], [ B => '', 's1', [1], [ 0, 0 ] ], ['S'] ],
			[ 1, [ P => 'x' x 100, 'SELECT 1' ], bes('x' x 100) ], [ 2, 'SELECT 1' ], [ 1, $statements ],
		]
	},
	{
		name => 'an unknown message ends the session',
		steps => [
			[ 1, q{SET app.one = 'x'} ], [ 1, [ raw => "?\0\0\0\4", 0 ], [ await => 'E' ] ], [ 2, $settings ],
		]
	});

# Named sequences, ready for Differ->difference(): one for each size of the pool.
# A larger pool is provoked, so that no client finds the backend that it had.
sub cases
{
	my ($size) = @_;
	my @result;

	for my $case (@settings_cases, @startup_cases, @statement_cases, @pin_cases, @protocol_cases)
	{
		next if !grep { $_ == $size } @{ $case->{pool} // [ 1, 2 ] };
		push @result,
		  {
			name => $case->{name},
			clients => $case->{clients} // [ {}, {} ],
			steps => $case->{steps},
			pool => $size,
			provoke => $case->{provoke} // $size > 1
		  };
	}
	return @result;
}

1;
