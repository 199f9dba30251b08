/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bn: the host in place of peers.
 *
 * As ingress we are the producer of one receive ring per port in our host area
 * and write frames into host buffers that the host hands us through the
 * doorbell segment.  As egress we pull: the doorbell says how far the host has
 * filled a send ring; we read descriptors, then frames, from host memory.
 */
#include "nic.h"

static bool bn_place_ok(const struct fw_nic *n, uint32_t place, uint32_t bytes)
{
	return (uint64_t)place * P2P_DW_UNIT + bytes <= n->peer[FW_PEER_HOST].rx_bytes;
}

bool fw_bn_refill(struct fw_nic *n, unsigned int x, uint32_t need)
{
	struct fw_port *port = &n->port[x];
	const struct p2p_line *line = &n->doorbell->refill[x];

	if (p2p_likely(port->refill_prod - port->refill_cons >= need))
		return true;
	if (le32_load_acquire(&line->w[2]) != n->peer[FW_PEER_HOST].seen)
		return false;
	port->refill_prod = le32_load_acquire(&line->w[3]);
	if (port->refill_prod - port->refill_cons > p2p_host_bufs(&n->shape)) {
		fw_event(n, P2P_EV_bad_line, 1);
		port->refill_prod = port->refill_cons;
	}
	return port->refill_prod - port->refill_cons >= need;
}

uint32_t fw_bn_place(struct fw_nic *n, unsigned int x)
{
	uint32_t size = p2p_host_bufs(&n->shape);
	const le32 *ids = n->doorbell->ids + (size_t)x * size;

	return le32_load_acquire(&ids[n->port[x].refill_cons++ & (size - 1)]) & 0xffffff;
}

/* Reads `count` descriptors from slot on; they must not wrap. */
static void bn_read_descs(struct fw_nic *n, struct fw_peer *peer, struct fw_cons *c, uint32_t slot, uint32_t count)
{
	uint32_t k;

	memset(&c->copy[slot], 0, count * sizeof(c->copy[0]));
	board_charge(n->board, BOARD_STEP_DMA_ISSUE, 1);
	n->last_read = board_read(n->board, &peer->win_ring, c->desc_off + slot * 16, &c->copy[slot], count * 16,
				  BOARD_KIND_DESC);
	for (k = 0; k < count; k++)
		c->tok[slot + k] = n->last_read;
	fw_event(n, P2P_EV_host_desc_bytes, count * 16);
}

static void bn_fetch_descs(struct fw_nic *n, struct fw_peer *peer, struct fw_cons *c)
{
	const struct p2p_line *bell = &n->doorbell->send[c->ring];
	uint32_t prod, count, slot, room;

	board_charge(n->board, BOARD_STEP_POLL_RING, 1);
	if (le32_load_acquire(&bell->w[P2P_RL_INC]) != peer->seen)
		return;
	prod = le32_load_acquire(&bell->w[P2P_RL_PROD]);
	/* Neither further than the ring goes nor back behind what was read. */
	if (prod - c->done > c->mask + 1 || prod - c->done < c->dfetch - c->done) {
		/* A host that has not heard yet where the ring begins asks with whatever number it has. */
		if (prod != c->bad_prod && c->dfetch != c->base)
			fw_event(n, P2P_EV_bad_line, 1);
		c->bad_prod = prod;
		return;
	}
	while (c->dfetch != prod && board_room(n->board, BOARD_Q_READ)) {
		slot = c->dfetch & c->mask;
		room = c->mask + 1 - slot;
		count = prod - c->dfetch < room ? prod - c->dfetch : room;
		if (count > P2P_MAX_BATCH)
			count = P2P_MAX_BATCH;
		bn_read_descs(n, peer, c, slot, count);
		c->dfetch += count;
	}
}

void fw_bn_fetch(struct fw_nic *n, struct fw_peer *peer, struct fw_cons *c)
{
	uint32_t slot, len, bytes, place, unit = n->stride > P2P_DW_UNIT ? n->stride : P2P_DW_UNIT;
	struct p2p_desc *d;

	bn_fetch_descs(n, peer, c);
	while (c->fetch != c->dfetch && c->fetch - c->next < FW_RD_WINDOW && c->fetch - c->done <= c->mask &&
	       board_room(n->board, BOARD_Q_READ)) {
		slot = c->fetch & c->mask;
		d = &c->copy[slot];
		if (!board_done(n->board, BOARD_Q_READ, c->tok[slot]))
			return;
		if (!from_le32(d->w0) && !from_le32(d->seq)) {
			fw_event(n, P2P_EV_retries, 1);
			bn_read_descs(n, peer, c, slot, 1);
			return;
		}
		len = P2P_D0_LEN(from_le32(d->w0));
		bytes = P2P_ALIGN_UP(len, unit);
		place = P2P_DW_PLACE(from_le32(d->where));
		c->fetch++;
		if (!len)
			continue;
		if (len > c->buf_size || !bn_place_ok(n, place, bytes)) {
			d->csum = to_le32(~from_le32(d->csum));
			continue;
		}
		/* Not earlier, as for other rings: the number is the ingress's, known from the descriptor. */
		if (n->scrub)
			fw_cons_scrub(n, c, slot, from_le32(d->seq), bytes / n->stride);
		board_charge(n->board, BOARD_STEP_DMA_ISSUE, 1);
		n->last_read = board_read(n->board, &peer->win_rx, (uint64_t)place * P2P_DW_UNIT,
					  c->bufs + (size_t)slot * c->buf_size, bytes, BOARD_KIND_PAYLOAD);
		c->tok[slot] = n->last_read;
		fw_event(n, P2P_EV_host_bytes, len);
	}
}
