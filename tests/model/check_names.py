# SPDX-License-Identifier: BSD-3-Clause
"""docs/protocol.md ties ring.pml to the firmware: every name and line in its tables exists on both sides.

check_names.py              the tables against the model, firmware/ and include/p2pnic/ring.h; every inline and every
                            field of the model is told of
check_names.py --self-test  a changed line, function, field or name is noticed
"""
import os
import re
import sys

TOP = os.environ.get('P2PNIC_TOP') or os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PAGE, MODEL = 'docs/protocol.md', 'tests/model/ring.pml'
STRUCT = {'prod_t': 'p', 'cons_t': 'c', 'peer_t': 'S'}  # the model's types and what the page calls their objects


def read(path):
    with open(os.path.join(TOP, path), encoding='utf-8') as f:
        return f.read()


def flat(text):
    return re.sub(r'\s+', ' ', text)


def section(page, title):
    part = re.search(r'^## ' + title + r'\n(.*?)(?=^## |\Z)', page, re.M | re.S)
    return part.group(1) if part else ''


def rows(text):
    """The cells of each row of a table, heads left out."""
    table = [s for s in text.split('\n') if s.startswith('|')]
    return [[c.strip().replace('\\|', '|') for c in re.split(r'(?<!\\)\|', s)[1:-1]] for s in table[2:]]


def quoted(cell):
    return re.findall(r'`([^`]+)`', cell)


def body(source, name):
    """A C function from its name to its closing brace."""
    found = re.search(r'^[a-z][^\n;=]*\b' + name + r'\([^;{]*\)\s*\{.*?^\}', source, re.M | re.S)
    return found.group(0) if found else None


def members(source, struct):
    found = re.search(r'^struct ' + struct + r' \{(.*?)^\};', source, re.M | re.S)
    return set(re.findall(r'\w+', re.sub(r'/\*.*?\*/', '', found.group(1), flags=re.S))) if found else set()


def fields(model):
    """What the model's types have, by the page's name."""
    found = set()
    for kind, name in STRUCT.items():
        text = re.search(r'typedef ' + kind + r' \{(.*?)\};', model, re.S).group(1)
        for line in re.sub(r'/\*.*?\*/', '', text, flags=re.S).split(';'):
            found |= {name + '.' + w for w in re.findall(r'\w+', line)[1:]}
    return found


def steps(page, model, get):
    errors, told = [], set()
    for step, line, where, theirs in rows(section(page, 'Steps')):
        step, line, (name, path), theirs = quoted(step)[0], quoted(line)[0], quoted(where), quoted(theirs)[0]
        told.add(step)
        if not re.search(r'^inline ' + step + r'\(', model, re.M):
            errors.append(f'{MODEL} has no step {step}')
        if flat(line) not in flat(model):
            errors.append(f'{MODEL} has no line "{line}" ({step})')
        function = body(get(path), name.rstrip('()'))
        if function is None:
            errors.append(f'{path} defines no {name}')
        elif flat(theirs) not in flat(function):
            errors.append(f'{name} in {path} has no line "{theirs}" ({step})')
    alone = re.search(r'^Of the model alone:(.*?)^$', section(page, 'Steps'), re.M | re.S)
    told |= set(quoted(alone.group(1))) if alone else set()
    return errors + [f'{PAGE} does not tell of {name}() in {MODEL}' for name in re.findall(r'^inline (\w+)\(', model, re.M)
                     if name not in told]


def state(page, model, get):
    errors, told = [], set()
    nic, ring = get('firmware/nic.h'), get('include/p2pnic/ring.h')
    for ours, theirs, _ in rows(section(page, 'State')):
        for name in quoted(ours):
            told.add(name)
            if '.' not in name and not re.search(r'^\w+ .*\b' + name + r'\b', model, re.M):
                errors.append(f'{MODEL} has no {name}')
        for name in quoted(theirs):
            if '.' in name:
                struct, member = name.split('.')
                if member not in members(nic, struct):
                    errors.append(f'firmware/nic.h has no {name}')
            elif not re.search(r'^#define ' + name + r' ', ring, re.M):
                errors.append(f'include/p2pnic/ring.h has no {name}')
    have = fields(model)
    errors += [f'{PAGE} does not tell of {name}' for name in sorted(have - told)]
    return errors + [f'{MODEL} has no {name}' for name in sorted(told - have) if '.' in name]


def mutations(page, model, get):
    """The page's words for what breaks what are configurations; what can be violated is told of."""
    runs, errors = get('tests/model/model.py'), []
    for _, violated, breaks in rows(section(page, 'What holds')):
        errors += [f'{MODEL} has no assertion {name}' for name in quoted(violated) if f'assert(!{name})' not in model]
        errors += [f'tests/model/model.py has no {name}' for name in quoted(breaks) if f"'{name}':" not in runs]
    table = section(page, 'What holds')
    return errors + [f'{PAGE} does not tell of {name}' for name in sorted(set(re.findall(r'assert\(!(\w+)\)', model)))
                     if f'`{name}`' not in table]


def check(get=read):
    page, model = get(PAGE), get(MODEL)
    if not rows(section(page, 'Steps')) or not rows(section(page, 'State')) or not rows(section(page, 'What holds')):
        return [f'{PAGE} has lost its tables']
    return steps(page, model, get) + state(page, model, get) + mutations(page, model, get)


def self_test():
    changes = [
        ('firmware/cons.c', 'return n->scrub && cons_is_later(n, c, at) && !cons_is_there(c, at);', 'return true;'),
        ('firmware/prod.c', 'fw_prod_reap(struct', 'fw_prod_gather(struct'),
        ('firmware/nic.h', 'uint32_t told;', 'uint32_t said;'),
        ('include/p2pnic/ring.h', '#define P2P_CL_CONS 2', '#define P2P_CL_DONE 2'),
        (MODEL, 'inline cons_hole()', 'inline cons_skip()'),
        (MODEL, 'byte next, fetch, done, told', 'byte next, fetch, done, more, told'),
        (MODEL, 'S.seen = S.line_inc;', 'S.seen = 1;'),
        (MODEL, 'assert(!leaked)', 'assert(true)'),
        (PAGE, '`no-scrub`: a', '`no-such`: a'),
        (PAGE, '## Steps', '## Nothing'),
    ]
    bad = 0
    for path, old, new in changes:
        if old not in read(path):
            print(f'{path} has no "{old}" to change')
            bad += 1
            continue
        if not check(lambda p, path=path, old=old, new=new: read(p).replace(old, new) if p == path else read(p)):
            print(f'not noticed: "{new}" in {path}')
            bad += 1
    return bad


def main():
    if sys.argv[1:] == ['--self-test']:
        return 1 if self_test() else 0
    errors = check()
    for e in errors:
        print(e)
    return 1 if errors else 0


if __name__ == '__main__':
    sys.exit(main())
