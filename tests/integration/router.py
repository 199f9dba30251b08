#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""router.py [full]: hosts behind NICs that route, the kernel as control plane.

Ping through and to the router, neighbours found by the kernel, traceroute, path MTU, TCP; routes by `ip` and `p2pnic route`;
a router that is killed, and one that takes over.  full: in rd as well, and with xdp: cables.
"""
import random
import re
import signal
import time

from lib import FULL, P2PNIC, need_root, need_tool, refused, run, wait_for

# Host: address here, the router's; IPv4 and IPv6.
HOSTS = {'h0': ('10.1.0.2', '10.1.0.1', 'fd01::2', 'fd01::1'), 'h1': ('10.2.0.2', '10.2.0.1', 'fd02::2', 'fd02::1'),
         'h2': ('10.3.0.2', '10.3.0.1', 'fd03::2', 'fd03::1')}


class Net:
    """Three hosts, each on a NIC of its own, and the router's namespace."""

    def __init__(self, b, cable):
        self.b, self.cable = b, cable
        self.ns = {h: b.netns(h) for h in HOSTS}
        self.r = b.netns('router')
        for path in ('net/ipv4/ip_forward', 'net/ipv6/conf/all/forwarding'):
            b.must(self.r.cmd('sh', '-c', f'echo 1 > /proc/sys/{path}'))
        for path in ('net/ipv6/conf/default/accept_dad', 'net/ipv4/icmp_ratelimit', 'net/ipv6/icmp/ratelimit'):
            b.must(self.r.cmd('sh', '-c', f'echo 0 > /proc/sys/{path}'))

    def ip(self, where, *words):
        return self.b.must((self.r if where == 'router' else self.ns[where]).cmd('ip', *words))

    def nics(self):
        if self.cable == 'xdp':
            mid = self.b.netns('cables')
            for h, ns in self.ns.items():
                self.b.must(mid.cmd('ip', 'link', 'add', 'x' + h, 'up', 'type', 'veth', 'peer', 'name', h, 'netns', ns.proc.pid))
                self.b.must(ns.cmd('ethtool', '-K', h, 'tx', 'off'))
                self.b.must(ns.cmd('ip', 'link', 'set', h, 'up'))
            self.mid = mid
        return [self.nic(i, h) for i, h in enumerate(HOSTS)]

    def nic(self, i, h):
        spec = f'xdp:x{h},netns={self.mid.path}' if self.cable == 'xdp' else f'tap:{h},netns={self.ns[h].path}'
        return self.b.nic(f'n{i}', spec)

    def router(self, *args):
        argv = [P2PNIC, 'router', *self.b.addresses(['n0', 'n1', 'n2']), '--silence', '2000', *args]
        return self.b.start('p2pnic-router', self.r.cmd(*argv)).expect('routing: ', 20)

    def address(self):
        for i, (h, (a4, r4, a6, r6)) in enumerate(HOSTS.items()):
            self.ip('router', 'addr', 'add', r4 + '/24', 'dev', f'n{i}p0')
            self.ip('router', '-6', 'addr', 'add', r6 + '/64', 'dev', f'n{i}p0', 'nodad')
            self.ip(h, 'addr', 'add', a4 + '/24', 'dev', h)
            self.ip(h, '-6', 'addr', 'add', a6 + '/64', 'dev', h, 'nodad')
            self.ip(h, 'link', 'set', h, 'up')
            self.ip(h, 'route', 'add', 'default', 'via', r4)
            self.ip(h, '-6', 'route', 'add', 'default', 'via', r6)

    def ask(self, *words):
        return self.b.must(self.r.cmd(P2PNIC, *words, '--json')).json

    def forwarded(self):
        return sum(h['packets'] for h in self.ask('show', 'nexthops')['nexthops'] if h['kind'] == 'forward')


def ping(b, n, host, to, count=3, *args):
    r = b.call(n.ns[host].cmd('ping', '-n', '-q', '-c', str(count), '-i', '0.05', '-W', '2', *args, to), 30)
    m = re.search(r'(\d+) packets transmitted, (\d+) received', r.out)
    return r.status == 0 and m and m.group(2) == str(count), (r.out + r.err).strip().splitlines()[-2:]


