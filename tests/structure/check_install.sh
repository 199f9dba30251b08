#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# scripts/install.sh against a make-believe dpkg, apt, sudo and id: what it installs, when it asks for nothing, and that
# what goes wrong is one line.
set -eu
top=${P2PNIC_TOP:-$(cd "$(dirname "$0")/../.." && pwd)}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/bin" "$work/scripts"
cp "$top/scripts/install.sh" "$work/scripts/"
printf '# list\n\nbuild\tone\t\tfirst\nbuild\ttwo\t\tsecond\ntest\tthree\t\tthird\n' >"$work/scripts/packages.txt"
for tool in sh awk grep tail mktemp rm cat env dirname echo; do
	ln -s "$(command -v $tool)" "$work/bin/$tool"
done
put() {
	cat >"$work/bin/$1"
	chmod +x "$work/bin/$1"
}
put dpkg-query <<'END'
#!/bin/sh
cat "$WORK/installed"
exit 1
END
put apt-get <<'END'
#!/bin/sh
echo "$@" >>"$WORK/apt"
case "$*" in
*update*) echo "E: a foreign source is out of reach"; exit 100 ;;
*install*) [ ! -e "$WORK/broken" ] || { echo "E: no network"; exit 100; } ;;
esac
END
put id <<'END'
#!/bin/sh
cat "$WORK/uid"
END

failed=0
fail() {
	echo "$1"
	cat "$work/out" "$work/apt" 2>/dev/null
	failed=1
}
run() { # expected status, groups
	want=$1 status=0
	shift
	rm -f "$work/apt"
	WORK=$work PATH=$work/bin TMPDIR=$work "$work/bin/sh" "$work/scripts/install.sh" "$@" >"$work/out" 2>&1 </dev/null || status=$?
	[ $status = "$want" ] || fail "$*: exit status $status, not $want"
}

echo 1000 >"$work/uid"
printf 'one installed\ntwo installed\nthree config-files\n' >"$work/installed"
run 0 build
[ ! -e "$work/apt" ] && [ ! -s "$work/out" ] || fail 'it did something though nothing was missing'
run 1 build test
[ "$(wc -l <"$work/out")" = 1 ] && grep -q "'apt-get install three'" "$work/out" || fail 'no sudo: not one line that says what to do'
run 0 --check build test
[ "$(cat "$work/out")" = three ] || fail '--check does not name what is missing'

echo 0 >"$work/uid"
run 0 build test
grep -q 'install -y --no-install-recommends three$' "$work/apt" || fail 'it did not install three'
: >"$work/broken"
run 1 build test
grep -q 'p2pnic: apt-get could not install three' "$work/out" || fail 'apt failed, and nobody says so'
rm "$work/broken"

echo 1000 >"$work/uid"
put sudo <<'END'
#!/bin/sh
echo sudo >>"$WORK/apt"
exec "$@"
END
printf 'one installed\n' >"$work/installed"
run 0 build
grep -qx sudo "$work/apt" && grep -q 'recommends two$' "$work/apt" || fail 'it did not use sudo'
run 1 nosuch
grep -q 'has no group nosuch' "$work/out" || fail 'a group that does not exist'
ls "$work" | grep -q 'p2pnic-apt' && fail 'a log is left'
exit $failed
