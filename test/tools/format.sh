#!/bin/bash
# test/tools/format.sh
#
# make format: every C file as pgindent would have it.  make check-format
# (--check): say where one is not.  Debian has pgindent in postgresql-server-dev
# of 17 and later, with the server's own list of type names.
#
# Two departures from core's style.  A name that is a type of core's may be a
# variable here (NOT_TYPES), and designated initializers that share a line keep
# the space between them.

. "$(dirname "$0")/common.sh"

NOT_TYPES='numeric|text'

# own_types FILE...: names that a typedef gives.
own_types()
{
	perl -0777 -ne '
		print "$_\n" for /^\}\s*(\w+)\s*;/mg,
			/^typedef\s[^;{}()]*?(\w+)\s*;/mg,
			/^typedef\s[^;{}()]*\(\*\s*(\w+)\)/mg' "$@"
}

# format FILE...: in place.  pgindent leaves a file alone that it can't read.
#
# Twice: how it fills a comment depends on where the lines ended.
format()
{
	local messages

	for _ in 1 2; do
		messages=$("$bindir/pgindent" --indent="$bindir/pg_bsd_indent" \
			--typedefs="$work/types" "$@" 2>&1) || true
		[ -z "$messages" ] || die "$messages"
	done
	sed -i -E 's/([^[:space:]]),\.([a-z_]+ =)/\1, .\2/g' "$@"
}

bindir=$("$PG_CONFIG" --bindir)
types=$("$PG_CONFIG" --sharedir)/typedefs.list
if [ ! -x "$bindir/pgindent" ] || [ ! -f "$types" ]; then
	die "pgindent of postgresql-server-dev-17, or later, is needed"
fi
work=$(mktemp -d /tmp/pooler-format.XXXXXX)
trap 'rm -rf "$work"' EXIT
cd "$topdir"
mapfile -t files < <(find src test -name '*.[ch]' | sort)
{
	grep -vxE "$NOT_TYPES" "$types"
	printf '%s\n' int32_t int64_t uint8_t uint16_t uint32_t uint64_t
	own_types "${files[@]}"
} | sort -u >"$work/types"

if [ "${1-}" != --check ]; then
	format "${files[@]}"
	exit
fi
cp --parents "${files[@]}" "$work"
cd "$work"
format "${files[@]}"
status=0
for file in "${files[@]}"; do
	diff -u "$topdir/$file" "$file" || status=1
done
[ "$status" -eq 0 ] || die "make format, with PostgreSQL 17 or later, would change this"
