#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Bad input: one line that says what and what to do, exit status 1 or 2, nothing left behind, and no running NIC disturbed."""
import os
import random
import socket
import struct
import threading

from lib import NOTE, P2PNIC, drops, numbered_frames, pcap_read, pcap_write, pcapng_write, refused, run, wait_for

def usage(b):
    null = ['--port', 'null:', '--port', 'null:']
    refused(b, ['fly'], 'fly', status=2)
    refused(b, ['run', '--fast'], '--fast', status=2)
    refused(b, ['run', '--port', 'gen:,speed=3', '--port', 'null:'], 'speed')
    refused(b, ['run', '--port', 'carrier-pigeon:', '--port', 'null:'], 'carrier-pigeon')
    for batch in ('0', '65', '-1', '8x'):
        refused(b, ['run', '--batch', batch, *null], '--batch', '64', status=2)
    for stride in ('3', '2', '512', '0'):
        refused(b, ['run', '--stride', stride, *null], '--stride', status=2)
    refused(b, ['run', *null, '--pair', 'nic0.0=nic1.7'], 'no port 7')
    refused(b, ['run', *null, '--pair', 'nic0.0=nic5.0'], 'nic5')
    refused(b, ['run', '--mem', '2M', *(['--port', 'null:'] * 16)], 'memory')
    refused(b, ['run', '--port', 'tap:x,netns=/no/such', '--port', 'null:'], '/no/such')


