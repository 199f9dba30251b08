#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What a hostile far end of a memif cable tries, by name, while an honest pair of cables of the same NICs goes on.

One `p2pnic run` of two NICs, joined port by port: cables to attack in both roles, fed by a generator behind them, and the
honest pair.  Of the honest pair every frame arrives, once, in order and whole; each attack moves the counter that its row
names, of the port attacked or of its NIC; in the end no descriptor and no memory has been kept.

docs/trust.md has the rows of ATTACKS below, and a test compares them.
"""
import array
import contextlib
import fcntl
import json
import mmap
import os
import random
import socket
import struct
import threading
import time

from lib import Failed, MEMIF_LOOP, descriptors, memory_kib, run, wait_for

ACK, HELLO, INIT, REGION, RING, CONNECT, CONNECTED, DISCONNECT = range(1, 9)
VERSION, COOKIE = 0x200, 0x3E31F20
SLOTS, LOG2, BYTES, S2C, BUFS = 8, 3, 65536, 512, 4096
HUGE = 2 << 20
F_ADD_SEALS, SEAL_SHRINK = 1033, 2
MFD_HUGE_2MB = os.MFD_HUGETLB | 21 << 26
NEXT = 1


def message(kind, fmt='', *values):
    return (struct.pack('<H' + fmt, kind, *values) + bytes(128))[:128]


def init(version=VERSION, ident=0, mode=0):
    return message(INIT, 'HIB', version, ident, mode)


def region(index=0, size=BYTES):
    return message(REGION, 'HQ', index, size)


def ring(c2s, index=0, reg=0, offset=None, log2=LOG2):
    return message(RING, 'HHHIBH', 1 if c2s else 0, index, reg, (0 if c2s else S2C) if offset is None else offset, log2, 0)


def hello(low=VERSION, high=VERSION, regions=100, log2=LOG2):
    return message(HELLO, '32sHHHHHB', b'hostile', low, high, regions, 0, 0, log2)


class LeftOut(Exception):
    """This machine has not what the attack needs."""


@contextlib.contextmanager
def no_huge_pages(pid):
    """The process gets no huge page, whatever is free: a control group with a limit, so that the pool, which others use, stays as it is."""
    with open('/proc/mounts', encoding='ascii') as f:
        root = next((x.split()[1] for x in f if x.split()[2] == 'cgroup2'), None)
    if not root:
        raise LeftOut('no cgroup v2')
    with open(f'/proc/{pid}/cgroup', encoding='ascii') as f:
        was = next(x[3:].strip() for x in f if x.startswith('0::'))

    def put(path, text):
        with open(path, 'w', encoding='ascii') as f:
            f.write(text)
    group = f'{root}/p2pnic-test-{pid}'
    with contextlib.suppress(OSError):
        put(f'{root}/cgroup.subtree_control', '+hugetlb')
    try:
        os.mkdir(group)
    except OSError as e:
        raise LeftOut(f'no cgroup: {e.strerror}') from None
    try:
        if not os.path.exists(f'{group}/hugetlb.2MB.max'):
            raise LeftOut('no limit of huge pages by cgroup')
        try:
            put(f'{group}/hugetlb.2MB.max', '0')
            put(f'{group}/cgroup.procs', str(pid))
        except OSError as e:
            raise LeftOut(f'no limit of huge pages by cgroup: {e.strerror}') from None
        yield
    finally:
        if os.path.exists(f'/proc/{pid}'):
            put(f'{root}{was}/cgroup.procs', str(pid))
        wait_for('the cgroup is empty', 3, lambda: not open(f'{group}/cgroup.procs', encoding='ascii').read())
        os.rmdir(group)


class Ring:
    """A ring in mapped memory."""

    def __init__(self, mem, at):
        self.mem, self.at = mem, at

    def _index(self, off, value):
        if value is None:
            return struct.unpack_from('<H', self.mem, self.at + off)[0]
        return struct.pack_into('<H', self.mem, self.at + off, value & 0xffff)

    def head(self, value=None):
        return self._index(6, value)

    def tail(self, value=None):
        return self._index(64, value)

    def desc(self, k, flags=0, reg=0, length=64, offset=0):
        struct.pack_into('<HHII', self.mem, self.at + 128 + 16 * (k % SLOTS), flags, reg, length, offset)

    def desc_of(self, k):
        return struct.unpack_from('<HHII', self.mem, self.at + 128 + 16 * (k % SLOTS))


class End:
    """A far end: its socket, descriptors and memory."""

    def __init__(self):
        self.sock, self.fds, self.mem, self.c2s, self.s2c = None, [], None, None, None

    def send(self, data, *fds):
        with contextlib.suppress(OSError): # turned away already
            if fds:
                socket.send_fds(self.sock, [data], fds)
            else:
                self.sock.send(data)

    def recv(self):
        """(type, message, descriptors); type 0: the end."""
        try:
            data, fds, _, _ = socket.recv_fds(self.sock, 128, 8)
        except ConnectionError:
            return 0, b'', []
        except TimeoutError:
            raise Failed('no answer within 5 s') from None
        return (struct.unpack_from('<H', data)[0] if len(data) == 128 else 0), data, fds

    def ask(self, data, *fds):
        """True: acknowledged."""
        self.send(data, *fds)
        return self.recv()[0] == ACK

    def close(self):
        if self.sock:
            self.sock.close()
        for fd in self.fds:
            os.close(fd)
        if self.mem:
            self.mem.close()
        End.__init__(self)


class Client(End):
    """Far end of a port that is the server: all memory is ours."""

    def __init__(self, path=None, step=None, seal=True, huge=False):
        super().__init__()
        if path:
            self.open(path, step, seal, HUGE if huge else BYTES)

    def open(self, path, step, seal, size):
        try:
            fd = os.memfd_create('hostile', os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING | (MFD_HUGE_2MB if size == HUGE else 0))
            os.ftruncate(fd, size)
            os.posix_fallocate(fd, 0, size)
        except OSError:
            if size == HUGE:
                raise LeftOut('no huge page is free (/proc/sys/vm/nr_hugepages)') from None
            raise
        if seal:
            fcntl.fcntl(fd, F_ADD_SEALS, SEAL_SHRINK)
        self.fds = [fd, os.eventfd(0, os.EFD_NONBLOCK), os.eventfd(0, os.EFD_NONBLOCK)]
        self.mem = mmap.mmap(fd, size)
        self.c2s, self.s2c = Ring(self.mem, 0), Ring(self.mem, S2C)
        for r, at in ((self.c2s, 0), (self.s2c, SLOTS)):
            struct.pack_into('<I', self.mem, r.at, COOKIE)
            for k in range(SLOTS):
                r.desc(k, length=2048 if r is self.s2c else 64, offset=BUFS + (at + k) * 2048)
        for _ in range(200):
            self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            self.sock.settimeout(5)
            with contextlib.suppress(BlockingIOError):  # the queue at the door is full
                self.sock.connect(path)
                if self.recv()[0] == HELLO:
                    break
            self.sock.close() # one too many, until those before are noticed to be gone
            time.sleep(0.01)
        else:
            raise Failed('no HELLO')
        for k, (data, fds) in enumerate(((init(), ()), (region(), (fd,)), (ring(True), (self.fds[1],)), (ring(False), (self.fds[2],)))):
            if k == step:
                return
            if not self.ask(data, *fds):
                raise Failed(f'step {k} of the handshake was refused')
        if step is None:
            self.connect()

    def connect(self):
        self.send(message(CONNECT))
        if self.recv()[0] != CONNECTED:
            raise Failed('not connected')


AT_INIT, AT_REGION, AT_RING, AT_CONNECT = 0, 1, 2, 4


class Server(End):
    """Far end of a port that is the client: its memory, lent to us."""

    def __init__(self, listener, up=True, first=None):
        super().__init__()
        while True: # whoever has lost patience meanwhile is still in the queue
            self.sock, _ = listener.accept()
            self.sock.setblocking(False)
            try:
                self.sock.recv(1, socket.MSG_PEEK)
            except BlockingIOError:
                break
            self.sock.close()
        self.sock.settimeout(5)
        self.send(hello() if first is None else first)
        place = {}
        while up:
            kind, data, fds = self.recv()
            if kind == REGION and struct.unpack_from('<H', data, 2)[0] == 0:
                self.mem = mmap.mmap(fds[0], struct.unpack_from('<Q', data, 4)[0])
            elif kind == RING:
                place[struct.unpack_from('<H', data, 2)[0] & 1] = struct.unpack_from('<I', data, 8)[0]
            self.fds += fds
            if kind == CONNECT:
                self.c2s, self.s2c = Ring(self.mem, place[1]), Ring(self.mem, place[0])
                self.send(message(CONNECTED))
                return
            if not kind:
                raise Failed('the client left')
            self.send(message(ACK))


class Far:
    """What is attacked: paths, and where its counters are."""

    def __init__(self, b, pid):
        self.b, self.pid = b, pid
        self.path = b.path('evil')
        self.listener = None

    def stats(self):
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(10)
        s.connect(self.b.path('run.ctl'))
        s.sendall(b'{"get":"stats"}\n')
        text = b''
        while not text.endswith(b'\n'):
            text += s.recv(1 << 20)
        s.close()
        return {n['name']: n for n in json.loads(text)['nics']}

    def link(self, port):
        return self.stats()['a']['ports'][port]['link']


# --- control messages; the port is the server ---

def after(step, *messages):
    """An attack: so far a good client, then these (bytes, which of its descriptors: 0 memory, 1 and 2 eventfds, 'pipe')."""
    def attack(far):
        c = Client(far.path, step)
        pipe = os.pipe()
        for data, *fds in messages:
            c.send(data, *(pipe[0] if f == 'pipe' else c.fds[f] for f in fds))
        with contextlib.suppress(Failed):
            while c.recv()[0]:
                pass
        c.close()
        for fd in pipe:
            os.close(fd)
    return attack


def unnamed(far):
    Client(far.path, AT_INIT).close()


def left_in_the_middle(far):
    Client(far.path, AT_RING).close()


def connection_flood(far):
    many = []
    for _ in range(64):
        s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        s.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            s.connect(far.path)
        many.append(s)
        time.sleep(0.001)
    for s in many:
        s.close()


def comes_and_goes(far):
    for k in range(100):
        c = Client(far.path, AT_INIT)
        if k & 1:
            c.send(init())
        c.close()


def second_client(far):
    with contextlib.closing(Client(far.path)) as c, contextlib.closing(Client(far.path, AT_INIT)) as other:
        if other.ask(init()):
            raise Failed('two clients on one cable')
        if not far.link(0):
            raise Failed('the first one was cut off')
        c.send(message(DISCONNECT))


def message_flood(far):
    with contextlib.closing(Client(far.path)) as c:
        c.sock.setblocking(False)
        for _ in range(2000):
            c.send(message(ACK))


# --- rings; the port is the server ---

def rings(do, seal=True):
    """An attack on a link that is up."""
    def attack(far):
        with contextlib.closing(Client(far.path, None, seal)) as c:
            wait_for('the link is up', 3, lambda: far.link(0))
            do(c)
            with contextlib.suppress(Failed):
                while c.recv()[0]:
                    pass
    return attack


def c2s_desc(**what):
    def do(c):
        c.c2s.desc(0, **{'offset': BUFS, **what})
        c.c2s.head(1)
    return rings(do)


def s2c_desc(**what):
    def do(c):
        for k in range(SLOTS):
            c.s2c.desc(k, **{'offset': BUFS, 'length': 2048, **what})
        c.s2c.head(SLOTS)
    return rings(do)


def index(name, value):
    return rings(lambda c: getattr(c, name).head(value))


def head_back(c):
    for k in range(4):
        c.c2s.desc(k, length=64, offset=BUFS + k * 2048)
    c.c2s.head(4)
    wait_for('four frames are taken', 3, lambda: c.c2s.tail() == 4)
    c.c2s.head(2)


def endless(c):
    for k in range(SLOTS):
        c.c2s.desc(k, NEXT, length=16, offset=BUFS)
    c.c2s.head(SLOTS)


def frame_of_nothing(far):
    with contextlib.closing(Client(far.path)) as c:
        c.c2s.desc(0, length=0, offset=BUFS)
        c.c2s.head(1)
        wait_for('it is taken', 3, lambda: c.c2s.tail() == 1)


def rewrites(far):
    """Descriptors and indexes rewritten while they are read, until the port has had enough."""
    rnd, end = random.Random(7), time.monotonic() + 5
    with contextlib.closing(Client(far.path)) as c:
        c.sock.setblocking(False)
        while time.monotonic() < end:
            for _ in range(64):
                r = (c.c2s, c.s2c)[rnd.random() < 0.5]
                r.desc(rnd.randrange(SLOTS), rnd.randrange(2), rnd.randrange(8) == 0, rnd.choice((64, 64, 0, 2048, 1 << 31)),
                       rnd.choice((BUFS, BUFS, BYTES - 32, 0xfffffff0)))
                r.head(r.tail() + rnd.randrange(3))
            try:
                if not c.sock.recv(128):
                    return
            except BlockingIOError:
                continue
            except ConnectionError:
                return
            return
    raise Failed('never cut off')


def memory_cut(far):
    rings(lambda c: (c.s2c.head(SLOTS), c.c2s.head(4), os.ftruncate(c.fds[0], 0)), seal=False)(far)


def memory_cut_early(far):
    with contextlib.closing(Client(far.path, AT_CONNECT, False)) as c:
        os.ftruncate(c.fds[0], 0)
        c.send(message(CONNECT))
        with contextlib.suppress(Failed):
            while c.recv()[0]:
                pass


def memory_punched(far):
    """Sealed, and yet it goes: a page of hugetlbfs, and none is free for the hole."""
    with no_huge_pages(far.pid), contextlib.closing(Client(far.path, huge=True)) as c:
        wait_for('the link is up', 3, lambda: far.link(0))
        c.s2c.head(SLOTS)
        c.c2s.head(4)
        c.mem.madvise(mmap.MADV_REMOVE)
        with contextlib.suppress(Failed):
            while c.recv()[0]:
                pass


def full_eventfd(far):
    """The eventfd that the port must write to is full and blocks."""
    with contextlib.closing(Client(far.path, AT_CONNECT)) as c:
        for fd in c.fds[1:]:
            os.eventfd_write(fd, 0xfffffffffffffffe)
            fcntl.fcntl(fd, fcntl.F_SETFL, 0)
        c.connect()
        c.s2c.head(SLOTS)
        wait_for('frames come', 3, lambda: c.s2c.tail() >= SLOTS // 2)


# --- the port is the client ---

def greets(first):
    def attack(far):
        with contextlib.closing(Server(far.listener, False, first)) as s:
            while s.recv()[0] not in (0, DISCONNECT):
                pass
    return attack


def hello_and_gone(far):
    with contextlib.closing(Server(far.listener, False)) as s:
        s.recv()


def lent(do):
    def attack(far):
        with contextlib.closing(Server(far.listener)) as s:
            wait_for('the link is up', 3, lambda: far.link(2))
            wait_for('buffers are posted', 3, lambda: s.s2c.head())
            do(s)
            with contextlib.suppress(Failed):
                while s.recv()[0]:
                    pass
    return attack


def moved(**what):
    def do(s):
        flags, reg, _, offset = s.s2c.desc_of(0)
        s.s2c.desc(0, what.get('flags', flags), reg + what.get('reg', 0), what.get('length', 64), offset + what.get('by', 0))
        s.s2c.tail(1)
    return lent(do)


def lent_endless(s):
    for k in range(SLOTS):
        _, reg, _, offset = s.s2c.desc_of(k)
        s.s2c.desc(k, NEXT, reg, 64, offset)
    s.s2c.tail(SLOTS)


# --- what waits for the port to lose patience: begun first, looked at last ---

class Silent:
    """A client that stops in the middle of its handshake, and the port that has only that one."""

    def __init__(self, far):
        self.far = far
        self.client = Client(far.b.path('silent'), AT_RING)

    def __call__(self, far):
        wait_for('the port loses patience', 8, lambda: not self.client.recv()[0])
        self.client.close()


SERVER, CLIENT, SILENT = 0, 2, 3  # ports of NIC a

def lent_punched(far):
    """The far end takes away what it was lent, of the NIC's own memory: frames to it are lost then, for good."""
    with no_huge_pages(far.pid), contextlib.closing(Server(far.listener)) as s:
        lent_huge = [fd for fd in s.fds if os.fstatvfs(fd).f_bsize == HUGE]
        if not lent_huge:
            raise LeftOut('the buffers have no huge pages (/proc/sys/vm/nr_hugepages)')
        wait_for('the link is up', 3, lambda: far.link(CLIENT))
        before = counted(far.stats(), CLIENT, 'dma_faults')
        for fd in lent_huge:
            with mmap.mmap(fd, os.fstat(fd).st_size) as m:
                m.madvise(mmap.MADV_REMOVE)

        def takes_on():
            s.c2s.tail(s.c2s.head())
            return counted(far.stats(), CLIENT, 'dma_faults') > before
        wait_for('the NIC finds a page gone', 5, takes_on)


