#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Holds every #include to scripts/rooms.txt, and exit() to cli/.

check_rooms.py              checks the checkout
check_rooms.py --self-test  checks that each kind of breach is seen
"""
import os
import re
import sys
import tempfile

import source

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
EXIT = re.compile(r'(?<![\w.>])(_exit|_Exit|exit|quick_exit|abort)\s*\(')
MAY_EXIT = ('cli', 'tests', 'bench', 'scripts')


def read_table(top):
    rooms = {}
    for n, line in enumerate(source.lines('scripts/rooms.txt', top), 1):
        line = line.split('#')[0].strip()
        if not line:
            continue
        parts = [p.split() for p in line.split(':')]
        if len(parts) != 3 or len(parts[0]) != 1:
            raise SystemExit(f'scripts/rooms.txt:{n}: wants "folder : rooms : headers"')
        rooms[parts[0][0]] = (set(parts[1]), set(parts[2]))
    return rooms


def room_of(path, rooms):
    folder = os.path.dirname(path)
    while folder and folder not in rooms:
        folder = os.path.dirname(folder)
    return folder


def resolve(path, kind, name, top):
    """The file of the checkout that the #include means, or None if it is none of ours."""
    beside = os.path.normpath(os.path.join(os.path.dirname(path), name))
    places = [beside] if kind == '"' else []
    places += [os.path.join('include', name), os.path.normpath(name)]
    for p in places:
        if os.path.isfile(os.path.join(top, p)):
            return p
    return None


def check_include(path, kind, name, rooms, top):
    room = room_of(path, rooms)
    may, headers = rooms[room]
    if name == 'board_impl.h':
        return None if room == 'firmware' or 'firmware' in may or '*' in may else 'board_impl.h is for firmware alone'
    target = resolve(path, kind, name, top)
    if target is None:
        if kind == '"':
            return f'"{name}" is no file of the checkout (a library\'s header wants <>)'
        return None if '*' in headers or name in headers else f'<{name}> is not among the headers of {room}'
    to = room_of(target, rooms)
    if to == room or '*' in may or to in may:
        return None
    return f'{room} may not include {to or "the top folder"} ({name})'


def check(top):
    rooms, errors = read_table(top), []
    for path in source.files('.c', '.h', top=top):
        room = room_of(path, rooms)
        if room not in rooms:
            errors.append(f'{path}: lies in no room of scripts/rooms.txt')
            continue
        text = '\n'.join(source.lines(path, top))
        code = source.blank_comments(text).split('\n')
        for n, (line, bare) in enumerate(zip(text.split('\n'), code), 1):
            m = INCLUDE.match(line)
            if m and bare.strip().startswith('#'):
                e = check_include(path, m[1], m[2], rooms, top)
                if e:
                    errors.append(f'{path}:{n}: {e}')
            m = EXIT.search(bare)
            if m and not path.startswith(tuple(d + '/' for d in MAY_EXIT)):
                errors.append(f'{path}:{n}: {m[1]}(): only cli/ ends the process; return -errno')
    return errors


SELF_TEST = [  # file, text, what must be seen (None: nothing)
    ('firmware/a.c', '#include <stdio.h>\n', 'stdio.h'),
    ('firmware/a.c', '#include <ports/p.h>\n', 'firmware may not include ports'),
    ('firmware/a.c', '#include "board_impl.h"\n#include <string.h>\n#include <p2pnic/x.h>\n', None),
    ('ports/a.c', '#include "board_impl.h"\n', 'board_impl.h'),
    ('boards/soft/a.c', '#include "../sim/s.h"\n', 'boards/soft may not include boards/sim'),
    ('driver/a.c', '#include <boards/soft/b.h>\n', 'driver may not include boards/soft'),
    ('fabric/a.c', '#include <p2pnic/x.h>\n', 'fabric may not include include/p2pnic'),
    ('ports/a.c', 'void f(void) { exit(1); }\n', 'exit()'),
    ('ports/a.c', '/* exit(1); */ void f(void) { port_exit(1); p->exit(1); }\n', None),
    ('ports/a.c', '/*\n#include <boards/soft/b.h>\n*/\n', None),
    ('cli/a.c', 'void f(void) { exit(1); }\n', None),
    ('attic/a.c', '', 'no room'),
    ('ports/a.c', '#include "gone.h"\n', 'no file'),
]


def self_test():
    for path, text, expect in SELF_TEST:
        with tempfile.TemporaryDirectory() as top:
            for p in ('scripts/rooms.txt', 'include/p2pnic/x.h', 'ports/p.h', 'boards/soft/b.h', 'boards/sim/s.h', path):
                os.makedirs(os.path.join(top, os.path.dirname(p)), exist_ok=True)
                with open(os.path.join(top, p), 'w', encoding='utf-8') as f:
                    f.write('\n'.join(source.lines(p)) if p == 'scripts/rooms.txt' else text if p == path else '')
            errors = check(top)
        if (expect is None and errors) or (expect and not any(expect in e for e in errors)):
            print(f'{path} with {text!r}: expected {expect!r}, got {errors}')
            return 1
    return 0


if __name__ == '__main__':
    sys.exit(self_test() if sys.argv[1:] == ['--self-test'] else source.report('scripts/rooms.txt', check(source.TOP)))
