#!/bin/bash
# test/tools/test.sh
#
# make test: set up, build, and run every test.  The last line says how many
# passed and how many failed.  TESTS="unit/test_frame sql/views t/010_x.pl"
# runs only these.  CHECKS="symbols warnings" runs these checks of what is built
# and no others; they are all run if TESTS does not name tests.
#
# All that is written goes to a directory of its own, so that the checkout need
# not be writable or even readable for the user who runs the servers, and any
# number of runs fit side by side.  It is kept if something fails.

. "$(dirname "$0")/common.sh"
. "$(dirname "$0")/drivers.sh"
cd "$topdir"

work=
job=
passed=0
failed=0
unit_tests=()
regress_tests=()
tap_tests=()
missing_tools=()

# For all TAP tests together, unless POOLER_TESTS_UNTIL says when they have to be
# over, for each, and for the unit and regression tests.
tap_seconds=${POOLER_TAP_SECONDS:-3600}
test_seconds=600
other_seconds=900

cleanup()
{
	[ -n "$work" ] || return 0
	[ -z "$job" ] || kill "$job" || true
	stop_servers "$work"
	[ "$failed" -gt 0 ] || rm -rf "$work"
}

headline()
{
	printf '\n== %s\n' "$*"
}

# select_tests NAME...: sort the names, or patterns, into the three lists.
select_tests()
{
	local test name

	for test; do
		name=$(basename "${test%.*}")
		case ${test#test/} in
			*'*'*) ;;			# matched nothing
			unit/*) unit_tests+=("test/unit/$name") ;;
			sql/*) regress_tests+=("$name") ;;
			t/*) tap_tests+=("test/t/$name.pl") ;;
			*) die "no such test: $test" ;;
		esac
	done
}

# check NAME COMMAND...: one test by itself, passed if the command succeeds.
check()
{
	headline "$1"
	if "${@:2}"; then
		passed=$((passed + 1))
		echo "ok"
	else
		failed=$((failed + 1))
		echo "FAILED: $1"
	fi
}

# run_logged LOG [NAME=VALUE...] COMMAND...
#
# Run it as the server's user where the tests have been copied to, and show its
# output, which is also left in LOG.  It runs in the background, since bash
# handles no signal while it waits for a command in the foreground.
run_logged()
{
	local log=$1 status=0

	: >"$log"
	(cd "$work/src" && exec ${POOLER_ALONE:+"$topdir/test/tools/alone.sh"} \
		"${server_prefix[@]}" TMPDIR="$work/tmp" "${@:2}") \
		>"$log" 2>&1 </dev/null &
	job=$!
	tail -n +1 -s 0.1 -f --pid="$job" "$log" &
	wait "$job" || status=$?
	job=
	wait
	return "$status"
}

# run_prove [NAME=VALUE...] COMMAND...
#
# Run prove and add what it counted to our figures.  A script that died counts
# as a failed test, even if all that it had run passed.
run_prove()
{
	local log=$work/prove.log status=0 tests bad dead

	run_logged "$log" "$@" || status=$?
	tests=$(sed -n 's/^Files=[0-9]*, Tests=\([0-9]*\),.*/\1/p' "$log")
	read -r bad dead < <(awk '
		/^[^ ].*\(Wstat: .* Failed: [0-9]+\)$/ {
			if ($NF + 0) bad += $NF; else dead++
		}
		END { print bad + 0, dead + 0 }' "$log")
	[ "$status" -eq 0 ] || [ $((bad + dead)) -gt 0 ] || dead=1
	passed=$((passed + ${tests:-0} - bad))
	failed=$((failed + bad + dead))
}

# run_check NAME: of those that CHECKS can name.
run_check()
{
	case $1 in
		symbols) check "exported symbols" run_make check-symbols ;;
		no-http) check "a build without HTTP" run_make check-no-http ;;
		warnings) check "warnings of gcc and clang" run_make check-warnings ;;
		analysis) check "clang-tidy and cppcheck" run_make check-analysis ;;
		format)
			[ ! -x "$("$PG_CONFIG" --bindir)/pgindent" ] ||
				check "formatting" run_make check-format ;;
		fuzz) check "fuzzers" run_make check-fuzz FUZZ_SECONDS=5 ;;
		model) check "model of the hand-over" run_make check-model ;;
		*) die "no such check: $1" ;;
	esac
}

# tests_include NAME...: whether one of these TAP tests will be run.
tests_include()
{
	local name

	for name; do
		case " ${tap_tests[*]} " in
			*" test/t/$name.pl "*) return 0 ;;
		esac
	done
	return 1
}

