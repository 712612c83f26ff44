#!/bin/bash
# test/tools/check_format.sh
#
# make check-format: are the sources as pgindent leaves them?  It comes with
# the server's headers from 17 on; test/tools/typedefs.list has the names of
# types that it needs to know.  With --fix, puts them in that shape.

. "$(dirname "$0")/common.sh"

pgindent=$("$PG_CONFIG" --bindir)/pgindent
bsd_indent=$("$PG_CONFIG" --bindir)/pg_bsd_indent
if [ ! -x "$pgindent" ]; then
	die "$pgindent is not there: PG_CONFIG has to be that of PostgreSQL 17 or newer"
fi
work=$(mktemp -d "${TMPDIR:-/tmp}/check_format.XXXXXX")
trap 'rm -rf "$work"' EXIT
cd "$topdir"
mapfile -t files < <(find src test \( -name '*.[ch]' -o -name '*.pml.h' \) | sort)
tar -cf - "${files[@]}" | tar -xf - -C "$work"
(cd "$work" && "$pgindent" --indent="$bsd_indent" \
	--typedefs="$topdir/test/tools/typedefs.list" "${files[@]}") || die "pgindent failed"
status=0
for file in "${files[@]}"; do
	cmp -s "$file" "$work/$file" && continue
	if [ "${1-}" = --fix ]; then
		cp "$work/$file" "$file"
	else
		diff -u "$file" "$work/$file" || status=1
	fi
done
exit $status
