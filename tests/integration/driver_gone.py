#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The driver is stopped, killed, and a new one adopts the NICs: forwarding does not notice."""
import signal
import time

from lib import WAYS, cpu_ns, drops, first_difference, numbered_frames, one_each, pcap_read, pcap_write, run, wait_for

RATE, COUNT = 20000, 120000
FILE_RATE, FILE_COUNT = 4000, 24000


def sent(b):
    """Frames delivered by both of z's ports."""
    return [p['tx_frames'] for p in b.stats('z')['z']['ports']]


def moves(b, what, seconds):
    """Both pairs go on forwarding; the rates, for the log."""
    before, t = sent(b), time.monotonic()
    time.sleep(seconds)
    after, t = sent(b), time.monotonic() - t
    rates = [(y - x) / t for x, y in zip(before, after)]
    b.check(all(r > 0 for r in rates), f'{what}: {rates[0]:.0f} and {rates[1]:.0f} frames/s out')


def one_way(b, way):
    want = numbered_frames(FILE_COUNT, 600, 1)
    pcap_write(b.path('in.pcap'), want)
    out = b.path(f'{way}.pcap')
    a = b.nic('a', f'gen:source,rate={RATE},count={COUNT},size=mix', f'pcap:{b.path("in.pcap")},rate={FILE_RATE}')
    z = b.nic('z', 'gen:sink,tx=off', f'pcap:,{out}')
    up = b.up_stay(['a', 'z'], *WAYS[way])
    wait_for('traffic', 10, lambda: min(sent(b)) > 100)
    moves(b, f'{way}: with its driver', 0.5)
    t = cpu_ns(up.pid)
    time.sleep(1)
    b.say(f'{way}: driver that watches: {(cpu_ns(up.pid) - t) / 1e7:.3f}% of a core')
    up.send(signal.SIGSTOP)
    time.sleep(0.1)
    t = cpu_ns(up.pid)
    moves(b, f'{way}: driver stopped', 1)
    b.equal(cpu_ns(up.pid) - t, 0, f'{way}: CPU time of the stopped driver, ns')
    up.kill()
    moves(b, f'{way}: driver killed', 1)
    for k in range(3):
        told = b.up(['a', 'z'], *(WAYS[way] if k else ()))
        b.equal((told['mode'], told['introduced'], told['adopted']), ('wr' if way == 'cut' else way, 0, 2), f'{way}: a new driver')
    moves(b, f'{way}: adopted', 0.3)
    stay = b.up_stay(['a', 'z'])
    moves(b, f'{way}: adopted once more', 0.3)
    stay.kill()
    wait_for('all frames are out', 20, lambda: sent(b) == [COUNT, FILE_COUNT], 0.1)
    nics = b.stats('a', 'z')
    if way == 'cut':
        b.equal((nics['a']['events']['cut_frames'], nics['a']['events']['p2p_bytes']), (COUNT + FILE_COUNT, 0),
                f'{way}: frames received in place, bytes moved')
        b.equal([p['placement'] for n in nics.values() for p in n['ports']], ['cut'] * 4, f'{way}: placement')
    b.equal([p['rx_frames'] for p in nics['a']['ports']], [COUNT, FILE_COUNT], f'{way}: frames accepted')
    b.equal(sent(b), [COUNT, FILE_COUNT], f'{way}: frames delivered')
    b.equal([drops(n) for n in nics.values()], [{}, {}], f'{way}: drops')
    b.equal([n['events']['peer_down'] for n in nics.values()], [0, 0], f'{way}: peers that went down')
    b.down(['a', 'z'])
    b.equal([a.stop(), z.stop()], [0, 0], f'{way}: NICs end with status')
    wrong = first_difference(pcap_read(out), want)
    b.check(not wrong, f'{way}: capture: ' + (wrong or 'byte-identical and in order'))


def main(b):
    one_each(b, 80, ('wr', 'rd', 'cut'), one_way)


run(main)
