# SPDX-License-Identifier: BSD-3-Clause
"""`p2pnic bench lpm` on a small table: every engine gives the longest match, and the report is as docs/routing.md says.

How fast anything is is not looked at.
"""
import json
import os
import random
import subprocess
import sys
import tempfile

P2PNIC = os.path.join(os.environ['P2PNIC_BUILD'], 'p2pnic')


def routes(rng):
    """Prefixes within and beside each other, some longer than the first level of rte_fib."""
    lines = ['# prefixes', '0.0.0.0/0', '::/0', '2001:db8::/32  as 64496']
    for _ in range(2000):
        length = rng.choice([8, 12, 16, 16, 20, 22, 24, 24, 24, 26, 32])
        a = rng.getrandbits(32) & 0x3f3fffff & (0xffffffff << (32 - length))
        lines.append('%d.%d.%d.%d/%d' % (a >> 24, a >> 16 & 255, a >> 8 & 255, a & 255, length))
        length = rng.choice([20, 28, 32, 32, 40, 44, 48, 48, 48, 64])
        a = (0x2001 << 112 | rng.getrandbits(112) & (0x0f0f << 96 | (1 << 96) - 1)) & ((1 << 128) - 1) << (128 - length)
        lines.append(':'.join('%x' % (a >> 112 - 16 * k & 0xffff) for k in range(8)) + '/%d' % length)
    return '\n'.join(lines) + '\n'


def bench(*args):
    return subprocess.run([P2PNIC, 'bench', 'lpm', '--rounds', '1', '--seconds', '0.001', '--updates', '500', *args],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=100)


def check(name):
    done = bench('--routes', name, '--json')
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    engines = set()
    for row in report['rows']:
        assert set(row) == {'family', 'engine', 'keys', 'mlps_median', 'mlps_min', 'mlps_max', 'bytes', 'routes'}, row
        assert row['mlps_min'] <= row['mlps_median'] <= row['mlps_max'], row
        assert 1000 < row['routes'] <= 2001 and row['bytes'] > 65536, row
        engines.add((row['family'], row['engine']))
    assert {r['keys'] for r in report['rows']} == {'random', 'table', 'zipf'}
    assert len(report['rows']) == 3 * len(engines)
    for family in 'ipv4', 'ipv6':
        assert (family, 'state-jump') in engines, engines
        assert [u['family'] for u in report['updates']].count(family) == 1
    for update in report['updates']:
        assert update['engine'] == 'state-jump' and update['per_second'] > 0 and update['p99_ns'] > 0, update
    assert len(report['flaps']) == 18
    return engines


def bad(text, word, *args):
    with tempfile.NamedTemporaryFile('w', suffix='.txt') as f:
        f.write(text)
        f.flush()
        done = bench('--routes', f.name, *args)
        assert done.returncode == 1 and word in done.stderr and done.stderr.count('\n') == 1, (word, done.stderr)


def main():
    with tempfile.NamedTemporaryFile('w', suffix='.txt') as f:
        f.write(routes(random.Random(5)))
        f.flush()
        engines = check(f.name)
        text = bench('--routes', f.name).stdout
    assert 'ipv6' in text and 'state-jump' in text
    bad('10.0.0.1/8\n', 'bits set behind')
    bad('10.0.0.0/8\nten\n', 'line 2')
    bad('10.0.0.0/8\n', 'widths', '--ip4-widths', '16-16')
    if len(engines) == 2:
        assert 'built without libdpdk-dev' in text
        print('built without DPDK: compared with nothing')
    else:
        assert ('ipv4', 'rte_lpm') in engines and ('ipv6', 'rte_fib-trie-scalar') in engines, engines
    return 0


if __name__ == '__main__':
    sys.exit(main())
