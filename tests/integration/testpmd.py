#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""testpmd.py [full]: DPDK's testpmd (Debian's) as the memif peer on both ends, in each role.

  counted  testpmd txonly -> p2pnic -> testpmd rxonly: what one sent the other received, to the frame
  checked  our generator -> p2pnic -> testpmd io -> p2pnic -> our sink: content, order, number of every frame

testpmd reckons without the FCS, as memif does: 64 is a frame of 64 bytes in memory.
full: more frame sizes, and all of them everywhere.
"""
import json
import os
import re
import time

from lib import FULL, Failed, drops, need_tool, run, wait_for

SIZES = (64, 128, 256, 512, 1024, 1518) if FULL else (64, 512, 1518)
SECONDS = 0.5 if FULL else 0.3
RATE = 20000  # frames per second of our generator: far below saturation


class Testpmd:
    """One testpmd process with one memif port, told what to do through its prompt."""

    def __init__(self, b, name, sock, role, zero_copy, *args):
        vdev = f'net_memif0,role={role},socket={sock},socket-abstract=no'
        if role == 'client':
            vdev += f',zero-copy={"yes" if zero_copy else "no"}'
        self.b, self.name = b, name
        r, self.stdin = os.pipe()
        os.set_inheritable(r, True)
        # -m: memory stays small; one segment file, or zero-copy closes descriptors after it has connected.
        self.proc = b.start(name, ['stdbuf', '-o0', 'dpdk-testpmd', '-l', '0,1', '--no-huge', '-m', '256', '--no-pci', '--no-shconf',
                                   '--single-file-segments', '--no-telemetry', f'--file-prefix=p2pt{os.getpid()}{name}{len(b.procs)}',
                                   f'--vdev={vdev}', '--', '-i', '--total-num-mbufs=16384', '--port-topology=loop',
                                   '--no-flush-rx', *args], stdin=r)
        os.close(r)
        self.proc.expect('testpmd>', 30)

    def tell(self, *lines):
        """Says lines to the prompt and waits until all have been carried out."""
        mark = f'p2pt-mark-{time.monotonic_ns()}'
        os.write(self.stdin, ('\n'.join(lines) + f'\n{mark}\n').encode())
        self.proc.expect(mark, 20)
        wait_for(f'{self.name} answers', 20, lambda: 'testpmd>' in self.proc.out.split(mark)[-1])
        return self.proc.out

    def counts(self):
        """(received, sent) frames."""
        text = self.tell('show port stats 0').rsplit('NIC statistics for port 0', 1)[1]
        return int(re.search(r'RX-packets: (\d+)', text).group(1)), int(re.search(r'TX-packets: (\d+)', text).group(1))

    def link(self):
        return 'Link status: up' in self.tell('show port info 0').rsplit('Infos for port 0', 1)[1]

    def quit(self):
        try:
            os.write(self.stdin, b'stop\nquit\n')
            self.proc.wait(10)
        except (Failed, BrokenPipeError):
            self.proc.kill()
        os.close(self.stdin)


def other(role):
    return 'server' if role == 'client' else 'client'


def placed(what, nics, ports):
    """What must be so in cut: every frame of these ports was received in place."""
    frames = sum(p['rx_frames'] for p in ports)
    got = sum(n['events']['cut_frames'] for n in nics), sum(n['events']['p2p_bytes'] for n in nics)
    if got != (frames, 0):
        raise Failed(f'{what}: {frames} frames received, in place and p2p bytes: {got}')


def counted(b, mode, role, zero_copy, args=()):
    """role: p2pnic's, on both ports."""
    what = ' '.join([mode, *args]) + f', p2pnic {role}' + (', testpmd zero-copy' if zero_copy else '')
    sock = [b.path(f's{len(b.procs)}{k}') for k in 'lr']
    args = ['--mode', mode, *args] + [a for s in sock for a in ('--port', f'memif:{s},role={role}')]
    if role == 'server':
        nic = b.run(*args)
        wait_for('sockets', 10, lambda: all(map(os.path.exists, sock)))
    left = Testpmd(b, 'left', sock[0], other(role), zero_copy, '--forward-mode=txonly')
    right = Testpmd(b, 'right', sock[1], other(role), zero_copy, '--forward-mode=rxonly')
    if role == 'client':
        nic = b.run(*args)
    wait_for('links are up', 10, lambda: left.link() and right.link())
    right.tell('start')
    total = [0, 0]
    for size in SIZES:
        left.tell(f'set txpkts {size}', 'start')
        time.sleep(SECONDS)
        left.tell('stop')
        sent = left.counts()[1]

        def arrived(sent=sent):
            return right.counts()[0] >= sent
        try:
            wait_for('frames arrive', 3, arrived, 0.05)
        except Failed:
            pass
        got = right.counts()[0]
        b.check(got == sent and sent > total[0], f'{what}, {size} bytes: {sent - total[0]} sent, {got - total[1]} received,'
                f' {(sent - total[0]) / SECONDS / 1e6:.2f} Mpps')
        total = [sent, got]
    nics = b.stats_run()
    ports = [n['ports'][0] for n in nics.values()]
    b.equal((ports[0]['rx_frames'], ports[1]['tx_frames']), tuple(total), f'{what}: p2pnic counted the same')
    b.equal([drops(n) for n in nics.values()], [{}, {}], f'{what}: drops')
    if 'cut' in args:
        placed(what, nics.values(), ports)
    for p in (left, right):
        p.quit()
    b.equal(nic.stop(), 0, f'{what}: p2pnic ends with status')


