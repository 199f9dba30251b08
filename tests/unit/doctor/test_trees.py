#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""test_trees.py P2PNIC: broken trees, saved trees, and trees broken at random.

What is wrong is one line that names it, exit 1.  Whatever a tree holds, the doctor ends by itself, with 0 and valid JSON, or 1 and a line.
"""
import filecmp
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile

from trees import RR, SERIAL, Box, put, two_under_switch

P2PNIC = os.path.abspath(sys.argv[1])
ROUNDS = int(sys.argv[2]) if len(sys.argv) > 2 else 120
NIC = 'devices/pci0000:00/0000:00:01.0/0000:01:00.0/0000:02:00.0/0000:03:00.0'
OTHER = 'devices/pci0000:00/0000:00:01.0/0000:01:00.0/0000:02:01.0/0000:04:00.0'
LINK = 'bus/pci/devices/0000:03:00.0'


def doctor(*args, **more):
    return subprocess.run([P2PNIC, 'doctor', *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=120, **more)


def one_line(p, status, *words):
    """What is wrong with how p ended, or None."""
    err = p.stderr.decode('utf-8', 'replace')
    if p.returncode != status or err.count('\n') != 1 or not err.startswith('p2pnic doctor: ') or p.stdout:
        return f'status {p.returncode}, {p.stdout[:100]!r}, {err!r}'
    for w in words:
        if w not in err:
            return f'{err!r} does not say {w!r}'
    return None


def replace(path, make):
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)
    make(path)


def cut(path, size):
    os.truncate(path, size)


def bytes_at(path, at, new):
    with open(path, 'r+b') as f:
        f.seek(at)
        f.write(new)


def outside(tree):
    return shutil.copytree(f'{tree}/{NIC}', f'{tree}.out/0000:03:00.0', symlinks=True)


BROKEN = [  # what is done to the tree (t), what the line must say
    ('no config', lambda t: os.unlink(f'{t}/{NIC}/config'), ('0000:03:00.0', 'config', 'truncated')),
    ('config of 17 bytes', lambda t: cut(f'{t}/{NIC}/config', 17), ('0000:03:00.0', '17 bytes', 'truncated')),
    ('config of another', lambda t: bytes_at(f'{t}/{NIC}/config', 0, b'\x86\x80'), ('0000:03:00.0', '8086:', 'contradicts')),
    ('no vendor', lambda t: os.unlink(f'{t}/{NIC}/vendor'), ('0000:03:00.0', 'vendor', 'truncated')),
    ('vendor is a word', lambda t: put(f'{t}/{NIC}', 'vendor', 'acme\n'), ('vendor', 'acme')),
    ('resource cut', lambda t: cut(f'{t}/{NIC}/resource', 100), ('0000:03:00.0', 'resource')),
    ('resource of two lines', lambda t: cut(f'{t}/{NIC}/resource', 2 * 57), ('0000:03:00.0', 'resource has 2 lines', 'truncated')),
    ('resource is junk', lambda t: replace(f'{t}/{NIC}/resource', lambda p: open(p, 'wb').write(b'\0\1\xff' * 50)),
     ('resource', 'no text')),
    ('numa node', lambda t: put(f'{t}/{NIC}', 'numa_node', 'two\n'), ('numa_node', 'two')),
    ('huge file', lambda t: put(f'{t}/{NIC}', 'class', '0' * 10_000_000), ('class', 'longer')),
    ('a pipe', lambda t: replace(f'{t}/{NIC}/config', os.mkfifo), ('config', 'is no file')),
    ('a folder', lambda t: replace(f'{t}/{NIC}/config', os.mkdir), ('config', 'is no file')),
    ('a link in a circle', lambda t: replace(f'{t}/{LINK}', lambda p: os.symlink('0000:03:00.0', p)), ('0000:03:00.0', 'symbolic links')),
    ('a link to nowhere', lambda t: replace(f'{t}/{LINK}', lambda p: os.symlink('../../../gone/0000:03:00.0', p)), ('0000:03:00.0',)),
    ('a link out of the tree', lambda t: replace(f'{t}/{LINK}', lambda p: os.symlink(outside(t), p)),
     ('0000:03:00.0', 'out of the tree')),
    ('a link to another', lambda t: replace(f'{t}/{LINK}', lambda p: os.symlink('../../../' + OTHER, p)), ('0000:03:00.0', 'contradicts')),
    ('no bridge', lambda t: os.unlink(f'{t}/bus/pci/devices/0000:02:00.0'), ('0000:02:00.0', 'incomplete')),
    ('bridge with other buses', lambda t: bytes_at(f'{t}/{os.path.dirname(NIC)}/config', 0x19, b'\x30\x30'), ('0000:03:00.0', 'contradicts')),
    ('bridge below itself', lambda t: bytes_at(f'{t}/{os.path.dirname(NIC)}/config', 0x19, b'\x01\x30'), ('0000:02:00.0', 'contradicts')),
    ('no address', lambda t: os.mkdir(f'{t}/bus/pci/devices/eth0'), ('eth0', 'no address')),
    ('group without number', lambda t: replace(f'{t}/{NIC}/iommu_group', lambda p: os.symlink('../x', p)), ('iommu_group', "'x'")),
]


def check_broken(folder):
    errors = []
    for name, spoil, words in BROKEN:
        shutil.rmtree(f'{folder}/t.out', ignore_errors=True)
        tree = two_under_switch().write(f'{folder}/t')
        spoil(tree)
        wrong = one_line(doctor('--sysfs', tree), 1, *words)
        if wrong:
            errors.append(f'{name}: {wrong}')
    return errors


def check_asked(folder):
    tree = two_under_switch().write(f'{folder}/t')
    os.makedirs(f'{folder}/empty')
    cases = [(['--sysfs', tree, '07:00.0'], 1, '07:00.0'), (['--sysfs', tree, 'eth0'], 1, 'eth0'), (['--sysfs', tree, '02:00.0'], 1, 'bridge'),
             (['--sysfs', tree, '03:00.0', '0000:03:00.0'], 1, 'twice'), (['--sysfs', f'{folder}/none'], 1, 'No such file'),
             (['--sysfs', f'{folder}/empty'], 1, 'bus/pci/devices'), (['--sysfs', P2PNIC], 1, 'Not a directory'),
             (['--sysfs', tree, '--save', tree], 1, 'not empty'), (['--sysfs', tree, '--save', f'{folder}/no/such'], 1, 'No such file'),
             (['--json', '--dot'], 2, '--dot'), (['--save', 'x', '--json'], 2, '--save'), (['--bogus'], 2, '--bogus')]
    errors = [f'{args}: {wrong}' for args, status, word in cases for wrong in [one_line(doctor(*args), status, word)] if wrong]
    p = doctor('--sysfs', tree, '03:00.0', '0000:04:00.0', '--json')
    if p.returncode or len(json.loads(p.stdout)['pairs']) != 1:
        errors.append(f'two that are there: {p}')
    one = Box()
    one.host()
    p = doctor('--sysfs', one.write(f'{folder}/one'))
    if p.returncode or b'nothing to pair' not in p.stdout:
        errors.append(f'a box without NICs: {p}')
    return errors


def check_rights(folder):
    """As somebody else, to whom a file is shut."""
    if os.geteuid():
        return []
    tree = two_under_switch().write(f'{folder}/shut')
    os.chmod(folder, 0o755)
    os.chmod(f'{tree}/{NIC}/config', 0)
    try:
        if subprocess.run([P2PNIC, 'version'], user=65534, group=65534, extra_groups=[], stdout=subprocess.DEVNULL).returncode:
            raise OSError
    except OSError:
        print('rights: the build is out of others\' reach')
        return []
    wrong = one_line(doctor('--sysfs', tree, user=65534, group=65534, extra_groups=[]), 1, '0000:03:00.0/config', 'root')
    return [f'no rights: {wrong}'] if wrong else []


def check_saved(folder):
    """A saved tree says the same, and holds nothing that it should not."""
    box = two_under_switch(acs=RR)
    box.devs[-1].rebar = {2: 0x3c0}
    box.devs[-1].relaxed = True
    box.devs[-2].gone = True
    tree, errors = box.write(f'{folder}/whole'), []
    p = doctor('--sysfs', tree, '--save', f'{folder}/saved')
    if p.returncode:
        return [f'--save: {p}']
    a, b = doctor('--sysfs', tree, '--json'), doctor('--sysfs', f'{folder}/saved', '--json')
    if a.returncode or a.stdout != b.stdout:
        errors.append(f'saved, it says otherwise: {a.stdout} {b.stdout} {b.stderr}')
    found = b''
    for top, dirs, names in os.walk(f'{folder}/saved'):
        for n in names:
            if not os.path.islink(os.path.join(top, n)):
                with open(os.path.join(top, n), 'rb') as f:
                    found += f.read()
    for what in (SERIAL, SERIAL.hex().encode(), b'5e:c4'):
        if what in found:
            errors.append(f'the saved tree holds {what!r}')
    doctor('--sysfs', f'{folder}/saved', '--save', f'{folder}/again')
    if filecmp.dircmp(f'{folder}/saved', f'{folder}/again').left_only or \
            doctor('--sysfs', f'{folder}/again', '--json').stdout != a.stdout:
        errors.append('saved twice, it says otherwise')
    return errors


def check_dot(folder):
    tree = two_under_switch(acs=RR).write(f'{folder}/t')
    p = doctor('--sysfs', tree, '--dot')
    out = p.stdout.decode()
    good = p.returncode == 0 and out.startswith('graph') and '"0000:03:00.0" -- "0000:04:00.0"' in out and 'through-root' in out and \
        '"0000:02:00.0" -- "0000:03:00.0" [label="Gen3 x8"]' in out
    return [] if good else [f'--dot: {p}']


def spoil_one(rng, tree, files):
    path = os.path.join(tree, rng.choice(files))
    size = os.path.getsize(path) if os.path.isfile(path) else 0
    kind = rng.randrange(9)
    if kind == 0 and os.path.isfile(path):
        cut(path, rng.randrange(size + 1))
    elif kind in (1, 2, 3) and size:
        for _ in range(rng.choice((1, 4, 200))):
            bytes_at(path, rng.randrange(size if rng.random() < 0.5 else min(size, 0x180)), rng.randbytes(rng.choice((1, 2, 4))))
    elif kind == 4:
        replace(path, lambda p: open(p, 'wb').write(rng.randbytes(rng.choice((0, 1, 63, 64, 65, 255, 256, 4095, 4096, 20000)))))
    elif kind == 5:
        replace(path, lambda p: os.symlink(rng.choice((p, '.', '..', '/dev/zero', '/dev/null', '/proc/self/mem', '../0000:04:00.0')), p))
    elif kind == 6:
        replace(path, rng.choice((os.mkfifo, os.mkdir)))
    elif kind == 7:
        replace(path, lambda p: None)
    elif size:
        bytes_at(path, 0, b'\xff' * size)


def check_random(folder, seed):
    rng = random.Random(seed)
    errors = []
    for k in range(ROUNDS):
        box = two_under_switch(acs=RR if k % 2 else None)
        box.devs[-1].rebar = {2: 0x3c0}
        tree = box.write(f'{folder}/r', flat=k % 3 == 0)
        files = [os.path.relpath(os.path.join(t, n), tree) for t, dirs, names in os.walk(tree) for n in names + dirs
                 if os.path.islink(os.path.join(t, n)) or os.path.isfile(os.path.join(t, n))]
        files += [f for f in files if f.endswith('config')] * 8 + [f for f in files if f.endswith('resource')] * 3
        for _ in range(rng.choice((1, 1, 2, 5))):
            spoil_one(rng, tree, sorted(files))
        p = doctor('--sysfs', tree, *rng.choice((['--json'], [], ['--dot'])))
        noise = re.search(rb'Sanitizer|runtime error', p.stderr)
        wrong = None
        if p.returncode == 1 and not noise:
            wrong = one_line(p, 1)
        elif p.returncode or noise:
            wrong = f'status {p.returncode}: {p.stderr.decode("utf-8", "replace")}'
        elif p.stdout.startswith(b'{'):
            try:
                json.loads(p.stdout.decode('utf-8'))
            except ValueError as e:
                wrong = f'no JSON: {e}'
        if wrong:
            errors.append(f'seed {seed}, round {k}: {wrong}')
    return errors


def main():
    seed = int(os.environ.get('DOCTOR_SEED', '1'))
    errors = []
    with tempfile.TemporaryDirectory() as folder:
        for check in (check_broken, check_asked, check_rights, check_saved, check_dot):
            errors += check(folder)
        errors += check_random(folder, seed)
    print('\n'.join(errors) or f'{len(BROKEN)} broken trees, {ROUNDS} at random')
    return 1 if errors else 0


if __name__ == '__main__':
    sys.exit(main())
