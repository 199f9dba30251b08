#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# ./test itself is tested: on a small project whose tests pass, fail, hang, crash, skip, leak and race, every outcome
# must be seen for what it is, in the builds where it belongs, and the closing line must add up.
set -eu
top=${P2PNIC_TOP:-$(cd "$(dirname "$0")/../.." && pwd)}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/scripts"
cp "$top/scripts/test_runner.py" "$top/scripts/build.sh" "$work/scripts/"
cat >"$work/leak.c" <<'END'
#include <stdlib.h>
int main(void) { void *volatile p = malloc(100); p = 0; return p != 0; }
END
cat >"$work/ub.c" <<'END'
int main(int argc, char **argv) { (void)argv; return (argc << 31) << 1; }
END
cat >"$work/race.c" <<'END'
#include <pthread.h>
static int n;
static void *f(void *a) { for (int i = 0; i < 1000; i++) n++; return a; }
int main(void) { pthread_t t; pthread_create(&t, 0, f, 0); f(0); pthread_join(t, 0); return 0; }
END
cat >"$work/meson.build" <<'END'
project('x', 'c')
sh = find_program('sh')
test('good', sh, args: ['-c', 'exit 0'], suite: 'unit')
test('bad', sh, args: ['-c', 'echo it is broken; exit 3'], suite: 'conformance')
test('hang', sh, args: ['-c', 'sleep 4321 & sleep 4321'], suite: ['unit', 'gcc-only'], timeout: 1)
test('crash', sh, args: ['-c', 'kill -SEGV $$'], suite: ['unit', 'gcc-only'])
test('skipped', sh, args: ['-c', 'echo first; echo no such thing here; exit 77'], suite: 'integration')
test('orphan', sh, args: ['-c', 'sleep 4322 & exit 0'], suite: 'integration')
test('every', sh, args: ['-c', 'exit 0'], suite: ['integration', 'every-build'])
test('flaky', sh, args: ['-c', 'test -e flaky.seen && exit 0; touch flaky.seen; echo was away; exit 4'], suite: 'integration')
test('broken', sh, args: ['-c', 'echo still; exit 5'], suite: 'integration')
test('lone', sh, args: ['-c', 'exit 0'], suite: ['unit', 'one-thread'])
foreach name : ['alone', 'alone_too']
  test(name, sh, args: ['-c', 'mkdir alone && sleep 0.3 && rmdir alone'], suite: 'integration', is_parallel: false)
endforeach
test('slow', sh, args: ['-c', 'exit 0'], suite: ['integration', 'long'])
executable('unused', 'leak.c')
test('leak', executable('leak', 'leak.c'), suite: 'unit')
test('ub', executable('ub', 'ub.c'), suite: 'unit')
test('race', executable('race', 'race.c', dependencies: dependency('threads')), suite: 'unit')
END

failed=0
fail() {
	echo "$1"
	failed=1
}
run() { # expected status, arguments
	status=0
	want=$1
	shift
	python3 "$work/scripts/test_runner.py" "$@" >"$work/out" 2>&1 </dev/null || status=$?
	[ $status = "$want" ] || { fail "$*: exit status $status, not $want"; cat "$work/out"; }
}
has() {
	grep -qxE "$1" "$work/out" || fail "no line '$1'"
}

run 1 --build gcc --build asan --build tsan
[ -e "$work/build-asan/unused" ] || fail 'the asan build lacks what no test needs'
[ ! -e "$work/build-tsan/unused" ] || fail 'the tsan build has what none of its tests needs'
times='\([0-9.]+ s\)'
has "FAIL gcc    bad: exit status 3 $times"
has '    \| it is broken'
has "FAIL gcc    hang: no end after 1 s $times"
has "FAIL gcc    crash: killed by SIGSEGV $times"
has 'skip gcc    skipped: no such thing here'
has "again gcc    flaky: exit status 4 $times"
has '    \| was away'
has "ok   gcc    flaky $times"
has "again gcc    broken: exit status 5 $times"
has "FAIL gcc    broken: exit status 5 $times"
has 'tried twice: gcc broken, gcc flaky'
has "ok   gcc    alone_too $times"
grep -q 'again.*bad' "$work/out" && fail 'a conformance test was tried twice'
has "ok   gcc    orphan $times"
has "ok   gcc    leak $times"
has "FAIL asan   bad: exit status 3 $times"
has "FAIL asan   leak: exit status 99 $times"
has '.*LeakSanitizer: detected memory leaks.*'
has "FAIL asan   ub: exit status 99 $times"
has "ok   asan   every $times"
has "ok   asan   lone $times"
has "ok   asan   race $times"
has "ok   tsan   leak $times"
if ! grep -q '^skip tsan   race: ThreadSanitizer' "$work/out"; then
	has "FAIL tsan   race: exit status 99 $times"
	[ "$(tail -n 1 "$work/out")" = '21 passed, 9 failed, 1 skipped' ] || fail "it closes with: $(tail -n 1 "$work/out")"
fi
grep -q 'asan   \(orphan\|hang\|crash\|skipped\)' "$work/out" && fail 'asan ran what is for gcc alone'
grep -q 'tsan   lone' "$work/out" && fail 'tsan ran what has one thread'
grep -q slow "$work/out" && fail 'a long test ran without --full'
pgrep -f 'sleep 432[12]' >/dev/null && fail 'children of tests are left'
[ $failed = 0 ] || cat "$work/out"

run 0 --build gcc --full slow good
has "ok   gcc    slow $times"
[ "$(tail -n 1 "$work/out")" = '3 passed, 0 failed, 0 skipped' ] || fail "it closes with: $(tail -n 1 "$work/out")"
run 0 --list --build clang
grep -q 'clang *every ' "$work/out" || fail "clang's list lacks 'every'"
grep -q 'clang *bad ' "$work/out" && fail "clang's list has a conformance test without --full"
run 0 --list --build clang --full
grep -q 'clang *bad ' "$work/out" || fail "clang's list lacks the conformance test with --full"
run 2 --build gcc nosuch
has "./test: no test is called nosuch; ./test --list names them"
echo 'int main(void) { return nothing; }' >"$work/leak.c"
run 1 --build gcc good
has "FAIL gcc    build: does not compile $times"
[ "$(tail -n 1 "$work/out")" = '0 passed, 1 failed, 0 skipped' ] || fail "it closes with: $(tail -n 1 "$work/out")"

# Interrupted while it compiles, it leaves no compiler behind.
mkdir "$work/bin"
printf '#!/bin/sh\nsleep 4323\n' >"$work/bin/clang"
chmod +x "$work/bin/clang"
PATH=$work/bin:$PATH python3 "$work/scripts/test_runner.py" --build clang good >"$work/out" 2>&1 </dev/null &
pid=$!
n=0
until pgrep -f 'sleep 4323' >/dev/null; do
	n=$((n + 1))
	[ $n -lt 600 ] && kill -0 $pid || { fail 'it does not begin to compile'; break; }
	sleep 0.1
done
kill -TERM $pid
status=0
wait $pid || status=$?
[ $status = 130 ] || { fail "interrupted: exit status $status, not 130"; cat "$work/out"; }
n=0
while pgrep -f 'sleep 4323' >/dev/null; do
	n=$((n + 1))
	[ $n -lt 50 ] || { fail 'interrupted, it leaves a compiler behind'; break; }
	sleep 0.1
done
exit $failed
