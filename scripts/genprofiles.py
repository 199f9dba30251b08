#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""docs/profiles.md, made from profiles/ and the lists of boards/sim/profile.h.

genprofiles.py              writes docs/profiles.md (`ninja -C build docs`)
genprofiles.py --check      is it up to date, and do all profiles keep their rules?
genprofiles.py --self-test  is each kind of breach seen?

The rules: every parameter of the lists is given, by the file or by one that it leans on, and no other; values and
ranges lie within the lists' limits and in order; each has a source; what is fitted names its table, belongs to a NIC,
and no table has more than MAX_FITTED of them.
"""
import os
import re
import shutil
import sys
import tempfile

TOP = os.environ.get('P2PNIC_TOP') or os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
KINDS = ('nic', 'switch', 'host')
SHOWN = (('nic', 'agilio-lx'), ('switch', 'plx8747'), ('host', 'i9-9820x'))
MAX_FITTED = 4  # fewer than a third of the 15 figures of the pcie-bench table
WHOLE = ('count', 'lanes', 'gen', 'bool')

TOKEN = re.compile(r'\s+|//[^\n]*|(?P<text>"(?:[^"\\]|\\.)*")|(?P<number>-?[\d.]+(?:[eE][-+]?\d+)?)'
                   r'|(?P<name>[A-Za-z_]\w*)|(?P<mark>[={};])')


class Breach(Exception):
    pass


# ---- the lists ----
def read_lists(top):
    """{kind: {name: (unit, min, max, description)}} in the lists' order."""
    with open(os.path.join(top, 'boards/sim/profile.h'), encoding='utf-8') as f:
        text = f.read().replace('\\\n', ' ')
    macros = {m[1]: m[2] for m in re.finditer(r'#define (SIM_\w+)\(X\)(.*)', text)}
    lists = {}
    for kind in KINDS:
        body = re.sub(r'(SIM_\w+)\(X\)', lambda m: macros[m[1]], macros[f'SIM_{kind.upper()}_PARAMS'])
        lists[kind] = {m[1]: (m[2], float(m[3]), float(m[4]), m[5]) for m in
                       re.finditer(r'X\((\w+), "([^"]*)", ([-\w.]+), ([-\w.]+), "([^"]*)"\)', body)}
    return lists


# ---- the subset of libconfig that profiles are written in ----
def tokens(path, text):
    at = 0
    while at < len(text):
        m = TOKEN.match(text, at)
        line = text.count('\n', 0, at) + 1
        if not m:
            raise Breach(f'{path}:{line}: "{text[at:at + 10]}" is not what profiles are written in')
        if m.lastgroup:
            yield m.lastgroup, m[0], line
        at = m.end()
    yield 'end', 'the end of the file', text.count('\n') + 1


def parse(path, text):
    """[(name, number, text or {key: number or text}, line)]"""
    toks = list(tokens(path, text))
    at = 0

    def take(kind, what=None):
        nonlocal at
        got, value, line = toks[at]
        if got != kind or (what and value != what):
            raise Breach(f'{path}:{line}: {what or "a " + kind} is wanted instead of {value}')
        at += 1
        return value

    def setting(inner):
        nonlocal at
        line = toks[at][2]
        name = take('name')
        take('mark', '=')
        if toks[at][:2] == ('mark', '{') and not inner:
            at += 1
            value = {}
            while toks[at][:2] != ('mark', '}'):
                key, v, where = setting(True)
                if key in value:
                    raise Breach(f'{path}:{where}: {key} is there twice')
                value[key] = v
            at += 1
        elif toks[at][0] == 'text':
            value = ''
            while toks[at][0] == 'text':
                value += take('text')[1:-1].replace('\\"', '"')
        else:
            value = float(take('number'))
        take('mark', ';')
        return name, value, line

    found = []
    while toks[at][0] != 'end':
        found.append(setting(False))
    return found


