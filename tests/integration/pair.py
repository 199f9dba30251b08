# SPDX-License-Identifier: BSD-3-Clause
"""Two hosts in namespaces and what runs between them."""
import re
import time

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
