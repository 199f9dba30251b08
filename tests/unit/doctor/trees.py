# SPDX-License-Identifier: BSD-3-Clause
"""Builds sysfs trees, with configuration space to the byte, as `p2pnic doctor --sysfs` reads them.

    box = Box()
    rp = box.root_port('0000:00:01.0', 1, 3)
    box.nic('0000:01:00.0', rp)
    box.write(folder)
"""
import os
import shutil
import struct

GT = {1: '2.5 GT/s PCIe', 2: '5.0 GT/s PCIe', 3: '8.0 GT/s PCIe', 4: '16.0 GT/s PCIe', 5: '32.0 GT/s PCIe'}
ENDPOINT, ROOT_PORT, UPSTREAM, DOWNSTREAM, TO_PCI = 0, 4, 5, 6, 7
SV, TB, RR, CR, UF, EC, DT = 1, 2, 4, 8, 16, 32, 64
MEM, IO, PREF, MEM64, UNSET = 0x200, 0x100, 0x2000, 0x100000, 0x20000000
SERIAL = bytes.fromhex('5ec4e75e11a1feed')  # what may not be saved


class Dev:
    """One function; every attribute may be changed before Box.write()."""

    def __init__(self, name, parent, kind, **more):
        self.name, self.parent, self.type = name, parent, kind
        self.vendor, self.device, self.cls = 0x15b3, 0x101d, 0x020000
        self.buses = None          # (secondary, subordinate) of a bridge
        self.gen, self.width, self.max_gen, self.max_width = 3, 8, 3, 8
        self.mps, self.mps_max, self.mrrs, self.relaxed = 256, 512, 512, False
        self.acs = None            # control bits; None: no such capability
        self.egress = None         # bits of the egress control vector
        self.port = 0
        self.power = 0
        self.numa, self.group, self.group_type, self.driver = 0, None, 'DMA', 'vfio-pci'
        self.group_name = ''
        self.nets = []
        self.bars = {0: (0x90000000, 64 << 10, MEM), 2: (0x3000000000, 64 << 20, MEM | PREF | MEM64)}
        self.rebar = {}            # BAR: bit mask of sizes, bit n: 2^n MiB
        self.bytes = 4096          # of config that can be read
        self.gone = False
        self.drop = set()          # files left out
        self.conventional = False  # no PCI Express capability
        for key, value in more.items():
            assert hasattr(self, key), key
            setattr(self, key, value)

    @property
    def bus(self):
        return int(self.name.split(':')[1], 16)

    def config(self):
        c = bytearray(4096)
        bridge = self.buses is not None
        struct.pack_into('<HHHH', c, 0, self.vendor, self.device, 0x0006, 0x0010)
        c[9], c[10], c[11] = self.cls & 0xff, self.cls >> 8 & 0xff, self.cls >> 16
        c[14] = 1 if bridge else 0
        if bridge:
            c[0x18], c[0x19], c[0x1a] = self.bus, *self.buses
        c[0x34] = 0x40
        struct.pack_into('<BBHHxx', c, 0x40, 0x01, 0 if self.conventional else 0x60, 3, self.power)
        if self.conventional:
            return bytes(c[:min(self.bytes, 256)])
        struct.pack_into('<BBHIHH', c, 0x60, 0x10, 0x00, 2 | self.type << 4, self.code(self.mps_max),
                         self.code(self.mps) << 5 | self.code(self.mrrs) << 12 | (0x10 if self.relaxed else 0), 0)
        struct.pack_into('<IHH', c, 0x6c, self.max_gen | self.max_width << 4 | self.port << 24, 0, self.gen | self.width << 4)
        self.extended(c)
        if self.gone:
            c[:] = b'\xff' * len(c)
        return bytes(c[:self.bytes])

    @staticmethod
    def code(size):
        return (size // 128).bit_length() - 1

    def extended(self, c):
        """AER, serial number, then ACS and resizable BARs, as far as there are such."""
        caps = [(1, 0x48, b''), (3, 12, SERIAL)]
        if self.acs is not None:
            vector = b''
            if self.egress is not None:
                vector = struct.pack('<I', self.egress)
            caps.append((0xd, 16, struct.pack('<HH', 0x5f | (EC | 32 << 8 if vector else 0), self.acs) + vector))
        if self.rebar:
            body = b''
            for k, (bar, sizes) in enumerate(sorted(self.rebar.items())):
                body += struct.pack('<II', sizes << 4, bar | (len(self.rebar) << 5 if k == 0 else 0))
            caps.append((0x15, 4 + len(body), body))
        caps.append((3, 12, SERIAL))
        at = 0x100
        for k, (ident, size, body) in enumerate(caps):
            after = at + max(size, 4 + len(body))
            struct.pack_into('<I', c, at, ident | 1 << 16 | (after if k + 1 < len(caps) else 0) << 20)
            c[at + 4:at + 4 + len(body)] = body
            at = after

    def resource(self):
        lines = []
        for k in range(13):
            base, size, flags = self.bars.get(k, (0, 0, 0)) if self.buses is None else (0, 0, 0)
            end = base + size - 1 if size else 0
            lines.append(f'0x{base:016x} 0x{end:016x} 0x{flags:016x}')
        return '\n'.join(lines)


class Box:
    def __init__(self, iommu=True, cpu=('GenuineIntel', 6, 'Intel(R) Xeon(R) Gold 6130 CPU @ 2.10GHz')):
        self.devs, self.iommu, self.cpu = [], iommu, cpu

    def add(self, dev):
        self.devs.append(dev)
        return dev

    def host(self, name='0000:00:00.0', vendor=0x8086, device=0x2020, numa=0):
        return self.add(Dev(name, None, ENDPOINT, vendor=vendor, device=device, cls=0x060000, bars={}, conventional=True, numa=numa,
                            driver=None))

    def port(self, name, parent, kind, first, last, **more):
        more = {'vendor': 0x10b5, 'device': 0x8747, 'cls': 0x060400, 'bars': {}, 'driver': 'pcieport', 'buses': (first, last),
                'max_width': 16, 'width': 16, **more}
        return self.add(Dev(name, parent, kind, **more))

    def root_port(self, name, first, last, **more):
        return self.port(name, None, ROOT_PORT, first, last, **{'vendor': 0x8086, 'device': 0x2030, **more})

    def nic(self, name, parent, **more):
        return self.add(Dev(name, parent, ENDPOINT, **more))

    def folder(self, dev):
        if dev.parent:
            return self.folder(dev.parent) + '/' + dev.name
        domain, bus = dev.name.split(':')[:2]
        return f'devices/pci{domain}:{bus}/{dev.name}'

    def write(self, top, flat=False):
        shutil.rmtree(top, ignore_errors=True)
        os.makedirs(os.path.join(top, 'bus/pci/devices'))
        groups = 0
        if self.iommu:
            os.makedirs(os.path.join(top, 'class/iommu/dmar0'))
        for d in self.devs:
            where = 'bus/pci/devices/' + d.name if flat else self.folder(d)
            path = os.path.join(top, where)
            os.makedirs(path, exist_ok=True)
            if not flat:
                os.symlink('../../../' + where, os.path.join(top, 'bus/pci/devices', d.name))
            group = d.group
            if group is None and self.iommu:
                group = groups
                groups += 1
            self.files(top, path, where.count('/') + 1, d, group)
        put(top, 'proc/cpuinfo', 'processor\t: 0\nvendor_id\t: {}\ncpu family\t: {}\nmodel name\t: {}\n'.format(*self.cpu))
        return top

    @staticmethod
    def files(top, path, depth, d, group):
        files = {'vendor': f'0x{d.vendor:04x}', 'device': f'0x{d.device:04x}', 'class': f'0x{d.cls:06x}', 'resource': d.resource(),
                 'numa_node': str(d.numa), 'power_state': f'D{d.power}', 'irq': '11',
                 'vpd': 'SN' + SERIAL.hex()}
        if not d.conventional:
            files.update(current_link_speed=GT.get(d.gen, 'Unknown'), current_link_width=str(d.width),
                         max_link_speed=GT.get(d.max_gen, 'Unknown'), max_link_width=str(d.max_width))
        for name, text in files.items():
            if name not in d.drop:
                put(path, name, text + '\n')
        if 'config' not in d.drop:
            with open(os.path.join(path, 'config'), 'wb') as f:
                f.write(d.config())
        if d.driver:
            os.symlink('../' * depth + 'bus/pci/drivers/' + d.driver, os.path.join(path, 'driver'))
        if group is not None:
            put(top, f'kernel/iommu_groups/{group}/type', d.group_type + '\n')
            if d.group_name:
                put(top, f'kernel/iommu_groups/{group}/name', d.group_name + '\n')
            os.symlink('../' * depth + f'kernel/iommu_groups/{group}', os.path.join(path, 'iommu_group'))
        for net in d.nets:
            put(path, f'net/{net}/address', '5e:c4:e7:5e:11:a1\n')


def put(top, name, text):
    path = os.path.join(top, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, 'w', encoding='utf-8') as f:
        f.write(text)


def switch(box, first=1, acs=(None, None), root='0000:00:01.0', domain='0000', **port):
    """A root port, a switch with two downstream ports; the ports above the two slots (buses first + 2 and first + 3)."""
    rp = box.root_port(root, first, first + 3, **port)
    up = box.port(f'{domain}:{first:02x}:00.0', rp, UPSTREAM, first + 1, first + 3, **port)
    return [box.port(f'{domain}:{first + 1:02x}:{k:02x}.0', up, DOWNSTREAM, first + 2 + k, first + 2 + k, acs=acs[k], port=k + 1, **port)
            for k in range(2)]


def two_under_switch(acs=None, iommu=True, **nic):
    box = Box(iommu=iommu)
    box.host()
    for k, port in enumerate(switch(box, acs=(acs, acs))):
        box.nic(f'0000:{3 + k:02x}:00.0', port, nets=[f'eth{k}'], **nic)
    return box
