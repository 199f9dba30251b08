/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Every fault on every kind of DMA, and on NICs, cables, and clocks, by rule and seed, on every board: no frame leaves
 * damaged, twice or out of order (mesh.c looks at every byte), each is delivered or counted, and when the rules
 * are gone nothing is stuck.  Every rule of a run has struck in it.  Scrub is on.  FAULTS_SHOW=1 in the environment prints
 * how often.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

#define NICS 3
#define PORTS 2

struct fault_case {
	const char *name, *rule[3]; /* without seeds */
	bool cables;		    /* and links that go, cables that stand still or are slow */
	bool no_bn;		    /* the host goes by descriptors that it does not check */
	bool lap;		    /* the first descriptor of a write gets the number of its slot's next lap: of 64 slots, large batches */
	bool no_cut;		    /* no NIC moves payload there */
	bool no_wr;		    /* nothing is read */
	bool bells;		    /* of which the board in virtual time has none */
	bool late;		    /* does nothing to a read on the soft board, which is done at once, nor to a bell on the sim board */
	bool rests;		    /* often nothing comes for a while: only then is a control line written, for what is overdue */
	bool all_words;		    /* flips: every word is sampled, since one that is not may be wrong unseen */
};

static const struct fault_case cases[] = {
	{ .name = "drop-payload", .rule = { "drop:payload:1/7" }, .no_cut = true },
	{ .name = "drop-payload-part", .rule = { "drop:payload:0.1,part" }, .no_cut = true },
	{ .name = "drop-desc", .rule = { "drop:desc:0.1" } },
	{ .name = "drop-desc-part", .rule = { "drop:desc:0.1,part" } },
	{ .name = "drop-completion", .rule = { "drop:completion:0.3" } },
	{ .name = "drop-control", .rule = { "drop:control:0.5", "drop:desc:0.3" }, .rests = true },
	{ .name = "drop-beat", .rule = { "drop:beat:0.3" } },
	{ .name = "drop-bell", .rule = { "drop:bell:0.5" }, .bells = true },
	{ .name = "drop-read", .rule = { "drop:read:0.1" }, .no_wr = true },
	{ .name = "drop-dma", .rule = { "drop:dma:0.03" } },
	{ .name = "delay-payload", .rule = { "delay:payload:0.02,ns=20k" }, .no_cut = true, .late = true },
	{ .name = "delay-desc", .rule = { "delay:desc:0.05,ns=200k" } },
	{ .name = "delay-completion", .rule = { "delay:completion:0.1,ns=100k" } },
	{ .name = "delay-control", .rule = { "delay:control:0.5,ns=2m", "drop:desc:0.3" }, .rests = true },
	{ .name = "delay-beat", .rule = { "delay:beat:0.2,ns=3m" } },
	{ .name = "delay-bell", .rule = { "delay:bell:0.5,ns=1m" }, .bells = true, .late = true },
	{ .name = "delay-dma", .rule = { "delay:dma:0.01,ns=30k" } },
	{ .name = "dup-payload", .rule = { "dup:payload:0.2", "dup:payload:0.05,ns=20k" }, .no_cut = true, .late = true },
	{ .name = "dup-desc", .rule = { "dup:desc:0.2", "dup:desc:0.1,ns=100k" } },
	{ .name = "dup-completion", .rule = { "dup:completion:0.2", "dup:completion:0.1,ns=100k" } },
	{ .name = "dup-control", .rule = { "dup:control:0.5,ns=100k", "drop:desc:0.3" }, .rests = true },
	{ .name = "dup-beat", .rule = { "dup:beat:0.2,ns=1m" } },
	{ .name = "dup-dma", .rule = { "dup:dma:0.03", "dup:dma:0.01,ns=50k" } },
	{ .name = "truncate-payload", .rule = { "truncate:payload:0.1,part" }, .no_cut = true },
	{ .name = "truncate-desc", .rule = { "truncate:desc:0.1" } },
	{ .name = "truncate-completion", .rule = { "truncate:completion:0.2" } },
	{ .name = "truncate-control", .rule = { "truncate:control:0.5", "drop:desc:0.3" }, .rests = true },
	{ .name = "truncate-beat", .rule = { "truncate:beat:0.2" } },
	{ .name = "flip-payload", .rule = { "flip:payload:0.1" }, .all_words = true, .no_cut = true },
	{ .name = "flip-desc", .rule = { "flip:desc:0.1" }, .no_bn = true },
	{ .name = "flip-lap", .rule = { "flip:desc:0.1,bit=102" }, .no_bn = true, .lap = true },
	{ .name = "flip-lap-often", .rule = { "flip:desc:0.5,bit=102", "drop:desc:0.1" }, .no_bn = true, .lap = true },
	{ .name = "stall", .rule = { "stall:nic:1/199,ns=1m" } },
	{ .name = "stuck-peer", .rule = { "stall:nic:1/211,ns=300m,count=3" } },
	{ .name = "clock", .rule = { "clock:nic:1/199,ns=150m,count=20" } },
	{ .name = "cables", .cables = true },
	{ .name = "everything", .rule = { "drop:dma:0.01", "dup:dma:0.01,ns=10k", "stall:nic:1/199,ns=500k" }, .cables = true },
};

