/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Rings -> ports.  Each port serves its rings, one per ingress NIC, by deficit
 * round robin; the flood ring of each peer is replicated into our own rings, so
 * that a cable that stands still holds up nobody's flood.
 */
#include "nic.h"

static uint64_t frame_src(const uint8_t *frame)
{
	uint64_t mac = 0;

	memcpy(&mac, frame + 6, 6);
	return mac;
}

/* Take back what the port has finished with. */
static unsigned int egress_done(struct fw_nic *n, unsigned int x)
{
	struct fw_port *port = &n->port[x];
	uint32_t left = board_tx_done(n->board, x), done = 0, k;

	for (; left && port->txq_tail != port->txq_head; left -= k, done += k) {
		struct fw_run *run = &port->txq[port->txq_tail & port->txq_mask];

		k = left < run->n ? left : run->n;
		fw_release_run(n, run->ref, k);
		run->ref += k;
		run->n -= k;
		port->txq_tail += !run->n;
	}
	return done;
}

/* count slots more, from ref on, behind a run if they continue it.  True: they do not. */
static inline bool run_append(struct fw_run *last, uint32_t ref, uint32_t count)
{
	if (last->ref + last->n != ref)
		return true;
	last->n += count;
	return false;
}

/* The first `sent` staged segments are the port's. */
static void egress_hand_over(struct fw_port *port, uint32_t sent)
{
	struct fw_run *run = port->stage_run;
	uint32_t k, runs = 0;

	for (; sent; sent -= k) {
		k = sent < run->n ? sent : run->n;
		if (port->txq_head == port->txq_tail ||
		    run_append(&port->txq[(port->txq_head - 1) & port->txq_mask], run->ref, k))
			port->txq[port->txq_head++ & port->txq_mask] = (struct fw_run){ run->ref, k };
		run->ref += k;
		run->n -= k;
		if (!run->n) {
			run++;
			runs++;
		}
	}
	port->stage_runs -= runs;
	if (runs && port->stage_runs)
		memmove(port->stage_run, run, port->stage_runs * sizeof(*run));
}

static unsigned int egress_send(struct fw_nic *n, unsigned int x)
{
	struct fw_port *port = &n->port[x];
	uint32_t sent;

	sent = board_tx_burst(n->board, x, port->stage, port->stage_n);
	if (!sent)
		return 0;
	egress_hand_over(port, sent);
	port->stage_n -= sent;
	if (port->stage_n)
		memmove(port->stage, port->stage + sent, port->stage_n * sizeof(port->stage[0]));
	return sent;
}

static uint64_t egress_drop_stage(struct fw_nic *n, struct fw_port *port)
{
	uint64_t frames = 0;
	uint32_t k;

	for (k = 0; k < port->stage_n; k++)
		frames += !(port->stage[k].flags & P2P_SEG_MORE);
	for (k = 0; k < port->stage_runs; k++)
		fw_release_run(n, port->stage_run[k].ref, port->stage_run[k].n);
	port->stage_n = port->stage_runs = 0;
	return frames;
}

/* The next `count` segments of the stage lie in the slots from ref on. */
static inline void egress_stage_run(struct fw_port *port, uint32_t ref, uint32_t count)
{
	if (!port->stage_runs || run_append(&port->stage_run[port->stage_runs - 1], ref, count))
		port->stage_run[port->stage_runs++] = (struct fw_run){ ref, count };
	port->stage_n += count;
}

static void egress_stage(struct fw_nic *n, struct fw_port *port, struct fw_cons *c)
{
	unsigned int k;

	board_charge(n->board, BOARD_STEP_TX, 1);
	for (k = 0; k < c->nsegs; k++) {
		port->stage[port->stage_n] = c->seg[k];
		egress_stage_run(port, FW_REF_CONS(c->id, c->slot[k]), 1);
	}
}

static void egress_release(struct fw_nic *n, struct fw_cons *c)
{
	unsigned int k;

	for (k = 0; k < c->nsegs; k++)
		fw_release(n, FW_REF_CONS(c->id, c->slot[k]));
}

