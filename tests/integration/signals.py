#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""SIGINT and SIGTERM end run, nic and up cleanly: the final table, exit status 0, nothing left behind."""
import json
import os
import signal

from lib import P2PNIC, pcap_read, run, wait_for


def traffic_seen(b, name):
    def some():
        r = b.call([P2PNIC, 'show', 'stats', '--json', '--socket', b.path(name + '.ctl')])
        return r.status == 0 and sum(p['tx_frames'] for n in r.json['nics'] for p in n['ports']) > 100
    wait_for(f'{name}: traffic', 15, some)


def forwarding(b, sig, mode):
    name = f'run-{mode}-{sig.name}'
    out = b.path(name + '.pcap')
    p = b.start(name, [P2PNIC, 'run', '--mode', mode, '--ctl', b.path(name + '.ctl'), '--port', 'gen:source,rate=20000',
                       '--port', f'pcap:,{out}'])
    traffic_seen(b, name)
    b.equal(p.stop(sig), 0, f'{name}: exit status')
    words = p.out.split()
    b.check('frames in' in p.out and 'nic0' in words and 'nic1' in words, f'{name}: final table: {p.out.strip().splitlines()[-1:]}')
    sent = int(p.out.rsplit(' s: ', 1)[1].split()[0]) if ' s: ' in p.out else -1
    b.equal(len(pcap_read(out)), sent, f'{name}: frames in the capture')
    b.check(not os.path.exists(b.path(name + '.ctl')), f'{name}: control socket is gone')


def as_json(b):
    p = b.run('--port', 'gen:source,rate=20000', '--port', 'gen:sink,tx=off')
    traffic_seen(b, 'run')
    b.equal(p.stop(signal.SIGINT), 0, 'run --json, SIGINT: exit status')
    o = json.loads(p.out)
    b.equal(o['nics'][1]['ports'][0]['tx_frames'], o['nics'][0]['ports'][0]['rx_frames'], 'run --json: what came in went out')
    b.equal([g['lost'] for g in o['generators']], [0, 0], 'run --json: lost')


def measuring(b):
    p = b.start('measure', [P2PNIC, 'run', '--json', '--seconds', '100', '--ctl', b.path('measure.ctl')])
    traffic_seen(b, 'measure')
    b.equal(p.stop(signal.SIGINT), 0, 'measurement, SIGINT: exit status')
    b.check('results' in json.loads(p.out), 'measurement: JSON is whole')


def processes(b):
    nics = [b.nic('a', 'gen:source,rate=20000'), b.nic('z', 'gen:sink,tx=off')]
    up = b.up_stay(['a', 'z'], '--mode', 'wr')
    wait_for('traffic', 10, lambda: b.stats('z')['z']['ports'][0]['tx_frames'] > 100)
    b.equal(up.stop(signal.SIGINT), 0, 'up --monitor, SIGINT: exit status')
    seen = b.stats('z')['z']['ports'][0]['tx_frames']
    wait_for('traffic goes on without its driver', 5, lambda: b.stats('z')['z']['ports'][0]['tx_frames'] > seen + 100)
    b.equal([nics[0].stop(signal.SIGTERM), nics[1].stop(signal.SIGINT)], [0, 0], 'nics: exit status')
    b.equal([n for n in os.listdir(b.dir) if n.endswith(('.sock', '.ctl'))], [], 'sockets left')
    b.check(not nics[0].err.count('p2pnic nic:') and not nics[1].err.count('p2pnic nic:'), 'nics: nothing to complain about')


def main(b):
    forwarding(b, signal.SIGTERM, 'wr')
    forwarding(b, signal.SIGINT, 'rd')
    forwarding(b, signal.SIGINT, 'bn')
    as_json(b)
    measuring(b)
    processes(b)


run(main)
