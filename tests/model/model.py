# SPDX-License-Identifier: BSD-3-Clause
"""The model of the ring protocol (ring.pml, docs/protocol.md), searched through by SPIN.

model.py quick     the protocol holds in small runs; every mutation and the configuration in which a payload
                   overtakes the reuse of its slot violate what they should
model.py long      larger rings, more faults: all of it exhaustive, too
model.py NAME...   these configurations alone
model.py --trace NAME   how the violation of a configuration comes about, step by step

A configuration is one run of a verifier, which is compiled once for each size.  "exhaustive" is printed only for
searches that SPIN ended by itself, with no limit reached and every state kept.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
MODEL = os.path.join(HERE, 'ring.pml')
DEPTH = 200000
MEGABYTES = 2000

# Sizes of the ring: what the verifier is compiled with.
SMALL = ()                  # two slots of one unit, four writes under way each way
FOUR = ('-DN=4',)           # four slots
AHEAD = ('-DN=4', '-DAHEAD=2')  # a hole is not looked past as far as the ring goes
UNITS = ('-DU=2', '-DQ=5')  # payloads of which half may be lost

# name: (size, what may happen, the assertion that must fail or None).  Unless said otherwise: wr, scrub on.
# losses, dups, early, silences, p_restarts, c_restarts, tears, flips (a descriptor has the number of its slot's next lap): at
# most so many, at any time.  longs: every second frame takes two slots.  certain: every frame has words that no other has.
# cold: what restarts has new memory.  session: begins with the NICs' meeting, in memory that a former life left behind; else sessions are up.
QUICK = {
    'wr':            (SMALL, 'frames=4 losses=2 early=1', None),
    'wr-flip':       (SMALL, 'frames=4 losses=1 flips=1 early=1', None),
    'believe-seq':   (SMALL, 'frames=4 flips=1 mut=12', 'counted_twice'),
    'wr-twice':      (SMALL, 'frames=3 losses=1 dups=1 early=1', None),
    'wr-long':       (SMALL, 'frames=4 longs=1 losses=1 early=1', None),
    'rd':            (SMALL, 'rd=1 frames=4 losses=2 early=1', None),
    'rd-long':       (SMALL, 'rd=1 frames=4 longs=1 losses=1 early=1', None),
    'noscrub':       (SMALL, 'scrub=0 frames=4 dups=1 early=1', None),
    'meet':          (SMALL, 'session=1 frames=2 losses=1 tears=1', None),
    'wr-producer':   (SMALL, 'session=1 frames=2 losses=1 p_restarts=1', None),
    'wr-consumer':   (SMALL, 'session=1 frames=2 losses=1 c_restarts=1', None),
    'rd-silence':    (SMALL, 'rd=1 session=1 frames=2 losses=1 silences=1', None),
    # One payload overtakes the reuse of its slot: what the fabric must not do.
    'overtake':      (SMALL, 'frames=3 overtakes=1 certain=1', 'corrupted'),
    # Mutations.
    'no-seq':        (SMALL, 'frames=4 losses=1 mut=1', 'delivered_twice'),
    'no-seq-noscrub': (SMALL, 'scrub=0 frames=4 mut=1', 'delivered_twice'),
    'no-cumulative': (SMALL, 'frames=4 losses=1 mut=2', 'stuck'),
    'no-scrub':      (SMALL, 'frames=4 losses=1 mut=3', 'corrupted'),
    'no-second-look': (SMALL, 'frames=4 losses=1 early=1 mut=4', 'lost_unhurt'),
    'late-scrub':    (SMALL, 'frames=4 losses=1 early=1 mut=5', 'lost_unhurt'),
    'no-open-scrub': (SMALL, 'session=1 frames=2 losses=1 p_restarts=1 mut=6', 'corrupted'),
    'no-repeat':     (SMALL, 'frames=4 losses=1 mut=7', 'stuck'),
    'no-echo':       (SMALL, 'frames=4 losses=1 mut=8', 'stuck'),
    'no-zero':       (SMALL, 'session=1 frames=2 losses=1 p_restarts=1 mut=9', 'corrupted'),
    'answer-early':  (SMALL, 'session=1 frames=2 losses=1 silences=1 mut=10', 'stuck'),
    'no-gap':        (SMALL, 'rd=1 session=1 frames=2 losses=1 silences=1 mut=11', 'not_accounted'),
    # What scrub off means to the firmware: nobody looks for holes and nothing is written again.
    'noscrub-lossy': (SMALL, 'scrub=0 frames=2 losses=1', 'stuck'),
}
LONG = {
    'wr-all':        (SMALL, 'frames=4 losses=2 dups=1 early=1', None),
    'rd-all':        (SMALL, 'rd=1 frames=4 losses=2 dups=1 early=1', None),
    'wr-4':          (FOUR, 'frames=5 losses=1 early=1', None),
    'wr-4-losses':   (FOUR, 'frames=5 losses=2', None),
    'rd-4':          (FOUR, 'rd=1 frames=5 losses=1 early=1', None),
    'wr-4-long':     (FOUR, 'frames=4 longs=1 losses=1 early=1', None),
    'wr-4-flip':     (FOUR, 'frames=5 losses=1 flips=1', None),
    'wr-4-ahead':    (AHEAD, 'frames=5 losses=3', None),
    'wr-units':      (UNITS, 'frames=3 losses=2 early=1', None),
    'wr-units-long': (UNITS, 'frames=4 longs=1 losses=2', None),
    'wr-units-consumer': (UNITS, 'session=1 frames=2 losses=1 c_restarts=1', None),
    'wr-silence-long': (SMALL, 'session=1 frames=2 longs=1 losses=1 silences=1', None),
    'rd-producer':   (SMALL, 'rd=1 session=1 frames=2 losses=1 p_restarts=1', None),
    'rd-consumer':   (SMALL, 'rd=1 session=1 frames=2 losses=1 c_restarts=1', None),
    'cold-producer': (SMALL, 'session=1 frames=2 losses=1 p_restarts=1 cold=1', None),
    'cold-consumer': (SMALL, 'session=1 frames=2 losses=1 c_restarts=1 cold=1', None),
    'both':          (SMALL, 'session=1 frames=2 p_restarts=1 c_restarts=1', None),
    'silence-producer': (SMALL, 'session=1 frames=2 silences=1 p_restarts=1', None),
    'silence-consumer': (SMALL, 'session=1 frames=2 silences=1 c_restarts=1', None),
    'noscrub-both':  (SMALL, 'scrub=0 session=1 frames=2 p_restarts=1 c_restarts=1', None),
    'early-consumer': (SMALL, 'session=1 frames=2 early=1 c_restarts=1', None),
    'twice-producer': (SMALL, 'session=1 frames=2 dups=1 losses=1 p_restarts=1', None),
    'overtake-units': (UNITS, 'frames=3 overtakes=1 certain=1', 'corrupted'),
    'overtake-4':    (FOUR, 'frames=5 overtakes=1 certain=1', 'corrupted'),
}
PROPERTY = {
    'corrupted': 'a corrupted frame is delivered',
    'delivered_twice': 'a frame is delivered twice',
    'counted_twice': 'a frame is counted twice, or counted and delivered',
    'lost_unhurt': 'a frame is dropped of which nothing was lost',
    'not_accounted': 'a frame is neither delivered nor counted',
    'stuck': 'three rounds of heartbeats and pokes in which nothing is lost do not finish what is outstanding',
}


class Failure(Exception):
    pass


def run(args, cwd, env=None, timeout=900):
    done = subprocess.run(args, cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout)
    return done.returncode, done.stdout


class Verifiers:
    """One a size, made when first asked for."""

    def __init__(self, folder):
        self.folder, self.made = folder, {}

    def get(self, size):
        if size not in self.made:
            where = os.path.join(self.folder, 'size%d' % len(self.made))
            os.mkdir(where)
            shutil.copy(MODEL, where)
            for args in (['spin', '-a', *size, 'ring.pml'],
                         ['cc', '-O2', '-w', '-DSAFETY', '-DNOREDUCE', '-DNOFAIR', '-DCOLLAPSE',
                          '-DMEMLIM=%d' % MEGABYTES, '-o', 'pan', 'pan.c']):
                status, text = run(args, where)
                if status or not os.path.exists(os.path.join(where, 'pan.c')):
                    raise Failure('%s: %s' % (' '.join(args), text.strip()[-2000:]))
            self.made[size] = where
        return self.made[size]


def environment(settings):
    env = {'PATH': os.environ.get('PATH', ''), 'scrub': '1'}
    for pair in settings.split():
        name, value = pair.split('=')
        env[name] = value
    return env


def search(verifiers, config):
    """(states, violated assertions, whether all was looked at, the output)"""
    size, settings, _ = config
    where = verifiers.get(size)
    _, text = run(['./pan', '-m%d' % DEPTH, '-w22'], where, environment(settings))
    states = re.search(r'^\s*([\d.e+]+) states, stored', text, re.M)
    errors = re.search(r'errors: (\d+)', text)
    if not states or not errors:
        raise Failure('the verifier gave no result:\n' + text[-2000:])
    violated = re.findall(r'assertion violated\s+\(?!?\(?(\w+)', text)
    if 'invalid end state' in re.sub(r'invalid end states\t', '', text):
        violated.append('deadlock')
    whole = errors.group(1) == '0' and 'Full statespace search' in text and \
        not re.search(r'not completed|too small|truncated|out of memory|reached -DMEMLIM|hash compact|bit-state', text, re.I)
    return int(float(states.group(1))), violated, whole, text


def check(verifiers, name, config):
    states, violated, whole, text = search(verifiers, config)
    want = config[2]
    print('%-16s %-48s %9d states, ' % (name, config[1], states), end='')
    if want is None:
        if violated or not whole:
            print('FAILED')
            raise Failure('%s: %s' % (name, 'violated: ' + ', '.join(PROPERTY.get(v, v) for v in violated) if violated
                                      else 'the search did not end:\n' + text[-2000:]))
        print('exhaustive: holds')
        return
    if want not in violated:
        print('FAILED')
        raise Failure('%s: %s was to be violated, not %s' % (name, want, ', '.join(violated) or 'nothing'))
    print('fails as it must: %s' % PROPERTY[want])


def trace(verifiers, name, config):
    states, violated, _, _ = search(verifiers, config)
    if not violated:
        print('%s: nothing is violated (%d states)' % (name, states))
        return
    _, text = run(['./pan', '-r', '-m%d' % DEPTH, 'ring.pml.trail'], verifiers.get(config[0]), environment(config[1]))
    print('\n'.join(s for s in text.split('\n') if re.match(r'\s*(fw_|cons_|prod_|peer_|read|clock|lost|port|restart|silence|held|'
                                                            r'arrives|pan:)', s)))


def main():
    args = sys.argv[1:]
    if not shutil.which('spin'):
        print('spin is not installed (Debian: apt-get install spin)')
        return 77
    every = dict(QUICK, **LONG)
    tracing = '--trace' in args
    names = [a for a in args if a != '--trace']
    if names in (['quick'], ['long']):
        names = list(QUICK if names == ['quick'] else LONG)
    if not names or any(n not in every for n in names):
        print('usage: model.py quick | long | [--trace] NAME...   with NAME one of: ' + ' '.join(every))
        return 2
    failures = []
    with tempfile.TemporaryDirectory(prefix='p2pnic-model-') as folder:
        verifiers = Verifiers(folder)
        for name in names:
            try:
                (trace if tracing else check)(verifiers, name, every[name])
            except Failure as e:
                failures.append(str(e))
            sys.stdout.flush()
    for f in failures:
        print(f)
    return 1 if failures else 0


if __name__ == '__main__':
    sys.exit(main())
