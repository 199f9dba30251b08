/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The gen port's own parts; nothing outside ports/gen*.c includes this.
 *
 *   gen.c         spec, generating, the packet path
 *   gen_report.c  what other threads ask of a port (gen.h)
 *
 * A port with several queues is as many gen_ports ("lanes"), each with the flows
 * whose hash falls to it, a sink of its own and the worker that drives it.  What
 * is asked of the port (gen.h) is asked of all its lanes.
 */
#ifndef PORTS_GEN_INT_H
#define PORTS_GEN_INT_H

#include <pthread.h>

#include <p2pnic/layout.h>

#include "ports/buffers.h"
#include "ports/gen.h"
#include "ports/gen_frame.h"
#include "ports/gen_sink.h"
#include "ports/pace.h"

/* Frame lengths (without FCS): one after the other from a list, or random within [min, max]. */
struct gen_sizes {
	uint32_t n;
	uint32_t list[12];
	uint32_t min, max;
};

struct gen_setting {
	struct gen_sizes sizes;
	uint64_t rate_pps;
	uint64_t count;
	bool none; /* this queue's share of them is nothing */
};

struct gen_baseline {
	uint64_t sent, sent_bytes, behind;
	uint64_t foreign, damaged_head;
	struct gen_source_counts source[GEN_SOURCES];
	struct histogram latency;
};

struct gen_port {
	struct port port;

	/* The worker's. */
	struct gen_flow *flow;
	uint16_t *flow_no; /* the generator's number of each */
	uint32_t n_flows;
	unsigned int spread; /* flows are dealt over so many queues, as many as are started */
	uint32_t next_flow;
	uint32_t next_size;
	uint64_t random;
	struct gen_setting now;
	struct pace pace;
	uint64_t made; /* frames of this run */
	uint32_t done; /* segments to report by tx_done */
	struct port_buffers bufs;
	uint32_t buf_size;
	uint8_t run;
	bool started;
	struct gen_sink sink;
	uint64_t sent, sent_bytes; /* read by others */

	/* Fixed at open. */
	struct gen_port *lane[P2P_MAX_QUEUES]; /* queue 0's: all of them, itself the first; another's: itself alone */
	unsigned int queues;                   /* how many of these */
	struct gen_port *first;                /* queue 0 */
	unsigned int queue;
	struct gen_flow_setting flow_setting;
	uint32_t all_flows;                    /* of all queues */
	bool tx;
	uint8_t id;
	uint64_t burst;
	int event_fd; /* wakes the worker */

	/* Requests to the worker, relaxed atomics but for the setting, which the lock guards. */
	bool want_pause, seen_pause;
	bool want_setting;
	uint32_t want_run, seen_run;
	uint32_t room; /* the longest frame that fits, 0 while stopped */
	pthread_mutex_t lock;
	struct gen_setting setting;
	struct gen_baseline *base;
};

static inline struct gen_port *gen_of(const struct port *p)
{
	return (struct gen_port *)(uintptr_t)p;
}

/* "64", "64-1518", "imix", "mix".  0 or -EINVAL. */
int gen_sizes_parse(struct gen_sizes *z, const char *s);

#endif
