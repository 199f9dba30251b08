/* SPDX-License-Identifier: BSD-3-Clause */
#include "driver/bn_host.h"

#include <p2pnic/csum.h>
#include <p2pnic/seg.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BN_BURST 64
#define BN_TICK_NS 1000000ull
#define BN_WITH_NIC 0xffff /* the buffer has been handed to its NIC */

/* Receive ring (nic, x): the NIC produces, we consume. */
struct bn_recv {
	const struct p2p_desc *descs;
	uint32_t next, told, base, poke;
	uint8_t expect;
	uint32_t refill; /* free-running count of buffers handed over; slot base + k takes the k-th */
	uint32_t refill_told;
	uint32_t *order; /* host_bufs: which buffer was handed over as the k-th */
	uint16_t *refs;  /* per buffer: send-ring slots that hold it, or BN_WITH_NIC */
	uint32_t place0; /* of buffer 0 */
};

/* Send ring (nic, r): we produce, the NIC consumes by DMA read. */
struct bn_slot {
	uint8_t nic, port;
	bool last; /* of its frame; never of an announcement */
	uint32_t buf;
};
struct bn_send {
	struct p2p_desc *descs;
	struct bn_slot *slot;
	uint32_t prod, rung, cons, poke, bad;
	bool open;
	uint64_t deadline_ns, timeout_ns;
};

struct bn_nic {
	struct bn_host_nic o;
	uint32_t inc, seen, beat, last_beat;
	uint64_t heard_ns, next_beat_ns;
	bool up, rung, met; /* met: has been up */
	uint32_t units; /* P2P_DW_UNITs of a buffer */
	uint32_t bufs, mask;
	struct bn_recv recv[P2P_MAX_PORTS];
	struct bn_send send[P2P_MAX_RINGS];
};

struct bn_host {
	struct bn_host_opts opts;
	struct bn_host_stats stats;
	uint64_t now_ns, next_tick_ns, last_tick_ns, held;
	uint32_t random, scrub_key;
	bool asleep, begun;
	uint32_t round;
	struct bn_nic nic[P2P_MAX_NICS];
};

static uint32_t bn_random(struct bn_host *h)
{
	h->random += 0x9e3779b9u;
	h->random ^= h->random << 13;
	h->random ^= h->random >> 17;
	h->random ^= h->random << 5;
	return h->random ? h->random : 1;
}

static void bn_line(struct bn_host *h, struct p2p_line *line, uint32_t w0, uint32_t w1, uint32_t w2, uint32_t w3)
{
	le32_store_release(&line->w[0], w0);
	le32_store_release(&line->w[1], w1);
	le32_store_release(&line->w[2], w2);
	le32_store_release(&line->w[3], w3);
	p2p_count(&h->stats.doorbell_bytes, 16);
}

static void bn_peer_line(struct bn_host *h, struct bn_nic *nic)
{
	bn_line(h, &nic->o.doorbell->peer, nic->beat, h->asleep ? 3 : 0, nic->seen, nic->inc);
}

static void bn_recv_tell(struct bn_host *h, struct bn_nic *nic, unsigned int x)
{
	struct bn_recv *r = &nic->recv[x];

	bn_line(h, &nic->o.doorbell->comp[x], 0, r->poke, r->next, nic->seen);
	r->told = r->next;
	nic->rung = true;
}

/* Slot base + k takes the k-th buffer handed over: its sequence number is known, so are the words it samples. */
static void bn_scrub(struct bn_host *h, struct bn_nic *nic, unsigned int x, uint32_t buf, uint32_t seq)
{
	uint32_t stride = h->opts.stride, size = nic->o.shape.buf_size, mix = p2p_mix(seq), unit;
	uint8_t *at = nic->o.pool + ((size_t)x * nic->bufs + buf) * size;
	le32 word;

	for (unit = 0; unit < size / stride; unit++) {
		word = to_le32(p2p_scrub_word(h->scrub_key, seq, unit));
		memcpy(at + unit * stride + p2p_sample_offset(mix, unit, stride), &word, sizeof(word));
	}
}

