/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A hostile NIC: everything that peer b may write in a's device memory, and what a reads from b's, or, in bn, what b
 * writes in main memory, is the input's; b's firmware does not run.  Next to it the honest NIC c exchanges frames with a,
 * each of which must arrive, once, in order and whole; the ports' contract holds; and when b has fallen silent, and the
 * driver has taken it away, no receive buffer is missing.
 *
 * Each input has a mesh of its own.
 *
 *   input   board, mode and flags, then operations (enum op) with what they take
 *   Bytes that b writes have their highest bit clear, so that it can't send what the honest frames are known by.
 */
#include <stdio.h>
#include <stdlib.h>

#include <p2pnic/csum.h>
#include <tests/conformance/bench.h>
#include <tests/conformance/honest.h>
#include "fuzz.h"

#define NICS HONEST_NICS
#define PORTS HONEST_PORTS
#define A HONEST_A
#define B HONEST_B
#define C HONEST_C
#define OPS_MAX 400
#define MARK 0xa5

enum op {
	OP_DESC,     /* a descriptor that makes sense, and its payload */
	OP_TWIST,    /* another, with one word changed */
	OP_POKE,     /* a word anywhere in ring(b) of a */
	OP_POKE_SOON,/* the same, in the midst of a later step of a */
	OP_BUF,      /* a word of a packet buffer, or of b's receive buffers, that rd reads */
	OP_BEAT,     /* b lives */
	OP_LINE,     /* b's peer line: acknowledges, or begins anew */
	OP_COMP,     /* b has consumed */
	OP_CTRL,     /* b asks for an answer */
	OP_RUN,
	OP_RUN_LONG,
	OP_HONEST,   /* frames between a.0 and c.0 */
	OP_FLOOD,    /* a frame into a.1, which bridges */
	OP_LINK,     /* of a.1 */
	OP_PAIR,     /* a.1 sends to b alone, or to c.1; or bridges again, or with --placement cut to nobody */
	OP_RACE,     /* the same, before one of the next loads from there (fuzz_race()) */
	OP_AGAIN,    /* the sequence numbers that a expects, as b would find them */
	OP_NUM
};
/* Of an operation's number modulo OP_NUM; OP_RACE from here on aims at the descriptors that b wrote last. */
#define OP_AIMED 128

struct world {
	struct mesh *m;
	/* What b writes: ring(b) of a; in bn its area in main memory. */
	void *own;
	size_t own_bytes;
	le32 *peer;
	struct p2p_line *comp, *ctrl;
	unsigned int rings;                    /* that b sends into */
	struct p2p_desc *desc[PORTS + 1];
	uint8_t *buf[PORTS + 1];               /* of a, for b; in bn b's part of the pool */
	uint8_t *rx[PORTS];                    /* of b, which rd reads */
	/* What b reads, in its own memory: ring(a), in bn its doorbell segment. */
	const le32 *back_peer;
	const struct p2p_line *back_comp, *back_ctrl;
	const struct p2p_doorbell *bell;       /* bn */
	uint32_t prod[PORTS + 1], base[PORTS + 1];
	uint8_t frame[PORTS + 1];
	struct honest honest;
};

/* As a producer finds them: where a's completion lines in b's memory say. */
static void learn_prod(struct world *w)
{
	unsigned int r;

	for (r = 0; r < w->rings; r++) {
		w->prod[r] = w->base[r] = le32_load_acquire(&w->back_comp[r].w[P2P_CL_CONS]);
		w->frame[r] = 0;
	}
}

/* Where things lie between b and a. */
static void places(struct world *w)
{
	const struct p2p_shape *s = &w->m->shape;
	struct p2p_ring_head *ring = honest_segment(&w->honest, A, p2p_seg_ring(s, B));
	const struct p2p_ring_head *back = honest_segment(&w->honest, B, p2p_seg_ring(s, A));
	unsigned int r;

	w->own = ring;
	w->own_bytes = p2p_seg_bytes(s, P2P_SEG_RING);
	w->peer = ring->peer.w;
	w->comp = ring->comp;
	w->ctrl = ring->ctrl;
	w->rings = PORTS + 1;
	for (r = 0; r <= PORTS; r++) {
		w->desc[r] = (struct p2p_desc *)(ring + 1) + r * s->slots;
		w->buf[r] = honest_segment(&w->honest, A, p2p_seg_buf(s, r, B));
	}
	for (r = 0; r < PORTS; r++)
		w->rx[r] = honest_segment(&w->honest, B, p2p_seg_rx(s, r));
	w->back_peer = back->peer.w;
	w->back_comp = back->comp;
	w->back_ctrl = back->ctrl;
}

