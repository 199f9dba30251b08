#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""tap.py [full]: two NICs with TAP ports in network namespaces, a driver that exits; ping and iperf3 run through.

full: all of it in every mode, not in wr alone.
"""
from lib import FULL, MODES, drops, need_root, need_tool, port_sum, run, wait_for
from pair import A, B, A6, B6, address, iperf, ping

def traffic(b, mode, left, right):
    count = 100 if FULL else 25
    ping(b, mode, left, B, count, 56)
    ping(b, mode, right, A, count, 1472)
    ping(b, mode, left, B6, count, 1200)
    server = b.start('iperf3', right.cmd('iperf3', '-s', '--forceflush'))
    server.expect('listening')
    iperf(b, mode, left, 'TCP there')
    iperf(b, mode, left, 'UDP back', '-u', '-b', '100M', '-l', '1400', '-R')
    if FULL or mode == 'wr':
        iperf(b, mode, left, 'TCP back', '-R')
        iperf(b, mode, left, 'UDP there', '-u', '-b', '100M', '-l', '1400')
        iperf(b, mode, left, 'UDP there, small', '-u', '-b', '10M', '-l', '64')
    server.kill()


def one_mode(b, mode):
    left, right = b.netns('left'), b.netns('right')
    nics = [b.nic('p0', f'tap:p2p0,netns={left.path}'), b.nic('p1', f'tap:p2p1,netns={right.path}')]
    if mode == 'bn':
        up = b.up_stay(['p0', 'p1'], '--mode', mode)
    else:
        up = None
        told = b.up(['p0', 'p1'], '--mode', mode)
        b.equal((told['mode'], told['introduced'], told['adopted']), (mode, 2, 0), f'{mode}: what `up` said')
    address(b, left, 'p2p0', A, A6)
    address(b, right, 'p2p1', B, B6)
    wait_for('links are up', 5, lambda: all(p['link'] for n in b.stats('p0', 'p1').values() for p in n['ports']))
    traffic(b, mode, left, right)
    def balanced():
        n = b.stats('p0', 'p1')
        return port_sum(n, 'rx_frames') == port_sum(n, 'tx_frames') + sum(v for x in n.values() for v in drops(x).values())
    wait_for('the books balance', 5, balanced)
    got = b.stats('p0', 'p1')
    books = [(n['ports'][0]['rx_frames'], n['ports'][0]['tx_frames']) for n in got.values()]
    b.check(not any(n['drops']['csum_mismatch'] + n['drops']['desc_lost'] + n['drops']['bad_desc'] for n in got.values()),
            f'{mode}: nothing damaged or lost; (rx, tx) {books}, drops {[drops(n) for n in got.values()]}')
    host = sum(n['host_bytes'] for n in got.values())
    p2p = sum(n['p2p_bytes'] for n in got.values())
    b.check((host > 0 and p2p == 0) if mode == 'bn' else (host == 0 and p2p > 0), f'{mode}: p2p {p2p} B, host {host} B')
    if up:
        b.check(up.alive(), 'bn: its host stays')
        b.equal(up.stop(), 0, 'bn: its host ends with status')
    b.equal([n.stop() for n in nics], [0, 0], f'{mode}: NICs end with status')
    r = b.call(left.cmd('ip', 'link', 'show', 'p2p0'))
    b.check(r.status != 0, f'{mode}: the device went with the port')
    left.proc.kill()
    right.proc.kill()


def main(b):
    need_root('network namespaces')
    need_tool('iperf3', 'ping', 'ip', 'unshare', 'nsenter')
    for mode in MODES:
        one_mode(b, mode)


run(main)
