#!/bin/bash
# with_psql.sh
#
# psql, several at once, each with with_psql.sql and settings of its own.

here=$(cd "$(dirname "$0")" && pwd)
zones=(Asia/Tokyo Europe/Paris America/Lima UTC Africa/Cairo)
status=0
jobs=()
temp=$(mktemp -d)
trap 'rm -rf "$temp"' EXIT

psql -X -q -v ON_ERROR_STOP=1 <<-'SQL' || exit
	CREATE SCHEMA with_psql;
	CREATE TABLE with_psql.item (id serial PRIMARY KEY, worker int, name text UNIQUE,
		price numeric, data text);
	GRANT USAGE ON SCHEMA with_psql TO pooler_guest;
	GRANT SELECT ON with_psql.item TO pooler_guest;
SQL
for n in "${!zones[@]}"; do
	mkdir "$temp/files-$n"
	(cd "$temp/files-$n" && exec psql -X -a -v worker="$n" -v zone="${zones[$n]}" \
		-f "$here/with_psql.sql" >"$temp/$n" 2>&1) &
	jobs+=($!)
done
# All are connected before the first begins.
until [ "$(find "$temp" -name connected | wc -l)" -eq "${#zones[@]}" ]; do
	sleep 0.05
	[ -n "$(jobs -r)" ] || break
done
touch "$temp/begin"
for n in "${!zones[@]}"; do
	wait "${jobs[$n]}" || {
		status=1
		echo "psql $n failed:" >&2
		grep -E '(ERROR|FATAL):' "$temp/$n" | tail -n 5 >&2
	}
	# the process differs
	sed -e "s/^/psql $n: /" -e 's/from server process with PID [0-9]*/from somebody/' "$temp/$n"
done
echo end
exit "$status"
