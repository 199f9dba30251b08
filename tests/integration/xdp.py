#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""xdp.py [full]: network interfaces (veth) by AF_XDP: traffic between two namespaces, and what happens to the interfaces.

Each mode with one of the two hooks; full: with both.
"""
import os
import re
import signal
import time

from lib import BUILD, FULL, P2PNIC, descriptors, drops, need_root, need_tool, port_sum, refused, run, skip, wait_for
from pair import A, B, A6, B6, address, iperf, ping

LEFT, RIGHT, MID = 'left', 'right', 'mid'
FOREIGN = os.path.join(BUILD, 'tests', 'integration', 'foreign_xdp')


class Wires:
    """left:l0 - v0:mid and mid:v1 - r0:right."""

    def __init__(self, b, queues=1):
        self.b, self.queues = b, queues
        self.left, self.right, self.mid = (b.netns(n) for n in (LEFT, RIGHT, MID))
        for ns, far, near in ((self.left, 'l0', 'v0'), (self.right, 'r0', 'v1')):
            self.wire(ns, far, near)
        address(b, self.left, 'l0', A, A6)
        address(b, self.right, 'r0', B, B6)

    def wire(self, ns, far, near):
        b, n = self.b, self.queues
        q = ('numtxqueues', n, 'numrxqueues', n)
        r = b.call(self.mid.cmd('ip', 'link', 'add', near, *q, 'type', 'veth', 'peer', 'name', far, *q, 'netns', ns.proc.pid))
        if r.status:
            skip('no veth: ' + r.err.strip())
        # What the kernel leaves unsummed for the device to sum would arrive unsummed.
        b.must(ns.cmd('ethtool', '-K', far, 'tx', 'off'))
        b.must(self.mid.cmd('ip', 'link', 'set', near, 'up'))

    def spec(self, dev, *options):
        return ','.join((f'xdp:{dev}', f'netns={self.mid.path}', *options))

    def programs(self):
        """What `ip link` says of XDP, by interface."""
        out = {}
        for line in self.b.must(self.mid.cmd('ip', '-o', 'link')).out.splitlines():
            words = line.replace('\\', ' ').split()
            out[words[1].rstrip(':').split('@')[0]] = next((w for w in words if w in ('xdp', 'xdpgeneric')), '')
        return out

    def end(self):
        for ns in (self.left, self.right, self.mid):
            ns.proc.kill()


def need_af_xdp(b):
    """Skips where the kernel lets nobody have an AF_XDP port, whoever is to blame."""
    w = Wires(b)
    r = b.call([P2PNIC, 'run', '--seconds', '0.1', '--port', w.spec('v0'), '--port', w.spec('v1')])
    w.end()
    if r.status and any(s in r.err for s in ('no right', 'no BPF map', 'no CONFIG', 'cannot pin', 'cannot enter')):
        skip('no AF_XDP here: ' + r.err.strip().splitlines()[-1])


def links_up(b, *names):
    wait_for('links are up', 5, lambda: all(p['link'] for n in b.stats(*names).values() for p in n['ports']))


def traffic(b, what, w, *names):
    links_up(b, *names)
    count = 100 if FULL else 25
    ping(b, what, w.left, B, count, 56)
    ping(b, what, w.right, A, count, 1472)
    ping(b, what, w.left, B6, count, 1200)
    server = b.start('iperf3', w.right.cmd('iperf3', '-s', '--forceflush'))
    server.expect('listening')
    iperf(b, what, w.left, 'TCP there')
    iperf(b, what, w.left, 'TCP back', '-R')
    iperf(b, what, w.left, 'UDP there, small', '-u', '-b', '10M', '-l', '64')
    server.kill()


def books(b, what, *names):
    def balanced():
        n = b.stats(*names)
        return port_sum(n, 'rx_frames') == port_sum(n, 'tx_frames') + port_sum(n, 'tx_lost') + \
            sum(v for x in n.values() for v in drops(x).values())
    wait_for('the books balance', 5, balanced)
    got = b.stats(*names)
    b.check(not any(n['drops']['csum_mismatch'] + n['drops']['desc_lost'] + n['drops']['bad_desc'] for n in got.values()),
            f'{what}: nothing damaged or lost; drops {[drops(n) for n in got.values()]}')
    # Where the worker is starved of its core the kernel has nowhere to put frames, and TCP finds out how many.
    b.check(port_sum(got, 'copies') == port_sum(got, 'rx_frames') + port_sum(got, 'tx_frames'),
            f'{what}: copies {port_sum(got, "copies")}, refused {port_sum(got, "rx_refused")}')


def one_mode(b, mode, hook):
    what, w = f'{mode} {hook}', Wires(b)
    nics = [b.nic(f'p{i}', w.spec(f'v{i}', f'mode={hook}')) for i in (0, 1)]
    b.equal(w.programs(), {'lo': '', **dict.fromkeys(('v0', 'v1'), 'xdp' if hook == 'native' else 'xdpgeneric')},
            f'{what}: programs')
    up = b.up_stay(['p0', 'p1'], '--mode', mode) if mode == 'bn' else b.up(['p0', 'p1'], '--mode', mode)
    traffic(b, what, w, 'p0', 'p1')
    books(b, what, 'p0', 'p1')
    if mode == 'bn':
        b.equal(up.stop(), 0, f'{what}: its host ends with status')
    b.equal([n.stop() for n in nics], [0, 0], f'{what}: NICs end with status')
    b.equal(set(w.programs().values()), {''}, f'{what}: programs afterwards')
    w.end()


def queue_frames(b, w, dev):
    """Frames that the programs saw, by queue."""
    said = b.must(w.mid.cmd('ethtool', '-S', dev)).out
    return [int(n) for n in re.findall(r'rx_queue_\d+_xdp_packets: (\d+)', said)]


def two_queues(b):
    w = Wires(b, 2)
    r = b.start('run', [P2PNIC, 'run', '--ctl', b.path('run.ctl'), '--port', w.spec('v0', 'queues=2', 'ring=256'),
                        '--port', w.spec('v1', 'queue=1')])
    wait_for('the control socket', 5, lambda: os.path.exists(b.path('run.ctl')))
    links_up(b, b.path('run.ctl'))
    for ns, dev in ((w.left, 'l0'), (w.right, 'r0')):
        frames(b, ns, dev, 200)
    def heard():
        rx = [n['ports'][0]['rx_frames'] for n in b.stats(b.path('run.ctl')).values()]
        sums = queue_frames(b, w, 'v0') + queue_frames(b, w, 'v1')
        # Both queues of the one are heard; the other's queue 0 is the kernel's.
        return (rx, sums) if rx == [sums[0] + sums[1], sums[3]] and min(sums) > 40 else None
    b.check(True, f'two queues: received, of each queue {wait_for("what all queues had", 5, heard)}')
    b.equal(r.stop(), 0, 'two queues: ends with status')
    w.end()


def lanes(b):
    """NICs of two queues: each of an interface's queues has a context and a worker of its own."""
    w = Wires(b, 2)
    r = b.start('run', [P2PNIC, 'run', '--ctl', b.path('run.ctl'), '--queues', '2', '--cores', '0-1', '--silence', '2000',
                        *(a for d in ('v0', 'v1') for a in ('--port', w.spec(d, 'queues=2')))])
    wait_for('the control socket', 5, lambda: os.path.exists(b.path('run.ctl')) or not r.alive())
    links_up(b, b.path('run.ctl'))
    for ns, dev in ((w.left, 'l0'), (w.right, 'r0')):
        frames(b, ns, dev, 200)
    def through():
        n = b.stats(b.path('run.ctl'))
        return port_sum(n, 'tx_frames') == port_sum(n, 'rx_frames') >= 400 and [queue_frames(b, w, d) for d in ('v0', 'v1')]
    got = wait_for('all frames are through', 5, through)
    b.check(min(q for d in got for q in d) > 40, f'two contexts: received, of each queue {got}')
    ping(b, 'two contexts', w.left, B, 20, 1000)
    b.must(w.mid.cmd('ip', 'link', 'del', 'v0'))
    wait_for('link down', 5, lambda: not all(p['link'] for n in b.stats(b.path('run.ctl')).values() for p in n['ports']))
    w.wire(w.left, 'l0', 'v0')
    address(b, w.left, 'l0', A, A6)
    links_up(b, b.path('run.ctl'))
    for to in range(4):
        ping(b, 'two contexts, deleted and made again', w.left, B, 10, 100 + to)
    b.equal(r.stop(), 0, 'two contexts: ends with status')
    w.end()


