#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Documentation that can be wrong is checked.

check_docs.py generated GENDOCS   docs/registers.md and docs/counters.md are what the lists say
check_docs.py links               links of all .md files lead somewhere; files named in `code` exist, and
                                  have the functions that "`name()` (`file`)" says they have
check_docs.py commands P2PNIC     commands, subcommands and options in README.md's examples exist
check_docs.py rooms               docs/architecture.md names every room of scripts/rooms.txt that exists
check_docs.py attacks [write]     the tables of attacks in docs/trust.md have the rows of the tests' tables; or are made so
"""
import os
import re
import shlex
import subprocess
import sys

import source


def generated(gendocs):
    errors = []
    for page in ('registers', 'counters'):
        out = subprocess.run([gendocs, page], check=True, stdout=subprocess.PIPE, encoding='utf-8').stdout
        with open(os.path.join(source.TOP, 'docs', page + '.md'), encoding='utf-8') as f:
            if f.read() != out:
                errors.append(f'docs/{page}.md is out of date: run `ninja -C build docs` and commit it')
    return errors


def anchor(title):
    return re.sub(r'[^\w\- ]', '', title.strip().lower().replace('`', '')).replace(' ', '-')


def anchors(path):
    return {anchor(line.lstrip('#')) for line in source.lines(path) if re.match(r'#+ ', line)}


def links():
    errors = []
    for path in source.files('.md'):
        errors += functions(path)
        fenced = False
        for n, line in enumerate(source.lines(path), 1):
            if line.startswith('```'):
                fenced = not fenced
            if fenced:
                continue
            for target in re.findall(r'\]\(([^)\s]+)\)', re.sub(r'`[^`]*`', '', line)):
                if re.match(r'[a-z]+:', target):
                    continue
                name, _, part = target.partition('#')
                to = os.path.normpath(os.path.join(os.path.dirname(path), name)) if name else path
                if not os.path.exists(os.path.join(source.TOP, to)):
                    errors.append(f'{path}:{n}: {target} leads nowhere')
                elif part and to.endswith('.md') and part not in anchors(to):
                    errors.append(f'{path}:{n}: {to} has no heading #{part}')
            for name in re.findall(r'`((?:[\w.-]+/)+[\w.-]+\.(?:c|h|md|txt|sh|py))`', line):
                if not name.startswith('build') and not os.path.exists(os.path.join(source.TOP, name)):
                    errors.append(f'{path}:{n}: there is no {name}')
    return errors + unknown_functions()


def functions(path):
    """Breaches of "`name()` in `file`", "`name()` (`file`)" and "(`name()`, `file`)", also over two lines."""
    errors = []
    for name, where in re.findall(r'`(\w+)\(\)`(?:\s+in|\s+\(|,)\s*`([\w/.-]+)`', '\n'.join(source.lines(path))):
        if os.path.exists(os.path.join(source.TOP, where)) and \
                not re.search(r'^[a-z][\w\s*]*\b' + name + r'\(', '\n'.join(source.lines(where)), re.M):
            errors.append(f'{path}: {where} defines no {name}()')
    return errors


def unknown_functions():
    """`name()` in any page must be a function, macro or contract of some source."""
    known = set()
    for path in source.files('.c', '.h'):
        known |= set(re.findall(r'\b(\w+)\(', '\n'.join(source.lines(path))))
    errors = []
    for path in source.files('.md'):
        for n, line in enumerate(source.lines(path), 1):
            errors += [f'{path}:{n}: no source has {name}()' for name in re.findall(r'`(\w+)\(\)`', line)
                       if name not in known]
    return errors


def examples(path):
    """(line number, words) of every command in the ``` sh blocks."""
    text, n = source.lines(path), 0
    while n < len(text):
        if text[n].strip() == '```sh':
            n += 1
            while text[n].strip() != '```':
                first, line = n + 1, text[n]
                while line.endswith('\\'):
                    n += 1
                    line = line[:-1] + ' ' + text[n].strip()
                words = shlex.split(line, comments=True)
                if words:
                    yield first, words
                n += 1
        n += 1


