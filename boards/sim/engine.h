/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A NIC's DMA engine: what stands between those who submit requests and the
 * fabric.  Firmware's board and the poll-mode model's NICs share it.
 *
 * Two queues, writes and reads.  A request begins when dma_*_latency has passed
 * since its submission and there is room in flight; requests of a queue begin in
 * order, two writes at least max(dma_write_gap, dma_overhead + dma_byte * bytes of
 * the former) apart, two reads dma_read_gap.  The data of reads pass the engine on
 * their way back, one read after the other, each in dma_overhead + dma_byte * bytes:
 * that is part of a read's latency and the limit of its rate.
 *
 * A write is in flight from its beginning until its last TLP has left, a read
 * until its data have passed the engine.  All of dma_read_latency passes before
 * the request.
 */
#ifndef BOARDS_SIM_ENGINE_H
#define BOARDS_SIM_ENGINE_H

#include <fabric/fabric.h>

#include "profile.h"

struct sim_engine;
struct sim_dma;
typedef void sim_dma_fn(struct sim_dma *d);

/* The caller's until done(); after that again. */
struct sim_dma {
	struct fab_req req;      /* addr, data, len are the caller's to fill */
	uint64_t not_before_ps;  /* submission in virtual time: at or after fab_now(), never before that of the one before */
	bool local;              /* within device memory: takes its time at local_rate; done() moves the bytes itself */
	sim_dma_fn *done;        /* write: source may be reused; read: data are there (engine's latency included) */
	/* the engine's own */
	struct sim_engine *engine;
	struct sim_dma *next;
	struct fab_event event;
	bool read;
};

struct sim_engine_stats {
	uint64_t writes, reads, write_bytes, read_bytes;
	uint64_t write_wait_ps, read_wait_ps; /* from submission to beginning, latency included */
	uint64_t write_busy_ps, read_busy_ps; /* the share of its issue rate that was used; reads: the larger of issue and data path */
	uint64_t write_full_ps, read_full_ps; /* the share of its limits that was in flight, over time */
	uint32_t writes_max, reads_max;
};

/* 0 or -ENOMEM.  Destroy it only when it is not busy, or with the fabric gone. */
int sim_engine_create(struct fab_queue *q, const struct sim_nic_profile *p, struct fab_node *ep, struct sim_engine **out);
void sim_engine_destroy(struct sim_engine *e);
void sim_engine_write(struct sim_engine *e, struct sim_dma *d);
void sim_engine_read(struct sim_engine *e, struct sim_dma *d);
bool sim_engine_busy(const struct sim_engine *e);
/* What has not begun never will, and no done() is called any more; what is in flight stays so until the fabric is through. */
void sim_engine_drop(struct sim_engine *e);
void sim_engine_stats(const struct sim_engine *e, struct sim_engine_stats *out);
void sim_engine_stats_reset(struct sim_engine *e);
/* Endpoint and link configuration as a profile says. */
void sim_profile_endpoint(const struct sim_nic_profile *p, uint64_t base, uint64_t bytes, struct fab_ep_cfg *cfg);
void sim_profile_link(const struct sim_nic_profile *p, struct fab_link_cfg *cfg);

#endif
