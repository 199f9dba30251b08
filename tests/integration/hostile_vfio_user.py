#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What a hostile vfio-user client tries, by name, while an honest pair of cables goes on.

NICs a, b and c are brought up by `p2pnic up`, which leaves.  Frames go between cables of a and b all the time; the client
comes to a's socket, which has no driver now, and breaks the protocol: a forwards on.  Of c it becomes the owner, which it
may, and does with it what an owner can: c suffers, a and b do not.  Before each of these attacks c is reset and brought up
again, so that each meets a NIC that forwards.  d, e and f are for those who keep the server waiting.
Of the honest pair every frame arrives, once, in order and whole; each attack moves the counter that its row names, of the
NIC attacked; in the end no descriptor and no memory has been kept.

docs/trust.md has the rows of ATTACKS below, and a test compares them.
"""
import contextlib
import errno
import json
import mmap
import os
import random
import socket
import struct
import time

from lib import Failed, MEMIF_LOOP, descriptors, memory_kib, run, wait_for

VERSION, MAP, UNMAP, INFO, REGION_INFO, IO_FDS, IRQ_INFO, SET_IRQS, READ, WRITE, DMA_READ, DMA_WRITE, RESET = range(1, 14)
MULTI = 15
REPLY, NO_REPLY, ERROR = 1, 16, 32
CONFIG, BAR0, BAR2, BAR4, SEGMENT = 7, 0, 2, 4, 9
PAGE, MIB = 4096, 1 << 20
NOBODY = 0xfff << 40  # a bus address that nothing is mapped at


def packed(command, body=b'', flags=0, size=None, ident=7):
    return struct.pack('<HHIII', ident, command, 16 + len(body) if size is None else size, flags, 0) + body


# With the last of these the NIC asks nobody about addresses that are not mapped.
CAPS = b'{"capabilities":{"max_msg_fds":8,"p2pnic_maps_complete":true}}'


def hello(text=CAPS, major=0, minor=1):
    return packed(VERSION, struct.pack('<HH', major, minor) + text + b'\0')


def dma_map(address, size, offset=0, flags=3, argsz=32):
    return packed(MAP, struct.pack('<IIQQQ', argsz, flags, offset, address, size))


def dma_unmap(address, size, flags=0, argsz=24):
    return packed(UNMAP, struct.pack('<IIQQ', argsz, flags, address, size))


def access(command, region, offset, count, data=b''):
    return packed(command, struct.pack('<QII', offset, region, count) + data)


def irqs(flags, index=2, start=0, count=1, argsz=20):
    return packed(SET_IRQS, struct.pack('<IIIII', argsz, flags, index, start, count))


def memory(size, sealed=False):
    fd = os.memfd_create('hostile', os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, size)
    return fd


class Client:
    def __init__(self, path, greet=True):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(8)
        for _ in range(200):
            self.sock.connect(path)
            if not greet:
                return
            self.send(hello())
            got = self.recv()
            if got and not got[1] & ERROR:
                return
            self.close() # the one before is not quite gone
            time.sleep(0.01)
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.settimeout(8)
        raise Failed('the server lets nobody in')

    def close(self):
        self.sock.close()

    def send(self, data, *fds):
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            if fds:
                socket.send_fds(self.sock, [data], fds)
            else:
                self.sock.sendall(data)

    def recv(self):
        """(command, flags, errno, body, descriptors), or None: the end."""
        data, fds = b'', []
        while len(data) < 16 or len(data) < struct.unpack_from('<I', data, 4)[0]:
            try:
                part, more, _, _ = socket.recv_fds(self.sock, (1 << 21) if len(data) >= 16 else 16 - len(data), 16)
            except ConnectionError:
                return None
            except TimeoutError:
                raise Failed('no answer within 8 s') from None
            if not part:
                return None
            data += part
            fds += more
        _, command, _, flags, err = struct.unpack_from('<HHIII', data)
        return command, flags, err, data[16:], fds

    def answer(self, data, *fds):
        """The reply, which there must be."""
        self.send(data, *fds)
        got = self.recv()
        if got is None:
            raise Failed('disconnected')
        return got

    def ask(self, data, *fds):
        """The errno of the reply."""
        return self.answer(data, *fds)[2]

    def read(self, region, offset, count):
        got = self.answer(access(READ, region, offset, count))
        if got[2] or len(got[3]) != 16 + count:
            raise Failed(f'reading {count} bytes at {offset:#x} of region {region}: errno {got[2]}, {len(got[3])} bytes')
        return int.from_bytes(got[3][16:], 'little')

    def write(self, region, offset, count, value):
        if self.ask(access(WRITE, region, offset, count, value.to_bytes(count, 'little'))):
            raise Failed(f'a write at {offset:#x} of region {region} is refused')


class Far:
    """Where the NICs are."""

    def __init__(self, b, pids):
        self.b, self.pids = b, pids

    def path(self, nic):
        return self.b.sock(nic)

    def ask(self, nic, request):
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(10)
        s.connect(self.path(nic) + '.ctl')
        s.sendall(json.dumps(request).encode() + b'\n')
        text = b''
        while not text.endswith(b'\n'):
            text += s.recv(1 << 20)
        s.close()
        return json.loads(text)

    def stats(self, nic):
        return self.ask(nic, {'get': 'stats'})['nics'][0]

    def counter(self, nic, name):
        n = self.stats(nic)
        for part in (n['vfio_user'], n['events'], n['drops'], n):
            if name in part:
                return part[name]
        raise Failed(f'there is no counter {name}')

    def regs(self, nic):
        return {r['name']: r['value'] for r in self.ask(nic, {'get': 'regs', 'nic': nic})['regs']}

    def up(self):
        return self.b.up(('a', 'b', 'c'), '--pair', 'a.0=b.0', '--pair', 'c.0=b.1')

    def fresh(self):
        """c anew, whatever was done to it: its frames come out of b.  a and b run on."""
        with contextlib.closing(Client(self.path('c'))) as c:
            if c.ask(packed(RESET)):
                raise Failed('c takes no reset')
        told = self.up()
        if (told['introduced'], told['adopted']) != (1, 2):
            raise Failed(f'c is brought up again: introduced {told["introduced"]}, adopted {told["adopted"]}, should be 1 and 2')
        sent = self.stats('b')['ports'][1]['tx_frames']
        wait_for('c forwards', 10, lambda: self.stats('b')['ports'][1]['tx_frames'] > sent + 10)

    def honest(self):
        return sum(self.stats(n)['ports'][0]['tx_frames'] for n in 'ab')


# --- messages: the client of a, which forwards ---

def says(*messages, greet=True, fds=(), ends=False):
    """These messages, the last with descriptors (kinds: 'memory', 'pipe'); reads what comes, until it is disconnected or done."""
    def attack(far):
        c, pipe, mem = Client(far.path('a'), greet), os.pipe(), memory(PAGE)
        for k, data in enumerate(messages):
            c.send(data, *([{'memory': mem, 'pipe': pipe[1]}[f] for f in fds] if k == len(messages) - 1 else ()))
        c.sock.shutdown(socket.SHUT_WR)
        while c.recv():
            pass
        c.close()
        for fd in (*pipe, mem):
            os.close(fd)
    return attack


def maps_twice(far):
    c = Client(far.path('a'))
    if c.ask(dma_map(NOBODY, PAGE)) or not c.ask(dma_map(NOBODY, PAGE)) or c.ask(dma_unmap(NOBODY, PAGE)):
        raise Failed('mapped twice, or not at all')
    c.close()


def message_flood(far):
    c = Client(far.path('a'))
    for _ in range(100):
        c.send(packed(INFO, struct.pack('<IIII', 16, 0, 0, 0), NO_REPLY) * 100)
    if c.ask(packed(INFO, struct.pack('<IIII', 16, 0, 0, 0))):
        raise Failed('not answered')
    c.close()


def connection_flood(far):
    first, many = Client(far.path('a')), []
    for _ in range(64):
        s = socket.socket(socket.AF_UNIX)
        s.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            s.connect(far.path('a'))
        many.append(s)
        time.sleep(0.001)
    if first.ask(packed(INFO, struct.pack('<IIII', 16, 0, 0, 0))):
        raise Failed('who was first is not answered')
    for s in (first, *many):
        s.close()


def comes_and_goes(far):
    for _ in range(50):
        Client(far.path('a'), False).close()
        Client(far.path('a')).close()


def descriptor_flood(far):
    c, mem = Client(far.path('a')), memory(PAGE)
    for _ in range(100):
        if not c.ask(packed(RESET, bytes(8)), *[mem] * 16):
            raise Failed('descriptors where none belong were taken')
    c.close()
    os.close(mem)


def noise(far):
    rnd = random.Random(11)
    for _ in range(20):
        c = Client(far.path('a'))
        c.send(rnd.randbytes(4000))
        c.close()


# --- the owner of c ---

def owner(do):
    def attack(far):
        with contextlib.closing(Client(far.path('c'))) as c:
            do(far, c)
    return attack


def bus_master_off(far, c):
    before = far.counter('c', 'dma_faults')
    if c.ask(access(WRITE, CONFIG, 4, 2, b'\0\0')):
        raise Failed('refused')
    wait_for('its DMA fails', 3, lambda: far.counter('c', 'dma_faults') > before)
    c.ask(access(WRITE, CONFIG, 4, 2, b'\6\0'))


def guards_used_up(far, c):
    fd = memory(PAGE)
    errors = [c.ask(dma_map(NOBODY + k * PAGE, PAGE), fd) for k in range(600)]
    left = [c.ask(dma_unmap(NOBODY + k * PAGE, PAGE)) for k in range(600)]
    os.close(fd)
    if set(errors) != {0, errno.ENOSPC} or [not e for e in left] != [not e for e in errors]:
        raise Failed(f'600 pages that may vanish: {errors.count(0)} taken, errnos {set(errors)}; {left.count(0)} given back')


def maps_hundreds(far, c):
    """Each is there then, and gone afterwards: a second time it is refused."""
    for make in (dma_map, dma_unmap):
        for k in range(500):
            if c.ask(make(NOBODY + k * PAGE, PAGE)):
                raise Failed(f'page {k}: {make.__name__} is refused')
        for k in (0, 250, 499):
            if not c.ask(make(NOBODY + k * PAGE, PAGE)):
                raise Failed(f'page {k}: {make.__name__} is taken twice')


def withdraws_all(far, c):
    before = far.counter('c', 'dma_faults')
    if c.ask(dma_unmap(0, 0, 2)):
        raise Failed('refused')
    wait_for('its DMA fails', 3, lambda: far.counter('c', 'dma_faults') > before)


def memory_cut_short(far, c):
    """Where a's and b's memory was for c there is a file now; then it is cut."""
    regs, files = far.regs('c'), []
    if c.ask(dma_unmap(0, 0, 2)):
        raise Failed('refused')
    for peer in (0, 1):
        at = regs[f'PEER_BAR2[{peer}]']
        files.append(memory(64 * MIB))
        if c.ask(dma_map(at, 64 * MIB), files[-1]):
            raise Failed('not mapped')
    time.sleep(0.1)
    calm = far.counter('c', 'dma_faults')
    time.sleep(0.1)
    if far.counter('c', 'dma_faults') != calm:
        raise Failed('its DMA fails before the memory is cut')
    for fd in files:
        os.ftruncate(fd, 0)
    wait_for('its DMA fails', 3, lambda: far.counter('c', 'dma_faults') > calm)
    for fd in files:
        os.close(fd)


def scribbles(far, c):
    """Over all of c's rings, which its peers write."""
    rnd, got = random.Random(5), 0
    for index in range(SEGMENT, SEGMENT + 64):
        c.send(packed(REGION_INFO, struct.pack('<IIIIQQ', 256, 0, index, 0, 0, 0)))
        r = c.recv()
        if r is None or r[2]:
            break
        size = struct.unpack_from('<Q', r[3], 16)[0]
        for fd in r[4]:
            with contextlib.suppress(OSError, ValueError), mmap.mmap(fd, min(size, 256 * 1024)) as m:
                for at in range(0, len(m) - 16, 64):
                    m[at:at + 16] = rnd.randbytes(16)
                got += 1
            os.close(fd)
    if not got:
        raise Failed('no segment to write')


