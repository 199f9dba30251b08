/* SPDX-License-Identifier: BSD-3-Clause */
/* The register file: BAR0 as <p2pnic/regs.h> lists it. */
#include "nic.h"

enum access { RO, RW, WO, ST };

struct reg_info {
	uint16_t off;
	uint8_t bytes, access;
	uint64_t reset;
};

#define X(name, off, bytes, access, reset, desc) { off, bytes, access, reset },
static const struct reg_info nic_regs[] = { P2P_REGS(X) };
static const struct reg_info port_regs[] = { P2P_PORT_REGS(X) };
static const struct reg_info peer_regs[] = { P2P_PEER_REGS(X) };
#undef X

#define X(name, pps, desc) pps,
static const uint32_t punt_rates[] = { P2P_PUNTS(X) };
#undef X

#define ALL_ONES(bytes) ((bytes) == 8 ? ~0ull : 0xffffffffull)

static int reg_find(const struct reg_info *list, unsigned int count, uint32_t off, uint32_t bytes)
{
	unsigned int k;

	for (k = 0; k < count; k++)
		if (list[k].off == off && list[k].bytes == bytes)
			return (int)k;
	return -1;
}

void fw_regs_reset(struct fw_nic *n)
{
	unsigned int k, x;

	for (k = 0; k < FW_NUM_REGS; k++)
		n->reg[k] = nic_regs[k].reset;
	for (k = 0; k < P2P_NUM_PUNTS; k++)
		n->punt_rate[k] = punt_rates[k];
	n->reg[FW_R_NUM_PORTS] = n->ports;
	n->reg[FW_R_MEM_SIZE] = n->strap.mem_bytes;
	n->reg[FW_R_BUF_SIZE] = n->strap.buf_size;
	n->reg[FW_R_QUEUES_MAX] = n->strap.max_queues ? n->strap.max_queues : 1;
	memset(n->peer_reg, 0, sizeof(n->peer_reg));
	memset(n->port_reg, 0, sizeof(n->port_reg));
	for (x = 0; x < n->ports; x++)
		memcpy(&n->port_reg[x][FW_R_PORT_MAC], n->strap.mac[x], 6);
}

static uint64_t reg_segment(const struct fw_nic *n, enum fw_reg_index k)
{
	uint32_t seg = (uint32_t)n->reg[FW_R_SEG_SELECT];

	if (!n->configured || seg >= p2p_seg_total(&n->shape))
		return 0;
	if (k == FW_R_SEG_KIND)
		return p2p_seg_kind(&n->shape, seg);
	if (k == FW_R_SEG_OFFSET)
		return p2p_seg_offset(&n->shape, seg);
	return p2p_seg_bytes(&n->shape, p2p_seg_kind(&n->shape, seg));
}

static uint64_t reg_needed(const struct fw_nic *n)
{
	struct p2p_shape s = { .nics = (uint32_t)n->reg[FW_R_NUM_NICS], .ports = n->ports,
			       .slots = (uint32_t)n->reg[FW_R_SLOTS], .buf_size = n->strap.buf_size,
			       .rx_bufs = (uint32_t)n->reg[FW_R_RX_BUFS], .queues = (uint32_t)n->reg[FW_R_QUEUES] };

	return s.slots && s.queues <= P2P_MAX_QUEUES ? p2p_memory_needed(&s) : 0;
}

static uint64_t reg_value(const struct fw_nic *n, enum fw_reg_index k)
{
	switch (k) {
	case FW_R_FEATURES:
		return n->reg[k] | (BOARD_CUT ? P2P_FEAT_CUT : 0) | (FW_ROUTING ? P2P_FEAT_ROUTE : 0);
	case FW_R_CONTROL:
		return (n->running ? P2P_CTL_ENABLE : 0) | (n->persist ? P2P_CTL_PERSIST : 0);
	case FW_R_STATUS:
		return (n->configured ? P2P_ST_CONFIGURED : 0) | (n->running ? P2P_ST_RUNNING : 0);
	case FW_R_ERROR:
		return n->error;
	case FW_R_INCARNATION:
		return n->incarnation;
	case FW_R_MEM_NEEDED:
		return reg_needed(n);
	case FW_R_EPOCH:
		return n->step;
	case FW_R_ROUTE_OFFSET:
		return n->configured && n->shape.route_bytes ? p2p_seg_offset(&n->shape, p2p_seg_route(&n->shape)) : 0;
	case FW_R_INJECT_OFFSET:
		return n->configured && n->shape.route_bytes ? p2p_seg_offset(&n->shape, p2p_seg_inject(&n->shape)) : 0;
	case FW_R_ROUTE_TABLE:
		return n->route.table;
	case FW_R_INJECT_BELL:
		return 0;
	case FW_R_SEG_COUNT:
		return n->configured ? p2p_seg_total(&n->shape) : 0;
	case FW_R_SEG_KIND:
	case FW_R_SEG_OFFSET:
	case FW_R_SEG_BYTES:
		return reg_segment(n, k);
	default:
		return n->reg[k];
	}
}

