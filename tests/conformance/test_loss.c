/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A fabric that drops every n-th DMA, each kind separately and all at once:
 * no ring stalls, no corrupted frame leaves a port (the mesh checks every byte),
 * nothing leaves twice, every loss is counted and the books are exact.  And a session that ends between a hole
 * and the descriptor that tells how many frames it was: somebody counts them.
 */
#include <stdio.h>
#include <string.h>

#include "bench.h"

static const char *const kind_name[] = { "payload", "desc", "completion", "control", "beat", "dma" };
#define KINDS 6

static void traffic(struct mesh *m, struct rng *r, unsigned int bursts)
{
	uint8_t dst[6], src[6];
	unsigned int i, p, k, n;

	for (k = 0; k < bursts && !m->failure[0]; k++) {
		for (i = 0; i < m->cfg.nics; i++) {
			for (p = 0; p < m->cfg.ports; p++) {
				n = rng_below(r, 6);
				mesh_station(src, 1 + i * m->cfg.ports + p);
				mesh_station(dst, 1 + rng_below(r, m->cfg.nics * m->cfg.ports + 2));
				while (n--)
					mesh_send(m, i, p, dst, src,
						  rng_below(r, 5) ? 60 + rng_below(r, 1459) : 2049 + rng_below(r, 7000));
			}
		}
		mesh_run(m, 4000 + rng_below(r, 30000));
		if (rng_below(r, 40) == 0)
			mesh_run(m, 5000000);
	}
}

static void lossy(struct bench *b, const struct mesh_ops *ops, enum p2p_mode mode, unsigned int kind, uint32_t every,
		  uint64_t seed, unsigned int bursts)
{
	struct mesh_cfg cfg;
	struct mesh *m;
	struct rng r;
	unsigned int i, p, k;
	const char *part;
	char name[64];

	snprintf(name, sizeof(name), "%s-%u", kind_name[kind], every);
	if (!bench_wants(b, name))
		return;
	rng_seed(&r, seed * 77 + kind * 1009 + every);
	mesh_cfg_default(&cfg, 3, 2);
	cfg.mode = mode;
	cfg.seed = seed;
	cfg.batch = 1u << rng_below(&r, 6);
	cfg.stride = 16u << rng_below(&r, 3);
	cfg.rx_bufs = 1024;
	cfg.slots = 64u << rng_below(&r, 2);
	cfg.flags |= seed & 1 ? P2P_FLAG_BRIDGE : P2P_FLAG_BACKPRESSURE;
	part = rng_below(&r, 2) ? ",part" : "";
	m = mesh_create(ops, &cfg);
	if (!mesh_configure(m)) {
		for (i = 0; i < 3 && !(cfg.flags & P2P_FLAG_BRIDGE); i++)
			for (p = 0; p < 2; p++)
				mesh_pair(m, i, p, (i + p + 1) % 3, p);
		if (rng_below(&r, 2)) { /* they meet over a fabric that loses already */
			/* By chance: every second heartbeat may be always the same peer's. */
			mesh_fault(m, "drop:%s:%g,seed=%u", kind_name[kind], 1.0 / every, rng_below(&r, 1000));
		}
		if (!mesh_up(m)) {
			mesh_fault_none(m);
			for (k = 0; k < 5; k++)
				if (kind == k || kind == 5)
					mesh_fault(m, "drop:%s:1/%u%s", kind_name[k], every, part);
			traffic(m, &r, bursts);
			if (kind != 5 && !mesh_drain(m, 20000000000ull))
				mesh_fail(m, "stalls: %llu frames held after 20 s", (unsigned long long)mesh_held(m));
			mesh_fault_none(m);
			bench_drained(m, "the last loss");
			traffic(m, &r, 3);
			bench_drained(m, "traffic without losses");
		}
	}
	bench_end(b, name, m);
}

