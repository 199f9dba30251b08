/* SPDX-License-Identifier: BSD-3-Clause */
/* A NIC's life, and the step that does everything. */
#include "nic.h"

#define TX_POLL_MIN_NS 50000ull
#define TX_POLL_MAX_NS 10000000ull

size_t fw_nic_bytes(void)
{
	return sizeof(struct fw_nic);
}

static bool buf_size_ok(uint32_t bytes)
{
	return bytes == 2048 || bytes == 2112 || bytes == 4096 || bytes == 9728;
}

int fw_nic_init(struct fw_nic *n, struct board_ctx *b, const struct fw_strap *strap)
{
	if (!strap->ports || strap->ports > P2P_MAX_PORTS || !buf_size_ok(strap->buf_size))
		return -FW_EINVAL;
	if (strap->rx_burst && strap->rx_burst != FW_RX_BURST / 2 && strap->rx_burst != FW_RX_BURST)
		return -FW_EINVAL;
	if (strap->max_queues > P2P_MAX_QUEUES || strap->queue >= (strap->max_queues ? strap->max_queues : 1))
		return -FW_EINVAL;
	memset(n, 0, sizeof(*n));
	n->board = b;
	n->strap = *strap;
	n->ports = strap->ports;
	n->rx_burst = strap->rx_burst ? strap->rx_burst : FW_RX_BURST / 2;
	n->tx_stage = 2 * n->rx_burst;
	fw_regs_reset(n);
	return 0;
}

void fw_nic_reset(struct fw_nic *n, bool keep_persist)
{
	bool persist = n->persist && keep_persist;

	if (n->running)
		fw_nic_disable(n);
	if (n->configured)
		board_layout_drop(n->board);
	n->configured = false;
	memset(&n->route, 0, sizeof(n->route));
	memset(&n->punt, 0, sizeof(n->punt));
	n->error = n->incarnation = 0;
	memset(n->events, 0, sizeof(n->events));
	memset(n->drops, 0, sizeof(n->drops));
	memset(n->punts, 0, sizeof(n->punts));
	n->persist = persist;
	fw_regs_reset(n);
}

/* One pass counts, the next hands out. */
struct arena {
	uint8_t *base;
	size_t used;
};

static void *arena_take(struct arena *a, size_t bytes)
{
	size_t at = a->used;

	a->used += P2P_ALIGN_UP(bytes, (size_t)64);
	return a->base ? a->base + at : NULL;
}

static void prod_place(struct fw_nic *n, struct arena *a, struct fw_prod *p)
{
	size_t slots = n->shape.slots;

	p->shadow = arena_take(a, slots * sizeof(struct p2p_desc));
	if (!board_at_once(n->board))
		p->tok = arena_take(a, slots * sizeof(uint32_t));
	if (n->mode == P2P_MODE_RD)
		p->src = arena_take(a, slots * sizeof(uint32_t));
	p->mask = n->shape.slots - 1;
	p->buf_size = n->shape.buf_size; /* a frame is cut into pieces before anybody looks whether the peer was introduced */
}

static void cons_place(struct fw_nic *n, struct arena *a, unsigned int i, unsigned int ring)
{
	struct fw_cons *c = &n->peer[i].cons[ring];
	size_t slots = n->shape.slots;
	unsigned int owner = i == FW_PEER_HOST ? n->self : i;

	c->pend = arena_take(a, slots);
	if (n->mode != P2P_MODE_WR) {
		c->copy = arena_take(a, slots * sizeof(struct p2p_desc));
		c->tok = arena_take(a, slots * sizeof(uint32_t));
	}
	c->mask = n->shape.slots - 1;
	c->buf_size = n->shape.buf_size;
	c->id = (uint16_t)(i * P2P_MAX_RINGS + ring);
	c->peer = (uint8_t)i;
	c->ring = (uint8_t)ring;
	c->region = (uint16_t)(1 + owner);
	if (!a->base)
		return;
	c->bufs = board_segment(n->board, p2p_seg_buf(&n->shape, ring, owner));
	if (i == FW_PEER_HOST) {
		c->comp_off = (uint32_t)offsetof(struct p2p_host_area, send_comp) + 64 * ring;
		c->desc_off = (uint32_t)sizeof(struct p2p_host_area) + 16 * n->shape.slots * (n->ports + ring);
	} else {
		c->comp_off = (uint32_t)offsetof(struct p2p_ring_head, comp) + 64 * ring;
		c->descs = (const struct p2p_desc *)(n->peer[i].head + 1) + (size_t)ring * n->shape.slots;
	}
}