def bells_blocked(far, c):
    """The eventfds that c rings are full and block: what rings them must not wait."""
    full = 0xfffffffffffffffe
    c.write(CONFIG, 0x52, 2, 0x8000)  # MSI-X is on
    for k in range(3):
        fd = os.eventfd(0, 0)
        os.eventfd_write(fd, full)
        c.write(BAR4, 16 * k + 12, 4, 0)  # and the vector not masked
        for what in (4, 1):
            if c.ask(irqs(what | 32, start=k), *([fd] if what == 4 else ())):
                raise Failed('refused')
        # The kernel's own ring takes it to the end, and no further.
        if os.eventfd_read(fd) != full + 1:
            raise Failed('was not rung')
        # That was a bell: once there is room it rings.
        os.set_blocking(fd, False)
        with contextlib.suppress(BlockingIOError):
            c.ask(irqs(1 | 32, start=k))
            if os.eventfd_read(fd) == 1:
                os.close(fd)
                continue
        raise Failed('the eventfd is not what rings')


def resets(far, c):
    down = {n: far.counter(n, 'peer_down') for n in 'ab'}
    if far.stats('c')['state'] != 'running':
        raise Failed('c does not run')
    for _ in range(50):
        if c.ask(packed(RESET)):
            raise Failed('refused')
    if (far.stats('c')['state'], c.read(CONFIG, 4, 2)) != ('reset', 0):
        raise Failed(f'c is {far.stats("c")["state"]}, COMMAND {c.read(CONFIG, 4, 2):#x}')
    wait_for('a and b see it', 10, lambda: all(far.counter(n, 'peer_down') > down[n] for n in 'ab'))


