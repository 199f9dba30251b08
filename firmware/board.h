/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The board contract: everything firmware asks of the world.
 *
 * A board supplies "board_impl.h", found on the include path of the firmware
 * that is compiled for it.  It defines struct board_ctx, struct board_win and,
 * as static inlines wherever speed matters, every function declared in the
 * comments below.  Firmware is compiled once per board (see names.h).
 *
 * DMA.  Firmware submits a request and gets a token; board_done() says whether
 * the request and all before it on the same queue have finished.
 *   A finished write means that its source may be reused, and that later writes
 *   submitted to the same queue become visible after it.  A finished read means
 *   that the data are there.  A request before finishing may be carried out at
 *   any time; requests of one queue are carried out in order.
 *   A request outside the address map, without bus mastering, or without
 *   permission is a fault: the board counts it, a write vanishes, a read fills
 *   the destination with ones; it finishes all the same.
 *   A fabric may lose any write or read (then the destination is unchanged).
 *   Submit only what board_room() allows; lines are few and always taken.
 *   Token 0 is never handed out and always done: "nothing to wait for".
 *
 * A bus address with P2P_BUS_LOCAL set is an offset in this NIC's own BAR2: such a
 * DMA moves data within device memory and passes no address map.
 *
 * Nothing here blocks but board_idle's like, which belongs to the board: the
 * board calls fw_step() (fw.h) and sleeps when told until when it may.
 */
#ifndef FIRMWARE_BOARD_H
#define FIRMWARE_BOARD_H

#include <string.h>
#include <p2pnic/types.h>
#include <p2pnic/seg.h>
#include <p2pnic/ring.h>
#include <p2pnic/csum.h>
#include <p2pnic/layout.h>
#include <p2pnic/regs.h>
#include <p2pnic/route.h>

#define P2P_BUS_LOCAL (1ull << 63)

/* A DMA queue of a firmware context; requests of one are carried out in order. */
enum board_queue { BOARD_Q_WRITE, BOARD_Q_READ, BOARD_NUM_QUEUES };

/* What a request carries: for fault injection, traces and the simulator. */
#define BOARD_KINDS(X) \
	X(PAYLOAD, "payload") \
	X(DESC, "descriptors") \
	X(COMPLETION, "completion line") \
	X(CONTROL, "control line") \
	X(BEAT, "peer line")
enum board_kind {
#define X(name, desc) BOARD_KIND_##name,
	BOARD_KINDS(X)
#undef X
	BOARD_NUM_KINDS
};

/* Named steps whose cost a board may charge. */
#define BOARD_STEPS(X) \
	X(RX, "take a frame from a port") \
	X(LOOKUP, "choose the egress: pair or bridge table") \
	X(LEARN, "learn a source address") \
	X(RESERVE, "reserve a ring slot and fill its descriptor") \
	X(CSUM_WORD, "one word of a checksum") \
	X(DMA_ISSUE, "submit a DMA request") \
	X(POLL_RING, "look at a ring for a descriptor") \
	X(CHECK, "check a descriptor") \
	X(SCRUB_WORD, "overwrite one word of a completed slot") \
	X(COMPLETE, "complete a slot") \
	X(POLL_COMP, "look at a completion line") \
	X(TX, "give a frame to a port") \
	X(ROUTE, "judge an IP header, look the address up, write the new header")
enum board_step {
#define X(name, desc) BOARD_STEP_##name,
	BOARD_STEPS(X)
#undef X
	BOARD_NUM_STEPS
};

#include "board_impl.h"