SEND = '''
import socket, struct, sys
dev, count = sys.argv[1], int(sys.argv[2])
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind((dev, 0))
for i in range(count):
    ip = struct.pack('>BBHHHBBH4s4s', 0x45, 0, 48, 0, 0, 64, 17, 0, bytes([198, 18, 0, 1]), bytes([198, 18, 0, 2]))
    udp = struct.pack('>HHHH', 1024 + i, 9, 28, 0)
    s.send(bytes([2, 0x99, 0, 0, 0, 1]) + bytes([2, 0x99, 0, 0, 0, 2]) + b'\\x08\\x00' + ip + udp + bytes(20))
'''


def frames(b, ns, dev, count):
    """Each of a flow of its own, which the kernel spreads over the queues."""
    b.must(ns.cmd('python3', '-c', SEND, dev, count))


def no_start(b, what, spec, *args):
    """What shows only when the NIC's memory is there is said by the NIC."""
    r = b.call([P2PNIC, 'run', '--seconds', '1', '--port', spec, '--port', 'null:', *args])
    said = [s for s in r.err.splitlines() if what in s]
    b.check(r.status == 1 and len(said) == 1, f'status {r.status}: {said}')


def sizes(b):
    """Frames longer than a buffer come in pieces where the kernel can; else it is said what to do."""
    for buf, mtu in (('4096', 3400), ('2112', 1500), ('2048', 9000)):
        w = Wires(b)
        for ns, dev in ((w.left, 'l0'), (w.mid, 'v0'), (w.mid, 'v1'), (w.right, 'r0')):
            b.must(ns.cmd('ip', 'link', 'set', dev, 'mtu', mtu))
        r = b.start('run', [P2PNIC, 'run', '--ctl', b.path('run.ctl'), '--buf-size', buf, '--port', w.spec('v0'),
                            '--port', w.spec('v1')])
        wait_for('the control socket', 5, lambda: os.path.exists(b.path('run.ctl')) or not r.alive())
        if not r.alive() and mtu == 9000:
            b.check('use --buf-size 4096 or lower the MTU' in r.err, f'MTU {mtu}: {r.err.strip()}')
        else:
            links_up(b, b.path('run.ctl'))
            ping(b, f'buffers of {buf}, MTU {mtu}', w.left, B, 20, mtu - 28)
            ping(b, f'buffers of {buf}, MTU {mtu}', w.right, A, 20, 10)
            b.equal(r.stop(), 0, f'buffers of {buf}: ends with status')
        w.end()
    w = Wires(b)
    no_start(b, 'takes no buffers of 9728 bytes', w.spec('v0'), '--buf-size', '9728')
    w.end()


