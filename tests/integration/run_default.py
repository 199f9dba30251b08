#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""`p2pnic run` without arguments: keys and values of --json, the table, and that it needs no root."""
import os
import pwd
import shutil

from lib import BUILD, MODES, P2PNIC, run

KEYS = {'mode', 'frame_bytes', 'mpps', 'gbps', 'latency_p50_ns', 'latency_p99_ns', 'copies_per_packet', 'p2p_bytes_per_packet',
        'host_bytes_per_packet', 'lost', 'corrupted', 'reordered'}
SIZES = (64, 512, 1518)


def check_row(b, row):
    mode, size = row['mode'], row['frame_bytes']
    missing = KEYS - set(row)
    if missing:
        b.check(False, f'{mode} {size}: no key {", ".join(sorted(missing))}')
        return
    p2p, host, copies = (0, 2 * size, 2) if mode == 'bn' else (size, 0, 1)
    wrong = [f'{key} {row[key]}, should be {want}' for key, want in
             (('lost', 0), ('corrupted', 0), ('reordered', 0), ('p2p_bytes_per_packet', p2p), ('host_bytes_per_packet', host),
              ('copies_per_packet', copies)) if abs(row[key] - want) > 1e-6]
    if not (row['mpps'] > 0 and row['gbps'] > 0):
        wrong.append('nothing went through')
    if not 0 < row['latency_p50_ns'] <= row['latency_p99_ns']:
        wrong.append('p50 and p99 make no sense')
    b.check(not wrong, f'{mode} {size}: {row["mpps"]:.3f} Mpps, {row["gbps"]:.2f} Gb/s, p50 {row["latency_p50_ns"] / 1e3:.1f} us,'
            f' p99 {row["latency_p99_ns"] / 1e3:.1f} us, copies {row["copies_per_packet"]:.2f},'
            f' p2p {row["p2p_bytes_per_packet"]:.1f} B, host {row["host_bytes_per_packet"]:.1f} B' +
            ''.join('; ' + w for w in wrong))


def unprivileged(b):
    """As nobody, from a copy: the build tree may not be readable to others."""
    if os.geteuid() != 0:
        return b.call([P2PNIC, 'run', '--seconds', '0.5', '--json'], 60)
    nobody = pwd.getpwnam('nobody')
    exe = b.path('p2pnic')
    shutil.copy(P2PNIC, exe)
    os.chmod(b.dir, 0o755)
    os.chmod(exe, 0o755)
    rundir = b.path('nobody-run')
    os.mkdir(rundir, 0o700)
    os.chown(rundir, nobody.pw_uid, nobody.pw_gid)
    return b.call(['setpriv', f'--reuid={nobody.pw_uid}', f'--regid={nobody.pw_gid}', '--clear-groups', exe, 'run',
                   '--seconds', '0.5', '--json'], 60, env=dict(b.env, P2PNIC_RUNTIME_DIR=rundir))


def main(b):
    b.say(f'build {BUILD}')
    r = b.call([P2PNIC, 'run', '--json', '--seconds', '1'], 60)
    b.equal(r.status, 0, 'run --json --seconds 1: exit status')
    if r.err:
        b.say('stderr: ' + r.err.strip())
    rows = r.json['results']
    b.equal([(w['mode'], w['frame_bytes']) for w in rows], [(m, s) for m in MODES for s in SIZES], 'rows')
    for row in rows:
        check_row(b, row)

    r = b.call([P2PNIC, 'run', '--seconds', '0.5', '--mode', 'wr'], 60)
    b.equal(r.status, 0, 'as a table, --mode wr: exit status')
    print(r.out)
    b.equal(sum(line.split()[:1] == ['wr'] for line in r.out.splitlines()), 3, 'three lines of wr')

    r = unprivileged(b)
    b.equal(r.status, 0, 'without root: exit status')
    b.equal(len(r.json['results']), 9, 'without root: rows')
    b.equal(os.listdir(b.env['P2PNIC_RUNTIME_DIR']), [], 'left in the runtime directory')


run(main)