def commands(p2pnic):
    errors, helps = [], {}
    for n, words in examples('README.md'):
        while words and words[0] in ('sudo', 'ip', 'netns', 'exec') or (words and '=' in words[0]):
            if words[0] == 'exec' and len(words) > 1:
                words = words[2:]
            elif words[0] == 'ip' and words[1:2] != ['netns']:
                break
            else:
                words = words[1:]
        if not words:
            continue
        if words[0].startswith(('./', 'scripts/')) and not os.access(os.path.join(source.TOP, words[0]), os.X_OK):
            errors.append(f'README.md:{n}: there is no command {words[0]}')
        if words[0] not in ('build/p2pnic', 'p2pnic', './run'):
            continue
        sub = 'run' if words[0] == './run' else words[1]
        if sub.startswith('-'):
            continue
        if sub not in helps:
            p = subprocess.run([p2pnic, sub, '--help'], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, encoding='utf-8', errors='replace', timeout=20)
            helps[sub] = p.stdout if p.returncode == 0 else None
            if p.returncode:
                errors.append(f'README.md:{n}: `p2pnic {sub} --help` ends with status {p.returncode}')
        for w in words[1:]:
            flag = w.split('=')[0]
            if flag.startswith('--') and helps[sub] is not None and \
                    not re.search(re.escape(flag) + r'(?![\w-])', helps[sub]):
                errors.append(f'README.md:{n}: `p2pnic {sub} --help` does not know {flag}')
    if not helps:
        errors.append('README.md: no example starts p2pnic')
    return errors


def rooms():
    page = '\n'.join(source.lines('docs/architecture.md'))
    errors = []
    for line in source.lines('scripts/rooms.txt'):
        room = line.split('#')[0].split(':')[0].strip()
        if room and os.path.isdir(os.path.join(source.TOP, room)) and f'`{room}/`' not in page:
            errors.append(f'docs/architecture.md does not tell of `{room}/`')
    return errors


ATTACKS = ('tests/conformance/test_hostile.c', 'tests/integration/hostile_memif.py', 'tests/integration/hostile_vfio_user.py')


def attacks(write=None):
    """Between `<!-- attacks: FILE -->` and the next empty line but one: FILE's rows of ("name", "what it does", "counter", ...)."""
    path = os.path.join(source.TOP, 'docs/trust.md')
    with open(path, encoding='utf-8') as f:
        page = f.read()
    new, errors = page, []
    for name in ATTACKS:
        rows = re.findall(r'[({]\s*"([a-z0-9-]+)",\s*"([^"]+)",\s*"([a-z_]+)",', '\n'.join(source.lines(name)))
        if len(rows) < 20 or len({r[0] for r in rows}) != len(rows):
            errors.append(f'{name}: {len(rows)} attacks, {len({r[0] for r in rows})} names: at least 20, each with a name of its own')
        table = '\n'.join(['| attack | what it does | counter |', '|---|---|---|', *(f'| {a} | {b} | {c} |' for a, b, c in rows)])
        mark = f'<!-- attacks: {name} -->\n\n'
        before, found, rest = new.partition(mark)
        if not found:
            errors.append(f'docs/trust.md has no {mark.strip()}')
            continue
        new = before + mark + table + '\n\n' + rest.partition('\n\n')[2]
    if write and new != page:
        with open(path, 'w', encoding='utf-8') as f:
            f.write(new)
    elif new != page:
        errors.append('docs/trust.md: not the attacks that the tests try: run tests/structure/check_docs.py attacks write')
    return errors


def main():
    what = sys.argv[1]
    if what == 'commands' and not os.access(sys.argv[2], os.X_OK):
        print(f'{sys.argv[2]} is not built, so its options can\'t be compared with README.md')
        return 77
    check = {'generated': generated, 'links': links, 'commands': commands, 'rooms': rooms,
             'attacks': attacks}[what]
    return source.report('documentation: ' + what, check(*sys.argv[2:]))


if __name__ == '__main__':
    sys.exit(main())