static uint64_t reg_read_block(const struct fw_nic *n, uint32_t off, uint32_t bytes)
{
	struct fw_peer_info info;
	uint32_t i;
	int k;

	if (off >= P2P_PORT_BLOCK && off < P2P_PORT_BLOCK + n->ports * P2P_PORT_BLOCK_BYTES) {
		i = (off - P2P_PORT_BLOCK) / P2P_PORT_BLOCK_BYTES;
		k = reg_find(port_regs, FW_NUM_PORT_REGS, (off - P2P_PORT_BLOCK) % P2P_PORT_BLOCK_BYTES, bytes);
		if (k < 0)
			return ALL_ONES(bytes);
		if (k == FW_R_PORT_PLACEMENT)
			return fw_nic_placement(n, i);
		return k == FW_R_PORT_LINK ? n->port[i].link : n->port_reg[i][k];
	}
	if (off >= P2P_PEER_BLOCK && off < P2P_PEER_BLOCK + P2P_MAX_NICS * P2P_PEER_BLOCK_BYTES) {
		i = (off - P2P_PEER_BLOCK) / P2P_PEER_BLOCK_BYTES;
		k = reg_find(peer_regs, FW_NUM_PEER_REGS, (off - P2P_PEER_BLOCK) % P2P_PEER_BLOCK_BYTES, bytes);
		if (k < 0)
			return ALL_ONES(bytes);
		if (k != FW_R_PEER_STATE)
			return n->peer_reg[i][k];
		if (fw_peer_info(n, i, &info))
			return ALL_ONES(bytes);
		return n->mode == P2P_MODE_BN && !n->peer_reg[i][FW_R_PEER_CTRL] ? P2P_PEER_ABSENT : info.state;
	}
	if (bytes == 8 && off >= P2P_EVENT_BLOCK && off < P2P_EVENT_BLOCK + 8 * P2P_NUM_EVENTS && !(off & 7))
		return n->events[(off - P2P_EVENT_BLOCK) / 8];
	if (bytes == 4 && off >= P2P_PUNT_RATE_BLOCK && off < P2P_PUNT_RATE_BLOCK + 4 * P2P_NUM_PUNTS && !(off & 3))
		return n->punt_rate[(off - P2P_PUNT_RATE_BLOCK) / 4];
	if (bytes == 8 && off >= P2P_PUNT_BLOCK && off < P2P_PUNT_BLOCK + 8 * P2P_NUM_PUNTS && !(off & 7))
		return n->punts[(off - P2P_PUNT_BLOCK) / 8];
	if (bytes == 8 && off >= P2P_DROP_BLOCK && off < P2P_DROP_BLOCK + 8 * P2P_NUM_DROPS && !(off & 7))
		return n->drops[(off - P2P_DROP_BLOCK) / 8];
	return ALL_ONES(bytes);
}

uint64_t fw_reg_read(struct fw_nic *n, uint32_t off, uint32_t bytes)
{
	int k;

	if (off >= P2P_PORT_BLOCK)
		return reg_read_block(n, off, bytes);
	k = reg_find(nic_regs, FW_NUM_REGS, off, bytes);
	return k < 0 ? ALL_ONES(bytes) : reg_value(n, (enum fw_reg_index)k);
}

/* Commands of routing; true: it was one of them. */
static bool reg_route(struct fw_nic *n, int k, uint64_t value)
{
	bool mine = n->strap.queue == 0 || n->strap.queue < n->reg[FW_R_QUEUES];

	if (k == FW_R_ROUTE_TABLE && !FW_ROUTING)
		n->error = FW_EOPNOTSUPP;
	else if (FW_ROUTING && k == FW_R_ROUTE_TABLE)
		n->error = (uint32_t)(mine ? -fw_route_table(n, value & 1) : 0);
	else if (FW_ROUTING && k == FW_R_PUNT_SESSION && mine)
		fw_punt_session(n, (uint32_t)value);
	return k == FW_R_ROUTE_TABLE || k == FW_R_INJECT_BELL;
}

static void reg_control(struct fw_nic *n, uint32_t value)
{
	int err = 0;

	if (value & P2P_CTL_RESET) {
		fw_nic_reset(n, true);
		return;
	}
	n->persist = value & P2P_CTL_PERSIST;
	if (n->strap.queue && n->strap.queue >= n->reg[FW_R_QUEUES])
		value &= ~(P2P_CTL_CONFIGURE | P2P_CTL_ENABLE);
	if (value & P2P_CTL_CONFIGURE)
		err = fw_nic_configure(n);
	if (!err && (value & P2P_CTL_ENABLE) && !n->running)
		err = fw_nic_enable(n);
	else if (!(value & P2P_CTL_ENABLE) && n->running)
		fw_nic_disable(n);
	n->error = (uint32_t)-err;
}