/* The same between b and the host. */
static void places_host(struct world *w)
{
	const struct p2p_shape *s = &w->m->shape;
	struct p2p_host_area *area = (struct p2p_host_area *)(w->m->host.mem + B * p2p_host_area_bytes(s));
	unsigned int r;

	w->own = area;
	w->own_bytes = p2p_host_area_bytes(s);
	w->peer = area->peer.w;
	w->comp = area->send_comp;
	w->ctrl = area->recv_ctrl;
	w->rings = PORTS;
	for (r = 0; r < PORTS; r++) {
		w->desc[r] = area->desc + r * s->slots;
		w->buf[r] = w->rx[r] = w->m->host.mem + w->m->host.pool_off + B * p2p_host_pool_bytes(s);
	}
	w->buf[PORTS] = w->buf[0];
	w->bell = honest_segment(&w->honest, B, P2P_SEG_DOORBELL);
	w->back_peer = w->bell->peer.w;
	w->back_comp = w->bell->comp;
	w->back_ctrl = w->bell->send;
}

static void world_make(struct world *w, uint8_t how)
{
	static const struct mesh_ops *const boards[] = { &mesh_soft, &mesh_cut, &mesh_late, &mesh_plain };
	const struct mesh_ops *ops = boards[how & 3];
	bool placed = ops->cut && !(how & 4); /* a port of a NIC that bridges never is */
	struct mesh_cfg cfg;
	unsigned int p;

	memset(w, 0, sizeof(*w));
	mesh_cfg_default(&cfg, NICS, PORTS);
	cfg.mode = ops->cut ? P2P_MODE_WR : how & 128 ? P2P_MODE_BN : how & 4 ? P2P_MODE_RD : P2P_MODE_WR;
	cfg.flags = (placed ? 0 : P2P_FLAG_BRIDGE) | (how & 8 ? P2P_FLAG_SCRUB : 0);
	cfg.in_order = placed;
	cfg.batch = how & 16 ? 1 : 8;
	cfg.stride = how & 32 ? 128 : 64;
	cfg.rx_bufs = 512; /* rd: the honest ring's share must not run out */
	cfg.prompt = how & 64;
	cfg.silence_ms = P2P_SILENCE_MS_MIN;
	w->m = mesh_create(ops, &cfg);
	honest_watch(&w->honest, w->m);
	if (mesh_configure(w->m))
		fuzz_fail("%s", mesh_failure(w->m));
	mesh_pair(w->m, A, 0, C, 0);
	mesh_pair(w->m, C, 0, A, 0);
	if (placed)
		mesh_pair(w->m, A, 1, B, 0);
	mesh_up(w->m);
	if (mesh_failure(w->m))
		fuzz_fail("%s", mesh_failure(w->m));
	for (p = 0; p < PORTS && placed; p++)
		if (w->m->ops->reg_read(w->m->mb, A, P2P_PORT_BLOCK + p * P2P_PORT_BLOCK_BYTES + P2P_PORT_PLACEMENT, 4) != P2P_PLACE_CUT)
			fuzz_fail("a.%u does not receive into slots", p);
	w->m->nic[B].dead = true;
	if (cfg.mode == P2P_MODE_BN)
		places_host(w);
	else
		places(w);
	honest_up(&w->honest);
	for (p = 0; p < PORTS; p++)
		script_port_restless(w->m->port[A][p].sp, 1 + B);
	learn_prod(w);
	fuzz_race_watch(w->own, w->own_bytes);
}