# need_tools: the packages that the checks and the tests need, in missing_tools.
need_tools()
{
	local name

	missing_tools=(libio-socket-ssl-perl libipc-run-perl openssl)
	for name in ${CHECKS-}; do
		case $name in
			warnings) missing_tools+=(clang) ;;
			analysis) missing_tools+=(clang clang-tidy cppcheck) ;;
			fuzz) missing_tools+=(clang libclang-rt-dev) ;;
			model) missing_tools+=(spin) ;;
		esac
	done
	if tests_include 105_http 107_ready_made; then
		missing_tools+=(prometheus)
	fi
	if tests_include 112_methods; then
		missing_tools+=(slapd krb5-kdc krb5-admin-server krb5-user libpam-pwdfile)
	fi
	if tests_include 043_drivers 104_real_leaks 117_tls_clients; then
		need_drivers
	fi
	if tests_include 107_page && ! command -v chromedriver >/dev/null; then
		missing_tools+=(chromium chromium-driver)
	fi
	if [ -n "${POOLER_ALONE-}" ]; then
		missing_tools+=(iproute2)
	fi
}

run_unit_tests()
{
	headline "unit tests"
	if run_make "${unit_tests[@]/#/.build/unit/}"; then
		cp "${unit_tests[@]/#/.build/unit/}" "$work/src/test/unit"
		run_prove timeout -k 30 "$other_seconds" prove --exec '' "${unit_tests[@]}"
		mv "$work/prove.log" "$work/prove-unit.log"
	else
		failed=$((failed + 1))
		echo "FAILED: the unit tests do not compile"
	fi
}

run_regress_tests()
{
	local log=$work/regress.log bad=1 all=1

	headline "regression tests"
	if run_logged "$log" timeout -k 30 "$other_seconds" "$testlib/regress/pg_regress" \
		--bindir="$bindir" --inputdir=test --temp-instance="$work/instance" \
		--temp-config=test/pooler.conf --dbname=pooler_regress \
		"${regress_tests[@]}"; then
		passed=$((passed + ${#regress_tests[@]}))
		return
	fi
	# "2 of 5 tests failed", or no such line if it did not get that far
	read -r bad all < <(sed -n \
		's/^[# ]*\([0-9]*\) of \([0-9]*\) tests* failed.*/\1 \2/p' "$log") || true
	failed=$((failed + ${bad:-1}))
	passed=$((passed + ${all:-1} - ${bad:-1}))
	headline "regression.diffs"
	cat "$work/src/regression.diffs" 2>/dev/null || true
	show_logs "$work/src/log/postmaster.log"
}

# make_pam_service
#
# t/112_methods.pl needs a service of PAM's, which has its files where only root
# can write.  They stay: other runs may use them, and nothing asks this service
# but a server under test.
make_pam_service()
{
	local dir=/etc/pam.d name=pooler-test

	# the hash of "from pam"
	as_root sh -c "echo '"'alice:$6$pooler$8PhFavdwcYLVG6z1dIqYDSlHI52DoqGtW1d8myiq69chaimZncdX.BDTc9sIy1tJdQAwycqSYkSGly7Y4QMlR.'"' >$dir/$name.passwd.$$
		printf 'auth required pam_pwdfile.so pwdfile $dir/$name.passwd nodelay\naccount required pam_permit.so\n' >$dir/$name.$$
		mv $dir/$name.passwd.$$ $dir/$name.passwd
		mv $dir/$name.$$ $dir/$name"
}

run_tap_tests()
{
	local before=$failed logs=$work/tap/tmp_check/log name newest settings

	headline "TAP tests"
	if [ -n "${POOLER_TESTS_UNTIL-}" ]; then
		tap_seconds=$((POOLER_TESTS_UNTIL - EPOCHSECONDS))
		if [ "$tap_seconds" -le 0 ]; then
			failed=$((failed + 1))
			echo "FAILED: no time was left for the TAP tests"
			return
		fi
	fi
	# what a test can be told, of which as_server would let nothing through
	mapfile -t settings < <(env | grep -E '^(DIFF|POOLER)_[A-Z_]+=' || true)
	# TESTDIR is what servers before 16 know, the other two are what later ones do.
	# One place for all checkouts where Cluster.pm locks the ports that it uses.
	# A test that hangs is ended, and the others are still run.
	# shellcheck disable=SC2086
	run_prove "${settings[@]}" TESTDIR="$work/tap" TESTDATADIR="$work/tap/tmp_check" \
		TESTLOGDIR="$logs" PG_REGRESS="$testlib/regress/pg_regress" \
		POOLER_DRIVERS="$work/drivers" \
		PG_TEST_PORT_DIR="/tmp/pooler-test-ports-$(as_server id -u)" \
		timeout -k 30 "$tap_seconds" prove --timer ${PROVE_FLAGS-} \
		--exec "timeout --foreground -k 10 $test_seconds perl -I $testlib/perl -I test/t" \
		"${tap_tests[@]}"
	[ "$failed" -gt "$before" ] || return 0
	failed_scripts | while read -r name; do
		show_logs "$logs"/{regress_log_,}"$name"*
	done
	# It never came to its summary: the newest logs are of the test that hung.
	if ! grep -q '^Files=' "$work/prove.log"; then
		mapfile -t newest < <(find "$logs" -type f -printf '%T@ %p\n' |
			sort -rn | head -n 3 | cut -d ' ' -f 2-)
		show_logs "${newest[@]}"
		echo "FAILED: the TAP tests did not end within $tap_seconds s, the newest log is ${newest[0]##*/}" |
			tee -a "$work/prove.log"
	fi
}

# use_sanitizers
#
# Have what the sanitizers of such a server find written to files: a process
# that ends by it may be one that a test ends anyway.  Memory is not asked back
# by processes that end, so what "leaks" says nothing.
use_sanitizers()
{
	local common=log_path=$work/reports/process:log_exe_name=1:abort_on_error=1:print_stacktrace=1

	case $("$PG_CONFIG" --cflags) in
		*-fsanitize=*) ;;
		*) return 0 ;;
	esac
	mkdir "$work/reports"
	give_to_server "$work/reports"
	server_prefix+=("ASAN_OPTIONS=$common:detect_leaks=0:quarantine_size_mb=16:verify_asan_link_order=0"
		"UBSAN_OPTIONS=$common" POOLER_SANITIZERS=1 PG_TEST_TIMEOUT_DEFAULT=600)
	tap_seconds=${POOLER_TAP_SECONDS:-14400}
	test_seconds=2400
	other_seconds=3600
}

# no_accidents
#
# No process has crashed, failed an assertion or met a sanitizer, of which gcc's
# for undefined behaviour writes to the server's log.  The tests kill processes,
# but only by signals that a crash does not send.
no_accidents()
{
	local report status=0

	for report in "$work"/reports/*; do
		[ -f "$report" ] || continue
		status=1
		headline "${report##*/}"
		head -n 60 "$report"
	done
	! grep -r -E '^[^ ]+:[0-9]+:[0-9]+: runtime error: |TRAP: |was terminated by signal (4|6|7|8|11):' \
		"$work/tap/tmp_check/log" "$work/src/log" 2>/dev/null || status=1
	return "$status"
}

