/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The consuming side of a ring: take descriptors, verify, put frames together,
 * complete slots.
 *
 *      told       done         next         fetch
 *       | complete | held by     | reads under | not looked at
 *       |          | port, flood | way (rd,bn) |
 *
 * A frame is counted lost exactly once.  Every descriptor carries its frame's
 * number mod 256, holes that follow each other are fewer than half of that
 * (cons_is_later()), so the number of frames that began in a hole is the
 * difference between the number seen and the one expected (cons_gap()).
 *
 * wr fetches nothing: there `fetch` stays where the session began, and may be
 * any distance from `next`.
 */
#include "nic.h"

/* Of the 256 frame numbers those less than half ahead are believed: so many slots may be given up together. */
#define CONS_HOLES_MAX 127u

static void cons_lose(struct fw_nic *n, enum p2p_drop why, uint32_t frames)
{
	fw_drop(n, why, frames);
	n->consumed += frames;
}

void fw_cons_tell(struct fw_nic *n, struct fw_peer *peer, struct fw_cons *c)
{
	uint32_t line[4];

	line[P2P_CL_RSVD] = 0;
	line[P2P_CL_POKE] = c->poke;
	line[P2P_CL_CONS] = c->done;
	line[P2P_CL_INC] = peer->seen;
	board_charge(n->board, BOARD_STEP_DMA_ISSUE, 1);
	fw_wake_after(n, c->peer, board_write_line(n->board, &peer->win_ring, c->comp_off, line, BOARD_KIND_COMPLETION), true);
	fw_event(n, P2P_EV_completion_bytes, 16);
	c->told = c->done;
	n->wrote = true;
}

void fw_cons_scrub(struct fw_nic *n, struct fw_cons *c, uint32_t slot, uint32_t seq, uint32_t units)
{
	uint8_t *buf = c->bufs + (size_t)slot * c->buf_size;
	uint32_t h = p2p_mix(seq), unit;
	le32 word;

	for (unit = 0; unit < units; unit++) {
		word = to_le32(p2p_scrub_word(n->scrub_key, seq, unit));
		memcpy(buf + unit * n->stride + p2p_sample_offset(h, unit, n->stride), &word, 4);
	}
	board_charge(n->board, BOARD_STEP_SCRUB_WORD, units);
	fw_event(n, P2P_EV_scrubs, 1);
}

/* The whole slot that will take `seq`, whose length nobody knows yet. */
static void cons_scrub(struct fw_nic *n, struct fw_cons *c, uint32_t seq)
{
	fw_cons_scrub(n, c, seq & c->mask, seq, c->buf_size / n->stride);
}

void fw_cons_open(struct fw_nic *n, struct fw_peer *peer, struct fw_cons *c)
{
	uint32_t base, slot;

	/* Slots of the former session may still lie in a port: their buffers are not the producer's yet. */
	c->opening = true;
	for (slot = 0; slot <= c->mask; slot++)
		if (c->pend[slot])
			return;
	if (!board_done(n->board, BOARD_Q_READ, n->last_read))
		return;
	c->opening = false;

	/* Far from the former session's numbers, and no number of the first lap is what zeroed memory holds. */
	base = c->next + 0x80000000u + (board_random(n->board) >> 4);
	if (base + c->mask + 1 < base || !base)
		base = c->mask + 2;
	c->next = c->fetch = c->dfetch = c->done = c->told = c->published = base;
	c->poke = 0;
	c->expect = 0;
	c->wrong = c->doubts = 0;
	memset(&c->stale, 0, sizeof(c->stale));
	if (n->mode == P2P_MODE_BN)
		c->base = c->bad_prod = base;
	c->active = c->gap = false;
	c->deficit = 0;
	if (n->scrub && n->mode != P2P_MODE_BN) /* bn.c scrubs what it fetches */
		for (slot = 0; slot <= c->mask; slot++)
			cons_scrub(n, c, base + slot);
	c->open = true;
	if (peer->state == P2P_PEER_UP)
		fw_cons_tell(n, peer, c);
}

static void cons_drop_active(struct fw_nic *n, struct fw_cons *c, enum p2p_drop why)
{
	unsigned int k;

	for (k = 0; k < c->nsegs; k++)
		c->pend[c->slot[k] & c->mask]--;
	c->active = false;
	cons_lose(n, why, 1);
}

