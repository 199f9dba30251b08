#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Forwarding between two veth pairs: p2pnic's xdp ports beside DPDK's testpmd, an XDP redirect and the kernel's bridge.

  far end l0 -- v0   forwarder   v1 -- r0 far end

The generator sends into l0 on the first core, the forwarder has the second.  What arrives at v0 is what was offered, what
arrives at r0 is what was forwarded.  Subjects take turns within a round; a round's turn in which the machine took a core
away (steal, other processes' CPU time) is repeated.  Needs root.
"""
import argparse
import contextlib
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SUBJECTS = ('p2pnic-xdp', 'p2pnic-xdp-busy', 'testpmd-af_xdp', 'xdp-redirect', 'testpmd-af_packet', 'bridge')
NAMESPACES = ('left', 'mid', 'right')
DISTURBED = 0.02  # of a turn, run by others or stolen
TRIES = 4


def sh(*argv, check=True):
    p = subprocess.run([str(a) for a in argv], stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding='utf-8', check=False)
    if check and p.returncode:
        sys.exit(f'{" ".join(p.args)}: {p.stderr.strip() or p.stdout.strip()}')
    return p.stdout


class Bench:
    def __init__(self, args):
        self.args = args
        self.gen_core, self.fwd_core = (int(c) for c in args.cores.split(','))
        self.dir = tempfile.mkdtemp(prefix='veth.')
        self.ns = {n: f'p2pb{os.getpid()}{n}' for n in NAMESPACES}
        self.procs = []

    def cmd(self, ns, *argv):
        return ['ip', 'netns', 'exec', self.ns[ns], *argv]

    # --- wires ---

    def wires(self):
        for n in self.ns.values():
            sh('ip', 'netns', 'add', n)
        for far, near, ns in (('l0', 'v0', 'left'), ('r0', 'v1', 'right')):
            sh('ip', 'link', 'add', near, 'netns', self.ns['mid'], 'type', 'veth', 'peer', 'name', far, 'netns', self.ns[ns])
            for where, dev in ((ns, far), ('mid', near)):
                # Frames only: nothing that the kernel sends of its own accord, and one batch of them handled like another.
                sh(*self.cmd(where, 'sysctl', '-qw', f'net.ipv6.conf.{dev}.disable_ipv6=1'))
                sh(*self.cmd(where, 'ip', 'link', 'set', dev, 'up'))
                # While it is up: with GRO a veth takes XDP frames from others.
                sh(*self.cmd(where, 'ethtool', '-K', dev, 'tx', 'off', 'gro', 'on'))

    def unwire(self):
        for n in self.ns.values():
            sh('ip', 'netns', 'del', n, check=False)

    def threads(self):
        """Threaded NAPI: receiving at the forwarder's ends on its core, at the far ends on the generator's."""
        for where, dev, core in (('mid', 'v0', self.fwd_core), ('mid', 'v1', self.fwd_core),
                                 ('left', 'l0', self.gen_core), ('right', 'r0', self.gen_core)):
            sh(*self.cmd(where, 'sh', '-c', f'mount -t sysfs none /sys && echo 1 > /sys/class/net/{dev}/threaded'))
            for pid in filter(str.isdigit, os.listdir('/proc')):
                with contextlib.suppress(OSError), open(f'/proc/{pid}/comm', encoding='ascii') as f:
                    if f.read().startswith(f'napi/{dev}-'):
                        os.sched_setaffinity(int(pid), {core})

    def received(self, ns, dev):
        return json.loads(sh(*self.cmd(ns, 'ip', '-s', '-j', 'link', 'show', dev)))[0]['stats64']['rx']['packets']

    # --- forwarders ---

    def start(self, ns, *argv, ready=None, seconds=15):
        path = os.path.join(self.dir, f'out.{len(self.procs)}')
        with open(path, 'wb') as out:
            p = subprocess.Popen(self.cmd(ns, *(str(a) for a in argv)), stdin=subprocess.PIPE, stdout=out,
                                 stderr=subprocess.STDOUT)
        self.procs.append(p)
        end = time.monotonic() + seconds
        while ready:
            with open(path, encoding='utf-8', errors='replace') as f:
                said = f.read()
            if ready in said:
                break
            if p.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f'{argv[0]}: {said.strip()[-600:]}')
            time.sleep(0.02)
        return p

    def testpmd(self, driver):
        core = self.fwd_core
        p = self.start('mid', 'dpdk-testpmd', '-l', f'{self.gen_core},{core}', f'--main-lcore={self.gen_core}', '--no-pci',
                          '--no-huge', '-m', '512', f'--file-prefix=veth{os.getpid()}',
                          *(f'--vdev=net_{driver}{i},iface=v{i}' for i in (0, 1)), '--', '--forward-mode=io',
                          '--total-num-mbufs=16384', '--no-lsc-interrupt', ready='Checking link')
        time.sleep(1.5)  # it begins when the links are up, and says so into a buffer
        return p

    def forwarder(self, name):
        if name.startswith('p2pnic'):
            extra = ',busy-poll=64' if name.endswith('busy') else ''
            p = self.start('mid', self.args.p2pnic, 'run', '--mode', 'wr', '--cores', self.fwd_core, '--seconds', 600, '--ctl',
                           os.path.join(self.dir, 'ctl'), *(a for i in (0, 1) for a in ('--port', f'xdp:v{i}{extra}')))
            time.sleep(1)
            return p
        if name == 'testpmd-af_xdp':
            return self.testpmd('af_xdp')
        if name == 'testpmd-af_packet':
            return self.testpmd('af_packet')
        if name == 'xdp-redirect':
            return self.start('mid', 'taskset', '-c', self.fwd_core, self.args.helper, 'forward', 'v0', 'v1', ready='ready')
        sh(*self.cmd('mid', 'ip', 'link', 'add', 'name', 'br0', 'type', 'bridge'))
        for dev in ('v0', 'v1'):
            sh(*self.cmd('mid', 'ip', 'link', 'set', dev, 'master', 'br0'))
        sh(*self.cmd('mid', 'ip', 'link', 'set', 'br0', 'up'))
        sh(*self.cmd('mid', 'bridge', 'fdb', 'add', '02:99:00:00:00:01', 'dev', 'v1', 'master', 'static'))
        return None

    # --- measuring ---

    def taken(self, pids):
        """CPU time of everybody else's threads but the kernel's that serve the network, and what was stolen, in seconds."""
        run = {}
        for pid in filter(str.isdigit, os.listdir('/proc')):
            if int(pid) in pids or int(pid) == os.getpid():
                continue
            with contextlib.suppress(OSError):
                with open(f'/proc/{pid}/comm', encoding='utf-8', errors='replace') as f:
                    if f.read().startswith(('ksoftirqd/', 'napi/')):
                        continue
                for tid in os.listdir(f'/proc/{pid}/task'):
                    with open(f'/proc/{pid}/task/{tid}/schedstat', encoding='ascii') as f:
                        run[tid] = int(f.read().split()[0]) / 1e9
        with open('/proc/stat', encoding='ascii') as f:
            cpus = {w[0]: int(w[8]) for w in map(str.split, f) if w[0].startswith('cpu')}
        run['stolen'] = sum(cpus[f'cpu{c}'] for c in (self.gen_core, self.fwd_core)) / os.sysconf('SC_CLK_TCK')
        return run

    def turn(self, name, threaded):
        """(offered, forwarded) in Mpps, and whether a core was taken away."""
        self.wires()
        try:
            p = self.forwarder(name)
            if threaded:
                self.threads()
            ms = int(self.args.seconds * 1000)
            gen = self.start('left', self.args.helper, 'send', 'l0', self.gen_core, self.args.bytes - 4, ms + 700)
            time.sleep(0.4)
            pids = [q.pid for q in (p, gen) if q]
            before, at = self.taken(pids), time.monotonic()
            n0, n1 = self.received('mid', 'v0'), self.received('right', 'r0')
            time.sleep(self.args.seconds)
            m0, m1 = self.received('mid', 'v0'), self.received('right', 'r0')
            passed, after = time.monotonic() - at, self.taken(pids)
            if gen.wait(20):
                raise RuntimeError('the generator failed: ' + open(os.path.join(self.dir, f'out.{len(self.procs) - 1}')).read())
            lost = sum(t - before.get(k, 0) for k, t in after.items())
            return (m0 - n0) / passed / 1e6, (m1 - n1) / passed / 1e6, lost > DISTURBED * passed
        finally:
            self.stop()

    def stop(self):
        for p in reversed(self.procs):
            if p.poll() is None:
                p.send_signal(signal.SIGTERM)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    p.wait(5)
            if p.poll() is None:
                p.kill()
                p.wait()
        for p in self.procs:
            p.stdin.close()
        self.procs = []
        self.unwire()


def measure(b, subjects, threaded):
    rows, repeated, tired = {s: [] for s in subjects}, 0, 0
    for _ in range(b.args.rounds):
        for s in list(rows):
            for _ in range(TRIES):
                try:
                    offered, forwarded, disturbed = b.turn(s, threaded)
                except RuntimeError as e:
                    print(f'{s} left out: {e}', file=sys.stderr)
                    del rows[s]
                    break
                if not disturbed:
                    rows[s].append((offered, forwarded))
                    break
                repeated += 1
            else:
                tired += 1
    return rows, repeated, tired


def report(rows, threaded):
    out = []
    for s, got in rows.items():
        if not got:
            continue
        fwd, off = [f for _, f in got], [o for o, _ in got]
        med, offered = statistics.median(fwd), statistics.median(off)
        out.append({'subject': s, 'napi_threads': threaded, 'rounds': len(got), 'offered_mpps': offered, 'mpps_median': med,
                    'mpps_min': min(fwd), 'mpps_max': max(fwd), 'generator_bound': offered < 1.2 * med})
    return out


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument('--build', default=os.path.join(TOP, 'build'))
    a.add_argument('--rounds', type=int, default=5)
    a.add_argument('--seconds', type=float, default=1.0, help='of each turn (1)')
    a.add_argument('--bytes', type=int, default=64, help='of a frame, with FCS (64)')
    a.add_argument('--cores', default='0,1', help="the generator's and the forwarder's (0,1)")
    a.add_argument('--subjects', default=','.join(SUBJECTS))
    a.add_argument('--napi', choices=('softirq', 'threads', 'both'), default='both')
    a.add_argument('--json', action='store_true')
    args = a.parse_args()
    if os.geteuid():
        sys.exit('run.py needs root: network namespaces and XDP programs')
    args.p2pnic = os.path.join(args.build, 'p2pnic')
    args.helper = os.path.join(args.build, 'bench', 'veth', 'veth')
    if not os.path.exists(args.helper):
        sh('ninja', '-C', args.build, 'bench/veth/veth')
    subjects = args.subjects.split(',')
    for s in subjects:
        if s not in SUBJECTS:
            sys.exit(f'no subject {s}; there are {", ".join(SUBJECTS)}')
    b, rows = Bench(args), []
    try:
        for threaded in {'softirq': (False,), 'threads': (True,), 'both': (False, True)}[args.napi]:
            got, repeated, tired = measure(b, subjects, threaded)
            part = report(got, threaded)
            rows += part
            if args.json:
                continue
            print(f'\n{args.bytes} bytes, NAPI {"in threads of its own" if threaded else "in softirq"}; {repeated} turns repeated'
                  f' because a core was taken away, {tired} given up')
            best = max((r['mpps_median'] for r in part if not r['subject'].startswith('p2pnic')), default=0)
            for r in part:
                print(f'{r["subject"]:18} {r["mpps_median"]:6.3f} Mpps ({r["mpps_min"]:.3f} - {r["mpps_max"]:.3f}), offered'
                      f' {r["offered_mpps"]:.3f}' + (f', {r["mpps_median"] / best:.2f} of the best other' if best else '') +
                      (', generator-bound' if r['generator_bound'] else ''))
    finally:
        b.stop()
        shutil.rmtree(b.dir, ignore_errors=True)
    if args.json:
        print(json.dumps({'bytes': args.bytes, 'rows': rows}))


if __name__ == '__main__':
    main()
