#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""test_rates.py P2PNIC: what the doctor expects of links is what the simulator finds where nothing but links limits.

The simulator's NICs have engines and memories that take no time, and as many requests in flight as they like.
"""
import json
import os
import subprocess
import sys
import tempfile

from trees import Box, two_under_switch

P2PNIC = os.path.abspath(sys.argv[1])
SIZES = ('64', '512', '1518')
WITHIN = 0.035
ROOT = '''host = { name = "host"; };
nics = ( { name = "nic0"; parent = "host"; ports = 1; }, { name = "nic1"; parent = "host"; ports = 1; } );
pairs = ( { from = "nic0.0"; to = "nic1.0"; } );
traffic = ( { port = "nic0.0"; } );
'''
FREE = ('clock_mhz work_latency poll dma_write_gap dma_read_gap dma_overhead dma_byte dma_write_latency dma_read_latency mem_write_gap'
        ' mem_read_gap mem_read_latency mem_rate local_rate mac_rx mac_tx pcie_latency').split()
MANY = {'mac_gbps': 400, 'tags': 1024, 'dma_reads': 4096, 'dma_read_bytes': 1000000, 'dma_writes': 64, 'dllp_share': -1, 'slots': 512}


def simulate(mode, size, topology, changes):
    sets = [f'nic.{k}=0' for k in FREE] + [f'nic.{k}={v}' for k, v in MANY.items()] + ['switch.dllp_share=-1'] + changes
    argv = [P2PNIC, 'sim', 'run', topology, '--method', mode, '--frames', size, '--host', 'server', '--time', '2000', '--json']
    for s in sets:
        argv += ['--set', s]
    p = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding='utf-8', timeout=120)
    if p.returncode:
        raise SystemExit(f'{" ".join(argv)}: {p.stderr}')
    d = json.loads(p.stdout)
    return d['mpps'], d['bottleneck']['kind']


def doctor(tree):
    p = subprocess.run([P2PNIC, 'doctor', '--sysfs', tree, '--json'], stdout=subprocess.PIPE, check=True, encoding='utf-8', timeout=60)
    return json.loads(p.stdout)['pairs'][0]


def root_ports():
    box = Box()
    box.host()
    for k in range(2):
        port = box.root_port(f'0000:00:{k + 1:02x}.0', 3 + k, 3 + k, width=8, max_width=8)
        box.nic(f'0000:{3 + k:02x}:00.0', port, gen=3)
    return box


def x4():
    """One of the two trained four lanes of eight."""
    box = two_under_switch()
    box.devs[-1].width = 4
    return box


def main():
    failed = 0
    runs = (('switch', two_under_switch, 'topology = "reference";\n', [], ('wr', 'rd', 'bn'), SIZES),
            ('root ports', root_ports, ROOT, ['host.rc_p2p_rate=0', 'host.pcie_gen=3'], ('wr', 'rd'), ('64', '1518')),
            ('x4', x4, 'topology = "reference";\n', ['nic1.pcie_width=4'], ('wr', 'rd'), ('64', '1518')))
    with tempfile.TemporaryDirectory() as folder:
        for name, make, text, changes, modes, sizes in runs:
            topology = os.path.join(folder, 'sim.conf')
            with open(topology, 'w', encoding='ascii') as f:
                f.write(text)
            pair = doctor(make().write(os.path.join(folder, 'tree')))
            for mode in modes:
                for size in sizes:
                    expected, (got, kind) = pair['mpps'][mode][size], simulate(mode, size, topology, changes)
                    off = expected / got - 1
                    bad = abs(off) > WITHIN
                    failed += bad
                    print(f'{name}, {mode}, {size} bytes: doctor {expected:.3f} Mpps, simulator {got:.3f} ({kind}), {100 * off:+.1f}%'
                          f'{": too far" if bad else ""}')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
