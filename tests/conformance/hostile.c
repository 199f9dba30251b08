/* SPDX-License-Identifier: BSD-3-Clause */
#include <p2pnic/csum.h>
#include <string.h>

#include "hostile.h"

#define A HOSTILE_A
#define B HOSTILE_B
#define C HOSTILE_C
#define MARK 0xa5

void hostile_put(le32 *at, uint32_t v)
{
	le32_store_release(at, v);
}

void hostile_put_later(struct hostile *w, uint32_t calls, le32 *at, uint32_t v)
{
	if (w->laters < HOSTILE_LATER_MAX)
		w->later[w->laters++] = (struct hostile_later){ .calls = calls, .at = at, .value = v };
}

void hostile_beat(struct hostile *w)
{
	le32 *beat = &(w->area ? &w->area->peer : &w->ring->peer)->w[P2P_PL_BEAT];

	hostile_put(beat, le32_load_acquire(beat) + 1);
}

static uint32_t honest_word(uint32_t way, uint32_t number, uint32_t k)
{
	return p2p_mix(p2p_mix(number * 2 + way) ^ (k * 0x9e3779b9u + 0x5eed));
}

static void honest_make(uint8_t *f, uint32_t len, uint32_t way, uint32_t number)
{
	uint32_t k, v;

	memset(f, 0, len);
	memcpy(f, (uint8_t[6]){ 2, 0, 0, 0, 9, (uint8_t)way }, 6);
	memcpy(f + 6, (uint8_t[6]){ 2, 0, 0, 0, 8, (uint8_t)way }, 6);
	f[12] = 0x88;
	f[13] = 0xb5;
	memset(f + 14, MARK, 4);
	memcpy(f + 18, &number, 4);
	for (k = 22; k + 4 <= len; k += 4) {
		v = honest_word(way, number, k);
		memcpy(f + k, &v, 4);
	}
}

static void frame_out(void *arg, unsigned int nic, unsigned int port, const uint8_t *data, uint32_t len)
{
	static uint8_t want[P2P_MAX_FRAME];
	struct hostile *w = arg;
	unsigned int way = nic == A;
	uint32_t number;

	if (port || nic == B || len < 64 || len > sizeof(want))
		return;
	memcpy(&number, data + 18, 4);
	honest_make(want, len, way, number);
	if (memcmp(data, want, len))
		return;
	if (number != w->arrived[way])
		mesh_fail(w->m, "honest frame %u left %c.0, %u was expected", number, 'a' + nic, w->arrived[way]);
	w->arrived[way]++;
}

static void ports_called(void *arg)
{
	struct hostile *w = arg;
	unsigned int k = 0;

	while (k < w->laters) {
		if (w->later[k].calls--) {
			k++;
			continue;
		}
		hostile_put(w->later[k].at, w->later[k].value);
		w->later[k] = w->later[--w->laters];
	}
}

static void *segment(struct hostile *w, unsigned int nic, unsigned int seg)
{
	return w->m->ops->mem(w->m->mb, nic, p2p_seg_offset(&w->m->shape, seg));
}

void hostile_learn(struct hostile *w)
{
	unsigned int r;

	for (r = 0; r <= HOSTILE_PORTS; r++) {
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
	w->m->out = frame_out;
	w->m->out_arg = w;
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
	w->ring = segment(w, A, p2p_seg_ring(s, B));
	w->back = segment(w, B, p2p_seg_ring(s, A));
	for (r = 0; r <= HOSTILE_PORTS; r++) {
		w->desc[r] = (struct p2p_desc *)(w->ring + 1) + r * s->slots;
		w->buf[r] = segment(w, A, p2p_seg_buf(s, r, B));
	}
	for (r = 0; r < HOSTILE_NICS; r++)
		for (p = 0; p < HOSTILE_PORTS; p++)
			w->posted[r][p] = script_port_posted(w->m->port[r][p].sp);
	for (p = 0; p < HOSTILE_PORTS; p++) {
		w->rx[p] = segment(w, B, p2p_seg_rx(s, p));
		script_port_each(w->m->port[A][p].sp, ports_called, w);
	}
	hostile_learn(w);
	if (cfg->mode != P2P_MODE_BN)
		return;
	w->area = (struct p2p_host_area *)(w->m->host.mem + B * p2p_host_area_bytes(s));
	w->door = segment(w, B, P2P_SEG_DOORBELL);
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
				  .out_port = r == HOSTILE_PORTS ? P2P_PORT_FLOOD : r };

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

void hostile_honest(struct hostile *w, unsigned int n, uint32_t len)
{
	static uint8_t f[P2P_MAX_FRAME];
	unsigned int k, way;

	for (k = 0; k < n; k++) {
		way = k & 1;
		if (w->sent[way] - w->arrived[way] >= HOSTILE_HONEST_MAX / (1 + len / 2048))
			continue;
		honest_make(f, len, way, w->sent[way]++);
		mesh_send_raw(w->m, way ? C : A, 0, f, len);
	}
}

/* With --placement cut a.1's buffers lie in others' rings. */
bool hostile_quiet(const struct hostile *w)
{
	unsigned int p;

	for (p = 0; p < HOSTILE_PORTS && !w->m->ops->cut; p++)
		if (script_port_posted(w->m->port[A][p].sp) != w->posted[A][p] ||
		    script_port_posted(w->m->port[C][p].sp) != w->posted[C][p])
			return false;
	return w->sent[0] == w->arrived[0] && w->sent[1] == w->arrived[1];
}

void hostile_finish(struct hostile *w)
{
	unsigned int way, k;
	uint8_t f[64];

	script_port_link(w->m->port[A][1].sp, true);
	for (way = 0; way < 2; way++) {
		honest_make(f, sizeof(f), way, w->sent[way]++);
		mesh_send_raw(w->m, way ? C : A, 0, f, sizeof(f));
	}
	for (k = 0; k < 100 && !hostile_quiet(w) && !w->m->failure[0]; k++) {
		/* What b was lent to read it may still read, until the driver has taken it out of a's reach. */
		if (k == 30 && w->pair && w->m->cfg.mode == P2P_MODE_RD)
			w->m->ops->reg_write(w->m->mb, A, P2P_PEER_BLOCK + B * P2P_PEER_BLOCK_BYTES + P2P_PEER_CTRL, 4, 0);
		mesh_run(w->m, 10000000);
	}
	if (mesh_failure(w->m) || hostile_quiet(w))
		return;
	mesh_fail(w->m, "after a second: a to c %u of %u, c to a %u of %u; receive buffers %u of %u, %u of %u", w->arrived[0],
		  w->sent[0], w->arrived[1], w->sent[1], script_port_posted(w->m->port[A][0].sp), w->posted[A][0],
		  script_port_posted(w->m->port[A][1].sp), w->posted[A][1]);
}
