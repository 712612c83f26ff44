#!/bin/bash
# test/tools/matrix.sh
#
# make test-matrix: the tests on each server that pooler supports and that the
# machine's own Debian release does not have.  Each gets a chroot of the release
# that has it, made by mmdebstrap and kept for the next run, so nothing of it
# is installed on the machine.  18-assert is a server built there from Debian's
# source package with assertions, also kept, and 18-sanitize one with
# AddressSanitizer and UndefinedBehaviorSanitizer as well, which is asked for by
# name only, since it is slow.  MATRIX="17 18-assert" chooses; TESTS is handed on.
#
# Needs root, for chroot.  What was printed there is shown as it comes; the last
# line of all says how many passed and failed, server by server.

. "$(dirname "$0")/common.sh"

# What the servers have in common is tested once, by make test.
left_out='043_drivers|080_import|090_docs|107_page'

declare -A release=([17]=trixie [18]=forky)
mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
place=${POOLER_MATRIX:-/var/cache/pooler-matrix}

# make_root VERSION: the chroot, unless there is one.
#
# An index that has expired is what a kept mirror of an old release has.
make_root()
{
	local version=$1 root=$place/$1 packages

	[ ! -f "$root/.complete" ] || return 0
	packages=gcc,libc6-dev,libkrb5-dev,libssl-dev,make,perl,procps,util-linux
	packages+=,libipc-run-perl,libmicrohttpd-dev,openssl
	packages+=,postgresql-$version,postgresql-server-dev-$version
	rm -rf --one-file-system "$root"
	mkdir -p "$place"
	mmdebstrap --mode=root --variant=apt --include="$packages" --quiet \
		--aptopt='Acquire::Check-Valid-Until "false"' \
		--aptopt='APT::Install-Recommends "false"' \
		--essential-hook='mkdir -p "$1/etc/postgresql-common/createcluster.d" &&
			echo "create_main_cluster = false" >"$1/etc/postgresql-common/createcluster.d/pooler.conf"' \
		"${release[$version]}" "$root" "$mirror" &&
		touch "$root/.complete"
}

# in_root VERSION COMMAND...: with /proc and the like, in a PID namespace that
# takes all it has started with it.
in_root()
{
	local root=$place/$1

	shift
	cp /etc/resolv.conf /etc/hosts "$root/etc"
	unshare --mount --pid --fork --kill-child bash -c '
		root=$1
		shift
		mount -t proc proc "$root/proc" &&
		mount --rbind /dev "$root/dev" &&
		mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm" &&
		exec chroot "$root" "$@"' bash "$root" "$@"
}

# tests_for: names as test.sh takes them.
tests_for()
{
	make -s -C "$topdir" PG_CONFIG="$PG_CONFIG" list-unit-tests | tr ' ' '\n' | sed 's/^test.//'
	(cd "$topdir/test" && ls sql/*.sql t/*.pl) | grep -Ev "$left_out"
}

# build_server VERSION KIND PREFIX: in the chroot, unless it is there.
build_server()
{
	local cflags="-O1 -g" cppflags=

	[ ! -x "$place/$1$3/bin/postgres" ] || return 0
	if [ "$2" = sanitize ]; then
		cflags+=" -fno-omit-frame-pointer -fno-common"
		cflags+=" -fsanitize=address,undefined -fno-sanitize-recover=all"
		cppflags="-DUSE_VALGRIND -I$3.include"
		mkdir -p "$place/$1$3.include"
		cp -r "$topdir/test/sanitize/valgrind" "$place/$1$3.include"
	fi
	in_root "$1" env DEBIAN_FRONTEND=noninteractive ASAN_OPTIONS=detect_leaks=0 bash -euc '
		sed "s/^deb /deb-src /" /etc/apt/sources.list >/etc/apt/sources.list.d/source.list
		apt-get -qq -o DPkg::Lock::Timeout=600 -o Acquire::Check-Valid-Until=false update
		apt-get -qq -o DPkg::Lock::Timeout=600 install -y --no-install-recommends bison flex bzip2 xz-utils \
			libreadline-dev zlib1g-dev libldap-dev libpam0g-dev pkgconf >/dev/null
		rm -rf "/build$2" && mkdir -p "/build$2" && cd "/build$2"
		apt-get -qq source --download-only "postgresql-$1"
		tar -xf postgresql-*.orig.tar.* --strip-components=1
		./configure -q --prefix="$2" --enable-cassert --enable-debug \
			--enable-tap-tests --with-openssl --with-gssapi --with-ldap --with-pam \
			--without-icu CFLAGS="$3" CPPFLAGS="$4" >/dev/null
		make -s -j "$(nproc)" world-bin >/dev/null
		make -s install-world-bin DESTDIR="$PWD/installed" >/dev/null
		mv "installed$2" "$2"
		cd / && rm -rf "/build$2"' bash "$1" "$3" "$cflags" "$cppflags"
}

# run_version VERSION, VERSION-assert or VERSION-sanitize
run_version()
{
	local version=${1%-*} root tests
	local prefix=/usr/lib/postgresql/$version

	root=$place/$version
	printf '\n== PostgreSQL %s (%s)\n' "$1" "${release[$version]}"
	make_root "$version" || return 1
	if [ "$1" != "$version" ]; then
		prefix=/opt/postgresql-$1
		build_server "$version" "${1#*-}" "$prefix" || return 1
	fi
	tests=${TESTS:-$(tests_for | tr '\n' ' ')}
	rm -rf "$root/src"
	mkdir "$root/src"
	(cd "$topdir" && tar -cf - --exclude=.build --exclude='*.o' --exclude='*.so' \
		--exclude='*.d' --exclude=.git .) | tar -C "$root/src" -xf -
	in_root "$version" env COPT=-Werror TESTS="$tests" PROVE_FLAGS="${PROVE_FLAGS-}" \
		PG_CONFIG="$prefix/bin/pg_config" \
		make -s -C /src test </dev/null
}

install_missing mmdebstrap debian-archive-keyring
[ "$(id -u)" -eq 0 ] || die "only root can make a chroot"
failed=()
for version in ${MATRIX:-17 18-assert}; do
	run_version "$version" || failed+=("$version")
done
[ ${#failed[@]} -eq 0 ] || die "failed on PostgreSQL ${failed[*]}"
echo "all passed on PostgreSQL ${MATRIX:-17 18-assert}"
