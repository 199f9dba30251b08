#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# Puts a QEMU that knows the vfio-user-pci device (10.1 and later) into a cache
# and prints a command line that starts it.  Nothing of the machine changes: apt
# resolves the packages of trixie-backports in a root of its own with an empty
# package status, they are unpacked, not installed, and the program runs through
# the dynamic loader that came with it.
#
# Exit 0: the launcher's path is on stdout.  Exit 77: the reason is on stderr.
set -eu

cache=${XDG_CACHE_HOME:-$HOME/.cache}/p2pnic/qemu
launcher=$cache/qemu-system-x86_64

skip() {
	echo "skip: $1" >&2
	exit 77
}

if [ -x "$launcher" ]; then
	echo "$launcher"
	exit 0
fi
mkdir -p "$cache"
. "$(dirname "$0")/debs.sh"
exec 9>"$cache/.lock"
flock 9
if [ -x "$launcher" ]; then
	echo "$launcher"
	exit 0
fi

debs_begin trixie trixie-updates trixie-backports
debs_apt apt-get install --download-only -y -t trixie-backports qemu-system-x86 seabios >>"$cache/apt.log" 2>&1 ||
	skip "qemu-system-x86 of trixie-backports can't be fetched (see $cache/apt.log)"
rm -rf "$cache/tree.new"
mkdir -p "$cache/tree.new"
for deb in "$debs_root"/archives/*.deb; do
	dpkg-deb -x "$deb" "$cache/tree.new" || skip "$deb does not unpack"
done
debs_end
rm -rf "$cache/tree"
mv "$cache/tree.new" "$cache/tree"

loader=$(find "$cache/tree" -name 'ld-linux-x86-64.so.2' | head -n 1)
[ -n "$loader" ] || skip "no dynamic loader among the packages"
bin=$cache/tree/usr/bin/qemu-system-x86_64
cat >"$launcher.new" <<END
#!/bin/sh
t="$cache/tree"
l="\$t/usr/lib/x86_64-linux-gnu"
exec "$loader" --library-path "\$l:\$t/lib/x86_64-linux-gnu:\$l/pulseaudio" \\
	"$bin" -L "\$t/usr/share/qemu" -L "\$t/usr/share/seabios" "\$@"
END
chmod +x "$launcher.new"
mv "$launcher.new" "$launcher"
"$launcher" -device help 2>>"$cache/apt.log" | grep -q vfio-user-pci ||
	{ rm -f "$launcher"; skip "this QEMU has no vfio-user-pci device (see $cache/apt.log)"; }
echo "$launcher"
