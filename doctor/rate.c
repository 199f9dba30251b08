/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a pair would carry: for every link and direction the bytes that a frame puts there, and the link that has the
 * fewest frames a second.  Links' rates and TLPs' bytes are fabric/link.c's.
 *
 * What each mode moves for a frame (include/p2pnic/ring.h), i ingress, e egress, h main memory; batches of 8:
 *
 *   wr  i writes the frame to e; i writes 8 descriptors to e; e writes a completion line to i
 *   rd  e reads the frame from i; the rest likewise
 *   bn  i writes the frame and 8 descriptors to h; e reads both from h; lines: e to h; h to i and e
 *
 * Not modelled: the NICs' engines, the root complex's and the memory's own limits, reads that are few or far away.
 */
#include <fabric/fabric.h>
#include <p2pnic/ring.h>
#include <string.h>

#include "internal.h"

#define BATCH 8.0
#define FCS_BYTES 4u
#define WIRE_BYTES 20u /* preamble and gap */
#define LINE_BYTES 16u /* of a line, one DMA */
#define ID_BYTES 4u    /* bn: a buffer handed back */
#define LEAST_MPS 128u
#define USUAL_MRRS 512u

enum end { INGRESS, EGRESS, HOST };

/* `from` writes to `to`, or (read) reads from it. */
struct flow {
	enum end from, to;
	bool read;
	uint32_t bytes;
	double per_frame;
};

/* A link is named by the function at its lower end. */
struct use {
	unsigned int dev;
	struct doc_link link;
	double bytes[2]; /* a frame's, [1]: upwards */
};

struct model {
	const struct doc_box *box;
	const struct doc_pair *p;
	unsigned int end[2]; /* functions of ingress and egress */
	uint32_t mps, mrrs;
	struct use use[2 * DOC_MAX_HOPS];
	unsigned int n;
};

double doc_gbps(double mpps, unsigned int frame_bytes)
{
	return mpps * (frame_bytes + WIRE_BYTES) * 8 / 1000;
}

unsigned int doc_links_up(const struct doc_box *box, unsigned int d, int meet, unsigned int *to, unsigned int max)
{
	struct doc_link now, could;
	unsigned int n = 0;
	int k;

	for (k = (int)d; k >= 0 && k != meet && n < max; k = box->dev[k].parent)
		if (doc_dev_link(box, &box->dev[k], &now, &could))
			to[n++] = (unsigned int)k;
	return n;
}

static struct use *use_of(struct model *m, unsigned int dev)
{
	struct doc_link could;
	unsigned int k;

	for (k = 0; k < m->n; k++)
		if (m->use[k].dev == dev)
			return &m->use[k];
	m->use[m->n] = (struct use){.dev = dev};
	doc_dev_link(m->box, &m->box->dev[dev], &m->use[m->n].link, &could);
	return &m->use[m->n++];
}

/* `count` TLPs of a type on every link from one end to the other. */
static void carry(struct model *m, enum end from, enum end to, enum fab_type type, uint32_t len, double count)
{
	bool direct = from != HOST && to != HOST && m->p->verdict == DOC_DIRECT;
	unsigned int link[DOC_MAX_HOPS], n, k, up;

	for (up = 0; up < 2; up++) {
		enum end e = up ? from : to;

		if (e == HOST)
			continue;
		n = doc_links_up(m->box, m->end[e], direct ? m->p->meet : -1, link, DOC_MAX_HOPS);
		for (k = 0; k < n; k++) {
			struct use *u = use_of(m, link[k]);

			u->bytes[up] += count * fab_tlp_bytes(u->link.gen, type, len);
		}
	}
}

/* `len` bytes cut at `most`. */
static void carry_cut(struct model *m, enum end from, enum end to, enum fab_type type, uint32_t len, uint32_t most,
		      double count)
{
	if (len / most)
		carry(m, from, to, type, most, count * (len / most));
	if (len % most)
		carry(m, from, to, type, len % most, count);
}

static void flow_carry(struct model *m, const struct flow *f)
{
	if (!f->read) {
		carry_cut(m, f->from, f->to, FAB_MWR, f->bytes, m->mps, f->per_frame);
		return;
	}
	carry_cut(m, f->from, f->to, FAB_MRD, f->bytes, m->mrrs, f->per_frame);
	carry_cut(m, f->to, f->from, FAB_CPLD, f->bytes, m->mps < m->mrrs ? m->mps : m->mrrs, f->per_frame);
}

