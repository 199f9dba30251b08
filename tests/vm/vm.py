#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The driver over the kernel's VFIO, in a guest with a vIOMMU.

usage: vm.py 6.1|6.12

The NICs' cables are on the host: what the guest's driver has introduced to each other forwards without the guest's CPU.
"""
import json
import os
import random
import sys
import time

from guest import PATIENT, Guest, addresses, at_rest, end, refused, up
from lib import BUILD, drops, first_difference, numbered_frames, pcap_read, pcap_write, run, wait_for

COUNT = 10000
# In rd the VMM reads a frame eight bytes at a time, each with an answer of its own: more of the short ones.
MIX = {'wr': (60,) * 7 + (590,) * 4 + (1514,), 'rd': (60,) * 60 + (124,) * 6 + (590, 1514)}
PAIRS = (('wr', 'a', 'b'), ('rd', 'c', 'd'))
PROGRAMS = [os.path.join(BUILD, 'tests', 'vm', p) for p in ('isolation', 'fdstore')]
MESH, MESH_PAIRS = 'efgh', ('ef', 'gh')
PATIENCE_S = 150
MESH_COUNT, MESH_RATE = 7000, 400
BN_COUNT = 1000
ROUTED_COUNT, ROUTED_RATE, ROUTED_MIN = 20000, 200, 200
ROUTER_MAC, NEXT_MAC, ROUTED_MAC = '02:99:00:00:01:01', '02:99:00:00:02:02', '02:99:00:00:02:01'


def mixed_frames(count, tag, sizes):
    """Every 64th of any size; each frame unlike any other."""
    rng = random.Random(f'vm {tag}')
    head = bytes([2, 0x99, 0, 0, 0, 1]) + bytes([2, 0x99, 0, 0, 0, 2]) + b'\x88\xb5' + bytes([tag])
    return [head + i.to_bytes(4, 'big') + rng.randbytes((rng.randint(60, 1514) if i % 64 == 0 else rng.choice(sizes)) - 19)
            for i in range(count)]


def raw(mac):
    return bytes.fromhex(mac.replace(':', ''))


def ip_checksum(head):
    total = sum(int.from_bytes(head[k:k + 2], 'big') for k in range(0, len(head), 2))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def packet(dst, src, ttl, number):
    """UDP from 10.1.0.2 to 10.2.0.2, behind the router's other port."""
    data = number.to_bytes(4, 'big') * 8
    head = bytes.fromhex('4500003c00000000') + bytes([ttl, 17, 0, 0, 10, 1, 0, 2, 10, 2, 0, 2])
    head = head[:10] + ip_checksum(head).to_bytes(2, 'big') + head[12:]
    return raw(dst) + raw(src) + b'\x08\x00' + head + bytes.fromhex('1388138900280000') + data


def bind(b, g):
    """What is refused before, and after."""
    a, z = g.addr['a'], '0000:00:1e.0'
    refused(b, g, f'p2pnic up --nic vfio:{z}', z, 'no such PCI function')
    refused(b, g, f'p2pnic bind {z}', z, 'no such PCI function')
    refused(b, g, f'p2pnic up --nic vfio:{a}', a, 'no driver', 'p2pnic bind')
    b.equal(g.sh('p2pnic bind --json ' + ' '.join(g.addr.values())).count('"0000:'), len(g.addr), 'functions bound')
    b.equal(g.sh(f'p2pnic bind --json {a}').count('"0000:'), 0, 'bound again')
    g.sh('p2pnic bind 0000:00:1f.3')
    refused(b, g, 'p2pnic up --nic vfio:0000:00:1f.3', '0000:00:1f.3')
    g.sh('p2pnic unbind 0000:00:1f.3')
    refused(b, g, f'as_user p2pnic up --nic vfio:{a}', 'no permission for /dev/vfio/')
    refused(b, g, f'as_user p2pnic unbind {a}', 'no permission')


def own_addresses(b, g, names, what):
    """Each NIC was told that its peers are where the guest's switches, too, have them."""
    told, own = {}, {}
    for n in names:
        told[n] = sorted(r['value'] for r in b.show('regs', n)['nics'][0]['regs'] if r['name'].startswith('PEER_BAR2['))
        own[n] = int(g.sh(f'sed -n 3p /sys/bus/pci/devices/{g.addr[n]}/resource').split()[0], 16)
    local = 1 << 63
    b.equal(told, {n: sorted(local if m == n else own[m] for m in names) for n in names}, f'{what}: bus addresses of the peers\' BARs')


