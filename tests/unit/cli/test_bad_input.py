#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Bad input ends with status 1 or 2, one line that says what and what to do, and nothing left behind."""
import os
import resource
import signal
import subprocess
import sys
import tempfile

P2PNIC = os.path.abspath(sys.argv[1])
with open(P2PNIC, 'rb') as exe:
    ASAN = b'__asan_init' in exe.read()  # which takes terabytes of addresses for itself
TWO = ['--port', 'null:', '--port', 'null:']
CASES = [  # arguments, status, what the line must contain
    (['bogus'], 2, 'bogus'),
    (['run', '--bogus'], 2, '--bogus'),
    (['run', 'word'], 2, 'word'),
    (['run', '--batch', '0'], 2, '1 to 64'),
    (['run', '--batch', '65'], 2, '1 to 64'),
    (['run', '--fault', 'drop:dsc:1'], 2, "no target 'dsc'"),
    (['run', '--fault', 'drop:desc:2'], 2, 'no rate'),
    (['run', '--fault', 'stall:desc:1'], 2, 'does not happen to desc'),
    (['nic', '--socket', '/nowhere/a', '--port', 'null:', '--fault', 'drop:dsc:1'], 2, "no target 'dsc'"),
    (['run', '--stride', '3'], 2, 'power of two'),
    (['run', '--mode', 'xx'], 2, 'wr|rd|bn'),
    (['run', '--mode', 'rd', '--placement', 'cut'], 2, '--mode wr'),
    (['run', '--mode', 'bn', '--placement', 'cut', *TWO], 2, '--mode wr'),
    (['run', '--placement', 'xx'], 2, 'copy|cut'),
    (['run', '--route', '--mode', 'bn', *TWO], 1, 'the host forwards'),
    (['run', '--route', '--bridge', *TWO], 1, '--bridge'),
    (['run', '--route'], 2, 'need ports'),
    (['run', '--route-mem', '1M', *TWO], 1, '--route'),
    (['run', '--static-route', '10.0.0.0/8=nic1.0,02:00:00:00:00:01', *TWO], 2, '--route'),
    (['run', '--route', '--router-mac', 'nic0.0=02:00:00:00:00:01', *TWO], 2, '--static-route'),
    (['run', '--static-route-file', '/nowhere', *TWO], 2, '--route'),
    (['run', '--route', '--static-route-file', '/nowhere', *TWO], 1, '/nowhere: No such file'),
    (['run', '--route', '--static-route-file', '/dev/null', *TWO], 1, 'no routes'),
    (['run', '--route', '--static-route', '10.0.0.0/8=nic1.0,02:00:00:00:00:01', '--static-route',
      '10.0.0.0/8=nic0.0,02:00:00:00:00:01', *TWO], 1, 'given twice'),
    (['run', '--route', '--static-route', '10.0.0.1/8=nic1.0,02:00:00:00:00:01', *TWO], 1, 'behind its length'),
    (['run', '--route', '--static-route', '10.0.0/8=nic1.0,02:00:00:00:00:01', *TWO], 1, 'no prefix'),
    (['run', '--route', '--static-route', '10.0.0.0/8=nic7.0,02:00:00:00:00:01', *TWO], 1, "no NIC 'nic7'"),
    (['run', '--route', '--static-route', '10.0.0.0/8=nic1.0,03:00:00:00:00:01', *TWO], 1, 'MAC address'),
    (['run', '--cores', '4000'], 1, '4000'),
    (['run', '--mem', '3M'], 2, 'power of two'),
    (['run', '--nics', '3'], 2, 'even'),
    (['run', '--nic', 'a'], 2, '--port'),
    (['run', '--queues', '9'], 2, '1 to 8'),
    (['run', '--queues', '2'], 2, '--mode'),
    (['run', *TWO, '--queues', '2'], 1, 'one queue'),
    (['run', '--port', 'gen:,queues=2', '--port', 'gen:', '--queues', '2'], 1, 'queues=2'),
    (['run', '--port', 'gen:,queues=2', '--port', 'gen:,queues=2', '--queues', '3'], 1, 'queues=3'),
    (['run', '--port', 'gen:,queues=9', '--port', 'null:'], 1, 'queues'),
    (['run', '--port', 'gen:,queues=2', '--port', 'gen:,queues=2', '--queues', '2', '--placement', 'cut'], 1, 'cut'),
    (['run', '--port', 'gen:,queues=2', '--port', 'gen:,queues=2', '--queues', '2', '--mode', 'bn'], 1, 'bn'),
    (['nic', '--socket', 'a', '--port', 'null:', '--core', '0', '--cores', '0'], 2, '--cores'),
    (['run', '--bridge'], 2, '--port'),
    (['run', *TWO, '--nics', '2'], 2, '--nics'),
    (['run', '--port', 'null:', '--nic', 'a'], 1, '--nic'),
    (['run', '--nic', 'a', '--port', 'null:', '--nic', 'a', '--port', 'null:'], 1, 'twice'),
    (['run', '--nic', 'a b', '--port', 'null:'], 1, 'letters'),
    (['run', '--port', 'xyz:'], 1, 'xyz'),
    (['run', '--port', 'null:,foo=1'], 1, 'foo'),
    (['run', '--port', 'pcap:/no/such.pcap'], 1, '/no/such.pcap'),
    (['run', '--port', 'pcap:junk'], 1, 'junk'),
    (['run', *TWO, '--pair', 'nic0.0=nic1.1'], 1, 'no port 1'),
    (['run', *TWO, '--pair', 'nic0.0=nic2.0'], 1, 'nic2'),
    (['run', *TWO, '--pair', 'nic0.0=nic0.0'], 1, 'itself'),
    (['run', *TWO, '--pair', 'nic0.0=nic1.0', '--pair', 'nic1.0=nic0.0'], 1, 'share'),
    (['run', *TWO, '--stride', '128', '--buf-size', '2112'], 1, 'stride'),
    (['run', *(['--port', 'null:'] * 16), '--mem', '2M'], 1, 'need'),
    (['run', *TWO, '--ctl', '/no/such/dir/x.ctl'], 1, '/no/such/dir'),
    (['run', '-c', 'missing.conf'], 2, 'missing.conf'),
    (['run', '-c', '.'], 2, 'directory'),
    (['run', '-c', 'key.conf'], 2, 'key.conf:2'),
    (['run', '-c', 'syntax.conf'], 2, 'syntax.conf:1'),
    (['run', '--port', 'pcap:,/dev/full', '--port', 'gen:,count=100', '--seconds', '5'], 1, '/dev/full'),
    (['nic', '--port', 'null:'], 2, '--socket'),
    (['nic', '--socket', 'a'], 2, '--port'),
    (['nic', '--socket', 'junk', '--socket', 'b', '--port', 'null:'], 2, 'twice'),
    (['nic', '--socket', './junk', '--port', 'null:'], 1, 'no socket'),
    (['nic', '--socket', '/no/such/dir/a', '--port', 'null:'], 1, '/no/such/dir'),
    (['nic', '--socket', 'x' * 200, '--port', 'null:'], 1, 'too long'),
    (['up'], 2, '--nic'),
    (['up', '--nic', 'here'], 2, 'vfio-user:'),
    (['up', '--nic', 'vfio-user:'], 2, 'vfio-user:'),
    (['up', '--nic', 'vfio-user:./none'], 1, 'none'),
    (['up', '--nic', 'vfio-user:./junk'], 1, 'junk'),
    (['up', '--nic', 'vfio-user:a', '--nic', 'vfio-user:a'], 2, 'one NIC'),
    (['up', '--nic', 'vfio-user:a', '--mode', 'bn'], 2, '--monitor'),
    (['down'], 2, '--nic'),
    (['down', '--nic', 'vfio-user:none'], 1, 'none'),
    (['reset', '--nic', 'vfio-user:none'], 1, 'none'),
    (['bench'], 2, '--help'),
    (['bench', 'bogus'], 2, 'bogus'),
    (['bench', 'forward', '--subjects', 'p2pnic-wr,xdp'], 2, "'xdp'; give some of p2pnic-wr"),
    (['bench', 'forward', '--frames', '63'], 2, '64 to 1518'),
    (['bench', 'forward', '--frames', '64,1519'], 2, '64 to 1518'),
    (['bench', 'forward', '--frames', 'x'], 2, '64 to 1518'),
    (['bench', 'forward', '--against', '/nowhere/p2pnic'], 2, 'another build'),
    (['bench', 'forward', '--cores', '0'], 2, 'two different cores'),
    (['bench', 'forward', '--cores', '0,0'], 2, 'two different cores'),
    (['bench', 'forward', '--cores', '0,4000'], 2, 'two different cores'),
    (['bench', 'forward', '--rounds', '0'], 2, '1 to 100'),
    (['bench', 'forward', '--ring', '1000'], 2, 'power of two'),
    (['bench', 'forward', '--subjects', 'l3fwd', '--generator', 'testpmd'], 1, 'none of --subjects'),
    (['bench', 'soak', '--frame', '9000'], 2, '64 to 1518'),
    (['bench', 'soak', '--subject', 'bogus'], 2, 'p2pnic-wr'),
    (['bench', 'idle', 'word'], 2, 'word'),
    (['bench', 'lpm', '--routes', './none'], 1, './none: No such file'),
    (['bench', 'lpm', '--routes', './junk'], 1, 'is no prefix'),
    (['bench', 'churn', '--rate', '0'], 2, '1 to 1000000'),
    (['bench', 'churn', '--seconds', '601'], 2, '600 at most'),
    (['bench', 'lpm', '--burst', '0'], 2, '1 to 32768'),
    (['bench', 'lpm', '--core', '1000'], 1, 'core 1000'),
    (['gen'], 2, '--loop'),
    (['gen', '--port', 'memif:a'], 2, 'two ports'),
    (['gen', '--loop', '--port', 'memif:a'], 2, '--loop'),
    (['gen', '--port', 'tap:a', '--port', 'memif:b'], 2, 'memif:PATH'),
    (['gen', '--port', 'memif:a,role=x', '--port', 'memif:b'], 2, 'role=server'),
    (['gen', '--port', 'memif:a,role=client', '--port', 'memif:b'], 2, 'same role'),
    (['gen', '--port', 'memif:a,secret=x', '--port', 'memif:b'], 2, 'secret'),
    (['gen', '--port', 'memif:a,rings=100', '--port', 'memif:b'], 2, 'power of two'),
    (['gen', '--loop', '--frames', '63'], 2, '64 to 9216'),
    (['gen', '--loop', '--frames', '64;65'], 2, '64 to 9216'),
    (['gen', '--loop', '--gear', 'third'], 2, 'bench'),
    (['gen', '--loop', '--dst', '10.0.0.1'], 2, '198.18.0.0/15'),
    (['gen', '--loop', '--dst', '198.19.255.255', '--flows', '2'], 1, '198.19.255.255'),
    (['gen', '--loop', '--src-mac', '01:00:00:00:00:00'], 2, 'unicast'),
    (['gen', '--loop', '--src-mac', '102:00:00:00:00:01'], 2, 'unicast'),
    (['gen', '--loop', '--src-mac', '02:00:00:00:00:01,02:00:00:00:00:-2'], 2, 'unicast'),
    (['gen', '--loop', '--src-mac', '02:00:00:00:00:01,'], 2, 'unicast'),
    (['gen', '--loop', '--dst-mac', '02:00:00:00:00'], 2, 'MAC'),
    (['gen', '--loop', '--core', 'x'], 2, '--core'),
    (['gen', '--loop', '--core', '0,1'], 1, 'one thread'),
    (['gen', '--port', 'memif:/no/such/dir/a', '--port', 'memif:b'], 1, '/no/such/dir'),
    (['gen', '--port', 'memif:./a', '--port', 'memif:./b', '--wait', '0.1'], 1, 'did not come up'),
    (['sim'], 2, 'fig5'),
    (['sim', 'fig9'], 2, 'fig9'),
    (['sim', 'fig5', 'word'], 2, 'no file'),
    (['sim', 'run'], 2, 'needs a file'),
    (['sim', 'run', 'missing.conf'], 2, 'missing.conf'),
    (['sim', 'run', 'syntax.conf'], 2, 'syntax.conf:1'),
    (['sim', 'run', 'key.conf'], 2, "key.conf:2: key 'bogus'"),
    (['sim', 'run', 'loop.conf'], 2, "loop.conf:2: key 'parent': a loop"),
    (['sim', 'run', 'lanes.conf'], 2, "lanes.conf:1: key 'lanes'"),
    (['sim', 'run', 'zero.conf'], 2, "zero.conf:5: key 'gbps'"),
    (['sim', 'run', 'part.conf'], 2, "part.conf:1: key 'routers'"),
    (['sim', 'run', 'swept.conf'], 2, "swept.conf:2: key 'sweep'"),
    (['sim', 'sweep', 'nothing.conf'], 2, "nothing.conf:2: key 'values': a sweep of nothing"),
    (['sim', 'sweep', 'none.conf'], 2, "none.conf:1: key 'sweep': a sweep of nothing"),
    (['sim', 'sweep', 'wrong.conf'], 2, "wrong.conf:2: key 'nic.workers'"),
    (['sim', 'sweep', 'swept.conf', '--out', '/dev/null/x'], 1, '/dev/null/x'),
    (['sim', 'fig5', '--method', 'xx'], 2, 'wr,rd,bn,testpmd,l3fwd'),
    (['sim', 'fig5', '--method', 'l3fwd'], 2, 'fig6'),
    (['sim', 'fig6', '--method', 'bn'], 2, 'route'),
    (['sim', 'fig5', '--method', 'bn', '--set', 'routed=on'], 2, 'routed'),
    (['sim', 'fig5', '--frames', '63'], 2, 'frame_bytes'),
    (['sim', 'fig7', '--frames', '64'], 2, 'frame_bytes'),
    (['sim', 'fig5', '--load', '0'], 2, 'load'),
    (['sim', 'fig5', '--nic', 'none'], 1, "nic profile 'none'"),
    (['sim', 'fig5', '--set', 'nic.bogus=1'], 2, 'bogus'),
    (['sim', 'fig5', '--set', 'nic.workers=-1'], 2, 'out of range'),
    (['sim', 'fig5', '--set', 'workers'], 2, 'KEY=VALUE'),
    (['sim', 'fig5', '--frames', '64', '--method', 'wr', '--time', '1', '--csv', '/no/such/dir/x'], 1, '/no/such/dir'),
    (['sim', 'fig5', '--frames', '64', '--method', 'wr', '--time', '1', '--trace', '/no/such/dir/x'], 1, '/no/such/dir'),
    (['sim', 'table1', '--method', 'wr', '--time', '1', '--svg', 'x.svg'], 2, 'no plot'),
    (['sim', 'fig5', '--out', 'x'], 2, 'sweep'),
    (['show'], 2, 'nics'),
    (['show', 'bogus'], 2, 'bogus'),
    (['show', 'stats'], 1, 'no NIC'),
    (['show', 'stats', '--socket', './junk'], 1, 'junk'),
]
TREE = """host = { name = "h"; };
nics = ( { name = "a"; parent = "h"; }, { name = "b"; parent = "h"; } );
pairs = ( { from = "a.0"; to = "b.0"; } );
"""