void fw_cons_close(struct fw_nic *n, struct fw_cons *c)
{
	uint32_t s;

	c->opening = false;
	if (!c->open)
		return;
	c->open = c->gap = false;
	if (c->active)
		cons_drop_active(n, c, P2P_DROP_peer_lost);
	for (s = c->next; n->mode != P2P_MODE_WR && s != c->fetch; s++)
		c->pend[s & c->mask] = 0;
	c->fetch = c->dfetch = c->next;
}

/* Past the next slot, which is given up.  How many frames it was the next right descriptor tells; until then it is not completed. */
static void cons_pass(struct fw_nic *n, struct fw_cons *c, enum p2p_drop why)
{
	if (!c->gap) {
		c->gap_at = c->next;
		c->wrong = 0;
	}
	c->gap = true;
	if (c->active)
		cons_drop_active(n, c, why);
	else
		c->wrong += why == P2P_DROP_csum_mismatch;
	c->next++;
	n->completing |= FW_BIT(c->peer);
}

static void cons_hole(struct fw_nic *n, struct fw_cons *c)
{
	fw_event(n, P2P_EV_holes, 1);
	cons_pass(n, c, P2P_DROP_desc_lost);
}

/* Frames that began and ended unseen before frame number g; more than half the numbers: g is not to be believed. */
static void cons_gap(struct fw_nic *n, struct fw_cons *c, uint8_t g, unsigned int also)
{
	uint32_t lost = (uint8_t)(g - c->expect), wrong;

	/* A send ring mixes ingresses, each with its own numbers; it has no holes. */
	if (lost > CONS_HOLES_MAX || n->mode == P2P_MODE_BN)
		return;
	wrong = c->wrong < lost + also ? c->wrong : lost + also;
	if (wrong)
		cons_lose(n, P2P_DROP_csum_mismatch, wrong);
	if (lost + also > wrong)
		cons_lose(n, P2P_DROP_desc_lost, lost + also - wrong);
	c->expect = (uint8_t)(g + also);
}

static inline bool cons_fields_ok(const struct fw_nic *n, const struct fw_cons *c, uint32_t w0)
{
	uint32_t len = P2P_D0_LEN(w0), flags = P2P_D0_FLAGS(w0);
	uint32_t out = c->ring == n->ports ? P2P_PORT_FLOOD : c->ring;

	if (len > c->buf_size)
		return false;
	if (p2p_unlikely(flags & P2P_DF_PLACED)) {
		if (!n->cut || c->ring == n->ports || P2P_D0_OUT_PORT(w0) != out)
			return false;
		return flags & P2P_DF_VOID ? !len : len != 0;
	}
	if (flags & P2P_DF_VOID)
		return c->ring == n->ports && (len == 0 || len >= 14) && !(flags & (P2P_DF_MORE | P2P_DF_CONT));
	if (n->mode == P2P_MODE_BN)
		return len && (P2P_D0_OUT_PORT(w0) == out || (flags & P2P_DF_FLOOD));
	return len && P2P_D0_OUT_PORT(w0) == out;
}

/* The running sum over a slot's payload, which nobody moved where it was placed; h = p2p_mix(its seq). */
static inline uint32_t cons_sum(struct fw_nic *n, uint32_t w0, uint32_t h, const uint8_t *buf)
{
	if (p2p_unlikely(P2P_D0_FLAGS(w0) & P2P_DF_PLACED) && n->cut)
		return ~0u;
	return board_sum_check(n->board, buf, P2P_D0_LEN(w0), h, n->stride);
}

/* Is the checksum of descriptor d that of what lies at buf?  No more than a buffer is looked at. */
static inline bool cons_sum_ok(struct fw_nic *n, const struct p2p_desc *d, const uint8_t *buf, uint32_t buf_size)
{
	uint32_t w0 = from_le32(d->w0), len = P2P_D0_LEN(w0), seq = from_le32(d->seq), sum;

	if (p2p_unlikely(len > buf_size))
		return false;
	board_charge(n->board, BOARD_STEP_CSUM_WORD, FW_CSUM_WORDS(n, len));
	sum = cons_sum(n, w0, p2p_mix(seq), buf);
	return board_sum_finish(sum, w0, from_le32(d->where), seq) == from_le32(d->csum);
}

