/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * memif rings of a hostile far end, in both roles: the handshake is done, the rings' words are the input's.  Every buffer
 * is where it should be: with the port, or here, once.  What the far end broke is mended by a new connection.
 *
 *   input   what the port is (memif_rig_open()), then operations (enum op) with what they take
 */
#include <unistd.h>

#include "memif_rig.h"

#define OPS_MAX 300

enum op {
	OP_FILL,    /* frames, or buffers, as they should be */
	OP_BENT,    /* one of them with a word changed */
	OP_WORD,    /* anywhere in the rings */
	OP_INDEX,   /* head or tail */
	OP_RECEIVE,
	OP_TRANSMIT,
	OP_DONE,
	OP_CONTROL,
	OP_CUT,     /* the far end's memory, where it is not sealed */
	OP_ARM,
	OP_INPLACE, /* a server's rings without a copy (ports/memif.h) */
	OP_RACE,    /* OP_WORD, or a word of the descriptors that come next, before one of the port's next loads (fuzz_race()) */
	OP_NUM
};

/* The far end's index of a ring, and how many slots it may move it by at most, if it is honest. */
static uint16_t *far_index(const struct memif_rig *g, struct memif_ring *r, bool c2s, uint16_t *room)
{
	const uint16_t slots = 1u << RIG_LOG2;

	if (g->server) /* the far end fills C2S and posts into S2C: heads are its own */
		*room = (uint16_t)(slots - (uint16_t)(r->head - r->tail));
	else
		*room = (uint16_t)(r->head - r->tail);
	return g->server ? &r->head : &r->tail;
}

static void fill(struct memif_rig *g, struct fuzz_in *in, bool bent)
{
	uint8_t what = fuzz_u8(in), n = fuzz_u8(in) % 8 + 1, k;
	bool c2s = what & 1;
	struct memif_ring *r = memif_rig_ring(g, c2s, (what >> 1 & 1) | (what >> 2 & 2));
	uint32_t len = fuzz_u16(in) % 600, *word;
	uint16_t room, *index = far_index(g, r, c2s, &room), i = *index;

	for (k = 0; k < n && k < room; k++, i++) {
		struct memif_desc *d = &r->desc[i & ((1u << RIG_LOG2) - 1)];

		if (g->server) {
			*d = (struct memif_desc){ .length = c2s ? len : 512, .offset = RIG_DATA + (i & 15) * 1024u + c2s * 16384u };
			d->flags = c2s && what & 4 && k + 1 < n ? MEMIF_DESC_NEXT : 0;
		} else if (!c2s) {
			d->length = len <= d->length ? len : d->length;
			d->flags = what & 4 && k + 1 < n ? MEMIF_DESC_NEXT : 0;
		}
		if (bent && k == what >> 5) {
			word = (uint32_t *)(void *)d + fuzz_u8(in) % 4;
			*word ^= fuzz_u32(in);
		}
	}
	memif_index_store(index, i);
}

static void word(struct memif_rig *g, struct fuzz_in *in, bool race)
{
	uint8_t what = fuzz_u8(in);
	unsigned int index = (what >> 1 & 1) | (what >> 2 & 2), next;
	struct memif_ring *r = memif_rig_ring(g, what & 1, index);
	uint32_t k = fuzz_u8(in) % (memif_ring_bytes(RIG_LOG2) / 4), v = fuzz_u32(in);

	if (race && what & 16) {
		next = memif_lane_queue(g->m, (what & 1) == g->server, index % g->queues)->tail + (what >> 6);
		k = (uint32_t)(offsetof(struct memif_ring, desc) + next % (1u << RIG_LOG2) * sizeof(struct memif_desc)) / 4 + (k & 3);
	}
	v = what & 4 ? v : ((uint32_t *)(void *)r)[k] ^ 1u << (v & 31);
	if (race)
		fuzz_race(fuzz_u8(in) & 31, (uint32_t *)(void *)r + k, v);
	else
		__atomic_store_n((uint32_t *)(void *)r + k, v, __ATOMIC_RELAXED);
}

static void move_index(struct memif_rig *g, struct fuzz_in *in)
{
	uint8_t what = fuzz_u8(in);
	struct memif_ring *r = memif_rig_ring(g, what & 1, (what >> 1 & 1) | (what >> 3 & 2));
	uint16_t *index = what & 4 ? &r->head : &r->tail;

	memif_index_store(index, what & 8 ? fuzz_u16(in) : (uint16_t)(*index + (int8_t)fuzz_u8(in)));
}

