/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a run gives.
 *
 * THROUGHPUT  frames whose last bit left a port within the measured time; Gb/s on the wire,
 *   preamble and gap included, so that a 40G port that is never idle has 40.
 * LATENCY     last bit in to last bit out, of frames that left within the measured time.
 * CPU'S PCIE  data bytes of all TLPs on links of root ports, both directions together.
 */
#ifndef EXPERIMENTS_RESULT_H
#define EXPERIMENTS_RESULT_H

#include <stdio.h>

#include <p2pnic/regs.h>

#include "topo.h"

#define EXP_CDF_POINTS 201 /* the quantiles 0, 0.5%, ... 100% */
#define EXP_SATURATED 0.95
#define EXP_FULL_RATE 0.99 /* of what was offered: docs/validation.md */

/* X(name, "what it is"): numbers of a whole run. */
#define EXP_RESULTS(X) \
	X(window_us, "measured time") \
	X(offered_mpps, "frames that came in on the wires") \
	X(offered_gbps, "the same on the wire") \
	X(mpps, "frames that left") \
	X(gbps, "the same on the wire") \
	X(missed, "frames that found no room at their port") \
	X(dropped, "frames dropped by NICs or host, by reason in drops") \
	X(host_dropped, "of them, by the host") \
	X(corrupted, "frames that left with wrong contents") \
	X(reordered, "frames of a flow that left out of order, or twice") \
	X(latencies, "frames whose latency was kept") \
	X(mean_ns, "their mean latency") \
	X(p50_ns, "percentiles of latency") \
	X(p90_ns, "") \
	X(p99_ns, "") \
	X(cpu_percent, "of the forwarding cores, busy or polling") \
	X(cpu_busy_percent, "of the forwarding cores, with packets") \
	X(cpu_pcie_MBps, "through the CPU's PCIe") \
	X(mem_MBps, "through the memory channels") \
	X(packets, "frames that left") \
	X(hops, "links on their way, wires included, times frames") \
	X(events, "of the simulator, while measuring")

#define EXP_RES_KINDS(X) \
	X(LINK, "link") X(MAC, "MAC") X(DMA, "DMA engine") X(FLIGHT, "requests in flight") X(WORKERS, "workers") X(MEMORY, "device memory") \
	X(CHANNELS, "memory channels") X(CORES, "cores") X(ROOT, "root complex")
#define X(name, text) EXP_RES_##name,
enum exp_res_kind { EXP_RES_KINDS(X) EXP_NUM_RES_KINDS };
#undef X
extern const char *const exp_res_kinds[EXP_NUM_RES_KINDS];

struct exp_resource {
	char name[64];
	enum exp_res_kind kind;
	bool source; /* an offered wire: busy because it was asked to be, never a bottleneck */
	double use;  /* share of the measured time, or of what it can carry */
};
struct exp_port_result {
	char name[64]; /* "nic0.0" */
	double offered_mpps, offered_gbps, missed;
	double mpps, gbps;
};

struct exp_result {
#define X(name, desc) double name;
	EXP_RESULTS(X)
#undef X
	double drops[P2P_NUM_DROPS];
	uint32_t cdf_ns[EXP_CDF_POINTS];
	unsigned int num_res, num_ports;
	struct exp_resource *res;
	struct exp_port_result *port;
};

int exp_result_alloc(struct exp_result *r, unsigned int res, unsigned int ports); /* room; counts are 0 */
void exp_result_free(struct exp_result *r);
/*
 * The busiest resource.  Where not all that was offered got through, what held it up: the wires out if all of them are
 * full, else what has a rate within the machine, else requests in flight, which fill up behind anything else
 * as well.  NULL: there is none.
 */
const struct exp_resource *exp_result_busiest(const struct exp_result *r);
/* "switch0 up (link)"; which is the bottleneck if it is saturated. */
void exp_resource_print(const struct exp_resource *r, char text[96]);

/* As one line of text, without loss; and back.  -EINVAL: it isn't one; -ENOMEM. */
int exp_result_write(const struct exp_result *r, FILE *f);
int exp_result_parse(struct exp_result *r, const char *line);

#endif