/* The next descriptor of a ring as firmware would write it; twist: then one of its words is changed. */
static void op_desc(struct world *w, struct fuzz_in *in, bool twist)
{
	const struct mesh_cfg *c = &w->m->cfg;
	unsigned int r = fuzz_u8(in) % w->rings;
	uint8_t flags = fuzz_u8(in) & 0x3f, fill = fuzz_u8(in) & 0x7f, hold = fuzz_u8(in);
	uint32_t len = fuzz_u16(in) % (c->buf_size + 1), seq = w->prod[r]++, slot = seq & (c->slots - 1), w0, where, sum, units;
	uint32_t place = 0;
	uint8_t *payload = w->buf[r] + (size_t)slot * c->buf_size;
	struct p2p_desc d;
	size_t n = fuzz_u8(in) % 32, k;
	const uint8_t *head = fuzz_bytes(in, &n);
	le32 *word = &d.w0;

	if (c->mode == P2P_MODE_RD && !(flags & P2P_DF_HERE)) {
		place = slot * c->buf_size / P2P_DW_UNIT;
		payload = w->rx[0] + (size_t)place * P2P_DW_UNIT;
	} else if (w->bell) { /* the buffer that was handed over for this slot */
		k = p2p_host_bufs(&w->m->shape);
		place = P2P_DW_PLACE(from_le32(w->bell->ids[r * k + ((seq - w->base[r]) & (k - 1))]));
		payload = w->m->host.mem + w->m->host.pool_off + (size_t)place * P2P_DW_UNIT;
		if (payload < w->rx[0] || payload >= w->rx[0] + p2p_host_pool_bytes(&w->m->shape))
			payload = w->rx[0]; /* a buffer of others' would spoil honest frames, as in bn any NIC can */
	}
	units = P2P_ALIGN_UP(len, c->stride > 64 ? c->stride : 64);
	memset(payload, 0, units < c->buf_size ? units : c->buf_size);
	memset(payload, fill, len);
	for (k = 0; k < n && k < len; k++)
		payload[k] = head[k] & 0x7f;
	w0 = P2P_D0(len, flags, hold & 7, r == PORTS ? P2P_PORT_FLOOD : r, 0);
	if (w->bell)
		w0 = P2P_D0(len, flags, r, hold >> 2 & 3, hold & 3);
	where = P2P_DW(place, w->frame[r]);
	sum = flags & P2P_DF_PLACED ? ~0u : p2p_csum_words(payload, len, p2p_mix(seq), c->stride);
	sum = p2p_crc32c_plain(p2p_crc32c_plain(p2p_crc32c_plain(sum, w0 & P2P_D0_SUMMED), where), seq);
	p2p_desc_fill(&d, w0, ~sum, where, seq);
	if (!(flags & P2P_DF_MORE) && !(flags & P2P_DF_VOID))
		w->frame[r]++;
	if (twist) {
		k = fuzz_u8(in) & 3;
		honest_put(&word[k], le32_load_acquire(&word[k]) ^ fuzz_u32(in));
	}
	memcpy(&w->desc[r][slot], &d, sizeof(d));
}

/* A word of one of the descriptors that b wrote last. */
static le32 *aim(const struct world *w, uint16_t where)
{
	unsigned int r = (where & 15) % w->rings;
	uint32_t slot = (w->prod[r] - 1 - (where >> 4 & 7)) & (w->m->cfg.slots - 1);

	return &w->desc[r][slot].w0 + (where >> 8 & 3);
}

static void op_poke(struct world *w, struct fuzz_in *in, enum op when, bool aimed)
{
	uint16_t where = fuzz_u16(in);
	le32 *at = aimed ? aim(w, where) : (le32 *)w->own + where % (w->own_bytes / 4);
	uint32_t value = fuzz_u32(in);

	if (value & 0x80000000u) /* near what is there */
		value = le32_load_acquire(at) + (int32_t)(value << 1) / 2;
	if (when == OP_POKE)
		honest_put(at, value);
	else if (when == OP_RACE)
		fuzz_race(fuzz_u8(in), at, to_le32(value).raw);
	else
		honest_put_later(&w->honest, fuzz_u8(in), at, value);
}

static void op_buf(struct world *w, struct fuzz_in *in)
{
	uint8_t which = fuzz_u8(in);
	uint8_t *base = which & 0x80 ? w->rx[which & 1] : w->buf[which % (PORTS + 1)];
	uint32_t at = fuzz_u32(in) % (w->m->cfg.slots * w->m->cfg.buf_size / 4) * 4;

	honest_put((le32 *)(void *)(base + at), fuzz_u32(in) & 0x7f7f7f7fu);
}

static void op_line(struct world *w, struct fuzz_in *in)
{
	uint8_t what = fuzz_u8(in);
	le32 *line = w->peer;

	honest_put(&line[P2P_PL_BEAT], le32_load_acquire(&line[P2P_PL_BEAT]) + 1);
	honest_put(&line[P2P_PL_ASLEEP], what & 3);
	honest_put(&line[P2P_PL_ACK], what & 4 ? le32_load_acquire(&w->back_peer[P2P_PL_INC]) : fuzz_u32(in));
	if (what & 8)
		honest_put(&line[P2P_PL_INC], fuzz_u32(in));
}

static void op_comp(struct world *w, struct fuzz_in *in)
{
	unsigned int r = fuzz_u8(in) % (PORTS + 1);
	uint8_t what = fuzz_u8(in);
	le32 *line = w->comp[r].w;
	uint32_t cons = le32_load_acquire(&line[P2P_CL_CONS]);

	/* What a has told of: its control line; or a step on. */
	honest_put(&line[P2P_CL_POKE], le32_load_acquire(&w->back_ctrl[r].w[P2P_RL_POKE]));
	honest_put(&line[P2P_CL_CONS], what & 1 ? le32_load_acquire(&w->back_ctrl[r].w[P2P_RL_PROD]) : cons + fuzz_u8(in));
	if (what & 2)
		honest_put(&line[P2P_CL_INC], le32_load_acquire(&w->back_peer[P2P_PL_INC]));
	if (what & 4)
		honest_put(&line[P2P_CL_CONS], fuzz_u32(in));
}

