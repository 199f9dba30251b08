# SPDX-License-Identifier: BSD-3-Clause
"""Drives a QEMU whose vfio-user-pci device is our server, over the qtest
protocol: what firmware and an operating system do to a PCI function, without
either.

usage: qemu_attach.py QEMU SOCKET shared|private generic|fake

shared: guest memory has a descriptor; private: DMA goes by message.  fake: the
server is tests/unit/vfio_user/fake_nic, whose registers ask for DMA and fire
vectors.
"""
import subprocess
import sys
import time

SLOT = 5
BAR0, BAR2, BAR4 = 0xE0000000, 0x800000000, 0xE4000000
FAKE = {"iova": 0x100, "len": 0x108, "command": 0x10C, "result": 0x110, "done": 0x114, "fire": 0x118, "data": 0x1000}


class Qemu:
    def __init__(self, qemu, socket, shared):
        ram = ["-machine", "q35", "-m", "64M"]
        if shared:
            ram = ["-machine", "q35,memory-backend=ram",
                   "-object", "memory-backend-memfd,id=ram,size=64M,share=on"]
        device = '{"driver":"vfio-user-pci","addr":"%d.0","socket":{"type":"unix","path":"%s"}}' % (SLOT, socket)
        command = [qemu] + ram + ["-accel", "tcg", "-S", "-display", "none", "-nodefaults", "-monitor", "none",
                                  "-qtest", "stdio", "-qtest-log", "/dev/null", "-device", device]
        self.p = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, line):
        self.p.stdin.write(line + "\n")
        self.p.stdin.flush()
        while True:
            answer = self.p.stdout.readline()
            if not answer:
                raise SystemExit("QEMU is gone: it did not accept the device")
            words = answer.split()
            if words and words[0] == "OK":
                return words[1] if len(words) > 1 else None
            if words and words[0] in ("FAIL", "ERR"):
                raise SystemExit("QEMU: %s to %s" % (answer.strip(), line))

    def read(self, size, at):
        return int(self.ask("read%s %#x" % ({1: "b", 2: "w", 4: "l", 8: "q"}[size], at)), 16)

    def write(self, size, at, value):
        self.ask("write%s %#x %#x" % ({1: "b", 2: "w", 4: "l", 8: "q"}[size], at, value))

    def select(self, off):
        self.ask("outl 0xcf8 %#x" % (0x80000000 | SLOT << 11 | off & 0xFC))

    def config(self, off, size=4):
        self.select(off)
        name, port = {1: "b", 2: "w", 4: "l"}[size], 0xCFC + off % 4
        return int(self.ask("in%s %#x" % (name, port)), 16)

    def config_write(self, off, value, size=4):
        self.select(off)
        self.ask("out%s %#x %#x" % ({1: "b", 2: "w", 4: "l"}[size], 0xCFC + off % 4, value))

    def close(self):
        self.p.stdin.close()
        self.p.kill()
        self.p.wait()


def check(what, got, want):
    if got != want:
        raise SystemExit("%s: %s instead of %s" % (what, got if isinstance(got, bytes) else hex(got),
                                                  want if isinstance(want, bytes) else hex(want)))
    print("ok: %s" % what)


def bar_bytes(q, off):
    q.config_write(off, 0xFFFFFFFF)
    low = q.config(off)
    if not low:
        return 0
    if low & 4:
        q.config_write(off + 4, 0xFFFFFFFF)
        return ~(q.config(off + 4) << 32 | low & ~0xF) + 1 & (1 << 64) - 1
    return ~(low & ~0xF) + 1 & 0xFFFFFFFF


def find_cap(q, cap):
    at, seen = q.config(0x34, 1), 0
    while at and seen < 48:
        if q.config(at, 1) == cap:
            return at
        at, seen = q.config(at + 1, 1), seen + 1
    raise SystemExit("no capability %#x" % cap)


