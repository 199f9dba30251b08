#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""NICs that go from session to session while their peers end and begin again are no larger for it.

Four NICs, two memif cables each, in a ring of pairs under traffic.  A round is a stay in each of wr, rd, cut and bn; in each but bn one
peer, c or d, is restarted.  a and b live on: what they have after some rounds they have after more.  Arguments: other numbers of rounds.
"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'integration'))

from lib import Far, Ring, memory_kib, run, wait_for
from world import NICS, SESSIONS

WARM, MORE = 2, 4
SLACK_KIB = 128


def main(b):
    rounds = [int(a) for a in sys.argv[1:]] or [WARM, MORE]
    ring = Ring(b)

    def start(n):
        return b.nic(n, *ring.ports(n))
    proc = {n: start(n) for n in NICS}
    far = Far(b, ring.cables(), ring.flows(500))

    def linked():
        return all(c['up'] for c in far.ask('report')['cables'].values())

    def moved():
        before = far.ask('report')['flows']

        def all_did():
            return all(v['received'] > before[f]['received'] + 20 for f, v in far.ask('report')['flows'].items())
        wait_for('every flow moves', 20, all_did, 0.1)

    def stay(session, n):
        args = [*SESSIONS[session], *ring.pair_args]
        if session == 'bn':
            up = b.up_stay(NICS, *args)
        else:
            b.up(NICS, *args)
        wait_for('links', 20, linked)
        far.ask('resume')
        moved()
        if session != 'bn':
            b.check(proc[n].stop() == 0, f'{session}: {n} ends, and begins again')
            proc[n] = start(n)
            b.up(NICS, *args)
            wait_for('links', 20, linked)
            moved()
        far.drain(100)
        if session == 'bn':
            up.stop()
        else:
            b.down(NICS)

    had = {}
    for r in range(sum(rounds)):
        for k, session in enumerate(SESSIONS):
            stay(session, 'cd'[(r + k) % 2])
        now = {n: memory_kib(proc[n].pid) for n in 'ab'}
        b.say(f'round {r + 1}: resident KiB {now}')
        if r < rounds[0]:
            had = {n: max(v, had.get(n, 0)) for n, v in now.items()}
    for n, kib in now.items():
        b.check(kib <= had[n] + SLACK_KIB, f'{n} has {kib} KiB, had {had[n]} after {rounds[0]} rounds of {len(SESSIONS)} sessions (slack {SLACK_KIB})')


run(main)
