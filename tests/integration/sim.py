#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""sim.py [mpi]: p2pnic sim as a user runs it: JSON's fields, the same bytes again, sweeps that go on, plots, traces.

mpi: a sweep's output under mpirun is that of one process, and ranks go on where others stopped.
"""
import csv
import json
import math
import os
import shutil
import sys
import xml.dom.minidom

from lib import P2PNIC, need_tool, pcap_read, run

SHORT = ('--time', '40', '--warmup', '60')
GRID = '''
topology = "reference"; duration_us = 30.0; warmup_us = 30.0;
sweep = ( { key = "method"; values = ( "wr", "rd", "testpmd" ); },
          { key = "frame_bytes"; values = ( 64, 512 ); },
          { key = "nic.poll"; values = ( 20, 100.5 ); } );
'''
BOX = '''
host = { name = "host"; };
switches = ( { name = "left"; parent = "host"; }, { name = "right"; parent = "host"; } );
nics = ( { name = "a"; parent = "left"; ports = 2; }, { name = "b"; parent = "left"; },
         { name = "c"; parent = "right"; } );
pairs = ( { from = "a.0"; to = "b.0"; }, { from = "a.1"; to = "c.0"; both = true; } );
traffic = ( { port = "a.0"; gbps = 10.0; frame_bytes = 256; arrival = "poisson"; },
            { port = "c.0"; gbps = 2.0; frame_bytes = 1518; } );
duration_us = 50.0; warmup_us = 50.0;
'''


def sim(b, *args, seconds=120):
    return b.must([P2PNIC, 'sim', *args], seconds)


def rows(b, what, *args, seconds=120):
    got = sim(b, what, '--json', *args, seconds=seconds).json
    b.check(got['experiment'] == what and got['rows'], f'{what}: {len(got["rows"])} rows')
    return got


def fields(b, what, got, names):
    wrong = [r for r in got['rows'] if list(r) != names]
    b.check(not wrong, f'{what}: every row has {" ".join(names)}' + (f', not {wrong[0]}' if wrong else ''))


def clean(b, what, got):
    wrong = [r for r in got['bottlenecks'] if r['corrupted'] or r['reordered']]
    b.check(not wrong, f'{what}: every frame whole and in order' + (f', not {wrong}' if wrong else ''))


def figures(b):
    got = rows(b, 'fig5', '--frames', '64,1518', *SHORT)
    fields(b, 'fig5', got, ['method', 'frame_bytes', 'mpps', 'gbps', 'wire_rate'])
    clean(b, 'fig5', got)
    b.equal([(r['method'], r['frame_bytes']) for r in got['rows']],
            [(m, f) for m in ('wr', 'rd', 'bn', 'testpmd') for f in (64, 1518)], 'fig5: methods and sizes')
    b.check(all(r['mpps'] > 1 and math.isclose(r['gbps'], r['mpps'] * (r['frame_bytes'] + 20) * 8e-3, rel_tol=0.01)
                for r in got['rows']), 'fig5: gbps are mpps on the wire')
    b.check(all(r['gbps'] < 40.8 and r['wire_rate'] == (r['gbps'] > 39.4) for r in got['rows']),
            'fig5: wire_rate says who keeps up with 40 Gb/s')
    got = rows(b, 'fig6', '--frames', '64', *SHORT)
    fields(b, 'fig6', got, ['method', 'frame_bytes', 'mpps', 'gbps', 'wire_rate'])
    clean(b, 'fig6', got)
    b.equal([r['method'] for r in got['rows']], ['wr', 'rd', 'l3fwd'], 'fig6: methods')
    b.check(all(r['mpps'] > 1 for r in got['rows']), 'fig6: frames routed once arrive')
    got = rows(b, 'fig7', *SHORT)
    fields(b, 'fig7', got, ['case', 'method', 'p50_ns', 'p90_ns', 'p99_ns'])
    clean(b, 'fig7', got)
    b.equal([c for c in dict.fromkeys(r['case'] for r in got['rows'])],
            ['64B-1G', '64B-1G-routed', '1518B-1G', '1518B-40G'], 'fig7: cases')
    b.equal([r['method'] for r in got['rows'] if r['case'] == '64B-1G-routed'], ['wr', 'rd', 'l3fwd'], 'fig7: who routes')
    b.check(all(0 < r['p50_ns'] <= r['p90_ns'] <= r['p99_ns'] for r in got['rows']), 'fig7: percentiles are in order')
    b.check(all(c['quantiles_ns'] == sorted(c['quantiles_ns']) for c in got['cdf']), 'fig7: distributions rise')
    got = rows(b, 'table1', *SHORT)
    fields(b, 'table1', got, ['method', 'cpu_percent', 'cpu_pcie_MBps'])
    at = {r['method']: (r['cpu_percent'], r['cpu_pcie_MBps']) for r in got['rows']}
    b.check(all(at[m][0] == 0 and at[m][1] < 5 for m in ('wr', 'rd')) and
            all(at[m][0] > 99 and at[m][1] > 9000 for m in ('bn', 'testpmd', 'l3fwd')), f'table1: {at}')


def batch_and_scale(b):
    got = rows(b, 'batch', '--method', 'wr', '--frames', '128', *SHORT)
    at = {r['batch']: r['mpps'] for r in got['rows']}
    b.check(list(at) == [1, 2, 4, 8, 16, 32, 64] and at[1] < at[8], f'batch: larger batches carry more: {at}')
    got = rows(b, 'scale', '--method', 'wr', '--set', 'ports=4', '--time', '20', seconds=200)
    b.check({r['topology'] for r in got['rows']} == {'star', 'two-switches'} and
            {r['port_gbps'] for r in got['rows']} == {40, 100, 400}, 'scale: trees and rates')
    b.check(len(got['arithmetic']) == 5 and all('holds' in r for r in got['arithmetic']), 'scale: the published arithmetic')


def calibration(b):
    """docs/validation.md: 14 of the table's 15 figures within 5%, reads of 1024 bytes within 10."""
    got = rows(b, 'dma')['rows']
    off = {(r['bytes'], what): abs(r[what + '_percent']) for r in got for what in ('write', 'read', 'latency')}
    b.equal(len(off), 15, 'dma: 15 figures')
    b.equal([k for k, v in off.items() if v > 5], [(1024, 'read')], 'dma: the only one that is off by more than 5%')
    b.check(off[1024, 'read'] < 10, f'dma: it is off by {off[1024, "read"]}%')
    got = {r['window_kib']: r for r in rows(b, 'iommu')['rows']}
    b.equal(got[256]['write_gbps'], got[8]['write_gbps'], 'iommu: within the reach of the IOTLB nothing changes')
    b.check(got[4096]['read_gbps'] < got[256]['read_gbps'] / 2, 'iommu: beyond it reads wait for page walks')