static void mode_carry(struct model *m, enum doc_mode mode, uint32_t frame)
{
	const uint32_t descs = (uint32_t)BATCH * sizeof(struct p2p_desc);
	const struct flow wr[] =
		{
			{INGRESS, EGRESS, false, frame, 1},
			{INGRESS, EGRESS, false, descs, 1 / BATCH},
			{EGRESS, INGRESS, false, LINE_BYTES, 1 / BATCH},
		},
			  rd[] =
				  {
					  {EGRESS, INGRESS, true, frame, 1},
					  {INGRESS, EGRESS, false, descs, 1 / BATCH},
					  {EGRESS, INGRESS, false, LINE_BYTES, 1 / BATCH},
				  },
			  bn[] = {
				  {INGRESS, HOST, false, frame, 1},
				  {INGRESS, HOST, false, descs, 1 / BATCH},
				  {EGRESS, HOST, true, frame, 1},
				  {EGRESS, HOST, true, descs, 1 / BATCH},
				  {EGRESS, HOST, false, LINE_BYTES, 1 / BATCH},
				  {HOST, EGRESS, false, LINE_BYTES, 1 / BATCH},
				  {HOST, INGRESS, false, (uint32_t)BATCH * ID_BYTES, 1 / BATCH},
				  {HOST, INGRESS, false, LINE_BYTES, 2 / BATCH},
			  };
	const struct {
		const struct flow *flow;
		unsigned int n;
	} all[DOC_NUM_MODES] = {{wr, 3}, {rd, 3}, {bn, 8}};
	unsigned int k;

	m->n = 0;
	for (k = 0; k < all[mode].n; k++)
		flow_carry(m, &all[mode].flow[k]);
}

/* Frames a second in millions, of the link that has the fewest; 0: no link's rate is known. */
static double mode_mpps(struct model *m, enum doc_mode mode, unsigned int frame_bytes, char bound[64])
{
	struct fab_link_cfg cfg;
	double best = 0, mpps;
	unsigned int k, up;

	/* Whole units are moved: each holds a word of the checksum. */
	mode_carry(m, mode, (frame_bytes - FCS_BYTES + P2P_DW_UNIT - 1) / P2P_DW_UNIT * P2P_DW_UNIT);
	for (k = 0; k < m->n; k++)
		for (up = 0; up < 2; up++) {
			fab_link_cfg_init(&cfg, m->use[k].link.gen, m->use[k].link.width);
			cfg.mps = m->mps;
			mpps = m->use[k].bytes[up] > 0 ? fab_link_rate(&cfg) / m->use[k].bytes[up] / 1e6 : 0;
			if (mpps <= 0 || (best > 0 && mpps >= best))
				continue;
			best = mpps;
			snprintf(bound, 64, "%s's link, %s", m->box->dev[m->use[k].dev].name,
				 up ? "upwards" : "downwards");
		}
	return best;
}

/* The least on the way: of both devices and, if it leads there, of all ports up to the root. */
static uint32_t least_mps(const struct doc_box *box, const struct doc_pair *p, bool root)
{
	uint32_t least = 0;
	unsigned int side;
	int k;

	for (side = 0; side < 2; side++)
		for (k = (int)(side ? p->b : p->a); k >= 0 && (root || k != p->meet); k = box->dev[k].parent)
			if (box->dev[k].mps && (!least || box->dev[k].mps < least))
				least = box->dev[k].mps;
	return least ? least : LEAST_MPS;
}

void doc_rates_make(const struct doc_box *box, struct doc_pair *p)
{
	struct model m = {.box = box, .p = p};
	unsigned int mode, size, turn;
	char bound[64];

	for (mode = 0; mode < DOC_NUM_MODES; mode++) {
		struct doc_rate *r = &p->rate[mode];

		if (!r->works)
			continue;
		m.mps = least_mps(box, p, mode == DOC_BN || p->verdict != DOC_DIRECT);
		for (turn = 0; turn < 2; turn++) {
			m.end[INGRESS] = turn ? p->b : p->a;
			m.end[EGRESS] = turn ? p->a : p->b;
			m.mrrs = box->dev[m.end[EGRESS]].mrrs ? box->dev[m.end[EGRESS]].mrrs : USUAL_MRRS;
			for (size = 0; size < DOC_NUM_SIZES; size++) {
				double mpps = mode_mpps(&m, mode, doc_sizes[size], bound);

				if (mpps <= 0 || (turn && mpps >= r->mpps[size]))
					continue;
				r->known = true;
				r->mpps[size] = mpps;
				if (size == 0)
					memcpy(r->bound, bound, sizeof(bound));
			}
		}
	}
}
