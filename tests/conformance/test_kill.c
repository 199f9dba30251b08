/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One NIC of four dies under load, comes back with new memory and is introduced
 * again, several times.  The others go on among themselves; no frame ever leaves
 * a port twice or damaged; frames in minus frames out minus the drops that have a
 * cause (peer_lost, which counts what was outstanding and may have been sent,
 * is not one of them) is lost_in_kill: between 0 and what the dead NIC's rings,
 * receive buffers and cables could hold.  In the end everything is forwarded again.
 */
#include <stdio.h>
#include <string.h>

#include "bench.h"

#define NICS 4
#define PORTS 2

static void load(struct mesh *m, struct rng *r, unsigned int rounds)
{
	uint8_t dst[6] = { 2 }, src[6] = { 2 };
	unsigned int k, i, n;

	for (k = 0; k < rounds && !m->failure[0]; k++) {
		for (i = 0; i < NICS; i++) {
			for (n = rng_below(r, 8); n && !m->nic[i].dead; n--)
				mesh_send(m, i, n % PORTS, dst, src, rng_below(r, 8) ? 60 + rng_below(r, 1459) : 5000);
		}
		mesh_run(m, 3000 + rng_below(r, 15000));
	}
}

/* What one death can swallow: its ports' buffers and cables, and every ring into and out of it. */
static uint64_t capacity(const struct mesh *m)
{
	return PORTS * (m->cfg.rx_bufs + 256) + 2ull * NICS * (PORTS + 1) * m->cfg.slots;
}

static int64_t lost_in_kill(struct mesh *m)
{
	uint64_t in = mesh_port_sum(m, offsetof(struct port_stats, rx_frames));
	uint64_t out = mesh_port_sum(m, offsetof(struct port_stats, tx_frames)) +
		       mesh_port_sum(m, offsetof(struct port_stats, tx_lost));
	unsigned int d;

	for (d = 0; d < P2P_NUM_DROPS; d++)
		if (d != P2P_DROP_peer_lost)
			out += mesh_drops(m, -1, d);
	return (int64_t)(in - out);
}

/* Every pair forwards all of a little traffic. */
static void probe(struct mesh *m)
{
	uint32_t before[NICS][PORTS];
	unsigned int i, p;

	for (i = 0; i < NICS; i++)
		for (p = 0; p < PORTS; p++)
			before[i][p] = m->port[i][p].outs;
	for (i = 0; i < NICS; i++)
		for (p = 0; p < PORTS; p++)
			mesh_send_few(m, i, p);
	mesh_settle(m, 5000000, 5000000000ull);
	for (i = 0; i < NICS; i++)
		for (p = 0; p < PORTS; p++)
			if (m->port[i][p].outs != before[i][p] + MESH_FEW)
				mesh_fail(m, "%u of %u frames left %c.%u in the end", m->port[i][p].outs - before[i][p], MESH_FEW,
					  'a' + i, p);
}

static void kill_one(struct bench *b, const struct mesh_ops *ops, enum p2p_mode mode, uint64_t seed, unsigned int deaths)
{
	struct mesh_cfg cfg;
	struct mesh *m;
	struct rng r;
	unsigned int i, k, v, before;
	int64_t lost;

	rng_seed(&r, seed ^ 0xdead);
	mesh_cfg_default(&cfg, NICS, PORTS);
	cfg.mode = mode;
	cfg.seed = seed;
	cfg.rx_bufs = 512;
	cfg.in_order = true;
	cfg.flags |= P2P_FLAG_BACKPRESSURE;
	m = mesh_create(ops, &cfg);
	if (!mesh_configure(m)) {
		for (i = 0; i < NICS; i++) { /* port 0 to the next NIC, port 1 to the one after it */
			mesh_pair(m, i, 0, (i + 1) % NICS, 0);
			mesh_pair(m, i, 1, (i + 2) % NICS, 1);
		}
		mesh_up(m);
	}
	for (k = 0; k < deaths && !mesh_failure(m); k++) {
		v = rng_below(&r, NICS);
		load(m, &r, 30);
		mesh_kill(m, v);
		load(m, &r, 30);
		mesh_run(m, rng_below(&r, 200000000));
		load(m, &r, 10);
		/* Among the living: (v+1) -> (v+2) by port 0 goes on. */
		before = m->port[(v + 2) % NICS][0].outs;
		load(m, &r, 10);
		mesh_run(m, 2000000);
		if (m->port[(v + 2) % NICS][0].outs == before)
			mesh_fail(m, "the living do not forward while %c is dead", 'a' + v);
		if (mesh_failure(m) || mesh_restart(m, v))
			break;
		mesh_pair(m, v, 0, (v + 1) % NICS, 0);
		mesh_pair(m, v, 1, (v + 2) % NICS, 1);
		mesh_enable(m, v, true);
		mesh_wait_up(m, 2000000000ull);
		before = m->port[(v + 1) % NICS][0].outs;
		load(m, &r, 10);
		mesh_run(m, 2000000);
		if (m->port[(v + 1) % NICS][0].outs == before)
			mesh_fail(m, "%c has come back and does not forward", 'a' + v);
	}
	if (!mesh_settle(m, 20000000, 5000000000ull))
		mesh_fail(m, "does not settle");
	probe(m);
	lost = lost_in_kill(m);
	if (lost < 0 || (uint64_t)lost > capacity(m) * deaths)
		mesh_fail(m, "lost_in_kill is %lld, not within 0 and %llu", (long long)lost,
			  (unsigned long long)(capacity(m) * deaths));
	if (!mesh_failure(m))
		printf("%s %s seed %llu: %u deaths, lost_in_kill %lld\n", ops->name, bench_mode(mode),
		       (unsigned long long)seed, deaths, (long long)lost);
	bench_end(b, "kill", m);
}