def forward(b, g, mode, one, two):
    t = time.monotonic()
    pid = up(g, one + two, '--mode', mode, '--scrub', 'off' if mode == 'rd' else 'on')
    b.say(f'{mode}: up in {time.monotonic() - t:.1f} s')
    own_addresses(b, g, one + two, mode)
    refused(b, g, f'P2PNIC_RUNTIME_DIR=/tmp/other p2pnic up {addresses(g, one + two)}', 'another process holds it')
    t, cpu = time.monotonic(), int(g.sh(f'cut -d" " -f14,15 /proc/{pid}/stat | tr " " +').split('+')[0])
    wait_for(f'{mode}: all frames are out', PATIENCE_S, lambda: b.stats(two)[two]['ports'][0]['tx_frames'] >= COUNT, 0.1)
    b.say(f'{mode}: {COUNT} frames in {time.monotonic() - t:.1f} s at most')
    b.equal(int(g.sh(f'cut -d" " -f14 /proc/{pid}/stat')) - cpu, 0, f'{mode}: CPU time of the driver meanwhile, ticks')
    nics = b.stats(one, two)
    b.equal([drops(n) for n in nics.values()], [{}, {}], f'{mode}: drops')
    b.equal([n['dma_faults'] for n in nics.values()], [0, 0], f'{mode}: DMA faults')
    refused(b, g, f'p2pnic unbind {g.addr[one]}', 'a process holds it')
    end(g, pid)
    at_rest(b, g, one + two, f'{mode}: after the driver')


def isolation_begin(g, one, two, three):
    """Beside other NICs: it mostly waits."""
    g.start('isolation', f'isolation {g.addr[one]} {g.addr[two]} {g.addr[three]}; echo status $?')


def isolation_end(b, g, one, two, three):
    out = g.expect('isolation', 'status ')
    for line in out.splitlines():
        b.check(line.startswith(('ok ', 'faults ')) or line == 'status 0', 'isolation: ' + line)
    log = g.log()
    for line in out.splitlines():
        if line.startswith('faults '):
            at = int(line.split()[1], 16)
            b.check(any('DMAR' in m and g.addr[one][5:] in m and f'addr {at:#x}' in m for m in log.splitlines()),
                    f'isolation: the guest\'s log has a DMAR fault of {one} at {at:#x}')
    at_rest(b, g, (one, two, three), 'after the isolation test')


def bn(b, g, one, two):
    """The guest's CPU moves the descriptors: main memory that the driver lends, doorbells in BAR2."""
    pid = up(g, one + two, '--mode', 'bn', '--monitor')
    wait_for('bn: all frames are out', PATIENCE_S, lambda: b.stats(two)[two]['ports'][0]['tx_frames'] >= BN_COUNT, 0.1)
    b.equal([drops(n) for n in b.stats(one, two).values()], [{}, {}], 'bn: drops')
    g.sh(f'kill {pid}; while [ -d /proc/{pid} ]; do usleep 20000; done')
    at_rest(b, g, one + two, 'bn: after the driver')


def routed(b, g, one, two):
    """The guest's kernel is the control plane: tables through BAR2, what the NICs can't do by main memory and an interrupt."""
    dev = {n: g.addr[n].replace(':', '_') + 'p0' for n in one + two}
    holder = up(g, one + two, '--route')
    router = g.start('router', f'exec p2pnic router {addresses(g, one + two)} {" ".join(PATIENT)}')
    g.expect('router', 'routing: 2 NICs, 0 introduced, 2 adopted')
    g.sh(f'while [ -d /proc/{holder} ]; do usleep 20000; done')
    b.check('has taken over' in g.sh('cat /tmp/up'), 'the router takes over from `p2pnic up --route`')
    own_addresses(b, g, one + two, 'routing')
    g.sh('echo 1 > /proc/sys/net/ipv4/ip_forward')
    g.sh(f'ip link set dev {dev[two]} address {ROUTED_MAC}; ip addr add 10.2.0.1/24 dev {dev[two]}')
    g.sh(f'arp -i {dev[two]} -s 10.2.0.2 {NEXT_MAC}; until p2pnic show nexthops | grep {NEXT_MAC}; do usleep 50000; done')
    # Only now is anything for the router: all goes one way.
    g.sh(f'ip addr add 10.1.0.1/24 dev {dev[one]}; ip link set dev {dev[one]} address {ROUTER_MAC}')

    def sent():
        return next(p['sent_frames'] for p in b.stats(one)[one]['peers'] if p['state'] == 'up' and p['index'] == 1)
    wait_for('NICs route', 30, lambda: sent() >= ROUTED_MIN, 0.1)
    b.equal([n['dma_faults'] for n in b.stats(one, two).values()], [0, 0], 'routing: DMA faults')
    b.equal([drops(n) for n in b.stats(two).values()], [{}], 'routing: drops of the egress')
    g.sh(f'p2pnic down {addresses(g, one + two)}; while [ -d /proc/{router} ]; do usleep 20000; done')
    at_rest(b, g, one + two, '`p2pnic down` while a router held them')