static inline uint8_t *cons_buf(const struct fw_cons *c, uint32_t slot)
{
	return c->bufs + (size_t)slot * c->buf_size;
}

/* By its sequence number alone. */
static inline bool cons_is_there(const struct fw_cons *c, uint32_t seq)
{
	return le32_load_acquire(&c->descs[seq & c->mask].seq) == seq;
}

/* wr: a wrong one stays wrong until it is written anew, and is not summed at each look at an empty ring. */
static bool cons_is_right(struct fw_nic *n, struct fw_cons *c, uint32_t at, const struct p2p_desc *d)
{
	if (n->mode != P2P_MODE_WR)
		return true;
	if (!memcmp(d, &c->stale, sizeof(*d)))
		return false;
	if (cons_sum_ok(n, d, cons_buf(c, at & c->mask), c->buf_size))
		return true;
	c->stale = *d;
	return false;
}

/*
 * Is a slot behind `at` written?  Two batches ahead is as far as is looked, and no further than lost frames can be counted.  A number
 * alone does not say so: with one bit wrong it is that of the slot's next lap.  rd knows no better before it has read the payload
 * (cons_fetched_right()).
 */
static bool cons_is_later(struct fw_nic *n, struct fw_cons *c, uint32_t at)
{
	uint32_t k, ahead = 2 * n->batch < P2P_MAX_SEGS ? P2P_MAX_SEGS : 2 * n->batch;
	struct p2p_desc d;

	if (ahead > CONS_HOLES_MAX)
		ahead = CONS_HOLES_MAX;
	for (k = 1; k <= ahead && at + k - c->done <= c->mask; k++)
		if (p2p_desc_take(&c->descs[(at + k) & c->mask], at + k, &d) && cons_is_right(n, c, at + k, &d))
			return true;
	return false;
}

static bool cons_is_hole(struct fw_nic *n, struct fw_cons *c, uint32_t at)
{
	return n->scrub && cons_is_later(n, c, at) && !cons_is_there(c, at);
}

/*
 * Has the producer written the next slot, whose checksum is wrong?  Else what lies there may be of the lap before, with a wrong bit
 * in its number, and whoever takes it is ahead of the producer for good.  A control line says how far it is; it comes after
 * all descriptors before that have been written once more.
 */
static bool cons_is_published(const struct fw_cons *c)
{
	return c->published - c->next - 1 <= c->mask;
}

/* The lowest frame number that the next slot can have: a frame that has begun goes on. */
static uint8_t cons_first(const struct fw_cons *c, uint32_t flags)
{
	return (uint8_t)(c->expect - (c->active || (flags & P2P_DF_CONT) ? 1 : 0));
}

/* Can the slots that were given up before the next one have held so many frames? */
static bool cons_frame_fits(const struct fw_cons *c, const struct p2p_desc *d)
{
	uint32_t holes = c->gap ? c->next - c->gap_at : 0;
	uint8_t g = (uint8_t)P2P_DW_FRAME(from_le32(d->where));

	return c->active || (uint8_t)(g - cons_first(c, P2P_D0_FLAGS(from_le32(d->w0)))) <= holes;
}

/*
 * What becomes of the next slot, whose checksum is wrong.  If one behind it is right it is passed: that one's frame number says
 * how many were lost, whatever this descriptor says.
 */
enum cons_wrong { CONS_WAIT, CONS_PASS, CONS_COUNT };

/*
 * With none behind it is counted by its own descriptor, which is right if only the payload was lost.  One whose frame number cannot be
 * here is wrong itself, and comes again with the next poke; if not with the third, it is counted all the same.
 */
static enum cons_wrong cons_verdict(const struct fw_nic *n, const struct fw_cons *c, const struct p2p_desc *d)
{
	if (!n->scrub || n->mode == P2P_MODE_BN)
		return CONS_COUNT;
	if (!cons_is_published(c))
		return CONS_WAIT;
	return cons_frame_fits(c, d) || (c->doubt_at == c->next && c->doubts >= FW_DOUBTS) ? CONS_COUNT : CONS_WAIT;
}