static void bn_refill(struct bn_host *h, struct bn_nic *nic, unsigned int x, uint32_t buf)
{
	struct bn_recv *r = &nic->recv[x];
	uint32_t at = r->refill & (nic->bufs - 1);

	if (h->opts.lossy)
		bn_scrub(h, nic, x, buf, r->base + r->refill);
	r->refill++;
	r->refs[buf] = BN_WITH_NIC;
	r->order[at] = buf;
	le32_store_release(&nic->o.doorbell->ids[(size_t)x * nic->bufs + at], r->place0 + buf * nic->units);
	p2p_count(&h->stats.doorbell_bytes, 4);
}

static void bn_refill_tell(struct bn_host *h, struct bn_nic *nic, unsigned int x)
{
	struct bn_recv *r = &nic->recv[x];

	if (r->refill == r->refill_told)
		return;
	bn_line(h, &nic->o.doorbell->refill[x], 0, 0, nic->inc, r->refill);
	r->refill_told = r->refill;
	nic->rung = true;
}

/* A send-ring slot, or a drop, lets go of a buffer. */
static void bn_put(struct bn_host *h, unsigned int i, unsigned int x, uint32_t buf)
{
	struct bn_nic *nic = &h->nic[i];
	struct bn_recv *r = &nic->recv[x];

	if (--r->refs[buf] == 0 && nic->up)
		bn_refill(h, nic, x, buf);
}

/* The NIC's new session: nothing of the old one is valid. */
static void bn_accept(struct bn_host *h, struct bn_nic *nic, uint32_t inc)
{
	uint32_t slots = nic->mask + 1, ports = nic->o.shape.ports;
	unsigned int x, k;

	memset(nic->o.area->recv_ctrl, 0, sizeof(nic->o.area->recv_ctrl));
	memset(nic->o.area->send_comp, 0, sizeof(nic->o.area->send_comp));
	memset(nic->o.area->desc, 0, 16ul * slots * ports);
	nic->seen = inc;
	for (x = 0; x < ports; x++) {
		struct bn_recv *r = &nic->recv[x];

		r->base = r->next + 0x80000000u + (bn_random(h) >> 4);
		if (r->base + slots < r->base || !r->base)
			r->base = slots + 1;
		r->next = r->base;
		r->poke = 0;
		r->expect = 0;
		r->refill = r->refill_told = 0;
		for (k = 0; k < nic->bufs; k++)
			if (r->refs[k] == BN_WITH_NIC || !r->refs[k])
				bn_refill(h, nic, x, k);
		bn_line(h, &nic->o.doorbell->refill[x], 0, 0, nic->inc, r->refill);
		r->refill_told = r->refill;
		bn_recv_tell(h, nic, x);
	}
	bn_peer_line(h, nic);
}

/* Lets go of what the NIC has done with; `counted`: its frames are nobody's any more. */
static void bn_send_free(struct bn_host *h, struct bn_send *s, uint32_t mask, uint32_t to, bool counted)
{
	for (; s->cons != to; s->cons++) {
		struct bn_slot *slot = &s->slot[s->cons & mask];

		bn_put(h, slot->nic, slot->port, slot->buf);
		if (slot->last && !counted)
			h->held--;
	}
}

/* Frames outstanding at a NIC that is down are lost now; it may still read their buffers (bn_up()). */
static void bn_send_lose(struct bn_host *h, struct bn_send *s, uint32_t mask)
{
	uint32_t seq, lost = 0;

	for (seq = s->cons; seq != s->prod; seq++)
		lost += s->slot[seq & mask].last;
	h->held -= lost;
	p2p_count(&h->stats.drops[P2P_DROP_peer_lost], lost);
}

static void bn_down(struct bn_host *h, struct bn_nic *nic)
{
	unsigned int r;

	for (r = 0; nic->up && r <= nic->o.shape.ports; r++)
		bn_send_lose(h, &nic->send[r], nic->mask);
	nic->up = false;
	do
		nic->inc = bn_random(h);
	while (!nic->inc);
	nic->seen = 0;
	for (r = 0; r <= nic->o.shape.ports; r++) {
		nic->send[r].open = false;
		nic->send[r].timeout_ns = P2P_POKE_MIN_NS;
	}
}

static void bn_up(struct bn_host *h, struct bn_nic *nic)
{
	unsigned int r, x;
	uint32_t k;

	nic->up = nic->met = true;
	/* What the former session still held: the NIC has zeroed its rings and reads it no more. */
	for (r = 0; r <= nic->o.shape.ports; r++) {
		bn_send_free(h, &nic->send[r], nic->mask, nic->send[r].prod, true);
		nic->send[r].deadline_ns = h->now_ns + nic->send[r].timeout_ns;
	}
	for (x = 0; x < nic->o.shape.ports; x++) {
		for (k = 0; k < nic->bufs; k++)
			if (!nic->recv[x].refs[k])
				bn_refill(h, nic, x, k);
		bn_refill_tell(h, nic, x);
	}
}

