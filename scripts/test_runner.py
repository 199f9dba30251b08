#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Builds every variant and runs the tests that meson knows of.

Which test runs in which build follows from its meson suites:

  unit, structure                in every build
  integration                    in the gcc build
  every-build                    also in the others (an integration test worth it)
  gcc-only                       in the gcc build alone
  one-thread                     not in the tsan build: a single thread has no races
  conformance                    in every build, in clang's only with --full or by name
  long                           with --full alone

The tsan build makes what its tests need, the others everything.  While one
build is tested the next are compiled, at the lowest priority.

A test exits 0 (passed), 77 (skipped; its last line says why) or anything else
(failed).  One that outlives its timeout is killed with all its children.
"""
import argparse
import concurrent.futures
import fnmatch
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILDS = {'gcc': 'build', 'clang': 'build-clang', 'asan': 'build-asan', 'tsan': 'build-tsan'}
SLOWER = {'gcc': 1, 'clang': 1, 'asan': 3, 'tsan': 5}  # times a test's own timeout
TAIL_LINES = 80


class Tally:
    """Outcomes, and what is printed about them."""

    def __init__(self, verbose=False):
        self.lock = threading.Lock()
        self.verbose, self.times = verbose, []
        self.passed = self.failed = self.skipped = 0
        self.failures, self.retried = [], []

    def line(self, word, build, name, rest=''):
        print(f'{word:5}{build:6} {name}{rest}', flush=True)

    def record(self, build, name, outcome, seconds, output):
        with self.lock:
            self.times.append((seconds, f'{build} {name}'))
            if outcome == 'ok':
                self.passed += 1
                self.line('ok', build, name, f' ({seconds:.1f} s)')
                self.show(output.splitlines() if self.verbose else [])
            elif outcome == 'skip':
                self.skipped += 1
                lines = [s.strip() for s in output.splitlines() if s.strip()]
                why = lines[-1] if lines else 'the test gave no reason'
                self.line('skip', build, name, ': ' + why)
            else:
                self.failed += 1
                self.failures.append(f'{build} {name}')
                self.line('FAIL', build, name, f': {outcome} ({seconds:.1f} s)')
                self.show(output.splitlines() if self.verbose else output.splitlines()[-TAIL_LINES:])

    def again(self, build, name, outcome, seconds, output):
        with self.lock:
            self.retried.append(f'{build} {name}')
            self.line('again ', build, name, f': {outcome} ({seconds:.1f} s)')
            self.show(output.splitlines()[-TAIL_LINES:])

    def show(self, lines):
        for s in lines:
            print('    | ' + s)
        sys.stdout.flush()


def suites_of(test):
    return {s.split(':')[-1] for s in test['suite']}


def wanted(test, build, opts):
    suites = suites_of(test)
    if 'long' in suites and not opts.full:
        return False
    if build != 'gcc':
        if 'gcc-only' in suites or (build == 'tsan' and 'one-thread' in suites):
            return False
        if build == 'clang' and 'conformance' in suites and not (opts.full or opts.names):
            return False
        if not suites & {'unit', 'conformance', 'structure', 'every-build'}:
            return False
    if opts.names:
        return any(fnmatch.fnmatchcase(test['name'], n) for n in opts.names)
    return True


def introspect(build):
    out = subprocess.run(['meson', 'introspect', '--tests', os.path.join(TOP, BUILDS[build])],
                         check=True, stdout=subprocess.PIPE).stdout
    return json.loads(out)


def environment(build):
    env = dict(os.environ, LC_ALL='C.UTF-8', P2PNIC_TOP=TOP, P2PNIC_BUILD=os.path.join(TOP, BUILDS[build]))
    env['ASAN_OPTIONS'] = 'detect_leaks=1:abort_on_error=0:exitcode=99:detect_stack_use_after_return=1'
    env['UBSAN_OPTIONS'] = 'print_stacktrace=1:halt_on_error=1:exitcode=99'
    tsan = 'halt_on_error=1:exitcode=99:second_deadlock_stack=1'
    suppressions = os.path.join(TOP, 'tests', 'tsan.supp')
    if os.path.exists(suppressions):
        tsan += ':suppressions=' + suppressions
    env['TSAN_OPTIONS'] = tsan
    return env


def tsan_prefix():
    """ThreadSanitizer of gcc 12 and clang 14 dies where the kernel randomises more than 28 bits of addresses."""
    work = os.path.join(TOP, BUILDS['tsan'])
    src, exe = os.path.join(work, 'tsan-probe.c'), os.path.join(work, 'tsan-probe')
    with open(src, 'w') as f:
        f.write('int main(void) { return 0; }\n')
    subprocess.run(['gcc', '-fsanitize=thread', '-o', exe, src], check=True)
    for prefix in ([], ['setarch', '-R']):
        # Randomisation is random: one good start proves little.
        if all(subprocess.run(prefix + [exe], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0
               for _ in range(12)):
            return prefix
    return None


def kill_group(pid, sig=signal.SIGKILL):
    try:
        os.killpg(pid, sig)
    except ProcessLookupError:
        pass


class Runner:
    def __init__(self, opts, tally):
        self.opts, self.tally = opts, tally
        self.running, self.lock, self.stopped = {}, threading.Lock(), False

    def begins(self, pid, sig=signal.SIGKILL):
        """A group of processes that stop() is to end."""
        with self.lock:
            self.running[pid] = sig
            if self.stopped:
                kill_group(pid, sig)

    def ended(self, pid):
        with self.lock:
            del self.running[pid]

    def stop(self):
        with self.lock:
            self.stopped = True
            for pid, sig in self.running.items():
                kill_group(pid, sig)

    def attempt(self, build, test, prefix):
        """Runs a test once: its outcome, how long it took, what it printed."""
        logs = os.path.join(TOP, BUILDS[build], 'test-logs')
        os.makedirs(logs, exist_ok=True)
        log = os.path.join(logs, test['name'].replace('/', '_').replace(' ', '_') + '.log')
        env = environment(build)
        env.update(test['env'])
        limit = test['timeout'] * SLOWER[build] if test['timeout'] > 0 else None
        start = time.monotonic()
        with open(log, 'wb') as out:
            try:
                p = subprocess.Popen(prefix + test['cmd'], stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=env,
                                     cwd=test['workdir'] or os.path.join(TOP, BUILDS[build]), start_new_session=True)
            except OSError as e:
                return f'could not be started: {e}', 0, ''
            self.begins(p.pid)
            try:
                code = p.wait(timeout=limit)
                outcome = 'ok' if code == 0 else 'skip' if code == 77 else \
                    f'exit status {code}' if code > 0 else f'killed by {signal.Signals(-code).name}'
            except subprocess.TimeoutExpired:
                outcome = f'no end after {limit} s'
            kill_group(p.pid)
            p.wait()
            self.ended(p.pid)
        with open(log, encoding='utf-8', errors='replace') as f:
            return outcome, time.monotonic() - start, f.read()

    def one(self, build, test, prefix):
        outcome, seconds, output = self.attempt(build, test, prefix)
        if outcome not in ('ok', 'skip') and 'integration' in suites_of(test):
            # Processes on a shared machine: a core may be taken away for half a second.  Never silently.
            self.tally.again(build, test['name'], outcome, seconds, output)
            outcome, seconds, output = self.attempt(build, test, prefix)
        self.tally.record(build, test['name'], outcome, seconds, output)

    def build(self, build, tests, prefix):
        # Those with networks, pinned threads and moments that matter run alone; the rest share the cores.
        alone = [t for t in tests if not t['is_parallel']]
        # Those that may take long first, so that none of them is left to one core in the end.
        shared = sorted((t for t in tests if t not in alone), key=lambda t: -t['timeout'])
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            for f in [pool.submit(self.one, build, t, prefix) for t in shared]:
                f.result()
        for t in alone:
            self.one(build, t, prefix)


def make(build, targets=(), runner=None):
    """Compiles; for a runner it gives way to tests and ends with them."""
    p = subprocess.Popen([os.path.join(TOP, 'scripts', 'build.sh'), build, *targets], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                         encoding='utf-8', errors='replace', start_new_session=runner is not None, preexec_fn=give_way if runner else None)
    if runner:
        # ninja gives each compiler a group of its own, and ends them if it is asked.
        runner.begins(p.pid, signal.SIGTERM)
    output = p.communicate()[0]
    if runner:
        runner.ended(p.pid)
    return subprocess.CompletedProcess(p.args, p.returncode, output)


def give_way():
    """A session has a priority of its own where the kernel groups tasks by session."""
    os.nice(19)
    try:
        with open('/proc/self/autogroup', 'w') as f:
            f.write('19')
    except OSError:
        pass


def needed(build, opts):
    """The targets that the build's tests need."""
    out = subprocess.run(['meson', 'introspect', '--targets', os.path.join(TOP, BUILDS[build])], check=True,
                         stdout=subprocess.PIPE).stdout
    files = {t['id']: t['filename'][0] for t in json.loads(out)}
    ids = {d for t in introspect(build) if wanted(t, build, opts) for d in t['depends']}
    return sorted(os.path.relpath(files[i], os.path.join(TOP, BUILDS[build])) for i in ids)