def registers_at_random(far, c):
    """Every other one where registers are that take a value: of the NIC, of a port, of three peers, of punts."""
    rnd = random.Random(3)
    takes = (*range(0x10, 0xd4, 4), *range(0x1000, 0x1024, 4), *range(0x2000, 0x2180, 4), *range(0x3000, 0x3040, 4))
    for k in range(2000):
        at = rnd.choice(takes) if k % 2 else rnd.randrange(0x2000) * 4
        c.write(BAR0, at, 4, rnd.choice((0, 1, 2, 0xffffffff, rnd.getrandbits(32))))
    # They were reached: the magic is there, the segment that is looked at is what is written, and c does not run as before.
    c.write(BAR0, 0x84, 4, 0x5a5a)
    if (c.read(BAR0, 0, 4), c.read(BAR0, 0x84, 4)) != (0x4e503250, 0x5a5a) or far.stats('c')['state'] == 'running':
        raise Failed(f'magic {c.read(BAR0, 0, 4):#x}, segment {c.read(BAR0, 0x84, 4):#x}, c is {far.stats("c")["state"]}')


def configuration_at_random(far, c):
    rnd, name = random.Random(4), c.read(CONFIG, 0, 4)
    for _ in range(500):
        c.write(CONFIG, rnd.randrange(1024) * 4, 4, rnd.getrandbits(32))
    # It was reached: what takes a value has it, the function is the same one, and its registers are there when asked for.
    c.write(CONFIG, 0x3c, 1, 0x5a)
    c.write(CONFIG, 0x44, 2, 0)  # D0
    c.write(CONFIG, 4, 2, 6)
    got = c.read(CONFIG, 0x3c, 1), c.read(CONFIG, 0, 4), c.read(CONFIG, 4, 2), c.read(BAR0, 0, 4)
    if got != (0x5a, name, 6, 0x4e503250):
        raise Failed(f'line, function, COMMAND, magic: {", ".join(map(hex, got))}')