static void bn_watch(struct bn_host *h, struct bn_nic *nic)
{
	const struct p2p_line *line = &nic->o.area->peer;
	uint32_t inc = le32_load_acquire(&line->w[P2P_PL_INC]);
	uint32_t ack = le32_load_acquire(&line->w[P2P_PL_ACK]);
	uint32_t beat = le32_load_acquire(&line->w[P2P_PL_BEAT]);

	if (beat != nic->last_beat) {
		nic->last_beat = beat;
		nic->heard_ns = h->now_ns;
	}
	if (h->now_ns - nic->heard_ns >= h->opts.silence_ms * 1000000ull) {
		if (nic->up || nic->seen)
			bn_down(h, nic);
	} else if (inc && inc != nic->seen) {
		if (nic->up)
			bn_down(h, nic);
		bn_accept(h, nic, inc);
	} else if (inc && !nic->up && ack == nic->inc) {
		bn_up(h, nic);
	}
	if (h->now_ns >= nic->next_beat_ns) {
		nic->beat++;
		nic->next_beat_ns = h->now_ns + P2P_BEAT_NS;
		bn_peer_line(h, nic);
	}
}

/* Overdue completions, and pokes of the NIC's. */
static void bn_overdue(struct bn_host *h, struct bn_nic *nic)
{
	const struct p2p_line *ctrl;
	uint32_t poke;
	struct bn_send *s;
	unsigned int r;

	for (r = 0; r <= nic->o.shape.ports; r++) {
		s = &nic->send[r];
		if ((s->open && s->cons == s->prod) || h->now_ns < s->deadline_ns)
			continue;
		bn_line(h, &nic->o.doorbell->send[r], 0, s->prod, ++s->poke, nic->inc);
		nic->rung = true;
		p2p_count(&h->stats.pokes, 1);
		s->timeout_ns = s->timeout_ns * 2 < P2P_POKE_MAX_NS ? s->timeout_ns * 2 : P2P_POKE_MAX_NS;
		s->deadline_ns = h->now_ns + s->timeout_ns;
	}
	for (r = 0; r < nic->o.shape.ports; r++) {
		ctrl = &nic->o.area->recv_ctrl[r];
		if (le32_load_acquire(&ctrl->w[P2P_RL_INC]) != nic->seen)
			continue;
		poke = le32_load_acquire(&ctrl->w[P2P_RL_POKE]);
		if (poke == nic->recv[r].poke)
			continue;
		nic->recv[r].poke = poke;
		bn_recv_tell(h, nic, r);
	}
}

static unsigned int bn_complete(struct bn_host *h, struct bn_nic *nic, unsigned int r)
{
	struct bn_send *s = &nic->send[r];
	const struct p2p_line *line = &nic->o.area->send_comp[r];
	uint32_t cons, from = s->cons;

	if (le32_load_acquire(&line->w[P2P_CL_INC]) != nic->inc)
		return 0;
	cons = le32_load_acquire(&line->w[P2P_CL_CONS]);
	if (!s->open) {
		s->open = true;
		s->prod = s->rung = s->cons = s->bad = cons;
		s->timeout_ns = P2P_POKE_MIN_NS;
		return 1;
	}
	if (cons - s->cons > s->rung - s->cons) {
		if (cons != s->bad)
			p2p_count(&h->stats.bad_line, 1);
		s->bad = cons;
		return 0;
	}
	bn_send_free(h, s, nic->mask, cons, false);
	if (s->cons != from) {
		s->timeout_ns = P2P_POKE_MIN_NS;
		s->deadline_ns = h->now_ns + s->timeout_ns;
	}
	return s->cons - from;
}

struct bn_frame {
	unsigned int n, i, x;
	struct p2p_desc d[P2P_MAX_SEGS];
	uint32_t buf[P2P_MAX_SEGS];
};

static bool bn_room(const struct bn_nic *nic, const struct bn_send *s, uint32_t n)
{
	return s->open && s->prod - s->cons + n <= nic->mask + 1;
}

