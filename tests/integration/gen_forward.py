#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""`p2pnic gen` around forwarders at a modest rate: every byte of every frame comes back, in order, in each role.

The forwarders: p2pnic in each mode and with cut-through placement, DPDK's testpmd (io, mac; plain, zero-copy).
"""
import json
import os
import shutil
import time

from lib import MODES, P2PNIC, Failed, run, wait_for

SIZES = '64,65,128,512,1518'
RATE = 30000  # per second and direction
COUNT = 4000  # frames per size and direction
HARM = ('lost', 'corrupted', 'reordered', 'duplicated', 'foreign', 'stale')


def gen(b, sock, *args, role='server'):
    ports = [a for s in sock for a in ('--port', f'memif:{s},role={role}')]
    return b.start('gen', [P2PNIC, 'gen', *ports, '--json', '--rate', RATE, '--count', COUNT, '--warmup', '0.05', *args])


def judge(b, p, what, sizes, checked, both=True):
    p.wait(60)
    try:
        rows = json.loads(p.out)['rows']
    except ValueError:
        raise Failed(f'{what}: {p.err.strip()[-300:]}') from None
    b.equal([r['frame_bytes'] for r in rows], [int(s) for s in sizes.split(',')], f'{what}: sizes')
    due = COUNT * (2 if both else 1)
    for r in rows:
        harm = {k: r[k] for k in HARM if r[k]}
        late, p50 = r['refused'] + r['behind'], r.get('latency', {}).get('p50_ns', 0)  # none if nothing came back
        b.check(not harm and r['sent'] + late == due and r['received'] == r['sent'] > 0 and not r['link_lost'] and
                (not checked or r['checked'] == r['sent']) and p50 > 0,
                f'{what}, {r["frame_bytes"]} bytes: {r["sent"]} sent, {late} not in time, {r["received"]} back, {harm or "unharmed"}, '
                f'p50 {p50 / 1e3:.0f} us, waited {r["wait_ns"] / 1e6:.1f} ms')
    b.equal(p.popen.returncode, 0, f'{what}: gen ends with status')


def with_p2pnic(b, role, *args):
    """role: gen's."""
    other = {'server': 'client', 'client': 'server'}[role]
    sock = [b.path(f'p{len(b.procs)}{k}') for k in 'lr']
    nic = b.run(*args, *(a for s in sock for a in ('--port', f'memif:{s},role={other}')))
    name = ' '.join(args) + f', gen {role}'
    # Gear check in both directions, bench in one.
    judge(b, gen(b, sock, '--gear', 'check', '--frames', SIZES, '--both', '--flows', '5', role=role), f'{name}, check', SIZES, True)
    judge(b, gen(b, sock, '--frames', '64,1518', '--latency', role=role), f'{name}, bench', '64,1518', False, both=False)
    b.equal(nic.stop(), 0, f'{name}: p2pnic ends with status')


def with_testpmd(b, mode, zero_copy):
    what = f'testpmd {mode}' + (' zero-copy' if zero_copy else '')
    sock = [b.path(f'd{len(b.procs)}{k}') for k in 'lr']
    routed = ('--routed',) if mode == 'mac' else ()
    p = gen(b, sock, '--gear', 'check', '--frames', SIZES, '--both', '--flows', '5', *routed)
    wait_for('sockets', 10, lambda: all(map(os.path.exists, sock)))
    r, w = os.pipe()
    os.set_inheritable(r, True)
    vdevs = [f'--vdev=net_memif{i},role=client,id=0,socket={s},socket-abstract=no,zero-copy={"yes" if zero_copy else "no"}'
             for i, s in enumerate(sock)]
    pmd = b.start('testpmd', ['dpdk-testpmd', '-l', '0,1', '--no-huge', '-m', '256', '--no-pci', '--no-shconf', '--no-telemetry',
                              '--single-file-segments', f'--file-prefix=p2pt{os.getpid()}t{len(b.procs)}', *vdevs, '--',
                              '--auto-start', '--no-flush-rx', f'--forward-mode={mode}', '--total-num-mbufs=16384'], stdin=r)
    os.close(r)
    judge(b, p, what, SIZES, True)
    pmd.kill()
    os.close(w)


def interrupted(b):
    """A signal ends a run, which is reported as far as it went."""
    sock = [b.path(f'i{k}') for k in 'lr']
    nic = b.run(*(a for s in sock for a in ('--port', f'memif:{s},role=client')))
    p = b.start('gen', [P2PNIC, 'gen', '--port', f'memif:{sock[0]}', '--port', f'memif:{sock[1]}', '--rate', '1000', '--seconds', '60'])
    p.expect('bytes', 10)
    time.sleep(1)
    b.equal(p.stop(seconds=5), 0, 'interrupted: gen ends with status')
    b.check(len(p.out.splitlines()) == 2, 'interrupted: one row')
    # The forwarder goes away: an error, and an end.
    p = b.start('gen', [P2PNIC, 'gen', '--port', f'memif:{sock[0]}', '--port', f'memif:{sock[1]}', '--rate', '1000', '--seconds', '60'])
    p.expect('bytes', 10)
    time.sleep(1)
    nic.kill()
    b.equal(p.wait(10), 1, 'forwarder killed: gen ends with status')
    b.check('link went down' in p.err, f'forwarder killed: {p.err.strip()}')


def main(b):
    for mode in MODES:
        with_p2pnic(b, 'server', '--mode', mode)
    with_p2pnic(b, 'client', '--mode', 'wr')
    with_p2pnic(b, 'server', '--placement', 'cut')
    interrupted(b)
    if not shutil.which('dpdk-testpmd'):
        b.say('no dpdk-testpmd: without it')
        return
    with_testpmd(b, 'io', False)
    with_testpmd(b, 'mac', False)
    with_testpmd(b, 'io', True)
    with_testpmd(b, 'mac', True)


run(main)
