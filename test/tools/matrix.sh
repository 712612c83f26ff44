#!/bin/bash
# test/tools/matrix.sh
#
# make test-matrix: the tests on every server that pooler supports, side by
# side.  MATRIX="15 17 18 18-assert" chooses; TESTS is handed on.
#
# The server of the machine's own Debian release is tested as make test does it.
# Each of the others gets a chroot of the release that has it, made by
# mmdebstrap and kept for the next run, so nothing of it is installed on the
# machine.  18-assert is a server built there from Debian's source package with
# assertions, also kept; 18-sanitize one with AddressSanitizer and
# UndefinedBehaviorSanitizer as well, which is tested only if MATRIX names it,
# since its processes take several times as long.
#
# Each goes through its builds, checks and tests without regard to the others.
# Tests of running servers mostly wait, but not for ever: so what keeps the
# processors busy gives way to them, and checks give way to the building of a
# server, whose tests will be the last to begin.  What was printed is shown as it
# comes, each line behind its server's name; the end says once more, server by
# server, what failed.
#
# Needs root, for chroot.

. "$(dirname "$0")/common.sh"

# What the servers have in common is tested once, on this one; MATRIX_ALL=1 runs
# all tests on each.
fully=15
left_out='043_drivers|080_import|090_docs|107_page'
[ -z "${MATRIX_ALL-}" ] || left_out='^$'

declare -A release=([15]=bookworm [17]=trixie [18]=forky)
read -r -a versions <<<"${MATRIX:-15 17 18-assert}"
mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
place=${POOLER_MATRIX:-/var/cache/pooler-matrix}

# Whom the machine trusts, npm in a chroot has to trust: there may be a proxy.
certificates=/etc/ssl/certs/ca-certificates.crt

# For all of it; sanitizers make tests slower.  The last minute is for what has to
# be said of tests that did not end.
case " ${versions[*]} " in
	*-sanitize\ *) seconds=${MATRIX_SECONDS:-21600} ;;
	*) seconds=${MATRIX_SECONDS:-7200} ;;
esac
tests_until=$((EPOCHSECONDS - SECONDS + seconds - 60))

# One lane is for one of versions: its process.
declare -A lane_pid=()
logs=
machine_version=

# find_machine_version: which of the servers is the machine's own.
find_machine_version()
{
	local numbers

	numbers=$("$PG_CONFIG" --version 2>/dev/null | tr -dc '0-9.') || true
	machine_version=${numbers%%.*}
	if [ -z "$machine_version" ] &&
	   grep -qs '^VERSION_CODENAME=bookworm$' /etc/os-release; then
		machine_version=15		# what install_missing will install
	fi
}

# make_root VERSION: the chroot, unless there is one.
#
# An index that has expired is what a kept mirror of an old release has.
make_root()
{
	local version=$1 root=$place/$1 packages

	[ ! -f "$root/.complete" ] || return 0
	packages=gcc,libc6-dev,libkrb5-dev,libssl-dev,make,perl,procps,util-linux
	packages+=,iproute2,libipc-run-perl,libmicrohttpd-dev,openssl
	packages+=,postgresql-$version,postgresql-server-dev-$version
	rm -rf --one-file-system "$root"
	nice mmdebstrap --mode=root --variant=apt --include="$packages" --quiet \
		--aptopt='Acquire::Check-Valid-Until "false"' \
		--aptopt='Acquire::Retries "3"' \
		--aptopt='APT::Install-Recommends "false"' \
		--dpkgopt='force-unsafe-io' \
		--essential-hook='mkdir -p "$1/etc/postgresql-common/createcluster.d" &&
			echo "create_main_cluster = false" >"$1/etc/postgresql-common/createcluster.d/pooler.conf"' \
		"${release[$version]}" "$root" "$mirror" &&
		touch "$root/.complete"
}

# in_root VERSION TMP COMMAND...: with /proc and the like, and TMP, one of the
# chroot's directories, as /tmp, in a PID namespace that takes all it has started
# with it.
#
# In one /tmp there would be files of the same name of other such namespaces.  The
# first process of all has to stay a shell: a signal that ends others is nothing to
# it, and make would send it to itself for ever.
in_root()
{
	local root=$place/$1 tmp=$2

	shift 2
	cp /etc/resolv.conf /etc/hosts "$root/etc"
	unshare --mount --pid --fork --kill-child bash -c '
		root=$1
		mount --bind "$2" "$root/tmp" &&
		shift 2 &&
		mount -t proc proc "$root/proc" &&
		mount --rbind /dev "$root/dev" &&
		mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm" &&
		chroot "$root" "$@"
		exit "$?"' bash "$root" "$root$tmp" "$@"
}

