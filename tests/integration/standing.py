#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""One of four ports' cables stands still: the others lose nothing.  Two ingresses that overload one port share it."""
import json
import signal
import time

from lib import CABLE, Failed, drops, one_each, run, wait_for

RATE, COUNT = 5000, 20000
DRAIN_RATE, DRAIN_MS = 20000, 2500
OVERLOAD = 60000  # frames per second of each of the two


def outs(b):
    return [p['tx_frames'] for p in b.stats('z')['z']['ports']]


def standing(b, mode, args):
    what = f'{mode} {" ".join(args)}'.strip()
    cable = f'memif:{b.path("still")}'
    a = b.nic('a', *(f'gen:g{k},id={k},rate={RATE},count={COUNT}' for k in range(4)))
    z = b.nic('z', *(f'gen:s{k},tx=off' for k in range(3)), cable)
    far = b.start('far', [CABLE, 'drain', 0, 60000, cable + ',role=server'])
    b.up(['a', 'z'], '--mode', mode, '--slots', '256', *args)
    far.expect('ready')
    wait_for('traffic on all ports', 10, lambda: min(outs(b)) > 500)
    early = [drops(n) for n in b.stats('a', 'z').values()]  # of the slow cable, before its link was up
    before, t = outs(b), time.monotonic()
    time.sleep(1)
    after, t = outs(b), time.monotonic() - t
    b.say(f'{what}: all move: ' + ' '.join(f'{(y - x) / t:.0f}' for x, y in zip(before, after)) + ' frames/s')
    far.send(signal.SIGSTOP)
    # Only when the standing cable's buffers are full does it stand still for the NIC.
    wait_for('the cable stands', 15, lambda: outs(b)[3] == (time.sleep(0.2), outs(b)[3])[1])
    before, t = outs(b), time.monotonic()
    time.sleep(1.5)
    after, t = outs(b), time.monotonic() - t
    b.check(after[3] == before[3] and all(y > x for x, y in zip(before[:3], after[:3])), f'{what}: one stands still: ' +
            ' '.join(f'{(y - x) / t:.0f}' for x, y in zip(before, after)) + ' frames/s')
    try:
        wait_for('the other three deliver all', 20, lambda: outs(b)[:3] == [COUNT] * 3, 0.1)
    except Failed as e:
        b.check(False, f'{what}: {e}')
    nics = b.stats('a', 'z')
    b.equal([p['rx_frames'] for p in nics['a']['ports'][:3]], [COUNT] * 3, f'{what}: accepted for the other three')
    b.equal(outs(b)[:3], [COUNT] * 3, f'{what}: delivered')
    b.say(f'{what}: drops {drops(nics["a"])} {drops(nics["z"])}, standing port: accepted {nics["a"]["ports"][3]["rx_frames"]},'
          f' sent {nics["z"]["ports"][3]["tx_frames"]}')
    if not args:
        b.equal([drops(n) for n in nics.values()], early, f'{what}: with backpressure nothing more is dropped')
    far.send(signal.SIGCONT)

    def balanced():
        n = b.stats('a', 'z')
        lost = sum(v for x in n.values() for v in drops(x).values())
        got = n['a']['ports'][3]['rx_frames'], n['z']['ports'][3]['tx_frames'] + lost
        return got[0] == COUNT and got[0] == got[1]
    wait_for('the cable moves on and its books balance', 20, balanced, 0.1)
    b.check(True, f'{what}: the cable moves on: sent {outs(b)[3]} of {COUNT}')
    far.kill()
    b.down(['a', 'z'])
    b.equal([a.stop(), z.stop()], [0, 0], f'{what}: NICs end with status')


def shares(b, mode, sizes):
    """a and b overload z's port, from which the cable takes DRAIN_RATE frames a second."""
    cable = f'memif:{b.path("slow")}'
    sink = '02:00:00:00:00:01'  # the cable says hello from it, or all would be flooded
    macs = ['02:aa:00:00:00:01', '02:aa:00:00:00:02']
    nics = [b.nic(n, f'gen:{n},src={macs[k]},dst={sink},size={sizes[k]},rate={OVERLOAD}') for k, n in enumerate(('a', 'b'))]
    nics.append(b.nic('z', cable))
    far = b.start('drain', [CABLE, 'drain', DRAIN_RATE, DRAIN_MS, cable + ',role=server', 'hello'])
    b.up(['a', 'b', 'z'], '--mode', mode, '--bridge', '--slots', '1024')
    far.expect('ready')
    status = far.wait(30)
    b.equal(status, 0, f'{mode}: cable ends with status')
    got = json.loads(far.out.splitlines()[-1])
    n = [got['sources'].get(m, 0) for m in macs]
    off = abs(n[0] - n[1]) / max(sum(n), 1)
    b.check(sum(n) > DRAIN_RATE * DRAIN_MS / 1000 / 4 and off <= 0.025,
            f'{mode}: frames of {sizes[0]} and {sizes[1]} bytes share a port of {sum(n) / got["seconds"]:.0f} frames/s: {n[0]} and {n[1]},'
            f' {100 * n[0] / max(sum(n), 1):.2f}% and {100 * n[1] / max(sum(n), 1):.2f}%')
    b.say(f'{mode}: drops ' + ' '.join(str(drops(s)) for s in b.stats('a', 'b', 'z').values()))
    b.equal([p.stop() for p in nics], [0, 0, 0], f'{mode}: NICs end with status')


CASES = {'wr': ('wr', ()), 'rd': ('rd', ()), 'off': ('wr', ('--backpressure', 'off'))}


def main(b):
    if one_each(b, 60, CASES, lambda b, c: standing(b, *CASES[c])):
        for mode in ('wr', 'rd'):
            shares(b, mode, (64, 64))


run(main)