def read_profile(top, kind, name, depth=0):
    """{parameter: {value, low, high, source, fitted, file, line}}, its description, its base or None"""
    path = f'profiles/{kind}/{name}.conf'
    if depth > 8:
        raise Breach(f'{path}: profiles lean on each other in a circle')
    if not os.path.exists(os.path.join(top, path)):
        raise Breach(f'there is no {path}')
    with open(os.path.join(top, path), encoding='utf-8') as f:
        settings = parse(path, f.read())
    base = next((v for k, v, line in settings if k == 'base'), None)
    params, description = {}, ''
    if base:
        params = dict(read_profile(top, kind, base, depth + 1)[0])
    seen = set()
    for key, v, line in settings:
        if key in seen:
            raise Breach(f'{path}:{line}: {key} is there twice')
        seen.add(key)
        if key == 'description':
            description = v
        elif key != 'base':
            params[key] = dict(v if isinstance(v, dict) else {'value': v}, file=path, line=line)
    return params, description, base


def profiles(top, kind):
    return sorted(n[:-5] for n in os.listdir(os.path.join(top, 'profiles', kind)) if n.endswith('.conf'))


# ---- the rules ----
def check_param(where, unit, least, most, p):
    extra = set(p) - {'value', 'low', 'high', 'source', 'fitted', 'file', 'line'}
    if extra:
        return [f'{where} has an unknown {sorted(extra)[0]}']
    if not {'value', 'low', 'high'} <= set(p):
        return [f'{where} lacks value, low or high']
    three = [p['low'], p['value'], p['high']]
    if not all(isinstance(v, float) for v in three) or three != sorted(three):
        return [f'{where}: low, value, high are not numbers in order']
    errors = [f'{where}: {v:g} is out of {least:g} to {most:g}' for v in three if not least <= v <= most]
    if unit in WHOLE and any(v != int(v) for v in three):
        errors.append(f'{where}: {unit} is whole')
    if not isinstance(p.get('source'), str) or len(p['source']) < 4:
        errors.append(f'{where} has no source')
    if p.get('fitted') == '':
        errors.append(f'{where} is fitted to nothing')
    return errors


def check_profile(top, kind, name, params, fitted):
    own = f'profiles/{kind}/{name}.conf'
    errors = []
    try:
        found, description, base = read_profile(top, kind, name)
    except Breach as e:
        return [str(e)]
    if not description:
        errors.append(f'{own} has no description')
    errors += [f'{own}: {n} is missing' for n in params if n not in found]
    for n, p in found.items():
        if p['file'] != own:
            continue
        where = f'{own}:{p["line"]}: {n}'
        if n not in params:
            errors.append(f'{where}: a {kind} has no such parameter')
            continue
        errors += check_param(where, *params[n][:3], p)
        if 'fitted' in p:
            fitted.setdefault(p['fitted'], []).append(where)
            if kind != 'nic':
                errors.append(f'{where}: only NICs are fitted')
    return errors


def check(top):
    lists, fitted, errors = read_lists(top), {}, []
    for kind in KINDS:
        for name in profiles(top, kind):
            errors += check_profile(top, kind, name, lists[kind], fitted)
    for table, where in fitted.items():
        if len(where) > MAX_FITTED:
            errors.append(f'{where[MAX_FITTED]}: more than {MAX_FITTED} parameters are fitted to {table}')
    return errors


# ---- the page ----
def number(v):
    return f'{v:.0f}' if v == int(v) else f'{v:g}'


def table(top, kind, name, params):
    found, description, base = read_profile(top, kind, name)
    out = [f'## {name}', '', f'{description}. `profiles/{kind}/{name}.conf`', '',
           '| parameter | what it is | unit | value | range | source |', '|---|---|---|---|---|---|']
    for n, (unit, least, most, desc) in params.items():
        p = found[n]
        spread = '' if p['low'] == p['high'] else f'{number(p["low"])} - {number(p["high"])}'
        value = number(p['value']) + (' (fitted)' if 'fitted' in p else '')
        out.append(f'| {n} | {desc} | {unit} | {value} | {spread} | {p["source"].replace("|", "/")} |')
    return out + ['']


