/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Cut-through placement (design "Placement"; ring.h PLACEMENT): a port with a
 * static pair receives straight into the slots of its ring, in the egress NIC's
 * memory, and the only work left is the descriptor.
 *
 *      cons        pub         ready        prod      prod + out    cons + N
 *       |  written  | finished  | filled     | with the  |   free     |
 *       |           |           |            | cable     |
 *
 * WHO  Which ports do so is settled when ports start: wr, P2P_FLAG_CUT, no bridge, one
 *   queue, a pair on another NIC that no other port has, a cable that gives buffers back
 *   in order, memory that the cable may be given (board_place()).  All others
 *   copy, and PORT_PLACEMENT says why.
 *
 * ORDER  Buffers come back in the order in which they were posted, so each that is
 *   posted with a ring to go to has its slot in that ring: a slot's own buffer is it,
 *   a plain receive buffer that is out when slots are posted behind it gets one
 *   reserved, into which it is copied.  Plain ones are posted while the ring has no
 *   session or the pair says something else; they have no slots until slots follow.
 *
 * DIVERSION  A frame in slots whose egress turns out otherwise is sent from
 *   there as any frame is (cut_diverted) and its slots are published as void; no header is
 *   looked at, so there is nothing that its sender could alter in between.
 *
 * TAKING BACK  What a cable holds it may write at any time.  So when a session
 *   ends, a peer leaves, its memory goes, or somebody else must send into the ring, the port
 *   is restarted: its link goes down and comes back, and nothing of it is out.
 */
#include "nic.h"

static inline uint16_t cut_region(const struct fw_nic *n)
{
	return (uint16_t)(1 + n->nics);
}

static inline uint32_t cut_pair(const struct fw_nic *n, unsigned int x)
{
	return (uint32_t)n->port_reg[x][FW_R_PORT_PAIR] & (P2P_PAIR_VALID | 0xffff);
}

static inline struct fw_prod *cut_egress(struct fw_nic *n, uint32_t pair)
{
	return &n->peer[(pair >> 8) & 0xff].prod[pair & 0xff];
}

/* ---- which ports ---- */

static enum p2p_placement cut_judge(const struct fw_nic *n, unsigned int x)
{
	uint32_t pair = cut_pair(n, x), nic = (pair >> 8) & 0xff, k;

	if (!n->cut)
		return P2P_PLACE_COPY;
	if (!(pair & P2P_PAIR_VALID))
		return P2P_PLACE_NO_PAIR;
	if (n->reg[FW_R_FLAGS] & P2P_FLAG_BRIDGE)
		return P2P_PLACE_BRIDGE;
	if (nic == n->self)
		return P2P_PLACE_LOCAL;
	if (n->shape.queues > 1)
		return P2P_PLACE_QUEUES;
	for (k = 0; k < n->ports; k++)
		if (k != x && cut_pair(n, k) == pair)
			return P2P_PLACE_SHARED;
	if (nic < n->nics && n->peer[nic].ports && n->peer[nic].prod[0].buf_size < n->shape.buf_size)
		return P2P_PLACE_BUFFERS;
	if (nic >= n->nics || (pair & 0xff) >= n->peer[nic].ports ||
	    !(n->peer_reg[nic][FW_R_PEER_CTRL] || n->peer[nic].intro))
		return P2P_PLACE_NO_PEER;
	return P2P_PLACE_CUT;
}

static void cut_unplace(struct fw_nic *n, unsigned int x)
{
	struct fw_port *port = &n->port[x];

	board_place(n->board, x, NULL, 0, NULL);
	if (port->ring) {
		port->ring->cut = 0;
		port->ring->out = 0;
	}
	port->ring = NULL;
}

/* For the next start of port x. */
static void cut_place(struct fw_nic *n, unsigned int x)
{
	struct fw_port *port = &n->port[x];
	struct fw_prod *p;
	int err;

	cut_unplace(n, x);
	port->place = (uint8_t)cut_judge(n, x);
	if (port->place != P2P_PLACE_CUT)
		return;
	p = cut_egress(n, cut_pair(n, x));
	err = board_place(n->board, x, &p->win_buf, (uint64_t)(p->mask + 1) * p->buf_size, &port->ring_base);
	if (err) {
		port->place = err == -FW_EOPNOTSUPP ? P2P_PLACE_CABLE : P2P_PLACE_NO_MEMORY;
		return;
	}
	port->ring = p;
	port->ring_pair = cut_pair(n, x);
	p->cut = (uint8_t)(1 + x);
}