/*
 * What board_impl.h must define (struct board_ctx *b throughout):
 *
 * struct board_win;
 *	An opened window onto bus addresses.  All-zero is a closed window: every access faults.
 * void board_win_open(b, struct board_win *w, uint64_t bus, uint64_t bytes);
 *	Remember the range.  Translation may wait until the first access and is
 *	redone whenever the address map has changed; opening never fails.
 *
 * uint32_t board_write(b, w, uint64_t off, const void *src, uint32_t len, enum board_kind kind);
 *	Plain bytes.  Returns the token, on BOARD_Q_WRITE.
 * uint32_t board_write_sum(b, w, off, const void *src, uint32_t len, uint32_t h, uint32_t stride, uint32_t *sum);
 *	Payload of one slot.  Moves len bytes rounded up to whole 64-byte units, or whole strides where the
 *	stride is larger, the tail zero; *sum is the running CRC32C over the sampled words (csum.h;
 *	h = p2p_mix(seq)), known at return.  src has room for the rounded length; its tail may be overwritten.
 * uint32_t board_write_descs(b, w, off, const struct p2p_desc *src, uint32_t n);
 *	n descriptors, each visible whole or seq last.
 * uint32_t board_write_line(b, w, off, const uint32_t words[4], enum board_kind kind);
 *	One line, taken by value.  Every word with release, lowest first.
 * uint32_t board_read(b, w, off, void *dst, uint32_t len, enum board_kind kind);
 *	Token on BOARD_Q_READ.
 * bool board_done(b, enum board_queue q, uint32_t token);
 * bool board_at_once(b);
 *	A constant.  True: every request has finished when the call that submits it returns, so that board_done() is
 *	always true and there is nothing to remember of a request.
 * uint32_t board_room(b, enum board_queue q);
 *	How many requests may be submitted now.  With nothing in flight at least 64 on BOARD_Q_WRITE
 *	(a batch of descriptors for every slot of a longest frame, and lines) and 32 on BOARD_Q_READ.
 *	Lines (board_write_line) are few and are always taken, room or not.
 *
 * uint32_t board_sum(b, uint8_t *mem, uint32_t len, uint32_t h, uint32_t stride);
 *	The running CRC32C over the sampled words of local memory, zeroing the tail of the last unit first.
 * uint32_t board_sum_check(b, const uint8_t *mem, uint32_t len, uint32_t h, uint32_t stride);
 *	The same without writing: the tail was zeroed by whoever moved it.
 * uint32_t board_sum_finish(uint32_t running, uint32_t w0, uint32_t where, uint32_t seq);
 *	The checksum (csum.h); masks w0 with P2P_D0_SUMMED.
 * void board_prefetch_read(const void *p);
 *
 * uint64_t board_now_ns(b);	 monotonic; constant within one fw_step()
 * uint32_t board_random(b);	 unpredictable to peers
 * void board_charge(b, enum board_step, uint32_t n);
 * void board_bell(b, unsigned peer);	wake a sleeping peer
 * void board_barrier(void);	full barrier: earlier stores before later loads, peers included
 * void board_event(b, enum board_vector, unsigned arg);	MSI-X towards the driver
 * uint64_t board_fault_count(b);	DMA faults so far
 * uint64_t board_news(b);	 a bit for each peer (bit P2P_MAX_NICS: bn's host) to whose segment ring(peer) something may have
 *	been written since the last call; all ones on boards that can't tell.  Hardware looks at every ring: firmware
 *	charges its looks at those that it passes over.
 *
 * Ports (segments as in <p2pnic/seg.h>; semantics of ports/port.h):
 * uint32_t board_rx_burst(b, port, struct p2p_seg *segs, uint32_t n);
 * uint32_t board_rx_post(b, port, const struct p2p_seg *segs, uint32_t n);
 * uint32_t board_tx_burst(b, port, const struct p2p_seg *segs, uint32_t n);
 * uint32_t board_tx_done(b, port);
 * bool board_link_up(b, port);
 *
 * Cut-through placement (cut.c).  A board that has it defines BOARD_CUT as 1 and the two functions below, and carries
 * out every write at once (board_done() is constant for BOARD_Q_WRITE).
 * int board_place(b, port, struct board_win *w, uint64_t bytes, uint8_t **base);
 *	From its next start on, the port's cable shall be able to receive into the first `bytes` of a window, as
 *	region 1 + NICs; w NULL: no more.  0, and *base is where they begin; -EOPNOTSUPP: this cable does not give
 *	buffers back in the order in which they were posted; -ENOENT: not memory that a cable may be given.  Before that
 *	memory goes the board calls fw_place_lost().
 * int board_port_restart(b, port);
 *	Stops the port and starts it again; it forgets every buffer.  0, or -errno: it is stopped.
 *
 * Bring-up, at a quiescent point, may take long:
 * int board_layout(b, const struct p2p_shape *shape);
 *	Make the segments of all planes, zeroed.  0, or -errno: there is no memory.  Replaces what was there.  Of a NIC with several
 *	contexts queue 0's makes and drops them; the others', between the two, find them made.
 * void *board_segment(b, unsigned seg);
 *	Of this context's plane (layout.h); p2p_seg_count() and the one after it: the segments route and inject of all contexts.
 * void *board_state(b, size_t bytes);
 *	Zeroed memory for firmware's own use until the next call or reset; NULL: none.
 * void *board_shared(b, size_t bytes);
 *	Memory that all contexts of a NIC have in common, zeroed when queue 0 takes it, as long as the layout; NULL: none.
 *	A board whose NICs can have several contexts defines BOARD_SHARED as 1 and this.
 * int board_ports_start(b);  void board_ports_stop(b);
 * void board_layout_drop(b);
 */
