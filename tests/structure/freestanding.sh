#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# freestanding.sh COMPILER   firmware is a program without an OS: compiled with -ffreestanding it links on the
# stub board with -nostdlib, asks for nothing but the board and string.h, has no mutable file-scope data, and
# every external symbol carries the board's prefix, so that several boards' firmware links into one program.
# freestanding.sh --self-test COMPILER   checks that each kind of breach is seen.
set -eu
top=${P2PNIC_TOP:-$(cd "$(dirname "$0")/../.." && pwd)}
here=$top/tests/structure
self=
[ "$1" = --self-test ] && { self=y; shift; }
cc=$1
for tool in "$cc" nm size; do
	command -v "$tool" >/dev/null || { echo "$tool is not installed (scripts/install.sh test)"; exit 77; }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# What firmware's objects may ask for: the board, string.h, and what a compiler emits of itself.
allowed='board_[a-z0-9_]*|memcpy|memmove|memset|memcmp|__(popcount|clz|ctz|ffs|parity|bswap)[dst]i2|__(u?div|u?mod|mul|ashl|ashr|lshr)[a-z]*[0-9]|_GLOBAL_OFFSET_TABLE_'

# check NAME SOURCE...: objects of the sources, joined, hold to the rules.
check() {
	name=$1
	shift
	objects=
	for source in "$@"; do
		object=$work/$name-$(basename "$source" .c).o
		"$cc" -std=gnu11 -O2 -ffreestanding -fno-pic -fno-stack-protector -fno-asynchronous-unwind-tables \
			-Wall -Wextra -Wundef -Wshadow -Wmissing-prototypes -Wstrict-prototypes -Werror -Wno-unused-parameter \
			-DFW_BOARD=stub -I"$here/stub_board" -I"$top/include" -I"$top" -c -o "$object" "$source" || return 1
		objects="$objects $object"
	done
	"$cc" -nostdlib -r -o "$work/$name.o" $objects || return 1
	bad=$(nm -u "$work/$name.o" | awk '{ print $2 }' | grep -Evx "$allowed" || true)
	[ -z "$bad" ] || { echo "$cc: firmware asks for" $bad; return 1; }
	bad=$(nm "$work/$name.o" | awk '$2 ~ /^[bBdDCsSgG]$/ { print $3 }')
	[ -z "$bad" ] || { echo "$cc: mutable file-scope data:" $bad; return 1; }
	bad=$(nm -g --defined-only "$work/$name.o" | awk '$3 !~ /^stub_/ { print $3 }')
	[ -z "$bad" ] || { echo "$cc: without the board's prefix (firmware/names.h):" $bad; return 1; }
	bad=$(size "$work/$name.o" | awk 'NR == 2 { print $2 + $3 }')
	[ "$bad" = 0 ] || { echo "$cc: $bad bytes of mutable file-scope data"; return 1; }
}

if [ -n "$self" ]; then
	breach() {
		printf '%s\n' "$2" >"$work/$1.c"
		if check "$1" "$work/$1.c" >"$work/$1.log" 2>&1; then
			echo "not seen with $cc: $2"
			exit 1
		fi
		grep -q "$3" "$work/$1.log" || { echo "seen for another reason with $cc: $2"; cat "$work/$1.log"; exit 1; }
	}
	breach libc 'int puts(const char *); int stub_f(void); int stub_f(void) { return puts("x"); }' 'asks for puts'
	breach global 'int stub_counter = 7;' 'data: stub_counter'
	breach zero 'int stub_counter;' 'data: stub_counter'
	breach local 'int stub_f(void); int stub_f(void) { static int n; return ++n; }' 'mutable file-scope'
	breach thread 'int stub_f(void); static _Thread_local int n; int stub_f(void) { return ++n; }' 'mutable\|asks for'
	breach prefix 'int f(void); int f(void) { return 0; }' 'prefix (firmware/names.h): f'
	breach warning 'int stub_f(void) { return 0; }' 'prototype'
	printf '%s\n' 'extern const char *const stub_t[]; const char *const stub_t[] = { "a", "b" };' >"$work/good.c"
	check good "$work/good.c"
	exit 0
fi

sources=$(find "$top/firmware" -maxdepth 1 -name '*.c' | sort)
[ -n "$sources" ] || { echo "firmware/ has no source yet"; exit 77; }
check firmware $sources
"$cc" -std=gnu11 -O2 -ffreestanding -fno-builtin -fno-pic -fno-stack-protector -Wall -Wextra -Werror \
	-Wno-unused-parameter -DFW_BOARD=stub -I"$here/stub_board" -I"$top/include" -I"$top" -c -o "$work/stub.o" "$here/stub_board/stub.c"
"$cc" -nostdlib -static -o "$work/machine" "$work/stub.o" "$work/firmware.o" -lgcc
[ -z "$(nm -u "$work/machine")" ] || { echo "$cc: the program is not whole"; exit 1; }
echo "$cc: $(echo "$sources" | wc -l) files, $(size "$work/firmware.o" | awk 'NR == 2 { print $1 }') bytes of program"
