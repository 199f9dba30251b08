#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Builds the fuzzers (build-fuzz/) and runs them; docs/fuzzing.md tells of the targets.

run.py [--seconds N] [--jobs N] [--keep DIR] [TARGET...]
run.py --coverage [--keep DIR] [TARGET...]
run.py --reads

Each begins with its committed corpus; what it finds on the way is thrown away, or goes to DIR/TARGET.  An input that it
does not come through is kept in build-fuzz/found/.  Exit 1: there is one.

--coverage fuzzes nothing: it tells how many lines of the files that a target is about its corpus runs (build-cover/),
with --keep the one in DIR/TARGET, too.

--reads tells whether a field that is read twice, once to be checked and once to be used, is found, and one that is read
once is not (reads.c).
"""
import argparse
import concurrent.futures
import glob
import json
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

# What a target is about.
ABOUT = {
    'config': ['cli/config.c', 'cli/opts.c'],
    'memif_control': ['ports/memif.c', 'ports/memif_ctl.c', 'ports/memif_client.c', 'ports/memif_server.c', 'ports/memif_lane.c'],
    'memif_ring': ['ports/memif.c', 'ports/memif_client.c', 'ports/memif_server.c', 'ports/memif_lane.c',
                   'ports/memif_inplace.c', 'ports/guard.c'],
    'netlink': ['router/kernel_parse.c', 'router/fib.c', 'router/fib_state.c', 'router/fib_via.c', 'router/trie.c'],
    'pcap': ['ports/pcap.c'],
    'ring': ['firmware/cons.c', 'firmware/peer.c', 'firmware/prod.c', 'firmware/cut.c', 'firmware/egress.c', 'firmware/ingress.c',
             'firmware/bridge.c', 'firmware/bn.c', 'driver/bn_host.c'],
    'route': ['firmware/route.c', 'firmware/lpm.c', 'firmware/punt.c'],
    'route_list': ['lpm/list.c', 'cli/route_load.c'],
    'spec': ['ports/port.c', 'cli/opts.c'],
    'sysfs': ['doctor/tree.c', 'doctor/read.c', 'doctor/config.c', 'doctor/pair.c', 'doctor/acs.c', 'doctor/save.c'],
    'topology': ['experiments/spec.c', 'experiments/spec_file.c', 'experiments/topo.c', 'experiments/profile.c', 'experiments/conf.c'],
    'vfio_user_client': ['vfio_user/client.c', 'vfio_user/msg.c', 'vfio_user/caps.c'],
    'vfio_user_server': ['vfio_user/server.c', 'vfio_user/server_dispatch.c', 'vfio_user/server_dma.c', 'vfio_user/caps.c', 'boards/soft/function.c',
                         'boards/soft/iommu.c', 'boards/soft/pci_config.c', 'firmware/regs.c'],
}


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


def reads():
    """How many of reads.c's readers were not judged as they should be."""
    bad = 0
    for count in ('1', '2'):
        for width in ('1', '2', '4', '8'):
            p = subprocess.run([os.path.join(BUILD, 'tests', 'fuzz', 'fuzz-reads-' + count), '-seed=1', '-runs=200000', '-max_len=16',
                                f'-artifact_prefix={BUILD}/reads-'], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding='utf-8',
                               errors='replace', env=dict(os.environ, FUZZ_BYTES=width))
            found = re.search(r'^FAILED: .*', p.stdout, re.M)
            done = re.search(r'^Done (\d+) runs', p.stdout, re.M)
            right = bool(found) if count == '2' else p.returncode == 0 and bool(done)
            print(f'{width} bytes, {count} load{"s"[int(count) < 2:]}: ' +
                  (f'found: {found[0]}' if found else f'nothing found in {done[1]} runs' if done else f'exit status {p.returncode}') +
                  ('' if right else ': WRONG'), flush=True)
            bad += not right
    return bad


def cover(target, keep):
    """A line of how much of what the target is about was run."""
    exe = os.path.join(TOP, 'build-cover', 'tests', 'fuzz', 'replay-' + target)
    dirs = [os.path.join(HERE, 'corpus', target)] + ([os.path.join(keep, target)] if keep else [])
    with tempfile.TemporaryDirectory(prefix='p2pnic-cover-') as work:
        raw, data = os.path.join(work, '%m.raw'), os.path.join(work, 'data')
        subprocess.run([exe, *(d for d in dirs if os.path.isdir(d))], check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, env=dict(os.environ, LLVM_PROFILE_FILE=raw))
        subprocess.run(['llvm-profdata', 'merge', '-o', data, *glob.glob(os.path.join(work, '*.raw'))], check=True)
        files = [os.path.join(TOP, f) for f in ABOUT[target]]
        out = subprocess.run(['llvm-cov', 'export', '-summary-only', '-instr-profile', data, exe, *files], check=True,
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
    parts = {os.path.relpath(os.path.realpath(f['filename']), TOP): f['summary']['lines'] for f in json.loads(out)['data'][0]['files']}
    parts = {f: parts[f] for f in ABOUT[target] if f in parts}
    run, lines = (sum(p[k] for p in parts.values()) for k in ('covered', 'count'))
    each = ', '.join(f'{name} {p["percent"]:.0f}%' for name, p in sorted(parts.items()))
    return f'{target}: {run} of {lines} lines, {100 * run / lines:.0f}%: {each}'


def main():
    p = argparse.ArgumentParser(description='runs the fuzzers')
    p.add_argument('--seconds', type=int, default=60, help='for each target (60)')
    p.add_argument('--jobs', type=int, default=2, help='at a time (2)')
    p.add_argument('--keep', metavar='DIR', help='where what they find goes')
    p.add_argument('--coverage', action='store_true', help='how many lines the corpora run, and no fuzzing')
    p.add_argument('--reads', action='store_true', help='only whether what is read twice is found')
    p.add_argument('targets', nargs='*', metavar='TARGET')
    opts = p.parse_args()
    for t in opts.targets:
        if t not in targets():
            sys.exit(f'run.py: no target is called {t}; there are {", ".join(targets())}')
    if opts.coverage:
        if subprocess.run([os.path.join(TOP, 'scripts', 'build.sh'), 'cover',
                           *('tests/fuzz/replay-' + t for t in opts.targets or targets())]).returncode:
            return 1
        for t in opts.targets or targets():
            print(cover(t, opts.keep), flush=True)
        return 0
    why = build()
    if why:
        print(why)
        return 77
    if opts.reads:
        return 1 if reads() else 0
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
