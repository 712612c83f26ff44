# test/tools/drivers.sh
#
# Sourced by test.sh: what t/043_drivers.pl, t/104_real_leaks.pl and
# t/117_tls_clients.pl run.  The drivers are those of Debian's packages, and for
# Node.js those that test/drivers/package-lock.json names, from npm's registry.

# need_drivers: add to missing_tools what they need.  A compiler or interpreter
# that somebody has got elsewhere will do, too.
need_drivers()
{
	local command
	local -A package_of=(
		[go]=golang-go
		[javac]=default-jdk-headless
		[node]=nodejs
		[npm]=npm
	)

	missing_tools+=(
		golang-github-jackc-pgx-v4-dev
		golang-github-lib-pq-dev
		libpostgresql-jdbc-java
		libpq-dev
		python3-asyncpg
		python3-psycopg
		python3-psycopg-pool
	)
	for command in "${!package_of[@]}"; do
		command -v "$command" >/dev/null || missing_tools+=("${package_of[$command]}")
	done
}

# generate_prisma DIR: the client that with_prisma.mjs uses.
#
# Prisma would fetch a program for migrations from elsewhere, which neither this
# nor the test needs.
generate_prisma()
{
	(cd "$1" && PRISMA_SCHEMA_ENGINE_BINARY=/bin/true CHECKPOINT_DISABLE=1 \
		PRISMA_HIDE_UPDATE_MESSAGE=1 npx --no-install prisma generate --no-hints >/dev/null)
}

# build_go DIR PROGRAM...
build_go()
{
	local program

	for program in "${@:2}"; do
		GO111MODULE=off GOPATH=/usr/share/gocode GOFLAGS='' CGO_ENABLED=0 \
			go build -o "$1/$program" "$1/$program.go" || return
	done
}

# build_drivers DIR: copies of the programs, ready to run.
#
# Called as a condition, where bash ignores set -e.
build_drivers()
{
	local dir=$1

	cp -r "$topdir/test/drivers" "$dir" &&
		(cd "$dir" && npm ci --ignore-scripts --no-audit --no-fund \
			--prefer-offline --loglevel=error) &&
		generate_prisma "$dir" &&
		gcc -std=gnu99 -O2 -Wall -Wextra -Wno-unused-parameter -Werror \
			-I"$("$PG_CONFIG" --includedir)" -o "$dir/with_libpq" \
			"$dir/with_libpq.c" -pthread -lpq &&
		javac -Xlint:all -Werror -cp /usr/share/java/postgresql.jar \
			-d "$dir" "$dir/WithJdbc.java" "$dir/LeakJdbc.java" \
			"$dir/TlsJdbc.java" &&
		build_go "$dir" with_pgx tls_go
}