def captures(b):
    frames = numbered_frames(20, 200, 1)
    pcap_write(b.path('good.pcap'), frames)
    pcapng_write(b.path('good.pcapng'), frames)
    with open(b.path('text.pcap'), 'w', encoding='ascii') as f:
        f.write('this is no capture\n' * 100)
    open(b.path('empty.pcap'), 'wb').close()
    pcap_write(b.path('noframes.pcap'), [])
    with open(b.path('wifi.pcap'), 'wb') as f:
        f.write(struct.pack('<IHHiIII', 0xa1b2c3d4, 2, 4, 0, 0, 65535, 105) + bytes(100))
    names = ['text.pcap', 'empty.pcap', 'noframes.pcap', 'wifi.pcap', 'not-there.pcap']
    rng = random.Random(4)
    for name in ('good.pcap', 'good.pcapng'):
        with open(b.path(name), 'rb') as f:
            data = f.read()
        for cut in (10, 30, len(data) // 2, len(data) - 1):
            names.append(f'cut-{cut}-{name}')
            with open(b.path(names[-1]), 'wb') as f:
                f.write(data[:cut])
    with open(b.path('garbled.pcap'), 'wb') as f:
        f.write(data[:40] + rng.randbytes(2000))
    names.append('garbled.pcap')
    for name in names:
        refused(b, ['run', '--port', f'pcap:{b.path(name)}', '--port', f'pcap:,{b.path("new.pcap")}'], name, status=1)
    refused(b, ['run', '--port', f'pcap:{b.path("good.pcap")}', '--port', f'pcap:,{b.path("no/dir/x.pcap")}'], 'no/dir', status=1)
    refused(b, ['run', '--port', f'pcap:{b.dir}', '--port', 'null:'], b.dir, status=1)
    refused(b, ['run', '--port', f'pcap:{b.path("good.pcap")}', '--port', 'pcap:,/dev/full', '--json'], '/dev/full', status=1)


def full_disk(b):
    """A disk of 64 KiB: the run ends with an error, and an older capture of that name is still there, whole."""
    pcap_write(b.path('big.pcap'), numbered_frames(2000, 1000, 2))
    old = numbered_frames(3, 100, 3)
    pcap_write(b.path('old.pcap'), old)
    disk = b.path('disk')
    os.mkdir(disk)
    r = b.call(['unshare', '-m', 'sh', '-c', 'mount -t tmpfs -o size=64k p2pt "$1" && cp "$2" "$1/out.pcap" &&'
                ' { "$3" run --port "pcap:$4" --port "pcap:,$1/out.pcap" >/dev/null; echo "status $?"; ls "$1"; cp "$1/out.pcap" "$5"; }',
                'sh', disk, b.path('old.pcap'), P2PNIC, b.path('big.pcap'), b.path('kept.pcap')], 30)
    if 'status' not in r.out:
        b.say('no small file system to fill: ' + r.err.strip())
        return
    said = [s for s in r.err.splitlines() if NOTE not in s]
    b.check('status 1' in r.out and len(said) == 1 and 'out.pcap' in said[0], f'full disk: {r.out.splitlines()[:1]} {said}')
    b.equal(r.out.split()[2:], ['out.pcap'], 'full disk: files on it')
    b.equal(pcap_read(b.path('kept.pcap')) == old, True, 'full disk: the older capture is whole')


def mute(b):
    """A socket that takes connections and never answers, and one that talks nonsense."""
    def serve(path, answer):
        s = socket.socket(socket.AF_UNIX)
        s.bind(path)
        s.listen(8)

        def loop():
            kept = []
            while True:
                try:
                    c = s.accept()[0]
                    kept.append(c)
                    if answer:
                        c.sendall(answer)
                except OSError:
                    return
        threading.Thread(target=loop, daemon=True).start()
    serve(b.sock('mute'), b'')
    serve(b.sock('mad'), b'\xff' * 4096)
    for name in ('mute', 'mad'):
        refused(b, ['up', '--nic', 'vfio-user:' + b.sock(name)], name, status=1, seconds=60)
        refused(b, ['down', '--nic', 'vfio-user:' + b.sock(name)], name, status=1, seconds=60)
        refused(b, ['show', 'stats', '--socket', b.sock(name)], name, status=1, seconds=60)
    refused(b, ['show', 'stats', '--socket', b.sock('mute') + '.ctl'], 'mute')
    os.unlink(b.sock('mute'))
    os.unlink(b.sock('mad'))


def mesh(b):
    """NICs that forward: whatever a wrong `up` wants, they go on without a loss."""
    for n in ('a', 'z'):
        b.nic(n, f'gen:{n},rate=5000')
    b.nic('c', 'null:')
    b.nic('small', 'null:', 'null:', 'null:', 'null:', args=['--mem', '2M'])
    b.up(['a', 'z'], '--mode', 'wr')

    def vfu(*names):
        return [x for n in names for x in ('--nic', 'vfio-user:' + b.sock(n))]

    def out():
        return b.stats('z')['z']['ports'][0]['tx_frames']
    wait_for('traffic', 10, lambda: out() > 100)
    refused(b, ['nic', '--socket', b.sock('a'), '--port', 'null:'], 'a.sock', status=1)
    refused(b, ['up', *vfu('a', 'a')], 'one NIC', status=2)
    refused(b, ['up', *vfu('a', 'z'), '--mode', 'rd'], 'runs in wr', status=1)
    refused(b, ['up', *vfu('a', 'z'), '--batch', '16'], 'batch', status=1)
    refused(b, ['up', *vfu('a', 'z'), '--pair', 'a.0=z.1'], 'no port 1')
    refused(b, ['up', *vfu('a', 'gone')], 'gone', status=1)
    refused(b, ['up', '--nic', 'vfio-user:' + b.sock('a') + '.ctl'], 'a.sock.ctl', status=1, seconds=60)
    refused(b, ['up', '--nic', 'pci:0000:00:00.0'], 'vfio-user:', 'vfio:', status=2)
    refused(b, ['up', '--nic', 'vfio:0000:00:40.0'], 'vfio:0000:03:00.0', status=2)
    refused(b, ['up', '--nic', 'vfio:ffff:1f:1f.7'], 'ffff:1f:1f.7', 'no such PCI function', status=1)
    refused(b, ['up', '--nic', 'vfio:ffff:1f:1f.7', '--nic', 'vfio-user:nobody'], 'one kind', status=2)
    refused(b, ['bind'], '0000:03:00.0', status=2)
    refused(b, ['unbind', '3'], '0000:03:00.0', status=2)
    refused(b, ['bind', 'ffff:1f:1f.7', '--force'], 'no such PCI function', status=1)
    refused(b, ['bind', '00:00.0', '--sysfs', '/no/such'], 'no such PCI function', status=1)
    refused(b, ['up', *vfu('c', 'small')], 'memory', status=1)
    b.equal([b.stats(n)[n]['state'] for n in ('c', 'small')], ['reset', 'reset'], 'NICs of an `up` that failed')
    seen = out()
    wait_for('traffic goes on', 5, lambda: out() > seen + 100)
    nics = b.stats('a', 'z')
    b.equal([drops(n) for n in nics.values()], [{}, {}], 'drops of the NICs that were forwarding')
    b.equal([n['events']['peer_down'] for n in nics.values()], [0, 0], 'peers that went down')
    b.equal(b.up(['a', 'z'])['adopted'], 2, 'and they can be adopted')
    b.down(['a', 'z'])


def main(b):
    os.mkdir(b.env['P2PNIC_RUNTIME_DIR'], 0o700)
    usage(b)
    captures(b)
    full_disk(b)
    mute(b)
    mesh(b)


run(main)
