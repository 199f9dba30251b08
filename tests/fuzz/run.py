#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Builds the fuzzers (build-fuzz/) and runs them; docs/fuzzing.md tells of the targets.

run.py [--seconds N] [--jobs N] [--keep DIR] [TARGET...]

Each begins with its committed corpus; what it finds on the way is thrown away, or goes to DIR/TARGET.  An input that it
does not come through is kept in build-fuzz/found/.  Exit 1: there is one.
"""
import argparse
import concurrent.futures
import os
import re
import shutil
import subprocess
import sys
import tempfile

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HERE = os.path.join(TOP, 'tests', 'fuzz')
BUILD = os.path.join(TOP, 'build-fuzz')
LIMITS = ['-timeout=20', '-rss_limit_mb=1536', '-malloc_limit_mb=512', '-print_final_stats=1', '-reload=0']
LONGEST = {'sysfs': 24000}  # bytes of an input; others: 4096


def targets():
    return sorted(f[5:-2] for f in os.listdir(HERE) if f.startswith('fuzz_') and f.endswith('.c'))


def build():
    """None, or why there are no fuzzers."""
    if not shutil.which('clang'):
        return 'clang is not installed (scripts/install.sh test)'
    probe = subprocess.run(['clang', '-fsanitize=fuzzer,address', '-x', 'c', '-', '-o', '/dev/null'], stderr=subprocess.DEVNULL,
                           input=b'int LLVMFuzzerTestOneInput(const char *d, unsigned long n) { return 0; }')
    if probe.returncode:
        return "clang's fuzzing library is not installed (scripts/install.sh test)"
    if subprocess.run([os.path.join(TOP, 'scripts', 'build.sh'), 'fuzz', 'fuzz']).returncode:
        sys.exit(1)
    return None


def fuzz(target, seconds, keep):
    """Runs one: whether it came through, a line of figures, what it printed."""
    found = os.path.join(BUILD, 'found')
    os.makedirs(found, exist_ok=True)
    env = dict(os.environ, ASAN_OPTIONS='detect_leaks=1:quarantine_size_mb=64', LSAN_OPTIONS='print_suppressions=0',
               UBSAN_OPTIONS='print_stacktrace=1')
    with tempfile.TemporaryDirectory(prefix='p2pnic-corpus-') as work:
        if keep:
            work = os.path.join(keep, target)
            os.makedirs(work, exist_ok=True)
        p = subprocess.run([os.path.join(BUILD, 'tests', 'fuzz', 'fuzz-' + target), f'-max_total_time={seconds}', *LIMITS,
                            f'-max_len={LONGEST.get(target, 4096)}', f'-artifact_prefix={found}/{target}-', work,
                            os.path.join(HERE, 'corpus', target)],
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding='utf-8', errors='replace', env=env)
    runs = re.findall(r'stat::number_of_executed_units:\s*(\d+)', p.stdout)
    cov = re.findall(r'cov: (\d+) ft: (\d+)', p.stdout)
    line = f'{target}: {runs[-1] if runs else "?"} inputs in {seconds} s, {cov[-1][0] if cov else "?"} edges'
    return p.returncode == 0, line, p.stdout


def main():
    p = argparse.ArgumentParser(description='runs the fuzzers')
    p.add_argument('--seconds', type=int, default=60, help='for each target (60)')
    p.add_argument('--jobs', type=int, default=2, help='at a time (2)')
    p.add_argument('--keep', metavar='DIR', help='where what they find goes')
    p.add_argument('targets', nargs='*', metavar='TARGET')
    opts = p.parse_args()
    for t in opts.targets:
        if t not in targets():
            sys.exit(f'run.py: no target is called {t}; there are {", ".join(targets())}')
    why = build()
    if why:
        print(why)
        return 77
    bad = 0
    with concurrent.futures.ThreadPoolExecutor(opts.jobs) as pool:
        for ok, line, output in pool.map(lambda t: fuzz(t, opts.seconds, opts.keep), opts.targets or targets()):
            print(line if ok else line + ': FAILED', flush=True)
            if not ok:
                bad += 1
                print('\n'.join(output.splitlines()[-60:]), flush=True)
    return 1 if bad else 0


if __name__ == '__main__':
    sys.exit(main())
