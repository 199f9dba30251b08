/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Cut-through placement where something goes wrong or changes:
 *   random    pairs that change, cables that stand still or lose their link, NICs that stall, frames of all lengths:
 *             nothing corrupted, nothing twice, nothing out of order, the books exact
 *   foreign   a consumer that does not cut through takes no descriptor that says PLACED, whatever its checksum
 *   forged    one that does takes none whose fields make no sense, and no other kind of void
 *   disorder  a cable that gives slots back in the wrong order is restarted and copies from there on
 *   homecoming  a pair goes elsewhere and comes home again and again: no buffer is lost on the way
 *   unmap     the memory goes from the address map, or bus mastering is turned off, under load
 */
#include <stdio.h>
#include <string.h>

#include <p2pnic/csum.h>
#include "bench.h"

#define NICS 4
#define PORTS 3
#define PLACE_REG(p) (P2P_PORT_BLOCK + (p) * P2P_PORT_BLOCK_BYTES + P2P_PORT_PLACEMENT)

static const uint8_t dst[6] = { 2 }, src[6] = { 2 };

/* ---- random ---- */

static void upset(struct mesh *m, struct rng *r)
{
	unsigned int i = rng_below(r, NICS), p = rng_below(r, PORTS), k;
	struct script_port *sp = m->port[i][p].sp;

	switch (rng_below(r, 6)) {
	case 0:
		script_port_link(sp, false);
		break;
	case 1:
		script_port_stand(sp, true);
		break;
	case 2:
		mesh_stall(m, i, rng_below(r, 3000000));
		break;
	case 3: /* away from its home and back, by two steps */
		mesh_pair(m, i, p, (i + 1 + rng_below(r, 2)) % NICS, p);
		break;
	default:
		for (k = 0; k < NICS; k++) {
			script_port_link(m->port[k][p].sp, true);
			script_port_stand(m->port[k][p].sp, false);
		}
	}
}

static void traffic(struct mesh *m, struct rng *r, unsigned int rounds, bool upsets)
{
	unsigned int k, n, i, p;

	for (k = 0; k < rounds && !mesh_failure(m); k++) {
		for (n = 0; n < 12; n++) {
			i = rng_below(r, NICS);
			p = rng_below(r, PORTS);
			if (!m->nic[i].dead)
				mesh_send(m, i, p, dst, src, rng_below(r, 8) ? 60 + rng_below(r, 1500) : rng_below(r, 2) ? 12 : 9000);
		}
		mesh_run(m, 2000 + rng_below(r, 20000));
		if (upsets && rng_below(r, 3) == 0)
			upset(m, r);
	}
}

static struct mesh *random_mesh(struct rng *r, uint64_t seed)
{
	struct mesh_cfg cfg;
	struct mesh *m;
	unsigned int i, p;

	mesh_cfg_default(&cfg, NICS, PORTS);
	cfg.seed = seed;
	cfg.batch = 1u << rng_below(r, 7);
	cfg.slots = 64u << rng_below(r, 3);
	cfg.rx_bufs = 64u << rng_below(r, 4);
	cfg.buf_size = rng_below(r, 2) ? 2048 : 2112;
	cfg.flags = (rng_below(r, 2) ? P2P_FLAG_SCRUB : 0) | (rng_below(r, 2) ? P2P_FLAG_BACKPRESSURE : 0);
	cfg.sleep = rng_below(r, 2);
	cfg.in_order = true;
	m = mesh_create(&mesh_cut, &cfg);
	if (mesh_configure(m))
		return m;
	for (i = 0; i < NICS; i++)
		for (p = 0; p < PORTS; p++)
			mesh_pair(m, i, p, (i + 1) % NICS, p);
	mesh_up(m);
	return m;
}

static void random_run(struct bench *b, uint64_t seed)
{
	struct mesh *m;
	struct rng r;
	unsigned int i, p;

	rng_seed(&r, seed ^ 0xc07);
	m = random_mesh(&r, seed);
	traffic(m, &r, b->deep ? 800 : 150, true);
	for (i = 0; i < NICS; i++) {
		for (p = 0; p < PORTS; p++) {
			script_port_link(m->port[i][p].sp, true);
			script_port_stand(m->port[i][p].sp, false);
		}
	}
	if (!mesh_failure(m) && !mesh_drain(m, 10000000000ull))
		mesh_fail(m, "does not drain: %llu held", (unsigned long long)mesh_held(m));
	bench_check_books(m);
	if (!mesh_event(m, -1, P2P_EV_cut_frames) || !mesh_event(m, -1, P2P_EV_cut_diverted))
		mesh_fail(m, "%llu frames in place, %llu diverted: this run tests nothing",
			  (unsigned long long)mesh_event(m, -1, P2P_EV_cut_frames),
			  (unsigned long long)mesh_event(m, -1, P2P_EV_cut_diverted));
	for (i = 0; i < NICS; i++)
		for (p = 0; p < PORTS; p++)
			if (m->ops->reg_read(m->mb, i, PLACE_REG(p), 4) == P2P_PLACE_CABLE)
				mesh_fail(m, "%c.%u found its slots out of order", 'a' + i, p);
	bench_end(b, "random", m);
}

