/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Main memory and the cores' way to devices, for the forwarders of host.h.
 *
 * Main memory is a row of areas, each one allocation that a forwarder asks for, at bus addresses from
 * SIM_HOST_MEM on.  A forwarder reads and writes its area by pointer; devices reach the same bytes by DMA.
 */
#ifndef BOARDS_SIM_HOST_INTERNAL_H
#define BOARDS_SIM_HOST_INTERNAL_H

#include "host.h"

#define SIM_HOST_MEM (4ull << 30) /* below every BAR */
#define SIM_HOST_MEM_BYTES (1ull << 40)
#define SIM_HOST_AREAS 16
#define SIM_POST_BYTES 64 /* a write-combining buffer's */

/* A device's write to [off, off + len) of the watched part has landed. */
typedef void sim_landed_fn(void *arg, uint64_t off, uint32_t len);

/* Zeroed, 4 KiB aligned memory of the host's; lives as long as the host.  -ENOMEM. */
int sim_host_alloc(struct sim_host *h, uint64_t bytes, uint64_t *bus, uint8_t **mem);
/* Tell of writes to the first `bytes` of the area that begins at `bus`; fn NULL: no more. */
void sim_host_watch(struct sim_host *h, uint64_t bus, uint64_t bytes, sim_landed_fn *fn, void *arg);

/* A posted write of a core's to a device; data are the caller's to fill before it is sent.  NULL: no memory. */
struct sim_post {
	struct fab_req req;
	struct sim_post *next;
	struct sim_host *host;
	uint8_t data[SIM_POST_BYTES];
};
struct sim_post *sim_post_get(struct sim_host *h, uint64_t addr, const void *data, uint32_t len);
void sim_post_send(struct sim_post *p);
void sim_post_put(struct sim_post *p); /* one that was not sent */

struct sim_world *sim_host_world(const struct sim_host *h);
/* So many cycles of one core. */
uint64_t sim_host_cycles_ps(const struct sim_host *h, double cycles);
/* The first of start_ps + k * period_ps that is not before at_ps. */
uint64_t sim_host_poll_at(uint64_t start_ps, uint64_t period_ps, uint64_t at_ps);

#endif