def generic(q):
    check("vendor and device", q.config(0), 0x10F21AF4)
    check("class Ethernet", q.config(8) >> 8, 0x020000)
    check("BAR0 is 64 KiB", bar_bytes(q, 0x10), 65536)
    check("BAR2 is 64 bits, prefetchable", q.config(0x18) & 0xF, 0xC)
    size = bar_bytes(q, 0x18)
    check("BAR2 is a power of two of 2 MiB at least", size & (size - 1) | (size < 1 << 21), 0)
    check("BAR4 is there", bar_bytes(q, 0x20) >= 4096, True)
    for cap, name in ((1, "power management"), (0x10, "PCI Express"), (0x11, "MSI-X")):
        check("capability " + name, q.config(find_cap(q, cap), 1), cap)
    q.config_write(0x10, BAR0)
    q.config_write(0x18, BAR2 & 0xFFFFFFFF)
    q.config_write(0x1C, BAR2 >> 32)
    q.config_write(0x20, BAR4)
    q.config_write(4, 6, 2)
    check("memory and bus mastering enabled", q.config(4, 2), 6)
    check("BAR0 answers", q.read(4, BAR0) != 0xFFFFFFFF, True)


def dma(q, command, iova, length):
    done = q.read(4, BAR0 + FAKE["done"])
    q.write(8, BAR0 + FAKE["iova"], iova)
    q.write(4, BAR0 + FAKE["len"], length)
    q.write(4, BAR0 + FAKE["command"], command)
    for _ in range(500):
        if q.read(4, BAR0 + FAKE["done"]) != done:
            return q.read(4, BAR0 + FAKE["result"])
        time.sleep(0.01)
    raise SystemExit("DMA does not end")


def fake(q):
    data = bytes(range(1, 201))
    q.write(4, BAR0 + 0x40, 0x12345678)
    check("BAR0 remembers", q.read(4, BAR0 + 0x40), 0x12345678)
    q.write(4, BAR2 + 0x10020, 0x9ABCDEF0)
    check("BAR2 remembers", q.read(4, BAR2 + 0x10020), 0x9ABCDEF0)
    q.ask("write %#x %d 0x%s" % (BAR0 + FAKE["data"], len(data), data.hex()))
    check("DMA write", dma(q, 2, 0x100000, len(data)), 0)
    check("DMA write's bytes", bytes.fromhex(q.ask("read 0x100000 %d" % len(data))[2:]), data)
    q.ask("write 0x200000 %d 0x%s" % (len(data), data[::-1].hex()))
    check("DMA read", dma(q, 1, 0x200000, len(data)), 0)
    check("DMA read's bytes", bytes.fromhex(q.ask("read %#x %d" % (BAR0 + FAKE["data"], len(data)))[2:]), data[::-1])
    check("DMA outside guest memory fails", dma(q, 1, 1 << 45, 16) != 0, True)
    # A vector whose message goes to memory, where it can be seen.
    msix = find_cap(q, 0x11)
    for vector in (0, 5):
        q.write(4, BAR4 + 16 * vector, 0x300000 + 4 * vector)
        q.write(4, BAR4 + 16 * vector + 4, 0)
        q.write(4, BAR4 + 16 * vector + 8, 0xC0FFEE00 + vector)
        q.write(4, BAR4 + 16 * vector + 12, 0)
    q.config_write(msix + 2, 0x8000, 2)
    for vector in (5, 0):
        q.write(4, BAR0 + FAKE["fire"], vector)
        for _ in range(500):
            if q.read(4, 0x300000 + 4 * vector):
                break
            time.sleep(0.01)
        check("MSI-X vector %d" % vector, q.read(4, 0x300000 + 4 * vector), 0xC0FFEE00 + vector)
    q.config_write(msix + 2, 0, 2)


def main():
    qemu, socket, memory, kind = sys.argv[1:]
    q = Qemu(qemu, socket, memory == "shared")
    try:
        generic(q)
        if kind == "fake":
            fake(q)
    finally:
        q.close()


main()
