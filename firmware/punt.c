/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Frames for the host's router, and from it: <p2pnic/punt.h>.
 *
 * Of a NIC with several queues each context has a punt ring of its own; frames from the host are queue 0's.
 */
#include "nic.h"

#ifndef FW_NO_ROUTING

#define NS_PER_S 1000000000ull
#define PUNT_BURST_NS 100000000ull /* credit that may be saved up */
#define PUNT_SLOT_OFF(seq) \
	(offsetof(struct p2p_punt_ring, slot) + (uint64_t)((seq) & (P2P_PUNT_SLOTS - 1)) * P2P_PUNT_STEP)

static struct fw_cons *punt_inject(struct fw_nic *n)
{
	return &n->peer[FW_PEER_INJECT].cons[0];
}

static const struct p2p_line *punt_host_line(const struct fw_nic *n)
{
	return &n->punt.from->punt[n->strap.queue];
}

void fw_punt_session(struct fw_nic *n, uint32_t session)
{
	struct fw_punt *p = &n->punt;
	struct fw_cons *c = punt_inject(n);

	p->session = 0;
	if (!n->configured || !n->shape.route_bytes || !session)
		return;
	board_win_open(n->board, &p->win, n->reg[FW_R_PUNT_RING] + n->strap.queue * (uint64_t)P2P_PUNT_BYTES, P2P_PUNT_BYTES);
	p->session = p->prod = p->cons = p->told_prod = session;
	/* Slots of the former session that a write still reads stay held; their numbers mean nothing any more. */
	c->next = c->done = p->told_inject = session;
	p->arm = le32_load_acquire(&punt_host_line(n)->w[P2P_HL_ARM]);
	p->tell = p->bad = false;
	fw_punt_line(n);
}

void fw_punt_line(struct fw_nic *n)
{
	struct fw_punt *p = &n->punt;
	uint32_t line[4];

	if (!p->session)
		return;
	line[P2P_PH_PROD] = p->told_prod = p->prod;
	line[P2P_PH_INJECT] = p->told_inject = punt_inject(n)->done;
	line[P2P_PH_ASLEEP] = n->asleep;
	line[P2P_PH_SESSION] = p->session;
	board_charge(n->board, BOARD_STEP_DMA_ISSUE, 1);
	board_write_line(n->board, &p->win, offsetof(struct p2p_punt_ring, head), line, BOARD_KIND_CONTROL);
	fw_event(n, P2P_EV_control_bytes, 16);
}

static bool punt_rate_ok(struct fw_nic *n, enum p2p_punt why)
{
	struct fw_punt *p = &n->punt;
	uint64_t cost;

	if (!n->punt_rate[why])
		return true;
	/* Each context has its share. */
	cost = NS_PER_S * p2p_queues(&n->shape) / n->punt_rate[why];
	p->credit_ns[why] += n->now_ns - p->last_ns[why];
	p->last_ns[why] = n->now_ns;
	if (p->credit_ns[why] > PUNT_BURST_NS + cost)
		p->credit_ns[why] = PUNT_BURST_NS + cost;
	if (p->credit_ns[why] < cost)
		return false;
	p->credit_ns[why] -= cost;
	return true;
}

static bool punt_slot_free(struct fw_nic *n)
{
	struct fw_punt *p = &n->punt;
	uint32_t cons;

	if (p->prod - p->cons < P2P_PUNT_SLOTS)
		return true;
	cons = le32_load_acquire(&punt_host_line(n)->w[P2P_HL_CONS]);
	if (cons - p->cons > p->prod - p->cons) {
		fw_event(n, P2P_EV_bad_line, !p->bad);
		p->bad = true;
		return false;
	}
	p->cons = cons;
	return p->prod - p->cons < P2P_PUNT_SLOTS;
}

/* Into the next slot, which is free. */
static void punt_write(struct fw_nic *n, const struct p2p_seg *segs, const uint32_t *refs, unsigned int nsegs, uint32_t len,
		       unsigned int x, enum p2p_punt why, uint32_t hop)
{
	struct fw_punt *p = &n->punt;
	uint64_t at = PUNT_SLOT_OFF(p->prod), off = at + offsetof(struct p2p_punt_slot, frame);
	uint32_t line[4], tok;
	unsigned int k;

	board_charge(n->board, BOARD_STEP_DMA_ISSUE, nsegs + 1);
	for (k = 0; k < nsegs; off += segs[k++].len) {
		tok = board_write(n->board, &p->win, off, segs[k].data, segs[k].len, BOARD_KIND_PAYLOAD);
		fw_hold_until(n, tok, refs[k]);
	}
	line[P2P_PS_WHAT] = P2P_PS_WORD(len, x, why);
	line[P2P_PS_HOP] = hop;
	line[P2P_PS_RSVD] = 0;
	line[P2P_PS_SEQ] = p->prod++;
	p->last_tok = board_write_line(n->board, &p->win, at, line, BOARD_KIND_CONTROL);
	if (!p->tell)
		p->tok = p->last_tok;
	p->tell = true;
	fw_event(n, P2P_EV_punted, 1);
	fw_event(n, P2P_EV_host_bytes, len);
	fw_event(n, P2P_EV_control_bytes, 16);
}

