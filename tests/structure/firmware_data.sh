#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# firmware_data.sh PREFIX ARCHIVE [PREFIX ARCHIVE]...   firmware as it was compiled for each board has no mutable
# file-scope data, so that many NICs live in one process, and carries the board's prefix, so that boards do.
# firmware_data.sh --self-test COMPILER                  checks that each kind of breach is seen.
set -eu
command -v nm >/dev/null || { echo "nm is not installed (scripts/install.sh test)"; exit 77; }
sources=$(cd "${P2PNIC_TOP:-$(dirname "$0")/../..}/firmware" && ls ./*.c | sed 's|^\./||')

# check PREFIX ARCHIVE: every one of firmware's objects in it.
check() {
	table=$(nm -A "$2" 2>/dev/null)
	for source in $sources; do
		object="firmware_$source.o"
		# archive:member:address type name
		rows=$(echo "$table" | awk -F: -v o="$object" '
			{ m = $2; if (substr(m, length(m) - length(o) + 1) == o && match(m, /(^|[._\/])firmware_[a-z_]*\.c\.o$/)) print $3 }')
		[ -n "$rows" ] || { echo "$2: $object is not in it"; return 1; }
		bad=$(echo "$rows" | awk 'NF == 3 && $2 ~ /^[bBdDCsSgG]$/ { print $3 }')
		[ -z "$bad" ] || { echo "$2: $source: mutable file-scope data:" $bad; return 1; }
		bad=$(echo "$rows" | awk -v p="^$1_" 'NF == 3 && $2 ~ /^[A-TV-Z]$/ && $3 !~ p { print $3 }')
		[ -z "$bad" ] || { echo "$2: $source: without the board's prefix:" $bad; return 1; }
	done
}

if [ "$1" = --self-test ]; then
	cc=$2
	work=$(mktemp -d)
	trap 'rm -rf "$work"' EXIT
	sources=f.c
	breach() {
		printf '%s\n' "$2" >"$work/f.c"
		"$cc" -c -o "$work/.._firmware_f.c.o" "$work/f.c"
		rm -f "$work/$1.a"
		ar rc "$work/$1.a" "$work/.._firmware_f.c.o"
		if check sim "$work/$1.a" >"$work/log"; then
			[ -z "$3" ] || { echo "not seen: $2"; exit 1; }
		else
			grep -q "${3:-^never}" "$work/log" || { echo "seen for another reason: $2"; cat "$work/log"; exit 1; }
		fi
	}
	breach good 'const int sim_a[2] = { 1, 2 }; int sim_f(void) { return sim_a[1]; }' ''
	breach data 'int sim_a = 1;' 'mutable file-scope data: sim_a'
	breach zero 'static int n; int sim_f(void) { return ++n; }' 'mutable file-scope data: n'
	breach prefix 'int fw_f(void) { return 1; }' 'prefix: fw_f'
	sources='f.c gone.c'
	breach missing 'int sim_f(void) { return 1; }' 'firmware_gone.c.o is not in it'
	exit 0
fi

while [ $# -ge 2 ]; do
	check "$1" "$2"
	echo "$1: $(echo "$sources" | wc -l) objects"
	shift 2
done