static void port_place(struct fw_nic *n, struct arena *a, unsigned int x)
{
	struct fw_port *port = &n->port[x];
	uint32_t txq = 64;

	while (txq < n->nics * n->shape.slots)
		txq *= 2;
	port->nbufs = n->shape.rx_bufs;
	port->refs = arena_take(a, port->nbufs * sizeof(uint16_t));
	port->free = arena_take(a, port->nbufs * sizeof(uint32_t));
	port->txq = arena_take(a, txq * sizeof(struct fw_run));
	port->txq_mask = txq - 1;
	port->rx_rel = (uint32_t)(p2p_seg_offset(&n->shape, p2p_seg_rx(&n->shape, x)) -
				  p2p_seg_offset(&n->shape, p2p_seg_rx(&n->shape, 0)));
	if (a->base)
		port->rx_base = board_segment(n->board, p2p_seg_rx(&n->shape, x));
}

/* The inject ring is consumed in place: of its slots only how many still read them is kept. */
static void inject_place(struct fw_nic *n, struct arena *a)
{
	struct fw_cons *c = &n->peer[FW_PEER_INJECT].cons[0];

	c->pend = arena_take(a, P2P_INJECT_SLOTS);
	c->mask = P2P_INJECT_SLOTS - 1;
	c->id = FW_PEER_INJECT * P2P_MAX_RINGS;
	c->peer = FW_PEER_INJECT;
	if (!a->base)
		return;
	n->punt.from = board_segment(n->board, p2p_seg_count(&n->shape) + 1);
	c->bufs = (uint8_t *)(n->punt.from + 1);
}

static void nic_place(struct fw_nic *n, struct arena *a)
{
	unsigned int i, r;

	if (n->shape.queues == 1)
		n->stations = arena_take(a, sizeof(*n->stations));
	else if (a->base)
		n->stations = board_shared(n->board, sizeof(*n->stations));
	n->wait_mask = 4095;
	n->wait = arena_take(a, (n->wait_mask + 1) * sizeof(struct fw_wait));
	for (r = 0; r < n->ports; r++)
		port_place(n, a, r);
	if (n->shape.route_bytes)
		inject_place(n, a);
	if (n->mode == P2P_MODE_BN) {
		for (r = 0; r < n->ports; r++)
			prod_place(n, a, &n->peer[FW_PEER_HOST].prod[r]);
		for (r = 0; r <= n->ports; r++)
			cons_place(n, a, FW_PEER_HOST, r);
		return;
	}
	for (i = 0; i < n->nics; i++) {
		if (a->base)
			n->peer[i].head = board_segment(n->board, p2p_seg_ring(&n->shape, i));
		for (r = 0; r < P2P_MAX_RINGS; r++)
			prod_place(n, a, &n->peer[i].prod[r]);
		for (r = 0; r <= n->ports; r++)
			cons_place(n, a, i, r);
	}
}

