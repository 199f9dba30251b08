# SPDX-License-Identifier: BSD-3-Clause
"""What soak.py keeps running: two meshes of NIC processes, their drivers and router, and the far ends of all cables.

Pairs: a, b, c, d with two ports each, in a ring of static pairs, flows both ways through each.
Routed: r0, r1, r2 with one port each and `p2pnic router` in a namespace of its own.
"""
import json
import signal
import time

from lib import Failed, Far, P2PNIC, Ring, descriptors, memory_kib, wait_for

NICS = Ring.NICS
ROUTED = ('r0', 'r1', 'r2')
SESSIONS = {'wr': ('--mode', 'wr', '--scrub', 'on', '--stride', '4'), 'rd': ('--mode', 'rd', '--scrub', 'on', '--stride', '4'),
            'cut': ('--mode', 'wr', '--placement', 'cut'), 'bn': ('--mode', 'bn')}
NAMED_NIC = ('tx_lost', 'tx_error', 'rx_refused')


def add(total, more, sign=1):
    for k, v in more.items():
        total[k] = total.get(k, 0) + sign * v
    return total


def flat(nic):
    """What the books need of a NIC's counters."""
    got = dict(nic['drops'])
    for k in ('rx_frames', 'tx_frames', *NAMED_NIC):
        got[k] = sum(p[k] for p in nic['ports'])
    for k in ('flood_copies', 'punted', 'injected'):
        got[k] = nic['events'][k]
    return got


class Books:
    """A mesh's counters since begin(), over restarts of its processes."""

    def __init__(self, b, names):
        self.b, self.names = b, names
        self.base, self.past = {}, {}

    def read(self):
        return {n: flat(s) for n, s in self.b.stats(*self.names).items()}

    def begin(self):
        self.base, self.past = self.read(), {}

    def ends(self, name):
        """This process is about to end: what it has counted so far."""
        add(self.past, flat(self.b.stats(name)[name]))
        add(self.past, self.base[name], -1)
        self.base[name] = {}

    def total(self):
        got = dict(self.past)
        for n, s in self.read().items():
            add(got, s)
            add(got, self.base[n], -1)
        return got


def rest(cables, nics):
    """(frames in, out, named losses, what is left unexplained) of the far ends' counts and the NICs'."""
    came = cables['sent'] + nics['injected'] + nics['flood_copies']
    went = cables['received'] + cables['foreign']
    named = {k: v for k, v in nics.items() if v and k not in ('rx_frames', 'tx_frames', 'injected', 'flood_copies')}
    if cables['tx_lost']:
        named['far_tx_lost'] = cables['tx_lost']
    return came, went, named, came - went - sum(named.values())