def compile_build(build, opts, runner):
    """(outcome, seconds, output) for Tally.record()."""
    if build == 'clang' and not shutil.which('clang'):
        return 'skip', 0, 'clang is not installed (scripts/install.sh test)'
    start = time.monotonic()
    if build == 'tsan':
        p = make(build, ['build.ninja'], runner)
        if p.returncode == 0:
            p = make(build, needed(build, opts), runner)
    else:
        p = make(build, (), runner)
    return 'ok' if p.returncode == 0 else 'does not compile', time.monotonic() - start, p.stdout


def run_build(build, compiled, runner, tally, opts):
    """Runs one variant's tests; returns how many were chosen."""
    outcome, *rest = compiled.result()
    tally.record(build, 'build', outcome, *rest)
    if outcome != 'ok':
        return 0
    tests = [t for t in introspect(build) if wanted(t, build, opts)]
    prefix = []
    if build == 'tsan' and tests:
        prefix = tsan_prefix()
        if prefix is None:
            for t in tests:
                tally.record(build, t['name'], 'skip', 0, "ThreadSanitizer's programs don't start on this kernel "
                             'and setarch -R is not allowed; lower vm.mmap_rnd_bits to 28')
            return len(tests)
    runner.build(build, tests, prefix)
    return len(tests)