/* Checks the registers that the layout follows from; fills the shape. */
static int nic_check(struct fw_nic *n)
{
	const uint64_t *reg = n->reg;
	uint64_t slots = reg[FW_R_SLOTS], stride = reg[FW_R_STRIDE], bufs = reg[FW_R_RX_BUFS];

	if (reg[FW_R_MODE] >= P2P_NUM_MODES || !reg[FW_R_BATCH] || reg[FW_R_BATCH] > P2P_MAX_BATCH)
		return -FW_EINVAL;
	if (stride < P2P_MIN_STRIDE || stride > P2P_MAX_STRIDE || (stride & (stride - 1)) || n->strap.buf_size % stride)
		return -FW_EINVAL;
	if (!reg[FW_R_QUEUES] || reg[FW_R_QUEUES] > reg[FW_R_QUEUES_MAX])
		return -FW_EINVAL;
	if (!reg[FW_R_NUM_NICS] || reg[FW_R_NUM_NICS] > P2P_MAX_NICS || reg[FW_R_NIC_INDEX] >= reg[FW_R_NUM_NICS])
		return -FW_EINVAL;
	if (slots < P2P_MIN_SLOTS || slots > P2P_MAX_SLOTS || (slots & (slots - 1)) || bufs < FW_RX_BUFS_MIN || bufs > 1u << 20)
		return -FW_EINVAL;
	n->shape = (struct p2p_shape){ .nics = (uint32_t)reg[FW_R_NUM_NICS], .ports = n->ports, .slots = (uint32_t)slots,
				       .buf_size = n->strap.buf_size, .rx_bufs = (uint32_t)bufs,
				       .queues = (uint32_t)reg[FW_R_QUEUES] };
	if (reg[FW_R_FLAGS] & P2P_FLAG_ROUTE)
		n->shape.route_bytes = reg[FW_R_ROUTE_BYTES];
	if ((reg[FW_R_FLAGS] & P2P_FLAG_ROUTE) &&
	    (!FW_ROUTING || !n->shape.route_bytes || n->shape.route_bytes % P2P_SEG_ALIGN || reg[FW_R_MODE] == P2P_MODE_BN ||
	     n->shape.route_bytes > n->strap.mem_bytes))
		return -FW_EINVAL;
	/* One host, one order of buffers: what contexts don't share. */
	if (reg[FW_R_QUEUES] > 1 && (reg[FW_R_MODE] == P2P_MODE_BN || reg[FW_R_FLAGS] & P2P_FLAG_CUT))
		return -FW_EINVAL;
	if (reg[FW_R_SILENCE_MS] < P2P_SILENCE_MS_MIN || reg[FW_R_SILENCE_MS] > P2P_SILENCE_MS_MAX)
		return -FW_EINVAL;
	return p2p_memory_needed(&n->shape) > n->strap.mem_bytes ? -FW_ENOMEM : 0;
}

int fw_nic_configure(struct fw_nic *n)
{
	struct arena a = { NULL, 0 };
	unsigned int i;
	int err;

	if (n->running)
		return -FW_EINVAL;
	err = nic_check(n);
	if (err)
		return err;
	err = board_layout(n->board, &n->shape);
	if (err)
		return err;
	n->mode = (uint8_t)n->reg[FW_R_MODE];
	n->batch = (uint32_t)n->reg[FW_R_BATCH];
	n->stride = (uint32_t)n->reg[FW_R_STRIDE];
	n->self = (uint32_t)n->reg[FW_R_NIC_INDEX];
	n->nics = n->shape.nics;
	memset(n->port, 0, sizeof(n->port));
	memset(n->peer, 0, sizeof(n->peer));
	memset(&n->route, 0, sizeof(n->route));
	memset(&n->punt, 0, sizeof(n->punt));
	nic_place(n, &a);
	a.base = board_state(n->board, a.used);
	if (!a.base) {
		board_layout_drop(n->board);
		return -FW_ENOMEM;
	}
	a.used = 0;
	nic_place(n, &a);
	if (!n->stations) {
		board_layout_drop(n->board);
		return -FW_ENOMEM;
	}
	n->doorbell = board_segment(n->board, 1);
	n->peer[FW_PEER_HOST].head = (struct p2p_ring_head *)n->doorbell;
	for (i = 0; i < P2P_MAX_NICS; i++)
		memset(n->peer_reg[i], 0, sizeof(n->peer_reg[i]));
	n->configured = true;
	return 0;
}

static void host_start(struct fw_nic *n)
{
	struct fw_peer *peer = &n->peer[FW_PEER_HOST];
	unsigned int x;

	board_win_open(n->board, &peer->win_ring, n->reg[FW_R_HOST_AREA], p2p_host_area_bytes(&n->shape));
	board_win_open(n->board, &peer->win_rx, n->reg[FW_R_HOST_POOL], n->reg[FW_R_HOST_POOL_BYTES]);
	peer->rx_bytes = n->reg[FW_R_HOST_POOL_BYTES];
	for (x = 0; x < n->ports; x++) {
		struct fw_prod *p = &peer->prod[x];

		p->peer = FW_PEER_HOST;
		p->ring = (uint8_t)x;
		p->buf_size = n->shape.buf_size;
		p->win_buf = peer->win_rx;
		p->comp = &n->doorbell->comp[x];
		p->ctrl_off = (uint32_t)offsetof(struct p2p_host_area, recv_ctrl) + 64 * x;
		p->desc_off = (uint32_t)sizeof(struct p2p_host_area) + 16 * n->shape.slots * x;
	}
	fw_peer_start(n, FW_PEER_HOST);
}

