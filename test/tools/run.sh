#!/bin/bash
# test/tools/run.sh start | stop
#
# make run: a throw-away cluster with the pooler, a load of 200 clients through
# a pool of 8, and what the views say about it.  The cluster is left running.
# make stop: end it and remove it.

. "$(dirname "$0")/common.sh"

dir=${POOLER_RUN_DIR:-/tmp/pooler-run-$(id -u)}

stop()
{
	[ -e "$dir" ] || return 0
	if [ ! -d "$dir" ] || [ ! -O "$dir" ] || [ ! -f "$dir/README" ]; then
		die "$dir is not ours, it will not be touched"
	fi
	if [ -f "$dir/data/postmaster.pid" ]; then
		use_installation "$dir"
		as_server pg_ctl stop -s -m fast -t 30 -D "$dir/data" ||
			as_server pg_ctl stop -s -m immediate -D "$dir/data" || true
	fi
	rm -rf "$dir"
}

# As superuser, directly, through a socket that only the server's user reaches.
direct()
{
	as_server psql -X -q -v ON_ERROR_STOP=1 -h "$dir/socket" -p "$port" \
		-U postgres "$@"
}

create_cluster()
{
	echo "== a throw-away cluster in $dir"
	mkdir -p "$(dirname "$dir")"
	mkdir "$dir"
	echo "Made by 'make run' of pooler; 'make stop' removes it." >"$dir/README"
	mkdir -m 700 "$dir/data" "$dir/socket"
	private_install "$dir"
	give_to_server "$dir/data" "$dir/socket"

	as_server initdb -D "$dir/data" -U postgres --auth-local=trust \
		--auth-host=scram-sha-256 >/dev/null
	as_server tee -a "$dir/data/postgresql.conf" >/dev/null <<-CONF

		# added by make run
		listen_addresses = 'localhost'
		port = $port
		unix_socket_directories = '$dir/socket'
		max_connections = 100
		logging_collector = off
		shared_preload_libraries = 'pooler'
		pooler.port = $pooler_port
		pooler.default_pool_size = 8
	CONF
	as_server pg_ctl start -s -w -D "$dir/data" -l "$dir/data/server.log" || {
		tail -n 30 "$dir/data/server.log" >&2
		die "the server did not start"
	}
}

create_database()
{
	direct -d postgres <<-SQL
		CREATE ROLE app LOGIN PASSWORD '$password' IN ROLE pg_monitor;
		CREATE DATABASE bench OWNER app;
		\\connect bench
		CREATE EXTENSION pooler;
	SQL
	as_server PGPASSWORD="$password" pgbench -i -q -s 10 -h localhost \
		-p "$port" -U app bench 2>&1 | tail -n 1
}

show_views()
{
	direct -d bench <<-'SQL'
		\pset footer off
		\pset expanded auto
		\pset columns 160
		\echo '-- pooler.pools'
		SELECT * FROM pooler.pools;
		\echo '-- pooler.backends'
		SELECT * FROM pooler.backends;
		\echo '-- pooler.clients (the first 5)'
		SELECT * FROM pooler.clients LIMIT 5;
		\echo '-- pooler.stats'
		SELECT * FROM pooler.stats;
	SQL
}

# 200 clients for 10 seconds; the views as soon as all of them are there.
load()
{
	local pgbench clients=0 status=0

	echo "== 200 clients through a pool of 8, 10 seconds"
	as_server PGPASSWORD="$password" pgbench -n -S -c 200 -j 2 -T 10 \
		-h localhost -p "$pooler_port" -U app bench >"$dir/pgbench.out" 2>&1 &
	pgbench=$!
	while kill -0 "$pgbench" 2>/dev/null && [ "$clients" -lt 200 ]; do
		clients=$(direct -d bench -At -c 'SELECT count(*) FROM pooler.clients')
		sleep 0.1
	done
	echo "== the views while it runs"
	show_views
	wait "$pgbench" || status=$?
	echo "== pgbench"
	cat "$dir/pgbench.out"
	[ "$status" -eq 0 ] || {
		tail -n 30 "$dir/data/server.log" >&2
		die "pgbench failed; the server's log is $dir/data/server.log"
	}
	echo "== the views afterwards"
	show_views
}

start()
{
	install_missing
	run_make all
	stop						# an earlier one, if any
	port=$(free_port)
	pooler_port=$(free_port 6432)
	password=$(od -An -N8 -tx1 /dev/urandom | tr -d ' \n')
	create_cluster
	create_database
	load
	cat <<-END

		The server runs in $dir (log: data/server.log). Connect through the pooler with

		    PGPASSWORD=$password psql -h localhost -p $pooler_port -U app bench

		or directly with port $port, and as superuser with

		    psql -h $dir/socket -p $pooler_port -U postgres bench

		'${POOLER_RUN_DIR:+POOLER_RUN_DIR=$dir }make stop' ends and removes it.
	END
}

case ${1-} in
	start) start ;;
	stop) stop ;;
	*) die "usage: $0 start | stop" ;;
esac