static void upset(struct mesh *m, struct rng *r)
{
	struct script_port *sp = m->port[rng_below(r, NICS)][rng_below(r, PORTS)].sp;

	switch (rng_below(r, 3)) {
	case 0:
		script_port_link(sp, rng_below(r, 2));
		break;
	case 1:
		script_port_stand(sp, rng_below(r, 2));
		break;
	default:
		script_port_pace(sp, rng_below(r, 2) ? rng_below(r, 20000) : 0);
	}
}

static void mend(struct mesh *m)
{
	unsigned int i, p;

	for (i = 0; i < NICS; i++) {
		for (p = 0; p < PORTS; p++) {
			script_port_link(m->port[i][p].sp, true);
			script_port_stand(m->port[i][p].sp, false);
			script_port_pace(m->port[i][p].sp, 0);
		}
	}
}

static void traffic(struct mesh *m, struct rng *r, unsigned int bursts, const struct fault_case *c)
{
	uint8_t dst[6], src[6];
	unsigned int i, p, k, n;

	for (k = 0; k < bursts && !m->failure[0]; k++) {
		for (i = 0; i < NICS; i++) {
			for (p = 0; p < PORTS; p++) {
				mesh_station(src, 1 + i * PORTS + p);
				mesh_station(dst, 1 + rng_below(r, NICS * PORTS));
				for (n = rng_below(r, 6); n; n--)
					mesh_send(m, i, p, dst, src,
						  rng_below(r, 6) ? 60 + rng_below(r, 1459) : 2049 + rng_below(r, 7000));
			}
		}
		if (c->cables && rng_below(r, 3) == 0)
			upset(m, r);
		mesh_run(m, 4000 + rng_below(r, 30000));
		if (rng_below(r, c->rests ? 2 : 20) == 0)
			mesh_run(m, 25000000);
	}
}

static uint64_t tx_frames(struct mesh *m)
{
	return mesh_port_sum(m, offsetof(struct port_stats, tx_frames));
}

/* So many frames from each port; returns how many that were. */
static uint64_t send_sound(struct mesh *m, struct rng *r, unsigned int each)
{
	uint8_t dst[6], src[6];
	unsigned int i, p, k;
	uint64_t n = 0;

	for (k = 0; k < each; k++) {
		for (i = 0; i < NICS; i++) {
			for (p = 0; p < PORTS; p++, n++) {
				mesh_station(src, 1 + i * PORTS + p);
				mesh_station(dst, 1 + (i * PORTS + p + 1 + rng_below(r, NICS * PORTS - 1)) % (NICS * PORTS));
				mesh_send(m, i, p, dst, src, 60 + rng_below(r, 1459));
			}
		}
		mesh_run(m, 100000);
	}
	return n;
}

/* What comes afterwards comes through whole: as many frames leave as are sent, and no rule or former fault takes one. */
static void sound(struct mesh *m, struct rng *r)
{
	uint64_t out = tx_frames(m), n = send_sound(m, r, 20);

	bench_drained(m, "sound frames");
	if (tx_frames(m) - out < n)
		mesh_fail(m, "%llu of %llu frames came through after the last fault",
			  (unsigned long long)(tx_frames(m) - out), (unsigned long long)n);
}

/* Each rule, or the run says nothing of it. */
static void have_struck(struct mesh *m, const struct fault_case *c, enum p2p_mode mode)
{
	for (unsigned int k = 0; k < P2P_ARRAY_SIZE(c->rule) && c->rule[k]; k++) {
		if (getenv("FAULTS_SHOW"))
			printf("%s %s %s seed %llu: %s: %llu hits\n", m->ops->name, bench_mode(mode), c->name,
			       (unsigned long long)m->cfg.seed, c->rule[k], (unsigned long long)mesh_fault_hits(m, k));
		if (!mesh_fault_hits(m, k))
			mesh_fail(m, "%s has not struck", c->rule[k]);
	}
}