# --- those who keep a server waiting: begun first, looked at last ---

class Waiting:
    """Clients of d, e and f; each goes on as if nothing were."""

    def __init__(self, far):
        self.mute = Client(far.path('d'), False)
        self.half = Client(far.path('e'))
        self.half.send(dma_map(NOBODY, PAGE)[:20])
        self.deaf = Client(far.path('f'))
        self.deaf.sock.setblocking(False)
        request = access(READ, BAR2, 0, MIB)
        with contextlib.suppress(BlockingIOError):
            for _ in range(100):
                self.deaf.sock.sendall(request)

    @staticmethod
    def gone(client):
        client.sock.settimeout(8)
        with contextlib.suppress(ConnectionError):
            while client.sock.recv(1 << 20):
                pass
        client.close()

    def silence(self, far):
        self.gone(self.mute)

    def half_a_message(self, far):
        self.gone(self.half)

    def reads_nothing(self, far):
        wait_for('the server loses patience', 8, lambda: far.counter('f', 'protocol_errors'))
        self.deaf.close()


# name, what it does, the counter that must move, of which NIC, how
ATTACKS = (
    ("size-zero", "a message of no size", "protocol_errors", "a", says(packed(RESET, size=0))),
    ("size-below-header", "a message smaller than its header", "protocol_errors", "a", says(packed(RESET, size=15))),
    ("size-4-gib", "a message of 4 GiB, and much of it", "protocol_errors", "a",
     says(packed(WRITE, size=0xffffffff) + bytes(8 * MIB))),
    ("size-over-limit", "a message larger than agreed, and all of it", "protocol_errors", "a", says(packed(WRITE, bytes(2 * MIB)))),
    ("type-unknown", "neither command nor reply", "protocol_errors", "a", says(packed(RESET, flags=2))),
    ("reply-to-nothing", "a reply that nobody waits for", "protocol_errors", "a", says(packed(DMA_READ, flags=REPLY))),
    ("command-unknown", "a command that there is not", "request_errors", "a", says(packed(999))),
    ("command-of-the-server", "a command that only the server may send", "request_errors", "a", says(packed(DMA_WRITE, bytes(16)))),
    ("version-twice", "greets again", "request_errors", "a", says(hello())),
    ("version-left-out", "sends a command before it has greeted", "handshake_failures", "a", says(packed(INFO, bytes(16)), greet=False)),
    ("version-wrong", "greets with another version", "handshake_failures", "a", says(hello(major=9), greet=False)),
    ("version-no-json", "greets with nonsense", "handshake_failures", "a", says(hello(b'hello'), greet=False)),
    ("version-deep-json", "greets with brackets, sixteen thousand deep", "handshake_failures", "a", says(hello(b'[' * 16000), greet=False)),
    ("version-1-mib", "greets with a megabyte", "handshake_failures", "a", says(packed(VERSION, size=MIB), greet=False)),
    ("header-cut-short", "leaves in the middle of a header", "protocol_errors", "a", says(packed(RESET)[:5])),
    ("message-cut-short", "leaves in the middle of a message", "protocol_errors", "a", says(dma_map(NOBODY, PAGE)[:30], fds=['memory'])),
    ("noise", "sends random bytes", "protocol_errors", "a", noise),
    ("message-flood", "sends ten thousand commands and wants no answer", "requests", "a", message_flood),
    ("connection-flood", "opens sixty-four connections at once", "refused", "a", connection_flood),
    ("comes-and-goes", "connects and leaves a hundred times", "handshake_failures", "a", comes_and_goes),
    ("descriptor-flood", "sends sixteen hundred descriptors where none belong", "request_errors", "a", descriptor_flood),
    ("descriptors-forty", "sends more descriptors than a message may have", "request_errors", "a",
     says(irqs(4 | 32, count=40), fds=['memory'] * 40)),
    ("reset-with-body", "a reset with eight bytes more", "request_errors", "a", says(packed(RESET, bytes(8)))),
    ("map-of-nothing", "maps no bytes", "request_errors", "a", says(dma_map(NOBODY, 0))),
    ("map-wraps", "maps across the end of all addresses", "request_errors", "a", says(dma_map(2**64 - PAGE, 2 * PAGE))),
    ("map-offset-wraps", "maps a file across the end of all offsets", "request_errors", "a",
     says(dma_map(NOBODY, 2 * PAGE, offset=2**64 - PAGE), fds=['memory'])),
    ("map-over-its-file", "maps more than the file has", "request_errors", "a", says(dma_map(NOBODY, MIB), fds=['memory'])),
    ("map-of-a-pipe", "maps a pipe", "request_errors", "a", says(dma_map(NOBODY, PAGE), fds=['pipe'])),
    ("map-two-files", "maps two files at one address", "request_errors", "a", says(dma_map(NOBODY, PAGE), fds=['memory'] * 2)),
    ("map-flags-unknown", "maps with rights that there are not", "request_errors", "a", says(dma_map(NOBODY, PAGE, flags=8))),
    ("map-twice", "maps what is mapped", "request_errors", "a", maps_twice),
    ("unmap-unknown", "takes away what is not there", "request_errors", "a", says(dma_unmap(NOBODY, PAGE))),
    ("unmap-wraps", "takes away a range that wraps", "request_errors", "a", says(dma_unmap(2**64 - 1, 2))),
    ("read-no-region", "reads a region that there is not", "request_errors", "a", says(access(READ, 99, 0, 4))),
    ("read-past-the-end", "reads past the end of one", "request_errors", "a", says(access(READ, CONFIG, 4096 - 2, 4))),
    ("read-wraps", "reads from an offset that wraps", "request_errors", "a", says(access(READ, BAR0, 2**64 - 4, 8))),
    ("read-4-gib", "reads 4 GiB", "request_errors", "a", says(access(READ, BAR2, 0, 0xffffffff))),
    ("write-less-than-said", "writes less than it says", "request_errors", "a", says(access(WRITE, BAR0, 0, 9, bytes(8)))),
    ("write-more-than-said", "writes more than it says", "request_errors", "a", says(access(WRITE, BAR0, 0, 4, bytes(8)))),
    ("writes-wrap", "says that it has 2^61 writes in one message", "request_errors", "a",
     says(packed(MULTI, struct.pack('<Q', 1 << 61) + bytes(48)))),
    ("vectors-wrap", "sets vectors whose count wraps", "request_errors", "a", says(irqs(1 | 32, start=4, count=0xfffffffe))),
    ("vector-a-pipe", "sends a pipe for an eventfd", "request_errors", "a", says(irqs(4 | 32), fds=['pipe'])),
    ("vectors-fewer", "sends fewer eventfds than it says", "request_errors", "a", says(irqs(4 | 32, count=3), fds=['memory'])),
    ("memory-scribbled", "writes over the rings in the NIC's memory", "peer_down", "c", owner(scribbles)),
    ("bus-master-off", "takes the NIC its right to DMA", "dma_faults", "c", owner(bus_master_off)),
    ("guards-used-up", "lends six hundred files that it may cut", "request_errors", "c", owner(guards_used_up)),
    ("maps-hundreds", "maps and unmaps five hundred pages", "requests", "c", owner(maps_hundreds)),
    ("memory-withdrawn", "takes all memory out of the NIC's reach", "dma_faults", "c", owner(withdraws_all)),
    ("memory-cut-short", "shrinks a file under the NIC's DMA", "dma_faults", "c", owner(memory_cut_short)),
    ("bells-blocked", "lends eventfds that are full and block", "requests", "c", owner(bells_blocked)),
    ("resets", "resets the NIC fifty times", "requests", "c", owner(resets)),
    ("registers-at-random", "writes two thousand registers at random", "requests", "c", owner(registers_at_random)),
    ("configuration-at-random", "writes over the configuration space", "requests", "c", owner(configuration_at_random)),
    ("silence", "connects and says nothing for five seconds", "handshake_failures", "d", Waiting.silence),
    ("half-a-message", "begins a message and stays", "protocol_errors", "e", Waiting.half_a_message),
    ("reads-nothing", "asks for a hundred megabytes and reads none", "protocol_errors", "f", Waiting.reads_nothing),
)