def through(b, n):
    wait_for('the devices have carrier', 10, lambda: n.ip('router', '-br', 'link').out.count('LOWER_UP') == 4)
    for to, what in (('10.1.0.1', 'the router'), ('10.2.0.1', 'its other address'), ('10.2.0.2', 'a host behind it'),
                     ('fd01::1', 'the router'), ('fd02::2', 'a host behind it'), ('fd03::2', 'a host behind it')):
        good, said = ping(b, n, 'h0', to)
        b.check(good, f'ping {to}, {what}: {said}')
    before = n.forwarded()
    ping(b, n, 'h0', '10.2.0.2', 20)
    b.check(n.forwarded() - before >= 40, f'the NICs forwarded {n.forwarded() - before} of 40 packets')
    kinds = {x['address']: (x['dev'], x['state']) for x in n.ask('show', 'neighbours')['neighbours']}
    b.check(kinds['10.2.0.2'][0] == 'n1p0' and kinds['fd02::2'][0] == 'n1p0', f'neighbours as the kernel has them: {kinds["10.2.0.2"]}')


def traceroute(b, n):
    for to, args, want in (('10.2.0.2', (), ['10.1.0.1', '10.2.0.2']), ('fd02::2', ('-6',), ['fd01::1', 'fd02::2'])):
        r = b.must(n.ns['h0'].cmd('traceroute', '-n', '-q', '1', '-w', '2', *args, to))
        got = [line.split()[1] for line in r.out.splitlines()[1:] if len(line.split()) > 1]
        b.equal(got, want, f'traceroute {to}: hops')


def path_mtu(b, n):
    """The last link is narrower: the sender is told by the router of its own side, and TCP gets through."""
    n.ip('router', 'link', 'set', 'n1p0', 'mtu', '1280')
    n.ip('h1', 'link', 'set', 'h1', 'mtu', '1280')
    for a in ('-4', '-6'):
        to = HOSTS['h1'][0] if a == '-4' else HOSTS['h1'][2]
        wait_for('the next hop has the MTU', 5, lambda: [w['mtu'] for h in n.ask('show', 'nexthops')['nexthops'] for w in h['ways']
                                                         if w.get('via') == to and 'mac' in w] == [1280] or ping(b, n, 'h0', to, 1) and None)
        r = b.call(n.ns['h0'].cmd('ping', a, '-n', '-c', '2', '-i', '0.2', '-W', '1', '-M', 'do', '-s', '1400', to), 20)
        said = re.search(r'From (\S+) .*?(Frag needed|Packet too big).*?mtu ?= ?(\d+)', r.out.replace(':', ':'))
        want = HOSTS['h0'][1 if a == '-4' else 3]
        b.check(said and said.group(1).rstrip(':') == want and said.group(3) == '1280',
                f'ping {a} -M do over the MTU: {said.group(0) if said else r.out[-300:]}')
    server = b.start('iperf3', n.ns['h1'].cmd('iperf3', '-s', '--forceflush'))
    server.expect('listening')
    for to in (HOSTS['h1'][0], HOSTS['h1'][2]):
        r = b.call(n.ns['h0'].cmd('iperf3', '-c', to, '-n', '20M', '-J'), 30)
        got = r.json.get('end', {}).get('sum_received', {})
        b.check(r.status == 0 and got.get('bytes', 0) > 100000, f'TCP to {to}: {got.get("bits_per_second", 0) / 1e6:.0f} Mb/s')
        time.sleep(0.1)
    server.kill()
    n.ip('router', 'link', 'set', 'n1p0', 'mtu', '1500')
    n.ip('h1', 'link', 'set', 'h1', 'mtu', '1500')


