#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Event queues beside each other: nanoseconds of CPU time an event, median of interleaved rounds (and least and most).

run.py [--build DIR] [--rounds N] [--events N] [--json]

hold:    N events queued, each schedules itself anew (hold.c says how far ahead); `fabric2` and `fabric32` are the
         distances recorded in the fabric of fabric.c with 2 and 32 ports
fabric:  that fabric itself, everything included
sim:     the whole simulator with its firmware (tests/unit/sim/bench_sim.c), nanoseconds a packet
"""
import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile

QUEUES = ('calendar', 'heap2', 'heap4', 'heap8')
SIZES = (16, 64, 256, 1024, 16384, 100000)
FABRICS = ((2, 5000), (32, 300))  # ports, microseconds
SIMS = (('wr', 64, 40, 3000), ('rd', 64, 40, 3000))  # mode, bytes, Gb/s, microseconds


def record(folder, build, ports):
    """A file of distances, those of 20,000 events after as many to get going; how many events were queued on average."""
    err = subprocess.run([f'{build}/bench/queue/fabric_record', str(ports), str(max(1, 100 // ports))], stdout=subprocess.DEVNULL,
                         stderr=subprocess.PIPE, text=True, check=True).stderr
    rows = [line for line in err.splitlines() if not line.endswith('events')][20000:40000]
    path = os.path.join(folder, f'fabric{ports}')
    with open(path, 'w') as f:
        f.write('\n'.join(rows) + '\n')
    return path, statistics.mean(int(r.split()[1]) for r in rows)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--build', default='build')
    p.add_argument('--rounds', type=int, default=5)
    p.add_argument('--events', type=int, default=300000)
    p.add_argument('--json', action='store_true')
    args = p.parse_args()
    programs = [f'bench/queue/{what}_{q}' for what in ('hold', 'fabric', 'sim') for q in QUEUES + ('record',)]
    subprocess.run(['ninja', '-C', args.build, *programs], stdout=subprocess.DEVNULL, check=True)
    with tempfile.TemporaryDirectory() as tmp:
        recorded = [record(tmp, args.build, ports) for ports, _ in FABRICS]
        cases = [(f'hold {d} {n}', 'hold', [path, n, args.events])
                 for d, path in [(d, d) for d in ('exp', 'uniform', 'two', 'burst', 'move')] +
                 [(os.path.basename(path), path) for path, _ in recorded] for n in SIZES]
        cases += [(f'fabric {ports} ports', 'fabric', [ports, us]) for ports, us in FABRICS]
        cases += [(f'sim {mode}, {size} B', 'sim', [mode, size, *rest]) for mode, size, *rest in SIMS]
        times = {(name, q): [] for name, _, _ in cases for q in QUEUES}
        for r in range(args.rounds):
            for name, what, argv in cases:
                for k in range(len(QUEUES)):
                    q = QUEUES[(k + r) % len(QUEUES)]
                    out = subprocess.run([f'{args.build}/bench/queue/{what}_{q}', *map(str, argv)], stdout=subprocess.PIPE,
                                         stderr=subprocess.DEVNULL, text=True, check=True).stdout
                    times[name, q].append(1000 / float(re.search(r'([\d.]+) M packets/s', out)[1]) if what == 'sim' else float(out))
            if sys.stderr.isatty():
                print(f'round {r + 1} of {args.rounds}', end='\r', file=sys.stderr)
    rows = [{'case': name, 'ns': {q: round(statistics.median(times[name, q]), 1) for q in QUEUES},
             'least': {q: min(times[name, q]) for q in QUEUES}, 'most': {q: max(times[name, q]) for q in QUEUES}}
            for name, _, _ in cases]
    if args.json:
        print(json.dumps({'rows': rows, 'queued': {os.path.basename(p): round(n, 1) for p, n in recorded}}, indent=1))
        return
    for path, n in recorded:
        print(f'{os.path.basename(path)}: {n:.0f} events queued')
    print('ns an event'.ljust(24) + ''.join(q.rjust(20) for q in QUEUES))
    for row in rows:
        print(row['case'].ljust(24) + ''.join(
            f"{row['ns'][q]:.0f} ({row['least'][q]:.0f}-{row['most'][q]:.0f})".rjust(20) for q in QUEUES))


if __name__ == '__main__':
    main()
