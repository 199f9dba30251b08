#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# build.sh VARIANT [TARGET...]   configures and builds the checkout; prints nothing if it goes well
#
#   gcc     build/        what users run
#   clang   build-clang/
#   asan    build-asan/   gcc, AddressSanitizer, LeakSanitizer and UBSan
#   tsan    build-tsan/   gcc, ThreadSanitizer
#   fuzz    build-fuzz/   clang, libFuzzer, AddressSanitizer and UBSan; of its targets `fuzz` alone
#   cover   build-cover/  clang, counts which lines are run (llvm-cov)
#
# Exit 1: the end of the compiler's output and one line are on stderr.
set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
variant=$1
shift
cc=gcc
args=
san="--buildtype=debugoptimized -Doptimization=1 -Dwerror=false"
case $variant in
gcc) dir=$top/build ;;
clang) dir=$top/build-clang cc=clang ;;
asan) dir=$top/build-asan args="$san -Db_sanitize=address,undefined -Dc_args=-fno-sanitize-recover=all" ;;
tsan) dir=$top/build-tsan args="$san -Db_sanitize=thread" ;;
fuzz)
	dir=$top/build-fuzz cc=clang
	args="$san -Dfuzz=true -Db_lundef=false -Db_sanitize=address,undefined -Dc_args=-fno-sanitize-recover=all"
	;;
cover)
	dir=$top/build-cover cc=clang args="$san"
	export CFLAGS="-fprofile-instr-generate -fcoverage-mapping" LDFLAGS=-fprofile-instr-generate
	;;
*)
	echo "p2pnic: no build variant '$variant': gcc, clang, asan, tsan, fuzz or cover" >&2
	exit 1
	;;
esac

for tool in meson ninja $cc; do
	command -v $tool >/dev/null || { echo "p2pnic: $tool is not here: run scripts/install.sh build test" >&2; exit 1; }
done
mkdir -p "$dir" 2>/dev/null && [ -w "$dir" ] ||
	{ echo "p2pnic: $dir is not yours to write: remove it or run as its owner" >&2; exit 1; }

# One build of a directory at a time.
exec 9>"$dir/.p2pnic-lock"
flock 9

log=$dir/p2pnic-build.log
fail() {
	tail -n 60 "$log" >&2
	echo "p2pnic: $1 (all of it: $log)" >&2
	exit 1
}
# A tree that was moved, or whose configuration was interrupted, starts afresh.
stamp="$top $args"
if [ ! -f "$dir/build.ninja" ] || [ "$(cat "$dir/.p2pnic-stamp" 2>/dev/null)" != "$stamp" ]; then
	find "$dir" -mindepth 1 -maxdepth 1 ! -name .p2pnic-lock -exec rm -rf {} +
	CC=$cc meson setup $args "$dir" "$top" >"$log" 2>&1 9>&- || fail "meson could not configure $dir"
	echo "$stamp" >"$dir/.p2pnic-stamp"
fi
ninja -C "$dir" "$@" >"$log" 2>&1 9>&- || fail "the $variant build failed"