def routed_right(b, one, two):
    """What left the router's other port, of all that went in."""
    got = [f for f in pcap_read(b.path(two + '.pcap')) if f[12:14] == b'\x08\x00' and f[30:34] == bytes([10, 2, 0, 2])]
    numbers = [int.from_bytes(f[42:46], 'big') for f in got]
    b.check(len(got) >= ROUTED_MIN and numbers == sorted(set(numbers)), f'{one} to {two}: {len(got)} packets routed, in order')
    wrong = [f.hex() for f, k in zip(got, numbers) if f != packet(NEXT_MAC, ROUTED_MAC, 63, k)]
    b.equal(wrong[:1], [], f'{one} to {two}: packets that are not as a router sends them')


def doctor(b, g, one, two, three):
    """What the doctor says of two NICs behind a switch, and of one beside it."""
    told = json.loads(g.sh(f'p2pnic doctor --json {g.addr[one]} {g.addr[two]} {g.addr[three]}'))
    path = {frozenset((p['a'], p['b'])): (p['path'], p['verdict']) for p in told['pairs']}
    b.equal(path[frozenset((g.addr[one], g.addr[two]))], ('same-switch', 'direct'), 'doctor: behind one switch')
    b.equal(path[frozenset((g.addr[one], g.addr[three]))], ('root-ports', 'through-root'), 'doctor: one of them beside it')


def outs(b):
    return [b.stats(two)[two]['ports'][0]['tx_frames'] for _, two in MESH_PAIRS]


def moves(b, what):
    before = outs(b)
    wait_for(f'{what}: frames go out of both', 10, lambda: all(y > x + 20 for x, y in zip(before, outs(b))))
    b.say(f'{what}: both pairs go on')


def adopted(b, g, name, text, count, what):
    g.expect(name, text)
    said = [s for s in g.sh(f'cat /tmp/{name}').splitlines() if ' up in ' in s]
    b.check(said and said[-1].endswith(count), f'{what}: {said[-1] if said else "nothing"}')


def hold(b, g):
    """Two NICs forward, two are added, while whoever holds their descriptors is killed, restarted and replaced."""
    two = MESH_PAIRS[0]
    up(g, two, '--max-nics', '4', '--pair', f'{g.addr[two[0]]}.0={g.addr[two[1]]}.0', name='two')
    wait_for('frames go out of the first pair', PATIENCE_S, lambda: outs(b)[0] > 20)
    pairs = ' '.join(f'--pair {g.addr[x]}.0={g.addr[y]}.0' for x, y in MESH_PAIRS)
    command = f'p2pnic up {addresses(g, MESH)} {pairs} {" ".join(PATIENT)}'
    store = g.start('store', f'exec fdstore /tmp/notify {command}')
    adopted(b, g, 'store', 'ready 10', '2 introduced, 2 adopted', 'a service manager starts a driver that takes over and adds two')
    g.expect('two', 'has taken over')
    moves(b, 'with the driver')
    own_addresses(b, g, MESH, 'a mesh of four')
    for sig, what in (('USR1', 'killed'), ('USR2', 'ended')):
        g.sh(f'kill -{sig} {store}; > /tmp/store')
        adopted(b, g, 'store', 'ready 10', '0 introduced, 4 adopted', f'the driver is {what} and started anew')
        moves(b, f'after the driver was {what}')
        b.check('nobody can take over' not in g.sh('cat /tmp/store'), f'the driver was {what}: every address can be taken over by')
    other = g.start('up', 'exec ' + command)
    adopted(b, g, 'up', ' up in ', '0 introduced, 4 adopted', 'another driver takes over')
    g.expect('store', 'has taken over')
    g.sh(f'kill {store}; while [ -d /proc/{store} ]; do usleep 20000; done')
    moves(b, 'without the service manager and its store')
    wait_for('all frames are out', PATIENCE_S, lambda: outs(b) == [MESH_COUNT] * 2, 0.1)
    nics = b.stats(*MESH)
    b.equal([drops(n) for n in nics.values()], [{}] * 4, 'a mesh of four: drops')
    b.equal([n['events']['peer_down'] for n in nics.values()], [0] * 4, 'a mesh of four: peers that went down')
    return other, command


