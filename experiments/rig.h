/* SPDX-License-Identifier: BSD-3-Clause */
/* A configuration, built: what run.c and collect.c share. */
#ifndef EXPERIMENTS_RIG_H
#define EXPERIMENTS_RIG_H

#include <boards/sim/host.h>
#include <boards/sim/sim.h>
#include <fabric/trace.h>

#include "run.h"

#define EXP_LATENCIES_MAX (1u << 18) /* kept of one port */

struct exp_rig {
	const struct exp_config *c;
	struct sim_world *w;
	struct sim_host *host; /* NULL: none */
	struct sim_bn *bn;     /* method bn */
	struct sim_pmd *pmd;   /* methods testpmd, l3fwd */
	struct fab_node *node[EXP_MAX_NODES];
	struct sim_nic_profile prof[EXP_MAX_NODES]; /* as plugged in: link of the configuration */
	struct board_ctx *nic[P2P_MAX_NICS];
	unsigned int num_nics;
	unsigned int index[EXP_MAX_NODES]; /* a node's number among the NICs */
	struct port *mac[EXP_MAX_NODES][P2P_MAX_PORTS];
	struct fab_trace_file *trace;
	/* where those that count on stood when the measuring began */
	uint64_t base_events, base_host_drops, base_drops[P2P_NUM_DROPS];
};

/* Everything up, nothing sent yet. */
int exp_rig_build(struct exp_rig *r, const struct exp_config *c, char err[EXP_ERR_MAX]);
void exp_rig_destroy(struct exp_rig *r);
/* Begins to send at the clock's time. */
void exp_rig_go(struct exp_rig *r);
/* Counters to zero: the end of the warm-up. */
void exp_rig_reset(struct exp_rig *r);
/* Frames dropped since the beginning. */
void exp_rig_drops(const struct exp_rig *r, uint64_t drops[P2P_NUM_DROPS], uint64_t *host);
/* What was counted since; ps: how long that was. */
int exp_rig_collect(struct exp_rig *r, uint64_t ps, struct exp_result *out);

#endif
