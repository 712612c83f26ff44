#!/bin/bash
#
# check_model.sh
#	Checks src/shared/handover.pml, the model of the hand-over protocol, with
#	spin: every interleaving of several configurations, none of which may
#	fail, and of the same with one rule left out, each of which must fail.
#
# usage: check_model.sh [name ...]
#	With names, only those configurations or mutations (m1, m2, ...).
#
# Needs spin and a C compiler ($CC, default gcc).  One search takes a few
# seconds and less than 1 GB of memory; all of them take about three minutes
# on one core.  A trail of what failed is kept and its place is printed.

set -u

root=$(cd "$(dirname "$0")/../.." && pwd)
model=$root/src/shared/handover.pml
cc=${CC:-gcc}
memory=1500						# MB for one search
seconds=180						# for one search

# name | how to search: s = assertions, invalid end states; l = assertions,
# endless executions | definitions for the model
#
# Both find lost wake-ups: see check_end() in the model.
configurations="
queue     | l | -DNC=3 -DNB=1 -DNCMD=2 -DHANG -DTSO
backends  | l | -DNC=3 -DNB=2 -DNCMD=1 -DEXTRA=1 -DHANG -DTSO
leaving   | s | -DNC=3 -DNB=1 -DNCMD=1 -DEXTRA=1 -DHANG -DHUPS=1 -DHALVES=1
births    | s | -DNC=3 -DNB=2 -DNCMD=1 -DHANG -DTSO -DDEATHS=1 -DUNBORN
death     | l | -DNC=2 -DNB=2 -DNCMD=2 -DHANG -DDEATHS=1 -DNEEDS
deaths    | s | -DNC=3 -DNB=2 -DNCMD=1 -DHANG -DDEATHS=2
cancel    | s | -DNC=2 -DNB=2 -DNCMD=1 -DEXTRA=1 -DHANG -DTSO -DCANCELS=2 -DNEEDS
cancelone | l | -DNC=2 -DNB=1 -DNCMD=3 -DHANG -DTSO -DCANCELS=1
canceltwo | s | -DNC=2 -DNB=1 -DNCMD=2 -DHANG -DTSO -DCANCELS=2
cancelhup | s | -DNC=2 -DNB=1 -DNCMD=1 -DEXTRA=1 -DHANG -DCANCELS=1 -DHUPS=1
canceldie | s | -DNC=2 -DNB=2 -DNCMD=1 -DHANG -DTSO -DCANCELS=1 -DDEATHS=1
cancelwait| s | -DNC=3 -DNB=1 -DNCMD=1 -DHANG -DTSO -DCANCELS=1 -DDEATHS=1 -DNEEDS
pause     | s | -DNC=3 -DNB=1 -DNCMD=1 -DEXTRA=1 -DHANG -DTSO -DPAUSES=1
pausebirth| s | -DNC=2 -DNB=2 -DNCMD=1 -DEXTRA=1 -DHANG -DTSO -DPAUSES=1 -DUNBORN
pauseone  | l | -DNC=2 -DNB=1 -DNCMD=2 -DHANG -DTSO -DPAUSES=1
notice    | s | -DNC=3 -DNB=1 -DNCMD=1 -DEXTRA=1 -DHANG -DTSO -DNOTICES=2
noticetwo | l | -DNC=2 -DNB=2 -DNCMD=2 -DHANG -DTSO -DNOTICES=1
reuse     | s | -DNC=2 -DNB=2 -DNCMD=1 -DHANG -DHUPS=1 -DREUSE=1 -DDEATHS=1 -DNEEDS
reuseone  | s | -DNC=2 -DNB=1 -DNCMD=1 -DEXTRA=1 -DHANG -DHUPS=1 -DKILLS=1 -DREUSE=1 -DDEATHS=1 -DNEEDS -DBATCH
retire    | s | -DNC=2 -DNB=2 -DNCMD=2 -DHANG -DEXITS=2
skip      | s | -DNC=3 -DNB=2 -DNCMD=1 -DEXTRA=1 -DHANG -DTSO -DSKIP_SCAN
skipdeath | s | -DNC=3 -DNB=2 -DNCMD=1 -DHANG -DDEATHS=1 -DNEEDS -DSKIP_SCAN
skippause | s | -DNC=3 -DNB=2 -DNCMD=1 -DHANG -DPAUSES=1 -DSKIP_SCAN
"

