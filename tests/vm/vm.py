#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The driver over the kernel's VFIO, in a guest with a vIOMMU.

usage: vm.py 6.1|6.12

The NICs' cables are on the host: what the guest's driver has introduced to each other forwards without the guest's CPU.
"""
import os
import random
import sys
import time

from guest import Guest
from lib import BUILD, drops, first_difference, pcap_read, pcap_write, run, wait_for

COUNT = 10000
PATIENT = ('--silence', '5000', '--timeout', '60')
# In rd the VMM reads a frame eight bytes at a time, each with an answer of its own: more of the short ones.
MIX = {'wr': (60,) * 7 + (590,) * 4 + (1514,), 'rd': (60,) * 60 + (124,) * 6 + (590, 1514)}
PAIRS = (('wr', 'a', 'b'), ('rd', 'c', 'd'))
ISOLATION = os.path.join(BUILD, 'tests', 'vm', 'isolation')


def mixed_frames(count, tag, sizes):
    """Every 64th of any size; each frame unlike any other."""
    rng = random.Random(f'vm {tag}')
    head = bytes([2, 0x99, 0, 0, 0, 1]) + bytes([2, 0x99, 0, 0, 0, 2]) + b'\x88\xb5' + bytes([tag])
    return [head + i.to_bytes(4, 'big') + rng.randbytes((rng.randint(60, 1514) if i % 64 == 0 else rng.choice(sizes)) - 19)
            for i in range(count)]


def addresses(g, names):
    return ' '.join('--nic vfio:' + g.addr[n] for n in names)


def up(g, names, *args, name='up'):
    """`p2pnic up` in the guest, which stays and holds the NICs."""
    pid = g.start(name, f'exec p2pnic up {addresses(g, names)} {" ".join((*PATIENT, *args))}')
    g.expect(name, ' up in ')
    return pid


def end(g, pid, name='up'):
    """Ends a holder; its NICs are at rest then."""
    g.sh(f'kill {pid}; while [ -d /proc/{pid} ]; do usleep 20000; done')
    said = g.sh(f'cat /tmp/{name}').strip()
    g.b.check(said.count('\n') == 0 and ' up in ' in said, f'the driver says one line: {said}')


def at_rest(b, g, names, what):
    """Reset, and no bus mastering: nothing reaches out any more."""
    b.equal([n['state'] for n in b.stats(*names).values()], ['reset'] * len(names), f'{what}: NICs')
    masters = [int(g.sh(f'dd if=/sys/bus/pci/devices/{g.addr[n]}/config bs=1 skip=4 count=1 2>/dev/null | od -An -tu1')) & 4
               for n in names]
    b.equal(masters, [0] * len(names), f'{what}: bus mastering')


def refused(b, g, argv, *words, status=1):
    out, got = g.call(argv)
    lines = out.strip().splitlines()
    b.check(got == status and len(lines) == 1 and all(w in lines[0] for w in words),
            f'{argv}: {got}: {out.strip()}' + ('' if got == status else f'; should be {status} with {words}'))


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


def forward(b, g, mode, one, two):
    t = time.monotonic()
    pid = up(g, one + two, '--mode', mode, '--scrub', 'off' if mode == 'rd' else 'on')
    b.say(f'{mode}: up in {time.monotonic() - t:.1f} s')
    refused(b, g, f'p2pnic up {addresses(g, one + two)}', 'another process holds it')
    t, cpu = time.monotonic(), int(g.sh(f'cut -d" " -f14,15 /proc/{pid}/stat | tr " " +').split('+')[0])
    wait_for(f'{mode}: all frames are out', 60, lambda: b.stats(two)[two]['ports'][0]['tx_frames'] >= COUNT, 0.1)
    b.say(f'{mode}: {COUNT} frames in {time.monotonic() - t:.1f} s at most')
    b.equal(int(g.sh(f'cut -d" " -f14 /proc/{pid}/stat')) - cpu, 0, f'{mode}: CPU time of the driver meanwhile, ticks')
    nics = b.stats(one, two)
    b.equal([drops(n) for n in nics.values()], [{}, {}], f'{mode}: drops')
    b.equal([n['dma_faults'] for n in nics.values()], [0, 0], f'{mode}: DMA faults')
    refused(b, g, f'p2pnic unbind {g.addr[one]}', 'a process holds it')
    end(g, pid)
    at_rest(b, g, one + two, f'{mode}: after the driver')


def isolation(b, g, one, two, three):
    out, status = g.call(f'isolation {g.addr[one]} {g.addr[two]} {g.addr[three]}')
    for line in out.splitlines():
        b.check(line.startswith(('ok ', 'faults ')), 'isolation: ' + line)
    b.equal(status, 0, 'isolation: status')
    log = g.log()
    for line in out.splitlines():
        if line.startswith('faults '):
            at = int(line.split()[1], 16)
            b.check(any('DMAR' in m and g.addr[one][5:] in m and f'addr {at:#x}' in m for m in log.splitlines()),
                    f'isolation: the guest\'s log has a DMAR fault of {one} at {at:#x}')
    at_rest(b, g, (one, two, three), 'after the isolation test')


def main(b):
    b.frames, nics = {}, []
    for tag, (mode, one, two) in enumerate(PAIRS):
        b.frames[one] = mixed_frames(COUNT, tag, MIX[mode])
        pcap_write(b.path(one + '.in'), b.frames[one])
        nics.append(b.nic(one, f'pcap:{b.path(one + ".in")}'))
        nics.append(b.nic(two, f'pcap:,{b.path(two + ".pcap")}'))
    g = Guest(b, sys.argv[1], 'abcd', programs=[ISOLATION])
    bind(b, g)
    for mode, one, two in PAIRS:
        forward(b, g, mode, one, two)
    isolation(b, g, 'a', 'b', 'c')
    g.close()
    b.equal([p.stop() for p in nics], [0] * 4, 'NICs end with status')
    for mode, one, two in PAIRS:
        wrong = first_difference(pcap_read(b.path(two + '.pcap')), b.frames[one])
        b.check(not wrong, f'{mode}: capture: ' + (wrong or f'{COUNT} frames, byte-identical and in order'))


run(main)