enum p2p_placement fw_nic_placement(const struct fw_nic *n, unsigned int x)
{
	const struct fw_port *port = &n->port[x];

	return port->ring && cut_pair(n, x) != port->ring_pair ? P2P_PLACE_CHANGED : (enum p2p_placement)port->place;
}

void fw_cut_start(struct fw_nic *n)
{
	unsigned int x;

	for (x = 0; x < n->ports; x++)
		cut_place(n, x);
}

void fw_cut_stop(struct fw_nic *n)
{
	unsigned int x;

	for (x = 0; x < n->ports; x++) {
		cut_unplace(n, x);
		n->port[x].place = P2P_PLACE_COPY;
	}
}

/* ---- taking back ---- */

/* Does anything that waits lie in slots? */
static bool cut_stashed(const struct fw_nic *n, const struct fw_port *port)
{
	uint32_t k;

	for (k = port->stash_at; k != port->stash_n; k++)
		if (port->stash[k].region == cut_region(n))
			return true;
	return false;
}

/* All frames that wait, if any of them lies in slots. */
static void cut_drop_stash(struct fw_nic *n, unsigned int x, enum p2p_drop why)
{
	struct fw_port *port = &n->port[x];
	const struct p2p_seg *s;

	if (!cut_stashed(n, port))
		return;
	while (port->stash_at != port->stash_n) {
		s = &port->stash[port->stash_at++];
		if (s->region != cut_region(n))
			fw_release(n, FW_REF_RX(x, s->cookie));
		if (!(s->flags & (P2P_SEG_MORE | P2P_SEG_BACK)))
			fw_drop(n, why, 1);
	}
}

/* The port begins anew, all that its cable held is ours again; frames in slots are dropped. */
static void cut_restart(struct fw_nic *n, unsigned int x, bool keep, enum p2p_placement place, enum p2p_drop why)
{
	struct fw_port *port = &n->port[x];
	uint32_t buf;

	cut_drop_stash(n, x, why);
	port->place = (uint8_t)place;
	if (!keep)
		cut_unplace(n, x);
	if (board_port_restart(n->board, x) && port->ring) {
		port->place = P2P_PLACE_NO_MEMORY;
		cut_unplace(n, x);
		board_port_restart(n->board, x);
	}
	if (port->ring)
		port->ring->out = 0;
	for (; port->txq_tail != port->txq_head; port->txq_tail++) {
		struct fw_run *run = &port->txq[port->txq_tail & port->txq_mask];

		fw_release_run(n, run->ref, run->n);
	}
	port->posted = port->plain = port->nfree = 0;
	port->satisfied = false;
	for (buf = port->nbufs; buf-- > 0;)
		if (!port->refs[buf])
			port->free[port->nfree++] = buf;
	n->wrote = true;
}

void fw_cut_closed(struct fw_nic *n, struct fw_prod *p)
{
	unsigned int x = p->cut - 1u;

	if (p->out || cut_stashed(n, &n->port[x]))
		cut_restart(n, x, true, P2P_PLACE_CUT, P2P_DROP_peer_lost);
}

void fw_cut_evict(struct fw_nic *n, struct fw_prod *p)
{
	cut_restart(n, p->cut - 1u, false, P2P_PLACE_SHARED, P2P_DROP_stopped);
}

void fw_cut_leave(struct fw_nic *n, unsigned int i)
{
	unsigned int x;

	for (x = 0; x < n->ports; x++)
		if (n->port[x].ring && n->port[x].ring->peer == i)
			cut_restart(n, x, false, P2P_PLACE_NO_PEER, P2P_DROP_peer_lost);
}

void fw_cut_meet(struct fw_nic *n, unsigned int i)
{
	unsigned int x;

	for (x = 0; x < n->ports; x++) {
		if (n->port[x].ring || ((cut_pair(n, x) >> 8) & 0xff) != i)
			continue;
		cut_place(n, x);
		if (n->port[x].ring)
			cut_restart(n, x, true, P2P_PLACE_CUT, P2P_DROP_stopped);
	}
}

void fw_place_lost(struct fw_nic *n, unsigned int x)
{
	if (n->running && n->port[x].ring)
		cut_restart(n, x, false, P2P_PLACE_NO_MEMORY, P2P_DROP_peer_lost);
}

