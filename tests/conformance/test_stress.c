/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sixteen NICs in full mesh with four ports each, stepped unevenly, with links that go up and down, cables that stand
 * still, NICs that stall: nothing corrupted, nothing twice, nothing lost without a name, and everything drains.
 *   bridge   all ports bridged
 *   pairs    every port paired with a random other, with or without backpressure
 *   sleepy   the same as bridge with NICs that sleep when idle
 */
#include <stdio.h>
#include <string.h>

#include "bench.h"

#define NICS 16
#define PORTS 4

static void upset(struct mesh *m, struct rng *r)
{
	unsigned int i = rng_below(r, NICS), p = rng_below(r, PORTS);
	struct script_port *sp = m->port[i][p].sp;

	switch (rng_below(r, 5)) {
	case 0:
		script_port_link(sp, false);
		break;
	case 1:
		script_port_stand(sp, true);
		break;
	case 2:
		mesh_stall(m, i, rng_below(r, 3000000));
		break;
	case 3:
		script_port_pace(sp, rng_below(r, 3000));
		break;
	default:
		for (i = 0; i < NICS; i++) {
			script_port_link(m->port[i][p].sp, true);
			script_port_stand(m->port[i][p].sp, false);
		}
	}
}

static void stress(struct bench *b, const struct mesh_ops *ops, const char *name, enum p2p_mode mode, uint64_t seed,
		   unsigned int rounds)
{
	bool pairs = !strcmp(name, "pairs");
	struct mesh_cfg cfg;
	struct mesh *m;
	struct rng r;
	uint8_t dst[6], src[6];
	unsigned int k, i, p, n;

	if (!bench_wants(b, name))
		return;
	rng_seed(&r, seed ^ 0x57e55);
	mesh_cfg_default(&cfg, NICS, PORTS);
	cfg.mode = mode;
	cfg.seed = seed;
	cfg.batch = 1u << rng_below(&r, 7);
	cfg.rx_bufs = 512;
	cfg.flags |= pairs ? rng_below(&r, 2) ? P2P_FLAG_BACKPRESSURE : 0 : P2P_FLAG_BRIDGE;
	cfg.in_order = pairs;
	cfg.stall = ops->late;
	cfg.sleep = !strcmp(name, "sleepy");
	m = mesh_create(ops, &cfg);
	if (mesh_configure(m)) {
		bench_end(b, name, m);
		return;
	}
	for (i = 0; i < NICS && pairs; i++)
		for (p = 0; p < PORTS; p++)
			mesh_pair(m, i, p, rng_below(&r, NICS), rng_below(&r, PORTS));
	if (!mesh_up(m)) {
		for (k = 0; k < rounds && !mesh_failure(m); k++) {
			for (n = 0; n < 24; n++) {
				i = rng_below(&r, NICS);
				p = rng_below(&r, PORTS);
				mesh_station(src, 1 + i * PORTS + p);
				mesh_station(dst, 1 + rng_below(&r, NICS * PORTS));
				mesh_send(m, i, p, dst, src, rng_below(&r, 8) ? 60 + rng_below(&r, 600) : 9000);
			}
			mesh_run(m, 2000 + rng_below(&r, 20000));
			if (rng_below(&r, 4) == 0)
				upset(m, &r);
		}
		for (i = 0; i < NICS; i++) {
			for (p = 0; p < PORTS; p++) {
				script_port_link(m->port[i][p].sp, true);
				script_port_stand(m->port[i][p].sp, false);
				script_port_pace(m->port[i][p].sp, 0);
			}
		}
		if (!mesh_drain(m, 10000000000ull))
			mesh_fail(m, "does not drain: %llu held", (unsigned long long)mesh_held(m));
		bench_check_books(m);
	}
	bench_end(b, name, m);
}

int main(int argc, char **argv)
{
	static const char *const names[] = { "bridge", "pairs", "sleepy" };
	unsigned int k, n, mode;
	struct bench b;
	uint64_t seed;

	if (bench_init(&b, argc, argv))
		return 2;
	for (k = 0; mesh_boards[k]; k++)
		for (n = 0; n < P2P_ARRAY_SIZE(names); n++)
			for (mode = P2P_MODE_WR; mode < P2P_NUM_MODES; mode++)
				for (seed = bench_first_seed(&b);
				     bench_wants_mode(&b, mesh_boards[k], mode) && seed <= bench_last_seed(&b, b.deep ? 8 : 1); seed++)
					stress(&b, mesh_boards[k], names[n], mode, seed, b.deep ? 1000 : bench_share(60));
	return bench_exit(&b);
}
