#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""isolate.py: what NIC processes have given up while they forward, that nobody finds their memory by a name, and whom they let in."""
import errno
import fcntl
import os
import re
import socket
import struct
import sys

from lib import MEMIF_LOOP, P2PNIC, need_root, pcap_write, refused, run, wait_for

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
            if path == '/[aio] (deleted)':
                continue # the kernel's, of our context for bells: nobody else can have it
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
kind, path, uid, gid = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
os.setgroups([int(g) for g in sys.argv[6:]]); os.setgid(gid); os.setuid(uid)
s = socket.socket(socket.AF_UNIX, kind)
s.settimeout(10)
try:
    s.connect(chr(0) + path[1:] if path.startswith('@') else path)
    s.send(bytes.fromhex(sys.argv[5]))
    answer = s.recv(4096)
except TimeoutError:
    print('no answer')
except OSError as e: # EPIPE and ECONNRESET: let in, and shut out again
    print('refused', e.errno)
else:
    # the server's first word is HELLO of memif, type 2; a disconnect (9), or the end, is a refusal
    print('served' if answer and not (kind == socket.SOCK_SEQPACKET and answer[:2] != bytes([2, 0])) else 'turned away')
"""

STREAM, PACKETS = int(socket.SOCK_STREAM), int(socket.SOCK_SEQPACKET)
STRANGER, GROUP = 65534, 54321  # a group that no file names, and whose members are made here
# Who, his group, his other groups, whether he is one of GROUP's.
PEOPLE = (('a member', GROUP, (), True), ('a member by a supplementary group', STRANGER, (7, GROUP), True), ('a stranger', STRANGER, (), False))


def shut_out(got):
    """Let in by the socket's mode, and closed at once."""
    return got in ('turned away', f'refused {errno.EPIPE}', f'refused {errno.ECONNRESET}')


def vfio_user_version():
    caps = b'{"capabilities":{}}\0'
    return struct.pack('<HHIII HH', 1, 1, 16 + 4 + len(caps), 0, 0, 0, 1) + caps


QUESTION = {'vfio-user': (STREAM, vfio_user_version()), 'ctl': (STREAM, b'{"get":"info"}\n'), 'memif': (PACKETS, b'x'),
            'router': (STREAM, b'counts\n')}


def attempt(b, kind, path, gid=STRANGER, more=(), uid=STRANGER):
    """What becomes of a process of this user and these groups that asks at the socket."""
    how, first = QUESTION[kind]
    return b.must([sys.executable, '-c', TRY, how, path, uid, gid, first.hex(), *more]).out.strip()


def mode_of(path):
    st = os.stat(path)
    return oct(st.st_mode & 0o7777), st.st_gid


def turned_away(b, name):
    """The two counters of those who may not: the vfio-user socket's, and the memif ports'."""
    n = b.stats(name)[name]
    return n['vfio_user']['refused'], sum(p['peer_refused'] for p in n['ports'])


def strangers(b):
    """Another user reaches no socket; with a mode that lets him, he is turned away when he has connected."""
    name = '@' + b.path('abstract')[1:]
    p = b.nic('e', 'memif:' + b.path('e.memif') + ',role=server', f'memif:{name},role=server')
    b.up(('e', ), '--bridge')
    os.chmod(b.dir, 0o755)
    paths = {b.sock('e'): 'vfio-user', b.sock('e') + '.ctl': 'ctl', b.path('e.memif'): 'memif'}
    for path, kind in paths.items():
        b.equal(mode_of(path), ('0o600', os.getegid()), f'mode of {os.path.basename(path)}')
        b.equal(attempt(b, kind, path), f'refused {errno.EACCES}', f'user 65534 at {os.path.basename(path)}')
        b.equal(attempt(b, kind, path, uid=0, gid=0), 'served', f'root at {os.path.basename(path)}')
        os.chmod(path, 0o666)
        got = attempt(b, kind, path)
        b.check(shut_out(got), f'the same with mode 0666: {got}')
    got = attempt(b, 'memif', name)
    b.check(shut_out(got), f'user 65534 at an abstract memif socket: {got}')
    wait_for('all are counted', 10, lambda: turned_away(b, 'e') == (1, 2 + 1))  # root at the memif socket said no INIT
    n = b.stats('e')['e']
    b.check(n['state'] == 'running', f'the NIC goes on: {n["state"]}')
    b.equal(p.stop(), 0, 'status at the end')