def same_bytes(b):
    one = sim(b, 'fig5', '--frames', '64', '--json', '--jobs', '1', *SHORT).out
    b.check(one == sim(b, 'fig5', '--frames', '64', '--json', '--jobs', '2', *SHORT).out, 'one process and two: the same bytes')
    poisson = ('fig7', '--method', 'wr', '--json', *SHORT)
    first = sim(b, *poisson, '--seed', '5').out
    b.check(first == sim(b, *poisson, '--seed', '5').out, 'the same seed: the same bytes')
    b.check(first != sim(b, *poisson, '--seed', '6').out, 'another seed: others')
    slow = json.loads(sim(b, 'fig5', '--frames', '64', '--method', 'wr', '--json', '--set', 'nic.dma_write_gap=100', *SHORT).out)
    b.check(slow['rows'][0]['mpps'] < 10.5, f'--set reaches the NICs: {slow["rows"][0]["mpps"]} Mpps')
    b.equal(slow['bottlenecks'][0]['kind'], 'DMA engine', 'and the bottleneck is')


def one_run(b):
    box, svg, pcap = b.path('box.conf'), b.path('box.svg'), b.path('box.pcap')
    with open(box, 'w', encoding='utf-8') as f:
        f.write(BOX)
    got = sim(b, 'run', box, '--json', '--csv', b.path('box.csv'), '--trace', pcap, '--trace-limit', '500').json
    ports = {p['port']: p for p in got['ports']}
    b.check(list(ports) == ['a.0', 'a.1', 'b.0', 'c.0'] and 9 < ports['b.0']['gbps'] < 11 and 1.8 < ports['a.1']['gbps'] < 2.2,
            f'run: what comes in leaves where it should: {ports}')
    b.check(got['bottleneck']['name'] == 'none' and got['corrupted'] == 0 and got['reordered'] == 0, 'run: nothing saturated')
    b.check({r['resource'] for r in got['resources']} >= {'left up', 'right down', 'a up', 'a workers', 'a DMA writes', 'b memory',
                                                          'host memory', 'b.0 out'}, 'run: resources')
    use = [r['use_percent'] for r in got['resources'] if r['resource'] == 'right up'][0]
    b.check(use > 1, f'run: from right to left goes through the root complex ({use}%)')
    b.equal(len(pcap_read(pcap)), 500, 'trace: TLPs')
    with open(b.path('box.csv'), encoding='utf-8') as f:
        b.equal([r['port'] for r in csv.DictReader(f)], list(ports), 'CSV: ports')
    text = sim(b, 'run', box).out
    b.check('bottleneck: none' in text and 'a workers' in text, 'run: the table for people')
    if shutil.which('gnuplot'):
        sim(b, 'run', box, '--svg', svg)
        b.equal(xml.dom.minidom.parse(svg).documentElement.tagName, 'svg', 'SVG')
        sim(b, 'fig7', '--svg', svg, *SHORT)
        b.check(all(os.path.getsize(svg) > 5000 and w in open(svg, encoding='utf-8').read() for w in ('64B-1G', '1518B-40G')),
                'SVG: all cases')
    os.mkdir(b.path('empty'))
    r = b.call([P2PNIC, 'sim', 'run', box, '--svg', b.path('no.svg')], 60, dict(b.env, PATH=b.path('empty')))
    b.check(r.status and 'gnuplot' in r.err and r.err.count('\n') == 1 and not os.path.exists(b.path('no.svg')),
            f'SVG without gnuplot: {r.err.strip()}')