/* wr: the same of slot and descriptor d, which may have come anew meanwhile. */
__attribute__((noinline, cold))
static enum cons_wrong cons_wrong(struct fw_nic *n, struct fw_cons *c, const struct p2p_desc *d)
{
	struct p2p_desc now;

	if (!n->scrub || !cons_is_later(n, c, c->next))
		return cons_verdict(n, c, d);
	if (p2p_desc_take(&c->descs[c->next & c->mask], c->next, &now) && from_le32(now.csum) == from_le32(d->csum))
		return CONS_PASS;
	n->look_again |= FW_BIT(c->peer);
	return CONS_WAIT;
}

/* What a slot with a wrong checksum was: its payload may be lost, and the descriptor right, or the descriptor is wrong. */
static void cons_guess(const struct fw_nic *n, const struct fw_cons *c, uint32_t *flags, uint8_t *g)
{
	uint32_t holes = c->gap ? c->next - c->gap_at : 0;
	uint8_t first;

	if (c->active)
		*flags |= P2P_DF_CONT;
	if (c->active || (c->ring != n->ports && !n->cut))
		*flags &= ~(uint32_t)P2P_DF_VOID;
	first = cons_first(c, *flags);
	if (c->active || (uint8_t)(*g - first) > holes)
		*g = first;
}

/* One slot, already out of the ring; sum_ok: its checksum is right.  Returns 1 if it ends a frame. */
static int cons_judge_summed(struct fw_nic *n, struct fw_cons *c, const struct p2p_desc *d, bool sum_ok)
{
	uint32_t w0 = from_le32(d->w0), flags = P2P_D0_FLAGS(w0), slot;
	uint8_t g = (uint8_t)P2P_DW_FRAME(from_le32(d->where));
	bool ok = sum_ok && cons_fields_ok(n, c, w0);

	if (p2p_unlikely(!sum_ok) && n->mode != P2P_MODE_BN)
		cons_guess(n, c, &flags, &g);
	slot = c->next++ & c->mask;
	if (!c->gap)
		c->wrong = 0;
	c->gap = false;
	n->completing |= FW_BIT(c->peer);
	board_charge(n->board, BOARD_STEP_CHECK, 1);
	if (p2p_unlikely(flags & P2P_DF_VOID)) {
		if (c->active)
			cons_drop_active(n, c, P2P_DROP_desc_lost);
		cons_gap(n, c, g, 0);
		if (!ok || (flags & P2P_DF_PLACED))
			return 0;
		c->nsegs = 1;
	} else if (p2p_likely(!(flags & P2P_DF_CONT))) {
		if (p2p_unlikely(c->active))
			cons_drop_active(n, c, P2P_DROP_desc_lost);
		if (p2p_unlikely(g != c->expect))
			cons_gap(n, c, g, 0);
		c->expect = (uint8_t)(g + 1);
		c->active = true;
		c->nsegs = 0;
		c->bytes = 0;
		c->w0 = w0;
	} else if (!c->active || g != (uint8_t)(c->expect - 1)) {
		if (c->active)
			cons_drop_active(n, c, P2P_DROP_desc_lost);
		if (g != (uint8_t)(c->expect - 1))
			cons_gap(n, c, g, 1);
		return 0;
	}
	if (p2p_unlikely(flags & P2P_DF_VOID)) {
		c->w0 = w0;
	} else if (p2p_unlikely(!ok || c->nsegs == P2P_MAX_SEGS)) {
		cons_drop_active(n, c, !sum_ok ? P2P_DROP_csum_mismatch : P2P_DROP_bad_desc);
		return 0;
	} else {
		c->nsegs++;
	}
	c->pend[slot] = 1;
	c->seg[c->nsegs - 1] = (struct p2p_seg){ .data = cons_buf(c, slot), .len = P2P_D0_LEN(w0), .region = c->region,
						 .flags = flags & P2P_DF_MORE ? P2P_SEG_MORE : 0 };
	c->slot[c->nsegs - 1] = slot;
	c->bytes += P2P_D0_LEN(w0);
	if (flags & P2P_DF_MORE)
		return 0;
	if (!(flags & P2P_DF_VOID)) {
		c->active = false;
		n->consumed++;
	}
	return 1;
}