def routes(b, n):
    """What lies behind h2: by `ip`, by `p2pnic route`, unreachable, withdrawn with its link."""
    n.ip('h2', 'addr', 'add', '203.0.113.9/32', 'dev', 'lo')

    def told(words, what):
        """The kernel says such things once a second and sender, after the first few."""
        r = b.call(n.ns['h0'].cmd('ping', '-n', '-c', '3', '-i', '0.6', '-W', '1', '203.0.113.9'), 10)
        b.check('From 10.1.0.1' in r.out and words in r.out, f'{what}: {r.out.splitlines()[1:2]}')
    told('Net Unreachable', 'no route')
    b.must(n.r.cmd(P2PNIC, 'route', 'add', '203.0.113.0/24', '--via', '10.3.0.2'))
    good, said = ping(b, n, 'h0', '203.0.113.9')
    b.check(good, f'p2pnic route add: {said}')
    got = n.ask('route', 'get', '203.0.113.9')
    b.check(got['prefix'] == '203.0.113.0/24' and got['kind'] == 'forward' and {x['hop'] for x in got['nics']} == {got['hop']},
            f'p2pnic route get: {got["prefix"]} {got["kind"]}, and all NICs have hop {got["hop"]}')
    for kind, words in (('unreachable', 'Destination Host Unreachable'), ('prohibit', 'Packet filtered')):
        n.ip('router', 'route', 'replace', kind, '203.0.113.9/32')
        wait_for(kind, 5, lambda: n.ask('route', 'get', '203.0.113.9')['kind'] == kind)
        told(words, kind)
    n.ip('router', 'route', 'replace', 'blackhole', '203.0.113.9/32')
    wait_for('blackhole', 5, lambda: n.ask('route', 'get', '203.0.113.9')['kind'] == 'blackhole')
    r = b.call(n.ns['h0'].cmd('ping', '-n', '-c', '1', '-W', '1', '203.0.113.9'), 10)
    b.check('From' not in r.out and ' 0 received' in r.out, 'blackhole: silence')
    n.ip('router', 'route', 'del', '203.0.113.9/32')
    # A second way with a worse metric, taken when the first one's port is set down.
    n.ip('router', 'route', 'add', '203.0.113.0/24', 'via', '10.2.0.2', 'metric', '90')
    n.ip('router', 'link', 'set', 'n2p0', 'down')
    wait_for('the other way', 5, lambda: n.ask('route', 'get', '203.0.113.9').get('ways', [])[:1] and
             n.ask('route', 'get', '203.0.113.9')['ways'][0].get('via') == '10.2.0.2')
    b.check(True, 'a port set down: the next metric')
    n.ip('router', 'link', 'set', 'n2p0', 'up')
    n.ip('router', 'route', 'del', '203.0.113.0/24', 'metric', '90')


def ecmp(b, n):
    """Two ways to one network: both are used, nothing is lost; one is taken away."""
    for h in ('h1', 'h2'):
        n.ip(h, 'route', 'add', 'local', '198.51.100.0/24', 'dev', 'lo')
    b.must(n.r.cmd(P2PNIC, 'route', 'add', '198.51.100.0/24', '--via', '10.2.0.2', '--via', '10.3.0.2'))
    wait_for('both ways', 5, lambda: len(n.ask('route', 'get', '198.51.100.1')['ways']) == 2)

    def sent():
        return [b.stats(f'n{i}')[f'n{i}']['ports'][0]['tx_frames'] for i in (1, 2)]

    def spread(what, used):
        before = sent()
        lost = [i for i in range(1, 41) if b.call(n.ns['h0'].cmd('ping', '-n', '-q', '-c', '1', '-W', '1', f'198.51.100.{i}'), 5).status]
        new = [y - x for x, y in zip(before, sent())]
        b.check(not lost and [x >= 8 for x in new] == used, f'{what}: 40 addresses, frames sent {new}, unanswered {lost}')
    spread('two ways', [True, True])
    n.ip('router', 'link', 'set', 'n2p0', 'down')
    wait_for('one way', 5, lambda: [w['via'] for w in n.ask('route', 'get', '198.51.100.1')['ways']] == ['10.2.0.2'])
    spread('one of them down', [True, False])
    n.ip('router', 'link', 'set', 'n2p0', 'up')


RULES = 'not followed, nor VRF tables'


def rules(b, n, router):
    """Rules of `ip rule`: said when they appear, counted, and no more when they are gone."""
    def counted():
        return n.ask('show', 'router')['router'][0]['policy_rules']
    b.equal((counted(), router.err.count(RULES)), (0, 0), 'rules not followed, lines about them')
    n.ip('router', 'rule', 'add', 'from', '10.77.0.0/16', 'lookup', '77')
    wait_for('a rule is counted', 5, lambda: counted() == 1)
    wait_for('and said', 5, lambda: router.err.count(RULES) == 1)
    n.ip('router', '-6', 'rule', 'add', 'from', 'fd77::/16', 'lookup', '77')
    wait_for('one of IPv6 as well', 5, lambda: counted() == 2 and router.err.count(RULES) == 2)
    n.ip('router', '-6', 'rule', 'del', 'from', 'fd77::/16')
    n.ip('router', 'rule', 'del', 'from', '10.77.0.0/16')
    wait_for('none is left', 5, lambda: counted() == 0)
    b.check(True, 'rules that are not followed: ' + next(x for x in router.err.splitlines() if RULES in x))