static void cut(struct memif_rig *g, uint8_t arg)
{
	if (!g->server || g->sealed || ftruncate(g->memfd, arg & 1 ? 0 : 4096 * (1 + arg % 8)))
		return;
	fuzz_race_watch(NULL, 0);
	g->cut = true;
}

static void in_place(struct memif_rig *g, struct fuzz_in *in)
{
	struct port *p = &g->m->port;
	struct p2p_seg segs[32];
	uint8_t what = fuzz_u8(in);
	unsigned int q = what >> 1 & 1, n, k;
	uint64_t bytes = 0, frames = 0;
	bool alike, up = p->ops->link_up(p);
	volatile uint8_t seen;

	if (!g->server || !up || q >= g->queues)
		return;
	if (what & 4) {
		n = port_memif_reserve(p, q, segs, 1 + what % 16);
		for (k = 0; k < n; k++) {
			if (segs[k].len)
				segs[k].data[segs[k].len - 1] = 1;
			segs[k].flags = 0;
		}
		port_memif_commit(p, q, segs, n);
		return;
	}
	n = port_memif_peek(p, q, segs, 32, &alike);
	for (k = 0; k < n; k++) {
		if (segs[k].len)
			seen = segs[k].data[segs[k].len - 1];
		bytes += segs[k].len;
		frames += !(segs[k].flags & P2P_SEG_MORE);
	}
	(void)seen;
	if (n)
		port_memif_release(p, q, n, (unsigned int)frames, bytes);
}

static void step(struct memif_rig *g, struct fuzz_in *in, bool inplace)
{
	uint8_t op = fuzz_u8(in) % OP_NUM, arg;

	if (g->cut && (op < OP_RECEIVE || op == OP_RACE))
		return; /* what is gone the far end can't write to either */
	switch (op) {
	case OP_FILL:
	case OP_BENT:
		fill(g, in, op == OP_BENT);
		break;
	case OP_WORD:
	case OP_RACE:
		word(g, in, op == OP_RACE);
		break;
	case OP_INDEX:
		move_index(g, in);
		break;
	case OP_RECEIVE:
		if (inplace)
			break;
		arg = fuzz_u8(in);
		memif_rig_receive(g, arg / RIG_BUFS, arg % RIG_BUFS + 1);
		break;
	case OP_TRANSMIT:
		arg = fuzz_u8(in);
		if (!inplace)
			memif_rig_transmit(g, arg >> 7, 1 + arg % 16, 1 + (arg >> 4) % 6, 1 + fuzz_u8(in));
		break;
	case OP_DONE:
		memif_rig_done(g);
		break;
	case OP_CONTROL:
		arg = fuzz_u8(in);
		if (arg & 1)
			memif_rig_control_first(g, arg);
		else
			memif_rig_control(g, arg);
		break;
	case OP_CUT:
		cut(g, fuzz_u8(in));
		break;
	case OP_ARM:
		arg = fuzz_u8(in);
		memif_rig_arm(g, arg >> 1, arg & 1);
		break;
	case OP_INPLACE:
		if (inplace)
			in_place(g, in);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_in in = fuzz_in(data, size);
	struct memif_rig g;
	uint8_t how = fuzz_u8(&in);
	unsigned int ops;

	memif_rig_open(&g, how);
	memif_rig_up(&g);
	fuzz_race_watch(g.m->region[0].base, g.m->region[0].size);
	for (ops = 0; fuzz_left(&in) && ops < OPS_MAX; ops++)
		step(&g, &in, how & 16);
	fuzz_race_watch(NULL, 0);
	memif_rig_control(&g, 1);
	if (!g.cut && !memif_rig_is_up(&g)) {
		memif_rig_hang_up(&g, 0);
		memif_rig_control(&g, 1100); /* drained, and the client tries again */
		memif_rig_control(&g, 200);
		if (g.server) /* its memory is as it was */
			for (ops = 0; ops < 2 * RIG_MAX_RINGS; ops++)
				*(struct memif_ring *)(g.base + ops * RIG_RING) = (struct memif_ring){ .cookie = MEMIF_COOKIE };
		memif_rig_up(&g);
	}
	memif_rig_done(&g);
	memif_rig_close(&g);
	return 0;
}