def members(b):
    """--group: each kind of socket lets the group's members in, by whichever of their groups, and nobody else."""
    os.chmod(b.dir, 0o755)
    ns = b.netns('members')
    name, other = '@' + b.path('group')[1:], GROUP + 1
    p = b.nic('g', 'memif:' + b.path('g.memif') + ',role=server', f'memif:{name},role=server',
              'memif:' + b.path('own.memif') + f',role=server,group={other}', args=('--group', str(GROUP)))
    b.up(('g', ), '--bridge')
    run_ctl, router = b.path('r.ctl'), b.path('router.sock')
    r = b.start('r', ns.cmd(P2PNIC, 'run', '--route', '--port', 'null:', '--port', 'null:', '--ctl', run_ctl, '--router-socket', router,
                            '--group', str(GROUP)))
    wait_for('its devices', 10, lambda: b.call(ns.cmd('ip', 'link', 'show', 'nic1p0')).status == 0)
    sockets = ((b.sock('g'), 'vfio-user'), (b.sock('g') + '.ctl', 'ctl'), (b.path('g.memif'), 'memif'), (name, 'memif'), (run_ctl, 'ctl'),
               (router, 'router'))
    for path, kind in sockets:
        short = os.path.basename(path)
        if path != name:
            b.equal(mode_of(path), ('0o660', GROUP), f'mode of {short}')
        for who, gid, more, may in PEOPLE:
            before = turned_away(b, 'g')
            got = attempt(b, kind, path, gid, more)
            if may:
                b.equal(got, 'served', f'{who} at {short}')
            elif path != name:
                b.equal(got, f'refused {errno.EACCES}', f'{who} at {short}')
            else:  # no mode keeps him away
                b.check(shut_out(got), f'{who} at {short}: {got}')
                wait_for('he is counted', 10, lambda: turned_away(b, 'g')[1] > before[1])
    # A mode that lets everybody come as far as connect(): it is the credentials then.
    for path, kind in sockets:
        if path == name:
            continue
        os.chmod(path, 0o666)
        before = turned_away(b, 'g')
        got = attempt(b, kind, path)
        b.check(shut_out(got), f'a stranger at {os.path.basename(path)}, mode 0666: {got}')
        if path == b.sock('g'):
            wait_for('he is counted in vfio_user', 10, lambda: turned_away(b, 'g')[0] == before[0] + 1)
        if path == b.path('g.memif'):
            wait_for('he is counted in peer_refused', 10, lambda: turned_away(b, 'g')[1] > before[1])
    b.equal(mode_of(b.path('own.memif')), ('0o660', other), 'a memif port with a group of its own')
    b.equal([attempt(b, 'memif', b.path('own.memif'), g) for g in (other, GROUP)], ['served', f'refused {errno.EACCES}'], 'its member, another\'s')
    confined(b, 'a NIC with --group', p)
    b.equal([p.stop(), r.stop()], [0, 0], 'status at the end')
    left = [f for f in os.listdir(b.dir) if f.endswith(('.sock', '.ctl', '.memif', '.lock'))]
    b.equal(left, [], 'what they left')


def groups(b):
    """What --group takes, and that nothing is made where it is refused."""
    nic = ['nic', '--socket', b.sock('n'), '--port', 'memif:' + b.path('n.memif') + ',role=server', '--group']
    two = ['run', '--seconds', '0.1', '--port', 'null:', '--port', 'null:']
    refused(b, [*nic, 'no-such-group'], '--group no-such-group', 'no such group', status=2)
    refused(b, [*two, '--group', '4294967295'], 'no such group', status=2)
    refused(b, ['router', '--nic', 'vfio-user:/nonexistent', '--group', ''], '--group', status=2)
    refused(b, ['up', '--nic', 'vfio-user:/nonexistent', '--group', 'root'], 'vfio:', status=2)
    refused(b, [*two[:-1], 'memif:' + b.path('n.memif') + ',group=root'], 'role=server', status=1)
    with open(b.path('run.conf'), 'w', encoding='ascii') as f:
        f.write('port = [ "null:", "null:" ]; seconds = 0.1; group = "no-such-group";\n')
    refused(b, ['run', '-c', b.path('run.conf')], 'no-such-group', status=2)
    with open(b.path('run.conf'), 'w', encoding='ascii') as f:
        f.write(f'port = [ "null:", "null:" ]; seconds = 60; group = {GROUP};\n')
    p = b.run('-c', b.path('run.conf'))
    wait_for('its socket', 10, lambda: os.path.exists(b.path('run.ctl')))
    wait_for('its group', 10, lambda: mode_of(b.path('run.ctl')) == ('0o660', GROUP))
    b.equal(p.stop(), 0, 'a group of a configuration file: status')
    # A user may give his sockets to groups of his own alone.
    os.chmod(b.dir, 0o777)
    user = ['setpriv', '--reuid', str(STRANGER), '--regid', str(STRANGER), '--groups', str(GROUP)]
    r = b.call([*user, P2PNIC, *nic, '0'])
    b.check(r.status == 2 and r.err.count('\n') == 1 and "can't be given" in r.err and not os.path.exists(b.sock('n')) and
            not os.path.exists(b.path('n.memif')), f'a group that is not his: {r.status}: {r.err.strip()}')
    env = dict(b.env, P2PNIC_RUNTIME_DIR=b.path('his'))
    p = b.start('his', [*user, P2PNIC, 'nic', '--socket', 'n', '--port', 'null:', '--group', str(GROUP)], env=env).expect('ready at')
    b.equal([mode_of(b.path('his')), mode_of(b.path('his/n'))], [('0o710', GROUP), ('0o660', GROUP)], 'his own, in a runtime directory made for it')
    b.equal(attempt(b, 'ctl', b.path('his/n.ctl'), STRANGER - 1, (GROUP, ), STRANGER - 1), 'served', 'a member of another user')
    b.equal(attempt(b, 'ctl', b.path('his/n.ctl'), STRANGER - 1, (), STRANGER - 1), f'refused {errno.EACCES}', 'no member of another user')
    b.equal(p.stop(), 0, 'status at the end')
    os.chmod(b.dir, 0o755)


