# SPDX-License-Identifier: BSD-3-Clause
"""What the integration tests share: processes, namespaces, statistics, captures.

A test is a file with a main(bench) that ends in run(main).  Everything that it
starts dies with it, however it ends: children carry a parent-death signal,
network namespaces live in a process, files in one temporary directory.
"""
import contextlib
import ctypes
import json
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.environ.get('P2PNIC_TOP', os.path.dirname(os.path.dirname(HERE)))
BUILD = os.environ.get('P2PNIC_BUILD', os.path.join(TOP, 'build'))
P2PNIC = os.path.join(BUILD, 'p2pnic')
MEMIF_LOOP = os.path.join(BUILD, 'tests', 'unit', 'memif', 'memif_loop')
CABLE = os.path.join(BUILD, 'tests', 'integration', 'cable')
FAR = os.path.join(BUILD, 'tests', 'soak', 'far')
MODES = ('wr', 'rd', 'bn')
# Every way in which frames move, and what `up` and `run` are told for it.
WAYS = {**{m: ('--mode', m) for m in MODES}, 'cut': ('--mode', 'wr', '--placement', 'cut')}

PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


class Failed(Exception):
    """The test can't go on; the text says why."""


def skip(why):
    print('skipped: ' + why)
    sys.exit(77)


def need_root(what):
    if os.geteuid() != 0:
        skip(f'{what} need root')


def need_tool(*names):
    for name in names:
        if not shutil.which(name):
            skip(f'no {name}; scripts/install.sh test installs it')


def _child():
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def wait_for(what, seconds, condition, every=0.02):
    """Waits until condition() gives something true, which it returns."""
    end = time.monotonic() + seconds
    while True:
        got = condition()
        if got:
            return got
        if time.monotonic() > end:
            raise Failed(f'{what}: not within {seconds} s')
        time.sleep(every)


def cpu_ns(pid):
    """CPU time of all living threads of a process."""
    total = 0
    for task in os.listdir(f'/proc/{pid}/task'):
        with contextlib.suppress(OSError), open(f'/proc/{pid}/task/{task}/schedstat', encoding='ascii') as f:
            total += int(f.read().split()[0])
    return total


def memory_kib(pid, which='VmRSS'):
    """Resident memory of a process; RssAnon: of it what is nobody else's."""
    with open(f'/proc/{pid}/status', encoding='ascii', errors='replace') as f:
        return next(int(line.split()[1]) for line in f if line.startswith(which + ':'))


def descriptors(pid):
    return len(os.listdir(f'/proc/{pid}/fd'))


class Proc:
    """A child with its output in files."""

    def __init__(self, bench, name, argv, stdin=subprocess.DEVNULL, env=None):
        self.name, self.argv = name, [str(a) for a in argv]
        self.out_path = os.path.join(bench.dir, f'{name}.{len(bench.procs)}.out')
        self.err_path = self.out_path[:-4] + '.err'
        with open(self.out_path, 'wb') as out, open(self.err_path, 'wb') as err:
            self.popen = subprocess.Popen(self.argv, stdin=stdin, stdout=out, stderr=err, preexec_fn=_child,
                                          env=env or bench.env, cwd=bench.dir)
        self.pid = self.popen.pid

    def _read(self, path):
        with open(path, encoding='utf-8', errors='replace') as f:
            return f.read()

    @property
    def out(self):
        return self._read(self.out_path)

    @property
    def err(self):
        return self._read(self.err_path)

    def alive(self):
        return self.popen.poll() is None

    def wait(self, seconds):
        try:
            return self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Failed(f'{self.name} does not end within {seconds} s: {" ".join(self.argv)}') from None

    def send(self, sig):
        self.popen.send_signal(sig)

    def stop(self, sig=signal.SIGTERM, seconds=10):
        """Asks it to end; returns the exit status."""
        if self.alive():
            self.popen.send_signal(signal.SIGCONT)
            self.popen.send_signal(sig)
        return self.wait(seconds)

    def kill(self):
        if self.alive():
            self.popen.kill()
        self.popen.wait()

    def expect(self, text, seconds=10):
        """Waits until its standard output holds text."""
        def seen():
            if text in self.out:
                return True
            if not self.alive() and text not in self.out:
                raise Failed(f'{self.name} ended with status {self.popen.returncode}: {self.err.strip()}')
            return False
        wait_for(f'{self.name} says "{text}"', seconds, seen)
        return self