static void bn_move(struct bn_host *h, struct bn_frame *f, struct bn_nic *to, unsigned int ring)
{
	struct bn_send *s = &to->send[ring];
	bool frame = !(P2P_D0_FLAGS(from_le32(f->d[0].w0)) & P2P_DF_VOID);
	unsigned int k;

	if (s->cons == s->prod) {
		s->timeout_ns = P2P_POKE_MIN_NS;
		s->deadline_ns = h->now_ns + s->timeout_ns;
	}
	for (k = 0; k < f->n; k++) {
		struct p2p_desc d = f->d[k];

		d.w0 = to_le32((from_le32(d.w0) & P2P_D0_SUMMED) | P2P_D0(0, 0, 0, 0, f->i));
		s->descs[s->prod & to->mask] = d;
		s->slot[s->prod & to->mask] = (struct bn_slot){ .nic = (uint8_t)f->i, .port = (uint8_t)f->x,
								 .last = frame && k + 1 == f->n,
								 .buf = f->buf[k] };
		h->nic[f->i].recv[f->x].refs[f->buf[k]]++;
		s->prod++;
	}
	h->held += frame;
	p2p_count(&h->stats.forwarded, frame);
	p2p_count(&h->stats.desc_bytes, 16ull * f->n);
}

static void bn_drop(struct bn_host *h, enum p2p_drop why, uint64_t n)
{
	p2p_count(&h->stats.drops[why], n);
}

/* To every other port; VOID: to every other NIC's flood ring. */
static void bn_flood(struct bn_host *h, struct bn_frame *f, bool nothing)
{
	unsigned int j, p, copies = 0;
	struct bn_nic *to;

	for (j = 0; j < h->opts.nics; j++) {
		to = &h->nic[j];
		if (!to->up)
			continue;
		if (nothing) {
			if (j != f->i && bn_room(to, &to->send[to->o.shape.ports], f->n))
				bn_move(h, f, to, to->o.shape.ports);
			continue;
		}
		for (p = 0; p < to->o.shape.ports; p++) {
			if (j == f->i && p == f->x)
				continue;
			copies++;
			if (bn_room(to, &to->send[p], f->n))
				bn_move(h, f, to, p);
			else
				bn_drop(h, P2P_DROP_host_full, 1);
		}
	}
	if (copies > 1)
		p2p_count(&h->stats.flood_copies, copies - 1);
	else if (!copies && !nothing)
		bn_drop(h, P2P_DROP_no_egress, 1);
}

/* False: wait, the send ring is full and the receive ring may be held up. */
static bool bn_route(struct bn_host *h, struct bn_frame *f)
{
	uint32_t w0 = from_le32(f->d[0].w0), flags = P2P_D0_FLAGS(w0);
	unsigned int j = P2P_D0_NIC(w0), p = P2P_D0_OUT_PORT(w0);
	struct bn_nic *to;
	unsigned int k;

	to = &h->nic[j < h->opts.nics ? j : 0];
	if (!(flags & P2P_DF_FLOOD) && j < h->opts.nics && p < to->o.shape.ports && to->up &&
	    !bn_room(to, &to->send[p], f->n) && h->opts.backpressure)
		return false;
	for (k = 0; k < f->n; k++)
		h->nic[f->i].recv[f->x].refs[f->buf[k]] = 1;
	if (flags & P2P_DF_FLOOD)
		bn_flood(h, f, flags & P2P_DF_VOID);
	else if (j >= h->opts.nics || p >= to->o.shape.ports)
		bn_drop(h, P2P_DROP_bad_desc, 1);
	else if (!to->up)
		bn_drop(h, P2P_DROP_no_peer, 1);
	else if (!bn_room(to, &to->send[p], f->n))
		bn_drop(h, P2P_DROP_host_full, 1);
	else
		bn_move(h, f, to, p);
	if (!(flags & P2P_DF_VOID))
		p2p_count(&h->stats.moved, 1);
	for (k = 0; k < f->n; k++)
		bn_put(h, f->i, f->x, f->buf[k]);
	return true;
}

static uint32_t bn_slot_buf(const struct bn_nic *nic, const struct bn_recv *r, uint32_t seq)
{
	return r->order[(seq - r->base) & (nic->bufs - 1)];
}

/* Nothing is valid that no buffer was handed over for. */
static bool bn_valid(const struct bn_nic *nic, const struct bn_recv *r, uint32_t seq)
{
	return (int32_t)(r->refill - (seq - r->base)) > 0 && le32_load_acquire(&r->descs[seq & nic->mask].seq) == seq;
}

