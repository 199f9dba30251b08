/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Ports -> rings: take frames from a cable, choose where they go, put them there.
 */
#include "nic.h"

#define MAC_RESERVED 0x0000c28001ull /* 01:80:c2:00:00:0x, first byte lowest, last byte masked */
#define MAC_GROUP 1u

struct frame {
	struct p2p_seg *segs;
	uint32_t refs[P2P_MAX_SEGS];
	unsigned int nsegs, x;
	uint32_t len;
};

static uint64_t mac_of(const uint8_t *p)
{
	uint64_t mac = 0;

	memcpy(&mac, p, 6);
	return mac;
}

static void frame_release(struct fw_nic *n, const struct frame *f)
{
	unsigned int k;

	for (k = 0; k < f->nsegs; k++)
		fw_release(n, f->refs[k]);
}

/* Where frames for (nic, port) go: its ring, or in bn the host's. */
static struct fw_prod *egress_ring(struct fw_nic *n, unsigned int x, unsigned int nic, unsigned int port)
{
	if (n->mode == P2P_MODE_BN)
		return &n->peer[FW_PEER_HOST].prod[x];
	return &n->peer[nic].prod[port];
}

static uint32_t frame_w0(const struct fw_nic *n, unsigned int x, unsigned int port, unsigned int nic)
{
	return P2P_D0(0, 0, x, port, n->mode == P2P_MODE_BN ? nic : 0);
}

/* 0: taken care of; -EAGAIN: later, nothing has changed. */
static int ingress_pair(struct fw_nic *n, struct frame *f)
{
	uint32_t pair = (uint32_t)n->port_reg[f->x][FW_R_PORT_PAIR];
	unsigned int nic = (pair >> 8) & 0xff, port = pair & 0xff;
	enum p2p_drop why;
	int err;

	board_charge(n->board, BOARD_STEP_LOOKUP, !n->port[f->x].retry);
	err = fw_prod_send(n, egress_ring(n, f->x, nic, port), f->segs, f->refs, f->nsegs, frame_w0(n, f->x, port, nic),
			   &why);
	if (p2p_likely(!err))
		return 0;
	if (err == -FW_ENOSPC && n->backpressure) {
		if (!n->port[f->x].blocked)
			fw_event(n, P2P_EV_backpressure, 1);
		n->port[f->x].blocked = true;
		err = -FW_EAGAIN;
	}
	if (err == -FW_EAGAIN) {
		n->port[f->x].retry = true;
		return err;
	}
	fw_drop(n, why, 1);
	return 0;
}

static uint64_t flood_targets(const struct fw_nic *n, unsigned int x)
{
	uint64_t mask = 0, left;
	unsigned int k, i;

	if (n->mode == P2P_MODE_BN)
		return 1ull << 8;
	for (k = 0; k < n->ports; k++)
		if (k != x && n->port[k].link)
			mask |= 1ull << k;
	for (left = n->intro & ~FW_BIT(n->self); left; left &= left - 1) {
		i = fw_next_bit(left, 0);
		if (n->peer[i].prod[n->peer[i].ports].open)
			mask |= 1ull << (8 + i);
	}
	return mask;
}

/* Goes on with the targets that are left. */
static int ingress_flood(struct fw_nic *n, struct frame *f)
{
	struct fw_port *port = &n->port[f->x];
	uint32_t w0 = P2P_D0(0, P2P_DF_FLOOD, f->x, P2P_PORT_FLOOD, 0);
	struct fw_prod *p;
	enum p2p_drop why;
	unsigned int bit;
	int err;

	while (port->flood_mask) {
		bit = (unsigned int)__builtin_ctzll(port->flood_mask);
		if (bit < 8)
			p = &n->peer[n->self].prod[bit];
		else if (n->mode == P2P_MODE_BN)
			p = &n->peer[FW_PEER_HOST].prod[f->x];
		else
			p = &n->peer[bit - 8].prod[n->peer[bit - 8].ports];
		err = fw_prod_send(n, p, f->segs, f->refs, f->nsegs,
				   bit < 8 ? P2P_D0(0, P2P_DF_FLOOD, f->x, bit, 0) : w0, &why);
		if (err == -FW_EAGAIN)
			return err;
		if (err)
			fw_drop(n, why, 1);
		port->flood_mask &= port->flood_mask - 1;
	}
	return 0;
}