class World:
    def __init__(self, b, rate):
        self.b, self.rate, self.ring = b, rate, Ring(b)
        self.proc, self.restarts, self.driver, self.session = {}, 0, None, None
        self.faults = {n: () for n in NICS + ROUTED}
        self.r = b.netns('router')
        for path in ('net/ipv4/ip_forward', 'net/ipv6/conf/all/forwarding'):
            b.must(self.r.cmd('sh', '-c', f'echo 1 > /proc/sys/{path}'))
        b.must(self.r.cmd('sh', '-c', 'echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad'))
        for n in NICS + ROUTED:
            self.start(n)
        b.up(ROUTED, '--route', '--route-mem', '8M')
        self.router_start()
        self.address()
        self.far_start()
        self.up('wr')
        self.books = {'pairs': Books(b, NICS), 'routed': Books(b, ROUTED)}

    # --- processes ---

    def ports(self, n):
        return range(1 if n in ROUTED else 2)

    def start(self, n):
        args = [a for rule in self.faults[n] for a in ('--fault', rule)]
        self.proc[n] = self.b.nic(n, *(self.ring.cable(n, k, False) for k in self.ports(n)), args=args)

    def router_start(self):
        argv = [P2PNIC, 'router', *self.b.addresses(ROUTED), '--silence', '2000', '--keep']
        self.proc['router'] = self.b.start('p2pnic-router', self.r.cmd(*argv)).expect('routing: ', 20)

    def address(self):
        """Each port's network and the one station in it, who needs not be asked."""
        lines = []
        for i, n in enumerate(ROUTED):
            lines += [f'addr add 10.{i + 1}.0.1/24 dev {n}p0', f'addr add fd0{i + 1}::1/64 dev {n}p0 nodad',
                      f'neigh add 10.{i + 1}.0.2 lladdr 02:60:00:00:00:0{i} dev {n}p0 nud permanent',
                      f'neigh add fd0{i + 1}::2 lladdr 02:60:00:00:00:0{i} dev {n}p0 nud permanent']
        self.ip(lines)

    def ip(self, lines):
        with open(self.b.path('batch'), 'w', encoding='ascii') as f:
            f.write('\n'.join(lines) + '\n')
        self.b.must(self.r.cmd('ip', '-batch', self.b.path('batch')), 60)

    def route_get(self, address):
        return self.b.must(self.r.cmd(P2PNIC, 'route', 'get', address, '--json')).json

    def far_start(self):
        cables = {f'{n}{k}': self.ring.cable(n, k, True) for n in NICS + ROUTED for k in self.ports(n)}
        flows = self.ring.flows(self.rate, ',jumbo=9000')
        mac = [json.loads(self.b.must(self.r.cmd('ip', '-j', 'link', 'show', 'dev', n + 'p0')).out)[0]['address'] for n in ROUTED]
        # The last three go where a route of its own says; of these `moving` goes now here, now there.
        for name, frm, to, src, dst in (('r0-r1', 0, 1, '10.1.0.2', '10.2.0.2'), ('r1-r0', 1, 0, 'fd02::2', 'fd01::2'),
                                        ('r2-r0', 2, 0, '10.3.0.2', '10.1.0.2'), ('r1-r2', 1, 2, '10.2.0.2', '198.51.100.0/24'),
                                        ('r0-r2', 0, 2, 'fd01::2', '2001:db8:1::/48'), ('moving', 0, None, '10.1.0.2', '203.0.113.0/24')):
            where, at = ('any', '') if to is None else (f'r{to}0', f',at=02:60:00:00:00:0{to}')
            flows[name] = f'r{frm}0:{where}:{self.rate},ip={src}>{dst},from=02:60:00:00:00:0{frm},to={mac[frm]},size=78-1500{at}'
        self.far = Far(self.b, cables, flows)
        self.proc['far'] = self.far
        self.flows = {name: tuple(text.split(':', 2)[:2]) for name, text in flows.items()}
        wait_for('links of routed ports', 20, lambda: all(self.far.ask('report')['cables'][n + '0']['up'] for n in ROUTED))
        wait_for('their devices have carrier', 20, lambda: self.b.must(self.r.cmd('ip', '-br', 'link')).out.count('LOWER_UP') == 4)
        self.ip(['route add 198.51.100.0/24 via 10.3.0.2', 'route add 2001:db8:1::/48 via fd03::2', 'route add 203.0.113.0/24 via 10.2.0.2'])
        self.routes_there()

    def routes_there(self):
        """The addresses of the flows are led where they shall go, by each NIC."""
        def good():
            for a in ('10.1.0.2', '10.2.0.2', 'fd01::2', '198.51.100.1', '2001:db8:1::1', '203.0.113.1'):
                got = self.route_get(a)
                if got['kind'] != 'forward' or {x['hop'] for x in got['nics']} != {got['hop']}:
                    return False
            return True
        wait_for('routes of the flows', 30, good, 0.1)

    # --- sessions of the pairs ---

    def up_args(self):
        return [*SESSIONS[self.session], *self.ring.pair_args]

    def up(self, session):
        self.session = session
        if session == 'bn':
            self.driver = self.b.up_stay(NICS, *self.up_args())
            self.proc['driver'] = self.driver
        else:
            self.b.up(NICS, *self.up_args())
        self.linked(NICS)

    def down(self):
        if self.driver:
            if self.driver.stop():
                raise Failed(f'the driver of bn ends with status {self.driver.popen.returncode}')
            self.driver = None
            del self.proc['driver']
        else:
            self.b.down(NICS)

    def adopt(self, new=0):
        """`up` for NICs that run, of which `new` are new."""
        told = self.b.up(NICS, *self.up_args())
        if (told['introduced'], told['adopted']) != (new, len(NICS) - new):
            raise Failed(f'up introduced {told["introduced"]} and adopted {told["adopted"]}, should be {new} and {len(NICS) - new}')

    def linked(self, names):
        def up():
            cables = self.far.ask('report')['cables']
            return all(cables[f'{n}{k}']['up'] for n in names for k in self.ports(n))
        wait_for(f'links of {" ".join(names)}', 20, up)

    # --- what may happen ---

    def touches(self, n):
        """The flows that a NIC's death may cost frames, or that of bn's host part."""
        hit = NICS if n == 'host' else (n,)
        return [f for f, (one, two) in self.flows.items() if one[:-1] in hit or two[:-1] in hit]

    def quietly(self, n, do):
        """The flows of one NIC stop, what is under way arrives, do(), they go on; the others never stop."""
        for f in self.touches(n):
            self.far.ask('rate', f, 0)

        def still():
            before = self.b.stats(n)[n]
            time.sleep(0.3)
            return flat(before) == flat(self.b.stats(n)[n])
        wait_for(f'{n} is quiet', 20, still)
        do()
        for f in self.touches(n):
            self.far.ask('rate', f, self.rate)

    def restart(self, n, rules=()):
        """Orderly: nothing is lost by it, and nothing of the others'."""
        def do():
            self.books['pairs'].ends(n)
            if self.proc[n].stop():
                raise Failed(f'{n} ends with status {self.proc[n].popen.returncode}')
            self.faults[n] = rules
            self.start(n)
            self.adopt(1)
            self.linked([n])
        self.quietly(n, do)
        self.restarts += 1

    def kill(self, n):
        self.books['routed' if n in ROUTED else 'pairs'].ends(n)
        self.proc[n].kill()
        self.restarts += 1

    def revive(self, n):
        self.start(n)
        if n in ROUTED:
            self.router_again(signal.SIGTERM)
        else:
            self.adopt(1)
        self.linked([n])

    def kill_host(self, n=None):
        """Without their host NICs stop, and count anew."""
        for m in NICS:
            self.books['pairs'].ends(m)
        if n:
            self.proc[n].kill()
            self.restarts += 1
        self.driver.kill()
        self.restarts += 1

    def host_again(self, n=None):
        live = [m for m in NICS if m != n]
        wait_for('NICs stop without their host', 20, lambda: all(v['state'] != 'running' for v in self.b.stats(*live).values()))
        if n:
            self.start(n)
        self.up('bn')

    def router_again(self, sig):
        self.proc['router'].send(sig)
        self.proc['router'].wait(20)
        self.router_start()
        self.restarts += 1
        self.routes_there()

    def sizes(self):
        """Of each process its pid, KiB resident that are nobody else's, KiB mapped, and open descriptors."""
        got = {}
        for name, p in self.proc.items():
            if not p.alive():
                raise Failed(f'{name} has ended with status {p.popen.returncode}: {p.err.strip()[-300:]}')
            got[name] = (p.pid, memory_kib(p.pid, 'RssAnon'), memory_kib(p.pid, 'VmSize'), descriptors(p.pid))
        return got

    def close(self):
        self.down()
        self.b.equal(self.proc['router'].stop(), 0, 'the router ends with status')
        self.b.equal([self.proc[n].stop() for n in NICS + ROUTED], [0] * 7, 'NICs end with status')
