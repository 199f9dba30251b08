#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""`p2pnic bench forward`, soak and idle: their JSON, that nothing is lost or corrupted, that nothing stays behind."""
import ipaddress
import json
import os
import random
import shutil
import signal
import sys

from lib import P2PNIC, Failed, run, wait_for

SEED = 20265
ROW = {'subject': str, 'zero_copy': bool, 'frame_bytes': int, 'mpps_median': float, 'mpps_min': float, 'mpps_max': float,
       'cycles_per_packet': float, 'generator_bound': bool, 'lost': int, 'corrupted': int, 'latency': dict}


def bench(b, what, *args, seconds=120):
    r = b.call([P2PNIC, 'bench', what, *args, '--json'], seconds, {**b.env, 'TMPDIR': b.dir})
    if r.status:
        raise Failed(f'bench {what} {" ".join(args)}: status {r.status}: {r.err}')
    return json.loads(r.out)


def left(b):
    return [f for f in os.listdir(b.dir) if f.startswith('p2pnic-bench')]


def shape(b, row):
    name = f'{row["subject"]}{", zero-copy" if row["zero_copy"] else ""}, {row["frame_bytes"]}'
    wrong = [k for k, t in ROW.items() if not isinstance(row.get(k), t) and not (t is float and isinstance(row.get(k), int))
             and not (k == 'cycles_per_packet' and row['subject'] == 'generator')]
    b.equal(wrong, [], f'{name}: members of another type')
    b.check(0 <= row['mpps_min'] <= row['mpps_median'] <= row['mpps_max'], f'{name}: {row["mpps_median"]} Mpps,'
            f' {row["cycles_per_packet"]} cycles a frame')
    bad = {k: row[k] for k in ('corrupted', 'reordered', 'duplicated')}
    b.equal(bad, dict.fromkeys(bad, 0), f'{name}: faults of {row["checked"]} frames looked at')
    if row['subject'].startswith('p2pnic'):
        b.equal(row['lost'], 0, f'{name}: lost below saturation')
        b.check(row['latency'] and all(v['p50_ns'] <= v['p99_ns'] for v in row['latency'].values()), f'{name}: latency at loads')


def forward(b):
    o = bench(b, 'forward', '--rounds', '1', '--frames', '64', '--subjects', 'p2pnic-wr,testpmd-io', '--seconds', '0.1',
              '--ring', '1024', '--patience', '1')
    for row in o['rows']:
        shape(b, row)
    got = [(r['subject'], r['zero_copy']) for r in o['rows']] + [(s['subject'], s['zero_copy']) for s in o['skipped']]
    b.equal(sorted(got), [('generator', False), ('p2pnic-wr', False), ('testpmd-io', False), ('testpmd-io', True)],
            'rows and what was skipped')
    b.check(('p2pnic-wr', False) in got[:len(o['rows'])] and all(s['reason'] for s in o['skipped']), f'skipped: {o["skipped"]}')
    b.equal(left(b), [], 'left behind')


def table(b):
    """Prefixes of any length and in any order, some within others; and what must not be sent to."""
    rng = random.Random(SEED)
    lines = {f'{ipaddress.ip_network((rng.randrange(1 << 24, 223 << 24) >> 32 - n << 32 - n, n))}\n'
             for n in (rng.choice((8, 12, 16, 20, 22, 24, 24, 24, 28, 32)) for _ in range(3000))}
    path = b.path('prefixes')
    with open(path, 'w', encoding='ascii') as f:
        f.writelines(sorted(lines) + ['0.0.0.0/8\n', '127.0.0.0/8\n', '240.0.0.0/4\n', '2001:db8::/32\n'])
    return path


def checked(b, subjects):
    """The other role; every frame is looked at."""
    o = bench(b, 'forward', '--check', '--frames', '64,1518', '--subjects', ','.join(subjects), '--role', 'server', '--ring', '256',
              '--seconds', '0.1', '--patience', '1', '--routes', table(b))
    rows = [(r['subject'], r['destinations']) for r in o['rows'] if r['subject'] != 'generator']
    want = [(s, 1) for s in subjects if s != 'p2pnic-route-full'] + [(s, 65536) for s in subjects if s.startswith('p2pnic-route')]
    b.equal(sorted(rows), sorted(2 * want), f'rows; skipped: {o["skipped"]}')
    rows = [r for r in o['rows'] if r['subject'] != 'generator']
    for r in rows:
        faults = {k: r[k] for k in ('lost', 'corrupted', 'reordered', 'duplicated')}
        b.check(r['checked'] > 1000 and not any(faults.values()), f'{r["subject"]} as server, {r["destinations"]} to, {r["frame_bytes"]} bytes: {r["checked"]}'
                f' frames checked, {faults}')