int fw_nic_enable(struct fw_nic *n)
{
	unsigned int x, k;
	int err;

	if (!n->configured)
		return -FW_EINVAL;
	if (n->shape.queues > 1 && n->reg[FW_R_FLAGS] & P2P_FLAG_CUT)
		return -FW_EINVAL;
	if (n->mode == P2P_MODE_BN && (!n->reg[FW_R_HOST_AREA] || !n->reg[FW_R_HOST_POOL_BYTES] ||
				       n->reg[FW_R_HOST_POOL_BYTES] > 1ull << 30))
		return -FW_EINVAL;
	n->cut = n->reg[FW_R_FLAGS] & P2P_FLAG_CUT;
	if (n->cut && (!BOARD_CUT || n->mode != P2P_MODE_WR))
		return -FW_EINVAL;
	if ((n->reg[FW_R_FLAGS] & P2P_FLAG_ROUTE) &&
	    (!n->shape.route_bytes || n->reg[FW_R_FLAGS] & (P2P_FLAG_BRIDGE | P2P_FLAG_CUT)))
		return -FW_EINVAL;
	fw_cut_start(n);
	err = board_ports_start(n->board);
	if (err)
		return err;
	n->now_ns = board_now_ns(n->board);
	n->scrub = n->reg[FW_R_FLAGS] & P2P_FLAG_SCRUB;
	n->bridge = n->reg[FW_R_FLAGS] & P2P_FLAG_BRIDGE;
	n->backpressure = n->reg[FW_R_FLAGS] & P2P_FLAG_BACKPRESSURE;
	n->silence_ns = n->reg[FW_R_SILENCE_MS] * 1000000;
	n->scrub_key = board_random(n->board);
	n->incarnation = board_random(n->board) | 1;
	n->flood_last_ns = n->age_last_ns = n->last_tick_ns = n->now_ns;
	n->flood_credit_ns = UINT64_MAX / 4;
	n->dirty = NULL;
	n->wait_head = n->wait_tail = 0;
	n->asleep = n->blocked = false;
	n->intro = n->look = n->look_again = n->owing = n->opening = n->completing = n->telling = 0;
	n->tx_poll_ns = TX_POLL_MIN_NS;
	if (n->strap.queue == 0) {
		memset(n->stations, 0, sizeof(*n->stations));
		n->stations->key = n->scrub_key;
	}
	for (x = 0; x < n->ports; x++) {
		struct fw_port *port = &n->port[x];

		port->nfree = port->nbufs;
		for (k = 0; k < port->nbufs; k++)
			port->free[k] = port->nbufs - 1 - k;
		memset(port->refs, 0, port->nbufs * sizeof(port->refs[0]));
		port->posted = port->plain = port->stash_n = port->stash_at = port->stage_n = port->stage_runs = 0;
		port->txq_head = port->txq_tail = 0;
		port->flood_mask = 0;
		port->satisfied = port->blocked = port->retry = port->routed = false;
		port->link = board_link_up(n->board, x);
	}
	n->running = true;
	if (FW_ROUTING && n->reg[FW_R_FLAGS] & P2P_FLAG_ROUTE)
		fw_route_start(n);
	if (n->mode == P2P_MODE_BN)
		host_start(n);
	else
		for (k = 0; k < n->nics; k++)
			if (n->peer_reg[k][FW_R_PEER_CTRL])
				fw_peer_start(n, k);
	return 0;
}

void fw_nic_disable(struct fw_nic *n)
{
	uint64_t frames = fw_egress_stop(n);
	unsigned int x, i, k;

	if (FW_ROUTING && n->route.on)
		fw_route_stop(n);
	for (x = 0; x < n->ports; x++)
		for (k = n->port[x].stash_at; k < n->port[x].stash_n; k++)
			frames += !(n->port[x].stash[k].flags & (P2P_SEG_MORE | P2P_SEG_BACK));
	/* Without a restart: the ports stop before anybody is told that we have. */
	fw_cut_stop(n);
	for (i = 0; i < FW_MAX_PEERS; i++)
		fw_peer_stop(n, i, P2P_DROP_stopped);
	board_ports_stop(n->board);
	for (i = 0; i <= FW_PEER_HOST; i++) {
		for (k = 0; k <= n->ports; k++) {
			if (!n->peer[i].cons[k].pend)
				continue;
			memset(n->peer[i].cons[k].pend, 0, n->shape.slots);
			frames += (uint32_t)__builtin_popcount(n->peer[i].cons[k].flood_mask);
			n->peer[i].cons[k].flood_mask = 0;
		}
	}
	fw_drop(n, P2P_DROP_stopped, frames);
	n->running = false;
}