/* rd: the slot of a lost descriptor is not given up while the next one's payload is on its way, which it is until the session is over. */
static void hole_unheard(struct bench *b, const struct mesh_ops *ops, uint64_t seed)
{
	uint8_t dst[6], src[6];
	struct mesh_cfg cfg;
	struct mesh *m;

	if (!bench_wants(b, "hole-unheard"))
		return;
	mesh_cfg_default(&cfg, 2, 1);
	cfg.mode = P2P_MODE_RD;
	cfg.seed = seed;
	m = mesh_create(ops, &cfg);
	mesh_station(dst, 1);
	mesh_station(src, 0);
	if (!mesh_configure(m)) {
		mesh_pair(m, 0, 0, 1, 0);
		mesh_up(m);
		mesh_fault(m, "drop:desc:1");
		mesh_send(m, 0, 0, dst, src, 64);
		mesh_run(m, 200000);
		mesh_fault_none(m);
		mesh_fault(m, "delay:payload:1,ns=400m");
		mesh_send(m, 0, 0, dst, src, 64);
		mesh_run(m, 1000000);
		if (mesh_event(m, 1, P2P_EV_holes))
			mesh_fail(m, "a slot is given up before what lies behind it was read");
		mesh_stall(m, 0, 250000000);
		mesh_run(m, 600000000);
		mesh_fault_none(m);
		if (mesh_drops(m, -1, P2P_DROP_peer_lost) != 2)
			mesh_fail(m, "%llu frames were lost with their peer, not two",
				  (unsigned long long)mesh_drops(m, -1, P2P_DROP_peer_lost));
		bench_check_books(m);
	}
	bench_end(b, "hole-unheard", m);
}

/* All descriptors of two batches are lost at once: as many as the consumer looks ahead, one more than frame numbers tell of. */
static void holes_128(struct bench *b, const struct mesh_ops *ops, enum p2p_mode mode, uint64_t seed)
{
	uint8_t dst[6], src[6];
	struct mesh_cfg cfg;
	struct mesh *m;
	unsigned int k;

	if (!bench_wants(b, "holes-128"))
		return;
	mesh_cfg_default(&cfg, 2, 1);
	cfg.mode = mode;
	cfg.seed = seed;
	cfg.slots = 512;
	cfg.batch = 64;
	cfg.rx_bufs = 1024;
	m = mesh_create(ops, &cfg);
	mesh_station(dst, 1);
	mesh_station(src, 0);
	if (!mesh_configure(m)) {
		mesh_pair(m, 0, 0, 1, 0);
		mesh_up(m);
		mesh_fault(m, "drop:desc:1");
		for (k = 0; k < 128; k++)
			mesh_send(m, 0, 0, dst, src, 64);
		mesh_run(m, 400000);
		if (mesh_event(m, 0, P2P_EV_forwarded) != 128 || mesh_untaken(m, 1, 0))
			mesh_fail(m, "not all of 128 frames were published, or not all descriptors lost");
		mesh_fault_none(m);
		for (k = 0; k < 20; k++)
			mesh_send(m, 0, 0, dst, src, 64);
		mesh_run(m, 400000);
		bench_drained(m, "the loss of 128 descriptors");
		bench_check_books(m);
		if (mesh_untaken(m, 1, 0) + mesh_drops(m, 1, P2P_DROP_desc_lost) != 148)
			mesh_fail(m, "%u frames came and %llu were counted, of 148", mesh_untaken(m, 1, 0),
				  (unsigned long long)mesh_drops(m, 1, P2P_DROP_desc_lost));
	}
	bench_end(b, "holes-128", m);
}

int main(int argc, char **argv)
{
	static const uint32_t every[] = { 2, 3, 5, 7, 10, 31, 100, 1000 };
	unsigned int k, e, kind, mode;
	struct bench b;
	uint64_t seed;

	if (bench_init(&b, argc, argv))
		return 2;
	for (k = 0; mesh_boards[k]; k++) {
		if (mesh_boards[k] != &mesh_late)
			continue;
		for (seed = bench_first_seed(&b); bench_wants_mode(&b, mesh_boards[k], P2P_MODE_RD) &&
						  seed <= bench_last_seed(&b, 4); seed++)
			hole_unheard(&b, mesh_boards[k], seed);
		for (mode = P2P_MODE_WR; mode < P2P_MODE_BN; mode++)
			for (seed = bench_first_seed(&b); bench_wants_mode(&b, mesh_boards[k], mode) &&
							  seed <= bench_last_seed(&b, 3); seed++)
				holes_128(&b, mesh_boards[k], mode, seed);
		for (mode = P2P_MODE_WR; mode < P2P_NUM_MODES; mode++)
			for (kind = 0; bench_wants_mode(&b, mesh_boards[k], mode) && kind < KINDS; kind++)
				for (e = 0; e < P2P_ARRAY_SIZE(every); e++)
					for (seed = bench_first_seed(&b); seed <= bench_last_seed(&b, b.deep ? 12 : bench_share(2)); seed++)
						lossy(&b, mesh_boards[k], mode, kind, every[e], seed, b.deep ? 300 : 60);
	}
	return bench_exit(&b);
}
