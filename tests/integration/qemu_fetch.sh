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
for tool in apt-get dpkg-deb flock; do
	command -v $tool >/dev/null || skip "$tool is not here; QEMU is fetched from a Debian archive"
done
[ "$(dpkg --print-architecture)" = amd64 ] || skip "only amd64 packages are known to work"
mkdir -p "$cache"
exec 9>"$cache/.lock"
flock 9
if [ -x "$launcher" ]; then
	echo "$launcher"
	exit 0
fi

# The archive that the machine's own apt configuration names.
mirror=$(cat /etc/apt/sources.list.d/*.sources /etc/apt/sources.list.d/*.list /etc/apt/sources.list 2>/dev/null |
	sed -n -e 's/^URIs:[[:space:]]*\([^[:space:]]*\).*/\1/p' \
		-e 's/^deb[[:space:]]\(\[[^]]*\][[:space:]]\)\{0,1\}\([^[:space:]]*\).*/\2/p' |
	grep '/debian/*$' | head -n 1)
[ -n "$mirror" ] || skip "no Debian archive in apt's configuration"
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
[ -r $keyring ] || skip "no $keyring to check the archive with"

root=$cache/apt
rm -rf "$root" "$cache/tree.new"
mkdir -p "$root/lists/partial" "$root/archives/partial" "$root/etc/preferences.d" "$cache/tree.new"
: >"$root/status"
for suite in trixie trixie-updates trixie-backports; do
	echo "deb [signed-by=$keyring] $mirror $suite main"
done >"$root/sources.list"
aptc() {
	apt-get -qq -o Dir::State="$root" -o Dir::State::status="$root/status" -o Dir::State::lists="$root/lists" \
		-o Dir::Cache="$root" -o Dir::Cache::archives="$root/archives" \
		-o Dir::Etc::sourcelist="$root/sources.list" -o Dir::Etc::sourceparts=- \
		-o Dir::Etc::preferences=- -o Dir::Etc::preferencesparts="$root/etc/preferences.d" \
		-o APT::Install-Recommends=false -o APT::Sandbox::User=root -o Debug::NoLocking=1 "$@"
}
aptc update >"$cache/apt.log" 2>&1 || skip "apt can't read trixie-backports from $mirror (see $cache/apt.log)"
aptc install --download-only -y -t trixie-backports qemu-system-x86 seabios >>"$cache/apt.log" 2>&1 ||
	skip "qemu-system-x86 of trixie-backports can't be fetched (see $cache/apt.log)"
for deb in "$root"/archives/*.deb; do
	dpkg-deb -x "$deb" "$cache/tree.new" || skip "$deb does not unpack"
done
rm -rf "$root" "$cache/tree"
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
