/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a routing NIC and the host's router share beside the tables of route.h: frames that the host must see
 * (punted), and frames that it wants sent (injected).
 *
 *   host memory, at PUNT_RING + q * P2P_PUNT_BYTES: what queue q punts     written by the NIC
 *      +0      head: a line of the NIC
 *      +4096   P2P_PUNT_SLOTS slots of P2P_PUNT_STEP bytes: a line, then the frame at +64
 *
 *   segment inject of device memory, one for all queues                    written by the host
 *      +0      lines: how far punt ring q was taken (8), how far the inject ring is filled
 *      +4096   P2P_INJECT_SLOTS slots of P2P_PUNT_STEP bytes: a line, then the frame at +64
 *
 * SESSION  The host zeroes its memory, sets `cons` and `prod` of its lines to a number s of its own, 1 to 2^31 - 1, and writes s
 *   to PUNT_SESSION.  From then on both rings begin at s: sequence numbers run freely from there, number k is in
 *   slot k mod slots.  Another number begins another session.  What the NIC still had for the host is then its loss
 *   (the frames stay counted as punted), frames not yet taken from the inject ring are never taken.
 *   A host that dies leaves rings that fill up: punt_full.
 *
 * PUNT  The NIC writes the frame, then the slot's line, its number last; a slot is valid if its number is the one
 *   expected there.  The host copies line and frame, checks them, and stores `cons` (release).  The NIC writes no more
 *   than P2P_PUNT_SLOTS ahead of that, and looks again at each frame.  On a fabric that may lose writes a line can be
 *   missing: where head.prod has passed a slot that is still not valid, the host skips and counts it.
 *   Order: the frames of one queue come in the order in which they were received, unless their reasons' rates differ.
 *
 * INJECT  The host fills a slot (frame, then line), then stores `prod` (release); at most P2P_INJECT_SLOTS ahead
 *   of head.inject of queue 0's head in host memory.  Frames leave by the port that the line names as they are, in
 *   order.  A slot is the host's again when it has been passed by head.inject, which the NIC stores after it has
 *   read the frame.  A frame that finds its egress ring full is dropped (ring_full).
 *
 * WAKING  The host: arm += 1, full barrier, look once more at all rings, sleep until the interrupt (vector 2).  The NIC, after a
 *   line has arrived: full barrier; if `arm` differs from the one that it last answered, one interrupt.
 *   The other way round: head.asleep of queue 0 is 1 while the NIC sleeps; whoever fills the inject ring, full barrier,
 *   and finds it so, writes INJECT_BELL.  A sleeper wakes every P2P_BEAT_NS anyway.
 *
 * TRUST  Each side checks what the other wrote: lengths, ports, numbers out of range are counted and ignored.
 *
 * Source: design section 5, last paragraph.
 */
#ifndef P2PNIC_PUNT_H
#define P2PNIC_PUNT_H

#include "ring.h"

#define P2P_PUNT_SLOTS 256u   /* a power of two */
#define P2P_INJECT_SLOTS 64u  /* a power of two */
#define P2P_PUNT_STEP 10240u  /* bytes of a slot */
#define P2P_PUNT_ROOM (P2P_PUNT_STEP - 64u) /* bytes of a frame at most */
#define P2P_PUNT_BYTES (4096u + P2P_PUNT_SLOTS * P2P_PUNT_STEP) /* of a queue's ring */
#define P2P_PUNT_QUEUES 8     /* P2P_MAX_QUEUES */

/* A slot's line. */
#define P2P_PS_WHAT 0 /* [15:0] length, [19:16] port: punt: ingress, inject: egress; [31:24] punt: reason, enum p2p_punt */
#define P2P_PS_HOP 1  /* punt: the hop index that led here (route.h), P2P_PS_NO_HOP: none */
#define P2P_PS_RSVD 2
#define P2P_PS_SEQ 3
#define P2P_PS_NO_HOP 0xffffffffu
#define P2P_PS_WORD(len, port, reason) ((uint32_t)(len) | (uint32_t)(port) << 16 | (uint32_t)(reason) << 24)
#define P2P_PS_LEN(w) ((w) & 0xffff)
#define P2P_PS_PORT(w) (((w) >> 16) & 15)
#define P2P_PS_REASON(w) ((w) >> 24)

struct p2p_punt_slot {
	struct p2p_line line;
	uint8_t frame[P2P_PUNT_ROOM];
};
_Static_assert(sizeof(struct p2p_punt_slot) == P2P_PUNT_STEP, "layout");
_Static_assert(P2P_PUNT_ROOM >= P2P_MAX_FRAME, "any frame fits");

/* The NIC's line in a punt ring's head. */
#define P2P_PH_PROD 0   /* one past the last slot written, not later than at the next tick */
#define P2P_PH_INJECT 1 /* queue 0: inject slots before this are the host's again */
#define P2P_PH_ASLEEP 2
#define P2P_PH_SESSION 3

struct p2p_punt_ring {
	struct p2p_line head;
	uint8_t pad[4096 - 64];
	struct p2p_punt_slot slot[P2P_PUNT_SLOTS];
};
_Static_assert(sizeof(struct p2p_punt_ring) == P2P_PUNT_BYTES, "layout");
_Static_assert(P2P_PUNT_BYTES == 0x281000, "PUNT_RING's description");

/* The host's line of a punt ring. */
#define P2P_HL_CONS 0 /* slots before this are the NIC's again */
#define P2P_HL_ARM 1

/* The host's line of the inject ring. */
#define P2P_IL_PROD 0 /* one past the last slot filled */

struct p2p_inject_head {
	struct p2p_line punt[P2P_PUNT_QUEUES];
	struct p2p_line inject;
	uint8_t pad[4096 - 64 * (P2P_PUNT_QUEUES + 1)];
};
_Static_assert(sizeof(struct p2p_inject_head) == 4096, "layout");

#endif
