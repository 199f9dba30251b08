/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A memory controller: channels that serve accesses one after the other.
 *
 * Addresses are interleaved over the channels, 256 bytes at a time.  A channel is
 * busy for bytes / rate.  A write is over when the last byte has been served, a
 * read latency_ps later.  No events: everything is computed from the time at which
 * it is asked.  Times needn't ascend from call to call: an access finds what
 * earlier calls left idle, as far back as a channel remembers (its last 8 gaps).
 *
 * With DDIO a device's access takes cache_latency_ps and no DRAM, but for the lines
 * that its writes evict, ddio_evict of the bytes written: these take their turn at
 * the channels, and a write is not over before the lines it evicts are.
 */
#ifndef FABRIC_MEM_H
#define FABRIC_MEM_H

#include "fabric.h"

struct fab_mem;

struct fab_mem *fab_mem_create(const struct fab_mem_cfg *cfg); /* NULL: no memory, or no channels */
void fab_mem_destroy(struct fab_mem *m);
/* A device's access beginning at `at_ps`: when its data are there (read) or stored (write). */
uint64_t fab_mem_device(struct fab_mem *m, uint64_t at_ps, uint64_t addr, uint32_t bytes, bool write);
/* A core's. */
uint64_t fab_mem_cpu(struct fab_mem *m, uint64_t at_ps, uint64_t addr, uint32_t bytes, bool write, bool cached);
void fab_mem_stats(const struct fab_mem *m, struct fab_node_stats *out); /* mem_*, cache_bytes (all that the cache served) */
void fab_mem_stats_reset(struct fab_mem *m);

#endif
