#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# run.sh [--rounds N] [--packets N] [--hops N] [--json] [PATH of p2pnic]: this simulator beside ns-3 (compare.py says how).
# Needs Debian's libns3-dev and g++ (scripts/packages.txt, group bench); meson knows nothing of it.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
[ -e /usr/include/ns3/core-module.h ] || { echo "ns3: no ns-3 headers: install libns3-dev" >&2; exit 1; }
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT INT TERM
g++ -std=c++17 -O2 -Wall -Wextra -o "$tmp/chain" "$here/chain.cc" -lns3-point-to-point -lns3-network -lns3-core
python3 "$here/compare.py" --chain "$tmp/chain" "$@"
