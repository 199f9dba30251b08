/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `p2pnic bench churn`: two NICs route at full load while their routes change.
 *
 *   worker's core     generator -> NIC -> NIC -> sink, both ways: the cables (cable.c) are in the worker's own thread
 *   updater's core    changes routes at a paced rate (churn.c)
 *
 * With two cores the alternative would be a generator that shares a core with the updater: then load and changes would
 * take time from each other, and a lower load would look like a slower forwarder.  Here only the forwarder's core has
 * all work of a frame.  Making frames costs the same with changes and without, judging them costs more with: what cables take
 * of their worker's time is counted, so that the forwarder's own rate can be told as well.
 *
 * JUDGING  The updater logs each change before it makes it.  A frame carries how many changes were through when it
 * came; when it leaves, all tables from then to now are asked for its destination.  If none of them sends it where it
 * went, it is misrouted.
 */
#ifndef BENCH_CHURN_H
#define BENCH_CHURN_H

#include <stdio.h>

#include "boards/soft/soft.h"
#include "driver/route.h"
#include "lpm/lpm.h"
#include "ports/buffers.h"

#define CHURN_ERR_MAX 512
#define CHURN_NICS 2u
#define CHURN_DESTS 4096u /* 10.0.0.0/24, 10.0.1.0/24, ... */
#define CHURN_COVER 16u   /* so many of them are in one /20 */
#define CHURN_HOPS 8u     /* hop 1 to 8; 0: no route */
#define CHURN_WAYS 16u    /* entries that a hop's word names one of: way w leaves by NIC w % 2 to a station w */
#define CHURN_LOG (1u << 18)
#define CHURN_WINDOW 256u /* frames under way at most: no ring runs full */

enum churn_kind { CHURN_ROUTE, CHURN_COVERING, CHURN_DEFAULT, CHURN_HOP };

struct churn_table {
	uint8_t route[CHURN_DESTS], cover[CHURN_DESTS / CHURN_COVER], def, way[CHURN_HOPS + 1];
};
struct churn_change {
	uint8_t kind, was, to, pad;
	uint32_t index;
};

struct churn;
struct churn_cable {
	struct port port;
	struct churn *c;
	unsigned int nic;
	struct port_buffers empty;
	unsigned int done;
	bool started;
};

struct churn {
	/* the updater's */
	struct churn_table table;
	struct churn_change log[CHURN_LOG];
	uint32_t begun __attribute__((aligned(P2P_APART_BYTES))); /* changes logged; made or being made */
	uint32_t through; /* changes made */
	bool go;
	/* the worker's */
	struct churn_table judge __attribute__((aligned(P2P_APART_BYTES))); /* as of `judged` */
	uint32_t judged, under_way;
	uint64_t random, sent, received, misrouted, damaged;
	uint64_t own_ticks; /* soft_ticks() that making and judging took */

	struct churn_cable cable[CHURN_NICS] __attribute__((aligned(P2P_APART_BYTES)));
	struct soft_nic *nic[CHURN_NICS];
	struct soft_worker *worker;
	struct drv *drv;
	struct drv_route *route;
	struct lpm *lpm;
	uint8_t *area[CHURN_NICS];
	const struct p2p_route_head *head[CHURN_NICS];
	uint32_t words; /* changed, of each area */
};

struct churn_opts {
	double rate;    /* changes a second */
	double seconds; /* with changes; without them as long again */
	unsigned int rounds;
	int cpu_worker, cpu_updater;
	bool json;
	volatile bool *stop; /* true: end early */
};

/* cable.c */
extern const struct port_ops churn_cable_ops;
uint8_t *churn_slot(struct churn_table *t, enum churn_kind kind, uint32_t index);

/* world.c: NICs, worker and tables.  0 or -errno with one line in err; churn_world_close() also after a failure. */
int churn_world_open(struct churn *c, const struct churn_opts *o, char err[CHURN_ERR_MAX]);
void churn_world_close(struct churn *c);
/* Frames that the NICs dropped. */
uint64_t churn_world_drops(struct churn *c);
/* Makes change c->log[c->begun - 1].  0 or -errno. */
int churn_world_make(struct churn *c, const struct churn_change *g);

/* churn.c.  0; 1: frames were lost or went wrong; or -errno with one line in err. */
int bench_churn(const struct churn_opts *o, FILE *out, char err[CHURN_ERR_MAX]);

#endif
