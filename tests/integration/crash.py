#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""crash.py [--seed N] [--kills N] [--mode M[,M]...] [--minutes M] [--together]

kill -9 of drivers, of bn's host part, of NICs and of the far ends of their cables at random moments under load, orderly stops
and replacements between them.  A model says what should be after each; NICs, peers, links, pairs and frames are held to it
(docs/reliability.md).

a, b, c, d have two ports each, in a ring of static pairs, with numbered frames both ways through each; b's cables are memif
servers of its own, the others' far ends are.  There is room for a fifth, which comes and goes (not in bn).
"""
import argparse
import os
import random
import sys
import time

from lib import Failed, Far, P2PNIC, Ring, WAYS, descriptors, drops, memory_kib, run, side_by_side, wait_for

NICS, FIFTH = Ring.NICS, 'e'
SLOTS, CABLE, RATE, BURST = 128, 1024, 1500, 32
SILENCE_MS = 1500
EVENTS = ('nic', 'nic', 'nic', 'two', 'noticed', 'stop', 'replace', 'introducing', 'adopting', 'fresh', 'down', 'far', 'cable', 'number', 'grow')
EVENTS_BN = ('host', 'host', 'nic', 'two', 'host_and_nic', 'host_coming', 'far')
GROWTH_KIB = 256
NOT_CERTAIN = ('peer_lost', 'stopped')  # some of these may have been sent


def held(mode, flow):
    """What a flow's frames can lie in when a NIC at either end dies.

    Receive buffers, two a slot, in rd four: where the NIC is the memif client they are what the far end writes, and hold what
    the cable holds, too; b, the server, copies out of the far end's buffers.  Then the ring, whose buffers are the NIC's at the
    other end until its cable has sent them; in bn there is one to the host and one from it.  b as a server copies again, into
    the far end's buffers."""
    most = SLOTS * (4 if mode == 'rd' else 2) + SLOTS * (2 if mode == 'bn' else 1)
    return most + CABLE * sum(end[0] in Ring.FAR_IS_CLIENT for end in flow.split('-'))


