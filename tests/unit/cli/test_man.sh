#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# test_man.sh P2PNIC MANDIR: the manual pages are what `p2pnic help --man` says, and there is one for each command.
set -u
p2pnic=$1 dir=$2 failed=0
check() {
	if ! "$p2pnic" help --man $2 | cmp -s - "$dir/$1"; then
		echo "man/$1 is out of date: p2pnic help --man $2 > man/$1" >&2
		failed=1
	fi
}
check p2pnic.1 ""
for c in run nic up down reset bind unbind router route show gen sim doctor bench "bench forward" "bench soak" "bench idle" "bench copy" "bench lpm" "bench churn"; do
	check "p2pnic-$(echo "$c" | tr " " -).1" "$c"
	"$p2pnic" $c --help | grep -q '^usage: p2pnic '"$c" || { echo "$c --help prints no usage" >&2; failed=1; }
done
exit $failed
