#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Sizes and marks of the source: function and file length, SPDX, words that may not stay.

check_style.py              checks the checkout
check_style.py --self-test  checks that each kind of breach is seen
"""
import os
import re
import sys
import tempfile

import source

FUNCTION_LINES, FUNCTION_SOFT = 100, 70
FILE_LINES = 900
LINE_COLUMNS = 140  # clang-format aims at 120
UNFINISHED = re.compile(r'\b(TODO|FIXME|XXX|HACK)\b')
SPDX = 'SPDX-License-Identifier: BSD-3-Clause'


def functions(text):
    """(name, first line, lines) of every function whose braces stand in column 0."""
    start = name = None
    for n, line in enumerate(text, 1):
        if line.startswith('{') and start is None:
            start = n
        elif line.startswith('}') and start is not None:
            yield name or '?', start, n - start - 1
            start = None
        elif start is None:
            m = re.match(r'^[A-Za-z_][\w\s*]*?(\w+)\s*\(', line)
            if m:
                name = m[1]


def check_file(path, text, errors, notes):
    if not any(SPDX in s for s in text[:4]):
        errors.append(f'{path}: none of its first lines says {SPDX}')
    if len(text) > FILE_LINES and path.endswith(('.c', '.h')):
        errors.append(f'{path}: {len(text)} lines; split files of more than {FILE_LINES}')
    for n, line in enumerate(text, 1):
        if UNFINISHED.search(line) and not path.startswith('tests/structure/'):
            errors.append(f'{path}:{n}: unfinished work belongs into an issue')
        if path.endswith(('.c', '.h')):
            if len(line.expandtabs(8)) > LINE_COLUMNS and not line.lstrip().startswith(('"', 'X(')):  # text and table rows are not broken up
                errors.append(f'{path}:{n}: {len(line.expandtabs(8))} columns, more than {LINE_COLUMNS}')
            if re.match(r'\t*        ', line):
                errors.append(f'{path}:{n}: indented with blanks; 8 columns are a tab')
            if re.match(r'\s*(if|for|while|switch)\(', line):
                errors.append(f'{path}:{n}: no blank before the parenthesis')
            if line != line.rstrip():
                errors.append(f'{path}:{n}: blanks at the end of the line')
    if path.endswith('.c'):
        for name, start, length in functions(text):
            if length > FUNCTION_LINES:
                errors.append(f'{path}:{start}: {name}() has {length} lines, more than {FUNCTION_LINES}')
            elif length > FUNCTION_SOFT:
                notes.append(f'note: {path}:{start}: {name}() has {length} lines; {FUNCTION_SOFT} is the aim')


def check(top):
    errors, notes = [], []
    paths = source.files('.c', '.h', '.sh', '.py', 'meson.build', top=top)
    for path in paths + [p for p in ('run', 'test') if os.path.exists(os.path.join(top, p))]:
        check_file(path, source.lines(path, top), errors, notes)
    for n in notes:
        print(n)
    return errors


def self_test():
    spdx = f'/* {SPDX} */\n'
    body = 'int f(int a)\n{\n' + '\ta++;\n' * 101 + '}\n'
    cases = [
        ('int a;\n', 'SPDX'),
        (spdx + body, 'f() has 101 lines'),
        (spdx + body.replace('\ta++;\n', '', 1), None),
        (spdx + 'int a;\n' * 900, 'split files'),
        (spdx + '/* TO' + 'DO */\n', 'unfinished'),
        (spdx + 'int a; \n', 'blanks at the end'),
        (spdx + 'int f(int a)\n{\n        return a;\n}\n', 'indented with blanks'),
        (spdx + 'int f(int a)\n{\n\tif(a)\n\t\treturn 1;\n}\n', 'parenthesis'),
        (spdx + '\t' * 18 + 'int a;\n', 'columns'),
        (spdx + '\t' * 18 + '"text";\n', None),
        (spdx + '\tX(A, "' + 'a' * 140 + '")\n', None),
    ]
    for text, expect in cases:
        with tempfile.TemporaryDirectory() as top:
            with open(os.path.join(top, 'a.c'), 'w', encoding='utf-8') as f:
                f.write(text)
            errors = check(top)
        if (expect is None and errors) or (expect and not any(expect in e for e in errors)):
            print(f'{text[:60]!r}: expected {expect!r}, got {errors}')
            return 1
    return 0


if __name__ == '__main__':
    sys.exit(self_test() if sys.argv[1:] == ['--self-test'] else source.report('style', check(source.TOP)))