/* As the firmware's: a slot after it, within two batches, is there, and it still is not. */
static bool bn_hole(const struct bn_host *h, const struct bn_nic *nic, const struct bn_recv *r, uint32_t seq)
{
	uint32_t k, ahead = 2 * h->opts.batch < P2P_MAX_SEGS ? P2P_MAX_SEGS : 2 * h->opts.batch;

	if (!h->opts.lossy)
		return false;
	for (k = 1; k <= ahead && k <= nic->mask; k++)
		if (bn_valid(nic, r, seq + k))
			return !bn_valid(nic, r, seq);
	return false;
}

/* Frames unseen before frame number g (the firmware's rule). */
static void bn_gap(struct bn_host *h, struct bn_recv *r, uint8_t g, unsigned int also)
{
	uint8_t lost = (uint8_t)(g - r->expect);

	if (lost >= 128)
		return;
	bn_drop(h, P2P_DROP_desc_lost, lost + also);
	r->expect = (uint8_t)(g + also);
}

static void bn_skip(struct bn_host *h, struct bn_nic *nic, unsigned int x, uint32_t slots)
{
	struct bn_recv *r = &nic->recv[x];
	unsigned int i = (unsigned int)(nic - h->nic);
	uint32_t buf;

	for (; slots; slots--) {
		buf = bn_slot_buf(nic, r, r->next++);
		r->refs[buf] = 1;
		bn_put(h, i, x, buf);
	}
}

/*
 * Gathers the frame that begins at r->next.  Returns its slots (f->n; 0: none
 * yet), or the number of slots to skip as -count: a hole, or what was left of a
 * frame that met one.
 */
static int bn_gather(struct bn_host *h, struct bn_nic *nic, unsigned int x, struct bn_frame *f)
{
	struct bn_recv *r = &nic->recv[x];
	uint32_t seq = r->next, flags, buf;
	uint8_t g = 0;

	for (f->n = 0; f->n < P2P_MAX_SEGS; seq++) {
		if (!bn_valid(nic, r, seq)) {
			if (!bn_hole(h, nic, r, seq))
				return 0;
			break;
		}
		if (!p2p_desc_take(&r->descs[seq & nic->mask], seq, &f->d[f->n]))
			return 0; /* its NIC writes to what it has published */
		flags = P2P_D0_FLAGS(from_le32(f->d[f->n].w0));
		if (f->n && (!(flags & P2P_DF_CONT) || (uint8_t)P2P_DW_FRAME(from_le32(f->d[f->n].where)) != g))
			break;
		g = (uint8_t)P2P_DW_FRAME(from_le32(f->d[f->n].where));
		buf = bn_slot_buf(nic, r, seq);
		f->buf[f->n++] = buf;
		if (P2P_DW_PLACE(from_le32(f->d[f->n - 1].where)) != r->place0 + buf * nic->units) {
			bn_gap(h, r, g, 0);
			r->expect = (uint8_t)(g + 1);
			bn_drop(h, P2P_DROP_bad_desc, 1);
			return -(int)f->n;
		}
		if (f->n == 1 && (flags & P2P_DF_VOID)) {
			bn_gap(h, r, g, 0);
			return 1;
		}
		if (f->n == 1 && (flags & P2P_DF_CONT)) {
			if (g != (uint8_t)(r->expect - 1))
				bn_gap(h, r, g, 1);
			return -1;
		}
		if (!(flags & P2P_DF_MORE))
			return (int)f->n;
	}
	/* A hole; slots gathered before it began a frame that is lost. */
	if (!f->n) {
		p2p_count(&h->stats.holes, 1);
		return -1;
	}
	bn_gap(h, r, g, 1);
	return -(int)f->n;
}

/* Nothing is taken before all NICs have come up once: what waits in a ring is nobody's loss. */
static bool bn_begun(struct bn_host *h)
{
	unsigned int i, r;

	for (i = 0; !h->begun && i < h->opts.nics; i++)
		for (r = 0; r <= h->nic[i].o.shape.ports; r++)
			if (!h->nic[i].met || (h->nic[i].up && !h->nic[i].send[r].open))
				return false;
	h->begun = true;
	return true;
}

