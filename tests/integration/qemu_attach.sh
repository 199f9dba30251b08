#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# QEMU attaches to a vfio-user server of ours and finds a PCI function there.
#
# usage: qemu_attach.sh generic|fake COMMAND [ARGUMENT...]
#
# The command serves the socket @SOCKET@ until SIGTERM; the word is replaced in its
# arguments.  fake: it is tests/unit/vfio_user/fake_nic, so that DMA and
# interrupts are tested too.  Exit 77: QEMU can't be had, the reason is printed.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
kind=$1
shift
qemu=$("$here/qemu_fetch.sh") || exit $?
dir=$(mktemp -d)
server=
cleanup() {
	[ -z "$server" ] || kill "$server" 2>/dev/null || :
	[ -z "$server" ] || wait "$server" || :
	rm -rf "$dir"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

n=$#
while [ "$n" -gt 0 ]; do
	word=$1
	shift
	case $word in
	*@SOCKET@*) word=${word%%@SOCKET@*}$dir/nic${word#*@SOCKET@} ;;
	esac
	set -- "$@" "$word"
	n=$((n - 1))
done
"$@" >"$dir/log" 2>&1 &
server=$!
tries=0
while [ ! -S "$dir/nic" ]; do
	tries=$((tries + 1))
	if [ $tries -gt 100 ] || ! kill -0 "$server" 2>/dev/null; then
		echo "the server does not serve:" >&2
		cat "$dir/log" >&2
		exit 1
	fi
	sleep 0.1
done

# One client after the other: the second finds the device as the first did.
for memory in shared private; do
	echo "guest memory: $memory"
	timeout 60 python3 "$here/qemu_attach.py" "$qemu" "$dir/nic" $memory "$kind" || {
		echo "failed with $memory guest memory; the server said:" >&2
		cat "$dir/log" >&2
		exit 1
	}
done
echo "passed"