/* ---- receiving ---- */

static void cut_post(struct fw_nic *n, unsigned int x)
{
	struct fw_port *port = &n->port[x];
	struct fw_prod *p = port->ring;
	const uint32_t mask = p->mask, buf_size = p->buf_size;
	uint8_t *const base = port->ring_base;
	const uint16_t region = cut_region(n);
	struct p2p_seg empty[FW_RX_BURST];
	uint32_t room, seq, m, k, took, before;

	if (!p->open || cut_pair(n, x) != port->ring_pair) {
		before = port->posted;
		fw_ingress_post(n, x);
		port->plain += port->posted - before;
		return;
	}
	room = p->mask + 1 - (p->prod + p->out - p->cons);
	if (p2p_unlikely(port->posted != p->out)) {
		/* Plain buffers are out: theirs are the next slots. */
		if (port->posted - p->out > room)
			return;
		room -= port->posted - p->out;
		p->out = port->posted;
	}
	/* Few at a time only if the cable has few. */
	if (port->satisfied || (room < n->rx_burst && p->out >= n->rx_burst))
		return;
	while (room) {
		m = room < n->rx_burst ? room : n->rx_burst;
		seq = p->prod + p->out;
#pragma GCC unroll 4
		for (k = 0; k < m; k++)
			p2p_seg_set_empty(&empty[k], base + (size_t)((seq + k) & mask) * buf_size, buf_size, region, seq + k);
		took = board_rx_post(n->board, x, empty, m);
		p->out += took;
		port->posted += took;
		room -= took;
		if (took < m) {
			port->satisfied = true;
			return;
		}
	}
}

static inline struct p2p_desc cut_desc(uint32_t seq, uint32_t w0, uint32_t frame)
{
	uint32_t where = P2P_DW(0, frame);

	return (struct p2p_desc){ to_le32(w0), to_le32(board_sum_finish(~0u, w0, where, seq)), to_le32(where), to_le32(seq) };
}

static inline void cut_fill(struct fw_prod *p, uint32_t seq, uint32_t w0, uint32_t frame)
{
	p->shadow[seq & p->mask] = cut_desc(seq, w0, frame);
}

static inline void cut_begin(struct fw_nic *n, struct fw_prod *p)
{
	if (p->prod == p->cons) {
		p->timeout_ns = P2P_POKE_MIN_NS;
		p->deadline_ns = n->now_ns + p->timeout_ns;
	}
}

static inline void cut_end(struct fw_nic *n, struct fw_prod *p, uint32_t slots, uint32_t frames, bool placed)
{
	p->prod += slots;
	p->out -= slots;
	n->produced += frames;
	n->peer[p->peer].sent_frames += frames;
	fw_event(n, P2P_EV_forwarded, frames);
	fw_event(n, P2P_EV_cut_frames, placed ? frames : 0);
	fw_prod_filled(n, p);
}

/* Frames of one segment each in the slots from seq on, in order. */
static inline uint32_t cut_plain(const struct p2p_seg *s, uint32_t count, uint16_t region, uint32_t seq, uint32_t buf_size)
{
	uint32_t k, odd = 0, other = 0;

	/* As prod_plain(). */
#pragma GCC unroll 4
	for (k = 0; k < count; k++) {
		odd |= (s[k].len - FW_MIN_FRAME) | (buf_size - s[k].len) | s[k].len;
		other |= s[k].flags | (s[k].region ^ region) | (s[k].cookie ^ (seq + k));
	}
	if (p2p_likely(!(odd >> 31 | other)))
		return k;
	for (k = 0; k < count; k++)
		if (s[k].flags || s[k].region != region || s[k].cookie != seq + k || s[k].len - FW_MIN_FRAME > buf_size - FW_MIN_FRAME)
			break;
	return k;
}