def killed(b):
    w = Wires(b)
    specs = [w.spec(f'v{i}') for i in (0, 1)]
    for _ in range(3):
        nics = [b.nic(f'p{i}', s) for i, s in enumerate(specs)]
        b.up(['p0', 'p1'])
        links_up(b, 'p0', 'p1')
        ping(b, 'after a kill', w.left, B, 10, 500)
        for n in nics:
            n.send(signal.SIGKILL)
            n.wait(5)
        b.equal(set(w.programs().values()), {''}, 'killed: programs left behind')
    w.end()


def refusals(b):
    w = Wires(b)
    def no(what, *options, dev='v0'):
        refused(b, ['run', '--seconds', '1', '--port', w.spec(dev, *options), '--port', 'null:'], what)
    no("no interface 'nosuch'", dev='nosuch')
    no("has 1 receive queue, 0 to 0, no queue 3", 'queue=3')
    no("no queue 1", 'queues=2')
    no('ring=100', 'ring=100')
    no('give auto, native or skb', 'mode=fast')
    no('not with mode=skb', 'mode=skb', 'zerocopy=on')
    no_start(b, 'has no zero-copy AF_XDP', w.spec('v0', 'zerocopy=on'))
    no("no option 'colour'", 'colour=blue')
    # Whoever uses the interface already keeps it.
    first = b.nic('p0', w.spec('v0'))
    no('has an XDP program already')
    first.stop()
    # Not root, and no way to become it.
    r = b.call(['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', '--inh-caps=-all', P2PNIC, 'run', '--seconds', '1',
                '--port', 'xdp:lo', '--port', 'null:'])
    b.check(r.status == 1 and 'CAP_BPF: run as root' in r.err and len(r.err.strip().splitlines()) == 1,
            f'not root: status {r.status}: {r.err.strip()}')
    w.end()