/* rd: submit the read of one slot's payload.  False: the descriptor makes no sense. */
static bool cons_read(struct fw_nic *n, struct fw_peer *peer, struct fw_cons *c, const struct p2p_desc *d, uint32_t slot)
{
	uint32_t w0 = from_le32(d->w0), len = P2P_D0_LEN(w0), unit = n->stride > P2P_DW_UNIT ? n->stride : P2P_DW_UNIT;
	uint64_t off = (uint64_t)P2P_DW_PLACE(from_le32(d->where)) * P2P_DW_UNIT;
	uint32_t bytes = P2P_ALIGN_UP(len, unit);

	c->tok[slot] = 0;
	if (!len || (P2P_D0_FLAGS(w0) & P2P_DF_HERE))
		return true;
	if (len > c->buf_size || off + bytes > peer->rx_bytes)
		return false;
	board_charge(n->board, BOARD_STEP_DMA_ISSUE, 1);
	n->last_read = board_read(n->board, &peer->win_rx, off, c->bufs + (size_t)slot * c->buf_size, bytes,
				  BOARD_KIND_PAYLOAD);
	c->tok[slot] = n->last_read;
	fw_event(n, c->peer == n->self ? P2P_EV_local_bytes : P2P_EV_p2p_bytes, len);
	return true;
}

/* True: the ring has no more. */
static bool cons_fetch(struct fw_nic *n, struct fw_peer *peer, struct fw_cons *c)
{
	uint32_t slot;

	while (c->fetch - c->next < FW_RD_WINDOW && c->fetch - c->done <= c->mask && board_room(n->board, BOARD_Q_READ)) {
		slot = c->fetch & c->mask;
		board_charge(n->board, BOARD_STEP_POLL_RING, 1);
		if (!p2p_desc_take(&c->descs[slot], c->fetch, &c->copy[slot])) {
			if (!cons_is_hole(n, c, c->fetch))
				return true;
			c->pend[slot] = FW_HOLE;
			c->fetch++;
			continue;
		}
		if (!cons_read(n, peer, c, &c->copy[slot], slot))
			c->copy[slot].csum = to_le32(~from_le32(c->copy[slot].csum));
		c->fetch++;
	}
	return false;
}

/* rd: slot s was fetched as a hole, or has a wrong checksum.  Is there another descriptor now? */
static bool cons_is_new(const struct fw_cons *c, uint32_t s)
{
	const struct p2p_desc *copy = &c->copy[s & c->mask];
	struct p2p_desc d;

	if (!p2p_desc_take(&c->descs[s & c->mask], s, &d))
		return false;
	/* cons_fetch() turned the checksum of what makes no sense. */
	return c->pend[s & c->mask] == FW_HOLE || from_le32(d.w0) != from_le32(copy->w0) ||
	       from_le32(d.where) != from_le32(copy->where) ||
	       (from_le32(d.csum) != from_le32(copy->csum) && from_le32(d.csum) != ~from_le32(copy->csum));
}

/* rd: from the next slot on, as if nothing had been read. */
static void cons_refetch(struct fw_nic *n, struct fw_cons *c)
{
	uint32_t s, slot;

	for (s = c->next; s != c->fetch; s++) {
		slot = s & c->mask;
		if (c->pend[slot] == FW_HOLE)
			c->pend[slot] = 0;
		else if (!(P2P_D0_FLAGS(from_le32(c->copy[slot].w0)) & P2P_DF_HERE))
			cons_scrub(n, c, s);
	}
	c->fetch = c->next;
}

/*
 * rd: the next slot is a hole, or its checksum is wrong.  1: one behind it was fetched that is right, so the producer has written
 * the next one, too.  0: none.  -1: look again, there is more to fetch, or what was fetched was written anew.
 */
static int cons_fetched_right(struct fw_nic *n, struct fw_cons *c)
{
	const bool here = cons_is_new(c, c->next);
	bool reading = false, anew = here;
	uint32_t s, slot;

	for (s = c->next + 1; s != c->fetch; s++) {
		slot = s & c->mask;
		if (c->pend[slot] != FW_HOLE) {
			if (!board_done(n->board, BOARD_Q_READ, c->tok[slot])) {
				reading = true;
				continue;
			}
			if (!here && cons_sum_ok(n, &c->copy[slot], cons_buf(c, slot), c->buf_size))
				return 1;
		}
		anew |= cons_is_new(c, s);
	}
	if (anew && !reading)
		cons_refetch(n, c);
	if (!anew && !reading)
		return 0;
	n->look_again |= FW_BIT(c->peer);
	return -1;
}