/* Frames of one slot each, until something else comes. */
static uint32_t cut_take(struct fw_nic *n, unsigned int x)
{
	struct fw_port *port = &n->port[x];
	struct fw_prod *p = port->ring;
	struct board_run run = { .w0 = P2P_D0(0, P2P_DF_PLACED, x, port->ring_pair & 0xff, 0), .step = p->buf_size,
				 .stride = n->stride };
	const uint32_t begin = port->stash_at;
	uint32_t m, k, slot, count;

	if (!p->open || cut_pair(n, x) != port->ring_pair)
		return 0;
	do {
		count = port->stash_at - begin;
		run.seq = p->prod + count;
		run.frame = (uint8_t)(p->frame + count);
		slot = run.seq & p->mask;
		m = port->stash_n - port->stash_at < FW_FEW ? port->stash_n - port->stash_at : FW_FEW;
		m = m < p->mask + 1 - slot ? m : p->mask + 1 - slot;
		k = cut_plain(&port->stash[port->stash_at], m, cut_region(n), run.seq, p->buf_size);
		board_describe_few(&run, &port->stash[port->stash_at], k, &p->shadow[slot]);
		port->stash_at += k;
	} while (k && k == m);
	count = port->stash_at - begin;
	if (!count)
		return 0;
	cut_begin(n, p);
	p->frame = (uint8_t)(p->frame + count);
	cut_end(n, p, count, count, true);
	return count;
}

/* Slots whose frame is not in them for the consumer: it completes them, once they are published. */
static void cut_void_unpublished(struct fw_nic *n, unsigned int x, struct fw_prod *p, uint32_t count)
{
	uint32_t k, w0 = P2P_D0(0, P2P_DF_PLACED | P2P_DF_VOID, x, n->port[x].ring_pair & 0xff, 0);

	cut_begin(n, p);
	for (k = 0; k < count; k++)
		cut_fill(p, p->prod + k, w0, p->frame);
	p->prod += count;
	p->out -= count;
}

static void cut_void(struct fw_nic *n, unsigned int x, struct fw_prod *p, uint32_t count)
{
	cut_void_unpublished(n, x, p, count);
	fw_prod_filled(n, p);
}

/* A frame into its slots: what is not there already is copied. */
static void cut_long(struct fw_nic *n, unsigned int x, struct fw_prod *p, const struct p2p_seg *s, uint32_t count)
{
	uint32_t k, flags = 0, w0 = P2P_D0(0, 0, x, n->port[x].ring_pair & 0xff, 0);
	bool placed = true;

	cut_begin(n, p);
	for (k = 0; k < count; k++) {
		flags = (flags & P2P_DF_CONT) | (k + 1 < count ? P2P_DF_MORE : 0);
		if (s[k].region == cut_region(n)) {
			cut_fill(p, p->prod, w0 | P2P_D0(s[k].len, flags | P2P_DF_PLACED, 0, 0, 0), p->frame);
			p->prod++;
		} else {
			fw_prod_copy(n, p, &s[k], w0 | P2P_D0(0, flags, 0, 0, 0));
			placed = false;
		}
		flags |= P2P_DF_CONT;
	}
	p->frame++;
	p->out -= count;
	cut_end(n, p, 0, 1, placed);
}

/* Out of its slots into the ring of the pair as it is now.  0: taken care of; -EAGAIN: later. */
static int cut_divert(struct fw_nic *n, unsigned int x, struct p2p_seg *s, uint32_t count, uint32_t slots)
{
	struct fw_port *port = &n->port[x];
	struct fw_prod *p = port->ring, *to = cut_egress(n, cut_pair(n, x));
	uint32_t refs[P2P_MAX_SEGS], k;
	enum p2p_drop why = P2P_DROP_no_egress;
	bool own = false;
	int err = 0;

	for (k = 0; k < count; k++)
		refs[k] = s[k].region == cut_region(n) ? FW_REF_NONE : FW_REF_RX(x, s[k].cookie);
	if (!(cut_pair(n, x) & P2P_PAIR_VALID)) {
		err = -FW_ENOTCONN;
	} else if (to == p) {
		/* The rest came in plain buffers: its slots go first, so there must be room for the whole. */
		if (p->prod + slots + P2P_MAX_SEGS - p->cons > p->mask + 1) {
			why = P2P_DROP_ring_full;
			err = -FW_ENOSPC;
		} else {
			/* Published first, the consumer would complete and scrub them while the frame is copied out of them. */
			cut_void_unpublished(n, x, p, slots);
			own = true;
			slots = 0;
		}
	}
	if (!err)
		err = fw_prod_send(n, to, s, refs, count, P2P_D0(0, 0, x, cut_pair(n, x) & 0xff, 0), &why);
	if (own)
		fw_prod_filled(n, p);
	if (err == -FW_ENOSPC && n->backpressure) {
		if (!port->blocked)
			fw_event(n, P2P_EV_backpressure, 1);
		port->blocked = true;
		err = -FW_EAGAIN;
	}
	if (err == -FW_EAGAIN && slots)
		return err;
	if (err)
		fw_drop(n, why, 1);
	else
		fw_event(n, P2P_EV_cut_diverted, 1);
	/* The port may have been restarted for this frame's sake: then its slots are back already. */
	if (slots && p->cut == 1 + x && p->out >= slots)
		cut_void(n, x, p, slots);
	return 0;
}

