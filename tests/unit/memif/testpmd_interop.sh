#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The memif port against DPDK's testpmd: testpmd_interop.sh MEMIF_LOOP [FRAMES]
# Each role, plain and zero-copy, one port and two, frames of 64 to 1518 bytes,
# and testpmd killed and started again.  Every byte of every frame is checked.
set -u
loop=$1
frames=${2:-100000}
sizes=64,65,128,512,1024,1518
command -v dpdk-testpmd >/dev/null || { echo "skipped: no dpdk-testpmd; apt-get install dpdk-dev"; exit 77; }

dir=$(mktemp -d /tmp/memif-interop.XXXXXX)
mkfifo "$dir/in"
exec 3<>"$dir/in" # testpmd ends when its input does
queues=
pmd=
stop_pmd() {
	[ -n "$pmd" ] && kill "-${1:-TERM}" "$pmd" 2>/dev/null && wait "$pmd" 2>/dev/null
	pmd=
}
trap 'stop_pmd KILL; rm -rf "$dir"' EXIT

# $1: one or two ports; $2...: their vdev arguments.  It forwards until it is killed.
start_pmd() {
	local n=$1 i args=()
	shift
	for ((i = 0; i < n; i++)); do
		args+=(--vdev="net_memif$i,id=$i,socket=$dir/s,socket-abstract=no,$1")
	done
	[ "$n" = 1 ] && set -- --port-topology=loop || set --
	dpdk-testpmd -l 0,1 --no-huge -m 256 --no-pci --no-shconf --single-file-segments --file-prefix="mi$$" \
		"${args[@]}" -- --auto-start --no-flush-rx --forward-mode=io --total-num-mbufs=16384 \
		$queues "$@" >"$dir/pmd.log" 2>&1 <&3 &
	pmd=$!
}

wait_socket() {
	for _ in $(seq 100); do
		[ -S "$dir/s" ] && return
		sleep 0.05
	done
}

failed=0
result() {
	if [ "$2" = 0 ]; then
		echo "passed: $1"
	else
		echo "FAILED: $1"
		sed 's/^/  testpmd: /' "$dir/pmd.log"
		failed=1
	fi
}

for n in 1 2; do
	specs=(); other=()
	for ((i = 0; i < n; i++)); do
		specs+=("memif:$dir/s,id=$i")
		other+=("memif:$dir/s,id=$i,role=server")
	done
	start_pmd "$n" role=server
	wait_socket
	"$loop" check "$frames" "$sizes" 256 "${specs[@]}"
	result "$n port(s), testpmd server" $?
	stop_pmd KILL
	rm -f "$dir/s"
	for zc in no yes; do
		"$loop" check "$frames" "$sizes" 256 "${other[@]}" &
		job=$!
		wait_socket
		start_pmd "$n" "role=client,zero-copy=$zc"
		wait "$job"
		result "$n port(s), testpmd client, zero-copy=$zc" $?
		stop_pmd KILL
	done
done

# Two queues each way at the far end; as client, more are asked for and fewer taken.
queues="--rxq=2 --txq=2"
start_pmd 1 role=server
wait_socket
"$loop" check "$frames" 64 256 "memif:$dir/s,queues=4"
result "2 queues, testpmd server" $?
stop_pmd KILL
rm -f "$dir/s"
"$loop" check "$frames" 64 256 "memif:$dir/s,role=server" &
job=$!
wait_socket
start_pmd 1 role=client
wait "$job"
result "2 queues, testpmd client" $?
stop_pmd KILL
queues=

start_pmd 1 role=server
"$loop" again "$frames" 64 256 "memif:$dir/s" >"$dir/again" &
job=$!
for _ in $(seq 200); do
	[ -s "$dir/again" ] && break
	sleep 0.05
done
stop_pmd KILL
rm -f "$dir/s"
start_pmd 1 role=server
wait "$job"
status=$?
cat "$dir/again"
result "testpmd server killed and started again" "$status"
exit $failed