/* Tell every NIC that will not see this frame where its sender is. */
static void ingress_announce(struct fw_nic *n, const struct frame *f, unsigned int but)
{
	uint64_t left = n->intro & ~FW_BIT(n->self);
	struct fw_peer *peer;
	unsigned int i;
	int err;

	if (!fw_bridge_flood_ok(n)) {
		fw_event(n, P2P_EV_announce_limited, 1);
		return;
	}
	for (; left; left &= left - 1) {
		i = fw_next_bit(left, 0);
		if (i == but)
			continue;
		peer = &n->peer[i];
		err = fw_prod_void(n, i == FW_PEER_HOST ? &peer->prod[f->x] : &peer->prod[peer->ports], &f->segs[0],
				   f->refs[0], f->x);
		fw_event(n, err ? P2P_EV_announce_limited : P2P_EV_announce, 1);
	}
}

static int ingress_bridge(struct fw_nic *n, struct frame *f)
{
	struct fw_port *port = &n->port[f->x];
	uint8_t head[12];
	uint64_t dst, src;
	unsigned int nic, to;
	enum p2p_drop why;
	bool tell;
	int err;

	if (port->flood_mask)
		return ingress_flood(n, f);
	memcpy(head, f->segs[0].data, sizeof(head));
	dst = mac_of(head);
	src = mac_of(head + 6);
	if ((dst & 0xf0ffffffffffull) == MAC_RESERVED) {
		fw_drop(n, P2P_DROP_reserved_mac, 1);
		return 0;
	}
	if ((src & MAC_GROUP) || !src) {
		fw_drop(n, P2P_DROP_bad_source, 1);
		return 0;
	}
	tell = !port->retry && fw_bridge_learn(n, src, n->self, f->x);
	if ((dst & MAC_GROUP) || fw_bridge_find(n, dst, &nic, &to)) {
		if (!fw_bridge_flood_ok(n)) {
			fw_drop(n, P2P_DROP_flood_limited, 1);
			return 0;
		}
		port->flood_mask = flood_targets(n, f->x);
		if (!port->flood_mask) {
			fw_drop(n, P2P_DROP_no_egress, 1);
			return 0;
		}
		fw_event(n, P2P_EV_flood_copies, (uint32_t)__builtin_popcountll(port->flood_mask) - 1);
		return ingress_flood(n, f);
	}
	if (nic == n->self && to == f->x) {
		fw_drop(n, P2P_DROP_same_port, 1);
		err = 0;
	} else {
		err = fw_prod_send(n, egress_ring(n, f->x, nic, to), f->segs, f->refs, f->nsegs,
				   frame_w0(n, f->x, to, nic), &why);
		if (err && err != -FW_EAGAIN)
			fw_drop(n, why, 1);
	}
	if (tell)
		ingress_announce(n, f, n->mode == P2P_MODE_BN ? FW_PEER_HOST + 1 : nic);
	if (err != -FW_EAGAIN)
		return 0;
	port->retry = true;
	return err;
}

static int ingress_frame(struct fw_nic *n, struct frame *f)
{
	if (p2p_unlikely(f->segs[0].len < FW_MIN_FRAME)) {
		fw_drop(n, P2P_DROP_runt, 1);
		return 0;
	}
	if (FW_ROUTING && n->port[f->x].routed)
		return -FW_EAGAIN; /* as below, whatever was set since it was judged */
	if (n->port_reg[f->x][FW_R_PORT_PAIR] & P2P_PAIR_VALID)
		return ingress_pair(n, f);
	if (n->bridge)
		return ingress_bridge(n, f);
	if (FW_ROUTING && n->route.on)
		return -FW_EAGAIN; /* fw_route_burst() has it */
	fw_drop(n, P2P_DROP_no_egress, 1);
	return 0;
}

/* The next frame of the stash, or false. */
static bool ingress_next(struct fw_nic *n, unsigned int x, struct frame *f)
{
	struct fw_port *port = &n->port[x];
	uint32_t at = port->stash_at;

	if (at == port->stash_n)
		return false;
	f->segs = &port->stash[at];
	f->x = x;
	f->nsegs = 0;
	f->len = 0;
	do {
		f->refs[f->nsegs] = FW_REF_RX(x, port->stash[at].cookie);
		f->len += port->stash[at].len;
		f->nsegs++;
	} while ((port->stash[at++].flags & P2P_SEG_MORE) && at < port->stash_n && f->nsegs < P2P_MAX_SEGS);
	return true;
}

/*
 * Nothing is received for an egress that is still being introduced: what waits
 * on the cable is nobody's loss.  A bridge waits for all NICs; after a while
 * nobody is waited for any longer.
 */