def bad_input(b, n):
    netns = n.r.cmd()
    import lib
    real, lib.P2PNIC = lib.P2PNIC, netns[0]
    try:
        for words, said in ((['add', '10.9.0.1/16', '--via', '10.1.0.2'], '10.9.0.0/16'), (['add', '10.9.0.0/16', '--via', '172.31.0.1'], 'not known'),
                            (['add', '172.16.0.0/12', '--via', '172.16.0.1', '--resolve'], 'loop'), (['add', '10.9.0.0/33'], 'prefix'),
                            (['get', '10.9.0'], 'address'), (['del', '10.99.0.0/16'], 'no such route')):
            refused(b, [*netns[1:], real, 'route', *words], said)
    finally:
        lib.P2PNIC = real


def killed(b, n, router):
    """Killed: traffic flows on, punts are counted.  The next one takes over and loses nothing."""
    good, _ = ping(b, n, 'h0', '10.2.0.2')
    n.ip('router', 'route', 'replace', '203.0.113.0/24', 'via', '10.2.0.2')
    ping(b, n, 'h0', '203.0.113.9', 1)
    was = n.ask('route', 'get', '203.0.113.9')
    counted = {h['hop']: h['packets'] for h in n.ask('show', 'nexthops')['nexthops']}
    p = b.start('ping', n.ns['h0'].cmd('ping', '-n', '-q', '-i', '0.02', '-W', '2', '10.2.0.2'))
    time.sleep(0.2)
    router.send(signal.SIGKILL)
    router.wait(5)
    ok, said = ping(b, n, 'h0', '10.2.0.2', 10)
    b.check(good and ok, f'router killed: {said}')
    b.call(n.ns['h0'].cmd('ping', '-n', '-q', '-c', '5', '-i', '0.05', '-W', '0.2', '10.1.0.1'), 10)
    got = b.stats('n0')['n0']
    b.check('n0p0' in n.ip('router', '-br', 'link').out, 'its devices stay')
    n.ip('router', 'rule', 'add', 'from', '10.77.0.0/16', 'lookup', '77')
    again = n.router('--keep')
    n.ip('router', 'rule', 'del', 'from', '10.77.0.0/16')
    b.equal(again.err.count(RULES), 1, 'a rule that is there at the start: lines about it')
    b.check('took over the tables of 3 NICs' in again.err, 'the next one: ' + again.err.strip().replace('\n', '; ')[-120:])
    now = n.ask('route', 'get', '203.0.113.9')
    b.check(now['hop'] == was['hop'] and {x['hop'] for x in now['nics']} == {was['hop']}, f'the same next hop: {was["hop"]} before, {now["hop"]} now')
    now = {h['hop']: h['packets'] for h in n.ask('show', 'nexthops')['nexthops']}
    hop = was['hop']
    b.check(counted[hop] and now[hop] >= counted[hop], f'its count goes on: {counted[hop]}, {now[hop]}')
    time.sleep(0.3)
    good, said = ping(b, n, 'h0', '10.1.0.1')
    b.check(good, f'the router answers again: {said}')
    p.stop(signal.SIGINT)
    m = re.search(r'(\d+) packets transmitted, (\d+) received', p.out)
    b.check(m and int(m.group(1)) - int(m.group(2)) <= 1, f'ping through it all the while: {m.group(0) if m else p.out}; drops {got["drops"].get("punt_full")}')
    return again


def nic_dies(b, n, nics, router):
    """Its device loses carrier, the others go on; a router started anew introduces the one that takes its place."""
    nics[2].kill()
    wait_for('its device loses its carrier', 10, lambda: 'NO-CARRIER' in n.ip('router', 'link', 'show', 'n2p0').out)
    good, said = ping(b, n, 'h0', '10.2.0.2')
    b.check(good and router.alive(), f'a NIC killed: the others forward: {said}')
    b.equal(router.stop(), 0, 'the router ends with status')
    nics[2] = n.nic(2, 'h2')
    n.ip('h2', 'link', 'set', 'h2', 'up')
    router = n.router('--keep')
    for words in (('addr', 'replace', HOSTS['h2'][0] + '/24', 'dev', 'h2'), ('route', 'replace', 'default', 'via', HOSTS['h2'][1])):
        n.ip('h2', *words)
    wait_for('the new one forwards', 10, lambda: ping(b, n, 'h0', HOSTS['h2'][0], 1)[0])
    b.check('1 introduced, 2 adopted' in router.out, 'a NIC in its place: ' + router.out.strip())
    return router


