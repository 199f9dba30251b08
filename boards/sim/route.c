/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Routes in place of static pairs: what comes in at a pair's one end for 10.k.0.0/16 leaves by the other, k its number
 * (sim_route_net()).  The table is the smallest that has them: all are entries of the root row.
 */
#include <string.h>
#include <p2pnic/route.h>

#include "internal.h"

#define ROUTE_HOP(k) (P2P_HOP_FREE + (k))

static const struct p2p_route_shape route_shape = {
	.bytes = SIM_ROUTE_BYTES, .hops = P2P_HOP_FREE + 256, .contexts = 1, .tiers = { 3, 0 }, .stride = { { 16, 8, 8 } },
};

/* 02:00:00:03:nic:port is the station behind a port; a port's own address is its strap's. */
static void route_entry(struct p2p_hop_entry *e, const struct sim_pair *p, uint64_t port_mac)
{
	const uint8_t dst[6] = { 0x02, 0, 0, 3, (uint8_t)p->to_nic, (uint8_t)p->to_port };
	le64 src = to_le64(port_mac);

	memset(e, 0, sizeof(*e));
	memcpy(e->dst_mac, dst, 6);
	memcpy(e->src_mac, &src, 6);
	e->kind = P2P_HOP_KIND_FORWARD;
	e->nic = (uint8_t)p->to_nic;
	e->port = (uint8_t)p->to_port;
}

bool sim_route_make(struct board_ctx *b, struct board_ctx *const *nics, const struct sim_pair *pairs, unsigned int n)
{
	const struct p2p_shape *s = fw_nic_shape(sim_nic_fw(b));
	uint8_t *area = sim_nic_mem(b, p2p_seg_offset(s, p2p_seg_route(s)));
	struct p2p_route_head *h = (struct p2p_route_head *)area;
	struct p2p_hop_entry *entry;
	le32 *node, *hop;
	unsigned int k;
	uint32_t net;

	if (!p2p_route_plan(&route_shape, h))
		return false;
	entry = (struct p2p_hop_entry *)(area + from_le32(h->entries_at));
	hop = (le32 *)(area + from_le32(h->hops_at));
	node = (le32 *)(area + from_le64(h->nodes_at)) + from_le32(h->root[P2P_IP4]);
	for (k = 0; k < 1u << 16; k++)
		node[k] = to_le32(P2P_HOP_NO_ROUTE);
	for (k = 0; k < P2P_NUM_RESERVED_HOPS; k++)
		hop[k] = to_le32(P2P_HOP_WORD(P2P_HOP_ENTRY, 0, k));
	for (k = 0; k < n; k++) {
		net = sim_route_net(pairs[k].to_nic, pairs[k].to_port);
		route_entry(&entry[ROUTE_HOP(net >> 16 & 0xff)], &pairs[k],
			    fw_reg_read(sim_nic_fw(nics[pairs[k].to_nic]),
					P2P_PORT_BLOCK + pairs[k].to_port * P2P_PORT_BLOCK_BYTES + P2P_PORT_MAC, 8));
		hop[ROUTE_HOP(net >> 16 & 0xff)] = to_le32(P2P_HOP_WORD(P2P_HOP_ENTRY, 0, ROUTE_HOP(net >> 16 & 0xff)));
		node[net >> 16] = to_le32(ROUTE_HOP(net >> 16 & 0xff));
	}
	h->epoch = to_le32(1);
	h->magic = to_le32(P2P_ROUTE_MAGIC);
	fw_reg_write(sim_nic_fw(b), P2P_ROUTE_TABLE, 4, 1);
	return fw_reg_read(sim_nic_fw(b), P2P_ROUTE_TABLE, 4) == 1;
}