def foreign(b):
    """A program of somebody else is refused and stays, however it was put there."""
    w = Wires(b)
    for how in ('netlink', 'link'):
        for hook, shown in (('native', 'xdp'), ('skb', 'xdpgeneric')):
            p = b.start('foreign', w.mid.cmd(FOREIGN, how, hook, 'v0')).expect('attached')
            for ours in ('auto', 'native', 'skb'):
                refused(b, ['run', '--seconds', '1', '--port', w.spec('v0', f'mode={ours}'), '--port', 'null:'],
                        'has an XDP program already')
            b.equal(w.programs()['v0'], shown, f'foreign program by {how}, {hook}: stays')
            p.kill()
            if how == 'netlink':
                b.must(w.mid.cmd('ip', 'link', 'set', 'v0', shown, 'off'))
    w.end()


def device_gone(b):
    """The interface is set down and up, deleted and made again under a running NIC."""
    w = Wires(b)
    nics = [b.nic(f'p{i}', w.spec(f'v{i}')) for i in (0, 1)]
    b.up(['p0', 'p1'])
    links_up(b, 'p0', 'p1')
    def link(state):
        wait_for(f'link of p0 {"up" if state else "down"}', 5, lambda: b.stats('p0')['p0']['ports'][0]['link'] == state)
    b.must(w.mid.cmd('ip', 'link', 'set', 'v0', 'down'))
    link(False)
    b.must(w.mid.cmd('ip', 'link', 'set', 'v0', 'up'))
    link(True)
    ping(b, 'down and up', w.left, B, 10, 500)
    before = [descriptors(n.pid) for n in nics]
    b.must(w.mid.cmd('ip', 'link', 'del', 'v0'))
    link(False)
    w.wire(w.left, 'l0', 'v0')
    address(b, w.left, 'l0', A, A6)
    link(True)
    # An observer that has just left may still be there.
    wait_for(f'as many descriptors as before, {before}', 3, lambda: [descriptors(n.pid) for n in nics] == before)
    ping(b, 'deleted and made again', w.left, B, 10, 500)
    b.equal([n.stop() for n in nics], [0, 0], 'interface gone and back: NICs end with status')
    b.equal(set(w.programs().values()), {''}, 'interface gone and back: programs left behind')
    w.end()


def asleep(b):
    """One frame wakes a NIC that sleeps."""
    w = Wires(b)
    nics = [b.nic(f'p{i}', w.spec(f'v{i}')) for i in (0, 1)]
    b.up(['p0', 'p1'])
    links_up(b, 'p0', 'p1')
    time.sleep(0.5)
    for i in range(5):
        had = port_sum(b.stats('p1'), 'tx_frames')
        frames(b, w.left, 'l0', 1)
        wait_for('the frame', 5, lambda: port_sum(b.stats('p1'), 'tx_frames') > had)
        time.sleep(0.2)
    b.check(True, 'asleep: single frames go through')
    b.equal([n.stop() for n in nics], [0, 0], 'asleep: NICs end with status')
    w.end()


def main(b):
    need_root('network namespaces and AF_XDP')
    need_tool('iperf3', 'ping', 'ip', 'unshare', 'nsenter', 'ethtool', 'setpriv')
    need_af_xdp(b)
    for mode, hook in (('wr', 'native'), ('rd', 'skb'), ('bn', 'native')):
        one_mode(b, mode, hook)
    if FULL:
        for mode, hook in (('wr', 'skb'), ('rd', 'native'), ('bn', 'skb')):
            one_mode(b, mode, hook)
    two_queues(b)
    lanes(b)
    sizes(b)
    killed(b)
    refusals(b)
    foreign(b)
    device_gone(b)
    asleep(b)


run(main)
