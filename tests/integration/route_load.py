#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""route_load.py: lists of both families, with gateways of both; what `route dump` writes, taken back; lists that are refused."""
from lib import P2PNIC, need_root, need_tool, run

# Networks of two interfaces, and who lives there.
NETWORKS = {'d0': ('10.1.0.1/24', 'fd01::1/64'), 'd1': ('10.2.0.1/24', 'fd02::1/64')}
NEIGHBOURS = (('10.1.0.2', 'd0'), ('fd01::2', 'd0'), ('fe80::2', 'd0'), ('10.2.0.2', 'd1'), ('fd02::2', 'd1'))
FOUR = [f'198.51.{i}.0/24' for i in range(40)]
SIX = [f'2001:db8:{i:x}::/48' for i in range(1, 41)]
MADE = ('192.0.2.0/24 nexthop via 10.1.0.2 weight 3 nexthop via 10.2.0.2 weight 5', '192.0.3.0/24 via inet6 fd01::2', 'blackhole 192.0.4.0/24',
        'unreachable 192.0.5.0/24', '192.0.6.0/24 via 10.1.0.77', '2001:db8:5::/48 via fe80::2 dev d0', 'prohibit 2001:db8:7::/48',
        '2001:db8:6::/48 nexthop via fd01::2 nexthop via fd02::2 weight 7')
BAD = (('2001:db8::/32 via 10.1.0.2', "line 1: an IPv6 prefix can't have an IPv4 gateway"), ('1.0.0.0/8 via fd01::2 dev x', "line 1: there is no interface 'x'"),
       ('1.0.0.0/8 via', 'line 1 names no gateway'), ('1.0.0.0/8 via 10.1.0.2 dev', 'line 1: nothing behind'), ('\n1.0.0.0/8 via 10.1', 'line 2: '),
       ('1.0.0.0/8 via 10.1.0.2 weight 900', 'line 1: no weight'), ('1.0.0.0/8 blackhole via 10.1.0.2', 'line 1: a route of this type'),
       ('{"prefix":"1.0.0.0/8"}', 'JSON'), ('x', '--format'), ('# nothing', 'has no prefix'))


class Host:
    def __init__(self, b):
        self.b, self.ns = b, b.netns('host')
        for dev, addresses in NETWORKS.items():
            self.must('ip', 'link', 'add', dev, 'up', 'type', 'veth', 'peer', 'name', 'e' + dev)
            self.must('ip', 'link', 'set', 'e' + dev, 'up')
            for a in addresses:
                self.must('ip', 'addr', 'add', a, 'dev', dev, *(['nodad'] if ':' in a else []))
        for a, dev in NEIGHBOURS:
            self.must('ip', 'neigh', 'add', a, 'lladdr', '02:00:00:00:00:02', 'dev', dev)

    def must(self, *argv):
        return self.b.must(self.ns.cmd(*argv))

    def load(self, text, *args, pipe=False):
        with open(self.b.path('list'), 'w', encoding='ascii') as f:
            f.write(text)
        argv = [P2PNIC, 'route', 'load', '-' if pipe else self.b.path('list'), *args]
        return self.b.call(self.ns.cmd('sh', '-c', 'cat "$0" | "$@"', self.b.path('list'), *argv) if pipe else self.ns.cmd(*argv))

    def ours(self, family):
        """Prefix: gateway, of all that load has written."""
        words = [x.split() for x in self.must('ip', family, 'route', 'show', 'proto', '80').out.splitlines()]
        return {w[0]: w[2] for w in words if w[1] == 'via'}

    def flush(self):
        for family in ('-4', '-6'):
            self.must('ip', family, 'route', 'flush', 'proto', '80')

    def dump(self):
        return sorted(self.must(P2PNIC, 'route', 'dump').out.splitlines())


