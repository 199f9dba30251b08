/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Random talkers that move about, against an oracle bridge.
 *   exact   settled between frames: every frame where it belongs, once, nothing else anywhere
 *   free    never settled: each frame at most once per port (the mesh sees to that), and what is sent to a station
 *           that stays put and is known everywhere arrives at its port, all of it
 *   stopped a NIC stops while a flood is in its hands: the copies that it owes are counted, and none of it is left
 *           when it starts again
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "oracle.h"

#define TALKERS 24

struct talkers {
	unsigned int at[TALKERS]; /* port, counted over the mesh */
};

static uint32_t frame_len(struct rng *r)
{
	switch (rng_below(r, 6)) {
	case 0:
		return 60;
	case 1:
		return 60 + rng_below(r, 200);
	case 2:
		return 1518;
	case 3:
		return 2040 + rng_below(r, 20);
	case 4:
		return 9000;
	default:
		return 24 + rng_below(r, 3000);
	}
}

static void pick_dst(struct rng *r, uint8_t dst[6])
{
	switch (rng_below(r, 12)) {
	case 0:
		memset(dst, 0xff, 6);
		return;
	case 1:
		memcpy(dst, (uint8_t[6]){ 0x01, 0x00, 0x5e, 0, 0, 7 }, 6);
		return;
	case 2:
		memcpy(dst, (uint8_t[6]){ 0x01, 0x80, 0xc2, 0, 0, (uint8_t)rng_below(r, 17) }, 6);
		return;
	default:
		mesh_station(dst, 1 + rng_below(r, TALKERS + 2));
	}
}

static void check_exact(struct mesh *m, const bool *to, unsigned int in, uint32_t seq, uint32_t len)
{
	unsigned int i, p, P = m->cfg.ports;

	for (i = 0; i < m->cfg.nics; i++) {
		for (p = 0; p < P; p++) {
			struct mesh_port *mp = &m->port[i][p];
			uint32_t n = mp->outs - mp->taken;

			if (getenv("MESH_VERBOSE") && (n || to[i * P + p]))
				fprintf(stderr, "   %c.%u: %u, oracle %u\n", 'a' + i, p, n, to[i * P + p]);
		}
	}
	for (i = 0; i < m->cfg.nics; i++) {
		for (p = 0; p < P; p++) {
			struct mesh_port *mp = &m->port[i][p];
			uint32_t n = mp->outs - mp->taken;
			const struct mesh_out *o = &mp->out[mp->taken];

			mp->taken = mp->outs;
			if (n != to[i * P + p])
				mesh_fail(m, "frame %u of %c.%u: %u times at %c.%u, oracle says %u", seq, 'a' + in / P, in % P,
					  n, 'a' + i, p, to[i * P + p]);
			else if (n && (o->seq != seq || o->in_nic != in / P || o->in_port != in % P || o->len != len))
				mesh_fail(m, "another frame than %u left %c.%u", seq, 'a' + i, p);
		}
	}
}