# name, what it does, the counter of the port (or of the NIC) that must move, the port, how
ATTACKS = (
    ("version-wrong", "speaks another version of the protocol", "peer_errors", SERVER, after(AT_INIT, (init(version=0x100),))),
    ("mode-wrong", "wants IP packets without Ethernet headers", "peer_errors", SERVER, after(AT_INIT, (init(mode=1),))),
    ("id-unknown", "asks for an interface that there is not", "peer_refused", SERVER, after(AT_INIT, (init(ident=77),))),
    ("init-left-out", "sends its memory before it has said who it is", "peer_refused", SERVER, after(AT_INIT, (region(), 0))),
    ("init-with-memory", "sends memory with it", "peer_refused", SERVER, after(AT_INIT, (init(), 0))),
    ("init-twice", "says it twice", "peer_errors", SERVER, after(AT_REGION, (init(),))),
    ("message-unknown", "sends a message of no known type", "peer_errors", SERVER, after(AT_REGION, (message(0xffff),))),
    ("message-of-the-server", "sends what only a server may", "peer_errors", SERVER, after(AT_REGION, (message(CONNECTED),))),
    ("message-short", "sends part of a message", "peer_errors", SERVER, after(AT_REGION, (region()[:100], 0))),
    ("message-long", "sends more than a message", "peer_errors", SERVER, after(AT_REGION, (region() + bytes(4000), 0))),
    ("message-empty", "sends a message of no bytes", "peer_refused", SERVER, after(AT_REGION, (b'',))),
    ("message-flood", "sends two thousand messages at once", "peer_errors", SERVER, message_flood),
    ("region-without-memory", "announces memory and sends none", "peer_errors", SERVER, after(AT_REGION, (region(),))),
    ("region-index-jump", "skips an index", "peer_errors", SERVER, after(AT_REGION, (region(7), 0))),
    ("region-twice", "gives two regions one index", "peer_errors", SERVER, after(AT_RING, (region(), 0))),
    ("region-over-its-file", "announces more than the file has", "peer_errors", SERVER, after(AT_REGION, (region(size=BYTES + 1), 0))),
    ("region-wraps", "announces all memory that there can be", "peer_errors", SERVER, after(AT_REGION, (region(size=2**64 - 1), 0))),
    ("region-of-a-pipe", "sends a pipe for memory", "peer_errors", SERVER, after(AT_REGION, (region(), 'pipe'))),
    ("region-after-ring", "sends memory after the rings", "peer_errors", SERVER, after(AT_CONNECT, (region(1), 0))),
    ("descriptors-eight", "sends eight descriptors with one message", "peer_errors", SERVER, after(AT_REGION, (region(), *[0] * 8))),
    ("descriptor-unasked", "sends a descriptor where none belongs", "peer_errors", SERVER, after(AT_CONNECT, (message(DISCONNECT), 0))),
    ("ring-bell-a-pipe", "sends a pipe for an eventfd", "peer_errors", SERVER, after(AT_RING, (ring(True), 'pipe'))),
    ("ring-size-wraps", "asks for a ring of 2^255 slots", "peer_errors", SERVER, after(AT_RING, (ring(True, log2=255), 1))),
    ("ring-outside", "has a ring begin in its memory and end outside", "peer_errors", SERVER,
     after(AT_RING, (ring(True), 1), (ring(False, offset=BYTES - 128), 2), (message(CONNECT),))),
    ("ring-unaligned", "has a ring at an odd place", "peer_errors", SERVER,
     after(AT_RING, (ring(True), 1), (ring(False, offset=S2C + 1), 2), (message(CONNECT),))),
    ("ring-region-unknown", "has a ring in a region that there is not", "peer_errors", SERVER,
     after(AT_RING, (ring(True), 1), (ring(False, reg=0xffff), 2), (message(CONNECT),))),
    ("ring-without-cookie", "has a ring where none is", "peer_errors", SERVER,
     after(AT_RING, (ring(True), 1), (ring(False, offset=BUFS), 2), (message(CONNECT),))),
    ("connect-without-rings", "is done before it has begun", "peer_errors", SERVER, after(AT_RING, (message(CONNECT),))),
    ("half-open", "connects, says nothing and leaves", "peer_refused", SERVER, unnamed),
    ("half-a-handshake", "leaves in the middle of the handshake", "peer_refused", SERVER, left_in_the_middle),
    ("connection-flood", "opens sixty-four connections at once", "peer_refused", SERVER, connection_flood),
    ("comes-and-goes", "connects and leaves a hundred times", "peer_refused", SERVER, comes_and_goes),
    ("second-client", "connects to a cable that has its far end", "peer_refused", SERVER, second_client),
    ("head-jump", "moves a head further than the ring has slots", "peer_errors", SERVER, index('c2s', SLOTS + 1)),
    ("head-half", "moves it by half of all numbers", "peer_errors", SERVER, index('c2s', 0x8000)),
    ("head-back", "moves it back", "peer_errors", SERVER, rings(head_back)),
    ("buffers-jump", "posts more buffers than the ring has slots", "peer_errors", SERVER, index('s2c', SLOTS + 1)),
    ("region-unknown", "sends from a region that there is not", "peer_errors", SERVER, c2s_desc(reg=5)),
    ("offset-wraps", "sends from an offset that wraps", "peer_errors", SERVER, c2s_desc(offset=0xfffffff0)),
    ("length-wraps", "sends a frame of 4 GiB", "peer_errors", SERVER, c2s_desc(length=0xffffffff)),
    ("past-the-end", "sends from the last bytes of its memory and those behind", "peer_errors", SERVER, c2s_desc(offset=BYTES - 32)),
    ("endless-frame", "sends a frame that never ends", "peer_errors", SERVER, rings(endless)),
    ("frame-of-nothing", "sends a frame of no bytes", "rx_refused", SERVER, frame_of_nothing),
    ("buffer-of-nothing", "posts a buffer of no bytes", "peer_errors", SERVER, s2c_desc(length=0)),
    ("buffer-outside", "posts a buffer outside its memory", "peer_errors", SERVER, s2c_desc(offset=BYTES - 100)),
    ("rewritten-while-read", "rewrites descriptors and indexes while they are read", "peer_errors", SERVER, rewrites),
    ("memory-cut-short", "shrinks its memory under the port", "peer_errors", SERVER, memory_cut),
    ("memory-cut-early", "shrinks it in the middle of the handshake", "peer_errors", SERVER, memory_cut_early),
    ("memory-punched", "takes a huge page out of it, where no other is free", "peer_errors", SERVER, memory_punched),
    ("bell-full", "lends an eventfd that is full and blocks", "tx_frames", SERVER, full_eventfd),
    ("hello-version", "greets with another version", "peer_errors", CLIENT, greets(hello(0x300, 0x300))),
    ("hello-too-small", "takes fewer regions than there are", "peer_errors", CLIENT, greets(hello(regions=1))),
    ("hello-left-out", "is connected before it has said a word", "peer_errors", CLIENT, greets(message(CONNECTED))),
    ("hello-and-gone", "greets and leaves", "peer_refused", CLIENT, hello_and_gone),
    ("tail-jump", "fills more buffers than were posted", "peer_errors", CLIENT, lent(lambda s: s.s2c.tail(s.s2c.head() + 1))),
    ("tail-back", "moves a tail back", "peer_errors", CLIENT, lent(lambda s: s.s2c.tail(0xffff))),
    ("takes-unsent", "has taken frames that were never sent", "peer_errors", CLIENT, lent(lambda s: s.c2s.tail(s.c2s.head() + 9))),
    ("length-over-buffer", "fills a buffer with more than it holds", "peer_errors", CLIENT, moved(length=65536)),
    ("buffer-moved", "moves a buffer that was posted", "peer_errors", CLIENT, moved(by=64)),
    ("buffer-elsewhere", "moves it to another region", "peer_errors", CLIENT, moved(reg=1)),
    ("lent-endless-frame", "fills all buffers with a frame that never ends", "peer_errors", CLIENT, lent(lent_endless)),
    ("lent-punched", "takes huge pages out of the NIC's own memory, where no other is free", "dma_faults", CLIENT, lent_punched),
    ("handshake-stalls", "stops in the middle of the handshake and stays", "peer_refused", SILENT, None),
)