/* rd, bn: the next slot whose read has finished.  1 judged a frame, 0 nothing, -1 go on. */
static int cons_poll_fetched(struct fw_nic *n, struct fw_peer *peer, struct fw_cons *c)
{
	uint32_t slot = c->next & c->mask;
	enum cons_wrong wrong = CONS_COUNT;
	bool dry = false, hole, sum_ok;

	if (n->mode == P2P_MODE_BN)
		fw_bn_fetch(n, peer, c);
	else
		dry = cons_fetch(n, peer, c);
	if (!dry)
		n->look_again |= FW_BIT(c->peer);
	if (c->next == c->fetch)
		return 0;
	hole = c->pend[slot] == FW_HOLE;
	if (!hole && !board_done(n->board, BOARD_Q_READ, c->tok[slot])) {
		n->look_again |= FW_BIT(c->peer);
		return 0;
	}
	sum_ok = !hole && cons_sum_ok(n, &c->copy[slot], cons_buf(c, slot), c->buf_size);
	if (p2p_unlikely(!sum_ok)) {
		int later = n->scrub && n->mode != P2P_MODE_BN ? cons_fetched_right(n, c) : 0;

		wrong = later > 0 ? CONS_PASS : later < 0 || hole ? CONS_WAIT : cons_verdict(n, c, &c->copy[slot]);
		if (wrong == CONS_WAIT)
			return 0;
	}
	n->look_again |= FW_BIT(c->peer);
	if (hole) {
		c->pend[slot] = 0;
		cons_hole(n, c);
		return -1;
	}
	if (wrong == CONS_PASS) {
		cons_pass(n, c, P2P_DROP_csum_mismatch);
		return -1;
	}
	return cons_judge_summed(n, c, &c->copy[slot], sum_ok) ? 1 : -1;
}

int fw_cons_poll(struct fw_nic *n, struct fw_peer *peer, struct fw_cons *c)
{
	enum cons_wrong wrong;
	struct p2p_desc d;
	bool sum_ok;
	int got;

	if (!c->open)
		return 0;
	if (n->mode != P2P_MODE_WR) {
		do
			got = cons_poll_fetched(n, peer, c);
		while (got < 0);
		return got;
	}
	for (;;) {
		board_charge(n->board, BOARD_STEP_POLL_RING, 1);
		if (!p2p_desc_take(&c->descs[c->next & c->mask], c->next, &d)) {
			if (!cons_is_hole(n, c, c->next))
				return 0;
			cons_hole(n, c);
			continue;
		}
		if (c->next - c->done > c->mask) {
			n->look_again |= FW_BIT(c->peer);
			return 0;
		}
		sum_ok = cons_sum_ok(n, &d, cons_buf(c, c->next & c->mask), c->buf_size);
		wrong = sum_ok ? CONS_COUNT : cons_wrong(n, c, &d);
		if (p2p_unlikely(wrong == CONS_WAIT))
			return 0;
		if (p2p_unlikely(wrong == CONS_PASS))
			cons_pass(n, c, P2P_DROP_csum_mismatch);
		else if (cons_judge_summed(n, c, &d, sum_ok))
			return 1;
	}
}

static void cons_hold(struct fw_cons *c, uint32_t slot, uint32_t count)
{
	uint32_t room = c->mask + 1 - slot;

	memset(&c->pend[slot], 1, count < room ? count : room);
	if (count > room)
		memset(c->pend, 1, count - room);
}

/* Of a frame of one slot, all of w0 but its length and ingress port is known beforehand. */
#define CONS_FREE P2P_D0(0x3fff, 0, 7, 0, 0)

/* Why a burst ended: no more wanted, or not that simple; the ring is empty; the payload of *bad is not what was sent. */
enum cons_end { CONS_MORE, CONS_DRY, CONS_BAD };

/* Of the next descriptor, whatever number it has. */
static inline bool cons_placed_next(const struct fw_nic *n, const struct fw_cons *c)
{
	return n->cut && c->ring != n->ports && P2P_D0_FLAGS((uint32_t)p2p_desc_low(&c->descs[c->next & c->mask])) & P2P_DF_PLACED;
}

