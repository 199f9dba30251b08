#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""isolate.py: what NIC processes have given up while they forward, that nobody finds their memory by a name, and whom they let in."""
import errno
import fcntl
import os
import re
import socket
import sys

from lib import MEMIF_LOOP, P2PNIC, need_root, refused, run, wait_for

CAP_NET_ADMIN, CAP_NET_RAW, CAP_IPC_LOCK, CAP_SYS_ADMIN, CAP_BPF = 12, 13, 14, 21, 39
F_GET_SEALS, SEALED = 1034, 1 | 2 | 4  # no seals more, no shrinking, no growing
XDP_CAPS = sum(1 << c for c in (CAP_NET_ADMIN, CAP_NET_RAW, CAP_BPF))


def status(pid, task=None):
    """The fields of a task's /proc status that matter here."""
    out = {}
    with open(f'/proc/{pid}/task/{task or pid}/status', encoding='ascii', errors='replace') as f:
        for line in f:
            key, _, value = line.partition(':')
            if key.startswith('Cap'):
                out[key] = int(value, 16)
            elif key in ('NoNewPrivs', 'Seccomp'):
                out[key] = int(value)
    return out


def confined(b, what, proc, keep=0, maybe=0):
    """Every thread of the process: no capabilities but keep (and some of maybe), no new privileges, a filter."""
    wrong = []
    for task in os.listdir(f'/proc/{proc.pid}/task'):
        s = status(proc.pid, task)
        for name in ('CapPrm', 'CapEff'):
            if s[name] & ~maybe != keep:
                wrong.append(f'{task}: {name} {s[name]:x}')
        wrong += [f'{task}: {n} {s[n]:x}' for n in ('CapInh', 'CapAmb', 'CapBnd') if s[n]]
        if (s['NoNewPrivs'], s['Seccomp']) != (1, 2):
            wrong.append(f'{task}: NoNewPrivs {s["NoNewPrivs"]}, Seccomp {s["Seccomp"]}')
    b.check(not wrong, f'{what}: {len(os.listdir(f"/proc/{proc.pid}/task"))} threads confined' + ''.join('; ' + w for w in wrong))


def memory(b, what, proc):
    """Shared memory: memfds without a name, their size sealed."""
    shared, wrong = 0, []
    with open(f'/proc/{proc.pid}/maps', encoding='utf-8', errors='replace') as f:
        for line in f:
            part = line.split(None, 5)
            path = part[5].strip() if len(part) > 5 else ''
            if part[1][3] != 's':
                continue
            shared += 1
            if not path.startswith(('/memfd:', 'anon_inode:', 'socket:', '/anon_hugepage')) or not path.endswith((' (deleted)', ']')):
                wrong.append(f'mapped {path}')
    fds = 0
    for fd in os.listdir(f'/proc/{proc.pid}/fd'):
        at = f'/proc/{proc.pid}/fd/{fd}'
        try:
            path = os.readlink(at)
        except OSError:
            continue
        if path.startswith('/dev/shm') or re.match(r'/run/shm|/dev/hugepages', path):
            wrong.append(f'descriptor {fd} {path}')
        if not path.startswith('/memfd:'):
            continue
        fds += 1
        h = os.open(at, os.O_RDONLY)
        seals = fcntl.fcntl(h, F_GET_SEALS)
        os.close(h)
        if seals & SEALED != SEALED:
            wrong.append(f'{path}: seals {seals:x}')
    b.check(shared and fds and not wrong, f'{what}: {shared} shared mappings, {fds} memfds, all sealed and without a name' +
            ''.join('; ' + w for w in wrong))


def pair(b):
    """tap - a = b - memif, with traffic both ways, and what the processes look like meanwhile."""
    shm = set(os.listdir('/dev/shm')) if os.path.isdir('/dev/shm') else set()
    ns = b.netns('far')
    a = b.nic('a', f'tap:isol0,netns={ns.path}')
    c = b.nic('b', 'memif:' + b.path('b.memif') + ',role=server')
    b.up(('a', 'b'))
    far = [MEMIF_LOOP, 'echo', '1000000000', '64', '128', 'memif:' + b.path('b.memif') + ',role=client']
    loop = b.start('loop', far)
    wait_for('the memif link is up', 10, lambda: b.stats('b')['b']['ports'][0]['link'])
    b.must(ns.cmd('ip', 'addr', 'add', '198.51.100.1/24', 'dev', 'isol0'))
    b.must(ns.cmd('ip', 'neigh', 'add', '198.51.100.2', 'lladdr', '02:00:00:00:00:02', 'dev', 'isol0'))
    b.call(ns.cmd('ping', '-q', '-f', '-c', '300', '-W', '1', '198.51.100.2'))
    n = b.stats('a', 'b')
    b.check(n['b']['ports'][0]['tx_frames'] >= 300, f'under load: {n["b"]["ports"][0]["tx_frames"]} frames sent to the memif cable')
    for name, proc in (('a', a), ('b', c)):
        confined(b, f'NIC {name} under load', proc)
        memory(b, f'NIC {name}', proc)
    new = (set(os.listdir('/dev/shm')) if os.path.isdir('/dev/shm') else set()) - shm
    b.check(not [f for f in new if 'p2p' in f], f'nothing of ours in /dev/shm: {sorted(new)}')
    # A cable that goes away and comes back, a NIC that is brought down and up: all of it confined.
    loop.kill()
    wait_for('the memif link is down', 10, lambda: not b.stats('b')['b']['ports'][0]['link'])
    b.start('loop', far)
    wait_for('the memif link is up again', 10, lambda: b.stats('b')['b']['ports'][0]['link'])
    b.down(('a', 'b'))
    b.up(('a', 'b'), '--mode', 'rd')
    confined(b, 'after all that', c)
    b.equal([a.stop(), c.stop()], [0, 0], 'status at the end')
    b.check(not os.path.exists(b.sock('a')) and not os.path.exists(b.path('b.memif')), 'their sockets are removed')


