#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""test_verdicts.py P2PNIC: the doctor's verdict on trees built for it, each with the device and the remedy that it must name."""
import json
import os
import subprocess
import sys
import tempfile

from trees import (CR, DOWNSTREAM, EC, IO, MEM, MEM64, PREF, RR, SV, TO_PCI, UF, UNSET, UPSTREAM, Box, switch,
                   two_under_switch)

P2PNIC = os.path.abspath(sys.argv[1])
A, B = '0000:03:00.0', '0000:04:00.0'
CASES = []


def case(path, verdict, *words, certain=True, modes='wr rd bn', devices=(A, B)):
    """A function that makes a box of which the pair must get this path and verdict, and reason and remedy these words."""
    def keep(make):
        CASES.append((make.__name__, make, path, verdict, words, certain, modes.split(), devices))
        return make
    return keep


def two_root_ports(box=None, **nic):
    box = box or Box()
    box.host()
    for k in range(2):
        box.nic(f'0000:{3 + k:02x}:00.0', box.root_port(f'0000:00:{k + 1:02x}.0', 3 + k, 3 + k), **nic)
    return box


def two_sockets(device, node=1, **more):
    box = Box(**more)
    for k, bus in enumerate((0, 0x80)):
        box.host(f'0000:{bus:02x}:00.0', device=device, numa=k * node)
        port = box.root_port(f'0000:{bus:02x}:01.0', bus + 3, bus + 3, device=0x2f02, numa=k * node)
        box.nic(f'0000:{bus + 3:02x}:00.0', port, numa=k * node)
    return box


@case('same-switch', 'direct', A, B, '0000:01:00.0')
def switch_acs_off():
    return two_under_switch()


@case('same-switch', 'direct')
def switch_acs_all_but_redirect():
    return two_under_switch(acs=SV | UF)


@case('same-switch', 'through-root', '0000:02:00.0', '0000:02:01.0', 'setpci -s 0000:02:00.0 ECAP_ACS+6.w=0:2c',
      'pci=disable_acs_redir=0000:02:00.0;0000:02:01.0', 'RR CR')
def switch_acs_redirect():
    return two_under_switch(acs=SV | RR | CR | UF)


@case('same-switch', 'through-root', 'setpci -s 0000:02:01.0 ECAP_ACS+6.w=0:2c')
def switch_acs_redirect_on_one_side():
    box = Box()
    box.host()
    for k, port in enumerate(switch(box, acs=(0, CR))):
        box.nic(f'0000:{3 + k:02x}:00.0', port)
    return box


@case('same-switch', 'refused', '0000:02:00.0 blocks', 'setpci -s 0000:02:00.0', modes='bn')
def switch_egress_control_blocks():
    box = two_under_switch(acs=0)
    ports = [d for d in box.devs if d.type == DOWNSTREAM]
    ports[0].acs, ports[0].egress = EC, 1 << ports[1].port
    return box


@case('same-switch', 'direct')
def switch_egress_control_of_others():
    box = two_under_switch(acs=0)
    ports = [d for d in box.devs if d.type == DOWNSTREAM]
    ports[0].acs, ports[0].egress = EC, 1 << 7
    return box


@case('same-switch', 'through-root', 'nothing is known', 'ECAP_ACS', certain=False)
def redirect_below_unknown_root():
    box = two_under_switch(acs=RR)
    box.devs[0].device = 0x1234
    return box


@case('same-switch', 'through-root', '64 bytes', '0000:02:00.0', 'as root', certain=False)
def switch_not_root():
    box = two_under_switch(acs=0)
    for d in box.devs:
        d.bytes = 64
    return box


@case('same-switch', 'through-root', '256 bytes', 'mmconfig', certain=False)
def switch_without_extended_config():
    box = two_under_switch(acs=0)
    for d in box.devs:
        d.bytes = min(d.bytes, 256)
    return box


@case('root-ports', 'through-root', '0000:00:01.0', '0000:00:02.0', 'under one switch', 'Skylake')
def root_ports():
    return two_root_ports()


@case('root-ports', 'through-root', 'nothing is known', certain=False)
def root_ports_unknown():
    box = two_root_ports()
    box.devs[0].device = 0x9b33
    return box


@case('root-ports', 'through-root', 'AMD Zen')
def root_ports_zen():
    box = two_root_ports(Box(cpu=('AuthenticAMD', 23, 'AMD EPYC 7401')))
    box.devs[0].vendor, box.devs[0].device = 0x1022, 0x1450
    return box