def list_tests(opts, builds):
    for build in builds:
        p = make(build, ['build.ninja'])
        if p.returncode:
            print(p.stdout, file=sys.stderr, end='')
            return 1
        for t in introspect(build):
            if wanted(t, build, opts):
                print(f'{build:6} {t["name"]}  [{", ".join(sorted(suites_of(t) - {"p2pnic"}))}]')
    return 0


def parse_args():
    p = argparse.ArgumentParser(prog='./test', description='installs, builds and runs the tests of P2PNIC')
    p.add_argument('--full', action='store_true', help='the long tests, too')
    p.add_argument('--list', action='store_true', help='only list what would run, and in which build')
    p.add_argument('-v', '--verbose', action='store_true', help="all output of all tests, not only of those that failed")
    p.add_argument('--build', action='append', choices=list(BUILDS), help='only this build (may be repeated)')
    p.add_argument('names', nargs='*', metavar='NAME', help='only these tests; shell patterns allowed')
    return p.parse_args()


def main():
    opts = parse_args()
    builds = opts.build or list(BUILDS)
    if opts.list:
        return list_tests(opts, builds)
    tally = Tally(opts.verbose)
    runner = Runner(opts, tally)
    start = time.monotonic()
    chosen = 0
    compiler = concurrent.futures.ThreadPoolExecutor(1)
    compiled = {build: compiler.submit(compile_build, build, opts, runner) for build in builds}
    try:
        for build in builds:
            chosen += run_build(build, compiled[build], runner, tally, opts)
    except KeyboardInterrupt:
        compiler.shutdown(wait=False, cancel_futures=True)
        runner.stop()
        print('./test: interrupted', file=sys.stderr)
        return 130
    if opts.names and not chosen and not tally.failed:
        print(f'./test: no test is called {" or ".join(opts.names)}; ./test --list names them', file=sys.stderr)
        return 2
    if tally.retried:
        print('tried twice: ' + ', '.join(sorted(tally.retried)))
    if tally.failures:
        print('failed: ' + ', '.join(tally.failures))
    slowest = ', '.join(f'{name} {t:.0f} s' for t, name in sorted(tally.times, reverse=True)[:5])
    print(f'{time.monotonic() - start:.0f} s; longest: {slowest}')
    print(f'{tally.passed} passed, {tally.failed} failed, {tally.skipped} skipped', flush=True)
    return 1 if tally.failed else 0


if __name__ == '__main__':
    signal.signal(signal.SIGTERM, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
    sys.exit(main())