def checked(b, mode, role, zero_copy, args=()):
    what = ' '.join([mode, *args]) + f', p2pnic {role}' + (', testpmd zero-copy' if zero_copy else '')
    # A testpmd of its own for each run: DPDK's unmaps on disconnect what its forwarding core may just be reading.
    gens = [('size=mix', 10000 if role == 'client' else 60000)]
    if role == 'client' and (FULL or (mode, args) == ('wr', ())):
        gens += [('size=68', 10000), ('size=1518', 10000)]
    for size, count in gens:
        sock = b.path(f'io{len(b.procs)}')
        if role == 'client':
            pmd = Testpmd(b, 'io', sock, 'server', False, '--forward-mode=io')
            pmd.tell('start')
        nic = b.run('--mode', mode, *args, '--nic', 'g', '--port', f'gen:g,{size},rate={RATE},count={count}', '--nic', 'm',
                    '--port', f'memif:{sock},role={role}', '--seconds', '8')
        if role == 'server':
            # testpmd takes its time to start: a longer run.
            wait_for('socket', 10, lambda sock=sock: os.path.exists(sock))
            pmd = Testpmd(b, 'io', sock, 'client', zero_copy, '--forward-mode=io')
            pmd.tell('start')
        wait_for(f'{what} {size}: run ends', 20, lambda nic=nic: not nic.alive())
        o = json.loads(nic.out)
        g, n = o['generators'][0], {n['name']: n for n in o['nics']}
        early, port = n['m']['drops']['tx_link_down'], n['m']['ports'][0]
        harm = {k: g[k] for k in ('duplicated', 'reordered', 'corrupted', 'foreign')}
        # What testpmd does not send back, because it finds the ring full, is its own drop.
        b.check(g['sent'] - early == port['tx_frames'] and port['rx_frames'] == g['received'] > 0 and not any(harm.values()) and
                sum(drops(n['m']).values()) + sum(drops(n['g']).values()) == early,
                f'{what}, gen {size}: {g["sent"]} sent, {early} before the link was up, {port["tx_frames"]} to testpmd, '
                f'{port["tx_frames"] - port["rx_frames"]} kept by it, {port["rx_frames"]} from it, {g["received"]} in the sink, {harm},'
                f' p50 {g["latency_p50_ns"] / 1e3:.0f} us')
        if 'cut' in args:
            placed(what, n.values(), [n['g']['ports'][0], port])
        pmd.quit()


def main(b):
    need_tool('dpdk-testpmd')
    for mode, role, zero_copy in (('wr', 'client', False), ('wr', 'server', False), ('rd', 'client', False),
                                  ('wr', 'server', True), ('bn', 'client', False)):
        counted(b, mode, role, zero_copy)
    for role, zero_copy in (('client', False), ('server', True)):
        counted(b, 'wr', role, zero_copy, ('--placement', 'cut'))
        checked(b, 'wr', role, zero_copy, ('--placement', 'cut'))
    for mode, role, zero_copy in (('wr', 'client', False), ('rd', 'client', False), ('wr', 'server', False), ('rd', 'server', True)):
        checked(b, mode, role, zero_copy)


if __name__ == '__main__':
    run(main)
