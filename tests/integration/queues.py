#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""NICs with several queues, each a context on a worker of its own: every flow in order, nothing lost, the books balance.

  one process   generators and sinks with as many queues, both ways at once, one pair and two
  bridge        what a station's frames taught one queue the others know: its answers in other queues are not flooded
  memif         between two processes, and to DPDK's testpmd and back, in each role; far ends with too few queues are refused
  cut off       a memif peer with two queues is killed under load and comes back
  killed        one NIC process of three with two queues is killed under load and comes back; the others lose nothing
"""
import json
import os
import time

from lib import drops, need_tool, run, wait_for
from testpmd import Testpmd, other

COUNT, FLOWS = 100003, 61


def cores():
    """Two workers, pinned where there are two cores to pin them to."""
    mine = sorted(os.sched_getaffinity(0))
    return ('--cores', f'{mine[0]},{mine[-1]}') if len(mine) > 1 else ()


def one_process(b, mode, queues, pairs, *args):
    names = [f'n{k}' for k in range(2 * pairs)]
    argv = ['--mode', mode, '--queues', queues, '--seconds', 60, *cores(), *args]
    for n in names:
        argv += ['--nic', n, '--port', f'gen:{n},queues={queues},flows={FLOWS},size=mix,count={COUNT}']
    for k in range(pairs):
        argv += ['--pair', f'n{2 * k}.0=n{2 * k + 1}.0']
    p = b.run(*map(str, argv))
    what = f'{mode}, {queues} queues, {2 * pairs} NICs {" ".join(args)}'.strip()
    b.equal(p.wait(80), 0, f'{what}: exit status')
    o = json.loads(p.out)
    for g in o['generators']:
        harm = {k: g[k] for k in ('lost', 'duplicated', 'reordered', 'corrupted', 'foreign')}
        b.check(g['sent'] == g['received'] == COUNT and not any(harm.values()),
                f'{what}: {g["nic"]}: {g["sent"]} sent, {g["received"]} received of {COUNT}, {harm}')
    nics = {n['name']: n for n in o['nics']}
    b.equal([drops(n) for n in nics.values()], [{}] * len(names), f'{what}: drops')
    b.equal([(n['ports'][0]['rx_frames'], n['ports'][0]['tx_frames']) for n in nics.values()], [(COUNT, COUNT)] * len(names),
            f'{what}: frames in and out of each NIC')
    b.equal(o['drained'], True, f'{what}: drained')


def bridge(b):
    """b's frames come in at both queues, a's at one.  Only before a is learned do b's reach c."""
    mac = {n: f'02:00:00:00:00:0{i}' for i, n in enumerate('abc', 1)}
    argv = ['--queues', '2', '--bridge', *cores(), '--seconds', '60']
    for n, dst, flows in (('a', 'b', 1), ('b', 'a', FLOWS)):
        argv += ['--nic', n, '--port', f'gen:{n},queues=2,flows={flows},src={mac[n]},dst={mac[dst]},rate=20000,count=40000']
    argv += ['--nic', 'c', '--port', 'gen:c,queues=2,tx=off']
    p = b.run(*argv)
    b.equal(p.wait(80), 0, 'bridge: exit status')
    o = json.loads(p.out)
    n = {x['name']: x for x in o['nics']}
    for g in o['generators']:
        b.check(not any(g[k] for k in ('duplicated', 'corrupted', 'foreign')) and g['reordered'] < 1000,
                f'bridge: {g["nic"]}: {g["received"]} received, reordered while learning {g["reordered"]}')
    b.equal([n[x]['ports'][0]['tx_frames'] + sum(drops(n[y]).values()) for x, y in (('a', 'b'), ('b', 'a'))], [40000, 40000],
            'bridge: arrived or dropped by name')
    flooded = n['c']['ports'][0]['tx_frames']
    b.check(flooded < 4000, f'bridge: flooded {flooded} of 80000, learned {[x["events"]["learned"] for x in o["nics"]]}')


def harmless(g):
    return not any(g[k] for k in ('duplicated', 'reordered', 'corrupted', 'foreign'))


