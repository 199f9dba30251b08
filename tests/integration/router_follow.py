#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""router_follow.py [full]: what router/ makes of the kernel's routes, beside what the kernel itself would do.

In a namespace, at random: routes of all kinds added, replaced, appended, deleted, neighbours, nexthop objects and links
changed; after every round the kernel is asked (`ip route get`) about random addresses.  Then messages lost for want of
room, and many routes at once.  full: more rounds, and half a million routes.
"""
import ipaddress
import json
import os
import random
import re
import subprocess
import time

from lib import BUILD, FULL, Failed, cpu_ns, need_root, need_tool, run, wait_for

FOLLOW = os.path.join(BUILD, 'tests', 'integration', 'follow')
PORTS = ('p0', 'p1')
NETS = {'p0': (0, 'fd00'), 'p1': (1, 'fd00:1'), 'x': (2, 'fd00:2')}
SEED = int(os.environ.get('P2PNIC_SEED', '5'))


def gateway(dev, n, v6):
    net4, net6 = NETS[dev]
    return f'{net6}::{n:x}' if v6 else f'10.0.{net4}.{n}'


def mac_of(addr):
    raw = ipaddress.ip_address(addr).packed
    return ':'.join(f'{x:02x}' for x in b'\x02' + bytes([raw[5] if len(raw) == 16 else 0x44]) +
                    bytes([raw[3] if len(raw) == 16 else 0x44]) + raw[-3:])


class Follower:
    def __init__(self, b, ns, *args):
        self.p = b.start('follow', ns.cmd(FOLLOW, *args, *PORTS), stdin=subprocess.PIPE)
        self.p.expect('following')
        self.at = len(self.p.out)
        self.lines = 1

    def ask(self, *commands):
        self.p.popen.stdin.write(''.join(c + '\n' for c in commands).encode())
        self.p.popen.stdin.flush()
        want = self.lines + len(commands)

        def answered():
            text = self.p.out
            if not self.p.alive():
                raise Failed(f'follow ended with {self.p.popen.returncode}: {text[-300:]} {self.p.err[-2000:]}')
            return text.splitlines()[:want] if text.count('\n') >= want else None
        got = wait_for('an answer of follow', 120, answered, 0.002)[self.lines:]
        self.lines = want
        return got

    def settle(self):
        self.ask('settle')

    @property
    def counts(self):
        return json.loads(self.ask('counts')[0])

    def end(self):
        self.p.popen.stdin.close()
        return self.p.wait(20)


def batch(ns, commands, *flags):
    """ip -force -batch: (output, {line number: what the kernel said})."""
    r = subprocess.run(ns.cmd('ip', *flags, '-force', '-batch', '-'), input='\n'.join(commands) + '\n', capture_output=True,
                       encoding='utf-8', check=False)
    errors, last = {}, ''
    for line in r.stderr.splitlines():
        m = re.match(r'Command failed -:(\d+)', line)
        if m:
            errors[int(m.group(1)) - 1] = last
        else:
            last = line
    return r.stdout, errors


def kernel_gets(ns, addrs):
    """What the kernel would do for each address: an object or its error."""
    out, errors = batch(ns, [f'route get {a}' for a in addrs], '-j')
    decoder, at, got = json.JSONDecoder(), 0, []
    for i in range(len(addrs)):
        if i in errors:
            got.append(errors[i])
            if out[at:].lstrip().startswith('[]') or out[at:].lstrip().startswith('[ ]'):
                at = out.index(']', at) + 1
            continue
        while out[at:at + 1].isspace():
            at += 1
        obj, at = decoder.raw_decode(out, at)
        got.append(obj[0])
    return got


ERRORS = {'Network is unreachable': ('none', 'unreachable'), 'No route to host': ('unreachable',),
          'Invalid argument': ('blackhole',), 'Permission denied': ('prohibit',)}
VALID = {'PERMANENT', 'NOARP', 'REACHABLE', 'PROBE', 'STALE', 'DELAY'}


def fault(kernel, ours, addr, macs, odd):
    """None, or what is wrong with `ours`."""
    kind, *ways = ours.split()
    ways = [tuple(w.split(',')[:2]) for w in ways]
    if odd and kind == 'punt':
        return None
    if isinstance(kernel, str):
        for text, kinds in ERRORS.items():
            if text in kernel:
                return None if kind in kinds else f'kernel: {text}'
        return 'kernel: ' + kernel
    if kernel.get('type', 'unicast') != 'unicast':
        return None if kind == 'local' else f'kernel: {kernel["type"]}'
    dev = kernel['dev']
    if dev not in PORTS:
        return None if kind == 'punt' or ('punt', '') in ways else f'kernel: by {dev}'
    via = kernel.get('gateway') or kernel.get('via', {}).get('host') or addr
    mac = macs.get((dev, str(ipaddress.ip_address(via))))
    if mac:
        return None if kind == 'forward' and (dev, mac) in ways else f'kernel: by {dev} to {via} {mac}'
    # Of several ways those that are resolved are taken; a share for destinations that are neighbours themselves punts.
    return None if kind in ('glean', 'punt') or (kind == 'forward' and (via != addr or ('punt', '') in ways)) \
        else f'kernel: by {dev} to {via}, unresolved'


def neighbours(ns):
    out = subprocess.run(ns.cmd('ip', '-j', 'neigh', 'show', 'nud', 'all'), capture_output=True, check=True).stdout
    return {(n['dev'], n['dst']): n['lladdr'] for n in json.loads(out) if 'lladdr' in n and VALID & set(n.get('state', []))}


def make(b, ns):
    for path in ('net/ipv4/ip_forward', 'net/ipv6/conf/all/forwarding'):
        b.must(ns.cmd('sh', '-c', f'echo 1 > /proc/sys/{path}'))
    b.must(ns.cmd('sh', '-c', 'echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad'))  # no address that comes a second later
    lines = []
    for dev, (net4, net6) in NETS.items():
        lines += [f'link add {dev} type veth peer name {dev}far', f'link set {dev}far up', f'link set {dev} up',
                  f'addr add 10.0.{net4}.1/24 dev {dev}', f'addr add {net6}::1/64 dev {dev} nodad']
    for n in (2, 3, 4, 5):
        for dev in NETS:
            for v6 in (0, 1):
                a = gateway(dev, n, v6)
                lines.append(f'neigh add {a} lladdr {mac_of(a)} dev {dev}')
    _, errors = batch(ns, lines)
    if errors:
        raise Failed(f'namespace: {errors}')


class Chaos:
    """Random changes, each a line for ip -batch."""

    def __init__(self, rng):
        self.rng, self.down = rng, set()
        self.pool = [[], []]
        for v6, bits, lens in ((0, 32, (0, 1, 8, 9, 15, 16, 24, 25, 31, 32)), (1, 128, (0, 3, 16, 48, 64, 65, 127, 128))):
            base = [ipaddress.ip_address('10.0.0.0'), ipaddress.ip_address('10.1.2.3'), ipaddress.ip_address('203.0.113.7')] \
                if not v6 else [ipaddress.ip_address('fd00::'), ipaddress.ip_address('2001:db8:1:2::5')]
            for a in base:
                for n in lens:
                    self.pool[v6].append(ipaddress.ip_network((int(a) ^ rng.getrandbits(2) << (bits - 10), n), strict=False))

    def hop(self, v6):
        r = self.rng
        dev = r.choice(('p0', 'p0', 'p1', 'p1', 'x'))
        if r.random() < 0.12:
            return f'dev {dev}'
        if not v6 and r.random() < 0.08:
            return f'via inet6 {gateway(dev, r.randint(2, 6), 1)} dev {dev}'
        return f'via {gateway(dev, r.randint(2, 6), v6)} dev {dev}'

    def where(self, v6):
        r = self.rng
        p = r.random()
        if p < 0.5:
            return self.hop(v6)
        if p < 0.72:
            hops = [self.hop(v6) for _ in range(r.randint(2, 4))]
            return ' '.join(f'nexthop {h} weight {r.randint(1, 4)}' for h in hops)
        return f'nhid {r.randint(1, 9) + (100 if v6 else 0)}'

    def route(self):
        r = self.rng
        v6 = r.random() < 0.45
        net = r.choice(self.pool[v6])
        op = r.choice(('add', 'add', 'replace', 'replace', 'append', 'prepend', 'del', 'del', 'del'))
        metric = r.choice(('', ' metric 10', ' metric 20', ' metric 1024' if v6 else ''))
        table = ' table default' if not v6 and r.random() < 0.06 else ''
        p = r.random()
        family = '-6 ' if v6 else ''
        if op == 'del' and p < 0.5:
            return f'{family}route del {net}{metric}{table}'
        if p < 0.15:
            kind = r.choice(('blackhole', 'unreachable', 'prohibit', 'throw' if r.random() < 0.3 else 'prohibit'))
            return f'{family}route {op} {kind} {net}{metric}{table}'
        # Not over the gateways: one that is local is no gateway.
        if p < 0.19 and net.prefixlen > 8 and not str(net).startswith(('10.', 'fd')):
            return f'{family}route {op} local {net} dev {r.choice(("lo", "p0"))} table local'
        if p < 0.21:
            return f'{family}route {op} multicast {net} dev p0 table local' if net.prefixlen > 60 else f'{family}route del {net}'
        mtu = f' mtu {r.choice((1300, 1400))}' if r.random() < 0.1 else ''
        return f'{family}route {op} {net}{metric}{table} {self.where(v6)}{mtu}'

    def neighbour(self):
        r = self.rng
        dev, v6 = r.choice(('p0', 'p1', 'x')), r.random() < 0.5
        a = gateway(dev, r.randint(2, 12), v6)
        p = r.random()
        if p < 0.3:
            return f'neigh del {a} dev {dev}'
        return f'neigh replace {a} lladdr {mac_of(a)[:-2]}{r.randint(0, 9):02x} dev {dev} nud {r.choice(("permanent", "noarp", "permanent"))}'

    def object(self):
        r = self.rng
        v6 = r.random() < 0.5
        k = r.randint(1, 9)
        n = k + (100 if v6 else 0)
        base = 100 if v6 else 0
        if r.random() < 0.2:
            return f'nexthop del id {n}'
        if k <= 6:
            if r.random() < 0.1:
                return f'nexthop replace id {n} blackhole'
            dev = r.choice(('p0', 'p1', 'x'))
            where = f'dev {dev}' if r.random() < 0.15 else f'via {gateway(dev, r.randint(2, 6), v6)} dev {dev}'
            return f'{"-6 " if v6 else ""}nexthop replace id {n} {where}'
        members = r.sample(range(1, 7), r.randint(1, 3))
        return f'nexthop replace id {n} group ' + '/'.join(f'{base + m},{r.randint(1, 3)}' for m in members)

    def link(self):
        dev = self.rng.choice(('p1', 'x'))
        if dev in self.down:
            self.down.discard(dev)
            return [f'link set {dev} up', f'addr add {NETS[dev][1]}::1/64 dev {dev} nodad']
        if self.rng.random() < 0.5:
            return [f'link set {dev} down', f'link set {dev} up', f'addr add {NETS[dev][1]}::1/64 dev {dev} nodad']
        self.down.add(dev)
        return [f'link set {dev} down']

    def some(self, n):
        lines = []
        for _ in range(n):
            p = self.rng.random()
            if p < 0.72:
                lines.append(self.route())
            elif p < 0.84:
                lines.append(self.neighbour())
            elif p < 0.98:
                lines.append(self.object())
            elif p < 0.99:
                lines += self.link()
            else:
                lines += ['addr add 10.9.9.1/24 dev p0', 'route add 10.77.0.0/16 via 10.0.0.3 src 10.9.9.1',
                          'addr del 10.9.9.1/24 dev p0']
        return lines

    def addresses(self, n):
        r, got = self.rng, []
        for _ in range(n):
            v6 = r.random() < 0.45
            net = r.choice(self.pool[v6])
            host = r.getrandbits(net.max_prefixlen - net.prefixlen) if net.prefixlen < net.max_prefixlen else 0
            a = ipaddress.ip_address(int(net.network_address) | host)
            if r.random() < 0.25:
                a = ipaddress.ip_address(gateway(r.choice(('p0', 'p1', 'x')), r.randint(1, 14), v6))
            # What no router forwards is not the routes' matter.
            if a.is_multicast or a.is_loopback or a.is_link_local or a.is_unspecified or int(a) >> (a.max_prefixlen - 8) in (0, 255):
                continue
            if v6 and (int(a) >> 118 == 0x3fa or a.ipv4_mapped):
                continue
            if not v6 and int(a) >> 28 >= 14:
                continue
            got.append(str(a))
        return got


def compare(b, ns, f, addrs, odd=False):
    """How many answers were wrong; the first few are printed."""
    macs = neighbours(ns)
    ours = f.ask(*(f'get {a}' for a in addrs))
    wrong, kinds = 0, {}
    for a, k, o in zip(addrs, kernel_gets(ns, addrs), ours):
        kinds[o.split()[0]] = kinds.get(o.split()[0], 0) + 1
        why = fault(k, o, a, macs, odd)
        if why:
            wrong += 1
            if wrong <= 5:
                b.say(f'      {a}: ours: {o}; {why}')
                b.say(batch(ns, ['route show table all to match ' + a])[0])
    return wrong, kinds


def random_changes(b, ns, f):
    rng = random.Random(SEED)
    chaos = Chaos(rng)
    batch(ns, [chaos.object() for _ in range(40)])
    wrong, asked, kinds, done = 0, 0, {}, 0
    for _ in range(150 if FULL else 40):
        lines = chaos.some(rng.choice((1, 5, 30, 120)))
        _, errors = batch(ns, lines)
        done += len(lines) - len(errors)
        f.settle()
        addrs = chaos.addresses(150)
        n, some = compare(b, ns, f, addrs)
        wrong += n
        asked += len(addrs)
        for k, v in some.items():
            kinds[k] = kinds.get(k, 0) + v
        if n:
            b.say(f'      round of {lines[:6]}...')
            break
    b.check(not wrong, f'seed {SEED}: {done} changes, {asked} addresses as the kernel has them: {kinds}')
    c = f.counts
    before = c['route_ops'], c['hop_ops']
    f.ask('sync')
    c = f.counts
    b.equal((c['route_ops'], c['hop_ops']), before, 'a full dump moves nothing')
    b.equal(c['refused'], 0, f'messages not understood, of {c["events"]}')


def by_tos(b, ns, f):
    batch(ns, ['route add 198.51.100.0/24 via 10.0.0.2', 'route add 198.51.100.0/24 tos 0x10 via 10.0.1.2'])
    f.settle()
    b.equal(f.ask('get 198.51.100.9')[0].split()[0], 'punt', 'a prefix with a route by TOS is the kernel\'s')
    batch(ns, ['route del 198.51.100.0/24 tos 0x10'])
    f.settle()
    b.equal(f.ask('get 198.51.100.9')[0].split()[0], 'forward', 'and forwarded when that has gone')


def refresh(b, ns, f):
    """A neighbour that packets go to is confirmed before it is forgotten; one that none goes to is left alone."""
    state = lambda a: json.loads(subprocess.run(ns.cmd('ip', '-j', 'neigh', 'show', a), capture_output=True, check=True).stdout)[0]['state'][0]
    batch(ns, ['neigh replace 10.0.0.4 lladdr 02:00:00:00:00:44 dev p0 nud stale',
               'neigh replace 10.0.0.5 lladdr 02:00:00:00:00:55 dev p0 nud stale', 'route replace 192.0.2.0/24 via 10.0.0.4',
               'route replace 192.0.3.0/24 via 10.0.0.5', 'route replace 192.0.4.0/24 via 10.0.0.77'])
    f.settle()
    f.ask('hit 192.0.2.1')
    wait_for('a stale neighbour with hits is asked for', 5, lambda: state('10.0.0.4') != 'STALE')
    b.equal(state('10.0.0.5'), 'STALE', 'one without hits')
    wait_for('a gateway not known is asked for', 5, lambda: subprocess.run(ns.cmd('ip', 'neigh', 'show', '10.0.0.77'),
                                                                           capture_output=True, check=True).stdout)
    b.check(True, 'neighbours in use are looked after')
    batch(ns, [f'neigh replace 10.0.0.{n} lladdr 02:00:00:00:00:44 dev p0 nud permanent' for n in (4, 5)] + ['route del 192.0.4.0/24'])
    f.settle()


def many(b, ns, f, n):
    """n routes at once, then as many changed."""
    def lines(op, gw):
        return [f'route {op} 100.{i >> 16 & 63}.{i >> 8 & 255}.{i & 255}/32 via {gw}' for i in range(n)]
    base = f.counts['prefixes4']
    for op, gw in (('add', '10.0.0.2'), ('replace', '10.0.1.2')):
        cpu = cpu_of(f)
        begun = time.monotonic()
        _, errors = batch(ns, lines(op, gw))
        ip = time.monotonic() - begun
        f.settle()
        took = time.monotonic() - begun
        b.check(not errors, f'{n} routes: ip {op} took {ip:.1f} s, followed after {took - ip:.2f} s more, '
                f'{cpu_of(f) - cpu:.2f} s of CPU; {len(errors)} errors')
        b.equal(f.counts['prefixes4'] - base, n, 'prefixes')
    addrs = [f'100.{i >> 16 & 63}.{i >> 8 & 255}.{i & 255}' for i in random.Random(SEED).sample(range(n), 300)]
    b.equal(compare(b, ns, f, addrs)[0], 0, 'answers that differ from the kernel\'s')
    ops = f.counts['route_ops']
    f.ask('sync')
    c = f.counts
    b.check(c['route_ops'] == ops, f'read anew in {c["sync_ms"]} ms, nothing moved')
    return base


def cpu_of(f):
    return cpu_ns(f.p.pid) / 1e9


def overrun(b, ns, n):
    """A socket with next to no room, and a reader asleep: what was lost is found again, the rest stays as it is."""
    f = Follower(b, ns, '-b', '8192')
    before = f.counts
    keep = [f'100.{i >> 16 & 63}.{i >> 8 & 255}.{i & 255}' for i in range(0, n, 97)]
    f.p.popen.stdin.write(b'sleep 700\n')
    f.p.popen.stdin.flush()
    _, errors = batch(ns, [f'route replace 101.0.{i >> 8}.{i & 255}/32 via 10.0.0.3' for i in range(3000)])
    f.lines += 1
    f.settle()
    c = f.counts
    b.check(c['overruns'] > 0 and not errors, f'the kernel lost messages {c["overruns"]} times; read anew {c["syncs"] - before["syncs"]} times')
    b.equal(c['prefixes4'] - before['prefixes4'], 3000, 'prefixes more')
    b.check(c['route_ops'] - before['route_ops'] <= 3000 + 64, f'{c["route_ops"] - before["route_ops"]} changes told for it')
    addrs = [f'101.0.{i >> 8}.{i & 255}' for i in range(0, 3000, 17)]
    b.equal(compare(b, ns, f, addrs + keep[:200])[0], 0, 'answers that differ')
    batch(ns, [f'route del 101.0.{i >> 8}.{i & 255}/32' for i in range(3000)])
    f.settle()
    b.equal(f.counts['prefixes4'], before['prefixes4'], 'prefixes after they were deleted')
    b.equal(f.end(), 0, 'ends with status')


def no_room(b, ns, f):
    """The sink takes no more: said, nothing else changed, and made good when there is room."""
    base = f.counts['prefixes4']
    f.ask(f'refuse {base + f.counts["prefixes6"] + 5}')
    batch(ns, [f'route replace 102.0.0.{i}/32 via 10.0.0.3' for i in range(9)])
    f.settle()
    c = f.counts
    b.check(c['prefixes4'] - base == 5 and c['unplaced'] >= 4, f'{c["prefixes4"] - base} prefixes placed, {c["unplaced"]} refused')
    f.ask('refuse 100000000', 'sync')
    c = f.counts
    b.equal((c['prefixes4'] - base, c['unplaced']), (9, 0), 'the same when there is room')


def main(b):
    need_root('network namespaces')
    need_tool('ip', 'unshare', 'nsenter')
    ns = b.netns('router')
    make(b, ns)
    f = Follower(b, ns)
    random_changes(b, ns, f)
    b.equal(f.end(), 0, 'ends with status')
    ns = b.netns('second')
    make(b, ns)
    f = Follower(b, ns)
    by_tos(b, ns, f)
    refresh(b, ns, f)
    no_room(b, ns, f)
    many(b, ns, f, 500000 if FULL else 20000)
    b.equal(f.end(), 0, 'ends with status')
    overrun(b, ns, 20000)


run(main)
