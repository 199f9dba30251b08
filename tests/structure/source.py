# SPDX-License-Identifier: BSD-3-Clause
"""The checkout's files, for the checks beside this one."""
import os

TOP = os.environ.get('P2PNIC_TOP') or os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def files(*suffixes, top=None):
    """Paths relative to the top, sorted; without build trees and hidden folders."""
    top = top or TOP
    found = []
    for folder, dirs, names in os.walk(top):
        if folder == top:
            dirs[:] = [d for d in dirs if d != 'build' and not d.startswith('build-')]
        dirs[:] = [d for d in dirs if not d.startswith('.') and d != '__pycache__' and
                   not os.path.exists(os.path.join(folder, d, 'meson-info'))]
        found += [os.path.relpath(os.path.join(folder, n), top) for n in names if n.endswith(suffixes)]
    return sorted(found)


def lines(path, top=None):
    with open(os.path.join(top or TOP, path), encoding='utf-8') as f:
        return f.read().split('\n')


def blank_comments(text):
    """C without comments and the insides of literals; line numbers stay."""
    out, i, state = [], 0, ''
    while i < len(text):
        c, two = text[i], text[i:i + 2]
        if state == '':
            if two == '/*':
                state, i = '*/', i + 1
            elif two == '//':
                state = '\n'
            elif c in '"\'':
                state = c
            if state in ('', '"', "'"):
                out.append(c)
        elif state in ('"', "'"):
            if c == '\\':
                i += 1
            elif c == state or c == '\n':
                state = ''
                out.append(c)
        elif two == state:
            state, i = '', i + 1
        elif c == '\n':
            out.append(c)
            if state == '\n':
                state = ''
        i += 1
    return ''.join(out)


def report(what, errors):
    for e in errors:
        print(e)
    if errors:
        print(f'{len(errors)} breaches of {what}')
    return 1 if errors else 0