/* bn: the host loop dies under load and another takes its place, after a while or before anybody noticed. */
static void kill_host(struct bench *b, const struct mesh_ops *ops, uint64_t seed, unsigned int deaths)
{
	struct mesh_cfg cfg;
	struct mesh *m;
	struct rng r;
	unsigned int i, k, before;

	rng_seed(&r, seed ^ 0x4057);
	mesh_cfg_default(&cfg, NICS, PORTS);
	cfg.mode = P2P_MODE_BN;
	cfg.seed = seed;
	cfg.rx_bufs = 512;
	cfg.in_order = true;
	cfg.stall = ops->late;
	cfg.flags |= P2P_FLAG_BACKPRESSURE;
	m = mesh_create(ops, &cfg);
	if (!mesh_configure(m)) {
		for (i = 0; i < NICS; i++) {
			mesh_pair(m, i, 0, (i + 1) % NICS, 0);
			mesh_pair(m, i, 1, (i + 2) % NICS, 1);
		}
		mesh_up(m);
	}
	for (k = 0; k < deaths && !mesh_failure(m); k++) {
		load(m, &r, 30);
		mesh_host_kill(m);
		if (rng_below(&r, 2)) {
			load(m, &r, 10);
			mesh_run(m, rng_below(&r, 200000000));
		}
		mesh_host_start(m);
		load(m, &r, 30);
		mesh_wait_up(m, 2000000000ull);
		before = m->port[k % NICS][0].outs;
		/* Rings whose line was late open at the next poke, and NICs stall: within 100 ms. */
		for (i = 0; i < 10 && m->port[k % NICS][0].outs == before; i++) {
			load(m, &r, 10);
			mesh_run(m, 2000000);
		}
		if (m->port[k % NICS][0].outs == before)
			mesh_fail(m, "%c gets nothing after the host came back", 'a' + k % NICS);
	}
	if (!mesh_settle(m, 20000000, 5000000000ull))
		mesh_fail(m, "does not settle");
	probe(m);
	bench_end(b, "host", m);
}

/*
 * rd: b is introduced to c again before it runs, so c takes up what its former life had left there; then b comes, while c reads what a
 * sent.  Where b's rings begin c must have said once only.
 */
static void accepted_twice(struct bench *b, const struct mesh_ops *ops, uint64_t seed)
{
	uint8_t dst[6] = { 2 }, src[6] = { 2 };
	struct mesh_cfg cfg;
	struct mesh *m;

	mesh_cfg_default(&cfg, 3, 2);
	cfg.mode = P2P_MODE_RD;
	cfg.seed = seed;
	m = mesh_create(ops, &cfg);
	if (!mesh_configure(m)) {
		mesh_pair(m, 0, 0, 2, 0);
		mesh_pair(m, 1, 1, 2, 1);
		mesh_up(m);
	}
	if (!mesh_failure(m)) {
		mesh_kill(m, 1);
		mesh_restart(m, 1);
		mesh_pair(m, 1, 1, 2, 1);
		mesh_run(m, 3000000);
		mesh_fault(m, "delay:payload:1,ns=300m");
		mesh_send(m, 0, 0, dst, src, 1000);
		mesh_run(m, 200000);
		mesh_enable(m, 1, true);
		mesh_run(m, 100000000);
		if (m->port[2][0].outs)
			mesh_fail(m, "nothing was being read any more");
		mesh_fault_none(m);
		mesh_wait_up(m, 2000000000ull);
		mesh_run(m, 300000000);
		mesh_send_few(m, 1, 1);
		mesh_settle(m, 5000000, 5000000000ull);
		if (m->port[2][0].outs != 1 || m->port[2][1].outs != MESH_FEW || mesh_event(m, -1, P2P_EV_bad_line))
			mesh_fail(m, "%u of 1 and %u of %u frames left, %llu completion lines out of range", m->port[2][0].outs,
				  m->port[2][1].outs, MESH_FEW, (unsigned long long)mesh_event(m, -1, P2P_EV_bad_line));
	}
	bench_end(b, "accepted-twice", m);
}

int main(int argc, char **argv)
{
	unsigned int k, mode, seeds;
	struct bench b;
	uint64_t seed;

	if (bench_init(&b, argc, argv))
		return 2;
	seeds = b.deep ? 60 : bench_share(4);
	for (k = 0; mesh_boards[k]; k++)
		for (mode = P2P_MODE_WR; mode < P2P_NUM_MODES; mode++)
			for (seed = bench_first_seed(&b);
			     bench_wants_mode(&b, mesh_boards[k], mode) && seed <= bench_last_seed(&b, seeds); seed++)
				if (bench_wants(&b, "kill"))
					kill_one(&b, mesh_boards[k], mode, seed, b.deep ? 10 : 3);
	for (k = 0; mesh_boards[k] && bench_wants(&b, "host"); k++)
		for (seed = bench_first_seed(&b); bench_wants_mode(&b, mesh_boards[k], P2P_MODE_BN) &&
		     seed <= bench_last_seed(&b, seeds); seed++)
			kill_host(&b, mesh_boards[k], seed, b.deep ? 20 : 6);
	for (k = 0; mesh_boards[k] && bench_wants(&b, "accepted-twice"); k++)
		if (bench_wants_mode(&b, mesh_boards[k], P2P_MODE_RD) && mesh_boards[k]->late)
			accepted_twice(&b, mesh_boards[k], b.seed ? b.seed : 1);
	return bench_exit(&b);
}