def against(b):
    """Another build beside this one: here a copy of it, under another name."""
    other = b.path('other')
    shutil.copy(P2PNIC, other)
    o = bench(b, 'forward', '--rounds', '2', '--frames', '64', '--subjects', 'p2pnic-wr', '--seconds', '0.1', '--ring', '1024',
              '--patience', '1', '--latency', 'off', '--against', other)
    rows = {r['against']: r for r in o['rows'] if r['subject'] == 'p2pnic-wr'}
    b.equal(sorted(rows), [False, True], 'rows of p2pnic-wr')
    b.equal(rows[False]['buf_bytes'], rows[True]['buf_bytes'], 'buffers of both')
    ratios = {g['by']: g for g in o['goals'] if g['ratio'] == 'p2pnic-wr / the same of --against'}
    b.check('cycles' in ratios and all(g['min'] <= g['q1'] <= g['value'] <= g['q3'] <= g['max'] for g in ratios.values()),
            f'ratios to the other build: {ratios}')
    os.rename(other, other + '.gone')
    r = b.call([P2PNIC, 'bench', 'forward', '--subjects', 'p2pnic-wr', '--against', other], 20)
    b.check(r.status == 2 and other in r.err, f'a program that is not there: {r.err.strip()}')


def soak(b):
    o = bench(b, 'soak', '--seconds', '0.3', '--load', '50', '--ring', '1024', '--patience', '1')
    b.check(o['received'] == o['sent'] > 0 and o['lost'] == o['corrupted'] == o['reordered'] == 0 and
            isinstance(o['taken_away'], list), f'soak: {o["sent"]} sent, {o["received"]} received, {o["lost"]} lost')


def idle(b):
    o = bench(b, 'idle', '--seconds', '0.5')
    b.check(0 <= o['percent_of_a_core'] < 100, f'idle: {o["percent_of_a_core"]}% of a core')


def interrupted(b):
    """Children and sockets go with it, whether it is asked or killed."""
    for sig in (signal.SIGINT, signal.SIGKILL):
        p = b.start('bench', [P2PNIC, 'bench', 'forward', '--subjects', 'p2pnic-wr'], env={**b.env, 'TMPDIR': b.dir})

        def children(p=p):
            with open(f'/proc/{p.pid}/task/{p.pid}/children', encoding='ascii') as f:
                return [int(c) for c in f.read().split()]
        pid = wait_for('a forwarder runs', 20, children)[0]
        b.check(p.stop(sig) != 0, f'{sig.name}: {p.err.strip()[-80:]}')
        wait_for('its forwarder is gone', 5, lambda pid=pid: not os.path.exists(f'/proc/{pid}') or
                 open(f'/proc/{pid}/stat', encoding='ascii').read().split(') ')[1][0] == 'Z')
        if sig == signal.SIGINT:
            b.equal(left(b), [], 'left behind')


def main(b):
    if len(os.sched_getaffinity(0)) < 2:
        raise SystemExit(77)
    if sys.argv[1:] == ['full']:
        o = bench(b, 'forward', '--role', 'server', '--rounds', '1', '--frames', '64', '--subjects', 'p2pnic-wr', '--seconds', '0.1',
                  '--ring', '1024', '--patience', '1', '--latency', 'off')
        b.equal(sorted(r['subject'] for r in o['rows']), ['generator', 'p2pnic-wr'], 'rows as server')
        against(b)
        checked(b, ['p2pnic-wr', 'p2pnic-rd', 'p2pnic-bn', 'p2pnic-cut', 'p2pnic-route', 'p2pnic-route-full'])
        return
    forward(b)
    checked(b, ['p2pnic-wr', 'p2pnic-route'])
    soak(b)
    idle(b)
    interrupted(b)


run(main)