def memif_args(sock, role, queues, *args, rings=None, source=0):
    """A memif NIC paired with a generator and sink; the client asks for so many rings each way, as many as it has queues."""
    asks = f',queues={rings or queues}' if role == 'client' else ''
    return ('--queues', str(queues), *cores(), '--nic', 'm', '--port', f'memif:{sock},role={role}{asks}', '--nic', 'g', '--port',
            f'gen:g,id={source},queues={queues},flows={FLOWS},size=mix,rate=40000,count=60000', '--pair', 'm.0=g.0', *args)


def memif_between(b, mode, rings):
    """What is accepted before the link is up is dropped by name; of all else nothing is lost, each way."""
    sock = b.path(f'between-{mode}-{rings}')
    p = [b.run('--mode', mode, *memif_args(sock, role, 2, '--seconds', '4', rings=rings), name=role) for role in ('server', 'client')]
    for x in p:
        b.equal(x.wait(40), 0, f'memif {mode}, {rings} rings: {x.name} ends with status')
    o = [json.loads(x.out) for x in p]
    g = [x['generators'][0] for x in o]
    m = [{n['name']: n for n in x['nics']} for x in o]
    for k, far in ((0, 1), (1, 0)):
        early, tx, rx = m[k]['m']['drops']['tx_link_down'], m[k]['m']['ports'][0]['tx_frames'], m[far]['m']['ports'][0]['rx_frames']
        b.check(g[k]['sent'] == early + tx and tx == rx == g[far]['received'] > 0 and harmless(g[far]) and
                sum(drops(m[k]['m']).values()) + sum(drops(m[k]['g']).values()) == early,
                f'memif {mode}, {rings} rings: {p[k].name} made {g[k]["sent"]}, {early} before the link was up, {tx} sent, {rx} received,'
                f' {g[far]["received"]} in the sink, reordered {g[far]["reordered"]}')


def memif_testpmd(b, role):
    sock = b.path(f'pmd-{role}')
    queues = ('--rxq=2', '--txq=2')
    what = f'testpmd, p2pnic {role}'
    if role == 'client':
        pmd = Testpmd(b, 'pmd', sock, 'server', False, '--forward-mode=io', *queues)
        pmd.tell('start')
    nic = b.run(*memif_args(sock, role, 2, '--seconds', '10'))
    if role == 'server':
        wait_for('socket', 10, lambda: os.path.exists(sock))
        pmd = Testpmd(b, 'pmd', sock, other(role), False, '--forward-mode=io', *queues)
        pmd.tell('start')
    b.equal(nic.wait(40), 0, f'{what}: p2pnic ends with status')
    o = json.loads(nic.out)
    g, n = o['generators'][0], {n['name']: n for n in o['nics']}
    early, port = n['m']['drops']['tx_link_down'], n['m']['ports'][0]
    b.check(g['sent'] - early == port['tx_frames'] and port['rx_frames'] == g['received'] > 0 and harmless(g) and
            sum(drops(n['m']).values()) + sum(drops(n['g']).values()) == early,
            f'{what}: {g["sent"]} made, {early} before the link was up, {port["tx_frames"]} to testpmd, {g["received"]} back,'
            f' reordered {g["reordered"]}')
    pmd.quit()


def refused(b):
    """A far end with one queue does not serve two: the link stays down."""
    for role, far in (('client', 'server'), ('server', 'client')):
        sock = b.path(f'few-{role}')
        p = b.run(*memif_args(sock, role, 2), name=f'two-{role}')
        q = b.run('--nic', 'm', '--port', f'memif:{sock},role={far},queues=1', '--nic', 'n', '--port', 'null:', name=f'one-{role}')
        time.sleep(1)
        link = {n: b.stats_run(f'{n}-{role}')['m']['ports'][0] for n in ('two', 'one')}
        b.check(not any(port['link'] for port in link.values()) and (role == 'server' or link['two']['peer_errors']),
                f'one queue for two, p2pnic {role}: link {[port["link"] for port in link.values()]}')
        for x in (p, q):
            b.equal(x.stop(), 0, f'one queue for two, p2pnic {role}: ends with status')


