#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""`run --static-route-file`: each frame leaves to the station of its longest prefix, by the port of that; errors name the line."""
import ipaddress
import random
import struct

from lib import P2PNIC, pcap_read, pcap_write, run

SEED = 20267
FRAMES = 2000
MAC = ('02:50:32:ff:00:00', '02:50:32:ff:00:01')


def mac(text):
    return bytes.fromhex(text.replace(':', ''))


def ipv4(dst):
    head = struct.pack('>BBHHHBBH4s4s', 0x45, 0, 46, 0, 0, 64, 17, 0, bytes((198, 18, 0, 1)), dst.to_bytes(4, 'big'))
    total = sum(struct.unpack('>10H', head))
    total = (total & 0xffff) + (total >> 16)
    total = (total & 0xffff) + (total >> 16)
    return mac(MAC[0]) + mac('020000000001') + b'\x08\x00' + head[:10] + struct.pack('>H', ~total & 0xffff) + head[12:] + bytes(26)


def routes(rng):
    """The frames' port is 0; all leave by port 0 of nic1 or nic2, to one of 200 stations."""
    made = {}
    for _ in range(3000):
        n = rng.choice((4, 8, 12, 16, 20, 22, 24, 24, 28, 32))
        net = ipaddress.ip_network((rng.randrange(1 << 24, 120 << 24) >> 32 - n << 32 - n, n))
        made[net] = (rng.choice(('nic1.0', 'nic2.0')), f'02:00:00:00:{rng.randrange(2):02x}:{rng.randrange(100):02x}')
    return made


def longest(made, dst):
    for n in range(32, 3, -1):
        hop = made.get(ipaddress.ip_network((dst >> 32 - n << 32 - n, n)))
        if hop:
            return hop
    return None


def forward(b):
    rng = random.Random(SEED)
    made = routes(rng)
    nets = list(made)
    with open(b.path('routes'), 'w', encoding='ascii') as f:
        f.write('# PREFIX NIC.PORT MAC\n\n')
        f.writelines(f'{net}\t{port}  {station} # a comment\n' for net, (port, station) in made.items())
    dsts = []
    while len(dsts) < FRAMES:
        net = rng.choice(nets)
        dsts.append(int(net.network_address) + rng.randrange(net.num_addresses))
    pcap_write(b.path('in.pcap'), [ipv4(d) for d in dsts])
    r = b.call([P2PNIC, 'run', '--route', '--static-route-file', b.path('routes'), '--router-mac', f'nic0.0={MAC[0]}',
                '--port', f'pcap:{b.path("in.pcap")},loop=3,rate=4000', '--port', f'pcap:,{b.path("1.pcap")}', '--port', f'pcap:,{b.path("2.pcap")}'], 30)
    b.equal(r.status, 0, f'run: {r.err.strip()[-100:]}')
    # What comes before the table is there is dropped; the last pass through the input is whole.
    for port in (1, 2):
        want = [(d, mac(longest(made, d)[1])) for d in dsts if longest(made, d)[0] == f'nic{port}.0']
        got = [(int.from_bytes(f[30:34], 'big'), f[:6]) for f in pcap_read(b.path(f'{port}.pcap'))]
        b.check(len(want) > 500 and got[-len(want):] == want, f'nic{port}: {len(got)} frames, each to the station of its longest prefix ({len(want)})')


def wrong(b):
    for text, says in (('10.0.0.0/8 nic1.0 02:00:00:00:00:01\n\n10.0.0.0/8 nic0.0 02:00:00:00:00:01\n', 'line 3: 10.0.0.0/8 is given twice'),
                       ('10.0.0.0/8 nic1.0\n', 'line 1: give PREFIX NIC.PORT MAC'),
                       ('10.0.0.0/8 nic1.0 02:00:00:00:00:01 more\n', 'line 1: give PREFIX NIC.PORT MAC'),
                       ('#\n10.0.0.0/8 nic1.0 03:00:00:00:00:01\n', "line 2: '03:00:00:00:00:01' is no station's MAC address"),
                       ('10.0.0.0/8 nic1.0 02:00:00:00:00:+1\n', "'02:00:00:00:00:+1' is no station's MAC address"),
                       ('10.0.0.0/8 nic7.0 02:00:00:00:00:01\n', "line 1: there is no NIC 'nic7'"),
                       ('10.0.0.1/8 nic1.0 02:00:00:00:00:01\n', 'line 1'),
                       ('nothing\n', 'line 1')):
        with open(b.path('bad'), 'w', encoding='ascii') as f:
            f.write(text)
        r = b.call([P2PNIC, 'run', '--route', '--static-route-file', b.path('bad'), '--port', 'null:', '--port', 'null:', '--seconds', '1'], 20)
        b.check(r.status == 1 and says in r.err.splitlines()[-1], f'{text!r}: {r.err.splitlines()[-1]}')
    with open(b.path('large'), 'w', encoding='ascii') as f:
        f.writelines(f'{10 + (k >> 16)}.{k >> 8 & 255}.{k & 255}.{k * 7 & 255}/32 nic{k & 1}.0 02:00:00:00:00:{k % 251:02x}\n' for k in range(60000))
    r = b.call([P2PNIC, 'run', '--route', '--static-route-file', b.path('large'), '--route-mem', '2M', '--port', 'null:', '--port', 'null:',
                '--seconds', '1'], 30)
    b.check(r.status == 1 and '60000 routes do not fit' in r.err and '--route-mem' in r.err, f'a table that is too large: {r.err.splitlines()[-1]}')


def main(b):
    forward(b)
    wrong(b)


run(main)
