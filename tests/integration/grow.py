#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A mesh of two with room for four grows and shrinks under load; those that were there lose nothing and notice nothing.

a and b exchange captures.  c and d are added one after the other, each with a capture that comes out at another port of a or b.
c is stopped and left out, and e, with more ports, takes the place.  All are in pairs; or the bridge floods all to all.
"""
from lib import WAYS, drops, first_difference, numbered_frames, one_each, pcap_read, pcap_write, refused, run, wait_for

RATE, COUNT, FEW = 4000, 14000, 1500
WHERE = {'c': 'a.1', 'd': 'b.1', 'e': 'a.1'}  # whose capture comes out where
MODES = {**{w: WAYS[w] for w in ('wr', 'rd', 'cut')}, 'bridge': ('--bridge',)}


def source(b, tag, count, rate, out):
    b.frames[tag] = numbered_frames(count, 80 + 100 * len(b.frames) % 1000, ord(tag))
    pcap_write(b.path(f'{tag}.in'), b.frames[tag])
    return f'pcap:{b.path(f"{tag}.in")},{b.path(out)},rate={rate}'


def one_mode(b, mode):
    b.frames = {}
    procs = {n: b.nic(n, source(b, n, COUNT, RATE, n + '0.out'), f'pcap:,{b.path(n + "1.out")}') for n in 'ab'}

    def up(*names, introduced, args=()):
        pairs = [('a.0', 'b.0')] + [(f'{n}.0', WHERE[n]) for n in names[2:]] if mode != 'bridge' else []
        told = b.up(names, *MODES[mode], *[w for p in pairs for w in ('--pair', '='.join(p))], '--silence', '500', *args)
        b.equal((told['introduced'], told['adopted']), (introduced, len(names) - introduced), f'{mode}: {" ".join(names)}: introduced and adopted')
        return {n['name']: n['index'] for n in told['nics']}

    def peers(of):
        return [p['state'] for p in b.show('peers', of)['nics'][0]['peers']]

    def joins(name, *names, index, more=()):
        procs[name] = b.nic(name, source(b, name, FEW, 2 * RATE, name + '.out'), *more)
        b.equal(up(*names, introduced=1)[name], index, f'{mode}: number of {name}')
        wait_for(f'all frames of {name} are in', 10, lambda: b.stats(name)[name]['ports'][0]['rx_frames'] == FEW)

    up('a', 'b', introduced=2, args=('--max-nics', '4'))
    b.equal(peers('a'), ['up', 'up', 'absent', 'absent'], f'{mode}: whom a knows')
    joins('c', 'a', 'b', 'c', index=2)
    joins('d', 'a', 'b', 'c', 'd', index=3)
    b.equal(peers('a'), ['up'] * 4, f'{mode}: whom a knows')
    refused(b, ['up', *b.addresses('abd')], 'NIC 2 of 4', 'up and not given')
    b.equal(procs['c'].stop(), 0, f'{mode}: c ends with status')
    up('a', 'b', 'd', introduced=0)
    b.equal(peers('b'), ['up', 'up', 'absent', 'up'], f'{mode}: whom b knows')
    joins('e', 'a', 'b', 'e', 'd', index=2, more=('null:', 'null:'))
    refused(b, ['up', *b.addresses('abed'), '--max-nics', '5'], 'room for 4 NICs, not 5')
    wait_for('all frames of a and b are in', 20, lambda: all(v['ports'][0]['rx_frames'] == COUNT for v in b.stats('a', 'b').values()), 0.05)
    others = {'a': 'b', 'b': 'a'}

    def comes_out(tag, where):
        """Does what tag sends leave by this port of a or b?"""
        n, port = where.split('.')
        if mode == 'bridge':
            return n != tag or port == '1'
        return where == WHERE.get(tag, f'{others.get(tag)}.0')
    want = {w: [t for t in 'abcde' if comes_out(t, w)] for w in ('a.0', 'a.1', 'b.0', 'b.1')}
    wait_for('all is out', 20, lambda: all(
        v['ports'][p]['tx_frames'] >= sum(len(b.frames[t]) for t in want[f'{n}.{p}']) for n, v in b.stats('a', 'b').items() for p in (0, 1)), 0.05)
    stats = b.stats('a', 'b', 'e', 'd')
    # What was on its way to c when it was stopped was a copy of what others got, too.
    ok = {'peer_lost', 'no_peer', 'ring_full'} if mode == 'bridge' else set()
    b.check(not any(set(drops(v)) - ok for v in stats.values()), f'{mode}: drops {({n: drops(v) for n, v in stats.items()})}')
    b.equal([v['events']['peer_down'] for v in stats.values()], [1, 1, 0, 1], f'{mode}: peers that went down, as a, b, e, d saw it')
    b.down('abed')
    b.equal([procs[n].stop() for n in 'abed'], [0] * 4, f'{mode}: NICs end with status')
    for where, tags in want.items():
        got = pcap_read(b.path(where.replace('.', '') + '.out'))
        faults = {t: first_difference([f for f in got if f in set_of], b.frames[t] if t in tags else [])
                  for t, set_of in ((t, set(b.frames[t])) for t in 'abcde')}
        b.equal(faults, dict.fromkeys('abcde'), f'{mode}: out of {where} all of {" ".join(tags)}, in order')
        b.equal(len(got), sum(len(b.frames[t]) for t in tags), f'{mode}: frames out of {where}')


def main(b):
    if not one_each(b, 100, MODES, one_mode):
        return
    b.nic('x', 'null:')
    b.nic('y', 'null:')
    refused(b, ['up', *b.addresses('xy'), '--max-nics', '1'], 'room for 1, 2 NICs given', '--max-nics 2 to 32')
    refused(b, ['up', *b.addresses('xy'), '--max-nics', '33'], '--max-nics')
    refused(b, ['up', *b.addresses('xy'), '--mode', 'bn', '--monitor', '--max-nics', '3'], "in bn a mesh can't grow", 'leave --max-nics out')


run(main)
