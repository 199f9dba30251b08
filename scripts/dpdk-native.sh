#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# dpdk-native.sh   the opponents of `p2pnic bench forward` that Debian doesn't ship, built from Debian's DPDK source
#
# Into ${XDG_CACHE_HOME:-~/.cache}/p2pnic, VERSION being that of the installed libdpdk-dev:
#   dpdk-VERSION-native/bin/dpdk-testpmd, dpdk-l3fwd   built for this CPU (-Dplatform=native, buildtype release, static),
#                                                      with the drivers that the comparisons need
#   dpdk-VERSION-debian/bin/dpdk-l3fwd                 the example alone, against the system's libdpdk
# The source comes through apt's own mirrors into a private package list: /etc/apt stays as it is, no root needed.
# l3fwd is changed in one respect, in the copy that is built: the receive offloads that it always asks for (checksums) are
# masked by what the device can do, since memif and AF_XDP can do none and l3fwd refuses to start on them otherwise.
# What is there already is not built again.  The log is dpdk-VERSION-native/build.log; what is built in is removed at the end.
# Exit 1: one line on stderr says what is missing.
set -eu
cache=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/p2pnic

fail() {
	echo "dpdk-native.sh: $1" >&2
	exit 1
}
for tool in apt-get dpkg-query dpkg-source meson ninja cc pkg-config flock; do
	command -v $tool >/dev/null || fail "$tool is not here: run scripts/install.sh build test bench"
done
full=$(dpkg-query -W -f='${source:Version}' libdpdk-dev 2>/dev/null) && [ -n "$full" ] ||
	fail "libdpdk-dev is not installed: run scripts/install.sh test"
/usr/bin/python3 -c 'import elftools' 2>/dev/null || fail "python3-pyelftools is not installed: run scripts/install.sh bench"
version=${full%%-*}
native=$cache/dpdk-$version-native
debian=$cache/dpdk-$version-debian
mkdir -p "$native/bin" "$debian/bin"
exec 9>"$native/.lock"
flock 9

done_already() {
	[ -x "$native/bin/dpdk-testpmd" ] && [ -x "$native/bin/dpdk-l3fwd" ] && [ -x "$debian/bin/dpdk-l3fwd" ] &&
		[ "$(cat "$native/version" 2>/dev/null)" = "$full $(cpu)" ]
}
# A cache that moved to another CPU is built again.
cpu() {
	grep -m 1 '^flags' /proc/cpuinfo | md5sum | cut -c 1-12
}
if done_already; then
	echo "dpdk $full: $native and $debian are up to date"
	exit 0
fi
log=$native/build.log
work=$native/work
rm -rf "$work"
mkdir -p "$work/apt/lists/partial" "$work/apt/cache/archives/partial"
: >"$log"
failed() {
	tail -n 30 "$log" >&2
	fail "$1 (all of it: $log)"
}

echo "fetching the source of dpdk $full"
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
signed=
[ ! -f $keyring ] || signed="[signed-by=$keyring] "
apt-get indextargets --format '$(ORIGIN) $(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
	awk -v s="$signed" '$1 == "Debian" && $4 == "main" { print "deb-src " s $2, $3, $4 }' | sort -u >"$work/apt/sources.list"
[ -s "$work/apt/sources.list" ] || fail "apt's configuration names no archive of Debian's"
apt() {
	apt-get -q -o Dir::Etc::SourceList="$work/apt/sources.list" -o Dir::Etc::SourceParts=- -o Dir::State="$work/apt" \
		-o Dir::State::Lists="$work/apt/lists" -o Dir::Cache="$work/apt/cache" -o Debug::NoLocking=true \
		-o APT::Sandbox::User= "$@" >>"$log" 2>&1 9>&-
}
apt update || failed "apt-get could not read the source archive's list"
(cd "$work" && apt source "dpdk=$full") || failed "apt-get could not fetch the source of dpdk $full"
src=$(find "$work" -mindepth 1 -maxdepth 1 -type d -name 'dpdk-*')
[ -d "$src/examples/l3fwd" ] || failed "the source of dpdk $full has no examples/l3fwd"

main=$src/examples/l3fwd/main.c
sed -i -e 's/^\(\t*\)rxq_conf\.offloads = port_conf\.rxmode\.offloads;/\1rxq_conf.offloads = port_conf.rxmode.offloads \& dev_info.rx_offload_capa;/' \
	-e '/local_port_conf\.rx_adv_conf\.rss_conf\.rss_hf &=$/i\
\t\tlocal_port_conf.rxmode.offloads \&= dev_info.rx_offload_capa;' "$main"
[ "$(grep -c 'dev_info.rx_offload_capa' "$main")" = 2 ] || failed "l3fwd's main.c has changed: its offloads can't be masked"

echo "building l3fwd against the system's libdpdk"
cc -O3 -DALLOW_EXPERIMENTAL_API -I"$src/examples/common" -I"$src/examples/l3fwd" $(pkg-config --cflags libdpdk) \
	$(ls "$src"/examples/l3fwd/*.c | grep -v '_route_parse\.c$') $(pkg-config --libs libdpdk) \
	-o "$debian/bin/dpdk-l3fwd" >>"$log" 2>&1 || failed "l3fwd could not be built"

echo "building dpdk $full for this CPU (some minutes)"
# Debian's python3 has pyelftools; another that comes first in the path may not.
PATH=/usr/bin:$PATH
export PATH
meson setup "$work/build" "$src" -Dplatform=native -Dbuildtype=release -Ddefault_library=static -Dtests=false \
	-Denable_drivers=bus/vdev,mempool/ring,net/memif,net/af_xdp,net/af_packet,net/pcap,net/null,net/ring \
	-Denable_apps=test-pmd -Dexamples=l3fwd >>"$log" 2>&1 || failed "meson could not configure dpdk"
nice ninja -C "$work/build" app/dpdk-testpmd examples/dpdk-l3fwd >>"$log" 2>&1 9>&- || failed "dpdk could not be built"
cp "$work/build/app/dpdk-testpmd" "$work/build/examples/dpdk-l3fwd" "$native/bin/"
echo "$full $(cpu)" >"$native/version"
rm -rf "$work"
echo "dpdk $full: built into $native and $debian"
