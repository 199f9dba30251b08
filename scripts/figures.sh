#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# figures.sh P2PNIC [EXPERIMENT...]   draws docs/figures/*.svg anew, by the simulator and gnuplot
set -eu
p2pnic=$1
shift
dir=$(cd "$(dirname "$0")/../docs" && pwd)/figures
mkdir -p "$dir"
[ $# -gt 0 ] || set -- fig5 fig6 fig7 batch scale
for e in "$@"; do
	"$p2pnic" sim "$e" --svg "$dir/$e.svg" --csv "$dir/$e.csv" >/dev/null
done