/* Takes what the peer's registers say; -EINVAL if that can't be. */
static int peer_introduce(struct fw_nic *n, unsigned int i)
{
	const uint64_t *reg = n->peer_reg[i];
	struct fw_peer *peer = &n->peer[i];
	uint64_t ring_bytes, bar2 = reg[FW_R_PEER_BAR2] + n->strap.queue * reg[FW_R_PEER_QUEUE_STEP];
	unsigned int r;

	if (!n->configured || i >= n->nics || !reg[FW_R_PEER_PORTS] || reg[FW_R_PEER_PORTS] > P2P_MAX_PORTS)
		return -FW_EINVAL;
	if (reg[FW_R_PEER_SLOTS] != n->shape.slots || reg[FW_R_PEER_BUF_SIZE] > P2P_MAX_FRAME ||
	    !reg[FW_R_PEER_BUF_SIZE] || reg[FW_R_PEER_BUF_SIZE] % n->stride)
		return -FW_EINVAL;
	if (n->mode == P2P_MODE_BN || peer->intro)
		return 0;
	peer->ports = (uint32_t)reg[FW_R_PEER_PORTS];
	peer->slots = (uint32_t)reg[FW_R_PEER_SLOTS];
	peer->rx_bytes = reg[FW_R_PEER_RX_BYTES];
	ring_bytes = sizeof(struct p2p_ring_head) + 16ull * peer->slots * (peer->ports + 1);
	board_win_open(n->board, &peer->win_ring, bar2 + reg[FW_R_PEER_RING], ring_bytes);
	board_win_open(n->board, &peer->win_rx, bar2 + reg[FW_R_PEER_RX], peer->rx_bytes);
	for (r = 0; r <= peer->ports; r++) {
		struct fw_prod *p = &peer->prod[r];

		p->peer = (uint8_t)i;
		p->ring = (uint8_t)r;
		p->local = i == n->self;
		p->buf_size = (uint32_t)reg[FW_R_PEER_BUF_SIZE];
		p->comp = &peer->head->comp[r];
		p->ctrl_off = (uint32_t)offsetof(struct p2p_ring_head, ctrl) + 64 * r;
		p->desc_off = (uint32_t)sizeof(struct p2p_ring_head) + 16 * peer->slots * r;
		board_win_open(n->board, &p->win_buf, bar2 + reg[FW_R_PEER_BUF] + r * reg[FW_R_PEER_BUF_STEP],
			       (uint64_t)peer->slots * p->buf_size);
	}
	if (n->running) {
		fw_peer_start(n, i);
		peer->intro_ns = n->now_ns - FW_MEETING_NS - 1; /* the others forward on meanwhile */
		fw_cut_meet(n, i);
	}
	return 0;
}

static void reg_write_peer(struct fw_nic *n, unsigned int i, int k, uint64_t value)
{
	int err = 0;

	if (k == FW_R_PEER_CTRL) {
		if (value & 1)
			err = peer_introduce(n, i);
		else
			fw_peer_stop(n, i, P2P_DROP_peer_lost);
		n->error = (uint32_t)-err;
		value = !err && (value & 1);
	} else if (n->peer_reg[i][FW_R_PEER_CTRL]) {
		return; /* in use */
	}
	n->peer_reg[i][k] = value;
}

static void reg_write_block(struct fw_nic *n, uint32_t off, uint32_t bytes, uint64_t value)
{
	uint32_t i;
	int k;

	if (off >= P2P_PORT_BLOCK && off < P2P_PORT_BLOCK + n->ports * P2P_PORT_BLOCK_BYTES) {
		i = (off - P2P_PORT_BLOCK) / P2P_PORT_BLOCK_BYTES;
		k = reg_find(port_regs, FW_NUM_PORT_REGS, (off - P2P_PORT_BLOCK) % P2P_PORT_BLOCK_BYTES, bytes);
		if (k == FW_R_PORT_ROUTER_MAC || (k == FW_R_PORT_RPF && value <= P2P_RPF_LOOSE))
			n->port_reg[i][k] = value;
		if (k != FW_R_PORT_PAIR)
			return;
		n->error = (value & P2P_PAIR_VALID) && (((value >> 8) & 0xff) >= P2P_MAX_NICS ||
							(value & 0xff) >= P2P_MAX_PORTS) ? FW_EINVAL : 0;
		if (!n->error)
			n->port_reg[i][k] = value;
	} else if (off >= P2P_PEER_BLOCK && off < P2P_PEER_BLOCK + P2P_MAX_NICS * P2P_PEER_BLOCK_BYTES) {
		i = (off - P2P_PEER_BLOCK) / P2P_PEER_BLOCK_BYTES;
		k = reg_find(peer_regs, FW_NUM_PEER_REGS, (off - P2P_PEER_BLOCK) % P2P_PEER_BLOCK_BYTES, bytes);
		if (k >= 0 && peer_regs[k].access == RW)
			reg_write_peer(n, i, k, value);
	} else if (bytes == 4 && off >= P2P_PUNT_RATE_BLOCK && off < P2P_PUNT_RATE_BLOCK + 4 * P2P_NUM_PUNTS && !(off & 3)) {
		n->punt_rate[(off - P2P_PUNT_RATE_BLOCK) / 4] = (uint32_t)value;
	}
}