def page(top):
    lists = read_lists(top)
    out = ['<!-- made by `ninja -C build docs` from profiles/ and boards/sim/profile.h; do not edit -->', '# Profiles', '',
           'What the simulator knows of the machines it simulates. The tables show those of the reference experiment',
           '([validation.md](validation.md)); an empty range means that the value is known. *(fitted)*: calibrated on',
           'the pcie-bench table; everything else comes from where the last column says, and *estimate* says that',
           'there was nothing better.', '']
    for kind, name in SHOWN:
        out += table(top, kind, name, lists[kind])
    out += ['## All profiles', '', '| kind | name | what it is | differs from |', '|---|---|---|---|']
    for kind in KINDS:
        for name in profiles(top, kind):
            found, description, base = read_profile(top, kind, name)
            out.append(f'| {kind} | {name} | {description} | {base or ""} |')
    return '\n'.join(out) + '\n'


# ---- the command ----
BREACHES = (
    (r'step_rx = {', 'step_tx = {', 'there twice'),
    (r'step_rx = {', 'step_xx = {', 'step_rx is missing'),
    (r'step_rx = {', 'step_xx = {', 'no such parameter'),
    (r'clock_mhz = \{[^}]*\};', 'clock_mhz = 5.0;', 'lacks value, low or high'),
    (r'high = 76.0;', 'high = 1.0;', 'not numbers in order'),
    (r'tags = \{ value = 32.0; low = 32.0; high = 32.0', 'tags = { value = 32.0; low = 32.0; high = 9999.0', '9999 is out of'),
    (r'workers = \{ value = 50.0', 'workers = { value = 50.5', 'whole'),
    (r'source = "', 'source = ""; fitted = "', 'has no source'),
    (r'high = 76.0;', 'high = 76.0; fitted = "pcie-bench";', 'more than 4 parameters are fitted'),
    (r'high = 76.0;', 'high = 76.0; sauce = "x";', 'unknown sauce'),
    (r'high = 76.0;', 'high = 76.0', 'is wanted instead of'),
    (r'high = 76.0;', 'high = <90.0>;', 'not what profiles are written in'),
    (r'description = "', 'base = "agilio-lx"; description = "', 'in a circle'),
    (r'description = "', 'base = "nowhere"; description = "', 'there is no profiles/nic/nowhere.conf'),
)


def self_test():
    with tempfile.TemporaryDirectory() as top:
        shutil.copytree(os.path.join(TOP, 'profiles'), os.path.join(top, 'profiles'))
        os.makedirs(os.path.join(top, 'boards/sim'))
        shutil.copy(os.path.join(TOP, 'boards/sim/profile.h'), os.path.join(top, 'boards/sim'))
        path = os.path.join(top, 'profiles/nic/agilio-lx.conf')
        with open(path, encoding='utf-8') as f:
            good = f.read()
        for what, by, expect in BREACHES:
            bad = re.sub(what, lambda m: by, good, count=1)
            with open(path, 'w', encoding='utf-8') as f:
                f.write(bad)
            errors = check(top)
            if bad == good or not any(expect in e for e in errors):
                print(f'{what!r} by {by!r}: expected {expect!r}, got {errors}')
                return 1
    return 0


def main(args):
    path = os.path.join(TOP, 'docs/profiles.md')
    if args == ['--self-test']:
        return self_test()
    errors = check(TOP)
    if not errors and args == ['--check']:
        with open(path, encoding='utf-8') as f:
            if f.read() != page(TOP):
                errors.append('docs/profiles.md is out of date: run `ninja -C build docs` and commit it')
    elif not errors:
        with open(path, 'w', encoding='utf-8') as f:
            f.write(page(TOP))
    for e in errors:
        print(e)
    return 1 if errors else 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