def start_nic(env, *args):
    nic = subprocess.Popen([P2PNIC, 'nic', *args], env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    if b'ready' not in nic.stdout.readline():
        raise SystemExit('a NIC did not start')
    return nic


def run(args, env):
    return subprocess.run([P2PNIC, *args], env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, encoding='utf-8', timeout=60)


def lines(p):
    # What the board says once about its pages is no error.
    return [s for s in p.stderr.splitlines() if 'p2pnic: device memory' not in s]


def check(args, status, text, env, errors):
    p = run(args, env)
    said = lines(p)
    if p.returncode != status:
        errors.append(f'{args}: status {p.returncode}, {status} expected: {said}')
    if len(said) != 1 or text not in said[0] or not said[0].startswith('p2pnic'):
        errors.append(f'{args}: one line with {text!r} expected: {said}')
    left = set(os.listdir('run'))
    if left:
        errors.append(f'{args}: left {left} behind')


def check_limits(env, errors):
    """Memory that is not to be had: one line that says what was asked for, and which limit is in the way."""
    for limit, args, texts in (
            ('v', ['--port', 'null:', '--port', 'null:', '--mem', '4G'], ['nic0: no 4096 MiB of addresses', 'ulimit -v']),
            ('n', TWO, ['refused its configuration', 'ulimit -n']),
            ('f', [*TWO, '--route', '--route-mem', '16M'], ['routing area of 16384 KiB', 'ulimit -f'])):
        if limit == 'v' and ASAN:
            continue
        what, value = {'v': (resource.RLIMIT_AS, 2 << 30), 'n': (resource.RLIMIT_NOFILE, 22), 'f': (resource.RLIMIT_FSIZE, 8 << 20)}[limit]

        def lower(what=what, value=value):
            resource.setrlimit(what, (value, value))
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        p = subprocess.run([P2PNIC, 'run', *args, '--seconds', '1'], env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, encoding='utf-8', timeout=60, preexec_fn=lower)
        said = lines(p)
        if p.returncode != 1 or len(said) != 1 or any(t not in said[0] for t in texts):
            errors.append(f'ulimit -{limit}: {args}: status {p.returncode}, one line with {texts} expected: {said}')


def check_live(env, errors):
    """Against NICs that run."""
    a = start_nic(env, '--socket', 'a', '--port', 'null:')
    twin = start_nic(env, '--socket', 'twin', '--name', 'a', '--port', 'null:')
    b = start_nic(env, '--socket', 'b', '--port', 'null:')
    os.symlink('a', 'run/link')
    both = ['--nic', 'vfio-user:a', '--nic', 'vfio-user:b']
    for args, text in [
            (['nic', '--socket', 'a', '--port', 'null:'], 'listens'),
            (['up', '--nic', 'vfio-user:a', '--nic', 'vfio-user:link'], 'one NIC'),
            (['up', '--nic', 'vfio-user:a', '--nic', 'vfio-user:twin'], 'MAC'),
            (['up', *both, '--pair', 'a.0=b.1'], 'no port 1'),
            (['up', '--nic', 'vfio-user:a', '--nic', 'vfio-user:none'], 'none'),
            (['up', '--nic', 'vfio-user:a.ctl'], 'a.ctl')]:
        p = run(args, env)
        said = lines(p)
        if p.returncode not in (1, 2) or len(said) != 1 or text not in said[0]:
            errors.append(f'{args}: status {p.returncode}, one line with {text!r} expected: {said}')
    p = run(['show', 'nics'], env)
    if p.returncode or 'running' in p.stdout or 'configured' in p.stdout:
        errors.append(f'a failed command left a NIC configured:\n{p.stdout}')
    if run(['up', *both], env).returncode or run(['down', *both], env).returncode:
        errors.append('up and down fail after the failed attempts')
    for nic in (a, b, twin):
        nic.send_signal(signal.SIGTERM)
        if nic.wait(20):
            errors.append(f'a NIC ended with status {nic.returncode}')
        nic.stdout.close()
    os.unlink('run/link')
    if os.listdir('run'):
        errors.append(f'NICs left {os.listdir("run")} behind')


def main():
    errors = []
    with tempfile.TemporaryDirectory() as top:
        os.chdir(top)
        os.mkdir('run', 0o700)
        for name, text in (('junk', 'not a capture file\n' * 10), ('key.conf', 'batch = 8;\nbogus = 1;\n'),
                           ('syntax.conf', 'batch 8\n'),
                           ('loop.conf', 'switches = (\n { name = "s"; parent = "t"; },\n { name = "t"; parent = "s"; } );\n'),
                           ('lanes.conf', TREE.replace('parent = "h"; }', 'parent = "h"; width = 16; }') +
                            'traffic = ( { port = "a.0"; } );\nset = ( "host.lanes=8" );\n'),
                           ('zero.conf', TREE + 'traffic = ( { port = "a.0";\n gbps = 0.0; } );\n'),
                           ('part.conf', 'routers = ( { name = "r"; } );\n'),
                           ('swept.conf', 'batch = 8;\nsweep = ( { key = "batch"; values = ( 1, 2 ); } );\n'),
                           ('nothing.conf', 'batch = 8;\nsweep = ( { key = "batch"; values = ( ); } );\n'),
                           ('none.conf', 'batch = 8;\n'),
                           ('wrong.conf', 'batch = 8;\nsweep = ( { key = "nic.workers"; values = ( 1, 0 ); } );\n')):
            with open(name, 'w', encoding='utf-8') as f:
                f.write(text)
        env = dict(os.environ, P2PNIC_RUNTIME_DIR=os.path.join(top, 'run'))
        for args, status, text in CASES:
            check(args, status, text, env, errors)
        check_limits(env, errors)
        check_live(env, errors)
        os.chdir('/')
    for e in errors:
        print(e)
    print(f'{len(CASES) + 9} bad inputs, {len(errors)} complaints')
    return 1 if errors else 0


if __name__ == '__main__':
    sys.exit(main())