def xdp(b):
    ns = b.netns('xdp')
    if b.call(ns.cmd('ip', 'link', 'add', 'v0', 'type', 'veth', 'peer', 'name', 'v1')).status:
        b.say('no veth here')
        return
    for dev in ('v0', 'v1'):
        b.must(ns.cmd('ip', 'link', 'set', dev, 'up'))
    spec = f'xdp:v0,netns={ns.path}'
    if b.call([P2PNIC, 'run', '--sandbox', 'off', '--seconds', '0.1', '--port', spec, '--port', 'null:']).status:
        b.say('no AF_XDP here')
        return
    p = b.run('--port', spec, '--port', 'null:')
    wait_for('it forwards', 10, lambda: os.path.exists(b.path('run.ctl')) and b.stats_run()['nic0']['ports'][0]['link'])
    confined(b, 'xdp in a namespace', p, XDP_CAPS | 1 << CAP_SYS_ADMIN, 1 << CAP_IPC_LOCK)
    b.equal(p.stop(), 0, 'status at the end')


TRY = """
import os, socket, sys
os.setgroups([]); os.setgid(65534); os.setuid(65534)
kind, path = int(sys.argv[1]), sys.argv[2]
s = socket.socket(socket.AF_UNIX, kind)
s.settimeout(3)
try:
    s.connect(chr(0) + path[1:] if path.startswith('@') else path)
    hello = s.recv(128)
except TimeoutError:
    print('waited for') # it is the client that says the first word
except OSError as e:
    print('refused', e.errno)
else:
    # HELLO of memif is type 2; a disconnect or the end is a refusal
    print('served' if hello[:2] == bytes([2, 0]) else 'refused')
"""


def strangers(b):
    """Another user reaches no socket; with a mode that lets him, he is turned away when he has connected."""
    name = '@' + b.path('abstract')[1:]
    p = b.nic('e', 'memif:' + b.path('e.memif') + ',role=server', f'memif:{name},role=server')
    b.up(('e', ), '--bridge')
    os.chmod(b.dir, 0o755)
    paths = {b.sock('e'): socket.SOCK_STREAM, b.sock('e') + '.ctl': socket.SOCK_STREAM, b.path('e.memif'): socket.SOCK_SEQPACKET}

    def attempt(path, kind):
        return b.call([sys.executable, '-c', TRY, int(kind), path]).out.strip()
    for path, kind in paths.items():
        b.equal(oct(os.stat(path).st_mode & 0o777), '0o600', f'mode of {os.path.basename(path)}')
        b.equal(attempt(path, kind), f'refused {errno.EACCES}', f'user 65534 at {os.path.basename(path)}')
        os.chmod(path, 0o666)
        got = attempt(path, kind)
        b.check(got.startswith('refused'), f'the same with mode 0666: {got}')
    got = attempt(name, socket.SOCK_SEQPACKET)
    b.check(got.startswith('refused'), f'user 65534 at an abstract memif socket: {got}')
    n = b.stats('e')['e']
    b.check(n['state'] == 'running', f'the NIC goes on: {n["state"]}')
    b.equal(p.stop(), 0, 'status at the end')


def off(b):
    p = b.nic('c', 'null:', args=('--sandbox', 'off'))
    s = status(p.pid)
    b.check(s['CapEff'] and not s['NoNewPrivs'] and not s['Seccomp'], f'--sandbox off: {s}')
    p.stop()
    refused(b, ['nic', '--socket', b.sock('d'), '--port', 'null:', '--sandbox', 'maybe'], '--sandbox', status=2)
    r = b.call([P2PNIC, 'run', '--seconds', '0.1', '--port', 'null:', '--port', 'null:', '--sandbox', 'on'])
    b.equal(r.status, 0, '--sandbox on')


def main(b):
    need_root('capabilities and namespaces')
    pair(b)
    xdp(b)
    strangers(b)
    off(b)


run(main)