/* ---- descriptors written by hand ---- */

static struct mesh *pair_mesh_of(const struct mesh_ops *ops, uint64_t seed, unsigned int rx_bufs, unsigned int slots)
{
	struct mesh_cfg cfg;
	struct mesh *m;

	mesh_cfg_default(&cfg, 2, 2);
	cfg.seed = seed;
	cfg.in_order = true;
	cfg.rx_bufs = rx_bufs ? rx_bufs : cfg.rx_bufs;
	cfg.slots = slots ? slots : cfg.slots;
	m = mesh_create(ops, &cfg);
	if (mesh_configure(m))
		return m;
	mesh_pair(m, 0, 0, 1, 0);
	mesh_up(m);
	return m;
}

static struct mesh *pair_mesh(const struct mesh_ops *ops, uint64_t seed)
{
	return pair_mesh_of(ops, seed, 0, 0);
}

/* As NIC a would into its next slot of b's ring; a is not stepped again. */
static void forge(struct mesh *m, unsigned int ring, uint32_t k, uint32_t w0, uint32_t frame)
{
	const struct p2p_shape *s = &m->shape;
	const struct p2p_ring_head *of_b, *of_a;
	struct p2p_desc *d;
	uint32_t seq, where = P2P_DW(0, frame), crc;

	of_b = m->ops->mem(m->mb, 0, p2p_seg_offset(s, p2p_seg_ring(s, 1)));
	of_a = m->ops->mem(m->mb, 1, p2p_seg_offset(s, p2p_seg_ring(s, 0)));
	seq = from_le32(of_b->comp[ring].w[P2P_CL_CONS]) + k;
	d = (struct p2p_desc *)(of_a + 1) + ring * s->slots + (seq & (s->slots - 1));
	crc = p2p_crc32c(p2p_crc32c(p2p_crc32c(~0u, w0 & P2P_D0_SUMMED), where), seq);
	*d = (struct p2p_desc){ to_le32(w0), to_le32(~crc), to_le32(where), to_le32(seq) };
}

static void foreign(struct bench *b, uint64_t seed)
{
	struct mesh *m = pair_mesh(&mesh_soft, seed);

	m->nic[0].stall_ns = UINT64_MAX;
	forge(m, 0, 0, P2P_D0(64, P2P_DF_PLACED, 0, 0, 0), 0);
	forge(m, 0, 1, P2P_D0(0, P2P_DF_PLACED | P2P_DF_VOID, 0, 0, 0), 1);
	mesh_run(m, 1000000);
	if (mesh_drops(m, 1, P2P_DROP_csum_mismatch) + mesh_drops(m, 1, P2P_DROP_bad_desc) != 1 || m->port[1][0].outs)
		mesh_fail(m, "%u frames left, %llu and %llu dropped", m->port[1][0].outs,
			  (unsigned long long)mesh_drops(m, 1, P2P_DROP_csum_mismatch),
			  (unsigned long long)mesh_drops(m, 1, P2P_DROP_bad_desc));
	bench_end(b, "foreign", m);
}

static void forged(struct bench *b, uint64_t seed)
{
	static const struct { uint32_t ring, w0; } bad[] = {
		{ 0, P2P_D0(0, P2P_DF_PLACED, 0, 0, 0) },          /* nothing in it */
		{ 0, P2P_D0(2049, P2P_DF_PLACED, 0, 0, 0) },       /* longer than the slot */
		{ 0, P2P_D0(64, P2P_DF_PLACED, 0, 1, 0) },         /* another port's */
		{ 2, P2P_D0(64, P2P_DF_PLACED, 0, 8, 0) },         /* flooded */
	};
	struct mesh *m = pair_mesh(&mesh_cut, seed);
	uint64_t dropped;
	unsigned int k;

	m->nic[0].stall_ns = UINT64_MAX;
	for (k = 0; k < 3; k++)
		forge(m, bad[k].ring, k, bad[k].w0, k);
	forge(m, bad[3].ring, 0, bad[3].w0, 0);
	/* Voids of other kinds count no frame of theirs, and end nothing. */
	forge(m, 0, 3, P2P_D0(14, P2P_DF_PLACED | P2P_DF_VOID, 0, 0, 0), 3);
	forge(m, 0, 4, P2P_D0(0, P2P_DF_VOID, 0, 0, 0), 3);
	forge(m, 0, 5, P2P_D0(0, P2P_DF_PLACED | P2P_DF_VOID, 0, 0, 0), 3);
	mesh_run(m, 1000000);
	dropped = mesh_drops(m, 1, P2P_DROP_csum_mismatch) + mesh_drops(m, 1, P2P_DROP_bad_desc);
	if (dropped != 4 || mesh_drops(m, 1, P2P_DROP_desc_lost) || m->port[1][0].outs || m->port[1][1].outs)
		mesh_fail(m, "%llu dropped, %llu lost, %u and %u left", (unsigned long long)dropped,
			  (unsigned long long)mesh_drops(m, 1, P2P_DROP_desc_lost), m->port[1][0].outs, m->port[1][1].outs);
	bench_end(b, "forged", m);
}

