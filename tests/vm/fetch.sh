#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# usage: fetch.sh SUITE
#
# Puts a guest's parts - Debian's cloud kernel of that suite (bookworm: 6.1, trixie: 6.12) and a static busybox - into a
# cache and prints the directory that holds them: vmlinuz, modules/ (those that VFIO and the router need, perhaps compressed), busybox.  Nothing is
# installed.
#
# Exit 0: the directory's path is on stdout.  Exit 77: the reason is on stderr.
set -eu

suite=$1
cache=${XDG_CACHE_HOME:-$HOME/.cache}/p2pnic/vm/$suite

skip() {
	echo "skip: $1" >&2
	exit 77
}

done_already() {
	[ -e "$cache/parts/vmlinuz" ] && ls "$cache/parts/modules" | grep -q '^tun\.' || return 0
	echo "$cache/parts"
	exit 0
}

done_already
mkdir -p "$cache"
. "$(dirname "$0")/../integration/debs.sh"
exec 9>"$cache/.lock"
flock 9
done_already
debs_begin "$suite"
kernel=$(debs_apt apt-cache depends linux-image-cloud-amd64 2>>"$cache/apt.log" |
	sed -n 's/^ *Depends: \(linux-image-[0-9][^ ]*\)$/\1/p' | head -n 1)
[ -n "$kernel" ] || skip "no linux-image-cloud-amd64 in $suite"
rm -rf "$cache/new"
mkdir -p "$cache/new/tree" "$cache/new/debs"
(cd "$cache/new/debs" && debs_apt apt-get download "$kernel" busybox-static >>"$cache/apt.log" 2>&1) ||
	skip "$kernel and busybox-static of $suite can't be fetched (see $cache/apt.log)"
for deb in "$cache/new/debs"/*.deb; do
	dpkg-deb -x "$deb" "$cache/new/tree" || skip "$deb does not unpack"
done
debs_end
parts=$cache/new/parts
mkdir "$parts"
mv "$cache/new/tree/boot"/vmlinuz-* "$parts/vmlinuz"
busybox=$(find "$cache/new/tree" -type f -path '*bin/busybox' | head -n 1)
[ -n "$busybox" ] || skip "no busybox in the package of $suite"
mv "$busybox" "$parts/busybox"
mkdir "$parts/modules"
for name in irqbypass vfio vfio_virqfd vfio_iommu_type1 vfio-pci-core vfio-pci tun; do
	find "$cache/new/tree" -type f -path '*/lib/modules/*' -name "$name.ko*" -exec mv {} "$parts/modules/" \;
done
[ -n "$(ls "$parts/modules" | grep vfio-pci)" ] || skip "$kernel has no vfio-pci"
rm -rf "$cache/parts"
mv "$parts" "$cache/parts"
rm -rf "$cache/new"
echo "$cache/parts"
