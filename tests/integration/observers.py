#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""show nics|peers|ports|stats|drops|regs, as text and JSON, of a `run` and of `nic` processes under traffic."""
import json
import os
import socket

from lib import P2PNIC, run, wait_for

VIEWS = ('nics', 'peers', 'ports', 'stats', 'drops', 'regs')
STATS_KEYS = {'name', 'state', 'mode', 'p2p_bytes', 'host_bytes', 'dma_faults', 'drops', 'ports'}
PORT_KEYS = {'name', 'rx_frames', 'tx_frames', 'rx_bytes', 'tx_bytes'}


def views(b, what, sockets, names, cable):
    args = [a for s in sockets for a in ('--socket', s)]
    for view in VIEWS:
        r = b.must([P2PNIC, 'show', view, *args])
        lines = r.out.strip().splitlines()
        good = len(lines) > 1 or view == 'drops'
        if view not in ('drops',):
            good = good and all(n in r.out for n in names)
        if view in ('ports', 'stats'):
            good = good and cable in r.out
        b.check(good and not r.err, f'{what}: show {view}: {len(lines)} lines')
        o = b.must([P2PNIC, 'show', view, '--json', *args]).json
        b.equal(sorted(n['name'] for n in o['nics']), sorted(names), f'{what}: show {view} --json: NICs')
    stats = b.must([P2PNIC, 'show', 'stats', '--json', *args]).json['nics']
    b.check(all(STATS_KEYS <= set(n) and all(PORT_KEYS <= set(p) for p in n['ports']) for n in stats),
            f'{what}: stats has the keys that scripts use')
    b.check(all(n['state'] == 'running' and n['mode'] == 'rd' for n in stats), f'{what}: state and mode')
    regs = b.must([P2PNIC, 'show', 'regs', '--json', *args]).json['nics']
    b.check(all(len(n['regs']) > 20 and {'name', 'offset', 'bytes', 'value'} <= set(n['regs'][0]) for n in regs),
            f'{what}: {len(regs[0]["regs"])} registers')
    only = b.must([P2PNIC, 'show', 'stats', '--json', '--nic', names[0], *args]).json['nics']
    b.equal([n['name'] for n in only], [names[0]], f'{what}: show --nic')
    mode = [oct(os.stat(s).st_mode & 0o777) for s in sockets if s.endswith('.ctl')]
    b.check(all(m == '0o600' for m in mode), f'{what}: control socket is mode {mode}')


def rude(b, path):
    """Observers that ask nonsense, say half a line, or don't read: the others are served."""
    idle = [socket.socket(socket.AF_UNIX) for _ in range(5)]
    for s in idle:
        s.connect(path)
        s.sendall(b'{"get":')
    for ask in (b'{"get":"all"}\n', b'nonsense\n', b'[]\n', b'{"get":"regs","nic":"nobody"}\n', b'\xff\xfe\n'):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(5)
            s.connect(path)
            s.sendall(ask)
            answer = s.makefile('rb').readline()
        b.check('error' in json.loads(answer), f'{ask!r} is answered with {answer[:60]!r}...')
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(5)
        s.connect(path)
        try:
            s.sendall(b'x' * 100000 + b'\n')
            s.makefile('rb').read()
        except OSError:
            pass
    b.check(b.must([P2PNIC, 'show', 'nics', '--json', '--socket', path]).json['nics'], 'after rude observers one is served')
    for s in idle:
        s.close()


def main(b):
    p = b.run('--mode', 'rd', '--port', 'gen:source,rate=20000', '--port', 'gen:sink,tx=off')
    wait_for('traffic in run', 10, lambda: os.path.exists(b.path('run.ctl')) and
             b.call([P2PNIC, 'show', 'stats', '--json', '--socket', b.path('run.ctl')]).status == 0 and
             b.stats_run()['nic1']['ports'][0]['tx_frames'] > 100)
    views(b, 'run', [b.path('run.ctl')], ['nic0', 'nic1'], 'gen:')
    rude(b, b.path('run.ctl'))
    before = b.stats_run()['nic1']['ports'][0]['tx_frames']
    wait_for('traffic goes on', 5, lambda: b.stats_run()['nic1']['ports'][0]['tx_frames'] > before)
    b.equal(p.stop(), 0, 'run ends with status')
    gen = json.loads(p.out)['generators']
    b.equal([g['lost'] + g['corrupted'] + g['reordered'] + g['duplicated'] for g in gen], [0, 0], 'sinks: lost or harmed')

    b.nic('left', 'gen:source,rate=20000')
    b.nic('right', 'gen:sink,tx=off', 'null:')
    b.up(['left', 'right'], '--mode', 'rd', '--pair', 'left.0=right.0')
    wait_for('traffic between processes', 10, lambda: b.stats('right')['right']['ports'][0]['tx_frames'] > 100)
    views(b, 'nic', [b.sock('left'), b.sock('right')], ['left', 'right'], 'gen:')
    peers = {n['name']: n['peers'] for n in b.show('peers', 'left', 'right')['nics']}
    b.check(peers['left'][1]['state'] == 'up' and peers['right'][0]['state'] == 'up', 'peers see each other')

    os.makedirs(b.env['P2PNIC_RUNTIME_DIR'], 0o700, exist_ok=True)
    q = b.start('here', [P2PNIC, 'nic', '--socket', 'here', '--port', 'null:']).expect(' ready at ')
    dead = b.path('run/dead.ctl')
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(dead)
    b.equal([n['name'] for n in b.must([P2PNIC, 'show', 'nics', '--json']).json['nics']], ['here'],
            'show without --socket finds the runtime directory, passes over a dead socket')
    b.equal(q.stop(), 0, 'nic ends with status')
    b.equal(os.listdir(b.env['P2PNIC_RUNTIME_DIR']), ['dead.ctl'], 'its sockets are gone')
    r = b.call([P2PNIC, 'show', 'nics'])
    b.check(r.status == 1 and r.err.count('\n') == 1, f'nothing to show: status {r.status}, {r.err.strip()}')
    for argv in (['show'], ['show', 'weather'], ['show', 'stats', '--socket', b.path('no')],
                 ['show', 'stats', '--nic', 'nobody', '--socket', b.sock('left')]):
        r = b.call([P2PNIC, *argv])
        b.check(r.status in (1, 2) and r.err.count('\n') == 1 and not r.out, f'{" ".join(argv)}: status {r.status}, {r.err.strip()}')


run(main)
