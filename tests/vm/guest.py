# SPDX-License-Identifier: BSD-3-Clause
"""A guest: QEMU with a vIOMMU and software NICs as PCI functions, Debian's kernel, an initramfs with busybox and p2pnic.

The guest's shell is reached over its second serial port: a line of shell goes in, output and status come out.
"""
import lzma
import os
import re
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'integration'))
from lib import BUILD, HERE as INTEGRATION, P2PNIC, Failed, skip, wait_for  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
KERNELS = {'6.1': 'bookworm', '6.12': 'trixie'}
# Those that a kernel has, in the order in which they need each other.
MODULES = ('irqbypass', 'vfio', 'vfio_virqfd', 'vfio_iommu_type1', 'vfio-pci-core', 'vfio-pci', 'tun')
FIRST_SLOT, SWITCH_SLOT = 4, 0x14
BOOT_S = 120  # a busy machine without KVM

INIT = r'''#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev /tmp /run /bin /sbin
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sysfs /sys
/bin/busybox mount -t devtmpfs devtmpfs /dev
/bin/busybox --install -s /bin
as_user() { p=$1; shift; start-stop-daemon -S -c 1000:1000 -x /bin/$p -- "$@"; }
mkdir -p /etc; echo user:x:1000:1000::/:/bin/sh > /etc/passwd; echo user:x:1000: > /etc/group
export PATH=/bin:/sbin HOME=/ LC_ALL=C.UTF-8 P2PNIC_RUNTIME_DIR=/run/p2pnic
for m in /modules/*; do insmod $m || echo "insmod $m failed"; done
ip link set lo up
stty -F /dev/ttyS1 raw -echo
exec 3<>/dev/ttyS1
echo "@ready" >&3
while read -r line <&3; do
	( eval "$line" ) >/tmp/.out 2>&1 </dev/null
	status=$?
	cat /tmp/.out >&3
	echo "@end $status" >&3
done
poweroff -f
'''


