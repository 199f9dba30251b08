#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A driver that is killed at every access of its bring-up over the kernel's VFIO.

usage: vm_kill.py 6.1|6.12

After each of them no NIC may do DMA, and the next bring-up finds them as if nothing had been.
"""
import os
import sys
import time

from guest import Guest, at_rest, end, up
from lib import BUILD, run

SLICE = 40


def main(b):
    nics = [b.nic(n, 'null:') for n in 'ab']
    g = Guest(b, sys.argv[1], 'ab', programs=[os.path.join(BUILD, 'tests', 'vm', 'kill_steps')])
    g.sh('p2pnic bind ' + ' '.join(g.addr.values()))
    steps, first, t = 0, 0, time.monotonic()
    while not steps:
        out, status = g.call(f'kill_steps {first} {first + SLICE - 1} 1 {" ".join(g.addr.values())}', 120)
        if not b.check(status == 0 and 'FAIL' not in out, f'killed before accesses {first} to {first + SLICE - 1}: {out.strip()}'):
            break
        steps = next((int(s.split()[1]) for s in out.splitlines() if s.startswith('steps ')), 0)
        at_rest(b, g, 'ab', f'after {first + SLICE}')
        pid = up(g, 'ab')
        end(g, pid)
        first += SLICE
    b.check(steps > 50, f'a bring-up has {steps} accesses; killed before each of them in {time.monotonic() - t:.0f} s')
    g.close()
    b.equal([p.stop() for p in nics], [0, 0], 'NICs end with status')


run(main)