class Result:
    def __init__(self, argv, status, out, err):
        self.argv, self.status, self.out, self.err = argv, status, out, err

    @property
    def json(self):
        try:
            return json.loads(self.out)
        except ValueError:
            raise Failed(f'not JSON from {" ".join(self.argv)}: {self.out[:200]!r} {self.err[:300]!r}') from None


class Far(Proc):
    """tests/soak/far: numbered frames at the far ends of memif cables; its header says what it is told and tells."""

    def __init__(self, bench, cables, flows, *args):
        """cables: {name: spec}; flows: {name: 'FROM:TO:RATE,...'}"""
        argv = [FAR]
        for name, spec in cables.items():
            argv += ['--cable', f'{name}={spec}']
        for name, flow in flows.items():
            argv += ['--flow', f'{name}:{flow}']
        super().__init__(bench, 'far', argv + list(args), stdin=subprocess.PIPE)
        bench.procs.append(self)
        self.told = 0  # bytes of answers taken

    def ask(self, *words, seconds=30):
        """One command; its answer."""
        line = ' '.join(str(w) for w in words)
        try:
            self.popen.stdin.write(line.encode() + b'\n')
            self.popen.stdin.flush()
        except OSError:
            raise Failed(f'far is gone: {self.err.strip()}') from None
        while True:
            got = wait_for(f'far answers "{line}"', seconds, self._answer, 0.005)
            if got['what'] == words[0]:
                return got
            if got['what'] == 'error':
                raise Failed(f'far: {line}: {got["why"]}')

    def _answer(self):
        with open(self.out_path, 'rb') as f:
            f.seek(self.told)
            line = f.readline()
        if not line.endswith(b'\n'):
            if not self.alive():
                raise Failed(f'far ended with status {self.popen.returncode}: {self.err.strip()}')
            return None
        self.told += len(line)
        return json.loads(line)

    def drain(self, quiet=200, most=20000):
        """Closes an interval: sends no more, waits until all has settled."""
        return self.ask('drain', quiet, most, seconds=most / 1000 + 30)


class Ring:
    """Four NICs with two memif cables each, in a ring of static pairs, and flows of Far's both ways through each pair."""
    NICS = ('a', 'b', 'c', 'd')
    PAIRS = ('a.0=b.0', 'b.1=c.0', 'c.1=d.0', 'd.1=a.1')
    FAR_IS_CLIENT = ('b',)  # there the NIC is the memif server, and copies

    def __init__(self, b):
        self.b = b
        self.pair_args = [a for p in self.PAIRS for a in ('--pair', p)]

    def cable(self, n, k, far):
        server = (n in self.FAR_IS_CLIENT) != far
        return f'memif:{self.b.path(f"{n}{k}.m")}' + (',role=server' if server else '')

    def ports(self, n):
        return [self.cable(n, k, False) for k in (0, 1)]

    def cables(self):
        """The far ends: {name: spec}."""
        return {f'{n}{k}': self.cable(n, k, True) for n in self.NICS for k in (0, 1)}

    def flows(self, rate, jumbo=''):
        """{name: what Far is told}; jumbo: of one way of each pair."""
        flows = {}
        for p in self.PAIRS:
            one, two = (x.replace('.', '') for x in p.split('='))
            flows[f'{one}-{two}'] = f'{one}:{two}:{rate}{jumbo}'
            flows[f'{two}-{one}'] = f'{two}:{one}:{rate}'
        return flows


class Netns:
    """A network namespace that is gone when its process is."""

    def __init__(self, bench, name):
        self.name = name
        self.proc = bench.start(name, ['unshare', '-n', 'sh', '-c', 'ip link set lo up && echo up && exec sleep 100000'])
        try:
            self.proc.expect('up')
        except Failed:
            skip('no network namespaces: ' + self.proc.err.strip().replace('\n', ' '))
        self.path = f'/proc/{self.proc.pid}/ns/net'

    def cmd(self, *argv):
        return ['nsenter', f'--net={self.path}', *argv]