static void exact(struct bench *b, const struct mesh_ops *ops, enum p2p_mode mode, uint64_t seed, unsigned int frames)
{
	static struct oracle o;
	struct mesh_cfg cfg;
	struct talkers t;
	struct mesh *m;
	struct rng r;
	bool to[ORACLE_PORTS];
	uint8_t dst[6], src[6];
	unsigned int k, who, ports = 16;

	mesh_cfg_default(&cfg, 4, 4);
	cfg.mode = mode;
	cfg.seed = seed;
	cfg.flags |= P2P_FLAG_BRIDGE;
	cfg.rx_bufs = 512;
	rng_seed(&r, seed ^ 0xb41d6e);
	cfg.batch = 1u << rng_below(&r, 7);
	m = mesh_create(ops, &cfg);
	oracle_init(&o, ports);
	for (k = 0; k < TALKERS; k++)
		t.at[k] = rng_below(&r, ports);
	if (!mesh_configure(m) && !mesh_up(m)) {
		for (k = 0; k < frames && !mesh_failure(m); k++) {
			uint32_t len = frame_len(&r), seq;

			who = rng_below(&r, TALKERS);
			if (rng_below(&r, 4) == 0)
				t.at[who] = rng_below(&r, ports);
			if (rng_below(&r, 24) == 0) {
				unsigned int x = rng_below(&r, ports);

				if (getenv("MESH_VERBOSE"))
					fprintf(stderr, "%u: link %c.%u %d\n", k, 'a' + x / 4, x % 4, !o.link[x]);
				script_port_link(m->port[x / 4][x % 4].sp, !o.link[x]);
				oracle_link(&o, x, !o.link[x]);
				mesh_settle(m, 1500000, 1000000000);
			}
			mesh_station(src, 1 + who);
			pick_dst(&r, dst);
			oracle_frame(&o, t.at[who], dst, src, to);
			if (getenv("MESH_VERBOSE"))
				fprintf(stderr, "%u: %c.%u %u -> %02x..%u\n", k, 'a' + t.at[who] / 4, t.at[who] % 4, src[5],
					dst[0], dst[5]);
			seq = mesh_send(m, t.at[who] / 4, t.at[who] % 4, dst, src, len);
			if (!mesh_settle(m, 1000000, 1000000000))
				mesh_fail(m, "does not settle");
			check_exact(m, to, t.at[who], seq, len);
		}
		mesh_drain(m, 1000000000);
		bench_check_books(m);
	}
	bench_end(b, "exact", m);
}

/* Stations 1-8 stay where they are, known everywhere; the others roam.  Frames to the settled ones are all counted. */
static void free_run(struct bench *b, const struct mesh_ops *ops, enum p2p_mode mode, uint64_t seed, unsigned int frames)
{
	struct mesh_cfg cfg;
	struct mesh *m;
	struct rng r;
	uint8_t dst[6], src[6];
	uint32_t want[8] = { 0 }, base[8], got[8], k, i;

	mesh_cfg_default(&cfg, 4, 4);
	cfg.mode = mode;
	cfg.seed = seed;
	cfg.flags |= P2P_FLAG_BRIDGE;
	cfg.slots = 256;
	cfg.rx_bufs = 4096;
	rng_seed(&r, seed ^ 0xf4ee);
	m = mesh_create(ops, &cfg);
	if (mesh_configure(m) || mesh_up(m)) {
		bench_end(b, "free", m);
		return;
	}
	memset(dst, 0xff, 6);
	for (k = 0; k < 8; k++) {
		mesh_station(src, 1 + k);
		mesh_send(m, k / 2, k % 2, dst, src, 64);
	}
	mesh_settle(m, 3000000, 1000000000);
	for (k = 0; k < 8; k++)
		base[k] = m->port[k / 2][k % 2].outs;
	for (k = 0; k < frames && !mesh_failure(m); k++) {
		unsigned int settled = rng_below(&r, 8), from = rng_below(&r, 16);

		if (rng_below(&r, 4)) { /* from a settled one or a roamer, to a settled one */
			if (rng_below(&r, 2)) {
				from = rng_below(&r, 8);
				mesh_station(src, 1 + from);
				from = from / 2 * 4 + from % 2;
			} else {
				mesh_station(src, 100 + rng_below(&r, 10));
			}
			mesh_station(dst, 1 + settled);
			if (from != settled / 2 * 4 + settled % 2)
				want[settled]++;
		} else { /* between roamers: wherever it goes, once at most */
			mesh_station(src, 100 + rng_below(&r, 10));
			mesh_station(dst, 100 + rng_below(&r, 10));
		}
		mesh_send(m, from / 4, from % 4, dst, src, 60 + rng_below(&r, 1459));
		mesh_run(m, 200 + rng_below(&r, 4000));
	}
	if (!mesh_drain(m, 5000000000ull))
		mesh_fail(m, "does not drain: %llu held", (unsigned long long)mesh_held(m));
	bench_check_books(m);
	for (k = 0; k < 8 && !mesh_drops(m, -1, P2P_DROP_ring_full) && !mesh_drops(m, -1, P2P_DROP_rd_share); k++) {
		struct mesh_port *mp = &m->port[k / 2][k % 2];

		/* What was sent to station k is at least so much; floods between roamers come on top. */
		got[k] = mp->outs - base[k];
		for (i = 0; i < 1 && got[k] < want[k]; i++)
			mesh_fail(m, "station %u got %u of %u frames", k + 1, got[k], want[k]);
	}
	bench_end(b, "free", m);
}

