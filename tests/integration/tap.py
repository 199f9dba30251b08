#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Three processes: two NICs with TAP ports in network namespaces, a driver that exits; ping and iperf3 run through."""
import re
import time

from lib import MODES, drops, need_root, need_tool, port_sum, run, wait_for

A, B = '198.51.100.1', '198.51.100.2'
A6, B6 = 'fd00:70:32::1', 'fd00:70:32::2'
SECONDS = '1'


def address(b, ns, dev, v4, v6):
    b.must(ns.cmd('ip', 'addr', 'add', v4 + '/24', 'dev', dev))
    b.must(ns.cmd('ip', '-6', 'addr', 'add', v6 + '/64', 'dev', dev, 'nodad'))
    b.must(ns.cmd('ip', 'link', 'set', dev, 'up'))


def ping(b, mode, ns, to, count, size):
    r = b.call(ns.cmd('ping', '-n', '-q', '-c', str(count), '-i', '0.01', '-s', str(size), '-W', '2', to), 20)
    lines = [s for s in r.out.splitlines() if 'packets transmitted' in s or 'rtt' in s]
    m = re.search(r'(\d+) packets transmitted, (\d+) received', r.out)
    b.check(r.status == 0 and m and m.group(1) == m.group(2) == str(count),
            f'{mode} ping {to}, {size} bytes: ' + ('; '.join(lines) or (r.out + r.err).strip()))


def iperf(b, mode, ns, what, *args):
    for _ in range(50):
        r = b.call(ns.cmd('iperf3', '-c', B, '-t', SECONDS, '-J', *args), 30)
        if 'busy' not in r.json.get('error', ''):
            break
        time.sleep(0.1)  # the server has not got over the last one
    end = r.json.get('end', {})
    if not b.check(r.status == 0 and 'error' not in r.json, f'{mode} iperf3 {what}: status {r.status} {r.json.get("error", "")}'):
        return
    if 'sum_received' in end and '-u' not in args:
        got = end['sum_received']
        b.check(got['bytes'] > 0, f'{mode} iperf3 {what}: {got["bits_per_second"] / 1e6:.0f} Mb/s received,'
                f' {end["sum_sent"].get("retransmits", 0)} retransmits')
    else:
        got = end['sum']
        b.check(got['packets'] > 0, f'{mode} iperf3 {what}: {got["bits_per_second"] / 1e6:.0f} Mb/s, {got["packets"]} datagrams,'
                f' {got["lost_packets"]} lost ({got["lost_percent"]:.3f}%), jitter {got["jitter_ms"] * 1e3:.0f} us')


def traffic(b, mode, left, right):
    ping(b, mode, left, B, 100, 56)
    ping(b, mode, right, A, 100, 1472)
    ping(b, mode, left, B6, 50, 1200)
    server = b.start('iperf3', right.cmd('iperf3', '-s', '--forceflush'))
    server.expect('listening')
    iperf(b, mode, left, 'TCP there')
    iperf(b, mode, left, 'TCP back', '-R')
    iperf(b, mode, left, 'UDP there', '-u', '-b', '100M', '-l', '1400')
    iperf(b, mode, left, 'UDP back', '-u', '-b', '100M', '-l', '1400', '-R')
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