class Crash:
    def __init__(self, b, mode, seed):
        self.b, self.mode, self.seed, self.ring = b, mode, seed, Ring(b)
        self.rng = random.Random(f'{mode} {seed}')
        self.kills, self.rounds, self.lost_max, self.lost, self.far_no, self.growth = {}, 0, 0, 0, 0, 0
        self.judged, self.burst = [0, 0], 0
        self.ports = {n: 2 for n in NICS}
        self.room, self.grew = len(NICS) + (mode != 'bn'), 0
        self.proc, self.host, self.base, self.sizes, self.fds = {}, None, {}, {}, {}
        for n in NICS:
            self.start(n)
        self.far_start()
        self.up(len(NICS), 0)
        self.settle()

    # --- processes ---

    def start(self, n):
        self.proc[n] = self.b.nic(n, *self.ring.ports(n), *['null:'] * (self.ports[n] - 2))

    def far_start(self):
        flows = self.ring.flows(RATE)
        self.far_no += 1
        self.far = Far(self.b, self.ring.cables(), flows, '--seed', str(self.seed * 100000 + self.far_no))
        self.flows = {f: tuple(x[0] for x in f.split('-')) for f in flows}

    def killed(self, what):
        self.kills[what] = self.kills.get(what, 0) + 1

    def emptied(self, *nics):
        """What flows through these had under way is lost with them, and their counters begin anew.  Returns when it was looked at
        them: what they name from here on until it happens goes with them."""
        now = time.monotonic()
        for n, (pid, v) in self.named(nics).items():
            self.past[n] = self.past.get(n, 0) + v - (0 if n in self.past or self.base[n][0] != pid else self.base[n][1])
        self.empty.append(set(nics))
        return now

    def gone(self, since):
        self.blind += time.monotonic() - since

    def kill(self, *nics):
        since = self.emptied(*nics)
        for n in nics:
            self.proc[n].popen.kill()
        for n in nics:
            self.proc[n].kill()
            self.killed('NIC')
        self.gone(since)

    def args(self):
        return [*WAYS[self.mode], '--max-nics', str(self.room), '--slots', str(SLOTS), '--silence', str(SILENCE_MS), *self.ring.pair_args]

    def running(self, names=NICS):
        """NICs that run, as they say; those that are gone do not."""
        alive = [n for n in names if n == FIFTH or self.proc[n].alive()]
        return [n['name'] for n in self.b.show('nics', *alive)['nics'] if n['state'] == 'running']

    def up(self, introduced, adopted, names=NICS):
        if self.mode == 'bn':
            self.host = self.b.up_stay(names, *self.args())
            return
        told = self.b.up(names, *self.args())
        self.is_so((told['introduced'], told['adopted']), (introduced, adopted), 'introduced and adopted')

    def cut_short(self, command, most, names=NICS):
        """A driver that is killed at a random moment of its life, or has just ended well."""
        args = [*self.b.addresses(names), *(self.args() if command == 'up' else ())]
        p = self.b.start(command, [P2PNIC, command, *args, *(('--monitor',) if self.mode == 'bn' else ())])
        time.sleep(self.rng.random() ** 2 * most)
        if p.alive():
            p.kill()
            self.killed('driver')
        elif p.popen.returncode:
            raise Failed(f'{command} ended with status {p.popen.returncode}: {p.err.strip()[-300:]}')

    def driver_dies(self, command='up', most=0.15, names=NICS):
        """NICs that ran on."""
        since = time.monotonic()
        self.cut_short(command, most, names)

        def rests():
            """What the death of its driver stops has stopped once it looks the same twice."""
            one = self.running(names)
            return one == self.running(names) and [one]
        there = wait_for('NICs have taken note of the death', 5, rests)[0]
        self.gone(since)
        self.up(len(names) - len(there), len(there), names)
        return there

    # --- what is compared with the model ---

    def is_so(self, got, want, what):
        if got != want:
            raise Failed(f'{self.where}: {what}: {got}, should be {want}')

    def becomes(self, what, want, get, seconds=15):
        got = [None]

        def same():
            got[0] = get()
            return got[0] == want
        try:
            wait_for(what, seconds, same, 0.01)
        except Failed:
            raise Failed(f'{self.where}: {what}: {got[0]}, should be {want}') from None

    def state(self, dead=(), fifth='absent'):
        """Every NIC that lives, its links, every peer as it sees it; of the fifth, if there is room, what it is."""
        alive = [n for n in NICS if n not in dead] + ([FIFTH] if fifth == 'up' else [])
        mode = 'wr' if self.mode == 'cut' else self.mode
        peers = ['down' if m in dead else 'up' for m in NICS] + [fifth] * (self.room - len(NICS))
        want = {n: ('running', mode, k, self.room, [True] * self.ports.get(n, 2), peers) for k, n in enumerate((*NICS, FIFTH)) if n in alive}
        self.becomes('state, mode, number, NICs, links and peers', want, lambda: {
            n: (v['state'], v['mode'], v['index'], v['nics'], [p['link'] for p in v['ports']], [p['state'] for p in v['peers']])
            for n, v in self.b.stats(*alive).items()})

    def forwards(self, flows, frames=5):
        """So many frames of each of these come out."""
        first = {f: v['received'] for f, v in self.far.ask('resume')['flows'].items()}
        self.becomes('flows without a frame', [], lambda: [
            f for f, v in self.far.ask('report')['flows'].items() if f in flows and v['received'] < first[f] + frames])

    def named(self, nics=NICS):
        """Of each NIC: which process, and its drops that are certain."""
        return {n: (self.proc[n].pid, sum(v for k, v in drops(s).items() if k not in NOT_CERTAIN)) for n, s in self.b.stats(*nics).items()}

    def settle(self):
        """All is as it should be, and what was sent has arrived; from here the next round counts."""
        self.where = f'{self.mode}, round {self.rounds}'
        self.state()
        self.forwards(self.flows)
        self.told = self.far.drain(30)
        self.base = self.named()
        self.grown()

    def grown(self):
        """Memory of each process as long as it lives: of it what is nobody else's, for of shared device memory it has what it has
        touched.  Descriptors as well, once seen with as many ports of its peers: they are more where these have more."""
        for name, p in [*self.proc.items(), ('far', self.far)]:
            rss, fds = memory_kib(p.pid, 'RssAnon'), descriptors(p.pid)
            first = self.sizes.setdefault(p.pid, rss)
            self.growth = max(self.growth, rss - first)
            if rss > first + GROWTH_KIB:
                raise Failed(f'{self.where}: {name} grew from {first} to {rss} KiB')
            key = p.pid, sum(v for n, v in self.ports.items() if n != name)
            self.judged = [self.judged[0] + (key in self.fds), self.judged[1] + 1]
            most = self.fds.setdefault(key, fds)
            if fds > most:  # an observer that has just left may still be there
                wait_for(f'{self.where}: {name} has no more than {most} descriptors', 3, lambda p=p, m=most: descriptors(p.pid) <= m)

    def books(self, anew):
        """anew: the far ends are new."""
        told, was = self.far.drain(30), self.told
        now, base = self.named(), self.base
        self.told, self.base = told, now
        self.is_so(told['settled'], True, 'the cables came to rest')
        bad = {f'{f} {k}': v[k] for f, v in told['flows'].items() for k in ('duplicated', 'corrupted', 'old', 'misrouted', 'reordered') if v[k]}
        self.is_so(bad, {}, 'frames twice, damaged, late or elsewhere')
        self.is_so(sum(v['unknown'] for v in told['cables'].values()) - self.unknown, 0, 'frames that nobody sent')
        if anew:
            return
        lost = {f: v['missing'] - was['flows'][f]['missing'] for f, v in told['flows'].items()}
        named = sum(self.past.values()) + sum(v - (0 if n in self.past else base[n][1]) for n, (_, v) in now.items())
        times = {f: sum(bool(set(ends) & e) for e in self.empty) for f, ends in self.flows.items()}
        others = sum(v for f, v in lost.items() if not times[f])
        most_others = named if self.mode == 'cut' else 0
        if not 0 <= others <= most_others:
            raise Failed(f'{self.where}: flows between survivors lost {lost}, drops by name {named}')
        # And what came in, and was counted, while nobody could read the counters any more.
        most = int(sum(times[f] * held(self.mode, f) + RATE * self.blind + BURST for f in times if times[f]))
        in_kill = sum(lost.values()) - named
        if os.environ.get('CRASH_SHOW'):
            self.b.say(f'{self.where}: lost_in_kill {in_kill} of {most}, blind {self.blind:.2f} s, {self.empty}, {lost}, named {named}')
        if not 0 <= in_kill <= most:
            raise Failed(f'{self.where}: lost_in_kill {in_kill}, should be 0 to {most}: {lost}, drops by name {named}')
        self.lost += in_kill
        self.lost_max = max(self.lost_max, in_kill)

    def closes(self):
        """A burst through all flows now that all are back: what does not come out is in the counters, frame by frame."""
        told, base = self.told, self.base
        self.forwards(self.flows, 50)

        def missing():
            self.told, self.base = self.far.drain(30), self.named()
            return (sum(v['missing'] - told['flows'][f]['missing'] for f, v in self.told['flows'].items()) -
                    sum(v - base[n][1] for n, (_, v) in self.base.items()))
        self.becomes('frames of the burst that are missing and in no counter', 0, missing, 5)
        self.burst += sum(v['received'] - told['flows'][f]['received'] for f, v in self.told['flows'].items())

    # --- events: each returns whether the far ends are new ---

    def back(self, *dead):
        for n in dead:
            self.start(n)
        if self.mode == 'bn':
            # Nobody adopts in bn: the host part goes, and all begin anew.
            self.host_ends()
            self.up(0, 0)
        else:
            self.up(len(dead), len(NICS) - len(dead))

    def do_nic(self):
        n = self.rng.choice(NICS)
        self.kill(n)
        self.back(n)

    def do_two(self):
        two = self.rng.sample(NICS, 2)
        self.kill(*two)
        self.back(*two)

    def do_noticed(self):
        n = self.rng.choice(NICS)
        self.kill(n)
        self.state((n,))
        self.forwards([f for f, ends in self.flows.items() if n not in ends])
        self.back(n)

    def leave(self):
        n = self.rng.choice(NICS)
        since = self.emptied(n)
        self.is_so(self.proc[n].stop(), 0, f'{n} ends with status')
        self.gone(since)
        return n

    def do_stop(self):
        self.back(self.leave())

    def do_replace(self):
        """Another NIC under its name, with more ports or fewer."""
        n = self.leave()
        self.ports[n] = 5 - self.ports[n]
        self.back(n)

    def do_introducing(self):
        """The driver dies that introduces one; at times another takes its place before the next driver comes."""
        n = self.rng.choice(NICS)
        self.kill(n)
        self.ports[n] = self.rng.choice((2, 3))
        self.start(n)
        self.cut_short('up', 0.15)
        if self.rng.random() < 0.3:
            self.kill(n)
            self.ports[n] = self.rng.choice((2, 3))
            self.start(n)
        there = self.driver_dies()
        self.is_so(set(NICS) - {n} <= set(there), True, f'all but {n} ran on, {there} do')

    def do_adopting(self):
        self.is_so(self.driver_dies(), list(NICS), 'NICs that ran on')

    def all_begin_anew(self, how):
        """how() stops all of them."""
        since = self.emptied(*NICS)
        how()
        self.gone(since)

    def do_fresh(self):
        self.all_begin_anew(lambda: self.b.down(NICS))
        self.driver_dies()
        self.empty.append(set(NICS))  # what ran for a moment

    def do_down(self):
        self.emptied(*NICS)
        for n in self.driver_dies('down', 0.05):
            del self.past[n]  # it ran on

    def do_far(self):
        self.far.kill()
        self.killed('far ends')
        self.far_start()
        self.state()
        self.far.drain(50)  # what the old one had sent
        return True

    def do_cable(self):
        c = self.rng.choice([f'{n}{k}' for n in NICS for k in (0, 1)])
        self.empty.append({c[0]})
        self.far.ask('cut', c)
        if self.rng.random() < 0.3:
            n = self.rng.choice(NICS)
            self.kill(n)
            self.back(n)
        self.far.ask('join', c)

    def do_number(self):
        """Whoever is up can't be left out; that is refused, and disturbs nobody."""
        some = self.rng.sample(NICS, 3)
        r = self.b.call([P2PNIC, 'up', *self.b.addresses(some), *WAYS[self.mode]])
        if r.status != 1 or 'in its mesh, up and not given; name all that are up' not in r.err:
            raise Failed(f'{self.where}: up with 3 of 4 NICs: status {r.status}, {r.err!r}')

    def do_grow(self):
        """A fifth is added, by a driver that may die meanwhile, and leaves in order or by death: nobody else notices."""
        both = (*NICS, FIFTH)
        fifth = self.b.nic(FIFTH, 'null:', 'null:')
        if self.rng.random() < 0.5:
            there = self.driver_dies(names=both)
            self.is_so(set(NICS) - set(there), set(), 'NICs that did not run on')
        else:
            self.up(1, len(NICS), both)
        self.state(fifth='up')
        self.forwards(self.flows)
        if self.rng.random() < 0.5:
            fifth.kill()
            self.killed('NIC')
        else:
            self.is_so(fifth.stop(), 0, 'the fifth ends with status')
        if self.rng.random() < 0.3:
            self.cut_short('up', 2)
        self.up(0, len(NICS))
        self.grew += 1

    def no_host(self):
        self.becomes('NICs that run without their host', [], self.running)

    def host_dies(self):
        self.host.kill()
        self.killed('host')
        self.no_host()

    def host_ends(self):
        def ends():
            if self.rng.random() < 0.5:
                self.host.stop()
                self.no_host()
            else:
                self.host_dies()
        self.all_begin_anew(ends)

    def do_host(self):
        self.all_begin_anew(self.host_dies)
        self.up(0, 0)

    def do_host_and_nic(self):
        n = self.rng.choice(NICS)

        def die():
            self.proc[n].popen.kill()
            self.host.kill()
            self.killed('host')
            self.proc[n].kill()
            self.killed('NIC')
            self.no_host()
        self.all_begin_anew(die)
        self.start(n)
        self.up(0, 0)

    def do_host_coming(self):
        self.all_begin_anew(self.host_dies)
        since = time.monotonic()
        self.cut_short('up', 0.15)
        self.no_host()
        self.gone(since)
        self.empty.append(set(NICS))  # what ran for a moment
        self.up(0, 0)

    # --- rounds ---

    def round(self):
        self.rounds += 1
        self.b.procs = [p for p in self.b.procs if p.alive()]
        event = self.rng.choice(EVENTS_BN if self.mode == 'bn' else EVENTS)
        self.where = f'{self.mode} seed {self.seed}, round {self.rounds}, {event}'
        if os.environ.get('P2PNIC_KEEP'):
            self.b.say(self.where)
        self.unknown = sum(v['unknown'] for v in self.told['cables'].values())
        self.far.ask('resume')
        time.sleep(self.rng.random() * 0.03)
        pids = {n: p.pid for n, p in self.proc.items()}
        self.past, self.empty, self.blind = {}, [], 0
        anew = getattr(self, 'do_' + event)()
        self.state()
        if anew:
            self.told = self.far.ask('mark')
            self.unknown = sum(v['unknown'] for v in self.told['cables'].values())
            for v in self.told['flows'].values():
                self.is_so((v['received'], v['sent']), (0, 0), 'frames of the new far ends')
        self.forwards(self.flows)
        ended = [n for n, p in self.proc.items() if not p.alive() or (p.pid != pids[n] and not any(n in e for e in self.empty))]
        self.is_so(ended, [], 'NICs that ended and were not killed')
        self.books(anew)
        self.closes()
        self.grown()

    def close(self):
        if self.host:
            self.host.stop()
        else:
            self.b.down(NICS)
        self.is_so([self.proc[n].stop() for n in NICS], [0] * len(NICS), 'NICs end with status')
        self.is_so(self.far.stop(), 0, 'far ends end with status')
        self.b.check(True, f'{self.mode} seed {self.seed}: {self.rounds} rounds, {self.grew} times a fifth came and went, killed {self.kills}; lost_in_kill {self.lost}, at most '
                     f'{self.lost_max} in a round; memory grew by {self.growth} KiB at most; descriptors judged {self.judged[0]} of {self.judged[1]} times; {self.burst} frames of bursts, '
                     'each came out or was counted')


