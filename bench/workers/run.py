#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Two workers beside one: four NICs, two generators and two sinks, in one process (`p2pnic run --nics 4 --cores ...`).

run.py [--p2pnic PATH] [--nics N] [--queues N] [--mode wr] [--cores 0,1] [--rounds 5] [--seconds 3] [--json]

A round is a run on the first of the cores and one on all of them, in turns; in the latter NICs have N queues (1).  Medians of the rounds, least and most;
the ratio is that of the rounds' own ratios, so that what changes from round to round changes both.
"""
import argparse
import json
import statistics
import subprocess
import sys


def measure(args, cores, queues):
    """Frames a second by frame size; fails if a frame was lost, damaged or reordered."""
    argv = [args.p2pnic, 'run', '--nics', str(args.nics), '--mode', args.mode, '--seconds', str(args.seconds), '--poll', '--json',
            '--cores', cores, '--queues', str(queues)]
    done = subprocess.run(argv, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f'{" ".join(argv)}: exit status {done.returncode}')
    rows = json.loads(done.stdout)['results']
    bad = [r for r in rows if r['lost'] or r['corrupted'] or r['reordered'] or r['duplicated']]
    if bad:
        sys.exit(f'{" ".join(argv)}: {bad}')
    return {r['frame_bytes']: r['mpps'] for r in rows}


def spread(values):
    return {'median': statistics.median(values), 'min': min(values), 'max': max(values)}


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--p2pnic', default='build/p2pnic')
    p.add_argument('--nics', type=int, default=4)
    p.add_argument('--queues', type=int, default=1)
    p.add_argument('--mode', default='wr')
    p.add_argument('--cores', default='0,1')
    p.add_argument('--rounds', type=int, default=5)
    p.add_argument('--seconds', type=float, default=3)
    p.add_argument('--json', action='store_true')
    args = p.parse_args()
    one, many = {}, {}
    for r in range(args.rounds):
        order = ((one, args.cores.split(',')[0], 1), (many, args.cores, args.queues))
        for into, cores, queues in order if r % 2 == 0 else order[::-1]:
            for size, mpps in measure(args, cores, queues).items():
                into.setdefault(size, []).append(mpps)
    rows = [{'frame_bytes': size, 'one_worker_mpps': spread(one[size]), 'workers_mpps': spread(many[size]),
             'ratio': spread([m / o for m, o in zip(many[size], one[size])])} for size in one]
    if args.json:
        print(json.dumps({'nics': args.nics, 'queues': args.queues, 'mode': args.mode, 'cores': args.cores, 'rounds': args.rounds, 'rows': rows}))
        return
    print(f'{args.nics} NICs, {args.mode}, {args.rounds} rounds of {args.seconds:g} s: one worker (core {args.cores.split(",")[0]}),'
          f' workers on cores {args.cores} with {args.queues} queue{"s" * (args.queues > 1)} a NIC')
    for row in rows:
        o, m, x = row['one_worker_mpps'], row['workers_mpps'], row['ratio']
        print(f'{row["frame_bytes"]:5} B  one {o["median"]:7.3f} Mpps ({o["min"]:.3f}-{o["max"]:.3f})  all {m["median"]:7.3f} Mpps'
              f' ({m["min"]:.3f}-{m["max"]:.3f})  ratio {x["median"]:.2f} ({x["min"]:.2f}-{x["max"]:.2f})')


if __name__ == '__main__':
    main()