@case('root-ports', 'through-root', 'no reads', 'use wr', modes='wr bn')
def root_ports_before_zen():
    box = two_root_ports(Box(cpu=('AuthenticAMD', 21, 'AMD Opteron 6386')))
    box.devs[0].vendor, box.devs[0].device = 0x1022, 0x1410
    return box


@case('sockets', 'through-root', 'node 0', 'node 1', 'slot of node 0', devices=(A, '0000:83:00.0'))
def sockets_skylake():
    return two_sockets(0x2020)


@case('sockets', 'refused', 'Haswell', 'within one host bridge', '0000:83:00.0', modes='bn', devices=(A, '0000:83:00.0'))
def sockets_haswell():
    return two_sockets(0x2f00)


@case('host-bridges', 'refused', 'Haswell', modes='bn', devices=(A, '0000:83:00.0'))
def host_bridges_haswell():
    return two_sockets(0x2f00, node=0)


@case('same-switch', 'refused', 'no IOMMU serves 0000:03:00.0 and 0000:04:00.0', 'intel_iommu=on', modes='')
def no_iommu():
    return two_under_switch(iommu=False)


@case('same-switch', 'refused', 'no IOMMU serves', modes='')
def vfio_without_iommu():
    """VFIO makes up groups then; they map nothing."""
    box = two_under_switch(iommu=False)
    for k in (1, 2):
        box.devs[-k].group, box.devs[-k].group_name = k, 'vfio-noiommu'
    return box


@case('same-switch', 'direct', "0000:03:00.0's link runs x4, both ends could do x16", 'setpci -s 0000:02:00.0 CAP_EXP+10.w=20:20')
def x4_in_a_x16_slot():
    box = two_under_switch(max_width=16, width=16)
    box.devs[-2].width = 4
    return box


@case('same-switch', 'direct', "0000:04:00.0's link runs Gen1, both ends could do Gen3")
def slow_link():
    box = two_under_switch()
    box.devs[-1].gen = 1
    return box


@case('same-switch', 'refused', '0000:04:00.0 sends packets of up to 512 bytes', 'takes 256', 'pci=pcie_bus_peer2peer', modes='bn')
def mps_mismatch_below_a_switch():
    box = two_under_switch()
    box.devs[-1].mps = 512
    return box


@case('root-ports', 'through-root', 'split', certain=False)
def mps_mismatch_across_root_ports():
    box = two_root_ports()
    box.devs[-1].mps = box.devs[-2].mps = 512
    return box


@case('same-switch', 'refused', '0000:03:00.0 does not answer', 'rescan', modes='')
def unplugged():
    box = two_under_switch()
    box.devs[-2].gone = True
    return box


@case('same-switch', 'refused', '0000:04:00.0 sleeps (D3)', 'power/control', modes='')
def asleep():
    box = two_under_switch()
    box.devs[-1].power = 3
    box.devs[-1].driver = 'ixgbe'
    return box


@case('same-switch', 'direct')
def idle_under_vfio_pci():
    box = two_under_switch()
    box.devs[-1].power = 3
    return box


@case('same-switch', 'refused', 'BAR 2 of 0000:03:00.0 (64 MiB) has no address', 'above 4G', modes='bn')
def bar_unassigned():
    box = two_under_switch()
    box.devs[-2].bars = {0: (0x90000000, 65536, MEM), 2: (0, 64 << 20, MEM | PREF | MEM64 | UNSET)}
    return box


@case('same-switch', 'refused', "0000:03:00.0's largest memory BAR has 128 KiB", 'resource0_resize', modes='bn')
def bar_small_32_bit_but_resizable():
    box = two_under_switch()
    box.devs[-2].bars, box.devs[-2].rebar = {0: (0x90000000, 128 << 10, MEM), 1: (0x2000, 64, IO)}, {0: 1 << 6}
    return box


@case('same-switch', 'refused', '0000:03:00.0 has no memory BAR', modes='bn')
def no_bar():
    box = two_under_switch()
    box.devs[-2].bars = {}
    return box


@case('same-device', 'direct', devices=(A, '0000:03:00.1'))
def two_functions():
    box = Box()
    box.host()
    port = box.root_port('0000:00:01.0', 3, 3)
    box.nic('0000:03:00.0', port)
    box.nic('0000:03:00.1', port)
    return box