def together(b):
    """Kills of all modes."""
    said = side_by_side(b, ARGS.minutes * 60 + 120, {m: ('--mode', m, *(f'--{k}={getattr(ARGS, k)}' for k in (
        'seed', 'seeds', 'kills', 'minutes'))) for m in ARGS.mode.split(',')})
    return sum(int(line.split()[1]) for out in said for line in out.splitlines() if line.endswith(' kills') and len(line.split()) == 3)


def one_by_one(b):
    total, end = 0, time.monotonic() + ARGS.minutes * 60
    modes = ARGS.mode.split(',')
    for k in range(ARGS.seeds):
        for m, mode in enumerate(modes):
            left = (end - time.monotonic()) / (len(modes) * (ARGS.seeds - k) - m)
            crash, until = Crash(b, mode, ARGS.seed + k), time.monotonic() + left
            while sum(crash.kills.values()) < ARGS.kills and (not crash.kills or time.monotonic() < until):
                crash.round()
            crash.close()
            total += sum(crash.kills.values())
            b.check(crash.kills, f'{mode}: {sum(crash.kills.values())} kills')
    return total


def main(b):
    if ARGS.together:
        total = together(b)
    else:
        total = one_by_one(b)
    b.say(f'{total} kills')
    b.check(total >= ARGS.least, f'{total} kills, {ARGS.least} at least')


def options():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--seed', type=int, default=1)
    p.add_argument('--seeds', type=int, default=1, help='so many, from there on')
    p.add_argument('--kills', type=int, default=8, help='in each mode, for each seed')
    p.add_argument('--least', type=int, default=1, help='fewer in all are a failure')
    p.add_argument('--minutes', type=float, default=10, help='ends then, whatever was done')
    p.add_argument('--together', action='store_true', help='all modes at once')
    p.add_argument('--mode', default='wr,rd,cut,bn')
    return p.parse_args()


ARGS = options()
sys.exit(run(main))