static bool has_no_chance(const struct fault_case *c, const struct mesh_ops *ops, enum p2p_mode mode)
{
	if ((c->no_bn && mode == P2P_MODE_BN) || (c->no_wr && mode == P2P_MODE_WR) || (c->no_cut && ops->cut))
		return true;
	if (c->bells)
		return !strcmp(ops->name, "free") || (c->late && !strcmp(ops->name, "sim"));
	return c->late && mode == P2P_MODE_RD && !strcmp(ops->name, "soft");
}

static void run(struct bench *b, const struct mesh_ops *ops, enum p2p_mode mode, const struct fault_case *c, uint64_t seed,
		unsigned int bursts)
{
	struct mesh_cfg cfg;
	unsigned int i, p, k;
	struct mesh *m;
	struct rng r;

	if (!bench_wants(b, c->name) || has_no_chance(c, ops, mode))
		return;
	rng_seed(&r, seed * 77 + mode);
	mesh_cfg_default(&cfg, NICS, PORTS);
	cfg.mode = mode;
	cfg.seed = seed;
	cfg.batch = c->lap ? 32u << rng_below(&r, 2) : 1u << rng_below(&r, 7);
	cfg.stride = c->all_words ? 4 : 16u << rng_below(&r, 3);
	cfg.rx_bufs = 1024;
	cfg.slots = c->lap ? 64 : 64u << rng_below(&r, 2);
	cfg.flags |= P2P_FLAG_BACKPRESSURE;
	cfg.in_order = true;
	cfg.sleep = strstr(c->name, "bell") || rng_below(&r, 2);
	m = mesh_create(ops, &cfg);
	if (!mesh_configure(m)) {
		for (i = 0; i < NICS; i++)
			for (p = 0; p < PORTS; p++)
				mesh_pair(m, i, p, (i + p + 1) % NICS, p);
		if (!mesh_up(m)) {
			for (k = 0; k < P2P_ARRAY_SIZE(c->rule) && c->rule[k]; k++)
				mesh_fault(m, "%s,seed=%llu", c->rule[k], (unsigned long long)(seed + 1000 * k));
			traffic(m, &r, bursts, c);
			mesh_run(m, 100000000); /* heartbeats are rare */
			have_struck(m, c, mode);
			if (c->rule[0])
				mesh_fault_none(m);
			mend(m);
			mesh_run(m, 500000000); /* longer than anything stands still, and then until peers are up again */
			bench_drained(m, "the last fault");
			sound(m, &r);
		}
	}
	bench_end(b, c->name, m);
}

/* There is no memory for the layout or for firmware's state: the NIC says so, and comes up when there is. */
static void no_memory(struct bench *b, const struct mesh_ops *ops, unsigned int nth)
{
	struct mesh_cfg cfg;
	struct mesh *m;
	struct rng r;
	unsigned int i;

	if (!bench_wants(b, "memory"))
		return;
	rng_seed(&r, nth);
	mesh_cfg_default(&cfg, NICS, PORTS);
	m = mesh_create(ops, &cfg);
	mesh_fault(m, "fail:memory:1/%u,count=1", nth);
	if (!mesh_configure(m) || mesh_fault_hits(m, 0) != 1)
		mesh_fail(m, "configured without memory");
	else
		m->failure[0] = '\0';
	mesh_fault_none(m);
	for (i = 0; i < NICS; i++)
		ops->reg_write(m->mb, i, P2P_CONTROL, 4, P2P_CTL_RESET);
	if (!mesh_configure(m)) {
		for (i = 0; i < NICS * PORTS; i++)
			mesh_pair(m, i / PORTS, i % PORTS, (i / PORTS + 1) % NICS, i % PORTS);
		if (!mesh_up(m))
			sound(m, &r);
	}
	bench_end(b, "memory", m);
}

int main(int argc, char **argv)
{
	unsigned int k, c, mode;
	struct bench b;
	uint64_t seed;

	if (bench_init(&b, argc, argv))
		return 2;
	for (k = 0; mesh_boards[k]; k++) {
		for (c = 1; bench_wants_mode(&b, mesh_boards[k], P2P_MODE_WR) && c <= 3; c++)
			no_memory(&b, mesh_boards[k], c);
		for (mode = P2P_MODE_WR; mode < P2P_NUM_MODES; mode++)
			for (c = 0; bench_wants_mode(&b, mesh_boards[k], mode) && c < P2P_ARRAY_SIZE(cases); c++)
				for (seed = bench_first_seed(&b); seed <= bench_last_seed(&b, b.deep ? 4 : bench_share(1)); seed++)
					run(&b, mesh_boards[k], mode, &cases[c], seed,
					    b.deep ? 300 : cases[c].bells ? 40 : bench_share(40));
	}
	return bench_exit(&b);
}
