/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An IOMMU's translation cache: set-associative, least recently used goes first.
 * Translation is the identity; what counts is when it is known.
 *
 * A page's set is its number modulo the number of sets.  Misses are walked in the
 * order of the calls, `walkers` at a time (0: any number).  Who needs a page that is
 * being walked waits for that walk and counts as a hit: misses are walks.
 */
#ifndef FABRIC_IOMMU_H
#define FABRIC_IOMMU_H

#include "fabric.h"

struct fab_iommu;

/*
 * No entries: everything goes on at once.  ways 0: fully associative.  NULL: no memory, or the ways don't divide the
 * entries, or page_bytes is not a power of two from 4096 on.
 */
struct fab_iommu *fab_iommu_create(const struct fab_iommu_cfg *cfg);
void fab_iommu_destroy(struct fab_iommu *m);
/* A request for [addr, addr + bytes), within one 4 KiB page, that arrives at `at_ps`: when it goes on. */
uint64_t fab_iommu_translate(struct fab_iommu *m, uint64_t at_ps, uint64_t addr, uint32_t bytes);
void fab_iommu_stats(const struct fab_iommu *m, struct fab_node_stats *out); /* iotlb_* */
void fab_iommu_stats_reset(struct fab_iommu *m);

#endif