# mutation | the configuration that must notice it | how to search
mutations="
1  | backends  | s
2  | backends  | s
3  | death     | s
4  | queue     | s
5  | queue     | s
6  | deaths    | s
7  | reuseone  | s
8  | backends  | s
9  | cancelone | s
10 | cancelone | s
11 | cancelone | s
12 | cancelone | s
13 | queue     | s
14 | leaving   | s
15 | pauseone  | s
16 | reuseone  | s
17 | cancelone | s
18 | cancelone | s
19 | canceldie | s
20 | cancelone | s
21 | death     | s
22 | pauseone  | l
23 | pauseone  | s
24 | cancelone | s
25 | canceltwo | s
26 | cancelhup | s
27 | pauseone  | s
28 | pauseone  | s
"

work=$(mktemp -d "${TMPDIR:-/tmp}/check_model.XXXXXX") || exit 1
failed=0
trap 'rm -rf "$work"' EXIT

complain()
{
	echo "FAILED: $*" >&2
	failed=1
}

for tool in spin "$cc" timeout; do
	if ! command -v "$tool" > /dev/null; then
		complain "$tool is not installed"
		exit 1
	fi
done

# search DIRECTORY MODE DEFINITIONS...
#	Leaves spin's answer in DIRECTORY/out; false if there is none.  The
#	program that spin writes takes longer to compile than to run: -Og makes it
#	as fast as -O2 does in a third of the time.
search()
{
	local dir=$1 mode=$2
	local define='-DSAFETY' option=''

	shift 2
	if [ "$mode" = l ]; then
		define='-DNP'
		option='-l'
	fi
	mkdir -p "$dir" && cp "$model" "$dir" && cd "$dir" || return 1
	spin -a "$@" handover.pml > spin.out 2>&1 || { cat spin.out; return 1; }
	"$cc" "$optimise" -w "$define" -DCOLLAPSE \
		-DMEMLIM="$memory" -o pan pan.c || return 1
	# shellcheck disable=SC2086
	timeout "$seconds" ./pan -m100000 -w23 $option > out 2>&1
	local rc=$?
	cd "$root" || return 1
	[ $rc -eq 0 ] || { cat "$dir/out"; return 1; }
	return 0
}

# The search has been complete and has found nothing.
clean()
{
	grep -q 'errors: 0$' "$1" &&
		! grep -Eq 'Search not completed|max search depth too small|^pan:' <(
			grep -Ev '^pan: (elapsed time|rate)' "$1")
}

# The search has found an error of the protocol.
noticed()
{
	grep -Eq '^pan:1: (assertion violated|invalid end state|non-progress cycle)' "$1"
}

states()
{
	sed -n 's/^ *\([0-9]*\) states, stored.*/\1/p' "$1"
}

trim()
{
	echo "$1" | tr -d ' '
}

wanted()
{
	[ ${#only[@]} -eq 0 ] && return 0
	local name
	for name in "${only[@]}"; do
		[ "$name" = "$1" ] && return 0
	done
	return 1
}

only=("$@")
optimise=-Og
declare -A definitions

while IFS='|' read -r name modes defs; do
	name=$(trim "$name")
	[ -n "$name" ] || continue
	definitions[$name]=$defs
	wanted "$name" || continue
	for mode in $(trim "$modes" | grep -o .); do
		dir=$work/$name.$mode
		start=$SECONDS
		# shellcheck disable=SC2086
		if ! search "$dir" "$mode" $defs; then
			complain "$name ($mode): no answer"
		elif ! clean "$dir/out"; then
			complain "$name ($mode): $(grep '^pan:1:' "$dir/out")"
			kept=$(mktemp -d "${TMPDIR:-/tmp}/model-trail.XXXXXX")
			cp "$dir/handover.pml" "$dir"/*.trail "$dir/out" "$kept"
			echo "  see it: cd $kept && spin -t -p -g$defs handover.pml" >&2
		else
			printf 'ok %-10s %s %9d states %3d s %s\n' "$name" "$mode" \
				"$(states "$dir/out")" $((SECONDS - start)) "$defs"
		fi
		rm -rf "$dir"
	done
done <<< "$configurations"

optimise=-O0					# these find their error soon
while IFS='|' read -r number name mode; do
	number=$(trim "$number")
	[ -n "$number" ] || continue
	wanted "m$number" || continue
	name=$(trim "$name")
	dir=$work/m$number
	# shellcheck disable=SC2086
	if ! search "$dir" "$(trim "$mode")" ${definitions[$name]} \
			-DMUTATION_"$number"; then
		complain "mutation $number: no answer"
	elif ! noticed "$dir/out"; then
		complain "mutation $number is not noticed in $name"
	else
		printf 'ok mutation %2d is noticed (%s): %s\n' "$number" "$name" \
			"$(sed -n 's/^pan:1: //p' "$dir/out" | cut -c1-60)"
	fi
	rm -rf "$dir"
done <<< "$mutations"

[ $failed -eq 0 ] && echo "the model holds"
exit $failed