/* ---- taken back ---- */

static void expect_outs(struct mesh *m, unsigned int n, const char *when)
{
	if (m->port[1][0].outs != n)
		mesh_fail(m, "%u frames of %u left %s", m->port[1][0].outs, n, when);
}

static void expect_place(struct mesh *m, enum p2p_placement want)
{
	uint64_t is = m->ops->reg_read(m->mb, 0, PLACE_REG(0), 4);

	if (is != want)
		mesh_fail(m, "PORT_PLACEMENT is %llu, not %d", (unsigned long long)is, want);
}

static void some_frames(struct mesh *m, unsigned int n)
{
	while (n--)
		mesh_send_at(m, 0, 0, dst, src, 60 + n, *m->now + 300 * n);
	mesh_settle(m, 4000000, 1000000000);
}

static void disorder(struct bench *b, uint64_t seed)
{
	struct mesh *m = pair_mesh(&mesh_cut, seed);
	uint64_t gone;

	some_frames(m, 100);
	expect_outs(m, 100, "in place");
	script_port_swap(m->port[0][0].sp);
	some_frames(m, 20);
	expect_place(m, P2P_PLACE_CABLE);
	gone = mesh_drops(m, 0, P2P_DROP_stopped);
	if (!gone || gone > 20)
		mesh_fail(m, "%llu dropped", (unsigned long long)gone);
	some_frames(m, 100);
	expect_outs(m, 220 - (unsigned int)gone, "after that");
	bench_check_books(m);
	bench_end(b, "disorder", m);
}

#define AWAY 200
#define HOME 300

/* While it is away plain buffers are posted; of those still out when slots follow none may be lost. */
static void homecoming(struct bench *b, uint64_t seed)
{
	struct mesh *m = pair_mesh_of(&mesh_cut, seed, 64, 128);
	unsigned int k;

	for (k = 1; k <= 20 && !mesh_failure(m); k++) {
		mesh_pair(m, 0, 0, 1, 1);
		some_frames(m, AWAY);
		if (m->port[1][1].outs != k * AWAY)
			mesh_fail(m, "away, %u frames of %u left at turn %u", m->port[1][1].outs, k * AWAY, k);
		mesh_pair(m, 0, 0, 1, 0);
		some_frames(m, HOME);
		if (m->port[1][0].outs != k * HOME)
			mesh_fail(m, "at home, %u frames of %u left at turn %u", m->port[1][0].outs, k * HOME, k);
	}
	if (!mesh_event(m, 0, P2P_EV_cut_diverted))
		mesh_fail(m, "nothing was diverted");
	bench_check_books(m);
	bench_end(b, "homecoming", m);
}

static void unmap(struct bench *b, uint64_t seed, bool master)
{
	struct mesh *m = pair_mesh(&mesh_cut, seed);
	uint64_t offset = p2p_seg_offset(&m->shape, p2p_seg_buf(&m->shape, 0, 0));

	some_frames(m, 100);
	expect_outs(m, 100, "in place");
	expect_place(m, P2P_PLACE_CUT);
	if (master)
		m->ops->bus_master(m->mb, 0, false);
	else
		m->ops->unmap(m->mb, 0, (2ull << 40) + offset, 4096);
	expect_place(m, P2P_PLACE_NO_MEMORY);
	some_frames(m, 50);
	expect_outs(m, 100, "though nothing can be written");
	if (!master && !m->ops->faults(m->mb, 0))
		mesh_fail(m, "no fault");
	bench_end(b, master ? "master" : "unmap", m);
}

int main(int argc, char **argv)
{
	struct bench b;
	uint64_t seed;

	if (bench_init(&b, argc, argv))
		return 2;
	for (seed = bench_first_seed(&b); bench_wants(&b, "random") && seed <= bench_last_seed(&b, b.deep ? 20 : 12); seed++)
		random_run(&b, seed);
	seed = bench_first_seed(&b);
	if (bench_wants(&b, "foreign"))
		foreign(&b, seed);
	if (bench_wants(&b, "forged"))
		forged(&b, seed);
	if (bench_wants(&b, "disorder"))
		disorder(&b, seed);
	if (bench_wants(&b, "homecoming"))
		homecoming(&b, seed);
	if (bench_wants(&b, "unmap"))
		unmap(&b, seed, false);
	if (bench_wants(&b, "master"))
		unmap(&b, seed, true);
	return bench_exit(&b);
}