def no_room(b):
    """A table that does not fit: said, with a status; and all well again when the routes are gone."""
    ns = b.netns('small')
    sock = b.path('small.sock')
    argv = [P2PNIC, 'run', '--route', '--port', 'null:', '--port', 'null:', '--router-socket', sock]
    r = b.call(ns.cmd(*argv, '--route-mem', '64K', '--seconds', '1'))
    b.check(r.status == 1 and 'too small' in r.err.splitlines()[-1], f'--route-mem 64K: {r.err.splitlines()[-1]}')
    p = b.start('small', ns.cmd(*argv, '--route-mem', '2M'))
    wait_for('its devices', 10, lambda: b.call(ns.cmd('ip', 'link', 'show', 'nic1p0')).status == 0)
    b.must(ns.cmd('ip', 'addr', 'add', '10.1.0.1/24', 'dev', 'nic0p0'))
    rng = random.Random(1)
    with open(b.path('many'), 'w', encoding='ascii') as f:
        f.write(''.join(f'{40 + (x >> 24 & 7)}.{x >> 16 & 255}.{x >> 8 & 255}.{x & 255}/32\n' for x in {rng.getrandbits(27) for _ in range(60000)}))
    load = ns.cmd(P2PNIC, 'route', 'load', b.path('many'), '--router-socket', sock, '--via')
    wait_for('the address', 5, lambda: b.call(ns.cmd(P2PNIC, 'route', 'get', '10.1.0.1', '--router-socket', sock)).out.startswith('10.1.0.1/32 local'))
    r = b.call([*load, '10.1.0.2', '--via', '10.1.0.3'])
    b.check(r.status == 1 and r.err.count('\n') == 1 and 'do not fit' in r.err, f'a table that does not fit: {r.status}: {r.err.strip()}')
    b.must(ns.cmd('ip', 'route', 'flush', 'table', 'main', 'proto', '80'), 60)
    b.must([*ns.cmd(P2PNIC, 'route', 'add', '40.0.0.0/8', '--router-socket', sock, '--via'), '10.1.0.2'])
    wait_for('all is well again', 20, lambda: [x['prefix'] for x in b.must(ns.cmd(P2PNIC, 'show', 'routes', '--json', '--router-socket', sock)).json
                                               ['routes'] if x['prefix'].startswith('4')] == ['40.0.0.0/8'], 0.1)
    b.check(True, 'all is well again when they are gone')
    for words, said in ((['run', '--tap', 'nic0.0=x', '--port', 'null:'], '--route'), (['run', '--route', '--tap', 'nic0.0=' + 'x' * 16, '--port', 'null:'], '15'),
                        (['router', '--nic', 'vfio-user:/nonexistent'], 'no such socket'), (['show', 'routes', '--router-socket', b.path('no')], 'no router')):
        r = b.call(ns.cmd(P2PNIC, *words), 10)
        b.check(r.status in (1, 2) and said in r.err.splitlines()[-1], f'{" ".join(words)[:60]}: {r.err.splitlines()[-1].replace(b.dir, "")}')
    b.equal(p.stop(), 0, 'run --route ends with status')


def once(b, mode, cable):
    b.say(f'{mode}, {cable}: cables')
    n = Net(b, cable)
    nics = n.nics()
    b.up(['n0', 'n1', 'n2'], '--route', '--mode', mode)
    router = n.router()
    n.address()
    through(b, n)
    traceroute(b, n)
    path_mtu(b, n)
    routes(b, n)
    ecmp(b, n)
    rules(b, n, router)
    bad_input(b, n)
    router = killed(b, n, router)
    router = nic_dies(b, n, nics, router)
    b.equal(router.stop(), 0, 'the router ends with status')
    b.check('n0p0' in n.ip('router', '-br', 'link').out, '--keep: the devices stay')
    router = n.router()
    b.equal(router.stop(), 0, 'the router ends with status')
    b.check('n0p0' not in n.ip('router', '-br', 'link').out, 'without --keep they go')
    wrong = {name: {k: v for k, v in x['drops'].items() if v and k in ('csum_mismatch', 'desc_lost', 'bad_desc', 'inject_bad')}
             for name, x in b.stats('n0', 'n1', 'n2').items()}
    b.check(not any(wrong.values()), f'nothing damaged: {wrong}')
    b.equal([x.stop() for x in nics], [0, 0, 0], 'NICs end with status')


def main(b):
    need_root('network namespaces')
    need_tool('ip', 'ping', 'unshare', 'nsenter', 'traceroute', 'iperf3', 'ethtool')
    once(b, 'wr', 'tap')
    no_room(b)
    if FULL:
        once(b, 'rd', 'tap')
        once(b, 'wr', 'xdp')


run(main)
