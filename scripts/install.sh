#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# install.sh GROUP...   installs what is missing of scripts/packages.txt
# install.sh --check GROUP...   only prints what is missing
#
# When nothing is missing it needs neither network nor root.  Exit 0: all there;
# 1: one line on stderr says what is missing and what to do.
set -eu
list=$(dirname "$0")/packages.txt
check=
if [ "${1-}" = --check ]; then
	check=y
	shift
fi

if ! command -v dpkg-query >/dev/null; then
	[ -n "$check" ] || echo "p2pnic: no dpkg here, so nothing can be installed; going on with what there is" >&2
	exit 0
fi

wanted=
for group in "$@"; do
	wanted="$wanted $(awk -v g="$group" '$1 == g { print $2 }' "$list")"
done
[ -n "$(echo $wanted)" ] || { echo "p2pnic: scripts/packages.txt has no group $*" >&2; exit 1; }

have=$(dpkg-query -W -f='${Package} ${db:Status-Status}\n' $wanted 2>/dev/null | awk '$2 == "installed" { print $1 }') || true
missing=
for p in $wanted; do
	echo "$have" | grep -qxF "$p" || missing="$missing $p"
done
missing=${missing# }
if [ -n "$check" ]; then
	echo "$missing"
	exit 0
fi
[ -n "$missing" ] || exit 0

sudo=
if [ "$(id -u)" != 0 ]; then
	if ! command -v sudo >/dev/null; then
		echo "p2pnic: packages are missing: run as root 'apt-get install $missing', or install sudo" >&2
		exit 1
	fi
	sudo=sudo
fi

log=$(mktemp "${TMPDIR:-/tmp}/p2pnic-apt.XXXXXX")
trap 'rm -f "$log"' EXIT
echo "installing $missing" >&2
apt() {
	$sudo env DEBIAN_FRONTEND=noninteractive apt-get -q -o Acquire::Retries=2 -o Acquire::http::Timeout=30 \
		-o DPkg::Lock::Timeout=600 "$@" >>"$log" 2>&1 </dev/null
}
# Sources other than Debian's may be out of reach: what counts is whether the packages can be installed.
apt update || true
if ! apt install -y --no-install-recommends $missing; then
	tail -n 30 "$log" >&2
	echo "p2pnic: apt-get could not install $missing (see above); check the network and /etc/apt, then try again" >&2
	exit 1
fi
