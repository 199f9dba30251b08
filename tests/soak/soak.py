#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""soak.py [--seed N] [--minutes M] [--intervals N] [--interval S] [--mode M[,M]...] [--rate PPS] [--report FILE] [--plan N]

Mixed traffic through real processes for as long as one likes, while routes change, DMA fails, cables are pulled, NICs, drivers
and routers end and begin again; after each interval the books are closed exactly (docs/soak.md).  Ctrl-C ends with the summary.
Exit status 1: a rule is broken.
"""
import argparse
import json
import os
import random
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'integration'))

from lib import Failed, need_root, need_tool, run, wait_for
from world import NICS, ROUTED, World, rest

STALL_MS = 2000
# What a process may grow by once warm: KiB of its own, KiB mapped, descriptors.
GROWTH = 256, 256, 0
# What a killed NIC can hold of each of its flows: a ring or receive buffers, and the slots of a cable at either end.
HELD = 1024 + 2 * 1024
MAYBE_SENT = ('peer_lost', 'far_tx_lost')
# Intervals in which routed NICs may have no table for a while, so that frames go by way of the kernel.
PUNTING = ('router', 'kill-routed')
CHURN = 1500
KINDS = {
    'wr': ('quiet', 'churn', 'faults', 'peers', 'driver', 'monitor', 'router', 'restart', 'kill', 'kill-routed'),
    'rd': ('quiet', 'churn', 'faults', 'peers', 'driver', 'router', 'restart', 'kill'),
    'cut': ('quiet', 'churn', 'peers', 'driver', 'restart', 'kill', 'kill-routed'),
    'bn': ('quiet', 'churn', 'peers', 'router', 'kill-host'),
}
RULES = ('drop:desc:1e-3', 'drop:payload:1e-3', 'dup:payload:1e-3,ns=50k', 'delay:payload:1e-3,ns=200k', 'flip:payload:1e-3',
         'truncate:payload:1e-3', 'drop:completion:1e-2', 'delay:completion:1/100,ns=2m', 'dup:completion:1e-2', 'drop:control:1e-1',
         'delay:desc:1e-3,ns=1m', 'dup:desc:1e-3,ns=20k', 'stall:nic:1e-5,ns=5m', 'link:port:1e-4,ns=5m',
         'slow:port:1e-3,ns=2m', 'drop:bell:1e-2', 'flip:desc:1e-3')
OFTEN = RULES[:6]


def plan(seed, modes):
    """(session, kind, seed of the interval) for ever."""
    rng = random.Random(seed)
    while True:
        for session in rng.sample(modes, len(modes)):
            kinds = list(KINDS[session])
            rng.shuffle(kinds)
            for kind in ['quiet'] + [k for k in kinds if k != 'quiet']:
                yield session, kind, rng.getrandbits(32)
                if kind.startswith('kill'):
                    # What came back forwards, and the books are exact again.
                    yield session, 'quiet', rng.getrandbits(32)


class Ended(Exception):
    pass


class Soak:
    def __init__(self, b, args):
        self.b, self.args = b, args
        self.w = World(b, args.rate)
        self.report = open(args.report, 'w', encoding='utf-8') if args.report else None
        self.n, self.totals, self.growth, self.lives, self.judged, self.churn_pid = 0, {}, {}, {}, {}, None
        self.routes, self.kinds = {}, {}
        self.killed, self.faults = None, 0

    # --- kinds of intervals ---

    def pause(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(0.05)

    def do(self, kind, rng):
        t = self.args.interval
        getattr(self, 'do_' + kind.replace('-', '_'))(rng, t)

    def do_quiet(self, _rng, t):
        self.pause(t)

    def churned(self, rng):
        """One change of a prefix that no flow's address lies in, or of `moving`."""
        i = rng.randrange(CHURN)
        six, prefix = i & 1, f'2001:db8:{0x1000 + i:x}::/48' if i & 1 else f'100.{64 + (i >> 8)}.{i & 255}.0/{24 if i & 2 else 26}'
        way = rng.choice((2, 3, 1))
        if prefix in self.routes and rng.random() < 0.3:
            del self.routes[prefix]
            return f'route del {prefix}'
        self.routes[prefix] = f'fd0{way}::2' if six else f'10.{way}.0.2'
        return f'route replace {prefix} via {self.routes[prefix]}'

    def do_churn(self, rng, t):
        end, changes = time.monotonic() + t, 0
        while time.monotonic() < end:
            self.w.ip([self.churned(rng) for _ in range(200)] + [f'route replace 203.0.113.0/24 via 10.{rng.choice((2, 3))}.0.2'])
            changes += 201
            self.pause(0.1)
        self.b.say(f'  {changes} changes of routes, {len(self.routes)} there now')
        some = rng.sample(sorted(self.routes), min(10, len(self.routes)))

        def right():
            for prefix in some:
                got = self.w.route_get(prefix.split('/')[0].replace('::', '::1') if ':' in prefix else prefix.split('/')[0])
                if got['prefix'] != prefix or got['ways'][0].get('via') != self.routes[prefix] or {x['hop'] for x in got['nics']} != {got['hop']}:
                    return False
            return True
        wait_for('the NICs have what the kernel has', 20, right, 0.1)

    def do_faults(self, rng, t):
        bad = rng.sample(NICS, 2)
        for n in bad:
            # One at least that strikes often.
            some = rng.sample(RULES, 3)
            some.append(rng.choice([r for r in OFTEN if r not in some]))
            rules = [f'{r},seed={rng.randrange(1 << 30)}' for r in some]
            self.b.say(f'  {n}: ' + ' '.join(rules))
            self.w.restart(n, rules)
        self.pause(t)
        for n in bad:
            hits = self.b.stats(n)[n]['fault_hits']
            self.faults += hits
            self.rule(hits, f'{n}: no rule has struck: {self.w.faults[n]}')
            self.w.restart(n)

    def do_peers(self, rng, t):
        """Far ends that own the rings' memory lose what they had not looked at: only servers go."""
        for _ in range(max(2, int(t / 2))):
            c = rng.choice([f'{n}{k}' for n in ('a', 'c', 'd') for k in (0, 1)] + ['r00', 'r10', 'r20'])
            self.w.far.ask('cut', c)
            self.pause(rng.uniform(0.05, 0.5))
            self.w.far.ask('join', c)
            self.pause(1)
        self.w.linked(NICS + ROUTED)
        self.w.routes_there()

    def do_driver(self, _rng, t):
        for _ in range(3):
            self.w.adopt()
            self.pause(t / 3)

    def do_monitor(self, _rng, t):
        p = self.b.up_stay(NICS, *self.w.up_args())
        self.pause(t / 2)
        p.kill()
        self.w.adopt()
        self.pause(t / 2)

    def do_router(self, rng, t):
        self.pause(t / 2)
        self.w.router_again(rng.choice((signal.SIGKILL, signal.SIGTERM)))
        self.pause(t / 2)

    def do_restart(self, rng, t):
        self.pause(t / 2)
        self.w.restart(rng.choice(NICS))
        self.pause(t / 2)

    def do_kill(self, rng, t, who=NICS):
        n = rng.choice(who)
        self.b.say(f'  {n} is killed')
        self.pause(t / 3)
        self.killed = n
        self.w.kill(n)
        self.pause(rng.uniform(0.05, 2))
        self.w.revive(n)
        self.pause(t / 3)

    def do_kill_routed(self, rng, t):
        self.do_kill(rng, t, ROUTED)
        self.w.routes_there()

    def do_kill_host(self, rng, t):
        """bn's host part, at times with a NIC: all NICs begin anew."""
        n = rng.choice((*NICS, None, None))
        self.b.say(f'  the host part is killed{", with " + n if n else ""}')
        self.pause(t / 3)
        self.killed = 'host'
        self.w.kill_host(n)
        self.pause(rng.uniform(0.05, 2))
        self.w.host_again(n)
        self.pause(t / 3)

    # --- the books ---

    def counts(self, told, names):
        got = {}
        for c, v in told['cables'].items():
            if c[:-1] in names:
                for k in ('sent', 'received', 'foreign', 'tx_lost'):
                    got[k] = got.get(k, 0) + v[k]
        return got

    def close(self, before):
        """Waits until all has arrived or been counted; the far ends' last word and each mesh's (in, out, named, rest)."""
        end, last = time.monotonic() + 10, None
        while True:
            told = self.w.far.drain(300)
            got = {}
            for mesh, books in self.w.books.items():
                delta = {k: v - before[mesh][k] for k, v in self.counts(told, books.names).items()}
                nics = books.total()
                got[mesh] = (*rest(delta, nics), delta, nics)
            # After a kill there is a rest for good.
            if told['settled'] and (not any(g[3] for g in got.values()) or got == last) or time.monotonic() > end:
                return told, got
            last = got
            self.pause(1)

    def interval(self, session, kind, seed):
        self.n += 1
        w, begun = self.w, time.monotonic()
        if session != w.session:
            w.down()
            w.up(session)
        for books in w.books.values():
            books.begin()
        first = w.far.ask('mark')
        before = {mesh: self.counts(first, books.names) for mesh, books in w.books.items()}
        w.far.ask('resume')
        self.do(kind, random.Random(seed))
        told, got = self.close(before)
        line = {'n': self.n, 'session': session, 'kind': kind, 'seed': seed, 'seconds': round(time.monotonic() - begun, 1)}
        self.judge(line, first, told, got)
        self.grown(line)
        line['restarts'] = w.restarts
        self.write(line)

    def judge(self, line, first, told, got):
        kill, who = line['kind'].startswith('kill'), f'{line["n"]} {line["session"]} {line["kind"]} (seed {line["seed"]})'
        named = {}
        for mesh, (came, went, named_here, left, cables, nics) in got.items():
            line[mesh] = {'in': came, 'out': went, 'drops': named_here, 'difference': left}
            if mesh == 'routed':
                line['by_kernel'] = nics['injected'] - cables['foreign']
            killed_here = kill and (mesh == 'routed') == (line['kind'] == 'kill-routed')
            if killed_here:
                self.survivors(who, mesh, {f: v['missing'] - first['flows'][f]['missing'] for f, v in told['flows'].items()}, named_here)
                # What was outstanding at the dead one, or in its cables, may have been sent: not named, but part of what is lost.
                lost = left + sum(named_here.get(k, 0) for k in MAYBE_SENT)
                most = HELD * len(self.w.touches(self.killed))
                line['killed'], line['lost_in_kill'] = self.killed, lost
                self.rule(0 <= lost <= most, f'{who}: {mesh}: {self.killed}: {came} in, {went} out, {named_here}: lost in the kill {lost}, should be 0 to {most}')
            else:
                self.rule(left == 0, f'{who}: {mesh}: {came} in, {went} out, {named_here}: {left} unexplained')
                self.rule(cables['received'] + cables['foreign'] == nics['tx_frames'],
                          f'{who}: {mesh}: NICs sent {nics["tx_frames"]}, came out {cables["received"] + cables["foreign"]}')
            for k, v in named_here.items():
                named[k] = named.get(k, 0) + v
        self.rule(told['settled'], f'{who}: the cables did not come to rest')
        for k in ('corrupted', 'unknown'):
            line[k] = sum(v[k] - first['cables'][c][k] for c, v in told['cables'].items())
        for k in ('duplicated', 'reordered', 'old', 'misrouted'):
            line[k] = sum(v[k] - first['flows'][f][k] for f, v in told['flows'].items() if f != 'moving' or k == 'duplicated')
        gaps = {f: v['gap_ms'] for f, v in told['flows'].items()}
        worst = max(gaps, key=gaps.get)
        line.update(gap_ms=gaps[worst], gap_flow=worst, late_ms=told['late_ms'], missing=sum(v['missing'] - first['flows'][f]['missing']
                                                                                              for f, v in told['flows'].items()))
        # What goes by way of the kernel for a while is overtaken: each such frame may come late.
        late = sum(v['reordered'] - first['flows'][f]['reordered'] for f, v in told['flows'].items() if f[0] == 'r')
        punted = got['routed'][5]['punted']
        line['overtaken'] = late if line['kind'] in PUNTING and late <= min(line['by_kernel'], punted) else 0
        line['reordered'] -= line['overtaken']
        for k in ('corrupted', 'unknown', 'duplicated', 'reordered', 'old', 'misrouted'):
            bad = {f: v[k] - first['flows'][f][k] for f, v in told['flows'].items() if k in v and v[k] != first['flows'][f][k]}
            self.rule(not line[k], f'{who}: {k} {line[k]}: {bad}')
        line['stalls'] = 0 if kill else sum(g > STALL_MS for g in gaps.values())
        self.rule(not line['stalls'], f'{who}: no frame of {worst} for {gaps[worst]} ms')
        unmoved = [f for f, v in told['flows'].items() if v['received'] == first['flows'][f]['received']]
        self.rule(not unmoved, f'{who}: not one frame of {unmoved}')

    def grown(self, line):
        """Each process against itself; those of the pairs in each session against their first stay in it, routers that have had
        a churn against the first such.  Of resident memory what is nobody else's: of shared device memory a process has what it has touched,
        no more than is mapped."""
        line['size'] = {}
        self.churn_pid = self.churn_pid if line['kind'] != 'churn' else self.w.proc['router'].pid
        for name, (pid, *size) in self.w.sizes().items():
            # A router that has had a churn may have what the first such had.
            key, least = ((pid, line['session']), 2) if name in NICS + ('driver',) else (name, 6) if name == 'router' else ((pid, ''), 10)
            life = self.lives.setdefault(key, {'n': 0, 'warm': [0] * len(size)})
            judged = name != 'router' or pid == self.churn_pid
            life['n'] += judged
            # Observers that have just left are still there for a moment.
            if size[2] > life['warm'][2]:
                self.pause(0.3)
                size = list(self.w.sizes()[name][1:])
            line['size'][name] = size
            if not judged:
                continue
            if life['n'] <= least:
                life['warm'] = [max(x) for x in zip(size, life['warm'])]
                continue
            self.judged[name] = self.judged.get(name, 0) + 1
            more = [now - was for now, was in zip(size, life['warm'])]
            self.growth[name] = [max(x) for x in zip(more, self.growth.get(name, more))]
            if any(m > most for m, most in zip(more, GROWTH)):
                self.rule(False, f'{line["n"]} {line["kind"]}: {name} grew: of its own, mapped (KiB), descriptors {size}; warm {life["warm"]}')
                life['warm'] = size

    def survivors(self, who, mesh, missing, named):
        """What flows between NICs that live on have lost has a name; in `wr` and `rd` they lose nothing."""
        hit = set(self.w.touches(self.killed)) | {'moving'}
        mine = [f for f, ends in self.w.flows.items() if (ends[0][0] == 'r') == (mesh == 'routed') and f not in hit]
        lost = sum(missing[f] for f in mine)
        most = sum(named.values()) if mesh == 'routed' or self.w.session == 'cut' else 0
        self.rule(0 <= lost <= most, f'{who}: {mesh}: flows between survivors lost {lost}, should be 0 to {most}: {[(f, missing[f]) for f in mine]}, {named}')

    def rule(self, good, text):
        if not good:
            self.b.check(False, text)

    def write(self, line):
        if self.report:
            self.report.write(json.dumps(line) + '\n')
            self.report.flush()
        self.kinds[line['kind']] = self.kinds.get(line['kind'], 0) + 1
        for mesh in ('pairs', 'routed'):
            t = self.totals.setdefault(mesh, {'in': 0, 'out': 0, 'drops': {}, 'exact': 0, 'kills': 0, 'lost_in_kill': 0, 'most_in_kill': 0})
            t['in'] += line[mesh]['in']
            t['out'] += line[mesh]['out']
            for k, v in line[mesh]['drops'].items():
                t['drops'][k] = t['drops'].get(k, 0) + v
            if 'lost_in_kill' in line and (mesh == 'routed') == (line['kind'] == 'kill-routed'):
                t['kills'], t['lost_in_kill'] = t['kills'] + 1, t['lost_in_kill'] + line['lost_in_kill']
                t['most_in_kill'] = max(t['most_in_kill'], line['lost_in_kill'])
            else:
                t['exact'] += line[mesh]['difference']
        for k in ('corrupted', 'duplicated', 'reordered', 'old', 'misrouted', 'stalls'):
            self.totals[k] = self.totals.get(k, 0) + line[k]
        if not line['kind'].startswith('kill'):
            self.totals['gap_ms'] = max(line['gap_ms'], self.totals.get('gap_ms', 0))
        kib = sum(s[0] for s in line['size'].values())
        self.b.say(f'{line["n"]:4} {line["session"]:3} {line["kind"]:11} {line["seconds"]:5.1f} s ' + ' '.join(
            f'{m}: {line[m]["in"]} in {line[m]["out"]} out {line[m]["drops"]} diff {line[m]["difference"]};' for m in ('pairs', 'routed')) +
            f' bad {line["corrupted"]} dup {line["duplicated"]} late {line["reordered"]} gap {line["gap_ms"]} ms ({line["gap_flow"]})'
            f' restarts {line["restarts"]} {kib} KiB {sum(s[2] for s in line["size"].values())} fds')

    def summary(self):
        self.b.say('--- summary ---')
        self.b.say(f'seed {self.args.seed}: {self.n} intervals, {self.w.restarts} restarts')
        for k, v in self.totals.items():
            self.b.say(f'{k}: {v}')
        self.b.say(f'kinds: {self.kinds}; faults that struck: {self.faults}; sizes judged: {self.judged}')
        self.b.say(f'growth since warm, KiB of its own, KiB mapped, descriptors: {self.growth}')
        if self.report:
            self.report.write(json.dumps({'summary': self.totals, 'intervals': self.n, 'restarts': self.w.restarts, 'kinds': self.kinds,
                                          'faults': self.faults, 'judged': self.judged, 'growth': self.growth,
                                          'broken': self.b.failures}) + '\n')


