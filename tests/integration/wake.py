#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""wake.py [FRAMES [SILENCE_S]]: two NIC processes, no driver, silence, then single frames at random moments.

Every frame must arrive, once and unharmed.  How long each took and what the idle processes cost is printed; how fast
a machine is, no test asserts.
"""
import json
import os
import sys
import time

from lib import CABLE, Failed, cpu_ns, run

FRAMES = int(sys.argv[1]) if len(sys.argv) > 1 else 100
SILENCE = float(sys.argv[2]) if len(sys.argv) > 2 else 2
GAP_US = (20000, 60000)
SEED = 7


def times(got):
    return ' '.join(f'{k} {got[k + "_ns"] / 1e3:.1f}' for k in ('min', 'p50', 'p90', 'p99', 'max')) + \
        f' us, {got["over_100us"]} above 100 us'


def machine(b):
    """What two wake-ups take here, on whatever else runs."""
    got = b.must([CABLE, 'raw', min(FRAMES, 100), *GAP_US, SEED], 60).json
    b.say(f'this machine: two processes woken one by the other: {times(got)}; load {os.getloadavg()[0]:.1f}')


def one_mode(b, mode):
    left, right = (f'memif:{b.path(n)}' for n in ('left', 'right'))
    nics = [b.nic('a', left + ',role=server'), b.nic('z', right + ',role=server')]
    b.up(['a', 'z'], '--mode', mode)
    p = b.start('cable', [CABLE, 'wake', FRAMES, *GAP_US, int(SILENCE * 1000), SEED, left, right]).expect('ready')
    t, cpu = time.monotonic(), [cpu_ns(n.pid) for n in nics]
    time.sleep(SILENCE * 0.9)
    t, cpu = time.monotonic() - t, [cpu_ns(n.pid) - c for n, c in zip(nics, cpu)]
    b.say(f'{mode}: {t:.1f} s of silence: {cpu[0] / t / 1e7:.2f}% and {cpu[1] / t / 1e7:.2f}% of a core')
    t, cpu = time.monotonic(), [cpu_ns(n.pid) for n in nics]
    try:
        p.wait(20 + SILENCE + FRAMES * GAP_US[1] * 2 / 1e6)
    except Failed:
        b.say(f'{mode}: {b.stats("a", "z")}')
        raise
    t, cpu = time.monotonic() - t, [cpu_ns(n.pid) - c for n, c in zip(nics, cpu)]
    b.equal(p.popen.returncode, 0, f'{mode}: cable ends with status')
    got = json.loads(p.out.splitlines()[-1])
    b.say(f'{mode}: {got["sent"]} single frames: {times(got)}; {cpu[0] / t / 1e7:.2f}% and {cpu[1] / t / 1e7:.2f}% of a core')
    b.equal([got[k] for k in ('sent', 'received', 'lost', 'reordered', 'corrupted')], [FRAMES, FRAMES, 0, 0, 0],
            f'{mode}: sent, received, lost, reordered, corrupted')
    b.equal([n.stop() for n in nics], [0, 0], f'{mode}: NICs end with status')


def main(b):
    machine(b)
    for mode in ('wr', 'rd'):
        one_mode(b, mode)


run(main)