def cut_off(b):
    sock = b.path('cut')
    server = b.run('--queues', '2', *cores(), '--nic', 'm', '--port', f'memif:{sock},role=server', '--nic', 'g', '--port',
                   f'gen:g,queues=2,flows={FLOWS},size=mix,rate=40000', '--pair', 'm.0=g.0', name='server')
    for life in range(3):
        # Each a source of its own: a sink tells two runs of one source apart by a byte drawn at random.
        client = b.run(*memif_args(sock, 'client', 2, source=1 + life), name=f'client{life}')
        wait_for('it runs', 10, lambda life=life: os.path.exists(b.path(f'client{life}.ctl')))
        wait_for('frames both ways', 20, lambda life=life: b.stats_run(f'client{life}')['m']['ports'][0]['rx_frames'] > 5000 and
                 b.stats_run(f'client{life}')['m']['ports'][0]['tx_frames'] > 5000)
        client.kill()
        wait_for('link is down', 10, lambda: not b.stats_run('server')['m']['ports'][0]['link'])
    b.equal(server.stop(), 0, 'cut off: the server ends with status')
    o = json.loads(server.out)
    g, m = o['generators'][0], {n['name']: n for n in o['nics']}['m']
    port = m['ports'][0]
    b.equal(g['sent'], port['tx_frames'] + port['tx_lost'] + sum(drops(m).values()), 'cut off: made = sent + lost with the link + dropped')
    b.equal(port['rx_frames'], g['received'], 'cut off: received = in the sink')
    wrong = {k: g[k] for k in ('duplicated', 'reordered', 'corrupted', 'foreign')}
    b.check(harmless(g) and port['link_changes'] == 6, f'cut off: {wrong}, link changes {port["link_changes"]}')


def start(b, name):
    return b.nic(name, *(f'gen:{name}{k},queues=2,flows={FLOWS},rate=20000' for k in range(2)), args=('--queues', '2'))


def killed(b):
    nics = {n: start(b, n) for n in 'abc'}
    pairs = ('--pair', 'a.0=b.0', '--pair', 'a.1=c.0', '--pair', 'b.1=c.1')
    b.up('abc', '--queues', '2', '--silence', '1000', *pairs)
    regs = {r['name']: r['value'] for r in b.show('regs', 'a')['nics'][0]['regs']}
    b.equal((regs['QUEUES'], regs['QUEUES_MAX']), (2, 2), 'killed: queues of a')
    wait_for('frames at c', 20, lambda: b.stats('c')['c']['ports'][0]['tx_frames'] > 1000)
    nics['c'].kill()
    wait_for('c is seen to be down', 20, lambda: b.stats('a')['a']['drops']['no_peer'] > 0)
    nics['c'] = start(b, 'c')
    b.up('abc', '--silence', '1000')
    wait_for('frames at c again', 20, lambda: all(p['tx_frames'] > 1000 for p in b.stats('c')['c']['ports']))
    before = {n: b.stats(n)[n] for n in 'ab'}
    wait_for('a and b go on', 20, lambda: all(b.stats(n)[n]['ports'][0]['tx_frames'] > before[n]['ports'][0]['tx_frames'] + 1000
                                              for n in 'ab'))
    for n in (b.stats(n)[n] for n in 'ab'):
        named = drops(n)
        b.check(named.get('no_peer') and set(named) <= {'no_peer', 'peer_lost', 'ring_full'}, f'killed: {n["name"]}: drops {named}')
    b.down('abc')
    for n, p in nics.items():
        b.equal(p.stop(), 0, f'killed: {n} ends with status')


def main(b):
    for mode in ('wr', 'rd'):
        one_process(b, mode, 2, 1)
        one_process(b, mode, 3, 2)
    one_process(b, 'wr', 2, 1, '--slots', '64', '--batch', '64', '--backpressure', 'on', '--scrub', 'on', '--poll')
    bridge(b)
    for mode, rings in (('wr', 2), ('rd', 2), ('wr', 5)):
        memif_between(b, mode, rings)
    refused(b)
    cut_off(b)
    killed(b)
    need_tool('dpdk-testpmd')
    for role in ('client', 'server'):
        memif_testpmd(b, role)


if __name__ == '__main__':
    run(main)