static unsigned int bn_receive(struct bn_host *h, unsigned int i, unsigned int x)
{
	struct bn_nic *nic = &h->nic[i];
	struct bn_recv *r = &nic->recv[x];
	struct bn_frame f = { .i = i, .x = x };
	unsigned int moved = 0;
	uint8_t g;
	int got;

	while (moved < BN_BURST) {
		got = bn_gather(h, nic, x, &f);
		if (!got)
			break;
		if (got < 0) {
			bn_skip(h, nic, x, (uint32_t)-got);
			moved++;
			continue;
		}
		if (!bn_route(h, &f))
			break;
		g = (uint8_t)P2P_DW_FRAME(from_le32(f.d[0].where));
		if (!(P2P_D0_FLAGS(from_le32(f.d[0].w0)) & P2P_DF_VOID)) {
			if (g != r->expect)
				bn_gap(h, r, g, 0);
			r->expect = (uint8_t)(g + 1);
		}
		r->next += f.n;
		moved += f.n;
		p2p_count(&h->stats.desc_bytes, 16ull * f.n);
		if (r->next - r->told >= h->opts.batch)
			bn_recv_tell(h, nic, x);
	}
	if (r->next != r->told)
		bn_recv_tell(h, nic, x);
	return moved;
}

static void bn_ring_bells(struct bn_host *h)
{
	struct bn_nic *nic;
	bool any = false;
	unsigned int j, r;

	for (j = 0; j < h->opts.nics; j++) {
		nic = &h->nic[j];
		for (r = 0; nic->up && r <= nic->o.shape.ports; r++) {
			struct bn_send *s = &nic->send[r];

			if (!s->open || s->rung == s->prod)
				continue;
			bn_line(h, &nic->o.doorbell->send[r], 0, s->prod, s->poke, nic->inc);
			s->rung = s->prod;
			nic->rung = true;
		}
		for (r = 0; nic->up && r < nic->o.shape.ports; r++)
			bn_refill_tell(h, nic, r);
		any |= nic->rung;
	}
	if (!any)
		return;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	for (j = 0; j < h->opts.nics; j++) {
		nic = &h->nic[j];
		if (nic->rung && le32_load_acquire(&nic->o.area->peer.w[P2P_PL_ASLEEP]) && h->opts.bell)
			h->opts.bell(h->opts.bell_arg, j);
		nic->rung = false;
	}
}

/* Silence counts only while we ran ourselves: whoever was stopped with us is not dead. */
static void bn_stalled(struct bn_host *h)
{
	uint64_t gap = h->now_ns - h->last_tick_ns;
	unsigned int i;

	for (i = 0; h->last_tick_ns && gap > 2 * P2P_BEAT_NS && i < h->opts.nics; i++)
		h->nic[i].heard_ns += gap - P2P_BEAT_NS;
	h->last_tick_ns = h->now_ns;
}

uint64_t bn_host_step(void *arg, uint64_t now_ns)
{
	struct bn_host *h = arg;
	unsigned int i, r, k, first, moved = 0;
	bool down;

	h->now_ns = now_ns;
	if (now_ns >= h->next_tick_ns || h->asleep) {
		h->next_tick_ns = now_ns + (h->asleep ? P2P_BEAT_NS : BN_TICK_NS);
		bn_stalled(h);
		for (i = 0; i < h->opts.nics; i++) {
			bn_watch(h, &h->nic[i]);
			if (h->nic[i].up)
				bn_overdue(h, &h->nic[i]);
		}
	}
	for (i = 0; i < h->opts.nics; i++) {
		if (!h->nic[i].up)
			continue;
		for (r = 0; r <= h->nic[i].o.shape.ports; r++)
			if (h->nic[i].send[r].cons != h->nic[i].send[r].prod || !h->nic[i].send[r].open)
				moved += bn_complete(h, &h->nic[i], r);
	}
	/* Who comes first finds the room that a full send ring has: begin with each in turn, up and then down. */
	first = ++h->round % h->opts.nics;
	down = h->round / h->opts.nics & 1;
	for (k = 0; bn_begun(h) && k < h->opts.nics; k++) {
		i = (down ? first + h->opts.nics - k : first + k) % h->opts.nics;
		for (r = 0; h->nic[i].up && r < h->nic[i].o.shape.ports; r++)
			moved += bn_receive(h, i, (h->round + r) % h->nic[i].o.shape.ports);
	}
	bn_ring_bells(h);
	return moved ? 0 : h->next_tick_ns;
}

