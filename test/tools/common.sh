# test/tools/common.sh
#
# Sourced by the scripts behind make run, make test and make bench: packages,
# a private installation, the switch to the postgres user, free ports.

set -euo pipefail
umask 022

# Called from make, but not a part of its job: no flags from the outer make.
unset MAKEFLAGS MFLAGS MAKELEVEL

PG_CONFIG=${PG_CONFIG:-pg_config}
topdir=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)

die()
{
	echo "${0##*/}: $*" >&2
	exit 1
}

as_root()
{
	if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

# install_missing [PACKAGE...]
#
# Install what a build and a server need, and the packages named.  A server
# that PG_CONFIG names is used as it is.  A package that is there is left as it
# is, and without a missing one nothing is asked of root.
install_missing()
{
	local package missing=() dropin=/etc/postgresql-common/createcluster.d/pooler.conf

	command -v dpkg-query >/dev/null || return 0
	if [ ! -f "$("$PG_CONFIG" --pgxs 2>/dev/null)" ] ||
	   [ ! -x "$("$PG_CONFIG" --bindir 2>/dev/null)/postgres" ]; then
		set -- postgresql-15 postgresql-server-dev-15 "$@"
	fi
	for package in gcc libc6-dev libkrb5-dev libmicrohttpd-dev libssl-dev make perl "$@"; do
		dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null |
			grep -qx installed || missing+=("$package")
	done
	[ ${#missing[@]} -gt 0 ] || return 0

	echo "installing ${missing[*]}"
	# Debian would create and start a cluster together with the server.
	as_root mkdir -p "${dropin%/*}"
	echo "create_main_cluster = false" | as_root tee "$dropin" >/dev/null
	# one run at a time, since apt-get update would not wait for another
	as_root flock /var/lib/apt sh -c 'export DEBIAN_FRONTEND=noninteractive
		options="-o Acquire::Retries=3 -o DPkg::Lock::Timeout=300"
		apt-get -qq $options update &&
		apt-get -qq $options install -y --no-install-recommends "$@" </dev/null >/dev/null' \
		sh "${missing[@]}" ||
		{ as_root rm -f "$dropin"; die "could not install ${missing[*]}"; }
	as_root rm -f "$dropin"
}

# patiently COMMAND...: giving way to tests that run beside it, which do not wait
# for ever.  What nice runs could be no function, and renice is not everywhere.
patiently()
{
	(
		perl -e 'setpriority(0, $ARGV[0], 19)' "$BASHPID"
		"$@"
	)
}

# run_make ARGUMENT...: quietly, and one at a time in a checkout.
run_make()
{
	mkdir -p "$topdir/.build"
	patiently flock "$topdir/.build/lock" make -s -k -C "$topdir" -j "$(nproc)" \
		PG_CONFIG="$PG_CONFIG" "$@"
}

# private_install DIR
#
# Make DIR/inst a PostgreSQL installation of its own, with this build of pooler
# in it, and use it.  PostgreSQL finds its files by where its programs are, so
# copies of the programs and links to all the rest will do.  Thus any number of
# checkouts can be tested side by side, no server that is in use ever loads a
# library under development, and root is not needed.  (There is no
# extension_control_path before 18.)
private_install()
{
	local inst=$1/inst programs pkglibdir sharedir includedir

	programs=$("$PG_CONFIG" --bindir)
	pkglibdir=$("$PG_CONFIG" --pkglibdir)
	sharedir=$("$PG_CONFIG" --sharedir)
	includedir=$("$PG_CONFIG" --includedir-server)
	mkdir -p "$inst$programs" "$inst$pkglibdir" "$inst$sharedir" "$inst${includedir%/*}"
	cp -rL "$programs/." "$inst$programs"
	cp -rs "$pkglibdir/." "$inst$pkglibdir"
	cp -rs "$sharedir/." "$inst$sharedir"
	ln -sfn "$includedir" "$inst$includedir"
	# so that nothing is written through a link into the system's own files
	rm -f "$inst$pkglibdir/pooler.so" "$inst$sharedir/extension/pooler"[-.]*
	run_make DESTDIR="$inst" install
	use_installation "$1"
}

# use_installation DIR
#
# Let as_server find the programs of a private installation, and be the user
# who owns the servers: postgres if we are root, which PostgreSQL refuses.
# setpriv, unlike su and runuser, opens no PAM session, which would set the
# limits back, and starts no process of its own.  None of the caller's PG*
# variables gets through.
use_installation()
{
	bindir=$1/inst$("$PG_CONFIG" --bindir)
	server_prefix=()
	[ "$(id -u)" -ne 0 ] ||
		server_prefix=(setpriv --reuid=postgres --regid=postgres --init-groups)
	server_prefix+=(env -i PATH="$bindir:$PATH:/usr/sbin" HOME=/nonexistent LANG=C.UTF-8)
}

# as_server [NAME=VALUE...] COMMAND...
as_server()
{
	"${server_prefix[@]}" "$@"
}

# give_to_server DIR...: make the user of as_server the owner (of these alone).
give_to_server()
{
	[ "$(id -u)" -ne 0 ] || chown postgres: "$@"
}

# free_port [WISH]: print a TCP port that nobody uses, the one wished if so.
free_port()
{
	perl -MIO::Socket::INET -e '
		for my $port (@ARGV, 0)
		{
			my $socket = IO::Socket::INET->new(Listen => 1,
				LocalAddr => "127.0.0.1", LocalPort => $port, ReuseAddr => 1);
			next unless $socket;
			print $socket->sockport;
			last;
		}' "$@"
}

# stop_servers DIR: stop whatever server still has its data below DIR.
stop_servers()
{
	local pidfile

	find "$1" -name postmaster.pid 2>/dev/null | while read -r pidfile; do
		as_server pg_ctl stop -s -m immediate -D "${pidfile%/*}" >/dev/null 2>&1 || true
	done
}