static void egress_learn(struct fw_nic *n, struct fw_cons *c)
{
	unsigned int nic = n->mode == P2P_MODE_BN ? P2P_D0_NIC(c->w0) : c->peer;
	uint64_t mac;

	if (!n->bridge || nic == n->self || c->seg[0].len < 14)
		return;
	mac = frame_src(c->seg[0].data);
	if (!(mac & 1) && mac)
		fw_bridge_learn(n, mac, nic, P2P_D0_IN_PORT(c->w0));
}

/* As many simple frames as may be staged; returns how many, *dry: the ring has no more. */
static unsigned int egress_burst(struct fw_nic *n, struct fw_port *port, struct fw_cons *c, bool *dry)
{
	uint32_t got, first = 0, room;

	*dry = false;
	if (n->mode != P2P_MODE_WR || !port->link || !c->open || (n->bridge && c->peer != n->self) ||
	    port->stage_n + P2P_MAX_SEGS > n->tx_stage)
		return 0;
	got = fw_cons_burst(n, c, port->stage + port->stage_n, n->tx_stage - P2P_MAX_SEGS + 1 - port->stage_n, &first, dry);
	if (!got)
		return 0;
	room = c->mask + 1 - first;
	egress_stage_run(port, FW_REF_CONS(c->id, first), got < room ? got : room);
	if (got > room)
		egress_stage_run(port, FW_REF_CONS(c->id, 0), got - room);
	return got;
}

/* One ring's turn.  Returns frames taken; *left: it may have more. */
static __attribute__((noinline)) unsigned int egress_serve(struct fw_nic *n, unsigned int x, struct fw_peer *peer, bool *left)
{
	struct fw_port *port = &n->port[x];
	struct fw_cons *c = &peer->cons[x];
	unsigned int got = 0;
	bool dry;

	*left = false;
	while (c->deficit > 0) {
		unsigned int k = egress_burst(n, port, c, &dry);

		peer->recv_frames += k;
		got += k;
		if (dry)
			c->deficit = 0;
		if (c->deficit <= 0)
			return got;
		if (port->stage_n + P2P_MAX_SEGS > n->tx_stage) {
			*left = true;
			return got;
		}
		if (!fw_cons_poll(n, peer, c)) {
			c->deficit = 0;
			return got;
		}
		c->deficit -= (int32_t)c->bytes;
		peer->recv_frames++;
		got++;
		egress_learn(n, c);
		if (p2p_likely(port->link)) {
			egress_stage(n, port, c);
		} else {
			fw_drop(n, P2P_DROP_tx_link_down, 1);
			egress_release(n, c);
		}
	}
	return got;
}

/* A ring's turn comes, or goes on. */
static inline void egress_credit(struct fw_cons *c, bool resume, bool alone)
{
	if (!resume)
		c->deficit += alone ? FW_ALONE_BYTES : FW_QUANTUM_BYTES;
	else if (!alone && c->deficit > FW_QUANTUM_BYTES)
		c->deficit = FW_QUANTUM_BYTES;
}