void fw_reg_write(struct fw_nic *n, uint32_t off, uint32_t bytes, uint64_t value)
{
	int k;

	n->now_ns = board_now_ns(n->board);
	if (off >= P2P_PORT_BLOCK) {
		reg_write_block(n, off, bytes, value);
		return;
	}
	k = reg_find(nic_regs, FW_NUM_REGS, off, bytes);
	if (k < 0 || nic_regs[k].access == RO || nic_regs[k].access == ST)
		return;
	if (k == FW_R_CONTROL)
		reg_control(n, (uint32_t)value);
	else if (!reg_route(n, k, value))
		n->reg[k] = value;
}

/* ---- several contexts ---- */

static bool is_counter(uint32_t off)
{
	return (off >= P2P_EVENT_BLOCK && off < P2P_EVENT_BLOCK + 8 * P2P_NUM_EVENTS) ||
	       (off >= P2P_DROP_BLOCK && off < P2P_DROP_BLOCK + 8 * P2P_NUM_DROPS) ||
	       (off >= P2P_PUNT_BLOCK && off < P2P_PUNT_BLOCK + 8 * P2P_NUM_PUNTS);
}

/* The register within its block, block and index taken off; other blocks' as they are. */
static uint32_t reg_kind(uint32_t off)
{
	if (off >= P2P_PORT_BLOCK && off < P2P_PORT_BLOCK + P2P_MAX_PORTS * P2P_PORT_BLOCK_BYTES)
		return P2P_PORT_BLOCK + (off - P2P_PORT_BLOCK) % P2P_PORT_BLOCK_BYTES;
	if (off >= P2P_PEER_BLOCK && off < P2P_PEER_BLOCK + P2P_MAX_NICS * P2P_PEER_BLOCK_BYTES)
		return P2P_PEER_BLOCK + (off - P2P_PEER_BLOCK) % P2P_PEER_BLOCK_BYTES;
	return off;
}

static uint64_t peer_state_worse(uint64_t a, uint64_t b)
{
	static const uint8_t badness[] = { [P2P_PEER_UP] = 0, [P2P_PEER_WAITING] = 1, [P2P_PEER_ABSENT] = 2, [P2P_PEER_DOWN] = 3 };

	if (a >= P2P_ARRAY_SIZE(badness) || b >= P2P_ARRAY_SIZE(badness))
		return a;
	return badness[b] > badness[a] ? b : a;
}

static uint64_t reg_join(uint32_t off, uint64_t a, uint64_t b)
{
	if (is_counter(off))
		return a + b;
	switch (reg_kind(off)) {
	case P2P_STATUS:
	case P2P_CONTROL:
	case P2P_ROUTE_TABLE:
	case P2P_PORT_BLOCK + P2P_PORT_LINK:
		return a & b;
	case P2P_ERROR:
		return a ? a : b;
	case P2P_EPOCH:
		return b < a ? b : a;
	case P2P_PEER_BLOCK + P2P_PEER_STATE:
		return peer_state_worse(a, b);
	default:
		return a;
	}
}

uint64_t fw_reg_read_all(struct fw_nic *const nic[], unsigned int n, uint32_t off, uint32_t bytes)
{
	uint64_t v = fw_reg_read(nic[0], off, bytes);
	unsigned int q, used = (unsigned int)nic[0]->reg[FW_R_QUEUES];

	if (v == ALL_ONES(bytes))
		return v;
	for (q = 1; q < n && (q < used || is_counter(off)); q++)
		v = reg_join(off, v, fw_reg_read(nic[q], off, bytes));
	return v;
}

void fw_reg_write_all(struct fw_nic *const nic[], unsigned int n, uint32_t off, uint32_t bytes, uint64_t value)
{
	bool stops = off == P2P_CONTROL && (value & P2P_CTL_RESET || !(value & (P2P_CTL_CONFIGURE | P2P_CTL_ENABLE)));
	unsigned int q;

	for (q = 0; q < n; q++)
		fw_reg_write(nic[stops ? n - 1 - q : q], off, bytes, value);
}