# build_server VERSION KIND PREFIX: in the chroot, unless it is there.
#
# A server with sanitizers learns from a header of ours what else may not be
# touched.  Programs of PostgreSQL end without freeing their memory, and what gcc
# takes for uninitialized in instrumented code is not.
build_server()
{
	local cflags="-O1 -g" cppflags=

	[ ! -x "$place/$1$3/bin/postgres" ] || return 0
	if [ "$2" = sanitize ]; then
		cflags+=" -fno-omit-frame-pointer -fno-common"
		cflags+=" -fsanitize=address,undefined -fno-sanitize-recover=all"
		cflags+=" -Wno-maybe-uninitialized"
		cppflags="-DUSE_VALGRIND -I$3.include"
		mkdir -p "$place/$1$3.include"
		cp -r "$topdir/test/sanitize/valgrind" "$place/$1$3.include"
	fi
	in_root "$1" /tmp env ASAN_OPTIONS=detect_leaks=0 bash -euc '
		export DEBIAN_FRONTEND=noninteractive
		sed "s/^deb /deb-src /" /etc/apt/sources.list >/etc/apt/sources.list.d/source.list
		apt-get -qq update
		apt-get -qq install -y --no-install-recommends bison flex bzip2 xz-utils \
			libreadline-dev zlib1g-dev libldap-dev libpam0g-dev pkgconf >/dev/null
		rm -rf /build && mkdir /build && cd /build
		apt-get -qq -o APT::Sandbox::User=root source --download-only "postgresql-$1"
		tar -xf postgresql-*.orig.tar.* --strip-components=1
		./configure -q --prefix="$2" --enable-cassert --enable-debug \
			--enable-tap-tests --with-openssl --with-gssapi --with-ldap --with-pam \
			--without-icu CFLAGS="$3" CPPFLAGS="$4" >/dev/null
		nice make -s -j "$(nproc)" world-bin >/dev/null
		make -s install-world-bin DESTDIR="$PWD/installed" >/dev/null
		mv "installed$2" "$2" && cd / && rm -rf /build' \
		bash "$1" "$3" "$cflags" "$cppflags" </dev/null
}

