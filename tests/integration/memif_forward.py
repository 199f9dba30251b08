#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""memif on both sides of a forwarder, each role, each mode: what goes in at either end comes out at the other, every byte checked.

The far ends (memif_loop) send both ways at once, never more under way than the rings between them hold.
"""
from lib import MEMIF_LOOP, MODES, drops, run

SIZES = '60,64,65,128,256,512,1024,1518,2048'
FRAMES = 4000


def roles(b, mode, left, right, args=()):
    """left and right: the NICs' roles."""
    other = {'client': 'server', 'server': 'client'}
    name = f'{mode} {left}/{right} {" ".join(args)}'.strip()
    sock = [b.path(f'{len(b.procs)}-{k}') for k in (0, 1)]
    nic = b.run('--mode', mode, *args, *(a for s, r in zip(sock, (left, right)) for a in ('--port', f'memif:{s},role={r}')))
    r = b.call([MEMIF_LOOP, 'check', FRAMES, SIZES, '128', *(f'memif:{s},role={other[x]}' for s, x in zip(sock, (left, right)))], 60)
    nics = b.stats_run()
    copies = sum(p['copies'] for n in nics.values() for p in n['ports'])
    frames = sum(p['rx_frames'] for n in nics.values() for p in n['ports'])
    b.check(r.status == 0, f'{name}: {frames} frames, each byte right and in order; {copies / max(frames, 1):.2f} copies beside the'
            f' transfer; drops {[drops(n) for n in nics.values()]}' + ('' if r.status == 0 else f': {(r.err + r.out).strip()[-600:]}'))
    if 'cut' in args:
        events = {k: sum(n['events'][k] for n in nics.values()) for k in ('cut_frames', 'p2p_bytes', 'cut_diverted')}
        b.equal(events, {'cut_frames': frames, 'p2p_bytes': 0, 'cut_diverted': 0}, f'{name}: all received in place')
        b.equal([p['placement'] for n in nics.values() for p in n['ports']], ['cut', 'cut'], f'{name}: placement')
    b.equal(copies, frames * ((left == 'server') + (right == 'server')), f'{name}: copies for buffers of the far ends')
    b.equal(nic.stop(), 0, f'{name}: exit status')


def main(b):
    for mode in MODES:
        for left, right in (('client', 'client'), ('server', 'client'), ('server', 'server')):
            roles(b, mode, left, right)
    roles(b, 'wr', 'client', 'client', ('--batch', '1', '--slots', '128', '--stride', '4', '--scrub', 'on'))
    for left, right in (('client', 'client'), ('server', 'client'), ('server', 'server')):
        roles(b, 'wr', left, right, ('--placement', 'cut'))
    roles(b, 'wr', 'client', 'client', ('--placement', 'cut', '--batch', '1', '--slots', '64', '--scrub', 'on'))
    roles(b, 'wr', 'client', 'client', ('--placement', 'cut', '--slots', '2048', '--cores', '0', '--mem', '128M'))
    roles(b, 'rd', 'client', 'client', ('--batch', '64', '--buf-size', '4096', '--cores', '0'))


run(main)