def sweep():
    """Removes what tests left that were killed with no chance to clean up."""
    for name in os.listdir('/tmp'):
        part = name.split('.')
        if part[0] == 'p2pt' and len(part) == 3 and part[1].isdigit() and not os.path.exists(f'/proc/{part[1]}'):
            shutil.rmtree(os.path.join('/tmp', name), ignore_errors=True)


def machine_state():
    """(clock ticks stolen by the hypervisor, us in which some task waited for a core)."""
    waited = 0
    with open('/proc/stat', encoding='ascii') as f:
        stolen = int(f.readline().split()[8])
    with contextlib.suppress(OSError), open('/proc/pressure/cpu', encoding='ascii') as f:
        waited = int(f.readline().rsplit('total=', 1)[1])
    return stolen, waited


class Bench:
    def __init__(self):
        self.machine = machine_state()
        sweep()
        self.dir = tempfile.mkdtemp(prefix=f'p2pt.{os.getpid()}.', dir='/tmp')  # short: socket paths have 107 bytes
        self.env = dict(os.environ, P2PNIC_RUNTIME_DIR=os.path.join(self.dir, 'run'), LC_ALL='C.UTF-8')
        self.procs, self.failures, self.started = [], [], time.monotonic()

    # --- what it looks like ---

    def say(self, text):
        print(f'{time.monotonic() - self.started:6.1f}  {text}', flush=True)

    def check(self, good, text):
        """Records a failure and goes on."""
        self.say(('ok    ' if good else 'FAIL  ') + text)
        if not good:
            self.failures.append(text)
        return bool(good)

    def equal(self, got, want, text):
        return self.check(got == want, f'{text}: {got}' + ('' if got == want else f', should be {want}'))

    # --- processes ---

    def path(self, name):
        return os.path.join(self.dir, name)

    def start(self, name, argv, **kw):
        p = Proc(self, name, argv, **kw)
        self.procs.append(p)
        return p

    def call(self, argv, seconds=30, env=None):
        argv = [str(a) for a in argv]
        try:
            p = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=seconds,
                               preexec_fn=_child, env=env or self.env, cwd=self.dir, encoding='utf-8', errors='replace',
                               check=False)
        except subprocess.TimeoutExpired:
            raise Failed(f'no end after {seconds} s: {" ".join(argv)}') from None
        return Result(argv, p.returncode, p.stdout, p.stderr)

    def must(self, argv, seconds=30):
        r = self.call(argv, seconds)
        if r.status:
            raise Failed(f'status {r.status} from {" ".join(r.argv)}: {(r.err or r.out).strip()[-1000:]}')
        return r

    def netns(self, name):
        return Netns(self, name)

    # --- p2pnic ---

    def sock(self, name):
        return self.path(name + '.sock')

    def nic(self, name, *ports, args=(), seconds=10):
        """A `p2pnic nic` process that is ready."""
        argv = [P2PNIC, 'nic', '--socket', self.sock(name)]
        for spec in ports:
            argv += ['--port', spec]
        return self.start(name, argv + list(args)).expect(' ready at ', seconds)

    def addresses(self, names):
        return [a for n in names for a in ('--nic', 'vfio-user:' + self.sock(n))]

    @staticmethod
    def _patient(args):
        """Shared machines take a core away for half a second and more: nobody is dead for that, unless a test says so."""
        return args if '--silence' in args else (*args, '--silence', '2000')

    def up(self, names, *args, seconds=20):
        """`p2pnic up` that exits; what it reports."""
        return self.must([P2PNIC, 'up', '--json', *self.addresses(names), *self._patient(args)], seconds).json

    def up_stay(self, names, *args, seconds=20):
        """`p2pnic up --monitor` that has brought the NICs up."""
        p = self.start('up', [P2PNIC, 'up', '--monitor', *self.addresses(names), *self._patient(args)])
        return p.expect('up in ', seconds)

    def down(self, names):
        return self.must([P2PNIC, 'down', *self.addresses(names)])

    def run(self, *args, name='run'):
        """`p2pnic run --json` in the background; its control socket is run.ctl of that name."""
        return self.start(name, [P2PNIC, 'run', '--json', '--ctl', self.path(name + '.ctl'), *self._patient(args)])

    def show(self, what, *names):
        argv = [P2PNIC, 'show', what, '--json']
        for n in names:
            argv += ['--socket', n if '/' in n else self.sock(n)]
        return self.must(argv).json

    def stats(self, *names):
        """NICs by name, as `show stats` has them."""
        return {n['name']: n for n in self.show('stats', *names)['nics']}

    def stats_run(self, name='run'):
        return self.stats(self.path(name + '.ctl'))

    # --- the end ---

    def close(self):
        for p in reversed(self.procs):
            p.kill()
        if not os.environ.get('P2PNIC_KEEP'):
            shutil.rmtree(self.dir, ignore_errors=True)

    def explain(self):
        """The machine, and what the processes had to say that did not end well, for the log of a failure."""
        (stolen, waited), seconds = machine_state(), time.monotonic() - self.started
        print(f'--- {seconds:.1f} s on {os.cpu_count()} cores; load {os.getloadavg()[0]:.1f}, stolen {stolen - self.machine[0]} ticks,'
              f' something waited for a core {(waited - self.machine[1]) / seconds / 1e4:.0f}% of the time')
        for p in self.procs:
            if p.popen.returncode == 0:
                continue
            for what, text in (('stdout', p.out), ('stderr', p.err)):
                if text.strip():
                    print(f'--- {p.name} ({p.pid}, status {p.popen.returncode}) {what}: {" ".join(p.argv)[:300]}')
                    print('\n'.join(text.strip().splitlines()[-12:])[-1500:])


