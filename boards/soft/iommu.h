/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The NIC's address map: which bus addresses its DMA reaches, and how.
 *
 * A sorted table of maps that never overlap.  A map with a descriptor is host
 * memory; one without is reached by messages to the client.  Maps of one GiB
 * of bus addresses lie in one reserved piece of address space, so that adjacent
 * maps (the segments of one peer) are adjacent in host memory as well and a
 * window may span them.
 *
 * THREADS  The workers of the NIC's contexts look maps up, at the same time; the map
 * changes only while all of them stand still, or, of a NIC with one context, on
 * its worker between firmware steps or within soft_function_ops.serve.  Whoever changes it
 * increments the translation generation afterwards (soft_nic_retranslate).
 *
 * TRUST  iova, size, offset and descriptor come from the client.  Memory that
 * another party can cut short (no F_SEAL_SHRINK) or punch (hugetlbfs) is guarded
 * (ports/guard.h): a hit turns the map into one that faults.
 */
#ifndef BOARDS_SOFT_IOMMU_H
#define BOARDS_SOFT_IOMMU_H

#include <p2pnic/function.h>

#define SOFT_MAX_MAPS 65535
#define SOFT_MAX_UNSEALED 512 /* of them, of memory without F_SEAL_SHRINK: guards are the process's */

struct soft_map {
	uint64_t iova, bytes;
	uint8_t *host;	/* NULL: by message */
	uint8_t *mapped; /* what mmap returned, page-aligned; bytes + (host - mapped) long */
	volatile int *hit; /* guarded: becomes 1 when the memory was taken away, 2 once that is counted; else NULL */
	uint32_t prot;	/* P2P_DMA_* */
	int arena;	/* index, or -1 */
	int fd;		/* kept to be handed on (soft_iommu_keep), or -1 */
	bool sealed;	/* F_SEAL_SHRINK */
};

struct soft_arena {
	uint64_t gib; /* iova >> 30 */
	uint8_t *base;
	unsigned int maps; /* 0: free */
};

struct soft_iommu {
	struct soft_map *map;
	unsigned int n, room;
	struct soft_arena *arena;
	unsigned int arenas;
	unsigned int guarded, unsealed; /* maps that have a guard, and those of them not sealed */
};

/*
 * 0; -EINVAL (empty, wraps round, reaches P2P_BUS_LOCAL, no access, not page-aligned, past the object's end); -EEXIST
 * overlap; -ENOSPC; -EPERM (can't be guarded); -EACCES (the descriptor doesn't allow it); -ENOMEM, or mmap's.
 */
int soft_iommu_map(struct soft_iommu *m, uint64_t iova, uint64_t bytes, int fd, uint64_t fd_offset, uint32_t prot);
/*
 * Keeps a duplicate of fd, which the map at iova was made with from offset 0, so that a cable may be given the memory
 * too.  0; -ENOENT: no such map, or memory that is not sealed; -EMFILE and the like.
 */
int soft_iommu_keep(struct soft_iommu *m, uint64_t iova, int fd);
/* -ENOENT unless exactly this range is one map. */
int soft_iommu_unmap(struct soft_iommu *m, uint64_t iova, uint64_t bytes);
void soft_iommu_clear(struct soft_iommu *m);
/* Maps that are reached by message alone: the client has gone. */
void soft_iommu_clear_messages(struct soft_iommu *m);
/* The map that holds iova, or NULL. */
const struct soft_map *soft_iommu_find(const struct soft_iommu *m, uint64_t iova);
/* Bytes from iova, which no map holds, to the next map. */
uint64_t soft_iommu_gap(const struct soft_iommu *m, uint64_t iova);
/* What may be done there: nothing once the memory was cut short. */
static inline uint32_t soft_map_prot(const struct soft_map *e)
{
	return e->hit && __atomic_load_n(e->hit, __ATOMIC_RELAXED) ? 0 : e->prot;
}
/* A map whose memory was taken away since this last returned it, or NULL. */
const struct soft_map *soft_iommu_hit_next(const struct soft_iommu *m);

#endif