void bn_host_replace(struct bn_host *h, unsigned int i, struct p2p_doorbell *doorbell)
{
	struct bn_nic *nic = &h->nic[i];

	nic->o.doorbell = doorbell;
	bn_down(h, nic);
	nic->next_beat_ns = h->now_ns;
	h->next_tick_ns = 0;
}

void bn_host_sleep(struct bn_host *h, bool asleep)
{
	unsigned int i;

	h->asleep = asleep;
	for (i = 0; i < h->opts.nics; i++)
		bn_peer_line(h, &h->nic[i]);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

bool bn_host_ready(const struct bn_host *h)
{
	unsigned int i, r;

	for (i = 0; i < h->opts.nics; i++)
		for (r = 0; r <= h->nic[i].o.shape.ports; r++)
			if (!h->nic[i].up || !h->nic[i].send[r].open)
				return false;
	return true;
}

uint64_t bn_host_held(const struct bn_host *h)
{
	return h->held;
}

const struct bn_host_stats *bn_host_stats(const struct bn_host *h)
{
	return &h->stats;
}

static int bn_nic_create(struct bn_host *h, struct bn_nic *nic)
{
	const struct p2p_shape *s = &nic->o.shape;
	unsigned int x;

	if (!s->ports || s->ports > P2P_MAX_PORTS || s->slots < P2P_MIN_SLOTS || (s->slots & (s->slots - 1)))
		return -EINVAL;
	if (h->opts.lossy && (!nic->o.pool || s->buf_size % h->opts.stride))
		return -EINVAL;
	nic->bufs = p2p_host_bufs(s);
	nic->mask = s->slots - 1;
	nic->units = s->buf_size / P2P_DW_UNIT;
	nic->inc = bn_random(h);
	nic->beat = bn_random(h); /* not where a former life's may have ended */
	nic->last_beat = le32_load_acquire(&nic->o.area->peer.w[P2P_PL_BEAT]);
	for (x = 0; x < s->ports; x++) {
		struct bn_recv *r = &nic->recv[x];

		r->descs = nic->o.area->desc + (size_t)x * s->slots;
		r->place0 = (uint32_t)(nic->o.pool_offset / P2P_DW_UNIT) + x * nic->bufs * nic->units;
		r->order = calloc(nic->bufs, sizeof(*r->order));
		r->refs = calloc(nic->bufs, sizeof(*r->refs));
		if (!r->order || !r->refs)
			return -ENOMEM;
	}
	for (x = 0; x <= s->ports; x++) {
		nic->send[x].descs = nic->o.area->desc + (size_t)(s->ports + x) * s->slots;
		nic->send[x].slot = calloc(s->slots, sizeof(struct bn_slot));
		if (!nic->send[x].slot)
			return -ENOMEM;
		nic->send[x].timeout_ns = P2P_POKE_MIN_NS;
	}
	return 0;
}

int bn_host_create(struct bn_host **out, const struct bn_host_opts *opts)
{
	struct bn_host *h;
	unsigned int i;
	int rc = 0;

	if (!opts->nics || opts->nics > P2P_MAX_NICS || !opts->batch || opts->batch > P2P_MAX_BATCH ||
	    (opts->lossy && (opts->stride < P2P_MIN_STRIDE || (opts->stride & (opts->stride - 1)))))
		return -EINVAL;
	h = calloc(1, sizeof(*h));
	if (!h)
		return -ENOMEM;
	h->opts = *opts;
	h->random = opts->seed;
	h->scrub_key = bn_random(h);
	for (i = 0; !rc && i < opts->nics; i++) {
		h->nic[i].o = opts->nic[i];
		rc = bn_nic_create(h, &h->nic[i]);
	}
	if (rc) {
		bn_host_destroy(h);
		return rc;
	}
	*out = h;
	return 0;
}

void bn_host_destroy(struct bn_host *h)
{
	unsigned int i, x;

	if (!h)
		return;
	for (i = 0; i < P2P_MAX_NICS; i++) {
		for (x = 0; x < P2P_MAX_PORTS; x++) {
			free(h->nic[i].recv[x].order);
			free(h->nic[i].recv[x].refs);
		}
		for (x = 0; x < P2P_MAX_RINGS; x++)
			free(h->nic[i].send[x].slot);
	}
	free(h);
}