def drops(nic):
    return {k: v for k, v in nic['drops'].items() if v}


def port_sum(nics, key):
    return sum(p[key] for n in nics.values() for p in n['ports'])


NOTE = 'p2pnic: device memory'  # what the board says once about its pages; no error


def refused(b, argv, *words, status=None, seconds=20, env=None):
    """One line on stderr with all the words, nothing on stdout, status 1 or 2, no new file anywhere near."""
    def files():
        return sorted(os.path.join(d, f) for d, _, names in os.walk(b.dir) for f in names if not f.endswith(('.out', '.err')))
    before = files()
    r = b.call([P2PNIC, *argv], seconds, env)
    said = [s for s in r.err.splitlines() if NOTE not in s]
    left = [f for f in files() if f not in before] + [f for f in before if not os.path.lexists(f)]
    wrong = []
    if r.status not in ((1, 2) if status is None else (status,)):
        wrong.append(f'status {r.status}')
    if len(said) != 1 or not said[0].startswith('p2pnic') or not all(w in said[0] for w in words):
        wrong.append(f'said {r.err!r}, wanted one line with {words}')
    if r.out and '--json' not in argv:
        wrong.append(f'printed {r.out[:100]!r}')
    if left:
        wrong.append(f'left or removed {left}')
    short = ' '.join(str(a).replace(b.dir, '') for a in argv)[:90]
    b.check(not wrong, f'{short}: {r.status}: {(said or [""])[0].replace(b.dir, "")[:150]}' + ''.join('; ' + w for w in wrong))


# `full` as argument: all combinations; else each thing once.
FULL = 'full' in sys.argv[1:]


