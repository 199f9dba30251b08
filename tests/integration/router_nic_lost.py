#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""router_nic_lost.py: one NIC of three dies under load, and the other two still follow tens of thousands of changes.

Killed under a router that made the tables, killed under one that has just taken them over, and stopped, which a NIC may come
back from: then it leaves everything to the kernel until the next router gives it its whole table.
"""
import signal
import time

from lib import P2PNIC, need_root, need_tool, run, wait_for

GATEWAYS, ROUTES, TURNS = 1000, 2000, 12
NICS = ('n0', 'n1', 'n2')


def gateway(i):
    return f'10.2.{1 + (i >> 8)}.{i & 255}'


def prefix(i):
    return f'100.64.{i >> 8}.{i & 255}'


class Net:
    def __init__(self, b):
        self.b, self.turn = b, 0
        self.r, self.hosts = b.netns('router'), [b.netns('h0'), b.netns('h1')]
        b.must(self.r.cmd('sh', '-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward'))
        self.nics = [b.nic(f'n{i}', f'tap:h{i},netns={h.path}') for i, h in enumerate(self.hosts)]
        self.nics.append(self.busy())

    def busy(self):
        """Always in the middle of something: only such a one holds an epoch."""
        return self.b.nic('n2', 'gen:load,rate=1000000')

    def router(self):
        argv = [P2PNIC, 'router', *self.b.addresses(NICS), '--silence', '2000', '--keep', '--route-mem', '2M']
        return self.b.start('p2pnic-router', self.r.cmd(*argv)).expect('routing: ', 20)

    def address(self):
        for i, h in enumerate(self.hosts):
            self.b.must(self.r.cmd('ip', 'addr', 'add', f'10.{1 + i}.0.1/16', 'dev', f'n{i}p0'))
            self.b.must(h.cmd('ip', 'addr', 'add', f'10.{1 + i}.0.2/16', 'dev', f'h{i}'))
            self.b.must(h.cmd('ip', 'link', 'set', f'h{i}', 'up'))
            self.b.must(h.cmd('ip', 'route', 'add', 'default', 'via', f'10.{1 + i}.0.1'))

    def ip(self, lines):
        with open(self.b.path('batch'), 'w', encoding='ascii') as f:
            f.write('\n'.join(lines) + '\n')
        self.b.must(self.r.cmd('ip', '-batch', self.b.path('batch')), 60)

    def mac(self, i):
        return f'02:00:{self.turn >> 8:02x}:{self.turn & 255:02x}:{i >> 8:02x}:{i & 255:02x}'

    def changes(self, turns):
        """Every gateway gets another MAC address, every prefix another gateway, some of each at a time."""
        for _ in range(turns):
            self.turn += 1
            for k in range(0, GATEWAYS, 100):
                self.ip([f'neigh replace {gateway(i)} lladdr {self.mac(i)} dev n1p0 nud permanent' for i in range(k, k + 100)] +
                        [f'route replace {prefix(i)}/32 via {gateway((i * 7 + self.turn) % GATEWAYS)}' for i in range(2 * k, 2 * k + 200)])

    def counts(self):
        return self.b.must(self.r.cmd(P2PNIC, 'show', 'router', '--json')).json['router'][0]

    def get(self, i):
        return self.b.must(self.r.cmd(P2PNIC, 'route', 'get', prefix(i), '--json')).json

    def right(self, who):
        """The last of all the changes is in force in these NICs' own tables."""
        c = self.counts()
        if c['unplaced'] or c['sync_due'] or c['prefixes']['ipv4'] < ROUTES:
            return None
        for i in range(0, ROUTES, 149):
            g = (i * 7 + self.turn) % GATEWAYS
            got = self.get(i)
            hops = {x['nic']: x['hop'] for x in got['nics']}
            if got['kind'] != 'forward' or got['ways'][0]['mac'] != self.mac(g) or got['ways'][0]['via'] != gateway(g) or \
               any(hops[n] != got['hop'] for n in who):
                return None
        return True


def follows(b, n, what, lost, turns=TURNS):
    begun = time.monotonic()
    n.changes(turns)
    told = time.monotonic() - begun
    try:
        wait_for('the others have all changes', 30, lambda: n.right(('n0', 'n1')), 0.2)
    except Exception as e:  # the counts tell more
        b.check(False, f'{what}: {e}: {n.counts()}')
        return
    c = n.counts()
    b.check(c['nics_lost'] == lost, f'{what}: {turns * GATEWAYS} changes of next hops and {turns * ROUTES} of routes told in {told:.1f} s, in force in'
            f' the other two {time.monotonic() - begun - told:.1f} s later; retired {c["retired"]}, lost {c["nics_lost"]}')
    r = b.call(n.hosts[0].cmd('ping', '-n', '-q', '-c', '3', '-i', '0.05', '-W', '2', '10.2.0.2'), 20)
    b.check(r.status == 0, f'{what}: they forward: {r.out.strip().splitlines()[-2:]}')


def said(b, router, why):
    lines = [x for x in router.err.splitlines() if 'is lost' in x]
    b.check(len(lines) == 1 and why in lines[0], f'said once: {[x.replace(b.dir, "") for x in lines]}')


def again(b, n, router, want):
    b.equal(router.stop(), 0, 'the router ends with status')
    router = n.router()
    b.check(want in router.out, 'the next one: ' + router.out.strip())
    return router


def main(b):
    need_root('network namespaces')
    need_tool('ip', 'ping', 'unshare', 'nsenter')
    n = Net(b)
    b.up(NICS, '--route', '--route-mem', '2M')
    router = n.router()
    n.address()
    follows(b, n, 'all there', 0, 1)

    n.nics[2].kill()
    follows(b, n, 'killed', 1)
    said(b, router, 'its process has ended')

    n.nics[2] = n.busy()
    router = again(b, n, router, '1 introduced, 2 adopted')
    wait_for('the one in its place has the whole table', 20, lambda: n.right(NICS), 0.2)
    n.nics[2].kill()
    follows(b, n, 'killed when it had been taken over', 1)
    said(b, router, 'its process has ended')

    n.nics[2] = n.busy()
    router = again(b, n, router, '1 introduced, 2 adopted')
    wait_for('the one in its place has the whole table', 20, lambda: n.right(NICS), 0.2)
    n.nics[2].send(signal.SIGSTOP)
    follows(b, n, 'stopped', 1)
    said(b, router, 'it does not answer')
    n.nics[2].send(signal.SIGCONT)
    follows(b, n, 'it goes on', 1, 1)
    hops = {x['hop'] for i in (0, 77, 1999) for x in n.get(i)['nics'] if x['nic'] == 'n2'}
    b.equal(hops, {4}, 'it leaves everything to the kernel: hop')  # P2P_HOP_PUNT
    router = again(b, n, router, '0 introduced, 3 adopted')
    wait_for('it has the whole table', 20, lambda: n.right(NICS), 0.2)
    follows(b, n, 'all there again', 0, 2)
    b.equal(router.stop(), 0, 'the router ends with status')
    b.equal([x.stop() for x in n.nics], [0, 0, 0], 'NICs end with status')


run(main)
