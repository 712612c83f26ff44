#!/bin/bash
# test/tools/test.sh
#
# make test: set up, build, and run every test.  The last line says how many
# passed and how many failed.  TESTS="unit/test_frame sql/views t/010_x.pl"
# runs only these.
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
	(cd "$work/src" && exec "${server_prefix[@]}" TMPDIR="$work/tmp" "${@:2}") \
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

run_unit_tests()
{
	headline "unit tests"
	if run_make "${unit_tests[@]/#/.build/unit/}"; then
		cp "${unit_tests[@]/#/.build/unit/}" "$work/src/test/unit"
		run_prove timeout -k 30 900 prove --exec '' "${unit_tests[@]}"
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
	if run_logged "$log" timeout -k 30 900 "$testlib/regress/pg_regress" \
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
	# what a test can be told, of which as_server would let nothing through
	mapfile -t settings < <(env | grep -E '^(DIFF|POOLER)_[A-Z_]+=' || true)
	# One place for all checkouts where Cluster.pm locks the ports that it uses.
	# shellcheck disable=SC2086
	run_prove "${settings[@]}" TESTDIR="$work/tap" PG_REGRESS="$testlib/regress/pg_regress" \
		POOLER_DRIVERS="$work/drivers" \
		PG_TEST_PORT_DIR="/tmp/pooler-test-ports-$(as_server id -u)" \
		timeout -k 30 3600 prove -I "$testlib/perl" -I test/t ${PROVE_FLAGS-} \
		"${tap_tests[@]}"
	[ "$failed" -gt "$before" ] || return 0
	sed -n 's|^test/t/\(.*\)\.pl *(Wstat: .*|\1|p' "$work/prove.log" |
		while read -r name; do
			show_logs "$logs"/{regress_log_,}"$name"*
		done
	# It never came to its summary: the newest logs are of the test that hung.
	if ! grep -q '^Files=' "$work/prove.log"; then
		mapfile -t newest < <(find "$logs" -type f -printf '%T@ %p\n' |
			sort -rn | head -n 3 | cut -d ' ' -f 2-)
		show_logs "${newest[@]}"
	fi
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
		grep -E -A 6 '^# +Failed test|^test/.*Wstat:|^Bail out' "$prove" | tail -n 60 || true
	done
	grep -E '^(not ok|test .* FAILED)' "$work/regress.log" 2>/dev/null || true
}

trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

install_missing libio-socket-ssl-perl libipc-run-perl openssl prometheus spin
if ! run_make all; then
	echo "0 passed, 1 failed"
	exit 1
fi
testlib=$(dirname "$("$PG_CONFIG" --pgxs)")/../test
# A short name, since paths of sockets below it may not exceed 107 bytes.
work=$(mktemp -d /tmp/pooler-test.XXXXXX)
private_install "$work"
mkdir "$work/src" "$work/tap" "$work/tmp"
cp -r README.md src test expected "$work/src"
give_to_server "$work" "$work/src" "$work/tap" "$work/tmp"

if [ -n "${TESTS-}" ]; then
	# shellcheck disable=SC2086
	select_tests $TESTS
else
	# shellcheck disable=SC2046
	select_tests $(run_make list-unit-tests) test/sql/*.sql test/t/*.pl
	install_missing clang clang-tidy cppcheck libclang-rt-dev
	check "exported symbols" run_make check-symbols
	check "a build without HTTP" run_make check-no-http
	check "warnings of gcc and clang" run_make check-warnings
	check "clang-tidy and cppcheck" run_make check-analysis
	[ ! -x "$("$PG_CONFIG" --bindir)/pgindent" ] ||
		check "formatting" run_make check-format
	check "fuzzers" run_make check-fuzz FUZZ_SECONDS=5
	[ ! -x test/tools/check_model.sh ] ||
		check "model of the hand-over" run_make check-model
fi
case " ${tap_tests[*]} " in
	*" test/t/112_methods.pl "*)
		install_missing slapd krb5-kdc krb5-admin-server krb5-user libpam-pwdfile
		make_pam_service ;;
esac
case " ${tap_tests[*]} " in
	*" test/t/043_drivers.pl "* | *" test/t/104_real_leaks.pl "* | \
		*" test/t/117_tls_clients.pl "*)
		install_drivers
		check "programs with real drivers" build_drivers "$work/drivers" ;;
esac
case " ${tap_tests[*]} " in
	*" test/t/107_page.pl "*)
		command -v chromedriver >/dev/null || install_missing chromium chromium-driver
		check "a browser" chromedriver --version ;;
esac
[ ${#unit_tests[@]} -eq 0 ] || run_unit_tests
[ ${#regress_tests[@]} -eq 0 ] || run_regress_tests
[ ${#tap_tests[@]} -eq 0 ] || run_tap_tests

if [ "$failed" -gt 0 ]; then
	headline "kept for inspection: $work"
	# again, for those who see the end only
	show_failures
fi
echo
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