def run(main):
    """Runs main(bench) and ends the process as the test runner wants it."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGINT, lambda *_: sys.exit(130))
    if not os.path.exists(P2PNIC):
        print(f'no {P2PNIC}; ninja -C {BUILD}')
        sys.exit(1)
    bench = Bench()
    ended = False
    try:
        try:
            main(bench)
            ended = True
        except Failed as e:
            bench.check(False, str(e))
        if bench.failures:
            bench.explain()
    finally:
        bench.close()
    if bench.failures:
        print(f'{len(bench.failures)} failed:')
        for text in bench.failures:
            print('  ' + text)
        sys.exit(1)
    sys.exit(0 if ended else 1)


def side_by_side(b, seconds, cases):
    """This test with each of these arguments, in processes of their own, all at once: what they wait for they wait for together.
    Returns what they printed."""
    procs = [b.start(name, [sys.executable, os.path.abspath(sys.argv[0]), *argv]) for name, argv in cases.items()]
    for p in procs:
        status = p.wait(seconds)
        print(p.out, end='', flush=True)
        b.equal(status, 0, f'{p.name} ends with status')
    return [p.out for p in procs]


def one_each(b, seconds, names, one):
    """one(b, name) for each name, side by side.  False in such a process, which has no more to do."""
    if sys.argv[1:]:
        one(b, sys.argv[1])
        return False
    side_by_side(b, seconds, {n: (n,) for n in names})
    return True


# --- captures ---

LINKTYPE_ETHERNET = 1


def pcap_write(path, frames, nanoseconds=True, big_endian=False):
    """Classic pcap; frame i has time stamp 1 s + i ticks."""
    e = '>' if big_endian else '<'
    with open(path, 'wb') as f:
        f.write(struct.pack(e + 'IHHiIII', 0xa1b23c4d if nanoseconds else 0xa1b2c3d4, 2, 4, 0, 0, 65535, LINKTYPE_ETHERNET))
        for i, data in enumerate(frames):
            f.write(struct.pack(e + 'IIII', 1 + i // 1000000, i % 1000000, len(data), len(data)) + data)


def _block(kind, body):
    body += b'\0' * (-len(body) % 4)
    size = len(body) + 12
    return struct.pack('<II', kind, size) + body + struct.pack('<I', size)


def pcapng_write(path, frames):
    """pcapng: section header, one Ethernet interface with nanoseconds, enhanced packet blocks, a block nobody knows."""
    with open(path, 'wb') as f:
        f.write(_block(0x0a0d0d0a, struct.pack('<IHHq', 0x1a2b3c4d, 1, 0, -1)))
        f.write(_block(1, struct.pack('<HHI', LINKTYPE_ETHERNET, 0, 65535) + struct.pack('<HHB3x', 9, 1, 9) +
                       struct.pack('<HH', 0, 0)))
        for i, data in enumerate(frames):
            if i % 1000 == 500:
                f.write(_block(0x40000bad, struct.pack('<IH2x', 0, 0) + b'not a packet'))
            stamp = 1000000000 + i
            f.write(_block(6, struct.pack('<IIIII', 0, stamp >> 32, stamp & 0xffffffff, len(data), len(data)) + data))


def pcap_read(path):
    """The frames of a classic pcap file."""
    with open(path, 'rb') as f:
        data = f.read()
    if len(data) < 24:
        raise Failed(f'{path} is no capture: {len(data)} bytes')
    magic = struct.unpack_from('<I', data)[0]
    if magic not in (0xa1b2c3d4, 0xa1b23c4d):
        raise Failed(f'{path} is no capture: magic {magic:#x}')
    frames, at = [], 24
    while at < len(data):
        if at + 16 > len(data):
            raise Failed(f'{path} is cut at {at}')
        taken, wire = struct.unpack_from('<II', data, at + 8)
        if taken != wire or at + 16 + taken > len(data):
            raise Failed(f'{path} is cut at {at}: {taken} of {wire} bytes')
        frames.append(data[at + 16:at + 16 + taken])
        at += 16 + taken
    return frames


def numbered_frames(count, size, tag, seed=1):
    """Frames of size bytes, each unlike any other: sender and number in the payload."""
    rng = random.Random(f'{tag} {seed}')
    head = bytes([2, 0x99, 0, 0, 0, 1]) + bytes([2, 0x99, 0, 0, 0, 2]) + b'\x88\xb5'
    fill = rng.randbytes(size)
    return [head + struct.pack('>II', tag, i) + fill[22:] for i in range(count)]


def first_difference(got, want):
    """None if alike, else a sentence."""
    if got == want:
        return None
    for i, (g, w) in enumerate(zip(got, want)):
        if g != w:
            k = next((k for k, (x, y) in enumerate(zip(g, w)) if x != y), min(len(g), len(w)))
            return f'frame {i}: {len(g)} bytes, should be {len(w)}; differs at byte {k}'
    return f'{len(got)} frames, should be {len(want)}'


def subsequence_faults(got, want):
    """(lost, unknown, duplicated or out of order) of frames that are all unlike each other."""
    place = {f: i for i, f in enumerate(want)}
    unknown = disorder = 0
    last, seen = -1, set()
    for f in got:
        i = place.get(f)
        if i is None:
            unknown += 1
            continue
        if i <= last:
            disorder += 1
        last = max(last, i)
        seen.add(i)
    return len(want) - len(seen), unknown, disorder
