#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# clean-root.sh [--run | --test] [--keep]
#
# Makes a minimal Debian 12 of the machine's own apt sources, clones HEAD into it, and there, as on a new machine:
#   ./run --seconds 1            as root: installs, builds, runs
#   ./run --seconds 1            as a user without sudo and without network: nothing may be missing
#   ./test                       with --test (the default)
# Times go to stdout.  --keep leaves the root for a look and prints where it is.
# Exit 0: all went well; 77: it can't be tried here, the last line says why.
set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
cache=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/p2pnic/clean-root
suite=bookworm
with_test=y
keep=
for arg in "$@"; do
	case $arg in
	--run) with_test= ;;
	--test) with_test=y ;;
	--keep) keep=y ;;
	*)
		echo "clean-root.sh: no option $arg; --run, --test, --keep" >&2
		exit 2
		;;
	esac
done

skip() {
	echo "$1"
	exit 77
}
[ "$(id -u)" = 0 ] || skip "a root file system is made and entered as root only"
for tool in mmdebstrap git unshare chroot apt-get; do
	command -v $tool >/dev/null || skip "$tool is not installed (scripts/install.sh full)"
done
unshare -m true 2>/dev/null || skip "unshare -m is not allowed here"
git -c safe.directory='*' -C "$top" rev-parse -q --verify HEAD >/dev/null || skip "$top is no git checkout"

now() {
	date +%s
}
began=$(now)
told() {
	echo "$(($(now) - $1)) s: $2"
}

# The fresh system, made once a week and kept as a tar file.
mkdir -p "$cache"
tar=$cache/$suite.tar
find "$cache" -name "$suite.tar" -mtime +7 -delete
if [ ! -s "$tar" ]; then
	sources=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
		awk -v s=$suite '$2 ~ "^" s && $3 == "main" { print "deb", $1, $2, $3 }' | sort -u)
	[ -n "$sources" ] || skip "apt's configuration names no archive of Debian $suite"
	proxy=$(apt-config dump --format '%F "%v";%n' Acquire::http::Proxy Acquire::https::Proxy)
	t=$(now)
	echo "$sources" | mmdebstrap --variant=minbase ${proxy:+--aptopt="$proxy"} --format=tar $suite "$tar.new" - \
		>"$cache/mmdebstrap.log" 2>&1 || {
		tail -n 20 "$cache/mmdebstrap.log"
		skip "mmdebstrap could not make a Debian $suite: is its archive in reach?"
	}
	mv "$tar.new" "$tar"
	told "$t" "a fresh Debian"
fi

root=$(mktemp -d /var/tmp/p2pnic-clean-root.XXXXXX)
if [ -n "$keep" ]; then
	echo "the root is $root"
else
	# All mounts are in a namespace that has ended by then; --one-file-system is for the day it has not.
	trap 'rm -rf --one-file-system "$root"' EXIT
	trap 'exit 130' INT TERM
fi
tar -xf "$tar" -C "$root"
[ ! -e /etc/resolv.conf ] || cat /etc/resolv.conf >"$root/etc/resolv.conf"
[ ! -e /etc/hosts ] || cat /etc/hosts >"$root/etc/hosts"
git -c safe.directory='*' clone -q --no-hardlinks "$top" "$root/root/p2pnic"
echo "commit $(git -c safe.directory='*' -C "$root/root/p2pnic" rev-parse --short HEAD)"

# inside COMMAND: in the root, with its own mounts and processes, which end with it.
inside() {
	unshare --mount --propagation private --pid --fork --kill-child sh -euc '
		mount -t proc proc "$1/proc"
		mount --rbind /sys "$1/sys"
		mount --rbind /dev "$1/dev"
		mount -t tmpfs -o mode=1777 tmp "$1/dev/shm"
		mount -t tmpfs -o mode=755 run "$1/run"
		exec chroot "$1" /usr/bin/env -i HOME=/root LC_ALL=C.UTF-8 CI="$3" \
			PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin /bin/sh -euc "$2"
	' sh "$root" "$1" "${CI-}" </dev/null
}
step() {
	t=$(now)
	echo "== $2"
	inside "$1" || { echo "failed in a clean root: $2"; exit 1; }
	told "$t" "$2"
}

step 'cd /root/p2pnic && ./run --seconds 1' './run --seconds 1, as root on a fresh system'
step 'useradd -m someone && cp -r /root/p2pnic /home/someone/p2pnic && rm -rf /home/someone/p2pnic/build &&
	chown -R someone: /home/someone/p2pnic &&
	exec unshare -n su someone -c "cd && cd p2pnic && ./run --seconds 1"' './run --seconds 1, as a user without sudo or network'
if [ -n "$with_test" ]; then
	step 'cd /root/p2pnic && ./test' './test, as root'
fi
told "$began" "all"