def paths(b):
    """Who listens already, what is no socket, and two that start at once."""
    p = b.nic('n', 'memif:' + b.path('n.memif') + ',role=server')
    for argv in (['nic', '--socket', b.sock('n'), '--port', 'null:'], ['run', '--ctl', b.sock('n') + '.ctl', '--port', 'null:', '--port', 'null:'],
                 ['run', '--ctl', b.path('x'), '--port', 'memif:' + b.path('n.memif') + ',role=server', '--port', 'null:'],
                 ['run', '--ctl', b.path('x'), '--route', '--router-socket', b.sock('n'), '--port', 'null:', '--port', 'null:']):
        refused(b, argv, b.dir, status=1)
    b.check(b.stats('n')['n']['state'], 'who listened goes on')
    b.equal(p.stop(), 0, 'status at the end')
    for name in ('plain', 'plain.ctl'):
        with open(b.path(name), 'w', encoding='ascii') as f:
            f.write('mine')
    for argv in (['nic', '--socket', b.path('plain'), '--port', 'null:'], ['run', '--ctl', b.path('plain'), '--port', 'null:', '--port', 'null:'],
                 ['run', '--ctl', b.path('x'), '--port', 'memif:' + b.path('plain') + ',role=server', '--port', 'null:'],
                 ['run', '--ctl', b.path('x'), '--route', '--router-socket', b.path('plain'), '--port', 'null:', '--port', 'null:']):
        refused(b, argv, 'is no socket', status=1)
    with open(b.path('plain'), encoding='ascii') as f:
        b.equal(f.read(), 'mine', 'a plain file stays what it is')
    for k in range(5):  # over the socket of one that was killed
        s = socket.socket(socket.AF_UNIX)
        s.bind(b.path('router.sock'))
        s.close()
        both = [b.start(f'r{k}{i}', b.netns(f'at-once-{k}{i}').cmd(
            P2PNIC, 'run', '--route', '--ctl', b.path(f'{i}.ctl'), '--router-socket', b.path('router.sock'), '--port', 'null:',
            '--port', 'null:')) for i in range(2)]
        wait_for('one gives up', 20, lambda: sum(x.alive() for x in both) < 2)
        lost, won = sorted(both, key=lambda x: x.alive())
        b.check(won.alive() and lost.wait(10) == 1 and 'another router answers' in lost.err, f'two routers at once: {lost.err.strip()[-100:]}')
        b.equal(attempt(b, 'router', b.path('router.sock'), uid=0, gid=0), 'served', 'the other one answers')
        b.equal(won.stop(), 0, 'its status')
        b.check(not os.path.exists(b.path('router.sock')), 'its socket is gone')


def off(b):
    p = b.nic('c', 'null:', args=('--sandbox', 'off'))
    s = status(p.pid)
    b.check(s['CapEff'] and not s['NoNewPrivs'] and not s['Seccomp'], f'--sandbox off: {s}')
    p.stop()
    refused(b, ['nic', '--socket', b.sock('d'), '--port', 'null:', '--sandbox', 'maybe'], '--sandbox', status=2)
    r = b.call([P2PNIC, 'run', '--seconds', '0.1', '--port', 'null:', '--port', 'null:', '--sandbox', 'on'])
    b.equal(r.status, 0, '--sandbox on')
    # What it made before: a capture has its name in the end, however that was given, beside a socket elsewhere.
    os.mkdir(b.path('captures'))
    pcap_write(b.path('in.pcap'), [b'\xff' * 60] * 10)
    for out in (b.path('captures/a'), 'out=' + b.path('captures/b')):
        r = b.call([P2PNIC, 'run', '--sandbox', 'on', '--port', 'pcap:' + b.path('in.pcap'), '--port', 'pcap:,' + out])
        b.equal((r.status, sorted(os.listdir(b.path('captures')))[-1:]), (0, [out[-1]]), f'a capture by {out[:4]}: {r.err.strip()[-60:]}')


def main(b):
    need_root('capabilities and namespaces')
    pair(b)
    xdp(b)
    strangers(b)
    members(b)
    groups(b)
    paths(b)
    off(b)


run(main)