def kept_nothing(far):
    """An owner's costliest, again and again: c's memory is what it was, its own and what it has mapped."""
    def costly():
        with contextlib.closing(Client(far.path('c'))) as c:
            maps_hundreds(far, c)
            guards_used_up(far, c)
    far.fresh()
    costly()
    sizes = {k: [memory_kib(far.pids['c'], k)] for k in ('RssAnon', 'VmSize')}
    for _ in range(4):
        costly()
    for k, v in sizes.items():
        v.append(memory_kib(far.pids['c'], k))
        far.b.check(v[1] - v[0] < 32, f'{k} of c: {v[0]} KiB, then {v[1]} KiB')


def one(far, name, counter, nic, attack, before=None):
    if nic == 'c':
        far.fresh()
    before = far.counter(nic, counter) if before is None else before
    frames = far.honest()

    def done():
        moved, honest = far.counter(nic, counter) - before, far.honest() - frames
        return moved > 0 and honest >= 100 and (moved, honest)
    try:
        attack(far)
        moved, honest = wait_for(f'{counter} moves and honest frames go on', 3, done)
        far.b.check(True, f'{name}: {counter} {moved}, honest frames {honest}')
    except Failed as e:
        far.b.check(False, f'{name}: {e}; {counter} {far.counter(nic, counter) - before}, honest frames {far.honest() - frames}')