# failed_scripts: names of TAP tests, also before prove has come to its summary.
failed_scripts()
{
	sed -n -E -e 's|^test/t/(.*)\.pl +\(Wstat: .*|\1|p' \
		-e '/^(\[.*\] )?test\/t\/.*\.pl \.+ *$/{
			s|.*test/t/(.*)\.pl .*|\1|
			h
		}' \
		-e '/^(Dubious|Failed [0-9]+\/)/{
			g
			p
		}' "$work/prove.log" | sort -u
}

# show_logs FILE...: their ends.
show_logs()
{
	local log

	for log; do
		[ -f "$log" ] || continue
		headline "the end of ${log##*/}"
		tail -n 60 "$log"
	done
}

# show_failures: what each failed test has said of itself.
show_failures()
{
	local prove

	for prove in "$work"/prove*.log; do
		[ -f "$prove" ] || continue
		grep -a -E -A 6 '^# +Failed test|^test/.*Wstat:|^Bail out|^FAILED' "$prove" | tail -n 60 || true
	done
	grep -E '^(not ok|test .* FAILED)' "$work/regress.log" 2>/dev/null || true
}

trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# What building needs, so that the lists of tests can be made.
install_missing
if ! run_make all; then
	echo "FAILED: pooler does not compile"
	echo "0 passed, 1 failed"
	exit 1
fi
if [ -n "${TESTS-}" ]; then
	# shellcheck disable=SC2086
	select_tests $TESTS
else
	# shellcheck disable=SC2046
	select_tests $(run_make list-unit-tests) test/sql/*.sql test/t/*.pl
	CHECKS=${CHECKS-symbols no-http warnings analysis format fuzz model}
fi
need_tools
install_missing "${missing_tools[@]}"

testlib=$(dirname "$("$PG_CONFIG" --pgxs)")/../test
# A short name, since paths of sockets below it may not exceed 107 bytes.
work=$(mktemp -d /tmp/pooler-test.XXXXXX)
private_install "$work"
mkdir "$work/src" "$work/tap" "$work/tmp"
cp -r README.md src test expected "$work/src"
give_to_server "$work" "$work/src" "$work/tap" "$work/tmp"
use_sanitizers

for name in ${CHECKS-}; do
	run_check "$name"
done
if tests_include 112_methods; then
	make_pam_service
fi
if tests_include 043_drivers 104_real_leaks 117_tls_clients; then
	check "programs with real drivers" patiently build_drivers "$work/drivers"
fi
if tests_include 107_page; then
	check "a browser" chromedriver --version
fi
[ ${#unit_tests[@]} -eq 0 ] || run_unit_tests
[ ${#regress_tests[@]} -eq 0 ] || run_regress_tests
[ ${#tap_tests[@]} -eq 0 ] || run_tap_tests
check "no crash, failed assertion or report of a sanitizer" no_accidents

if [ "$failed" -gt 0 ]; then
	headline "kept for inspection: $work"
	# again, for those who see the end only
	show_failures
fi
echo
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
