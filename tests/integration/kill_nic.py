#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""kill -9 of one NIC process among four under load; the three others forward on; restarted and brought up, it rejoins.

a, b and c exchange captures over three pairs, each way.  d is paired with a; behind d's cable (memif) is a
forwarder of its own with captures, which outlives d.  All frames differ, so that what arrives tells what was lost.
"""
import time

from lib import WAYS, drops, numbered_frames, one_each, pcap_read, pcap_write, run, subsequence_faults, wait_for

RATE, COUNT = 4000, 32000
SLOTS = 256
# What a killed NIC can hold at most, each way: its rings, its memif ring and receive buffers, those of the far end.
MAX_LOST = 4 * SLOTS + 4 * 1024
PAIRS = ('a.0=b.0', 'b.1=c.0', 'c.1=a.1', 'a.2=d.0')
NAMES = ('a', 'b', 'c', 'd')


def capture_port(b, tag):
    """A port that sends COUNT numbered frames at RATE and writes what it is sent."""
    if tag not in b.frames:
        b.frames[tag] = numbered_frames(COUNT, 60 + 97 * tag, tag)
        pcap_write(b.path(f'{tag}.in'), b.frames[tag])
    return f'pcap:{b.path(f"{tag}.in")},{b.path(f"{tag}.out")},rate={RATE}'


def check_survivors(b, way):
    """What went in at one end of a pair came out at the other."""
    for one, two in ((0, 1), (2, 3), (4, 5)):
        for tag, path in ((one, f'{two}.out'), (two, f'{one}.out')):
            got = pcap_read(b.path(path))
            lost, unknown, disorder = subsequence_faults(got, b.frames[tag])
            b.check(not lost and not unknown and not disorder and len(got) == COUNT,
                    f'{way}: {PAIRS[one // 2]}, {tag}: {len(got)} of {COUNT}, lost {lost}, damaged {unknown}, twice or late {disorder}')


def check_killed(b, way, what, tag, path, named):
    got = pcap_read(b.path(path))
    lost, unknown, disorder = subsequence_faults(got, b.frames[tag])
    b.check(not unknown and not disorder, f'{way}: {what}: damaged {unknown}, twice or late {disorder}')
    while_dead = sum(named.values())
    b.check(0 <= lost - while_dead <= MAX_LOST, f'{way}: {what}: {COUNT} in, {len(got)} out, named drops {named},'
            f' lost_in_kill {lost - while_dead} (at most {MAX_LOST})')
    b.check(b.frames[tag][-1] in got[-1:], f'{way}: {what}: the last frame arrived')


# Counted where a frame leaves the mesh; all other drops are counted where it comes in.
AT_EGRESS = ('csum_mismatch', 'desc_lost', 'bad_desc', 'tx_link_down', 'stopped')


def named_drops(ingress, egress, *whole):
    """Of the frames that come in at one NIC and leave at another.  peer_lost may have been sent; all others were not."""
    total = {}

    def add(k, v):
        if v:
            total[k] = total.get(k, 0) + v
    for k, v in drops(ingress).items():
        add(k, 0 if k == 'peer_lost' or k in AT_EGRESS else v)
    for k in AT_EGRESS:
        add(k, egress['drops'][k])
    for n in whole:
        for k, v in drops(n).items():
            add(k, v)
    for n in (egress, *whole):
        for p in n['ports']:
            add('tx_lost', p['tx_lost'] + p['tx_error'])
    return total


def start_d(b):
    return b.nic('d', f'memif:{b.path("d.memif")}')


def one_way(b, way):
    far = b.nic('far', f'memif:{b.path("d.memif")},role=server', capture_port(b, 7))
    b.up(['far'], '--pair', 'far.0=far.1')
    nics = [b.nic('a', *(capture_port(b, k) for k in (0, 5, 6))), b.nic('b', *(capture_port(b, k) for k in (1, 2))),
            b.nic('c', *(capture_port(b, k) for k in (3, 4)))]
    d = start_d(b)
    args = [*WAYS[way], '--slots', str(SLOTS), '--silence', '500'] + [a for p in PAIRS for a in ('--pair', p)]
    b.up(NAMES, *args)
    wait_for('traffic through d', 10, lambda: b.stats('d')['d']['ports'][0]['tx_frames'] > 500 and
             b.stats('d')['d']['ports'][0]['rx_frames'] > 500)
    time.sleep(1)
    d.kill()
    before, t = b.stats('a', 'b', 'c'), time.monotonic()
    time.sleep(1)
    after, t = b.stats('a', 'b', 'c'), time.monotonic() - t
    rates = [(y['tx_frames'] - x['tx_frames']) / t for n in after for x, y in zip(before[n]['ports'], after[n]['ports'])]
    b.check(all(r > 0 for k, r in enumerate(rates) if k != 2), f'{way}: d dead, frames/s out of a.0 a.1 (a.2) b.0 b.1 c.0 c.1: ' +
            ' '.join(f'{r:.0f}' for r in rates))
    peers = [p['state'] for p in b.show('peers', 'a')['nics'][0]['peers']]
    b.equal(peers[3], 'down', f'{way}: d as a sees it')
    b.say(f'{way}: drops at a while d is dead: {drops(b.stats("a")["a"])}')
    d = start_d(b)
    t = time.monotonic()
    told = b.up(NAMES, *args)
    b.equal((told['introduced'], told['adopted']), (1, 3), f'{way}: introduced and adopted')
    wait_for('d forwards again', 10, lambda: b.stats('d')['d']['ports'][0]['tx_frames'] > 100 and
             b.stats('d')['d']['ports'][0]['rx_frames'] > 100)
    if way == 'cut':
        places = {f'{n}.{k}': p['placement'] for n, v in b.stats(*NAMES).items() for k, p in enumerate(v['ports'])}
        b.equal(set(places.values()), {'cut'}, f'{way}: cut on all ports, those paired with d included: {places}')
    b.say(f'{way}: d forwards both ways {time.monotonic() - t:.2f} s after `up` was started')

    def all_in():
        got = b.stats('a', 'b', 'c')
        return all(p['rx_frames'] == COUNT for n in got.values() for p in n['ports']) and \
            b.stats('far')['far']['ports'][1]['rx_frames'] == COUNT
    wait_for('all frames are in', 30, all_in, 0.2)
    time.sleep(1)
    stats, stats_far = b.stats(*NAMES), b.stats('far')['far']
    b.down(NAMES)
    b.down(['far'])
    b.equal([p.stop() for p in (*nics, d)], [0, 0, 0, 0], f'{way}: NICs end with status')
    b.equal(far.stop(), 0, f'{way}: far end ends with status')
    b.say(f'{way}: peers that went down: {({n: stats[n]["events"]["peer_down"] for n in NAMES})}')
    check_survivors(b, way)
    check_killed(b, way, 'a to d', 6, '7.out', named_drops(stats['a'], stats['d']))
    check_killed(b, way, 'd to a', 7, '6.out', named_drops(stats['d'], stats['a'], stats_far))
    b.say(f'{way}: peer_lost at a {stats["a"]["drops"]["peer_lost"]}, drops of b and c {drops(stats["b"])} {drops(stats["c"])}')


def main(b):
    b.frames = {}
    one_each(b, 110, ('wr', 'rd', 'cut'), one_way)


run(main)