unsigned int fw_egress_port(struct fw_nic *n, unsigned int x)
{
	struct fw_port *port = &n->port[x];
	uint64_t left = n->look & n->intro;
	unsigned int moved, got, at = port->rr, i;
	struct fw_cons *c;
	bool more, debt;

	board_charge(n->board, BOARD_STEP_POLL_RING, (uint32_t)__builtin_popcountll(n->intro & ~n->look));
	moved = egress_done(n, x);
	if (port->stage_n && !port->link) {
		uint64_t gone = egress_drop_stage(n, port);

		fw_drop(n, P2P_DROP_tx_link_down, gone);
		moved++;
	}
	if (port->stage_n)
		moved += egress_send(n, x);
	while (left && moved < FW_STEP_FRAMES && port->stage_n + P2P_MAX_SEGS <= n->tx_stage) {
		i = fw_next_bit(left, at);
		c = &n->peer[i].cons[x];
		egress_credit(c, i == port->rr && port->rr_resume, left == FW_BIT(i));
		debt = c->deficit <= 0;
		if (!debt && fw_cons_empty(n, c)) {
			board_charge(n->board, BOARD_STEP_POLL_RING, 1);
			c->deficit = 0;
			port->rr_resume &= i != port->rr;
			left &= ~FW_BIT(i);
			at = i + 1;
			continue;
		}
		got = egress_serve(n, x, &n->peer[i], &more);
		moved += got;
		at = more ? i : i + 1;
		/* Rings that have nothing leave no trace: who looks at fewer of them serves the rest in the same order. */
		if (got || more || i == port->rr)
			port->rr_resume = more;
		if (got || more)
			port->rr = at;
		/* In debt is not empty. */
		if (!got && !more && !debt)
			left &= ~FW_BIT(i);
	}
	n->look_again |= left;
	if (port->stage_n)
		moved += egress_send(n, x);
	return moved;
}

static uint32_t egress_flood_ports(const struct fw_nic *n)
{
	uint32_t mask = 0;
	unsigned int x;

	for (x = 0; x < n->ports; x++)
		if (n->port[x].link)
			mask |= 1u << x;
	return mask;
}

/* A frame or an announcement has come out of a peer's flood ring. */
static void egress_flood_begin(struct fw_nic *n, struct fw_cons *c)
{
	uint32_t flags = P2P_D0_FLAGS(c->w0);

	if (flags & P2P_DF_VOID) {
		if (c->seg[0].len)
			egress_learn(n, c);
		else
			fw_bridge_flush(n, n->mode == P2P_MODE_BN ? P2P_D0_NIC(c->w0) : c->peer,
					(int)P2P_D0_IN_PORT(c->w0));
		egress_release(n, c);
		return;
	}
	egress_learn(n, c);
	c->flood_mask = egress_flood_ports(n);
	if (!c->flood_mask) {
		fw_drop(n, P2P_DROP_tx_link_down, 1);
		egress_release(n, c);
		return;
	}
	fw_event(n, P2P_EV_flood_copies, (uint32_t)__builtin_popcount(c->flood_mask) - 1);
}

unsigned int fw_egress_flood_serve(struct fw_nic *n, struct fw_peer *peer)
{
	struct fw_cons *c = &peer->cons[n->ports];
	struct fw_peer *self = &n->peer[n->self];
	uint32_t refs[P2P_MAX_SEGS];
	unsigned int moved, k, x;
	enum p2p_drop why;
	int err;

	for (moved = 0; moved < n->rx_burst; moved++) {
		if (!c->flood_mask) {
			if (!fw_cons_poll(n, peer, c))
				return moved;
			peer->recv_frames += !(P2P_D0_FLAGS(c->w0) & P2P_DF_VOID);
			egress_flood_begin(n, c);
			if (!c->flood_mask)
				continue;
		}
		for (k = 0; k < c->nsegs; k++)
			refs[k] = FW_REF_CONS(c->id, c->slot[k]);
		while (c->flood_mask) {
			x = (unsigned int)__builtin_ctz(c->flood_mask);
			err = fw_prod_send(n, &self->prod[x], c->seg, refs, c->nsegs,
					   P2P_D0(0, P2P_DF_FLOOD, P2P_D0_IN_PORT(c->w0), x, 0), &why);
			if (err == -FW_EAGAIN)
				goto more;
			if (err)
				fw_drop(n, why, 1);
			c->flood_mask &= c->flood_mask - 1;
		}
		egress_release(n, c);
	}
more:
	n->look_again |= FW_BIT(c->peer);
	return moved;
}

uint64_t fw_egress_stop(struct fw_nic *n)
{
	uint64_t frames = 0;
	unsigned int x;

	for (x = 0; x < n->ports; x++)
		frames += egress_drop_stage(n, &n->port[x]);
	return frames;
}
