#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""NICs with several queues, each a context on a worker of its own: every flow in order, nothing lost, the books balance.

  one process   generators and sinks with as many queues, both ways at once, one pair and two
  killed        one NIC process of three with two queues is killed under load and comes back; the others lose nothing
"""
import json
import os

from lib import drops, run, wait_for

COUNT, FLOWS = 100003, 61


def cores():
    """Two workers, pinned where there are two cores to pin them to."""
    mine = sorted(os.sched_getaffinity(0))
    return ('--cores', f'{mine[0]},{mine[-1]}') if len(mine) > 1 else ()


def one_process(b, mode, queues, pairs, *args):
    names = [f'n{k}' for k in range(2 * pairs)]
    argv = ['--mode', mode, '--queues', queues, '--seconds', 60, *cores(), *args]
    for n in names:
        argv += ['--nic', n, '--port', f'gen:{n},queues={queues},flows={FLOWS},size=mix,count={COUNT}']
    for k in range(pairs):
        argv += ['--pair', f'n{2 * k}.0=n{2 * k + 1}.0']
    p = b.run(*map(str, argv))
    what = f'{mode}, {queues} queues, {2 * pairs} NICs {" ".join(args)}'.strip()
    b.equal(p.wait(80), 0, f'{what}: exit status')
    o = json.loads(p.out)
    for g in o['generators']:
        harm = {k: g[k] for k in ('lost', 'duplicated', 'reordered', 'corrupted', 'foreign')}
        b.check(g['sent'] == g['received'] == COUNT and not any(harm.values()),
                f'{what}: {g["nic"]}: {g["sent"]} sent, {g["received"]} received of {COUNT}, {harm}')
    nics = {n['name']: n for n in o['nics']}
    b.equal([drops(n) for n in nics.values()], [{}] * len(names), f'{what}: drops')
    b.equal([(n['ports'][0]['rx_frames'], n['ports'][0]['tx_frames']) for n in nics.values()], [(COUNT, COUNT)] * len(names),
            f'{what}: frames in and out of each NIC')
    b.equal(o['drained'], True, f'{what}: drained')


def start(b, name):
    return b.nic(name, *(f'gen:{name}{k},queues=2,flows={FLOWS},rate=20000' for k in range(2)), args=('--queues', '2'))


def killed(b):
    nics = {n: start(b, n) for n in 'abc'}
    pairs = ('--pair', 'a.0=b.0', '--pair', 'a.1=c.0', '--pair', 'b.1=c.1')
    b.up('abc', '--queues', '2', '--silence', '1000', *pairs)
    regs = {r['name']: r['value'] for r in b.show('regs', 'a')['nics'][0]['regs']}
    b.equal((regs['QUEUES'], regs['QUEUES_MAX']), (2, 2), 'killed: queues of a')
    wait_for('frames at c', 20, lambda: b.stats('c')['c']['ports'][0]['tx_frames'] > 1000)
    nics['c'].kill()
    wait_for('c is seen to be down', 20, lambda: b.stats('a')['a']['drops']['no_peer'] > 0)
    nics['c'] = start(b, 'c')
    b.up('abc', '--silence', '1000')
    wait_for('frames at c again', 20, lambda: all(p['tx_frames'] > 1000 for p in b.stats('c')['c']['ports']))
    before = {n: b.stats(n)[n] for n in 'ab'}
    wait_for('a and b go on', 20, lambda: all(b.stats(n)[n]['ports'][0]['tx_frames'] > before[n]['ports'][0]['tx_frames'] + 1000
                                              for n in 'ab'))
    for n in (b.stats(n)[n] for n in 'ab'):
        named = drops(n)
        b.check(named.get('no_peer') and set(named) <= {'no_peer', 'peer_lost', 'ring_full'}, f'killed: {n["name"]}: drops {named}')
    b.down('abc')
    for n, p in nics.items():
        b.equal(p.stop(), 0, f'killed: {n} ends with status')


def main(b):
    for mode in ('wr', 'rd'):
        one_process(b, mode, 2, 1)
        one_process(b, mode, 3, 2)
    one_process(b, 'wr', 2, 1, '--slots', '64', '--batch', '64', '--backpressure', 'on', '--scrub', 'on', '--poll')
    killed(b)


run(main)
