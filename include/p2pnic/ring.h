/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What two NICs share: descriptors, control lines, completion lines.
 *
 * For every ingress i and every egress port p of NIC j there is one ring of N
 * slots (N a power of two) in j's memory; ring index `ports` of j, one past its
 * last port, is the flood ring.  Slot k owns packet buffer k.
 *
 *      segment ring(i) of j, written by i alone
 *      +0     +----------------------------+
 *             | peer line                  |  i's heartbeat towards j
 *      +64    +----------------------------+
 *             | completion line [9]        |  i has consumed what j sent to i's port r
 *      +640   +----------------------------+
 *             | control line [9]           |  i as producer into j's ring r
 *      +2048  +----------------------------+
 *             | ring 0: N descriptors      |
 *             | ring 1: N descriptors      |
 *             | ...  ring `ports`: flood   |
 *             +----------------------------+
 *
 * OWNERSHIP  Every word of ring(i) is written by NIC i and read by NIC j, but
 *   for two moments: j zeroes the segment when a session with i begins, before
 *   it acknowledges i's incarnation, and i writes nothing but its peer line
 *   until it has seen that acknowledgement.  j in turn writes i's completion
 *   lines only when i has acknowledged j's own incarnation: a ring that opened
 *   before would outlive a session that j gives up without a new incarnation.
 *
 * VALIDITY  The slot that holds sequence number s is s mod N.  A descriptor is
 *   valid if and only if its seq equals the number that the consumer expects
 *   there.  Sequence numbers are free-running per ring, start at a number that
 *   the consumer chooses, and skip nothing; N divides 2^32.
 *
 * ORDERING  Writes of one DMA queue to one target become visible in the order
 *   in which they were finished.  The producer publishes a descriptor only
 *   after the payload's write has finished.  A descriptor becomes visible whole
 *   or with seq last; the consumer loads seq with acquire, then copies the rest
 *   once.  Every word of a line is stored with release, lowest word first.
 *
 * PLACEMENT  Where i's P2P_FLAG_CUT is on and a port of i has a static pair, i
 *   may give the slots that are its own to that port's cable as receive buffers,
 *   in order, before there are frames for them.  A frame that arrives so is in
 *   its slot already; its descriptor says PLACED and its checksum covers the
 *   descriptor alone (csum.h): nothing was moved that could have been lost, and
 *   the cable's far end may alter the bytes until the slot is completed.  A slot
 *   whose frame went elsewhere is published as VOID | PLACED, length 0, with the
 *   number of the next frame: the consumer completes it.  Only a consumer whose own
 *   P2P_FLAG_CUT is on takes PLACED; to any other it is a descriptor that makes
 *   no sense, so that nobody gets round the payload's check by setting a bit.
 *   With scrubbing on every slot is scrubbed before it is completed, whatever it
 *   held: its next frame may be placed or written.
 *
 * TRUST  All of it comes from another party.  Copy once, check, then use.
 *
 * Source: design section 3 "Rings", "Nothing gets stuck", "Life and death of
 * peers", "Waking", "Placement".
 */
#ifndef P2PNIC_RING_H
#define P2PNIC_RING_H

#include "types.h"

#define P2P_MAX_NICS 32
#define P2P_MAX_PORTS 8
#define P2P_MAX_RINGS (P2P_MAX_PORTS + 1) /* rings per (ingress, egress NIC): one a port and the flood ring */
#define P2P_MIN_SLOTS 64
#define P2P_MAX_SLOTS 16384
#define P2P_MAX_BATCH 64
#define P2P_MAX_FRAME 9728

/* Descriptor: 16 bytes, four words. */
struct p2p_desc {
	le32 w0;   /* P2P_D0_* */
	le32 csum; /* representative checksum over the slot's bytes, w0 but its NIC, where, seq (csum.h) */
	le32 where;/* P2P_DW_* */
	le32 seq;
};
_Static_assert(sizeof(struct p2p_desc) == 16, "descriptor is 16 bytes");
_Static_assert(offsetof(struct p2p_desc, csum) == 4, "layout");
_Static_assert(offsetof(struct p2p_desc, where) == 8, "layout");
_Static_assert(offsetof(struct p2p_desc, seq) == 12, "seq is last");

