#!/bin/bash
# test/bench/bench.sh
#
# make bench: set up, then let bench.py compare a direct connection, pooler and
# PgBouncer.  The table goes to stdout, progress to stderr.  From the
# environment or make's command line, with defaults:
#
#   ROUNDS=3  SECONDS_PER_RUN=5
#   TARGETS="direct pooler pgbouncer"
#   CLIENTS="1 8 64 500 2000"
#   MODES="simple extended prepared connect switch tls-simple tls-prepared tls-connect"
#		connect: -M simple -C, a new connection per transaction, 8 clients
#		tls-simple, tls-prepared, tls-connect and so on: the same by TLS
#		switch: what it costs to change between two clients, in the pooler only
#   PGBOUNCER=pgbouncer		the program

. "$(dirname "$0")/../tools/common.sh"

: "${TARGETS:=direct pooler pgbouncer}" "${PGBOUNCER:=pgbouncer}"
PATH=$PATH:/usr/sbin
case " $TARGETS " in
	*" pgbouncer "*)
		# Not installed from here: Debian's package starts a service.
		PGBOUNCER=$(command -v "$PGBOUNCER") ||
			die "no PgBouncer; name the program in PGBOUNCER, or leave it out of TARGETS" ;;
esac

work=
job=
cleanup()
{
	[ -n "$work" ] || return 0
	[ -z "$job" ] || { kill "$job" && wait "$job"; } 2>/dev/null || true
	stop_servers "$work"
	rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

install_missing python3
run_make all >&2
work=$(mktemp -d /tmp/pooler-bench.XXXXXX)
private_install "$work"
give_to_server "$work"

# pgbench needs a descriptor per client, and so do the poolers.
ulimit -n 65536 2>/dev/null || ulimit -n "$(ulimit -Hn)"

# In the background, since bash handles no signal while it waits for a command
# in the foreground.
"${server_prefix[@]}" TARGETS="$TARGETS" PGBOUNCER="$PGBOUNCER" ROUNDS="${ROUNDS:-3}" \
	SECONDS_PER_RUN="${SECONDS_PER_RUN:-5}" CLIENTS="${CLIENTS:-1 8 64 500 2000}" \
	MODES="${MODES:-simple extended prepared connect switch tls-simple tls-prepared tls-connect}" \
	python3 - "$work" <"$topdir/test/bench/bench.py" &
job=$!
wait "$job"
job=
