/* SPDX-License-Identifier: BSD-3-Clause */
#include "board.h"
#include "lpm.h"

#define LPM_EINVAL 22

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
		    (t->tiers[f] && t->root[f] + (1ull << t->stride[f][0]) > entries))
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

static void lpm_burst4(const struct fw_lpm *t, const uint32_t *rest, uint32_t n, uint32_t *e)
{
	const uint8_t *stride = t->stride[P2P_IP4];
	const unsigned int tiers = t->tiers[P2P_IP4];
	unsigned int tier, left = 0;
	/* A root row may end farther behind the array's end than others. */
	uint32_t last = t->last > t->root[P2P_IP4] ? t->last : t->root[P2P_IP4];
	bool more = true;

	for (tier = 0; more && tier < tiers; tier++) {
		more = board_jump_few(t->nodes, last, rest, left, 32u - stride[tier], e, n);
		left += stride[tier];
		last = t->last;
	}
	if (p2p_unlikely(more))
		lpm_end(e, n);
}

void fw_lpm_find4(const struct fw_lpm *t, const uint32_t *addr, uint32_t n, uint32_t *hop)
{
	uint32_t rest[FW_LPM_BURST], e[FW_LPM_BURST], k, m;

	for (; n; n -= m, addr += m, hop += m) {
		m = n < FW_LPM_BURST ? n : FW_LPM_BURST;
		for (k = 0; k < m; k++)
			e[k] = P2P_NODE_JUMP | t->root[P2P_IP4];
		for (; k & 7; k++)
			rest[k] = e[k] = 0;
		memcpy(rest, addr, 4 * m);
		lpm_burst4(t, rest, m, e);
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
	const unsigned int tiers = t->tiers[P2P_IP6];
	uint32_t rest[FW_LPM_BURST], e[FW_LPM_BURST], k, m, last;
	unsigned int tier, at, base;
	bool more;

	for (; n; n -= m, addr += m, hop += m) {
		m = n < FW_LPM_BURST ? n : FW_LPM_BURST;
		for (k = 0; k < m; k++)
			e[k] = P2P_NODE_JUMP | t->root[P2P_IP6];
		for (; k & 7; k++)
			rest[k] = e[k] = 0;
		lpm_rest(addr, 0, m, rest);
		last = t->last > t->root[P2P_IP6] ? t->last : t->root[P2P_IP6];
		more = true;
		for (tier = at = base = 0; more && tier < tiers; tier++) {
			if (at + stride[tier] > base + 32) {
				base = at;
				lpm_rest(addr, base, m, rest);
			}
			more = board_jump_few(t->nodes, last, rest, at - base, 32u - stride[tier], e, m);
			at += stride[tier];
			last = t->last;
		}
		if (p2p_unlikely(more))
			lpm_end(e, m);
		memcpy(hop, e, 4 * m);
	}
}