int fw_punt_frame(struct fw_nic *n, const struct p2p_seg *segs, const uint32_t *refs, unsigned int nsegs, unsigned int x,
		  enum p2p_punt why, uint32_t hop)
{
	uint32_t len = 0;
	unsigned int k;

	for (k = 0; k < nsegs; k++)
		len += segs[k].len;
	if (n->punt.session && (board_room(n->board, BOARD_Q_WRITE) < nsegs || fw_wait_room(n) < nsegs))
		return -FW_EAGAIN;
	p2p_count(&n->punts[why], 1);
	if (!n->punt.session)
		fw_drop(n, P2P_DROP_punt_nobody, 1);
	else if (!punt_rate_ok(n, why))
		fw_drop(n, P2P_DROP_punt_limited, 1);
	else if (len > P2P_PUNT_ROOM || !punt_slot_free(n))
		fw_drop(n, P2P_DROP_punt_full, 1);
	else
		punt_write(n, segs, refs, nsegs, len, x, why, hop);
	return 0;
}

/* One frame of the host's, which lies in a slot of device memory that the host can still write to. */
static int inject_frame(struct fw_nic *n, struct fw_cons *c)
{
	uint32_t slot = c->next & c->mask, ref = FW_REF_CONS(c->id, slot), what, len, port;
	struct p2p_punt_slot *s = (struct p2p_punt_slot *)(c->bufs + (size_t)slot * P2P_PUNT_STEP);
	struct p2p_seg seg;
	enum p2p_drop why = P2P_DROP_inject_bad;
	int err = 0;

	what = le32_load_acquire(&s->line.w[P2P_PS_WHAT]);
	len = P2P_PS_LEN(what);
	port = P2P_PS_PORT(what);
	if (len < FW_MIN_FRAME || len > P2P_MAX_FRAME || port >= n->ports ||
	    le32_load_acquire(&s->line.w[P2P_PS_SEQ]) != c->next) {
		fw_drop(n, why, 1);
	} else {
		p2p_seg_set(&seg, s->frame, len, 0, 0);
		c->pend[slot]++;
		err = fw_prod_send(n, &n->peer[n->self].prod[port], &seg, &ref, 1, P2P_D0(0, 0, port, port, 0), &why);
		fw_release(n, ref);
		if (err == -FW_EAGAIN)
			return err;
		if (err)
			fw_drop(n, why, 1);
	}
	fw_event(n, P2P_EV_injected, 1);
	c->next++;
	return 0;
}

static uint32_t inject_left(const struct fw_nic *n)
{
	const struct fw_cons *c = &n->peer[FW_PEER_INJECT].cons[0];

	return le32_load_acquire(&n->punt.from->inject.w[P2P_IL_PROD]) - c->next;
}

static unsigned int inject_poll(struct fw_nic *n)
{
	struct fw_cons *c = punt_inject(n);
	uint32_t left = inject_left(n), k = 0;

	if (left > P2P_INJECT_SLOTS - (c->next - c->done)) {
		fw_event(n, P2P_EV_bad_line, !n->punt.bad);
		n->punt.bad = true;
		left = 0;
	}
	/* A slot of a former session may still be read. */
	while (k < left && k < n->rx_burst && !c->pend[c->next & c->mask] && !inject_frame(n, c))
		k++;
	while (c->done != c->next && !c->pend[c->done & c->mask])
		c->done++;
	if (c->done != n->punt.told_inject)
		fw_punt_line(n);
	return k;
}

/* Frames have arrived at the host: does it sleep?  As fw_peer_wake(). */
static void punt_event(struct fw_nic *n)
{
	struct fw_punt *p = &n->punt;
	uint32_t arm;

	if (!board_done(n->board, BOARD_Q_WRITE, p->tok))
		return;
	board_barrier();
	arm = le32_load_acquire(&punt_host_line(n)->w[P2P_HL_ARM]);
	if (arm != p->arm) {
		p->arm = arm;
		board_event(n->board, BOARD_VEC_PUNT, 0);
	}
	p->tell = !board_done(n->board, BOARD_Q_WRITE, p->last_tok);
	p->tok = p->last_tok;
}

unsigned int fw_punt_step(struct fw_nic *n)
{
	struct fw_punt *p = &n->punt;
	unsigned int taken = 0;

	if (!p->session)
		return 0;
	if (n->strap.queue == 0)
		taken = inject_poll(n);
	if (p->tell)
		punt_event(n);
	return taken;
}

bool fw_punt_pending(const struct fw_nic *n)
{
	const struct fw_cons *c = &n->peer[FW_PEER_INJECT].cons[0];

	if (!n->punt.session)
		return false;
	if (n->punt.tell)
		return true;
	return n->strap.queue == 0 && (c->done != c->next || (inject_left(n) && !n->punt.bad));
}

#endif