def honest(stats):
    """Frames that left at either end of the honest pair."""
    return stats['a']['ports'][1]['tx_frames'] + stats['b']['ports'][1]['tx_frames']


def counted(stats, port, counter):
    """A counter of a's port, or of a itself."""
    return stats['a']['ports'][port].get(counter, stats['a']['events'].get(counter))


def one(far, name, counter, port, attack, before=None):
    before = before or far.stats()
    try:
        attack(far)
    except LeftOut as e:
        print(f'{name}: left out: {e}')
        return
    def done():
        now = far.stats()
        moved_by = counted(now, port, counter) - counted(before, port, counter)
        return moved_by and honest(now) - honest(before) >= 100 and (moved_by, honest(now) - honest(before))
    try:
        far.b.check(True, f'{name}: {counter} and honest frames {wait_for(f"{counter} moves, honest frames go on", 3, done)}')
    except Failed as e:
        now = far.stats()
        far.b.check(False, f'{name}: {e}; honest {honest(now) - honest(before)}, '
                           f'{ {k: v - before["a"]["ports"][port][k] for k, v in now["a"]["ports"][port].items() if isinstance(v, int)} }')


def main(b):
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.settimeout(5)
    listener.bind(b.path('evil2'))
    listener.listen(4)
    gen = 'gen:,size=64,rate=5000'
    nic = b.run('--nic', 'a', *(a for p in (b.path('evil') + ',role=server', b.path('good1') + ',role=server', b.path('evil2'),
                                            b.path('silent') + ',role=server') for a in ('--port', 'memif:' + p)),
                '--nic', 'b', '--port', gen, '--port', 'memif:' + b.path('good2') + ',role=server', '--port', gen, '--port', 'null:')
    wait_for('it listens', 10, lambda: os.path.exists(b.path('run.ctl')) and os.path.exists(b.path('silent')))
    far = Far(b, nic.pid)
    far.listener = listener
    loop = b.start('honest', [MEMIF_LOOP, 'check', '1000000000000', '777', '32', 'memif:' + b.path('good1'), 'memif:' + b.path('good2')])
    wait_for('the honest go', 10, lambda: honest(far.stats()) > 1000)
    begin, open_fds = far.stats(), descriptors(nic.pid)
    silent = Silent(far)
    for name, _, counter, port, attack in ATTACKS:
        one(far, name, counter, port, attack or silent, attack is None and begin)
    # Once more, and none of it is left: all pages of the process that these touch are there now.
    warm = memory_kib(nic.pid)
    for _ in range(5):
        for name, _, counter, port, attack in ATTACKS[:ATTACKS.index(next(a for a in ATTACKS if a[0] == "frame-of-nothing"))]:
            attack(far)
    b.check(memory_kib(nic.pid) - warm < 1024, f'memory: {warm} KiB, then {memory_kib(nic.pid)} KiB')
    listener.close()
    wait_for(f'descriptors: {open_fds} again', 3, lambda: descriptors(nic.pid) <= open_fds)
    b.equal(loop.stop(), 0, 'the honest pair: ' + ' '.join(loop.out.split('\n')))
    b.equal(nic.stop(), 0, 'exit status')
    n = {x['name']: x for x in json.loads(nic.out)['nics']}
    b.equal([n[x]['ports'][1][c] for x in 'ab' for c in ('peer_errors', 'peer_refused', 'tx_lost', 'rx_refused')], [0] * 8,
            'nothing of it in the honest cables\' counters')
    b.check(len(ATTACKS) >= 20, f'{len(ATTACKS)} attacks')


run(main)
