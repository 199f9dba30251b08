#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""router_daemons.py frr|bird: routing daemons on both sides of NICs that route, and on them.

left -- p2pnic -- right speak BGP with the router between them and give it 5,000 prefixes each, which it passes on: traffic
between hosts behind them goes through the NICs.  Then a withdrawn route, a failed link, a killed daemon.
"""
import os
import random
import sys
import time

from lib import P2PNIC, need_root, need_tool, run, skip, wait_for

EACH = 5000
FRR = '/usr/lib/frr'
# AS, address towards the router, the router's, prefixes from here.
SIDES = {'left': (65001, '10.1.0.2', '10.1.0.1', '100.64'), 'right': (65002, '10.2.0.2', '10.2.0.1', '100.96')}
ROUTER_AS = 65000


def prefixes(side):
    base = SIDES[side][3]
    first, second = (int(x) for x in base.split('.'))
    return [f'{first}.{second + (i >> 8)}.{i & 255}.0/24' for i in range(EACH)]


def host(side, i):
    return prefixes(side)[i][:-4] + '7'


class Frr:
    """zebra and bgpd in a namespace, with files of their own."""

    def __init__(self, b, ns, name):
        self.b, self.ns, self.name = b, ns, name
        self.dir = b.path('frr-' + name)
        os.makedirs(self.dir, exist_ok=True)
        os.chmod(self.dir, 0o777)
        os.chmod(b.dir, 0o755)
        self.procs = []

    def start(self, asn, router_id, neighbours, networks):
        conf = [f'router bgp {asn}', f' bgp router-id {router_id}', ' no bgp ebgp-requires-policy', ' no bgp network import-check',
                ' bgp bestpath as-path multipath-relax', ' timers bgp 1 3']
        for addr, peer in neighbours:
            conf += [f' neighbor {addr} remote-as {peer}', f' neighbor {addr} advertisement-interval 0', f' neighbor {addr} timers connect 1']
        conf += [' address-family ipv4 unicast'] + [f'  network {p}' for p in networks] + [' exit-address-family']
        with open(f'{self.dir}/bgpd.conf', 'w', encoding='ascii') as f:
            f.write('\n'.join(conf) + '\n')
        open(f'{self.dir}/zebra.conf', 'w', encoding='ascii').close()
        for d in ('zebra', 'bgpd'):
            os.chmod(f'{self.dir}/{d}.conf', 0o644)
        self.run()

    def daemon(self, name, *args):
        argv = [f'{FRR}/{name}', '-u', 'frr', '-g', 'frr', '-f', f'{self.dir}/{name}.conf', '-i', f'{self.dir}/{name}.pid',
                '-z', f'{self.dir}/zserv', '--vty_socket', self.dir, *args]
        p = self.b.start(f'{name}-{self.name}', self.ns.cmd(*argv))
        self.procs.append(p)
        return p

    def run(self):
        self.daemon('zebra', '-A', '127.0.0.1')
        wait_for('zebra', 10, lambda: os.path.exists(f'{self.dir}/zserv'))
        self.daemon('bgpd', '-A', '127.0.0.1')

    def vtysh(self, *commands):
        args = [x for c in commands for x in ('-c', c)]
        return self.b.must(self.ns.cmd('vtysh', '--vty_socket', self.dir, *args)).out

    def withdraw(self, asn, prefix):
        self.vtysh('configure terminal', f'router bgp {asn}', 'address-family ipv4 unicast', f'no network {prefix}')

    def kill(self):
        for p in self.procs:
            p.kill()
        self.procs = []
        for f in ('zserv', 'zebra.vty', 'bgpd.vty'):
            if os.path.exists(f'{self.dir}/{f}'):
                os.unlink(f'{self.dir}/{f}')


class Bird:
    def __init__(self, b, ns, name):
        self.b, self.ns, self.name = b, ns, name
        self.conf, self.ctl = b.path(f'bird-{name}.conf'), b.path(f'bird-{name}.ctl')
        self.proc = None

    def start(self, asn, router_id, neighbours, networks):
        self.asn, self.id, self.neighbours, self.networks = asn, router_id, neighbours, list(networks)
        self.write()
        self.run()

    def write(self):
        lines = [f'router id {self.id};', 'protocol device {}', 'protocol kernel { ipv4 { import none; export where source = RTS_BGP; }; }']
        if self.networks:
            lines += ['protocol static { ipv4; ', *(f'  route {p} blackhole;' for p in self.networks), '}']
        for i, (addr, peer) in enumerate(self.neighbours):
            lines += [f'protocol bgp b{i} {{ local as {self.asn}; neighbor {addr} as {peer}; hold time 3; connect retry time 1;',
                      '  connect delay time 0; error wait time 1, 2; ipv4 { import all; export all; }; }']
        with open(self.conf, 'w', encoding='ascii') as f:
            f.write('\n'.join(lines) + '\n')

    def run(self):
        self.proc = self.b.start('bird-' + self.name, self.ns.cmd('bird', '-f', '-c', self.conf, '-s', self.ctl))

    def withdraw(self, asn, prefix):
        self.networks.remove(prefix)
        self.write()
        self.b.must(['birdc', '-s', self.ctl, 'configure'])

    def kill(self):
        self.proc.kill()


class Net:
    def __init__(self, b):
        self.b = b
        self.ns = {s: b.netns(s) for s in SIDES}
        self.r = b.netns('router')
        b.must(self.r.cmd('sh', '-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding'))
        self.nics = [b.nic(s, f'tap:{s},netns={self.ns[s].path}') for s in SIDES]
        b.up(list(SIDES), '--route')
        self.router = b.start('p2pnic-router', self.r.cmd(P2PNIC, 'router', *b.addresses(list(SIDES)), '--silence', '2000')).expect('routing: ', 20)
        for s, (_, addr, gw, _) in SIDES.items():
            b.must(self.r.cmd('ip', 'addr', 'add', gw + '/24', 'dev', s + 'p0'))
            b.must(self.ns[s].cmd('ip', 'addr', 'add', addr + '/24', 'dev', s))
            b.must(self.ns[s].cmd('ip', 'link', 'set', s, 'up'))
            # Hosts of every prefix of this side, this one too in a table before the daemon's routes.
            batch = b.path(f'hosts-{s}')
            with open(batch, 'w', encoding='ascii') as f:
                f.write(''.join(f'route add local {p} dev lo table local\n' for p in prefixes(s)))
            b.must(self.ns[s].cmd('ip', '-batch', batch))

    def get(self, addr):
        return self.b.must(self.r.cmd(P2PNIC, 'route', 'get', addr, '--json')).json

    def count(self):
        return len([r for r in self.b.must(self.r.cmd(P2PNIC, 'show', 'routes', '--json'), 60).json['routes'] if r['kind'] == 'forward'])

    def ping(self, i, count=3):
        r = self.b.call(self.ns['left'].cmd('ping', '-n', '-q', '-c', str(count), '-i', '0.05', '-W', '1', '-I', host('left', i), host('right', i)), 20)
        return f' {count} received' in r.out

    def kernel(self):
        out = self.b.must(self.r.cmd('ip', '-4', '-j', 'route', 'show'), 60).json
        return len([r for r in out if r['dst'].endswith('.0/24') and r['dst'].startswith('100.')])


def exchange(b, n, daemons):
    begun = time.monotonic()
    wait_for('the router has all prefixes from both', 90, lambda: n.kernel() == 2 * EACH, 0.3)
    learnt = time.monotonic() - begun
    wait_for('the NICs have them', 30, lambda: n.count() >= 2 * EACH, 0.3)
    b.check(True, f'{2 * EACH} routes in the kernel after {learnt:.1f} s, in the NICs after {time.monotonic() - begun:.1f} s')
    rng = random.Random(3)
    wait_for('right has what left announces', 60, lambda: n.ping(7), 0.5)
    good = [n.ping(rng.randrange(EACH)) for _ in range(20)]
    b.check(all(good), f'ping between hosts behind both: {sum(good)} of {len(good)}')
    got = n.get(host('right', 9))
    b.check(got['kind'] == 'forward' and got['ways'][0]['via'] == SIDES['right'][1] and {x['hop'] for x in got['nics']} == {got['hop']},
            f'{got["prefix"]} is forwarded to {got["ways"][0]["via"]} by the NICs')
    before = packets(n)
    n.ping(11, 20)
    b.check(packets(n) - before >= 40, f'by the NICs: {packets(n) - before} of 40 packets')


def packets(n):
    return sum(h['packets'] for h in n.b.must(n.r.cmd(P2PNIC, 'show', 'nexthops', '--json')).json['nexthops'] if h['kind'] == 'forward')


def withdrawn(b, n, daemons):
    p = prefixes('right')[33]
    daemons['right'].withdraw(SIDES['right'][0], p)
    wait_for('a withdrawn route', 20, lambda: n.get(host('right', 33)).get('prefix') != p, 0.1)
    b.check(not n.ping(33, 2), 'a withdrawn route: nothing gets there')
    b.check(n.ping(34), 'its neighbour is there')


def link_failed(b, n, daemons):
    b.must(n.ns['right'].cmd('ip', 'link', 'set', 'right', 'down'))
    wait_for('the device loses its carrier', 10, lambda: 'NO-CARRIER' in b.must(n.r.cmd('ip', 'link', 'show', 'rightp0')).out, 0.1)
    wait_for('routes by it are gone', 30, lambda: n.get(host('right', 34)).get('kind') != 'forward', 0.2)
    wait_for('all of them', 30, lambda: n.count() <= EACH + 8, 0.3)
    b.check(not n.ping(34, 2), 'a failed link: nothing gets there')
    b.must(n.ns['right'].cmd('ip', 'link', 'set', 'right', 'up'))
    wait_for('they come back', 90, lambda: n.count() >= 2 * EACH - 1, 0.5)
    wait_for('and traffic', 30, lambda: n.ping(34), 0.5)
    b.check(True, 'and comes back with the link')


def killed(b, n, daemons):
    """The daemon on the router: the kernel keeps its routes, so the NICs do; the neighbours, who see the session end, drop theirs."""
    daemons['router'].kill()
    for s, (_, _, gw, _) in SIDES.items():
        b.must(n.ns[s].cmd('ip', 'route', 'add', 'default', 'via', gw, 'metric', '999'))
    time.sleep(1)
    b.equal((n.kernel(), n.get(host('right', 35))['kind']), (2 * EACH - 1, 'forward'), 'daemon killed: the kernel\'s routes stay, and the NICs\'')
    before = packets(n)
    b.check(n.ping(35, 20) and packets(n) - before >= 40, f'traffic flows: {packets(n) - before} packets by the NICs')
    for s in SIDES:
        b.must(n.ns[s].cmd('ip', 'route', 'del', 'default'))
    daemons['router'].run()
    wait_for('the sides have each other again', 90, lambda: n.ping(35), 0.5)
    wait_for('all of it', 60, lambda: n.kernel() == 2 * EACH - 1 and n.count() >= 2 * EACH - 1, 0.5)
    b.check(n.ping(36), 'and learns everything again when it is started')


def main(b):
    need_root('network namespaces')
    need_tool('ip', 'ping', 'unshare', 'nsenter')
    kind = next((a for a in sys.argv[1:] if a in ('frr', 'bird')), None)
    if kind == 'frr' and not os.path.exists(f'{FRR}/bgpd'):
        skip('no frr; scripts/install.sh full installs it')
    if kind == 'bird':
        need_tool('bird', 'birdc')
    n = Net(b)
    make = Frr if kind == 'frr' else Bird
    daemons = {s: make(b, n.ns[s], s) for s in SIDES}
    daemons['router'] = make(b, n.r, 'router')
    daemons['router'].start(ROUTER_AS, '10.1.0.1', [(a, asn) for asn, a, _, _ in SIDES.values()], [])
    for s, (asn, _, gw, _) in SIDES.items():
        daemons[s].start(asn, SIDES[s][1], [(gw, ROUTER_AS)], prefixes(s))
    exchange(b, n, daemons)
    withdrawn(b, n, daemons)
    link_failed(b, n, daemons)
    killed(b, n, daemons)
    b.equal(n.router.stop(), 0, 'p2pnic router ends with status')
    b.equal([x.stop() for x in n.nics], [0, 0], 'NICs end with status')


run(main)
