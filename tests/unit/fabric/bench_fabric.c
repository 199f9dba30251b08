/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How fast the fabric is on this machine: 64-byte writes with data from an endpoint
 * through a switch to another one, 64 in flight; and the same with many pairs at once.
 * Seconds are of CPU time: what else runs on the machine does not count.  It prints, and judges nothing.
 */
#include <time.h>

#include "rig.h"

#define RUN_S 1.0

static double cpu_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void report(const char *what, struct rig *r, uint64_t events, double s)
{
	uint64_t hops = 0;

	for (unsigned int k = 0; k < fab_num_nodes(r->f); k++)
		for (int up = 0; up < 2; up++) {
			const struct fab_dir_stats *st = fab_link_stats(fab_node_at(r->f, k), up);

			for (int t = 0; st && t < FAB_NUM_TYPES; t++)
				hops += st->tlps[t];
		}
	printf("%s: %5.2f million TLP-hops/s, %5.2f million events/s, %.2f events a hop\n", what,
	       (double)hops / s * 1e-6, (double)events / s * 1e-6, (double)events / (double)hops);
}

static void measure(const char *what, struct rig *r)
{
	uint64_t events;
	double start, s;

	rig_run(r, 100000000);
	fab_stats_reset(r->f);
	events = fab_queue_count(r->q);
	start = cpu_s();
	do
		rig_run(r, 100000000);
	while ((s = cpu_s() - start) < RUN_S);
	report(what, r, fab_queue_count(r->q) - events, s);
	rig_close(r);
}

/* Pairs of endpoints, or many senders to one target. */
static void bench(unsigned int pairs, bool incast, uint32_t len, bool read, unsigned int flight)
{
	static struct rig_flow flow[RIG_MAX / 2];
	static uint8_t data[4096];
	struct fab_link_cfg link;
	struct fab_ep_cfg cfg = rig_ep_cfg();
	struct fab_node *sw;
	struct rig r;
	char what[80];

	fab_link_cfg_init(&link, 3, 8);
	link.prop_ps = 5000;
	cfg.latency_ps = 50000;
	rig_open(&r, 1);
	sw = rig_switch(&r, "sw", NULL, NULL, 100000);
	for (unsigned int k = 0; k < 2 * pairs; k++)
		rig_endpoint(&r, sw, &link, &cfg, RIG_WINDOW);
	rig_finish(&r);
	for (unsigned int k = 0; k < pairs; k++) {
		uint64_t to = r.ep[incast ? 1 : 2 * k + 1].base;

		rig_flow_start(&flow[k], &r, r.ep[2 * k].node, to, len, read, flight, data);
		flow[k].span = 1 << 16;
	}
	snprintf(what, sizeof(what), "%2u %s, %2u in flight each, %s of %3u bytes", pairs, incast ? "to one" : "pairs ",
		 flight, read ? "reads " : "writes", len);
	measure(what, &r);
}

int main(void)
{
	bench(1, false, 64, false, 64);
	bench(1, false, 64, false, 1);
	bench(1, false, 256, false, 64);
	bench(1, false, 64, true, 64);
	bench(1, false, 512, true, 64);
	bench(16, false, 64, false, 64);
	bench(16, false, 64, true, 64);
	bench(2, true, 64, false, 8);
	bench(16, true, 64, false, 8);
	bench(31, true, 64, false, 8);
	return 0;
}