def sweeps(b):
    grid, out = b.path('grid.conf'), b.path('grid.conf.sweep')
    with open(grid, 'w', encoding='utf-8') as f:
        f.write(GRID)
    whole = sim(b, 'sweep', grid, '--json', '--jobs', '1').out
    got = json.loads(whole)['rows']
    b.equal([(r['method'], r['frame_bytes'], r['nic.poll']) for r in got],
            [(m, f, p) for m in ('wr', 'rd', 'testpmd') for f in (64, 512) for p in (20, 100.5)], 'sweep: the grid')
    with open(out + '/journal.0', encoding='utf-8') as f:
        kept = f.readlines()
    b.equal(len(kept), 12, 'sweep: points in the journal')
    b.check(sim(b, 'sweep', grid, '--json', '--out', b.path('two'), '--jobs', '2').out == whole, 'sweep: two processes, the same')
    # Five points and half of the sixth: the rest is computed, those are not.
    with open(out + '/journal.0', 'w', encoding='utf-8') as f:
        f.write(''.join(kept[:5]) + kept[5][:300])
    b.check(sim(b, 'sweep', grid, '--json').out == whole, 'sweep: gone on with after a crash, the same')
    with open(out + '/journal.0', encoding='utf-8') as f:
        lines = f.readlines()
    b.check(lines[:5] == kept[:5] and len(lines) == 6 + 7, f'sweep: only what was missing was run ({len(lines)} lines)')
    # A changed file is other points.
    with open(grid, 'w', encoding='utf-8') as f:
        f.write(GRID.replace('30.0; warmup', '31.0; warmup'))
    b.check(sim(b, 'sweep', grid, '--json').out != whole, 'sweep: a changed file is run anew')


def mpi(b):
    need_tool('mpirun')
    grid = b.path('grid.conf')
    env = dict(b.env, OMPI_ALLOW_RUN_AS_ROOT='1', OMPI_ALLOW_RUN_AS_ROOT_CONFIRM='1')
    with open(grid, 'w', encoding='utf-8') as f:
        f.write(GRID)
    whole = sim(b, 'sweep', grid, '--json', '--out', b.path('one')).out
    mpirun = ['mpirun', '--oversubscribe', '-n', '3', P2PNIC, 'sim']
    r = b.call([*mpirun, 'sweep', grid, '--json', '--out', b.path('three')], 120, env)
    b.check(r.status == 0 and r.out == whole, f'three ranks give what one process gives ({r.status}: {r.err.strip()[:200]})')
    b.equal(sorted(os.listdir(b.path('three'))), ['journal.0', 'journal.1', 'journal.2'], 'each rank keeps its own journal')
    os.unlink(b.path('three/journal.1'))
    r = b.call([P2PNIC, 'sim', 'sweep', grid, '--json', '--out', b.path('three')], 120)
    b.check(r.status == 0 and r.out == whole, 'one process goes on with what two of three ranks left')
    with open(grid, 'a', encoding='utf-8') as f:
        f.write('bogus = 1;\n')
    r = b.call([*mpirun, 'sweep', grid, '--out', b.path('three')], 60, env)
    b.check(r.status and r.err.count('p2pnic sim:') == 1 and 'bogus' in r.err, 'a bad file is told once, by rank 0')
    r = b.call([*mpirun, 'table1', '--json', '--method', 'wr', *SHORT], 60, env)
    b.check(r.status == 0 and r.json['rows'], 'what is not a sweep runs once')


def main(b):
    if sys.argv[1:] == ['mpi']:
        mpi(b)
        return
    figures(b)
    calibration(b)
    batch_and_scale(b)
    same_bytes(b)
    one_run(b)
    sweeps(b)


if __name__ == '__main__':
    run(main)
