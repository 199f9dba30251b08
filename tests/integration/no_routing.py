#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""no_routing.py [BUILD]: with -Drouting=false each command and option of routing says so in one line.  BUILD: such a one; else one is made."""
import os
import sys

from lib import TOP, refused, run

ASKED = (['router', '--nic', 'vfio-user:/none'], ['run', '--route', '--port', 'null:', '--port', 'null:'],
         ['run', '--port', 'null:', '--port', 'null:', '--static-route', '192.0.2.0/24=nic1.0,02:00:00:00:00:01'],
         ['run', '--port', 'null:', '--tap', 'nic0.0=x'], ['run', '--port', 'null:', '--route-mem', '1M'],
         ['route', 'add', '192.0.2.0/24', '--via', '10.0.0.1'], ['route', 'del', '192.0.2.0/24'], ['route', 'load', '/dev/null'],
         ['route', 'get', '192.0.2.1'], ['route', 'dump'], *(['show', x] for x in ('routes', 'nexthops', 'neighbours', 'router')))


def main(b):
    build = sys.argv[1] if len(sys.argv) > 1 else b.path('build')
    if len(sys.argv) < 2:
        b.must(['meson', 'setup', '-Drouting=false', '-Doptimization=0', build, TOP], 120)
        b.must(['ninja', '-C', build, 'p2pnic'], 900)
    import lib
    lib.P2PNIC = os.path.join(build, 'p2pnic')
    for words in ASKED:
        refused(b, words, 'routing was left out of this build')
    b.nic('n0', 'null:')
    b.nic('n1', 'null:')
    refused(b, ['up', *b.addresses(['n0', 'n1']), '--route'], 'routing was left out of this build')
    r = b.call([lib.P2PNIC, 'run', '--port', 'null:', '--port', 'null:', '--seconds', '0.1'])
    b.equal(r.status, 0, 'without routing: status')


run(main)