/* How many of equal length use up the deficit. */
static inline uint32_t cons_afford(int32_t deficit, uint32_t len)
{
	return ((uint32_t)deficit - 1) / (len ? len : 1) + 1;
}

/* Of the first `count` frames, as many as go before the deficit is used up. */
static inline uint32_t cons_within(const struct board_few *f, uint32_t count, int32_t deficit)
{
	uint32_t k = 0;

	if (p2p_likely(f->bytes <= (uint32_t)deficit))
		return count;
	while (k < count && deficit > 0)
		deficit -= (int32_t)P2P_D0_LEN(f->w0[k++]);
	return k;
}

static inline void cons_segs(struct fw_nic *n, struct fw_cons *c, const struct board_few *f, uint32_t count,
			     struct p2p_seg *seg)
{
	const uint32_t step = c->buf_size;
	const uint16_t region = c->region;
	uint8_t *buf = cons_buf(c, c->next & c->mask);
	uint32_t bytes = 0;

#pragma GCC unroll 4
	for (uint32_t k = 0; k < count; k++, buf += step) {
		uint32_t len = P2P_D0_LEN(f->w0[k]);

		board_charge(n->board, BOARD_STEP_CSUM_WORD, FW_CSUM_WORDS(n, len));
		bytes += len;
		p2p_seg_set(&seg[k], buf, len, 0, region);
	}
	c->deficit -= (int32_t)bytes;
}

/* As prod_burst(): many at a time, each thing for all of them. */
static inline enum cons_end cons_take(struct fw_nic *n, struct fw_cons *c, struct p2p_seg *seg, uint32_t max, uint32_t *got,
				      struct p2p_desc *bad)
{
	const uint32_t mask = c->mask, begin = c->next, out = c->ring == n->ports ? P2P_PORT_FLOOD : c->ring;
	struct board_run run = { .step = c->buf_size, .stride = n->stride };
	enum cons_end end = CONS_MORE;
	uint32_t most, there, good, k;
	const struct p2p_desc *at;
	struct board_few f;
	bool placed;

	do {
		at = &c->descs[c->next & mask];
		most = max - (c->next - begin) < FW_FEW ? max - (c->next - begin) : FW_FEW;
		most = most < mask + 1 - (c->next & mask) ? most : mask + 1 - (c->next & mask);
		k = cons_afford(c->deficit, P2P_D0_LEN((uint32_t)p2p_desc_low(at)));
		most = most < k ? most : k;
		placed = cons_placed_next(n, c);
		run.w0 = P2P_D0(0, placed ? P2P_DF_PLACED : 0, 0, out, 0);
		run.seq = c->next;
		run.frame = c->expect;
		there = board_take_few(at, &run, CONS_FREE, most, &f);
		good = board_check_few(n->board, placed ? NULL : cons_buf(c, c->next & mask), &run, there, &f);
		k = cons_within(&f, good, c->deficit);
		cons_segs(n, c, &f, k, seg);
		board_charge(n->board, BOARD_STEP_POLL_RING, k);
		board_charge(n->board, BOARD_STEP_CHECK, k);
		board_charge(n->board, BOARD_STEP_TX, k);
		seg += k;
		c->next += k;
		c->expect = (uint8_t)(c->expect + k);
		if (p2p_unlikely(good != there && k == good)) {
			board_charge(n->board, BOARD_STEP_CSUM_WORD, FW_CSUM_WORDS(n, P2P_D0_LEN(f.w0[k])));
			board_charge(n->board, BOARD_STEP_POLL_RING, 1);
			p2p_desc_fill(bad, f.w0[k], f.csum[k], P2P_DW(0, c->expect), c->next);
			end = CONS_BAD;
			break;
		}
	} while (k == most && c->next - begin != max && c->deficit > 0);
	if (end == CONS_MORE && k != most && c->deficit > 0 && p2p_desc_high(&c->descs[c->next & mask]) >> 32 != c->next &&
	    !cons_is_hole(n, c, c->next)) {
		board_charge(n->board, BOARD_STEP_POLL_RING, 1);
		end = CONS_DRY;
	}
	*got = c->next - begin;
	return end;
}