static void nic_links(struct fw_nic *n)
{
	unsigned int x, i;
	uint64_t left;
	bool up;

	for (x = 0; x < n->ports; x++) {
		up = board_link_up(n->board, x);
		if (up == n->port[x].link)
			continue;
		n->port[x].link = up;
		board_event(n->board, BOARD_VEC_LINK, x);
		n->wrote = true;
		if (up || !n->bridge)
			continue;
		fw_bridge_flush(n, n->self, (int)x);
		for (left = n->intro & ~FW_BIT(n->self); left; left &= left - 1) {
			struct fw_peer *peer = &n->peer[i = fw_next_bit(left, 0)];

			fw_prod_void(n, i == FW_PEER_HOST ? &peer->prod[x] : &peer->prod[peer->ports], NULL, FW_REF_NONE, x);
		}
	}
}

static void nic_tick(struct fw_nic *n)
{
	uint64_t faults = board_fault_count(n->board), gap = n->now_ns - n->last_tick_ns, left;

	/* Silence counts only while we ran ourselves: whoever was stopped with us is not dead. */
	n->last_tick_ns = n->now_ns;
	if (gap > 2 * P2P_BEAT_NS) {
		fw_event(n, P2P_EV_stalls, 1);
		for (left = n->intro; left; left &= left - 1)
			n->peer[fw_next_bit(left, 0)].heard_ns += gap - P2P_BEAT_NS;
	}

	if (faults != n->faults) {
		fw_event(n, P2P_EV_dma_faults, faults - n->faults);
		n->faults = faults;
		board_event(n->board, BOARD_VEC_FAULT, 0);
	}
	n->next_tick_ns = n->now_ns + P2P_BEAT_NS;
	for (left = n->intro; left; left &= left - 1)
		fw_peer_tick(n, fw_next_bit(left, 0));
	n->look |= n->intro;
	/* The host learns from this one where a frame's is lost; where lines can be lost this one may be too. */
	if (FW_ROUTING && n->route.on && (n->scrub || n->punt.told_prod != n->punt.prod))
		fw_punt_line(n);
	fw_bridge_age(n);
	if (!n->asleep && n->next_tick_ns > n->now_ns + FW_TICK_NS)
		n->next_tick_ns = n->now_ns + FW_TICK_NS;
}

static void nic_reap(struct fw_nic *n, struct fw_peer *peer, unsigned int i)
{
	unsigned int r, prods = i == FW_PEER_HOST ? n->ports : peer->ports + 1;
	bool owing = false, opening = false;

	for (r = 0; r < prods; r++) {
		if (peer->prod[r].cons != peer->prod[r].pub || !peer->prod[r].open)
			fw_prod_reap(n, peer, &peer->prod[r]);
		owing |= peer->prod[r].cons != peer->prod[r].pub;
		opening |= !peer->prod[r].open;
	}
	if (!owing)
		n->owing &= ~FW_BIT(i);
	if (!opening)
		n->opening &= ~FW_BIT(i);
}

static unsigned int nic_peers(struct fw_nic *n)
{
	uint64_t left = n->look & n->intro, passed = n->intro & ~n->look;
	unsigned int i, moved = 0;

	board_charge(n->board, BOARD_STEP_POLL_RING, (uint32_t)__builtin_popcountll(passed));
	board_charge(n->board, BOARD_STEP_POLL_COMP, (uint32_t)__builtin_popcountll(passed & n->owing));
	for (; left; left &= left - 1) {
		i = fw_next_bit(left, 0);
		if (n->peer[i].state != P2P_PEER_UP) {
			n->look_again |= FW_BIT(i);
			continue;
		}
		if ((n->owing | n->opening) & FW_BIT(i))
			nic_reap(n, &n->peer[i], i);
		moved += fw_egress_flood(n, &n->peer[i]);
	}
	return moved;
}

static void nic_complete(struct fw_nic *n, bool dry)
{
	uint64_t left = n->completing & n->intro;
	struct fw_cons *c;
	unsigned int i, r;
	bool untold;

	n->completing = 0;
	for (; left; left &= left - 1) {
		i = fw_next_bit(left, 0);
		for (r = 0, untold = false; r <= n->ports; r++) {
			c = &n->peer[i].cons[r];
			if (!c->open || c->told == c->next)
				continue;
			fw_cons_complete(n, &n->peer[i], c, dry);
			untold |= c->told != c->done;
		}
		if (untold)
			n->completing |= FW_BIT(i);
	}
}

