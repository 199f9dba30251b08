/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Software NICs in this process, and what makes them run: ports, workers, the
 * driver over `local:`, bn's host loop, the control socket.
 *
 *   rig_create -> rig_add_nic ... -> (rig_up -> rig_down)* -> rig_finish -> rig_destroy
 *                                 -> (rig_start -> rig_stop) if someone else is the driver
 *
 * rig_destroy() may come at any point and undoes what was done.  Errors: -errno
 * and one line in err.  One thread calls.
 */
#ifndef CLI_RIG_H
#define CLI_RIG_H

#include "boards/soft/soft.h"
#include "faults/fault.h"
#include "cli/options.h"
#include "driver/drv.h"
#include "ports/port.h"

#define RIG_MAX_CORES 64

struct rig_opts {
	int core[RIG_MAX_CORES]; /* one worker each */
	unsigned int cores;      /* 0: not pinned */
	unsigned int workers;    /* not pinned: how many; 0: as many as there are queues of NICs and CPUs for them */
	unsigned int queues;     /* of every NIC; 0: 1 */
	bool poll;
	uint64_t mem_bytes; /* 0: default */
	uint32_t buf_size;  /* 0: default */
	struct sock_trust trust; /* who may connect to sockets, memif servers' too */
	struct fault_set faults; /* what shall go wrong; no rules: nothing */
};

struct rig_nic {
	char name[SOFT_NAME_MAX];
	struct soft_nic *soft;
	unsigned int ports;
	struct port *port[P2P_MAX_PORTS];
	struct soft_worker *worker[P2P_MAX_QUEUES];
};

struct bn_task;

struct rig {
	struct rig_opts opts;
	unsigned int n;
	struct rig_nic nic[P2P_MAX_NICS];
	unsigned int workers, nic_workers; /* the first of them step NICs */
	const struct drv_pair *pairs;      /* the caller's of rig_up(), which place.h goes by */
	unsigned int num_pairs;
	struct soft_worker *worker[RIG_MAX_CORES + 1];
	struct soft_ctl *ctl;
	struct drv *drv; /* up */
	struct bn_task *bn; /* up, and in bn */
};

/* The two parts of options that run and nic share. */
int rig_create(struct rig **out, const struct rig_opts *opts);
/* --fault, each a rule.  -EINVAL. */
int rig_parse_faults(struct rig_opts *opts, const struct cli_list *rules, char err[CLI_ERR_MAX]);
/* Opens the ports and makes the NIC.  specs: n of them. */
int rig_add_nic(struct rig *r, const char *name, const char *const *specs, unsigned int n, char err[CLI_ERR_MAX]);
/* A control socket at path for all NICs; it answers from rig_start() on. */
int rig_serve(struct rig *r, const char *path, char err[CLI_ERR_MAX]);
/* Makes the workers and lets them run. */
int rig_start(struct rig *r, char err[CLI_ERR_MAX]);
/* Ends them. */
void rig_stop(struct rig *r);
/*
 * Introduces the NICs, starts, and waits until they are ready.  Generators are
 * paused from before until rig_go().  note: what the driver has to say, or "".
 */
int rig_up(struct rig *r, const struct drv_opts *o, char note[DRV_ERR_MAX], char err[CLI_ERR_MAX]);
void rig_go(struct rig *r);
void rig_down(struct rig *r);
/* What the ports could not complete, after the end. */
int rig_finish(struct rig *r, char err[CLI_ERR_MAX]);
void rig_destroy(struct rig *r);

/* Sums over the NICs and bn's host. */
struct rig_totals {
	uint64_t rx_frames, rx_bytes, tx_frames, tx_bytes, copies, drops, held;
	uint64_t tx_lost, tx_error;
	uint64_t events[P2P_NUM_EVENTS];
	uint64_t host_desc_bytes, host_doorbell_bytes; /* bn: the host's own */
};
void rig_totals(struct rig *r, struct rig_totals *t);
/* Stops all generators and waits, at most timeout_ns, until nothing moves any more.  false: something still did. */
bool rig_drain(struct rig *r, uint64_t timeout_ns);
/* True once every port that ends has ended; *any: there is such a port. */
bool rig_exhausted(struct rig *r, bool *any);
/* CPU time that the workers have used, ns. */
uint64_t rig_cpu_ns(const struct rig *r);

/* "0,2-3" */
int rig_parse_cores(struct rig_opts *o, const char *text, char err[CLI_ERR_MAX]);

#endif