bool fw_ingress_ready(const struct fw_nic *n, unsigned int x)
{
	uint32_t pair = (uint32_t)n->port_reg[x][FW_R_PORT_PAIR], nic = (pair >> 8) & 0xff;
	const struct fw_peer *peer;
	uint64_t left = n->intro;

	if (n->mode != P2P_MODE_BN && (pair & P2P_PAIR_VALID))
		left &= nic < P2P_MAX_NICS ? FW_BIT(nic) : 0;
	for (; left; left &= left - 1) {
		peer = &n->peer[fw_next_bit(left, 0)];
		if (!peer->ready && n->now_ns - peer->intro_ns <= FW_MEETING_NS)
			return false;
	}
	return true;
}

void fw_ingress_post(struct fw_nic *n, unsigned int x)
{
	struct fw_port *port = &n->port[x];
	const uint32_t buf_size = n->shape.buf_size;
	uint8_t *const base = port->rx_base;
	struct p2p_seg empty[FW_RX_BURST];
	uint32_t k, m, took;

	while (port->nfree && !port->satisfied) {
		const uint32_t *last = port->free + port->nfree;

		m = port->nfree < n->rx_burst ? port->nfree : n->rx_burst;
#pragma GCC unroll 4
		for (k = 0; k < m; k++) {
			uint32_t buf = *--last;

			p2p_seg_set_empty(&empty[k], base + (size_t)buf * buf_size, buf_size, 0, buf);
		}
		took = board_rx_post(n->board, x, empty, m);
		port->nfree -= took;
		port->posted += took;
		port->satisfied = took < m;
	}
}

unsigned int fw_ingress_stash(struct fw_nic *n, unsigned int x)
{
	struct fw_port *port = &n->port[x];
	unsigned int moved = 0;
	struct frame f;

	while (ingress_next(n, x, &f)) {
		if (ingress_frame(n, &f))
			break;
		port->blocked = port->retry = false;
		frame_release(n, &f);
		port->stash_at += f.nsegs;
		moved++;
	}
	return moved;
}

/* Static pairs: whole runs of simple frames.  What it leaves in the stash goes one by one. */
static unsigned int ingress_burst(struct fw_nic *n, unsigned int x)
{
	uint32_t pair = (uint32_t)n->port_reg[x][FW_R_PORT_PAIR];
	unsigned int nic = (pair >> 8) & 0xff, to = pair & 0xff, moved;
	struct fw_port *port = &n->port[x];

	/* What routing has judged and rewritten goes its way, though the port has got a pair since. */
	if (!(pair & P2P_PAIR_VALID) || (FW_ROUTING && port->routed))
		return FW_ROUTING && n->route.on ? fw_route_burst(n, x) : 0;
	if (port->retry)
		return 0;
	moved = fw_prod_burst(n, egress_ring(n, x, nic, to), x, &port->stash[port->stash_at], port->stash_n - port->stash_at,
			      frame_w0(n, x, to, nic));
	port->stash_at += moved;
	if (moved)
		port->blocked = false;
	return moved;
}

static void ingress_receive(struct fw_nic *n, unsigned int x)
{
	struct fw_port *port = &n->port[x];
	uint32_t k, frames = 0;

	port->stash_at = 0;
	port->stash_n = board_rx_burst(n->board, x, port->stash, n->rx_burst);
	for (k = 0; k < port->stash_n; k++)
		frames += !(port->stash[k].flags & P2P_SEG_MORE);
	board_charge(n->board, BOARD_STEP_RX, frames);
	port->posted -= port->stash_n;
	port->satisfied = port->satisfied && !port->stash_n;
}

unsigned int fw_ingress_port(struct fw_nic *n, unsigned int x, bool *dry)
{
	struct fw_port *port = &n->port[x];
	unsigned int moved, k;
	bool full = true, fresh = false;

	if (p2p_unlikely(port->ring != NULL))
		return fw_cut_port(n, x, dry);
	port->blocked = port->blocked && port->stash_at != port->stash_n;
	if (port->stash_at == port->stash_n) {
		if (port->nfree && !port->satisfied)
			fw_ingress_post(n, x);
		port->stash_at = port->stash_n = 0;
		if (!fw_ingress_ready(n, x))
			return 0;
		ingress_receive(n, x);
		full = port->stash_n >= n->rx_burst - P2P_MAX_SEGS;
		fresh = true;
	}
	moved = port->stash_at != port->stash_n ? ingress_burst(n, x) : 0;
	for (k = port->stash_at; fresh && k < port->stash_n; k++)
		port->refs[port->stash[k].cookie] = 1;
	if (port->stash_at != port->stash_n)
		moved += fw_ingress_stash(n, x);
	if (full)
		*dry = false;
	n->blocked |= port->blocked || !port->posted;
	return moved;
}