/* The frame, or buffer given back, at the head of the stash, which has slots.  As cut_divert(). */
static int cut_odd(struct fw_nic *n, unsigned int x)
{
	struct fw_port *port = &n->port[x];
	struct p2p_seg *s = &port->stash[port->stash_at];
	struct fw_prod *p = port->ring;
	uint32_t count = 0, slots, k, at;
	bool whole = true, in_order = true;
	int err = 0;

	do {
		at = count++;
		whole &= s[at].len != 0;
		if (s[at].region == cut_region(n))
			in_order &= at < p->out && s[at].cookie == p->prod + at;
	} while ((s[at].flags & P2P_SEG_MORE) && port->stash_at + count < port->stash_n && count < P2P_MAX_SEGS);
	slots = count < p->out ? count : p->out;
	if (!p->open || !in_order) {
		cut_restart(n, x, !p->open, p->open ? P2P_PLACE_CABLE : P2P_PLACE_CUT,
			    p->open ? P2P_DROP_stopped : P2P_DROP_no_peer);
		return 0;
	}
	if (s->flags & P2P_SEG_BACK) {
		cut_void(n, x, p, slots);
	} else if (s->len < 14 || (!whole && slots == count && cut_pair(n, x) == port->ring_pair)) {
		/* A piece of nothing, which no port gives: nor may its port be restarted for the frame in hand. */
		fw_drop(n, P2P_DROP_runt, 1);
		cut_void(n, x, p, slots);
	} else if (whole && slots == count && cut_pair(n, x) == port->ring_pair) {
		cut_long(n, x, p, s, count);
	} else {
		err = cut_divert(n, x, s, count, slots);
	}
	if (err)
		return err;
	for (k = 0; k < count; k++)
		if (s[k].region != cut_region(n))
			fw_release(n, FW_REF_RX(x, s[k].cookie));
	port->stash_at += count;
	return 0;
}

static void cut_receive(struct fw_nic *n, unsigned int x)
{
	struct fw_port *port = &n->port[x];
	bool in_order = true;
	uint32_t k;

	port->stash_at = 0;
	port->stash_n = board_rx_burst(n->board, x, port->stash, n->rx_burst);
	/* With nothing but slots out, what comes back is slots; a plain buffer may have one reserved and still be out. */
	for (k = 0; port->plain && k < port->stash_n; k++) {
		if (port->stash[k].region != cut_region(n)) {
			port->refs[port->stash[k].cookie] = 1;
			port->plain--;
		} else {
			in_order &= k < port->ring->out;
		}
	}
	port->posted -= port->stash_n;
	port->satisfied = port->satisfied && !port->stash_n;
	if (p2p_unlikely(!in_order))
		cut_restart(n, x, false, P2P_PLACE_CABLE, P2P_DROP_stopped);
}

unsigned int fw_cut_port(struct fw_nic *n, unsigned int x, bool *dry)
{
	struct fw_port *port = &n->port[x];
	unsigned int moved = 0;
	bool full = true;

	port->blocked = port->blocked && port->stash_at != port->stash_n;
	if (port->stash_at == port->stash_n) {
		if (!fw_ingress_ready(n, x))
			return 0;
		cut_post(n, x);
		cut_receive(n, x);
		full = port->stash_n >= n->rx_burst - P2P_MAX_SEGS;
	}
	while (port->ring && port->stash_at != port->stash_n) {
		moved += cut_take(n, x);
		/* What has no slots goes as any frame does. */
		if (port->stash_at == port->stash_n || !port->ring->out)
			break;
		if (cut_odd(n, x))
			goto out;
		port->blocked = port->retry = false;
		moved++;
	}
	if (port->stash_at != port->stash_n)
		moved += fw_ingress_stash(n, x);
out:
	if (full)
		*dry = false;
	n->blocked |= port->blocked || !port->posted;
	return moved;
}
