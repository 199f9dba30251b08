# SPDX-License-Identifier: BSD-3-Clause
"""`p2pnic bench churn`: while routes change no frame is lost and none goes where no table of its time sends it.

bench_churn.py [SECONDS].  How fast anything is is not looked at.
"""
import json
import os
import subprocess
import sys

P2PNIC = os.path.join(os.environ['P2PNIC_BUILD'], 'p2pnic')


def bench(seconds, *args):
    return subprocess.run([P2PNIC, 'bench', 'churn', '--seconds', str(seconds), *args], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=2 * float(seconds) + 50)


def main():
    seconds = sys.argv[1] if len(sys.argv) > 1 else '1'
    if len(os.sched_getaffinity(0)) < 2:
        print('one core: forwarder and changes need one each')
        return 77
    done = bench(seconds, '--rounds', '2', '--json')
    assert done.returncode == 0, (done.stdout, done.stderr)
    r = json.loads(done.stdout)
    assert r['changes'] > 0 and r['sent'] > 0, r
    assert r['misrouted'] == r['damaged'] == r['lost'] == r['dropped'] == 0 and r['sent'] == r['received'], r
    assert r['alone_mpps_without'] > r['mpps_without'] and r['alone_mpps_with'] > r['mpps_with'], r
    assert 'misrouted' in bench('0.2', '--rounds', '1', '--rate', '1000').stdout
    return 0


if __name__ == '__main__':
    sys.exit(main())