static uint64_t given_up(struct mesh *m, int nic)
{
	return mesh_drops(m, nic, P2P_DROP_stopped) + mesh_drops(m, nic, P2P_DROP_peer_lost);
}

/* True: a flood waited for room when its NIC was stopped, which is a matter of how late that seed's DMA is. */
static bool stopped(struct bench *b, const struct mesh_ops *ops, enum p2p_mode mode, uint64_t seed)
{
	uint8_t dst[6], src[6];
	uint64_t held, gone;
	struct mesh_cfg cfg;
	uint32_t owed = 0;
	struct mesh *m;
	unsigned int k;

	mesh_cfg_default(&cfg, 2, 4);
	cfg.mode = mode;
	cfg.seed = seed;
	cfg.flags |= P2P_FLAG_BRIDGE;
	cfg.slots = 256;
	cfg.rx_bufs = 2048;
	m = mesh_create(ops, &cfg);
	memset(dst, 0xff, 6);
	mesh_station(src, 1);
	if (!mesh_configure(m) && !mesh_up(m)) {
		for (k = 0; k < 100000 && !owed && !mesh_failure(m); k++) {
			for (unsigned int f = 0; k % 1000 == 0 && f < 20; f++)
				mesh_send(m, 0, 0, dst, src, 9000);
			mesh_run(m, 100);
			owed = ops->flooding(m->mb, 1);
		}
		held = ops->held(m->mb, 1);
		gone = given_up(m, 1);
		mesh_enable(m, 1, false);
		if (ops->flooding(m->mb, 1))
			mesh_fail(m, "a NIC that was stopped owes %u copies", ops->flooding(m->mb, 1));
		if (given_up(m, 1) - gone != held - ops->held(m->mb, 1) + owed)
			mesh_fail(m, "%llu frames were given up, not the %llu held and %u copies",
				  (unsigned long long)(given_up(m, 1) - gone), (unsigned long long)(held - ops->held(m->mb, 1)), owed);
		mesh_run(m, 300000000);
		mesh_enable(m, 1, true);
		if (!mesh_failure(m) && !mesh_wait_up(m, 5000000000ull)) {
			for (k = 0; k < 4; k++)
				m->port[1][k].taken = m->port[1][k].outs;
			mesh_send(m, 0, 0, dst, src, 9000);
			mesh_settle(m, 4000000, 1000000000);
			for (k = 0; k < 4; k++)
				if (mesh_untaken(m, 1, k) != 1)
					mesh_fail(m, "%u frames left b.%u, not one", mesh_untaken(m, 1, k), k);
		}
	}
	bench_end(b, "stopped", m);
	return owed != 0;
}

int main(int argc, char **argv)
{
	struct bench b;
	unsigned int k, mode;
	uint64_t seed;

	if (bench_init(&b, argc, argv))
		return 2;
	for (k = 0; mesh_boards[k]; k++) {
		uint64_t n = !mesh_boards[k]->late ? 1 : b.deep ? 40 : 2;

		for (mode = P2P_MODE_WR; mode < P2P_NUM_MODES; mode++) {
			unsigned int tried = 0, waited = 0;

			for (seed = bench_first_seed(&b);
			     bench_wants_mode(&b, mesh_boards[k], mode) && seed <= bench_last_seed(&b, n); seed++) {
				if (bench_wants(&b, "exact"))
					exact(&b, mesh_boards[k], mode, seed, b.deep ? 1500 : 250);
				if (bench_wants(&b, "stopped") && mesh_boards[k]->flooding && mode != P2P_MODE_BN) {
					waited += stopped(&b, mesh_boards[k], mode, seed);
					tried++;
				}
				if (bench_wants(&b, "free"))
					free_run(&b, mesh_boards[k], mode, seed, b.deep ? 20000 : 2500);
			}
			if (tried > 1 && 2 * waited < tried) {
				fprintf(stderr, "FAILED stopped: %s, %s: in %u of %u runs a flood waits for room\n",
					mesh_boards[k]->name, bench_mode(mode), waited, tried);
				b.fails++;
			}
		}
	}
	return bench_exit(&b);
}