static void op_ctrl(struct world *w, struct fuzz_in *in)
{
	unsigned int r = fuzz_u8(in) % w->rings;
	le32 *line = w->ctrl[r].w;

	honest_put(&line[P2P_RL_PROD], w->prod[r]);
	honest_put(&line[P2P_RL_POKE], fuzz_u8(in));
	honest_put(&line[P2P_RL_INC], le32_load_acquire(&w->peer[P2P_PL_INC]));
}

static void op_honest(struct world *w, struct fuzz_in *in)
{
	unsigned int n = fuzz_u8(in) % 8 + 1;

	honest_send(&w->honest, n, 64 + fuzz_u16(in) % 4000);
}

static void op_flood(struct world *w, struct fuzz_in *in)
{
	static uint8_t f[P2P_MAX_FRAME];
	uint32_t len = 14 + fuzz_u8(in);

	if (len > 256) /* a runt, and some of several segments */
		len = len == 257 ? 10 : (len - 257) * 768;
	memset(f, 0x11, sizeof(f));
	fuzz_fill(in, f, 12);
	f[0] &= 0x7f;
	mesh_send_raw(w->m, A, 1, f, len);
}

static void reg(struct world *w, unsigned int nic, uint32_t off, uint32_t v)
{
	w->m->ops->reg_write(w->m->mb, nic, off, 4, v);
	w->m->nic[nic].until_ns = 0;
}

static void op_pair(struct world *w, uint8_t to)
{
	uint32_t pair = to & 1 ? P2P_PAIR(to & 4 ? C : B, to >> 1 & 1) : 0;

	if (pair == P2P_PAIR(C, 0))
		pair = P2P_PAIR(C, 1); /* a.0's */
	reg(w, A, P2P_PORT_BLOCK + P2P_PORT_BLOCK_BYTES + P2P_PORT_PAIR, pair);
}

static void step(struct world *w, struct fuzz_in *in)
{
	le32 *beat = &w->peer[P2P_PL_BEAT];
	uint8_t op = fuzz_u8(in);

	switch (op % OP_NUM) {
	case OP_DESC:
		op_desc(w, in, false);
		break;
	case OP_TWIST:
		op_desc(w, in, true);
		break;
	case OP_POKE:
		op_poke(w, in, OP_POKE, false);
		break;
	case OP_POKE_SOON:
		op_poke(w, in, OP_POKE_SOON, false);
		break;
	case OP_RACE:
		op_poke(w, in, OP_RACE, op >= OP_AIMED);
		break;
	case OP_BUF:
		op_buf(w, in);
		break;
	case OP_BEAT:
		honest_put(beat, le32_load_acquire(beat) + 1);
		break;
	case OP_LINE:
		op_line(w, in);
		break;
	case OP_COMP:
		op_comp(w, in);
		break;
	case OP_CTRL:
		op_ctrl(w, in);
		break;
	case OP_RUN:
		mesh_run(w->m, fuzz_u8(in) * 100u + 50);
		break;
	case OP_RUN_LONG:
		mesh_run(w->m, fuzz_u8(in) * 100000u + 10000);
		break;
	case OP_HONEST:
		op_honest(w, in);
		break;
	case OP_FLOOD:
		op_flood(w, in);
		break;
	case OP_LINK:
		script_port_link(w->m->port[A][1].sp, fuzz_u8(in) & 1);
		break;
	case OP_PAIR:
		op_pair(w, fuzz_u8(in));
		break;
	case OP_AGAIN:
		learn_prod(w);
		break;
	}
}

/* b is silent from here on, so that a gives it up; and then the driver takes it away: in rd it might still be reading. */
static void finish(struct world *w)
{
	unsigned int k;

	script_port_link(w->m->port[A][1].sp, true);
	honest_send(&w->honest, 2, 64);
	for (k = 0; k < 8 && !w->m->failure[0]; k++)
		mesh_run(w->m, 5000000);
	reg(w, A, P2P_PEER_BLOCK + B * P2P_PEER_BLOCK_BYTES + P2P_PEER_CTRL, 0);
	reg(w, C, P2P_PEER_BLOCK + B * P2P_PEER_BLOCK_BYTES + P2P_PEER_CTRL, 0);
	honest_finish(&w->honest, NULL);
	if (mesh_failure(w->m))
		fuzz_fail("%s", mesh_failure(w->m));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_in in = fuzz_in(data, size);
	static struct world w;
	unsigned int ops;

	world_make(&w, fuzz_u8(&in));
	for (ops = 0; fuzz_left(&in) && ops < OPS_MAX && !w.m->failure[0]; ops++)
		step(&w, &in);
	finish(&w);
	fuzz_race_watch(NULL, 0);
	mesh_destroy(w.m);
	return 0;
}