# tests_for LANE, checks_for LANE: names as test.sh takes them; of tests none is
# all.
tests_for()
{
	if [ -n "${TESTS-}" ]; then
		echo "$TESTS"
	elif [ "$1" != "$fully" ]; then
		(cd "$topdir/test" && ls unit/test_*.c sql/*.sql t/*.pl) |
			grep -Ev "$left_out" | tr '\n' ' '
	fi
}

checks_for()
{
	if [ -n "${TESTS-}" ]; then
		echo "${CHECKS-}"
	else
		case $1 in
			"$fully") echo "symbols no-http warnings analysis fuzz" ;;
			17) echo "symbols no-http warnings format model" ;;	# it has pgindent
			*-sanitize) ;;
			*) echo "symbols no-http warnings" ;;
		esac
	fi
}

# run_on_machine LANE
run_on_machine()
{
	TESTS=$(tests_for "$1") CHECKS=$(checks_for "$1") POOLER_TESTS_UNTIL=$tests_until \
		make -s -C "$topdir" test </dev/null
}

# prepare_root LANE PREFIX: one run of ours at a time, as others may have to wait
# for the same chroot.
prepare_root()
{
	local version=${1%%-*}

	(
		flock 9
		make_root "$version" || die "could not make a chroot of ${release[$version]}"
		[ "$1" = "$version" ] || build_server "$version" "${1#*-}" "$2" ||
			die "could not build PostgreSQL $1"
	) 9>"$place/$version.lock"
}

# run_in_root LANE: on a copy of the sources.
run_in_root()
{
	local version=${1%%-*} inside
	local prefix=/usr/lib/postgresql/$version

	[ "$1" = "$version" ] || prefix=/opt/postgresql-$1
	prepare_root "$1" "$prefix"
	# what failed a day ago has been looked at
	find "$place/$version/srv" -maxdepth 1 -name 'pooler.*' -mtime +0 -exec rm -rf {} +
	inside=$(mktemp -d "$place/$version/srv/pooler.XXXXXX")
	mkdir -m 1777 "$inside/tmp"
	(cd "$topdir" && tar -cf - --exclude=.build --exclude='*.o' --exclude='*.so' \
		--exclude='*.d' --exclude=.git .) | tar -C "$inside" -xf -
	inside=${inside#"$place/$version"}
	[ ! -f "$certificates" ] || cp "$certificates" "$place/$version$inside/trusted.crt"
	in_root "$version" "$inside/tmp" env ASAN_OPTIONS=detect_leaks=0 \
		COPT=-Werror PROVE_FLAGS="${PROVE_FLAGS-}" \
		NODE_EXTRA_CA_CERTS="$inside/trusted.crt" \
		TESTS="$(tests_for "$1")" CHECKS="$(checks_for "$1")" \
		POOLER_ALONE=1 POOLER_TESTS_UNTIL=$tests_until PG_CONFIG="$prefix/bin/pg_config" \
		make -s -C "$inside" test </dev/null ||
		die "what is kept is below $place/$version$inside/tmp, there as /tmp"
	rm -rf "$place/$version${inside:?}"
}

run_lane()
{
	echo "PostgreSQL $1 (${release[${1%%-*}]})"
	if [ "$1" = "$machine_version" ]; then
		run_on_machine "$1"
	else
		run_in_root "$1"
	fi
}

# start_lane LANE: in a process group of its own, with its log shown.
start_lane()
{
	local log=$logs/$1.log

	: >"$log"
	set -m
	(run_lane "$1") >"$log" 2>&1 &
	lane_pid[$1]=$!
	set +m
	tail -n +1 -s 0.5 -f --pid="${lane_pid[$1]}" "$log" | sed -u "s/^/$1: /" &
}

lane_runs()
{
	kill -0 "${lane_pid[$1]}" 2>/dev/null
}

# end_group LANE: all its processes, which get some seconds to stop servers.
end_group()
{
	local group=${lane_pid[$1]}

	kill -TERM -- "-$group" 2>/dev/null || return 0
	for _ in {1..20}; do
		kill -0 -- "-$group" 2>/dev/null || return 0
		sleep 1
	done
	kill -KILL -- "-$group" 2>/dev/null || true
}

# end_lane LANE REASON
end_lane()
{
	echo "FAILED: $2" | tee -a "$logs/$1.late" >&2
	end_group "$1"
}

# wait_for_lanes: all but those that were ended are in passed or failed then.
wait_for_lanes()
{
	local lane

	for lane in "${versions[@]}"; do
		while lane_runs "$lane" && [ "$SECONDS" -lt "$seconds" ]; do
			sleep 1
		done
		! lane_runs "$lane" ||
			end_lane "$lane" "PostgreSQL $lane: did not end after $SECONDS s"
		if wait "${lane_pid[$lane]}" && [ ! -e "$logs/$lane.late" ]; then
			passed+=("$lane")
		else
			failed+=("$lane")
		fi
	done
	wait
}

# show_failures LANE: names, and if there is none its last lines.
show_failures()
{
	local log=$logs/$1.log names

	printf '\n== PostgreSQL %s: FAILED\n' "$1"
	touch "$logs/$1.late"
	names=$(awk '
		/^(FAILED|not ok|test .* FAILED|test\/.*Wstat:|  Failed test|Bail out|# +Failed test)/ ||
		/^#   at .* line [0-9]+\.$/ {
			line = substr($0, 1, 150)
			if (!seen[line]++) print line
		}' "$log" "$logs/$1.late")
	if [ -n "$names" ]; then
		head -n 30 <<<"$names"
	else
		tail -n 30 "$log"
	fi
}

end_lanes()
{
	local lane

	for lane in "${!lane_pid[@]}"; do
		end_group "$lane"
	done
	[ -z "$logs" ] || rm -rf "$logs"
}

passed=()
failed=()
trap end_lanes EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

[ "$(id -u)" -eq 0 ] || die "only root can make a chroot"
for lane in "${versions[@]}"; do
	[ -n "${release[${lane%%-*}]-}" ] || die "no such server: $lane"
done
find_machine_version
install_missing mmdebstrap debian-archive-keyring
mkdir -p "$place"
logs=$(mktemp -d /tmp/pooler-matrix.XXXXXX)
for lane in "${versions[@]}"; do
	start_lane "$lane"
done
wait_for_lanes

for lane in "${failed[@]}"; do
	show_failures "$lane"
done
echo
for lane in "${versions[@]}"; do
	echo "PostgreSQL $lane: $(grep -a -E '^[0-9]+ passed, [0-9]+ failed$' "$logs/$lane.log" || echo 'did not come to its end')"
done
echo "$SECONDS s"
[ ${#failed[@]} -eq 0 ] || die "failed on PostgreSQL ${failed[*]}"
echo "all passed on PostgreSQL ${passed[*]}"