/* Writes all of it, in halves. */
static inline void p2p_desc_fill(struct p2p_desc *d, uint32_t w0, uint32_t csum, uint32_t where, uint32_t seq)
{
	const le64 half[2] = { to_le64(w0 | (uint64_t)csum << 32), to_le64(where | (uint64_t)seq << 32) };

	__builtin_memcpy(d, half, sizeof(half));
}

/* One half of a descriptor in shared memory, read once: where | seq << 32, and after it w0 | csum << 32. */
static inline uint64_t p2p_desc_high(const struct p2p_desc *at)
{
	uint64_t v = __atomic_load_n((const uint64_t *)(const void *)at + 1, __ATOMIC_ACQUIRE);
	le64 half;

	__builtin_memcpy(&half, &v, sizeof(half));
	return from_le64(half);
}

static inline uint64_t p2p_desc_low(const struct p2p_desc *at)
{
	uint64_t v = __atomic_load_n((const uint64_t *)(const void *)at, __ATOMIC_RELAXED);
	le64 half;

	__builtin_memcpy(&half, &v, sizeof(half));
	return from_le64(half);
}

/* Copies the descriptor of `seq` out of shared memory, once; false: it is not there. */
static inline bool p2p_desc_take(const struct p2p_desc *at, uint32_t seq, struct p2p_desc *d)
{
	uint64_t high = p2p_desc_high(at), low;

	if ((uint32_t)(high >> 32) != seq)
		return false;
	low = p2p_desc_low(at);
	p2p_desc_fill(d, (uint32_t)low, (uint32_t)(low >> 32), (uint32_t)high, seq);
	return true;
}

/*
 * w0   31....27 26..23 22....20 19..14 13........0
 *      NIC      egress ingress  flags  length
 *               port   port
 *
 * NIC is bn's alone: in a receive ring the egress NIC, in a send ring the
 * ingress NIC.  The host rewrites it, so the checksum leaves it out; elsewhere 0.
 */
#define P2P_D0_SUMMED 0x07ffffffu
#define P2P_D0_LEN(w) ((w) & 0x3fff) /* bytes in this slot */
#define P2P_D0_FLAGS(w) (((w) >> 14) & 0x3f)
#define P2P_D0_IN_PORT(w) (((w) >> 20) & 7)
#define P2P_D0_OUT_PORT(w) (((w) >> 23) & 15) /* P2P_PORT_FLOOD: the flood ring */
#define P2P_D0_NIC(w) (((w) >> 27) & 31)
#define P2P_D0(len, flags, in_port, out_port, nic) \
	((uint32_t)(len) | (uint32_t)(flags) << 14 | (uint32_t)(in_port) << 20 | (uint32_t)(out_port) << 23 | \
	 (uint32_t)(nic) << 27)
#define P2P_PORT_FLOOD 8

#define P2P_DF_MORE 0x01  /* the frame goes on in the next slot */
#define P2P_DF_CONT 0x02  /* the frame began in an earlier slot */
#define P2P_DF_FLOOD 0x04 /* for every port of the egress NIC */
#define P2P_DF_VOID 0x08  /* nothing to send; with FLOOD and length 0: forget all stations behind (ingress NIC, ingress
			   * port); with FLOOD and at least 14 bytes: the beginning of a frame, to learn from */
#define P2P_DF_HERE 0x10  /* rd: the payload is in the slot's own buffer already */
#define P2P_DF_PLACED 0x20 /* cut: the cable received it into the slot; the checksum leaves the payload out */

/* where: [23:0] rd, bn: payload's place in 64-byte units of the ingress's receive window (rd) or the host pool (bn) */
#define P2P_DW_UNIT 64
#define P2P_DW_PLACE(w) ((w) & 0xffffff)
#define P2P_DW_FRAME(w) ((w) >> 24) /* [31:24] the ring's frame number, mod 256: tells how many frames a hole was */
#define P2P_DW(place, frame) ((uint32_t)(place) | (uint32_t)((frame) & 0xff) << 24)

/* A line: 16 bytes written as one DMA, alone in its cache line. */
struct p2p_line {
	le32 w[4];
	uint8_t pad[48];
};
_Static_assert(sizeof(struct p2p_line) == 64, "one cache line");

