/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fabric PORTS MICROSECONDS: nanoseconds an event of a fabric that is busy: PORTS
 * endpoints behind a switch, each with 16 writes of 64 bytes to the next one and 8
 * reads of 512 bytes from it in flight, reads timed out after 10 ms, and a beat of
 * 10 ms for each.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "fabric/fabric.h"

#define WINDOW (1ull << 20)
#define WRITES 16u
#define READS 8u
#define FLIGHT (WRITES + READS)

struct flow;
struct flight {
	struct fab_req req;
	struct flow *flow;
};
struct flow {
	struct fab_event beat;
	struct fab_node *node;
	uint64_t addr, turn;
	struct flight flight[FLIGHT];
};

static struct fab_queue *q;

static void submit(struct fab_req *r)
{
	struct flow *w = ((struct flight *)r)->flow;

	r->addr = w->addr + w->turn++ * 512 % WINDOW;
	if (r->len == 64)
		fab_write(w->node, r);
	else
		fab_read(w->node, r);
}

static void beat(struct fab_event *e)
{
	fab_schedule(q, e, fab_now(q) + FAB_PS_PER_S / 100);
}

static int build(struct fabric *f, struct flow *flow, uint32_t ports, char err[FAB_ERR_MAX])
{
	static const struct fab_switch_cfg sw_cfg = { .latency_ps = 100000 };
	static const struct fab_target_ops none;
	struct fab_link_cfg link;
	struct fab_node *sw;
	int rc = fab_add_switch(f, "switch", NULL, NULL, &sw_cfg, &sw, err);

	fab_link_cfg_init(&link, 3, 8);
	for (uint32_t k = 0; !rc && k < ports; k++) {
		const struct fab_ep_cfg cfg = { .base = (k + 1) * WINDOW, .bytes = WINDOW, .tags = 32, .mrrs = 512, .rcb = 64,
						.read_latency_ps = 200000, .timeout_ps = FAB_PS_PER_S / 100 };

		flow[k].addr = ((k + 1) % ports + 1) * WINDOW;
		rc = fab_add_endpoint(f, "endpoint", sw, &link, &cfg, &none, NULL, &flow[k].node, err);
	}
	return rc ? rc : fab_finish(f, err);
}

int main(int argc, char **argv)
{
	struct timespec t0, t1;
	char err[FAB_ERR_MAX];
	uint32_t ports;
	uint64_t us, events;
	struct flow *flow;
	struct fabric *f;

	if (argc != 3 || !(ports = (uint32_t)strtoul(argv[1], NULL, 0)) || !(us = strtoull(argv[2], NULL, 0)))
		return 2;
	q = fab_queue_create();
	f = q ? fab_create(q, 1) : NULL;
	flow = calloc(ports, sizeof(*flow));
	if (!f || !flow)
		return 1;
	if (build(f, flow, ports, err)) {
		fprintf(stderr, "%s\n", err);
		return 1;
	}
	for (uint32_t k = 0; k < ports * FLIGHT; k++) {
		struct flight *i = &flow[k / FLIGHT].flight[k % FLIGHT];

		i->flow = &flow[k / FLIGHT];
		i->req = (struct fab_req){ .len = k % FLIGHT < WRITES ? 64 : 512, .done = submit };
		submit(&i->req);
	}
	for (uint32_t k = 0; k < ports; k++) {
		fab_event_init(&flow[k].beat, beat);
		fab_schedule(q, &flow[k].beat, k * FAB_PS_PER_NS);
	}
	fab_queue_run(q, 10 * 1000 * FAB_PS_PER_NS);
	events = fab_queue_count(q);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t0);
	fab_queue_run(q, (10 + us) * 1000 * FAB_PS_PER_NS);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t1);
	events = fab_queue_count(q) - events;
	printf("%.2f\n", ((double)(t1.tv_sec - t0.tv_sec) * 1e9 + (double)(t1.tv_nsec - t0.tv_nsec)) / (double)events);
	fprintf(stderr, "%" PRIu64 " events\n", events);
	return 0;
}