def main(b):
    procs = {n: b.nic(n, *ports) for n, ports in (
        ('a', ('memif:' + b.path('good1') + ',role=server',)), ('b', ('memif:' + b.path('good2') + ',role=server', 'null:')),
        ('c', ('gen:,size=64,rate=2000',)), ('d', ('null:',)), ('e', ('null:',)), ('f', ('null:',)))}
    far = Far(b, {n: p.pid for n, p in procs.items()})
    far.up()
    loop = b.start('honest', [MEMIF_LOOP, 'check', '1000000000000', '777', '32', 'memif:' + b.path('good1'), 'memif:' + b.path('good2')])
    wait_for('the honest go', 10, lambda: far.honest() > 1000)
    open_fds = {n: descriptors(p) for n, p in far.pids.items()}
    waiting = Waiting(far)
    for name, _, counter, nic, attack in ATTACKS:
        if nic in 'ac':
            one(far, name, counter, nic, attack)
    for name, _, counter, nic, attack in ATTACKS:
        if nic in 'def':
            one(far, name, counter, nic, lambda f, attack=attack: attack(waiting, f), 0)
    # Once more, and none of it is left: all pages of the process that these touch are there now.
    warm = memory_kib(far.pids['a'])
    for _ in range(3):
        for name, _, counter, nic, attack in ATTACKS:
            if nic == 'a':
                attack(far)
    b.check(memory_kib(far.pids['a']) - warm < 1024, f'memory of a: {warm} KiB, then {memory_kib(far.pids["a"])} KiB')
    kept_nothing(far)
    for n, p in far.pids.items():
        try:
            wait_for('descriptors', 3, lambda n=n, p=p: descriptors(p) <= open_fds[n])
        except Failed:
            b.check(False, f'{n} has {descriptors(p)} descriptors open, {open_fds[n]} before')
    b.equal(loop.stop(), 0, 'the honest pair: ' + ' '.join(loop.out.split('\n')))
    b.equal([p.stop() for p in procs.values()], [0] * 6, 'status at the end')
    b.check(len(ATTACKS) >= 20, f'{len(ATTACKS)} attacks')


run(main)