#ifndef BOARD_SHARED
static inline void *board_shared(struct board_ctx *b, size_t bytes)
{
	return (void *)0;
}
#endif
#ifndef BOARD_CUT
#define BOARD_CUT 0
static inline int board_place(struct board_ctx *b, unsigned int port, struct board_win *w, uint64_t bytes, uint8_t **base)
{
	return -2; /* ENOENT */
}

static inline int board_port_restart(struct board_ctx *b, unsigned int port)
{
	return 0;
}
#endif

/*
 * Routes.  Own one: BOARD_JUMP.
 *   board_jump_few	tiers of a route lookup (<p2pnic/route.h>) for n addresses, at most BOARD_JUMP_MOST: while there are
 *			some that jump and tiers left, e[k] = nodes[min(inf, last) + the next stride[t] bits of rest[k], the
 *			first highest] where e[k] jumps.  Strides 2 to 24, together 32 at most.  True: some jump on.  rest and e
 *			have room for n rounded up to a multiple of 32, whose values may change.
 */
#define BOARD_JUMP_MOST 64
#ifndef BOARD_JUMP
/* No branch depends on an address: who does not jump reads entry 0 and forgets it. */
static inline bool board_jump_few(const le32 *nodes, uint32_t last, const uint32_t *rest, uint32_t *e, uint32_t n,
				  const uint8_t *stride, unsigned int tiers)
{
	uint32_t k, was, at, found, any = P2P_NODE_JUMP;
	unsigned int t, left = 0;

	for (t = 0; t < tiers && any & P2P_NODE_JUMP; left += stride[t++]) {
		for (k = any = 0; k < n; k++) {
			was = e[k];
			at = was & ~P2P_NODE_JUMP;
			at = (at < last ? at : last) + (rest[k] << left >> (32 - stride[t]));
			at = was & P2P_NODE_JUMP ? at : 0;
			found = P2P_SWAP32(__atomic_load_n(&nodes[at].raw, __ATOMIC_RELAXED));
			e[k] = was & P2P_NODE_JUMP ? found : was;
			any |= e[k];
		}
	}
	return any & P2P_NODE_JUMP;
}
#endif

/*
 * Bursts: a few slots that lie side by side, `step` bytes apart, at a time, with consecutive sequence and frame numbers.
 * struct board_run says what they have in common.  Each is done here one by one; a board that gains by another way
 * defines BOARD_FEW as the name of a header with functions of its own.
 *   board_prefetch_few	n slots are soon written to
 *   board_fill_few	slots filled: the payload of slot k, from off + k * step on, is all of segs[k] (board_write_sum()), its
 *			descriptor d[k], with w0 and the length.  The token is the last one's.  n is 1 where writes don't end at once.
 *   board_describe_few	the descriptors alone, of payloads that are in their slots already and are not summed
 *   board_take_few	descriptors out of a ring, at[0..n), each once: how many of the first are there, have w0 but for the bits
 *			of `free`, and a length of 1 to `step` bytes; their halves that are not known beforehand go to f
 *   board_check_few	how many of the first n that board_take_few() took have the checksum of what lies from mem on, or, with
 *			mem NULL, of the descriptor alone
 */
#define BOARD_FEW_MAX 32

struct board_run {
	uint32_t w0;   /* without the length; its NIC is 0 */
	uint32_t seq;  /* of the first */
	uint8_t frame; /* its frame number; the place is 0 */
	uint32_t step, stride;
};