def let_go(b, g, other, command):
    """The kernel asks for a function: the holder lets go of it, and takes it back when it is told to."""
    last = g.addr[MESH[-1]]
    g.sh(f'p2pnic unbind --force {last}')
    g.expect('up', 'the kernel wants it back')
    b.equal([n['state'] for n in b.stats(*MESH).values()], ['running'] * 3 + ['reset'], 'one is unbound: NICs')
    left = g.start('left', f'exec p2pnic up {addresses(g, MESH[:-1])} {" ".join(PATIENT)}')
    adopted(b, g, 'left', ' up in ', '0 introduced, 3 adopted', 'the others without it')
    g.sh(f'while [ -d /proc/{other} ]; do usleep 20000; done')
    g.sh(f'p2pnic bind {last}')
    pid = g.start('again', 'exec ' + command)
    adopted(b, g, 'again', ' up in ', '1 introduced, 3 adopted', 'bound again')
    own_addresses(b, g, MESH, 'bound again')
    g.sh(f'while [ -d /proc/{left} ]; do usleep 20000; done')
    doctor(b, g, 'e', 'f', 'g')
    refused(b, g, f'p2pnic up {addresses(g, MESH)} --mode rd', 'runs in wr, not rd')
    b.equal([n['state'] for n in b.stats(*MESH).values()], ['running'] * 4, 'refused: NICs')
    g.sh(f'p2pnic down {addresses(g, MESH)}; while [ -d /proc/{pid} ]; do usleep 20000; done')
    at_rest(b, g, MESH, '`p2pnic down` while another process held them')


def main(b):
    b.frames, nics = {}, []
    for tag, (mode, one, two) in enumerate(PAIRS):
        b.frames[one] = mixed_frames(COUNT, tag, MIX[mode])
        pcap_write(b.path(one + '.in'), b.frames[one])
        nics.append(b.nic(one, f'pcap:{b.path(one + ".in")}'))
        nics.append(b.nic(two, f'pcap:,{b.path(two + ".pcap")}'))
    for tag, (one, two) in enumerate(('ef', 'gh', 'ij')):
        b.frames[one] = numbered_frames(MESH_COUNT if one in MESH else BN_COUNT, 200, tag)
        pcap_write(b.path(one + '.in'), b.frames[one])
        nics.append(b.nic(one, f'pcap:{b.path(one + ".in")}' + (f',rate={MESH_RATE}' if one in MESH else '')))
        nics.append(b.nic(two, f'pcap:,{b.path(two + ".pcap")}'))
    b.frames['k'] = [packet(ROUTER_MAC, NEXT_MAC, 64, k) for k in range(ROUTED_COUNT)]
    pcap_write(b.path('k.in'), b.frames['k'])
    nics.append(b.nic('k', f'pcap:{b.path("k.in")},rate={ROUTED_RATE}'))
    nics.append(b.nic('l', f'pcap:,{b.path("l.pcap")}'))
    g = Guest(b, sys.argv[1], 'abcdefghijkl', switches=('ab', 'cd', 'ef'), programs=PROGRAMS)
    bind(b, g)
    for mode, one, two in PAIRS:
        forward(b, g, mode, one, two)
    bn(b, g, 'i', 'j')
    routed(b, g, 'k', 'l')
    isolation_begin(g, 'a', 'b', 'c')
    holder = hold(b, g)
    isolation_end(b, g, 'a', 'b', 'c')  # before others fault: the kernel's log would leave some out
    let_go(b, g, *holder)
    g.close()
    b.equal([p.stop() for p in nics], [0] * 12, 'NICs end with status')
    for one, two in [p[1:] for p in PAIRS] + list(MESH_PAIRS) + ['ij']:
        wrong = first_difference(pcap_read(b.path(two + '.pcap')), b.frames[one])
        b.check(not wrong, f'{one} to {two}: ' + (wrong or f'{len(b.frames[one])} frames, byte-identical and in order'))
    routed_right(b, 'k', 'l')


run(main)