def options():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--seed', type=int, default=1)
    p.add_argument('--minutes', type=float, default=60)
    p.add_argument('--intervals', type=int, help='ends after so many; a rule is broken if the minutes are over first')
    p.add_argument('--interval', type=float, default=6, help='seconds of traffic in an interval (6)')
    p.add_argument('--rate', type=int, default=1000, help='frames a second of each of 14 flows (1000)')
    p.add_argument('--mode', default='wr,rd,cut,bn', help='sessions of the pairs, of wr, rd, cut, bn (all)')
    p.add_argument('--report', help='a line of JSON for each interval')
    p.add_argument('--plan', type=int, help='print the first so many intervals and end')
    args = p.parse_args()
    args.modes = args.mode.split(',')
    if not set(args.modes) <= set(KINDS):
        p.error(f'--mode: of {", ".join(KINDS)}')
    return args


def main(b):
    need_root('network namespaces')
    need_tool('ip', 'unshare', 'nsenter')

    def end(*_):
        raise Ended
    signal.signal(signal.SIGINT, end)
    soak = Soak(b, ARGS)
    stop = time.monotonic() + ARGS.minutes * 60
    try:
        for session, kind, seed in plan(ARGS.seed, ARGS.modes):
            if time.monotonic() > stop or soak.n == ARGS.intervals:
                break
            soak.interval(session, kind, seed)
        soak.w.close()
        b.check(soak.n >= (ARGS.intervals or 1), f'{soak.n} intervals, {ARGS.intervals or 1} at least')
    except Ended:
        b.say('interrupted')
    except Failed as e:
        b.check(False, f'interval {soak.n}: {e}')
    soak.summary()


ARGS = options()
if ARGS.plan:
    for k, (its_session, its_kind, its_seed) in zip(range(ARGS.plan), plan(ARGS.seed, ARGS.modes)):
        print(k + 1, its_session, its_kind, its_seed)
else:
    run(main)
