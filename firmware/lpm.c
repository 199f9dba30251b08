/* SPDX-License-Identifier: BSD-3-Clause */
#include "board.h"
#include "lpm.h"

#define LPM_EINVAL 22
_Static_assert(FW_LPM_BURST <= BOARD_JUMP_MOST && FW_LPM_BURST % 32 == 0, "bursts are whole");

int fw_lpm_open(struct fw_lpm *t, const void *area, uint64_t bytes)
{
	struct p2p_route_head h;
	uint64_t at, entries;
	unsigned int f;

	if (bytes < sizeof(h))
		return -LPM_EINVAL;
	memcpy(&h, area, sizeof(h));
	at = from_le64(h.nodes_at);
	t->last = from_le32(h.nodes);
	entries = (uint64_t)t->last + P2P_ROUTE_ROW_MAX;
	if (from_le32(h.magic) != P2P_ROUTE_MAGIC || from_le32(h.version) >> 16 != P2P_ROUTE_VERSION >> 16 || at % 4 ||
	    at > bytes || 4 * entries > bytes - at)
		return -LPM_EINVAL;
	t->nodes = (const le32 *)(const void *)((const uint8_t *)area + at);
	memcpy(t->tiers, h.tiers, sizeof(t->tiers));
	memcpy(t->stride, h.stride, sizeof(t->stride));
	for (f = 0; f < P2P_NUM_FAMILIES; f++) {
		t->root[f] = from_le32(h.root[f]);
		if (!p2p_route_widths_ok(P2P_FAMILY_BITS(f), t->stride[f], t->tiers[f]) ||
		    (t->tiers[f] && (t->root[f] > t->last || t->root[f] + (1ull << t->stride[f][0]) > entries)))
			return -LPM_EINVAL;
	}
	return 0;
}

/* What still jumps after the last tier comes of a damaged table. */
static void lpm_end(uint32_t *e, uint32_t n)
{
	uint32_t k;

	for (k = 0; k < n; k++)
		e[k] = e[k] & P2P_NODE_JUMP ? P2P_HOP_NO_ROUTE : e[k];
}

/* Every address begins at the root; what fills the burst up jumps nowhere. */
static void lpm_begin(const struct fw_lpm *t, enum p2p_family f, uint32_t n, uint32_t *e, uint32_t *rest)
{
	uint32_t k;

	for (k = 0; k < n; k++)
		e[k] = P2P_NODE_JUMP | t->root[f];
	for (; k & 31; k++)
		e[k] = rest[k] = 0;
}

void fw_lpm_find4(const struct fw_lpm *t, const uint32_t *addr, uint32_t n, uint32_t *hop)
{
	uint32_t rest[FW_LPM_BURST], e[FW_LPM_BURST], m;

	for (; n; n -= m, addr += m, hop += m) {
		m = n < FW_LPM_BURST ? n : FW_LPM_BURST;
		lpm_begin(t, P2P_IP4, m, e, rest);
		memcpy(rest, addr, 4 * m);
		if (p2p_unlikely(board_jump_few(t->nodes, t->last, rest, e, m, t->stride[P2P_IP4], t->tiers[P2P_IP4])))
			lpm_end(e, m);
		memcpy(hop, e, 4 * m);
	}
}

/* The 32 bits of each address from bit `at` on. */
static void lpm_rest(const uint32_t (*addr)[4], unsigned int at, uint32_t n, uint32_t *rest)
{
	const unsigned int w = at / 32, off = at % 32;
	uint32_t k;

	if (!off) {
		for (k = 0; k < n; k++)
			rest[k] = addr[k][w];
	} else if (w == 3) {
		for (k = 0; k < n; k++)
			rest[k] = addr[k][w] << off;
	} else {
		for (k = 0; k < n; k++)
			rest[k] = addr[k][w] << off | addr[k][w + 1] >> (32 - off);
	}
}

void fw_lpm_find6(const struct fw_lpm *t, const uint32_t (*addr)[4], uint32_t n, uint32_t *hop)
{
	const uint8_t *stride = t->stride[P2P_IP6];
	uint32_t rest[FW_LPM_BURST], e[FW_LPM_BURST], m;
	unsigned int tier, end, at, bits;
	bool more;

	for (; n; n -= m, addr += m, hop += m) {
		m = n < FW_LPM_BURST ? n : FW_LPM_BURST;
		lpm_begin(t, P2P_IP6, m, e, rest);
		more = true;
		/* As many tiers at a time as have their bits in one word. */
		for (tier = at = 0; more && tier < t->tiers[P2P_IP6]; tier = end, at += bits) {
			for (end = tier, bits = 0; end < t->tiers[P2P_IP6] && bits + stride[end] <= 32; end++)
				bits += stride[end];
			lpm_rest(addr, at, m, rest);
			more = board_jump_few(t->nodes, t->last, rest, e, m, stride + tier, end - tier);
		}
		if (p2p_unlikely(more))
			lpm_end(e, m);
		memcpy(hop, e, 4 * m);
	}
}