unsigned int fw_cons_burst(struct fw_nic *n, struct fw_cons *c, struct p2p_seg *segs, unsigned int max, uint32_t *first,
			   bool *dry)
{
	uint32_t got, left = c->done + c->mask + 1 - c->next;
	struct p2p_desc bad = { .w0 = to_le32(0) };
	enum cons_wrong wrong;
	enum cons_end end;

	*dry = false;
	if (c->active)
		return 0;
	*first = c->next & c->mask;
	end = cons_take(n, c, segs, max < left ? max : left, &got, &bad);
	*dry = end == CONS_DRY;
	if (got) {
		c->gap = false;
		cons_hold(c, *first, got);
		n->completing |= FW_BIT(c->peer);
		n->consumed += got;
	}
	if (end == CONS_BAD) {
		wrong = cons_wrong(n, c, &bad);
		*dry = wrong == CONS_WAIT;
		if (wrong == CONS_PASS)
			cons_pass(n, c, P2P_DROP_csum_mismatch);
		else if (wrong == CONS_COUNT)
			cons_judge_summed(n, c, &bad, false);
	}
	return got;
}

/* Past the slots from `at` on that nobody holds, eight at a look; it may stop short of the first that somebody does. */
static inline uint32_t cons_free(const struct fw_cons *c, uint32_t at)
{
	uint64_t eight;

	while (c->next - at >= 8 && (at & c->mask) + 8 <= c->mask + 1) {
		memcpy(&eight, &c->pend[at & c->mask], sizeof(eight));
		if (eight)
			break;
		at += 8;
	}
	return at;
}

void fw_cons_complete(struct fw_nic *n, struct fw_peer *peer, struct fw_cons *c, bool dry)
{
	bool was = c->done != c->told;
	/* Whoever completes a hole must have counted it: should the session end before, the producer does. */
	uint32_t from = c->done, end = c->gap ? c->gap_at : c->next;

	if (!n->scrub)
		c->done = cons_free(c, c->done);
	while (c->done != end && !c->pend[c->done & c->mask]) {
		if (n->scrub && n->mode != P2P_MODE_BN)
			cons_scrub(n, c, c->done + c->mask + 1);
		c->done++;
	}
	board_charge(n->board, BOARD_STEP_COMPLETE, c->done - from);
	if (c->done == c->told)
		return;
	if (!was)
		c->told_step = n->step;
	if (dry || c->done - c->told >= n->batch || c->told_step != n->step)
		fw_cons_tell(n, peer, c);
}

/* Can the producer have written all slots before `at`, and not all of them be complete? */
static bool cons_in_ring(const struct fw_cons *c, uint32_t at)
{
	return at - c->done <= c->mask + 1;
}

void fw_cons_tick(struct fw_nic *n, struct fw_peer *peer, struct fw_cons *c)
{
	const struct p2p_line *ctrl;
	uint32_t poke, prod;

	if (c->opening)
		fw_cons_open(n, peer, c);
	/* Answered earlier, the producer would open a ring that the next incarnation of either of us may not close. */
	if (!c->open || peer->state != P2P_PEER_UP)
		return;
	/* What was said long ago is no word of the numbers' next lap. */
	if (!cons_in_ring(c, c->published))
		c->published = c->done;
	ctrl = n->mode == P2P_MODE_BN ? &n->doorbell->send[c->ring] : &peer->head->ctrl[c->ring];
	if (le32_load_acquire(&ctrl->w[P2P_RL_INC]) != peer->seen)
		return;
	poke = le32_load_acquire(&ctrl->w[P2P_RL_POKE]);
	if (poke == c->poke)
		return;
	c->poke = poke;
	prod = le32_load_acquire(&ctrl->w[P2P_RL_PROD]);
	/* Else it was overtaken, or is of a producer that has not heard yet where the ring begins. */
	if (cons_in_ring(c, prod))
		c->published = prod;
	if (c->doubt_at != c->next)
		c->doubts = 0;
	c->doubt_at = c->next;
	c->doubts += cons_is_published(c);
	n->look_again |= FW_BIT(c->peer);
	fw_cons_tell(n, peer, c);
	fw_event(n, P2P_EV_poke_answers, 1);
}
