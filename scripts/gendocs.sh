#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# gendocs.sh GENDOCS   writes the pages that are made from lists and profiles (`ninja -C build docs`)
set -eu
scripts=$(cd "$(dirname "$0")" && pwd)
docs=$scripts/../docs
for page in registers counters; do
	"$1" $page >"$docs/$page.md.new"
	mv "$docs/$page.md.new" "$docs/$page.md"
done
"$scripts/genprofiles.py"
