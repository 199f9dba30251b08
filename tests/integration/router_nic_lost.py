#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""router_nic_lost.py: one NIC of three dies under load, and the other two still follow tens of thousands of changes.

Killed under a router that made the tables, killed under one that has just taken them over, and stopped, which a NIC may come
back from: then it leaves everything to the kernel until the next router gives it its whole table.  At last a fourth is added, with
a host of its own, and leaves again.
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
        self.r, self.hosts = b.netns('router'), {i: b.netns(f'h{i}') for i in (0, 1, 3)}
        b.must(self.r.cmd('sh', '-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward'))
        self.nics = [self.tap(0), self.tap(1), self.busy()]

    def tap(self, i):
        return self.b.nic(f'n{i}', f'tap:h{i},netns={self.hosts[i].path}')

    def busy(self):
        """Always in the middle of something: only such a one holds an epoch."""
        return self.b.nic('n2', 'gen:load,rate=1000000')

    def router(self, names=NICS):
        argv = [P2PNIC, 'router', *self.b.addresses(names), '--silence', '2000', '--keep', '--route-mem', '2M']
        return self.b.start('p2pnic-router', self.r.cmd(*argv)).expect('routing: ', 20)

    def address(self, i):
        h = self.hosts[i]
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


def again(b, n, router, want, names=NICS):
    b.equal(router.stop(), 0, 'the router ends with status')
    router = n.router(names)
    b.check(want in router.out, 'the next one: ' + router.out.strip())
    return router


def grows(b, n, router):
    """A fourth NIC routes once the next router knows it, and is forgotten by the one after its end."""
    four = (*NICS, 'n3')
    n.nics.append(n.tap(3))
    router = again(b, n, router, '1 introduced, 3 adopted', four)
    n.address(3)
    follows(b, n, 'a fourth is there', 0, 1)
    wait_for('the fourth has the whole table', 20, lambda: n.right(four), 0.2)
    before = b.stats('n3')['n3']['ports'][0]['tx_frames']
    r = b.call(n.hosts[0].cmd('ping', '-n', '-q', '-c', '20', '-i', '0.02', '-W', '2', '10.4.0.2'), 20)
    after = b.stats('n0', 'n3')
    b.check(r.status == 0 and after['n3']['ports'][0]['tx_frames'] >= before + 15 and after['n0']['events']['routed'],
            f'it is routed to and from: {r.out.strip().splitlines()[-2:]}')
    b.equal(n.nics.pop().stop(), 0, 'the fourth ends with status')
    router = again(b, n, router, '0 introduced, 3 adopted')
    b.equal([p['state'] for p in b.show('peers', 'n0')['nics'][0]['peers']], ['up', 'up', 'up', 'absent'], 'whom n0 knows')
    follows(b, n, 'the fourth has left', 0, 1)
    return router


def main(b):
    need_root('network namespaces')
    need_tool('ip', 'ping', 'unshare', 'nsenter')
    n = Net(b)
    b.up(NICS, '--route', '--route-mem', '2M', '--max-nics', '4')
    router = n.router()
    n.address(0)
    n.address(1)
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
    router = grows(b, n, router)
    b.equal(router.stop(), 0, 'the router ends with status')
    b.equal([x.stop() for x in n.nics], [0, 0, 0], 'NICs end with status')


run(main)
