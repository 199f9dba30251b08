/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Event scripts.  One command a line, `#` begins a comment; NICs are letters,
 * ports a.0, b.3; times are numbers with ns, us, ms or s; stations are numbers
 * (mesh_station) or six bytes with colons.
 *
 * Before `up`:
 *   mesh nics=2 ports=1 [slots= buf= batch= stride= rxbufs= age= flood= txroom= txframe=TIME
 *        bridge backpressure noscrub order sleep stall]
 *   modes wr rd bn            the modes to run in (default: all)
 *   boards late soft          the boards to run on (default: all)
 *   seeds N                   late board: how many interleavings (default 4)
 *   untraced                  drops depend on timing: boards need not agree beyond what the script expects
 *   nocut                     not with cut-through placement, where a full ring always stops receiving (board `cut`)
 *   pair a.0 b.1              also later; unpair a.0
 *   up                        configure, introduce, enable, wait for all peers
 * Then:
 *   frame a.0 LEN [to=S] [from=S] [n=COUNT] [every=TIME]
 *   link a.0 up|down          stand a.0 on|off          pace a.0 TIME
 *   stall b TIME              kill b                    restart b
 *   enable a | disable a
 *   kill host                 restart host              stall host TIME   (bn)
 *   fault RULE                as in <faults/fault.h>; fault none
 *   run TIME                  settle [TIME]             drain TIME
 * Expectations:
 *   out b.1 N [len=LEN]       N frames left b.1 since it was last asked about
 *   fair b.1 a.0 c.0 PERCENT  shares of the two ingresses among frames that left b.1, never asked about, differ by
 *                             at most so much; takes them
 *   silent                    no frame left any port unasked
 *   pending a.0 N             N frames wait on the cable, not accepted
 *   count NAME OP N [nic=a]   NAME: drop.x, event.x, a port counter or `wakes` of sleepers; OP: = < > (also >=, <=)
 *   delta NAME OP N           the same, since the last delta of NAME
 *   peer a b up|down|waiting|absent
 *   reg a OFFSET = VALUE
 *   books                     exact, with nothing held
 *   faults 0                  no DMA fault on any NIC (also checked at the end, unless `faults ignore` came)
 *
 * `p2p: COMMAND` is for wr and rd alone, `bn: COMMAND` for bn.
 *
 * The trace, which must be the same on every board, in every interleaving: frames out of every port by ingress, in
 * order, with length and hash; all drops; port counters; events that count what happened to frames and stations.
 *
 * The full trace, which must be the same on all boards that are not late, untraced scripts included: every frame with
 * the time at which it left, every counter of every NIC, port and peer, and when the script ended.
 */
#ifndef TESTS_CONFORMANCE_SCRIPT_H
#define TESTS_CONFORMANCE_SCRIPT_H

#include "mesh.h"

struct script_result {
	char error[512]; /* "": passed */
	char *trace, *full; /* the caller frees them */
};

struct script_head {
	unsigned int modes; /* bit per enum p2p_mode */
	unsigned int seeds;
	bool untraced, nocut;
	char boards[64]; /* "": all */
};

/* Reads what a script wants to run on.  0 or -errno. */
int script_head(const char *path, struct script_head *head);
void script_run(const char *path, const struct mesh_ops *ops, enum p2p_mode mode, uint64_t seed,
		struct script_result *result);

#endif