/* Peer line, rewritten every P2P_BEAT_NS and whenever a word changes. */
#define P2P_PL_BEAT 0   /* counts */
#define P2P_PL_ASLEEP 1 /* the writer sleeps: ring its bell after writing descriptors (bit 0), completions (bit 1) */
#define P2P_PL_ACK 2    /* the reader's incarnation for which the writer has zeroed its rings; 0: none */
#define P2P_PL_INC 3    /* the writer's incarnation towards this reader, never 0 once written */

/* Completion line, written by the consumer. */
#define P2P_CL_RSVD 0
#define P2P_CL_POKE 1 /* the last control line's poke that was answered */
#define P2P_CL_CONS 2 /* every slot before this sequence number is the producer's again */
#define P2P_CL_INC 3  /* the producer's incarnation that this answers */

/* Control line, written by the producer when completions are overdue (and, bn's doorbell, once a batch). */
#define P2P_RL_RSVD 0
#define P2P_RL_PROD 1 /* one past the last slot written */
#define P2P_RL_POKE 2 /* changes when an answer is wanted */
#define P2P_RL_INC 3  /* the producer's incarnation */

struct p2p_ring_head {
	struct p2p_line peer;
	struct p2p_line comp[P2P_MAX_RINGS];
	struct p2p_line ctrl[P2P_MAX_RINGS];
	uint8_t pad[2048 - 64 * (1 + 2 * P2P_MAX_RINGS)];
};
_Static_assert(sizeof(struct p2p_ring_head) == 2048, "head of ring(i)");
_Static_assert(offsetof(struct p2p_ring_head, comp) == 64, "layout");
_Static_assert(offsetof(struct p2p_ring_head, ctrl) == 640, "layout");

#define P2P_BEAT_NS 10000000ull        /* heartbeat */
#define P2P_SILENCE_MS_MIN 30           /* SILENCE_MS: after this a peer is down */
#define P2P_SILENCE_MS_MAX 60000
#define P2P_POKE_MIN_NS 2000000ull     /* first timeout for overdue completions; doubles */
#define P2P_POKE_MAX_NS 1000000000ull

/*
 * bn.  Segment `doorbell` of every NIC, written by the host alone; the host
 * maps it and a write there reaches the NIC without a register access.
 *
 *   peer      the host's heartbeat (as a peer's)
 *   comp[x]   the host has consumed receive ring x (completion line)
 *   send[r]   the host as producer of send ring r (control line; prod is the doorbell)
 *   refill[x] prod: free-running count of buffers handed to ingress port x
 *             every slot of receive ring x takes one, in order
 *   ids       refill ring x: host_bufs entries at ids + x * host_bufs, each a place in P2P_DW_UNITs of the pool
 */
struct p2p_doorbell {
	struct p2p_line peer;
	struct p2p_line comp[P2P_MAX_RINGS];
	struct p2p_line send[P2P_MAX_RINGS];
	struct p2p_line refill[P2P_MAX_RINGS]; /* w[3] = prod, w[2] = the host's incarnation */
	uint8_t pad[2048 - 64 * (1 + 3 * P2P_MAX_RINGS)];
	le32 ids[];
};
_Static_assert(sizeof(struct p2p_doorbell) == 2048, "head of the doorbell segment");

/*
 * bn.  A NIC's area in host memory.  recv rings are written by the NIC, send
 * rings by the host; lines as named.  Descriptors follow the head: recv ring x
 * (x < ports) at 4096 + x * N * 16, then send ring r (r <= ports).
 */
struct p2p_host_area {
	struct p2p_line peer;                  /* the NIC's heartbeat, written by the NIC */
	struct p2p_line recv_ctrl[P2P_MAX_RINGS]; /* the NIC as producer of receive ring x */
	struct p2p_line send_comp[P2P_MAX_RINGS]; /* the NIC has consumed send ring r */
	uint8_t pad[4096 - 64 * (1 + 2 * P2P_MAX_RINGS)];
	struct p2p_desc desc[];
};
_Static_assert(sizeof(struct p2p_host_area) == 4096, "head of a NIC's host area");

#endif