def _fetch(script, *args):
    r = subprocess.run(['sh', script, *args], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if r.returncode == 77:
        skip(r.stderr.strip().splitlines()[-1].replace('skip: ', '', 1))
    if r.returncode:
        raise Failed(f'{script} {" ".join(args)}: {r.stderr.strip()}')
    return r.stdout.strip()


def _cpio_entry(name, mode, data=b'', rdev=(0, 0)):
    fields = (0, mode, 0, 0, 1, 0, len(data), 0, 0, *rdev, len(name) + 1, 0)
    head = b'070701' + b''.join(b'%08x' % f for f in fields) + name.encode() + b'\0'
    return head + b'\0' * (-len(head) % 4) + data + b'\0' * (-len(data) % 4)


def _needed(program):
    """The libraries that a program is started with, loader included."""
    r = subprocess.run(['ldd', program], capture_output=True, text=True, check=True)
    return [w for line in r.stdout.splitlines() for w in line.split() if w.startswith('/')]


def _initramfs(path, parts, programs):
    out, dirs = [], set()

    def put(name, mode, data):
        at = os.path.dirname(name)
        missing = []
        while at and at not in dirs:
            dirs.add(at)
            missing.append(at)
            at = os.path.dirname(at)
        out.extend(_cpio_entry(d, 0o40755) for d in reversed(missing))
        out.append(_cpio_entry(name, mode, data))

    def put_file(name, source):
        with open(source, 'rb') as f:
            put(name, 0o100755, f.read())
    put('dev/console', 0o20600, b'')
    out[-1] = _cpio_entry('dev/console', 0o20600, rdev=(5, 1))
    put('init', 0o100755, INIT.encode())
    put_file('bin/busybox', os.path.join(parts, 'busybox'))
    libraries = set()
    for program in programs:
        put_file('bin/' + os.path.basename(program), program)
        libraries |= set(_needed(program))
    for lib in sorted(libraries):
        put_file(lib.lstrip('/'), os.path.realpath(lib))
    have = os.listdir(os.path.join(parts, 'modules'))
    for k, name in enumerate(MODULES):
        for f in have:
            if f.split('.')[0] == name:
                with open(os.path.join(parts, 'modules', f), 'rb') as m:
                    data = m.read()
                put(f'modules/{k}-{name}.ko', 0o100644, lzma.decompress(data) if f.endswith('.xz') else data)
    out.append(_cpio_entry('TRAILER!!!', 0))
    with open(path, 'wb') as f:
        f.write(b''.join(out))


class Guest:
    """A running guest.

    nics: names of NICs of the bench (b.nic), which appear as a PCI function each, in that order, on the root bus; those of
    each string in `switches` behind a PCI Express switch of their own.
    """

    def __init__(self, b, kernel, nics, switches=(), programs=()):
        self.b, self.kernel = b, kernel
        qemu = _fetch(os.path.join(INTEGRATION, 'qemu_fetch.sh'))
        parts = _fetch(os.path.join(HERE, 'fetch.sh'), KERNELS[kernel])
        initramfs, self.shell_path = b.path('initramfs'), b.path('shell')
        _initramfs(initramfs, parts, (P2PNIC, *programs))
        switched = ''.join(switches)
        self.addr = {n: f'0000:00:{FIRST_SLOT + k:02x}.0' for k, n in enumerate(n for n in nics if n not in switched)}
        # no_timer_check: on a busy machine without KVM the kernel's trial of its timer fails, and it panics.
        argv = [qemu, '-M', 'q35,memory-backend=ram', '-object', 'memory-backend-memfd,id=ram,size=512M,share=on', '-m', '512M',
                '-accel', 'tcg', '-cpu', 'max', '-display', 'none', '-nodefaults', '-no-reboot', '-monitor', 'none',
                '-device', 'intel-iommu,caching-mode=on,aw-bits=48',
                '-kernel', os.path.join(parts, 'vmlinuz'), '-initrd', initramfs,
                '-append', 'console=ttyS0 intel_iommu=on no_timer_check panic=-1 quiet loglevel=6 random.trust_cpu=on',
                '-serial', 'file:' + b.path('console'), '-serial', f'unix:{self.shell_path},server=on,wait=off']
        for s, below in enumerate(switches):
            argv += ['-device', f'pcie-root-port,id=root{s},bus=pcie.0,addr={SWITCH_SLOT + s:x}.0,chassis={2 * s + 1},slot=1',
                     '-device', f'x3130-upstream,id=switch{s},bus=root{s}']
            for k, n in enumerate(below):
                argv += ['-device', f'xio3130-downstream,id=down-{n},bus=switch{s},addr={k:x}.0,chassis={2 * s + 2},slot={k + 1}']
        for n in nics:
            bus, slot = (f'down-{n}', '0') if n in switched else ('pcie.0', self.addr[n][8:10])
            argv += ['-device', '{"driver":"vfio-user-pci","bus":"%s","addr":"%s.0","socket":{"type":"unix","path":"%s"}}' %
                     (bus, slot, b.sock(n))]
        self.proc = b.start('qemu', argv)
        started = time.monotonic()
        wait_for('QEMU serves the shell', 30, self._connect)
        self._until('@ready', BOOT_S)
        found = self.sh('cd /sys/bus/pci/devices; grep -l 0x020000 */class').split()
        self.addr.update(zip(switched, sorted(a.split('/')[0] for a in found if not a.startswith('0000:00:'))))
        b.say(f'guest kernel {self.sh("uname -r").strip()}: booted in {time.monotonic() - started:.1f} s')

    def _connect(self):
        if not self.proc.alive():
            raise Failed('QEMU does not start: ' + self.proc.err.strip()[-500:])
        s = socket.socket(socket.AF_UNIX)
        try:
            s.connect(self.shell_path)
        except OSError:
            s.close()
            return False
        self.s, self.text = s, ''
        return True

    def _until(self, mark, seconds):
        """What comes before a line that begins with mark, and the rest of that line."""
        end = time.monotonic() + seconds
        while True:
            m = re.search(rf'(?m)^{mark}(.*)\n', self.text.replace('\r', ''))
            if m:
                text = self.text.replace('\r', '')
                before, self.text = text[:m.start()], text[m.end():]
                return before, m.group(1)
            self.s.settimeout(max(0.01, end - time.monotonic()))
            try:
                got = self.s.recv(65536)
            except socket.timeout:
                raise Failed(f'guest: no {mark} within {seconds} s; it said {self.text[-300:]!r}; console: '
                             f'{self.console()[-600:]!r}') from None
            if not got:
                raise Failed('QEMU is gone: ' + self.proc.err.strip()[-500:] + self.console()[-300:])
            self.text += got.decode('utf-8', 'replace')

    def console(self):
        with open(self.b.path('console'), encoding='utf-8', errors='replace') as f:
            return f.read()

    def call(self, line, seconds=60):
        """Output and exit status of a line of shell."""
        self.s.sendall(line.replace('\n', ' ').encode() + b'\n')
        out, status = self._until('@end ', seconds)
        return out, int(status)

    def sh(self, line, seconds=60):
        out, status = self.call(line, seconds)
        if status:
            raise Failed(f'guest: status {status} from {line}: {out.strip()[-1000:]}')
        return out

    def start(self, name, line):
        """Something in the background; its output is in /tmp/NAME.  Returns its process id."""
        return int(self.sh(f'({line}) >/tmp/{name} 2>&1 & echo $!'))

    def expect(self, name, text, seconds=60):
        """Waits until /tmp/NAME holds text."""
        def seen():
            out = self.sh(f'cat /tmp/{name}')
            return out if text in out else None
        try:
            return wait_for(f'{name} in the guest says "{text}"', seconds, seen, 0.1)
        except Failed as e:
            raise Failed(f'{e}; it said {self.sh("cat /tmp/" + name)!r}') from None

    def log(self):
        """The kernel's log."""
        return self.sh('dmesg')

    def close(self):
        self.s.close()
        self.proc.kill()


# --- the driver in the guest ---

PATIENT = ('--silence', '5000', '--timeout', '60')


def addresses(g, names):
    return ' '.join('--nic vfio:' + g.addr[n] for n in names)


def up(g, names, *args, name='up'):
    """`p2pnic up` in the guest, which stays and holds the NICs."""
    pid = g.start(name, f'exec p2pnic up {addresses(g, names)} {" ".join((*PATIENT, *args))}')
    g.expect(name, ' up in ')
    return pid


def end(g, pid, name='up'):
    """Ends a holder; its NICs are at rest then."""
    g.sh(f'kill {pid}; while [ -d /proc/{pid} ]; do usleep 20000; done')
    said = g.sh(f'cat /tmp/{name}').strip()
    g.b.check(said.count('\n') == 0 and ' up in ' in said, f'the driver says one line: {said}')


def at_rest(b, g, names, what):
    """Reset, and no bus mastering: nothing reaches out any more."""
    b.equal([n['state'] for n in b.stats(*names).values()], ['reset'] * len(names), f'{what}: NICs')
    masters = [int(g.sh(f'dd if=/sys/bus/pci/devices/{g.addr[n]}/config bs=1 skip=4 count=1 2>/dev/null | od -An -tu1')) & 4
               for n in names]
    b.equal(masters, [0] * len(names), f'{what}: bus mastering')


def refused(b, g, argv, *words, status=1):
    out, got = g.call(argv)
    lines = out.strip().splitlines()
    b.check(got == status and len(lines) == 1 and all(w in lines[0] for w in words),
            f'{argv}: {got}: {out.strip()}' + ('' if got == status else f'; should be {status} with {words}'))