struct board_few {
	_Alignas(32) uint32_t w0[BOARD_FEW_MAX];
	uint32_t csum[BOARD_FEW_MAX];
	uint32_t longest, bytes; /* of all that were taken */
};

/* The first k are done; as the function without `each`. */
static inline uint32_t board_fill_each(struct board_ctx *b, struct board_win *w, uint64_t off, const struct board_run *r,
				       const struct p2p_seg *segs, uint32_t k, uint32_t n, struct p2p_desc *d)
{
	uint32_t tok = 0, sum;

	for (; k < n; k++) {
		uint32_t w0 = r->w0 | segs[k].len, where = P2P_DW(0, r->frame + k), seq = r->seq + k;

		tok = board_write_sum(b, w, off + (uint64_t)k * r->step, segs[k].data, segs[k].len, p2p_mix(seq), r->stride, &sum);
		p2p_desc_fill(&d[k], w0, board_sum_finish(sum, w0, where, seq), where, seq);
	}
	return tok;
}

static inline void board_describe_each(const struct board_run *r, const struct p2p_seg *segs, uint32_t n, struct p2p_desc *d)
{
	uint32_t k;

	for (k = 0; k < n; k++) {
		uint32_t w0 = r->w0 | segs[k].len, where = P2P_DW(0, r->frame + k), seq = r->seq + k;

		p2p_desc_fill(&d[k], w0, board_sum_finish(~0u, w0, where, seq), where, seq);
	}
}

static inline uint32_t board_take_each(const struct p2p_desc *at, const struct board_run *r, uint32_t free, uint32_t k,
				       uint32_t n, struct board_few *f)
{
	uint32_t len;
	uint64_t low;

	for (; k < n; k++) {
		if (p2p_desc_high(&at[k]) != (P2P_DW(0, r->frame + k) | (uint64_t)(r->seq + k) << 32))
			break;
		low = p2p_desc_low(&at[k]);
		len = P2P_D0_LEN((uint32_t)low);
		if (((uint32_t)low ^ r->w0) & ~free || len - 1 >= r->step)
			break;
		f->w0[k] = (uint32_t)low;
		f->csum[k] = (uint32_t)(low >> 32);
		f->longest = len > f->longest ? len : f->longest;
		f->bytes += len;
	}
	return k;
}

static inline uint32_t board_check_each(struct board_ctx *b, const uint8_t *mem, const struct board_run *r, uint32_t n,
					const struct board_few *f)
{
	uint32_t k, sum = ~0u;

	for (k = 0; k < n; k++) {
		if (mem)
			sum = board_sum_check(b, mem + (size_t)k * r->step, P2P_D0_LEN(f->w0[k]), p2p_mix(r->seq + k), r->stride);
		if (board_sum_finish(sum, f->w0[k], P2P_DW(0, r->frame + k), r->seq + k) != f->csum[k])
			break;
	}
	return k;
}

#ifdef BOARD_FEW
#include BOARD_FEW
#else
static inline void board_prefetch_few(struct board_ctx *b, struct board_win *w, uint64_t off, uint32_t step, uint32_t n)
{
}

static inline uint32_t board_fill_few(struct board_ctx *b, struct board_win *w, uint64_t off, const struct board_run *r,
				      const struct p2p_seg *segs, uint32_t n, struct p2p_desc *d)
{
	return board_fill_each(b, w, off, r, segs, 0, n, d);
}

static inline void board_describe_few(const struct board_run *r, const struct p2p_seg *segs, uint32_t n, struct p2p_desc *d)
{
	board_describe_each(r, segs, n, d);
}

static inline uint32_t board_take_few(const struct p2p_desc *at, const struct board_run *r, uint32_t free, uint32_t n,
				      struct board_few *f)
{
	f->longest = f->bytes = 0;
	return board_take_each(at, r, free, 0, n, f);
}

static inline uint32_t board_check_few(struct board_ctx *b, const uint8_t *mem, const struct board_run *r, uint32_t n,
				       const struct board_few *f)
{
	return board_check_each(b, mem, r, n, f);
}
#endif

enum board_vector { BOARD_VEC_LINK, BOARD_VEC_FAULT, BOARD_VEC_PUNT, BOARD_NUM_VECTORS };

#endif
