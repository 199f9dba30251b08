#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""compare.py --chain CHAIN [--rounds N] [--packets N] [--hops N] [--json] [P2PNIC]

This simulator beside ns-3, interleaved, medians (least-most).  Both on one core, 64-byte packets.

ns-3    chain.cc: a row of point-to-point links, with each of its schedulers; what counts is the best of them
p2pnic  `p2pnic sim speed --json`: wr, a NIC forwards to another through a switch, with the firmware, checksums, memory,
        credits; descriptors and completions are packets too, and not counted as such

A payload crosses a wire, two PCIe links and a wire.  `per hop` counts the PCIe links alone, beside a row in ns-3 that has as
many events a packet; `same path` is packets a second beside a row of as many links as the payload crosses.

Seconds are CPU time of the process (user and system), start and end included: on an idle machine that is wall time.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys

SCHEDULERS = ('Map', 'Heap', 'Calendar', 'PriorityQueue')
GOAL = 5


def run(argv):
    """The JSON object that a program prints, with the CPU seconds that it took."""
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as p:
        out = p.stdout.read()
        _, status, use = os.wait4(p.pid, 0)
        p.returncode = os.waitstatus_to_exitcode(status)
    if p.returncode:
        sys.exit(f"ns3: {' '.join(argv)} failed with {p.returncode}")
    d = json.loads(out)
    d['cpu_s'] = use.ru_utime + use.ru_stime
    return d


def chain(args, scheduler, packets, hops):
    return run([args.chain, str(packets), str(hops), scheduler])


def p2pnic(args, us):
    d = run([args.p2pnic, 'sim', 'speed', '--json', '--time', str(us), '--warmup', '10'])
    d['hops'] -= 2 * d['packets']  # the wires
    return d


def figures(runs):
    """Medians of what is of interest; and of packets a second and hop, the least and the most."""
    def med(f):
        return statistics.median(f(d) for d in runs)

    def rate(d):
        return d['hops'] / d['cpu_s']
    return {'packets': med(lambda d: d['packets']), 'cpu_s': round(med(lambda d: d['cpu_s']), 3),
            'hops_per_packet': med(lambda d: d['hops'] / d['packets']),
            'events_per_packet': round(med(lambda d: d['events'] / d['packets']), 2),
            'events_per_hop': round(med(lambda d: d['events'] / d['hops']), 2),
            'events_per_s': round(med(lambda d: d['events'] / d['cpu_s'])),
            'packets_per_s': round(med(lambda d: d['packets'] / d['cpu_s'])),
            'packet_hops_per_s': round(med(rate)), 'least': round(min(map(rate, runs))), 'most': round(max(map(rate, runs))),
            'max_rss_kb': med(lambda d: d['max_rss_kb'])}


def growth(args):
    """CPU seconds for once, twice and four times the packets, medians: [(packets, seconds)] of either."""
    rows = {'ns-3': [], 'p2pnic': []}
    for factor in (1, 2, 4):
        for name, one in (('ns-3', lambda f=factor: chain(args, 'Map', f * args.packets, args.hops)),
                          ('p2pnic', lambda f=factor: p2pnic(args, f * args.us))):
            runs = [one() for _ in range(3)]
            rows[name].append((statistics.median(d['packets'] for d in runs), round(statistics.median(d['cpu_s'] for d in runs), 3)))
    return rows


def show(result):
    print(''.ljust(26) + ''.join(h.rjust(12) for h in ('packets/s', 'hops', 'events/pkt', 'events/hop', 'M events/s', 'MB')) +
          '   packets/s times hops (least-most)')
    for name in result['rows']:
        f = result['rows'][name]
        print(name.ljust(26) + f"{f['packets_per_s']:12.0f}{f['hops_per_packet']:12.0f}{f['events_per_packet']:12.2f}"
              f"{f['events_per_hop']:12.2f}{f['events_per_s'] / 1e6:12.2f}{f['max_rss_kb'] / 1024:12.1f}"
              f"   {f['packet_hops_per_s']:.0f} ({f['least']}-{f['most']})")
    print(f"beside {result['best']}: per hop {result['per_hop']:.1f} times, same path {result['same_path']:.1f} times; goal {GOAL}")
    for name, rows in result['growth'].items():
        print(f'{name}: ' + ', '.join(f'{n:.0f} packets {s:.2f} s ({s / n * 1e9:.0f} ns each)' for n, s in rows))


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--chain', required=True)
    p.add_argument('--rounds', type=int, default=5)
    p.add_argument('--packets', type=int, default=200000, help="ns-3's")
    p.add_argument('--us', type=int, default=10000, help='of virtual time of p2pnic')
    p.add_argument('--hops', type=int, default=2, help="links of ns-3's row; 2 has as many events per packet as p2pnic")
    p.add_argument('--json', action='store_true')
    p.add_argument('p2pnic', nargs='?', default='build/p2pnic')
    args = p.parse_args()
    if min(args.rounds, args.packets, args.us, args.hops) < 1:
        p.error('--rounds, --packets, --us and --hops are at least 1')
    row, path = (lambda s: f'ns-3 {s}'), (lambda s: f'ns-3 {s}, path')
    runs = {name: [] for name in ('p2pnic', *map(row, SCHEDULERS), *map(path, SCHEDULERS))}
    for _ in range(args.rounds):
        ours = p2pnic(args, args.us)
        links = round(ours['hops'] / ours['packets']) + 2
        runs['p2pnic'].append(ours)
        for s in SCHEDULERS:
            runs[row(s)].append(chain(args, s, args.packets, args.hops))
            runs[path(s)].append(chain(args, s, args.packets // 2 + 1, links))
    rows = {name: figures(r) for name, r in runs.items()}
    best = max(SCHEDULERS, key=lambda s: rows[row(s)]['packet_hops_per_s'])
    result = {'rows': {n: f for n, f in rows.items() if not n.endswith('path') or n == path(best)}, 'best': row(best), 'goal': GOAL,
              'per_hop': round(rows['p2pnic']['packet_hops_per_s'] / rows[row(best)]['packet_hops_per_s'], 2),
              'same_path': round(rows['p2pnic']['packets_per_s'] / max(rows[path(s)]['packets_per_s'] for s in SCHEDULERS), 2),
              'growth': growth(args)}
    if args.json:
        print(json.dumps(result, indent=1))
    else:
        show(result)
    return 0


if __name__ == '__main__':
    sys.exit(main())