def families(b, h):
    both = ''.join(f'{p}\n' for x in zip(FOUR, SIX) for p in x)
    vias = [x for a in ('10.1.0.2', 'fd01::2', '10.2.0.2', 'fd02::2') for x in ('--via', a)]
    for pipe in (False, True):
        r = h.load(both, *vias, pipe=pipe)
        b.equal((r.status, r.out, r.err), (0, '80 routes\n', ''), f'both families, {"from a pipe" if pipe else "a file"}')
        for family, prefixes, gateways in (('-4', FOUR, {'10.1.0.2', '10.2.0.2'}), ('-6', SIX, {'fd01::2', 'fd02::2'})):
            got = h.ours(family)
            b.check(sorted(got) == sorted(prefixes), f'{family}: {len(got)} prefixes')
            b.equal(sorted(set(got.values())), sorted(gateways), f'{family}: each has a gateway of its own family')
        h.flush()
    for via, left, family in (('10.1.0.2', '40 IPv6', '-4'), ('fd01::2', '40 IPv4', '-6')):
        r = h.load(both, '--via', via)
        b.check(r.status == 1 and r.out == '40 routes\n' and r.err.count('\n') == 1 and left + ' prefixes were left out' in r.err,
                f'only --via {via}: {r.err.strip()}')
        b.equal(len(h.ours(family)), 40, 'the others are there')
        h.flush()
    r = h.load('\n'.join(f'net: {p}\naut-num: AS{i}\n' for i, p in enumerate(FOUR[:2] + SIX[:2])), *vias, pipe=True)
    b.equal((r.status, r.out), (0, '4 routes\n'), 'location, as it looks, from a pipe')
    h.flush()
    r = h.load('198.51.100.0/24 via 10.1.0.2\n2001:db8::/32 via fd02::2\n203.0.113.0/24\n', '--via', '10.2.0.2')
    b.equal((r.status, h.ours('-4'), h.ours('-6')), (0, {'198.51.100.0/24': '10.1.0.2', '203.0.113.0/24': '10.2.0.2'}, {'2001:db8::/32': 'fd02::2'}),
            '`via` on lines of both families, and --via for the other')
    h.flush()


def dumped(b, h):
    """What was dumped comes back as it was; what the kernel makes itself is left out."""
    for words in MADE:
        h.must('ip', *(['-6'] if '2001:' in words else []), 'route', 'add', *words.split())
    before = h.dump()
    for words in MADE:
        prefix = [w for w in words.split() if '/' in w][0]
        h.must('ip', *(['-6'] if '2001:' in words else []), 'route', 'del', *([words.split()[0]] if words[0] in 'bup' else []), prefix)
    b.check(len(h.dump()) == len(before) - len(MADE), f'{len(MADE)} routes dumped and deleted')
    r = h.load(''.join(x + '\n' for x in before), '--json')
    locals_, nets, neighbours = (sum(want in f'{x} ' for x in before) for want in (' local ', '/24 glean dev', '/32 forward'))
    nets += sum('/64 glean dev' in x for x in before)
    neighbours += sum('/128 forward' in x for x in before)
    b.equal((r.status, r.json), (0, {'loaded': len(MADE), 'left_out': {'local': locals_, 'network': nets, 'neighbour': neighbours, 'kernel': 0, 'other-family': 0}}),
            'a dump is loaded')
    b.check(neighbours == 4 and nets >= 4, f'{neighbours} neighbours, {nets} networks')
    after = h.dump()
    b.check(after == before, f'the dump after it: differences {sorted(set(after) ^ set(before))}')
    h.flush()
    r = h.load('192.0.2.0/24 punt\n192.0.3.0/24 blackhole\n', pipe=True)
    b.equal((r.status, r.out), (0, '1 routes; left out of the dump: 1 by the kernel without a gateway\n'), 'left out, as text')
    h.flush()


def bad(b, h):
    for text, said in BAD:
        r = h.load(text + '\n', pipe=True)
        b.check(r.status == 1 and r.err.count('\n') == 1 and said in r.err and not r.out, f'{text.strip()}: {r.err.strip()}')
        b.check(not h.must('ip', 'route', 'show', 'proto', '80').out, 'nothing was written')


def main(b):
    need_root('network namespaces')
    need_tool('ip', 'unshare', 'nsenter')
    h = Host(b)
    families(b, h)
    dumped(b, h)
    bad(b, h)


run(main)
