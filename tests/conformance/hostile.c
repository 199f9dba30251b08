/* SPDX-License-Identifier: BSD-3-Clause */
#include <p2pnic/csum.h>
#include <string.h>

#include "hostile.h"

#define A HONEST_A
#define B HONEST_B
#define C HONEST_C

void hostile_beat(struct hostile *w)
{
	le32 *beat = &(w->area ? &w->area->peer : &w->ring->peer)->w[P2P_PL_BEAT];

	honest_put(beat, le32_load_acquire(beat) + 1);
}

void hostile_learn(struct hostile *w)
{
	unsigned int r;

	for (r = 0; r <= HONEST_PORTS; r++) {
		w->prod[r] = le32_load_acquire(&w->back->comp[r].w[P2P_CL_CONS]);
		w->frame[r] = 0;
	}
}

void hostile_open(struct hostile *w, const struct mesh_ops *ops, const struct mesh_cfg *cfg, bool pair)
{
	const struct p2p_shape *s;
	unsigned int r, p;

	memset(w, 0, sizeof(*w));
	w->pair = pair;
	w->m = mesh_create(ops, cfg);
	honest_watch(&w->honest, w->m);
	if (mesh_configure(w->m))
		return;
	mesh_pair(w->m, A, 0, C, 0);
	mesh_pair(w->m, C, 0, A, 0);
	if (pair) {
		mesh_pair(w->m, A, 1, B, 0);
		mesh_pair(w->m, B, 0, A, 1);
	}
	mesh_up(w->m);
	if (mesh_failure(w->m))
		return;
	s = &w->m->shape;
	w->m->nic[B].dead = true;
	w->ring = honest_segment(&w->honest, A, p2p_seg_ring(s, B));
	w->back = honest_segment(&w->honest, B, p2p_seg_ring(s, A));
	for (r = 0; r <= HONEST_PORTS; r++) {
		w->desc[r] = (struct p2p_desc *)(w->ring + 1) + r * s->slots;
		w->buf[r] = honest_segment(&w->honest, A, p2p_seg_buf(s, r, B));
	}
	honest_up(&w->honest);
	for (p = 0; p < HONEST_PORTS; p++)
		w->rx[p] = honest_segment(&w->honest, B, p2p_seg_rx(s, p));
	hostile_learn(w);
	if (cfg->mode != P2P_MODE_BN)
		return;
	w->area = (struct p2p_host_area *)(w->m->host.mem + B * p2p_host_area_bytes(s));
	w->door = honest_segment(&w->honest, B, P2P_SEG_DOORBELL);
	w->base = w->next = le32_load_acquire(&w->door->comp[0].w[P2P_CL_CONS]);
}

void hostile_close(struct hostile *w)
{
	mesh_destroy(w->m);
	w->m = NULL;
}

uint8_t *hostile_payload(struct hostile *w, unsigned int r, uint32_t seq, uint32_t flags, uint32_t *place)
{
	const struct mesh_cfg *c = &w->m->cfg;
	size_t at = (size_t)(seq & (c->slots - 1)) * c->buf_size;

	*place = 0;
	if (c->mode != P2P_MODE_RD || (flags & P2P_DF_HERE))
		return w->buf[r] + at;
	*place = (uint32_t)(at / P2P_DW_UNIT);
	return w->rx[0] + at;
}

struct hostile_desc hostile_next(struct hostile *w, unsigned int r, uint32_t len, uint32_t flags)
{
	struct hostile_desc d = { .seq = w->prod[r]++, .len = len, .flags = flags, .frame = w->frame[r],
				  .out_port = r == HONEST_PORTS ? P2P_PORT_FLOOD : r };

	d.payload = hostile_payload(w, r, d.seq, flags, &d.place);
	if (!(flags & (P2P_DF_MORE | P2P_DF_VOID)))
		w->frame[r]++;
	return d;
}

struct p2p_desc *hostile_publish(struct hostile *w, unsigned int r, const struct hostile_desc *d)
{
	const struct mesh_cfg *c = &w->m->cfg;
	struct p2p_desc *at = &w->desc[r][d->seq & (c->slots - 1)], made;
	uint32_t w0 = P2P_D0(d->len, d->flags, d->in_port, d->out_port, 0), where = P2P_DW(d->place, d->frame), sum = ~0u;

	if (!(d->flags & P2P_DF_PLACED))
		sum = p2p_csum_words(d->payload, d->len, p2p_mix(d->seq), c->stride);
	sum = p2p_crc32c_plain(p2p_crc32c_plain(p2p_crc32c_plain(sum, w0 & P2P_D0_SUMMED), where), d->seq);
	p2p_desc_fill(&made, w0, ~sum, where, d->seq);
	memcpy(at, &made, sizeof(made));
	return at;
}

struct p2p_desc *hostile_recv(struct hostile *w, uint32_t flags, uint32_t nic, uint32_t port, uint8_t frame)
{
	uint32_t seq = w->next++, bufs = p2p_host_bufs(&w->m->shape);
	uint32_t place = from_le32(w->door->ids[(seq - w->base) & (bufs - 1)]);
	struct p2p_desc *at = &w->area->desc[seq & (w->m->cfg.slots - 1)], made;

	p2p_desc_fill(&made, P2P_D0(200, flags, 0, port, nic), 0, P2P_DW(place, frame), seq);
	memcpy(at, &made, sizeof(made));
	return at;
}

/* What b was lent to read it may still read, until the driver has taken it out of a's reach. */
static void gone(struct mesh *m)
{
	m->ops->reg_write(m->mb, A, P2P_PEER_BLOCK + B * P2P_PEER_BLOCK_BYTES + P2P_PEER_CTRL, 4, 0);
}

void hostile_finish(struct hostile *w)
{
	honest_finish(&w->honest, w->pair && w->m->cfg.mode == P2P_MODE_RD ? gone : NULL);
}