@case('same-device', 'through-root', 'setpci -s 0000:03:00.0', devices=(A, '0000:03:00.1'))
def two_functions_acs():
    box = two_functions()
    box.devs[-1].acs = box.devs[-2].acs = RR
    return box


@case('same-bus', 'direct', '0000:01:00.0', devices=('0000:02:00.0', '0000:02:01.0'))
def conventional_bus():
    box = Box()
    box.host()
    bridge = box.port('0000:01:00.0', box.root_port('0000:00:01.0', 1, 2), TO_PCI, 2, 2)
    box.nic('0000:02:00.0', bridge, conventional=True)
    box.nic('0000:02:01.0', bridge, conventional=True)
    return box


@case('root-ports', 'through-root', '0000:06:00.0', devices=('0000:06:00.0', '0000:09:00.0'))
def x1_nic_behind_a_bridge():
    box = Box()
    box.host()
    bridge = box.port('0000:05:00.0', box.root_port('0000:00:01.0', 5, 6, width=1, max_width=1), TO_PCI, 6, 6, width=1, max_width=1, gen=1)
    box.nic('0000:06:00.0', bridge, conventional=True)
    box.nic('0000:09:00.0', box.root_port('0000:00:02.0', 9, 9))
    return box


@case('same-switch', 'direct', devices=('0000:05:00.0', '0000:06:00.0'))
def switch_below_a_switch():
    """Redirection further down than where the two meet is not on the way."""
    box = Box()
    box.host()
    up = box.port('0000:01:00.0', box.root_port('0000:00:01.0', 1, 6), UPSTREAM, 2, 6)
    second = box.port('0000:03:00.0', box.port('0000:02:00.0', up, DOWNSTREAM, 3, 5, acs=0), UPSTREAM, 4, 5)
    box.nic('0000:05:00.0', box.port('0000:04:01.0', second, DOWNSTREAM, 5, 5, acs=RR))
    box.nic('0000:06:00.0', box.port('0000:02:01.0', up, DOWNSTREAM, 6, 6, acs=0))
    return box


@case('same-switch', 'direct', A, devices=(A, B))
def gpu_and_nic_whose_bar_is_small():
    box = two_under_switch()
    box.devs[-1].cls, box.devs[-1].bars = 0x030200, {1: (0x4000000000, 16 << 30, MEM | PREF | MEM64)}
    box.devs[-2].bars = {0: (0x90000000, 65536, MEM)}
    return box


def doctor(*args):
    return subprocess.run([P2PNIC, 'doctor', *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding='utf-8', timeout=60)


def check(folder, make, path, verdict, words, certain, modes, devices, flat=False):
    tree = make().write(folder, flat)
    p = doctor('--sysfs', tree, '--json')
    if p.returncode:
        return [f'status {p.returncode}: {p.stderr}']
    pairs = [q for q in json.loads(p.stdout)['pairs'] if {q['a'], q['b']} == set(devices)]
    if len(pairs) != 1:
        return [f'{len(pairs)} pairs of {devices}']
    q, wrong = pairs[0], []
    text = q['reason'] + '\n' + q['remedy']
    if (q['path'], q['verdict'], q['certain']) != (path, verdict, certain):
        wrong.append(f'{q["path"]}, {q["verdict"]}, certain {q["certain"]}; expected {path}, {verdict}, {certain}')
    wrong += [f'does not say "{w}"' for w in (*words, *devices[:1]) if w not in text]
    if verdict != 'direct' and not q['remedy']:
        wrong.append('no remedy')
    works = [m for m in ('wr', 'rd', 'bn') if q['mpps'][m]]
    if path not in ('same-device', 'same-bus') and works != modes:
        wrong.append(f'{works} work, expected {modes}')
    plain = doctor('--sysfs', tree)
    if plain.returncode or f'{q["a"]} - {q["b"]}  {verdict}' not in plain.stdout:
        wrong.append(f'the terminal says otherwise: {plain.stdout} {plain.stderr}')
    return [f'{w}\n    {text}' for w in wrong]


def main():
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        for name, *rest in CASES:
            for flat in (False, True):
                for e in check(os.path.join(folder, 'tree'), *rest, flat=flat):
                    print(f'{name}{" (flat)" if flat else ""}: {e}')
                    failed += 1
    print(f'{len(CASES)} boxes, {failed} complaints')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
