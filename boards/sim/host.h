/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The host in virtual time: a root complex with main memory, and cores that
 * forward.
 *
 *   sim_host   root complex, main memory
 *   sim_bn     bn: the actual host loop (driver/bn_host.c) on the host's cores
 *   sim_pmd    DPDK testpmd (io) or l3fwd on poll-mode drivers of ordinary NICs: a model
 *
 * bn's doorbell pages lie in the NICs; what the loop writes there in a step is
 * sent as posted writes from the root complex when the step's time has passed,
 * one per line, buffer ids combined up to 64 bytes.  What NICs write to main memory
 * is there when it has arrived.  A step's cycles are shared by as many of the cores as
 * it moved descriptors.
 *
 * LIFE  create host and NICs, fab_finish(), start.  Forwarders are destroyed before their ports and their host, the
 *   host before the world, and none of them runs any more.
 *
 * THE POLL-MODE MODEL  A NIC writes a frame to main memory and then, batched, receive
 * descriptors (16 bytes each); a core polls its queue's ring, takes up to `batch`, spends
 * cycles, writes send descriptors to main memory and rings the egress NIC's doorbell
 * (one posted write a batch); the egress NIC fetches descriptors (batched) and frames by DMA
 * read, sends, and writes back one completion a batch; the core frees and refills (a doorbell per
 * batch).  DMA engines, MACs, links and memory are the same as for firmware.
 */
#ifndef BOARDS_SIM_HOST_H
#define BOARDS_SIM_HOST_H

#include "sim.h"

struct sim_host;
struct sim_bn;
struct sim_pmd;

int sim_host_create(struct sim_world *w, const char *name, const struct sim_host_profile *p, struct sim_host **out,
		    char err[FAB_ERR_MAX]);
void sim_host_destroy(struct sim_host *h);
struct fab_node *sim_host_node(struct sim_host *h); /* the root complex */
const struct sim_host_profile *sim_host_profile(const struct sim_host *h);

/* What cores did since the last reset.  Times are sums over the cores: busy_ps + poll_ps = cores_used * time passed. */
struct sim_cpu_stats {
	uint64_t busy_ps;    /* with packets */
	uint64_t poll_ps;    /* looking in vain */
	uint64_t packets, batches, doorbells;
	double cores_used;   /* cores that poll or work: all of them while a forwarder runs */
};

/* ---- bn ---- */
/* Makes room in main memory for these NICs (shapes as sim_mesh_up will configure). */
int sim_bn_create(struct sim_host *h, const struct sim_mesh_cfg *cfg, struct board_ctx *const *nics, unsigned int n,
		  struct sim_bn **out, char err[FAB_ERR_MAX]);
void sim_bn_destroy(struct sim_bn *bn);
/* The driver's part for one NIC: maps main memory into it and writes its HOST_* registers.  By sim_mesh_up. */
int sim_bn_introduce(struct sim_bn *bn, unsigned int nic);
/* All NICs are enabled: the loop begins, if it has not.  By sim_mesh_up. */
int sim_bn_start(struct sim_bn *bn, char err[FAB_ERR_MAX]);
bool sim_bn_ready(const struct sim_bn *bn);
uint64_t sim_bn_held(const struct sim_bn *bn);
uint64_t sim_bn_drops(const struct sim_bn *bn);
void sim_bn_stats(const struct sim_bn *bn, struct sim_cpu_stats *out);
void sim_bn_stats_reset(struct sim_bn *bn);

/* ---- testpmd, l3fwd ---- */
enum sim_pmd_app { SIM_PMD_TESTPMD, SIM_PMD_L3FWD };
/* An ordinary NIC: the profile's DMA engine, MACs and link; no firmware. */
struct sim_pmd_nic;
int sim_pmd_create(struct sim_host *h, enum sim_pmd_app app, struct sim_pmd **out);
/* Bytes of a buffer's data, 64-9728, before the first NIC; 2048 by default.  Longer frames are dropped. */
int sim_pmd_buffers(struct sim_pmd *p, uint32_t bytes);
void sim_pmd_destroy(struct sim_pmd *p);
/* parent: where it is plugged in; ports as for sim_nic_create (MACs). */
int sim_pmd_add_nic(struct sim_pmd *p, const char *name, const struct sim_nic_profile *prof, struct fab_node *parent,
		    struct port *const *ports, unsigned int num_ports, struct sim_pmd_nic **out, char err[FAB_ERR_MAX]);
/* What comes in at (nic, port) leaves at (to_nic, to_port), nics in the order added. */
void sim_pmd_pair(struct sim_pmd *p, unsigned int nic, unsigned int port, unsigned int to_nic, unsigned int to_port);
int sim_pmd_start(struct sim_pmd *p, char err[FAB_ERR_MAX]);
void sim_pmd_stats(const struct sim_pmd *p, struct sim_cpu_stats *out);
void sim_pmd_stats_reset(struct sim_pmd *p);
uint64_t sim_pmd_drops(const struct sim_pmd *p); /* no descriptor, no buffer, send ring full */
struct fab_node *sim_pmd_node(const struct sim_pmd *p, unsigned int nic);
/* A NIC's workers and DMA engine since sim_pmd_stats_reset(); steps and cycles by step are not kept. */
void sim_pmd_nic_stats(const struct sim_pmd *p, unsigned int nic, struct sim_nic_stats *out);

#endif