/* When to look again though nothing happened. */
static uint64_t nic_until(struct fw_nic *n)
{
	uint64_t until = fw_prod_flush_ns(n);
	bool held = false;
	unsigned int x;

	if (!until || n->waking || n->wait_head != n->wait_tail || (FW_ROUTING && n->route.on && fw_punt_pending(n)))
		return 0;
	if (n->next_tick_ns < until)
		until = n->next_tick_ns;
	for (x = 0; x < n->ports; x++)
		held |= n->port[x].txq_head != n->port[x].txq_tail || n->port[x].stage_n;
	if (held && n->now_ns + n->tx_poll_ns < until) {
		until = n->now_ns + n->tx_poll_ns;
		if (n->asleep && n->tx_poll_ns < TX_POLL_MAX_NS)
			n->tx_poll_ns *= 2;
	}
	return until;
}

uint64_t fw_step(struct fw_nic *n)
{
	unsigned int x, in = 0, out = 0;
	uint32_t read = n->last_read;
	uint64_t news;
	bool dry = true, reading;

	if (!n->running)
		return UINT64_MAX;
	reading = !board_done(n->board, BOARD_Q_READ, read);
	n->now_ns = board_now_ns(n->board);
	n->step++;
	n->wrote = n->blocked = false;
	/* What the host writes to bn's doorbell is looked at in every step. */
	n->look = n->look_again | board_news(n->board) | (n->mode == P2P_MODE_BN ? FW_BIT(FW_PEER_HOST) : 0);
	n->look_again = 0;
	while (n->wait_tail != n->wait_head &&
	       board_done(n->board, BOARD_Q_WRITE, n->wait[n->wait_tail & n->wait_mask].tok))
		fw_release(n, n->wait[n->wait_tail++ & n->wait_mask].ref);
	if (FW_ROUTING && p2p_unlikely(n->route.on))
		fw_route_pass(n);
	if (n->now_ns >= n->next_tick_ns || n->asleep)
		nic_tick(n);
	nic_links(n);
	in += nic_peers(n);
	for (x = 0; x < n->ports; x++)
		in += fw_ingress_port(n, x, &dry);
	if (FW_ROUTING && p2p_unlikely(n->route.on))
		in += fw_punt_step(n);
	if (n->dirty)
		fw_prod_flush_all(n, dry);
	/* What we have just written into rings of our own. */
	news = board_news(n->board);
	n->look |= news;
	n->look_again |= news;
	for (x = 0; x < n->ports; x++)
		out += fw_egress_port(n, x);
	nic_complete(n, !out);
	fw_peer_wake(n);
	if (FW_ROUTING && p2p_unlikely(n->route.on && n->asleep))
		fw_route_idle(n);
	/* Nothing wakes us when a read has finished. */
	if (in || out || n->wrote || reading || n->last_read != read) {
		n->tx_poll_ns = TX_POLL_MIN_NS;
		return 0;
	}
	return nic_until(n);
}

bool fw_nic_running(const struct fw_nic *n)
{
	return n->running;
}

bool fw_nic_persist(const struct fw_nic *n)
{
	return n->persist;
}

const struct p2p_shape *fw_nic_shape(const struct fw_nic *n)
{
	return n->configured ? &n->shape : NULL;
}

enum p2p_mode fw_nic_mode(const struct fw_nic *n)
{
	return n->mode;
}

unsigned int fw_nic_index(const struct fw_nic *n)
{
	return n->self;
}

const uint64_t *fw_nic_events(const struct fw_nic *n)
{
	return n->events;
}

const uint64_t *fw_nic_drops(const struct fw_nic *n)
{
	return n->drops;
}

const uint64_t *fw_nic_punts(const struct fw_nic *n)
{
	return n->punts;
}

uint64_t fw_nic_held(const struct fw_nic *n)
{
	uint64_t held = n->produced - n->consumed;
	unsigned int x, k;

	for (x = 0; x < n->ports; x++) {
		for (k = 0; k < n->port[x].stage_n; k++)
			held += !(n->port[x].stage[k].flags & P2P_SEG_MORE);
		for (k = n->port[x].stash_at; k < n->port[x].stash_n; k++)
			held += !(n->port[x].stash[k].flags & (P2P_SEG_MORE | P2P_SEG_BACK));
	}
	return held;
}
