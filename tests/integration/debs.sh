# SPDX-License-Identifier: BSD-3-Clause
# Sourced by scripts that take packages from a Debian archive without installing any: apt resolves and downloads them in
# a root of its own with an empty package status.  The caller sets `cache`, a directory, and has skip().

for tool in apt-get apt-cache dpkg-deb flock; do
	command -v $tool >/dev/null || skip "$tool is not here; packages are fetched from a Debian archive"
done
[ "$(dpkg --print-architecture)" = amd64 ] || skip "only amd64 packages are known to work"

# The archive that the machine's own apt configuration names.
debs_mirror=$(cat /etc/apt/sources.list.d/*.sources /etc/apt/sources.list.d/*.list /etc/apt/sources.list 2>/dev/null |
	sed -n -e 's/^URIs:[[:space:]]*\([^[:space:]]*\).*/\1/p' \
		-e 's/^deb[[:space:]]\(\[[^]]*\][[:space:]]\)\{0,1\}\([^[:space:]]*\).*/\2/p' |
	grep '/debian/*$' | head -n 1)
[ -n "$debs_mirror" ] || skip "no Debian archive in apt's configuration"
debs_keyring=/usr/share/keyrings/debian-archive-keyring.gpg
[ -r $debs_keyring ] || skip "no $debs_keyring to check the archive with"

# debs_begin SUITE...: reads what these suites have.
debs_begin() {
	debs_root=$cache/apt
	rm -rf "$debs_root"
	mkdir -p "$debs_root/lists/partial" "$debs_root/archives/partial" "$debs_root/etc/preferences.d"
	: >"$debs_root/status"
	for suite in "$@"; do
		echo "deb [signed-by=$debs_keyring] $debs_mirror $suite main"
	done >"$debs_root/sources.list"
	debs_apt apt-get update >"$cache/apt.log" 2>&1 || skip "apt can't read $* from $debs_mirror (see $cache/apt.log)"
}

# debs_apt apt-get|apt-cache ARGUMENT...
debs_apt() {
	debs_tool=$1
	shift
	$debs_tool -qq -o Dir::State="$debs_root" -o Dir::State::status="$debs_root/status" -o Dir::State::lists="$debs_root/lists" \
		-o Dir::Cache="$debs_root" -o Dir::Cache::archives="$debs_root/archives" \
		-o Dir::Etc::sourcelist="$debs_root/sources.list" -o Dir::Etc::sourceparts=- \
		-o Dir::Etc::preferences=- -o Dir::Etc::preferencesparts="$debs_root/etc/preferences.d" \
		-o APT::Install-Recommends=false -o APT::Sandbox::User=root -o Debug::NoLocking=1 "$@"
}

debs_end() {
	rm -rf "$debs_root"
}
