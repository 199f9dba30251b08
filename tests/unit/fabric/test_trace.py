#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""test_trace.py TRACE_MAKE: trace_make's file, read by tshark and by a decoder of TLPs that is written from the
specification, says what trace_make says that it wrote.

tshark reads the pcap, Ethernet, IPv4 and UDP; Debian's has no dissector of TLPs.  With scripts/nettlp.lua it shows
the TLPs, and these have to be the same.
"""
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile

SEEDS = (1, 2, 3)
LUA = os.path.join(os.path.dirname(os.path.abspath(__file__)), '../../../scripts/nettlp.lua')
FIELDS = ('frame.time_epoch', 'frame.protocols', 'eth.src', 'eth.dst', 'ip.src', 'ip.dst', 'ip.ttl', 'ip.checksum.status',
          'udp.checksum.status', 'udp.srcport', 'udp.dstport', 'udp.payload')
GOOD = '1'


def tshark(path, fields, *options):
    cmd = ['tshark', '-r', path, '-n', '-T', 'fields', '-o', 'ip.check_checksum:TRUE', '-o', 'udp.check_checksum:TRUE', *options]
    for f in fields:
        cmd += ['-e', f]
    out = subprocess.run(cmd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=True).stdout
    return [dict(zip(fields, line.split('\t'))) for line in out.splitlines()]


def enabled(be):
    """(first, last + 1) of the bits of a byte-enable field; they must be contiguous."""
    bits = [k for k in range(4) if be >> k & 1]
    assert bits and bits == list(range(bits[0], bits[-1] + 1)), f'byte enables {be:04b}'
    return bits[0], bits[-1] + 1


def decode_request(tlp, dws, d):
    long, data = tlp[0] >> 5 & 1, tlp[0] >> 6 & 1
    d['type'] = 'MWr' if data else 'MRd'
    d['requester'], low_tag, be = struct.unpack('>HBB', tlp[4:8])
    d['tag'] += low_tag
    addr = struct.unpack('>Q', tlp[8:16])[0] if long else struct.unpack('>I', tlp[8:12])[0]
    assert addr % 4 == 0, 'address bits 1:0'
    assert not long or addr >> 32, 'four double words below 4 GiB'
    first, last = be & 15, be >> 4
    if dws == 1:
        assert last == 0, 'last byte enables of one double word'
        start, end = enabled(first)
    else:
        start, one = enabled(first)
        zero, end = enabled(last)
        assert one == 4 and zero == 0, 'a gap within the request'
        end += 4 * (dws - 1)
    d['addr'], d['len'] = addr + start, end - start
    payload = tlp[16 if long else 12:]
    assert len(payload) == (4 * dws if data else 0), f'{len(payload)} bytes of data, {dws} double words'
    assert not payload or not any(payload[:start] + payload[end:]), 'bytes that are not enabled'
    d['data'] = payload[start:end].hex() if data else ''


def decode_completion(tlp, dws, d):
    data = tlp[0] >> 6 & 1
    d['type'] = 'CplD' if data else 'Cpl'
    d['completer'], status, d['requester'], low_tag, low = struct.unpack('>HHHBB', tlp[4:12])
    d['tag'] += low_tag
    assert status >> 12 == (0 if data else 0b0010), f'completion status {status >> 13}, BCM {status >> 12 & 1}'
    assert low < 128, 'reserved bit before the lower address'
    d['remaining'], d['lower'] = (status & 0xfff) or 4096, low
    payload = tlp[12:]
    if not data:
        assert not payload and dws == 0x400, 'data in a completion without data'
        d['data'] = ''
        return
    assert len(payload) == 4 * dws, f'{len(payload)} bytes of data, {dws} double words'
    start = low & 3
    end = min(start + d['remaining'], 4 * dws)
    assert not any(payload[:start] + payload[end:]), 'bytes beyond the byte count'
    d['len'], d['data'] = end - start, payload[start:end].hex()


def decode(payload):
    """A NetTLP packet as a dictionary, named as trace_make names things."""
    seq, ns = struct.unpack('>HI', payload[:6])
    tlp = payload[6:]
    d = {'seq': seq, 'ns': ns, 'tag': (tlp[1] >> 7 & 1) << 9 | (tlp[1] >> 3 & 1) << 8}
    dws = struct.unpack('>H', tlp[2:4])[0]
    assert tlp[1] & 0x77 == 0 and dws < 0x400, 'TC, attributes, TH, TD, EP or AT set'
    dws = dws or 0x400
    assert tlp[0] & 0x9f in (0, 0x0a), f'format and type {tlp[0]:#x}'
    (decode_completion if tlp[0] & 0x1f else decode_request)(tlp, dws, d)
    return d


def check_tlp(k, want, row):
    got = decode(bytes.fromhex(row['udp.payload']))
    for key, value in {
        'seq': k & 0xffff, 'ns': want['at_ps'] // 1000 & 0xffffffff, **{key: want[key] for key in ('type', 'requester', 'tag', 'data')}
    }.items():
        assert got[key] == value, f'{key} {got[key]}, not {value}'
    if want['type'] in ('MWr', 'MRd'):
        assert (got['addr'], got['len']) == (want['addr'], want['len']), f"{got['len']} bytes at {got['addr']:#x}"
    else:
        assert got['completer'] == want['completer'] and got['remaining'] == want['remaining'], 'completer or byte count'
        assert got['lower'] == want['addr'] % 128, f"lower address {got['lower']:#x}"
        assert got.get('len', want['len']) == want['len'], f"{got['len']} bytes"


def check_envelope(want, row):
    node = want['link'] >> 3
    lower = f'10.{node >> 8}.{node & 255}.1', f'02:00:0a:{node >> 8:02x}:{node & 255:02x}:01'
    upper = f'10.{node >> 8}.{node & 255}.2', f'02:00:0a:{node >> 8:02x}:{node & 255:02x}:02'
    src, dst = (lower, upper) if want['up'] else (upper, lower)
    port = str(12288 + want['tag'] % 16)
    ns = want['at_ps'] // 1000
    for field, value in {
        'frame.time_epoch': f'{ns // 10**9}.{ns % 10**9:09}', 'ip.src': src[0], 'ip.dst': dst[0], 'eth.src': src[1], 'eth.dst': dst[1], 'ip.ttl': '64', 'ip.checksum.status': GOOD,
        'udp.checksum.status': GOOD, 'udp.srcport': port, 'udp.dstport': port,
    }.items():
        assert row[field] == value, f'{field} {row[field]}, not {value}'
    # what follows UDP is anybody's guess: tshark tries its heuristics on random data
    assert row['frame.protocols'].startswith('eth:ethertype:ip:udp:'), row['frame.protocols']


def check_dissector(path, wanted):
    """What Wireshark shows with the dissector of ours."""
    names = ('kind', 'seq', 'ns', 'requester', 'completer', 'tag', 'addr', 'bytes', 'remaining', 'lower', 'status', 'dws', 'data')
    rows = tshark(path, [f'tlp.{n}' for n in names] + ['_ws.expert.message'], '-X', f'lua_script:{LUA}')
    for k, (want, row) in enumerate(zip(wanted, rows)):
        request = want['type'] in ('MWr', 'MRd')
        expect = {'seq': k & 0xffff, 'ns': want['at_ps'] // 1000 & 0xffffffff, 'requester': want['requester'], 'tag': want['tag'],
                  'bytes': want['len'] if want['type'] != 'Cpl' else 0,
                  'dws': (want['addr'] % 4 + want['len'] + 3) // 4 if want['type'] != 'Cpl' else 0}
        if request:
            expect['addr'] = want['addr']
        else:
            expect |= {'completer': want['completer'], 'remaining': want['remaining'], 'lower': want['addr'] % 128,
                       'status': 1 if want['type'] == 'Cpl' else 0}
        got = {n: row[f'tlp.{n}'] for n in names}
        for key in names:
            if key in expect:
                assert got[key] and int(got[key], 0) == expect[key], f'dissector: TLP {k}: {key} {got[key]!r}, not {expect[key]}'
        assert got['kind'] == want['type'] and got['data'] == want['data'], f"dissector: TLP {k}: {got['kind']} {got['data']}"
        assert not row['_ws.expert.message'], f"dissector: TLP {k}: {row['_ws.expert.message']}"


def main():
    if not shutil.which('tshark'):
        print('skipped: no tshark; install the package tshark')
        return 77
    lua = 'with Lua' in subprocess.run(['tshark', '-v'], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True).stdout
    with tempfile.TemporaryDirectory() as tmp:
        path, again = os.path.join(tmp, 'trace.pcap'), os.path.join(tmp, 'again.pcap')
        for seed in SEEDS:
            out = subprocess.run([sys.argv[1], path, str(seed)], stdout=subprocess.PIPE, text=True, check=True).stdout
            wanted = [json.loads(line) for line in out.splitlines()]
            with open(path, 'rb') as f:
                raw = f.read()
            assert raw[:4] in (b'\x4d\x3c\xb2\xa1', b'\xa1\xb2\x3c\x4d'), 'not a nanosecond pcap'
            rows = tshark(path, FIELDS)
            assert len(rows) == len(wanted), f'tshark found {len(rows)} of {len(wanted)} packets'
            for k, (want, row) in enumerate(zip(wanted, rows)):
                try:
                    check_envelope(want, row)
                    check_tlp(k, want, row)
                except AssertionError as e:
                    print(f'seed {seed}, TLP {k}: {e}\n  written: {want}\n  read: {row}')
                    return 1
            if lua:
                check_dissector(path, wanted)
            subprocess.run([sys.argv[1], again, str(seed)], stdout=subprocess.DEVNULL, check=True)
            with open(again, 'rb') as f:
                assert f.read() == raw, 'the same input gives another file'
            print(f"seed {seed}: {len(wanted)} TLPs{'' if lua else ', this tshark has no Lua: dissector not tested'}")
    return 0


if __name__ == '__main__':
    sys.exit(main())
