#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A capture of mixed frames goes in and comes out byte-identical and in order, in each mode, in one process and in three."""
import random
import struct

from lib import MODES, Failed, drops, first_difference, pcap_read, pcap_write, pcapng_write, port_sum, run, wait_for

SEED = 20261
FRAMES = 3000


def ipv4(rng, size):
    """IPv4 and UDP; header checksum right."""
    head = struct.pack('>BBHHHBBH4s4s', 0x45, 0, size, rng.getrandbits(16), 0, 64, 17, 0, rng.randbytes(4), rng.randbytes(4))
    total = sum(struct.unpack('>10H', head))
    total = (total & 0xffff) + (total >> 16)
    total = (total & 0xffff) + (total >> 16)
    head = head[:10] + struct.pack('>H', ~total & 0xffff) + head[12:]
    return head + struct.pack('>HHHH', 1024, 9, size - 20, 0) + rng.randbytes(size - 28)


def ipv6(rng, size):
    return struct.pack('>IHBB', 0x60000000, size - 40, 17, 64) + rng.randbytes(size - 8)


def frame(rng, size):
    """One of: IPv4, IPv6, either with one or two VLAN tags, ARP, garbage with any addresses."""
    kind = rng.randrange(6)
    if kind == 5:
        return rng.randbytes(size)
    macs = rng.choice((b'\xff' * 6, bytes([2]) + rng.randbytes(5), bytes([0x33, 0x33]) + rng.randbytes(4))) + \
        bytes([2]) + rng.randbytes(5)
    tags = b''.join(struct.pack('>HH', tpid, rng.getrandbits(16)) for tpid in ((), (0x8100,), (0x88a8, 0x8100))[rng.randrange(3)])
    room = size - 14 - len(tags)
    if kind == 4:
        return (macs + tags + struct.pack('>HHHBBH', 0x0806, 1, 0x0800, 6, 4, 1)).ljust(size, b'\0')
    if kind < 2 and room >= 28:
        return macs + tags + b'\x08\x00' + ipv4(rng, room)
    if room >= 40:
        return macs + tags + b'\x86\xdd' + ipv6(rng, room)
    return macs + tags + b'\x88\xb5' + rng.randbytes(room)


def mixed(seed, count):
    rng = random.Random(seed)
    special = [60, 61, 63, 64, 65, 127, 128, 129, 255, 256, 257, 1514, 1518, 2047, 2048, 2049, 4095, 4096, 4097, 6144, 8999, 9000]
    sizes = special + [rng.choice((rng.randint(60, 200), rng.randint(60, 1518), rng.randint(60, 9000)))
                       for _ in range(count - len(special))]
    rng.shuffle(sizes)
    return [frame(rng, size) for size in sizes]


def compare(b, what, path, want):
    try:
        got = pcap_read(path)
    except (OSError, Failed) as e:
        b.check(False, f'{what}: {e}')
        return
    wrong = first_difference(got, want)
    b.check(not wrong, f'{what}: {len(got)} frames, {sum(map(len, got))} bytes ' + (wrong or 'byte-identical and in order'))


def ended(b, p, what):
    """A run ends by itself when its input has been forwarded."""
    try:
        status = p.wait(20)
    except Failed:
        nics = b.stats_run()
        b.check(False, f'{what}: stands still: ' + '; '.join(
            f'{n["name"]} held {n["held"]} drops {drops(n)} ' + ' '.join(f'in {q["rx_frames"]} out {q["tx_frames"]}' for q in n['ports'])
            for n in nics.values()))
        p.kill()
        return False
    return b.check(status == 0, f'{what}: exit status {status} {p.err.strip() if status else ""}')


def one_process(b, mode, name, want, args=()):
    out = b.path(f'{mode}-{name}-out.pcap')
    p = b.run('--mode', mode, '--port', f'pcap:{b.path(name)}', '--port', f'pcap:,{out}', *args)
    if ended(b, p, f'{mode} {name} {" ".join(args)}'.strip()):
        compare(b, f'{mode} {name} {" ".join(args)}'.strip(), out, want)


def both_ways(b, mode, there, back):
    out = [b.path(f'{mode}-{k}.pcap') for k in (0, 1)]
    p = b.run('--mode', mode, '--port', f'pcap:{b.path("there.pcap")},{out[0]}', '--port', f'pcap:{b.path("back.pcap")},{out[1]}')
    if not ended(b, p, f'{mode} both ways at once'):
        return
    compare(b, f'{mode} there', out[1], there)
    compare(b, f'{mode} back', out[0], back)


def three_processes(b, mode, want):
    out = b.path(f'{mode}-vfu.pcap')
    a, z = b.nic('a', f'pcap:{b.path("ns.pcap")}'), b.nic('z', f'pcap:,{out}')
    if mode == 'bn':
        up = b.up_stay(['a', 'z'], '--mode', mode)
    else:
        b.up(['a', 'z'], '--mode', mode)
    try:
        wait_for('all frames out', 30, lambda: b.stats('z')['z']['ports'][0]['tx_frames'] >= len(want), 0.1)
    except Failed as e:
        b.check(False, f'{mode} over vfio-user: {e}')
    nics = b.stats('a', 'z')
    b.say(f'{mode} over vfio-user: p2p {sum(n["p2p_bytes"] for n in nics.values())} B, host'
          f' {sum(n["host_bytes"] for n in nics.values())} B, frames in {port_sum(nics, "rx_frames")},'
          f' drops {[drops(n) for n in nics.values()]}')
    if mode == 'bn':
        b.equal(up.stop(), 0, 'bn: driver ends with status')
    else:
        b.down(['a', 'z'])
    b.equal([a.stop(), z.stop()], [0, 0], f'{mode}: NICs end with status')
    compare(b, f'{mode} over vfio-user', out, want)


def main(b):
    want, back = mixed(SEED, FRAMES), mixed(SEED + 1, FRAMES)
    b.say(f'seed {SEED}: {len(want)} frames, {min(map(len, want))} to {max(map(len, want))} bytes, {sum(map(len, want))} in all')
    pcap_write(b.path('ns.pcap'), want)
    pcap_write(b.path('us.pcap'), want, nanoseconds=False)
    pcap_write(b.path('be.pcap'), want, big_endian=True)
    pcapng_write(b.path('ng.pcapng'), want)
    pcap_write(b.path('there.pcap'), want)
    pcap_write(b.path('back.pcap'), back)
    for mode in MODES:
        one_process(b, mode, 'ns.pcap', want)
    one_process(b, 'wr', 'us.pcap', want)
    one_process(b, 'rd', 'be.pcap', want)
    one_process(b, 'bn', 'ng.pcapng', want)
    for args in (('--batch', '1'), ('--batch', '64', '--stride', '4'), ('--buf-size', '9728', '--scrub', 'on'),
                 ('--slots', '64', '--stride', '256', '--cores', '0')):
        for mode in ('wr', 'rd'):
            one_process(b, mode, 'ns.pcap', want, args)
    for mode in MODES:
        both_ways(b, mode, want, back)
    for mode in MODES:
        three_processes(b, mode, want)


run(main)
